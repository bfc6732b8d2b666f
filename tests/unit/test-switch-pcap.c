/* SPDX-License-Identifier: Apache-2.0 */
/* Captures: what is in the file, its times, its bound. */
#include "config.h"

#include "harness/base/file.h"
#include "tests/lib/stations.h"

#define OFFSET_NS (INT64_C(1700000000) * NS_PER_S)
#define FILE_HEADER 24
#define FRAME_HEADER 16

static struct stations s;

static char *
temp_path(const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "pcap-%d-%s.pcap", (int)getpid(), name);
    return path;
}

static uint32_t
u32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static void
start(unsigned port, struct pcap_options o)
{
    CHECK_OK(switch_capture_start(s.sw, port, &o, &s.err), &s.err);
}

static void
send_and_receive(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        station_send(&s, 0, 1, 7000);
        CHECK_INT(station_receive(&s, 1, 2000).from, 0);
    }
}

/* Removes it as well. */
static char *
read_capture(const char *path, size_t *ret_len)
{
    char *bytes = file_read(path, 1 << 20, ret_len, &s.err);

    CHECK(bytes != NULL);
    unlink(path);
    CHECK_INT(u32(bytes), 0xa1b23c4d);
    CHECK_INT(u32(bytes + 20), 1);
    return bytes;
}

static void
test_frames_are_there_with_their_times(void)
{
    struct pcap_options o = {.path = temp_path("times"),
                             .offset_ns = OFFSET_NS};
    struct pcap_stats stats = {0};
    int64_t before, after, last = 0;
    size_t len, at = FILE_HEADER;
    char *bytes;

    stations_make(&s, 1);
    before = clock_now_ns(clock_monotonic());
    start(1, o);
    send_and_receive(3);
    station_send(&s, 1, 0, 7000); /* both directions */
    CHECK_INT(station_receive(&s, 0, 2000).from, 1);
    CHECK_OK(switch_capture_stop(s.sw, 1, &stats, &s.err), &s.err);
    after = clock_now_ns(clock_monotonic());
    send_and_receive(1);
    CHECK_OK(switch_capture_stop(s.sw, 1, NULL, &s.err), &s.err);
    CHECK_INT(stats.frames, 4);
    CHECK_INT(stats.skipped, 0);
    bytes = read_capture(o.path, &len);
    CHECK_INT(len, stats.bytes);
    CHECK_INT(len, FILE_HEADER + 4 * (FRAME_HEADER + 70));
    for (unsigned i = 0; i < 4; i++, at += FRAME_HEADER + 70) {
        int64_t time =
            (int64_t)u32(bytes + at) * NS_PER_S + u32(bytes + at + 4);

        CHECK_INT(u32(bytes + at + 8), 70);
        CHECK_INT(u32(bytes + at + 12), 70);
        CHECK(time - OFFSET_NS >= before && time - OFFSET_NS <= after);
        CHECK(time >= last);
        last = time;
        CHECK_INT(bytes[at + FRAME_HEADER + 11], i == 3 ? 1 : 0);
    }
    free(bytes);
    stations_end(&s);
}

static void
test_a_dropped_frame_is_with_its_sender_only(void)
{
    char path[64];
    struct link_set links = {{0}};
    struct link_rule rule = {.drop = true};
    struct pcap_stats sender = {0}, receiver = {0};
    unsigned id;

    stations_make(&s, 1);
    snprintf(path, sizeof(path), "%s", temp_path("sender"));
    start(0, (struct pcap_options){.path = path});
    start(1, (struct pcap_options){.path = temp_path("receiver")});
    send_and_receive(2);
    link_set_add(&links, 0, 1);
    CHECK_OK(switch_rule_add(s.sw, &links, &rule, &id, &s.err), &s.err);
    station_send(&s, 0, 1, 7000);
    CHECK_INT(station_receive(&s, 1, 30).from, -1);
    CHECK_OK(switch_capture_stop(s.sw, 0, &sender, &s.err), &s.err);
    CHECK_OK(switch_capture_stop(s.sw, 1, &receiver, &s.err), &s.err);
    CHECK_INT(sender.frames, 3);
    CHECK_INT(receiver.frames, 2);
    unlink(path);
    unlink(temp_path("receiver"));
    stations_end(&s);
}

static void
test_the_file_and_the_frames_are_bounded(void)
{
    struct pcap_options o = {
        .path = temp_path("bound"), .bytes_max = 300, .snap_bytes = 54};
    struct pcap_stats stats = {0};
    size_t len;
    char *bytes;

    stations_make(&s, 1);
    start(1, o);
    send_and_receive(10);
    CHECK_OK(switch_capture_stop(s.sw, 1, &stats, &s.err), &s.err);
    bytes = read_capture(o.path, &len);
    CHECK_INT(stats.frames, 3); /* 24 + 3 * 70 of 300 bytes */
    CHECK_INT(stats.skipped, 7);
    CHECK_INT(len, FILE_HEADER + 3 * (FRAME_HEADER + 54));
    CHECK_INT(u32(bytes + 16), 54);
    CHECK_INT(u32(bytes + FILE_HEADER + 8), 54);
    CHECK_INT(u32(bytes + FILE_HEADER + 12), 70);
    free(bytes);
    stations_end(&s);
}

static void
test_what_cannot_be_captured_is_reported(void)
{
    struct pcap_options o = {.path = "/nonexistent/x.pcap"};

    stations_make(&s, 1);
    CHECK(switch_capture_start(s.sw, 0, &o, &s.err) < 0);
    CHECK_INT(s.err.kind, ERROR_ENVIRONMENT);
    start(0, (struct pcap_options){.path = temp_path("twice")});
    o.path = temp_path("twice");
    CHECK(switch_capture_start(s.sw, 0, &o, &s.err) < 0);
    CHECK_INT(s.err.kind, ERROR_CONFIG);
    unlink(o.path);
    o.path = "/dev/full";
    start(1, o);
    send_and_receive(1);
    CHECK(switch_capture_stop(s.sw, 1, NULL, &s.err) < 0);
    send_and_receive(1);
    stations_end(&s); /* ends the other capture */
}

int
main(void)
{
    RUN(test_frames_are_there_with_their_times);
    RUN(test_a_dropped_frame_is_with_its_sender_only);
    RUN(test_the_file_and_the_frames_are_bounded);
    RUN(test_what_cannot_be_captured_is_reported);
    return tap_done();
}
