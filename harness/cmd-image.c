/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal image build|list|path': the guest image. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "artifacts/status.h"
#include "harness/commands.h"
#include "vm-images/image.h"

static int
image_print_list(const struct command *self)
{
    struct image_list list = {0};
    struct error err = {0};

    if (image_list_read(&list, &err) < 0)
        return command_failed(self, &err);
    for (size_t i = 0; i < list.count; i++)
        printf("%s %-24s %6" PRIu64 " MiB  %s\n",
               list.images[i].current ? "*" : " ", list.images[i].kernel,
               list.images[i].bytes >> 20, list.images[i].dir);
    image_list_release(&list);
    return 0;
}

static int
image_main(const struct command *self, int argc, char **argv)
{
    CLEANUP_FREE char *path = NULL;
    struct error err = {0};
    int count, exit_status;

    if (options_parse(self, NULL, 0, false, argc, argv, &count, &exit_status) !=
        OPTIONS_OK)
        return exit_status;
    if (count != 1)
        return usage_error(self, "what? 'build', 'list' or 'path'");
    if (strcmp(argv[0], "build") == 0) {
        if (image_build(&err) < 0)
            return command_failed(self, &err);
    } else if (strcmp(argv[0], "list") == 0) {
        return image_print_list(self);
    } else if (strcmp(argv[0], "path") != 0) {
        return usage_error(self, "'%s' is none of build, list, path", argv[0]);
    }
    if (image_path(&path, &err) < 0)
        return command_failed(self, &err);
    printf("%s\n", path);
    return 0;
}

const struct command command_image = {
    .name = "image",
    .synopsis = "build|list|path",
    .summary = "make the guest image from Debian packages, or find it",
    .details = "'build' needs no privileges; a second time it finds that "
               "nothing has changed.\n'path' prints the directory of the "
               "current image, 'list' all of them (* the current one).",
    .run = image_main,
};
