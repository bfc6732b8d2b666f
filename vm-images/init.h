/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces of the guest's pid 1.  See docs/GUEST.md for what it promises.
 *
 *   initrd: /init        modules, root disk, switch root, exec /sbin/init
 *   root:   /sbin/init   boot (mounts, network, data disk), then the
 *                        supervisor's loop until a signal asks for the end
 *
 * One thread.  pid 1 never waits without a deadline, and a step that fails is
 * said on the console and does not stop the ones that can do without it: a
 * guest that can still be reached explains itself better than a dead one.
 */
#ifndef ORDEAL_VM_IMAGES_INIT_H
#define ORDEAL_VM_IMAGES_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness/base/error.h"
#include "vm-images/guest-config.h"

#define INIT_RUN_DIR "/run/ordeal"
#define INIT_HOST_KEY INIT_RUN_DIR "/ssh_host_key"

/* Virtio serials are at most 20 bytes. */
#define DISK_NAME_MAX 32

/* One line on the console: "init: ...". */
void init_say(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* init-modules.c: loads the files that 'list' names, in its order. */
int modules_load(const char *list, struct error *err);

/* init-disk.c */

/* Finds "/dev/NAME" of the disk with this serial; waits until deadline_ns. */
int disk_find(const char *serial, int64_t deadline_ns,
              char ret[static DISK_NAME_MAX], struct error *err);

/* Reads the whole configuration disk; free() the result. */
char *disk_read_config(const char *path, size_t *ret_len, struct error *err);

/* Mounts the data disk; makes the file system when the disk is blank. */
int disk_mount_data(const char *path, const char *target, struct error *err);

/* init-network.c: names, addresses, neighbours, routes; all by ioctl. */
int network_apply_mgmt(const struct guest_config *config, struct error *err);
int network_apply_cluster(const struct guest_config *config, struct error *err);

/* init-process.c */

/* What every child needs first: own session, no blocked signals. */
void process_child_prepare(void);

/*
 * Runs argv[0] and waits, at most until the deadline, then kills it.  Returns
 * 0 when it exited with 0.
 */
int process_run(const char *const argv[], int64_t timeout_ns,
                struct error *err);

/* Starts argv[0] and does not wait.  Returns its pid or -1. */
pid_t process_spawn(const char *const argv[], const char *log,
                    struct error *err);

#endif
