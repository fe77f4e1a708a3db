/* Every byte of every message of an exchange, changed on its way with the CRC made right: nobody is
 * keyed by an exchange that was not the one both sides saw, and what finds it out is what the
 * document says. */
#include "zrtp_pair.h"

static struct {
    enum zrtp_type type;
    int stream;
    size_t at;      /* in the message */
    unsigned times; /* how many copies of it are changed */
} flip;

/* Of the two Hellos, that of the responder. */
static bool flip_byte(struct duo *d, int from, int stream, struct flight *f)
{
    enum zrtp_type type = flight_type(f);

    (void)d;
    if (type != flip.type || stream != flip.stream || flip.times == 0 ||
        (type == ZRTP_HELLO && from != 1))
        return true;
    flip.times--;
    f->b[12 + flip.at] ^= 0x01;
    fix_crc(f);
    return true;
}

/* End 0 is the initiator. */
static void open_duo(struct duo *d, enum cph_zrtp_mode mode, uint64_t seed)
{
    duo_init(d, seed);
    d->end[1].cfg.passive = true;
    d->streams = mode == CPH_ZRTP_MULTISTREAM ? 2 : 1;
    flip.stream = mode == CPH_ZRTP_MULTISTREAM;
    if (mode == CPH_ZRTP_PRESHARED) {
        d->end[0].cfg.preshared = d->end[1].cfg.preshared = true;
        duo_call(d);
        for (int e = 0; e < 2; e++)
            assert_ok(cph_zrtp_compared(&d->end[e].z[0]->base, true));
        duo_close(d);
        for (int e = 0; e < 2; e++)
            d->end[e].env.state += 77;
    }
    duo_open(d);
}

enum {
    DH = CPH_ZRTP_DH,
    MULT = CPH_ZRTP_MULTISTREAM,
    PRSH = CPH_ZRTP_PRESHARED,
    PASSED_OVER = ZRTP_E_TIMEOUT, /* the message is not used, and nobody sends a good one */
};

/* RFC 6189 5.2 to 5.8, figures 3 to 12, X25519 and the lists we send by default; 8.1.1, 9. at to
 * the next row's at. */
