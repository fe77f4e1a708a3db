/* Calls with ZRTP: what the users see, what they say of it, and what lasts to the next call. */
#include "phone_support.h"

#include "pgp_maker.h"

#include "../session/engine_int.h"
#include "phone_int.h"

#include "ciphony/crypto_pgp.h"
#include "ciphony/keying_zrtp.h"

enum { PEERS = 4 };

/* What one phone keeps, over calls and restarts. */
struct kept {
    struct cph_phone_zrtp zrtp;
    struct cph_zrtp_store store;
    struct {
        bool used;
        uint8_t zid[CPH_ZRTP_ZID];
        struct cph_zrtp_retained r;
    } peer[PEERS];
    bool broken; /* nothing can be written */
    bool unreadable;
};

static cph_err kept_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    struct kept *k = ctx;

    if (k->unreadable)
        return CPH_E_STORE;
    for (unsigned i = 0; i < PEERS; i++)
        if (k->peer[i].used && memcmp(k->peer[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            *out = k->peer[i].r;
            return CPH_OK;
        }
    return CPH_E_NOTFOUND;
}

static cph_err kept_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                        const struct cph_zrtp_retained *in)
{
    struct kept *k = ctx;

    for (unsigned i = 0; i < PEERS && !k->broken; i++)
        if (!k->peer[i].used || memcmp(k->peer[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            k->peer[i].used = true;
            memcpy(k->peer[i].zid, zid, CPH_ZRTP_ZID);
            k->peer[i].r = *in;
            return CPH_OK;
        }
    return CPH_E_STORE;
}

static bool kept_other(void *ctx, const char *peer, const uint8_t zid[CPH_ZRTP_ZID])
{
    const struct kept *k = ctx;
    bool other = false;

    for (unsigned i = 0; i < PEERS; i++)
        for (unsigned n = 0; n < CPH_ZRTP_NAMES && k->peer[i].used; n++)
            other |= (k->peer[i].r.verified || k->peer[i].r.rs1.n > 0) &&
                     strcmp(k->peer[i].r.peer[n], peer) == 0 &&
                     memcmp(k->peer[i].zid, zid, CPH_ZRTP_ZID) != 0;
    return other;
}

static void kept_open(struct kept *k, uint8_t name)
{
    memset(k, 0, sizeof *k);
    k->store = (struct cph_zrtp_store){ k, kept_get, kept_put, kept_other };
    memset(k->zrtp.zid, name, sizeof k->zrtp.zid);
    k->zrtp.store = &k->store;
}

static void phone_zrtp(struct line *l, unsigned i, const char *user, const struct kept *k,
                       enum cph_security media)
{
    struct cph_phone_account a = { .name = "", .user = user };
    struct phone_extra x = { .account = &a, .n_accounts = 1, .zrtp = &k->zrtp };

    a.policy.media = media;
    a.policy.keying[0] = "zrtp";
    a.policy.keying_n = 1;
    phone_add(l, i, &x);
}

/* A call that stands and has keys. */
static void call_by(struct line *l, uint64_t seed, struct kept *a, struct kept *b, unsigned caller)
{
    line_open(l, seed);
    phone_zrtp(l, 0, "alice", a, CPH_SECURITY_REQUIRED);
    phone_zrtp(l, 1, "bob", b, CPH_SECURITY_REQUIRED);
    dial(l, caller, caller ? "sip:alice@10.0.0.1:5060" : "sip:bob@10.0.0.2:5060");
    run(l, 3000);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(heard(l, i, CPH_PHONE_SECURED));
        assert_non_null(heard(l, i, CPH_PHONE_SAS));
        assert_true(status(l, i).media.packets_in > 50);
        assert_string_equal(status(l, i).verdict.stream[0].keying, "zrtp");
    }
}

static void call(struct line *l, uint64_t seed, struct kept *a, struct kept *b)
{
    call_by(l, seed, a, b, 0);
}

static const char *sas(struct line *l, unsigned i)
{
    return heard(l, i, CPH_PHONE_SAS)->sas;
}

static cph_err say(struct line *l, unsigned i, bool equal)
{
    cph_err err = cph_phone_sas(lab_terminal_phone(l->t[i]), l->ear[i].call, equal,
                                lab_now(l->net));

    lab_terminal_pump(l->t[i]);
    run(l, 500);
    return err;
}

static enum cph_level level(struct line *l, unsigned i)
{
    return status(l, i).verdict.level;
}

static void both_see_one_string_and_comparing_it_verifies_this_call_and_the_next(void **state)
{
    struct kept a, b;
    struct line l;
    char first[CPH_PHONE_SAS_TEXT];

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    call(&l, 1, &a, &b);
    assert_string_equal(sas(&l, 0), sas(&l, 1));
    assert_int_equal(strlen(sas(&l, 0)), 4);
    (void)snprintf(first, sizeof first, "%s", sas(&l, 0));
    for (unsigned i = 0; i < 2; i++) { /* nobody compared: no peer is proven */
        assert_false(heard(&l, i, CPH_PHONE_SAS)->verified);
        assert_true(status(&l, i).sas_asked);
        assert_true(level(&l, i) < CPH_LEVEL_PRIVATE);
        assert_int_equal(status(&l, i).verdict.vouched_by, CPH_VOUCHER_NOBODY);
    }
    assert_ok(say(&l, 0, true));
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    assert_int_equal(status(&l, 0).verdict.vouched_by, CPH_VOUCHER_COMPARED);
    assert_false(status(&l, 0).sas_asked);
    assert_true(level(&l, 1) < CPH_LEVEL_PRIVATE); /* each user speaks for itself */
    assert_ok(say(&l, 1, true));
    assert_int_equal(level(&l, 1), CPH_LEVEL_VERIFIED);
    hangup(&l, 0);
    assert_int_equal(l.ear[0].verdict.level, CPH_LEVEL_VERIFIED);
    line_close(&l);

    call_by(&l, 2, &a, &b, 1); /* by continuity, also the other way round */
    assert_string_equal(sas(&l, 0), sas(&l, 1));
    assert_string_not_equal(sas(&l, 0), first);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(heard(&l, i, CPH_PHONE_SAS)->verified);
        assert_false(status(&l, i).sas_asked);
        assert_int_equal(level(&l, i), CPH_LEVEL_VERIFIED);
    }
    line_close(&l);
}

