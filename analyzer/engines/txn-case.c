/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A problem of transactions in tables.  Tables of keys and of writes are found
 * by hashing, open addressing, at most half full; a slot holds a number plus
 * one.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/txn-case.h"
#include "harness/base/arena.h"

/* ---- tables ---- */

static uint32_t
txn_hash(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)((x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

static uint32_t
txn_slots_for(uint64_t count)
{
    uint32_t slots = 64;

    while (slots < 2 * count && slots < 1u << 31) {
        slots *= 2;
    }
    return slots;
}

static bool
txn_case_more_keys(struct txn_case *t)
{
    uint32_t cap = t->key_cap == 0 ? 64 : t->key_cap * 2;
    struct txn_key *keys =
        txn_pool_grow(&t->pool, t->keys, (size_t)cap * sizeof(*keys));

    if (keys == NULL) {
        return false;
    }
    t->keys = keys;
    t->key_cap = cap;
    txn_pool_free(&t->pool, t->key_slots);
    t->key_slot_count = txn_slots_for(cap);
    t->key_slots =
        txn_pool_alloc(&t->pool, t->key_slot_count, sizeof(*t->key_slots));
    if (t->key_slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->key_count; i++) {
        uint32_t at = txn_hash(t->keys[i].number, 0) & (t->key_slot_count - 1);

        while (t->key_slots[at] != 0) {
            at = (at + 1) & (t->key_slot_count - 1);
        }
        t->key_slots[at] = i + 1;
    }
    return true;
}

/* The key's number here; TXN_NONE: no memory. */
static uint32_t
txn_case_key(struct txn_case *t, uint32_t number)
{
    if (t->key_count == t->key_cap && !txn_case_more_keys(t)) {
        return TXN_NONE;
    }
    uint32_t at = txn_hash(number, 0) & (t->key_slot_count - 1);

    while (t->key_slots[at] != 0) {
        if (t->keys[t->key_slots[at] - 1].number == number) {
            return t->key_slots[at] - 1;
        }
        at = (at + 1) & (t->key_slot_count - 1);
    }
    t->keys[t->key_count] = (struct txn_key){number, TXN_NONE};
    t->key_slots[at] = ++t->key_count;
    return t->key_count - 1;
}

/* The slot of a value of a key: empty, or with its write. */
static uint32_t *
txn_case_slot(const struct txn_case *t, uint32_t key, uint32_t value)
{
    uint32_t mask = t->write_slot_count - 1;
    uint32_t at = txn_hash(value, key + 1) & mask;

    while (t->write_slots[at] != 0) {
        const struct txn_write *w = &t->writes[t->write_slots[at] - 1];

        if (w->key == key && w->value == value) {
            break;
        }
        at = (at + 1) & mask;
    }
    return &t->write_slots[at];
}

uint32_t
txn_case_writer(const struct txn_case *t, uint32_t key, uint32_t value)
{
    uint32_t slot = *txn_case_slot(t, key, value);

    return slot == 0 ? TXN_NONE : slot - 1;
}

/* Of several writes of one value one that did not fail counts; two that did not
 * cannot be told apart. */
static void
txn_case_enter(struct txn_case *t, uint32_t write)
{
    struct txn_write *w = &t->writes[write];
    uint32_t *slot = txn_case_slot(t, w->key, w->value);

    if (*slot == 0) {
        *slot = write + 1;
        return;
    }
    struct txn_write *other = &t->writes[*slot - 1];
    if (t->status[w->txn] == STATUS_FAILED) {
        w->ambiguous = true;
    } else if (t->status[other->txn] == STATUS_FAILED) {
        other->ambiguous = true;
        *slot = write + 1;
    } else {
        w->ambiguous = true;
        other->ambiguous = true;
        t->ambiguous = write;
    }
}

static void
txn_case_add_write(struct txn_case *t, uint32_t txn, uint32_t key,
                   uint32_t value)
{
    uint32_t number = t->write_count++;
    struct txn_write *w = &t->writes[number];

    *w = (struct txn_write){.key = key,
                            .value = value,
                            .txn = txn,
                            .before = TXN_NONE,
                            .final = true};
    uint32_t before = t->keys[key].last_write;
    if (before != TXN_NONE && t->writes[before].txn == txn) {
        w->before = before;
        t->writes[before].final = false;
    }
    t->keys[key].last_write = number;
    txn_case_enter(t, number);
}

/* ---- reading the problem ---- */

static bool
txn_case_count(struct txn_case *t, uint64_t *ret_ops, uint64_t *ret_writes)
{
    struct txn_op op;

    *ret_ops = 0;
    *ret_writes = 0;
    for (uint32_t i = 0; i < t->txn_count; i++) {
        uint32_t call = txn_case_call(t, i);

        if (budget_expired(t->budget)) {
            return false;
        }
        for (uint32_t at = 0; txn_next(t->calls, call, &at, &op);) {
            ++*ret_ops;
            *ret_writes += op.kind != TXN_READ;
        }
        t->status[i] = t->calls->function[call] == TXN_FAILED ? STATUS_FAILED
                       : t->calls->complete[call] == CALL_OPEN
                           ? STATUS_OPEN
                           : STATUS_COMMITTED;
    }
    return *ret_ops < TXN_NODES_MAX;
}

static bool
txn_case_read(struct txn_case *t)
{
    struct txn_op op;

    for (uint32_t i = 0; i < t->txn_count; i++) {
        uint32_t call = txn_case_call(t, i);

        if (budget_expired(t->budget)) {
            return false;
        }
        t->first_op[i] = t->op_count;
        t->first_write[i] = t->write_count;
        for (uint32_t at = 0; txn_next(t->calls, call, &at, &op);) {
            uint32_t key = txn_case_key(t, op.key);

            if (key == TXN_NONE) {
                return false;
            }
            t->op_keys[t->op_count++] = key;
            if (op.kind != TXN_READ) {
                txn_case_add_write(t, i, key, op.value);
            }
        }
    }
    t->first_op[t->txn_count] = t->op_count;
    t->first_write[t->txn_count] = t->write_count;
    return true;
}

bool
txn_case_init(struct txn_case *t, const struct problem *p, struct budget *b)
{
    uint64_t ops, writes;

    memset(t, 0, sizeof(*t));
    t->problem = p;
    t->calls = p->calls;
    t->budget = b;
    t->level = txn_level_of(p->calls->model);
    t->txn_count = p->count;
    t->ambiguous = TXN_NONE;
    t->witness.anomaly = ANOMALY_NONE;
    buf_init(&t->witness.text, DECISION_HEADLINE_MAX);
    txn_pool_init(&t->pool, b);
    txn_graph_init(&t->graph, p, &t->pool);
    t->status = txn_pool_alloc(&t->pool, p->count, sizeof(*t->status));
    if (t->status == NULL || !txn_case_count(t, &ops, &writes)) {
        return false;
    }
    size_t more = (size_t)p->count + 1;
    t->first_op = txn_pool_alloc(&t->pool, more, sizeof(*t->first_op));
    t->first_write = txn_pool_alloc(&t->pool, more, sizeof(*t->first_write));
    t->named = txn_pool_alloc(&t->pool, p->count, sizeof(*t->named));
    t->op_keys = txn_pool_alloc(&t->pool, ops, sizeof(*t->op_keys));
    t->writes = txn_pool_alloc(&t->pool, writes, sizeof(*t->writes));
    t->write_slot_count = txn_slots_for(writes);
    t->write_slots =
        txn_pool_alloc(&t->pool, t->write_slot_count, sizeof(*t->write_slots));
    return !t->pool.failed && txn_case_read(t);
}

static void
txn_case_clear(struct txn_case *t)
{
    struct txn_witness *w = &t->witness;

    for (uint32_t i = 0; i < w->txn_count; i++) {
        t->named[w->txns[i]] = 0;
    }
    for (uint32_t i = 0; i < w->edge_count; i++) {
        free(w->edges[i].text);
    }
    free(w->edges);
    free(w->txns);
    w->edges = NULL;
    w->txns = NULL;
    w->edge_count = 0;
    w->txn_count = 0;
    buf_reset(&w->text);
}

void
txn_case_release(struct txn_case *t)
{
    txn_case_clear(t);
    buf_release(&t->witness.text);
    txn_pool_release(&t->pool);
}

void
txn_case_give_up(const struct txn_case *t, struct decision *ret)
{
    ret->verdict = VERDICT_UNKNOWN;
    snprintf(ret->reason, sizeof(ret->reason),
             t->pool.failed
                 ? "the dependencies of %u transactions need more memory than "
                   "allowed"
                 : "the time was over before the dependencies of %u "
                   "transactions were looked through",
             t->txn_count);
}

bool
txn_case_wrote(const struct txn_case *t, uint32_t txn, uint32_t key,
               uint32_t op_index)
{
    for (struct txn_cursor o = txn_case_ops(t, txn);
         txn_case_next(t, &o) && o.op_index < op_index;) {
        if (o.key == key && o.op.kind != TXN_READ) {
            return true;
        }
    }
    return false;
}

/* ---- what was found ---- */

bool
txn_case_found(struct txn_case *t, enum txn_anomaly a)
{
    if (a >= t->witness.anomaly || !txn_level_excludes(t->level, a)) {
        return false;
    }
    txn_case_clear(t);
    t->witness.anomaly = a;
    t->witness.order = ORDER_NONE;
    return true;
}

static uint32_t
txn_case_numbered(struct txn_case *t, uint32_t txn)
{
    struct txn_witness *w = &t->witness;

    if (t->named[txn] != 0) {
        return t->named[txn] - 1;
    }
    if ((w->txn_count & (w->txn_count - 1)) == 0) {
        size_t cap = w->txn_count == 0 ? 1 : 2 * (size_t)w->txn_count;

        w->txns = xrealloc(w->txns, cap * sizeof(*w->txns));
    }
    w->txns[w->txn_count++] = txn;
    t->named[txn] = w->txn_count;
    return w->txn_count - 1;
}

const char *
txn_case_name(struct txn_case *t, uint32_t txn, char ret[TXN_NAME_MAX])
{
    snprintf(ret, TXN_NAME_MAX, "T%u", txn_case_numbered(t, txn) + 1);
    return ret;
}

const char *
txn_case_long_name(struct txn_case *t, uint32_t txn, char ret[TXN_NAME_MAX])
{
    uint32_t line = t->calls->line[txn_case_call(t, txn)];

    txn_case_name(t, txn, ret);
    if (line != 0) {
        size_t len = strlen(ret);

        snprintf(ret + len, TXN_NAME_MAX - len, " (line %u)", line);
    }
    return ret;
}

void
txn_case_key_words(const struct txn_case *t, uint32_t key, struct buf *out)
{
    char text[64];

    buf_printf(out, "key %s",
               value_print(t->calls, t->keys[key].number, text, sizeof(text)));
}

void
txn_case_words(const struct txn_case *t, uint32_t write, struct buf *out)
{
    const struct txn_write *w = &t->writes[write];
    char text[64];

    buf_printf(out, "%s to ",
               value_print(t->calls, w->value, text, sizeof(text)));
    txn_case_key_words(t, w->key, out);
}

void
txn_case_edge(struct txn_case *t, uint32_t from, uint32_t to,
              enum edge_kind kind, const char *text)
{
    struct txn_witness *w = &t->witness;

    if (w->edge_count == DECISION_EDGES_MAX) {
        return;
    }
    w->edges =
        xrealloc(w->edges, ((size_t)w->edge_count + 1) * sizeof(*w->edges));
    w->edges[w->edge_count++] = (struct edge){.from = txn_case_call(t, from),
                                              .to = txn_case_call(t, to),
                                              .kind = kind,
                                              .text = xstrdup(text)};
}

/* ---- cycles ---- */

static const char *const txn_order_suffixes[] = {[ORDER_NONE] = "",
                                                 [ORDER_SESSION] = "-process",
                                                 [ORDER_REAL_TIME] =
                                                     "-realtime"};

static enum edge_kind
txn_edge_kind(enum txn_edge kind)
{
    switch (kind) {
    case TXN_WW:
    case TXN_UPDATE:
    case TXN_EARLIER:
        return EDGE_OVERWRITE;
    case TXN_WR:
        return EDGE_OBSERVED;
    case TXN_RW:
    case TXN_LATER:
        return EDGE_ANTI;
    default:
        return EDGE_REAL_TIME;
    }
}

static void
txn_case_hop(struct txn_case *t, const struct txn_hop *hop)
{
    struct buf clause;
    char from[TXN_NAME_MAX], to[TXN_NAME_MAX];

    buf_init(&clause, DECISION_HEADLINE_MAX);
    txn_case_name(t, hop->from, from);
    txn_case_name(t, hop->to, to);
    if (hop->kind == TXN_SESSION) {
        buf_printf(&clause, "process %u ran %s before %s",
                   t->calls->process[txn_case_call(t, hop->from)], from, to);
    } else if (hop->kind == TXN_REAL_TIME) {
        buf_printf(&clause, "%s was answered before %s was invoked", from, to);
    } else {
        t->because(t, t->engine, hop, &clause);
    }
    txn_case_edge(t, hop->from, hop->to, txn_edge_kind(hop->kind),
                  buf_text(&clause));
    txn_case_long_name(t, hop->from, from);
    txn_case_long_name(t, hop->to, to);
    buf_printf(&t->witness.text, "%s%s < %s because %s",
               t->witness.text.len == 0 ? "" : "; ", from, to,
               buf_text(&clause));
    buf_release(&clause);
}

static void
txn_case_describe(struct txn_case *t, const struct txn_cycle *cycle)
{
    char name[TXN_NAME_MAX];
    uint32_t first = 0;

    /* From the one that was invoked first. */
    for (uint32_t i = 1; i < cycle->count; i++) {
        if (cycle->hops[i].from < cycle->hops[first].from) {
            first = i;
        }
    }
    for (uint32_t i = 0; i < cycle->count; i++) {
        const struct txn_hop *hop = &cycle->hops[(first + i) % cycle->count];

        txn_case_name(t, hop->from, name);
    }
    for (uint32_t i = 0; i < cycle->count; i++) {
        const struct txn_hop *hop = &cycle->hops[(first + i) % cycle->count];

        txn_case_hop(t, hop);
        if (t->status[hop->from] == STATUS_SEEN) {
            t->seen_by(t, t->engine, hop->from);
        }
    }
    buf_puts(&t->witness.text, ": a contradiction");
}

static uint32_t
txn_cycle_antis(const struct txn_cycle *cycle)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < cycle->count; i++) {
        count +=
            cycle->hops[i].kind == TXN_RW || cycle->hops[i].kind == TXN_LATER;
    }
    return count;
}

