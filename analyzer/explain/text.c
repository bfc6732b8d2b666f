/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a terminal: 100 columns, plain text, nothing told by colour.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/layout.h"
#include "analyzer/explain/words.h"

#define TEXT_WIDTH 100u
/* Larger cores are not minimal ones: their beginning shows what they are. */
#define TEXT_CALLS_MAX 40u
#define TEXT_EDGES_MAX 40u

struct drawing {
    const struct calls *c;
    const struct check_result *r;
    struct layout layout;
    struct arena arena;
    uint32_t *x;     /* per column */
    uint32_t margin; /* of the lanes' names */
    bool described;  /* bars carry words */
    struct buf *out;
};

/* Words wrapped at the width, each further line indented. */
static void
put_wrapped(struct buf *out, const char *first, uint32_t indent,
            const char *text)
{
    uint32_t column = (uint32_t)strlen(first), spaces = 0;

    buf_puts(out, first);
    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (column > indent && column + spaces + word > TEXT_WIDTH) {
            buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else {
            buf_printf(out, "%*s", (int)spaces, "");
            column += spaces;
        }
        buf_append(out, text, word);
        column += (uint32_t)word;
        text += word;
        spaces = (uint32_t)strspn(text, " ");
        text += spaces;
    }
    buf_puts(out, "\n");
}

static void
call_words(const struct calls *c, uint32_t call, char *text, size_t size)
{
    struct buf b;

    buf_init(&b, size - 1);
    model_describe(c, call, &b);
    snprintf(text, size, "%s", buf_text(&b));
    buf_release(&b);
}

/* ---- the timeline ---- */

static uint32_t
bar_words(const struct drawing *dr, uint32_t i, char *text, size_t size)
{
    char words[64];
    int len;

    if (dr->described) {
        call_words(dr->c, dr->layout.bars[i].call, words, sizeof(words));
        len = snprintf(text, size, "#%u %s", i + 1, words);
    } else {
        len = snprintf(text, size, "#%u", i + 1);
    }
    return (uint32_t)len < size ? (uint32_t)len : (uint32_t)size - 1;
}

/* Columns as near to each other as the bars' words allow; the width. */
static uint32_t
place_columns(struct drawing *dr)
{
    const struct layout *l = &dr->layout;
    char text[80];
    uint32_t right = 0;

    for (uint32_t e = 0; e < l->column_count; e++) {
        dr->x[e] = e == 0 ? 0 : dr->x[e - 1] + 1;
        for (uint32_t i = 0; i < l->bar_count; i++) {
            const struct bar *b = &l->bars[i];
            uint32_t need = bar_words(dr, i, text, sizeof(text)) + 2;

            if (!b->open && b->to == e && dr->x[b->from] + need > dr->x[e])
                dr->x[e] = dr->x[b->from] + need;
        }
    }
    for (uint32_t i = 0; i < l->bar_count; i++) {
        const struct bar *b = &l->bars[i];
        uint32_t end =
            b->open ? dr->x[b->from] + bar_words(dr, i, text, sizeof(text)) + 4
                    : dr->x[b->to];

        right = end > right ? end : right;
    }
    return right + 1;
}

static void
draw_bar(const struct drawing *dr, uint32_t i, char *line, uint32_t width)
{
    const struct bar *b = &dr->layout.bars[i];
    uint32_t from = dr->x[b->from], to = b->open ? width - 1 : dr->x[b->to];
    char text[80];
    uint32_t len = bar_words(dr, i, text, sizeof(text));

    memset(line + from, b->firm ? '=' : '-', to - from + 1);
    line[from] = '[';
    line[to] = b->open ? '>' : ']';
    for (uint32_t k = 0; k < len && from + 1 + k < to; k++)
        line[from + 1 + k] = (unsigned char)text[k] < ' ' ? ' ' : text[k];
}

static void
draw_lanes(const struct drawing *dr, uint32_t width)
{
    const struct layout *l = &dr->layout;
    char line[TEXT_WIDTH + 1], name[32];

    for (uint32_t lane = 0; lane < l->lane_count; lane++) {
        memset(line, ' ', sizeof(line));
        for (uint32_t i = 0; i < l->bar_count; i++)
            if (l->bars[i].lane == lane)
                draw_bar(dr, i, line, width);
        uint32_t end = width;
        while (end > 0 && line[end - 1] == ' ')
            end--;
        snprintf(name, sizeof(name), "client %u", l->lane_process[lane]);
        buf_printf(dr->out, "  %-*s %.*s\n", (int)dr->margin, name, (int)end,
                   line);
    }
}

