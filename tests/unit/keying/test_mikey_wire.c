/* MIKEY messages, byte by byte; policies; the replay cache at its edges. */
#include "support.h"

#include "ciphony/base_text.h"
#include "mikey/mikey_int.h"

static struct cph_span text_hex(struct vectors *v, const char *name)
{
    return vectors_text(v, name) ? vectors_hex(v, name) : (struct cph_span){ 0 };
}

static uint64_t number(struct cph_span s)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

static void messages_of_the_rfc_are_read_field_by_field(void **state)
{
    struct vectors *v = vectors_open("mikey/wire.txt");
    unsigned n = 0;

    (void)state;
    while (vectors_next(v)) {
        struct mikey_msg m;
        struct cph_span mac = vectors_hex(v, "mac");

        assert_ok(mikey_parse(vectors_hex(v, "message"), &m, NULL));
        assert_int_equal(m.type, vectors_text(v, "kind")[0] - '0');
        assert_int_equal(m.csb_id, number(vectors_hex(v, "csb")));
        assert_true(m.v && m.n_cs == 1 && m.cs[0].ssrc == 0 && m.cs[0].roc == 0);
        assert_true(m.ts_type == MIKEY_TS_NTP_UTC && m.ts == number(vectors_hex(v, "ts")));
        assert_true(m.n_id == 1 && m.id[0].type == MIKEY_ID_NAI);
        assert_true(cph_span_is(m.id[0].data, vectors_text(v, "id")));
        assert_true(cph_span_eq(m.rand, text_hex(v, "rand")));
        assert_true(cph_span_eq(m.encrypted, text_hex(v, "encrypted")));
        assert_true(cph_span_eq(m.type == MIKEY_PSK_I ? m.mac : m.ver, mac));
        assert_int_equal(m.covered.n, m.all.n - mac.n);
        n++;
    }
    assert_int_equal(n, 2);
    vectors_close(v);
}

/* ---- every payload, written and read --------------------------------------------------------- */

static const uint8_t bytes[1024] = { 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                     13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24 };

static struct cph_span some(size_t n)
{
    return (struct cph_span){ bytes, n };
}

static void finish_message(struct mikey_out *o, struct cph_span *out)
{
    assert_ok(cph_wr_end(&o->wr));
    *out = cph_wr_done(&o->wr);
}

static struct cph_span pk_message(uint8_t *buf, size_t cap)
{
    static const struct mikey_cs cs[] = { { 0, 0x11111111, 2 }, { 1, 0x22222222, 0xffffffff } };
    struct mikey_hdr hdr = { MIKEY_PK_I, true, 0xdeadbeef, cs, 2 };
    struct mikey_out o = mikey_begin(buf, cap, &hdr);
    struct mikey_id one = { MIKEY_ID_URI, CPH_SPAN_LIT("sip:a@x") };
    struct mikey_id two = { MIKEY_ID_NAI, CPH_SPAN_LIT("b@x") };
    struct cph_span out;

    mikey_put_t(&o, MIKEY_TS_COUNTER, 77);
    mikey_put_rand(&o, some(16));
    mikey_put_id(&o, &one);
    mikey_put_cert(&o, MIKEY_X509, some(40));
    mikey_put_cert(&o, MIKEY_X509_URL, some(9));
    mikey_put_id(&o, &two);
    mikey_put_ext(&o, MIKEY_EXT_SDP_IDS, CPH_SPAN_LIT("mikey"));
    mikey_put_ext(&o, MIKEY_EXT_VENDOR, some(3));
    mikey_put_sp(&o, &(struct mikey_sp){ 0, 0, some(6) });
    mikey_put_sp(&o, &(struct mikey_sp){ 1, 0, some(3) });
    (void)mikey_put_kemac(&o, MIKEY_ENCR_AES_CM, some(24), MIKEY_MAC_SHA1);
    mikey_put_chash(&o, MIKEY_HASH_MD5, some(16));
    mikey_put_pke(&o, MIKEY_CACHE_CSB, some(256));
    (void)mikey_put_sign(&o, MIKEY_SIG_PSS, 256);
    finish_message(&o, &out);
    return out;
}

