/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of transactions as text, one string a transaction, in the order of
 * their invocations:
 *
 *   "PROCESS INVOKE-COMPLETE OP..."   complete: a rank, or ? (unknown);
 *                                     a ! behind it: it failed
 *   ax1      append 1 to key x        wx1      write 1 to key x
 *   rx[1,2]  read the list            rx1 rx_  read the register; _ is nil
 *
 * Keys are letters.  And the truth by brute force: whether any order (of the
 * transactions; for snapshot isolation of their beginnings and ends) explains
 * what they read.
 */
#ifndef ORDEAL_TESTS_TXN_BUILDER_H
#define ORDEAL_TESTS_TXN_BUILDER_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/txn-level.h"
#include "analyzer/models/txn.h"

#define TXN_TEXT_WORDS 256

static inline uint32_t
txn_text_key(struct calls *c, char letter)
{
    return value_of_text(c, &letter, 1);
}

/* "[1,2]" behind the key; returns the words. */
static inline uint32_t
txn_text_list(const char *text, uint32_t *words)
{
    uint32_t count = 0;

    for (const char *p = text; *p != ']';) {
        char *end;

        p++;
        if (*p == ']')
            break;
        words[1 + count++] = (uint32_t)strtoul(p, &end, 10);
        p = end;
    }
    words[0] = count == 0 ? VALUE_NIL : count;
    return count + 1;
}

static inline uint32_t
txn_text_op(struct calls *c, const char *text, bool open, uint32_t *words)
{
    words[0] = text[0] == 'a'   ? TXN_APPEND
               : text[0] == 'w' ? TXN_WRITE
                                : TXN_READ;
    words[1] = txn_text_key(c, text[1]);
    if (words[0] != TXN_READ) {
        words[2] =
            text[2] == '_' ? VALUE_NIL : (uint32_t)strtoul(text + 2, NULL, 10);
        return 3;
    }
    if (open) {
        words[2] = VALUE_ABSENT;
        return 3;
    }
    if (text[2] == '[')
        return 2 + txn_text_list(text + 2, words + 2);
    if (text[2] == '_') {
        words[2] = VALUE_NIL;
        return 3;
    }
    words[2] = 1;
    words[3] = (uint32_t)strtoul(text + 2, NULL, 10);
    return 4;
}

static inline void
txn_text_add(struct calls *c, const char *text)
{
    uint32_t words[TXN_TEXT_WORDS], count = 0, call;
    uint32_t complete = CALL_OPEN;
    bool failed = false;
    char *p;
    uint32_t process = (uint32_t)strtoul(text, &p, 10);
    uint32_t invoke = (uint32_t)strtoul(p, &p, 10);

    assert(*p == '-');
    if (p[1] == '?')
        p += 2;
    else
        complete = (uint32_t)strtoul(p + 1, &p, 10);
    if (*p == '!') {
        failed = true;
        p++;
    }
    call = calls_append(c, failed ? TXN_FAILED : TXN_DONE, process, invoke,
                        complete);
    for (const char *op = strchr(p, ' '); op != NULL; op = strchr(op, ' ')) {
        op++;
        assert(count + 64 < TXN_TEXT_WORDS);
        count +=
            txn_text_op(c, op, failed || complete == CALL_OPEN, words + count);
    }
    c->list[call] = calls_list(c, words, count);
    c->line[call] = c->count;
}

/* 'model' is a name as model_find takes it. */
static inline struct calls *
txn_text_calls(const char *model, const char *const *texts, size_t count)
{
    struct calls *c = calls_new_raw(model_find(model));

    for (size_t i = 0; i < count; i++)
        txn_text_add(c, texts[i]);
    return c;
}

/* ---- the truth, for at most eight transactions ---- */

#define TRUTH_TXNS 8
#define TRUTH_KEYS 4
#define TRUTH_VALUES 24

struct truth_state {
    struct {
        uint32_t count, values[TRUTH_VALUES];
    } keys[TRUTH_KEYS];
};

struct truth {
    const struct calls *calls;
    bool lists;
    enum txn_order order;
    uint32_t keys[TRUTH_KEYS], key_count;
    struct truth_run {
        bool begun, done;
        uint32_t begin; /* of snapshot isolation: commits before */
        unsigned wrote; /* bits of keys */
        struct truth_state snapshot;
    } runs[TRUTH_TXNS];
    uint32_t commits, written[TRUTH_KEYS]; /* by which commit */
};

static inline uint32_t
truth_key(struct truth *t, uint32_t number)
{
    for (uint32_t i = 0; i < t->key_count; i++)
        if (t->keys[i] == number)
            return i;
    assert(t->key_count < TRUTH_KEYS);
    t->keys[t->key_count] = number;
    return t->key_count++;
}

