/* Policies, several mechanisms in one offer, and what somebody on the way may do to it. */
#include "pair.h"

#include <stdlib.h>

#include "ciphony/crypto_key.h"

/* ---- a mechanism on the media path, as small as one can be ---------------------------------- */

/* Its packets are "F" and a number; it is keyed once it got one. Its attribute is
 * "a=fake:<number>". */
struct fake {
    struct cph_keying base;
    bool answered, keyed, open;
    struct cph_keying_packet out;
    cph_time resend;
};

extern const struct cph_keying_method fake_row;

static bool fake_present(const struct cph_keying_remote *r)
{
    return cph_sdp_attr_any(r->sdp, r->media, "fake") != NULL;
}

static bool fake_claims(struct cph_span packet)
{
    return packet.n > 0 && packet.p[0] == 'F';
}

static cph_err fake_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct fake *f = calloc(1, sizeof *f);

    (void)cfg;
    if (!f)
        return CPH_E_NOMEM;
    f->base.method = &fake_row;
    f->resend = CPH_TIME_NEVER;
    *out = &f->base;
    return CPH_OK;
}

static bool dear; /* its offers cost something */

static bool fake_costs(const struct cph_keying_cfg *cfg)
{
    (void)cfg;
    return dear;
}

static void fake_free(struct cph_keying *k)
{
    free(k);
}

static cph_err fake_offer(struct cph_keying *k, const struct cph_keying_local *o)
{
    ((struct fake *)k)->open = true;
    return cph_sdp_attr_add(o->sdp, o->media, "fake", "1");
}

static cph_err fake_read(struct fake *f, const struct cph_keying_remote *r)
{
    const struct cph_sdp_line *l = cph_sdp_attr_any(r->sdp, r->media, "fake");

    if (!l)
        return CPH_E_NOTFOUND;
    if (!cph_span_is(l->arg, "1"))
        return CPH_E_MALFORMED;
    f->answered = true;
    return CPH_OK;
}

static cph_err fake_answer(struct cph_keying *k, const struct cph_keying_remote *o,
                           const struct cph_keying_local *a)
{
    CPH_TRY(fake_read((struct fake *)k, o));
    ((struct fake *)k)->out = (struct cph_keying_packet){ .n = 2, .b = "F1" };
    ((struct fake *)k)->resend = CPH_SEC(1);
    return cph_sdp_attr_add(a->sdp, a->media, "fake", "1");
}

static cph_err fake_finish(struct cph_keying *k, const struct cph_keying_remote *a)
{
    return ((struct fake *)k)->open ? fake_read((struct fake *)k, a) : CPH_E_STATE;
}

static void fake_rollback(struct cph_keying *k)
{
    ((struct fake *)k)->open = false;
}

static cph_err fake_fork(const struct cph_keying *k, struct cph_keying **out)
{
    CPH_TRY(fake_make(NULL, out));
    ((struct fake *)*out)->open = ((const struct fake *)k)->open;
    return CPH_OK;
}

static cph_err fake_feed(struct cph_keying *k, enum cph_keying_component c,
                         const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    (void)c, (void)from, (void)now;
    if (packet.n != 2)
        return CPH_E_MALFORMED;
    ((struct fake *)k)->keyed = true;
    return CPH_OK;
}

static cph_err fake_pull(struct cph_keying *k, struct cph_keying_packet *out, cph_time now)
{
    struct fake *f = (struct fake *)k;

    (void)now;
    if (f->out.n == 0)
        return CPH_E_AGAIN;
    *out = f->out;
    f->out.n = 0;
    return CPH_OK;
}

static cph_time fake_deadline(const struct cph_keying *k)
{
    return ((const struct fake *)k)->resend;
}

static void fake_tick(struct cph_keying *k, cph_time now)
{
    if (now >= ((struct fake *)k)->resend)
        ((struct fake *)k)->out = (struct cph_keying_packet){ .n = 2, .b = "F2" };
}

