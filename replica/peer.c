/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outgoing: idle -> connecting -> open -> idle, again after a pause. peers_send
 * appends to the link's buffer, peers_flush hands it to the socket: what the
 * kernel does not take at once goes with one uv_write, the next buffer fills
 * meanwhile.  Incoming: a buffer per connection, frames are delivered from it.
 *
 * Failure modes: a bad frame, a wrong hello or an error closes the connection;
 * a queue over its bound drops the message and counts it.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/crc32c.h"
#include "harness/base/log.h"
#include "replica/bytes.h"
#include "replica/peer.h"

#define FRAME_HEADER_BYTES 12u
#define HELLO_MAGIC UINT64_C(0x0001524550444f52) /* "RODPER\1\0" */
#define HELLO_VERSION 3u
#define HELLO_ENGINE_BYTES 16u
#define HELLO_BYTES (8u + 4u + 3u * REPLICA_NAME_SIZE + HELLO_ENGINE_BYTES)
#define CONNECT_TIMEOUT_NS (400 * NS_PER_MS)
#define HELLO_TIMEOUT_NS (2 * NS_PER_S)
#define RETRY_NS (100 * NS_PER_MS)
#define USER_TIMEOUT_MS 1000
/* One from each peer, and some that are about to be noticed as dead. */
#define INBOUND_MAX 64u
#define REFUSAL_LOG_NS (10 * NS_PER_S)

enum link_state {
    LINK_IDLE,
    LINK_CONNECTING,
    LINK_OPEN,
};

struct link {
    struct peers *peers;
    unsigned peer;
    enum link_state state;
    struct connection *connection;
    uint64_t deadline_ns; /* of connecting; or when to try again */
    struct buf out;
    struct peer_counters counters;
};

/* One socket.  Freed by its close callback. */
struct connection {
    uv_tcp_t tcp;
    struct peers *peers;
    struct link *link; /* outgoing; NULL: incoming, or given up */
    uv_connect_t connect;
    uv_write_t write;
    struct buf writing;
    bool write_busy;
    /* incoming */
    bool incoming, greeted;
    unsigned from;
    uint64_t deadline_ns; /* of the hello */
    uint8_t *in;
    size_t in_len;
    struct connection *next;
};

#define INBOUND_BYTES (VSR_MESSAGE_BYTES_MAX + FRAME_HEADER_BYTES)

struct peers {
    uv_loop_t *loop;
    const struct replica_options *options;
    peer_message_fn *message;
    void *ctx;
    uv_tcp_t listener;
    bool listening, closing;
    struct link links[VSR_REPLICAS_MAX];
    struct connection *inbound; /* list */
    unsigned inbound_count;
    uint64_t now_ns, refusal_ns, corrupt;
};

struct peers *
peers_new(uv_loop_t *loop, const struct replica_options *o,
          peer_message_fn *message, void *ctx)
{
    struct peers *p = xcalloc(1, sizeof(*p));

    p->loop = loop;
    p->options = o;
    p->message = message;
    p->ctx = ctx;
    for (unsigned i = 0; i < o->peer_count; i++) {
        p->links[i].peers = p;
        p->links[i].peer = i;
        buf_init(&p->links[i].out, PEER_QUEUE_BYTES_MAX + (1u << 20));
    }
    return p;
}

static const char *
peer_name(const struct peers *p, unsigned peer)
{
    return p->options->peers[peer].name;
}

/* ---- frames ---- */

static void
frame_append(struct buf *out, const void *body, size_t len)
{
    uint8_t header[FRAME_HEADER_BYTES];

    put_u32(header, (uint32_t)len);
    put_u32(header + 4, crc32c(0, body, len));
    put_u32(header + 8, crc32c(0, header, 8));
    buf_append(out, header, sizeof(header));
    buf_append(out, body, len);
    assert(!out->truncated);
}

