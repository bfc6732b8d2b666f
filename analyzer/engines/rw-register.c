/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that read and write registers, each value written to a key once
 * (Kingsbury and Alvaro, Elle, VLDB 2020, 4.2 and later).  Registers do not
 * show the order of their versions; three things are known of it: what was
 * there first came first, who read a version and replaced it made the next one,
 * and a reader comes behind the writer.  docs/TRANSACTIONS.md says what follows
 * and why.
 *
 * From serializable on a history without a cycle is not yet explained: an order
 * is searched for within the dependencies (txn-serial.h).
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/txn-case.h"
#include "analyzer/engines/txn-serial.h"
#include "harness/base/arena.h"

/* Per key. */
struct registers_key {
    bool nil_written;  /* nil does not tell what was there first */
    uint32_t writes;   /* first of a list through 'next', of what happened */
    uint32_t skip;     /* virtual node before all of these, or TXN_NONE */
    uint32_t nil_read; /* a transaction that read what was there first */
    /* What the transaction that is looked at did to it. */
    uint32_t txn;
    bool read, wrote;
    uint32_t version; /* it read first; TXN_NONE: nothing follows from it */
    uint32_t value;   /* it should read now */
};

struct registers {
    struct txn_case *t;
    struct registers_key *keys;
    uint32_t *versions; /* per micro-operation (txn-serial.h) */
    uint32_t *updaters; /* per version: who read and replaced it */
    uint32_t *next;     /* per write */
    /* Of those that happened, final writes by key: */
    uint32_t *sorted, *first; /* first: per key, and one more */
    uint32_t *place;          /* per write: in 'sorted' */
    uint32_t *last_read;      /* per write: the latest invocation of a reader */
};

/* ---- what reads tell ---- */

static void
registers_edge_found(struct registers *r, uint32_t reader, uint32_t write,
                     enum txn_anomaly a, const char *what)
{
    struct txn_case *t = r->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], other[TXN_NAME_MAX];
    uint32_t writer = t->writes[write].txn;

    if (!txn_case_found(t, a)) {
        return;
    }
    txn_case_long_name(t, writer, other);
    txn_case_long_name(t, reader, name);
    buf_printf(text, "%s observed %s's write of ", name, other);
    txn_case_words(t, write, text);
    buf_puts(text, what);
    if (writer != reader) {
        txn_case_edge(t, writer, reader, EDGE_OBSERVED, buf_text(text));
    }
}

static void
registers_internal(struct registers *r, const struct txn_cursor *o,
                   const struct registers_key *k, uint32_t value)
{
    struct txn_case *t = r->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], words[2][64];

    if (!txn_case_found(t, ANOMALY_INTERNAL)) {
        return;
    }
    buf_printf(text, "%s read ", txn_case_long_name(t, o->txn, name));
    txn_case_key_words(t, o->key, text);
    value_print(t->calls, value, words[0], sizeof(words[0]));
    value_print(t->calls, k->value, words[1], sizeof(words[1]));
    buf_printf(text, " as %s after it had %s %s itself", words[0],
               k->wrote ? "written" : "read", words[1]);
}

/* The version that a read shows: a write, the first one, or TXN_NONE: nobody
 * knows which. */
static uint32_t
registers_version(struct registers *r, const struct txn_cursor *o)
{
    struct txn_case *t = r->t;
    uint32_t write;

    if (o->op.count == 0) {
        return r->keys[o->key].nil_written ? TXN_NONE : t->write_count + o->key;
    }
    write = txn_case_writer(t, o->key, o->op.elements[0]);
    return write == TXN_NONE || t->writes[write].ambiguous ? TXN_NONE : write;
}

/* A read of a write: whether it should have been seen. */
static void
registers_observed(struct registers *r, const struct txn_cursor *o,
                   uint32_t write)
{
    struct txn_case *t = r->t;
    const struct txn_write *w = &t->writes[write];

    if (w->txn == o->txn) {
        if (write >= o->next_write) {
            registers_edge_found(r, o->txn, write, ANOMALY_FUTURE_READ,
                                 " before it was made");
        }
        return;
    }
    if (t->status[w->txn] == STATUS_FAILED) {
        registers_edge_found(r, o->txn, write, ANOMALY_G1A, ", which failed");
    } else if (!w->final) {
        registers_edge_found(r, o->txn, write, ANOMALY_G1B,
                             ", which was not its last to that key");
    }
    if (t->status[w->txn] == STATUS_OPEN) {
        t->status[w->txn] = STATUS_SEEN;
    }
}

