/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a script on each node starts one connect per peer, all at once,
 * and prints one line for each; all nodes at once as well, so that a whole
 * matrix takes about a second; then all hosts of clients at once, another.
 *
 * Failure modes: a line that is missing or not understood leaves PROBE_UNKNOWN.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/probe.h"
#include "nemesis/target.h"

#define PROBE_TIMEOUT_NS NS_PER_S /* nc's -w 1 below, and that of clients */
#define PROBE_TRIES_MAX 3

/* $1 the port for addresses that bring none: "10.77.0.101/7100". */
static const struct guest_script probe_script = {
    .name = "ordeal-probe",
    .text = "port=$1; shift\n"
            "for a; do {\n"
            "    p=$port; case $a in */*) p=${a#*/};; esac; a=${a%/*}\n"
            "    if m=$(" GUEST_BUSYBOX " nc -w 1 \"$a\" \"$p\""
            " -e " GUEST_BUSYBOX " true 2>&1 </dev/null); then m=open; fi\n"
            "    echo \"$a $m\"\n"
            "} & done\n"
            "wait\n",
};

unsigned
probe_station_count(const struct cluster *c)
{
    return c->node_count + (c->clients == NULL ? 0 : c->clients->count);
}

bool
probe_is_pair(const struct cluster *c, unsigned from, unsigned to)
{
    return from != to && (from < c->node_count || to < c->node_count);
}

void
probe_pair_name(const struct cluster *c, unsigned from, unsigned to,
                char ret[static PROBE_PAIR_NAME_MAX])
{
    char a[STATION_NAME_MAX], b[STATION_NAME_MAX];

    station_name(from, c->node_count, a);
    station_name(to, c->node_count, b);
    snprintf(ret, PROBE_PAIR_NAME_MAX, "%s>%s", a, b);
}

const char *
probe_address(const struct cluster *c, unsigned station)
{
    return station < c->node_count
               ? c->nodes[station].cluster_address
               : c->clients->addresses[station - c->node_count];
}

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

uint16_t
probe_client_port(const struct fault_world *w)
{
    return w->system->door_count > 0 ? w->system->door_ports[0]
                                     : w->system->peer_port;
}

static void
probe_hand_on(const struct cluster *c, unsigned from, const char *line,
              probe_take take, void *ctx)
{
    for (unsigned to = 0; to < probe_station_count(c); to++) {
        const char *address = probe_address(c, to);
        size_t len = strlen(address);

        if (strncmp(line, address, len) == 0 && line[len] == ' ')
            take(ctx, from, to, line + len + 1);
    }
}

int
probe_ask(const struct fault_world *w, unsigned from,
          const struct guest_script *script, const char *const args[],
          int64_t timeout_ns, probe_take take, void *ctx, struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    char *save = NULL;

    exec_result_init(&result);
    if (guest_script_for(&w->remotes[from], script, args, timeout_ns, &result,
                         err) < 0)
        return -1;
    if (result.out.len == 0)
        return 0;
    for (char *line = strtok_r(result.out.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        probe_hand_on(w->cluster, from, line, take, ctx);
    return 0;
}

/* "10.77.0.12 open", "10.77.0.12 nc: timed out" */
static void
probe_take_connect(void *ctx, unsigned from, unsigned to, const char *text)
{
    struct probe_round *p = ctx;

    if (strcmp(text, "open") == 0 || strstr(text, "Connection refused") != NULL)
        p->matrix.result[from][to] = PROBE_OPEN;
    else if (strstr(text, "timed out") != NULL)
        p->matrix.result[from][to] = PROBE_CUT;
}

static int
probe_from(void *ctx, unsigned from, struct error *err)
{
    struct probe_round *p = ctx;
    const struct cluster *c = p->world->cluster;
    const char *args[STATION_COUNT_MAX + 2];
    char clients[CLIENT_HOST_COUNT_MAX][80], port[8];
    size_t n = 0;

    snprintf(port, sizeof(port), "%" PRIu16, p->world->system->peer_port);
    args[n++] = port;
    for (unsigned to = 0; to < c->node_count; to++)
        if (to != from)
            args[n++] = c->nodes[to].cluster_address;
    for (unsigned i = 0; c->clients != NULL && i < c->clients->count; i++) {
        snprintf(clients[i], sizeof(clients[i]), "%s/%" PRIu16,
                 c->clients->addresses[i], probe_client_port(p->world));
        args[n++] = clients[i];
    }
    args[n] = NULL;
    return probe_ask(p->world, from, &probe_script, args, FAULT_EXEC_TIMEOUT_NS,
                     probe_take_connect, p, err);
}

/* ---- from hosts of clients ---- */

#define PROBE_CONNECTS_MAX (CLIENT_HOST_COUNT_MAX * NODE_COUNT_MAX)

struct probe_connects {
    unsigned count;
    int fds[PROBE_CONNECTS_MAX];
    enum probe_result *results[PROBE_CONNECTS_MAX];
};

static enum probe_result
probe_outcome(int code)
{
    return code == 0 || code == ECONNREFUSED ? PROBE_OPEN
           : code == EINPROGRESS             ? PROBE_CUT
                                             : PROBE_UNKNOWN;
}

static int
probe_connect(struct probe_round *p, struct probe_connects *all, unsigned host,
              unsigned to, struct error *err)
{
    const struct cluster *c = p->world->cluster;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(probe_client_port(p->world))};
    enum probe_result *result = &p->matrix.result[c->node_count + host][to];
    int fd =
        c->clients->socket(c->clients, host, SOCK_STREAM | SOCK_NONBLOCK, err);

    if (fd < 0)
        return -1;
    all->fds[all->count] = fd;
    all->results[all->count++] = result;
    if (inet_pton(AF_INET, c->nodes[to].cluster_address, &address.sin_addr) !=
        1)
        return error_set(err, ERROR_BUG, "'%s' is no address",
                         c->nodes[to].cluster_address);
    *result = probe_outcome(
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0
                                                                       : errno);
    return 0;
}

/* Until all have an outcome, or the time is over: silence is a cut. */
static void
probe_wait(struct probe_connects *all)
{
    struct clock *clock = clock_monotonic();
    int64_t deadline = clock_now_ns(clock) + PROBE_TIMEOUT_NS;

    for (;;) {
        int64_t left = deadline - clock_now_ns(clock);
        struct pollfd fds[PROBE_CONNECTS_MAX];
        unsigned open = 0;

        for (unsigned i = 0; i < all->count; i++) {
            bool waits = *all->results[i] == PROBE_CUT;

            fds[i] = (struct pollfd){.fd = waits ? all->fds[i] : -1,
                                     .events = POLLOUT};
            open += waits;
        }
        if (open == 0 || left <= 0)
            return;
        if (poll(fds, all->count, (int)(left / NS_PER_MS) + 1) <= 0)
            continue;
        for (unsigned i = 0; i < all->count; i++) {
            int code = EIO;
            socklen_t len = sizeof(code);

            if (fds[i].revents == 0)
                continue;
            getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &code, &len);
            *all->results[i] = probe_outcome(code);
        }
    }
}

