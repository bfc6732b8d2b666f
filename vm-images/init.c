/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid 1 of a guest.
 *
 * Happy path: as /init of the initrd it loads the few modules a boot needs,
 * mounts the disk 'ordeal-root' and becomes its /sbin/init.  That mounts the
 * rest, applies the configuration disk, mounts /data, starts the SSH server on
 * mgmt, and then supervises and reaps until a signal asks for the end: SIGTERM
 * and SIGINT reboot, SIGUSR1 and SIGUSR2 power off (busybox's convention).
 *
 * Failure modes: without a root disk there is nothing to run: it says so and
 * ends the guest (panic=-1 reboots, the host sees the console).  Without
 * configuration or mgmt there is no SSH server; without a data disk no /data;
 * these are said on the console and the rest goes on.  An SSH server that ends
 * is started again after a second: it is the way in, not a daemon under test.
 */
#include "config.h"

#include "vm-images/init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "vm-images/supervisor.h"
#include "vm-images/svc-wire.h"

#define DISK_WAIT_NS (10 * NS_PER_S)
#define SSH_RESTART_NS NS_PER_S

/* Daemons get this long between SIGTERM and SIGKILL when the guest ends. */
#define END_GRACE_NS (5 * NS_PER_S)
#define END_UNMOUNT_NS (10 * NS_PER_S)

#define ALIASES_MAX 16

struct init {
    struct supervisor supervisor;
    char ssh_listen[32]; /* "ADDRESS:22", "" without configuration */
    pid_t ssh_pid;       /* 0: does not run */
    int64_t ssh_start_ns;
};

void
init_say(const char *fmt, ...)
{
    char line[1024];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len >= 0)
        dprintf(STDERR_FILENO, "init: %s\n", line);
}

static int64_t
now_ns(void)
{
    return clock_now_ns(clock_monotonic());
}

static void
mount_or_say(const char *source, const char *target, const char *type,
             unsigned long flags, const char *options)
{
    if (mount(source, target, type, flags, options) < 0)
        init_say("mount of '%s': %s", target, strerror(errno));
}

static void
console_open(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);

    if (fd < 0)
        return;
    for (int i = 0; i <= STDERR_FILENO; i++)
        if (fd != i)
            dup2(fd, i);
    if (fd > STDERR_FILENO)
        close(fd);
}

static int
initrd_run(struct error *err)
{
    static const char *const moved[] = {"/dev", "/proc", "/sys"};
    char init[] = "/sbin/init", *argv[] = {init, NULL};
    char root[DISK_NAME_MAX];

    mount_or_say("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
    console_open();
    mount_or_say("proc", "/proc", "proc", MS_NOSUID | MS_NODEV, NULL);
    mount_or_say("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV, NULL);
    if (modules_load("/modules/list", err) < 0 ||
        disk_find("ordeal-root", now_ns() + DISK_WAIT_NS, root, err) < 0)
        return -1;
    if (mount(root, "/root", "ext4", MS_RDONLY | MS_NODEV, NULL) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "mount '%s'", root);
    for (unsigned i = 0; i < ARRAY_LEN(moved); i++) {
        char target[16];

        snprintf(target, sizeof(target), "/root%s", moved[i]);
        if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "move of '%s'",
                               moved[i]);
    }
    if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
        chroot(".") < 0 || chdir("/") < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "switch of the root");
    execv(argv[0], argv);
    return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", argv[0]);
}

static void
root_prepare(void)
{
    umask(022);
    clearenv();
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    mount_or_say("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV,
                 "mode=0755,size=16m");
    mount_or_say("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV,
                 "mode=1777,size=64m");
    mount_or_say("root", "/root", "tmpfs", MS_NOSUID | MS_NODEV,
                 "mode=0700,size=16m");
    mkdir("/dev/pts", 0755);
    mkdir("/dev/shm", 01777);
    mount_or_say("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                 "mode=0620,ptmxmode=0666");
    mount_or_say("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
                 "mode=1777,size=64m");
    mkdir(INIT_RUN_DIR, 0700);
    mkdir("/root/.ssh", 0700);
}

static void
file_put(const char *path, const void *data, size_t len, mode_t mode)
{
    CLEANUP_CLOSE int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0 || file_write_all(fd, data, len) < 0)
        init_say("'%s': %s", path, strerror(errno));
}

