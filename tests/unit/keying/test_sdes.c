/* SDES between two sides: exchanges, and the complaints of users about other programs. */
#include "pair.h"

static const struct cph_nego_cfg required = { .policy = CPH_KEYING_REQUIRED };
static struct cph_nego_cfg only_sdes;
static const struct cph_keying_method *sdes_row[2];

static struct pair p;

static int open_pair(void **state)
{
    (void)state;
    sdes_row[0] = cph_keying_method_by_name(CPH_SPAN_LIT("sdes"));
    only_sdes = required;
    only_sdes.methods = sdes_row;
    pair_open(&p, only_sdes, only_sdes);
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    pair_close(&p);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

static void reopen(struct cph_nego_cfg a, struct cph_nego_cfg b)
{
    a.methods = b.methods = sdes_row;
    pair_close(&p);
    pair_open(&p, a, b);
}

/* ---- first exchange ------------------------------------------------------------------------- */

static void two_sides_agree_and_hear_each_other(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;
    struct cph_keying_evidence e;

    (void)state;
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_int_equal(count_attr(offer, "crypto"), 5);
    assert_true(cph_span_starts(crypto_of(offer), "1 AEAD_AES_256_GCM inline:"));
    assert_int_equal(status_of(&p.a).outcome, CPH_NEGO_OPEN);
    answer = make_answer(&p, &p.b, offer);
    assert_int_equal(count_attr(answer, "crypto"), 1);
    assert_true(cph_span_starts(crypto_of(answer), "1 AEAD_AES_256_GCM inline:"));
    assert_false(cph_span_eq(crypto_of(answer), crypto_of(offer)));
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    e = evidence_of(&p.a);
    assert_string_equal(e.method, "sdes");
    assert_string_equal(e.suite, "AEAD_AES_256_GCM");
    assert_true(e.keyed && e.rtp_encrypted && e.rtp_authenticated && e.rtcp_encrypted);
    assert_true(e.key_bits == 256 && e.tag_bits == 128);
    /* and nothing that SDES cannot give */
    assert_false(e.keys_stay_at_ends || e.forward_secrecy || e.choice_protected);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_NONE);
    assert_int_equal(e.notes, 0);
    assert_int_equal(e.offered, e.peer_offered);
}

static void every_key_of_an_offer_is_its_own(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a);
    struct cph_span seen[8];
    unsigned n = 0;

    (void)state;
    for (const struct cph_sdp_line *l = cph_sdp_attr(&offer->media[0]->part, "crypto"); l;
         l = cph_sdp_attr_next(l)) {
        struct cph_sdp_crypto c;

        assert_ok(cph_sdp_crypto_parse(l->arg, &c));
        assert_int_equal(c.tag, n + 1);
        for (unsigned i = 0; i < n; i++)
            assert_int_not_equal(memcmp(seen[i].p, c.key_params.p, 23), 0);
        seen[n++] = c.key_params;
    }
}

static void the_answerer_takes_the_first_line_it_can(void **state)
{
    static const char *const few[] = { "AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80", NULL };
    struct cph_nego_cfg small = required;
    struct cph_keying_evidence e;

    (void)state;
    small.keying.suites = few;
    reopen(required, small);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    e = evidence_of(&p.a);
    assert_string_equal(e.suite, "AES_CM_128_HMAC_SHA1_80"); /* the offer's order, not ours */
    assert_int_equal(e.notes, CPH_KEYING_NOTE_NOT_BEST);
    reopen(small, required);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_string_equal(evidence_of(&p.b).suite, "AES_CM_128_HMAC_SHA1_32");
    assert_int_equal(evidence_of(&p.b).notes, CPH_KEYING_NOTE_SHORT_TAG);
}

static void the_offer_of_rfc4568_7_1_5_is_answered(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    answer = make_answer(
        &p, &p.b,
        read_sdp(&p,
                 "v=0\r\no=sam 2890844526 2890842807 IN IP4 10.47.16.5\r\ns=SRTP Discussion\r\n"
                 "c=IN IP4 168.2.17.12\r\nt=2873397496 2873404696\r\nm=audio 49170 RTP/SAVP 0\r\n"
                 "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n"
                 "a=crypto:2 F8_128_HMAC_SHA1_80 "
                 "inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
                 "inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 "
                 "FEC_ORDER=FEC_SRTP\r\n"));
    assert_true(cph_span_starts(crypto_of(answer), "1 AES_CM_128_HMAC_SHA1_80 inline:"));
    assert_non_null(
        strstr(text_of(&p, answer), "|1:4")); /* an MKI is answered with one of its size */
    assert_null(strstr(text_of(&p, answer), "FEC_ORDER")); /* declarative: not repeated */
    install(&p, &p.b);
}

