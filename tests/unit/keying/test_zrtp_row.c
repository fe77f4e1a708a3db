/* ZRTP as a row of the table: descriptions, forks, re-offers, and SRTP through what comes out. */
#include "pair.h"

#include "keying_int.h"
#include "zrtp/zrtp_int.h"

static const struct cph_keying_method *const zrtp_only[] = { &cph_keying_zrtp, NULL };
static const struct cph_keying_method *const sdes_and_zrtp[] = { &cph_keying_sdes, &cph_keying_zrtp,
                                                                 NULL };

struct rowpair {
    struct pair p;
    struct test_env env[2];
    struct cph_zrtp_call *call[2];
};

static struct cph_nego_cfg cfg_of(struct cph_zrtp_call *call, enum cph_keying_policy policy)
{
    return (struct cph_nego_cfg){ .keying = { .zrtp = call, .ssrc = 0 },
                                  .policy = policy,
                                  .methods = zrtp_only };
}

static void open_calls(struct rowpair *r)
{
    for (int e = 0; e < 2; e++) {
        struct cph_zrtp_cfg c = { .env = &r->env[e].env };

        test_env_init(&r->env[e], 40 + (uint64_t)e);
        memset(c.zid, 0x30 + e, sizeof c.zid);
        assert_ok(cph_zrtp_call_new(&c, &r->call[e]));
    }
}

static void row_open(struct rowpair *r, enum cph_keying_policy policy)
{
    open_calls(r);
    pair_open(&r->p, cfg_of(r->call[0], policy), cfg_of(r->call[1], policy));
}

static void row_close(struct rowpair *r)
{
    pair_close(&r->p);
    cph_zrtp_call_free(r->call[0]);
    cph_zrtp_call_free(r->call[1]);
}

/* Carry what both sides have to say on the media path, 10 ms a turn. */
static void talk(struct side *a, struct side *b, cph_time *now, cph_time until)
{
    struct side *side[2] = { a, b };

    for (; *now < until; *now += CPH_MS(10)) {
        for (int e = 0; e < 2; e++) {
            struct cph_keying_packet out;
            struct cph_addr from = { .family = CPH_AF_V4, .port = side[e]->port };

            cph_nego_tick(side[e]->nego, *now);
            while (cph_nego_pull(side[e]->nego, &out, *now) == CPH_OK) {
                struct cph_span packet = { out.b, out.n };

                assert_int_equal(out.component, CPH_KEYING_RTP);
                assert_true(cph_keying_zrtp.claims(packet));
                if (cph_nego_claims(side[1 - e]->nego, packet))
                    (void)!cph_nego_feed(side[1 - e]->nego, CPH_KEYING_RTP, &from, packet, *now);
            }
        }
    }
}

static const char *hash_of(struct pair *p, const struct cph_sdp *sdp)
{
    const struct cph_sdp_line *line = cph_sdp_attr(&sdp->media[0]->part, "zrtp-hash");

    return line ? (const char *)cph_arena_copy(p->arena, line->arg).p : "";
}

static void a_call_is_keyed_by_zrtp_after_offer_and_answer(void **state)
{
    struct rowpair r;
    struct cph_sdp *offer;
    struct cph_keying_evidence ev;
    cph_time now = 0;

    (void)state;
    row_open(&r, CPH_KEYING_PREFER);
    offer = make_offer(&r.p, &r.p.a);
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_AVP); /* RFC 6189 4 */
    assert_int_equal(count_attr(offer, "zrtp-hash"), 1);
    assert_int_equal(strlen(hash_of(&r.p, offer)), 5 + 64);
    assert_int_equal(strncmp(hash_of(&r.p, offer), "1.10 ", 5), 0);
    assert_int_equal(status_of(&r.p.a).keying.state, CPH_KEYING_IDLE);
    assert_ok(try_finish(&r.p.a, make_answer(&r.p, &r.p.b, offer)));
    assert_int_equal(status_of(&r.p.a).outcome, CPH_NEGO_SECURE);
    assert_int_equal(status_of(&r.p.a).keying.state, CPH_KEYING_RUNNING);
    assert_false(evidence_of(&r.p.a).keyed);
    talk(&r.p.a, &r.p.b, &now, CPH_SEC(1));
    assert_int_equal(status_of(&r.p.a).keying.state, CPH_KEYING_KEYED);
    assert_int_equal(status_of(&r.p.b).keying.state, CPH_KEYING_KEYED);
    assert_media(&r.p, 1);
    ev = evidence_of(&r.p.a);
    assert_string_equal(ev.method, "zrtp");
    assert_string_equal(ev.suite, "AES_256_CM_HMAC_SHA1_80");
    assert_true(ev.keyed && ev.rtp_encrypted && ev.rtp_authenticated && ev.rtcp_encrypted);
    assert_true(ev.key_bits == 256 && ev.tag_bits == 80 && ev.forward_secrecy);
    /* RFC 6189 8.1.1: a bound Hello says nothing of who it is, unless both sides check */
    assert_int_equal(ev.peer_auth, CPH_KEYING_AUTH_NONE);
    row_close(&r);
}

