/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people and machines see of a gate: a live table of lanes, the table of
 * rows at the end, summary.md and junit.xml.  All from gate.json alone.
 *
 * Threads: one.
 */
#ifndef ORDEAL_HARNESS_GATE_TABLE_H
#define ORDEAL_HARNESS_GATE_TABLE_H

#include <jansson.h>

#include "harness/gate/lane.h"

/*
 * On a terminal one line per lane is redrawn below what is told; elsewhere only
 * what is told appears.  All of it goes to standard error.
 */
struct gate_live {
    bool quiet, terminal;
    unsigned drawn; /* lines that the next drawing replaces */
};

void gate_live_begin(struct gate_live *live, bool quiet);
void gate_live_draw(struct gate_live *live, const json_t *state,
                    const struct lane *lanes, unsigned lane_count,
                    int64_t now_ns);
void gate_live_end(struct gate_live *live);

void gate_tell_begin(struct gate_live *live, const json_t *row, unsigned lane);
void gate_tell_end(struct gate_live *live, const json_t *row);

/* The whole on standard output. */
void gate_print(const json_t *state, const char *dir);
void gate_print_json(const json_t *state);

/* DIR/summary.md and DIR/junit.xml. */
int gate_write_reports(const char *dir, const json_t *state, struct error *err);

#endif
