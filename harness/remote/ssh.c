/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remote over libssh2.  A call finds the kept session alive (or connects:
 * TCP, banner, key exchange, the pinned host key byte for byte, then the run's
 * key), opens a channel, sends one command line and moves bytes until the
 * program has ended.  The socket never blocks; every step waits in poll() up
 * to one absolute deadline.
 *
 * Failure modes:
 *  - nobody answers yet, or a port forward accepts before the guest listens:
 *    connect and banner waits are short and are repeated until the deadline;
 *  - another host key, a refused user key: ERROR_ENVIRONMENT at once, never
 *    retried, nothing was sent;
 *  - the session turns out dead before the command was sent: connected anew;
 *  - it dies, or time is up, after the command was sent: ERROR_TRANSIENT, the
 *    session is dropped, the caller decides.  libssh2 answers exit status 0
 *    for a channel that never got one: a result counts only after the server
 *    has closed the channel.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh2.h>
#include <libssh2_sftp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/limits.h"
#include "harness/base/log.h"
#include "harness/remote/remote.h"

/* libssh2 refuses payloads above 40000 bytes; a command fits one packet. */
#define SSH_COMMAND_BYTES_MAX 32768
#define SSH_CHUNK_BYTES 65536
#define SSH_RETRY_PAUSE_NS (100 * NS_PER_MS)
/* A busy emulated guest forks its SSH server slowly: waits double up to it. */
#define SSH_BANNER_TIMEOUT_MAX_NS (8 * NS_PER_S)
#define SSH_HANDSHAKE_TIMEOUT_NS (20 * NS_PER_S)
/* After it a kept session is taken for dead: the guest was reset under it. */
#define SSH_CHANNEL_TIMEOUT_NS (5 * NS_PER_S)
#define SSH_CHANNEL_TRIES 3
#define SSH_FREE_TRIES 64

struct ssh {
    struct clock *clock;
    int fd;
    LIBSSH2_SESSION *session;
    LIBSSH2_SFTP *sftp;
};

static pthread_once_t ssh_once = PTHREAD_ONCE_INIT;

static void
ssh_library_init(void)
{
    libssh2_init(0);
}

static struct ssh *
ssh_state(struct remote *r)
{
    struct ssh *s = r->state;

    pthread_once(&ssh_once, ssh_library_init);
    if (s == NULL) {
        s = xcalloc(1, sizeof(*s));
        s->clock = r->clock;
        s->fd = -1;
        r->state = s;
    }
    return s;
}

static int64_t
ssh_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- waiting ---- */

/* 0 when 'events' (or an error) came, -1 at the deadline. */
static int
ssh_poll(struct ssh *s, short events, int64_t deadline_ns)
{
    struct pollfd pfd = {.fd = s->fd, .events = events};

    for (;;) {
        int64_t left = deadline_ns - clock_now_ns(s->clock);
        struct timespec ts;
        int n;

        if (left <= 0)
            return -1;
        ts.tv_sec = left / NS_PER_S;
        ts.tv_nsec = left % NS_PER_S;
        n = ppoll(&pfd, 1, &ts, NULL);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -1;
    }
}

/* Waits for what libssh2 waits for; it may always have to read. */
static int
ssh_wait(struct ssh *s, int64_t deadline_ns)
{
    int directions = libssh2_session_block_directions(s->session);
    short events = POLLIN;

    if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND)
        events |= POLLOUT;
    return ssh_poll(s, events, deadline_ns);
}

/* Repeats 'call' while it wants the socket; EAGAIN remains at the deadline. */
#define SSH_AWAIT(s, deadline_ns, call)                                        \
    __extension__({                                                            \
        long rc_;                                                              \
        while ((rc_ = (long)(call)) == LIBSSH2_ERROR_EAGAIN &&                 \
               ssh_wait((s), (deadline_ns)) == 0)                              \
            ;                                                                  \
        rc_;                                                                   \
    })

