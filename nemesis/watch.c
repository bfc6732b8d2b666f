/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: a thread per node looks, reports, sleeps.
 *
 * Failure modes: a node that does not answer reports nothing; a node whose
 * thread cannot be made is not watched, with a warning.
 */
#include "config.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/log.h"
#include "nemesis/watch.h"

struct watch_node {
    struct watch *watch;
    unsigned node;
    bool threaded;
    pthread_t thread;
};

struct watch {
    const struct fault_world *world;
    void (*on_event)(void *ctx, unsigned node, const char *event);
    void *ctx;
    atomic_bool stopping;
    struct watch_node nodes[NODE_COUNT_MAX];
};

int
watch_event(const struct system_ops *system, const char *name)
{
    for (int i = 0; system->events != NULL && system->watch != NULL &&
                    system->events[i] != NULL;
         i++)
        if (strcmp(system->events[i], name) == 0)
            return i;
    return -1;
}

static void *
watch_main(void *ctx)
{
    struct watch_node *n = ctx;
    struct watch *w = n->watch;
    const struct system_ops *system = w->world->system;
    struct system_watch state = {0};

    while (!atomic_load(&w->stopping)) {
        struct error err = {0};
        uint32_t events = 0;

        if (system->watch(w->world->cluster, n->node, WATCH_TIMEOUT_NS, &state,
                          &events, &err) < 0)
            log_debug("watch", "%s", err.text);
        for (unsigned i = 0; system->events[i] != NULL; i++)
            if (events >> i & 1)
                w->on_event(w->ctx, n->node, system->events[i]);
        clock_sleep_ns(w->world->clock, WATCH_INTERVAL_NS);
    }
    return NULL;
}

struct watch *
watch_start(const struct fault_world *world,
            void (*on_event)(void *ctx, unsigned node, const char *event),
            void *ctx)
{
    struct watch *w = xcalloc(1, sizeof(*w));

    assert(world->system->events != NULL && world->system->watch != NULL);
    w->world = world;
    w->on_event = on_event;
    w->ctx = ctx;
    atomic_init(&w->stopping, false);
    for (unsigned i = 0; i < world->cluster->node_count; i++) {
        struct watch_node *n = &w->nodes[i];

        n->watch = w;
        n->node = i;
        n->threaded = pthread_create(&n->thread, NULL, watch_main, n) == 0;
        if (!n->threaded)
            log_warning("watch", "%s is not watched: no thread, continuing",
                        world->cluster->nodes[i].name);
    }
    return w;
}

void
watch_stop(struct watch *w)
{
    if (w == NULL)
        return;
    atomic_store(&w->stopping, true);
    for (unsigned i = 0; i < NODE_COUNT_MAX; i++)
        if (w->nodes[i].threaded)
            pthread_join(w->nodes[i].thread, NULL);
    free(w);
}
