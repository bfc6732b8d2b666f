/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork, PDEATHSIG, exec; standard error of each process goes to NODE.log in
 * its directory's parent.  The HTTP client reads one response with a
 * Content-Length, which is all that the replica sends.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "tests/lib/link-proxy.h"
#include "tests/lib/ports.h"
#include "tests/lib/replica-cluster.h"

#define RESPONSE_BYTES_MAX (256u << 10)

int64_t
cluster_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
cluster_sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

void
cluster_init(struct replica_cluster *c, const char *const *arguments)
{
    uint16_t real[CLUSTER_NODES];

    memset(c, 0, sizeof(*c));
    snprintf(c->dir, sizeof(c->dir), "replica-cluster.XXXXXX");
    if (mkdtemp(c->dir) == NULL)
        abort();
    c->base_port = ports_block(3 * CLUSTER_NODES, &c->port_claim);
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        real[i] = (uint16_t)(c->base_port + CLUSTER_NODES + i);
    c->links = xcalloc(1, sizeof(*c->links));
    link_proxy_start(c->links, CLUSTER_NODES, real);
    for (unsigned i = 0; arguments != NULL && arguments[i] != NULL; i++) {
        assert(i < CLUSTER_ARGUMENTS_MAX);
        c->arguments[i] = arguments[i];
    }
}

void
cluster_release(struct replica_cluster *c)
{
    struct error err;

    if (c->dir[0] == '\0')
        return;
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_kill(c, i);
    link_proxy_stop(c->links);
    close(c->port_claim);
    free(c->links);
    if (getenv("ORDEAL_KEEP") == NULL)
        dir_remove(c->dir, &err);
    c->dir[0] = '\0';
}

unsigned
cluster_client_port(const struct replica_cluster *c, unsigned node)
{
    return c->base_port + node;
}

const char *
cluster_path(const struct replica_cluster *c, unsigned node, const char *file)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/n%u/%s", c->dir, node + 1, file);
    return path;
}

static const char *
daemon_path(void)
{
    static char path[512];
    const char *build = getenv("ORDEAL_BUILDDIR");

    snprintf(path, sizeof(path), "%s/ordeal-replica",
             build == NULL ? "." : build);
    return path;
}

static unsigned
peer_port(const struct replica_cluster *c, unsigned node)
{
    return c->base_port + CLUSTER_NODES * (c->moved[node] ? 2u : 1u) + node;
}

static void
child_exec(const struct replica_cluster *c, unsigned node, bool new_cluster)
{
    char name[8], data[128], listen[32], peers[CLUSTER_NODES][40], log[128];
    const char *argv[26 + CLUSTER_ARGUMENTS_MAX];
    unsigned n = 0;
    int fd;

    snprintf(name, sizeof(name), "n%u", node + 1);
    snprintf(data, sizeof(data), "%s/n%u", c->dir, node + 1);
    snprintf(log, sizeof(log), "%s/n%u.log", c->dir, node + 1);
    snprintf(listen, sizeof(listen), "127.0.0.1:%u",
             cluster_client_port(c, node));
    argv[n++] = daemon_path();
    argv[n++] = "--node";
    argv[n++] = name;
    argv[n++] = "--data";
    argv[n++] = data;
    argv[n++] = "--listen";
    argv[n++] = listen;
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        snprintf(peers[i], sizeof(peers[i]), "n%u=127.0.0.1:%u", i + 1,
                 i == node || c->direct ? peer_port(c, i)
                                        : c->links->ports[node][i]);
        argv[n++] = "--peer";
        argv[n++] = peers[i];
    }
    if (new_cluster)
        argv[n++] = "--new-cluster";
    for (unsigned i = 0; c->arguments[i] != NULL; i++)
        argv[n++] = c->arguments[i];
    if (c->crash_at[node] != NULL) {
        argv[n++] = "--crash-at";
        argv[n++] = c->crash_at[node];
    }
    argv[n] = NULL;
    if (c->file_bytes_max > 0) {
        struct rlimit limit = {c->file_bytes_max, c->file_bytes_max};

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

void
cluster_start_as(struct replica_cluster *c, unsigned node, bool new_cluster)
{
    pid_t parent = getpid(), pid;

    assert(c->pids[node] == 0);
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127);
        child_exec(c, node, new_cluster);
    }
    c->pids[node] = pid;
    c->started[node] = true;
}

