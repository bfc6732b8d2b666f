/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules, plans and target specs: pure functions of the seed. */
#include "config.h"

#include "nemesis/schedule.h"
#include "tests/lib/tap.h"

#define WINDOW_NS (600 * NS_PER_S)

static const char *const mixed =
    "{\"start_after\":\"3s\",\"interval\":\"4s\",\"jitter\":0.5,"
    "\"max_concurrent\":2,\"budget\":{\"nodes_down\":3},\"faults\":["
    "{\"fault\":\"kill\",\"target\":\"primary\",\"weight\":4,"
    "\"duration\":\"1.5s\"},"
    "{\"fault\":\"stop\",\"target\":\"minority\","
    "\"duration\":[\"2s\",\"9s\"],\"timeout\":\"5s\"},"
    "{\"fault\":\"null\",\"target\":\"all\",\"duration\":\"5s\"}]}";

static void
build(const char *schedule, uint64_t seed, struct plan *plan)
{
    struct error err = {0};
    json_t *json = json_loads(schedule, 0, NULL);

    CHECK(json != NULL);
    CHECK_OK(plan_build(json, seed, WINDOW_NS, 5, plan, &err), &err);
    json_decref(json);
}

static char *
dump(const struct plan *plan)
{
    json_t *json = plan_to_json(plan);
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

static void
test_plan_comes_from_the_seed_alone(void)
{
    struct plan a, b, c;

    build(mixed, 42, &a);
    build(mixed, 42, &b);
    build(mixed, 43, &c);
    CLEANUP_FREE char *text_a = dump(&a);
    CLEANUP_FREE char *text_b = dump(&b);
    CLEANUP_FREE char *text_c = dump(&c);
    CHECK_STR(text_a, text_b);
    CHECK(strcmp(text_a, text_c) != 0);
    CHECK(a.entry_count > 60);
    plan_release(&a);
    plan_release(&b);
    plan_release(&c);
}

/* What must hold of every plan, over many seeds. */
static void
check_plan(const struct plan *p)
{
    for (size_t i = 0; i < p->entry_count; i++) {
        const struct plan_entry *e = &p->entries[i];
        unsigned active = 0, down = 0;

        CHECK_INT(e->id, i + 1);
        CHECK(i == 0 || e->at_ns >= e[-1].at_ns);
        CHECK(e->at_ns >= 3 * NS_PER_S);
        CHECK(e->at_ns + e->duration_ns <= WINDOW_NS - PLAN_HEAL_RESERVE_NS);
        for (size_t j = 0; j <= i; j++) {
            const struct plan_entry *o = &p->entries[j];

            if (o->at_ns + o->duration_ns <= e->at_ns)
                continue;
            active++;
            CHECK(j == i || o->ops != e->ops);
            if (o->ops->takes_nodes_down)
                down += target_count_max(&o->spec, 5, 3);
        }
        CHECK(active <= 2);
        CHECK(down <= 3);
    }
}

static void
test_overlap_and_budget_hold_for_every_seed(void)
{
    bool overlapped = false;

    for (uint64_t seed = 0; seed < 200; seed++) {
        struct plan p;

        build(mixed, seed, &p);
        check_plan(&p);
        for (size_t i = 1; i < p.entry_count; i++)
            overlapped |= p.entries[i].at_ns <
                          p.entries[i - 1].at_ns + p.entries[i - 1].duration_ns;
        plan_release(&p);
    }
    CHECK(overlapped);
}

static void
test_weights_are_odds(void)
{
    unsigned kills = 0, others = 0;

    for (uint64_t seed = 0; seed < 50; seed++) {
        struct plan p;

        build("{\"faults\":[{\"fault\":\"kill\",\"weight\":4},"
              "{\"fault\":\"null\",\"weight\":1}]}",
              seed, &p);
        for (size_t i = 0; i < p.entry_count; i++)
            strcmp(p.entries[i].ops->name, "kill") == 0 ? kills++ : others++;
        plan_release(&p);
    }
    CHECK(kills > 3 * others && kills < 5 * others);
}

/* Also the shortest run meets the heaviest entry: rounds are dealt out. */
static void
test_a_round_has_each_entry_by_its_weight(void)
{
    static const char *const names[] = {"kill", "pause", "stop"};
    static const unsigned weights[] = {4, 2, 1};
    bool moved = false;

    for (uint64_t seed = 0; seed < 50; seed++) {
        unsigned seen[3] = {0};
        struct plan p;

        build("{\"interval\":\"9s\",\"faults\":["
              "{\"fault\":\"kill\",\"weight\":2},"
              "{\"fault\":\"pause\",\"weight\":1},"
              "{\"fault\":\"stop\",\"weight\":0.5}]}",
              seed, &p);
        CHECK(p.entry_count >= 14);
        for (size_t i = 0; i < p.entry_count; i++) {
            for (unsigned k = 0; k < 3; k++)
                seen[k] += strcmp(p.entries[i].ops->name, names[k]) == 0;
            if (i % 7 != 6)
                continue;
            for (unsigned k = 0; k < 3; k++)
                CHECK_INT(seen[k], weights[k] * (i / 7 + 1));
        }
        moved = moved || strcmp(p.entries[0].ops->name, "kill") != 0;
        plan_release(&p);
    }
    CHECK(moved);
}

/* A longer window only adds faults at the end. */
static void
test_longer_window_keeps_the_beginning(void)
{
    struct plan shorter, longer;
    struct error err = {0};
    json_t *json = json_loads(mixed, 0, NULL);

    CHECK_OK(plan_build(json, 9, 60 * NS_PER_S, 5, &shorter, &err), &err);
    CHECK_OK(plan_build(json, 9, 600 * NS_PER_S, 5, &longer, &err), &err);
    json_decref(json);
    CHECK(shorter.entry_count > 5);
    CHECK(longer.entry_count > shorter.entry_count);
    for (size_t i = 0; i < shorter.entry_count; i++) {
        CHECK_INT(shorter.entries[i].at_ns, longer.entries[i].at_ns);
        CHECK(shorter.entries[i].ops == longer.entries[i].ops);
    }
    plan_release(&shorter);
    plan_release(&longer);
}

static void
test_plan_given_back_is_the_same(void)
{
    struct plan a, b;
    struct error err = {0};
    json_t *json;

    build(mixed, 7, &a);
    json = plan_to_json(&a);
    CHECK_OK(plan_from_json(json, &b, &err), &err);
    json_decref(json);
    CLEANUP_FREE char *text_a = dump(&a);
    CLEANUP_FREE char *text_b = dump(&b);
    CHECK_STR(text_a, text_b);
    plan_release(&a);
    plan_release(&b);
}

static void
test_no_schedule_is_an_empty_plan(void)
{
    struct plan p;
    struct error err = {0};

    CHECK_OK(plan_build(NULL, 1, WINDOW_NS, 3, &p, &err), &err);
    CHECK_INT(p.entry_count, 0);
    plan_release(&p);
    build("{\"faults\":[]}", 1, &p);
    CHECK_INT(p.entry_count, 0);
    plan_release(&p);
}

/* ---- blocks ---- */

/* "n at_s fault target" of each, in one line. */
static void
outline(const char *schedule, int64_t window_ns, char *ret, size_t size)
{
    struct plan p;
    struct error err = {0};
    json_t *json = json_loads(schedule, 0, NULL);
    size_t used = 0;

    CHECK(json != NULL);
    CHECK_OK(plan_build(json, 5, window_ns, 3, &p, &err), &err);
    json_decref(json);
    ret[0] = '\0';
    for (size_t i = 0; i < p.entry_count; i++) {
        const struct plan_entry *e = &p.entries[i];

        CHECK_INT(e->id, i + 1);
        used += (size_t)snprintf(
            ret + used, size - used, "%s%g-%g %s %s%s", i == 0 ? "" : ", ",
            (double)e->at_ns / NS_PER_S,
            (double)(e->at_ns + e->duration_ns) / NS_PER_S, e->ops->name,
            e->target, e->on.kind == TRIGGER_NONE ? "" : " on");
        CHECK(used < size);
    }
    plan_release(&p);
}

static void
test_blocks_come_when_they_say(void)
{
    static const struct {
        const char *schedule;
        int window_s;
        const char *outline;
    } cases[] = {
        /* given offsets; what a shorter window has no room for is left out */
        {"{\"faults\":[{\"fault\":\"kill\",\"at\":[\"4s\",\"9.5s\",\"50s\"],"
         "\"duration\":\"1s\"}]}",
         20, "4-5 kill one, 9.5-10.5 kill one"},
        /* a mix gives way to given offsets */
        {"{\"start_after\":\"0\",\"interval\":\"4s\",\"jitter\":0,\"faults\":["
         "{\"fault\":\"null\"},{\"fault\":\"kill\",\"at\":\"5s\"}]}",
         14, "0-2 null one, 5-7 kill one, 7-9 null one"},
        {"{\"start_after\":\"1s\",\"flip_flop\":{\"period\":\"3s\",\"faults\":["
         "{\"fault\":\"kill\"},{\"fault\":\"pause\",\"target\":\"n2\"}]}}",
         15, "1-4 kill one, 4-7 pause n2, 7-10 kill one, 10-13 pause n2"},
        {"{\"start_after\":\"0s\",\"flip_flop\":{\"period\":\"4s\",\"faults\":["
         "{\"fault\":\"partition\"}]}}",
         12, "0-2 partition one, 4-6 partition one, 8-10 partition one"},
        {"{\"start_after\":\"0s\",\"interval\":\"10s\",\"jitter\":0,"
         "\"stagger\":{\"fault\":\"kill\",\"step\":\"2s\",\"order\":\"given\","
         "\"target\":\"[n1,n3]\",\"duration\":\"1s\"}}",
         18, "0-1 kill n1, 2-3 kill n3, 10-11 kill n1, 12-13 kill n3"},
        /* one kind does not overlap itself: the step gives way */
        {"{\"start_after\":\"0s\",\"stagger\":{\"fault\":\"stop\","
         "\"order\":\"given\",\"step\":\"1s\",\"duration\":\"3s\","
         "\"timeout\":\"2s\"}}",
         12, "0-3 stop n1, 3-6 stop n2, 6-9 stop n3"},
        {"{\"jitter\":0,\"phases\":["
         "{\"name\":\"quiet\",\"length\":\"5s\"},"
         "{\"length\":\"6s\",\"rate\":20,\"faults\":[{\"fault\":\"kill\","
         "\"duration\":\"1s\"}]},"
         "{\"faults\":[{\"fault\":\"null\",\"at\":\"1s\"},"
         "{\"fault\":\"pause\",\"on\":{\"event\":\"invoke\"}}]}]}",
         30, "5-6 kill one, 8-9 kill one, 11-13 pause one on, 12-14 null one"},
        {"{\"max_concurrent\":3,\"tracks\":["
         "{\"interval\":\"4s\",\"jitter\":0,\"faults\":[{\"fault\":\"null\"}]},"
         "{\"start_after\":\"1s\",\"interval\":\"5s\",\"jitter\":0,"
         "\"faults\":[{\"fault\":\"partition\"}]}]}",
         13,
         "0-2 null one, 1-3 partition one, 4-6 null one, 6-8 partition one, "
         "8-10 null one"},
        /* each event that counts sets off the next of three */
        {"{\"faults\":[{\"fault\":\"kill\",\"target\":\"event\",\"on\":"
         "{\"event\":\"ok\",\"function\":\"reserve\",\"limit\":3}}]}",
         20, "3-5 kill event on, 3-5 kill event on, 3-5 kill event on"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[1024];

        printf("# %s\n", cases[i].schedule);
        outline(cases[i].schedule, cases[i].window_s * NS_PER_S, text,
                sizeof(text));
        CHECK_STR(text, cases[i].outline);
    }
}

static void
test_stagger_draws_each_round_anew(void)
{
    struct plan p;
    unsigned other = 0;

    build("{\"interval\":\"12s\",\"stagger\":{\"fault\":\"kill\","
          "\"step\":\"2s\",\"duration\":\"1s\"}}",
          3, &p);
    CHECK(p.entry_count > 100);
    for (size_t i = 0; i + 5 <= p.entry_count; i += 5) {
        node_set seen = 0;

        for (size_t k = 0; k < 5; k++) {
            seen |= p.entries[i + k].spec.nodes;
            other += p.entries[i + k].spec.nodes != p.entries[k].spec.nodes;
        }
        CHECK_INT(seen, 0x1f);
    }
    CHECK(other > 20);
    plan_release(&p);
}

static const char *const everything =
    "{\"max_concurrent\":3,\"beyond_budget\":true,"
    "\"budget\":{\"nodes_down\":3,\"durability\":\"all\"},"
    "\"share_nodes\":[[\"partition\",\"pause\"]],\"tracks\":["
    "{\"rate\":12,\"faults\":[{\"fault\":\"kill\",\"weight\":3},"
    "{\"fault\":\"partition\",\"shape\":\"one_way\"}]},"
    "{\"faults\":[{\"fault\":\"pause\",\"on\":{\"fault\":\"kill\","
    "\"step\":\"proved_healed\",\"after\":\"5ms\",\"every\":2,\"limit\":9,"
    "\"node\":\"n2\"}},{\"fault\":\"null\",\"on\":{\"system\":"
    "\"view-change\"}},{\"fault\":\"stop\",\"at\":\"30s\"}]}]}";

static void
test_every_plan_given_back_is_the_same(void)
{
    struct plan a, b;
    struct error err = {0};
    json_t *json;

    build(everything, 7, &a);
    CHECK_INT(a.trigger_count, 2);
    CHECK(a.beyond_budget && a.durability_max == 5);
    json = plan_to_json(&a);
    CHECK_OK(plan_from_json(json, &b, &err), &err);
    json_decref(json);
    CLEANUP_FREE char *text_a = dump(&a);
    CLEANUP_FREE char *text_b = dump(&b);
    CHECK_STR(text_a, text_b);
    CHECK(plan_may_share(&b, fault_find("pause"), fault_find("partition")));
    CHECK(!plan_may_share(&b, fault_find("pause"), fault_find("kill")));
    CHECK(!plan_may_share(&b, fault_find("pause"), fault_find("pause")));
    plan_release(&a);
    plan_release(&b);
}

/* Each fault once, and those that read the same on one line. */
static void
test_plan_for_people(void)
{
    CLEANUP_FREE char *text = NULL;
    struct plan p;
    size_t len, lines = 0;
    FILE *out = open_memstream(&text, &len);

    build(everything, 7, &p);
    plan_print(&p, out);
    fclose(out);
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    CHECK(lines < p.entry_count && lines > p.entry_count - 40);
    CHECK(strstr(text, " to ") != NULL);
    CHECK(strstr(text, "pause one for 2.0 s, 5 ms after each 2. fault kill "
                       "proved_healed at n2\n") != NULL);
    CHECK(strstr(text, "stop one for ") != NULL);
    CHECK(strstr(text, "partition one shape=one_way for ") != NULL);
    plan_release(&p);
}

/* Faults that a plan bounds by both budgets. */
static void
test_broken_state_has_a_budget_of_its_own(void)
{
    static const struct fault_ops rot = {.name = "rot",
                                         .breaks_durability = true};
    static const struct {
        const char *schedule, *target;
        bool fits;
    } cases[] = {
        {"{}", "minority", true},
        {"{}", "majority", false},
        {"{\"budget\":{\"durability\":\"one\"}}", "minority", false},
        {"{\"budget\":{\"nodes_down\":\"none\"}}", "minority", true},
        {"{\"beyond_budget\":true}", "all", true},
        {"{\"beyond_budget\":true,\"budget\":{\"durability\":3}}", "all",
         false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan_entry e = {.ops = &rot};
        struct error err = {0};
        struct plan p;

        build(cases[i].schedule, 1, &p);
        snprintf(e.target, sizeof(e.target), "%s", cases[i].target);
        CHECK_OK(target_parse(e.target, 5, &e.spec, &err), &err);
        CHECK_INT(plan_check_fit(&p, &e, &err), cases[i].fits ? 0 : -1);
        CHECK(cases[i].fits ||
              strstr(err.text, "breaks the durable state of") != NULL);
        plan_release(&p);
    }
}

static const struct {
    const char *schedule, *says;
} bad_schedules[] = {
    {"{\"intervall\":\"6s\"}", "unknown key 'intervall'"},
    {"{\"interval\":6}", "interval: not a duration"},
    {"{\"interval\":\"1ms\"}", "interval: shorter"},
    {"{\"jitter\":2}", "jitter: not a number from 0 to 1"},
    {"{\"max_concurrent\":0}", "max_concurrent"},
    {"{\"budget\":{\"nodes_down\":\"most\"}}", "nodes_down: not one of"},
    {"{\"budget\":{\"nodes\":1}}", "unknown key 'nodes'"},
    {"{\"faults\":{}}", "faults: not a list"},
    {"{\"faults\":[3]}", "faults[0]: not an object"},
    {"{\"faults\":[{\"fault\":\"kil\"}]}", "no fault 'kil'"},
    {"{\"faults\":[{}]}", "no fault ''"},
    {"{\"faults\":[{\"fault\":\"kill\",\"target\":\"n9\"}]}", "target 'n9'"},
    {"{\"faults\":[{\"fault\":\"kill\",\"down\":\"1s\"}]}",
     "unknown key 'down'"},
    {"{\"faults\":[{\"fault\":\"kill\",\"duration\":[\"3s\",\"1s\"]}]}",
     "duration"},
    {"{\"faults\":[{\"fault\":\"kill\",\"duration\":[\"1s\"]}]}", "duration"},
    {"{\"faults\":[{\"fault\":\"kill\",\"target\":\"majority\"}]}",
     "takes 3 of 5 nodes down"},
    {"{\"budget\":{\"nodes_down\":\"none\"},"
     "\"faults\":[{\"fault\":\"kill\"}]}",
     "takes 1 of 5 nodes down"},
    {"{\"faults\":[{\"fault\":\"stop\",\"timeout\":\"1h\"}]}",
     "timeout: not from"},
    {"[]", "not an object"},
    {"{\"budget\":{\"durability\":\"majority\"}}",
     "durability: 3 of 5 nodes is more than"},
    {"{\"budget\":{\"durability\":-1}}", "durability: not one of none"},
    {"{\"beyond_budget\":1}", "beyond_budget: not true or false"},
    {"{\"rate\":5,\"interval\":\"5s\"}", "rate: not beside"},
    {"{\"rate\":0}", "rate: not a number from 0.01 to 600"},
    {"{\"share_nodes\":[\"kill\"]}", "share_nodes[0]: not a list"},
    {"{\"share_nodes\":[[\"kill\",\"smash\"]]}",
     "share_nodes[0]: there is no fault 'smash'"},
    {"{\"phases\":[{},{}]}", "phases[0]: length: only the last"},
    {"{\"phases\":[{\"budget\":{}}]}", "phases[0]: unknown key 'budget'"},
    {"{\"tracks\":[{\"length\":\"5s\"}]}", "tracks[0]: length: only"},
    {"{\"tracks\":[{\"phases\":[{\"tracks\":[{\"tracks\":[{}]}]}]}]}",
     "more than 4 blocks in blocks"},
    {"{\"flip_flop\":{\"faults\":[{\"fault\":\"kill\",\"weight\":2}]}}",
     "flip_flop: faults[0]: takes no"},
    {"{\"flip_flop\":{\"period\":\"1s\"}}", "flip_flop: faults: not a"},
    {"{\"stagger\":{\"fault\":\"kill\",\"target\":\"one\"}}",
     "stagger: target: 'one' is neither"},
    {"{\"stagger\":{\"fault\":\"kill\",\"order\":\"up\"}}",
     "stagger: order: 'up' is not one of drawn, given"},
    {"{\"faults\":[{\"fault\":\"kill\",\"at\":5}]}",
     "faults[0]: at: not a duration"},
    {"{\"faults\":[{\"fault\":\"kill\",\"at\":[\"5s\",\"6s\"]}]}",
     "kill at 6 s: it overlaps"},
    {"{\"faults\":[{\"fault\":\"kill\",\"target\":\"event\"}]}",
     "target 'event' is for faults with 'on' only"},
    {"{\"faults\":[{\"fault\":\"kill\",\"on\":{}}]}",
     "faults[0]: on: none of the keys"},
    {"{\"faults\":[{\"fault\":\"kill\",\"on\":{\"event\":\"done\"}}]}",
     "on: event: 'done' is not one of invoke, ok, fail, unknown"},
    {"{\"faults\":[{\"fault\":\"kill\",\"on\":{\"fault\":\"smash\"}}]}",
     "on: fault: there is no fault 'smash'"},
    {"{\"faults\":[{\"fault\":\"kill\",\"on\":{\"event\":\"ok\","
     "\"node\":\"n7\"}}]}",
     "on: node: 'n7' is not one of n1..n5"},
    {"{\"faults\":[{\"fault\":\"kill\",\"on\":{\"event\":\"ok\","
     "\"limit\":1001}}]}",
     "on: limit: not a whole number from 1 to 1000"},
    {"{\"faults\":[{\"fault\":\"kill\",\"on\":{\"system\":\"x\","
     "\"step\":\"healed\"}}]}",
     "on: unknown key 'step'"},
};

static void
test_bad_schedules_say_what_is_wrong(void)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_schedules); i++) {
        struct plan p;
        struct error err = {0};
        json_t *json = json_loads(bad_schedules[i].schedule, 0, NULL);

        CHECK(json != NULL);
        printf("# %s\n", bad_schedules[i].schedule);
        CHECK_INT(plan_build(json, 1, WINDOW_NS, 5, &p, &err), -1);
        CHECK_INT(err.kind, ERROR_CONFIG);
        printf("#   %s\n", err.text);
        CHECK(strstr(err.text, bad_schedules[i].says) != NULL);
        json_decref(json);
    }
}

