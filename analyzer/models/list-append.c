/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that append to lists and read them.  A list shows the order of
 * its appends, which makes the dependencies visible: exact engines only.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
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

static const struct engine_ops *const list_append_engines[] = {
    &engine_list_append, NULL};

#define LIST_APPEND(level_name)                                                \
    {                                                                          \
        .name = level_name, .functions = list_append_functions,                \
        .description = "transactions that append to lists and read them",      \
        .decode = list_append_decode, .describe = txn_describe,                \
        .exact = list_append_engines,                                          \
    }

const struct model_ops model_list_append = LIST_APPEND("list-append");

const struct model_ops model_list_append_levels[LEVEL_COUNT] = {
    [LEVEL_READ_UNCOMMITTED] = LIST_APPEND("list-append:read-uncommitted"),
    [LEVEL_READ_COMMITTED] = LIST_APPEND("list-append:read-committed"),
    [LEVEL_SNAPSHOT_ISOLATION] = LIST_APPEND("list-append:snapshot-isolation"),
    [LEVEL_REPEATABLE_READ] = LIST_APPEND("list-append:repeatable-read"),
    [LEVEL_SERIALIZABLE] = LIST_APPEND("list-append:serializable"),
    [LEVEL_STRONG_SESSION_SNAPSHOT_ISOLATION] =
        LIST_APPEND("list-append:strong-session-snapshot-isolation"),
    [LEVEL_STRONG_SESSION_SERIALIZABLE] =
        LIST_APPEND("list-append:strong-session-serializable"),
    [LEVEL_STRONG_SNAPSHOT_ISOLATION] =
        LIST_APPEND("list-append:strong-snapshot-isolation"),
    [LEVEL_STRICT_SERIALIZABLE] =
        LIST_APPEND("list-append:strict-serializable"),
};
