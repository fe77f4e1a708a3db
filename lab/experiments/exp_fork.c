/* Forking and retargeting: draft-wing-media-security-requirements-05 3.2, B.1. */
#include "lab.h"

#include <stdio.h>
#include <string.h>

#include "ear.h"

enum { A = 1 << LAB_ALICE, B = 1 << LAB_BOB, B2 = 1 << LAB_BOB2, C = 1 << LAB_CAROL };

/* What somebody who held the offer but was not answered can make of the media: with the offer
 * alone, and with the long-term keys that he has besides. */
struct overheard {
    uint64_t offer, keys;
};

static cph_err overheard(const struct lab_stage *s, const struct lab_case *c, enum lab_person who,
                         struct overheard *out)
{
    struct cph_span offer = lab_stage_sdp(s, lab_person_ip(LAB_ALICE), false, 0);
    struct lab_pretence p = { s, c->keying, who, offer, lab_person_ip(LAB_ALICE) };
    struct lab_heard heard = { 0 };

    *out = (struct overheard){ 0 };
    CPH_TRY(lab_pretend(&p, &heard));
    for (unsigned own = 0; own < 2; own++) {
        struct lab_ear *ear;

        CPH_TRY(lab_ear_new(c->seed, &ear));
        if (own)
            lab_ear_steal(ear, who); /* nothing was stolen: they are his */
        (void)lab_ear_read_sdp(ear, offer);
        lab_ear_listen(ear, s->trace, 0);
        *(own ? &out->keys : &out->offer) = lab_heard_total(lab_ear_heard(ear));
        lab_ear_free(ear);
    }
    if (lab_heard_total(&heard) > out->keys)
        out->keys = lab_heard_total(&heard);
    return CPH_OK;
}

static void judge(const struct lab_stage *s, const struct lab_case *c, struct lab_outcome *out,
                  enum lab_person answered, const struct overheard *o, const char *who)
{
    const struct lab_stage_person *a = &s->person[LAB_ALICE];

    out->sessions = 1;
    lab_measure(out, "overheard with the offer alone", "frames", (double)o->offer);
    lab_measure(out, "overheard with his keys", "frames", (double)o->keys);
    if (!lab_stage_heard(s, LAB_ALICE, answered)) {
        lab_say(out, "call fails", "alice and %s did not hear each other: %s",
                lab_person_name(answered), a->why);
        return;
    }
    lab_trial_add(c, who,
                  &(struct lab_verdict_case){ .passive = o->offer,
                                              .peer = o->keys && !o->offer,
                                              .shown = a->shown,
                                              .shown_class = a->shown_class });
    if (o->keys)
        lab_say(out, "no", "%s decrypted %llu frames of the call with the offer%s", who,
                (unsigned long long)o->keys, o->offer ? " alone" : " and its own long-term keys");
    else
        lab_say(out, "yes", "%s held the offer and decrypted nothing", who);
}

/* ---- forking --------------------------------------------------------------------------------- */

static cph_err run_forking(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, A | B | B2);
    struct lab_stage *s;
    struct overheard o;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    s->person[LAB_BOB].callee = LAB_ANSWERS_LATER;
    s->person[LAB_BOB].later = CPH_MS(500);
    s->person[LAB_BOB2].callee = LAB_RINGS;
    err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK)
        err = overheard(s, c, LAB_BOB2, &o);
    if (err == CPH_OK) {
        judge(s, c, out, LAB_BOB, &o, "the phone that only rang");
        lab_case_show(c, s, "Forking: two phones ring, one is answered");
    }
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_forking = { "forking", "B.1",
                                                "Is a phone that only rang unable to listen?",
                                                run_forking };

/* ---- retargeting ----------------------------------------------------------------------------- */

