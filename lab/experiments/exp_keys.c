/* Sessions without signalling around them: which keys, when, at what cost. Draft B.1, B.3, B.4,
 * 4 R19, R21, R22.
 */
#include "duo.h"
#include "lab.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "mikey_read.h"

/* ---- two-time pad ---------------------------------------------------------------------------- */

struct sample {
    uint8_t plain[LAB_FRAME], wire[LAB_WIRE];
    size_t n;
};

static bool same_pad(const struct sample *a, const struct sample *b)
{
    enum { HEAD = 12 };

    if (a->n < HEAD + LAB_FRAME || b->n < HEAD + LAB_FRAME)
        return false; /* that party refused to send */
    for (size_t i = 0; i < LAB_FRAME; i++)
        if ((a->wire[HEAD + i] ^ b->wire[HEAD + i]) != (a->plain[i] ^ b->plain[i]))
            return false;
    return true;
}

/* A caller and two answerers of its offer; how many pairs of packets share a keystream, and how
 * many could not send. */
static cph_err three(const struct lab_case *c, uint32_t callers, unsigned *pads, unsigned *refused)
{
    static const enum lab_person who[] = { LAB_ALICE, LAB_BOB, LAB_BOB2 };
    const uint32_t ssrc[] = { callers, LAB_SSRC_CALLED, LAB_SSRC_CALLED };
    struct sample sample[3];
    struct lab_duo *d;
    unsigned p[3];
    cph_err err;

    *pads = *refused = 0;
    CPH_TRY(lab_duo_new(&d));
    for (unsigned i = 0; i < 3; i++) {
        struct lab_party_config cfg = lab_party_usual(c->keying, c->seed, who[i]);

        cfg.ssrc = ssrc[i];
        err = lab_duo_add(d, &cfg, &p[i]);
        if (err != CPH_OK)
            goto out;
    }
    err = lab_duo_connect(d, p[0], p + 1, 2, false);
    if (err == CPH_OK)
        err = cph_session_choose(lab_duo_session(d, p[0]), 1);
    if (err == CPH_OK && cph_session_offer_wanted(lab_duo_session(d, p[0])))
        err = lab_duo_reoffer(d, p[0], p[1]); /* only the chosen one gets keys */
    if (err != CPH_OK)
        goto out;
    for (unsigned i = 0; i < 3; i++) {
        lab_speech_frame(c->seed, who[i], 0, sample[i].plain);
        lab_duo_protect(d, p[i], ssrc[i], 1, sample[i].plain, sample[i].wire, &sample[i].n);
        *refused += sample[i].n == 0;
    }
    for (unsigned i = 0; i < 3; i++)
        for (unsigned k = i + 1; k < 3; k++)
            *pads += same_pad(&sample[i], &sample[k]);
out:
    lab_duo_free(d);
    return err;
}

static cph_err run_pad(const struct lab_case *c, struct lab_outcome *out)
{
    unsigned pads, refused;
    bool all = true;

    CPH_TRY(three(c, LAB_SSRC_CALLED, &pads, &refused));
    if (refused == 3) { /* a mechanism may notice that the caller has it too */
        all = false;
        CPH_TRY(three(c, LAB_SSRC_CALLER, &pads, &refused));
    }
    out->sessions = all ? 2 : 4;
    lab_measure(out, "pairs under one keystream", "pairs", pads);
    if (refused == 3)
        lab_say(out, "call fails", "nobody had keys");
    else
        lab_say(out, pads ? "yes" : "no",
                "%s with the same SSRC: %u pairs of packets share a "
                "keystream%s%s",
                all ? "three senders" : "two answerers", pads,
                refused ? ", one sender refused to send" : "",
                all ? "" : "; with the caller's own SSRC the exchange refuses");
    return CPH_OK;
}

const struct lab_experiment lab_exp_pad = {
    "two-time-pad", "B.1", "Two branches choose the same SSRC: is a keystream used twice?", run_pad
};

