/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each checker on a history with the violation it is for, and on the nearest
 * correct histories, which must not alarm.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "tests/lib/table-builder.h"
#include "tests/lib/tap.h"

#define META "{'positions':'total','scenario':'test','model':'allocator'}"
#define META_NO_POSITIONS "{'positions':'none','scenario':'test'}"

static struct builder b;

/* Every test begins with resources 7 and 8, made at positions 1 and 2. */
static void
begin(const char *meta)
{
    bool positions = strstr(meta, "total") != NULL;

    builder_init(&b, meta);
    done(&b, 1, 1, "create_resource", "{'resource':7}",
         positions ? AT(1, 1) : NOWHERE, "{'code':'ok','slot':0}");
    done(&b, 1, 2, "create_resource", "{'resource':8}",
         positions ? AT(1, 2) : NOWHERE, "{'code':'ok','slot':0}");
}

/* A reserve of resource 7 answered ok. */
static void
reserve(uint32_t process, uint64_t operation, int holder,
        struct position position, int lease, int slot)
{
    char arguments[96], result[128];

    snprintf(arguments, sizeof(arguments),
             "{'resource':7,'holder':%d,'ttl':5,'client':%u}", holder, process);
    snprintf(result, sizeof(result),
             "{'code':'ok','cached':false,'slot':%d,'lease':%d,'epoch':1,"
             "'deadline':%d}",
             slot, lease, slot + 5);
    done(&b, process, operation, "reserve", arguments, position, result);
}

/* A command on a lease, answered 'code'; epoch_after < 0: none. */
static void
command(uint32_t process, uint64_t operation, const char *function, int lease,
        int holder, int epoch, struct position position, const char *code,
        int slot, int epoch_after)
{
    char arguments[96], result[128];

    snprintf(arguments, sizeof(arguments),
             "{'lease':%d,'holder':%d,'epoch':%d,'client':%u}", lease, holder,
             epoch, process);
    snprintf(result, sizeof(result), "{'code':'%s','slot':%d}", code, slot);
    if (epoch_after >= 0)
        snprintf(result, sizeof(result), "{'code':'%s','slot':%d,'epoch':%d}",
                 code, slot, epoch_after);
    done(&b, process, operation, function, arguments, position, result);
}

static void
tick(uint32_t process, int slot, struct position position, const char *expired)
{
    char arguments[32], result[160];

    snprintf(arguments, sizeof(arguments), "{'slot':%d}", slot);
    snprintf(result, sizeof(result), "{'code':'ok','slot':%d,'expired':%s}",
             slot, expired);
    done(&b, process, 0, "tick", arguments, position, result);
}

static void
lost_tick(uint32_t process, int slot)
{
    char arguments[32];

    snprintf(arguments, sizeof(arguments), "{'slot':%d}", slot);
    invoke(&b, process, 0, "tick", arguments);
    unknown(&b, process);
}

static void
get_resource(uint32_t process, const char *claim, int applied, int slot,
             const char *shown)
{
    char arguments[96], result[192];

    snprintf(arguments, sizeof(arguments), "{'resource':7,%s}", claim);
    snprintf(result, sizeof(result), "{'found':true,'applied':%d,'slot':%d,%s}",
             applied, slot, shown);
    done(&b, process, 0, "get_resource", arguments, NOWHERE, result);
}

#define STRICT "'claim':'linearizable'"
#define ANY "'claim':'any'"

static void
get_lease(uint32_t process, int lease, int applied, int slot, const char *shown)
{
    char arguments[96], result[224];

    snprintf(arguments, sizeof(arguments), "{'lease':%d," STRICT "}", lease);
    snprintf(result, sizeof(result), "{'applied':%d,'slot':%d,%s}", applied,
             slot, shown);
    done(&b, process, 0, "get_lease", arguments, NOWHERE, result);
}

static void
phase(const char *name)
{
    char fields[64];

    snprintf(fields, sizeof(fields), "{'name':'%s'}", name);
    remark(&b, EVENT_NOTE, "phase", NULL, fields);
}

