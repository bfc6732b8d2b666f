/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path of a write: api_request puts it into the pending table and feeds
 * it to the core; the core's list appends and sends it; DISK_DONE and
 * PREPARE_OK make the core apply and complete it; api_complete answers.  Before
 * the loop blocks, prepare_run starts the disk on what was queued and hands
 * what was sent to the sockets: one sync and one write per link for all that
 * came in together.
 *
 * Failure modes: a failed write ends the process in the disk worker; a
 * contradiction that the core finds ends it here with REPLICA_EXIT_CORRUPT.
 * SIGTERM answers what waits as unknown and ends with 0.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/crc32c.h"
#include "harness/base/log.h"
#include "harness/base/rng.h"
#include "replica/bytes.h"
#include "replica/server.h"

#define TICK_MS 10u
#define DISK_CHECK_NS ((uint64_t)NS_PER_S)
/* A snapshot that a peer is fetching is kept so long after its last piece. */
#define SERVED_NS ((uint64_t)(2 * NS_PER_S))

static const char *
node_name(const struct server *s, int replica)
{
    return replica < 0 ? "none" : s->options->peers[replica].name;
}

/* ---- the engine ---- */

static struct engine *
new_engine(const struct server *s)
{
    const struct replica_options *o = s->options;

    return engine_new(o->engine, &o->limits, o->bug);
}

static void
outcome_clear(struct applied_outcome *o)
{
    json_decref(o->expired);
    memset(o, 0, sizeof(*o));
}

static void
note_digest(struct server *s)
{
    s->digests[s->applied.index % DIGESTS_MAX] = (struct applied_digest){
        s->applied.index, s->engine->ops->digest(s->engine), s->chain};
}

/* The engine's state is that after 'position' now. */
static void
engine_replaced(struct server *s, struct vsr_position position, uint64_t chain)
{
    s->applied = position;
    s->chain = chain;
    for (unsigned i = 0; i < OUTCOMES_MAX; i++)
        outcome_clear(&s->outcomes[i]);
    memset(s->digests, 0, DIGESTS_MAX * sizeof(s->digests[0]));
    note_digest(s);
}

/* Links the entry to all before it: equal chains, equal logs. */
static uint64_t
chain_next(uint64_t chain, const struct vsr_entry *e)
{
    uint64_t h = chain ^ e->view * UINT64_C(0x9e3779b97f4a7c15);
    uint8_t header[9];
    uint32_t crc;

    put_u64(header, e->index);
    header[8] = e->kind;
    crc = crc32c(0, header, sizeof(header));
    h = (h ^ crc32c(crc, e->payload, e->length)) * UINT64_C(0x9fb21c651e98df25);
    return h ^ h >> 29;
}

/*
 * Bugs divergent-apply and lost-write-on-failover: entries that this replica
 * does not execute, though others do.
 */
static bool
bug_skips_entry(const struct server *s, const struct vsr_entry *e)
{
    switch (s->options->bug) {
    case BUG_DIVERGENT_APPLY:
        return s->status.role != VSR_ROLE_PRIMARY &&
               e->index % BUG_DIVERGENT_EVERY == 0;
    case BUG_LOST_WRITE_ON_FAILOVER:
        return e->index > s->log_end_at_start && e->view < s->status.view;
    default:
        return false;
    }
}

static void
apply(struct server *s, const struct vsr_entry *e)
{
    struct applied_outcome *o = &s->outcomes[e->index % OUTCOMES_MAX];

    assert(e->index == s->applied.index + 1);
    s->applied = (struct vsr_position){e->view, e->index};
    s->chain = chain_next(s->chain, e);
    outcome_clear(o);
    o->index = e->index;
    if (e->kind == ENTRY_KIND_COMMAND && s->status.role == VSR_ROLE_PRIMARY)
        crash_point_pass(&s->crash, CRASH_AFTER_COMMIT);
    if (e->kind == ENTRY_KIND_COMMAND && !bug_skips_entry(s, e)) {
        struct engine_entry entry = {e->view, e->index, e->payload, e->length};

        s->engine->ops->apply(s->engine, &entry, &o->outcome);
        if (s->status.role == VSR_ROLE_PRIMARY)
            o->expired = s->engine->ops->expired(s->engine, e->payload,
                                                 e->length, &o->outcome);
        if (s->options->bug == BUG_FORGET_OPERATIONS &&
            e->index <= s->log_end_at_start)
            s->engine->ops->forget_operations(s->engine);
    }
    note_digest(s);
}

