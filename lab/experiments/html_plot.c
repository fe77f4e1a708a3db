/* Plots of the report: what an experiment measured, one line for each mechanism. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "html.h"

enum { WIDTH = 760, HEIGHT = 380, LEFT = 74, RIGHT = 20, TOP = 18, BOTTOM = 58, POINTS = 6 };

struct axis {
    const char *experiment, *title, *says;
    const char *x, *y, *x_unit, *y_unit;
    const char *value[POINTS];
    double at[POINTS];
};

static const struct axis plots[] = {
    { "clipping",
      "Clipping over the round-trip time",
      "What the caller never hears of the answerer's first words, with an idle SIP server.",
      "round-trip time in ms",
      "lost in ms",
      "ms",
      "ms",
      { "rtt 20", "rtt 50", "rtt 100", "rtt 200", "rtt 300", "rtt 400" },
      { 20, 50, 100, 200, 300, 400 } },
    { "offer-cost",
      "Cost of an offer over the number of suites",
      "Signatures, verifications, key generations, agreements and handshakes begun for one offer.",
      "suites on offer",
      "public-key operations",
      "suites",
      "operations",
      { "1 suite", "2 suites", "3 suites", "4 suites" },
      { 1, 2, 3, 4 } },
    { "set-up-time",
      "Set-up time over loss",
      "From dialling until both phones have keys, the mean of 20 calls at each point.",
      "datagrams lost in %",
      "set-up time in ms",
      "%",
      "ms",
      { "loss 0 %", "loss 5 %", "loss 10 %", "loss 20 %" },
      { 0, 5, 10, 20 } },
};

/* Mechanisms with the same values are one line. */
struct series {
    double v[POINTS]; /* below zero: not measured */
    char names[LAB_METHODS * 16];
    unsigned style; /* that of its first mechanism, in every plot */
};

struct plot {
    const struct axis *axis;
    unsigned points, n;
    double x0, x1, top, step;
    struct series series[LAB_METHODS];
};

/* Told apart by colour, by mark and by dashes, on light and on dark: where the colours begin again,
 * marks and dashes are others. */
static const char *const colour[] = { "#0f7bbd", "#d1570b", "#0a9468", "#b85a94",
                                      "#b08500", "#7a62cc", "#c23b3b", "#5f7d00",
                                      "#008c99", "#9a5b33", "#7d8791", "#4c6fd6" };
static const char *const dashes[] = { "", "7 4", "2 3" };
enum { COLOURS = sizeof colour / sizeof *colour, DASHES = sizeof dashes / sizeof *dashes };

static void line_style(unsigned i, struct cph_buf *out)
{
    const char *dash = dashes[(i / 4 + i / COLOURS) % DASHES];

    html_put(out, " fill=\"none\" stroke=\"%s\" stroke-width=\"2.2\"", colour[i % COLOURS]);
    if (dash[0])
        html_put(out, " stroke-dasharray=\"%s\"", dash);
}

static void mark(unsigned i, double x, double y, struct cph_buf *out)
{
    const char *c = colour[i % COLOURS];

    switch ((i + i / COLOURS) % 4) {
    case 0:
        html_put(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>", x, y, c);
        break;
    case 1:
        html_put(out, "<path d=\"M%.1f %.1fh8v8h-8z\" fill=\"%s\"/>", x - 4, y - 4, c);
        break;
    case 2:
        html_put(out, "<path d=\"M%.1f %.1fl5 9h-10z\" fill=\"%s\"/>", x, y - 5, c);
        break;
    default:
        html_put(out, "<path d=\"M%.1f %.1fl5 5l-5 5l-5 -5z\" fill=\"%s\"/>", x, y - 5, c);
        break;
    }
}

/* ---- what to draw ---------------------------------------------------------------------------- */

static bool same(const struct plot *p, const double *a, const double *b)
{
    for (unsigned i = 0; i < p->points; i++)
        if (a[i] < b[i] || a[i] > b[i])
            return false;
    return true;
}

static void add(struct plot *p, unsigned keying, const char *name, const double v[POINTS])
{
    unsigned i = 0;
    size_t n;

    while (i < p->n && !same(p, p->series[i].v, v))
        i++;
    n = strlen(p->series[i].names);
    (void)snprintf(p->series[i].names + n, sizeof p->series[i].names - n, "%s%s", n ? ", " : "",
                   name);
    if (i < p->n)
        return;
    p->series[i].style = keying;
    memcpy(p->series[p->n++].v, v, sizeof p->series[i].v);
    for (unsigned k = 0; k < p->points; k++)
        p->top = v[k] > p->top ? v[k] : p->top;
}

/* The axis ends at a round number, with four to eight steps below it. */
static void round_axis(struct plot *p)
{
    double magnitude = pow(10, floor(log10(p->top / 4)));
    static const double step[] = { 1, 2, 2.5, 5, 10 };

    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        p->step = step[i] * magnitude;
        if (p->top / p->step <= 7)
            break;
    }
    if (p->step < 1)
        p->step = 1;                                  /* nothing here has fractions worth a line */
    p->top = ceil(p->top * 1.03 / p->step) * p->step; /* no line on the upper edge */
}

static void gather(const struct lab_results *r, const struct axis *axis, struct plot *p)
{
    *p = (struct plot){ .axis = axis, .top = 1 };
    while (p->points < POINTS && axis->value[p->points])
        p->points++;
    p->x0 = axis->at[0];
    p->x1 = axis->at[p->points - 1];
    for (unsigned k = 0; k < r->keyings; k++) {
        const struct lab_outcome *o = lab_results_of(r, axis->experiment, k);
        double v[POINTS] = { 0 };
        bool any = false;

        for (unsigned i = 0; o && i < p->points; i++) {
            v[i] = lab_value_of(o, axis->value[i]);
            any |= v[i] >= 0;
        }
        if (any)
            add(p, k, r->keying[k], v);
    }
    round_axis(p);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static double x_of(const struct plot *p, unsigned i)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (p->axis->at[i] - p->x0) / (p->x1 - p->x0);
}