static void continuity_without_a_comparison_proves_nothing(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    for (uint64_t seed = 3; seed < 5; seed++) {
        call(&l, seed, &a, &b);
        assert_false(heard(&l, 0, CPH_PHONE_SAS)->verified);
        assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
        assert_true(level(&l, 0) < CPH_LEVEL_PRIVATE);
        hangup(&l, 0);
        line_close(&l);
    }
}

static bool has_reason(struct line *l, unsigned i, enum cph_reason code)
{
    struct cph_verdict v = status(l, i).verdict;
    bool has = false;

    for (unsigned r = 0; r < v.reasons_n; r++)
        has |= v.reason[r].code == code;
    return has;
}

/* RFC 6189 4.3.2 MUST: whoever compared, or never did, is told before he trusts the call, in these
 * words; and the verdict says so until somebody compares. */
static void assert_warned(struct line *l, unsigned i, const char *words)
{
    assert_non_null(heard(l, i, CPH_PHONE_NOTICE));
    assert_non_null(strstr(heard(l, i, CPH_PHONE_NOTICE)->why, words));
    assert_non_null(strstr(heard(l, i, CPH_PHONE_NOTICE)->why, "somebody"));
    assert_non_null(strstr(heard(l, i, CPH_PHONE_NOTICE)->why, "compare the string"));
    assert_non_null(strstr(heard(l, i, CPH_PHONE_SAS)->why, "before you trust this call"));
    assert_false(heard(l, i, CPH_PHONE_SAS)->verified);
    assert_true(status(l, i).sas_asked && status(l, i).sas_strange);
    assert_int_equal(level(l, i), CPH_LEVEL_HOP);
    assert_true(has_reason(l, i, CPH_REASON_BINDING_BROKEN));
}

