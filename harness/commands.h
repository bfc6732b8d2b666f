/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of 'ordeal', each in its own cmd-NAME.c. */
#ifndef ORDEAL_HARNESS_COMMANDS_H
#define ORDEAL_HARNESS_COMMANDS_H

#include "harness/base/error.h"
#include "harness/options.h"
#include "harness/provider/runtime-dir.h"

extern const struct command command_doctor;
extern const struct command command_image;
extern const struct command command_plan;
extern const struct command command_run;
extern const struct command command_gate;
extern const struct command command_check;
extern const struct command command_history;
extern const struct command command_up;
extern const struct command command_down;
extern const struct command command_status;
extern const struct command command_ssh;
extern const struct command command_exec;
extern const struct command command_logs;
extern const struct command command_recover;
extern const struct command command_fault;

/* The runtime directory of the cluster that 'up' made; false: none is up. */
bool command_find_up(char ret[static RUNTIME_DIR_SIZE]);

/* Prints the error in one line; the exit status that its kind stands for. */
int command_failed(const struct command *command, const struct error *err);

#endif
