/* SPDX-License-Identifier: Apache-2.0 */
/* The store, case by case.  test-platter-model.c does it at random. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "nemesis/platter/cut.h"
#include "nemesis/platter/stable.h"
#include "tests/lib/tap.h"

#define SECTOR STORE_SECTOR_BYTES
#define SECTORS 256

struct fixture {
    struct store s;
    int fd;
    struct error err;
    struct cut_result cut;
};

static struct fixture f;

static void
setup(uint64_t bound_bytes)
{
    memset(&f, 0, sizeof(f));
    f.fd = memfd_create("platter", MFD_CLOEXEC);
    CHECK(f.fd >= 0 && ftruncate(f.fd, SECTORS * SECTOR) == 0);
    store_init(&f.s, f.fd, SECTORS * SECTOR, bound_bytes);
}

static void
teardown(void)
{
    store_release(&f.s);
    close(f.fd);
}

/* Sectors [first, first + count) full of 'fill'. */
static int
put(unsigned first, unsigned count, char fill, bool fua)
{
    CLEANUP_FREE char *data = xcalloc(count, SECTOR);

    memset(data, fill, (size_t)count * SECTOR);
    return store_write(&f.s, STORE_WRITE, data, (uint64_t)count * SECTOR,
                       (uint64_t)first * SECTOR, fua);
}

static int
fill_of(const char *sector)
{
    for (unsigned i = 1; i < SECTOR; i++)
        if (sector[i] != sector[0])
            return -1; /* a mix */
    return sector[0];
}

static int
get(unsigned sector)
{
    char data[SECTOR];

    CHECK_INT(store_read(&f.s, data, SECTOR, (uint64_t)sector * SECTOR), 0);
    return fill_of(data);
}

static int
stable(unsigned sector)
{
    char data[SECTOR];

    CHECK_INT(stable_read(f.fd, data, SECTOR, (uint64_t)sector * SECTOR), 0);
    return fill_of(data);
}

static void
cut(enum cut_policy policy, uint64_t seed)
{
    struct cut_spec spec = {
        .policy = policy, .seed = seed, .percent = 50, .unit_bytes = SECTOR};

    CHECK_OK(store_cut(&f.s, &spec, NULL, &f.cut, &f.err), &f.err);
    CHECK_INT(f.s.stats.records, 0);
    CHECK_INT(f.s.stats.bytes, 0);
    CHECK(!f.s.powered);
    store_power_on(&f.s);
}

static void
test_unflushed_is_read_but_not_stable(void)
{
    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(3, 2, 'a', false), 0);
    CHECK_INT(get(3), 'a');
    CHECK_INT(get(5), 0);
    CHECK_INT(stable(3), 0);
    CHECK_INT(store_flush(&f.s), 0);
    CHECK_INT(stable(3), 'a');
    CHECK_INT(stable(4), 'a');
    CHECK_INT(f.s.stats.records, 0);
    CHECK_INT(f.s.stats.bytes, 0);
    teardown();
}

static void
test_newest_wins_and_order_is_kept(void)
{
    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(0, 8, 'a', false), 0);
    CHECK_INT(put(2, 2, 'b', false), 0);
    CHECK_INT(put(3, 4, 'c', false), 0);
    CHECK_INT(get(1), 'a');
    CHECK_INT(get(2), 'b');
    CHECK_INT(get(3), 'c');
    CHECK_INT(get(7), 'a');
    CHECK_INT(store_flush(&f.s), 0);
    CHECK_INT(stable(2), 'b');
    CHECK_INT(stable(6), 'c');
    CHECK_INT(stable(7), 'a');
    teardown();
}

static void
test_fua_carries_what_it_overlaps(void)
{
    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(0, 4, 'a', false), 0);
    CHECK_INT(put(20, 1, 'x', false), 0);
    CHECK_INT(put(2, 1, 'b', true), 0);
    CHECK_INT(stable(2), 'b');
    CHECK_INT(stable(20), 0); /* came after what had to go first */
    cut(CUT_KEEP, 1);
    CHECK_INT(stable(2), 'b'); /* the older write did not come after it */
    CHECK_INT(stable(0), 'a');
    CHECK_INT(stable(20), 'x');
    CHECK_INT(f.s.stats.fua, 1);
    teardown();
}

