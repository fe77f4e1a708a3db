/* EKT parameter sets: messages of RFC 8870 5.2, and crypto lines. */
#include "pair.h"

#include "ciphony/keying_ekt.h"
#include "mikey/mikey_int.h"

/* ---- DTLS ------------------------------------------------------------------------------------ */

/* By hand from 5.2.2: two lengths of two bytes, SPI, ttl of three bytes. */
static const uint8_t message[] = {
    0x00, 0x10, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
    0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x00, 0x0c, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0x12, 0x34, 0x01, 0x51, 0x80,
};

static cph_err check_message(void *arg, struct cph_span bytes)
{
    CPH_EKT_PARAMS_SCOPED p = { 0 };

    (void)arg;
    return cph_ekt_message_parse(bytes, CPH_EKT_AESKW128, &p);
}

static void an_ekt_key_message_is_read_and_written(void **state)
{
    struct cph_span golden = { message, sizeof message };
    uint8_t buf[sizeof message], bad[sizeof message];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_ekt_params p;

    (void)state;
    assert_ok(cph_ekt_message_parse(golden, CPH_EKT_AESKW128, &p));
    assert_int_equal(p.spi, 0x1234);
    assert_int_equal(p.ttl_s, 86400);
    assert_true(p.key.n == 16 && p.key.b[15] == 0x3f && p.salt.n == 12 && p.salt.b[11] == 0xab);
    cph_ekt_message_build(&p, &wr);
    assert_ok(cph_wr_end(&wr));
    assert_memory_equal(buf, message, sizeof message);
    assert_err(cph_ekt_message_parse(golden, CPH_EKT_AESKW256, &p), CPH_E_MALFORMED);
    memcpy(bad, message, sizeof bad);
    memset(bad + sizeof bad - 3, 0, 3); /* no time at all */
    assert_err(check_message(NULL, (struct cph_span){ bad, sizeof bad }), CPH_E_MALFORMED);
    memcpy(bad, message, sizeof bad);
    memmove(bad + 20, bad + 32, 5); /* no salt */
    bad[19] = 0;
    assert_err(check_message(NULL, (struct cph_span){ bad, 25 }), CPH_E_MALFORMED);
    expect_fragile(golden, FRAGILE_TRUNCATION, check_message, NULL);
}

static void ciphers_are_offered_and_selected(void **state)
{
    static const enum cph_ekt_cipher list[] = { CPH_EKT_AESKW256, CPH_EKT_AESKW128 };
    static const uint8_t wire[] = { 2, 2, 1 }, odd[] = { 5, 0, 9, 1, 1, 2 };
    enum cph_ekt_cipher got[CPH_EKT_CIPHERS];
    uint8_t buf[8];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    size_t n;

    (void)state;
    cph_ekt_ciphers_build(list, 2, &wr);
    assert_int_equal(wr.n, sizeof wire);
    assert_memory_equal(buf, wire, sizeof wire);
    assert_ok(cph_ekt_ciphers_parse((struct cph_span){ wire, 3 }, got, &n));
    assert_true(n == 2 && got[0] == CPH_EKT_AESKW256 && got[1] == CPH_EKT_AESKW128);
    assert_ok(cph_ekt_ciphers_parse((struct cph_span){ odd, 6 }, got, &n));
    assert_true(n == 2 && got[0] == CPH_EKT_AESKW128 && got[1] == CPH_EKT_AESKW256);
    assert_err(cph_ekt_ciphers_parse((struct cph_span){ wire, 2 }, got, &n), CPH_E_TRUNCATED);
    assert_err(cph_ekt_ciphers_parse(CPH_SPAN_LIT("\1\1\1"), got, &n), CPH_E_TRAILING);
    assert_err(cph_ekt_ciphers_parse(CPH_SPAN_LIT("\0"), got, &n), CPH_E_MALFORMED);
    wr = cph_wr_open(buf, sizeof buf);
    cph_ekt_cipher_build(CPH_EKT_AESKW128, &wr);
    assert_true(wr.n == 1 && buf[0] == 1);
    for (unsigned v = 0; v < 256; v++) {
        uint8_t b = (uint8_t)v;

        assert_err(cph_ekt_cipher_parse((struct cph_span){ &b, 1 }, got),
                   v == 1 || v == 2 ? CPH_OK : CPH_E_UNSUPPORTED);
    }
    assert_err(cph_ekt_cipher_parse((struct cph_span){ wire, 2 }, got), CPH_E_TRAILING);
}

