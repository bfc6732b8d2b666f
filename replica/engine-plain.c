/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: overflow, what the slot brings, retirement, dedupe, room, execution,
 * record, in this order.  A tick is the lease engine's payload of a tick.
 */
#include "config.h"

#include "replica/command.h"
#include "replica/engine-plain.h"
#include "replica/json.h"

void
plain_engine_init(struct plain_engine *e, const struct plain_ops *plain,
                  const struct engine_limits *limits, enum bug bug)
{
    engine_state_init(&e->s, limits, bug);
    e->s.window_slots = e->s.horizon_slots = limits->retry_slots;
    e->s.window_open = plain->scoped;
    e->plain = plain;
}

static void
plain_advance(struct plain_engine *e)
{
    if (e->plain->advance != NULL)
        e->plain->advance(e);
    engine_retire_operations(&e->s);
}

static void
plain_apply_client(struct plain_engine *e, const struct plain_command *c,
                   const struct engine_entry *entry, struct outcome *ret)
{
    struct operation_record record = {.scope = e->plain->scoped ? c->client : 0,
                                      .id = c->operation};

    if (engine_overflows(&e->s, ret))
        return;
    plain_advance(e);
    record.fingerprint = command_fingerprint(entry->payload, entry->len);
    if (!engine_admit(&e->s, &record, ret))
        return;
    e->plain->execute(e, c, ret);
    engine_record(&e->s, &record, ret);
}

void
plain_engine_apply(struct engine *engine, const struct engine_entry *entry,
                   struct outcome *ret)
{
    struct plain_engine *e = (struct plain_engine *)engine;
    struct plain_command c;
    struct command tick;
    struct error ignored;

    engine_begin(&e->s, entry, ret);
    if (plain_command_decode(e->plain->shapes, entry->payload, entry->len, &c,
                             &ignored) == 0) {
        plain_apply_client(e, &c, entry, ret);
    } else if (command_decode(entry->payload, entry->len, &tick, &ignored) ==
                   0 &&
               tick.tag == COMMAND_TICK) {
        if (engine_tick(&e->s, tick.slot, ret))
            plain_advance(e);
    } else {
        ret->code = RESULT_INVALID_REQUEST;
    }
}

uint64_t
plain_engine_digest(const struct engine *engine)
{
    return engine_state_digest(&((const struct plain_engine *)engine)->s);
}

void
plain_engine_plan(const struct engine *engine, uint64_t slot,
                  void (*emit)(void *ctx, const void *payload, size_t len),
                  void *ctx)
{
    (void)engine;
    (void)slot;
    (void)emit;
    (void)ctx;
}

json_t *
plain_engine_expired(const struct engine *engine, const void *payload,
                     size_t len, const struct outcome *outcome)
{
    (void)engine;
    (void)payload;
    (void)len;
    (void)outcome;
    return NULL;
}

void
plain_engine_save(const struct engine *engine, struct buf *out)
{
    const struct plain_engine *e = (const struct plain_engine *)engine;

    engine_save_begin(&e->s, out);
    e->plain->save(e, out);
    engine_save_end(&e->s, out);
}

int
plain_engine_load(struct engine *engine, const void *data, size_t len,
                  struct error *err)
{
    struct plain_engine *e = (struct plain_engine *)engine;
    struct bytes_reader r = bytes_reader(data, len);

    if (engine_load_begin(&e->s, &r, err) < 0)
        return -1;
    return engine_load_end(&e->s, &r, e->plain->load(e, &r), err);
}

void
plain_json_found(json_t *ret, bool found)
{
    json_object_set_new(ret, "found", json_boolean(found));
    if (!found)
        json_object_set_new(ret, "retired", json_false());
}