static void
registers_read(struct registers *r, const struct txn_cursor *o)
{
    struct txn_case *t = r->t;
    struct registers_key *k = &r->keys[o->key];
    uint32_t value = o->op.count == 0 ? VALUE_NIL : o->op.elements[0];
    uint32_t version = registers_version(r, o);

    if ((k->read || k->wrote) && k->value != value) {
        registers_internal(r, o, k, value);
    }
    if (version < t->write_count) {
        registers_observed(r, o, version);
    }
    if (!k->wrote &&
        (version >= t->write_count || t->writes[version].txn != o->txn)) {
        r->versions[o->op_index] = version;
        if (!k->read) {
            k->version = version;
        }
    }
    k->read = true;
    k->value = value;
}

/* Names who wrote a version: alone, its readers would have read something of
 * which nobody knows anything. */
static void
registers_evidence(struct registers *r, uint32_t version)
{
    char name[TXN_NAME_MAX];

    if (version < r->t->write_count) {
        txn_case_name(r->t, r->t->writes[version].txn, name);
    }
}

static void
registers_lost_update(struct registers *r, uint32_t first, uint32_t second,
                      uint32_t key, uint32_t value)
{
    struct txn_case *t = r->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], other[TXN_NAME_MAX], words[64];

    if (!txn_case_found(t, ANOMALY_LOST_UPDATE)) {
        return;
    }
    buf_printf(text, "%s and %s both read ", txn_case_long_name(t, first, name),
               txn_case_long_name(t, second, other));
    txn_case_key_words(t, key, text);
    buf_printf(text, " as %s and then wrote to it",
               value_print(t->calls, value, words, sizeof(words)));
    txn_case_edge(t, first, second, EDGE_ANTI, buf_text(text));
    txn_case_edge(t, second, first, EDGE_ANTI, buf_text(text));
    registers_evidence(r, r->keys[key].version);
}

static void
registers_write(struct registers *r, const struct txn_cursor *o)
{
    struct registers_key *k = &r->keys[o->key];

    if (!k->wrote && k->read && k->version != TXN_NONE) {
        uint32_t *updater = &r->updaters[k->version];

        if (*updater != TXN_NONE && *updater != o->txn) {
            registers_lost_update(r, *updater, o->txn, o->key, k->value);
        } else {
            *updater = o->txn;
        }
    }
    k->wrote = true;
    k->value = o->op.value;
}

static bool
registers_look(struct registers *r)
{
    struct txn_case *t = r->t;

    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            struct registers_key *k = &r->keys[o.key];

            if (k->txn != i) {
                k->txn = i;
                k->read = k->wrote = false;
                k->version = TXN_NONE;
            }
            if (o.op.kind != TXN_READ) {
                registers_write(r, &o);
            } else if (o.op.known) {
                registers_read(r, &o);
            }
        }
    }
    return true;
}

/* ---- dependencies ---- */

/* Whoever read what was there first comes before all who wrote. */
static bool
registers_first_read(struct registers *r, uint32_t txn, uint32_t key)
{
    struct txn_case *t = r->t;
    struct registers_key *k = &r->keys[key];
    uint32_t updater = r->updaters[t->write_count + key];

    if (txn == updater) {
        if (k->nil_read == txn) {
            return true;
        }
        k->nil_read = txn;
        for (uint32_t w = k->writes; w != TXN_NONE; w = r->next[w]) {
            if (!txn_graph_add(&t->graph, txn, t->writes[w].txn, TXN_RW) ||
                !txn_graph_add(&t->graph, txn, t->writes[w].txn, TXN_UPDATE)) {
                return false;
            }
        }
        return true;
    }
    /* Who lost an update, or contradicts itself, must not come before itself:
     * that is an anomaly anyway. */
    if (k->writes == TXN_NONE || txn_case_wrote(t, txn, key, UINT32_MAX)) {
        return true;
    }
    if (k->skip == TXN_NONE) {
        k->skip = txn_graph_virtual(&t->graph);
        for (uint32_t w = k->writes; w != TXN_NONE; w = r->next[w]) {
            if (!txn_graph_add(&t->graph, k->skip, t->writes[w].txn, TXN_VIA)) {
                return false;
            }
        }
    }
    return txn_graph_add(&t->graph, txn, k->skip, TXN_RW);
}

