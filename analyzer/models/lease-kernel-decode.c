/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the lease kernel to calls.  kernel_prepare looks up what each
 * command's lease is: granted by an answered reserve, only shown by gets, or
 * never seen in any answer.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/models/lease-kernel.h"
#include "analyzer/models/registry.h"
#include "harness/base/arena.h"
#include "harness/base/cleanup.h"

static const struct {
    const char *name;
    enum kernel_code code;
} kernel_codes[] = {
    {"ok", KERNEL_OK},
    {"resource_busy", KERNEL_BUSY},
    {"busy", KERNEL_BUSY},
    {"reservation_not_found", KERNEL_NOT_FOUND},
    {"lease_not_found", KERNEL_NOT_FOUND},
    {"not_found", KERNEL_NOT_FOUND},
    {"holder_mismatch", KERNEL_HOLDER_MISMATCH},
    {"stale_epoch", KERNEL_STALE_EPOCH},
    {"reservation_retired", KERNEL_RETIRED},
    {"lease_retired", KERNEL_RETIRED},
    {"retired", KERNEL_RETIRED},
    {"invalid_state", KERNEL_INVALID_STATE},
    {"noop", KERNEL_NOOP},
    {"already_exists", KERNEL_EXISTS},
    {"resource_not_found", KERNEL_NO_RESOURCE},
};

static const char *const kernel_states[KERNEL_STATES] = {
    [KERNEL_AVAILABLE] = "available", [KERNEL_RESERVED] = "reserved",
    [KERNEL_ACTIVE] = "active",       [KERNEL_REVOKING] = "revoking",
    [KERNEL_ENDED] = "ended",         [KERNEL_MISSING] = "missing",
};

const char *
kernel_code_name(uint32_t code)
{
    for (size_t i = 0; i < sizeof(kernel_codes) / sizeof(kernel_codes[0]);
         i++) {
        if (kernel_codes[i].code == code) {
            return kernel_codes[i].name;
        }
    }
    return "refused";
}

const char *
kernel_state_name(uint32_t state)
{
    return state < KERNEL_STATES ? kernel_states[state] : "in no known state";
}

static enum kernel_code
kernel_code_of(const struct tree *answer)
{
    const struct tree *code = tree_get(answer, "code");

    if (tree_is_nil(code)) {
        return KERNEL_OK;
    }
    for (size_t i = 0; i < sizeof(kernel_codes) / sizeof(kernel_codes[0]);
         i++) {
        if (tree_is_word(code, kernel_codes[i].name)) {
            return kernel_codes[i].code;
        }
    }
    return KERNEL_OTHER;
}

static int64_t
kernel_natural(const struct tree *map, const char *name)
{
    int64_t n;

    return model_field_natural(map, name, &n) ? n : -1;
}

/* What all lists begin with. */
static void
kernel_common_words(const struct record *end, struct model_words *w)
{
    model_words_add64(w, model_ended(end) == ENDED_OK
                             ? kernel_natural(end->value, "slot")
                             : -1);
    model_words_add64(w, -1);
}

static const char *
kernel_reserve_words(struct calls *c, const struct record *invoke,
                     const struct record *end, struct call *ret)
{
    const struct tree *value = invoke->value;
    bool told = model_ended(end) == ENDED_OK;
    const struct tree *resources = tree_get(value, "resources");
    const struct tree *one = tree_get(value, "resource");
    struct model_words names = {0}, w = {0};
    uint32_t count = one != NULL ? 1 : 0;

    if (one == NULL && (resources == NULL || resources->kind != TREE_LIST)) {
        return "a reserve names no resources";
    }
    if (one == NULL) {
        count = resources->count;
    }
    for (uint32_t i = 0; i < count; i++) {
        model_words_add(
            &names, value_number(c, one != NULL ? one : &resources->items[i]));
    }
    model_words_unique(&names);
    kernel_common_words(end, &w);
    model_words_add(&w,
                    told ? model_field(c, end->value, "epoch") : VALUE_ABSENT);
    model_words_add(&w, names.count < count ? KERNEL_TWICE : 0);
    model_words_add64(&w, told ? kernel_natural(end->value, "deadline") : -1);
    model_words_add64(&w, kernel_natural(value, "ttl"));
    for (uint32_t i = 0; i < names.count; i++) {
        model_words_add(&w, names.words[i]);
    }
    free(names.words);
    ret->list = model_words_list(c, &w);
    return NULL;
}

#define KERNEL_NO_ID "the lease is no number and no text"

