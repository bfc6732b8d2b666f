/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ordeal fault': faults by hand on the cluster of 'ordeal up'.  The process
 * that holds it does the work (harness/hand.h); this one asks and prints.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "artifacts/status.h"
#include "harness/base/arena.h"
#include "harness/commands.h"
#include "harness/hand.h"

struct fault_command {
    const struct command *self;
    char dir[RUNTIME_DIR_SIZE];
    bool as_json, up; /* a cluster is, in 'dir' */
    const char *target, *die_after;
    char **operands;
    int count;
};

static const char *
fault_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static bool
fault_is(const json_t *object, const char *key, const char *word)
{
    return strcmp(fault_text(object, key), word) == 0;
}

static void
fault_print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    printf("\n");
}

/* Takes the request.  NULL: refused, and err says why. */
static json_t *
fault_ask(const struct fault_command *c, json_t *request, struct error *err)
{
    json_t *answer = hand_ask(c->dir, request, err);

    json_decref(request);
    if (answer != NULL && c->as_json)
        fault_print_json(answer);
    return answer;
}

static void
fault_print_list(const json_t *list)
{
    const json_t *fault, *available;
    size_t i;

    json_array_foreach (list, i, fault) {
        available = json_object_get(fault, "available");
        printf("%-16s %-11s %s\n", fault_text(fault, "fault"),
               available == NULL         ? ""
               : json_is_true(available) ? "available"
                                         : "not here",
               fault_text(fault, "description"));
        if (fault_text(fault, "parameters")[0] != '\0')
            printf("%-28s parameters: %s\n", "",
                   fault_text(fault, "parameters"));
    }
}

/* Without a cluster all there are, available or not. */
static int
fault_list(struct fault_command *c, struct error *err)
{
    json_t *list = c->up ? fault_ask(c, json_pack("{s:s}", "do", "list"), err)
                         : hand_list(NULL);

    if (list == NULL)
        return command_failed(c->self, err);
    if (c->as_json && !c->up)
        fault_print_json(list);
    else if (!c->as_json)
        fault_print_list(list);
    json_decref(list);
    return 0;
}

/* "fault 3 kill n1 n2 (primary)" and what was seen, node by node. */
static void
fault_print(const json_t *fault, const char *what)
{
    const char *key;
    json_t *node, *value;
    size_t i;

    printf("fault %lld %s",
           (long long)json_integer_value(json_object_get(fault, "id")),
           fault_text(fault, "fault"));
    json_array_foreach (json_object_get(fault, "nodes"), i, node) {
        printf(" %s", json_string_value(node));
    }
    printf("%s: %s %s\n",
           json_is_true(json_object_get(fault, "primary")) ? " (primary)" : "",
           what, fault_text(fault, "result"));
    json_object_foreach (json_object_get(fault, "evidence"), key, value) {
        CLEANUP_FREE char *text =
            json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

        printf("    %s %s\n", key, text == NULL ? "?" : text);
    }
}

/* KEY=VALUE; a value that is no JSON is a string. */
static int
fault_params(const struct fault_command *c, int first, json_t *params,
             struct error *err)
{
    for (int i = first; i < c->count; i++) {
        char *equals = strchr(c->operands[i], '=');
        json_t *value;

        if (equals == NULL || equals == c->operands[i])
            return error_set(err, ERROR_CONFIG,
                             "'%s': parameters are like KEY=VALUE",
                             c->operands[i]);
        *equals = '\0';
        value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
        json_object_set_new(params, c->operands[i],
                            value != NULL ? value : json_string(equals + 1));
    }
    return 0;
}

static int
fault_inject_main(struct fault_command *c, struct error *err)
{
    json_t *params = json_object(), *answer;
    int status;

    if (c->count < 2) {
        json_decref(params);
        return usage_error(c->self, "which fault? 'ordeal fault list'");
    }
    if (fault_params(c, 2, params, err) < 0) {
        json_decref(params);
        return command_failed(c->self, err);
    }
    answer = fault_ask(c,
                       json_pack("{s:s, s:s, s:s, s:o, s:s}", "do", "inject",
                                 "fault", c->operands[1], "target", c->target,
                                 "params", params, "die_after", c->die_after),
                       err);
    if (answer == NULL)
        return command_failed(c->self, err);
    if (!c->as_json)
        fault_print(answer, "effect");
    status = fault_is(answer, "result", "confirmed")
                 ? 0
                 : run_status_exit(STATUS_INSUFFICIENT);
    json_decref(answer);
    return status;
}

static int
fault_heal_one(struct fault_command *c, json_int_t id, struct error *err)
{
    json_t *answer =
        fault_ask(c, json_pack("{s:s, s:I}", "do", "heal", "id", id), err);
    bool proven = fault_is(answer, "result", "confirmed");

    if (answer == NULL)
        return command_failed(c->self, err);
    if (!c->as_json) {
        fault_print(answer, "heal");
        if (fault_text(answer, "effect")[0] != '\0')
            printf("    its effect was %s, proven for %.1f s\n",
                   fault_text(answer, "effect"),
                   (double)json_integer_value(
                       json_object_get(answer, "proven_ms")) /
                       1000);
    }
    json_decref(answer);
    return proven ? 0 : run_status_exit(STATUS_DIRTY);
}

