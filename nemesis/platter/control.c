/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol (docs/PLATTER.md): parse, lock, act, answer.  A word
 * that a command does not know, or a number that is none, refuses the whole
 * command before anything is done.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/platter/server.h"

#define CONTROL_WORDS_MAX 12

struct control_args {
    char *keys[CONTROL_WORDS_MAX], *values[CONTROL_WORDS_MAX];
    unsigned count;
    const char *broken; /* the first key whose value is not what it must be */
};

struct control_command {
    const char *verb;
    const char *keys; /* space on both sides of each */
    void (*run)(struct server *, struct control_args *, struct buf *reply);
};

/* ---- arguments ---- */

static const char *
control_word(const struct control_args *a, const char *key, const char *none)
{
    for (unsigned i = 0; i < a->count; i++)
        if (strcmp(a->keys[i], key) == 0)
            return a->values[i];
    return none;
}

static uint64_t
control_number(struct control_args *a, const char *key, uint64_t none,
               uint64_t max)
{
    const char *text = control_word(a, key, NULL);
    char *end = NULL;
    unsigned long long n;

    if (text == NULL)
        return none;
    errno = 0;
    n = strtoull(text, &end, 0);
    if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
        n <= max)
        return n;
    if (a->broken == NULL)
        a->broken = key;
    return none;
}

static unsigned
control_kinds(struct control_args *a, const char *none)
{
    unsigned kinds = request_kinds_parse(control_word(a, "kind", none));

    if (kinds == 0 && a->broken == NULL)
        a->broken = "kind";
    return kinds;
}

/* [offset, offset + length), to the end without length; all without both. */
static void
control_range(struct server *s, struct control_args *a, uint64_t *ret_start,
              uint64_t *ret_end)
{
    uint64_t size = s->store.size;

    *ret_start = 0;
    *ret_end = UINT64_MAX;
    if (control_word(a, "offset", NULL) == NULL &&
        control_word(a, "length", NULL) == NULL)
        return;
    *ret_start = control_number(a, "offset", 0, size);
    *ret_end = *ret_start + control_number(a, "length", size - *ret_start,
                                           size - *ret_start);
}

/* Text of a client, fit for a JSON string. */
static void
control_put_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        bool plain =
            *text >= ' ' && *text <= '~' && *text != '"' && *text != '\\';

        buf_append(out, plain ? text : "?", 1);
    }
}

static void
control_refuse(struct buf *reply, const char *why, const char *what)
{
    buf_puts(reply, "{\"ok\":false,\"error\":\"");
    buf_puts(reply, why);
    if (what != NULL) {
        buf_puts(reply, " '");
        control_put_text(reply, what);
        buf_puts(reply, "'");
    }
    buf_puts(reply, "\"}");
}

static void
control_ok(struct buf *reply)
{
    buf_puts(reply, "{\"ok\":true}");
}

/* True when the arguments are good; else says why not. */
static bool
control_good(const struct control_args *a, struct buf *reply)
{
    if (a->broken != NULL)
        control_refuse(reply, "bad value of", a->broken);
    return a->broken == NULL;
}

/* ---- stats ---- */

static void
control_put_kinds(struct buf *out, unsigned kinds)
{
    const char *comma = "";

    buf_puts(out, "[");
    for (unsigned k = 0; k < REQUEST_COUNT; k++) {
        if ((kinds >> k & 1) == 0)
            continue;
        buf_printf(out, "%s\"%s\"", comma, request_name(k));
        comma = ",";
    }
    buf_puts(out, "]");
}

static void
control_put_rules(struct buf *out, const struct rules *r)
{
    buf_puts(out, ",\"rules\":[");
    for (unsigned i = 0; i < r->count; i++) {
        const struct rule *rule = &r->rules[i];

        buf_printf(
            out, "%s{\"id\":%u,\"error\":\"%s\",\"kinds\":", i == 0 ? "" : ",",
            rule->id, rule->error == ENOSPC ? "ENOSPC" : "EIO");
        control_put_kinds(out, rule->kinds);
        buf_printf(out, ",\"seen\":%" PRIu64 ",\"hit\":%" PRIu64 "}",
                   rule->seen, rule->hit);
    }
    buf_puts(out, "]");
}

