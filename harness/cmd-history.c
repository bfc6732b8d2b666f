/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal history cat|stat|convert': look into a history. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/formats/format.h"
#include "artifacts/status.h"
#include "harness/base/cleanup.h"
#include "harness/commands.h"
#include "harness/history-tool.h"

struct history_command {
    const char *operation, *node, *function, *kind, *to, *as, *format;
    uint64_t process, limit;
    int64_t from_ns, to_ns;
    bool json;
};

static int
history_write_record(void *arg, const struct record *r, struct error *err)
{
    return record_writer_add(arg, r, err);
}

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

/* Any history that the analyzer reads, written as another tool's. */
static int
history_run_rewrite(const struct history_command *c, const char *path,
                    struct error *err)
{
    struct record_writer *writer =
        record_writer_new(stdout, c->as == NULL ? "jsonl" : c->as, err);
    const struct format_ops *format;
    struct record_file file = {0};
    struct error ignored;
    int result;

    if (writer == NULL)
        return -1;
    result = format_read(path, c->format, &format, &file, history_write_record,
                         writer, err);
    if (record_writer_close(writer, result == 0 ? err : &ignored) < 0)
        result = -1;
    return result;
}

/* JSONL to binary when FILE is JSONL and --to names a file, else to JSONL. */
static int
history_run_convert(const struct command *self, const struct history_command *c,
                    const char *path)
{
    struct error err = {0};
    int result;

    if (c->to != NULL && (c->as != NULL || c->format != NULL))
        return usage_error(self, "--to writes the binary form of our JSONL; "
                                 "it goes with neither --as nor --read-as");
    if (c->as != NULL || c->format != NULL)
        result = history_run_rewrite(c, path, &err);
    else if (c->to == NULL)
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
        {"as", 0, OPTION_STRING, &c.as, "FORMAT",
         "convert: clients' records as edn or json (Jepsen), or jsonl (ours)"},
        {"read-as", 0, OPTION_STRING, &c.format, "FORMAT",
         "convert: how FILE is written ('ordeal check --list-formats')"},
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
    .summary = "look into a history, or convert it",
    .details = "FILE is a history (binary or JSONL) or a bundle. 'cat' prints "
               "one line an event,\n'stat' counts, 'convert' writes JSONL to "
               "standard output, or with --to reads JSONL\nand writes the "
               "binary form; with --as any history that 'ordeal check' reads "
               "becomes Jepsen's EDN\nor JSON, or our JSONL.",
    .run = history_main,
};