/* ECMQV's two have octets for private use; those right behind RSA-R's are RFC 6043's. */
static void the_types_of_mqv_are_private_ones(void **state)
{
    static const struct mikey_cs cs[] = { { 0, 1, 0 }, { 0, 2, 0 } };
    struct mikey_hdr hdr = { MIKEY_MQV_I, true, 1, cs, 2 };
    struct mikey_id id = { MIKEY_ID_URI, CPH_SPAN_LIT("sip:a@x") };
    uint8_t buf[512];
    struct mikey_out o = mikey_begin(buf, sizeof buf, &hdr);
    struct mikey_msg m;
    struct cph_span msg;

    (void)state;
    mikey_put_t(&o, MIKEY_TS_COUNTER, 77);
    mikey_put_id(&o, &id);
    mikey_put_pke(&o, MIKEY_CACHE_CSB, some(64));
    (void)mikey_put_kemac(&o, MIKEY_ENCR_AES_CM, some(24), MIKEY_MAC_SHA1);
    finish_message(&o, &msg);
    assert_int_equal(buf[1], 250);
    assert_ok(mikey_parse(msg, &m, NULL));
    assert_int_equal(m.type, MIKEY_MQV_I);
    for (unsigned type = MIKEY_RSAR_R + 1; type < 256; type++) {
        buf[1] = (uint8_t)type;
        if (type != 250)
            assert_int_not_equal(mikey_parse(msg, &m, NULL), CPH_OK);
    }
}

static void a_message_with_everything_is_read_as_written(void **state)
{
    uint8_t buf[2048];
    struct cph_span msg = pk_message(buf, sizeof buf), list;
    struct mikey_msg m;
    bool found;

    (void)state;
    assert_ok(mikey_parse(msg, &m, NULL));
    assert_true(m.type == MIKEY_PK_I && m.v && m.csb_id == 0xdeadbeef && m.n_cs == 2);
    assert_true(m.cs[0].ssrc == 0x11111111 && m.cs[0].roc == 2 && m.cs[0].policy == 0);
    assert_true(m.cs[1].ssrc == 0x22222222 && m.cs[1].roc == 0xffffffff && m.cs[1].policy == 1);
    assert_true(m.ts_type == MIKEY_TS_COUNTER && m.ts == 77);
    assert_true(cph_span_eq(m.rand, some(16)));
    assert_true(m.n_id == 2 && !m.id_after_cert && cph_span_is(m.id[1].data, "b@x"));
    assert_true(m.n_cert == 2 && m.cert[1].type == MIKEY_X509_URL && m.cert[1].data.n == 9);
    list = mikey_ext_of(&m, MIKEY_EXT_SDP_IDS, &found);
    assert_true(found && cph_span_is(list, "mikey"));
    (void)mikey_ext_of(&m, MIKEY_EXT_CSB_ID, &found);
    assert_false(found);
    assert_true(m.n_sp == 2 && m.sp[1].no == 1 && m.sp[1].params.n == 3);
    assert_true(m.encr == MIKEY_ENCR_AES_CM && m.encrypted.n == 24 && m.mac.n == 20);
    assert_int_equal(m.kemac.n, 1 + 1 + 2 + 24 + 1);
    assert_true(m.hash == MIKEY_HASH_MD5 && m.chash.n == 16);
    assert_true(m.cache == MIKEY_CACHE_CSB && m.envelope.n == 256);
    assert_true(m.sig_type == MIKEY_SIG_PSS && m.sig.n == 256);
    assert_int_equal(m.covered.n, msg.n - 256);
    assert_int_equal(m.before_sign.n, msg.n - 258);
}

static cph_err parses(void *arg, struct cph_span msg)
{
    struct mikey_msg m;

    (void)arg;
    return mikey_parse(msg, &m, NULL);
}

static void cut_messages_are_refused(void **state)
{
    uint8_t buf[2048];

    (void)state;
    expect_fragile(pk_message(buf, sizeof buf), FRAGILE_TRUNCATION, parses, NULL);
}

static void bytes_behind_the_last_payload_are_refused(void **state)
{
    uint8_t buf[2048];
    struct cph_span msg = pk_message(buf, sizeof buf);
    struct mikey_msg m;

    (void)state;
    msg.n++;
    assert_err(mikey_parse(msg, &m, NULL), CPH_E_TRAILING);
}

