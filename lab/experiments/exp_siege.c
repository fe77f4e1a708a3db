/* Attacks in other places and at other moments: in mid-call, on the second call, on best effort in
 * each form, on preconditions, with what was recorded. Draft 3.1, C.3, 4 R4, R16, R20. */
#include <stdio.h>
#include <string.h>

#include "ear.h"
#include "siege.h"

#include "ciphony/base_text.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

static const enum lab_meddling all[] = {
    LAB_MEDDLE_STRIP, LAB_MEDDLE_SUBSTITUTE, LAB_MEDDLE_WEAKEN,
    LAB_MEDDLE_BOTH,  LAB_MEDDLE_MEDIA,      LAB_MEDDLE_ROLES
};
enum { ALL = sizeof all / sizeof *all };

/* ---- in mid-call ----------------------------------------------------------------------------- */

static cph_err run_mid_call(const struct lab_case *c, struct lab_outcome *out)
{
    uint64_t heard = 0;
    unsigned flattered = 0;
    struct lab_feat f;

    for (unsigned prefer = 0; prefer < 2; prefer++)
        for (unsigned i = 0; i < ALL; i++) {
            struct lab_attack a = { .how = all[i],
                                    .when = LAB_MID_CALL,
                                    .security = prefer ? CPH_SECURITY_PREFER
                                                       : CPH_SECURITY_REQUIRED };
            bool show = !prefer && all[i] == LAB_MEDDLE_STRIP;

            CPH_TRY(lab_attacked(c, &a, &f, show ? "Keys stripped off a re-INVITE" : NULL));
            out->sessions++;
            flattered += f.flattered;
            if (all[i] != LAB_MEDDLE_BOTH && f.passive + f.active > heard)
                heard = f.passive + f.active;
        }
    lab_measure(out, "heard by who is in one place", "frames", (double)heard);
    lab_measure(out, "shown too much", "calls", flattered);
    lab_say(out,
            flattered ? "shown too much"
            : heard   ? "no"
                      : "yes",
            "of %u calls whose re-INVITE was attacked the most that was heard in one place is %llu "
            "frames; %u showed more than was true",
            out->sessions, (unsigned long long)heard, flattered);
    return CPH_OK;
}

const struct lab_experiment lab_exp_mid_call = {
    "mid-call", "4 R20", "Is a call with keys safe from who changes a later offer?", run_mid_call
};

/* ---- the second call ------------------------------------------------------------------------- */

static bool has_names(const struct lab_case *c)
{
    const struct lab_column *column = lab_column_find(c->keying);
    bool any = false;

    for (unsigned i = 0; column && column->keying[i]; i++)
        any |= strcmp(column->keying[i], "zrtp") == 0;
    return any;
}

/* He missed the first call, and is in the middle of the second; devices keep what they can. Where
 * they have names of their own (ZRTP) he says those of the first call or another: the worse counts.
 */
static cph_err run_second(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_attack a = { .how = LAB_MEDDLE_BOTH,
                            .when = LAB_SECOND_CALL,
                            .security = CPH_SECURITY_REQUIRED };
    unsigned long long heard = 0, checked = 0;
    bool flattered = false, noticed = true, warned = true, found = true;
    unsigned ways = has_names(c) ? 2 : 1;
    struct lab_feat loose, strict;

    for (unsigned i = 0; i < ways; i++) {
        a.old_zid = i == 1;
        a.pinned = false;
        CPH_TRY(lab_attacked(c, &a, &loose, i ? NULL : "In the middle of the second call"));
        a.pinned = true;
        CPH_TRY(lab_attacked(c, &a, &strict, NULL));
        heard += loose.active + loose.passive;
        checked += strict.active + strict.passive;
        flattered |= loose.flattered || strict.flattered;
        noticed &= loose.noticed;
        warned &= loose.warned;
        found &= strict.noticed;
    }
    out->sessions = 4 * ways;
    lab_measure(out, "heard", "frames", (double)heard);
    lab_measure(out, "heard, users check", "frames", (double)checked);
    lab_say(out,
            flattered    ? "shown too much"
            : heard == 0 ? "kept out"
            : noticed    ? "noticed"
            : warned     ? "warned"
            : found      ? "noticed if checked"
                         : "no",
            "who missed the first call and is in the middle of the second hears %llu frames; of "
            "users who check each other %llu",
            heard, checked);
    if (noticed)
        lab_add(out, "; he is noticed: %.90s", loose.why);
    else if (warned)
        lab_add(out, "; the phones warn of him, whatever name he has: %.90s...", loose.warning);
    return CPH_OK;
}