static void who_has_not_the_secret_of_earlier_calls_is_warned_of_and_not_verified(void **state)
{
    static const struct {
        uint8_t name; /* of who answers as bob in the second call, with nothing kept */
        const char *words;
    } row[] = { { 'b', "secret of the last call" }, { 'm', "another device before" } };

    (void)state;
    for (unsigned k = 0; k < 4; k++) {
        bool compared = k % 2;
        struct kept a, b;
        struct line l;

        kept_open(&a, 'a');
        kept_open(&b, 'b');
        call(&l, 5, &a, &b);
        assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
        assert_false(has_reason(&l, 0, CPH_REASON_BINDING_BROKEN));
        for (unsigned i = 0; i < 2 && compared; i++)
            assert_ok(say(&l, i, true));
        hangup(&l, 0);
        line_close(&l);
        for (unsigned again = 0; again < 2; again++) { /* in every call */
            if (again == 0 || b.zrtp.zid[0] == 'b')    /* whoever else it is knows alice by now */
                kept_open(&b, row[k / 2].name);
            call(&l, 6 + again, &a, &b);
            assert_warned(&l, 0, row[k / 2].words);
            assert_null(heard(&l, 1, CPH_PHONE_NOTICE)); /* who lost it cannot know */
            if (again) {
                assert_ok(say(&l, 0, true)); /* it was bob, with a new phone */
                assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
                assert_false(has_reason(&l, 0, CPH_REASON_BINDING_BROKEN));
                assert_false(status(&l, 0).sas_strange);
            }
            hangup(&l, 0);
            line_close(&l);
        }
    }
}

static void a_store_that_cannot_be_read_is_a_warning(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    a.unreadable = true;
    call(&l, 9, &a, &b);
    assert_warned(&l, 0, "cannot be read");
    line_close(&l);
}

/* A call under this address, which both phones take for theirs. */
static void call_as(struct line *l, uint64_t seed, struct kept *a, struct kept *b, const char *to)
{
    line_open(l, seed);
    phone_zrtp(l, 0, "alice", a, CPH_SECURITY_REQUIRED);
    phone_zrtp(l, 1, "bob", b, CPH_SECURITY_REQUIRED);
    dial(l, 0, to);
    run(l, 2000);
    assert_non_null(heard(l, 0, CPH_PHONE_SAS));
}

/* Whoever was compared once under his own name could stand in for anybody else, if a secret said
 * more than which device it is (RFC 6189 12). */
static void a_comparison_counts_for_the_address_it_was_made_under(void **state)
{
    static const char *const who[] = { "sip:mallory@10.0.0.2:5060", "sip:bob@10.0.0.2:5060" };
    struct kept a, m;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&m, 'm');
    call_as(&l, 40, &a, &m, who[0]);
    assert_ok(say(&l, 0, true));
    line_close(&l);
    call_as(&l, 41, &a, &m, who[1]); /* and now he answers where bob was called */
    assert_false(heard(&l, 0, CPH_PHONE_SAS)->verified);
    assert_non_null(
        strstr(heard(&l, 0, CPH_PHONE_NOTICE)->why, "know this device as sip:mallory@"));
    assert_true(status(&l, 0).sas_asked);
    assert_int_equal(level(&l, 0), CPH_LEVEL_HOP);
    assert_ok(say(&l, 0, true)); /* one device of both, the users say */
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    line_close(&l);
    for (unsigned i = 0; i < 2; i++) {
        call_as(&l, 42 + i, &a, &m, who[i]);
        assert_true(heard(&l, 0, CPH_PHONE_SAS)->verified);
        assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
        assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
        line_close(&l);
    }
}

static void another_device_under_an_address_that_was_compared_is_told_of(void **state)
{
    struct kept a, b, other;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    kept_open(&other, 'o');
    call(&l, 44, &a, &b);
    assert_ok(say(&l, 0, true));
    line_close(&l);
    call(&l, 45, &a, &other);
    assert_warned(&l, 0, "another device before");
    line_close(&l);
    call(&l, 46, &a, &b); /* the one we know */
    assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    line_close(&l);
}

