/* Attackers at work: draft-wing-media-security-requirements-05 5, C.1, C.2, R6, R7, R16, R17, R20.
 */
#include "lab.h"

#include <stdio.h>

#include "ear.h"
#include "meddler.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

/* One attacked call. */
struct attack {
    enum lab_meddling how;
    bool pinned;
    enum cph_security security;
};

struct feat {
    uint64_t media;   /* frames heard by listening to the media path alone */
    uint64_t passive; /* ... to signalling and media */
    uint64_t active;  /* frames decrypted in the middle */
    bool stands;      /* the two hear each other */
    bool noticed;     /* a phone ended the call or refused it, and said why */
    bool plain;
    enum cph_level shown; /* the best that either user was shown */
    enum cph_attacker shown_class;
    char suite[CPH_FACT_TEXT];
    char why[CPH_PHONE_WHY];
};

static const char *const meddling[] = { "nobody meddles",        "offers stripped",
                                        "fingerprints changed",  "suites removed",
                                        "in the middle of both", "in the middle of the media" };

/* The claim on trial: what was shown is never better than what happened. */
static void try_verdict(const struct lab_case *c, const struct attack *a, const struct feat *f)
{
    char what[96];

    (void)snprintf(what, sizeof what, "%s%s", meddling[a->how], a->pinned ? ", pinned" : "");
    lab_trial_add(c, what,
                  &(struct lab_verdict_case){
                      .passive = f->passive,
                      .active = f->active,
                      .server = a->how != LAB_MEDDLE_NOT && a->how != LAB_MEDDLE_MEDIA,
                      .media = a->how == LAB_MEDDLE_MEDIA || a->how == LAB_MEDDLE_BOTH,
                      .noticed = f->noticed,
                      .shown = f->shown,
                      .shown_class = f->shown_class });
}

static void look(const struct lab_stage *s, struct feat *f)
{
    f->stands = lab_stage_heard(s, LAB_ALICE, LAB_BOB);
    f->shown = CPH_LEVEL_OPEN;
    f->shown_class = CPH_ATTACKER_I;
    for (unsigned i = LAB_ALICE; i <= LAB_BOB; i++) {
        const struct lab_stage_person *p = &s->person[i];

        f->plain |= p->plain;
        /* Ended for a reason of security. A plain refusal of the other one does not count. */
        if (p->ended && p->cause != CPH_OK && p->why[0]) {
            f->noticed = true;
            (void)snprintf(f->why, sizeof f->why, "%s", p->why);
        }
        if (p->shown > f->shown)
            f->shown = p->shown;
        if (p->shown_class > f->shown_class)
            f->shown_class = p->shown_class;
    }
    (void)snprintf(f->suite, sizeof f->suite, "%s",
                   s->person[LAB_ALICE].has_verdict && s->person[LAB_ALICE].verdict.streams_n
                       ? s->person[LAB_ALICE].verdict.stream[0].suite
                       : "");
}

static cph_err attacked(const struct lab_case *c, const struct attack *a, struct feat *f,
                        const char *show)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_meddler *m = NULL;
    struct lab_stage *s = NULL;
    struct lab_ear *ear = NULL;
    cph_err err;

    *f = (struct feat){ 0 };
    cfg.pinned = a->pinned;
    cfg.security = a->security;
    CPH_TRY(lab_meddler_new(a->how, c->keying, c->seed, &m));
    lab_meddler_place(m, &cfg);
    err = lab_ear_new(c->seed, &ear);
    if (err == CPH_OK)
        err = lab_stage_open(&cfg, &s);
    if (err == CPH_OK && a->how != LAB_MEDDLE_NOT)
        err = lab_meddler_start(m, s);
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK) {
        struct lab_meddler_feat feat = lab_meddler_feat(m);

        lab_ear_listen(ear, s->trace, 0);
        f->media = lab_heard_total(lab_ear_heard(ear));
        (void)lab_ear_read_signalling(ear, s->trace);
        lab_ear_listen(ear, s->trace, 0);
        f->passive = lab_heard_total(lab_ear_heard(ear));
        f->active = lab_heard_total(&feat.heard);
        look(s, f);
        try_verdict(c, a, f);
        if (show)
            lab_case_show(c, s, show);
    }
    lab_stage_close(s);
    lab_ear_free(ear);
    lab_meddler_free(m);
    return err;
}

/* ---- classes -----------------------------------------------------------------------------------
 */

