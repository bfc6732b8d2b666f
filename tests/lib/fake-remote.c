/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "nemesis/held.h"
#include "tests/lib/fake-remote.h"

#define FAKE_BOOT_ID "11111111-2222-3333-4444-555555555555"
#define FAKE_CALL_NS (5 * NS_PER_MS)

/* Outside the shared memory: a killed child must not leave it locked. */
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- trips ---- */

static void fake_run_timers(struct fake *f);

static int
fake_lost(struct error *err)
{
    return error_set(err, ERROR_TRANSIENT, "fake: connection lost");
}

/* Takes the lock; -1 when the call shall fail before it does anything. */
static int
fake_begin(struct fake *f, struct error *err)
{
    bool trips;

    pthread_mutex_lock(&fake_lock);
    f->clock.now_ns += FAKE_CALL_NS + f->slow_ns;
    f->call_count++;
    if (f->timers_fire_ns != 0 && f->clock.now_ns >= f->timers_fire_ns) {
        f->timers_fire_ns = 0;
        fake_fire_timers(f);
    }
    fake_run_timers(f);
    for (unsigned i = 0; i < f->cluster.node_count; i++) {
        struct fake_node *n = &f->nodes[i];

        if (f->catch_up_ns != 0 && f->clock.now_ns >= f->catch_up_ns)
            n->lag = 0;
        if (n->gone_ns != 0 && f->clock.now_ns >= n->gone_ns) {
            n->running = n->stopped = false;
            n->gone_ns = 0;
        }
    }
    trips = f->call_count >= f->trip_first && f->call_count <= f->trip_last;
    if (trips && f->trip == FAKE_KILL_BEFORE)
        raise(SIGKILL);
    if (trips && f->trip == FAKE_FAIL_BEFORE) {
        pthread_mutex_unlock(&fake_lock);
        return fake_lost(err);
    }
    return 0;
}

static int
fake_end(struct fake *f, struct error *err)
{
    bool trips =
        f->call_count >= f->trip_first && f->call_count <= f->trip_last;
    bool lost = trips && f->trip == FAKE_FAIL_AFTER;

    if (trips && f->trip == FAKE_KILL_AFTER)
        raise(SIGKILL);
    pthread_mutex_unlock(&fake_lock);
    return lost ? fake_lost(err) : 0;
}

static void
fake_harm(struct fake *f)
{
    if (f->before_harm != NULL)
        f->before_harm(f->ctx);
}

/* ---- the network ---- */

bool
fake_packet(struct fake *f, unsigned from, unsigned to)
{
    for (int side = 0; side < 2; side++) {
        struct fake_node *n = &f->nodes[side == 0 ? from : to];
        unsigned peer = side == 0 ? to : from;

        for (unsigned i = 0; i < n->rule_count; i++) {
            struct fake_rule *r = &n->rules[i];

            if (r->input != (side == 1) || r->peer != peer)
                continue;
            r->packets++;
            if (r->drop && f->leaks == 0)
                return false;
            f->leaks -= r->drop;
        }
    }
    return true;
}

static int
fake_node_by_address(const struct fake *f, const char *address)
{
    for (unsigned i = 0; i < f->cluster.node_count; i++)
        if (strcmp(f->cluster.nodes[i].cluster_address, address) == 0)
            return (int)i;
    return -1;
}

/* One connect; late ones are on paths that no rule cuts. */
static bool
fake_connects(struct fake *f, unsigned from, unsigned to)
{
    unsigned leaks = f->leaks;

    if (!fake_packet(f, from, to) || !fake_packet(f, to, from))
        return false;
    if (f->slow_open == 0 || f->leaks != leaks)
        return true;
    f->slow_open--;
    return false;
}

static void
fake_probe(struct fake *f, unsigned from, const char *const argv[],
           struct exec_result *ret)
{
    for (size_t i = 0; argv[i] != NULL; i++) {
        int to = fake_node_by_address(f, argv[i]);

        if (to < 0)
            buf_printf(&ret->out, "%s nc: can't connect: No route to host\n",
                       argv[i]);
        else if (!fake_connects(f, from, (unsigned)to))
            buf_printf(&ret->out, "%s nc: timed out\n", argv[i]);
        else
            buf_printf(&ret->out, "%s %s\n", argv[i],
                       f->nodes[to].running
                           ? "open"
                           : "nc: can't connect to remote host: "
                             "Connection refused");
    }
}

