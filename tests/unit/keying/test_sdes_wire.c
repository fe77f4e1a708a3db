/* Crypto lines: RFC 4568's own, every form, and a wrong value for every check. */
#include "support.h"

#include "ciphony/base_text.h"
#include "sdes/sdes_int.h"

#define KEY30  "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
#define KEY30B "QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5"
#define AES80  "AES_CM_128_HMAC_SHA1_80"

static cph_err parse(const char *text, struct sdes_line *line)
{
    return sdes_line_parse(cph_span_of(text), line);
}

static void the_lines_of_rfc4568_are_understood(void **state)
{
    struct sdes_line l;
    char hex[61];

    (void)state;
    assert_ok(parse("1 " AES80 " inline:" KEY30 "|2^20|1:32", &l));
    assert_int_equal(l.tag, 1);
    assert_string_equal(l.suite->sdes_name, AES80);
    assert_true(l.n_keys == 1 && l.key[0].key.n == 16 && l.key[0].salt.n == 14);
    cph_hex(cph_secret_span(&l.key[0].key), hex);
    assert_string_equal(hex, "3d2d6e40255e7821426a75667239293f");
    cph_hex(cph_secret_span(&l.key[0].salt), hex);
    assert_string_equal(hex, "2c2335685c603d265d7b71695051");
    assert_true(l.key[0].lifetime_rtp == 1 << 20 && l.key[0].lifetime_rtcp == 1 << 20);
    assert_true(l.key[0].mki_n == 32 && l.key[0].mki[31] == 1 && l.key[0].mki[30] == 0);

    assert_ok(parse("1 " AES80 " inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2|1066:4", &l));
    assert_true(l.key[0].mki_n == 4 && l.key[0].mki[2] == 4 && l.key[0].mki[3] == 42);
    assert_true(l.key[0].lifetime_rtp == 0); /* default */
    assert_ok(parse("1 AES_CM_128_HMAC_SHA1_32 "
                    "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32",
                    &l));
    assert_int_equal(l.suite->tag_n, 4);
    assert_ok(parse("1 " AES80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 "
                    "FEC_ORDER=FEC_SRTP",
                    &l));
    assert_false(l.srtp_then_fec);
    /* the second line of 7.1.5, with a suite that we have */
    assert_ok(parse("2 " AES80 " inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
                    "inline:" KEY30B "|2^20|2:4 FEC_ORDER=FEC_SRTP",
                    &l));
    assert_true(l.n_keys == 2 && l.key[0].mki[3] == 1 && l.key[1].mki[3] == 2);
    assert_err(parse("2 F8_128_HMAC_SHA1_80 inline:" KEY30, &l), CPH_E_UNSUPPORTED);
}

static void every_suite_of_the_table_takes_a_key_of_its_length(void **state)
{
    static const struct {
        const char *suite;
        size_t n;
    } want[] = {
        { "AES_CM_128_HMAC_SHA1_80", 30 }, { "AES_CM_128_HMAC_SHA1_32", 30 }, /* RFC 4568 6.2 */
        { "AES_192_CM_HMAC_SHA1_80", 38 }, { "AES_192_CM_HMAC_SHA1_32", 38 }, /* RFC 6188 4 */
        { "AES_256_CM_HMAC_SHA1_80", 46 }, { "AES_256_CM_HMAC_SHA1_32", 46 },
        { "AEAD_AES_128_GCM", 28 },        { "AEAD_AES_256_GCM", 44 }, /* RFC 7714 14.2 */
    };
    uint8_t bytes[48];
    char base64[CPH_BASE64_LEN(48) + 1], line[160];
    struct sdes_line l;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        for (size_t n = want[i].n - 2; n <= want[i].n + 2; n++) {
            cph_base64((struct cph_span){ bytes, n }, base64);
            snprintf(line, sizeof line, "1 %s inline:%s", want[i].suite, base64);
            /* RFC 4568 6.1 MUST: another length makes the line invalid */
            assert_err(parse(line, &l), n == want[i].n ? CPH_OK : CPH_E_MALFORMED);
            if (n == want[i].n) {
                char *pad = strchr(base64, '=');

                if (pad)
                    *pad = '\0'; /* RFC 4568 6.1: padding is discarded, so it may be absent */
                snprintf(line, sizeof line, "1 %s inline:%s", want[i].suite, base64);
                assert_ok(parse(line, &l));
                assert_memory_equal(l.key[0].key.b, bytes, l.suite->key_n);
                assert_memory_equal(l.key[0].salt.b, bytes + l.suite->key_n, l.suite->salt_n);
            }
        }
    assert_ok(
        parse("1 aes_cm_128_hmac_sha1_80 INLINE:" KEY30 " kdr=1 wsh=64", &l)); /* RFC 4568 4 */
}

