/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles and what is rendered into them. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "artifacts/bundle.h"
#include "artifacts/secrets.h"
#include "artifacts/text.h"
#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "tests/lib/tap.h"

#define WALL_NS (INT64_C(1769903999) * NS_PER_S) /* 2026-01-31T23:59:59Z */
#define FILE_MAX (1u << 20)

struct fixture {
    char runs[64];
    struct bundle *bundle;
    struct error err;
};

static void
setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->runs, sizeof(f->runs), "test-bundle.XXXXXX");
    CHECK(mkdtemp(f->runs) != NULL);
    f->bundle = bundle_new(f->runs, "crash-restart", WALL_NS, &f->err);
    if (f->bundle == NULL)
        printf("# %s\n", f->err.text);
    CHECK(f->bundle != NULL);
}

static void
teardown(struct fixture *f)
{
    struct error ignored;

    bundle_free(f->bundle);
    dir_remove(f->runs, &ignored);
}

static void
put_file(struct fixture *f, const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", bundle_dir(f->bundle), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK(file_write_all(fd, text, strlen(text)) == 0);
    close(fd);
}

static char *
get_file(struct fixture *f, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", bundle_dir(f->bundle), name);
    char *text = file_read(path, FILE_MAX, NULL, &f->err);

    if (text == NULL)
        printf("# %s\n", f->err.text);
    CHECK(text != NULL);
    return text;
}

static bool
link_is(struct fixture *f, const char *name, const char *target)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", f->runs, name);
    char now[PATH_MAX];
    ssize_t len = readlink(path, now, sizeof(now) - 1);

    if (len < 0)
        return target == NULL;
    now[len] = '\0';
    return target != NULL && strcmp(now, target) == 0;
}

/* ---- status ---- */

static void
test_status_table(void)
{
    static const struct {
        const char *name;
        int exit_status;
    } worst_first[] = {
        {"violation", 1}, {"internal", 70},    {"dirty", 5},  {"infra", 3},
        {"unknown", 2},   {"insufficient", 4}, {"passed", 0},
    };

    CHECK_INT(ARRAY_LEN(worst_first), STATUS_COUNT);
    for (unsigned i = 0; i < STATUS_COUNT; i++) {
        enum run_status a, b;

        CHECK(run_status_parse(worst_first[i].name, &a));
        CHECK_STR(run_status_name(a), worst_first[i].name);
        CHECK_INT(run_status_exit(a), worst_first[i].exit_status);
        for (unsigned k = i; k < STATUS_COUNT; k++) {
            CHECK(run_status_parse(worst_first[k].name, &b));
            CHECK(run_status_worst(a, b) == a);
            CHECK(run_status_worst(b, a) == a);
        }
    }
    CHECK(!run_status_parse("pass", &(enum run_status){0}));
}

/* ---- quoting ---- */

static void
check_text(void (*quote)(struct buf *, const char *), const char *in,
           const char *expected)
{
    struct buf out;

    buf_init(&out, FILE_MAX);
    quote(&out, in);
    CHECK_STR(buf_text(&out), expected);
    buf_release(&out);
}

#define FFFD "\xef\xbf\xbd"

static void
test_quoting(void)
{
    check_text(text_xml, "a<b>&\"'c'", "a&lt;b&gt;&amp;&quot;'c'");
    check_text(text_xml, "x\ny\tz\r", "x&#10;y&#9;z&#13;");
    check_text(text_xml, "\x01\x1b[0m\x7f", FFFD FFFD "[0m" FFFD);
    check_text(text_xml, "\xff\xc0\x80 \xed\xa0\x80",
               FFFD FFFD FFFD " " FFFD FFFD FFFD);
    check_text(text_xml, "\xef\xbf\xbf \xc2\x85", FFFD " " FFFD);
    check_text(text_xml, "\xe2\x82", FFFD FFFD);
    check_text(text_xml, "\xe2\x82\xac \xf0\x9f\x98\x80",
               "\xe2\x82\xac \xf0\x9f\x98\x80");
    check_text(text_markdown, "a|b\n`c` <i> [x]*",
               "a\\|b \\`c\\` &lt;i> \\[x\\]\\*");
    check_text(text_shell, "it's; rm -rf $HOME", "'it'\\''s; rm -rf $HOME'");
    check_text(text_shell, "", "''");
}