static void somebody_in_between_shows_two_strings_and_the_call_ends_loudly(void **state)
{
    struct kept a, b, m;
    struct line near, far;
    const struct cph_phone_event *end;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    kept_open(&m, 'm');
    call(&near, 7, &a, &m); /* who is in between has a call with each side */
    call(&far, 8, &m, &b);
    assert_string_not_equal(sas(&near, 0), sas(&far, 1));
    assert_ok(say(&near, 0, false));
    end = heard(&near, 0, CPH_PHONE_ENDED);
    assert_non_null(end);
    assert_err(end->cause, CPH_E_AUTH);
    assert_non_null(strstr(end->why, "in between"));
    assert_non_null(heard(&near, 1, CPH_PHONE_ENDED));
    assert_int_equal(near.ear[0].verdict.level, CPH_LEVEL_OPEN);
    assert_false(near.ear[0].verdict.policy_kept);
    assert_true(a.peer[0].used);
    assert_int_equal(a.peer[0].r.rs1.n, 0); /* what is shared with that one is forgotten */
    assert_false(a.peer[0].r.verified);
    line_close(&near);
    line_close(&far);
}

static void a_comparison_that_cannot_be_kept_still_counts(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    call(&l, 9, &a, &b);
    a.broken = true;
    assert_err(say(&l, 0, true), CPH_E_STORE);
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    line_close(&l);
}

/* Who has what ZRTP needs, and does not name it, neither offers nor takes it. */
static void zrtp_is_spoken_only_where_the_policy_names_it(void **state)
{
    struct cph_phone_account acc = { .name = "", .user = "alice" };
    struct kept a, b;
    struct phone_extra x = { .account = &acc, .n_accounts = 1, .zrtp = &a.zrtp };
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    line_open(&l, 10);
    hand_open(&l);
    phone_add(&l, 0, &x);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 100);
    assert_non_null(strstr(l.hand.invite, "a=fingerprint"));
    assert_null(strstr(l.hand.invite, "zrtp"));
    line_close(&l);

    line_open(&l, 11);
    phone_add(&l, 0, &x);
    phone_zrtp(&l, 1, "bob", &b, CPH_SECURITY_REQUIRED);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 488);
    line_close(&l);
}

/* The user keeps the certificate of the other device: it signs the string, and nobody is asked. Of
 * a certificate that nobody keeps a signature is worth nothing, for anybody has one. */
static void a_string_signed_by_the_certificate_we_keep_needs_no_comparison(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    for (int known = 0; known < 2; known++) {
        line_open(&l, 50);
        l.ear[0].pin = known ? CPH_PHONE_PIN_PINNED : CPH_PHONE_PIN_UNKNOWN;
        phone_zrtp(&l, 0, "alice", &a, CPH_SECURITY_REQUIRED);
        phone_zrtp(&l, 1, "bob", &b, CPH_SECURITY_REQUIRED);
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 2000);
        assert_int_equal(level(&l, 0), known ? CPH_LEVEL_VERIFIED : CPH_LEVEL_HOP);
        assert_int_equal(level(&l, 1), CPH_LEVEL_HOP);
        assert_int_equal(status(&l, 0).verdict.vouched_by,
                         known ? CPH_VOUCHER_PIN : CPH_VOUCHER_NOBODY);
        line_close(&l);
    }
    line_open(&l, 51); /* another certificate than the one we keep: somebody is in between */
    l.ear[0].pin = CPH_PHONE_PIN_MISMATCH;
    phone_zrtp(&l, 0, "alice", &a, CPH_SECURITY_REQUIRED);
    phone_zrtp(&l, 1, "bob", &b, CPH_SECURITY_REQUIRED);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 2000);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_err(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_CERT);
    line_close(&l);
}

static struct cph_pgp_key *bobs_key;

static const struct cph_pgp_key *peer_pgp(void *ctx, struct cph_span peer_uri)
{
    (void)ctx;
    return cph_pgp_key_names(bobs_key, peer_uri) ? bobs_key : NULL;
}

