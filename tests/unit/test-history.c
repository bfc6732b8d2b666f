/* SPDX-License-Identifier: Apache-2.0 */
/* The binary history: what goes in comes out, whole or up to the tear. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness/base/file.h"
#include "harness/base/history-format.h"
#include "tests/lib/random-event.h"
#include "tests/lib/tap.h"

#define SEED UINT64_C(20260131)
#define SMALL_FILE_MAX (1u << 20)

struct fixture {
    char dir[64], path[96], other[96];
    struct arena arena;
    struct rng rng;
    struct error err;
    json_t *meta;
};

static void
setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "test-history.XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    snprintf(f->path, sizeof(f->path), "%s/history.ordeal", f->dir);
    snprintf(f->other, sizeof(f->other), "%s/other", f->dir);
    arena_init(&f->arena);
    rng_init(&f->rng, SEED);
    f->meta = json_pack("{s:s,s:s,s:i}", "system", "replica", "positions",
                        "total", "seed", 7);
}

static void
teardown(struct fixture *f)
{
    struct error ignored;

    json_decref(f->meta);
    arena_release(&f->arena);
    dir_remove(f->dir, &ignored);
}

static struct history_writer *
writer_of(struct fixture *f)
{
    struct history_writer *w =
        history_writer_open(f->path, f->meta, clock_monotonic(), &f->err);

    if (w == NULL)
        printf("# %s\n", f->err.text);
    CHECK(w != NULL);
    return w;
}

static struct history_reader *
reader_of(struct fixture *f, const char *path)
{
    struct history_reader *r = history_reader_open(path, &f->err);

    if (r == NULL)
        printf("# %s\n", f->err.text);
    CHECK(r != NULL);
    return r;
}

/* Random events, 'live' of them one block each; returns them. */
static struct event *
write_random(struct fixture *f, size_t count, size_t live, bool seal)
{
    struct history_writer *w = writer_of(f);
    struct event *events = arena_alloc(&f->arena, count * sizeof(*events));

    for (size_t i = 0; i < count; i++) {
        events[i] = random_event(&f->arena, &f->rng, i);
        CHECK_OK(
            history_append(w, &events[i],
                           i < live ? HISTORY_BEFORE_SEND : HISTORY_BUFFERED,
                           &f->err),
            &f->err);
        CHECK_INT(events[i].index, i);
    }
    if (seal)
        CHECK_OK(history_seal(w, &f->err), &f->err);
    else
        history_writer_abandon(w);
    return events;
}

/* Reads to the end or to damage; every event must be the one written. */
static size_t
read_prefix(struct fixture *f, struct history_reader *r,
            const struct event *events, size_t count, int *ret_status)
{
    struct event e;
    size_t n = 0;

    while ((*ret_status = history_next(r, &e, &f->err)) > 0) {
        CHECK(n < count);
        CHECK(random_event_equal(&e, &events[n]));
        n++;
    }
    return n;
}

static void
test_round_trip(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fixture f;
        struct event *events;
        struct history_reader *r;
        size_t count = 1000 * seed;
        int status;

        setup(&f);
        rng_init(&f.rng, seed);
        events = write_random(&f, count, count / 10, true);
        r = reader_of(&f, f.path);
        CHECK(json_equal(history_reader_meta(r), f.meta));
        CHECK(!history_reader_sealed(r));
        CHECK_INT(read_prefix(&f, r, events, count, &status), count);
        CHECK_INT(status, 0);
        CHECK(history_reader_sealed(r));
        CHECK_INT(history_reader_dropped_bytes(r), 0);
        history_reader_free(r);
        teardown(&f);
    }
}

static void
test_stamps_zero_times_in_order(void)
{
    struct fixture f;
    struct history_writer *w;
    int64_t before = clock_now_ns(clock_monotonic()), last = before;

    setup(&f);
    w = writer_of(&f);
    for (int i = 0; i < 100; i++) {
        struct event e = {.function = "reserve"};

        CHECK_OK(history_append(w, &e, HISTORY_BUFFERED, &f.err), &f.err);
        CHECK(e.time_ns >= last);
        last = e.time_ns;
    }
    CHECK(last <= clock_now_ns(clock_monotonic()));
    CHECK_OK(history_seal(w, &f.err), &f.err);
    teardown(&f);
}