/* Bug ack-before-commit only: back to what is durable. */
static void
rebuild(struct server *s, struct vsr_position position)
{
    struct snapshot_info info;
    struct error err;

    engine_free(s->engine);
    s->engine = new_engine(s);
    info.chain = 0;
    if (position.index > 0) {
        assert(s->newest.position.index == position.index);
        if (snapshot_image_parse(s->newest.data, s->newest.len, &info, &err) <
                0 ||
            s->engine->ops->load(s->engine, info.state, info.state_length,
                                 &err) < 0)
            abort();
    }
    engine_replaced(s, position, info.chain);
}

/* ---- snapshots ---- */

static void
take_snapshot(struct server *s, struct vsr_position position)
{
    struct snapshot_info info = {.position = position, .chain = s->chain};
    struct buf state, image;

    assert(position.index == s->applied.index);
    crash_point_pass(&s->crash, CRASH_CHECKPOINT_BEGIN);
    snprintf(info.cluster, sizeof(info.cluster), "%s", s->options->cluster);
    snprintf(info.engine, sizeof(info.engine), "%s", s->engine->ops->name);
    buf_init(&state, SNAPSHOT_BYTES_MAX);
    buf_init(&image, SNAPSHOT_BYTES_MAX);
    s->engine->ops->save(s->engine, &state);
    info.state = state.data;
    info.state_length = state.len;
    snapshot_image_build(&info, &image);
    buf_release(&state);
    s->taking.position = position;
    s->taking.len = image.len;
    s->taking.data = buf_take(&image);
    disk_take(s->disk, &s->taking);
}

/* The one before is kept while a peer fetches it. */
static void
newest_replace(struct server *s, const struct image *image)
{
    if (s->served.data == NULL && uv_hrtime() < s->served_until_ns)
        s->served = s->newest;
    else
        image_release(&s->newest);
    s->newest = *image;
}

/* The core may have gone past it (an installation, a rebuilt engine). */
static void
on_taken(void *ctx, struct vsr_position position, bool written)
{
    struct server *s = ctx;
    struct image image = s->taking;
    struct vsr_event e = {.type = VSR_EVENT_SNAPSHOT_TAKEN,
                          .position = position};

    memset(&s->taking, 0, sizeof(s->taking));
    if (written)
        crash_point_pass(&s->crash, CRASH_CHECKPOINT_END);
    if (!s->stopping)
        server_step(s, &e);
    if (written && !s->stopping && s->status.snapshot == position.index &&
        position.index > s->newest.position.index)
        newest_replace(s, &image);
    else
        image_release(&image);
}

static void
send_message(struct server *s, const struct vsr_message *m)
{
    size_t len = vsr_message_encode(m, s->message, VSR_MESSAGE_BYTES_MAX);

    assert(len > 0);
    peers_send(s->peers, m->to, s->message, len);
}

static void
send_snapshot(struct server *s, const struct vsr_message *wanted)
{
    struct vsr_message m = *wanted;
    const struct image *image = NULL;

    if (s->newest.data != NULL && s->newest.position.index == m.snapshot.index)
        image = &s->newest;
    else if (s->served.data != NULL &&
             s->served.position.index == m.snapshot.index)
        image = &s->served;
    if (image == NULL || m.offset > image->len)
        return;
    crash_point_pass(&s->crash, CRASH_TRANSFER_SERVE);
    s->served_until_ns = uv_hrtime() + SERVED_NS;
    m.total = image->len;
    m.length = (uint32_t)(image->len - m.offset);
    if (m.length > VSR_CHUNK_BYTES_MAX)
        m.length = VSR_CHUNK_BYTES_MAX;
    m.data = image->data + m.offset;
    m.last = m.offset + m.length == image->len;
    send_message(s, &m);
}