/* One line a call: for cores that do not fit side by side. */
static void
draw_stairs(const struct drawing *dr)
{
    const struct layout *l = &dr->layout;
    uint32_t room = TEXT_WIDTH - dr->margin - 10;
    char line[TEXT_WIDTH + 1], name[32];

    for (uint32_t i = 0; i < l->bar_count; i++) {
        const struct bar *b = &l->bars[i];
        uint32_t columns = l->column_count + 1;
        uint32_t from = b->from * (room - 2) / columns;
        uint32_t to = b->open ? room - 1 : b->to * (room - 2) / columns + 1;

        memset(line, ' ', sizeof(line));
        memset(line + from, b->firm ? '=' : '-', to - from + 1);
        line[from] = '[';
        line[to] = b->open ? '>' : ']';
        snprintf(name, sizeof(name), "client %u", dr->c->process[b->call]);
        buf_printf(dr->out, "  #%-4u %-*s %.*s\n", i + 1, (int)dr->margin, name,
                   (int)to + 1, line);
    }
}

static void
draw_timeline(struct drawing *dr)
{
    const struct layout *l = &dr->layout;
    bool context = false, open = false;

    for (uint32_t i = 0; i < l->lane_count; i++) {
        int len = snprintf(NULL, 0, "client %u", l->lane_process[i]);

        if ((uint32_t)len > dr->margin)
            dr->margin = (uint32_t)len;
    }
    for (uint32_t i = 0; i < l->bar_count; i++) {
        context |= !l->bars[i].firm;
        open |= l->bars[i].open;
    }
    dr->x = arena_alloc(&dr->arena, (l->column_count + 1) * sizeof(*dr->x));
    uint32_t room = TEXT_WIDTH - dr->margin - 3, width;
    dr->described = true;
    if ((width = place_columns(dr)) > room) {
        dr->described = false;
        width = place_columns(dr);
    }
    buf_puts(dr->out, "Timeline: order of events, left to right, not to scale; "
                      "[==] contradicts");
    buf_printf(dr->out, "%s%s\n", context ? ", [--] is context" : "",
               open ? ", > was never answered" : "");
    if (width <= room)
        draw_lanes(dr, width);
    else
        draw_stairs(dr);
    buf_puts(dr->out, "\n");
}

/* ---- the rest ---- */

static void
put_calls(const struct drawing *dr)
{
    const struct decision *d = &dr->r->decision;
    const struct calls *c = dr->c;

    for (uint32_t i = 0; i < dr->layout.bar_count; i++) {
        uint32_t call = d->core[i];
        char words[512], first[96], lines[40];

        if (c->end_line[call] != 0)
            snprintf(lines, sizeof(lines), "lines %u-%u", c->line[call],
                     c->end_line[call]);
        else
            snprintf(lines, sizeof(lines), "line %u", c->line[call]);
        snprintf(first, sizeof(first), "  #%-3u %-18s client %-6u ", i + 1,
                 lines, c->process[call]);
        call_words(c, call, words, sizeof(words));
        if (!words_firm(d, i)) {
            size_t len = strlen(words);

            snprintf(words + len, sizeof(words) - len, "   (context)");
        }
        put_wrapped(dr->out, first, (uint32_t)strlen(first), words);
    }
    if (d->core_count > dr->layout.bar_count)
        buf_printf(dr->out, "  ... and %u more\n",
                   d->core_count - dr->layout.bar_count);
    buf_puts(dr->out, "\n");
}

static void
put_edges(const struct drawing *dr)
{
    const struct decision *d = &dr->r->decision;

    if (d->edge_count == 0)
        return;
    buf_puts(dr->out, "Because\n");
    for (uint32_t i = 0; i < d->edge_count && i < TEXT_EDGES_MAX; i++) {
        const struct edge *e = &d->edges[i];
        char first[80];

        int len = snprintf(first, sizeof(first), "  #%u -> #%u",
                           words_number(d, e->from), words_number(d, e->to));
        snprintf(first + len, sizeof(first) - (size_t)len, "%*s%-12s  ",
                 len < 14 ? 14 - len : 1, "", edge_kind_name(e->kind));
        put_wrapped(dr->out, first, (uint32_t)strlen(first), e->text);
    }
    if (d->edge_count > TEXT_EDGES_MAX)
        buf_printf(dr->out, "  ... and %u more\n",
                   d->edge_count - TEXT_EDGES_MAX);
    buf_puts(dr->out, "\n");
}

