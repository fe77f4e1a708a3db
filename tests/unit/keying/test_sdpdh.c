/* SDP-DH: lines, keys against the second implementation, and exchanges between two sides. */
#include "pair.h"

#include <malloc.h>

#include "sdpdh/sdpdh_int.h"

static const struct cph_keying_method *row[2];
static struct cph_nego_cfg only;
static struct pair p;

static int open_pair(void **state)
{
    (void)state;
    row[0] = cph_keying_method_by_name(CPH_SPAN_LIT("sdp-dh"));
    assert_non_null(row[0]);
    only = (struct cph_nego_cfg){ .policy = CPH_KEYING_REQUIRED, .methods = row };
    pair_open(&p, only, only);
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
    pair_close(&p);
    pair_open(&p, a, b);
}

static struct cph_span dh_of(const struct cph_sdp *sdp)
{
    return cph_sdp_attr(&sdp->media[0]->part, "sdp-dh")->arg;
}

/* ---- lines ----------------------------------------------------------------------------------- */

#define S1 "7XZj9yPTBuk+O1fo6GifV7ST19QdhzkFd6vdIdmlU2Y="

static void a_line_is_read_and_written(void **state)
{
    const char *text = "1 x25519 AEAD_AES_256_GCM,AES_CM_128_HMAC_SHA1_80 " S1;
    struct sdpdh_line line;
    char back[SDPDH_LINE];

    (void)state;
    assert_ok(sdpdh_line_parse(cph_span_of(text), &line));
    assert_int_equal(line.tag, 1);
    assert_int_equal(line.n_suites, 2);
    assert_int_equal(line.share_n, 32);
    assert_ok(sdpdh_line_build(&line, back));
    assert_string_equal(back, text);
}

