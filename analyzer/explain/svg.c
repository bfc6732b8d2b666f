/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drawings of the page.  What a call is, is told three times: by the shape
 * (contradicts: square and solid; context: round and hatched; never answered:
 * an arrow to the right), by words and by colour.  Every bar is a link to its
 * row in the table, so the keyboard reaches it, and has a title.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/html.h"
#include "analyzer/explain/words.h"

#define LANE_HEIGHT 40u
#define BAR_HEIGHT 26u
#define LABEL_WIDTH 116u
#define PLACES_WIDTH 874u
#define CHAR_WIDTH 7.3 /* of the 12 px monospace that the style sets */
#define BAR_CHARS_MAX 30u
/* Fewer characters than this are no words. */
#define BAR_CHARS_CUT 12u
#define OVERVIEW_BINS 240u
#define OVERVIEW_HEIGHT 56u

struct drawn {
    uint32_t call, number; /* 0: not of the core */
    double left, right;
    uint32_t lane;
    bool open, firm;
};

static void
svg_begin(struct page *page, double width, uint32_t lanes, const char *label)
{
    buf_printf(page->out,
               "<div class=\"scroll\"><svg role=\"group\" aria-label=\"%s\" "
               "width=\"%.0f\" height=\"%u\" viewBox=\"0 0 %.0f %u\">\n",
               label, width, lanes * LANE_HEIGHT + 34, width,
               lanes * LANE_HEIGHT + 34);
}

static void
svg_lanes(struct page *page, double width, const uint32_t *process,
          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t y = 12 + i * LANE_HEIGHT;

        if (i % 2 == 0)
            buf_printf(page->out,
                       "<rect class=\"lane\" x=\"0\" y=\"%u\" width=\"%.0f\" "
                       "height=\"%u\"/>",
                       y, width, LANE_HEIGHT);
        buf_printf(page->out,
                   "<text class=\"who\" x=\"8\" y=\"%u\">client %u</text>\n",
                   y + LANE_HEIGHT / 2 + 4, process[i]);
    }
}

/* The words inside a bar, as many as fit. */
static void
bar_label(struct page *page, const struct drawn *b, double y)
{
    char text[PAGE_WORDS_MAX];
    struct buf words;
    double room = (b->right - b->left - 12) / CHAR_WIDTH;
    size_t fits = room < 0 ? 0 : (size_t)room;

    buf_init(&words, PAGE_WORDS_MAX - 16);
    model_describe(page->c, b->call, &words);
    int len =
        snprintf(text, sizeof(text), "#%u %s", b->number, buf_text(&words));
    buf_release(&words);
    if ((size_t)len > fits && fits >= BAR_CHARS_CUT) {
        len = (int)fits - 1;
        /* Not in the middle of a character. */
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
        snprintf(text + len, sizeof(text) - (size_t)len, "\xe2\x80\xa6");
        len = (int)fits;
    } else if ((size_t)len > fits) {
        len = snprintf(text, sizeof(text), "#%u", b->number);
    }
    if ((size_t)len > fits)
        buf_printf(page->out,
                   "<text class=\"tag\" text-anchor=\"middle\" x=\"%.1f\" "
                   "y=\"%.1f\">",
                   (b->left + b->right) / 2, y - 3);
    else
        buf_printf(page->out, "<text x=\"%.1f\" y=\"%.1f\">", b->left + 8,
                   y + BAR_HEIGHT / 2.0 + 4.5);
    page_text(page, text);
    buf_puts(page->out, "</text>");
}

/* The outline: an open call's right end is a point. */
static void
bar_shape(struct page *page, const struct drawn *b, double y)
{
    double l = b->left, r = b->right, h = BAR_HEIGHT;

    if (b->open)
        buf_printf(page->out,
                   "<path d=\"M%.1f %.1fH%.1fL%.1f %.1fL%.1f %.1fH%.1fZ\"/>", l,
                   y, r - 10, r, y + h / 2, r - 10, y + h, l);
    else
        buf_printf(page->out,
                   "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" "
                   "rx=\"%u\"/>",
                   l, y, r - l, h, b->firm ? 1u : 9u);
    if (b->number != 0 && b->firm)
        buf_printf(page->out,
                   "<rect class=\"edge\" x=\"%.1f\" y=\"%.1f\" width=\"4\" "
                   "height=\"%.0f\"/>",
                   l, y, h);
}

