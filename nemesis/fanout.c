/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a thread per node, joined in order.  Failure modes: where a
 * thread cannot be made the work is done here, one node after the other.
 */
#include "config.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "nemesis/fanout.h"

struct fanout_job {
    int (*work)(void *ctx, unsigned node, struct error *err);
    void *ctx;
    unsigned node;
    bool threaded;
    pthread_t thread;
    int result;
    struct error err;
};

static void *
fanout_thread(void *ctx)
{
    struct fanout_job *job = ctx;

    job->result = job->work(job->ctx, job->node, &job->err);
    return NULL;
}

int
fanout(node_set nodes, int (*work)(void *ctx, unsigned node, struct error *err),
       void *ctx, struct error *err)
{
    struct fanout_job jobs[NODE_COUNT_MAX] = {0};
    bool single = (nodes & (nodes - 1)) == 0;
    int result = 0;

    assert(nodes >> NODE_COUNT_MAX == 0);
    for (unsigned i = 0; i < NODE_COUNT_MAX; i++) {
        struct fanout_job *job = &jobs[i];

        if (!(nodes >> i & 1))
            continue;
        *job = (struct fanout_job){.work = work, .ctx = ctx, .node = i};
        job->threaded = !single && pthread_create(&job->thread, NULL,
                                                  fanout_thread, job) == 0;
        if (!job->threaded)
            fanout_thread(job);
    }
    for (unsigned i = 0; i < NODE_COUNT_MAX; i++) {
        if (jobs[i].threaded)
            pthread_join(jobs[i].thread, NULL);
        if (jobs[i].result == 0)
            continue;
        if (result == 0)
            *err = jobs[i].err;
        result = -1;
    }
    return result;
}
