/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history text of AllocDB's own harness:
 *
 *   version=1
 *   sequence=1 process=primary-1 time_millis=5 operation=reserve operation_id=9
 *     resource_id=7 holder_id=3 ... outcome=committed_write applied_lsn=4
 *     write_result=reserved committed_reservation_id=4 ...     (one line)
 *
 * Only completions are recorded.  That harness does one thing at a time, so an
 * operation is delivered as its invocation and, at once, its completion.
 *
 * What becomes of it, in terms of the model lease-kernel:
 *  - reserve, reserve_bundle, confirm (activate), release, revoke, reclaim with
 *    their answers; each lease of a tick's list is an expire;
 *  - a tick whose outcome is ambiguous may expire any lease, now or later: from
 *    then on every lease has an expire that stays open;
 *  - stale_epoch is an answer.  The other refusals each stand for several codes
 *    or depend on the clock: they tell nothing;
 *  - reads are passed over: AllocDB promises of them only their fence.
 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"

#define ALLOCDB_TOKENS_MAX 48
#define ALLOCDB_MEMBERS_MAX 4096

struct allocdb {
    struct parse parse; /* holds the trees of a line */
    char *keys[ALLOCDB_TOKENS_MAX], *values[ALLOCDB_TOKENS_MAX];
    unsigned count;
    bool any_may_expire;
    struct tree *leases; /* granted, as long as no tick is ambiguous */
    size_t lease_count, lease_cap;
    struct arena arena;
    record_sink *sink;
    void *arg;
    struct record r;
};

static unsigned
allocdb_sniff(const char *bytes, size_t len, const char *path)
{
    static const char first[] = "version=1\n";

    if (len < sizeof(first) - 1 || memcmp(bytes, first, sizeof(first) - 1) != 0)
        return 0;
    return bytes_contain(bytes, len, "\nsequence=") ? 90 : 40;
}

static const char *
allocdb_get(const struct allocdb *a, const char *key)
{
    for (unsigned i = 0; i < a->count; i++)
        if (strcmp(a->keys[i], key) == 0)
            return a->values[i];
    return NULL;
}

static const char *
allocdb_tokens(struct allocdb *a, char *line)
{
    a->count = 0;
    for (;;) {
        char *equals;

        line += strspn(line, " \t");
        if (*line == '\0')
            return NULL;
        if (a->count == ALLOCDB_TOKENS_MAX)
            return "too many words";
        equals = strpbrk(line, "= \t");
        if (equals == NULL || *equals != '=')
            return "expected KEY=VALUE";
        *equals = '\0';
        a->keys[a->count] = line;
        a->values[a->count++] = line = equals + 1;
        line += strcspn(line, " \t");
        if (*line != '\0')
            *line++ = '\0';
    }
}

/* ---- values ---- */

/* Ids have 128 bits: beyond 64 they are keywords of their digits. */
static struct tree
allocdb_number(struct allocdb *a, const char *text, size_t len)
{
    struct tree t = {.kind = TREE_INT};

    if (!parse_integer(text, len, &t.integer)) {
        t.kind = strspn(text, "0123456789") >= len ? TREE_KEYWORD : TREE_STRING;
        t.count = (uint32_t)len;
        t.text = parse_text(&a->parse, text, len);
    }
    return t;
}

static struct tree
allocdb_word(const char *text)
{
    return (struct tree){
        .kind = TREE_STRING, .count = (uint32_t)strlen(text), .text = text};
}

/* A map in the making: pushed pairs, closed by allocdb_map. */
static void
allocdb_pair(struct allocdb *a, const char *name, struct tree value)
{
    struct tree key = allocdb_word(name);

    parse_push(&a->parse, &key);
    parse_push(&a->parse, &value);
}

static void
allocdb_pair_of(struct allocdb *a, const char *name, const char *token)
{
    const char *text = allocdb_get(a, token);

    if (text != NULL && strcmp(text, "none") != 0)
        allocdb_pair(a, name, allocdb_number(a, text, strlen(text)));
}

static struct tree
allocdb_map(struct allocdb *a)
{
    struct tree t = {0};

    parse_close(&a->parse, TREE_MAP, 0, &t);
    return t;
}

/* "7" or "7,8,9". */
static struct tree
allocdb_list(struct allocdb *a, const char *text)
{
    struct tree t = {.kind = TREE_LIST}, *items;
    uint32_t cap = 1;

    for (const char *p = text; *p != '\0'; p++)
        cap += *p == ',';
    if (cap > ALLOCDB_MEMBERS_MAX)
        cap = ALLOCDB_MEMBERS_MAX;
    items = parse_alloc(&a->parse, cap * sizeof(*items));
    while (t.count < cap && *text != '\0') {
        size_t len = strcspn(text, ",");

        items[t.count++] = allocdb_number(a, text, len);
        text += len + (text[len] == ',');
    }
    t.items = items;
    return t;
}

