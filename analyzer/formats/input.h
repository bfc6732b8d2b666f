/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as a stream of bytes: plain, gzip (RFC 1952) or zstd (RFC 8878), told
 * apart by their first bytes; "-" is standard input.  At any time a window of
 * it is in memory:
 *
 *   window: [at, at + len)   input_more widens it, input_skip moves on
 *
 * The byte behind the window is always there and NUL, so that scanners need no
 * second test.  The window grows only as far as one record or line needs, and
 * at most to INPUT_WINDOW_MAX.
 *
 * Threads: one input, one thread at a time.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_INPUT_H
#define ORDEAL_ANALYZER_FORMATS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/error.h"

/* One line or one record: a read of some ten million elements as text.  Longer
 * ones are no history, or one that has lost its line ends. */
#define INPUT_WINDOW_MAX ((size_t)256 << 20)

struct input;

struct input *input_open(const char *path, struct error *err);
void input_close(struct input *in); /* NULL is fine */
void input_close_p(struct input **in);

const char *input_path(const struct input *in);
bool input_is_directory(const struct input *in); /* which has no bytes */
/* Whether the path can be opened again and holds these very bytes. */
bool input_is_plain_file(const struct input *in);

/* Of the first byte of the window, from 1. */
uint64_t input_line_number(const struct input *in);

/* The window; valid until the next call of input_more or input_line. */
char *input_window(const struct input *in, size_t *ret_len);
/* Widens it: 1, or 0: this is all there is; -1: unreadable or too long. */
int input_more(struct input *in, struct error *err);
/* Leaves the first bytes behind, counting lines. */
void input_skip(struct input *in, size_t len);

/*
 * The next line without its end (LF or CR LF), NUL-terminated, to be scribbled
 * on: 1; 0: the end; -1.  *ret_number is its number.
 */
int input_line(struct input *in, char **ret, size_t *ret_len,
               uint64_t *ret_number, struct error *err);

/* "PATH:LINE: what".  CONFIG; returns -1. */
int input_error(const struct input *in, uint64_t line, struct error *err,
                const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Copies the rest, unpacked, to a file descriptor. */
int input_copy(struct input *in, int fd, struct error *err);

#endif
