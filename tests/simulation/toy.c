/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a new (client, sequence) executes and is recorded; a known one
 * gets its recorded answer.  Failure modes: a payload that does not carry its
 * own checksum is reported as malformed: storage or transfer let it through.
 */
#include "config.h"

#include <string.h>

#include "harness/base/cleanup.h"
#include "tests/simulation/toy.h"

struct toy_frame {
    struct toy_command command;
    uint64_t padding, checksum;
};

uint64_t
toy_hash(uint64_t seed, const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t h = seed ^ (length * 0x9e3779b97f4a7c15u);
    for (; length >= 8; length -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    for (; length > 0; length--)
        h = (h ^ *p++) * 0x100000001b3u;
    return h ^ h >> 29;
}

void
toy_init(struct toy_state *t)
{
    memset(t, 0, sizeof(*t));
}

uint64_t
toy_digest(const struct toy_state *t)
{
    return toy_hash(1, t, sizeof(*t));
}

uint32_t
toy_encode(const struct toy_command *c, uint32_t padding, void *buf)
{
    struct toy_frame f = {.command = *c, .padding = padding};
    memset((uint8_t *)buf + sizeof(f), (int)(c->sequence & 0xff), padding);
    f.checksum = toy_hash(2, &f, offsetof(struct toy_frame, checksum));
    f.checksum = toy_hash(f.checksum, (uint8_t *)buf + sizeof(f), padding);
    memcpy(buf, &f, sizeof(f));
    return (uint32_t)sizeof(f) + padding;
}

static bool
decode(const struct vsr_entry *e, struct toy_command *ret)
{
    struct toy_frame f;
    if (e->length < sizeof(f))
        return false;
    memcpy(&f, e->payload, sizeof(f));
    uint64_t sum = toy_hash(2, &f, offsetof(struct toy_frame, checksum));
    sum = toy_hash(sum, (const uint8_t *)e->payload + sizeof(f),
                   e->length - sizeof(f));
    *ret = f.command;
    return f.padding == e->length - sizeof(f) && sum == f.checksum &&
           f.command.client < TOY_CLIENTS_MAX;
}

static void
lease_add(struct toy_state *t, uint64_t ttl)
{
    for (unsigned i = 0; i < TOY_LEASES_MAX; i++)
        if (t->leases[i].id == 0) {
            t->leases[i].id = ++t->lease_count;
            t->leases[i].deadline = t->slot + ttl;
            return;
        }
}

static void
lease_expire(struct toy_state *t, uint64_t id, struct toy_result *r)
{
    for (unsigned i = 0; i < TOY_LEASES_MAX; i++)
        if (t->leases[i].id == id) {
            r->early = t->leases[i].deadline > t->slot;
            t->leases[i] = (struct toy_lease){0};
        }
}

uint64_t
toy_due(const struct toy_state *t, uint64_t slot, uint64_t after)
{
    uint64_t best = 0;
    for (unsigned i = 0; i < TOY_LEASES_MAX; i++) {
        const struct toy_lease *l = &t->leases[i];
        if (l->id > after && l->deadline <= slot && (best == 0 || l->id < best))
            best = l->id;
    }
    return best;
}

void
toy_expire_all(struct toy_state *t)
{
    for (unsigned i = 0; i < TOY_LEASES_MAX; i++)
        if (t->leases[i].deadline <= t->slot)
            t->leases[i] = (struct toy_lease){0};
}

static void
execute(struct toy_state *t, uint8_t kind, struct toy_result *r)
{
    const struct toy_command *c = &r->command;
    if (c->sequence <= t->sequences[c->client]) {
        r->cached = true;
        r->version = t->answers[c->client];
        return;
    }
    r->version = ++t->version;
    t->sequences[c->client] = c->sequence;
    t->answers[c->client] = r->version;
    if (kind == TOY_LEASE)
        lease_add(t, c->value);
}

struct toy_result
toy_apply(struct toy_state *t, const struct vsr_entry *e)
{
    struct toy_result r = {0};
    t->index = e->index;
    if (e->kind == VSR_KIND_NOOP)
        return r;
    if (!decode(e, &r.command)) {
        r.malformed = true;
        return r;
    }
    if (e->kind == TOY_WRITE || e->kind == TOY_LEASE)
        execute(t, e->kind, &r);
    else if (e->kind == TOY_TICK && r.command.value > t->slot)
        t->slot = r.command.value;
    else if (e->kind == TOY_EXPIRE)
        lease_expire(t, r.command.value, &r);
    return r;
}
