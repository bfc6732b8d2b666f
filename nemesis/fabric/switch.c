/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread waits until a port has frames, a frame that waits is due, or
 * another thread asks for something.  It takes a batch from a port, sends what
 * has become due meanwhile, and hands each frame to the link to the port of its
 * destination, or to the links to all others for a group address.
 *
 * What other threads ask for (rules, counters) is a function that this thread
 * runs between two batches, while they wait: no lock is taken for a frame, and
 * every change is whole.
 *
 * Failure modes: a full queue or socket loses the frame, as a wire would, and
 * counts it.  Nothing here blocks but the wait itself.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "nemesis/fabric/port.h"
#include "nemesis/fabric/queue.h"

/* Copies that are on their way out; when full, all ports are flushed. */
#define SWITCH_COPY_MAX 256
/* All UDP sockets of a machine, 128 bytes each. */
#define SWITCH_PROC_BYTES_MAX (16u << 20)

struct switch_link {
    struct link link;
    struct switch_link_stats stats;
};

struct switch_call {
    void (*run)(struct fabric_switch *sw, void *ctx);
    void *ctx;
};

struct fabric_switch {
    /* The thread's alone while it runs. */
    struct port ports[SWITCH_PORT_COUNT_MAX];
    unsigned port_count;
    struct switch_link links[SWITCH_PORT_COUNT_MAX][SWITCH_PORT_COUNT_MAX];
    int64_t now_ns; /* of this batch, or this turn */
    struct queue queue;
    uint8_t *copies[SWITCH_COPY_MAX]; /* freed after the next flush */
    unsigned copy_count;
    unsigned rule_id_last;
    struct port_batch batch;

    bool running;
    pthread_t thread;
    int wake_fd; /* eventfd: readable means 'call' or 'stopping' is set */

    pthread_mutex_t caller; /* held by the one caller there is at a time */
    pthread_mutex_t lock;   /* protects the rest */
    pthread_cond_t done;
    struct switch_call call; /* run is NULL: none, or done */
    bool stopping;
};

/* ---- frames out ---- */

static void
switch_flush(struct fabric_switch *sw)
{
    for (unsigned i = 0; i < sw->port_count; i++)
        if (sw->ports[i].out_count > 0)
            port_flush(&sw->ports[i]);
    for (unsigned i = 0; i < sw->copy_count; i++)
        free(sw->copies[i]);
    sw->copy_count = 0;
}

static void
switch_emit(struct fabric_switch *sw, unsigned from, unsigned to,
            const uint8_t *frame, size_t len)
{
    struct port *p = &sw->ports[to];

    if (p->capture != NULL)
        capture_write(p->capture, sw->now_ns, frame, len);
    port_send(p, &sw->links[from][to].stats, frame, len);
}

/* Frees 'copy' once it has left. */
static void
switch_bury(struct fabric_switch *sw, uint8_t *copy)
{
    sw->copies[sw->copy_count++] = copy;
    if (sw->copy_count == SWITCH_COPY_MAX)
        switch_flush(sw);
}

static void
switch_send_due(struct fabric_switch *sw)
{
    struct queue_frame f;

    sw->now_ns = clock_now_ns(clock_monotonic());
    while (queue_pop_due(&sw->queue, sw->now_ns, &f)) {
        sw->links[f.from][f.to].stats.waiting--;
        switch_emit(sw, f.from, f.to, f.bytes, f.len);
        switch_bury(sw, f.bytes);
    }
}

/* ---- frames in ---- */

static uint8_t *
switch_copy(const uint8_t *frame, size_t len)
{
    uint8_t *copy = xrealloc(NULL, len);

    memcpy(copy, frame, len);
    return copy;
}

static void
switch_wait(struct fabric_switch *sw, unsigned from, unsigned to,
            int64_t due_ns, const uint8_t *frame, size_t len)
{
    struct switch_link_stats *stats = &sw->links[from][to].stats;

    if (!queue_push(&sw->queue, due_ns, from, to, switch_copy(frame, len),
                    len)) {
        stats->queue_full++;
        return;
    }
    stats->delayed++;
    stats->waiting++;
}

