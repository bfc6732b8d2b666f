/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: docs/CERTIFICATE.md.  Orders are written as they go, so that
 * one of ten million calls needs no more memory than it has already.
 *
 * Failure modes: the history cannot be read again, or the file not be written.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/words.h"

#define CERTIFICATE_VERSION 1
#define READ_BYTES 65536
/* So that lines of an order are fit for an editor. */
#define NUMBERS_A_LINE 20

static void
digest_free(EVP_MD_CTX **md)
{
    EVP_MD_CTX_free(*md);
}

static void
digest_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Of the file's bytes as they are, packed or not. */
static int
file_digest(const char *path, char ret[2 * EVP_MAX_MD_SIZE + 1],
            uint64_t *ret_bytes, struct error *err)
{
    CLEANUP(digest_free) EVP_MD_CTX *md = EVP_MD_CTX_new();
    CLEANUP(digest_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE unsigned char *bytes = xcalloc(1, READ_BYTES);
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ssize_t n;

    if (fd < 0)
        return error_errno(err, ERROR_CONFIG, errno, "%s", path);
    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        return error_set(err, ERROR_ENVIRONMENT, "no SHA-256");
    *ret_bytes = 0;
    while ((n = read(fd, bytes, READ_BYTES)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_CONFIG, errno, "%s", path);
        EVP_DigestUpdate(md, bytes, (size_t)n);
        *ret_bytes += (uint64_t)n;
    }
    EVP_DigestFinal_ex(md, sum, &len);
    for (unsigned i = 0; i < len; i++) {
        ret[2 * i] = "0123456789abcdef"[sum[i] >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
    }
    ret[2 * len] = '\0';
    return 0;
}

static void
put_string(FILE *out, const char *text)
{
    json_t *s = json_string(text);
    char *dumped = s == NULL ? NULL : json_dumps(s, JSON_ENCODE_ANY);

    /* What is no UTF-8 is no part of a proof. */
    fputs(dumped == NULL ? "\"\"" : dumped, out);
    free(dumped);
    json_decref(s);
}

/* Whether each call's first invocation has a line of its own. */
static bool
lines_name_calls(const struct calls *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->line[i] == 0 || (i > 0 && c->line[i] <= c->line[i - 1]))
            return false;
    return true;
}

static void
put_numbers(FILE *out, const struct calls *c, bool lines, const char *name,
            const uint32_t *calls, uint32_t count)
{
    fprintf(out, ",\n \"%s\": [", name);
    for (uint32_t i = 0; i < count; i++) {
        const char *before = i == 0                    ? ""
                             : i % NUMBERS_A_LINE == 0 ? ",\n  "
                                                       : ",";

        fprintf(out, "%s%" PRIu32, before,
                lines ? c->line[calls[i]] : c->invoke[calls[i]]);
    }
    fputs("]", out);
}

static void
put_core(FILE *out, const struct calls *c, bool lines, const struct decision *d)
{
    uint32_t *part = xcalloc((size_t)d->core_count + 1, sizeof(*part));

    for (int firm = 1; firm >= 0; firm--) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < d->core_count; i++)
            if (words_firm(d, i) == firm)
                part[n++] = d->core[i];
        put_numbers(out, c, lines, firm ? "contradict" : "context", part, n);
    }
    free(part);
    if (c->model->step != NULL || d->edge_count == 0)
        return;
    fputs(",\n \"cycle\": [", out);
    for (uint32_t i = 0; i < d->edge_count; i++) {
        const struct edge *e = &d->edges[i];

        fprintf(out, "%s[%" PRIu32 ",%" PRIu32 ",\"%s\"]", i == 0 ? "" : ",",
                lines ? c->line[e->from] : c->invoke[e->from],
                lines ? c->line[e->to] : c->invoke[e->to],
                edge_kind_name(e->kind));
    }
    fputs("]", out);
}

static void
put_verdict(FILE *out, const struct calls *c, const struct check_result *r)
{
    const struct decision *d = &r->decision;
    bool lines = lines_name_calls(c);

    fprintf(out, ",\n \"names\": \"%s\",\n \"verdict\": \"%s\"",
            lines ? "line" : "event", verdict_name(r->verdict));
    if (r->verdict == VERDICT_UNKNOWN) {
        fputs(",\n \"reason\": ", out);
        put_string(out, d->reason);
    } else if (r->verdict == VERDICT_VALID) {
        if (r->order != NULL)
            put_numbers(out, c, lines, "order", r->order, r->order_count);
    } else {
        fputs(",\n \"headline\": ", out);
        put_string(out, d->headline);
        if (c->contradiction != NULL)
            fprintf(out, ",\n \"answers\": [%" PRIu32 ",%" PRIu32 "]",
                    c->contradiction_lines[0], c->contradiction_lines[1]);
        else
            put_core(out, c, lines, d);
    }
}

int
explain_certificate(const struct calls *c, const struct check_result *r,
                    const char *history, FILE *out, struct error *err)
{
    char sum[2 * EVP_MAX_MD_SIZE + 1], initial[512];
    uint64_t bytes = 0;

    if (file_digest(history, sum, &bytes, err) < 0)
        return error_wrap(err, "certificate");
    fprintf(out,
            "{\"ordeal-certificate\": %d,\n \"history\": {\"sha256\": \"%s\", "
            "\"bytes\": %" PRIu64 "},\n \"model\": ",
            CERTIFICATE_VERSION, sum, bytes);
    put_string(out, c->model->name);
    fprintf(out, ",\n \"semantics\": \"%s\"", c->strict ? "strict" : "knossos");
    /* Models that take none keep notes of their own there. */
    if (c->initial != VALUE_ABSENT && c->model->initial != NULL) {
        fputs(",\n \"initial\": ", out);
        put_string(out, value_print(c, c->initial, initial, sizeof(initial)));
    }
    put_verdict(out, c, r);
    fputs("}\n", out);
    if (fflush(out) != 0 || ferror(out))
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "certificate: it cannot be written");
    return 0;
}
