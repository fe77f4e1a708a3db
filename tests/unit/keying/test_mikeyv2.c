/* MIKEYv2 between two sides, in SDP and on the media path. */
#include "mikey_world.h"

#include "mikeyv2/mikeyv2_int.h"

static const struct cph_secret other = { .n = 16, .b = "another secret.." };

static int in_sdp(void **state)
{
    row[0] = cph_keying_method_by_name(CPH_SPAN_LIT("mikeyv2"));
    return defaults(state);
}

#undef test
#define test(f) cmocka_unit_test_setup_teardown(f, in_sdp, teardown)

static struct cph_keying_status keying(const struct side *s)
{
    return status_of(s).keying;
}

static const char *attr_of(const struct cph_sdp *sdp)
{
    return (const char *)cph_arena_copy(p.arena, cph_sdp_attr(&sdp->media[0]->part, "mikeyv2")->arg)
        .p;
}

/* ---- the other implementation -------------------------------------------------------------- */

static struct v2_hello hello_from(struct vectors *v, const char *name)
{
    struct v2_hello t = { .n = vectors_hex(v, name).n };

    assert_true(t.n <= sizeof t.b);
    memcpy(t.b, vectors_hex(v, name).p, t.n);
    return t;
}

/* The responder's half of a run that was written down elsewhere: hellos, a proof, keys. */
static void a_run_of_the_other_implementation_gives_its_keys(void **state)
{
    struct vectors *v = vectors_open("mikeyv2/run.txt");
    static const char *const suites[] = { "AES_CM_128_HMAC_SHA1_80", NULL };
    struct cph_mikey_cfg c = { .env = &env_b.env, .mode = CPH_MIKEY_PSK, .id = BOB };
    struct cph_secret secret = { 0 };
    struct cph_keying_cfg cfg = { .env = &env_b.env, .suites = suites };
    struct cph_keying *k;
    MIKEY_CSB_SCOPED csb = { 0 };
    V2_SHAKE_SCOPED s = { 0 };
    struct v2_msg m;

    (void)state;
    assert_true(vectors_next(v));
    assert_ok(cph_secret_set(&secret, vectors_hex(v, "psk")));
    c.psk = &secret;
    assert_ok(cph_mikey_new(&c, &mb));
    cfg.mikey = mb;
    assert_ok(row[0]->make(&cfg, &k));
    assert_ok(v2_choose((struct v2 *)k, vectors_hex(v, "hello_i"), &s)); /* it can be read */
    assert_true(s.mode == CPH_MIKEY_PSK && s.group == MIKEY_P256);
    assert_string_equal(s.suite->sdes_name, suites[0]);
    s.hello[1] = hello_from(v, "hello_r"); /* and this is what we said */
    assert_ok(v2_parse(vectors_hex(v, "hello_r"), &m));
    s.spi_r = m.spi_r;
    assert_ok(v2_respond((struct v2 *)k, vectors_hex(v, "proof_i"), &s, &csb));
    assert_memory_equal(csb.b.rand, vectors_hex(v, "rand").p, 32);
    for (unsigned cs = 1; cs <= 2; cs++) {
        CPH_SRTP_POLICY_SCOPED policy = { 0 };
        char name[16];

        assert_ok(mikey_master(&csb, cs, 0, &policy));
        (void)snprintf(name, sizeof name, "key%u", cs);
        assert_memory_equal(policy.master.key.b, vectors_hex(v, name).p, policy.master.key.n);
        (void)snprintf(name, sizeof name, "salt%u", cs);
        assert_memory_equal(policy.master.salt.b, vectors_hex(v, name).p, policy.master.salt.n);
    }
    assert_true(cph_span_eq(v2_proof(&s), vectors_hex(v, "proof_r")));
    assert_true(v2_heard(&s, vectors_hex(v, "proof_i")));
    assert_false(v2_heard(&s, vectors_hex(v, "proof_r")));
    cph_keying_free(k);
    vectors_close(v);
}

static cph_err parses(void *arg, struct cph_span bytes)
{
    uint8_t b[V2_HELLO_MAX];
    struct cph_wr wr = cph_wr_open(b, sizeof b);
    struct v2_msg m;
    cph_err err = v2_parse(bytes, &m);

    (void)arg;
    if (err != CPH_OK)
        return err;
    assert_ok(v2_build(&m, &wr));
    assert_true(cph_span_eq(cph_wr_done(&wr), bytes));
    return CPH_OK;
}

static void hellos_that_end_early_are_refused(void **state)
{
    struct vectors *v = vectors_open("mikeyv2/run.txt");

    (void)state;
    assert_true(vectors_next(v));
    expect_fragile(vectors_hex(v, "hello_i"), FRAGILE_TRUNCATION, parses, NULL);
    expect_fragile(vectors_hex(v, "hello_r"), FRAGILE_TRUNCATION, parses, NULL);
    vectors_close(v);
}