static void
control_put_store(struct buf *out, const struct store *s)
{
    const struct store_stats *t = &s->stats;

    buf_printf(out,
               ",\"size\":%" PRIu64 ",\"log_records\":%" PRIu64
               ",\"log_bytes\":%" PRIu64 ",\"log_bytes_peak\":%" PRIu64
               ",\"written_back\":%" PRIu64 ",\"flushes\":%" PRIu64
               ",\"flushed\":%" PRIu64 ",\"fua\":%" PRIu64,
               s->size, t->records, t->bytes, t->bytes_peak, t->written_back,
               t->flushes, t->flushed, t->fua);
    buf_printf(out,
               ",\"lying\":%s,\"lied\":%" PRIu64 ",\"stale_bytes\":%" PRIu64
               ",\"stale\":[%" PRIu64 ",%" PRIu64 "],\"flipped\":%" PRIu64
               ",\"unflipped\":%" PRIu64 ",\"flips_open\":%u",
               s->lying ? "true" : "false", t->lied, s->stale_length,
               t->stale_seen, t->stale_hit, t->flipped, t->unflipped,
               s->flip_count);
}

static void
control_stats(struct server *s, struct control_args *a, struct buf *reply)
{
    const struct rules *r = &s->rules;

    buf_printf(reply,
               "{\"ok\":true,\"version\":1,\"powered\":%s,"
               "\"generation\":%" PRIu64 ",\"connections\":%" PRIu64
               ",\"waiting\":%" PRIu64 ",\"refused\":%" PRIu64,
               s->store.powered ? "true" : "false", s->store.generation,
               s->connections, s->waiting, s->refused);
    control_put_store(reply, &s->store);
    for (unsigned k = 0; k < REQUEST_COUNT; k++)
        buf_printf(reply,
                   ",\"%s\":{\"ops\":%" PRIu64 ",\"errors\":%" PRIu64
                   ",\"delayed\":%" PRIu64 ",\"latency_ns\":%" PRIu64
                   ",\"jitter_ns\":%" PRIu64 "}",
                   request_name(k), r->ops[k], r->errors[k], r->delayed[k],
                   r->latency_ns[k], r->jitter_ns[k]);
    buf_puts(reply, ",\"stalled\":");
    control_put_kinds(reply, r->stalled);
    control_put_rules(reply, r);
    buf_puts(reply, "}");
}

/* ---- power ---- */

static FILE *
control_open_record(struct server *s, const char *name, const char *mode)
{
    CLEANUP_FREE char *path = NULL;

    if (s->record_dir == NULL || strchr(name, '/') != NULL)
        return NULL;
    path = xasprintf("%s/%s", s->record_dir, name);
    return fopen(path, mode);
}

static void
control_put_cut(struct buf *reply, const struct cut_spec *spec,
                const struct cut_result *r, const char *name)
{
    buf_printf(reply,
               "{\"ok\":true,\"policy\":\"%s\",\"seed\":%" PRIu64
               ",\"generation\":%" PRIu64 ",\"records\":%" PRIu64
               ",\"bytes\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"torn\":%" PRIu64
               ",\"lost\":%" PRIu64 ",\"unflushed_sectors\":%" PRIu64
               ",\"lost_sectors\":%" PRIu64 ",\"unmatched\":%" PRIu64,
               cut_policy_name(spec->policy), spec->seed, r->generation,
               r->records, r->bytes, r->kept, r->torn, r->lost,
               r->unflushed_sectors, r->lost_sectors, r->unmatched);
    if (name != NULL)
        buf_printf(reply, ",\"survivors\":\"%s\"", name);
    buf_puts(reply, "}");
}

static void
control_do_cut(struct server *s, const struct cut_spec *spec, struct buf *reply)
{
    CLEANUP_FREE char *name =
        xasprintf("cut-%" PRIu64 ".txt", s->store.generation);
    FILE *out = control_open_record(s, name, "we");
    struct cut_result result;
    struct error err;

    if (s->record_dir != NULL && out == NULL)
        control_refuse(reply, "cannot write the list of survivors", name);
    else if (store_cut(&s->store, spec, out, &result, &err) < 0)
        control_refuse(reply, err.text, NULL);
    else
        control_put_cut(reply, spec, &result, out == NULL ? NULL : name);
    if (out != NULL)
        fclose(out);
    if (!s->store.powered)
        s->release = false;
}

static void
control_cut(struct server *s, struct control_args *a, struct buf *reply)
{
    const char *replay = control_word(a, "replay", NULL);
    struct cut_spec spec = {
        .seed = control_number(a, "seed", 1, INT64_MAX),
        .percent = (unsigned)control_number(a, "percent", 50, 100),
        .unit_bytes = (unsigned)control_number(a, "unit", 512, 4096)};

    if (!cut_policy_parse(control_word(a, "policy", "drop"), &spec.policy))
        a->broken = "policy";
    if (spec.unit_bytes != 512 && spec.unit_bytes != 4096)
        a->broken = "unit";
    if (spec.policy == CUT_REPLAY) {
        spec.replay =
            control_open_record(s, replay == NULL ? "/" : replay, "re");
        if (spec.replay == NULL)
            a->broken = "replay";
    }
    if (!s->store.powered)
        control_refuse(reply, "the power is off", NULL);
    else if (control_good(a, reply))
        control_do_cut(s, &spec, reply);
    if (spec.replay != NULL)
        fclose(spec.replay);
}

