/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts of clients as namespace ports (nemesis/fabric/namespace-port.h), one
 * each, behind the nodes in the switch's ports.
 *
 *   client_hosts_new -> client_hosts_ports -> switch ... -> client_hosts_free
 *
 * Threads: new and free in one; the members of struct client_hosts as they
 * say.
 */
#ifndef ORDEAL_PROVIDER_CLIENT_HOSTS_H
#define ORDEAL_PROVIDER_CLIENT_HOSTS_H

#include "harness/provider/provider.h"
#include "nemesis/fabric/switch.h"

/* ERROR_ENVIRONMENT names the step that this machine does not allow. */
struct client_hosts *client_hosts_new(const char *program, unsigned count,
                                      unsigned node_count, struct error *err);

/* One switch port each, into ret[0] and on. */
void client_hosts_ports(const struct client_hosts *h,
                        struct switch_port_config *ret);

/* The helper process of a host. */
pid_t client_hosts_pid(const struct client_hosts *h, unsigned host);

/* After the switch.  NULL is fine. */
void client_hosts_free(struct client_hosts *h);

#endif