/* ---- SDES ------------------------------------------------------------------------------------ */

#define KEY16 "MDEyMzQ1Njc4OTo7PD0+Pw=="

static void a_parameter_is_read_and_written_and_nothing_else_is_one(void **state)
{
    static const char *const bad[] = {
        "AESKW_128",
        "AESKW_128|",
        "AESKW_128|" KEY16,
        "AESKW_128|" KEY16 "|",
        "AESKW_128|" KEY16 "|12",
        "AESKW_128|" KEY16 "|12345",
        "AESKW_128|" KEY16 "|12G4",
        "AESKW_128|" KEY16 "|1234|",
        "AESKW_128|MDEyMzQ1Njc4OTo7PD0+Pw|1234",
        "AESKW_128|MDEyMzQ1Njc4OTo7PD0+|1234",
        "AESKW_256|" KEY16 "|1234",
    };
    struct cph_ekt_params p;
    char text[CPH_EKT_SDES];

    (void)state;
    assert_ok(cph_ekt_sdes_parse(CPH_SPAN_LIT("AESKW_128|" KEY16 "|AAE0"), &p));
    assert_int_equal(p.spi, 0xaae0);
    assert_true(p.key.n == 16 && p.key.b[15] == 0x3f && p.salt.n == 0);
    cph_ekt_sdes_build(&p, text);
    assert_string_equal(text, "AESKW_128|" KEY16 "|AAE0");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_ekt_sdes_parse(cph_span_of(bad[i]), &p), CPH_E_MALFORMED);
    assert_err(cph_ekt_sdes_parse(CPH_SPAN_LIT("AES_128|" KEY16 "|1234"), &p), CPH_E_UNSUPPORTED);
}

static const struct cph_keying_method *rows[2];
static struct pair p;

static void meet(const struct cph_ekt_params *ekt, bool allow, unsigned mki_n)
{
    struct cph_nego_cfg a = { .policy = CPH_KEYING_REQUIRED, .methods = rows }, b = a;

    rows[0] = cph_keying_method_by_name(CPH_SPAN_LIT("sdes"));
    a.keying.ekt = ekt;
    a.keying.mki_n = mki_n;
    b.keying.allow_ekt = allow;
    pair_open(&p, a, b);
}

static struct cph_ekt_params set_of(enum cph_ekt_cipher cipher)
{
    struct cph_ekt_params set = { .spi = 7, .cipher = cipher, .ttl_s = 60 };

    set.key.n = cph_ekt_key_size(cipher);
    for (size_t i = 0; i < set.key.n; i++)
        set.key.b[i] = (uint8_t)(0x30 + i);
    return set;
}

static void both_sides_get_one_set_and_talk_under_it(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), got[2];
    CPH_SRTP_POLICY_SCOPED policy = { 0 };
    struct cph_ekt_sender *out;
    struct cph_ekt_receiver *in;
    uint8_t b[300] = { 0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4 };
    struct cph_srtp_pkt pkt = { b, 40, sizeof b };
    struct cph_sdp *offer, *answer;

    (void)state;
    meet(&set, true, 0);
    assert_err(cph_nego_ekt(p.a.nego, &got[0]), CPH_E_AGAIN);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_ok(try_finish(&p.a, answer));
    assert_ok(cph_nego_ekt(p.a.nego, &got[0]));
    assert_ok(cph_nego_ekt(p.b.nego, &got[1]));
    assert_true(got[0].spi == 7 && got[1].spi == 7 && got[0].cipher == got[1].cipher);
    assert_memory_equal(&got[0].key, &got[1].key, sizeof got[0].key);
    assert_memory_equal(&got[0].salt, &got[1].salt, sizeof got[0].salt);
    assert_int_equal(got[0].ttl_s, 60); /* who gives a set knows how long; nobody else does */
    assert_int_equal(got[1].ttl_s, CPH_EKT_TTL_MAX);
    assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &policy));
    assert_ok(cph_ekt_sender_new(p.engine, &p.b.env.env, &policy, &got[1], 0, &out));
    assert_ok(cph_ekt_receiver_new(p.engine, &policy, &in));
    assert_ok(cph_ekt_receiver_params(in, &got[0], 0));
    assert_ok(cph_ekt_protect(out, &pkt, 0));
    assert_ok(cph_ekt_unprotect(in, &pkt, 0));
    assert_int_equal(pkt.n, 40);
    cph_ekt_sender_free(out);
    cph_ekt_receiver_free(in);
    pair_close(&p);
}

