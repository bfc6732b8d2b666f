/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are read into the window directly, or, when they are compressed,
 * unpacked into it from a second buffer.  Several gzip members or zstd frames
 * one after the other are one file, as their formats say.
 *
 * Failure modes: compressed data that is damaged or cut short, and bytes behind
 * it, are errors: a history that silently ends early would be judged.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "analyzer/formats/input.h"
#include "harness/base/arena.h"
#include "harness/base/file.h"

#define INPUT_FIRST_BYTES ((size_t)128 << 10)
#define INPUT_RAW_BYTES ((size_t)64 << 10)

enum packing { PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

struct input {
    char *path;
    int fd; /* -1: a directory */
    bool directory, regular;
    enum packing packing;
    /* The window is [start, end) of buf, which has room for a NUL more. */
    char *buf;
    size_t start, end, cap;
    uint64_t line;
    bool ended;
    /* Compressed bytes not unpacked yet. */
    unsigned char *raw;
    size_t raw_at, raw_len;
    bool raw_ended, between; /* members or frames */
    z_stream *zlib;
    ZSTD_DStream *zstd;
};

const char *
input_path(const struct input *in)
{
    return in->path;
}

bool
input_is_directory(const struct input *in)
{
    return in->directory;
}

bool
input_is_plain_file(const struct input *in)
{
    return in->regular && in->packing == PACKING_NONE;
}

uint64_t
input_line_number(const struct input *in)
{
    return in->line;
}

char *
input_window(const struct input *in, size_t *ret_len)
{
    *ret_len = in->end - in->start;
    return in->buf + in->start;
}

int
input_error(const struct input *in, uint64_t line, struct error *err,
            const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, ERROR_CONFIG, "%s:%llu: %s", in->path,
                     (unsigned long long)line, text);
}

/* ---- bytes from outside ---- */

static int
input_read(struct input *in, void *buf, size_t size, size_t *ret,
           struct error *err)
{
    ssize_t n;

    do
        n = read(in->fd, buf, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", in->path);
    *ret = (size_t)n;
    return 0;
}

static int
raw_fill(struct input *in, struct error *err)
{
    if (in->raw_at < in->raw_len || in->raw_ended)
        return 0;
    in->raw_at = 0;
    if (input_read(in, in->raw, INPUT_RAW_BYTES, &in->raw_len, err) < 0)
        return -1;
    in->raw_ended = in->raw_len == 0;
    return 0;
}

static int
unpack_gzip(struct input *in, char *to, size_t size, size_t *ret,
            struct error *err)
{
    z_stream *z = in->zlib;
    int status;

    if (in->between) {
        if (inflateReset(z) != Z_OK)
            return error_set(err, ERROR_BUG, "%s: zlib reset", in->path);
        in->between = false;
    }
    z->next_in = in->raw + in->raw_at;
    z->avail_in = (uInt)(in->raw_len - in->raw_at);
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)(size > UINT32_MAX / 2 ? UINT32_MAX / 2 : size);
    *ret = z->avail_out;
    status = inflate(z, Z_NO_FLUSH);
    in->raw_at = in->raw_len - z->avail_in;
    *ret -= z->avail_out;
    in->between = status == Z_STREAM_END;
    if (status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR)
        return 0;
    return error_set(err, ERROR_CONFIG, "%s: damaged gzip data%s%s", in->path,
                     z->msg == NULL ? "" : ": ", z->msg == NULL ? "" : z->msg);
}

static int
unpack_zstd(struct input *in, char *to, size_t size, size_t *ret,
            struct error *err)
{
    ZSTD_inBuffer from = {in->raw, in->raw_len, in->raw_at};
    ZSTD_outBuffer out = {to, size, 0};
    size_t n = ZSTD_decompressStream(in->zstd, &out, &from);

    if (ZSTD_isError(n))
        return error_set(err, ERROR_CONFIG, "%s: damaged zstd data: %s",
                         in->path, ZSTD_getErrorName(n));
    in->raw_at = from.pos;
    *ret = out.pos;
    in->between = n == 0;
    return 0;
}

/* *ret 0: the end. */
static int
input_unpack(struct input *in, char *to, size_t size, size_t *ret,
             struct error *err)
{
    for (;;) {
        size_t before;
        int status;

        if (raw_fill(in, err) < 0)
            return -1;
        if (in->raw_ended && in->between) {
            *ret = 0;
            return 0;
        }
        before = in->raw_at;
        status = in->packing == PACKING_GZIP
                     ? unpack_gzip(in, to, size, ret, err)
                     : unpack_zstd(in, to, size, ret, err);
        if (status < 0 || *ret > 0)
            return status;
        if (in->raw_ended && in->raw_at == before && !in->between)
            return error_set(err, ERROR_CONFIG,
                             "%s: the compressed data is cut short", in->path);
    }
}

