/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk-corrupt, disk-stale: a block of a file on the data disk is not what was
 * written there: one bit is another, or reads go on returning what was there.
 *
 * Happy path: the guest names the newest file that matches 'path' and reads a
 * block of it past its page cache; the block is looked for in the image on the
 * host; the platter is given its place.  The proof reads the device again, past
 * the page cache.
 *
 * Failure modes: a block that cannot be found in the image (it changed
 * meanwhile, or is not aligned) fails the inject.  One that the guest has
 * written anew is corrupt no more: a mismatch.  Without a write to a stale
 * block nobody can tell it from an honest one: inconclusive.  What the guest
 * made of what it read may stay after the heal.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/machine.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"
#include "nemesis/platter/disk.h"
#include "nemesis/registry.h"

#define CONTENTS_PROBE_FILE "/data/.ordeal-block"
#define CONTENTS_PATH_MAX 256
/* The least block that ext4 has: any such piece of a file is in one place. */
#define CONTENTS_BLOCK_BYTES 1024u
#define CONTENTS_TRIES_MAX 5
#define CONTENTS_READ_BYTES (1u << 20)

static const char *const contents_places[] = {"random", "first", "last", NULL};
enum { CONTENTS_RANDOM, CONTENTS_FIRST, CONTENTS_LAST };

/* One target's block. */
struct contents_block {
    uint64_t offset; /* on the disk */
    size_t length;   /* of it that the file has; 0: not found yet */
    unsigned char original[CONTENTS_BLOCK_BYTES];
    unsigned byte, bit; /* that was turned */
    char file[CONTENTS_PATH_MAX];
};

struct contents {
    struct disk_fault disk;
    bool stale;
    const char *path; /* of the params; NULL: a file of our own */
    unsigned place;
    struct contents_block blocks[NODE_COUNT_MAX];
};

static int
contents_setup(struct fault *f, bool stale, struct error *err)
{
    static const char *const keys[] = {"path", "block", NULL};
    struct contents *c = xcalloc(1, sizeof(*c));

    c->stale = stale;
    f->state = c;
    if (params_check_keys(f->params, keys, err) < 0 ||
        params_string(f->params, "path", &c->path, err) < 0 ||
        params_choice(f->params, "block", contents_places, &c->place, err) <
            0 ||
        (c->path != NULL &&
         (strncmp(c->path, "/data/", 6) != 0 ||
          strlen(c->path) >= CONTENTS_PATH_MAX) &&
         error_set(err, ERROR_CONFIG, "path: not a pattern below /data") < 0)) {
        daemon_teardown(f);
        return -1;
    }
    return 0;
}

static int
corrupt_setup(struct fault *f, struct error *err)
{
    return contents_setup(f, false, err);
}

static int
stale_setup(struct fault *f, struct error *err)
{
    return contents_setup(f, true, err);
}

/* ---- the guest's side ---- */

/* $1 a pattern: the newest file of it, its size; all is on the disk. */
static const struct guest_script contents_file_script = {
    .name = "ordeal-file",
    .text = "b=" GUEST_BUSYBOX "\n"
            "if [ \"$1\" = " CONTENTS_PROBE_FILE " ]; then\n"
            "    $b dd if=/dev/urandom of=\"$1\" bs=4096 count=4 2>/dev/null\n"
            "fi\n"
            "for f in $($b ls -t $1); do break; done\n"
            "$b sync; $b stat -c '%s %n' \"$f\"\n",
};

/* $1 a file, $2 the block. */
static const struct guest_script contents_read_script = {
    .name = "ordeal-read",
    .text = GUEST_BUSYBOX " dd if=\"$1\" bs=1024 skip=\"$2\" count=1 "
                          "iflag=direct 2>/dev/null\n",
};

/* $1 the block of the device, which pages of files do not hide. */
static const struct guest_script contents_device_script = {
    .name = "ordeal-device",
    .text = "b=" GUEST_BUSYBOX "\n"
            "for d in /sys/block/*; do\n"
            "    [ \"$($b cat \"$d/serial\" 2>/dev/null)\" = ordeal-data ] &&\n"
            "        dev=/dev/${d##*/}\n"
            "done\n"
            "$b dd if=\"$dev\" bs=1024 skip=\"$1\" count=1 iflag=direct "
            "2>/dev/null\n",
};

/* The next reader asks the disk. */
static const struct guest_script contents_forget_script = {
    .name = "ordeal-forget",
    .text = "echo 3 >/proc/sys/vm/drop_caches\n",
};

/* Other contents for all of our own file, in place. */
static const struct guest_script contents_rewrite_script = {
    .name = "ordeal-rewrite",
    .text = GUEST_BUSYBOX " dd if=/dev/urandom of=" CONTENTS_PROBE_FILE
                          " bs=4096 count=4 conv=notrunc,fsync 2>/dev/null\n",
};

static int
contents_script(const struct fault_world *w, unsigned node,
                const struct guest_script *script, const char *const args[],
                struct exec_result *result, struct error *err)
{
    if (guest_script(&w->remotes[node], script, args, result, err) < 0)
        return -1;
    if (result->status == 0)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "node '%s': %s: exit %d: %.200s",
                     w->cluster->nodes[node].name, script->name, result->status,
                     buf_text(&result->err));
}