/* Whether the map's lease, if it has one, is an id. */
static bool
kernel_is_id(const struct tree *map)
{
    const struct tree *lease = tree_get(map, "lease");

    return tree_is_nil(lease) || lease->kind == TREE_INT ||
           lease->kind == TREE_REAL || lease->kind == TREE_STRING ||
           lease->kind == TREE_KEYWORD;
}

static enum decoded
kernel_decode_reserve(struct calls *c, const struct record *invoke,
                      const struct record *end, struct call *ret,
                      struct error *err)
{
    bool told = model_ended(end) == ENDED_OK;
    const char *wrong = kernel_reserve_words(c, invoke, end, ret);

    if (wrong != NULL) {
        return model_bad_value(c, invoke, wrong, err);
    }
    ret->a = model_field(c, invoke->value, "holder");
    if (!told) {
        return model_plain_end(end);
    }
    ret->result = kernel_code_of(end->value);
    if (ret->result == KERNEL_OK) {
        ret->b = model_field(c, end->value, "lease");
    } else if (ret->result != KERNEL_BUSY &&
               (ret->result != KERNEL_NO_RESOURCE ||
                c->model == &model_lease_kernel)) {
        ret->result = KERNEL_OTHER; /* there, all resources exist */
    }
    if (ret->b != VALUE_ABSENT && !kernel_is_id(end->value)) {
        return model_bad_value(c, end, KERNEL_NO_ID, err);
    }
    return DECODED_CALL;
}

static bool
kernel_not_found(const struct tree *answer)
{
    const struct tree *found = tree_get(answer, "found");

    return found != NULL && found->kind == TREE_BOOL && !found->truth;
}

static uint32_t
kernel_state_of(const struct tree *state)
{
    static const char *const ended[] = {"released", "expired", "revoked"};

    for (uint32_t i = 0; i < KERNEL_ENDED; i++) {
        if (tree_is_word(state, kernel_states[i])) {
            return i;
        }
    }
    for (uint32_t i = 0; i < sizeof(ended) / sizeof(ended[0]); i++) {
        if (tree_is_word(state, ended[i])) {
            return KERNEL_ENDED;
        }
    }
    return tree_is_word(state, "confirmed") ? (uint32_t)KERNEL_ACTIVE
                                            : (uint32_t)KERNEL_STATES;
}

static enum decoded
kernel_decode_get(struct calls *c, const struct record *invoke,
                  const struct record *end, struct call *ret, struct error *err)
{
    struct model_words w = {0};
    const struct tree *state;

    ret->a = model_field(c, invoke->value, "resource");
    if (ret->a == VALUE_ABSENT) {
        return model_bad_value(c, invoke, "a get names no resource", err);
    }
    if (model_ended(end) != ENDED_OK || !model_claims_linearizable(invoke)) {
        return DECODED_DROP;
    }
    state = tree_get(end->value, "state");
    if (kernel_not_found(end->value)) {
        ret->result = KERNEL_MISSING;
    } else if (state == NULL) {
        return DECODED_DROP;
    } else if ((ret->result = kernel_state_of(state)) > KERNEL_ENDED) {
        return model_bad_value(c, end, "an unknown state", err);
    }
    kernel_common_words(end, &w);
    model_words_add(&w, KERNEL_NEVER_SEEN);
    ret->list = model_words_list(c, &w);
    if (ret->result != KERNEL_AVAILABLE && ret->result != KERNEL_MISSING) {
        ret->b = model_field(c, end->value, "lease");
        if (!kernel_is_id(end->value)) {
            return model_bad_value(c, end, KERNEL_NO_ID, err);
        }
    }
    return DECODED_CALL;
}

static enum decoded
kernel_decode_lease(const struct calls *c, const struct record *end,
                    struct call *ret, struct error *err)
{
    const struct tree *retired = tree_get(end->value, "retired");
    const struct tree *state = tree_get(end->value, "state");

    if (retired != NULL && retired->kind == TREE_BOOL && retired->truth) {
        ret->result = KERNEL_ENDED;
    } else if (kernel_not_found(end->value)) {
        ret->result = KERNEL_MISSING;
    } else if (state == NULL) {
        return DECODED_DROP;
    } else {
        ret->result = kernel_state_of(state);
        if (ret->result == KERNEL_STATES) {
            return model_bad_value(c, end, "an unknown state", err);
        }
    }
    return DECODED_CALL;
}

