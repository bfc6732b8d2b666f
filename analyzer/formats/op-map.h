/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jepsen's op maps: one event as a map, in EDN or JSON.
 *
 *   {:index 3, :time 17, :type :ok, :process 0, :f :read, :value 5}
 *
 * Threads: pure functions.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_OP_MAP_H
#define ORDEAL_ANALYZER_FORMATS_OP_MAP_H

#include "analyzer/formats/format.h"
#include "analyzer/formats/parse.h"

/* What we add to the maps that we write, so that nothing is lost. */
#define OP_MAP_ID "ordeal/op-id"
#define OP_MAP_ATTEMPT "ordeal/attempt"
#define OP_MAP_ATTEMPT_ONLY "ordeal/attempt-only"
#define OP_MAP_POSITION "ordeal/position" /* [term, index] */

/* Numbers above INT64_MAX are decimal text. */
bool op_map_u64(const struct tree *t, uint64_t *ret);

enum op_map_status { OP_MAP_RECORD, OP_MAP_SKIP, OP_MAP_ERROR };

/*
 * 'scratch' is for the parts of *ret that the map does not have as they are.
 * SKIP: what a nemesis says.  ERROR: 'what' says why.
 */
struct op_map_scratch {
    struct tree nil;
    char id[32], what[160];
};
enum op_map_status op_map_record(const struct tree *map,
                                 struct op_map_scratch *scratch,
                                 struct record *ret);

/* Reads all maps of the input; what jepsen-edn, jepsen-json and their like
 * are.  'adjust' (or NULL) is called for each record before it is delivered. */
int op_map_read(struct input *in, bool edn, record_sink *sink, void *arg,
                void (*adjust)(struct record *r), struct error *err);

/* Whether text begins with a map or a vector of maps; *ret_first is the first
 * map's text.  For sniffing. */
bool op_map_begins(const char *bytes, size_t len, bool edn,
                   const char **ret_first, size_t *ret_len);
/* strstr in bytes. */
bool bytes_contain(const char *bytes, size_t len, const char *what);

#endif
