/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explanations: cores that are small and honest, their words, and what is
 * written of them.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/suppose.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/functions.h"
#include "harness/base/rng.h"
#include "tests/lib/tap.h"

static uint32_t
put(struct calls *c, uint8_t f, uint32_t process, uint32_t invoke,
    uint32_t complete, uint32_t a)
{
    uint32_t i = calls_append(c, f, process, invoke, complete);

    if (f == REGISTER_READ)
        c->result[i] = a;
    else
        c->a[i] = a;
    c->line[i] = invoke + 1;
    c->end_line[i] = complete == CALL_OPEN ? 0 : complete + 1;
    return i;
}

static struct budget
seconds(int64_t s)
{
    return (struct budget){
        .clock = clock_monotonic(),
        .deadline_ns = clock_now_ns(clock_monotonic()) + s * NS_PER_S,
        .memory_bytes = (size_t)64 << 20,
    };
}

/* Shrinks with nothing known of the core. */
static bool
shrink(const struct calls *c, struct decision *d)
{
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = seconds(10);

    *d = (struct decision){.verdict = VERDICT_INVALID};
    return explain_shrink(&p, d, &b);
}

/* A read of what was overwritten: what contradicts is the overwriting write
 * and the read; the first write is context, though it is what erasing calls
 * would have taken away first.  Line 7 begins a call without an answer. */
static struct calls *
stale_history(void)
{
    struct calls *c = calls_new_raw(model_find("register"));

    put(c, REGISTER_WRITE, 0, 0, 1, 1);
    put(c, REGISTER_READ, 1, 2, 3, 1);
    put(c, REGISTER_WRITE, 0, 4, 5, 2);
    put(c, REGISTER_WRITE, 3, 6, CALL_OPEN, 2);
    put(c, REGISTER_READ, 2, 7, 8, 1);
    put(c, REGISTER_READ, 1, 9, 10, 2);
    return c;
}

static void
test_stale_read(void)
{
    struct calls *c = stale_history();
    struct decision d;

    CHECK(shrink(c, &d));
    CHECK_INT(d.core_count, 3);
    CHECK_INT(d.core[0], 0);
    CHECK_INT(d.core[1], 2);
    CHECK_INT(d.core[2], 4);
    CHECK(!d.core_firm[0] && d.core_firm[1] && d.core_firm[2]);
    decision_release(&d);
    calls_free(c);
}

/* Ten thousand calls of which two contradict: found among the last ones, with
 * what came before them looked at once. */
static void
test_long_history(void)
{
    struct calls *c = calls_new_raw(model_find("register"));
    struct decision d;
    uint32_t n = 10000;

    /* Each overlaps the next. */
    for (uint32_t i = 0; i < n; i++)
        put(c, REGISTER_WRITE, i % 2, 2 * i, 2 * i + 3, 1 + i % 5);
    put(c, REGISTER_READ, 3, 2 * n + 2, 2 * n + 4, 1 + (n - 4) % 5);
    CHECK(shrink(c, &d));
    CHECK_INT(d.core_count, 3);
    CHECK(!d.core_firm[0] && d.core_firm[1] && d.core_firm[2]);
    CHECK_INT(c->a[d.core[0]], 1 + (n - 4) % 5);
    CHECK_INT(d.core[2], n);
    decision_release(&d);
    calls_free(c);
}

/* ---- long histories of leases ---- */

static void
put_lease(struct calls *c, enum lease_function f, uint32_t owner,
          uint32_t invoke)
{
    uint32_t words[LEASE_CALL_WORDS];
    uint32_t i = calls_append(c, (uint8_t)f, owner, invoke, invoke + 1);

    c->a[i] = value_of_int(c, owner);
    model_put64(words + LEASE_CALL_END, INT64_MAX);
    model_put64(words + LEASE_CALL_UNTIL, LEASE_UNTIL_NEVER);
    c->list[i] = calls_list(c, words, LEASE_CALL_WORDS);
}

#define LEASE_CALLS 175000u
#define LEASE_WRONG 90001u