/* ---- what an answerer refuses --------------------------------------------------------------- */

#define OFFER                                                                                      \
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"                      \
    "m=audio 4000 RTP/SAVP 0\r\n"
#define K1    "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
#define K2    "inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5"
#define AES80 "AES_CM_128_HMAC_SHA1_80 "

static void offers_without_a_usable_line_are_refused(void **state)
{
    static const char *const bad[] = {
        OFFER,
        OFFER "a=crypto:1 F8_128_HMAC_SHA1_80 " K1 "\r\n",
        OFFER "a=crypto:1 " AES80 K1 " UNENCRYPTED_SRTP\r\n",
        OFFER "a=crypto:1 " AES80 K1 " UNENCRYPTED_SRTCP\r\n",
        OFFER "a=crypto:1 " AES80 K1 " UNAUTHENTICATED_SRTP\r\n",
        OFFER "a=crypto:1 " AES80 K1 " MUST_KNOW\r\n",
        OFFER "a=crypto:1 " AES80 K1 "|2^49\r\n",
        OFFER "a=crypto:01 " AES80 K1 "\r\n",
        OFFER "a=crypto:1 AES_CM_128_HMAC_SHA1_80\r\n",
        OFFER "a=crypto:1 AES_256_CM_HMAC_SHA1_32 inline:"
              "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLg==\r\n", /* not in our
                                                                                         list */
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\na=crypto:1 " AES80
            K1 "\r\nm=audio 4000 RTP/SAVP 0\r\n", /* at session level it does not count */
    };
    struct cph_sdp *answer;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_err(try_answer(&p, &p.b, read_sdp(&p, bad[i]), &answer), CPH_E_POLICY);
        assert_int_equal(answer->media[0]->port, 0);
        assert_int_equal(count_attr(answer, "crypto"), 0);
        assert_int_equal(status_of(&p.b).outcome, CPH_NEGO_FAILED);
        assert_non_null(status_of(&p.b).why);
    }
}

static void bad_lines_do_not_spoil_good_ones(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    answer = make_answer(&p, &p.b,
                         read_sdp(&p, OFFER "a=crypto:1 " AES80 K1 "|0\r\na=crypto:x\r\n"
                                            "a=crypto:3 NEW_SUITE " K1 "\r\n"
                                            "a=crypto:4 " AES80 K1 " NEW_PARAM\r\n"
                                            "a=crypto:5 " AES80 K1 "|2147483648 -NEW_PARAM\r\n"
                                            "a=crypto:6 " AES80 K2 "\r\n"));
    assert_true(cph_span_starts(crypto_of(answer), "5 "));
    /* a tag that came before is not unique: the second line with it is not valid */
    answer = make_answer(&p, &p.b,
                         read_sdp(&p, OFFER "a=crypto:9 NEW_SUITE " K1 "\r\na=crypto:9 " AES80 K1
                                            "\r\na=crypto:10 " AES80 K2 "\r\n"));
    assert_true(cph_span_starts(crypto_of(answer), "10 "));
}

