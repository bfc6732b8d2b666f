/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe runs in the background of its guest, since a request that a disk does
 * not answer can be neither ended nor waited for; the script reports after a
 * time what has become of it.
 *
 * Failure modes: a probe that could not be started makes a proof inconclusive.
 * A file system that cannot be mounted anew (something keeps it busy) costs a
 * reset of the machine.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/provider/machine.h"
#include "nemesis/boot.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/platter/disk.h"
#include "nemesis/platter/platter.h"

#define DISK_ORDER_TIMEOUT_NS (10 * NS_PER_S)
/* A disk that was stalled has a queue to work off. */
#define DISK_HEALED_PROBE_NS (8 * NS_PER_S)
#define DISK_POLL_NS (200 * NS_PER_MS)

bool
disk_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_PLATTER) &&
           machine_can(w->provider, MACHINE_RESET) && daemon_available(w);
}

int
disk_remember(struct fault *f, struct error *err)
{
    struct disk_fault *d = f->state;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        struct system_node n = world_node(f->world, i);

        if (f->targets >> i & 1 &&
            f->world->system->process(&n, &d->daemon.before[i], err) < 0)
            return -1;
    }
    return 0;
}

/* ---- orders ---- */

json_t *
disk_order(const struct fault_world *w, unsigned node, struct error *err,
           const char *order)
{
    json_t *reply = platter_command(
        machine_platter(w->provider, node),
        clock_now_ns(w->clock) + DISK_ORDER_TIMEOUT_NS, err, "%s", order);

    if (reply == NULL)
        error_wrap(err, "node '%s'", w->cluster->nodes[node].name);
    return reply;
}

int
disk_order_all(struct fault *f, const char *order, struct error *err)
{
    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        json_t *reply;

        if (!(f->targets >> i & 1))
            continue;
        reply = disk_order(f->world, i, err, order);
        if (reply == NULL)
            return -1;
        json_decref(reply);
    }
    return 0;
}

/* ---- probes ---- */

/*
 * $1 write or read, $2 how long to wait, in tenths of a second, $3 the block.
 * Answers "STATUS CENTISECONDS what dd said", or "- CENTISECONDS".
 */
static const struct guest_script disk_probe_script = {
    .name = "ordeal-disk-probe",
    .text =
        "b=" GUEST_BUSYBOX "; out=/run/ordeal-probe.$$; kind=$1; block=$3\n"
        "now() { read -r up idle </proc/uptime; echo \"${up%.*}${up#*.}\"; }\n"
        "for d in /sys/block/*; do\n"
        "    [ \"$($b cat \"$d/serial\" 2>/dev/null)\" = ordeal-data ] &&\n"
        "        dev=/dev/${d##*/}\n"
        "done\n"
        "start=$(now)\n"
        "{\n"
        "    if [ \"$kind\" = write ]; then\n"
        "        $b dd if=/dev/zero of=/data/.ordeal-probe bs=4096 count=1 \\\n"
        "            conv=notrunc,fsync\n"
        "    else\n"
        "        $b dd if=\"$dev\" of=/dev/null bs=4096 count=1 \\\n"
        "            skip=\"$block\" iflag=direct\n"
        "    fi\n"
        "    echo $? \"$(now)\" >\"$out.end\"\n"
        "} </dev/null >\"$out\" 2>&1 &\n"
        "left=$2\n"
        "while [ ! -s \"$out.end\" ] && [ $left -gt 0 ]; do\n"
        "    $b sleep 0.1; left=$((left - 1))\n"
        "done\n"
        "if [ -s \"$out.end\" ]; then\n"
        "    read -r status end <\"$out.end\"\n"
        "    echo \"$status $((end - start)) $($b head -n 1 \"$out\")\"\n"
        "    $b rm -f \"$out\" \"$out.end\"\n"
        "else\n"
        "    echo \"- $(($(now) - start))\"\n"
        "fi\n",
};

