/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a client connects, sends one request, gets one reply.  A start
 * forks; the child reports through a pipe that exec closes.  A stop sends
 * SIGTERM and is answered when the reaper hands over the end.
 *
 * Failure modes: too many clients or services, a request that is malformed or
 * does not come, an exec that fails or hangs on its log file, a daemon that
 * does not end in time: each is one reply with the reason.  A client that went
 * away takes nothing with it.
 */
#include "config.h"

#include "vm-images/supervisor.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "vm-images/init.h"
#include "vm-images/svc-wire.h"

#define REQUEST_TIMEOUT_NS (5 * NS_PER_S)

/* An exec waits for the log's disk only: a stalled one must not hold us. */
#define START_TIMEOUT_NS (10 * NS_PER_S)

/* Cores are taken into the bundle, which has the same limit per file. */
#define CORE_BYTES_MAX (64u << 20)

struct request {
    char *argv[SVC_ARGS_MAX + 1];
    int argc;
};

/* What 'svc start' asks for; all borrowed from the request. */
struct start {
    const char *dir, *log;
    char *const *argv;
};

static void client_drop(struct client *c);

static bool
process_stat(pid_t pid, char *ret_state, uint64_t *ret_start_ticks)
{
    CLEANUP_FREE char *text = NULL;
    struct error ignored;
    char path[64];
    const char *p;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    text = file_read(path, 4096, NULL, &ignored);
    /* The name in parentheses may hold anything: look from its end. */
    p = text == NULL ? NULL : strrchr(text, ')');
    if (p == NULL)
        return false;
    return sscanf(p,
                  ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u "
                  "%*d %*d %*d %*d %*d %*d %" SCNu64,
                  ret_state, ret_start_ticks) == 2;
}

static void
boot_id_read(char ret[static 40])
{
    CLEANUP_FREE char *text = NULL;
    struct error ignored;

    text = file_read("/proc/sys/kernel/random/boot_id", 64, NULL, &ignored);
    snprintf(ret, 40, "%.36s", text == NULL ? "" : text);
}

int
supervisor_open(struct supervisor *s, const char *socket_path,
                const char *log_dir,
                void (*say)(const char *fmt, ...) PRINTF_LIKE(1, 2),
                struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    assert(strlen(socket_path) < sizeof(address.sun_path));
    *s = (struct supervisor){.listen_fd = -1, .log_dir = log_dir, .say = say};
    boot_id_read(s->boot_id);
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "socket");
    if ((unlink(socket_path) < 0 && errno != ENOENT) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(socket_path, 0600) < 0 ||
        listen(fd, SUPERVISOR_CLIENTS_MAX) < 0) {
        int code = errno;

        close(fd);
        return error_errno(err, ERROR_ENVIRONMENT, code, "'%s'", socket_path);
    }
    s->listen_fd = fd;
    return 0;
}

void
supervisor_close(struct supervisor *s)
{
    for (unsigned i = 0; i < SUPERVISOR_CLIENTS_MAX; i++)
        client_drop(&s->clients[i]);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    s->listen_fd = -1;
}

static void
client_drop(struct client *c)
{
    if (c->phase == CLIENT_FREE)
        return;
    close(c->fd);
    if (c->exec_fd >= 0)
        close(c->exec_fd);
    *c = (struct client){.phase = CLIENT_FREE, .fd = -1, .exec_fd = -1};
}

/* Answers and is done with this client.  It may have gone: nobody minds. */
static void
client_reply(struct client *c, enum svc_status status, const char *text)
{
    struct buf reply;
    char head = (char)status;

    buf_init(&reply, SVC_REPLY_BYTES_MAX - 1);
    buf_append(&reply, &head, 1);
    buf_puts(&reply, text);
    (void)!send(c->fd, reply.data, reply.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_release(&reply);
    client_drop(c);
}

static void client_fail(struct client *c, enum svc_status status,
                        const char *fmt, ...) PRINTF_LIKE(3, 4);

static void
client_fail(struct client *c, enum svc_status status, const char *fmt, ...)
{
    char text[512], line[520];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    snprintf(line, sizeof(line), "%s\n", text);
    client_reply(c, status, line);
}

static bool
service_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > SERVICE_NAME_MAX || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("-._", name[i]) == NULL)
            return false;
    return true;
}

