/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a schedule is like, drawn from its seed: some are rough on the network,
 * some on disks, some on processes, some on everything; a wrong line is looked
 * for where it can show.
 */
#include "config.h"

#include "tests/simulation/sim.h"

#define MS UINT64_C(1000000)

static double
sometimes(struct rng *r, double chance, double most)
{
    return rng_chance(r, chance) ? most * rng_unit(r) : 0;
}

static void
draw_config(struct profile *p, struct rng *r, unsigned mutation)
{
    struct vsr_config *c = &p->config;
    vsr_config_init(c, 0, p->nodes, 0);
    c->election_timeout_ns = 60 * MS + rng_below(r, 90 * MS);
    c->heartbeat_ns = c->election_timeout_ns / 5;
    c->retransmit_ns = 20 * MS + rng_below(r, 20 * MS);
    c->metadata_interval_ns = 20 * MS + rng_below(r, 100 * MS);
    c->pipeline_max = 4 + (uint32_t)rng_below(r, 60);
    c->reads_max = 2 + (uint32_t)rng_below(r, 10);
    c->log_entries_max = 256 + (uint32_t)rng_below(r, 256);
    c->log_bytes_max = 1u << 20;
    c->snapshot_interval = 8 + (uint32_t)rng_below(r, 80);
    c->retain_entries = (uint32_t)rng_below(r, 24);
    c->catch_up_entries = 1 + (uint32_t)(p->fault_ns % 40);
    c->bug_stale_read = mutation == SIM_BUG_STALE_READ;
    c->bug_ack_before_commit = mutation == SIM_BUG_ACK_BEFORE_COMMIT;
    if (mutation < VSR_MUTATION_COUNT)
        c->mutation = mutation;
}

static void
calm(struct profile *p)
{
    p->nodes = p->config.replica_count = 3;
    p->drop = p->duplicate = p->late = p->late_ok = 0;
    p->sync_failure = p->bad_chunk = 0;
    p->crash_ns = p->partition_ns = p->pause_ns = 0;
    p->wipe = p->corrupt = p->chop = p->large_payload = 0;
    p->crash_voter = p->crash_opener = 0;
    p->disk_ns = MS;
    p->delay_ns = 2 * MS;
}

/* Some wrong lines show only under faults that are rare otherwise. */
static void
focus(struct profile *p, struct rng *r, unsigned mutation)
{
    switch (mutation) {
    case VSR_MUTATION_COMMIT_OLD_VIEW:
    case VSR_MUTATION_LEAD_AGAIN:
        p->crash_ns = 90 * MS;
        p->disk_ns = 10 * MS;
        break;
    case VSR_MUTATION_COUNT_OLD_LIFE:
        calm(p);
        p->fault_ns = 8000 * MS;
        p->drop = 0.15;
        p->late_ok = 0.4;
        p->wipe = 1;
        p->crash_voter = 0.2;
        p->partition_ns = 150 * MS;
        p->mend_ns = 120 * MS;
        break;
    case VSR_MUTATION_OLD_ROUND:
        calm(p);
        p->fault_ns = 6000 * MS;
        p->clients = 5;
        p->late_ok = 0.4;
        p->delay_ns = 15 * MS;
        p->partition_ns = 100 * MS;
        break;
    case VSR_MUTATION_SERVE_UNOPENED:
        calm(p);
        p->fault_ns = 6000 * MS;
        p->disk_ns = 20 * MS;
        p->drop = 0.15;
        p->partition_ns = 150 * MS;
        p->mend_ns = 200 * MS;
        p->crash_ns = 800 * MS;
        p->crash_opener = 0.3;
        break;
    case VSR_MUTATION_STALE_TRANSFER:
        p->late = 0.05;
        p->partition_ns = 200 * MS;
        break;
    case SIM_MUTATION_KEEP_TORN:
    case SIM_MUTATION_CUT_CORRUPT:
    case SIM_MUTATION_IGNORE_MARKS:
        p->crash_ns = 200 * MS;
        p->corrupt = p->chop = 0.3;
        break;
    case SIM_MUTATION_CONTINUE_FAILED_SYNC:
        p->sync_failure = 0.01;
        break;
    case SIM_MUTATION_SNAPSHOT_UNCHECKED:
        p->bad_chunk = 0.3;
        p->config.retain_entries = 0;
        break;
    default:
        break;
    }
}

/* Apart from the rest, whose draws stay what they were. */
static void
draw_machine(struct profile *p, uint64_t seed, unsigned mutation)
{
    static const struct {
        enum machine_kind kind;
        enum machine_bug bug;
    } planted[] = {
        {MACHINE_LEASE, MACHINE_DOUBLE_ALLOCATION},
        {MACHINE_LEASE, MACHINE_PARTIAL_BUNDLE},
        {MACHINE_QUOTA, MACHINE_OVERSPEND},
        {MACHINE_POOL, MACHINE_OVERCOMMIT},
        {MACHINE_BLOCK, MACHINE_STALE_CAS},
    };
    struct rng r;
    rng_init(&r, seed ^ 0x6d616368696e65);
    p->boundary = BOUNDARY_COUNT;
    if (mutation == VSR_MUTATION_NONE) {
        p->machine = (enum machine_kind)(seed % MACHINE_COUNT);
        if (rng_chance(&r, 0.5))
            p->boundary = (enum sim_boundary)rng_below(&r, BOUNDARY_COUNT);
    } else if (mutation >= SIM_BUG_DOUBLE_ALLOCATION) {
        p->machine = planted[mutation - SIM_BUG_DOUBLE_ALLOCATION].kind;
        p->bug = planted[mutation - SIM_BUG_DOUBLE_ALLOCATION].bug;
    }
    p->crash_boundary =
        p->boundary < BOUNDARY_CHECKPOINT_BEGIN ? 0.01 * rng_unit(&r) : 0.25;
}

