/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's reader of its configuration: archive, network, host key. */
#include "config.h"

#include <arpa/inet.h>
#include <stdint.h>

#include "harness/base/arena.h"
#include "tests/lib/tap.h"
#include "vm-images/guest-config.h"

#define PEM_MAX 1024

/* An archive under construction. */
struct archive {
    char data[16384];
    size_t len;
};

static void
header_checksum(char *block)
{
    unsigned sum = 0;

    memset(block + 148, ' ', 8);
    for (unsigned i = 0; i < 512; i++)
        sum += (uint8_t)block[i];
    snprintf(block + 148, 8, "%06o", sum);
}

static char *
archive_add(struct archive *a, const char *name, char type, const char *data,
            size_t len)
{
    char *block = a->data + a->len;

    snprintf(block, 100, "%s", name);
    snprintf(block + 100, 8, "%07o", 0600u);
    snprintf(block + 124, 12, "%011zo", len);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    header_checksum(block);
    memcpy(block + 512, data, len);
    a->len += 512 + (len + 511) / 512 * 512;
    return block;
}

static void
put_u32(uint8_t *data, size_t *len, uint32_t value)
{
    value = htonl(value);
    memcpy(data + *len, &value, 4);
    *len += 4;
}

static void
put_string(uint8_t *data, size_t *len, const void *s, size_t n)
{
    put_u32(data, len, (uint32_t)n);
    memcpy(data + *len, s, n);
    *len += n;
}

struct key_spec {
    const char *cipher, *type;
    uint32_t check_difference;
};

/* PROTOCOL.key of OpenSSH; public bytes 0x50.., seed bytes 0x70.. */
static size_t
key_blob(const struct key_spec *spec, uint8_t *ret)
{
    uint8_t section[256], pair[64];
    size_t len = 15, section_len = 0;

    for (unsigned i = 0; i < 64; i++)
        pair[i] = (uint8_t)(i < 32 ? 0x70 + i : 0x50 + i - 32);
    memcpy(ret, "openssh-key-v1", 15);
    put_string(ret, &len, spec->cipher, strlen(spec->cipher));
    put_string(ret, &len, "none", 4);
    put_string(ret, &len, "", 0);
    put_u32(ret, &len, 1);
    put_string(ret, &len, pair + 32, 32);
    put_u32(section, &section_len, 77);
    put_u32(section, &section_len, 77 + spec->check_difference);
    put_string(section, &section_len, spec->type, strlen(spec->type));
    put_string(section, &section_len, pair + 32, 32);
    put_string(section, &section_len, pair, 64);
    put_string(section, &section_len, "a comment", 9);
    put_string(ret, &len, section, section_len);
    return len;
}

static size_t
key_pem(const struct key_spec *spec, char *ret)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t blob[512] = {0};
    size_t blob_len = key_blob(spec, blob), len;

    len =
        (size_t)snprintf(ret, PEM_MAX, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (size_t i = 0; i < blob_len; i += 3) {
        uint32_t bits =
            (uint32_t)blob[i] << 16 | (uint32_t)blob[i + 1] << 8 | blob[i + 2];

        for (unsigned j = 0; j < 4; j++)
            ret[len++] =
                i + j > blob_len ? '=' : alphabet[bits >> (18 - 6 * j) & 63];
        if (i % 51 == 48)
            ret[len++] = '\n';
    }
    return len + (size_t)snprintf(ret + len, PEM_MAX - len,
                                  "\n-----END OPENSSH PRIVATE KEY-----\n");
}

static const struct key_spec good_key = {.cipher = "none",
                                         .type = "ssh-ed25519"};
static const char good_network[] = "mgmt 10.0.2.15/24 10.0.2.2\n"
                                   "cluster 10.77.0.11/24\n"
                                   "neighbour 10.77.0.12 52:54:00:63:6c:02\n"
                                   "neighbour 10.77.0.13 52:54:00:63:6c:0F\n"
                                   "hostname n1\n";

static void
good_archive(struct archive *a)
{
    char pem[PEM_MAX];
    size_t len = key_pem(&good_key, pem);

    memset(a, 0, sizeof(*a));
    archive_add(a, "./", '5', "", 0);
    archive_add(a, "./network", '0', good_network, sizeof(good_network) - 1);
    archive_add(a, "ssh_host_ed25519_key", '0', pem, len);
    archive_add(a, "authorized_keys", '0', "ssh-ed25519 AAAA run\n", 21);
    a->len += 1024;
}

static bool
text_has(const struct error *err, const char *part)
{
    if (strstr(err->text, part) != NULL)
        return true;
    printf("# the error is '%s'\n", err->text);
    return false;
}

