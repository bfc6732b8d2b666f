/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: connect, one message out, one message in.
 *
 * Failure modes: nobody listens, a request that is too long, no reply in time,
 * an empty reply: all SVC_NO_INIT or SVC_USAGE with the reason as text.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "vm-images/svc-wire.h"

/* Longer than the longest thing init may be asked to wait for. */
#define REPLY_TIMEOUT_S (SVC_STOP_TIMEOUT_MAX_S + 30)

static enum svc_status
svc_failure(char *ret, const char *what, int code)
{
    snprintf(ret, SVC_REPLY_BYTES_MAX, "%s: %s\n", what, strerror(code));
    return SVC_NO_INIT;
}

static int
svc_connect(const char *path)
{
    struct timeval timeout = {.tv_sec = REPLY_TIMEOUT_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) <
            0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int code = errno;

        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

enum svc_status
svc_call(const char *socket_path, int argc, const char *const argv[],
         char ret[static SVC_REPLY_BYTES_MAX])
{
    CLEANUP_FREE char *request = malloc(SVC_REQUEST_BYTES_MAX);
    CLEANUP_CLOSE int fd = -1;
    size_t len = 0;
    ssize_t n;
    unsigned char status;

    if (request == NULL)
        return svc_failure(ret, "request", ENOMEM);
    for (int i = 0; i < argc; i++) {
        size_t size = strlen(argv[i]) + 1;

        if (size > SVC_REQUEST_BYTES_MAX - len) {
            (void)svc_failure(ret, "request", E2BIG);
            return SVC_USAGE;
        }
        memcpy(request + len, argv[i], size);
        len += size;
    }
    fd = svc_connect(socket_path);
    if (fd < 0)
        return svc_failure(ret, socket_path, errno);
    if (send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
        return svc_failure(ret, "request to init", errno);
    n = recv(fd, ret, SVC_REPLY_BYTES_MAX - 1, 0);
    if (n <= 0)
        return svc_failure(ret, "no reply from init", n < 0 ? errno : EPIPE);
    status = (unsigned char)ret[0];
    memmove(ret, ret + 1, (size_t)n - 1);
    ret[n - 1] = '\0';
    return status <= SVC_NO_INIT ? (enum svc_status)status : SVC_FAILED;
}