static void
draw_bar(struct page *page, const struct drawn *b)
{
    double y = 12 + b->lane * LANE_HEIGHT + (LANE_HEIGHT - BAR_HEIGHT) / 2.0;

    if (b->number == 0) {
        buf_printf(page->out, "<g class=\"other%s\"><title>",
                   b->open ? " open" : "");
    } else {
        buf_printf(page->out,
                   "<a class=\"bar %s%s\" href=\"#call-%u\" "
                   "aria-label=\"number %u, ",
                   b->firm ? "firm" : "context", b->open ? " open" : "",
                   b->number, b->number);
        page_call_words(page, b->call);
        buf_printf(page->out, ", client %u, ", page->c->process[b->call]);
        page_lines(page, b->call);
        buf_printf(page->out, ", %s\"><title>#%u ",
                   b->firm ? "contradicts" : "context", b->number);
    }
    page_call_words(page, b->call);
    buf_printf(page->out, "\nclient %u, ", page->c->process[b->call]);
    page_lines(page, b->call);
    buf_puts(page->out, "</title>");
    bar_shape(page, b, y);
    bar_label(page, b, y);
    buf_printf(page->out, "</%s>\n", b->number == 0 ? "g" : "a");
}

static double
label_width(struct page *page, uint32_t call, uint32_t chars)
{
    struct buf words;

    buf_init(&words, chars);
    model_describe(page->c, call, &words);
    double width = (double)(words.len + 5) * CHAR_WIDTH + 24;
    buf_release(&words);
    return width;
}

/* ---- edges ---- */

static const struct drawn *
drawn_of(const struct drawn *bars, uint32_t count, uint32_t call)
{
    for (uint32_t i = 0; i < count; i++)
        if (bars[i].call == call)
            return &bars[i];
    return NULL;
}

/* Who came before in real time is seen from where the bars are; the other
 * reasons are drawn. */
static void
draw_edges(struct page *page, const struct drawn *bars, uint32_t count)
{
    const struct decision *d = &page->r->decision;

    for (uint32_t i = 0; i < d->edge_count; i++) {
        const struct edge *e = &d->edges[i];
        const struct drawn *a = drawn_of(bars, count, e->from);
        const struct drawn *b = drawn_of(bars, count, e->to);

        if (e->kind == EDGE_REAL_TIME || a == NULL || b == NULL)
            continue;
        double y1 = 12 + a->lane * LANE_HEIGHT + LANE_HEIGHT / 2.0;
        double y2 = 12 + b->lane * LANE_HEIGHT + LANE_HEIGHT / 2.0;
        double x1 = (a->open ? a->left + 30 : (a->left + a->right) / 2);
        double x2 = (b->left + b->right) / 2, half = BAR_HEIGHT / 2.0;
        double down = y2 > y1 ? 1 : -1;
        double from = y1 + (y1 == y2 ? -half : down * half);
        double to = y2 - (y1 == y2 ? half : down * half);
        double lift = y1 == y2 ? -24 : (to - from) / 2;

        buf_printf(page->out,
                   "<path class=\"why\" marker-end=\"url(#tip)\" "
                   "d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\"><title>",
                   x1, from, x1, from + lift, x2,
                   y1 == y2 ? to + lift : to - lift, x2, to);
        page_text(page, edge_kind_name(e->kind));
        buf_puts(page->out, ": ");
        page_text(page, e->text == NULL ? "" : e->text);
        buf_puts(page->out, "</title></path>\n");
    }
}

static void
draw_core(struct page *page, struct drawn *bars, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        draw_bar(page, &bars[i]);
    draw_edges(page, bars, count);
}

static void
axis_text(struct page *page, double width, uint32_t lanes, const char *left,
          const char *right)
{
    uint32_t y = lanes * LANE_HEIGHT + 28;

    buf_printf(page->out, "<text class=\"axis\" x=\"%u\" y=\"%u\">%s</text>",
               LABEL_WIDTH, y, left);
    buf_printf(page->out,
               "<text class=\"axis\" text-anchor=\"end\" x=\"%.0f\" "
               "y=\"%u\">%s</text>\n",
               width - 8, y, right);
}

