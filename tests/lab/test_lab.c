/* The lab's experiments, their comparison with the draft, and the verdict on trial. */
#include "doc.h"
#include "support.h"

#include <stdlib.h>

#include "ear.h"
#include "matrix.h"
#include "meddler.h"
#include "siege.h"

#include "ciphony/base_text.h"

enum { SEED = 1, A = 1 << LAB_ALICE, B = 1 << LAB_BOB, B2 = 1 << LAB_BOB2 };

static struct lab_results *results; /* for the report */

static int open_lab(void **state)
{
    (void)state;
    assert_ok(lab_keys_open());
    assert_ok(lab_results_run("dtls,sdes", SEED, true, NULL, NULL, &results));
    return 0;
}

static int close_lab(void **state)
{
    (void)state;
    lab_results_free(results);
    lab_keys_close();
    return 0;
}

/* ---- the comparison (all of it: test_matrix.c) ----------------------------------------------- */

/* The answer that the page has for this experiment and column. */
static struct cph_span documented(const char *doc, const char *experiment, const char *column)
{
    struct cph_span rest = cph_span_of(doc), line, cell = { 0 };
    char start[64];
    unsigned at = 0;

    (void)snprintf(start, sizeof start, "| `%s` ", experiment);
    while (cph_span_line(&rest, &line)) {
        struct cph_span row = line;

        if (at == 0 && cph_span_starts(line, "| experiment "))
            for (unsigned i = 0; row.n && at == 0; i++)
                if (cph_span_is(cph_span_trim(cph_span_cut(&row, '|')), column))
                    at = i;
        if (!cph_span_starts(line, start))
            continue;
        for (unsigned i = 0; i <= at; i++)
            cell = cph_span_cut(&row, '|');
        break;
    }
    assert_true(at > 0);
    cell = cph_span_trim(cell);
    if (cph_span_starts(cell, "**")) {
        cell = cph_span_from(cell, 2);
        return cph_span_cut(&cell, '*');
    }
    if (cell.n > 2 && cell.p[cell.n - 1] == '=')
        cell.n -= 2;
    return cell;
}

/* One column for each experiment, another one each time, and never the dear ones. */
static void a_sample_of_cells_is_as_documented(void **state)
{
    char *doc = slurp("docs/lab-matrix.md");
    struct lab_trial trial = { 0 };
    unsigned columns = 0;

    (void)state;
    while (lab_columns[columns])
        columns++;
    for (unsigned e = 0; lab_experiments[e]; e++) {
        struct lab_case c = { lab_columns[e % columns]->name, SEED, NULL, &trial };
        struct cph_span want = documented(doc, lab_experiments[e]->name, c.keying);
        struct lab_outcome o;

        if (lab_experiments[e] == &lab_exp_loss || lab_experiments[e] == &lab_exp_clipping)
            continue;
        assert_ok(lab_run_one(lab_experiments[e], &c, &o));
        if (!cph_span_is(want, o.answer))
            print_error("%s with %s: the page says %.*s, the lab %s\n", lab_experiments[e]->name,
                        c.keying, CPH_SPAN_ARG(want), o.answer);
        assert_true(cph_span_is(want, o.answer));
    }
    assert_int_equal(trial.failures, 0); /* the verdict on trial, in small */
    assert_true(trial.sessions > 50 && trial.heard > 10);
    free(doc);
}

static const char *of_mode(const struct lab_outcome *o, const char *mode)
{
    for (unsigned i = 0; i < o->modes; i++)
        if (strcmp(o->mode[i].name, mode) == 0)
            return o->mode[i].answer;
    return "not asked";
}

/* Of a mechanism that agrees on a mode, what the draft compares is tried in each. */
static void what_depends_on_the_mode_is_tried_in_each(void **state)
{
    struct lab_case c = { "mikeyv2", SEED, NULL, NULL };
    struct lab_outcome o;

    (void)state;
    assert_ok(lab_run_one(&lab_exp_pfs, &c, &o));
    assert_string_equal(o.answer, LAB_DEPENDS_ON_MODE);
    assert_int_equal(o.modes, LAB_MODES);
    assert_string_equal(of_mode(&o, "dhsign"), "yes");
    assert_string_equal(of_mode(&o, "dhhmac"), "yes");
    assert_string_equal(of_mode(&o, "psk"), "no");
    assert_string_equal(of_mode(&o, "null"), "no");
    c.keying = "mikeyv2-psk"; /* one mode by its name */
    assert_ok(lab_run_one(&lab_exp_pfs, &c, &o));
    assert_string_equal(o.answer, "no");
    assert_int_equal(o.modes, 0);
    c.keying = "mikeyv2"; /* and no more than the draft compares */
    assert_ok(lab_run_one(&lab_exp_validity, &c, &o));
    assert_int_equal(o.modes, 0);
}