static void negotiated_flags_are_answered_if_policy_allows(void **state)
{
    struct cph_nego_cfg lax = required;
    struct cph_keying_evidence e;
    struct cph_sdp *answer;

    (void)state;
    lax.keying.allow_unencrypted = lax.keying.allow_unauthenticated = true;
    reopen(required, lax);
    answer = make_answer(&p, &p.b,
                         read_sdp(&p,
                                  OFFER "a=crypto:1 " AES80 K1
                                        " KDR=3 UNENCRYPTED_SRTP WSH=256 UNENCRYPTED_SRTCP\r\n"));
    assert_non_null(strstr(text_of(&p, answer), " UNENCRYPTED_SRTP UNENCRYPTED_SRTCP\r\n"));
    assert_null(strstr(text_of(&p, answer), "KDR")); /* declarative */
    e = evidence_of(&p.b);
    assert_true(!e.rtp_encrypted && !e.rtcp_encrypted && e.rtp_authenticated);
    assert_int_equal(e.notes, CPH_KEYING_NOTE_UNENCRYPTED_RTP | CPH_KEYING_NOTE_UNENCRYPTED_RTCP);
    {
        CPH_SRTP_POLICY_SCOPED in = { 0 }, out = { 0 };

        assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTCP, CPH_KEYING_RECV, 0, &in));
        assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTCP, CPH_KEYING_SEND, 0, &out));
        assert_true(in.kdr == 8 && out.kdr == 0); /* each sender's own */
        assert_true(in.window == 256);
        assert_true(in.unencrypted_rtp && out.unencrypted_rtp && out.unencrypted_rtcp);
        assert_err(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, CPH_KEYING_RECV, 1, &in),
                   CPH_E_NOTFOUND);
    }
    answer = make_answer(&p, &p.b,
                         read_sdp(&p, OFFER "a=crypto:1 " AES80 K1 " UNAUTHENTICATED_SRTP\r\n"));
    assert_non_null(strstr(text_of(&p, answer), " UNAUTHENTICATED_SRTP\r\n"));
    assert_true(evidence_of(&p.b).tag_bits == 0 && !evidence_of(&p.b).rtp_authenticated);
}

/* ---- what an offerer refuses ---------------------------------------------------------------- */

static void answers_that_do_not_fit_the_offer_fail(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer = make_answer(&p, &p.b, offer), *bad;

    (void)state;
    bad = tampered(&p, answer, "a=crypto:1 ", "a=cryptx:1 "); /* stripped */
    assert_err(try_finish(&p.a, bad), CPH_E_POLICY);
    bad = tampered(&p, answer, "RTP/SAVP", "RTP/AVP"); /* made plain */
    assert_err(try_finish(&p.a, bad), CPH_E_POLICY);
    bad = tampered(&p, tampered(&p, answer, "RTP/SAVP", "RTP/AVP"), "a=crypto:1 ", "a=x:1 ");
    assert_err(try_finish(&p.a, bad), CPH_E_POLICY);
    assert_err(try_finish(&p.a, tampered(&p, answer, "AEAD_AES_256_GCM inline:",
                                         "AES_CM_128_HMAC_SHA1_80 inline:")),
               CPH_E_MALFORMED); /* the key has another suite's length */
    assert_err(
        try_finish(&p.a,
                   read_sdp(&p, OFFER "a=crypto:1 AES_192_CM_HMAC_SHA1_80 inline:"
                                      "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY=\r\n")),
        CPH_E_POLICY); /* not offered */
    assert_err(try_finish(&p.a, read_sdp(&p, OFFER "a=crypto:4 " AES80 K1 " UNENCRYPTED_SRTP\r\n")),
               CPH_E_POLICY); /* negotiated, and not offered */
    assert_err(
        try_finish(&p.a, read_sdp(&p, OFFER "a=crypto:4 " AES80 K1 " UNAUTHENTICATED_SRTP\r\n")),
        CPH_E_POLICY);
    assert_err(try_finish(&p.a, read_sdp(&p, OFFER "a=crypto:4 " AES80 K1 " NEW_PARAM\r\n")),
               CPH_E_UNSUPPORTED);
    assert_err(try_finish(&p.a, read_sdp(&p, OFFER "a=crypto:4 " AES80 K1 "\r\na=crypto:5 " AES80 K2
                                                   "\r\n")),
               CPH_E_MALFORMED);                          /* exactly one */
    assert_err(try_finish(&p.a, offer), CPH_E_MALFORMED); /* our own offer, thrown back */
    assert_int_equal(status_of(&p.a).outcome, CPH_NEGO_FAILED);
    assert_ok(try_finish(&p.a, answer)); /* and yet the real answer still counts */
    assert_media(&p, 1);
}

static void our_own_key_is_not_taken_for_the_peers(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a),
                   *mirror = tampered(&p, offer, "10.0.0.1", "10.0.0.2");
    struct cph_sdp *back;

    (void)state;
    /* an answer with the first line of our offer alone */
    for (int tag = 2; tag <= 5; tag++)
        mirror = tampered(&p, mirror, cph_arena_fmt(p.arena, "a=crypto:%d ", tag), "a=gone:");
    assert_err(try_finish(&p.a, mirror), CPH_E_POLICY);
    /* an offer that brings our key back */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_err(try_answer(&p, &p.a, mirror, &back), CPH_E_POLICY);
    assert_int_equal(status_of(&p.a).outcome, CPH_NEGO_SECURE);
    assert_media(&p, 1);
}

