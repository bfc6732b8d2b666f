/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/1.1 request to a node, and what is certain about it.
 *
 * A call puts at most one request on the wire: each has a connection of its
 * own, so libcurl never meets the dead reused connection on which it would
 * silently send again; there are no redirects, no authentication, no
 * "Expect: 100-continue" and no proxy, the other reasons for a second request.
 *
 * Threads: one handle, one thread.  A handle is kept over any number of calls
 * and holds no connection between them.
 */
#ifndef ORDEAL_SYSTEMS_HTTP_H
#define ORDEAL_SYSTEMS_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "systems/way.h"

/* The largest reply of a system's API: a tick with 64 expired bundles. */
#define HTTP_BODY_BYTES_MAX (256u << 10)

/* All header lines of a reply together, interim (1xx) replies included. */
#define HTTP_HEADER_BYTES_MAX (16u << 10)

enum http_outcome {
    HTTP_ANSWERED,  /* a whole reply came back */
    HTTP_REFUSED,   /* no connection: not one byte of the request left */
    HTTP_TIMEOUT,   /* the deadline passed first */
    HTTP_RESET,     /* the connection ended before the whole reply */
    HTTP_MALFORMED, /* not HTTP/1.x, or beyond the limits above */
};

struct http_request {
    struct way way;     /* has a port */
    const char *path;   /* "/v1/status", query included */
    const char *body;   /* JSON: makes it a POST; NULL: a GET */
    int64_t timeout_ns; /* connect to last byte */
    size_t body_max;    /* 0: HTTP_BODY_BYTES_MAX */
};

struct http_reply {
    enum http_outcome outcome;
    long status;      /* of HTTP_ANSWERED */
    const char *body; /* NUL-terminated, valid until the next call */
    size_t body_len;
};

struct http;

struct http *http_new(struct error *err);
void http_free(struct http *h); /* NULL is fine */

/* Always fills *ret. */
void http_call(struct http *h, const struct http_request *request,
               struct http_reply *ret);

const char *http_outcome_name(enum http_outcome outcome); /* "timeout", ... */

#endif
