/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that append to lists and read them (Kingsbury and Alvaro, Elle,
 * VLDB 2020).  A list shows the order of its appends: the longest read of a key
 * is its chain, every other read must be the beginning of it, and appends that
 * the chain does not show come behind it.  From the chains follow the
 * dependencies, from these the cycles.  What each inference rests on is in
 * docs/TRANSACTIONS.md.
 *
 * Happy path: longest reads -> all reads fit -> chains and their writers ->
 * edges -> no cycle -> an order that replays.  Linear in the words of the
 * history, apart from sorting answers by time.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/txn-case.h"

/* Per key. */
struct lists_key {
    const uint32_t *longest; /* elements */
    uint32_t count;          /* of them */
    uint32_t reader;         /* TXN_NONE: nobody read it */
    uint32_t chain; /* the first of count + 1 places in the tables below */
    bool broken;    /* reads contradict each other: nothing follows */
    /* Writes of what happened and was not read: a list through 'next'. */
    uint32_t unread, unread_txns;
    uint32_t skip; /* virtual node before all of these, or TXN_NONE */
    /* What the transaction that is looked at did to it. */
    uint32_t txn; /* which one */
    const uint32_t *seen;
    uint32_t seen_count; /* of its last read; TXN_NONE: none yet */
    uint32_t added;      /* own appends since then */
    uint32_t ends;       /* readers of all of the chain: a list of 'ends' */
};

struct lists {
    struct txn_case *t;
    struct lists_key *keys;
    uint32_t *place; /* per write: in its key's chain, or TXN_NONE */
    uint32_t *next;  /* per write: unread lists */
    /* Per place of all chains, one more at the end of each: */
    uint32_t *element; /* the write that made it, or TXN_NONE */
    uint32_t *ahead;   /* the first known write at or behind the place */
    uint32_t *before;  /* the last known write before it */
    uint32_t *updater; /* who read up to here and appended, or TXN_NONE */
    uint32_t places;
    struct lists_end {
        uint32_t txn, next;
    } * ends;
    uint32_t end_count, end_cap;
    uint32_t *mark; /* per transaction */
};

static const uint32_t lists_nothing[1];

/* ---- the longest reads ---- */

static bool
lists_longest(struct lists *l)
{
    struct txn_case *t = l->t;

    for (uint32_t i = 0; i < t->key_count; i++) {
        l->keys[i] = (struct lists_key){.longest = lists_nothing,
                                        .reader = TXN_NONE,
                                        .unread = TXN_NONE,
                                        .skip = TXN_NONE,
                                        .txn = TXN_NONE,
                                        .ends = TXN_NONE};
    }
    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            struct lists_key *k = &l->keys[o.key];

            if (o.op.kind == TXN_READ && o.op.known &&
                (k->reader == TXN_NONE || o.op.count > k->count)) {
                k->reader = i;
                k->longest = o.op.elements;
                k->count = o.op.count;
            }
        }
    }
    return true;
}

/* A read that shows what a failed transaction wrote. */
static void
lists_aborted(struct lists *l, uint32_t reader, uint32_t write,
              uint32_t followed_by)
{
    struct txn_case *t = l->t;
    bool dirty = followed_by != TXN_NONE;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], other[TXN_NAME_MAX];
    struct buf clause;

    if (!txn_case_found(t, dirty ? ANOMALY_DIRTY_UPDATE : ANOMALY_G1A)) {
        return;
    }
    uint32_t writer = t->writes[write].txn;
    buf_init(&clause, DECISION_HEADLINE_MAX);
    txn_case_long_name(t, writer, name);
    txn_case_long_name(t, reader, other);
    buf_printf(text, "%s failed, but %s observed its append of ", name, other);
    txn_case_words(t, write, text);
    buf_printf(&clause, "%s observed the append of ",
               txn_case_name(t, reader, other));
    txn_case_words(t, write, &clause);
    buf_puts(&clause, ", which failed");
    txn_case_edge(t, writer, reader, EDGE_OBSERVED, buf_text(&clause));
    if (dirty) {
        txn_case_long_name(t, t->writes[followed_by].txn, name);
        buf_printf(text, ", and %s put its append of ", name);
        txn_case_words(t, followed_by, text);
        buf_puts(text, " behind it");
        txn_case_edge(t, writer, t->writes[followed_by].txn, EDGE_OVERWRITE,
                      buf_text(text));
    }
    buf_release(&clause);
}

