/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unexpected_exit: the guests' init writes each end of a daemon to the serial
 * console, which survives the daemon, its disk and its network.  An end by
 * SIGKILL, by SIGTERM or with status 0 is what faults ask for, and some faults
 * give leave for more (fault_ops.may_exit, on the nodes they hit); every other
 * one (an assertion, a sanitizer, a refusal to start) is the daemon's own.
 */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/run-internal.h"

#define RUN_EXITS_NAMED_MAX 8 /* a witness is read by people */

static bool
run_exit_is_asked_for(const struct run *r, unsigned node, const char *how)
{
    int number = 0;

    if (sscanf(how, "signal %d", &number) == 1)
        return number == SIGKILL || number == SIGTERM;
    if (sscanf(how, "exit status %d", &number) != 1)
        return false;
    return number == 0 ||
           (r->nemesis != NULL && nemesis_may_exit(r->nemesis, node, number));
}

/* Of those, a refusal to start on what it found. */
static bool
run_exit_is_refusal(const struct run *r, const char *how)
{
    int number = 0;

    if (sscanf(how, "exit status %d", &number) != 1)
        return false;
    for (const int *s = r->system->refusals; s != NULL && *s != 0; s++)
        if (*s == number)
            return true;
    return false;
}

/* Looks through one console; what is found is added to 'text'. */
static unsigned
run_exits_of(struct run *r, unsigned index, char *console, struct buf *text)
{
    const char *node = r->site.cluster.nodes[index].name;
    CLEANUP_FREE char *mark = xasprintf("service %s: pid ", r->system->name);
    unsigned count = 0;
    char *save = NULL;

    for (char *line = strtok_r(console, "\r\n", &save); line != NULL;
         line = strtok_r(NULL, "\r\n", &save)) {
        const char *what = strstr(line, mark);
        const char *how = what == NULL ? NULL : strstr(what, "ended, ");
        bool refusal;

        if (how == NULL)
            continue;
        how += strlen("ended, ");
        refusal = run_exit_is_refusal(r, how);
        r->refused[index] = r->refused[index] || refusal;
        if (run_exit_is_asked_for(r, index, how))
            continue;
        if (count++ < RUN_EXITS_NAMED_MAX)
            buf_printf(text,
                       "%s%s: %s%s (see nodes/%s/console.log and its "
                       "daemon's log)",
                       text->len == 0 ? "" : "; ", node, what,
                       refusal ? ", a refusal to start on what it found" : "",
                       node);
    }
    return count;
}

void
run_judge_exits(struct run *r)
{
    const struct cluster *c = &r->site.cluster;
    struct buf text;
    unsigned count = 0, consoles = 0;

    buf_init(&text, ERROR_TEXT_MAX * RUN_EXITS_NAMED_MAX);
    for (unsigned i = 0; i < c->node_count; i++) {
        struct error err = {0};
        CLEANUP_FREE char *console = file_read(
            c->nodes[i].console_path, COLLECT_FILE_BYTES_MAX, NULL, &err);

        if (console == NULL)
            continue;
        consoles++;
        count += run_exits_of(r, i, console, &text);
    }
    if (count > 0) {
        json_array_append_new(r->own_checkers,
                              json_pack("{s:s, s:s, s:i, s:{s:s, s:[]}}",
                                        "checker", "unexpected_exit", "verdict",
                                        "invalid", "count", (int)count,
                                        "witness", "text", buf_text(&text),
                                        "events"));
    } else {
        bool all = consoles == c->node_count;

        json_array_append_new(
            r->own_checkers,
            json_pack("{s:s, s:s, s:s, s:i}", "checker", "unexpected_exit",
                      "verdict", all ? "valid" : "unknown", "reason",
                      all ? "" : "a console could not be read", "count", 0));
    }
    buf_release(&text);
}

/* "; n1, n2 refuse to start", those that do. */
static void
run_name_refusers(const struct run *r, struct buf *text)
{
    const struct cluster *c = &r->site.cluster;
    unsigned count = 0;

    for (unsigned i = 0; i < c->node_count; i++)
        if (r->refused[i])
            buf_printf(text, "%s%s", count++ == 0 ? "; " : ", ",
                       c->nodes[i].name);
    if (count > 0)
        buf_puts(text, " refused to start on what was found there");
}

void
run_explain_unread(struct run *r)
{
    json_t *operations = json_object_get(r->analysis, "operations");
    size_t i;
    json_t *checker;

    if (r->load == NULL || r->serves)
        return;
    json_array_foreach (r->own_checkers, i, checker) {
        json_t *witness = json_object_get(checker, "witness");
        const char *was = json_string_value(json_object_get(witness, "text"));
        struct buf text;

        if (was == NULL ||
            strcmp(json_string_value(json_object_get(checker, "checker")),
                   "availability") != 0)
            continue;
        buf_init(&text, 2 * ERROR_TEXT_MAX);
        buf_puts(&text, was);
        run_name_refusers(r, &text);
        buf_printf(&text,
                   "; %" JSON_INTEGER_FORMAT
                   " operations were acknowledged, and nobody serves whom to "
                   "ask for them: there were no final reads, so lost_write "
                   "had only what was read before to judge by",
                   json_integer_value(json_object_get(operations, "ok")));
        json_object_set_new(witness, "text", json_string(buf_text(&text)));
        buf_release(&text);
    }
}
