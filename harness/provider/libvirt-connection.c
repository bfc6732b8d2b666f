/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Embedded: make the root and its qemu.conf, point libvirt's own directories
 * and log into it, start the event loop thread, open.  What libvirt made below
 * the root by then is noted; the second opening in a process finds the same
 * directories made anew, since libvirt sets them up only once.
 *
 * Failure modes: running as root without the user that Debian's libvirt is
 * built for (it insists on it, whatever qemu.conf says): an error with the
 * command that makes it.  A remote URI: refused, because disks and NICs of our
 * guests live on this host.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <libvirt/virterror.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/provider/libvirt-connection.h"

/* Debian's QEMU_USER, compiled into libvirt. */
#define LIBVIRT_USER "libvirt-qemu"
#define LIBVIRT_DIRECTORY_COUNT_MAX 64
#define LIBVIRT_LOOP_TICK_MS 1000

/* Process-wide because libvirt's embedded driver is. */
static struct {
    pthread_mutex_t mutex;
    char root[RUNTIME_DIR_SIZE];
    unsigned users;
    char *directories[LIBVIRT_DIRECTORY_COUNT_MAX];
    unsigned directory_count;
} embedded = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t libvirt_once = PTHREAD_ONCE_INIT;

int
libvirt_fail(struct error *err, const char *what)
{
    virErrorPtr e = virGetLastError();

    return error_set(err, ERROR_ENVIRONMENT, "%s: %s", what,
                     e == NULL || e->message == NULL ? "libvirt says nothing"
                                                     : e->message);
}

/* Errors come back as values; nothing is printed. */
static void
libvirt_quiet(void *ctx, virErrorPtr error)
{
}

static void
libvirt_library_init(void)
{
    virSetErrorFunc(NULL, libvirt_quiet);
    virEventRegisterDefaultImpl();
}

/* ---- the event loop ---- */

static void
libvirt_tick(int timer, void *opaque)
{
}

static void *
libvirt_loop_main(void *arg)
{
    struct libvirt_connection *c = arg;

    prctl(PR_SET_NAME, "ordeal-libvirt");
    while (!c->stop)
        if (virEventRunDefaultImpl() < 0)
            log_warning("libvirt", "event loop failed, continuing");
    return NULL;
}

static int
libvirt_loop_start(struct libvirt_connection *c, struct error *err)
{
    sigset_t all, old;
    int rc;

    c->timer =
        virEventAddTimeout(LIBVIRT_LOOP_TICK_MS, libvirt_tick, NULL, NULL);
    if (c->timer < 0)
        return libvirt_fail(err, "event loop");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&c->loop, NULL, libvirt_loop_main, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return error_errno(err, ERROR_ENVIRONMENT, rc, "event loop thread");
    c->looping = true;
    return 0;
}

static void
libvirt_loop_stop(struct libvirt_connection *c)
{
    if (!c->looping)
        return;
    c->stop = true;
    virEventUpdateTimeout(c->timer, 0);
    pthread_join(c->loop, NULL);
    virEventRemoveTimeout(c->timer);
    c->looping = false;
}

static int
libvirt_connect(struct libvirt_connection *c, const char *uri,
                struct error *err)
{
    pthread_once(&libvirt_once, libvirt_library_init);
    if (libvirt_loop_start(c, err) < 0)
        return -1;
    c->conn = virConnectOpen(uri);
    if (c->conn != NULL)
        return 0;
    libvirt_fail(err, uri);
    libvirt_loop_stop(c);
    return -1;
}

/* ---- the embedded root ---- */

static int
embedded_write_config(const char *root, struct error *err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/etc", root);
    CLEANUP_FREE char *path = xasprintf("%s/qemu.conf", dir);
    CLEANUP(buf_release) struct buf text;

    buf_init(&text, 4096);
    buf_puts(&text, "stdio_handler = \"file\"\nsecurity_driver = \"none\"\n"
                    "cgroup_controllers = [ ]\nnamespaces = [ ]\n"
                    "remember_owner = 0\n");
    if (geteuid() == 0)
        buf_puts(&text, "user = \"root\"\ngroup = \"root\"\n"
                        "dynamic_ownership = 0\n");
    if (dir_make(dir, 0700, err) < 0)
        return -1;
    return file_write_atomic(path, text.data, text.len, 0600, err);
}

/* nftw has no argument for its callback: the list is reached directly. */
static int
embedded_note_directory(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    if (type == FTW_D && ftw->level > 0 &&
        embedded.directory_count < LIBVIRT_DIRECTORY_COUNT_MAX)
        embedded.directories[embedded.directory_count++] = xstrdup(path);
    return 0;
}

/* The environment that keeps libvirt's files below the root. */
struct embedded_environment {
    char *saved[4];
};
static const char *const embedded_variables[] = {
    "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
    "LIBVIRT_LOG_OUTPUTS"};

