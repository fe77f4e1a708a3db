/* Security preconditions in the session (RFC 5027, RFC 3312): the first exchange, and offers in the
 * middle of a call. What a branch of the caller's side is called: 1; the called side has branch 0.
 */
#include "pair.h"

#include "ciphony/keying_mikey.h"

#define REQ CPH_SECURITY_REQUIRED

static void open_pre(struct pair *t, enum cph_precondition a, enum cph_precondition b,
                     const char *keying)
{
    memset(t, 0, sizeof *t);
    t->now = CPH_SEC(1);
    party_init(&t->a, 1, REQ, keying);
    party_init(&t->b, 2, REQ, keying);
    t->a.cfg.policy.precondition = a;
    t->b.cfg.policy.precondition = b;
}

static void certify(struct party *p)
{
    struct cph_cert_spec spec = { .cn = "x", .not_before = 900000000, .not_after = 1100000000 };

    p->env.wall = 1000000000;
    assert_ok(cph_key_generate(&p->env.env, CPH_KEY_EC_P256, &p->key));
    assert_ok(cph_cert_self_signed(&p->env.env, p->key, &spec, &p->cert));
    p->cfg.keying.key = p->key;
    p->cfg.keying.cert = p->cert;
}

static bool says(const struct party *p, const char *line)
{
    char text[SDP_MAX + 1];

    (void)snprintf(text, sizeof text, "%.*s", CPH_SPAN_ARG(p->text));
    return strstr(text, line) != NULL;
}

#define A_BRANCH 1
#define B_BRANCH 0

/* The word of the first exchange: p offers once more. */
static void first_word(struct pair *t, struct party *p, struct party *q)
{
    struct cph_wr wr = cph_wr_open(p->sdp, sizeof p->sdp);

    assert_int_equal(cph_session_precond(p->s, A_BRANCH), CPH_SESSION_PRECOND_CONFIRM);
    assert_ok(cph_session_confirm(p->s, A_BRANCH, &wr));
    p->text = cph_wr_done(&wr);
    assert_ok(answer(t, q, p->text));
    assert_true(says(q, "a=curr:sec e2e sendrecv"));
    assert_ok(cph_session_finish(p->s, A_BRANCH, q->text, t->now));
    assert_int_equal(cph_session_precond(p->s, A_BRANCH), CPH_SESSION_PRECOND_MET);
    assert_int_equal(cph_session_precond(q->s, B_BRANCH), CPH_SESSION_PRECOND_MET);
}

static void start(struct pair *t)
{
    party_start(&t->a);
    party_start(&t->b);
    exchange(t, &t->a, &t->b);
    shuttle(t);
    first_word(t, &t->a, &t->b);
    assert_ok(cph_session_choose(t->a.s, A_BRANCH));
    talk(t);
    (void)happened(&t->a, CPH_SESSION_KEYED, NULL);
    (void)happened(&t->b, CPH_SESSION_KEYED, NULL);
}

/* A call with keys from SDES, of one who would have preconditions so and one who takes them. */
static void open_call(struct pair *t, enum cph_precondition a)
{
    open_pre(t, a, CPH_PRECONDITION_OPTIONAL, "sdes");
    start(t);
}

static uint32_t branch_of(const struct pair *t, const struct party *p)
{
    return p == &t->a ? A_BRANCH : B_BRANCH;
}

static void first_media_waits_for_the_word(void **state)
{
    struct pair t;

    (void)state;
    open_pre(&t, CPH_PRECONDITION_MANDATORY, CPH_PRECONDITION_OPTIONAL, "sdes");
    party_start(&t.a);
    party_start(&t.b);
    exchange(&t, &t.a, &t.b);
    assert_err(say(&t, &t.b, &t.a, 1), CPH_E_NOKEY); /* RFC 5027 3 MUST NOT */
    assert_ok(say(&t, &t.a, &t.b, 1));               /* it knows that the other can take it */
    first_word(&t, &t.a, &t.b);
    talk(&t);
    pair_close(&t);
}