static cph_err sign_by_pgp(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                           uint8_t *out, size_t cap, size_t *n)
{
    struct cph_wr wr = cph_wr_open(out, cap);

    pgp_sign(ctx, 0x00, (struct cph_span){ sashash, CPH_ZRTP_SASHASH }, &wr);
    memcpy(type, "PGP ", 4);
    *n = wr.n;
    return cph_wr_end(&wr);
}

/* RFC 6189 7.2.1: the peer signs by OpenPGP. Only the key that the user has for this address
 * counts, and a signature by another one is as good as none. */
static void a_string_signed_by_the_openpgp_key_we_have_needs_no_comparison(void **state)
{
    static const struct {
        bool by_bob; /* by the key the user has; else by another one */
        const char *name;
        enum cph_level level;
    } row[] = {
        { true, "Bob <bob@10.0.0.2:5060>", CPH_LEVEL_VERIFIED },
        { false, "Bob <bob@10.0.0.2:5060>", CPH_LEVEL_HOP },
        { true, "Carol <carol@10.0.0.2:5060>", CPH_LEVEL_HOP },
    };
    struct pgp_maker maker[2];
    struct test_env te;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint8_t file[1024];
        struct cph_wr wr = cph_wr_open(file, sizeof file);
        struct cph_phone_host host;
        struct cph_phone *alice, *bob;
        struct kept a, b;
        struct line l;

        kept_open(&a, 'a');
        kept_open(&b, 'b');
        line_open(&l, 52 + i);
        phone_zrtp(&l, 0, "alice", &a, CPH_SECURITY_REQUIRED);
        phone_zrtp(&l, 1, "bob", &b, CPH_SECURITY_REQUIRED);
        alice = lab_terminal_phone(l.t[0]);
        bob = lab_terminal_phone(l.t[1]);
        test_env_init(&te, 52);
        te.wall = cph_wall(alice->env);
        for (int k = 0; k < 2; k++)
            pgp_maker_open(&maker[k], &te.env);
        pgp_export(&maker[0], row[i].name, &wr);
        assert_ok(cph_pgp_key_load(&te.env, cph_wr_done(&wr), &bobs_key));
        host = *alice->host;
        host.peer_pgp = peer_pgp;
        alice->host = &host;
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        while (!bob->calls)
            run(&l, 1);
        bob->calls->signer.ctx = &maker[row[i].by_bob ? 0 : 1];
        bob->calls->signer.sign = sign_by_pgp;
        bob->calls->signer.verify = NULL;
        run(&l, 2000);
        assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
        assert_int_equal(level(&l, 0), row[i].level);
        assert_int_equal(status(&l, 0).verdict.vouched_by,
                         row[i].level == CPH_LEVEL_VERIFIED ? CPH_VOUCHER_PIN : CPH_VOUCHER_NOBODY);
        line_close(&l);
        cph_pgp_key_free(bobs_key);
        for (int k = 0; k < 2; k++)
            cph_key_free(maker[k].key);
    }
}

/* ---- the last word --------------------------------------------------------------------------- */

/* Loses the acknowledgement of Confirm2, for ever. */
static bool no_conf2ack(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                        struct cph_span bytes, bool stream, cph_time now)
{
    unsigned *lost = ctx;

    (void)from, (void)to, (void)stream, (void)now;
    if (bytes.n < 24 || memcmp(bytes.p + 4, "ZRTP", 4) != 0 ||
        memcmp(bytes.p + 16, "Conf2ACK", 8) != 0)
        return true;
    ++*lost;
    return false;
}

