/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platter as a plugin of nbdkit(1):
 *
 *   nbdkit -f --exit-with-parent -t 32 -U DISK.sock ordeal-platter.so
 *          file=IMAGE control=DISK.ctl [bound=64M] [sync=false]
 *          [record=DIR] [seed=N]
 *
 * A request passes the gate (dead connection, stall, latency, error), then
 * does its work under the store's lock, where its generation is looked at
 * again: a cut may have come between.  Then it goes back to the gate, which
 * keeps it for good.
 *
 * nbdkit gives its configuration callbacks no handle, hence the one static
 * object here.  It forks between get_ready and after_fork: what must fail
 * loudly is done before, threads are made after.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "harness/base/arena.h"
#include "nemesis/platter/server.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define PLUGIN_LOOK_AGAIN_NS                                                   \
    5000000 /* how late an unstalled request goes on                           \
             */
#define PLUGIN_NS_PER_S 1000000000u
#define PLUGIN_LEAVE_NS 50000000 /* ample for one failing send of nbdkit */

struct connection {
    uint64_t generation;
    unsigned leaving; /* requests that the client did not wait for */
};

static struct {
    struct server server;
    struct control_socket control;
    char *file, *control_path;
    int64_t bound_bytes;
    uint64_t seed;
    bool sync;
    int fd;
} plugin = {.bound_bytes = STORE_BOUND_BYTES, .seed = 1, .fd = -1};

/* ---- requests ---- */

static bool
plugin_must_wait(const struct server *s, const struct connection *c,
                 enum request kind)
{
    if (c->generation != s->store.generation)
        return !s->release;
    return s->rules.stalled >> kind & 1;
}

/*
 * Waits while it must, in slices that end when the client has gone; then what
 * the rules say.  gate_lock is held, and given up while waiting.
 */
static struct rule_decision
plugin_pass(struct connection *c, enum request kind, uint64_t offset,
            uint64_t length)
{
    struct server *s = &plugin.server;
    struct rule_decision d = {.error = ESHUTDOWN};
    int gone = 0;

    if (plugin_must_wait(s, c, kind)) {
        s->waiting++;
        while (gone == 0 && plugin_must_wait(s, c, kind)) {
            pthread_mutex_unlock(&s->gate_lock);
            gone = nbdkit_nanosleep(0, PLUGIN_LOOK_AGAIN_NS);
            pthread_mutex_lock(&s->gate_lock);
        }
        s->waiting--;
    }
    if (gone != 0 || c->generation != s->store.generation)
        return d;
    return rules_decide(&s->rules, kind, offset, length);
}

/* 0, or an errno.  'again': it has passed before, and is not counted twice. */
static int
plugin_gate(struct connection *c, enum request kind, uint64_t offset,
            uint64_t length, bool again, bool *ret_lose)
{
    struct server *s = &plugin.server;
    struct rule_decision d;

    pthread_mutex_lock(&s->gate_lock);
    s->rules.ops[kind] += !again;
    d = plugin_pass(c, kind, offset, length);
    pthread_mutex_unlock(&s->gate_lock);
    if (d.delay_ns > 0 &&
        nbdkit_nanosleep((unsigned)(d.delay_ns / PLUGIN_NS_PER_S),
                         (unsigned)(d.delay_ns % PLUGIN_NS_PER_S)) != 0)
        return ESHUTDOWN;
    *ret_lose = d.lose;
    return d.error;
}

static int
plugin_check_range(uint64_t offset, uint64_t length, bool data)
{
    if (offset % STORE_SECTOR_BYTES != 0 || length % STORE_SECTOR_BYTES != 0)
        return EINVAL;
    return data && length > STORE_REQUEST_BYTES_MAX ? EINVAL : 0;
}

struct plugin_request {
    enum request kind;
    void *out;
    const void *in;
    uint32_t length;
    uint64_t offset;
    bool fua, lose;
};

/* Under the store's lock.  0 or a negative errno. */
static int
plugin_serve(struct store *s, const struct plugin_request *r)
{
    switch (r->kind) {
    case REQUEST_READ:
        return store_read(s, r->out, r->length, r->offset);
    case REQUEST_WRITE:
        return store_write(s, STORE_WRITE, r->in, r->length, r->offset, r->fua);
    case REQUEST_ZERO:
        return store_write(s, STORE_ZERO, NULL, r->length, r->offset, r->fua);
    case REQUEST_TRIM:
        return store_write(s, STORE_TRIM, NULL, r->length, r->offset, r->fua);
    case REQUEST_FLUSH:
        if (!r->lose)
            return store_flush(s);
        store_lose(s);
        return -EIO;
    case REQUEST_COUNT:
        break;
    }
    return -EINVAL;
}

