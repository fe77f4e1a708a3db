/* The report: tables, ladders and plots in one page, without scripts or anything from elsewhere. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "matrix.h"

enum { COLUMN = 170, ROW = 22, LEFT = 90, PLOT_W = 560, PLOT_H = 220, PLOT_L = 60, PLOT_B = 40 };

CPH_PRINTF(2, 3)
static void put(struct cph_buf *out, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof line)
        (void)!cph_buf_put(out, (struct cph_span){ (const uint8_t *)line, (size_t)n });
}

/* Text may quote what a peer sent. */
static const char *esc(const char *text, char out[600])
{
    size_t n = 0;

    for (; *text && n < 590; text++) {
        const char *as = *text == '<'   ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '&' ? "&amp;"
                         : *text == '"' ? "&quot;"
                                        : NULL;

        if (as) {
            memcpy(out + n, as, strlen(as));
            n += strlen(as);
        } else if ((unsigned char)*text >= 32) {
            out[n++] = *text;
        }
    }
    out[n] = '\0';
    return out;
}

static const char style[] =
    "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;"
    "color:#1b1b1b;background:#fff}table{border-collapse:collapse;width:100%;margin:1em 0}"
    "th,td{border:1px solid #bbb;padding:.35em .6em;text-align:left;vertical-align:top}"
    "th{background:#eef2f5}td.same{background:#eef8ee}td.differs{background:#fff3d6}"
    "td.defect,td.FAILS{background:#fbe0e0}td.holds{background:#eef8ee}"
    "td.conflict{background:#fff3d6}small{color:#555}svg{max-width:100%;height:auto}"
    "svg text{font:12px system-ui,sans-serif;fill:#1b1b1b}figure{margin:1.5em 0}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e6e6}th{background:#252b31}"
    "td.same,td.holds{background:#173420}td.differs,td.conflict{background:#42350f}"
    "td.defect,td.FAILS{background:#4d1d1d}small{color:#aaa}svg text{fill:#e6e6e6}"
    "th,td{border-color:#555}}</style>";

static void heads(const struct lab_results *r, const char *first, struct cph_buf *out)
{
    put(out, "<table><thead><tr><th scope=\"col\">%s</th>", first);
    for (unsigned k = 0; k < r->keyings; k++)
        put(out, "<th scope=\"col\">%s</th>", r->keying[k]);
    put(out, "</tr></thead><tbody>\n");
}

static void cell(const struct lab_results *r, unsigned e, unsigned k, struct cph_buf *out)
{
    const struct lab_outcome *o = &r->outcome[e][k];
    struct lab_said said;
    char a[600], b[600];
    bool known = lab_said_find(r->keying[k], lab_experiments[e]->name, &said) && said.answer[0];
    bool same = known && lab_said_agrees(&said, o->answer);

    put(out, "<td class=\"%s\"><strong>%s</strong>%s",
        !known           ? ""
        : same           ? "same"
        : said.reason[0] ? "differs"
                         : "defect",
        esc(o->answer, a), "");
    if (known && same)
        put(out, " = draft");
    else if (known)
        put(out, " \u2260 draft: %s", esc(said.answer, b));
    put(out, "<br><small>%s", esc(o->detail, a));
    if (known && !same)
        put(out, "<br>Why it differs: %s", said.reason[0] ? esc(said.reason, b) : "a defect");
    put(out, "</small></td>");
}

/* ---- ladders --------------------------------------------------------------------------------- */