/* RFC 6189 4.6 MUST: the first valid SRTP of the responder is as good as a Conf2ACK */
static void the_peer_s_media_stands_for_its_last_word(void **state)
{
    struct kept a, b;
    struct line l;
    unsigned lost = 0;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    line_open(&l, 20);
    lab_net_tap(l.net, no_conf2ack, &lost);
    phone_zrtp(&l, 0, "alice", &a, CPH_SECURITY_REQUIRED);
    phone_zrtp(&l, 1, "bob", &b, CPH_SECURITY_REQUIRED);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1500);
    assert_true(lost > 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(heard(&l, i, CPH_PHONE_SECURED));
        assert_true(status(&l, i).media.packets_in > 30);
        assert_int_equal(status(&l, i).media.lost, 0);
        assert_true((i ? &b : &a)->peer[0].r.rs1.n > 0); /* RFC 6189 4.6.1 (4) */
    }
    line_close(&l);
}

/* ---- back to RTP ----------------------------------------------------------------------------- */

static void talk(struct line *l, uint64_t seed, struct kept *a, struct kept *b,
                 enum cph_security near, enum cph_security far)
{
    line_open(l, seed);
    phone_zrtp(l, 0, "alice", a, near);
    phone_zrtp(l, 1, "bob", b, far);
    dial(l, 0, "sip:bob@10.0.0.2:5060");
    run(l, 2000);
    assert_non_null(heard(l, 0, CPH_PHONE_SECURED));
    assert_non_null(heard(l, 1, CPH_PHONE_SECURED));
}

static cph_err does(struct line *l, unsigned i,
                    cph_err (*act)(struct cph_phone *, uint32_t, cph_time), unsigned ms)
{
    cph_err err = act(lab_terminal_phone(l->t[i]), l->ear[i].call, lab_now(l->net));

    lab_terminal_pump(l->t[i]);
    run(l, ms);
    return err;
}

static const struct cph_verdict_stream *first(struct cph_phone_status *st)
{
    return &st->verdict.stream[0];
}

static void a_call_goes_clear_only_when_both_users_know_and_the_verdict_falls_at_once(void **state)
{
    struct kept a, b;
    struct line l;
    struct cph_phone_status st;
    uint64_t out, in;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    talk(&l, 21, &a, &b, CPH_SECURITY_PREFER, CPH_SECURITY_PREFER);
    assert_ok(say(&l, 0, true));
    assert_ok(say(&l, 1, true));
    assert_int_equal(level(&l, 1), CPH_LEVEL_VERIFIED);
    assert_true(status(&l, 0).may_clear);
    assert_ok(does(&l, 0, cph_phone_clear, 0));
    assert_int_equal(level(&l, 0), CPH_LEVEL_OPEN); /* before the peer even knows */
    run(&l, 200);
    assert_non_null(heard(&l, 1, CPH_PHONE_CLEARED));
    assert_null(heard(&l, 0, CPH_PHONE_CLEARED)); /* his own wish */
    assert_int_equal(level(&l, 1), CPH_LEVEL_OPEN);
    st = status(&l, 1);
    assert_true(st.clear_asked && st.went_clear && !st.secured);
    out = first(&st)->packets_out;
    in = first(&st)->packets_in;
    run(&l, 2000);
    st = status(&l, 1); /* RFC 6189 4.7.2 MUST NOT: nothing goes before the user knows */
    assert_int_equal(first(&st)->packets_out, out);
    assert_int_equal(first(&st)->packets_in, in);
    assert_ok(does(&l, 1, cph_phone_clear, 2000));
    st = status(&l, 1);
    assert_false(st.clear_asked);
    assert_true(st.went_clear);
    assert_true(first(&st)->packets_out > out + 50 && first(&st)->packets_in > in + 50);
    st = status(&l, 0);
    assert_true(st.media.packets_in > 100);

    assert_ok(does(&l, 1, cph_phone_secure, 2000)); /* and back */
    for (unsigned i = 0; i < 2; i++) {
        st = status(&l, i);
        assert_true(st.secured && !st.went_clear);
        assert_int_equal(level(&l, i), CPH_LEVEL_OPEN); /* of a call the worst is told */
        in = first(&st)->packets_in;
        run(&l, 1000);
        st = status(&l, i);
        assert_true(first(&st)->packets_in > in + 30);
    }
    line_close(&l);
}

