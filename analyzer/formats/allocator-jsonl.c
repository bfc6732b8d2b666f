/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator's history, one JSON object a line:
 *
 *   {"index": 0, "time": 56551, "process": 2, "type": "invoke", "f": "reserve",
 *    "op_id": "op1", "attempt": 1, "value": {"resources": ["r2"], ...}}
 *
 * Times are microseconds; retries keep their op_id.
 */
#include "config.h"

#include "analyzer/formats/formats.h"

static unsigned
allocator_jsonl_sniff(const char *bytes, size_t len, const char *path)
{
    const char *first;
    size_t n;

    if (!op_map_begins(bytes, len, false, &first, &n) || *bytes == '[' ||
        !bytes_contain(first, n, "\"type\"") ||
        !bytes_contain(first, n, "\"op_id\""))
        return 0;
    return 80;
}

static void
allocator_jsonl_adjust(struct record *r)
{
    if (__builtin_mul_overflow(r->time_ns, 1000, &r->time_ns) || r->time_ns < 0)
        r->time_ns = -1;
}

static int
allocator_jsonl_read(struct input *in, struct record_file *ret,
                     record_sink *sink, void *arg, struct error *err)
{
    return op_map_read(in, false, sink, arg, allocator_jsonl_adjust, err);
}

const struct format_ops format_allocator_jsonl = {
    .name = "allocator-jsonl",
    .description = "an allocator's operations with op_id and attempt as JSONL",
    .sniff = allocator_jsonl_sniff,
    .read = allocator_jsonl_read,
    .model = "lease-kernel",
};
