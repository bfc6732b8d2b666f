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
#define SECRETS_OPENSSH "OPENSSH PRIVATE KEY"
/* "ENCRYPTED", "OPENSSH", "RSA": the longest label in use has 9. */
#define SECRETS_LABEL_MAX 24
#define SECRETS_MATERIAL_MIN 16

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

/* 'p' stands behind "-----BEGIN ".  What follows the armour, or NULL. */
static const char *
secrets_armour_end(const char *p, const char *end)
{
    for (int i = 0; i <= SECRETS_LABEL_MAX; i++, p++) {
        if ((size_t)(end - p) < strlen(SECRETS_KEY))
            return NULL;
        if (memcmp(p, SECRETS_KEY, strlen(SECRETS_KEY)) == 0)
            return p + strlen(SECRETS_KEY);
        if (!isupper((unsigned char)*p) && *p != ' ')
            return NULL;
    }
    return NULL;
}

/* Whether there is armour; with 'material', armour with a key behind it. */
static bool
secrets_find(const void *data, size_t len, bool material)
{
    const char *p = data, *end = p + len, *body;

    for (;;) {
        p = memmem(p, (size_t)(end - p), SECRETS_BEGIN, strlen(SECRETS_BEGIN));
        if (p == NULL)
            return false;
        p += strlen(SECRETS_BEGIN);
        body = secrets_armour_end(p, end);
        if (body != NULL && !material)
            return true;
        if (body != NULL)
            body = secrets_line_end(body, end);
        if (body != NULL && secrets_material(body, end))
            return true;
    }
}

bool
secrets_marker(const void *data, size_t len)
{
    return secrets_find(data, len, false) ||
           memmem(data, len, SECRETS_OPENSSH, strlen(SECRETS_OPENSSH)) != NULL;
}

bool
secrets_key(const void *data, size_t len)
{
    return secrets_find(data, len, true);
}