static void
test_before_send_is_in_the_file(void)
{
    struct fixture f;
    struct history_writer *w;
    struct history_stat counts;
    struct stat st;

    setup(&f);
    w = writer_of(&f);
    for (int i = 0; i < 20; i++) {
        struct event buffered = {.function = "release", .kind = EVENT_OK};
        struct event e = {.function = "reserve"};
        struct history_reader *r;
        int n = 0;

        CHECK_OK(history_append(w, &buffered, HISTORY_BUFFERED, &f.err),
                 &f.err);
        CHECK_OK(history_append(w, &e, HISTORY_BEFORE_SEND, &f.err), &f.err);
        r = reader_of(&f, f.path);
        while (history_next(r, &e, &f.err) > 0)
            n++;
        CHECK(n == 2 * i + 2);
        CHECK(!history_reader_sealed(r));
        CHECK_INT(history_reader_dropped_bytes(r), 0);
        history_reader_free(r);
    }
    history_writer_stat(w, &counts);
    CHECK_INT(counts.event_count, 40);
    CHECK(counts.block_count >= 21);
    CHECK(stat(f.path, &st) == 0);
    CHECK_INT(counts.byte_count, st.st_size);
    history_writer_abandon(w);
    teardown(&f);
}

/* The sync thread writes what nobody waits for. */
static void
test_buffered_events_reach_the_file_by_themselves(void)
{
    struct fixture f;
    struct history_writer *w;
    struct event e = {.function = "release", .kind = EVENT_OK};
    int64_t deadline = clock_now_ns(clock_monotonic()) + 10 * NS_PER_S;
    int n = 0;

    setup(&f);
    w = writer_of(&f);
    CHECK_OK(history_append(w, &e, HISTORY_BUFFERED, &f.err), &f.err);
    while (n == 0 && clock_now_ns(clock_monotonic()) < deadline) {
        struct history_reader *r = reader_of(&f, f.path);

        n = history_next(r, &e, &f.err);
        history_reader_free(r);
        clock_sleep_ns(clock_monotonic(), 10 * NS_PER_MS);
    }
    CHECK_INT(n, 1);
    history_writer_abandon(w);
    teardown(&f);
}

static void
test_writer_refuses(void)
{
    struct fixture f;
    struct history_writer *w;
    struct event good = {.function = "reserve"};
    struct event bad = {.function = "caf\xe9"};
    struct value deep[VALUE_DEPTH_MAX + 1];
    struct history_reader *r;

    setup(&f);
    w = writer_of(&f);
    CHECK(history_writer_open(f.path, f.meta, clock_monotonic(), &f.err) ==
          NULL);
    CHECK_INT(f.err.code, EEXIST);
    CHECK(history_append(w, &bad, HISTORY_BEFORE_SEND, &f.err) < 0);
    CHECK(strstr(f.err.text, "is refused: a string is not UTF-8") != NULL);
    for (int i = VALUE_DEPTH_MAX; i >= 0; i--) {
        deep[i] = (struct value){.type = VALUE_LIST};
        deep[i].list.items = i == VALUE_DEPTH_MAX ? NULL : &deep[i + 1];
        deep[i].list.count = i != VALUE_DEPTH_MAX;
    }
    bad = (struct event){.function = "new name"};
    fields_set(&f.arena, &bad.fields, "other new name", deep[0]);
    CHECK(history_append(w, &bad, HISTORY_BEFORE_SEND, &f.err) < 0);
    CHECK(strstr(f.err.text, "too deep") != NULL);
    bad.fields.count = 0;
    for (int i = 0; i < 20; i++) {
        char *text = arena_alloc(&f.arena, VALUE_STRING_MAX);

        memset(text, 'y', VALUE_STRING_MAX - 1);
        fields_set_string(&f.arena, &bad.fields,
                          arena_printf(&f.arena, "k%d", i), text);
    }
    CHECK(history_append(w, &bad, HISTORY_BEFORE_SEND, &f.err) < 0);
    CHECK(strstr(f.err.text, "larger than") != NULL);
    bad.fields.count = 2;
    bad.fields.items[0].key = bad.fields.items[1].key = "new name";
    CHECK(history_append(w, &bad, HISTORY_BEFORE_SEND, &f.err) < 0);
    CHECK(strstr(f.err.text, "two fields have one name") != NULL);
    /* Refused events leave no trace, in the dictionary neither. */
    CHECK_OK(history_append(w, &good, HISTORY_BEFORE_SEND, &f.err), &f.err);
    bad.fields.count = 0;
    CHECK_OK(history_append(w, &bad, HISTORY_BEFORE_SEND, &f.err), &f.err);
    CHECK_OK(history_seal(w, &f.err), &f.err);
    r = reader_of(&f, f.path);
    CHECK_INT(history_next(r, &good, &f.err), 1);
    CHECK_STR(good.function, "reserve");
    CHECK_INT(history_next(r, &good, &f.err), 1);
    CHECK_STR(good.function, "new name");
    CHECK_INT(history_next(r, &good, &f.err), 0);
    history_reader_free(r);
    teardown(&f);
}

