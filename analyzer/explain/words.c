/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headlines: the broken guarantee in the words of the data type.  Each model
 * family has a few sentences for the cores that occur most, every one of which
 * says only what the core's being contradictory implies (docs/EXPLANATIONS.md);
 * what fits none of them is said in general.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/story.h"
#include "analyzer/models/functions.h"

uint32_t
words_number(const struct decision *d, uint32_t call)
{
    for (uint32_t i = 0; i < d->core_count; i++)
        if (d->core[i] == call)
            return i + 1;
    return 0;
}

void
words_size(const struct problem *p, const struct decision *d, struct buf *out)
{
    uint32_t firm = 0;

    for (uint32_t i = 0; i < d->core_count; i++)
        firm += words_firm(d, i);
    uint32_t context = d->core_count - firm;
    if (firm == 1)
        buf_puts(out, "1 call contradicts the rest");
    else
        buf_printf(out, "%u calls contradict each other", firm);
    if (context > 0)
        buf_printf(out, "; %u more %s shown for context", context,
                   context == 1 ? "is" : "are");
    /* What is known of cores that were made here. */
    uint32_t rest = p->count - d->core_count;
    if (d->core_firm == NULL || rest == 0)
        return;
    if (rest == 1)
        buf_puts(out, "; whatever one thinks of the other call");
    else
        buf_printf(out, "; whatever one thinks of the other %u calls", rest);
}

const char *
story_value(struct story *s, uint32_t value)
{
    char *text = s->text[s->text_next++ % 4];

    return value_print(s->c, value, text, sizeof(s->text[0]));
}

/* "the register", "key 3", "lock "a"". */
static void
subject(struct story *s, const char *noun)
{
    char text[96];
    uint32_t key = s->c->key[s->last];

    if (key == VALUE_ABSENT)
        buf_printf(&s->out, "the %s", noun);
    else
        buf_printf(&s->out, "%s %s",
                   strcmp(noun, "register") == 0 ? "key" : noun,
                   value_print(s->c, key, text, sizeof(text)));
}

unsigned
story_client(const struct story *s, uint32_t call)
{
    return s->c->process[call];
}

bool
story_before(const struct story *s, uint32_t call)
{
    return s->c->complete[call] < s->c->invoke[s->last];
}

void
story_unordered(struct story *s)
{
    buf_printf(&s->out,
               ", which no order of it and the %u other %s below "
               "allows",
               s->firm_count - 1, s->firm_count == 2 ? "call" : "calls");
}

/* ---- registers ---- */

static bool
register_puts(const struct calls *c, uint32_t call, uint32_t value)
{
    switch (c->function[call]) {
    case REGISTER_WRITE:
        return c->a[call] == value;
    case REGISTER_CAS:
        return c->b[call] == value && c->result[call] != 0;
    default:
        return false;
    }
}

static bool
register_anyone_puts(const struct story *s, uint32_t value)
{
    uint32_t first = s->c->initial == VALUE_ABSENT ? VALUE_NIL : s->c->initial;

    for (uint32_t i = 0; i < s->p->count; i++)
        if (register_puts(s->c, problem_call(s->p, i), value))
            return true;
    return value == first;
}

/* "client 2's write of 3 had been answered". */
static void
register_before(struct story *s, uint32_t call)
{
    const struct calls *c = s->c;

    if (c->function[call] == REGISTER_READ) {
        buf_printf(&s->out, "client %u had read %s", story_client(s, call),
                   story_value(s, c->result[call]));
        return;
    }
    if (c->function[call] == REGISTER_WRITE)
        buf_printf(&s->out, "a write of %s by client %u",
                   story_value(s, c->a[call]), story_client(s, call));
    else if (c->result[call] == 0)
        buf_printf(&s->out, "a refusal to change %s by client %u",
                   story_value(s, c->a[call]), story_client(s, call));
    else
        buf_printf(&s->out, "a change from %s to %s by client %u",
                   story_value(s, c->a[call]), story_value(s, c->b[call]),
                   story_client(s, call));
    buf_puts(&s->out, " had been answered");
}