/* The frame has been parsed, and the link has rules. */
static void
switch_apply(struct fabric_switch *sw, unsigned from, unsigned to,
             const uint8_t *frame, size_t len, const struct frame_info *info)
{
    struct switch_link *l = &sw->links[from][to];
    struct link_verdict v;
    uint8_t *flipped = NULL;

    link_decide(&l->link, info, len, sw->now_ns, &v);
    if (v.copies == 0) {
        l->stats.taken++;
        return;
    }
    if (v.flip_count > 0) {
        flipped = switch_copy(frame, len);
        frame = flipped;
        l->stats.corrupted++;
    }
    for (unsigned i = 0; i < v.flip_count; i++)
        frame_flip(flipped, info, v.flips[i].at, v.flips[i].bit,
                   v.flips[i].fix_checksum);
    l->stats.duplicated += v.copies - 1;
    for (unsigned i = 0; i < v.copies; i++) {
        if (v.due_ns > sw->now_ns)
            switch_wait(sw, from, to, v.due_ns, frame, len);
        else
            switch_emit(sw, from, to, frame, len);
    }
    if (flipped != NULL)
        switch_bury(sw, flipped);
}

/* False: the frame is not one of this station. */
static bool
switch_accept(struct port *p, const uint8_t *frame, size_t len)
{
    p->stats.frames_in++;
    p->stats.bytes_in += len;
    if (len < FRAME_HEADER_BYTES) {
        p->stats.malformed++;
        return false;
    }
    if (memcmp(frame + SWITCH_MAC_BYTES, p->mac, SWITCH_MAC_BYTES) != 0) {
        p->stats.foreign++;
        return false;
    }
    return true;
}

static void
switch_forward(struct fabric_switch *sw, unsigned from, const uint8_t *frame,
               size_t len)
{
    bool group, parsed = false;
    struct frame_info info;

    if (sw->ports[from].capture != NULL)
        capture_write(sw->ports[from].capture, sw->now_ns, frame, len);
    if (!switch_accept(&sw->ports[from], frame, len))
        return;
    group = (frame[0] & 1) != 0;
    for (unsigned to = 0; to < sw->port_count; to++) {
        struct switch_link *l = &sw->links[from][to];
        bool match = memcmp(frame, sw->ports[to].mac, SWITCH_MAC_BYTES) == 0;

        if (to != from && (group || match)) {
            l->stats.seen++;
            l->stats.seen_bytes += len;
            if (l->link.rule_count == 0) {
                switch_emit(sw, from, to, frame, len);
            } else {
                if (!parsed)
                    frame_parse(frame, len, &info);
                parsed = true;
                switch_apply(sw, from, to, frame, len, &info);
            }
        }
        if (match)
            return;
    }
    if (!group)
        sw->ports[from].stats.unknown++;
}

static void
switch_receive(struct fabric_switch *sw, unsigned port)
{
    struct port_batch *b = &sw->batch;
    unsigned count = port_receive(&sw->ports[port], b);

    /* What became due before these frames came leaves before them. */
    switch_send_due(sw);
    for (unsigned i = 0; i < count; i++)
        switch_forward(sw, port, b->frames[i], b->messages[i].msg_len);
    switch_flush(sw); /* before the batch is overwritten */
}

/* ---- the thread ---- */

/* Runs what another thread asks for.  False: it is time to stop. */
static bool
switch_serve(struct fabric_switch *sw)
{
    uint64_t count;
    bool stopping;

    if (read(sw->wake_fd, &count, sizeof(count)) != sizeof(count))
        return true;
    pthread_mutex_lock(&sw->lock);
    if (sw->call.run != NULL) {
        sw->call.run(sw, sw->call.ctx);
        sw->call.run = NULL;
        pthread_cond_signal(&sw->done);
    }
    stopping = sw->stopping;
    pthread_mutex_unlock(&sw->lock);
    return !stopping;
}

static void
switch_poll(struct fabric_switch *sw, struct pollfd *fds, unsigned count)
{
    int64_t due = queue_next_due_ns(&sw->queue), wait;
    struct timespec ts;

    if (due == INT64_MAX) {
        ppoll(fds, count, NULL, NULL);
        return;
    }
    wait = due - clock_now_ns(clock_monotonic());
    wait = wait < 0 ? 0 : wait;
    ts.tv_sec = (time_t)(wait / NS_PER_S);
    ts.tv_nsec = (long)(wait % NS_PER_S);
    ppoll(fds, count, &ts, NULL);
}