static void fake_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    const struct fake *f = (const struct fake *)k;

    *out = (struct cph_keying_status){ .state = f->keyed      ? CPH_KEYING_KEYED
                                                : f->answered ? CPH_KEYING_RUNNING
                                                              : CPH_KEYING_OFFERED };
}

static cph_err fake_keys(const struct cph_keying *k, enum cph_keying_component c,
                         enum cph_keying_dir d, unsigned i, struct cph_srtp_policy *out)
{
    (void)k, (void)c, (void)d, (void)i, (void)out;
    return CPH_E_AGAIN;
}

static void fake_evidence(const struct cph_keying *k, struct cph_keying_evidence *out)
{
    out->method = "fake";
    out->keyed = ((const struct fake *)k)->keyed;
    out->choice_protected = true;
}

const struct cph_keying_method fake_row = {
    .name = "fake",
    .where = CPH_KEYING_IN_BOTH,
    .profile = CPH_SDP_UDP_TLS_RTP_SAVP,
    .present = fake_present,
    .claims = fake_claims,
    .make = fake_make,
    .offer_costs = fake_costs,
    .free = fake_free,
    .offer = fake_offer,
    .answer = fake_answer,
    .finish = fake_finish,
    .rollback = fake_rollback,
    .fork = fake_fork,
    .feed = fake_feed,
    .pull = fake_pull,
    .deadline = fake_deadline,
    .tick = fake_tick,
    .status = fake_status,
    .keys = fake_keys,
    .evidence = fake_evidence,
};

/* ---- set-up --------------------------------------------------------------------------------- */

static const struct cph_keying_method *sdes_only[2], *fake_only[2], *both[3], *sdes_first[3];

enum who { SDES, FAKE, BOTH, SDES_FIRST };

static struct cph_nego_cfg cfg(enum cph_keying_policy policy, enum who who)
{
    const struct cph_keying_method *sdes = cph_keying_method_by_name(CPH_SPAN_LIT("sdes"));
    const struct cph_keying_method *const *rows[] = { sdes_only, fake_only, both, sdes_first };

    sdes_only[0] = sdes_first[0] = both[1] = sdes;
    fake_only[0] = both[0] = sdes_first[1] = &fake_row;
    return (struct cph_nego_cfg){ .policy = policy, .methods = rows[who] };
}

static struct pair p;

static void with(enum cph_keying_policy pa, enum who wa, enum cph_keying_policy pb, enum who wb)
{
    pair_close(&p);
    pair_open(&p, cfg(pa, wa), cfg(pb, wb));
}

static int open_pair(void **state)
{
    (void)state;
    pair_open(&p, cfg(CPH_KEYING_REQUIRED, BOTH), cfg(CPH_KEYING_REQUIRED, BOTH));
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    pair_close(&p);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

#define HEAD "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
#define K1   "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"

static enum cph_nego_outcome outcome(const struct side *s)
{
    return status_of(s).outcome;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void the_table_names_its_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; cph_keying_methods[i]; i++) {
        const struct cph_keying_method *m = cph_keying_methods[i];

        assert_ptr_equal(cph_keying_method_by_name(cph_span_of(m->name)), m);
        assert_int_equal(cph_keying_method_bit(m), 1U << i);
        /* RFC 6189 4: ZRTP is made for RTP/AVP, and finds out on the media path */
        assert_true(cph_sdp_proto_secure(m->profile) || cph_span_is(cph_span_of(m->name), "zrtp"));
        assert_true(m->present && m->make && m->free && m->offer && m->answer && m->finish);
        assert_true(m->rollback && m->fork && m->status && m->keys && m->evidence);
        assert_true(!(m->where & CPH_KEYING_IN_MEDIA) || (m->claims && m->feed && m->pull));
    }
    assert_null(cph_keying_method_by_name(CPH_SPAN_LIT("fake")));
    assert_int_equal(cph_keying_method_bit(&fake_row), 0);
}