static struct cph_span dh_message(uint8_t *buf, size_t cap, uint8_t group, struct mikey_kv kv)
{
    struct mikey_hdr hdr = { MIKEY_DHHMAC_R, false, 1, NULL, 0 };
    struct mikey_out o = mikey_begin(buf, cap, &hdr);
    struct mikey_id id = { MIKEY_ID_URI, CPH_SPAN_LIT("sip:a@x") };
    struct mikey_dh dh = { group, some(mikey_group_size(group)), kv };
    struct cph_span out;

    mikey_put_t(&o, MIKEY_TS_NTP, 1);
    mikey_put_id(&o, &id);
    mikey_put_dh(&o, &dh);
    mikey_put_dh(&o, &dh);
    (void)mikey_put_kemac(&o, MIKEY_ENCR_NULL, (struct cph_span){ 0 }, MIKEY_MAC_SHA1);
    finish_message(&o, &out);
    return out;
}

static void key_validity_is_read_as_written(void **state)
{
    static const struct mikey_kv kv[] = {
        { .type = MIKEY_KV_NULL },
        { .type = MIKEY_KV_SPI, .spi = { bytes, 4 } },
        { .type = MIKEY_KV_INTERVAL, .from = 5, .to = 0xffffffffffff },
    };
    uint8_t buf[2048];
    struct mikey_msg m;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(mikey_parse(dh_message(buf, sizeof buf, MIKEY_P384, kv[i]), &m, NULL));
        assert_int_equal(m.n_dh, 2);
        assert_true(m.dh[1].group == MIKEY_P384 && m.dh[1].value.n == 96);
        assert_int_equal(m.dh[1].kv.type, kv[i].type);
        assert_true(cph_span_eq(m.dh[1].kv.spi, kv[i].spi));
        assert_true(m.dh[1].kv.from == kv[i].from && m.dh[1].kv.to == kv[i].to);
    }
}

static void the_numbers_of_rfc_4650_are_taken_too(void **state)
{
    struct mikey_kv kv = { .type = MIKEY_KV_NULL };
    uint8_t buf[2048];
    struct cph_span msg = dh_message(buf, sizeof buf, MIKEY_P256, kv);
    struct mikey_msg m;

    (void)state;
    buf[msg.n - 24] = 2; /* Encr alg: NULL, as its 4.2 has it */
    buf[msg.n - 21] = 0; /* MAC alg: HMAC-SHA-1 */
    assert_ok(mikey_parse(msg, &m, NULL));
    assert_true(m.encr == MIKEY_ENCR_NULL && m.mac_alg == MIKEY_MAC_SHA1 && m.mac.n == 20);
}

static void what_we_do_not_know_has_its_error_number(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum mikey_error error;
    } odd[] = {
        { 0, 2, MIKEY_E_PARSE },        /* version */
        { 1, 11, MIKEY_E_DT },          /* RFC 6043's messages */
        { 3, 0x81, MIKEY_E_PRF },       /* PRF */
        { 9, 1, MIKEY_E_PARSE },        /* map */
        { 10 + 18 + 1, 3, MIKEY_E_TS }, /* timestamp */
        { 10 + 18 + 6 + 18 + 1, 2, MIKEY_E_ID },
    };
    uint8_t buf[2048];
    struct mikey_msg m;

    (void)state;
    for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct cph_span msg = pk_message(buf, sizeof buf);
        enum mikey_error error = MIKEY_E_AUTH;

        buf[odd[i].at] = odd[i].value;
        assert_err(mikey_parse(msg, &m, &error), CPH_E_UNSUPPORTED);
        assert_int_equal(error, odd[i].error);
    }
}