/* Judges; every checker that is not named must be valid. */
static bool
alarms(const char *const *named)
{
    const json_t *entry;
    size_t i;
    bool right = true;

    judge(&b, NULL);
    json_array_foreach (json_object_get(b.result, "checkers"), i, entry) {
        const char *name = json_string_value(json_object_get(entry, "checker"));
        const char *v = json_string_value(json_object_get(entry, "verdict"));
        bool expected = false;

        for (const char *const *n = named; *n != NULL; n++)
            expected |= strcmp(*n, name) == 0;
        /* The replay may stop wherever there is a violation. */
        if (*named != NULL && strcmp(name, "linearizable") == 0)
            continue;
        if (strcmp(v, expected ? "invalid" : "valid") == 0)
            continue;
        printf("# %s is %s: %s\n", name, v,
               b.table->cut != NULL ? b.table->cut : "");
        json_dumpf(entry, stdout, JSON_INDENT(1));
        putchar('\n');
        right = false;
    }
    return right;
}

#define ALARMS(...) alarms((const char *const[]){__VA_ARGS__, NULL})

/* ---- nothing wrong ---- */

static void
test_life_of_leases(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    get_lease(2, 3, 3, 0,
              "'found':true,'state':'reserved','holder':3,'epoch':1,"
              "'deadline':5,'created':3,'resources':[7]");
    command(1, 11, "confirm", 3, 3, 1, AT(1, 4), "ok", 0, 1);
    command(2, 12, "confirm", 3, 3, 1, AT(1, 5), "invalid_state", 0, -1);
    command(2, 13, "confirm", 3, 4, 1, AT(1, 6), "holder_mismatch", 0, -1);
    command(2, 14, "release", 3, 3, 2, AT(1, 7), "stale_epoch", 0, -1);
    get_resource(2, STRICT, 7, 0, "'state':'active','version':2,'lease':3");
    done(&b, 2, 15, "revoke", "{'lease':3}", AT(1, 8),
         "{'code':'ok','slot':0,'lease':3,'epoch':2}");
    command(1, 16, "release", 3, 3, 2, AT(1, 9), "invalid_state", 0, -1);
    done(&b, 2, 17, "reclaim", "{'lease':3}", AT(1, 10),
         "{'code':'ok','slot':0,'lease':3,'epoch':2}");
    get_resource(2, STRICT, 10, 0, "'state':'available','version':4");
    reserve(1, 18, 3, AT(1, 11), 11, 0);
    tick(1, 6, AT(1, 12), "[[11,5,13,[7]]]");
    command(1, 19, "release", 11, 3, 1, AT(1, 14), "stale_epoch", 6, -1);
    command(1, 20, "release", 11, 3, 2, AT(1, 15), "reservation_retired", 6,
            -1);
    tick(1, 71, AT(1, 16), "[]");
    command(1, 21, "release", 11, 3, 2, AT(1, 17), "reservation_not_found", 71,
            -1);
    get_lease(2, 11, 17, 71, "'found':false,'retired':true");
    phase("sweep");
    get_resource(2, STRICT, 17, 71, "'state':'available','version':6");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_late_expiry_is_legal(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    tick(1, 50, AT(1, 4), "[]");
    /* After the deadline, before the expiry: a confirm passes. */
    command(1, 11, "confirm", 3, 3, 1, AT(1, 5), "ok", 50, 1);
    command(1, 12, "release", 3, 3, 1, AT(1, 6), "ok", 50, 2);
    reserve(1, 13, 4, AT(1, 7), 7, 50);
    tick(1, 90, AT(1, 8), "[[7,55,10,[7]]]");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_lost_tick_explains_reuse(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    lost_tick(2, 9);
    reserve(3, 11, 4, AT(2, 7), 7, 9);
    command(1, 12, "confirm", 3, 3, 1, AT(2, 8), "stale_epoch", 9, -1);
    get_resource(2, STRICT, 8, 9, "'state':'reserved','version':3,'lease':7");
    get_lease(2, 3, 8, 9,
              "'found':true,'state':'expired','epoch':2,'deadline':5");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_late_first_attempt_is_one_execution(void)
{
    begin(META);
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    unknown(&b, 1);
    get_resource(2, STRICT, 2, 0, "'state':'available','version':0");
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    ok(&b, 1, AT(1, 3), "n2",
       "{'code':'ok','cached':true,'slot':0,'lease':3,'epoch':1,'deadline':5}");
    get_resource(2, STRICT, 5, 0, "'state':'reserved','version':1,'lease':3");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_open_release_explains_reuse(void)
{
    const struct analyzer_options foreign = {.origin = ORIGIN_FOREIGN};

    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    invoke(&b, 1, 11, "release", "{'lease':3,'holder':3,'epoch':1}");
    unknown(&b, 1);
    reserve(2, 12, 4, AT(1, 5), 5, 0);
    judge(&b, &foreign);
    CHECK_INT(analyzer_exit_status(b.result), 0);
    CHECK_STR(verdict_of(&b, "unresolved_ambiguity"), "absent");
    builder_release(&b);
}

/* An open reserve made a lease that only reads ever name. */
static void
test_open_reserve_explains_reads(void)
{
    const struct analyzer_options foreign = {.origin = ORIGIN_FOREIGN};

    begin(META);
    invoke(&b, 1, 11, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    unknown(&b, 1);
    done(&b, 2, 12, "reserve", "{'resource':7,'holder':4,'ttl':5}", AT(1, 5),
         "{'code':'resource_busy','slot':0}");
    get_resource(2, STRICT, 6, 0, "'state':'reserved','version':1,'lease':4");
    command(2, 13, "confirm", 4, 3, 1, AT(1, 7), "ok", 0, 1);
    judge(&b, &foreign);
    CHECK_INT(analyzer_exit_status(b.result), 0);
    CHECK_STR(verdict_of(&b, "linearizable"), "valid");
    builder_release(&b);
}

/* ---- duplicate_execution ---- */

static void
test_duplicate_execution(void)
{
    begin(META);
    done(&b, 1, 10, "create_resource", "{'resource':9}", AT(1, 3),
         "{'code':'ok','cached':false,'slot':0}");
    done(&b, 1, 10, "create_resource", "{'resource':9}", AT(1, 8),
         "{'code':'already_exists','cached':false,'slot':0}");
    CHECK(ALARMS("duplicate_execution"));
    CHECK(strstr(witness_of(&b, "duplicate_execution"), "position 8") != NULL);
    builder_release(&b);
}

/* Retried after the dedupe record may have been dropped. */
static void
test_execution_after_the_window_is_legal(void)
{
    begin(META);
    done(&b, 1, 10, "create_resource", "{'resource':9}", AT(1, 3),
         "{'code':'ok','cached':false,'slot':0}");
    tick(2, 385, AT(1, 4), "[]");
    done(&b, 1, 10, "create_resource", "{'resource':9}", AT(1, 8),
         "{'code':'already_exists','cached':false,'slot':385}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "duplicate_execution"), "valid");
    CHECK_STR(verdict_of(&b, "linearizable"), "valid");
    builder_release(&b);
}

/* ---- double_allocation ---- */

static void
test_double_allocation(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    reserve(2, 11, 4, AT(1, 5), 5, 0);
    CHECK(ALARMS("double_allocation"));
    CHECK(strstr(witness_of(&b, "double_allocation"), "no release") != NULL);
    builder_release(&b);
}

static void
test_double_allocation_without_positions(void)
{
    begin(META_NO_POSITIONS);
    reserve(1, 10, 3, NOWHERE, 3, 0);
    reserve(2, 11, 4, NOWHERE, 5, 0);
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "double_allocation"), "invalid");
    builder_release(&b);
    /* Overlapping grants, and a release that overlaps both. */
    begin(META_NO_POSITIONS);
    reserve(1, 10, 3, NOWHERE, 3, 0);
    invoke(&b, 3, 12, "release", "{'lease':3,'holder':3,'epoch':1}");
    reserve(2, 11, 4, NOWHERE, 5, 0);
    ok(&b, 3, NOWHERE, "n1", "{'code':'ok','slot':0,'epoch':2}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "double_allocation"), "valid");
    builder_release(&b);
}

/* A lost tick does not explain reuse before the deadline. */
static void
test_double_allocation_before_the_deadline(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    lost_tick(2, 4);
    reserve(3, 11, 4, AT(1, 7), 7, 4);
    CHECK(ALARMS("double_allocation"));
    builder_release(&b);
}

/* ---- stale_read ---- */

static void
test_stale_read_by_position(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    get_resource(2, STRICT, 2, 0, "'state':'available','version':0");
    CHECK(ALARMS("stale_read"));
    CHECK(strstr(witness_of(&b, "stale_read"), "position 3 before the read") !=
          NULL);
    builder_release(&b);
    /* The same from a backup that promised nothing. */
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    get_resource(2, ANY, 2, 0, "'state':'available','version':0");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_stale_read_by_value(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    get_resource(2, STRICT, 4, 0, "'state':'available','version':0");
    CHECK(ALARMS("stale_read"));
    builder_release(&b);
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "release", 3, 3, 1, AT(1, 4), "ok", 0, 2);
    get_lease(2, 3, 5, 0, "'found':true,'state':'reserved','epoch':1");
    CHECK(ALARMS("stale_read"));
    CHECK(strstr(witness_of(&b, "stale_read"), "released by") != NULL);
    builder_release(&b);
    begin(META_NO_POSITIONS);
    reserve(1, 10, 3, NOWHERE, 3, 0);
    get_resource(2, STRICT, 0, 0, "'state':'available','version':0");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "stale_read"), "invalid");
    builder_release(&b);
}

/* A read that overlaps the write may show either side. */
static void
test_concurrent_read_is_fresh(void)
{
    begin(META);
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    get_resource(2, STRICT, 2, 0, "'state':'available','version':0");
    get_resource(2, STRICT, 3, 0, "'state':'reserved','version':1,'lease':3");
    ok(&b, 1, AT(1, 3), "n1",
       "{'code':'ok','slot':0,'lease':3,'epoch':1,'deadline':5}");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_stale_read_by_fence(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    get_resource(2, "'claim':'fenced','required':3", 2, 0,
                 "'state':'available','version':0");
    CHECK(ALARMS("stale_read"));
    builder_release(&b);
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    get_resource(2, "'claim':'fenced','required':2", 2, 0,
                 "'state':'available','version':0");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_reads_never_go_back(void)
{
    begin(META);
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    unknown(&b, 1);
    get_resource(2, STRICT, 3, 0, "'state':'reserved','version':1,'lease':3");
    get_resource(2, STRICT, 2, 0, "'state':'available','version':0");
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    ok(&b, 1, AT(1, 3), "n1",
       "{'code':'ok','slot':0,'lease':3,'epoch':1,'deadline':5}");
    CHECK(ALARMS("stale_read"));
    builder_release(&b);
}

/* ---- early_expiration ---- */

static void
test_early_expiration(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    tick(2, 4, AT(1, 4), "[[3,5,5,[7]]]");
    CHECK(ALARMS("early_expiration"));
    builder_release(&b);
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    lost_tick(2, 4);
    get_lease(2, 3, 6, 4,
              "'found':true,'state':'expired','epoch':2,'deadline':5");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "early_expiration"), "invalid");
    builder_release(&b);
}

static void
test_confirmed_lease_expires(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "confirm", 3, 3, 1, AT(1, 4), "ok", 0, 1);
    tick(2, 6, AT(1, 5), "[[3,5,6,[7]]]");
    CHECK(ALARMS("early_expiration"));
    builder_release(&b);
}

/* ---- stale_holder ---- */

static void
test_stale_holder_after_expiry(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    tick(2, 6, AT(1, 4), "[[3,5,5,[7]]]");
    command(1, 11, "confirm", 3, 3, 1, AT(1, 6), "ok", 6, 2);
    CHECK(ALARMS("stale_holder"));
    CHECK(strstr(witness_of(&b, "stale_holder"), "expired by tick") != NULL);
    builder_release(&b);
}

static void
test_stale_holder_after_revoke(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "confirm", 3, 3, 1, AT(1, 4), "ok", 0, 1);
    done(&b, 2, 12, "revoke", "{'lease':3}", AT(1, 5),
         "{'code':'ok','slot':0,'lease':3,'epoch':2}");
    command(1, 13, "release", 3, 3, 1, AT(1, 6), "ok", 0, 3);
    CHECK(ALARMS("stale_holder"));
    builder_release(&b);
}

static void
test_stale_holder_other_epoch(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "confirm", 3, 3, 0, AT(1, 4), "ok", 0, 1);
    CHECK(ALARMS("stale_holder"));
    builder_release(&b);
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "confirm", 3, 4, 1, AT(1, 4), "ok", 0, 1);
    CHECK(ALARMS("stale_holder"));
    builder_release(&b);
}