/* Certificates are made anew in each process: what names one is another text each time. */
static void what_is_seen_names_no_key_of_this_process(void **state)
{
    struct lab_case c = { "sdes-smime", SEED, NULL, NULL };
    struct lab_outcome o;

    (void)state;
    assert_ok(lab_run_one(&lab_exp_second, &c, &o));
    assert_non_null(strstr(o.detail, "signed by another certificate"));
    assert_null(strstr(o.detail, "sha-256"));
}

/* Without SIP as with it: what the column seals is signed, encrypted, opened and verified. */
static void a_column_that_seals_its_descriptions_pays_for_that_in_every_call(void **state)
{
    struct lab_case c = { "sdes-smime", SEED, NULL, NULL };
    struct lab_outcome o;

    (void)state;
    assert_ok(lab_run_one(&lab_exp_resume, &c, &o));
    assert_string_equal(o.answer, "no");
    assert_int_equal(lab_value_of(&o, "first call"), 8);
    assert_int_equal(lab_value_of(&o, "second call"), 8);
    assert_ok(lab_run_one(&lab_exp_offer_cost, &c, &o));
    assert_int_equal(lab_value_of(&o, "1 suite"), 2);
}

/* A mixer that cannot draw the same twice shows nothing by having other keys. */
static void an_answer_that_was_not_tried_says_so(void **state)
{
    static const struct {
        const char *keying, *answer;
        bool tried;
    } row[] = { { "dtls", "no", false }, { "zrtp", "no", true }, { "sdes", "yes", true } };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_case c = { row[i].keying, SEED, NULL, NULL };
        struct lab_outcome o;

        assert_ok(lab_run_one(&lab_exp_central_mixer, &c, &o));
        assert_string_equal(o.answer, row[i].answer);
        assert_int_equal(lab_value_of(&o, "the same draws, the same keys"), row[i].tried);
        assert_int_equal(strstr(o.detail, "not by trial") == NULL, row[i].tried);
    }
}

/* docs/choosing.md: a row names its experiment, its head the columns. */
static void the_page_for_newcomers_says_what_the_matrix_says(void **state)
{
    char *matrix = slurp("docs/lab-matrix.md"), *page = slurp("docs/choosing.md");
    struct cph_span rest = cph_span_of(page), line, head = { 0 };
    unsigned cells = 0;

    (void)state;
    while (cph_span_line(&rest, &line)) {
        char experiment[32], column[32];
        struct cph_span names = head, row = line, name;

        if (cph_span_starts(line, "| question | experiment |"))
            head = line;
        (void)cph_span_cut(&row, '`');
        name = cph_span_cut(&row, '`');
        if (!cph_span_starts(line, "| ") || head.n == 0 ||
            cph_span_cstr(name, experiment, sizeof experiment) != CPH_OK ||
            !lab_experiment_find(experiment))
            continue;
        (void)cph_span_cut(&row, '|');
        for (unsigned i = 0; i < 3; i++)
            (void)cph_span_cut(&names, '|');
        while (names.n > 1) {
            struct cph_span said = cph_span_trim(cph_span_cut(&row, '|'));

            assert_ok(
                cph_span_cstr(cph_span_trim(cph_span_cut(&names, '|')), column, sizeof column));
            if (!cph_span_eq(said, documented(matrix, experiment, column)))
                print_error("docs/choosing.md: %s with %s is %.*s\n", experiment, column,
                            CPH_SPAN_ARG(documented(matrix, experiment, column)));
            assert_true(cph_span_eq(said, documented(matrix, experiment, column)));
            cells++;
        }
    }
    assert_true(cells > 100);
    free(matrix);
    free(page);
}