static void ladder(const struct lab_ladder *l, const char *keying, struct cph_buf *out)
{
    unsigned width = LEFT + (l->hosts ? l->hosts - 1 : 0) * COLUMN + 120;
    size_t height = 40 + l->n * ROW + 10;
    char a[600];

    if (!l->n || !l->hosts)
        return;
    put(out,
        "<figure><figcaption><strong>%s</strong> (%s)</figcaption>\n<svg role=\"img\" "
        "aria-label=\"%s\" viewBox=\"0 0 %u %zu\" width=\"%u\" height=\"%zu\">\n",
        esc(l->title, a), keying, a, width, height, width, height);
    for (unsigned h = 0; h < l->hosts; h++)
        put(out,
            "<text x=\"%u\" y=\"16\" text-anchor=\"middle\" font-weight=\"bold\">%s</text>"
            "<line x1=\"%u\" x2=\"%u\" y1=\"24\" y2=\"%zu\" stroke=\"#999\"/>\n",
            LEFT + h * COLUMN, l->host[h], LEFT + h * COLUMN, LEFT + h * COLUMN, height - 6);
    for (size_t i = 0; i < l->n; i++) {
        const struct lab_step *s = &l->step[i];
        unsigned x1 = LEFT + s->from * COLUMN, x2 = LEFT + s->to * COLUMN;
        size_t y = 46 + i * ROW;
        int tip = x2 > x1 ? -7 : 7;
        bool lost = strstr(s->text, " x") && s->text[strlen(s->text) - 1] == 'x';

        if (s->from >= l->hosts || s->to >= l->hosts)
            continue;
        put(out, "<text x=\"2\" y=\"%zu\">%.1f ms</text>", y, (double)s->at / 1000);
        put(out, "<line x1=\"%u\" x2=\"%u\" y1=\"%zu\" y2=\"%zu\" stroke=\"%s\"%s/>", x1, x2, y, y,
            lost ? "#c33" : "#369", lost ? " stroke-dasharray=\"4 3\"" : "");
        put(out, "<path d=\"M%u %zul%d -4v8z\" fill=\"%s\"/>", x2, y, tip, lost ? "#c33" : "#369");
        put(out, "<text x=\"%u\" y=\"%zu\" text-anchor=\"middle\">%s", (x1 + x2) / 2, y - 4,
            esc(s->text, a));
        if (s->n > 1)
            put(out, " \u00d7%u", s->n);
        put(out, "</text>\n");
    }
    put(out, "</svg></figure>\n");
}

/* ---- plots ----------------------------------------------------------------------------------- */

static const char *const colour[LAB_METHODS] = { "#0b6e99", "#b3541e", "#3d7a2b", "#7a3d8f",
                                                 "#8a1538", "#555555", "#a08000", "#006d5b" };

struct axis {
    const char *experiment, *title, *x, *y;
    const char *value[6];
    double at[6];
};

static const struct axis plots[] = {
    { "clipping",
      "Clipping over the round-trip time",
      "round-trip time, ms",
      "ms of the answerer lost",
      { "rtt 20", "rtt 50", "rtt 100", "rtt 200", "rtt 300", "rtt 400" },
      { 20, 50, 100, 200, 300, 400 } },
    { "offer-cost",
      "Cost of an offer over the number of suites",
      "suites on offer",
      "public-key operations",
      { "1 suite", "2 suites", "3 suites", "4 suites" },
      { 1, 2, 3, 4 } },
    { "set-up-time",
      "Set-up time over loss",
      "datagrams lost, %",
      "ms until both have keys",
      { "loss 0 %", "loss 5 %", "loss 10 %", "loss 20 %" },
      { 0, 5, 10, 20 } },
};

static void plot(const struct lab_results *r, const struct axis *x, struct cph_buf *out)
{
    double top = 1;
    unsigned n = 0;

    while (n < 6 && x->value[n])
        n++;
    for (unsigned k = 0; k < r->keyings; k++)
        for (unsigned i = 0; i < n; i++) {
            double v = lab_value_of(lab_results_of(r, x->experiment, k), x->value[i]);

            top = v > top ? v : top;
        }
    put(out,
        "<figure><figcaption><strong>%s</strong></figcaption>\n<svg role=\"img\" "
        "aria-label=\"%s\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n",
        x->title, x->title, PLOT_W + PLOT_L + 130, PLOT_H + PLOT_B + 20, PLOT_W + PLOT_L + 130,
        PLOT_H + PLOT_B + 20);
    put(out, "<path d=\"M%d 10V%dH%d\" fill=\"none\" stroke=\"#777\"/>\n", PLOT_L, PLOT_H + 10,
        PLOT_L + PLOT_W);
    put(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", PLOT_L + PLOT_W / 2,
        PLOT_H + PLOT_B + 10, x->x);
    put(out,
        "<text x=\"14\" y=\"%d\" transform=\"rotate(-90 14 %d)\" text-anchor=\"middle\">%s"
        "</text>\n",
        PLOT_H / 2, PLOT_H / 2, x->y);
    put(out,
        "<text x=\"%d\" y=\"16\" text-anchor=\"end\">%.0f</text><text x=\"%d\" y=\"%d\" "
        "text-anchor=\"end\">0</text>\n",
        PLOT_L - 4, top, PLOT_L - 4, PLOT_H + 10);
    for (unsigned i = 0; i < n; i++)
        put(out, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n",
            PLOT_L + PLOT_W * x->at[i] / x->at[n - 1], PLOT_H + 26, x->at[i]);
    for (unsigned k = 0; k < r->keyings; k++) {
        const struct lab_outcome *o = lab_results_of(r, x->experiment, k);
        double y = PLOT_H + 10;
        bool any = false;

        put(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour[k]);
        for (unsigned i = 0; i < n; i++) {
            double v = lab_value_of(o, x->value[i]);

            if (v < 0)
                continue;
            any = true;
            y = 10 + PLOT_H * (1 - v / top);
            put(out, "%.1f,%.1f ", PLOT_L + PLOT_W * x->at[i] / x->at[n - 1], y);
        }
        put(out, "\"/>\n");
        if (any)
            put(out, "<text x=\"%d\" y=\"%d\" style=\"fill:%s\">%s</text>\n", PLOT_L + PLOT_W + 8,
                20 + 16 * (int)k, colour[k], r->keying[k]);
    }
    put(out, "</svg></figure>\n");
}

