/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run does about the wire of its cluster: rules that its links always
 * have, captures, looks at what was lost without an order, and all of it in
 * the bundle.  A run without a switch of ours does none of it.
 *
 * Failure modes: a rule or capture that cannot be had fails the run before its
 * load; a look that fails is left out, since the next one counts the same.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/log.h"
#include "harness/run-internal.h"
#include "nemesis/fabric/switch.h"

/* One in so many: the kernel's table of sockets is read each time. */
#define RUN_LOSS_LOOK_NS NS_PER_S

static struct fabric_switch *
run_fabric(struct run *r)
{
    return r->site.cluster_made ? provider_fabric(&r->site.provider) : NULL;
}

static unsigned
run_stations(struct run *r)
{
    return r->site.cluster.node_count + r->client_hosts;
}

/* ---- before the load ---- */

/* On every link, as the scenario says; faults put theirs behind. */
static int
run_put_links(struct run *r, struct fabric_switch *sw, struct error *err)
{
    const struct scenario_links *l = &r->scenario->links;
    const struct link_rule rule = {
        .delay_ns = l->delay_ns,
        .jitter_ns = l->jitter_ns,
        .distribution = l->jitter_ns > 0 ? LINK_UNIFORM : LINK_CONSTANT,
        .rate_bits = l->rate_bits,
        .queue_ns = l->queue_ns};
    struct link_set links = link_set_all(run_stations(r));
    unsigned id;

    if (l->rate_bits == 0 && l->delay_ns == 0)
        return 0;
    return switch_rule_add(sw, &links, &rule, &id, err);
}

static int
run_start_captures(struct run *r, struct fabric_switch *sw, struct error *err)
{
    unsigned count = r->scenario->capture == CAPTURE_NONE ? 0
                     : r->scenario->capture == CAPTURE_NODES
                         ? r->site.cluster.node_count
                         : run_stations(r);

    for (unsigned i = 0; i < count; i++) {
        CLEANUP_FREE char *relative = NULL, *path = NULL;
        struct pcap_options o = {.bytes_max = PCAP_BYTES_MAX};
        char name[STATION_NAME_MAX];

        station_name(i, r->site.cluster.node_count, name);
        relative = xasprintf("net/%s.pcap", name);
        path = bundle_path(r->bundle, relative, err);
        o.path = path;
        if (path == NULL || switch_capture_start(sw, i, &o, err) < 0)
            return error_wrap(err, "capture of %s", name);
    }
    return 0;
}

int
run_network_ready(struct run *r, struct error *err)
{
    const struct cluster *c = &r->site.cluster;
    struct fabric_switch *sw = run_fabric(r);

    r->client_hosts = c->clients == NULL ? 0 : c->clients->count;
    if (c->no_clients[0] != '\0')
        run_remark(r,
                   "clients used the nodes' doors, which accept before a node "
                   "does: a connect proved nothing (%s)",
                   c->no_clients);
    if (sw == NULL)
        return 0;
    r->loss = loss_new(run_stations(r));
    switch_set_seed(sw, r->seed);
    if (run_put_links(r, sw, err) < 0 || run_start_captures(r, sw, err) < 0)
        return error_wrap(err, "cluster network");
    return 0;
}

/* ---- what was lost ---- */

static void
run_count_loss(struct run *r, struct fabric_switch *sw,
               struct loss_counts ret[static STATION_COUNT_MAX])
{
    for (unsigned to = 0; to < run_stations(r); to++) {
        struct switch_port_stats port;

        switch_stats(sw, to, &port);
        ret[to] =
            (struct loss_counts){.frames = port.frames_in + port.frames_out,
                                 .switch_drops = port.switch_drops,
                                 .station_drops = port.station_drops};
        for (unsigned from = 0; from < run_stations(r); from++) {
            struct switch_link_stats link;

            if (from == to)
                continue;
            switch_link_stats(sw, from, to, &link);
            ret[to].queue_full += link.queue_full;
            ret[to].unsent += link.unsent;
        }
    }
}

static void
run_look_at_loss(struct run *r, struct fabric_switch *sw)
{
    struct loss_counts counts[STATION_COUNT_MAX] = {0};
    struct error err;

    if (switch_read_drops(sw, &err) < 0) {
        log_debug("run", "%s, continuing", err.text);
        return;
    }
    run_count_loss(r, sw, counts);
    loss_look(r->loss, clock_now_ns(r->clock), counts);
}

void
run_network_look(struct run *r)
{
    struct fabric_switch *sw = run_fabric(r);
    int64_t now = clock_now_ns(r->clock);

    if (r->loss == NULL || sw == NULL || now < r->loss_look_ns)
        return;
    r->loss_look_ns = now + RUN_LOSS_LOOK_NS;
    run_look_at_loss(r, sw);
}

/* Of a fault of the network, the hosts of clients as well. */
static uint32_t
run_fault_stations(const struct run *r, const json_t *fault)
{
    const char *name = json_string_value(json_object_get(fault, "fault"));
    const struct cluster *c = &r->site.cluster;
    uint32_t stations = 0;
    size_t i;
    json_t *node;

    json_array_foreach (json_object_get(fault, "nodes"), i, node) {
        for (unsigned k = 0; k < c->node_count; k++)
            if (json_is_string(node) &&
                strcmp(json_string_value(node), c->nodes[k].name) == 0)
                stations |= UINT32_C(1) << k;
    }
    if (name != NULL && strncmp(name, "net-", 4) == 0)
        for (unsigned k = 0; k < r->client_hosts; k++)
            stations |= UINT32_C(1) << (c->node_count + k);
    return stations;
}