static void lines_of_another_form_are_refused(void **state)
{
    static const struct {
        const char *text;
        cph_err err;
    } bad[] = {
        { "", CPH_E_MALFORMED },
        { "1", CPH_E_MALFORMED },
        { "1 x25519", CPH_E_MALFORMED },
        { "1 x25519 AEAD_AES_256_GCM", CPH_E_MALFORMED },
        { "0 x25519 AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },
        { "01 x25519 AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },
        { "100 x25519 AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },
        { "a x25519 AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },
        { "1 x25519 AEAD_AES_256_GCM, " S1, CPH_E_MALFORMED },
        { "1 x25519 ,AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },
        { "1 x25519 AEAD_AES_256_GCM,AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },
        { "1 x25519 AEAD_AES_256_GCM " S1 " more", CPH_E_MALFORMED },
        { "1 x25519 AEAD_AES_256_GCM AAAA", CPH_E_MALFORMED }, /* a share of another length */
        { "1 p-256 AEAD_AES_256_GCM " S1, CPH_E_MALFORMED },   /* of another group */
        { "1 x25519 AEAD_AES_256_GCM 7XZj", CPH_E_MALFORMED },
        { "1 x25519 AEAD_AES_256_GCM 7XZj9yPTBuk+O1fo6GifV7ST19QdhzkFd6vdIdmlU2Y",
          CPH_E_MALFORMED },
        { "1 x448 AEAD_AES_256_GCM " S1, CPH_E_UNSUPPORTED },
        { "1 X25519 AEAD_AES_256_GCM " S1, CPH_E_UNSUPPORTED },
        { "1 modp-1024 AEAD_AES_256_GCM " S1, CPH_E_UNSUPPORTED },
    };
    struct sdpdh_line line;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(sdpdh_line_parse(cph_span_of(bad[i].text), &line), bad[i].err);
    /* suites that we do not know are no reason to turn the others away */
    assert_ok(sdpdh_line_parse(cph_span_of("1 x25519 NEW,AEAD_AES_256_GCM " S1), &line));
    assert_true(line.n_suites == 1 && line.n_named == 2);
}

/* ---- the other implementation ---------------------------------------------------------------- */

static struct cph_secret secret_of(struct cph_span bytes)
{
    struct cph_secret s = { 0 };

    assert_ok(cph_secret_set(&s, bytes));
    return s;
}

static void keys_are_those_of_the_other_implementation(void **state)
{
    struct vectors *v = vectors_open("sdpdh/exchange.txt");
    size_t seen = 0;

    (void)state;
    for (; vectors_next(v); seen++) {
        struct cph_span answer = cph_span_of(vectors_text(v, "answer"));
        struct sdpdh_line theirs, mine = { 0 };
        uint8_t hash[SDPDH_HASH], share[SDPDH_SHARE];
        struct cph_secret offerer = secret_of(vectors_hex(v, "offerer")), z;
        struct cph_secret answerer = secret_of(vectors_hex(v, "answerer")), other;
        struct sdpdh_lines lines;
        struct sdpdh_keys keys;
        struct cph_sdp *sdp;
        char name[16];

        assert_ok(sdpdh_line_parse(answer, &theirs));
        sdp = read_sdp(&p, "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"
                           "m=audio 4000 RTP/SAVP 0\r\n");
        for (unsigned i = 1; i <= 3; i++) {
            (void)snprintf(name, sizeof name, "offer%u", i);
            if (!vectors_text(v, name))
                continue;
            assert_ok(cph_sdp_attr_add(sdp, sdp->media[0], "sdp-dh", vectors_text(v, name)));
            if (i == theirs.tag)
                assert_ok(sdpdh_line_parse(cph_span_of(vectors_text(v, name)), &mine));
        }
        assert_ok(cph_agree_public(mine.group->group, &offerer, share));
        assert_memory_equal(share, mine.share, mine.share_n);
        assert_ok(cph_agree_public(mine.group->group, &answerer, share));
        assert_memory_equal(share, theirs.share, theirs.share_n);
        assert_ok(cph_agree_derive(mine.group->group, &offerer,
                                   (struct cph_span){ theirs.share, theirs.share_n }, &z));
        other = secret_of(vectors_hex(v, "secret"));
        assert_true(cph_ct_eq(cph_secret_span(&z), cph_secret_span(&other)));
        assert_ok(sdpdh_lines_of(sdp->media[0], &lines));
        assert_ok(sdpdh_lines_hash(&lines, hash));
        assert_ok(sdpdh_derive(&z, hash, answer, theirs.suite[0], &keys));
        assert_memory_equal(keys.offerer.key.b, vectors_hex(v, "offerer_key").p,
                            keys.offerer.key.n);
        assert_int_equal(keys.offerer.key.n, vectors_hex(v, "offerer_key").n);
        assert_memory_equal(keys.offerer.salt.b, vectors_hex(v, "offerer_salt").p,
                            keys.offerer.salt.n);
        assert_memory_equal(keys.answerer.key.b, vectors_hex(v, "answerer_key").p,
                            keys.answerer.key.n);
        assert_memory_equal(keys.answerer.salt.b, vectors_hex(v, "answerer_salt").p,
                            keys.answerer.salt.n);
    }
    assert_int_equal(seen, 3);
    vectors_close(v);
}

/* ---- the order of lines -------------------------------------------------------------------------
 */

/* A section with these lines, as a server may have left them. */
static struct cph_sdp *with_lines(const char *const *line)
{
    struct cph_sdp *sdp = read_sdp(&p, "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n"
                                       "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n");

    for (; *line; line++)
        assert_ok(cph_sdp_attr_add(sdp, sdp->media[0], "sdp-dh", *line));
    return sdp;
}

static void lines_count_by_their_tags(void **state)
{
    static const char *const in_order[] = { "1 a", "2 b", "3 c", "10 d", NULL };
    static const char *const moved[] = { "10 d", "2 b", "3 c", "1 a", NULL };
    static const char *const other[] = { "10 d", "2 b", "3 a", "1 c", NULL };
    static const char *const bad[][4] = {
        { "1 a", "2 b", "1 c" }, { "2 b", "1 a", "2 b" }, { "1 a", "x b" }, { "1 a", "0 b" },
        { "1 a", "01 b" },       { "1 a", "100 b" },      { "1 a", "" },
    };
    uint8_t hash[3][SDPDH_HASH];
    struct sdpdh_lines l;

    (void)state;
    assert_ok(sdpdh_lines_of(with_lines(in_order)->media[0], &l));
    assert_true(l.n == 4 && l.line[3].tag == 10 && cph_span_is(l.line[1].text, "2 b"));
    assert_ok(sdpdh_lines_hash(&l, hash[0]));
    assert_ok(sdpdh_lines_of(with_lines(moved)->media[0], &l));
    assert_ok(sdpdh_lines_hash(&l, hash[1]));
    assert_ok(sdpdh_lines_of(with_lines(other)->media[0], &l));
    assert_ok(sdpdh_lines_hash(&l, hash[2]));
    assert_memory_equal(hash[0], hash[1], SDPDH_HASH);
    assert_memory_not_equal(hash[0], hash[2], SDPDH_HASH);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(sdpdh_lines_of(with_lines(bad[i])->media[0], &l), CPH_E_MALFORMED);
    assert_err(sdpdh_lines_of(with_lines(in_order + 4)->media[0], &l), CPH_E_NOTFOUND);
}

/* The offer with its lines the other way round, and among them attributes that were elsewhere. */
static struct cph_sdp *turned_round(const struct cph_sdp *offer)
{
    struct cph_sdp *sdp = read_sdp(&p, text_of(&p, offer));
    const char *line[SDPDH_LINES];
    unsigned n = 0;

    for (const struct cph_sdp_line *l = cph_sdp_attr(&sdp->media[0]->part, "sdp-dh"); l;
         l = cph_sdp_attr_next(l))
        line[n++] = (const char *)cph_arena_copy(p.arena, l->arg).p;
    (void)cph_sdp_attr_remove(sdp, sdp->media[0], "sdp-dh");
    while (n > 0) {
        assert_ok(cph_sdp_attr_add(sdp, sdp->media[0], "sdp-dh", line[--n]));
        assert_ok(cph_sdp_attr_add(sdp, sdp->media[0], "x-server", "was here"));
    }
    return read_sdp(&p, text_of(&p, sdp));
}

static void a_server_that_moves_lines_changes_neither_keys_nor_choice(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer, *moved = turned_round(offer);

    (void)state;
    assert_true(cph_span_starts(dh_of(offer), "1 x25519 "));
    assert_true(cph_span_starts(dh_of(moved), "2 p-256 "));
    answer = make_answer(&p, &p.b, moved);
    assert_true(cph_span_starts(dh_of(answer), "1 x25519 ")); /* the offerer's first, by its tag */
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    assert_int_equal(evidence_of(&p.a).notes, 0);
    cph_nego_renew(p.b.nego);
    assert_ok(try_finish(&p.b, make_answer(&p, &p.a, turned_round(make_offer(&p, &p.b)))));
    assert_media(&p, 1);
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static void two_sides_agree_and_hear_each_other(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;
    struct cph_keying_evidence e;

    (void)state;
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_int_equal(count_attr(offer, "sdp-dh"), 2);
    assert_true(cph_span_starts(dh_of(offer), "1 x25519 AEAD_AES_256_GCM,AEAD_AES_128_GCM,"));
    assert_int_equal(status_of(&p.a).outcome, CPH_NEGO_OPEN);
    answer = make_answer(&p, &p.b, offer);
    assert_int_equal(count_attr(answer, "sdp-dh"), 1);
    assert_true(cph_span_starts(dh_of(answer), "1 x25519 AEAD_AES_256_GCM "));
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    e = evidence_of(&p.a);
    assert_string_equal(e.method, "sdp-dh");
    assert_string_equal(e.suite, "AEAD_AES_256_GCM");
    assert_true(e.keyed && e.rtp_encrypted && e.rtp_authenticated && e.rtcp_encrypted);
    assert_true(e.key_bits == 256 && e.tag_bits == 128);
    assert_true(e.keys_stay_at_ends && e.forward_secrecy && e.choice_protected);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_PATH); /* nobody but who wrote the message */
    assert_int_equal(e.peer_fingerprint_n, 0);
    assert_int_equal(e.notes, 0);
}

static void nobody_speaks_it_unless_it_is_named(void **state)
{
    struct cph_nego_cfg usual = { .policy = CPH_KEYING_REQUIRED };
    struct cph_sdp *offer, *answer;

    (void)state;
    reopen(usual, only);
    assert_int_equal(count_attr(make_offer(&p, &p.a), "sdp-dh"), 0);
    offer = make_offer(&p, &p.b);
    assert_err(try_answer(&p, &p.a, offer, &answer), CPH_E_POLICY);
    assert_int_equal(answer->media[0]->port, 0);
}

static void each_group_gives_keys(void **state)
{
    static const char *const group[][2] = { { "x25519" }, { "p-256" }, { "modp-3072" } };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct cph_nego_cfg one = only;

        one.keying.dh_groups = group[i];
        reopen(one, only);
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 1);
    }
}

static void a_group_nobody_has_is_a_mistake_of_the_configuration(void **state)
{
    static const char *const wrong[] = { "modp-1024", NULL }, *const none[] = { NULL };
    struct cph_nego_cfg one = only;
    struct cph_sdp *sdp;

    (void)state;
    one.keying.dh_groups = wrong;
    reopen(one, only);
    assert_err(try_offer(&p, &p.a, &sdp), CPH_E_CONFIG);
    one.keying.dh_groups = none;
    reopen(one, only);
    assert_err(try_offer(&p, &p.a, &sdp), CPH_E_CONFIG);
}

static void the_first_line_and_suite_that_both_have_is_taken(void **state)
{
    static const char *const few[] = { "AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80", NULL };
    struct cph_nego_cfg small = only;
    struct cph_sdp *offer, *answer;

    (void)state;
    small.keying.suites = few;
    reopen(only, small);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_string_equal(evidence_of(&p.a).suite, "AES_CM_128_HMAC_SHA1_80"); /* the offer's order */
    assert_int_equal(evidence_of(&p.a).notes, CPH_KEYING_NOTE_NOT_BEST);
    reopen(small, only);
    exchange(&p, &p.a, &p.b);
    assert_int_equal(evidence_of(&p.b).notes, CPH_KEYING_NOTE_SHORT_TAG);
    /* a peer without our best group */
    reopen(only, only);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, tampered(&p, offer, "1 x25519", "1 kyber"));
    assert_true(cph_span_starts(dh_of(answer), "2 p-256 "));
    assert_ok(try_finish(&p.a, answer));
    assert_int_equal(evidence_of(&p.a).notes, CPH_KEYING_NOTE_NOT_BEST);
    /* that line was altered on its way, and it shows: the keys are not the same */
    install(&p, &p.a);
    install(&p, &p.b);
    assert_err(send_one(&p.a, &p.b, 1), CPH_E_AUTH);
}

static void whatever_is_changed_in_a_line_changes_the_keys(void **state)
{
    static const char *const change[][2] = {
        { "AEAD_AES_256_GCM,", "" }, /* the best suite taken out */
        { "a=sdp-dh:2 ", "a=gone:2 " },
        { "a=sdp-dh:2 ", "a=sdp-dh:3 " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        struct cph_sdp *offer;

        reopen(only, only);
        offer = make_offer(&p, &p.a);
        assert_ok(try_finish(
            &p.a, make_answer(&p, &p.b, tampered(&p, offer, change[i][0], change[i][1]))));
        install(&p, &p.a);
        install(&p, &p.b);
        assert_err(send_one(&p.a, &p.b, 1), CPH_E_AUTH);
    }
}

static void answers_that_do_not_fit_the_offer_fail(void **state)
{
    static const struct {
        const char *from, *to;
        cph_err err;
    } bad[] = {
        { "a=sdp-dh:", "a=sdp-dx:", CPH_E_POLICY }, /* stripped */
        { "RTP/SAVP", "RTP/AVP", CPH_E_POLICY },
        { "a=sdp-dh:1 ", "a=sdp-dh:2 ", CPH_E_POLICY }, /* a tag of another group */
        { "a=sdp-dh:1 ", "a=sdp-dh:3 ", CPH_E_POLICY }, /* a tag that was not offered */
        { "a=sdp-dh:1 ", "a=sdp-dh:0 ", CPH_E_MALFORMED },
        { "AEAD_AES_256_GCM", "AES_192_CM_HMAC_SHA1_80", CPH_E_POLICY }, /* not offered */
        { "AEAD_AES_256_GCM", "NEW_SUITE", CPH_E_POLICY },
        { "AEAD_AES_256_GCM", "AEAD_AES_256_GCM,AEAD_AES_128_GCM", CPH_E_MALFORMED },
        { "x25519", "x448", CPH_E_UNSUPPORTED },
    };
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer = make_answer(&p, &p.b, offer), *twice;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(try_finish(&p.a, tampered(&p, answer, bad[i].from, bad[i].to)), bad[i].err);
    twice = read_sdp(&p, text_of(&p, answer));
    assert_ok(cph_sdp_attr_add(twice, twice->media[0], "sdp-dh", "1 x25519 AEAD_AES_256_GCM " S1));
    assert_err(try_finish(&p.a, twice), CPH_E_MALFORMED); /* one line only */
    assert_err(try_finish(&p.a, offer), CPH_E_MALFORMED); /* our own offer */
    assert_int_equal(status_of(&p.a).outcome, CPH_NEGO_FAILED);
    assert_ok(try_finish(&p.a, answer)); /* and yet the real answer still counts */
    assert_media(&p, 1);
}

static void offers_without_a_usable_line_are_refused(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer, *many;

    (void)state;
    assert_err(try_answer(&p, &p.b, tampered(&p, offer, "a=sdp-dh:", "a=x:"), &answer),
               CPH_E_POLICY);
    assert_err(try_answer(&p, &p.b, tampered(&p, offer, " AEAD_", " WEIRD_"), &answer), CPH_OK);
    many = read_sdp(&p, text_of(&p, offer));
    for (int i = 3; i < 10; i++)
        assert_ok(cph_sdp_attr_fmt(many, many->media[0], "sdp-dh", "%d new X AAAA", i));
    assert_err(try_answer(&p, &p.b, many, &answer), CPH_E_POLICY); /* more lines than we look at */
    assert_int_equal(count_attr(answer, "sdp-dh"), 0);
}

/* Shares that make no secret: zero, and a point of small order. */
static void shares_that_are_none_are_refused(void **state)
{
    struct cph_sdp *answer, *offer = make_offer(&p, &p.a), *good = make_answer(&p, &p.b, offer);
    char zero[CPH_BASE64_LEN(32) + 1];
    static const uint8_t none[32];
    char text[256];

    (void)state;
    cph_base64((struct cph_span){ none, sizeof none }, zero);
    (void)snprintf(text, sizeof text,
                   "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
                   "m=audio 4000 RTP/SAVP 0\r\na=sdp-dh:1 x25519 AEAD_AES_256_GCM %s\r\n",
                   zero);
    assert_err(try_finish(&p.a, read_sdp(&p, text)), CPH_E_MALFORMED);
    assert_ok(try_finish(&p.a, good));
    reopen(only, only);
    assert_err(try_answer(&p, &p.b, read_sdp(&p, text), &answer), CPH_E_POLICY);
    assert_int_equal(count_attr(answer, "sdp-dh"), 0);
}

static void our_own_share_is_not_taken_for_the_peers(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *back, *mirror;

    (void)state;
    mirror = tampered(&p, offer,
                      ",AEAD_AES_128_GCM,AES_256_CM_HMAC_SHA1_80,AES_CM_128_HMAC_SHA1_80,"
                      "AES_CM_128_HMAC_SHA1_32",
                      "");
    assert_err(try_finish(&p.a, tampered(&p, mirror, "a=sdp-dh:2", "a=x:2")), CPH_E_POLICY);
    assert_err(try_answer(&p, &p.a, offer, &back), CPH_E_POLICY);
}

/* ---- later exchanges ------------------------------------------------------------------------- */

static void hold_and_refresh_change_no_key(void **state)
{
    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    for (unsigned i = 0; i < 4; i++) {
        p.a.direction = i & 1 ? CPH_SDP_SENDRECV : CPH_SDP_SENDONLY;
        exchange(&p, i & 2 ? &p.b : &p.a, i & 2 ? &p.a : &p.b); /* either side may ask */
        assert_media(&p, (uint16_t)(2 + i));
    }
    assert_true(p.a.installs[0] == 1 && p.b.installs[1] == 1);
}

static void renewing_makes_new_keys_on_both_sides(void **state)
{
    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1); /* indices begin anew under new keys */
    assert_int_equal(p.a.installs[0], 2);
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.b, &p.a); /* of a share that is said again there is no other key */
    assert_media(&p, 2);
    assert_int_equal(p.b.installs[1], 2);
    assert_true(status_of(&p.a).keying.offer_wanted);
    exchange(&p, &p.a, &p.b);
    assert_false(status_of(&p.a).keying.offer_wanted);
    assert_media(&p, 1);
    assert_int_equal(p.b.installs[1], 3);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 2);
    assert_int_equal(p.b.installs[1], 3);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 3);
}

