/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A throw-away sshd as a fixture: the current user, loopback, an ephemeral
 * port, fresh keys in a fresh directory.  sshd_stop() leaves nothing behind.
 */
#ifndef ORDEAL_TESTS_SSHD_H
#define ORDEAL_TESTS_SSHD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/remote/keys.h"
#include "harness/remote/remote.h"

#define SSHD_PROGRAM "/usr/sbin/sshd"
#define SSHD_EMPTY_DIR "/run/sshd" /* compiled into Debian's sshd */

struct sshd {
    pid_t pid;
    uint16_t port;
    char dir[64];
    char key_path[128];
    struct ssh_key host, user;
    const char *user_name;
    bool made_empty_dir;
};

/* A port nobody listens on now. */
static inline uint16_t
sshd_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        abort();
    close(fd);
    return ntohs(a.sin_port);
}

static inline void
sshd_write(const struct sshd *s, const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", s->dir, name);
    struct error err = {0};

    if (file_write_atomic(path, text, strlen(text), 0600, &err) < 0) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
}

static inline void
sshd_write_config(const struct sshd *s)
{
    CLEANUP_FREE char *config =
        xasprintf("Port %u\nListenAddress 127.0.0.1\n"
                  "HostKey %s/host\nAuthorizedKeysFile %s/authorized_keys\n"
                  "StrictModes no\nUsePAM no\nPidFile none\n"
                  "PermitRootLogin yes\nPasswordAuthentication no\n"
                  "KbdInteractiveAuthentication no\nMaxStartups 100\n"
                  "Subsystem sftp internal-sftp\n",
                  s->port, s->dir, s->dir);
    CLEANUP_FREE char *authorized = xasprintf("%s\n", s->user.public_line);

    sshd_write(s, "config", config);
    sshd_write(s, "authorized_keys", authorized);
    sshd_write(s, "host", s->host.private_text);
    sshd_write(s, "user", s->user.private_text);
}

static inline void
sshd_spawn(struct sshd *s)
{
    CLEANUP_FREE char *config = xasprintf("%s/config", s->dir);
    CLEANUP_FREE char *log = xasprintf("%s/log", s->dir);

    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(SSHD_PROGRAM, SSHD_PROGRAM, "-D", "-E", log, "-f", config,
              (char *)NULL);
        _exit(127);
    }
}

/* NULL, or the reason why this machine cannot run one. */
static inline const char *
sshd_start(struct sshd *s)
{
    struct passwd *pw = getpwuid(getuid());
    struct error err = {0};

    memset(s, 0, sizeof(*s));
    if (access(SSHD_PROGRAM, X_OK) != 0)
        return "no " SSHD_PROGRAM " (install openssh-server)";
    if (pw == NULL || strstr(pw->pw_shell, "nologin") != NULL ||
        strstr(pw->pw_shell, "false") != NULL)
        return "the current user has no login shell";
    if (geteuid() == 0)
        s->made_empty_dir = mkdir(SSHD_EMPTY_DIR, 0755) == 0;
    s->user_name = xstrdup(pw->pw_name);
    snprintf(s->dir, sizeof(s->dir), "/tmp/ordeal-sshd-XXXXXX");
    if (mkdtemp(s->dir) == NULL ||
        ssh_key_generate(&s->host, "host", &err) < 0 ||
        ssh_key_generate(&s->user, "user", &err) < 0)
        return "cannot make a directory or keys";
    snprintf(s->key_path, sizeof(s->key_path), "%s/user", s->dir);
    s->port = sshd_free_port();
    sshd_write_config(s);
    sshd_spawn(s);
    return NULL;
}

static inline void
sshd_stop(struct sshd *s)
{
    struct error err;

    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        waitpid(s->pid, NULL, 0);
    }
    if (s->dir[0] != '\0')
        dir_remove(s->dir, &err);
    if (s->made_empty_dir)
        rmdir(SSHD_EMPTY_DIR);
    ssh_key_release(&s->host);
    ssh_key_release(&s->user);
    free((char *)s->user_name);
}

static inline struct endpoint
sshd_endpoint(const struct sshd *s)
{
    return (struct endpoint){.node = "n1",
                             .host = "127.0.0.1",
                             .port = s->port,
                             .user = s->user_name,
                             .private_key_path = s->key_path,
                             .host_key = s->host.public_line};
}

#endif