static void
stage_snapshot(struct server *s, const struct vsr_action *a)
{
    if (a->offset == 0) {
        image_release(&s->staging);
        s->staging.position = a->position;
    }
    if (a->offset != s->staging.len ||
        a->length > SNAPSHOT_BYTES_MAX - s->staging.len)
        return; /* the installation will find it too short */
    s->staging.data = xrealloc(s->staging.data, s->staging.len + a->length + 1);
    memcpy(s->staging.data + s->staging.len, a->data, a->length);
    s->staging.len += a->length;
    crash_point_pass(&s->crash, CRASH_TRANSFER_CHUNK);
}

/* Checks the staged bytes by loading them; NULL and err when they are bad. */
static struct engine *
staged_engine(struct server *s, struct vsr_position position,
              uint64_t *ret_chain, struct error *err)
{
    struct snapshot_info info;
    struct engine *e;

    if (s->staging.data == NULL ||
        snapshot_image_parse(s->staging.data, s->staging.len, &info, err) < 0)
        return NULL;
    if (info.position.index != position.index ||
        info.position.view != position.view ||
        strcmp(info.cluster, s->options->cluster) != 0 ||
        strcmp(info.engine, s->options->engine->name) != 0) {
        error_set(err, ERROR_CONFIG, "snapshot image: of something else");
        return NULL;
    }
    e = new_engine(s);
    if (e->ops->load(e, info.state, info.state_length, err) < 0) {
        engine_free(e);
        return NULL;
    }
    *ret_chain = info.chain;
    return e;
}

static void
install_snapshot(struct server *s, const struct vsr_action *a)
{
    struct error err = {.text = "nothing was staged"};

    assert(s->installing == NULL);
    s->installing = staged_engine(s, a->position, &s->installing_chain, &err);
    if (s->installing == NULL) {
        struct vsr_event e = {.type = VSR_EVENT_SNAPSHOT_INSTALLED,
                              .position = a->position,
                              .ok = false};

        log_warning("server", "snapshot at %" PRIu64 " refused: %s, continuing",
                    a->position.index, err.text);
        server_followup(s, &e);
        return;
    }
    crash_point_pass(&s->crash, CRASH_INSTALL_BEGIN);
    s->staging.position = a->position;
    disk_install(s->disk, &s->staging, a->seq);
    /* The disk's item has the bytes until on_installed(). */
}

static void
on_installed(void *ctx, struct vsr_position position)
{
    struct server *s = ctx;
    struct vsr_event e = {
        .type = VSR_EVENT_SNAPSHOT_INSTALLED, .position = position, .ok = true};

    crash_point_pass(&s->crash, CRASH_INSTALL_END);
    log_info("server", "snapshot at %" PRIu64 " installed", position.index);
    newest_replace(s, &s->staging);
    memset(&s->staging, 0, sizeof(s->staging));
    engine_free(s->engine);
    s->engine = s->installing;
    s->installing = NULL;
    engine_replaced(s, position, s->installing_chain);
    if (!s->stopping)
        server_step(s, &e);
}

static void
on_disk_done(void *ctx, uint64_t seq)
{
    struct server *s = ctx;
    struct vsr_event e = {.type = VSR_EVENT_DISK_DONE, .seq = seq};

    if (s->status.role == VSR_ROLE_PRIMARY && s->status.commit < s->status.op)
        crash_point_pass(&s->crash, CRASH_BEFORE_QUORUM);
    if (!s->stopping)
        server_step(s, &e);
}

/* ---- actions ---- */

static void server_stop(struct server *s, enum replica_exit code);

static void
run_action(struct server *s, const struct vsr_action *a)
{
    switch (a->type) {
    case VSR_ACTION_SEND:
        send_message(s, &a->message);
        break;
    case VSR_ACTION_SEND_SNAPSHOT:
        send_snapshot(s, &a->message);
        break;
    case VSR_ACTION_APPEND:
        disk_append(s->disk, &a->entry);
        break;
    case VSR_ACTION_TRUNCATE:
        disk_truncate(s->disk, a->index);
        break;
    case VSR_ACTION_METADATA:
        disk_metadata(s->disk, &a->metadata, a->seq);
        break;
    case VSR_ACTION_SYNC:
        disk_sync(s->disk, a->seq);
        break;
    case VSR_ACTION_INSTALL_SNAPSHOT:
        install_snapshot(s, a);
        break;
    case VSR_ACTION_STAGE_SNAPSHOT:
        stage_snapshot(s, a);
        break;
    case VSR_ACTION_TAKE_SNAPSHOT:
        take_snapshot(s, a->position);
        break;
    case VSR_ACTION_RELEASE:
        disk_release(s->disk, a->index);
        break;
    case VSR_ACTION_APPLY:
        apply(s, &a->entry);
        break;
    case VSR_ACTION_REBUILD:
        rebuild(s, a->position);
        break;
    case VSR_ACTION_COMPLETE:
        api_complete(s, a);
        break;
    case VSR_ACTION_HALT:
        log_error("server", "%s; ending", a->reason);
        server_stop(s, REPLICA_EXIT_CORRUPT);
        break;
    }
}

