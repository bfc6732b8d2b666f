/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in an order that random schedules meet too seldom to be relied on:
 * one core, replica 0 of 3, and a script of what its peers say.
 *
 * Happy path: each test brings the core to a place by hand and looks at the
 * actions of the step that matters.  Failure modes: an action that must not be
 * there, or is missing.
 */
#include "config.h"

#include "tests/lib/tap.h"
#include "tests/simulation/sim.h"

struct script {
    struct vsr *vsr;
    struct vsr_actions actions;
    struct vsr_status status;
    uint64_t now_ns, seq;
};

static void
look(struct script *t)
{
    for (unsigned i = 0; i < t->actions.count; i++)
        if (t->actions.items[i].seq > t->seq)
            t->seq = t->actions.items[i].seq;
    vsr_status(t->vsr, &t->status);
}

static const struct vsr_action *
find(const struct script *t, enum vsr_action_type type, unsigned message)
{
    for (unsigned i = 0; i < t->actions.count; i++) {
        const struct vsr_action *a = &t->actions.items[i];
        if (a->type == type && (message == 0 || a->message.type == message))
            return a;
    }
    return NULL;
}

static void
step(struct script *t, struct vsr_event e)
{
    e.now_ns = t->now_ns += 1000000;
    vsr_step(t->vsr, &e, &t->actions);
    look(t);
}

static void
hear(struct script *t, struct vsr_message m)
{
    if (m.sender_incarnation == 0)
        m.sender_incarnation = 1;
    step(t, (struct vsr_event){.type = VSR_EVENT_MESSAGE, .message = &m});
}

static void
disk_done(struct script *t)
{
    step(t, (struct vsr_event){.type = VSR_EVENT_DISK_DONE, .seq = t->seq});
}

static void
setup(struct script *t, const struct vsr_metadata *metadata)
{
    struct vsr_config c;
    struct error err;
    *t = (struct script){.now_ns = 1};
    vsr_config_init(&c, 0, 3, 1);
    c.bootstrap = true;
    vsr_actions_init(&t->actions);
    t->vsr = vsr_new(&c);
    CHECK_OK(vsr_start(t->vsr, metadata, t->now_ns, &t->actions, &err), &err);
    look(t);
    disk_done(t);
}

static void
teardown(struct script *t)
{
    vsr_free(t->vsr);
    vsr_actions_release(&t->actions);
}

/* Entries first..last of 'view', the first a no-op. */
static struct vsr_message
prepare(uint64_t view, struct vsr_position prev, uint64_t last)
{
    static struct vsr_entry entries[VSR_MESSAGE_ENTRIES_MAX];
    struct vsr_message m = {.type = VSR_PREPARE,
                            .from = (uint8_t)(view % 3),
                            .view = view,
                            .prev = prev,
                            .entries = entries};
    for (uint64_t i = prev.index + 1; i <= last; i++)
        entries[m.entry_count++] = (struct vsr_entry){
            .view = view, .index = i, .kind = i > prev.index + 1};
    return m;
}

/* Backup of view 1, holding its no-op durably. */
static void
join_view_1(struct script *t)
{
    struct vsr_position empty = {0};
    hear(t, prepare(1, empty, 1));
    CHECK(find(t, VSR_ACTION_METADATA, 0) != NULL);
    disk_done(t);
    hear(t, prepare(1, empty, 1));
    CHECK(t->status.role == VSR_ROLE_BACKUP);
    disk_done(t);
    const struct vsr_action *ok = find(t, VSR_ACTION_SEND, VSR_PREPARE_OK);
    CHECK(ok != NULL && ok->message.index == 1);
}

static struct vsr_message
answer_to(const struct script *t, unsigned asked, enum vsr_message_type type)
{
    const struct vsr_action *a = find(t, VSR_ACTION_SEND, asked);
    CHECK(a != NULL);
    struct vsr_message m = a->message;
    m.type = (uint8_t)type;
    m.from = a->message.to;
    m.to = 0;
    return m;
}

/* Entries that came late and were acknowledged are not given up for a snapshot
 * that was asked for before. */