/* ---- damage ---- */

struct layout {
    size_t block_count;
    struct {
        size_t start, end; /* bytes */
        uint64_t events;   /* up to and with this block */
        uint8_t kind, flags;
    } blocks[256];
};

static void
layout_of(const unsigned char *bytes, size_t len, struct layout *ret)
{
    size_t at = HISTORY_FILE_HEADER_BYTES;

    ret->block_count = 0;
    while (at < len) {
        struct history_block b;

        CHECK(len - at >= HISTORY_BLOCK_HEADER_BYTES);
        CHECK(history_block_unpack(bytes + at, &b));
        CHECK(ret->block_count < ARRAY_LEN(ret->blocks));
        ret->blocks[ret->block_count].start = at;
        at += HISTORY_BLOCK_HEADER_BYTES + b.stored_bytes;
        ret->blocks[ret->block_count].end = at;
        ret->blocks[ret->block_count].events = b.first_event + b.event_count;
        ret->blocks[ret->block_count].flags = b.flags;
        ret->blocks[ret->block_count++].kind = b.kind;
    }
    CHECK_INT(at, len);
}

static void
put_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK(file_write_all(fd, bytes, len) == 0);
    close(fd);
}

/* A small file with live blocks, a compressed one and a seal. */
static unsigned char *
small_file(struct fixture *f, bool seal, const struct event **ret_events,
           size_t *ret_count, size_t *ret_len, struct layout *ret_layout)
{
    unsigned char *bytes;
    bool packed = false;

    *ret_count = 72;
    *ret_events = write_random(f, *ret_count, 12, seal);
    bytes =
        (unsigned char *)file_read(f->path, SMALL_FILE_MAX, ret_len, &f->err);
    CHECK(bytes != NULL);
    layout_of(bytes, *ret_len, ret_layout);
    for (size_t i = 0; i < ret_layout->block_count; i++)
        packed |= (ret_layout->blocks[i].flags & HISTORY_FLAG_ZSTD) != 0;
    CHECK(packed);
    return bytes;
}

static void
test_truncation_at_every_byte(void)
{
    struct fixture f;
    struct layout layout;
    const struct event *events;
    unsigned char *bytes;
    size_t count, len;

    setup(&f);
    bytes = small_file(&f, true, &events, &count, &len, &layout);
    for (size_t cut = 0; cut < len; cut++) {
        struct history_reader *r;
        size_t whole = 0;
        uint64_t dropped;
        int status;

        put_file(f.other, bytes, cut);
        r = history_reader_open(f.other, &f.err);
        while (whole < layout.block_count && layout.blocks[whole].end <= cut)
            whole++;
        if (whole == 0) {
            CHECK(r == NULL);
            CHECK_INT(f.err.kind, ERROR_CONFIG);
            continue;
        }
        CHECK(r != NULL);
        CHECK_INT(read_prefix(&f, r, events, count, &status),
                  layout.blocks[whole - 1].events);
        CHECK_INT(status, 0);
        dropped = history_reader_dropped_bytes(r);
        CHECK_INT(dropped, cut - layout.blocks[whole - 1].end);
        CHECK(!history_reader_sealed(r));
        history_reader_free(r);
    }
    free(bytes);
    teardown(&f);
}

