/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: no rule, one copy, due now.  Each rule takes the frame (drop,
 * loss, a full queue) or moves its due time, flips a bit, adds a copy.
 *
 * Loss in bursts is the chain of Gilbert (1960) with loss probability 1 in the
 * bad state: it leaves that state with 1/burst, and enters it such that the
 * share of frames lost is 'loss'.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "nemesis/fabric/link.h"

/* Drawn for each matched frame, used or not: see the header. */
struct link_draws {
    double loss, corrupt, reorder, duplicate;
    uint64_t flip;
    uint64_t spread[3];
};

/* ---- rules ---- */

static bool
link_is_share(double x)
{
    return x >= 0 && x <= 1; /* false for a NaN */
}

static bool
link_is_time(int64_t ns)
{
    return ns >= 0 && ns <= LINK_DELAY_NS_MAX;
}

int
link_rule_check(const struct link_rule *r, struct error *err)
{
    if (!link_is_share(r->loss) || !link_is_share(r->corrupt) ||
        !link_is_share(r->reorder) || !link_is_share(r->duplicate))
        return error_set(err, ERROR_CONFIG,
                         "loss, corrupt, reorder and duplicate are shares "
                         "from 0 to 1");
    if (!(r->loss_burst >= 0 && r->loss_burst <= 1e6))
        return error_set(err, ERROR_CONFIG,
                         "a burst of losses has 1 to 1000000 frames");
    if (!link_is_time(r->delay_ns) || !link_is_time(r->jitter_ns) ||
        !link_is_time(r->hold_ns) || !link_is_time(r->queue_ns))
        return error_set(err, ERROR_CONFIG,
                         "delay, jitter, hold and queue are at most 60 s");
    if (r->distribution == LINK_CONSTANT && r->jitter_ns != 0)
        return error_set(err, ERROR_CONFIG, "a constant delay has no jitter");
    if (r->reorder > 0 && r->hold_ns == 0)
        return error_set(err, ERROR_CONFIG,
                         "reorder needs a time for which frames are held");
    if (r->rate_bits != 0 && (r->rate_bits < 1000 || r->queue_ns == 0))
        return error_set(err, ERROR_CONFIG,
                         "a rate is at least 1000 bits per second, with a "
                         "queue");
    if (r->match == LINK_MATCH_ALL && r->port != 0)
        return error_set(err, ERROR_CONFIG, "a port is one of TCP or of UDP");
    return 0;
}

void
link_init(struct link *l, uint64_t seed, unsigned from, unsigned to)
{
    struct rng root;

    memset(l, 0, sizeof(*l));
    rng_init(&root, seed);
    l->rng = rng_fork(&root, "fabric-link", (uint64_t)from << 32 | to);
}

bool
link_has_room(const struct link *l)
{
    return l->rule_count < LINK_RULE_COUNT_MAX;
}

const struct link_rule_slot *
link_find(const struct link *l, unsigned id)
{
    for (unsigned i = 0; i < l->rule_count; i++)
        if (l->rules[i].id == id)
            return &l->rules[i];
    return NULL;
}

void
link_add(struct link *l, unsigned id, const struct link_rule *rule)
{
    assert(id != 0 && link_has_room(l) && link_find(l, id) == NULL);
    l->rules[l->rule_count++] = (struct link_rule_slot){
        .id = id,
        .rule = *rule,
        .rng = rule->seed == 0 ? rng_fork(&l->rng, "rule", id)
                               : rng_fork(&l->rng, "rule-seed", rule->seed)};
}

bool
link_remove(struct link *l, unsigned id)
{
    for (unsigned i = 0; i < l->rule_count; i++) {
        if (l->rules[i].id != id)
            continue;
        l->rule_count--;
        memmove(&l->rules[i], &l->rules[i + 1],
                (l->rule_count - i) * sizeof(l->rules[0]));
        return true;
    }
    return false;
}

/* ---- frames ---- */

static bool
link_matches(const struct link_rule *r, const struct frame_info *info)
{
    if (r->match == LINK_MATCH_ALL)
        return true;
    if (info->transport != (r->match == LINK_MATCH_TCP ? FRAME_TCP : FRAME_UDP))
        return false;
    return r->port == 0 || r->port == info->source_port ||
           r->port == info->destination_port;
}

static void
link_draw(struct rng *rng, struct link_draws *ret)
{
    ret->loss = rng_unit(rng);
    ret->corrupt = rng_unit(rng);
    ret->reorder = rng_unit(rng);
    ret->duplicate = rng_unit(rng);
    ret->flip = rng_u64(rng);
    for (unsigned i = 0; i < 3; i++)
        ret->spread[i] = rng_u64(rng);
}

/* 12 uniform numbers of 16 bits each have a sum of variance 1. */
static double
link_normal(const uint64_t draws[3])
{
    double sum = -6;

    for (unsigned i = 0; i < 12; i++)
        sum += ((double)(draws[i / 4] >> (i % 4 * 16) & 0xffff) + 0.5) / 65536;
    return sum;
}