static void
lists_aborted_any(struct lists *l, uint32_t key, uint32_t reader,
                  const uint32_t *elements, uint32_t count)
{
    const struct txn_case *t = l->t;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t write = txn_case_writer(t, key, elements[i]);

        if (write != TXN_NONE &&
            t->status[t->writes[write].txn] == STATUS_FAILED) {
            lists_aborted(l, reader, write, TXN_NONE);
        }
    }
}

/* Two reads neither of which begins the other. */
static void
lists_incompatible(struct lists *l, uint32_t key, uint32_t reader,
                   const struct txn_op *op)
{
    struct txn_case *t = l->t;
    struct lists_key *k = &l->keys[key];
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], words[2][64];
    uint32_t at = 0;

    k->broken = true;
    lists_aborted_any(l, key, reader, op->elements, op->count);
    lists_aborted_any(l, key, k->reader, k->longest, k->count);
    if (!txn_case_found(t, ANOMALY_INCOMPATIBLE_ORDER)) {
        return;
    }
    while (op->elements[at] == k->longest[at]) {
        at++;
    }
    value_print(t->calls, k->longest[at], words[0], sizeof(words[0]));
    value_print(t->calls, op->elements[at], words[1], sizeof(words[1]));
    buf_printf(text, "%s observed %s as element %u of ",
               txn_case_long_name(t, k->reader, name), words[0], at + 1);
    txn_case_key_words(t, key, text);
    buf_printf(text, ", %s observed %s there: no order of appends has both",
               txn_case_long_name(t, reader, name), words[1]);
    txn_case_edge(t, k->reader, reader, EDGE_OBSERVED, buf_text(text));
}

static bool
lists_fit(struct lists *l)
{
    struct txn_case *t = l->t;

    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            const struct lists_key *k = &l->keys[o.key];

            if (o.op.kind == TXN_READ && o.op.known && o.op.count > 0 &&
                o.op.elements != k->longest &&
                memcmp(o.op.elements, k->longest,
                       (size_t)o.op.count * sizeof(uint32_t)) != 0) {
                lists_incompatible(l, o.key, i, &o.op);
            }
        }
    }
    return true;
}

/* ---- chains ---- */

static void
lists_duplicate(struct lists *l, uint32_t key, uint32_t write, uint32_t first,
                uint32_t second)
{
    struct txn_case *t = l->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], value[64];
    uint32_t reader = l->keys[key].reader;

    if (!txn_case_found(t, ANOMALY_DUPLICATE_ELEMENTS)) {
        return;
    }
    value_print(t->calls, t->writes[write].value, value, sizeof(value));
    buf_printf(text, "%s observed %s twice, as elements %u and %u of ",
               txn_case_long_name(t, reader, name), value, first + 1,
               second + 1);
    txn_case_key_words(t, key, text);
    buf_printf(text, ", but only %s appended it, once",
               txn_case_long_name(t, t->writes[write].txn, name));
    txn_case_edge(t, t->writes[write].txn, reader, EDGE_OBSERVED,
                  buf_text(text));
}

/* Who made each element; transactions that are seen through them. */
static void
lists_place(struct lists *l, uint32_t key)
{
    struct txn_case *t = l->t;
    struct lists_key *k = &l->keys[key];
    uint32_t aborted = TXN_NONE;

    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t write = txn_case_writer(t, key, k->longest[i]);

        l->element[k->chain + i] = write;
        if (write == TXN_NONE || t->writes[write].ambiguous) {
            l->element[k->chain + i] = TXN_NONE;
            continue;
        }
        if (l->place[write] != TXN_NONE) {
            lists_duplicate(l, key, write, l->place[write], i);
            l->element[k->chain + i] = TXN_NONE;
            k->broken = true;
            continue;
        }
        l->place[write] = i;
        uint32_t txn = t->writes[write].txn;
        if (t->status[txn] == STATUS_FAILED) {
            lists_aborted(l, k->reader, write, TXN_NONE);
            aborted = write;
        } else if (aborted != TXN_NONE) {
            lists_aborted(l, k->reader, aborted, write);
        }
        if (t->status[txn] == STATUS_OPEN) {
            t->status[txn] = STATUS_SEEN;
        }
    }
}

