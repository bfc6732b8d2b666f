/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkers against a second opinion: a search through every order of a
 * small history, slow and plain (brute force).
 *
 *   correct by construction -> no checker alarms, the replay proves it
 *   something corrupted     -> a checker that alarms is right: the search finds
 *                              no order; the verdict valid is right: the search
 *                              finds one
 *
 * Two searches: with positions (what has an index stands in that order, what
 * has none may go between) and without (any order that keeps real time).  The
 * seed is printed; ORDEAL_TEST_SEED sets it, ORDEAL_TEST_TRIALS the number of
 * trials.
 */
#include "config.h"

#include <stdlib.h>

#include "tests/lib/random-trial.h"
#include "tests/lib/tap.h"

#define SEARCH_NODES_MAX 200000
#define SEARCH_ITEMS_MAX 64
#define ANONYMOUS 1000 /* ids from here on: leases nobody was told of */
#define NEVER 1000000

enum item_kind { ITEM_RUN, ITEM_ROW, ITEM_READ };

/* Something that must stand in the order, or may ('optional'). */
struct item {
    enum item_kind kind;
    bool optional, tick;
    int operation, invoke, end, index;
    const struct tiny_result *result; /* NULL: unknown */
    const struct tiny_row *row;
};

struct search {
    const struct trial *trial;
    struct item
        items[SEARCH_ITEMS_MAX]; /* by index where there are positions */
    int count, nodes;
    int lost_tick; /* invocation of the first tick without an answer */
    int ids[SEARCH_ITEMS_MAX * 2], id_count; /* leases without a maker */
};

/* Where a search stands. */
struct node {
    struct tiny state;
    bool used[SEARCH_ITEMS_MAX];
    int last, invoke_max; /* real time so far */
    int entry_invoke_max; /* the same without reads */
    struct {
        bool live;
        int operation, retire;
        struct tiny_result result;
    } records[TRIAL_OPERATIONS + 1];
};

enum answer_found { NO, YES, GAVE_UP };

static const struct tiny_command *
command_of(const struct search *s, const struct item *x)
{
    return &s->trial->operations[x->operation].command;
}

static bool
same_answer(const struct tiny_command *c, const struct tiny_result *a,
            const struct tiny_result *b)
{
    if (a->code != b->code || a->slot != b->slot)
        return false;
    if (a->code != CODE_OK || c->function == FUNCTION_CREATE_RESOURCE)
        return true;
    return a->lease == b->lease && a->epoch == b->epoch &&
           (!function_is_reserve(c->function) || a->deadline == b->deadline);
}

