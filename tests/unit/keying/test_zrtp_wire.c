/* ZRTP messages byte for byte, and a wrong value for every check of the parser. */
#include "zrtp_pair.h"

#include "ciphony/base_text.h"

static struct cph_span span(const uint8_t *p, size_t n)
{
    return (struct cph_span){ p, n };
}

static void the_crc_is_that_of_sctp(void **state)
{
    struct vectors *v = vectors_open("keying/zrtp/crc.txt");

    (void)state;
    while (vectors_next(v)) {
        struct cph_span out = vectors_hex(v, "out");
        struct cph_rd rd = cph_rd_open(out);

        assert_int_equal(zrtp_crc32c(vectors_hex(v, "in")), cph_rd_u32(&rd));
    }
    vectors_close(v);
}

static cph_err accept_packet(void *arg, struct cph_span bytes)
{
    struct zrtp_packet p;
    struct zrtp_msg m;

    (void)arg;
    CPH_TRY(zrtp_packet_parse(bytes, &p));
    return zrtp_msg_parse(p.msg, &m);
}

static cph_err accept_message(void *arg, struct cph_span bytes)
{
    struct zrtp_msg m;

    (void)arg;
    return zrtp_msg_parse(bytes, &m);
}

static const char *const type_names[ZRTP_TYPES] = {
    "Hello", "HelloACK", "Commit",  "DHPart1",  "DHPart2",  "Confirm1", "Confirm2", "Conf2ACK",
    "Error", "ErrorACK", "GoClear", "ClearACK", "SASrelay", "RelayACK", "Ping",     "PingACK",
};

/* What is read is what was written, and writing it again gives the same bytes. */
static void every_message_is_read_and_written_as_the_document_has_it(void **state)
{
    struct vectors *v = vectors_open("keying/zrtp/messages.txt");
    unsigned seen = 0;
    uint16_t seq = 0xfff0;

    (void)state;
    while (vectors_next(v)) {
        struct cph_span packet = vectors_hex(v, "packet"), message = vectors_hex(v, "message"),
                        mackey = { NULL, 0 };
        uint8_t again[ZRTP_MESSAGE + ZRTP_FRAME];
        struct cph_wr wr = cph_wr_open(again, sizeof again);
        struct zrtp_packet p;
        struct zrtp_msg m;

        assert_ok(zrtp_packet_parse(packet, &p));
        assert_int_equal(p.ssrc, 0xdecafbad);
        assert_int_equal(p.seq, seq++);
        assert_true(cph_span_eq(p.msg, message));
        assert_ok(zrtp_msg_parse(p.msg, &m));
        assert_string_equal(type_names[m.type], vectors_text(v, "type"));
        seen |= 1U << m.type;

        zrtp_msg_build(&wr, &m);
        assert_ok(cph_wr_end(&wr));
        assert_true(cph_span_eq(cph_wr_done(&wr), message));
        wr = cph_wr_open(again, sizeof again);
        zrtp_packet_build(&wr, &p);
        assert_true(cph_span_eq(cph_wr_done(&wr), packet));
        if (vectors_text(v, "mackey")) {
            mackey = vectors_hex(v, "mackey");
            assert_ok(zrtp_mac_check(message, mackey));
            assert_err(zrtp_mac_check(message, cph_span_head(mackey, 31)), CPH_E_AUTH);
        }
        /* the CRC refuses every flip, the lengths every cut */
        expect_fragile(packet, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, accept_packet, NULL);
        expect_fragile(message, FRAGILE_TRUNCATION, accept_message, NULL);
    }
    assert_int_equal(seen, (1U << ZRTP_TYPES) - 1);
    vectors_close(v);
}

static struct cph_span named(struct vectors *v, const char *what)
{
    while (vectors_next(v)) {
        if (strcmp(vectors_text(v, "what"), what) == 0)
            return vectors_hex(v, "message");
    }
    fail_msg("no vector %s", what);
    return span(NULL, 0);
}

