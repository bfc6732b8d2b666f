/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options of one command as a table that parses, checks and
 * prints its own help.
 *
 *   static struct option_spec specs[] = {
 *       {"window", 'w', OPTION_DURATION, &window_ns, "DURATION",
 *        "how long clients and faults run (default: the scenario's)"}, ...
 *
 * Bad usage is reported on standard error in one line; the caller exits 64.
 */
#ifndef ORDEAL_HARNESS_OPTIONS_H
#define ORDEAL_HARNESS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,     /* bool */
    OPTION_STRING,   /* const char *, borrowed from argv */
    OPTION_UINT,     /* uint64_t */
    OPTION_DURATION, /* int64_t nanoseconds */
    OPTION_FORMAT,   /* bool: true for json; --format text|json */
};

struct option_spec {
    const char *name; /* "window" for --window */
    char letter;      /* 'w' for -w, 0: none */
    enum option_type type;
    void *target; /* keeps its value as the default */
    const char *argument, *help;
};

struct command {
    const char *name;
    const char *synopsis; /* "SCENARIO... [options]" */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs for --help, NULL: none */
    int (*run)(const struct command *self, int argc, char **argv);
};

enum options_outcome { OPTIONS_OK, OPTIONS_HELP, OPTIONS_BAD };

/*
 * Parses argv[1..].  Unless OPTIONS_OK the command is done and *ret_exit_status
 * says how.  Operands are moved to argv[0..*ret_count-1].  With --help
 * it prints the help to standard output and returns OPTIONS_HELP.  Everything
 * after "--" is an operand.  stop_at_operand: options end at the first operand
 * (for 'exec NODE PROGRAM -x').
 */
enum options_outcome options_parse(const struct command *command,
                                   const struct option_spec *specs,
                                   unsigned spec_count, bool stop_at_operand,
                                   int argc, char **argv, int *ret_count,
                                   int *ret_exit_status);

/* "ordeal CMD: what; see 'ordeal CMD --help'" on standard error; 64. */
int usage_error(const struct command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
