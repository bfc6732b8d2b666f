/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/deploy.h"

#define DEPLOY_STATUS_TIMEOUT_NS (2 * NS_PER_S)
#define DEPLOY_POLL_NS (200 * NS_PER_MS)

struct deploy_job {
    struct system_node node;
    const struct system_ops *system;
    const struct system_options *options;
    const char *dir;
    pthread_t thread;
    int result;
    struct error err;
};

static void *
deploy_start_one(void *arg)
{
    struct deploy_job *job = arg;

    job->result = job->system->install(&job->node, job->options, &job->err);
    if (job->result == 0)
        job->result = job->system->start(&job->node, &job->err);
    return NULL;
}

static void *
deploy_collect_one(void *arg)
{
    struct deploy_job *job = arg;
    const char *name = job->node.cluster->nodes[job->node.index].name;
    CLEANUP_FREE char *dir = xasprintf("%s/%s", job->dir, name);

    job->result = dir_make(dir, 0755, &job->err);
    if (job->result == 0)
        job->result = job->system->collect(&job->node, dir, &job->err);
    return NULL;
}

/* Runs 'work' for all nodes at once; the jobs hold the results. */
static void
deploy_each(struct deploy_job *jobs, const struct cluster *cluster,
            struct remote *remotes, void *(*work)(void *))
{
    for (unsigned i = 0; i < cluster->node_count; i++) {
        jobs[i].node = (struct system_node){cluster, i, &remotes[i]};
        if (pthread_create(&jobs[i].thread, NULL, work, &jobs[i]) != 0)
            assert(!"cannot start a thread");
    }
    for (unsigned i = 0; i < cluster->node_count; i++)
        pthread_join(jobs[i].thread, NULL);
}

int
deploy_start(const struct cluster *cluster, const struct system_ops *system,
             const struct system_options *options, struct remote *remotes,
             struct error *err)
{
    struct deploy_job jobs[NODE_COUNT_MAX] = {0};

    for (unsigned i = 0; i < cluster->node_count; i++) {
        jobs[i].system = system;
        jobs[i].options = options;
    }
    deploy_each(jobs, cluster, remotes, deploy_start_one);
    for (unsigned i = 0; i < cluster->node_count; i++) {
        if (jobs[i].result < 0) {
            *err = jobs[i].err;
            return error_wrap(err, "%s: %s", cluster->nodes[i].name,
                              system->name);
        }
    }
    return 0;
}

void
deploy_collect(const struct cluster *cluster, const struct system_ops *system,
               struct remote *remotes, const char *dir)
{
    struct deploy_job jobs[NODE_COUNT_MAX] = {0};

    for (unsigned i = 0; i < cluster->node_count; i++) {
        jobs[i].system = system;
        jobs[i].dir = dir;
    }
    deploy_each(jobs, cluster, remotes, deploy_collect_one);
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (jobs[i].result < 0)
            log_warning("collect", "%s: %s, continuing", cluster->nodes[i].name,
                        jobs[i].err.text);
}

int
deploy_primary(const struct cluster *cluster, const struct system_ops *system,
               int64_t timeout_ns, uint64_t *ret_term)
{
    int primary = -1;
    uint64_t term = 0;

    for (unsigned i = 0; i < cluster->node_count; i++) {
        struct system_status status = {0};
        struct error err = {0};

        if (system->status(cluster, i, timeout_ns, &status, &err) == 0 &&
            status.role == ROLE_PRIMARY &&
            (primary < 0 || status.term > term)) {
            primary = (int)i;
            term = status.term;
        }
    }
    if (primary >= 0 && ret_term != NULL)
        *ret_term = term;
    return primary;
}

struct deploy_wait {
    const struct cluster *cluster;
    const struct system_ops *system;
    bool (*given_up)(void);
    bool stopped;
    unsigned primary;
    char missing[256]; /* what the last look found wanting */
};

static bool
deploy_is_ready(void *ctx)
{
    struct deploy_wait *w = ctx;
    uint64_t term = 0;
    unsigned primaries = 0;

    w->stopped = w->given_up != NULL && w->given_up();
    if (w->stopped)
        return true;
    for (unsigned i = 0; i < w->cluster->node_count; i++) {
        struct system_status status = {0};
        struct error err = {0};
        bool answers =
            w->system->status(w->cluster, i, DEPLOY_STATUS_TIMEOUT_NS, &status,
                              &err) == 0;

        if (!answers ||
            (status.role != ROLE_PRIMARY && status.role != ROLE_BACKUP)) {
            snprintf(w->missing, sizeof(w->missing), "%s %s%.150s",
                     w->cluster->nodes[i].name,
                     answers ? "is neither primary nor backup" : "", err.text);
            return false;
        }
        if (status.role == ROLE_PRIMARY) {
            primaries++;
            w->primary = i;
        }
        if (i > 0 && status.term != term) {
            snprintf(w->missing, sizeof(w->missing),
                     "%s is in term %" PRIu64 ", others in %" PRIu64,
                     w->cluster->nodes[i].name, status.term, term);
            return false;
        }
        term = status.term;
    }
    snprintf(w->missing, sizeof(w->missing), "%u primaries", primaries);
    return primaries == 1;
}

int
deploy_wait_ready(const struct cluster *cluster,
                  const struct system_ops *system, struct clock *clock,
                  int64_t timeout_ns, bool (*given_up)(void),
                  unsigned *ret_primary, struct error *err)
{
    struct deploy_wait wait = {
        .cluster = cluster, .system = system, .given_up = given_up};

    if (!clock_poll(clock, clock_now_ns(clock) + timeout_ns, DEPLOY_POLL_NS,
                    deploy_is_ready, &wait))
        return error_set(err, ERROR_ENVIRONMENT,
                         "%s does not serve after %lld s: %s", system->name,
                         (long long)(timeout_ns / NS_PER_S), wait.missing);
    if (wait.stopped)
        return error_set(err, ERROR_ENVIRONMENT, "given up");
    *ret_primary = wait.primary;
    return 0;
}
