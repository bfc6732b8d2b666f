/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults of data disks through their whole contract, on a real nbdkit with
 * the platter.  The guest is pretended: what its probes would do to the disk is
 * done over NBD by a child of this process, which may have to wait for ever.
 */
#include "config.h"

#include <signal.h>
#include <sys/wait.h>

#include "harness/provider/machine.h"
#include "nemesis/registry.h"
#include "tests/lib/fake-remote.h"
#include "tests/lib/platter-fixture.h"

/* Where the pretended file lies, and how long it is, in blocks of 1 KiB; not at
 * a multiple of 4 KiB. */
#define FILE_BLOCK 401u
#define FILE_BLOCKS 16u
#define PIECE 1024u

struct fixture {
    struct platter_fixture disk;
    struct fake *fake;
    struct provider provider;
    struct fault fault;
    json_t *params;
    pid_t stuck[16];
    unsigned stuck_count;
    struct error err;
};

static struct fixture f;

/* ---- the pretended guest ---- */

/* One request, and a flush after a write, by a connection of its own. */
static int
guest_request(bool write, uint64_t offset, void *data, size_t length)
{
    struct nbd_handle *h = client_open(&f.disk);
    int rc = -1;

    if (h == NULL)
        return -1;
    if (write)
        rc = nbd_pwrite(h, data, length, offset, 0) < 0 || nbd_flush(h, 0) < 0
                 ? -1
                 : 0;
    else
        rc = nbd_pread(h, data, length, offset, 0);
    nbd_close(h);
    return rc;
}

/* As the script of a probe answers: in a child, which is left if it waits. */
static void
guest_probe(const char *const args[], struct exec_result *ret)
{
    int64_t start = clock_now_ns(clock_monotonic());
    int64_t limit_ns = strtoll(args[1], NULL, 10) * 100 * NS_PER_MS;
    pid_t pid = fork(), ended = 0;
    int status = 0;

    if (pid == 0) {
        unsigned char block[BLOCK] = {1};
        bool write = strcmp(args[0], "write") == 0;

        /* A write goes to a file of its own, wherever that lies. */
        _exit(guest_request(write,
                            write ? 0 : strtoull(args[2], NULL, 10) * BLOCK,
                            block, sizeof(block)) < 0);
    }
    while (ended == 0 && clock_now_ns(clock_monotonic()) < start + limit_ns) {
        ended = waitpid(pid, &status, WNOHANG);
        clock_sleep_ns(clock_monotonic(), NS_PER_MS);
    }
    if (ended == 0 && f.stuck_count < ARRAY_LEN(f.stuck))
        f.stuck[f.stuck_count++] = pid;
    if (ended != 0)
        buf_printf(&ret->out, "%d ", WEXITSTATUS(status));
    else
        buf_puts(&ret->out, "- ");
    buf_printf(&ret->out, "%lld%s\n",
               (long long)((clock_now_ns(clock_monotonic()) - start) /
                           (10 * NS_PER_MS)),
               ended != 0 && status != 0 ? " dd: Input/output error" : "");
}

static int
guest_write_file(void)
{
    static unsigned char fill = 1;

    for (unsigned i = 0; i < FILE_BLOCKS; i++) {
        unsigned char block[PIECE];

        memset(block, fill++, sizeof(block));
        block[i] = 0xee;
        if (guest_request(true, (FILE_BLOCK + i) * (uint64_t)PIECE, block,
                          sizeof(block)) < 0)
            return 1;
    }
    return 0;
}

static int
guest_read_block(uint64_t block, struct exec_result *ret)
{
    unsigned char data[PIECE];

    if (guest_request(false, block * PIECE, data, sizeof(data)) < 0)
        return 1;
    buf_append(&ret->out, (char *)data, sizeof(data));
    return 0;
}

static int (*fake_exec_real)(struct remote *r, const char *const argv[],
                             const struct exec_options *options,
                             struct exec_result *ret, struct error *err);

static int
guest_run(struct remote *r, const char *const argv[],
          const struct exec_options *options, struct exec_result *ret,
          struct error *err)
{
    const char *name = "";

    for (int i = 0; i < 5 && argv[i] != NULL; i++)
        name = argv[i];
    ret->status = 0;
    if (strcmp(name, "ordeal-disk-probe") == 0) {
        guest_probe(argv + 5, ret);
    } else if (strcmp(name, "ordeal-file") == 0) {
        ret->status = guest_write_file();
        buf_puts(&ret->out, "16384 /data/file\n");
    } else if (strcmp(name, "ordeal-rewrite") == 0) {
        ret->status = guest_write_file();
    } else if (strcmp(name, "ordeal-read") == 0) {
        ret->status =
            guest_read_block(FILE_BLOCK + strtoull(argv[6], NULL, 10), ret);
    } else if (strcmp(name, "ordeal-device") == 0) {
        ret->status = guest_read_block(strtoull(argv[5], NULL, 10), ret);
    } else if (strcmp(name, "ordeal-forget") != 0) {
        return fake_exec_real(r, argv, options, ret, err);
    }
    return 0;
}

