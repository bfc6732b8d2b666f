/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store against an obviously right reference: for each sector the list of
 * versions that it may have after a power cut, which is the last flushed one
 * and all later.  Random writes, zeros, trims, FUA, flushes, write-back at a
 * small bound, and cuts of every policy.
 *
 *   reads            are the newest version, always
 *   the stable file  is an allowed version in each sector, at every moment
 *   after a cut      the same; in addition the whole disk is explained by one
 *                    choice of writes of the kind that the policy promises
 *
 * Each version of a sector has contents of its own, so a mix is seen.
 */
#include "config.h"

#include <stdio.h>
#include <sys/mman.h>

#include "harness/base/arena.h"
#include "harness/base/rng.h"
#include "nemesis/platter/cut.h"
#include "nemesis/platter/stable.h"
#include "tests/lib/tap.h"

#define SECTOR STORE_SECTOR_BYTES
#define SECTORS 48
#define OPS_MAX 60 /* since all was last known to be stable */
#define TRIALS 4000
#define STEPS 60

struct op {
    unsigned first, count;
    bool zero, fua;
};

struct model {
    struct op ops[OPS_MAX + 1]; /* ops[0]: what is known to be stable */
    unsigned op_count;
    /* Contents of each sector before ops[1]; 0 is zeros. */
    uint64_t base[SECTORS];
    unsigned floor[SECTORS]; /* the oldest op that the sector may show */
    uint64_t id;             /* of ops[1] minus 1, never used twice */
};

struct world {
    struct store s;
    struct model m;
    struct rng rng;
    int fd;
    bool lying;
};

/* What happened, so that a test of the test can see that it did. */
struct tally {
    unsigned cuts, lost_sectors, torn, written_back, fua, lied_lost;
};

static bool
covers(const struct op *o, unsigned sector)
{
    return sector >= o->first && sector - o->first < o->count;
}

static uint64_t
version_of(const struct model *m, unsigned op, unsigned sector)
{
    if (op == 0)
        return m->base[sector];
    return m->ops[op].zero ? 0 : m->id + op;
}

static unsigned
newest(const struct model *m, unsigned sector)
{
    for (unsigned i = m->op_count; i > 0; i--)
        if (covers(&m->ops[i], sector))
            return i;
    return 0;
}

static void
fill(uint64_t *data, uint64_t version, unsigned sector)
{
    for (unsigned i = 0; i < SECTOR / 8; i++)
        data[i] = version == 0 ? 0 : version * SECTORS + sector;
}

/* The version whose contents these are; a mix fails. */
static uint64_t
version_in(const uint64_t *data, unsigned sector)
{
    for (unsigned i = 1; i < SECTOR / 8; i++)
        CHECK(data[i] == data[0]);
    if (data[0] == 0)
        return 0;
    CHECK_INT(data[0] % SECTORS, sector);
    return data[0] / SECTORS;
}

static void
look(struct world *w, bool stable, uint64_t ret[static SECTORS])
{
    static uint64_t data[SECTORS * SECTOR / 8];

    if (stable)
        CHECK_INT(stable_read(w->fd, data, sizeof(data), 0), 0);
    else
        CHECK_INT(store_read(&w->s, data, sizeof(data), 0), 0);
    for (unsigned i = 0; i < SECTORS; i++)
        ret[i] = version_in(data + (size_t)i * SECTOR / 8, i);
}

static void
check_reads(struct world *w)
{
    uint64_t seen[SECTORS];

    look(w, false, seen);
    for (unsigned i = 0; i < SECTORS; i++)
        CHECK_INT(seen[i], version_of(&w->m, newest(&w->m, i), i));
}

/* Any part of the disk reads as it does within the whole. */
static void
check_partial_read(struct world *w)
{
    static uint64_t data[SECTORS * SECTOR / 8];
    unsigned first = (unsigned)rng_below(&w->rng, SECTORS);
    unsigned count = 1 + (unsigned)rng_below(&w->rng, SECTORS - first);

    CHECK_INT(store_read(&w->s, data, (uint64_t)count * SECTOR,
                         (uint64_t)first * SECTOR),
              0);
    for (unsigned i = 0; i < count; i++)
        CHECK_INT(version_in(data + (size_t)i * SECTOR / 8, first + i),
                  version_of(&w->m, newest(&w->m, first + i), first + i));
}

