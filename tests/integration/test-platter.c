/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platter with a real nbdkit, libnbd clients and qemu-io: what was
 * confirmed survives, faults bite and heal, nothing is left.
 */
#include "config.h"

#include <signal.h>
#include <sys/wait.h>

#include "harness/base/process.h"
#include "harness/base/rng.h"
#include "tests/lib/platter-fixture.h"

static struct platter_fixture f;

static struct cut_result
cut(enum cut_policy policy, uint64_t seed)
{
    struct cut_spec spec = {.policy = policy,
                            .seed = platter_cut_seed(seed, "n1", 1),
                            .percent = 50,
                            .unit_bytes = 512};
    struct cut_result r;

    CHECK_OK(platter_cut(&f.platter, &spec, soon(), &r, &f.err), &f.err);
    return r;
}

static void
power_on(void)
{
    CHECK_OK(platter_power_on(&f.platter, soon(), &f.err), &f.err);
}

static void
test_what_it_offers(void)
{
    struct nbd_handle *h;
    char sector[512] = "";

    fixture_setup(&f);
    h = client_open(&f);
    CHECK(h != NULL);
    CHECK_INT(nbd_get_size(h), DISK_BYTES);
    CHECK_INT(nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM), 512);
    CHECK_INT(nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED), 4096);
    CHECK_INT(nbd_can_flush(h), 1);
    CHECK_INT(nbd_can_fua(h), 1);
    CHECK_INT(nbd_can_trim(h), 1);
    CHECK_INT(nbd_can_zero(h), 1);
    CHECK_INT(nbd_can_multi_conn(h), 1);
    CHECK_INT(nbd_pwrite(h, sector, 512, 100, 0), -1);
    CHECK_INT(nbd_get_errno(), EINVAL);
    CHECK_INT(nbd_pwrite(h, sector, 100, 512, 0), -1);
    CHECK_INT(nbd_get_errno(), EINVAL);
    CHECK_INT(nbd_pwrite(h, sector, 512, DISK_BYTES - 512, 0), 0);
    CHECK_INT(stat_of(&f, "connections"), 1);
    nbd_close(h);
    fixture_teardown(&f);
}

/* An appender in the manner of a database's log, and what became of it. */
struct appender {
    uint64_t acknowledged, written; /* records 1..n */
    unsigned lost, early, late, cuts_that_bit;
};

/*
 * Records on two connections, a flush on one of them now and then; the last
 * few are not flushed when the power goes.
 */
static void
append(struct appender *a, struct rng *rng)
{
    struct nbd_handle *h[2] = {client_open(&f), client_open(&f)};
    uint64_t records = 5 + rng_below(rng, 20);

    CHECK(h[0] != NULL && h[1] != NULL);
    for (uint64_t i = 0; i < records; i++) {
        uint64_t n = a->written + 1;

        CHECK_INT(block_write(h[rng_below(rng, 2)], n, n, 0), 0);
        a->written = n;
        if (!rng_chance(rng, 0.3))
            continue;
        CHECK_INT(nbd_flush(h[rng_below(rng, 2)], 0), 0);
        a->acknowledged = n;
    }
    nbd_close(h[0]);
    nbd_close(h[1]);
}

static void
recover(struct appender *a)
{
    struct nbd_handle *h = client_open(&f);

    CHECK(h != NULL);
    for (uint64_t n = 1; n <= a->written; n++) {
        int holds = block_holds(h, n, n);

        CHECK(holds >= 0);
        if (n <= a->acknowledged)
            a->lost += holds == 0;
        else if (holds == 1)
            a->early++;
        else
            a->late++;
    }
    /* what is there now is stable, and the next round starts after it */
    a->acknowledged = a->written;
    for (uint64_t n = 1; n <= a->written; n++)
        CHECK_INT(block_write(h, n, n, 0), 0);
    CHECK_INT(nbd_flush(h, 0), 0);
    nbd_close(h);
}

