/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed fields, fixed length, CRC-32C at the end. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "replica/bytes.h"
#include "replica/meta.h"

#define META_MAGIC UINT64_C(0x0001544d4d44524f) /* "ORDMMT\1\0" */
#define META_VERSION 2u
#define META_BYTES_MAX 1024u

static_assert(sizeof(((struct meta *)0)->cluster) == 64, "field of the file");

int
meta_store(const char *dir, const struct meta *m, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/meta", dir);
    struct buf out;
    int rc;

    buf_init(&out, META_BYTES_MAX);
    write_u64(&out, META_MAGIC);
    write_u32(&out, META_VERSION);
    buf_append(&out, m->cluster, sizeof(m->cluster));
    buf_append(&out, m->node, sizeof(m->node));
    buf_append(&out, m->engine, sizeof(m->engine));
    write_u8(&out, m->vsr.replica);
    write_u8(&out, m->vsr.replica_count);
    write_u8(&out, m->vsr.recovering);
    write_u64(&out, m->vsr.view);
    write_u64(&out, m->vsr.last_normal_view);
    write_u64(&out, m->vsr.commit);
    write_u64(&out, m->vsr.acked);
    for (int i = 0; i < VSR_REPLICAS_MAX; i++)
        write_u64(&out, m->vsr.incarnation[i]);
    write_u32(&out, crc32c(0, out.data, out.len));
    rc = file_write_atomic(path, out.data, out.len, 0600, err);
    buf_release(&out);
    return rc;
}

static bool
meta_decode(struct bytes_reader *r, struct meta *ret)
{
    const uint8_t *cluster = read_bytes(r, sizeof(ret->cluster));
    const uint8_t *node = read_bytes(r, sizeof(ret->node));
    const uint8_t *engine = read_bytes(r, sizeof(ret->engine));

    if (engine == NULL || cluster[63] != 0 || node[63] != 0 || engine[15] != 0)
        return false;
    memcpy(ret->cluster, cluster, sizeof(ret->cluster));
    memcpy(ret->node, node, sizeof(ret->node));
    memcpy(ret->engine, engine, sizeof(ret->engine));
    ret->vsr.replica = read_u8(r);
    ret->vsr.replica_count = read_u8(r);
    ret->vsr.recovering = read_u8(r) != 0;
    ret->vsr.view = read_u64(r);
    ret->vsr.last_normal_view = read_u64(r);
    ret->vsr.commit = read_u64(r);
    ret->vsr.acked = read_u64(r);
    for (int i = 0; i < VSR_REPLICAS_MAX; i++)
        ret->vsr.incarnation[i] = read_u64(r);
    read_u32(r); /* the checksum */
    return bytes_done(r);
}

int
meta_read(const char *dir, struct meta *ret, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/meta", dir);
    CLEANUP_FREE char *data = NULL;
    struct bytes_reader r;
    const uint8_t *p;
    uint32_t version;
    size_t len;

    if (!path_exists(path))
        return 0;
    data = file_read(path, META_BYTES_MAX, &len, err);
    if (data == NULL)
        return -1;
    p = (const uint8_t *)data;
    if (len < 16 || get_u32(p + len - 4) != crc32c(0, p, len - 4))
        return error_set(err, ERROR_CONFIG,
                         "%s: bad checksum over bytes 0 to %zu", path, len);
    r = bytes_reader(p, len);
    if (read_u64(&r) != META_MAGIC)
        return error_set(err, ERROR_CONFIG, "%s: bad magic at byte 0", path);
    version = read_u32(&r);
    if (version != META_VERSION)
        return error_set(err, ERROR_CONFIG,
                         "%s: has version %u, this program reads %u", path,
                         version, META_VERSION);
    memset(ret, 0, sizeof(*ret));
    if (!meta_decode(&r, ret))
        return error_set(err, ERROR_CONFIG, "%s: malformed", path);
    return 1;
}
