/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"
#include "harness/output.h"
#include "harness/paths.h"
#include "harness/provider/accelerator.h"
#include "harness/provider/client-hosts.h"
#include "harness/readiness.h"
#include "harness/site.h"
#include "nemesis/fabric/namespace-port.h"
#include "nemesis/platter/platter.h"
#include "vm-images/image.h"

/* A bundle of a long run with logs and consoles. */
#define READINESS_FREE_MIB 512

/* Finds a program in PATH; the caller frees. */
static char *
readiness_which(const char *program)
{
    const char *path = getenv("PATH");
    CLEANUP_FREE char *dirs = xstrdup(path == NULL ? "/usr/bin:/bin" : path);
    char *save = NULL;

    for (char *dir = strtok_r(dirs, ":", &save); dir != NULL;
         dir = strtok_r(NULL, ":", &save)) {
        char *file = xasprintf("%s/%s", dir, program);

        if (access(file, X_OK) == 0)
            return file;
        free(file);
    }
    return NULL;
}

static void
readiness_fail(struct readiness_result *ret, const char *found, const char *fix)
{
    ret->ok = false;
    snprintf(ret->found, sizeof(ret->found), "%s", found);
    snprintf(ret->fix, sizeof(ret->fix), "%s", fix);
}

static void
readiness_ok(struct readiness_result *ret, const char *found)
{
    ret->ok = true;
    snprintf(ret->found, sizeof(ret->found), "%s", found);
    ret->fix[0] = '\0';
}

static void
readiness_qemu(struct readiness_result *ret)
{
    CLEANUP_FREE char *file = readiness_which("qemu-system-x86_64");

    if (file == NULL)
        readiness_fail(ret, "no qemu-system-x86_64 in PATH",
                       "apt-get install qemu-system-x86");
    else
        readiness_ok(ret, file);
}

/* Each data disk is served by nbdkit with a plugin of ours. */
static void
readiness_nbdkit(struct readiness_result *ret)
{
    CLEANUP_FREE char *file = readiness_which("nbdkit");
    struct error err = {0};
    CLEANUP_FREE char *plugin = platter_plugin_path(&err);
    char text[320];

    if (file == NULL) {
        readiness_fail(ret, "no nbdkit in PATH", "apt-get install nbdkit");
    } else if (plugin == NULL) {
        readiness_fail(ret, err.text, "./bootstrap build");
    } else {
        snprintf(text, sizeof(text), "%.150s with %.150s", file, plugin);
        readiness_ok(ret, text);
    }
}

/* libvirt's QEMU driver looks its user up before it reads its configuration. */
static void
readiness_user(struct readiness_result *ret)
{
    if (geteuid() != 0)
        readiness_ok(ret, "not root: nothing is needed");
    else if (getpwnam("libvirt-qemu") == NULL)
        readiness_fail(ret,
                       "root, and no user libvirt-qemu, which libvirt "
                       "looks for",
                       "useradd --system --user-group libvirt-qemu");
    else
        readiness_ok(ret, "root, and libvirt-qemu exists");
}

static void
readiness_image(struct readiness_result *ret)
{
    struct error err = {0};
    CLEANUP_FREE char *dir = NULL;

    if (image_path(&dir, &err) < 0)
        readiness_fail(ret, err.text, "ordeal image build");
    else
        readiness_ok(ret, dir);
}

static void
readiness_replica(struct readiness_result *ret)
{
    CLEANUP_FREE char *file = paths_program("ordeal-replica");

    if (access(file, X_OK) < 0)
        readiness_fail(ret, "no ordeal-replica beside ordeal",
                       "./bootstrap build");
    else
        readiness_ok(ret, file);
}

/* The directory itself, or the nearest one above it that exists. */
static char *
readiness_existing(const char *dir)
{
    char *path = xstrdup(dir);

    while (!path_exists(path)) {
        char *slash = strrchr(path, '/');

        if (slash == NULL || slash == path) {
            free(path);
            return xstrdup(slash == NULL ? "." : "/");
        }
        *slash = '\0';
    }
    return path;
}

