/* Packets sent again or made up, and an authority that both trust: draft-wing-... 4 R16 to R18. */
#include "lab.h"

#include <stdio.h>

#include "forger.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

/* What the caller is shown of a call between two users who keep nothing of each other. */
static cph_err shown(const struct lab_case *c, bool tls, bool issued, enum cph_level *level)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s;
    cph_err err;

    *level = CPH_LEVEL_OPEN;
    cfg.strangers = !issued;
    cfg.direct = cfg.tls = cfg.issued = tls;
    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_E_CONFIG || err == CPH_E_NOTFOUND) /* no offer can be made: no call */
        err = CPH_OK;
    if (err == CPH_OK && lab_stage_heard(s, LAB_ALICE, LAB_BOB))
        *level = s->person[LAB_ALICE].shown;
    if (tls)
        lab_case_show(c, s, "Certificates of one authority, signalling over TLS");
    lab_stage_close(s);
    return err;
}

/* The same authority signed the certificates of both: in the keying itself, where that can show
 * one, or over TLS from phone to phone. Is more known of the peer than without? */
static cph_err run_shared(const struct lab_case *c, struct lab_outcome *out)
{
    enum cph_level without, keying, tls, with;

    CPH_TRY(shown(c, false, false, &without));
    CPH_TRY(shown(c, false, true, &keying));
    CPH_TRY(shown(c, true, true, &tls));
    with = keying > tls ? keying : tls;
    out->sessions = 3;
    lab_measure(out, "without an authority", "0 to 4", without);
    lab_measure(out, "certificates in the keying", "0 to 4", keying);
    lab_measure(out, "... in TLS", "0 to 4", tls);
    lab_say(out, with >= CPH_LEVEL_IDENTIFIED && with > without ? "yes" : "no",
            "without an authority the phones show %s; with certificates of the same one %s, and %s "
            "over TLS from phone to phone",
            cph_level_name(without), cph_level_name(keying), cph_level_name(tls));
    return CPH_OK;
}

const struct lab_experiment lab_exp_shared = { "shared-authority", "4 R18",
                                               "Is an authority that both trust of use?",
                                               run_shared };

/* ---- replay and injection -------------------------------------------------------------------- */

/* What he recorded goes to Alice once more in a second: Bob's packets, or her own as Bob's. How
 * many her phone took beyond what Bob sent meanwhile. */
static cph_err once_more(struct lab_stage *s, enum lab_person whose, size_t n, uint64_t *again,
                         uint64_t *taken)
{
    const struct lab_stage_person *a = &s->person[LAB_ALICE], *b = &s->person[LAB_BOB];
    uint64_t said = b->said.frames[LAB_BOB];
    struct cph_phone_status before, after;
    struct cph_addr from;

    *again = *taken = 0;
    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(whose)), &from));
    CPH_TRY(cph_phone_status(a->phone, a->call, lab_now(s->net), &before));
    for (size_t i = 0; i < n; i++) {
        struct lab_packet p = *lab_trace_at(s->trace, i); /* the record may move while it grows */
        bool own = whose == LAB_ALICE;

        if (!cph_addr_ip_eq(&p.from, &from) || p.kind == LAB_SIP || p.stream ||
            (own && p.kind == LAB_KEYING))
            continue;
        CPH_TRY(lab_inject(s->net, own ? &p.to : &p.from, own ? &p.from : &p.to, p.bytes));
        (*again)++;
    }
    CPH_TRY(lab_stage_run(s, CPH_SEC(1)));
    CPH_TRY(cph_phone_status(a->phone, a->call, lab_now(s->net), &after));
    *taken = after.media.packets_in - before.media.packets_in - (b->said.frames[LAB_BOB] - said);
    return CPH_OK;
}

/* He has recorded a call and now sends every packet of the callee once more, while it goes on, and
 * then the caller's own back to her as the callee's. */
