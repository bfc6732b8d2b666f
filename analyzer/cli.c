/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command 'ordeal check': options in, one judgement per operand out, the
 * worst verdict as exit status.  It has its own small option loop because the
 * analyzer links nothing of the driver.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/analyzer.h"
#include "analyzer/checker.h"
#include "analyzer/judge-model.h"
#include "analyzer/report.h"

#define CLI_EXIT_UNKNOWN 2
#define CLI_EXIT_USAGE 64
#define CLI_CHECKERS_MAX 32
#define CLI_JOBS_MAX 256

struct cli {
    struct analyzer_options options;
    const char *checkers[CLI_CHECKERS_MAX + 1];
    unsigned checker_count;
    bool json, list, list_models, list_formats;
    const char **paths;
    unsigned path_count;
};

static const char cli_help[] =
    "usage: ordeal check HISTORY|BUNDLE... [options]\n"
    "\n"
    "Judge histories offline.  Each operand is a history file or a bundle (a\n"
    "directory with history.ordeal).  Histories of the allocator go through "
    "all\n"
    "domain checkers; every other history, ours or of Jepsen, Knossos, Elle,\n"
    "Porcupine, LiMo or AllocDB, is judged by a model.  Gzip and zstd files "
    "are "
    "read\n"
    "as they are; '-' is standard input.\n"
    "\n"
    "options:\n"
    "  -c, --checker NAME       only this checker (may be repeated)\n"
    "      --from FORMAT        how the file is written (default: found out)\n"
    "  -m, --model MODEL        what it is about (default: found out)\n"
    "      --semantics WHICH    meaning of 'fail': strict (a refused\n"
    "                           compare-and-set was observed; default) or "
    "knossos\n"
    "                           (it tells nothing)\n"
    "      --initial VALUE      what the state begins with (default: the "
    "model's)\n"
    "  -d, --deadline DURATION  how long the check may take (default 120s);\n"
    "                           what is not decided by then is unknown\n"
    "      --memory BYTES       cap of the engines, with K, M or G (default "
    "4G)\n"
    "  -j, --jobs N             threads (default: one per processor)\n"
    "      --certificate FILE   write what proves the verdict (ordeal-verify)\n"
    "      --core FILE          write the contradiction alone as a history\n"
    "                           (.jsonl, .edn or .json)\n"
    "      --html FILE          write the explanation as one HTML file\n"
    "      --format text|json   how to print the result (default text)\n"
    "  -l, --list               list the checkers\n"
    "      --list-models, --list-formats\n"
    "  -h, --help               this text\n"
    "\n"
    "examples:\n"
    "  ordeal check runs/latest\n"
    "  ordeal check history.edn --model list-append\n"
    "  ordeal check etcd.log --certificate c.json && ordeal-verify c.json "
    "etcd.log\n"
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

/* A name and a line about it, or an object in the array. */
static void
cli_list_entry(json_t *all, const char *kind, const char *name,
               const char *description)
{
    if (all == NULL)
        printf("%-22s %s\n", name, description);
    else
        json_array_append_new(all, json_pack("{s:s, s:s}", kind, name,
                                             "description", description));
}

static void
cli_list_registry(const struct cli *cli)
{
    json_t *all = cli->json ? json_array() : NULL;

    for (unsigned i = 0; cli->list_models && model_registry[i] != NULL; i++)
        cli_list_entry(all, "model", model_registry[i]->name,
                       model_registry[i]->description);
    for (unsigned i = 0; cli->list_formats && format_registry[i] != NULL; i++)
        cli_list_entry(all, "format", format_registry[i]->name,
                       format_registry[i]->description);
    if (all != NULL) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
}

static int
cli_add_checker(struct cli *cli, const char *value)
{
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

/* "4G", "512M", "65536". */
static int
cli_bytes(const char *value, size_t *ret)
{
    static const char units[] = "KMG";
    char *end;
    unsigned long long n;
    const char *unit;
    unsigned shift;

    errno = 0;
    n = strtoull(value, &end, 10);
    unit = *end == '\0' ? NULL : strchr(units, *end);
    shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    if (end == value || value[0] == '-' || errno != 0 || n == 0 ||
        (*end != '\0' && (unit == NULL || end[1] != '\0')) ||
        n > SIZE_MAX >> shift)
        return cli_usage("no number of bytes: ", value);
    *ret = (size_t)n << shift;
    return 0;
}

static int
cli_jobs(const char *value, unsigned *ret)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (end == value || *end != '\0' || value[0] == '-' || n == 0 ||
        n > CLI_JOBS_MAX)
        return cli_usage("no number of threads: ", value);
    *ret = (unsigned)n;
    return 0;
}

/* One of two words. */
static int
cli_either(const char *value, const char *no, const char *yes, bool *ret)
{
    if (strcmp(value, no) != 0 && strcmp(value, yes) != 0) {
        fprintf(stderr, "ordeal check: it is %s or %s, not '%s'\n", no, yes,
                value);
        return -1;
    }
    *ret = strcmp(value, yes) == 0;
    return 0;
}

