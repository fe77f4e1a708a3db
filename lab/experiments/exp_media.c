/* When media flows, how long it takes and what it costs: draft-wing-... 3.1, 3.4, 3.5, B.2, A. */
#include "lab.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

double lab_clipped(const struct lab_stage *s)
{
    const struct lab_stage_person *a = &s->person[LAB_ALICE], *b = &s->person[LAB_BOB];
    double unknown, hurried;

    if (!b->said.frames[LAB_BOB] || !a->heard.frames[LAB_BOB])
        return -1;
    unknown = (double)(a->heard.last[LAB_BOB] + 1 - a->heard.frames[LAB_BOB]);
    hurried = 2.0 * (double)a->media.removed;
    return (double)(b->said.first_at[LAB_BOB] - b->accepted_at) / 1000.0 +
           20.0 * (unknown > hurried ? unknown - hurried : 0);
}

/* How the answerer's words come through when the answer is slow. */
struct clip {
    double lost, late, hurried; /* ms: never heard, first word too late, played faster */
};

static cph_err clip_call(const struct lab_case *c, cph_time one_way, cph_time proxy,
                         struct clip *clip, const char *show)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s;
    cph_err err;

    cfg.link.delay = one_way;
    cfg.proxy.delay = proxy;
    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(14));
    clip->lost = lab_clipped(s);
    clip->late = (double)(s->person[LAB_ALICE].heard.first_at[LAB_BOB] -
                          s->person[LAB_BOB].said.first_at[LAB_BOB] - one_way) /
                 1000.0;
    clip->hurried = 40.0 * (double)s->person[LAB_ALICE].media.removed;
    if (show)
        lab_case_show(c, s, show);
    lab_stage_close(s);
    return err;
}

static cph_err run_clipping(const struct lab_case *c, struct lab_outcome *out)
{
    static const struct {
        const char *name;
        unsigned rtt_ms;
    } rtt[] = { { "rtt 20", 20 },   { "rtt 50", 50 },   { "rtt 100", 100 },
                { "rtt 200", 200 }, { "rtt 300", 300 }, { "rtt 400", 400 } };
    struct clip near, far, farther;

    CPH_TRY(clip_call(c, CPH_MS(20), 0, &near, NULL));
    CPH_TRY(clip_call(c, CPH_MS(20), CPH_MS(800), &far,
                      "Clipping: the server holds each message for 0.8 s"));
    CPH_TRY(clip_call(c, CPH_MS(20), CPH_MS(3000), &farther, NULL));
    lab_measure(out, "clipped", "ms", near.lost);
    lab_measure(out, "clipped, answer 0.8 s late", "ms", far.lost);
    lab_measure(out, "first word late by", "ms", far.late);
    lab_measure(out, "played faster", "ms", far.hurried);
    lab_measure(out, "clipped, answer 3 s late", "ms", farther.lost);
    for (size_t i = 0; i < sizeof rtt / sizeof *rtt; i++) {
        struct clip k;

        CPH_TRY(clip_call(c, CPH_MS(rtt[i].rtt_ms) / 2, 0, &k, NULL));
        lab_measure(out, rtt[i].name, "ms", k.lost);
    }
    out->sessions = 9;
    if (near.lost < 0 || far.lost < 0)
        lab_say(out, "call fails", "no media was heard");
    else
        lab_say(out, far.lost > near.lost + 100 ? "clipped" : "not clipped",
                "%.0f ms of the answerer are lost, %.0f ms when the answer is 0.8 s late (%.0f ms "
                "when it is 3 s late): his first word is then heard %.0f ms late, and %.0f ms of "
                "his are played faster until that is made up for",
                near.lost, far.lost, farther.lost, far.late, far.hurried);
    return CPH_OK;
}

const struct lab_experiment lab_exp_clipping = { "clipping", "B.2",
                                                 "Is media that comes before the SDP answer lost?",
                                                 run_clipping };

/* ---- re-keying ------------------------------------------------------------------------------- */

static bool has_reason(const struct cph_verdict *v, enum cph_reason r)
{
    for (unsigned i = 0; i < v->reasons_n; i++)
        if (v->reason[i].code == r)
            return true;
    return false;
}

static unsigned since(const struct lab_stage *s, size_t from, enum lab_kind kind,
                      const char *starts)
{
    unsigned n = 0;

    for (size_t i = from; i < lab_trace_count(s->trace); i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);

        n += p->kind == kind && (!starts || cph_span_starts(p->bytes, starts));
    }
    return n;
}