/* ---- complaint 6: tags ---------------------------------------------------------------------- */

static void a_renumbered_tag_is_taken_and_noted(void **state)
{
    static const char *const few[] = { "AES_CM_128_HMAC_SHA1_80", NULL };
    struct cph_nego_cfg small = required;
    struct cph_sdp *offer, *answer;

    (void)state;
    small.keying.suites = few;
    reopen(required, small);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_true(cph_span_starts(crypto_of(answer), "4 ")); /* we answer with the tag of the line */
    assert_ok(try_finish(&p.a, tampered(&p, answer, "a=crypto:4 ", "a=crypto:1 ")));
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_TAG_RENUMBERED);
    assert_media(&p, 1); /* the suite said which line was meant */
    assert_ok(try_finish(&p.a, answer));
    assert_false(evidence_of(&p.a).notes & CPH_KEYING_NOTE_TAG_RENUMBERED);
    assert_media(&p, 2);
}

/* ---- complaint 1: the roll-over counter ----------------------------------------------------- */

static void set_roc(uint32_t roc)
{
    assert_ok(cph_srtp_roc_set(p.a.srtp[CPH_KEYING_SEND], 0x01020304, roc));
    assert_ok(cph_srtp_roc_set(p.b.srtp[CPH_KEYING_RECV], 0x01020304, roc));
}

static uint32_t roc_of(struct cph_srtp *s)
{
    uint32_t roc;

    assert_ok(cph_srtp_roc_get(s, 0x01020304, &roc));
    return roc;
}

static void the_roc_survives_hold_resume_and_session_refresh(void **state)
{
    uint16_t seq = 10;

    (void)state;
    exchange(&p, &p.a, &p.b);
    install(&p, &p.a);
    install(&p, &p.b);
    set_roc(3);
    assert_media(&p, seq++);
    for (int round = 0; round < 6; round++) {
        struct side *offerer = round % 2 ? &p.a : &p.b, *answerer = round % 2 ? &p.b : &p.a;

        offerer->direction = round < 2 ? CPH_SDP_SENDONLY : CPH_SDP_SENDRECV;
        exchange(&p, offerer, answerer);
        assert_media(&p, seq++);
    }
    assert_true(p.a.installs[0] == 1 && p.a.installs[1] == 1); /* nothing was even touched */
    assert_true(p.b.installs[0] == 1 && p.b.installs[1] == 1);
    assert_int_equal(roc_of(p.b.srtp[CPH_KEYING_RECV]), 3);
    assert_false(status_of(&p.b).keying.dir[CPH_KEYING_RECV].roc_doubt);
}

static void a_repeated_offer_is_the_same_text(void **state)
{
    struct cph_sdp *first, *second;

    (void)state;
    exchange(&p, &p.a, &p.b);
    first = make_offer(&p, &p.a);
    cph_nego_rollback(p.a.nego);
    second = make_offer(&p, &p.a);
    assert_true(cph_span_eq(cph_sdp_text(first, p.arena), cph_sdp_text(second, p.arena)));
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, second)));
    assert_media(&p, 1);
}

static void holding_by_address_is_no_move(void **state)
{
    struct cph_sdp *offer, *held;
    struct cph_span key;

    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    offer = make_offer(&p, &p.a);
    key = crypto_of(offer);
    held = tampered(&p, offer, "c=IN IP4 10.0.0.1", "c=IN IP4 0.0.0.0");
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, held)));
    p.a.direction = CPH_SDP_SENDRECV;
    offer = make_offer(&p, &p.a); /* resume */
    assert_true(cph_span_eq(crypto_of(offer), key));
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 2);
    assert_true(p.a.installs[0] == 1 && p.b.installs[1] == 1);
    assert_false(status_of(&p.b).keying.dir[CPH_KEYING_RECV].roc_doubt);
}

