/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record by record, oldest first: decide, write the decision down, apply what
 * survives.  Applying in the order of the log keeps the order within each
 * sector.  Then what a read would have said before is compared with what is
 * stable now, which counts the sectors really lost; then the log goes.
 *
 * Failure modes: the host refuses a write, or the list of decisions: the cut
 * is finished all the same, and reported as failed.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/rng.h"
#include "nemesis/platter/cut.h"
#include "nemesis/platter/stable.h"

/* Units of the longest write; one more when it is not aligned to them. */
#define CUT_UNITS_MAX (STORE_REQUEST_BYTES_MAX / STORE_SECTOR_BYTES + 1)
#define CUT_HEX_SIZE (CUT_UNITS_MAX / 4 + 3)
#define CUT_LINE_SIZE (CUT_HEX_SIZE + 160)
#define CUT_FIELDS 6
/* How far a replay looks for a record: logs of two runs differ a little. */
#define CUT_REPLAY_AHEAD 64

enum cut_fate { CUT_FATE_LOST, CUT_FATE_KEPT, CUT_FATE_TORN };

struct cut_line {
    uint64_t offset, length;
    enum store_kind kind;
    enum cut_fate fate;
    uint32_t crc;
    char *units; /* hex, of CUT_FATE_TORN */
};

struct cut {
    const struct cut_spec *spec;
    struct rng rng;
    uint64_t index, prefix; /* of the record at hand; how many are whole */
    bool units[CUT_UNITS_MAX];
    char hex[CUT_HEX_SIZE];
    struct cut_line *lines; /* of a replay */
    size_t line_count, line_next;
    struct cut_result *result;
};

static const char *const cut_kind_names[] = {"write", "zero", "trim"};

static const char *const cut_policy_names[CUT_POLICY_COUNT] = {
    [CUT_DROP] = "drop",     [CUT_KEEP] = "keep",
    [CUT_PREFIX] = "prefix", [CUT_TORN_TAIL] = "torn-tail",
    [CUT_SUBSET] = "subset", [CUT_TEAR] = "tear",
    [CUT_REPLAY] = "replay",
};

const char *
cut_policy_name(enum cut_policy p)
{
    assert(p < CUT_POLICY_COUNT);
    return cut_policy_names[p];
}

bool
cut_policy_parse(const char *name, enum cut_policy *ret)
{
    for (unsigned i = 0; i < CUT_POLICY_COUNT; i++) {
        if (strcmp(name, cut_policy_names[i]) == 0) {
            *ret = (enum cut_policy)i;
            return true;
        }
    }
    return false;
}

/* ---- units: aligned pieces of the medium, not of the write ---- */

static unsigned
cut_unit_count(const struct cut *c, const struct store_record *r)
{
    uint64_t unit = c->spec->unit_bytes;

    if (r->kind != STORE_WRITE)
        return 1; /* a range of zeros goes or stays whole */
    return (unsigned)((r->offset + r->length - 1) / unit - r->offset / unit +
                      1);
}

/* Unit i of the record in bytes of the record. */
static void
cut_unit_range(const struct cut *c, const struct store_record *r, unsigned i,
               uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t unit = c->spec->unit_bytes;
    uint64_t from = (r->offset / unit + i) * unit, to = from + unit;

    if (r->kind != STORE_WRITE) {
        *ret_from = 0;
        *ret_to = r->length;
        return;
    }
    *ret_from = from > r->offset ? from - r->offset : 0;
    *ret_to = to - r->offset < r->length ? to - r->offset : r->length;
}

static enum cut_fate
cut_fate_of_units(const struct cut *c, unsigned count)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++)
        kept += c->units[i];
    if (kept == 0)
        return CUT_FATE_LOST;
    return kept == count ? CUT_FATE_KEPT : CUT_FATE_TORN;
}

/* ---- replay ---- */

static bool
cut_parse_line(char *text, struct cut_line *ret)
{
    char *fields[CUT_FIELDS], *rest = NULL, *units;
    int count = 0;

    for (char *f = strtok_r(text, " \n", &rest);
         f != NULL && count < CUT_FIELDS; f = strtok_r(NULL, " \n", &rest))
        fields[count++] = f;
    if (count != CUT_FIELDS)
        return false;
    ret->kind = strcmp(fields[1], "write") == 0  ? STORE_WRITE
                : strcmp(fields[1], "zero") == 0 ? STORE_ZERO
                                                 : STORE_TRIM;
    ret->offset = strtoull(fields[2], NULL, 10);
    ret->length = strtoull(fields[3], NULL, 10);
    units = strchr(fields[4], ':');
    if (units != NULL)
        *units++ = '\0';
    ret->fate = strcmp(fields[4], "kept") == 0   ? CUT_FATE_KEPT
                : strcmp(fields[4], "torn") == 0 ? CUT_FATE_TORN
                                                 : CUT_FATE_LOST;
    ret->units = units == NULL ? NULL : xstrdup(units);
    ret->crc = (uint32_t)strtoul(fields[5], NULL, 16);
    return true;
}