/* Eight clients, one after the other; once one acquires what another has. */
static struct calls *
lease_history(void)
{
    struct calls *c = calls_new_raw(model_find("lease"));

    for (uint32_t i = 0; i < LEASE_CALLS; i++) {
        bool wrong = i == LEASE_WRONG;

        put_lease(c, i % 2 == 0 || wrong ? LEASE_ACQUIRE : LEASE_RELEASE,
                  (i / 2 + (wrong ? 1 : 0)) % 8, 2 * i);
    }
    return c;
}

/* That the core without its 'gone'th call has an order. */
static void
check_needed(const struct calls *c, const struct decision *d, uint32_t gone)
{
    uint32_t members[16], count = 0;
    struct budget b = seconds(10);
    struct decision rest;

    CHECK(d->core_count <= ARRAY_LEN(members));
    for (uint32_t i = 0; i < d->core_count; i++)
        if (i != gone)
            members[count++] = d->core[i];
    struct problem p = {c, members, count, VALUE_ABSENT};
    engine_decide(&engine_brute, &p, &b, &rest);
    CHECK_INT(rest.verdict, VERDICT_VALID);
    decision_release(&rest);
}

/* The engine says no more than up to where the history can be explained. */
static void
test_long_leases(void)
{
    struct calls *c = lease_history();
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = seconds(60);
    struct decision d = {.verdict = VERDICT_INVALID,
                         .core_count = LEASE_WRONG + 1};

    d.core = xcalloc(d.core_count, sizeof(*d.core));
    for (uint32_t i = 0; i < d.core_count; i++)
        d.core[i] = i;
    CHECK(explain_shrink(&p, &d, &b));
    CHECK_INT(d.core_count, 2);
    CHECK_INT(d.core[0], LEASE_WRONG - 1);
    CHECK_INT(d.core[1], LEASE_WRONG);
    for (uint32_t i = 0; i < d.core_count; i++)
        check_needed(c, &d, i);
    decision_release(&d);
    calls_free(c);
}

/* The core of 'c' with its words, as check_calls would give it. */
static void
judge(const struct calls *c, struct check_result *r)
{
    *r = (struct check_result){
        .verdict = VERDICT_INVALID,
        .problem = {.calls = c, .count = c->count, .key = VALUE_ABSENT},
        .parts = {.count = 1},
        .invalid_parts = 1,
    };
    CHECK(shrink(c, &r->decision));
    explain_words(&r->problem, &r->decision);
}

static void
test_words(void)
{
    struct calls *c = stale_history();
    struct check_result r;
    const struct edge *e;

    judge(c, &r);
    CHECK_STR(r.decision.headline,
              "the register was read as 1 by client 2 after a write of 2 by "
              "client 0 had been answered, and nothing wrote 1 in between");
    CHECK_INT(r.decision.edge_count, 3);
    e = &r.decision.edges[0];
    CHECK_INT(e->kind, EDGE_OBSERVED);
    CHECK_INT(e->from, 0);
    CHECK_INT(e->to, 4);
    CHECK_STR(e->text, "#3 saw the 1 that #1 wrote");
    CHECK_STR(r.decision.edges[2].text,
              "#2 was answered (line 6) before #3 was invoked (line 8)");
    decision_release(&r.decision);
    calls_free(c);
}

/* One after the other. */
static void
append(struct calls *c, uint8_t f, uint32_t process, uint32_t at, uint32_t a,
       uint32_t result)
{
    uint32_t i = calls_append(c, f, process, at, at + 1);

    c->a[i] = a;
    c->result[i] = result;
    c->line[i] = at + 1;
    c->end_line[i] = at + 2;
}

static void
test_words_lock(void)
{
    struct calls *c = calls_new_raw(model_find("mutex"));
    struct check_result r;

    append(c, LOCK_ACQUIRE, 4, 0, 4, VALUE_ABSENT);
    append(c, LOCK_ACQUIRE, 5, 2, 5, VALUE_ABSENT);
    judge(c, &r);
    CHECK_STR(r.decision.headline, "the lock was granted to client 5 while "
                                   "client 4 held it: nothing released it in "
                                   "between");
    CHECK_INT(r.decision.core_count, 2);
    decision_release(&r.decision);
    calls_free(c);
}

