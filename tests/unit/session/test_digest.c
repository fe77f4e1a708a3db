/* The manager with digest as its security application: real challenges, real proofs. */
#include "stack.h"

#include "session_int.h"

struct world {
    struct test_env env;
    struct app app[2];
    struct cph_sma sma[2];
    struct cph_manager *m[2];
};

static void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    test_env_init(&w->env, 5);
    for (int i = 0; i < 2; i++) {
        struct cph_manager_cfg cfg = { .env = &w->env.env, .sst = &w->app[i].sst, .sma_n = 1 };

        app_init(&w->app[i], i == 1);
        w->app[i].policy.cover_body = true;
        assert_ok(cph_sma_digest_new(&w->env.env, "b.example", &w->sma[i]));
        cfg.sma[0] = w->sma[i];
        assert_ok(cph_manager_new(&cfg, &w->m[i]));
    }
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        cph_manager_free(w->m[i]);
        cph_sma_digest_free(&w->sma[i]);
    }
}

static enum cph_ssa_do carry(struct world *w, int from, struct msg *m, struct cph_ssa_out *out)
{
    cph_ssa_send(w->m[from], &m->v, 0, out);
    msg_take_lines(m, out->headers);
    msg_seal(m);
    cph_ssa_receive(w->m[!from], &m->v, 0, out);
    return out->what;
}

/* INVITE, challenge, and the proven INVITE as it goes out, in m. */
static void until_proven(struct world *w, struct msg *m)
{
    struct cph_ssa_out out;

    msg_init(m, "INVITE", 0, 1, "offer");
    assert_int_equal(carry(w, 0, m, &out), CPH_SSA_REPLY);
    assert_int_equal(out.status, 401);
    msg_init(m, "INVITE", 401, 1, "");
    msg_take_lines(m, out.headers);
    cph_ssa_receive(w->m[0], &m->v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_RETRY);
    msg_init(m, "INVITE", 0, 2, "offer");
    cph_ssa_send(w->m[0], &m->v, 0, &out);
    msg_take_lines(m, out.headers);
    assert_true(m->n >= 1);
    msg_seal(m);
}

static void a_call_proves_both_ends_and_the_keys_they_sent(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;
    const char *user;

    (void)state;
    world_open(&w);
    until_proven(&w, &m);
    assert_non_null(strstr(m.h[0].value, "qop=auth-int"));
    assert_non_null(strstr(m.h[0].value, "SHA-256"));
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.m[1], m.v.call_id, &user), CPH_PROOF_COVERED);
    assert_string_equal(user, "alice");
    cph_ssa_receive(w.m[1], &m.v, 0, &out); /* the same datagram again */
    assert_int_equal(out.what, CPH_SSA_PASS);

    msg_init(&m, "PRACK", 200, 3, ""); /* another success in between proves nothing */
    cph_ssa_send(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.headers.n, 0);
    msg_init(&m, "INVITE", 200, 2, "answer");
    assert_int_equal(carry(&w, 1, &m, &out), CPH_SSA_PASS);
    assert_non_null(strstr(m.h[0].value, "rspauth"));
    assert_int_equal(cph_manager_proof(w.m[0], m.v.call_id, NULL), CPH_PROOF_COVERED);
    world_close(&w);
}

static void a_stack_may_ask_for_the_proof_by_itself(void **state)
{
    enum cph_peer_proof proof;
    struct world w;
    struct msg m;

    (void)state;
    world_open(&w);
    until_proven(&w, &m);
    assert_ok(cph_ssa_authenticate(w.m[1], &m.v, 0, &proof));
    assert_int_equal(proof, CPH_PROOF_COVERED);
    msg_init(&m, "INVITE", 0, 3, "another offer");
    assert_err(cph_ssa_authenticate(w.m[1], &m.v, 0, &proof), CPH_E_AUTH);
    assert_int_equal(proof, CPH_PROOF_NONE);
    world_close(&w);
}

/* Alice's call to Bob, proven, up to what he sees of her. */
static void proven_call(struct world *w, struct msg *m)
{
    struct cph_ssa_out out;

    world_open(w);
    until_proven(w, m);
    cph_ssa_receive(w->m[1], &m->v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w->m[1], m->v.call_id, NULL), CPH_PROOF_COVERED);
}

