/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines whose commands are plain (command-plain.h): quota, pool, block.
 * Here is what they share; a plain_ops is what is different.  They need no
 * expire entries.  For engine-*.c and tests.
 */
#ifndef ORDEAL_REPLICA_ENGINE_PLAIN_H
#define ORDEAL_REPLICA_ENGINE_PLAIN_H

#include "replica/command-plain.h"
#include "replica/engine-state.h"

struct plain_engine {
    struct engine_state s;
    const struct plain_ops *plain;
};

struct plain_ops {
    const struct plain_shape *shapes;
    bool scoped; /* an operation id is its client's own */

    /* What comes with the slot, before every entry; NULL: nothing. */
    void (*advance)(struct plain_engine *e);
    /* Sets the code and what the answer carries. */
    void (*execute)(struct plain_engine *e, const struct plain_command *c,
                    struct outcome *ret);
    void (*save)(const struct plain_engine *e, struct buf *out);
    /* Into a fresh engine; false: not what save wrote. */
    bool (*load)(struct plain_engine *e, struct bytes_reader *r);
};

/* 'e' is zeroed; the window is the limits' retry_slots. */
void plain_engine_init(struct plain_engine *e, const struct plain_ops *plain,
                       const struct engine_limits *limits, enum bug bug);

/* Implementations of engine_ops. */
void plain_engine_apply(struct engine *engine, const struct engine_entry *entry,
                        struct outcome *ret);
uint64_t plain_engine_digest(const struct engine *engine);
void plain_engine_plan(const struct engine *engine, uint64_t slot,
                       void (*emit)(void *ctx, const void *payload, size_t len),
                       void *ctx);
json_t *plain_engine_expired(const struct engine *engine, const void *payload,
                             size_t len, const struct outcome *outcome);
void plain_engine_save(const struct engine *engine, struct buf *out);
int plain_engine_load(struct engine *engine, const void *data, size_t len,
                      struct error *err);

/* Those of an engine_ops that are the same for all. */
#define PLAIN_ENGINE_METHODS                                                   \
    .apply = plain_engine_apply, .slot = engine_state_slot,                    \
    .plan = plain_engine_plan, .digest = plain_engine_digest,                  \
    .save = plain_engine_save, .load = plain_engine_load,                      \
    .forget_operations = engine_state_forget, .tick = engine_state_tick,       \
    .expired = plain_engine_expired

/* Of each engine, for tests. */
extern const struct plain_shape quota_shapes[], pool_shapes[], block_shapes[];

/* "found" and, when it is not, "retired": false. */
void plain_json_found(json_t *ret, bool found);

#endif