static void payloads_where_they_do_not_belong_are_refused(void **state)
{
    struct mikey_hdr hdr = { MIKEY_PSK_V, false, 1, NULL, 0 };
    uint8_t buf[512];
    struct mikey_out o;
    struct cph_span msg;
    struct mikey_msg m;

    (void)state;
    o = mikey_begin(buf, sizeof buf, &hdr); /* no V */
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    finish_message(&o, &msg);
    assert_err(mikey_parse(msg, &m, NULL), CPH_E_MALFORMED);
    o = mikey_begin(buf, sizeof buf, &hdr); /* T twice */
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    (void)mikey_put_v(&o, MIKEY_MAC_SHA1);
    finish_message(&o, &msg);
    assert_err(mikey_parse(msg, &m, NULL), CPH_E_MALFORMED);
    o = mikey_begin(buf, sizeof buf, &hdr); /* something behind what proves the message */
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    (void)mikey_put_v(&o, MIKEY_MAC_SHA1);
    mikey_put_ext(&o, MIKEY_EXT_VENDOR, some(1));
    finish_message(&o, &msg);
    assert_err(mikey_parse(msg, &m, NULL), CPH_E_MALFORMED);
    o = mikey_begin(buf, sizeof buf, &hdr); /* a SIGN in a verification */
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    (void)mikey_put_sign(&o, 0, 10);
    finish_message(&o, &msg);
    assert_err(mikey_parse(msg, &m, NULL), CPH_E_MALFORMED);
    o = mikey_begin(buf, sizeof buf, &hdr); /* one extension twice */
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    mikey_put_ext(&o, MIKEY_EXT_VENDOR, some(1));
    mikey_put_ext(&o, MIKEY_EXT_VENDOR, some(1));
    (void)mikey_put_v(&o, MIKEY_MAC_SHA1);
    finish_message(&o, &msg);
    assert_err(mikey_parse(msg, &m, NULL), CPH_E_MALFORMED);
}

static void key_data_is_read_as_written(void **state)
{
    uint8_t buf[512];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct mikey_id id = { MIKEY_ID_URI, CPH_SPAN_LIT("sip:a@x") }, got_id;
    struct mikey_keydata in[] = {
        { MIKEY_TGK_ONLY, some(16), { 0 }, { .type = MIKEY_KV_SPI, .spi = { bytes, 1 } } },
        { MIKEY_TEK_SALT, some(30), some(14), { .type = MIKEY_KV_SPI, .spi = { bytes + 1, 1 } } },
    };
    struct mikey_keydata out[MIKEY_MAX_KEYS];
    size_t next_at = 0;
    unsigned n;

    (void)state;
    mikey_put_sub_id(&wr, &next_at, &id);
    mikey_put_sub_key(&wr, &next_at, &in[0]);
    mikey_put_sub_key(&wr, &next_at, &in[1]);
    assert_ok(mikey_keydata_parse(cph_wr_done(&wr), true, &got_id, out, &n));
    assert_int_equal(n, 2);
    assert_true(cph_span_is(got_id.data, "sip:a@x"));
    assert_true(out[0].key.n == 16 && out[0].salt.n == 0 && out[0].kv.spi.p[0] == 1);
    assert_true(out[1].type == MIKEY_TEK_SALT && out[1].key.n == 30 && out[1].salt.n == 14);
    for (size_t cut = 1; cut < wr.n; cut++)
        assert_int_not_equal(
            mikey_keydata_parse((struct cph_span){ buf, cut }, true, &got_id, out, &n), CPH_OK);
    assert_ok(mikey_keydata_parse((struct cph_span){ 0 }, false, &got_id, out, &n));
    assert_int_equal(n, 0);
}

static void a_writer_without_room_says_so(void **state)
{
    uint8_t small[64];
    struct mikey_hdr hdr = { MIKEY_PSK_I, true, 1, NULL, 0 };
    struct mikey_out o = mikey_begin(small, sizeof small, &hdr);

    (void)state;
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 1);
    (void)mikey_put_kemac(&o, MIKEY_ENCR_NULL, some(100), MIKEY_MAC_SHA1);
    assert_err(cph_wr_end(&o.wr), CPH_E_NOSPACE);
}

/* ---- policies -------------------------------------------------------------------------------- */

static cph_err policy(const char *hex, struct mikey_policy *out)
{
    uint8_t b[64];
    struct mikey_sp sp = { 3, 0, { b, 0 } };

    assert_ok(cph_unhex(cph_span_of(hex), b, sizeof b, &sp.params.n));
    return mikey_policy_read(&sp, out);
}

