/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getopt_long with one table of numbers beside it.  Addresses are numeric: the
 * daemon resolves no names.  Peers are sorted by name, so that all replicas
 * number the membership alike, whatever the order on their command lines.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/json.h"
#include "replica/options.h"

enum {
    OPTION_NODE = 256,
    OPTION_DATA,
    OPTION_LISTEN,
    OPTION_PEER,
    OPTION_CLIENT_ADDRESS,
    OPTION_CLUSTER,
    OPTION_NEW_CLUSTER,
    OPTION_ENGINE,
    OPTION_BUG,
    OPTION_LIST_BUGS,
    OPTION_CRASH_AT,
    OPTION_CRASH_POINTS,
    OPTION_LIST_CRASH_POINTS,
    OPTION_LOG_LEVEL,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_NUMBER, /* + row of the table of numbers */
};

/* Options that are a number, where they go and their bounds. */
struct number_option {
    const char *name;
    size_t offset;
    bool wide; /* uint64_t, else uint32_t */
    uint64_t min, max;
    const char *help;
};

#define FIELD64(f) offsetof(struct replica_options, f), true
#define LIMIT32(f) offsetof(struct replica_options, limits.f), false
#define LIMIT64(f) offsetof(struct replica_options, limits.f), true

static const struct number_option numbers[] = {
    {"election-timeout-ms", FIELD64(election_timeout_ms), 50, 60000,
     "silence before a view change"},
    {"heartbeat-ms", FIELD64(heartbeat_ms), 5, 10000, "between heartbeats"},
    {"request-timeout-ms", FIELD64(request_timeout_ms), 10, 600000,
     "before an accepted request answers 504"},
    {"snapshot-interval", FIELD64(snapshot_interval), 16, 1u << 24,
     "entries between snapshots"},
    {"retain-entries", FIELD64(retain_entries), 0, 1u << 15,
     "entries kept behind the snapshot for slow peers"},
    {"catch-up-entries", FIELD64(catch_up_entries), 1, 1u << 24,
     "further behind a snapshot a peer gets the snapshot"},
    {"pipeline", FIELD64(pipeline_max), 1, VSR_PIPELINE_MAX,
     "entries in flight before 429"},
    {"max-position", FIELD64(position_max), 1, VSR_POSITION_MAX,
     "of the log for requests, then 507"},
    {"disk-reserve-bytes", FIELD64(disk_reserve_bytes), 0, UINT64_C(1) << 40,
     "less free space in DIR: 429"},
    {"max-resources", LIMIT32(resources), 1, 1u << 20, "resource table"},
    {"max-reservations", LIMIT32(reservations), 1, 1u << 20, "lease table"},
    {"max-bundle", LIMIT32(bundle), 1, 256, "resources of one bundle"},
    {"max-members", LIMIT32(members), 1, 1u << 22, "resources of all leases"},
    {"max-operations", LIMIT32(operations), 1, 1u << 20, "dedupe table"},
    {"max-ttl", LIMIT64(ttl_slots), 1, 1u << 20, "slots"},
    {"retry-window", LIMIT64(retry_slots), 0, 1u << 20,
     "slots an answer is kept (lease: beyond max-ttl)"},
    {"history-window", LIMIT64(history_slots), 0, 1u << 20,
     "slots an ended lease is kept"},
    {"expiry-bucket", LIMIT32(bucket), 1, 1u << 20,
     "scheduled leases per expiry bucket"},
    {"expirations-per-tick", LIMIT32(expirations_per_tick), 1, 64,
     "leases one tick may expire"},
    {"max-buckets", LIMIT32(buckets), 1, 1u << 20, "bucket table (quota)"},
    {"max-pools", LIMIT32(pools), 1, 1u << 20, "pool table (pool)"},
    {"max-holds", LIMIT32(holds), 1, 1u << 20, "hold table (pool)"},
    {"blocks", LIMIT32(blocks), 1, 1u << 20, "blocks there are (block)"},
};

