/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes see of a rule by pings: all nodes at once ping all others, and
 * the hosts of clients where the rule may lie on their links.
 *
 * Failure modes: an answer that is not understood, or none at all where some
 * must come, makes a proof inconclusive.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/net-fault.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/target.h"

/* Of a rate: so many pings that the last waits this long for the others. */
#define NET_RATE_BACKLOG_NS (NS_PER_S / 2)
#define NET_RATE_FRAME_BITS ((NET_RATE_PING_BYTES + 42) * 8)
#define NET_RATE_PINGS_MIN 5
/* Of a pair without the rule: slower by that is the rule's doing, at least; a
 * busy host alone makes a guest slow for tens of milliseconds. */
#define NET_SLOWER_MS 50.0

/*
 * $1 how many, $2 the interval, $3 their bytes, $4 seconds to wait for the
 * last, then addresses: one line for each, of how many answers were overtaken
 * and ping's last two lines.  The limit is for answers with a flipped time of
 * departure, for which busybox would wait twice as long as they seem to take.
 */
static const struct guest_script net_ping_script = {
    .name = "ordeal-net-ping",
    .text = "count=$1; interval=$2; bytes=$3; wait=$4; shift 4\n"
            "for a; do {\n"
            "    o=$(" GUEST_BUSYBOX " timeout -s INT 8 " GUEST_BUSYBOX
            " ping -c \"$count\" -i \"$interval\" -s \"$bytes\" -W \"$wait\""
            " \"$a\")\n"
            "    late=0; last=-1\n"
            "    for s in $(echo \"$o\" | " GUEST_BUSYBOX
            " sed -n 's/.* seq=\\([0-9]*\\) .*/\\1/p'); do\n"
            "        [ \"$s\" -ge \"$last\" ] || late=$((late + 1)); last=$s\n"
            "    done\n"
            "    echo \"$a $late $(echo \"$o\" | " GUEST_BUSYBOX
            " tail -n 2 | " GUEST_BUSYBOX " tr '\\n' ' ')\"\n"
            "} & done\n"
            "wait\n",
};

/*
 * "0 5 packets transmitted, 5 packets received, 1 duplicates, 0% packet loss
 * round-trip min/avg/max = 0.054/0.063/0.078 ms"
 */
static bool
net_parse_ping(const char *text, struct net_ping *ret)
{
    const char *times = strstr(text, " = ");

    if (sscanf(text, "%u %u packets transmitted, %u packets received,",
               &ret->overtaken, &ret->sent, &ret->received) != 3)
        return false;
    ret->duplicates = 0;
    if (strstr(text, " duplicates,") != NULL &&
        sscanf(text, "%*u %*u packets transmitted, %*u packets received, %u",
               &ret->duplicates) != 1)
        return false;
    if (ret->received == 0)
        return true;
    return times != NULL &&
           sscanf(times, " = %lf/%lf/", &ret->min_ms, &ret->average_ms) == 2;
}

struct net_round {
    const struct fault_world *world;
    struct net_fault *fault;
    char count[16], bytes[16];
    const char *interval, *wait;
};

/* The nodes, and clients if the rule may lie on their links. */
static unsigned
net_station_count(const struct fault *f)
{
    const struct net_fault *n = f->state;
    const struct cluster *c = f->world->cluster;

    return n->links_of == NET_LINKS_NODES ? c->node_count
                                          : probe_station_count(c);
}

static void
net_take_ping(void *ctx, unsigned from, unsigned to, const char *text)
{
    struct net_round *r = ctx;
    struct net_ping *p = &r->fault->pings[from][to];

    p->answered = net_parse_ping(text, p);
}

static int
net_ping_from(void *ctx, unsigned from, struct error *err)
{
    struct net_round *r = ctx;
    const struct cluster *c = r->world->cluster;
    const char *args[STATION_COUNT_MAX + 5] = {r->count, r->interval, r->bytes,
                                               r->wait};
    unsigned stations = r->fault->links_of == NET_LINKS_NODES
                            ? c->node_count
                            : probe_station_count(c);
    size_t count = 4;

    for (unsigned to = 0; to < stations; to++)
        if (to != from)
            args[count++] = probe_address(c, to);
    args[count] = NULL;
    return probe_ask(r->world, from, &net_ping_script, args,
                     FAULT_EXEC_TIMEOUT_NS, net_take_ping, r, err);
}

unsigned
net_rate_pings(uint64_t rate_bits)
{
    uint64_t count = rate_bits * (NET_RATE_BACKLOG_NS / NS_PER_MS) /
                     (NET_RATE_FRAME_BITS * UINT64_C(1000));

    return count < NET_RATE_PINGS_MIN ? NET_RATE_PINGS_MIN : (unsigned)count;
}