static const struct field {
    int mode;
    enum zrtp_type type;
    size_t at;
    const char *name;
    unsigned code;
} field[] = {
    { DH, ZRTP_HELLO, 12, "version, first octet: an older one", ZRTP_E_VERSION },
    { DH, ZRTP_HELLO, 13, "version, second octet: a newer one", PASSED_OVER },
    { DH, ZRTP_HELLO, 14, "version, third octet: an older one", ZRTP_E_VERSION },
    { DH, ZRTP_HELLO, 15, "version, fourth octet; client", ZRTP_E_HELLO },
    { DH, ZRTP_HELLO, 32, "H3: no image fits", PASSED_OVER },
    { DH, ZRTP_HELLO, 64, "ZID, flags", ZRTP_E_HELLO },
    { DH, ZRTP_HELLO, 77, "counts: the lists do not fit", PASSED_OVER },
    { DH, ZRTP_HELLO, 80, "lists, MAC", ZRTP_E_HELLO },
    { DH, ZRTP_COMMIT, 12, "H2, ZID", PASSED_OVER },
    { DH, ZRTP_COMMIT, 56, "hash", ZRTP_E_HASH },
    { DH, ZRTP_COMMIT, 60, "cipher", ZRTP_E_CIPHER },
    { DH, ZRTP_COMMIT, 64, "tag", ZRTP_E_TAG },
    { DH, ZRTP_COMMIT, 68, "agreement", ZRTP_E_AGREEMENT },
    { DH, ZRTP_COMMIT, 72, "SAS", ZRTP_E_SAS },
    { DH, ZRTP_COMMIT, 76, "hvi, MAC: H1 tells", ZRTP_E_MALFORMED },
    { DH, ZRTP_DHPART1, 12, "H1", PASSED_OVER },
    { DH, ZRTP_DHPART1, 44, "IDs, public value, MAC: total_hash", ZRTP_E_CONFIRM_MAC },
    { DH, ZRTP_DHPART2, 12, "H1", PASSED_OVER },
    { DH, ZRTP_DHPART2, 44, "IDs, public value, MAC: hvi", ZRTP_E_BAD_HVI },
    { DH, ZRTP_CONFIRM1, 12, "MAC, IV, H0, flags, interval", ZRTP_E_CONFIRM_MAC },
    { DH, ZRTP_CONFIRM2, 12, "MAC, IV, H0, flags, interval", ZRTP_E_CONFIRM_MAC },

    { MULT, ZRTP_HELLO, 12, "version, first octet: an older one", ZRTP_E_VERSION },
    { MULT, ZRTP_HELLO, 13, "version, second octet: a newer one", PASSED_OVER },
    { MULT, ZRTP_HELLO, 14, "version, third octet: an older one", ZRTP_E_VERSION },
    { MULT, ZRTP_HELLO, 15, "version, fourth octet; client; H3", ZRTP_E_CONFIRM_MAC },
    { MULT, ZRTP_HELLO, 64, "ZID: another peer, who has to wait", PASSED_OVER },
    { MULT, ZRTP_HELLO, 76, "flags", ZRTP_E_CONFIRM_MAC },
    { MULT, ZRTP_HELLO, 77, "counts", PASSED_OVER },
    { MULT, ZRTP_HELLO, 80, "lists", ZRTP_E_CONFIRM_MAC },
    { MULT, ZRTP_HELLO, 120, "that it knows Multistream", ZRTP_E_AGREEMENT },
    { MULT, ZRTP_HELLO, 124, "lists, MAC", ZRTP_E_CONFIRM_MAC },
    { MULT, ZRTP_COMMIT, 12, "H2, ZID", PASSED_OVER },
    { MULT, ZRTP_COMMIT, 56, "hash", ZRTP_E_HASH },
    { MULT, ZRTP_COMMIT, 60, "cipher", ZRTP_E_CIPHER },
    { MULT, ZRTP_COMMIT, 64, "tag", ZRTP_E_TAG },
    { MULT, ZRTP_COMMIT, 68, "Mult: a Commit of DH is longer", PASSED_OVER },
    { MULT, ZRTP_COMMIT, 72, "SAS (ignored), nonce, MAC: total_hash", ZRTP_E_CONFIRM_MAC },
    { MULT, ZRTP_CONFIRM1, 12, "MAC, IV, H0, flags, interval", ZRTP_E_CONFIRM_MAC },
    { MULT, ZRTP_CONFIRM2, 12, "MAC, IV, H0, flags, interval", ZRTP_E_CONFIRM_MAC },

    { PRSH, ZRTP_HELLO, 12, "version, first octet: an older one", ZRTP_E_VERSION },
    { PRSH, ZRTP_HELLO, 13, "version, second octet: a newer one", PASSED_OVER },
    { PRSH, ZRTP_HELLO, 14, "version, third octet: an older one", ZRTP_E_VERSION },
    { PRSH, ZRTP_HELLO, 15, "version, fourth octet; client; H3", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_HELLO, 64, "ZID: nothing is shared, so DH", ZRTP_E_HELLO },
    { PRSH, ZRTP_HELLO, 76, "flags", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_HELLO, 77, "counts", PASSED_OVER },
    { PRSH, ZRTP_HELLO, 80, "lists", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_HELLO, 124, "that it knows Preshared: DH then", ZRTP_E_HELLO },
    { PRSH, ZRTP_HELLO, 128, "lists, MAC", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_COMMIT, 12, "H2, ZID", PASSED_OVER },
    { PRSH, ZRTP_COMMIT, 56, "hash", ZRTP_E_HASH },
    { PRSH, ZRTP_COMMIT, 60, "cipher", ZRTP_E_CIPHER },
    { PRSH, ZRTP_COMMIT, 64, "tag", ZRTP_E_TAG },
    { PRSH, ZRTP_COMMIT, 68, "Prsh: a Commit of DH is longer", PASSED_OVER },
    { PRSH, ZRTP_COMMIT, 72, "SAS", ZRTP_E_SAS },
    { PRSH, ZRTP_COMMIT, 76, "nonce: total_hash", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_COMMIT, 92, "keyID", ZRTP_E_NO_SECRET },
    { PRSH, ZRTP_COMMIT, 100, "MAC: total_hash", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_CONFIRM1, 12, "MAC, IV, H0, flags, interval", ZRTP_E_CONFIRM_MAC },
    { PRSH, ZRTP_CONFIRM2, 12, "MAC, IV, H0, flags, interval", ZRTP_E_CONFIRM_MAC },
};
enum { FIELDS = sizeof field / sizeof *field };