/* The same for calls that return a pointer. */
#define SSH_AWAIT_POINTER(s, deadline_ns, call)                                \
    __extension__({                                                            \
        __typeof__(call) p_;                                                   \
        while ((p_ = (call)) == NULL &&                                        \
               libssh2_session_last_errno((s)->session) ==                     \
                   LIBSSH2_ERROR_EAGAIN &&                                     \
               ssh_wait((s), (deadline_ns)) == 0)                              \
            ;                                                                  \
        p_;                                                                    \
    })

/* What libssh2 says about the last call, as a transient error. */
static int
ssh_fail(struct ssh *s, const char *what, struct error *err)
{
    char *text = NULL;
    int code = libssh2_session_last_error(s->session, &text, NULL, 0);

    if (code == LIBSSH2_ERROR_EAGAIN || code == LIBSSH2_ERROR_TIMEOUT)
        return error_set(err, ERROR_TRANSIENT, "%s: timed out", what);
    if (text == NULL || text[0] == '\0')
        return error_set(err, ERROR_TRANSIENT, "%s: error %d", what, code);
    return error_set(err, ERROR_TRANSIENT, "%s: %s", what, text);
}

/* ---- the session ---- */

/*
 * The socket is shut first: libssh2 then cannot wait for a peer that may be
 * gone, and frees what hangs on the session.
 */
