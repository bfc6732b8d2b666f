/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"
#include "harness/base/buf.h"

const struct format_ops *const format_registry[] = {
    &format_ordeal,
    &format_ordeal_jsonl,
    &format_jepsen_edn,
    &format_jepsen_json,
    &format_porcupine_etcd,
    &format_porcupine_kv,
    &format_limo,
    &format_allocator_jsonl,
    &format_register_tsv,
    &format_allocdb,
    NULL,
};

const struct format_ops *
format_find(const char *name)
{
    for (unsigned i = 0; format_registry[i] != NULL; i++)
        if (strcmp(format_registry[i]->name, name) == 0)
            return format_registry[i];
    return NULL;
}

static int
no_format(const char *path, const char *what, struct error *err)
{
    struct buf names;

    buf_init(&names, ERROR_TEXT_MAX);
    for (unsigned i = 0; format_registry[i] != NULL; i++)
        buf_printf(&names, " %s", format_registry[i]->name);
    error_set(err, ERROR_CONFIG, "%s: %s; --from names the format:%s", path,
              what, buf_text(&names));
    buf_release(&names);
    return -1;
}

/* The surest one; NULL with err. */
static const struct format_ops *
format_guess(struct input *in, struct error *err)
{
    const struct format_ops *best = NULL;
    unsigned sure = 0;
    char *bytes;
    size_t len;

    for (;;) {
        int more;

        bytes = input_window(in, &len);
        if (len >= FORMAT_SNIFF_SIZE)
            break;
        more = input_more(in, err);
        if (more < 0)
            return NULL;
        if (more == 0)
            break;
    }
    bytes = input_window(in, &len);
    if (len > FORMAT_SNIFF_SIZE)
        len = FORMAT_SNIFF_SIZE;
    for (unsigned i = 0; format_registry[i] != NULL; i++) {
        unsigned is = format_registry[i]->sniff(bytes, len, input_path(in));

        if (is > sure) {
            sure = is;
            best = format_registry[i];
        }
    }
    if (best == NULL)
        no_format(input_path(in),
                  len == 0 ? "is empty: nothing says what it is"
                           : "looks like no format known here",
                  err);
    return best;
}

struct delivery {
    const char *path;
    struct record_file *file;
    record_sink *sink;
    void *arg;
};

/* Sinks know lines, not files. */
static int
deliver(void *arg, const struct record *r, struct error *err)
{
    struct delivery *d = arg;
    struct error own;

    d->file->event_count++;
    if (d->sink(d->arg, r, err) == 0)
        return 0;
    own = *err;
    return error_set(err, own.kind, "%s:%s", d->path, own.text);
}

int
format_read(const char *path, const char *from,
            const struct format_ops **ret_format, struct record_file *ret,
            record_sink *sink, void *arg, struct error *err)
{
    CLEANUP(input_close_p) struct input *in = NULL;
    const struct format_ops *format;
    struct record_file file = {0};
    struct delivery d = {.path = path, .file = &file, .sink = sink, .arg = arg};
    int status;

    if (from != NULL && format_find(from) == NULL)
        return error_set(err, ERROR_CONFIG, "there is no format '%s'", from);
    in = input_open(path, err);
    if (in == NULL)
        return -1;
    format = from != NULL ? format_find(from) : format_guess(in, err);
    if (format == NULL)
        return -1;
    status = format->read(in, &file, deliver, &d, err);
    if (file.model == NULL)
        file.model = format->model;
    *ret_format = format;
    *ret = file;
    return status;
}
