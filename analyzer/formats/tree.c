/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/tree.h"

bool
tree_is(const struct tree *t, const char *text)
{
    return t != NULL && (t->kind == TREE_STRING || t->kind == TREE_KEYWORD) &&
           strlen(text) == t->count && memcmp(t->text, text, t->count) == 0;
}

const struct tree *
tree_get(const struct tree *map, const char *key)
{
    if (map == NULL || map->kind != TREE_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->count; i++)
        if (tree_is(&map->items[2 * i], key))
            return &map->items[2 * i + 1];
    return NULL;
}
