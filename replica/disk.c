/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two queues: the loop fills one while the worker empties the other; they are
 * swapped at each kick.  Appends that follow each other share one buffer and
 * one write(2).
 *
 * A snapshot of the running state and the installation of a peer's snapshot
 * both replace DIR/snapshot; a mutex orders them, and one that was begun before
 * an installation is dropped.
 */
#include "config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "replica/disk.h"
#include "replica/log.h"

/* More would mean that the core does not wait for its syncs. */
#define QUEUE_ITEMS_MAX 65536u
#define APPEND_BYTES_MAX (256u << 20)

enum disk_item_type {
    DISK_APPEND,
    DISK_TRUNCATE,
    DISK_METADATA,
    DISK_SYNC,
    DISK_RELEASE,
    DISK_INSTALL,
};

struct disk_item {
    enum disk_item_type type;
    uint64_t seq, index;
    struct buf frames;
    struct vsr_metadata metadata;
    struct image image;
};

struct disk_queue {
    struct disk_item *items;
    size_t count, cap;
};

struct disk {
    char *dir, *log_dir;
    struct crash_plan *crash;
    struct meta identity; /* cluster and node; vsr is filled in per write */
    int lock_fd;
    bool no_fsync;           /* planted bug */
    struct durable_log *log; /* the worker's while 'busy' */

    uv_loop_t *loop;
    struct disk_events events;
    void *ctx;
    struct disk_queue filling, working;
    uv_work_t work;
    bool busy;

    pthread_mutex_t snapshot_lock;
    uint64_t generation; /* under snapshot_lock once started */
    uv_work_t take_work;
    bool taking, take_written;
    struct image take_image;
    uint64_t take_generation;
    _Atomic uint64_t log_bytes;
};

void
image_release(struct image *i)
{
    free(i->data);
    memset(i, 0, sizeof(*i));
}

/* ---- opening ---- */

/* Leftovers of writes that a crash interrupted. */
static int
remove_temporaries(const char *path, struct error *err)
{
    DIR *dir = opendir(path);
    struct dirent *d;

    if (dir == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    while ((d = readdir(dir)) != NULL)
        if (strstr(d->d_name, ".tmp.") != NULL)
            unlinkat(dirfd(dir), d->d_name, 0);
    closedir(dir);
    return 0;
}

static enum replica_exit
lock_directory(struct disk *d, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", d->dir);

    if (dir_make(d->log_dir, 0700, err) < 0 ||
        remove_temporaries(d->dir, err) < 0 ||
        remove_temporaries(d->log_dir, err) < 0)
        return REPLICA_EXIT_IO;
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
        return REPLICA_EXIT_IO;
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        error_set(err, ERROR_CONFIG,
                  "%s: another process runs on this directory", path);
        return REPLICA_EXIT_USAGE;
    }
    return REPLICA_EXIT_OK;
}

static enum replica_exit
exit_of(const struct error *err)
{
    return err->kind == ERROR_CONFIG ? REPLICA_EXIT_CORRUPT : REPLICA_EXIT_IO;
}

static enum replica_exit
open_meta(struct disk *d, const struct replica_options *o,
          struct disk_found *found, struct error *err)
{
    struct meta m;
    int rc = meta_read(d->dir, &m, err);

    if (rc < 0)
        return exit_of(err);
    found->meta_found = rc > 0;
    if (rc == 0)
        return REPLICA_EXIT_OK;
    found->meta = m.vsr;
    if (strcmp(m.cluster, o->cluster) != 0 || strcmp(m.node, o->node) != 0) {
        error_set(err, ERROR_CONFIG,
                  "%s/meta: belongs to node '%s' of cluster '%s'", d->dir,
                  m.node, m.cluster);
        return REPLICA_EXIT_IDENTITY;
    }
    if (strcmp(m.engine, o->engine->name) != 0) {
        error_set(err, ERROR_CONFIG, "%s/meta: belongs to engine '%s'", d->dir,
                  m.engine);
        return REPLICA_EXIT_IDENTITY;
    }
    if (m.vsr.replica != o->self || m.vsr.replica_count != o->peer_count) {
        error_set(err, ERROR_CONFIG,
                  "%s/meta: belongs to replica %u of %u, the peers given make "
                  "it %u of %u",
                  d->dir, m.vsr.replica, m.vsr.replica_count, o->self,
                  o->peer_count);
        return REPLICA_EXIT_IDENTITY;
    }
    return REPLICA_EXIT_OK;
}