/* One line per change of view or role. */
static void
note_status(struct server *s)
{
    struct vsr_status now;

    vsr_status(s->vsr, &now);
    if (now.view != s->status.view || now.role != s->status.role)
        log_info("server",
                 "view %" PRIu64 ": %s, primary %s, op %" PRIu64
                 ", commit %" PRIu64,
                 now.view, vsr_role_name(now.role), node_name(s, now.primary),
                 now.op, now.commit);
    if (now.role == VSR_ROLE_VIEW_CHANGE && now.role != s->status.role)
        crash_point_pass(&s->crash, CRASH_VIEW_CHANGE);
    if (now.role == VSR_ROLE_PRIMARY && now.role != s->status.role)
        crash_point_pass(&s->crash, CRASH_VIEW_START);
    if (now.recovery != s->status.recovery)
        log_info("server", "recovery: %s", vsr_recovery_name(now.recovery));
    s->status = now;
}

static void
run_actions(struct server *s)
{
    for (unsigned i = 0; i < s->actions.count; i++)
        run_action(s, &s->actions.items[i]);
    s->more |= s->actions.more;
    note_status(s);
}

void
server_followup(struct server *s, const struct vsr_event *event)
{
    struct followup *f;

    if (s->followup_count == s->followup_cap) {
        s->followup_cap = s->followup_cap == 0 ? 64 : s->followup_cap * 2;
        s->followups =
            xrealloc(s->followups, s->followup_cap * sizeof(s->followups[0]));
    }
    f = &s->followups[s->followup_count++];
    f->event = *event;
    if (event->type == VSR_EVENT_REQUEST) {
        assert(event->length <= sizeof(f->payload));
        memcpy(f->payload, event->payload, event->length);
    }
}

static void
step_once(struct server *s, struct vsr_event *event)
{
    event->now_ns = uv_hrtime();
    vsr_step(s->vsr, event, &s->actions);
    run_actions(s);
}

void
server_step(struct server *s, struct vsr_event *event)
{
    step_once(s, event);
    for (size_t i = 0; i < s->followup_count; i++) {
        struct followup f = s->followups[i];

        f.event.payload = f.payload;
        step_once(s, &f.event);
    }
    s->followup_count = 0;
}

static void
on_message(void *ctx, unsigned from, const void *body, size_t len)
{
    static struct vsr_entry entries[VSR_MESSAGE_ENTRIES_MAX];
    struct server *s = ctx;
    struct vsr_message m;
    struct vsr_event e = {.type = VSR_EVENT_MESSAGE, .message = &m};
    struct error err;

    if (s->stopping)
        return;
    if (vsr_message_decode(body, len, &m, entries, &err) < 0) {
        if (s->decode_refusals++ == 0)
            log_warning("server", "message of %s refused: %s, continuing",
                        node_name(s, (int)from), err.text);
        return;
    }
    if (m.from != from || m.to != s->options->self)
        return;
    server_step(s, &e);
}

/* ---- the loop ---- */

static void
idle_run(uv_idle_t *idle)
{
    (void)idle; /* its being active keeps the loop from blocking */
}

static void
prepare_run(uv_prepare_t *prepare)
{
    struct server *s = prepare->data;
    bool again;

    if (s->stopping)
        return;
    if (s->more) {
        struct vsr_event e = {.type = VSR_EVENT_CONTINUE};

        s->more = false;
        server_step(s, &e);
    }
    again = http_run(s->http);
    if (s->replied)
        crash_point_pass(&s->crash, CRASH_AFTER_REPLY);
    s->replied = false;
    disk_kick(s->disk);
    peers_flush(s->peers);
    if (again || s->more)
        uv_idle_start(&s->idle, idle_run);
    else
        uv_idle_stop(&s->idle);
}

