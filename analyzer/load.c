/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a table.  Damage in the middle of a history does not end the
 * judgement: what came before it stands.
 */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "analyzer/analyzer.h"
#include "analyzer/table.h"

#define BUNDLE_HISTORY "history.ordeal"

static void
reader_free_p(struct history_reader **p)
{
    history_reader_free(*p);
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
