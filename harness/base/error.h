/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first of the three alphabets: harness health.  A function that can fail
 * returns 0 or -1 (or NULL) and takes a caller-owned 'struct error *err' last.
 * err is never NULL, is untouched on success and set exactly once on failure;
 * callers on the way up put their own context in front with error_wrap().
 * Outcomes of attempts and verdicts of checkers are never errors.
 *
 * Threads: an error belongs to one thread.  No function here allocates.
 */
#ifndef ORDEAL_BASE_ERROR_H
#define ORDEAL_BASE_ERROR_H

#include <stdarg.h>

#include "harness/base/cleanup.h"

enum error_kind {
    ERROR_NONE = 0,
    ERROR_CONFIG,      /* what the user wrote: exit 64 */
    ERROR_ENVIRONMENT, /* what this machine lacks: status infra, exit 3 */
    ERROR_TRANSIENT,   /* may go away: timeout, reset; callers may retry */
    ERROR_BUG,         /* our own mistake: status internal, exit 70 */
};

#define ERROR_TEXT_MAX 512

struct error {
    enum error_kind kind;
    int code; /* errno, or 0 */
    char text[ERROR_TEXT_MAX];
};

/* Sets the error.  Returns -1, so that 'return error_set(...)' reads well. */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* The same, appending ": strerror(code)". */
int error_errno(struct error *err, enum error_kind kind, int code,
                const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Puts "context: " in front of what the error says.  Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *error_kind_name(enum error_kind kind);

#endif