/* ---- every policy with every other, both sides with SDES ------------------------------------ */

static void policies_meet_as_the_table_says(void **state)
{
    /* clang-format off */
    static const struct {
        enum cph_keying_policy offerer, answerer;
        enum cph_sdp_proto profile;
        enum cph_nego_outcome outcome; /* of the answerer; the offerer's is the same but REMOVED for FAILED */
    } row[] = {
        { CPH_KEYING_REQUIRED, CPH_KEYING_REQUIRED, CPH_SDP_RTP_SAVP, CPH_NEGO_SECURE },
        { CPH_KEYING_REQUIRED, CPH_KEYING_PREFER,   CPH_SDP_RTP_SAVP, CPH_NEGO_SECURE },
        { CPH_KEYING_REQUIRED, CPH_KEYING_NONE,     CPH_SDP_RTP_SAVP, CPH_NEGO_SECURE },
        { CPH_KEYING_PREFER,   CPH_KEYING_REQUIRED, CPH_SDP_RTP_AVP,  CPH_NEGO_SECURE },
        { CPH_KEYING_PREFER,   CPH_KEYING_PREFER,   CPH_SDP_RTP_AVP,  CPH_NEGO_SECURE },
        { CPH_KEYING_PREFER,   CPH_KEYING_NONE,     CPH_SDP_RTP_AVP,  CPH_NEGO_PLAIN },
        { CPH_KEYING_NONE,     CPH_KEYING_REQUIRED, CPH_SDP_RTP_AVP,  CPH_NEGO_FAILED },
        { CPH_KEYING_NONE,     CPH_KEYING_PREFER,   CPH_SDP_RTP_AVP,  CPH_NEGO_PLAIN },
        { CPH_KEYING_NONE,     CPH_KEYING_NONE,     CPH_SDP_RTP_AVP,  CPH_NEGO_PLAIN },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_sdp *offer, *answer;
        bool fails = row[i].outcome == CPH_NEGO_FAILED;

        with(row[i].offerer, SDES, row[i].answerer, SDES);
        offer = make_offer(&p, &p.a);
        assert_int_equal(offer->media[0]->proto, row[i].profile);
        assert_err(try_answer(&p, &p.b, offer, &answer), fails ? CPH_E_POLICY : CPH_OK);
        assert_int_equal(answer->media[0]->proto, row[i].profile); /* RFC 8643: mirrored */
        assert_int_equal(answer->media[0]->port == 0, fails);
        assert_int_equal(outcome(&p.b), row[i].outcome);
        assert_ok(try_finish(&p.a, answer));
        assert_int_equal(outcome(&p.a), fails ? CPH_NEGO_REMOVED : row[i].outcome);
        if (outcome(&p.a) == CPH_NEGO_SECURE)
            assert_media(&p, 1);
        else
            assert_null(evidence_of(&p.a).method);
    }
}

static void feedback_profiles_are_offered_on_wish(void **state)
{
    struct cph_nego_cfg c = cfg(CPH_KEYING_PREFER, SDES);

    (void)state;
    c.feedback = true;
    pair_close(&p);
    pair_open(&p, c, cfg(CPH_KEYING_REQUIRED, SDES));
    assert_int_equal(make_offer(&p, &p.a)->media[0]->proto, CPH_SDP_RTP_AVPF);
    c.policy = CPH_KEYING_REQUIRED;
    pair_close(&p);
    pair_open(&p, c, cfg(CPH_KEYING_REQUIRED, SDES));
    assert_int_equal(make_offer(&p, &p.a)->media[0]->proto, CPH_SDP_RTP_SAVPF);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    c = cfg(CPH_KEYING_REQUIRED, FAKE);
    pair_close(&p);
    pair_open(&p, c, c);
    assert_int_equal(make_offer(&p, &p.a)->media[0]->proto, CPH_SDP_UDP_TLS_RTP_SAVP);
    c = cfg(CPH_KEYING_REQUIRED, BOTH);
    c.profile = CPH_SDP_UDP_TLS_RTP_SAVPF; /* then SDES has no place in it */
    pair_close(&p);
    pair_open(&p, c, c);
    assert_int_equal(count_attr(make_offer(&p, &p.a), "crypto"), 0);
    assert_int_equal(make_offer(&p, &p.a)->media[0]->proto, CPH_SDP_UDP_TLS_RTP_SAVPF);
}

