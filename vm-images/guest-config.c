/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: walk the 512 byte blocks of the archive, hand each of the three
 * files to its parser, and check that all were there.
 *
 * Failure modes: a header whose checksum, magic, type or size is wrong; a file
 * that is missing, twice there or unknown; a line of 'network' that does not
 * parse; a key that is encrypted, of another type or cut short.  Each is one
 * error that names the file and, for 'network', the line.
 */
#include "config.h"

#include "vm-images/guest-config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define TAR_BLOCK 512
#define NETWORK_LINE_MAX 256
#define NETWORK_WORDS_MAX 4

struct tar_file {
    char name[101];
    const char *data;
    size_t len;
};

/* An octal number padded with NUL or blanks, as ustar writes it. */
static bool
tar_number(const char *field, size_t width, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i = 0, digits = 0;

    while (i < width && field[i] == ' ')
        i++;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++, digits++)
        value = value * 8 + (uint64_t)(field[i] - '0');
    if (digits == 0 || digits > 12)
        return false;
    for (; i < width; i++)
        if (field[i] != '\0' && field[i] != ' ')
            return false;
    *ret = value;
    return true;
}

static bool
tar_checksum_good(const char *block)
{
    uint64_t stored, sum = 0;

    for (unsigned i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : (uint8_t)block[i];
    return tar_number(block + 148, 8, &stored) && stored == sum;
}

static bool
block_is_zero(const char *block)
{
    for (unsigned i = 0; i < TAR_BLOCK; i++)
        if (block[i] != '\0')
            return false;
    return true;
}

/*
 * Reads the entry at *offset and moves behind it.  Returns 1, 0 at the end of
 * the archive, -1 when it is damaged.
 */
static int
tar_next(const char *tar, size_t len, size_t *offset, struct tar_file *ret,
         struct error *err)
{
    const char *block = tar + *offset;
    const char *name;
    uint64_t size;
    char type;

    if (len - *offset < TAR_BLOCK || block_is_zero(block))
        return 0;
    if (!tar_checksum_good(block) || memcmp(block + 257, "ustar", 5) != 0)
        return error_set(err, ERROR_CONFIG,
                         "config archive: no tar header at byte %zu", *offset);
    type = block[156];
    if (type != '0' && type != '\0' && type != '5')
        return error_set(err, ERROR_CONFIG,
                         "config archive: entry at byte %zu is neither a file "
                         "nor a directory",
                         *offset);
    if (!tar_number(block + 124, 12, &size) || size > len - *offset - TAR_BLOCK)
        return error_set(err, ERROR_CONFIG,
                         "config archive: entry at byte %zu has a bad size",
                         *offset);
    name = strncmp(block, "./", 2) == 0 ? block + 2 : block;
    snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(100 - (name - block)),
             name);
    if (type == '5')
        ret->name[0] = '\0';
    ret->data = block + TAR_BLOCK;
    ret->len = (size_t)size;
    size = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    if (size > len - *offset - TAR_BLOCK)
        size = len - *offset - TAR_BLOCK;
    *offset += TAR_BLOCK + (size_t)size;
    return 1;
}

bool
guest_mac_parse(const char *text, uint8_t ret[static 6])
{
    uint8_t mac[6];

    if (strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        const char *p = text + 3 * i;
        char digits[3] = {p[0], p[1], '\0'};

        if (!isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]))
            return false;
        if (i < 5 && p[2] != ':')
            return false;
        mac[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    memcpy(ret, mac, sizeof(mac));
    return true;
}

/* "ADDRESS/PREFIX" */
static bool
address_parse(const char *text, struct guest_address *ret)
{
    char address[INET_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    char *end;
    unsigned long prefix;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(address) ||
        !isdigit((unsigned char)slash[1]))
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    prefix = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || prefix < 1 || prefix > 32)
        return false;
    ret->netmask.s_addr =
        htonl((uint32_t)(UINT64_C(0xffffffff) << (32 - prefix)));
    return inet_pton(AF_INET, address, &ret->address) == 1;
}

static bool
interface_parse(char **word, unsigned count, bool gateway_allowed,
                struct guest_address *ret)
{
    if (ret->present || count < 2 || count > (gateway_allowed ? 3 : 2))
        return false;
    if (!address_parse(word[1], ret))
        return false;
    if (count == 3 && inet_pton(AF_INET, word[2], &ret->gateway) != 1)
        return false;
    ret->present = true;
    return true;
}

