/* Whole ZRTP exchanges between two engines, and what somebody in between can do. */
#include "zrtp_pair.h"

#include "ciphony/crypto_pgp.h"

#include "ciphony/crypto_key.h"

#include "ciphony/base_text.h"

static struct cph_span text_of(const struct zrtp_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static void two_ends_come_to_the_same_keys_and_sas(void **state)
{
    struct duo d;
    struct cph_zrtp_info info;

    (void)state;
    duo_init(&d, 1);
    duo_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_string_equal(info.agreement, "X255"); /* ours by default */
    assert_string_equal(info.cipher, "AES3");
    assert_string_equal(info.tag, "HS80");
    assert_string_equal(info.hash, "S256");
    assert_string_equal(info.peer_client, "Ciphony         ");
    assert_true(!info.known && !info.continuity && !info.mismatch && !info.verified);
    duo_close(&d);
}

static const char *const kinds[] = { "X255", "EC25", "EC38", "DH3k", "DH2k", "X448" };

static void every_type_works_whoever_goes_first(void **state)
{
    static const char *const hashes[] = { "S256", "S384" },
                             *const ciphers[] = { "AES1", "AES2", "AES3" },
                             *const tags[] = { "HS32", "HS80" },
                             *const sases[] = { "B32 ", "B256" };
    struct duo d;

    (void)state;
    for (unsigned i = 0; i < 6 * 3; i++) {
        const char *agreement[] = { kinds[i % 6], NULL }, *hash[] = { hashes[i % 2], "S384", NULL },
                   *cipher[] = { ciphers[i % 3], NULL }, *tag[] = { tags[i / 6 % 2], NULL },
                   *sas[] = { sases[i / 3 % 2], NULL };
        struct cph_zrtp_info info;

        if (strcmp(hash[0], "S384") == 0)
            hash[1] = NULL;
        duo_init(&d, 100 + i);
        for (int e = 0; e < 2; e++) {
            d.end[e].cfg.agreements = agreement;
            d.end[e].cfg.hashes = hash;
            d.end[e].cfg.ciphers = cipher;
            d.end[e].cfg.tags = tag;
            d.end[e].cfg.sas = sas;
            d.end[e].cfg.passive = (int)(i / 6) == e; /* either, then whoever wins */
        }
        duo_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_string_equal(info.agreement, agreement[0]);
        assert_string_equal(info.cipher, cipher[0]);
        assert_string_equal(info.tag, tag[0]);
        assert_string_equal(info.sas_type, sas[0]);
        if (strcmp(agreement[0], "EC38") == 0) /* RFC 6189 5.1.5 MUST */
            assert_string_equal(info.hash, "S384");
        if (i < 12)
            assert_int_equal(info.initiator, i >= 6);
        duo_close(&d);
    }
}

static void a_thousand_lossy_exchanges_all_end_secure_with_one_sas(void **state)
{
    unsigned first[2] = { 0 }, both = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        /* the dear ones less often */
        const char *agreement[] = { i % 50 < 4 ? kinds[2 + i % 50] : kinds[i % 2], NULL };
        struct cph_zrtp_info info;
        struct duo d;

        duo_init(&d, 2000 + i);
        d.end[0].cfg.agreements = d.end[1].cfg.agreements = agreement;
        d.end[i & 1].cfg.passive = i % 5 == 0;
        d.link = (struct link_cfg){ i % 31, i % 17, i % 40, CPH_MS(1 + i % 120) };
        d.streams = i % 10 == 0 ? 2 : 1;
        duo_open(&d);
        duo_run(&d, CPH_SEC(40));
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        for (unsigned s = 0; s < d.streams; s++)
            assert_same_keys(&d, s);
        info_of(d.end[0].z[0], &info);
        first[info.initiator]++;
        both += d.sent[0][ZRTP_COMMIT] > 0 && d.sent[1][ZRTP_COMMIT] > 0;
        duo_close(&d);
    }
    assert_true(first[0] > 300 && first[1] > 300);
    assert_true(both > 300); /* contention is the rule, and each time one gives way */
}

/* 4.2: the Commit with the lower hvi is discarded. */
static struct zrtp_commit seen_commit[2];

static bool watch_commits(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp_packet p;
    struct zrtp_msg m;

    (void)d;
    (void)stream;
    assert_ok(zrtp_packet_parse((struct cph_span){ f->b, f->n }, &p));
    assert_ok(zrtp_msg_parse(p.msg, &m));
    if (m.type == ZRTP_COMMIT)
        seen_commit[from] = m.u.commit;
    return true;
}

static void of_two_commits_the_higher_one_wins(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct cph_zrtp_info info;
        struct duo d;
        int order;

        duo_init(&d, 300 + seed);
        d.tap = watch_commits;
        duo_call(&d);
        order = memcmp(seen_commit[0].hvi, seen_commit[1].hvi, ZRTP_HASH);
        assert_true(order != 0 && d.sent[0][ZRTP_COMMIT] == 1 && d.sent[1][ZRTP_COMMIT] == 1);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.initiator, order > 0);
        duo_close(&d);
    }
}

/* ---- timers (6) ------------------------------------------------------------------------------ */

static void nobody_there_is_asked_twenty_one_times_and_no_more(void **state)
{
    static const cph_time at[] = { 0, 50, 150, 350, 550, 750 };
    struct cph_keying_status st;
    struct duo d;
    unsigned n = 0;

    (void)state;
    duo_init(&d, 2);
    end_open(&d.end[0], 1, 1);
    d.link.loss = 100;
    while (duo_next(&d) < CPH_SEC(60)) {
        unsigned before = d.sent[0][ZRTP_HELLO];

        d.now = duo_next(&d) > d.now ? duo_next(&d) : d.now;
        duo_turn(&d);
        if (d.sent[0][ZRTP_HELLO] > before && n < 6)
            assert_int_equal(d.now, CPH_MS(at[n++]));
    }
    assert_int_equal(d.sent[0][ZRTP_HELLO], 1 + 20); /* RFC 6189 6 */
    assert_int_equal(d.now, CPH_MS(50 + 100 + 19 * 200));
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_QUIET);
    cph_keying_zrtp.status(&d.end[0].z[0]->base, &st);
    assert_int_equal(st.state, CPH_KEYING_FAILED);
    assert_int_equal(st.err, CPH_E_TIMEOUT);

    /* A peer that comes late is welcome. */
    d.link.loss = 0;
    end_open(&d.end[1], 1, 2);
    duo_run(&d, d.now + CPH_SEC(10));
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    duo_close(&d);
}

