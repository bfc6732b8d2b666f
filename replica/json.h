/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and ids in the JSON of the client API (docs/REPLICA-API.md). */
#ifndef ORDEAL_REPLICA_JSON_H
#define ORDEAL_REPLICA_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/base/error.h"
#include "harness/base/id128.h"

#define JSON_ID_EXPECTED                                                       \
    "an id is an integer from 0 to 2^63-1 or a string of 32 hex digits"

/* A lease: always 32 hex digits. */
json_t *json_from_lease(struct id128 id);
/* A resource or holder: an integer up to 2^53, else 32 hex digits. */
json_t *json_from_id(struct id128 id);
/* Values above 2^63-1 read as 2^63-1; no slot or index gets there. */
json_t *json_from_u64(uint64_t v);

bool json_to_id(const json_t *v, struct id128 *ret);

/* The text form in a URL: decimal digits or 32 hex digits. */
bool text_to_id(const char *text, struct id128 *ret);
bool text_to_u64(const char *text, uint64_t *ret);

/* Fields of a request; CONFIG errors name the field. */
int json_get_id(const json_t *object, const char *key, struct id128 *ret,
                struct error *err);
int json_get_u64(const json_t *object, const char *key, uint64_t *ret,
                 struct error *err);

/* A request has no other fields than command, operation, client and 'known'. */
int json_check_keys(const json_t *request, const char *command,
                    const char *const *known, struct error *err);

#endif
