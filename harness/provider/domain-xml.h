/* SPDX-License-Identifier: Apache-2.0 */
/* The libvirt description of one guest. */
#ifndef ORDEAL_PROVIDER_DOMAIN_XML_H
#define ORDEAL_PROVIDER_DOMAIN_XML_H

#include "harness/provider/provider.h"

/* All strings are borrowed and escaped here; paths are absolute. */
struct domain_spec {
    const char *name; /* libvirt's name of the domain */
    const char *node; /* "n1" */
    unsigned index;   /* for the MAC addresses */
    enum accelerator accelerator;
    const char *emulator; /* NULL: libvirt's choice */
    unsigned memory_mib, vcpus;
    const char *image_dir, *config_path, *data_path, *console_path;
    const char *data_socket; /* of the platter that serves data_path; or NULL */
    uint16_t switch_port, qemu_port; /* the cluster NIC's two ends */
    const struct door *forwards;     /* host to guest TCP, SSH included */
    unsigned forward_count;
};

/* The document; the caller frees it. */
char *domain_xml(const struct domain_spec *spec);

#endif