static void
check_disk(struct server *s, uint64_t now_ns)
{
    bool full;

    if (now_ns - s->disk_checked_ns < DISK_CHECK_NS)
        return;
    s->disk_checked_ns = now_ns;
    full = disk_free_bytes(s->disk) < s->options->disk_reserve_bytes;
    if (full != s->disk_full)
        log_warning("server", "%s, continuing",
                    full ? "disk reserve reached: new commands are refused"
                         : "disk has room again");
    s->disk_full = full;
}

static void
timer_run(uv_timer_t *timer)
{
    struct server *s = timer->data;
    struct vsr_event e = {.type = VSR_EVENT_TICK};
    uint64_t now_ns = uv_hrtime();

    server_step(s, &e);
    if (s->stopping)
        return;
    peers_tick(s->peers, now_ns);
    api_tick(s, now_ns);
    check_disk(s, now_ns);
    if (s->served.data != NULL && now_ns >= s->served_until_ns)
        image_release(&s->served);
}

static void
on_signal(uv_signal_t *handle, int signo)
{
    struct server *s = handle->data;

    log_info("server", "%s: ending", signo == SIGTERM ? "SIGTERM" : "SIGINT");
    server_stop(s, REPLICA_EXIT_OK);
}

/* The loop ends when the closed handles and the disk's batch are done. */
static void
server_stop(struct server *s, enum replica_exit code)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->exit_code = code;
    uv_close((uv_handle_t *)&s->timer, NULL);
    uv_close((uv_handle_t *)&s->prepare, NULL);
    uv_close((uv_handle_t *)&s->idle, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(s->signals); i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    peers_close(s->peers);
}

/* ---- start ---- */

static void
vsr_options(const struct replica_options *o, struct vsr_config *c)
{
    vsr_config_init(c, (uint8_t)o->self, (uint8_t)o->peer_count,
                    rng_fresh_seed());
    c->bootstrap = o->new_cluster;
    c->election_timeout_ns = o->election_timeout_ms * (uint64_t)NS_PER_MS;
    c->heartbeat_ns = o->heartbeat_ms * (uint64_t)NS_PER_MS;
    /* The log has a mark of its own: only the commit position is late. */
    c->metadata_interval_ns = (uint64_t)NS_PER_S;
    c->snapshot_interval = (uint32_t)o->snapshot_interval;
    c->retain_entries = (uint32_t)o->retain_entries;
    c->catch_up_entries = (uint32_t)o->catch_up_entries;
    c->pipeline_max = (uint32_t)o->pipeline_max;
    c->position_max = o->position_max;
    c->bug_stale_read = o->bug == BUG_STALE_READ;
    c->bug_ack_before_commit = o->bug == BUG_ACK_BEFORE_COMMIT;
}

static void
server_init(struct server *s, const struct replica_options *o)
{
    struct id128 boot = {rng_fresh_seed(), rng_fresh_seed()};
    struct vsr_config config;

    memset(s, 0, sizeof(*s));
    s->options = o;
    crash_plan_arm(&s->crash, &o->crash);
    vsr_options(o, &config);
    s->vsr = vsr_new(&config);
    vsr_actions_init(&s->actions);
    s->engine = new_engine(s);
    s->message = xcalloc(1, VSR_MESSAGE_BYTES_MAX);
    s->outcomes = xcalloc(OUTCOMES_MAX, sizeof(s->outcomes[0]));
    s->digests = xcalloc(DIGESTS_MAX, sizeof(s->digests[0]));
    s->pending = xcalloc(PENDING_MAX, sizeof(s->pending[0]));
    for (uint32_t i = PENDING_MAX; i-- > 0;)
        s->pending[i].next_free = i + 1;
    id128_format(boot, s->boot);
    uv_loop_init(&s->loop);
}

