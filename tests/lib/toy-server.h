/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP server that counts requests and misbehaves in one chosen way.
 *
 *   toy_start, toy_start_on -> (toy_set, clients) ... -> toy_stop
 *
 * One thread serves one connection at a time.  A request counts once its last
 * byte was read.  Everything sent on a connection after its first request is
 * counted as a further request.
 */
#ifndef ORDEAL_TESTS_TOY_SERVER_H
#define ORDEAL_TESTS_TOY_SERVER_H

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum toy_behaviour {
    TOY_ANSWER,      /* the answer set, then close */
    TOY_RESET,       /* reads the whole request, then resets */
    TOY_CLOSE,       /* reads the whole request, then closes */
    TOY_RESET_FIRST, /* resets before it reads anything */
    TOY_TRUNCATED,   /* promises more body than it sends */
    TOY_DRIP,        /* a byte every 20 ms, longer than anybody waits */
    TOY_SILENT,      /* reads, and says nothing until the client leaves */
    TOY_GARBAGE,     /* bytes that are not HTTP */
    TOY_HUGE_HEADER, /* a header without end */
    TOY_HUGE_BODY,   /* a body without end */
    TOY_CONTINUE,    /* three interim replies, then the answer */
    TOY_REDIRECT,    /* 307 to itself */
    TOY_AUTH,        /* 401 with a challenge */
};

struct toy {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic int behaviour, status;
    _Atomic bool stopping, serving;
    _Atomic unsigned connections, requests;
    char answer[65536];
    char request[16384]; /* the last one */
};

static bool
toy_send(int fd, const char *text)
{
    size_t len = strlen(text);

    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* The length of the first whole request in the bytes, or 0. */
static size_t
toy_request_length(const char *bytes, size_t len)
{
    const char *end = strstr(bytes, "\r\n\r\n");
    const char *field = strstr(bytes, "Content-Length: ");
    size_t need;

    if (end == NULL)
        return 0;
    need = (size_t)(end + 4 - bytes);
    if (field != NULL && field < end)
        need += strtoul(field + strlen("Content-Length: "), NULL, 10);
    return len >= need ? need : 0;
}

/* Reads for at most 'timeout_ms' without news; counts whole requests. */
static void
toy_read(struct toy *t, int fd, int timeout_ms, unsigned stop_after)
{
    size_t len = 0, whole;
    unsigned count = 0;

    while (count < stop_after && len < sizeof(t->request) - 1) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&pollfd, 1, timeout_ms) <= 0)
            return;
        got = recv(fd, t->request + len, sizeof(t->request) - 1 - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
        t->request[len] = '\0';
        whole = toy_request_length(t->request, len);
        if (whole > 0) {
            count++;
            atomic_fetch_add(&t->requests, 1);
            if (len > whole)
                atomic_fetch_add(&t->requests, 1);
        }
    }
}

static void
toy_answer(struct toy *t, int fd)
{
    char head[256];

    snprintf(head, sizeof(head),
             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n",
             atomic_load(&t->status), strlen(t->answer));
    if (toy_send(fd, head))
        toy_send(fd, t->answer);
}

static void
toy_endless(struct toy *t, int fd, const char *start, const char *piece,
            unsigned pause_us)
{
    bool going = toy_send(fd, start);

    while (going && !atomic_load(&t->stopping)) {
        going = toy_send(fd, piece);
        if (pause_us > 0)
            poll(NULL, 0, (int)(pause_us / 1000));
    }
}