/* What the lab makes for a run, and keeps, is not part of what the run costs. */
static void a_cost_is_the_same_whatever_ran_before(void **state)
{
    struct lab_case c = { "sdes", SEED, NULL, NULL };
    struct lab_outcome o;

    (void)state;
    lab_keys_close();
    assert_ok(lab_keys_open());
    assert_ok(lab_run_one(&lab_exp_resume, &c, &o));
    assert_string_equal(o.answer, "not needed");
    c.keying = "sdes-smime";
    assert_ok(lab_run_one(&lab_exp_resume, &c, &o));
    assert_int_equal(lab_value_of(&o, "first call"), 8);
}

static void a_column_the_lab_does_not_have_is_refused(void **state)
{
    struct lab_results *r;

    (void)state;
    assert_err(lab_results_run("no such column", SEED, false, NULL, NULL, &r), CPH_E_NOTFOUND);
    assert_err(lab_results_run("mikey", SEED, false, NULL, NULL, &r), CPH_E_NOTFOUND);
    for (unsigned i = 0; lab_columns[i]; i++) {
        assert_ptr_equal(lab_column_find(lab_columns[i]->name), lab_columns[i]);
        for (unsigned k = 0; lab_columns[i]->keying[k]; k++)
            assert_non_null(cph_keying_method_by_name(cph_span_of(lab_columns[i]->keying[k])));
    }
}

static void the_draft_s_answers_are_about_our_experiments(void **state)
{
    struct lab_said said;
    unsigned n = 0;

    (void)state;
    for (; lab_said_at(n, &said); n++) {
        assert_non_null(lab_experiment_find(said.experiment));
        assert_true(said.mechanism[0] && said.section[0]);
    }
    assert_true(n > 200);
    assert_true(lab_said_find("mikey-rsa", "offer-cost", &said));
    assert_string_equal(said.answer, "per suite");
    assert_false(lab_said_find("sdes", "no such thing", &said));
}

static void several_answers_of_the_draft_are_told_apart(void **state)
{
    struct lab_said said = { .answer = "1 + 4/2 + 4" };

    (void)state;
    assert_true(lab_said_agrees(&said, "2 + 4"));
    assert_true(lab_said_agrees(&said, "1 + 4"));
    assert_false(lab_said_agrees(&said, "2 + 0"));
    (void)snprintf(said.answer, sizeof said.answer, "n/a");
    assert_true(lab_said_agrees(&said, "n/a"));
    said.answer[0] = '\0';
    assert_true(lab_said_agrees(&said, "whatever"));
}

static void the_report_needs_nothing_from_elsewhere(void **state)
{
    static const char *const never[] = { "<script", "href=\"h", "href=\"/", "src=",
                                         "url(",    "@import",  "http",     "(null)" };
    struct cph_buf text = { .limit = 16 << 20 };
    struct cph_span page;

    (void)state;
    lab_results_html(results, &text);
    page = cph_buf_view(&text);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_null(memmem(page.p, page.n, never[i], strlen(never[i])));
    assert_non_null(memmem(page.p, page.n, "<polyline", 9));
    assert_non_null(memmem(page.p, page.n, "INVITE (SDP: fingerprint)", 25));
    assert_non_null(memmem(page.p, page.n, "</html>", 7));
    cph_buf_clear(&text);
}

static struct lab_outcome *outcome_of(const char *experiment, unsigned keying)
{
    for (unsigned e = 0; e < results->experiments; e++)
        if (strcmp(lab_experiments[e]->name, experiment) == 0)
            return &results->outcome[e][keying];
    fail();
    return NULL;
}

/* Whatever comes of a requirement has a sign and a sentence. */
static void the_report_has_words_for_every_judgement(void **state)
{
    struct lab_outcome *sent_on = outcome_of("forwarding", 1),
                       *later = outcome_of("forward-secrecy", 1);
    struct lab_outcome sent_on_was = *sent_on, later_was = *later;
    struct cph_buf text = { .limit = 16 << 20 };
    struct cph_span page;

    (void)state;
    (void)snprintf(sent_on->answer, LAB_ANSWER, "only to who was called");
    later->modes = 2;
    (void)snprintf(later->mode[0].answer, LAB_ANSWER, "yes");
    (void)snprintf(later->mode[1].answer, LAB_ANSWER, "no");
    lab_results_html(results, &text);
    *sent_on = sent_on_was;
    *later = later_was;
    page = cph_buf_view(&text);
    assert_non_null(memmem(page.p, page.n, "\u2298 refuses</td>", 16));
    assert_non_null(memmem(page.p, page.n, "\u00b1 depends</td>", 15));
    assert_null(memmem(page.p, page.n, "(null)", 6));
    cph_buf_clear(&text);
}

