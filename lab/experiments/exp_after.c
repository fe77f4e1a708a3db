/* What leaks later, calls that begin in clear, and packets of strangers: draft C.2, R15, R16. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

#include "ear.h"
#include "meddler.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

static cph_err run_pfs(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_heard by_keys = { 0 };
    struct lab_ear *ear = NULL;
    struct lab_stage *s;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK)
        err = lab_ear_new(c->seed, &ear);
    if (err == CPH_OK) {
        struct lab_pretence p = { s, c->keying, LAB_BOB,
                                  lab_stage_sdp(s, lab_person_ip(LAB_ALICE), false, 0),
                                  lab_person_ip(LAB_ALICE) };
        uint64_t record;

        err = lab_pretend(&p, &by_keys);
        lab_ear_steal(ear, LAB_ALICE);
        lab_ear_steal(ear, LAB_BOB);
        (void)lab_ear_read_signalling(ear, s->trace);
        lab_ear_listen(ear, s->trace, 0);
        record = lab_heard_total(lab_ear_heard(ear));
        if (lab_heard_total(&by_keys) > record)
            record = lab_heard_total(&by_keys);
        out->sessions = 1;
        lab_measure(out, "decrypted later", "frames", (double)record);
        if (!lab_stage_heard(s, LAB_ALICE, LAB_BOB))
            lab_say(out, "call fails", "there was nothing to record");
        else
            lab_say(out, record ? "no" : "yes",
                    record ? "with the record and bob's long-term keys %llu frames were decrypted"
                           : "with the record and bob's long-term keys %llu frames were decrypted: "
                             "the keys of the call are gone with it",
                    (unsigned long long)record);
    }
    lab_ear_free(ear);
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_pfs = {
    "forward-secrecy", "C.2", "Is a recorded call safe when long-term keys leak later?", run_pfs
};

/* ---- from RTP to SRTP ------------------------------------------------------------------------ */

struct once {
    struct lab_meddler *m;
    const struct lab_proxy_ops *ops;
    unsigned left;
};

static enum lab_proxy_body strip_once(void *ctx, const struct cph_sip_msg *msg,
                                      const struct cph_addr *from, struct cph_span sdp,
                                      struct cph_wr *out)
{
    struct once *o = ctx;

    if (o->left == 0)
        return LAB_BODY_KEEP;
    o->left--;
    return o->ops->sdp(o->m, msg, from, sdp, out);
}

/* Was anything said that needs no key to be heard? */
static bool spoke_in_clear(const struct lab_stage *s)
{
    struct lab_ear *ear;
    bool heard;

    if (lab_ear_new(s->cfg.seed, &ear) != CPH_OK)
        return false;
    lab_ear_listen(ear, s->trace, 0);
    heard = lab_heard_total(lab_ear_heard(ear)) > 0;
    lab_ear_free(ear);
    return heard;
}

static cph_err run_upgrade(const struct lab_case *c, struct lab_outcome *out)
{
    static const struct lab_proxy_ops ops = { strip_once };
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct once once = { .left = 2 }; /* the first offer and its answer */
    struct lab_stage *s = NULL;
    cph_err err;

    cfg.security = CPH_SECURITY_PREFER;
    CPH_TRY(lab_meddler_new(LAB_MEDDLE_STRIP, c->keying, c->seed, &once.m));
    lab_meddler_place(once.m, &cfg);
    once.ops = cfg.proxy.ops;
    cfg.proxy.ops = &ops;
    cfg.proxy.ctx = &once;
    err = lab_stage_open(&cfg, &s);
    if (err == CPH_OK)
        err = lab_meddler_start(once.m, s);
    if (err == CPH_OK)
        err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_SEC(2));
    if (err == CPH_OK) {
        bool plain = spoke_in_clear(s), alone = s->person[LAB_ALICE].secured;
        cph_err offered = CPH_OK;

        if (!alone) {
            offered = lab_stage_rekey(s, LAB_ALICE);
            err = lab_stage_run(s, CPH_SEC(3));
        }
        out->sessions = 1;
        if (plain && offered == CPH_OK && s->person[LAB_ALICE].secured && !s->person[LAB_BOB].ended)
            lab_say(out, "yes",
                    "the call began in RTP and has keys %s; it goes on being shown as %s for what "
                    "was said before",
                    alone ? "by probing on the media path, without another offer"
                          : "after a re-INVITE",
                    cph_level_name(s->person[LAB_ALICE].verdict.level));
        else
            lab_say(out, "no", "began in RTP: %s; re-offer: %s; keys afterwards: %s",
                    plain ? "yes" : "no", cph_err_text(offered),
                    s->person[LAB_ALICE].secured ? "yes" : "no");
        lab_case_show(c, s, "From RTP to SRTP");
    }
    lab_stage_close(s);
    lab_meddler_free(once.m);
    return err;
}

const struct lab_experiment lab_exp_upgrade = { "upgrade", "4 R15",
                                                "Can a call begin in RTP and go on in SRTP?",
                                                run_upgrade };

/* ---- denial of service ----------------------------------------------------------------------- */

/* What a stranger sends: the first keying packets of honest calls, of this mechanism and of all
 * others that begin on the media path, and packets that are none. */
enum { SHOTS = 6, SHOT = 2048 };
struct shots {
    uint8_t packet[SHOTS][SHOT];
    size_t len[SHOTS];
    unsigned n;
};