/* Each sector of the stable file is at or above its floor. */
static void
check_allowed(struct world *w)
{
    uint64_t seen[SECTORS];

    look(w, true, seen);
    for (unsigned i = 0; i < SECTORS; i++) {
        bool found = false;

        for (unsigned op = w->m.floor[i]; op <= w->m.op_count; op++)
            if ((op == 0 || covers(&w->m.ops[op], i)) &&
                version_of(&w->m, op, i) == seen[i])
                found = true;
        CHECK(found);
    }
}

/*
 * The op that the sector shows, or -1 when several could be it (zeros from
 * different ops look the same).
 */
static int
shown_op(const struct model *m, unsigned sector, uint64_t version)
{
    int found = -1;

    for (unsigned op = m->floor[sector]; op <= m->op_count; op++) {
        if (op > 0 && !covers(&m->ops[op], sector))
            continue;
        if (version_of(m, op, sector) != version)
            continue;
        if (found >= 0)
            return -1;
        found = (int)op;
    }
    return found;
}

/*
 * Is there one choice of pieces that explains the disk?  A sector that shows
 * op j says: the piece of j is in, those of later ops on this sector are out.
 * A piece is the whole op, or with 'unit' the part of a write in one unit.
 */
static void
check_choice(const struct model *m, const uint64_t seen[static SECTORS],
             unsigned unit, bool in[OPS_MAX + 1], bool out[OPS_MAX + 1])
{
    unsigned units = unit == 0 ? 1 : SECTORS / unit;

    for (unsigned op = 0; op <= OPS_MAX; op++)
        in[op] = out[op] = false;
    for (unsigned u = 0; u < units; u++) {
        bool here_in[OPS_MAX + 1] = {false}, here_out[OPS_MAX + 1] = {false};
        unsigned from = u * unit, to = unit == 0 ? SECTORS : from + unit;

        for (unsigned s = from; s < to; s++) {
            int shown = shown_op(m, s, seen[s]);

            for (int op = shown; shown >= 0 && op <= (int)m->op_count; op++)
                if (op == shown)
                    here_in[op] = true;
                else if (covers(&m->ops[op], s))
                    here_out[op] = true;
        }
        for (unsigned op = 1; op <= m->op_count; op++) {
            CHECK(!here_in[op] || !here_out[op]);
            CHECK(!here_out[op] || !m->ops[op].fua);
            in[op] |= here_in[op];
            out[op] |= here_out[op];
        }
    }
}

static void
check_policy(const struct model *m, const uint64_t seen[static SECTORS],
             enum cut_policy policy, unsigned unit_sectors)
{
    bool in[OPS_MAX + 1], out[OPS_MAX + 1];
    unsigned last_in = 0, first_out = m->op_count + 1;
    bool torn = policy == CUT_TEAR || policy == CUT_TORN_TAIL;

    check_choice(m, seen, torn ? unit_sectors : 0, in, out);
    for (unsigned op = 1; op <= m->op_count; op++) {
        if (in[op] && !m->ops[op].fua)
            last_in = op;
        if (first_out > op && out[op])
            first_out = op;
        CHECK(policy != CUT_KEEP || !out[op]);
        CHECK(!torn || !m->ops[op].zero || !in[op] || !out[op]);
    }
    if (policy == CUT_PREFIX)
        CHECK(last_in < first_out);
    if (policy == CUT_TORN_TAIL)
        CHECK(last_in <= first_out); /* one write may be both */
}

/* From here on the disk is known to be what it shows. */
static void
settle(struct model *m, const uint64_t seen[static SECTORS])
{
    m->id += m->op_count;
    m->op_count = 0;
    memcpy(m->base, seen, sizeof(m->base));
    memset(m->floor, 0, sizeof(m->floor));
}

static void
step_write(struct world *w, struct tally *t)
{
    static uint64_t data[SECTORS * SECTOR / 8];
    struct model *m = &w->m;
    unsigned op = ++m->op_count;
    struct op *o = &m->ops[op];

    o->first = (unsigned)rng_below(&w->rng, SECTORS);
    o->count = 1 + (unsigned)rng_below(&w->rng, SECTORS - o->first);
    if (rng_chance(&w->rng, 0.6) && o->count > 6)
        o->count = 1 + o->count % 6;
    o->zero = rng_chance(&w->rng, 0.15);
    o->fua = rng_chance(&w->rng, 0.1);
    for (unsigned i = 0; i < o->count; i++)
        fill(data + (size_t)i * SECTOR / 8, m->id + op, o->first + i);
    CHECK_INT(store_write(&w->s,
                          !o->zero                   ? STORE_WRITE
                          : rng_chance(&w->rng, 0.5) ? STORE_ZERO
                                                     : STORE_TRIM,
                          o->zero ? NULL : data, (uint64_t)o->count * SECTOR,
                          (uint64_t)o->first * SECTOR, o->fua),
              0);
    o->fua = o->fua && !w->lying;
    t->fua += o->fua;
    for (unsigned i = 0; o->fua && i < o->count; i++)
        m->floor[o->first + i] = op;
}

