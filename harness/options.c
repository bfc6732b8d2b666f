/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/status.h"
#include "harness/base/clock.h"
#include "harness/options.h"

int
usage_error(const struct command *command, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "ordeal %s: ", command->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "; see 'ordeal %s --help'\n", command->name);
    return EXIT_USAGE;
}

static void
options_help(const struct command *command, const struct option_spec *specs,
             unsigned spec_count)
{
    printf("usage: ordeal %s %s\n\n%s\n", command->name, command->synopsis,
           command->summary);
    if (command->details != NULL)
        printf("\n%s\n", command->details);
    printf("\noptions:\n");
    for (unsigned i = 0; i < spec_count; i++) {
        char left[64];
        const struct option_spec *s = &specs[i];

        if (s->letter != 0)
            snprintf(left, sizeof(left), "-%c, --%s%s%s", s->letter, s->name,
                     s->argument == NULL ? "" : " ",
                     s->argument == NULL ? "" : s->argument);
        else
            snprintf(left, sizeof(left), "    --%s%s%s", s->name,
                     s->argument == NULL ? "" : " ",
                     s->argument == NULL ? "" : s->argument);
        printf("  %-26s %s\n", left, s->help);
    }
    printf("  %-26s %s\n", "-h, --help", "this text");
}

static bool
options_store(const struct option_spec *spec, const char *text)
{
    char *end;

    switch (spec->type) {
    case OPTION_FLAG:
        *(bool *)spec->target = true;
        return true;
    case OPTION_STRING:
        *(const char **)spec->target = text;
        return true;
    case OPTION_UINT:
        errno = 0;
        *(uint64_t *)spec->target = strtoull(text, &end, 0);
        return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    case OPTION_DURATION:
        return duration_parse(text, spec->target);
    case OPTION_FORMAT:
        *(bool *)spec->target = strcmp(text, "json") == 0;
        return *(bool *)spec->target || strcmp(text, "text") == 0;
    }
    return false;
}

static const struct option_spec *
options_find(const struct option_spec *specs, unsigned count, const char *arg,
             size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        if (arg[1] != '-' && len == 2 && arg[1] == specs[i].letter)
            return &specs[i];
        if (arg[1] == '-' && strlen(specs[i].name) == len - 2 &&
            strncmp(arg + 2, specs[i].name, len - 2) == 0)
            return &specs[i];
    }
    return NULL;
}

/* One option at argv[*i]; moves *i past its argument. */
static bool
options_take(const struct command *command, const struct option_spec *specs,
             unsigned spec_count, int argc, char **argv, int *i)
{
    const char *arg = argv[*i];
    size_t len = strcspn(arg, "=");
    const struct option_spec *spec = options_find(specs, spec_count, arg, len);
    const char *text = arg[len] == '=' ? arg + len + 1 : NULL;

    if (spec == NULL) {
        usage_error(command, "unknown option '%.*s'", (int)len, arg);
        return false;
    }
    if (spec->type == OPTION_FLAG && text != NULL) {
        usage_error(command, "--%s takes no value", spec->name);
        return false;
    }
    if (spec->type != OPTION_FLAG && text == NULL) {
        if (*i + 1 >= argc) {
            usage_error(command, "--%s needs a value (%s)", spec->name,
                        spec->argument);
            return false;
        }
        text = argv[++*i];
    }
    if (!options_store(spec, text)) {
        usage_error(command, "--%s: '%s' is no %s", spec->name, text,
                    spec->argument);
        return false;
    }
    return true;
}

enum options_outcome
options_parse(const struct command *command, const struct option_spec *specs,
              unsigned spec_count, bool stop_at_operand, int argc, char **argv,
              int *ret_count, int *ret_exit_status)
{
    int count = 0;
    bool only_operands = false;

    for (int i = 1; i < argc; i++) {
        if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[count++] = argv[i];
            only_operands = only_operands || stop_at_operand;
        } else if (strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (strcmp(argv[i], "--help") == 0 ||
                   strcmp(argv[i], "-h") == 0) {
            options_help(command, specs, spec_count);
            *ret_exit_status = 0;
            return OPTIONS_HELP;
        } else if (!options_take(command, specs, spec_count, argc, argv, &i)) {
            *ret_exit_status = EXIT_USAGE;
            return OPTIONS_BAD;
        }
    }
    *ret_count = count;
    return OPTIONS_OK;
}
