/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto makes the key; this file only writes it down the way OpenSSH's
 * PROTOCOL.key describes: magic, cipher "none", the public blob, and a private
 * section padded to 8 bytes.
 *
 * The only failure is libcrypto without random bytes or without Ed25519.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/remote/keys.h"

#define KEY_TYPE "ssh-ed25519"
#define KEY_BYTES 32
#define KEY_BLOB_BYTES_MAX 1024
#define KEY_TEXT_COLUMNS 70

static void
key_put_u32(struct buf *out, uint32_t value)
{
    unsigned char bytes[4] = {
        (unsigned char)(value >> 24), (unsigned char)(value >> 16),
        (unsigned char)(value >> 8), (unsigned char)value};

    buf_append(out, bytes, sizeof(bytes));
}

static void
key_put_string(struct buf *out, const void *data, size_t len)
{
    key_put_u32(out, (uint32_t)len);
    buf_append(out, data, len);
}

static void
key_put_text(struct buf *out, const char *text)
{
    key_put_string(out, text, strlen(text));
}

/* Wipes before it frees: these buffers held a private key. */
static void
key_buf_wipe(struct buf *b)
{
    if (b->data != NULL)
        OPENSSL_cleanse(b->data, b->cap);
    buf_release(b);
}

static char *
key_base64(const struct buf *b)
{
    char *text = xcalloc(1, 4 * ((b->len + 2) / 3) + 1);

    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)b->data,
                    (int)b->len);
    return text;
}

static void
key_put_private_section(struct buf *out, const unsigned char *secret,
                        const unsigned char *public, uint32_t check,
                        const char *comment)
{
    unsigned char both[2 * KEY_BYTES];

    memcpy(both, secret, KEY_BYTES);
    memcpy(both + KEY_BYTES, public, KEY_BYTES);
    key_put_u32(out, check);
    key_put_u32(out, check);
    key_put_text(out, KEY_TYPE);
    key_put_string(out, public, KEY_BYTES);
    key_put_string(out, both, sizeof(both));
    key_put_text(out, comment);
    for (unsigned char pad = 1; out->len % 8 != 0; pad++)
        buf_append(out, &pad, 1);
    OPENSSL_cleanse(both, sizeof(both));
}

static void
key_write(struct ssh_key *ret, const unsigned char *secret,
          const unsigned char *public, uint32_t check, const char *comment)
{
    CLEANUP(key_buf_wipe) struct buf blob = {.max = KEY_BLOB_BYTES_MAX};
    CLEANUP(key_buf_wipe) struct buf section = {.max = KEY_BLOB_BYTES_MAX};
    CLEANUP(key_buf_wipe) struct buf whole = {.max = 4 * KEY_BLOB_BYTES_MAX};
    CLEANUP(key_buf_wipe) struct buf text = {.max = 8 * KEY_BLOB_BYTES_MAX};
    char *base64;

    key_put_text(&blob, KEY_TYPE);
    key_put_string(&blob, public, KEY_BYTES);
    base64 = key_base64(&blob);
    ret->public_line = xasprintf(KEY_TYPE " %s", base64);
    free(base64);

    key_put_private_section(&section, secret, public, check, comment);
    buf_append(&whole, "openssh-key-v1", sizeof("openssh-key-v1"));
    key_put_text(&whole, "none"); /* cipher */
    key_put_text(&whole, "none"); /* key derivation */
    key_put_text(&whole, "");
    key_put_u32(&whole, 1);
    key_put_string(&whole, blob.data, blob.len);
    key_put_string(&whole, section.data, section.len);

    base64 = key_base64(&whole);
    buf_puts(&text, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (size_t i = 0, len = strlen(base64); i < len; i += KEY_TEXT_COLUMNS)
        buf_printf(&text, "%.*s\n", KEY_TEXT_COLUMNS, base64 + i);
    buf_puts(&text, "-----END OPENSSH PRIVATE KEY-----\n");
    OPENSSL_cleanse(base64, strlen(base64));
    free(base64);
    ret->private_text = xstrdup(text.data);
}

int
ssh_key_generate(struct ssh_key *ret, const char *comment, struct error *err)
{
    unsigned char secret[KEY_BYTES], public[KEY_BYTES];
    size_t secret_len = KEY_BYTES, public_len = KEY_BYTES;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    uint32_t check;
    int rc = -1;

    if (strlen(comment) > 128) {
        error_set(err, ERROR_CONFIG, "key comment '%.32s...' is too long",
                  comment);
    } else if (key == NULL ||
               EVP_PKEY_get_raw_private_key(key, secret, &secret_len) != 1 ||
               EVP_PKEY_get_raw_public_key(key, public, &public_len) != 1 ||
               RAND_bytes((unsigned char *)&check, sizeof(check)) != 1) {
        error_set(err, ERROR_ENVIRONMENT,
                  "libcrypto could not make an Ed25519 key");
    } else {
        key_write(ret, secret, public, check, comment);
        rc = 0;
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    EVP_PKEY_free(key);
    return rc;
}

void
ssh_key_release(struct ssh_key *key)
{
    if (key->private_text != NULL)
        OPENSSL_cleanse(key->private_text, strlen(key->private_text));
    free(key->private_text);
    free(key->public_line);
    key->private_text = key->public_line = NULL;
}