/* ---- delivering ---- */

static int
allocdb_put(struct allocdb *a, enum record_type type, const char *function,
            const struct tree *value, struct error *err)
{
    a->r.type = type;
    a->r.function = function;
    a->r.value = value;
    a->r.attempt_only = type == RECORD_FAIL;
    return a->sink(a->arg, &a->r, err);
}

/* An expire that happened (with its position), or that may. */
static int
allocdb_expire(struct allocdb *a, struct tree lease, const char *lsn,
               struct error *err)
{
    static const struct tree nil;
    struct tree value, code;
    int64_t at;

    allocdb_pair(a, "lease", lease);
    value = allocdb_map(a);
    allocdb_pair(a, "code", allocdb_word("ok"));
    code = allocdb_map(a);
    a->r.operation_id = NULL;
    a->r.position = RECORD_POSITION_NONE;
    if (allocdb_put(a, RECORD_INVOKE, "expire", &value, err) < 0)
        return -1;
    if (lsn == NULL)
        return allocdb_put(a, RECORD_INFO, "expire", &nil, err);
    if (parse_integer(lsn, strlen(lsn), &at) && at >= 0)
        a->r.position = (uint64_t)at;
    return allocdb_put(a, RECORD_OK, "expire", &code, err);
}

static int
allocdb_granted(struct allocdb *a, const char *lease, struct error *err)
{
    struct tree t = allocdb_number(a, lease, strlen(lease));

    if (a->any_may_expire)
        return allocdb_expire(a, t, NULL, err);
    if (a->lease_count == a->lease_cap) {
        a->lease_cap = a->lease_cap == 0 ? 64 : a->lease_cap * 2;
        a->leases = xrealloc(a->leases, a->lease_cap * sizeof(*a->leases));
    }
    if (t.kind != TREE_INT)
        t.text = arena_strdup(&a->arena, t.text);
    a->leases[a->lease_count++] = t;
    return 0;
}

/* expired=RESOURCE:HOLDER:LEASE:LSN,...  Members of one lease are one. */
static int
allocdb_expired(struct allocdb *a, char *list, struct error *err)
{
    char last[64] = "";

    while (*list != '\0' && strcmp(list, "none") != 0) {
        char *end = list + strcspn(list, ","), *parts[4];
        char *next = end + (*end == ',');
        unsigned n = 0;

        *end = '\0';
        for (char *p = list; n < 4 && p != NULL; n++) {
            parts[n] = p;
            p = strchr(p, ':');
            if (p != NULL)
                *p++ = '\0';
        }
        if (n < 4)
            return error_set(err, ERROR_CONFIG,
                             "%llu: an expired lease is "
                             "RESOURCE:HOLDER:LEASE:LSN",
                             (unsigned long long)a->r.line);
        if (strcmp(last, parts[2]) != 0 &&
            allocdb_expire(a, allocdb_number(a, parts[2], strlen(parts[2])),
                           parts[3], err) < 0)
            return -1;
        snprintf(last, sizeof(last), "%s", parts[2]);
        list = next;
    }
    return 0;
}

static int
allocdb_tick(struct allocdb *a, const char *outcome, struct error *err)
{
    const char *expired = allocdb_get(a, "expired");

    if (strcmp(outcome, "committed_write") == 0 && expired != NULL) {
        /* Our own line: it may be scribbled on. */
        for (unsigned i = 0; i < a->count; i++)
            if (a->values[i] == expired)
                return allocdb_expired(a, a->values[i], err);
    }
    if (strcmp(outcome, "ambiguous") != 0 || a->any_may_expire)
        return 0;
    a->any_may_expire = true;
    for (size_t i = 0; i < a->lease_count; i++)
        if (allocdb_expire(a, a->leases[i], NULL, err) < 0)
            return -1;
    a->lease_count = 0;
    return 0;
}

/* ---- a line ---- */

static const char *
allocdb_function(const char *operation)
{
    static const char *const names[][2] = {
        {"reserve", "reserve"},  {"reserve_bundle", "reserve"},
        {"confirm", "activate"}, {"release", "release"},
        {"revoke", "revoke"},    {"reclaim", "reclaim"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i][0], operation) == 0)
            return names[i][1];
    return NULL;
}

static struct tree
allocdb_arguments(struct allocdb *a, const char *function)
{
    const char *resources = allocdb_get(a, "resource_ids");

    if (resources == NULL)
        resources = allocdb_get(a, "resource_id");
    if (strcmp(function, "reserve") == 0) {
        if (resources != NULL)
            allocdb_pair(a, "resources", allocdb_list(a, resources));
        allocdb_pair_of(a, "holder", "holder_id");
        return allocdb_map(a);
    }
    allocdb_pair_of(a, "lease", "reservation_id");
    if (strcmp(function, "activate") == 0 || strcmp(function, "release") == 0) {
        allocdb_pair_of(a, "holder", "holder_id");
        allocdb_pair_of(a, "epoch", "lease_epoch");
    }
    return allocdb_map(a);
}

