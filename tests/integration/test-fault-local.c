/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of faults on real replicas as local processes: those that need no
 * machine of its own.  A row each with its proof: effect and heal observed,
 * healed twice, and the driver killed after each of its steps and recovered.
 * All others must have a row in tests/e2e/fault-matrix.sh.
 */
#include "config.h"

#include <stddef.h>

#include "nemesis/guest.h"
#include "nemesis/nemesis.h"
#include "tests/lib/local-cluster.h"
#include "tests/lib/tap.h"

#define WINDOW_NS (30 * NS_PER_S)

static const char *const local_rows[] = {"null", "kill", "stop", "pause"};
static const char *const steps[] = {"journalled", "injected", "proved",
                                    "proved_before_heal", "healed"};

static struct local_cluster local;
static struct remote remotes[NODE_COUNT_MAX];
static struct fault_world world;
static char dir[64];
static char binary[4096];

/* ---- the system: processes of this host, named by files ---- */

static char *
pid_path(unsigned node)
{
    return xasprintf("%s/n%u.pid", dir, node + 1);
}

static pid_t
pid_of(unsigned node)
{
    CLEANUP_FREE char *path = pid_path(node);
    struct error err = {0};
    CLEANUP_FREE char *text = file_read(path, 64, NULL, &err);

    return text == NULL ? 0 : (pid_t)strtol(text, NULL, 10);
}

/* Another driver may have to find it. */
static int
pid_write(unsigned node, struct error *err)
{
    CLEANUP_FREE char *path = pid_path(node);
    CLEANUP_FREE char *text = xasprintf("%d\n", (int)local.pids[node]);

    return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int
local_process(const struct system_node *n, struct process_id *ret,
              struct error *err)
{
    struct guest_process look = {0};
    pid_t pid = pid_of(n->index);

    *ret = (struct process_id){0};
    if (pid <= 0)
        return 0;
    if (guest_process_look(n->remote, pid, &look, err) < 0)
        return -1;
    if (!look.exists || look.state == 'Z')
        return 0;
    ret->pid = pid;
    ret->start_ticks = look.start_ticks;
    ret->stopped = look.state == 'T';
    memcpy(ret->boot_id, look.boot_id, sizeof(ret->boot_id));
    return 0;
}

struct local_try {
    unsigned node;
    struct error err;
    bool failed;
};

/*
 * A killed process holds the lock of its directory until its last thread is
 * gone, a moment after /proc calls it a zombie: then the next one refuses to
 * start, and is started again.
 */
static bool
local_started(void *ctx)
{
    struct local_try *t = ctx;
    int status;

    if (local.pids[t->node] > 0 && !local_ended(&local, t->node, &status)) {
        struct system_status s = {0};
        struct error ignored = {0};

        return system_replica_ops.status(&local.cluster, t->node, NS_PER_S, &s,
                                         &ignored) == 0 &&
               s.role != ROLE_UNKNOWN;
    }
    t->failed = local_start_node(&local, t->node, &t->err) < 0;
    return t->failed;
}

static int
local_start(const struct system_node *n, struct error *err)
{
    struct local_try t = {.node = n->index};
    struct clock *clock = clock_monotonic();

    local.pids[n->index] = 0; /* what ran there is dead */
    if (!clock_poll(clock, clock_now_ns(clock) + LOCAL_READY_NS, 50 * NS_PER_MS,
                    local_started, &t))
        return error_set(err, ERROR_ENVIRONMENT, "it does not start");
    if (t.failed) {
        *err = t.err;
        return -1;
    }
    return pid_write(n->index, err);
}

static int
local_signal(const struct system_node *n, int signo, struct error *err)
{
    if (kill(pid_of(n->index), signo) == 0)
        return 0;
    return error_errno(err, ERROR_ENVIRONMENT, errno, "kill");
}

struct local_end {
    const struct system_node *node;
    struct error err;
};

static bool
local_ended_look(void *ctx)
{
    struct local_end *end = ctx;
    struct process_id id = {0};

    return local_process(end->node, &id, &end->err) == 0 && id.pid == 0;
}

static int
local_stop(const struct system_node *n, int64_t timeout_ns, struct error *err)
{
    struct clock *clock = clock_monotonic();
    struct local_end end = {.node = n};

    if (local_signal(n, SIGTERM, err) < 0)
        return -1;
    if (clock_poll(clock, clock_now_ns(clock) + timeout_ns, 10 * NS_PER_MS,
                   local_ended_look, &end))
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "it does not end");
}