void
cluster_start(struct replica_cluster *c, unsigned node)
{
    cluster_start_as(c, node, !c->started[node]);
}

void
cluster_start_all(struct replica_cluster *c)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        if (c->pids[i] == 0)
            cluster_start(c, i);
}

int
cluster_up(struct replica_cluster *c)
{
    cluster_start_all(c);
    return cluster_primary(c, 10000);
}

void
cluster_signal(struct replica_cluster *c, unsigned node, int signo)
{
    assert(c->pids[node] > 0);
    kill(c->pids[node], signo);
}

void
cluster_kill(struct replica_cluster *c, unsigned node)
{
    if (c->pids[node] == 0)
        return;
    kill(c->pids[node], SIGKILL);
    waitpid(c->pids[node], NULL, 0);
    c->pids[node] = 0;
    c->paused[node] = false;
}

void
cluster_pause(struct replica_cluster *c, unsigned node)
{
    cluster_signal(c, node, SIGSTOP);
    c->paused[node] = true;
}

void
cluster_resume(struct replica_cluster *c, unsigned node)
{
    cluster_signal(c, node, SIGCONT);
    c->paused[node] = false;
}

void
cluster_isolate(struct replica_cluster *c, unsigned node)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        atomic_store(&c->links->cut[node][i], true);
        atomic_store(&c->links->cut[i][node], true);
    }
}

void
cluster_heal(struct replica_cluster *c)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        for (unsigned j = 0; j < CLUSTER_NODES; j++)
            atomic_store(&c->links->cut[i][j], false);
}

void
cluster_corrupt(struct replica_cluster *c, unsigned every)
{
    atomic_store(&c->links->corrupt_every, every);
}

uint64_t
cluster_corrupted(const struct replica_cluster *c)
{
    return atomic_load(&c->links->corrupted);
}

int
cluster_ended(struct replica_cluster *c, unsigned node)
{
    int status;

    if (c->pids[node] == 0 || waitpid(c->pids[node], &status, WNOHANG) == 0)
        return -1;
    c->pids[node] = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
cluster_wait(struct replica_cluster *c, unsigned node)
{
    int64_t deadline_ms = cluster_now_ms() + 10000;
    int code;

    while ((code = cluster_ended(c, node)) < 0 &&
           cluster_now_ms() <= deadline_ms)
        cluster_sleep_ms(5);
    return code;
}

/* ---- HTTP ---- */

void
http_client_close(struct http_client *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

static bool
http_client_connect(struct http_client *h)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)h->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    if (h->fd >= 0)
        return true;
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(h->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        http_client_close(h);
        return false;
    }
    setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return true;
}

/* The whole response in 'buf', NUL-terminated; where its body begins. */
static char *
read_response(int fd, char *buf, size_t size, int64_t deadline_ms)
{
    size_t len = 0;

    for (;;) {
        int64_t left_ms = deadline_ms - cluster_now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char *end, *length;
        ssize_t n;

        if (left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0)
            return NULL;
        n = recv(fd, buf + len, size - len - 1, 0);
        if (n <= 0)
            return NULL;
        len += (size_t)n;
        buf[len] = '\0';
        end = strstr(buf, "\r\n\r\n");
        length = strstr(buf, "Content-Length: ");
        if (end != NULL && length != NULL && length < end &&
            len >= (size_t)(end + 4 - buf) + strtoul(length + 16, NULL, 10))
            return end + 4;
        if (len + 1 == size)
            return NULL;
    }
}