/* One flipped file: an error, or a torn last block; never other data. */
static void
check_flipped(struct fixture *f, const struct event *events, size_t count,
              const struct layout *layout, size_t at)
{
    struct history_reader *r = history_reader_open(f->other, &f->err);
    size_t n, bad = 0;
    int status;

    while (bad < layout->block_count && layout->blocks[bad].end <= at)
        bad++;
    if (at < layout->blocks[0].end) {
        CHECK(r == NULL);
        CHECK_INT(f->err.kind, ERROR_CONFIG);
        return;
    }
    CHECK(r != NULL);
    n = read_prefix(f, r, events, count, &status);
    CHECK_INT(n, layout->blocks[bad - 1].events);
    CHECK(!history_reader_sealed(r));
    if (bad + 1 < layout->block_count) {
        char where[64];

        CHECK_INT(status, -1);
        snprintf(where, sizeof(where), "block %zu at byte %zu: bad checksum",
                 bad, layout->blocks[bad].start);
        CHECK(strstr(f->err.text, where) != NULL);
        CHECK_INT(history_next(r, &(struct event){0}, &f->err), -1);
    } else {
        CHECK_INT(status, 0);
        CHECK_INT(history_reader_dropped_bytes(r),
                  layout->blocks[bad].end - layout->blocks[bad].start);
    }
    history_reader_free(r);
}

static void
test_flip_in_every_byte(void)
{
    struct fixture f;
    struct layout layout;
    const struct event *events;
    unsigned char *bytes;
    size_t count, len;

    setup(&f);
    bytes = small_file(&f, true, &events, &count, &len, &layout);
    for (size_t at = 0; at < len; at++) {
        unsigned char flips[] = {(unsigned char)(1u << rng_below(&f.rng, 8)),
                                 0xff};

        for (size_t i = 0; i < ARRAY_LEN(flips); i++) {
            bytes[at] ^= flips[i];
            put_file(f.other, bytes, len);
            check_flipped(&f, events, count, &layout, at);
            bytes[at] ^= flips[i];
        }
    }
    free(bytes);
    teardown(&f);
}

static void
test_blocks_lost_repeated_or_appended(void)
{
    struct fixture f;
    struct layout layout;
    const struct event *events;
    unsigned char *bytes, *mine;
    struct history_reader *r;
    size_t count, len, start, end;
    int status;

    setup(&f);
    bytes = small_file(&f, true, &events, &count, &len, &layout);
    mine = xcalloc(1, 2 * len);
    start = layout.blocks[3].start;
    end = layout.blocks[3].end;
    memcpy(mine, bytes, start); /* block 3 cut out */
    memcpy(mine + start, bytes + end, len - end);
    put_file(f.other, mine, len - (end - start));
    r = reader_of(&f, f.other);
    CHECK_INT(read_prefix(&f, r, events, count, &status), 2);
    CHECK_INT(status, -1);
    CHECK(strstr(f.err.text, "does not continue") != NULL);
    history_reader_free(r);
    memcpy(mine, bytes, end); /* block 3 twice */
    memcpy(mine + end, bytes + start, len - start);
    put_file(f.other, mine, len + (end - start));
    r = reader_of(&f, f.other);
    CHECK_INT(read_prefix(&f, r, events, count, &status), 3);
    CHECK_INT(status, -1);
    history_reader_free(r);
    memcpy(mine, bytes, len); /* something behind the seal */
    mine[len] = 'x';
    put_file(f.other, mine, len + 1);
    r = reader_of(&f, f.other);
    CHECK_INT(read_prefix(&f, r, events, count, &status), count);
    CHECK_INT(status, -1);
    CHECK(strstr(f.err.text, "bytes follow it") != NULL);
    history_reader_free(r);
    free(mine);
    free(bytes);
    teardown(&f);
}

/* After a power cut a file may end in zeros that were never written. */
static void
test_zeros_at_the_end_are_a_torn_tail(void)
{
    struct fixture f;
    struct layout layout;
    const struct event *events;
    unsigned char *bytes;
    struct history_reader *r;
    size_t count, len;
    int status;

    setup(&f);
    bytes = small_file(&f, false, &events, &count, &len, &layout);
    put_file(f.other, bytes, len);
    CHECK(truncate(f.other, (off_t)len + 5000) == 0);
    r = reader_of(&f, f.other);
    CHECK_INT(read_prefix(&f, r, events, count, &status), count);
    CHECK_INT(status, 0);
    CHECK_INT(history_reader_dropped_bytes(r), 5000);
    history_reader_free(r);
    free(bytes);
    teardown(&f);
}

