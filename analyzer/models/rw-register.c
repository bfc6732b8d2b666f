/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that read and write registers.  Written values are best unique.
 */
#include "config.h"

#include "analyzer/models/registry.h"
#include "analyzer/models/txn.h"

static enum decoded
rw_register_decode(struct calls *c, const struct record *invoke,
                   const struct record *end, struct call *ret,
                   struct error *err)
{
    return txn_decode(c, invoke, end, false, ret, err);
}

static const char *const rw_register_functions[] = {
    [TXN_DONE] = "txn", [TXN_FAILED] = "txn-failed", NULL};

const struct model_ops model_rw_register = {
    .name = "rw-register",
    .description = "transactions that read and write registers",
    .functions = rw_register_functions,
    .decode = rw_register_decode,
    .describe = txn_describe,
};