/* Refused while an old connection lives: nothing of the past may come in. */
static void
control_on(struct server *s, struct control_args *a, struct buf *reply)
{
    if (!s->store.powered && s->connections > 0) {
        buf_printf(reply,
                   "{\"ok\":false,\"error\":\"connections of before the cut "
                   "are open\",\"connections\":%" PRIu64 "}",
                   s->connections);
        return;
    }
    store_power_on(&s->store);
    control_ok(reply);
}

static void
control_release(struct server *s, struct control_args *a, struct buf *reply)
{
    if (!s->store.powered)
        s->release = true;
    control_ok(reply);
}

/* ---- errors, time ---- */

static void
control_add_rule(struct server *s, struct control_args *a, struct buf *reply,
                 int error, const char *kind)
{
    struct rule rule = {.kinds = control_kinds(a, kind),
                        .error = error,
                        .ppm = (uint32_t)control_number(
                            a, "ppm", RULE_PPM_ALWAYS, RULE_PPM_ALWAYS),
                        .nth = control_number(a, "nth", 0, UINT64_MAX),
                        .count = control_number(a, "count", 0, UINT64_MAX),
                        .lose = control_number(a, "lose", 0, 1) != 0};
    unsigned id;

    control_range(s, a, &rule.start, &rule.end);
    if (!control_good(a, reply))
        return;
    id = rules_add(&s->rules, &rule);
    if (id == 0)
        control_refuse(reply, "there are too many rules", NULL);
    else
        buf_printf(reply, "{\"ok\":true,\"rule\":%u}", id);
}

static void
control_eio(struct server *s, struct control_args *a, struct buf *reply)
{
    control_add_rule(s, a, reply, EIO, "any");
}

static void
control_enospc(struct server *s, struct control_args *a, struct buf *reply)
{
    control_add_rule(s, a, reply, ENOSPC, "write");
}

static void
control_latency(struct server *s, struct control_args *a, struct buf *reply)
{
    unsigned kinds = control_kinds(a, "any");
    uint64_t ns = control_number(a, "ns", 0, RULE_DELAY_NS_MAX);
    uint64_t jitter = control_number(a, "jitter_ns", 0, RULE_DELAY_NS_MAX);

    if (!control_good(a, reply))
        return;
    for (unsigned k = 0; k < REQUEST_COUNT; k++) {
        if ((kinds >> k & 1) == 0)
            continue;
        s->rules.latency_ns[k] = ns;
        s->rules.jitter_ns[k] = jitter;
    }
    control_ok(reply);
}

static void
control_stall(struct server *s, struct control_args *a, struct buf *reply)
{
    unsigned kinds = control_kinds(a, "any");

    if (!control_good(a, reply))
        return;
    s->rules.stalled |= kinds;
    control_ok(reply);
}

static void
control_unstall(struct server *s, struct control_args *a, struct buf *reply)
{
    unsigned kinds = control_kinds(a, "any");

    if (!control_good(a, reply))
        return;
    s->rules.stalled &= ~kinds;
    control_ok(reply);
}

/* ---- lies and corruption ---- */

static void
control_lie(struct server *s, struct control_args *a, struct buf *reply)
{
    bool on = control_word(a, "on", NULL) != NULL;

    if (on == (control_word(a, "off", NULL) != NULL)) {
        control_refuse(reply, "say 'on' or 'off'", NULL);
        return;
    }
    s->store.lying = on;
    control_ok(reply);
}

static void
control_put_errno(struct buf *reply, int rc)
{
    char text[128] = "";

    control_refuse(reply, strerror_r(-rc, text, sizeof(text)), NULL);
}

static void
control_flip(struct server *s, struct control_args *a, struct buf *reply)
{
    uint64_t offset =
        control_number(a, "offset", UINT64_MAX, s->store.size - 1);
    unsigned bit = (unsigned)control_number(a, "bit", 0, 7);
    int rc;

    if (offset == UINT64_MAX && a->broken == NULL)
        a->broken = "offset";
    if (!control_good(a, reply))
        return;
    rc = store_flip(&s->store, offset, bit);
    if (rc < 0)
        control_put_errno(reply, rc);
    else
        control_ok(reply);
}