/* The largest of 3 uniform numbers to the power -1 is Pareto of shape 3. */
static double
link_pareto(const uint64_t draws[3])
{
    double max = 0;

    for (unsigned i = 0; i < 3; i++) {
        double u = (double)((draws[i] >> 11) + 1) * 0x1.0p-53;

        max = u > max ? u : max;
    }
    return 1 / max - 1 < LINK_PARETO_MAX ? 1 / max - 1 : LINK_PARETO_MAX;
}

static int64_t
link_delay_ns(const struct link_rule *r, const uint64_t draws[3])
{
    double spread = 0, ns;

    if (r->distribution == LINK_UNIFORM)
        spread = (double)(draws[0] >> 11) * 0x1.0p-52 - 1;
    else if (r->distribution == LINK_NORMAL)
        spread = link_normal(draws);
    else if (r->distribution == LINK_PARETO)
        spread = link_pareto(draws);
    ns = (double)r->delay_ns + (double)r->jitter_ns * spread;
    if (ns < 0)
        return 0;
    return ns < (double)LINK_DELAY_NS_MAX ? (int64_t)ns : LINK_DELAY_NS_MAX;
}

static bool
link_loses(struct link_rule_slot *s, double draw)
{
    const struct link_rule *r = &s->rule;
    double burst = r->loss_burst < 1 ? 1 : r->loss_burst;
    double leave = 1 / burst;

    if (r->loss <= 0)
        return false;
    if (r->loss >= 1 || burst <= 1)
        return draw < r->loss;
    if (s->in_burst)
        s->in_burst = draw >= leave;
    else
        s->in_burst = draw < leave * r->loss / (1 - r->loss);
    return s->in_burst;
}

/* Where a flip may fall: the payload of the transport, else all of it. */
static bool
link_corrupts(struct link_rule_slot *s, const struct frame_info *info,
              const struct link_draws *d, struct link_verdict *v)
{
    bool payload = info->transport != FRAME_OTHER && info->payload_bytes > 0;
    size_t at = payload ? info->payload_at : info->network_at;
    size_t bytes = payload ? info->payload_bytes : info->network_bytes;

    if (d->corrupt >= s->rule.corrupt || info->arp || bytes == 0 ||
        (s->rule.fix_checksums && !payload))
        return false;
    assert(v->flip_count < LINK_RULE_COUNT_MAX);
    v->flips[v->flip_count++] =
        (struct link_flip){.at = (uint32_t)(at + (d->flip >> 3) % bytes),
                           .bit = d->flip & 7,
                           .fix_checksum = s->rule.fix_checksums};
    s->stats.corrupted++;
    return true;
}

/* Delay, rate and reorder.  False: the queue before the rate is full. */
static bool
link_schedule(struct link_rule_slot *s, const struct link_draws *d, size_t len,
              struct link_verdict *v)
{
    const struct link_rule *r = &s->rule;
    int64_t due = v->due_ns;

    if (r->rate_bits != 0) {
        int64_t start = s->wire_free_ns > due ? s->wire_free_ns : due;

        if (start - due > r->queue_ns) {
            s->stats.queue_full++;
            return false;
        }
        due = start + (int64_t)((double)len * 8e9 / (double)r->rate_bits);
        s->wire_free_ns = due;
    }
    due += link_delay_ns(r, d->spread);
    if (d->reorder < r->reorder) {
        s->stats.held++;
        due += r->hold_ns;
    } else {
        due = due < s->last_due_ns ? s->last_due_ns : due;
        s->last_due_ns = due;
    }
    s->stats.delayed += due > v->due_ns;
    v->due_ns = due;
    return true;
}

/* False: the rule took the frame. */
static bool
link_apply(struct link_rule_slot *s, const struct frame_info *info, size_t len,
           struct link_verdict *v)
{
    const struct link_rule *r = &s->rule;
    int64_t due = v->due_ns;
    bool hit;
    struct link_draws d;

    link_draw(&s->rng, &d);
    s->stats.hit++; /* taken back below when nothing was done */
    if (r->drop) {
        s->stats.dropped++;
        return false;
    }
    if (link_loses(s, d.loss)) {
        s->stats.lost++;
        return false;
    }
    if (!link_schedule(s, &d, len, v))
        return false;
    hit = v->due_ns > due;
    hit |= link_corrupts(s, info, &d, v);
    if (d.duplicate < r->duplicate && v->copies < LINK_COPY_COUNT_MAX) {
        s->stats.duplicated++;
        v->copies++;
        hit = true;
    }
    s->stats.hit -= !hit;
    s->stats.passed++;
    return true;
}

void
link_decide(struct link *l, const struct frame_info *info, size_t len,
            int64_t now_ns, struct link_verdict *ret)
{
    ret->copies = 1;
    ret->due_ns = now_ns;
    ret->flip_count = 0;
    for (unsigned i = 0; i < l->rule_count; i++) {
        struct link_rule_slot *s = &l->rules[i];

        s->stats.seen++;
        if (!link_matches(&s->rule, info))
            continue;
        s->stats.matched++;
        if (!link_apply(s, info, len, ret)) {
            ret->copies = 0;
            return;
        }
    }
}