/* Whether the cut has not come first; if it has, nothing was done. */
static bool
plugin_try(const struct connection *c, const struct plugin_request *r, int *ret)
{
    struct server *s = &plugin.server;
    bool live;

    if (r->kind == REQUEST_READ)
        pthread_rwlock_rdlock(&s->store_lock);
    else
        pthread_rwlock_wrlock(&s->store_lock);
    live = c->generation == s->store.generation;
    if (live)
        *ret = plugin_serve(&s->store, r);
    pthread_rwlock_unlock(&s->store_lock);
    return live;
}

/*
 * nbdkit 1.32 (mended in 1.33.10: "server: Don't assert on send if client
 * hangs up early") ends itself by an assertion when two of its threads answer
 * a client that has hung up, the second after the first one's send has failed.
 * A QEMU that is killed while its disk is frozen, stalled or slow leaves up to
 * 16 requests here that all wake up at that moment.  So the first answers at
 * once, and the others when nbdkit knows better than to try.
 */
static void
plugin_leave(struct connection *c)
{
    struct server *s = &plugin.server;
    const struct timespec later = {.tv_nsec = PLUGIN_LEAVE_NS};
    bool first;

    pthread_mutex_lock(&s->gate_lock);
    first = c->leaving++ == 0;
    pthread_mutex_unlock(&s->gate_lock);
    if (!first)
        nanosleep(&later, NULL);
}

static int
plugin_request(struct connection *c, struct plugin_request *r)
{
    bool data = r->kind == REQUEST_READ || r->kind == REQUEST_WRITE;
    int error = plugin_check_range(r->offset, r->length, data), rc = 0;

    for (bool again = false; error == 0; again = true) {
        error = plugin_gate(c, r->kind, r->offset, r->length, again, &r->lose);
        if (error != 0 && !r->lose)
            break;
        error = 0;
        if (plugin_try(c, r, &rc))
            break;
    }
    error = error != 0 ? error : -rc;
    if (error == 0 && plugin.sync && (r->kind == REQUEST_FLUSH || r->fua) &&
        fdatasync(plugin.fd) < 0)
        error = errno;
    if (error == ESHUTDOWN)
        plugin_leave(c);
    if (error != 0)
        nbdkit_set_error(error);
    return error != 0 ? -1 : 0;
}

static int
plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset,
             uint32_t flags)
{
    struct plugin_request r = {
        .kind = REQUEST_READ, .out = buf, .length = count, .offset = offset};

    return plugin_request(handle, &r);
}

static int
plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
              uint32_t flags)
{
    struct plugin_request r = {.kind = REQUEST_WRITE,
                               .in = buf,
                               .length = count,
                               .offset = offset,
                               .fua = (flags & NBDKIT_FLAG_FUA) != 0};

    return plugin_request(handle, &r);
}

static int
plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct plugin_request r = {.kind = REQUEST_ZERO,
                               .length = count,
                               .offset = offset,
                               .fua = (flags & NBDKIT_FLAG_FUA) != 0};

    return plugin_request(handle, &r);
}

static int
plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct plugin_request r = {.kind = REQUEST_TRIM,
                               .length = count,
                               .offset = offset,
                               .fua = (flags & NBDKIT_FLAG_FUA) != 0};

    return plugin_request(handle, &r);
}

static int
plugin_flush(void *handle, uint32_t flags)
{
    struct plugin_request r = {.kind = REQUEST_FLUSH};

    return plugin_request(handle, &r);
}

/* ---- connections ---- */

static void *
plugin_open(int read_only)
{
    struct server *s = &plugin.server;
    struct connection *c = xcalloc(1, sizeof(*c));
    bool powered;

    pthread_mutex_lock(&s->gate_lock);
    powered = s->store.powered;
    c->generation = s->store.generation;
    if (powered)
        s->connections++;
    else
        s->refused++;
    pthread_mutex_unlock(&s->gate_lock);
    if (powered)
        return c;
    free(c);
    nbdkit_error("the power is off");
    return NULL;
}

static void
plugin_close(void *handle)
{
    struct server *s = &plugin.server;

    pthread_mutex_lock(&s->gate_lock);
    s->connections--;
    pthread_mutex_unlock(&s->gate_lock);
    free(handle);
}

static int64_t
plugin_get_size(void *handle)
{
    return (int64_t)plugin.server.store.size;
}

static int
plugin_yes(void *handle)
{
    return 1;
}

static int
plugin_no(void *handle)
{
    return 0;
}

static int
plugin_fua(void *handle)
{
    return NBDKIT_FUA_NATIVE;
}

static int
plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                  uint32_t *maximum)
{
    *minimum = STORE_SECTOR_BYTES;
    *preferred = 4096;
    *maximum = STORE_REQUEST_BYTES_MAX;
    return 0;
}

/* ---- starting and ending ---- */