static int
contents_read_device(const struct fault_world *w, unsigned node,
                     uint64_t offset,
                     unsigned char ret[static CONTENTS_BLOCK_BYTES],
                     struct error *err)
{
    char block[24];
    const char *const args[] = {block, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    snprintf(block, sizeof(block), "%" PRIu64, offset / CONTENTS_BLOCK_BYTES);
    exec_result_init(&result);
    if (contents_script(w, node, &contents_device_script, args, &result, err) <
        0)
        return -1;
    if (result.out.len != CONTENTS_BLOCK_BYTES)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': %zu bytes of a block",
                         w->cluster->nodes[node].name, result.out.len);
    memcpy(ret, result.out.data, CONTENTS_BLOCK_BYTES);
    return 0;
}

/* ---- where a block of a file is on the disk ---- */

/* Looks at what the image holds; holes hold nothing. */
static bool
contents_search(int fd, const unsigned char *wanted, uint64_t *ret_offset)
{
    CLEANUP_FREE unsigned char *chunk = xcalloc(1, CONTENTS_READ_BYTES);
    off_t at = 0, end;

    while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
        end = lseek(fd, at, SEEK_HOLE);
        at -= at % CONTENTS_BLOCK_BYTES;
        while (at < end) {
            ssize_t n = pread(fd, chunk, CONTENTS_READ_BYTES, at);

            for (ssize_t i = 0; i + (ssize_t)CONTENTS_BLOCK_BYTES <= n;
                 i += CONTENTS_BLOCK_BYTES) {
                if (memcmp(chunk + i, wanted, CONTENTS_BLOCK_BYTES) != 0)
                    continue;
                *ret_offset = (uint64_t)(at + i);
                return true;
            }
            if (n <= 0)
                break;
            at += n;
        }
        at = end;
    }
    return false;
}

static bool
contents_is_empty(const unsigned char *block)
{
    return block[0] == 0 &&
           memcmp(block, block + 1, CONTENTS_BLOCK_BYTES - 1) == 0;
}

/* One try: the newest file, a block of it, its place.  *ret false: not found.
 */
static int
contents_try(struct fault *f, unsigned node, struct rng *rng, int fd, bool *ret,
             struct error *err)
{
    struct contents *c = f->state;
    struct contents_block *b = &c->blocks[node];
    const char *pattern = c->path == NULL ? CONTENTS_PROBE_FILE : c->path;
    const char *const args[] = {pattern, NULL};
    char number[24];
    const char *const read_args[] = {b->file, number, NULL};
    CLEANUP(exec_result_release) struct exec_result found, block;
    uint64_t size, count, index;

    exec_result_init(&found);
    exec_result_init(&block);
    if (contents_script(f->world, node, &contents_file_script, args, &found,
                        err) < 0)
        return -1;
    if (sscanf(buf_text(&found.out), "%" SCNu64 " %255s", &size, b->file) < 2 ||
        size == 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': no file with contents is like '%s'",
                         f->world->cluster->nodes[node].name, pattern);
    count = (size + CONTENTS_BLOCK_BYTES - 1) / CONTENTS_BLOCK_BYTES;
    index = c->place == CONTENTS_FIRST  ? 0
            : c->place == CONTENTS_LAST ? count - 1
                                        : rng_below(rng, count);
    snprintf(number, sizeof(number), "%" PRIu64, index);
    if (contents_script(f->world, node, &contents_read_script, read_args,
                        &block, err) < 0)
        return -1;
    *ret = false;
    if (block.out.len == 0 || block.out.len > CONTENTS_BLOCK_BYTES)
        return 0;
    memset(b->original, 0, sizeof(b->original));
    memcpy(b->original, block.out.data, block.out.len);
    *ret = !contents_is_empty(b->original) &&
           contents_search(fd, b->original, &b->offset);
    b->length = *ret ? block.out.len : 0;
    return 0;
}

static int
contents_find(struct fault *f, unsigned node, struct rng *rng,
              struct error *err)
{
    const char *path = machine_disk(f->world->provider, node);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool found = false;

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    for (int try = 0; try < CONTENTS_TRIES_MAX && !found; try++)
        if (contents_try(f, node, rng, fd, &found, err) < 0)
            return -1;
    if (found)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT,
                     "node '%s': the block of '%s' is not on the disk as it is",
                     f->world->cluster->nodes[node].name,
                     ((struct contents *)f->state)->blocks[node].file);
}

/* ---- inject ---- */