int
http_client_send(struct http_client *h, const char *method, const char *path,
                 const char *body)
{
    CLEANUP_FREE char *text = NULL;

    if (!http_client_connect(h))
        return -1;
    text = xasprintf("%s %s HTTP/1.1\r\nHost: replica\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, path, strlen(body), body);
    if (send(h->fd, text, strlen(text), MSG_NOSIGNAL) !=
        (ssize_t)strlen(text)) {
        http_client_close(h);
        return -1;
    }
    return 0;
}

int
http_client_receive(struct http_client *h, int timeout_ms, int *ret_status,
                    json_t **ret_json)
{
    CLEANUP_FREE char *response = xcalloc(1, RESPONSE_BYTES_MAX);
    char *body = read_response(h->fd, response, RESPONSE_BYTES_MAX,
                               cluster_now_ms() + timeout_ms);

    if (body == NULL) {
        http_client_close(h);
        return -1;
    }
    *ret_status = (int)strtol(response + 9, NULL, 10);
    *ret_json = json_loads(body, 0, NULL);
    return 0;
}

int
http_client_call(struct http_client *h, const char *method, const char *path,
                 const char *body, int timeout_ms, int *ret_status,
                 json_t **ret_json)
{
    if (http_client_send(h, method, path, body) < 0)
        return -1;
    return http_client_receive(h, timeout_ms, ret_status, ret_json);
}

json_t *
cluster_call(struct replica_cluster *c, unsigned node, const char *method,
             const char *path, const char *body, int *ret_status)
{
    struct http_client h = {-1, cluster_client_port(c, node)};
    json_t *json = NULL;

    if (http_client_call(&h, method, path, body, 7000, ret_status, &json) < 0)
        *ret_status = 0;
    http_client_close(&h);
    return json;
}

/* The view of a ready primary; 0: the node is none. */
static int64_t
view_when_primary(struct replica_cluster *c, unsigned node)
{
    struct http_client h = {-1, cluster_client_port(c, node)};
    const char *role;
    json_t *json = NULL;
    int64_t view = 0;
    int status;

    if (c->pids[node] == 0 || c->paused[node] ||
        http_client_call(&h, "GET", "/v1/status", "", 500, &status, &json) < 0)
        return 0;
    http_client_close(&h);
    role = json_string_value(json_object_get(json, "role"));
    if (json_is_true(json_object_get(json, "ready")) && role != NULL &&
        strcmp(role, "primary") == 0)
        view = json_integer_value(json_object_get(json, "view"));
    json_decref(json);
    return view;
}

int
cluster_primary(struct replica_cluster *c, int timeout_ms)
{
    int64_t deadline_ms = cluster_now_ms() + timeout_ms;

    while (cluster_now_ms() < deadline_ms) {
        int64_t best = 0;
        int found = -1;

        for (unsigned i = 0; i < CLUSTER_NODES; i++) {
            int64_t view = view_when_primary(c, i);

            if (view > best) {
                best = view;
                found = (int)i;
            }
        }
        if (found >= 0)
            return found;
        cluster_sleep_ms(10);
    }
    return -1;
}

static json_t *
until_answered(struct replica_cluster *c, const char *path, const char *body)
{
    int64_t deadline_ms = cluster_now_ms() + 5000;

    while (cluster_now_ms() < deadline_ms) {
        for (unsigned i = 0; i < CLUSTER_NODES; i++) {
            struct http_client h = {-1, cluster_client_port(c, i)};
            json_t *json = NULL;
            int status = 0;

            if (c->pids[i] == 0 || c->paused[i])
                continue;
            if (http_client_call(&h, "POST", path, body, 1000, &status,
                                 &json) == 0)
                http_client_close(&h);
            if (status == 200)
                return json;
            json_decref(json);
        }
        cluster_sleep_ms(20);
    }
    return NULL;
}

json_t *
cluster_command(struct replica_cluster *c, uint64_t operation,
                const char *fields)
{
    CLEANUP_FREE char *body =
        xasprintf("{\"operation\":\"%032" PRIx64 "\",\"client\":1,%s}",
                  operation, fields);

    return until_answered(c, "/v1/command", body);
}

json_t *
cluster_tick(struct replica_cluster *c, uint64_t slot)
{
    CLEANUP_FREE char *body =
        xasprintf("{\"client\":1,\"slot\":%" PRIu64 "}", slot);

    return until_answered(c, "/v1/tick", body);
}

/* ---- answers ---- */

const char *
cluster_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text == NULL ? "" : text;
}

