/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal history cat|stat|convert': look into a history. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "artifacts/status.h"
#include "harness/base/cleanup.h"
#include "harness/commands.h"
#include "harness/history-tool.h"

struct history_command {
    const char *operation, *node, *function, *kind, *to;
    uint64_t process, limit;
    int64_t from_ns, to_ns;
    bool json;
};

static int
history_run_cat(const struct command *self, const struct history_command *c,
                const char *path)
{
    struct history_filter filter = {
        .operation = c->operation,
        .node = c->node,
        .function = c->function,
        .process_set = c->process != UINT64_MAX,
        .process = (uint32_t)c->process,
        .from_set = c->from_ns >= 0,
        .from_ns = c->from_ns,
        .to_set = c->to_ns >= 0,
        .to_ns = c->to_ns,
        .limit = c->limit,
    };
    struct error err = {0};

    if ((c->kind != NULL && history_filter_kinds(&filter, c->kind, &err) < 0) ||
        history_cat(stdout, path, c->json, &filter, &err) < 0)
        return command_failed(self, &err);
    return 0;
}

/* JSONL to binary when FILE is JSONL and --to names a file, else to JSONL. */
static int
history_run_convert(const struct command *self, const struct history_command *c,
                    const char *path)
{
    struct error err = {0};
    int result;

    if (c->to == NULL)
        result = history_export_jsonl(path, stdout, &err);
    else
        result = history_import_jsonl(path, c->to, &err);
    return result < 0 ? command_failed(self, &err) : 0;
}

static int
history_main(const struct command *self, int argc, char **argv)
{
    struct history_command c = {
        .process = UINT64_MAX, .from_ns = -1, .to_ns = -1};
    const struct option_spec specs[] = {
        {"op", 0, OPTION_STRING, &c.operation, "HEX",
         "cat: only this operation (the id's last digits)"},
        {"process", 'p', OPTION_UINT, &c.process, "NUMBER",
         "cat: only this process"},
        {"node", 'n', OPTION_STRING, &c.node, "NODE", "cat: only this node"},
        {"kind", 'k', OPTION_STRING, &c.kind, "KIND[,KIND]",
         "cat: invoke, ok, fail, unknown, fault, note"},
        {"function", 'f', OPTION_STRING, &c.function, "NAME",
         "cat: only this function"},
        {"from", 0, OPTION_DURATION, &c.from_ns, "DURATION",
         "cat: from this time on"},
        {"until", 0, OPTION_DURATION, &c.to_ns, "DURATION",
         "cat: up to this time"},
        {"limit", 0, OPTION_UINT, &c.limit, "NUMBER", "cat: so many events"},
        {"to", 't', OPTION_STRING, &c.to, "FILE",
         "convert: JSONL into this binary file (default: to JSONL)"},
        {"format", 0, OPTION_FORMAT, &c.json, "text|json", "how to print"},
    };
    struct error err = {0};
    int count, exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count != 2)
        return usage_error(self, "what with which file? 'cat FILE', 'stat "
                                 "FILE' or 'convert FILE'");
    if (strcmp(argv[0], "cat") == 0)
        return history_run_cat(self, &c, argv[1]);
    if (strcmp(argv[0], "convert") == 0)
        return history_run_convert(self, &c, argv[1]);
    if (strcmp(argv[0], "stat") != 0)
        return usage_error(self, "'%s' is none of cat, stat, convert", argv[0]);
    if (history_stat(stdout, argv[1], c.json, &err) < 0)
        return command_failed(self, &err);
    return 0;
}

const struct command command_history = {
    .name = "history",
    .synopsis = "cat|stat|convert FILE [options]",
    .summary = "look into a history, or convert it from and to JSONL",
    .details = "FILE is a history (binary or JSONL) or a bundle. 'cat' prints "
               "one line an event,\n'stat' counts, 'convert' writes JSONL to "
               "standard output, or with --to reads JSONL\nand writes the "
               "binary form.",
    .run = history_main,
};