static void a_refused_offer_leaves_the_keys(void **state)
{
    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    (void)make_offer(&p, &p.a);
    cph_nego_rollback(p.a.nego);
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    for (unsigned i = 0; i < 2;
         i++) { /* a hold, by either side, asks for nothing that was refused */
        exchange(&p, i ? &p.b : &p.a, i ? &p.a : &p.b);
        assert_media(&p, (uint16_t)(3 + i));
    }
    assert_int_equal(p.a.installs[0], 1);
    cph_nego_renew(p.a.nego); /* who still wants them says so again */
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_int_equal(p.a.installs[0], 2);
}

static void a_bad_answer_to_a_later_offer_leaves_the_keys(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_err(try_finish(&p.a, tampered(&p, answer, "a=sdp-dh:1 ", "a=sdp-dh:9 ")), CPH_E_POLICY);
    assert_int_equal(status_of(&p.a).outcome, CPH_NEGO_SECURE);
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
}

static void a_later_answer_to_the_same_offer_counts(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a);

    (void)state;
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer))); /* 183 */
    assert_media(&p, 1);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer))); /* 200: the same share again */
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
}

static void each_branch_has_keys_of_its_own(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;
    struct side branch = { 0 }, other;
    struct cph_nego *late;

    (void)state;
    side_open(&other, only, "10.0.0.3", 5);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_ok(cph_nego_fork(p.a.nego, &branch.nego));
    answer = make_answer(&p, &other, offer);
    assert_ok(try_finish(&branch, answer));
    assert_media(&p, 1);
    install(&p, &branch);
    install(&p, &other);
    assert_ok(send_one(&other, &branch, 1));
    assert_ok(send_one(&branch, &other, 1));
    assert_err(send_one(&other, &p.a, 2), CPH_E_AUTH); /* neither way do they know each other's */
    assert_err(send_one(&p.a, &other, 2), CPH_E_AUTH);
    assert_false(evidence_of(&branch).notes & CPH_KEYING_NOTE_KEY_SHARED);
    exchange(&p, &p.a, &p.b);
    assert_err(cph_nego_fork(p.a.nego, &late), CPH_E_STATE);
    side_close(&branch);
    side_close(&other);
}