static void without_a_call_there_is_no_zrtp(void **state)
{
    struct cph_nego_cfg c = cfg_of(NULL, CPH_KEYING_REQUIRED);
    struct cph_keying *k;
    struct cph_nego *n;

    (void)state;
    assert_err(cph_nego_new(&c, &n), CPH_E_CONFIG);
    assert_err(cph_keying_zrtp.make(&c.keying, &k), CPH_E_CONFIG);
}

static void a_hello_other_than_the_promised_one_gives_no_keys(void **state)
{
    struct rowpair r;
    struct cph_sdp *offer, *answer;
    char wrong[5 + 64 + 1];
    cph_time now = 0;

    (void)state;
    row_open(&r, CPH_KEYING_PREFER);
    offer = make_offer(&r.p, &r.p.a);
    answer = make_answer(&r.p, &r.p.b, offer);
    memcpy(wrong, hash_of(&r.p, answer), sizeof wrong);
    wrong[68] = wrong[68] == '0' ? '1' : '0';
    assert_ok(try_finish(&r.p.a, tampered(&r.p, answer, hash_of(&r.p, answer), wrong)));
    talk(&r.p.a, &r.p.b, &now, CPH_SEC(40));
    assert_int_equal(status_of(&r.p.a).outcome, CPH_NEGO_FAILED);
    assert_int_equal(status_of(&r.p.a).keying.err, CPH_E_TIMEOUT);
    assert_true(evidence_of(&r.p.a).notes & CPH_KEYING_NOTE_RIVAL_HANDSHAKE);
    assert_false(evidence_of(&r.p.a).keyed);
    row_close(&r);
}

static void what_is_stripped_or_damaged_is_never_taken_for_keys(void **state)
{
    static const struct {
        enum cph_keying_policy policy;
        const char *from, *to;
        cph_err err;
        enum cph_nego_outcome outcome;
    } rows[] = {
        { CPH_KEYING_PREFER, "a=zrtp-hash", "a=x-nothing", CPH_OK, CPH_NEGO_PLAIN },
        { CPH_KEYING_REQUIRED, "a=zrtp-hash", "a=x-nothing", CPH_E_POLICY, CPH_NEGO_FAILED },
        { CPH_KEYING_PREFER, "a=zrtp-hash", "a=zrtp-hash: \r\na=x-nothing", CPH_OK,
          CPH_NEGO_PLAIN }, /* an empty one says nothing either */
        { CPH_KEYING_REQUIRED, "a=zrtp-hash", "a=zrtp-hash\r\na=x-nothing", CPH_E_POLICY,
          CPH_NEGO_FAILED },
        { CPH_KEYING_PREFER, "a=zrtp-hash", "a=zrtp-hash:\r\na=zrtp-hash", CPH_OK,
          CPH_NEGO_SECURE },
        { CPH_KEYING_PREFER, "zrtp-hash:1.10", "zrtp-hash:2.00", CPH_E_UNSUPPORTED,
          CPH_NEGO_FAILED },
        { CPH_KEYING_PREFER, "zrtp-hash:1.10 ", "zrtp-hash:1.10 z", CPH_E_MALFORMED,
          CPH_NEGO_FAILED },
        { CPH_KEYING_PREFER, "a=zrtp-hash:1.10", "a=zrtp-hash:2.00 00\r\na=zrtp-hash:1.1a", CPH_OK,
          CPH_NEGO_SECURE }, /* 4.1.1: the last octet does not count, other versions do not disturb
                              */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rowpair r;
        struct cph_sdp *offer;

        row_open(&r, rows[i].policy);
        offer = make_offer(&r.p, &r.p.a);
        assert_err(try_finish(&r.p.a, tampered(&r.p, make_answer(&r.p, &r.p.b, offer), rows[i].from,
                                               rows[i].to)),
                   rows[i].err);
        assert_int_equal(status_of(&r.p.a).outcome, rows[i].outcome);
        row_close(&r);
    }
}

