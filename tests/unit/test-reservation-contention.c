/* SPDX-License-Identifier: Apache-2.0 */
/* The generator: pure, seeded, and with everything in it that it promises. */
#include "config.h"

#include "analyzer/checker.h"
#include "tests/lib/fake-system.h"
#include "tests/lib/tap.h"
#include "workloads/workload.h"

#define CLIENTS 4u
#define STEPS 6000u

struct fixture {
    struct workload *w;
    struct client *client;
    struct arena arena;
};

static struct workload *
make(const char *params, uint64_t seed, struct error *err)
{
    json_t *json = json_loads(params, 0, NULL);
    struct workload *w =
        workload_reservation_contention_ops.new_(json, seed, CLIENTS, err);

    json_decref(json);
    return w;
}

static void
setup(struct fixture *f, uint64_t seed)
{
    struct cluster cluster;
    struct error err = {0};

    fake_reset();
    fake_cluster(&cluster, 1);
    f->client = fake_client_new(&cluster, "allocator", 1, &err);
    f->w = make("{}", seed, &err);
    CHECK(f->w != NULL);
    arena_init(&f->arena);
}

static void
teardown(struct fixture *f)
{
    f->w->ops->free(f->w);
    f->client->ops->free(f->client);
    arena_release(&f->arena);
}

/* One step of a client, answered and told. */
static struct workload_step
step(struct fixture *f, unsigned client, struct attempt_result *ret)
{
    struct workload_step s;

    arena_reset(&f->arena);
    f->w->ops->next(f->w, client, &f->arena, &s);
    fake_invoke(f->client, &s.op, 0, NS_PER_S, &f->arena, ret);
    f->w->ops->done(f->w, client, &s.op, ret);
    return s;
}

static char *
describe(const struct workload_step *s)
{
    json_t *args = fields_to_json(&s->op.args);
    char *text = json_dumps(args, JSON_COMPACT);
    char *line =
        xasprintf("%016llx %s %s %d %u", (unsigned long long)s->op.id.lo,
                  s->op.function, text, (int)s->route, s->duplicates);

    json_decref(args);
    free(text);
    return line;
}

static void
test_same_seed_same_steps(void)
{
    static char *lines[600];
    struct attempt_result r;
    struct fixture f;

    for (unsigned round = 0; round < 3; round++) {
        unsigned same = 0;

        setup(&f, round < 2 ? 11 : 12);
        for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
            struct workload_step s = step(&f, i % CLIENTS, &r);
            char *line = describe(&s);

            if (round == 0) {
                lines[i] = line;
                continue;
            }
            same += strcmp(line, lines[i]) == 0;
            free(line);
        }
        teardown(&f);
        if (round == 1)
            CHECK_INT(same, ARRAY_LEN(lines));
        if (round == 2)
            CHECK(same < ARRAY_LEN(lines) / 2);
    }
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
        free(lines[i]);
}

struct seen {
    unsigned fresh, repeated, reused, ticks, advances, duplicates;
    unsigned claims[3], elsewhere, fenced_after_write, odd_epoch;
    unsigned functions[16];
};

struct known {
    struct id128 id;
    char *contents;
};

static void
note_mutation(struct seen *seen, struct known *known, unsigned *count,
              const struct workload_step *s, bool cached)
{
    json_t *args = fields_to_json(&s->op.args);
    CLEANUP_FREE char *text = json_dumps(args, JSON_COMPACT);
    CLEANUP_FREE char *contents = xasprintf("%s %s", s->op.function, text);
    int64_t epoch;

    json_decref(args);
    CHECK(!id128_is_zero(s->op.id));
    if (fields_int(&s->op.args, "epoch", &epoch) && epoch != 1)
        seen->odd_epoch++;
    for (unsigned i = 0; i < *count; i++) {
        if (!id128_equal(known[i].id, s->op.id))
            continue;
        if (strcmp(known[i].contents, contents) == 0)
            seen->repeated++;
        else
            seen->reused++;
        CHECK(cached);
        return;
    }
    CHECK(!cached);
    seen->fresh++;
    known[*count].id = s->op.id;
    known[(*count)++].contents = TAKE(contents);
}

static void
note_read(struct seen *seen, const struct workload_step *s)
{
    static const char *const claims[] = {"linearizable", "any", "fenced"};
    const char *claim = "";
    int64_t required = 0;

    CHECK(id128_is_zero(s->op.id));
    CHECK(fields_string(&s->op.args, "claim", &claim));
    for (unsigned i = 0; i < 3; i++)
        seen->claims[i] += strcmp(claims[i], claim) == 0;
    if (strcmp(claim, "linearizable") == 0 && s->route == ROUTE_ANY)
        seen->elsewhere++;
    if (fields_int(&s->op.args, "required", &required) && required > 0)
        seen->fenced_after_write++;
}