static void a_promised_peer_is_given_twelve_seconds(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 3);
    end_open(&d.end[0], 1, 1);
    d.end[0].z[0]->expects = true;
    d.link.loss = 100;
    duo_run(&d, CPH_SEC(60));
    assert_int_equal(d.sent[0][ZRTP_HELLO], 1 + 62);
    duo_close(&d);
}

static int lose_type;
static unsigned lose_count;

static bool lose_one_type(struct duo *d, int from, int stream, struct flight *f)
{
    (void)d;
    (void)from;
    (void)stream;
    if ((int)flight_type(f) != lose_type || lose_count == 0)
        return true;
    lose_count--;
    return false;
}

/* Every message lost three times in a row is made up for; lost for ever, both ends say so. */
static void each_message_may_be_lost(void **state)
{
    static const enum zrtp_type types[] = { ZRTP_HELLO,    ZRTP_HELLOACK, ZRTP_COMMIT,
                                            ZRTP_DHPART1,  ZRTP_DHPART2,  ZRTP_CONFIRM1,
                                            ZRTP_CONFIRM2, ZRTP_CONF2ACK };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct duo d;

        duo_init(&d, 400 + i);
        d.tap = lose_one_type;
        lose_type = (int)types[i];
        lose_count = 3;
        duo_call(&d);
        assert_int_equal(lose_count, 0);
        duo_close(&d);

        duo_init(&d, 420 + i);
        d.tap = lose_one_type;
        d.end[1].cfg.passive = true;
        lose_count = 1000;
        duo_open(&d);
        duo_run(&d, CPH_SEC(60));
        assert_false(d.end[0].z[0]->live.state == ZRTP_SECURE);
        assert_int_equal(d.end[0].z[0]->live.has_keys & 1U << CPH_KEYING_SEND, 0);
        if (types[i] == ZRTP_COMMIT || types[i] == ZRTP_DHPART2 || types[i] == ZRTP_CONFIRM2) {
            assert_int_equal(d.sent[0][types[i]], 1 + 10); /* RFC 6189 6 */
            assert_int_equal(d.end[0].z[0]->live.err, CPH_E_TIMEOUT);
        }
        duo_close(&d);
    }
}

/* 4.6: the responder's SRTP is as good as its Conf2ACK. */
static void media_stands_for_the_last_acknowledgement(void **state)
{
    struct duo d;
    struct cph_srtp_policy p = { 0 };
    struct zrtp *a;

    (void)state;
    duo_init(&d, 5);
    d.end[1].cfg.passive = true;
    d.tap = lose_one_type;
    lose_type = ZRTP_CONF2ACK;
    lose_count = 1000;
    duo_open(&d);
    duo_run(&d, CPH_SEC(2));
    a = d.end[0].z[0];
    assert_int_equal(a->live.state, ZRTP_CONFIRMING);
    /* RFC 6189 4 MUST NOT: no SRTP is sent before; it may be received */
    assert_err(zrtp_srtp_policy(a, CPH_KEYING_SEND, &p), CPH_E_AGAIN);
    assert_ok(zrtp_srtp_policy(a, CPH_KEYING_RECV, &p));
    cph_zrtp_media(&a->base, d.now);
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    assert_same_keys(&d, 0);
    duo_close(&d);
}

/* ---- somebody in between --------------------------------------------------------------------- */

/* Change a byte of every message of one type, the CRC made right. */
static struct {
    enum zrtp_type type;
    int from;      /* -1: whoever */
    size_t offset; /* in the message; from the end if it is large */
    unsigned times;
} flip;

static bool flip_byte(struct duo *d, int from, int stream, struct flight *f)
{
    size_t n = f->n - ZRTP_FRAME;

    (void)d;
    (void)stream;
    if (flight_type(f) != flip.type || (flip.from >= 0 && flip.from != from) || flip.times == 0)
        return true;
    flip.times--;
    f->b[12 + (flip.offset < n ? flip.offset : n + flip.offset)] ^= 0x01;
    fix_crc(f);
    return true;
}

/* End 0 is the initiator. Returns with both ends where they got to. */
static void tampered(struct duo *d, uint64_t seed, enum zrtp_type type, size_t offset,
                     unsigned times)
{
    duo_init(d, seed);
    d->end[1].cfg.passive = true;
    d->tap = flip_byte;
    flip.type = type;
    flip.from = -1;
    flip.offset = offset;
    flip.times = times;
    duo_open(d);
    duo_run(d, CPH_SEC(40));
}

static void assert_refused(struct duo *d, int end, unsigned code)
{
    struct cph_keying_status st;
    struct cph_srtp_policy p = { 0 };
    struct cph_keying_evidence ev = { 0 };

    assert_int_equal(d->end[end].z[0]->live.error, code);
    for (int e = 0; e < 2; e++) {
        cph_keying_zrtp.status(&d->end[e].z[0]->base, &st);
        assert_int_equal(st.state, CPH_KEYING_FAILED);
        assert_non_null(st.why);
        assert_err(zrtp_srtp_policy(d->end[e].z[0], CPH_KEYING_SEND, &p), CPH_E_AGAIN);
        assert_err(zrtp_srtp_policy(d->end[e].z[0], CPH_KEYING_RECV, &p), CPH_E_AGAIN);
        cph_keying_zrtp.evidence(&d->end[e].z[0]->base, &ev);
        assert_false(ev.keyed);
        assert_int_equal(d->end[e].z[0]->live.keys.srtp[0].n, 0); /* wiped */
        assert_int_equal(d->end[e].z[0]->live.dh.n, 0);
        assert_int_equal(d->end[e].mem.puts, 0);
    }
    duo_close(d);
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
        struct cph_span part[2] = { text_of(&l->dhpart2), text_of(&l->hello) };
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
            assert_ok(zrtp_hash256(text_of(&other->own_hello), z->expected));
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

/* ---- several streams (4.4.3) ----------------------------------------------------------------- */

static void further_streams_are_keyed_without_another_agreement(void **state)
{
    struct duo d;
    struct cph_srtp_policy p[3] = { 0 };
    struct cph_secret out;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        unsigned dh = 0;

        duo_init(&d, 800 + seed);
        d.streams = 3;
        d.link.delay = CPH_MS(1 + 7 * (seed % 5));
        d.link.late = (unsigned)(seed % 3) * 30; /* streams that overtake each other */
        duo_call(&d);
        for (unsigned s = 0; s < 3; s++) {
            dh += d.end[0].z[s]->live.committed.mode == CPH_ZRTP_DH;
            assert_ok(zrtp_srtp_policy(d.end[0].z[s], CPH_KEYING_SEND, &p[s]));
        }
        assert_int_equal(dh, 1);
        assert_memory_not_equal(p[0].master.key.b, p[1].master.key.b, p[0].master.key.n);
        assert_memory_not_equal(p[1].master.key.b, p[2].master.key.b, p[0].master.key.n);
        assert_int_equal(d.end[0].mem.puts, 1); /* 4.6.1: the cache was touched once */
        for (unsigned s = 0; s < 3; s++)
            assert_int_equal(cph_zrtp_export(&d.end[0].z[s]->base, &out),
                             d.end[0].z[s]->live.committed.mode == CPH_ZRTP_DH ? CPH_OK
                                                                               : CPH_E_STATE);
        duo_close(&d);
    }
}