static int
probe_from_clients(struct probe_round *p, struct error *err)
{
    const struct cluster *c = p->world->cluster;
    struct probe_connects all = {.count = 0};
    int rc = 0;

    for (unsigned host = 0; c->clients != NULL && host < c->clients->count;
         host++)
        for (unsigned to = 0; to < c->node_count && rc == 0; to++)
            rc = probe_connect(p, &all, host, to, err);
    if (rc == 0)
        probe_wait(&all);
    for (unsigned i = 0; i < all.count; i++)
        close(all.fds[i]);
    return rc;
}

/* ---- all of it ---- */

int
probe_pairs(const struct fault_world *w, struct probe_matrix *ret,
            struct error *err)
{
    struct probe_round round = {.world = w};

    if (fanout(node_set_all(w->cluster->node_count), probe_from, &round, err) <
            0 ||
        probe_from_clients(&round, err) < 0)
        return -1;
    *ret = round.matrix;
    return 0;
}

enum proof
probe_judge(struct fault *f, const struct probe_matrix *m, probe_drops drops)
{
    const struct cluster *c = f->world->cluster;
    unsigned count = probe_station_count(c);
    enum proof proof = PROOF_CONFIRMED;
    json_t *probes = json_object();

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            bool cut =
                drops != NULL && (drops(f, from, to) || drops(f, to, from));
            enum probe_result r = m->result[from][to];
            char pair[PROBE_PAIR_NAME_MAX];

            if (!probe_is_pair(c, from, to))
                continue;
            probe_pair_name(c, from, to, pair);
            json_object_set_new(probes, pair, json_string(probe_name(r)));
            if (r == PROBE_UNKNOWN)
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if ((r == PROBE_CUT) != cut)
                proof = proof_merge(proof, PROOF_MISMATCH);
        }
    json_object_set_new(f->evidence, "probes", probes);
    return proof;
}

int
probe_prove_cut(struct fault *f, probe_drops drops, enum proof *ret,
                struct error *err)
{
    struct probe_matrix matrix = {0}, again;
    unsigned count = probe_station_count(f->world->cluster);

    for (int try = 0; try < PROBE_TRIES_MAX; try++) {
        if (probe_pairs(f->world, &again, err) < 0)
            return -1;
        for (unsigned from = 0; from < count; from++)
            for (unsigned to = 0; to < count; to++)
                if (matrix.result[from][to] != PROBE_OPEN)
                    matrix.result[from][to] = again.result[from][to];
        *ret = probe_judge(f, &matrix, drops);
        if (*ret == PROOF_CONFIRMED)
            break;
    }
    return 0;
}