static void a_policy_that_cannot_be_kept_is_a_mistake_of_configuration(void **state)
{
    static const struct cph_keying_method *const nobody[] = { NULL };
    static struct cph_keying_method needy;
    static const struct cph_keying_method *needy_only[] = { &needy, NULL };
    struct cph_nego_cfg c = cfg(CPH_KEYING_REQUIRED, SDES);
    struct cph_nego *n = NULL;
    struct cph_sdp *offer;

    (void)state;
    c.methods = nobody;
    assert_err(cph_nego_new(&c, &n), CPH_E_CONFIG);
    needy = fake_row;
    needy.needs = CPH_KEYING_NEEDS_CERT;
    c.methods = needy_only;
    assert_err(cph_nego_new(&c, &n), CPH_E_CONFIG);
    needy.needs = CPH_KEYING_NEEDS_ZRTP;
    assert_err(cph_nego_new(&c, &n), CPH_E_CONFIG);
    c.policy = CPH_KEYING_PREFER;
    assert_ok(cph_nego_new(&c, &n));
    cph_nego_free(n);
    c = cfg(CPH_KEYING_REQUIRED, SDES);
    c.profile = CPH_SDP_UDP_TLS_RTP_SAVP; /* SDES does not go there */
    pair_close(&p);
    pair_open(&p, c, c);
    assert_err(try_offer(&p, &p.a, &offer), CPH_E_CONFIG);
}

/* ---- several mechanisms in one offer -------------------------------------------------------- */

static void a_peer_that_knows_one_of_two_is_not_confused(void **state)
{
    (void)state;
    for (int who = SDES; who <= BOTH; who++)
        for (int policy = CPH_KEYING_REQUIRED; policy <= CPH_KEYING_PREFER; policy++) {
            struct cph_sdp *offer, *answer;
            unsigned fake, crypto;

            with((enum cph_keying_policy)policy, BOTH, CPH_KEYING_REQUIRED, (enum who)who);
            offer = make_offer(&p, &p.a);
            assert_int_equal(offer->media[0]->proto,
                             policy == CPH_KEYING_REQUIRED ? CPH_SDP_RTP_SAVP : CPH_SDP_RTP_AVP);
            answer = make_answer(&p, &p.b, offer);
            fake = count_attr(answer, "fake");
            crypto = count_attr(answer, "crypto");
            assert_int_equal(fake + crypto,
                             1); /* RFC 8643 3.2 MUST: attributes of one method only */
            assert_int_equal(crypto, who == SDES);
            assert_ok(try_finish(&p.a, answer));
            assert_string_equal(status_of(&p.a).method->name, who == SDES ? "sdes" : "fake");
            assert_int_equal(!!(evidence_of(&p.a).notes & CPH_KEYING_NOTE_NOT_BEST), who == SDES);
            assert_int_equal(!!(evidence_of(&p.a).notes & CPH_KEYING_NOTE_OPPORTUNISTIC),
                             policy == CPH_KEYING_PREFER);
            assert_int_equal(evidence_of(&p.a).choice_protected, who != SDES);
        }
}