static void every_suite_comes_back_from_its_policy(void **state)
{
    (void)state;
    for (size_t i = 0; cph_srtp_suites[i]; i++) {
        uint8_t b[MIKEY_SP_MAX];
        struct cph_wr wr = cph_wr_open(b, sizeof b);
        struct mikey_policy p;

        mikey_policy_write(cph_srtp_suites[i], &wr);
        assert_ok(mikey_policy_read(&(struct mikey_sp){ 1, 0, cph_wr_done(&wr) }, &p));
        assert_ptr_equal(p.suite, cph_srtp_suites[i]);
        assert_false(p.unencrypted_rtp || p.unencrypted_rtcp || p.unauthenticated_rtp);
    }
}

static void policies_with_and_without_their_defaults(void **state)
{
    struct mikey_policy p;

    (void)state;
    assert_ok(policy("", &p)); /* all of SRTP's own */
    assert_true(p.no == 3 && p.suite->key_n == 16 && p.suite->tag_n == 10 && p.suite->encrypts);
    assert_ok(policy("000106", &p)); /* AES-GCM: RFC 7714 14.3 */
    assert_string_equal(p.suite->name, "AEAD_AES_128_GCM");
    assert_ok(policy("000106010120140110", &p));
    assert_string_equal(p.suite->name, "AEAD_AES_256_GCM");
    assert_ok(policy("0b0104", &p));
    assert_string_equal(p.suite->name, "AES_CM_128_HMAC_SHA1_32");
    assert_ok(policy("03010a", &p)); /* GStreamer says the tag so */
    assert_string_equal(p.suite->name, "AES_CM_128_HMAC_SHA1_80");
    assert_ok(policy("0b010a120104", &p)); /* RFC 4771 4: SRTP's own tag */
    assert_string_equal(p.suite->name, "AES_CM_128_HMAC_SHA1_32");
    assert_ok(policy("0602"
                     "0400",
                     &p));
    assert_int_equal(p.kdr, 1024);
    assert_ok(policy("070100080100", &p));
    assert_true(p.unencrypted_rtp && p.unencrypted_rtcp);
    assert_ok(policy("0a0100", &p));
    assert_true(p.unauthenticated_rtp);
    assert_err(policy("0a0100070100", &p), CPH_E_UNSUPPORTED); /* nothing left */
    assert_err(policy("000102", &p), CPH_E_UNSUPPORTED);       /* AES-F8 */
    assert_err(policy("0d020001", &p), CPH_E_UNSUPPORTED);     /* a rate, and nothing to rate */
    assert_err(policy("0c0104", &p), CPH_E_UNSUPPORTED);       /* a prefix */
    assert_err(policy("060103", &p), CPH_E_UNSUPPORTED);       /* a rate that is no power of two */
    assert_err(policy("630100", &p), CPH_E_UNSUPPORTED);       /* a parameter of tomorrow */
    assert_err(policy("000101000101", &p), CPH_E_MALFORMED);   /* said twice */
    assert_err(policy("0000", &p), CPH_E_MALFORMED);
    assert_err(policy("00", &p), CPH_E_TRUNCATED);
    assert_err(policy("000201", &p), CPH_E_TRUNCATED);
}

/* RFC 4771 4: what a peer says of it is what SRTP gets. */
static void the_roc_in_tags_is_agreed_on_with_its_rate(void **state)
{
    struct mikey_csb csb = { .b = { .csb_id = 1, .rand_n = 16 }, .n_keys = 1, .n_policies = 1 };
    CPH_SRTP_POLICY_SCOPED out = { 0 };
    struct cph_srtp_engine *e;
    struct cph_srtp *ctx;
    struct mikey_policy p;

    (void)state;
    assert_ok(policy("0e0103", &p)); /* RCCm2 */
    assert_true(p.rcc_rate == 1 && p.rcc_tag_n == 14);
    assert_string_equal(p.suite->name, "AES_CM_128_HMAC_SHA1_80");
    assert_ok(policy("0201010e01030d020100120110", &p));
    assert_true(p.rcc_rate == 256 && p.rcc_tag_n == 16);
    csb.n_cs = 2;
    csb.cs[0].policy = csb.cs[1].policy = 3;
    csb.policy[0] = p;
    csb.key[0].key.n = 32;
    assert_ok(mikey_master(&csb, 1, 0, &out));
    assert_true(out.rcc == CPH_SRTP_RCC_2 && out.rcc_rate == 256 && out.rcc_tag_n == 16);
    assert_ok(cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &e));
    assert_ok(cph_srtp_new(e, &out, CPH_SRTP_RECV, &ctx));
    cph_srtp_free(ctx);
    cph_srtp_engine_free(e);
    assert_ok(policy("0e0101", &p)); /* SRTP's own */
    assert_int_equal(p.rcc_rate, 0);
    assert_ok(policy("0f0101", &p));
    assert_err(policy("0e0102", &p), CPH_E_UNSUPPORTED); /* packets without a MAC */
    assert_err(policy("0e0104", &p), CPH_E_UNSUPPORTED); /* all of them */
    assert_err(policy("0e0100", &p), CPH_E_UNSUPPORTED);
    assert_err(policy("0e01030d020000", &p), CPH_E_MALFORMED);   /* R is 0 */
    assert_err(policy("0e01030d03010000", &p), CPH_E_MALFORMED); /* more than 16 bits */
    assert_err(policy("0e010312010d", &p), CPH_E_UNSUPPORTED);   /* less than 80 bits of MAC */
    assert_err(policy("0e0103120115", &p), CPH_E_UNSUPPORTED);
    assert_err(policy("0e01030a0100", &p), CPH_E_UNSUPPORTED); /* no authentication */
    assert_err(policy("0001060e0103", &p), CPH_E_UNSUPPORTED); /* AES-GCM has no such tag */
    assert_err(policy("0f0103", &p), CPH_E_UNSUPPORTED);       /* SRTCP has an index */
}