static void
test_words_queue(void)
{
    struct calls *c = calls_new_raw(model_find("fifo-queue"));
    struct check_result r;

    append(c, QUEUE_ENQUEUE, 0, 0, 7, VALUE_ABSENT);
    append(c, QUEUE_DEQUEUE, 1, 2, VALUE_ABSENT, 7);
    append(c, QUEUE_DEQUEUE, 2, 4, VALUE_ABSENT, 7);
    judge(c, &r);
    CHECK_STR(r.decision.headline, "7 was dequeued by client 2 and again by "
                                   "client 1; it was enqueued once");
    decision_release(&r.decision);
    calls_free(c);
}

static void
check_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        printf("# missing: %s\n# in: %s\n", part, text);
    CHECK(strstr(text, part) != NULL);
}

static void
test_text(void)
{
    struct calls *c = stale_history();
    struct check_result r;
    struct buf out;

    buf_init(&out, 1 << 16);
    judge(c, &r);
    r.decision.engine = "register";
    explain_text(c, &r, &out);
    check_has(buf_text(&out), "INVALID  the register was read as 1");
    check_has(buf_text(&out),
              "2 calls contradict each other; 1 more is shown for");
    check_has(buf_text(&out),
              "  client 0 [#1 write 1: ok-][#2 write 2: ok=]\n"
              "  client 2                                   [#3 read: 1=]\n");
    check_has(buf_text(&out), "lines 5-6");
    check_has(buf_text(&out), "line 7, client 3, write 2 (unknown): refuted "
                              "whether or not it took effect");
    check_has(buf_text(&out), "decided by register");
    for (const char *line = buf_text(&out); *line != '\0';) {
        size_t len = strcspn(line, "\n");

        CHECK(len <= 100 && (len == 0 || line[len - 1] != ' '));
        line += len + 1;
    }
    decision_release(&r.decision);
    buf_release(&out);
    calls_free(c);
}

/* Nothing of it is fetched or run, and no text from outside is markup. */
static void
test_html(void)
{
    struct calls *c = calls_new_raw(model_find("kv"));
    struct check_result r;
    struct buf out;
    static const char hostile[] = "<b>&\"'\xff\x01";
    uint32_t value = value_of_text(c, hostile, strlen(hostile));

    buf_init(&out, EXPLAIN_HTML_MAX);
    put(c, REGISTER_WRITE, 0, 0, 1, value);
    put(c, REGISTER_WRITE, 0, 2, 3, 2);
    put(c, REGISTER_WRITE, 3, 4, CALL_OPEN, 2);
    put(c, REGISTER_READ, 2, 5, 6, value);
    judge(c, &r);
    explain_html(c, &r, "a <i>title</i>", &out);
    CHECK(!out.truncated);
    check_has(buf_text(&out), "<!DOCTYPE html>");
    check_has(buf_text(&out), "a &lt;i&gt;title&lt;/i&gt;");
    check_has(buf_text(&out), "&lt;b&gt;&amp;");
    check_has(buf_text(&out), "href=\"#call-3\"");
    check_has(buf_text(&out), "id=\"call-3\"");
    check_has(buf_text(&out), "prefers-color-scheme:dark");
    check_has(buf_text(&out), "</main></body></html>\n");
    CHECK(strstr(buf_text(&out), "<b>") == NULL);
    CHECK(memchr(out.data, 0xff, out.len) == NULL);
    CHECK(memchr(out.data, 1, out.len) == NULL);
    CHECK(strstr(buf_text(&out), "<script") == NULL);
    CHECK(strstr(buf_text(&out), "http") == NULL);
    CHECK(strstr(buf_text(&out), "@import") == NULL);
    decision_release(&r.decision);
    buf_release(&out);
    calls_free(c);
}