/* R9: but a peer that offers it has spent what there was to spend. */
static void what_costs_is_answered_and_offered_only_where_there_is_no_other(void **state)
{
    (void)state;
    dear = true;
    for (int free_offers = 0; free_offers < 2; free_offers++)
        for (int form = CPH_KEYING_FORM_DEFAULT; form <= CPH_KEYING_FORM_CAPNEG; form++) {
            struct cph_nego_cfg many = cfg(CPH_KEYING_PREFER, BOTH);
            struct cph_nego_cfg one = cfg(CPH_KEYING_PREFER, FAKE);
            struct cph_sdp *offer;

            many.free_offers = one.free_offers = free_offers;
            many.form = (enum cph_keying_form)form;
            pair_close(&p);
            pair_open(&p, many, one);
            offer = make_offer(&p, &p.a);
            assert_int_equal(count_attr(offer, "fake") > 0,
                             !free_offers && form != CPH_KEYING_FORM_CAPNEG);
            cph_nego_rollback(p.a.nego);
            exchange(&p, &p.b, &p.a); /* the other has nothing else */
            assert_string_equal(status_of(&p.a).method->name, "fake");
        }
    dear = false;
}

static void the_answerer_goes_by_its_own_order_of_methods(void **state)
{
    (void)state;
    with(CPH_KEYING_REQUIRED, BOTH, CPH_KEYING_REQUIRED, SDES_FIRST);
    exchange(&p, &p.a, &p.b);
    assert_string_equal(status_of(&p.b).method->name, "sdes");
    assert_media(&p, 1);
}

static void an_unusable_method_makes_room_for_the_next(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a);

    (void)state;
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, tampered(&p, offer, "a=fake:1", "a=fake:9"))));
    assert_string_equal(status_of(&p.b).method->name, "sdes");
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_LOST_METHOD);
    assert_media(&p, 1);
}

static void several_methods_in_one_answer_are_noted(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_REQUIRED, BOTH, CPH_KEYING_REQUIRED, SDES);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_ok(cph_sdp_attr_add(answer, answer->media[0], "fake", "1"));
    assert_ok(try_finish(&p.a, answer));
    assert_string_equal(status_of(&p.a).method->name, "fake"); /* the one we like better */
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_SEVERAL_ANSWERED);
}

static void dtls_and_sdes_share_one_offer(void **state)
{
    struct cph_nego_cfg c = { .policy = CPH_KEYING_REQUIRED };
    struct test_env env;
    struct cph_cert_spec spec = { .cn = "device" };
    struct cph_key *key;
    struct cph_cert *cert;

    (void)state;
    test_env_init(&env, 9);
    spec.not_before = env.wall - 1;
    spec.not_after = env.wall + 1000;
    assert_ok(cph_key_generate(&env.env, CPH_KEY_EC_P256, &key));
    assert_ok(cph_cert_self_signed(&env.env, key, &spec, &cert));
    c.keying.key = key;
    c.keying.cert = cert;
    for (int peer = 0; peer < 2; peer++) {
        struct cph_sdp *offer, *answer;

        pair_close(&p);
        pair_open(&p, c, peer ? c : cfg(CPH_KEYING_REQUIRED, SDES));
        offer = make_offer(&p, &p.a);
        assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_SAVP);
        assert_true(count_attr(offer, "crypto") == 5 && count_attr(offer, "fingerprint") >= 1);
        answer = make_answer(&p, &p.b, offer);
        assert_int_equal(count_attr(answer, "crypto"), peer ? 0 : 1);
        assert_int_equal(count_attr(answer, "fingerprint") > 0, peer);
        assert_ok(try_finish(&p.a, answer));
        assert_string_equal(status_of(&p.a).method->name, peer ? "dtls" : "sdes");
        assert_string_equal(status_of(&p.b).method->name, peer ? "dtls" : "sdes");
        if (!peer)
            assert_media(&p, 1);
    }
    pair_close(&p); /* before what it stands on */
    cph_cert_free(cert);
    cph_key_free(key);
    pair_open(&p, cfg(CPH_KEYING_NONE, SDES), cfg(CPH_KEYING_NONE, SDES));
}