/* The old epoch was refused, but not as old. */
static void
test_stale_holder_refused_by_state(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "release", 3, 3, 1, AT(1, 4), "ok", 0, 2);
    command(1, 12, "release", 3, 3, 1, AT(1, 5), "reservation_retired", 0, -1);
    CHECK(ALARMS("stale_holder"));
    builder_release(&b);
}

/* ---- lost_write ---- */

static void
test_lost_write_in_sweep(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    phase("heal");
    phase("sweep");
    get_resource(2, STRICT, 9, 0, "'state':'available','version':0");
    CHECK(ALARMS("lost_write"));
    CHECK(strstr(witness_of(&b, "lost_write"), "after the heal") != NULL);
    builder_release(&b);
}

static void
test_lost_write_by_version(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "release", 3, 3, 1, AT(1, 4), "ok", 0, 2);
    phase("sweep2");
    get_resource(2, STRICT, 9, 0, "'state':'available','version':0");
    CHECK(ALARMS("lost_write"));
    CHECK(strstr(witness_of(&b, "lost_write"), "at least one was lost") !=
          NULL);
    builder_release(&b);
}

static void
test_lost_write_not_found(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "release", 3, 3, 1, AT(2, 4), "reservation_not_found", 0,
            -1);
    CHECK(ALARMS("lost_write"));
    builder_release(&b);
    begin(META);
    done(&b, 1, 10, "create_resource", "{'resource':7}", AT(2, 3),
         "{'code':'ok','slot':0}");
    CHECK(ALARMS("lost_write"));
    builder_release(&b);
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    phase("sweep");
    get_lease(2, 3, 9, 0, "'found':false,'retired':false");
    CHECK(ALARMS("lost_write"));
    builder_release(&b);
}