/* "was read as 1 by client 4". */
static void
register_saw(struct story *s, uint32_t call)
{
    const struct calls *c = s->c;

    if (c->function[call] == REGISTER_READ)
        buf_printf(&s->out, " was read as %s by client %u",
                   story_value(s, c->result[call]), story_client(s, call));
    else
        buf_printf(&s->out, " was changed from %s to %s by client %u",
                   story_value(s, c->a[call]), story_value(s, c->b[call]),
                   story_client(s, call));
}

static bool
register_headline(struct story *s)
{
    const struct calls *c = s->c;
    uint8_t f = c->function[s->last];
    bool refused = f == REGISTER_CAS && c->result[s->last] == 0;
    uint32_t seen = f == REGISTER_READ ? c->result[s->last] : c->a[s->last];

    if (f != REGISTER_READ && f != REGISTER_CAS)
        return false;
    if (refused) {
        buf_printf(&s->out, "a change from %s was refused to client %u though ",
                   story_value(s, seen), story_client(s, s->last));
        subject(s, "register");
        buf_printf(&s->out, " certainly held %s", story_value(s, seen));
        return true;
    }
    /* What is read of text may be made of several pieces. */
    for (uint32_t i = 0; i < s->p->count; i++)
        if (c->function[problem_call(s->p, i)] == REGISTER_APPEND)
            return false;
    subject(s, "register");
    register_saw(s, s->last);
    if (!register_anyone_puts(s, seen)) {
        buf_printf(&s->out, ", and nothing ever wrote %s",
                   story_value(s, seen));
    } else if (s->firm_count == 1) {
        buf_printf(&s->out,
                   ", and nothing that had begun by then could have "
                   "left %s there",
                   story_value(s, seen));
    } else if (s->other != STORY_NONE && story_before(s, s->other)) {
        buf_puts(&s->out, " after ");
        register_before(s, s->other);
        buf_printf(&s->out, ", and nothing wrote %s in between",
                   story_value(s, seen));
    } else {
        story_unordered(s);
    }
    return true;
}

static bool
text_headline(struct story *s)
{
    const struct calls *c = s->c;

    if (c->function[s->last] != REGISTER_READ)
        return false;
    subject(s, "register");
    buf_printf(&s->out, " was read as %s by client %u",
               story_value(s, c->result[s->last]), story_client(s, s->last));
    if (s->firm_count == 1)
        buf_puts(&s->out, ", which no order of what was put and appended by "
                          "then can give");
    else if (s->other != STORY_NONE && story_before(s, s->other)) {
        buf_puts(&s->out, " after ");
        if (c->function[s->other] == REGISTER_APPEND)
            buf_printf(&s->out,
                       "an append of %s by client %u had been "
                       "answered",
                       story_value(s, c->a[s->other]),
                       story_client(s, s->other));
        else
            register_before(s, s->other);
        buf_puts(&s->out, ", which cannot both be");
    } else {
        story_unordered(s);
    }
    return true;
}

/* ---- queue and stack ---- */

/* The call of the core that took the value; STORY_NONE: none. */
static uint32_t
taken_by(const struct story *s, uint32_t value)
{
    for (uint32_t i = 0; i < s->d->core_count; i++)
        if (s->c->function[s->d->core[i]] == QUEUE_DEQUEUE &&
            s->c->result[s->d->core[i]] == value)
            return s->d->core[i];
    return STORY_NONE;
}

/* Two values of the core that went in and came out one after the other, in an
 * order that the container does not have. */
