/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PEM armour is searched for by memmem; what stands around it is looked at
 * only there (RFC 7468; the OpenSSH form is the same armour).
 */
#include "config.h"

#include <ctype.h>
#include <string.h>

#include "artifacts/secrets.h"

#define SECRETS_BEGIN "-----BEGIN "
#define SECRETS_KEY "PRIVATE KEY-----"
/* "ENCRYPTED", "OPENSSH", "RSA": the longest label in use has 9. */
#define SECRETS_LABEL_MAX 24
#define SECRETS_MATERIAL_MIN 16

bool
secrets_marker(const void *data, size_t len)
{
    return memmem(data, len, "-----BEGIN", 10) != NULL ||
           memmem(data, len, "OPENSSH PRIVATE KEY", 19) != NULL;
}

/* The line's end, as it is or as JSON and C write it; NULL: none here. */
static const char *
secrets_line_end(const char *p, const char *end)
{
    static const char *const ends[] = {"\r\n", "\n", "\\r\\n", "\\n"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t len = strlen(ends[i]);

        if ((size_t)(end - p) >= len && memcmp(p, ends[i], len) == 0)
            return p + len;
    }
    return NULL;
}

static bool
secrets_material(const char *p, const char *end)
{
    if (end - p >= SECRETS_MATERIAL_MIN && memcmp(p, "Proc-Type:", 10) == 0)
        return true;
    for (int i = 0; i < SECRETS_MATERIAL_MIN; i++)
        if (p + i >= end ||
            !(isalnum((unsigned char)p[i]) || p[i] == '+' || p[i] == '/'))
            return false;
    return true;
}

/* 'p' stands behind "-----BEGIN ". */
static bool
secrets_key_at(const char *p, const char *end)
{
    for (int i = 0; i <= SECRETS_LABEL_MAX; i++, p++) {
        if ((size_t)(end - p) < strlen(SECRETS_KEY))
            return false;
        if (memcmp(p, SECRETS_KEY, strlen(SECRETS_KEY)) == 0) {
            p = secrets_line_end(p + strlen(SECRETS_KEY), end);
            return p != NULL && secrets_material(p, end);
        }
        if (!isupper((unsigned char)*p) && *p != ' ')
            return false;
    }
    return false;
}

bool
secrets_key(const void *data, size_t len)
{
    const char *p = data, *end = p + len;

    for (;;) {
        p = memmem(p, (size_t)(end - p), SECRETS_BEGIN, strlen(SECRETS_BEGIN));
        if (p == NULL)
            return false;
        p += strlen(SECRETS_BEGIN);
        if (secrets_key_at(p, end))
            return true;
    }
}