/* ---- the rest ---- */

static void
test_phantom_result(void)
{
    begin(META);
    get_resource(2, STRICT, 4, 0, "'state':'reserved','version':1,'lease':4");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "phantom_result"), "invalid");
    builder_release(&b);
    /* A reserve of another holder does not explain it. */
    begin(META);
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    unknown(&b, 1);
    get_lease(2, 4, 4, 0,
              "'found':true,'state':'reserved','holder':9,'epoch':1,"
              "'resources':[7]");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "phantom_result"), "invalid");
    builder_release(&b);
}

static void
test_position_conflict(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    done(&b, 2, 11, "create_resource", "{'resource':9}", AT(2, 3),
         "{'code':'ok','slot':0}");
    CHECK(ALARMS("position_conflict"));
    builder_release(&b);
}

static void
test_position_order(void)
{
    begin(META);
    done(&b, 1, 10, "create_resource", "{'resource':9}", AT(1, 9),
         "{'code':'ok','slot':0}");
    done(&b, 1, 11, "create_resource", "{'resource':10}", AT(1, 8),
         "{'code':'ok','slot':0}");
    CHECK(ALARMS("position_conflict"));
    builder_release(&b);
    begin(META);
    invoke(&b, 2, 12, "create_resource", "{'resource':11}");
    done(&b, 1, 10, "create_resource", "{'resource':9}", AT(3, 8),
         "{'code':'ok','slot':0}");
    ok(&b, 2, AT(2, 9), "n1", "{'code':'ok','slot':0}");
    CHECK(ALARMS("position_conflict"));
    builder_release(&b);
}