/* To be freed. */
static struct loss_fault *
run_loss_faults(struct run *r, size_t *ret_count)
{
    json_t *faults = run_fold_faults(r), *fault;
    struct loss_fault *all = xcalloc(json_array_size(faults) + 1, sizeof(*all));
    size_t i;

    json_array_foreach (faults, i, fault) {
        const json_t *healed = json_object_get(fault, "healed_ns");

        all[i] = (struct loss_fault){
            .id = json_integer_value(json_object_get(fault, "id")),
            .from_ns = r->started_ns + json_integer_value(json_object_get(
                                           fault, "injected_ns")),
            .to_ns = healed == NULL
                         ? INT64_MAX
                         : r->started_ns + json_integer_value(healed),
            .stations = run_fault_stations(r, fault)};
    }
    *ret_count = json_array_size(faults);
    json_decref(faults);
    return all;
}

/* ---- into the bundle ---- */

static json_t *
run_link_json(const struct switch_link_stats *s)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "seen",
        (json_int_t)s->seen, "seen_bytes", (json_int_t)s->seen_bytes, "passed",
        (json_int_t)s->passed, "passed_bytes", (json_int_t)s->passed_bytes,
        "taken", (json_int_t)s->taken, "duplicated", (json_int_t)s->duplicated,
        "corrupted", (json_int_t)s->corrupted, "delayed",
        (json_int_t)s->delayed, "purged", (json_int_t)s->purged, "queue_full",
        (json_int_t)s->queue_full, "unsent", (json_int_t)s->unsent, "waiting",
        (json_int_t)s->waiting);
}

static json_t *
run_port_json(const struct switch_port_stats *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "frames_in", (json_int_t)s->frames_in, "frames_out",
                     (json_int_t)s->frames_out, "refused",
                     (json_int_t)s->refused, "failed", (json_int_t)s->failed,
                     "malformed", (json_int_t)s->malformed, "foreign",
                     (json_int_t)s->foreign, "unknown", (json_int_t)s->unknown,
                     "switch_drops", (json_int_t)s->switch_drops,
                     "station_drops", (json_int_t)s->station_drops);
}

static json_t *
run_counters_json(struct run *r, struct fabric_switch *sw)
{
    json_t *ports = json_object(), *links = json_object();

    for (unsigned from = 0; from < run_stations(r); from++) {
        struct switch_port_stats port;
        char name[STATION_NAME_MAX];

        switch_stats(sw, from, &port);
        station_name(from, r->site.cluster.node_count, name);
        json_object_set_new(ports, name, run_port_json(&port));
        for (unsigned to = 0; to < run_stations(r); to++) {
            struct switch_link_stats link;
            char other[STATION_NAME_MAX], pair[40];

            switch_link_stats(sw, from, to, &link);
            if (from == to || link.seen == 0)
                continue;
            station_name(to, r->site.cluster.node_count, other);
            snprintf(pair, sizeof(pair), "%s>%s", name, other);
            json_object_set_new(links, pair, run_link_json(&link));
        }
    }
    return json_pack("{s:o, s:o}", "ports", ports, "links", links);
}

/* What the captures have, and what they had no room for. */
static json_t *
run_end_captures(struct run *r, struct fabric_switch *sw)
{
    json_t *captures = json_object();

    for (unsigned i = 0;
         r->scenario->capture != CAPTURE_NONE && i < run_stations(r); i++) {
        struct pcap_stats stats = {0};
        struct error err;
        char name[STATION_NAME_MAX];

        station_name(i, r->site.cluster.node_count, name);
        if (switch_capture_stop(sw, i, &stats, &err) < 0)
            run_remark(r, "capture of %s: %s", name, err.text);
        if (stats.frames + stats.skipped > 0)
            json_object_set_new(captures, name,
                                json_pack("{s:I, s:I, s:I}", "frames",
                                          (json_int_t)stats.frames, "bytes",
                                          (json_int_t)stats.bytes, "skipped",
                                          (json_int_t)stats.skipped));
    }
    return captures;
}

/* One line for people whatever was lost; infra when it was too much. */
static json_t *
run_judge_loss(struct run *r)
{
    json_t *intervals;
    uint64_t lost = 0;
    size_t count;
    struct loss_fault *faults = run_loss_faults(r, &count);
    char worst[256] = "";

    if (!loss_judge(r->loss, faults, count, r->site.cluster.node_count, &lost,
                    &intervals, worst, sizeof(worst)))
        run_mark(r, STATUS_INFRA, "%s (net/links.json)", worst);
    else if (lost > 0)
        run_remark(r,
                   "the cluster network lost %llu frames that no fault "
                   "explains: few enough for TCP to hide (net/links.json)",
                   (unsigned long long)lost);
    free(faults);
    return intervals;
}

void
run_network_collect(struct run *r)
{
    struct client_hosts *clients = r->site.cluster.clients;
    struct fabric_switch *sw = run_fabric(r);
    struct error err;
    json_t *all;

    if (clients != NULL && clients->check(clients, &err) < 0)
        run_mark(r, STATUS_INFRA, "attempts failed on our side: %s", err.text);
    if (sw == NULL || r->loss == NULL)
        return;
    run_look_at_loss(r, sw);
    all = run_counters_json(r, sw);
    json_object_set_new(all, "captures", run_end_captures(r, sw));
    json_object_set_new(all, "lost", run_judge_loss(r));
    if (bundle_add_json(r->bundle, "net/links.json", all, &err) < 0)
        log_warning("collect", "%s, continuing", err.text);
    json_decref(all);
}