/* ---- nft ---- */

/* One line of 'nft -f -'; false: a syntax error. */
static bool
fake_nft_line(struct fake *f, struct fake_node *n, const char *line)
{
    char table[96], chain[16], address[64];
    struct fake_rule *r = &n->rules[n->rule_count];
    const char *comment = strstr(line, "comment \"");
    int peer;

    if (sscanf(line, "add table inet %95s", table) == 1) {
        snprintf(n->table, sizeof(n->table), "%s", table);
        return true;
    }
    if (sscanf(line, "delete table inet %95s", table) == 1) {
        if (strcmp(n->table, table) != 0)
            return false;
        n->table[0] = '\0';
        n->rule_count = 0;
        return true;
    }
    if (strncmp(line, "add chain inet ", 15) == 0)
        return n->table[0] != '\0';
    if (sscanf(line, "add rule inet %95s %15s %*s \"cluster\" ip %*s %63s",
               table, chain, address) != 3 ||
        strcmp(table, n->table) != 0 || n->rule_count == FAKE_RULES_MAX ||
        comment == NULL)
        return false;
    peer = fake_node_by_address(f, address);
    if (peer < 0)
        return false;
    *r = (struct fake_rule){.input = strcmp(chain, "input") == 0,
                            .drop = strstr(line, "counter drop") != NULL,
                            .peer = (unsigned)peer};
    sscanf(comment, "comment \"%31[^\"]\"", r->comment);
    n->rule_count++;
    return true;
}

static void
fake_nft_load(struct fake *f, struct fake_node *n, const char *input,
              struct exec_result *ret)
{
    struct fake_node before = *n;
    char *copy = strdup(input), *save = NULL;

    assert(copy != NULL);
    if (strstr(input, " drop ") != NULL)
        fake_harm(f);
    for (char *line = strtok_r(copy, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (fake_nft_line(f, n, line))
            continue;
        *n = before; /* a transaction */
        ret->status = 1;
        buf_puts(&ret->err, "Error: syntax error");
        break;
    }
    free(copy);
}

static void
fake_nft_list(struct fake_node *n, const char *table, struct exec_result *ret)
{
    json_t *items = json_array(), *top;
    char *text;

    if (table != NULL && strcmp(table, n->table) != 0) {
        json_decref(items);
        ret->status = 1;
        buf_puts(&ret->err, "Error: No such file or directory");
        return;
    }
    json_array_append_new(
        items, json_pack("{s:{s:s}}", "metainfo", "version", "1.0.6"));
    if (n->table[0] != '\0')
        json_array_append_new(items,
                              json_pack("{s:{s:s, s:s}}", "table", "family",
                                        "inet", "name", n->table));
    for (unsigned i = 0; table != NULL && i < n->rule_count; i++)
        json_array_append_new(
            items, json_pack("{s:{s:s, s:[{s:{s:I}}]}}", "rule", "comment",
                             n->rules[i].comment, "expr", "counter", "packets",
                             (json_int_t)n->rules[i].packets));
    top = json_pack("{s:o}", "nftables", items);
    text = json_dumps(top, 0);
    buf_puts(&ret->out, text);
    free(text);
    json_decref(top);
}

/* ---- svc ---- */

static struct fake_timer *
fake_timer_find(struct fake_node *n, const char *name)
{
    for (unsigned i = 0; i < FAKE_TIMERS_MAX; i++)
        if (strcmp(n->timers[i].name, name) == 0)
            return &n->timers[i];
    return NULL;
}

static void
fake_lease(struct fake *f, struct fake_timer *t, const char *seconds)
{
    int64_t s = 0;

    if (sscanf(seconds, "%" SCNd64, &s) != 1 || s <= 0)
        f->unknown_count++;
    t->end_ns = f->clock.now_ns + s * NS_PER_S;
}

/* argv[11] is the seconds of the timer's script. */
static void
fake_svc_start(struct fake *f, struct fake_node *n, const char *const argv[],
               struct exec_result *ret)
{
    const char *name = argv[2];
    struct fake_timer *t = fake_timer_find(n, name);

