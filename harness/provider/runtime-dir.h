/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private, short directories that hold what lives outside this process:
 * $XDG_RUNTIME_DIR/ordeal/XXXXXXXX, or /tmp/ordeal-UID/XXXXXXXX.  Short because
 * a unix socket's path ends at 108 bytes.
 *
 * Each holds a file 'owner' ("PID START-TICKS RUN-ID"), by which another
 * process tells a living cluster from one whose driver died.
 */
#ifndef ORDEAL_PROVIDER_RUNTIME_DIR_H
#define ORDEAL_PROVIDER_RUNTIME_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/base/error.h"

#define RUNTIME_DIR_SIZE 64
#define RUNTIME_DIR_COUNT_MAX 256

/*
 * Makes a fresh directory, mode 0700, owned by us; refuses a parent that is a
 * link or another user's.  run_id is only noted inside.
 */
int runtime_dir_create(const char *run_id, char ret[static RUNTIME_DIR_SIZE],
                       struct error *err);

/* The same with a name that was ours before; it may exist. */
int runtime_dir_adopt(const char *path, const char *run_id, struct error *err);

/* Removes it, and the directory above when that is empty now. */
int runtime_dir_remove(const char *path, struct error *err);

/* All of this user's, living or left over; at most RUNTIME_DIR_COUNT_MAX. */
size_t runtime_dir_list(char (*ret)[RUNTIME_DIR_SIZE], size_t max);

/* Whether 'path' is a directory of ours in the sense above. */
int runtime_dir_check(const char *path, struct error *err);

/* Whether the process that made it is alive; its pid if so. */
bool runtime_dir_owner(const char *path, int *ret_pid);

#endif
