/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to the struct and back.  What is read was written by us, but by another
 * version perhaps, and may be damaged: every field is checked.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/cluster.h"

#define CLUSTER_VERSION 1
#define CLUSTER_BYTES_MAX (256 << 10)

static json_t *
cluster_node_to_json(const struct node *n)
{
    json_t *doors = json_array();

    for (unsigned i = 0; i < n->door_count; i++)
        json_array_append_new(
            doors, json_pack("{s:i, s:i}", "guest_port", n->doors[i].guest_port,
                             "host_port", n->doors[i].host_port));
    return json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "name", n->name,
        "host", n->ssh.host, "port", (int)n->ssh.port, "user", n->ssh.user,
        "key", n->ssh.private_key_path, "host_key", n->ssh.host_key,
        "cluster_address", n->cluster_address, "cluster_interface",
        n->cluster_interface, "console", n->console_path, "doors", doors);
}

int
cluster_save(const struct cluster *c, const char *provider, const char *root,
             struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/cluster.json", c->runtime_dir);
    json_t *nodes = json_array(), *json;
    CLEANUP_FREE char *text = NULL;

    for (unsigned i = 0; i < c->node_count; i++)
        json_array_append_new(nodes, cluster_node_to_json(&c->nodes[i]));
    json =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "ordeal_cluster",
                  CLUSTER_VERSION, "provider", provider, "root", root, "run_id",
                  c->run_id, "runtime_dir", c->runtime_dir, "nodes", nodes);
    text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(2));
    json_decref(json);
    if (text == NULL)
        return error_set(err, ERROR_BUG, "'%s': a name is not UTF-8", path);
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

/* Copies a string member into a field of 'size' bytes. */
static bool
cluster_get(const json_t *object, const char *key, char *ret, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL || strlen(text) >= size)
        return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

static bool
cluster_get_string(const json_t *object, const char *key, const char **ret)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL)
        return false;
    *ret = xstrdup(text);
    return true;
}

static bool
cluster_get_port(const json_t *object, const char *key, uint16_t *ret)
{
    const json_t *member = json_object_get(object, key);
    json_int_t port = json_integer_value(member);

    if (!json_is_integer(member) || port < 0 || port > UINT16_MAX)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool
cluster_node_from_json(const json_t *json, struct node *n)
{
    const json_t *doors = json_object_get(json, "doors"), *door;
    size_t i;

    if (!cluster_get(json, "name", n->name, sizeof(n->name)) ||
        !cluster_get(json, "cluster_address", n->cluster_address,
                     sizeof(n->cluster_address)) ||
        !cluster_get(json, "cluster_interface", n->cluster_interface,
                     sizeof(n->cluster_interface)) ||
        !cluster_get(json, "console", n->console_path,
                     sizeof(n->console_path)) ||
        !cluster_get_port(json, "port", &n->ssh.port) ||
        !cluster_get_string(json, "name", &n->ssh.node) ||
        !cluster_get_string(json, "host", &n->ssh.host) ||
        !cluster_get_string(json, "user", &n->ssh.user) ||
        !cluster_get_string(json, "key", &n->ssh.private_key_path) ||
        !cluster_get_string(json, "host_key", &n->ssh.host_key) ||
        !json_is_array(doors) || json_array_size(doors) > NODE_DOORS_MAX)
        return false;
    json_array_foreach (doors, i, door) {
        struct door *d = &n->doors[n->door_count++];

        if (!cluster_get_port(door, "guest_port", &d->guest_port) ||
            !cluster_get_port(door, "host_port", &d->host_port))
            return false;
    }
    return true;
}

static bool
cluster_from_json(const json_t *json, struct cluster_file *f)
{
    const json_t *nodes = json_object_get(json, "nodes"), *node;
    struct cluster *c = &f->cluster;
    size_t i;

    if (!cluster_get(json, "provider", f->provider, sizeof(f->provider)) ||
        !cluster_get(json, "root", f->root, sizeof(f->root)) ||
        !cluster_get(json, "run_id", c->run_id, sizeof(c->run_id)) ||
        !cluster_get(json, "runtime_dir", c->runtime_dir,
                     sizeof(c->runtime_dir)) ||
        !json_is_array(nodes) || json_array_size(nodes) > NODE_COUNT_MAX)
        return false;
    json_array_foreach (nodes, i, node) {
        c->nodes[i].index = c->node_count++;
        if (!cluster_node_from_json(node, &c->nodes[i]))
            return false;
    }
    return true;
}

int
cluster_load(const char *path, struct cluster_file *ret, struct error *err)
{
    struct stat st;
    bool is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    CLEANUP_FREE char *file =
        xasprintf("%s%s", path, is_dir ? "/cluster.json" : "");
    size_t len = 0;
    CLEANUP_FREE char *text = file_read(file, CLUSTER_BYTES_MAX, &len, err);
    struct cluster_file f = {0};
    json_error_t why;
    json_t *json;

    if (text == NULL)
        return error_wrap(err, "no cluster");
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (json == NULL)
        return error_set(err, ERROR_CONFIG, "%s: line %d: %s", file, why.line,
                         why.text);
    if (json_integer_value(json_object_get(json, "ordeal_cluster")) !=
            CLUSTER_VERSION ||
        !cluster_from_json(json, &f)) {
        json_decref(json);
        cluster_release(&f.cluster);
        return error_set(err, ERROR_CONFIG,
                         "%s: not a cluster file of version %d", file,
                         CLUSTER_VERSION);
    }
    json_decref(json);
    *ret = f;
    return 0;
}

void
cluster_release(struct cluster *c)
{
    for (unsigned i = 0; i < c->node_count; i++) {
        struct endpoint *e = &c->nodes[i].ssh;

        free((char *)e->node);
        free((char *)e->host);
        free((char *)e->user);
        free((char *)e->private_key_path);
        free((char *)e->host_key);
        memset(e, 0, sizeof(*e));
    }
    c->node_count = 0;
}

const struct node *
cluster_node(const struct cluster *c, const char *name)
{
    for (unsigned i = 0; i < c->node_count; i++)
        if (strcmp(c->nodes[i].name, name) == 0)
            return &c->nodes[i];
    return NULL;
}
