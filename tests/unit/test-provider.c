/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the providers that need no virtual machine. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/process.h"
#include "harness/provider/accelerator.h"
#include "harness/provider/cluster.h"
#include "harness/provider/domain-xml.h"
#include "harness/provider/guest-files.h"
#include "harness/provider/orphans.h"
#include "harness/provider/runtime-dir.h"
#include "harness/provider/supervise.h"
#include "tests/lib/tap.h"

static struct error err;
static char scratch[64];

static int64_t
in_seconds(int seconds)
{
    return clock_now_ns(clock_monotonic()) + seconds * NS_PER_S;
}

/* ---- processes ---- */

static int
run(struct process_result *r, const char *const argv[],
    const struct process_options *o, int seconds)
{
    process_result_release(r);
    process_result_init(r);
    return process_run(argv, o, in_seconds(seconds), r, &err);
}

#define SHELL(script)                                                          \
    (const char *const[])                                                      \
    {                                                                          \
        "sh", "-c", script, NULL                                               \
    }

static void
test_programs_run_and_are_told_apart(void)
{
    struct process_result r;
    struct process_options o = {
        .input = "hello", .input_len = 5, .output_max = 4096};

    process_result_init(&r);
    CHECK_OK(run(&r, SHELL("cat; echo oops >&2; exit 3"), &o, 10), &err);
    CHECK_INT(r.status, 3);
    CHECK_STR(buf_text(&r.out), "hello");
    CHECK_STR(buf_text(&r.err), "oops\n");
    CHECK_OK(run(&r, SHELL("kill -9 $$"), &o, 10), &err);
    CHECK_INT(r.signo, SIGKILL);
    o.output_max = 10;
    CHECK_OK(run(&r, SHELL("head -c 1000000 /dev/zero"), &o, 10), &err);
    CHECK_INT(r.out.len, 10);
    CHECK(r.out.truncated);
    o.directory = "/";
    CHECK_OK(run(&r, SHELL("pwd"), &o, 10), &err);
    CHECK_STR(buf_text(&r.out), "/\n");
    CHECK(run(&r, (const char *const[]){"no-such-program", NULL}, &o, 10) < 0);
    CHECK_INT(err.code, ENOENT);
    process_result_release(&r);
}

/* A zombie, which has no command line, does not run. */
static bool
runs(long pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%ld/cmdline", pid);
    struct error ignored;
    size_t len = 0;
    CLEANUP_FREE char *text = file_read(path, 4096, &len, &ignored);

    return text != NULL && len > 0;
}

/* The whole group ends, also what the program started. */
static void
test_programs_end_at_their_deadline(void)
{
    CLEANUP_FREE char *pid_file = xasprintf("%s/pid", scratch);
    CLEANUP_FREE char *script =
        xasprintf("sleep 60 & echo $! > %s; wait", pid_file);
    CLEANUP_FREE char *text = NULL;
    struct process_result r;
    struct process_options o = {.output_max = 10};
    int64_t start = clock_now_ns(clock_monotonic());

    process_result_init(&r);
    CHECK(run(&r, SHELL(script), &o, 1) < 0);
    CHECK_INT(err.kind, ERROR_TRANSIENT);
    CHECK(clock_now_ns(clock_monotonic()) - start < 5 * NS_PER_S);
    text = file_read(pid_file, 100, NULL, &err);
    CHECK(text != NULL);
    for (int64_t end = in_seconds(5); runs(strtol(text, NULL, 10));)
        CHECK(clock_now_ns(clock_monotonic()) < end);
    process_result_release(&r);
}

static void
test_start_ticks_name_a_process(void)
{
    uint64_t a = 0, b = 0;

    CHECK(process_start_ticks(getpid(), &a) && a > 0);
    CHECK(process_start_ticks(getpid(), &b) && a == b);
    CHECK(!process_start_ticks(-1, &a));
}

/* ---- runtime directories ---- */

static bool
listed(const char *dir)
{
    char dirs[RUNTIME_DIR_COUNT_MAX][RUNTIME_DIR_SIZE];
    size_t count = runtime_dir_list(dirs, RUNTIME_DIR_COUNT_MAX);

    for (size_t i = 0; i < count; i++)
        if (strcmp(dirs[i], dir) == 0)
            return true;
    return false;
}

