/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a script on each node starts one connect per peer, all at once,
 * and prints one line for each; all nodes at once as well, so that a whole
 * matrix takes about a second.
 *
 * Failure modes: a line that is missing or not understood leaves PROBE_UNKNOWN.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/guest.h"
#include "nemesis/probe.h"

static const struct guest_script probe_script = {
    .name = "ordeal-probe",
    .text = "port=$1; shift\n"
            "for a; do {\n"
            "    if m=$(" GUEST_BUSYBOX " nc -w 1 \"$a\" \"$port\""
            " -e " GUEST_BUSYBOX " true 2>&1 </dev/null); then m=open; fi\n"
            "    echo \"$a $m\"\n"
            "} & done\n"
            "wait\n",
};

const char *
probe_name(enum probe_result result)
{
    switch (result) {
    case PROBE_UNKNOWN:
        return "unknown";
    case PROBE_OPEN:
        return "open";
    case PROBE_CUT:
        return "cut";
    }
    return "?";
}

struct probe_node {
    const struct fault_world *world;
    unsigned from;
    enum probe_result *results; /* [to] */
    pthread_t thread;
    int result;
    struct error err;
};

/* "10.77.0.12 open", "10.77.0.12 nc: timed out" */
static void
probe_parse_line(struct probe_node *p, const char *line)
{
    const struct cluster *c = p->world->cluster;

    for (unsigned to = 0; to < c->node_count; to++) {
        const char *address = c->nodes[to].cluster_address;
        size_t len = strlen(address);

        if (strncmp(line, address, len) != 0 || line[len] != ' ')
            continue;
        line += len + 1;
        if (strcmp(line, "open") == 0 ||
            strstr(line, "Connection refused") != NULL)
            p->results[to] = PROBE_OPEN;
        else if (strstr(line, "timed out") != NULL)
            p->results[to] = PROBE_CUT;
        return;
    }
}

static void *
probe_thread(void *ctx)
{
    struct probe_node *p = ctx;
    const struct cluster *c = p->world->cluster;
    CLEANUP(exec_result_release) struct exec_result result;
    const char *args[NODE_COUNT_MAX + 2];
    char port[8], *save = NULL;
    size_t n = 0;

    snprintf(port, sizeof(port), "%" PRIu16, p->world->system->peer_port);
    args[n++] = port;
    for (unsigned to = 0; to < c->node_count; to++)
        if (to != p->from)
            args[n++] = c->nodes[to].cluster_address;
    args[n] = NULL;
    exec_result_init(&result);
    p->result = guest_script(&p->world->remotes[p->from], &probe_script, args,
                             &result, &p->err);
    if (p->result < 0 || result.out.len == 0)
        return NULL;
    for (char *line = strtok_r(result.out.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        probe_parse_line(p, line);
    return NULL;
}

int
probe_pairs(const struct fault_world *w, struct probe_matrix *ret,
            struct error *err)
{
    struct probe_node nodes[NODE_COUNT_MAX];
    struct probe_matrix matrix = {0};
    unsigned count = w->cluster->node_count, started = 0;
    int code = 0, result = 0;

    for (; started < count && code == 0; started++) {
        struct probe_node *p = &nodes[started];

        *p = (struct probe_node){
            .world = w, .from = started, .results = matrix.result[started]};
        code = pthread_create(&p->thread, NULL, probe_thread, p);
        if (code != 0)
            break;
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(nodes[i].thread, NULL);
        if (nodes[i].result < 0 && result == 0)
            *err = nodes[i].err;
        if (nodes[i].result < 0)
            result = -1;
    }
    if (code != 0)
        return error_errno(err, ERROR_ENVIRONMENT, code, "probe thread");
    if (result == 0)
        *ret = matrix;
    return result;
}