/* Nothing was said in clear: then the call is what it was. */
static void asking_for_keys_instead_of_agreeing_leaves_nothing_in_clear(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    talk(&l, 22, &a, &b, CPH_SECURITY_PREFER, CPH_SECURITY_PREFER);
    assert_ok(say(&l, 1, true));
    lab_net_link(l.net, (struct lab_link){ .delay = CPH_MS(5) });
    assert_ok(does(&l, 0, cph_phone_clear, 100));
    assert_ok(does(&l, 1, cph_phone_secure, 1000));
    assert_true(status(&l, 1).secured);
    assert_int_equal(level(&l, 1), CPH_LEVEL_VERIFIED);
    assert_int_equal(level(&l, 0), CPH_LEVEL_OPEN); /* this one sent RTP in between */
    line_close(&l);
}

static void who_demands_keys_neither_goes_clear_nor_lets_the_peer(void **state)
{
    struct kept a, b;
    struct line l;
    struct cph_zrtp_info info;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    for (int far = 0; far < 2; far++) {
        talk(&l, 23, &a, &b, far ? CPH_SECURITY_PREFER : CPH_SECURITY_REQUIRED,
             far ? CPH_SECURITY_REQUIRED : CPH_SECURITY_PREFER);
        assert_false(status(&l, 0).may_clear);
        assert_err(does(&l, 0, cph_phone_clear, 500), CPH_E_POLICY);
        assert_ok(cph_zrtp_info(
            cph_nego_instance(
                engine_branch(lab_terminal_phone(l.t[0])->calls->session)->line[0].nego),
            &info));
        assert_int_equal(info.peer_allows_clear, !far);
        assert_true(status(&l, 0).secured && status(&l, 1).secured);
        assert_err(does(&l, 0, cph_phone_secure, 0), CPH_E_STATE); /* it never was clear */
        line_close(&l);
    }
}

/* ---- a man in the middle that is trusted ----------------------------------------------------- */

static struct cph_keying *instance(struct line *l, unsigned i)
{
    struct cph_session *s = lab_terminal_phone(l->t[i])->calls->session;

    return cph_nego_instance(engine_branch(s)->line[0].nego);
}

static void who_enrolled_sees_the_string_of_the_far_side_and_is_told_who_hears_it(void **state)
{
    struct kept phone, exchange, outside;
    struct line near, far;
    char theirs[CPH_PHONE_SAS_TEXT];

    (void)state;
    kept_open(&phone, 'p');
    kept_open(&exchange, 'x');
    kept_open(&outside, 'o');
    exchange.zrtp.mitm = exchange.zrtp.enroll = true;
    call(&near, 30, &phone, &exchange);
    assert_non_null(heard(&near, 0, CPH_PHONE_ENROLL));
    assert_null(heard(&near, 1, CPH_PHONE_ENROLL));
    assert_true(status(&near, 0).enroll_asked && status(&near, 0).mitm);
    assert_err(does(&near, 0, cph_phone_enroll, 0), CPH_E_AUTH); /* nobody compared */
    assert_int_equal(phone.peer[0].r.pbx.n, 0);
    assert_ok(say(&near, 0, true));
    assert_int_equal(level(&near, 0), CPH_LEVEL_HOP); /* it hears what it passes on */
    assert_ok(does(&near, 0, cph_phone_enroll, 0));
    assert_ok(cph_zrtp_enroll(instance(&near, 1)));
    assert_int_equal(phone.peer[0].r.pbx.n, 32);
    assert_false(status(&near, 0).enroll_asked);
    hangup(&near, 0);
    line_close(&near);

    exchange.zrtp.enroll = false;
    call(&near, 31, &phone, &exchange);
    call(&far, 32, &outside, &exchange);
    assert_true(status(&near, 0).trusted_mitm && status(&far, 0).mitm);
    assert_false(status(&far, 0).trusted_mitm);
    assert_non_null(heard(&far, 0, CPH_PHONE_NOTICE)); /* it says that it is in the middle */
    assert_ok(cph_zrtp_relay(instance(&near, 1), instance(&far, 1), lab_now(near.net)));
    lab_terminal_pump(near.t[1]);
    run(&near, 500);
    (void)snprintf(theirs, sizeof theirs, "%s", status(&far, 0).sas);
    assert_string_equal(status(&near, 0).sas, theirs);
    assert_true(status(&near, 0).sas_relayed && status(&near, 0).sas_asked);
    assert_string_equal(sas(&near, 0), theirs);
    assert_false(heard(&near, 0, CPH_PHONE_SAS)->verified);
    assert_non_null(heard(&near, 0, CPH_PHONE_NOTICE)); /* and which exchange signed it */
    assert_non_null(strstr(heard(&near, 0, CPH_PHONE_NOTICE)->why, "signed the string"));
    assert_ok(say(&near, 0, true));
    assert_int_equal(level(&near, 0), CPH_LEVEL_HOP);
    line_close(&near);
    line_close(&far);
}