/* The known writers around each place, and that they follow each other. */
static bool
lists_link(struct lists *l, uint32_t key)
{
    struct txn_case *t = l->t;
    const struct lists_key *k = &l->keys[key];
    uint32_t known = TXN_NONE;

    for (uint32_t i = 0; i <= k->count; i++) {
        uint32_t write = l->element[k->chain + i];

        l->before[k->chain + i] = known;
        l->updater[k->chain + i] = TXN_NONE;
        if (i == k->count || write == TXN_NONE ||
            !txn_case_counts(t, t->writes[write].txn)) {
            l->element[k->chain + i] = TXN_NONE;
            continue;
        }
        if (known != TXN_NONE && !txn_graph_add(&t->graph, t->writes[known].txn,
                                                t->writes[write].txn, TXN_WW)) {
            return false;
        }
        known = write;
    }
    known = TXN_NONE;
    for (uint32_t i = k->count + 1; i-- > 0;) {
        if (l->element[k->chain + i] != TXN_NONE) {
            known = l->element[k->chain + i];
        }
        l->ahead[k->chain + i] = known;
    }
    return true;
}

static bool
lists_chains(struct lists *l)
{
    struct txn_case *t = l->t;
    uint64_t places = 0;

    for (uint32_t i = 0; i < t->key_count; i++) {
        l->keys[i].chain = (uint32_t)places;
        places += (uint64_t)l->keys[i].count + 1;
    }
    if (places >= TXN_NONE) {
        t->pool.failed = true;
        return false;
    }
    l->places = (uint32_t)places;
    l->place = txn_pool_alloc(&t->pool, t->write_count, sizeof(*l->place));
    l->element = txn_pool_alloc(&t->pool, places, sizeof(*l->element));
    l->ahead = txn_pool_alloc(&t->pool, places, sizeof(*l->ahead));
    l->before = txn_pool_alloc(&t->pool, places, sizeof(*l->before));
    l->updater = txn_pool_alloc(&t->pool, places, sizeof(*l->updater));
    if (t->pool.failed) {
        return false;
    }
    memset(l->place, 0xff, (size_t)t->write_count * sizeof(*l->place));
    for (uint32_t i = 0; i < t->key_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (!l->keys[i].broken) {
            lists_place(l, i);
        }
    }
    for (uint32_t i = 0; i < t->key_count; i++) {
        if (budget_expired(t->budget) ||
            (!l->keys[i].broken && !lists_link(l, i))) {
            return false;
        }
    }
    return true;
}

/* What happened and was not read comes behind the chain, if there is one. */
static bool
lists_unread(struct lists *l)
{
    struct txn_case *t = l->t;

    l->next = txn_pool_alloc(&t->pool, t->write_count, sizeof(*l->next));
    if (l->next == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->write_count; i++) {
        const struct txn_write *w = &t->writes[i];
        struct lists_key *k = &l->keys[w->key];

        if (l->place[i] != TXN_NONE || w->ambiguous || k->broken ||
            k->reader == TXN_NONE || !txn_case_counts(t, w->txn)) {
            continue;
        }
        if (k->unread == TXN_NONE || t->writes[k->unread].txn != w->txn) {
            k->unread_txns++;
        }
        l->next[i] = k->unread;
        k->unread = i;
    }
    return true;
}

/* ---- reads ---- */

