/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture file of one port, as tcpdump and wireshark read it: nanosecond
 * magic, Ethernet.  Bounded: when the file is full, later frames are counted
 * and not written.
 *
 * A frame's time is the switch's clock, which is the history's, plus
 * 'offset_ns': 0 gives the times of the history as they are; the wall clock
 * less the monotonic one, read together once per run, gives wall times of
 * which all captures of the run, and its history, share one offset.
 *
 * The functions are not called pcap_*: libvirt may bring libpcap along.
 *
 * Threads: one at a time.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_PCAP_H
#define ORDEAL_NEMESIS_FABRIC_PCAP_H

#include <stddef.h>
#include <stdint.h>

#include "harness/base/error.h"

/* A bundle takes no larger file: COLLECT_FILE_BYTES_MAX. */
#define PCAP_BYTES_MAX (UINT64_C(64) << 20)
#define PCAP_FRAME_BYTES_MAX 65535

struct pcap_options {
    const char *path;
    uint64_t bytes_max;  /* of the file; 0: PCAP_BYTES_MAX */
    uint32_t snap_bytes; /* of a frame; 0: all */
    int64_t offset_ns;
};

struct pcap_stats {
    uint64_t frames, bytes; /* written */
    uint64_t skipped;       /* frames for which there was no room */
};

struct pcap;

/* The file is new, or made empty. */
struct pcap *capture_open(const struct pcap_options *o, struct error *err);
void capture_write(struct pcap *p, int64_t time_ns, const uint8_t *frame,
                   size_t len);

/*
 * Writes what is buffered and closes; frees 'p' in any case.  -1: something
 * could not be written, and the file ends with the last whole frame before or
 * within it.  'ret' may be NULL.
 */
int capture_close(struct pcap *p, struct pcap_stats *ret, struct error *err);

#endif
