/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of quota, pool and blocks as calls of the analyzer's models, whose
 * columns functions.h, quota.c and pool.c explain.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/check.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"
#include "tests/simulation/history.h"

static uint32_t
place_of(const char *const *names, const char *name)
{
    uint32_t i = 0;

    while (names[i] != NULL && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static uint32_t
append(struct calls *c, const struct history_op *o, uint32_t function)
{
    return calls_append(c, (uint8_t)function, (uint32_t)o->op.client, o->invoke,
                        o->complete == HISTORY_OPEN ? CALL_OPEN : o->complete);
}

static int64_t
slot_told(const struct history_op *o)
{
    return o->complete == HISTORY_OPEN ? -1 : (int64_t)o->answer.slot;
}

static void
set_result(struct calls *c, uint32_t call, const struct history_op *o,
           const char *const *codes)
{
    c->result[call] = o->complete == HISTORY_OPEN
                          ? VALUE_ABSENT
                          : place_of(codes, o->answer.code);
}

static void
add_quota(struct calls *c, const struct history_op *o)
{
    static const char *const functions[] = {"create_bucket", "debit", NULL};
    static const char *const codes[] = {
        "ok", "already_exists", "bucket_not_found", "insufficient_funds", NULL};
    uint32_t f = place_of(functions, o->op.function);
    uint32_t i = append(c, o, f);
    struct model_words w = {0};

    c->key[i] = value_of_int(c, (int64_t)o->op.a);
    model_words_add64(&w, slot_told(o));
    model_words_add64(&w, (int64_t)(f == 0 ? o->op.b : o->op.n));
    if (f == 0) {
        model_words_add64(&w, (int64_t)o->op.n);
        model_words_add64(&w, (int64_t)o->op.m);
    } else {
        model_words_add64(&w,
                          o->complete == HISTORY_OPEN ? -1 : o->answer.balance);
    }
    c->list[i] = model_words_list(c, &w);
    set_result(c, i, o, codes);
}

static void
add_pool(struct calls *c, const struct history_op *o)
{
    static const char *const functions[] = {"create_pool",  "place_hold",
                                            "confirm_hold", "release_hold",
                                            "expire_hold",  NULL};
    static const char *const codes[] = {"ok",
                                        "already_exists",
                                        "pool_not_found",
                                        "hold_not_found",
                                        "invalid_state",
                                        "insufficient_capacity",
                                        "hold_expired",
                                        NULL};
    uint32_t f = place_of(functions, o->op.function);
    uint32_t i = append(c, o, f);
    struct model_words w = {0};

    c->a[i] = f <= 1 ? value_of_int(c, 1000 + (int64_t)o->op.a) : VALUE_ABSENT;
    c->b[i] = f != 0 ? value_of_int(c, (int64_t)o->op.b) : VALUE_ABSENT;
    model_words_add64(&w, slot_told(o));
    model_words_add64(&w, (int64_t)o->op.n);
    model_words_add64(&w, (int64_t)o->op.m);
    c->list[i] = model_words_list(c, &w);
    set_result(c, i, o, codes);
}

/* The list: the version, then of a read the value; of a cas that was refused
 * the value alone. */
static void
add_block(struct calls *c, const struct history_op *o)
{
    static const char *const functions[] = {"read", "write", "cas", NULL};
    uint32_t f = place_of(functions, o->op.function), i;
    uint32_t value = value_of_int(c, (int64_t)o->answer.value);
    uint32_t words[2] = {value_of_int(c, (int64_t)o->answer.version), value};
    bool open = o->complete == HISTORY_OPEN;

    if (f == 0 && open)
        return; /* a read without an answer tells nothing */
    i = append(c, o, f);
    c->key[i] = value_of_int(c, (int64_t)o->op.a);
    if (f != 0)
        c->a[i] = value_of_int(c, (int64_t)(f == 2 ? o->op.b : o->op.n));
    if (f == 2)
        c->b[i] = value_of_int(c, (int64_t)o->op.n);
    if (open)
        return;
    if (f == 0) {
        c->list[i] = calls_list(c, words, 2);
        return;
    }
    c->result[i] = strcmp(o->answer.code, "ok") == 0;
    c->list[i] = calls_list(c, c->result[i] == 1 ? words : &value, 1);
}

static const struct model_ops *
model_of(enum machine_kind kind)
{
    return kind == MACHINE_QUOTA  ? &model_quota
           : kind == MACHINE_POOL ? &model_pool
                                  : &model_block;
}

bool
history_judge_model(const struct sim_history *h, enum machine_kind kind,
                    char *ret, size_t size)
{
    static const struct check_options options = {.jobs = 1, .no_shrink = true};
    struct calls *c = calls_new_raw(model_of(kind));
    struct check_result r;
    bool valid;

    c->rank_count = h->ranks;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct history_op *o = &h->ops[i];

        if (strcmp(o->op.function, "tick") == 0)
            continue;
        if (kind == MACHINE_QUOTA)
            add_quota(c, o);
        else if (kind == MACHINE_POOL)
            add_pool(c, o);
        else
            add_block(c, o);
    }
    check_calls(c, &options, &r);
    valid = r.verdict == VERDICT_VALID;
    if (!valid)
        snprintf(ret, size, "model %s: %s", c->model->name,
                 verdict_name(r.verdict));
    check_result_release(&r);
    calls_free(c);
    return valid;
}