/* ---- the pretended machine around a real disk ---- */

static int
machine_reset_none(struct provider *p, unsigned node, struct error *err)
{
    (void)p;
    (void)node;
    return error_set(err, ERROR_ENVIRONMENT, "no machine");
}

static const struct platter *
machine_real_platter(struct provider *p, unsigned node)
{
    (void)p;
    (void)node;
    return &f.disk.platter;
}

static const char *
machine_real_disk(struct provider *p, unsigned node)
{
    (void)p;
    (void)node;
    return f.disk.image;
}

static const struct machine_ops machine_ops = {
    .reset = machine_reset_none,
    .platter = machine_real_platter,
    .disk = machine_real_disk,
};
static const struct provider_ops provider_ops = {.name = "pretended",
                                                 .machine = &machine_ops};

static void
setup(const char *name, const char *params)
{
    static struct remote_ops ops;

    memset(&f, 0, sizeof(f));
    fixture_setup(&f.disk);
    f.fake = fake_new(3);
    ops = *f.fake->remotes[0].ops;
    if (ops.exec != guest_run)
        fake_exec_real = ops.exec;
    ops.exec = guest_run;
    for (unsigned i = 0; i < 3; i++)
        f.fake->remotes[i].ops = &ops;
    f.provider =
        (struct provider){.ops = &provider_ops, .clock = clock_monotonic()};
    f.fake->world.provider = &f.provider;
    f.fake->world.clock = clock_monotonic();
    snprintf(f.fake->cluster.runtime_dir, sizeof(f.fake->cluster.runtime_dir),
             "%s", f.disk.dir);
    f.params = json_loads(params, 0, NULL);
    CHECK(f.params != NULL);
    CHECK(fault_available(fault_find(name), &f.fake->world));
    fault_init(&f.fault, fault_find(name), &f.fake->world, f.params);
    f.fault.targets = 1;
    f.fault.seed = 7;
    CHECK_OK(fault_setup(&f.fault, &f.err), &f.err);
    fault_journalled(&f.fault);
}

static void
teardown(void)
{
    for (unsigned i = 0; i < f.stuck_count; i++) {
        kill(f.stuck[i], SIGKILL);
        waitpid(f.stuck[i], NULL, 0);
    }
    fault_release(&f.fault);
    json_decref(f.params);
    fake_free(f.fake);
    fixture_teardown(&f.disk);
}

static void
check_proof(enum fault_phase phase, enum proof expected)
{
    enum proof proof = fault_prove(&f.fault, phase);
    char *evidence = json_dumps(f.fault.evidence, JSON_COMPACT);

    printf("# %-16s %s: %s %.700s\n", f.fault.ops->name,
           phase == FAULT_EFFECT ? "effect" : "healed", proof_name(proof),
           evidence);
    free(evidence);
    CHECK_STR(proof_name(proof), proof_name(expected));
}

/* ---- tests ---- */

static const char *const matrix[][2] = {
    {"disk-error", "{\"kind\":\"write\"}"},
    {"disk-error", "{\"kind\":\"flush\"}"},
    {"disk-error", "{\"kind\":\"read\"}"},
    {"disk-error", "{\"kind\":\"write\",\"nth\":2,\"count\":1}"},
    {"disk-error", "{\"kind\":\"read\",\"offset\":409600,\"length\":4096}"},
    {"disk-error", "{\"rate\":0.5}"},
    {"disk-full", "{}"},
    {"disk-slow", "{\"delay\":\"60ms\",\"jitter\":\"10ms\"}"},
    {"disk-slow", "{\"kind\":\"read\",\"delay\":\"60ms\"}"},
    {"disk-stall", "{}"},
    {"disk-stall", "{\"kind\":\"flush\"}"},
    {"disk-lying-flush", "{}"},
    {"disk-corrupt", "{}"},
    {"disk-corrupt", "{\"path\":\"/data/*\",\"block\":\"last\"}"},
    {"disk-stale", "{}"},
};

static void
matrix_row(const char *name, const char *params)
{
    setup(name, params);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(FAULT_EFFECT, PROOF_CONFIRMED);
    check_proof(FAULT_EFFECT, PROOF_CONFIRMED);
    check_proof(FAULT_HEALED, PROOF_MISMATCH);
    for (int again = 0; again < 2; again++) {
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
        check_proof(FAULT_HEALED, PROOF_CONFIRMED);
    }
    check_proof(FAULT_EFFECT, PROOF_MISMATCH);
    teardown();
}

static void
test_matrix_of_the_disks_faults(void)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; i < ARRAY_LEN(matrix); i++)
        matrix_row(matrix[i][0], matrix[i][1]);
    for (size_t i = 0; all[i] != NULL; i++) {
        size_t row = 0;

        while (row < ARRAY_LEN(matrix) &&
               strcmp(matrix[row][0], all[i]->name) != 0)
            row++;
        CHECK(row < ARRAY_LEN(matrix) ||
              strncmp(all[i]->name, "disk-", 5) != 0 ||
              strcmp(all[i]->name, "disk-fill") == 0); /* from inside */
    }
}