static void
ssh_drop(struct ssh *s)
{
    if (s->fd >= 0)
        shutdown(s->fd, SHUT_RDWR);
    for (int i = 0; s->sftp != NULL && i < SSH_FREE_TRIES; i++)
        if (libssh2_sftp_shutdown(s->sftp) != LIBSSH2_ERROR_EAGAIN)
            s->sftp = NULL;
    for (int i = 0; s->session != NULL && i < SSH_FREE_TRIES; i++)
        if (libssh2_session_free(s->session) != LIBSSH2_ERROR_EAGAIN)
            s->session = NULL;
    if (s->session != NULL)
        log_warning("ssh", "libssh2 kept a dead session, continuing");
    s->session = NULL;
    s->sftp = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* Whether the peer has closed or reset the connection in the meantime. */
static bool
ssh_alive(const struct ssh *s)
{
    char byte;
    ssize_t n;

    if (s->session == NULL)
        return false;
    n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static int
ssh_connect_address(struct ssh *s, const struct addrinfo *ai,
                    int64_t deadline_ns)
{
    int one = 1, code = 0;
    socklen_t len = sizeof(code);

    s->fd =
        socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return errno;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(s->fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (ssh_poll(s, POLLOUT, deadline_ns) < 0)
        return ETIMEDOUT;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        return errno;
    return code;
}

static int
ssh_dial(struct ssh *s, const struct endpoint *e, int64_t deadline_ns,
         struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int code = EADDRNOTAVAIL, rc;
    char service[8];

    snprintf(service, sizeof(service), "%u", e->port);
    rc = getaddrinfo(e->host, service, &hints, &list);
    if (rc != 0)
        return error_set(err, ERROR_TRANSIENT, "host '%s': %s", e->host,
                         gai_strerror(rc));
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        code = ssh_connect_address(s, ai, deadline_ns);
        if (code == 0)
            break;
        close(s->fd);
        s->fd = -1;
    }
    freeaddrinfo(list);
    if (code != 0)
        return error_errno(err, ERROR_TRANSIENT, code, "connect to %s port %u",
                           e->host, e->port);
    return 0;
}

/* "ssh-ed25519 BASE64 [comment]" to bytes; 0 when it is none. */
static size_t
ssh_decode_host_key(const char *line, unsigned char *ret, size_t max)
{
    static const char prefix[] = "ssh-ed25519 ";
    const char *base64;
    size_t len, pad = 0;
    int n;

    if (line == NULL || strncmp(line, prefix, sizeof(prefix) - 1) != 0)
        return 0;
    base64 = line + sizeof(prefix) - 1;
    len = strcspn(base64, " \t\r\n");
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > max)
        return 0;
    n = EVP_DecodeBlock(ret, (const unsigned char *)base64, (int)len);
    if (n < 0)
        return 0;
    while (pad < 2 && base64[len - 1 - pad] == '=')
        pad++;
    return (size_t)n - pad;
}

static int
ssh_check_host_key(struct ssh *s, const struct endpoint *e, struct error *err)
{
    unsigned char pinned[256];
    size_t pinned_len =
        ssh_decode_host_key(e->host_key, pinned, sizeof(pinned));
    size_t len = 0;
    int type = 0;
    const char *key = libssh2_session_hostkey(s->session, &len, &type);

    if (pinned_len == 0)
        return error_set(err, ERROR_CONFIG,
                         "the pinned host key '%.40s' is not of the form "
                         "'ssh-ed25519 BASE64'",
                         e->host_key == NULL ? "" : e->host_key);
    if (key == NULL || len != pinned_len || memcmp(key, pinned, len) != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "%s port %u shows another host key than the pinned "
                         "one: not our node; nothing was sent",
                         e->host, e->port);
    return 0;
}

static int
ssh_check_private_key(const struct endpoint *e, struct error *err)
{
    CLEANUP_CLOSE int fd = open(e->private_key_path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, ERROR_CONFIG, errno, "private key '%s'",
                           e->private_key_path);
    if ((st.st_mode & 077) != 0)
        return error_set(err, ERROR_CONFIG,
                         "private key '%s' can be read by others (mode %04o): "
                         "chmod 600 it",
                         e->private_key_path, st.st_mode & 07777);
    return 0;
}

static int
ssh_authenticate(struct ssh *s, const struct endpoint *e, int64_t deadline_ns,
                 struct error *err)
{
    long rc;

    if (ssh_check_private_key(e, err) < 0)
        return -1;
    rc = SSH_AWAIT(s, deadline_ns,
                   libssh2_userauth_publickey_fromfile_ex(
                       s->session, e->user, (unsigned)strlen(e->user), NULL,
                       e->private_key_path, ""));
    if (rc == 0)
        return 0;
    if (rc == LIBSSH2_ERROR_FILE)
        return error_set(err, ERROR_CONFIG,
                         "private key '%s' is not an ed25519 key in OpenSSH "
                         "format",
                         e->private_key_path);
    if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
        rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
        return error_set(err, ERROR_ENVIRONMENT,
                         "%s port %u refuses the key '%s' for user '%s'",
                         e->host, e->port, e->private_key_path, e->user);
    return ssh_fail(s, "authentication", err);
}

/* One attempt, from TCP to an authenticated session. */
static int
ssh_connect_once(struct ssh *s, const struct endpoint *e,
                 int64_t banner_timeout_ns, int64_t deadline_ns,
                 struct error *err)
{
    int64_t now = clock_now_ns(s->clock);
    int64_t step = ssh_min(deadline_ns, now + REMOTE_CONNECT_TIMEOUT_NS);

    if (ssh_dial(s, e, step, err) < 0)
        return -1;
    now = clock_now_ns(s->clock);
    if (ssh_poll(s, POLLIN, ssh_min(deadline_ns, now + banner_timeout_ns)) < 0)
        return error_set(err, ERROR_TRANSIENT,
                         "%s port %u accepted but sent no banner", e->host,
                         e->port);
    s->session = libssh2_session_init();
    if (s->session == NULL)
        return error_set(err, ERROR_ENVIRONMENT, "libssh2: no session");
    libssh2_session_set_blocking(s->session, 0);
    libssh2_session_method_pref(s->session, LIBSSH2_METHOD_HOSTKEY,
                                "ssh-ed25519");
    step =
        ssh_min(deadline_ns, clock_now_ns(s->clock) + SSH_HANDSHAKE_TIMEOUT_NS);
    if (SSH_AWAIT(s, step, libssh2_session_handshake(s->session, s->fd)) != 0)
        return ssh_fail(s, "key exchange", err);
    if (ssh_check_host_key(s, e, err) < 0)
        return -1;
    return ssh_authenticate(s, e, step, err);
}

static int
ssh_connect(struct ssh *s, const struct endpoint *e, int64_t deadline_ns,
            struct error *err)
{
    int64_t banner_timeout_ns = REMOTE_CONNECT_TIMEOUT_NS;

    for (unsigned attempts = 1;; attempts++) {
        struct error last = {0};
        int64_t now;

        if (ssh_connect_once(s, e, banner_timeout_ns, deadline_ns, &last) == 0)
            return 0;
        ssh_drop(s);
        log_debug("ssh", "node '%s': attempt %u: %s", e->node, attempts,
                  last.text);
        now = clock_now_ns(s->clock);
        if (last.kind != ERROR_TRANSIENT ||
            now + SSH_RETRY_PAUSE_NS >= deadline_ns) {
            *err = last;
            return attempts == 1
                       ? -1
                       : error_wrap(err, "after %u attempts", attempts);
        }
        banner_timeout_ns =
            ssh_min(2 * banner_timeout_ns, SSH_BANNER_TIMEOUT_MAX_NS);
        clock_sleep_ns(s->clock, SSH_RETRY_PAUSE_NS);
    }
}

static int
ssh_ready(struct ssh *s, const struct endpoint *e, int64_t deadline_ns,
          struct error *err)
{
    if (ssh_alive(s))
        return 0;
    ssh_drop(s);
    return ssh_connect(s, e, deadline_ns, err);
}

static int
ssh_open(struct remote *r, int64_t deadline_ns, struct error *err)
{
    return ssh_ready(ssh_state(r), &r->endpoint, deadline_ns, err);
}

static void
ssh_close(struct remote *r)
{
    struct ssh *s = r->state;

    ssh_drop(s);
    free(s);
    r->state = NULL;
}

/* ---- exec ---- */

/* A channel on a session that lives; a dead one costs a new connection. */
static LIBSSH2_CHANNEL *
ssh_channel_open(struct ssh *s, const struct endpoint *e, int64_t deadline_ns,
                 struct error *err)
{
    struct error last = {0};

    for (int try = 0; try < SSH_CHANNEL_TRIES; try++) {
        LIBSSH2_CHANNEL *channel;
        int64_t step;

        if (ssh_ready(s, e, deadline_ns, err) < 0)
            return NULL;
        step = ssh_min(deadline_ns,
                       clock_now_ns(s->clock) + SSH_CHANNEL_TIMEOUT_NS);
        channel = SSH_AWAIT_POINTER(s, step,
                                    libssh2_channel_open_session(s->session));
        if (channel != NULL)
            return channel;
        ssh_fail(s, "opening a channel", &last);
        ssh_drop(s);
    }
    *err = last;
    return NULL;
}

/* Input is best effort: a program may end without reading it. */
struct ssh_input {
    const char *data;
    size_t left;
    bool closed;
};

static bool
ssh_pump_input(LIBSSH2_CHANNEL *channel, struct ssh_input *in)
{
    bool moved = false;

    while (in->left > 0) {
        ssize_t n = libssh2_channel_write(channel, in->data, in->left);

        if (n == LIBSSH2_ERROR_EAGAIN || n == 0)
            return moved;
        moved = true;
        if (n < 0)
            in->left = 0; /* if the connection broke, reading says so */
        else
            in->data += n, in->left -= (size_t)n;
    }
    if (!in->closed &&
        libssh2_channel_send_eof(channel) != LIBSSH2_ERROR_EAGAIN)
        in->closed = moved = true;
    return moved;
}

/* 1 when bytes came, 0 when none are here, -1 when the connection broke. */
static int
ssh_pump_stream(LIBSSH2_CHANNEL *channel, int stream, struct buf *out)
{
    char chunk[16384];
    int moved = 0;

    for (;;) {
        ssize_t n =
            libssh2_channel_read_ex(channel, stream, chunk, sizeof(chunk));

        if (n == LIBSSH2_ERROR_EAGAIN || n == 0)
            return moved;
        if (n < 0)
            return -1;
        buf_append(out, chunk, (size_t)n);
        moved = 1;
        if (n < (ssize_t)sizeof(chunk))
            return moved; /* lets the caller look at its deadline */
    }
}

/*
 * Moves input and both outputs until the program's side is at its end.  Reading
 * one stream may queue packets of the other, after which the socket stays
 * silent: the queue of the first stream is looked at before waiting.
 */
static int
ssh_pump(struct ssh *s, LIBSSH2_CHANNEL *channel, struct ssh_input *in,
         struct exec_result *ret, int64_t deadline_ns, struct error *err)
{
    for (;;) {
        bool moved = ssh_pump_input(channel, in);
        int out = ssh_pump_stream(channel, 0, &ret->out);
        int error = out < 0 ? -1
                            : ssh_pump_stream(channel, SSH_EXTENDED_DATA_STDERR,
                                              &ret->err);

        if (out < 0 || error < 0) {
            ssh_fail(s, "connection lost while the program ran", err);
            return -1;
        }
        if (libssh2_channel_eof(channel) == 1)
            return 0;
        if (clock_now_ns(s->clock) >= deadline_ns)
            return error_set(err, ERROR_TRANSIENT, "timed out");
        if (moved || out > 0 || error > 0 ||
            libssh2_poll_channel_read(channel, 0) > 0)
            continue;
        if (ssh_wait(s, deadline_ns) < 0)
            return error_set(err, ERROR_TRANSIENT, "timed out");
    }
}

static void
ssh_take_status(struct ssh *s, LIBSSH2_CHANNEL *channel,
                struct exec_result *ret)
{
    char *name = NULL;
    size_t len = 0;

    libssh2_channel_get_exit_signal(channel, &name, &len, NULL, NULL, NULL,
                                    NULL);
    if (name != NULL && name[0] != '\0') {
        snprintf(ret->signal, sizeof(ret->signal), "%s", name);
        ret->status = -1;
    } else {
        ret->signal[0] = '\0';
        ret->status = libssh2_channel_get_exit_status(channel);
    }
    if (name != NULL)
        libssh2_free(s->session, name);
}

static int
ssh_channel_run(struct ssh *s, LIBSSH2_CHANNEL *channel,
                const struct buf *command, const struct exec_options *o,
                struct exec_result *ret, int64_t deadline_ns, struct error *err)
{
    struct ssh_input in = {.data = o->input, .left = o->input_len};
    long rc = SSH_AWAIT(
        s, deadline_ns,
        libssh2_channel_process_startup(channel, "exec", sizeof("exec") - 1,
                                        command->data, (unsigned)command->len));

    if (rc != 0)
        return ssh_fail(s, "sending the command", err);
    if (ssh_pump(s, channel, &in, ret, deadline_ns, err) < 0)
        return -1;
    if (SSH_AWAIT(s, deadline_ns, libssh2_channel_wait_closed(channel)) != 0)
        return ssh_fail(s, "connection lost before the exit status", err);
    ssh_take_status(s, channel, ret);
    if (SSH_AWAIT(s, deadline_ns, libssh2_channel_free(channel)) != 0)
        ssh_drop(s);
    return 0;
}

/*
 * 'exec' replaces the login shell by the program: its end, by exit or by
 * signal, is what the server reports.
 */
static int
ssh_exec(struct remote *r, const char *const argv[],
         const struct exec_options *o, struct exec_result *ret,
         struct error *err)
{
    CLEANUP(buf_release) struct buf command;
    struct ssh *s = ssh_state(r);
    int64_t deadline_ns = clock_now_ns(r->clock) + o->timeout_ns;
    LIBSSH2_CHANNEL *channel;

    buf_init(&command, SSH_COMMAND_BYTES_MAX);
    buf_puts(&command, "exec");
    for (size_t i = 0; argv[i] != NULL; i++) {
        buf_puts(&command, " ");
        remote_quote(&command, argv[i]);
    }
    if (command.truncated)
        return error_set(err, ERROR_CONFIG,
                         "the command is longer than %d bytes: put a file "
                         "and run that",
                         SSH_COMMAND_BYTES_MAX);
    channel = ssh_channel_open(s, &r->endpoint, deadline_ns, err);
    if (channel == NULL)
        return -1;
    if (ssh_channel_run(s, channel, &command, o, ret, deadline_ns, err) == 0)
        return 0;
    ssh_drop(s);
    return -1;
}

/* ---- put and get ---- */

static const char *
ssh_sftp_text(unsigned long code)
{
    switch (code) {
    case LIBSSH2_FX_NO_SUCH_FILE:
    case LIBSSH2_FX_NO_SUCH_PATH:
        return "no such file";
    case LIBSSH2_FX_PERMISSION_DENIED:
        return "permission denied";
    case LIBSSH2_FX_FAILURE:
        return "failure (disk full, or a directory?)";
    case LIBSSH2_FX_OP_UNSUPPORTED:
        return "not supported";
    default:
        return "SFTP error";
    }
}

/* The server's own refusal leaves the session good; all else drops it. */
static int
ssh_sftp_fail(struct ssh *s, const char *what, struct error *err)
{
    if (libssh2_session_last_errno(s->session) == LIBSSH2_ERROR_SFTP_PROTOCOL) {
        unsigned long code = libssh2_sftp_last_error(s->sftp);

        return error_set(err, ERROR_ENVIRONMENT, "%s: %s (%lu)", what,
                         ssh_sftp_text(code), code);
    }
    ssh_fail(s, what, err);
    ssh_drop(s);
    return -1;
}

static int
ssh_sftp_ready(struct ssh *s, const struct endpoint *e, int64_t deadline_ns,
               struct error *err)
{
    struct error last = {0};

    for (int try = 0; try < SSH_CHANNEL_TRIES; try++) {
        int64_t step;

        if (ssh_ready(s, e, deadline_ns, err) < 0)
            return -1;
        if (s->sftp != NULL)
            return 0;
        step = ssh_min(deadline_ns,
                       clock_now_ns(s->clock) + SSH_CHANNEL_TIMEOUT_NS);
        s->sftp = SSH_AWAIT_POINTER(s, step, libssh2_sftp_init(s->session));
        if (s->sftp != NULL)
            return 0;
        ssh_fail(s, "starting SFTP (has the node an sftp-server?)", &last);
        ssh_drop(s);
    }
    *err = last;
    return -1;
}

static LIBSSH2_SFTP_HANDLE *
ssh_sftp_open(struct ssh *s, const char *path, unsigned long flags, mode_t mode,
              int64_t deadline_ns, struct error *err)
{
    LIBSSH2_SFTP_HANDLE *handle = SSH_AWAIT_POINTER(
        s, deadline_ns,
        libssh2_sftp_open_ex(s->sftp, path, (unsigned)strlen(path), flags,
                             (long)mode, LIBSSH2_SFTP_OPENFILE));

    if (handle == NULL)
        ssh_sftp_fail(s, "open", err);
    return handle;
}

/* After a drop the handle went with the session. */
static int
ssh_sftp_close(struct ssh *s, LIBSSH2_SFTP_HANDLE *handle, int64_t deadline_ns,
               struct error *err)
{
    if (s->session == NULL)
        return -1;
    if (SSH_AWAIT(s, deadline_ns, libssh2_sftp_close_handle(handle)) != 0)
        return ssh_sftp_fail(s, "close", err);
    return 0;
}

static int
ssh_put_bytes(struct ssh *s, int fd, LIBSSH2_SFTP_HANDLE *handle,
              int64_t deadline_ns, struct error *err)
{
    CLEANUP_FREE char *chunk = xcalloc(1, SSH_CHUNK_BYTES);

    for (;;) {
        ssize_t len = read(fd, chunk, SSH_CHUNK_BYTES);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "read");
        if (len == 0)
            return 0;
        for (ssize_t done = 0; done < len;) {
            long n = SSH_AWAIT(
                s, deadline_ns,
                libssh2_sftp_write(handle, chunk + done, (size_t)(len - done)));

            if (n < 0)
                return ssh_sftp_fail(s, "write", err);
            done += n;
        }
    }
}

