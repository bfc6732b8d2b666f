/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizes private keys, which never enter a bundle. */
#ifndef ORDEAL_ARTIFACTS_SECRETS_H
#define ORDEAL_ARTIFACTS_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that two successive pieces of a file must share for secrets_key. */
#define SECRETS_OVERLAP_BYTES 128

/*
 * Strict, for texts we write: the armour of a private key, complete or not.
 * (A console that prints "-----BEGIN SSH HOST KEY KEYS-----" with the public
 * keys of a guest holds no secret.)
 */
bool secrets_marker(const void *data, size_t len);

/*
 * Exact, for files that were collected: the armour of a private key with key
 * material behind it.  A core dump of a program that merely knows the words
 * (every one that links a TLS library) is evidence, not a secret.
 */
bool secrets_key(const void *data, size_t len);

#endif
