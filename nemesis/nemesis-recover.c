/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoing what a dead driver left, from its journal alone.
 *
 * Happy path: undo record by record, latest first; when all are undone, prove
 * each heal by the same looks that a living driver takes, and mark it done.
 *
 * Failure modes: an undo that fails, or a heal that is not proven, stays
 * pending for the next time.  Where the maker of the machines is gone (its
 * faults died with it) there is nothing to look through: undone is all that
 * can be said.  Files on a data disk that the driver served went with it: a
 * guest whose disk is gone cannot undo what was done to them, and need not.
 */
#include "config.h"

#include "harness/base/file.h"
#include "nemesis/nemesis.h"

void
nemesis_recovery_release(struct nemesis_recovery *r)
{
    json_decref(r->faults);
    *r = (struct nemesis_recovery){0};
}

/* Takes the first error; the others are in the list. */
static void
recovery_failed(json_t *entry, const struct error *one, int *result,
                struct error *err)
{
    json_object_set_new(entry, "error", json_string(one->text));
    if (*result == 0)
        *err = *one;
    *result = -1;
}

/* *ret_provable false: this fault cannot be looked at from here. */
static int
recovery_prove(const struct fault_world *w, const struct journal_record *record,
               json_t *entry, bool *ret_provable, struct error *err)
{
    struct fault f;
    enum proof proof;

    if (fault_from_record(&f, w, record->undo, err) < 0) {
        fault_release(&f);
        return -1;
    }
    *ret_provable = fault_available(f.ops, w);
    if (!*ret_provable) {
        fault_release(&f);
        return 0;
    }
    proof = fault_prove(&f, FAULT_HEALED);
    json_object_set_new(entry, "result", json_string(proof_name(proof)));
    json_object_set(entry, "evidence", f.evidence);
    if (proof != PROOF_CONFIRMED)
        error_set(err, ERROR_ENVIRONMENT, "%s: its heal is not proven (%s)",
                  f.ops->name, proof_name(proof));
    fault_release(&f);
    return proof == PROOF_CONFIRMED ? 0 : -1;
}

/* Whether a failure is of no matter, for what was harmed is gone. */
static bool
recovery_ended(const struct fault_world *w, const struct journal_record *record,
               json_t *entry)
{
    const struct fault_ops *ops =
        fault_find(json_string_value(json_object_get(record->undo, "fault")));

    if (!w->disks_gone || ops == NULL || !ops->on_data_disk)
        return false;
    json_object_set_new(entry, "ended", json_string("with its disk"));
    json_object_del(entry, "result");
    return true;
}

static void
recovery_add(struct nemesis_recovery *r, const struct journal_record *record)
{
    json_t *entry =
        json_pack("{s:I, s:b}", "id", (json_int_t)record->id, "undone", 0);

    json_object_set(entry, "fault", json_object_get(record->undo, "fault"));
    json_object_set(entry, "nodes", json_object_get(record->undo, "nodes"));
    json_array_append_new(r->faults, entry);
}

/* All are undone before any is proven: one may hide the heal of another. */
static int
recovery_undo(const struct fault_world *w,
              const struct journal_pending *pending, struct nemesis_recovery *r,
              struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < pending->record_count; i++) {
        json_t *entry;
        struct error one = {0};

        recovery_add(r, &pending->records[i]);
        entry = json_array_get(r->faults, i);
        if (fault_undo(w, pending->records[i].undo, &one) < 0 &&
            !recovery_ended(w, &pending->records[i], entry)) {
            recovery_failed(entry, &one, &result, err);
            continue;
        }
        json_object_set_new(entry, "undone", json_true());
        r->undone++;
    }
    return result;
}

static int
recovery_finish(const struct fault_world *w, struct journal *journal,
                const struct journal_pending *pending,
                struct nemesis_recovery *r, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < pending->record_count; i++) {
        const struct journal_record *record = &pending->records[i];
        json_t *entry = json_array_get(r->faults, i);
        struct error one = {0};
        bool provable = false;

        if (!json_is_true(json_object_get(entry, "undone")))
            continue;
        if (json_object_get(entry, "ended") == NULL &&
            recovery_prove(w, record, entry, &provable, &one) < 0) {
            provable = false;
            if (!recovery_ended(w, record, entry)) {
                recovery_failed(entry, &one, &result, err);
                continue;
            }
        }
        if (journal_done(journal, record->id, &one) < 0) {
            recovery_failed(entry, &one, &result, err);
            continue;
        }
        r->proven += provable;
        r->unprovable += !provable;
    }
    return result;
}

int
nemesis_recover(const char *journal_path, const struct fault_world *w,
                struct nemesis_recovery *ret, struct error *err)
{
    CLEANUP(journal_pending_release) struct journal_pending pending = {0};
    struct error other = {0};
    struct journal *journal;
    int result;

    *ret = (struct nemesis_recovery){.faults = json_array()};
    if (!path_exists(journal_path))
        return 0;
    journal = journal_open(journal_path, err);
    if (journal == NULL)
        return -1;
    if (journal_pending_open(journal, &pending, err) < 0) {
        journal_close(journal);
        return -1;
    }
    ret->pending = (unsigned)pending.record_count;
    result = recovery_undo(w, &pending, ret, err);
    if (recovery_finish(w, journal, &pending, ret, &other) < 0 && result == 0) {
        *err = other;
        result = -1;
    }
    if (result == 0 && pending.damaged_count > 0)
        result = error_set(err, ERROR_ENVIRONMENT,
                           "%s: %zu damaged lines; their faults may not be "
                           "undone",
                           journal_path, pending.damaged_count);
    journal_close(journal);
    return result;
}