static bool
hostname_parse(const char *name, struct guest_config *ret)
{
    size_t len = strlen(name);

    if (ret->hostname[0] != '\0' || len >= sizeof(ret->hostname))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("-.", name[i]) == NULL)
            return false;
    memcpy(ret->hostname, name, len + 1);
    return true;
}

static bool
network_line_parse(char *line, struct guest_config *ret)
{
    char *word[NETWORK_WORDS_MAX + 1], *save = NULL;
    unsigned count = 0;

    for (char *w = strtok_r(line, " \t", &save); w != NULL;
         w = strtok_r(NULL, " \t", &save)) {
        if (count == NETWORK_WORDS_MAX)
            return false;
        word[count++] = w;
    }
    if (count == 0)
        return true;
    if (strcmp(word[0], "mgmt") == 0)
        return interface_parse(word, count, true, &ret->mgmt);
    if (strcmp(word[0], "cluster") == 0)
        return interface_parse(word, count, false, &ret->cluster);
    if (strcmp(word[0], "hostname") == 0)
        return count == 2 && hostname_parse(word[1], ret);
    if (strcmp(word[0], "neighbour") == 0) {
        struct guest_neighbour *n = &ret->neighbours[ret->neighbour_count];

        if (count != 3 || ret->neighbour_count == GUEST_NEIGHBOURS_MAX)
            return false;
        ret->neighbour_count++;
        return inet_pton(AF_INET, word[1], &n->address) == 1 &&
               guest_mac_parse(word[2], n->mac);
    }
    return false;
}

int
guest_network_parse(const char *text, size_t len, struct guest_config *ret,
                    struct error *err)
{
    unsigned line_number = 0;
    size_t at = 0;

    while (at < len) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline == NULL ? len - at : (size_t)(newline - text) - at;
        char line[NETWORK_LINE_MAX];

        line_number++;
        if (n >= sizeof(line) || memchr(text + at, '\0', n) != NULL)
            return error_set(err, ERROR_CONFIG, "network: line %u is not text",
                             line_number);
        memcpy(line, text + at, n);
        line[n] = '\0';
        if (!network_line_parse(line, ret))
            return error_set(err, ERROR_CONFIG, "network: line %u: '%.*s'",
                             line_number, (int)n, text + at);
        at += n + 1;
    }
    if (!ret->mgmt.present)
        return error_set(err, ERROR_CONFIG, "network: no line 'mgmt'");
    return 0;
}

/* A reader of SSH's wire format: big-endian lengths, then bytes. */
struct wire {
    const uint8_t *data;
    size_t len;
};

static bool
wire_u32(struct wire *w, uint32_t *ret)
{
    if (w->len < 4)
        return false;
    *ret = (uint32_t)w->data[0] << 24 | (uint32_t)w->data[1] << 16 |
           (uint32_t)w->data[2] << 8 | w->data[3];
    w->data += 4;
    w->len -= 4;
    return true;
}

static bool
wire_string(struct wire *w, struct wire *ret)
{
    uint32_t len;

    if (!wire_u32(w, &len) || len > w->len)
        return false;
    *ret = (struct wire){.data = w->data, .len = len};
    w->data += len;
    w->len -= len;
    return true;
}

static bool
wire_is(const struct wire *w, const char *text)
{
    return w->len == strlen(text) && memcmp(w->data, text, w->len) == 0;
}

static int
base64_value(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c == '\0' ? NULL : strchr(alphabet, c);

    return p == NULL ? -1 : (int)(p - alphabet);
}

/* The lines between BEGIN and END.  Returns the number of bytes, 0 if bad. */
static size_t
pem_decode(const char *pem, size_t len, uint8_t *ret, size_t ret_max)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    static const char end[] = "-----END OPENSSH PRIVATE KEY-----";
    const char *p, *stop;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t count = 0;

    if (len < sizeof(begin) || memcmp(pem, begin, sizeof(begin) - 1) != 0)
        return 0;
    p = pem + sizeof(begin) - 1;
    stop = memmem(p, len - (sizeof(begin) - 1), end, sizeof(end) - 1);
    if (stop == NULL)
        return 0;
    for (; p < stop; p++) {
        int value = base64_value(*p);

        if (*p == '\n' || *p == '\r' || *p == '=')
            continue;
        if (value < 0 || count == ret_max)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            ret[count++] = (uint8_t)(bits >> bit_count);
        }
    }
    return count;
}