static void
cuts(struct appender *a, unsigned count, bool lying)
{
    static const enum cut_policy policies[] = {
        CUT_DROP, CUT_PREFIX, CUT_TORN_TAIL, CUT_SUBSET, CUT_TEAR, CUT_KEEP};
    struct rng rng;

    rng_init(&rng, 42);
    for (unsigned i = 0; i < count; i++) {
        struct cut_result r;

        tell(&f, lying ? "lie on" : "lie off");
        append(a, &rng);
        r = cut(policies[i % ARRAY_LEN(policies)], i);
        a->cuts_that_bit += r.lost_sectors > 0;
        power_on();
        tell(&f, "lie off");
        recover(a);
    }
}

static void
test_confirmed_survives_always(void)
{
    struct appender a = {0};

    fixture_setup(&f);
    cuts(&a, 60, false);
    printf("# 60 cuts, %u lost something: %u confirmed records lost; of the "
           "others %u found, %u not\n",
           a.cuts_that_bit, a.lost, a.early, a.late);
    CHECK_INT(a.lost, 0);
    CHECK(a.early > 0 && a.late > 0 && a.cuts_that_bit > 10);
    fixture_teardown(&f);
}

/* The control: the same test sees a disk that lies. */
static void
test_a_lying_disk_is_caught(void)
{
    struct appender a = {0};

    fixture_setup(&f);
    cuts(&a, 12, true);
    printf("# 12 cuts: %u confirmed records lost, %lld lies\n", a.lost,
           (long long)stat_of(&f, "lied"));
    CHECK(a.lost > 10);
    CHECK(stat_of(&f, "lied") > 10);
    fixture_teardown(&f);
}

static void
test_fua_needs_no_flush(void)
{
    struct nbd_handle *h;

    fixture_setup(&f);
    h = client_open(&f);
    CHECK_INT(block_write(h, 1, 11, 0), 0);
    CHECK_INT(block_write(h, 2, 12, LIBNBD_CMD_FLAG_FUA), 0);
    CHECK_INT(nbd_trim(h, BLOCK, 2 * BLOCK, 0), 0);
    CHECK_INT(stat_of(&f, "log_records"), 2);
    nbd_close(h);
    CHECK_INT(cut(CUT_DROP, 1).lost_sectors, 16);
    power_on();
    h = client_open(&f);
    CHECK_INT(block_holds(h, 1, 11), 0);
    CHECK_INT(block_holds(h, 2, 12), 1);
    nbd_close(h);
    fixture_teardown(&f);
}

/* Waits a moment; whether the command has been answered. */
static bool
answered(struct nbd_handle *h, int64_t cookie, int ms)
{
    int64_t until = clock_now_ns(clock_monotonic()) + ms * NS_PER_MS;
    int rc;

    while ((rc = nbd_aio_command_completed(h, (uint64_t)cookie)) == 0) {
        if (clock_now_ns(clock_monotonic()) >= until)
            return false;
        nbd_poll(h, 10);
    }
    return true;
}

static void
test_a_cut_freezes_old_connections_for_good(void)
{
    struct nbd_handle *old;
    unsigned char block[BLOCK];
    int64_t read, write;
    json_t *r;

    fixture_setup(&f);
    old = client_open(&f);
    CHECK_INT(block_write(old, 1, 11, 0), 0);
    CHECK_INT(cut(CUT_KEEP, 1).kept, 1);
    block_fill(block, 99);
    write = nbd_aio_pwrite(old, block, BLOCK, BLOCK, NBD_NULL_COMPLETION, 0);
    read = nbd_aio_pread(old, block, BLOCK, 0, NBD_NULL_COMPLETION, 0);
    CHECK(!answered(old, write, 100) && !answered(old, read, 100));
    CHECK_INT(stat_of(&f, "waiting"), 2);
    CHECK(client_open(&f) == NULL);
    CHECK_INT(stat_of(&f, "refused"), 1);
    r = platter_command(&f.platter, soon(), &f.err, "on");
    CHECK(r == NULL && strstr(f.err.text, "before the cut") != NULL);
    tell(&f, "release");
    tell(&f, "release");
    CHECK(answered(old, write, 2000) && answered(old, read, 2000));
    CHECK_INT(block_write(old, 1, 99, 0), -1);
    CHECK_INT(nbd_get_errno(), ESHUTDOWN);
    nbd_close(old);
    power_on();
    old = client_open(&f);
    CHECK(old != NULL);
    CHECK_INT(block_holds(old, 1, 11), 1);
    CHECK_INT(stat_of(&f, "waiting"), 0);
    nbd_close(old);
    fixture_teardown(&f);
}

