/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one short program per question, its output parsed strictly.
 *
 * Failure modes: a broken connection or a deadline is the remote's error; an
 * answer that cannot be parsed is an error too, never a guess.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/fanout.h"
#include "nemesis/guest.h"

#define GUEST_TIMER_LOG "/run/ordeal/heal.log"

static int
guest_exec_for(struct remote *r, const char *const argv[], const char *input,
               int64_t timeout_ns, struct exec_result *ret, struct error *err)
{
    struct exec_options options = {
        .input = input,
        .input_len = input == NULL ? 0 : strlen(input),
        .timeout_ns = timeout_ns,
    };

    return remote_exec(r, argv, &options, ret, err);
}

int
guest_exec(struct remote *r, const char *const argv[], const char *input,
           struct exec_result *ret, struct error *err)
{
    return guest_exec_for(r, argv, input, FAULT_EXEC_TIMEOUT_NS, ret, err);
}

int
guest_script_for(struct remote *r, const struct guest_script *script,
                 const char *const args[], int64_t timeout_ns,
                 struct exec_result *ret, struct error *err)
{
    const char *argv[GUEST_ARGS_MAX + 6] = {GUEST_BUSYBOX, "sh", "-c",
                                            script->text, script->name};
    size_t n = 5;

    for (size_t i = 0; args[i] != NULL; i++) {
        assert(i < GUEST_ARGS_MAX);
        argv[n++] = args[i];
    }
    return guest_exec_for(r, argv, NULL, timeout_ns, ret, err);
}

int
guest_script(struct remote *r, const struct guest_script *script,
             const char *const args[], struct exec_result *ret,
             struct error *err)
{
    return guest_script_for(r, script, args, FAULT_EXEC_TIMEOUT_NS, ret, err);
}

/* ---- processes ---- */

/* State and field 22 of a stat line; the name in it may hold anything. */
static bool
guest_parse_stat(const char *line, struct guest_process *ret)
{
    const char *p = strrchr(line, ')');
    char state;
    uint64_t ticks;

    if (p == NULL || p[1] != ' ' || p[2] < 'A' || p[2] > 'z')
        return false;
    state = p[2];
    p += 3;
    for (int field = 4; field < 22; field++) {
        p += strspn(p, " ");
        p += strcspn(p, " ");
    }
    if (sscanf(p, " %" SCNu64, &ticks) != 1)
        return false;
    ret->state = state;
    ret->start_ticks = ticks;
    ret->exists = true;
    return true;
}

int
guest_process_look(struct remote *r, int32_t pid, struct guest_process *ret,
                   struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    struct guest_process look = {0};
    char path[32], *newline;
    const char *const argv[] = {"cat", "/proc/sys/kernel/random/boot_id", path,
                                NULL};

    assert(pid > 0);
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", pid);
    exec_result_init(&result);
    if (guest_exec(r, argv, NULL, &result, err) < 0)
        return -1;
    newline = strchr(result.out.data == NULL ? "" : result.out.data, '\n');
    if (newline == NULL ||
        (size_t)(newline - result.out.data) >= sizeof(look.boot_id))
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': no boot id in /proc", r->endpoint.node);
    *newline = '\0';
    snprintf(look.boot_id, sizeof(look.boot_id), "%s", result.out.data);
    /* cat fails for the second file only when there is no such process. */
    if (newline[1] != '\0' && !guest_parse_stat(newline + 1, &look))
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': '%s' is not understood", r->endpoint.node,
                         path);
    if (newline[1] == '\0' && result.status != 1)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': '%s' could not be looked for",
                         r->endpoint.node, path);
    *ret = look;
    return 0;
}

bool
guest_process_is(const struct guest_process *look, const struct process_id *id)
{
    return look->exists && look->state != 'Z' && look->state != 'X' &&
           look->start_ticks == id->start_ticks &&
           strcmp(look->boot_id, id->boot_id) == 0;
}

/* ---- the self-heal timer ---- */

static void
guest_timer_name(const char *kind, char *ret, size_t size)
{
    snprintf(ret, size, "ordeal-heal-%s", kind);
}

/* How svc says that a service ended; *ret false: not by running out. */
static int
guest_timer_parse(struct remote *r, const char *text, bool *ret,
                  struct error *err)
{
    json_t *status = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    const char *state = json_string_value(json_object_get(status, "state"));
    bool known = state != NULL;

    *ret = known && strcmp(state, "exited") == 0 &&
           json_integer_value(json_object_get(status, "exit_status")) ==
               GUEST_TIMER_EXIT_FIRED;
    json_decref(status);
    if (!known)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': svc stop: answer not understood",
                         r->endpoint.node);
    return 0;
}

static bool
guest_timer_runs(const char *text)
{
    json_t *status = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    const char *state = json_string_value(json_object_get(status, "state"));
    bool runs = state != NULL && strcmp(state, "running") == 0;

    json_decref(status);
    return runs;
}

