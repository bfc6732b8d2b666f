/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svc: asks init to start, stop, signal or describe a daemon (docs/GUEST.md).
 *
 * Happy path: the arguments go to init as they are, the reply is printed, its
 * status becomes ours.  After a stop the data disk is synced here, not in
 * init: a disk that hangs then holds this process, never pid 1.
 *
 * Failure modes: exit 1 refused or failed, 2 usage, 3 init cannot be asked.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "vm-images/svc-wire.h"

static const char usage[] =
    "usage: svc start NAME [--dir DIR] [--log FILE] -- PROGRAM ARG...\n"
    "       svc stop NAME [--timeout SECONDS]\n"
    "       svc signal NAME SIGNAL\n"
    "       svc status [NAME]\n";

static void
sync_data(void)
{
    CLEANUP_CLOSE int fd = open("/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && syncfs(fd) < 0)
        perror("svc: sync of /data");
}

int
main(int argc, char **argv)
{
    static char text[SVC_REPLY_BYTES_MAX];
    enum svc_status status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return SVC_OK;
    }
    if (argc < 2) {
        fputs(usage, stderr);
        return SVC_USAGE;
    }
    status =
        svc_call(SVC_SOCKET, argc - 1, (const char *const *)(argv + 1), text);
    if (status == SVC_OK && strcmp(argv[1], "stop") == 0)
        sync_data();
    if (status == SVC_OK)
        fputs(text, stdout);
    else
        fprintf(stderr, "svc: %s", text);
    if (status == SVC_USAGE)
        fputs(usage, stderr);
    return (int)status;
}