const struct lab_experiment lab_exp_second = {
    "second-call", "4 R4", "Is he noticed who missed the first call, and attacks the second?",
    run_second
};

/* ---- a call of users who checked each other -------------------------------------------------- */

/* They kept each other's certificates and compared their strings, once in their lives or whenever
 * they see one. Then somebody takes the call over. */
static cph_err run_taken_over(const struct lab_case *c, struct lab_outcome *out)
{
    unsigned heard = 0, noticed = 0, flattered = 0;
    enum cph_level shown = CPH_LEVEL_OPEN;
    struct lab_feat f;

    for (unsigned once = 0; once < 2; once++)
        for (unsigned i = 0; i < ALL; i++) {
            struct lab_attack a = { .how = all[i],
                                    .when = LAB_MID_CALL,
                                    .pinned = true,
                                    .once = once,
                                    .security = CPH_SECURITY_REQUIRED };
            bool show = once && all[i] == LAB_MEDDLE_BOTH;

            CPH_TRY(lab_attacked(c, &a, &f, show ? "A call of two who know each other" : NULL));
            out->sessions++;
            noticed += f.noticed;
            flattered += f.flattered;
            heard += f.passive + f.active > 0;
            if (f.passive + f.active > 0 && f.shown > shown)
                shown = f.shown;
        }
    lab_measure(out, "heard", "calls", heard);
    lab_measure(out, "noticed", "calls", noticed);
    lab_measure(out, "shown too much", "calls", flattered);
    lab_say(out,
            flattered ? "shown too much"
            : heard   ? cph_level_name(shown)
                      : "kept out",
            "of %u calls of users who had checked each other, taken over by a re-INVITE, %u were "
            "heard afterwards, and then shown at best as %s; in %u he was noticed",
            out->sessions, heard, heard ? cph_level_name(shown) : "nothing", noticed);
    return CPH_OK;
}

const struct lab_experiment lab_exp_taken_over = {
    "taken-over", "4 R20", "Users checked each other, then a call is taken over: what is shown?",
    run_taken_over
};

/* ---- answers that are none ------------------------------------------------------------------- */

struct false_answers {
    unsigned keyed, harmless, flattered;
    uint64_t own;
    char why[CPH_PHONE_WHY];
};

static cph_err answered_falsely(const struct lab_case *c, enum lab_meddling how, bool pinned,
                                struct false_answers *out)
{
    struct lab_attack a = { .how = how,
                            .when = how == LAB_MEDDLE_OLD ? LAB_SECOND_CALL : LAB_FROM_THE_START,
                            .pinned = pinned,
                            .security = CPH_SECURITY_REQUIRED };
    bool show = how == LAB_MEDDLE_MIRROR && !pinned;
    struct lab_feat f;

    CPH_TRY(lab_attacked(c, &a, &f, show ? "The caller's own offer comes back" : NULL));
    out->keyed += f.keyed && !f.stands;
    out->harmless += f.stands;
    out->flattered += f.flattered;
    out->own += f.own;
    if (f.why[0])
        memcpy(out->why, f.why, sizeof out->why);
    return CPH_OK;
}

/* The caller's own offer and packets come back to her as the callee's; or an answer does that was
 * recorded in an earlier call. */