static void under_udp_tls_only_dtls_counts(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    assert_err(try_answer(&p, &p.b,
                          read_sdp(&p, HEAD "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n"
                                            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " K1 "\r\n"),
                          &answer),
               CPH_E_POLICY);
    assert_int_equal(answer->media[0]->port, 0);
}

/* ---- RFC 8643 ------------------------------------------------------------------------------- */

static void keys_under_rtp_avp_are_answered_under_rtp_avp(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    offer = read_sdp(&p, HEAD "m=audio 4000 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " K1
                              "\r\na=crypto:2 F8_128_HMAC_SHA1_80 " K1 "\r\n");
    answer = make_answer(&p, &p.b, offer); /* even where keys are required: they are there */
    assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_int_equal(count_attr(answer, "crypto"), 1);
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_OPPORTUNISTIC);
}

static void unusable_keys_under_rtp_avp_are_declined_or_refused(void **state)
{
    static const char text[] = HEAD "m=audio 4000 RTP/AVP 0\r\na=crypto:1 F8_128_HMAC_SHA1_80 " K1
                                    "\r\n";
    struct cph_sdp *answer;

    (void)state;
    assert_err(try_answer(&p, &p.b, read_sdp(&p, text), &answer), CPH_E_POLICY);
    assert_int_equal(outcome(&p.b), CPH_NEGO_FAILED);
    with(CPH_KEYING_PREFER, SDES, CPH_KEYING_PREFER, SDES);
    answer = make_answer(&p, &p.b, read_sdp(&p, text));
    assert_true(answer->media[0]->port != 0 && count_attr(answer, "crypto") == 0);
    assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_LOST_METHOD);
    assert_int_equal(evidence_of(&p.b).peer_offered,
                     cph_keying_method_bit(cph_keying_method_by_name(CPH_SPAN_LIT("sdes"))));
}

static void stripped_keys_are_told_apart_from_none(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_PREFER, SDES, CPH_KEYING_PREFER, SDES);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b,
                         tampered(&p, offer, "a=crypto:", "a=gone:")); /* on the way there */
    assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_PEER_NEVER_ASKED);
    assert_ok(try_finish(&p.a, answer));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_PEER_PLAIN);
    assert_non_null(status_of(&p.a).why);
    assert_false(evidence_of(&p.a).keyed);
}

static void an_answer_whose_keys_fail_is_not_replaced_by_rtp(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_PREFER, SDES, CPH_KEYING_PREFER, SDES);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_err(try_finish(&p.a, tampered(&p, answer, "GCM inline:", "GCM inline:AA")),
               CPH_E_MALFORMED);
    assert_int_equal(outcome(&p.a), CPH_NEGO_FAILED);
}

/* ---- nothing is given up later -------------------------------------------------------------- */

static void a_stream_with_keys_does_not_go_back_to_rtp(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_PREFER, SDES, CPH_KEYING_PREFER, SDES);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    offer = tampered(&p, make_offer(&p, &p.a), "a=crypto:", "a=gone:");
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    assert_int_equal(answer->media[0]->port, 0);
    assert_int_equal(outcome(&p.b), CPH_NEGO_SECURE); /* with 488 the call goes on as it was */
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_DOWNGRADE_REFUSED);
    cph_nego_rollback(p.a.nego);
    assert_media(&p, 2);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_err(try_finish(&p.a, tampered(&p, answer, "a=crypto:", "a=gone:")), CPH_E_POLICY);
    assert_int_equal(outcome(&p.a), CPH_NEGO_SECURE);
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_DOWNGRADE_REFUSED);
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 3);
}

static void rtp_may_become_srtp_later(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    with(CPH_KEYING_PREFER, SDES, CPH_KEYING_PREFER, SDES);
    offer = make_offer(&p, &p.a);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, tampered(&p, offer, "a=crypto:", "a=gone:"))));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
    exchange(&p, &p.a, &p.b); /* RFC 8643 3.4: tried again */
    assert_int_equal(outcome(&p.a), CPH_NEGO_SECURE);
    assert_int_equal(evidence_of(&p.a).notes, CPH_KEYING_NOTE_OPPORTUNISTIC);
    assert_media(&p, 1);
}