static cph_err classify(const struct lab_case *c, bool pinned, struct lab_outcome *out)
{
    static const enum lab_meddling server[] = { LAB_MEDDLE_STRIP, LAB_MEDDLE_SUBSTITUTE,
                                                LAB_MEDDLE_WEAKEN };
    struct attack a = { LAB_MEDDLE_NOT, pinned, CPH_SECURITY_REQUIRED };
    struct feat listen, serve, media, both;
    uint64_t by_server = 0;

    CPH_TRY(attacked(c, &a, &listen, NULL));
    for (size_t i = 0; i < sizeof server / sizeof *server; i++) {
        a.how = server[i];
        CPH_TRY(attacked(c, &a, &serve, NULL));
        by_server += serve.passive;
        /* The same against phones that would also go on in clear: for the trial of the verdict. */
        a.security = CPH_SECURITY_PREFER;
        CPH_TRY(attacked(c, &a, &serve, NULL));
        a.security = CPH_SECURITY_REQUIRED;
    }
    a.how = LAB_MEDDLE_MEDIA;
    CPH_TRY(attacked(c, &a, &media, NULL));
    a.how = LAB_MEDDLE_BOTH;
    CPH_TRY(attacked(c, &a, &both,
                     pinned ? "In the middle of signalling and media, certificates pinned"
                            : "In the middle of signalling and media"));
    out->sessions = 9;
    lab_measure(out, "listening to media alone", "frames", (double)listen.media);
    lab_measure(out, "listening", "frames", (double)listen.passive);
    lab_measure(out, "in the server", "frames", (double)by_server);
    lab_measure(out, "in the media path", "frames", (double)(media.passive + media.active));
    lab_measure(out, "in both", "frames", (double)(both.passive + both.active));
    if (!listen.stands)
        lab_say(out, "call fails", "even without an attack: %s", listen.why);
    else if (listen.passive)
        lab_say(out, "I", "listening to signalling and media heard %llu frames",
                (unsigned long long)listen.passive);
    else if (by_server)
        lab_say(out, "II", "changing the signalling and listening to the media heard %llu frames",
                (unsigned long long)by_server);
    else if (both.active && !both.noticed)
        lab_say(out, "III",
                "only the attacker in both places heard anything (%llu frames), and "
                "nobody noticed",
                (unsigned long long)both.active);
    else
        lab_say(out, "IV", "no attacker heard a frame; in both places he was noticed: %.120s",
                both.why);
    return CPH_OK;
}

static cph_err run_class(const struct lab_case *c, struct lab_outcome *out)
{
    return classify(c, false, out);
}

static cph_err run_class_pinned(const struct lab_case *c, struct lab_outcome *out)
{
    return classify(c, true, out);
}

const struct lab_experiment lab_exp_class = { "class", "5", "Which attacker hears the call?",
                                              run_class };
const struct lab_experiment lab_exp_class_pinned = {
    "class-pinned", "5", "... if the users keep each other's certificates?", run_class_pinned
};

/* Signalling from phone to phone over TLS, with the certificates both keep. */
static cph_err run_over_tls(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct attack a = { LAB_MEDDLE_NOT, true, CPH_SECURITY_REQUIRED };
    struct lab_ear *ear = NULL;
    struct feat f = { 0 };
    struct lab_stage *s;
    cph_err err;

    cfg.direct = cfg.tls = cfg.pinned = true;
    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_ear_new(c->seed, &ear);
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK) {
        (void)lab_ear_read_signalling(ear, s->trace);
        lab_ear_listen(ear, s->trace, 0);
        f.passive = lab_heard_total(lab_ear_heard(ear));
        look(s, &f);
        try_verdict(c, &a, &f);
        out->sessions = 1;
        lab_measure(out, "listening", "frames", (double)f.passive);
        lab_say(out, f.stands ? f.passive ? "heard" : cph_level_name(f.shown) : "call fails",
                "who listens to every wire hears %llu frames; the phones show %s, class %s",
                (unsigned long long)f.passive, cph_level_name(f.shown),
                cph_attacker_name(f.shown_class));
        lab_case_show(c, s,
                      "Signalling over TLS between phones that keep each other's certificate");
    }
    lab_ear_free(ear);
    lab_stage_close(s);
    return err;
}

const struct lab_experiment lab_exp_over_tls = {
    "over-tls", "A.1.8", "Signalling over pinned TLS, phone to phone: what is it worth?",
    run_over_tls
};