void
profile_draw(struct profile *p, uint64_t seed, unsigned mutation)
{
    static const uint8_t sizes[] = {3, 3, 3, 3, 3, 3, 3, 5, 5, 7};
    struct rng r;
    rng_init(&r, seed ^ 0x70726f66696c65);
    *p = (struct profile){.nodes = sizes[rng_below(&r, ARRAY_LEN(sizes))],
                          .clients = 2 + (uint8_t)rng_below(&r, 4),
                          .fault_ns = 1500 * MS + rng_below(&r, 1500 * MS)};
    p->delay_ns =
        MS / 4 + rng_below(&r, rng_chance(&r, 0.3) ? 30 * MS : 3 * MS);
    p->drop = sometimes(&r, 0.5, 0.2);
    p->duplicate = sometimes(&r, 0.4, 0.2);
    p->late = sometimes(&r, 0.4, 0.05);
    p->disk_ns =
        MS / 10 + rng_below(&r, rng_chance(&r, 0.3) ? 25 * MS : 2 * MS);
    p->sync_failure = sometimes(&r, 0.2, 0.01);
    if (rng_chance(&r, 0.7))
        p->crash_ns = 100 * MS + rng_below(&r, 500 * MS);
    if (rng_chance(&r, 0.6))
        p->partition_ns = 80 * MS + rng_below(&r, 400 * MS);
    if (rng_chance(&r, 0.3))
        p->pause_ns = 200 * MS + rng_below(&r, 500 * MS);
    p->mend_ns = 80 * MS + rng_below(&r, 400 * MS);
    p->wipe = sometimes(&r, 0.4, 0.6);
    p->corrupt = sometimes(&r, 0.3, 0.3);
    p->chop = sometimes(&r, 0.3, 0.3);
    p->bad_chunk = sometimes(&r, 0.3, 0.1);
    p->large_payload = sometimes(&r, 0.1, 0.05);
    p->late_ok = rng_chance(&r, 0.1) ? 0.4 * rng_unit(&r) : p->late;
    p->crash_voter = sometimes(&r, 0.2, 0.3);
    p->crash_opener = sometimes(&r, 0.2, 0.5);
    p->deaf = rng_chance(&r, 0.1);
    p->mute = !p->deaf && rng_chance(&r, 0.1);
    p->lame = !p->deaf && !p->mute && rng_chance(&r, 0.15);
    draw_config(p, &r, mutation);
    draw_machine(p, seed, mutation);
    focus(p, &r, mutation);
}

const char *
sim_mutation_name(unsigned mutation)
{
    static const char *const names[] = {
        [SIM_MUTATION_DEDUPE_LOST] = "dedupe-lost",
        [SIM_MUTATION_EXPIRE_ON_BACKUP] = "expire-on-backup",
        [SIM_MUTATION_EARLY_EXPIRY] = "early-expiry",
        [SIM_MUTATION_KEEP_TORN] = "keep-torn",
        [SIM_MUTATION_CUT_CORRUPT] = "cut-corrupt",
        [SIM_MUTATION_IGNORE_MARKS] = "ignore-marks",
        [SIM_MUTATION_CONTINUE_FAILED_SYNC] = "continue-failed-sync",
        [SIM_MUTATION_SNAPSHOT_UNCHECKED] = "snapshot-unchecked",
        [SIM_BUG_STALE_READ] = "bug-stale-read",
        [SIM_BUG_ACK_BEFORE_COMMIT] = "bug-ack-before-commit",
        [SIM_BUG_DOUBLE_ALLOCATION] = "bug-double-allocation",
        [SIM_BUG_PARTIAL_BUNDLE] = "bug-partial-bundle",
        [SIM_BUG_OVERSPEND] = "bug-overspend",
        [SIM_BUG_OVERCOMMIT] = "bug-overcommit",
        [SIM_BUG_STALE_CAS] = "bug-stale-cas",
    };
    if (mutation < VSR_MUTATION_COUNT)
        return vsr_mutation_name(mutation);
    return mutation < SIM_MUTATION_COUNT ? names[mutation] : "?";
}

const char *
sim_boundary_name(enum sim_boundary boundary)
{
    static const char *const names[BOUNDARY_COUNT] = {
        [BOUNDARY_BEFORE_APPEND] = "before-append",
        [BOUNDARY_AFTER_APPEND] = "after-append",
        [BOUNDARY_BEFORE_SYNC] = "before-sync",
        [BOUNDARY_AFTER_SYNC] = "after-sync",
        [BOUNDARY_METADATA] = "metadata",
        [BOUNDARY_BEFORE_SEND] = "before-send",
        [BOUNDARY_BEFORE_APPLY] = "before-apply",
        [BOUNDARY_BEFORE_REPLY] = "before-reply",
        [BOUNDARY_AFTER_REPLY] = "after-reply",
        [BOUNDARY_CHECKPOINT_BEGIN] = "checkpoint-begin",
        [BOUNDARY_CHECKPOINT_END] = "checkpoint-end",
        [BOUNDARY_RECOVERY] = "recovery",
        [BOUNDARY_TRANSFER_SERVE] = "transfer-serve",
        [BOUNDARY_TRANSFER_CHUNK] = "transfer-chunk",
        [BOUNDARY_INSTALL_BEGIN] = "install-begin",
        [BOUNDARY_INSTALL] = "install",
        [BOUNDARY_INSTALL_END] = "install-end",
        [BOUNDARY_VIEW_CHANGE] = "view-change",
        [BOUNDARY_VIEW_START] = "view-start",
    };
    return names[boundary];
}