/* ---- in SDP --------------------------------------------------------------------------------- */

static void two_exchanges_make_keys(void **state)
{
    struct cph_keying_evidence e;

    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_int_equal(keying(&p.a).state, CPH_KEYING_RUNNING);
    assert_int_equal(keying(&p.b).state, CPH_KEYING_RUNNING);
    assert_true(keying(&p.a).offer_wanted);
    assert_false(keying(&p.b).offer_wanted);
    exchange(&p, &p.a, &p.b);
    assert_int_equal(keying(&p.a).state, CPH_KEYING_KEYED);
    assert_false(keying(&p.a).offer_wanted);
    assert_media(&p, 1);
    e = evidence_of(&p.a);
    assert_string_equal(e.method, "mikeyv2");
    assert_string_equal(e.suite, "AEAD_AES_256_GCM");
    assert_true(e.keyed && e.keys_stay_at_ends && e.choice_protected && !e.forward_secrecy);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_PSK);
}

/* Also not by a name of a policy: what expired is in none. */
static void nobody_speaks_it_unless_it_is_named(void **state)
{
    static const char *const v2[] = { "mikeyv2", "mikeyv2-inband" };

    (void)state;
    for (const struct cph_keying_preset *preset = cph_keying_presets;; preset++) {
        const struct cph_keying_method *of_preset[CPH_KEYING_MAX_METHODS + 1] = { NULL };
        unsigned n = 0;

        for (; preset->name && preset->row[n]; n++) /* the one without a name: no list at all */
            of_preset[n] = cph_keying_method_by_name(cph_span_of(preset->row[n]));
        for (unsigned i = 0; i < 2; i++) {
            struct cph_nego_cfg a = { .policy = CPH_KEYING_REQUIRED, .methods = row }, b = a;
            struct cph_sdp *offer, *answer;

            row[0] = cph_keying_method_by_name(cph_span_of(v2[i]));
            reopen(); /* their MIKEY objects */
            pair_close(&p);
            a.keying.mikey = ma;
            b.keying.mikey = mb;
            b.methods = preset->name ? of_preset : NULL;
            pair_open(&p, a, b);
            offer = make_offer(&p, &p.a);
            assert_int_equal(count_attr(offer, v2[i]), 1);
            assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
            assert_int_equal(answer->media[0]->port, 0);
            offer = make_offer(&p, &p.b);
            assert_int_equal(count_attr(offer, v2[i]), 0);
            pair_close(&p);
            p.arena = NULL;
        }
        if (!preset->name)
            break;
    }
}

static void every_mode_of_mikey_may_be_agreed_on(void **state)
{
    (void)state;
    for (int mode = CPH_MIKEY_NULL; mode <= CPH_MIKEY_DHHMAC; mode++) { /* these keys are RSA */
        cfg_a.mode = (enum cph_mikey_mode)mode;
        cfg_a.accept = cfg_b.accept = 1U << mode;
        cfg_a.peer_cert = cert_rsa_b;
        reopen();
        exchange(&p, &p.a, &p.b);
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 1);
        assert_int_equal(evidence_of(&p.b).forward_secrecy,
                         mode == CPH_MIKEY_DHSIGN || mode == CPH_MIKEY_DHHMAC);
        assert_int_equal(evidence_of(&p.b).keys_stay_at_ends, mode != CPH_MIKEY_NULL);
        assert_int_equal(evidence_of(&p.b).peer_auth,
                         mode == CPH_MIKEY_NULL ? CPH_KEYING_AUTH_NONE
                         : mode == CPH_MIKEY_PSK || mode == CPH_MIKEY_DHHMAC
                             ? CPH_KEYING_AUTH_PSK
                             : CPH_KEYING_AUTH_CERT);
    }
}

static void the_first_mode_group_and_suite_that_both_have_is_taken(void **state)
{
    static const char *const few[] = { "AES_CM_128_HMAC_SHA1_80", NULL };

    (void)state;
    cfg_a.mode = CPH_MIKEY_PSK;
    cfg_b.mode = CPH_MIKEY_PSK;
    cfg_b.accept = 1U << CPH_MIKEY_DHSIGN; /* not what the other likes best */
    cfg_b.group = CPH_AGREE_MODP_3072;
    reopen_with(NULL, few);
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_string_equal(evidence_of(&p.a).suite, "AES_CM_128_HMAC_SHA1_80");
    assert_true(evidence_of(&p.a).forward_secrecy);
}

static void nobodys_clock_matters(void **state)
{
    (void)state;
    env_b.wall = env_a.wall + 5 * 365 * 86400;
    reopen();
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
}

static void with_nothing_in_common_there_is_no_stream(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    cfg_b.accept = 1U << CPH_MIKEY_DHSIGN;
    cfg_a.accept = 1U << CPH_MIKEY_PSK;
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
}

