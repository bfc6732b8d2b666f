/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive is POSIX.1-1988 ustar, written block by block: a header, the
 * text padded to 512 bytes, two zero blocks at the end, the whole padded to
 * 10240 as tar does.
 *
 * The only failures are those of the file system.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/buf.h"
#include "harness/base/file.h"
#include "harness/base/limits.h"
#include "harness/provider/guest-files.h"

#define TAR_BLOCK 512
#define TAR_RECORD 10240
#define TAR_BYTES_MAX (1 << 20)

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type, linkname[100], magic[6], version[2], uname[32], gname[32];
    char devmajor[8], devminor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header");

void
guest_mac(bool cluster, unsigned index, uint8_t ret[static 6])
{
    const uint8_t mac[6] = {0x52,
                            0x54,
                            0x00,
                            cluster ? 0x63 : 0x6d,
                            cluster ? 0x6c : 0x67,
                            (uint8_t)(index + 1)};

    assert(index < NODE_COUNT_MAX);
    memcpy(ret, mac, sizeof(mac));
}

static void
guest_format_mac(const uint8_t m[static 6],
                 char ret[static GUEST_MAC_TEXT_SIZE])
{
    snprintf(ret, GUEST_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", m[0],
             m[1], m[2], m[3], m[4], m[5]);
}

void
guest_mac_text(bool cluster, unsigned index,
               char ret[static GUEST_MAC_TEXT_SIZE])
{
    uint8_t m[6];

    guest_mac(cluster, index, m);
    guest_format_mac(m, ret);
}

void
guest_address(unsigned index, char ret[static GUEST_ADDRESS_SIZE])
{
    assert(index < NODE_COUNT_MAX);
    snprintf(ret, GUEST_ADDRESS_SIZE, "10.77.0.%u", 11 + index);
}

void
guest_client_mac(unsigned index, uint8_t ret[static 6])
{
    const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x63, 0x68, (uint8_t)(index + 1)};

    memcpy(ret, mac, sizeof(mac));
}

void
guest_client_address(unsigned index, char ret[static GUEST_ADDRESS_SIZE])
{
    assert(index < NODE_COUNT_MAX);
    snprintf(ret, GUEST_ADDRESS_SIZE, "10.77.0.%u", 101 + index);
}

static void
tar_put_header(struct buf *out, const struct tar_entry *e)
{
    struct tar_header h = {.type = '0', .magic = "ustar", .version = "00"};
    const unsigned char *bytes = (const unsigned char *)&h;
    unsigned sum = 0;

    assert(strlen(e->name) < sizeof(h.name));
    memcpy(h.name, e->name, strlen(e->name));
    snprintf(h.mode, sizeof(h.mode), "%07o", e->mode & 07777);
    snprintf(h.uid, sizeof(h.uid), "%07o", 0);
    snprintf(h.gid, sizeof(h.gid), "%07o", 0);
    snprintf(h.size, sizeof(h.size), "%011o",
             (unsigned)(strlen(e->text) % TAR_BYTES_MAX));
    snprintf(h.mtime, sizeof(h.mtime), "%011o", 0);
    memset(h.checksum, ' ', sizeof(h.checksum));
    for (size_t i = 0; i < sizeof(h); i++)
        sum += bytes[i];
    snprintf(h.checksum, sizeof(h.checksum), "%06o", sum & 0777777);
    buf_append(out, &h, sizeof(h));
}

static void
tar_pad(struct buf *out, size_t unit)
{
    static const char zeros[TAR_BLOCK];

    while (out->len % unit != 0 && !out->truncated) {
        size_t left = unit - out->len % unit;

        buf_append(out, zeros, left < TAR_BLOCK ? left : TAR_BLOCK);
    }
}

int
tar_write(const char *path, const struct tar_entry *entries, unsigned count,
          struct error *err)
{
    static const char end[2 * TAR_BLOCK];
    CLEANUP(buf_release) struct buf out;

    buf_init(&out, TAR_BYTES_MAX);
    for (unsigned i = 0; i < count; i++) {
        tar_put_header(&out, &entries[i]);
        buf_puts(&out, entries[i].text);
        tar_pad(&out, TAR_BLOCK);
    }
    buf_append(&out, end, sizeof(end));
    tar_pad(&out, TAR_RECORD);
    assert(!out.truncated);
    return file_write_atomic(path, out.data, out.len, 0600, err);
}

int
guest_write_config(const char *path, unsigned index, unsigned node_count,
                   unsigned client_host_count, const char *host_key,
                   const char *authorized_key, struct error *err)
{
    CLEANUP(buf_release) struct buf network, authorized;
    char address[GUEST_ADDRESS_SIZE], mac[GUEST_MAC_TEXT_SIZE];

    buf_init(&network, 4096);
    buf_init(&authorized, 4096);
    guest_address(index, address);
    buf_printf(&network, "hostname n%u\nmgmt %s/24\ncluster %s/24\n", index + 1,
               GUEST_MGMT_ADDRESS, address);
    for (unsigned i = 0; i < node_count; i++) {
        if (i == index)
            continue;
        guest_address(i, address);
        guest_mac_text(true, i, mac);
        buf_printf(&network, "neighbour %s %s\n", address, mac);
    }
    for (unsigned i = 0; i < client_host_count; i++) {
        uint8_t m[6];

        guest_client_address(i, address);
        guest_client_mac(i, m);
        guest_format_mac(m, mac);
        buf_printf(&network, "neighbour %s %s\n", address, mac);
    }
    buf_printf(&authorized, "%s\n", authorized_key);
    return tar_write(
        path,
        (const struct tar_entry[]){{"network", network.data, 0644},
                                   {"ssh_host_ed25519_key", host_key, 0600},
                                   {"authorized_keys", authorized.data, 0600}},
        3, err);
}

int
guest_make_disk(const char *path, unsigned mib, struct error *err)
{
    CLEANUP_CLOSE int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)mib << 20) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "data disk '%s'",
                           path);
    return 0;
}