static struct service *
service_find(struct supervisor *s, const char *name)
{
    for (unsigned i = 0; i < s->service_count; i++)
        if (strcmp(s->services[i].name, name) == 0)
            return &s->services[i];
    return NULL;
}

static struct service *
service_add(struct supervisor *s, const char *name)
{
    struct service *service;

    if (s->service_count == SERVICE_COUNT_MAX)
        return NULL;
    service = &s->services[s->service_count++];
    *service = (struct service){.running = false};
    memcpy(service->name, name, strlen(name) + 1);
    return service;
}

/* "null" or the number. */
static void
json_number(struct buf *out, const char *key, bool present, uint64_t value)
{
    if (present)
        buf_printf(out, "\"%s\":%" PRIu64, key, value);
    else
        buf_printf(out, "\"%s\":null", key);
}

static void
service_describe(const struct supervisor *s, const char *name,
                 const struct service *service, struct buf *out)
{
    bool known = service != NULL && service->starts > 0;
    bool ended = known && !service->running;
    uint64_t ticks;
    char process_state = '?';
    const char *state = "none";

    if (ended)
        state = "exited";
    else if (known && process_stat(service->pid, &process_state, &ticks) &&
             (process_state == 'T' || process_state == 't'))
        state = "stopped";
    else if (known)
        state = "running";
    buf_printf(out, "{\"name\":\"%s\",\"state\":\"%s\",", name, state);
    json_number(out, "pid", known, known ? (uint64_t)service->pid : 0);
    buf_puts(out, ",");
    json_number(out, "start_ticks", known, known ? service->start_ticks : 0);
    buf_printf(out, ",\"boot_id\":\"%s\",", s->boot_id);
    json_number(out, "exit_status", ended && WIFEXITED(service->wait_status),
                ended ? (uint64_t)WEXITSTATUS(service->wait_status) : 0);
    buf_puts(out, ",");
    json_number(out, "exit_signal", ended && WIFSIGNALED(service->wait_status),
                ended ? (uint64_t)WTERMSIG(service->wait_status) : 0);
    buf_printf(out, ",\"starts\":%u}\n", known ? service->starts : 0);
}

static void
client_reply_status(struct supervisor *s, struct client *c, const char *name)
{
    struct buf out;

    buf_init(&out, SVC_REPLY_BYTES_MAX - 2);
    if (name != NULL)
        service_describe(s, name, service_find(s, name), &out);
    for (unsigned i = 0; name == NULL && i < s->service_count; i++)
        service_describe(s, s->services[i].name, &s->services[i], &out);
    client_reply(c, SVC_OK, buf_text(&out));
    buf_release(&out);
}

static void
child_fail(int fd, const char *step)
{
    struct start_failure failure = {.code = errno};

    snprintf(failure.step, sizeof(failure.step), "%s", step);
    (void)!write(fd, &failure, sizeof(failure));
    _exit(127);
}

/* In the child: becomes the daemon, or says why not. */
static void
child_become(const struct start *start, int report_fd)
{
    const struct rlimit core = {.rlim_cur = CORE_BYTES_MAX,
                                .rlim_max = CORE_BYTES_MAX};
    int in, out;

    process_child_prepare();
    signal(SIGPIPE, SIG_DFL);
    if (setrlimit(RLIMIT_CORE, &core) < 0)
        child_fail(report_fd, "core limit");
    if (chdir(start->dir) < 0)
        child_fail(report_fd, "directory");
    in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    out = open(start->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (in < 0 || out < 0)
        child_fail(report_fd, "log");
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0)
        child_fail(report_fd, "dup2");
    execvp(start->argv[0], start->argv);
    child_fail(report_fd, "program");
}