static void lifetimes_in_both_forms_have_edges(void **state)
{
    static const struct {
        const char *text;
        uint64_t rtp, rtcp; /* 0: refused */
    } life[] = {
        { "2^31", (uint64_t)1 << 31, (uint64_t)1 << 31 },
        { "2147483648", (uint64_t)1 << 31, (uint64_t)1 << 31 },
        { "2^48", (uint64_t)1 << 48, (uint64_t)1 << 31 },
        { "281474976710656", (uint64_t)1 << 48, (uint64_t)1 << 31 },
        { "1", 1, 1 },
        { "2^0", 1, 1 },
        { "2^49", 0, 0 },
        { "281474976710657", 0, 0 },
        { "0", 0, 0 },
        { "020", 0, 0 },
        { "2^020", 0, 0 },
        { "2^", 0, 0 },
        { "2^-1", 0, 0 },
        { "3^2", 0, 0 },
        { "", 0, 0 },
        { "2^31x", 0, 0 },
        { "2^99999999999999999999", 0, 0 },
    };
    char line[160];
    struct sdes_line l;

    (void)state;
    for (size_t i = 0; i < sizeof life / sizeof *life; i++)
        for (int with_mki = 0; with_mki < 2; with_mki++) {
            snprintf(line, sizeof line, "1 " AES80 " inline:" KEY30 "|%s%s", life[i].text,
                     with_mki ? "|7:2" : "");
            assert_err(parse(line, &l), life[i].rtp ? CPH_OK : CPH_E_MALFORMED);
            if (!life[i].rtp)
                continue;
            assert_true(l.key[0].lifetime_rtp == life[i].rtp);
            assert_true(l.key[0].lifetime_rtcp == life[i].rtcp);
            assert_int_equal(l.key[0].mki_n, with_mki ? 2 : 0);
        }
}

static void mkis_are_numbers_of_a_given_size(void **state)
{
    static const char *const bad[] = {
        "|1:0",   "|1:129",     "|1:",    "|:4",       "|0:4",          "|01:4", "|1:04",
        "|256:1", "|65536:2",   "|-1:4",  "|1:4|2^20", "|1:4|1:4",      "|a:4",  "|1:4x",
        "|1:4:4", "|2^20|2^20", "|2^20|", "|",         "|4294967296:4", "|1:4|",
    };
    char line[512];
    struct sdes_line l;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(line, sizeof line, "1 " AES80 " inline:" KEY30 "%s", bad[i]);
        assert_err(parse(line, &l), CPH_E_MALFORMED);
    }
    assert_ok(parse("1 " AES80 " inline:" KEY30 "|255:1", &l));
    assert_int_equal(l.key[0].mki[0], 255);
    assert_ok(parse("1 " AES80 " inline:" KEY30 "|4294967295:4", &l));
    assert_memory_equal(l.key[0].mki, "\xff\xff\xff\xff", 4);
    assert_ok(parse("1 " AES80 " inline:" KEY30 "|1:128", &l));
    assert_true(l.key[0].mki_n == 128 && l.key[0].mki[127] == 1);
    /* 2^64 + 2, longer than any machine word */
    assert_ok(parse("1 " AES80 " inline:" KEY30 "|18446744073709551618:9", &l));
    assert_memory_equal(l.key[0].mki, "\x01\0\0\0\0\0\0\0\x02", 9);
}

static void several_keys_must_be_told_apart_by_mki(void **state)
{
    struct sdes_line l;

    (void)state;
    assert_err(parse("1 " AES80 " inline:" KEY30 ";inline:" KEY30B, &l), CPH_E_MALFORMED);
    assert_err(parse("1 " AES80 " inline:" KEY30 "|1:4;inline:" KEY30B, &l), CPH_E_MALFORMED);
    assert_err(parse("1 " AES80 " inline:" KEY30 ";inline:" KEY30B "|1:4", &l), CPH_E_MALFORMED);
    assert_err(parse("1 " AES80 " inline:" KEY30 "|1:4;inline:" KEY30B "|2:3", &l),
               CPH_E_MALFORMED);
    assert_err(parse("1 " AES80 " inline:" KEY30 "|1:4;inline:" KEY30B "|1:4", &l),
               CPH_E_MALFORMED);
    assert_ok(parse("1 " AES80 " inline:" KEY30 "|1:4;inline:" KEY30B "|2^31|2:4", &l));
    assert_err(parse("1 " AES80 " inline:" KEY30 "|1:1;inline:" KEY30 "|2:1;inline:" KEY30
                     "|3:1;inline:" KEY30 "|4:1;inline:" KEY30 "|5:1",
                     &l),
               CPH_E_UNSUPPORTED); /* more than we keep */
    assert_err(parse("1 " AES80 " uri:http://x", &l), CPH_E_UNSUPPORTED);
}