/* $1 the timer, $2 the seconds.  Whole or not at all. */
static const char guest_renew_script[] =
    "read -r up _ </proc/uptime && f=/run/$1.lease &&\n"
    "echo $((${up%.*} + $2)) >\"$f.new\" && mv \"$f.new\" \"$f\"\n";

int
guest_timer_renew(struct remote *r, const char *kind, int64_t lease_ns,
                  bool *ret_fired, struct error *err)
{
    static const struct guest_script script = {"ordeal-renew",
                                               guest_renew_script};
    CLEANUP(exec_result_release) struct exec_result status, written;
    char name[64], seconds[24];
    const char *const argv[] = {"svc", "status", name, NULL};
    const char *const args[] = {name, seconds, NULL};

    guest_timer_name(kind, name, sizeof(name));
    snprintf(seconds, sizeof(seconds), "%" PRId64, lease_ns / NS_PER_S);
    exec_result_init(&status);
    exec_result_init(&written);
    if (guest_exec(r, argv, NULL, &status, err) < 0)
        return error_wrap(err, "self-heal timer");
    *ret_fired = false;
    if (status.status == GUEST_NO_PROGRAM)
        return 0;
    if (status.status != 0 || !guest_timer_runs(buf_text(&status.out)))
        return guest_timer_parse(r, buf_text(&status.out), ret_fired, err);
    if (guest_script(r, &script, args, &written, err) < 0)
        return error_wrap(err, "self-heal timer");
    if (written.status != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': self-heal timer: the lease cannot be "
                         "written: %.120s",
                         r->endpoint.node, buf_text(&written.err));
    return 0;
}

struct guest_renewal {
    struct fault *fault;
    const char *kind;
};

static int
guest_timers_renew_node(void *ctx, unsigned node, struct error *err)
{
    const struct guest_renewal *renewal = ctx;
    struct fault *f = renewal->fault;
    bool fired;

    if (guest_timer_renew(&f->world->remotes[node], renewal->kind, f->lease_ns,
                          &fired, err) < 0)
        return -1;
    f->self_healed[node] |= fired;
    return 0;
}

int
guest_timers_renew(struct fault *f, node_set nodes, const char *kind,
                   struct error *err)
{
    struct guest_renewal renewal = {.fault = f, .kind = kind};

    return fanout(nodes, guest_timers_renew_node, &renewal, err);
}

int
guest_timer_disarm(struct remote *r, const char *kind, bool *ret_fired,
                   struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    char name[64];
    const char *const argv[] = {"svc", "stop", name, "--timeout", "5", NULL};

    guest_timer_name(kind, name, sizeof(name));
    exec_result_init(&result);
    if (guest_exec(r, argv, NULL, &result, err) < 0)
        return error_wrap(err, "self-heal timer");
    *ret_fired = false;
    if (result.status == GUEST_NO_PROGRAM)
        return 0;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': self-heal timer: svc stop: exit %d: "
                         "%.120s",
                         r->endpoint.node, result.status,
                         buf_text(&result.err));
    return guest_timer_parse(r, buf_text(&result.out), ret_fired, err);
}

int
guest_timer_arm(struct remote *r, const char *kind, const char *script,
                const char *const args[], int64_t lease_ns, bool *ret,
                struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    char name[64], seconds[24];
    /* Its log is not on the data disk: that may be under a fault too. */
    const char *argv[GUEST_ARGS_MAX + 14] = {
        "svc", "start", name,   "--log", GUEST_TIMER_LOG, "--", GUEST_BUSYBOX,
        "sh",  "-c",    script, name,    seconds};
    size_t n = 12;
    bool fired;

    assert(lease_ns >= NS_PER_S);
    guest_timer_name(kind, name, sizeof(name));
    snprintf(seconds, sizeof(seconds), "%" PRId64, lease_ns / NS_PER_S);
    for (size_t i = 0; args[i] != NULL; i++) {
        assert(i < GUEST_ARGS_MAX);
        argv[n++] = args[i];
    }
    exec_result_init(&result);
    if (guest_exec(r, argv, NULL, &result, err) < 0)
        return error_wrap(err, "self-heal timer");
    /* It runs already, left by a driver that died: a new lease is due. */
    if (result.status == 1 && (guest_timer_disarm(r, kind, &fired, err) < 0 ||
                               guest_exec(r, argv, NULL, &result, err) < 0))
        return error_wrap(err, "self-heal timer");
    *ret = result.status == 0;
    if (result.status == 0 || result.status == GUEST_NO_PROGRAM)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT,
                     "node '%s': self-heal timer: svc start: exit %d: %.120s",
                     r->endpoint.node, result.status, buf_text(&result.err));
}
