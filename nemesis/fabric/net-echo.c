/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes see of bytes that were changed on the way and given a good
 * checksum: known lines sent over TCP to another node and back.  Pings would
 * not show it, since only payload of TCP and UDP is touched.
 *
 * Failure modes: fewer lines than were sent leave a pair without an answer.
 * What runs on a node ends by its own limits, before the command does.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/fabric/net-fault.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/target.h"

#define NET_ECHO_PORT "7197"
#define NET_ECHO_LINES 2048
/* Longer than the script's own limits. */
#define NET_ECHO_TIMEOUT_NS (20 * NS_PER_S)

/*
 * $1 the port, $2 how many lines, then addresses.  The server of a node is up
 * for 7 s, and while its own clients are at it, 13 s at most: guests of a busy
 * host are slow, and none begins at the same moment as the others.  A client
 * that is too early, or too slow, tries again.  One line for each address: how
 * many lines came back, and how many were not as they were sent.
 */
static const struct guest_script net_echo_script = {
    .name = "ordeal-net-echo",
    .text = "b=" GUEST_BUSYBOX "; port=$1; lines=$2; shift 2\n"
            "$b timeout 13 $b nc -ll -p \"$port\" -e $b cat"
            " </dev/null >/dev/null 2>&1 & server=$!\n"
            "$b sleep 7 & others=$!\n"
            "for a; do {\n"
            "    n=0\n"
            "    for try in 1 2; do\n"
            "        $b sleep 1\n"
            "        n=$($b yes ordeal-echo | $b head -n \"$lines\" |\n"
            "            $b timeout 5 $b nc \"$a\" \"$port\" 2>/dev/null |\n"
            "            $b awk '$0 != \"ordeal-echo\" { bad++ }\n"
            "                END { print NR, bad + 0 }')\n"
            "        [ \"${n%% *}\" = 0 ] || break\n"
            "    done\n"
            "    echo \"$a $n\"\n"
            "} & others=\"$others $!\"; done\n"
            "wait $others\n"
            "kill $server 2>/dev/null\n"
            "wait\n",
};

struct net_echo_round {
    const struct fault_world *world;
    struct net_fault *fault;
};

static void
net_take_echo(void *ctx, unsigned from, unsigned to, const char *text)
{
    struct net_echo_round *r = ctx;
    struct net_echo *e;

    if (to >= r->world->cluster->node_count)
        return; /* hosts of clients are not asked */
    e = &r->fault->echoes[from][to];
    e->answered = sscanf(text, "%u %u", &e->received, &e->changed) == 2 &&
                  e->received > 0;
}

static int
net_echo_from(void *ctx, unsigned from, struct error *err)
{
    struct net_echo_round *r = ctx;
    const struct cluster *c = r->world->cluster;
    char lines[16];
    const char *args[NODE_COUNT_MAX + 3] = {NET_ECHO_PORT, lines};
    size_t count = 2;

    snprintf(lines, sizeof(lines), "%d", NET_ECHO_LINES);
    for (unsigned to = 0; to < c->node_count; to++)
        if (to != from)
            args[count++] = c->nodes[to].cluster_address;
    args[count] = NULL;
    return probe_ask(r->world, from, &net_echo_script, args,
                     NET_ECHO_TIMEOUT_NS, net_take_echo, r, err);
}

int
net_echo_all(struct fault *f, struct error *err)
{
    struct net_fault *n = f->state;
    struct net_echo_round r = {.world = f->world, .fault = n};

    memset(n->echoes, 0, sizeof(n->echoes));
    return fanout(node_set_all(f->world->cluster->node_count), net_echo_from,
                  &r, err);
}

enum proof
net_judge_echoes(struct fault *f, bool healed)
{
    const struct net_fault *n = f->state;
    const struct cluster *c = f->world->cluster;
    enum proof proof = PROOF_CONFIRMED;
    json_t *echoes = json_object();
    unsigned shown = 0;

    for (unsigned from = 0; from < c->node_count; from++)
        for (unsigned to = 0; to < c->node_count; to++) {
            const struct net_echo *e = &n->echoes[from][to];
            bool ruled = !healed && (link_set_has(&n->links, from, to) ||
                                     link_set_has(&n->links, to, from));
            char pair[PROBE_PAIR_NAME_MAX];

            if (from == to)
                continue;
            probe_pair_name(c, from, to, pair);
            json_object_set_new(
                echoes, pair,
                json_pack("[i, i]", (int)e->received, (int)e->changed));
            shown += ruled && e->changed > 0;
            if (!ruled && e->changed > 0)
                proof = PROOF_MISMATCH;
            else if (!e->answered || (!ruled && e->received < NET_ECHO_LINES))
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
        }
    json_object_set_new(f->evidence, "echo_lines_changed", echoes);
    return !healed && shown == 0 ? PROOF_MISMATCH : proof;
}