/*
 * Looks for cycles of one kind.  Of those with anti-dependencies apart one with
 * a single one is preferred, if it can be had.  False: give up.
 */
static bool
txn_case_stage(struct txn_case *t, const struct txn_components *all,
               enum txn_anomaly a, enum txn_order order, bool *ret_found)
{
    static const unsigned data[ANOMALY_COUNT] = {
        [ANOMALY_G0] = TXN_BIT(TXN_WW),
        [ANOMALY_G1C] = TXN_BIT(TXN_WW) | TXN_BIT(TXN_WR),
        [ANOMALY_G_NONADJACENT] = TXN_DATA | TXN_BIT(TXN_UPDATE),
        [ANOMALY_G2_ITEM] = TXN_DATA | TXN_BIT(TXN_UPDATE),
    };
    struct txn_search s = {
        .graph = &t->graph,
        .kinds = data[a] | (order >= ORDER_SESSION ? TXN_BIT(TXN_SESSION) : 0) |
                 (order == ORDER_REAL_TIME ? TXN_BIT(TXN_REAL_TIME) : 0) |
                 (order == ORDER_REAL_TIME && a > ANOMALY_G1C
                      ? TXN_BIT(TXN_LATER) | TXN_BIT(TXN_EARLIER)
                      : 0),
        .walk = a == ANOMALY_G_NONADJACENT ? WALK_APART : WALK_ANY,
        .within = all->of,
    };
    struct txn_components found = {0};
    struct txn_cycle cycle = {0}, single = {0};
    bool whole = txn_graph_scc(&s, &found, NULL);

