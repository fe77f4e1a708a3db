/* What somebody in between can do to an exchange, and what it is called then. */
#include "zrtp_pair.h"

#include "ciphony/base_text.h"

/* End 0 is the initiator. Returns with both ends where they got to. */
static void tampered(struct duo *d, uint64_t seed, enum zrtp_type type, size_t offset,
                     unsigned times)
{
    duo_init(d, seed);
    d->end[1].cfg.passive = true;
    d->tap = flip_some;
    d->flip = type;
    d->flip_at = offset;
    d->flip_n = times;
    duo_open(d);
    duo_run(d, CPH_SEC(40));
}

enum { ALWAYS_T = 1000000 };
#define FROM_END(n) ((size_t)0 - (n))

/* CVE-2016-6271: an implementation compared nothing, and a man in the middle could choose his value
 * when he knew the other's. */
static void a_public_value_that_was_not_committed_to_is_refused(void **state)
{
    struct duo d;

    (void)state;
    tampered(&d, 10, ZRTP_DHPART2, 12 + 32 + 32 + 3, ALWAYS_T); /* in pvi */
    assert_refused(&d, 1, ZRTP_E_BAD_HVI);
    tampered(&d, 11, ZRTP_COMMIT, 12 + 32 + 12 + 20, ALWAYS_T); /* in hvi: and its MAC is wrong */
    assert_refused(&d, 1, ZRTP_E_MALFORMED);
}

/* The initiator himself, with all MACs right, but another public value than he committed to. */
static bool other_value(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp *z = d->end[from].z[stream];
    struct cph_secret x;
    uint8_t pv[32];

    if (flight_type(f) != ZRTP_DHPART2)
        return true;
    assert_ok(cph_agree_make(&d->end[from].env.env, CPH_AGREE_X25519, 0, &x, pv));
    memcpy(f->b + 12 + 12 + 32 + 32, pv, sizeof pv);
    assert_ok(zrtp_mac_seal(f->b + 12, f->n - ZRTP_FRAME, cph_secret_span(&z->h[0])));
    fix_crc(f);
    return true;
}

static void an_initiator_cannot_choose_his_value_late(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 12);
    d.end[1].cfg.passive = true;
    d.tap = other_value;
    duo_open(&d);
    duo_run(&d, CPH_SEC(40));
    assert_refused(&d, 1, ZRTP_E_BAD_HVI);
}

/* Weak public values, with every hash and MAC right. */
static const uint8_t *weak;
static size_t weak_n;

static bool weak_initiator(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp *z = d->end[from].z[stream];
    struct zrtp_live *l = &z->live;

    if (flight_type(f) == ZRTP_COMMIT && from == 0) {
        struct cph_span part[2] = { zrtp_text_span(&l->dhpart2), zrtp_text_span(&l->hello) };
        uint8_t hash[CPH_DIGEST_MAX];

        memcpy(l->dhpart2.b + 12 + 32 + 32, weak, weak_n);
        assert_ok(zrtp_mac_seal(l->dhpart2.b, l->dhpart2.n, cph_secret_span(&z->h[0])));
        assert_ok(zrtp_hash_all(l->alg[ZRTP_K_HASH], part, 2, hash));
        memcpy(l->commit.b + l->commit.n - ZRTP_MAC - ZRTP_HASH, hash, ZRTP_HASH);
        assert_ok(zrtp_mac_seal(l->commit.b, l->commit.n, cph_secret_span(&z->h[1])));
        memcpy(f->b + 12, l->commit.b, l->commit.n);
        fix_crc(f);
    }
    return true;
}

static bool weak_responder(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp *z = d->end[from].z[stream];

    if (flight_type(f) == ZRTP_DHPART1) {
        memcpy(f->b + 12 + 12 + 32 + 32, weak, weak_n);
        assert_ok(zrtp_mac_seal(f->b + 12, f->n - ZRTP_FRAME, cph_secret_span(&z->h[0])));
        fix_crc(f);
    }
    return true;
}

