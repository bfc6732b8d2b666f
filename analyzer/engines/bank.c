/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every read sees the same total, and no account below zero.  The total is the
 * initial one if it is given, otherwise that of the first read.
 */
#include "config.h"

#include <inttypes.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"

/* False, with the verdict, when a balance is none or negative. */
static bool
bank_total(const struct calls *c, uint32_t call, int64_t *ret,
           struct decision *d)
{
    const uint32_t *list = call_list(c, call);

    *ret = 0;
    for (uint32_t i = 0; i + 1 < call_list_count(c, call); i += 2) {
        struct exact_text account = exact_value(c, list[i]);
        int64_t balance;
        if (list[i + 1] == VALUE_NIL) {
            exact_invalid(d, &call, 1, "account %s has no balance",
                          account.text);
            return false;
        }
        if (!value_to_int(c, list[i + 1], &balance) ||
            __builtin_add_overflow(*ret, balance, ret)) {
            exact_unknown(d, "a balance of account %s is no number of 64 bits",
                          account.text);
            return false;
        }
        if (balance < 0) {
            exact_invalid(d, &call, 1,
                          "account %s was overdrawn: its balance was %" PRId64,
                          account.text, balance);
            return false;
        }
    }
    return true;
}

static void
bank_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    const struct calls *c = p->calls;
    uint32_t first = EXACT_NONE;
    int64_t expected = 0, total;
    bool known =
        c->initial != VALUE_ABSENT && value_to_int(c, c->initial, &expected);

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(b, ret)) {
            return;
        }
        if (c->function[call] != BANK_READ || c->complete[call] == CALL_OPEN) {
            continue;
        }
        if (!bank_total(c, call, &total, ret)) {
            return;
        }
        if (!known) {
            known = true;
            expected = total;
            first = call;
        } else if (total != expected) {
            const uint32_t core[] = {first, call};
            exact_invalid(ret, core, 2,
                          "the total changed: reads saw %" PRId64
                          " and %" PRId64 " in all accounts together",
                          expected, total);
            return;
        }
    }
    exact_valid(ret, NULL, 0);
}

const struct engine_ops engine_bank = {
    .name = "bank",
    .description = "one total in all reads, no account overdrawn",
    .decide = bank_decide,
};