static void *
switch_main(void *arg)
{
    struct fabric_switch *sw = arg;
    struct pollfd fds[SWITCH_PORT_COUNT_MAX + 1];
    unsigned count = sw->port_count;

    prctl(PR_SET_NAME, "ordeal-switch");
    /* The default of 50 us would be added to every delay. */
    prctl(PR_SET_TIMERSLACK, 1);
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = sw->ports[i].fd, .events = POLLIN};
    fds[count] = (struct pollfd){.fd = sw->wake_fd, .events = POLLIN};
    for (;;) {
        for (unsigned i = 0; i <= count; i++)
            fds[i].revents = 0; /* ppoll() may fail by EINTR only */
        switch_poll(sw, fds, count + 1);
        if (fds[count].revents != 0 && !switch_serve(sw))
            return NULL;
        for (unsigned i = 0; i < count; i++)
            if (fds[i].revents != 0)
                switch_receive(sw, i);
        switch_send_due(sw);
        switch_flush(sw);
    }
}

/* Runs 'run' where nothing else touches the switch, and waits for its end. */
static void
switch_ask(struct fabric_switch *sw,
           void (*run)(struct fabric_switch *sw, void *ctx), void *ctx)
{
    uint64_t one = 1;

    pthread_mutex_lock(&sw->caller);
    if (!sw->running) {
        run(sw, ctx);
    } else {
        ssize_t n;

        pthread_mutex_lock(&sw->lock);
        sw->call = (struct switch_call){.run = run, .ctx = ctx};
        n = write(sw->wake_fd, &one, sizeof(one));
        assert(n == sizeof(one));
        while (sw->call.run != NULL)
            pthread_cond_wait(&sw->done, &sw->lock);
        pthread_mutex_unlock(&sw->lock);
    }
    pthread_mutex_unlock(&sw->caller);
}

/* ---- life ---- */

struct fabric_switch *
switch_new(const struct switch_port_config *ports, unsigned port_count,
           struct error *err)
{
    struct fabric_switch *sw = xcalloc(1, sizeof(*sw));

    assert(port_count > 0 && port_count <= SWITCH_PORT_COUNT_MAX);
    sw->port_count = port_count;
    sw->wake_fd = -1;
    pthread_mutex_init(&sw->caller, NULL);
    pthread_mutex_init(&sw->lock, NULL);
    pthread_cond_init(&sw->done, NULL);
    queue_init(&sw->queue);
    port_batch_init(&sw->batch);
    for (unsigned i = 0; i < port_count; i++)
        sw->ports[i].fd = -1;
    switch_set_seed(sw, 0);
    for (unsigned i = 0; i < port_count; i++)
        if (port_open(&sw->ports[i], &ports[i], err) < 0) {
            error_wrap(err, "switch port %u", i);
            switch_free(sw);
            return NULL;
        }
    return sw;
}

static void
switch_init_links(struct fabric_switch *sw, void *ctx)
{
    const uint64_t *seed = ctx;

    assert(sw->rule_id_last == 0);
    for (unsigned from = 0; from < sw->port_count; from++)
        for (unsigned to = 0; to < sw->port_count; to++)
            link_init(&sw->links[from][to].link, *seed, from, to);
}

void
switch_set_seed(struct fabric_switch *sw, uint64_t seed)
{
    switch_ask(sw, switch_init_links, &seed);
}

int
switch_start(struct fabric_switch *sw, struct error *err)
{
    sigset_t all, old;
    int rc;

    assert(!sw->running);
    sw->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sw->wake_fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "eventfd");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&sw->thread, NULL, switch_main, sw);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return error_errno(err, ERROR_ENVIRONMENT, rc, "switch thread");
    sw->running = true;
    return 0;
}

static void
switch_stop(struct fabric_switch *sw)
{
    uint64_t one = 1;
    ssize_t n;

    pthread_mutex_lock(&sw->lock);
    sw->stopping = true;
    pthread_mutex_unlock(&sw->lock);
    n = write(sw->wake_fd, &one, sizeof(one));
    assert(n == sizeof(one));
    pthread_join(sw->thread, NULL);
}

