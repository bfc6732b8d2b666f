/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: one file, no script, nothing fetched.  The three drawings are
 * switched by radio buttons and style alone.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/html.h"
#include "analyzer/explain/words.h"

#define PAGE_EDGES_MAX 64u

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fcfcfa;--fg:#1c2127;--dim:#5b6570;"
    "--line:#d9dde1;--lane:#f1f3f4;--bad:#a8201a;--badbg:#fbe3e0;"
    "--ctx:#1d4f91;--ctxbg:#e3edf9;--oth:#c3cad1;--good:#1d6b3a;"
    "--flow:#aebbc7;--stuck:#76879a}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e6e9ec;"
    "--dim:#9aa5b1;--line:#333a42;--lane:#1c2126;--bad:#ff8a80;"
    "--badbg:#4a1f1c;--ctx:#8ab8f5;--ctxbg:#1c324d;--oth:#4a545e;"
    "--good:#7fd6a0;--flow:#3f4b57;--stuck:#64778a}}\n"
    "*{box-sizing:border-box}a{color:var(--ctx)}"
    "body{margin:0;background:var(--bg);color:var(--fg);"
    "font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:1040px;margin:0 auto;padding:28px 24px 60px}"
    "h1{font-size:1.5rem;line-height:1.3;margin:.5rem 0 .4rem;"
    "font-weight:650;text-wrap:balance}"
    "h2{font-size:1.05rem;margin:2.2rem 0 .6rem;padding-top:.9rem;"
    "border-top:1px solid var(--line)}"
    ".file{color:var(--dim);font-size:.9rem;overflow-wrap:anywhere}"
    ".verdict{display:inline-block;font-weight:750;letter-spacing:.06em;"
    "padding:.15rem .7rem;border:2px solid;border-radius:3px}"
    ".invalid{color:var(--bad)}.valid{color:var(--good)}"
    ".unknown{color:var(--ctx)}"
    ".note,.lead{color:var(--dim);margin:.3rem 0}.lead{max-width:75ch}"
    ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:4px;"
    "margin:.6rem 0}"
    "svg{display:block}"
    "svg text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"
    "'DejaVu Sans Mono',monospace;fill:var(--fg)}"
    "svg text.who,svg text.axis{fill:var(--dim)}"
    "svg text.tag{font-size:11px;font-weight:700}"
    ".lane{fill:var(--lane)}"
    ".bar rect,.bar path{stroke-width:1.5}"
    ".firm rect,.firm path{fill:var(--badbg);stroke:var(--bad)}"
    ".firm rect.edge{fill:var(--bad)}.firm text{font-weight:700}"
    ".context rect,.context path{fill:url(#hatch);stroke:var(--ctx);"
    "stroke-dasharray:5 3}"
    ".bar:hover rect,.bar:hover path,.bar:focus rect,.bar:focus path"
    "{stroke-width:3.5}.bar:focus{outline:2px solid var(--fg);"
    "outline-offset:2px}"
    ".other rect,.other path{fill:var(--oth);stroke:none;opacity:.75}"
    ".why{fill:none;stroke:var(--dim);stroke-width:1.6;"
    "stroke-dasharray:2 3}"
    ".flow{fill:var(--flow)}.stuck{fill:var(--stuck)}"
    ".mark.firm{fill:var(--bad)}.mark.context{fill:var(--ctx)}"
    ".views>input{position:absolute;opacity:0}"
    ".views>label{display:inline-block;padding:.2rem .8rem;cursor:pointer;"
    "border:1px solid var(--line);border-radius:3px;margin-right:.3rem;"
    "font-size:.9rem}"
    ".views>div{display:none}"
    "#v1:checked~.v1,#v2:checked~.v2,#v3:checked~.v3{display:block}"
    "#v1:checked~label[for=v1],#v2:checked~label[for=v2],"
    "#v3:checked~label[for=v3]{background:var(--fg);color:var(--bg);"
    "font-weight:600}"
    "#v1:focus-visible~label[for=v1],#v2:focus-visible~label[for=v2],"
    "#v3:focus-visible~label[for=v3]{outline:3px solid var(--ctx);"
    "outline-offset:1px}"
    "table{border-collapse:collapse;width:100%;font-size:.92rem}"
    "th,td{text-align:left;vertical-align:top;padding:.32rem .7rem .32rem 0;"
    "border-bottom:1px solid var(--line)}"
    "th{color:var(--dim);font-weight:600}"
    "td.n{font-weight:700;white-space:nowrap}td.w{font-family:ui-monospace,"
    "Menlo,Consolas,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}"
    "tr:target td{background:var(--ctxbg)}"
    ".key{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;font-size:.88rem;"
    "color:var(--dim);margin:.3rem 0;align-items:center}"
    ".key svg{display:inline-block;vertical-align:-4px;margin-right:.4rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;"
    "margin:0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\n";