/* A number, the name of a fault, or "all": latest first. */
static int
fault_heal_main(struct fault_command *c, struct error *err)
{
    const char *which = c->count < 2 ? "" : c->operands[1];
    char *end = NULL;
    unsigned long long id = strtoull(which, &end, 10);
    bool as_json = c->as_json;
    json_t *facts, *faults;
    int worst = 0;
    size_t healed = 0;

    if (c->count != 2)
        return usage_error(c->self, "heal which: a number, a fault, or 'all'");
    if (end != which && *end == '\0')
        return fault_heal_one(c, (json_int_t)id, err);
    c->as_json = false;
    facts = fault_ask(c, json_pack("{s:s}", "do", "facts"), err);
    c->as_json = as_json;
    if (facts == NULL)
        return command_failed(c->self, err);
    faults = json_object_get(facts, "faults");
    for (size_t i = json_array_size(faults); i > 0; i--) {
        const json_t *fault = json_array_get(faults, i - 1);
        int status;

        if (strcmp(which, "all") != 0 && !fault_is(fault, "fault", which))
            continue;
        healed++;
        status = fault_heal_one(
            c, json_integer_value(json_object_get(fault, "id")), err);
        worst = status > worst ? status : worst;
    }
    json_decref(facts);
    if (healed == 0)
        printf("nothing of that is in force\n");
    return worst;
}

static int
fault_facts_main(struct fault_command *c, struct error *err)
{
    json_t *facts = fault_ask(c, json_pack("{s:s}", "do", "facts"), err);
    json_t *node, *fault;
    size_t i;

    if (facts == NULL)
        return command_failed(c->self, err);
    json_array_foreach (json_object_get(facts, "nodes"), i, node) {
        if (c->as_json)
            break;
        printf("%-4s %-11s term %-4lld commit %-8lld pid %d%s  boot %s %s\n",
               fault_text(node, "node"), fault_text(node, "role"),
               (long long)json_integer_value(json_object_get(node, "term")),
               (long long)json_integer_value(json_object_get(node, "commit")),
               (int)json_integer_value(json_object_get(node, "pid")),
               json_is_true(json_object_get(node, "stopped")) ? " (stopped)"
                                                              : "",
               fault_text(node, "boot_id"), fault_text(node, "error"));
    }
    json_array_foreach (json_object_get(facts, "faults"), i, fault) {
        if (!c->as_json)
            fault_print(fault, "effect");
    }
    if (!c->as_json)
        printf("records: %s\n", fault_text(facts, "records"));
    json_decref(facts);
    return 0;
}

static int
fault_main(const struct command *self, int argc, char **argv)
{
    static const struct {
        const char *verb;
        int (*run)(struct fault_command *c, struct error *err);
        bool anywhere; /* also without a cluster */
    } verbs[] = {{"list", fault_list, true},
                 {"inject", fault_inject_main, false},
                 {"heal", fault_heal_main, false},
                 {"facts", fault_facts_main, false}};
    struct fault_command c = {.self = self, .target = "one", .die_after = ""};
    const struct option_spec specs[] = {
        {"target", 't', OPTION_STRING, &c.target, "SPEC",
         "n1, [n1,n2], one, primary, ... (docs/FAULTS.md; default: one)"},
        {"die-after", 0, OPTION_STRING, &c.die_after, "STAGE",
         "kill the cluster's holder after this step (to try recovery)"},
        {"format", 0, OPTION_FORMAT, &c.as_json, "text|json", "how to print"},
    };
    struct error err = {0};
    int exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv,
                      &c.count, &exit_status) != OPTIONS_OK)
        return exit_status;
    c.operands = argv;
    for (size_t i = 0; c.count > 0 && i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].verb, argv[0]) != 0)
            continue;
        c.up = command_find_up(c.dir);
        if (!c.up && !verbs[i].anywhere)
            return usage_error(self, "no cluster is up; 'ordeal up' makes one");
        return verbs[i].run(&c, &err);
    }
    return usage_error(self, "list, inject, heal or facts?");
}

const struct command command_fault = {
    .name = "fault",
    .synopsis = "list | inject FAULT [KEY=VALUE...] | heal NUMBER|FAULT|all | "
                "facts",
    .summary = "inject and heal faults by hand, each with its proof",
    .details =
        "Works on the cluster of 'ordeal up'; 'list' also without one. Each "
        "step is journalled,\nproven and recorded in the cluster's directory "
        "like a run's: history, faults.jsonl,\nundo.journal; the directory "
        "goes with 'ordeal down'. Exit status: 4 when an effect,\n5 when a "
        "heal is not proven.",
    .run = fault_main,
};