static const struct option option_table[] = {
    {"node", required_argument, NULL, OPTION_NODE},
    {"data", required_argument, NULL, OPTION_DATA},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"client-address", required_argument, NULL, OPTION_CLIENT_ADDRESS},
    {"cluster", required_argument, NULL, OPTION_CLUSTER},
    {"new-cluster", no_argument, NULL, OPTION_NEW_CLUSTER},
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"bug", required_argument, NULL, OPTION_BUG},
    {"list-bugs", no_argument, NULL, OPTION_LIST_BUGS},
    {"crash-at", required_argument, NULL, OPTION_CRASH_AT},
    {"crash-points", no_argument, NULL, OPTION_CRASH_POINTS},
    {"list-crash-points", no_argument, NULL, OPTION_LIST_CRASH_POINTS},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
};

static void
print_help(const struct replica_options *defaults)
{
    printf("Usage: ordeal-replica --node NAME --data DIR --listen ADDR:PORT\n"
           "           --peer NAME=ADDR:PORT ... [OPTION]...\n"
           "A replica of a replicated state machine.\n\n"
           "  --node NAME            which of the peers this is\n"
           "  --data DIR             durable state; made when absent\n"
           "  --listen ADDR:PORT     HTTP for clients\n"
           "  --peer NAME=ADDR:PORT  each replica, this one too (3, 5 or 7)\n"
           "  --client-address NAME=ADDR:PORT  told to redirected clients\n"
           "  --cluster NAME         replicas of other clusters are refused\n"
           "  --new-cluster          first start of a new cluster: an empty\n"
           "                         DIR is no lost disk\n"
           "  --engine NAME          lease (default), quota, pool, block\n"
           "  --bug NAME             plant a bug (see --list-bugs)\n"
           "  --list-bugs            name and effect of each\n"
           "  --crash-at NAME:N      end abruptly at a point, the N-th time\n"
           "  --crash-points         let POST /v1/crash-at do the same\n"
           "  --list-crash-points    name and place of each\n"
           "  --log-level LEVEL      error, warning, info, debug\n"
           "  --help, --version\n\n"
           "Numbers (default):\n");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const char *at = (const char *)defaults + numbers[i].offset;
        uint64_t value = numbers[i].wide ? *(const uint64_t *)(const void *)at
                                         : *(const uint32_t *)(const void *)at;

        printf("  --%-22s %s (%llu)\n", numbers[i].name, numbers[i].help,
               (unsigned long long)value);
    }
    printf("\nExit status: 0 on SIGTERM, 64 usage, 74 failed write or sync,\n"
           "76 corrupt durable state, 77 durable state of another node,\n"
           "86 a point of --crash-at.\n");
}

static int
parse_address(const char *text, struct address *ret, struct error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->sockaddr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->sockaddr;
    const char *colon = strrchr(text, ':');
    char host[64];
    uint64_t port;
    size_t len;

    memset(ret, 0, sizeof(*ret));
    len = colon == NULL ? 0 : (size_t)(colon - text);
    if (len == 0 || len >= sizeof(host) || strlen(text) >= sizeof(ret->text) ||
        !text_to_u64(colon + 1, &port) || port == 0 || port > 65535)
        return error_set(err, ERROR_CONFIG, "'%s' is no ADDR:PORT", text);
    memcpy(host, text, len);
    host[len] = '\0';
    snprintf(ret->text, sizeof(ret->text), "%s", text);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return 0;
    }
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1) {
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons((uint16_t)port);
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG,
                     "'%s': the address must be numeric (IPv4, or IPv6 in "
                     "brackets)",
                     text);
}

static int
parse_name(const char *text, size_t len, char ret[static REPLICA_NAME_SIZE],
           struct error *err)
{
    if (len == 0 || len >= REPLICA_NAME_SIZE)
        return error_set(err, ERROR_CONFIG, "'%.*s': a name has 1 to %d bytes",
                         (int)len, text, REPLICA_NAME_SIZE - 1);
    memset(ret, 0, REPLICA_NAME_SIZE);
    memcpy(ret, text, len);
    return 0;
}

