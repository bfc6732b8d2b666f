/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two channels.  The human log goes to standard error (main decides the level
 * and whether a live display owns the terminal); the machine event log is
 * JSONL in the bundle.  Library code does not log failures it returns.
 *
 * Threads: safe from any.  The history is not a log.
 */
#ifndef ORDEAL_BASE_LOG_H
#define ORDEAL_BASE_LOG_H

#include "harness/base/cleanup.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);

/* "ssh,nemesis" or "all": debug lines of these modules pass at any level. */
void log_set_debug(const char *modules);

/* Takes finished lines instead of standard error (NULL: standard error). */
void log_set_sink(void (*sink)(void *ctx, enum log_level level,
                               const char *line),
                  void *ctx);

void log_message(enum log_level level, const char *module, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#define log_error(module, ...) log_message(LOG_ERROR, module, __VA_ARGS__)
#define log_warning(module, ...) log_message(LOG_WARNING, module, __VA_ARGS__)
#define log_info(module, ...) log_message(LOG_INFO, module, __VA_ARGS__)
#define log_debug(module, ...) log_message(LOG_DEBUG, module, __VA_ARGS__)

#endif