/* Whoever answers for the second stream cannot bring another agreement under the word that the user
 * gave for the first. */
static void a_second_agreement_is_not_taken(void **state)
{
    uint8_t before[CPH_ZRTP_SASHASH];
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    duo_init(&d, 79);
    d.streams = 2;
    d.end[0].cfg.passive = true;
    duo_open(&d);
    d.end[0].z[1]->started = d.end[1].z[1]->started = false;
    duo_run(&d, CPH_SEC(2));
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_SECURE);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    memcpy(before, d.end[0].z[0]->peer->sashash, sizeof before);
    d.end[1].z[0]->peer->session.n = 0; /* somebody who has not got it */
    d.end[0].z[1]->started = d.end[1].z[1]->started = true;
    duo_run(&d, CPH_SEC(60));
    assert_true(d.sent[1][ZRTP_COMMIT] > 2);
    info_of(d.end[0].z[1], &info);
    assert_false(info.secure);
    assert_memory_equal(d.end[0].z[0]->peer->sashash, before, sizeof before);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_SECURE);
    duo_close(&d);
}

/* A Commit with a nonce of before ends the exchange (4.4.3.1). */
static uint8_t old_nonce[ZRTP_NONCE];

static bool repeat_nonce(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp *z = d->end[from].z[stream];
    struct zrtp_live *l = &z->live;

    if (flight_type(f) == ZRTP_COMMIT && l->committed.mode == CPH_ZRTP_MULTISTREAM && stream == 2) {
        uint8_t *nonce = l->commit.b + l->commit.n - ZRTP_MAC - ZRTP_NONCE;

        memcpy(nonce, old_nonce, ZRTP_NONCE);
        assert_ok(zrtp_mac_seal(l->commit.b, l->commit.n, cph_secret_span(&z->h[1])));
        memcpy(f->b + 12, l->commit.b, l->commit.n);
        fix_crc(f);
    } else if (flight_type(f) == ZRTP_COMMIT && stream == 1) {
        memcpy(old_nonce, l->commit.b + l->commit.n - ZRTP_MAC - ZRTP_NONCE, ZRTP_NONCE);
    }
    return true;
}

static void a_nonce_used_twice_ends_the_exchange(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 80);
    d.streams = 3;
    d.end[1].cfg.passive = true;
    duo_open(&d);
    d.end[0].z[1]->started = d.end[0].z[2]->started = false; /* one after the other */
    duo_run(&d, CPH_SEC(2));
    d.end[0].z[1]->started = true;
    d.tap = repeat_nonce;
    duo_run(&d, CPH_SEC(4));
    assert_int_equal(d.end[1].z[1]->live.state, ZRTP_SECURE);
    d.end[0].z[2]->started = true;
    duo_run(&d, CPH_SEC(40));
    assert_int_equal(d.end[1].z[2]->live.error, ZRTP_E_NONCE);
    assert_int_equal(d.end[0].z[2]->live.state, ZRTP_ENDED);
    assert_same_keys(&d, 0); /* the others are as they were */
    duo_close(&d);
}

/* Multistream where there is no session to build on. */
static void multistream_without_a_session_is_refused(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 81);
    d.end[1].cfg.passive = true;
    duo_open(&d);
    duo_turn(&d);
    d.now += CPH_MS(20);
    duo_turn(&d); /* Hellos */
    assert_non_null(d.end[0].z[0]->peer);
    d.end[0].z[0]->peer->session.n = 32;
    for (int k = 0; k < ZRTP_KINDS; k++)
        d.end[0].z[0]->peer->alg[k] = zrtp_alg((enum zrtp_kind)k,
                                               zrtp_id_of(zrtp_defaults((enum zrtp_kind)k)[0]));
    duo_run(&d, CPH_SEC(40));
    assert_int_equal(d.end[1].z[0]->live.error, ZRTP_E_NO_SECRET);
    assert_int_equal(d.end[0].z[0]->live.error, ZRTP_E_NO_SECRET);
    duo_close(&d);
}

/* ---- GoClear (4.7.2) ------------------------------------------------------------------------- */

