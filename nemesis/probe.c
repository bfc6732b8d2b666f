/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a script on each node starts one connect per peer, all at once,
 * and prints one line for each; all nodes at once as well, so that a whole
 * matrix takes about a second.
 *
 * Failure modes: a line that is missing or not understood leaves PROBE_UNKNOWN.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/probe.h"
#include "nemesis/target.h"

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

struct probe_round {
    const struct fault_world *world;
    struct probe_matrix matrix;
};

/* "10.77.0.12 open", "10.77.0.12 nc: timed out" */
static void
probe_parse_line(struct probe_round *p, unsigned from, const char *line)
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
            p->matrix.result[from][to] = PROBE_OPEN;
        else if (strstr(line, "timed out") != NULL)
            p->matrix.result[from][to] = PROBE_CUT;
        return;
    }
}

static int
probe_from(void *ctx, unsigned from, struct error *err)
{
    struct probe_round *p = ctx;
    const struct cluster *c = p->world->cluster;
    CLEANUP(exec_result_release) struct exec_result result;
    const char *args[NODE_COUNT_MAX + 2];
    char port[8], *save = NULL;
    size_t n = 0;

    snprintf(port, sizeof(port), "%" PRIu16, p->world->system->peer_port);
    args[n++] = port;
    for (unsigned to = 0; to < c->node_count; to++)
        if (to != from)
            args[n++] = c->nodes[to].cluster_address;
    args[n] = NULL;
    exec_result_init(&result);
    if (guest_script(&p->world->remotes[from], &probe_script, args, &result,
                     err) < 0)
        return -1;
    if (result.out.len == 0)
        return 0;
    for (char *line = strtok_r(result.out.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        probe_parse_line(p, from, line);
    return 0;
}

int
probe_pairs(const struct fault_world *w, struct probe_matrix *ret,
            struct error *err)
{
    struct probe_round round = {.world = w};

    if (fanout(node_set_all(w->cluster->node_count), probe_from, &round, err) <
        0)
        return -1;
    *ret = round.matrix;
    return 0;
}