static void
test_zero_and_trim_are_log_records(void)
{
    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(0, 8, 'a', true), 0);
    CHECK_INT(store_write(&f.s, STORE_TRIM, NULL, 2 * SECTOR, 0, false), 0);
    CHECK_INT(
        store_write(&f.s, STORE_ZERO, NULL, 2 * SECTOR, 4 * SECTOR, false), 0);
    CHECK_INT(get(0), 0);
    CHECK_INT(get(2), 'a');
    CHECK_INT(get(5), 0);
    CHECK_INT(stable(0), 'a');
    cut(CUT_DROP, 1);
    CHECK_INT(f.cut.lost_sectors, 4);
    CHECK_INT(get(0), 'a');
    CHECK_INT(store_write(&f.s, STORE_TRIM, NULL, 2 * SECTOR, 0, false), 0);
    cut(CUT_KEEP, 1);
    CHECK_INT(f.cut.lost_sectors, 0);
    CHECK_INT(f.cut.unflushed_sectors, 2);
    CHECK_INT(get(0), 0);
    teardown();
}

/* A bound of three small records: the oldest are written back. */
static void
test_bound_writes_back_the_oldest(void)
{
    setup(3 * (sizeof(struct store_record) + sizeof(struct extent) + SECTOR));
    for (unsigned i = 0; i < 10; i++)
        CHECK_INT(put(i, 1, (char)('a' + i), false), 0);
    CHECK_INT(f.s.stats.records, 3);
    CHECK_INT(f.s.stats.written_back, 7);
    CHECK(f.s.stats.bytes_peak <= f.s.bound_bytes);
    CHECK_INT(stable(6), 'g');
    CHECK_INT(stable(7), 0);
    for (unsigned i = 0; i < 10; i++)
        CHECK_INT(get(i), 'a' + (int)i);
    teardown();
}

static void
test_cut_drops_keeps_and_counts(void)
{
    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(0, 4, 'a', false), 0);
    CHECK_INT(store_flush(&f.s), 0);
    CHECK_INT(put(0, 2, 'b', false), 0);
    CHECK_INT(put(2, 1, 'a', false), 0); /* the same as what is stable */
    cut(CUT_DROP, 1);
    CHECK_INT(f.cut.records, 2);
    CHECK_INT(f.cut.lost, 2);
    CHECK_INT(f.cut.unflushed_sectors, 3);
    CHECK_INT(f.cut.lost_sectors, 2);
    CHECK_INT(f.cut.generation, 2);
    CHECK_INT(get(0), 'a');
    CHECK_INT(put(0, 2, 'b', false), 0);
    cut(CUT_KEEP, 1);
    CHECK_INT(f.cut.lost_sectors, 0);
    CHECK_INT(get(0), 'b');
    teardown();
}

/* 64 sectors in one write: some survive, some do not, none is a mix. */
static void
test_cut_tears_at_units(void)
{
    unsigned torn = 0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned found = 0;

        setup(STORE_BOUND_BYTES);
        CHECK_INT(put(8, 64, 'a', false), 0);
        cut(CUT_TEAR, seed);
        for (unsigned i = 8; i < 72; i++) {
            CHECK(get(i) == 'a' || get(i) == 0);
            found += get(i) == 'a';
        }
        CHECK_INT(f.cut.lost_sectors, 64 - found);
        torn += f.cut.torn;
        teardown();
    }
    CHECK_INT(torn, 20);
}

/* The last write that reached the medium got there from its front only. */
static void
test_torn_tail_is_a_prefix(void)
{
    unsigned torn = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        bool over = false;

        setup(STORE_BOUND_BYTES);
        for (unsigned i = 0; i < 4; i++)
            CHECK_INT(put(i * 8, 8, 'a', false), 0);
        cut(CUT_TORN_TAIL, seed);
        for (unsigned i = 0; i < 32; i++) {
            CHECK(!over || get(i) == 0);
            over = over || get(i) == 0;
        }
        torn += f.cut.torn;
        teardown();
    }
    CHECK(torn > 10);
}

static void
image(char ret[static SECTORS])
{
    for (unsigned i = 0; i < SECTORS; i++)
        ret[i] = (char)get(i);
}