static void an_answer_in_an_ack_is_not_covered_by_the_proof_of_its_invite(void **state)
{
    char lines[2][sizeof((struct msg *)0)->h[0].value];
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    proven_call(&w, &m);
    (void)snprintf(lines[0], sizeof lines[0], "%s", m.h[0].value);
    for (unsigned body = 0; body < 2; body++) {
        msg_init(&m, "ACK", 0, 2, body ? "answer" : "");
        msg_header(&m, "Authorization", lines[0]);
        msg_seal(&m);
        cph_ssa_receive(w.m[1], &m.v, 0, &out);
        assert_int_equal(out.what, CPH_SSA_PASS);
        assert_int_equal(cph_manager_proof(w.m[1], m.v.call_id, NULL),
                         body ? CPH_PROOF_UNCOVERED : CPH_PROOF_COVERED);
    }
    world_close(&w);
}

static void a_proven_success_without_an_answer_does_not_cover_an_earlier_one(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    proven_call(&w, &m);
    msg_init(&m, "INVITE", 200, 2, ""); /* the answer was in a 183, which nobody proved */
    assert_int_equal(carry(&w, 1, &m, &out), CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.m[0], m.v.call_id, NULL), CPH_PROOF_UNCOVERED);
    world_close(&w);
}

static void an_answer_to_our_reoffer_that_nobody_proved_lowers_the_proof(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    proven_call(&w, &m);
    msg_init(&m, "INVITE", 0, 9, "offer"); /* Bob's, inside the dialog */
    m.v.to_tag = CPH_SPAN_LIT("b");
    msg_seal(&m);
    cph_ssa_send(w.m[1], &m.v, 0, &out);
    msg_init(&m, "INVITE", 200, 9, "answer"); /* anybody's */
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.m[1], m.v.call_id, NULL), CPH_PROOF_NONE);
    world_close(&w);
}

static void a_changed_offer_is_not_let_in(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w);
    until_proven(&w, &m);
    m.v.body = cph_span_of("0ffer"); /* somebody put his own fingerprint in */
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 401);
    assert_int_equal(cph_manager_counters(w.m[1])->forwarded, 0);
    world_close(&w);
}

static void a_changed_answer_is_dropped_as_forged(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w);
    until_proven(&w, &m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    msg_init(&m, "INVITE", 200, 2, "answer");
    cph_ssa_send(w.m[1], &m.v, 0, &out);
    msg_take_lines(&m, out.headers);
    m.v.body = cph_span_of("Answer");
    cph_ssa_receive(w.m[0], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_DROP);
    world_close(&w);
}

