/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine of the libvirt provider, and struct machine_ops over it.
 *
 * Threads: as machine.h says; the throttle has a thread of its own.
 */
#ifndef ORDEAL_PROVIDER_LIBVIRT_MACHINE_H
#define ORDEAL_PROVIDER_LIBVIRT_MACHINE_H

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>

#include "harness/provider/machine.h"
#include "nemesis/platter/platter.h"

struct libvirt_throttle {
    bool running;
    pthread_t thread;
    atomic_bool stop;
    unsigned percent;
    int pidfd;
};

struct libvirt_machine {
    virDomainPtr domain;    /* NULL: off */
    const char *name;       /* libvirt's name of it; borrowed */
    const char *disk;       /* the image under the platter; borrowed */
    unsigned memory_mib;    /* without a balloon */
    struct platter platter; /* pid 0: none */
    struct libvirt_throttle throttle;
};

/* In libvirt.c: of a cluster that was created. */
struct libvirt_machine *libvirt_machine_of(struct provider *p, unsigned node);

/* Ends the throttle: the process goes on, if it is still there. */
void libvirt_machine_unthrottle(struct libvirt_machine *m);

extern const struct machine_ops libvirt_machine_ops;

#endif