static void somebody_else_is_refused_by_name_and_by_proof(void **state)
{
    struct cph_sdp *answer, *offer;

    (void)state;
    cfg_b.peer_id = "sip:carol@example.org";
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    cfg_b.peer_id = ALICE;
    cfg_a.peer_id = "sip:carol@example.org";
    reopen();
    answer = make_answer(&p, &p.b, make_offer(&p, &p.a));
    assert_err(try_finish(&p.a, answer), CPH_E_POLICY);
    cfg_a.peer_id = BOB;
    cfg_b.psk = &other; /* the right name, but not the secret */
    reopen();
    exchange(&p, &p.a, &p.b);
    offer = make_offer(&p, &p.a);
    assert_int_not_equal(try_answer(&p, &p.b, offer, &answer), CPH_OK);
    assert_int_not_equal(keying(&p.b).state, CPH_KEYING_KEYED);
}

/* A certificate proves whom the user wanted, and not whom the other end says it is. */
static void a_name_that_the_peer_gave_itself_proves_nobody(void **state)
{
    (void)state;
    cfg_a.mode = CPH_MIKEY_DHSIGN;
    cfg_a.peer_id = NULL;
    reopen();
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_int_equal(evidence_of(&p.a).peer_auth, CPH_KEYING_AUTH_NONE);
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_CERT); /* that one knew whom */
}

static void our_own_hello_is_not_answered(void **state)
{
    struct cph_sdp *answer, *offer;

    (void)state;
    reopen();
    offer = make_offer(&p, &p.a);
    assert_err(try_answer(&p, &p.a, offer, &answer), CPH_E_POLICY);
}

/* Bytes of a message in a description, one of them changed. */
static struct cph_sdp *bent(const struct cph_sdp *sdp, size_t at, uint8_t bit)
{
    const char *text = attr_of(sdp);
    static uint8_t b[V2_MSG_MAX];
    static char back[CPH_BASE64_LEN(V2_MSG_MAX) + 1];
    size_t n;

    assert_ok(cph_unbase64(cph_span_of(text), false, b, sizeof b, &n));
    if (at >= n)
        return NULL;
    b[at] ^= bit;
    cph_base64((struct cph_span){ b, n }, back);
    return tampered(&p, sdp, text, back);
}

/* A call whose message number `which` (0 to 3) has a bit changed. False: it is not that long. */
static bool a_call_that_goes_wrong(int which, size_t at)
{
    struct cph_sdp *sdp, *answer;

    for (int m = 0; m < 4; m += 2) {
        sdp = make_offer(&p, &p.a);
        if (which == m && !(sdp = bent(sdp, at, 1)))
            return false;
        if (try_answer(&p, &p.b, sdp, &answer) != CPH_OK)
            return true;
        if (which == m + 1 && !(answer = bent(answer, at, 1)))
            return false;
        if (try_finish(&p.a, answer) != CPH_OK)
            return true;
    }
    print_error("message %d, byte %zu changed, and nobody saw it\n", which, at);
    fail();
    return true;
}

static void whatever_is_changed_makes_no_keys(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++)
        for (size_t at = 0;; at += which < 2 ? 1 : 5) {
            reopen();
            if (!a_call_that_goes_wrong(which, at))
                break;
            assert_int_not_equal(keying(&p.a).state, CPH_KEYING_KEYED);
        }
}

static void hold_changes_nothing_and_rekey_takes_two_exchanges(void **state)
{
    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    for (int i = 0; i < 4; i++) {
        p.a.direction = i & 1 ? CPH_SDP_SENDRECV : CPH_SDP_SENDONLY;
        exchange(&p, i & 2 ? &p.b : &p.a, i & 2 ? &p.a : &p.b);
        assert_media(&p, (uint16_t)(2 + i));
    }
    assert_int_equal(p.a.installs[0], 1);
    cph_nego_renew(p.b.nego); /* by who answered the first */
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 6);
    assert_true(keying(&p.b).offer_wanted);
    exchange(&p, &p.a, &p.b); /* a hold comes between */
    assert_media(&p, 7);
    assert_true(keying(&p.b).offer_wanted);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 8); /* the same indices go on under new keys */
    assert_int_equal(p.a.installs[0], 2);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 9);
    assert_int_equal(p.a.installs[0], 2);
}

static void a_hold_before_the_keys_waits_for_them(void **state)
{
    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.b, &p.a); /* the called one was faster */
    assert_true(keying(&p.a).offer_wanted);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
}

static void messages_that_come_again_are_answered_the_same(void **state)
{
    struct cph_sdp *offer, *first, *second;

    (void)state;
    reopen();
    offer = make_offer(&p, &p.a);
    first = make_answer(&p, &p.b, offer);
    second = make_answer(&p, &p.b, offer);
    assert_string_equal(attr_of(first), attr_of(second));
    assert_ok(try_finish(&p.a, first));  /* 183 */
    assert_ok(try_finish(&p.a, second)); /* 200 */
    offer = make_offer(&p, &p.a);
    first = make_answer(&p, &p.b, offer);
    second = make_answer(&p, &p.b, offer);
    assert_string_equal(attr_of(first), attr_of(second));
    assert_ok(try_finish(&p.a, first));
    assert_ok(try_finish(&p.a, second));
    assert_media(&p, 1);
    assert_int_equal(p.a.installs[0], 1);
}