/* Bytes, exact mode whatever the umask, and on the node's disk. */
static int
ssh_put_temp(struct ssh *s, int fd, const char *temp, mode_t mode,
             int64_t deadline_ns, struct error *err)
{
    LIBSSH2_SFTP_ATTRIBUTES attributes = {
        .flags = LIBSSH2_SFTP_ATTR_PERMISSIONS, .permissions = mode};
    LIBSSH2_SFTP_HANDLE *handle = ssh_sftp_open(
        s, temp, LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL, 0600,
        deadline_ns, err);
    int rc = -1;

    if (handle == NULL)
        return -1;
    if (ssh_put_bytes(s, fd, handle, deadline_ns, err) == 0) {
        if (SSH_AWAIT(s, deadline_ns,
                      libssh2_sftp_fsetstat(handle, &attributes)) != 0)
            ssh_sftp_fail(s, "set mode", err);
        else if (SSH_AWAIT(s, deadline_ns, libssh2_sftp_fsync(handle)) != 0 &&
                 libssh2_sftp_last_error(s->sftp) != LIBSSH2_FX_OP_UNSUPPORTED)
            ssh_sftp_fail(s, "sync", err);
        else
            rc = 0;
    }
    if (rc < 0) {
        struct error ignored;

        ssh_sftp_close(s, handle, deadline_ns, &ignored);
        return -1;
    }
    return ssh_sftp_close(s, handle, deadline_ns, err);
}