/* RFC 3312 6: who answers goes on with the old keys until the word; both take old and new. */
static void rekey(struct pair *t, struct party *p, struct party *q)
{
    struct cph_session_event ev;

    assert_ok(cph_session_rekey(p->s));
    assert_ok(offer(t, p));
    assert_true(says(p, "a=curr:sec e2e none"));
    assert_ok(answer(t, q, p->text));
    assert_true(says(q, "a=conf:sec e2e sendrecv"));
    talk(t); /* both under the old ones still: p has no answer */
    assert_ok(cph_session_finish(p->s, branch_of(t, p), q->text, t->now));
    talk(t);
    shuttle(t);
    talk(t);
    assert_int_equal(cph_session_precond(p->s, branch_of(t, p)), CPH_SESSION_PRECOND_CONFIRM);
    assert_int_equal(cph_session_precond(q->s, branch_of(t, q)), CPH_SESSION_PRECOND_WAITS);
    assert_false(happened(q, CPH_SESSION_KEYED, &ev)); /* not yet in use */
    t->now += CPH_SEC(5);
    cph_session_tick(p->s, t->now);
    cph_session_tick(q->s, t->now);
    talk(t); /* the word may take its time */
    assert_ok(offer(t, p));
    assert_true(says(p, "a=curr:sec e2e sendrecv"));
    assert_ok(answer(t, q, p->text));
    assert_true(says(q, "a=curr:sec e2e sendrecv"));
    assert_false(says(q, "a=conf"));
    talk(t);
    assert_ok(cph_session_finish(p->s, branch_of(t, p), q->text, t->now));
    talk(t);
    assert_int_equal(cph_session_precond(p->s, branch_of(t, p)), CPH_SESSION_PRECOND_MET);
    assert_int_equal(cph_session_precond(q->s, branch_of(t, q)), CPH_SESSION_PRECOND_MET);
    assert_true(happened(q, CPH_SESSION_KEYED, &ev));
    assert_non_null(strstr(ev.why, "new keys"));
    assert_true(happened(p, CPH_SESSION_KEYED, &ev));
    t->now += CPH_SEC(40); /* and nobody needs the old ones */
    cph_session_tick(p->s, t->now);
    cph_session_tick(q->s, t->now);
    talk(t);
}

static void new_keys_in_a_call_wait_for_the_word_in_both_directions(void **state)
{
    struct pair t;

    (void)state;
    for (int a = CPH_PRECONDITION_OPTIONAL; a <= CPH_PRECONDITION_MANDATORY; a++) {
        open_call(&t, (enum cph_precondition)a);
        rekey(&t, &t.a, &t.b);
        rekey(&t, &t.b, &t.a);
        rekey(&t, &t.a, &t.b);
        pair_close(&t);
    }
}

static void a_handshake_in_a_call_waits_too(void **state)
{
    struct pair t;

    (void)state;
    open_pre(&t, CPH_PRECONDITION_OPTIONAL, CPH_PRECONDITION_OPTIONAL, "dtls");
    certify(&t.a);
    certify(&t.b);
    start(&t);
    rekey(&t, &t.a, &t.b);
    rekey(&t, &t.b, &t.a);
    pair_close(&t);
}

static void mikey_has_its_word_as_well(void **state)
{
    static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
    struct cph_mikey *m[2];
    struct pair t;

    (void)state;
    open_pre(&t, CPH_PRECONDITION_OPTIONAL, CPH_PRECONDITION_OPTIONAL, "mikey");
    for (unsigned i = 0; i < 2; i++) {
        struct party *p = i ? &t.b : &t.a;
        struct cph_mikey_cfg cfg = { .mode = CPH_MIKEY_PSK, .psk = &psk, .env = &p->env.env };

        cfg.id = i ? "sip:b@example.org" : "sip:a@example.org";
        cfg.peer_id = i ? "sip:a@example.org" : "sip:b@example.org";
        assert_ok(cph_mikey_new(&cfg, &m[i]));
        p->cfg.keying.mikey = m[i];
    }
    start(&t);
    rekey(&t, &t.a, &t.b);
    rekey(&t, &t.b, &t.a);
    pair_close(&t);
    cph_mikey_free(m[0]);
    cph_mikey_free(m[1]);
}

