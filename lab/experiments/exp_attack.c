/* Attackers at work: draft-wing-media-security-requirements-05 5, C.1, C.2, R6, R7, R16, R17, R20.
 */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ear.h"
#include "siege.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

/* A server that writes down what it forwards. */
struct diary {
    struct lab_ear *ear;
    struct lab_meddler *m;
    const struct lab_proxy_ops *then;
    uint8_t sdp[8][8192]; /* the ear keeps views */
    unsigned n;
};

static enum lab_proxy_body read_along(void *ctx, const struct cph_sip_msg *msg,
                                      const struct cph_addr *from, struct cph_span sdp,
                                      struct cph_wr *out)
{
    struct diary *d = ctx;

    if (d->n < 8 && sdp.n <= sizeof d->sdp[0]) {
        memcpy(d->sdp[d->n], sdp.p, sdp.n);
        (void)lab_ear_read_sdp(d->ear, (struct cph_span){ d->sdp[d->n++], sdp.n });
    }
    return d->then ? d->then->sdp(d->m, msg, from, sdp, out) : LAB_BODY_KEEP;
}

/* ---- classes --------------------------------------------------------------------------------- */

static cph_err classify(const struct lab_case *c, bool pinned, struct lab_outcome *out)
{
    static const enum lab_meddling server[] = { LAB_MEDDLE_STRIP, LAB_MEDDLE_SUBSTITUTE,
                                                LAB_MEDDLE_WEAKEN };
    struct lab_attack a = { .how = LAB_MEDDLE_NOT,
                            .pinned = pinned,
                            .security = CPH_SECURITY_REQUIRED };
    struct lab_feat listen, serve, media, both;
    uint64_t by_server = 0;

    CPH_TRY(lab_attacked(c, &a, &listen, NULL));
    for (size_t i = 0; i < sizeof server / sizeof *server; i++) {
        a.how = server[i];
        CPH_TRY(lab_attacked(c, &a, &serve, NULL));
        by_server += serve.passive + serve.active;
        /* The same against phones that would also go on in clear: for the trial of the verdict. */
        a.security = CPH_SECURITY_PREFER;
        CPH_TRY(lab_attacked(c, &a, &serve, NULL));
        a.security = CPH_SECURITY_REQUIRED;
    }
    a.how = LAB_MEDDLE_MEDIA;
    CPH_TRY(lab_attacked(c, &a, &media, NULL));
    a.how = LAB_MEDDLE_ROLES; /* for the trial */
    CPH_TRY(lab_attacked(c, &a, &serve, NULL));
    a.how = LAB_MEDDLE_BOTH;
    CPH_TRY(lab_attacked(c, &a, &both,
                         pinned ? "In the middle of signalling and media, certificates pinned"
                                : "In the middle of signalling and media"));
    out->sessions = 10;
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
    else if (both.noticed)
        lab_say(out, "IV", "in both places he heard %llu frames and was noticed: %.120s",
                (unsigned long long)both.active, both.why);
    else
        lab_say(out, "IV", "no attacker heard a frame, and in both places he found no way in");
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
    struct lab_attack a = { .how = LAB_MEDDLE_NOT,
                            .pinned = true,
                            .security = CPH_SECURITY_REQUIRED };
    struct lab_ear *ear = NULL;
    struct lab_feat f = { 0 };
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
        lab_siege_look(s, &f);
        lab_siege_try(c, &a, &f);
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

/* Each phone has a TLS connection of its own to the server, which is honest, curious or worse. */
static cph_err through_server(const struct lab_case *c, enum lab_meddling how, struct lab_feat *f,
                              uint64_t *wire)
{
    static const struct lab_proxy_ops ops = { read_along };
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_attack a = { .how = how, .security = CPH_SECURITY_REQUIRED, .domain = true };
    struct diary *d = calloc(1, sizeof *d);
    struct lab_stage *s = NULL;
    cph_err err;

    *f = (struct lab_feat){ 0 };
    if (!d)
        return CPH_E_NOMEM;
    err = lab_ear_new(c->seed, &d->ear);
    if (err == CPH_OK)
        err = lab_meddler_new(how, c->keying, c->seed, &d->m);
    if (err == CPH_OK) {
        lab_meddler_place(d->m, &cfg);
        d->then = cfg.proxy.ops;
        cfg.proxy.ops = &ops;
        cfg.proxy.ctx = d;
        cfg.tls = true;
        err = lab_stage_open(&cfg, &s);
    }
    if (err == CPH_OK && how != LAB_MEDDLE_NOT)
        err = lab_meddler_start(d->m, s);
    if (err == CPH_OK)
        err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_OK) {
        struct lab_meddler_feat feat = lab_meddler_feat(d->m);
        struct lab_ear *outside;

        err = lab_ear_new(c->seed, &outside);
        if (err == CPH_OK) {
            (void)lab_ear_read_signalling(outside, s->trace);
            lab_ear_listen(outside, s->trace, 0);
            *wire = lab_heard_total(lab_ear_heard(outside));
            lab_ear_free(outside);
        }
        lab_ear_listen(d->ear, s->trace, 0);
        f->passive = lab_heard_total(lab_ear_heard(d->ear));
        f->active = lab_heard_total(&feat.heard);
        lab_siege_look(s, f);
        lab_siege_try(c, &a, f);
        if (how == LAB_MEDDLE_NOT)
            lab_case_show(c, s, "Signalling over TLS to a server that both use");
    }
    lab_stage_close(s);
    lab_meddler_free(d->m);
    lab_ear_free(d->ear);
    free(d);
    return err;
}