static void
control_unflip(struct server *s, struct control_args *a, struct buf *reply)
{
    unsigned open = s->store.flip_count;
    int rc = store_unflip(&s->store);

    if (rc < 0)
        control_put_errno(reply, rc);
    else
        buf_printf(reply, "{\"ok\":true,\"restored\":%d,\"overwritten\":%u}",
                   rc, open - (unsigned)rc);
}

static void
control_stale(struct server *s, struct control_args *a, struct buf *reply)
{
    uint64_t start, end;
    int rc;

    control_range(s, a, &start, &end);
    if (end == UINT64_MAX)
        a->broken = "length";
    else if (start % STORE_SECTOR_BYTES != 0 || end % STORE_SECTOR_BYTES != 0)
        a->broken = "offset";
    if (!control_good(a, reply))
        return;
    rc = store_stale(&s->store, start, end - start);
    if (rc < 0)
        control_put_errno(reply, rc);
    else
        control_ok(reply);
}

/* ---- the rest ---- */

static void
control_sync(struct server *s, struct control_args *a, struct buf *reply)
{
    int rc = s->store.powered ? store_sync(&s->store) : 0;

    if (rc < 0)
        control_put_errno(reply, rc);
    else
        control_ok(reply);
}

static void
control_seed(struct server *s, struct control_args *a, struct buf *reply)
{
    uint64_t seed = control_number(a, "value", 1, UINT64_MAX);

    if (!control_good(a, reply))
        return;
    rng_init(&s->rules.rng, seed);
    control_ok(reply);
}

/* Everything that ends by itself being ended; flips are contents, and stay. */
static void
control_clear(struct server *s, struct control_args *a, struct buf *reply)
{
    uint64_t id = control_number(a, "rule", 0, UINT32_MAX);

    if (!control_good(a, reply))
        return;
    if (id > 0) {
        rules_remove(&s->rules, (unsigned)id);
    } else {
        rules_clear(&s->rules);
        s->store.lying = false;
        store_stale(&s->store, 0, 0);
    }
    control_ok(reply);
}

static const struct control_command control_commands[] = {
    {"stats", " ", control_stats},
    {"cut", " policy seed percent unit replay ", control_cut},
    {"on", " ", control_on},
    {"release", " ", control_release},
    {"eio", " kind offset length ppm nth count lose ", control_eio},
    {"enospc", " kind offset length ppm nth count ", control_enospc},
    {"latency", " kind ns jitter_ns ", control_latency},
    {"stall", " kind ", control_stall},
    {"unstall", " kind ", control_unstall},
    {"lie", " on off ", control_lie},
    {"flip", " offset bit ", control_flip},
    {"unflip", " ", control_unflip},
    {"stale", " offset length ", control_stale},
    {"sync", " ", control_sync},
    {"seed", " value ", control_seed},
    {"clear", " rule ", control_clear},
};

static bool
control_knows(const struct control_command *c, const char *key)
{
    CLEANUP_FREE char *word = xasprintf(" %s ", key);

    return key[0] != '\0' && strstr(c->keys, word) != NULL;
}

/* Splits the rest of the line; the first word that is wrong, or NULL. */
static const char *
control_parse(const struct control_command *c, char *rest,
              struct control_args *ret)
{
    char *state = NULL;

    for (char *w = strtok_r(rest, " \t\r", &state); w != NULL;
         w = strtok_r(NULL, " \t\r", &state)) {
        char *equals = strchr(w, '=');

        if (ret->count == CONTROL_WORDS_MAX)
            return w;
        if (equals != NULL)
            *equals = '\0';
        if (!control_knows(c, w) || control_word(ret, w, NULL) != NULL)
            return w;
        ret->keys[ret->count] = w;
        ret->values[ret->count++] = equals == NULL ? w + strlen(w) : equals + 1;
    }
    return NULL;
}

void
control_run(struct server *s, char *line, struct buf *reply)
{
    const struct control_command *c = NULL;
    struct control_args a = {0};
    char *rest = line + strcspn(line, " \t\r");
    const char *wrong;

    if (*rest != '\0')
        *rest++ = '\0';
    for (size_t i = 0; i < ARRAY_LEN(control_commands); i++)
        if (strcmp(line, control_commands[i].verb) == 0)
            c = &control_commands[i];
    if (c == NULL) {
        control_refuse(reply, "no such command:", line);
        return;
    }
    wrong = control_parse(c, rest, &a);
    if (wrong != NULL) {
        control_refuse(reply, "unknown or repeated word", wrong);
        return;
    }
    pthread_rwlock_wrlock(&s->store_lock);
    pthread_mutex_lock(&s->gate_lock);
    c->run(s, &a, reply);
    pthread_mutex_unlock(&s->gate_lock);
    pthread_rwlock_unlock(&s->store_lock);
    assert(!reply->truncated);
}