static const char *const edited_plan =
    "{\"ordeal-plan\":1,\"seed\":1,\"window_ms\":20000,\"nodes\":3,"
    "\"max_concurrent\":2,\"nodes_down_max\":1,\"faults\":["
    "{\"id\":1,\"at_ms\":1000,\"duration_ms\":2000,\"fault\":\"%s\","
    "\"target\":\"n1\"},"
    "{\"id\":%d,\"at_ms\":%d,\"duration_ms\":%d,\"fault\":\"%s\","
    "\"target\":\"%s\"}]}";

static void
test_edited_plans_are_checked(void)
{
    static const struct {
        const char *first;
        int id, at, duration;
        const char *second, *target, *says;
    } cases[] = {
        {"kill", 2, 4000, 1000, "kill", "n2", NULL},
        {"null", 2, 1500, 1000, "kill", "n2", NULL},
        {"kill", 3, 4000, 1000, "kill", "n2", "numbered"},
        {"kill", 2, 500, 1000, "kill", "n2", "begins before"},
        {"kill", 2, 1500, 1000, "kill", "n2", "of its kind"},
        {"kill", 2, 1500, 1000, "stop", "n2", "the budget is 1"},
        {"kill", 2, 19500, 1000, "stop", "n2", "after the window"},
        {"kill", 2, 4000, 1000, "stop", "n4", "target 'n4'"},
        {"kill", 2, 4000, 0, "stop", "n2", "duration_ms"},
        {"kill", 2, 4000, 1000, "smash", "n2", "no fault 'smash'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan p = {0};
        struct error err = {0};
        char text[1024];
        json_t *json;
        int result;

        snprintf(text, sizeof(text), edited_plan, cases[i].first, cases[i].id,
                 cases[i].at, cases[i].duration, cases[i].second,
                 cases[i].target);
        json = json_loads(text, 0, NULL);
        CHECK(json != NULL);
        result = plan_from_json(json, &p, &err);
        json_decref(json);
        printf("# %zu: %s\n", i, err.text);
        CHECK_INT(result, cases[i].says == NULL ? 0 : -1);
        CHECK(cases[i].says == NULL || strstr(err.text, cases[i].says) != NULL);
        plan_release(&p);
    }
}

static void
test_targets_parse(void)
{
    struct target_spec spec;
    struct error err = {0};

    CHECK_OK(target_parse("[n1, n3]", 3, &spec, &err), &err);
    CHECK_INT(spec.nodes, 5);
    CHECK_OK(target_parse("n2", 3, &spec, &err), &err);
    CHECK_INT(spec.nodes, 2);
    CHECK_OK(target_parse("backups", 3, &spec, &err), &err);
    CHECK_INT(spec.kind, TARGET_BACKUPS);
    CHECK_INT(target_parse("", 3, &spec, &err), -1);
    CHECK_INT(target_parse("[]", 3, &spec, &err), -1);
    CHECK_INT(target_parse("[n1", 3, &spec, &err), -1);
    CHECK_INT(target_parse("[n1]x", 3, &spec, &err), -1);
    CHECK_INT(target_parse("n4", 3, &spec, &err), -1);
    CHECK_INT(target_parse("n0", 3, &spec, &err), -1);
    CHECK_INT(target_parse("n18446744073709551617", 3, &spec, &err), -1);
    CHECK_INT(target_parse("primary ", 3, &spec, &err), -1);
}

static bool
resolve(const char *text, const struct target_view *view, node_set exclude,
        unsigned limit, uint64_t seed, node_set *ret)
{
    struct target_spec spec;
    struct error err = {0};
    struct rng rng;

    CHECK_OK(target_parse(text, 5, &spec, &err), &err);
    rng_init(&rng, seed);
    *ret = 0;
    return target_resolve(&spec, 5, view, exclude, limit, &rng, ret);
}

static void
test_targets_resolve_by_the_view(void)
{
    struct target_view view = {.primary = 2, .backups = 0x1b};
    struct target_view none = {.primary = -1};
    node_set s;

    CHECK(resolve("primary", &view, 0, 2, 1, &s));
    CHECK_INT(s, 4);
    CHECK(!resolve("primary", &view, 4, 2, 1, &s));
    CHECK(!resolve("primary", &none, 0, 2, 1, &s));
    CHECK(resolve("backups", &view, 0, 2, 1, &s));
    CHECK_INT(s, 0x1b);
    CHECK(!resolve("backups", &none, 0, 2, 1, &s));
    CHECK(!resolve("one-backup", &none, 0, 2, 1, &s));
    CHECK(resolve("all", &view, 0, 2, 1, &s));
    CHECK_INT(s, 0x1f);
    CHECK(!resolve("all", &view, 1, 2, 1, &s));
    CHECK(!resolve("[n1,n2]", &view, 1, 2, 1, &s));
    CHECK(!resolve("majority", &view, 7, 5, 1, &s));
    CHECK(!resolve("random-subset", &view, 0, 0, 1, &s));
}

static void
test_random_targets_reach_every_node(void)
{
    struct target_view view = {.primary = 0, .backups = 0x1e};
    node_set one = 0, minority = 0, backup = 0, sizes = 0;

    for (uint64_t seed = 0; seed < 200; seed++) {
        node_set s;

        CHECK(resolve("one", &view, 2, 2, seed, &s));
        CHECK_INT(node_set_count(s), 1);
        one |= s;
        CHECK(resolve("minority", &view, 2, 2, seed, &s));
        CHECK_INT(node_set_count(s), 2);
        minority |= s;
        CHECK(resolve("one-backup", &view, 2, 2, seed, &s));
        CHECK_INT(node_set_count(s), 1);
        backup |= s;
        CHECK(resolve("random-subset", &view, 2, 3, seed, &s));
        CHECK(node_set_count(s) >= 1 && node_set_count(s) <= 3);
        CHECK_INT(s & 2, 0);
        sizes |= UINT32_C(1) << node_set_count(s);
    }
    CHECK_INT(one, 0x1d);
    CHECK_INT(minority, 0x1d);
    CHECK_INT(backup, 0x1c);
    CHECK_INT(sizes, 0xe);
}

int
main(void)
{
    RUN(test_plan_comes_from_the_seed_alone);
    RUN(test_overlap_and_budget_hold_for_every_seed);
    RUN(test_weights_are_odds);
    RUN(test_a_round_has_each_entry_by_its_weight);
    RUN(test_longer_window_keeps_the_beginning);
    RUN(test_plan_given_back_is_the_same);
    RUN(test_no_schedule_is_an_empty_plan);
    RUN(test_blocks_come_when_they_say);
    RUN(test_stagger_draws_each_round_anew);
    RUN(test_every_plan_given_back_is_the_same);
    RUN(test_plan_for_people);
    RUN(test_broken_state_has_a_budget_of_its_own);
    RUN(test_bad_schedules_say_what_is_wrong);
    RUN(test_edited_plans_are_checked);
    RUN(test_targets_parse);
    RUN(test_targets_resolve_by_the_view);
    RUN(test_random_targets_reach_every_node);
    return tap_done();
}
