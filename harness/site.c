/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/paths.h"
#include "harness/provider/cluster.h"
#include "harness/provider/runtime-dir.h"
#include "harness/site.h"
#include "nemesis/fabric/namespace-port.h"

#define SITE_OPEN_TIMEOUT_NS (30 * NS_PER_S)

static int
site_connect(struct site *s, struct error *err)
{
    for (unsigned i = 0; i < s->cluster.node_count; i++)
        remote_init(&s->remotes[i], &remote_ssh_ops, &s->cluster.nodes[i].ssh,
                    s->clock);
    for (unsigned i = 0; i < s->cluster.node_count; i++)
        if (remote_open(&s->remotes[i],
                        clock_now_ns(s->clock) + SITE_OPEN_TIMEOUT_NS, err) < 0)
            return error_wrap(err, "%s", s->cluster.nodes[i].name);
    return 0;
}

int
site_open(struct site *s, const struct site_options *o, struct clock *clock,
          struct error *err)
{
    CLEANUP_FREE char *client_program = paths_program(NAMESPACE_PROGRAM);
    struct cluster_spec spec = {
        .node_count = o->node_count,
        .run_id = o->run_id,
        .image_dir = o->image_dir,
        .memory_mib = o->memory_mib,
        .vcpus = o->vcpus,
        .data_disk_mib = o->data_disk_mib,
        .door_ports = o->system->door_ports,
        .door_count = o->system->door_count,
        .client_host_count = o->client_count < CLIENT_HOST_COUNT_MAX
                                 ? o->client_count
                                 : CLIENT_HOST_COUNT_MAX,
        .client_program = client_program,
        .given_up = o->given_up,
    };

    s->clock = clock;
    if (runtime_dir_create(o->run_id, s->runtime_dir, err) < 0)
        return -1;
    spec.runtime_dir = s->runtime_dir;
    if (provider_open(&s->provider, o->provider, clock, o->uri, err) < 0)
        return -1;
    s->provider_opened = true;
    if (provider_create(&s->provider, &spec, &s->cluster, err) < 0)
        return -1;
    s->cluster_made = true;
    return site_connect(s, err);
}

void
site_close(struct site *s)
{
    struct error err = {0};

    for (unsigned i = 0; s->cluster_made && i < s->cluster.node_count; i++)
        remote_close(&s->remotes[i]);
    if (s->provider_opened) {
        if (provider_destroy(&s->provider, &err) < 0)
            log_warning("teardown", "%s, continuing", err.text);
        provider_close(&s->provider);
    }
    if (s->runtime_dir[0] != '\0' && dir_remove(s->runtime_dir, &err) < 0)
        log_warning("teardown", "%s, continuing", err.text);
    s->runtime_dir[0] = '\0';
    s->provider_opened = s->cluster_made = false;
}
