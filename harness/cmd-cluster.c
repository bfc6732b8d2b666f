/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster by hand.  'up' leaves a process behind that holds it (the machines'
 * network is in it); 'down' tells that process to end.  The others reach the
 * nodes by what cluster.json says.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/base/rng.h"
#include "harness/commands.h"
#include "harness/deploy.h"
#include "harness/expectation.h"
#include "harness/hand.h"
#include "harness/paths.h"
#include "harness/provider/cluster.h"
#include "harness/provider/runtime-dir.h"
#include "harness/provider/supervise.h"
#include "harness/run.h"
#include "harness/site.h"
#include "vm-images/image.h"

#define UP_READY_TIMEOUT_NS (60 * NS_PER_S)
#define DOWN_TIMEOUT_NS (60 * NS_PER_S)
#define CLUSTER_POLL_NS (100 * NS_PER_MS)
#define CLUSTER_OPEN_TIMEOUT_NS (10 * NS_PER_S)
#define UP_RUN_ID_PREFIX "up-"

struct up_options {
    const struct command *self;
    uint64_t node_count;
    const char *bug, *system, *uri;
    int report_fd; /* the line for the waiting parent */
};

/* ---- which cluster ---- */

/* Whether the directory was made by 'up' (and not by a run). */
static bool
cluster_is_up(const char *dir)
{
    struct cluster_file file = {0};
    struct error err = {0};
    bool up = cluster_load(dir, &file, &err) == 0 &&
              strncmp(file.cluster.run_id, UP_RUN_ID_PREFIX,
                      strlen(UP_RUN_ID_PREFIX)) == 0;

    cluster_release(&file.cluster);
    return up;
}

bool
command_find_up(char ret[static RUNTIME_DIR_SIZE])
{
    char(*dirs)[RUNTIME_DIR_SIZE] =
        xcalloc(RUNTIME_DIR_COUNT_MAX, RUNTIME_DIR_SIZE);
    size_t count = runtime_dir_list(dirs, RUNTIME_DIR_COUNT_MAX);
    bool found = false;

    for (size_t i = 0; i < count && !found; i++) {
        found = cluster_is_up(dirs[i]);
        if (found)
            memcpy(ret, dirs[i], RUNTIME_DIR_SIZE);
    }
    free(dirs);
    return found;
}

/* Options and operands that the commands on a cluster share. */
struct cluster_command {
    const char *dir; /* --cluster */
    bool json;
    int count;
    struct cluster_file file;
};

static int
cluster_open(struct cluster_command *c, struct error *err)
{
    char dir[RUNTIME_DIR_SIZE];

    if (c->dir != NULL)
        return cluster_load(c->dir, &c->file, err);
    if (!command_find_up(dir))
        return error_set(err, ERROR_CONFIG,
                         "no cluster is up; 'ordeal up' makes one");
    return cluster_load(dir, &c->file, err);
}

/* Parses and opens; -1: go on, else the exit status. */
static int
cluster_begin(const struct command *self, struct cluster_command *c, bool stop,
              int argc, char **argv)
{
    const struct option_spec specs[] = {
        {"cluster", 0, OPTION_STRING, &c->dir, "DIR",
         "another one than that of 'up': a runtime directory"},
        {"format", 0, OPTION_FORMAT, &c->json, "text|json", "how to print"},
    };
    struct error err = {0};
    int exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), stop, argc, argv,
                      &c->count, &exit_status) != OPTIONS_OK)
        return exit_status;
    return cluster_open(c, &err) < 0 ? command_failed(self, &err) : -1;
}

/* argv[0] names a node of the cluster; NULL and a message otherwise. */
static const struct node *
cluster_operand(const struct command *self, const struct cluster_command *c,
                char **argv)
{
    const struct node *node =
        c->count == 0 ? NULL : cluster_node(&c->file.cluster, argv[0]);

    if (node == NULL)
        usage_error(self, "%s%s%s", c->count == 0 ? "which node?" : "no node '",
                    c->count == 0 ? "" : argv[0], c->count == 0 ? "" : "'");
    return node;
}

/* ---- up ---- */

static volatile sig_atomic_t up_stopped;