static void a_call_goes_clear_and_secure_again(void **state)
{
    struct cph_srtp_policy before = { 0 }, after = { 0 };
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    duo_init(&d, 84);
    d.streams = 2;
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
    duo_call(&d);
    for (int round = 0; round < 3; round++) {
        int who = round % 2;

        assert_ok(zrtp_srtp_policy(d.end[0].z[0], CPH_KEYING_SEND, &before));
        lose_type = ZRTP_CLEARACK;
        lose_count = (unsigned)round;
        d.tap = lose_one_type;
        assert_ok(cph_zrtp_clear(&d.end[who].z[0]->base, d.now));
        assert_err(zrtp_srtp_policy(d.end[who].z[0], CPH_KEYING_SEND, &after), CPH_E_AGAIN);
        duo_run(&d, d.now + CPH_SEC(5));
        d.tap = NULL;
        assert_true(duo_all_in(&d, ZRTP_CLEAR)); /* every stream */
        for (int e = 0; e < 2; e++)
            for (int s = 0; s < 2; s++) {
                assert_err(zrtp_srtp_policy(d.end[e].z[s], CPH_KEYING_SEND, &after), CPH_E_AGAIN);
                assert_int_equal(d.end[e].z[s]->live.keys.srtp[0].n, 0);
            }
        info_of(d.end[0].z[0], &info);
        assert_true(info.clear && !info.secure);
        assert_ok(cph_zrtp_secure(&d.end[who].z[0]->base, d.now));
        assert_ok(cph_zrtp_secure(&d.end[1 - who].z[1]->base, d.now));
        duo_run(&d, d.now + CPH_SEC(5));
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        assert_same_keys(&d, 0);
        assert_same_keys(&d, 1);
        assert_ok(zrtp_srtp_policy(d.end[0].z[0], CPH_KEYING_SEND, &after));
        assert_memory_not_equal(before.master.key.b, after.master.key.b, 16);
        assert_int_equal(d.end[0].z[0]->live.committed.mode, CPH_ZRTP_MULTISTREAM);
    }
    duo_close(&d);
}

static void goclear_needs_leave_and_a_good_mac(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 85);
    duo_call(&d);
    assert_err(cph_zrtp_clear(&d.end[0].z[0]->base, d.now), CPH_E_POLICY);
    d.end[0].z[0]->live.peer_flags |= ZRTP_FLAG_A; /* and asks all the same */
    assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(5));
    assert_int_equal(d.end[1].z[0]->live.error, ZRTP_E_GOCLEAR);
    assert_int_equal(d.end[1].z[0]->live.err, CPH_E_POLICY); /* and no RTP */
    duo_close(&d);

    duo_init(&d, 86);
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
    d.tap = flip_byte;
    flip.type = ZRTP_GOCLEAR;
    flip.from = -1;
    flip.offset = 15;
    flip.times = ALWAYS_T;
    duo_call(&d);
    assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(60));
    assert_int_equal(d.end[1].z[0]->live.state, ZRTP_SECURE); /* RFC 6189 4.7.2 MUST NOT */
    assert_int_equal(d.sent[1][ZRTP_CLEARACK], 0);
    assert_int_equal(d.sent[0][ZRTP_GOCLEAR], 11);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_CLEAR); /* its keys went all the same */
    duo_close(&d);
}

/* ---- trusted man in the middle (7.3) --------------------------------------------------------- */

static void a_relayed_sas_is_shown_only_when_enrolled(void **state)
{
    struct cph_zrtp_info phone, far;
    struct duo inside, outside;

    (void)state;
    for (int enrolled = 0; enrolled < 2; enrolled++) {
        duo_init(&inside, 87); /* end 0: the phone; end 1: the exchange */
        inside.end[1].cfg.mitm = true;
        inside.end[1].cfg.enroll = true;
        duo_call(&inside);
        info_of(inside.end[0].z[0], &phone);
        assert_true(phone.peer_mitm && phone.enroll_asked && !phone.trusted_mitm);
        if (enrolled) {
            assert_ok(cph_zrtp_enroll(&inside.end[0].z[0]->base));
            assert_ok(cph_zrtp_enroll(&inside.end[1].z[0]->base));
            assert_memory_equal(kept_by(&inside, 0)->pbx.b, kept_by(&inside, 1)->pbx.b, 32);
            assert_int_equal(kept_by(&inside, 0)->pbx.n, 32);
        }
        inside.end[1].cfg.enroll = false;
        next_call(&inside);
        duo_init(&outside, 88); /* end 0: somebody outside; end 1: the exchange */
        outside.end[1].cfg.mitm = true;
        outside.end[0].cfg.sas = (const char *const[]){ "B256", NULL };
        outside.end[1].cfg.passive = true;
        duo_call(&outside);

        inside.tap = lose_one_type;
        lose_type = ZRTP_RELAYACK;
        lose_count = 2;
        assert_ok(
            cph_zrtp_relay(&inside.end[1].z[0]->base, &outside.end[1].z[0]->base, inside.now));
        duo_run(&inside, inside.now + CPH_SEC(5));
        assert_int_equal(inside.end[1].z[0]->live.state, ZRTP_SECURE);
        assert_int_equal(inside.sent[1][ZRTP_SASRELAY], 3);
        info_of(inside.end[0].z[0], &phone);
        info_of(outside.end[0].z[0], &far);
        assert_int_equal(phone.trusted_mitm, enrolled);
        assert_string_equal(phone.relayed_sas, enrolled ? far.sas : "");
        assert_err(cph_zrtp_relay(&inside.end[0].z[0]->base, NULL, inside.now), CPH_E_POLICY);
        assert_err(cph_zrtp_enroll(&inside.end[0].z[0]->base), CPH_E_STATE); /* nobody asked */
        duo_close(&inside);
        duo_close(&outside);
    }
}

static const uint8_t *toy_signed; /* what the toy signer was given last */

static cph_err toy_sign_relay(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                              uint8_t *out, size_t cap, size_t *n)
{
    const bool *bad = ctx;

    assert_true(cap >= 40);
    memcpy(type, "X509", 4);
    memcpy(out, sashash, 32);
    memset(out + 32, *bad ? 1 : 2, 8);
    *n = 40;
    return CPH_OK;
}

static cph_err toy_verify_relay(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH],
                                const char type[4], struct cph_span sig, struct cph_zrtp_signed *by)
{
    static uint8_t copy[CPH_ZRTP_SASHASH];

    (void)ctx;
    toy_signed = memcpy(copy, sashash, sizeof copy);
    by->fingerprint[0] = 0x77;
    return memcmp(type, "X509", 4) == 0 && sig.n == 40 && sig.p[39] == 2 &&
                   memcmp(sig.p, sashash, 32) == 0
               ? CPH_OK
               : CPH_E_AUTH;
}

/* RFC 6189 5.13, 7.2: the man in the middle may sign what it relays, with a key of its own. That it
 * is good is told; the string is shown with or without; and the verdict is what it was. */