/* The rest of a read behind what was there must be what it appended itself. */
static bool
lists_own_tail(const struct lists *l, uint32_t write, const uint32_t *elements,
               uint32_t count, uint32_t added)
{
    const struct txn_write *writes = l->t->writes;

    for (uint32_t i = 0; i < added; i++, write = writes[write].before) {
        assert(write != TXN_NONE);
        if (i >= count || elements[count - 1 - i] != writes[write].value) {
            return false;
        }
    }
    return true;
}

static void
lists_internal(struct lists *l, const struct txn_cursor *o, const char *why)
{
    struct txn_case *t = l->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX];

    if (!txn_case_found(t, ANOMALY_INTERNAL)) {
        return;
    }
    buf_printf(text, "%s read ", txn_case_long_name(t, o->txn, name));
    txn_case_key_words(t, o->key, text);
    buf_printf(text, " and did not observe %s", why);
}

/* Of the last own write to the key before this read; 'added' is not 0. */
static uint32_t
lists_last_own(const struct lists *l, const struct txn_cursor *o)
{
    uint32_t last = TXN_NONE;

    for (uint32_t i = l->t->first_write[o->txn]; i < o->next_write; i++) {
        if (l->t->writes[i].key == o->key) {
            last = i;
        }
    }
    return last;
}

static void
lists_check_internal(struct lists *l, const struct txn_cursor *o)
{
    struct lists_key *k = &l->keys[o->key];
    const uint32_t *e = o->op.elements;
    uint32_t count = o->op.count;

    if (k->added > 0 &&
        !lists_own_tail(l, lists_last_own(l, o), e, count, k->added)) {
        lists_internal(l, o, "what it had appended itself before");
    } else if (k->seen_count != TXN_NONE &&
               (count != k->seen_count + k->added ||
                memcmp(e, k->seen, (size_t)k->seen_count * sizeof(*e)) != 0)) {
        lists_internal(l, o, "the same as in its read before");
    }
    k->seen = e;
    k->seen_count = count;
    k->added = 0;
}

/* It shows an own append that comes later. */
static void
lists_future(struct lists *l, const struct txn_cursor *o)
{
    struct txn_case *t = l->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX];

    if (!txn_case_found(t, ANOMALY_FUTURE_READ)) {
        return;
    }
    buf_printf(text, "%s observed its own append of ",
               txn_case_long_name(t, o->txn, name));
    txn_case_words(t, o->write_index, text);
    buf_puts(text, " before it made it");
}

static void
lists_intermediate(struct lists *l, uint32_t reader, uint32_t write)
{
    struct txn_case *t = l->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], other[TXN_NAME_MAX];

    if (!txn_case_found(t, ANOMALY_G1B)) {
        return;
    }
    txn_case_long_name(t, reader, name);
    txn_case_long_name(t, t->writes[write].txn, other);
    buf_printf(text, "%s observed %s's append of ", name, other);
    txn_case_words(t, write, text);
    buf_puts(text, ", which was not yet its last to that key");
    txn_case_edge(t, t->writes[write].txn, reader, EDGE_OBSERVED,
                  buf_text(text));
}

static bool
lists_read_end(struct lists *l, struct lists_key *k, uint32_t txn)
{
    if (k->unread == TXN_NONE ||
        (k->ends != TXN_NONE && l->ends[k->ends].txn == txn)) {
        return true;
    }
    if (l->end_count == l->end_cap) {
        uint32_t cap = l->end_cap == 0 ? 256 : l->end_cap * 2;
        struct lists_end *ends =
            txn_pool_grow(&l->t->pool, l->ends, (size_t)cap * sizeof(*ends));

        if (ends == NULL) {
            return false;
        }
        l->ends = ends;
        l->end_cap = cap;
    }
    l->ends[l->end_count] = (struct lists_end){txn, k->ends};
    k->ends = l->end_count++;
    return true;
}

