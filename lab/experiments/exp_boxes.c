/* Boxes between the two: gates and inspection on the media path, back-to-back user agents in the
 * signalling, gateways and telephones of old. draft-wing-... 3.4, 3.5, 4 R10, R26. */
#include "lab.h"

#include <stdio.h>

#include "gate.h"
#include "gateway.h"
#include "rtp_only.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

#define TELEPHONE "10.0.0.9"

/* A call to a telephone of old. */
struct old_call {
    struct lab_rtp_only_state old;
    uint64_t alice_heard, media;
    enum cph_level shown;
    char why[CPH_PHONE_WHY];
};

/* ---- boxes on the media path ----------------------------------------------------------------- */

static cph_err boxed(const struct lab_case *c, struct lab_outcome *out,
                     struct lab_stage_config *cfg, const char *title, struct lab_stage **keep)
{
    struct lab_stage *s;
    cph_err err;

    CPH_TRY(lab_stage_open(cfg, &s));
    s->person[LAB_BOB].callee = LAB_ANSWERS_LATER;
    s->person[LAB_BOB].later = CPH_MS(300);
    err = lab_stage_talk(s, CPH_SEC(8));
    out->sessions++;
    lab_measure(out, "clipped", "ms", lab_clipped(s));
    if (err == CPH_OK && lab_stage_heard(s, LAB_ALICE, LAB_BOB) && s->person[LAB_ALICE].secured)
        lab_say(out, "works", "the call is keyed and heard, %.0f ms after the answer",
                lab_clipped(s));
    else
        lab_say(out, "fails", "the call did not get keys: %s",
                s->person[LAB_ALICE].why[0] ? s->person[LAB_ALICE].why : "no media was heard");
    lab_case_show(c, s, title);
    if (keep && err == CPH_OK)
        *keep = s;
    else
        lab_stage_close(s);
    return err;
}

static cph_err run_gate(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_gate gate;

    CPH_TRY(lab_gate_init(&gate, lab_person_ip(LAB_ALICE), cfg.link.delay));
    cfg.filter = lab_gate_pass;
    cfg.filter_ctx = &gate;
    return boxed(c, out, &cfg, "A media gate that opens at the 200", NULL);
}

const struct lab_experiment lab_exp_gate = {
    "gate", "3.5", "Does a gate that lets media pass only after the 200 hurt?", run_gate
};

static cph_err run_inspection(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_inspector inspector = { 0 };

    cfg.filter = lab_inspector_pass;
    cfg.filter_ctx = &inspector;
    return boxed(c, out, &cfg, "Inspection that drops what does not look like RTP", NULL);
}

const struct lab_experiment lab_exp_inspection = {
    "inspection", "3.5", "Does deep packet inspection that knows only RTP hurt?", run_inspection
};

static cph_err run_validity(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s = NULL;
    unsigned keying = 0, passed = 0;

    CPH_TRY(boxed(c, out, &cfg, "Keying packets on the media path", &s));
    for (size_t i = 0; i < lab_trace_count(s->trace); i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);

        keying += p->kind == LAB_KEYING;
        passed += p->kind == LAB_KEYING && lab_looks_like_rtp(p->bytes);
    }
    lab_stage_close(s);
    lab_measure(out, "keying packets", "datagrams", keying);
    lab_measure(out, "taken for RTP", "datagrams", passed);
    if (keying == 0)
        lab_say(out, "none sent", "the mechanism sends nothing on the media path");
    else
        lab_say(out, passed ? "some pass" : "none pass",
                "%u of %u keying packets pass the check of RFC 3550 A.1", passed, keying);
    return CPH_OK;
}

const struct lab_experiment lab_exp_validity = { "rtp-validity", "4 R10",
                                                 "Could a keying packet be taken for RTP?",
                                                 run_validity };

/* ---- boxes in the signalling ----------------------------------------------------------------- */

static cph_err run_b2bua(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);

    cfg.proxy.no_prack = true;
    cfg.proxy.hold_sdp = true;
    cfg.proxy.delay = CPH_MS(50);
    return boxed(c, out, &cfg, "A B2BUA without PRACK that holds descriptions back to the 200",
                 NULL);
}

const struct lab_experiment lab_exp_b2bua = {
    "b2bua", "3.4", "Does a B2BUA that takes PRACK out and delays SDP hurt?", run_b2bua
};

static cph_err run_early(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);

    cfg.proxy.fake_early = true;
    return boxed(c, out, &cfg, "A network that answers with an early dialog of its own", NULL);
}

const struct lab_experiment lab_exp_early_dialog = {
    "early-dialog", "3.4", "Does an early dialog invented by the network hurt?", run_early
};

/* ---- who ends the protection ----------------------------------------------------------------- */