static void every_branch_of_a_fork_has_keys_of_its_own(void **state)
{
    struct cph_srtp_policy k1 = { 0 }, k2 = { 0 };
    struct cph_zrtp_cfg c;
    struct cph_zrtp_call *third;
    struct test_env env;
    struct rowpair r;
    struct side branch, other;
    struct cph_sdp *offer;
    cph_time now = 0;

    (void)state;
    row_open(&r, CPH_KEYING_PREFER);
    test_env_init(&env, 50);
    c = (struct cph_zrtp_cfg){ .env = &env.env, .zid = "another one" };
    assert_ok(cph_zrtp_call_new(&c, &third));
    side_open(&other, cfg_of(third, CPH_KEYING_PREFER), "10.0.0.3", 3);
    branch = r.p.a;
    memset(branch.srtp, 0, sizeof branch.srtp);

    offer = make_offer(&r.p, &r.p.a);
    assert_ok(cph_nego_fork(r.p.a.nego, &branch.nego));
    assert_ok(try_finish(&r.p.a, make_answer(&r.p, &r.p.b, offer)));
    assert_ok(try_finish(&branch, make_answer(&r.p, &other, offer)));
    talk(&r.p.a, &r.p.b, &now, CPH_SEC(1));
    talk(&branch, &other, &now, CPH_SEC(2));
    assert_int_equal(status_of(&r.p.a).keying.state, CPH_KEYING_KEYED);
    assert_int_equal(status_of(&branch).keying.state, CPH_KEYING_KEYED);
    assert_ok(cph_nego_keys(r.p.a.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &k1));
    assert_ok(cph_nego_keys(branch.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &k2));
    assert_memory_not_equal(k1.master.key.b, k2.master.key.b, k1.master.key.n);
    assert_media(&r.p, 1);
    install(&r.p, &branch);
    install(&r.p, &other);
    assert_ok(send_one(&branch, &other, 1));
    assert_true(send_one(&branch, &r.p.b, 2) != CPH_OK);

    cph_nego_free(branch.nego);
    cph_srtp_free(branch.srtp[0]);
    cph_srtp_free(branch.srtp[1]);
    side_close(&other);
    cph_zrtp_call_free(third);
    row_close(&r);
}

static void a_later_exchange_keeps_what_holds(void **state)
{
    struct rowpair r;
    cph_time now = 0;
    const char *first;
    struct cph_sdp *offer;

    (void)state;
    row_open(&r, CPH_KEYING_REQUIRED);
    offer = make_offer(&r.p, &r.p.a);
    first = hash_of(&r.p, offer);
    assert_ok(try_finish(&r.p.a, make_answer(&r.p, &r.p.b, offer)));
    talk(&r.p.a, &r.p.b, &now, CPH_SEC(1));
    assert_media(&r.p, 1);
    offer = make_offer(&r.p, &r.p.a);
    assert_string_equal(hash_of(&r.p, offer), first);
    assert_ok(try_finish(&r.p.a, make_answer(&r.p, &r.p.b, offer)));
    exchange(&r.p, &r.p.b, &r.p.a); /* and the other way round */
    offer = make_offer(&r.p, &r.p.a);
    cph_nego_rollback(r.p.a.nego);
    talk(&r.p.a, &r.p.b, &now, CPH_SEC(2));
    assert_media(&r.p, 2);
    assert_int_equal(r.p.a.installs[0], 1);
    /* RFC 8643: a stream with keys is not given up */
    assert_err(
        try_finish(&r.p.a, tampered(&r.p, make_answer(&r.p, &r.p.b, make_offer(&r.p, &r.p.a)),
                                    "a=zrtp-hash", "a=x-nothing")),
        CPH_E_POLICY);
    assert_media(&r.p, 3);
    row_close(&r);
}