static void nobody_enrols_who_was_not_asked(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    call(&l, 33, &a, &b);
    assert_ok(say(&l, 0, true));
    assert_err(does(&l, 0, cph_phone_enroll, 0), CPH_E_STATE);
    assert_false(status(&l, 0).mitm);
    line_close(&l);
}

/* RFC 6189 11 MUST: whose keys may be known to others confesses it, and the other user sees that */
static void a_peer_that_discloses_is_told_of_and_counts_as_a_hop(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    b.zrtp.disclose = true;
    call(&l, 34, &a, &b);
    assert_non_null(heard(&l, 0, CPH_PHONE_NOTICE));
    assert_non_null(strstr(heard(&l, 0, CPH_PHONE_NOTICE)->why, "known to others"));
    assert_ok(say(&l, 0, true));
    assert_ok(say(&l, 1, true));
    assert_int_equal(level(&l, 0), CPH_LEVEL_HOP);
    line_close(&l);
}

static void there_is_nothing_to_compare_without_zrtp(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 12);
    phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "dtls");
    phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "dtls");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_err(say(&l, 0, true), CPH_E_STATE);
    assert_err(cph_phone_sas(lab_terminal_phone(l.t[0]), 999, true, lab_now(l.net)),
               CPH_E_NOTFOUND);
    assert_string_equal(status(&l, 0).sas, "");
    assert_null(heard(&l, 0, CPH_PHONE_SAS));
    line_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_see_one_string_and_comparing_it_verifies_this_call_and_the_next),
        cmocka_unit_test(continuity_without_a_comparison_proves_nothing),
        cmocka_unit_test(who_has_not_the_secret_of_earlier_calls_is_warned_of_and_not_verified),
        cmocka_unit_test(a_store_that_cannot_be_read_is_a_warning),
        cmocka_unit_test(a_comparison_counts_for_the_address_it_was_made_under),
        cmocka_unit_test(another_device_under_an_address_that_was_compared_is_told_of),
        cmocka_unit_test(somebody_in_between_shows_two_strings_and_the_call_ends_loudly),
        cmocka_unit_test(a_comparison_that_cannot_be_kept_still_counts),
        cmocka_unit_test(zrtp_is_spoken_only_where_the_policy_names_it),
        cmocka_unit_test(a_string_signed_by_the_certificate_we_keep_needs_no_comparison),
        cmocka_unit_test(a_string_signed_by_the_openpgp_key_we_have_needs_no_comparison),
        cmocka_unit_test(the_peer_s_media_stands_for_its_last_word),
        cmocka_unit_test(a_call_goes_clear_only_when_both_users_know_and_the_verdict_falls_at_once),
        cmocka_unit_test(asking_for_keys_instead_of_agreeing_leaves_nothing_in_clear),
        cmocka_unit_test(who_demands_keys_neither_goes_clear_nor_lets_the_peer),
        cmocka_unit_test(who_enrolled_sees_the_string_of_the_far_side_and_is_told_who_hears_it),
        cmocka_unit_test(nobody_enrols_who_was_not_asked),
        cmocka_unit_test(a_peer_that_discloses_is_told_of_and_counts_as_a_hop),
        cmocka_unit_test(there_is_nothing_to_compare_without_zrtp),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}