static int
contents_inject_node(struct fault *f, unsigned node, struct error *err)
{
    struct contents *c = f->state;
    struct contents_block *b = &c->blocks[node];
    static const char *const none[] = {NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    struct rng root, rng;
    char order[96];
    json_t *reply;

    rng_init(&root, f->seed);
    rng = rng_fork(&root, "block", node);
    if (contents_find(f, node, &rng, err) < 0)
        return -1;
    b->byte = (unsigned)rng_below(&rng, b->length);
    b->bit = (unsigned)rng_below(&rng, 8);
    if (c->stale)
        snprintf(order, sizeof(order), "stale offset=%" PRIu64 " length=%u",
                 b->offset, CONTENTS_BLOCK_BYTES);
    else
        snprintf(order, sizeof(order), "flip offset=%" PRIu64 " bit=%u",
                 b->offset + b->byte, b->bit);
    reply = disk_order(f->world, node, err, order);
    if (reply == NULL)
        return -1;
    json_decref(reply);
    exec_result_init(&result);
    if (c->stale && c->path == NULL &&
        contents_script(f->world, node, &contents_rewrite_script, none, &result,
                        err) < 0)
        return -1;
    return contents_script(f->world, node, &contents_forget_script, none,
                           &result, err);
}

static int
contents_inject(struct fault *f, struct error *err)
{
    if (disk_remember(f, err) < 0)
        return -1;
    for (unsigned i = 0; i < f->world->cluster->node_count; i++)
        if (f->targets >> i & 1 && contents_inject_node(f, i, err) < 0)
            return -1;
    return 0;
}

/* ---- proofs ---- */

static void
contents_put_evidence(struct fault *f, unsigned node, const char *seen)
{
    const struct contents_block *b =
        &((struct contents *)f->state)->blocks[node];
    json_t *of = json_pack("{s:s, s:I, s:s}", "file", b->file, "offset",
                           (json_int_t)b->offset, "block", seen);

    if (!((struct contents *)f->state)->stale)
        json_object_set_new(of, "bit",
                            json_pack("[i, i]", (int)b->byte, (int)b->bit));
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name, of);
}

static bool
contents_is_flipped(const struct contents_block *b, const unsigned char *now)
{
    unsigned char wanted[CONTENTS_BLOCK_BYTES];

    memcpy(wanted, b->original, sizeof(wanted));
    wanted[b->byte] ^= (unsigned char)(1u << b->bit);
    return memcmp(now, wanted, sizeof(wanted)) == 0;
}

static int
corrupt_look(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    const struct contents_block *b =
        &((struct contents *)f->state)->blocks[node];
    unsigned char now[CONTENTS_BLOCK_BYTES];
    bool flipped;

    if (contents_read_device(f->world, node, b->offset, now, err) < 0)
        return -1;
    flipped = contents_is_flipped(b, now);
    contents_put_evidence(f, node,
                          flipped ? "differs in that bit"
                          : memcmp(now, b->original, sizeof(now)) == 0
                              ? "as written"
                              : "written anew");
    *ret = flipped ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

/* The disk says old things: the guest reads what was there at the inject, and
 * the platter counts that it knows better. */
static int
stale_look(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    const struct contents_block *b =
        &((struct contents *)f->state)->blocks[node];
    unsigned char now[CONTENTS_BLOCK_BYTES];
    json_t *stats;
    json_int_t wrong;
    bool old;

    if (contents_read_device(f->world, node, b->offset, now, err) < 0)
        return -1;
    stats = disk_order(f->world, node, err, "stats");
    if (stats == NULL)
        return -1;
    wrong =
        json_integer_value(json_array_get(json_object_get(stats, "stale"), 1));
    json_decref(stats);
    old = memcmp(now, b->original, sizeof(now)) == 0;
    contents_put_evidence(f, node,
                          !old        ? "other than it was"
                          : wrong > 0 ? "old, though written anew"
                                      : "not written anew yet");
    *ret = !old        ? PROOF_MISMATCH
           : wrong > 0 ? PROOF_CONFIRMED
                       : PROOF_INCONCLUSIVE;
    return 0;
}

static int
contents_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
               struct error *err)
{
    const struct contents *c = f->state;

    if (phase == FAULT_HEALED)
        return disk_prove_healed(f, ret, err);
    return fault_look_each(f, c->stale ? stale_look : corrupt_look, ret, err);
}

/* What the page cache got from the disk meanwhile goes as well. */
static int
contents_heal(struct fault *f, struct error *err)
{
    static const char *const none[] = {NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (disk_heal(f, err) < 0)
        return -1;
    for (unsigned i = 0; i < f->world->cluster->node_count; i++)
        if (f->targets >> i & 1 &&
            contents_script(f->world, i, &contents_forget_script, none, &result,
                            err) < 0)
            return -1;
    return 0;
}

/* An error of the file system, or a refusal of what is not what was written. */
static const int contents_may_exit[] = {74, 76, 0};

#define CONTENTS_OPS                                                           \
    .breaks_durability = true, .may_exit = contents_may_exit,                  \
    .available = disk_available, .undo_record = daemon_undo_record,            \
    .inject = contents_inject, .prove = contents_prove, .heal = contents_heal, \
    .undo = disk_undo, .teardown = daemon_teardown

const struct fault_ops fault_disk_corrupt_ops = {
    .name = "disk-corrupt",
    .description = "one bit of a file on the data disk is turned",
    .setup = corrupt_setup,
    CONTENTS_OPS,
};

const struct fault_ops fault_disk_stale_ops = {
    .name = "disk-stale",
    .description = "a block of a file on the data disk reads as it was",
    .setup = stale_setup,
    CONTENTS_OPS,
};
