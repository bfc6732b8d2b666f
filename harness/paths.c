/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <libgen.h>
#include <limits.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/paths.h"

char *
paths_self(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (len < 0)
        len = 0;
    path[len] = '\0';
    return xstrdup(path);
}

/* The build tree this executable stands in, or NULL.  The caller frees. */
static char *
paths_build_tree(void)
{
    CLEANUP_FREE char *self = paths_self();
    const char *dir = dirname(self);
    CLEANUP_FREE char *mark = xasprintf("%s/config.status", dir);

    return path_exists(mark) ? xstrdup(dir) : NULL;
}

char *
paths_data(const char *relative)
{
    CLEANUP_FREE char *build = paths_build_tree();

    if (build != NULL)
        return xasprintf("%s/%s", ORDEAL_SRCDIR, relative);
    return xasprintf("%s/%s", ORDEAL_DATADIR, relative);
}

char *
paths_program(const char *name)
{
    CLEANUP_FREE char *build = paths_build_tree();

    return xasprintf("%s/%s", build != NULL ? build : ORDEAL_BINDIR, name);
}