void
switch_free(struct fabric_switch *sw)
{
    if (sw == NULL)
        return;
    if (sw->running)
        switch_stop(sw);
    if (sw->wake_fd >= 0)
        close(sw->wake_fd);
    for (unsigned i = 0; i < sw->port_count; i++) {
        struct error ignored;

        if (sw->ports[i].capture != NULL)
            capture_close(sw->ports[i].capture, NULL, &ignored);
        port_close(&sw->ports[i]);
    }
    queue_release(&sw->queue);
    pthread_cond_destroy(&sw->done);
    pthread_mutex_destroy(&sw->lock);
    pthread_mutex_destroy(&sw->caller);
    free(sw);
}

unsigned
switch_port_count(const struct fabric_switch *sw)
{
    return sw->port_count;
}

uint16_t
switch_local_port(const struct fabric_switch *sw, unsigned port)
{
    assert(port < sw->port_count);
    return sw->ports[port].local_port;
}

/* ---- counters ---- */

struct switch_reading {
    unsigned from, to, id;
    struct switch_port_stats port;
    struct switch_link_stats link;
    struct link_rule_stats rule;
    const char *proc_net_udp;
    bool found;
};

static void
switch_read_port(struct fabric_switch *sw, void *ctx)
{
    struct switch_reading *r = ctx;

    r->port = sw->ports[r->from].stats;
}

void
switch_stats(struct fabric_switch *sw, unsigned port,
             struct switch_port_stats *ret)
{
    struct switch_reading r = {.from = port};

    assert(port < sw->port_count);
    switch_ask(sw, switch_read_port, &r);
    *ret = r.port;
}

static void
switch_read_link(struct fabric_switch *sw, void *ctx)
{
    struct switch_reading *r = ctx;
    const struct switch_link *l = &sw->links[r->from][r->to];
    const struct link_rule_slot *slot = link_find(&l->link, r->id);

    r->link = l->stats;
    r->found = r->id != 0 && slot != NULL;
    if (r->found)
        r->rule = slot->stats;
}

void
switch_link_stats(struct fabric_switch *sw, unsigned from, unsigned to,
                  struct switch_link_stats *ret)
{
    struct switch_reading r = {.from = from, .to = to};

    assert(from < sw->port_count && to < sw->port_count);
    switch_ask(sw, switch_read_link, &r);
    *ret = r.link;
}

bool
switch_rule_stats(struct fabric_switch *sw, unsigned id, unsigned from,
                  unsigned to, struct link_rule_stats *ret)
{
    struct switch_reading r = {.from = from, .to = to, .id = id};

    assert(from < sw->port_count && to < sw->port_count);
    switch_ask(sw, switch_read_link, &r);
    if (r.found)
        *ret = r.rule;
    return r.found;
}

static void
switch_read_all_drops(struct fabric_switch *sw, void *ctx)
{
    const struct switch_reading *r = ctx;

    for (unsigned i = 0; i < sw->port_count; i++)
        port_read_drops(&sw->ports[i], r->proc_net_udp);
}

int
switch_read_drops(struct fabric_switch *sw, struct error *err)
{
    CLEANUP_FREE char *text = file_read("/proc/thread-self/net/udp",
                                        SWITCH_PROC_BYTES_MAX, NULL, err);
    struct switch_reading r = {.proc_net_udp = text};

    if (text == NULL)
        return -1;
    switch_ask(sw, switch_read_all_drops, &r);
    return 0;
}

/* ---- rules ---- */

struct switch_change {
    const struct link_set *links;
    const struct link_rule *rule;
    unsigned id; /* 0: there was no room */
    enum switch_heal heal;
    bool found;
};

static void
switch_put_rule(struct fabric_switch *sw, void *ctx)
{
    struct switch_change *c = ctx;

    for (unsigned from = 0; from < sw->port_count; from++)
        for (unsigned to = 0; to < sw->port_count; to++)
            if (link_set_has(c->links, from, to) &&
                !link_has_room(&sw->links[from][to].link))
                return;
    c->id = ++sw->rule_id_last;
    for (unsigned from = 0; from < sw->port_count; from++)
        for (unsigned to = 0; to < sw->port_count; to++)
            if (link_set_has(c->links, from, to))
                link_add(&sw->links[from][to].link, c->id, c->rule);
}

int
switch_rule_add(struct fabric_switch *sw, const struct link_set *links,
                const struct link_rule *rule, unsigned *ret_id,
                struct error *err)
{
    struct link_set all = link_set_all(sw->port_count);
    struct switch_change c = {.links = links, .rule = rule};