static int
plugin_config(const char *key, const char *value)
{
    int yes;

    if (strcmp(key, "file") == 0) {
        plugin.file = nbdkit_realpath(value);
        return plugin.file == NULL ? -1 : 0;
    }
    if (strcmp(key, "control") == 0) {
        plugin.control_path = nbdkit_absolute_path(value);
        return plugin.control_path == NULL ? -1 : 0;
    }
    if (strcmp(key, "record") == 0) {
        plugin.server.record_dir = nbdkit_realpath(value);
        return plugin.server.record_dir == NULL ? -1 : 0;
    }
    if (strcmp(key, "bound") == 0) {
        plugin.bound_bytes = nbdkit_parse_size(value);
        return plugin.bound_bytes < 0 ? -1 : 0;
    }
    if (strcmp(key, "seed") == 0)
        return nbdkit_parse_uint64_t("seed", value, &plugin.seed);
    if (strcmp(key, "sync") == 0) {
        yes = nbdkit_parse_bool(value);
        plugin.sync = yes > 0;
        return yes < 0 ? -1 : 0;
    }
    nbdkit_error("unknown parameter '%s'", key);
    return -1;
}

static int
plugin_config_complete(void)
{
    if (plugin.file != NULL && plugin.control_path != NULL)
        return 0;
    nbdkit_error("file=IMAGE and control=SOCKET are needed");
    return -1;
}

static int
plugin_get_ready(void)
{
    struct server *s = &plugin.server;
    pthread_rwlockattr_t attr;
    struct stat st;

    plugin.fd = open(plugin.file, O_RDWR | O_CLOEXEC);
    if (plugin.fd < 0 || fstat(plugin.fd, &st) < 0) {
        nbdkit_error("%s: %m", plugin.file);
        return -1;
    }
    if (flock(plugin.fd, LOCK_EX | LOCK_NB) < 0) {
        nbdkit_error("%s: another platter serves it: %m", plugin.file);
        return -1;
    }
    /* Else a stream of reads would keep a cut out for ever. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->store_lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&s->gate_lock, NULL);
    store_init(&s->store, plugin.fd,
               (uint64_t)st.st_size / STORE_SECTOR_BYTES * STORE_SECTOR_BYTES,
               (uint64_t)plugin.bound_bytes);
    rules_init(&s->rules, plugin.seed);
    if (s->store.size == 0) {
        nbdkit_error("%s: is empty", plugin.file);
        return -1;
    }
    if (control_bind(&plugin.control, s, plugin.control_path) < 0) {
        nbdkit_error("%s: %m", plugin.control_path);
        return -1;
    }
    return 0;
}

static int
plugin_after_fork(void)
{
    if (control_start(&plugin.control) == 0)
        return 0;
    nbdkit_error("control thread: %m");
    return -1;
}

/* All clients have gone.  A disk that is shut down in order keeps its cache. */
static void
plugin_cleanup(void)
{
    struct store *s = &plugin.server.store;

    if (plugin.fd < 0)
        return;
    control_stop(&plugin.control);
    if (s->powered && !s->lying && store_sync(s) < 0)
        nbdkit_error("%s: the log could not be applied", plugin.file);
    store_release(s);
    close(plugin.fd);
    plugin.fd = -1;
}

static void
plugin_unload(void)
{
    free(plugin.file);
    free(plugin.control_path);
    free(plugin.server.record_dir);
}

static struct nbdkit_plugin plugin_table = {
    .name = "platter",
    .longname = "Ordeal's platter",
    .version = PACKAGE_VERSION,
    .description = "a disk that can lose, tear and refuse",
    .config = plugin_config,
    .config_complete = plugin_config_complete,
    .config_help = "file=IMAGE     (required) the disk\n"
                   "control=SOCKET (required) where it takes commands\n"
                   "record=DIR     where decisions of power cuts go\n"
                   "bound=SIZE     most bytes held back (64M)\n"
                   "sync=BOOL      fdatasync at each flush (false)\n"
                   "seed=N         of rules by rate (1)",
    .get_ready = plugin_get_ready,
    .after_fork = plugin_after_fork,
    .cleanup = plugin_cleanup,
    .unload = plugin_unload,
    .open = plugin_open,
    .close = plugin_close,
    .get_size = plugin_get_size,
    .block_size = plugin_block_size,
    .can_write = plugin_yes,
    .can_flush = plugin_yes,
    .can_fua = plugin_fua,
    .can_trim = plugin_yes,
    .can_zero = plugin_yes,
    .can_fast_zero = plugin_yes,
    .can_multi_conn = plugin_yes,
    .is_rotational = plugin_no,
    .pread = plugin_pread,
    .pwrite = plugin_pwrite,
    .flush = plugin_flush,
    .trim = plugin_trim,
    .zero = plugin_zero,
};

/* nbdkit's name for it; its macro declares no prototype. */
struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(plugin_table)