static void a_replayed_proof_in_another_message_is_not_let_in(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w);
    until_proven(&w, &m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    m.v.cseq = 3; /* the same credentials under another CSeq: other bytes */
    msg_seal(&m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    m.v.call_id = cph_span_of("call-2"); /* and in another call */
    msg_seal(&m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    world_close(&w);
}

static void the_wrong_password_or_an_unknown_user_is_not_let_in(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w);
    w.app[0].password = "wrong";
    until_proven(&w, &m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.status, 401);
    msg_init(&m, "INVITE", 401, 2, ""); /* and the caller does not try the same again */
    msg_take_lines(&m, out.headers);
    cph_ssa_receive(w.m[0], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    world_close(&w);
}

static void
a_proof_for_another_address_is_not_let_in_but_the_address_called_may_be_rewritten(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w);
    until_proven(&w, &m);
    m.v.uri = cph_span_of("sip:bob@192.0.2.9"); /* a proxy put the contact in; To still says bob */
    msg_seal(&m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    world_close(&w);

    world_open(&w);
    until_proven(&w, &m);
    m.v.uri = m.v.to_uri = cph_span_of("sip:carol@b.example"); /* the proof was for bob */
    msg_seal(&m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    world_close(&w);
}

static void a_proof_that_leaves_out_the_body_or_uses_md5_does_not_cover_the_keys(void **state)
{
    static const char *const challenge[] = {
        "Digest realm=\"x\", nonce=\"abc\", qop=\"auth\", algorithm=SHA-256",
        "Digest realm=\"x\", nonce=\"abc\", qop=\"auth-int\", algorithm=MD5",
    };
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world_open(&w);
        msg_init(&m, "INVITE", 0, 1, "offer");
        cph_ssa_send(w.m[0], &m.v, 0, &out);
        msg_init(&m, "INVITE", 401, 1, "");
        msg_header(&m, "WWW-Authenticate", challenge[i]);
        cph_ssa_receive(w.m[0], &m.v, 0, &out);
        assert_int_equal(out.what, CPH_SSA_RETRY);
        msg_init(&m, "INVITE", 0, 2, "offer");
        cph_ssa_send(w.m[0], &m.v, 0, &out);
        assert_true(out.headers.n > 0);
        msg_init(&m, "INVITE", 200, 2, "answer"); /* proves nothing at all */
        cph_ssa_receive(w.m[0], &m.v, 0, &out);
        assert_int_equal(out.what, CPH_SSA_PASS);
        assert_int_equal(cph_manager_proof(w.m[0], m.v.call_id, NULL), CPH_PROOF_NONE);
        world_close(&w);
    }
    world_open(&w); /* the server's side: it did not ask for the body */
    w.app[1].policy.cover_body = false;
    until_proven(&w, &m);
    cph_ssa_receive(w.m[1], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.m[1], m.v.call_id, NULL), CPH_PROOF_UNCOVERED);
    world_close(&w);
}

static void two_challengers_each_get_their_own_answer(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w);
    msg_init(&m, "INVITE", 0, 1, "offer");
    cph_ssa_send(w.m[0], &m.v, 0, &out);
    msg_init(&m, "INVITE", 407, 1, "");
    msg_header(&m, "Proxy-Authenticate", "Digest realm=\"proxy\", nonce=\"p\", qop=\"auth\"");
    cph_ssa_receive(w.m[0], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_RETRY);
    msg_init(&m, "INVITE", 0, 2, "offer");
    cph_ssa_send(w.m[0], &m.v, 0, &out);
    msg_take_lines(&m, out.headers);
    assert_int_equal(m.n, 1);
    assert_string_equal(m.h[0].name, "Proxy-Authorization");
    msg_init(&m, "INVITE", 401, 2, "");
    msg_header(&m, "WWW-Authenticate", "Digest realm=\"far\", nonce=\"f\", qop=\"auth\"");
    cph_ssa_receive(w.m[0], &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_RETRY);
    msg_init(&m, "INVITE", 0, 3, "offer");
    cph_ssa_send(w.m[0], &m.v, 0, &out);
    msg_take_lines(&m, out.headers);
    assert_int_equal(m.n, 2);
    world_close(&w);
}

static cph_err scenario(void *arg)
{
    struct world *w = arg;
    struct cph_manager_cfg cfg = { .env = &w->env.env, .sst = &w->app[1].sst, .sma_n = 1 };
    struct cph_manager *m;
    struct cph_ssa_out out;
    struct msg inv;
    cph_err err;

    CPH_TRY(cph_sma_digest_new(&w->env.env, "b.example", &cfg.sma[0]));
    err = cph_manager_new(&cfg, &m);
    if (err == CPH_OK) {
        msg_init(&inv, "INVITE", 0, 1, "offer");
        msg_header(&inv, "Authorization", "Digest username=\"alice\"");
        cph_ssa_receive(m, &inv.v, 0, &out);
        if (out.what != CPH_SSA_REPLY)
            err = CPH_E_BUG;
        cph_manager_free(m);
    }
    cph_sma_digest_free(&cfg.sma[0]);
    return err;
}

static void lack_of_memory_lets_nobody_in(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    test_alloc_fails(scenario, &w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_proves_both_ends_and_the_keys_they_sent),
        cmocka_unit_test(a_stack_may_ask_for_the_proof_by_itself),
        cmocka_unit_test(an_answer_in_an_ack_is_not_covered_by_the_proof_of_its_invite),
        cmocka_unit_test(a_proven_success_without_an_answer_does_not_cover_an_earlier_one),
        cmocka_unit_test(an_answer_to_our_reoffer_that_nobody_proved_lowers_the_proof),
        cmocka_unit_test(a_changed_offer_is_not_let_in),
        cmocka_unit_test(a_changed_answer_is_dropped_as_forged),
        cmocka_unit_test(a_replayed_proof_in_another_message_is_not_let_in),
        cmocka_unit_test(the_wrong_password_or_an_unknown_user_is_not_let_in),
        cmocka_unit_test(
            a_proof_for_another_address_is_not_let_in_but_the_address_called_may_be_rewritten),
        cmocka_unit_test(a_proof_that_leaves_out_the_body_or_uses_md5_does_not_cover_the_keys),
        cmocka_unit_test(two_challengers_each_get_their_own_answer),
        cmocka_unit_test(lack_of_memory_lets_nobody_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