    for (unsigned from = 0; from < SWITCH_PORT_COUNT_MAX; from++)
        if ((links->to[from] & ~all.to[from]) != 0)
            return error_set(err, ERROR_CONFIG,
                             "a link from port %u is none of this switch of "
                             "%u ports",
                             from, sw->port_count);
    if (link_set_count(links) == 0)
        return error_set(err, ERROR_CONFIG, "a rule needs a link");
    if (link_rule_check(rule, err) < 0)
        return -1;
    switch_ask(sw, switch_put_rule, &c);
    if (c.id == 0)
        return error_set(err, ERROR_CONFIG, "a link has %d rules already",
                         LINK_RULE_COUNT_MAX);
    *ret_id = c.id;
    return 0;
}

static void
switch_drop_waiting(struct fabric_switch *sw, const struct link_set *links)
{
    uint64_t counts[SWITCH_PORT_COUNT_MAX][SWITCH_PORT_COUNT_MAX] = {{0}};

    queue_purge(&sw->queue, links, counts);
    for (unsigned from = 0; from < sw->port_count; from++)
        for (unsigned to = 0; to < sw->port_count; to++) {
            struct switch_link_stats *s = &sw->links[from][to].stats;

            s->purged += counts[from][to];
            s->waiting -= counts[from][to];
        }
}

static void
switch_take_rule(struct fabric_switch *sw, void *ctx)
{
    struct switch_change *c = ctx;
    struct link_set links = {{0}};

    for (unsigned from = 0; from < sw->port_count; from++)
        for (unsigned to = 0; to < sw->port_count; to++)
            if (link_remove(&sw->links[from][to].link, c->id)) {
                link_set_add(&links, from, to);
                c->found = true;
            }
    if (c->heal == SWITCH_PURGE)
        switch_drop_waiting(sw, &links);
}

bool
switch_rule_remove(struct fabric_switch *sw, unsigned id, enum switch_heal heal)
{
    struct switch_change c = {.id = id, .heal = heal};

    switch_ask(sw, switch_take_rule, &c);
    return c.found;
}

static void
switch_purge_links(struct fabric_switch *sw, void *ctx)
{
    switch_drop_waiting(sw, ((struct switch_change *)ctx)->links);
}

void
switch_purge(struct fabric_switch *sw, const struct link_set *links)
{
    struct switch_change c = {.links = links};

    switch_ask(sw, switch_purge_links, &c);
}

/* ---- captures ---- */

enum switch_capture_act { CAPTURE_LOOK, CAPTURE_START, CAPTURE_STOP };

struct switch_capture {
    enum switch_capture_act act;
    unsigned port;
    struct pcap *pcap; /* in and out */
    bool taken;
};

static void
switch_change_capture(struct fabric_switch *sw, void *ctx)
{
    struct switch_capture *c = ctx;
    struct port *p = &sw->ports[c->port];

    c->taken = p->capture != NULL;
    if (c->act == CAPTURE_START && !c->taken) {
        p->capture = TAKE(c->pcap);
    } else if (c->act == CAPTURE_STOP) {
        c->pcap = TAKE(p->capture);
    }
}

int
switch_capture_start(struct fabric_switch *sw, unsigned port,
                     const struct pcap_options *o, struct error *err)
{
    struct switch_capture c = {.act = CAPTURE_LOOK, .port = port};
    struct error ignored;

    assert(port < sw->port_count);
    /* Before the file is opened: it may be the one that is being written. */
    switch_ask(sw, switch_change_capture, &c);
    if (!c.taken) {
        c.act = CAPTURE_START;
        c.pcap = capture_open(o, err);
        if (c.pcap == NULL)
            return -1;
        switch_ask(sw, switch_change_capture, &c);
    }
    if (!c.taken)
        return 0;
    if (c.pcap != NULL)
        capture_close(c.pcap, NULL, &ignored);
    return error_set(err, ERROR_CONFIG, "port %u is captured already", port);
}

int
switch_capture_stop(struct fabric_switch *sw, unsigned port,
                    struct pcap_stats *ret, struct error *err)
{
    struct switch_capture c = {.act = CAPTURE_STOP, .port = port};

    assert(port < sw->port_count);
    switch_ask(sw, switch_change_capture, &c);
    return c.pcap == NULL ? 0 : capture_close(c.pcap, ret, err);
}