    *ret_found = whole && found.count > 0;
    if (*ret_found) {
        whole = txn_graph_cycle(&s, &found, &cycle);
    }
    if (whole && *ret_found && a == ANOMALY_G_NONADJACENT) {
        s.walk = WALK_SINGLE;
        whole = txn_cycle_antis(&cycle) <= 1 ||
                txn_graph_cycle(&s, &found, &single);
    }
    txn_pool_free(&t->pool, found.of);
    if (single.count > 0 || txn_cycle_antis(&cycle) <= 1) {
        a = a == ANOMALY_G_NONADJACENT ? ANOMALY_G_SINGLE : a;
    }
    /* Cycles of an order are worse than nothing, whatever their kind. */
    if (whole && cycle.count > 0 &&
        (order != ORDER_NONE ? t->witness.anomaly == ANOMALY_NONE
                             : txn_case_found(t, a))) {
        t->witness.anomaly = a;
        t->witness.order = order;
        txn_case_describe(t, single.count > 0 ? &single : &cycle);
    }
    free(cycle.hops);
    free(single.hops);
    return whole;
}

/* The kinds from the worst on, until one is there. */
static bool
txn_case_stages(struct txn_case *t, const struct txn_components *all)
{
    static const enum txn_anomaly kinds[] = {
        ANOMALY_G0, ANOMALY_G1C, ANOMALY_G_NONADJACENT, ANOMALY_G2_ITEM};
    const struct txn_level_info *level = txn_level_info(t->level);
    bool found = false;

    for (unsigned order = ORDER_NONE; order <= level->order; order++) {
        for (unsigned i = 0; i < ARRAY_LEN(kinds) && !found; i++) {
            if (txn_level_excludes(t->level, kinds[i]) &&
                !txn_case_stage(t, all, kinds[i], (enum txn_order)order,
                                &found)) {
                return false;
            }
        }
    }
    return true;
}