static void a_signature_inside_a_sasrelay_is_shown_for_what_it_is_worth(void **state)
{
    static const struct {
        bool enrolled, bad, reads;
    } row[] = {
        { true, false, true },
        { true, true, true },
        { false, false, true },
        { true, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        bool bad = row[i].bad;
        struct cph_zrtp_signer signs = { &bad, toy_sign_relay, NULL },
                               reads = { NULL, NULL, toy_verify_relay };
        struct cph_zrtp_info phone, far;
        struct duo inside, outside;
        enum cph_keying_auth before;

        duo_init(&inside, 140 + i); /* end 0: the phone; end 1: the exchange */
        inside.end[0].cfg.signer = row[i].reads ? &reads : NULL;
        inside.end[1].cfg.mitm = inside.end[1].cfg.enroll = true;
        duo_call(&inside);
        for (int e = 0; e < 2 && row[i].enrolled; e++)
            assert_ok(cph_zrtp_enroll(&inside.end[e].z[0]->base));
        inside.end[1].cfg.enroll = false;
        inside.end[1].cfg.signer = &signs;
        next_call(&inside);
        duo_init(&outside, 150 + i);
        outside.end[1].cfg.mitm = true;
        duo_call(&outside);
        before = auth_of(&inside, 0);
        toy_signed = NULL;
        assert_ok(
            cph_zrtp_relay(&inside.end[1].z[0]->base, &outside.end[1].z[0]->base, inside.now));
        duo_run(&inside, inside.now + CPH_SEC(2));
        assert_int_equal(inside.end[1].z[0]->live.state, ZRTP_SECURE);
        info_of(inside.end[0].z[0], &phone);
        info_of(outside.end[0].z[0], &far);
        assert_string_equal(phone.relayed_sas, row[i].enrolled ? far.sas : "");
        assert_int_equal(phone.relay_signed, row[i].enrolled && !bad && row[i].reads);
        assert_int_equal(phone.relay_by.fingerprint[0], phone.relay_signed ? 0x77 : 0);
        assert_int_equal(auth_of(&inside, 0), before); /* it raises nothing */
        if (row[i].enrolled &&
            row[i].reads) /* over the relayed string, not over that of this side */
            assert_memory_equal(toy_signed, far.sashash, CPH_ZRTP_SASHASH);
        else
            assert_null(toy_signed);
        duo_close(&inside);
        duo_close(&outside);
    }
}

/* RFC 6189 7.3 MUST: of two enrolled ends one is told the other's SAS, not both; and where one of
 * them is an exchange too, the phone. */
static void of_two_enrolled_ends_one_is_told(void **state)
{
    static const struct {
        bool first_is_exchange, second_is_exchange, first_told, second_told;
    } row[] = {
        { false, false, true, false },
        { false, true, true, false },
        { true, false, false, true },
        { true, true, true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo side[2]; /* end 0: who is enrolled; end 1: the exchange */
        struct cph_zrtp_info info[2];

        for (int k = 0; k < 2; k++) {
            duo_init(&side[k], 100 + 2 * i + (unsigned)k);
            side[k].end[0].cfg.mitm = k ? row[i].second_is_exchange : row[i].first_is_exchange;
            side[k].end[1].cfg.mitm = side[k].end[1].cfg.enroll = true;
            duo_call(&side[k]);
            for (int e = 0; e < 2; e++)
                assert_ok(cph_zrtp_enroll(&side[k].end[e].z[0]->base));
            side[k].end[1].cfg.enroll = false;
            next_call(&side[k]);
        }
        for (int k = 0; k < 2; k++) {
            assert_ok(cph_zrtp_relay(&side[k].end[1].z[0]->base, &side[1 - k].end[1].z[0]->base,
                                     side[k].now));
            duo_run(&side[k], side[k].now + CPH_SEC(2));
            info_of(side[k].end[0].z[0], &info[k]);
        }
        assert_string_equal(info[0].relayed_sas, row[i].first_told ? info[1].sas : "");
        assert_string_equal(info[1].relayed_sas, row[i].second_told ? info[0].sas : "");
        for (int k = 0; k < 2; k++)
            duo_close(&side[k]);
    }
}

/* ---- signatures (7.2) ------------------------------------------------------------------------ */

static cph_err toy_sign(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                        uint8_t *out, size_t cap, size_t *n)
{
    (void)ctx;
    assert_true(cap >= 35);
    memcpy(type, "X509", 4);
    memcpy(out, sashash, 32);
    memcpy(out + 32, "sig", 3);
    *n = 35;
    return CPH_OK;
}

static cph_err toy_verify(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], const char type[4],
                          struct cph_span sig, struct cph_zrtp_signed *by)
{
    bool *good = ctx;

    by->trusted = true;
    assert_memory_equal(type, "X509", 4);
    assert_int_equal(sig.n, 36); /* padded */
    assert_memory_equal(sig.p, sashash, 32);
    return *good ? CPH_OK : CPH_E_AUTH;
}

static void a_signature_over_the_sas_is_carried_and_asked_about(void **state)
{
    bool good;
    struct cph_zrtp_signer signer = { &good, toy_sign, toy_verify };
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    for (int i = 0; i < 2; i++) {
        good = i;
        duo_init(&d, 90);
        d.end[0].cfg.signer = d.end[1].cfg.signer = &signer;
        duo_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.signed_by_peer, good);
        assert_int_equal(auth_of(&d, 0), good ? CPH_KEYING_AUTH_CERT : CPH_KEYING_AUTH_NONE);
        duo_close(&d);
    }
    duo_init(&d, 91); /* the peer cannot read them: none is sent */
    d.end[0].cfg.signer = &signer;
    duo_call(&d);
    info_of(d.end[1].z[0], &info);
    assert_false(info.signed_by_peer);
    duo_close(&d);
}