static bool
same_list(const int *a, int a_count, const int *b, int b_count)
{
    if (a_count != b_count)
        return false;
    for (int i = 0; i < a_count; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* ---- what stands in the order ---- */

static void
add_item(struct search *s, struct item x)
{
    assert(s->count < SEARCH_ITEMS_MAX);
    s->items[s->count++] = x;
}

static bool
made_by_answer(const struct trial *t, int lease)
{
    for (int i = 0; i < t->attempt_count; i++) {
        const struct trial_attempt *a = &t->attempts[i];

        if (a->kind == EVENT_OK && a->result.code == CODE_OK &&
            a->result.lease == lease &&
            function_is_reserve(t->operations[a->operation].command.function))
            return true;
    }
    return false;
}

static void
add_id(struct search *s, int lease)
{
    for (int i = 0; i < s->id_count; i++)
        if (s->ids[i] == lease)
            return;
    if (lease != 0 && !made_by_answer(s->trial, lease))
        s->ids[s->id_count++] = lease;
}

/* False: two answers from one execution contradict each other. */
static bool
add_run(struct search *s, const struct trial_attempt *a)
{
    const struct trial *t = s->trial;
    const struct tiny_command *c = &t->operations[a->operation].command;
    int invoke = a->invoke;

    for (int i = 0; i < t->attempt_count; i++)
        if (t->attempts[i].operation == a->operation &&
            t->attempts[i].invoke < invoke)
            invoke = t->attempts[i].invoke;
    for (int i = 0; t->positions && i < s->count; i++) {
        struct item *x = &s->items[i];

        if (x->kind != ITEM_RUN || x->optional ||
            x->operation != a->operation || x->index != a->result.index)
            continue;
        if (a->end < x->end)
            x->end = a->end;
        return same_answer(c, x->result, &a->result);
    }
    add_item(s, (struct item){.kind = ITEM_RUN,
                              .tick = c->function == FUNCTION_TICK,
                              .operation = a->operation,
                              .invoke = t->positions ? invoke : a->invoke,
                              .end = a->end,
                              .index = a->result.index,
                              .result = &a->result});
    for (int i = 0; i < a->result.row_count; i++)
        add_item(s, (struct item){.kind = ITEM_ROW,
                                  .operation = a->operation,
                                  .invoke = a->invoke,
                                  .end = a->end,
                                  .index = a->result.rows[i].index,
                                  .row = &a->result.rows[i]});
    return true;
}

static bool
add_attempt(struct search *s, const struct trial_attempt *a)
{
    const struct tiny_command *c = &s->trial->operations[a->operation].command;
    bool read = function_is_read(c->function);

    if (a->kind == EVENT_FAIL || (read && a->kind != EVENT_OK))
        return true;
    if (a->kind != EVENT_OK) {
        if (c->function == FUNCTION_TICK && a->invoke < s->lost_tick)
            s->lost_tick = a->invoke;
        add_item(s, (struct item){.kind = ITEM_RUN,
                                  .optional = true,
                                  .tick = c->function == FUNCTION_TICK,
                                  .operation = a->operation,
                                  .invoke = a->invoke,
                                  .end = NEVER});
        return true;
    }
    if (!read)
        return add_run(s, a);
    add_item(s, (struct item){
                    .kind = ITEM_READ,
                    .operation = a->operation,
                    .invoke = c->claim == CLAIM_LINEARIZABLE ? a->invoke : -1,
                    .end = a->end,
                    .index = a->result.applied,
                    .result = &a->result});
    return c->claim != CLAIM_FENCED || !s->trial->positions ||
           a->result.applied >= c->required;
}

static int
item_compare(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    bool read_a = a->kind == ITEM_READ, read_b = b->kind == ITEM_READ;

    if (a->index != b->index)
        return a->index - b->index;
    if (read_a != read_b)
        return read_a - read_b;
    return a->invoke - b->invoke;
}

static bool
collect(struct search *s, const struct trial *t)
{
    *s = (struct search){.trial = t, .lost_tick = NEVER};
    for (int i = 0; i < t->attempt_count; i++) {
        const struct trial_attempt *a = &t->attempts[i];
        const struct tiny_command *c = &t->operations[a->operation].command;

        if (!add_attempt(s, a))
            return false;
        if (c->function == FUNCTION_GET_LEASE ||
            (c->function >= FUNCTION_CONFIRM && c->function < FUNCTION_TICK))
            add_id(s, c->lease);
        if (a->kind == EVENT_OK && function_is_read(c->function) &&
            a->result.found && a->result.state != STATE_AVAILABLE)
            add_id(s, a->result.lease);
        for (int j = 0; a->kind == EVENT_OK && j < a->result.row_count; j++)
            add_id(s, a->result.rows[j].lease);
    }
    if (t->positions)
        qsort(s->items, (size_t)s->count, sizeof(s->items[0]), item_compare);
    return true;
}

/* ---- one step ---- */

static bool
read_fits(struct node *n, const struct tiny_command *c,
          const struct tiny_result *r)
{
    struct tiny_result have = tiny_read(&n->state, c);
    bool anonymous = false;

    if (have.slot != r->slot || have.found != r->found)
        return false;
    if (!r->found && c->function == FUNCTION_GET_RESOURCE)
        return true;
    for (int i = 0; i < n->state.lease_count; i++)
        anonymous |=
            n->state.leases[i].gone && n->state.leases[i].id >= ANONYMOUS;
    if (!r->found) /* an anonymous lease may have had any id */
        return have.retired == r->retired ||
               (anonymous && tiny_find(&n->state, c->lease) == NULL);
    if (have.state != r->state)
        return false;
    if (c->function == FUNCTION_GET_RESOURCE)
        return have.version == r->version &&
               (have.state == STATE_AVAILABLE || have.lease == r->lease);
    return have.holder == r->holder && have.epoch == r->epoch &&
           have.deadline == r->deadline &&
           same_list(have.resources, have.resource_count, r->resources,
                     r->resource_count);
}

static bool
row_fits(struct node *n, const struct tiny_row *row)
{
    const struct tiny_lease *l = tiny_find(&n->state, row->lease);

    return l != NULL && l->deadline == row->deadline &&
           l->deadline <= n->state.slot &&
           same_list(l->members, l->member_count, row->resources,
                     row->resource_count) &&
           tiny_expire(&n->state, row->lease);
}

/* A mutation runs, as a new execution or answered from its record. */
static bool
mutation_fits(const struct search *s, struct node *n, const struct item *x,
              int lease)
{
    const struct tiny_command *c = command_of(s, x);
    int id = s->trial->operations[x->operation].id;
    bool live = n->records[id].live && n->state.slot <= n->records[id].retire;
    struct tiny_result got;

    if (live) {
        if (n->records[id].operation != x->operation || x->result == NULL ||
            s->trial->positions)
            return false;
        return same_answer(c, &n->records[id].result, x->result);
    }
    if (x->result != NULL)
        lease = x->result->code == CODE_OK ? x->result->lease : NEVER;
    if (function_is_reserve(c->function) && tiny_find(&n->state, lease) != NULL)
        return false;
    got = tiny_apply(&n->state, c, lease);
    n->records[id].live = true;
    n->records[id].operation = x->operation;
    n->records[id].retire = n->state.slot + TINY_WINDOW;
    n->records[id].result = got;
    return x->result == NULL || same_answer(c, &got, x->result);
}

static bool
tick_fits(const struct search *s, struct node *n, const struct item *x)
{
    tiny_advance(&n->state, command_of(s, x)->amount);
    return x->result == NULL || x->result->slot == n->state.slot;
}

static bool
item_fits(const struct search *s, struct node *n, const struct item *x,
          int lease)
{
    switch (x->kind) {
    case ITEM_READ:
        return read_fits(n, command_of(s, x), x->result);
    case ITEM_ROW:
        return row_fits(n, x->row);
    default:
        return x->tick ? tick_fits(s, n, x) : mutation_fits(s, n, x, lease);
    }
}

typedef enum answer_found (*search_fn)(struct search *s,
                                       const struct node *from);

/* What comes later must end after this was sent. */
static void
saw(struct node *n, int invoke)
{
    if (invoke > n->invoke_max)
        n->invoke_max = invoke;
    if (invoke > n->entry_invoke_max)
        n->entry_invoke_max = invoke;
}

/* Choice 'k' for the id of a lease that an unseen reserve makes: nobody's, one
 * without a maker, or one that another attempt of it was answered; 0: none. */
static int
choice_of_id(const struct search *s, int i, int k)
{
    const struct trial_attempt *a;

    if (k < 0)
        return ANONYMOUS + i;
    if (k < s->id_count)
        return s->ids[k];
    a = &s->trial->attempts[k - s->id_count];
    return a->operation == s->items[i].operation && a->kind == EVENT_OK &&
                   a->result.code == CODE_OK
               ? a->result.lease
               : 0;
}

static enum answer_found
try_optional(struct search *s, const struct node *from, int i, search_fn next)
{
    bool reserve = !s->items[i].tick &&
                   function_is_reserve(command_of(s, &s->items[i])->function);

    for (int k = -1; k < (reserve ? s->id_count + s->trial->attempt_count : 0);
         k++) {
        int id = choice_of_id(s, i, k);
        struct node n = *from;
        enum answer_found found;

        if (id == 0)
            continue;
        n.used[i] = true;
        saw(&n, s->items[i].invoke);
        if (!item_fits(s, &n, &s->items[i], id))
            continue;
        found = next(s, &n);
        if (found != NO)
            return found;
    }
    return NO;
}

/* Some lease expires by a tick nobody heard of. */
static enum answer_found
try_expiry(struct search *s, const struct node *from, search_fn next)
{
    for (int i = 0; i < from->state.lease_count; i++) {
        struct node n = *from;
        enum answer_found found;

        if (n.state.leases[i].deadline > n.state.slot ||
            !tiny_expire(&n.state, n.state.leases[i].id))
            continue;
        saw(&n, s->lost_tick);
        found = next(s, &n);
        if (found != NO)
            return found;
    }
    return NO;
}

/* ---- without positions: every order that keeps real time ---- */

static bool
may_be_next(const struct search *s, const struct node *n, int invoke)
{
    for (int i = 0; i < s->count; i++)
        if (!n->used[i] && !s->items[i].optional && s->items[i].end < invoke)
            return false;
    return true;
}

static enum answer_found
search_orders(struct search *s, const struct node *from)
{
    bool done = true;

    if (++s->nodes > SEARCH_NODES_MAX)
        return GAVE_UP;
    for (int i = 0; i < s->count; i++)
        done &= from->used[i] || s->items[i].optional;
    if (done)
        return YES;
    for (int i = 0; i < s->count; i++) {
        struct node n = *from;
        enum answer_found found;

        if (n.used[i] || !may_be_next(s, &n, s->items[i].invoke))
            continue;
        if (s->items[i].optional) {
            found = try_optional(s, from, i, search_orders);
        } else {
            n.used[i] = true;
            if (!item_fits(s, &n, &s->items[i], 0))
                continue;
            found = search_orders(s, &n);
        }
        if (found != NO)
            return found;
    }
    return s->lost_tick != NEVER && may_be_next(s, from, s->lost_tick)
               ? try_expiry(s, from, search_orders)
               : NO;
}

/* ---- with positions: the order is given; what has none goes between ---- */

/* The next item that must stand; -1: none. */
static int
next_fixed(const struct search *s, const struct node *n)
{
    for (int i = 0; i < s->count; i++)
        if (!n->used[i] && !s->items[i].optional)
            return i;
    return -1;
}

static enum answer_found
search_between(struct search *s, const struct node *from)
{
    int at = next_fixed(s, from);
    const struct item *x = &s->items[at < 0 ? 0 : at];
    enum answer_found found = NO;
    struct node n = *from;

    if (++s->nodes > SEARCH_NODES_MAX)
        return GAVE_UP;
    if (at < 0)
        return YES;
    n.used[at] = true;
    n.last = x->index;
    if (x->invoke > n.invoke_max)
        n.invoke_max = x->invoke;
    if (x->kind != ITEM_READ && x->invoke > n.entry_invoke_max)
        n.entry_invoke_max = x->invoke;
    if ((x->kind == ITEM_READ || x->index > from->last) &&
        x->end >= (x->invoke < 0 ? from->entry_invoke_max : from->invoke_max) &&
        item_fits(s, &n, x, 0))
        found = search_between(s, &n);
    for (int i = 0; i < s->count && found == NO; i++)
        if (s->items[i].optional && !from->used[i])
            found = try_optional(s, from, i, search_between);
    if (found == NO && s->lost_tick != NEVER)
        found = try_expiry(s, from, search_between);
    return found;
}

static bool
terms_rise(const struct search *s)
{
    int term = 0;

    for (int i = 0; i < s->count; i++) {
        if (s->items[i].kind != ITEM_RUN || s->items[i].optional)
            continue;
        if (s->items[i].result->term < term)
            return false;
        term = s->items[i].result->term;
    }
    return true;
}

static enum answer_found
brute_force(struct search *s, const struct trial *t)
{
    static const struct node start = {.invoke_max = -1, .entry_invoke_max = -1};

    if (!collect(s, t))
        return NO;
    if (!t->positions)
        return search_orders(s, &start);
    return terms_rise(s) ? search_between(s, &start) : NO;
}

/* ---- trials ---- */

struct tally {
    long trials, alarms, caught, missed, gave_up, unproven, wrong;
};

static uint64_t seed;
static long trials;

static void
show(const struct trial *t, const struct builder *b, uint64_t number,
     const char *what)
{
    printf("# %s: seed %llu, trial %llu\n", what, (unsigned long long)seed,
           (unsigned long long)number);
    for (int i = 0; i < t->event_count; i++) {
        struct arena a;
        struct event e;
        json_t *json;

        if (t->events[i].attempt < 0)
            continue;
        arena_init(&a);
        trial_event(t, i, &a, &e);
        json = event_to_json(&e);
        printf("# ");
        json_dumpf(json, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(json);
        arena_release(&a);
    }
    json_dumpf(json_object_get(b->result, "checkers"), stdout, JSON_INDENT(1));
    putchar('\n');
}

/* "invalid" by whichever checker. */
static bool
alarmed(const struct builder *b)
{
    return analyzer_exit_status(b->result) == 1;
}

static void
correct_trial(struct tally *y, uint64_t number)
{
    struct rng root, rng;
    struct trial t;
    struct builder b;
    bool proven;

    rng_init(&root, seed);
    rng = rng_fork(&root, "correct", number);
    trial_generate(&t, &rng, 3 + (int)(number % 9));
    trial_build(&t, &b);
    judge(&b, NULL);
    y->trials++;
    proven = strcmp(verdict_of(&b, "linearizable"), "valid") == 0;
    if (alarmed(&b) || b.table->cut != NULL) {
        if (y->wrong++ == 0)
            show(&t, &b, number, "a correct history is called wrong");
    } else if (!proven) {
        if (y->unproven++ == 0)
            show(&t, &b, number, "a correct history is not proven");
    }
    builder_release(&b);
}

static void
corrupted_trial(struct tally *y, uint64_t number)
{
    static struct search s;
    enum answer_found found;
    struct rng root, rng;
    struct trial t;
    struct builder b;
    bool proven;

    rng_init(&root, seed);
    rng = rng_fork(&root, "corrupted", number);
    trial_generate(&t, &rng, 2 + (int)(number % 5));
    for (uint64_t n = rng_below(&rng, 3) + 1; n > 0; n--)
        trial_corrupt(&t, &rng);
    trial_build(&t, &b);
    judge(&b, NULL);
    y->trials++;
    found = brute_force(&s, &t);
    proven = analyzer_exit_status(b.result) == 0;
    y->gave_up += found == GAVE_UP;
    y->alarms += alarmed(&b);
    y->caught += found == NO && alarmed(&b);
    y->missed += found == NO && !alarmed(&b);
    if ((found == YES && alarmed(&b)) || (found == NO && proven)) {
        if (y->wrong++ == 0)
            show(&t, &b, number,
                 proven ? "a wrong history is called proven" : "a false alarm");
    }
    builder_release(&b);
}

static void
test_correct_histories(void)
{
    struct tally y = {0};

    for (long i = 0; i < trials; i++)
        correct_trial(&y, (uint64_t)i);
    printf("# correct: %ld histories, %ld false alarms, %ld not proven\n",
           y.trials, y.wrong, y.unproven);
    CHECK_INT(y.wrong, 0);
    CHECK_INT(y.unproven, 0);
}

static void
test_corrupted_histories(void)
{
    struct tally y = {0};

    for (long i = 0; i < trials; i++)
        corrupted_trial(&y, (uint64_t)i);
    printf("# corrupted: %ld histories, %ld alarms, %ld wrong; not "
           "linearizable and caught %ld, left unknown %ld; search gave up "
           "on %ld\n",
           y.trials, y.alarms, y.wrong, y.caught, y.missed, y.gave_up);
    CHECK_INT(y.wrong, 0);
    CHECK(y.caught > y.trials / 10); /* the corruption corrupts */
    CHECK(y.missed < y.caught / 50);
    CHECK(y.gave_up < y.trials / 20);
}

/* ---- garbage ---- */

static struct value
garbage_value(struct rng *rng)
{
    static const int64_t numbers[] = {INT64_MAX, INT64_MIN, INT64_MAX / 4, -1,
                                      0,         1,         1 << 20};
    struct value v = {.type = VALUE_INT};

    switch (rng_below(rng, 6)) {
    case 0:
        return (struct value){.type = VALUE_NULL};
    case 1:
        v.type = VALUE_STRING;
        v.string.text = "fenced";
        v.string.len = 6;
        return v;
    case 2:
        return (struct value){.type = VALUE_LIST};
    case 3:
        return (struct value){.type = VALUE_ID,
                              .id = {rng_u64(rng), rng_u64(rng)}};
    default:
        v.integer = numbers[rng_below(rng, ARRAY_LEN(numbers))];
        return v;
    }
}

/* Whatever an event may look like that a reader lets through. */
static void
garble(struct event *e, struct rng *rng)
{
    switch (rng_below(rng, 6)) {
    case 0:
        e->kind = (enum event_kind)rng_below(rng, EVENT_KIND_COUNT);
        break;
    case 1:
        e->position = (struct position){true, rng_u64(rng), rng_u64(rng)};
        break;
    case 2:
        e->process = (uint32_t)rng_below(rng, 3);
        break;
    case 3:
        e->time_ns = rng_chance(rng, 0.5) ? INT64_MAX : INT64_MIN;
        break;
    default:
        if (e->fields.count > 0)
            e->fields.items[rng_below(rng, e->fields.count)].value =
                garbage_value(rng);
    }
}

/* Nothing that stands in a file makes the analyzer fail. */
static void
test_garbage_is_judged(void)
{
    long cut = 0;

    for (long i = 0; i < trials / 4; i++) {
        struct rng root, rng;
        struct builder b;
        struct trial t;
        char meta[256];

        rng_init(&root, seed);
        rng = rng_fork(&root, "garbage", (uint64_t)i);
        trial_generate(&t, &rng, 6);
        snprintf(meta, sizeof(meta), TINY_META, "total");
        builder_init(&b, meta);
        for (int n = 0; n < t.event_count; n++) {
            struct event e;

            if (t.events[n].attempt < 0)
                continue;
            trial_event(&t, n, &b.arena, &e);
            e.index = b.next++;
            if (rng_below(&rng, 20) == 0)
                garble(&e, &rng);
            table_add(b.table, &e);
        }
        CHECK(judge(&b, NULL) != NULL);
        CHECK(b.table->cut == NULL || analyzer_exit_status(b.result) != 0);
        cut += b.table->cut != NULL;
        builder_release(&b);
    }
    printf("# garbage: %ld of %ld histories were cut\n", cut, trials / 4);
    CHECK(cut > 0 && cut < trials / 4);
}

int
main(void)
{
    const char *text = getenv("ORDEAL_TEST_SEED");

    seed = text == NULL ? 20260131 : strtoull(text, NULL, 0);
    text = getenv("ORDEAL_TEST_TRIALS");
    trials = text == NULL ? 20000 : strtol(text, NULL, 0);
    printf("# seed %llu\n", (unsigned long long)seed);
    RUN(test_correct_histories);
    RUN(test_corrupted_histories);
    RUN(test_garbage_is_judged);
    return tap_done();
}
