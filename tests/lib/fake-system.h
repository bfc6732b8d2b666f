/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system in this process whose every attempt goes as the test says.  It has
 * one log with a dedupe table; every command succeeds, a reserve makes a lease.
 * Nothing of an allocator's rules is in it: it tests who asks, not who answers.
 *
 * Threads: any number of clients.
 */
#ifndef ORDEAL_TESTS_FAKE_SYSTEM_H
#define ORDEAL_TESTS_FAKE_SYSTEM_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "systems/system.h"

/* What becomes of one attempt. */
enum fake_fate {
    FAKE_ANSWER,
    FAKE_EXECUTE_SILENTLY, /* executed; the client sees a timeout */
    FAKE_LOSE,             /* not executed; the client sees a reset */
    FAKE_NOT_PRIMARY,      /* refused, with a hint at node 'fake_primary' */
    FAKE_NOT_READY,        /* refused, without a hint */
    FAKE_CONFLICT,         /* refused: the id belongs to other contents */
};

#define FAKE_LOG_MAX 65536

static struct fake {
    pthread_mutex_t lock;
    /* Called under the lock; NULL: always FAKE_ANSWER. */
    enum fake_fate (*fate)(const struct operation *op, unsigned node,
                           uint64_t request);
    unsigned primary;
    uint64_t term;
    int64_t slot;
    uint64_t requests, executions;
    struct id128 log[FAKE_LOG_MAX]; /* by index - 1; zero: tick */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .term = 1};

static void
fake_reset(void)
{
    fake.fate = NULL;
    fake.primary = 0;
    fake.term = 1;
    fake.slot = 0;
    fake.requests = 0;
    fake.executions = 0;
}

static inline int64_t
fake_slot(void)
{
    int64_t slot;

    pthread_mutex_lock(&fake.lock);
    slot = fake.slot;
    pthread_mutex_unlock(&fake.lock);
    return slot;
}

static uint64_t
fake_execute(const struct operation *op, bool *ret_cached)
{
    *ret_cached = false;
    for (uint64_t i = 0; op->mutation && i < fake.executions; i++) {
        if (id128_equal(fake.log[i], op->id)) {
            *ret_cached = true;
            return i + 1;
        }
    }
    if (fake.executions == FAKE_LOG_MAX)
        abort();
    fake.log[fake.executions++] = op->id;
    return fake.executions;
}

static void
fake_answer_read(const struct operation *op, struct arena *a,
                 struct attempt_result *ret)
{
    fields_set_bool(a, &ret->fields, "found", false);
    if (strcmp(op->function, "get_lease") == 0)
        fields_set_bool(a, &ret->fields, "retired", false);
    fields_set_int(a, &ret->fields, "applied", (int64_t)fake.executions);
    fields_set_int(a, &ret->fields, "slot", fake.slot);
}

static void
fake_answer(const struct operation *op, struct arena *a,
            struct attempt_result *ret)
{
    bool tick = strcmp(op->function, "tick") == 0, cached;
    int64_t slot;
    uint64_t index;

    if (!op->mutation && !tick) {
        fake_answer_read(op, a, ret);
        return;
    }
    index = fake_execute(op, &cached);
    if (tick && fields_int(&op->args, "slot", &slot) && slot > fake.slot)
        fake.slot = slot;
    ret->position = (struct position){true, fake.term, index};
    fields_set_string(a, &ret->fields, "code", "ok");
    fields_set_int(a, &ret->fields, "slot", fake.slot);
    if (tick) {
        fields_set_list(a, &ret->fields, "expired", NULL, 0);
        return;
    }
    fields_set_bool(a, &ret->fields, "cached", cached);
    if (strncmp(op->function, "reserve", 7) == 0)
        fields_set_id(a, &ret->fields, "lease", (struct id128){0, index});
    fields_set_int(a, &ret->fields, "epoch", 1);
}

static void
fake_invoke(struct client *c, const struct operation *op, unsigned node,
            int64_t timeout_ns, struct arena *a, struct attempt_result *ret)
{
    enum fake_fate fate = FAKE_ANSWER;

    memset(ret, 0, sizeof(*ret));
    ret->redirect = -1;
    pthread_mutex_lock(&fake.lock);
    fake.requests++;
    if (fake.fate != NULL)
        fate = fake.fate(op, node, fake.requests);
    if (fate == FAKE_ANSWER || fate == FAKE_EXECUTE_SILENTLY)
        fake_answer(op, a, ret);
    if (fate == FAKE_NOT_PRIMARY)
        ret->redirect = (int)fake.primary;
    pthread_mutex_unlock(&fake.lock);
    if (fate == FAKE_ANSWER) {
        ret->kind = EVENT_OK;
        return;
    }
    memset(&ret->fields, 0, sizeof(ret->fields));
    memset(&ret->position, 0, sizeof(ret->position));
    ret->kind = fate >= FAKE_NOT_PRIMARY ? EVENT_FAIL : EVENT_UNKNOWN;
    ret->error = fate == FAKE_NOT_PRIMARY ? "not_primary"
                 : fate == FAKE_NOT_READY ? "not_ready"
                 : fate == FAKE_CONFLICT  ? "operation_conflict"
                 : fate == FAKE_LOSE      ? "reset"
                                          : "timeout";
}

static void
fake_free(struct client *c)
{
    free(c);
}

static const struct client_ops fake_client_ops = {
    .invoke = fake_invoke,
    .free = fake_free,
};

static struct client *
fake_client_new(const struct cluster *c, const char *capability,
                uint64_t client_id, struct error *err)
{
    struct client *client = xcalloc(1, sizeof(*client));

    client->ops = &fake_client_ops;
    return client;
}

static const struct system_ops fake_system_ops = {
    .name = "fake",
    .description = "scripted, in process",
    .positions_total = true,
    .client_new = fake_client_new,
};

static void
fake_cluster(struct cluster *c, unsigned node_count)
{
    memset(c, 0, sizeof(*c));
    c->node_count = node_count;
    for (unsigned i = 0; i < node_count; i++) {
        snprintf(c->nodes[i].name, NODE_NAME_MAX, "n%u", i + 1);
        c->nodes[i].index = i;
    }
}

#endif