/* ---- text from outside ---- */

/* The length of the character that begins here; 0: it is none. */
static size_t
character(const unsigned char *s)
{
    size_t len = s[0] < 0x80                   ? 1
                 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;

    if (len == 1 && (s[0] == 0x7f || (s[0] < ' ' && s[0] != '\n')))
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong, surrogate or beyond the last plane. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

void
page_text(struct page *page, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s != '\0') {
        size_t len = character(s);

        if (len == 0) {
            buf_puts(page->out, "\xef\xbf\xbd");
            len = 1;
        } else if (*s == '<') {
            buf_puts(page->out, "&lt;");
        } else if (*s == '>') {
            buf_puts(page->out, "&gt;");
        } else if (*s == '&') {
            buf_puts(page->out, "&amp;");
        } else if (*s == '"') {
            buf_puts(page->out, "&quot;");
        } else if (*s == '\'') {
            buf_puts(page->out, "&#39;");
        } else {
            buf_append(page->out, s, len);
        }
        s += len;
    }
}

void
page_call_words(struct page *page, uint32_t call)
{
    struct buf b;

    buf_init(&b, PAGE_WORDS_MAX);
    model_describe(page->c, call, &b);
    page_text(page, buf_text(&b));
    if (b.truncated)
        buf_puts(page->out, " ...");
    buf_release(&b);
}

void
page_lines(struct page *page, uint32_t call)
{
    const struct calls *c = page->c;

    if (c->end_line[call] == 0)
        buf_printf(page->out, "line %u, never answered", c->line[call]);
    else
        buf_printf(page->out, "lines %u to %u%s", c->line[call],
                   c->end_line[call],
                   c->complete[call] == CALL_OPEN ? ", outcome unknown" : "");
}

/* ---- sections ---- */

/* As a sentence: a headline begins with a word of ours, or with a value, which
 * is quoted or a number. */
static void
put_headline(struct page *page, const char *headline)
{
    char first[2] = {headline[0], '\0'};

    if (first[0] >= 'a' && first[0] <= 'z')
        first[0] = (char)(first[0] - 'a' + 'A');
    page_text(page, first);
    if (first[0] != '\0')
        page_text(page, headline + 1);
}

static void
put_head(struct page *page, const char *title)
{
    const struct check_result *r = page->r;
    const char *name = verdict_name(r->verdict);

    buf_puts(page->out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                        "charset=\"utf-8\">\n<meta name=\"viewport\" "
                        "content=\"width=device-width,initial-scale=1\">\n"
                        "<title>");
    page_text(page, name);
    buf_puts(page->out, ": ");
    page_text(page, title);
    buf_puts(page->out, "</title>\n<style>\n");
    buf_puts(page->out, style);
    buf_printf(page->out,
               "</style></head><body><main>\n<span class=\"verdict %s\">%s "
               "%s</span>\n<p class=\"file\">",
               name,
               r->verdict == VERDICT_VALID     ? "&#10003;"
               : r->verdict == VERDICT_INVALID ? "&#10007;"
                                               : "?",
               r->verdict == VERDICT_VALID     ? "VALID"
               : r->verdict == VERDICT_INVALID ? "INVALID"
                                               : "UNKNOWN");
    page_text(page, title);
    buf_puts(page->out, "</p>\n<h1>");
    if (r->verdict == VERDICT_INVALID)
        put_headline(page, r->decision.headline);
    else if (r->verdict == VERDICT_UNKNOWN)
        put_headline(page, r->decision.reason);
    else
        buf_puts(page->out, "One order of the calls explains every answer");
    buf_puts(page->out, "</h1>\n");
}

