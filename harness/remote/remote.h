/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A remote runs programs on a node and moves files there and back.
 *
 *   remote_open -> exec / put / get ... (reconnects by itself) -> remote_close
 *
 * The SSH implementation keeps one libssh2 session; it checks the pinned host
 * key before it authenticates.  A session that broke (reboot, reset) is opened
 * anew by the next call, within that call's deadline; a program whose
 * connection broke after it was sent is never sent twice: that call fails with
 * ERROR_TRANSIENT and the caller decides.
 *
 * Threads: one remote, one thread at a time.  Open one per node and thread.
 */
#ifndef ORDEAL_REMOTE_REMOTE_H
#define ORDEAL_REMOTE_REMOTE_H

#include <sys/types.h>

#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "harness/base/error.h"

/* How to reach a node.  Strings are borrowed for the life of the remote. */
struct endpoint {
    const char *node; /* "n1", for messages */
    const char *host; /* numeric address or name */
    uint16_t port;
    const char *user;
    const char *private_key_path; /* OpenSSH format, ed25519, mode 0600 */
    const char *host_key;         /* "ssh-ed25519 AAAA...", pinned */
};

struct exec_options {
    const char *input; /* standard input, NULL: none */
    size_t input_len;
    int64_t timeout_ns; /* 0: REMOTE_EXEC_TIMEOUT_NS */
    size_t output_max;  /* per stream; 0: EXEC_OUTPUT_BYTES_MAX */
};

#define REMOTE_EXEC_TIMEOUT_NS (30 * NS_PER_S)
#define REMOTE_CONNECT_TIMEOUT_NS (1 * NS_PER_S)    /* per connect attempt */
#define REMOTE_TRANSFER_TIMEOUT_NS (120 * NS_PER_S) /* put and get, whole */
#define REMOTE_PUT_BYTES_MAX (256u << 20)

struct exec_result {
    int status;      /* exit status, -1 when ended by a signal */
    char signal[16]; /* "KILL", "" when it exited */
    struct buf out, err;
};

void exec_result_init(struct exec_result *r);
void exec_result_release(struct exec_result *r);

struct remote;

struct remote_ops {
    const char *name;
    int (*open)(struct remote *r, int64_t deadline_ns, struct error *err);
    int (*exec)(struct remote *r, const char *const argv[],
                const struct exec_options *options, struct exec_result *ret,
                struct error *err);
    int (*put)(struct remote *r, const char *local, const char *path,
               mode_t mode, struct error *err);
    int (*get)(struct remote *r, const char *path, const char *local,
               size_t max_bytes, struct error *err);
    void (*close)(struct remote *r);
};

struct remote {
    const struct remote_ops *ops;
    struct endpoint endpoint;
    struct clock *clock;
    void *state;
};

extern const struct remote_ops remote_ssh_ops;
extern const struct remote_ops remote_local_ops; /* provider "local" */

/* Does not connect yet.  remote_close() releases. */
void remote_init(struct remote *r, const struct remote_ops *ops,
                 const struct endpoint *endpoint, struct clock *clock);
void remote_close(struct remote *r);

/* Connects and authenticates, retrying until the absolute deadline. */
int remote_open(struct remote *r, int64_t deadline_ns, struct error *err);

/*
 * Runs argv (NULL-terminated) without a shell's interpretation: every word is
 * quoted.  0 when the program ran, whatever its exit status.
 */
int remote_exec(struct remote *r, const char *const argv[],
                const struct exec_options *options, struct exec_result *ret,
                struct error *err);

/* remote_exec, and an error (with the first line of stderr) unless exit 0. */
int remote_run(struct remote *r, const char *const argv[], struct error *err);

/*
 * Whole files, absolute node paths.  The target appears under its name only
 * when it is whole (temporary name, synced, renamed), in either direction;
 * directories are not made.  A file above max_bytes (or REMOTE_PUT_BYTES_MAX)
 * is ERROR_CONFIG and leaves nothing behind.
 */
int remote_put(struct remote *r, const char *local, const char *path,
               mode_t mode, struct error *err);
int remote_get(struct remote *r, const char *path, const char *local,
               size_t max_bytes, struct error *err);

/* 'word' quoted for a POSIX shell, appended to 'out'. */
void remote_quote(struct buf *out, const char *word);

#endif