/* The unit of the replayed cut counts, not the asked one. */
static int
cut_read_replay(struct cut *c, struct cut_spec *spec, struct error *err)
{
    CLEANUP_FREE char *text = xcalloc(1, CUT_LINE_SIZE);
    size_t cap = 0;
    char *unit;

    if (spec->replay == NULL ||
        fgets(text, CUT_LINE_SIZE, spec->replay) == NULL ||
        strncmp(text, "platter-cut 1 ", 14) != 0)
        return error_set(err, ERROR_CONFIG, "not a list of survivors");
    unit = strstr(text, " unit=");
    spec->unit_bytes = unit == NULL ? 0 : (unsigned)strtoul(unit + 6, NULL, 10);
    if (spec->unit_bytes < STORE_SECTOR_BYTES)
        return error_set(err, ERROR_CONFIG, "a list without its unit");
    while (fgets(text, CUT_LINE_SIZE, spec->replay) != NULL) {
        if (c->line_count == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            c->lines = xrealloc(c->lines, cap * sizeof(*c->lines));
        }
        if (!cut_parse_line(text, &c->lines[c->line_count]))
            return error_set(err, ERROR_CONFIG,
                             "line %zu of the list of survivors is broken",
                             c->line_count + 2);
        c->line_count++;
    }
    return 0;
}

static void
cut_units_from_hex(struct cut *c, const char *hex, unsigned count)
{
    size_t len = hex == NULL ? 0 : strlen(hex);

    for (unsigned i = 0; i < count; i++) {
        char digit[2] = {i / 4 < len ? hex[i / 4] : '0', '\0'};

        c->units[i] = strtoul(digit, NULL, 16) >> (3 - i % 4) & 1;
    }
}

/* The next line that speaks of this very write. */
static const struct cut_line *
cut_find_line(struct cut *c, const struct store_record *r, uint32_t crc)
{
    for (size_t i = c->line_next;
         i < c->line_count && i < c->line_next + CUT_REPLAY_AHEAD; i++) {
        const struct cut_line *l = &c->lines[i];

        if (l->kind == r->kind && l->offset == r->offset &&
            l->length == r->length && l->crc == crc) {
            c->line_next = i + 1;
            return l;
        }
    }
    return NULL;
}

static enum cut_fate
cut_replay_fate(struct cut *c, const struct store_record *r, uint32_t crc,
                unsigned count)
{
    const struct cut_line *l = cut_find_line(c, r, crc);

    if (l == NULL) {
        c->result->unmatched++;
        return CUT_FATE_LOST;
    }
    if (l->fate != CUT_FATE_TORN)
        return l->fate;
    cut_units_from_hex(c, l->units, count);
    return cut_fate_of_units(c, count);
}

/* ---- deciding ---- */

static enum cut_fate
cut_tail_fate(struct cut *c, unsigned count)
{
    uint64_t whole;

    if (c->index != c->prefix)
        return c->index < c->prefix ? CUT_FATE_KEPT : CUT_FATE_LOST;
    whole = rng_below(&c->rng, count);
    for (unsigned i = 0; i < count; i++)
        c->units[i] = i < whole;
    return cut_fate_of_units(c, count);
}

static bool
cut_chance(struct cut *c)
{
    return rng_below(&c->rng, 100) < c->spec->percent;
}

static enum cut_fate
cut_decide(struct cut *c, const struct store_record *r, uint32_t crc)
{
    unsigned count = cut_unit_count(c, r);

    assert(count <= CUT_UNITS_MAX);
    switch (c->spec->policy) {
    case CUT_KEEP:
        return CUT_FATE_KEPT;
    case CUT_PREFIX:
        return c->index < c->prefix ? CUT_FATE_KEPT : CUT_FATE_LOST;
    case CUT_TORN_TAIL:
        return cut_tail_fate(c, count);
    case CUT_SUBSET:
        return cut_chance(c) ? CUT_FATE_KEPT : CUT_FATE_LOST;
    case CUT_TEAR:
        for (unsigned i = 0; i < count; i++)
            c->units[i] = cut_chance(c);
        return cut_fate_of_units(c, count);
    case CUT_REPLAY:
        return cut_replay_fate(c, r, crc, count);
    case CUT_DROP:
    case CUT_POLICY_COUNT:
        break;
    }
    return CUT_FATE_LOST;
}

/* ---- doing ---- */