static cph_err gateway_call(struct lab_stage *s, struct lab_gateway *g, uint64_t *circuit)
{
    unsigned speaker;
    uint32_t i;

    s->person[LAB_BOB].sound = lab_gateway_sound;
    s->person[LAB_BOB].sound_ctx = g;
    lab_trace_name(s->trace, TELEPHONE, "telephone");
    CPH_TRY(lab_stage_talk(s, CPH_SEC(2)));
    *circuit = 0;
    for (size_t k = 0; k < lab_trace_count(s->trace); k++) {
        const struct lab_packet *p = lab_trace_at(s->trace, k);

        *circuit += p->kind == LAB_OTHER && lab_speech_is(s->cfg.seed, p->bytes, &speaker, &i);
    }
    return CPH_OK;
}

/* Bob is a gateway: behind it is a circuit without any protection, and a telephone. The verdict
 * must not claim that it reaches the person there. */
static cph_err run_gateway(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    const struct lab_stage_person *a;
    struct lab_gateway *g = NULL;
    struct lab_stage *s;
    uint64_t circuit = 0, heard;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    a = &s->person[LAB_ALICE];
    err = lab_gateway_new(s->net, lab_person_ip(LAB_BOB), TELEPHONE, c->seed, LAB_CAROL, &g);
    if (err == CPH_OK)
        err = gateway_call(s, g, &circuit);
    if (err == CPH_OK) {
        heard = lab_gateway_heard(g)->frames[LAB_ALICE];
        out->sessions = 1;
        lab_measure(out, "heard at the telephone", "frames", (double)heard);
        lab_measure(out, "heard on the circuit", "frames", (double)circuit);
        if (!heard || !a->heard.frames[LAB_CAROL])
            lab_say(out, "call fails", "%s", a->why);
        else
            lab_say(out, a->verdict.ends_at == CPH_ENDS_PEER ? "no" : "yes",
                    "who listens to the circuit behind the gateway hears %llu frames; where the "
                    "phone says that protection ends: %s",
                    (unsigned long long)circuit, cph_ends_text(a->verdict.ends_at));
        lab_case_show(c, s, "A call to a telephone behind a gateway");
    }
    lab_stage_close(s);
    lab_gateway_free(g);
    return err;
}

const struct lab_experiment lab_exp_gateway = {
    "gateway", "4 R26", "Does a call to a gateway say where protection ends?", run_gateway
};

/* A telephone of old, which cannot encrypt: is it called in clear only where the user allows it,
 * and is that shown? */
static cph_err call_old(const struct lab_case *c, enum cph_security security, const char *show,
                        struct old_call *got)
{
    struct lab_stage_config cfg = lab_stage_usual(c, 1 << LAB_ALICE);
    struct lab_rtp_only *o = NULL;
    struct lab_stage *s;
    cph_err err;

    cfg.security = security;
    CPH_TRY(lab_stage_open(&cfg, &s));
    lab_trace_name(s->trace, lab_person_ip(LAB_BOB), "old phone");
    err = lab_rtp_only_new(s->net, lab_person_ip(LAB_BOB), c->seed, LAB_BOB, &o);
    if (err == CPH_OK)
        err = lab_proxy_add(s->proxy, "bob", "sip:bob@10.0.0.2:5060");
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(2));
    if (err == CPH_OK) {
        got->old = *lab_rtp_only_state(o);
        got->alice_heard = s->person[LAB_ALICE].heard.frames[LAB_BOB];
        got->shown = s->person[LAB_ALICE].shown;
        (void)snprintf(got->why, sizeof got->why, "%s", s->person[LAB_ALICE].why);
        for (size_t k = 0; k < lab_trace_count(s->trace); k++)
            got->media += lab_trace_at(s->trace, k)->kind == LAB_RTP;
        if (show)
            lab_case_show(c, s, show);
    }
    lab_rtp_only_free(o);
    lab_stage_close(s);
    return err;
}

static cph_err run_rtp_only(const struct lab_case *c, struct lab_outcome *out)
{
    struct old_call prefer = { 0 }, required = { 0 };
    bool talks, kept;

    CPH_TRY(call_old(c, CPH_SECURITY_PREFER, "Best effort: a telephone of old", &prefer));
    CPH_TRY(call_old(c, CPH_SECURITY_REQUIRED, NULL, &required));
    out->sessions = 2;
    talks = prefer.alice_heard > 0 && prefer.old.heard.frames[LAB_ALICE] > 0;
    kept = required.media == 0 && required.old.heard.frames[LAB_ALICE] == 0;
    lab_measure(out, "heard under best effort", "frames", (double)prefer.alice_heard);
    lab_measure(out, "media where keys are required", "packets", (double)required.media);
    if (talks && prefer.shown == CPH_LEVEL_OPEN && kept)
        lab_say(out, "yes",
                "under best effort they talk, shown as open; where keys are required not a packet "
                "is sent: %.120s",
                required.why);
    else
        lab_say(out, "no",
                "under best effort %s, shown as %s; where keys are required %llu packets",
                talks ? "they talk" : "the call fails", cph_level_name(prefer.shown),
                (unsigned long long)required.media);
    return CPH_OK;
}

const struct lab_experiment lab_exp_rtp_only = {
    "rtp-only", "C.3", "A telephone that knows only RTP: in clear if allowed, and shown so?",
    run_rtp_only
};