/* What a read of a chain that is not broken tells. */
static bool
lists_read(struct lists *l, const struct txn_cursor *o)
{
    struct txn_case *t = l->t;
    struct lists_key *k = &l->keys[o->key];
    uint32_t place = k->chain + o->op.count, txn = o->txn;
    uint32_t before = l->before[place], ahead = l->ahead[place];

    if (o->op.count > 0) {
        uint32_t last = l->element[place - 1];

        if (last != TXN_NONE && t->writes[last].txn != txn &&
            !t->writes[last].final) {
            lists_intermediate(l, txn, last);
        }
    }
    if (before != TXN_NONE &&
        !txn_graph_add(&t->graph, t->writes[before].txn, txn, TXN_WR)) {
        return false;
    }
    if (ahead != TXN_NONE) {
        return txn_graph_add(&t->graph, txn, t->writes[ahead].txn, TXN_RW);
    }
    return lists_read_end(l, k, txn);
}

static void
lists_lost_update(struct lists *l, uint32_t first, uint32_t second,
                  uint32_t key, uint32_t count)
{
    struct txn_case *t = l->t;
    struct buf *text = &t->witness.text;
    char name[TXN_NAME_MAX], other[TXN_NAME_MAX];

    if (!txn_case_found(t, ANOMALY_LOST_UPDATE)) {
        return;
    }
    buf_printf(text, "%s and %s both read ", txn_case_long_name(t, first, name),
               txn_case_long_name(t, second, other));
    txn_case_key_words(t, key, text);
    buf_printf(text, " with %u element%s and then appended to it", count,
               count == 1 ? "" : "s");
    txn_case_edge(t, first, second, EDGE_ANTI, buf_text(text));
    txn_case_edge(t, second, first, EDGE_ANTI, buf_text(text));
}

static void
lists_append(struct lists *l, const struct txn_cursor *o)
{
    struct lists_key *k = &l->keys[o->key];
    uint32_t place = l->place[o->write_index];

    if (!k->broken && k->seen_count != TXN_NONE) {
        if (place != TXN_NONE && place < k->seen_count) {
            lists_future(l, o);
        }
        /* The first append behind the read. */
        if (k->added == 0) {
            uint32_t *updater = &l->updater[k->chain + k->seen_count];
            uint32_t before = l->before[k->chain + k->seen_count];
            bool own = before != TXN_NONE && l->t->writes[before].txn == o->txn;

            if (!own && *updater != TXN_NONE && *updater != o->txn) {
                lists_lost_update(l, *updater, o->txn, o->key, k->seen_count);
            } else if (!own) {
                *updater = o->txn;
            }
        }
    }
    k->added++;
}