static cph_err run_hop(const struct lab_case *c, struct lab_outcome *out)
{
    static const enum lab_meddling more[] = { LAB_MEDDLE_STRIP, LAB_MEDDLE_SUBSTITUTE,
                                              LAB_MEDDLE_WEAKEN, LAB_MEDDLE_BOTH };
    uint64_t wire = 0, ignored;
    struct lab_feat f, g;

    CPH_TRY(through_server(c, LAB_MEDDLE_NOT, &f, &wire));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        CPH_TRY(through_server(c, more[i], &g, &ignored)); /* for the trial of the verdict */
    out->sessions = 5;
    lab_measure(out, "heard on the wires", "frames", (double)wire);
    lab_measure(out, "heard by the server", "frames", (double)f.passive);
    if (!f.stands)
        lab_say(out, "call fails", "%s", f.why);
    else
        lab_say(out, "",
                "who listens to every wire hears %llu frames, the server that forwards the "
                "messages %llu",
                (unsigned long long)wire, (unsigned long long)f.passive);
    if (f.stands)
        (void)snprintf(out->answer, sizeof out->answer, "%s, %s", cph_level_name(f.shown),
                       cph_attacker_name(f.shown_class));
    return CPH_OK;
}

const struct lab_experiment lab_exp_hop = {
    "server-tls", "A.1.8", "Signalling over TLS to a server: what is shown, and what does it hear?",
    run_hop
};

static cph_err run_media_only(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_attack a = { .how = LAB_MEDDLE_MEDIA, .security = CPH_SECURITY_REQUIRED };
    struct lab_feat f;

    CPH_TRY(lab_attacked(c, &a, &f, "In the middle of the media path alone"));
    out->sessions = 1;
    lab_measure(out, "decrypted", "frames", (double)(f.active + f.passive));
    if (f.active + f.passive)
        lab_say(out, "no", "who only reads the signalling decrypts %llu frames",
                (unsigned long long)f.active + f.passive);
    else
        lab_say(out, "yes", "nothing was decrypted; the phones said: %.150s",
                f.noticed ? f.why : "(nothing)");
    return CPH_OK;
}

const struct lab_experiment lab_exp_media_only = {
    "media-only", "4 R17", "Active on the media path, only reading the signalling: is he kept out?",
    run_media_only
};

/* ---- downgrade ------------------------------------------------------------------------------- */

/* What came of it, from good to bad. */
enum weaker { WEAKER_NOTICED, WEAKER_APART, WEAKER_NOTHING, WEAKER_TAKEN };

static enum weaker weaker(const struct lab_feat *honest, const struct lab_feat *f)
{
    if (f->noticed)
        return WEAKER_NOTICED;
    if (!f->stands)
        return WEAKER_APART;
    if (!cph_span_eq(cph_span_of(honest->suite), cph_span_of(f->suite)))
        return WEAKER_TAKEN;
    return WEAKER_NOTHING;
}

static void say_weaker(enum weaker w, const struct lab_feat *f, struct lab_outcome *out)
{
    switch (w) {
    case WEAKER_NOTICED:
        lab_say(out, "yes", "noticed: %.180s", f->why);
        break;
    case WEAKER_APART:
        lab_say(out, "yes",
                "the offer is part of what makes the keys: who changed it leaves the two without "
                "keys that both have, and nothing is heard");
        break;
    case WEAKER_NOTHING:
        lab_say(out, "yes", "whatever was changed, the call has the suite it would have had: %s",
                f->suite);
        break;
    case WEAKER_TAKEN:
        lab_say(out, "no", "the call goes on with less than both had and nobody is told: %s",
                f->suite);
        break;
    }
}