/* ---- the views of the core ---- */

static void
bar_init(const struct page *page, uint32_t i, struct drawn *ret)
{
    const struct bar *b = &page->layout.bars[i];

    *ret = (struct drawn){.call = b->call,
                          .number = i + 1,
                          .lane = b->lane,
                          .open = b->open,
                          .firm = b->firm};
}

/* Columns as near to each other as words of so many characters allow; the
 * right end. */
static double
logical_columns(struct page *page, uint32_t chars, double *x)
{
    const struct layout *l = &page->layout;
    double right = 0;

    for (uint32_t e = 0; e < l->column_count; e++) {
        x[e] = e == 0 ? LABEL_WIDTH : x[e - 1] + 14;
        for (uint32_t i = 0; i < l->bar_count; i++) {
            const struct bar *b = &l->bars[i];

            if (b->open || b->to != e)
                continue;
            double end = x[b->from] + label_width(page, b->call, chars);
            if (end > x[e])
                x[e] = end;
        }
        right = x[e];
    }
    for (uint32_t i = 0; i < l->bar_count; i++) {
        const struct bar *b = &l->bars[i];
        double end = x[b->from] + label_width(page, b->call, chars) + 20;

        if (b->open && end > right)
            right = end;
    }
    return right;
}

void
svg_logical(struct page *page)
{
    const struct layout *l = &page->layout;
    double *x = arena_alloc(&page->arena, (l->column_count + 1) * sizeof(*x));
    struct drawn *bars =
        arena_alloc(&page->arena, (l->bar_count + 1) * sizeof(*bars));
    uint32_t chars = BAR_CHARS_MAX;
    double right = logical_columns(page, chars, x);

    /* Rather fewer words than a timeline that has to be scrolled. */
    while (right + 34 > LABEL_WIDTH + PLACES_WIDTH && chars > BAR_CHARS_CUT) {
        chars -= 4;
        right = logical_columns(page, chars, x);
    }
    double width = right + 34;
    if (width < LABEL_WIDTH + PLACES_WIDTH)
        width = LABEL_WIDTH + PLACES_WIDTH;
    for (uint32_t i = 0; i < l->bar_count; i++) {
        const struct bar *b = &l->bars[i];

        bar_init(page, i, &bars[i]);
        bars[i].left = x[b->from];
        bars[i].right = b->open ? width - 8 : x[b->to];
    }
    svg_begin(page, width, l->lane_count, "the core, in the order of events");
    svg_lanes(page, width, l->lane_process, l->lane_count);
    draw_core(page, bars, l->bar_count);
    axis_text(page, width, l->lane_count, "earlier", "later &#8594;");
    buf_puts(page->out, "</svg></div>\n");
}

/* From the core's first event to its last, to scale. */
static double
place_of(const struct layout *l, uint32_t rank)
{
    uint32_t first = l->column_rank[0];
    uint32_t last = l->column_rank[l->column_count - 1];
    double span = last == first ? 1 : (double)last - first;

    return LABEL_WIDTH + 12 + (rank - first) / span * (PLACES_WIDTH - 60);
}

void
svg_places(struct page *page)
{
    const struct layout *l = &page->layout;
    const struct calls *c = page->c;
    struct drawn *bars =
        arena_alloc(&page->arena, (l->bar_count + 1) * sizeof(*bars));
    double width = LABEL_WIDTH + PLACES_WIDTH;
    char left[48], right[48];

    for (uint32_t i = 0; i < l->bar_count; i++) {
        const struct bar *b = &l->bars[i];

        bar_init(page, i, &bars[i]);
        bars[i].left = place_of(l, c->invoke[b->call]);
        bars[i].right = b->open ? width - 6 : place_of(l, c->complete[b->call]);
        if (bars[i].right < bars[i].left + 6)
            bars[i].right = bars[i].left + 6;
    }
    snprintf(left, sizeof(left), "event %u", l->column_rank[0]);
    snprintf(right, sizeof(right), "event %u",
             l->column_rank[l->column_count - 1]);
    svg_begin(page, width, l->lane_count, "the core, to scale");
    svg_lanes(page, width, l->lane_process, l->lane_count);
    draw_core(page, bars, l->bar_count);
    axis_text(page, width, l->lane_count, left, right);
    buf_puts(page->out, "</svg></div>\n");
}