static cph_err sent_on(const struct lab_case *c, enum lab_person to, struct lab_outcome *out,
                       char why[CPH_PHONE_WHY])
{
    struct lab_stage_config cfg = lab_stage_usual(c, A | 1U << to);
    char contact[64];
    struct lab_redirect *r = NULL;
    struct lab_stage *s;
    struct overheard o;
    cph_err err;

    cfg.proxy.recurse = true;
    cfg.unlisted = B2;
    CPH_TRY(lab_stage_open(&cfg, &s));
    (void)snprintf(contact, sizeof contact, "sip:%s@%s:5060", lab_person_user(to),
                   lab_person_ip(to));
    lab_trace_name(s->trace, lab_person_ip(LAB_BOB), "bob");
    err = lab_redirect_new(s->net, lab_person_ip(LAB_BOB), contact, &r);
    if (err == CPH_OK)
        err = lab_proxy_add(s->proxy, "bob", "sip:bob@10.0.0.2:5060");
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK)
        err = overheard(s, c, LAB_BOB, &o);
    if (err == CPH_OK) {
        judge(s, c, out, to, &o, "the first target, which sent the call on,");
        lab_case_show(c, s, "Retargeting: bob sends the call on (302)");
        (void)snprintf(why, CPH_PHONE_WHY, "%s", s->person[to].why);
    }
    lab_redirect_free(r);
    lab_stage_close(s);
    return err;
}

/* Sent on to somebody else, and if those two cannot be keyed, to another phone of who was called.
 */
static cph_err run_retargeting(const struct lab_case *c, struct lab_outcome *out)
{
    char why[CPH_PHONE_WHY] = "", ignored[CPH_PHONE_WHY];

    CPH_TRY(sent_on(c, LAB_CAROL, out, why));
    if (strcmp(out->answer, "call fails") == 0) {
        out->n_values = 0;
        CPH_TRY(sent_on(c, LAB_BOB2, out, ignored));
        out->sessions = 2;
        lab_add(out, "; sent on to carol the call fails, her phone says: %.80s", why);
    }
    return CPH_OK;
}

const struct lab_experiment lab_exp_retargeting = {
    "retargeting", "B.1", "Is the first target of a forwarded call unable to listen?",
    run_retargeting
};

/* Carol is willing, and has all that the mechanism asks of her, but is not who was called; Bob's
 * other phone differs from hers in that alone. */
static cph_err run_forwarding(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_outcome another = { 0 }, same = { 0 };
    char why[CPH_PHONE_WHY] = "", ignored[CPH_PHONE_WHY];
    bool to_another, to_same;

    CPH_TRY(sent_on(c, LAB_CAROL, &another, why));
    CPH_TRY(sent_on(c, LAB_BOB2, &same, ignored));
    to_another = strcmp(another.answer, "call fails") != 0;
    to_same = strcmp(same.answer, "call fails") != 0;
    out->sessions = 2;
    if (to_another && to_same)
        lab_say(out, "yes",
                "sent on to another user the call is keyed and heard, as it is sent on "
                "to another phone of the one called");
    else if (to_same)
        lab_say(
            out, "only to who was called",
            "sent on to another phone of the one called the call is keyed and heard, to another "
            "user it is refused: %.120s",
            why);
    else
        lab_say(out, "no", "%.180s", same.detail);
    return CPH_OK;
}

const struct lab_experiment lab_exp_forwarding = {
    "forwarding", "B.1", "Does a call that is sent on to another user come about?", run_forwarding
};

/* ---- who answered ---------------------------------------------------------------------------- */

struct seen {
    bool heard;
    enum cph_level level;
};

static cph_err who_answered(const struct lab_case *c, bool pinned, const char *show,
                            struct seen *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, A | C);
    struct lab_redirect *r = NULL;
    struct lab_stage *s;
    cph_err err;

    cfg.proxy.recurse = true;
    cfg.pinned = pinned;
    CPH_TRY(lab_stage_open(&cfg, &s));
    lab_trace_name(s->trace, lab_person_ip(LAB_BOB), "bob");
    err = lab_redirect_new(s->net, lab_person_ip(LAB_BOB), "sip:carol@10.0.0.4:5060", &r);
    if (err == CPH_OK)
        err = lab_proxy_add(s->proxy, "bob", "sip:bob@10.0.0.2:5060");
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK) {
        out->heard = s->person[LAB_CAROL].heard.frames[LAB_ALICE] > 0;
        out->level = s->person[LAB_ALICE].shown;
        if (show)
            lab_case_show(c, s, show);
    }
    lab_redirect_free(r);
    lab_stage_close(s);
    return err;
}

/* The server sends a call for Bob on to Carol and tells nobody. Does Alice's phone say that it is
 * Bob? With and without Bob's certificate or voice to compare. */