static void a_move_brings_new_keys_both_ways(void **state)
{
    (void)state;
    exchange(&p, &p.a, &p.b);
    install(&p, &p.a);
    install(&p, &p.b);
    set_roc(2);
    assert_media(&p, 1);
    p.a.port = 5000; /* RFC 4568 7.1.4 MUST: then a new master key, and its ROC is zero */
    exchange(&p, &p.a, &p.b);
    assert_int_equal(status_of(&p.b).keying.dir[CPH_KEYING_RECV].streams, CPH_KEYING_STREAMS_FRESH);
    assert_media(&p, 2);
    assert_true(p.a.installs[0] == 2 && p.a.installs[1] == 2);
    assert_int_equal(roc_of(p.b.srtp[CPH_KEYING_RECV]), 0);
    p.b.ip = "10.0.0.3"; /* and when the answerer moves */
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 3);
    assert_true(p.b.installs[0] == 3 && p.a.installs[1] == 3);
    p.b.ip = "10.0.0.4"; /* and offers */
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 4);
}

static void a_peer_that_moves_with_its_old_key_keeps_its_roc(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    exchange(&p, &p.a, &p.b);
    install(&p, &p.a);
    install(&p, &p.b);
    set_roc(2);
    assert_media(&p, 1);
    offer = tampered(&p, make_offer(&p, &p.a), "10.0.0.1", "10.0.0.99");
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_true(status_of(&p.b).keying.dir[CPH_KEYING_RECV].roc_doubt);
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_KEY_KEPT_ON_MOVE);
    assert_media(&p, 2);
    assert_int_equal(p.b.installs[CPH_KEYING_RECV], 1);
    assert_int_equal(roc_of(p.b.srtp[CPH_KEYING_RECV]), 2);
}

static void a_changed_parameter_keeps_the_streams_of_its_key(void **state)
{
    struct cph_sdp *offer;
    struct cph_keying_status st;

    (void)state;
    exchange(&p, &p.a, &p.b);
    install(&p, &p.a);
    install(&p, &p.b);
    set_roc(7);
    assert_media(&p, 1);
    offer = tampered(&p, make_offer(&p, &p.a), "\r\na=crypto:2", " WSH=512\r\na=crypto:2");
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    st = status_of(&p.b).keying;
    assert_int_equal(st.dir[CPH_KEYING_RECV].generation, 2);
    assert_int_equal(st.dir[CPH_KEYING_RECV].streams, CPH_KEYING_STREAMS_KEEP);
    assert_int_equal(st.dir[CPH_KEYING_SEND].generation, 1);
    assert_media(&p, 2);
    assert_int_equal(roc_of(p.b.srtp[CPH_KEYING_RECV]), 7);
}

/* ---- re-keying ------------------------------------------------------------------------------ */

static void renew_brings_new_keys_and_can_be_refused(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    offer = make_offer(&p, &p.a);
    (void)offer;
    cph_nego_rollback(p.a.nego); /* 488: RFC 4568 7.1.4, the old parameters remain */
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    assert_err(try_finish(&p.a, offer), CPH_E_STATE);
    exchange(&p, &p.a, &p.b); /* the wish went with the offer that had it */
    assert_media(&p, 3);
    assert_true(p.a.installs[0] == 1 && p.b.installs[0] == 1);
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 3);
    assert_true(p.a.installs[0] == 2 && p.b.installs[0] == 2);
    assert_true(
        status_of(&p.a).keying.dir[CPH_KEYING_RECV].roc_doubt); /* same address: peers differ */
    cph_nego_renew(p.b.nego);
    exchange(&p, &p.a, &p.b); /* the answerer wishes */
    assert_media(&p, 4);
    assert_true(p.b.installs[0] == 3 && p.a.installs[0] == 2);
}

static void a_second_key_by_mki_is_added_without_a_break(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    exchange(&p, &p.a, &p.b);
    offer = read_sdp(&p, OFFER "a=crypto:1 " AES80 K1 "|1:4\r\n");
    (void)make_answer(&p, &p.b, offer);
    assert_int_equal(status_of(&p.b).keying.dir[CPH_KEYING_RECV].streams, CPH_KEYING_STREAMS_FRESH);
    install(&p, &p.b);
    offer = read_sdp(&p, OFFER "a=crypto:1 " AES80 K2 "|2:4;" K1 "|1:4\r\n");
    (void)make_answer(&p, &p.b, offer);
    assert_int_equal(status_of(&p.b).keying.dir[CPH_KEYING_RECV].streams, CPH_KEYING_STREAMS_KEEP);
    install(&p, &p.b);
    offer = read_sdp(&p, OFFER "a=crypto:1 " AES80 K2 "|2:4\r\n"); /* and the first one dropped */
    (void)make_answer(&p, &p.b, offer);
    assert_int_equal(status_of(&p.b).keying.dir[CPH_KEYING_RECV].streams, CPH_KEYING_STREAMS_KEEP);
    install(&p, &p.b);
}