static void
test_runtime_dir_is_private_and_short(void)
{
    char dir[RUNTIME_DIR_SIZE];
    struct stat st;
    int pid = 0;

    unsetenv("XDG_RUNTIME_DIR");
    CHECK_OK(runtime_dir_create("test", dir, &err), &err);
    CHECK(strncmp(dir, "/tmp/ordeal-", 12) == 0 && strlen(dir) < 40);
    CHECK(lstat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
    CHECK(listed(dir));
    CHECK(runtime_dir_owner(dir, &pid) && pid == getpid());
    CHECK_OK(runtime_dir_remove(dir, &err), &err);
    CHECK(!path_exists(dir) && !listed(dir));
}

static void
test_runtime_dir_prefers_xdg_when_it_can(void)
{
    char dir[RUNTIME_DIR_SIZE];
    CLEANUP_FREE char *link = xasprintf("%s/ordeal", scratch);
    CLEANUP_FREE char *expected = xasprintf("%s/ordeal/", scratch);

    setenv("XDG_RUNTIME_DIR", scratch, 1);
    CHECK_OK(runtime_dir_create("test", dir, &err), &err);
    CHECK(strncmp(dir, expected, strlen(expected)) == 0);
    CHECK_OK(runtime_dir_remove(dir, &err), &err);
    CHECK(!path_exists(link)); /* the empty base went too */

    CHECK(symlink("/tmp", link) == 0); /* laid by somebody */
    CHECK_OK(runtime_dir_create("test", dir, &err), &err);
    CHECK(strncmp(dir, "/tmp/ordeal-", 12) == 0);
    CHECK_OK(runtime_dir_remove(dir, &err), &err);
    CHECK(unlink(link) == 0);

    CHECK(mkdir(link, 0755) == 0); /* open to others */
    CHECK(runtime_dir_check(link, &err) < 0);
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    CHECK(rmdir(link) == 0);
    setenv("XDG_RUNTIME_DIR", "/a/very/long/path/that/leaves/no/room", 1);
    CHECK_OK(runtime_dir_create("test", dir, &err), &err);
    CHECK_OK(runtime_dir_remove(dir, &err), &err);
    unsetenv("XDG_RUNTIME_DIR");
}

static void
test_an_owner_that_died_is_known(void)
{
    CLEANUP_FREE char *owner = xasprintf("%s/owner", scratch);
    int pid;

    CHECK_OK(file_write_atomic(owner, "1 99 x\n", 7, 0600, &err), &err);
    CHECK(!runtime_dir_owner(scratch, &pid)); /* pid 1, another start */
    CHECK_OK(file_write_atomic(owner, "junk", 4, 0600, &err), &err);
    CHECK(!runtime_dir_owner(scratch, &pid));
    CHECK(unlink(owner) == 0);
    CHECK(!runtime_dir_owner(scratch, &pid));
}

/* ---- the cluster file ---- */

static struct cluster
example_cluster(void)
{
    struct cluster c = {.node_count = 2};

    snprintf(c.runtime_dir, sizeof(c.runtime_dir), "%s", scratch);
    snprintf(c.run_id, sizeof(c.run_id), "run-1");
    for (unsigned i = 0; i < 2; i++) {
        struct node *n = &c.nodes[i];

        n->index = i;
        snprintf(n->name, sizeof(n->name), "n%u", i + 1);
        snprintf(n->cluster_address, sizeof(n->cluster_address), "10.77.0.1%u",
                 i + 1);
        snprintf(n->cluster_interface, sizeof(n->cluster_interface), "cluster");
        snprintf(n->console_path, sizeof(n->console_path), "/c/%u", i);
        n->ssh = (struct endpoint){n->name, "127.0.0.1", 2200,
                                   "root",  "/k",        "ssh-ed25519 A=="};
        n->doors[0] = (struct door){7100, (uint16_t)(9000 + i)};
        n->door_count = 1;
    }
    return c;
}

static void
test_cluster_file_round_trip(void)
{
    struct cluster c = example_cluster();
    struct cluster_file f = {0};
    const struct node *n;
    struct stat st;
    CLEANUP_FREE char *path = xasprintf("%s/cluster.json", scratch);

    CHECK_OK(cluster_save(&c, "libvirt", "/tmp/x", &err), &err);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK_OK(cluster_load(scratch, &f, &err), &err);
    CHECK_STR(f.provider, "libvirt");
    CHECK_STR(f.root, "/tmp/x");
    CHECK_STR(f.cluster.run_id, "run-1");
    CHECK_INT(f.cluster.node_count, 2);
    n = cluster_node(&f.cluster, "n2");
    CHECK(n != NULL && n->index == 1);
    CHECK_STR(n->ssh.host_key, "ssh-ed25519 A==");
    CHECK_INT(n->doors[0].host_port, 9001);
    CHECK_STR(n->console_path, "/c/1");
    CHECK(cluster_node(&f.cluster, "n3") == NULL);
    cluster_release(&f.cluster);
    CHECK_OK(cluster_load(path, &f, &err), &err); /* by file, too */
    cluster_release(&f.cluster);
}

/* Damage of every kind is one clear line and leaks nothing. */
static void
test_damaged_cluster_files_are_refused(void)
{
    CLEANUP_FREE char *path = xasprintf("%s/cluster.json", scratch);
    struct cluster c = example_cluster();
    struct cluster_file f = {0};
    CLEANUP_FREE char *good = NULL;
    size_t len = 0;

    CHECK_OK(cluster_save(&c, "libvirt", "", &err), &err);
    good = file_read(path, 1 << 20, &len, &err);
    for (size_t cut = 0; cut + 1 < len; cut += 7) {
        CHECK_OK(file_write_atomic(path, good, cut, 0600, &err), &err);
        CHECK(cluster_load(path, &f, &err) < 0);
        CHECK_INT(err.kind, ERROR_CONFIG);
    }
    for (char *p = good; (p = strchr(p, ':')) != NULL; p++) {
        char saved = p[-2];

        p[-2] = '~'; /* another key */
        CHECK_OK(file_write_atomic(path, good, len, 0600, &err), &err);
        CHECK(cluster_load(path, &f, &err) < 0);
        p[-2] = saved;
    }
    CHECK(unlink(path) == 0);
    CHECK(cluster_load(scratch, &f, &err) < 0);
    CHECK(strstr(err.text, "no cluster") != NULL);
}

/* ---- what a guest is given ---- */

static void
test_config_archive_is_a_tar(void)
{
    CLEANUP_FREE char *path = xasprintf("%s/config.tar", scratch);
    struct process_result r;
    struct process_options o = {.output_max = 8192};
    struct stat st;

    process_result_init(&r);
    CHECK_OK(
        guest_write_config(path, 1, 3, 2, "HOST KEY\n", "ssh-ed25519 B", &err),
        &err);
    CHECK(stat(path, &st) == 0 && st.st_size % 512 == 0);
    CHECK_OK(run(&r, (const char *const[]){"tar", "-xOf", path, NULL}, &o, 10),
             &err);
    CHECK_INT(r.status, 0);
    CHECK_STR(buf_text(&r.out),
              "hostname n2\nmgmt 10.0.2.15/24\ncluster 10.77.0.12/24\n"
              "neighbour 10.77.0.11 52:54:00:63:6c:01\n"
              "neighbour 10.77.0.13 52:54:00:63:6c:03\n"
              "neighbour 10.77.0.101 52:54:00:63:68:01\n"
              "neighbour 10.77.0.102 52:54:00:63:68:02\n"
              "HOST KEY\nssh-ed25519 B\n");
    CHECK_OK(run(&r, (const char *const[]){"tar", "-tf", path, NULL}, &o, 10),
             &err);
    CHECK_STR(buf_text(&r.out),
              "network\nssh_host_ed25519_key\nauthorized_keys\n");
    process_result_release(&r);
}

static void
test_data_disk_is_sparse_and_new(void)
{
    CLEANUP_FREE char *path = xasprintf("%s/disk", scratch);
    struct stat st;

    CHECK_OK(guest_make_disk(path, 512, &err), &err);
    CHECK(stat(path, &st) == 0 && st.st_size == 512 << 20);
    CHECK(st.st_blocks < 1000);
    CHECK(guest_make_disk(path, 512, &err) < 0);
}

static void
test_domain_description_is_escaped(void)
{
    struct door forwards[] = {{22, 10022}, {7100, 17100}};
    struct domain_spec s = {.name = "ordeal-<&>'\"-n1",
                            .node = "n1",
                            .accelerator = ACCELERATOR_TCG,
                            .memory_mib = 256,
                            .vcpus = 2,
                            .image_dir = "/a&b",
                            .config_path = "/it's",
                            .data_path = "/d",
                            .console_path = "/c<d",
                            .switch_port = 1111,
                            .qemu_port = 2222,
                            .forwards = forwards,
                            .forward_count = 2};
    CLEANUP_FREE char *xml = domain_xml(&s);

    CHECK(strstr(xml, "<name>ordeal-&lt;&amp;&gt;&apos;&quot;-n1</name>"));
    CHECK(strstr(xml, "<kernel>/a&amp;b/vmlinuz</kernel>"));
    CHECK(strstr(xml, "<source file='/it&apos;s'/>"));
    CHECK(strstr(xml, "<source path='/c&lt;d' append='on'/>"));
    CHECK(strstr(xml, "hostfwd=tcp:127.0.0.1:10022-10.0.2.15:22,"
                      "hostfwd=tcp:127.0.0.1:17100-10.0.2.15:7100'/>"));
    CHECK(strstr(xml, "<domain type='qemu'"));
    CHECK(strstr(xml, "error_policy='report'"));
    CHECK(strstr(xml, "<source file='/d'/>"));
}

static void
test_a_platter_takes_the_place_of_the_file(void)
{
    struct domain_spec s = {.name = "ordeal-n1",
                            .node = "n1",
                            .image_dir = "/i",
                            .config_path = "/c",
                            .data_path = "/d",
                            .data_socket = "/it's.sock",
                            .console_path = "/o"};
    CLEANUP_FREE char *xml = domain_xml(&s);

    CHECK(strstr(xml, "<host transport='unix' socket='/it&apos;s.sock'/>"));
    CHECK(strstr(xml, "cache='none' error_policy='report' "
                      "rerror_policy='report' discard='unmap'"));
    CHECK(strstr(xml, "<serial>ordeal-data</serial>"));
    CHECK(strstr(xml, "<source file='/d'/>") == NULL);
}

static void
test_a_virtual_cpu_runs_or_the_reason_is_known(void)
{
    struct process_result r;
    struct process_options o = {.output_max = 100};
    const char *const argv[] = {QEMU_PROGRAM, "--version", NULL};
    char reason[256] = "";
    bool have_qemu;

    process_result_init(&r);
    have_qemu = run(&r, argv, &o, 10) == 0 && r.status == 0;
    process_result_release(&r);
    if (have_qemu)
        CHECK_OK(accelerator_try("tcg", NULL, 20 * NS_PER_S, &err), &err);
    CHECK(accelerator_try("no-such", NULL, 10 * NS_PER_S, &err) < 0);
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    provider_probe_accelerator(reason, sizeof(reason));
    CHECK(reason[0] != '\0');
}

/* ---- orphans ---- */

static void
test_processes_of_a_directory_are_found_and_ended(void)
{
    CLEANUP_FREE char *mine = xasprintf("%s/n1", scratch);
    CLEANUP_FREE char *other = xasprintf("%s/n10", scratch);
    pid_t pids[2];
    int status;

    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            setenv("ORDEAL_NODE_DIR", i == 0 ? mine : other, 1);
            execlp("sleep", "sleep", "60", (char *)NULL);
            _exit(127);
        }
    }
    for (int64_t end = in_seconds(5);
         orphans_count(ORPHANS_BY_ENVIRONMENT, scratch) < 2;)
        CHECK(clock_now_ns(clock_monotonic()) < end);
    CHECK_INT(orphans_count(ORPHANS_QEMU, scratch), 0);
    CHECK_INT(orphans_end(ORPHANS_BY_ENVIRONMENT, mine, in_seconds(5), &err),
              1);
    CHECK(waitpid(pids[0], &status, 0) == pids[0] && WIFSIGNALED(status));
    CHECK(waitpid(pids[1], &status, WNOHANG) == 0);
    CHECK_INT(orphans_end(ORPHANS_BY_ENVIRONMENT, scratch, in_seconds(5), &err),
              1);
    CHECK(waitpid(pids[1], &status, 0) == pids[1]);
}