int64_t
cluster_integer(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

const char *
cluster_code(struct replica_cluster *c, uint64_t operation, const char *fields,
             json_t **ret)
{
    static char code[40];
    json_t *answer = cluster_command(c, operation, fields);

    snprintf(code, sizeof(code), "%s",
             answer == NULL ? "no answer" : cluster_text(answer, "code"));
    if (ret != NULL)
        *ret = answer;
    else
        json_decref(answer);
    return code;
}

const char *
cluster_status_field(struct replica_cluster *c, unsigned node, const char *key)
{
    static char text[64];
    int status;
    json_t *json = cluster_call(c, node, "GET", "/v1/status", "", &status);
    const json_t *value = json_object_get(json, key);

    if (json_is_integer(value))
        snprintf(text, sizeof(text), "%" PRId64,
                 (int64_t)json_integer_value(value));
    else
        snprintf(text, sizeof(text), "%s", cluster_text(json, key));
    json_decref(json);
    return text;
}

bool
cluster_wait_status(struct replica_cluster *c, unsigned node, const char *key,
                    const char *wanted, int timeout_ms)
{
    int64_t deadline_ms = cluster_now_ms() + timeout_ms;

    while (strcmp(cluster_status_field(c, node, key), wanted) != 0) {
        if (cluster_now_ms() > deadline_ms) {
            printf("# n%u: %s is '%s', expected '%s'\n", node + 1, key,
                   cluster_status_field(c, node, key), wanted);
            return false;
        }
        cluster_sleep_ms(20);
    }
    return true;
}

int64_t
cluster_metric(struct replica_cluster *c, unsigned node, const char *name)
{
    struct http_client h = {-1, cluster_client_port(c, node)};
    CLEANUP_FREE char *response = xcalloc(1, RESPONSE_BYTES_MAX);
    CLEANUP_FREE char *line = xasprintf("\nordeal_replica_%s ", name);
    const char *body = NULL, *at;

    if (http_client_send(&h, "GET", "/metrics", "") == 0)
        body = read_response(h.fd, response, RESPONSE_BYTES_MAX,
                             cluster_now_ms() + 7000);
    http_client_close(&h);
    at = body == NULL ? NULL : strstr(body, line);
    return at == NULL ? -1 : strtoll(at + strlen(line), NULL, 10);
}

bool
cluster_digests_agree(struct replica_cluster *c, unsigned primary)
{
    char applied[64], path[96];
    char first[40] = "";

    snprintf(applied, sizeof(applied), "%s",
             cluster_status_field(c, primary, "applied"));
    snprintf(path, sizeof(path), "/v1/digest?index=%s", applied);
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        char both[40];
        int status;
        json_t *json;

        if (c->pids[i] == 0)
            continue;
        if (!cluster_wait_status(c, i, "applied", applied, 10000))
            return false;
        json = cluster_call(c, i, "GET", path, "", &status);
        snprintf(both, sizeof(both), "%s %s", cluster_text(json, "digest"),
                 cluster_text(json, "chain"));
        json_decref(json);
        if (status != 200 || (first[0] != '\0' && strcmp(first, both) != 0)) {
            printf("# n%u at %s: '%s', before: '%s'\n", i + 1, applied, both,
                   first);
            return false;
        }
        memcpy(first, both, sizeof(first));
    }
    return true;
}

bool
cluster_damage(const char *path, int64_t at, bool cut)
{
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    uint8_t byte;

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    if (at < 0)
        at += st.st_size;
    if (cut)
        return ftruncate(fd, at) == 0;
    if (pread(fd, &byte, 1, at) != 1)
        return false;
    byte ^= 0x20;
    return pwrite(fd, &byte, 1, at) == 1;
}

bool
cluster_log_has(const struct replica_cluster *c, unsigned node,
                const char *needle)
{
    char path[128];
    struct error err;
    CLEANUP_FREE char *text = NULL;

    snprintf(path, sizeof(path), "%s/n%u.log", c->dir, node + 1);
    text = file_read(path, 4u << 20, NULL, &err);
    return text != NULL && strstr(text, needle) != NULL;
}