static void mki_of_our_own_is_offered_and_changes_with_the_key(void **state)
{
    struct cph_nego_cfg with_mki = required;
    struct cph_sdp *offer;

    (void)state;
    with_mki.keying.mki_n = 2;
    reopen(with_mki, required);
    offer = make_offer(&p, &p.a);
    assert_non_null(strstr(text_of(&p, offer), "|1:2\r\n"));
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    offer = make_offer(&p, &p.a);
    assert_non_null(strstr(text_of(&p, offer), "|2:2\r\n"));
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 2);
}

static void a_change_of_suite_is_a_change_of_keys(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;

    (void)state;
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 1);
    offer = tampered(&p, make_offer(&p, &p.a), "AEAD_AES_256_GCM", "AEAD_AES_512_GCM");
    answer = make_answer(&p, &p.b, offer); /* somewhere on the way the best line became unknown */
    assert_ok(try_finish(&p.a, answer));
    assert_string_equal(evidence_of(&p.a).suite, "AEAD_AES_128_GCM");
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_NOT_BEST);
    assert_media(&p, 2);
}

static struct cph_span line_with(struct cph_sdp *sdp, const char *suite)
{
    struct cph_span text = cph_sdp_text(sdp, p.arena), line;

    while (cph_span_line(&text, &line))
        if (memmem(line.p, line.n, suite, strlen(suite)))
            return line;
    fail();
    return text;
}

static void a_key_that_was_left_is_never_said_again(void **state)
{
    struct cph_sdp *first = make_offer(&p, &p.a), *later;

    (void)state;
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, first)));
    later = make_offer(&p, &p.a); /* the key in use stays, and those nobody took do */
    assert_true(
        cph_span_eq(line_with(first, "AEAD_AES_256_GCM"), line_with(later, "AEAD_AES_256_GCM")));
    assert_true(
        cph_span_eq(line_with(first, "AEAD_AES_128_GCM"), line_with(later, "AEAD_AES_128_GCM")));
    later = tampered(&p, later, "AEAD_AES_256_GCM", "AEAD_AES_512_GCM");
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, later)));
    later = make_offer(&p, &p.a); /* the first one has a counter that nobody knows any more */
    assert_null(memmem(cph_sdp_text(later, p.arena).p, cph_sdp_text(later, p.arena).n,
                       line_with(first, "AEAD_AES_256_GCM").p + 40, 30));
}

/* ---- complaint 3: answers that change, and late offers -------------------------------------- */

static void a_new_key_in_200_after_183_is_taken(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a);
    struct side later;

    (void)state;
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer))); /* 183 */
    assert_media(&p, 1);
    side_open(&later, only_sdes, "10.0.0.2", 77);                /* the same peer, started over */
    assert_ok(try_finish(&p.a, make_answer(&p, &later, offer))); /* 200 */
    install(&p, &p.a);
    install(&p, &later);
    assert_int_equal(p.a.installs[CPH_KEYING_RECV], 2);
    assert_int_equal(p.a.installs[CPH_KEYING_SEND], 1); /* ours is still the one of the offer */
    assert_ok(send_one(&later, &p.a, 9));
    assert_ok(send_one(&p.a, &later, 9));
    side_close(&later);
}

static void the_same_answer_twice_changes_nothing(void **state)
{
    struct cph_sdp *answer = make_answer(&p, &p.b, make_offer(&p, &p.a));

    (void)state;
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[CPH_KEYING_RECV], 1);
}

static void a_late_offer_carries_the_key_in_use(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    offer = make_offer(&p,
                       &p.b); /* INVITE without a body: the 200 has the offer, the ACK the answer */
    assert_true(cph_span_starts(crypto_of(offer), "1 AEAD_AES_256_GCM"));
    assert_ok(try_finish(&p.b, make_answer(&p, &p.a, offer)));
    assert_media(&p, 2);
    assert_int_equal(p.b.installs[CPH_KEYING_SEND], 1);
}

static void a_late_offer_may_begin_a_call(void **state)
{
    (void)state;
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 1);
}

/* ---- forks ---------------------------------------------------------------------------------- */