static void
up_signal(int signo)
{
    (void)signo;
    up_stopped = 1;
}

static bool
up_given_up(void)
{
    return up_stopped != 0;
}

static int
up_make(struct site *site, const struct up_options *o, struct error *err)
{
    CLEANUP_FREE char *id = xasprintf(UP_RUN_ID_PREFIX "%06x",
                                      (unsigned)(rng_fresh_seed() & 0xffffff));
    CLEANUP_FREE char *image = NULL;
    CLEANUP_FREE char *binary = paths_program("ordeal-replica");
    struct site_options site_options = {
        .provider = provider_find("libvirt"),
        .system = system_find(o->system),
        .uri = o->uri,
        .run_id = id,
        .node_count = (unsigned)o->node_count,
        .memory_mib = 192,
        .vcpus = 1,
        .data_disk_mib = 256,
        .given_up = up_given_up,
    };
    /* By hand everything may be tried, also crashes at a given point. */
    json_auto_t *params = json_pack("{s:[s]}", "arguments", "--crash-points");
    struct system_options system_options = {
        .bug = o->bug,
        .binary = binary,
        .seed = rng_fresh_seed(),
        .params = strcmp(o->system, "replica") == 0 ? params : NULL};
    unsigned primary;

    if (image_path(&image, err) < 0)
        return -1;
    site_options.image_dir = image;
    if (site_open(site, &site_options, clock_monotonic(), err) < 0 ||
        deploy_start(&site->cluster, site_options.system, &system_options,
                     site->remotes, err) < 0)
        return -1;
    return deploy_wait_ready(&site->cluster, site_options.system, site->clock,
                             UP_READY_TIMEOUT_NS, up_given_up, &primary, err);
}

/* The holder: makes the cluster, tells the parent, waits for its end. */
static int
up_hold(void *arg)
{
    const struct up_options *o = arg;
    struct sigaction action = {.sa_handler = up_signal};
    struct site site = {0};
    struct hand *hand = NULL;
    struct error err = {0};
    int status = 0;

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    if (up_make(&site, o, &err) < 0 ||
        (hand = hand_new(&site, system_find(o->system), rng_fresh_seed(),
                         &err)) == NULL) {
        status = command_failed(o->self, &err);
    } else if (!up_stopped) {
        if (file_write_all(o->report_fd, "", 1) < 0)
            up_stopped = 1; /* nobody waits any more */
        close(o->report_fd);
        while (!up_stopped)
            hand_serve(hand, CLUSTER_POLL_NS);
    }
    hand_free(hand);
    site_close(&site);
    return status;
}

/* In a session of its own, with nothing of the terminal but the messages. */
static int
up_detach(struct up_options *o, int report[2])
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    close(report[0]);
    o->report_fd = report[1];
    setsid();
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    return supervise_main(up_hold, o);
}

static int
up_start(struct up_options *o)
{
    int report[2], status = 0;
    char ready;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return EXIT_INTERNAL;
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(up_detach(o, report));
    close(report[1]);
    if (pid > 0 && read(report[0], &ready, 1) == 1) {
        printf("up: %" PRIu64 " nodes; 'ordeal status', 'ordeal ssh n1', "
               "'ordeal fault list', 'ordeal down'\n",
               o->node_count);
        return 0;
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
                                                         : EXIT_INFRA;
}

/* A bug is one of what is installed, which has its default engine. */
static int
up_check_bug(const struct up_options *o, struct error *err)
{
    json_t *expectation;
    int result;

    if (o->bug == NULL)
        return 0;
    expectation = expectation_of_bug(o->bug, err);
    if (expectation == NULL)
        return -1;
    result = expectation_check(expectation, o->bug, o->system, NULL, err);
    json_decref(expectation);
    return result;
}

static int
up_main(const struct command *self, int argc, char **argv)
{
    struct up_options o = {.self = self, .node_count = 3, .system = "replica"};
    const struct option_spec specs[] = {
        {"nodes", 'n', OPTION_UINT, &o.node_count, "NUMBER",
         "virtual machines (default: 3)"},
        {"bug", 'b', OPTION_STRING, &o.bug, "NAME", "plant a bug"},
        {"system", 0, OPTION_STRING, &o.system, "NAME",
         "what to install (default: replica)"},
        {"uri", 0, OPTION_STRING, &o.uri, "URI", "libvirt connection"},
    };
    struct error err = {0};
    char dir[RUNTIME_DIR_SIZE];
    int count, exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count != 0)
        return usage_error(self, "'%s': it takes no operand", argv[0]);
    if (o.node_count < 1 || o.node_count > NODE_COUNT_MAX)
        return usage_error(self, "--nodes: 1 to %d", NODE_COUNT_MAX);
    if (system_find(o.system) == NULL)
        return usage_error(self, "--system: no system '%s'", o.system);
    if (up_check_bug(&o, &err) < 0)
        return command_failed(self, &err);
    if (command_find_up(dir))
        return usage_error(self,
                           "a cluster is up already (%s); 'ordeal down' "
                           "ends it",
                           dir);
    return up_start(&o);
}