/* ---- failing writes ---- */

static void
test_failed_write_is_cut_off_and_sticky(void)
{
    struct fixture f;
    struct rlimit old, limit;
    struct history_writer *w;
    struct history_reader *r;
    struct event e;
    uint64_t acknowledged = 0;
    int n = 0;

    setup(&f);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = old;
    limit.rlim_cur = 4000;
    w = writer_of(&f);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (int i = 0; i < 1000; i++) {
        e = random_event(&f.arena, &f.rng, (uint64_t)i);
        if (history_append(w, &e, HISTORY_BEFORE_SEND, &f.err) < 0)
            break;
        acknowledged++;
    }
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(acknowledged > 0 && acknowledged < 1000);
    CHECK_INT(f.err.code, EFBIG);
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    CHECK(strstr(f.err.text, "write failed at byte") != NULL);
    CHECK(history_append(w, &e, HISTORY_BUFFERED, &f.err) < 0);
    CHECK(history_sync(w, &f.err) < 0);
    CHECK(history_seal(w, &f.err) < 0);
    CHECK_INT(f.err.code, EFBIG);
    r = reader_of(&f, f.path);
    while (history_next(r, &e, &f.err) > 0)
        n++;
    CHECK_INT(n, acknowledged);
    CHECK_INT(history_reader_dropped_bytes(r), 0);
    CHECK(!history_reader_sealed(r));
    history_reader_free(r);
    teardown(&f);
}

/* ---- threads and kill -9 ---- */

#define THREADS 4

struct client {
    struct history_writer *w;
    unsigned number, count_max;
    int ack_fd; /* -1: none */
};

/* Invoke, tell, complete; until count_max, the kill or a failure. */
static void *
client_main(void *arg)
{
    struct client *c = arg;
    struct error err;

    for (unsigned i = 1; i <= c->count_max; i++) {
        struct event e = {
            .function = "reserve",
            .process = c->number,
            .operation = {c->number, i},
            .attempt = 1,
        };

        if (history_append(c->w, &e, HISTORY_BEFORE_SEND, &err) < 0)
            return NULL;
        if (c->ack_fd >= 0 &&
            file_write_all(c->ack_fd, &e.operation, sizeof(e.operation)) < 0)
            return NULL;
        e.kind = EVENT_OK;
        e.time_ns = 0;
        if (history_append(c->w, &e, HISTORY_BUFFERED, &err) < 0)
            return NULL;
    }
    return c;
}

