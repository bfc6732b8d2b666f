/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the faults of the fabric share (nemesis/fabric/net-*.c only): one rule
 * on links of the switch, from its parameters to its proofs.
 *
 * Stations are the nodes and the hosts of clients, as in nemesis/probe.h, and
 * number i is port i of the switch.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_NET_FAULT_H
#define ORDEAL_NEMESIS_FABRIC_NET_FAULT_H

#include "nemesis/fabric/shape.h"
#include "nemesis/fabric/switch.h"
#include "nemesis/probe.h"

enum net_kind {
    NET_DROP,
    NET_DELAY,
    NET_LOSS,
    NET_DUPLICATE,
    NET_CORRUPT,
    NET_REORDER,
    NET_RATE,
};

/* Which links a rule may lie on. */
enum net_links {
    NET_LINKS_NODES,   /* between nodes */
    NET_LINKS_CLIENTS, /* between nodes and hosts of clients */
    NET_LINKS_ALL,
};

enum net_shape {
    NET_ISOLATE, /* each target from every other station */
    NET_GROUP,   /* the targets from the rest */
    NET_SHAPES,  /* from here on: enum shape, drawn from the fault's seed */
};

enum net_direction { NET_BOTH, NET_IN, NET_OUT };
enum net_traffic { NET_ALL, NET_PEER_PORT, NET_CLIENT_PORT };

/* What a node saw of another station in one round of pings. */
struct net_ping {
    bool answered; /* by the node that pings: the rest is set */
    unsigned sent, received, duplicates;
    unsigned overtaken; /* answers that came after a later one */
    double min_ms, average_ms;
};

struct net_fault {
    enum net_kind kind;
    unsigned links_of, shape, direction, traffic, waiting;
    struct link_rule rule;
    struct link_set links; /* once injected */
    unsigned id;           /* 0: not injected */
    struct link_rule_stats before[STATION_COUNT_MAX][STATION_COUNT_MAX];
    struct net_ping pings[NODE_COUNT_MAX][STATION_COUNT_MAX];
    /* The same without the fault: busy guests take tens of ms. */
    struct net_ping usual[NODE_COUNT_MAX][STATION_COUNT_MAX];
    /* Bytes of an echo that came back changed, and that did not come. */
    struct net_echo {
        bool answered;
        unsigned received, changed;
    } echoes[NODE_COUNT_MAX][NODE_COUNT_MAX];
};

/* ---- net-params.c ---- */

/* Fills what the fault's params say.  ERROR_CONFIG. */
int net_read(const struct fault *f, struct net_fault *n, struct error *err);

/* ---- net-links.c ---- */

/* Sets n->links from targets, shape and seed. */
int net_choose_links(const struct fault *f, struct net_fault *n,
                     struct error *err);

/* ---- net-pings.c ---- */

/* Each node pings each station that shares a link with it. */
int net_ping_all(struct fault *f, bool few, struct error *err);

/* A round without the fault, for what is compared with it. */
int net_measure_usual(struct fault *f, struct error *err);

/* Compares the last round with the rule; writes it into the evidence. */
enum proof net_judge_pings(struct fault *f, bool healed);

/* Everything was answered: a rule for one port leaves pings alone. */
enum proof net_judge_rest(struct fault *f);

/* How many pings of how many bytes wait for each other at 'rate_bits'. */
#define NET_RATE_PING_BYTES 1372
unsigned net_rate_pings(uint64_t rate_bits);

/* ---- net-echo.c ---- */

/* Each node sends bytes to each other, which sends them back. */
int net_echo_all(struct fault *f, struct error *err);
enum proof net_judge_echoes(struct fault *f, bool healed);

#endif