static void rules(const struct lab_results *r, struct cph_buf *out)
{
    put(out, "<h2>The requirements R1 to R26</h2>\n");
    heads(r, "requirement", out);
    for (unsigned i = 0; i < LAB_RULES; i++) {
        put(out, "<tr><th scope=\"row\">%s %s<br><small>%s</small></th>", lab_rules[i].name,
            lab_rules[i].text, lab_rules[i].experiments);
        for (unsigned k = 0; k < r->keyings; k++) {
            const char *word = lab_holds_word(lab_rules[i].judge(r, k));

            put(out, "<td class=\"%s\">%s</td>", word, word);
        }
        put(out, "</tr>\n");
    }
    put(out, "</tbody></table>\n<p>Conflict: whoever can notice an intermediary (R17, R20) also "
             "notices lawful interception (R24). We side with the users.</p>\n");
}

void lab_results_html(const struct lab_results *r, struct cph_buf *out)
{
    unsigned unexplained, differences = lab_results_differences(r, &unexplained);
    char a[600];

    put(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<meta name=\"viewport\" content=\"width=device-width\">"
             "<title>What each mechanism is worth</title>");
    (void)!cph_buf_put(out, cph_span_of(style));
    put(out,
        "</head><body>\n<h1>What each mechanism is worth</h1>\n<p>%u calls were made, and "
        "attacked, in the lab's network (seed %llu). Beside each outcome stands what "
        "draft-wing-media-security-requirements-05 says: %u differences, %u without a reason."
        "</p>\n",
        r->sessions, (unsigned long long)r->seed, differences, unexplained);
    put(out,
        "<h2>The verdict on trial</h2><p>In %u attacked calls the attacker heard something in "
        "%u, and a phone noticed him in %u. What the phones showed was better than what the "
        "attacker achieved in <strong>%u</strong>%s%s.</p>\n",
        r->trial.sessions, r->trial.heard, r->trial.noticed, r->trial.failures,
        r->trial.failures ? ": " : "", esc(r->trial.first, a));
    put(out, "<h2>Plots</h2>\n");
    for (size_t i = 0; i < sizeof plots / sizeof *plots; i++)
        plot(r, &plots[i], out);
    put(out, "<h2>Experiments</h2>\n");
    heads(r, "experiment", out);
    for (unsigned e = 0; e < r->experiments; e++) {
        put(out, "<tr><th scope=\"row\">%s<br><small>%s, section %s</small></th>",
            lab_experiments[e]->title, lab_experiments[e]->name, lab_experiments[e]->section);
        for (unsigned k = 0; k < r->keyings; k++)
            cell(r, e, k, out);
        put(out, "</tr>\n");
    }
    put(out, "</tbody></table>\n");
    rules(r, out);
    put(out, "<h2>Ladders</h2>\n");
    for (unsigned e = 0; e < r->experiments; e++)
        for (unsigned k = 0; k < r->keyings; k++)
            ladder(&r->ladder[e][k], r->keying[k], out);
    put(out, "</body></html>\n");
}