static void weak_public_values_end_the_exchange(void **state)
{
    static const uint8_t zero[384] = { 0 };
    uint8_t one[384] = { 0 }, little[56] = { 1 }, minus[56], off[96], p[2][384], top[2][384],
            above[384];
    struct vectors *v = vectors_open("crypto/modp.txt");
    const struct {
        const char *kind;
        const uint8_t *value;
        size_t n;
    } rows[] = { { "DH2k", zero, 256 },   { "DH2k", one + 128, 256 }, { "DH2k", top[0], 256 },
                 { "DH2k", p[0], 256 },   { "DH3k", zero, 384 },      { "DH3k", one, 384 },
                 { "DH3k", top[1], 384 }, { "DH3k", p[1], 384 },      { "DH3k", above, 384 },
                 { "X255", zero, 32 },    { "X255", little, 32 },     { "X255", minus, 32 },
                 { "X448", zero, 56 },    { "X448", little, 56 },     { "EC25", off, 64 },
                 { "EC25", zero, 64 },    { "EC38", off, 96 },        { "EC38", zero, 96 } };

    (void)state;
    one[383] = 1;
    memset(off, 0x11, sizeof off);
    memset(minus, 0xff, sizeof minus); /* 2^255 - 20 is p - 1, of order 4 */
    minus[0] = 0xec;
    minus[31] = 0x7f;
    while (vectors_next(v)) {
        size_t n = vectors_hex(v, "p").n;

        if (n == 256 || n == 384)
            memcpy(p[n == 384], vectors_hex(v, "p").p, n);
    }
    memcpy(top, p, sizeof top);
    memcpy(above, p[1], sizeof above);
    top[0][255] -= 1; /* p - 1 */
    top[1][383] -= 1;
    memset(above + 376, 0xff, 8); /* p + more; it ends in ones already */
    above[375] += 1;
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        const char *agreement[] = { rows[i / 2].kind, NULL };
        struct duo d;

        duo_init(&d, 500 + i);
        d.end[0].cfg.agreements = d.end[1].cfg.agreements = agreement;
        d.end[1].cfg.passive = true;
        weak = rows[i / 2].value;
        weak_n = rows[i / 2].n;
        d.tap = i % 2 ? weak_responder : weak_initiator;
        duo_open(&d);
        duo_run(&d, CPH_SEC(40));
        assert_refused(&d, i % 2 ? 0 : 1, ZRTP_E_BAD_PV);
    }
    vectors_close(v);
}

/* 9: a packet with a wrong hash image is not used, and the exchange goes on. */
static void a_wrong_hash_image_is_passed_over(void **state)
{
    static const enum zrtp_type types[] = { ZRTP_COMMIT, ZRTP_DHPART1, ZRTP_DHPART2 };
    struct duo d;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        tampered(&d, 20 + i, types[i], 12 + 5, 3);
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        assert_same_keys(&d, 0);
        duo_close(&d);
        tampered(&d, 25 + i, types[i], 12 + 5, ALWAYS_T);
        assert_refused(&d, 0, ZRTP_E_TIMEOUT);
    }
}

/* 8.1.1 MUST: each message's MAC is checked when its key comes. */
static void a_changed_message_is_found_out_by_its_mac(void **state)
{
    struct duo d;

    (void)state;
    tampered(&d, 30, ZRTP_HELLO, 20, ALWAYS_T); /* both Hellos, in the name of the client */
    assert_refused(&d, 1, ZRTP_E_HELLO);
    duo_init(&d, 31); /* the responder's alone */
    tampered(&d, 31, ZRTP_HELLO, FROM_END(1), ALWAYS_T);
    assert_refused(&d, 1, ZRTP_E_HELLO);
    tampered(&d, 32, ZRTP_COMMIT, FROM_END(1), ALWAYS_T);
    assert_refused(&d, 1, ZRTP_E_MALFORMED);
    tampered(&d, 33, ZRTP_DHPART1, FROM_END(1), ALWAYS_T); /* total_hash differs */
    assert_int_equal(d.end[0].z[0]->live.error, ZRTP_E_CONFIRM_MAC);
    assert_int_equal(d.end[1].z[0]->live.error, ZRTP_E_CONFIRM_MAC);
    assert_refused(&d, 0, ZRTP_E_CONFIRM_MAC);
    tampered(&d, 34, ZRTP_DHPART1, 12 + 32 + 2, ALWAYS_T); /* an ID */
    assert_refused(&d, 0, ZRTP_E_CONFIRM_MAC);
}

