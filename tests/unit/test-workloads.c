/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every workload: pure, seeded, judged, and swept. */
#include "config.h"

#include "analyzer/checker.h"
#include "analyzer/models/model.h"
#include "tests/lib/fake-system.h"
#include "tests/lib/tap.h"
#include "workloads/workload.h"

#define CLIENTS 8u
#define STEPS 4000u

struct fixture {
    struct workload *w;
    struct client *client;
    struct arena arena;
};

static void
setup(struct fixture *f, const struct workload_ops *ops, uint64_t seed)
{
    json_t *params = json_object();
    struct cluster cluster;
    struct error err = {0};
    struct workload_step s;
    struct attempt_result r;

    fake_reset();
    fake_cluster(&cluster, 3);
    f->client = fake_client_new(&cluster, ops->capability, 1, &err);
    f->w = ops->new_(params, seed, CLIENTS, &err);
    json_decref(params);
    CHECK(f->w != NULL);
    arena_init(&f->arena);
    while (ops->setup(f->w, &f->arena, &s)) {
        CHECK(s.op.mutation && !id128_is_zero(s.op.id));
        fake_invoke(f->client, &s.op, 0, NS_PER_S, &f->arena, &r);
        ops->done(f->w, 0, &s.op, &r);
    }
}

static void
teardown(struct fixture *f)
{
    f->w->ops->free(f->w);
    f->client->ops->free(f->client);
    arena_release(&f->arena);
}

static struct workload_step
step(struct fixture *f, unsigned client)
{
    struct workload_step s;
    struct attempt_result r;

    arena_reset(&f->arena);
    f->w->ops->next(f->w, client, &f->arena, &s);
    fake_invoke(f->client, &s.op, 0, NS_PER_S, &f->arena, &r);
    f->w->ops->done(f->w, client, &s.op, &r);
    return s;
}

/* A number that two steps share only when they are the same. */
static uint64_t
digest(uint64_t h, const struct workload_step *s)
{
    json_t *args = fields_to_json(&s->op.args);
    CLEANUP_FREE char *text = json_dumps(args, JSON_COMPACT);
    CLEANUP_FREE char *line =
        xasprintf("%016llx %s %s %d %u", (unsigned long long)s->op.id.lo,
                  s->op.function, text, (int)s->route, s->duplicates);

    json_decref(args);
    for (const char *c = line; *c != '\0'; c++)
        h = (h ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return h;
}

static uint64_t
play(const struct workload_ops *ops, uint64_t seed)
{
    uint64_t h = UINT64_C(14695981039346656037);
    struct fixture f;

    setup(&f, ops, seed);
    for (unsigned i = 0; i < 400; i++) {
        struct workload_step s = step(&f, i % CLIENTS);

        h = digest(h, &s);
    }
    teardown(&f);
    return h;
}

static void
test_the_seed_decides(void)
{
    for (unsigned i = 0; workload_registry[i] != NULL; i++) {
        uint64_t first = play(workload_registry[i], 3);

        CHECK(first == play(workload_registry[i], 3));
        CHECK(first != play(workload_registry[i], 4));
    }
}

static void
check_read(const struct workload_step *s)
{
    const char *claim = NULL;
    int64_t required;

    CHECK(id128_is_zero(s->op.id));
    CHECK(fields_string(&s->op.args, "claim", &claim));
    CHECK(strcmp(claim, "fenced") != 0 ||
          fields_int(&s->op.args, "required", &required));
}

/* Mutations have ids, reads claims, and only client 0 moves the time. */
static void
test_steps_are_well_formed(void)
{
    for (unsigned i = 0; workload_registry[i] != NULL; i++) {
        unsigned mutations = 0, reads = 0, advances = 0;
        int64_t slot = 0, sent;
        struct fixture f;

        setup(&f, workload_registry[i], 5);
        for (unsigned n = 0; n < STEPS; n++) {
            struct workload_step s = step(&f, n % CLIENTS);

            if (strcmp(s.op.function, "tick") == 0) {
                CHECK(fields_int(&s.op.args, "slot", &sent));
                CHECK(sent == slot || (sent == slot + 1 && n % CLIENTS == 0));
                CHECK((s.spacing_ns > 0) == (sent > slot));
                advances += sent > slot;
                slot = sent;
            } else if (s.op.mutation) {
                CHECK(!id128_is_zero(s.op.id));
                mutations++;
            } else {
                check_read(&s);
                reads++;
            }
        }
        printf("# %s: %u mutations, %u reads, %u slots\n",
               workload_registry[i]->name, mutations, reads, advances);
        CHECK(mutations > STEPS / 10 && reads > STEPS / 50 &&
              advances > STEPS / CLIENTS / 10);
        teardown(&f);
    }
}

static void
test_they_are_judged(void)
{
    for (unsigned i = 0; workload_registry[i] != NULL; i++) {
        const struct workload_ops *ops = workload_registry[i];

        CHECK(workload_find(ops->name) == ops);
        CHECK(model_find(ops->model) != NULL);
        CHECK(system_offers(&system_replica_ops, ops->capability));
        for (unsigned c = 0; ops->checkers[c] != NULL; c++)
            CHECK(checker_find(ops->checkers[c]) != NULL);
    }
    CHECK(workload_find("reservation-contention") == NULL);
}

/* The same objects each time, by linearizable reads. */
static void
test_sweeps_can_be_repeated(void)
{
    for (unsigned i = 0; workload_registry[i] != NULL; i++) {
        const struct workload_ops *ops = workload_registry[i];
        unsigned counts[2] = {0};
        struct fixture f;

        setup(&f, ops, 6);
        for (unsigned n = 0; n < 1000; n++)
            step(&f, n % CLIENTS);
        for (unsigned round = 0; round < 2; round++) {
            struct workload_step s;
            unsigned cursor = 0;
            const char *claim;

            while (ops->sweep(f.w, &cursor, &f.arena, &s)) {
                CHECK(fields_string(&s.op.args, "claim", &claim));
                CHECK_STR(claim, "linearizable");
                CHECK_INT(s.route, ROUTE_PRIMARY);
                counts[round]++;
            }
        }
        CHECK(counts[0] > 0);
        CHECK_INT(counts[0], counts[1]);
        teardown(&f);
    }
}

static void
test_unknown_parameters_are_refused(void)
{
    static const char *const bad[] = {"{\"resource\":8}",
                                      "{\"weights\":{\"steal\":1}}",
                                      "{\"weights\":{\"tick\":-1}}"};

    for (unsigned i = 0; workload_registry[i] != NULL; i++) {
        for (unsigned n = 0; n < ARRAY_LEN(bad); n++) {
            json_t *params = json_loads(bad[n], 0, NULL);
            struct error err = {0};

            CHECK(workload_registry[i]->new_(params, 1, CLIENTS, &err) == NULL);
            CHECK_INT(err.kind, ERROR_CONFIG);
            CHECK(strstr(err.text, workload_registry[i]->name) != NULL);
            json_decref(params);
        }
    }
}

int
main(void)
{
    RUN(test_the_seed_decides);
    RUN(test_steps_are_well_formed);
    RUN(test_they_are_judged);
    RUN(test_sweeps_can_be_repeated);
    RUN(test_unknown_parameters_are_refused);
    return tap_done();
}
