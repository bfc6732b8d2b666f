/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that append to lists and read them.  A list shows the order of
 * its appends, which makes the dependencies visible: exact engines only.
 */
#include "config.h"

#include "analyzer/models/registry.h"
#include "analyzer/models/txn.h"

static enum decoded
list_append_decode(struct calls *c, const struct record *invoke,
                   const struct record *end, struct call *ret,
                   struct error *err)
{
    return txn_decode(c, invoke, end, true, ret, err);
}

static const char *const list_append_functions[] = {
    [TXN_DONE] = "txn", [TXN_FAILED] = "txn-failed", NULL};

const struct model_ops model_list_append = {
    .name = "list-append",
    .description = "transactions that append to lists and read them",
    .functions = list_append_functions,
    .decode = list_append_decode,
    .describe = txn_describe,
};