/* All within FAULT_EXEC_TIMEOUT_NS; a delay is 4 s both ways. */
int
net_ping_all(struct fault *f, bool few, struct error *err)
{
    struct net_fault *n = f->state;
    struct net_round r = {.world = f->world,
                          .fault = n,
                          .count = "60", /* 0.95^60 = 5 % on one link */
                          .interval = "0.05",
                          .bytes = "56", /* as ping has it */
                          .wait = "2"};

    if (few || n->kind == NET_DROP || n->kind == NET_DELAY) {
        snprintf(r.count, sizeof(r.count), "5");
        r.wait = "5";
    } else if (n->kind == NET_RATE) {
        snprintf(r.count, sizeof(r.count), "%u",
                 net_rate_pings(n->rule.rate_bits));
        r.interval = "0.001";
        snprintf(r.bytes, sizeof(r.bytes), "%d", NET_RATE_PING_BYTES);
        r.wait = "5";
    }
    memset(n->pings, 0, sizeof(n->pings));
    return fanout(node_set_all(f->world->cluster->node_count), net_ping_from,
                  &r, err);
}

int
net_measure_usual(struct fault *f, struct error *err)
{
    struct net_fault *n = f->state;

    if (net_ping_all(f, false, err) < 0)
        return -1;
    memcpy(n->usual, n->pings, sizeof(n->usual));
    return 0;
}

/* Of pings that all came at once, the mean wait for those before it. */
static double
net_backlog_ms(const struct net_fault *n)
{
    double bits = (double)NET_RATE_FRAME_BITS *
                  (net_rate_pings(n->rule.rate_bits) - 1) / 2;

    return bits * 1000 / (double)n->rule.rate_bits;
}

/* The first of them waits for nobody, but takes as long as the rate says. */
static double
net_slower_ms(const struct net_fault *n)
{
    double frame_ms =
        (double)NET_RATE_FRAME_BITS * 1000 / (double)n->rule.rate_bits;

    return frame_ms / 2 > NET_SLOWER_MS ? frame_ms / 2 : NET_SLOWER_MS;
}

/* Whether one pair shows the fault, as 'links' (0 to 2) of its way have it. */
static bool
net_ping_shows(const struct net_fault *n, const struct net_ping *p,
               const struct net_ping *usual, unsigned links)
{
    double delay_ms = (double)n->rule.delay_ns / NS_PER_MS;

    switch (n->kind) {
    case NET_DELAY:
        /* Half of it: a jitter may be as large as the delay. */
        return links > 0 ? p->average_ms - usual->min_ms >= delay_ms * links / 2
                         : p->min_ms - usual->min_ms >= delay_ms / 2;
    case NET_RATE:
        /* A third: guests do not send all at once, and a slow one sends them
         * as slowly as the rate lets them pass, so that any pair will do. */
        return links > 0 ? p->received < p->sent ||
                               p->average_ms - usual->average_ms >=
                                   net_backlog_ms(n) / 3
                         : p->min_ms - usual->min_ms >= net_slower_ms(n);
    case NET_DUPLICATE:
        return p->duplicates > 0;
    case NET_REORDER:
        return p->overtaken > 0;
    case NET_LOSS:
    case NET_CORRUPT:
        return p->received < p->sent;
    case NET_DROP:
        break;
    }
    return false;
}

/* A share of all pings may be lost; then no answer is one as well. */
static bool
net_may_be_silent(const struct net_fault *n)
{
    return n->kind == NET_LOSS || n->kind == NET_CORRUPT || n->kind == NET_RATE;
}

enum proof
net_judge_pings(struct fault *f, bool healed)
{
    const struct net_fault *n = f->state;
    const struct cluster *c = f->world->cluster;
    enum proof proof = PROOF_CONFIRMED;
    json_t *pings = json_object();
    unsigned shown = 0;

    for (unsigned from = 0; from < c->node_count; from++)
        for (unsigned to = 0; to < net_station_count(f); to++) {
            const struct net_ping *p = &n->pings[from][to];
            unsigned links = healed ? 0
                                    : link_set_has(&n->links, from, to) +
                                          link_set_has(&n->links, to, from);
            bool shows = net_ping_shows(n, p, &n->usual[from][to], links);
            char pair[PROBE_PAIR_NAME_MAX];

            if (from == to)
                continue;
            probe_pair_name(c, from, to, pair);
            json_object_set_new(pings, pair,
                                json_pack("[i, i, i, i, f]", (int)p->sent,
                                          (int)p->received, (int)p->duplicates,
                                          (int)p->overtaken, p->average_ms));
            shown += links > 0 && shows;
            if (!p->answered || (p->received == 0 && !net_may_be_silent(n)))
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if (links == 0 ? shows : n->kind == NET_DELAY && !shows)
                proof = PROOF_MISMATCH;
        }
    json_object_set_new(f->evidence, "pings_sent_received_twice_overtaken_ms",
                        pings);
    return !healed && shown == 0 ? PROOF_MISMATCH : proof;
}

enum proof
net_judge_rest(struct fault *f)
{
    const struct net_fault *n = f->state;
    enum proof proof = PROOF_CONFIRMED;

    for (unsigned from = 0; from < f->world->cluster->node_count; from++)
        for (unsigned to = 0; to < net_station_count(f); to++) {
            const struct net_ping *p = &n->pings[from][to];

            if (from == to)
                continue;
            if (!p->answered)
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if (p->received == 0)
                proof = PROOF_MISMATCH;
        }
    json_object_set_new(f->evidence, "pings_pass",
                        json_boolean(proof == PROOF_CONFIRMED));
    return proof;
}