static void a_change_to_a_lesser_method_is_noted(void **state)
{
    (void)state;
    exchange(&p, &p.a, &p.b);
    assert_string_equal(status_of(&p.b).method->name, "fake");
    (void)make_answer(&p, &p.b,
                      read_sdp(&p, HEAD "m=audio 4000 RTP/SAVP 0\r\n"
                                        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " K1 "\r\n"));
    assert_string_equal(status_of(&p.b).method->name, "sdes");
    assert_int_equal(status_of(&p.b).keying.dir[0].generation, 1);
    assert_true(evidence_of(&p.b).notes & CPH_KEYING_NOTE_LOWER_METHOD);
}

static void a_removed_stream_begins_anew(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    with(CPH_KEYING_REQUIRED, SDES, CPH_KEYING_REQUIRED, SDES);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    p.b.port = 0;
    offer = make_offer(&p, &p.a);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_true(outcome(&p.a) == CPH_NEGO_REMOVED && outcome(&p.b) == CPH_NEGO_REMOVED);
    {
        CPH_SRTP_POLICY_SCOPED policy = { 0 };

        assert_err(cph_nego_keys(p.a.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &policy),
                   CPH_E_AGAIN);
    }
    p.b.port = 4000;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 2);
    assert_true(p.a.installs[0] == 2 && p.b.installs[1] == 2);
    assert_int_equal(status_of(&p.a).keying.dir[0].streams, CPH_KEYING_STREAMS_FRESH);
}

static void answers_without_an_offer_are_out_of_turn(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a);
    struct cph_nego *fork;

    (void)state;
    assert_err(try_finish(&p.b, make_answer(&p, &p.b, offer)), CPH_E_STATE);
    assert_err(cph_nego_fork(p.b.nego, &fork), CPH_E_STATE);
    cph_nego_rollback(p.a.nego);
    assert_err(try_finish(&p.a, make_answer(&p, &p.b, offer)), CPH_E_STATE);
}

/* ---- the media path ------------------------------------------------------------------------- */

static void packets_reach_the_mechanism_that_claims_them(void **state)
{
    static const uint8_t mine[] = "F1", other[] = "\x80\x00";
    const struct cph_span f = { mine, 2 }, rtp = { other, 2 };
    struct cph_keying_packet out;
    struct cph_addr from = { 0 };

    (void)state;
    assert_int_equal(cph_nego_deadline(p.b.nego), CPH_TIME_NEVER);
    assert_false(cph_nego_claims(p.a.nego, f)); /* nobody is there yet */
    exchange(&p, &p.a, &p.b);
    assert_int_equal(status_of(&p.b).keying.state, CPH_KEYING_RUNNING);
    assert_ok(cph_nego_pull(p.b.nego, &out, 0));
    assert_err(cph_nego_pull(p.b.nego, &out, 0), CPH_E_AGAIN);
    assert_int_equal(cph_nego_deadline(p.b.nego), CPH_SEC(1));
    cph_nego_tick(p.b.nego, CPH_SEC(1));
    assert_ok(cph_nego_pull(p.b.nego, &out, CPH_SEC(1)));
    assert_memory_equal(out.b, "F2", 2);
    assert_true(cph_nego_claims(p.a.nego, f));
    assert_false(cph_nego_claims(p.a.nego, rtp));
    assert_err(cph_nego_feed(p.a.nego, CPH_KEYING_RTP, &from, rtp, 0), CPH_E_UNSUPPORTED);
    assert_ok(cph_nego_feed(p.a.nego, CPH_KEYING_RTP, &from, f, 0));
    assert_int_equal(status_of(&p.a).keying.state, CPH_KEYING_KEYED);
}