static void
hello_append(const struct peers *p, unsigned to, struct buf *out)
{
    const char *engine = p->options->engine->name;
    uint8_t body[HELLO_BYTES] = {0};
    uint8_t *at = body + 12;

    put_u64(body, HELLO_MAGIC);
    put_u32(body + 8, HELLO_VERSION);
    memcpy(at, p->options->cluster, REPLICA_NAME_SIZE);
    memcpy(at + REPLICA_NAME_SIZE, p->options->node, REPLICA_NAME_SIZE);
    memcpy(at + 2 * REPLICA_NAME_SIZE, peer_name(p, to), REPLICA_NAME_SIZE);
    memcpy(at + 3 * REPLICA_NAME_SIZE, engine, strlen(engine));
    frame_append(out, body, sizeof(body));
}

/* Why the hello is refused; NULL and the sender's number when it is not. */
static const char *
hello_check(const struct peers *p, const uint8_t *body, size_t len,
            unsigned *ret_from)
{
    const struct replica_options *o = p->options;
    const uint8_t *at = body + 12;

    if (len != HELLO_BYTES || get_u64(body) != HELLO_MAGIC)
        return "it is no replica of ours";
    if (get_u32(body + 8) != HELLO_VERSION)
        return "it speaks another version";
    if (memcmp(at, o->cluster, REPLICA_NAME_SIZE) != 0)
        return "it belongs to another cluster";
    if (memcmp(at + 2 * REPLICA_NAME_SIZE, o->node, REPLICA_NAME_SIZE) != 0)
        return "it means another node";
    if (strncmp((const char *)at + 3 * REPLICA_NAME_SIZE, o->engine->name,
                HELLO_ENGINE_BYTES) != 0)
        return "it runs another engine";
    for (unsigned i = 0; i < o->peer_count; i++) {
        if (i != o->self && memcmp(at + REPLICA_NAME_SIZE, peer_name(p, i),
                                   REPLICA_NAME_SIZE) == 0) {
            *ret_from = i;
            return NULL;
        }
    }
    return "it is none of the peers";
}

/* ---- connections ---- */

static void
connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;

    buf_release(&c->writing);
    free(c->in);
    free(c);
}

static void
connection_close(struct connection *c)
{
    struct peers *p = c->peers;

    if (c->incoming) {
        for (struct connection **at = &p->inbound; *at != NULL;
             at = &(*at)->next) {
            if (*at == c) {
                *at = c->next;
                p->inbound_count--;
                break;
            }
        }
    } else if (c->link != NULL) {
        struct link *l = c->link;

        if (l->state == LINK_OPEN)
            log_info("peer", "%s: link lost", peer_name(p, l->peer));
        l->state = LINK_IDLE;
        l->connection = NULL;
        l->deadline_ns = p->now_ns + (uint64_t)RETRY_NS;
        buf_reset(&l->out);
        c->link = NULL;
    }
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, connection_closed);
}

static struct connection *
connection_new(struct peers *p)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->peers = p;
    uv_tcp_init(p->loop, &c->tcp);
    c->tcp.data = c;
    return c;
}

static void
connection_tune(struct connection *c)
{
    unsigned timeout_ms = USER_TIMEOUT_MS;
    uv_os_fd_t fd;

    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
                         sizeof(timeout_ms));
}

/* ---- outgoing ---- */

static void link_flush(struct link *l);

static void
link_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;

    c->write_busy = false;
    buf_reset(&c->writing);
    if (status < 0)
        connection_close(c);
    else if (c->link != NULL)
        link_flush(c->link);
}

/* What the kernel does not take now is written when it can. */
static void
link_flush(struct link *l)
{
    struct connection *c = l->connection;
    struct buf swap;
    uv_buf_t b;
    int n;

    if (l->state != LINK_OPEN || c->write_busy || l->out.len == 0)
        return;
    b = uv_buf_init(l->out.data, (unsigned)l->out.len);
    n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
    if (n < 0 && n != UV_EAGAIN) {
        connection_close(c);
        return;
    }
    if (n == (int)l->out.len) {
        buf_reset(&l->out);
        return;
    }
    if (n < 0)
        n = 0;
    swap = c->writing;
    c->writing = l->out;
    l->out = swap;
    b = uv_buf_init(c->writing.data + n,
                    (unsigned)c->writing.len - (unsigned)n);
    c->write.data = c;
    c->write_busy = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, link_written) < 0) {
        c->write_busy = false;
        connection_close(c);
    }
}

