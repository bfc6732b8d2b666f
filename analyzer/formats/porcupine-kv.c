/* SPDX-License-Identifier: Apache-2.0 */
/* Porcupine's KV histories: op maps in EDN with :key beside :value. */
#include "config.h"

#include "analyzer/formats/formats.h"

static unsigned
porcupine_kv_sniff(const char *bytes, size_t len, const char *path)
{
    const char *first;
    size_t n;

    if (!op_map_begins(bytes, len, true, &first, &n) || *bytes == '[' ||
        !bytes_contain(first, n, ":type") ||
        !bytes_contain(first, n, ":key \""))
        return 0;
    return 80;
}

static int
porcupine_kv_read(struct input *in, struct record_file *ret, record_sink *sink,
                  void *arg, struct error *err)
{
    return op_map_read(in, true, sink, arg, NULL, err);
}

const struct format_ops format_porcupine_kv = {
    .name = "porcupine-kv",
    .description = "EDN op maps with :key: Porcupine's get, put, append",
    .sniff = porcupine_kv_sniff,
    .read = porcupine_kv_read,
    .model = "kv",
};