/* create_resource, tick. */
static enum decoded
kernel_decode_simple(struct calls *c, const struct record *invoke,
                     const struct record *end, struct call *ret,
                     struct error *err)
{
    bool tick = ret->function == KERNEL_TICK;
    struct model_words w = {0};
    int64_t slot;

    if (tick && !model_field_natural(invoke->value, "slot", &slot)) {
        return model_bad_value(c, invoke, "a tick names no slot", err);
    }
    ret->a = model_field(c, invoke->value, tick ? "slot" : "resource");
    if (ret->a == VALUE_ABSENT) {
        return model_bad_value(c, invoke, "it names no resource", err);
    }
    kernel_common_words(end, &w);
    ret->list = model_words_list(c, &w);
    if (model_ended(end) == ENDED_OK) {
        ret->result = kernel_code_of(end->value);
    }
    return model_plain_end(end);
}

static enum decoded
kernel_decode_command(struct calls *c, const struct record *invoke,
                      const struct record *end, struct call *ret,
                      struct error *err)
{
    bool told = model_ended(end) == ENDED_OK;
    struct model_words w = {0};

    ret->a = model_field(c, invoke->value, "holder");
    ret->b = model_field(c, invoke->value, "lease");
    if (ret->b == VALUE_ABSENT || !kernel_is_id(invoke->value)) {
        return model_bad_value(c, invoke,
                               "it names no lease by a number or a text", err);
    }
    kernel_common_words(end, &w);
    model_words_add(&w, model_field(c, invoke->value, "epoch"));
    model_words_add(&w,
                    told ? model_field(c, end->value, "epoch") : VALUE_ABSENT);
    model_words_add(&w, KERNEL_NEVER_SEEN);
    model_words_add(&w, VALUE_ABSENT);
    ret->list = model_words_list(c, &w);
    if (ret->function == KERNEL_GET_LEASE) {
        return told && model_claims_linearizable(invoke)
                   ? kernel_decode_lease(c, end, ret, err)
                   : DECODED_DROP;
    }
    if (told) {
        ret->result = kernel_code_of(end->value);
    }
    return model_plain_end(end);
}

enum decoded
kernel_decode(struct calls *c, const struct record *invoke,
              const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"reserve_bundle", KERNEL_RESERVE},
        {"reserve-bundle", KERNEL_RESERVE},
        {"confirm", KERNEL_ACTIVATE},
        {"get_resource", KERNEL_GET},
        {"read", KERNEL_GET},
        {"tick_expirations", KERNEL_TICK},
        {NULL, 0},
    };

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    switch (ret->function) {
    case KERNEL_RESERVE:
        return kernel_decode_reserve(c, invoke, end, ret, err);
    case KERNEL_GET:
        return kernel_decode_get(c, invoke, end, ret, err);
    case KERNEL_CREATE:
    case KERNEL_TICK:
        return kernel_decode_simple(c, invoke, end, ret, err);
    default:
        return kernel_decode_command(c, invoke, end, ret, err);
    }
}

/* ---- what only all calls together tell ---- */

/* A lease that an answer named, rising by lease; grants before gets. */
struct kernel_seen {
    uint32_t lease, shown, call;
};

static int
kernel_compare_seen(const void *a, const void *b)
{
    const struct kernel_seen *x = a, *y = b;

    if (x->lease != y->lease) {
        return x->lease < y->lease ? -1 : 1;
    }
    if (x->shown != y->shown) {
        return x->shown < y->shown ? -1 : 1;
    }
    return x->call < y->call ? -1 : x->call > y->call;
}

static struct kernel_seen *
kernel_collect(const struct calls *c, uint32_t *ret_count)
{
    struct kernel_seen *seen = xcalloc((size_t)c->count + 1, sizeof(*seen));
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        bool get = c->function[i] == KERNEL_GET;
        if ((get || c->function[i] == KERNEL_RESERVE) &&
            c->b[i] != VALUE_ABSENT) {
            seen[count++] = (struct kernel_seen){c->b[i], get, i};
        }
    }
    qsort(seen, count, sizeof(*seen), kernel_compare_seen);
    *ret_count = count;
    return seen;
}

/* The first sight of the lease; NULL: there is none. */
static const struct kernel_seen *
kernel_find(const struct kernel_seen *seen, uint32_t count, uint32_t lease)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seen[middle].lease < lease) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && seen[low].lease == lease ? &seen[low] : NULL;
}

/* Resources of grants without a known lease, and of leases only shown. */
struct kernel_unnamed {
    struct model_words shown, granted;
    uint32_t list; /* of commands on a lease never seen; 0: none was made */
};