/* ---- rendering ---- */

static const struct report_reason violation_reasons[] = {
    {STATUS_VIOLATION, "double_allocation: resource 7 | twice"},
    {STATUS_DIRTY, "heal of fault 2 is not proven"},
    {STATUS_INSUFFICIENT, "operations: 12, at least 200 needed"},
};
static const struct report_phase phases[] = {
    {"provision", 0, 4200000000, NULL},
    {"load", 5000000000, 60000000000, NULL},
    {"heal", 65000000000, 1000000000, "node n2 does not answer"},
};
static const struct report_function functions[] = {
    {"reserve", 10, 1, 2, 0},
    {"get_lease", 5, 0, 0, 1},
};
static const struct report_evidence evidence[] = {
    {"operations", 12, 200, false},
    {"faults", 2, 2, true},
};
static const struct report_moment timeline[] = {
    {7500000000, "n1 was killed; n3 became primary after 0.4 s"},
};
static const char *const options[] = {"--window", "60s", "--bug",
                                      "it's double"};
static const char *const notes[] = {"teardown: n2 had to be destroyed"};

static struct run_report
violation_report(void)
{
    struct run_report r = {
        .run_id = "20260131T235959Z-5f0c",
        .scenario = "crash-restart",
        .system = "replica",
        .workload = "reservation_contention",
        .provider = "libvirt",
        .bug = "double-allocation",
        .seed = UINT64_MAX,
        .options = options,
        .option_count = ARRAY_LEN(options),
        .started_wall_ns = WALL_NS,
        .ended_wall_ns = WALL_NS + 70500 * NS_PER_MS,
        .reasons = violation_reasons,
        .reason_count = ARRAY_LEN(violation_reasons),
        .phases = phases,
        .phase_count = ARRAY_LEN(phases),
        .functions = functions,
        .function_count = ARRAY_LEN(functions),
        .ambiguous_count = 3,
        .resolved_count = 2,
        .evidence = evidence,
        .evidence_count = ARRAY_LEN(evidence),
        .timeline = timeline,
        .moment_count = ARRAY_LEN(timeline),
        .notes = notes,
        .note_count = ARRAY_LEN(notes),
    };

    r.checkers = json_pack(
        "[{s:s,s:s,s:s,s:i,s:{s:s,s:[i,i]}},{s:s,s:s,s:i},{s:s,s:s,s:s},"
        "{s:s,s:s,s:s}]",
        "checker", "double_allocation", "verdict", "invalid", "reason",
        "resource 7 | twice", "count", 2, "witness", "text",
        "resource 7 was reserved <by> A at 41\nand again by B at 44", "events",
        12, 19, "checker", "stale_read", "verdict", "valid", "count", 0,
        "checker", "linearizable", "verdict", "unknown", "reason",
        "no search engine", "checker", "lost_write", "verdict",
        "not_applicable", "reason", "no sweep");
    r.faults = json_pack(
        "[{s:i,s:s,s:[s],s:b,s:I,s:I,s:s,s:s},{s:i,s:s,s:[s,s],s:b,s:I}]", "id",
        1, "fault", "kill", "nodes", "n1", "primary", 1, "injected_ns",
        (json_int_t)7500000000, "healed_ns", (json_int_t)9000000000, "effect",
        "confirmed", "heal", "confirmed", "id", 2, "fault", "partition",
        "nodes", "n1", "n2", "primary", 0, "injected_ns",
        (json_int_t)20000000000);
    r.host = json_pack("{s:s,s:i}", "kernel", "6.1", "cpus", 2);
    return r;
}

static void
report_release(struct run_report *r)
{
    json_decref((json_t *)r->checkers);
    json_decref((json_t *)r->faults);
    json_decref((json_t *)r->host);
}

static void
check_render(void (*render)(const struct run_report *, struct buf *),
             const struct run_report *r, const char *expected)
{
    struct buf out;
    bool same;

    buf_init(&out, REPORT_TEXT_BYTES_MAX);
    render(r, &out);
    same = strcmp(buf_text(&out), expected) == 0;
    if (!same)
        printf("%s", buf_text(&out));
    buf_release(&out);
    CHECK(same);
}