static void
outgoing_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    /* Peers never answer on this connection: whatever comes is ignored. */
    static char sink[256];

    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(sink, sizeof(sink));
}

static void
outgoing_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    (void)b;
    if (n < 0)
        connection_close(stream->data);
}

static void
link_connected(uv_connect_t *connect, int status)
{
    struct connection *c = connect->data;
    struct link *l = c->link;

    if (l == NULL)
        return;
    if (status < 0) {
        connection_close(c);
        return;
    }
    connection_tune(c);
    l->state = LINK_OPEN;
    l->counters.connections++;
    log_info("peer", "%s: link up to %s", peer_name(l->peers, l->peer),
             l->peers->options->peers[l->peer].address.text);
    buf_reset(&l->out);
    hello_append(l->peers, l->peer, &l->out);
    uv_read_start((uv_stream_t *)&c->tcp, outgoing_alloc, outgoing_read);
    link_flush(l);
}

static void
link_connect(struct link *l)
{
    struct peers *p = l->peers;
    struct connection *c = connection_new(p);
    const struct address *a = &p->options->peers[l->peer].address;

    c->link = l;
    buf_init(&c->writing, l->out.max);
    l->connection = c;
    l->state = LINK_CONNECTING;
    l->deadline_ns = p->now_ns + (uint64_t)CONNECT_TIMEOUT_NS;
    c->connect.data = c;
    if (uv_tcp_connect(&c->connect, &c->tcp,
                       (const struct sockaddr *)&a->sockaddr,
                       link_connected) < 0)
        connection_close(c);
}

/* ---- incoming ---- */

static void
incoming_refuse(struct connection *c, const char *why)
{
    struct peers *p = c->peers;

    if (p->refusal_ns == 0 ||
        p->now_ns - p->refusal_ns > (uint64_t)REFUSAL_LOG_NS) {
        p->refusal_ns = p->now_ns;
        log_warning("peer", "connection refused: %s, continuing", why);
    }
    connection_close(c);
}

/* A peer has one connection: what it had before is dead, or will be. */
static void
incoming_replace(struct connection *c)
{
    struct connection *other, *next;

    for (other = c->peers->inbound; other != NULL; other = next) {
        next = other->next;
        if (other != c && other->greeted && other->from == c->from)
            connection_close(other);
    }
}

/* Nothing that follows on this stream can be trusted. */
static void
incoming_corrupt(struct connection *c, const char *why)
{
    c->peers->corrupt++;
    incoming_refuse(c, why);
}

/* Whether the connection is still there afterwards. */
static bool
incoming_frame(struct connection *c, const uint8_t *body, size_t len)
{
    struct peers *p = c->peers;
    const char *why;

    if (c->greeted) {
        p->links[c->from].counters.received++;
        p->message(p->ctx, c->from, body, len);
        return true;
    }
    why = hello_check(p, body, len, &c->from);
    if (why != NULL) {
        incoming_refuse(c, why);
        return false;
    }
    incoming_replace(c);
    c->greeted = true;
    return true;
}

static void
incoming_frames(struct connection *c)
{
    size_t at = 0;

    while (c->in_len - at >= FRAME_HEADER_BYTES) {
        const uint8_t *frame = c->in + at;
        size_t len = get_u32(frame);

        /* A wrong length would make us wait for what never comes. */
        if (get_u32(frame + 8) != crc32c(0, frame, 8)) {
            incoming_corrupt(c, "the head of a frame has a bad checksum");
            return;
        }
        if (len > VSR_MESSAGE_BYTES_MAX) {
            incoming_refuse(c, "a frame is too long");
            return;
        }
        if (c->in_len - at - FRAME_HEADER_BYTES < len)
            break;
        if (get_u32(frame + 4) != crc32c(0, frame + FRAME_HEADER_BYTES, len)) {
            incoming_corrupt(c, "a frame has a bad checksum");
            return;
        }
        if (!incoming_frame(c, frame + FRAME_HEADER_BYTES, len))
            return;
        at += FRAME_HEADER_BYTES + len;
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
}

static void
incoming_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct connection *c = handle->data;

    (void)suggested;
    *ret = uv_buf_init((char *)c->in + c->in_len,
                       (unsigned)(INBOUND_BYTES - c->in_len));
}

