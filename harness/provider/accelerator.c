/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two probes.  The quick one gives QEMU a 64 KiB ROM whose reset vector writes
 * one byte to the isa-debug-exit device: QEMU then ends with (byte << 1 | 1),
 * which nothing else gives.  The other boots the guest kernel without a root
 * file system: it panics, wants to reboot, and QEMU ends with 0.
 *
 * Failure modes: no QEMU, no KVM, KVM that cannot make a machine with the
 * host's CPU (QEMU ends with 1 or a signal and says why), KVM whose kernels
 * hang (the time runs out).
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/process.h"
#include "harness/provider/accelerator.h"

#define PROBE_TIMEOUT_NS (3 * NS_PER_S)
#define PROBE_KERNEL_TIMEOUT_NS (6 * NS_PER_S)
#define PROBE_LIFE_S "30" /* above every time limit given */
#define PROBE_OUTPUT_BYTES_MAX (256 << 10)
#define PROBE_WORDS_MAX 32
#define PROBE_ROM_BYTES 65536
#define PROBE_BYTE 0x31
#define PROBE_STATUS (PROBE_BYTE << 1 | 1)

/* The CPU starts at the last 16 bytes of the ROM, in real mode. */
static const unsigned char probe_code[] = {
    0xb0, PROBE_BYTE, /* mov al, PROBE_BYTE */
    0xe6, 0xf4,       /* out 0xf4, al */
    0xf4,             /* hlt */
    0xeb, 0xfd,       /* jmp to the hlt */
};

/* Process-wide: the machine's answer does not change between clusters. */
static struct {
    pthread_mutex_t mutex;
    bool rom_done, kernel_done;
    enum accelerator answer;
    char reason[256];
} probe = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* A ROM without a name in the file system; QEMU opens it through /proc. */
static int
probe_rom(struct error *err)
{
    unsigned char *rom = xcalloc(1, PROBE_ROM_BYTES);
    int fd = memfd_create("ordeal-probe", MFD_CLOEXEC);

    memcpy(rom + PROBE_ROM_BYTES - 16, probe_code, sizeof(probe_code));
    if (fd < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "memfd");
    } else if (file_write_all(fd, rom, PROBE_ROM_BYTES) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "memfd: write");
        close(fd);
        fd = -1;
    }
    free(rom);
    return fd;
}

static void
probe_words(const char *accelerator, const char *kernel, const char *rom,
            const char *ret[static PROBE_WORDS_MAX])
{
    const char *cpu = strcmp(accelerator, "kvm") == 0 ? "host" : "max";
    const char *const common[] = {QEMU_PROGRAM,
                                  "-accel",
                                  accelerator,
                                  "-machine",
                                  "q35",
                                  "-cpu",
                                  cpu,
                                  "-m",
                                  "256",
                                  "-nodefaults",
                                  "-no-user-config",
                                  "-no-reboot",
                                  "-display",
                                  "none",
                                  NULL};
    const char *const with_rom[] = {
        "-bios", rom, "-device", "isa-debug-exit,iobase=0xf4,iosize=1", NULL};
    const char *const with_kernel[] = {
        "-kernel", kernel,
        "-append", "console=ttyS0 quiet panic=-1 no_timer_check",
        "-serial", "stdio",
        NULL};
    const char *const *rest = kernel == NULL ? with_rom : with_kernel;
    size_t count = 0;

    for (size_t i = 0; common[i] != NULL; i++)
        ret[count++] = common[i];
    for (size_t i = 0; rest[i] != NULL; i++)
        ret[count++] = rest[i];
    assert(count < PROBE_WORDS_MAX);
    ret[count] = NULL;
}

static bool
probe_passed(const char *kernel, const struct process_result *result)
{
    if (kernel == NULL)
        return result->status == PROBE_STATUS;
    return result->status == 0 &&
           strstr(buf_text(&result->out), "Kernel panic") != NULL;
}

int
accelerator_try(const char *accelerator, const char *kernel, int64_t timeout_ns,
                struct error *err)
{
    CLEANUP_CLOSE int fd = probe_rom(err);
    CLEANUP_FREE char *rom = xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
    CLEANUP(process_result_release) struct process_result result;
    struct process_options o = {.output_max = PROBE_OUTPUT_BYTES_MAX};
    int64_t deadline_ns = clock_now_ns(clock_monotonic()) + timeout_ns;
    const char *argv[PROBE_WORDS_MAX], *text;

    process_result_init(&result);
    if (fd < 0)
        return -1;
    probe_words(accelerator, kernel, rom, argv);
    if (process_run(argv, &o, deadline_ns, &result, err) < 0)
        return err->kind == ERROR_TRANSIENT
                   ? error_set(err, ERROR_ENVIRONMENT,
                               "%s hangs: it did not %s within %.0f s",
                               accelerator,
                               kernel == NULL ? "run an instruction"
                                              : "boot the guest kernel",
                               (double)timeout_ns / NS_PER_S)
                   : -1;
    if (probe_passed(kernel, &result))
        return 0;
    text = buf_text(&result.err);
    return error_set(err, ERROR_ENVIRONMENT, "QEMU with %s fails: %.*s",
                     accelerator, (int)strcspn(text, "\n"), text);
}

/* Called with the mutex held. */
static void
probe_run(const char *kernel, int64_t timeout_ns)
{
    int64_t start = clock_now_ns(clock_monotonic());
    struct error err = {0};

    if (accelerator_try("kvm", kernel, timeout_ns, &err) == 0) {
        probe.answer = ACCELERATOR_KVM;
        snprintf(probe.reason, sizeof(probe.reason), "KVM %s in %.1f s",
                 kernel == NULL ? "ran a virtual CPU"
                                : "booted the guest kernel",
                 (double)(clock_now_ns(clock_monotonic()) - start) / NS_PER_S);
    } else {
        probe.answer = ACCELERATOR_TCG;
        snprintf(probe.reason, sizeof(probe.reason),
                 "emulation (TCG), because %.200s", err.text);
    }
}

enum accelerator
accelerator_choose(const char *image_dir, char *ret_reason, size_t size)
{
    enum accelerator answer;

    pthread_mutex_lock(&probe.mutex);
    if (!probe.rom_done)
        probe_run(NULL, PROBE_TIMEOUT_NS);
    probe.rom_done = true;
    if (image_dir != NULL && !probe.kernel_done) {
        CLEANUP_FREE char *kernel = xasprintf("%s/vmlinuz", image_dir);

        if (probe.answer == ACCELERATOR_KVM)
            probe_run(kernel, PROBE_KERNEL_TIMEOUT_NS);
        probe.kernel_done = true;
    }
    answer = probe.answer;
    if (ret_reason != NULL)
        snprintf(ret_reason, size, "%s", probe.reason);
    pthread_mutex_unlock(&probe.mutex);
    return answer;
}

enum accelerator
provider_probe_accelerator(char *ret_reason, size_t size)
{
    return accelerator_choose(NULL, ret_reason, size);
}
