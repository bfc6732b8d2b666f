/* SPDX-License-Identifier: Apache-2.0 */
/* Faults by hand on a fake cluster: journal, proofs, record, and healing twice.
 */
#include "config.h"

#include <string.h>

#include "tests/lib/nemesis-fixture.h"

struct hand_fixture {
    struct nemesis_fixture f;
    char stages[512];
};

static void
stepped(void *ctx, const char *stage)
{
    struct hand_fixture *h = ctx;

    snprintf(h->stages + strlen(h->stages),
             sizeof(h->stages) - strlen(h->stages), "%s ", stage);
}

/* What 'ordeal fault' has: an empty plan that forbids nothing. */
static void
setup(struct hand_fixture *h)
{
    const struct fault_ops *const *all = fault_all();
    json_t *names = json_array();

    h->stages[0] = '\0';
    fixture_setup(&h->f, "{}", 3, NS_PER_S);
    for (size_t i = 0; all[i] != NULL; i++)
        json_array_append_new(names, json_string(all[i]->name));
    h->f.plan.share_nodes = json_pack("[o]", names);
    h->f.plan.concurrent_max = 2;
    h->f.plan.nodes_down_max = h->f.plan.durability_max = NODE_COUNT_MAX;
    fixture_open(&h->f);
    nemesis_free(h->f.nemesis);
    h->f.nemesis =
        nemesis_new(&(struct nemesis_options){.world = &h->f.fake->world,
                                              .plan = &h->f.plan,
                                              .journal = h->f.journal,
                                              .history = h->f.history,
                                              .faults = h->f.faults,
                                              .stepped = stepped,
                                              .ctx = h});
}

static json_t *
inject(struct hand_fixture *h, const char *fault, const char *target,
       const char *params)
{
    json_t *json = json_loads(params, 0, NULL);
    json_t *answer =
        nemesis_hand_inject(h->f.nemesis, fault, target, json, &h->f.err);

    CHECK(json != NULL);
    json_decref(json);
    return answer;
}

/* The result that the answer claims; releases it. */
static void
check_result(json_t *answer, const char *expected)
{
    CHECK(answer != NULL);
    CHECK_STR(json_string_value(json_object_get(answer, "result")), expected);
    CHECK(json_object_size(json_object_get(answer, "evidence")) > 0);
    json_decref(answer);
}

static void
test_inject_and_heal_are_proven_and_recorded(void)
{
    struct hand_fixture h;
    json_t *facts;

    setup(&h);
    check_result(inject(&h, "kill", "primary", "{}"), "confirmed");
    CHECK_INT(fixture_pending(&h.f), 1);
    CHECK(!fake_is_clean(h.f.fake));
    facts = nemesis_hand_facts(h.f.nemesis);
    CHECK_INT(json_array_size(facts), 1);
    check_result(json_incref(json_array_get(facts, 0)), "confirmed");
    json_decref(facts);
    check_result(nemesis_hand_heal(h.f.nemesis, 1, &h.f.err), "confirmed");
    CHECK_INT(fixture_pending(&h.f), 0);
    CHECK(fake_is_clean(h.f.fake));
    CHECK_STR(h.stages, "journalled injected proved proved_before_heal healed "
                        "proved_healed ");
    /* Once more: harmless, and proven again. */
    check_result(nemesis_hand_heal(h.f.nemesis, 1, &h.f.err), "confirmed");
    CHECK(fake_is_clean(h.f.fake));
    facts = nemesis_hand_facts(h.f.nemesis);
    CHECK_INT(json_array_size(facts), 0);
    json_decref(facts);
    fixture_teardown(&h.f);
}

/* Whatever is registered and the fakes can play, on one node at once. */
static void
test_each_fault_by_hand(void)
{
    const struct fault_ops *const *all = fault_all();
    struct hand_fixture h;
    uint64_t id = 0;

    setup(&h);
    for (size_t i = 0; all[i] != NULL; i++) {
        json_t *answer;

        if (!fault_available(all[i], &h.f.fake->world))
            continue;
        answer =
            inject(&h, all[i]->name, "n2", fixture_params_of(all[i]->name));
        if (answer == NULL)
            printf("# %s: %s\n", all[i]->name, h.f.err.text);
        CHECK(answer != NULL);
        json_decref(answer);
        h.f.fake->clock.now_ns += 5 * NS_PER_S;
        nemesis_hand_tend(h.f.nemesis);
        answer = nemesis_hand_heal(h.f.nemesis, ++id, &h.f.err);
        CHECK_STR(json_string_value(json_object_get(answer, "effect")),
                  "confirmed");
        CHECK(json_integer_value(json_object_get(answer, "proven_ms")) >= 5000);
        CHECK_STR(json_string_value(json_object_get(answer, "result")),
                  "confirmed");
        json_decref(answer);
        CHECK(fake_is_clean(h.f.fake));
    }
    CHECK(id > 5);
    fixture_teardown(&h.f);
}

static void
check_refused(struct hand_fixture *h, const char *fault, const char *target,
              const char *params, const char *says)
{
    json_t *answer = inject(h, fault, target, params);

    CHECK(answer == NULL);
    printf("# %s\n", h->f.err.text);
    CHECK(strstr(h->f.err.text, says) != NULL);
}

static void
test_what_cannot_be_is_refused(void)
{
    struct hand_fixture h;

    setup(&h);
    check_refused(&h, "smash", "n1", "{}", "there is no fault 'smash'");
    check_refused(&h, "kill", "n9", "{}", "target 'n9'");
    check_refused(&h, "kill", "event", "{}", "there is no event");
    check_refused(&h, "stop", "n1", "{\"x\":1}",
                  "unknown key 'x' (there are: timeout)");
    check_refused(&h, "vm-reset", "n1", "{}", "does not work on these nodes");
    CHECK(nemesis_hand_heal(h.f.nemesis, 1, &h.f.err) == NULL);
    CHECK_INT(h.f.harm_count, 0);
    check_result(inject(&h, "kill", "n1", "{}"), "confirmed");
    check_refused(&h, "kill", "n2", "{}", "another fault of its kind");
    check_refused(&h, "pause", "n1", "{}", "do not answer");
    /* It fails in the act: nothing is claimed, and it is healed at once. */
    h.f.fake->nodes[2].hidden = true;
    check_refused(&h, "pause", "n3", "{}", "does not run; it is healed");
    h.f.fake->nodes[2].hidden = false;
    CHECK_INT(fixture_pending(&h.f), 1);
    check_result(nemesis_hand_heal(h.f.nemesis, 1, &h.f.err), "confirmed");
    CHECK(fake_is_clean(h.f.fake));
    fixture_teardown(&h.f);
}

static void
test_parameters_are_told(void)
{
    char keys[320];

    fault_parameters(fault_find("partition"), keys, sizeof(keys));
    CHECK_STR(keys, "shape, direction");
    fault_parameters(fault_find("stop"), keys, sizeof(keys));
    CHECK_STR(keys, "timeout");
    fault_parameters(fault_find("kill"), keys, sizeof(keys));
    CHECK_STR(keys, "");
}

int
main(void)
{
    RUN(test_inject_and_heal_are_proven_and_recorded);
    RUN(test_each_fault_by_hand);
    RUN(test_what_cannot_be_is_refused);
    RUN(test_parameters_are_told);
    return tap_done();
}