static cph_err run_rekeying(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s;
    uint64_t before, lost;
    size_t at;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_SEC(2));
    before = s->person[LAB_ALICE].heard.frames[LAB_BOB];
    at = lab_trace_count(s->trace);
    if (err == CPH_OK && !s->person[LAB_ALICE].ended) {
        err = lab_stage_rekey(s, LAB_ALICE);
        if (err == CPH_OK)
            err = lab_stage_run(s, CPH_SEC(3));
    }
    out->sessions = 1;
    if (err == CPH_OK) {
        const struct lab_stage_person *a = &s->person[LAB_ALICE];
        bool invites = since(s, at, LAB_SIP, "INVITE ") > 0;
        bool changed = has_reason(&a->verdict, CPH_REASON_REKEYED);
        bool goes_on = a->heard.frames[LAB_BOB] > before + 100 && !a->ended;

        lost = a->heard.last[LAB_BOB] + 1 - a->heard.first[LAB_BOB] - a->heard.frames[LAB_BOB];
        lab_measure(out, "frames lost", "frames", (double)lost);
        if (!changed || !goes_on)
            lab_say(out, "no", "keys changed: %s; the call goes on: %s", changed ? "yes" : "no",
                    goes_on ? "yes" : "no");
        else
            lab_say(out, invites ? "re-INVITE" : "media path",
                    "new keys by %s%s; %llu frames were lost on the way",
                    invites ? "a re-INVITE" : "the media path alone",
                    since(s, at, LAB_KEYING, NULL) ? " and a handshake in the media path" : "",
                    (unsigned long long)lost);
        lab_case_show(c, s, "Re-keying in the middle of a call");
    }
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_rekeying = { "rekeying", "B.3",
                                                 "How do keys change during a call?",
                                                 run_rekeying };

/* ---- best effort ----------------------------------------------------------------------------- */

static cph_err run_best_effort(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    bool plain = false, secure = false;
    struct lab_stage *s;
    cph_err err = CPH_OK;

    cfg.security = CPH_SECURITY_PREFER;
    for (unsigned round = 0; round < 2 && err == CPH_OK; round++) {
        cfg.of[LAB_BOB] = round ? CPH_SECURITY_NONE : CPH_SECURITY_UNSET;
        err = lab_stage_open(&cfg, &s);
        if (err != CPH_OK)
            break;
        err = lab_stage_talk(s, CPH_SEC(2));
        out->sessions++;
        if (round)
            plain = lab_stage_heard(s, LAB_ALICE, LAB_BOB) && s->person[LAB_ALICE].plain &&
                    s->person[LAB_ALICE].shown == CPH_LEVEL_OPEN;
        else
            secure = lab_stage_heard(s, LAB_ALICE, LAB_BOB) && s->person[LAB_ALICE].secured;
        if (round)
            lab_case_show(c, s, "Best effort: the peer knows only RTP");
        lab_stage_close(s);
    }
    if (plain && secure)
        lab_say(out, "yes",
                "one offer under RTP/AVP with keys (RFC 8643): SRTP with a peer that "
                "has it, RTP and level open with one that has not");
    else
        lab_say(out, "no", "peer with SRTP: %s; peer without: %s",
                secure ? "encrypted" : "not encrypted", plain ? "plain call" : "call fails");
    return err;
}

const struct lab_experiment lab_exp_best_effort = {
    "best-effort", "C.3", "Is there encryption if the peer can, and a call if it cannot?",
    run_best_effort
};

/* ---- the price in messages ------------------------------------------------------------------- */

static unsigned flights(const struct lab_stage *s, unsigned *datagrams)
{
    const struct lab_packet *last = NULL;
    unsigned n = 0;

    *datagrams = 0;
    for (size_t i = 0; i < lab_trace_count(s->trace); i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);

        if (p->kind != LAB_KEYING)
            continue;
        (*datagrams)++;
        if (!last || !cph_addr_eq(&last->from, &p->from))
            n++;
        last = p;
    }
    return n;
}

static unsigned with_keys(const struct lab_stage *s)
{
    static const char *const word[] = {
        "\na=crypto:", "\na=fingerprint:", "\na=key-mgmt:",         "\na=zrtp-hash:",
        "\na=sdp-dh:", "\na=mikeyv2",      "application/pkcs7-mime"
    };
    unsigned n = 0;

    for (size_t i = 0; i < lab_trace_count(s->trace); i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);
        bool has = false;

        for (size_t k = 0; k < sizeof word / sizeof *word && p->kind == LAB_SIP && !p->stream; k++)
            has |= memmem(p->bytes.p, p->bytes.n, word[k], strlen(word[k])) != NULL;
        n += has;
    }
    return n;
}