static void
test_dual_primary(void)
{
    begin(META);
    invoke(&b, 2, 10, "create_resource", "{'resource':9}");
    ok(&b, 2, AT(1, 3), "n2", "{'code':'ok','slot':0}");
    CHECK(ALARMS("dual_primary"));
    builder_release(&b);
    /* Cached answers, and those to a retry, may come from another node. */
    begin(META);
    invoke(&b, 2, 10, "create_resource", "{'resource':9}");
    unknown(&b, 2);
    invoke(&b, 2, 10, "create_resource", "{'resource':9}");
    ok(&b, 2, AT(1, 3), "n2", "{'code':'ok','slot':0}");
    invoke(&b, 2, 2, "create_resource", "{'resource':8}");
    ok(&b, 2, AT(1, 2), "n3", "{'code':'ok','cached':true,'slot':0}");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
}

static void
test_replica_divergence(void)
{
    begin(META);
    remark(&b, EVENT_NOTE, "digest", "n1", "{'index':9,'digest':'aa'}");
    remark(&b, EVENT_NOTE, "digest", "n2", "{'index':9,'digest':'aa'}");
    remark(&b, EVENT_NOTE, "digest", "n3", "{'index':8,'digest':'cc'}");
    CHECK(alarms((const char *const[]){NULL}));
    builder_release(&b);
    begin(META);
    remark(&b, EVENT_NOTE, "digest", "n1", "{'index':9,'digest':'aa'}");
    remark(&b, EVENT_NOTE, "digest", "n2", "{'index':9,'digest':'bb'}");
    CHECK(ALARMS("replica_divergence"));
    builder_release(&b);
}