static void
kernel_prepare_reserve(struct calls *c, uint32_t call,
                       struct kernel_unnamed *unnamed)
{
    uint32_t *words = &c->lists[c->list[call] + 1];
    const struct model_words *shown = &unnamed->shown;

    if (c->b[call] != VALUE_ABSENT ||
        (c->complete[call] != CALL_OPEN && c->result[call] != KERNEL_OK)) {
        return;
    }
    for (uint32_t i = KERNEL_RESERVE_RESOURCES; i < call_list_count(c, call);
         i++) {
        uint32_t at = model_search(shown->words, shown->count, words[i]);
        if (at < shown->count && shown->words[at] == words[i]) {
            words[KERNEL_RESERVE_FLAGS] |= KERNEL_WATCH;
        }
        model_words_add(&unnamed->granted, words[i]);
    }
}

/* What nobody can tell the effect of joins all that it may be about. */
static void
kernel_prepare_never_seen(struct calls *c, uint32_t call,
                          struct kernel_unnamed *unnamed)
{
    if (c->function[call] == KERNEL_GET_LEASE ||
        (c->complete[call] != CALL_OPEN && c->result[call] != KERNEL_OK)) {
        return;
    }
    if (unnamed->list == 0) {
        struct model_words w = {0};
        model_words_unique(&unnamed->granted);
        for (uint32_t i = 0; i < KERNEL_COMMAND_RESOURCES; i++) {
            model_words_add(&w, i == KERNEL_COMMAND_KNOWN ? KERNEL_NEVER_SEEN
                                : i < KERNEL_COMMON_WORDS ? UINT32_MAX
                                                          : VALUE_ABSENT);
        }
        for (uint32_t i = 0; i < unnamed->granted.count; i++) {
            model_words_add(&w, unnamed->granted.words[i]);
        }
        unnamed->list = model_words_list(c, &w);
    }
    c->list[call] = unnamed->list;
}

static void
kernel_prepare_command(struct calls *c, uint32_t call,
                       const struct kernel_seen *seen, uint32_t seen_count,
                       struct kernel_unnamed *unnamed)
{
    const struct kernel_seen *s = kernel_find(seen, seen_count, c->b[call]);
    struct model_words w = {0}, resources = {0};
    uint32_t owner = VALUE_ABSENT;

    if (s == NULL) {
        kernel_prepare_never_seen(c, call, unnamed);
        return;
    }
    if (s->shown) {
        for (const struct kernel_seen *t = s;
             t < seen + seen_count && t->lease == s->lease; t++) {
            model_words_add(&resources, c->a[t->call]);
        }
        model_words_unique(&resources);
    } else {
        owner = c->a[s->call];
        for (uint32_t i = KERNEL_RESERVE_RESOURCES;
             i < call_list_count(c, s->call); i++) {
            model_words_add(&resources, kernel_word(c, s->call, i));
        }
    }
    for (uint32_t i = 0; i < KERNEL_COMMAND_KNOWN; i++) {
        model_words_add(&w, kernel_word(c, call, i));
    }
    model_words_add(&w, s->shown ? KERNEL_SHOWN : KERNEL_GRANTED);
    model_words_add(&w, owner);
    for (uint32_t i = 0; i < resources.count; i++) {
        model_words_add(&w, resources.words[i]);
    }
    free(resources.words);
    c->list[call] = model_words_list(c, &w);
}

static void
kernel_prepare_get(struct calls *c, uint32_t call,
                   const struct kernel_seen *seen, uint32_t seen_count)
{
    const struct kernel_seen *s = kernel_find(seen, seen_count, c->b[call]);
    uint32_t known = s == NULL  ? KERNEL_NEVER_SEEN
                     : s->shown ? KERNEL_SHOWN
                                : KERNEL_GRANTED;

    c->lists[c->list[call] + 1 + KERNEL_GET_KNOWN] = known;
}

static bool
kernel_names_lease(const struct calls *c, uint32_t call)
{
    return c->function[call] != KERNEL_RESERVE &&
           c->function[call] != KERNEL_CREATE &&
           c->function[call] != KERNEL_TICK;
}