/* Somebody else behind the same dialog (a transfer): of what is said again no key can be made, and
 * the next offer makes keys with him. */
static void who_takes_the_call_over_has_keys_after_another_offer(void **state)
{
    struct side third;

    (void)state;
    side_open(&third, only, "10.0.0.4", 6);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_false(status_of(&p.a).keying.offer_wanted);
    exchange(&p, &p.a, &third);
    assert_true(status_of(&p.a).keying.offer_wanted);
    assert_media(&p, 2); /* what there was holds until then, and is with nobody else */
    install(&p, &third);
    assert_err(send_one(&p.a, &third, 3), CPH_E_AUTH);
    exchange(&p, &p.a, &third);
    assert_false(status_of(&p.a).keying.offer_wanted);
    install(&p, &p.a);
    install(&p, &third);
    assert_ok(send_one(&p.a, &third, 1));
    assert_ok(send_one(&third, &p.a, 1));
    exchange(&p, &p.a, &third);
    assert_false(status_of(&p.a).keying.offer_wanted);
    exchange(&p, &p.a, &p.b); /* and once more somebody else: but that offer is refused */
    assert_true(status_of(&p.a).keying.offer_wanted);
    (void)make_offer(&p, &p.a);
    cph_nego_rollback(p.a.nego);
    assert_false(status_of(&p.a).keying.offer_wanted); /* it is not asked for again for ever */
    side_close(&third);
}

