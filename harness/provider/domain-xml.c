/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function per part of the document, in the order of the document.  Every
 * string from outside goes through xml_put.
 *
 * Disks: 'writeback' lets a guest's flush reach the host file (fdatasync) and
 * nothing else; errors are reported to the guest instead of stopping it.  The
 * mgmt NIC needs QEMU's own command line, since libvirt 9.0 has no host
 * forwards for user networking; it sits on a slot that libvirt does not use.
 */
#include "config.h"

#include "harness/base/buf.h"
#include "harness/provider/domain-xml.h"
#include "harness/provider/guest-files.h"

#define DOMAIN_XML_BYTES_MAX (64 << 10)
#define DOMAIN_MGMT_SLOT "0x10"
/* QEMU's default, an eighth of the host's memory, fills up over a run. */
#define DOMAIN_TCG_CACHE "<tcg><tb-cache unit='MiB'>128</tb-cache></tcg>"

static void
xml_put(struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        switch (*p) {
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '\'':
            buf_puts(out, "&apos;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        default:
            buf_append(out, p, 1);
        }
    }
}

/* <tag attribute='TEXT'/>, or with attribute NULL <tag>TEXT</tag>. */
static void
xml_element(struct buf *out, const char *tag, const char *attribute,
            const char *text)
{
    if (attribute != NULL)
        buf_printf(out, "<%s %s='", tag, attribute);
    else
        buf_printf(out, "<%s>", tag);
    xml_put(out, text);
    if (attribute != NULL)
        buf_puts(out, "'/>\n");
    else
        buf_printf(out, "</%s>\n", tag);
}

static void
domain_put_machine(struct buf *out, const struct domain_spec *s)
{
    bool kvm = s->accelerator == ACCELERATOR_KVM;
    struct buf path;

    xml_element(out, "name", NULL, s->name);
    buf_printf(out,
               "<memory unit='MiB'>%u</memory>\n<vcpu>%u</vcpu>\n<os>\n"
               "<type arch='x86_64' machine='q35'>hvm</type>\n",
               s->memory_mib, s->vcpus);
    buf_init(&path, 4096);
    buf_printf(&path, "%s/vmlinuz", s->image_dir);
    xml_element(out, "kernel", NULL, path.data);
    buf_reset(&path);
    buf_printf(&path, "%s/initrd", s->image_dir);
    xml_element(out, "initrd", NULL, path.data);
    buf_reset(&path);
    buf_printf(&path,
               "console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests "
               "mitigations=off ordeal.node=%s",
               s->node);
    xml_element(out, "cmdline", NULL, path.data);
    buf_release(&path);
    buf_printf(out,
               "</os>\n<features><acpi/>%s</features>\n<cpu mode='%s'/>\n"
               "<clock offset='utc'/>\n<on_poweroff>destroy</on_poweroff>\n"
               "<on_reboot>restart</on_reboot>\n"
               "<on_crash>restart</on_crash>\n",
               kvm ? "" : DOMAIN_TCG_CACHE,
               kvm ? "host-passthrough" : "maximum");
}

static void
domain_put_disk(struct buf *out, const char *path, const char *target,
                const char *serial, bool writable)
{
    buf_printf(out,
               "<disk type='file' device='disk'>\n"
               "<driver name='qemu' type='raw' cache='writeback' "
               "error_policy='report' rerror_policy='report'%s/>\n",
               writable ? " discard='unmap'" : "");
    xml_element(out, "source", "file", path);
    buf_printf(out, "<target dev='%s' bus='virtio'/>\n<serial>%s</serial>\n%s",
               target, serial, writable ? "" : "<readonly/>\n");
    buf_puts(out, "</disk>\n");
}

/*
 * The data disk behind a platter.  'none' and 'writeback' are the same to NBD;
 * 'writethrough' would make every write FUA, so that a power cut could lose
 * nothing.
 */
static void
domain_put_platter(struct buf *out, const char *socket_path, const char *target,
                   const char *serial)
{
    buf_puts(out, "<disk type='network' device='disk'>\n"
                  "<driver name='qemu' type='raw' cache='none' "
                  "error_policy='report' rerror_policy='report' "
                  "discard='unmap'/>\n"
                  "<source protocol='nbd' name=''>\n"
                  "<host transport='unix' socket='");
    xml_put(out, socket_path);
    buf_printf(out,
               "'/>\n</source>\n<target dev='%s' bus='virtio'/>\n"
               "<serial>%s</serial>\n</disk>\n",
               target, serial);
}

static void
domain_put_devices(struct buf *out, const struct domain_spec *s)
{
    char mac[GUEST_MAC_TEXT_SIZE];
    struct buf root;

    guest_mac_text(true, s->index, mac);
    buf_init(&root, 4096);
    buf_printf(&root, "%s/root.img", s->image_dir);
    buf_puts(out, "<devices>\n");
    if (s->emulator != NULL)
        xml_element(out, "emulator", NULL, s->emulator);
    domain_put_disk(out, root.data, "vda", "ordeal-root", false);
    domain_put_disk(out, s->config_path, "vdb", "ordeal-config", false);
    if (s->data_socket != NULL)
        domain_put_platter(out, s->data_socket, "vdc", "ordeal-data");
    else
        domain_put_disk(out, s->data_path, "vdc", "ordeal-data", true);
    buf_release(&root);
    buf_printf(out,
               "<controller type='usb' model='none'/>\n"
               "<interface type='udp'>\n<mac address='%s'/>\n"
               "<source address='127.0.0.1' port='%u'>"
               "<local address='127.0.0.1' port='%u'/></source>\n"
               "<model type='virtio'/>\n<alias name='ua-cluster'/>\n"
               "</interface>\n<serial type='file'>\n",
               mac, s->switch_port, s->qemu_port);
    buf_puts(out, "<source path='");
    xml_put(out, s->console_path);
    buf_puts(out, "' append='on'/>\n</serial>\n<memballoon model='virtio'/>\n"
                  "</devices>\n");
}

static void
domain_put_mgmt(struct buf *out, const struct domain_spec *s)
{
    char mac[GUEST_MAC_TEXT_SIZE];

    guest_mac_text(false, s->index, mac);
    buf_puts(out, "<qemu:commandline>\n<qemu:arg value='-netdev'/>\n"
                  "<qemu:arg value='user,id=mgmt,restrict=on,ipv6=off");
    for (unsigned i = 0; i < s->forward_count; i++)
        buf_printf(out, ",hostfwd=tcp:127.0.0.1:%u-" GUEST_MGMT_ADDRESS ":%u",
                   s->forwards[i].host_port, s->forwards[i].guest_port);
    buf_printf(out,
               "'/>\n<qemu:arg value='-device'/>\n"
               "<qemu:arg value='virtio-net-pci,netdev=mgmt,mac=%s,"
               "bus=pcie.0,addr=" DOMAIN_MGMT_SLOT "'/>\n"
               "</qemu:commandline>\n",
               mac);
}

char *
domain_xml(const struct domain_spec *s)
{
    struct buf out;

    buf_init(&out, DOMAIN_XML_BYTES_MAX);
    buf_printf(&out,
               "<domain type='%s' "
               "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n",
               s->accelerator == ACCELERATOR_KVM ? "kvm" : "qemu");
    domain_put_machine(&out, s);
    domain_put_devices(&out, s);
    domain_put_mgmt(&out, s);
    buf_puts(&out, "</domain>\n");
    return buf_take(&out);
}