bool
txn_case_cycles(struct txn_case *t, uint32_t *order)
{
    const struct txn_level_info *level = txn_level_info(t->level);
    struct txn_components all = {0};
    struct txn_search s = {.graph = &t->graph, .walk = WALK_ANY};
    bool *takes_part = txn_pool_alloc(&t->pool, t->txn_count, sizeof(bool));

    if (takes_part == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->txn_count; i++) {
        takes_part[i] = t->status[i] == STATUS_COMMITTED;
    }
    if (!txn_graph_finish(&t->graph, takes_part,
                          t->barriers ? ORDER_REAL_TIME : level->order)) {
        return false;
    }
    txn_pool_free(&t->pool, takes_part);
    s.kinds = TXN_BIT(TXN_WW);
    if (level->committed) {
        s.kinds |= TXN_BIT(TXN_WR);
    }
    if (level->atomic) {
        s.kinds |= TXN_BIT(TXN_RW) | TXN_BIT(TXN_UPDATE);
    }
    /* Real time contains the order of each process. */
    if (level->order != ORDER_NONE) {
        s.kinds |= TXN_BIT(level->order == ORDER_SESSION ? TXN_SESSION
                                                         : TXN_REAL_TIME);
    }
    if (level->order == ORDER_REAL_TIME && level->atomic) {
        s.kinds |= TXN_BIT(TXN_LATER) | TXN_BIT(TXN_EARLIER);
    }
    bool whole = txn_graph_scc(&s, &all, order);
    if (whole && all.count > 0) {
        if (order != NULL && t->txn_count > 0) {
            order[0] = TXN_NONE;
        }
        whole = txn_case_stages(t, &all);
    }
    txn_pool_free(&t->pool, all.of);
    return whole;
}