/* ---- centralized keying ---------------------------------------------------------------------- */

/* The first packet of a mixer that draws the same random numbers each time, to this participant. */
static cph_err mixed(const struct lab_case *c, bool mixer_offers, enum lab_person who,
                     struct sample *out)
{
    struct lab_party_config mixer = lab_party_usual(c->keying, c->seed, LAB_CAROL),
                            user = lab_party_usual(c->keying, c->seed, who);
    struct lab_duo *d;
    unsigned m, u;
    cph_err err;

    memset(out, 0, sizeof *out);
    mixer.peer = who;
    user.peer = LAB_CAROL;
    user.ssrc = LAB_SSRC_CALLER;
    CPH_TRY(lab_duo_new(&d));
    err = lab_duo_add(d, &mixer, &m);
    if (err == CPH_OK)
        err = lab_duo_add(d, &user, &u);
    if (err == CPH_OK)
        err = mixer_offers ? lab_duo_connect(d, m, &u, 1, true)
                           : lab_duo_connect(d, u, &m, 1, true);
    if (err == CPH_OK) {
        lab_speech_frame(c->seed, LAB_CAROL, 0, out->plain);
        lab_duo_protect(d, m, LAB_SSRC_CALLED, 1, out->plain, out->wire, &out->n);
    }
    lab_duo_free(d);
    return err;
}

static bool same_wire(const struct sample *a, const struct sample *b)
{
    /* what was on the wire is public */
    return a->n > 0 && a->n == b->n && memcmp(a->wire, b->wire, a->n) == 0;
}

/* Is what the mixer sends to one encrypted with the keys it has towards another? Then one stream
 * serves all. And twice with the same one: where that differs, somebody drew for it, and a
 * difference between two tells nothing. */
static cph_err central(const struct lab_case *c, bool mixer_offers, struct lab_outcome *out)
{
    struct sample alice, bob, again;
    bool same, tried;

    CPH_TRY(mixed(c, mixer_offers, LAB_ALICE, &alice));
    CPH_TRY(mixed(c, mixer_offers, LAB_BOB, &bob));
    CPH_TRY(mixed(c, mixer_offers, LAB_ALICE, &again));
    out->sessions = 3;
    same = same_wire(&alice, &bob);
    tried = same_wire(&alice, &again);
    lab_measure(out, "the same draws, the same keys", "of 1", tried);
    if (alice.n == 0 || bob.n == 0)
        lab_say(out, "call fails", "the mixer had no keys");
    else if (same)
        lab_say(out, "yes",
                "the mixer alone decides its sending key: one encrypted stream can serve all "
                "participants");
    else
        lab_say(out, "no", "%s",
                tried ? "the participant has a part in the mixer's sending key: each needs a "
                        "stream of its own"
                      : "by what is specified, and not by trial: the library below draws for "
                        "itself, so that even two calls with one participant have other keys");
    return CPH_OK;
}

static cph_err run_central_mixer(const struct lab_case *c, struct lab_outcome *out)
{
    return central(c, true, out);
}

static cph_err run_central_user(const struct lab_case *c, struct lab_outcome *out)
{
    return central(c, false, out);
}

const struct lab_experiment lab_exp_central_mixer = {
    "central-mixer", "B.3", "The mixer offers: can one encrypted stream serve all?",
    run_central_mixer
};
const struct lab_experiment lab_exp_central_user = {
    "central-user", "B.3", "The participant offers: can one encrypted stream serve all?",
    run_central_user
};

/* ---- SSRC and ROC ---------------------------------------------------------------------------- */