static int
config_apply(struct init *init, struct error *err)
{
    struct guest_config config;
    char disk[DISK_NAME_MAX], address[INET_ADDRSTRLEN];
    CLEANUP_FREE char *archive = NULL;
    size_t len;

    if (disk_find("ordeal-config", now_ns(), disk, err) < 0)
        return -1;
    archive = disk_read_config(disk, &len, err);
    if (archive == NULL || guest_config_parse(archive, len, &config, err) < 0)
        return -1;
    sethostname(config.hostname, strlen(config.hostname));
    file_put(INIT_HOST_KEY, config.host_key, sizeof(config.host_key), 0600);
    file_put("/root/.ssh/authorized_keys", config.authorized_keys,
             config.authorized_keys_len, 0600);
    explicit_bzero(archive, len);
    explicit_bzero(config.host_key, sizeof(config.host_key));
    if (network_apply_mgmt(&config, err) < 0)
        return -1;
    if (network_apply_cluster(&config, err) < 0)
        init_say("%s, continuing", err->text);
    inet_ntop(AF_INET, &config.mgmt.address, address, sizeof(address));
    snprintf(init->ssh_listen, sizeof(init->ssh_listen), "%s:22", address);
    return 0;
}

static int
data_prepare(struct error *err)
{
    static const char pattern[] = "/data/core/core.%e.%p";
    char disk[DISK_NAME_MAX];

    if (disk_find("ordeal-data", now_ns(), disk, err) < 0 ||
        disk_mount_data(disk, "/data", err) < 0)
        return -1;
    mkdir("/data/log", 0755);
    mkdir("/data/opt", 0755);
    mkdir("/data/core", 0755);
    file_put("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern) - 1, 0);
    return 0;
}

static void
ssh_start(struct init *init)
{
    /* -s: no passwords; -F -E: foreground, log to standard error. */
    const char *argv[] = {"/usr/sbin/dropbear",
                          "-F",
                          "-E",
                          "-s",
                          "-p",
                          init->ssh_listen,
                          "-r",
                          INIT_HOST_KEY,
                          "-P",
                          INIT_RUN_DIR "/ssh.pid",
                          NULL};
    struct error err;

    init->ssh_pid = process_spawn(argv, INIT_RUN_DIR "/ssh.log", &err);
    if (init->ssh_pid < 0) {
        init_say("SSH server: %s", err.text);
        init->ssh_pid = 0;
        init->ssh_start_ns = now_ns() + SSH_RESTART_NS;
    }
}

/*
 * Devices the boot could do without (balloon, entropy): one modprobe for all
 * of them, which nobody waits for.
 */
static void
late_modules_load(void)
{
    const char *argv[ALIASES_MAX + 4] = {"/sbin/modprobe", "-qba"};
    char text[ALIASES_MAX][64];
    unsigned count = 0;
    struct error err;
    glob_t found;

    if (glob("/sys/bus/virtio/devices/*", 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc && count < ALIASES_MAX; i++) {
        char path[300];
        CLEANUP_CLOSE int fd = -1;
        ssize_t n;

        snprintf(path, sizeof(path), "%s/driver", found.gl_pathv[i]);
        if (path_exists(path))
            continue;
        snprintf(path, sizeof(path), "%s/modalias", found.gl_pathv[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text[count], sizeof(text[count]) - 1);
        if (n <= 0)
            continue;
        text[count][n] = '\0';
        text[count][strcspn(text[count], "\n")] = '\0';
        argv[2 + count] = text[count];
        count++;
    }
    globfree(&found);
    if (count > 0 && process_spawn(argv, NULL, &err) < 0)
        init_say("modprobe: %s, continuing", err.text);
}

/* Reaps all that ended.  Returns whether children are left. */
static bool
reap(struct init *init)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (supervisor_ended(&init->supervisor, pid, status) ||
            pid != init->ssh_pid)
            continue;
        init_say("SSH server ended, status 0x%x", (unsigned)status);
        init->ssh_pid = 0;
        init->ssh_start_ns = now_ns() + SSH_RESTART_NS;
    }
    return pid == 0;
}

static void
wait_for_children(struct init *init, int64_t deadline_ns)
{
    while (reap(init) && now_ns() < deadline_ns)
        clock_sleep_ns(clock_monotonic(), 10 * NS_PER_MS);
}

/* Does not return. */
static void
end(struct init *init, int how)
{
    const char *const sync_all[] = {"/bin/sync", NULL};
    const char *const unmount[] = {"/bin/umount", "/data", NULL};
    struct error err;

    init_say("%s", how == RB_AUTOBOOT ? "reboot" : "power off");
    kill(-1, SIGTERM);
    kill(-1, SIGCONT);
    wait_for_children(init, now_ns() + END_GRACE_NS);
    kill(-1, SIGKILL);
    wait_for_children(init, now_ns() + END_GRACE_NS);
    /* In case something holds /data. */
    if (process_run(sync_all, END_UNMOUNT_NS, &err) < 0)
        init_say("%s, continuing", err.text);
    if (process_run(unmount, END_UNMOUNT_NS, &err) < 0)
        init_say("%s, continuing", err.text);
    reboot(how);
    init_say("reboot: %s", strerror(errno));
    _exit(1);
}

static int
signals_open(struct error *err)
{
    static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_LEN(wanted); i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* Ctrl-Alt-Del from the host becomes SIGINT. */
    reboot(RB_DISABLE_CAD);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? error_errno(err, ERROR_ENVIRONMENT, errno, "signalfd") : fd;
}

static void
signals_handle(struct init *init, int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            end(init, RB_AUTOBOOT);
        if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2)
            end(init, RB_POWER_OFF);
    }
    reap(init);
}

