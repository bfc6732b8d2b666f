/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/op-map.h"

bool
op_map_u64(const struct tree *t, uint64_t *ret)
{
    uint64_t n = 0;

    if (t->kind == TREE_INT && t->integer >= 0) {
        *ret = (uint64_t)t->integer;
        return true;
    }
    if ((t->kind != TREE_STRING && t->kind != TREE_KEYWORD) || t->count == 0)
        return false;
    for (uint32_t i = 0; i < t->count; i++) {
        unsigned digit = (unsigned char)t->text[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *ret = n;
    return true;
}

enum op_key {
    KEY_TYPE,
    KEY_PROCESS,
    KEY_F,
    KEY_VALUE,
    KEY_KEY,
    KEY_TIME,
    KEY_ERROR,
    KEY_ID,
    KEY_ATTEMPT,
    KEY_ATTEMPT_ONLY,
    KEY_POSITION,
    KEY_OP_ID,          /* of the allocator's JSONL */
    KEY_ATTEMPT_NUMBER, /* the same */
    KEY_COUNT
};

static const struct {
    const char *name;
    uint32_t len;
} op_keys[KEY_COUNT] = {
#define KEY(name)                                                              \
    {                                                                          \
        name, sizeof(name) - 1                                                 \
    }
    [KEY_TYPE] = KEY("type"),
    [KEY_PROCESS] = KEY("process"),
    [KEY_F] = KEY("f"),
    [KEY_VALUE] = KEY("value"),
    [KEY_KEY] = KEY("key"),
    [KEY_TIME] = KEY("time"),
    [KEY_ERROR] = KEY("error"),
    [KEY_ID] = KEY(OP_MAP_ID),
    [KEY_ATTEMPT] = KEY(OP_MAP_ATTEMPT),
    [KEY_ATTEMPT_ONLY] = KEY(OP_MAP_ATTEMPT_ONLY),
    [KEY_POSITION] = KEY(OP_MAP_POSITION),
    [KEY_OP_ID] = KEY("op_id"),
    [KEY_ATTEMPT_NUMBER] = KEY("attempt"),
#undef KEY
};

static void
op_map_pick(const struct tree *map, const struct tree *found[KEY_COUNT])
{
    memset(found, 0, KEY_COUNT * sizeof(found[0]));
    for (uint32_t i = 0; i < map->count; i++) {
        const struct tree *key = &map->items[2 * i];

        if (key->kind != TREE_KEYWORD && key->kind != TREE_STRING)
            continue;
        for (unsigned k = 0; k < KEY_COUNT; k++)
            if (op_keys[k].len == key->count &&
                memcmp(op_keys[k].name, key->text, key->count) == 0) {
                found[k] = &map->items[2 * i + 1];
                break;
            }
    }
}

static enum op_map_status
op_map_wrong(struct op_map_scratch *s, const char *what)
{
    snprintf(s->what, sizeof(s->what), "%s", what);
    return OP_MAP_ERROR;
}

static bool
op_map_type(const struct tree *t, enum record_type *ret)
{
    static const char *const names[] = {"invoke", "ok", "fail", "info"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (tree_is(t, names[i])) {
            *ret = (enum record_type)i;
            return true;
        }
    return false;
}

static enum op_map_status
op_map_identity(const struct tree *const *found, struct op_map_scratch *s,
                struct record *ret)
{
    const struct tree *id =
        found[KEY_ID] != NULL ? found[KEY_ID] : found[KEY_OP_ID];
    const struct tree *attempt = found[KEY_ATTEMPT] != NULL
                                     ? found[KEY_ATTEMPT]
                                     : found[KEY_ATTEMPT_NUMBER];
    const struct tree *at = found[KEY_POSITION];
    uint64_t n;

    if (id != NULL && (id->kind == TREE_STRING || id->kind == TREE_KEYWORD)) {
        ret->operation_id = id->text;
    } else if (id != NULL && id->kind == TREE_INT) {
        snprintf(s->id, sizeof(s->id), "%lld", (long long)id->integer);
        ret->operation_id = s->id;
    } else if (id != NULL && id->kind != TREE_NIL) {
        return op_map_wrong(s, "an operation id is text or a number");
    }
    if (attempt != NULL && op_map_u64(attempt, &n) && n <= UINT32_MAX)
        ret->attempt = (uint32_t)n;
    if (at != NULL && at->kind != TREE_NIL &&
        (at->kind != TREE_LIST || at->count != 2 ||
         !op_map_u64(&at->items[0], &ret->term) ||
         !op_map_u64(&at->items[1], &ret->position)))
        return op_map_wrong(s, "a position is [term, index]");
    if (found[KEY_ATTEMPT_ONLY] != NULL)
        ret->attempt_only = found[KEY_ATTEMPT_ONLY]->kind == TREE_BOOL &&
                            found[KEY_ATTEMPT_ONLY]->truth;
    return OP_MAP_RECORD;
}

enum op_map_status
op_map_record(const struct tree *map, struct op_map_scratch *s,
              struct record *ret)
{
    const struct tree *found[KEY_COUNT];

    if (map->kind != TREE_MAP)
        return op_map_wrong(s, "an operation is a map");
    op_map_pick(map, found);
    s->nil = (struct tree){0};
    *ret = (struct record){
        .function = "txn", /* Elle's histories may leave it out */
        .value = found[KEY_VALUE] != NULL ? found[KEY_VALUE] : &s->nil,
        .key = found[KEY_KEY],
        .error = found[KEY_ERROR],
        .position = RECORD_POSITION_NONE,
        .time_ns = -1,
    };
    if (found[KEY_PROCESS] == NULL)
        return op_map_wrong(s, "an operation without 'process'");
    if (found[KEY_PROCESS]->kind != TREE_INT || found[KEY_PROCESS]->integer < 0)
        return OP_MAP_SKIP;
    if (found[KEY_TYPE] == NULL)
        return op_map_wrong(s, "an operation without 'type'");
    ret->process = found[KEY_PROCESS]->integer;
    if (!op_map_type(found[KEY_TYPE], &ret->type))
        return op_map_wrong(s, "'type' must be one of invoke, ok, fail, info");
    if (found[KEY_F] != NULL && found[KEY_F]->kind != TREE_NIL) {
        if (found[KEY_F]->kind != TREE_KEYWORD &&
            found[KEY_F]->kind != TREE_STRING)
            return op_map_wrong(s, "'f' must be a keyword or a string");
        ret->function = found[KEY_F]->text;
    }
    if (found[KEY_TIME] != NULL && found[KEY_TIME]->kind == TREE_INT)
        ret->time_ns = found[KEY_TIME]->integer;
    return op_map_identity(found, s, ret);
}

int
op_map_read(struct input *in, bool edn, record_sink *sink, void *arg,
            void (*adjust)(struct record *r), struct error *err)
{
    struct op_map_scratch scratch;
    struct parse_stream s;
    struct tree map;
    struct record r;
    int status;

    parse_stream_init(&s, in, edn);
    while ((status = parse_stream_next(&s, &map, err)) > 0) {
        enum op_map_status is = op_map_record(&map, &scratch, &r);

        if (is == OP_MAP_SKIP)
            continue;
        if (is == OP_MAP_ERROR) {
            status = input_error(in, s.line, err, "%s", scratch.what);
            break;
        }
        r.line = s.line;
        if (adjust != NULL)
            adjust(&r);
        status = sink(arg, &r, err);
        if (status < 0)
            break;
    }
    parse_stream_release(&s);
    return status;
}

/* ---- sniffing ---- */

bool
bytes_contain(const char *bytes, size_t len, const char *what)
{
    return memmem(bytes, len, what, strlen(what)) != NULL;
}

/* Enough of a look: an op map ends long before. */
#define OP_MAP_SNIFF_BYTES 4096

bool
op_map_begins(const char *bytes, size_t len, bool edn, const char **ret_first,
              size_t *ret_len)
{
    struct parse ps = {.p = bytes, .end = bytes + len};

    for (int depth = 0; depth < 2; depth++) {
        if (edn)
            edn_space(&ps);
        else
            json_space(&ps);
        if (ps.p == ps.end)
            return false;
        if (edn && *ps.p == '#') { /* #jepsen.history.Op{ */
            while (ps.p < ps.end && *ps.p != '{' && *ps.p != '[' &&
                   *ps.p != ' ' && *ps.p != '\n')
                ps.p++;
            edn_space(&ps);
            if (ps.p == ps.end)
                return false;
        }
        if (*ps.p == '{') {
            *ret_first = ps.p;
            *ret_len = (size_t)(ps.end - ps.p);
            if (*ret_len > OP_MAP_SNIFF_BYTES)
                *ret_len = OP_MAP_SNIFF_BYTES;
            return true;
        }
        if (*ps.p != '[' && *ps.p != '(')
            return false;
        ps.p++;
    }
    return false;
}