static void a_hello_is_understood_field_by_field(void **state)
{
    struct vectors *v = vectors_open("keying/zrtp/messages.txt");
    struct zrtp_msg m;
    const struct zrtp_hello *h = &m.u.hello;

    (void)state;
    assert_ok(zrtp_msg_parse(named(v, "Hello with everything"), &m));
    assert_memory_equal(h->version, "1.10", 4);
    assert_memory_equal(h->client, "vector  maker   ", 16);
    assert_true(h->s && h->m && h->p);
    assert_int_equal(h->list[ZRTP_K_HASH].n, 2);
    assert_int_equal(h->list[ZRTP_K_CIPHER].n, 2);
    assert_int_equal(h->list[ZRTP_K_TAG].n, 2);
    assert_int_equal(h->list[ZRTP_K_AGREEMENT].n, 7);
    assert_int_equal(h->list[ZRTP_K_SAS].n, 2);
    assert_int_equal(h->list[ZRTP_K_AGREEMENT].id[2], ZRTP_DH3K);
    assert_int_equal(h->list[ZRTP_K_AGREEMENT].id[6], ZRTP_PRSH);
    assert_int_equal(h->list[ZRTP_K_SAS].id[1], ZRTP_ID('B', '2', '5', '6'));
    assert_ok(zrtp_msg_parse(named(v, "Hello with nothing listed"), &m));
    assert_true(!h->s && !h->m && !h->p && h->list[ZRTP_K_AGREEMENT].n == 0);
    assert_ok(zrtp_msg_parse(named(v, "Commit, Preshared"), &m));
    assert_int_equal(m.u.commit.mode, CPH_ZRTP_PRESHARED);
    assert_ok(zrtp_msg_parse(named(v, "DHPart1 of DH3k"), &m));
    assert_int_equal(m.u.dhpart.pv.n, 384);
    assert_int_equal(m.bytes.n, 4 * 117); /* 5.1.5 */
    assert_ok(zrtp_msg_parse(named(v, "Confirm1"), &m));
    assert_int_equal(m.bytes.n, 4 * 19); /* 5.7 */
    assert_ok(zrtp_msg_parse(named(v, "Error"), &m));
    assert_int_equal(m.u.error, ZRTP_E_BAD_HVI);
    vectors_close(v);
}