static void
some_writes(void)
{
    for (unsigned i = 0; i < 40; i++)
        CHECK_INT(put(i * 5 % 200, 1 + i % 13, (char)('A' + i), false), 0);
    CHECK_INT(store_write(&f.s, STORE_TRIM, NULL, 64 * SECTOR, 0, false), 0);
}

static void
test_seed_decides_and_decisions_replay(void)
{
    struct cut_spec spec = {
        .policy = CUT_TEAR, .seed = 7, .percent = 50, .unit_bytes = SECTOR};
    char first[SECTORS], again[SECTORS], other[SECTORS];
    CLEANUP_FREE char *list = NULL;
    size_t len;
    FILE *out = open_memstream(&list, &len);

    setup(STORE_BOUND_BYTES);
    some_writes();
    CHECK_OK(store_cut(&f.s, &spec, out, &f.cut, &f.err), &f.err);
    fclose(out);
    image(first);
    teardown();
    setup(STORE_BOUND_BYTES);
    some_writes();
    cut(CUT_TEAR, 7);
    image(again);
    CHECK(memcmp(first, again, SECTORS) == 0);
    teardown();
    setup(STORE_BOUND_BYTES);
    some_writes();
    cut(CUT_TEAR, 8);
    image(other);
    CHECK(memcmp(first, other, SECTORS) != 0);
    teardown();
    setup(STORE_BOUND_BYTES);
    some_writes();
    spec = (struct cut_spec){.policy = CUT_REPLAY,
                             .unit_bytes = SECTOR,
                             .replay = fmemopen(list, len, "r")};
    CHECK_OK(store_cut(&f.s, &spec, NULL, &f.cut, &f.err), &f.err);
    fclose(spec.replay);
    CHECK_INT(f.cut.unmatched, 0);
    image(again);
    CHECK(memcmp(first, again, SECTORS) == 0);
    teardown();
}

static void
test_a_broken_list_changes_nothing(void)
{
    char text[] = "platter-cut 1 policy=tear seed=1 percent=5 unit=512\n"
                  "1 write 0\n";
    struct cut_spec spec = {.policy = CUT_REPLAY,
                            .unit_bytes = SECTOR,
                            .replay = fmemopen(text, strlen(text), "r")};

    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(0, 1, 'a', false), 0);
    CHECK_INT(store_cut(&f.s, &spec, NULL, &f.cut, &f.err), -1);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    fclose(spec.replay);
    CHECK(f.s.powered);
    CHECK_INT(f.s.generation, 1);
    CHECK_INT(get(0), 'a');
    CHECK_INT(f.s.stats.records, 1);
    teardown();
}

/* The positive control: this is what a broken disk looks like. */
static void
test_a_lying_flush_loses_what_it_confirmed(void)
{
    setup(STORE_BOUND_BYTES);
    f.s.lying = true;
    CHECK_INT(put(0, 4, 'a', false), 0);
    CHECK_INT(store_flush(&f.s), 0);
    CHECK_INT(put(9, 1, 'b', true), 0);
    CHECK_INT(get(0), 'a');
    CHECK_INT(f.s.stats.lied, 2);
    cut(CUT_DROP, 1);
    CHECK_INT(f.cut.lost_sectors, 5);
    CHECK_INT(get(0), 0);
    CHECK_INT(get(9), 0);
    teardown();
}

static void
test_flip_is_on_the_medium_and_goes_back(void)
{
    char data[SECTOR];

    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(4, 2, 'a', false), 0);
    CHECK_INT(store_flip(&f.s, 4 * SECTOR + 17, 1), 0);
    CHECK_INT(store_read(&f.s, data, SECTOR, 4 * SECTOR), 0);
    CHECK_INT(data[17], 'a' ^ 2);
    CHECK_INT(data[16], 'a');
    cut(CUT_DROP, 1); /* it survives: the write it hit was written back */
    CHECK_INT(store_read(&f.s, data, SECTOR, 4 * SECTOR), 0);
    CHECK_INT(data[17], 'a' ^ 2);
    CHECK_INT(store_unflip(&f.s), 1);
    CHECK_INT(get(4), 'a');
    CHECK_INT(store_unflip(&f.s), 0);
    CHECK_INT(get(4), 'a');
    /* written since: the new data are not touched */
    CHECK_INT(store_flip(&f.s, 5 * SECTOR, 0), 0);
    CHECK_INT(put(5, 1, 'c', false), 0);
    CHECK_INT(store_unflip(&f.s), 0);
    CHECK_INT(get(5), 'c');
    teardown();
}