static enum replica_exit
load_snapshot(struct disk *d, const struct replica_options *o, struct vsr *v,
              struct engine *engine, struct disk_found *found,
              struct error *err)
{
    struct snapshot_info info;

    if (snapshot_image_parse(found->snapshot.data, found->snapshot.len, &info,
                             err) < 0 ||
        (strcmp(info.engine, engine->ops->name) != 0 &&
         error_set(err, ERROR_CONFIG, "state of engine '%s'", info.engine) <
             0) ||
        engine->ops->load(engine, info.state, info.state_length, err) < 0) {
        error_wrap(err, "%s/snapshot", d->dir);
        return REPLICA_EXIT_CORRUPT;
    }
    if (strcmp(info.cluster, o->cluster) != 0) {
        error_set(err, ERROR_CONFIG, "%s/snapshot: belongs to cluster '%s'",
                  d->dir, info.cluster);
        return REPLICA_EXIT_IDENTITY;
    }
    found->snapshot.position = info.position;
    found->snapshot_chain = info.chain;
    if (vsr_restore_snapshot(v, info.position, err) < 0)
        return REPLICA_EXIT_CORRUPT;
    return REPLICA_EXIT_OK;
}

static enum replica_exit
open_snapshot(struct disk *d, const struct replica_options *o, struct vsr *v,
              struct engine *engine, struct disk_found *found,
              struct error *err)
{
    int rc = snapshot_read(d->dir, &d->generation, &found->snapshot.data,
                           &found->snapshot.len, err);

    if (rc < 0)
        return exit_of(err);
    if (rc == 0) {
        d->generation = 1;
        return REPLICA_EXIT_OK;
    }
    return load_snapshot(d, o, v, engine, found, err);
}

struct entry_feed {
    struct vsr *v;
    uint64_t first_wanted;
    uint64_t fed;
};

static int
feed_entry(void *ctx, const struct vsr_entry *e, struct error *err)
{
    struct entry_feed *feed = ctx;

    if (e->index < feed->first_wanted)
        return 0;
    feed->fed++;
    return vsr_restore_entry(feed->v, e, err);
}

static enum replica_exit
open_log(struct disk *d, const struct replica_options *o, struct vsr *v,
         struct disk_found *found, struct error *err)
{
    uint64_t base = found->snapshot.position.index;
    struct entry_feed feed = {.v = v};
    struct durable_log_report report;

    if (base > o->retain_entries)
        feed.first_wanted = base - o->retain_entries + 1;
    if (durable_log_open(d->log_dir, d->generation, base + 1, feed_entry, &feed,
                         &d->log, &report, err) < 0)
        return exit_of(err);
    found->last_index = report.last_index;
    snprintf(found->detail, sizeof(found->detail),
             "snapshot at %" PRIu64 ", log %" PRIu64 " to %" PRIu64 " (%" PRIu64
             " entries), %" PRIu64 " torn bytes cut%s",
             base, report.first_index, report.last_index, feed.fed,
             report.torn_bytes,
             report.stale_segments > 0 ? ", interrupted installation finished"
                                       : "");
    return REPLICA_EXIT_OK;
}

enum replica_exit
disk_open(const struct replica_options *o, struct crash_plan *crash,
          struct vsr *v, struct engine *engine, struct disk **ret,
          struct disk_found *ret_found, struct error *err)
{
    struct disk *d = xcalloc(1, sizeof(*d));
    enum replica_exit code;

    memset(ret_found, 0, sizeof(*ret_found));
    d->crash = crash;
    d->dir = xstrdup(o->data);
    d->log_dir = xasprintf("%s/log", o->data);
    d->lock_fd = -1;
    d->no_fsync = o->bug == BUG_NO_FSYNC;
    memcpy(d->identity.cluster, o->cluster, sizeof(d->identity.cluster));
    memcpy(d->identity.node, o->node, sizeof(d->identity.node));
    snprintf(d->identity.engine, sizeof(d->identity.engine), "%s",
             o->engine->name);
    pthread_mutex_init(&d->snapshot_lock, NULL);
    code = lock_directory(d, err);
    if (code == REPLICA_EXIT_OK)
        code = open_meta(d, o, ret_found, err);
    if (code == REPLICA_EXIT_OK)
        code = open_snapshot(d, o, v, engine, ret_found, err);
    if (code == REPLICA_EXIT_OK)
        code = open_log(d, o, v, ret_found, err);
    if (code != REPLICA_EXIT_OK) {
        image_release(&ret_found->snapshot);
        disk_free(d);
        return code;
    }
    *ret = d;
    return REPLICA_EXIT_OK;
}