static void session_parameters_are_understood_or_make_the_line_invalid(void **state)
{
    static const struct {
        const char *params;
        cph_err err;
    } p[] = {
        { "KDR=1", CPH_OK },
        { "KDR=24", CPH_OK },
        { "KDR=0", CPH_E_MALFORMED },
        { "KDR=25", CPH_E_MALFORMED },
        { "KDR=01", CPH_E_MALFORMED },
        { "KDR", CPH_E_MALFORMED },
        { "KDR=", CPH_E_MALFORMED },
        { "KDR=1 KDR=1", CPH_E_MALFORMED },
        { "WSH=64", CPH_OK },
        { "WSH=63", CPH_E_MALFORMED },
        { "WSH=064", CPH_E_MALFORMED },
        { "WSH=999999999999", CPH_OK },
        { "UNENCRYPTED_SRTP", CPH_OK },
        { "UNENCRYPTED_SRTCP UNENCRYPTED_SRTP", CPH_OK },
        { "UNENCRYPTED_SRTP=1", CPH_E_MALFORMED },
        { "UNAUTHENTICATED_SRTP", CPH_OK },
        { "UNAUTHENTICATED_SRTP UNENCRYPTED_SRTP", CPH_E_UNSUPPORTED }, /* nothing would be left */
        { "FEC_ORDER=SRTP_FEC", CPH_OK },
        { "FEC_ORDER=FEC", CPH_E_MALFORMED },
        { "FEC_KEY=inline:" KEY30B, CPH_E_UNSUPPORTED },
        { "FEC_KEY", CPH_E_MALFORMED },
        { "NEW_THING", CPH_E_UNSUPPORTED },
        { "NEW_THING=1", CPH_E_UNSUPPORTED },
        { "-NEW_THING=1", CPH_OK },
        { "-", CPH_E_MALFORMED },
        { "--X", CPH_E_MALFORMED },
        { "-UNENCRYPTED_SRTP", CPH_OK }, /* another parameter, which may be ignored */
    };
    char line[200];
    struct sdes_line l;

    (void)state;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        snprintf(line, sizeof line, "1 " AES80 " inline:" KEY30 " %s", p[i].params);
        assert_err(parse(line, &l), p[i].err);
    }
    assert_ok(parse("1 " AES80 " inline:" KEY30 " KDR=24 WSH=999999999999 UNENCRYPTED_SRTCP", &l));
    assert_true(l.kdr == 24 && l.wsh == CPH_SRTP_WINDOW_MAX);
    assert_true(l.unencrypted_rtcp && !l.unencrypted_rtp && !l.unauthenticated_rtp);
    assert_ok(parse("1 " AES80 " inline:" KEY30 " -UNENCRYPTED_SRTP", &l));
    assert_false(l.unencrypted_rtp);
    /* AEAD has no tag to leave out, RFC 7714 */
    assert_err(parse("1 AEAD_AES_128_GCM inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA "
                     "UNAUTHENTICATED_SRTP",
                     &l),
               CPH_E_UNSUPPORTED);
}

static void what_is_written_is_read_back(void **state)
{
    struct cph_arena *arena;
    struct cph_sdp *sdp;
    struct cph_keying_local to;
    struct sdes_line a, b;

    (void)state;
    assert_ok(cph_arena_new(CPH_SDP_ARENA, &arena));
    assert_ok(cph_sdp_parse(arena,
                            CPH_SPAN_LIT("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n"
                                         "m=audio 1 RTP/SAVP 0\r\n"),
                            &sdp));
    to = (struct cph_keying_local){ sdp, sdp->media[0] };
    assert_ok(
        parse("7 " AES80 " inline:" KEY30 "|1:4;inline:" KEY30B "|70000:4 UNENCRYPTED_SRTCP", &a));
    assert_ok(sdes_line_add(&a, &to));
    assert_true(cph_span_is(cph_sdp_attr(&to.media->part, "crypto")->arg,
                            "7 " AES80 " inline:" KEY30 "|1:4;inline:" KEY30B
                            "|70000:4 UNENCRYPTED_SRTCP"));
    assert_ok(sdes_line_parse(cph_sdp_attr(&to.media->part, "crypto")->arg, &b));
    assert_memory_equal(&a, &b, sizeof a);
    cph_arena_free(arena);
}

static cph_err check(void *arg, struct cph_span bytes)
{
    struct sdes_line l;

    (void)arg;
    return sdes_line_parse(bytes, &l);
}

static void damaged_lines_do_no_harm(void **state)
{
    (void)state;
    expect_fragile(CPH_SPAN_LIT("1 " AES80 " inline:" KEY30 "|2^20|1:4;inline:" KEY30B
                                "|2^20|2:4 KDR=3 WSH=128 FEC_ORDER=FEC_SRTP UNENCRYPTED_SRTCP -X"),
                   0, check, NULL);
    expect_fragile(
        CPH_SPAN_LIT("1 AEAD_AES_128_GCM inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA=="), 0,
        check, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lines_of_rfc4568_are_understood),
        cmocka_unit_test(every_suite_of_the_table_takes_a_key_of_its_length),
        cmocka_unit_test(lifetimes_in_both_forms_have_edges),
        cmocka_unit_test(mkis_are_numbers_of_a_given_size),
        cmocka_unit_test(several_keys_must_be_told_apart_by_mki),
        cmocka_unit_test(session_parameters_are_understood_or_make_the_line_invalid),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(damaged_lines_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