static bool
disk_parse_probe(char *line, struct disk_probe *ret)
{
    int used = 0;
    long centiseconds;

    line[strcspn(line, "\n")] = '\0';
    *ret = (struct disk_probe){.status = -1};
    if (sscanf(line, "- %ld", &centiseconds) == 1) {
        ret->took_ns = centiseconds * 10 * NS_PER_MS;
        return true;
    }
    if (sscanf(line, "%d %ld %n", &ret->status, &centiseconds, &used) < 2)
        return false;
    ret->finished = true;
    ret->took_ns = centiseconds * 10 * NS_PER_MS;
    if (ret->status != 0)
        snprintf(ret->message, sizeof(ret->message), "%s", line + used);
    return true;
}

int
disk_probe(const struct fault_world *w, unsigned node,
           enum disk_probe_kind kind, uint64_t offset, int64_t limit_ns,
           struct disk_probe *ret, struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    char limit[24], block[24];
    const char *const args[] = {kind == DISK_PROBE_WRITE ? "write" : "read",
                                limit, block, NULL};

    snprintf(limit, sizeof(limit), "%" PRId64, limit_ns / (100 * NS_PER_MS));
    snprintf(block, sizeof(block), "%" PRIu64, offset / DISK_BLOCK_BYTES);
    exec_result_init(&result);
    if (guest_script(&w->remotes[node], &disk_probe_script, args, &result,
                     err) < 0)
        return -1;
    if (result.status == 0 && result.out.len > 0 &&
        disk_parse_probe(result.out.data, ret))
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "node '%s': disk probe: %.200s",
                     w->cluster->nodes[node].name, buf_text(&result.err));
}

json_t *
disk_probe_to_json(const struct disk_probe *p)
{
    json_t *json = json_pack("{s:b, s:i}", "finished", p->finished, "ms",
                             (int)(p->took_ns / NS_PER_MS));

    if (p->finished)
        json_object_set_new(json, "status", json_integer(p->status));
    if (p->message[0] != '\0')
        json_object_set_new(json, "said", json_string(p->message));
    return json;
}

/* ---- heal ---- */

/* Flips are contents, and the log of a liar is at risk until it is stable. */
static const char *const disk_heal_orders[] = {"clear", "unflip", "sync"};

/* Unmounts, checks, mounts; as init does it. */
static const struct guest_script disk_mount_script = {
    .name = "ordeal-disk-mount",
    .text = "b=" GUEST_BUSYBOX "\n"
            "for d in /sys/block/*; do\n"
            "    [ \"$($b cat \"$d/serial\" 2>/dev/null)\" = ordeal-data ] &&\n"
            "        dev=/dev/${d##*/}\n"
            "done\n"
            "$b umount /data || exit 1\n"
            "/sbin/e2fsck -p \"$dev\"\n"
            "$b mount -t ext4 -o noatime,nodev,noinit_itable \"$dev\" /data\n",
};

static int
disk_end_daemon(const struct fault_world *w, unsigned node, struct error *err)
{
    struct system_node n = world_node(w, node);
    struct process_id now = {0};

    if (w->system->process(&n, &now, err) < 0)
        return -1;
    return now.pid == 0 ? 0 : w->system->signal(&n, SIGKILL, err);
}