static bool
lists_reads(struct lists *l)
{
    struct txn_case *t = l->t;

    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (budget_expired(t->budget)) {
            return false;
        }
        if (t->status[i] != STATUS_COMMITTED) {
            continue;
        }
        for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) {
            struct lists_key *k = &l->keys[o.key];

            if (k->txn != i) {
                k->txn = i;
                k->seen_count = TXN_NONE;
                k->added = 0;
            }
            if (o.op.kind != TXN_READ) {
                lists_append(l, &o);
            } else if (o.op.known) {
                lists_check_internal(l, &o);
                if (!k->broken && !lists_read(l, &o)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* ---- behind the chains ---- */

static bool
lists_before_unread(struct lists *l, const struct lists_key *k, uint32_t txn,
                    enum txn_edge kind)
{
    for (uint32_t w = k->unread; w != TXN_NONE; w = l->next[w]) {
        if (!txn_graph_add(&l->t->graph, txn, l->t->writes[w].txn, kind)) {
            return false;
        }
    }
    return true;
}

/*
 * Who read all of the chain comes before all that is not in it.  A reader that
 * is one of those writers itself must not come before itself: there is one such
 * reader, or two lost an update between them, and all but the first need no
 * more than their edge to it.  The append of the one stands right behind what
 * it read: no other may come between.
 */
static bool
lists_ends(struct lists *l, struct lists_key *k)
{
    struct txn_case *t = l->t;
    uint32_t updater = TXN_NONE;

    for (uint32_t e = k->ends; e != TXN_NONE; e = l->ends[e].next) {
        uint32_t txn = l->ends[e].txn, to = k->skip;

        if (l->mark[txn] == k->chain + 1) {
            if (updater == TXN_NONE) {
                updater = txn;
                if (!lists_before_unread(l, k, txn, TXN_RW) ||
                    (l->updater[k->chain + k->count] == txn &&
                     !lists_before_unread(l, k, txn, TXN_UPDATE))) {
                    return false;
                }
                continue;
            }
            to = updater;
        } else if (to == TXN_NONE) {
            to = t->writes[k->unread].txn;
        }
        if (!txn_graph_add(&t->graph, txn, to, TXN_RW)) {
            return false;
        }
    }
    return true;
}

static bool
lists_behind(struct lists *l)
{
    struct txn_case *t = l->t;

    l->mark = txn_pool_alloc(&t->pool, t->txn_count, sizeof(*l->mark));
    if (l->mark == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->key_count; i++) {
        struct lists_key *k = &l->keys[i];

        if (budget_expired(t->budget)) {
            return false;
        }
        if (k->unread == TXN_NONE) {
            continue;
        }
        uint32_t last = l->before[k->chain + k->count];
        if (last != TXN_NONE &&
            !lists_before_unread(l, k, t->writes[last].txn, TXN_WW)) {
            return false;
        }
        for (uint32_t w = k->unread; w != TXN_NONE; w = l->next[w]) {
            l->mark[t->writes[w].txn] = k->chain + 1;
        }
        if (k->ends != TXN_NONE && k->unread_txns > 1) {
            k->skip = txn_graph_virtual(&t->graph);
            if (!lists_before_unread(l, k, k->skip, TXN_VIA)) {
                return false;
            }
        }
        if (!lists_ends(l, k)) {
            return false;
        }
    }
    return true;
}

/* ---- in words ---- */

/* Names whoever read the whole chain. */
static void
lists_evidence(struct lists *l, uint32_t key)
{
    char name[TXN_NAME_MAX];

    txn_case_name(l->t, l->keys[key].reader, name);
}

/* An unread write of the transaction to a key; TXN_NONE. */
static uint32_t
lists_unread_of(const struct lists *l, uint32_t key, uint32_t txn)
{
    uint32_t w = l->keys[key].unread;

    while (w != TXN_NONE && l->t->writes[w].txn != txn) {
        w = l->next[w];
    }
    return w;
}

static bool
lists_because_wr(struct lists *l, const struct txn_hop *hop, struct buf *out)
{
    struct txn_case *t = l->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX];

    for (struct txn_cursor o = txn_case_ops(t, hop->to);
         txn_case_next(t, &o);) {
        const struct lists_key *k = &l->keys[o.key];

        if (o.op.kind != TXN_READ || !o.op.known || k->broken) {
            continue;
        }
        uint32_t w = l->before[k->chain + o.op.count];
        if (w != TXN_NONE && t->writes[w].txn == hop->from) {
            buf_printf(out, "%s observed %s's append of ",
                       txn_case_name(t, hop->to, to),
                       txn_case_name(t, hop->from, from));
            txn_case_words(t, w, out);
            return true;
        }
    }
    return false;
}

static bool
lists_because_rw(struct lists *l, const struct txn_hop *hop, struct buf *out)
{
    struct txn_case *t = l->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX];

    for (struct txn_cursor o = txn_case_ops(t, hop->from);
         txn_case_next(t, &o);) {
        const struct lists_key *k = &l->keys[o.key];

        if (o.op.kind != TXN_READ || !o.op.known || k->broken ||
            (hop->via != TXN_NONE && hop->via != k->skip)) {
            continue;
        }
        uint32_t w = l->ahead[k->chain + o.op.count];
        if (w == TXN_NONE) {
            w = lists_unread_of(l, o.key, hop->to);
        }
        if (w != TXN_NONE && t->writes[w].txn == hop->to) {
            buf_printf(out, "%s did not observe %s's append of ",
                       txn_case_name(t, hop->from, from),
                       txn_case_name(t, hop->to, to));
            txn_case_words(t, w, out);
            lists_evidence(l, o.key);
            return true;
        }
    }
    return false;
}

static bool
lists_because_ww(struct lists *l, const struct txn_hop *hop, struct buf *out)
{
    struct txn_case *t = l->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX], value[64];

    for (uint32_t i = t->first_write[hop->to]; i < t->first_write[hop->to + 1];
         i++) {
        const struct lists_key *k = &l->keys[t->writes[i].key];

        if (k->broken || k->reader == TXN_NONE) {
            continue;
        }
        uint32_t place = l->place[i] == TXN_NONE ? k->count : l->place[i];
        uint32_t w = l->before[k->chain + place];
        if (w != TXN_NONE && t->writes[w].txn == hop->from) {
            value_print(t->calls, t->writes[w].value, value, sizeof(value));
            buf_printf(out, "%s's append of ", txn_case_name(t, hop->to, to));
            txn_case_words(t, i, out);
            buf_printf(out, " came behind %s's of %s",
                       txn_case_name(t, hop->from, from), value);
            lists_evidence(l, t->writes[i].key);
            return true;
        }
    }
    return false;
}