static void
test_junit(void)
{
    struct run_report r = violation_report();

    check_render(
        junit_render, &r,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"ordeal\" tests=\"7\" failures=\"1\" errors=\"3\" "
        "skipped=\"1\" time=\"70.500\">\n"
        "  <testsuite name=\"crash-restart\" tests=\"7\" failures=\"1\" "
        "errors=\"3\" skipped=\"1\" time=\"70.500\" "
        "timestamp=\"2026-01-31T23:59:59\">\n"
        "    <properties>\n"
        "      <property name=\"status\" value=\"violation\"/>\n"
        "      <property name=\"run\" value=\"20260131T235959Z-5f0c\"/>\n"
        "      <property name=\"seed\" value=\"18446744073709551615\"/>\n"
        "      <property name=\"system\" value=\"replica\"/>\n"
        "      <property name=\"workload\" value=\"reservation_contention\"/>\n"
        "      <property name=\"provider\" value=\"libvirt\"/>\n"
        "      <property name=\"bug\" value=\"double-allocation\"/>\n"
        "      <property name=\"ordeal\" value=\"" PACKAGE_VERSION "\"/>\n"
        "    </properties>\n"
        "    <testcase classname=\"crash-restart.run\" name=\"run\" "
        "time=\"70.500\">\n"
        "      <error type=\"dirty\" message=\"heal of fault 2 is not "
        "proven\">dirty: heal of fault 2 is not proven&#10;</error>\n"
        "    </testcase>\n"
        "    <testcase classname=\"crash-restart.checkers\" "
        "name=\"double_allocation\" time=\"0.000\">\n"
        "      <failure type=\"violation\" message=\"resource 7 | "
        "twice\">resource 7 was reserved &lt;by&gt; A at 41&#10;and again by "
        "B at 44</failure>\n"
        "    </testcase>\n"
        "    <testcase classname=\"crash-restart.checkers\" "
        "name=\"stale_read\" time=\"0.000\"/>\n"
        "    <testcase classname=\"crash-restart.checkers\" "
        "name=\"linearizable\" time=\"0.000\">\n"
        "      <error type=\"unknown\" message=\"no search engine\">no search "
        "engine</error>\n"
        "    </testcase>\n"
        "    <testcase classname=\"crash-restart.checkers\" "
        "name=\"lost_write\" time=\"0.000\">\n"
        "      <skipped message=\"no sweep\"/>\n"
        "    </testcase>\n"
        "    <testcase classname=\"crash-restart.evidence\" "
        "name=\"operations\" time=\"0.000\">\n"
        "      <error type=\"insufficient\" message=\"12, at least 200 "
        "needed\">12, at least 200 needed</error>\n"
        "    </testcase>\n"
        "    <testcase classname=\"crash-restart.evidence\" name=\"faults\" "
        "time=\"0.000\"/>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
    report_release(&r);
}

static void
test_summary(void)
{
    struct run_report r = violation_report();

    check_render(
        summary_render, &r,
        "# violation: crash-restart\n\n"
        "- **violation** double_allocation: resource 7 \\| twice\n"
        "- **dirty** heal of fault 2 is not proven\n"
        "- **insufficient** operations: 12, at least 200 needed\n\n"
        "| | |\n|---|---|\n"
        "| run | 20260131T235959Z-5f0c |\n"
        "| seed | 18446744073709551615 |\n"
        "| system | replica |\n"
        "| planted bug | double-allocation |\n"
        "| workload | reservation_contention |\n"
        "| provider | libvirt |\n"
        "| started | 2026-01-31T23:59:59Z, took 70.5 s |\n"
        "| kernel | 6.1 |\n"
        "| cpus | 2 |\n\n"
        "## Witnesses\n\n### double_allocation\n\n"
        "    resource 7 was reserved <by> A at 41\n"
        "    and again by B at 44\n\n"
        "Events of the history: 12 19\n\n"
        "## Attempts by outcome\n\n"
        "| function | ok | fail | unknown | open |\n"
        "|---|---:|---:|---:|---:|\n"
        "| reserve | 10 | 1 | 2 | 0 |\n"
        "| get_lease | 5 | 0 | 0 | 1 |\n"
        "| all | 15 | 1 | 2 | 1 |\n\n"
        "3 operations had an attempt in doubt; 2 of them got an answer "
        "later.\n\n"
        "## Evidence\n\n"
        "| evidence | is | needs | |\n|---|---:|---:|---|\n"
        "| operations | 12 | 200 | **too little** |\n"
        "| faults | 2 | 2 | ok |\n\n"
        "## Checkers\n\n"
        "| checker | verdict | findings | reason |\n|---|---|---:|---|\n"
        "| double_allocation | invalid | 2 | resource 7 \\| twice |\n"
        "| stale_read | valid | 0 |  |\n"
        "| linearizable | unknown | 0 | no search engine |\n"
        "| lost_write | not_applicable | 0 | no sweep |\n\n"
        "## Faults\n\n"
        "| | fault | nodes | injected | healed | proof of effect | proof of "
        "heal |\n|---:|---|---|---:|---:|---|---|\n"
        "| 1 | kill | n1 (primary) | 7.5 s | 9.0 s | confirmed | confirmed |\n"
        "| 2 | partition | n1 n2 | 20.0 s | - | not proven | not proven |\n\n"
        "## Timeline\n\n"
        "- 0.0 s: **provision** (4.2 s)\n"
        "- 5.0 s: **load** (60.0 s)\n"
        "- 7.5 s: n1 was killed; n3 became primary after 0.4 s\n"
        "- 65.0 s: **heal** (1.0 s): node n2 does not answer\n\n"
        "## Notes\n\n"
        "- teardown: n2 had to be destroyed\n\n"
        "## To run it again\n\n    ./repro.sh\n");
    report_release(&r);
}

static void
test_summary_of_little(void)
{
    struct run_report r = {.scenario = "control", .seed = 7};

    check_render(summary_render, &r,
                 "# passed: control\n\n"
                 "Every checker is satisfied, every heal is proven, and the "
                 "evidence is enough.\n\n"
                 "| | |\n|---|---|\n| seed | 7 |\n\n"
                 "## To run it again\n\n    ./repro.sh\n");
}

static void
test_judging(void)
{
    struct run_report r = violation_report();
    struct report_reason reasons[8];
    struct arena a;

    arena_init(&a);
    CHECK_INT(report_judge(&r, &a, reasons, ARRAY_LEN(reasons)), 3);
    CHECK_INT(reasons[0].status, STATUS_VIOLATION);
    CHECK_STR(reasons[0].text,
              "double_allocation: resource 7 was reserved <by> A at 41\n"
              "and again by B at 44");
    CHECK_INT(reasons[1].status, STATUS_UNKNOWN);
    CHECK_STR(reasons[1].text, "linearizable: no search engine");
    CHECK_INT(reasons[2].status, STATUS_INSUFFICIENT);
    CHECK_STR(reasons[2].text, "operations: 12, at least 200 needed");
    CHECK_INT(report_judge(&r, &a, reasons, 2), 2);
    CHECK_INT(report_status(&r), STATUS_VIOLATION);
    CHECK(report_applies(&r, STATUS_DIRTY));
    CHECK(!report_applies(&r, STATUS_PASSED));
    report_release(&r);
    /* A verdict nobody knows is not valid. */
    r = (struct run_report){.scenario = "x"};
    r.checkers = json_pack("[{s:s,s:s},{s:s}]", "checker", "a", "verdict",
                           "fine", "checker", "b");
    CHECK_INT(report_judge(&r, &a, reasons, ARRAY_LEN(reasons)), 2);
    CHECK_INT(reasons[0].status, STATUS_UNKNOWN);
    CHECK_STR(reasons[0].text, "a: verdict 'fine' is not known");
    CHECK_INT(reasons[1].status, STATUS_UNKNOWN);
    json_decref((json_t *)r.checkers);
    /* Nobody looked. */
    r.checkers = NULL;
    CHECK_INT(report_judge(&r, &a, reasons, ARRAY_LEN(reasons)), 1);
    CHECK_INT(reasons[0].status, STATUS_UNKNOWN);
    CHECK_STR(reasons[0].text, "no checker judged this run");
    CHECK_INT(report_status(&(struct run_report){0}), STATUS_PASSED);
    CHECK(report_applies(&(struct run_report){0}, STATUS_PASSED));
    arena_release(&a);
}

/* ---- the directory ---- */

static void
test_new_and_links(void)
{
    struct fixture f;
    CLEANUP_FREE char *target = NULL;
    struct bundle *second;

    setup(&f);
    CHECK_INT(strncmp(bundle_id(f.bundle), "20260131T235959Z-", 17), 0);
    CHECK_INT(strlen(bundle_id(f.bundle)), 21);
    CHECK(bundle_dir(f.bundle)[0] == '/');
    target = xasprintf("crash-restart/%s", bundle_id(f.bundle));
    CHECK(link_is(&f, "current", target));
    CHECK(link_is(&f, "latest", NULL));
    second = bundle_new(f.runs, "crash-restart", WALL_NS, &f.err);
    CHECK(second != NULL);
    CHECK(strcmp(bundle_dir(second), bundle_dir(f.bundle)) != 0);
    CHECK(link_is(&f, "latest", NULL));
    CHECK(!link_is(&f, "current", target));
    CHECK_OK(bundle_finish(f.bundle,
                           &(struct run_report){.scenario = "crash-restart"},
                           &f.err),
             &f.err);
    CHECK(link_is(&f, "latest", target));
    CHECK(!link_is(&f, "current", NULL)); /* still the second run's */
    CHECK_OK(bundle_finish(second,
                           &(struct run_report){.scenario = "crash-restart"},
                           &f.err),
             &f.err);
    CHECK(link_is(&f, "current", NULL));
    bundle_free(second);
    CHECK(bundle_new(f.runs, "../evil", WALL_NS, &f.err) == NULL);
    CHECK(strstr(f.err.text, "'../evil' cannot name a directory") != NULL);
    teardown(&f);
}

static void
test_names_stay_inside(void)
{
    static const char *const bad[] = {
        "", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a/./b"};
    struct fixture f;
    CLEANUP_FREE char *path = NULL;

    setup(&f);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(bundle_add(f.bundle, bad[i], "x", 1, &f.err) < 0);
        CHECK(strstr(f.err.text, "no name inside a bundle") != NULL);
    }
    path = bundle_path(f.bundle, "nodes/n1/..log", &f.err);
    CHECK(path != NULL);
    CHECK(path_exists(bundle_dir(f.bundle)));
    teardown(&f);
}

/* sha256sum(1) is the second opinion on every hash. */
static void
check_with_sha256sum(struct fixture *f, const json_t *files)
{
    CLEANUP_FREE char *list = xasprintf("%s.sha256", bundle_dir(f->bundle));
    FILE *out = fopen(list, "w");
    const json_t *file;
    int status = -1;
    size_t i;
    pid_t pid;

    CHECK(out != NULL);
    json_array_foreach ((json_t *)files, i, file) {
        fprintf(out, "%s  %s\n",
                json_string_value(json_object_get(file, "sha256")),
                json_string_value(json_object_get(file, "path")));
    }
    fclose(out);
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (chdir(bundle_dir(f->bundle)) == 0)
            execlp("sha256sum", "sha256sum", "--check", "--strict", "--quiet",
                   list, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void
test_manifest(void)
{
    static const char *const expected[] = {
        "events.jsonl",   "faults.jsonl", "junit.xml", "nodes/n1/daemon.log",
        "nodes/n1/empty", "plan.json",    "repro.sh",  "status.json",
        "summary.md",
    };
    struct fixture f;
    struct run_report r = violation_report();
    CLEANUP_FREE char *log = NULL, *events = NULL;
    json_t *json = json_pack("{s:i}", "n", 1), *manifest, *files;

    setup(&f);
    CHECK_OK(bundle_add_json(f.bundle, "plan.json", json, &f.err), &f.err);
    CHECK_OK(bundle_set_status(f.bundle, json, &f.err), &f.err);
    CHECK_OK(bundle_append_json(f.bundle, BUNDLE_EVENTS, json, &f.err), &f.err);
    CHECK_OK(bundle_append_json(f.bundle, BUNDLE_EVENTS, json, &f.err), &f.err);
    CHECK_OK(bundle_append_json(f.bundle, BUNDLE_FAULTS, json, &f.err), &f.err);
    json_decref(json);
    log = bundle_path(f.bundle, "nodes/n1/daemon.log", &f.err);
    CHECK(log != NULL);
    put_file(&f, "nodes/n1/daemon.log", "started\n");
    put_file(&f, "nodes/n1/empty", "");
    events = xasprintf("%s/runtime", bundle_dir(f.bundle));
    CHECK(symlink("/etc", events) == 0); /* links are no evidence */
    CHECK_OK(bundle_finish(f.bundle, &r, &f.err), &f.err);
    CHECK_OK(bundle_verify(bundle_dir(f.bundle), &manifest, &f.err), &f.err);
    CHECK_STR(json_string_value(json_object_get(manifest, "status")),
              "violation");
    CHECK_INT(json_integer_value(json_object_get(manifest, "exit_status")), 1);
    CHECK_STR(json_string_value(json_object_get(manifest, "seed")),
              "18446744073709551615");
    json = json_pack("[s,s,s]", "violation", "dirty", "insufficient");
    CHECK(json_equal(json_object_get(manifest, "statuses"), json));
    json_decref(json);
    CHECK(json_equal(json_object_get(manifest, "checkers"), r.checkers));
    CHECK_INT(json_array_size(json_object_get(manifest, "withheld")), 0);
    files = json_object_get(manifest, "files");
    CHECK_INT(json_array_size(files), ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        CHECK_STR(json_string_value(
                      json_object_get(json_array_get(files, i), "path")),
                  expected[i]);
    check_with_sha256sum(&f, files);
    json_decref(manifest);
    report_release(&r);
    teardown(&f);
}

static void
test_lines_are_appended_whole(void)
{
    struct fixture f;
    CLEANUP_FREE char *text = NULL;
    json_t *json = json_pack("{s:i,s:s}", "n", 1, "text", "a\nb");

    setup(&f);
    CHECK_OK(bundle_append_json(f.bundle, "events.jsonl", json, &f.err),
             &f.err);
    CHECK_OK(bundle_append_json(f.bundle, "events.jsonl", json, &f.err),
             &f.err);
    text = get_file(&f, "events.jsonl");
    CHECK_STR(text, "{\"n\":1,\"text\":\"a\\nb\"}\n"
                    "{\"n\":1,\"text\":\"a\\nb\"}\n");
    json_decref(json);
    teardown(&f);
}

static void
check_verify(struct fixture *f, const char *what)
{
    CHECK(bundle_verify(bundle_dir(f->bundle), NULL, &f->err) < 0);
    if (strstr(f->err.text, what) == NULL)
        printf("# %s\n", f->err.text);
    CHECK(strstr(f->err.text, what) != NULL);
    CHECK_INT(f->err.kind, ERROR_CONFIG);
}

static void
test_verify_finds_every_change(void)
{
    struct fixture f;
    struct run_report r = {.scenario = "crash-restart"};
    CLEANUP_FREE char *path = NULL;

    setup(&f);
    CHECK_OK(bundle_add(f.bundle, "a.txt", "same", 4, &f.err), &f.err);
    check_verify(&f, "has no manifest.json");
    CHECK_OK(bundle_finish(f.bundle, &r, &f.err), &f.err);
    CHECK(bundle_add(f.bundle, "late", "x", 1, &f.err) < 0);
    CHECK(strstr(f.err.text, "'late' comes too late") != NULL);
    CHECK_OK(bundle_verify(bundle_dir(f.bundle), NULL, &f.err), &f.err);
    put_file(&f, "a.txt", "sane");
    check_verify(&f, "'a.txt' is changed (1 file differs from the manifest)");
    put_file(&f, "Z", "");
    put_file(&f, "zz", "");
    check_verify(&f, "'Z' is not in the manifest (3 files differ from");
    path = xasprintf("%s/Z", bundle_dir(f.bundle));
    CHECK(unlink(path) == 0);
    free(TAKE(path));
    path = xasprintf("%s/zz", bundle_dir(f.bundle));
    CHECK(unlink(path) == 0);
    free(TAKE(path));
    path = xasprintf("%s/a.txt", bundle_dir(f.bundle));
    CHECK(unlink(path) == 0);
    check_verify(&f, "'a.txt' is missing");
    put_file(&f, "a.txt", "same");
    CHECK_OK(bundle_verify(bundle_dir(f.bundle), NULL, &f.err), &f.err);
    put_file(&f, "manifest.json", "{\"schema\":1");
    check_verify(&f, "manifest.json:1: ");
    put_file(&f, "manifest.json", "{\"schema\":9,\"files\":[]}");
    check_verify(&f, "not a manifest of schema 1");
    put_file(&f, "manifest.json", "{\"schema\":1,\"files\":[1,{}]}");
    check_verify(&f, "differ from the manifest");
    teardown(&f);
}

static void
test_a_dead_drivers_bundle_is_finished(void)
{
    struct fixture f;
    struct bundle *again;
    struct run_report r = {.scenario = "crash-restart"};
    CLEANUP_FREE char *current = NULL;

    setup(&f);
    CHECK_OK(bundle_add(f.bundle, "a.txt", "kept", 4, &f.err), &f.err);
    current = xasprintf("%s/current", f.runs);
    again = bundle_open(current, &f.err);
    CHECK(again != NULL);
    CHECK_STR(bundle_id(again), bundle_id(f.bundle));
    CHECK_STR(bundle_dir(again), bundle_dir(f.bundle));
    CHECK_OK(bundle_finish(again, &r, &f.err), &f.err);
    bundle_free(again);
    CHECK(link_is(&f, "current", NULL));
    CHECK_OK(bundle_verify(bundle_dir(f.bundle), NULL, &f.err), &f.err);
    CHECK(bundle_open(bundle_dir(f.bundle), &f.err) == NULL);
    CHECK(strstr(f.err.text, "is finished") != NULL);
    CHECK(bundle_open("no/such", &f.err) == NULL);
    teardown(&f);
}

/* ---- secrets: the keys here are invented ---- */

#define ARMOUR                                                                 \
    "-----BEGIN OPENSSH PRIVATE "                                              \
    "KEY-----"
#define MATERIAL "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n"

static bool
has_key(const char *text)
{
    return secrets_key(text, strlen(text));
}

static void
test_secrets_are_recognized(void)
{
    CHECK(has_key("x\n" ARMOUR "\n" MATERIAL));
    CHECK(has_key("-----BEGIN PRIVATE "
                  "KEY-----\r\n" MATERIAL));
    CHECK(has_key("{\"k\":\"-----BEGIN RSA PRIVATE "
                  "KEY-----\\n" MATERIAL));
    CHECK(has_key("-----BEGIN EC PRIVATE "
                  "KEY-----\nProc-Type: 4,ENCRYPTED"));
    CHECK(!has_key("-----BEGIN CERTIFICATE-----\n" MATERIAL));
    CHECK(!has_key(ARMOUR)); /* a program that knows the words */
    CHECK(!has_key(ARMOUR "\n-----END"));
    CHECK(!has_key("-----BEGIN"));
    CHECK(!has_key(""));
    CHECK(secrets_marker("a" ARMOUR, 1 + strlen(ARMOUR)));
    CHECK(!secrets_marker("-----BEGIN SSH HOST KEY KEYS-----", 33));
    CHECK(secrets_marker("OPENSSH PRIVATE "
                         "KEY",
                         19));
    CHECK(!secrets_marker("private key", 11));
}

static void
test_secrets_never_enter(void)
{
    struct fixture f;
    struct run_report r = {.scenario = "crash-restart"};
    json_t *json = json_pack("{s:s}", "k", ARMOUR), *manifest, *expected;
    CLEANUP_FREE char *big = xcalloc(1, 300000), *path = NULL;

    setup(&f);
    CHECK(bundle_add(f.bundle, "key", ARMOUR, strlen(ARMOUR), &f.err) < 0);
    CHECK(strstr(f.err.text, "'key' is kept out of the bundle") != NULL);
    CHECK(bundle_add_json(f.bundle, "k.json", json, &f.err) < 0);
    CHECK(bundle_append_json(f.bundle, "k.jsonl", json, &f.err) < 0);
    json_decref(json);
    /* Collected by others, and across the border of two reads. */
    memset(big, 'x', 299999);
    memcpy(big + (128u << 10) - 30, ARMOUR "\n" MATERIAL,
           strlen(ARMOUR "\n" MATERIAL));
    put_file(&f, "collected", big);
    memcpy(big + (128u << 10) - 30, "----", 4);
    big[(128u << 10) - 30 + 8] = 'x';
    put_file(&f, "harmless", big);
    CHECK_OK(bundle_finish(f.bundle, &r, &f.err), &f.err);
    CHECK_OK(bundle_verify(bundle_dir(f.bundle), &manifest, &f.err), &f.err);
    expected = json_pack("[s]", "collected");
    CHECK(json_equal(json_object_get(manifest, "withheld"), expected));
    json_decref(expected);
    json_decref(manifest);
    path = xasprintf("%s/collected", bundle_dir(f.bundle));
    CHECK(!path_exists(path));
    free(TAKE(path));
    path = xasprintf("%s/harmless", bundle_dir(f.bundle));
    CHECK(path_exists(path));
    teardown(&f);
}

/* ---- repro.sh ---- */

/* Runs it with an 'ordeal' that prints its arguments, one per line. */
static void
check_repro(struct fixture *f, const struct run_report *r, const char *expected)
{
    CLEANUP_FREE char *script = NULL, *fake = NULL, *text = NULL;
    int status = -1;
    pid_t pid;

    CHECK_OK(bundle_finish(f->bundle, r, &f->err), &f->err);
    put_file(f, "fake-ordeal",
             "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"${0%/*}/arguments\"\n");
    fake = xasprintf("%s/fake-ordeal", bundle_dir(f->bundle));
    CHECK(chmod(fake, 0755) == 0);
    script = xasprintf("%s/repro.sh", bundle_dir(f->bundle));
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setenv("ORDEAL", fake, 1);
        execl(script, script, "--keep", (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(WEXITSTATUS(status), 0);
    text = get_file(f, "arguments");
    CHECK_STR(text, expected);
}

static void
test_repro(void)
{
    struct fixture f;
    struct run_report r = violation_report();
    CLEANUP_FREE char *expected = NULL;

    setup(&f);
    check_repro(&f, &r,
                "run\ncrash-restart\n--seed\n18446744073709551615\n--window\n"
                "60s\n--bug\nit's double\n--keep\n");
    teardown(&f);
    setup(&f);
    r.scenario_is_file = true;
    r.option_count = 0;
    expected = xasprintf("run\n%s/scenario.yaml\n--seed\n18446744073709551615\n"
                         "--keep\n",
                         bundle_dir(f.bundle));
    check_repro(&f, &r, expected);
    report_release(&r);
    teardown(&f);
}

/* ---- threads ---- */

static void *
append_main(void *arg)
{
    struct fixture *f = arg;
    json_t *json = json_pack("{s:s}", "text", "a line that is all there");
    struct error err;
    void *ret = f;

    for (int i = 0; i < 200; i++)
        if (bundle_append_json(f->bundle, "events.jsonl", json, &err) < 0 ||
            (i % 50 == 0 && bundle_set_status(f->bundle, json, &err) < 0))
            ret = NULL;
    json_decref(json);
    return ret;
}

static void
test_threads_append(void)
{
    struct fixture f;
    pthread_t threads[4];
    CLEANUP_FREE char *text = NULL;
    int lines = 0;

    setup(&f);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, append_main, &f) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *ret;

        pthread_join(threads[i], &ret);
        CHECK(ret != NULL);
    }
    text = get_file(&f, "events.jsonl");
    for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1, lines++)
        CHECK_INT(strncmp(p, "{\"text\":\"a line that is all there\"}\n", 36),
                  0);
    CHECK_INT(lines, 800);
    teardown(&f);
}

int
main(void)
{
    RUN(test_status_table);
    RUN(test_quoting);
    RUN(test_junit);
    RUN(test_summary);
    RUN(test_summary_of_little);
    RUN(test_judging);
    RUN(test_new_and_links);
    RUN(test_names_stay_inside);
    RUN(test_manifest);
    RUN(test_lines_are_appended_whole);
    RUN(test_verify_finds_every_change);
    RUN(test_a_dead_drivers_bundle_is_finished);
    RUN(test_secrets_are_recognized);
    RUN(test_secrets_never_enter);
    RUN(test_repro);
    RUN(test_threads_append);
    return tap_done();
}