/* The old keys are really what goes: when the other side has forgotten them, nothing is heard. */
static void without_the_word_the_old_keys_go_on(void **state)
{
    struct pair t;

    (void)state;
    open_call(&t, CPH_PRECONDITION_OPTIONAL);
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    t.now += CPH_SEC(31);
    cph_session_tick(t.a.s, t.now);
    talk(&t);
    t.now += CPH_SEC(2); /* 64 T1: no word of ours can be under way any more */
    cph_session_tick(t.a.s, t.now);
    cph_session_tick(t.b.s, t.now);
    assert_err(say(&t, &t.b, &t.a, 1), CPH_E_AUTH);
    assert_ok(say(&t, &t.a, &t.b, 1));
    exchange(&t, &t.a, &t.b); /* late, but there */
    talk(&t);
    pair_close(&t);
}

static void an_added_stream_is_silent_until_the_word(void **state)
{
    struct cph_session_packet got;
    struct pair t;
    struct pkt k;
    unsigned at;

    (void)state;
    open_call(&t, CPH_PRECONDITION_MANDATORY);
    assert_ok(cph_session_add(t.a.s, &t.a.media[1], &at));
    assert_ok(cph_session_add(t.b.s, &t.b.media[1], &at));
    exchange(&t, &t.a, &t.b);
    assert_true(says(&t.a, "a=curr:sec e2e sendrecv")); /* the old stream */
    assert_true(says(&t.a, "a=curr:sec e2e none"));     /* the new one */
    talk(&t);
    rtp(&t.b, &k, 6);
    assert_err(protect(&t, &t.b, 1, CPH_KEYING_RTP, &k), CPH_E_NOKEY);
    assert_int_equal(cph_session_precond(t.a.s, A_BRANCH), CPH_SESSION_PRECOND_CONFIRM);
    exchange(&t, &t.a, &t.b);
    assert_int_equal(cph_session_precond(t.a.s, A_BRANCH), CPH_SESSION_PRECOND_MET);
    talk(&t);
    rtp(&t.b, &k, 6);
    assert_ok(protect(&t, &t.b, 1, CPH_KEYING_RTP, &k));
    assert_ok(feed_from(&t, &t.a, 1, &k, &t.b.addr[1][0]));
    assert_ok(cph_session_take(t.a.s, &got));
    pair_close(&t);
}

static void media_stays_where_it_went_until_the_word(void **state)
{
    struct cph_addr elsewhere;
    struct pair t;
    struct pkt k;

    (void)state;
    assert_ok(cph_addr_parse(CPH_SPAN_LIT("192.0.2.1:7000"), &elsewhere));
    open_call(&t, CPH_PRECONDITION_MANDATORY);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    edit(&t.a, "m=audio 4000", "m=audio 7000");
    assert_ok(answer(&t, &t.b, t.a.text));
    rtp(&t.b, &k, 1);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
    assert_true(cph_addr_eq(&k.to, &t.a.addr[0][0]));
    assert_ok(cph_session_finish(t.a.s, A_BRANCH, t.b.text, t.now));
    assert_ok(offer(&t, &t.a));
    edit(&t.a, "m=audio 4000", "m=audio 7000");
    assert_ok(answer(&t, &t.b, t.a.text));
    rtp(&t.b, &k, 1);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
    assert_true(cph_addr_eq(&k.to, &elsewhere));
    pair_close(&t);
}

static void a_hold_needs_no_word(void **state)
{
    struct pair t;

    (void)state;
    open_pre(&t, CPH_PRECONDITION_MANDATORY, CPH_PRECONDITION_MANDATORY, "sdes");
    start(&t);
    assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDONLY));
    exchange(&t, &t.a, &t.b);
    assert_true(says(&t.a, "a=curr:sec e2e sendrecv"));
    assert_false(says(&t.b, "a=conf"));
    assert_int_equal(cph_session_precond(t.a.s, A_BRANCH), CPH_SESSION_PRECOND_MET);
    assert_err(say(&t, &t.b, &t.a, 1), CPH_E_STATE); /* at once */
    pair_close(&t);
}

/* ---- wrong values ---------------------------------------------------------------------------- */

static void sendrecv_said_of_other_keys_is_not_believed(void **state)
{
    struct pair t;

    (void)state;
    open_call(&t, CPH_PRECONDITION_OPTIONAL);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    edit(&t.a, "a=curr:sec e2e none", "a=curr:sec e2e sendrecv");
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_true(says(&t.b, "a=conf:sec e2e sendrecv"));
    assert_true(says(&t.b, "a=curr:sec e2e recv\r"));
    assert_int_equal(cph_session_precond(t.b.s, B_BRANCH), CPH_SESSION_PRECOND_WAITS);
    pair_close(&t);
}