/* ---- the calls around it ---- */

struct around {
    struct drawn *bars;
    uint32_t count, first, last; /* ranks */
    uint32_t *lane_process;
    uint32_t *busy; /* rank until which a lane is */
    uint32_t lane_count, left_out;
};

static void
around_add(struct page *page, struct around *a, uint32_t call)
{
    const struct calls *c = page->c;
    uint32_t lane = 0, number = words_number(&page->r->decision, call);
    bool open = c->complete[call] == CALL_OPEN;

    while (lane < a->lane_count && (a->lane_process[lane] != c->process[call] ||
                                    a->busy[lane] > c->invoke[call]))
        lane++;
    if (lane == a->lane_count)
        a->lane_process[a->lane_count++] = c->process[call];
    a->busy[lane] = c->complete[call];
    a->bars[a->count++] = (struct drawn){
        .call = call,
        .number = number,
        .lane = lane,
        .open = open,
        .firm = number != 0 && words_firm(&page->r->decision, number - 1),
    };
}

/* The calls of the part that end at or after a->first and begin before
 * a->last, those nearest to the end when there are too many; all of the core
 * that is there. */
static void
around_take(struct page *page, struct around *a)
{
    const struct problem *p = &page->r->problem;
    const struct calls *c = page->c;
    uint32_t inside = 0, skip;

    for (int pass = 0; pass < 2; pass++) {
        skip = inside > PAGE_AROUND_MAX ? inside - PAGE_AROUND_MAX : 0;
        for (uint32_t i = 0; i < p->count; i++) {
            uint32_t call = problem_call(p, i);

            if (c->invoke[call] > a->last || c->complete[call] < a->first)
                continue;
            if (pass == 0)
                inside++;
            else if (skip > 0 && words_number(&page->r->decision, call) == 0)
                skip--, a->left_out++;
            else if (a->count < PAGE_AROUND_MAX + PAGE_CALLS_MAX)
                around_add(page, a, call);
        }
    }
}

static double
around_x(const struct around *a, uint32_t rank)
{
    double span = a->last == a->first ? 1 : (double)a->last - a->first;

    if (rank < a->first)
        return LABEL_WIDTH;
    if (rank > a->last)
        return LABEL_WIDTH + PLACES_WIDTH - 4;
    return LABEL_WIDTH + 6 + (rank - a->first) / span * (PLACES_WIDTH - 20);
}

void
svg_around(struct page *page)
{
    const struct layout *l = &page->layout;
    uint32_t max = PAGE_AROUND_MAX + PAGE_CALLS_MAX;
    uint32_t end = l->column_rank[l->column_count - 1];
    uint32_t reach = 60; /* events before the last answer, and some after */
    struct around a = {.first = end > reach ? end - reach : 0,
                       .last = end + reach / 6};
    char left[48], right[48];

    a.bars = arena_alloc(&page->arena, max * sizeof(*a.bars));
    a.lane_process = arena_alloc(&page->arena, max * sizeof(uint32_t));
    a.busy = arena_alloc(&page->arena, max * sizeof(uint32_t));
    around_take(page, &a);
    for (uint32_t i = 0; i < a.count; i++) {
        struct drawn *b = &a.bars[i];

        b->left = around_x(&a, page->c->invoke[b->call]);
        b->right = around_x(&a, page->c->complete[b->call]);
        if (b->right < b->left + 6)
            b->right = b->left + 6;
    }
    double width = LABEL_WIDTH + PLACES_WIDTH;
    snprintf(left, sizeof(left), "event %u", a.first);
    snprintf(right, sizeof(right), "event %u", a.last);
    svg_begin(page, width, a.lane_count, "the core among the calls around it");
    svg_lanes(page, width, a.lane_process, a.lane_count);
    for (int core = 0; core < 2; core++)
        for (uint32_t i = 0; i < a.count; i++)
            if ((a.bars[i].number != 0) == core)
                draw_bar(page, &a.bars[i]);
    axis_text(page, width, a.lane_count, left, right);
    buf_puts(page->out, "</svg></div>\n");
    if (a.left_out > 0)
        buf_printf(page->out,
                   "<p class=\"note\">%u more calls of this stretch "
                   "are not drawn.</p>\n",
                   a.left_out);
}

