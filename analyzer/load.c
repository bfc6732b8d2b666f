/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a table.  Damage in the middle of a history does not end the
 * judgement: what came before it stands.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/analyzer.h"
#include "analyzer/table.h"
#include "harness/base/history-format.h"

#define BUNDLE_HISTORY "history.ordeal"

static void
reader_free_p(struct history_reader **p)
{
    history_reader_free(*p);
}

/* The beginning of a history of ours, binary or JSONL. */
static bool
load_is_ours(const char *path)
{
    static const char text[] = "{\"ordeal-history\"";
    char begin[sizeof(text) - 1] = {0};
    FILE *file = fopen(path, "re");
    size_t len;

    if (file == NULL)
        return false;
    len = fread(begin, 1, sizeof(begin), file);
    fclose(file);
    return (len >= HISTORY_MAGIC_BYTES &&
            memcmp(begin, HISTORY_MAGIC, HISTORY_MAGIC_BYTES) == 0) ||
           (len == sizeof(begin) && memcmp(begin, text, len) == 0);
}

/* Models that have domain checkers, of runs: their fields are known. */
static bool
load_is_engine(const char *model)
{
    static const char *const models[] = {"quota", "pool", "block"};

    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (strcmp(models[i], model) == 0)
            return true;
    return false;
}

bool
analyzer_is_domain(const char *path)
{
    CLEANUP(reader_free_p) struct history_reader *reader = NULL;
    CLEANUP_FREE char *inside = NULL;
    struct error ignored;
    struct stat st;
    const char *model;

    if (strcmp(path, "-") == 0)
        return false;
    if (stat(path, &st) < 0)
        return true; /* whose error is the better one */
    if (S_ISDIR(st.st_mode)) {
        inside = xasprintf("%s/%s", path, BUNDLE_HISTORY);
        path = inside;
    }
    if (!load_is_ours(path))
        return inside != NULL;
    reader = history_reader_open(path, &ignored);
    if (reader == NULL)
        return true;
    model = json_string_value(
        json_object_get(history_reader_meta(reader), "model"));
    return model == NULL || strcmp(model, "allocator") == 0 ||
           (json_object_get(history_reader_meta(reader), "scenario") != NULL &&
            load_is_engine(model));
}

int
analyzer_load(const char *path, struct table **ret, struct error *err)
{
    CLEANUP(reader_free_p) struct history_reader *reader = NULL;
    CLEANUP_FREE char *inside = NULL;
    struct error damage = {0};
    struct event event;
    struct table *t;
    struct stat st;
    int got;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        inside = xasprintf("%s/%s", path, BUNDLE_HISTORY);
        path = inside;
    }
    reader = history_reader_open(path, err);
    if (reader == NULL)
        return -1;
    t = table_new(history_reader_meta(reader));
    while ((got = history_next(reader, &event, &damage)) == 1)
        table_add(t, &event);
    table_finish(t, history_reader_sealed(reader),
                 history_reader_dropped_bytes(reader),
                 got < 0 ? damage.text : NULL);
    *ret = t;
    return 0;
}