/* The driver is gone, its nbdkit is not yet: the record alone ends the harm. */
static void
test_undo_reaches_the_disk_by_its_directory(void)
{
    static const char *const harms[][2] = {{"disk-stall", "{}"},
                                           {"disk-lying-flush", "{}"},
                                           {"disk-corrupt", "{}"}};

    for (size_t i = 0; i < ARRAY_LEN(harms); i++) {
        CLEANUP_FREE char *control = NULL, *wanted = NULL;
        json_t *record =
            json_pack("{s:s, s:[s]}", "fault", harms[i][0], "nodes", "n1");

        setup(harms[i][0], harms[i][1]);
        CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
        control = xasprintf("%s/disk.ctl", f.disk.dir);
        wanted = xasprintf("%s/n1-data.ctl", f.disk.dir);
        CHECK_INT(symlink(control, wanted), 0);
        f.fake->world.provider = NULL;
        CHECK_OK(fault_undo(&f.fake->world, record, &f.err), &f.err);
        CHECK_OK(fault_undo(&f.fake->world, record, &f.err), &f.err);
        f.fake->world.provider = &f.provider;
        check_proof(FAULT_HEALED, PROOF_CONFIRMED);
        json_decref(record);
        teardown();
    }
}

/* A driver of its own: harms, has a client wait, says where, and stands still.
 */
static void
doomed_driver(int out)
{
    setup("disk-stall", "{}");
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK(write(out, f.disk.dir, sizeof(f.disk.dir)) ==
          (ssize_t)sizeof(f.disk.dir));
    for (;;)
        pause();
}

/*
 * Killed while a request waits: nbdkit lives on for its client, or is gone in a
 * moment; the undo works either way, and recovery ends what is left.
 */
static void
test_a_killed_driver_leaves_no_disk_and_no_waiter(void)
{
    json_t *record =
        json_pack("{s:s, s:[s]}", "fault", "disk-stall", "nodes", "n1");
    CLEANUP_FREE char *control = NULL, *wanted = NULL;
    struct fake *fake = fake_new(3);
    struct error err = {0};
    char dir[sizeof(f.disk.dir)] = "";
    int fds[2];
    pid_t pid;

    CHECK(pipe(fds) == 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        doomed_driver(fds[1]);
        _exit(1);
    }
    close(fds[1]);
    CHECK(read(fds[0], dir, sizeof(dir)) == (ssize_t)sizeof(dir));
    close(fds[0]);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    control = xasprintf("%s/disk.ctl", dir);
    wanted = xasprintf("%s/n1-data.ctl", dir);
    CHECK_INT(symlink(control, wanted), 0);
    snprintf(fake->cluster.runtime_dir, sizeof(fake->cluster.runtime_dir), "%s",
             dir);
    fake->world.clock = clock_monotonic();
    CHECK_OK(fault_undo(&fake->world, record, &err), &err);
    CHECK(platter_recover(dir, soon(), &err) >= 0);
    CHECK_INT(orphans_count(ORPHANS_NBDKIT, dir), 0);
    CHECK_OK(fault_undo(&fake->world, record, &err), &err); /* nothing there */
    CHECK_OK(dir_remove(dir, &err), &err);
    json_decref(record);
    fake_free(fake);
}

/* Nothing was written where the rule is: no harm, and none is claimed. */
static void
test_a_rule_that_hits_nothing_is_a_mismatch(void)
{
    setup("disk-error", "{\"kind\":\"write\",\"offset\":33554432,"
                        "\"length\":4096}");
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    teardown();
}

static void
test_a_stale_block_that_nobody_wrote_is_inconclusive(void)
{
    setup("disk-stale", "{\"path\":\"/data/*\",\"block\":\"first\"}");
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(FAULT_EFFECT, PROOF_INCONCLUSIVE);
    CHECK_INT(guest_write_file(), 0);
    check_proof(FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(FAULT_HEALED, PROOF_CONFIRMED);
    teardown();
}

/* What was corrupt and is written anew is corrupt no more. */
static void
test_a_bit_that_was_overwritten_is_a_mismatch(void)
{
    setup("disk-corrupt", "{}");
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK_INT(guest_write_file(), 0);
    check_proof(FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(FAULT_HEALED, PROOF_CONFIRMED);
    teardown();
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
    RUN(test_matrix_of_the_disks_faults);
    RUN(test_undo_reaches_the_disk_by_its_directory);
    RUN(test_a_killed_driver_leaves_no_disk_and_no_waiter);
    RUN(test_a_rule_that_hits_nothing_is_a_mismatch);
    RUN(test_a_stale_block_that_nobody_wrote_is_inconclusive);
    RUN(test_a_bit_that_was_overwritten_is_a_mismatch);
    return tap_done();
}
