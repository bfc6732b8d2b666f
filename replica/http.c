/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access handler is called with headers, then with pieces of the body, then
 * without any: there the connection is suspended and the request queued; the
 * queue is handed out after MHD_run() has returned, so that nothing below it
 * is entered twice.  After http_respond() the connection is resumed and the
 * handler called once more; it finds the response and queues it.
 *
 * Failure modes: a body over the limit is swallowed and marked; a client that
 * disconnects is noticed after its answer only, the request lives until then.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "replica/http.h"

#define IDLE_TIMEOUT_S 120u
/* MHD_run calls of one http_run: the loop must see its timers, too. */
#define RUNS_MAX 16

enum request_state {
    REQUEST_READING,
    REQUEST_SUSPENDED,
    REQUEST_ANSWERED,
};

struct http_exchange {
    struct http_request request; /* first: handed out */
    struct http *http;
    struct MHD_Connection *connection;
    enum request_state state;
    struct buf body;
    struct MHD_Response *response;
    unsigned status;
    struct http_exchange *next; /* in the queue */
};

struct http {
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    http_request_fn *request;
    void *ctx;
    struct http_exchange *queue, **queue_end;
    bool resumed, running;
};

static enum MHD_Result
exchange_new(struct http *h, struct MHD_Connection *connection, const char *url,
             const char *method, void **con_cls)
{
    struct http_exchange *x = xcalloc(1, sizeof(*x));

    x->http = h;
    x->connection = connection;
    x->request.method = method;
    x->request.path = url;
    buf_init(&x->body, HTTP_BODY_BYTES_MAX);
    *con_cls = x;
    return MHD_YES;
}

static enum MHD_Result
http_access(void *cls, struct MHD_Connection *connection, const char *url,
            const char *method, const char *version, const char *upload_data,
            size_t *upload_data_size, void **con_cls)
{
    struct http *h = cls;
    struct http_exchange *x = *con_cls;

    (void)version;
    if (x == NULL)
        return exchange_new(h, connection, url, method, con_cls);
    if (*upload_data_size > 0) {
        buf_append(&x->body, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return MHD_YES;
    }
    if (x->state == REQUEST_ANSWERED)
        return MHD_queue_response(connection, x->status, x->response);
    if (x->state == REQUEST_SUSPENDED)
        return MHD_YES;
    /* The strings live as long as the request: MHD keeps them. */
    x->request.path = url;
    x->request.method = method;
    x->request.body = buf_text(&x->body);
    x->request.body_length = x->body.len;
    x->request.body_too_long = x->body.truncated;
    x->state = REQUEST_SUSPENDED;
    MHD_suspend_connection(connection);
    *h->queue_end = x;
    h->queue_end = &x->next;
    return MHD_YES;
}

static void
http_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
               enum MHD_RequestTerminationCode code)
{
    struct http_exchange *x = *con_cls;

    (void)cls;
    (void)connection;
    (void)code;
    if (x == NULL)
        return;
    assert(x->state != REQUEST_SUSPENDED);
    if (x->response != NULL)
        MHD_destroy_response(x->response);
    buf_release(&x->body);
    free(x);
    *con_cls = NULL;
}

const char *
http_argument(const struct http_request *r, const char *name)
{
    const struct http_exchange *x = (const struct http_exchange *)r;

    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND,
                                       name);
}

/* Takes the text. */
static void
respond(struct http_request *r, unsigned status, const char *type, char *text)
{
    struct http_exchange *x = (struct http_exchange *)r;

    assert(x->state == REQUEST_SUSPENDED);
    x->state = REQUEST_ANSWERED;
    x->status = status;
    x->response = MHD_create_response_from_buffer(strlen(text), text,
                                                  MHD_RESPMEM_MUST_FREE);
    assert(x->response != NULL);
    MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    x->http->resumed = true;
    MHD_resume_connection(x->connection);
}

void
http_respond(struct http_request *r, unsigned status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    assert(text != NULL);
    json_decref(body);
    respond(r, status, "application/json", text);
}

void
http_respond_text(struct http_request *r, unsigned status, const char *text)
{
    respond(r, status, "text/plain; version=0.0.4", xstrdup(text));
}

/* Hands out what the handler queued. */
static void
http_drain(struct http *h)
{
    while (h->queue != NULL) {
        struct http_exchange *x = h->queue;

        h->queue = x->next;
        if (h->queue == NULL)
            h->queue_end = &h->queue;
        x->next = NULL;
        h->request(h->ctx, &x->request);
    }
}

static void
http_poll(uv_poll_t *poll, int status, int events)
{
    struct http *h = poll->data;

    (void)status;
    (void)events;
    MHD_run(h->daemon);
    http_drain(h);
}

bool
http_run(struct http *h)
{
    for (int i = 0; i < RUNS_MAX; i++) {
        MHD_UNSIGNED_LONG_LONG timeout_ms = 1;

        if (!h->resumed &&
            (MHD_get_timeout(h->daemon, &timeout_ms) != MHD_YES ||
             timeout_ms > 0))
            return false;
        h->resumed = false;
        MHD_run(h->daemon);
        http_drain(h);
    }
    return true;
}

static int
http_listen(const struct address *a, struct error *err)
{
    const struct sockaddr *sa = (const struct sockaddr *)&a->sockaddr;
    socklen_t len = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    int one = 1;
    int fd =
        socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, sa, len) < 0 || listen(fd, 128) < 0) {
        error_errno(err, ERROR_CONFIG, errno, "client address %s", a->text);
        close(fd);
        return -1;
    }
    return fd;
}

struct http *
http_new(uv_loop_t *loop, const struct address *listen,
         http_request_fn *request, void *ctx, struct error *err)
{
    struct http *h = xcalloc(1, sizeof(*h));
    const union MHD_DaemonInfo *info;
    int fd = http_listen(listen, err);

    if (fd < 0) {
        free(h);
        return NULL;
    }
    h->request = request;
    h->ctx = ctx;
    h->queue_end = &h->queue;
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, http_access, h,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
        MHD_OPTION_NOTIFY_COMPLETED, http_completed, NULL, MHD_OPTION_END);
    if (h->daemon == NULL) {
        error_set(err, ERROR_ENVIRONMENT, "libmicrohttpd does not start");
        close(fd);
        free(h);
        return NULL;
    }
    info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    assert(info != NULL);
    uv_poll_init(loop, &h->poll, info->epoll_fd);
    h->poll.data = h;
    uv_poll_start(&h->poll, UV_READABLE, http_poll);
    return h;
}

unsigned
http_connections(const struct http *h)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    return info == NULL ? 0 : info->num_connections;
}

void
http_close(struct http *h)
{
    /* Answers that are ready leave if the socket takes them. */
    http_run(h);
    uv_close((uv_handle_t *)&h->poll, NULL);
    MHD_stop_daemon(h->daemon);
    h->daemon = NULL;
}

void
http_free(struct http *h)
{
    free(h);
}
