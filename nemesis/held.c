/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one command in the guest, one line of JSON back.
 *
 * Failure modes: a program that is not there is put there and asked again; what
 * it refuses comes back as its line of standard error.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/held.h"
#include "nemesis/target.h"

#define HELD_DIR "/run/ordeal-harm"

bool
held_available(const struct fault_world *w)
{
    if (w->harm_program == NULL)
        return false;
    for (unsigned i = 0; i < w->cluster->node_count; i++)
        if (strcmp(w->remotes[i].ops->name, "local") == 0)
            return false;
    return true;
}

static int
held_put(const struct fault_world *w, unsigned node, struct error *err)
{
    static const char *const make[] = {"mkdir", "-p", HELD_DIR, NULL};

    if (w->harm_program == NULL)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': no program to put there",
                         w->cluster->nodes[node].name);
    if (remote_run(&w->remotes[node], make, err) < 0)
        return -1;
    return remote_put(&w->remotes[node], w->harm_program, HELD_PROGRAM, 0755,
                      err);
}

json_t *
held_call(const struct fault_world *w, unsigned node, const char *const words[],
          struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    const char *argv[HELD_WORDS_MAX + 2] = {HELD_PROGRAM};
    json_t *answer;

    for (size_t i = 0; words[i] != NULL; i++) {
        assert(i < HELD_WORDS_MAX);
        argv[i + 1] = words[i];
    }
    exec_result_init(&result);
    if (guest_exec(&w->remotes[node], argv, NULL, &result, err) < 0)
        return NULL;
    if (result.status == GUEST_NO_PROGRAM) {
        exec_result_release(&result);
        exec_result_init(&result);
        if (held_put(w, node, err) < 0 ||
            guest_exec(&w->remotes[node], argv, NULL, &result, err) < 0)
            return NULL;
    }
    answer = json_loads(buf_text(&result.out), JSON_DISABLE_EOF_CHECK, NULL);
    if (result.status == 0 && json_is_object(answer))
        return answer;
    json_decref(answer);
    error_set(err, ERROR_ENVIRONMENT, "node '%s': %s: exit %d: %.200s",
              w->cluster->nodes[node].name, words[0], result.status,
              buf_text(&result.err));
    return NULL;
}

int
held_start(struct fault *f, unsigned node, const char *kind,
           const char *const args[], struct error *err)
{
    const char *words[HELD_WORDS_MAX + 1] = {"start", f->ops->name};
    char seconds[24];
    size_t n = 4;
    json_t *answer;

    snprintf(seconds, sizeof(seconds), "%" PRId64, f->lease_ns / NS_PER_S);
    words[2] = seconds;
    words[3] = kind;
    for (size_t i = 0; args[i] != NULL; i++) {
        assert(n < HELD_WORDS_MAX);
        words[n++] = args[i];
    }
    answer = held_call(f->world, node, words, err);
    if (answer == NULL)
        return -1;
    json_decref(answer);
    return 0;
}

static bool
held_fired(const json_t *answer)
{
    const char *state = json_string_value(json_object_get(answer, "state"));

    return state != NULL && strcmp(state, "fired") == 0;
}

/* ---- renew, stop ---- */

struct held_act {
    const struct fault_world *world;
    const char *const *words;
    bool *self_healed; /* by node; NULL: nobody asks */
};

static int
held_act_node(void *ctx, unsigned node, struct error *err)
{
    const struct held_act *act = ctx;
    json_t *answer = held_call(act->world, node, act->words, err);

    if (answer == NULL)
        return -1;
    if (act->self_healed != NULL)
        act->self_healed[node] |= held_fired(answer);
    json_decref(answer);
    return 0;
}

int
held_renew(struct fault *f, struct error *err)
{
    char seconds[24];
    const char *const words[] = {"renew", f->ops->name, seconds, NULL};
    struct held_act act = {
        .world = f->world, .words = words, .self_healed = f->self_healed};

    snprintf(seconds, sizeof(seconds), "%" PRId64, f->lease_ns / NS_PER_S);
    return fanout(f->targets, held_act_node, &act, err);
}

int
held_stop(struct fault *f, node_set nodes, struct error *err)
{
    const char *const words[] = {"stop", f->ops->name, NULL};
    struct held_act act = {
        .world = f->world, .words = words, .self_healed = f->self_healed};

    return fanout(nodes, held_act_node, &act, err);
}

json_t *
held_undo_record(const struct fault *f)
{
    return json_pack("{s:s, s:o}", "fault", f->ops->name, "nodes",
                     node_set_to_json(f->world->cluster, f->targets));
}

int
held_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    const char *name = json_string_value(json_object_get(record, "fault"));
    const char *const words[] = {"stop", name, NULL};
    struct held_act act = {.world = w, .words = words};
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    return fanout(nodes, held_act_node, &act, err);
}

int
held_acts(struct fault *f, unsigned node, bool *ret, struct error *err)
{
    const char *const words[] = {"status", f->ops->name, NULL};
    json_t *answer = held_call(f->world, node, words, err);
    const char *state;

    if (answer == NULL)
        return -1;
    state = json_string_value(json_object_get(answer, "state"));
    *ret = state != NULL && strcmp(state, "acting") == 0 &&
           json_is_true(json_object_get(answer, "running"));
    f->self_healed[node] |= held_fired(answer);
    json_decref(answer);
    return 0;
}
