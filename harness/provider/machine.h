/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be done to a node because it is a virtual machine of ours, and what
 * can be seen of it from outside.  Faults are made of these.
 *
 * Capability is asked: machine_can() says before anything is done whether a
 * provider's nodes can be treated so.  Nothing else here may be called where
 * it says no.
 *
 * A power cut of a node, in the only order that loses what was not flushed
 * (docs/PLATTER.md):
 *
 *   platter_cut(machine_platter) -> machine_kill -> provider_power_off
 *   platter_power_on(machine_platter) -> provider_power_on
 *
 * While a node's platter is stalled or frozen only machine_look() and
 * machine_kill() may be called: everything else may wait for its disks, and
 * block the monitor of that machine.
 *
 * Threads: different nodes from different threads; one node, one thread at a
 * time.
 */
#ifndef ORDEAL_PROVIDER_MACHINE_H
#define ORDEAL_PROVIDER_MACHINE_H

#include <sys/types.h>

#include "harness/provider/provider.h"

struct platter; /* nemesis/platter/platter.h */

enum machine_act {
    MACHINE_LOOK,
    MACHINE_KILL,
    MACHINE_RESET,
    MACHINE_PAUSE, /* and resume */
    MACHINE_THROTTLE,
    MACHINE_BALLOON,
    MACHINE_NMI,
    MACHINE_LINK,
    MACHINE_PLATTER, /* every node's data disk is behind one */
};

enum machine_state { MACHINE_OFF, MACHINE_RUNNING, MACHINE_PAUSED };
const char *machine_state_name(enum machine_state state);

/* What the machine's own monitor and the host's process table say. */
struct machine_view {
    enum machine_state state;
    char status[32];       /* the monitor's word; "" when off */
    pid_t pid;             /* 0 when off */
    uint64_t start_ticks;  /* with pid: tells it from its successor */
    uint64_t memory_bytes; /* what the balloon leaves; 0: not known */
};

/* NULL: cannot be done. */
struct machine_ops {
    int (*look)(struct provider *p, unsigned node, struct machine_view *ret,
                struct error *err);
    int (*kill)(struct provider *p, unsigned node, struct error *err);
    int (*reset)(struct provider *p, unsigned node, struct error *err);
    int (*pause)(struct provider *p, unsigned node, struct error *err);
    int (*resume)(struct provider *p, unsigned node, struct error *err);
    int (*throttle)(struct provider *p, unsigned node, unsigned percent,
                    struct error *err);
    int (*balloon)(struct provider *p, unsigned node, unsigned mib,
                   struct error *err);
    int (*nmi)(struct provider *p, unsigned node, struct error *err);
    int (*link)(struct provider *p, unsigned node, bool up, struct error *err);
    /* NULL where this cluster's disks are not behind platters. */
    const struct platter *(*platter)(struct provider *p, unsigned node);
    const char *(*disk)(struct provider *p, unsigned node);
};

/* 'p' NULL: nothing can be done. */
bool machine_can(struct provider *p, enum machine_act act);

/* Never waits for a disk.  Off is no error. */
int machine_look(struct provider *p, unsigned node, struct machine_view *ret,
                 struct error *err);

/*
 * SIGKILL of the machine's process, waiting for its end; provider_power_off()
 * cleans up after it.  Off already is fine.  Alone it is the crash of an
 * operating system: the disk keeps what it was given.
 */
int machine_kill(struct provider *p, unsigned node, struct error *err);

/* The button: the guest starts anew, its disks keep their power. */
int machine_reset(struct provider *p, unsigned node, struct error *err);

/*
 * All CPUs stand still; the guest's clocks do too where it is emulated.  What
 * was not flushed becomes stable.  Either way again is fine.
 */
int machine_pause(struct provider *p, unsigned node, struct error *err);
int machine_resume(struct provider *p, unsigned node, struct error *err);

/*
 * The whole machine gets 'percent' (1..99) of the time, in slices; 100 ends
 * it.  It also ends when the machine is powered off.
 */
int machine_throttle(struct provider *p, unsigned node, unsigned percent,
                     struct error *err);

/* Leaves the guest so much memory, as fast as it gives the rest; 0: all. */
int machine_balloon(struct provider *p, unsigned node, unsigned mib,
                    struct error *err);

/* A non-maskable interrupt on every CPU. */
int machine_nmi(struct provider *p, unsigned node, struct error *err);

/* The cable of the cluster NIC: the guest sees its carrier go and come. */
int machine_link(struct provider *p, unsigned node, bool up, struct error *err);

/* Borrowed, until destroy. */
const struct platter *machine_platter(struct provider *p, unsigned node);
/* The raw image under the platter. */
const char *machine_disk(struct provider *p, unsigned node);

#endif