static cph_err run_messages(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s;
    unsigned datagrams, media, signalling;
    cph_err err;

    cfg.direct = true;
    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(3));
    media = flights(s, &datagrams);
    signalling = with_keys(s);
    out->sessions = 1;
    lab_measure(out, "descriptions with keying", "messages", signalling);
    lab_measure(out, "media-path flights", "flights", media);
    lab_measure(out, "media-path datagrams", "datagrams", datagrams);
    if (s->person[LAB_BOB].secured)
        lab_measure(out, "keys after the answer", "round trips",
                    (double)(s->person[LAB_BOB].secured_at - s->person[LAB_BOB].accepted_at) /
                        (double)CPH_MS(40));
    lab_say(out, "",
            "%u of the SIP messages carry keying, then %u flights (%u datagrams) go over "
            "the media path",
            signalling, media, datagrams);
    (void)snprintf(out->answer, sizeof out->answer, "%u + %u", signalling, media);
    lab_case_show(c, s, "Messages: a call without a server");
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_messages = {
    "messages", "A", "Messages in signalling + flights in the media path", run_messages
};

static cph_err run_loss(const struct lab_case *c, struct lab_outcome *out)
{
    static const char *const name[] = { "loss 0 %", "loss 5 %", "loss 10 %", "loss 20 %" };
    static const unsigned loss[] = { 0, 50, 100, 200 };
    enum { CALLS = 20 };

    for (unsigned i = 0; i < 4; i++) {
        double sum = 0;
        unsigned keyed = 0;

        for (unsigned k = 0; k < CALLS; k++) {
            struct lab_stage_config cfg = lab_stage_usual(c, AB);
            struct lab_stage *s;
            cph_err err;

            cfg.direct = true;
            cfg.quiet = true;
            cfg.no_record = true;
            cfg.seed = c->seed * CALLS + k;
            cfg.link.loss = loss[i];
            CPH_TRY(lab_stage_open(&cfg, &s));
            err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
            for (unsigned t = 0; err == CPH_OK && t < 300 && !s->person[LAB_ALICE].ended &&
                                 !(s->person[LAB_ALICE].secured && s->person[LAB_BOB].secured);
                 t++)
                err = lab_stage_run(s, CPH_MS(100));
            if (s->person[LAB_ALICE].secured && s->person[LAB_BOB].secured) {
                cph_time x = s->person[LAB_ALICE].secured_at, y = s->person[LAB_BOB].secured_at;

                sum += (double)((x > y ? x : y) - s->person[LAB_ALICE].dialled_at) / 1000.0;
                keyed++;
            }
            lab_stage_close(s);
            CPH_TRY(err);
            out->sessions++;
        }
        lab_measure(out, name[i], "ms", keyed ? sum / keyed : -1);
    }
    lab_say(out, "", "mean time from dialling until both have keys, over %d calls each", CALLS);
    (void)snprintf(out->answer, sizeof out->answer, "%.0f ms, 10 %%: %.0f ms", out->value[0].v,
                   out->value[2].v);
    return CPH_OK;
}

const struct lab_experiment lab_exp_loss = { "set-up-time", "-",
                                             "How long until there are keys, over loss?",
                                             run_loss };

/* ---- address translation --------------------------------------------------------------------- */

/* Alice is behind address translation, and nobody helps her with ICE. */
static cph_err run_nat(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    bool works[2] = { false, false };
    cph_err err = CPH_OK;

    cfg.nat = true;
    for (unsigned in = 0; in < 2 && err == CPH_OK; in++) {
        enum lab_person from = in ? LAB_BOB : LAB_ALICE;
        struct lab_stage *s;

        CPH_TRY(lab_stage_open(&cfg, &s));
        err = lab_stage_dial(s, from, in ? "alice" : "bob", LAB_BOB);
        if (err == CPH_OK)
            err = lab_stage_run(s, CPH_SEC(5));
        works[in] = lab_stage_heard(s, LAB_ALICE, LAB_BOB) && s->person[LAB_ALICE].secured;
        lab_stage_hangup(s, from);
        if (err == CPH_OK)
            err = lab_stage_run(s, CPH_SEC(2));
        out->sessions++;
        if (!in || works[0])
            lab_case_show(c, s,
                          in ? "A call to somebody behind address translation"
                             : "A call from behind address translation");
        lab_stage_close(s);
    }
    lab_say(out,
            works[0] && works[1]   ? "works"
            : works[0] || works[1] ? "one way"
                                   : "fails",
            "calls from behind the translation %s, calls to there %s",
            works[0] ? "are keyed and heard" : "fail", works[1] ? "are keyed and heard" : "fail");
    return err;
}

const struct lab_experiment lab_exp_nat = {
    "nat", "3.1", "Does address translation at one end hurt, without ICE?", run_nat
};
