/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: the recipe and the guest's two programs are found beside this
 * executable (build tree) or where 'make install' put them; the script is run
 * with its standard error as progress lines and its standard output as answer.
 *
 * Failure modes: the script says one line that begins with "image: " and exits
 * with non-zero: that line is the error.  A script that does not end in time
 * is ended.  Directories in the cache that are no images are passed over.
 */
#include "config.h"

#include "vm-images/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/log.h"

/* A slow mirror may take minutes; the work itself takes seconds. */
#define BUILD_TIMEOUT_NS (30 * 60 * NS_PER_S)
#define PATH_TIMEOUT_NS (30 * NS_PER_S)
#define END_TIMEOUT_NS (10 * NS_PER_S)

/* A progress line, and a path. */
#define LINE_BYTES_MAX 4096
#define MANIFEST_BYTES_MAX (1u << 20)

struct recipe {
    char *script, *init, *svc;
};

struct script {
    pid_t pid;
    int out_fd, err_fd;        /* -1 when ended */
    struct buf out;            /* all of standard output */
    struct buf line;           /* the unfinished line of standard error */
    char last[LINE_BYTES_MAX]; /* its last whole line */
    bool progress;             /* lines go to the log */
};

static void
recipe_release(struct recipe *r)
{
    free(r->script);
    free(r->init);
    free(r->svc);
}

/* Beside this executable when it stands in a build tree, else installed. */
static int
recipe_find(struct recipe *ret, struct error *err)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CLEANUP_FREE char *mark = NULL;
    const char *dir;

    if (len < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "/proc/self/exe");
    self[len] = '\0';
    dir = dirname(self);
    mark = xasprintf("%s/config.status", dir);
    if (path_exists(mark)) {
        ret->script = xasprintf("%s/vm-images/build-image.sh", ORDEAL_SRCDIR);
        ret->init = xasprintf("%s/vm-images/ordeal-init", dir);
        ret->svc = xasprintf("%s/vm-images/ordeal-svc", dir);
    } else {
        ret->script = xasprintf("%s/build-image.sh", ORDEAL_IMAGEDATADIR);
        ret->init = xasprintf("%s/ordeal-init", ORDEAL_LIBEXECDIR);
        ret->svc = xasprintf("%s/ordeal-svc", ORDEAL_LIBEXECDIR);
    }
    return 0;
}