/* Another peer behind the same dialog: a transfer, say. */
static void another_peer_is_keyed_anew(void **state)
{
    struct rowpair r;
    struct side third;
    cph_time now = 0;

    (void)state;
    for (int who_offers = 0; who_offers < 2; who_offers++) {
        struct cph_zrtp_cfg c;
        struct cph_zrtp_call *call;
        struct test_env env;

        now = 0;
        row_open(&r, CPH_KEYING_PREFER);
        test_env_init(&env, 51);
        c = (struct cph_zrtp_cfg){ .env = &env.env, .zid = "the third..." };
        assert_ok(cph_zrtp_call_new(&c, &call));
        side_open(&third, cfg_of(call, CPH_KEYING_PREFER), "10.0.0.3", 3);
        exchange(&r.p, &r.p.a, &r.p.b);
        talk(&r.p.a, &r.p.b, &now, CPH_SEC(1));
        assert_media(&r.p, 1);
        if (who_offers)
            exchange(&r.p, &third, &r.p.a);
        else
            exchange(&r.p, &r.p.a, &third);
        assert_int_equal(status_of(&r.p.a).keying.state, CPH_KEYING_RUNNING);
        talk(&r.p.a, &third, &now, CPH_SEC(2));
        install(&r.p, &r.p.a);
        install(&r.p, &third);
        assert_int_equal(r.p.a.installs[0], 2);
        assert_ok(send_one(&r.p.a, &third, 7));
        assert_ok(send_one(&third, &r.p.a, 7));
        side_close(&third);
        cph_zrtp_call_free(call);
        row_close(&r);
    }
}

static void a_failed_exchange_may_be_tried_again(void **state)
{
    struct rowpair r;
    const char *first;
    struct cph_sdp *offer;
    cph_time now = 0;

    (void)state;
    row_open(&r, CPH_KEYING_PREFER);
    offer = make_offer(&r.p, &r.p.a);
    first = hash_of(&r.p, offer);
    assert_ok(try_finish(&r.p.a, make_answer(&r.p, &r.p.b, offer)));
    for (; now < CPH_SEC(60); now += CPH_MS(50)) { /* nobody carries anything */
        struct cph_keying_packet out;

        cph_nego_tick(r.p.a.nego, now);
        cph_nego_tick(r.p.b.nego, now);
        while (cph_nego_pull(r.p.a.nego, &out, now) == CPH_OK ||
               cph_nego_pull(r.p.b.nego, &out, now) == CPH_OK)
            continue;
    }
    assert_int_equal(status_of(&r.p.a).outcome, CPH_NEGO_FAILED);
    assert_int_equal(cph_nego_deadline(r.p.a.nego), CPH_TIME_NEVER);
    offer = make_offer(&r.p, &r.p.a);
    assert_string_not_equal(hash_of(&r.p, offer), first); /* another Hello */
    assert_ok(try_finish(&r.p.a, make_answer(&r.p, &r.p.b, offer)));
    talk(&r.p.a, &r.p.b, &now, now + CPH_SEC(2));
    assert_media(&r.p, 1);
    row_close(&r);
}

static void beside_another_mechanism_one_is_taken(void **state)
{
    struct rowpair r;
    struct cph_nego_cfg a, b;
    struct cph_sdp *offer, *answer;

    (void)state;
    open_calls(&r);
    a = b = cfg_of(r.call[0], CPH_KEYING_PREFER);
    a.methods = sdes_and_zrtp;
    b.keying.zrtp = r.call[1];
    pair_open(&r.p, a, b);
    offer = make_offer(&r.p, &r.p.a);
    assert_true(count_attr(offer, "zrtp-hash") == 1 && count_attr(offer, "crypto") > 0);
    answer = make_answer(&r.p, &r.p.b, offer);
    assert_true(count_attr(answer, "zrtp-hash") == 1 && count_attr(answer, "crypto") == 0);
    assert_ok(try_finish(&r.p.a, answer));
    assert_ptr_equal(status_of(&r.p.a).method, &cph_keying_zrtp);
    row_close(&r);
}