static void who_did_not_agree_to_it_does_not_take_such_a_line(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), got;
    struct cph_sdp *offer, *answer;

    (void)state;
    meet(&set, false, 0);
    offer = make_offer(&p, &p.a);
    assert_non_null(strstr(text_of(&p, offer), " EKT=AESKW_256|"));
    answer = make_answer(&p, &p.b, offer); /* there are others */
    assert_null(strstr(text_of(&p, answer), "EKT"));
    assert_ok(try_finish(&p.a, answer));
    assert_err(cph_nego_ekt(p.a.nego, &got), CPH_E_NOTFOUND);
    assert_err(cph_nego_ekt(p.b.nego, &got), CPH_E_NOTFOUND);
    pair_close(&p);

    meet(NULL, true, 0); /* and nobody offers it unasked */
    offer = make_offer(&p, &p.a);
    assert_null(strstr(text_of(&p, offer), "EKT"));
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_err(cph_nego_ekt(p.a.nego, &got), CPH_E_NOTFOUND);
    assert_err(cph_nego_ekt(p.b.nego, &got), CPH_E_NOTFOUND);
    pair_close(&p);
}

/* The lines of an offer as "suite+ suite ...", + where there is a set. */
static const char *lines_of(struct cph_sdp *sdp)
{
    static char out[400];
    char *text = text_of(&p, sdp);
    size_t n = 0;

    for (char *line = strstr(text, "a=crypto:"); line; line = strstr(line + 1, "a=crypto:")) {
        char suite[40];
        bool ekt = strstr(line, " EKT=") && strstr(line, " EKT=") < strchr(line, '\n');

        assert_int_equal(sscanf(line, "a=crypto:%*u %39s", suite), 1);
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s ", suite, ekt ? "+" : "");
    }
    return out;
}

static void two_lines_with_a_set_come_first(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256);

    (void)state;
    meet(&set, true, 0);
    assert_string_equal(lines_of(make_offer(&p, &p.a)),
                        "AEAD_AES_256_GCM+ AES_CM_128_HMAC_SHA1_80+ AEAD_AES_256_GCM "
                        "AEAD_AES_128_GCM AES_256_CM_HMAC_SHA1_80 AES_CM_128_HMAC_SHA1_80 "
                        "AES_CM_128_HMAC_SHA1_32 ");
    cph_nego_rollback(p.a.nego);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, make_offer(&p, &p.a))));
    assert_string_equal(lines_of(make_offer(&p, &p.a)), "AEAD_AES_256_GCM+ "); /* its salt is 12 */
    pair_close(&p);
    set = set_of(CPH_EKT_AESKW128); /* RFC 8870 6 MUST: not shorter than the suite's key */
    meet(&set, true, 0);
    assert_string_equal(lines_of(make_offer(&p, &p.a)),
                        "AEAD_AES_128_GCM+ AES_CM_128_HMAC_SHA1_80+ AEAD_AES_256_GCM "
                        "AEAD_AES_128_GCM AES_256_CM_HMAC_SHA1_80 AES_CM_128_HMAC_SHA1_80 "
                        "AES_CM_128_HMAC_SHA1_32 ");
    pair_close(&p);
}

static void talk(struct side *from, struct side *to)
{
    struct cph_sdp *offer = make_offer(&p, from), *answer = make_answer(&p, to, offer);

    assert_ok(try_finish(from, answer));
}

static unsigned generation(struct side *s)
{
    struct cph_nego_status st;

    cph_nego_status(s->nego, &st);
    return st.keying.dir[0].generation * 100 + st.keying.dir[1].generation;
}

