/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ordeal COMMAND ...': finds the command and runs it.  Commands that make
 * virtual machines run below a small reaping parent (provider/supervise.h),
 * because libvirt waits for processes that nobody else would reap.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "artifacts/status.h"
#include "harness/base/log.h"
#include "harness/commands.h"

static const struct command *const main_commands[] = {
    &command_doctor, &command_image,   &command_plan,    &command_run,
    &command_gate,   &command_check,   &command_history, &command_up,
    &command_down,   &command_status,  &command_ssh,     &command_exec,
    &command_logs,   &command_recover, &command_fault,
};

static void
main_help(void)
{
    printf("usage: ordeal [--verbose] [--debug MODULES] COMMAND ...\n\n"
           "Puts a replicated system through an ordeal (crashes, partitions, "
           "pauses) and\njudges what its clients saw.\n\ncommands:\n");
    for (size_t i = 0; i < ARRAY_LEN(main_commands); i++)
        printf("  %-9s %s\n", main_commands[i]->name,
               main_commands[i]->summary);
    printf(
        "\nStart with 'ordeal doctor', then 'ordeal run "
        "reservation_contention-crash-restart\n--window 60s'.  Every command "
        "has --help.  Exit status: 0 passed, 1 violation, 2 unknown,\n3 infra, "
        "4 "
        "insufficient evidence, 5 dirty, 64 usage, 70 internal.\n");
}

int
command_failed(const struct command *command, const struct error *err)
{
    fprintf(stderr, "ordeal %s: %s\n", command->name, err->text);
    switch (err->kind) {
    case ERROR_CONFIG:
        return EXIT_USAGE;
    case ERROR_BUG:
        return EXIT_INTERNAL;
    default:
        return EXIT_INFRA;
    }
}

/* Global options; the index of the command, or argc. */
static int
main_options(int argc, char **argv)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--verbose") == 0 || strcmp(argv[i], "-v") == 0)
            log_set_level(LOG_DEBUG);
        else if (strcmp(argv[i], "--debug") == 0 && i + 1 < argc)
            log_set_debug(argv[++i]);
        else
            break;
    }
    return i;
}

int
main(int argc, char **argv)
{
    int first = main_options(argc, argv);

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error, not the end */
    if (first >= argc || strcmp(argv[first], "--help") == 0 ||
        strcmp(argv[first], "-h") == 0 || strcmp(argv[first], "help") == 0) {
        main_help();
        return first >= argc ? EXIT_USAGE : 0;
    }
    if (strcmp(argv[first], "--version") == 0) {
        printf("ordeal %s\n", PACKAGE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(main_commands); i++)
        if (strcmp(argv[first], main_commands[i]->name) == 0)
            return main_commands[i]->run(main_commands[i], argc - first,
                                         argv + first);
    fprintf(stderr, "ordeal: unknown %s '%s'; see 'ordeal --help'\n",
            argv[first][0] == '-' ? "option" : "command", argv[first]);
    return EXIT_USAGE;
}
