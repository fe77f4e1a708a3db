/*
 * Two ends in memory: an offer, an answer, what the key management says on the media path, a packet
 * of media, and what all that is worth; once with each key management there is. A program of one's
 * own replaces carry() by its sockets, and the two descriptions by its signalling.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"
#include "ciphony/keying_mikey.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/session.h"
#include "ciphony/srtp.h"

enum { TURN_US = 10000, TURNS = 500 };

struct end {
    struct cph_mikey *mikey;    /* what the row "mikey" needs, and MIKEYv2 */
    struct cph_zrtp_call *zrtp; /* and the row "zrtp" */
    struct cph_session *session;
    struct cph_addr at;
};

/* What both ends have beforehand. */
struct common {
    struct cph_srtp_engine *srtp;
    struct cph_key *key;
    struct cph_cert *cert;
};

static int64_t wall(void *ctx)
{
    (void)ctx;
    return time(NULL);
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };
static const struct cph_sdp_codec pcmu = { "PCMU", 8000, 1, 0, NULL };

static cph_err end_open(const struct common *have, const char *keying, bool callee, struct end *e)
{
    struct cph_mikey_cfg mikey = { .env = &env,
                                   .mode = CPH_MIKEY_DHSIGN,
                                   .id = callee ? "sip:bob@example.org" : "sip:alice@example.org",
                                   .key = have->key,
                                   .cert = have->cert };
    struct cph_zrtp_cfg zrtp = { .env = &env, .zid = { callee ? 2 : 1 } };
    struct cph_session_config cfg = {
        .env = &env,
        .srtp = have->srtp,
        .keying = { .key = have->key, .cert = have->cert, .rtcp_mux = true },
        .peer = callee ? "sip:alice@example.org" : "sip:bob@example.org",
    };
    struct cph_session_media audio = { .kind = "audio",
                                       .codecs = &pcmu,
                                       .n_codecs = 1,
                                       .direction = CPH_SDP_SENDRECV,
                                       .rtcp_mux = true };

    CPH_TRY(cph_addr_parse(cph_span_of(callee ? "192.0.2.2:4000" : "192.0.2.1:4000"), &e->at));
    audio.local[0] = audio.local[1] = e->at;
    CPH_TRY(cph_mikey_new(&mikey, &e->mikey));
    CPH_TRY(cph_zrtp_call_new(&zrtp, &e->zrtp));
    cfg.keying.mikey = e->mikey;
    cfg.keying.zrtp = e->zrtp;
    CPH_TRY(cph_policy_keying(&cfg.policy, cph_span_of(keying)));
    return cph_session_new(&cfg, &audio, 1, 0, &e->session);
}

static void end_close(struct end *e)
{
    cph_session_free(e->session);
    cph_zrtp_call_free(e->zrtp);
    cph_mikey_free(e->mikey);
}

/* One exchange of descriptions; the caller's is an INVITE's, say, and the callee's its 200's. */
static cph_err describe(struct end *caller, struct end *callee)
{
    static uint8_t text[2][CPH_SESSION_SDP];
    struct cph_wr offer = cph_wr_open(text[0], sizeof text[0]);
    struct cph_wr answer = cph_wr_open(text[1], sizeof text[1]);
    const uint32_t branch = 1;
    cph_err err = cph_session_offer(caller->session, 0, &offer);

    if (err == CPH_OK)
        err = cph_session_answer(callee->session, cph_wr_done(&offer), 0, &answer);
    if (err == CPH_OK)
        err = cph_session_finish(caller->session, branch, cph_wr_done(&answer), 0);
    if (err == CPH_OK)
        err = cph_session_choose(caller->session, branch);
    if (err == CPH_OK)
        cph_session_answered(callee->session, 0);
    cph_wipe(text, sizeof text); /* they may hold keys */
    return err;
}

/* What one end sends on the media path while there are no keys, and its timers. */
static void carry(struct end *from, struct end *to, cph_time now)
{
    struct cph_session_out out;
    uint8_t packet[CPH_KEYING_PACKET];

    while (cph_session_pull(from->session, &out, now) == CPH_OK) {
        memcpy(packet, out.bytes.p, out.bytes.n);
        (void)cph_session_feed(to->session, out.stream, out.port, &from->at, packet, out.bytes.n,
                               now);
    }
    if (cph_session_deadline(from->session) <= now)
        cph_session_tick(from->session, now);
}

static bool keyed(const struct end *e)
{
    return cph_session_line(e->session, 0, NULL) == CPH_SESSION_LINE_KEYED;
}

/* One RTP packet from the caller; the callee has to find in it what was said. */
static cph_err say(struct end *caller, struct end *callee, cph_time now)
{
    uint8_t rtp[14 + CPH_SRTP_TRAILER_MAX] = { 0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 'h', 'i' };
    enum cph_keying_component port;
    struct cph_session_packet got;
    struct cph_addr to;
    size_t n = 14;

    CPH_TRY(cph_session_protect(caller->session, 0, CPH_KEYING_RTP, rtp, &n, sizeof rtp, &port, &to,
                                now));
    CPH_TRY(cph_session_feed(callee->session, 0, port, &caller->at, rtp, n, now));
    CPH_TRY(cph_session_take(callee->session, &got));
    return cph_span_is(cph_span_from(got.bytes, 12), "hi") ? CPH_OK : CPH_E_BUG;
}

static cph_err call(const struct common *have, const char *keying, struct end e[2])
{
    struct cph_verdict verdict;
    cph_time now = 0;

    for (int i = 0; i < 2; i++)
        CPH_TRY(end_open(have, keying, i == 1, &e[i]));
    CPH_TRY(describe(&e[0], &e[1]));
    if (cph_session_offer_wanted(e[0].session)) /* MIKEYv2 in SDP takes a second one */
        CPH_TRY(describe(&e[0], &e[1]));
    for (int i = 0; i < TURNS && !(keyed(&e[0]) && keyed(&e[1])); i++, now += TURN_US) {
        carry(&e[0], &e[1], now);
        carry(&e[1], &e[0], now);
    }
    CPH_TRY(say(&e[0], &e[1], now));
    cph_session_verdict(e[0].session, &verdict);
    (void)printf("%-15s keys after %2d ms, %s\n", keying, (int)(now / 1000),
                 cph_level_name(verdict.level));
    return CPH_OK;
}

static cph_err prepare(struct common *have)
{
    struct cph_cert_spec spec = { .not_before = wall(NULL) - 60, .not_after = wall(NULL) + 3600 };

    CPH_TRY(cph_srtp_engine_new(CPH_SRTP_ACCEL_AUTO, &have->srtp));
    CPH_TRY(cph_key_generate(&env, CPH_KEY_EC_P256, &have->key));
    return cph_cert_self_signed(&env, have->key, &spec, &have->cert);
}

int main(void)
{
    struct common have = { 0 };
    cph_err err = prepare(&have);

    for (const struct cph_keying_method *const *m = cph_keying_methods; *m && err == CPH_OK; m++) {
        struct end e[2] = { 0 };

        err = call(&have, (*m)->name, e);
        for (int i = 0; i < 2; i++)
            end_close(&e[i]);
    }
    if (err != CPH_OK)
        (void)fprintf(stderr, "session: %s\n", cph_err_text(err));
    cph_cert_free(have.cert);
    cph_key_free(have.key);
    cph_srtp_engine_free(have.srtp);
    return err == CPH_OK ? 0 : 1;
}