/* A QEMU dies with a full queue, stalled or frozen: nbdkit must not. */
static void
test_clients_may_die_with_a_full_queue(void)
{
    static unsigned char blocks[16][BLOCK];

    fixture_setup(&f);
    for (unsigned i = 0; i < 40; i++) {
        struct nbd_handle *h = client_open(&f);

        CHECK(h != NULL);
        if (i % 4 != 0)
            tell(&f, "stall");
        else
            cut(CUT_KEEP, i);
        for (unsigned j = 0; j < 16; j++)
            CHECK(nbd_aio_pwrite(h, blocks[j], BLOCK, (uint64_t)j * BLOCK,
                                 NBD_NULL_COMPLETION, 0) > 0);
        for (int tries = 0; stat_of(&f, "waiting") < 16; tries++) {
            CHECK(tries < 2000);
            nbd_poll(h, 5);
        }
        nbd_close(h);
        for (int tries = 0; stat_of(&f, "connections") > 0; tries++) {
            CHECK(tries < 2000);
            clock_sleep_ns(clock_monotonic(), 5 * NS_PER_MS);
        }
        tell(&f, "clear");
        power_on();
    }
    CHECK_INT(stat_of(&f, "waiting"), 0);
    fixture_teardown(&f);
}

/* What a killed QEMU leaves in the socket never reaches the next boot. */
static void
test_a_dead_clients_write_stays_out(void)
{
    struct nbd_handle *h;
    unsigned char block[BLOCK];

    fixture_setup(&f);
    for (unsigned i = 0; i < 10; i++) {
        h = client_open(&f);
        CHECK_INT(block_write(h, 1, 11, LIBNBD_CMD_FLAG_FUA), 0);
        block_fill(block, 99);
        CHECK_INT(cut(CUT_KEEP, 1).records, 0);
        CHECK(nbd_aio_pwrite(h, block, BLOCK, BLOCK, NBD_NULL_COMPLETION, 0) >
              0);
        nbd_close(h);
        power_on();
        h = client_open(&f);
        CHECK_INT(block_holds(h, 1, 11), 1);
        nbd_close(h);
    }
    fixture_teardown(&f);
}

static void
test_errors_bite_and_heal(void)
{
    struct nbd_handle *h;

    fixture_setup(&f);
    h = client_open(&f);
    CHECK_INT(block_write(h, 1, 1, 0), 0);
    tell(&f, "eio kind=read offset=4096 length=4096");
    CHECK_INT(block_holds(h, 1, 1), -1);
    CHECK_INT(nbd_get_errno(), EIO);
    CHECK_INT(block_holds(h, 2, 0), 0);
    tell(&f, "eio kind=write nth=2 count=1");
    CHECK_INT(block_write(h, 3, 3, 0), 0);
    CHECK_INT(nbd_zero(h, BLOCK, 5 * BLOCK, 0), -1);
    CHECK_INT(block_write(h, 3, 3, 0), 0);
    tell(&f, "enospc");
    CHECK_INT(block_write(h, 4, 4, 0), -1);
    CHECK_INT(nbd_get_errno(), ENOSPC);
    CHECK_INT(nbd_trim(h, BLOCK, 0, 0), -1);
    CHECK_INT(stat_of(&f, "rules.0.hit"), 1);
    CHECK_INT(stat_of(&f, "rules.1.hit"), 1);
    CHECK_INT(stat_of(&f, "rules.2.hit"), 2);
    tell(&f, "clear");
    tell(&f, "clear");
    CHECK_INT(block_holds(h, 1, 1), 1);
    CHECK_INT(block_write(h, 4, 4, 0), 0);
    CHECK_INT(nbd_trim(h, BLOCK, 0, 0), 0);
    CHECK_INT(stat_of(&f, "write.errors"), 1);
    CHECK_INT(stat_of(&f, "zero.errors"), 1);
    CHECK_INT(stat_of(&f, "trim.errors"), 1);
    nbd_close(h);
    fixture_teardown(&f);
}