/* Reads the private section: two equal checks, type, public, seed+public. */
static bool
private_section_parse(struct wire section, struct wire *ret_key)
{
    struct wire type, public_key;
    uint32_t check_1, check_2;

    return wire_u32(&section, &check_1) && wire_u32(&section, &check_2) &&
           check_1 == check_2 && wire_string(&section, &type) &&
           wire_is(&type, "ssh-ed25519") &&
           wire_string(&section, &public_key) && public_key.len == 32 &&
           wire_string(&section, ret_key) && ret_key->len == 64;
}

int
guest_host_key_convert(const char *pem, size_t len,
                       uint8_t ret[static GUEST_HOST_KEY_BYTES],
                       struct error *err)
{
    static const char magic[] = "openssh-key-v1"; /* its NUL belongs to it */
    static const uint8_t head[] = "\0\0\0\013ssh-ed25519\0\0\0\100";
    uint8_t bytes[1024];
    struct wire w = {.data = bytes}, cipher, kdf, options, public_key, section;
    struct wire key;
    uint32_t key_count;

    static_assert(sizeof(head) - 1 + 64 == GUEST_HOST_KEY_BYTES, "layout");
    w.len = pem_decode(pem, len, bytes, sizeof(bytes));
    if (w.len < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0)
        return error_set(err, ERROR_CONFIG,
                         "host key: not in OpenSSH's private key format");
    w.data += sizeof(magic);
    w.len -= sizeof(magic);
    if (!wire_string(&w, &cipher) || !wire_string(&w, &kdf) ||
        !wire_string(&w, &options) || !wire_u32(&w, &key_count) ||
        !wire_string(&w, &public_key) || !wire_string(&w, &section))
        return error_set(err, ERROR_CONFIG, "host key: cut short");
    if (!wire_is(&cipher, "none") || key_count != 1)
        return error_set(err, ERROR_CONFIG,
                         "host key: encrypted, or not a single key");
    if (!private_section_parse(section, &key))
        return error_set(err, ERROR_CONFIG, "host key: not a ed25519 key");
    memcpy(ret, head, sizeof(head) - 1);
    memcpy(ret + sizeof(head) - 1, key.data, key.len);
    return 0;
}

static int
config_file_take(const struct tar_file *file, unsigned *seen,
                 struct guest_config *ret, struct error *err)
{
    static const char *const names[] = {"network", "ssh_host_ed25519_key",
                                        "authorized_keys"};
    unsigned which = 0;

    while (which < ARRAY_LEN(names) && strcmp(file->name, names[which]) != 0)
        which++;
    if (which == ARRAY_LEN(names))
        return error_set(err, ERROR_CONFIG, "config archive: unknown file '%s'",
                         file->name);
    if (*seen & 1u << which)
        return error_set(err, ERROR_CONFIG,
                         "config archive: '%s' is there "
                         "twice",
                         file->name);
    *seen |= 1u << which;
    if (which == 0)
        return guest_network_parse(file->data, file->len, ret, err);
    if (which == 1)
        return guest_host_key_convert(file->data, file->len, ret->host_key,
                                      err);
    ret->authorized_keys = file->data;
    ret->authorized_keys_len = file->len;
    return 0;
}

int
guest_config_parse(const char *tar, size_t len, struct guest_config *ret,
                   struct error *err)
{
    struct guest_config config = {.neighbour_count = 0};
    struct tar_file file;
    unsigned seen = 0;
    size_t offset = 0;
    int more;

    while ((more = tar_next(tar, len, &offset, &file, err)) == 1)
        if (file.name[0] != '\0' &&
            config_file_take(&file, &seen, &config, err) < 0)
            return -1;
    if (more < 0)
        return -1;
    if (seen != 7)
        return error_set(err, ERROR_CONFIG, "config archive: '%s' is missing",
                         !(seen & 1)   ? "network"
                         : !(seen & 2) ? "ssh_host_ed25519_key"
                                       : "authorized_keys");
    *ret = config;
    return 0;
}
