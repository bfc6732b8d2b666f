/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/error.h"

int
error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    va_list ap;

    assert(err != NULL);
    assert(kind != ERROR_NONE);
    err->kind = kind;
    err->code = 0;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return -1;
}

int
error_errno(struct error *err, enum error_kind kind, int code, const char *fmt,
            ...)
{
    va_list ap;
    size_t used;

    assert(err != NULL);
    err->kind = kind;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %s",
             strerror(code));
    return -1;
}

int
error_wrap(struct error *err, const char *fmt, ...)
{
    char old[ERROR_TEXT_MAX];
    va_list ap;
    size_t used;

    assert(err != NULL);
    assert(err->kind != ERROR_NONE);
    memcpy(old, err->text, sizeof(old));
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
    return -1;
}

const char *
error_kind_name(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return "none";
    case ERROR_CONFIG:
        return "config";
    case ERROR_ENVIRONMENT:
        return "environment";
    case ERROR_TRANSIENT:
        return "transient";
    case ERROR_BUG:
        return "bug";
    }
    return "?";
}