/* The flush after the failed one succeeds, and the data are gone. */
static void
test_a_failed_flush_may_lose_the_cache(void)
{
    struct nbd_handle *h;

    fixture_setup(&f);
    h = client_open(&f);
    CHECK_INT(block_write(h, 1, 1, 0), 0);
    tell(&f, "eio kind=flush count=1");
    CHECK_INT(nbd_flush(h, 0), -1);
    CHECK_INT(nbd_get_errno(), EIO);
    CHECK_INT(block_holds(h, 1, 1), 1);
    CHECK_INT(stat_of(&f, "log_records"), 1);
    tell(&f, "clear");
    tell(&f, "eio kind=flush count=1 lose=1");
    CHECK_INT(nbd_flush(h, 0), -1);
    CHECK_INT(nbd_flush(h, 0), 0);
    CHECK_INT(block_holds(h, 1, 1), 0);
    CHECK_INT(stat_of(&f, "log_records"), 0);
    nbd_close(h);
    fixture_teardown(&f);
}

static int64_t
timed_write(struct nbd_handle *h)
{
    int64_t start = clock_now_ns(clock_monotonic());

    CHECK_INT(block_write(h, 1, 1, 0), 0);
    return clock_now_ns(clock_monotonic()) - start;
}

static void
test_latency_bites_and_heals(void)
{
    struct nbd_handle *h;
    int64_t quick = INT64_MAX, start;
    unsigned char block[BLOCK];
    int64_t cookies[8];

    fixture_setup(&f);
    h = client_open(&f);
    tell(&f, "latency kind=write ns=200000000");
    CHECK(timed_write(h) >= 200 * NS_PER_MS);
    /* requests wait side by side, as in a disk's queue */
    start = clock_now_ns(clock_monotonic());
    for (int i = 0; i < 8; i++)
        cookies[i] = nbd_aio_pwrite(h, block, BLOCK, (uint64_t)i * BLOCK,
                                    NBD_NULL_COMPLETION, 0);
    for (int i = 0; i < 8; i++)
        CHECK(answered(h, cookies[i], 5000));
    CHECK(clock_now_ns(clock_monotonic()) - start < 1200 * NS_PER_MS);
    CHECK_INT(stat_of(&f, "write.delayed"), 9);
    tell(&f, "latency kind=write ns=0");
    for (int i = 0; i < 10; i++) {
        int64_t ns = timed_write(h);

        quick = ns < quick ? ns : quick;
    }
    CHECK(quick < 100 * NS_PER_MS);
    CHECK_INT(stat_of(&f, "write.delayed"), 9);
    nbd_close(h);
    fixture_teardown(&f);
}

static void
test_stall_bites_and_heals(void)
{
    struct nbd_handle *h;
    unsigned char block[BLOCK];
    int64_t write;

    fixture_setup(&f);
    h = client_open(&f);
    tell(&f, "stall kind=write");
    block_fill(block, 7);
    write = nbd_aio_pwrite(h, block, BLOCK, BLOCK, NBD_NULL_COMPLETION, 0);
    CHECK(!answered(h, write, 200));
    CHECK_INT(block_holds(h, 1, 7), 0); /* reads pass */
    CHECK_INT(stat_of(&f, "waiting"), 1);
    tell(&f, "unstall");
    tell(&f, "unstall");
    CHECK(answered(h, write, 5000));
    CHECK_INT(block_holds(h, 1, 7), 1);
    CHECK_INT(stat_of(&f, "waiting"), 0);
    nbd_close(h);
    fixture_teardown(&f);
}

static void
test_corruption_bites_and_heals(void)
{
    struct nbd_handle *h;

    fixture_setup(&f);
    h = client_open(&f);
    CHECK_INT(block_write(h, 1, 1, 0), 0);
    tell(&f, "flip offset=5000 bit=2");
    CHECK_INT(block_holds(h, 1, 1), 0);
    tell(&f, "unflip");
    tell(&f, "unflip");
    CHECK_INT(block_holds(h, 1, 1), 1);
    tell(&f, "stale offset=4096 length=4096");
    CHECK_INT(block_write(h, 1, 2, LIBNBD_CMD_FLAG_FUA), 0);
    CHECK_INT(block_holds(h, 1, 1), 1);
    CHECK_INT(stat_of(&f, "stale.1"), 1);
    tell(&f, "clear");
    CHECK_INT(block_holds(h, 1, 2), 1);
    nbd_close(h);
    fixture_teardown(&f);
}