static int
allocdb_write(struct allocdb *a, const char *function, const char *outcome,
              struct error *err)
{
    const char *lease = allocdb_get(a, "committed_reservation_id");
    const char *reason = allocdb_get(a, "reason");
    const char *lsn = allocdb_get(a, "applied_lsn");
    struct tree value = allocdb_arguments(a, function);
    static const struct tree nil;
    int64_t at;

    a->r.operation_id = allocdb_get(a, "operation_id");
    a->r.position = RECORD_POSITION_NONE;
    if (allocdb_put(a, RECORD_INVOKE, function, &value, err) < 0)
        return -1;
    if (strcmp(outcome, "ambiguous") == 0)
        return allocdb_put(a, RECORD_INFO, function, &nil, err);
    if (strcmp(outcome, "committed_write") == 0) {
        if (lsn != NULL && parse_integer(lsn, strlen(lsn), &at) && at >= 0)
            a->r.position = (uint64_t)at;
        allocdb_pair(a, "code", allocdb_word("ok"));
        if (strcmp(function, "reserve") == 0)
            allocdb_pair_of(a, "lease", "committed_reservation_id");
        allocdb_pair_of(a, "epoch", "committed_lease_epoch");
    } else if (reason != NULL && strcmp(reason, "stale_epoch") == 0) {
        allocdb_pair(a, "code", allocdb_word(reason));
    } else {
        return allocdb_put(a, RECORD_FAIL, function, &nil, err);
    }
    value = allocdb_map(a);
    if (allocdb_put(a, RECORD_OK, function, &value, err) < 0)
        return -1;
    if (strcmp(outcome, "committed_write") != 0 || lease == NULL ||
        strcmp(function, "reserve") != 0)
        return 0;
    return allocdb_granted(a, lease, err);
}

static int
allocdb_line(struct allocdb *a, struct input *in, char *line, uint64_t number,
             struct error *err)
{
    const char *what = allocdb_tokens(a, line), *operation, *outcome, *time;
    const char *function;

    if (what != NULL)
        return input_error(in, number, err, "%s", what);
    operation = allocdb_get(a, "operation");
    outcome = allocdb_get(a, "outcome");
    time = allocdb_get(a, "time_millis");
    if (operation == NULL || outcome == NULL)
        return input_error(in, number, err,
                           "an event has 'operation' and 'outcome'");
    if (strcmp(outcome, "committed_write") != 0 &&
        strcmp(outcome, "read_ok") != 0 &&
        strcmp(outcome, "definite_failure") != 0 &&
        strcmp(outcome, "ambiguous") != 0)
        return input_error(in, number, err, "unknown outcome '%.40s'", outcome);
    parse_begin(&a->parse, "", 0, true);
    a->r = (struct record){.time_ns = -1, .line = number};
    if (time == NULL || !parse_integer(time, strlen(time), &a->r.time_ns) ||
        __builtin_mul_overflow(a->r.time_ns, 1000000, &a->r.time_ns))
        a->r.time_ns = -1;
    if (strcmp(operation, "get_resource") == 0 ||
        strcmp(operation, "get_reservation") == 0)
        return 0;
    if (strcmp(operation, "tick_expirations") == 0)
        return allocdb_tick(a, outcome, err);
    function = allocdb_function(operation);
    if (function == NULL)
        return input_error(in, number, err, "unknown operation '%.40s'",
                           operation);
    return allocdb_write(a, function, outcome, err);
}

static int
allocdb_read(struct input *in, struct record_file *ret, record_sink *sink,
             void *arg, struct error *err)
{
    struct allocdb a = {.sink = sink, .arg = arg};
    bool first = true;
    uint64_t number;
    size_t len;
    char *line;
    int status;

    parse_init(&a.parse);
    arena_init(&a.arena);
    while ((status = text_line(in, &line, &len, &number, err)) > 0) {
        if (line[strspn(line, " \t")] == '\0')
            continue;
        if (first)
            status = strcmp(line, "version=1") == 0
                         ? 0
                         : input_error(in, number, err,
                                       "the first line must be 'version=1'");
        else
            status = allocdb_line(&a, in, line, number, err);
        if (status < 0)
            break;
        first = false;
    }
    parse_release(&a.parse);
    arena_release(&a.arena);
    free(a.leases);
    return status;
}

const struct format_ops format_allocdb = {
    .name = "allocdb",
    .description = "the history text of AllocDB's Jepsen harness",
    .sniff = allocdb_sniff,
    .read = allocdb_read,
    .model = "lease-kernel",
};
