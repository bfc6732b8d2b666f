/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoing what a dead driver left, from its journal alone.
 */
#include "config.h"

#include "harness/base/file.h"
#include "nemesis/nemesis.h"

int
nemesis_recover(const char *journal_path, const struct fault_world *w,
                unsigned *ret_count, struct error *err)
{
    CLEANUP(journal_pending_release) struct journal_pending pending = {0};
    struct journal *journal;
    int result = 0;

    *ret_count = 0;
    if (!path_exists(journal_path))
        return 0;
    journal = journal_open(journal_path, err);
    if (journal == NULL)
        return -1;
    if (journal_pending_open(journal, &pending, err) < 0) {
        journal_close(journal);
        return -1;
    }
    *ret_count = (unsigned)pending.record_count;
    for (size_t i = 0; i < pending.record_count; i++) {
        const struct journal_record *record = &pending.records[i];
        struct error one = {0};

        if (fault_undo(w, record->undo, &one) == 0 &&
            journal_done(journal, record->id, &one) == 0)
            continue;
        if (result == 0)
            *err = one;
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