static void half_a_word_is_none(void **state)
{
    struct pair t;

    (void)state;
    open_call(&t, CPH_PRECONDITION_OPTIONAL);
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    assert_ok(offer(&t, &t.a));
    edit(&t.a, "a=curr:sec e2e sendrecv", "a=curr:sec e2e send");
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_true(says(&t.b, "a=conf:sec e2e sendrecv"));
    assert_int_equal(cph_session_precond(t.b.s, B_BRANCH), CPH_SESSION_PRECOND_WAITS);
    pair_close(&t);
}

static void what_is_unknown_and_mandatory_is_refused_and_the_call_stays(void **state)
{
    struct pair t;

    (void)state;
    open_call(&t, CPH_PRECONDITION_OPTIONAL);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    edit(&t.a, "a=curr:sec", "a=des:qos mandatory e2e sendrecv\r\na=curr:sec");
    assert_err(answer(&t, &t.b, t.a.text), CPH_E_UNSUPPORTED);
    cph_session_rollback(t.a.s);
    talk(&t);
    t.now += CPH_SEC(40);
    cph_session_tick(t.b.s, t.now);
    talk(&t); /* none of the keys was taken */
    pair_close(&t);
}

static void an_offer_that_drops_them_frees_what_waited(void **state)
{
    struct pair t;

    (void)state;
    open_call(&t, CPH_PRECONDITION_OPTIONAL);
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    assert_ok(offer(&t, &t.a));
    strip(&t.a, "a=curr");
    strip(&t.a, "a=des");
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_false(says(&t.b, "a=curr"));
    assert_ok(cph_session_finish(t.a.s, A_BRANCH, t.b.text, t.now));
    t.now += CPH_SEC(40);
    cph_session_tick(t.a.s, t.now);
    talk(&t); /* under the new ones */
    pair_close(&t);
}

static void a_peer_that_never_spoke_of_them_hears_nothing_of_them_later(void **state)
{
    struct pair t;

    (void)state;
    open_pre(&t, CPH_PRECONDITION_MANDATORY, CPH_PRECONDITION_OFF, "sdes");
    party_start(&t.a);
    party_start(&t.b);
    exchange(&t, &t.a, &t.b);
    assert_int_equal(cph_session_precond(t.a.s, A_BRANCH), CPH_SESSION_PRECOND_NONE);
    assert_ok(cph_session_choose(t.a.s, A_BRANCH));
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    assert_false(says(&t.a, "a=curr"));
    talk(&t);
    pair_close(&t);
}

static void a_refused_rekey_leaves_all_as_it_was(void **state)
{
    struct pair t;

    (void)state;
    open_call(&t, CPH_PRECONDITION_OPTIONAL);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    strip(&t.a, "a=crypto");
    assert_err(answer(&t, &t.b, t.a.text), CPH_E_POLICY);
    cph_session_rollback(t.a.s);
    talk(&t);
    t.now += CPH_SEC(40);
    cph_session_tick(t.b.s, t.now);
    talk(&t);
    pair_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_media_waits_for_the_word),
        cmocka_unit_test(new_keys_in_a_call_wait_for_the_word_in_both_directions),
        cmocka_unit_test(a_handshake_in_a_call_waits_too),
        cmocka_unit_test(mikey_has_its_word_as_well),
        cmocka_unit_test(without_the_word_the_old_keys_go_on),
        cmocka_unit_test(an_added_stream_is_silent_until_the_word),
        cmocka_unit_test(media_stays_where_it_went_until_the_word),
        cmocka_unit_test(a_hold_needs_no_word),
        cmocka_unit_test(sendrecv_said_of_other_keys_is_not_believed),
        cmocka_unit_test(half_a_word_is_none),
        cmocka_unit_test(what_is_unknown_and_mandatory_is_refused_and_the_call_stays),
        cmocka_unit_test(an_offer_that_drops_them_frees_what_waited),
        cmocka_unit_test(a_peer_that_never_spoke_of_them_hears_nothing_of_them_later),
        cmocka_unit_test(a_refused_rekey_leaves_all_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