/*
 * SFTP version 3 cannot rename onto an existing file; mv can, atomically.  A
 * directory in the way would swallow the file, so it is refused first.
 */
static int
ssh_put_rename(struct remote *r, const char *temp, const char *path,
               int64_t deadline_ns, struct error *err)
{
    const char *argv[] = {"mv", "-f", "--", temp, path, NULL};
    struct ssh *s = r->state;
    LIBSSH2_SFTP_ATTRIBUTES attributes = {0};
    CLEANUP(exec_result_release) struct exec_result result = {0};
    struct exec_options o = {.output_max = 4096};
    long rc;

    rc = SSH_AWAIT(s, deadline_ns,
                   libssh2_sftp_stat_ex(s->sftp, path, (unsigned)strlen(path),
                                        LIBSSH2_SFTP_STAT, &attributes));
    if (rc == 0 && LIBSSH2_SFTP_S_ISDIR(attributes.permissions))
        return error_set(err, ERROR_CONFIG, "is a directory");
    if (rc != 0 && rc != LIBSSH2_ERROR_SFTP_PROTOCOL)
        return ssh_sftp_fail(s, "stat", err);
    exec_result_init(&result);
    o.timeout_ns = deadline_ns - clock_now_ns(s->clock);
    if (o.timeout_ns <= 0)
        return error_set(err, ERROR_TRANSIENT, "timed out");
    if (ssh_exec(r, argv, &o, &result, err) < 0)
        return -1;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT, "rename: %.200s",
                         buf_text(&result.err));
    return 0;
}

