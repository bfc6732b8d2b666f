/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One core alone against peers that say anything: whatever the fields of a
 * message, no assertion of the core may fire (a peer's bytes are data), every
 * token is completed exactly once, and the wire form survives a round trip.
 *
 * Happy path: a host that carries out actions with a lazy disk feeds the core
 * random messages whose numbers lie around its own, or far from everything.
 * Failure modes: a core that finds its committed entries contradicted halts;
 * the next one starts.
 */
#include "config.h"

#include <stdlib.h>

#include "harness/base/rng.h"
#include "tests/lib/tap.h"
#include "tests/simulation/sim.h"

#define CORES 400
#define EVENTS 1500
#define TOKENS_MAX (EVENTS + 1)

struct lone {
    struct rng rng;
    struct vsr *vsr;
    uint8_t replica;
    struct vsr_actions actions;
    struct vsr_status status;
    uint64_t now_ns, seq, token;
    bool waiting[TOKENS_MAX];
    unsigned wait_count;
    bool halted, installing, taking, wrong_token;
    struct vsr_position install, take;
};

static struct lone lone;
static uint8_t bytes[512];
static uint64_t halts, views, committed, fetched, installed, led;

static void
carry_out(struct lone *l)
{
    for (unsigned i = 0; i < l->actions.count; i++) {
        const struct vsr_action *a = &l->actions.items[i];
        if (a->type == VSR_ACTION_METADATA || a->type == VSR_ACTION_SYNC)
            l->seq = a->seq;
        if (a->type == VSR_ACTION_HALT)
            l->halted = true;
        if (a->type == VSR_ACTION_INSTALL_SNAPSHOT) {
            l->installing = true;
            l->install = a->position;
        }
        if (a->type == VSR_ACTION_TAKE_SNAPSHOT) {
            l->taking = true;
            l->take = a->position;
        }
        if (a->type != VSR_ACTION_COMPLETE)
            continue;
        if (a->token >= TOKENS_MAX || !l->waiting[a->token]) {
            l->wrong_token = true;
            continue;
        }
        l->waiting[a->token] = false;
        l->wait_count--;
    }
    vsr_status(l->vsr, &l->status);
    led += l->status.role == VSR_ROLE_PRIMARY;
}

static void
feed(struct lone *l, struct vsr_event e)
{
    l->now_ns += rng_below(&l->rng, 20000000);
    e.now_ns = l->now_ns;
    vsr_step(l->vsr, &e, &l->actions);
    carry_out(l);
}

/* A number near 'around', or a wild one. */
static uint64_t
number(struct lone *l, uint64_t around)
{
    uint64_t dice = rng_below(&l->rng, 20);
    if (dice == 0)
        return rng_u64(&l->rng);
    if (dice == 1)
        return UINT64_MAX - rng_below(&l->rng, 3);
    if (dice == 2)
        return rng_below(&l->rng, 4);
    uint64_t low = around > 3 ? around - 3 : 0;
    return low + rng_below(&l->rng, 7);
}

static struct vsr_position
position(struct lone *l)
{
    uint64_t index = number(l, l->status.op);
    struct vsr_entry e;
    if (rng_chance(&l->rng, 0.4))
        return (struct vsr_position){l->status.last_normal_view, l->status.op};
    if (rng_chance(&l->rng, 0.6) && vsr_entry_at(l->vsr, index, &e))
        return (struct vsr_position){e.view, index};
    return (struct vsr_position){number(l, l->status.last_normal_view), index};
}

static void
garble(struct lone *l, struct vsr_message *m, struct vsr_entry *entries)
{
    struct rng *r = &l->rng;
    m->type = (uint8_t)(1 + rng_below(r, VSR_MESSAGE_TYPE_COUNT));
    m->to = l->replica;
    m->from = (uint8_t)rng_below(r, 4);
    if (rng_chance(r, 0.4))
        m->from = (uint8_t)(l->status.view % 3);
    m->result = (uint8_t)rng_below(r, 4);
    m->normal = rng_chance(r, 0.5);
    m->view = rng_chance(r, 0.97) ? l->status.view : number(l, l->status.view);
    m->sender_incarnation = rng_below(r, 50) == 0 ? rng_below(r, 4) : 3;
    m->prev = position(l);
    m->hint = position(l);
    m->snapshot = position(l);
    m->commit = number(l, l->status.commit);
    m->index = number(l, l->status.op);
    m->round = rng_below(r, 4);
    m->incarnation = rng_below(r, 4);
    m->incarnations[rng_below(r, VSR_REPLICAS_MAX)] = rng_below(r, 4);
    m->offset = rng_below(r, 3) * 256;
    m->total = number(l, 512);
    m->entry_count = (uint32_t)rng_below(r, 4);
    m->entries = entries;
    for (uint32_t i = 0; i < m->entry_count; i++) {
        struct vsr_entry *e = &entries[i];
        e->view = rng_chance(r, 0.8) ? m->view : number(l, m->view);
        e->index = m->prev.index + 1 + i + (rng_below(r, 20) == 0);
        e->kind = (uint8_t)rng_below(r, 3);
        e->length = (uint32_t)rng_below(r, 40);
        e->payload = bytes;
    }
    if (rng_chance(r, 0.3)) {
        m->length = 256;
        m->data = bytes;
        m->last = rng_chance(r, 0.5);
    }
}

/* Only who names the session is heard: make 'm' look like the answer. */
static void
answer(const struct vsr_message *asked, struct vsr_message *m, struct rng *r)
{
    m->session = asked->session;
    m->from = asked->to;
    if (asked->type == VSR_GET_ENTRIES) {
        m->type = VSR_ENTRIES;
        m->prev = asked->prev;
    } else if (asked->type == VSR_GET_SNAPSHOT) {
        m->type = VSR_SNAPSHOT_CHUNK;
        m->snapshot = asked->snapshot;
        m->offset = asked->offset;
        m->total = 512;
        m->length = 256;
        m->data = bytes;
        m->last = rng_chance(r, 0.95) ? m->offset == 256 : m->offset != 256;
    } else if (asked->type == VSR_RECOVERY) {
        m->type = VSR_RECOVERY_RESPONSE;
        m->incarnation = asked->incarnation;
    }
}

static void
feed_message(struct lone *l)
{
    static uint8_t wire[VSR_MESSAGE_BYTES_MAX];
    struct vsr_entry entries[4], decoded[VSR_MESSAGE_ENTRIES_MAX];
    struct vsr_message m = {0}, back;
    struct error err;
    garble(l, &m, entries);
    for (unsigned i = 0; i < l->actions.count; i++)
        if (l->actions.items[i].type == VSR_ACTION_SEND &&
            rng_chance(&l->rng, 0.7))
            answer(&l->actions.items[i].message, &m, &l->rng);
    size_t length = vsr_message_encode(&m, wire, sizeof(wire));
    CHECK(length > 0);
    if (vsr_message_decode(wire, length, &back, decoded, &err) < 0) {
        CHECK(m.type >= VSR_MESSAGE_TYPE_COUNT);
        return;
    }
    CHECK(back.view == m.view && back.total == m.total);
    CHECK(back.last == m.last && back.normal == m.normal);
    feed(l, (struct vsr_event){.type = VSR_EVENT_MESSAGE, .message = &back});
}

static void
feed_host(struct lone *l)
{
    struct vsr_event e = {.type = VSR_EVENT_TICK};
    uint64_t dice = rng_below(&l->rng, 6);
    if (dice < 2) {
        e.type = dice == 0 ? VSR_EVENT_REQUEST : VSR_EVENT_READ;
        e.token = ++l->token;
        e.kind = 1;
        e.payload = bytes;
        e.length = 10;
        l->waiting[e.token] = true;
        l->wait_count++;
    } else if (dice == 2 && l->seq > 0 && !l->installing) {
        e.type = VSR_EVENT_DISK_DONE;
        e.seq = l->seq;
    } else if (dice == 3 && l->installing) {
        l->installing = false;
        e.type = VSR_EVENT_SNAPSHOT_INSTALLED;
        e.position = l->install;
        e.ok = rng_chance(&l->rng, 0.5);
    } else if (dice == 4 && l->taking) {
        l->taking = false;
        e.type = VSR_EVENT_SNAPSHOT_TAKEN;
        e.position = l->take;
    }
    feed(l, e);
}

static void
lone_start(struct lone *l, uint64_t seed)
{
    struct vsr_config c;
    struct error err;
    struct vsr_actions actions = l->actions;
    *l = (struct lone){.actions = actions};
    rng_init(&l->rng, seed);
    vsr_config_init(&c, (uint8_t)rng_below(&l->rng, 3), 3, seed);
    c.bootstrap = rng_chance(&l->rng, 0.7);
    c.log_entries_max = 256;
    c.snapshot_interval = 20;
    c.retain_entries = 5;
    l->replica = c.replica;
    l->vsr = vsr_new(&c);
    l->now_ns = 1;
    CHECK_OK(vsr_start(l->vsr, NULL, l->now_ns, &l->actions, &err), &err);
    carry_out(l);
}

static void
test_any_message_is_survived(void)
{
    vsr_actions_init(&lone.actions);
    for (uint64_t seed = 1; seed <= CORES; seed++) {
        lone_start(&lone, seed);
        for (unsigned i = 0; i < EVENTS && !lone.halted; i++) {
            if (rng_chance(&lone.rng, 0.6))
                feed_message(&lone);
            else
                feed_host(&lone);
            CHECK(!lone.wrong_token);
        }
        if (!lone.halted)
            CHECK_INT(lone.wait_count,
                      lone.status.pending_requests + lone.status.pending_reads);
        halts += lone.halted;
        views += lone.status.view_changes;
        committed += lone.status.commit > 0;
        fetched += lone.status.entries_fetched;
        installed += lone.status.snapshots_installed;
        vsr_free(lone.vsr);
    }
    vsr_actions_release(&lone.actions);
    printf("# %llu halts, %llu views, %llu cores committed, %llu fetched, "
           "%llu installed, %llu steps as primary\n",
           (unsigned long long)halts, (unsigned long long)views,
           (unsigned long long)committed, (unsigned long long)fetched,
           (unsigned long long)installed, (unsigned long long)led);
}

static void
test_it_was_not_only_ignored(void)
{
    CHECK(halts > 0);
    CHECK(halts < CORES);
    CHECK(views > CORES && led > CORES);
    CHECK(committed > CORES / 4 && fetched > CORES / 4 &&
          installed > CORES / 40);
}

int
main(void)
{
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    RUN(test_any_message_is_survived);
    RUN(test_it_was_not_only_ignored);
    return tap_done();
}
