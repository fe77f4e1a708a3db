/* The report: tables, plots and ladders in one page, without scripts or anything from elsewhere. */
#include "html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
#include "report.inc"
    ;

void html_put(struct cph_buf *out, const char *fmt, ...)
{
    char *text;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return; /* out of memory: the page is short, and says so by having no end */
    (void)!cph_buf_put(out, (struct cph_span){ (const uint8_t *)text, (size_t)n });
    free(text);
}

const char *html_text(const char *text, char out[HTML_TEXT])
{
    size_t n = 0;

    for (; *text && n + 8 < HTML_TEXT; text++) {
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

/* ---- one answer beside the draft's ----------------------------------------------------------- */

enum beside { SILENT, SAME, DIFFERS, DEFECT };

static enum beside beside(const struct lab_results *r, unsigned e, unsigned k,
                          struct lab_said *said)
{
    if (!lab_said_find(r->keying[k], lab_experiments[e]->name, said) || !said->answer[0])
        return SILENT;
    if (lab_said_agrees(said, r->outcome[e][k].answer))
        return SAME;
    return said->reason[0] ? DIFFERS : DEFECT;
}

static const char *class_of(enum beside b)
{
    static const char *const name[] = { "", "same", "differs", "bad" };

    return name[b];
}

static void cell(const struct lab_results *r, unsigned e, unsigned k, struct cph_buf *out)
{
    char a[HTML_TEXT], b[HTML_TEXT];
    struct lab_said said;
    enum beside as = beside(r, e, k, &said);

    html_put(out, "<td class=\"%s\"><b>%s</b>", class_of(as),
             html_text(r->outcome[e][k].answer, a));
    if (as == SAME)
        html_put(out, " =");
    else if (as != SILENT)
        html_put(out, "<span>\u2260 %s%s</span>", html_text(said.answer, b),
                 as == DEFECT ? " (!)" : "");
    html_put(out, "</td>");
}

static void heads(const struct lab_results *r, const char *first, const char *label,
                  struct cph_buf *out)
{
    html_put(out,
             "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table "
             "class=\"matrix\"><thead><tr><th scope=\"col\">%s</th>",
             label, first);
    for (unsigned k = 0; k < r->keyings; k++)
        html_put(out, "<th scope=\"col\">%s</th>", r->keying[k]);
    html_put(out, "</tr></thead><tbody>\n");
}

static void experiments(const struct lab_results *r, struct cph_buf *out)
{
    html_put(out, "<h2 id=\"experiments\">Experiments</h2>\n"
                  "<p>Each row is a question of the draft or of ours, and leads to what was seen. "
                  "Each cell is our answer; beside it, how it stands to the draft's.</p>\n"
                  "<ul class=\"legend\"><li><span class=\"key same\">yes =</span>the draft says "
                  "the same</li><li><span class=\"key differs\">yes \u2260 no</span>the draft says "
                  "no, and there is a reason why</li><li><span class=\"key bad\">yes \u2260 no "
                  "(!)</span>no reason is known: a defect</li><li><span class=\"key\">yes</span>"
                  "the draft says nothing</li></ul>\n");
    heads(r, "question", "experiments and mechanisms", out);
    for (unsigned e = 0; e < r->experiments; e++) {
        const struct lab_experiment *x = lab_experiments[e];

        html_put(out,
                 "<tr><th scope=\"row\"><a href=\"#x-%s\">%s</a> <small>%s, section %s</small>"
                 "</th>",
                 x->name, x->title, x->name, x->section);
        for (unsigned k = 0; k < r->keyings; k++)
            cell(r, e, k, out);
        html_put(out, "</tr>\n");
    }
    html_put(out, "</tbody></table></div>\n");
}

/* ---- R1 to R26 ------------------------------------------------------------------------------- */

static const struct {
    const char *css, *sign;
} hold[] = { [LAB_HOLDS] = { "same", "\u2713" },       [LAB_FAILS] = { "bad", "\u2717" },
             [LAB_CONFLICT] = { "differs", "\u2194" }, [LAB_EXCEPTED] = { "differs", "\u2298" },
             [LAB_DEPENDS] = { "differs", "\u00b1" },  [LAB_NOT_TRIED] = { "", "\u2013" } };

static void rules(const struct lab_results *r, struct cph_buf *out)
{
    unsigned held[LAB_METHODS] = { 0 };

    html_put(out, "<h2 id=\"requirements\">The requirements R1 to R26</h2>\n<p>Each is judged by "
                  "the experiments named beside it. <em>Conflict</em>: whoever can notice an "
                  "intermediary (R17, R20) also notices lawful interception (R24). We side with "
                  "the users. <em>Refuses</em>: the call reaches somebody who was not called, and "
                  "the key exchange finds that out, which R1 allows. <em>Depends</em>: some modes "
                  "of the mechanism hold it, and others do not.</p>\n");
    heads(r, "requirement", "requirements and mechanisms", out);
    for (unsigned i = 0; i < LAB_RULES; i++) {
        html_put(out, "<tr><th scope=\"row\"><b>%s</b> %s <small>%s</small></th>",
                 lab_rules[i].name, lab_rules[i].text, lab_rules[i].experiments);
        for (unsigned k = 0; k < r->keyings; k++) {
            enum lab_holds h = lab_rule_judge(&lab_rules[i], r, k);

            held[k] += h == LAB_HOLDS;
            html_put(out, "<td class=\"%s\">%s %s</td>", hold[h].css, hold[h].sign,
                     lab_holds_word(h));
        }
        html_put(out, "</tr>\n");
    }
    html_put(out, "<tr><th scope=\"row\"><b>hold in all</b></th>");
    for (unsigned k = 0; k < r->keyings; k++)
        html_put(out, "<td><b>%u</b> of %d</td>", held[k], LAB_RULES);
    html_put(out, "</tr></tbody></table></div>\n");
}

/* ---- what was seen --------------------------------------------------------------------------- */

static void measured(const struct lab_outcome *o, struct cph_buf *out)
{
    if (o->n_values)
        html_put(out, "<br><span class=\"soft\">");
    for (unsigned i = 0; i < o->n_values; i++)
        if (o->value[i].v < 0)
            html_put(out, "%s%s: none", i ? " \u00b7 " : "", o->value[i].name);
        else
            html_put(out, "%s%s: %g\u00a0%s", i ? " \u00b7 " : "", o->value[i].name, o->value[i].v,
                     o->value[i].unit);
    if (o->n_values)
        html_put(out, "</span>");
}

static void finding(const struct lab_results *r, unsigned e, unsigned k, struct cph_buf *out)
{
    const struct lab_outcome *o = &r->outcome[e][k];
    char a[HTML_TEXT], b[HTML_TEXT];
    struct lab_said said;
    enum beside as = beside(r, e, k, &said);

    html_put(out, "<tr><th scope=\"row\">%s</th><td class=\"%s\"><b>%s</b></td><td>", r->keying[k],
             class_of(as), html_text(o->answer, a));
    if (as == SILENT)
        html_put(out, "\u2013");
    else
        html_put(out, "%s", as == SAME ? "the same" : html_text(said.answer, b));
    html_put(out, "</td><td>%s", html_text(o->detail, a));
    if (as == DIFFERS || as == DEFECT)
        html_put(out, "<br><em>Not as the draft says: %s.</em>",
                 as == DIFFERS ? html_text(said.reason, b)
                               : "no reason is known, so this is a defect");
    measured(o, out);
    html_put(out, "</td></tr>\n");
}

static void findings(const struct lab_results *r, unsigned e, struct cph_buf *out)
{
    const struct lab_experiment *x = lab_experiments[e];

    html_put(out, "<details id=\"x-%s\"><summary>%s <small>%s, section %s</small></summary>\n",
             x->name, x->title, x->name, x->section);
    html_put(out,
             "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s, findings\">"
             "<table class=\"wide\"><thead><tr><th scope=\"col\">mechanism</th><th scope=\"col\">"
             "answer</th><th scope=\"col\">the draft</th><th scope=\"col\">what was seen, and "
             "measured</th></tr></thead><tbody>\n",
             x->name);
    for (unsigned k = 0; k < r->keyings; k++)
        finding(r, e, k, out);
    html_put(out, "</tbody></table></div>\n");
    for (unsigned k = 0; k < r->keyings; k++)
        if (r->ladder[e][k].n) {
            html_put(out, "<details><summary>Messages with %s</summary>\n", r->keying[k]);
            html_ladder(&r->ladder[e][k], r->keying[k], e * LAB_METHODS + k, out);
            html_put(out, "</details>\n");
        }
    html_put(out, "</details>\n");
}

/* ---- the page -------------------------------------------------------------------------------- */

static void tiles(const struct lab_results *r, struct cph_buf *out)
{
    unsigned unexplained, differences = lab_results_differences(r, &unexplained);

    html_put(out,
             "<ul class=\"tiles\"><li><b>%u</b>calls made, and attacked (seed %llu)</li>"
             "<li><b>%u \u00d7 %u</b>experiments and mechanisms</li>"
             "<li><b>%u</b>answers differ from the draft's</li>"
             "<li class=\"%s\"><b>%u</b>of them without a reason</li>"
             "<li class=\"%s\"><b>%u of %u</b>attacked calls shown as better than they were</li>",
             r->sessions, (unsigned long long)r->seed, r->experiments, r->keyings, differences,
             unexplained ? "bad" : "same", unexplained, r->trial.failures ? "bad" : "same",
             r->trial.failures, r->trial.sessions);
    if (r->failed)
        html_put(out, "<li class=\"bad\"><b>%u</b>experiments could not be run</li>", r->failed);
    html_put(out, "</ul>\n");
}

static void trial(const struct lab_results *r, struct cph_buf *out)
{
    char a[HTML_TEXT];

    html_put(out,
             "<h2 id=\"trial\">The verdict on trial</h2>\n<p>In %u attacked calls the attacker "
             "heard something in %u, and a phone noticed him in %u. What the phones showed was "
             "better than what the attacker achieved in <strong>%u</strong>%s%s.</p>\n<p>In %u "
             "more, a device that holds the called user's own keys could listen, and nobody "
             "without them: to whoever calls, that is the user who was called.</p>\n",
             r->trial.sessions, r->trial.heard, r->trial.noticed, r->trial.failures,
             r->trial.failures ? ": " : "", html_text(r->trial.first, a), r->trial.peers);
}

static void mechanisms(const struct lab_results *r, struct cph_buf *out)
{
    html_put(out, "<h2 id=\"mechanisms\">Mechanisms</h2>\n<dl>\n");
    for (unsigned k = 0; k < r->keyings; k++) {
        const struct lab_column *c = lab_column_find(r->keying[k]);

        html_put(out, "<dt>%s</dt><dd>%s</dd>\n", r->keying[k], c ? c->title : "");
    }
    html_put(out, "</dl>\n");
}

/* What stands in cells. */
static void words(struct cph_buf *out)
{
    static const struct {
        const char *word, *means;
    } row[] = {
        { "open", "level: whoever listens on the way hears the call" },
        { "hop", "level: who listens does not, but whoever handles the messages may" },
        { "private", "level: two ends have the keys; nobody says who the other one is" },
        { "identified", "level: a domain or an authority says who the other one is" },
        { "verified", "level: the users know by what they hold themselves who it is" },
        { "I", "class: to hear the call it is enough to listen" },
        { "II", "class: ... to change the signalling and to listen" },
        { "III", "class: ... to change the signalling and the media" },
        { "IV", "class: whoever tries is noticed, or hears nothing" },
        { "alice, bob, carol", "users; bob has two phones" },
        { "mallory", "whoever should not be there" },
    };

    html_put(out, "<h2 id=\"words\">Words</h2>\n<dl>\n");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        html_put(out, "<dt>%s</dt><dd>%s</dd>\n", row[i].word, row[i].means);
    html_put(out, "</dl>\n");
}

void lab_results_html(const struct lab_results *r, struct cph_buf *out)
{
    html_put(out,
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
             "<title>What each mechanism is worth</title>\n<style>\n%s</style></head><body>\n"
             "<main><h1>What each mechanism is worth</h1>\n<p>Every answer on this page is the "
             "outcome of calls between phones in the lab's network. Beside it stands what "
             "draft-wing-media-security-requirements-05 says.</p>\n"
             "<nav aria-label=\"this page\"><ul><li><a href=\"#mechanisms\">Mechanisms</a></li>"
             "<li><a href=\"#words\">Words</a></li><li><a href=\"#plots\">Plots</a></li><li><a "
             "href=\"#experiments\">Experiments</a>"
             "</li><li><a href=\"#requirements\">Requirements</a></li><li><a href=\"#trial\">The "
             "verdict on trial</a></li><li><a href=\"#findings\">What was seen</a></li></ul></nav>"
             "\n",
             style);
    tiles(r, out);
    mechanisms(r, out);
    words(out);
    html_put(out, "<h2 id=\"plots\">Plots</h2>\n");
    html_plots(r, out);
    experiments(r, out);
    rules(r, out);
    trial(r, out);
    html_put(out, "<h2 id=\"findings\">What was seen</h2>\n<p>Question by question, with the "
                  "messages of the most telling call.</p>\n");
    for (unsigned e = 0; e < r->experiments; e++)
        findings(r, e, out);
    html_put(out, "</main></body></html>\n");
}