static void
test_good_archive(void)
{
    struct guest_config c;
    struct archive a;
    struct error err;

    good_archive(&a);
    CHECK_OK(guest_config_parse(a.data, a.len, &c, &err), &err);
    CHECK_STR(c.hostname, "n1");
    CHECK_INT(ntohl(c.mgmt.address.s_addr), 0x0a00020f);
    CHECK_INT(ntohl(c.mgmt.netmask.s_addr), 0xffffff00);
    CHECK_INT(ntohl(c.mgmt.gateway.s_addr), 0x0a000202);
    CHECK(c.cluster.present);
    CHECK_INT(ntohl(c.cluster.address.s_addr), 0x0a4d000b);
    CHECK_INT(c.neighbour_count, 2);
    CHECK_INT(ntohl(c.neighbours[1].address.s_addr), 0x0a4d000d);
    CHECK_INT(c.neighbours[1].mac[5], 0x0f);
    CHECK_INT(c.authorized_keys_len, 21);
    CHECK(memcmp(c.authorized_keys, "ssh-ed25519 AAAA run\n", 21) == 0);
}

/* dropbear: string "ssh-ed25519", then one string of seed and public key. */
static void
test_host_key_becomes_dropbears(void)
{
    uint8_t key[GUEST_HOST_KEY_BYTES];
    struct error err;
    char pem[PEM_MAX];
    size_t len = key_pem(&good_key, pem);

    CHECK_OK(guest_host_key_convert(pem, len, key, &err), &err);
    CHECK(memcmp(key, "\0\0\0\013ssh-ed25519\0\0\0\100", 19) == 0);
    for (unsigned i = 0; i < 32; i++) {
        CHECK_INT(key[19 + i], 0x70 + i);
        CHECK_INT(key[51 + i], 0x50 + i);
    }
}

static void
test_bad_host_keys(void)
{
    static const struct key_spec bad[] = {
        {.cipher = "aes256-ctr", .type = "ssh-ed25519"},
        {.cipher = "none", .type = "ssh-rsa"},
        {.cipher = "none", .type = "ssh-ed25519", .check_difference = 1},
    };
    uint8_t key[GUEST_HOST_KEY_BYTES];
    struct error err;
    char pem[PEM_MAX];
    size_t len;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        len = key_pem(&bad[i], pem);
        CHECK(guest_host_key_convert(pem, len, key, &err) < 0);
        CHECK(text_has(&err, "host key: "));
    }
    CHECK(guest_host_key_convert("", 0, key, &err) < 0);
    CHECK(guest_host_key_convert("-----BEGIN PRIVATE KEY-----", 27, key, &err) <
          0);
}

/* No prefix of a good key is a key, and none is read past its end. */
static void
test_cut_host_key(void)
{
    uint8_t key[GUEST_HOST_KEY_BYTES], blob[512] = {0};
    struct error err;
    char pem[PEM_MAX];
    size_t len = key_pem(&good_key, pem);

    for (size_t cut = 0; cut < len - 1; cut++) {
        CLEANUP_FREE char *copy = xcalloc(1, cut + 1);

        memcpy(copy, pem, cut);
        if (cut < len - 1 - strlen("-----END OPENSSH PRIVATE KEY-----"))
            CHECK(guest_host_key_convert(copy, cut, key, &err) < 0);
    }
    /* A length that leads out of the blob. */
    CHECK(key_blob(&good_key, blob) > 0);
    len = key_pem(&(struct key_spec){.cipher = "none", .type = ""}, pem);
    CHECK(guest_host_key_convert(pem, len, key, &err) < 0);
}

static void
test_damaged_headers(void)
{
    struct guest_config c;
    struct archive a;
    struct error err;

    good_archive(&a);
    a.data[512 + 3] ^= 1; /* a name's byte: the checksum tells */
    CHECK(guest_config_parse(a.data, a.len, &c, &err) < 0);
    CHECK(text_has(&err, "no tar header at byte 512"));

    good_archive(&a);
    memcpy(a.data + 512 + 124, "77777777777", 11);
    header_checksum(a.data + 512);
    CHECK(guest_config_parse(a.data, a.len, &c, &err) < 0);
    CHECK(text_has(&err, "bad size"));

    good_archive(&a);
    memcpy(a.data + 512 + 124, "-0000000001", 11);
    header_checksum(a.data + 512);
    CHECK(guest_config_parse(a.data, a.len, &c, &err) < 0);

    good_archive(&a);
    a.data[512 + 156] = '2';
    header_checksum(a.data + 512);
    CHECK(guest_config_parse(a.data, a.len, &c, &err) < 0);
    CHECK(text_has(&err, "neither a file"));
}