static void
step_flush(struct world *w)
{
    uint64_t seen[SECTORS];

    CHECK_INT(store_flush(&w->s), 0);
    if (w->lying)
        return;
    look(w, true, seen);
    for (unsigned i = 0; i < SECTORS; i++)
        CHECK_INT(seen[i], version_of(&w->m, newest(&w->m, i), i));
    settle(&w->m, seen);
}

static void
step_cut(struct world *w, struct tally *t)
{
    static const enum cut_policy policies[] = {
        CUT_DROP, CUT_KEEP, CUT_PREFIX, CUT_TORN_TAIL, CUT_SUBSET, CUT_TEAR};
    unsigned unit = rng_chance(&w->rng, 0.5) ? 1 : 8, lost = 0;
    struct cut_spec spec = {
        .policy = policies[rng_below(&w->rng, ARRAY_LEN(policies))],
        .seed = rng_u64(&w->rng),
        .percent = (unsigned)rng_below(&w->rng, 101),
        .unit_bytes = unit * SECTOR};
    struct cut_result r;
    struct error err;
    uint64_t before[SECTORS], seen[SECTORS];

    look(w, false, before);
    CHECK_OK(store_cut(&w->s, &spec, NULL, &r, &err), &err);
    check_allowed(w);
    look(w, true, seen);
    check_policy(&w->m, seen, spec.policy, unit);
    for (unsigned i = 0; i < SECTORS; i++)
        lost += seen[i] != before[i];
    CHECK_INT(r.lost_sectors, lost);
    CHECK_INT(r.kept + r.torn + r.lost, r.records);
    settle(&w->m, seen);
    store_power_on(&w->s);
    check_reads(w);
    t->cuts++;
    t->lost_sectors += lost;
    t->torn += (unsigned)r.torn;
    t->lied_lost += w->lying ? lost : 0;
}

static void
trial(uint64_t seed, struct tally *t)
{
    struct world w = {.fd = memfd_create("platter", MFD_CLOEXEC)};
    uint64_t bound;

    rng_init(&w.rng, seed);
    bound = rng_chance(&w.rng, 0.5) ? STORE_BOUND_BYTES
                                    : 1 + rng_below(&w.rng, 40 * SECTOR);
    CHECK(w.fd >= 0 && ftruncate(w.fd, SECTORS * SECTOR) == 0);
    store_init(&w.s, w.fd, SECTORS * SECTOR, bound);
    w.lying = w.s.lying = rng_chance(&w.rng, 0.1);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t die = rng_below(&w.rng, 20);

        if (die < 14 && w.m.op_count < OPS_MAX)
            step_write(&w, t);
        else if (die < 17 || w.m.op_count == OPS_MAX)
            step_flush(&w);
        else if (die < 18)
            step_cut(&w, t);
        check_reads(&w);
        check_partial_read(&w);
        check_allowed(&w);
        if (w.lying && w.m.op_count == OPS_MAX)
            step_cut(&w, t);
    }
    t->written_back += (unsigned)w.s.stats.written_back;
    store_release(&w.s);
    close(w.fd);
}

static void
test_against_the_reference(void)
{
    const char *more = getenv("ORDEAL_PLATTER_TRIALS");
    unsigned trials = more != NULL ? (unsigned)strtoul(more, NULL, 10) : TRIALS;
    struct tally t = {0};

    for (unsigned i = 0; i < trials; i++)
        trial(i, &t);
    printf("# %u trials, %u cuts: %u sectors lost, %u writes torn, %u FUA, "
           "%u written back, %u lost under a lie\n",
           trials, t.cuts, t.lost_sectors, t.torn, t.fua, t.written_back,
           t.lied_lost);
    CHECK(t.cuts > 100 && t.lost_sectors > 100 && t.torn > 100);
    CHECK(t.fua > 100 && t.written_back > 100 && t.lied_lost > 0);
}

int
main(void)
{
    RUN(test_against_the_reference);
    return tap_done();
}
