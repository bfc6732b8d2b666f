/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Isolation levels as a table.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/models/model.h"
#include "analyzer/models/txn-level.h"

static const struct txn_level_info txn_levels[LEVEL_COUNT] = {
    [LEVEL_READ_UNCOMMITTED] = {"read-uncommitted", "ru", false, false, false,
                                ORDER_NONE},
    [LEVEL_READ_COMMITTED] = {"read-committed", "rc", true, false, false,
                              ORDER_NONE},
    [LEVEL_SNAPSHOT_ISOLATION] = {"snapshot-isolation", "si", true, true, false,
                                  ORDER_NONE},
    [LEVEL_REPEATABLE_READ] = {"repeatable-read", "rr", true, true, true,
                               ORDER_NONE},
    [LEVEL_SERIALIZABLE] = {"serializable", "ser", true, true, true,
                            ORDER_NONE},
    [LEVEL_STRONG_SESSION_SNAPSHOT_ISOLATION] =
        {"strong-session-snapshot-isolation", "session-si", true, true, false,
         ORDER_SESSION},
    [LEVEL_STRONG_SESSION_SERIALIZABLE] = {"strong-session-serializable",
                                           "session-ser", true, true, true,
                                           ORDER_SESSION},
    [LEVEL_STRONG_SNAPSHOT_ISOLATION] = {"strong-snapshot-isolation",
                                         "strong-si", true, true, false,
                                         ORDER_REAL_TIME},
    [LEVEL_STRICT_SERIALIZABLE] = {"strict-serializable", "strict", true, true,
                                   true, ORDER_REAL_TIME},
};

const struct txn_level_info *
txn_level_info(enum txn_level level)
{
    assert(level < LEVEL_COUNT);
    return &txn_levels[level];
}

bool
txn_level_parse(const char *name, enum txn_level *ret)
{
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(name, txn_levels[i].name) == 0 ||
            strcmp(name, txn_levels[i].alias) == 0) {
            *ret = (enum txn_level)i;
            return true;
        }
    }
    return false;
}

enum txn_level
txn_level_of(const struct model_ops *model)
{
    const char *colon = strchr(model->name, ':');
    enum txn_level level = LEVEL_STRICT_SERIALIZABLE;

    if (colon != NULL) {
        bool known = txn_level_parse(colon + 1, &level);
        assert(known);
    }
    return level;
}

const char *
txn_anomaly_name(enum txn_anomaly a)
{
    static const char *const names[ANOMALY_COUNT] = {
        [ANOMALY_DUPLICATE_ELEMENTS] = "duplicate-elements",
        [ANOMALY_G0] = "G0",
        [ANOMALY_DIRTY_UPDATE] = "dirty-update",
        [ANOMALY_G1A] = "G1a",
        [ANOMALY_INCOMPATIBLE_ORDER] = "incompatible-order",
        [ANOMALY_FUTURE_READ] = "future-read",
        [ANOMALY_G1B] = "G1b",
        [ANOMALY_G1C] = "G1c",
        [ANOMALY_INTERNAL] = "internal",
        [ANOMALY_LOST_UPDATE] = "lost-update",
        [ANOMALY_G_SINGLE] = "G-single",
        [ANOMALY_G_NONADJACENT] = "G-nonadjacent",
        [ANOMALY_G2_ITEM] = "G2-item",
    };
    assert(a < ANOMALY_COUNT);
    return names[a];
}

bool
txn_level_excludes(enum txn_level level, enum txn_anomaly a)
{
    const struct txn_level_info *info = txn_level_info(level);

    if (a <= ANOMALY_G0) {
        return true;
    }
    if (a <= ANOMALY_G1C) {
        return info->committed;
    }
    return a <= ANOMALY_G_NONADJACENT ? info->atomic : info->serial;
}

const char *
txn_level_left(enum txn_level level, enum txn_anomaly a, enum txn_order order)
{
    bool serial = txn_level_info(level)->serial, skew = a == ANOMALY_G2_ITEM;

    if (order == ORDER_REAL_TIME) {
        return !serial ? "strong-session-snapshot-isolation"
               : skew  ? "strong-session-serializable and "
                         "strong-snapshot-isolation"
                       : "strong-session-serializable";
    }
    if (order == ORDER_SESSION) {
        return !serial ? "snapshot-isolation"
               : skew  ? "serializable and strong-session-snapshot-isolation"
                       : "serializable";
    }
    if (a <= ANOMALY_G0) {
        return NULL;
    }
    return a <= ANOMALY_G1C             ? "read-uncommitted"
           : a <= ANOMALY_G_NONADJACENT ? "read-committed"
                                        : "snapshot-isolation";
}
