/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same work on several nodes at once: harm to several is one act and not a
 * series, and a look at all takes no longer than at one.
 *
 * Threads: one per node inside, all ended on return; 'work' uses its own
 * node's remote and writes only what belongs to its node.
 */
#ifndef ORDEAL_NEMESIS_FANOUT_H
#define ORDEAL_NEMESIS_FANOUT_H

#include "nemesis/fault.h"

/*
 * Every node's work is done, also when another's fails; -1 and the error of the
 * lowest node that failed.
 */
int fanout(node_set nodes,
           int (*work)(void *ctx, unsigned node, struct error *err), void *ctx,
           struct error *err);

#endif
