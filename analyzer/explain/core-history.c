/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core as a history: the records of its calls, picked out of the file once
 * more.  All attempts of an operation belong to it, so an attempt is picked
 * when its invocation or its completion stands on a line of the core, or when
 * it has the operation id of one that does.
 *
 * A format may have several records on a line (JSON on one line); then records
 * are told apart by their place among the events, which is what ranks are.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/explain.h"

struct picking {
    bool *wanted; /* per rank */
    uint32_t rank_count, rank;
    char **ids; /* operation ids of the core */
    uint32_t id_count;
    bool writing; /* the second pass */
    struct record_writer *writer;
    struct process *processes;
    uint32_t process_count, process_cap;
};

/* Whose call is under way is decided by its invocation. */
struct process {
    int64_t process;
    bool wanted;
};

static struct process *
picking_process(struct picking *p, int64_t process)
{
    for (uint32_t i = 0; i < p->process_count; i++)
        if (p->processes[i].process == process)
            return &p->processes[i];
    if (p->process_count == p->process_cap) {
        p->process_cap = p->process_cap == 0 ? 16 : p->process_cap * 2;
        p->processes =
            xrealloc(p->processes, p->process_cap * sizeof(*p->processes));
    }
    p->processes[p->process_count] = (struct process){.process = process};
    return &p->processes[p->process_count++];
}

static bool
picking_knows(const struct picking *p, const char *id)
{
    for (uint32_t i = 0; id != NULL && i < p->id_count; i++)
        if (strcmp(p->ids[i], id) == 0)
            return true;
    return false;
}

static int
picking_record(void *arg, const struct record *r, struct error *err)
{
    struct picking *p = arg;
    uint32_t rank = p->rank++;
    bool wanted = rank < p->rank_count && p->wanted[rank];
    struct process *process;

    if (!p->writing) {
        if (wanted && r->operation_id != NULL &&
            !picking_knows(p, r->operation_id)) {
            p->ids = xrealloc(p->ids, (p->id_count + 1) * sizeof(*p->ids));
            p->ids[p->id_count++] = xstrdup(r->operation_id);
        }
        return 0;
    }
    process = picking_process(p, r->process);
    if (r->type == RECORD_INVOKE)
        process->wanted = wanted || picking_knows(p, r->operation_id);
    if (!process->wanted)
        return 0;
    if (r->type != RECORD_INVOKE)
        process->wanted = false;
    return record_writer_add(p->writer, r, err);
}

static int
picking_pass(struct picking *p, const char *path, const char *from,
             struct error *err)
{
    const struct format_ops *format;
    struct record_file file = {0};

    p->rank = 0;
    return format_read(path, from, &format, &file, picking_record, p, err);
}

static void
picking_release(struct picking *p)
{
    for (uint32_t i = 0; i < p->id_count; i++)
        free(p->ids[i]);
    free(p->ids);
    free(p->wanted);
    free(p->processes);
}

int
explain_core_history(const struct calls *c, const struct check_result *r,
                     const char *path, const char *from, FILE *out,
                     const char *format, struct error *err)
{
    const struct decision *d = &r->decision;
    struct picking p = {.rank_count = c->rank_count};
    int status;

    if (r->verdict != VERDICT_INVALID || d->core_count == 0)
        return error_set(err, ERROR_CONFIG,
                         "there is no core: the verdict is not invalid");
    p.wanted = xcalloc((size_t)c->rank_count + 1, sizeof(*p.wanted));
    for (uint32_t i = 0; i < d->core_count; i++) {
        p.wanted[c->invoke[d->core[i]]] = true;
        if (c->complete[d->core[i]] != CALL_OPEN)
            p.wanted[c->complete[d->core[i]]] = true;
    }
    status = picking_pass(&p, path, from, err);
    p.writing = true;
    if (status == 0) {
        p.writer = record_writer_new(out, format, err);
        status = p.writer == NULL ? -1 : picking_pass(&p, path, from, err);
    }
    if (p.writer != NULL) {
        struct error unheard;

        if (record_writer_close(p.writer, status < 0 ? &unheard : err) < 0)
            status = -1;
    }
    picking_release(&p);
    return status;
}