/* RFC 6189 7.2.2: a certificate, and r and s behind it at the next word. */
static void a_certificate_signs_the_string_and_every_change_of_it_is_found(void **state)
{
    static const enum cph_key_kind kind[] = { CPH_KEY_EC_P256, CPH_KEY_EC_P384 };
    static const uint8_t sashash[CPH_ZRTP_SASHASH] = "what both ends have computed ...";
    struct test_env te;

    (void)state;
    test_env_init(&te, 130);
    for (size_t k = 0; k < 2; k++) {
        struct cph_cert_spec spec = { .cn = "device",
                                      .not_before = te.wall - 10,
                                      .not_after = te.wall + 1000 };
        struct cph_zrtp_signing x = { .env = &te.env };
        struct cph_zrtp_signer signer;
        struct cph_zrtp_signed by = { 0 };
        struct cph_fingerprint fp;
        struct cph_key *key;
        struct cph_cert *cert;
        uint8_t sig[CPH_ZRTP_SIGNATURE], other[CPH_ZRTP_SASHASH];
        size_t n, der;
        char type[4];

        assert_ok(cph_key_generate(&te.env, kind[k], &key));
        assert_ok(cph_cert_self_signed(&te.env, key, &spec, &cert));
        der = cph_cert_der(cert).n;
        x.key = key;
        x.cert = cert;
        cph_zrtp_signer_init(&x, &signer);
        assert_ok(signer.sign(signer.ctx, sashash, type, sig, sizeof sig, &n));
        assert_memory_equal(type, "X509", 4);
        assert_int_equal(n, (der + 3) / 4 * 4 + (k ? 96 : 64));
        assert_err(signer.sign(signer.ctx, sashash, type, sig, n - 1, &n), CPH_E_NOSPACE);
        assert_ok(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, n }, &by));
        assert_ok(cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp));
        assert_memory_equal(by.fingerprint, fp.b, 32);
        assert_true(by.not_after == spec.not_after && !by.trusted);
        memcpy(other, sashash, sizeof other);
        other[31] ^= 1;
        assert_err(signer.verify(signer.ctx, other, type, (struct cph_span){ sig, n }, &by),
                   CPH_E_AUTH);
        assert_err(signer.verify(signer.ctx, sashash, "PGP ", (struct cph_span){ sig, n }, &by),
                   CPH_E_NOKEY);
        assert_err(signer.verify(signer.ctx, sashash, "X510", (struct cph_span){ sig, n }, &by),
                   CPH_E_UNSUPPORTED);
        for (size_t cut = 0; cut < n; cut++)
            assert_true(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, cut },
                                      &by) != CPH_OK);
        for (size_t at = (der + 3) / 4 * 4; at < n; at++) {
            sig[at] ^= 1;
            assert_err(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, n }, &by),
                       CPH_E_AUTH);
            sig[at] ^= 1;
        }
        assert_ok(cph_trust_new((struct cph_trust **)(void *)&x.trust));
        assert_ok(cph_trust_add((struct cph_trust *)(uintptr_t)x.trust, cert));
        assert_ok(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, n }, &by));
        assert_true(by.trusted);
        cph_trust_free((struct cph_trust *)(uintptr_t)x.trust);
        cph_cert_free(cert);
        cph_key_free(key);
    }
}

/* RFC 6189 7.2.1: a packet that GnuPG made, and the key that the user has. */
static void an_openpgp_key_that_the_user_has_signs_the_string(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct cph_pgp_key *key, *another;
    struct cph_span msg, sig;
    uint8_t other[CPH_ZRTP_SASHASH];
    struct test_env te;
    struct cph_zrtp_signing x = { .env = &te.env };
    struct cph_zrtp_signer signer;
    struct cph_zrtp_signed by = { 0 };

    (void)state;
    test_env_init(&te, 131);
    te.wall = 1772323200;
    assert_true(vectors_next(v));
    assert_ok(cph_pgp_key_load(&te.env, vectors_hex(v, "key"), &key));
    msg = vectors_hex(v, "msg");
    sig = vectors_hex(v, "sig");
    assert_int_equal(msg.n, sizeof other);
    cph_zrtp_signer_init(&x, &signer);
    assert_null(signer.sign);
    assert_err(signer.verify(signer.ctx, msg.p, "PGP ", sig, &by), CPH_E_NOKEY);
    x.pgp = key;
    assert_ok(signer.verify(signer.ctx, msg.p, "PGP ", sig, &by));
    assert_memory_equal(by.fingerprint, cph_pgp_key_fingerprint(key), 32);
    assert_true(by.not_before == 1767225600 && by.not_after == INT64_MAX && !by.trusted);
    memcpy(other, msg.p, sizeof other);
    other[0] ^= 1;
    assert_err(signer.verify(signer.ctx, other, "PGP ", sig, &by), CPH_E_AUTH);
    assert_true(signer.verify(signer.ctx, msg.p, "X509", sig, &by) != CPH_OK);
    assert_true(vectors_next(v));
    assert_ok(cph_pgp_key_load(&te.env, vectors_hex(v, "key"), &another));
    assert_err(signer.verify(signer.ctx, msg.p, "PGP ", vectors_hex(v, "sig"), &by), CPH_E_NOKEY);
    cph_pgp_key_free(another);
    cph_pgp_key_free(key);
    vectors_close(v);
}

/* ---- what a Commit may name (5.1.2 to 5.1.6, 5.9) ------------------------------------------- */

static struct {
    int kind; /* enum zrtp_kind */
    uint8_t id[4];
} other_type;

/* The peer's Commit names another type; the MAC that would show it comes later. */
static bool name_another(struct duo *d, int from, int stream, struct flight *f)
{
    (void)d;
    (void)stream;
    if (from == 1 && flight_type(f) == ZRTP_COMMIT) {
        memcpy(f->b + 12 + 12 + 32 + 12 + (size_t)4 * (size_t)other_type.kind, other_type.id, 4);
        fix_crc(f);
    }
    return true;
}