static void
test_stale_reads_go_back_in_time(void)
{
    char data[4 * SECTOR];

    setup(STORE_BOUND_BYTES);
    CHECK_INT(put(0, 4, 'a', false), 0);
    CHECK_INT(store_stale(&f.s, SECTOR, 2 * SECTOR), 0);
    CHECK_INT(get(1), 'a');
    CHECK_INT(f.s.stats.stale_hit, 0);
    CHECK_INT(put(0, 4, 'b', true), 0);
    CHECK_INT(store_read(&f.s, data, sizeof(data), 0), 0);
    CHECK_INT(data[0], 'b');
    CHECK_INT(data[SECTOR], 'a');
    CHECK_INT(data[3 * SECTOR - 1], 'a');
    CHECK_INT(data[3 * SECTOR], 'b');
    CHECK_INT(f.s.stats.stale_hit, 1);
    CHECK_INT(store_stale(&f.s, 0, 0), 0);
    CHECK_INT(get(1), 'b');
    CHECK_INT(store_stale(&f.s, 0, 0), 0);
    teardown();
}

/* The host's disk refuses: nothing is forgotten, nothing pretended. */
static void
test_a_failing_host_keeps_the_log(void)
{
    CLEANUP_FREE char *path = NULL;
    int read_only;

    setup(STORE_BOUND_BYTES);
    path = xasprintf("/proc/self/fd/%d", f.fd);
    read_only = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(read_only >= 0);
    CHECK_INT(put(0, 4, 'a', false), 0);
    f.s.fd = read_only;
    CHECK_INT(store_flush(&f.s), -EBADF);
    CHECK_INT(put(0, 1, 'b', true), -EBADF);
    CHECK_INT(get(0), 'a');
    CHECK_INT(f.s.stats.records, 1);
    f.s.fd = f.fd;
    CHECK_INT(store_flush(&f.s), 0);
    CHECK_INT(stable(0), 'a');
    close(read_only);
    teardown();
}

/* A terabyte: what costs is the log, not the disk. */
static void
test_huge_ranges_are_cheap(void)
{
    const uint64_t size = UINT64_C(1) << 40;

    setup(STORE_BOUND_BYTES);
    CHECK(ftruncate(f.fd, (off_t)size) == 0);
    store_release(&f.s);
    store_init(&f.s, f.fd, size, STORE_BOUND_BYTES);
    CHECK_INT(store_write(&f.s, STORE_TRIM, NULL, size, 0, false), 0);
    CHECK_INT(put(77, 1, 'a', false), 0);
    CHECK_INT(f.s.map.count, 3);
    CHECK_INT(get(77), 'a');
    CHECK_INT(get(78), 0);
    cut(CUT_DROP, 1);
    CHECK_INT(f.cut.unflushed_sectors, size / SECTOR);
    CHECK_INT(f.cut.lost_sectors, 1);
    teardown();
}

int
main(void)
{
    RUN(test_unflushed_is_read_but_not_stable);
    RUN(test_newest_wins_and_order_is_kept);
    RUN(test_fua_carries_what_it_overlaps);
    RUN(test_zero_and_trim_are_log_records);
    RUN(test_bound_writes_back_the_oldest);
    RUN(test_cut_drops_keeps_and_counts);
    RUN(test_cut_tears_at_units);
    RUN(test_torn_tail_is_a_prefix);
    RUN(test_seed_decides_and_decisions_replay);
    RUN(test_a_broken_list_changes_nothing);
    RUN(test_a_lying_flush_loses_what_it_confirmed);
    RUN(test_flip_is_on_the_medium_and_goes_back);
    RUN(test_stale_reads_go_back_in_time);
    RUN(test_a_failing_host_keeps_the_log);
    RUN(test_huge_ranges_are_cheap);
    return tap_done();
}