static void
test_decisions_are_written_and_replayed(void)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *text = NULL;
    struct nbd_handle *h;
    bool first[40];
    json_t *r;

    fixture_setup(&f);
    for (int round = 0; round < 2; round++) {
        h = client_open(&f);
        CHECK_INT(nbd_trim(h, 1 << 20, 0, LIBNBD_CMD_FLAG_FUA), 0);
        for (unsigned i = 0; i < 40; i++)
            CHECK_INT(block_write(h, i, i + 1, 0), 0);
        nbd_close(h);
        if (round == 0)
            cut(CUT_SUBSET, 3);
        else
            tell(&f, "cut policy=replay replay=cut-1.txt");
        power_on();
        h = client_open(&f);
        for (unsigned i = 0; i < 40; i++) {
            bool holds = block_holds(h, i, i + 1) == 1;

            CHECK(round == 0 || first[i] == holds);
            first[i] = holds;
        }
        nbd_close(h);
    }
    path = xasprintf("%s/cut-1.txt", f.platter.record_dir);
    text = file_read(path, 1 << 20, NULL, &f.err);
    CHECK(text != NULL &&
          strncmp(text, "platter-cut 1 policy=subset", 27) == 0);
    r = platter_command(&f.platter, soon(), &f.err,
                        "cut policy=replay "
                        "replay=no-such");
    CHECK(r == NULL && stat_of(&f, "powered") == 1);
    fixture_teardown(&f);
}

static void
test_one_image_one_platter(void)
{
    struct platter_config second;
    struct platter p = {0};

    fixture_setup(&f);
    second = f.config;
    second.name = "second";
    CHECK_INT(platter_start(&p, &second, soon(), &f.err), -1);
    CHECK(strstr(f.err.text, "another platter") != NULL);
    second.image = "/no-such-image";
    CHECK_INT(platter_start(&p, &second, soon(), &f.err), -1);
    CHECK(strstr(f.err.text, "no-such-image") != NULL);
    CHECK_INT(orphans_count(ORPHANS_NBDKIT, f.dir), 1);
    fixture_teardown(&f);
}

/* An orderly end keeps the cache; a killed nbdkit leaves files that are no
   hindrance. */
static void
test_ends_and_starts_again(void)
{
    struct nbd_handle *h;

    fixture_setup(&f);
    h = client_open(&f);
    CHECK_INT(block_write(h, 1, 11, 0), 0);
    nbd_close(h);
    CHECK_OK(platter_stop(&f.platter, &f.err), &f.err);
    CHECK_OK(platter_stop(&f.platter, &f.err), &f.err);
    CHECK_OK(platter_start(&f.platter, &f.config, soon(), &f.err), &f.err);
    h = client_open(&f);
    CHECK_INT(block_holds(h, 1, 11), 1);
    nbd_close(h);
    kill(f.platter.pid, SIGKILL);
    waitpid(f.platter.pid, NULL, 0);
    f.platter.pid = 0;
    CHECK_OK(platter_stop(&f.platter, &f.err), &f.err);
    fixture_stale_sockets(&f);
    CHECK_OK(platter_start(&f.platter, &f.config, soon(), &f.err), &f.err);
    fixture_teardown(&f);
}

static bool
none_left(void *ctx)
{
    return orphans_count(ORPHANS_NBDKIT, ctx) == 0;
}

