/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM or TCG, decided by running a virtual CPU as our guests have it: /dev/kvm
 * may exist and open, and even run a few instructions, while virtual machines
 * fail or hang.
 */
#ifndef ORDEAL_PROVIDER_ACCELERATOR_H
#define ORDEAL_PROVIDER_ACCELERATOR_H

#include <stddef.h>

#include "harness/provider/provider.h"

#define QEMU_PROGRAM "qemu-system-x86_64"

/*
 * The answer (made once per process; seconds at most), and why in 'ret_reason'
 * ("KVM ran a virtual CPU in 0.2 s").  Any thread.
 */
enum accelerator provider_probe_accelerator(char *ret_reason, size_t size);

/*
 * The same, and KVM must also have booted this image's kernel.  From then on
 * provider_probe_accelerator() gives this answer too.
 */
enum accelerator accelerator_choose(const char *image_dir, char *ret_reason,
                                    size_t size);

/*
 * Whether QEMU runs a virtual CPU with "kvm" or "tcg" within the time: a few
 * instructions, or with 'kernel' (a path; NULL: none) that kernel up to where
 * it misses its root file system.  err says what went wrong.
 */
int accelerator_try(const char *accelerator, const char *kernel,
                    int64_t timeout_ns, struct error *err);

#endif
