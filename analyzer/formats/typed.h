/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records and the events of our own histories: the one as the other.
 *
 * An event's fields are the record's value, a map.  Fields of these names stand
 * for something else, so that records of any format fit into our histories and
 * come back the same:
 *
 *   value            alone: the value is no map, but this
 *   edn              alone: the value as EDN text, when fields cannot hold it
 *   key, edn-key     the record's key
 *   edn-error        an error that is no text
 *   operation-id     an operation id that is not 32 hex digits
 *   refused          true: FAIL tells of the system's state (a failed
 *                    compare-and-set); in our own histories it tells nothing
 *
 * Ids (128 bits) are integers when they fit, else keywords of "#" and 32 hex
 * digits.
 *
 * Threads: pure functions.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_TYPED_H
#define ORDEAL_ANALYZER_FORMATS_TYPED_H

#include "analyzer/formats/format.h"
#include "analyzer/formats/parse.h"
#include "harness/base/history.h"

/* What a record takes from the fields; trees live in 'ps'. */
struct typed {
    struct tree value, key, error;
    char id[ID128_TEXT_SIZE];
};

/* False: no client's event (a fault, a note).  -1 and 'what': malformed. */
enum typed_status { TYPED_RECORD, TYPED_SKIP, TYPED_ERROR };

/* Names and values of an event's fields as a map in 'ps' become the record's
 * value and the rest; 'r' has its type already. */
enum typed_status typed_fields(struct parse *ps, const struct tree *fields,
                               struct typed *t, struct record *r);
/* An id as a tree. */
struct tree typed_id(struct parse *ps, struct id128 id);

/* The other way.  'a' holds what the event points to; 'e' is zeroed. */
int typed_event(struct arena *a, const struct record *r, struct event *ret,
                struct error *err);

/* The names that models have, for the meta's "model": NULL: none. */
const char *typed_model(const char *name);

#endif