static void a_commit_with_a_type_we_have_not_is_refused_by_its_code(void **state)
{
    static const struct {
        int kind;
        const char *id;
        unsigned code;
    } row[] = {
        { ZRTP_K_HASH, "N256", ZRTP_E_HASH },
        { ZRTP_K_CIPHER, "2FS1", ZRTP_E_CIPHER },
        { ZRTP_K_TAG, "SK32", ZRTP_E_TAG },
        { ZRTP_K_AGREEMENT, "EC52", ZRTP_E_AGREEMENT },
        { ZRTP_K_AGREEMENT, "DH2k", ZRTP_E_AGREEMENT }, /* we can, and have not listed it */
        { ZRTP_K_AGREEMENT, "EC38", ZRTP_E_HASH },      /* RFC 6189 5.1.5 MUST: with SHA-384 */
        { ZRTP_K_SAS, "B64 ", ZRTP_E_SAS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo d;

        duo_init(&d, 110 + i);
        d.end[0].cfg.passive = true;
        d.tap = name_another;
        other_type.kind = row[i].kind;
        memcpy(other_type.id, row[i].id, 4);
        duo_open(&d);
        duo_run(&d, CPH_SEC(20));
        assert_refused(&d, 0, row[i].code);
    }
}

/* RFC 6189 4.2: Multistream against an agreement is an error of somebody's software. */
static void multistream_against_an_agreement_ends_it(void **state)
{
    struct zrtp_msg m = { .type = ZRTP_COMMIT };
    struct zrtp_commit *c = &m.u.commit;
    uint8_t mb[256], pb[300];
    struct cph_wr mw = cph_wr_open(mb, sizeof mb), pw = cph_wr_open(pb, sizeof pb);
    struct zrtp_packet p = { 0 };
    struct zrtp *ours, *theirs;
    struct duo d;

    (void)state;
    duo_init(&d, 120);
    d.end[1].cfg.passive = true;
    d.tap = lose_one_type;
    lose_type = ZRTP_COMMIT;
    lose_count = 1000;
    duo_open(&d);
    duo_run(&d, CPH_MS(500));
    ours = d.end[0].z[0];
    theirs = d.end[1].z[0];
    assert_int_equal(ours->live.state, ZRTP_COMMITTED);
    *c = ours->live.committed;
    c->mode = CPH_ZRTP_MULTISTREAM;
    c->id[ZRTP_K_AGREEMENT] = ZRTP_MULT;
    memcpy(c->h2, theirs->h[2].b, ZRTP_HASH);
    memcpy(c->zid, theirs->own.zid, CPH_ZRTP_ZID);
    zrtp_msg_build(&mw, &m);
    assert_ok(zrtp_mac_seal(mb, mw.n, cph_secret_span(&theirs->h[1])));
    p.ssrc = theirs->ssrc;
    p.msg = cph_wr_done(&mw);
    zrtp_packet_build(&pw, &p);
    assert_ok(zrtp_feed(ours, NULL, cph_wr_done(&pw), d.now));
    assert_int_equal(ours->live.error, ZRTP_E_SOFTWARE);
    assert_int_equal(ours->live.state, ZRTP_ENDING);
    duo_close(&d);
}

/* ---- Error and Ping -------------------------------------------------------------------------- */

/* A Ping arrives before every packet, at the end the packet is for. */
static unsigned *ping_states;
static bool ping_before(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp_msg m = { .type = ZRTP_PING, .u.ping = { "1.10", "abcdefgh" } };

    (void)stream;
    if (flight_type(f) == ZRTP_PINGACK)
        return true;
    for (int e = 0; e < 2; e++) {
        struct zrtp_live *l = &d->end[e].z[0]->live;
        enum zrtp_state before = l->state;

        feed_msg(d, e, &m, 0x12345678);
        if (before == ZRTP_IDLE)
            continue;
        assert_true(l->due & zrtp_bit(ZRTP_PINGACK));
        assert_int_equal(l->state, before);
        assert_memory_equal(l->pinged, "abcdefgh", 8);
        assert_int_equal(l->ping_ssrc, 0x12345678);
        l->due &= ~zrtp_bit(ZRTP_PINGACK);
        *ping_states |= 1U << before;
    }
    (void)from;
    return true;
}

static void an_error_ends_an_exchange_but_not_a_call(void **state)
{
    struct zrtp_msg m = { .type = ZRTP_ERROR, .u.error = ZRTP_E_UNAVAILABLE };
    struct duo d;

    (void)state;
    duo_init(&d, 92);
    duo_open(&d);
    duo_turn(&d);
    d.now = CPH_MS(20);
    duo_turn(&d);
    feed_msg(&d, 0, &m, 0x9999); /* not the peer's source */
    assert_int_equal(d.end[0].z[0]->live.error, 0);
    feed_msg(&d, 0, &m, d.end[1].z[0]->ssrc);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_ENDED);
    duo_run(&d, CPH_SEC(1));
    assert_int_equal(d.sent[0][ZRTP_ERRORACK], 1);
    duo_close(&d);

    duo_init(&d, 93);
    duo_call(&d);
    feed_msg(&d, 0, &m, d.end[1].z[0]->ssrc);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_SECURE);
    duo_close(&d);
}

/* RFC 6189 5.15, 5.16 MUST: whatever is going on, and whoever asks */
static void a_ping_is_answered_in_every_state(void **state)
{
    struct zrtp_msg m = { .type = ZRTP_PING, .u.ping = { "1.10", "abcdefgh" } };
    unsigned seen = 0;
    struct duo d;

    (void)state;
    duo_init(&d, 96);
    d.tap = ping_before;
    ping_states = &seen;
    d.end[1].cfg.passive = true;
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = d.end[0].cfg.mitm = true;
    duo_call(&d);
    assert_ok(cph_zrtp_relay(&d.end[0].z[0]->base, NULL, d.now));
    duo_run(&d, d.now + CPH_SEC(1));
    assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(1));
    /* discover to cleared, on both sides; quiet, ending and ended stand in the table below */
    for (unsigned st = ZRTP_DISCOVER; st <= ZRTP_CLEAR; st++)
        if (st != ZRTP_WAIT && st != ZRTP_ACKED)
            assert_true(seen & 1U << st);
    duo_close(&d);
    for (unsigned st = ZRTP_DISCOVER; st < ZRTP_STATES; st++) {
        duo_init(&d, 97);
        duo_open(&d);
        duo_turn(&d);
        d.end[0].z[0]->live.state = (enum zrtp_state)st;
        d.end[0].z[0]->live.due = 0;
        feed_msg(&d, 0, &m, 0x12345678);
        assert_int_equal(d.end[0].z[0]->live.due, zrtp_bit(ZRTP_PINGACK));
        assert_int_equal(d.end[0].z[0]->live.state, st);
        duo_close(&d);
    }
    duo_init(&d, 94);
    duo_call(&d);
    feed_msg(&d, 0, &m, 0x12345678);
    assert_int_equal(d.end[0].z[0]->live.due, zrtp_bit(ZRTP_PINGACK));
    assert_memory_equal(d.end[0].z[0]->live.pinged, "abcdefgh", 8);
    assert_int_equal(d.end[0].z[0]->live.ping_ssrc, 0x12345678);
    duo_run(&d, d.now + CPH_SEC(1));
    assert_int_equal(d.sent[0][ZRTP_PINGACK], 1);
    duo_close(&d);
}