static void
test_unknown_not_invalid(void)
{
    begin(META);
    invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    unknown(&b, 1);
    invoke(&b, 2, 0, "reserve", "{'resource':7,'holder':3,'ttl':5}");
    fail(&b, 2);
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "unresolved_ambiguity"), "unknown");
    CHECK_STR(verdict_of(&b, "missing_operation_id"), "unknown");
    CHECK_INT(analyzer_exit_status(b.result), 2);
    builder_release(&b);
}

/* A wrong code no domain checker is for: the replay stops, the search finds
 * no order either. */
static void
test_linearizable_searches_what_does_not_replay(void)
{
    begin(META);
    done(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}", AT(1, 3),
         "{'code':'resource_busy','slot':0}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "linearizable"), "invalid");
    CHECK(strstr(witness_of(&b, "linearizable"),
                 "answered 'resource_busy' where 'ok' is due") != NULL);
    CHECK(strstr(witness_of(&b, "linearizable"), "confirmed by") != NULL);
    builder_release(&b);
    /* Something unanswered held it: not even the replay needs a search. */
    begin(META);
    invoke(&b, 2, 11, "reserve", "{'resource':7,'holder':4,'ttl':5}");
    done(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}", AT(1, 3),
         "{'code':'resource_busy','slot':0}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "linearizable"), "valid");
    builder_release(&b);
}

