/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest TAP producer (testanything.org): each TEST function is one
 * point; CHECK ends it at the first failure.  Fixtures are structs with setup
 * and teardown functions that the test calls itself.
 *
 *   static void test_adds(void) { CHECK(1 + 1 == 2); }
 *   int main(void) { RUN(test_adds); return tap_done(); }
 */
#ifndef ORDEAL_TESTS_TAP_H
#define ORDEAL_TESTS_TAP_H

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failures;
static jmp_buf tap_jump;

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);           \
            longjmp(tap_jump, 1);                                              \
        }                                                                      \
    } while (0)

#define CHECK_INT(actual, expected)                                            \
    do {                                                                       \
        long long a_ = (long long)(actual), e_ = (long long)(expected);        \
        if (a_ != e_) {                                                        \
            printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, \
                   #actual, a_, e_);                                           \
            longjmp(tap_jump, 1);                                              \
        }                                                                      \
    } while (0)

#define CHECK_STR(actual, expected)                                            \
    do {                                                                       \
        const char *a_ = (actual), *e_ = (expected);                           \
        if (a_ == NULL || strcmp(a_, e_) != 0) {                               \
            printf("# %s:%d: %s is '%s', expected '%s'\n", __FILE__, __LINE__, \
                   #actual, a_ == NULL ? "(null)" : a_, e_);                   \
            longjmp(tap_jump, 1);                                              \
        }                                                                      \
    } while (0)

/* For calls that take 'struct error *err': prints the error on failure. */
#define CHECK_OK(call, err)                                                    \
    do {                                                                       \
        if ((call) < 0) {                                                      \
            printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, #call,             \
                   (err)->text);                                               \
            longjmp(tap_jump, 1);                                              \
        }                                                                      \
    } while (0)

#define RUN(test)                                                              \
    do {                                                                       \
        tap_count++;                                                           \
        if (setjmp(tap_jump) == 0) {                                           \
            test();                                                            \
            printf("ok %d - %s\n", tap_count, #test);                          \
        } else {                                                               \
            tap_failures++;                                                    \
            printf("not ok %d - %s\n", tap_count, #test);                      \
        }                                                                      \
        fflush(stdout);                                                        \
    } while (0)

#define SKIP(test, reason)                                                     \
    printf("ok %d - %s # SKIP %s\n", ++tap_count, #test, reason)

static int
tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failures != 0;
}

#endif