void
kernel_prepare(struct calls *c)
{
    uint32_t count;
    CLEANUP_FREE struct kernel_seen *seen = kernel_collect(c, &count);
    struct kernel_unnamed unnamed = {0};

    for (uint32_t i = 0; i < count; i++) {
        bool first = i == 0 || seen[i].lease != seen[i - 1].lease;
        if (seen[i].shown &&
            (first || kernel_find(seen, count, seen[i].lease)->shown)) {
            model_words_add(&unnamed.shown, c->a[seen[i].call]);
        }
    }
    model_words_unique(&unnamed.shown);
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == KERNEL_RESERVE) {
            kernel_prepare_reserve(c, i, &unnamed);
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == KERNEL_GET) {
            kernel_prepare_get(c, i, seen, count);
        } else if (kernel_names_lease(c, i)) {
            kernel_prepare_command(c, i, seen, count, &unnamed);
        }
    }
    free(unnamed.shown.words);
    free(unnamed.granted.words);
}

uint32_t
kernel_touches(const struct calls *c, uint32_t call, uint32_t *ret,
               uint32_t cap)
{
    if (c->function[call] == KERNEL_GET || c->function[call] == KERNEL_CREATE ||
        c->function[call] == KERNEL_TICK) {
        if (cap > 0) {
            ret[0] = c->a[call];
        }
        return 1;
    }
    uint32_t from = c->function[call] == KERNEL_RESERVE
                        ? (uint32_t)KERNEL_RESERVE_RESOURCES
                        : (uint32_t)KERNEL_COMMAND_RESOURCES;
    uint32_t count = call_list_count(c, call) - from;
    if (count == 0) {
        /* Bound to nothing: a part of its own, or one more in another's. */
        if (cap > 0) {
            ret[0] = c->function[call] == KERNEL_RESERVE ? 0 : c->b[call];
        }
        return 1;
    }
    for (uint32_t i = 0; i < count && i < cap; i++) {
        ret[i] = kernel_word(c, call, from + i);
    }
    return count;
}

/* ---- words ---- */

static void
kernel_describe_end(const struct calls *c, uint32_t call, struct buf *out)
{
    uint32_t told;

    if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
        return;
    }
    if (c->function[call] == KERNEL_RESERVE) {
        told = c->result[call] == KERNEL_OK ? c->b[call] : VALUE_ABSENT;
        buf_puts(out, told == VALUE_ABSENT ? ": " : ": lease ");
    } else {
        told = c->result[call] == KERNEL_OK
                   ? kernel_word(c, call, KERNEL_COMMAND_TOLD)
                   : VALUE_ABSENT;
        buf_puts(out, told == VALUE_ABSENT ? ": " : ": ok, epoch ");
    }
    if (told == VALUE_ABSENT) {
        buf_puts(out, kernel_code_name(c->result[call]));
    } else {
        model_words_value(c, told, out);
    }
}

void
kernel_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    uint8_t function = c->function[call];

    buf_puts(out, c->model->functions[function]);
    if (function == KERNEL_CREATE || function == KERNEL_TICK) {
        buf_puts(out, function == KERNEL_TICK ? " slot " : " ");
        model_words_value(c, c->a[call], out);
        buf_printf(out, ": %s",
                   c->complete[call] == CALL_OPEN
                       ? "unknown"
                       : kernel_code_name(c->result[call]));
        return;
    }
    if (function == KERNEL_RESERVE) {
        for (uint32_t i = KERNEL_RESERVE_RESOURCES;
             i < call_list_count(c, call); i++) {
            buf_puts(out, i == KERNEL_RESERVE_RESOURCES ? " " : "+");
            model_words_value(c, kernel_word(c, call, i), out);
        }
    } else {
        buf_puts(out, function == KERNEL_GET ? " " : " lease ");
        model_words_value(c, function == KERNEL_GET ? c->a[call] : c->b[call],
                          out);
    }
    if (function == KERNEL_GET || function == KERNEL_GET_LEASE) {
        buf_printf(out, ": %s", kernel_state_name(c->result[call]));
        if (function == KERNEL_GET && c->b[call] != VALUE_ABSENT) {
            buf_puts(out, ", lease ");
            model_words_value(c, c->b[call], out);
        }
        return;
    }
    if (c->a[call] != VALUE_ABSENT) {
        buf_puts(out, " by ");
        model_words_value(c, c->a[call], out);
    }
    if (function != KERNEL_RESERVE &&
        kernel_word(c, call, KERNEL_COMMAND_EPOCH) != VALUE_ABSENT) {
        buf_puts(out, ", epoch ");
        model_words_value(c, kernel_word(c, call, KERNEL_COMMAND_EPOCH), out);
    }
    kernel_describe_end(c, call, out);
}
