/* SPDX-License-Identifier: Apache-2.0 */
/* Where bundles go: --output, $ORDEAL_OUTPUT, or "runs". */
#ifndef ORDEAL_HARNESS_OUTPUT_H
#define ORDEAL_HARNESS_OUTPUT_H

/* 'given' may be NULL.  Borrowed from it, the environment, or static. */
const char *output_directory(const char *given);

#endif