    if (t == NULL)
        t = fake_timer_find(n, "");
    assert(t != NULL);
    if (t->running) {
        ret->status = 1;
        buf_puts(&ret->err, "svc: it runs");
        return;
    }
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->running = true;
    t->fired = false;
    fake_lease(f, t, argv[11]);
}

static void
fake_svc(struct fake *f, struct fake_node *n, const char *const argv[],
         struct exec_result *ret)
{
    struct fake_timer *t = fake_timer_find(n, argv[2]);

    if (f->no_svc) {
        ret->status = 127;
        buf_puts(&ret->err, "svc: not found");
    } else if (strcmp(argv[1], "start") == 0) {
        fake_svc_start(f, n, argv, ret);
    } else {
        bool stop = strcmp(argv[1], "stop") == 0;

        f->unknown_count += !stop && strcmp(argv[1], "status") != 0;
        if (t != NULL && stop)
            t->running = false;
        buf_printf(&ret->out,
                   "{\"name\":\"%s\",\"state\":\"%s\",\"exit_status\":%s}\n",
                   argv[2],
                   t == NULL    ? "none"
                   : t->running ? "running"
                                : "exited",
                   t != NULL && t->fired ? "3" : "0");
    }
}

/* "ordeal-renew" TIMER SECONDS */
static void
fake_renew(struct fake *f, struct fake_node *n, const char *const argv[])
{
    struct fake_timer *t = fake_timer_find(n, argv[5]);

    f->renewal_count++;
    if (t == NULL)
        f->unknown_count++;
    else
        fake_lease(f, t, argv[6]);
}

static void
fake_timer_fire(struct fake_node *n, struct fake_timer *t)
{
    t->running = false;
    t->fired = true;
    if (strcmp(t->name, "ordeal-heal-pause") == 0)
        n->stopped = false;
    if (strcmp(t->name, "ordeal-heal-netem") == 0)
        n->netem = false;
    if (strcmp(t->name, "ordeal-heal-partition") == 0) {
        n->table[0] = '\0';
        n->rule_count = 0;
    }
}

/* Those whose lease is over. */
static void
fake_run_timers(struct fake *f)
{
    for (unsigned i = 0; i < f->cluster.node_count; i++) {
        for (unsigned j = 0; j < FAKE_TIMERS_MAX; j++) {
            struct fake_timer *t = &f->nodes[i].timers[j];

            if (t->running && f->clock.now_ns >= t->end_ns)
                fake_timer_fire(&f->nodes[i], t);
        }
        fake_held_fire(&f->nodes[i], f->clock.now_ns);
    }
}

void
fake_fire_timers(struct fake *f)
{
    for (unsigned i = 0; i < f->cluster.node_count; i++) {
        struct fake_node *n = &f->nodes[i];

        for (unsigned j = 0; j < FAKE_TIMERS_MAX; j++)
            if (n->timers[j].running)
                fake_timer_fire(n, &n->timers[j]);
        fake_held_fire(n, INT64_MAX);
    }
}

/* ---- the remote ---- */

static void
fake_cat(struct fake_node *n, const char *path, struct exec_result *ret)
{
    int32_t pid = 0;

    buf_puts(&ret->out, FAKE_BOOT_ID "\n");
    if (sscanf(path, "/proc/%" SCNd32 "/stat", &pid) != 1 || !n->running ||
        pid != n->pid) {
        ret->status = 1;
        return;
    }
    buf_printf(&ret->out,
               "%" PRId32 " (a (tricky) na) me) %c 1 2 3 4 5 6 7 8 9 10 11 12 "
               "13 14 15 16 17 18 %" PRIu64 " 20\n",
               pid, n->stopped ? 'T' : 'S', n->start_ticks);
}

static int
fake_exec(struct remote *r, const char *const argv[],
          const struct exec_options *options, struct exec_result *ret,
          struct error *err)
{
    struct fake *f = r->state;
    unsigned node = (unsigned)(r - f->remotes);
    struct fake_node *n = &f->nodes[node];
    size_t argc = 0;