static void
service_start(struct supervisor *s, struct client *c, const char *name,
              const struct start *start, int64_t now_ns)
{
    struct service *service = service_find(s, name);
    char ignored_state;
    int fds[2];
    pid_t pid;

    if (service != NULL && service->running) {
        client_fail(c, SVC_FAILED, "'%s' runs already, pid %d", name,
                    (int)service->pid);
        return;
    }
    if (service == NULL && (service = service_add(s, name)) == NULL) {
        client_fail(c, SVC_FAILED, "more than %d services", SERVICE_COUNT_MAX);
        return;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        client_fail(c, SVC_FAILED, "pipe: %s", strerror(errno));
        return;
    }
    pid = fork();
    if (pid == 0)
        child_become(start, fds[1]);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        client_fail(c, SVC_FAILED, "fork: %s", strerror(errno));
        return;
    }
    service->running = true;
    service->pid = pid;
    service->starts++;
    service->start_ticks = 0;
    (void)!process_stat(pid, &ignored_state, &service->start_ticks);
    s->say("service %s: started, pid %d", name, (int)pid);
    c->phase = CLIENT_STARTING;
    c->exec_fd = fds[0];
    c->service = service;
    c->start_number = service->starts;
    c->deadline_ns = now_ns + START_TIMEOUT_NS;
}

/* Another client may have started the service anew meanwhile. */
static bool
client_process_runs(const struct client *c)
{
    return c->service->running && c->service->starts == c->start_number;
}

static void
start_progress(struct supervisor *s, struct client *c, int64_t now_ns)
{
    ssize_t n = read(c->exec_fd, &c->failure, sizeof(c->failure));

    if (n == 0) {
        client_reply_status(s, c, c->service->name);
    } else if (n == (ssize_t)sizeof(c->failure)) {
        c->failure.step[sizeof(c->failure.step) - 1] = '\0';
        c->phase = CLIENT_FAILING;
    } else if (now_ns >= c->deadline_ns) {
        if (client_process_runs(c))
            kill(c->service->pid, SIGKILL);
        client_fail(c, SVC_FAILED, "start of '%s': timed out",
                    c->service->name);
    }
}

/* Whoever reads of a failed start may start again: nothing runs any more. */
static void
failure_progress(struct client *c, int64_t now_ns)
{
    if (!client_process_runs(c) || now_ns >= c->deadline_ns)
        client_fail(c, SVC_FAILED, "start of '%s': %s: %s", c->service->name,
                    c->failure.step, strerror(c->failure.code));
}

static void
stop_progress(struct supervisor *s, struct client *c, int64_t now_ns)
{
    if (!client_process_runs(c))
        client_reply_status(s, c, c->service->name);
    else if (now_ns >= c->deadline_ns)
        client_fail(c, SVC_FAILED, "'%s' did not end in time, pid %d",
                    c->service->name, (int)c->service->pid);
}

/* A number in [1, max], or 0. */
static unsigned
number_parse(const char *text, unsigned max)
{
    unsigned value = 0;

    for (; *text >= '0' && *text <= '9' && value <= max; text++)
        value = value * 10 + (unsigned)(*text - '0');
    return *text == '\0' && value <= max ? value : 0;
}

static int
signal_parse(const char *text)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;

    for (int i = 1; i < 32; i++) {
        const char *known = sigabbrev_np(i);

        if (known != NULL && strcmp(name, known) == 0)
            return i;
    }
    return (int)number_parse(text, SIGRTMAX);
}