/* A responder who changes nothing but the MAC of his Hello: only H2 tells. */
static void a_responder_s_hello_is_checked_by_the_initiator(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 35);
    d.end[1].cfg.passive = true;
    duo_open(&d);
    d.end[1].z[0]->own_hello.b[d.end[1].z[0]->own_hello.n - 1] ^= 1;
    duo_run(&d, CPH_SEC(40));
    assert_refused(&d, 0, ZRTP_E_HELLO);
}

/* A liar about the MAC of his DHPart or, without DH, of his Commit: H0 tells. */
static bool bad_dhpart_mac(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp *z = d->end[from].z[stream];

    if (flight_type(f) == ZRTP_DHPART1 &&
        z->live.dhpart1.b[z->live.dhpart1.n - 1] == f->b[f->n - 5]) {
        z->live.dhpart1.b[z->live.dhpart1.n - 1] ^= 1;
        memcpy(f->b + 12, z->live.dhpart1.b, z->live.dhpart1.n);
        fix_crc(f);
        d->tap = NULL;
    }
    return true;
}

static void a_dhpart_is_checked_when_h0_comes(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 36);
    d.end[1].cfg.passive = true;
    d.tap = bad_dhpart_mac;
    duo_open(&d);
    duo_run(&d, CPH_SEC(40));
    assert_refused(&d, 0, ZRTP_E_CONFIRM_MAC);
}

static void a_confirm_that_does_not_authenticate_is_not_believed(void **state)
{
    struct duo d;

    (void)state;
    tampered(&d, 40, ZRTP_CONFIRM1, 40, 2); /* twice somebody's, then the true one */
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    duo_close(&d);
    tampered(&d, 41, ZRTP_CONFIRM1, 40, ALWAYS_T);
    assert_refused(&d, 0, ZRTP_E_CONFIRM_MAC);
    tampered(&d, 42, ZRTP_CONFIRM2, 40, ALWAYS_T);
    assert_int_equal(d.end[1].z[0]->live.error, ZRTP_E_CONFIRM_MAC);
    /* a changed IV spoils H0 */
    duo_close(&d);
    tampered(&d, 43, ZRTP_CONFIRM1, 22, ALWAYS_T);
    assert_refused(&d, 0, ZRTP_E_CONFIRM_MAC);
}

static void bad_hellos_end_the_exchange_or_are_passed_over(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 50);
    memcpy(d.end[1].cfg.zid, d.end[0].cfg.zid, CPH_ZRTP_ZID);
    duo_open(&d);
    duo_run(&d, CPH_SEC(40));
    assert_refused(&d, 0, ZRTP_E_EQUAL_ZID);

    duo_init(&d, 51);
    duo_open(&d);
    d.end[1].z[0]->ssrc = d.end[0].z[0]->ssrc;
    duo_run(&d, CPH_SEC(40));
    assert_refused(&d, 0, ZRTP_E_SSRC);

    tampered(&d, 52, ZRTP_HELLO, 13, 0); /* as it should be */
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    duo_close(&d);
    tampered(&d, 53, ZRTP_HELLO, 12, ALWAYS_T); /* "0.10": older */
    assert_refused(&d, 0, ZRTP_E_VERSION);
    tampered(&d, 54, ZRTP_HELLO, 15, 0);
    duo_close(&d);
    tampered(&d, 55, ZRTP_HELLO, 14, ALWAYS_T); /* "1.00": older */
    assert_refused(&d, 0, ZRTP_E_VERSION);
}

/* 4.1.1: a higher version is acknowledged and waited out. */
static bool make_newer(struct duo *d, int from, int stream, struct flight *f)
{
    (void)d;
    (void)stream;
    if (flight_type(f) == ZRTP_HELLO && from == 1) {
        f->b[12 + 12] = '2';
        fix_crc(f);
    }
    return true;
}

static void a_newer_version_is_acknowledged_and_ignored(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 56);
    d.tap = make_newer;
    duo_open(&d);
    duo_run(&d, CPH_SEC(1));
    assert_true(d.sent[0][ZRTP_HELLOACK] > 0 && !d.end[0].z[0]->live.has_peer);
    assert_int_equal(d.end[0].z[0]->live.error, 0);
    assert_null(d.end[0].z[0]->peer);
    duo_close(&d);
}