/* Bytes of a message of this type, by an exchange that nobody touches. */
static size_t length_of(const struct field *f)
{
    struct zrtp *a, *b;
    struct duo d;
    size_t n = 0;

    open_duo(&d, (enum cph_zrtp_mode)f->mode, 7);
    flip.times = 0;
    duo_run(&d, d.now + CPH_SEC(10));
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    a = d.end[0].z[flip.stream];
    b = d.end[1].z[flip.stream];
    assert_int_equal(a->live.committed.mode, f->mode);
    assert_true(a->live.initiator);
    if (f->type == ZRTP_HELLO)
        n = b->own_hello.n;
    else if (f->type == ZRTP_COMMIT)
        n = a->live.commit.n;
    else if (f->type == ZRTP_DHPART1)
        n = b->live.dhpart1.n;
    else if (f->type == ZRTP_DHPART2)
        n = a->live.dhpart2.n;
    else
        n = f->type == ZRTP_CONFIRM1 ? b->live.sealed_n : a->live.sealed_n;
    duo_close(&d);
    return n;
}

static void assert_not_keyed(const struct zrtp *z)
{
    struct cph_srtp_policy p = { 0 };

    for (int dir = 0; dir < 2; dir++)
        assert_err(zrtp_srtp_policy(z, (enum cph_keying_dir)dir, &p), CPH_E_AGAIN);
    assert_int_equal(z->live.keys.srtp[0].n, 0); /* and wiped */
    assert_int_equal(z->live.keys.srtp[1].n, 0);
}

static void change(const struct field *f, size_t at)
{
    struct duo d;

    open_duo(&d, (enum cph_zrtp_mode)f->mode, 7);
    flip.type = f->type;
    flip.at = at;
    flip.times = UINT32_MAX;
    d.tap = flip_byte;
    duo_run(&d, d.now + CPH_SEC(40));
    for (int e = 0; e < 2; e++) {
        const struct zrtp *z = d.end[e].z[flip.stream];

        if (z->live.state != ZRTP_ENDED || z->live.error != f->code)
            fail_msg("mode %d, message %d, byte %zu (%s): end %d in state %d, error 0x%x", f->mode,
                     (int)f->type, at, f->name, e, (int)z->live.state, z->live.error);
        assert_not_keyed(z);
    }
    duo_close(&d);
}

static void every_byte_of_every_message_counts(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < FIELDS; i++) {
        bool first = i == 0 || field[i - 1].type != field[i].type ||
                     field[i - 1].mode != field[i].mode;
        bool last = i + 1 == FIELDS || field[i + 1].type != field[i].type ||
                    field[i + 1].mode != field[i].mode;

        n = first ? length_of(&field[i]) : n;
        assert_true(!first || field[i].at == 12); /* behind the type, which names the message */
        for (size_t at = field[i].at; at < (last ? n : field[i + 1].at); at++)
            change(&field[i], at);
    }
}

/* One copy that was changed: the next one, as it was sent, serves; or both ends know that it is
 * over. Never is one keyed and the other not, and never with other keys. */
