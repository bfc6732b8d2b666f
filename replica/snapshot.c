/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both the file and the image end with a CRC-32C over all before it, so a
 * reader judges length and contents with one check, then the fields.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "replica/bytes.h"
#include "replica/snapshot.h"

#define IMAGE_MAGIC UINT64_C(0x00014d494d44524f) /* "ORDMIM\1\0" */
#define FILE_MAGIC UINT64_C(0x00014e534d44524f)  /* "ORDMSN\1\0" */
#define IMAGE_VERSION 1u
#define FILE_VERSION 1u
#define FILE_HEADER_BYTES 20u

static void
write_name(struct buf *out, const char *name, size_t size)
{
    char field[64] = {0};

    assert(size <= sizeof(field) && strlen(name) < size);
    memcpy(field, name, strlen(name));
    buf_append(out, field, size);
}

static void
write_crc(struct buf *out)
{
    assert(!out->truncated);
    write_u32(out, crc32c(0, out->data, out->len));
}

static bool
crc_ok(const uint8_t *p, size_t len)
{
    return len >= 4 && get_u32(p + len - 4) == crc32c(0, p, len - 4);
}

void
snapshot_image_build(const struct snapshot_info *info, struct buf *out)
{
    write_u64(out, IMAGE_MAGIC);
    write_u32(out, IMAGE_VERSION);
    write_u64(out, info->position.view);
    write_u64(out, info->position.index);
    write_u64(out, info->chain);
    write_name(out, info->cluster, sizeof(info->cluster));
    write_name(out, info->engine, sizeof(info->engine));
    write_u64(out, info->state_length);
    buf_append(out, info->state, info->state_length);
    write_crc(out);
}

static bool
read_name(struct bytes_reader *r, char *ret, size_t size)
{
    const uint8_t *p = read_bytes(r, size);

    if (p == NULL || p[size - 1] != '\0')
        return false;
    memcpy(ret, p, size);
    return true;
}

int
snapshot_image_parse(const void *image, size_t len, struct snapshot_info *ret,
                     struct error *err)
{
    struct bytes_reader r = bytes_reader(image, len);
    uint32_t version;

    if (!crc_ok(image, len))
        return error_set(err, ERROR_CONFIG,
                         "snapshot image: bad checksum over %zu bytes", len);
    if (read_u64(&r) != IMAGE_MAGIC)
        return error_set(err, ERROR_CONFIG, "snapshot image: bad magic");
    version = read_u32(&r);
    if (version != IMAGE_VERSION)
        return error_set(err, ERROR_CONFIG,
                         "snapshot image: has version %u, this program reads "
                         "%u",
                         version, IMAGE_VERSION);
    ret->position.view = read_u64(&r);
    ret->position.index = read_u64(&r);
    ret->chain = read_u64(&r);
    if (!read_name(&r, ret->cluster, sizeof(ret->cluster)) ||
        !read_name(&r, ret->engine, sizeof(ret->engine)))
        return error_set(err, ERROR_CONFIG, "snapshot image: bad name");
    ret->state_length = read_u64(&r);
    ret->state = read_bytes(&r, ret->state_length);
    read_u32(&r);
    if (!bytes_done(&r) || ret->position.index == 0)
        return error_set(err, ERROR_CONFIG, "snapshot image: malformed");
    return 0;
}

int
snapshot_store(const char *dir, uint64_t generation, const void *image,
               size_t len, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/snapshot", dir);
    struct buf file;
    int rc;

    assert(len <= SNAPSHOT_BYTES_MAX);
    buf_init(&file, SNAPSHOT_BYTES_MAX + 64);
    write_u64(&file, FILE_MAGIC);
    write_u32(&file, FILE_VERSION);
    write_u64(&file, generation);
    buf_append(&file, image, len);
    write_crc(&file);
    rc = file_write_atomic(path, file.data, file.len, 0600, err);
    buf_release(&file);
    return rc;
}

int
snapshot_read(const char *dir, uint64_t *ret_generation, char **ret_image,
              size_t *ret_len, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/snapshot", dir);
    CLEANUP_FREE char *file = NULL;
    const uint8_t *p;
    size_t len;

    if (!path_exists(path))
        return 0;
    file = file_read(path, SNAPSHOT_BYTES_MAX + 64, &len, err);
    if (file == NULL)
        return -1;
    p = (const uint8_t *)file;
    if (len < FILE_HEADER_BYTES + 4 || get_u64(p) != FILE_MAGIC)
        return error_set(err, ERROR_CONFIG, "%s: bad header at byte 0", path);
    if (get_u32(p + 8) != FILE_VERSION)
        return error_set(err, ERROR_CONFIG,
                         "%s: has version %u, this program reads %u", path,
                         get_u32(p + 8), FILE_VERSION);
    if (!crc_ok(p, len))
        return error_set(err, ERROR_CONFIG,
                         "%s: bad checksum over bytes 0 to %zu", path, len);
    *ret_generation = get_u64(p + 12);
    *ret_len = len - FILE_HEADER_BYTES - 4;
    *ret_image = xcalloc(1, *ret_len + 1);
    memcpy(*ret_image, p + FILE_HEADER_BYTES, *ret_len);
    return 1;
}
