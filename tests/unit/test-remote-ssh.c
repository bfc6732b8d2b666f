/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>

#include "tests/lib/sshd.h"
#include "tests/lib/tap.h"

static struct sshd sshd;

struct fixture {
    struct endpoint endpoint;
    struct remote remote;
    struct exec_result result;
    struct error err;
};

static struct fixture f;

static void
setup(void)
{
    memset(&f, 0, sizeof(f));
    f.endpoint = sshd_endpoint(&sshd);
    remote_init(&f.remote, &remote_ssh_ops, &f.endpoint, clock_monotonic());
    exec_result_init(&f.result);
}

static void
teardown(void)
{
    remote_close(&f.remote);
    exec_result_release(&f.result);
}

static int64_t
now_ns(void)
{
    return clock_now_ns(clock_monotonic());
}

static int
run(const char *const argv[], const struct exec_options *o)
{
    return remote_exec(&f.remote, argv, o, &f.result, &f.err);
}

static int
run_shell(const char *script, const struct exec_options *o)
{
    const char *argv[] = {"sh", "-c", script, NULL};

    return run(argv, o);
}

static void
test_open_and_exit_statuses(void)
{
    const char *argv[] = {"true", NULL};

    setup();
    CHECK_OK(remote_open(&f.remote, now_ns() + 10 * NS_PER_S, &f.err), &f.err);
    CHECK_OK(run(argv, NULL), &f.err);
    CHECK_INT(f.result.status, 0);
    CHECK_OK(run_shell("exit 7", NULL), &f.err);
    CHECK_INT(f.result.status, 7);
    CHECK_STR(f.result.signal, "");
    CHECK_OK(run_shell("kill -9 $$", NULL), &f.err);
    CHECK_INT(f.result.status, -1);
    CHECK_STR(f.result.signal, "KILL");
    CHECK_OK(run_shell("kill -15 $$", NULL), &f.err);
    CHECK_STR(f.result.signal, "TERM");
    CHECK_OK(run_shell("exec no-such-program", NULL), &f.err);
    CHECK_INT(f.result.status, 127);
    teardown();
}

static void
test_streams_are_separate(void)
{
    setup();
    CHECK_OK(run_shell("echo out; echo err >&2; cat", NULL), &f.err);
    CHECK_STR(buf_text(&f.result.out), "out\n");
    CHECK_STR(buf_text(&f.result.err), "err\n");
    teardown();
}

static void
test_input_reaches_the_program(void)
{
    size_t len = 3 << 20;
    char *data = xcalloc(1, len + 1);
    struct exec_options o = {
        .input = data, .input_len = len, .output_max = len};

    setup();
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    CHECK_OK(run_shell("cat", &o), &f.err);
    CHECK_INT(f.result.out.len, len);
    CHECK(memcmp(f.result.out.data, data, len) == 0);
    CHECK_OK(run_shell("exit 3", &o), &f.err); /* never reads it */
    CHECK_INT(f.result.status, 3);
    free(data);
    teardown();
}

static void
test_words_arrive_as_they_are(void)
{
    char all[256];
    const char *argv[] = {"printf", "%s|", all,       "",          "a b",
                          "'",      "''",  "$(date)", "`id`;\\",   "\n\n",
                          "*",      "~",   "--",      "\"$HOME\"", NULL};
    CLEANUP(buf_release) struct buf expected;

    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    buf_init(&expected, 4096);
    for (size_t i = 2; argv[i] != NULL; i++)
        buf_printf(&expected, "%s|", argv[i]);
    setup();
    CHECK_OK(run(argv, NULL), &f.err);
    CHECK_INT(f.result.status, 0);
    CHECK_INT(f.result.out.len, expected.len);
    CHECK(memcmp(f.result.out.data, expected.data, expected.len) == 0);
    teardown();
}

static void
test_output_is_cut_at_its_limit(void)
{
    struct exec_options o = {.output_max = 1000};

    setup();
    CHECK_OK(run_shell("head -c 3000000 /dev/zero; head -c 500000 /dev/zero "
                       ">&2; exit 4",
                       &o),
             &f.err);
    CHECK_INT(f.result.status, 4);
    CHECK_INT(f.result.out.len, 1000);
    CHECK(f.result.out.truncated);
    CHECK_INT(f.result.err.len, 1000);
    CHECK(f.result.err.truncated);
    teardown();
}