static unsigned count_of(struct cph_span page, const char *what)
{
    unsigned n = 0;

    for (size_t at = 0; at + strlen(what) <= page.n; at++)
        n += memcmp(page.p + at, what, strlen(what)) == 0; /* markup */
    return n;
}

static void the_report_can_be_read_without_eyes(void **state)
{
    struct cph_buf text = { .limit = 16 << 20 };
    struct cph_span page;
    unsigned pictures, tables;

    (void)state;
    lab_results_html(results, &text);
    page = cph_buf_view(&text);
    pictures = count_of(page, "<svg role=\"img\" aria-labelledby=");
    assert_true(pictures > 20);
    assert_int_equal(count_of(page, "<svg"), pictures + count_of(page, "aria-hidden=\"true\""));
    assert_int_equal(count_of(page, "<title id="), pictures);
    assert_int_equal(count_of(page, "<desc id="), pictures);
    tables = count_of(page, "<table");
    assert_int_equal(count_of(page, "<thead>"), tables);
    assert_int_equal(count_of(page, "tabindex=\"0\" role=\"region\" aria-label="), tables);
    assert_int_equal(count_of(page, "<th "), count_of(page, "<th scope="));
    for (unsigned e = 0; e < results->experiments; e++) { /* each row leads to what was seen */
        char id[64];

        (void)snprintf(id, sizeof id, "href=\"#x-%s\"", lab_experiments[e]->name);
        assert_int_equal(count_of(page, id), 1);
        (void)snprintf(id, sizeof id, " id=\"x-%s\"", lab_experiments[e]->name);
        assert_int_equal(count_of(page, id), 1);
    }
    cph_buf_clear(&text);
}

static void the_same_seed_gives_the_same_messages_at_the_same_times(void **state)
{
    struct lab_ladder one = { 0 }, two = { 0 };
    struct lab_case c = { "sdes", 7, &one, NULL };
    struct lab_outcome o;

    (void)state;
    assert_ok(lab_run_one(lab_experiment_find("forking"), &c, &o));
    c.ladder = &two;
    assert_ok(lab_run_one(lab_experiment_find("forking"), &c, &o));
    assert_non_null(one.text);
    assert_string_equal(one.text, two.text);
    free(one.text);
    free(two.text);
}

/* ---- the verdict on trial -------------------------------------------------------------------- */

static void showing_too_much_is_caught(void **state)
{
    static const struct {
        struct lab_verdict_case v;
        bool too_much;
    } row[] = {
        { { .passive = 1, .shown = CPH_LEVEL_OPEN, .shown_class = CPH_ATTACKER_I }, false },
        { { .passive = 1, .shown = CPH_LEVEL_HOP, .shown_class = CPH_ATTACKER_I }, false },
        { { .passive = 1, .shown = CPH_LEVEL_PRIVATE, .shown_class = CPH_ATTACKER_I }, true },
        { { .passive = 1, .shown = CPH_LEVEL_HOP, .shown_class = CPH_ATTACKER_II }, true },
        { { .passive = 1, .server = true, .shown = CPH_LEVEL_HOP, .shown_class = CPH_ATTACKER_II },
          false },
        { { .passive = 1, .server = true, .shown = CPH_LEVEL_HOP, .shown_class = CPH_ATTACKER_III },
          true },
        { { .active = 1,
            .server = true,
            .media = true,
            .shown = CPH_LEVEL_PRIVATE,
            .shown_class = CPH_ATTACKER_III },
          false },
        { { .active = 1,
            .server = true,
            .media = true,
            .shown = CPH_LEVEL_PRIVATE,
            .shown_class = CPH_ATTACKER_IV },
          true },
        { { .active = 1,
            .server = true,
            .media = true,
            .shown = CPH_LEVEL_VERIFIED,
            .shown_class = CPH_ATTACKER_III },
          true },
        { { .active = 1,
            .server = true,
            .media = true,
            .shown = CPH_LEVEL_IDENTIFIED,
            .shown_class = CPH_ATTACKER_III },
          true },
        { { .active = 1,
            .server = true,
            .media = true,
            .domain = true,
            .shown = CPH_LEVEL_IDENTIFIED,
            .shown_class = CPH_ATTACKER_III },
          false },
        { { .active = 1, .media = true, .shown = CPH_LEVEL_PRIVATE, .shown_class = CPH_ATTACKER_I },
          true },
        { { .shown = CPH_LEVEL_VERIFIED, .shown_class = CPH_ATTACKER_IV }, false },
    };
    struct lab_trial trial = { 0 };
    struct lab_case c = { "sdes", 1, NULL, &trial };
    unsigned too_much = 0;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_int_equal(lab_shown_too_much(&row[i].v), row[i].too_much);
        lab_trial_add(&c, "a test", &row[i].v);
        too_much += row[i].too_much;
    }
    assert_int_equal(trial.failures, too_much);
    assert_int_equal(trial.sessions, sizeof row / sizeof *row);
    assert_true(trial.first[0] != '\0');
}

