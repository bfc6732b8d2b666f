/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headlines of the lease kernel: double allocation, stale reads, stale holders.
 */
#include "config.h"

#include "analyzer/explain/story.h"
#include "analyzer/models/lease-kernel.h"

/* What a command did to its lease, in the past tense. */
static const char *
kernel_done(uint8_t function)
{
    switch (function) {
    case KERNEL_RESERVE:
        return "granted";
    case KERNEL_ACTIVATE:
        return "activated";
    case KERNEL_RELEASE:
        return "released";
    case KERNEL_REVOKE:
        return "revoked";
    case KERNEL_RECLAIM:
        return "reclaimed";
    case KERNEL_EXPIRE:
        return "expired";
    default:
        return "read";
    }
}

static bool
kernel_grants(const struct calls *c, uint32_t call)
{
    return c->function[call] == KERNEL_RESERVE && c->result[call] == KERNEL_OK;
}

/* A resource that both reserved; VALUE_ABSENT: none. */
static uint32_t
kernel_shared(const struct calls *c, uint32_t a, uint32_t b)
{
    for (uint32_t i = KERNEL_RESERVE_RESOURCES; i < call_list_count(c, a); i++)
        for (uint32_t k = KERNEL_RESERVE_RESOURCES; k < call_list_count(c, b);
             k++)
            if (call_list(c, a)[i] == call_list(c, b)[k])
                return call_list(c, a)[i];
    return VALUE_ABSENT;
}

/* Whether the core says that the lease was held: its grant contradicts, or a
 * command on it does. */
static bool
kernel_held(const struct story *s, uint32_t grant)
{
    for (uint32_t i = 0; i < s->firm_count; i++)
        if (s->firm[i] != s->last && s->c->b[s->firm[i]] == s->c->b[grant])
            return true;
    return false;
}

static bool
kernel_double(struct story *s)
{
    const struct calls *c = s->c;

    for (uint32_t i = 0; i < s->d->core_count; i++) {
        uint32_t call = s->d->core[i], resource;

        if (call == s->last || !kernel_grants(c, call) || !kernel_held(s, call))
            continue;
        resource = kernel_shared(c, call, s->last);
        if (resource == VALUE_ABSENT)
            continue;
        buf_printf(&s->out, "resource %s was given to ",
                   story_value(s, resource));
        buf_printf(&s->out, "lease %s (%s, client %u) while lease %s ",
                   story_value(s, c->b[s->last]), story_value(s, c->a[s->last]),
                   story_client(s, s->last), story_value(s, c->b[call]));
        buf_printf(&s->out, "(%s, client %u) still held it",
                   story_value(s, c->a[call]), story_client(s, call));
        return true;
    }
    return false;
}

static bool
kernel_reserve(struct story *s)
{
    const struct calls *c = s->c;
    uint32_t call = s->last;

    if (kernel_grants(c, call))
        return kernel_double(s);
    if (c->result[call] != KERNEL_BUSY)
        return false;
    buf_puts(&s->out, "resource ");
    for (uint32_t i = KERNEL_RESERVE_RESOURCES; i < call_list_count(c, call);
         i++)
        buf_printf(&s->out, "%s%s", i == KERNEL_RESERVE_RESOURCES ? "" : ", ",
                   story_value(s, call_list(c, call)[i]));
    buf_printf(&s->out,
               " was refused to client %u as busy, but nothing can "
               "have held it",
               story_client(s, call));
    return true;
}

/* " after lease 7 had been released by client 3". */
static bool
kernel_after(struct story *s)
{
    const struct calls *c = s->c;

    if (s->other == STORY_NONE || !story_before(s, s->other) ||
        c->function[s->other] == KERNEL_GET || c->result[s->other] != KERNEL_OK)
        return false;
    buf_printf(&s->out, " after lease %s had been %s by client %u",
               story_value(s, c->b[s->other]),
               kernel_done(c->function[s->other]), story_client(s, s->other));
    return true;
}

static bool
kernel_get(struct story *s)
{
    const struct calls *c = s->c;
    uint32_t call = s->last;

    buf_printf(&s->out, "resource %s was read as %s",
               story_value(s, c->a[call]), kernel_state_name(c->result[call]));
    if (c->b[call] != VALUE_ABSENT)
        buf_printf(&s->out, " by lease %s", story_value(s, c->b[call]));
    buf_printf(&s->out, " by client %u", story_client(s, call));
    if (!kernel_after(s)) {
        if (s->firm_count == 1)
            buf_puts(&s->out, ", which nothing that had begun by then allows");
        else
            story_unordered(s);
    } else if (c->result[call] == KERNEL_AVAILABLE &&
               c->function[s->other] == KERNEL_RESERVE) {
        buf_puts(&s->out, ", and nothing ended the lease in between");
    }
    return true;
}

static bool
kernel_command(struct story *s)
{
    const struct calls *c = s->c;
    uint32_t call = s->last, epoch = kernel_word(c, call, KERNEL_COMMAND_EPOCH);

    buf_printf(&s->out, "client %u's %s of lease %s", story_client(s, call),
               c->model->functions[c->function[call]],
               story_value(s, c->b[call]));
    if (epoch != VALUE_ABSENT)
        buf_printf(&s->out, " with epoch %s", story_value(s, epoch));
    if (c->result[call] == KERNEL_OK)
        buf_puts(&s->out, " was accepted");
    else
        buf_printf(&s->out, " was answered %s",
                   kernel_code_name(c->result[call]));
    if (kernel_after(s))
        return true;
    if (s->firm_count == 1)
        buf_puts(&s->out, ", which nothing that had begun by then allows");
    else
        story_unordered(s);
    return true;
}

bool
story_kernel(struct story *s)
{
    switch (s->c->function[s->last]) {
    case KERNEL_RESERVE:
        return kernel_reserve(s);
    case KERNEL_GET:
        return kernel_get(s);
    default:
        return kernel_command(s);
    }
}