static bool
taken_in_turn(struct story *s, const char *noun, const char *put,
              const char *taken)
{
    const struct calls *c = s->c;
    const struct decision *d = s->d;
    bool stack = noun[0] == 's';

    for (uint32_t i = 0; i < d->core_count; i++)
        for (uint32_t k = 0; k < d->core_count; k++) {
            uint32_t first = d->core[i], second = d->core[k];

            if (c->function[first] != QUEUE_ENQUEUE ||
                c->function[second] != QUEUE_ENQUEUE ||
                c->complete[first] >= c->invoke[second])
                continue;
            uint32_t out = taken_by(s, c->a[stack ? first : second]);
            uint32_t late = taken_by(s, c->a[stack ? second : first]);
            if (out == STORY_NONE || late == STORY_NONE ||
                c->complete[out] >= c->invoke[late] ||
                (stack && c->complete[second] >= c->invoke[out]))
                continue;
            buf_printf(&s->out,
                       "%s was %s by client %u before %s by client "
                       "%u, though it had been %s %s",
                       story_value(s, c->result[out]), taken,
                       story_client(s, out), story_value(s, c->result[late]),
                       story_client(s, late), put,
                       stack ? "below it" : "after it");
            return true;
        }
    return false;
}

static bool
taken_headline(struct story *s, const char *noun, const char *put,
               const char *taken)
{
    const struct calls *c = s->c;
    uint32_t value = c->result[s->last], puts = 0;

    /* Enqueue and push, dequeue and pop have the same numbers. */
    if (c->function[s->last] != QUEUE_DEQUEUE)
        return false;
    if (value == VALUE_NIL) {
        subject(s, noun);
        buf_printf(&s->out,
                   " was found empty by client %u though something "
                   "was certainly in it",
                   story_client(s, s->last));
        return true;
    }
    if (taken_in_turn(s, noun, put, taken))
        return true;
    for (uint32_t i = 0; i < s->p->count; i++) {
        uint32_t call = problem_call(s->p, i);

        puts += c->function[call] == QUEUE_ENQUEUE && c->a[call] == value;
    }
    buf_printf(&s->out, "%s was %s by client %u", story_value(s, value), taken,
               story_client(s, s->last));
    if (puts == 0) {
        buf_printf(&s->out, ", and was never %s", put);
    } else if (s->firm_count == 1) {
        buf_printf(&s->out, " before anyone began to put it in");
    } else if (s->other != STORY_NONE && c->result[s->other] == value &&
               c->function[s->other] == QUEUE_DEQUEUE) {
        buf_printf(&s->out, " and again by client %u; it was %s %s",
                   story_client(s, s->other), put,
                   puts == 1 ? "once" : "not often enough");
    } else {
        buf_puts(&s->out, " out of turn: no order of what was put in and taken "
                          "out gives ");
        buf_puts(&s->out, story_value(s, value));
        buf_puts(&s->out, " there");
    }
    return true;
}

/* ---- set ---- */

static bool
set_headline(struct story *s)
{
    const struct calls *c = s->c;
    uint32_t call = s->last;

    if (c->function[call] == SET_READ) {
        buf_printf(&s->out, "client %u read contents that ",
                   story_client(s, call));
        subject(s, "set");
        buf_puts(&s->out, " cannot have had");
        return true;
    }
    const char *element = story_value(s, c->a[call]);
    if (c->function[call] == SET_CONTAINS)
        buf_printf(&s->out, "client %u %s %s in ", story_client(s, call),
                   c->result[call] == 1 ? "found" : "did not find", element);
    else
        buf_printf(&s->out, "client %u was told that it %s %s %s ",
                   story_client(s, call),
                   c->result[call] == 1 ? "did" : "did not",
                   c->function[call] == SET_ADD ? "add" : "remove", element);
    subject(s, "set");
    buf_printf(&s->out, ", which certainly %s it",
               (c->function[call] == SET_ADD) == (c->result[call] == 1)
                   ? "held"
                   : "did not hold");
    return true;
}

/* ---- locks ---- */

static void
lock_owner(struct story *s, uint32_t call)
{
    if (s->c->a[call] == VALUE_ABSENT || s->c->a[call] == s->c->process[call])
        buf_printf(&s->out, "client %u", story_client(s, call));
    else
        buf_printf(&s->out, "%s (client %u)", story_value(s, s->c->a[call]),
                   story_client(s, call));
}