static void
embedded_environment_set(struct embedded_environment *e, const char *root)
{
    CLEANUP_FREE char *dir = xasprintf("%s/xdg", root);
    CLEANUP_FREE char *log = xasprintf("3:file:%s/libvirt.log", root);

    for (size_t i = 0; i < ARRAY_LEN(embedded_variables); i++) {
        const char *old = getenv(embedded_variables[i]);

        e->saved[i] = old == NULL ? NULL : xstrdup(old);
        setenv(embedded_variables[i], i == 3 ? log : dir, 1);
    }
}

static void
embedded_environment_restore(struct embedded_environment *e)
{
    for (size_t i = 0; i < ARRAY_LEN(embedded_variables); i++) {
        if (e->saved[i] == NULL)
            unsetenv(embedded_variables[i]);
        else
            setenv(embedded_variables[i], e->saved[i], 1);
        free(e->saved[i]);
    }
}

static int
embedded_check_user(struct error *err)
{
    if (geteuid() == 0 && getpwnam(LIBVIRT_USER) == NULL)
        return error_set(err, ERROR_ENVIRONMENT,
                         "as root, libvirt's QEMU driver needs the user '%s': "
                         "run 'useradd --system --user-group %s', or run as "
                         "another user",
                         LIBVIRT_USER, LIBVIRT_USER);
    return 0;
}

/* The root's first life, or its next one with the directories as they were. */
static int
embedded_prepare(struct error *err)
{
    if (embedded.root[0] == '\0') {
        if (runtime_dir_create("libvirt", embedded.root, err) < 0)
            return -1;
        return embedded_write_config(embedded.root, err);
    }
    if (runtime_dir_adopt(embedded.root, "libvirt", err) < 0)
        return -1;
    for (unsigned i = 0; i < embedded.directory_count; i++)
        if (dir_make(embedded.directories[i], 0700, err) < 0)
            return -1;
    return 0;
}

static void
embedded_leave(void)
{
    struct error err = {0};

    assert(embedded.users > 0);
    if (--embedded.users > 0)
        return;
    if (embedded.root[0] != '\0' && runtime_dir_remove(embedded.root, &err) < 0)
        log_warning("libvirt", "%s, continuing", err.text);
    if (embedded.directory_count == 0)
        embedded.root[0] = '\0'; /* libvirt never started: not tied to it */
}

/* The library reads its environment at its very first call. */
static int
embedded_connect(struct libvirt_connection *c, struct error *err)
{
    CLEANUP_FREE char *uri = NULL;
    bool first = embedded.directory_count == 0;
    struct embedded_environment environment;
    int rc;

    if (embedded_check_user(err) < 0 ||
        (embedded.users == 1 && embedded_prepare(err) < 0))
        return -1;
    uri = xasprintf("qemu:///embed?root=%s", embedded.root);
    embedded_environment_set(&environment, embedded.root);
    rc = libvirt_connect(c, uri, err);
    embedded_environment_restore(&environment);
    if (rc == 0 && first)
        nftw(embedded.root, embedded_note_directory, 16, FTW_PHYS);
    return rc;
}

static int
embedded_open(struct libvirt_connection *c, struct error *err)
{
    int rc;

    pthread_mutex_lock(&embedded.mutex);
    embedded.users++;
    rc = embedded_connect(c, err);
    if (rc == 0)
        memcpy(c->root, embedded.root, sizeof(c->root));
    else
        embedded_leave();
    pthread_mutex_unlock(&embedded.mutex);
    return rc;
}

/* ---- open and close ---- */

static int
libvirt_check_uri(const char *uri, struct error *err)
{
    const char *authority = strstr(uri, "://");

    if (authority != NULL && authority[3] != '/')
        return error_set(err, ERROR_CONFIG,
                         "'%s' names another host, but the disks, keys and "
                         "NICs of the guests are on this one: run ordeal "
                         "there",
                         uri);
    if (strncmp(uri, "qemu:///", 8) != 0)
        return error_set(err, ERROR_CONFIG,
                         "'%s' is not a URI of libvirt's QEMU driver on this "
                         "host (qemu:///session, qemu:///system)",
                         uri);
    return 0;
}

int
libvirt_connection_open(struct libvirt_connection *ret, const char *uri,
                        struct error *err)
{
    memset(ret, 0, sizeof(*ret));
    if (uri == NULL)
        return embedded_open(ret, err);
    if (libvirt_check_uri(uri, err) < 0)
        return -1;
    return libvirt_connect(ret, uri, err);
}

void
libvirt_connection_close(struct libvirt_connection *c)
{
    if (c->conn == NULL)
        return;
    virConnectClose(c->conn);
    c->conn = NULL;
    libvirt_loop_stop(c);
    if (c->root[0] != '\0') {
        pthread_mutex_lock(&embedded.mutex);
        embedded_leave();
        pthread_mutex_unlock(&embedded.mutex);
    }
    c->root[0] = '\0';
}
