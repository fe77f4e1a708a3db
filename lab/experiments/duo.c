#include "duo.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/identity_smime.h"
#include "ciphony/rtp.h"
#include "ciphony/srtp.h"

struct party {
    struct lab_duo *duo;
    struct cph_env env;
    uint64_t draws;
    struct cph_session *session;
    struct lab_kit *kit;
    struct cph_addr local[2];
    struct lab_party_config cfg;
    uint8_t said[CPH_SESSION_SDP];
    size_t said_n;
    bool keyed;
    struct cph_smime
        *smime; /* of a column that seals its descriptions; NULL: they go as they are */
    char type[CPH_SMIME_TYPE], told[CPH_SMIME_ID], heard[CPH_SMIME_ID];
    uint8_t sealed[CPH_SESSION_SDP + 2 * CPH_SMIME_GROWS];
    size_t sealed_n;
};

struct lab_duo {
    struct cph_srtp_engine *srtp;
    struct party party[LAB_PARTIES];
    unsigned n, datagrams;
    cph_time now;
};

static cph_err draw(void *ctx, void *buf, size_t n)
{
    struct party *p = ctx;
    uint8_t *b = buf;

    for (size_t i = 0; i < n; i++) { /* splitmix64, one byte of each */
        uint64_t z = p->draws += 0x9e3779b97f4a7c15U;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
        z = (z ^ z >> 27) * 0x94d049bb133111ebU;
        b[i] = (uint8_t)(z >> 56);
    }
    return CPH_OK;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

struct lab_party_config lab_party_usual(const char *keying, uint64_t seed, enum lab_person who)
{
    bool caller = who == LAB_ALICE;

    return (struct lab_party_config){ .keying = keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = who,
                                      .peer = caller ? LAB_BOB : LAB_ALICE,
                                      .ssrc = caller ? LAB_SSRC_CALLER : LAB_SSRC_CALLED,
                                      .draws = seed * 1000 + who };
}

cph_err lab_duo_new(struct lab_duo **out)
{
    struct lab_duo *d = calloc(1, sizeof *d);
    cph_err err;

    if (!d)
        return CPH_E_NOMEM;
    err = lab_keys_open();
    if (err == CPH_OK)
        err = cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &d->srtp);
    if (err != CPH_OK) {
        free(d);
        return err;
    }
    *out = d;
    return CPH_OK;
}

void lab_duo_free(struct lab_duo *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < LAB_PARTIES; i++) {
        cph_session_free(d->party[i].session);
        lab_kit_free(d->party[i].kit);
        cph_smime_free(d->party[i].smime);
    }
    cph_srtp_engine_free(d->srtp);
    free(d);
}

/* A session of its own, with whatever its kit has by now. */
static cph_err begin(struct lab_duo *d, unsigned i)
{
    static const struct cph_sdp_codec codec = { .name = "PCMU", .rate = 8000, .channels = 1 };
    struct party *p = &d->party[i];
    struct cph_session_media media = { .kind = "audio",
                                       .codecs = &codec,
                                       .n_codecs = 1,
                                       .direction = CPH_SDP_SENDRECV,
                                       .rtcp_mux = true };
    struct cph_session_config cfg = { .env = &p->env, .srtp = d->srtp, .peer = "" };

    CPH_TRY(lab_kit_session(p->kit, p->cfg.peer, &cfg.keying));
    cfg.keying.ssrc = p->cfg.ssrc;
    if (p->cfg.ekt)
        cfg.keying.ekt = p->cfg.ekt;
    if (p->cfg.takes_ekt)
        cfg.keying.allow_ekt = true;
    if (p->cfg.ekt || p->cfg.takes_ekt)
        cfg.ekt = true;
    cfg.policy.media = p->cfg.security;
    cfg.policy.form = p->cfg.form;
    lab_kit_policy(p->kit, &cfg.policy);
    if (p->cfg.policy)
        CPH_TRY(cph_policy_keying(&cfg.policy, cph_span_of(p->cfg.policy)));
    memcpy(media.local, p->local, sizeof media.local);
    p->keyed = false;
    return cph_session_new(&cfg, &media, 1, d->now, &p->session);
}

/* ---- what carries descriptions --------------------------------------------------------------- */

/* As a phone's: for all its calls, so that what it has opened it remembers. */
static cph_err sealing(struct party *p)
{
    struct cph_smime_cfg cfg = { .env = &p->env,
                                 .key = lab_rsa_key(p->cfg.who),
                                 .cert = lab_rsa_cert(p->cfg.who, true),
                                 .trust = lab_authority() };

    return cph_smime_new(&cfg, &p->smime);
}

static struct cph_span said(const struct party *p)
{
    return (struct cph_span){ p->said, p->said_n };
}

