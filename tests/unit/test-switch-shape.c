/* SPDX-License-Identifier: Apache-2.0 */
/* Each shape for every number of nodes and many seeds. */
#include "config.h"

#include "harness/base/limits.h"
#include "nemesis/fabric/shape.h"
#include "tests/lib/tap.h"

#define SEEDS 200

static struct link_set
cut(enum shape shape, struct shape_input in)
{
    struct link_set links, again;
    struct error err = {0};

    CHECK_OK(shape_links(shape, &in, &links, &err), &err);
    CHECK_OK(shape_links(shape, &in, &again, &err), &err);
    CHECK(memcmp(&links, &again, sizeof(links)) == 0);
    CHECK(link_set_count(&links) > 0);
    for (unsigned i = 0; i < SWITCH_PORT_COUNT_MAX; i++)
        CHECK(!link_set_has(&links, i, i));
    return links;
}

static struct shape_input
nodes(unsigned count, uint64_t seed)
{
    return (struct shape_input){
        .seed = seed, .node_count = count, .primary = SHAPE_NO_PRIMARY};
}

static bool
symmetric(const struct link_set *links)
{
    for (unsigned a = 0; a < SWITCH_PORT_COUNT_MAX; a++)
        for (unsigned b = 0; b < SWITCH_PORT_COUNT_MAX; b++)
            if (link_set_has(links, a, b) != link_set_has(links, b, a))
                return false;
    return true;
}

/* The nodes that a node sees in both directions, itself among them. */
static uint32_t
sees(const struct link_set *links, unsigned count, unsigned node)
{
    uint32_t set = 0;

    for (unsigned i = 0; i < count; i++)
        if (!link_set_has(links, i, node) && !link_set_has(links, node, i))
            set |= UINT32_C(1) << i;
    return set;
}

static unsigned
seen_count(const struct link_set *links, unsigned count, unsigned node)
{
    return (unsigned)__builtin_popcount(sees(links, count, node));
}

/* How many nodes see exactly 'seen' nodes. */
static unsigned
nodes_seeing(const struct link_set *links, unsigned count, unsigned seen)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++)
        n += seen_count(links, count, i) == seen;
    return n;
}

static void
test_groups_are_whole_and_of_their_size(void)
{
    for (unsigned n = 3; n <= NODE_COUNT_MAX; n++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct link_set l = cut(SHAPE_HALVES, nodes(n, seed));
            unsigned half = n / 2, minority = (n - 1) / 2;

            CHECK(symmetric(&l));
            CHECK_INT(link_set_count(&l), 2 * half * (n - half));
            CHECK_INT(nodes_seeing(&l, n, n - half),
                      n - half == half ? n : n - half);
            l = cut(SHAPE_MINORITY, nodes(n, seed));
            CHECK(symmetric(&l));
            CHECK_INT(nodes_seeing(&l, n, n - minority), n - minority);
            CHECK_INT(nodes_seeing(&l, n, minority), minority);
            l = cut(SHAPE_ONE, nodes(n, seed));
            CHECK(symmetric(&l));
            CHECK_INT(nodes_seeing(&l, n, 1), 1);
            CHECK_INT(nodes_seeing(&l, n, n - 1), n - 1);
        }
}

static void
test_majority_leaves_no_quorum(void)
{
    for (unsigned n = 2; n <= NODE_COUNT_MAX; n++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct link_set l = cut(SHAPE_MAJORITY, nodes(n, seed));

            CHECK(symmetric(&l));
            CHECK(nodes_seeing(&l, n, 1) >= n / 2 + 1);
            for (unsigned i = 0; i < n; i++)
                CHECK(seen_count(&l, n, i) < n / 2 + 1);
        }
}

static void
test_the_ring_has_a_different_majority_for_each(void)
{
    for (unsigned n = 4; n <= NODE_COUNT_MAX; n++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct link_set l = cut(SHAPE_MAJORITIES_RING, nodes(n, seed));

            CHECK(symmetric(&l));
            for (unsigned i = 0; i < n; i++) {
                CHECK(seen_count(&l, n, i) >= n / 2 + 1);
                CHECK(seen_count(&l, n, i) < n);
                for (unsigned j = 0; j < i; j++)
                    CHECK(sees(&l, n, i) != sees(&l, n, j));
            }
        }
}

static void
test_the_bridge_alone_sees_all(void)
{
    for (unsigned n = 3; n <= NODE_COUNT_MAX; n++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct link_set l = cut(SHAPE_BRIDGE, nodes(n, seed));

            CHECK(symmetric(&l));
            CHECK_INT(nodes_seeing(&l, n, n), 1);
        }
}

