/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordeal-harm: what faults need inside a guest and no shell can do.  One static
 * program, put into the guest when it is first needed, without anything else
 * there to help it.
 *
 *   start NAME SECONDS KIND ARG...  the lease begins, then the harm; a process
 *                                   of its own holds it
 *   renew NAME SECONDS              the whole lease again from now
 *   stop NAME                       the harm ends; any number of times
 *   status NAME
 *   clock | clock-set RAW_NS REALTIME_NS
 *   load | spin MS                  what burners and allocators do, measured
 *   probe-space DIR BYTES           whether so much can be written there
 *   flip FILE COUNT SEED | cut FILE BYTES | roll FILE OLD BYTES SEED
 *
 *   none -> armed -> acting -> healed (asked to) | fired (the lease ran out)
 *
 * The holder is a lease on its own harm: when nobody renews it, it undoes what
 * it did and says 'fired'.  All that is needed for undoing is noted on the
 * guest's /run before the harm begins, so that another process can do it when
 * the holder was killed.  Answers are one JSON object on one line.
 *
 * Threads: none.  A holder's harm is bounded by the holder's life: children
 * die with it.
 */
#ifndef ORDEAL_NEMESIS_HARM_HARM_H
#define ORDEAL_NEMESIS_HARM_HARM_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/base/error.h"

#define HARM_DIR "/run/ordeal-harm"
#define HARM_NAME_MAX 32
#define HARM_PATH_MAX 512
#define HARM_REFS 4
#define HARM_ARGS 4
/* The lease and a request to end are looked at this often. */
#define HARM_LOOK_NS (200 * INT64_C(1000000))

enum harm_state {
    HARM_NONE,
    HARM_ARMED,
    HARM_ACTING,
    HARM_HEALED,
    HARM_FIRED,
    HARM_STATE_COUNT,
};

/* What undoing needs, and what became of it. */
struct harm_note {
    enum harm_state state;
    char kind[HARM_NAME_MAX];
    int32_t pid; /* of the holder */
    uint64_t start_ticks;
    int64_t steps; /* what was done again and again, so often */
    int64_t refs[HARM_REFS];
    char path[HARM_PATH_MAX];
};

struct harm {
    int64_t args[HARM_ARGS];
    struct harm_note note;
    void *state;
};

/* One kind of harm that is held. */
struct harm_kind {
    const char *name;
    bool has_path; /* the first argument; the others are integers */
    int arg_count; /* integers */
    /* Fills note.refs; harms nothing. */
    int (*prepare)(struct harm *h, struct error *err);
    int (*act)(struct harm *h, struct error *err);
    /* Called again and again; how long until the next time.  NULL: no need. */
    int64_t (*step)(struct harm *h);
    /* From the note alone, any number of times. */
    int (*undo)(const struct harm_note *note, struct error *err);
};

extern const struct harm_kind harm_clock_bump, harm_clock_strobe,
    harm_clock_drift, harm_clock_freeze, harm_cpu, harm_memory, harm_fill;

/* ---- holding (hold.c) ---- */

int harm_start(const char *name, int64_t lease_s, const struct harm_kind *kind,
               struct harm *h, struct error *err);
int harm_renew(const char *name, int64_t lease_s, struct error *err);
int harm_stop(const char *name, const struct harm_kind *const kinds[],
              struct error *err);
int harm_status(const char *name, struct error *err);

/* ---- notes (note.c) ---- */

const char *harm_state_name(enum harm_state state);
/* *ret->state is HARM_NONE when there is none. */
int harm_note_read(const char *name, struct harm_note *ret, struct error *err);
int harm_note_write(const char *name, const struct harm_note *note,
                    struct error *err);
/* The lease as a time of CLOCK_BOOTTIME in seconds; 0: none. */
int64_t harm_lease_read(const char *name);
int harm_lease_write(const char *name, int64_t end_s, struct error *err);

/* Field 22 of /proc/PID/stat; 0: no such process. */
uint64_t harm_start_ticks(int32_t pid);

/* ---- single acts; each prints its answer ---- */

int64_t harm_clock_ns(int clock_id);
int harm_clock_look(struct error *err);
/* The wall clock shall be 'realtime_ns' when CLOCK_MONOTONIC_RAW is 'raw_ns',
 * and go on evenly. */
int harm_clock_set(int64_t raw_ns, int64_t realtime_ns, struct error *err);

int harm_load_look(struct error *err);
int harm_spin(int64_t ms, struct error *err);
int harm_probe_space(const char *dir, int64_t bytes, struct error *err);

int harm_flip(const char *path, int64_t count, uint64_t seed,
              struct error *err);
int harm_cut(const char *path, int64_t bytes, struct error *err);
int harm_roll(const char *path, const char *old, int64_t bytes, uint64_t seed,
              struct error *err);

#endif
