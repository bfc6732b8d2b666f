/* SPDX-License-Identifier: Apache-2.0 */
/* Strict conversions: nothing is rounded, cut or guessed. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replica/json.h"

#define EXACT_INTEGER_MAX (UINT64_C(1) << 53)

json_t *
json_from_lease(struct id128 id)
{
    char text[ID128_TEXT_SIZE];

    id128_format(id, text);
    return json_string(text);
}

json_t *
json_from_id(struct id128 id)
{
    if (id.hi != 0 || id.lo > EXACT_INTEGER_MAX)
        return json_from_lease(id);
    return json_integer((json_int_t)id.lo);
}

json_t *
json_from_u64(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

bool
json_to_id(const json_t *v, struct id128 *ret)
{
    if (json_is_string(v))
        return json_string_length(v) == 32 &&
               id128_parse(json_string_value(v), ret);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *ret = (struct id128){0, (uint64_t)json_integer_value(v)};
    return true;
}

bool
text_to_u64(const char *text, uint64_t *ret)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret <= INT64_MAX;
}

bool
text_to_id(const char *text, struct id128 *ret)
{
    if (strlen(text) == 32)
        return id128_parse(text, ret);
    ret->hi = 0;
    return text_to_u64(text, &ret->lo);
}

int
json_get_id(const json_t *object, const char *key, struct id128 *ret,
            struct error *err)
{
    if (!json_to_id(json_object_get(object, key), ret))
        return error_set(err, ERROR_CONFIG, "'%s': %s", key, JSON_ID_EXPECTED);
    return 0;
}

int
json_get_u64(const json_t *object, const char *key, uint64_t *ret,
             struct error *err)
{
    const json_t *v = json_object_get(object, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return error_set(err, ERROR_CONFIG,
                         "'%s' must be an integer from 0 to 2^63-1", key);
    *ret = (uint64_t)json_integer_value(v);
    return 0;
}

int
json_check_keys(const json_t *request, const char *command,
                const char *const *known, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)request, key, value) {
        bool found = strcmp(key, "command") == 0 ||
                     strcmp(key, "operation") == 0 ||
                     strcmp(key, "client") == 0;

        for (size_t i = 0; !found && known[i] != NULL; i++)
            found = strcmp(key, known[i]) == 0;
        if (!found)
            return error_set(err, ERROR_CONFIG, "%s has no field '%.64s'",
                             command, key);
    }
    return 0;
}