static void
put_key(struct page *page)
{
    buf_puts(
        page->out,
        "<div class=\"key\"><span><svg width=\"34\" height=\"18\" "
        "aria-hidden=\"true\"><g class=\"bar firm\"><rect x=\"2\" y=\"2\" "
        "width=\"30\" height=\"14\" rx=\"1\"/><rect class=\"edge\" x=\"2\" "
        "y=\"2\" width=\"4\" height=\"14\"/></g></svg>contradicts</span>"
        "<span><svg width=\"34\" height=\"18\" aria-hidden=\"true\"><g "
        "class=\"bar context\"><rect x=\"2\" y=\"2\" width=\"30\" "
        "height=\"14\" rx=\"7\"/></g></svg>context</span><span><svg "
        "width=\"34\" height=\"18\" "
        "aria-hidden=\"true\"><g class=\"bar context\"><path d=\"M2 2H24L32 "
        "9L24 16H2Z\"/></g></svg>never answered</span><span><svg "
        "width=\"34\" height=\"18\" aria-hidden=\"true\"><path class=\"why\" "
        "d=\"M2 9H30\"/></svg>one saw what the other did</span></div>\n");
}

static void
put_timeline(struct page *page)
{
    const struct decision *d = &page->r->decision;
    struct buf size;

    buf_init(&size, 512);
    words_size(&page->r->problem, d, &size);
    /* Answers that differ contradict each other, not the rest. */
    if (page->c->contradiction == NULL) {
        buf_puts(page->out, "<p class=\"lead\">");
        page_text(page, buf_text(&size));
        buf_puts(page->out, ".</p>\n");
    }
    buf_release(&size);
    buf_puts(
        page->out,
        "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" "
        "style=\"position:absolute\"><defs><pattern id=\"hatch\" width=\"7\" "
        "height=\"7\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" "
        "style=\"fill:var(--ctxbg);stroke:none\"/><path d=\"M0 0V7\" "
        "style=\"stroke:var(--ctx);stroke-width:1;opacity:.35\"/></pattern>"
        "<marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
        "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 "
        "0L8 4L0 8Z\" style=\"fill:var(--dim)\"/></marker></defs></svg>\n"
        "<h2 id=\"timeline\">Timeline</h2>\n<div class=\"views\">"
        "<input type=\"radio\" name=\"v\" id=\"v1\" checked><label "
        "for=\"v1\">Order of events</label>"
        "<input type=\"radio\" name=\"v\" id=\"v2\"><label for=\"v2\">To "
        "scale</label>"
        "<input type=\"radio\" name=\"v\" id=\"v3\"><label for=\"v3\">Calls "
        "around it</label>\n<div class=\"v1\">");
    svg_logical(page);
    buf_puts(page->out, "</div><div class=\"v2\">");
    svg_places(page);
    buf_puts(page->out, "</div><div class=\"v3\">");
    svg_around(page);
    buf_puts(page->out, "</div></div>\n");
    put_key(page);
    if (d->core_count > page->layout.bar_count)
        buf_printf(page->out,
                   "<p class=\"note\">The first %u of %u calls.</p>\n",
                   page->layout.bar_count, d->core_count);
}

static void
put_calls(struct page *page)
{
    const struct decision *d = &page->r->decision;
    const struct calls *c = page->c;

    buf_puts(page->out,
             "<h2>The calls</h2>\n<table><thead><tr><th>#</th><th>client</th>"
             "<th>call</th><th>in the file</th><th>part</th></tr></thead>"
             "<tbody>\n");
    for (uint32_t i = 0; i < page->layout.bar_count; i++) {
        uint32_t call = d->core[i];

        buf_printf(page->out,
                   "<tr id=\"call-%u\"><td class=\"n\">#%u</td><td>%u</td>"
                   "<td class=\"w\">",
                   i + 1, i + 1, c->process[call]);
        page_call_words(page, call);
        buf_puts(page->out, "</td><td>");
        page_lines(page, call);
        buf_printf(page->out, "</td><td>%s</td></tr>\n",
                   words_firm(d, i) ? "contradicts" : "context");
    }
    buf_puts(page->out, "</tbody></table>\n");
}

static void
put_edges(struct page *page)
{
    const struct decision *d = &page->r->decision;

    if (d->edge_count == 0)
        return;
    buf_puts(page->out, "<h2>Because</h2>\n<table><tbody>\n");
    for (uint32_t i = 0; i < d->edge_count && i < PAGE_EDGES_MAX; i++) {
        const struct edge *e = &d->edges[i];

        buf_printf(page->out,
                   "<tr><td class=\"n\">#%u &#8594; #%u</td><td>%s</td><td>",
                   words_number(d, e->from), words_number(d, e->to),
                   edge_kind_name(e->kind));
        page_text(page, e->text == NULL ? "" : e->text);
        buf_puts(page->out, "</td></tr>\n");
    }
    buf_puts(page->out, "</tbody></table>\n");
    if (d->edge_count > PAGE_EDGES_MAX)
        buf_printf(page->out, "<p class=\"note\">And %u more.</p>\n",
                   d->edge_count - PAGE_EDGES_MAX);
}

