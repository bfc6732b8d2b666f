/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each client thread takes a step from the workload, pursues it to its ending
 * (load_pursue), tells the workload, and goes on.  Sweeps run in the same
 * threads; setup and resolving pursue from the caller's.
 *
 * Failure modes: a history that cannot be written ends everything before the
 * next request leaves; the first error is kept for whoever joins.  Everything
 * else that goes wrong is an attempt's outcome, and recorded.
 */
#include "config.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "harness/load.h"

/* Past the deadline and one attempt: the history's last writes. */
#define LOAD_JOIN_MARGIN_NS (30 * NS_PER_S)
#define LOAD_STACK_BYTES (1u << 20)
#define LOAD_NAP_NS (50 * NS_PER_MS)
#define LOAD_POLL_NS (10 * NS_PER_MS)

/* Operations whose attempts are counted on when they are sent again. */
#define LOAD_COUNTED_MAX 1024

struct load_counted {
    struct id128 id;
    uint32_t attempts;
};

struct load_client {
    struct load *load;
    unsigned index;
    uint32_t process;
    struct client *client;
    struct arena arena;
    struct rng rng;
    int64_t next_ns, spaced_ns;
    pthread_t thread;
    bool running;
    _Atomic bool ended;
    struct load_counted counted[LOAD_COUNTED_MAX];
};

/* An operation that was given up: owns a copy. */
struct load_open {
    struct arena arena;
    struct operation op;
    unsigned client;
    int64_t slot_floor;
};

struct load {
    struct load_options o;
    int64_t deadline_ns;
    _Atomic bool cancelled, aborted, failed;
    _Atomic uint32_t process_next;
    _Atomic int primary;
    /* Highest slot in any answer; highest slot sent in any tick. */
    _Atomic int64_t slot_known, slot_sent;
    _Atomic uint64_t attempts[EVENT_KIND_COUNT];
    _Atomic uint64_t operations, refused, retries, duplicates, given_up,
        resolved, open_dropped, leader_changes, term;
    _Atomic unsigned open_count;

    pthread_mutex_t workload_lock; /* next, done */
    pthread_mutex_t lock;          /* what follows, and the term's note */
    struct error error;
    struct load_open *open[LOAD_OPEN_MAX];

    /* Of the sweep under way; the cursor under workload_lock. */
    struct {
        int64_t deadline_ns;
        unsigned cursor;
        _Atomic uint64_t read, missed;
    } sweep;

    /* One more than o.client_count: the last is setup's. */
    struct load_client *clients;
};

/* One operation on its way to an ending. */
struct pursuit {
    struct load_client *by;
    const struct operation *op;
    enum route route;
    int64_t until_ns;
    int64_t slot_floor;
    unsigned node;
    bool windowed; /* ends with the load's window */
    bool doubt;    /* some attempt was unknown */
    struct attempt_result result;
};

enum ending {
    ENDING_RECORDED,
    ENDING_REFUSED, /* every attempt failed, or it cannot happen */
    ENDING_OPEN,
};

/* ---- small parts ---- */

static void
load_max(_Atomic int64_t *at, int64_t value)
{
    int64_t old = atomic_load(at);

    while (value > old && !atomic_compare_exchange_weak(at, &old, value))
        continue;
}

static int64_t
load_now(struct load *l)
{
    return clock_now_ns(l->o.clock);
}

/* Whether attempts of any kind must end. */
static bool
load_halted(struct load *l)
{
    return atomic_load(&l->failed) || atomic_load(&l->aborted);
}

/* Whether this client's part of the window is over. */
static bool
load_over(struct load *l)
{
    return load_halted(l) || atomic_load(&l->cancelled) ||
           load_now(l) >= l->deadline_ns;
}

/* Sleeps in naps, so that the window's end is seen soon. */
static void
load_wait_until(struct load *l, int64_t until_ns)
{
    int64_t now = load_now(l);

    while (now < until_ns && !load_over(l)) {
        int64_t left = until_ns - now;

        clock_sleep_ns(l->o.clock, left < LOAD_NAP_NS ? left : LOAD_NAP_NS);
        now = load_now(l);
    }
}