/* The judge is given the attacks as they were, and phones that show more than theirs did: each time
 * somebody heard, a better level or class must fail, and the true ones must not. */
static void a_flattering_verdict_planted_in_an_attacked_call_fails(void **state)
{
    static const struct {
        const char *keying;
        enum lab_meddling how;
        enum lab_moment when;
    } row[] = {
        { "sdes", LAB_MEDDLE_NOT, LAB_FROM_THE_START },
        { "mikey-null", LAB_MEDDLE_NOT, LAB_FROM_THE_START },
        { "sdp-dh", LAB_MEDDLE_SUBSTITUTE, LAB_FROM_THE_START },
        { "dtls", LAB_MEDDLE_BOTH, LAB_FROM_THE_START },
        { "zrtp", LAB_MEDDLE_BOTH, LAB_SECOND_CALL },
        { "sdes", LAB_MEDDLE_STRIP, LAB_MID_CALL },
        { "ekt", LAB_MEDDLE_BOTH, LAB_MID_CALL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_attack a = { .how = row[i].how,
                                .when = row[i].when,
                                .security = CPH_SECURITY_REQUIRED };
        struct lab_trial trial = { 0 };
        struct lab_case c = { row[i].keying, SEED, NULL, &trial };
        struct lab_feat f;

        assert_ok(lab_attacked(&c, &a, &f, NULL));
        assert_true(f.passive + f.active > 50);
        assert_int_equal(trial.failures, 0);
        f.phone[0].shown = f.shown = CPH_LEVEL_VERIFIED; /* as a liar would */
        lab_siege_try(&c, &a, &f);
        assert_int_equal(trial.failures, 1);
        f.phone[0].shown = f.shown = CPH_LEVEL_OPEN;
        f.phone[1].shown_class = f.shown_class = CPH_ATTACKER_IV; /* the other phone, and class */
        lab_siege_try(&c, &a, &f);
        assert_int_equal(trial.failures, 2);
        assert_non_null(strstr(trial.first, row[i].keying));
    }
}

static void an_attacker_without_the_keys_hears_nothing_and_with_them_everything(void **state)
{
    struct lab_stage_config cfg = {
        .seed = 3, .keying = "sdes", .security = CPH_SECURITY_REQUIRED, .people = A | B
    };
    struct lab_stage *s;
    struct lab_ear *ear;

    (void)state;
    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_stage_talk(s, CPH_SEC(1)));
    assert_true(lab_stage_heard(s, LAB_ALICE, LAB_BOB));
    assert_ok(lab_ear_new(3, &ear));
    lab_ear_listen(ear, s->trace, 0);
    assert_int_equal(lab_heard_total(lab_ear_heard(ear)), 0);
    assert_true(lab_ear_read_signalling(ear, s->trace) >= 2);
    lab_ear_listen(ear, s->trace, 0);
    assert_int_equal(lab_heard_total(lab_ear_heard(ear)),
                     s->person[LAB_ALICE].said.frames[LAB_ALICE] +
                         s->person[LAB_BOB].said.frames[LAB_BOB]);
    lab_ear_free(ear);
    lab_stage_close(s);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void phones_register_and_a_call_forks_to_all_contacts(void **state)
{
    struct lab_stage_config cfg = { .seed = 4,
                                    .link.delay = CPH_MS(20),
                                    .keying = "dtls",
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = A | B | B2 };
    struct lab_proxy_counts n;
    struct lab_stage *s;

    (void)state;
    assert_ok(lab_stage_open(&cfg, &s));
    assert_int_equal(lab_proxy_contacts(s->proxy, "bob"), 2);
    assert_int_equal(lab_proxy_contacts(s->proxy, "alice"), 1);
    s->person[LAB_BOB2].callee = LAB_RINGS;
    s->person[LAB_BOB].callee = LAB_ANSWERS_LATER;
    s->person[LAB_BOB].later = CPH_MS(200);
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    n = lab_proxy_counts(s->proxy);
    assert_int_equal(n.forks, 1);
    assert_int_equal(n.cancelled, 1);
    assert_true(s->person[LAB_BOB2].ended && !s->person[LAB_BOB2].answered);
    assert_int_equal(s->person[LAB_BOB2].status, 487);
    assert_true(s->person[LAB_BOB].ended && s->person[LAB_BOB].answered);
    lab_stage_close(s);
}

static void a_redirect_goes_back_to_the_caller_unless_the_proxy_follows_it(void **state)
{
    struct lab_stage_config cfg = {
        .seed = 5, .keying = "sdes", .security = CPH_SECURITY_REQUIRED, .people = A | 1 << LAB_CAROL
    };
    struct lab_redirect *r;
    struct lab_stage *s;

    (void)state;
    for (unsigned follow = 0; follow < 2; follow++) {
        cfg.proxy.recurse = follow;
        assert_ok(lab_stage_open(&cfg, &s));
        assert_ok(lab_redirect_new(s->net, "10.0.0.2", "sip:carol@10.0.0.4:5060", &r));
        assert_ok(lab_proxy_add(s->proxy, "bob", "sip:bob@10.0.0.2:5060"));
        assert_ok(lab_stage_talk(s, CPH_SEC(2)));
        assert_int_equal(lab_proxy_counts(s->proxy).recursed, follow);
        assert_true(lab_redirect_offer(r).n > 0);
        if (follow)
            assert_true(s->person[LAB_CAROL].answered);
        lab_redirect_free(r);
        lab_stage_close(s);
    }
}

static void what_is_said_is_known_again_and_nothing_else_is(void **state)
{
    uint8_t frame[LAB_FRAME];
    struct cph_span payload = { frame, LAB_FRAME };
    unsigned speaker;
    uint32_t i;

    (void)state;
    lab_speech_frame(9, LAB_CAROL, 123456, frame);
    assert_true(lab_speech_is(9, payload, &speaker, &i));
    assert_int_equal(speaker, LAB_CAROL);
    assert_int_equal(i, 123456);
    assert_false(lab_speech_is(10, payload, &speaker, &i));
    for (size_t k = 0; k < LAB_FRAME; k++) {
        frame[k] ^= 1;
        assert_false(lab_speech_is(9, payload, &speaker, &i));
        frame[k] ^= 1;
    }
    payload.n--;
    assert_false(lab_speech_is(9, payload, &speaker, &i));
}

static unsigned came;

static void count(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                  struct cph_span bytes, cph_time now)
{
    (void)local;
    (void)bytes;
    (void)now;
    came++;
    *(struct cph_addr *)ctx = *from;
}

static void address_translation_lets_in_what_was_asked_for(void **state)
{
    static const struct lab_node_ops ops = { .datagram = count };
    struct cph_addr host[3], outside, heard;
    struct lab_node *node[3];
    struct lab_net *net;

    (void)state;
    came = 0;
    assert_ok(lab_net_new(1, (struct lab_link){ 0 }, &net));
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(cph_addr_parse(CPH_SPAN_LIT("10.1.0.1:7000"), &host[i]));
        host[i].ip[3] = (uint8_t)(1 + i);
        assert_ok(lab_node_new(net, &ops, &heard, &node[i]));
        assert_ok(lab_bind(node[i], &host[i]));
    }
    assert_ok(cph_addr_parse_ip(CPH_SPAN_LIT("203.0.113.9"), &outside));
    assert_ok(lab_nat(net, &host[0], &outside));
    assert_err(lab_nat(net, &host[0], &outside), CPH_E_EXISTS);

    assert_ok(lab_send(node[1], &host[1], &host[0], CPH_SPAN_LIT("in"))); /* to the inner address */
    assert_ok(lab_run(net, CPH_SEC(1)));
    assert_int_equal(came, 0);
    assert_ok(lab_send(node[0], &host[0], &host[1], CPH_SPAN_LIT("out")));
    assert_ok(lab_run(net, CPH_SEC(2)));
    assert_int_equal(came, 1);
    assert_true(cph_addr_ip_eq(&heard, &outside));
    outside = heard;
    assert_ok(lab_send(node[1], &host[1], &outside, CPH_SPAN_LIT("back")));
    assert_ok(lab_send(node[2], &host[2], &outside, CPH_SPAN_LIT("not asked for")));
    assert_ok(lab_run(net, CPH_SEC(3)));
    assert_int_equal(came, 2);
    assert_true(cph_addr_eq(&heard, &host[1]));
    outside.port++;
    assert_ok(lab_send(node[1], &host[1], &outside, CPH_SPAN_LIT("no such port")));
    assert_ok(lab_run(net, CPH_SEC(4)));
    assert_int_equal(came, 2);
    lab_net_free(net);
}