/* Runs a transaction; false: it read something else. */
static inline bool
truth_run(struct truth *t, uint32_t txn, struct truth_state *s,
          unsigned *ret_wrote)
{
    struct txn_op op;

    for (uint32_t at = 0; txn_next(t->calls, txn, &at, &op);) {
        uint32_t key = truth_key(t, op.key);

        if (op.kind != TXN_READ) {
            uint32_t n = t->lists ? s->keys[key].count : 0;

            assert(n < TRUTH_VALUES);
            s->keys[key].values[n] = op.value;
            s->keys[key].count = n + 1;
            *ret_wrote |= 1u << key;
        } else if (op.known && (op.count != s->keys[key].count ||
                                memcmp(op.elements, s->keys[key].values,
                                       op.count * sizeof(uint32_t)) != 0)) {
            return false;
        }
    }
    return true;
}

/* Whether all that must come before 'txn' is done. */
static inline bool
truth_ready(const struct truth *t, uint32_t txn)
{
    const struct calls *c = t->calls;

    for (uint32_t i = 0; i < c->count; i++)
        if (!t->runs[i].done && t->order != ORDER_NONE &&
            c->function[i] == TXN_DONE && c->complete[i] < c->invoke[txn] &&
            (t->order == ORDER_REAL_TIME || c->process[i] == c->process[txn]))
            return false;
    return true;
}

static inline bool
truth_finished(const struct truth *t)
{
    for (uint32_t i = 0; i < t->calls->count; i++)
        if (!t->runs[i].done && t->calls->function[i] == TXN_DONE &&
            t->calls->complete[i] != CALL_OPEN)
            return false;
    return true;
}

/* Whether the rest can be run one after the other. */
static inline bool
truth_serial_rest(struct truth *t, const struct truth_state *s)
{
    if (truth_finished(t))
        return true;
    for (uint32_t i = 0; i < t->calls->count; i++) {
        struct truth_state next = *s;
        unsigned wrote = 0;

        if (t->runs[i].done || t->calls->function[i] == TXN_FAILED ||
            !truth_ready(t, i) || !truth_run(t, i, &next, &wrote))
            continue;
        t->runs[i].done = true;
        if (truth_serial_rest(t, &next))
            return true;
        t->runs[i].done = false;
    }
    return false;
}

/* Nobody who committed since it began wrote what it writes. */
static inline bool
truth_may_commit(const struct truth *t, uint32_t txn)
{
    for (uint32_t k = 0; k < t->key_count; k++)
        if ((t->runs[txn].wrote >> k & 1) != 0 &&
            t->written[k] > t->runs[txn].begin)
            return false;
    return true;
}

static inline bool truth_snapshot_rest(struct truth *t,
                                       const struct truth_state *s);

static inline bool
truth_snapshot_commit(struct truth *t, const struct truth_state *s,
                      uint32_t txn)
{
    struct truth_state next = *s;
    uint32_t written[TRUTH_KEYS];
    bool found;

    if (!truth_may_commit(t, txn))
        return false;
    memcpy(written, t->written, sizeof(written));
    t->commits++;
    for (uint32_t k = 0; k < t->key_count; k++)
        if ((t->runs[txn].wrote >> k & 1) != 0) {
            t->written[k] = t->commits;
            next.keys[k] = t->runs[txn].snapshot.keys[k];
        }
    t->runs[txn].done = true;
    found = truth_snapshot_rest(t, &next);
    t->runs[txn].done = false;
    t->commits--;
    memcpy(t->written, written, sizeof(written));
    return found;
}

static inline bool
truth_snapshot_rest(struct truth *t, const struct truth_state *s)
{
    if (truth_finished(t))
        return true;
    for (uint32_t i = 0; i < t->calls->count; i++) {
        struct truth_run *r = &t->runs[i];

        if (r->done || t->calls->function[i] == TXN_FAILED)
            continue;
        if (r->begun) {
            if (truth_snapshot_commit(t, s, i))
                return true;
            continue;
        }
        r->snapshot = *s;
        r->wrote = 0;
        if (!truth_ready(t, i) || !truth_run(t, i, &r->snapshot, &r->wrote))
            continue;
        r->begun = true;
        r->begin = t->commits;
        if (truth_snapshot_rest(t, s))
            return true;
        r->begun = false;
    }
    return false;
}

/* Whether some execution at this level explains what was read. */
static inline bool
truth_allows(const struct calls *c, enum txn_level level)
{
    struct truth t = {.calls = c,
                      .lists = strncmp(c->model->name, "list", 4) == 0,
                      .order = txn_level_info(level)->order};
    struct truth_state s = {0};

    assert(c->count <= TRUTH_TXNS && txn_level_info(level)->atomic);
    return txn_level_info(level)->serial ? truth_serial_rest(&t, &s)
                                         : truth_snapshot_rest(&t, &s);
}

#endif