static const char *
choice_word(enum verdict v)
{
    return v == VERDICT_INVALID ? "&#10007; refuted" : "? not decided";
}

static void
put_choices(struct page *page)
{
    struct choice choices[CHOICES_MAX];
    uint32_t total, n = words_choices(&page->r->problem, &page->r->decision,
                                      choices, &total);

    if (n == 0)
        return;
    buf_puts(page->out,
             "<h2>Calls without an answer</h2>\n<p class=\"lead\">Each may "
             "have taken effect or not. Both were tried.</p>\n<table><thead>"
             "<tr><th>call</th><th>client</th><th>it took effect</th><th>it "
             "did not</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t call = choices[i].call;
        uint32_t number = words_number(&page->r->decision, call);

        buf_puts(page->out, "<tr><td class=\"w\">");
        if (number > 0)
            buf_printf(page->out, "#%u ", number);
        page_call_words(page, call);
        buf_printf(page->out,
                   " <span class=\"note\">line %u</span></td><td>%u</td><td>%s"
                   "</td><td>%s</td></tr>\n",
                   page->c->line[call], page->c->process[call],
                   choice_word(choices[i].with),
                   choice_word(choices[i].without));
    }
    buf_puts(page->out, "</tbody></table>\n");
    if (total > n)
        buf_printf(page->out,
                   "<p class=\"note\">And %u more; the calls contradict each "
                   "other whatever each of the %u did.</p>\n",
                   total - n, total);
}

static void
put_overview(struct page *page)
{
    buf_puts(page->out, "<h2>The whole history</h2>\n");
    svg_overview(page);
    buf_puts(page->out,
             "<p class=\"note\">Calls under way at each place of the file; the "
             "darker part are calls that were never answered.");
    if (page->layout.bar_count > 0)
        buf_puts(page->out, " The upright marks are the core, short ones its "
                            "context. <a href=\"#timeline\">To the core</a>");
    buf_puts(page->out, "</p>\n");
}

static void
put_facts(struct page *page)
{
    const struct check_result *r = page->r;

    buf_puts(page->out, "<h2>How it was decided</h2>\n<dl><dt>model</dt><dd>");
    page_text(page, page->c->model->name);
    buf_printf(page->out,
               "</dd><dt>calls</dt><dd>%u, in %u %s; %u invalid, %u unknown"
               "</dd><dt>decided by</dt><dd>",
               page->c->count, r->parts.count,
               r->parts.count == 1 ? "part" : "parts", r->invalid_parts,
               r->unknown_parts);
    page_text(page, r->decision.engine == NULL ? "nobody" : r->decision.engine);
    if (r->confirmed && r->confirmed_by != NULL) {
        buf_puts(page->out, "</dd><dt>confirmed by</dt><dd>");
        page_text(page, r->confirmed_by);
    }
    buf_printf(page->out, "</dd><dt>time</dt><dd>%.3f s</dd>",
               (double)r->elapsed_ns / 1e9);
    if (r->verdict == VERDICT_UNKNOWN)
        buf_printf(page->out,
                   "<dt>explained</dt><dd>the first %u calls; %u calls "
                   "without an answer are undecided there</dd>",
                   r->decision.decided_prefix, r->decision.open_count);
    if (page->c->contradiction != NULL) {
        buf_printf(page->out, "<dt>lines %u and %u</dt><dd>",
                   page->c->contradiction_lines[0],
                   page->c->contradiction_lines[1]);
        page_text(page, page->c->contradiction);
        buf_puts(page->out, "</dd>");
    }
    buf_puts(page->out, "</dl>\n");
}

void
explain_html(const struct calls *c, const struct check_result *r,
             const char *title, struct buf *out)
{
    struct page page = {.c = c, .r = r, .out = out};
    bool core = r->verdict == VERDICT_INVALID && r->decision.core_count > 0;

    arena_init(&page.arena);
    if (core)
        layout_make(c, &r->decision, PAGE_CALLS_MAX, &page.arena, &page.layout);
    put_head(&page, title);
    if (core) {
        put_timeline(&page);
        put_calls(&page);
        put_edges(&page);
        put_choices(&page);
    }
    put_overview(&page);
    put_facts(&page);
    buf_puts(out, "</main></body></html>\n");
    arena_release(&page.arena);
}