static cph_err run_media_only(const struct lab_case *c, struct lab_outcome *out)
{
    struct attack a = { LAB_MEDDLE_MEDIA, false, CPH_SECURITY_REQUIRED };
    struct feat f;

    CPH_TRY(attacked(c, &a, &f, "In the middle of the media path alone"));
    out->sessions = 1;
    lab_measure(out, "decrypted", "frames", (double)(f.active + f.passive));
    if (f.active + f.passive)
        lab_say(out, "no", "who only reads the signalling decrypts %llu frames",
                (unsigned long long)(f.active + f.passive));
    else
        lab_say(out, "yes", "nothing was decrypted; the phones said: %.150s",
                f.noticed ? f.why : "(nothing)");
    return CPH_OK;
}

const struct lab_experiment lab_exp_media_only = {
    "media-only", "4 R17", "Active on the media path, only reading the signalling: is he kept out?",
    run_media_only
};

/* ---- downgrade ---------------------------------------------------------------------------------
 */

static cph_err run_downgrade(const struct lab_case *c, struct lab_outcome *out)
{
    struct attack a = { LAB_MEDDLE_NOT, false, CPH_SECURITY_REQUIRED };
    struct feat honest, weakened;
    bool same;

    CPH_TRY(attacked(c, &a, &honest, NULL));
    a.how = LAB_MEDDLE_WEAKEN;
    CPH_TRY(attacked(c, &a, &weakened, "The server takes all suites but the last from the offer"));
    out->sessions = 2;
    same = cph_span_eq(cph_span_of(honest.suite), cph_span_of(weakened.suite));
    if (!honest.stands)
        lab_say(out, "call fails", "even without an attack");
    else if (weakened.noticed)
        lab_say(out, "yes", "noticed: %.180s", weakened.why);
    else
        lab_say(out, same ? "yes" : "no",
                same ? "the suites are agreed on inside the key exchange: the server has nothing "
                       "to change (%s)"
                     : "the call goes on with less than both had and nobody is told: %s",
                weakened.suite);
    return CPH_OK;
}

const struct lab_experiment lab_exp_downgrade = { "downgrade", "4 R20",
                                                  "Is the choice of suite safe from the server?",
                                                  run_downgrade };

/* ---- lawful interception against detection -----------------------------------------------------
 */

static cph_err run_intercept(const struct lab_case *c, struct lab_outcome *out)
{
    struct attack a = { LAB_MEDDLE_BOTH, false, CPH_SECURITY_REQUIRED };
    struct feat loose, strict;

    CPH_TRY(attacked(c, &a, &loose, "An intermediary that terminates and records the media"));
    a.pinned = true;
    CPH_TRY(attacked(c, &a, &strict, NULL));
    out->sessions = 2;
    lab_measure(out, "recorded", "frames", (double)loose.active);
    lab_measure(out, "recorded, pinned", "frames", (double)strict.active);
    if (!loose.stands)
        lab_say(out, "call fails", "the call does not work through an intermediary: %.150s",
                loose.why);
    else
        lab_say(out, strict.noticed ? "unless pinned" : "hidden",
                "an intermediary in both paths works and records %llu frames, shown as %s; with "
                "pinned certificates %s",
                (unsigned long long)loose.active, cph_level_name(loose.shown),
                strict.noticed ? "it is noticed and the call ends" : "it is not noticed either");
    return CPH_OK;
}

const struct lab_experiment lab_exp_intercept = {
    "intermediary", "4 R23-R25", "Does an intermediary that terminates media work, unseen?",
    run_intercept
};

/* ---- PKI, and what leaks later -----------------------------------------------------------------
 */

static cph_err run_pki(const struct lab_case *c, struct lab_outcome *out)
{
    struct attack a = { LAB_MEDDLE_NOT, false, CPH_SECURITY_REQUIRED };
    struct feat f;

    CPH_TRY(attacked(c, &a, &f, NULL));
    out->sessions = 1;
    lab_say(out, f.stands ? "not needed" : "needed",
            f.stands ? "two strangers whose certificates nobody signed are keyed (shown as %s)"
                     : "strangers without signed certificates get no keys (%s)",
            cph_level_name(f.shown));
    return CPH_OK;
}

const struct lab_experiment lab_exp_pki = {
    "pki", "C.1", "Must a third party sign certificates before there are keys?", run_pki
};

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