/* Signed, and encrypted to whom it is for. */
static cph_err seal(struct party *p, const char *answers)
{
    struct cph_wr wr = cph_wr_open(p->sealed, sizeof p->sealed);

    if (!p->smime)
        return CPH_OK;
    CPH_TRY(cph_smime_seal(p->smime, lab_rsa_cert(p->cfg.peer, true),
                           CPH_SPAN_LIT("application/sdp"), said(p), answers, p->type, p->told,
                           &wr));
    p->sealed_n = wr.n;
    return CPH_OK;
}

/* What another party said, as this one gets it; o is to be wiped. */
static cph_err unseal(struct party *p, const struct party *from, const char *answers,
                      struct cph_smime_opened *o, struct cph_span *sdp)
{
    struct cph_smime_from who = { .answers = answers };

    *sdp = said(from);
    if (!p->smime)
        return CPH_OK;
    who.cert = lab_rsa_cert(from->cfg.who, true);
    CPH_TRY(cph_smime_open(p->smime, &who, cph_span_of(from->type),
                           (struct cph_span){ from->sealed, from->sealed_n }, o));
    memcpy(p->heard, o->id, sizeof p->heard);
    *sdp = o->body;
    return CPH_OK;
}

cph_err lab_duo_add(struct lab_duo *d, const struct lab_party_config *c, unsigned *party)
{
    struct party *p = &d->party[d->n];
    struct lab_kit_config kit = { .column = lab_column_find(c->keying),
                                  .who = c->who,
                                  .claims = c->who,
                                  .env = &p->env,
                                  .suites = c->suites,
                                  .resume = c->resume };

    if (d->n == LAB_PARTIES)
        return CPH_E_LIMIT;
    if (!kit.column)
        return CPH_E_NOTFOUND;
    *p = (struct party){ .duo = d, .draws = c->draws, .cfg = *c };
    p->env = (struct cph_env){ .ctx = p, .random = draw, .wall = wall };
    CPH_TRY(lab_kit_new(&kit, &p->kit));
    if (kit.column->smime)
        CPH_TRY(sealing(p));
    for (unsigned i = 0; i < 2; i++) {
        CPH_TRY(cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.9"), &p->local[i]));
        p->local[i].port = (uint16_t)(20000 + 2 * d->n + i);
    }
    CPH_TRY(begin(d, d->n));
    *party = d->n++;
    return CPH_OK;
}

cph_err lab_duo_again(struct lab_duo *d)
{
    for (unsigned i = 0; i < d->n; i++) {
        cph_session_free(d->party[i].session);
        d->party[i].session = NULL;
        CPH_TRY(begin(d, i));
    }
    return CPH_OK;
}

struct cph_session *lab_duo_session(struct lab_duo *d, unsigned party)
{
    return d->party[party].session;
}

static void deliver(struct lab_duo *d, const struct cph_addr *from, const struct cph_addr *to,
                    struct cph_span bytes)
{
    uint8_t copy[LAB_WIRE];

    for (unsigned i = 0; i < d->n; i++)
        for (unsigned c = 0; c < 2; c++)
            if (cph_addr_eq(&d->party[i].local[c], to) && bytes.n <= sizeof copy) {
                memcpy(copy, bytes.p, bytes.n);
                (void)cph_session_feed(d->party[i].session, 0, (enum cph_keying_component)c, from,
                                       copy, bytes.n, d->now);
            }
}

static bool pump_once(struct lab_duo *d)
{
    struct cph_session_event ev;
    struct cph_session_out out;
    bool any = false;

    for (unsigned i = 0; i < d->n; i++) {
        struct party *p = &d->party[i];

        while (cph_session_event(p->session, &ev) == CPH_OK)
            p->keyed |= ev.kind == CPH_SESSION_KEYED;
        while (cph_session_pull(p->session, &out, d->now) == CPH_OK) {
            uint8_t copy[LAB_WIRE];
            struct cph_span bytes = { copy, out.bytes.n };
            struct cph_addr to = out.to;

            if (out.bytes.n > sizeof copy)
                continue;
            memcpy(copy, out.bytes.p, out.bytes.n);
            any = true;
            d->datagrams++;
            deliver(d, &p->local[out.port], &to, bytes);
        }
    }
    return any;
}

/* Some milliseconds between turns; mechanisms with a schedule of their own get a few seconds. */
static void pump(struct lab_duo *d)
{
    for (unsigned quiet = 0; quiet < 100;) {
        bool any = pump_once(d), keyed = true, due = false;

        for (unsigned i = 0; i < d->n; i++) {
            keyed &= cph_session_line(d->party[i].session, 0, NULL) == CPH_SESSION_LINE_KEYED;
            due |= cph_session_deadline(d->party[i].session) < CPH_TIME_NEVER;
        }
        quiet = any ? 0 : quiet + 1;
        if (!any && (keyed || !due))
            return;
        d->now += CPH_MS(10);
        for (unsigned i = 0; i < d->n; i++)
            if (cph_session_deadline(d->party[i].session) <= d->now)
                cph_session_tick(d->party[i].session, d->now);
    }
}

cph_err lab_duo_offer(struct lab_duo *d, unsigned a)
{
    struct party *p = &d->party[a];
    struct cph_wr wr = cph_wr_open(p->said, sizeof p->said);

    CPH_TRY(cph_session_offer(p->session, d->now, &wr));
    p->said_n = wr.n;
    return seal(p, NULL);
}

static cph_err answer(struct lab_duo *d, unsigned a, unsigned b, uint32_t branch)
{
    struct party *caller = &d->party[a], *p = &d->party[b];
    struct cph_wr wr = cph_wr_open(p->said, sizeof p->said);
    struct cph_smime_opened opened = { 0 };
    struct cph_span sdp;
    cph_err err = unseal(p, caller, NULL, &opened, &sdp);

    if (err == CPH_OK)
        err = cph_session_answer(p->session, sdp, d->now, &wr);
    cph_smime_opened_wipe(&opened);
    CPH_TRY(err);
    p->said_n = wr.n;
    CPH_TRY(seal(p, p->heard));
    err = unseal(caller, p, caller->told, &opened, &sdp);
    if (err == CPH_OK)
        err = cph_session_finish(caller->session, branch, sdp, d->now);
    cph_smime_opened_wipe(&opened);
    return err;
}

cph_err lab_duo_reoffer(struct lab_duo *d, unsigned a, unsigned b)
{
    CPH_TRY(lab_duo_offer(d, a));
    CPH_TRY(answer(d, a, b, 1));
    pump(d);
    if (cph_session_offer_wanted(d->party[a].session)) { /* MIKEYv2 needs two */
        CPH_TRY(lab_duo_offer(d, a));
        CPH_TRY(answer(d, a, b, 1));
        pump(d);
    }
    return CPH_OK;
}

cph_err lab_duo_connect(struct lab_duo *d, unsigned a, const unsigned *b, unsigned n, bool choose)
{
    CPH_TRY(lab_duo_offer(d, a));
    for (unsigned i = 0; i < n; i++)
        CPH_TRY(answer(d, a, b[i], i + 1));
    if (n > 1)
        pump(d);
    if (choose)
        CPH_TRY(cph_session_choose(d->party[a].session, 1));
    pump(d);
    (void)pump_once(d);
    return choose && cph_session_offer_wanted(d->party[a].session) ? lab_duo_reoffer(d, a, b[0])
                                                                   : CPH_OK;
}

struct cph_span lab_duo_said(const struct lab_duo *d, unsigned party)
{
    return said(&d->party[party]);
}

bool lab_duo_keyed(struct lab_duo *d, unsigned party)
{
    return cph_session_line(d->party[party].session, 0, NULL) == CPH_SESSION_LINE_KEYED;
}

void lab_duo_protect(struct lab_duo *d, unsigned party, uint32_t ssrc, uint16_t seq,
                     const uint8_t payload[LAB_FRAME], uint8_t out[LAB_WIRE], size_t *n)
{
    struct cph_wr wr = cph_wr_open(out, LAB_WIRE);
    enum cph_keying_component port;
    struct cph_addr to;

    cph_wr_u8(&wr, 0x80);
    cph_wr_u8(&wr, 0);
    cph_wr_u16(&wr, seq);
    cph_wr_u32(&wr, 160U * seq);
    cph_wr_u32(&wr, ssrc);
    cph_wr_bytes(&wr, payload, LAB_FRAME);
    *n = wr.n;
    if (cph_session_protect(d->party[party].session, 0, CPH_KEYING_RTP, out, n, LAB_WIRE, &port,
                            &to, d->now) != CPH_OK)
        *n = 0;
}

bool lab_duo_take(struct lab_duo *d, unsigned party, unsigned from, const uint8_t *packet, size_t n,
                  const uint8_t payload[LAB_FRAME])
{
    struct cph_session_packet in;
    uint8_t copy[LAB_WIRE];
    struct cph_rtp rtp;
    bool good = false;

    if (n == 0 || n > sizeof copy)
        return false;
    memcpy(copy, packet, n);
    (void)cph_session_feed(d->party[party].session, 0, CPH_KEYING_RTP, &d->party[from].local[0],
                           copy, n, d->now);
    while (cph_session_take(d->party[party].session, &in) == CPH_OK)
        if (in.component == CPH_KEYING_RTP && cph_rtp_parse(in.bytes, &rtp) == CPH_OK)
            /* made-up speech, public */
            good |= rtp.payload.n == LAB_FRAME && memcmp(rtp.payload.p, payload, LAB_FRAME) == 0;
    return good;
}

unsigned lab_duo_datagrams(const struct lab_duo *d)
{
    return d->datagrams;
}