static int
load_append(struct load *l, struct event *e, enum history_append_mode mode)
{
    struct error err = {0};

    if (atomic_load(&l->failed))
        return -1;
    if (history_append(l->o.history, e, mode, &err) == 0)
        return 0;
    pthread_mutex_lock(&l->lock);
    if (!atomic_load(&l->failed))
        l->error = err;
    atomic_store(&l->failed, true);
    pthread_mutex_unlock(&l->lock);
    return -1;
}

static int
load_check(struct load *l, struct error *err)
{
    int failed = 0;

    pthread_mutex_lock(&l->lock);
    if (atomic_load(&l->failed)) {
        *err = l->error;
        failed = error_wrap(err, "load");
    }
    pthread_mutex_unlock(&l->lock);
    return failed;
}

static uint32_t
load_fresh_process(struct load *l)
{
    return atomic_fetch_add(&l->process_next, 1);
}

/* Attempts are numbered on over all sendings of one operation id. */
static uint32_t
load_attempt_number(struct load_client *c, struct id128 id)
{
    struct load_counted *counted = &c->counted[id.lo % LOAD_COUNTED_MAX];

    if (id128_is_zero(id))
        return 1;
    if (!id128_equal(counted->id, id))
        *counted = (struct load_counted){.id = id};
    return ++counted->attempts;
}

/* ---- who is primary ---- */

/* Notes a term not seen before with the node that answered in it. */
static void
load_see_term(struct load *l, unsigned node, const struct attempt_result *r)
{
    uint64_t old = atomic_load(&l->term);
    struct event e = {.process = HISTORY_PROCESS_NONE,
                      .kind = EVENT_NOTE,
                      .function = "view"};
    bool cached = false, newer = false;
    struct arena a;

    fields_bool(&r->fields, "cached", &cached);
    if (!r->position.known || cached || r->position.term <= old)
        return;
    pthread_mutex_lock(&l->lock);
    old = atomic_load(&l->term);
    if (r->position.term > old) {
        newer = true;
        atomic_store(&l->term, r->position.term);
        if (old != 0)
            atomic_fetch_add(&l->leader_changes, 1);
    }
    pthread_mutex_unlock(&l->lock);
    if (!newer)
        return;
    arena_init(&a);
    fields_set_int(&a, &e.fields, "term", (int64_t)r->position.term);
    fields_set_string(&a, &e.fields, "primary", l->o.cluster->nodes[node].name);
    load_append(l, &e, HISTORY_BUFFERED);
    arena_release(&a);
}

/*
 * Only attempts meant for the primary move the belief: a node asked on purpose
 * may be cut off and point at a primary long gone.
 */
static void
load_believe(struct load *l, unsigned node, const struct attempt_result *r)
{
    int expected = (int)node;
    int next = (int)((node + 1) % l->o.cluster->node_count);

    if (r->kind == EVENT_OK)
        atomic_store(&l->primary, (int)node);
    else if (r->redirect >= 0 && r->redirect != (int)node)
        atomic_store(&l->primary, r->redirect);
    else
        atomic_compare_exchange_strong(&l->primary, &expected, next);
}

static unsigned
load_first_node(struct load_client *c, enum route route)
{
    struct load *l = c->load;
    int primary = atomic_load(&l->primary);

    if (route == ROUTE_ANY || primary < 0)
        return (unsigned)rng_below(&c->rng, l->o.cluster->node_count);
    return (unsigned)primary;
}

/* After a failed attempt at 'node': the believed primary, if another. */
static unsigned
load_next_node(struct load *l, unsigned node)
{
    int primary = atomic_load(&l->primary);

    if (primary >= 0 && primary != (int)node)
        return (unsigned)primary;
    return (node + 1) % l->o.cluster->node_count;
}

/* ---- one attempt ---- */