/* The server leaves the worst suite of each offer, in a description or in the messages that it
 * carries; then somebody on the media path does the same with what makes keys there. */
static cph_err run_downgrade(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_attack a = { .how = LAB_MEDDLE_NOT, .security = CPH_SECURITY_REQUIRED };
    struct lab_feat honest, server, both, own = { 0 };
    enum weaker one, two;

    CPH_TRY(lab_attacked(c, &a, &honest, NULL));
    a.how = LAB_MEDDLE_WEAKEN;
    CPH_TRY(lab_attacked(c, &a, &server, "The server leaves the worst suite of each offer"));
    a.how = LAB_MEDDLE_WEAKEN_BOTH;
    CPH_TRY(lab_attacked(c, &a, &both, NULL));
    out->sessions = 3;
    if (honest.passive > 0) { /* who reads the keys may as well write others */
        a.how = LAB_MEDDLE_BOTH;
        CPH_TRY(lab_attacked(c, &a, &own, NULL));
        out->sessions++;
    }
    one = weaker(&honest, &server);
    two = weaker(&honest, &both);
    if (!honest.stands)
        lab_say(out, "call fails", "even without an attack");
    else if (one > WEAKER_NOTHING)
        say_weaker(one, &server, out);
    else if (own.active > 0 && !own.noticed)
        lab_say(out, "no",
                "the server reads the keys, put an offer of its own in the place of theirs, and "
                "nobody noticed (%llu frames heard)",
                (unsigned long long)own.active);
    else
        say_weaker(two, &both, out);
    return CPH_OK;
}

const struct lab_experiment lab_exp_downgrade = {
    "downgrade", "4 R20", "Is the choice of suite safe from who carries it?", run_downgrade
};

/* ---- lawful interception against detection --------------------------------------------------- */

static cph_err run_intercept(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_attack a = { .how = LAB_MEDDLE_BOTH, .security = CPH_SECURITY_REQUIRED };
    struct lab_feat loose, strict, invited;

    CPH_TRY(lab_attacked(c, &a, &loose, "An intermediary that terminates and records the media"));
    a.pinned = true;
    CPH_TRY(lab_attacked(c, &a, &strict, NULL));
    a.how = LAB_MEDDLE_INVITED;
    CPH_TRY(lab_attacked(c, &a, &invited, NULL));
    out->sessions = 3;
    lab_measure(out, "recorded", "frames", (double)loose.active);
    lab_measure(out, "recorded, users check", "frames", (double)strict.active);
    lab_measure(out, "recorded, with users' keys", "frames", (double)invited.active);
    if (loose.active == 0)
        lab_say(
            out, "kept out",
            "who was not invited records nothing%s%.100s; with keys that the users gave him %llu "
            "frames",
            loose.noticed ? " and is noticed: " : "", loose.noticed ? loose.why : "",
            (unsigned long long)invited.active);
    else
        lab_say(out, strict.noticed ? "unless pinned" : "hidden",
                "an intermediary in both paths works and records %llu frames, shown as %s; if the "
                "users check each other %s",
                (unsigned long long)loose.active, cph_level_name(loose.shown),
                strict.noticed ? "it is noticed and the call ends" : "it is not noticed either");
    return CPH_OK;
}

const struct lab_experiment lab_exp_intercept = {
    "intermediary", "4 R23-R25", "Does an intermediary that terminates media work, unseen?",
    run_intercept
};

/* ---- PKI ------------------------------------------------------------------------------------- */

static cph_err run_pki(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_attack a = { .how = LAB_MEDDLE_NOT,
                            .security = CPH_SECURITY_REQUIRED,
                            .strangers = true };
    struct lab_feat f;

    CPH_TRY(lab_attacked(c, &a, &f, NULL));
    out->sessions = 1;
    lab_say(out, f.stands ? "not needed" : "needed",
            f.stands ? "two strangers whose certificates nobody signed are keyed (shown as %s)"
                     : "strangers without signed certificates get no keys: %.150s",
            f.stands ? cph_level_name(f.shown) : f.why);
    return CPH_OK;
}

const struct lab_experiment lab_exp_pki = {
    "pki", "C.1", "Must a third party sign certificates before there are keys?", run_pki
};