static void
server_release(struct server *s)
{
    for (unsigned i = 0; i < OUTCOMES_MAX; i++)
        outcome_clear(&s->outcomes[i]);
    disk_free(s->disk);
    peers_free(s->peers);
    http_free(s->http);
    engine_free(s->engine);
    engine_free(s->installing);
    image_release(&s->newest);
    image_release(&s->served);
    image_release(&s->taking);
    image_release(&s->staging);
    vsr_actions_release(&s->actions);
    vsr_free(s->vsr);
    free(s->followups);
    free(s->message);
    free(s->outcomes);
    free(s->digests);
    free(s->pending);
    uv_loop_close(&s->loop);
}

/* Durable state into core and engine; then the core's first actions. */
static enum replica_exit
server_recover(struct server *s, struct error *err)
{
    static const struct disk_events events = {on_disk_done, on_installed,
                                              on_taken};
    struct disk_found found;
    enum replica_exit code = disk_open(s->options, &s->crash, s->vsr, s->engine,
                                       &s->disk, &found, err);

    if (code != REPLICA_EXIT_OK)
        return code;
    crash_point_pass(&s->crash, CRASH_RECOVERY);
    disk_start(s->disk, &s->loop, &events, s);
    s->newest = found.snapshot;
    engine_replaced(s, found.snapshot.position, found.snapshot_chain);
    memcpy(s->start_detail, found.detail, sizeof(s->start_detail));
    s->log_end_at_start = found.last_index;
    if (vsr_start(s->vsr, found.meta_found ? &found.meta : NULL, uv_hrtime(),
                  &s->actions, err) < 0) {
        error_wrap(err, "%s", s->options->data);
        return REPLICA_EXIT_CORRUPT;
    }
    vsr_status(s->vsr, &s->status);
    s->recovery_start = s->status.recovery;
    log_info("server", "recovery: %s (%s)",
             vsr_recovery_name(s->status.recovery), s->start_detail);
    return REPLICA_EXIT_OK;
}

static enum replica_exit
server_listen(struct server *s, struct error *err)
{
    s->peers = peers_new(&s->loop, s->options, on_message, s);
    if (peers_start(s->peers, err) < 0)
        return REPLICA_EXIT_USAGE;
    s->http = http_new(&s->loop, &s->options->listen, api_request, s, err);
    return s->http == NULL ? REPLICA_EXIT_USAGE : REPLICA_EXIT_OK;
}

static void
server_loop(struct server *s)
{
    static const int signos[] = {SIGTERM, SIGINT};

    uv_prepare_init(&s->loop, &s->prepare);
    uv_idle_init(&s->loop, &s->idle);
    uv_timer_init(&s->loop, &s->timer);
    s->prepare.data = s->timer.data = s;
    uv_prepare_start(&s->prepare, prepare_run);
    uv_timer_start(&s->timer, timer_run, 0, TICK_MS);
    for (unsigned i = 0; i < ARRAY_LEN(signos); i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, signos[i]);
    }
    run_actions(s); /* of vsr_start */
    while (!s->stopping)
        uv_run(&s->loop, UV_RUN_ONCE);
}

enum replica_exit
server_run(const struct replica_options *o)
{
    struct server *s = xcalloc(1, sizeof(*s));
    struct error err;
    enum replica_exit code;

    signal(SIGPIPE, SIG_IGN);
    server_init(s, o);
    log_info("server", "node %s of cluster %s, engine %s, boot %s, pid %d%s%s",
             o->node, o->cluster, o->engine->name, s->boot, (int)getpid(),
             o->bug == BUG_NONE ? "" : ", PLANTED BUG ",
             o->bug == BUG_NONE ? "" : bug_name(o->bug));
    code = server_recover(s, &err);
    if (code == REPLICA_EXIT_OK)
        code = server_listen(s, &err);
    if (code == REPLICA_EXIT_OK) {
        server_loop(s);
        code = s->exit_code;
        api_abandon(s);
    } else {
        log_error("server", "recovery: refused_%s; refusing to start: %s",
                  code == REPLICA_EXIT_CORRUPT    ? "corrupt"
                  : code == REPLICA_EXIT_IDENTITY ? "identity"
                  : code == REPLICA_EXIT_IO       ? "io"
                                                  : "usage",
                  err.text);
        if (s->peers != NULL)
            peers_close(s->peers);
    }
    if (s->http != NULL)
        http_close(s->http);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    server_release(s);
    free(s);
    return code;
}
