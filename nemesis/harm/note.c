/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes and leases: small files on tmpfs, replaced whole.
 *
 * Failure modes: a note that cannot be parsed is an error and not "none": what
 * it stood for may still be in force.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/file.h"
#include "nemesis/harm/harm.h"

#define NOTE_BYTES_MAX 4096

static const char *const harm_state_names[HARM_STATE_COUNT] = {
    [HARM_NONE] = "none",     [HARM_ARMED] = "armed", [HARM_ACTING] = "acting",
    [HARM_HEALED] = "healed", [HARM_FIRED] = "fired",
};

const char *
harm_state_name(enum harm_state state)
{
    return harm_state_names[state];
}

static void
harm_file(const char *name, const char *suffix, char ret[static HARM_PATH_MAX])
{
    snprintf(ret, HARM_PATH_MAX, HARM_DIR "/%s.%s", name, suffix);
}

static bool
harm_state_parse(const char *word, enum harm_state *ret)
{
    for (unsigned i = 0; i < HARM_STATE_COUNT; i++)
        if (strcmp(harm_state_names[i], word) == 0) {
            *ret = (enum harm_state)i;
            return true;
        }
    return false;
}

int
harm_note_read(const char *name, struct harm_note *ret, struct error *err)
{
    char path[HARM_PATH_MAX], state[HARM_NAME_MAX];
    struct harm_note note = {.state = HARM_NONE};
    CLEANUP_FREE char *text = NULL;

    harm_file(name, "note", path);
    if (!path_exists(path)) {
        *ret = note;
        return 0;
    }
    text = file_read(path, NOTE_BYTES_MAX, NULL, err);
    if (text == NULL)
        return -1;
    /* An empty path is written as '-'. */
    if (sscanf(text,
               "%31s %31s %" SCNd32 " %" SCNu64 " %" SCNd64 " %" SCNd64
               " %" SCNd64 " %" SCNd64 " %" SCNd64 " %511s",
               state, note.kind, &note.pid, &note.start_ticks, &note.steps,
               &note.refs[0], &note.refs[1], &note.refs[2], &note.refs[3],
               note.path) != 10 ||
        !harm_state_parse(state, &note.state))
        return error_set(err, ERROR_ENVIRONMENT, "'%s' is damaged", path);
    *ret = note;
    return 0;
}

int
harm_note_write(const char *name, const struct harm_note *note,
                struct error *err)
{
    char path[HARM_PATH_MAX], text[NOTE_BYTES_MAX];
    int len;

    harm_file(name, "note", path);
    len = snprintf(text, sizeof(text),
                   "%s %s %" PRId32 " %" PRIu64 " %" PRId64 " %" PRId64
                   " %" PRId64 " %" PRId64 " %" PRId64 " %s\n",
                   harm_state_name(note->state), note->kind, note->pid,
                   note->start_ticks, note->steps, note->refs[0], note->refs[1],
                   note->refs[2], note->refs[3],
                   note->path[0] == '\0' ? "-" : note->path);
    if (mkdir(HARM_DIR, 0700) < 0 && !path_exists(HARM_DIR))
        return error_set(err, ERROR_ENVIRONMENT, "no directory '%s'", HARM_DIR);
    return file_write_atomic(path, text, (size_t)len, 0600, err);
}

int64_t
harm_lease_read(const char *name)
{
    char path[HARM_PATH_MAX];
    struct error ignored = {0};
    CLEANUP_FREE char *text = NULL;

    harm_file(name, "lease", path);
    text = file_read(path, 64, NULL, &ignored);
    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

int
harm_lease_write(const char *name, int64_t end_s, struct error *err)
{
    char path[HARM_PATH_MAX], text[32];
    int len = snprintf(text, sizeof(text), "%" PRId64 "\n", end_s);

    harm_file(name, "lease", path);
    return file_write_atomic(path, text, (size_t)len, 0600, err);
}

uint64_t
harm_start_ticks(int32_t pid)
{
    struct error ignored = {0};
    CLEANUP_FREE char *text = NULL;
    char path[64], *p;

    snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", pid);
    text = file_read(path, NOTE_BYTES_MAX, NULL, &ignored);
    p = text == NULL ? NULL : strrchr(text, ')');
    /* The state is field 3. */
    if (p == NULL || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    p++;
    for (int field = 3; field < 22; field++) {
        p += strspn(p, " ");
        p += strcspn(p, " ");
    }
    return strtoull(p, NULL, 10);
}
