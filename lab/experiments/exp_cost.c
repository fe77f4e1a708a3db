/* What an offer and a second call cost: draft C.4, 4 R4, R11. */
#include "duo.h"
#include "lab.h"

/* ---- cost ------------------------------------------------------------------------------------ */

static cph_err offer_cost(const struct lab_case *c, unsigned suites, unsigned *ops)
{
    const char *list[8] = { NULL };
    struct lab_party_config a = lab_party_usual(c->keying, c->seed, LAB_ALICE);
    struct lab_count before, after;
    struct lab_duo *d;
    unsigned p;
    cph_err err;

    for (unsigned i = 0; i < suites && i < 7 && cph_keying_suites[i]; i++)
        list[i] = cph_keying_suites[i];
    a.suites = list;
    CPH_TRY(lab_duo_new(&d));
    (void)lab_column_cert(lab_column_find(c->keying), LAB_ALICE); /* made once for all */
    (void)lab_column_cert(lab_column_find(c->keying), LAB_BOB);
    before = lab_count_now();
    err = lab_duo_add(d, &a, &p);
    if (err == CPH_OK)
        err = lab_duo_offer(d, p);
    after = lab_count_now();
    *ops = lab_count_between(&before, &after);
    lab_duo_free(d);
    return err;
}

static cph_err run_offer_cost(const struct lab_case *c, struct lab_outcome *out)
{
    static const char *const name[] = { "1 suite", "2 suites", "3 suites", "4 suites" };
    unsigned ops[4];

    CPH_TRY(offer_cost(c, 1, &ops[0])); /* keys that are made when first asked for are made now */
    for (unsigned i = 0; i < 4; i++) {
        CPH_TRY(offer_cost(c, i + 1, &ops[i]));
        lab_measure(out, name[i], "public-key operations", ops[i]);
    }
    out->sessions = 4;
    if (ops[3] == 0)
        lab_say(out, "none",
                "an offer costs no public-key operation and begins no handshake, "
                "whatever it offers");
    else if (ops[3] == ops[0])
        lab_say(out, "constant",
                "%u public-key operations for each offer, however many suites it "
                "has",
                ops[0]);
    else
        lab_say(out, "per suite", "%u public-key operations with one suite, %u with four", ops[0],
                ops[3]);
    return CPH_OK;
}

const struct lab_experiment lab_exp_offer_cost = {
    "offer-cost", "C.4", "Public-key operations for an offer, as suites are added", run_offer_cost
};

/* Handshakes of these two that had no public-key operation. */
static unsigned resumed(struct lab_duo *d, const unsigned p[2])
{
    struct cph_verdict v;
    unsigned n = 0;

    for (unsigned i = 0; i < 2; i++) {
        cph_session_verdict(lab_duo_session(d, p[i]), &v);
        for (unsigned k = 0; k < v.reasons_n; k++)
            n += v.reason[k].code == CPH_REASON_RESUMED;
    }
    return n;
}

/* Two calls, one after the other, of users who checked each other in the first. */
static cph_err run_resume(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_party_config a = lab_party_usual(c->keying, c->seed, LAB_ALICE),
                            b = lab_party_usual(c->keying, c->seed, LAB_BOB);
    unsigned ops[2], p[2], keyed = 0, taken_up = 0;
    struct lab_duo *d;
    cph_err err;

    a.resume = b.resume = true;
    CPH_TRY(lab_duo_new(&d));
    err = lab_duo_add(d, &a, &p[0]);
    if (err == CPH_OK)
        err = lab_duo_add(d, &b, &p[1]);
    for (unsigned i = 0; i < 2 && err == CPH_OK; i++) {
        struct lab_count before = lab_count_now(), after;

        if (i > 0)
            err = lab_duo_again(d);
        if (err == CPH_OK)
            err = lab_duo_connect(d, p[0], &p[1], 1, true);
        after = lab_count_now();
        ops[i] = lab_count_between(&before, &after) - resumed(d, p);
        taken_up += resumed(d, p);
        for (unsigned k = 0; k < 2 && err == CPH_OK; k++) {
            keyed += lab_duo_keyed(d, p[k]);
            (void)!cph_session_sas_compared(lab_duo_session(d, p[k]),
                                            true); /* where there is one */
        }
    }
    lab_duo_free(d);
    CPH_TRY(err);
    out->sessions = 2;
    lab_measure(out, "first call", "operations and handshakes", ops[0]);
    lab_measure(out, "second call", "operations and handshakes", ops[1]);
    if (keyed < 4)
        lab_say(out, "call fails", "nobody had keys");
    else if (ops[0] == 0)
        lab_say(out, "not needed", "a call costs no public-key operation");
    else
        lab_say(out, ops[1] < ops[0] ? "yes" : "no",
                "first call between the two: %u operations and handshakes, second: %u%s", ops[0],
                ops[1],
                taken_up ? "; only if both ask for it (--resume), and the verdict says so" : "");
    return CPH_OK;
}

const struct lab_experiment lab_exp_resume = { "resumption", "4 R4, R11",
                                               "Is a second call between the same two cheaper?",
                                               run_resume };