static void the_salt_of_a_set_is_that_of_all_keys_said_with_it(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), got;

    (void)state;
    set.salt.n = 14;
    memset(set.salt.b, 0x5a, 14);
    for (unsigned i = 0; i < 3; i++) { /* sessions of one conference: another offer each time */
        struct cph_srtp_policy k[2];

        meet(&set, true, 0);
        talk(&p.a, &p.b);
        assert_ok(cph_nego_ekt(p.b.nego, &got));
        assert_memory_equal(got.salt.b, set.salt.b, got.salt.n);
        for (unsigned d = 0; d < 2; d++) {
            assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, d, 0, &k[d]));
            assert_memory_equal(k[d].master.salt.b, set.salt.b, k[d].master.salt.n);
        }
        assert_int_not_equal(memcmp(k[0].master.key.b, k[1].master.key.b, 16), 0);
        pair_close(&p);
    }
    set.salt.n = 11; /* too short for any suite: none has the set */
    meet(&set, true, 0);
    assert_null(strchr(lines_of(make_offer(&p, &p.a)), '+'));
    pair_close(&p);
}

static void a_set_goes_on_whoever_offers_next_until_keys_are_renewed(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), other = set, got;

    (void)state;
    set.salt.n = 14;
    meet(&set, true, 0);
    talk(&p.a, &p.b);
    assert_int_equal(generation(&p.b), 101);
    talk(&p.a, &p.b); /* hold, resume, refresh */
    talk(&p.b, &p.a); /* by the one who was given it */
    talk(&p.a, &p.b);
    assert_int_equal(generation(&p.a), 101);
    assert_int_equal(generation(&p.b), 101);
    other.spi = 8;
    other.salt = set.salt;
    other.key.b[0] ^= 1;
    set = other; /* its owner has another: it goes with new keys only */
    talk(&p.a, &p.b);
    assert_ok(cph_nego_ekt(p.b.nego, &got));
    assert_int_equal(got.spi, 7);
    cph_nego_renew(p.a.nego);
    talk(&p.a, &p.b);
    assert_ok(cph_nego_ekt(p.b.nego, &got));
    assert_int_equal(got.spi, 8);
    assert_memory_equal(got.key.b, other.key.b, other.key.n);
    assert_int_equal(generation(&p.a), 202);
    assert_int_equal(generation(&p.b), 202);
    cph_nego_renew(p.b.nego); /* who has none of its own renews keys under the one it has */
    talk(&p.b, &p.a);
    assert_ok(cph_nego_ekt(p.a.nego, &got));
    assert_int_equal(got.spi, 8);
    pair_close(&p);
}

static void keys_of_a_call_without_ekt_are_not_said_with_it(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256);
    struct cph_srtp_policy was, is;
    struct cph_ekt_params got;

    (void)state;
    meet(&set, false, 0);
    talk(&p.a, &p.b);
    assert_err(cph_nego_ekt(p.a.nego, &got), CPH_E_NOTFOUND);
    assert_ok(cph_nego_keys(p.a.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &was));
    assert_null(strchr(lines_of(make_offer(&p, &p.a)), '+')); /* nor is it brought up again */
    cph_nego_rollback(p.a.nego);
    cph_nego_renew(p.a.nego);
    assert_non_null(strchr(lines_of(make_offer(&p, &p.a)), '+')); /* but with new keys */
    cph_nego_rollback(p.a.nego);
    cph_nego_renew(p.a.nego);
    talk(&p.a, &p.b);
    assert_ok(cph_nego_keys(p.a.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &is));
    assert_memory_not_equal(was.master.key.b, is.master.key.b, was.master.key.n);
    pair_close(&p);
}

static void another_set_in_the_answer_is_refused(void **state)
{
    static const char *const to[] = { " EKT=AESKW_256|MTEy", " EKT=AESKW_256|MDEy", "" };
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256);
    struct cph_sdp *offer, *answer;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char *text, *at;

        meet(&set, true, 0);
        offer = make_offer(&p, &p.a);
        answer = make_answer(&p, &p.b, offer);
        text = text_of(&p, answer);
        at = strstr(text, " EKT=AESKW_256|");
        assert_non_null(at);
        if (i < 2)
            memcpy(at, to[i], strlen(to[i]));
        if (i == 1)
            strstr(at, "|0007")[4] = '8';
        if (i == 2)
            memmove(at, strstr(at, "\r\n"), strlen(strstr(at, "\r\n")) + 1);
        assert_err(try_finish(&p.a, read_sdp(&p, text)), i < 2 ? CPH_E_POLICY : CPH_OK);
        pair_close(&p);
    }
}