/* Put the right CRC on, so that the next check is what refuses. */
static cph_err with_crc(uint8_t *packet, size_t n)
{
    uint32_t crc = zrtp_crc32c(span(packet, n - 4));

    for (int i = 0; i < 4; i++)
        packet[n - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    return accept_packet(NULL, span(packet, n));
}

static void wrong_frames_are_refused(void **state)
{
    struct vectors *v = vectors_open("keying/zrtp/messages.txt");
    uint8_t p[ZRTP_MESSAGE];
    struct cph_span ok;
    size_t n;

    (void)state;
    (void)named(v, "HelloACK");
    ok = vectors_hex(v, "packet");
    n = ok.n;
    memcpy(p, ok.p, n);
    assert_ok(with_crc(p, n));
    p[0] = 0x1f; /* 5 MUST: the 12 bits not used are ignored */
    p[1] = 0xff;
    assert_ok(with_crc(p, n));
    p[0] = 0x20;
    assert_err(with_crc(p, n), CPH_E_MALFORMED);
    p[0] = 0x00;
    assert_err(with_crc(p, n), CPH_E_MALFORMED);
    memcpy(p, ok.p, n);
    p[7] ^= 1; /* cookie */
    assert_err(with_crc(p, n), CPH_E_MALFORMED);
    memcpy(p, ok.p, n);
    p[12] ^= 1; /* preamble */
    assert_err(with_crc(p, n), CPH_E_MALFORMED);
    memcpy(p, ok.p, n);
    p[15] = 4; /* length */
    assert_err(with_crc(p, n), CPH_E_MALFORMED);
    memcpy(p, ok.p, n);
    p[16] = 'h'; /* type */
    assert_err(with_crc(p, n), CPH_E_UNSUPPORTED);
    memset(p + n, 0, 4); /* a word more, and the length says so */
    memcpy(p, ok.p, n);
    p[15] = 4;
    assert_err(with_crc(p, n + 4), CPH_E_MALFORMED);
    vectors_close(v);
}

static void wrong_bodies_are_refused(void **state)
{
    struct vectors *v = vectors_open("keying/zrtp/messages.txt");
    uint8_t m[ZRTP_MESSAGE + 8];
    struct cph_span hello = named(v, "Hello with nothing listed");
    size_t counts = 12 + 4 + 16 + 32 + 12;

    (void)state;
    memcpy(m, hello.p, hello.n);
    m[counts + 1] = 0x08; /* 8 hashes: more than a list may have */
    assert_err(accept_message(NULL, span(m, hello.n)), CPH_E_MALFORMED);
    m[counts + 1] = 0x01; /* one that is not there */
    assert_err(accept_message(NULL, span(m, hello.n)), CPH_E_TRUNCATED);
    m[counts + 1] = 0xf0; /* the bits before the counts are not used */
    assert_ok(accept_message(NULL, span(m, hello.n)));

    /* a DHPart without a public value, and with one that is too long */
    memset(m, 0, sizeof m);
    memcpy(m,
           "\x50\x5a\x00\x15"
           "DHPart1 ",
           12);
    assert_err(accept_message(NULL, span(m, 84)), CPH_E_MALFORMED);
    m[3] = 0x16;
    assert_ok(accept_message(NULL, span(m, 88)));
    m[2] = (uint8_t)((21 + 129) >> 8);
    m[3] = (uint8_t)(21 + 129);
    assert_err(accept_message(NULL, span(m, 4 * (21 + 129))), CPH_E_MALFORMED);

    /* a Confirm over the longest there is (5.7) */
    memcpy(m,
           "\x50\x5a\x02\x12"
           "Confirm1",
           12);
    assert_ok(accept_message(NULL, span(m, 4 * 530)));
    m[3] = 0x13;
    assert_err(accept_message(NULL, span(m, 4 * 531)), CPH_E_LIMIT);
    vectors_close(v);
}

static void what_is_sealed_is_read_and_written_with_and_without_signature(void **state)
{
    static const uint8_t sig[5] = { 1, 2, 3, 4, 5 };
    uint8_t b[256];
    struct cph_wr wr = cph_wr_open(b, sizeof b);
    struct zrtp_confirm c = { .flags = 5, .cache_s = 77, .sig_type = { 'P', 'G', 'P', ' ' } }, c2;
    struct zrtp_relay r = { .flags = 4, .sas_id = ZRTP_ID('B', '3', '2', ' ') }, r2;

    (void)state;
    zrtp_confirm_build(&wr, &c);
    assert_int_equal(wr.n, 40);
    assert_ok(zrtp_confirm_parse(cph_wr_done(&wr), &c2));
    assert_true(c2.flags == 5 && c2.cache_s == 77 && c2.sig.n == 0);
    wr = cph_wr_open(b, sizeof b);
    c.sig = span(sig, sizeof sig);
    zrtp_confirm_build(&wr, &c);
    assert_int_equal(wr.n, 40 + 4 + 8); /* padded to a word */
    assert_int_equal(b[34], 3);         /* type and two words */
    assert_ok(zrtp_confirm_parse(cph_wr_done(&wr), &c2));
    assert_int_equal(c2.sig.n, 8);
    assert_memory_equal(c2.sig.p, "\1\2\3\4\5\0\0\0", 8);
    assert_memory_equal(c2.sig_type, "PGP ", 4);
    b[34] = 4; /* more than there is */
    assert_err(zrtp_confirm_parse(cph_wr_done(&wr), &c2), CPH_E_TRUNCATED);
    b[34] = 2; /* less */
    assert_err(zrtp_confirm_parse(cph_wr_done(&wr), &c2), CPH_E_TRAILING);
    b[32] = 0xff; /* the 15 bits not used are ignored */
    b[33] = 0xfe;
    b[34] = 3;
    assert_ok(zrtp_confirm_parse(cph_wr_done(&wr), &c2));
    wr = cph_wr_open(b, sizeof b);
    zrtp_relay_build(&wr, &r);
    assert_int_equal(wr.n, 40);
    assert_ok(zrtp_relay_parse(cph_wr_done(&wr), &r2));
    assert_true(r2.sas_id == r.sas_id && r2.flags == 4);
    assert_err(zrtp_relay_parse(span(b, 39), &r2), CPH_E_TRUNCATED);
}

static void lists_are_one_list(void **state)
{
    static const char *const alice[] = { "DH2k", "DH3k", "EC25" };
    static const char *const bob[] = { "EC38", "EC25", "DH3k" };
    struct zrtp_hello a = { 0 }, b = { 0 };
    struct zrtp_list full;

    (void)state;
    for (int i = 0; i < 3; i++) {
        a.list[ZRTP_K_AGREEMENT].id[a.list[ZRTP_K_AGREEMENT].n++] = zrtp_id_of(alice[i]);
        b.list[ZRTP_K_AGREEMENT].id[b.list[ZRTP_K_AGREEMENT].n++] = zrtp_id_of(bob[i]);
    }
    /* the example of 4.1.2, from both sides */
    assert_int_equal(zrtp_pick_agreement(&a, &b), zrtp_id_of("EC25"));
    assert_int_equal(zrtp_pick_agreement(&b, &a), zrtp_id_of("EC25"));
    /* EC38 needs S384 on both sides (5.1.5) */
    a.list[ZRTP_K_AGREEMENT] = (struct zrtp_list){ 1, { zrtp_id_of("EC38") } };
    b.list[ZRTP_K_AGREEMENT] = (struct zrtp_list){ 1, { zrtp_id_of("EC38") } };
    assert_int_equal(zrtp_pick_agreement(&a, &b), ZRTP_DH3K);
    a.list[ZRTP_K_HASH] = b.list[ZRTP_K_HASH] = (struct zrtp_list){ 1, { zrtp_id_of("S384") } };
    assert_int_equal(zrtp_pick_agreement(&a, &b), zrtp_id_of("EC38"));
    /* what is mandatory is there, behind the rest (5.2) */
    zrtp_list_complete(ZRTP_K_TAG, &(struct zrtp_list){ 0 }, &full);
    assert_true(full.n == 2 && full.id[0] == zrtp_id_of("HS32") &&
                full.id[1] == zrtp_id_of("HS80"));
    zrtp_list_complete(ZRTP_K_AGREEMENT, &b.list[ZRTP_K_AGREEMENT], &full);
    assert_true(full.n == 2 && full.id[1] == ZRTP_DH3K);
    zrtp_list_complete(ZRTP_K_AGREEMENT, &full, &full);
    assert_int_equal(full.n, 2);
    assert_int_equal(zrtp_id_of("B32"), 0);
    assert_null(zrtp_alg(ZRTP_K_CIPHER, zrtp_id_of("2FS1")));
}

static void every_error_code_has_words(void **state)
{
    static const unsigned codes[] = {
        0x10, 0x20, 0x30, 0x40, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
        0x61, 0x62, 0x63, 0x70, 0x80, 0x90, 0x91, 0xA0, 0xB0, 0x100
    }; /* table 8 */

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        assert_string_not_equal(zrtp_error_text(codes[i]), "unknown error");
    assert_string_equal(zrtp_error_text(0x11), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crc_is_that_of_sctp),
        cmocka_unit_test(every_message_is_read_and_written_as_the_document_has_it),
        cmocka_unit_test(a_hello_is_understood_field_by_field),
        cmocka_unit_test(wrong_frames_are_refused),
        cmocka_unit_test(wrong_bodies_are_refused),
        cmocka_unit_test(what_is_sealed_is_read_and_written_with_and_without_signature),
        cmocka_unit_test(lists_are_one_list),
        cmocka_unit_test(every_error_code_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
