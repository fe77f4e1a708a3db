#include "meddler_int.h"

#include <string.h>

#include "rewrite.h"

#include "ciphony/base_text.h"

/* ---- in the middle: sessions ----------------------------------------------------------------- */

static cph_err open_victim(struct lab_meddler *m, unsigned i)
{
    static const struct cph_sdp_codec codec = { .name = "PCMU", .rate = 8000, .channels = 1 };
    struct victim *v = &m->victim[i];
    struct cph_session_media media = { .kind = "audio",
                                       .codecs = &codec,
                                       .n_codecs = 1,
                                       .direction = CPH_SDP_SENDRECV,
                                       .rtcp_mux = true };
    struct cph_session_config cfg = { .env = &m->stage->env, .srtp = m->srtp, .peer = "" };
    enum lab_person other = i ? LAB_ALICE : LAB_BOB;
    /* His own keys, unless he was given theirs; and in the name of the other one. */
    struct lab_kit_config kit = { .column = lab_column_find(m->keying),
                                  .who = m->how == LAB_MEDDLE_INVITED ? other : LAB_MALLORY,
                                  .claims = other,
                                  .old_zid = m->old_zid,
                                  .env = &m->stage->env };

    if (v->session)
        return CPH_OK;
    if (!kit.column)
        return CPH_E_NOTFOUND;
    CPH_TRY(lab_kit_new(&kit, &v->kit));
    CPH_TRY(lab_kit_session(v->kit, i ? LAB_BOB : LAB_ALICE, &cfg.keying));
    cfg.policy.media = m->how == LAB_MEDDLE_STRIP ? CPH_SECURITY_NONE
                       : m->as_secure             ? CPH_SECURITY_REQUIRED
                                                  : CPH_SECURITY_PREFER;
    lab_kit_policy(v->kit, &cfg.policy);
    memcpy(media.local, v->local, sizeof media.local);
    return cph_session_new(&cfg, &media, 1, lab_now(m->stage->net), &v->session);
}

/* An offer passes: answer it as the callee would, if he can, and make one of his own for the
 * callee.
 */
static cph_err take_offer(struct lab_meddler *m, struct cph_span offer, struct cph_wr *out)
{
    struct victim *a = &m->victim[0];
    struct cph_wr answer = cph_wr_open(a->answer, sizeof a->answer);
    cph_time now = lab_now(m->stage->net);

    CPH_TRY(open_victim(m, 0));
    CPH_TRY(open_victim(m, 1));
    if (cph_session_answer(a->session, offer, now, &answer) == CPH_OK)
        a->answer_n = answer.n;
    return cph_session_offer(m->victim[1].session, now, out);
}

static cph_err take_answer(struct lab_meddler *m, unsigned status, struct cph_span answer,
                           struct cph_wr *out)
{
    struct victim *a = &m->victim[0], *b = &m->victim[1];

    if (!b->session || a->answer_n == 0)
        return CPH_E_STATE;
    CPH_TRY(cph_session_finish(b->session, 1, answer, lab_now(m->stage->net)));
    if (status >= 200)
        CPH_TRY(cph_session_choose(b->session, 1));
    cph_wr_bytes(out, a->answer, a->answer_n);
    return CPH_OK;
}

/* Shares in the description are all there is to the keys: with his own in the place of theirs he
 * needs no more than an ear on the media, which goes between the two as ever. */
static bool has_shares(struct cph_span sdp)
{
    return memmem(sdp.p, sdp.n, "a=sdp-dh:", 9) != NULL;
}