/* However long the history and its values are, the page is not. */
static void
test_html_is_bounded(void)
{
    struct calls *c = calls_new_raw(model_find("register"));
    struct check_result r = {.verdict = VERDICT_INVALID,
                             .problem = {.calls = c, .key = VALUE_ABSENT},
                             .parts = {.count = 1}};
    struct buf out;
    char text[4001];

    memset(text, '&', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (uint32_t i = 0; i < 20000; i++) {
        text[i % (sizeof(text) - 1)] ^= 1;
        put(c, i % 3 == 0 ? REGISTER_READ : REGISTER_WRITE, i % 900, 2 * i,
            i % 50 == 0 ? CALL_OPEN : 2 * i + 1,
            value_of_text(c, text, sizeof(text) - 1));
    }
    /* A core that was never shrunk. */
    r.problem.count = c->count;
    r.decision =
        (struct decision){.verdict = VERDICT_INVALID, .core_count = c->count};
    r.decision.core = xcalloc(c->count, sizeof(uint32_t));
    for (uint32_t i = 0; i < c->count; i++)
        r.decision.core[i] = i;
    explain_words(&r.problem, &r.decision);
    buf_init(&out, (size_t)8 << 20);
    explain_html(c, &r, text, &out);
    printf("# %zu bytes\n", out.len);
    CHECK(out.len < EXPLAIN_HTML_MAX);
    check_has(buf_text(&out), "The first 64 of 20000 calls.");
    buf_reset(&out);
    explain_text(c, &r, &out);
    check_has(buf_text(&out), "  ... and 19960 more\n");
    decision_release(&r.decision);
    buf_release(&out);
    calls_free(c);
}

/* ---- random histories against every part of them ---- */

#define SMALL_MAX 8u

/* What a call of this function says; values from 1 to 3. */
static void
random_words(struct calls *c, uint32_t i, struct rng *r)
{
    bool open = c->complete[i] == CALL_OPEN;
    const char *name = c->model->functions[c->function[i]];
    bool many = strcmp(c->model->name, "fifo-queue") == 0 ||
                strcmp(c->model->name, "stack") == 0 ||
                strcmp(c->model->name, "set") == 0;
    uint32_t value = 1 + (uint32_t)rng_below(r, many ? 3 : 2);

    if (strcmp(c->model->name, "set") == 0 && strcmp(name, "read") == 0) {
        uint32_t elements[] = {1, 2}, from = (uint32_t)rng_below(r, 2);

        c->list[i] =
            calls_list(c, elements + from, (uint32_t)rng_below(r, 3 - from));
        return;
    }
    if (strcmp(name, "read") == 0 || strcmp(name, "dequeue") == 0 ||
        strcmp(name, "pop") == 0) {
        c->result[i] = open ? VALUE_ABSENT : value;
        if (!open && rng_chance(r, 0.15))
            c->result[i] = VALUE_NIL;
        return;
    }
    if (strcmp(name, "get") == 0) {
        static const uint32_t texts[] = {1, 2, 11, 12, 21, VALUE_NIL};

        c->result[i] = open ? VALUE_ABSENT : texts[rng_below(r, 6)];
        return;
    }
    c->a[i] = value;
    if (strcmp(name, "cas") == 0) {
        c->b[i] = 1 + (uint32_t)rng_below(r, 2);
        c->result[i] = open ? VALUE_ABSENT : (uint32_t)rng_below(r, 2);
    }
    if (strcmp(c->model->name, "set") == 0 && !open &&
        (strcmp(name, "contains") == 0 || rng_chance(r, 0.5)))
        c->result[i] = (uint32_t)rng_below(r, 2);
}

static struct calls *
random_calls(const struct model_ops *m, struct rng *r)
{
    struct calls *c = calls_new_raw(m);
    uint32_t n = 3 + (uint32_t)rng_below(r, SMALL_MAX - 2), functions = 0;
    uint32_t slot[SMALL_MAX * 2], from[SMALL_MAX], to[SMALL_MAX], at = 0;

    while (m->functions[functions] != NULL)
        functions++;
    /* Each number twice, shuffled: where it begins and where it ends. */
    for (uint32_t i = 0; i < 2 * n; i++)
        slot[i] = i / 2;
    for (uint32_t i = 0; i < 2 * n; i++) {
        uint32_t k = i + (uint32_t)rng_below(r, rng_chance(r, 0.5) ? 2 * n - i
                                                : 2 * n - i < 3    ? 2 * n - i
                                                                   : 3);
        uint32_t swap = slot[i];

        slot[i] = slot[k];
        slot[k] = swap;
    }
    memset(from, 0xff, sizeof(from));
    for (uint32_t i = 0; i < 2 * n; i++)
        *(from[slot[i]] == UINT32_MAX ? &from[slot[i]] : &to[slot[i]]) = i;
    for (; at < 2 * n; at++)
        for (uint32_t i = 0; i < n; i++)
            if (from[i] == at) {
                uint32_t call =
                    calls_append(c, (uint8_t)rng_below(r, functions), i, at,
                                 rng_chance(r, 0.2) ? CALL_OPEN : to[i]);

                random_words(c, call, r);
            }
    c->rank_count = 2 * n;
    return c;
}

static enum verdict
brute(const struct calls *c, uint32_t part)
{
    uint32_t members[SMALL_MAX];
    struct problem p = {.calls = c, .members = members, .key = VALUE_ABSENT};
    struct budget b = seconds(10);
    struct decision d;

    for (uint32_t i = 0; i < c->count; i++)
        if (part >> i & 1)
            members[p.count++] = i;
    engine_decide(&engine_brute, &p, &b, &d);
    enum verdict v = d.verdict;
    decision_release(&d);
    return v;
}

/* Whether some part of the history that has all of 'firm' has an order. */
static bool
explainable(const struct calls *c, uint32_t firm)
{
    for (uint32_t part = 0; part < 1u << c->count; part++)
        if ((part & firm) == firm && brute(c, part) == VERDICT_VALID)
            return true;
    return false;
}

static void
check_core(const struct calls *c, const struct decision *d)
{
    uint32_t firm = 0, all = 0;

    CHECK(d->core_count > 0 && d->core_firm != NULL);
    for (uint32_t i = 0; i < d->core_count; i++) {
        all |= 1u << d->core[i];
        if (d->core_firm[i])
            firm |= 1u << d->core[i];
    }
    CHECK(!explainable(c, firm));
    CHECK_INT(brute(c, all), VERDICT_INVALID);
    for (uint32_t i = 0; i < d->core_count; i++) {
        uint32_t rest = firm & ~(1u << d->core[i]), part = rest;
        bool shown = !d->core_firm[i];

        CHECK(!d->core_firm[i] || explainable(c, rest));
        /* The context suffices to show it. */
        for (uint32_t more = all & ~firm;; more = (more - 1) & all & ~firm) {
            shown |= brute(c, part | more) == VERDICT_VALID;
            if (more == 0)
                break;
        }
        CHECK(shown);
    }
}

static void
check_random(const char *model, int count)
{
    const struct model_ops *m = model_find(model);
    struct rng root;
    int invalid = 0;

    CHECK(m != NULL);
    rng_init(&root, 31);
    for (int i = 0; i < count; i++) {
        struct rng r = rng_fork(&root, model, (uint64_t)i);
        struct calls *c = random_calls(m, &r);
        struct decision d;

        if (brute(c, (1u << c->count) - 1) == VERDICT_INVALID) {
            invalid++;
            CHECK(shrink(c, &d));
            check_core(c, &d);
            decision_release(&d);
        }
        calls_free(c);
    }
    printf("# %s: %d of %d invalid\n", model, invalid, count);
    CHECK(invalid > count / 10);
}

static void
test_random_register(void)
{
    check_random("register", 1500);
}

static void
test_random_cas_register(void)
{
    check_random("cas-register", 1500);
}

static void
test_random_kv(void)
{
    check_random("kv", 1500);
}

static void
test_random_queue(void)
{
    check_random("fifo-queue", 1500);
}

static void
test_random_stack(void)
{
    check_random("stack", 1500);
}

static void
test_random_set(void)
{
    check_random("set", 1500);
}

static void
test_random_mutex(void)
{
    check_random("mutex", 1500);
}

int
main(void)
{
    RUN(test_random_kv);
    RUN(test_random_queue);
    RUN(test_random_stack);
    RUN(test_random_set);
    RUN(test_random_mutex);
    RUN(test_random_register);
    RUN(test_random_cas_register);
    RUN(test_stale_read);
    RUN(test_long_history);
    RUN(test_long_leases);
    RUN(test_words);
    RUN(test_words_lock);
    RUN(test_words_queue);
    RUN(test_text);
    RUN(test_html);
    RUN(test_html_is_bounded);
    return tap_done();
}
