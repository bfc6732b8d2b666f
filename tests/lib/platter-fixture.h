/* SPDX-License-Identifier: Apache-2.0 */
/* A platter with a real nbdkit in a directory of its own, and its clients. */
#ifndef ORDEAL_TESTS_PLATTER_FIXTURE_H
#define ORDEAL_TESTS_PLATTER_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/provider/orphans.h"
#include "nemesis/platter/platter.h"
#include "tests/lib/tap.h"

#define BLOCK 4096u
#define DISK_BYTES (64u << 20)
#define SOON_NS (10 * NS_PER_S)

struct platter_fixture {
    char dir[32], image[64];
    struct platter platter;
    struct platter_config config;
    struct error err;
};

static int64_t
soon(void)
{
    return clock_now_ns(clock_monotonic()) + SOON_NS;
}

static void
fixture_image(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && ftruncate(fd, DISK_BYTES) == 0);
    close(fd);
}

static void
fixture_setup(struct platter_fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/ordeal.XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    snprintf(f->image, sizeof(f->image), "%s/disk.img", f->dir);
    fixture_image(f->image);
    f->config = (struct platter_config){
        .name = "disk", .dir = f->dir, .image = f->image, .seed = 1};
    CHECK_OK(platter_start(&f->platter, &f->config, soon(), &f->err), &f->err);
}

static void
fixture_teardown(struct platter_fixture *f)
{
    CHECK_OK(platter_stop(&f->platter, &f->err), &f->err);
    CHECK_INT(orphans_count(ORPHANS_NBDKIT, f->dir), 0);
    CHECK_OK(dir_remove(f->dir, &f->err), &f->err);
}

/* As a killed nbdkit leaves them. */
static void UNUSED
fixture_stale_sockets(struct platter_fixture *f)
{
    CLEANUP_FREE char *socket_path = xasprintf("%s/disk.sock", f->dir);
    CLEANUP_FREE char *control_path = xasprintf("%s/disk.ctl", f->dir);

    CHECK_INT(mknod(socket_path, S_IFSOCK | 0600, 0), 0);
    CHECK_INT(mknod(control_path, S_IFSOCK | 0600, 0), 0);
}

/* One command that must succeed. */
static void UNUSED
tell(struct platter_fixture *f, const char *command)
{
    json_t *r = platter_command(&f->platter, soon(), &f->err, "%s", command);

    if (r == NULL)
        printf("# %s\n", f->err.text);
    CHECK(r != NULL);
    json_decref(r);
}

/* One number of the stats: "log_records", or "write.errors", "rules.0.hit". */
static int64_t UNUSED
stat_of(struct platter_fixture *f, const char *name)
{
    json_t *r = platter_command(&f->platter, soon(), &f->err, "stats");
    CLEANUP_FREE char *copy = xstrdup(name);
    const json_t *at = r;
    char *rest = copy, *part;
    int64_t n;

    CHECK(r != NULL);
    while ((part = strsep(&rest, ".")) != NULL)
        at = json_is_array(at) ? json_array_get(at, strtoul(part, NULL, 10))
                               : json_object_get(at, part);
    n = json_is_integer(at) ? json_integer_value(at) : json_is_true(at);
    json_decref(r);
    return n;
}

static struct nbd_handle *
client_open(struct platter_fixture *f)
{
    struct nbd_handle *h = nbd_create();

    CHECK(h != NULL);
    nbd_set_strict_mode(h, 0);
    if (nbd_connect_unix(h, f->platter.socket_path) == 0)
        return h;
    nbd_close(h);
    return NULL;
}

/* A block that says which it is. */
static void
block_fill(unsigned char block[static BLOCK], uint64_t tag)
{
    for (unsigned i = 0; i < BLOCK / 8; i++) {
        uint64_t word = tag * 1000003 + i;

        memcpy(block + (size_t)i * 8, &word, 8);
    }
}

static int UNUSED
block_write(struct nbd_handle *h, uint64_t index, uint64_t tag, uint32_t flags)
{
    unsigned char block[BLOCK];

    block_fill(block, tag);
    return nbd_pwrite(h, block, BLOCK, index * BLOCK, flags);
}

/* 1: holds that tag; 0: anything else; -1: an error. */
static int UNUSED
block_holds(struct nbd_handle *h, uint64_t index, uint64_t tag)
{
    unsigned char wanted[BLOCK], found[BLOCK];

    block_fill(wanted, tag);
    if (nbd_pread(h, found, BLOCK, index * BLOCK, 0) < 0)
        return -1;
    return memcmp(wanted, found, BLOCK) == 0;
}

#endif