static void every_branch_has_keys_of_its_own(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;
    struct side branch = { 0 }, other;
    struct cph_nego *late;

    (void)state;
    side_open(&other, only_sdes, "10.0.0.3", 5);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_ok(cph_nego_fork(p.a.nego, &branch.nego)); /* after the first answer is early enough */
    answer = make_answer(&p, &other, offer);
    assert_ok(try_finish(&branch, answer));
    assert_media(&p, 1);
    install(&p, &branch);
    install(&p, &other);
    assert_ok(send_one(&other, &branch, 1));
    assert_ok(send_one(&branch, &other, 1));
    assert_err(send_one(&other, &p.a, 2), CPH_E_AUTH);
    assert_true(evidence_of(&branch).notes & CPH_KEYING_NOTE_KEY_SHARED);
    exchange(&p, &p.a, &p.b);
    assert_err(cph_nego_fork(p.a.nego, &late), CPH_E_STATE); /* that offer was not the first */
    side_close(&branch);
    side_close(&other);
}

/* ---- complaint 7, and the host's own failures ----------------------------------------------- */

static void lifetimes_and_mkis_of_peers_do_not_break_calls(void **state)
{
    static const char *const forms[] = {
        "|2^31",      "|2^48", "|2147483648", "|2^31|1:1", "|1:1", "|1:4",
        "|2^20|1:32", "",      "|2^31|16:2",
    };

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct cph_sdp *answer;
        const char *text = cph_arena_fmt(p.arena, OFFER "a=crypto:1 " AES80 K1 "%s\r\n", forms[i]);

        answer = make_answer(&p, &p.b, read_sdp(&p, text));
        assert_true(cph_span_starts(crypto_of(answer), "1 " AES80));
        install(&p, &p.b);
        /* and in an answer */
        assert_ok(try_offer(&p, &p.a, &answer));
        text = cph_arena_fmt(p.arena, OFFER "a=crypto:4 " AES80 K2 "%s\r\n", forms[i]);
        assert_ok(try_finish(&p.a, read_sdp(&p, text)));
        install(&p, &p.a);
    }
}

static void no_randomness_means_no_offer_and_no_answer(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *sdp;

    (void)state;
    p.b.env.random_fails = 1;
    assert_int_not_equal(try_answer(&p, &p.b, offer, &sdp), CPH_OK);
    assert_int_equal(count_attr(sdp, "crypto"), 0);
    p.b.env.random_fails = 3;
    assert_int_not_equal(try_offer(&p, &p.b, &sdp), CPH_OK);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
}

static cph_err whole_call(void *arg)
{
    struct cph_nego_cfg cfg = only_sdes;
    struct test_env env;

    (void)arg;
    test_env_init(&env, 1);
    cfg.keying.env = &env.env;
    return pair_whole_call(&cfg, &cfg, 1);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(whole_call, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(two_sides_agree_and_hear_each_other),
        test(every_key_of_an_offer_is_its_own),
        test(the_answerer_takes_the_first_line_it_can),
        test(the_offer_of_rfc4568_7_1_5_is_answered),
        test(offers_without_a_usable_line_are_refused),
        test(bad_lines_do_not_spoil_good_ones),
        test(negotiated_flags_are_answered_if_policy_allows),
        test(answers_that_do_not_fit_the_offer_fail),
        test(our_own_key_is_not_taken_for_the_peers),
        test(a_renumbered_tag_is_taken_and_noted),
        test(the_roc_survives_hold_resume_and_session_refresh),
        test(a_repeated_offer_is_the_same_text),
        test(holding_by_address_is_no_move),
        test(a_move_brings_new_keys_both_ways),
        test(a_peer_that_moves_with_its_old_key_keeps_its_roc),
        test(a_changed_parameter_keeps_the_streams_of_its_key),
        test(renew_brings_new_keys_and_can_be_refused),
        test(a_second_key_by_mki_is_added_without_a_break),
        test(mki_of_our_own_is_offered_and_changes_with_the_key),
        test(a_change_of_suite_is_a_change_of_keys),
        test(a_key_that_was_left_is_never_said_again),
        test(a_new_key_in_200_after_183_is_taken),
        test(the_same_answer_twice_changes_nothing),
        test(a_late_offer_carries_the_key_in_use),
        test(a_late_offer_may_begin_a_call),
        test(every_branch_has_keys_of_its_own),
        test(lifetimes_and_mkis_of_peers_do_not_break_calls),
        test(no_randomness_means_no_offer_and_no_answer),
        test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
