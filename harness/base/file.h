/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories, with errors that say which one and why. */
#ifndef ORDEAL_BASE_FILE_H
#define ORDEAL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "harness/base/error.h"

/* Whole file, NUL-terminated copy the caller frees; at most max_bytes. */
char *file_read(const char *path, size_t max_bytes, size_t *ret_len,
                struct error *err);

/* temp + fsync + rename + directory fsync: readers see old or new, whole. */
int file_write_atomic(const char *path, const void *data, size_t len,
                      mode_t mode, struct error *err);

/* All of data, retrying short writes and EINTR.  errno on -1. */
int file_write_all(int fd, const void *data, size_t len);

int dir_make(const char *path, mode_t mode, struct error *err); /* mkdir -p */

/* rm -r, never following links, never above 'path'.  Absent is success. */
int dir_remove(const char *path, struct error *err);
int dir_sync(const char *path, struct error *err);
bool path_exists(const char *path);

#endif