/* Without positions every order that keeps real time is tried. */
static void
test_linearizable_without_positions(void)
{
    static const char *const id =
        "{'code':'ok','slot':0,'epoch':1,'deadline':5,"
        "'lease':'#000000010000000000000000000000%02x'}";
    char result[128];

    for (int twice = 0; twice < 2; twice++) {
        begin(META_NO_POSITIONS);
        invoke(&b, 3, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
        invoke(&b, 4, 11, "reserve", "{'resource':7,'holder':4,'ttl':5}");
        snprintf(result, sizeof(result), id, 9);
        ok(&b, 3, NOWHERE, "n1", result);
        snprintf(result, sizeof(result), id, 5);
        ok(&b, 4, NOWHERE, "n1",
           twice ? result : "{'code':'resource_busy','slot':0}");
        judge(&b, NULL);
        CHECK_STR(verdict_of(&b, "linearizable"), twice ? "invalid" : "valid");
        builder_release(&b);
    }
}

/* The history has an order, but not the one that its positions say. */
static void
test_linearizable_believes_no_wrong_position(void)
{
    begin(META);
    reserve(1, 10, 3, AT(1, 9), 4, 0);
    command(1, 11, "confirm", 4, 3, 1, AT(1, 5), "ok", 0, 1);
    CHECK(ALARMS("position_conflict"));
    CHECK_STR(verdict_of(&b, "linearizable"), "unknown");
    builder_release(&b);
}

/* ---- early_reuse, bundle_atomicity, retired_vs_not_found ---- */

static void
test_early_reuse(void)
{
    for (int reclaimed = 0; reclaimed < 2; reclaimed++) {
        begin(META);
        reserve(1, 10, 3, AT(1, 3), 3, 0);
        command(1, 11, "confirm", 3, 3, 1, AT(1, 4), "ok", 0, 1);
        command(1, 12, "revoke", 3, 3, 1, AT(1, 5), "ok", 0, 2);
        if (reclaimed)
            command(1, 13, "reclaim", 3, 3, 2, AT(1, 6), "ok", 0, 2);
        reserve(2, 14, 4, AT(1, 7), 7, 0);
        CHECK(reclaimed ? alarms((const char *const[]){NULL})
                        : ALARMS("early_reuse"));
        builder_release(&b);
    }
    /* A reclaim that nobody heard of may lie between. */
    begin(META);
    reserve(1, 10, 3, AT(1, 3), 3, 0);
    command(1, 11, "confirm", 3, 3, 1, AT(1, 4), "ok", 0, 1);
    command(1, 12, "revoke", 3, 3, 1, AT(1, 5), "ok", 0, 2);
    invoke(&b, 3, 13, "reclaim", "{'lease':3}");
    unknown(&b, 3);
    reserve(2, 14, 4, AT(1, 7), 7, 0);
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "early_reuse"), "valid");
    CHECK_STR(verdict_of(&b, "linearizable"), "valid");
    builder_release(&b);
}

/* Lease 3 of resources 7 and 8; what is read of 8, then of 7. */
static void
bundle_history(const char *meta, const char *of_8, const char *of_7)
{
    begin(meta);
    done(&b, 1, 10, "reserve_bundle", "{'resources':[7,8],'holder':3,'ttl':5}",
         strstr(meta, "total") != NULL ? AT(1, 3) : NOWHERE,
         "{'code':'ok','slot':0,'lease':3,'epoch':1,'deadline':5}");
    invoke(&b, 4, 12, "release", "{'lease':3,'holder':3,'epoch':1}");
    done(&b, 1, 0, "get_resource", "{'resource':8," STRICT "}", NOWHERE, of_8);
    done(&b, 1, 0, "get_resource", "{'resource':7," STRICT "}", NOWHERE, of_7);
    judge(&b, NULL);
}

static void
test_bundle_atomicity(void)
{
    static const char *const free_8 =
        "{'found':true,'applied':4,'slot':0,'state':'available'}";
    static const char *const held_8 =
        "{'found':true,'applied':3,'slot':0,'state':'reserved','lease':3}";
    static const char *const free_7 =
        "{'found':true,'applied':4,'slot':0,'state':'available'}";
    static const char *const held_7 =
        "{'found':true,'applied':4,'slot':0,'state':'reserved','lease':3}";

    /* The release is not answered: each by itself may be. */
    bundle_history(META, free_8, held_7);
    CHECK_STR(verdict_of(&b, "bundle_atomicity"), "invalid");
    CHECK_STR(verdict_of(&b, "double_allocation"), "valid");
    builder_release(&b);
    bundle_history(META_NO_POSITIONS, free_8, held_7);
    CHECK_STR(verdict_of(&b, "bundle_atomicity"), "invalid");
    CHECK_STR(verdict_of(&b, "linearizable"), "invalid");
    builder_release(&b);
    bundle_history(META, held_8, free_7);
    CHECK_STR(verdict_of(&b, "bundle_atomicity"), "valid");
    builder_release(&b);
    bundle_history(META_NO_POSITIONS, free_8, free_7);
    CHECK_STR(verdict_of(&b, "bundle_atomicity"), "valid");
    CHECK_STR(verdict_of(&b, "linearizable"), "valid");
    builder_release(&b);
    /* Of two members at one position one is further on. */
    bundle_history(META,
                   "{'found':true,'applied':4,'slot':0,'state':'active',"
                   "'lease':3}",
                   held_7);
    CHECK_STR(verdict_of(&b, "bundle_atomicity"), "invalid");
    builder_release(&b);
    bundle_history(META, held_8,
                   "{'found':true,'applied':4,'slot':0,'state':'active',"
                   "'lease':3}");
    CHECK_STR(verdict_of(&b, "bundle_atomicity"), "valid");
    builder_release(&b);
}