static int
parse_peer(const char *text, struct replica_options *o, struct error *err)
{
    struct peer_options *p = &o->peers[o->peer_count];
    const char *equals = strchr(text, '=');

    if (equals == NULL)
        return error_set(err, ERROR_CONFIG, "'%s' is no NAME=ADDR:PORT", text);
    if (o->peer_count == VSR_REPLICAS_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d peers",
                         VSR_REPLICAS_MAX);
    memset(p, 0, sizeof(*p));
    if (parse_name(text, (size_t)(equals - text), p->name, err) < 0 ||
        parse_address(equals + 1, &p->address, err) < 0)
        return -1;
    o->peer_count++;
    return 0;
}

/* Kept as text until the peers are known. */
static int
apply_client_address(const char *text, struct replica_options *o,
                     struct error *err)
{
    const char *equals = strchr(text, '=');
    struct address a;

    if (equals == NULL)
        return error_set(err, ERROR_CONFIG,
                         "--client-address: '%s' is no NAME=ADDR:PORT", text);
    if (parse_address(equals + 1, &a, err) < 0)
        return error_wrap(err, "--client-address");
    for (unsigned i = 0; i < o->peer_count; i++) {
        struct peer_options *p = &o->peers[i];

        if (strlen(p->name) == (size_t)(equals - text) &&
            strncmp(p->name, text, (size_t)(equals - text)) == 0) {
            memcpy(p->client_address, a.text, sizeof(a.text));
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG, "--client-address: '%s' is no peer",
                     text);
}

static int
parse_number(const struct number_option *n, const char *text,
             struct replica_options *o, struct error *err)
{
    char *at = (char *)o + n->offset;
    uint64_t value;

    if (!text_to_u64(text, &value) || value < n->min || value > n->max)
        return error_set(err, ERROR_CONFIG,
                         "--%s: '%s' is no number from %llu to %llu", n->name,
                         text, (unsigned long long)n->min,
                         (unsigned long long)n->max);
    if (n->wide)
        *(uint64_t *)(void *)at = value;
    else
        *(uint32_t *)(void *)at = (uint32_t)value;
    return 0;
}

static int
parse_level(const char *text, enum log_level *ret, struct error *err)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG,
                     "--log-level: '%s' is none of error, warning, info, "
                     "debug",
                     text);
}

static int
parse_one(int option, const char *value, struct replica_options *o,
          struct error *err)
{
    switch (option) {
    case OPTION_NODE:
        return parse_name(value, strlen(value), o->node, err);
    case OPTION_CLUSTER:
        return parse_name(value, strlen(value), o->cluster, err);
    case OPTION_DATA:
        o->data = value;
        return 0;
    case OPTION_LISTEN:
        return parse_address(value, &o->listen, err);
    case OPTION_PEER:
        return parse_peer(value, o, err);
    case OPTION_NEW_CLUSTER:
        o->new_cluster = true;
        return 0;
    case OPTION_ENGINE:
        o->engine = engine_named(value);
        if (o->engine == NULL)
            return error_set(err, ERROR_CONFIG,
                             "--engine: '%s' is none of lease, quota, pool, "
                             "block",
                             value);
        return 0;
    case OPTION_BUG:
        if (!bug_parse(value, &o->bug))
            return error_set(err, ERROR_CONFIG,
                             "--bug: no bug is named '%s'; see --list-bugs",
                             value);
        return 0;
    case OPTION_CRASH_AT:
        return crash_place_parse(value, &o->crash, err);
    case OPTION_CRASH_POINTS:
        o->crash_points = true;
        return 0;
    case OPTION_LOG_LEVEL:
        return parse_level(value, &o->log_level, err);
    default:
        assert(option >= OPTION_NUMBER);
        return parse_number(&numbers[option - OPTION_NUMBER], value, o, err);
    }
}

static int
compare_peers(const void *a, const void *b)
{
    return strcmp(((const struct peer_options *)a)->name,
                  ((const struct peer_options *)b)->name);
}

/* A bug that does nothing here would pass for one that nobody finds. */
static int
check_bug(const struct replica_options *o, struct error *err)
{
    const char *engine = bug_engine(o->bug);

    if (engine == NULL || strcmp(engine, o->engine->name) == 0)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "--bug: '%s' is one of engine %s and does nothing on "
                     "engine %s",
                     bug_name(o->bug), engine, o->engine->name);
}

