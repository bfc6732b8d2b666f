/* SPDX-License-Identifier: Apache-2.0 */
/* The undo journal: what is pending after every way of dying. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "nemesis/journal.h"
#include "tests/lib/tap.h"

struct fixture {
    char dir[64], path[96];
    struct journal *journal;
    struct journal_pending pending;
    struct error err;
};

static void
setup(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/ordeal-journal-XXXXXX"};
    CHECK(mkdtemp(f->dir) != NULL);
    snprintf(f->path, sizeof(f->path), "%s/undo.journal", f->dir);
    f->journal = journal_open(f->path, &f->err);
    CHECK(f->journal != NULL);
}

static void
teardown(struct fixture *f)
{
    journal_close(f->journal);
    journal_pending_release(&f->pending);
    CHECK_OK(dir_remove(f->dir, &f->err), &f->err);
}

static void
begin(struct fixture *f, uint64_t id)
{
    json_t *undo = json_pack("{s:s, s:[s]}", "fault", "kill", "nodes", "n1");

    CHECK_OK(journal_begin(f->journal, id, undo, &f->err), &f->err);
    json_decref(undo);
}

static void
look(struct fixture *f)
{
    journal_pending_release(&f->pending);
    CHECK_OK(journal_pending(f->path, &f->pending, &f->err), &f->err);
}

static void
test_pending_is_latest_first(void)
{
    struct fixture f;

    setup(&f);
    look(&f);
    CHECK_INT(f.pending.record_count, 0);
    for (uint64_t id = 1; id <= 4; id++)
        begin(&f, id);
    CHECK_OK(journal_done(f.journal, 3, &f.err), &f.err);
    look(&f);
    CHECK_INT(f.pending.record_count, 3);
    CHECK_INT(f.pending.records[0].id, 4);
    CHECK_INT(f.pending.records[1].id, 2);
    CHECK_INT(f.pending.records[2].id, 1);
    CHECK_INT(f.pending.id_max, 4);
    CHECK_INT(f.pending.damaged_count, 0);
    CHECK_STR(
        json_string_value(json_object_get(f.pending.records[0].undo, "fault")),
        "kill");
    teardown(&f);
}

static void
test_absent_file_has_nothing_pending(void)
{
    struct fixture f;
    struct journal_pending pending;

    setup(&f);
    CHECK_OK(journal_pending("/nonexistent/undo.journal", &pending, &f.err),
             &f.err);
    CHECK_INT(pending.record_count, 0);
    teardown(&f);
}

/* Every length a dying write can leave: never an error, never a lost undo. */
static void
test_torn_tail_at_every_byte(void)
{
    struct fixture f;
    CLEANUP_FREE char *bytes = NULL;
    size_t len, first;

    setup(&f);
    begin(&f, 1);
    begin(&f, 2);
    bytes = file_read(f.path, 1 << 16, &len, &f.err);
    CHECK(bytes != NULL);
    first = (size_t)(strchr(bytes, '\n') - bytes) + 1;
    for (size_t cut = 0; cut <= len; cut++) {
        CHECK_OK(file_write_atomic(f.path, bytes, cut, 0644, &f.err), &f.err);
        look(&f);
        CHECK_INT(f.pending.record_count, (cut >= first) + (cut >= len));
        CHECK_INT(f.pending.damaged_count, 0);
    }
    teardown(&f);
}

/* A driver that goes on after a torn tail must not glue its line to it. */
static void
test_open_cuts_the_torn_tail(void)
{
    struct fixture f;

    setup(&f);
    begin(&f, 1);
    begin(&f, 2);
    journal_close(f.journal);
    CHECK_INT(truncate(f.path, 100), 0);
    f.journal = journal_open(f.path, &f.err);
    CHECK(f.journal != NULL);
    begin(&f, 3);
    look(&f);
    CHECK_INT(f.pending.record_count, 2);
    CHECK_INT(f.pending.records[0].id, 3);
    CHECK_INT(f.pending.records[1].id, 1);
    CHECK_INT(f.pending.damaged_count, 0);
    teardown(&f);
}

/* One flipped byte anywhere costs at most its own line, and is noticed. */
static void
test_flipped_byte_at_every_place(void)
{
    struct fixture f;
    CLEANUP_FREE char *bytes = NULL;
    size_t len, first;

    setup(&f);
    begin(&f, 1);
    begin(&f, 2);
    bytes = file_read(f.path, 1 << 16, &len, &f.err);
    CHECK(bytes != NULL);
    first = (size_t)(strchr(bytes, '\n') - bytes);
    for (size_t i = 0; i < first; i++) {
        bytes[i] ^= 0x04;
        CHECK_OK(file_write_atomic(f.path, bytes, len, 0644, &f.err), &f.err);
        bytes[i] ^= 0x04;
        look(&f);
        CHECK_INT(f.pending.damaged_count, 1 + (bytes[i] == ('\n' ^ 0x04)));
        CHECK_INT(f.pending.record_count, 1);
        CHECK_INT(f.pending.records[0].id, 2);
    }
    teardown(&f);
}

/* On disk when the call returns: a child that is killed right after. */
static void
test_survives_sigkill_after_begin(void)
{
    struct fixture f;
    pid_t child;
    int status;

    setup(&f);
    journal_close(TAKE(f.journal));
    child = fork();
    if (child == 0) {
        f.journal = journal_open(f.path, &f.err);
        if (f.journal != NULL)
            begin(&f, 7);
        raise(SIGKILL);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    look(&f);
    CHECK_INT(f.pending.record_count, 1);
    CHECK_INT(f.pending.records[0].id, 7);
    teardown(&f);
}

/* Recovery must not undo the faults of a driver that still runs. */
static void
test_open_is_refused_while_a_driver_lives(void)
{
    struct fixture f;
    pid_t child;
    int status;

    setup(&f);
    child = fork();
    if (child == 0) {
        struct journal *second = journal_open(f.path, &f.err);

        _exit(second != NULL ? 1 : strstr(f.err.text, "in use") ? 0 : 2);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    teardown(&f);
}

static void
test_full_disk_fails_the_begin(void)
{
    struct error err = {0};
    struct journal *journal;
    json_t *undo = json_object();

    journal = journal_open("/dev/full", &err);
    CHECK(journal != NULL);
    CHECK_INT(journal_begin(journal, 1, undo, &err), -1);
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    CHECK_INT(journal_begin(journal, 2, undo, &err), -1);
    CHECK(strstr(err.text, "earlier write failed") != NULL);
    json_decref(undo);
    journal_close(journal);
}

int
main(void)
{
    RUN(test_pending_is_latest_first);
    RUN(test_absent_file_has_nothing_pending);
    RUN(test_torn_tail_at_every_byte);
    RUN(test_open_cuts_the_torn_tail);
    RUN(test_flipped_byte_at_every_place);
    RUN(test_survives_sigkill_after_begin);
    RUN(test_open_is_refused_while_a_driver_lives);
    RUN(test_full_disk_fails_the_begin);
    return tap_done();
}