static bool
registers_depend(struct registers *r, const struct txn_cursor *o)
{
    struct txn_case *t = r->t;
    uint32_t version = registers_version(r, o);

    if (version == TXN_NONE) {
        return true;
    }
    if (version >= t->write_count) {
        return r->versions[o->op_index] == TXN_NONE ||
               registers_first_read(r, o->txn, o->key);
    }
    uint32_t writer = t->writes[version].txn, updater = r->updaters[version];
    if (txn_case_counts(t, writer) && writer != o->txn &&
        !txn_graph_add(&t->graph, writer, o->txn, TXN_WR)) {
        return false;
    }
    return updater == TXN_NONE || writer == o->txn ||
           txn_graph_add(&t->graph, o->txn, updater, TXN_RW);
}

static bool
registers_dependencies(struct registers *r)
{
    struct txn_case *t = r->t;

    for (uint32_t i = 0; i < t->write_count; i++) {
        struct registers_key *k = &r->keys[t->writes[i].key];

        if (txn_case_counts(t, t->writes[i].txn) && t->writes[i].final) {
            r->next[i] = k->writes;
            k->writes = i;
        }
    }
    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            if (o.op.kind == TXN_READ && o.op.known &&
                !registers_depend(r, &o)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- versions in real time ---- */

/* Looked at for one read or write; in a correct history there are no more than
 * processes. */
#define REGISTERS_NEAR 64

static uint32_t
registers_invoked(const struct registers *r, uint32_t write)
{
    const struct txn_case *t = r->t;

    return t->calls->invoke[txn_case_call(t, t->writes[write].txn)];
}

static uint32_t
registers_answered(const struct registers *r, uint32_t write)
{
    const struct txn_case *t = r->t;

    return t->calls->complete[txn_case_call(t, t->writes[write].txn)];
}

/* Writes by key, in the order of their invocations. */
static bool
registers_sort(struct registers *r)
{
    struct txn_case *t = r->t;
    size_t keys = (size_t)t->key_count + 2;

    r->sorted = txn_pool_alloc(&t->pool, t->write_count, sizeof(*r->sorted));
    r->first = txn_pool_alloc(&t->pool, keys, sizeof(*r->first));
    r->place = txn_pool_alloc(&t->pool, t->write_count, sizeof(*r->place));
    r->last_read =
        txn_pool_alloc(&t->pool, t->write_count, sizeof(*r->last_read));
    if (t->pool.failed) {
        return false;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < t->write_count; i++) {
            uint32_t key = t->writes[i].key;

            if (!t->writes[i].final || !txn_case_counts(t, t->writes[i].txn)) {
                continue;
            }
            if (pass == 0) {
                r->first[key + 2]++;
            } else {
                r->place[i] = r->first[key + 1]++;
                r->sorted[r->place[i]] = i;
            }
        }
        for (uint32_t i = 2; pass == 0 && i < keys; i++) {
            r->first[i] += r->first[i - 1];
        }
    }
    return true;
}

/* Who wrote after what this read shows had been answered, and began before its
 * own answer: overwrote it.  All later ones come behind it in real time. */
static bool
registers_later(struct registers *r, const struct txn_cursor *o)
{
    struct txn_case *t = r->t;
    uint32_t version = r->versions[o->op_index], near = 0;

    if (version >= t->write_count || !t->writes[version].final ||
        !txn_case_counts(t, t->writes[version].txn)) {
        return true;
    }
    uint32_t call = txn_case_call(t, o->txn);
    uint32_t answered = registers_answered(r, version);
    uint32_t low = r->first[o->key], high = r->first[o->key + 1];
    if (r->last_read[version] < t->calls->invoke[call]) {
        r->last_read[version] = t->calls->invoke[call];
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (registers_invoked(r, r->sorted[middle]) > answered) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    for (; low < r->first[o->key + 1] && near < REGISTERS_NEAR; low++, near++) {
        uint32_t write = r->sorted[low];

        if (registers_invoked(r, write) > t->calls->complete[call]) {
            break;
        }
        if (!txn_graph_add(&t->graph, o->txn, t->writes[write].txn,
                           TXN_LATER)) {
            return false;
        }
    }
    return true;
}

/* A write that was answered before something that read this version began, and
 * that did not end before this began (then real time says it). */
static bool
registers_is_earlier(const struct registers *r, uint32_t write,
                     uint32_t version)
{
    uint32_t answered = registers_answered(r, write);

    return write != version && answered < r->last_read[version] &&
           answered > registers_invoked(r, version);
}

static bool
registers_earlier(struct registers *r, uint32_t version)
{
    struct txn_case *t = r->t;
    uint32_t key = t->writes[version].key, place = r->place[version];
    uint32_t low = r->first[key], high = r->first[key + 1];

    low = place - low > REGISTERS_NEAR ? place - REGISTERS_NEAR : low;
    high = high - place > REGISTERS_NEAR ? place + REGISTERS_NEAR : high;
    for (uint32_t i = low; i < high; i++) {
        uint32_t write = r->sorted[i];

        if (registers_invoked(r, write) > registers_answered(r, version)) {
            break;
        }
        if (registers_is_earlier(r, write, version) &&
            !txn_graph_add(&t->graph, t->writes[write].txn,
                           t->writes[version].txn, TXN_EARLIER)) {
            return false;
        }
    }
    return true;
}

static bool
registers_real_time(struct registers *r)
{
    struct txn_case *t = r->t;

    if (!registers_sort(r)) {
        return false;
    }
    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            if (o.op.kind == TXN_READ && !registers_later(r, &o)) {
                return false;
            }
        }
    }
    for (uint32_t i = 0; i < t->write_count; i++) {
        if (budget_expired(t->budget) ||
            (r->last_read[i] != 0 && !registers_earlier(r, i))) {
            return false;
        }
    }
    return true;
}