static void pinned_certificates_end_the_call_an_intermediary_would_hear(void **state)
{
    struct lab_stage_config base = { .seed = 6,
                                     .link.delay = CPH_MS(20),
                                     .keying = "dtls",
                                     .security = CPH_SECURITY_REQUIRED,
                                     .people = A | B };

    (void)state;
    for (unsigned pinned = 0; pinned < 2; pinned++) {
        struct lab_stage_config cfg = base;
        struct lab_meddler *m;
        struct lab_stage *s;

        cfg.pinned = pinned;
        assert_ok(lab_meddler_new(LAB_MEDDLE_BOTH, "dtls", cfg.seed, &m));
        lab_meddler_place(m, &cfg);
        assert_ok(lab_stage_open(&cfg, &s));
        assert_ok(lab_meddler_start(m, s));
        assert_ok(lab_stage_talk(s, CPH_SEC(2)));
        struct lab_meddler_feat feat = lab_meddler_feat(m);

        if (pinned) {
            assert_int_equal(lab_heard_total(&feat.heard), 0);
            assert_true(s->person[LAB_ALICE].mismatch || s->person[LAB_BOB].mismatch);
        } else {
            assert_true(lab_heard_total(&feat.heard) > 100);
            assert_true(lab_stage_heard(s, LAB_ALICE, LAB_BOB));
            assert_int_equal(s->person[LAB_ALICE].shown, CPH_LEVEL_PRIVATE);
            assert_int_equal(s->person[LAB_ALICE].shown_class, CPH_ATTACKER_III);
        }
        lab_stage_close(s);
        lab_meddler_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_of_cells_is_as_documented),
        cmocka_unit_test(what_depends_on_the_mode_is_tried_in_each),
        cmocka_unit_test(what_is_seen_names_no_key_of_this_process),
        cmocka_unit_test(a_column_that_seals_its_descriptions_pays_for_that_in_every_call),
        cmocka_unit_test(an_answer_that_was_not_tried_says_so),
        cmocka_unit_test(the_page_for_newcomers_says_what_the_matrix_says),
        cmocka_unit_test(a_cost_is_the_same_whatever_ran_before),
        cmocka_unit_test(a_column_the_lab_does_not_have_is_refused),
        cmocka_unit_test(the_draft_s_answers_are_about_our_experiments),
        cmocka_unit_test(several_answers_of_the_draft_are_told_apart),
        cmocka_unit_test(the_report_needs_nothing_from_elsewhere),
        cmocka_unit_test(the_report_has_words_for_every_judgement),
        cmocka_unit_test(the_report_can_be_read_without_eyes),
        cmocka_unit_test(the_same_seed_gives_the_same_messages_at_the_same_times),
        cmocka_unit_test(showing_too_much_is_caught),
        cmocka_unit_test(a_flattering_verdict_planted_in_an_attacked_call_fails),
        cmocka_unit_test(an_attacker_without_the_keys_hears_nothing_and_with_them_everything),
        cmocka_unit_test(phones_register_and_a_call_forks_to_all_contacts),
        cmocka_unit_test(a_redirect_goes_back_to_the_caller_unless_the_proxy_follows_it),
        cmocka_unit_test(what_is_said_is_known_again_and_nothing_else_is),
        cmocka_unit_test(address_translation_lets_in_what_was_asked_for),
        cmocka_unit_test(pinned_certificates_end_the_call_an_intermediary_would_hear),
    };

    return cmocka_run_group_tests(tests, open_lab, close_lab);
}