static void add_shot(struct shots *k, struct cph_span bytes)
{
    if (k->n == SHOTS || bytes.n == 0 || bytes.n > SHOT)
        return;
    memcpy(k->packet[k->n], bytes.p, bytes.n);
    k->len[k->n++] = bytes.n;
}

static cph_err first_packet(const struct lab_case *c, const char *keying, struct shots *k)
{
    struct lab_case as = { keying, c->seed, NULL, NULL };
    struct lab_stage_config cfg = lab_stage_usual(&as, AB);
    struct lab_stage *s;
    unsigned n = k->n;
    cph_err err;

    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(1));
    for (size_t i = 0; i < lab_trace_count(s->trace) && k->n == n; i++)
        if (lab_trace_at(s->trace, i)->kind == LAB_KEYING)
            add_shot(k, lab_trace_at(s->trace, i)->bytes);
    lab_stage_close(s);
    return err;
}

static cph_err load(const struct lab_case *c, struct shots *k)
{
    static const char *const others[] = { "dtls", "zrtp", "mikeyv2-inband" };
    /* RFC 8489 5: a binding request without attributes */
    static const uint8_t stun[] = { 0,   1,   0,   0,   0x21, 0x12, 0xa4, 0x42, 'l', 'a',
                                    'b', '-', 's', 't', 'u',  'n',  '-',  'i',  'd', '!' };
    uint8_t rtp[12 + LAB_FRAME] = { 0x80, 0, 0, 1, 0, 0, 0, 160, 'a', 'b', 'c', 'd' };

    *k = (struct shots){ 0 };
    CPH_TRY(first_packet(c, c->keying, k));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i], c->keying) != 0)
            CPH_TRY(first_packet(c, others[i], k));
    add_shot(k, (struct cph_span){ stun, sizeof stun });
    add_shot(k, (struct cph_span){ rtp, sizeof rtp });
    return CPH_OK;
}

enum { VICTIMS = 20 }; /* none of whom was called */

struct reaction {
    uint64_t sent, back;
    unsigned ops;
};

static cph_err shoot(struct lab_stage *s, struct cph_span packet, struct reaction *r)
{
    struct cph_addr alice, victim;

    CPH_TRY(cph_addr_parse(CPH_SPAN_LIT("10.0.0.1:20000"), &alice));
    CPH_TRY(cph_addr_parse(CPH_SPAN_LIT("10.0.0.77:9000"), &victim));
    for (unsigned i = 0; i < VICTIMS; i++) {
        victim.port = (uint16_t)(9000 + i);
        CPH_TRY(lab_inject(s->net, &victim, &alice, packet));
        r->sent += packet.n;
        CPH_TRY(lab_stage_run(s, CPH_MS(50)));
    }
    CPH_TRY(lab_stage_run(s, CPH_SEC(20)));
    for (size_t i = 0; i < lab_trace_count(s->trace); i++)
        if (cph_addr_ip_eq(&lab_trace_at(s->trace, i)->to, &victim))
            r->back += lab_trace_at(s->trace, i)->bytes.n;
    return CPH_OK;
}

/* Alice has called, and Bob's phone rings. */
static cph_err react(const struct lab_case *c, struct cph_span packet, bool show,
                     struct reaction *r)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_count before, after;
    struct lab_stage *s;
    cph_err err;

    *r = (struct reaction){ 0 };
    CPH_TRY(lab_stage_open(&cfg, &s));
    s->person[LAB_BOB].callee = LAB_RINGS;
    err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_MS(200));
    before = lab_count_now();
    if (err == CPH_OK)
        err = shoot(s, packet, r);
    after = lab_count_now();
    r->ops = lab_count_between(&before, &after);
    lab_trace_name(s->trace, "10.0.0.77", "victim");
    if (show)
        lab_case_show(c, s, "A stranger sends the first keying packet in others' names");
    lab_stage_close(s);
    return err;
}

static void conclude(struct lab_outcome *out, unsigned kinds, double worst, unsigned ops)
{
    lab_measure(out, "kinds of packets", "packets", kinds);
    lab_measure(out, "amplification", "bytes back per byte", worst);
    lab_measure(out, "operations and handshakes", "per 20 packets", ops);
    if (worst == 0)
        lab_say(out, "none",
                "%d packets of each of %u kinds in the names of others got not a byte back, and "
                "made at most %u public-key operations or handshakes",
                VICTIMS, kinds, ops);
    else
        lab_say(out, worst > 1 ? "amplifies" : "no gain",
                "of %u kinds of packets in the names of others the worst made %.2f bytes for each "
                "byte, and 20 of one kind at most %u public-key operations or handshakes",
                kinds, worst, ops);
}

static cph_err run_dos(const struct lab_case *c, struct lab_outcome *out)
{
    struct shots *k = calloc(1, sizeof *k);
    double worst = 0;
    unsigned ops = 0;
    cph_err err;

    if (!k)
        return CPH_E_NOMEM;
    err = load(c, k);
    for (unsigned i = 0; i < k->n && err == CPH_OK; i++) {
        struct reaction r;

        err = react(c, (struct cph_span){ k->packet[i], k->len[i] }, i == 0, &r);
        if (err == CPH_OK && r.sent && (double)r.back / (double)r.sent > worst)
            worst = (double)r.back / (double)r.sent;
        ops = r.ops > ops ? r.ops : ops;
    }
    out->sessions = 2 * k->n;
    if (err == CPH_OK)
        conclude(out, k->n, worst, ops);
    free(k);
    return err;
}

const struct lab_experiment lab_exp_dos = {
    "amplification", "4 R16", "What does a stranger's packet make a ringing phone do?", run_dos
};