static int
load_record_invoke(struct pursuit *p, uint32_t attempt)
{
    struct load_client *c = p->by;
    struct load *l = c->load;
    struct event e = {.process = c->process,
                      .kind = EVENT_INVOKE,
                      .operation = p->op->id,
                      .attempt = attempt,
                      .function = p->op->function,
                      .node = l->o.cluster->nodes[p->node].name};

    e.fields = fields_copy(&c->arena, &p->op->args);
    fields_set_int(&c->arena, &e.fields, "client", (int64_t)c->index);
    return load_append(l, &e, HISTORY_BEFORE_SEND);
}

static int
load_record_completion(struct pursuit *p, uint32_t attempt)
{
    struct load_client *c = p->by;
    struct load *l = c->load;
    struct event e = {.process = c->process,
                      .kind = p->result.kind,
                      .operation = p->op->id,
                      .attempt = attempt,
                      .function = p->op->function,
                      .node = l->o.cluster->nodes[p->node].name,
                      .error = p->result.error,
                      .position = p->result.position,
                      .fields = p->result.fields};

    return load_append(l, &e, HISTORY_BUFFERED);
}

/* -1: the history failed, and nothing (more) was sent. */
static int
load_attempt(struct pursuit *p)
{
    struct load_client *c = p->by;
    struct load *l = c->load;
    uint32_t attempt = load_attempt_number(c, p->op->id);
    int64_t slot;

    if (load_record_invoke(p, attempt) < 0)
        return -1;
    if (strcmp(p->op->function, "tick") == 0 &&
        fields_int(&p->op->args, "slot", &slot))
        load_max(&l->slot_sent, slot);
    c->client->ops->invoke(c->client, p->op, p->node, l->o.attempt_timeout_ns,
                           &c->arena, &p->result);
    assert(p->result.kind == EVENT_OK || p->result.kind == EVENT_FAIL ||
           p->result.kind == EVENT_UNKNOWN);
    if (load_record_completion(p, attempt) < 0)
        return -1;
    atomic_fetch_add(&l->attempts[p->result.kind], 1);
    if (p->result.kind == EVENT_OK) {
        if (fields_int(&p->result.fields, "slot", &slot))
            load_max(&l->slot_known, slot);
        load_see_term(l, p->node, &p->result);
    }
    if (p->route == ROUTE_PRIMARY)
        load_believe(l, p->node, &p->result);
    return 0;
}

/* ---- one operation ---- */

int64_t
load_dedupe_window_slots(const json_t *limits)
{
    /* What docs/CHECKERS.md says of a system that says nothing. */
    int64_t slots[] = {256, 128};
    static const char *const keys[] = {"ttl_slots", "retry_slots"};

    static_assert(256 + 128 == LOAD_DEDUPE_WINDOW_SLOTS, "the default");
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *v = json_object_get(limits, keys[i]);

        if (json_is_integer(v) && json_integer_value(v) >= 0)
            slots[i] = json_integer_value(v);
    }
    return slots[0] + slots[1] > 0 ? slots[0] + slots[1] : 1;
}

static bool
load_window_allows(struct load *l, int64_t slot_floor)
{
    int64_t window = l->o.dedupe_window_slots;
    int64_t margin = window / 4 < LOAD_WINDOW_MARGIN_SLOTS
                         ? window / 4
                         : LOAD_WINDOW_MARGIN_SLOTS;

    return atomic_load(&l->slot_sent) - slot_floor <= window - margin;
}

/*
 * Refusals that another attempt may overcome, or that say nothing of the
 * attempts before.  All others speak of the operation's contents and will be
 * given again.
 */
static bool
load_transient(const char *error)
{
    static const char *const transient[] = {
        "not_primary",          "not_ready",          "overloaded", "refused",
        "operation_table_full", "positions_exhausted"};

    for (size_t i = 0; error != NULL && i < ARRAY_LEN(transient); i++)
        if (strcmp(transient[i], error) == 0)
            return true;
    return false;
}

/*
 * Refused for its contents: an earlier attempt of the same contents that was
 * executed would have been found by its id.
 */
static bool
load_cannot_happen(const struct attempt_result *r)
{
    return r->kind == EVENT_FAIL && !load_transient(r->error);
}