static bool
lists_because_update(struct lists *l, const struct txn_hop *hop,
                     struct buf *out)
{
    struct txn_case *t = l->t;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX];

    for (uint32_t i = t->first_write[hop->to]; i < t->first_write[hop->to + 1];
         i++) {
        uint32_t key = t->writes[i].key;
        const struct lists_key *k = &l->keys[key];

        if (k->broken || l->place[i] != TXN_NONE ||
            lists_unread_of(l, key, hop->from) == TXN_NONE ||
            l->updater[k->chain + k->count] != hop->from) {
            continue;
        }
        txn_case_name(t, hop->from, from);
        buf_printf(out, "%s read ", from);
        txn_case_key_words(t, key, out);
        buf_printf(out, " and appended to it, %s's append of ",
                   txn_case_name(t, hop->to, to));
        txn_case_words(t, i, out);
        buf_printf(out, " cannot stand between");
        lists_evidence(l, key);
        return true;
    }
    return false;
}

static void
lists_because(struct txn_case *t, void *engine, const struct txn_hop *hop,
              struct buf *out)
{
    struct lists *l = engine;
    bool known = false;

    assert(l->t == t);
    if (hop->kind == TXN_WR) {
        known = lists_because_wr(l, hop, out);
    } else if (hop->kind == TXN_RW) {
        known = lists_because_rw(l, hop, out);
    } else if (hop->kind == TXN_WW) {
        known = lists_because_ww(l, hop, out);
    } else if (hop->kind == TXN_UPDATE) {
        known = lists_because_update(l, hop, out);
    }
    assert(known); /* every edge was made of one of these */
}

static void
lists_seen_by(struct txn_case *t, void *engine, uint32_t txn)
{
    struct lists *l = engine;

    for (uint32_t i = t->first_write[txn]; i < t->first_write[txn + 1]; i++) {
        if (l->place[i] != TXN_NONE) {
            lists_evidence(l, t->writes[i].key);
            return;
        }
    }
}

/* ---- the order found ---- */

/* A read or append at its place in the order, or not.  Places that nobody known
 * made are passed over. */
static bool
lists_replay_op(struct lists *l, const struct txn_cursor *o, uint32_t *at,
                bool *gaps)
{
    const struct lists_key *k = &l->keys[o->key];
    uint32_t place = o->op.count;

    if (o->op.kind != TXN_READ) {
        place = l->place[o->write_index];
        if (place == TXN_NONE) {
            place = at[o->key] > k->count ? at[o->key] : k->count;
        }
    } else if (!o->op.known) {
        return true;
    }
    while (at[o->key] < place && at[o->key] < k->count &&
           l->element[k->chain + at[o->key]] == TXN_NONE) {
        at[o->key]++;
        *gaps = true;
    }
    if (at[o->key] != place) {
        return false;
    }
    at[o->key] += o->op.kind != TXN_READ;
    return true;
}