static cph_err swap_shares(struct lab_meddler *m, const struct cph_sip_msg *msg,
                           struct cph_span sdp, struct cph_wr *out)
{
    uint8_t mine[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(mine, sizeof mine);
    struct cph_span line, rest;
    bool done = false;

    m->as_secure = memmem(sdp.p, sdp.n, " RTP/SAVP", 9) != NULL;
    CPH_TRY(msg->is_request ? take_offer(m, sdp, &wr) : take_answer(m, msg->status, sdp, &wr));
    while (cph_span_line(&sdp, &line)) {
        if (!cph_span_starts(line, "a=sdp-dh:")) {
            cph_wr_span(out, line);
            cph_wr_text(out, "\r\n");
            continue;
        }
        for (rest = cph_wr_done(&wr); !done && cph_span_line(&rest, &line);)
            if (cph_span_starts(line, "a=sdp-dh:")) {
                cph_wr_span(out, line);
                cph_wr_text(out, "\r\n");
            }
        done = true;
    }
    return cph_wr_end(out);
}

/* ---- in the middle: sealed bodies ------------------------------------------------------------ */

/* An answer to what he could not read: what he would have offered, with one key. */
static cph_err answer_blindly(struct lab_meddler *m)
{
    struct victim *a = &m->victim[0];
    uint8_t mine[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(mine, sizeof mine),
                  one = cph_wr_open(a->answer, sizeof a->answer);
    struct cph_span rest, line;
    unsigned keys = 0;

    CPH_TRY(cph_session_offer(a->session, lab_now(m->stage->net), &wr));
    for (rest = cph_wr_done(&wr); cph_span_line(&rest, &line);) {
        if (cph_span_starts(line, "a=crypto:") && keys++ > 0)
            continue;
        cph_wr_span(&one, line);
        cph_wr_text(&one, "\r\n");
    }
    a->answer_n = one.n;
    return cph_wr_end(&one);
}

/* His own body in the place of theirs; whether he can read theirs depends on his keys. */
static cph_err own_description(struct lab_meddler *m, const struct cph_sip_msg *msg,
                               struct cph_wr *out)
{
    struct cph_span theirs;
    bool read = lab_sealer_open(m->sealer, !msg->is_request, msg, &theirs) == CPH_OK;
    struct victim *a = &m->victim[0];

    if (read)
        return msg->is_request ? take_offer(m, theirs, out)
                               : take_answer(m, msg->status, theirs, out);
    if (msg->is_request) {
        CPH_TRY(open_victim(m, 0));
        CPH_TRY(open_victim(m, 1));
        CPH_TRY(answer_blindly(m));
        return cph_session_offer(m->victim[1].session, lab_now(m->stage->net), out);
    }
    if (a->answer_n == 0)
        return CPH_E_STATE;
    cph_wr_bytes(out, a->answer, a->answer_n);
    return CPH_OK;
}

static cph_err swap_sealed(struct lab_meddler *m, const struct cph_sip_msg *msg,
                           struct cph_span body, struct cph_wr *out)
{
    bool invited = m->how == LAB_MEDDLE_INVITED;
    enum lab_person keys[2] = { invited ? LAB_BOB : LAB_MALLORY,
                                invited ? LAB_ALICE : LAB_MALLORY };
    uint8_t mine[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(mine, sizeof mine);

    if (m->how == LAB_MEDDLE_WEAKEN ||
        m->how ==
            LAB_MEDDLE_WEAKEN_BOTH) { /* he sees no suites: all he can do is to change something */
        cph_wr_bytes(out, body.p, body.n);
        out->p[body.n / 2] ^= 1;
        return cph_wr_end(out);
    }
    if (!m->sealer)
        CPH_TRY(lab_sealer_new(&m->stage->env, keys, &m->sealer));
    m->middle = m->as_secure = true;
    CPH_TRY(own_description(m, msg, &wr));
    if (m->how == LAB_MEDDLE_STRIP) { /* neither keys nor a seal */
        cph_wr_span(out, cph_wr_done(&wr));
        return cph_wr_end(out);
    }
    return lab_sealer_close(m->sealer, msg->is_request ? 1 : 0, cph_wr_done(&wr), out);
}

/* Of several descriptions (multipart) the last is the one with keys. */
static struct cph_span last_part(struct cph_span body)
{
    static const char begins[] = "\r\n\r\nv=0\r\n";
    struct cph_span part = body, rest = body;
    const uint8_t *at;

    if (!cph_span_starts(body, "--"))
        return body;
    while (rest.n > 0 && (at = memmem(rest.p, rest.n, begins, sizeof begins - 1))) {
        rest = cph_span_from(rest, (size_t)(at - rest.p) + 4);
        part = rest;
    }
    at = part.n > 0 ? memmem(part.p, part.n, "\r\n--", 4) : NULL;
    return at ? cph_span_head(part, (size_t)(at - part.p) + 2) : part;
}

static void keep(struct cph_span body, uint8_t copy[CPH_SESSION_SDP], size_t *n)
{
    if (body.n > CPH_SESSION_SDP)
        return;
    memcpy(copy, body.p, body.n);
    *n = body.n;
}

/* Her own offer, or what was answered in another call. Sealed bodies go back as they came. */
static cph_err answer_falsely(struct lab_meddler *m, const struct cph_sip_msg *msg,
                              struct cph_wr *out)
{
    struct cph_span offer = { m->offer, m->offer_n };

    if (msg->is_request || (m->how == LAB_MEDDLE_OLD && m->old_n == 0))
        return CPH_E_STATE; /* it passes */
    if (m->how == LAB_MEDDLE_OLD)
        cph_wr_bytes(out, m->old, m->old_n);
    else if (lab_sealer_is(msg))
        cph_wr_span(out, offer);
    else
        lab_rewrite_mirror(offer, lab_person_ip(LAB_ALICE), lab_person_ip(LAB_BOB), out);
    return cph_wr_end(out);
}

enum lab_proxy_body lab_meddler_sdp(void *ctx, const struct cph_sip_msg *msg,
                                    const struct cph_addr *from, struct cph_span sdp,
                                    struct cph_wr *out)
{
    struct lab_meddler *m = ctx;
    cph_err err = CPH_OK;

    (void)from;
    if (msg->is_request)
        keep(sdp, m->offer, &m->offer_n);
    else if (!m->stage)
        keep(sdp, m->old, &m->old_n);
    if (!m->stage)
        return LAB_BODY_KEEP;
    if (lab_meddler_in_both(m) || lab_meddler_only_media(m))
        sdp = last_part(sdp);
    if (m->how == LAB_MEDDLE_MIRROR || m->how == LAB_MEDDLE_OLD) {
        err = answer_falsely(m, msg, out);
    } else if (lab_sealer_is(msg)) {
        err = lab_meddler_only_media(m) ? CPH_E_AUTH : swap_sealed(m, msg, sdp, out);
        lab_meddler_turn(m);
    } else if (lab_meddler_in_both(m)) {
        err = msg->is_request ? take_offer(m, sdp, out) : take_answer(m, msg->status, sdp, out);
        lab_meddler_turn(m);
    } else if (lab_meddler_only_media(m)) { /* what he would say himself he keeps */
        uint8_t mine[CPH_SESSION_SDP];
        struct cph_wr wr = cph_wr_open(mine, sizeof mine);

        (void)!(msg->is_request ? take_offer(m, sdp, &wr) : take_answer(m, msg->status, sdp, &wr));
        lab_meddler_turn(m);
        if (m->how == LAB_MEDDLE_MEDIA)
            return LAB_BODY_KEEP;
        lab_rewrite(m->how, sdp, out);
    } else if (m->how == LAB_MEDDLE_SUBSTITUTE && has_shares(sdp)) {
        err = swap_shares(m, msg, sdp, out);
        lab_meddler_turn(m);
    } else {
        lab_rewrite(m->how, sdp, out);
    }
    if (err != CPH_OK)
        return LAB_BODY_KEEP;
    m->feat.changed++;
    return LAB_BODY_REPLACE;
}