/* 8.1: what the signalling promised is the only Hello that counts. */
static void a_hello_that_was_not_promised_is_passed_over(void **state)
{
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        duo_init(&d, 60);
        duo_open(&d);
        for (int e = 0; e < 2; e++) {
            struct zrtp *z = d.end[e].z[0], *other = d.end[1 - e].z[0];

            z->expects = true;
            assert_ok(zrtp_hash256(zrtp_text_span(&other->own_hello), z->expected));
            z->expected[31] ^= (uint8_t)wrong;
        }
        duo_run(&d, CPH_SEC(40));
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.hash_bound, !wrong);
        assert_int_equal(info.secure, !wrong);
        assert_int_equal(d.end[0].z[0]->notes & CPH_KEYING_NOTE_RIVAL_HANDSHAKE,
                         wrong ? CPH_KEYING_NOTE_RIVAL_HANDSHAKE : 0);
        assert_int_equal(d.end[0].mem.gets, !wrong); /* nothing is looked up for a stranger */
        duo_close(&d);
    }
}

static void packets_of_others_change_nothing(void **state)
{
    struct duo d;
    uint8_t b[CPH_KEYING_PACKET];
    struct zrtp_packet p = { .ssrc = 0x7777 };
    unsigned state_before;

    (void)state;
    duo_init(&d, 61);
    duo_call(&d);
    for (int t = 0; t < ZRTP_TYPES; t++) {
        struct zrtp_msg m = { .type = (enum zrtp_type)t };
        uint8_t mb[ZRTP_MESSAGE];
        struct cph_wr mw = cph_wr_open(mb, sizeof mb), pw = cph_wr_open(b, sizeof b);

        if (t == ZRTP_DHPART1 || t == ZRTP_DHPART2)
            m.u.dhpart.pv = CPH_SPAN_LIT("12345678");
        if (t == ZRTP_CONFIRM1 || t == ZRTP_CONFIRM2 || t == ZRTP_SASRELAY)
            m.u.sealed.cipher = CPH_SPAN_LIT("1234567890123456789012345678901234567890");
        zrtp_msg_build(&mw, &m);
        p.msg = cph_wr_done(&mw);
        zrtp_packet_build(&pw, &p);
        state_before = d.end[0].z[0]->live.state;
        p.ssrc = t % 2 ? 0x7777 : d.end[1].z[0]->ssrc;
        (void)!zrtp_feed(d.end[0].z[0], NULL, cph_wr_done(&pw), d.now);
        assert_int_equal(d.end[0].z[0]->live.state, state_before);
    }
    duo_run(&d, d.now + CPH_SEC(5));
    assert_same_keys(&d, 0);
    duo_close(&d);
}

/* Somebody in the middle who speaks with each side for himself is keyed with both, but the sides
 * read different strings. */
static void somebody_in_the_middle_shows_in_the_sas(void **state)
{
    unsigned same = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct duo left, right;
        struct cph_zrtp_info a, b;

        duo_init(&left, 600 + seed);
        duo_init(&right, 700 + seed);
        duo_call(&left);
        duo_call(&right);
        info_of(left.end[0].z[0], &a);
        info_of(right.end[1].z[0], &b);
        assert_memory_not_equal(a.sashash, b.sashash, CPH_ZRTP_SASHASH);
        same += strcmp(a.sas, b.sas) == 0;
        duo_close(&left);
        duo_close(&right);
    }
    assert_int_equal(same, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_value_that_was_not_committed_to_is_refused),
        cmocka_unit_test(an_initiator_cannot_choose_his_value_late),
        cmocka_unit_test(weak_public_values_end_the_exchange),
        cmocka_unit_test(a_wrong_hash_image_is_passed_over),
        cmocka_unit_test(a_changed_message_is_found_out_by_its_mac),
        cmocka_unit_test(a_responder_s_hello_is_checked_by_the_initiator),
        cmocka_unit_test(a_dhpart_is_checked_when_h0_comes),
        cmocka_unit_test(a_confirm_that_does_not_authenticate_is_not_believed),
        cmocka_unit_test(bad_hellos_end_the_exchange_or_are_passed_over),
        cmocka_unit_test(a_newer_version_is_acknowledged_and_ignored),
        cmocka_unit_test(a_hello_that_was_not_promised_is_passed_over),
        cmocka_unit_test(packets_of_others_change_nothing),
        cmocka_unit_test(somebody_in_the_middle_shows_in_the_sas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