static void
test_time_is_up(void)
{
    struct exec_options o = {.timeout_ns = 300 * NS_PER_MS};
    const char *argv[] = {"sleep", "20", NULL};
    int64_t start;

    setup();
    CHECK_OK(remote_open(&f.remote, now_ns() + 10 * NS_PER_S, &f.err), &f.err);
    start = now_ns();
    CHECK(run(argv, &o) < 0);
    CHECK_INT(f.err.kind, ERROR_TRANSIENT);
    CHECK(strstr(f.err.text, "timed out") != NULL);
    CHECK(now_ns() - start < 2 * NS_PER_S);
    /* endless output must not outrun the deadline */
    start = now_ns();
    o.timeout_ns = NS_PER_S;
    CHECK(run_shell("exec yes", &o) < 0);
    CHECK_INT(f.err.kind, ERROR_TRANSIENT);
    CHECK(now_ns() - start < 3 * NS_PER_S);
    CHECK_OK(run_shell("exit 0", NULL), &f.err);
    teardown();
}

static void
test_nobody_listens(void)
{
    int64_t start = now_ns();

    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    CLEANUP_CLOSE int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setup();
    /* Bound, and so nobody else's; a connection to it is refused. */
    CHECK(bind(taken, (struct sockaddr *)&a, len) == 0);
    CHECK(getsockname(taken, (struct sockaddr *)&a, &len) == 0);
    f.remote.endpoint.port = ntohs(a.sin_port);
    CHECK(remote_open(&f.remote, start + 500 * NS_PER_MS, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_TRANSIENT);
    CHECK(strstr(f.err.text, "Connection refused") != NULL);
    CHECK(now_ns() - start < 5 * NS_PER_S);
    teardown();
}

static void
test_keys_are_checked(void)
{
    struct ssh_key other = {0};
    CLEANUP_FREE char *path = xasprintf("%s/other", sshd.dir);
    int64_t start = now_ns(), deadline = start + 10 * NS_PER_S;

    setup();
    CHECK_OK(ssh_key_generate(&other, "other", &f.err), &f.err);
    f.remote.endpoint.host_key = other.public_line;
    CHECK(remote_open(&f.remote, deadline, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    CHECK(strstr(f.err.text, "another host key") != NULL);
    f.remote.endpoint.host_key = "ssh-rsa AAAA";
    CHECK(remote_open(&f.remote, deadline, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);

    f.remote.endpoint.host_key = sshd.host.public_line;
    f.remote.endpoint.private_key_path = path;
    CHECK(remote_open(&f.remote, deadline, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG); /* no such file */
    sshd_write(&sshd, "other", other.private_text);
    CHECK(remote_open(&f.remote, deadline, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    CHECK(strstr(f.err.text, "refuses the key") != NULL);
    CHECK(chmod(path, 0644) == 0);
    CHECK(remote_open(&f.remote, deadline, &f.err) < 0);
    CHECK(strstr(f.err.text, "read by others") != NULL);
    CHECK(chmod(path, 0600) == 0);
    sshd_write(&sshd, "other", "no key\n");
    CHECK(remote_open(&f.remote, deadline, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    CHECK(now_ns() - start < 5 * NS_PER_S); /* none was retried */
    ssh_key_release(&other);
    teardown();
}

static void
fill_file(const char *path, size_t len)
{
    CLEANUP_FREE char *data = xcalloc(1, len + 1);
    struct error err = {0};

    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 2654435761u >> 11);
    CHECK_OK(file_write_atomic(path, data, len, 0600, &err), &err);
}

static bool
same_bytes(const char *a, const char *b)
{
    struct error err = {0};
    size_t a_len = 0, b_len = 0;
    CLEANUP_FREE char *x = file_read(a, 64 << 20, &a_len, &err);
    CLEANUP_FREE char *y = file_read(b, 64 << 20, &b_len, &err);

    return x != NULL && y != NULL && a_len == b_len && memcmp(x, y, a_len) == 0;
}

static int
count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static void
test_files_travel_both_ways(void)
{
    CLEANUP_FREE char *local = xasprintf("%s/local", sshd.dir);
    CLEANUP_FREE char *dir = xasprintf("%s/it's a dir", sshd.dir);
    CLEANUP_FREE char *path = xasprintf("%s/-file", dir);
    CLEANUP_FREE char *back = xasprintf("%s/back", sshd.dir);
    CLEANUP_FREE char *missing = xasprintf("%s/none/x", dir);
    struct stat st;

    setup();
    CHECK(mkdir(dir, 0700) == 0);
    fill_file(local, (5 << 20) + 17);
    CHECK_OK(remote_put(&f.remote, local, path, 0751, &f.err), &f.err);
    CHECK(same_bytes(local, path));
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0751);
    CHECK_OK(remote_get(&f.remote, path, back, 6 << 20, &f.err), &f.err);
    CHECK(same_bytes(local, back));

    fill_file(local, 100); /* over the old one */
    CHECK_OK(remote_put(&f.remote, local, path, 0640, &f.err), &f.err);
    CHECK(same_bytes(local, path));
    fill_file(local, 0);
    CHECK_OK(remote_put(&f.remote, local, path, 0640, &f.err), &f.err);
    CHECK(same_bytes(local, path));
    fill_file(path, 200000);
    CHECK(remote_get(&f.remote, path, back, 199999, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    CHECK(remote_get(&f.remote, missing, back, 1000, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    CHECK(strstr(f.err.text, "no such file") != NULL);
    CHECK(remote_put(&f.remote, local, missing, 0600, &f.err) < 0);
    CHECK(remote_put(&f.remote, local, dir, 0600, &f.err) < 0);
    CHECK(strstr(f.err.text, "is a directory") != NULL);
    CHECK(remote_put(&f.remote, dir, path, 0600, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    CHECK_INT(count_entries(dir), 1); /* no temporary files */
    teardown();
}

/* Kills the server process of every connection, as a reboot would. */
static int
kill_connections(void)
{
    CLEANUP_FREE char *path =
        xasprintf("/proc/%d/task/%d/children", sshd.pid, sshd.pid);
    struct error err = {0};
    CLEANUP_FREE char *text = file_read(path, 4096, NULL, &err);
    int count = 0;

    for (char *p = text, *end; p != NULL; p = end) {
        long pid = strtol(p, &end, 10);

        if (end == p || pid <= 1)
            break;
        kill((pid_t)pid, SIGKILL);
        count++;
    }
    return count;
}

static void
test_a_dead_session_is_opened_anew(void)
{
    CLEANUP_FREE char *path = xasprintf("%s/config", sshd.dir);
    CLEANUP_FREE char *back = xasprintf("%s/back2", sshd.dir);

    setup();
    CHECK_OK(run_shell("exit 1", NULL), &f.err);
    CHECK(kill_connections() > 0);
    CHECK_OK(run_shell("exit 2", NULL), &f.err);
    CHECK_INT(f.result.status, 2);
    CHECK_OK(remote_get(&f.remote, path, back, 10000, &f.err), &f.err);
    CHECK(kill_connections() > 0);
    CHECK_OK(remote_get(&f.remote, path, back, 10000, &f.err), &f.err);
    teardown();
}

/*
 * The program ends its own connection: no status ever comes, which must not
 * read as 0, and it must not run twice.
 */
static void
test_a_lost_program_is_not_sent_twice(void)
{
    CLEANUP_FREE char *marks = xasprintf("%s/marks", sshd.dir);
    CLEANUP_FREE char *script = xasprintf(
        "echo run >> %s; read p < /proc/%d/task/%d/children; kill -9 $p; "
        "sleep 1",
        marks, sshd.pid, sshd.pid);
    CLEANUP_FREE char *text = NULL;

    setup();
    CHECK(run_shell(script, NULL) < 0);
    CHECK_INT(f.err.kind, ERROR_TRANSIENT);
    CHECK(strstr(f.err.text, "connection lost") != NULL);
    text = file_read(marks, 1000, NULL, &f.err);
    CHECK_STR(text, "run\n");
    teardown();
}

/* Holds the first connection without a byte, passes later ones on. */
struct mute_proxy {
    int listener, first, client, server;
};

static void
proxy_copy(int from, int to)
{
    char bytes[4096];
    ssize_t n = read(from, bytes, sizeof(bytes));

    if (n <= 0 || write(to, bytes, (size_t)n) != n)
        shutdown(to, SHUT_RDWR), shutdown(from, SHUT_RDWR);
}

static void *
mute_proxy_main(void *arg)
{
    struct mute_proxy *p = arg;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(sshd.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    p->first = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    p->client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    p->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(p->server, (struct sockaddr *)&a, sizeof(a)) < 0)
        return NULL;
    for (;;) {
        struct pollfd fds[2] = {{.fd = p->client, .events = POLLIN},
                                {.fd = p->server, .events = POLLIN}};

        if (poll(fds, 2, 10000) <= 0)
            break;
        if (fds[0].revents)
            proxy_copy(p->client, p->server);
        if (fds[1].revents)
            proxy_copy(p->server, p->client);
        if ((fds[0].revents | fds[1].revents) & (POLLHUP | POLLERR))
            break;
    }
    return NULL;
}

static void
test_a_mute_forward_is_dialled_again(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct mute_proxy p = {.first = -1};
    pthread_t thread;

    setup();
    p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(p.listener, (struct sockaddr *)&a, len) == 0);
    CHECK(listen(p.listener, 4) == 0);
    CHECK(getsockname(p.listener, (struct sockaddr *)&a, &len) == 0);
    CHECK(pthread_create(&thread, NULL, mute_proxy_main, &p) == 0);
    f.remote.endpoint.port = ntohs(a.sin_port);
    CHECK_OK(remote_open(&f.remote, now_ns() + 20 * NS_PER_S, &f.err), &f.err);
    CHECK_OK(run_shell("exit 5", NULL), &f.err);
    CHECK_INT(f.result.status, 5);
    CHECK(p.first >= 0);
    teardown();
    pthread_join(thread, NULL);
    close(p.listener);
    close(p.first);
    close(p.client);
    close(p.server);
}

static void
test_run_reports_the_first_line(void)
{
    const char *good[] = {"true", NULL};
    const char *bad[] = {"sh", "-c", "echo first >&2; echo second >&2; exit 9",
                         NULL};
    const char *option[] = {"-x", NULL};

    setup();
    CHECK_OK(remote_run(&f.remote, good, &f.err), &f.err);
    CHECK(remote_run(&f.remote, bad, &f.err) < 0);
    CHECK_STR(f.err.text, "node 'n1': 'sh' exited with 9: first");
    CHECK(remote_run(&f.remote, option, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    teardown();
}

static void
test_ssh_keygen_reads_our_keys(void)
{
    CLEANUP_FREE char *command =
        xasprintf("ssh-keygen -y -f %s", sshd.key_path);
    CLEANUP_FREE char *expected = xasprintf("%s user\n", sshd.user.public_line);
    struct exec_options o = {0};

    setup();
    CHECK_OK(run_shell(command, &o), &f.err);
    CHECK_STR(buf_text(&f.result.out), expected);
    teardown();
}

int
main(void)
{
    const char *reason = sshd_start(&sshd);

    signal(SIGPIPE, SIG_IGN);
    if (reason != NULL) {
        printf("1..0 # SKIP %s\n", reason);
        sshd_stop(&sshd);
        return 0;
    }
    RUN(test_open_and_exit_statuses);
    RUN(test_streams_are_separate);
    RUN(test_input_reaches_the_program);
    RUN(test_words_arrive_as_they_are);
    RUN(test_output_is_cut_at_its_limit);
    RUN(test_time_is_up);
    RUN(test_nobody_listens);
    RUN(test_keys_are_checked);
    RUN(test_files_travel_both_ways);
    RUN(test_a_dead_session_is_opened_anew);
    RUN(test_a_lost_program_is_not_sent_twice);
    RUN(test_a_mute_forward_is_dialled_again);
    RUN(test_run_reports_the_first_line);
    RUN(test_ssh_keygen_reads_our_keys);
    sshd_stop(&sshd);
    return tap_done();
}