static void
test_the_primary_is_alone_and_clients_as_asked(void)
{
    for (unsigned n = 2; n <= NODE_COUNT_MAX; n++)
        for (unsigned primary = 0; primary < n; primary++) {
            struct shape_input in = nodes(n, 5);
            struct link_set l;

            in.primary = (int)primary;
            in.client_count = 3;
            l = cut(SHAPE_ISOLATE_PRIMARY, in);
            CHECK_INT(sees(&l, n, primary), UINT32_C(1) << primary);
            CHECK_INT(link_set_count(&l), 2 * (n - 1));
            in.with_clients = true;
            l = cut(SHAPE_ISOLATE_PRIMARY, in);
            CHECK(symmetric(&l));
            CHECK_INT(link_set_count(&l), 2 * (n - 1 + 3));
            CHECK_INT(sees(&l, n + 3, primary), UINT32_C(1) << primary);
        }
}

static void
test_one_way_is_one_way(void)
{
    unsigned in_count = 0;

    for (unsigned n = 2; n <= NODE_COUNT_MAX; n++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct shape_input in = nodes(n, seed);
            struct link_set l = cut(SHAPE_ONE_WAY, in);

            CHECK_INT(link_set_count(&l), n - 1);
            for (unsigned a = 0; a < n; a++)
                for (unsigned b = 0; b < n; b++)
                    CHECK(!link_set_has(&l, a, b) || !link_set_has(&l, b, a));
            in.primary = (int)(seed % n);
            in.direction = SHAPE_IN;
            l = cut(SHAPE_ONE_WAY, in);
            CHECK_INT(l.to[in.primary], 0);
            in.direction = SHAPE_OUT;
            l = cut(SHAPE_ONE_WAY, in);
            CHECK_INT(__builtin_popcount(l.to[in.primary]), n - 1);
            in.direction = SHAPE_FROM_SEED;
            l = cut(SHAPE_ONE_WAY, in);
            in_count += l.to[in.primary] == 0;
        }
    CHECK(in_count > 8 * SEEDS / 3 && in_count < 8 * SEEDS * 2 / 3);
}

static void
test_random_is_asymmetric_and_varied(void)
{
    unsigned few = 0, many = 0;

    for (unsigned n = 2; n <= NODE_COUNT_MAX; n++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct link_set l = cut(SHAPE_RANDOM, nodes(n, seed));

            CHECK(!symmetric(&l));
            CHECK(link_set_count(&l) < n * (n - 1));
            few += link_set_count(&l) < n * (n - 1) / 3;
            many += link_set_count(&l) > n * (n - 1) * 2 / 3;
        }
    CHECK(few > SEEDS && many > SEEDS);
}

static void
test_seeds_differ_and_links_stay_within(void)
{
    for (unsigned s = 0; s < SHAPE_COUNT; s++) {
        struct shape_input in = nodes(5, 0);
        struct link_set first, all = link_set_all(8);
        unsigned differ = 0;
        enum shape found;

        in.client_count = 3;
        in.with_clients = true;
        in.primary = 2;
        first = cut((enum shape)s, in);
        for (in.seed = 1; in.seed < SEEDS; in.seed++) {
            struct link_set l = cut((enum shape)s, in);

            differ += memcmp(&l, &first, sizeof(l)) != 0;
            for (unsigned from = 0; from < SWITCH_PORT_COUNT_MAX; from++)
                CHECK_INT(l.to[from] & ~all.to[from], 0);
            for (unsigned a = 5; a < 8; a++) /* never between clients */
                CHECK_INT(l.to[a] >> 5, 0);
        }
        CHECK((differ > 0) == (s != SHAPE_ISOLATE_PRIMARY));
        CHECK(shape_find(shape_name((enum shape)s), &found));
        CHECK_INT(found, s);
    }
}

static void
test_what_cannot_be_is_refused(void)
{
    struct error err = {0};
    struct link_set l;
    struct shape_input in = nodes(3, 1);
    enum shape shape;

    CHECK(shape_links(SHAPE_MAJORITIES_RING, &in, &l, &err) < 0);
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK(shape_links(SHAPE_ISOLATE_PRIMARY, &in, &l, &err) < 0);
    CHECK_INT(err.kind, ERROR_TRANSIENT);
    in.node_count = 1;
    for (unsigned s = 0; s < SHAPE_COUNT; s++)
        CHECK(shape_links((enum shape)s, &in, &l, &err) < 0);
    CHECK(!shape_find("nonsense", &shape));
}

int
main(void)
{
    RUN(test_groups_are_whole_and_of_their_size);
    RUN(test_majority_leaves_no_quorum);
    RUN(test_the_ring_has_a_different_majority_for_each);
    RUN(test_the_bridge_alone_sees_all);
    RUN(test_the_primary_is_alone_and_clients_as_asked);
    RUN(test_one_way_is_one_way);
    RUN(test_random_is_asymmetric_and_varied);
    RUN(test_seeds_differ_and_links_stay_within);
    RUN(test_what_cannot_be_is_refused);
    return tap_done();
}