static void
readiness_output(struct readiness_result *ret)
{
    CLEANUP_FREE char *dir = readiness_existing(output_directory(NULL));
    struct statvfs fs;
    struct stat st;
    char text[320];
    uint64_t free_mib;

    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || access(dir, W_OK) < 0 ||
        statvfs(dir, &fs) < 0) {
        snprintf(text, sizeof(text), "%s: cannot write there", dir);
        readiness_fail(ret, text, "choose another place: --output DIR");
        return;
    }
    free_mib = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
    snprintf(text, sizeof(text), "%s: %" PRIu64 " MiB free", dir, free_mib);
    if (free_mib < READINESS_FREE_MIB)
        readiness_fail(ret, text, "free some disk space, or --output DIR");
    else
        readiness_ok(ret, text);
}

static void
readiness_accelerator(struct readiness_result *ret)
{
    char reason[256] = "";
    enum accelerator found = provider_probe_accelerator(reason, sizeof(reason));
    char text[320];

    if (found == ACCELERATOR_KVM)
        readiness_ok(ret, "KVM (a guest ran)");
    else {
        snprintf(text, sizeof(text), "TCG, emulation: works, slower (KVM: %s)",
                 reason);
        readiness_ok(ret, text);
    }
}

/* Runs work without, and say so: it is never a failure. */
static void
readiness_clients(struct readiness_result *ret)
{
    CLEANUP_FREE char *program = paths_program(NAMESPACE_PROGRAM);
    struct error err = {0};
    struct client_hosts *hosts = client_hosts_new(program, 1, 1, &err);
    char text[320];

    if (hosts != NULL) {
        readiness_ok(ret, "in the cluster network, by user namespaces");
    } else {
        snprintf(text, sizeof(text),
                 "by doors, where a connect proves nothing: %.200s", err.text);
        readiness_ok(ret, text);
    }
    client_hosts_free(hosts);
}

/* Everything together: one machine, reached and asked. */
static void
readiness_boot(struct readiness_result *ret)
{
    const char *const argv[] = {"/bin/true", NULL};
    struct error err = {0};
    struct site site = {0};
    struct clock *clock = clock_monotonic();
    CLEANUP_FREE char *id =
        xasprintf("doctor-%04x", (unsigned)(rng_fresh_seed() & 0xffff));
    CLEANUP_FREE char *dir = NULL;
    struct site_options options = {
        .provider = provider_find("libvirt"),
        .system = system_find("replica"),
        .run_id = id,
        .node_count = 1,
        .memory_mib = 192,
        .vcpus = 1,
        .data_disk_mib = 64,
    };
    int64_t started = clock_now_ns(clock);
    char text[128];

    if (image_path(&dir, &err) < 0) {
        readiness_fail(ret, err.text, "ordeal image build");
        return;
    }
    options.image_dir = dir;
    if (site_open(&site, &options, clock, &err) < 0 ||
        remote_run(&site.remotes[0], argv, &err) < 0) {
        readiness_fail(ret, err.text,
                       "ordeal --debug all doctor shows each step");
    } else {
        snprintf(text, sizeof(text),
                 "a machine booted and answered over SSH in %.1f s",
                 (double)(clock_now_ns(clock) - started) / (double)NS_PER_S);
        readiness_ok(ret, text);
    }
    site_close(&site);
}

const struct readiness_check readiness_checks[] = {
    {"qemu", true, readiness_qemu},
    {"nbdkit", true, readiness_nbdkit},
    {"user", true, readiness_user},
    {"guest image", true, readiness_image},
    {"replica", true, readiness_replica},
    {"output", true, readiness_output},
    {"accelerator", false, readiness_accelerator},
    {"clients", false, readiness_clients},
    {"boot", false, readiness_boot},
    {NULL, false, NULL},
};

int
readiness_quick(struct error *err)
{
    for (const struct readiness_check *c = readiness_checks; c->name != NULL;
         c++) {
        struct readiness_result result = {0};

        if (!c->quick)
            continue;
        c->check(&result);
        if (!result.ok)
            return error_set(err, ERROR_ENVIRONMENT, "%s: %s: %s", c->name,
                             result.found, result.fix);
    }
    return 0;
}