static int
check_options(struct replica_options *o, struct error *err)
{
    bool found = false;

    if (o->node[0] == '\0' || o->data == NULL || o->listen.text[0] == '\0')
        return error_set(err, ERROR_CONFIG,
                         "--node, --data, --listen and --peer are needed; see "
                         "--help");
    if (o->peer_count < 3 || o->peer_count % 2 == 0)
        return error_set(err, ERROR_CONFIG,
                         "%u peers: there must be 3, 5 or 7, this node too",
                         o->peer_count);
    qsort(o->peers, o->peer_count, sizeof(o->peers[0]), compare_peers);
    for (unsigned i = 0; i < o->peer_count; i++) {
        if (i > 0 && compare_peers(&o->peers[i - 1], &o->peers[i]) == 0)
            return error_set(err, ERROR_CONFIG, "peer '%s' is given twice",
                             o->peers[i].name);
        if (strcmp(o->peers[i].name, o->node) == 0) {
            o->self = i;
            found = true;
        }
    }
    if (!found)
        return error_set(err, ERROR_CONFIG, "node '%s' is none of the peers",
                         o->node);
    if (o->heartbeat_ms * 2 > o->election_timeout_ms)
        return error_set(err, ERROR_CONFIG,
                         "--heartbeat-ms must be at most half of "
                         "--election-timeout-ms");
    return check_bug(o, err);
}

static void
set_defaults(struct replica_options *o)
{
    memset(o, 0, sizeof(*o));
    snprintf(o->cluster, sizeof(o->cluster), "ordeal");
    o->log_level = LOG_INFO;
    o->engine = &engine_lease_ops;
    o->limits = engine_limits_default;
    o->election_timeout_ms = 300;
    o->heartbeat_ms = 60;
    o->request_timeout_ms = 5000;
    o->snapshot_interval = 2048;
    o->retain_entries = 8192;
    o->catch_up_entries = 4096;
    o->pipeline_max = 1024;
    o->position_max = VSR_POSITION_MAX;
    o->disk_reserve_bytes = 16u << 20;
}

static int
serve_information(int option, const struct replica_options *o)
{
    if (option == OPTION_HELP)
        print_help(o);
    else if (option == OPTION_LIST_BUGS)
        bug_list(stdout);
    else if (option == OPTION_LIST_CRASH_POINTS)
        crash_point_list(stdout);
    else
        printf("ordeal-replica %s\n", PACKAGE_VERSION);
    return 1;
}

int
replica_options_parse(int argc, char **argv, struct replica_options *ret,
                      struct error *err)
{
    struct option table[ARRAY_LEN(option_table) + ARRAY_LEN(numbers) + 1] = {
        {0}};
    const char *client_addresses[VSR_REPLICAS_MAX];
    unsigned client_address_count = 0;
    int option;

    memcpy(table, option_table, sizeof(option_table));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        table[ARRAY_LEN(option_table) + i] = (struct option){
            numbers[i].name, required_argument, NULL, OPTION_NUMBER + (int)i};
    set_defaults(ret);
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == '?')
            return error_set(err, ERROR_CONFIG,
                             "'%s': no such option, or its value is missing; "
                             "see --help",
                             argv[optind - 1]);
        if (option == OPTION_HELP || option == OPTION_VERSION ||
            option == OPTION_LIST_BUGS || option == OPTION_LIST_CRASH_POINTS)
            return serve_information(option, ret);
        if (option != OPTION_CLIENT_ADDRESS) {
            if (parse_one(option, optarg, ret, err) < 0)
                return -1;
        } else if (client_address_count < VSR_REPLICAS_MAX) {
            client_addresses[client_address_count++] = optarg;
        }
    }
    if (optind < argc)
        return error_set(err, ERROR_CONFIG, "'%s': no arguments are taken",
                         argv[optind]);
    for (unsigned i = 0; i < client_address_count; i++)
        if (apply_client_address(client_addresses[i], ret, err) < 0)
            return -1;
    return check_options(ret, err);
}