static void messages_of_another_run_are_refused(void **state)
{
    struct cph_sdp *old, *offer, *answer;

    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    old = make_offer(&p, &p.a); /* the proof of a first run */
    old = read_sdp(&p, text_of(&p, old));
    {
        const char *text = text_of(&p, old);
        static char kept[20000];

        (void)snprintf(kept, sizeof kept, "%s", text);
        reopen();
        (void)test_random(&p.b.env); /* another nonce */
        exchange(&p, &p.a, &p.b);
        assert_int_not_equal(try_answer(&p, &p.b, read_sdp(&p, kept), &answer), CPH_OK);
    }
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
}

static void a_second_round_that_is_refused_is_tried_three_times(void **state)
{
    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    for (int i = 0; i < 3; i++) {
        assert_true(keying(&p.a).offer_wanted);
        (void)make_offer(&p, &p.a);
        cph_nego_rollback(p.a.nego);
    }
    assert_int_equal(keying(&p.a).state, CPH_KEYING_FAILED);
    assert_false(keying(&p.a).offer_wanted);
}

/* A call with keys, and a wish for new ones whose first round trip is through. */
static void rekey_half_done(void)
{
    reopen();
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.a, &p.b);
    assert_true(keying(&p.a).offer_wanted);
}

/* Holds by either side go through under the keys there were, and ask for nothing. */
static void holds_go_through(uint16_t seq)
{
    for (unsigned i = 0; i < 4; i++) {
        exchange(&p, i & 1 ? &p.b : &p.a, i & 1 ? &p.a : &p.b);
        cph_nego_settled(i & 1 ? p.b.nego : p.a.nego);
        assert_media(&p, (uint16_t)(seq + i));
        assert_false(keying(&p.a).offer_wanted || keying(&p.b).offer_wanted);
        assert_int_equal(keying(&p.a).state, CPH_KEYING_KEYED);
    }
}

static void a_rekey_whose_hello_is_refused_is_over(void **state)
{
    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    (void)make_offer(&p, &p.a);
    cph_nego_rollback(p.a.nego);
    holds_go_through(2);
    assert_int_equal(p.a.installs[0], 1);
    cph_nego_renew(p.a.nego); /* who still wants it says so again */
    exchange(&p, &p.a, &p.b);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 6);
    assert_int_equal(p.a.installs[0], 2);
}

static void a_rekey_whose_proof_is_refused_is_over_after_three_tries(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) { /* and then either side may begin another */
        struct side *again = who ? &p.b : &p.a, *other_side = who ? &p.a : &p.b;

        rekey_half_done();
        for (int i = 0; i < 3; i++) {
            assert_true(keying(&p.a).offer_wanted);
            (void)make_offer(&p, &p.a);
            cph_nego_rollback(p.a.nego);
        }
        holds_go_through(2);
        assert_int_equal(p.a.installs[0], 1);
        cph_nego_renew(again->nego);
        exchange(&p, again, other_side);
        exchange(&p, again, other_side);
        assert_media(&p, 6);
        assert_true(p.a.installs[0] == 2 && p.b.installs[0] == 2);
    }
}

static void a_proof_whose_answer_was_spoilt_is_said_again(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    rekey_half_done();
    answer = make_answer(&p, &p.b, make_offer(&p, &p.a)); /* Bob has new keys already */
    assert_int_not_equal(try_finish(&p.a, bent(answer, 60, 1)), CPH_OK);
    cph_nego_settled(p.a.nego);
    assert_true(keying(&p.a).offer_wanted);
    exchange(&p, &p.a, &p.b);
    cph_nego_settled(p.a.nego);
    assert_false(keying(&p.a).offer_wanted);
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 2);
}

/* Both want new keys, and the other's offer comes between our two: its run goes on, ours is over.
 */
static void a_run_of_the_peers_takes_the_place_of_ours(void **state)
{
    (void)state;
    rekey_half_done();
    cph_nego_renew(p.b.nego);
    exchange(&p, &p.b, &p.a);
    assert_false(keying(&p.a).offer_wanted);
    assert_true(keying(&p.b).offer_wanted);
    exchange(&p, &p.a, &p.b); /* a hold */
    assert_media(&p, 2);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 3);
    assert_true(p.a.installs[0] == 2 && p.b.installs[0] == 2);
}