static double y_of(const struct plot *p, double v)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / p->top);
}

static void frame(const struct plot *p, struct cph_buf *out)
{
    double foot = y_of(p, 0);

    for (long i = 0; i <= lround(p->top / p->step); i++) {
        double v = (double)i * p->step;

        html_put(out,
                 "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                 "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                 v > 0 ? "grid" : "axis", LEFT, WIDTH - RIGHT, y_of(p, v), y_of(p, v), LEFT - 8,
                 y_of(p, v) + 4, v);
    }
    for (unsigned i = 0; i < p->points; i++)
        html_put(out,
                 "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                 "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n",
                 x_of(p, i), x_of(p, i), foot, foot + 5, x_of(p, i), foot + 20, p->axis->at[i]);
    html_put(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>",
             LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 12, p->axis->x);
    html_put(out,
             "<text x=\"18\" y=\"%d\" transform=\"rotate(-90 18 %d)\" "
             "text-anchor=\"middle\">%s</text>\n",
             TOP + (HEIGHT - TOP - BOTTOM) / 2, TOP + (HEIGHT - TOP - BOTTOM) / 2, p->axis->y);
}

static void curve(const struct plot *p, unsigned s, struct cph_buf *out)
{
    const double *v = p->series[s].v;
    unsigned style = p->series[s].style;

    html_put(out, "<polyline points=\"");
    for (unsigned i = 0; i < p->points; i++)
        if (v[i] >= 0)
            html_put(out, "%.1f,%.1f ", x_of(p, i), y_of(p, v[i]));
    html_put(out, "\"");
    line_style(style, out);
    html_put(out, "/>");
    for (unsigned i = 0; i < p->points; i++)
        if (v[i] >= 0)
            mark(style, x_of(p, i), y_of(p, v[i]), out);
    html_put(out, "\n");
}

static void legend(const struct plot *p, struct cph_buf *out)
{
    html_put(out, "<ul class=\"legend\">\n");
    for (unsigned s = 0; s < p->n; s++) {
        html_put(out, "<li><svg viewBox=\"0 0 44 16\" aria-hidden=\"true\"><path d=\"M2 8h40\"");
        line_style(p->series[s].style, out);
        html_put(out, "/>");
        mark(p->series[s].style, 22, 8, out);
        html_put(out, "</svg>%s</li>\n", p->series[s].names);
    }
    html_put(out, "</ul>\n");
}

/* The same as figures, for who cannot see lines. */
static void figures(const struct plot *p, struct cph_buf *out)
{
    html_put(out,
             "<details><summary>Figures</summary><div class=\"scroll\" tabindex=\"0\" "
             "role=\"region\" aria-label=\"%s, figures\"><table><thead><tr><th scope=\"col\">"
             "mechanism</th>",
             p->axis->title);
    for (unsigned i = 0; i < p->points; i++)
        html_put(out, "<th scope=\"col\" class=\"num\">%g %s</th>", p->axis->at[i],
                 p->axis->x_unit);
    html_put(out, "</tr></thead><tbody>\n");
    for (unsigned s = 0; s < p->n; s++) {
        html_put(out, "<tr><th scope=\"row\">%s</th>", p->series[s].names);
        for (unsigned i = 0; i < p->points; i++)
            if (p->series[s].v[i] < 0)
                html_put(out, "<td class=\"num\">no keys</td>");
            else
                html_put(out, "<td class=\"num\">%.0f %s</td>", p->series[s].v[i], p->axis->y_unit);
        html_put(out, "</tr>\n");
    }
    html_put(out, "</tbody></table></div></details>\n");
}

static void plot(const struct lab_results *r, unsigned id, struct cph_buf *out)
{
    struct plot p;

    gather(r, &plots[id], &p);
    html_put(out,
             "<figure><figcaption>%s</figcaption><p class=\"soft\">%s Mechanisms that measure the "
             "same share a line.</p>\n<div class=\"chart\" tabindex=\"0\" role=\"group\" "
             "aria-label=\"%s\"><svg role=\"img\" aria-labelledby=\"p%ut p%ud\" viewBox=\"0 0 %d "
             "%d\"><title id=\"p%ut\">%s</title><desc id=\"p%ud\">%s over %s, from %g to %g.",
             p.axis->title, p.axis->says, p.axis->title, id, id, WIDTH, HEIGHT, id, p.axis->title,
             id, p.axis->y, p.axis->x, p.x0, p.x1);
    for (unsigned s = 0; s < p.n; s++)
        html_put(out, " %s: %.0f to %.0f.", p.series[s].names, p.series[s].v[0],
                 p.series[s].v[p.points - 1]);
    html_put(out, "</desc>\n");
    frame(&p, out);
    for (unsigned s = 0; s < p.n; s++)
        curve(&p, s, out);
    html_put(out, "</svg></div>\n");
    legend(&p, out);
    figures(&p, out);
    html_put(out, "</figure>\n");
}

void html_plots(const struct lab_results *r, struct cph_buf *out)
{
    html_put(out, "<div class=\"plots\">\n");
    for (unsigned i = 0; i < sizeof plots / sizeof *plots; i++)
        plot(r, i, out);
    html_put(out, "</div>\n");
}