static void one_changed_copy_is_made_good_or_ends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIELDS; i++) {
        struct duo d;
        unsigned secure = 0;

        open_duo(&d, (enum cph_zrtp_mode)field[i].mode, 9);
        flip.type = field[i].type;
        flip.at = field[i].at;
        flip.times = 1;
        d.tap = flip_byte;
        duo_run(&d, d.now + CPH_SEC(40));
        for (int e = 0; e < 2; e++)
            secure += d.end[e].z[flip.stream]->live.state == ZRTP_SECURE;
        if (secure == 1)
            fail_msg("%s: one end is keyed", field[i].name);
        if (secure == 2)
            assert_same_keys(&d, (unsigned)flip.stream);
        /* What does not authenticate, or shows a hash of nothing, is passed over. The first Hello
         * that comes is the peer's, for want of anything to hold it against: for that there is
         * a=zrtp-hash. */
        if (field[i].type >= ZRTP_CONFIRM1 ||
            (field[i].code == PASSED_OVER && field[i].type != ZRTP_HELLO))
            assert_int_equal(secure, 2);
        duo_close(&d);
    }
}

/* ---- after the exchange ---------------------------------------------------------------------- */

/* RFC 6189 4.7.2 MUST NOT: with a bad MAC it is neither answered nor obeyed. */
static void every_byte_of_a_goclear_counts(void **state)
{
    (void)state;
    for (size_t at = 12; at < 20; at++) {
        struct duo d;

        duo_init(&d, 11);
        d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
        d.tap = flip_byte;
        flip.type = ZRTP_GOCLEAR;
        flip.stream = 0;
        flip.at = at;
        flip.times = UINT32_MAX;
        duo_call(&d);
        assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
        duo_run(&d, d.now + CPH_SEC(60));
        assert_int_equal(d.end[1].z[0]->live.state, ZRTP_SECURE);
        assert_int_equal(d.sent[1][ZRTP_CLEARACK], 0);
        duo_close(&d);
    }
}

static void enrolled(struct duo *d)
{
    duo_init(d, 12); /* end 0: the phone; end 1: the exchange */
    d->end[1].cfg.mitm = d->end[1].cfg.enroll = true;
    duo_call(d);
    for (int e = 0; e < 2; e++)
        assert_ok(cph_zrtp_enroll(&d->end[e].z[0]->base));
    duo_close(d);
    d->end[1].cfg.enroll = false;
    for (int e = 0; e < 2; e++)
        d->end[e].env.state += 77;
    duo_call(d);
}

/* 5.13: its MAC does not cover the IV. Whoever changes that makes the flags, the rendering and half
 * of the string into noise under a good MAC: it is no rendering any more, and nothing is taken. */
static void every_byte_of_a_sasrelay_counts(void **state)
{
    struct duo outside;
    size_t n = 0;

    (void)state;
    duo_init(&outside, 13);
    outside.end[1].cfg.mitm = true;
    duo_call(&outside);
    for (size_t at = 11; at == 11 || at < n; at++) { /* at 11 nothing is changed */
        struct cph_zrtp_info info;
        struct duo d;
        unsigned flags;

        enrolled(&d);
        flags = d.end[0].z[0]->live.peer_flags;
        flip.type = ZRTP_SASRELAY;
        flip.stream = 0;
        flip.at = at;
        flip.times = at == 11 ? 0 : UINT32_MAX;
        d.tap = flip_byte;
        assert_ok(cph_zrtp_relay(&d.end[1].z[0]->base, &outside.end[1].z[0]->base, d.now));
        duo_run(&d, d.now + CPH_SEC(60));
        n = d.end[1].z[0]->live.sealed_n;
        info_of(d.end[0].z[0], &info);
        assert_true(info.secure && info.trusted_mitm);
        assert_int_equal(info.relayed_sas[0] != '\0', at == 11);
        assert_int_equal(d.sent[0][ZRTP_RELAYACK], at == 11);
        assert_int_equal(d.end[0].z[0]->live.peer_flags, flags);
        duo_close(&d);
    }
    assert_int_equal(n, 19 * 4);
    duo_close(&outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_every_message_counts),
        cmocka_unit_test(one_changed_copy_is_made_good_or_ends_it),
        cmocka_unit_test(every_byte_of_a_goclear_counts),
        cmocka_unit_test(every_byte_of_a_sasrelay_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
