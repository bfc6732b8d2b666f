/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's view of the image cache, and the recipe's refusals. */
#include "config.h"

#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "tests/lib/tap.h"
#include "vm-images/image.h"

static char cache[64];

/* An empty cache of its own, and the real PATH behind 'front'. */
static bool
setup(void)
{
    snprintf(cache, sizeof(cache), "/tmp/ordeal-test-XXXXXX");
    return mkdtemp(cache) != NULL && setenv("ORDEAL_CACHE_DIR", cache, 1) == 0;
}

static void
teardown(void)
{
    struct error err;

    dir_remove(cache, &err);
}

static bool
put(const char *relative, const char *text, mode_t mode)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", cache, relative);
    CLEANUP_FREE char *dir = xstrdup(path);
    struct error err;

    *strrchr(dir, '/') = '\0';
    return dir_make(dir, 0755, &err) == 0 &&
           file_write_atomic(path, text, strlen(text), mode, &err) == 0;
}

static void
test_empty_cache(void)
{
    CLEANUP_FREE char *dir = NULL;
    struct image_list list;
    struct error err;

    CHECK(setup());
    CHECK_OK(image_list_read(&list, &err), &err);
    CHECK_INT(list.count, 0);
    CHECK(image_path(&dir, &err) < 0);
    CHECK(dir == NULL);
    CHECK(strstr(err.text, "run 'ordeal image build'") != NULL);
    teardown();
}

static void
test_list_passes_over_what_is_no_image(void)
{
    struct image_list list;
    struct error err;

    CHECK(setup());
    CHECK(put("images/bbb/manifest.json", "{\"kernel\": \"6.1\"}", 0644));
    CHECK(put("images/bbb/initrd", "12345", 0644));
    CHECK(put("images/aaa/manifest.json", "{\"kernel\": \"6.0\"}", 0644));
    CHECK(put("images/broken/manifest.json", "{\"kernel\": ", 0644));
    CHECK(put("images/other/manifest.json", "{\"kernel\": 7}", 0644));
    CHECK(put("images/empty/file", "", 0644));
    CHECK(put("images/.build-x/manifest.json", "{\"kernel\": \"x\"}", 0644));
    CHECK(put("images/by-recipe/x", "", 0644));
    CHECK_OK(image_list_read(&list, &err), &err);
    CHECK_INT(list.count, 2);
    CHECK_STR(list.images[0].hash, "aaa");
    CHECK_STR(list.images[1].kernel, "6.1");
    CHECK_INT(list.images[1].bytes, 5);
    CHECK(strncmp(list.images[1].dir, cache, strlen(cache)) == 0);
    CHECK(!list.images[0].current && !list.images[1].current);
    image_list_release(&list);
    CHECK_INT(list.count, 0);
    teardown();
}

/* apt without package lists: one line that names the cure. */
static void
test_build_without_package_lists(void)
{
    CLEANUP_FREE char *path = xstrdup(getenv("PATH"));
    CLEANUP_FREE char *front = NULL;
    struct image_list list;
    struct error err;
    int result;

    CHECK(setup());
    CHECK(put("bin/apt-cache", "#!/bin/sh\nexit 100\n", 0755));
    front = xasprintf("%s/bin:%s", cache, path);
    setenv("PATH", front, 1);
    result = image_build(&err);
    setenv("PATH", path, 1);
    CHECK(result < 0);
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    if (strstr(err.text, "'apt-get update'") == NULL)
        printf("# the error is '%s'\n", err.text);
    CHECK(strstr(err.text, "'apt-get update'") != NULL ||
          strstr(err.text, "install the Debian package") != NULL);
    CHECK_OK(image_list_read(&list, &err), &err);
    CHECK_INT(list.count, 0);
    teardown();
}

int
main(void)
{
    RUN(test_empty_cache);
    RUN(test_list_passes_over_what_is_no_image);
    RUN(test_build_without_package_lists);
    return tap_done();
}