/* ---- in words ---- */

/* The final write of a transaction to a key; TXN_NONE. */
static uint32_t
registers_final(const struct registers *r, uint32_t txn, uint32_t key)
{
    const struct txn_case *t = r->t;

    for (uint32_t i = t->first_write[txn]; i < t->first_write[txn + 1]; i++) {
        if (t->writes[i].key == key && t->writes[i].final) {
            return i;
        }
    }
    return TXN_NONE;
}

static bool
registers_because_wr(struct registers *r, const struct txn_hop *hop,
                     struct buf *out)
{
    struct txn_case *t = r->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX];

    for (struct txn_cursor o = txn_case_ops(t, hop->to);
         txn_case_next(t, &o);) {
        if (o.op.kind != TXN_READ || !o.op.known) {
            continue;
        }
        uint32_t version = registers_version(r, &o);
        if (version < t->write_count && t->writes[version].txn == hop->from) {
            txn_case_name(t, hop->from, from);
            txn_case_name(t, hop->to, to);
            buf_printf(out, "%s observed %s's write of ", to, from);
            txn_case_words(t, version, out);
            return true;
        }
    }
    return false;
}

/* Reader before writer: of a version whose update this is, or of what was there
 * first. */
static bool
registers_because_rw(struct registers *r, const struct txn_hop *hop,
                     struct buf *out)
{
    struct txn_case *t = r->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX], value[64];

    txn_case_name(t, hop->from, from);
    txn_case_name(t, hop->to, to);
    for (struct txn_cursor o = txn_case_ops(t, hop->from);
         txn_case_next(t, &o);) {
        uint32_t version, w;

        if (o.op.kind != TXN_READ || !o.op.known) {
            continue;
        }
        version = registers_version(r, &o);
        w = registers_final(r, hop->to, o.key);
        if (version == TXN_NONE || w == TXN_NONE ||
            (hop->via != TXN_NONE && r->keys[o.key].skip != hop->via) ||
            (version < t->write_count && r->updaters[version] != hop->to)) {
            continue;
        }
        value_print(t->calls, o.op.count == 0 ? VALUE_NIL : o.op.elements[0],
                    value, sizeof(value));
        buf_printf(out, "%s read %s, %s before %s's write of ", from, value,
                   version < t->write_count ? "which that one replaced,"
                                            : "what was there",
                   to);
        txn_case_words(t, w, out);
        registers_evidence(r, version);
        return true;
    }
    return false;
}

/* It read a version whose write was answered before the other's began. */
static bool
registers_because_later(struct registers *r, const struct txn_hop *hop,
                        struct buf *out)
{
    struct txn_case *t = r->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX], value[64];

    txn_case_name(t, hop->from, from);
    txn_case_name(t, hop->to, to);
    for (struct txn_cursor o = txn_case_ops(t, hop->from);
         txn_case_next(t, &o);) {
        uint32_t version = r->versions[o.op_index], w;

        w = registers_final(r, hop->to, o.key);
        if (o.op.kind != TXN_READ || version >= t->write_count ||
            w == TXN_NONE ||
            registers_answered(r, version) >= registers_invoked(r, w)) {
            continue;
        }
        value_print(t->calls, t->writes[version].value, value, sizeof(value));
        buf_printf(out, "%s read %s, written before %s began, which wrote ",
                   from, value, to);
        txn_case_words(t, w, out);
        registers_evidence(r, version);
        return true;
    }
    return false;
}