static void what_made_the_keys_is_gone_when_they_are_there(void **state)
{
    struct v2 *a, *b;

    (void)state;
    cfg_a.mode = cfg_b.mode = CPH_MIKEY_DHSIGN;
    reopen();
    exchange(&p, &p.a, &p.b);
    a = (struct v2 *)cph_nego_instance(p.a.nego);
    b = (struct v2 *)cph_nego_instance(p.b.nego);
    (void)make_offer(&p, &p.a);
    assert_true(a->shake.offer && a->shake.offer->pair.ready);
    cph_nego_rollback(p.a.nego); /* refused once: it may go out again */
    assert_non_null(a->shake.offer);
    exchange(&p, &p.a, &p.b);
    assert_null(a->shake.offer);
    assert_null(a->shake.proof);
    assert_null(b->shake.offer);
    assert_media(&p, 1);
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.a, &p.b);
    for (int i = 0; i < 3; i++) {
        (void)make_offer(&p, &p.a);
        assert_non_null(a->shake.offer);
        cph_nego_rollback(p.a.nego);
    }
    assert_null(a->shake.offer);
    assert_media(&p, 2);
}

static void each_branch_runs_on_its_own(void **state)
{
    struct cph_nego_cfg c = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct side branch = { 0 }, third;
    struct cph_sdp *offer;

    (void)state;
    reopen();
    c.keying.mikey = mb;
    side_open(&third, c, "10.0.0.3", 5);
    offer = make_offer(&p, &p.a);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_ok(cph_nego_fork(p.a.nego, &branch.nego));
    branch.ip = p.a.ip;
    branch.port = p.a.port;
    branch.direction = CPH_SDP_SENDRECV;
    assert_ok(try_finish(&branch, make_answer(&p, &third, offer)));
    exchange(&p, &p.a, &p.b);
    exchange(&p, &branch, &third);
    assert_media(&p, 1);
    install(&p, &branch);
    install(&p, &third);
    assert_ok(send_one(&third, &branch, 1));
    assert_err(send_one(&third, &p.a, 2), CPH_E_AUTH);
    assert_err(send_one(&p.a, &third, 2), CPH_E_AUTH);
    side_close(&branch);
    side_close(&third);
}

/* ---- on the media path ---------------------------------------------------------------------- */

static const struct cph_addr peer_addr = { .family = CPH_AF_V4, .ip = { 10, 0, 0, 9 }, .port = 4 };

static void in_band(void)
{
    row[0] = cph_keying_method_by_name(CPH_SPAN_LIT("mikeyv2-inband"));
    reopen();
}

/* Everything there is to carry, both ways; lose: one of so many is lost, by chance. */
static unsigned carry(cph_time now, unsigned lose)
{
    struct side *side[2] = { &p.a, &p.b };
    struct cph_keying_packet packet;
    unsigned moved = 0;

    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < 2; i++)
            while (cph_nego_pull(side[i]->nego, &packet, now) == CPH_OK) {
                struct cph_span bytes = { packet.b, packet.n };

                again = true;
                moved++;
                assert_true(packet.n <= 1200 && packet.b[0] >= 80 && packet.b[0] <= 127);
                assert_true(cph_nego_claims(side[!i]->nego, bytes));
                if (lose == 0 || test_random(&env_a) % lose != 0)
                    (void)!cph_nego_feed(side[!i]->nego, CPH_KEYING_RTP, &peer_addr, bytes, now);
            }
    }
    return moved;
}

static void run_clock(cph_time until, unsigned lose)
{
    for (cph_time now = 0; now <= until; now += CPH_MS(10)) {
        cph_nego_tick(p.a.nego, now);
        cph_nego_tick(p.b.nego, now);
        (void)carry(now, lose);
    }
}

static void four_datagrams_make_keys(void **state)
{
    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    assert_int_equal(keying(&p.a).state, CPH_KEYING_RUNNING);
    assert_int_equal(cph_nego_deadline(p.b.nego), 0); /* who answered begins */
    assert_int_equal(cph_nego_deadline(p.a.nego), 0); /* the other opens the way */
    cph_nego_tick(p.b.nego, 0);
    assert_int_equal(carry(0, 0), 4);
    assert_media(&p, 1);
    assert_string_equal(evidence_of(&p.a).method, "mikeyv2-inband");
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_PSK);
    assert_int_equal(cph_nego_deadline(p.b.nego), CPH_TIME_NEVER);
}

static void loss_only_delays_and_long_messages_go_in_parts(void **state)
{
    (void)state;
    cfg_a.mode = cfg_b.mode = CPH_MIKEY_DHSIGN; /* with certificates of RSA keys: two parts */
    for (unsigned lose = 3; lose < 9; lose++) {
        in_band();
        exchange(&p, &p.a, &p.b);
        run_clock(CPH_SEC(14), lose);
        assert_media(&p, 1);
        assert_int_equal(evidence_of(&p.a).peer_auth, CPH_KEYING_AUTH_CERT);
    }
}