static bool
run_clients(struct history_writer *w, unsigned count_max, int ack_fd)
{
    pthread_t threads[THREADS];
    struct client clients[THREADS];
    bool all = true;

    for (unsigned i = 0; i < THREADS; i++) {
        void *(*run)(void *) = client_main;

        clients[i] = (struct client){w, i, count_max, ack_fd};
        if (pthread_create(&threads[i], NULL, run, &clients[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *ret;

        pthread_join(threads[i], &ret);
        all &= ret != NULL;
    }
    return all;
}

/*
 * Times never go back, each client's events come invoke 1, ok 1, invoke 2, ...
 * Returns each client's last invocation.
 */
static uint64_t
check_causal(struct fixture *f, uint64_t ret_invoked[THREADS])
{
    struct history_reader *r = reader_of(f, f->path);
    uint64_t completed[THREADS] = {0}, count = 0;
    int64_t last_ns = INT64_MIN;
    struct event e;
    int status;

    memset(ret_invoked, 0, THREADS * sizeof(*ret_invoked));
    while ((status = history_next(r, &e, &f->err)) > 0) {
        unsigned p = e.process;

        CHECK(p < THREADS);
        CHECK_INT(e.index, count);
        CHECK(e.time_ns >= last_ns);
        CHECK_INT(e.operation.hi, p);
        if (e.kind == EVENT_INVOKE) {
            CHECK_INT(completed[p], ret_invoked[p]);
            CHECK_INT(e.operation.lo, ++ret_invoked[p]);
        } else {
            CHECK_INT(e.operation.lo, ret_invoked[p]);
            completed[p] = e.operation.lo;
        }
        last_ns = e.time_ns;
        count++;
    }
    CHECK_INT(status, 0);
    history_reader_free(r);
    return count;
}

static void
test_threads_share_blocks_in_order(void)
{
    struct fixture f;
    struct history_writer *w;
    uint64_t invoked[THREADS];

    setup(&f);
    w = writer_of(&f);
    CHECK(run_clients(w, 2000, -1));
    CHECK_OK(history_seal(w, &f.err), &f.err);
    CHECK_INT(check_causal(&f, invoked), 2000 * THREADS * 2);
    teardown(&f);
}

static void
kill_after(struct fixture *f, int64_t delay_ns)
{
    uint64_t acknowledged[THREADS] = {0}, invoked[THREADS];
    struct id128 id;
    int fds[2];
    pid_t pid;

    CHECK(pipe(fds) == 0);
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct error err;
        struct history_writer *w =
            history_writer_open(f->path, f->meta, clock_monotonic(), &err);

        close(fds[0]);
        id = (struct id128){UINT64_MAX, 0}; /* the history is open */
        if (w != NULL && file_write_all(fds[1], &id, sizeof(id)) == 0)
            run_clients(w, UINT32_MAX, fds[1]);
        _exit(1);
    }
    close(fds[1]);
    CHECK(read(fds[0], &id, sizeof(id)) == sizeof(id));
    for (int64_t end = clock_now_ns(clock_monotonic()) + delay_ns;
         clock_now_ns(clock_monotonic()) < end;) {
        CHECK(read(fds[0], &id, sizeof(id)) == sizeof(id));
        acknowledged[id.hi] = id.lo;
    }
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    while (read(fds[0], &id, sizeof(id)) == sizeof(id))
        acknowledged[id.hi] = id.lo;
    close(fds[0]);
    check_causal(f, invoked);
    for (int i = 0; i < THREADS; i++)
        CHECK(invoked[i] >= acknowledged[i] &&
              invoked[i] <= acknowledged[i] + 1);
}

static void
test_kill_loses_no_acknowledged_invocation(void)
{
    for (int round = 0; round < 25; round++) {
        struct fixture f;

        setup(&f);
        rng_init(&f.rng, SEED + (uint64_t)round);
        kill_after(&f, (int64_t)rng_below(&f.rng, 60 * NS_PER_MS));
        teardown(&f);
    }
}

/* ---- reading what is no history ---- */

static void
test_foreign_files_are_refused(void)
{
    struct fixture f;

    setup(&f);
    CHECK(history_reader_open("no/such/file", &f.err) == NULL);
    CHECK(strstr(f.err.text, "no/such/file: No such file") != NULL);
    CHECK(history_reader_open(f.dir, &f.err) == NULL);
    CHECK(strstr(f.err.text, "/history.ordeal: No such file") != NULL);
    CHECK(history_reader_open("/dev/null", &f.err) == NULL);
    CHECK(strstr(f.err.text, "not a regular file") != NULL);
    put_file(f.other, "", 0);
    CHECK(history_reader_open(f.other, &f.err) == NULL);
    CHECK(strstr(f.err.text, "only 0 bytes") != NULL);
    put_file(f.other, "#!/bin/sh\necho hello, world\n", 28);
    CHECK(history_reader_open(f.other, &f.err) == NULL);
    CHECK(strstr(f.err.text, "not a history") != NULL);
    teardown(&f);
}

int
main(void)
{
    RUN(test_round_trip);
    RUN(test_stamps_zero_times_in_order);
    RUN(test_before_send_is_in_the_file);
    RUN(test_buffered_events_reach_the_file_by_themselves);
    RUN(test_writer_refuses);
    RUN(test_truncation_at_every_byte);
    RUN(test_flip_in_every_byte);
    RUN(test_blocks_lost_repeated_or_appended);
    RUN(test_zeros_at_the_end_are_a_torn_tail);
    RUN(test_failed_write_is_cut_off_and_sticky);
    RUN(test_threads_share_blocks_in_order);
    RUN(test_kill_loses_no_acknowledged_invocation);
    RUN(test_foreign_files_are_refused);
    return tap_done();
}
