/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power cut: a part of the log reaches the stable file, chosen by policy
 * and seed, the rest is gone, and with it every connection that was open.
 *
 *   powered --store_cut--> off, generation + 1 --store_power_on--> powered
 *
 * Between two flushes a disk may make any subset of the writes stable in any
 * order; only what survives can be seen afterwards, so "reordered" is no
 * policy of its own: a subset already has later writes without earlier ones.
 *
 * Same log and same seed give the same survivors.  The log depends on timing,
 * so the decisions are written out, one line a record, and can be given back:
 *
 *   platter-cut 1 policy=tear seed=7 percent=50 unit=512 records=2
 *   1 write 8192 4096 kept 1c3a9f02
 *   2 write 0 1024 torn:80 77ab1200        (bits of units, first = highest)
 *
 * sequence, kind, offset, length, decision, CRC-32C of the data.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_CUT_H
#define ORDEAL_NEMESIS_PLATTER_CUT_H

#include <stdio.h>

#include "harness/base/error.h"
#include "nemesis/platter/store.h"

enum cut_policy {
    CUT_DROP,      /* nothing survives */
    CUT_KEEP,      /* everything: an operating system's crash */
    CUT_PREFIX,    /* the first k writes: an ordered cache */
    CUT_TORN_TAIL, /* the same, and the first units of the write after */
    CUT_SUBSET,    /* each write with 'percent' */
    CUT_TEAR,      /* each unit of each write with 'percent' */
    CUT_REPLAY,    /* as an earlier cut decided */
    CUT_POLICY_COUNT
};

/* "torn-tail"; false if there is no such policy. */
const char *cut_policy_name(enum cut_policy p);
bool cut_policy_parse(const char *name, enum cut_policy *ret);

struct cut_spec {
    enum cut_policy policy;
    uint64_t seed;
    unsigned percent;    /* 0..100 */
    unsigned unit_bytes; /* what is never torn: 512, or 4096 for a 4Kn disk */
    FILE *replay;        /* for CUT_REPLAY: an earlier cut's decisions */
};

struct cut_result {
    uint64_t generation; /* the new one */
    uint64_t records, bytes, kept, torn, lost;
    uint64_t unflushed_sectors; /* at risk */
    /* Whose content is not what the guest had written: the proof of effect. */
    uint64_t lost_sectors;
    uint64_t unmatched; /* of CUT_REPLAY: records without a decision, lost */
};

/*
 * Writes the decisions to 'survivors' unless NULL.  ERROR_CONFIG: the list to
 * replay is none, and nothing has happened.  After any other failure the power
 * is off and the log gone, but what survived is not known.
 */
int store_cut(struct store *s, const struct cut_spec *spec, FILE *survivors,
              struct cut_result *ret, struct error *err);

void store_power_on(struct store *s);

#endif