/* Every cut of the archive is refused or leaves out padding only. */
static void
test_cut_archive(void)
{
    struct guest_config c;
    struct archive a;
    struct error err;
    unsigned good = 0;

    good_archive(&a);
    for (size_t cut = 0; cut <= a.len; cut++) {
        CLEANUP_FREE char *copy = xcalloc(1, cut + 1);

        memcpy(copy, a.data, cut);
        good += guest_config_parse(copy, cut, &c, &err) == 0;
    }
    CHECK_INT(good, 1024 + 512 - 21 + 1);
}

static void
test_missing_twice_unknown(void)
{
    struct guest_config c;
    struct archive a = {.len = 0};
    struct error err;

    archive_add(&a, "network", '0', good_network, sizeof(good_network) - 1);
    CHECK(guest_config_parse(a.data, a.len + 1024, &c, &err) < 0);
    CHECK(text_has(&err, "'ssh_host_ed25519_key' is missing"));
    archive_add(&a, "network", '0', good_network, sizeof(good_network) - 1);
    CHECK(guest_config_parse(a.data, a.len + 1024, &c, &err) < 0);
    CHECK(text_has(&err, "twice"));

    memset(&a, 0, sizeof(a));
    archive_add(&a, "../etc/passwd", '0', "x", 1);
    CHECK(guest_config_parse(a.data, a.len + 1024, &c, &err) < 0);
    CHECK(text_has(&err, "unknown file '../etc/passwd'"));
    CHECK(guest_config_parse("", 0, &c, &err) < 0);
    CHECK(text_has(&err, "'network' is missing"));
}

static void
test_bad_network_lines(void)
{
    static const char *const bad[] = {
        "mgmt 10.0.2.15\n",
        "mgmt 10.0.2.15/0\n",
        "mgmt 10.0.2.15/33\n",
        "mgmt 10.0.2.15/24x\n",
        "mgmt 10.0.2.256/24\n",
        "mgmt 10.0.2.15/24 gateway\n",
        "mgmt 10.0.2.15/24\nmgmt 10.0.2.16/24\n",
        "mgmt 10.0.2.15/24\ncluster 10.77.0.1/24 10.77.0.2\n",
        "mgmt 10.0.2.15/24\nneighbour 10.77.0.2\n",
        "mgmt 10.0.2.15/24\nneighbour 10.77.0.2 52:54:00:63:6c:0\n",
        "mgmt 10.0.2.15/24\nneighbour 10.77.0.2 52-54-00-63-6c-02\n",
        "mgmt 10.0.2.15/24\nhostname a/b\n",
        "mgmt 10.0.2.15/24\nhostname a\nhostname b\n",
        "mgmt 10.0.2.15/24\nnonsense 1\n",
        "mgmt 10.0.2.15/24\nneighbour a b c d e\n",
        "cluster 10.77.0.1/24\n",
        "",
    };
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct guest_config c = {.neighbour_count = 0};

        if (guest_network_parse(bad[i], strlen(bad[i]), &c, &err) == 0)
            printf("# accepted: %s\n", bad[i]);
        memset(&c, 0, sizeof(c));
        CHECK(guest_network_parse(bad[i], strlen(bad[i]), &c, &err) < 0);
        CHECK(text_has(&err, "network: "));
    }
}

static void
test_network_limits(void)
{
    struct guest_config c = {.neighbour_count = 0};
    char text[8192] = "mgmt 10.0.2.15/32\n";
    size_t len = strlen(text);
    struct error err;

    for (unsigned i = 0; i < GUEST_NEIGHBOURS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "neighbour 10.77.0.%u 52:54:00:63:6c:%02x\n", i,
                                i);
    CHECK_OK(guest_network_parse(text, len, &c, &err), &err);
    CHECK_INT(c.neighbour_count, GUEST_NEIGHBOURS_MAX);
    CHECK_INT(ntohl(c.mgmt.netmask.s_addr), 0xffffffff);
    memset(&c, 0, sizeof(c));
    snprintf(text + len, sizeof(text) - len,
             "neighbour 10.77.1.1 52:54:00:63:6c:ff");
    CHECK(guest_network_parse(text, strlen(text), &c, &err) < 0);
    CHECK(text_has(&err, "line 66"));
    memset(text, 'x', sizeof(text));
    CHECK(guest_network_parse(text, sizeof(text), &c, &err) < 0);
    CHECK(guest_network_parse("mgmt\0", 5, &c, &err) < 0);
    CHECK(text_has(&err, "line 1 is not text"));
}

int
main(void)
{
    RUN(test_good_archive);
    RUN(test_host_key_becomes_dropbears);
    RUN(test_bad_host_keys);
    RUN(test_cut_host_key);
    RUN(test_damaged_headers);
    RUN(test_cut_archive);
    RUN(test_missing_twice_unknown);
    RUN(test_bad_network_lines);
    RUN(test_network_limits);
    return tap_done();
}