static cph_err pair(const struct lab_case *c, struct lab_duo **d, unsigned p[2])
{
    struct lab_party_config a = lab_party_usual(c->keying, c->seed, LAB_ALICE),
                            b = lab_party_usual(c->keying, c->seed, LAB_BOB);
    cph_err err;

    CPH_TRY(lab_duo_new(d));
    err = lab_duo_add(*d, &a, &p[0]);
    if (err == CPH_OK)
        err = lab_duo_add(*d, &b, &p[1]);
    if (err == CPH_OK)
        err = lab_duo_connect(*d, p[0], &p[1], 1, true);
    if (err != CPH_OK)
        lab_duo_free(*d);
    return err;
}

/* Is this SSRC named in a description, openly or in a MIKEY message? */
static bool named(struct cph_span sdp, uint32_t ssrc)
{
    struct lab_mikey_names names;
    struct cph_span line;
    uint8_t raw[8192];
    char start[32];
    size_t n;

    (void)snprintf(start, sizeof start, "a=ssrc:%lu", (unsigned long)ssrc);
    while (cph_span_line(&sdp, &line)) {
        if (cph_span_starts(line, start))
            return true;
        if (!lab_mikey_line(line, raw, sizeof raw, &n) ||
            !lab_mikey_names((struct cph_span){ raw, n }, &names))
            continue;
        for (unsigned i = 0; i < names.n; i++)
            if (names.ssrc[i] == ssrc)
                return true;
    }
    return false;
}

static cph_err run_ssrc(const struct lab_case *c, struct lab_outcome *out)
{
    uint8_t plain[LAB_FRAME], wire[LAB_WIRE];
    bool first, second, told;
    struct lab_duo *d;
    unsigned p[2];
    size_t n;

    CPH_TRY(pair(c, &d, p));
    lab_speech_frame(c->seed, LAB_ALICE, 0, plain);
    lab_duo_protect(d, p[0], LAB_SSRC_CALLER, 1, plain, wire, &n);
    first = lab_duo_take(d, p[1], p[0], wire, n, plain);
    for (uint16_t seq = 1; seq <= 4; seq++) /* the first three may announce it; they are lost */
        lab_duo_protect(d, p[0], LAB_SSRC_CALLER + 1, seq, plain, wire, &n);
    second = lab_duo_take(d, p[1], p[0], wire, n, plain);
    told = named(lab_duo_said(d, p[0]), LAB_SSRC_CALLER);
    lab_duo_free(d);
    out->sessions = 1;
    if (!first)
        lab_say(out, "call fails", "not even the first SSRC was understood");
    else
        lab_say(out, told || !second ? "signalled" : "late binding", "the description %s; %s",
                told ? "names the SSRC" : "does not name the SSRC",
                second ? "an SSRC nobody announced is bound by its first packet"
                       : "an SSRC nobody announced is refused");
    return CPH_OK;
}

const struct lab_experiment lab_exp_ssrc = { "ssrc", "B.4", "How does the receiver learn the SSRC?",
                                             run_ssrc };

/* Two packets around the roll-over are lost. Then comes another; and, if that was of no use,
 * another offer and answer, which may say the counter, and one more packet. */
static cph_err run_roc(const struct lab_case *c, struct lab_outcome *out)
{
    uint8_t plain[LAB_FRAME], wire[LAB_WIRE];
    bool sent, late, after = false;
    struct lab_duo *d;
    unsigned p[2];
    size_t n;
    cph_err err = CPH_OK;

    CPH_TRY(pair(c, &d, p));
    lab_speech_frame(c->seed, LAB_ALICE, 0, plain);
    lab_duo_protect(d, p[0], LAB_SSRC_CALLER, 65535, plain, wire, &n); /* never delivered */
    lab_duo_protect(d, p[0], LAB_SSRC_CALLER, 0, plain, wire, &n);
    lab_duo_protect(d, p[0], LAB_SSRC_CALLER, 1, plain, wire, &n);
    sent = n > 0;
    late = lab_duo_take(d, p[1], p[0], wire, n, plain);
    if (sent && !late) {
        err = lab_duo_reoffer(d, p[0], p[1]);
        lab_duo_protect(d, p[0], LAB_SSRC_CALLER, 2, plain, wire, &n);
        after = lab_duo_take(d, p[1], p[0], wire, n, plain);
    }
    lab_duo_free(d);
    out->sessions = 1;
    if (!sent)
        lab_say(out, "call fails", "nobody had keys");
    else
        lab_say(out, late || after ? "signalled" : "not signalled",
                late    ? "a receiver that missed the roll-over still decrypts"
                : after ? "a receiver that missed the roll-over decrypts after the next offer and "
                          "answer, which say the counter"
                        : "a receiver that missed the roll-over cannot decrypt: it takes the "
                          "counter for 0, and another offer and answer do not help");
    return err;
}