void
disk_start(struct disk *d, uv_loop_t *loop, const struct disk_events *events,
           void *ctx)
{
    d->loop = loop;
    d->events = *events;
    d->ctx = ctx;
    d->work.data = d;
    d->take_work.data = d;
    d->log_bytes = durable_log_bytes(d->log);
}

static void
queue_release(struct disk_queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        buf_release(&q->items[i].frames);
        image_release(&q->items[i].image);
    }
    q->count = 0;
}

void
disk_free(struct disk *d)
{
    if (d == NULL)
        return;
    assert(disk_idle(d));
    durable_log_free(d->log);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    queue_release(&d->filling);
    free(d->filling.items);
    free(d->working.items);
    pthread_mutex_destroy(&d->snapshot_lock);
    free(d->dir);
    free(d->log_dir);
    free(d);
}

/* ---- the queue ---- */

static struct disk_item *
queue_add(struct disk *d, enum disk_item_type type)
{
    struct disk_queue *q = &d->filling;

    assert(q->count < QUEUE_ITEMS_MAX);
    if (q->count == q->cap) {
        q->cap = q->cap == 0 ? 64 : q->cap * 2;
        q->items = xrealloc(q->items, q->cap * sizeof(q->items[0]));
    }
    memset(&q->items[q->count], 0, sizeof(q->items[0]));
    q->items[q->count].type = type;
    return &q->items[q->count++];
}

void
disk_append(struct disk *d, const struct vsr_entry *e)
{
    struct disk_queue *q = &d->filling;
    struct disk_item *item = q->count > 0 ? &q->items[q->count - 1] : NULL;

    if (item == NULL || item->type != DISK_APPEND) {
        item = queue_add(d, DISK_APPEND);
        buf_init(&item->frames, APPEND_BYTES_MAX);
    }
    durable_log_frame(e, &item->frames);
    item->index = e->index;
}

void
disk_truncate(struct disk *d, uint64_t index)
{
    queue_add(d, DISK_TRUNCATE)->index = index;
}

void
disk_metadata(struct disk *d, const struct vsr_metadata *m, uint64_t seq)
{
    struct disk_item *item = queue_add(d, DISK_METADATA);

    item->metadata = *m;
    item->seq = seq;
}

void
disk_sync(struct disk *d, uint64_t seq)
{
    queue_add(d, DISK_SYNC)->seq = seq;
}

void
disk_release(struct disk *d, uint64_t index)
{
    queue_add(d, DISK_RELEASE)->index = index;
}

void
disk_install(struct disk *d, const struct image *image, uint64_t seq)
{
    struct disk_item *item = queue_add(d, DISK_INSTALL);

    item->image = *image;
    item->seq = seq;
}

/* ---- the worker ---- */

static int
work_metadata(struct disk *d, const struct vsr_metadata *m, struct error *err)
{
    struct meta meta = d->identity;

    meta.vsr = *m;
    /* Like the log's mark, it claims only what was flushed: nothing. */
    if (d->no_fsync)
        meta.vsr.acked = meta.vsr.commit = 0;
    return meta_store(d->dir, &meta, err);
}

static int
work_install(struct disk *d, const struct image *image, struct error *err)
{
    int rc;

    pthread_mutex_lock(&d->snapshot_lock);
    d->generation++;
    rc = snapshot_store(d->dir, d->generation, image->data, image->len, err);
    pthread_mutex_unlock(&d->snapshot_lock);
    if (rc < 0)
        return rc;
    crash_point_pass(d->crash, CRASH_INSTALL);
    return durable_log_restart(d->log, d->generation, image->position.index + 1,
                               err);
}

static int
work_append(struct disk *d, const struct disk_item *item, struct error *err)
{
    size_t len = item->frames.len;

    crash_point_pass(d->crash, CRASH_BEFORE_APPEND);
    if (crash_point_hit(d->crash, CRASH_APPEND)) {
        durable_log_append(d->log, item->frames.data, len / 2, item->index,
                           err);
        crash_now(d->crash);
    }
    return durable_log_append(d->log, item->frames.data, len, item->index, err);
}