static cph_err run_replay(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    uint64_t again = 0, taken = 0, back = 0, own = 0, heard;
    const struct lab_stage_person *a;
    struct lab_stage *s;
    size_t n;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    a = &s->person[LAB_ALICE];
    err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_SEC(2));
    n = lab_trace_count(s->trace);
    heard = a->heard.frames[LAB_BOB];
    if (err == CPH_OK)
        err = once_more(s, LAB_BOB, n, &again, &taken);
    if (err == CPH_OK)
        err = once_more(s, LAB_ALICE, n, &back, &own);
    if (err == CPH_OK) {
        heard = a->heard.frames[LAB_BOB] - heard;
        lab_measure(out, "sent again", "packets", (double)again);
        lab_measure(out, "taken twice", "packets", (double)taken);
        lab_measure(out, "sent back", "packets", (double)back);
        lab_measure(out, "taken back", "packets", (double)own);
        lab_say(
            out,
            a->ended || heard < 80 ? "call ends"
            : taken + own          ? "taken"
                                   : "refused",
            "of %llu packets sent again the phone took %llu, of %llu of its own sent back %llu, "
            "and went on to hear %llu frames in the two seconds after",
            (unsigned long long)again, (unsigned long long)taken, (unsigned long long)back,
            (unsigned long long)own, (unsigned long long)heard);
    }
    out->sessions = 1;
    lab_case_show(c, s, "Every packet of the callee once more");
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_replay = { "replay", "4 R16",
                                               "Are recorded packets, sent again or back, taken?",
                                               run_replay };

struct injected {
    uint64_t his, after; /* frames of his that Alice heard, and of Bob's in the two seconds after */
    bool any;
};

/* While they talk, or while it still rings at Bob's. Who heard him in Bob's place is told no more
 * than that a stranger on the path could do it. */
static cph_err inject(const struct lab_case *c, enum cph_security security, bool early,
                      const char *show, struct injected *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    const struct lab_stage_person *a;
    struct lab_stage *s;
    char what[80];
    cph_err err;

    cfg.security = security;
    CPH_TRY(lab_stage_open(&cfg, &s));
    a = &s->person[LAB_ALICE];
    if (early) {
        s->person[LAB_BOB].callee = LAB_ANSWERS_LATER;
        s->person[LAB_BOB].later = CPH_MS(1500);
    }
    err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
    if (err == CPH_OK)
        err = lab_stage_run(s, early ? CPH_MS(100) : CPH_SEC(2));
    if (err == CPH_OK)
        err = early ? lab_forge_early(s, LAB_BOB, LAB_ALICE) : lab_forge(s, LAB_BOB, &out->any);
    if (err == CPH_OK && early)
        err = lab_stage_run(s, CPH_SEC(1)); /* until Bob has answered */
    out->after = a->heard.frames[LAB_BOB];
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_SEC(2));
    out->his = a->heard.frames[LAB_MALLORY];
    out->after = a->heard.frames[LAB_BOB] - out->after;
    (void)snprintf(what, sizeof what, "frames made up %s, %s",
                   early ? "before the answer" : "in a call", cph_security_name(security));
    lab_trial_add(
        c, what,
        &(struct lab_verdict_case){
            .active = out->his, .media = true, .shown = a->shown, .shown_class = a->shown_class });
    if (show)
        lab_case_show(c, s, show);
    lab_stage_close(s);
    return err;
}

static cph_err run_inject(const struct lab_case *c, struct lab_outcome *out)
{
    struct injected talk = { 0 }, early = { 0 }, open = { 0 };

    CPH_TRY(inject(c, CPH_SECURITY_REQUIRED, false, "Frames of somebody else in the callee's name",
                   &talk));
    CPH_TRY(inject(c, CPH_SECURITY_REQUIRED, true, NULL, &early));
    CPH_TRY(inject(c, CPH_SECURITY_PREFER, true, NULL, &open));
    out->sessions = 3;
    lab_measure(out, "of his frames heard", "frames", (double)talk.his);
    lab_measure(out, "of bob's afterwards", "frames", (double)talk.after);
    lab_measure(out, "of his before the answer", "frames", (double)early.his);
    lab_measure(out, "... under best effort", "frames", (double)open.his);
    if (!talk.any)
        lab_say(out, "call fails", "there was no media to imitate");
    else
        lab_say(out,
                talk.his + early.his ? "heard"
                : talk.after > 50    ? "refused"
                                     : "call ends",
                "of 50 frames in clear and 50 with a made-up tag alice heard %llu, of bob %llu "
                "in the two seconds after; of 50 in clear before the answer %llu (%llu under best "
                "effort)",
                (unsigned long long)talk.his, (unsigned long long)talk.after,
                (unsigned long long)early.his, (unsigned long long)open.his);
    return CPH_OK;
}

const struct lab_experiment lab_exp_inject = {
    "injection", "4 R17", "Are frames heard that somebody on the media path made up?", run_inject
};