static void
script_exec(const struct recipe *r, const char *verb, int out_fd, int err_fd)
{
    const char *argv[] = {r->script, "--init", r->init, "--svc",
                          r->svc,    verb,     NULL};
    int null_fd = open("/dev/null", O_RDONLY);
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(out_fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
        _exit(126);
    execv(argv[0], (char *const *)argv); /* it does not write there */
    dprintf(STDERR_FILENO, "image: '%s': %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int
script_start(struct script *s, const struct recipe *r, const char *verb,
             struct error *err)
{
    int out[2], errors[2];

    if (pipe2(out, O_CLOEXEC) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "pipe");
    if (pipe2(errors, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        return error_errno(err, ERROR_ENVIRONMENT, errno, "pipe");
    }
    s->pid = fork();
    if (s->pid == 0)
        script_exec(r, verb, out[1], errors[1]);
    close(out[1]);
    close(errors[1]);
    s->out_fd = out[0];
    s->err_fd = errors[0];
    buf_init(&s->out, LINE_BYTES_MAX);
    buf_init(&s->line, LINE_BYTES_MAX - 1);
    if (s->pid < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "fork");
    return 0;
}

static void
script_release(struct script *s)
{
    if (s->out_fd >= 0)
        close(s->out_fd);
    if (s->err_fd >= 0)
        close(s->err_fd);
    buf_release(&s->out);
    buf_release(&s->line);
}

static void
script_line(struct script *s)
{
    const char *text = buf_text(&s->line);

    if (strncmp(text, "image: ", 7) == 0)
        text += 7;
    if (text[0] == '\0')
        return;
    snprintf(s->last, sizeof(s->last), "%s", text);
    if (s->progress)
        log_info("image", "%s", text);
}

static void
script_take(struct script *s, int *fd)
{
    char data[1024];
    ssize_t n = read(*fd, data, sizeof(data));

    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    if (fd == &s->out_fd) {
        buf_append(&s->out, data, (size_t)n);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] != '\n') {
            buf_append(&s->line, data + i, 1);
            continue;
        }
        script_line(s);
        buf_reset(&s->line);
    }
}

/* Reads until both ends are closed.  Returns false at the deadline. */
static bool
script_read(struct script *s, int64_t deadline_ns)
{
    while (s->out_fd >= 0 || s->err_fd >= 0) {
        struct pollfd fds[] = {{.fd = s->out_fd, .events = POLLIN},
                               {.fd = s->err_fd, .events = POLLIN}};
        int64_t left_ns = deadline_ns - clock_now_ns(clock_monotonic());

        if (left_ns <= 0)
            return false;
        if (poll(fds, 2, (int)(left_ns / NS_PER_MS) + 1) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents != 0)
            script_take(s, &s->out_fd);
        if (fds[1].revents != 0)
            script_take(s, &s->err_fd);
    }
    return true;
}

struct wait {
    pid_t pid;
    int status;
};

static bool
wait_ended(void *ctx)
{
    struct wait *w = ctx;

    return waitpid(w->pid, &w->status, WNOHANG) != 0;
}

/* The wait status; the script is ended if it still runs at the deadline. */
static int
script_end(struct script *s, int64_t deadline_ns)
{
    struct clock *clock = clock_monotonic();
    struct wait w = {.pid = s->pid};

    if (clock_poll(clock, deadline_ns, 5 * NS_PER_MS, wait_ended, &w))
        return w.status;
    kill(s->pid, SIGTERM);
    deadline_ns = clock_now_ns(clock) + END_TIMEOUT_NS;
    if (clock_poll(clock, deadline_ns, 5 * NS_PER_MS, wait_ended, &w))
        return w.status;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, &w.status, 0);
    return w.status;
}

/* Runs the recipe; ret_out, the caller's to free, is its answer. */
static int
recipe_run(const char *verb, int64_t timeout_ns, bool progress, char **ret_out,
           struct error *err)
{
    CLEANUP(recipe_release) struct recipe recipe = {.script = NULL};
    struct script s = {.out_fd = -1, .err_fd = -1, .progress = progress};
    int64_t deadline_ns = clock_now_ns(clock_monotonic()) + timeout_ns;
    int status, result = 0;
    bool ended;

    if (recipe_find(&recipe, err) < 0)
        return -1;
    if (script_start(&s, &recipe, verb, err) < 0) {
        script_release(&s);
        return -1;
    }
    ended = script_read(&s, deadline_ns);
    status = script_end(&s, deadline_ns);
    if (!ended)
        result = error_set(err, ERROR_TRANSIENT,
                           "guest image: '%s %s' did not end in time",
                           recipe.script, verb);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        result = error_set(err, ERROR_ENVIRONMENT, "guest image: %s",
                           s.last[0] != '\0' ? s.last : "the recipe failed");
    else
        *ret_out = buf_take(&s.out);
    script_release(&s);
    return result;
}

int
image_build(struct error *err)
{
    CLEANUP_FREE char *nothing = NULL;

    return recipe_run("build", BUILD_TIMEOUT_NS, true, &nothing, err);
}

int
image_path(char **ret_dir, struct error *err)
{
    CLEANUP_FREE char *dir = NULL;

    if (recipe_run("path", PATH_TIMEOUT_NS, false, &dir, err) < 0)
        return -1;
    if (dir == NULL || dir[0] != '/')
        return error_set(err, ERROR_BUG,
                         "guest image: the recipe named no "
                         "directory");
    dir[strcspn(dir, "\n")] = '\0';
    *ret_dir = TAKE(dir);
    return 0;
}

static char *
images_dir(void)
{
    const char *own = getenv("ORDEAL_CACHE_DIR");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (own != NULL && own[0] != '\0')
        return xasprintf("%s/images", own);
    if (xdg != NULL && xdg[0] != '\0')
        return xasprintf("%s/ordeal/images", xdg);
    return xasprintf("%s/.cache/ordeal/images", home == NULL ? "" : home);
}

static uint64_t
image_bytes(const char *dir)
{
    static const char *const names[] = {"vmlinuz", "initrd", "root.img"};
    uint64_t bytes = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, names[i]);
        struct stat st;

        if (stat(path, &st) == 0)
            bytes += (uint64_t)st.st_size;
    }
    return bytes;
}

/* Returns false when the directory is not an image. */
static bool
image_read(const char *images, const char *name, const char *current,
           struct image *ret)
{
    CLEANUP_FREE char *dir = xasprintf("%s/%s", images, name);
    CLEANUP_FREE char *path = xasprintf("%s/manifest.json", dir);
    CLEANUP_FREE char *text = NULL;
    struct error ignored;
    const char *kernel;
    json_t *manifest;

    text = file_read(path, MANIFEST_BYTES_MAX, NULL, &ignored);
    manifest = text == NULL ? NULL : json_loads(text, 0, NULL);
    kernel = json_string_value(json_object_get(manifest, "kernel"));
    if (kernel != NULL) {
        ret->hash = xstrdup(name);
        ret->kernel = xstrdup(kernel);
        ret->bytes = image_bytes(dir);
        ret->current = current != NULL && strcmp(current, dir) == 0;
        ret->dir = xstrdup(dir);
    }
    json_decref(manifest);
    return ret->dir != NULL;
}

static int
image_is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "by-recipe") != 0;
}

int
image_list_read(struct image_list *ret, struct error *err)
{
    CLEANUP_FREE char *images = images_dir();
    CLEANUP_FREE char *real = realpath(images, NULL);
    CLEANUP_FREE char *current = NULL;
    struct image_list list = {.count = 0};
    struct error not_built;
    struct dirent **entries;
    int count;

    if (real == NULL && errno == ENOENT) {
        *ret = list;
        return 0;
    }
    if (real == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", images);
    count = scandir(real, &entries, image_is_candidate, alphasort);
    if (count < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", images);
    if (image_path(&current, &not_built) < 0)
        current = NULL;
    list.images = xcalloc(IMAGE_COUNT_MAX, sizeof(*list.images));
    for (int i = 0; i < count; i++) {
        if (list.count < IMAGE_COUNT_MAX &&
            image_read(real, entries[i]->d_name, current,
                       &list.images[list.count]))
            list.count++;
        free(entries[i]);
    }
    free(entries);
    *ret = list;
    return 0;
}

void
image_list_release(struct image_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->images[i].dir);
        free(list->images[i].hash);
        free(list->images[i].kernel);
    }
    free(list->images);
    *list = (struct image_list){.count = 0};
}