/* The option takes its value as it is, or by a function of its own. */
static const char **
cli_string(struct cli *cli, const char *name)
{
    struct analyzer_options *o = &cli->options;
    const struct {
        const char *name, **target;
    } strings[] = {
        {"--from", &o->from},       {"--model", &o->model},
        {"--initial", &o->initial}, {"--certificate", &o->certificate},
        {"--core", &o->core},       {"--html", &o->html},
    };

    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        if (strcmp(strings[i].name, name) == 0)
            return strings[i].target;
    return NULL;
}

static int
cli_option(struct cli *cli, const char *name, const char *value)
{
    const char **string = cli_string(cli, name);

    if (string != NULL) {
        *string = value;
        return 0;
    }
    if (strcmp(name, "--checker") == 0)
        return cli_add_checker(cli, value);
    if (strcmp(name, "--memory") == 0)
        return cli_bytes(value, &cli->options.memory_bytes);
    if (strcmp(name, "--jobs") == 0)
        return cli_jobs(value, &cli->options.jobs);
    if (strcmp(name, "--semantics") == 0)
        return cli_either(value, "strict", "knossos", &cli->options.knossos);
    if (strcmp(name, "--format") == 0)
        return cli_either(value, "text", "json", &cli->json);
    if (!duration_parse(value, &cli->options.deadline_ns) ||
        cli->options.deadline_ns <= 0)
        return cli_usage("no duration above zero: ", value);
    return 0;
}

/* The option's long name; NULL: none of those that take a value. */
static const char *
cli_value_option(const char *arg)
{
    static const struct {
        const char *name, *letter;
    } names[] = {
        {"--checker", "-c"}, {"--deadline", "-d"},  {"--format", ""},
        {"--from", ""},      {"--model", "-m"},     {"--semantics", ""},
        {"--initial", ""},   {"--memory", ""},      {"--jobs", "-j"},
        {"--core", ""},      {"--certificate", ""}, {"--html", ""},
    };
    size_t len = strcspn(arg, "=");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(arg, names[i].letter) == 0 ||
            (strlen(names[i].name) == len &&
             strncmp(names[i].name, arg, len) == 0))
            return names[i].name;
    return NULL;
}

/* Options that stand alone. */
static bool
cli_flag(struct cli *cli, const char *arg)
{
    cli->list |= strcmp(arg, "--list") == 0 || strcmp(arg, "-l") == 0;
    cli->list_models |= strcmp(arg, "--list-models") == 0;
    cli->list_formats |= strcmp(arg, "--list-formats") == 0;
    return strcmp(arg, "-l") == 0 || strncmp(arg, "--list", 6) == 0;
}

/* 1: help was printed; 0: go on; -1: bad usage. */
static int
cli_parse(struct cli *cli, int argc, char **argv)
{
    bool operands = false;

    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *name, *equals = strchr(arg, '=');

        if (operands || arg[0] != '-' || arg[1] == '\0') {
            cli->paths[cli->path_count++] = arg;
        } else if (strcmp(arg, "--") == 0) {
            operands = true;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            fputs(cli_help, stdout);
            return 1;
        } else if (cli_flag(cli, arg)) {
            continue;
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
    if (!cli->list && !cli->list_models && !cli->list_formats &&
        cli->path_count == 0)
        return cli_usage("which history?", "");
    return 0;
}

/*
 * Whether the domain checkers judge this history: an allocator's, in our own
 * format, and no option asks for a model's judgement.
 */
static bool
cli_is_domain(const struct cli *cli, const char *path)
{
    const struct analyzer_options *o = &cli->options;

    return o->from == NULL && o->model == NULL && o->initial == NULL &&
           o->certificate == NULL && o->core == NULL && o->html == NULL &&
           analyzer_is_domain(path);
}

static int
cli_check(const struct cli *cli, const char *path)
{
    bool ours = cli_is_domain(cli, path);
    json_t *result = NULL;
    struct error err;
    int status;

    if ((ours ? analyzer_run(path, &cli->options, &result, &err)
              : judge_model(path, &cli->options, &result, &err)) < 0) {
        fprintf(stderr, "ordeal check: %s\n", err.text);
        return CLI_EXIT_USAGE;
    }
    status = analyzer_exit_status(result);
    if (cli->json) {
        json_object_set_new(result, "history", json_string(path));
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (ours) {
        report_print(result, path, stdout);
    } else {
        judge_model_print(result, path, stdout);
    }
    json_decref(result);
    return status;
}

/* SIGTERM and Ctrl-C end the check with the evidence there is; the second
 * one ends the process. */
static atomic_bool cli_stop;

static void
cli_signal(int signo)
{
    (void)signo;
    atomic_store(&cli_stop, true);
}

static void
cli_catch_signals(struct cli *cli)
{
    struct sigaction action = {.sa_handler = cli_signal,
                               .sa_flags = (int)SA_RESETHAND};

    cli->options.stop = &cli_stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
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
    if (cli.list)
        cli_list(cli.json);
    if (cli.list_models || cli.list_formats)
        cli_list_registry(&cli);
    if (cli.list || cli.list_models || cli.list_formats)
        return 0;
    cli_catch_signals(&cli);
    for (unsigned i = 0; i < cli.path_count; i++)
        status = cli_worst(status, cli_check(&cli, cli.paths[i]));
    return status;
}