static bool
lock_headline(struct story *s)
{
    const struct calls *c = s->c;
    bool acquired = c->function[s->last] == LOCK_ACQUIRE;

    subject(s, "lock");
    buf_puts(&s->out, acquired ? " was granted to " : " was released by ");
    lock_owner(s, s->last);
    if (s->firm_count == 1) {
        buf_puts(&s->out, acquired ? ", but cannot have been free"
                                   : ", which cannot have held it");
    } else if (s->other != STORY_NONE && acquired &&
               c->function[s->other] == LOCK_ACQUIRE) {
        if (c->result[s->last] != VALUE_ABSENT &&
            c->result[s->other] != VALUE_ABSENT) {
            buf_printf(&s->out,
                       " with token %s after it was granted with "
                       "token %s to ",
                       story_value(s, c->result[s->last]),
                       story_value(s, c->result[s->other]));
            lock_owner(s, s->other);
        } else {
            buf_puts(&s->out,
                     story_before(s, s->other) ? " while " : " and to ");
            lock_owner(s, s->other);
            buf_puts(&s->out, story_before(s, s->other) ? " held it" : "");
            buf_puts(&s->out, ": nothing released it in between");
        }
    } else if (acquired) {
        buf_puts(&s->out, " when it was certainly held");
    } else {
        buf_puts(&s->out, ", which certainly did not hold it");
    }
    return true;
}

/* ---- all ---- */

static bool
model_is(const struct story *s, const char *name)
{
    return strcmp(s->c->model->name, name) == 0;
}

static bool
headline_of_family(struct story *s)
{
    if (model_is(s, "kv"))
        return register_headline(s) || (buf_reset(&s->out), text_headline(s));
    if (model_is(s, "register") || model_is(s, "cas-register"))
        return register_headline(s);
    if (model_is(s, "fifo-queue"))
        return taken_headline(s, "queue", "enqueued", "dequeued");
    if (model_is(s, "stack"))
        return taken_headline(s, "stack", "pushed", "popped");
    if (model_is(s, "set"))
        return set_headline(s);
    if (model_is(s, "lease-kernel"))
        return story_kernel(s);
    if (model_is(s, "mutex") || model_is(s, "fenced-lock"))
        return lock_headline(s);
    return false;
}

static void
headline_in_general(struct story *s)
{
    buf_printf(&s->out, "client %u: ", story_client(s, s->last));
    model_describe(s->c, s->last, &s->out);
    if (s->firm_count == 1)
        buf_puts(&s->out, ": nothing that had begun by then allows it");
    else
        story_unordered(s);
}

static bool
story_begin(struct story *s, const struct problem *p, const struct decision *d)
{
    const struct calls *c = p->calls;

    *s = (struct story){
        .p = p, .c = c, .d = d, .last = STORY_NONE, .other = STORY_NONE};
    for (uint32_t i = 0; i < d->core_count; i++) {
        uint32_t call = d->core[i];

        if (!words_firm(d, i))
            continue;
        if (s->firm_count == STORY_MAX)
            return false;
        s->firm[s->firm_count++] = call;
        if (c->complete[call] != CALL_OPEN &&
            (s->last == STORY_NONE || c->complete[call] > c->complete[s->last]))
            s->last = call;
    }
    if (s->firm_count == 2)
        s->other = s->firm[0] == s->last ? s->firm[1] : s->firm[0];
    return s->last != STORY_NONE;
}

void
explain_words(const struct problem *p, struct decision *d)
{
    struct story s;

    if (d->verdict != VERDICT_INVALID || d->core_count == 0)
        return;
    if (p->calls->model->step != NULL && story_begin(&s, p, d)) {
        buf_init(&s.out, DECISION_HEADLINE_MAX - 1);
        /* What the engine says of a core that was since shrunk may speak of
         * calls that are gone. */
        bool told = d->core_firm != NULL && headline_of_family(&s);
        if (!told && d->headline[0] == '\0') {
            buf_reset(&s.out);
            headline_in_general(&s);
            told = true;
        }
        if (told)
            snprintf(d->headline, sizeof(d->headline), "%s", buf_text(&s.out));
        buf_release(&s.out);
    }
    if (d->headline[0] == '\0')
        snprintf(d->headline, sizeof(d->headline),
                 "no order of %u calls explains what they were answered",
                 d->core_count);
    words_edges(p, d);
}