/* A transaction that read the version and began when the write had been
 * answered; TXN_NONE. */
static uint32_t
registers_reader_after(const struct registers *r, uint32_t version,
                       uint32_t write)
{
    const struct txn_case *t = r->t;

    for (uint32_t i = t->txn_count; i-- > 0;) {
        if (t->calls->invoke[txn_case_call(t, i)] <=
            registers_answered(r, write)) {
            break;
        }
        for (uint32_t o = t->first_op[i]; o < t->first_op[i + 1]; o++) {
            if (r->versions[o] == version) {
                return i;
            }
        }
    }
    return TXN_NONE;
}

static bool
registers_because_earlier(struct registers *r, const struct txn_hop *hop,
                          struct buf *out)
{
    struct txn_case *t = r->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX], name[TXN_NAME_MAX];

    txn_case_name(t, hop->from, from);
    txn_case_name(t, hop->to, to);
    for (uint32_t w = t->first_write[hop->from];
         w < t->first_write[hop->from + 1]; w++) {
        uint32_t version = registers_final(r, hop->to, t->writes[w].key);
        uint32_t reader;

        if (!t->writes[w].final || version == TXN_NONE ||
            !registers_is_earlier(r, w, version)) {
            continue;
        }
        reader = registers_reader_after(r, version, w);
        if (reader == TXN_NONE) {
            continue;
        }
        txn_case_name(t, reader, name);
        buf_printf(out,
                   "%s was answered before %s was invoked, which observed "
                   "%s's write of ",
                   from, name, to);
        txn_case_words(t, version, out);
        return true;
    }
    return false;
}

static void
registers_because(struct txn_case *t, void *engine, const struct txn_hop *hop,
                  struct buf *out)
{
    struct registers *r = engine;
    bool known = false;

    assert(r->t == t);
    if (hop->kind == TXN_WR) {
        known = registers_because_wr(r, hop, out);
    } else if (hop->kind == TXN_RW || hop->kind == TXN_UPDATE) {
        known = registers_because_rw(r, hop, out);
    } else if (hop->kind == TXN_LATER) {
        known = registers_because_later(r, hop, out);
    } else if (hop->kind == TXN_EARLIER) {
        known = registers_because_earlier(r, hop, out);
    }
    assert(known); /* every edge was made of one of these */
}

/* Somebody read a write of it. */
static void
registers_seen_by(struct txn_case *t, void *engine, uint32_t txn)
{
    struct registers *r = engine;
    char name[TXN_NAME_MAX];

    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            uint32_t version = o.op.kind == TXN_READ && o.op.known
                                   ? registers_version(r, &o)
                                   : TXN_NONE;

            if (version < t->write_count && t->writes[version].txn == txn) {
                txn_case_name(t, i, name);
                return;
            }
        }
    }
}

/* ---- the decision ---- */

static void
registers_no_order(struct registers *r, uint32_t *order, struct decision *ret)
{
    struct txn_case *t = r->t;
    uint32_t count = 0;

    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (txn_case_counts(t, i)) {
            order[count++] = txn_case_call(t, i);
        }
    }
    ret->verdict = VERDICT_INVALID;
    ret->core = xcalloc(count, sizeof(*ret->core));
    memcpy(ret->core, order, count * sizeof(*ret->core));
    ret->core_count = count;
    snprintf(ret->headline, sizeof(ret->headline),
             "no order of the %u transactions explains all that they read, so "
             "not %s",
             count, txn_level_info(t->level)->name);
}