/* ---- replay ---------------------------------------------------------------------------------- */

static struct mikey_mark mark(uint8_t type, uint64_t ts, const char *msg, const char *peer)
{
    struct mikey_mark m;

    assert_ok(mikey_mark_of(cph_span_of(msg), type, ts, cph_span_of(peer), &m));
    return m;
}

static void the_window_of_timestamps_has_edges(void **state)
{
    uint64_t now = mikey_ntp(1700000000), s = (uint64_t)1 << 32;
    struct mikey_replay r;
    struct mikey_mark m;

    (void)state;
    assert_ok(mikey_replay_open(&r, 4, 10, now - 100 * s));
    m = mark(MIKEY_TS_NTP_UTC, now + 10 * s, "m", "p");
    assert_ok(mikey_replay_check(&r, &m, now));
    m = mark(MIKEY_TS_NTP_UTC, now + 10 * s + 1, "m", "p");
    assert_err(mikey_replay_check(&r, &m, now), CPH_E_EXPIRED);
    m = mark(MIKEY_TS_NTP_UTC, now - 10 * s, "m", "p");
    assert_ok(mikey_replay_check(&r, &m, now));
    m = mark(MIKEY_TS_NTP_UTC, now - 10 * s - 1, "m", "p");
    assert_err(mikey_replay_check(&r, &m, now), CPH_E_EXPIRED);
    mikey_replay_close(&r);
}

static void what_was_before_our_time_is_refused(void **state)
{
    uint64_t now = mikey_ntp(1700000000);
    struct mikey_replay r;
    struct mikey_mark m;

    (void)state;
    assert_ok(mikey_replay_open(&r, 4, 10, now));
    m = mark(MIKEY_TS_NTP_UTC, now - 1, "m", "p");
    assert_err(mikey_replay_check(&r, &m, now), CPH_E_REPLAY);
    m = mark(MIKEY_TS_NTP_UTC, now, "m", "p");
    assert_ok(mikey_replay_check(&r, &m, now));
    mikey_replay_close(&r);
}

static void a_full_cache_forgets_and_refuses_the_oldest(void **state)
{
    uint64_t now = mikey_ntp(1700000000), s = (uint64_t)1 << 32;
    struct mikey_replay r;
    struct mikey_mark m;

    (void)state;
    assert_ok(mikey_replay_open(&r, 4, 100, now - 1000 * s));
    for (unsigned i = 0; i < 5; i++) {
        m = mark(MIKEY_TS_NTP_UTC, now + i, "m", "p");
        assert_ok(mikey_replay_check(&r, &m, now));
        assert_ok(mikey_replay_add(&r, &m, now));
        assert_err(mikey_replay_check(&r, &m, now), CPH_E_REPLAY);
    }
    for (unsigned i = 0; i < 5; i++) { /* the one forgotten too, and all before it */
        m = mark(MIKEY_TS_NTP_UTC, now + i, "m", "p");
        assert_err(mikey_replay_check(&r, &m, now), CPH_E_REPLAY);
    }
    m = mark(MIKEY_TS_NTP_UTC, now - 1, "new", "p");
    assert_err(mikey_replay_check(&r, &m, now), CPH_E_REPLAY);
    m = mark(MIKEY_TS_NTP_UTC, now + 1, "new", "p"); /* the same time, another message */
    assert_ok(mikey_replay_check(&r, &m, now));
    mikey_replay_close(&r);
}

