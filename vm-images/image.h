/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest image as the driver sees it: a directory with 'vmlinuz', 'initrd',
 * 'root.img' and 'manifest.json' (docs/GUEST.md), made by a recipe that is a
 * script.  Images live below the user's cache directory under the hash of
 * their inputs; each recipe knows its own image, so two versions of this
 * program never use each other's.
 *
 * Threads: safe from any; a build holds a lock against other builds.
 */
#ifndef ORDEAL_VM_IMAGES_IMAGE_H
#define ORDEAL_VM_IMAGES_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/error.h"

/* Images are of one program's versions: nobody keeps more. */
#define IMAGE_COUNT_MAX 1000

struct image {
    char *dir;    /* absolute */
    char *hash;   /* its name */
    char *kernel; /* "6.1.0-56-cloud-amd64" */
    uint64_t bytes;
    bool current; /* image_path() answers this one */
};

struct image_list {
    struct image *images; /* sorted by hash */
    size_t count;
};

/*
 * Builds the image of this program's recipe unless it is there.  Progress goes
 * to the log.  At most half an hour.
 */
int image_build(struct error *err);

/* Its directory; the caller frees.  Fails when it was not built yet. */
int image_path(char **ret_dir, struct error *err);

/* All images in the cache.  None is success. */
int image_list_read(struct image_list *ret, struct error *err);
void image_list_release(struct image_list *list);

#endif
