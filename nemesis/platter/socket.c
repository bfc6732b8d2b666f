/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: one thread, a few clients, one command a line.  Clients
 * are served in turn, so commands have one order.
 *
 * Failure modes: a line that does not end in time for its buffer, or a client
 * that does not take its replies, loses its connection; nothing blocks.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "harness/base/arena.h"
#include "nemesis/platter/server.h"

#define CONTROL_CLIENTS_MAX 8 /* the driver, a person, and room */
#define CONTROL_SLOTS (CONTROL_CLIENTS_MAX + 2)

struct control_client {
    int fd; /* -1: free */
    size_t len;
    char line[SERVER_LINE_BYTES_MAX];
};

int
control_bind(struct control_socket *c, struct server *s, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    mode_t mask;
    int rc;

    *c = (struct control_socket){.server = s, .listen_fd = -1, .stop_fd = -1};
    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    unlink(path);
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (c->listen_fd < 0 || c->stop_fd < 0)
        return -1;
    mask = umask(077);
    rc = bind(c->listen_fd, (struct sockaddr *)&a, sizeof(a));
    umask(mask);
    if (rc < 0 || listen(c->listen_fd, CONTROL_CLIENTS_MAX) < 0)
        return -1;
    c->path = xstrdup(path);
    return 0;
}

static void
control_drop(struct control_client *client)
{
    close(client->fd);
    client->fd = -1;
    client->len = 0;
}

static void
control_accept(int listen_fd, struct control_client *clients)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    for (unsigned i = 0; fd >= 0 && i < CONTROL_CLIENTS_MAX; i++) {
        if (clients[i].fd < 0) {
            clients[i].fd = fd;
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

/* One finished line, without its end.  False: the client is not worth it. */
static bool
control_answer(struct server *s, int fd, char *line)
{
    CLEANUP(buf_release) struct buf reply;

    buf_init(&reply, SERVER_REPLY_BYTES_MAX);
    control_run(s, line, &reply);
    buf_puts(&reply, "\n");
    return send(fd, reply.data, reply.len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)reply.len;
}

static void
control_receive(struct server *s, struct control_client *client)
{
    size_t room = sizeof(client->line) - client->len;
    ssize_t n = recv(client->fd, client->line + client->len, room, 0);
    char *end;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        control_drop(client);
        return;
    }
    client->len += (size_t)n;
    while ((end = memchr(client->line, '\n', client->len)) != NULL) {
        size_t used = (size_t)(end - client->line) + 1;

        *end = '\0';
        if (!control_answer(s, client->fd, client->line)) {
            control_drop(client);
            return;
        }
        client->len -= used;
        memmove(client->line, client->line + used, client->len);
    }
    if (client->len == sizeof(client->line))
        control_drop(client);
}

static void *
control_main(void *arg)
{
    struct control_socket *c = arg;
    struct control_client *clients =
        xcalloc(CONTROL_CLIENTS_MAX, sizeof(*clients));
    struct pollfd fds[CONTROL_SLOTS];

    prctl(PR_SET_NAME, "platter-control");
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        clients[i].fd = -1;
    for (;;) {
        for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
            fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
        fds[CONTROL_CLIENTS_MAX] =
            (struct pollfd){.fd = c->listen_fd, .events = POLLIN};
        fds[CONTROL_CLIENTS_MAX + 1] =
            (struct pollfd){.fd = c->stop_fd, .events = POLLIN};
        if (poll(fds, CONTROL_SLOTS, -1) < 0)
            continue; /* EINTR; nothing else is possible here */
        if (fds[CONTROL_CLIENTS_MAX + 1].revents != 0)
            break;
        for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
            if (fds[i].fd >= 0 && fds[i].revents != 0)
                control_receive(c->server, &clients[i]);
        if (fds[CONTROL_CLIENTS_MAX].revents != 0)
            control_accept(c->listen_fd, clients);
    }
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (clients[i].fd >= 0)
            control_drop(&clients[i]);
    free(clients);
    return NULL;
}

int
control_start(struct control_socket *c)
{
    sigset_t all, old;
    int code;

    /* nbdkit's own threads take the signals. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    code = pthread_create(&c->thread, NULL, control_main, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = code;
    c->running = code == 0;
    return code == 0 ? 0 : -1;
}

void
control_stop(struct control_socket *c)
{
    const uint64_t one = 1;

    if (c->running && write(c->stop_fd, &one, sizeof(one)) == sizeof(one))
        pthread_join(c->thread, NULL);
    c->running = false;
    if (c->path != NULL)
        unlink(c->path);
    free(TAKE(c->path));
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    c->listen_fd = c->stop_fd = -1;
}
