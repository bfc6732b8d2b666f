/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordeal-harm: one command, one answer; see harm.h.
 *
 * Failure modes: one line on standard error and exit status 1; 64 for words
 * that are not understood.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/harm/harm.h"

#define EXIT_USAGE 64

static const struct harm_kind *const harm_kinds[] = {
    &harm_clock_bump, &harm_clock_strobe, &harm_clock_drift, &harm_clock_freeze,
    &harm_cpu,        &harm_memory,       &harm_fill,        NULL,
};

static bool
main_int(const char *text, int64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* Names become file names. */
static bool
main_name(const char *name)
{
    return name[0] != '\0' && strlen(name) < HARM_NAME_MAX &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* NAME SECONDS KIND [PATH] INTEGER... */
static int
main_start(char *words[], int count, struct error *err)
{
    const struct harm_kind *kind = NULL;
    struct harm h = {0};
    int64_t lease_s;
    int at = 3;

    for (size_t i = 0; count > 2 && harm_kinds[i] != NULL; i++)
        if (strcmp(harm_kinds[i]->name, words[2]) == 0)
            kind = harm_kinds[i];
    if (kind == NULL || !main_name(words[0]) || !main_int(words[1], &lease_s) ||
        lease_s < 1 || count != 3 + kind->has_path + kind->arg_count)
        return EXIT_USAGE;
    if (kind->has_path) {
        if (strlen(words[at]) >= HARM_PATH_MAX ||
            strpbrk(words[at], " \t\n") != NULL)
            return EXIT_USAGE;
        snprintf(h.note.path, sizeof(h.note.path), "%s", words[at++]);
    }
    for (int i = 0; i < kind->arg_count; i++)
        if (!main_int(words[at + i], &h.args[i]))
            return EXIT_USAGE;
    return harm_start(words[0], lease_s, kind, &h, err);
}

static int
main_held(const char *verb, char *words[], int count, struct error *err)
{
    int64_t lease_s;

    if (strcmp(verb, "start") == 0)
        return main_start(words, count, err);
    if (count < 1 || !main_name(words[0]))
        return EXIT_USAGE;
    if (strcmp(verb, "renew") == 0 && count == 2 &&
        main_int(words[1], &lease_s) && lease_s >= 1)
        return harm_renew(words[0], lease_s, err);
    if (strcmp(verb, "stop") == 0 && count == 1)
        return harm_stop(words[0], harm_kinds, err);
    if (strcmp(verb, "status") == 0 && count == 1)
        return harm_status(words[0], err);
    return EXIT_USAGE;
}

static int
main_file(const char *verb, char *words[], int count, struct error *err)
{
    int64_t a, b;

    if (strcmp(verb, "flip") == 0 && count == 3 && main_int(words[1], &a) &&
        main_int(words[2], &b))
        return harm_flip(words[0], a, (uint64_t)b, err);
    if (strcmp(verb, "cut") == 0 && count == 2 && main_int(words[1], &a))
        return harm_cut(words[0], a, err);
    if (strcmp(verb, "roll") == 0 && count == 4 && main_int(words[2], &a) &&
        main_int(words[3], &b))
        return harm_roll(words[0], words[1], a, (uint64_t)b, err);
    return EXIT_USAGE;
}

static int
main_verb(const char *verb, char *words[], int count, struct error *err)
{
    int64_t a, b;

    if (strcmp(verb, "clock") == 0 && count == 0)
        return harm_clock_look(err);
    if (strcmp(verb, "clock-set") == 0 && count == 2 &&
        main_int(words[0], &a) && main_int(words[1], &b))
        return harm_clock_set(a, b, err);
    if (strcmp(verb, "load") == 0 && count == 0)
        return harm_load_look(err);
    if (strcmp(verb, "spin") == 0 && count == 1 && main_int(words[0], &a))
        return harm_spin(a, err);
    if (strcmp(verb, "probe-space") == 0 && count == 2 &&
        main_int(words[1], &a))
        return harm_probe_space(words[0], a, err);
    if (main_file(verb, words, count, err) != EXIT_USAGE)
        return err->kind == ERROR_NONE ? 0 : -1;
    return main_held(verb, words, count, err);
}

int
main(int argc, char *argv[])
{
    struct error err = {0};
    int result = EXIT_USAGE;

    if (argc >= 2)
        result = main_verb(argv[1], argv + 2, argc - 2, &err);
    if (result == EXIT_USAGE)
        fprintf(stderr, "ordeal-harm: not understood (nemesis/harm/harm.h)\n");
    if (result < 0)
        fprintf(stderr, "ordeal-harm: %s\n", err.text);
    return result < 0 ? 1 : result;
}