static void
test_the_mix_has_all_it_promises(void)
{
    static struct known known[STEPS];
    struct seen seen = {0};
    unsigned known_count = 0;
    int64_t slot = 0, sent;
    struct attempt_result r;
    struct fixture f;

    setup(&f, 5);
    for (unsigned i = 0; i < STEPS; i++) {
        struct workload_step s = step(&f, i % CLIENTS, &r);
        bool cached = false;

        fields_bool(&r.fields, "cached", &cached);
        seen.duplicates += s.duplicates;
        if (s.op.mutation) {
            note_mutation(&seen, known, &known_count, &s, cached);
        } else if (strcmp(s.op.function, "tick") == 0) {
            CHECK(fields_int(&s.op.args, "slot", &sent));
            /* One slot at a time, and only with a spacing. */
            CHECK(sent == slot || (sent == slot + 1 && i % CLIENTS == 0));
            CHECK_INT(s.spacing_ns, sent == slot ? 0 : 250 * NS_PER_MS);
            seen.advances += sent == slot + 1;
            slot = sent;
            seen.ticks++;
        } else {
            note_read(&seen, &s);
        }
    }
    CHECK_INT(seen.advances, STEPS / CLIENTS / 3);
    CHECK(seen.ticks > seen.advances);
    CHECK(seen.fresh > STEPS / 3);
    CHECK(seen.repeated > STEPS / 30);
    CHECK(seen.reused > STEPS / 200);
    CHECK(seen.duplicates > STEPS / 100);
    for (unsigned i = 0; i < 3; i++)
        CHECK(seen.claims[i] > STEPS / 50);
    CHECK(seen.elsewhere > STEPS / 30);
    CHECK(seen.fenced_after_write > STEPS / 50);
    CHECK(seen.odd_epoch > STEPS / 100);
    for (unsigned i = 0; i < known_count; i++)
        free(known[i].contents);
    teardown(&f);
}

/* A repetition never comes near the end of the dedupe window. */
static void
test_repetitions_are_young(void)
{
    static struct known known[STEPS];
    static int64_t slots[STEPS];
    struct attempt_result r;
    unsigned count = 0, old = 0;
    int64_t oldest = 0;
    struct fixture f;

    setup(&f, 6);
    for (unsigned i = 0; i < STEPS; i++) {
        struct workload_step s = step(&f, 0, &r);
        unsigned k = 0;

        if (!s.op.mutation)
            continue;
        while (k < count && !id128_equal(known[k].id, s.op.id))
            k++;
        if (k == count) {
            known[count].id = s.op.id;
            slots[count++] = fake.slot;
            continue;
        }
        old += fake.slot - slots[k] > 20;
        if (fake.slot - slots[k] > oldest)
            oldest = fake.slot - slots[k];
    }
    CHECK(fake.slot > 1500);
    CHECK(old > 50);
    CHECK(oldest <= 192);
    teardown(&f);
}

static void
test_the_sweep_reads_every_object(void)
{
    struct workload_step s;
    struct attempt_result r;
    unsigned cursor = 0, resources = 0, leases = 0;
    const char *claim;
    struct fixture f;

    setup(&f, 8);
    while (f.w->ops->setup(f.w, &f.arena, &s)) {
        CHECK_STR(s.op.function, "create_resource");
        resources++;
    }
    CHECK_INT(resources, 8);
    for (unsigned i = 0; i < STEPS; i++)
        step(&f, i % CLIENTS, &r);
    for (resources = 0; f.w->ops->sweep(f.w, &cursor, &f.arena, &s);) {
        CHECK(fields_string(&s.op.args, "claim", &claim));
        CHECK_STR(claim, "linearizable");
        CHECK_INT(s.route, ROUTE_PRIMARY);
        if (strcmp(s.op.function, "get_resource") == 0)
            resources++;
        else
            leases++;
    }
    CHECK_INT(resources, 8);
    CHECK_INT(leases, 512);
    teardown(&f);
}

static void
test_its_checkers_exist(void)
{
    const char *const *names = workload_reservation_contention_ops.checkers;
    unsigned count = 0;

    for (; names[count] != NULL; count++)
        CHECK(checker_find(names[count]) != NULL);
    CHECK(count >= 10);
    CHECK(workload_find("reservation_contention") ==
          &workload_reservation_contention_ops);
    CHECK(workload_find("reservation-contention") == NULL);
}

static void
test_parameters_are_checked(void)
{
    static const char *const bad[] = {
        "{\"resource\":8}",
        "{\"resources\":0}",
        "{\"resources\":\"8\"}",
        "{\"ttl_min\":9,\"ttl_max\":8}",
        "{\"weights\":[]}",
        "{\"weights\":{\"steal\":1}}",
        "{\"weights\":{\"reserve\":-1}}",
    };
    struct workload *w;
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memset(&err, 0, sizeof(err));
        CHECK(make(bad[i], 1, &err) == NULL);
        CHECK_INT(err.kind, ERROR_CONFIG);
        printf("# %s\n", err.text);
    }
    w = make("{\"resources\":2,\"ttl_min\":1,\"ttl_max\":1,"
             "\"weights\":{\"tick\":0}}",
             1, &err);
    CHECK(w != NULL);
    w->ops->free(w);
}

int
main(void)
{
    RUN(test_same_seed_same_steps);
    RUN(test_the_mix_has_all_it_promises);
    RUN(test_repetitions_are_young);
    RUN(test_the_sweep_reads_every_object);
    RUN(test_its_checkers_exist);
    RUN(test_parameters_are_checked);
    return tap_done();
}