/* As linphonec and baresip do. */
static void who_passes_over_the_parameter_takes_the_line_without_it(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), got;
    struct cph_srtp_policy mine, theirs;
    struct cph_sdp *offer, *answer;
    char *text, *at;

    (void)state;
    meet(&set, false, 0);
    for (unsigned i = 0; i < 2; i++) {
        offer = make_offer(&p, &p.a);
        text = text_of(&p, offer);
        while ((at = strstr(text, " EKT=")) != NULL)
            memmove(at, strstr(at, "\r\n"), strlen(strstr(at, "\r\n")) + 1);
        answer = make_answer(&p, &p.b, read_sdp(&p, text));
        assert_non_null(strstr(text_of(&p, answer), "a=crypto:1 "));
        assert_ok(try_finish(&p.a, answer));
        assert_err(cph_nego_ekt(p.a.nego, &got), CPH_E_NOTFOUND);
        assert_ok(cph_nego_keys(p.a.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &mine));
        assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, CPH_KEYING_RECV, 0, &theirs));
        assert_memory_equal(&mine.master.key, &theirs.master.key, sizeof mine.master.key);
        assert_memory_equal(&mine.master.salt, &theirs.master.salt, sizeof mine.master.salt);
        assert_null(strchr(lines_of(make_offer(&p, &p.a)), '+')); /* not tried again */
        cph_nego_rollback(p.a.nego);
        assert_int_equal(generation(&p.a), 101);
    }
    pair_close(&p);
}

static void an_mki_and_ekt_exclude_each_other(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256);
    struct cph_sdp *offer;

    (void)state;
    meet(&set, true, 4);
    assert_err(try_offer(&p, &p.a, &offer), CPH_E_CONFIG);
    pair_close(&p);
    set.key.n = 16;
    meet(&set, true, 0);
    assert_err(try_offer(&p, &p.a, &offer), CPH_E_CONFIG);
    pair_close(&p);
}

/* ---- MIKEY ----------------------------------------------------------------------------------- */

static struct mikey_csb bundle(void)
{
    struct mikey_csb csb = { .b = { .csb_id = 7, .rand_n = 16 }, .n_keys = 1, .n_policies = 1 };

    memset(csb.b.rand, 3, 16);
    csb.key[0].key.n = 32;
    memset(csb.key[0].key.b, 9, 32);
    csb.policy[0].suite = cph_srtp_suite_by_dtls(8);
    return csb;
}