static cph_err run_false_answer(const struct lab_case *c, struct lab_outcome *out)
{
    struct false_answers own = { 0 }, old = { 0 };

    for (unsigned pinned = 0; pinned < 2; pinned++) {
        CPH_TRY(answered_falsely(c, LAB_MEDDLE_MIRROR, pinned, &own));
        CPH_TRY(answered_falsely(c, LAB_MEDDLE_OLD, pinned, &old));
    }
    out->sessions = 6;
    lab_measure(out, "keys with herself", "of 2 calls", own.keyed);
    lab_measure(out, "of her own heard", "frames", (double)own.own);
    lab_measure(out, "an old answer: keys, no call", "of 2 calls", old.keyed);
    lab_measure(out, "... and a call all the same", "of 2 calls", old.harmless);
    lab_measure(out, "shown too much", "calls", own.flattered + old.flattered);
    lab_say(out,
            own.flattered + old.flattered ? "shown too much"
            : own.own                     ? "hears herself"
            : own.keyed || old.keyed      ? "keys, no call"
            : old.harmless                ? "no harm"
                                          : "refused",
            "with her own offer for an answer the caller has keys in %u of 2 calls and hears %llu "
            "frames of her own%s%.60s; with an answer of an earlier call %s",
            own.keyed, (unsigned long long)own.own, own.why[0] ? ": " : "", own.why,
            old.harmless ? "the call is as it would have been"
            : old.keyed  ? "she has keys that nobody else has"
                         : "she gets no keys");
    return CPH_OK;
}

const struct lab_experiment lab_exp_false_answer = {
    "false-answer", "4 R17", "Is the caller's own offer, or an old answer, taken for the answer?",
    run_false_answer
};

/* ---- best effort attacked -------------------------------------------------------------------- */

static cph_err run_forms_attacked(const struct lab_case *c, struct lab_outcome *out)
{
    unsigned heard = 0, flattered = 0;
    struct lab_feat f;

    for (int form = CPH_KEYING_FORM_OSRTP; form <= CPH_KEYING_FORM_PROBE; form++)
        for (unsigned i = 0; i < ALL; i++) {
            struct lab_attack a = { .how = all[i],
                                    .security = CPH_SECURITY_PREFER,
                                    .form = (enum cph_keying_form)form };
            bool show = form == CPH_KEYING_FORM_CAPNEG && all[i] == LAB_MEDDLE_STRIP;

            CPH_TRY(lab_attacked(c, &a, &f, show ? "Capabilities stripped off an offer" : NULL));
            out->sessions++;
            heard += f.passive + f.active > 0;
            flattered += f.flattered;
        }
    lab_measure(out, "heard", "calls", heard);
    lab_measure(out, "shown too much", "calls", flattered);
    lab_say(out, flattered ? "no" : "yes",
            "of %u calls in six forms, each attacked in %d ways, %u were heard, and %u showed more "
            "than was true",
            out->sessions, ALL, heard, flattered);
    return CPH_OK;
}

const struct lab_experiment lab_exp_forms_attacked = {
    "forms-attacked", "C.3", "Best effort attacked, in each form: is what is left shown as it is?",
    run_forms_attacked
};

/* ---- preconditions --------------------------------------------------------------------------- */

static cph_err run_precondition(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_attack a = { .security = CPH_SECURITY_REQUIRED,
                            .precondition = CPH_PRECONDITION_MANDATORY };
    unsigned rang = 0, flattered = 0;
    struct lab_feat honest, f;

    CPH_TRY(lab_attacked(c, &a, &honest, "Security preconditions (RFC 5027)"));
    for (unsigned i = 0; i < ALL; i++) {
        a.how = all[i];
        CPH_TRY(lab_attacked(c, &a, &f, NULL));
        rang += f.rang_without_keys;
        flattered += f.flattered;
    }
    out->sessions = 1 + ALL;
    lab_measure(out, "rang without keys, attacked", "calls", rang);
    lab_measure(out, "shown too much", "calls", flattered);
    if (!honest.stands)
        lab_say(out, "call fails", "even without an attack: %s", honest.why);
    else
        lab_say(out,
                honest.rang_without_keys ? "no"
                : rang                   ? "unless attacked"
                                         : "yes",
                "without an attack the phone rang %s; of %d calls attacked it rang in %u without "
                "keys; %u showed more than was true",
                honest.rang_without_keys ? "without keys" : "only with keys", ALL, rang, flattered);
    return CPH_OK;
}