/* ---- private values -------------------------------------------------------------------------- */

static cph_err (*draw)(void *ctx, void *buf, size_t n);
static uint8_t drawn[8][32]; /* what the private values are, or were made of */
static unsigned n_drawn;

static cph_err noting(void *ctx, void *buf, size_t n)
{
    CPH_TRY(draw(ctx, buf, n));
    if (n == sizeof drawn[0] && n_drawn < sizeof drawn / sizeof *drawn)
        memcpy(drawn[n_drawn++], buf, n);
    return CPH_OK;
}

static void note_draws(struct side *s)
{
    draw = s->env.env.random;
    s->env.env.random = noting;
    n_drawn = 0;
}

/* How many of the values drawn are somewhere in the instance. */
static unsigned kept(const struct side *s)
{
    struct cph_keying *k = cph_nego_instance(s->nego);
    unsigned n = 0;

    assert_non_null(k);
    for (unsigned i = 0; i < n_drawn; i++)
        n += memmem(k, malloc_usable_size(k), drawn[i], sizeof drawn[i]) != NULL; // NOLINT
    return n;
}

static void a_private_value_goes_with_the_last_answer(void **state)
{
    struct cph_sdp *offer, *answer;
    struct cph_nego *fork;

    (void)state;
    note_draws(&p.a);
    offer = make_offer(&p, &p.a);
    assert_int_equal(n_drawn, 2);
    answer = make_answer(&p, &p.b, offer);
    assert_ok(try_finish(&p.a, answer)); /* 183 */
    assert_int_equal(kept(&p.a), 2);     /* another phone may answer, and with the other group */
    assert_ok(cph_nego_fork(p.a.nego, &fork));
    cph_nego_free(fork);
    assert_ok(try_finish(&p.a, answer)); /* 200 */
    cph_nego_settled(p.a.nego);
    assert_int_equal(kept(&p.a), 0);
    assert_err(try_finish(&p.a, answer), CPH_E_STATE);
    assert_err(cph_nego_fork(p.a.nego, &fork), CPH_E_STATE);
    assert_media(&p, 1);
    exchange(&p, &p.a, &p.b); /* what is said again needs none */
    assert_int_equal(n_drawn, 2);
    assert_media(&p, 2);
    cph_nego_renew(p.a.nego);
    (void)make_offer(&p, &p.a);
    assert_int_equal(kept(&p.a), 2);
    cph_nego_rollback(p.a.nego); /* refused */
    assert_int_equal(kept(&p.a), 0);
    assert_media(&p, 3);
}