static int
poll_timeout_ms(const struct init *init, int64_t at_ns)
{
    int64_t until_ns = supervisor_deadline_ns(&init->supervisor);
    int64_t left_ms;

    if (init->ssh_pid == 0 && init->ssh_listen[0] != '\0' &&
        init->ssh_start_ns < until_ns)
        until_ns = init->ssh_start_ns;
    if (until_ns == INT64_MAX)
        return -1;
    left_ms = until_ns <= at_ns ? 0 : (until_ns - at_ns) / NS_PER_MS + 1;
    return left_ms > 60000 ? 60000 : (int)left_ms;
}

static void
supervise(struct init *init, int signal_fd)
{
    for (;;) {
        struct pollfd fds[1 + SUPERVISOR_POLL_MAX];
        unsigned count;

        fds[0] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
        count = supervisor_poll_fill(&init->supervisor, fds + 1);
        poll(fds, 1 + count, poll_timeout_ms(init, now_ns()));
        signals_handle(init, signal_fd);
        supervisor_work(&init->supervisor, now_ns());
        if (init->ssh_pid == 0 && init->ssh_listen[0] != '\0' &&
            now_ns() >= init->ssh_start_ns)
            ssh_start(init);
    }
}

static int
root_run(struct error *err)
{
    static struct init init;
    int signal_fd;

    root_prepare();
    signal_fd = signals_open(err);
    if (signal_fd < 0 || supervisor_open(&init.supervisor, SVC_SOCKET,
                                         "/data/log", init_say, err) < 0)
        return -1;
    if (data_prepare(err) < 0)
        init_say("/data: %s, continuing", err->text);
    if (config_apply(&init, err) < 0)
        init_say("%s, continuing", err->text);
    else
        ssh_start(&init);
    late_modules_load();
    init_say("ready after %d ms", (int)(now_ns() / NS_PER_MS));
    supervise(&init, signal_fd);
    return 0;
}

int
main(int argc, char **argv)
{
    struct error err;
    int result;

    if (getpid() != 1) {
        fputs("init: only the kernel starts this program\n", stderr);
        return 64;
    }
    result = strcmp(argv[0], "/init") == 0 ? initrd_run(&err) : root_run(&err);
    if (result < 0)
        init_say("%s", err.text);
    return 1;
}