/* ---- the supervisor ---- */

static volatile sig_atomic_t got_signal;

static void
on_signal(int signo)
{
    got_signal = signo;
}

static int
child_returns_seven(void *arg)
{
    return 7;
}

static int
child_dies(void *arg)
{
    raise(SIGKILL);
    return 0;
}

/* An orphan that ended must go, though we are not its parent any more. */
static int
child_leaves_an_orphan(void *arg)
{
    int fds[2];
    pid_t orphan = 0, middle;

    if (pipe(fds) < 0)
        return 1;
    middle = fork();
    if (middle == 0) {
        orphan = fork();
        if (orphan == 0)
            _exit(0);
        _exit(write(fds[1], &orphan, sizeof(orphan)) != sizeof(orphan));
    }
    waitpid(middle, NULL, 0);
    if (read(fds[0], &orphan, sizeof(orphan)) != sizeof(orphan))
        return 2;
    for (int64_t end = in_seconds(5); kill(orphan, 0) == 0;)
        if (clock_now_ns(clock_monotonic()) > end)
            return 3;
    return 0;
}

static int
child_waits_for_term(void *arg)
{
    sigset_t none;

    sigemptyset(&none);
    while (got_signal == 0)
        sigsuspend(&none);
    return got_signal == SIGTERM ? 42 : 1;
}

