/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: the list holds one path a line, dependencies first, as the
 * recipe ordered them; each is given to finit_module(2).  No modprobe, no
 * fork: that is most of what a boot under emulation costs.
 *
 * Failure modes: a file that is missing or refused ends the list with an
 * error; a module that is loaded already is fine.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "harness/base/file.h"
#include "vm-images/init.h"

#define MODULE_LIST_BYTES_MAX 16384

static int
module_load(const char *path, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "module '%s'", path);
    if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "module '%s'", path);
    return 0;
}

int
modules_load(const char *list, struct error *err)
{
    CLEANUP_FREE char *text = NULL;
    char *save = NULL;
    size_t len;

    text = file_read(list, MODULE_LIST_BYTES_MAX, &len, err);
    if (text == NULL)
        return -1;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        if (module_load(line, err) < 0)
            return -1;
    return 0;
}