static void silence_ends_it(void **state)
{
    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    for (cph_time now = 0; now < CPH_SEC(30); now += CPH_MS(50)) {
        struct cph_keying_packet packet;

        cph_nego_tick(p.b.nego, now);
        while (cph_nego_pull(p.b.nego, &packet, now) == CPH_OK)
            continue;
    }
    assert_int_equal(keying(&p.b).state, CPH_KEYING_FAILED);
    assert_int_equal(keying(&p.b).err, CPH_E_TIMEOUT);
}

static void an_echo_is_not_answered_for_ever(void **state)
{
    struct cph_keying_packet hello, packet;
    unsigned answers = 0;

    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    cph_nego_tick(p.b.nego, 0);
    assert_ok(cph_nego_pull(p.b.nego, &hello, 0));
    for (int i = 0; i < 100; i++) {
        (void)!cph_nego_feed(p.a.nego, CPH_KEYING_RTP, &peer_addr,
                             (struct cph_span){ hello.b, hello.n }, 0);
        while (cph_nego_pull(p.a.nego, &packet, 0) == CPH_OK)
            answers++;
    }
    assert_true(answers > 1 && answers <= 21);
}

static void junk_and_packets_of_others_change_nothing(void **state)
{
    uint8_t b[300] = "mkv2";
    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    for (unsigned i = 0; i < 2000; i++) {
        size_t n = 16 + test_random(&env_a) % 280;

        for (size_t k = 4; k < n; k++)
            b[k] = (uint8_t)test_random(&env_a);
        if (i & 1) { /* of the right form */
            b[4] = 0;
            b[5] = 1;
            b[6] = (uint8_t)((n - 16) >> 8);
            b[7] = (uint8_t)(n - 16);
            b[16] = 2;
            b[17] = (uint8_t)(1 + i % 5);
        }
        (void)!cph_nego_feed(i & 2 ? p.a.nego : p.b.nego, CPH_KEYING_RTP, &peer_addr,
                             (struct cph_span){ b, n }, 0);
    }
    cph_nego_tick(p.b.nego, 0);
    (void)carry(0, 0);
    assert_media(&p, 1);
}

static void a_rekey_runs_again_and_both_may_begin(void **state)
{
    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    run_clock(CPH_SEC(1), 0);
    assert_media(&p, 1);
    exchange(&p, &p.a, &p.b); /* a hold */
    run_clock(CPH_SEC(1), 0);
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.a, &p.b);
    run_clock(CPH_SEC(1), 0);
    assert_media(&p, 3);
    assert_int_equal(p.a.installs[0], 2);
    cph_nego_renew(p.a.nego);
    cph_nego_renew(p.b.nego);
    exchange(&p, &p.a, &p.b);
    run_clock(CPH_SEC(14), 0);
    assert_media(&p, 4);
    assert_int_equal(p.a.installs[0], 3);
}

static void a_rekey_that_is_refused_or_not_answered_is_over_and_the_next_one_goes_on(void **state)
{
    struct cph_keying_packet packet;
    struct v2 *a;

    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    run_clock(CPH_SEC(1), 0);
    assert_media(&p, 1);
    a = (struct v2 *)cph_nego_instance(p.a.nego);
    cph_nego_renew(p.a.nego);
    (void)make_offer(&p, &p.a);
    cph_nego_rollback(p.a.nego); /* 488 */
    exchange(&p, &p.a, &p.b);    /* a hold */
    run_clock(CPH_SEC(1), 0);
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    cph_nego_renew(p.a.nego); /* taken, and then nothing arrives */
    exchange(&p, &p.a, &p.b);
    for (cph_time now = 0; now < CPH_SEC(30); now += CPH_MS(50)) {
        cph_nego_tick(p.a.nego, now);
        while (cph_nego_pull(p.a.nego, &packet, now) == CPH_OK)
            continue;
    }
    assert_int_equal(keying(&p.a).state, CPH_KEYING_KEYED);
    assert_int_equal(a->shake.state, V2_NONE);
    assert_int_equal(cph_nego_deadline(p.a.nego), CPH_TIME_NEVER);
    assert_media(&p, 3);
    for (unsigned i = 0; i < 2; i++) { /* by either side */
        struct side *again = i ? &p.b : &p.a;

        cph_nego_renew(again->nego);
        exchange(&p, again, i ? &p.a : &p.b);
        run_clock(CPH_SEC(1), 0);
        assert_media(&p, (uint16_t)(4 + i));
        assert_int_equal(p.a.installs[0], 2 + i);
    }
}

/* Somebody who can write to our port, and sees nothing. */
static const struct cph_addr elsewhere = { .family = CPH_AF_V4, .ip = { 192, 0, 2, 1 }, .port = 7 };

