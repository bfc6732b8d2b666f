/* SPDX-License-Identifier: Apache-2.0 */
/* Op maps in EDN: what Jepsen stores, what Knossos and Elle read. */
#include "config.h"

#include "analyzer/formats/formats.h"

static unsigned
jepsen_edn_sniff(const char *bytes, size_t len, const char *path)
{
    const char *first;
    size_t n;

    if (!op_map_begins(bytes, len, true, &first, &n) ||
        !bytes_contain(first, n, ":type") ||
        !bytes_contain(first, n, ":process"))
        return 0;
    return 60;
}

static int
jepsen_edn_read(struct input *in, struct record_file *ret, record_sink *sink,
                void *arg, struct error *err)
{
    return op_map_read(in, true, sink, arg, NULL, err);
}

const struct format_ops format_jepsen_edn = {
    .name = "jepsen-edn",
    .description = "op maps in EDN: Jepsen's history.edn, Knossos, Elle",
    .sniff = jepsen_edn_sniff,
    .read = jepsen_edn_read,
};