    while (argv[argc] != NULL)
        argc++;
    if (fake_begin(f, err) < 0)
        return -1;
    ret->status = 0;
    if (strcmp(argv[0], "cat") == 0 && argc == 3)
        fake_cat(n, argv[2], ret);
    else if (strcmp(argv[0], "svc") == 0 && argc >= 3)
        fake_svc(f, n, argv, ret);
    else if (strcmp(argv[0], HELD_PROGRAM) == 0)
        fake_held_exec(f, n, argv, ret);
    else if (strcmp(argv[0], "mkdir") == 0)
        ret->status = 0;
    else if (strcmp(argv[0], "nft") == 0 && strcmp(argv[1], "-f") == 0)
        fake_nft_load(f, n, options->input, ret);
    else if (strcmp(argv[0], "nft") == 0)
        fake_nft_list(n, argc == 6 ? argv[5] : NULL, ret);
    else if (argc == 7 && strcmp(argv[4], "ordeal-renew") == 0)
        fake_renew(f, n, argv);
    else if (argc > 5 && strcmp(argv[4], "ordeal-probe") == 0)
        fake_probe(f, node, argv + 6, ret);
    else if (fake_file_exec(n, argv, ret) || fake_netem_exec(f, n, argv, ret))
        ;
    else
        f->unknown_count++;
    return fake_end(f, err);
}

static int
fake_put(struct remote *r, const char *local, const char *path, mode_t mode,
         struct error *err)
{
    struct fake *f = r->state;

    if (fake_begin(f, err) < 0)
        return -1;
    if (strcmp(path, HELD_PROGRAM) == 0)
        f->nodes[r - f->remotes].has_program = true;
    else
        f->unknown_count++;
    return fake_end(f, err);
}

static void
fake_close(struct remote *r)
{
    r->state = NULL;
}

static const struct remote_ops fake_remote_ops = {
    .name = "fake", .exec = fake_exec, .put = fake_put, .close = fake_close};

/* ---- the system ---- */

static struct fake_node *
fake_of(const struct system_node *n, struct fake **ret)
{
    *ret = n->remote->state;
    return &(*ret)->nodes[n->index];
}

static int
fake_start(const struct system_node *sn, struct error *err)
{
    struct fake *f;
    struct fake_node *n = fake_of(sn, &f);

    if (fake_begin(f, err) < 0)
        return -1;
    if (n->running) {
        pthread_mutex_unlock(&fake_lock);
        return error_set(err, ERROR_ENVIRONMENT, "fake: it runs");
    }
    if (f->idle_starts)
        return fake_end(f, err);
    /* An honest daemon refuses damaged state. */
    n->running = !n->file_harmed;
    n->stopped = false;
    n->pid = ++f->last_pid;
    n->start_ticks = (uint64_t)(f->clock.now_ns / (10 * NS_PER_MS));
    n->starts++;
    return fake_end(f, err);
}

static int
fake_stop(const struct system_node *sn, int64_t timeout_ns, struct error *err)
{
    struct fake *f;
    struct fake_node *n = fake_of(sn, &f);

    if (fake_begin(f, err) < 0)
        return -1;
    fake_harm(f);
    n->running = false;
    return fake_end(f, err);
}

static int
fake_signal(const struct system_node *sn, int signo, struct error *err)
{
    struct fake *f;
    struct fake_node *n = fake_of(sn, &f);

    if (fake_begin(f, err) < 0)
        return -1;
    if (signo != SIGCONT)
        fake_harm(f);
    if (signo == SIGKILL && f->death_ns > 0)
        n->gone_ns = f->clock.now_ns + f->death_ns;
    else if (signo == SIGKILL)
        n->running = n->stopped = false;
    else if (n->running)
        n->stopped = signo == SIGSTOP;
    return fake_end(f, err);
}

static int
fake_process(const struct system_node *sn, struct process_id *ret,
             struct error *err)
{
    struct fake *f;
    struct fake_node *n = fake_of(sn, &f);