static void
request_start(struct supervisor *s, struct client *c, const struct request *r,
              int64_t now_ns)
{
    struct start start = {.dir = "/"};
    char log[256];
    int i = 2;

    snprintf(log, sizeof(log), "%s/%s.log", s->log_dir, r->argv[1]);
    start.log = log;
    for (; i + 1 < r->argc && strcmp(r->argv[i], "--") != 0; i += 2) {
        if (strcmp(r->argv[i], "--dir") == 0)
            start.dir = r->argv[i + 1];
        else if (strcmp(r->argv[i], "--log") == 0)
            start.log = r->argv[i + 1];
        else
            break;
    }
    if (i + 1 >= r->argc || strcmp(r->argv[i], "--") != 0) {
        client_fail(c, SVC_USAGE,
                    "start: expected [--dir DIR] [--log FILE] "
                    "-- PROGRAM ARG...");
        return;
    }
    start.argv = r->argv + i + 1;
    service_start(s, c, r->argv[1], &start, now_ns);
}

static void
request_stop(struct supervisor *s, struct client *c, const struct request *r,
             int64_t now_ns)
{
    struct service *service = service_find(s, r->argv[1]);
    unsigned timeout_s = SVC_STOP_TIMEOUT_S;

    if (r->argc == 4 && strcmp(r->argv[2], "--timeout") == 0)
        timeout_s = number_parse(r->argv[3], SVC_STOP_TIMEOUT_MAX_S);
    if ((r->argc != 2 && r->argc != 4) || timeout_s == 0 ||
        (r->argc == 4 && strcmp(r->argv[2], "--timeout") != 0)) {
        client_fail(c, SVC_USAGE, "stop: expected [--timeout SECONDS], 1..%d",
                    SVC_STOP_TIMEOUT_MAX_S);
        return;
    }
    if (service == NULL || !service->running) {
        client_reply_status(s, c, r->argv[1]);
        return;
    }
    kill(service->pid, SIGTERM);
    c->phase = CLIENT_STOPPING;
    c->service = service;
    c->start_number = service->starts;
    c->deadline_ns = now_ns + timeout_s * NS_PER_S;
}

static void
request_signal(struct supervisor *s, struct client *c, const struct request *r)
{
    struct service *service = service_find(s, r->argv[1]);
    int number = r->argc == 3 ? signal_parse(r->argv[2]) : 0;

    if (number == 0)
        client_fail(c, SVC_USAGE, "signal: expected a number or a name");
    else if (service == NULL || !service->running)
        client_fail(c, SVC_FAILED, "'%s' does not run", r->argv[1]);
    else if (kill(service->pid, number) < 0)
        client_fail(c, SVC_FAILED, "signal to '%s': %s", r->argv[1],
                    strerror(errno));
    else
        client_reply(c, SVC_OK, "");
}

static void
request_serve(struct supervisor *s, struct client *c, const struct request *r,
              int64_t now_ns)
{
    const char *command = r->argv[0];

    if (strcmp(command, "status") == 0 && r->argc == 1)
        client_reply_status(s, c, NULL);
    else if (r->argc < 2)
        client_fail(c, SVC_USAGE, "'%.64s': no such command, or no name",
                    command);
    else if (!service_name_valid(r->argv[1]))
        client_fail(c, SVC_USAGE, "'%.64s' is not a service's name",
                    r->argv[1]);
    else if (strcmp(command, "status") == 0 && r->argc == 2)
        client_reply_status(s, c, r->argv[1]);
    else if (strcmp(command, "start") == 0)
        request_start(s, c, r, now_ns);
    else if (strcmp(command, "stop") == 0)
        request_stop(s, c, r, now_ns);
    else if (strcmp(command, "signal") == 0)
        request_signal(s, c, r);
    else
        client_fail(c, SVC_USAGE, "'%.64s': no such command", command);
}

/* Splits at the NULs.  The bytes must end with one. */
static bool
request_parse(char *data, size_t len, struct request *ret)
{
    ret->argc = 0;
    if (len == 0 || data[len - 1] != '\0')
        return false;
    for (size_t at = 0; at < len; at += strlen(data + at) + 1) {
        if (ret->argc == SVC_ARGS_MAX)
            return false;
        ret->argv[ret->argc++] = data + at;
    }
    ret->argv[ret->argc] = NULL;
    return true;
}