const struct lab_experiment lab_exp_precondition = {
    "preconditions", "3.1", "With preconditions, does a phone ring only when there are keys?",
    run_precondition
};

/* ---- what was recorded ----------------------------------------------------------------------- */

/* The INVITE that came to Bob, as of a new call. */
static bool recorded_invite(const struct lab_stage *s, struct lab_packet *p, uint8_t copy[16384])
{
    static const char *const fresh[] = { "Call-ID: ", "branch=z9hG4bK" };
    struct cph_addr bob;

    if (cph_addr_parse_ip(cph_span_of(lab_person_ip(LAB_BOB)), &bob) != CPH_OK)
        return false;
    for (size_t i = 0; i < lab_trace_count(s->trace); i++) {
        *p = *lab_trace_at(s->trace, i);
        if (!cph_addr_ip_eq(&p->to, &bob) || p->kind != LAB_SIP || p->bytes.n > 16384 ||
            !cph_span_starts(p->bytes, "INVITE "))
            continue;
        memcpy(copy, p->bytes.p, p->bytes.n);
        p->bytes.p = copy;
        for (size_t k = 0; k < 2; k++) {
            uint8_t *at = memmem(copy, p->bytes.n, fresh[k], strlen(fresh[k]));

            if (at)
                at[strlen(fresh[k])] = at[strlen(fresh[k])] == 'x' ? 'y' : 'x';
        }
        return true;
    }
    return false;
}

static bool answered_since(const struct lab_stage *s, size_t from)
{
    struct cph_addr bob;
    bool any = false;

    if (cph_addr_parse_ip(cph_span_of(lab_person_ip(LAB_BOB)), &bob) != CPH_OK)
        return false;
    for (size_t i = from; i < lab_trace_count(s->trace); i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);

        any |= p->kind == LAB_SIP && cph_addr_ip_eq(&p->from, &bob) &&
               cph_span_starts(p->bytes, "SIP/2.0 200") && lab_sip_body(p->bytes).n > 0;
    }
    return any;
}

/* A call is recorded; when it is over its INVITE comes again, and Bob answers it. */
static cph_err run_offer_again(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_attack a = { .how = LAB_MEDDLE_STRIP, .security = CPH_SECURITY_REQUIRED };
    struct lab_feat f = { 0 };
    uint8_t copy[16384];
    struct lab_packet again;
    struct lab_ear *ear = NULL;
    struct lab_stage *s;
    size_t from = 0;
    bool came = false;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(2));
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_SEC(40)); /* the transaction is forgotten */
    if (err == CPH_OK)
        err = lab_ear_new(c->seed, &ear);
    if (err == CPH_OK && recorded_invite(s, &again, copy)) {
        lab_stage_forget(s);
        from = lab_trace_count(s->trace);
        err = lab_inject(s->net, &again.from, &again.to, again.bytes);
        if (err == CPH_OK)
            err = lab_stage_run(s, CPH_SEC(3));
        came = answered_since(s, from);
    }
    if (err == CPH_OK) {
        (void)lab_ear_read_signalling(ear, s->trace);
        lab_ear_listen(ear, s->trace, from);
        f.passive = lab_heard_total(lab_ear_heard(ear));
        lab_siege_look(s, &f);
        lab_siege_try(c, &a, &f);
        out->sessions = 2;
        lab_measure(out, "heard", "frames", (double)f.passive);
        lab_say(out,
                f.flattered ? "shown too much"
                : f.passive ? "heard"
                : came      ? "no keys"
                            : "refused",
                "an INVITE that was recorded, sent once more: the phone %s, and %llu frames of who "
                "answered were heard",
                came ? "answered it" : "refused it", (unsigned long long)f.passive);
        lab_case_show(c, s, "An INVITE of an earlier call comes again");
    }
    lab_ear_free(ear);
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_offer_again = {
    "offer-again", "4 R16", "Is an offer taken that was recorded in an earlier call?",
    run_offer_again
};