/*
 * Runs the transactions one after the other in the order found.  That the reads
 * begin the chains has been compared; here it is that each has the right length
 * when its turn comes.
 */
static bool
lists_replay(struct lists *l, const uint32_t *order, bool *gaps)
{
    struct txn_case *t = l->t;
    uint32_t *at = txn_pool_alloc(&t->pool, t->key_count, sizeof(*at));
    bool real_time = txn_level_info(t->level)->order == ORDER_REAL_TIME;
    uint32_t latest = 0;
    bool fits = true;

    for (uint32_t i = 0; at != NULL && fits && i < t->txn_count; i++) {
        uint32_t txn = order[i], call = txn_case_call(t, txn);

        if (t->status[txn] != STATUS_COMMITTED &&
            t->status[txn] != STATUS_SEEN) {
            continue;
        }
        fits = !real_time || t->calls->complete[call] >= latest;
        if (t->calls->invoke[call] > latest) {
            latest = t->calls->invoke[call];
        }
        for (struct txn_cursor o = txn_case_ops(t, txn);
             fits && txn_case_next(t, &o);) {
            fits = lists_replay_op(l, &o, at, gaps);
        }
    }
    txn_pool_free(&t->pool, at);
    return fits;
}

/* No anomaly was found: what that is worth. */
static void
lists_valid(struct lists *l, const uint32_t *order, struct decision *ret)
{
    struct txn_case *t = l->t;
    const struct txn_level_info *level = txn_level_info(t->level);
    char value[64];
    bool gaps = false;

    if (t->ambiguous != TXN_NONE) {
        const struct txn_write *w = &t->writes[t->ambiguous];

        ret->verdict = VERDICT_UNKNOWN;
        snprintf(ret->reason, sizeof(ret->reason),
                 "%s was appended twice to one key (line %u again): which of "
                 "them was read cannot be told",
                 value_print(t->calls, w->value, value, sizeof(value)),
                 t->calls->line[txn_case_call(t, w->txn)]);
        return;
    }
    if (level->serial && !lists_replay(l, order, &gaps)) {
        ret->verdict = VERDICT_UNKNOWN;
        snprintf(ret->reason, sizeof(ret->reason),
                 "no cycle was found, but the order that follows does not "
                 "replay: an error of this engine");
        return;
    }
    if (level->serial) {
        txn_case_valid(t, order, t->txn_count, ret);
        return;
    }
    ret->verdict = VERDICT_VALID;
}

/* ---- the engine ---- */

static bool
lists_judge(struct lists *l, struct decision *ret)
{
    struct txn_case *t = l->t;
    bool serial = txn_level_info(t->level)->serial;
    uint32_t *order = NULL;

    l->keys = txn_pool_alloc(&t->pool, t->key_count, sizeof(*l->keys));
    if (l->keys == NULL || !lists_longest(l) || !lists_fit(l) ||
        !lists_chains(l) || !lists_unread(l) || !lists_reads(l) ||
        !lists_behind(l)) {
        return false;
    }
    if (serial) {
        order = txn_pool_alloc(&t->pool, t->txn_count, sizeof(*order));
        if (order == NULL) {
            return false;
        }
    }
    t->because = lists_because;
    t->seen_by = lists_seen_by;
    t->engine = l;
    if (!txn_case_cycles(t, order)) {
        return false;
    }
    if (!txn_case_decide(t, ret)) {
        lists_valid(l, order, ret);
    }
    return true;
}

static bool
list_append_judge(struct txn_case *t, struct decision *ret)
{
    struct lists l = {.t = t};

    return lists_judge(&l, ret);
}

static void
list_append_once(const struct problem *p, struct budget *b,
                 struct decision *ret)
{
    txn_case_run(p, b, list_append_judge, ret);
}

static void
list_append_decide(const struct problem *p, struct budget *b,
                   struct decision *ret)
{
    txn_shrunk(list_append_once, p, b, ret);
}

const struct engine_ops engine_list_append = {
    .name = "list-append",
    .description = "cycles of dependencies between appends and reads of lists",
    .decide = list_append_decide,
};