static int
disk_mount_anew(const struct fault_world *w, unsigned node, struct error *err)
{
    static const char *const none[] = {NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    char before[BOOT_ID_SIZE];

    exec_result_init(&result);
    if (disk_end_daemon(w, node, err) < 0 ||
        guest_script(&w->remotes[node], &disk_mount_script, none, &result,
                     err) < 0)
        return -1;
    if (result.status == 0)
        return 0;
    if (boot_id(w, node, before, err) < 0 ||
        machine_reset(w->provider, node, err) < 0)
        return -1;
    return boot_wait(w, node, before, err);
}

static int
disk_heal_node(void *ctx, unsigned node, struct error *err)
{
    const struct fault_world *w = ctx;
    struct disk_probe probe = {.finished = false};

    for (size_t i = 0; i < ARRAY_LEN(disk_heal_orders); i++) {
        json_t *reply = disk_order(w, node, err, disk_heal_orders[i]);

        if (reply == NULL)
            return -1;
        json_decref(reply);
    }
    if (disk_probe(w, node, DISK_PROBE_WRITE, 0, DISK_HEALED_PROBE_NS, &probe,
                   err) < 0)
        return -1;
    if (!probe.finished)
        return error_set(err, ERROR_TRANSIENT, "node '%s': a write still waits",
                         w->cluster->nodes[node].name);
    if (probe.status != 0 && disk_mount_anew(w, node, err) < 0)
        return -1;
    return daemon_restart(w, 1u << node, err);
}

int
disk_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, disk_heal_node, (void *)f->world, err);
}

/* ---- proofs ---- */

static bool
disk_is_plain(const json_t *stats)
{
    static const char *const kinds[] = {"read", "write", "flush", "zero",
                                        "trim"};
    bool plain =
        json_is_true(json_object_get(stats, "powered")) &&
        json_is_false(json_object_get(stats, "lying")) &&
        json_array_size(json_object_get(stats, "rules")) == 0 &&
        json_array_size(json_object_get(stats, "stalled")) == 0 &&
        json_integer_value(json_object_get(stats, "stale_bytes")) == 0 &&
        json_integer_value(json_object_get(stats, "flips_open")) == 0;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const json_t *kind = json_object_get(stats, kinds[i]);

        plain = plain &&
                json_integer_value(json_object_get(kind, "latency_ns")) == 0;
    }
    return plain;
}

static int
disk_look_healed(struct fault *f, unsigned node, enum proof *ret,
                 struct error *err)
{
    struct disk_probe probe = {.finished = false};
    json_t *stats = disk_order(f->world, node, err, "stats");
    bool plain = disk_is_plain(stats);
    json_t *of;

    json_decref(stats);
    if (stats == NULL || disk_probe(f->world, node, DISK_PROBE_WRITE, 0,
                                    DISK_HEALED_PROBE_NS, &probe, err) < 0)
        return -1;
    of = json_object_get(f->evidence, f->world->cluster->nodes[node].name);
    json_object_set_new(of, "disk_plain", json_boolean(plain));
    json_object_set_new(of, "probe", disk_probe_to_json(&probe));
    *ret = plain && probe.finished && probe.status == 0 ? PROOF_CONFIRMED
                                                        : PROOF_MISMATCH;
    return 0;
}

int
disk_prove_healed(struct fault *f, enum proof *ret, struct error *err)
{
    enum proof daemon = PROOF_INCONCLUSIVE, disk = PROOF_INCONCLUSIVE;

    if (daemon_prove_up(f, &daemon, err) < 0 ||
        fault_look_each(f, disk_look_healed, &disk, err) < 0)
        return -1;
    *ret = proof_merge(daemon, disk);
    return 0;
}

/* ---- undo ---- */

/*
 * A platter that is gone does nothing any more.  One that waits for its last
 * client still takes orders.
 */
int
disk_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    for (unsigned i = 0; i < w->cluster->node_count; i++) {
        CLEANUP_FREE char *control =
            xasprintf("%s/n%u-data.ctl", w->cluster->runtime_dir, i + 1);
        struct platter p = {.control_path = control};

        for (size_t k = 0; nodes >> i & 1 && k < ARRAY_LEN(disk_heal_orders);
             k++) {
            struct error said = {0};
            json_t *reply = platter_command(
                &p, clock_now_ns(w->clock) + DISK_ORDER_TIMEOUT_NS, &said, "%s",
                disk_heal_orders[k]);

            json_decref(reply);
            if (reply == NULL && said.kind != ERROR_TRANSIENT) {
                *err = said;
                return -1;
            }
        }
    }
    return 0;
}