/* ---- from RTP to SRTP --------------------------------------------------------------------------
 */

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
        bool plain = s->person[LAB_ALICE].plain && !s->person[LAB_ALICE].secured;
        cph_err offered = lab_stage_rekey(s, LAB_ALICE);

        err = lab_stage_run(s, CPH_SEC(3));
        out->sessions = 1;
        if (plain && offered == CPH_OK && s->person[LAB_ALICE].secured && !s->person[LAB_BOB].ended)
            lab_say(out, "yes",
                    "the call began in RTP and has keys after a re-INVITE; it goes on "
                    "being shown as %s for what was said before",
                    cph_level_name(s->person[LAB_ALICE].verdict.level));
        else
            lab_say(out, "no", "began in RTP: %s; re-offer: %s; keys afterwards: %s",
                    plain ? "yes" : "no", cph_err_text(offered),
                    s->person[LAB_ALICE].secured ? "yes" : "no");
        lab_case_show(c, s, "From RTP to SRTP by a re-INVITE");
    }
    lab_stage_close(s);
    lab_meddler_free(once.m);
    return err;
}

const struct lab_experiment lab_exp_upgrade = { "upgrade", "4 R15",
                                                "Can a call begin in RTP and go on in SRTP?",
                                                run_upgrade };

/* ---- denial of service -------------------------------------------------------------------------
 */

/* The first keying packet of the answerer in an honest call: what a stranger can make up as well.
 */
static cph_err first_packet(const struct lab_case *c, uint8_t out[2048], size_t *n)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s;
    cph_err err;

    *n = 0;
    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(1));
    for (size_t i = 0; i < lab_trace_count(s->trace) && *n == 0; i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);

        if (p->kind == LAB_KEYING && p->bytes.n <= 2048) {
            for (size_t k = 0; k < p->bytes.n; k++)
                out[k] = p->bytes.p[k];
            *n = p->bytes.n;
        }
    }
    lab_stage_close(s);
    return err;
}

static cph_err run_dos(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_count before, after;
    struct cph_addr alice, victim;
    uint64_t sent = 0, back = 0;
    struct lab_stage *s;
    uint8_t packet[2048];
    size_t n;
    cph_err err;

    CPH_TRY(first_packet(c, packet, &n));
    if (n == 0) {
        lab_say(out, "none", "the mechanism answers nothing on the media path");
        return CPH_OK;
    }
    CPH_TRY(lab_stage_open(&cfg, &s));
    s->person[LAB_BOB].callee = LAB_RINGS;
    err = lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB);
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_MS(200));
    before = lab_count_now();
    if (err == CPH_OK)
        err = cph_addr_parse(CPH_SPAN_LIT("10.0.0.1:20000"), &alice);
    for (unsigned i = 0; i < 20 && err == CPH_OK; i++) { /* twenty victims, none of them called */
        err = cph_addr_parse(CPH_SPAN_LIT("10.0.0.77:9000"), &victim);
        victim.port = (uint16_t)(victim.port + i);
        if (err == CPH_OK)
            err = lab_inject(s->net, &victim, &alice, (struct cph_span){ packet, n });
        sent += n;
        if (err == CPH_OK)
            err = lab_stage_run(s, CPH_MS(50));
    }
    if (err == CPH_OK)
        err = lab_stage_run(s, CPH_SEC(20));
    after = lab_count_now();
    for (size_t i = 0; i < lab_trace_count(s->trace); i++)
        if (cph_addr_ip_eq(&lab_trace_at(s->trace, i)->to, &victim))
            back += lab_trace_at(s->trace, i)->bytes.n;
    lab_trace_name(s->trace, "10.0.0.77", "victim");
    lab_case_show(c, s, "A stranger sends the first keying packet in others' names");
    lab_stage_close(s);
    CPH_TRY(err);
    out->sessions = 2;
    lab_measure(out, "amplification", "bytes back per byte", (double)(back * 10 / sent) / 10);
    lab_measure(out, "operations and handshakes", "per 20 packets",
                lab_count_between(&before, &after));
    lab_say(out, back > sent ? "amplifies" : "no gain",
            "20 packets in the names of others made %.1f bytes for each byte, and %u public-key "
            "operations or handshakes",
            (double)(back * 10 / sent) / 10, lab_count_between(&before, &after));
    return CPH_OK;
}

const struct lab_experiment lab_exp_dos = {
    "amplification", "4 R16", "What does a stranger's packet make a ringing phone do?", run_dos
};