const struct lab_experiment lab_exp_roc = {
    "roc", "B.4", "Does a receiver that missed the roll-over learn the counter?", run_roc
};

/* ---- agility --------------------------------------------------------------------------------- */

static cph_err run_agility(const struct lab_case *c, struct lab_outcome *out)
{
    char seen[8][CPH_FACT_TEXT];
    unsigned different = 0, aes = 0;

    for (unsigned i = 0; i < 8 && cph_keying_suites[i]; i++) {
        const char *one[] = { cph_keying_suites[i], NULL };
        struct lab_party_config a = lab_party_usual(c->keying, c->seed, LAB_ALICE),
                                b = lab_party_usual(c->keying, c->seed, LAB_BOB);
        struct cph_verdict v;
        struct lab_duo *d;
        unsigned p[2], k = 0;
        cph_err err;

        a.suites = b.suites = one;
        CPH_TRY(lab_duo_new(&d));
        err = lab_duo_add(d, &a, &p[0]);
        if (err == CPH_OK)
            err = lab_duo_add(d, &b, &p[1]);
        if (err == CPH_OK && lab_duo_connect(d, p[0], &p[1], 1, true) == CPH_OK &&
            lab_duo_keyed(d, p[0])) {
            cph_session_verdict(lab_duo_session(d, p[0]), &v);
            while (k < different && strcmp(seen[k], v.stream[0].suite) != 0)
                k++;
            if (k == different) {
                memcpy(seen[different++], v.stream[0].suite, CPH_FACT_TEXT);
                aes += strstr(v.stream[0].suite, "AES_") != NULL; /* with SHA-1 or GMAC */
            }
        }
        lab_duo_free(d);
        CPH_TRY(err);
        out->sessions++;
    }
    lab_measure(out, "suites", "suites", different);
    lab_measure(out, "of them AES", "suites", aes);
    lab_say(out, different > 1 ? "yes" : "no",
            "configured one session at a time, %u different suites were agreed on", different);
    return CPH_OK;
}

const struct lab_experiment lab_exp_agility = { "agility", "4 R19, R21",
                                                "Can each session choose its own algorithms?",
                                                run_agility };

static cph_err run_no_sip(const struct lab_case *c, struct lab_outcome *out)
{
    uint8_t plain[LAB_FRAME], wire[LAB_WIRE];
    struct lab_duo *d;
    unsigned p[2];
    size_t n;
    bool ok;

    CPH_TRY(pair(c, &d, p));
    lab_speech_frame(c->seed, LAB_BOB, 0, plain);
    lab_duo_protect(d, p[1], LAB_SSRC_CALLED, 1, plain, wire, &n);
    ok = lab_duo_take(d, p[0], p[1], wire, n, plain);
    lab_duo_free(d);
    out->sessions = 1;
    lab_say(out, ok ? "yes" : "no",
            "two sessions that exchanged their descriptions without any "
            "SIP %s each other",
            ok ? "understand" : "do not understand");
    return CPH_OK;
}

const struct lab_experiment lab_exp_no_sip = { "no-sip", "4 R22",
                                               "Does it work under another signalling protocol?",
                                               run_no_sip };
