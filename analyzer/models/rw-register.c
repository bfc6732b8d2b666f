/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that read and write registers.  Written values are best unique.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
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

static const struct engine_ops *const rw_register_engines[] = {
    &engine_rw_register, NULL};

#define RW_REGISTER(level_name)                                                \
    {                                                                          \
        .name = level_name, .functions = rw_register_functions,                \
        .description = "transactions that read and write registers",           \
        .decode = rw_register_decode, .describe = txn_describe,                \
        .exact = rw_register_engines,                                          \
    }

const struct model_ops model_rw_register = RW_REGISTER("rw-register");

const struct model_ops model_rw_register_levels[LEVEL_COUNT] = {
    [LEVEL_READ_UNCOMMITTED] = RW_REGISTER("rw-register:read-uncommitted"),
    [LEVEL_READ_COMMITTED] = RW_REGISTER("rw-register:read-committed"),
    [LEVEL_SNAPSHOT_ISOLATION] = RW_REGISTER("rw-register:snapshot-isolation"),
    [LEVEL_REPEATABLE_READ] = RW_REGISTER("rw-register:repeatable-read"),
    [LEVEL_SERIALIZABLE] = RW_REGISTER("rw-register:serializable"),
    [LEVEL_STRONG_SESSION_SNAPSHOT_ISOLATION] =
        RW_REGISTER("rw-register:strong-session-snapshot-isolation"),
    [LEVEL_STRONG_SESSION_SERIALIZABLE] =
        RW_REGISTER("rw-register:strong-session-serializable"),
    [LEVEL_STRONG_SNAPSHOT_ISOLATION] =
        RW_REGISTER("rw-register:strong-snapshot-isolation"),
    [LEVEL_STRICT_SERIALIZABLE] =
        RW_REGISTER("rw-register:strict-serializable"),
};