static void timestamps_go_on_over_the_end_of_their_era(void **state)
{
    uint64_t end = 0; /* 2036-02-07 06:28:16 UTC */
    struct mikey_replay r;
    struct mikey_mark m;

    (void)state;
    assert_int_equal(mikey_ntp(2085978496), end);
    assert_ok(mikey_replay_open(&r, 4, 10, mikey_ntp(2085978490)));
    m = mark(MIKEY_TS_NTP_UTC, mikey_ntp(2085978499), "m", "p");
    assert_ok(mikey_replay_check(&r, &m, mikey_ntp(2085978492)));
    m = mark(MIKEY_TS_NTP_UTC, mikey_ntp(2085978492), "m", "p");
    assert_ok(mikey_replay_check(&r, &m, mikey_ntp(2085978499)));
    mikey_replay_close(&r);
}

static void counters_only_rise_each_peers_by_itself(void **state)
{
    struct mikey_replay r;
    struct mikey_mark m;
    char name[16];

    (void)state;
    assert_ok(mikey_replay_open(&r, 4, 10, 0));
    m = mark(MIKEY_TS_COUNTER, 0, "m", "p");
    assert_ok(mikey_replay_check(&r, &m, 0));
    assert_ok(mikey_replay_add(&r, &m, 0));
    assert_err(mikey_replay_check(&r, &m, 0), CPH_E_REPLAY);
    m = mark(MIKEY_TS_COUNTER, 5, "m", "p");
    assert_ok(mikey_replay_check(&r, &m, 0));
    assert_ok(mikey_replay_add(&r, &m, 0));
    m = mark(MIKEY_TS_COUNTER, 4, "m", "p");
    assert_err(mikey_replay_check(&r, &m, 0), CPH_E_REPLAY);
    m = mark(MIKEY_TS_COUNTER, 4, "m", "q");
    assert_ok(mikey_replay_check(&r, &m, 0));
    for (unsigned i = 1; i < MIKEY_COUNTERS; i++) {
        (void)snprintf(name, sizeof name, "peer %u", i);
        m = mark(MIKEY_TS_COUNTER, 1, "m", name);
        assert_ok(mikey_replay_add(&r, &m, 0));
    }
    m = mark(MIKEY_TS_COUNTER, 1, "m", "one more");
    assert_err(mikey_replay_add(&r, &m, 0), CPH_E_LIMIT);
    mikey_replay_close(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_rfc_are_read_field_by_field),
        cmocka_unit_test(the_types_of_mqv_are_private_ones),
        cmocka_unit_test(a_message_with_everything_is_read_as_written),
        cmocka_unit_test(cut_messages_are_refused),
        cmocka_unit_test(bytes_behind_the_last_payload_are_refused),
        cmocka_unit_test(key_validity_is_read_as_written),
        cmocka_unit_test(the_numbers_of_rfc_4650_are_taken_too),
        cmocka_unit_test(what_we_do_not_know_has_its_error_number),
        cmocka_unit_test(payloads_where_they_do_not_belong_are_refused),
        cmocka_unit_test(key_data_is_read_as_written),
        cmocka_unit_test(a_writer_without_room_says_so),
        cmocka_unit_test(every_suite_comes_back_from_its_policy),
        cmocka_unit_test(policies_with_and_without_their_defaults),
        cmocka_unit_test(the_roc_in_tags_is_agreed_on_with_its_rate),
        cmocka_unit_test(the_window_of_timestamps_has_edges),
        cmocka_unit_test(what_was_before_our_time_is_refused),
        cmocka_unit_test(a_full_cache_forgets_and_refuses_the_oldest),
        cmocka_unit_test(timestamps_go_on_over_the_end_of_their_era),
        cmocka_unit_test(counters_only_rise_each_peers_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
