/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the directory without following links, sorts the paths and hashes each
 * file in one pass that also looks for private keys.  Links, sockets and
 * devices are passed over.
 *
 * A file that cannot be read fails the scan: a manifest that leaves out what
 * it could not read would vouch for nothing.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#include "artifacts/bundle.h"
#include "artifacts/manifest.h"
#include "artifacts/secrets.h"
#include "harness/base/arena.h"

#define MANIFEST_DEPTH_MAX 16
#define MANIFEST_READ_BYTES (128u << 10)

struct manifest_scan {
    const char *dir;
    struct arena arena;
    char **paths; /* relative */
    size_t count, cap;
    unsigned char buffer[SECRETS_OVERLAP_BYTES + MANIFEST_READ_BYTES];
};

/* ---- finding ---- */

static int
manifest_found(struct manifest_scan *s, const char *path, struct error *err)
{
    if (strcmp(path, BUNDLE_MANIFEST) == 0)
        return 0;
    if (s->count == BUNDLE_FILE_COUNT_MAX)
        return error_set(err, ERROR_BUG, "%s: more than %d files", s->dir,
                         BUNDLE_FILE_COUNT_MAX);
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 64 : s->cap * 2;
        s->paths = xrealloc(s->paths, s->cap * sizeof(*s->paths));
    }
    s->paths[s->count++] = arena_strdup(&s->arena, path);
    return 0;
}

static int manifest_walk(struct manifest_scan *s, const char *path, int depth,
                         struct error *err);

static int
manifest_entry(struct manifest_scan *s, DIR *d, const char *parent,
               const char *name, int depth, struct error *err)
{
    const char *path =
        *parent == '\0' ? name : arena_printf(&s->arena, "%s/%s", parent, name);
    struct stat st;

    if (fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s/%s", s->dir,
                           path);
    if (S_ISREG(st.st_mode))
        return manifest_found(s, path, err);
    return S_ISDIR(st.st_mode) ? manifest_walk(s, path, depth + 1, err) : 0;
}

static int
manifest_walk(struct manifest_scan *s, const char *path, int depth,
              struct error *err)
{
    CLEANUP_FREE char *full = xasprintf("%s/%s", s->dir, path);
    struct dirent *entry;
    int status = 0;
    DIR *d;

    if (depth > MANIFEST_DEPTH_MAX)
        return error_set(err, ERROR_BUG, "%s: directories too deep", full);
    d = opendir(full);
    if (d == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", full);
    errno = 0;
    while (status == 0 && (entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = manifest_entry(s, d, path, entry->d_name, depth, err);
        errno = 0;
    }
    if (status == 0 && errno != 0)
        status = error_errno(err, ERROR_ENVIRONMENT, errno, "%s", full);
    closedir(d);
    return status;
}

static int
manifest_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- hashing ---- */

struct manifest_file {
    uint64_t size;
    char sha256[65];
    bool secret;
};

static int
manifest_read(struct manifest_scan *s, int fd, EVP_MD_CTX *md,
              struct manifest_file *ret)
{
    size_t kept = 0;

    for (;;) {
        unsigned char *fresh = s->buffer + kept;
        ssize_t n = read(fd, fresh, MANIFEST_READ_BYTES);
        size_t all;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : 0;
        EVP_DigestUpdate(md, fresh, (size_t)n);
        ret->size += (uint64_t)n;
        all = kept + (size_t)n;
        ret->secret = ret->secret || secrets_key(s->buffer, all);
        kept = all < SECRETS_OVERLAP_BYTES ? all : SECRETS_OVERLAP_BYTES;
        memmove(s->buffer, s->buffer + all - kept, kept);
    }
}

static int
manifest_hash(struct manifest_scan *s, const char *path,
              struct manifest_file *ret, struct error *err)
{
    CLEANUP_FREE char *full = xasprintf("%s/%s", s->dir, path);
    CLEANUP_CLOSE int fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *md;
    int status;

    memset(ret, 0, sizeof(*ret));
    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", full);
    md = EVP_MD_CTX_new();
    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        return error_set(err, ERROR_ENVIRONMENT, "libcrypto has no SHA-256");
    }
    status = manifest_read(s, fd, md, ret);
    if (status < 0)
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s: read", full);
    EVP_DigestFinal_ex(md, digest, &len);
    EVP_MD_CTX_free(md);
    for (unsigned i = 0; i < len && i < 32; i++)
        snprintf(ret->sha256 + 2 * i, 3, "%02x", digest[i]);
    return status;
}

static int
manifest_withhold(const struct manifest_scan *s, const char *path,
                  json_t *withheld, struct error *err)
{
    CLEANUP_FREE char *full = xasprintf("%s/%s", s->dir, path);

    if (unlink(full) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "%s holds a private key and cannot be removed",
                           full);
    json_array_append_new(withheld, json_string(path));
    return 0;
}

static int
manifest_add(struct manifest_scan *s, const char *path, json_t *withheld,
             json_t *ret, struct error *err)
{
    struct manifest_file file;

    if (manifest_hash(s, path, &file, err) < 0)
        return -1;
    if (file.secret && withheld != NULL)
        return manifest_withhold(s, path, withheld, err);
    if (json_array_append_new(ret, json_pack("{s:s,s:I,s:s}", "path", path,
                                             "size", (json_int_t)file.size,
                                             "sha256", file.sha256)) < 0)
        return error_set(err, ERROR_CONFIG, "%s: a file name is not UTF-8",
                         s->dir);
    return 0;
}

json_t *
manifest_scan(const char *dir, json_t *withheld, struct error *err)
{
    struct manifest_scan *s = xcalloc(1, sizeof(*s));
    json_t *files = json_array();
    int status;

    s->dir = dir;
    arena_init(&s->arena);
    status = manifest_walk(s, "", 0, err);
    if (status == 0 && s->count > 0)
        qsort(s->paths, s->count, sizeof(*s->paths), manifest_compare);
    for (size_t i = 0; i < s->count && status == 0; i++)
        status = manifest_add(s, s->paths[i], withheld, files, err);
    arena_release(&s->arena);
    free(s->paths);
    free(s);
    if (status == 0)
        return files;
    json_decref(files);
    return NULL;
}