/* No anomaly follows; from serializable on there must be an order. */
static bool
registers_search(struct registers *r, struct decision *ret)
{
    struct txn_case *t = r->t;
    const struct txn_level_info *level = txn_level_info(t->level);
    uint32_t *order = txn_pool_alloc(&t->pool, t->txn_count, sizeof(*order));
    unsigned kinds = TXN_DATA | TXN_BIT(TXN_UPDATE), own = kinds;
    unsigned real_time =
        TXN_BIT(TXN_REAL_TIME) | TXN_BIT(TXN_LATER) | TXN_BIT(TXN_EARLIER);
    enum txn_serial_result result = SERIAL_STOPPED;
    uint32_t count = 0;

    if (order == NULL) {
        return false;
    }
    if (level->order == ORDER_SESSION) {
        own |= TXN_BIT(TXN_SESSION);
    } else if (level->order == ORDER_REAL_TIME) {
        own |= real_time;
    }
    /* Where real time does not count it is still the best guess. */
    if (level->order != ORDER_REAL_TIME) {
        result = txn_serial_search(
            t, r->versions, kinds | TXN_BIT(TXN_REAL_TIME), order, &count);
    }
    if (result == SERIAL_STOPPED || result == SERIAL_NONE) {
        result = txn_serial_search(t, r->versions, own, order, &count);
    }
    if (result == SERIAL_GAVE_UP) {
        return false;
    }
    if (result == SERIAL_FOUND) {
        txn_case_valid(t, order, count, ret);
    } else if (result == SERIAL_NONE) {
        registers_no_order(r, order, ret);
    } else {
        ret->verdict = VERDICT_UNKNOWN;
        snprintf(ret->reason, sizeof(ret->reason),
                 "no anomaly follows from what was read, but no order of the "
                 "%u transactions was found either",
                 t->txn_count);
    }
    return true;
}

static void
registers_ambiguous(struct registers *r, uint32_t write, struct decision *ret)
{
    struct txn_case *t = r->t;
    char value[64];

    ret->verdict = VERDICT_UNKNOWN;
    snprintf(
        ret->reason, sizeof(ret->reason),
        "%s was written %s (line %u): which write was read cannot be told",
        value_print(t->calls, t->writes[write].value, value, sizeof(value)),
        t->writes[write].value == VALUE_NIL ? "and is there at first"
                                            : "twice to one key",
        t->calls->line[txn_case_call(t, t->writes[write].txn)]);
}

static bool
registers_alloc(struct registers *r)
{
    struct txn_case *t = r->t;
    size_t versions = (size_t)t->write_count + t->key_count;

    r->keys = txn_pool_alloc(&t->pool, t->key_count, sizeof(*r->keys));
    r->versions = txn_pool_alloc(&t->pool, t->op_count, sizeof(*r->versions));
    r->updaters = txn_pool_alloc(&t->pool, versions, sizeof(*r->updaters));
    r->next = txn_pool_alloc(&t->pool, t->write_count, sizeof(*r->next));
    if (t->pool.failed) {
        return false;
    }
    memset(r->versions, 0xff, (size_t)t->op_count * sizeof(*r->versions));
    memset(r->updaters, 0xff, versions * sizeof(*r->updaters));
    for (uint32_t i = 0; i < t->key_count; i++) {
        r->keys[i] = (struct registers_key){.writes = TXN_NONE,
                                            .skip = TXN_NONE,
                                            .nil_read = TXN_NONE,
                                            .txn = TXN_NONE};
    }
    return true;
}

static bool
registers_judge(struct registers *r, struct decision *ret)
{
    struct txn_case *t = r->t;
    const struct txn_level_info *level = txn_level_info(t->level);
    uint32_t ambiguous = t->ambiguous;
    bool times = level->serial || level->order == ORDER_REAL_TIME;

    if (!registers_alloc(r)) {
        return false;
    }
    for (uint32_t i = 0; i < t->write_count; i++) {
        if (t->writes[i].value == VALUE_NIL) {
            r->keys[t->writes[i].key].nil_written = true;
            ambiguous = i;
        }
    }
    t->because = registers_because;
    t->seen_by = registers_seen_by;
    t->engine = r;
    t->barriers = level->serial;
    if (!registers_look(r) || !registers_dependencies(r) ||
        (times && !registers_real_time(r)) || !txn_case_cycles(t, NULL)) {
        return false;
    }
    if (txn_case_decide(t, ret)) {
        return true;
    }
    if (ambiguous != TXN_NONE) {
        registers_ambiguous(r, ambiguous, ret);
        return true;
    }
    if (level->serial) {
        return registers_search(r, ret);
    }
    ret->verdict = VERDICT_VALID;
    return true;
}

static bool
rw_register_judge(struct txn_case *t, struct decision *ret)
{
    struct registers r = {.t = t};

    return registers_judge(&r, ret);
}

static void
rw_register_once(const struct problem *p, struct budget *b,
                 struct decision *ret)
{
    txn_case_run(p, b, rw_register_judge, ret);
}

static void
rw_register_decide(const struct problem *p, struct budget *b,
                   struct decision *ret)
{
    txn_shrunk(rw_register_once, p, b, ret);
}

const struct engine_ops engine_rw_register = {
    .name = "rw-register",
    .description = "cycles of dependencies between reads and writes",
    .decide = rw_register_decide,
};