static void
test_retired_vs_not_found(void)
{
    static const struct {
        const char *shown;
        int slot;
        bool fires;
    } reads[] = {
        {"'found':false,'retired':true", 80, false},
        {"'found':false,'retired':false", 80, true},
        {"'found':true,'state':'released','epoch':2", 20, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        begin(META);
        reserve(1, 10, 3, AT(1, 3), 3, 0);
        command(1, 11, "release", 3, 3, 1, AT(1, 4), "ok", 0, 2);
        tick(2, reads[i].slot, AT(1, 5), "[]");
        get_lease(1, 3, 5, reads[i].slot, reads[i].shown);
        judge(&b, NULL);
        CHECK_STR(verdict_of(&b, "retired_vs_not_found"),
                  reads[i].fires ? "invalid" : "valid");
        builder_release(&b);
    }
    /* Above every lease that ended; below one. */
    for (int id = 2; id < 10; id += 7) {
        begin(META);
        reserve(1, 10, 3, AT(1, 3), 3, 0);
        command(1, 11, "release", 3, 3, 1, AT(1, 4), "ok", 0, 2);
        tick(2, 80, AT(1, 5), "[]");
        get_lease(1, id, 5, 80, "'found':false,'retired':true");
        judge(&b, NULL);
        CHECK_STR(verdict_of(&b, "retired_vs_not_found"),
                  id > 3 ? "invalid" : "valid");
        builder_release(&b);
    }
    /* A command on a lease that never ended, and on one that did. */
    for (int ended = 0; ended < 2; ended++) {
        begin(META);
        reserve(1, 10, 3, AT(1, 3), 3, 0);
        if (ended)
            command(1, 11, "release", 3, 3, 1, AT(1, 4), "ok", 0, 2);
        command(1, 12, "revoke", 3, 3, 1, AT(1, 5), "reservation_retired", 0,
                -1);
        judge(&b, NULL);
        CHECK_STR(verdict_of(&b, "retired_vs_not_found"),
                  ended ? "valid" : "invalid");
        builder_release(&b);
    }
}

int
main(void)
{
    RUN(test_life_of_leases);
    RUN(test_late_expiry_is_legal);
    RUN(test_lost_tick_explains_reuse);
    RUN(test_late_first_attempt_is_one_execution);
    RUN(test_open_release_explains_reuse);
    RUN(test_open_reserve_explains_reads);
    RUN(test_duplicate_execution);
    RUN(test_execution_after_the_window_is_legal);
    RUN(test_double_allocation);
    RUN(test_double_allocation_without_positions);
    RUN(test_double_allocation_before_the_deadline);
    RUN(test_stale_read_by_position);
    RUN(test_stale_read_by_value);
    RUN(test_concurrent_read_is_fresh);
    RUN(test_stale_read_by_fence);
    RUN(test_reads_never_go_back);
    RUN(test_early_expiration);
    RUN(test_confirmed_lease_expires);
    RUN(test_stale_holder_after_expiry);
    RUN(test_stale_holder_after_revoke);
    RUN(test_stale_holder_other_epoch);
    RUN(test_stale_holder_refused_by_state);
    RUN(test_lost_write_in_sweep);
    RUN(test_lost_write_by_version);
    RUN(test_lost_write_not_found);
    RUN(test_phantom_result);
    RUN(test_position_conflict);
    RUN(test_position_order);
    RUN(test_dual_primary);
    RUN(test_replica_divergence);
    RUN(test_unknown_not_invalid);
    RUN(test_early_reuse);
    RUN(test_bundle_atomicity);
    RUN(test_retired_vs_not_found);
    RUN(test_linearizable_searches_what_does_not_replay);
    RUN(test_linearizable_without_positions);
    RUN(test_linearizable_believes_no_wrong_position);
    return tap_done();
}