/* Who can write to our port, and sees nothing, does not stop the first run by a hello of his. */
static void a_strangers_hello_does_not_end_the_run_that_offer_and_answer_agreed_on(void **state)
{
    struct v2_msg m = { .type = V2_HELLO_I, .spi_i = 1, .id = CPH_SPAN_LIT(ALICE) };
    struct cph_keying_packet packet;
    uint8_t b[512] = "mkv2\0\1", nonce[V2_NONCE] = { 1 }, one[] = { CPH_MIKEY_PSK, MIKEY_P256 };
    struct cph_wr wr = cph_wr_open(b + 16, sizeof b - 16);

    (void)state;
    in_band();
    m.modes = (struct cph_span){ one, 1 };
    m.groups = (struct cph_span){ one + 1, 1 };
    m.suites = CPH_SPAN_LIT("AEAD_AES_256_GCM");
    m.nonce = (struct cph_span){ nonce, sizeof nonce };
    assert_ok(v2_build(&m, &wr));
    b[6] = (uint8_t)(wr.n >> 8);
    b[7] = (uint8_t)wr.n;
    b[15] = 1;
    exchange(&p, &p.a, &p.b);
    cph_nego_tick(p.b.nego, 0);
    assert_err(
        cph_nego_feed(p.b.nego, CPH_KEYING_RTP, &elsewhere, (struct cph_span){ b, 16 + wr.n }, 0),
        CPH_E_STATE);
    (void)carry(0, 0);
    assert_media(&p, 1);
    /* and later his address is not where a new run begins */
    assert_ok(
        cph_nego_feed(p.b.nego, CPH_KEYING_RTP, &elsewhere, (struct cph_span){ b, 16 + wr.n }, 0));
    while (cph_nego_pull(p.b.nego, &packet, 0) == CPH_OK)
        assert_true(packet.has_to && cph_addr_eq(&packet.to, &elsewhere));
    cph_nego_renew(p.b.nego);
    exchange(&p, &p.b, &p.a);
    for (cph_time now = 0; now < CPH_SEC(30); now += CPH_MS(10)) {
        struct side *side[2] = { &p.a, &p.b };

        for (int i = 0; i < 2; i++) {
            cph_nego_tick(side[i]->nego, now);
            while (cph_nego_pull(side[i]->nego, &packet, now) == CPH_OK)
                if (!packet.has_to || !cph_addr_eq(&packet.to, &elsewhere))
                    (void)!cph_nego_feed(side[!i]->nego, CPH_KEYING_RTP, &peer_addr,
                                         (struct cph_span){ packet.b, packet.n }, now);
        }
    }
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 2);
}

static struct cph_span strangers_hello(uint8_t b[512], uint64_t spi)
{
    uint8_t nonce[V2_NONCE] = { 1 }, one[] = { CPH_MIKEY_PSK, MIKEY_P256 };
    struct v2_msg m = { .type = V2_HELLO_I, .spi_i = spi, .id = CPH_SPAN_LIT(BOB) };
    struct cph_wr head = cph_wr_open(b, 16), wr = cph_wr_open(b + 16, 512 - 16);

    m.modes = (struct cph_span){ one, 1 };
    m.groups = (struct cph_span){ one + 1, 1 };
    m.suites = CPH_SPAN_LIT("AEAD_AES_256_GCM");
    m.nonce = (struct cph_span){ nonce, sizeof nonce };
    assert_ok(v2_build(&m, &wr));
    cph_wr_text(&head, "mkv2");
    cph_wr_u8(&head, 0);
    cph_wr_u8(&head, 1);
    cph_wr_u16(&head, (uint16_t)wr.n);
    cph_wr_u64(&head, spi);
    return (struct cph_span){ b, 16 + wr.n };
}

/* So many hellos that each begin a run, to Alice, who offered; how many were answered. */
static unsigned flood(unsigned n, const struct cph_addr *from, cph_time now)
{
    static uint64_t spi = 100;
    struct cph_keying_packet packet;
    unsigned answers = 0;
    uint8_t b[512];

    while (n-- > 0) {
        (void)!cph_nego_feed(p.a.nego, CPH_KEYING_RTP, from, strangers_hello(b, ++spi), now);
        while (cph_nego_pull(p.a.nego, &packet, now) == CPH_OK) {
            assert_true(packet.has_to && cph_addr_eq(&packet.to, from));
            answers++;
        }
    }
    return answers;
}

static struct cph_addr home_of(const struct side *s)
{
    struct cph_addr at;

    assert_ok(cph_addr_parse_ip(cph_span_of(s->ip), &at));
    at.port = s->port;
    return at;
}

/* What one side has to say comes to the other, from that address. */
static unsigned hand_over(struct side *by, struct side *to, const struct cph_addr *from,
                          cph_time now)
{
    struct cph_keying_packet packet;
    unsigned n = 0;

    for (; cph_nego_pull(by->nego, &packet, now) == CPH_OK; n++)
        (void)!cph_nego_feed(to->nego, CPH_KEYING_RTP, from,
                             (struct cph_span){ packet.b, packet.n }, now);
    return n;
}