/* Room behind the window: moved to the front, or a larger buffer. */
static int
input_room(struct input *in, struct error *err)
{
    if (in->start > 0 && in->end - in->start <= in->cap / 2) {
        memmove(in->buf, in->buf + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    if (in->end < in->cap)
        return 0;
    if (in->start > 0) {
        memmove(in->buf, in->buf + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
        return 0;
    }
    if (in->cap >= INPUT_WINDOW_MAX)
        return input_error(in, in->line, err,
                           "a line or record of more than %zu bytes",
                           INPUT_WINDOW_MAX);
    in->cap *= 2;
    in->buf = xrealloc(in->buf, in->cap + 1);
    return 0;
}

int
input_more(struct input *in, struct error *err)
{
    size_t n = 0;
    int status;

    if (in->ended)
        return 0;
    if (input_room(in, err) < 0)
        return -1;
    if (in->packing == PACKING_NONE)
        status = input_read(in, in->buf + in->end, in->cap - in->end, &n, err);
    else
        status =
            input_unpack(in, in->buf + in->end, in->cap - in->end, &n, err);
    if (status < 0)
        return -1;
    in->end += n;
    in->buf[in->end] = '\0';
    in->ended = n == 0;
    return n > 0;
}

/* ---- moving on ---- */

void
input_skip(struct input *in, size_t len)
{
    const char *p = in->buf + in->start, *end = p + len;

    assert(len <= in->end - in->start);
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        in->line++;
        p++;
    }
    in->start += len;
}

int
input_line(struct input *in, char **ret, size_t *ret_len, uint64_t *ret_number,
           struct error *err)
{
    size_t seen = 0, len;
    char *end = NULL;

    for (;;) {
        int status;

        len = in->end - in->start;
        end = len == seen
                  ? NULL
                  : memchr(in->buf + in->start + seen, '\n', len - seen);
        if (end != NULL)
            break;
        seen = len;
        status = input_more(in, err);
        if (status < 0)
            return -1;
        if (status == 0)
            break;
    }
    if (end == NULL && len == 0)
        return 0;
    *ret = in->buf + in->start;
    *ret_number = in->line;
    if (end != NULL) {
        len = (size_t)(end - *ret);
        in->line++;
    }
    in->start += len + (end != NULL);
    if (len > 0 && (*ret)[len - 1] == '\r')
        len--;
    (*ret)[len] = '\0';
    *ret_len = len;
    return 1;
}

int
input_copy(struct input *in, int fd, struct error *err)
{
    for (;;) {
        size_t len;
        char *p = input_window(in, &len);
        int status;

        if (len > 0 && file_write_all(fd, p, len) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno,
                               "%s: unpacking it to a temporary file",
                               in->path);
        in->start = in->end;
        status = input_more(in, err);
        if (status <= 0)
            return status;
    }
}

/* ---- life ---- */

/* The first bytes tell; they become the raw ones when they are compressed. */
static int
input_begin(struct input *in, struct error *err)
{
    const unsigned char *p = (const unsigned char *)in->buf;
    size_t n = 0;

    while (in->end < 4) {
        if (input_read(in, in->buf + in->end, INPUT_RAW_BYTES - in->end, &n,
                       err) < 0)
            return -1;
        if (n == 0)
            break;
        in->end += n;
    }
    in->buf[in->end] = '\0';
    if (in->end >= 3 && memcmp(p, "\x1f\x8b\x08", 3) == 0)
        in->packing = PACKING_GZIP;
    else if (in->end >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
        in->packing = PACKING_ZSTD;
    else
        return 0;
    in->raw = xcalloc(1, INPUT_RAW_BYTES);
    memcpy(in->raw, in->buf, in->end);
    in->raw_len = in->end;
    in->end = 0;
    if (in->packing == PACKING_GZIP) {
        in->zlib = xcalloc(1, sizeof(*in->zlib));
        if (inflateInit2(in->zlib, 15 + 16) != Z_OK)
            return error_set(err, ERROR_ENVIRONMENT, "%s: zlib: no memory",
                             in->path);
    } else {
        in->zstd = ZSTD_createDStream();
        if (in->zstd == NULL)
            return error_set(err, ERROR_ENVIRONMENT, "%s: zstd: no memory",
                             in->path);
    }
    return 0;
}

static int
input_begin_file(struct input *in, struct error *err)
{
    struct stat st;

    in->fd = strcmp(in->path, "-") == 0
                 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                 : open(in->path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &st) < 0)
        return error_errno(err, ERROR_CONFIG, errno, "%s", in->path);
    in->directory = S_ISDIR(st.st_mode);
    in->regular = S_ISREG(st.st_mode) && strcmp(in->path, "-") != 0;
    in->ended = in->directory;
    return in->directory ? 0 : input_begin(in, err);
}

struct input *
input_open(const char *path, struct error *err)
{
    struct input *in = xcalloc(1, sizeof(*in));

    in->path = xstrdup(path);
    in->line = 1;
    in->cap = INPUT_FIRST_BYTES;
    in->buf = xrealloc(NULL, in->cap + 1);
    in->buf[0] = '\0';
    if (input_begin_file(in, err) < 0) {
        input_close(in);
        return NULL;
    }
    return in;
}

void
input_close(struct input *in)
{
    if (in == NULL)
        return;
    if (in->fd >= 0)
        close(in->fd);
    if (in->zlib != NULL)
        inflateEnd(in->zlib);
    free(in->zlib);
    ZSTD_freeDStream(in->zstd);
    free(in->raw);
    free(in->buf);
    free(in->path);
    free(in);
}

void
input_close_p(struct input **in)
{
    input_close(*in);
}
