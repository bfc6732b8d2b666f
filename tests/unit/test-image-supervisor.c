/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's service manager with real processes: a child process is the
 * supervisor and, as a subreaper, the reaper; the test is the client.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "tests/lib/tap.h"
#include "vm-images/supervisor.h"
#include "vm-images/svc-wire.h"

struct fixture {
    char dir[64], *socket;
    pid_t pid;
    char text[SVC_REPLY_BYTES_MAX];
};
static struct fixture fixture;

static void
say_nothing(const char *fmt, ...)
{
}

/* The loop that init runs, without the signals that end a guest. */
static void
supervisor_process(const char *socket, const char *log_dir)
{
    static struct supervisor s;
    struct clock *clock = clock_monotonic();
    struct error err;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (supervisor_open(&s, socket, log_dir, say_nothing, &err) < 0)
        _exit(1);
    for (;;) {
        struct pollfd fds[SUPERVISOR_POLL_MAX];
        unsigned count = supervisor_poll_fill(&s, fds);
        int status;
        pid_t pid;

        poll(fds, count, 5);
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            supervisor_ended(&s, pid, status);
        supervisor_work(&s, clock_now_ns(clock));
    }
}

static bool
socket_ready(void *ctx)
{
    return path_exists(ctx);
}

static bool
setup(struct fixture *f)
{
    int64_t deadline_ns = clock_now_ns(clock_monotonic()) + 10 * NS_PER_S;

    snprintf(f->dir, sizeof(f->dir), "/tmp/ordeal-test-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return false;
    f->socket = xasprintf("%s/init.sock", f->dir);
    f->pid = fork();
    if (f->pid == 0)
        supervisor_process(f->socket, f->dir);
    return f->pid > 0 && clock_poll(clock_monotonic(), deadline_ns, NS_PER_MS,
                                    socket_ready, f->socket);
}

static void
teardown(struct fixture *f)
{
    struct error err;

    if (f->pid <= 0)
        return;
    kill(f->pid, SIGKILL);
    waitpid(f->pid, NULL, 0);
    free(f->socket);
    dir_remove(f->dir, &err);
    f->pid = 0;
}

static enum svc_status
svc_run(struct fixture *f, int argc, const char *const argv[])
{
    return svc_call(f->socket, argc, argv, f->text);
}

/* svc(f, "start", "a", ...) */
#define svc(f, ...)                                                            \
    svc_run(f, (int)ARRAY_LEN(((const char *[]){__VA_ARGS__})),                \
            (const char *[]){__VA_ARGS__})

/* A field of the status line, as text; "" when there is none. */
static const char *
field(struct fixture *f, const char *name, const char *key)
{
    static char text[64];
    json_t *line, *value;

    text[0] = '\0';
    if (svc(f, "status", name) != SVC_OK)
        return text;
    line = json_loads(f->text, 0, NULL);
    value = json_object_get(line, key);
    if (json_is_integer(value))
        snprintf(text, sizeof(text), "%lld",
                 (long long)json_integer_value(value));
    else if (value != NULL)
        snprintf(text, sizeof(text), "%s",
                 json_is_null(value) ? "null" : json_string_value(value));
    json_decref(line);
    return text;
}

struct expectation {
    struct fixture *f;
    const char *name, *key, *value;
};

static bool
field_is(void *ctx)
{
    const struct expectation *e = ctx;

    return strcmp(field(e->f, e->name, e->key), e->value) == 0;
}

static bool
becomes(struct fixture *f, const char *name, const char *key, const char *value)
{
    struct expectation e = {f, name, key, value};
    struct clock *clock = clock_monotonic();

    if (clock_poll(clock, clock_now_ns(clock) + 10 * NS_PER_S, 2 * NS_PER_MS,
                   field_is, &e))
        return true;
    printf("# '%s' stays '%s'\n", key, field(f, name, key));
    return false;
}

static void
check_life(struct fixture *f)
{
    CHECK_STR(field(f, "a", "state"), "none");
    CHECK_STR(field(f, "a", "pid"), "null");
    CHECK_INT(svc(f, "start", "a", "--", "sleep", "1000"), SVC_OK);
    CHECK(strstr(f->text, "\"state\":\"running\"") != NULL);
    CHECK_INT(svc(f, "start", "a", "--", "sleep", "1"), SVC_FAILED);
    CHECK(strstr(f->text, "runs already") != NULL);
    CHECK(kill((pid_t)strtol(field(f, "a", "pid"), NULL, 10), 0) == 0);
    CHECK(strtoll(field(f, "a", "start_ticks"), NULL, 10) > 0);
    CHECK_INT(svc(f, "signal", "a", "STOP"), SVC_OK);
    CHECK(becomes(f, "a", "state", "stopped"));
    CHECK_INT(svc(f, "signal", "a", "SIGCONT"), SVC_OK);
    CHECK(becomes(f, "a", "state", "running"));
    CHECK_INT(svc(f, "signal", "a", "9"), SVC_OK);
    CHECK(becomes(f, "a", "state", "exited"));
    CHECK_STR(field(f, "a", "exit_signal"), "9");
    CHECK_STR(field(f, "a", "exit_status"), "null");
    CHECK_INT(svc(f, "signal", "a", "9"), SVC_FAILED);
    CHECK_INT(svc(f, "start", "a", "--", "sh", "-c", "exit 7"), SVC_OK);
    CHECK(becomes(f, "a", "exit_status", "7"));
    CHECK_STR(field(f, "a", "starts"), "2");
    CHECK_STR(field(f, "a", "exit_signal"), "null");
}

static void
check_stop(struct fixture *f)
{
    CHECK_INT(svc(f, "stop", "a"), SVC_OK);
    CHECK_INT(svc(f, "start", "a", "--", "sleep", "1000"), SVC_OK);
    CHECK_INT(svc(f, "stop", "a"), SVC_OK);
    CHECK(strstr(f->text, "\"exit_signal\":15") != NULL);
    /* One that ignores SIGTERM is still there, and running, afterwards. */
    CHECK_INT(svc(f, "start", "b", "--", "sh", "-c",
                  "trap '' TERM; echo ready; while :; do sleep 1; done"),
              SVC_OK);
    CHECK_INT(svc(f, "signal", "b", "0"), SVC_USAGE);
    for (unsigned i = 0; i < 1000; i++) {
        CLEANUP_FREE char *log = xasprintf("%s/b.log", f->dir);
        CLEANUP_FREE char *text = NULL;
        struct error err;

        text = file_read(log, 100, NULL, &err);
        if (text != NULL && strcmp(text, "ready\n") == 0)
            break;
        clock_sleep_ns(clock_monotonic(), 5 * NS_PER_MS);
    }
    CHECK_INT(svc(f, "stop", "b", "--timeout", "1"), SVC_FAILED);
    CHECK(strstr(f->text, "did not end in time") != NULL);
    CHECK_STR(field(f, "b", "state"), "running");
    CHECK_INT(svc(f, "signal", "b", "KILL"), SVC_OK);
    CHECK(becomes(f, "b", "state", "exited"));
}

static void
check_logs_and_directory(struct fixture *f)
{
    CLEANUP_FREE char *own = xasprintf("%s/own", f->dir);
    CLEANUP_FREE char *log = xasprintf("%s/a.log", f->dir);
    CLEANUP_FREE char *text = NULL;
    struct error err;

    CHECK_INT(svc(f, "start", "a", "--dir", f->dir, "--", "sh", "-c",
                  "pwd; echo error >&2"),
              SVC_OK);
    CHECK(becomes(f, "a", "exit_status", "0"));
    CHECK_INT(svc(f, "start", "a", "--log", own, "--", "echo", "x y", "'"),
              SVC_OK);
    CHECK(becomes(f, "a", "starts", "2"));
    CHECK(becomes(f, "a", "state", "exited"));
    text = file_read(log, 1000, NULL, &err);
    CHECK(text != NULL && strncmp(text, f->dir, strlen(f->dir)) == 0);
    CHECK_STR(text + strlen(f->dir), "\nerror\n");
    free(TAKE(text));
    text = file_read(own, 1000, NULL, &err);
    CHECK_STR(text, "x y '\n");
}

static void
check_failed_starts(struct fixture *f)
{
    CHECK_INT(svc(f, "start", "a", "--", "/no/such"), SVC_FAILED);
    CHECK(strstr(f->text, "program: No such file") != NULL);
    CHECK_INT(svc(f, "start", "a", "--dir", "/no/such", "--", "true"),
              SVC_FAILED);
    CHECK(strstr(f->text, "directory: ") != NULL);
    CHECK_INT(svc(f, "start", "a", "--log", "/no/such/log", "--", "true"),
              SVC_FAILED);
    CHECK(strstr(f->text, "log: ") != NULL);
    CHECK(becomes(f, "a", "exit_status", "127"));
}

static void
check_usage(struct fixture *f)
{
    static char long_name[SERVICE_NAME_MAX + 2];

    memset(long_name, 'a', sizeof(long_name) - 1);
    CHECK_INT(svc(f, "nonsense", "a"), SVC_USAGE);
    CHECK_INT(svc(f, "start"), SVC_USAGE);
    CHECK_INT(svc(f, "start", "a"), SVC_USAGE);
    CHECK_INT(svc(f, "start", "a", "--"), SVC_USAGE);
    CHECK_INT(svc(f, "start", "a", "--what", "x", "--", "true"), SVC_USAGE);
    CHECK_INT(svc(f, "start", "../a", "--", "true"), SVC_USAGE);
    CHECK_INT(svc(f, "start", "", "--", "true"), SVC_USAGE);
    CHECK_INT(svc(f, "start", long_name, "--", "true"), SVC_USAGE);
    CHECK_INT(svc(f, "stop", "a", "--timeout"), SVC_USAGE);
    CHECK_INT(svc(f, "stop", "a", "--timeout", "0"), SVC_USAGE);
    CHECK_INT(svc(f, "stop", "a", "--timeout", "601"), SVC_USAGE);
    CHECK_INT(svc(f, "signal", "a"), SVC_USAGE);
    CHECK_INT(svc(f, "signal", "a", "WHAT"), SVC_USAGE);
    CHECK_INT(svc(f, "signal", "a", "99999999999"), SVC_USAGE);
    CHECK_INT(svc(f, "status", "a", "b"), SVC_USAGE);
    CHECK_INT(svc(f, "status"), SVC_OK);
    CHECK_STR(f->text, "");
}

static int
raw_connect(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Clients that say nothing, nonsense or leave early harm nobody. */
static void
check_rude_clients(struct fixture *f)
{
    char reply[64];
    int fd;

    for (unsigned i = 0; i < 100; i++)
        close(raw_connect(f));
    fd = raw_connect(f);
    CHECK(fd >= 0);
    CHECK_INT(send(fd, "status", 6, 0), 6); /* no NUL at its end */
    CHECK(recv(fd, reply, sizeof(reply), 0) > 1);
    CHECK_INT(reply[0], SVC_USAGE);
    close(fd);
    fd = raw_connect(f);
    CHECK(send(fd, "start\0c\0--\0sleep\0001000", 22, 0) == 22);
    close(fd);
    CHECK(becomes(f, "c", "state", "running"));
    fd = raw_connect(f);
    CHECK(send(fd, "stop\0c", 7, 0) == 7);
    close(fd);
    CHECK(becomes(f, "c", "state", "exited"));
    CHECK_INT(svc(f, "start", "d", "--", "true"), SVC_OK);
}

static void
check_limits(struct fixture *f)
{
    CLEANUP_FREE char *big = xcalloc(1, SVC_REQUEST_BYTES_MAX + 1);
    char name[16];

    memset(big, 'x', SVC_REQUEST_BYTES_MAX);
    CHECK_INT(svc(f, "start", "a", "--", "echo", big), SVC_USAGE);
    for (unsigned i = 0; i < SERVICE_COUNT_MAX; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        CHECK_INT(svc(f, "start", name, "--", "true"), SVC_OK);
    }
    CHECK_INT(svc(f, "start", "more", "--", "true"), SVC_FAILED);
    CHECK(strstr(f->text, "more than 32 services") != NULL);
    CHECK_INT(svc(f, "status"), SVC_OK);
    CHECK(strstr(f->text, "\"name\":\"s31\"") != NULL);
}

static void
check_no_init(struct fixture *f)
{
    kill(f->pid, SIGKILL);
    CHECK(waitid(P_PID, (id_t)f->pid, NULL, WEXITED | WNOWAIT) == 0);
    CHECK_INT(svc(f, "status"), SVC_NO_INIT);
    CHECK(strstr(f->text, "refused") != NULL);
}

/* One supervisor for each test; a failed test leaves its own to the next. */
#define SUPERVISED(name)                                                       \
    static void test_##name(void)                                              \
    {                                                                          \
        teardown(&fixture);                                                    \
        CHECK(setup(&fixture));                                                \
        check_##name(&fixture);                                                \
        teardown(&fixture);                                                    \
    }
SUPERVISED(life)
SUPERVISED(stop)
SUPERVISED(logs_and_directory)
SUPERVISED(failed_starts)
SUPERVISED(usage)
SUPERVISED(rude_clients)
SUPERVISED(limits)
SUPERVISED(no_init)

int
main(void)
{
    RUN(test_life);
    RUN(test_stop);
    RUN(test_logs_and_directory);
    RUN(test_failed_starts);
    RUN(test_usage);
    RUN(test_rude_clients);
    RUN(test_limits);
    RUN(test_no_init);
    teardown(&fixture);
    return tap_done();
}
