/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to libvirt: by default its QEMU driver inside this process
 * (qemu:///embed), else whatever URI the user names.
 *
 * libvirt ties one process to one embedded root directory for good.  All
 * connections of a process therefore share one root, a runtime directory of
 * its own, whose files are removed when the last of them closes.
 *
 * Threads: open and close from one thread at a time, before other threads
 * read the environment; it is changed while libvirt starts, and put back.
 */
#ifndef ORDEAL_PROVIDER_LIBVIRT_CONNECTION_H
#define ORDEAL_PROVIDER_LIBVIRT_CONNECTION_H

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "harness/base/error.h"
#include "harness/provider/runtime-dir.h"

struct libvirt_connection {
    virConnectPtr conn;
    char root[RUNTIME_DIR_SIZE]; /* "" unless embedded */
    int timer;                   /* wakes the loop */
    pthread_t loop;
    bool looping;
    atomic_bool stop;
};

/* 'uri' NULL: embedded.  Zeroed 'ret' is closed. */
int libvirt_connection_open(struct libvirt_connection *ret, const char *uri,
                            struct error *err);
void libvirt_connection_close(struct libvirt_connection *c);

/* What libvirt says about this thread's last call. */
int libvirt_fail(struct error *err, const char *what);

#endif