static bool hides(const struct side *s, enum cph_keying_dir dir)
{
    CPH_SRTP_POLICY_SCOPED got = { 0 };

    assert_ok(cph_nego_keys(s->nego, CPH_KEYING_RTP, dir, 0, &got));
    return got.cryptex;
}

/* RFC 9335 4 */
static void headers_are_hidden_where_both_said_so_and_nobody_says_so_unasked(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct cph_nego_cfg a = cfg(CPH_KEYING_REQUIRED, SDES), b = a;
        struct cph_sdp *offer, *answer;

        a.cryptex = i & 1;
        b.cryptex = i & 2;
        pair_close(&p);
        pair_open(&p, a, b);
        offer = make_offer(&p, &p.a);
        answer = make_answer(&p, &p.b, offer);
        assert_int_equal(cph_sdp_attr(&offer->media[0]->part, "cryptex") != NULL, i & 1);
        assert_int_equal(cph_sdp_attr(&answer->media[0]->part, "cryptex") != NULL, i == 3);
        assert_ok(try_finish(&p.a, answer));
        for (int d = 0; d < 2; d++) {
            assert_int_equal(hides(&p.a, (enum cph_keying_dir)d), i == 3);
            assert_int_equal(hides(&p.b, (enum cph_keying_dir)d), i == 3);
        }
        /* an answer that says what nobody offered changes nothing */
        assert_ok(cph_sdp_attr_add(answer, answer->media[0], "cryptex", NULL));
        assert_ok(try_finish(&p.a, answer));
        assert_int_equal(hides(&p.a, CPH_KEYING_SEND), i & 1);
    }
}

static void packets_before_the_answer_are_heard_and_after_another_choice_not(void **state)
{
    static const uint8_t mine[] = "F1";
    const struct cph_span f = { mine, 2 };
    struct cph_addr from = { 0 };
    struct cph_sdp *offer;

    (void)state;
    with(CPH_KEYING_REQUIRED, BOTH, CPH_KEYING_REQUIRED, SDES);
    offer = make_offer(&p, &p.a);
    assert_ok(cph_nego_feed(p.a.nego, CPH_KEYING_RTP, &from, f,
                            0)); /* a peer may be quicker than its answer */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_false(cph_nego_claims(p.a.nego, f));
    assert_err(cph_nego_feed(p.a.nego, CPH_KEYING_RTP, &from, f, 0), CPH_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_table_names_its_rows),
        test(policies_meet_as_the_table_says),
        test(feedback_profiles_are_offered_on_wish),
        test(a_policy_that_cannot_be_kept_is_a_mistake_of_configuration),
        test(a_peer_that_knows_one_of_two_is_not_confused),
        test(what_costs_is_answered_and_offered_only_where_there_is_no_other),
        test(the_answerer_goes_by_its_own_order_of_methods),
        test(an_unusable_method_makes_room_for_the_next),
        test(several_methods_in_one_answer_are_noted),
        test(under_udp_tls_only_dtls_counts),
        test(dtls_and_sdes_share_one_offer),
        test(keys_under_rtp_avp_are_answered_under_rtp_avp),
        test(unusable_keys_under_rtp_avp_are_declined_or_refused),
        test(stripped_keys_are_told_apart_from_none),
        test(an_answer_whose_keys_fail_is_not_replaced_by_rtp),
        test(a_stream_with_keys_does_not_go_back_to_rtp),
        test(rtp_may_become_srtp_later),
        test(a_change_to_a_lesser_method_is_noted),
        test(a_removed_stream_begins_anew),
        test(answers_without_an_offer_are_out_of_turn),
        test(packets_reach_the_mechanism_that_claims_them),
        test(headers_are_hidden_where_both_said_so_and_nobody_says_so_unasked),
        test(packets_before_the_answer_are_heard_and_after_another_choice_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