static void an_answerer_keeps_no_private_value(void **state)
{
    (void)state;
    note_draws(&p.b);
    exchange(&p, &p.a, &p.b);
    assert_int_equal(n_drawn, 1);
    assert_int_equal(kept(&p.b), 0);
    cph_nego_settled(p.a.nego);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 1);
    assert_true(p.a.installs[0] == 1 && p.b.installs[0] == 1);
}

/* Both sides of the man in the middle believe they have keys, and he has them all. */
static void who_writes_in_the_signalling_is_the_peer(void **state)
{
    struct side evil_b, evil_a;
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;

    (void)state;
    side_open(&evil_b, only, "10.0.0.9", 7);
    side_open(&evil_a, only, "10.0.0.9", 8);
    answer = make_answer(&p, &evil_b, offer);
    assert_ok(try_finish(&p.a, answer));
    assert_ok(try_finish(&evil_a, make_answer(&p, &p.b, make_offer(&p, &evil_a))));
    install(&p, &p.a);
    install(&p, &evil_b);
    assert_ok(send_one(&p.a, &evil_b, 1));
    assert_int_equal(evidence_of(&p.a).peer_auth, CPH_KEYING_AUTH_PATH);
    side_close(&evil_b);
    side_close(&evil_a);
}

static void no_randomness_means_no_offer_and_no_answer(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *sdp;

    (void)state;
    p.b.env.random_fails = 1;
    assert_int_not_equal(try_answer(&p, &p.b, offer, &sdp), CPH_OK);
    assert_int_equal(count_attr(sdp, "sdp-dh"), 0);
    p.b.env.random_fails = 2;
    assert_int_not_equal(try_offer(&p, &p.b, &sdp), CPH_OK);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 1);
}