static const char *
choice_words(const struct choice *ch)
{
    if (ch->with == VERDICT_INVALID && ch->without == VERDICT_INVALID)
        return "refuted whether or not it took effect";
    if (ch->with == VERDICT_INVALID)
        return "refuted if it took effect; the other choice was not decided";
    if (ch->without == VERDICT_INVALID)
        return "refuted if it did not take effect; the other choice was not "
               "decided";
    return "not decided by itself";
}

static void
put_choices(const struct drawing *dr)
{
    const struct decision *d = &dr->r->decision;
    struct choice choices[CHOICES_MAX];
    uint32_t total, n = words_choices(&dr->r->problem, d, choices, &total);

    if (n == 0)
        return;
    buf_puts(dr->out, "Calls without an answer\n");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t call = choices[i].call, number = words_number(d, call);
        char words[160], first[256];

        call_words(dr->c, call, words, sizeof(words));
        if (number > 0)
            snprintf(first, sizeof(first), "  #%u %s: ", number, words);
        else
            snprintf(first, sizeof(first),
                     "  line %u, client %u, %s: ", dr->c->line[call],
                     dr->c->process[call], words);
        put_wrapped(dr->out, first, 4, choice_words(&choices[i]));
    }
    if (total > n)
        buf_printf(dr->out,
                   "  and %u more; the core is refuted whatever each of the %u "
                   "did\n",
                   total - n, total);
    buf_puts(dr->out, "\n");
}

static void
put_invalid(struct drawing *dr)
{
    const struct check_result *r = dr->r;
    const struct decision *d = &r->decision;
    struct buf size;

    layout_make(dr->c, d, TEXT_CALLS_MAX, &dr->arena, &dr->layout);
    put_wrapped(dr->out, "INVALID  ", 9, d->headline);
    buf_puts(dr->out, "\n");
    if (d->core_count > 0) {
        buf_init(&size, 512);
        words_size(&r->problem, d, &size);
        /* Answers that differ contradict each other, not the rest. */
        if (dr->c->contradiction == NULL) {
            put_wrapped(dr->out, "", 0, buf_text(&size));
            buf_puts(dr->out, "\n");
        }
        buf_release(&size);
        draw_timeline(dr);
        put_calls(dr);
        put_edges(dr);
        put_choices(dr);
    }
}

static void
put_unknown(const struct drawing *dr)
{
    const struct decision *d = &dr->r->decision;

    put_wrapped(dr->out, "UNKNOWN  ", 9, d->reason);
    buf_printf(dr->out,
               "\nThe first %u calls are explained; %u calls without an answer "
               "are undecided there.\n",
               d->decided_prefix, d->open_count);
}

static void
put_engines(const struct drawing *dr)
{
    const struct check_result *r = dr->r;
    char text[512];

    snprintf(text, sizeof(text),
             "model %s, %u calls in %u %s (%u invalid, %u unknown); decided by "
             "%s%s%s; %.3f s",
             dr->c->model->name, dr->c->count, r->parts.count,
             r->parts.count == 1 ? "part" : "parts", r->invalid_parts,
             r->unknown_parts,
             r->decision.engine == NULL ? "nobody" : r->decision.engine,
             r->confirmed && r->confirmed_by != NULL ? ", confirmed by " : "",
             r->confirmed && r->confirmed_by != NULL ? r->confirmed_by : "",
             (double)r->elapsed_ns / 1e9);
    put_wrapped(dr->out, "", 0, text);
}

void
explain_text(const struct calls *c, const struct check_result *r,
             struct buf *out)
{
    struct drawing dr = {.c = c, .r = r, .out = out};

    arena_init(&dr.arena);
    switch (r->verdict) {
    case VERDICT_VALID:
        if (c->model->step != NULL || r->order != NULL)
            buf_puts(out, "VALID  every answer is explained by one order of "
                          "the calls\n\n");
        else
            buf_printf(out,
                       "VALID  nothing that '%s' excludes follows from what "
                       "was seen\n\n",
                       c->model->name);
        break;
    case VERDICT_UNKNOWN:
        put_unknown(&dr);
        break;
    case VERDICT_INVALID:
        put_invalid(&dr);
        break;
    }
    put_engines(&dr);
    arena_release(&dr.arena);
}