/* What linphonec writes where it has no ZRTP: that is no keying beside its other one. */
static void an_empty_hash_beside_keys_leaves_them_alone(void **state)
{
    const struct cph_keying_method *sdes_alone[] = { sdes_and_zrtp[0], NULL };
    struct rowpair r;
    struct cph_nego_cfg a, b;
    struct cph_sdp *answer;

    (void)state;
    open_calls(&r);
    a = b = cfg_of(r.call[0], CPH_KEYING_REQUIRED);
    a.methods = sdes_and_zrtp;
    b.methods = sdes_alone;
    pair_open(&r.p, a, b);
    answer = tampered(&r.p, make_answer(&r.p, &r.p.b, make_offer(&r.p, &r.p.a)), "a=crypto",
                      "a=zrtp-hash:\r\na=crypto");
    assert_ok(try_finish(&r.p.a, answer));
    assert_string_equal(status_of(&r.p.a).method->name, "sdes");
    row_close(&r);
}

static void other_packets_are_not_claimed(void **state)
{
    uint8_t b[40] = { 0x10, 0, 0, 0, 'Z', 'R', 'T', 'P' };
    struct cph_addr from = { .family = CPH_AF_V4 };
    struct rowpair r;

    (void)state;
    assert_true(cph_keying_zrtp.claims((struct cph_span){ b, sizeof b }));
    assert_false(cph_keying_zrtp.claims((struct cph_span){ b, 27 }));
    b[7] = 'Q';
    assert_false(cph_keying_zrtp.claims((struct cph_span){ b, sizeof b }));
    b[7] = 'P';
    b[0] = 0x80;
    assert_false(cph_keying_zrtp.claims((struct cph_span){ b, sizeof b }));
    row_open(&r, CPH_KEYING_PREFER);
    exchange(&r.p, &r.p.a, &r.p.b);
    b[0] = 0x10;
    /* RFC 6189 4 MUST: on the port of RTP */
    assert_err(
        cph_nego_feed(r.p.a.nego, CPH_KEYING_RTCP, &from, (struct cph_span){ b, sizeof b }, 0),
        CPH_E_UNSUPPORTED);
    assert_err(
        cph_nego_feed(r.p.a.nego, CPH_KEYING_RTP, &from, (struct cph_span){ b, sizeof b }, 0),
        CPH_E_MALFORMED);
    row_close(&r);
}

/* What others hear of us by default does not change: the row waits for cfg.zrtp. */
static void offers_by_default_have_no_zrtp(void **state)
{
    struct cph_nego_cfg c = { .policy = CPH_KEYING_PREFER };
    struct pair p;

    (void)state;
    pair_open(&p, c, c);
    assert_int_equal(count_attr(make_offer(&p, &p.a), "zrtp-hash"), 0);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_keyed_by_zrtp_after_offer_and_answer),
        cmocka_unit_test(without_a_call_there_is_no_zrtp),
        cmocka_unit_test(a_hello_other_than_the_promised_one_gives_no_keys),
        cmocka_unit_test(what_is_stripped_or_damaged_is_never_taken_for_keys),
        cmocka_unit_test(every_branch_of_a_fork_has_keys_of_its_own),
        cmocka_unit_test(a_later_exchange_keeps_what_holds),
        cmocka_unit_test(another_peer_is_keyed_anew),
        cmocka_unit_test(a_failed_exchange_may_be_tried_again),
        cmocka_unit_test(beside_another_mechanism_one_is_taken),
        cmocka_unit_test(an_empty_hash_beside_keys_leaves_them_alone),
        cmocka_unit_test(other_packets_are_not_claimed),
        cmocka_unit_test(offers_by_default_have_no_zrtp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