static int
ssh_put_once(struct remote *r, int fd, const char *path, mode_t mode,
             int64_t deadline_ns, struct error *err)
{
    CLEANUP_FREE char *temp = NULL;
    struct ssh *s = r->state;
    uint64_t unique = 0;

    if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique) ||
        lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "local file");
    temp = xasprintf("%s.%016llx.tmp", path, (unsigned long long)unique);
    if (ssh_sftp_ready(s, &r->endpoint, deadline_ns, err) < 0)
        return -1;
    if (ssh_put_temp(s, fd, temp, mode, deadline_ns, err) == 0 &&
        ssh_put_rename(r, temp, path, deadline_ns, err) == 0)
        return 0;
    if (s->sftp != NULL)
        SSH_AWAIT(
            s, deadline_ns,
            libssh2_sftp_unlink_ex(s->sftp, temp, (unsigned)strlen(temp)));
    return -1;
}

/*
 * A kept session may turn out dead only when it is used.  Writing or reading a
 * whole file again is harmless, so that case gets one more try.
 */
static int
ssh_put(struct remote *r, const char *local, const char *path, mode_t mode,
        struct error *err)
{
    CLEANUP_CLOSE int fd = open(local, O_RDONLY | O_CLOEXEC);
    bool kept = ssh_alive(ssh_state(r));
    int64_t deadline_ns = clock_now_ns(r->clock) + REMOTE_TRANSFER_TIMEOUT_NS;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, ERROR_CONFIG, errno, "'%s'", local);
    if (!S_ISREG(st.st_mode) || st.st_size > REMOTE_PUT_BYTES_MAX)
        return error_set(err, ERROR_CONFIG,
                         "'%s' is not a file of at most %u bytes", local,
                         REMOTE_PUT_BYTES_MAX);
    if (ssh_put_once(r, fd, path, mode, deadline_ns, err) == 0)
        return 0;
    if (!kept || err->kind != ERROR_TRANSIENT)
        return -1;
    return ssh_put_once(r, fd, path, mode, deadline_ns, err);
}

