/* Ladder diagrams of the report. */
#include <stdio.h>
#include <string.h>

#include "html.h"

enum {
    TIMES = 92,   /* width of the column of times */
    FIRST = 150,  /* the first host */
    COLUMN = 215, /* from host to host: the longest label fits between */
    MARGIN = 70,  /* beyond the last host */
    TOP = 46,     /* the first arrow */
    ROW = 26,
    TIP = 8,
};

/* One arrow: packets one way, or of one kind both ways. */
struct arrow {
    cph_time at;
    unsigned from, to, there, back;
    char text[72];
    bool lost, flows;
};

static bool joins(const struct arrow *a, const struct lab_step *s)
{
    bool same = a->from == s->from && a->to == s->to;
    bool back = a->from == s->to && a->to == s->from;

    return strcmp(a->text, s->text) == 0 && (same || (back && s->flows));
}

/* Media both ways is one arrow, however its packets alternate. */
static size_t arrows(const struct lab_ladder *l, struct arrow out[LAB_LADDER])
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct lab_step *s = &l->step[i];
        size_t k = n;

        if (s->from >= l->hosts || s->to >= l->hosts)
            continue;
        while (k > 0 && s->flows && out[k - 1].flows && !joins(&out[k - 1], s))
            k--;
        if (k > 0 && joins(&out[k - 1], s)) {
            if (out[k - 1].from == s->from)
                out[k - 1].there += s->n;
            else
                out[k - 1].back += s->n;
            continue;
        }
        out[n] = (struct arrow){
            .at = s->at, .from = s->from, .to = s->to, .there = s->n, .flows = s->flows
        };
        memcpy(out[n].text, s->text, sizeof out[n].text);
        out[n].lost = strlen(s->text) > 2 && strcmp(s->text + strlen(s->text) - 2, " x") == 0;
        n++;
    }
    return n;
}

static const char *class_of(const struct arrow *a)
{
    if (a->lost)
        return "lost";
    if (a->flows)
        return "media";
    return strncmp(a->text, "DTLS", 4) == 0 || strncmp(a->text, "ZRTP", 4) == 0 ? "keying" : "sip";
}

static void label(const struct arrow *a, struct cph_buf *out)
{
    size_t n = strlen(a->text) - (a->lost ? 2 : 0);
    char part[72], text[HTML_TEXT];

    (void)snprintf(part, sizeof part, "%.*s", (int)n, a->text);
    html_put(out, "%s", html_text(part, text));
    if (a->back)
        html_put(out, ", both ways \u00d7%u", a->there + a->back);
    else if (a->there > 1)
        html_put(out, " \u00d7%u", a->there);
    if (a->lost)
        html_put(out, ", taken away");
}

static void draw(const struct arrow *a, unsigned y, struct cph_buf *out)
{
    unsigned x1 = FIRST + a->from * COLUMN, x2 = FIRST + a->to * COLUMN;
    int way = x2 > x1 ? 1 : -1;

    html_put(out, "<text class=\"soft\" x=\"%d\" y=\"%u\" text-anchor=\"end\">%.0f ms</text>",
             TIMES, y + 4, (double)a->at / 1000);
    html_put(out, "<g class=\"%s\"><line x1=\"%u\" x2=\"%u\" y1=\"%u\" y2=\"%u\"%s/>", class_of(a),
             x1, x2, y, y, a->lost ? " stroke-dasharray=\"5 4\"" : "");
    html_put(out, "<path d=\"M%u %ul%d -4v8z\"/>", x2, y, -way * TIP);
    if (a->back)
        html_put(out, "<path d=\"M%u %ul%d -4v8z\"/>", x1, y, way * TIP);
    html_put(out, "</g><text class=\"halo\" x=\"%u\" y=\"%u\" text-anchor=\"middle\">",
             (x1 + x2) / 2, y - 4);
    label(a, out);
    html_put(out, "</text>\n");
}

void html_ladder(const struct lab_ladder *l, const char *keying, unsigned id, struct cph_buf *out)
{
    struct arrow a[LAB_LADDER];
    size_t n = arrows(l, a);
    unsigned width, height = TOP + (unsigned)n * ROW + 10;
    char title[HTML_TEXT];

    if (n == 0 || l->hosts == 0)
        return;
    width = FIRST + (l->hosts - 1) * COLUMN + MARGIN;
    html_put(out,
             "<figure><figcaption>%s <small>%s</small></figcaption><div class=\"ladder\" "
             "tabindex=\"0\" role=\"group\" aria-label=\"messages, %s\">\n",
             html_text(l->title, title), keying, keying);
    html_put(out,
             "<svg role=\"img\" aria-labelledby=\"l%ut l%ud\" viewBox=\"0 0 %u %u\" width=\"%u\" "
             "height=\"%u\"><title id=\"l%ut\">%s, %s</title><desc id=\"l%ud\">%zu steps, from top "
             "to bottom:",
             id, id, width, height, width, height, id, title, keying, id, n);
    for (size_t i = 0; i < n && i < 12; i++) {
        html_put(out, " %s to %s: ", l->host[a[i].from], l->host[a[i].to]);
        label(&a[i], out);
        html_put(out, "%s", i + 1 < n ? ";" : ".");
    }
    html_put(out, "</desc>\n");
    for (unsigned h = 0; h < l->hosts; h++)
        html_put(out,
                 "<line class=\"grid\" x1=\"%u\" x2=\"%u\" y1=\"26\" y2=\"%u\"/>"
                 "<text class=\"strong\" x=\"%u\" y=\"18\" text-anchor=\"middle\">%s</text>\n",
                 FIRST + h * COLUMN, FIRST + h * COLUMN, height - 4, FIRST + h * COLUMN,
                 l->host[h]);
    for (size_t i = 0; i < n; i++)
        draw(&a[i], TOP + (unsigned)i * ROW, out);
    html_put(out, "</svg></div></figure>\n");
}
