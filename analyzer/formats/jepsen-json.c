/* SPDX-License-Identifier: Apache-2.0 */
/* Op maps in JSON: an array of them, or one after the other. */
#include "config.h"

#include "analyzer/formats/formats.h"

static unsigned
jepsen_json_sniff(const char *bytes, size_t len, const char *path)
{
    const char *first;
    size_t n;

    if (!op_map_begins(bytes, len, false, &first, &n) ||
        !bytes_contain(first, n, "\"type\"") ||
        !bytes_contain(first, n, "\"process\""))
        return 0;
    return 60;
}

static int
jepsen_json_read(struct input *in, struct record_file *ret, record_sink *sink,
                 void *arg, struct error *err)
{
    return op_map_read(in, false, sink, arg, NULL, err);
}

const struct format_ops format_jepsen_json = {
    .name = "jepsen-json",
    .description = "op maps in JSON, an array or one a line: Elle, elle-cli",
    .sniff = jepsen_json_sniff,
    .read = jepsen_json_read,
};
