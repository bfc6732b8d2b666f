/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 key pairs in OpenSSH's format, made anew for each run: one for the
 * driver, one host key per node.
 *
 * Ownership: the texts belong to the struct; the private one is wiped when it
 * is released.
 */
#ifndef ORDEAL_REMOTE_KEYS_H
#define ORDEAL_REMOTE_KEYS_H

#include "harness/base/error.h"

struct ssh_key {
    char *private_text; /* "-----BEGIN OPENSSH PRIVATE KEY-----..." */
    char *public_line;  /* "ssh-ed25519 AAAA...", no comment, no newline */
};

/* 'comment' goes into the private key only. */
int ssh_key_generate(struct ssh_key *ret, const char *comment,
                     struct error *err);
void ssh_key_release(struct ssh_key *key);

#endif
