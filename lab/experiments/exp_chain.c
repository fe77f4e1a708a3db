/* Several servers in a row: Alice - one - two - three - Bob, four hops, and one of them in clear.
 */
#include "lab.h"

#include <stdio.h>

#include "ear.h"
#include "meddler.h"

enum { SERVERS = 3, HOPS = SERVERS + 1, MIDDLE = 1, ALL_TLS = HOPS };

struct seen {
    bool stands;
    enum cph_level caller, callee; /* the best each was shown */
    uint64_t heard;                /* frames, by who listens to every wire */
    char why[CPH_PHONE_WHY];
};

static const char *const meddling[] = { [LAB_MEDDLE_NOT] = "nobody meddles",
                                        [LAB_MEDDLE_STRIP] = "offers stripped",
                                        [LAB_MEDDLE_SUBSTITUTE] = "keys changed",
                                        [LAB_MEDDLE_BOTH] = "in the middle of both" };

/* Ended for a reason other than that the user hung up, keys or not. */
static bool said_so(const struct lab_stage_person *p)
{
    return p->ended && p->cause != CPH_OK && p->cause != CPH_E_NOKEY;
}

static cph_err look(const struct lab_case *c, const struct lab_stage *s, enum lab_meddling how,
                    const struct lab_meddler_feat *feat, struct seen *out)
{
    const struct lab_stage_person *a = &s->person[LAB_ALICE], *b = &s->person[LAB_BOB];
    struct lab_ear *ear;
    char what[64];

    CPH_TRY(lab_ear_new(c->seed, &ear));
    (void)lab_ear_read_signalling(ear, s->trace); /* what goes over TLS it cannot read */
    lab_ear_listen(ear, s->trace, 0);
    out->heard = lab_heard_total(lab_ear_heard(ear));
    lab_ear_free(ear);
    out->stands = lab_stage_heard(s, LAB_ALICE, LAB_BOB);
    out->caller = a->shown;
    out->callee = b->shown;
    (void)snprintf(out->why, sizeof out->why, "%s", a->why[0] ? a->why : b->why);
    (void)snprintf(what, sizeof what, "hop %u of %u in clear, %s",
                   s->cfg.chain.clear ? (unsigned)MIDDLE : 0U, (unsigned)HOPS, meddling[how]);
    lab_trial_add(c, what,
                  &(struct lab_verdict_case){ .passive = out->heard,
                                              .active = lab_heard_total(&feat->heard),
                                              .server = how != LAB_MEDDLE_NOT,
                                              .media = how == LAB_MEDDLE_BOTH,
                                              .domain = true,
                                              .noticed = said_so(a) || said_so(b),
                                              .shown = a->shown > b->shown ? a->shown : b->shown,
                                              .shown_class = a->shown_class > b->shown_class
                                                                 ? a->shown_class
                                                                 : b->shown_class });
    return CPH_OK;
}

/* A call over three servers, hop `clear` of the way in clear, and perhaps somebody at its end who
 * changes what passes there. */
static cph_err call(const struct lab_case *c, unsigned clear, enum lab_meddling how,
                    const char *show, struct seen *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, 1U << LAB_ALICE | 1U << LAB_BOB);
    struct lab_meddler_feat feat;
    struct lab_meddler *m;
    struct lab_stage *s = NULL;
    cph_err err;

    CPH_TRY(lab_meddler_new(how, c->keying, c->seed, &m));
    lab_meddler_place(m, &cfg);
    cfg.tls = true;
    cfg.chain = (struct lab_chain){ .servers = SERVERS,
                                    .clear = clear < HOPS ? 1U << clear : 0,
                                    .meddler = clear < SERVERS ? clear : SERVERS - 1 };
    err = lab_stage_open(&cfg, &s);
    if (err == CPH_OK && how != LAB_MEDDLE_NOT)
        err = lab_meddler_start(m, s);
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK) {
        feat = lab_meddler_feat(m);
        err = look(c, s, how, &feat, out);
    }
    if (err == CPH_OK && show)
        lab_case_show(c, s, show);
    lab_stage_close(s);
    lab_meddler_free(m);
    return err;
}

static void conclude(const struct seen *tls, const struct seen *clear, struct lab_outcome *out)
{
    const char *heard = clear->heard ? "heard" : "safe";

    lab_say(out, "",
            "with TLS on all %u hops the caller is shown %s, the callee %s; with one hop in clear "
            "between two servers %s and %s, and who listens there and to the media hears %llu "
            "frames",
            HOPS, cph_level_name(tls->caller), cph_level_name(tls->callee),
            cph_level_name(clear->caller), cph_level_name(clear->callee),
            (unsigned long long)clear->heard);
    if (clear->caller == clear->callee)
        (void)snprintf(out->answer, sizeof out->answer, "%s, %s", cph_level_name(clear->caller),
                       heard);
    else
        (void)snprintf(out->answer, sizeof out->answer, "%s/%s, %s", cph_level_name(clear->caller),
                       cph_level_name(clear->callee), heard);
}

static cph_err run_chain(const struct lab_case *c, struct lab_outcome *out)
{
    static const enum lab_meddling more[] = { LAB_MEDDLE_STRIP, LAB_MEDDLE_SUBSTITUTE,
                                              LAB_MEDDLE_BOTH };
    static const char *const hop[HOPS] = { "heard, first hop clear", "heard, second hop clear",
                                           "heard, third hop clear", "heard, last hop clear" };
    struct seen tls, middle = { 0 }, ignored;

    CPH_TRY(call(c, ALL_TLS, LAB_MEDDLE_NOT, NULL, &tls));
    lab_measure(out, "heard, TLS on every hop", "frames", (double)tls.heard);
    for (unsigned i = 0; i < HOPS; i++) {
        struct seen seen;

        CPH_TRY(call(c, i, LAB_MEDDLE_NOT,
                     i == MIDDLE ? "Three servers, the hop between the first two in clear" : NULL,
                     &seen));
        lab_measure(out, hop[i], "frames", (double)seen.heard);
        if (i == MIDDLE)
            middle = seen;
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        CPH_TRY(call(c, MIDDLE, more[i], NULL, &ignored)); /* for the trial of the verdict */
    out->sessions = 1 + HOPS + sizeof more / sizeof *more;
    if (tls.stands && middle.stands)
        conclude(&tls, &middle, out);
    else
        lab_say(out, "call fails", "%s", tls.stands ? middle.why : tls.why);
    return CPH_OK;
}

const struct lab_experiment lab_exp_chain = {
    "chain", "A.1.8", "Three servers, one hop between them in clear: what is shown, who hears?",
    run_chain
};
