/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for clients, by libmicrohttpd without threads of its own: its epoll
 * descriptor is polled by the loop, so all of it happens on the loop's thread.
 *
 *   request(r) ... later, from anywhere in the loop: http_respond(r) once
 *
 * Every request that is handed out is suspended until it is answered and must
 * be answered exactly once, also when the client has gone.
 */
#ifndef ORDEAL_REPLICA_HTTP_H
#define ORDEAL_REPLICA_HTTP_H

#include <jansson.h>
#include <uv.h>

#include "replica/options.h"

/* Longest body: a bundle of 256 resources in hex needs 9 KiB. */
#define HTTP_BODY_BYTES_MAX (32u << 10)
/* Fits the usual limit of 1024 descriptors, peers and files included. */
#define HTTP_CONNECTIONS_MAX 512u

struct http;

struct http_request {
    const char *method, *path; /* path without the query */
    const char *body;          /* NUL-terminated */
    size_t body_length;
    bool body_too_long; /* cut; answer 413 */
};

/* NULL when the URL has no such argument.  Borrowed. */
const char *http_argument(const struct http_request *r, const char *name);

typedef void http_request_fn(void *ctx, struct http_request *r);

/* Binds at once.  CONFIG error when the address is taken. */
struct http *http_new(uv_loop_t *loop, const struct address *listen,
                      http_request_fn *request, void *ctx, struct error *err);

/* Takes 'body', a JSON object. */
void http_respond(struct http_request *r, unsigned status, json_t *body);
void http_respond_text(struct http_request *r, unsigned status,
                       const char *text);

/* Carries on what answers made possible; true: call again without waiting. */
bool http_run(struct http *h);

unsigned http_connections(const struct http *h);

/* All requests must have been answered.  The loop must run once more. */
void http_close(struct http *h);
void http_free(struct http *h);

#endif