const struct command command_up = {
    .name = "up",
    .synopsis = "[options]",
    .summary = "bring a cluster up to explore by hand",
    .run = up_main,
};

/* ---- down ---- */

static bool
down_gone(void *ctx)
{
    int pid;

    return !path_exists(ctx) || !runtime_dir_owner(ctx, &pid);
}

static int
down_main(const struct command *self, int argc, char **argv)
{
    char dir[RUNTIME_DIR_SIZE];
    struct clock *clock = clock_monotonic();
    struct error err = {0};
    int count, exit_status, pid;

    if (options_parse(self, NULL, 0, false, argc, argv, &count, &exit_status) !=
        OPTIONS_OK)
        return exit_status;
    if (!command_find_up(dir)) {
        printf("no cluster is up\n");
        return 0;
    }
    if (runtime_dir_owner(dir, &pid)) {
        kill(pid, SIGTERM);
        if (!clock_poll(clock, clock_now_ns(clock) + DOWN_TIMEOUT_NS,
                        CLUSTER_POLL_NS, down_gone, dir)) {
            error_set(&err, ERROR_ENVIRONMENT,
                      "process %d does not end; kill it, then 'ordeal "
                      "recover'",
                      pid);
            return command_failed(self, &err);
        }
    }
    if (provider_recover(dir, &err) < 0)
        return command_failed(self, &err);
    printf("down\n");
    return 0;
}

const struct command command_down = {
    .name = "down",
    .synopsis = "",
    .summary = "end the cluster of 'up'",
    .run = down_main,
};

/* ---- status, ssh, exec, logs ---- */

static const char *
status_role(enum node_role role)
{
    static const char *const names[] = {"unreachable", "primary", "backup",
                                        "other"};

    return names[role];
}

static int
status_main(const struct command *self, int argc, char **argv)
{
    struct cluster_command c = {0};
    const struct system_ops *system = system_find("replica");
    int status = cluster_begin(self, &c, false, argc, argv);
    json_t *rows;

    if (status >= 0)
        return status;
    rows = json_array();
    for (unsigned i = 0; i < c.file.cluster.node_count; i++) {
        const struct node *node = &c.file.cluster.nodes[i];
        struct system_status s = {0};
        struct error err = {0};

        if (system->status(&c.file.cluster, i, 2 * NS_PER_S, &s, &err) < 0)
            log_warning("status", "%s: %s", node->name, err.text);
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:i}", "node", node->name,
                      "role", status_role(s.role), "term", (json_int_t)s.term,
                      "commit", (json_int_t)s.commit_index, "recovery",
                      s.recovery, "address", node->cluster_address, "ssh_port",
                      (int)node->ssh.port));
        if (!c.json)
            printf("%-4s %-11s term %-4" PRIu64 " commit %-8" PRIu64
                   " came back: %-10s ssh port %u\n",
                   node->name, status_role(s.role), s.term, s.commit_index,
                   s.recovery, node->ssh.port);
    }
    if (c.json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        printf("\n");
    }
    json_decref(rows);
    cluster_release(&c.file.cluster);
    return 0;
}

const struct command command_status = {
    .name = "status",
    .synopsis = "[options]",
    .summary = "roles, terms and commit positions of a cluster",
    .run = status_main,
};

