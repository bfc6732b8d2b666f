/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a bundle: found, sized, hashed, and compared again. */
#ifndef ORDEAL_ARTIFACTS_MANIFEST_H
#define ORDEAL_ARTIFACTS_MANIFEST_H

#include <jansson.h>

#include "harness/base/error.h"

/*
 * Every regular file below 'dir' but the manifest, in byte order of the paths:
 * [{"path","size","sha256"}].  Files that hold a private key are removed when
 * 'withheld' is given, and their paths appended to it.  New reference; NULL
 * and err.
 */
json_t *manifest_scan(const char *dir, json_t *withheld, struct error *err);

#endif