static pid_t
start_and_die(bool *ret_started)
{
    int ready[2], status = -1;
    pid_t child;

    CHECK(pipe(ready) == 0);
    child = fork();
    if (child == 0) {
        struct platter p;
        int rc = platter_start(&p, &f.config, soon(), &f.err);

        if (write(ready[1], &rc, sizeof(rc)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    *ret_started = read(ready[0], &status, sizeof(status)) == sizeof(status) &&
                   status == 0;
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void
test_a_killed_driver_leaves_nothing(void)
{
    struct clock *clock = clock_monotonic();
    struct nbd_handle *h = NULL;
    bool started;

    fixture_setup(&f);
    CHECK_OK(platter_stop(&f.platter, &f.err), &f.err);
    for (int with_client = 0; with_client < 2; with_client++) {
        pid_t child = start_and_die(&started);

        CHECK(child > 0 && started);
        f.platter.socket_path = xasprintf("%s/disk.sock", f.dir);
        if (with_client) {
            h = client_open(&f);
            CHECK(h != NULL);
        }
        free(TAKE(f.platter.socket_path));
        CHECK_INT(orphans_count(ORPHANS_NBDKIT, f.dir), 1);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        if (with_client) /* it may wait for the client: recover does not */
            CHECK(platter_recover(f.dir, soon(), &f.err) >= 0);
        CHECK(clock_poll(clock, soon(), 10 * NS_PER_MS, none_left, f.dir));
        CHECK_INT(platter_recover(f.dir, soon(), &f.err), 0);
    }
    nbd_close(h);
    CHECK_OK(platter_start(&f.platter, &f.config, soon(), &f.err), &f.err);
    fixture_teardown(&f);
}

/* ---- the client that guests have ---- */

static int
qemu_io(const char *const commands[], unsigned count)
{
    CLEANUP_FREE char *uri =
        xasprintf("nbd+unix:///?socket=%s", f.platter.socket_path);
    const char *argv[24] = {"qemu-io", "-f", "raw", "-t", "none"};
    struct process_options o = {.output_max = 65536};
    CLEANUP(process_result_release) struct process_result r;
    unsigned n = 5;

    process_result_init(&r);
    for (unsigned i = 0; i < count; i++) {
        argv[n++] = "-c";
        argv[n++] = commands[i];
    }
    argv[n] = uri;
    CHECK_OK(process_run(argv, &o, soon(), &r, &f.err), &f.err);
    if (r.signo == SIGKILL)
        return 0; /* by its own hand: a QEMU that does not flush */
    if (r.status == 0 && strstr(buf_text(&r.out), "failed") == NULL)
        return 0;
    printf("# %s\n", buf_text(&r.out));
    return -1;
}

static void
test_qemu_flush_is_honest(void)
{
    static const char *const boot[] = {
        "write -P 0xaa 0 1M", "flush",      "write -P 0xbb 512k 1M",
        "discard 0 64k",      "sigraise 9",
    };
    static const char *const look[] = {
        "read -P 0xaa 0 1M",
        "read -P 0 1M 512k",
    };

    fixture_setup(&f);
    CHECK_INT(qemu_io(boot, ARRAY_LEN(boot)), 0);
    CHECK(stat_of(&f, "flush.ops") > 0);
    CHECK_INT(stat_of(&f, "fua"), 0);
    CHECK(cut(CUT_DROP, 1).lost_sectors > 2000);
    power_on();
    CHECK_INT(qemu_io(look, ARRAY_LEN(look)), 0);
    fixture_teardown(&f);
}

int
main(void)
{
    struct error err = {0};
    CLEANUP_FREE char *plugin = platter_plugin_path(&err);

    if (plugin == NULL || access("/usr/bin/nbdkit", X_OK) < 0) {
        printf("1..0 # SKIP no nbdkit, or no plugin: %s\n", err.text);
        return 0;
    }
    RUN(test_what_it_offers);
    RUN(test_confirmed_survives_always);
    RUN(test_a_lying_disk_is_caught);
    RUN(test_fua_needs_no_flush);
    RUN(test_a_cut_freezes_old_connections_for_good);
    RUN(test_clients_may_die_with_a_full_queue);
    RUN(test_a_dead_clients_write_stays_out);
    RUN(test_errors_bite_and_heal);
    RUN(test_a_failed_flush_may_lose_the_cache);
    RUN(test_latency_bites_and_heals);
    RUN(test_stall_bites_and_heals);
    RUN(test_corruption_bites_and_heals);
    RUN(test_decisions_are_written_and_replayed);
    RUN(test_one_image_one_platter);
    RUN(test_ends_and_starts_again);
    RUN(test_a_killed_driver_leaves_nothing);
    if (access("/usr/bin/qemu-io", X_OK) == 0)
        RUN(test_qemu_flush_is_honest);
    else
        SKIP(test_qemu_flush_is_honest, "no qemu-io");
    return tap_done();
}