static void hellos_from_elsewhere_do_not_keep_the_peer_out(void **state)
{
    struct cph_addr alice, bob;

    (void)state;
    in_band();
    exchange(&p, &p.a, &p.b);
    alice = home_of(&p.a);
    bob = home_of(&p.b);
    assert_int_equal(flood(40, &elsewhere, 0), 20); /* before the peer's first */
    cph_nego_tick(p.b.nego, 0);
    assert_int_equal(hand_over(&p.b, &p.a, &bob, 0), 1);
    assert_int_equal(hand_over(&p.a, &p.b, &alice, 0), 1);
    assert_int_equal(flood(40, &elsewhere, CPH_SEC(9)), 0); /* in the midst of the peer's run */
    assert_int_equal(hand_over(&p.b, &p.a, &bob, CPH_SEC(9)), 1);
    assert_int_equal(hand_over(&p.a, &p.b, &alice, CPH_SEC(9)), 1);
    assert_media(&p, 1);
}

/* Either with the peer's own address, or with any if the peer's is not the one it announced. The
 * answers come again with time, and the initiator begins anew when its proof finds nobody. */
static void a_burst_of_hellos_that_hits_the_peers_own_place_only_delays(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++)
        for (int midst = 0; midst < 2; midst++) {
            struct cph_addr alice, bob, from = elsewhere;
            cph_time now = 0;

            in_band();
            exchange(&p, &p.a, &p.b);
            alice = home_of(&p.a);
            bob = own ? home_of(&p.b) : peer_addr;
            from = own ? bob : elsewhere;
            assert_int_equal(flood(midst ? 0 : 20, &from, now), midst ? 0 : 20);
            cph_nego_tick(p.b.nego, now);
            assert_int_equal(hand_over(&p.b, &p.a, &bob, now), 1);
            assert_int_equal(hand_over(&p.a, &p.b, &alice, now), midst);
            assert_true(flood(midst ? 20 : 0, &from, now) == (midst ? 19 : 0));
            while (keying(&p.b).state == CPH_KEYING_RUNNING) {
                now += CPH_MS(10);
                cph_nego_tick(p.b.nego, now);
                (void)hand_over(&p.b, &p.a, &bob, now);
                (void)hand_over(&p.a, &p.b, &alice, now);
            }
            assert_media(&p, 1);
            assert_true(now < CPH_SEC(midst ? 8 : 1));
        }
}

/* ---- memory --------------------------------------------------------------------------------- */

static cph_err whole_call(void *arg)
{
    struct cph_nego_cfg a = { .policy = CPH_KEYING_REQUIRED, .methods = row }, b = a;

    (void)arg;
    a.keying.env = &env_a.env;
    a.keying.mikey = ma;
    b.keying.env = &env_b.env;
    b.keying.mikey = mb;
    return pair_whole_call(&a, &b, 2);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    reopen();
    test_alloc_fails(whole_call, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_run_of_the_other_implementation_gives_its_keys),
        test(hellos_that_end_early_are_refused),
        test(two_exchanges_make_keys),
        test(nobody_speaks_it_unless_it_is_named),
        test(every_mode_of_mikey_may_be_agreed_on),
        test(the_first_mode_group_and_suite_that_both_have_is_taken),
        test(nobodys_clock_matters),
        test(with_nothing_in_common_there_is_no_stream),
        test(somebody_else_is_refused_by_name_and_by_proof),
        test(a_name_that_the_peer_gave_itself_proves_nobody),
        test(our_own_hello_is_not_answered),
        test(whatever_is_changed_makes_no_keys),
        test(hold_changes_nothing_and_rekey_takes_two_exchanges),
        test(a_hold_before_the_keys_waits_for_them),
        test(messages_that_come_again_are_answered_the_same),
        test(messages_of_another_run_are_refused),
        test(a_second_round_that_is_refused_is_tried_three_times),
        test(a_rekey_whose_hello_is_refused_is_over),
        test(a_rekey_whose_proof_is_refused_is_over_after_three_tries),
        test(a_proof_whose_answer_was_spoilt_is_said_again),
        test(a_run_of_the_peers_takes_the_place_of_ours),
        test(what_made_the_keys_is_gone_when_they_are_there),
        test(each_branch_runs_on_its_own),
        test(four_datagrams_make_keys),
        test(loss_only_delays_and_long_messages_go_in_parts),
        test(silence_ends_it),
        test(an_echo_is_not_answered_for_ever),
        test(junk_and_packets_of_others_change_nothing),
        test(a_rekey_runs_again_and_both_may_begin),
        test(a_rekey_that_is_refused_or_not_answered_is_over_and_the_next_one_goes_on),
        test(a_strangers_hello_does_not_end_the_run_that_offer_and_answer_agreed_on),
        test(hellos_from_elsewhere_do_not_keep_the_peer_out),
        test(a_burst_of_hellos_that_hits_the_peers_own_place_only_delays),
        test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