/* ---- the whole history ---- */

/* Calls under way, and calls never answered, at each place. */
static void
overview_count(const struct calls *c, uint32_t *under_way, uint32_t *open)
{
    double scale = (double)OVERVIEW_BINS / (c->rank_count + 1.0);

    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t from = (uint32_t)(c->invoke[i] * scale);

        if (c->complete[i] == CALL_OPEN) {
            open[from]++;
            continue;
        }
        under_way[from]++;
        under_way[(uint32_t)(c->complete[i] * scale) + 1]--;
    }
    for (uint32_t i = 1; i < OVERVIEW_BINS; i++) {
        under_way[i] += under_way[i - 1];
        open[i] += open[i - 1];
    }
}

static void
overview_area(struct page *page, const char *class, const uint32_t *below,
              const uint32_t *above, uint32_t most)
{
    double w = (double)(LABEL_WIDTH + PLACES_WIDTH) / OVERVIEW_BINS;

    buf_printf(page->out, "<path class=\"%s\" d=\"M0 %u", class,
               OVERVIEW_HEIGHT);
    for (uint32_t i = 0; i < OVERVIEW_BINS; i++) {
        uint32_t n = below[i] + (above == NULL ? 0 : above[i]);

        buf_printf(page->out, "L%.0f %.1f", i * w,
                   OVERVIEW_HEIGHT - (double)n / most * (OVERVIEW_HEIGHT - 8));
    }
    buf_printf(page->out, "V%uZ\"/>\n", OVERVIEW_HEIGHT);
}

void
svg_overview(struct page *page)
{
    const struct calls *c = page->c;
    const struct layout *l = &page->layout;
    uint32_t *under_way =
        arena_alloc(&page->arena, (OVERVIEW_BINS + 2) * sizeof(*under_way));
    uint32_t *open =
        arena_alloc(&page->arena, (OVERVIEW_BINS + 2) * sizeof(*open));
    double width = LABEL_WIDTH + PLACES_WIDTH;
    double scale = width / (c->rank_count + 1.0);
    uint32_t most = 1;

    overview_count(c, under_way, open);
    for (uint32_t i = 0; i < OVERVIEW_BINS; i++)
        if (under_way[i] + open[i] > most)
            most = under_way[i] + open[i];
    buf_printf(page->out,
               "<div class=\"scroll\"><svg role=\"img\" aria-label=\"the whole "
               "history: calls under way at each place, at most %u\" "
               "width=\"%.0f\" height=\"%u\" viewBox=\"0 0 %.0f %u\">\n",
               most, width, OVERVIEW_HEIGHT + 22, width, OVERVIEW_HEIGHT + 22);
    overview_area(page, "flow", open, under_way, most);
    overview_area(page, "stuck", open, NULL, most);
    for (uint32_t i = 0; i < l->bar_count; i++) {
        uint32_t call = l->bars[i].call;
        double x = c->invoke[call] * scale;
        double to = l->bars[i].open ? x : c->complete[call] * scale;

        buf_printf(page->out,
                   "<rect class=\"mark %s\" x=\"%.1f\" y=\"%u\" "
                   "width=\"%.1f\" height=\"%u\"><title>#%u</title></rect>\n",
                   l->bars[i].firm ? "firm" : "context", x - 1.5,
                   l->bars[i].firm ? 0 : OVERVIEW_HEIGHT / 2, to - x + 3,
                   l->bars[i].firm ? OVERVIEW_HEIGHT + 6
                                   : OVERVIEW_HEIGHT / 2 + 6,
                   i + 1);
    }
    buf_printf(page->out,
               "<text class=\"axis\" x=\"0\" y=\"%u\">event 0</text>"
               "<text class=\"axis\" text-anchor=\"end\" x=\"%.0f\" "
               "y=\"%u\">event %u</text></svg></div>\n",
               OVERVIEW_HEIGHT + 18, width, OVERVIEW_HEIGHT + 18,
               c->rank_count);
}