static struct system_ops system_ops;

static void
setup(void)
{
    struct error err = {0};
    int status;

    snprintf(binary, sizeof(binary), "%s/ordeal-replica",
             getenv("ORDEAL_BUILDDIR"));
    snprintf(dir, sizeof(dir), "/tmp/ordeal-fault-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    system_ops = system_replica_ops;
    system_ops.start = local_start;
    system_ops.stop = local_stop;
    system_ops.signal = local_signal;
    system_ops.process = local_process;
    /* The cluster borrows both strings. */
    CHECK_OK(local_cluster_start(&local, binary, NULL, NULL, dir, 3, &err),
             &err);
    CHECK(local_primary(&local) >= 0);
    for (unsigned i = 0; i < 3; i++) {
        local.cluster.nodes[i].ssh.node = local.cluster.nodes[i].name;
        local.cluster.nodes[i].ssh.host = dir;
        remote_init(&remotes[i], &remote_local_ops, &local.cluster.nodes[i].ssh,
                    clock_monotonic());
        CHECK_OK(pid_write(i, &err), &err);
        CHECK(!local_ended(&local, i, &status));
    }
    snprintf(local.cluster.run_id, sizeof(local.cluster.run_id), "local");
    world = (struct fault_world){.cluster = &local.cluster,
                                 .system = &system_ops,
                                 .remotes = remotes,
                                 .clock = clock_monotonic()};
}

static void
teardown(void)
{
    struct error err = {0};

    local_cluster_stop(&local);
    for (unsigned i = 0; i < 3; i++)
        remote_close(&remotes[i]);
    CHECK_OK(dir_remove(dir, &err), &err);
}

/* Each daemon runs, and none is stopped. */
static void
check_clean(void)
{
    for (unsigned i = 0; i < 3; i++) {
        struct system_node n = {&local.cluster, i, &remotes[i]};
        struct process_id id = {0};
        struct error err = {0};

        CHECK_OK(local_process(&n, &id, &err), &err);
        CHECK(id.pid > 0 && !id.stopped);
    }
}

/* ---- a row ---- */

static void
check_proof(struct fault *f, enum fault_phase phase, const char *what)
{
    enum proof proof = fault_prove(f, phase);
    CLEANUP_FREE char *seen = json_dumps(f->evidence, JSON_COMPACT);

    printf("# %-6s %-7s %s %.300s\n", f->ops->name, what, proof_name(proof),
           seen);
    CHECK(proof == PROOF_CONFIRMED);
}

static void
observe(const struct fault_ops *ops)
{
    struct error err = {0};
    struct fault f;

    fault_init(&f, ops, &world, NULL);
    f.targets = 1;
    CHECK_OK(fault_setup(&f, &err), &err);
    json_decref(fault_undo_record(&f));
    fault_journalled(&f);
    CHECK_OK(fault_inject(&f, &err), &err);
    check_proof(&f, FAULT_EFFECT, "effect");
    for (int i = 0; i < 2; i++) {
        CHECK_OK(fault_heal(&f, &err), &err);
        check_proof(&f, FAULT_HEALED, i == 0 ? "heal" : "again");
    }
    fault_release(&f);
    check_clean();
}

/* ---- the driver dies ---- */

static const char *die_after;

static void
stepped(void *ctx, const char *stage)
{
    if (strcmp(stage, die_after) == 0)
        raise(SIGKILL);
}

static void
drive(const char *journal_path, const struct fault_ops *ops)
{
    CLEANUP_FREE char *text = xasprintf(
        "{\"budget\":{\"nodes_down\":3},\"faults\":[{\"fault\":\"%s\","
        "\"target\":\"n2\",\"at\":\"50ms\",\"duration\":\"300ms\"}]}",
        ops->name);
    json_t *schedule = json_loads(text, 0, NULL);
    struct nemesis_options options = {.world = &world, .stepped = stepped};
    struct error err = {0};
    struct plan plan;

    if (plan_build(schedule, 1, WINDOW_NS, 3, &plan, &err) < 0)
        _exit(2);
    options.plan = &plan;
    options.journal = journal_open(journal_path, &err);
    if (options.journal == NULL)
        _exit(3);
    nemesis_run(nemesis_new(&options));
    _exit(0);
}

static void
die_and_recover(const struct fault_ops *ops, const char *step)
{
    CLEANUP_FREE char *journal = xasprintf("%s/undo.journal", dir);
    struct nemesis_recovery r;
    struct error err = {0};
    int status = 0;
    pid_t child;

    die_after = step;
    fflush(stdout);
    child = fork();
    if (child == 0)
        drive(journal, ops);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* The daemons of these tests die with who started them. */
    if (strcmp(step, "healed") == 0 && strcmp(ops->name, "null") != 0 &&
        strcmp(ops->name, "pause") != 0) {
        struct system_node n = {&local.cluster, 1, &remotes[1]};
        struct local_end end = {.node = &n};

        CHECK(clock_poll(world.clock, clock_now_ns(world.clock) + 10 * NS_PER_S,
                         10 * NS_PER_MS, local_ended_look, &end));
    }
    if (nemesis_recover(journal, &world, &r, &err) < 0)
        printf("# after '%s': %s\n", step, err.text);
    CHECK_INT(r.pending, 1);
    CHECK_INT(r.proven, 1);
    nemesis_recovery_release(&r);
    check_clean();
    CHECK(unlink(journal) == 0);
}

static void
test_rows_of_local_processes(void)
{
    setup();
    for (size_t i = 0; i < ARRAY_LEN(local_rows); i++) {
        const struct fault_ops *ops = fault_find(local_rows[i]);
        struct error err = {0};

        CHECK(ops != NULL && fault_available(ops, &world));
        CHECK_OK(local_wait_ready(&local, &err), &err);
        observe(ops);
        for (size_t s = 0; s < ARRAY_LEN(steps); s++)
            die_and_recover(ops, steps[s]);
        printf("# %-6s killed after %zu steps, recovered\n", ops->name,
               ARRAY_LEN(steps));
    }
    teardown();
}

static void
test_every_other_fault_has_a_row_on_machines(void)
{
    CLEANUP_FREE char *path =
        xasprintf("%s/tests/e2e/fault-matrix.sh", getenv("ORDEAL_SRCDIR"));
    struct error err = {0};
    CLEANUP_FREE char *script = file_read(path, 1 << 20, NULL, &err);
    const struct fault_ops *const *all = fault_all();

    CHECK(script != NULL);
    for (size_t i = 0; all[i] != NULL; i++) {
        CLEANUP_FREE char *word = xasprintf(" %s ", all[i]->name);
        CLEANUP_FREE char *last = xasprintf(" %s)", all[i]->name);

        if (strstr(script, word) == NULL && strstr(script, last) == NULL)
            printf("# no row for %s in fault-matrix.sh\n", all[i]->name);
        CHECK(strstr(script, word) != NULL || strstr(script, last) != NULL);
    }
}

int
main(void)
{
    RUN(test_every_other_fault_has_a_row_on_machines);
    RUN(test_rows_of_local_processes);
    return tap_done();
}