/* RFC 6189 4.1 MUST: a message of any kind under our own SSRC ends the negotiation while nobody
 * else has shown himself; afterwards it is our own packet, sent back. */
static void a_message_under_our_ssrc_ends_the_negotiation_before_there_is_a_peer(void **state)
{
    static const enum zrtp_type type[] = { ZRTP_HELLOACK, ZRTP_CONF2ACK, ZRTP_ERRORACK,
                                           ZRTP_CLEARACK };
    struct duo d;

    (void)state;
    for (size_t i = 0; i < sizeof type / sizeof *type; i++) {
        struct zrtp_msg m = { .type = type[i] };

        duo_init(&d, 98);
        duo_open(&d);
        duo_turn(&d);
        feed_msg(&d, 0, &m, d.end[0].z[0]->ssrc);
        assert_int_equal(d.end[0].z[0]->live.error, ZRTP_E_SSRC);
        assert_int_equal(d.end[0].z[0]->live.state, ZRTP_ENDING);
        duo_close(&d);

        duo_init(&d, 99);
        duo_call(&d);
        feed_msg(&d, 0, &m, d.end[0].z[0]->ssrc);
        assert_int_equal(d.end[0].z[0]->live.error, 0);
        assert_same_keys(&d, 0);
        duo_close(&d);
    }
}

/* ---- no memory, no chance -------------------------------------------------------------------- */

static cph_err one_call(void *arg)
{
    struct duo *d = arg;
    cph_err err;

    duo_init(d, 95);
    for (int e = 0; e < 2; e++) {
        err = cph_zrtp_call_new(&d->end[e].cfg, &d->end[e].call);
        if (err == CPH_OK)
            err = zrtp_new(d->end[e].call, 0, 0, &d->end[e].z[0]);
        if (err) {
            duo_close(d);
            return err;
        }
        d->end[e].z[0]->started = true;
    }
    duo_run(d, CPH_SEC(40));
    err = duo_all_in(d, ZRTP_SECURE) ? CPH_OK : CPH_E_NOMEM;
    if (err == CPH_OK)
        assert_same_keys(d, 0);
    duo_close(d);
    return err;
}

static void no_memory_is_told_and_leaks_nothing(void **state)
{
    static struct duo d;

    (void)state;
    test_alloc_fails(one_call, &d);
}

static void without_randomness_there_are_no_keys(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 12; n++) {
        struct duo d;

        duo_init(&d, 96);
        duo_open(&d);
        d.end[0].env.random_fails = n;
        duo_run(&d, CPH_SEC(40)); /* what failed is tried again, or it ends; never half */
        for (int e = 0; e < 2; e++)
            assert_true(d.end[e].z[0]->live.state == ZRTP_SECURE ||
                        d.end[e].z[0]->live.has_keys == 0);
        duo_close(&d);
    }
}

static void wrong_settings_are_refused(void **state)
{
    static const char *const bad[] = { "XX25", NULL }, *const twice[] = { "X255", "X255", NULL },
                             *const mult[] = { "Mult", NULL };
    struct cph_zrtp_call *call;
    struct duo d;

    (void)state;
    duo_init(&d, 97);
    d.end[0].cfg.agreements = bad;
    assert_err(cph_zrtp_call_new(&d.end[0].cfg, &call), CPH_E_CONFIG);
    d.end[0].cfg.agreements = twice;
    assert_err(cph_zrtp_call_new(&d.end[0].cfg, &call), CPH_E_CONFIG);
    d.end[0].cfg.agreements = mult;
    assert_err(cph_zrtp_call_new(&d.end[0].cfg, &call), CPH_E_CONFIG);
    assert_err(cph_zrtp_info(NULL, NULL), CPH_E_ARGUMENT);
    assert_err(cph_zrtp_compared(NULL, true), CPH_E_ARGUMENT);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(two_ends_come_to_the_same_keys_and_sas),
        T(every_type_works_whoever_goes_first),
        T(a_thousand_lossy_exchanges_all_end_secure_with_one_sas),
        T(of_two_commits_the_higher_one_wins),
        T(nobody_there_is_asked_twenty_one_times_and_no_more),
        T(a_promised_peer_is_given_twelve_seconds),
        T(each_message_may_be_lost),
        T(media_stands_for_the_last_acknowledgement),
        T(a_public_value_that_was_not_committed_to_is_refused),
        T(an_initiator_cannot_choose_his_value_late),
        T(weak_public_values_end_the_exchange),
        T(a_wrong_hash_image_is_passed_over),
        T(a_changed_message_is_found_out_by_its_mac),
        T(a_responder_s_hello_is_checked_by_the_initiator),
        T(a_dhpart_is_checked_when_h0_comes),
        T(a_confirm_that_does_not_authenticate_is_not_believed),
        T(bad_hellos_end_the_exchange_or_are_passed_over),
        T(a_newer_version_is_acknowledged_and_ignored),
        T(a_hello_that_was_not_promised_is_passed_over),
        T(packets_of_others_change_nothing),
        T(somebody_in_the_middle_shows_in_the_sas),
        T(further_streams_are_keyed_without_another_agreement),
        T(a_second_agreement_is_not_taken),
        T(a_nonce_used_twice_ends_the_exchange),
        T(multistream_without_a_session_is_refused),
        T(a_call_goes_clear_and_secure_again),
        T(goclear_needs_leave_and_a_good_mac),
        T(a_relayed_sas_is_shown_only_when_enrolled),
        T(an_openpgp_key_that_the_user_has_signs_the_string),
        T(a_signature_inside_a_sasrelay_is_shown_for_what_it_is_worth),
        T(of_two_enrolled_ends_one_is_told),
        T(a_certificate_signs_the_string_and_every_change_of_it_is_found),
        T(a_signature_over_the_sas_is_carried_and_asked_about),
        T(an_error_ends_an_exchange_but_not_a_call),
        T(a_ping_is_answered_in_every_state),
        T(a_commit_with_a_type_we_have_not_is_refused_by_its_code),
        T(multistream_against_an_agreement_ends_it),
        T(a_message_under_our_ssrc_ends_the_negotiation_before_there_is_a_peer),
        T(no_memory_is_told_and_leaks_nothing),
        T(without_randomness_there_are_no_keys),
        T(wrong_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
