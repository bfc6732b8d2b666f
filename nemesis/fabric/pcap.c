/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: frames into a buffer, the buffer into the page cache.
 *
 * Failure modes: after a write that failed nothing more is written; the close
 * reports it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "nemesis/fabric/pcap.h"

#define PCAP_MAGIC_NS UINT32_C(0xa1b23c4d)
#define PCAP_ETHERNET 1
#define PCAP_BUFFER_BYTES (256u << 10)

struct pcap_file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, snap_bytes, link_type;
};

struct pcap_frame_header {
    uint32_t seconds, nanoseconds, stored_bytes, wire_bytes;
};

struct pcap {
    int fd, code; /* code: errno of the first write that failed */
    uint64_t bytes_max;
    uint32_t snap_bytes;
    int64_t offset_ns;
    struct pcap_stats stats;
    size_t used;
    uint8_t buffer[PCAP_BUFFER_BYTES];
};

static void
pcap_flush(struct pcap *p)
{
    if (p->code == 0 && file_write_all(p->fd, p->buffer, p->used) < 0)
        p->code = errno;
    p->used = 0;
}

static void
pcap_put(struct pcap *p, const void *data, size_t len)
{
    if (len > sizeof(p->buffer) - p->used)
        pcap_flush(p);
    memcpy(p->buffer + p->used, data, len);
    p->used += len;
    p->stats.bytes += len;
}

struct pcap *
capture_open(const struct pcap_options *o, struct error *err)
{
    int fd = open(o->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct pcap_file_header h = {.magic = PCAP_MAGIC_NS,
                                 .major = 2,
                                 .minor = 4,
                                 .link_type = PCAP_ETHERNET};
    struct pcap *p;

    if (fd < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s", o->path);
        return NULL;
    }
    p = xcalloc(1, sizeof(*p));
    p->fd = fd;
    p->bytes_max = o->bytes_max == 0 ? PCAP_BYTES_MAX : o->bytes_max;
    p->snap_bytes = o->snap_bytes == 0 || o->snap_bytes > PCAP_FRAME_BYTES_MAX
                        ? PCAP_FRAME_BYTES_MAX
                        : o->snap_bytes;
    p->offset_ns = o->offset_ns;
    h.snap_bytes = p->snap_bytes;
    pcap_put(p, &h, sizeof(h));
    return p;
}

void
capture_write(struct pcap *p, int64_t time_ns, const uint8_t *frame, size_t len)
{
    uint32_t stored = len < p->snap_bytes ? (uint32_t)len : p->snap_bytes;
    int64_t at = time_ns + p->offset_ns;
    struct pcap_frame_header h = {.seconds = (uint32_t)(at / NS_PER_S),
                                  .nanoseconds = (uint32_t)(at % NS_PER_S),
                                  .stored_bytes = stored,
                                  .wire_bytes = (uint32_t)len};

    /* Once full, full: a smaller frame would hide the gap before it. */
    if (p->stats.skipped > 0 || p->code != 0 ||
        p->stats.bytes + sizeof(h) + stored > p->bytes_max) {
        p->stats.skipped++;
        return;
    }
    pcap_put(p, &h, sizeof(h));
    pcap_put(p, frame, stored);
    p->stats.frames++;
}

int
capture_close(struct pcap *p, struct pcap_stats *ret, struct error *err)
{
    int code;

    pcap_flush(p);
    if (close(p->fd) < 0 && p->code == 0)
        p->code = errno;
    code = p->code;
    if (ret != NULL)
        *ret = p->stats;
    free(p);
    if (code != 0)
        return error_errno(err, ERROR_ENVIRONMENT, code, "capture");
    return 0;
}
