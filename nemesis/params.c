/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: the key is there with the right type, or absent and the default
 * stays.  Failure modes: everything else is ERROR_CONFIG with key and value.
 */
#include "config.h"

#include <string.h>

#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "nemesis/params.h"

int
params_check_keys(const json_t *object, const char *const keys[],
                  struct error *err)
{
    CLEANUP(buf_release) struct buf list = {.max = 320};
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return error_set(err, ERROR_CONFIG, "not an object");
    json_object_foreach ((json_t *)object, key, value) {
        size_t i = 0;

        while (keys[i] != NULL && strcmp(keys[i], key) != 0)
            i++;
        if (keys[i] != NULL)
            continue;
        for (i = 0; keys[i] != NULL; i++)
            buf_printf(&list, "%s%s", i == 0 ? "" : ", ", keys[i]);
        return error_set(err, ERROR_CONFIG,
                         "unknown key '%.64s'" PARAMS_KEYS "%s)", key,
                         buf_text(&list));
    }
    return 0;
}

int
params_duration(const json_t *object, const char *key, int64_t *ret_ns,
                struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL)
        return 0;
    if (!json_is_string(value) ||
        !duration_parse(json_string_value(value), ret_ns))
        return error_set(err, ERROR_CONFIG, "%s: not a duration like \"1.5s\"",
                         key);
    return 0;
}

int
params_number(const json_t *object, const char *key, double min, double max,
              double *ret, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL)
        return 0;
    if (!json_is_number(value) || json_number_value(value) < min ||
        json_number_value(value) > max)
        return error_set(err, ERROR_CONFIG, "%s: not a number from %g to %g",
                         key, min, max);
    *ret = json_number_value(value);
    return 0;
}

int
params_string(const json_t *object, const char *key, const char **ret,
              struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL)
        return 0;
    if (!json_is_string(value))
        return error_set(err, ERROR_CONFIG, "%s: not a string", key);
    *ret = json_string_value(value);
    return 0;
}

int
params_choice(const json_t *object, const char *key, const char *const words[],
              unsigned *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf list = {.max = 256};
    const char *text = NULL;

    if (params_string(object, key, &text, err) < 0)
        return -1;
    if (text == NULL)
        return 0;
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret = i;
            return 0;
        }
        buf_printf(&list, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    return error_set(err, ERROR_CONFIG, "%s: '%.64s' is not one of %s", key,
                     text, buf_text(&list));
}