/* ---- the decision ---- */

static int
txn_compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void
txn_case_headline(const struct txn_case *t, struct decision *ret)
{
    const struct txn_witness *w = &t->witness;
    const char *left = txn_level_left(t->level, w->anomaly, w->order);

    int n =
        snprintf(ret->headline, sizeof(ret->headline),
                 "%s%s, so not %s (%s%s): %s", txn_anomaly_name(w->anomaly),
                 txn_order_suffixes[w->order], txn_level_info(t->level)->name,
                 left == NULL ? "no level allows it" : "what may still hold: ",
                 left == NULL ? "" : left, buf_text(&w->text));
    if (n >= (int)sizeof(ret->headline) || w->text.truncated) {
        size_t len = strlen(ret->headline);

        memcpy(ret->headline + (len < 4 ? 0 : len - 3), "...", 3);
    }
}

bool
txn_case_decide(struct txn_case *t, struct decision *ret)
{
    struct txn_witness *w = &t->witness;

    if (w->anomaly == ANOMALY_NONE) {
        return false;
    }
    ret->verdict = VERDICT_INVALID;
    txn_case_headline(t, ret);
    ret->core = TAKE(w->txns);
    ret->core_count = w->txn_count;
    w->txn_count = 0;
    for (uint32_t i = 0; i < ret->core_count; i++) {
        ret->core[i] = txn_case_call(t, ret->core[i]);
    }
    qsort(ret->core, ret->core_count, sizeof(*ret->core), txn_compare_u32);
    ret->edges = TAKE(w->edges);
    ret->edge_count = w->edge_count;
    w->edge_count = 0;
    return true;
}

void
txn_case_run(const struct problem *p, struct budget *b,
             bool (*judge)(struct txn_case *t, struct decision *ret),
             struct decision *ret)
{
    struct txn_case t;

    if (!txn_case_init(&t, p, b) || !judge(&t, ret)) {
        txn_case_give_up(&t, ret);
    }
    ret->steps = t.op_count;
    ret->peak_bytes = b->peak_bytes;
    txn_case_release(&t);
}

void
txn_case_valid(const struct txn_case *t, const uint32_t *order, uint32_t count,
               struct decision *ret)
{
    ret->verdict = VERDICT_VALID;
    ret->order = xcalloc((size_t)count + 1, sizeof(*ret->order));
    for (uint32_t i = 0; i < count; i++) {
        if (t->status[order[i]] == STATUS_COMMITTED ||
            t->status[order[i]] == STATUS_SEEN) {
            ret->order[ret->order_count++] = txn_case_call(t, order[i]);
        }
    }
}