static int
work_sync(struct disk *d, struct error *err)
{
    crash_point_pass(d->crash, CRASH_BEFORE_SYNC);
    if (!d->no_fsync && durable_log_sync(d->log, err) < 0)
        return -1;
    crash_point_pass(d->crash, CRASH_AFTER_SYNC);
    return 0;
}

static int
work_item(struct disk *d, struct disk_item *item, struct error *err)
{
    switch (item->type) {
    case DISK_APPEND:
        return work_append(d, item, err);
    case DISK_TRUNCATE:
        return durable_log_truncate(d->log, item->index, err);
    case DISK_METADATA:
        return work_metadata(d, &item->metadata, err);
    case DISK_SYNC:
        return work_sync(d, err);
    case DISK_RELEASE:
        return durable_log_release(d->log, item->index, err);
    case DISK_INSTALL:
        return work_install(d, &item->image, err);
    }
    return error_set(err, ERROR_BUG, "disk item %d", (int)item->type);
}

/* Fail-stop, from whatever thread: no other thread may go on and answer. */
static void
die(const struct error *err)
{
    log_error("disk", "%s; ending", err->text);
    _exit((int)exit_of(err));
}

static void
work_run(uv_work_t *work)
{
    struct disk *d = work->data;
    struct error err;

    for (size_t i = 0; i < d->working.count; i++)
        if (work_item(d, &d->working.items[i], &err) < 0)
            die(&err);
    d->log_bytes = durable_log_bytes(d->log);
}

static void
work_after(uv_work_t *work, int status)
{
    struct disk *d = work->data;
    struct disk_queue *q = &d->working;
    uint64_t seq = 0;

    assert(status == 0);
    d->busy = false;
    for (size_t i = 0; i < q->count; i++) {
        struct disk_item *item = &q->items[i];

        if (item->type == DISK_METADATA || item->type == DISK_SYNC)
            seq = item->seq;
        if (item->type == DISK_INSTALL) {
            if (seq > 0)
                d->events.done(d->ctx, seq);
            seq = 0;
            d->events.installed(d->ctx, item->image.position);
            item->image.data = NULL;
        }
    }
    if (seq > 0)
        d->events.done(d->ctx, seq);
    queue_release(q);
    disk_kick(d);
}

void
disk_kick(struct disk *d)
{
    struct disk_queue empty = d->working;

    if (d->busy || d->filling.count == 0)
        return;
    assert(empty.count == 0);
    d->working = d->filling;
    d->filling = empty;
    d->busy = true;
    uv_queue_work(d->loop, &d->work, work_run, work_after);
}

/* ---- snapshots of the running state ---- */

static void
take_run(uv_work_t *work)
{
    struct disk *d = work->data;
    struct error err;
    int rc = 0;

    /* With that bug the log must at least not end below the snapshot. */
    if (d->no_fsync && syncfs(d->lock_fd) < 0) {
        error_errno(&err, ERROR_ENVIRONMENT, errno, "%s", d->dir);
        die(&err);
    }
    pthread_mutex_lock(&d->snapshot_lock);
    d->take_written = d->generation == d->take_generation;
    if (d->take_written)
        rc = snapshot_store(d->dir, d->generation, d->take_image.data,
                            d->take_image.len, &err);
    pthread_mutex_unlock(&d->snapshot_lock);
    if (rc < 0)
        die(&err);
}

static void
take_after(uv_work_t *work, int status)
{
    struct disk *d = work->data;

    assert(status == 0);
    d->taking = false;
    d->events.taken(d->ctx, d->take_image.position, d->take_written);
}

void
disk_take(struct disk *d, const struct image *image)
{
    assert(!d->taking);
    d->taking = true;
    d->take_image = *image;
    pthread_mutex_lock(&d->snapshot_lock);
    d->take_generation = d->generation;
    pthread_mutex_unlock(&d->snapshot_lock);
    uv_queue_work(d->loop, &d->take_work, take_run, take_after);
}

bool
disk_taking(const struct disk *d)
{
    return d->taking;
}

bool
disk_idle(const struct disk *d)
{
    return !d->busy && !d->taking;
}

uint64_t
disk_log_bytes(const struct disk *d)
{
    return d->log_bytes;
}

uint64_t
disk_free_bytes(const struct disk *d)
{
    struct statvfs s;

    if (statvfs(d->dir, &s) < 0)
        return UINT64_MAX;
    return (uint64_t)s.f_bavail * s.f_frsize;
}