static void
client_read(struct supervisor *s, struct client *c, int64_t now_ns)
{
    CLEANUP_FREE char *data = malloc(SVC_REQUEST_BYTES_MAX);
    struct request request;
    ssize_t n;

    if (data == NULL) {
        client_drop(c);
        return;
    }
    n = recv(c->fd, data, SVC_REQUEST_BYTES_MAX, MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (now_ns >= c->deadline_ns)
            client_drop(c);
        return;
    }
    if (n <= 0)
        client_drop(c);
    else if (n > SVC_REQUEST_BYTES_MAX ||
             !request_parse(data, (size_t)n, &request))
        client_fail(c, SVC_USAGE, "malformed or too long");
    else
        request_serve(s, c, &request, now_ns);
}

static void
clients_accept(struct supervisor *s, int64_t now_ns)
{
    for (unsigned i = 0; i < SUPERVISOR_CLIENTS_MAX; i++) {
        struct client *c = &s->clients[i];
        int fd;

        if (c->phase != CLIENT_FREE)
            continue;
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        *c = (struct client){.phase = CLIENT_READING,
                             .fd = fd,
                             .exec_fd = -1,
                             .deadline_ns = now_ns + REQUEST_TIMEOUT_NS};
    }
}

unsigned
supervisor_poll_fill(const struct supervisor *s,
                     struct pollfd ret[static SUPERVISOR_POLL_MAX])
{
    unsigned count = 0, busy = 0;

    for (unsigned i = 0; i < SUPERVISOR_CLIENTS_MAX; i++) {
        const struct client *c = &s->clients[i];

        busy += c->phase != CLIENT_FREE;
        if (c->phase == CLIENT_READING)
            ret[count++] = (struct pollfd){.fd = c->fd, .events = POLLIN};
        if (c->phase == CLIENT_STARTING)
            ret[count++] = (struct pollfd){.fd = c->exec_fd, .events = POLLIN};
    }
    /* With all places taken, the next one waits in the backlog. */
    if (busy < SUPERVISOR_CLIENTS_MAX)
        ret[count++] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
    assert(count <= SUPERVISOR_POLL_MAX);
    return count;
}

int64_t
supervisor_deadline_ns(const struct supervisor *s)
{
    int64_t nearest_ns = INT64_MAX;

    for (unsigned i = 0; i < SUPERVISOR_CLIENTS_MAX; i++)
        if (s->clients[i].phase != CLIENT_FREE &&
            s->clients[i].deadline_ns < nearest_ns)
            nearest_ns = s->clients[i].deadline_ns;
    return nearest_ns;
}

void
supervisor_work(struct supervisor *s, int64_t now_ns)
{
    clients_accept(s, now_ns);
    for (unsigned i = 0; i < SUPERVISOR_CLIENTS_MAX; i++) {
        struct client *c = &s->clients[i];

        if (c->phase == CLIENT_READING)
            client_read(s, c, now_ns);
        else if (c->phase == CLIENT_STARTING)
            start_progress(s, c, now_ns);
        else if (c->phase == CLIENT_STOPPING)
            stop_progress(s, c, now_ns);
        if (c->phase == CLIENT_FAILING)
            failure_progress(c, now_ns);
    }
}

bool
supervisor_ended(struct supervisor *s, pid_t pid, int wait_status)
{
    for (unsigned i = 0; i < s->service_count; i++) {
        struct service *service = &s->services[i];

        if (!service->running || service->pid != pid)
            continue;
        service->running = false;
        service->wait_status = wait_status;
        s->say("service %s: pid %d ended, %s %d", service->name, (int)pid,
               WIFSIGNALED(wait_status) ? "signal" : "exit status",
               WIFSIGNALED(wait_status) ? WTERMSIG(wait_status)
                                        : WEXITSTATUS(wait_status));
        return true;
    }
    return false;
}