static int
ssh_get_bytes(struct ssh *s, LIBSSH2_SFTP_HANDLE *handle, int fd,
              size_t max_bytes, int64_t deadline_ns, struct error *err)
{
    CLEANUP_FREE char *chunk = xcalloc(1, SSH_CHUNK_BYTES);
    size_t total = 0;

    for (;;) {
        long n = SSH_AWAIT(s, deadline_ns,
                           libssh2_sftp_read(handle, chunk, SSH_CHUNK_BYTES));

        if (n < 0)
            return ssh_sftp_fail(s, "read", err);
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > max_bytes)
            return error_set(err, ERROR_CONFIG, "larger than %zu bytes",
                             max_bytes);
        if (file_write_all(fd, chunk, (size_t)n) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    }
}

static int
ssh_get_once(struct remote *r, const char *path, int fd, size_t max_bytes,
             int64_t deadline_ns, struct error *err)
{
    struct ssh *s = r->state;
    LIBSSH2_SFTP_HANDLE *handle;
    struct error ignored;
    int rc;

    if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "local file");
    if (ssh_sftp_ready(s, &r->endpoint, deadline_ns, err) < 0)
        return -1;
    handle = ssh_sftp_open(s, path, LIBSSH2_FXF_READ, 0, deadline_ns, err);
    if (handle == NULL)
        return -1;
    rc = ssh_get_bytes(s, handle, fd, max_bytes, deadline_ns, err);
    ssh_sftp_close(s, handle, deadline_ns, &ignored);
    return rc;
}

static int
ssh_get(struct remote *r, const char *path, const char *local, size_t max_bytes,
        struct error *err)
{
    CLEANUP_FREE char *temp = xasprintf("%s.tmp.XXXXXX", local);
    CLEANUP_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
    bool kept = ssh_alive(ssh_state(r));
    int64_t deadline_ns = clock_now_ns(r->clock) + REMOTE_TRANSFER_TIMEOUT_NS;
    int rc;

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", temp);
    rc = ssh_get_once(r, path, fd, max_bytes, deadline_ns, err);
    if (rc < 0 && kept && err->kind == ERROR_TRANSIENT)
        rc = ssh_get_once(r, path, fd, max_bytes, deadline_ns, err);
    if (rc == 0 && rename(temp, local) < 0)
        rc = error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", local);
    if (rc < 0)
        unlink(temp);
    return rc;
}

const struct remote_ops remote_ssh_ops = {
    .name = "ssh",
    .open = ssh_open,
    .exec = ssh_exec,
    .put = ssh_put,
    .get = ssh_get,
    .close = ssh_close,
};