static void
incoming_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct connection *c = stream->data;

    (void)b;
    if (n < 0) {
        connection_close(c);
        return;
    }
    c->in_len += (size_t)n;
    incoming_frames(c);
}

static void
incoming_accept(uv_stream_t *listener, int status)
{
    struct peers *p = listener->data;
    struct connection *c;

    if (status < 0)
        return;
    c = connection_new(p);
    c->incoming = true;
    c->deadline_ns = p->now_ns + (uint64_t)HELLO_TIMEOUT_NS;
    c->next = p->inbound;
    p->inbound = c;
    p->inbound_count++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0) {
        connection_close(c);
        return;
    }
    if (p->inbound_count > INBOUND_MAX) {
        incoming_refuse(c, "too many connections");
        return;
    }
    connection_tune(c);
    c->in = xcalloc(1, INBOUND_BYTES);
    uv_read_start((uv_stream_t *)&c->tcp, incoming_alloc, incoming_read);
}

/* ---- all of them ---- */

int
peers_start(struct peers *p, struct error *err)
{
    const struct address *a = &p->options->peers[p->options->self].address;
    int rc;

    p->now_ns = uv_hrtime();
    uv_tcp_init(p->loop, &p->listener);
    p->listener.data = p;
    p->listening = true;
    rc = uv_tcp_bind(&p->listener, (const struct sockaddr *)&a->sockaddr, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&p->listener, 16, incoming_accept);
    if (rc < 0)
        return error_set(err, ERROR_CONFIG, "peer address %s: %s", a->text,
                         uv_strerror(rc));
    return 0;
}

void
peers_send(struct peers *p, unsigned to, const void *body, size_t len)
{
    struct link *l = &p->links[to];

    assert(to < p->options->peer_count && to != p->options->self);
    if (l->state != LINK_OPEN ||
        l->out.len + len + FRAME_HEADER_BYTES > PEER_QUEUE_BYTES_MAX) {
        l->counters.dropped++;
        return;
    }
    frame_append(&l->out, body, len);
    l->counters.sent++;
}

void
peers_flush(struct peers *p)
{
    for (unsigned i = 0; i < p->options->peer_count; i++)
        link_flush(&p->links[i]);
}

void
peers_tick(struct peers *p, uint64_t now_ns)
{
    struct connection *c, *next;

    p->now_ns = now_ns;
    for (unsigned i = 0; i < p->options->peer_count; i++) {
        struct link *l = &p->links[i];

        if (i == p->options->self || now_ns < l->deadline_ns)
            continue;
        if (l->state == LINK_IDLE)
            link_connect(l);
        else if (l->state == LINK_CONNECTING)
            connection_close(l->connection);
    }
    for (c = p->inbound; c != NULL; c = next) {
        next = c->next;
        if (!c->greeted && now_ns >= c->deadline_ns)
            incoming_refuse(c, "no hello in time");
    }
}

uint64_t
peers_corrupt(const struct peers *p)
{
    return p->corrupt;
}

void
peers_count(const struct peers *p, unsigned peer, struct peer_counters *ret)
{
    *ret = p->links[peer].counters;
    ret->connected = p->links[peer].state == LINK_OPEN;
}

void
peers_close(struct peers *p)
{
    p->closing = true;
    for (unsigned i = 0; i < p->options->peer_count; i++)
        if (p->links[i].connection != NULL)
            connection_close(p->links[i].connection);
    while (p->inbound != NULL)
        connection_close(p->inbound);
    if (p->listening && !uv_is_closing((uv_handle_t *)&p->listener))
        uv_close((uv_handle_t *)&p->listener, NULL);
}

void
peers_free(struct peers *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->options->peer_count; i++)
        buf_release(&p->links[i].out);
    free(p);
}
