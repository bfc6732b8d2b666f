/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command 'ordeal check': options in, one judgement per operand out, the
 * worst verdict as exit status.  It has its own small option loop because the
 * analyzer links nothing of the driver.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/analyzer.h"
#include "analyzer/checker.h"
#include "analyzer/report.h"

#define CLI_EXIT_UNKNOWN 2
#define CLI_EXIT_USAGE 64
#define CLI_CHECKERS_MAX 32

struct cli {
    struct analyzer_options options;
    const char *checkers[CLI_CHECKERS_MAX + 1];
    unsigned checker_count;
    bool json, list;
    const char **paths;
    unsigned path_count;
};

static const char cli_help[] =
    "usage: ordeal check HISTORY|BUNDLE... [options]\n"
    "\n"
    "Judge histories offline: each operand is a history file, or a bundle (a\n"
    "directory with history.ordeal).\n"
    "\n"
    "options:\n"
    "  -c, --checker NAME       only this checker (may be repeated)\n"
    "  -d, --deadline DURATION  how long the checkers may take (default "
    "120s);\n"
    "                           what is not decided by then is unknown\n"
    "      --format text|json   how to print the result (default text)\n"
    "  -l, --list               list the checkers\n"
    "  -h, --help               this text\n"
    "\n"
    "exit status: 0 valid, 1 invalid, 2 unknown, 64 bad usage; of several\n"
    "histories the worst (invalid, then unknown)\n";

static int
cli_usage(const char *what, const char *text)
{
    fprintf(stderr, "ordeal check: %s%s; see 'ordeal check --help'\n", what,
            text);
    return -1;
}

static void
cli_list(bool json)
{
    json_t *all = json_array();

    for (unsigned i = 0; checker_registry[i] != NULL; i++) {
        const struct checker_ops *c = checker_registry[i];

        if (!json)
            printf("%-22s %s%s\n", c->name, c->description,
                   c->runs_only ? " (runs only)" : "");
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:b}", "checker", c->name, "description",
                           c->description, "runs_only", c->runs_only));
    }
    if (json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
}

static int
cli_option(struct cli *cli, const char *name, const char *value)
{
    if (strcmp(name, "--checker") == 0) {
        if (cli->checker_count == CLI_CHECKERS_MAX)
            return cli_usage("too many checkers", "");
        if (checker_find(value) == NULL) {
            fprintf(stderr,
                    "ordeal check: there is no checker '%s'; 'ordeal check "
                    "--list' shows all\n",
                    value);
            return -1;
        }
        cli->checkers[cli->checker_count++] = value;
        cli->options.checkers = cli->checkers;
        return 0;
    }
    if (strcmp(name, "--deadline") == 0) {
        if (!duration_parse(value, &cli->options.deadline_ns) ||
            cli->options.deadline_ns <= 0)
            return cli_usage("no duration above zero: ", value);
        return 0;
    }
    cli->json = strcmp(value, "json") == 0;
    if (!cli->json && strcmp(value, "text") != 0)
        return cli_usage("the format is text or json, not ", value);
    return 0;
}

/* The option's long name; NULL: none of those that take a value. */
static const char *
cli_value_option(const char *arg)
{
    static const char *const names[] = {"--checker", "--deadline", "--format"};
    size_t len = strcspn(arg, "=");

    if (strcmp(arg, "-c") == 0)
        return names[0];
    if (strcmp(arg, "-d") == 0)
        return names[1];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) == len && strncmp(names[i], arg, len) == 0)
            return names[i];
    return NULL;
}

/* 1: help was printed; 0: go on; -1: bad usage. */
static int
cli_parse(struct cli *cli, int argc, char **argv)
{
    bool operands = false;

    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *name, *equals = strchr(arg, '=');

        if (operands || arg[0] != '-') {
            cli->paths[cli->path_count++] = arg;
        } else if (strcmp(arg, "--") == 0) {
            operands = true;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            fputs(cli_help, stdout);
            return 1;
        } else if (strcmp(arg, "--list") == 0 || strcmp(arg, "-l") == 0) {
            cli->list = true;
        } else if ((name = cli_value_option(arg)) != NULL) {
            if (equals == NULL && i + 1 == argc)
                return cli_usage("a value is missing after ", arg);
            if (cli_option(cli, name, equals != NULL ? equals + 1 : argv[++i]) <
                0)
                return -1;
        } else {
            return cli_usage("unknown option ", arg);
        }
    }
    if (!cli->list && cli->path_count == 0)
        return cli_usage("which history?", "");
    return 0;
}

static int
cli_check(const struct cli *cli, const char *path)
{
    json_t *result = NULL;
    struct error err;
    int status;

    if (analyzer_run(path, &cli->options, &result, &err) < 0) {
        fprintf(stderr, "ordeal check: %s\n", err.text);
        return CLI_EXIT_USAGE;
    }
    status = analyzer_exit_status(result);
    if (cli->json) {
        json_object_set_new(result, "history", json_string(path));
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        report_print(result, path, stdout);
    }
    json_decref(result);
    return status;
}

int
analyzer_exit_status(const json_t *result)
{
    const char *v = json_string_value(json_object_get(result, "verdict"));

    if (v != NULL && strcmp(v, verdict_name(VERDICT_VALID)) == 0)
        return 0;
    if (v != NULL && strcmp(v, verdict_name(VERDICT_INVALID)) == 0)
        return 1;
    return CLI_EXIT_UNKNOWN;
}

/* A violation is never masked; a history that cannot be read is no verdict. */
static int
cli_worst(int a, int b)
{
    static const int order[] = {1, CLI_EXIT_USAGE, CLI_EXIT_UNKNOWN};

    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return 0;
}

int
analyzer_cli(int argc, char **argv)
{
    struct cli cli = {0};
    CLEANUP_FREE const char **paths = xcalloc((size_t)argc + 1, sizeof(*paths));
    int status = 0, parsed;

    cli.paths = paths;
    parsed = cli_parse(&cli, argc, argv);
    if (parsed != 0)
        return parsed < 0 ? CLI_EXIT_USAGE : 0;
    if (cli.list) {
        cli_list(cli.json);
        return 0;
    }
    for (unsigned i = 0; i < cli.path_count; i++)
        status = cli_worst(status, cli_check(&cli, cli.paths[i]));
    return status;
}