static int64_t
load_backoff(struct load_client *c, unsigned round)
{
    int64_t ns = LOAD_BACKOFF_MIN_NS << (round < 6 ? round : 6);

    if (ns > LOAD_BACKOFF_MAX_NS)
        ns = LOAD_BACKOFF_MAX_NS;
    return ns / 2 + (int64_t)rng_below(&c->rng, (uint64_t)ns / 2 + 1);
}

static bool
load_late(const struct pursuit *p)
{
    struct load *l = p->by->load;

    return load_now(l) >= p->until_ns || (p->windowed && load_over(l));
}

/*
 * Attempts until an answer is recorded, the operation cannot succeed, or
 * p->until_ns.  At least one attempt unless everything is halted.
 */
static enum ending
load_pursue(struct pursuit *p)
{
    struct load *l = p->by->load;

    p->node = load_first_node(p->by, p->route);
    for (unsigned round = 0; !load_halted(l); round++) {
        if (round > 0)
            atomic_fetch_add(&l->retries, 1);
        if (load_attempt(p) < 0)
            break;
        if (p->result.kind == EVENT_OK)
            return ENDING_RECORDED;
        if (load_cannot_happen(&p->result))
            return ENDING_REFUSED;
        if (p->result.kind == EVENT_UNKNOWN)
            p->doubt = true;
        if (!p->op->mutation || load_late(p))
            break;
        clock_sleep_ns(l->o.clock, load_backoff(p->by, round));
        if (load_late(p) || !load_window_allows(l, p->slot_floor))
            break;
        p->node = load_next_node(l, p->node);
    }
    return p->doubt ? ENDING_OPEN : ENDING_REFUSED;
}

static void
load_tell_workload(struct load *l, unsigned client, const struct operation *op,
                   const struct attempt_result *r)
{
    struct workload *w = l->o.workload;

    pthread_mutex_lock(&l->workload_lock);
    w->ops->done(w, client, op, r);
    pthread_mutex_unlock(&l->workload_lock);
}

/* ---- what is open ---- */

static void
load_open_free(struct load_open *o)
{
    if (o == NULL)
        return;
    arena_release(&o->arena);
    free(o);
}

/* Takes 'o'. */
static void
load_open_put(struct load *l, struct load_open *o)
{
    pthread_mutex_lock(&l->lock);
    for (unsigned i = 0; o != NULL && i < LOAD_OPEN_MAX; i++) {
        if (l->open[i] == NULL) {
            l->open[i] = TAKE(o);
            atomic_fetch_add(&l->open_count, 1);
        }
    }
    pthread_mutex_unlock(&l->lock);
    if (o != NULL)
        atomic_fetch_add(&l->open_dropped, 1);
    load_open_free(o);
}

static void
load_give_up(struct pursuit *p)
{
    struct load_client *c = p->by;
    struct load *l = c->load;
    struct load_open *o = xcalloc(1, sizeof(*o));

    arena_init(&o->arena);
    o->op = *p->op;
    o->op.function = arena_strdup(&o->arena, p->op->function);
    o->op.args = fields_copy(&o->arena, &p->op->args);
    o->client = c->index;
    o->slot_floor = p->slot_floor;
    load_open_put(l, o);
    atomic_fetch_add(&l->given_up, 1);
    c->process = load_fresh_process(l);
    p->result.kind = EVENT_UNKNOWN;
}

/* Halfway through the dedupe window, and not yet near its end. */
static bool
load_open_due(struct load *l, const struct load_open *o)
{
    return atomic_load(&l->slot_sent) - o->slot_floor >
               l->o.dedupe_window_slots / 2 &&
           load_window_allows(l, o->slot_floor);
}

