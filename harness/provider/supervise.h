/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver runs under a small parent that reaps.  Embedded libvirt
 * daemonizes QEMU; where pid 1 does not reap orphans (containers, CI), a
 * killed QEMU stays a zombie, and libvirt waits tens of seconds for it to go.
 *
 *   main -> supervise_main --fork--> child(arg): the driver, threads and all
 *               |                        |
 *               +-- subreaper, reaps <---+--- QEMUs, helpers
 *
 * The parent passes SIGINT, SIGTERM and SIGHUP on (what a terminal sends to
 * the whole group reaches the driver anyway and is not sent twice), and ends
 * with the driver.  It never kills a QEMU: after the driver was killed,
 * 'recover' collects what is there first.  If the parent dies the driver gets
 * SIGTERM.
 */
#ifndef ORDEAL_PROVIDER_SUPERVISE_H
#define ORDEAL_PROVIDER_SUPERVISE_H

/*
 * Call before any thread exists, as main's last act: it returns in both
 * processes.  In the child it returns child(arg); in the parent the child's
 * exit status, or 128 + n when signal n ended it; 70 when there could be none.
 */
int supervise_main(int (*child)(void *), void *arg);

#endif