    if (fake_begin(f, err) < 0)
        return -1;
    *ret =
        (struct process_id){.boot_id = FAKE_BOOT_ID, .starts = n->starts + 1};
    if (n->running && !n->hidden) {
        ret->pid = n->pid;
        ret->start_ticks = n->start_ticks;
        ret->stopped = n->stopped;
    }
    return fake_end(f, err);
}

static bool
fake_alive(const struct fake_node *n)
{
    return n->running && !n->stopped;
}

static int
fake_status(const struct cluster *c, unsigned node, int64_t timeout_ns,
            struct system_status *ret, struct error *err)
{
    struct fake *f = (struct fake *)c;
    const struct fake_node *n = &f->nodes[node];

    if (fake_begin(f, err) < 0)
        return -1;
    /* The next node that lives takes over from a dead primary. */
    for (unsigned i = 0; i < c->node_count; i++) {
        if (fake_alive(&f->nodes[f->primary]))
            break;
        f->primary = (int)(((unsigned)f->primary + 1) % c->node_count);
        f->term++;
    }
    *ret = (struct system_status){.term = f->term,
                                  .commit_index = f->commit - n->lag};
    if (fake_alive(n) && !n->mute)
        ret->role =
            (int)node == f->primary || n->deposed ? ROLE_PRIMARY : ROLE_BACKUP;
    if (n->deposed)
        ret->term--;
    return fake_end(f, err);
}

/* "soon" is where every daemon gets to at once, "never" where none does. */
static const char *const fake_crash_points[] = {"soon", "never", NULL};

static int
fake_crash_at(const struct cluster *c, unsigned node, const char *point,
              unsigned nth, int64_t timeout_ns, struct error *err)
{
    struct fake *f = (struct fake *)c;
    struct fake_node *n = &f->nodes[node];

    (void)nth;
    (void)timeout_ns;
    if (fake_begin(f, err) < 0)
        return -1;
    if (point != NULL)
        fake_harm(f);
    if (point != NULL && strcmp(point, "soon") == 0)
        n->running = n->stopped = false;
    return fake_end(f, err);
}

static const char *const fake_data_files[] = {"log/*", "meta", NULL};

static const struct system_ops fake_system_ops = {
    .name = "fake",
    .crash_points = fake_crash_points,
    .crash_exit = 86,
    .crash_at = fake_crash_at,
    .peer_port = 7101,
    .data_dir = "/data/fake",
    .data_files = fake_data_files,
    .start = fake_start,
    .stop = fake_stop,
    .signal = fake_signal,
    .process = fake_process,
    .status = fake_status,
};

/* ---- set-up ---- */

struct fake *
fake_new(unsigned node_count)
{
    struct fake *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert(f != MAP_FAILED);
    f->cluster.node_count = node_count;
    snprintf(f->cluster.run_id, sizeof(f->cluster.run_id), "20260131-ab12");
    clock_virtual_init(&f->clock, NS_PER_S);
    f->last_pid = 200;
    f->term = 1;
    f->commit = 100;
    for (unsigned i = 0; i < node_count; i++) {
        struct node *n = &f->cluster.nodes[i];

        snprintf(n->name, sizeof(n->name), "n%u", i + 1);
        n->index = i;
        snprintf(n->cluster_address, sizeof(n->cluster_address), "10.77.0.%u",
                 11 + i);
        snprintf(n->cluster_interface, sizeof(n->cluster_interface), "cluster");
        n->ssh.node = n->name;
        remote_init(&f->remotes[i], &fake_remote_ops, &n->ssh, &f->clock.clock);
        f->remotes[i].state = f;
        f->nodes[i].running = true;
        f->nodes[i].pid = ++f->last_pid;
        f->nodes[i].start_ticks = 100 + i;
    }
    f->world = (struct fault_world){.cluster = &f->cluster,
                                    .system = &fake_system_ops,
                                    .remotes = f->remotes,
                                    .clock = &f->clock.clock,
                                    .harm_program = "ordeal-harm"};
    return f;
}

void
fake_free(struct fake *f)
{
    munmap(f, sizeof(*f));
}

bool
fake_is_clean(const struct fake *f)
{
    for (unsigned i = 0; i < f->cluster.node_count; i++) {
        const struct fake_node *n = &f->nodes[i];

        if (!fake_alive(n) || n->table[0] != '\0' || !fake_held_is_clean(n))
            return false;
        for (unsigned j = 0; j < FAKE_TIMERS_MAX; j++)
            if (n->timers[j].running)
                return false;
    }
    return true;
}