/* Runs supervise_main in a process of its own; its wait status. */
static int
supervised(int (*child)(void *), int signo)
{
    pid_t pid;
    int status;
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t term;

    fflush(stdout);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pid = fork();
    if (pid == 0) {
        sigaction(SIGTERM, &action, NULL);
        sigprocmask(SIG_BLOCK, &term, NULL);
        _exit(supervise_main(child, NULL));
    }
    if (signo != 0)
        kill(pid, signo);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
test_the_supervisor_reaps_and_passes_on(void)
{
    CHECK_INT(supervised(child_returns_seven, 0), 7);
    CHECK_INT(supervised(child_dies, 0), 128 + SIGKILL);
    CHECK_INT(supervised(child_leaves_an_orphan, 0), 0);
}

static void
test_the_supervisor_forwards_signals(void)
{
    sigset_t term, old;

    /* blocked from the start, so that none comes before its handler */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &old);
    CHECK_INT(supervised(child_waits_for_term, SIGTERM), 42);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* ---- the local provider ---- */

static const char *
node_shell(struct remote *r, const char *script)
{
    static char text[4096];
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    text[0] = '\0';
    if (remote_exec(r, SHELL(script), NULL, &result, &err) == 0)
        snprintf(text, sizeof(text), "%d%s:%s", result.status, result.signal,
                 buf_text(&result.out));
    return text;
}

static void
check_local_node(struct cluster *c, struct remote *r)
{
    CLEANUP_FREE char *file = xasprintf("%s/file", scratch);
    CLEANUP_FREE char *path = xasprintf("%s/data/copy", c->nodes[1].ssh.host);
    struct exec_options quick = {.timeout_ns = 300 * NS_PER_MS};
    struct exec_result result;
    const char *cat[] = {"cat", "/data/copy", NULL};
    const char *absent[] = {"no-such-program", NULL};

    exec_result_init(&result);
    CHECK_STR(node_shell(r, "echo hi; exit 3"), "3:hi\n");
    CHECK_STR(node_shell(r, "kill -9 $$"), "-1KILL:");
    CHECK_OK(file_write_atomic(file, "content", 7, 0600, &err), &err);
    CHECK_OK(remote_put(r, file, "/data/copy", 0640, &err), &err);
    CHECK(path_exists(path));
    CHECK_OK(remote_exec(r, cat, NULL, &result, &err), &err);
    CHECK_STR(buf_text(&result.out), "content");
    CHECK(remote_get(r, "/data/copy", file, 3, &err) < 0);
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK_OK(remote_get(r, "/data/copy", file, 7, &err), &err);
    CHECK_OK(remote_exec(r, absent, NULL, &result, &err), &err);
    CHECK_INT(result.status, 127);
    CHECK(remote_exec(r, SHELL("sleep 20"), &quick, &result, &err) < 0);
    CHECK_INT(err.kind, ERROR_TRANSIENT);
    exec_result_release(&result);
}

static void
test_local_nodes(void)
{
    static const uint16_t doors[] = {7100, 7101};
    struct cluster_spec spec = {.node_count = 3,
                                .run_id = "local-test",
                                .door_ports = doors,
                                .door_count = 2};
    char dir[RUNTIME_DIR_SIZE];
    struct provider p;
    struct cluster c;
    struct remote r;

    CHECK_OK(runtime_dir_create("local-test", dir, &err), &err);
    spec.runtime_dir = dir;
    CHECK_OK(provider_open(&p, provider_find("local"), clock_monotonic(), NULL,
                           &err),
             &err);
    CHECK_OK(provider_create(&p, &spec, &c, &err), &err);
    CHECK(c.nodes[0].doors[0].host_port != c.nodes[1].doors[0].host_port);
    remote_init(&r, p.ops->remote, &c.nodes[1].ssh, clock_monotonic());
    check_local_node(&c, &r);
    CHECK_STR(node_shell(&r, "setsid sleep 60 >/dev/null 2>&1 &"), "0:");
    CHECK_INT(orphans_count(ORPHANS_BY_ENVIRONMENT, c.nodes[1].ssh.host), 1);
    CHECK_OK(provider_power_off(&p, 0, &err), &err);
    CHECK_INT(orphans_count(ORPHANS_BY_ENVIRONMENT, dir), 1);
    CHECK_OK(provider_power_off(&p, 1, &err), &err);
    CHECK_INT(orphans_count(ORPHANS_BY_ENVIRONMENT, dir), 0);
    CHECK_STR(node_shell(&r, "setsid sleep 60 >/dev/null 2>&1 &"), "0:");
    remote_close(&r);
    CHECK_OK(provider_recover(dir, &err), &err);
    CHECK_INT(orphans_count(ORPHANS_BY_ENVIRONMENT, dir), 0);
    CHECK(!path_exists(dir));
    CHECK_OK(provider_destroy(&p, &err), &err);
    provider_close(&p);
}

static void
test_unusable_uris_are_refused(void)
{
    static const char *const uris[] = {"qemu+ssh://elsewhere/system",
                                       "xen:///system", "nonsense"};
    struct provider p;

    for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
        CHECK(provider_open(&p, provider_find("libvirt"), clock_monotonic(),
                            uris[i], &err) < 0);
        CHECK_INT(err.kind, ERROR_CONFIG);
        CHECK(strstr(err.text, uris[i]) != NULL);
    }
    CHECK(provider_find("no-such") == NULL);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN);
    snprintf(scratch, sizeof(scratch), "/tmp/ordeal-t-XXXXXX");
    if (mkdtemp(scratch) == NULL)
        return 99;
    RUN(test_programs_run_and_are_told_apart);
    RUN(test_programs_end_at_their_deadline);
    RUN(test_start_ticks_name_a_process);
    RUN(test_runtime_dir_is_private_and_short);
    RUN(test_runtime_dir_prefers_xdg_when_it_can);
    RUN(test_an_owner_that_died_is_known);
    RUN(test_cluster_file_round_trip);
    RUN(test_damaged_cluster_files_are_refused);
    RUN(test_config_archive_is_a_tar);
    RUN(test_data_disk_is_sparse_and_new);
    RUN(test_domain_description_is_escaped);
    RUN(test_a_platter_takes_the_place_of_the_file);
    RUN(test_a_virtual_cpu_runs_or_the_reason_is_known);
    RUN(test_processes_of_a_directory_are_found_and_ended);
    RUN(test_the_supervisor_reaps_and_passes_on);
    RUN(test_the_supervisor_forwards_signals);
    RUN(test_local_nodes);
    RUN(test_unusable_uris_are_refused);
    dir_remove(scratch, &err);
    return tap_done();
}