static void
test_late_entries_outlive_a_snapshot(void)
{
    struct script t;
    uint8_t data[16] = {0};
    setup(&t, NULL);
    join_view_1(&t);
    hear(&t, prepare(1, (struct vsr_position){1, 60}, 60));
    struct vsr_message m = answer_to(&t, VSR_GET_ENTRIES, VSR_ENTRIES);
    m.result = VSR_TRANSFER_SNAPSHOT;
    m.snapshot = (struct vsr_position){1, 50};
    hear(&t, m);
    m = answer_to(&t, VSR_GET_SNAPSHOT, VSR_SNAPSHOT_CHUNK);
    hear(&t, prepare(1, (struct vsr_position){1, 1}, 60));
    disk_done(&t);
    CHECK_INT(find(&t, VSR_ACTION_SEND, VSR_PREPARE_OK)->message.index, 60);
    m.data = data;
    m.length = sizeof(data);
    m.total = sizeof(data);
    m.last = true;
    hear(&t, m);
    CHECK(find(&t, VSR_ACTION_INSTALL_SNAPSHOT, 0) == NULL);
    CHECK_INT(t.status.op, 60);
    teardown(&t);
}

/* The same without the late entries: the snapshot is installed. */
static void
test_a_snapshot_is_installed(void)
{
    struct script t;
    uint8_t data[16] = {0};
    setup(&t, NULL);
    join_view_1(&t);
    hear(&t, prepare(1, (struct vsr_position){1, 60}, 60));
    struct vsr_message m = answer_to(&t, VSR_GET_ENTRIES, VSR_ENTRIES);
    m.result = VSR_TRANSFER_SNAPSHOT;
    m.snapshot = (struct vsr_position){1, 50};
    hear(&t, m);
    m = answer_to(&t, VSR_GET_SNAPSHOT, VSR_SNAPSHOT_CHUNK);
    m.data = data;
    m.length = sizeof(data);
    m.total = sizeof(data);
    m.last = true;
    m.session++;
    hear(&t, m);
    CHECK(find(&t, VSR_ACTION_STAGE_SNAPSHOT, 0) == NULL);
    CHECK_INT(t.status.stale_refused, 1);
    m.session--;
    hear(&t, m);
    CHECK(find(&t, VSR_ACTION_INSTALL_SNAPSHOT, 0) != NULL);
    teardown(&t);
}

/* A vote from before the voter lost its disk elects nobody. */
static void
test_a_vote_of_a_lost_disk_does_not_count(void)
{
    for (unsigned life = 1; life <= 2; life++) {
        struct script t;
        struct vsr_message ask = {
            .type = VSR_RECOVERY, .from = 2, .incarnation = 2, .session = 77};
        struct vsr_message vote = {.type = VSR_DO_VIEW_CHANGE,
                                   .from = 2,
                                   .view = 3,
                                   .sender_incarnation = life};
        setup(&t, NULL);
        hear(&t, ask);
        CHECK(find(&t, VSR_ACTION_SEND, VSR_RECOVERY_RESPONSE) == NULL);
        disk_done(&t);
        hear(&t, ask);
        CHECK(find(&t, VSR_ACTION_SEND, VSR_RECOVERY_RESPONSE) != NULL);
        hear(&t, vote);
        disk_done(&t);
        hear(&t, vote);
        CHECK((t.status.role == VSR_ROLE_PRIMARY) == (life == 2));
        teardown(&t);
    }
}

/* It may have led view 3 before: it neither leads it again nor serves its log.
 */
static void
test_a_restarted_primary_is_not_one(void)
{
    struct vsr_metadata metadata = {.replica_count = 3, .view = 3};
    struct vsr_message vote = {
        .type = VSR_DO_VIEW_CHANGE, .from = 2, .view = 3};
    struct vsr_message get = {.type = VSR_GET_ENTRIES, .from = 2, .view = 3};
    struct script t;
    setup(&t, &metadata);
    hear(&t, vote);
    CHECK(t.status.role == VSR_ROLE_VIEW_CHANGE);
    hear(&t, get);
    CHECK(find(&t, VSR_ACTION_SEND, VSR_ENTRIES) == NULL);
    vote.view = 6;
    hear(&t, vote);
    disk_done(&t);
    CHECK(t.status.role == VSR_ROLE_PRIMARY);
    get.view = 6;
    hear(&t, get);
    CHECK(find(&t, VSR_ACTION_SEND, VSR_ENTRIES) != NULL);
    teardown(&t);
}

int
main(void)
{
    RUN(test_late_entries_outlive_a_snapshot);
    RUN(test_a_snapshot_is_installed);
    RUN(test_a_vote_of_a_lost_disk_does_not_count);
    RUN(test_a_restarted_primary_is_not_one);
    return tap_done();
}