static const char *
cut_units_to_hex(struct cut *c, unsigned count)
{
    unsigned digits = (count + 3) / 4;

    for (unsigned d = 0; d < digits; d++) {
        unsigned value = 0;

        for (unsigned i = d * 4; i < d * 4 + 4; i++)
            value = value * 2 + (i < count && c->units[i]);
        c->hex[d] = "0123456789abcdef"[value];
    }
    c->hex[digits] = '\0';
    return c->hex;
}

static void
cut_note(struct cut *c, const struct store_record *r, enum cut_fate fate,
         uint32_t crc, FILE *out)
{
    fprintf(out, "%" PRIu64 " %s %" PRIu64 " %" PRIu64 " ", r->sequence,
            cut_kind_names[r->kind], r->offset, r->length);
    if (fate == CUT_FATE_TORN)
        fprintf(out, "torn:%s", cut_units_to_hex(c, cut_unit_count(c, r)));
    else
        fputs(fate == CUT_FATE_KEPT ? "kept" : "lost", out);
    fprintf(out, " %08x\n", crc);
}

static int
cut_apply(struct cut *c, int fd, const struct store_record *r,
          enum cut_fate fate)
{
    unsigned count = cut_unit_count(c, r);

    if (fate == CUT_FATE_LOST)
        return 0;
    if (fate == CUT_FATE_KEPT)
        return stable_apply(fd, r, 0, r->length);
    for (unsigned i = 0; i < count; i++) {
        uint64_t from, to;
        int rc;

        if (!c->units[i])
            continue;
        cut_unit_range(c, r, i, &from, &to);
        rc = stable_apply(fd, r, from, to - from);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
cut_records(struct cut *c, struct store *s, FILE *out)
{
    int rc = 0;

    for (const struct store_record *r = s->head; r != NULL; r = r->next) {
        uint32_t crc =
            r->kind == STORE_WRITE ? crc32c(0, r->data, r->length) : 0;
        enum cut_fate fate = cut_decide(c, r, crc);
        int one = cut_apply(c, s->fd, r, fate);

        if (one < 0 && rc == 0)
            rc = one;
        if (out != NULL)
            cut_note(c, r, fate, crc, out);
        c->result->kept += fate == CUT_FATE_KEPT;
        c->result->torn += fate == CUT_FATE_TORN;
        c->result->lost += fate == CUT_FATE_LOST;
        c->index++;
    }
    return rc;
}

static int
cut_count_lost(const struct store *s, struct cut_result *ret)
{
    const struct extent *e;

    for (uint64_t at = 0; (e = extents_first(&s->map, at, s->size)) != NULL;
         at = e->end) {
        int64_t n = stable_differs(s->fd, e->record, e->start, e->end);

        if (n < 0)
            return -errno;
        ret->lost_sectors += (uint64_t)n;
        ret->unflushed_sectors += (e->end - e->start) / STORE_SECTOR_BYTES;
    }
    return 0;
}

static void
cut_release(struct cut *c)
{
    for (size_t i = 0; i < c->line_count; i++)
        free(c->lines[i].units);
    free(c->lines);
    free(c);
}

int
store_cut(struct store *s, const struct cut_spec *asked, FILE *survivors,
          struct cut_result *ret, struct error *err)
{
    struct cut_spec spec = *asked;
    struct cut *c = xcalloc(1, sizeof(*c));
    struct cut_result result = {.records = s->stats.records,
                                .bytes = s->stats.bytes};
    int rc = 0, lost;

    assert(s->powered && spec.percent <= 100);
    assert(spec.unit_bytes % STORE_SECTOR_BYTES == 0 && spec.unit_bytes > 0);
    c->spec = &spec;
    c->result = &result;
    rng_init(&c->rng, spec.seed);
    c->prefix = rng_below(&c->rng, s->stats.records + 1);
    if (spec.policy == CUT_REPLAY && cut_read_replay(c, &spec, err) < 0) {
        cut_release(c);
        return -1; /* before anything has happened: the power is still on */
    }
    if (survivors != NULL)
        fprintf(survivors,
                "platter-cut 1 policy=%s seed=%" PRIu64
                " percent=%u unit=%u records=%" PRIu64 "\n",
                cut_policy_names[spec.policy], spec.seed, spec.percent,
                spec.unit_bytes, s->stats.records);
    rc = cut_records(c, s, survivors);
    lost = cut_count_lost(s, &result);
    cut_release(c);
    store_lose(s);
    s->powered = false;
    result.generation = ++s->generation;
    if (rc < 0 || lost < 0)
        return error_errno(err, ERROR_ENVIRONMENT, rc < 0 ? -rc : -lost,
                           "applying what survives the cut");
    if (survivors != NULL && (fflush(survivors) != 0 || ferror(survivors)))
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "writing the list of survivors");
    *ret = result;
    return 0;
}

void
store_power_on(struct store *s)
{
    s->powered = true;
}
