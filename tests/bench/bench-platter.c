/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the platter costs beside nbdkit's own file plugin, over a unix socket
 * as a guest has it:  platter-bench [SECONDS]
 *
 * Each load runs on both in turn, three rounds; the best of each is compared,
 * since other work on the machine only ever slows one down.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"
#include "nemesis/platter/platter.h"

#define BENCH_BLOCK 4096
#define BENCH_DISK_BYTES (256 << 20)
#define BENCH_DEPTH_MAX 16
#define BENCH_ROUNDS 3
#define BENCH_START_NS (10 * NS_PER_S)

extern char **environ;

struct load {
    const char *name;
    unsigned depth, flush_every;
    bool read;
};

static const struct load loads[] = {
    {"4 KiB write, depth 1", 1, 0, false},
    {"4 KiB write, depth 16", 16, 0, false},
    {"4 KiB write, flush every 8", 1, 8, false},
    {"4 KiB read, depth 1", 1, 0, true},
    {"4 KiB read, depth 16", 16, 0, true},
};

static void
bench_fail(const char *what)
{
    fprintf(stderr, "platter-bench: %s\n", what);
    _exit(1);
}

/* A whole image: a hole costs the first write more than the next. */
static void
bench_image(const char *path)
{
    CLEANUP_FREE char *chunk = xcalloc(1, 1 << 20);
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    memset(chunk, 'x', 1 << 20);
    for (unsigned i = 0; i < BENCH_DISK_BYTES >> 20; i++)
        if (fd < 0 || file_write_all(fd, chunk, 1 << 20) < 0)
            bench_fail("cannot make an image");
}

static pid_t
bench_start_file(const char *socket_path, const char *image)
{
    const char *argv[] = {"nbdkit",        "-f", "--exit-with-parent", "-t",
                          PLATTER_THREADS, "-U", socket_path,          "file",
                          image,           NULL};
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) !=
        0)
        bench_fail("no nbdkit");
    return pid;
}

static struct nbd_handle *
bench_connect(const char *socket_path)
{
    int64_t until = clock_now_ns(clock_monotonic()) + BENCH_START_NS;

    for (;;) {
        struct nbd_handle *h = nbd_create();

        if (h != NULL && nbd_connect_unix(h, socket_path) == 0)
            return h;
        nbd_close(h);
        if (clock_now_ns(clock_monotonic()) > until)
            bench_fail(nbd_get_error());
        clock_sleep_ns(clock_monotonic(), 10 * NS_PER_MS);
    }
}

static int64_t
bench_issue(struct nbd_handle *h, const struct load *l, struct rng *rng,
            char *block)
{
    uint64_t at = rng_below(rng, BENCH_DISK_BYTES / BENCH_BLOCK) * BENCH_BLOCK;

    if (l->read)
        return nbd_aio_pread(h, block, BENCH_BLOCK, at, NBD_NULL_COMPLETION, 0);
    return nbd_aio_pwrite(h, block, BENCH_BLOCK, at, NBD_NULL_COMPLETION, 0);
}

/* Operations a second. */
static double
bench_run(const char *socket_path, const struct load *l, int64_t duration_ns)
{
    static char blocks[BENCH_DEPTH_MAX][BENCH_BLOCK];
    struct nbd_handle *h = bench_connect(socket_path);
    struct clock *clock = clock_monotonic();
    int64_t cookies[BENCH_DEPTH_MAX], start = clock_now_ns(clock), now = start;
    uint64_t done = 0;
    struct rng rng;

    rng_init(&rng, 1);
    for (unsigned i = 0; i < l->depth; i++)
        cookies[i] = bench_issue(h, l, &rng, blocks[i]);
    while (now - start < duration_ns) {
        if (nbd_poll(h, 1000) < 0)
            bench_fail(nbd_get_error());
        for (unsigned i = 0; i < l->depth; i++) {
            int rc = nbd_aio_command_completed(h, (uint64_t)cookies[i]);

            if (rc < 0)
                bench_fail(nbd_get_error());
            if (rc == 0)
                continue;
            done++;
            if (l->flush_every > 0 && done % l->flush_every == 0 &&
                nbd_flush(h, 0) < 0)
                bench_fail(nbd_get_error());
            cookies[i] = bench_issue(h, l, &rng, blocks[i]);
        }
        now = clock_now_ns(clock);
    }
    while (nbd_aio_in_flight(h) > 0 && nbd_poll(h, 1000) >= 0)
        ;
    nbd_shutdown(h, 0);
    nbd_close(h);
    return (double)done * NS_PER_S / (double)(now - start);
}

static void
bench_loads(const char *file_socket, const char *platter_socket,
            int64_t duration_ns)
{
    printf("%-28s %12s %12s %8s\n", "", "file (/s)", "platter (/s)", "ratio");
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        double file = 0, platter = 0, n;

        for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
            n = bench_run(file_socket, &loads[i], duration_ns);
            file = n > file ? n : file;
            n = bench_run(platter_socket, &loads[i], duration_ns);
            platter = n > platter ? n : platter;
        }
        printf("%-28s %12.0f %12.0f %8.2f\n", loads[i].name, file, platter,
               platter / file);
        fflush(stdout);
    }
}

int
main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    char dir[] = "/tmp/ordeal.XXXXXX";
    CLEANUP_FREE char *image = NULL, *other = NULL, *file_socket = NULL;
    struct platter_config c = {.name = "disk", .dir = dir};
    struct platter p;
    struct error err;
    pid_t file;

    if (mkdtemp(dir) == NULL)
        bench_fail("no directory");
    image = xasprintf("%s/a.img", dir);
    other = xasprintf("%s/b.img", dir);
    file_socket = xasprintf("%s/file.sock", dir);
    bench_image(image);
    bench_image(other);
    c.image = image;
    if (platter_start(&p, &c, clock_now_ns(clock_monotonic()) + BENCH_START_NS,
                      &err) < 0)
        bench_fail(err.text);
    file = bench_start_file(file_socket, other);
    bench_loads(file_socket, p.socket_path, (int64_t)(seconds * NS_PER_S));
    kill(file, SIGKILL);
    waitpid(file, NULL, 0);
    if (platter_stop(&p, &err) < 0 || dir_remove(dir, &err) < 0)
        bench_fail(err.text);
    return 0;
}