/* Replaces this process by ssh, with the pinned host key. */
static int
ssh_main(const struct command *self, int argc, char **argv)
{
    struct cluster_command c = {0};
    int status = cluster_begin(self, &c, true, argc, argv);
    const struct node *node;
    struct error err = {0};
    CLEANUP_FREE char *known = NULL, *line = NULL, *option = NULL, *port = NULL;

    if (status >= 0)
        return status;
    node = cluster_operand(self, &c, argv);
    if (node == NULL)
        return EXIT_USAGE;
    known = xasprintf("%s/known_hosts", c.file.cluster.runtime_dir);
    line = xasprintf("[%s]:%u %s\n", node->ssh.host, node->ssh.port,
                     node->ssh.host_key);
    option = xasprintf("UserKnownHostsFile=%s", known);
    port = xasprintf("%u", node->ssh.port);
    if (file_write_atomic(known, line, strlen(line), 0600, &err) < 0)
        return command_failed(self, &err);
    execlp("ssh", "ssh", "-i", node->ssh.private_key_path, "-o", option, "-o",
           "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-p", port,
           "-l", node->ssh.user, node->ssh.host, (char *)NULL);
    error_errno(&err, ERROR_ENVIRONMENT, errno,
                "ssh (Debian package openssh-client)");
    return command_failed(self, &err);
}

const struct command command_ssh = {
    .name = "ssh",
    .synopsis = "NODE",
    .summary = "a shell on a node",
    .run = ssh_main,
};

/* Runs argv on the node with our own output; its exit status. */
static int
exec_on(const struct command *self, const struct node *node,
        const char *const words[])
{
    struct exec_result result;
    struct remote remote;
    struct error err = {0};
    int status;

    remote_init(&remote, &remote_ssh_ops, &node->ssh, clock_monotonic());
    exec_result_init(&result);
    if (remote_open(&remote,
                    clock_now_ns(remote.clock) + CLUSTER_OPEN_TIMEOUT_NS,
                    &err) < 0 ||
        remote_exec(&remote, words, NULL, &result, &err) < 0) {
        status = command_failed(self, &err);
    } else {
        fwrite(buf_text(&result.out), 1, result.out.len, stdout);
        fwrite(buf_text(&result.err), 1, result.err.len, stderr);
        status = result.status < 0 ? 128 : result.status;
    }
    exec_result_release(&result);
    remote_close(&remote);
    return status;
}

static int
exec_main(const struct command *self, int argc, char **argv)
{
    struct cluster_command c = {0};
    int status = cluster_begin(self, &c, true, argc, argv);
    const struct node *node;
    const char **words;
    int first = 1;

    if (status >= 0)
        return status;
    node = cluster_operand(self, &c, argv);
    if (node == NULL)
        return EXIT_USAGE;
    if (first < c.count && strcmp(argv[first], "--") == 0)
        first++;
    if (first >= c.count)
        return usage_error(self, "which program?");
    words = xcalloc((size_t)(c.count - first) + 1, sizeof(*words));
    for (int i = first; i < c.count; i++)
        words[i - first] = argv[i];
    status = exec_on(self, node, words);
    free(words);
    cluster_release(&c.file.cluster);
    return status;
}

const struct command command_exec = {
    .name = "exec",
    .synopsis = "NODE [--] PROGRAM ARG...",
    .summary = "run a program on a node; its output and exit status are ours",
    .run = exec_main,
};

static int
logs_main(const struct command *self, int argc, char **argv)
{
    static const char *const words[] = {"cat", "/data/log/replica.log", NULL};
    struct cluster_command c = {0};
    int status = cluster_begin(self, &c, false, argc, argv);
    const struct node *node;

    if (status >= 0)
        return status;
    node = cluster_operand(self, &c, argv);
    status = node == NULL ? EXIT_USAGE : exec_on(self, node, words);
    cluster_release(&c.file.cluster);
    return status;
}

const struct command command_logs = {
    .name = "logs",
    .synopsis = "NODE [options]",
    .summary = "the daemon's log of a node",
    .run = logs_main,
};