static struct load_open *
load_open_take_due(struct load *l, unsigned client)
{
    struct load_open *taken = NULL;

    if (atomic_load(&l->open_count) == 0)
        return NULL;
    pthread_mutex_lock(&l->lock);
    for (unsigned i = 0; taken == NULL && i < LOAD_OPEN_MAX; i++) {
        if (l->open[i] != NULL && l->open[i]->client == client &&
            load_open_due(l, l->open[i])) {
            taken = TAKE(l->open[i]);
            atomic_fetch_sub(&l->open_count, 1);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return taken;
}

/*
 * Takes 'o': ends it, or puts it back.  Returns whether it ended; sets
 * *ret_full when it was last refused because the dedupe table is full.
 */
static bool
load_reopen(struct load_client *c, struct load_open *o, int64_t until_ns,
            bool *ret_full)
{
    struct load *l = c->load;
    struct pursuit p = {.by = c,
                        .op = &o->op,
                        .route = ROUTE_PRIMARY,
                        .until_ns = until_ns,
                        .slot_floor = o->slot_floor};
    enum ending ending;

    arena_reset(&c->arena);
    ending = load_pursue(&p);
    if (ending == ENDING_RECORDED || load_cannot_happen(&p.result)) {
        if (ending == ENDING_RECORDED)
            atomic_fetch_add(&l->operations, 1);
        atomic_fetch_add(&l->resolved, 1);
        load_tell_workload(l, o->client, &o->op, &p.result);
        load_open_free(o);
        return true;
    }
    if (p.result.error != NULL &&
        strcmp(p.result.error, "operation_table_full") == 0)
        *ret_full = true;
    /* An attempt without an answer still occupies its process. */
    c->process = load_fresh_process(l);
    load_open_put(l, o);
    return false;
}

/* ---- a client thread ---- */

/* A process whose last attempt may still be under way does nothing more. */
static void
load_retire_in_doubt(struct pursuit *p)
{
    if (p->result.kind == EVENT_UNKNOWN)
        p->by->process = load_fresh_process(p->by->load);
}

static void
load_send_duplicates(struct pursuit *p, unsigned count)
{
    struct load *l = p->by->load;

    for (unsigned i = 0; i < count && !load_over(l); i++) {
        p->node = load_first_node(p->by, ROUTE_PRIMARY);
        atomic_fetch_add(&l->duplicates, 1);
        if (load_attempt(p) < 0)
            return;
        load_retire_in_doubt(p);
    }
}

static void
load_run_step(struct load_client *c, const struct workload_step *step)
{
    struct load *l = c->load;
    struct pursuit p = {.by = c,
                        .op = &step->op,
                        .route = step->route,
                        .until_ns = load_now(l) + l->o.give_up_ns,
                        .windowed = true,
                        .slot_floor = atomic_load(&l->slot_known)};
    enum ending ending = load_pursue(&p);

    if (atomic_load(&l->failed))
        return;
    if (ending == ENDING_RECORDED)
        atomic_fetch_add(&l->operations, 1);
    else if (ending == ENDING_REFUSED)
        atomic_fetch_add(&l->refused, 1);
    else if (step->op.mutation)
        load_give_up(&p);
    else
        load_retire_in_doubt(&p);
    load_tell_workload(l, c->index, &step->op, &p.result);
    if (ending == ENDING_RECORDED)
        load_send_duplicates(&p, step->duplicates);
}

static void
load_pace(struct load_client *c)
{
    struct load *l = c->load;
    int64_t now = load_now(l);

    if (l->o.rate <= 0)
        return;
    /* What an outage kept from being sent is not sent in a burst after it. */
    if (c->next_ns < now - NS_PER_S)
        c->next_ns = now;
    load_wait_until(l, c->next_ns);
    c->next_ns +=
        (int64_t)((double)l->o.client_count / l->o.rate * (double)NS_PER_S);
}

static void
load_space(struct load_client *c, int64_t spacing_ns)
{
    if (spacing_ns == 0)
        return;
    if (c->spaced_ns != 0)
        load_wait_until(c->load, c->spaced_ns + spacing_ns);
    c->spaced_ns = load_now(c->load);
}

static void *
load_client_main(void *ctx)
{
    struct load_client *c = ctx;
    struct load *l = c->load;
    struct workload *w = l->o.workload;

    while (!load_over(l)) {
        struct load_open *due = load_open_take_due(l, c->index);
        struct workload_step step;

        if (due != NULL) {
            bool full;

            load_reopen(c, due, load_now(l) + l->o.attempt_timeout_ns, &full);
            continue;
        }
        load_pace(c);
        arena_reset(&c->arena);
        pthread_mutex_lock(&l->workload_lock);
        w->ops->next(w, c->index, &c->arena, &step);
        pthread_mutex_unlock(&l->workload_lock);
        load_space(c, step.spacing_ns);
        if (!load_over(l))
            load_run_step(c, &step);
    }
    atomic_store(&c->ended, true);
    return NULL;
}

/* ---- lifecycle ---- */

static int
load_client_init(struct load *l, unsigned i, struct error *err)
{
    struct load_client *c = &l->clients[i];
    struct rng root;

    rng_init(&root, l->o.seed);
    c->load = l;
    c->index = i;
    c->process = i;
    c->rng = rng_fork(&root, "load", i);
    arena_init(&c->arena);
    c->client = l->o.system->client_new(l->o.cluster,
                                        l->o.workload->ops->capability, i, err);
    return c->client == NULL ? -1 : 0;
}

struct load *
load_new(const struct load_options *options, struct error *err)
{
    struct load *l = xcalloc(1, sizeof(*l));

    assert(options->client_count > 0 &&
           options->client_count <= CLIENT_COUNT_MAX);
    assert(options->cluster->node_count > 0);
    l->o = *options;
    if (l->o.attempt_timeout_ns == 0)
        l->o.attempt_timeout_ns = l->o.workload->attempt_timeout_ns;
    if (l->o.give_up_ns == 0)
        l->o.give_up_ns = l->o.workload->give_up_ns;
    if (l->o.attempt_timeout_ns == 0)
        l->o.attempt_timeout_ns = LOAD_ATTEMPT_TIMEOUT_NS;
    if (l->o.give_up_ns == 0)
        l->o.give_up_ns = LOAD_GIVE_UP_NS;
    if (l->o.dedupe_window_slots == 0)
        l->o.dedupe_window_slots = LOAD_DEDUPE_WINDOW_SLOTS;
    atomic_store(&l->primary, -1);
    atomic_store(&l->process_next, options->client_count + 1);
    pthread_mutex_init(&l->workload_lock, NULL);
    pthread_mutex_init(&l->lock, NULL);
    l->clients = xcalloc(options->client_count + 1, sizeof(*l->clients));
    for (unsigned i = 0; i <= options->client_count; i++) {
        if (load_client_init(l, i, err) < 0) {
            error_wrap(err, "client %u", i);
            load_free(l);
            return NULL;
        }
    }
    return l;
}

void
load_cancel(struct load *l)
{
    atomic_store(&l->cancelled, true);
}

void
load_abort(struct load *l)
{
    atomic_store(&l->aborted, true);
}

/* Runs 'main' for each client in a thread of its own. */
static int
load_spawn(struct load *l, void *(*main)(void *), struct error *err)
{
    pthread_attr_t attr;
    int code = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LOAD_STACK_BYTES);
    for (unsigned i = 0; code == 0 && i < l->o.client_count; i++) {
        struct load_client *c = &l->clients[i];

        assert(!c->running);
        atomic_store(&c->ended, false);
        code = pthread_create(&c->thread, &attr, main, c);
        c->running = code == 0;
    }
    pthread_attr_destroy(&attr);
    if (code == 0)
        return 0;
    load_abort(l);
    return error_errno(err, ERROR_ENVIRONMENT, code,
                       "load: starting a client thread");
}

static bool
load_all_ended(void *ctx)
{
    struct load *l = ctx;

    for (unsigned i = 0; i < l->o.client_count; i++)
        if (l->clients[i].running && !atomic_load(&l->clients[i].ended))
            return false;
    return true;
}

/* Joins all threads, which begin no attempt after 'last_ns'. */
static int
load_reap(struct load *l, int64_t last_ns, struct error *err)
{
    int64_t now = load_now(l);
    int64_t until = (last_ns > now ? last_ns : now) + l->o.attempt_timeout_ns +
                    LOAD_JOIN_MARGIN_NS;

    if (!clock_poll(l->o.clock, until, LOAD_POLL_NS, load_all_ended, l))
        return error_set(err, ERROR_BUG,
                         "load: a client thread did not end in time");
    for (unsigned i = 0; i < l->o.client_count; i++) {
        if (l->clients[i].running)
            pthread_join(l->clients[i].thread, NULL);
        l->clients[i].running = false;
    }
    return load_check(l, err);
}

int
load_start(struct load *l, int64_t deadline_ns, struct error *err)
{
    int64_t now = load_now(l);

    l->deadline_ns = deadline_ns;
    /* Clients begin spread over one interval. */
    for (unsigned i = 0; i < l->o.client_count; i++) {
        l->clients[i].next_ns = now;
        if (l->o.rate > 0)
            l->clients[i].next_ns +=
                (int64_t)((double)i / l->o.rate * (double)NS_PER_S);
    }
    return load_spawn(l, load_client_main, err);
}

int
load_join(struct load *l, struct error *err)
{
    return load_reap(l, load_over(l) ? 0 : l->deadline_ns, err);
}

void
load_free(struct load *l)
{
    struct error err = {0};

    if (l == NULL)
        return;
    load_abort(l);
    if (load_reap(l, 0, &err) < 0 && !load_all_ended(l))
        return; /* a stuck thread keeps what it uses */
    for (unsigned i = 0; i <= l->o.client_count; i++) {
        if (l->clients[i].client != NULL)
            l->clients[i].client->ops->free(l->clients[i].client);
        arena_release(&l->clients[i].arena);
    }
    for (unsigned i = 0; i < LOAD_OPEN_MAX; i++)
        load_open_free(l->open[i]);
    pthread_mutex_destroy(&l->workload_lock);
    pthread_mutex_destroy(&l->lock);
    free(l->clients);
    free(l);
}

/* ---- setup, sweep, resolve ---- */

int
load_setup(struct load *l, int64_t deadline_ns, struct error *err)
{
    struct load_client *c = &l->clients[l->o.client_count];
    struct workload *w = l->o.workload;
    struct workload_step step;

    for (;;) {
        struct pursuit p = {.by = c,
                            .op = &step.op,
                            .route = ROUTE_PRIMARY,
                            .until_ns = deadline_ns};

        arena_reset(&c->arena);
        if (!w->ops->setup(w, &c->arena, &step))
            return 0;
        if (load_pursue(&p) != ENDING_RECORDED) {
            if (load_check(l, err) < 0)
                return -1;
            return error_set(err, ERROR_TRANSIENT,
                             "setup: '%s' got no recorded answer (last: %s)",
                             step.op.function,
                             p.result.error ? p.result.error : "none");
        }
        atomic_fetch_add(&l->operations, 1);
        load_tell_workload(l, 0, &step.op, &p.result);
    }
}

/* Each attempt of a read is an operation of its own. */
static bool
load_sweep_object(struct load_client *c, const struct workload_step *step)
{
    struct load *l = c->load;

    for (unsigned round = 0; !load_halted(l); round++) {
        struct pursuit p = {.by = c, .op = &step->op, .route = ROUTE_PRIMARY};

        if (load_now(l) >= l->sweep.deadline_ns)
            return false;
        if (load_pursue(&p) == ENDING_RECORDED) {
            atomic_fetch_add(&l->operations, 1);
            return true;
        }
        load_retire_in_doubt(&p);
        clock_sleep_ns(l->o.clock, load_backoff(c, round));
    }
    return false;
}

/* Each thread takes the next object until there is none. */
static void *
load_sweep_main(void *ctx)
{
    struct load_client *c = ctx;
    struct load *l = c->load;
    struct workload *w = l->o.workload;
    struct workload_step step;
    bool more;

    for (;;) {
        arena_reset(&c->arena);
        pthread_mutex_lock(&l->workload_lock);
        more = w->ops->sweep(w, &l->sweep.cursor, &c->arena, &step);
        pthread_mutex_unlock(&l->workload_lock);
        if (!more)
            break;
        if (load_sweep_object(c, &step))
            atomic_fetch_add(&l->sweep.read, 1);
        else
            atomic_fetch_add(&l->sweep.missed, 1);
    }
    atomic_store(&c->ended, true);
    return NULL;
}

int
load_sweep(struct load *l, int64_t deadline_ns, struct load_sweep_result *ret,
           struct error *err)
{
    l->sweep.deadline_ns = deadline_ns;
    l->sweep.cursor = 0;
    atomic_store(&l->sweep.read, 0);
    atomic_store(&l->sweep.missed, 0);
    if (load_spawn(l, load_sweep_main, err) < 0 ||
        load_reap(l, deadline_ns, err) < 0)
        return -1;
    ret->read = atomic_load(&l->sweep.read);
    ret->missed = atomic_load(&l->sweep.missed);
    return 0;
}

/* One round over what is open, each a little time.  True: the last refusal of
 * one was that the dedupe table is full. */
static bool
load_resolve_round(struct load *l, int64_t deadline_ns,
                   struct load_resolve_result *ret)
{
    bool full = false;

    ret->unresolved = ret->outside_window = 0;
    for (unsigned i = 0; i < LOAD_OPEN_MAX; i++) {
        struct load_open *o = l->open[i];
        int64_t until_ns = load_now(l) + 2 * l->o.attempt_timeout_ns;
        struct load_client *c;

        if (o == NULL)
            continue;
        if (!load_window_allows(l, o->slot_floor)) {
            ret->outside_window++;
            ret->unresolved++;
            continue;
        }
        if (load_now(l) >= deadline_ns || load_halted(l)) {
            ret->unresolved++;
            continue;
        }
        l->open[i] = NULL;
        atomic_fetch_sub(&l->open_count, 1);
        c = &l->clients[o->client];
        c->process = load_fresh_process(l);
        if (load_reopen(c, o, until_ns < deadline_ns ? until_ns : deadline_ns,
                        &full))
            ret->resolved++;
        else
            ret->unresolved++;
    }
    return full;
}

/* Records retire only as time goes on, and nobody else ticks any more. */
static void
load_advance_time(struct load *l, int64_t deadline_ns)
{
    struct load_client *c = &l->clients[l->o.client_count];
    struct operation op = {.function = "tick"};
    struct pursuit p = {
        .by = c, .op = &op, .route = ROUTE_PRIMARY, .until_ns = deadline_ns};

    arena_reset(&c->arena);
    fields_set_int(&c->arena, &op.args, "slot",
                   atomic_load(&l->slot_known) + 1);
    load_pursue(&p);
    load_retire_in_doubt(&p);
}

int
load_resolve(struct load *l, int64_t deadline_ns,
             struct load_resolve_result *ret, struct error *err)
{
    struct load_resolve_result result = {0};

    for (;;) {
        bool full = load_resolve_round(l, deadline_ns, &result);

        if (result.unresolved == result.outside_window || load_halted(l) ||
            load_now(l) >= deadline_ns)
            break;
        if (full)
            load_advance_time(l, deadline_ns);
    }
    if (load_check(l, err) < 0)
        return -1;
    result.unresolved += atomic_load(&l->open_dropped);
    *ret = result;
    return 0;
}

/* ---- looking in ---- */

void
load_stats(struct load *l, struct load_stats *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < EVENT_KIND_COUNT; i++)
        ret->attempts[i] = atomic_load(&l->attempts[i]);
    ret->operations = atomic_load(&l->operations);
    ret->refused = atomic_load(&l->refused);
    ret->retries = atomic_load(&l->retries);
    ret->duplicates = atomic_load(&l->duplicates);
    ret->given_up = atomic_load(&l->given_up);
    ret->resolved = atomic_load(&l->resolved);
    ret->open_dropped = atomic_load(&l->open_dropped);
    ret->leader_changes = atomic_load(&l->leader_changes);
    ret->term = atomic_load(&l->term);
    ret->primary = atomic_load(&l->primary);
}

int
load_primary(struct load *l)
{
    return atomic_load(&l->primary);
}

bool
load_failed(struct load *l)
{
    return atomic_load(&l->failed);
}