static void a_set_in_a_mikey_message_is_taken_whole_or_not_at_all(void **state)
{
    static const size_t said = sizeof "ciphony EKT" - 1, open = 6; /* cipher, SPI, ttl */
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), got, other;
    struct mikey_csb csb = bundle(), another = csb;
    struct mikey_hdr hdr = { .type = MIKEY_PSK_I };
    struct mikey_msg m = { .n_ext = 1 };
    uint8_t b[300], *ext;
    struct mikey_out w;

    (void)state;
    set.salt.n = 14;
    memset(set.salt.b, 0x5a, 14);
    w = mikey_begin(b, sizeof b, &hdr);
    assert_ok(mikey_ekt_put(&w, &csb, &set));
    ext = memmem(b, w.wr.n, "ciphony EKT", said);
    assert_non_null(ext);
    m.ext[0].data = (struct cph_span){ ext, (size_t)(b + w.wr.n - ext) };
    assert_ok(mikey_ekt_take(&m, &csb, &got));
    assert_memory_equal(&got, &set, sizeof set);
    for (size_t i = 0; i < m.ext[0].data.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            ext[i] ^= (uint8_t)(1U << bit);
            if (i < said)
                assert_err(mikey_ekt_take(&m, &csb, &got), CPH_E_NOTFOUND);
            else if (i >= said + open) /* the others are for the message's MAC to cover */
                assert_err(mikey_ekt_take(&m, &csb, &got), CPH_E_AUTH);
            ext[i] ^= (uint8_t)(1U << bit);
        }
    for (size_t n = m.ext[0].data.n; m.ext[0].data.n-- > 0;)
        assert_true(mikey_ekt_take(&m, &csb, &got) != CPH_OK && n > 0);
    m.ext[0].data.n = (size_t)(b + w.wr.n - ext);
    another.key[0].key.b[0] ^= 1;
    assert_err(mikey_ekt_take(&m, &another, &got), CPH_E_AUTH);
    another = csb;
    another.b.rand[0] ^= 1;
    assert_err(mikey_ekt_take(&m, &another, &got), CPH_E_AUTH);
    m.ext[0].type = MIKEY_EXT_SDP_IDS;
    assert_err(mikey_ekt_take(&m, &csb, &got), CPH_E_NOTFOUND);

    w = mikey_begin(b, sizeof b, &hdr); /* the answer */
    mikey_ekt_put_taken(&w, &set);
    ext = memmem(b, w.wr.n, "ciphony EKT", said);
    m.ext[0] = (struct mikey_ext){ MIKEY_EXT_VENDOR, { ext, (size_t)(b + w.wr.n - ext) } };
    assert_true(mikey_ekt_taken(&m, &set));
    other = set;
    other.spi++;
    assert_false(mikey_ekt_taken(&m, &other));
    other = set;
    other.cipher = CPH_EKT_AESKW128;
    assert_false(mikey_ekt_taken(&m, &other));
    m.ext[0].data.n--;
    assert_false(mikey_ekt_taken(&m, &set));
    m.n_ext = 0;
    assert_false(mikey_ekt_taken(&m, &set));
}

static void a_set_goes_with_some_keys_of_mikey_only(void **state)
{
    struct cph_ekt_params set = set_of(CPH_EKT_AESKW256), shorter = set_of(CPH_EKT_AESKW128);
    struct mikey_csb csb = bundle();

    (void)state;
    set.salt.n = shorter.salt.n = 14;
    assert_true(mikey_ekt_fits(&set, &csb));
    assert_false(mikey_ekt_fits(&shorter, &csb)); /* than the suite's key */
    csb.policy[0].suite = cph_srtp_suite_by_dtls(7);
    assert_true(mikey_ekt_fits(&shorter, &csb));
    set.salt.n = 12;
    assert_false(mikey_ekt_fits(&set, &csb));
    set.salt.n = 14;
    csb.key[0].mki_n = 1; /* RFC 8870 4 MUST NOT: with an MKI */
    assert_false(mikey_ekt_fits(&set, &csb));
    csb = bundle();
    csb.key[0].tek = true;
    assert_false(mikey_ekt_fits(&set, &csb));
    csb = bundle();
    csb.policy[0].unauthenticated_rtp = true;
    assert_false(mikey_ekt_fits(&set, &csb));
    csb = bundle();
    csb.n_keys = 0;
    assert_false(mikey_ekt_fits(&set, &csb));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ekt_key_message_is_read_and_written),
        cmocka_unit_test(ciphers_are_offered_and_selected),
        cmocka_unit_test(a_parameter_is_read_and_written_and_nothing_else_is_one),
        cmocka_unit_test(both_sides_get_one_set_and_talk_under_it),
        cmocka_unit_test(who_did_not_agree_to_it_does_not_take_such_a_line),
        cmocka_unit_test(two_lines_with_a_set_come_first),
        cmocka_unit_test(the_salt_of_a_set_is_that_of_all_keys_said_with_it),
        cmocka_unit_test(a_set_goes_on_whoever_offers_next_until_keys_are_renewed),
        cmocka_unit_test(keys_of_a_call_without_ekt_are_not_said_with_it),
        cmocka_unit_test(another_set_in_the_answer_is_refused),
        cmocka_unit_test(who_passes_over_the_parameter_takes_the_line_without_it),
        cmocka_unit_test(an_mki_and_ekt_exclude_each_other),
        cmocka_unit_test(a_set_in_a_mikey_message_is_taken_whole_or_not_at_all),
        cmocka_unit_test(a_set_goes_with_some_keys_of_mikey_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