static cph_err run_who(const struct lab_case *c, struct lab_outcome *out)
{
    struct seen loose = { 0 }, strict = { 0 };
    bool claimed;

    CPH_TRY(who_answered(c, false, "Bob is called, and somebody else answers", &loose));
    CPH_TRY(who_answered(c, true, NULL, &strict));
    claimed = (loose.heard && loose.level >= CPH_LEVEL_IDENTIFIED) ||
              (strict.heard && strict.level >= CPH_LEVEL_IDENTIFIED);
    out->sessions = 2;
    if (claimed)
        lab_say(out, "taken for who was called",
                "carol heard alice, whose phone showed %s for bob, and %s where they check each "
                "other",
                cph_level_name(loose.level), cph_level_name(strict.level));
    else if (loose.heard)
        lab_say(
            out, strict.heard ? "not told" : "told if checked",
            "carol heard alice, whose phone named nobody (%s); where the users check each other "
            "%s",
            cph_level_name(loose.level),
            strict.heard ? "neither" : "the call ends, since it is not bob");
    else
        lab_say(out, "refused", "nobody but who was called can take the call");
    return CPH_OK;
}

const struct lab_experiment lab_exp_who = { "retarget-identity", "B.1",
                                            "Is the caller told that somebody else answered?",
                                            run_who };

/* ---- which media belongs to which answer ----------------------------------------------------- */

static cph_err run_association(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, A | B | B2);
    struct lab_stage *s;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(3)); /* both answer at once, and both talk */
    if (err == CPH_OK) {
        const struct lab_heard *h = &s->person[LAB_ALICE].heard;
        uint64_t one = h->frames[LAB_BOB], two = h->frames[LAB_BOB2];

        out->sessions = 2;
        lab_measure(out, "of the answerer", "frames", (double)(one > two ? one : two));
        lab_measure(out, "of the other", "frames", (double)(one > two ? two : one));
        if (one + two == 0)
            lab_say(out, "call fails", "alice heard nobody: %s", s->person[LAB_ALICE].why);
        else if (one && two)
            lab_say(out, "no", "alice heard %llu frames of one answerer and %llu of the other",
                    (unsigned long long)one, (unsigned long long)two);
        else
            lab_say(out, "yes", "both answered; alice heard the one her phone chose and no other");
        lab_case_show(c, s, "Association: two phones answer at the same moment");
    }
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_association = {
    "association", "B.1", "Can the caller tell which media belongs to which answer?",
    run_association
};

/* ---- some can do SRTP, some cannot ----------------------------------------------------------- */

static cph_err run_mixed_fork(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, A | B | B2);
    struct lab_stage *s;
    bool secure[2] = { false, false }, heard[2] = { false, false };
    cph_err err = CPH_OK;

    cfg.security = CPH_SECURITY_PREFER;
    for (unsigned round = 0; round < 2 && err == CPH_OK; round++) {
        /* The second phone has no SRTP; first the phone that has it answers, then the other. */
        enum lab_person answers = round ? LAB_BOB2 : LAB_BOB, rings = round ? LAB_BOB : LAB_BOB2;

        cfg.of[LAB_BOB2] = CPH_SECURITY_NONE;
        err = lab_stage_open(&cfg, &s);
        if (err != CPH_OK)
            break;
        s->person[answers].callee = LAB_ANSWERS_LATER;
        s->person[answers].later = CPH_MS(500);
        s->person[rings].callee = LAB_RINGS;
        err = lab_stage_talk(s, CPH_SEC(3));
        heard[round] = lab_stage_heard(s, LAB_ALICE, answers);
        secure[round] = s->person[LAB_ALICE].secured;
        out->sessions++;
        if (round == 0)
            lab_case_show(c, s, "Forking to a phone with and one without SRTP");
        lab_stage_close(s);
    }
    if (heard[0] && secure[0] && heard[1] && !secure[1])
        lab_say(out, "yes",
                "with the phone that has SRTP the call is encrypted, with the other it "
                "is plain RTP and shown as open");
    else
        lab_say(out, "no", "SRTP phone: %s, plain phone: %s",
                heard[0] ? secure[0] ? "encrypted" : "not encrypted" : "call fails",
                heard[1] ? secure[1] ? "encrypted?" : "plain" : "call fails");
    return err;
}

const struct lab_experiment lab_exp_mixed_fork = {
    "mixed-fork", "4 R2", "Does a call survive forking to phones without SRTP?", run_mixed_fork
};