static cph_err whole_call(void *arg)
{
    struct cph_nego_cfg cfg = only;
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
        test(a_line_is_read_and_written),
        test(lines_of_another_form_are_refused),
        test(keys_are_those_of_the_other_implementation),
        test(lines_count_by_their_tags),
        test(a_server_that_moves_lines_changes_neither_keys_nor_choice),
        test(two_sides_agree_and_hear_each_other),
        test(nobody_speaks_it_unless_it_is_named),
        test(each_group_gives_keys),
        test(a_group_nobody_has_is_a_mistake_of_the_configuration),
        test(the_first_line_and_suite_that_both_have_is_taken),
        test(whatever_is_changed_in_a_line_changes_the_keys),
        test(answers_that_do_not_fit_the_offer_fail),
        test(offers_without_a_usable_line_are_refused),
        test(shares_that_are_none_are_refused),
        test(our_own_share_is_not_taken_for_the_peers),
        test(hold_and_refresh_change_no_key),
        test(renewing_makes_new_keys_on_both_sides),
        test(a_refused_offer_leaves_the_keys),
        test(a_bad_answer_to_a_later_offer_leaves_the_keys),
        test(a_later_answer_to_the_same_offer_counts),
        test(each_branch_has_keys_of_its_own),
        test(who_takes_the_call_over_has_keys_after_another_offer),
        test(a_private_value_goes_with_the_last_answer),
        test(an_answerer_keeps_no_private_value),
        test(who_writes_in_the_signalling_is_the_peer),
        test(no_randomness_means_no_offer_and_no_answer),
        test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
