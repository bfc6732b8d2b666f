/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/queue.h"

#define QUEUE_CAPACITY_FIRST 256

void
queue_init(struct queue *q)
{
    memset(q, 0, sizeof(*q));
}

void
queue_release(struct queue *q)
{
    for (uint32_t i = 0; i < q->count; i++)
        free(q->heap[i].bytes);
    free(q->heap);
    queue_init(q);
}

static bool
queue_before(const struct queue_frame *a, const struct queue_frame *b)
{
    if (a->due_ns != b->due_ns)
        return a->due_ns < b->due_ns;
    return a->sequence < b->sequence;
}

static void
queue_sift_up(struct queue *q, uint32_t i)
{
    struct queue_frame f = q->heap[i];

    while (i > 0 && queue_before(&f, &q->heap[(i - 1) / 2])) {
        q->heap[i] = q->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->heap[i] = f;
}

static void
queue_sift_down(struct queue *q, uint32_t i)
{
    struct queue_frame f = q->heap[i];

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= q->count)
            break;
        if (child + 1 < q->count &&
            queue_before(&q->heap[child + 1], &q->heap[child]))
            child++;
        if (!queue_before(&q->heap[child], &f))
            break;
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = f;
}

bool
queue_push(struct queue *q, int64_t due_ns, unsigned from, unsigned to,
           uint8_t *bytes, size_t len)
{
    uint32_t *on_link = &q->link_count[from][to];

    if (q->count == QUEUE_FRAME_COUNT_MAX || q->bytes + len > QUEUE_BYTES_MAX ||
        *on_link == QUEUE_LINK_COUNT_MAX) {
        free(bytes);
        return false;
    }
    if (q->count == q->capacity) {
        q->capacity = q->capacity == 0 ? QUEUE_CAPACITY_FIRST : 2 * q->capacity;
        q->heap = xrealloc(q->heap, q->capacity * sizeof(q->heap[0]));
    }
    q->heap[q->count] = (struct queue_frame){.due_ns = due_ns,
                                             .sequence = q->sequence++,
                                             .from = (uint8_t)from,
                                             .to = (uint8_t)to,
                                             .len = (uint32_t)len,
                                             .bytes = bytes};
    queue_sift_up(q, q->count++);
    q->bytes += len;
    ++*on_link;
    return true;
}

int64_t
queue_next_due_ns(const struct queue *q)
{
    return q->count == 0 ? INT64_MAX : q->heap[0].due_ns;
}

static void
queue_forget(struct queue *q, const struct queue_frame *f)
{
    q->bytes -= f->len;
    q->link_count[f->from][f->to]--;
}

bool
queue_pop_due(struct queue *q, int64_t now_ns, struct queue_frame *ret)
{
    if (q->count == 0 || q->heap[0].due_ns > now_ns)
        return false;
    *ret = q->heap[0];
    queue_forget(q, ret);
    q->heap[0] = q->heap[--q->count];
    if (q->count > 0)
        queue_sift_down(q, 0);
    return true;
}

void
queue_purge(struct queue *q, const struct link_set *links,
            uint64_t counts[SWITCH_PORT_COUNT_MAX][SWITCH_PORT_COUNT_MAX])
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        struct queue_frame *f = &q->heap[i];

        if (link_set_has(links, f->from, f->to)) {
            counts[f->from][f->to]++;
            queue_forget(q, f);
            free(f->bytes);
        } else {
            q->heap[kept++] = *f;
        }
    }
    q->count = kept;
    for (uint32_t i = kept / 2; i > 0; i--)
        queue_sift_down(q, i - 1);
}