static void
toy_misbehave(struct toy *t, int fd)
{
    char text[256];

    switch (atomic_load(&t->behaviour)) {
    case TOY_ANSWER:
        toy_answer(t, fd);
        break;
    case TOY_TRUNCATED:
        toy_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\"");
        break;
    case TOY_DRIP:
        toy_endless(t, fd, "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n{",
                    " ", 20000);
        break;
    case TOY_SILENT:
        toy_read(t, fd, 5000, 1);
        break;
    case TOY_GARBAGE:
        toy_send(fd, "SSH-2.0-dropbear\r\n\r\n");
        break;
    case TOY_HUGE_HEADER:
        toy_endless(t, fd, "HTTP/1.1 200 OK\r\n",
                    "X-Filler: 0123456789012345678901234567890123456789\r\n",
                    0);
        break;
    case TOY_HUGE_BODY:
        toy_endless(t, fd, "HTTP/1.1 200 OK\r\n\r\n{",
                    "                                                     ", 0);
        break;
    case TOY_CONTINUE:
        for (int i = 0; i < 3; i++)
            toy_send(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        toy_answer(t, fd);
        break;
    case TOY_REDIRECT:
        snprintf(text, sizeof(text),
                 "HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:%u/v1/command"
                 "\r\nContent-Length: 2\r\n\r\n{}",
                 t->port);
        toy_send(fd, text);
        break;
    case TOY_AUTH:
        toy_send(fd, "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"x\""
                     "\r\nContent-Length: 2\r\n\r\n{}");
        break;
    default:
        break;
    }
}

static void
toy_serve(struct toy *t, int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int behaviour = atomic_load(&t->behaviour);

    atomic_fetch_add(&t->connections, 1);
    if (behaviour != TOY_RESET_FIRST)
        toy_read(t, fd, 2000, 1);
    if (behaviour == TOY_RESET || behaviour == TOY_RESET_FIRST) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    } else {
        toy_misbehave(t, fd);
        /* Whatever else the client sends on this connection is counted. */
        shutdown(fd, SHUT_WR);
        toy_read(t, fd, 500, 100);
    }
    close(fd);
}

static void *
toy_main(void *ctx)
{
    struct toy *t = ctx;

    while (!atomic_load(&t->stopping)) {
        struct pollfd pollfd = {.fd = t->listener, .events = POLLIN};
        int fd;

        if (poll(&pollfd, 1, 50) <= 0)
            continue;
        atomic_store(&t->serving, true);
        fd = accept(t->listener, NULL, NULL);
        if (fd >= 0)
            toy_serve(t, fd);
        atomic_store(&t->serving, false);
    }
    return NULL;
}

/* Takes over a socket that is not bound yet, of whatever namespace. */
static void
toy_start_on(struct toy *t, int fd, struct in_addr on)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = on};
    socklen_t len = sizeof(address);

    memset(t, 0, sizeof(*t));
    t->listener = fd;
    if (bind(t->listener, (struct sockaddr *)&address, len) < 0 ||
        listen(t->listener, 16) < 0 ||
        getsockname(t->listener, (struct sockaddr *)&address, &len) < 0 ||
        pthread_create(&t->thread, NULL, toy_main, t) != 0)
        assert(!"the toy server does not start");
    t->port = ntohs(address.sin_port);
}

static inline void
toy_start(struct toy *t)
{
    toy_start_on(t, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 (struct in_addr){.s_addr = htonl(INADDR_LOOPBACK)});
}

/* Waits until the last connection was read to its end. */
static bool
toy_idle(struct toy *t)
{
    for (int i = 0; i < 100; i++) {
        struct pollfd pollfd = {.fd = t->listener, .events = POLLIN};

        if (!atomic_load(&t->serving) && poll(&pollfd, 1, 0) == 0)
            return true;
        poll(NULL, 0, 20);
    }
    return false;
}

/* Between attempts only. */
static void
toy_set(struct toy *t, enum toy_behaviour behaviour, int status,
        const char *answer)
{
    if (!toy_idle(t))
        assert(!"the toy server is still serving");
    snprintf(t->answer, sizeof(t->answer), "%s", answer);
    atomic_store(&t->status, status);
    atomic_store(&t->behaviour, (int)behaviour);
    atomic_store(&t->connections, 0);
    atomic_store(&t->requests, 0);
}

static void
toy_stop(struct toy *t)
{
    atomic_store(&t->stopping, true);
    pthread_join(t->thread, NULL);
    close(t->listener);
}

#endif
