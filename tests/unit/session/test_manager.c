#include "session_int.h"
#include "stack.h"

/* Alice and Bob, each with a manager below a stack that the tests play by hand. */
struct world {
    struct test_env env;
    struct toy toy[2];
    struct app app[2];
    struct cph_manager *alice, *bob;
};

static struct cph_manager *manager(struct world *w, int who, unsigned max)
{
    struct cph_manager_cfg cfg = { .env = &w->env.env,
                                   .sst = &w->app[who].sst,
                                   .sma = { toy_sma(&w->toy[who]) },
                                   .sma_n = 1,
                                   .max_calls = max };
    struct cph_manager *m;

    assert_ok(cph_manager_new(&cfg, &m));
    return m;
}

static void world_open(struct world *w, bool bob_asks)
{
    memset(w, 0, sizeof *w);
    test_env_init(&w->env, 3);
    app_init(&w->app[0], false);
    app_init(&w->app[1], bob_asks);
    w->alice = manager(w, 0, 0);
    w->bob = manager(w, 1, 0);
}

static void world_close(struct world *w)
{
    cph_manager_free(w->alice);
    cph_manager_free(w->bob);
    assert_int_equal(w->toy[0].open, 0);
    assert_int_equal(w->toy[1].open, 0);
}

/* A message goes out through one manager, with the lines it adds, and in through the other. */
static enum cph_ssa_do carry(struct cph_manager *from, struct cph_manager *to, struct msg *m,
                             struct cph_ssa_out *out)
{
    cph_ssa_send(from, &m->v, 0, out);
    assert_int_equal(out->what, CPH_SSA_PASS);
    msg_take_lines(m, out->headers);
    msg_seal(m);
    cph_ssa_receive(to, &m->v, 0, out);
    return out->what;
}

static struct cph_span id(void)
{
    return cph_span_of("call-1");
}

/* ---- the table ------------------------------------------------------------------------------- */

static void every_pair_of_state_and_signal_does_what_the_figures_say(void **state)
{
    enum { I = CPH_MANAGER_IDLE, W = CPH_MANAGER_WAIT_AUTHORIZED_INVITE };
    enum { INV, UNA, ERR, WWW, FWD, NO };
    static const struct manager_input free_call = { .can_challenge = true },
                                      asked = { .required = true, .can_challenge = true },
                                      good = { .required = true, .authorized = true },
                                      dumb = { .required = true },
                                      answer = { .outgoing = true, .can_answer = true },
                                      cannot = { .outgoing = true };
    static const struct {
        int state, signal;
        const struct manager_input *in;
        int next, action, emitted;
    } row[] = {
        { I, INV, &free_call, I, MANAGER_PASS, FWD }, /* nobody asks: forwarded */
        { W, INV, &free_call, I, MANAGER_PASS, FWD },
        { I, INV, &asked, W, MANAGER_CHALLENGE, WWW }, /* figure 22 (a) */
        { W, INV, &asked, W, MANAGER_CHALLENGE, WWW }, /* still not authorized */
        { I, INV, &good, I, MANAGER_PASS, FWD },
        { W, INV, &good, I, MANAGER_PASS, FWD }, /* figure 22 (b) */
        { I, INV, &dumb, I, MANAGER_REFUSE, NO },
        { W, INV, &dumb, I, MANAGER_REFUSE, NO },
        { I, UNA, &answer, I, MANAGER_RETRY, WWW }, /* figure 22 (c): stays idle */
        { W, UNA, &answer, W, MANAGER_RETRY, WWW },
        { I, UNA, &cannot, I, MANAGER_PASS, NO },
        { W, UNA, &cannot, W, MANAGER_PASS, NO },
        { I, ERR, &cannot, I, MANAGER_PASS, NO },
        { W, ERR, &cannot, I, MANAGER_PASS, NO }, /* figure 22 (b) */
        { I, WWW, &asked, W, MANAGER_CHALLENGE, NO },
        { W, WWW, &asked, W, MANAGER_CHALLENGE, NO },
        { I, WWW, &answer, I, MANAGER_RETRY, NO },
        { W, WWW, &answer, W, MANAGER_RETRY, NO },
        { I, FWD, &good, I, MANAGER_PASS, NO },
        { W, FWD, &good, I, MANAGER_PASS, NO },
    };
    bool seen[CPH_MANAGER_STATES_][CPH_MANAGER_SIGNALS_] = { { false } };
    struct manager_step step;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_ok(manager_fsm((enum cph_manager_state)row[i].state,
                              (enum cph_manager_signal)row[i].signal, row[i].in, &step));
        assert_int_equal(step.state, row[i].next);
        assert_int_equal(step.action, row[i].action);
        assert_int_equal(step.emitted, row[i].emitted);
        seen[row[i].state][row[i].signal] = true;
    }
    for (int s = 0; s < CPH_MANAGER_STATES_; s++)
        for (int g = 0; g < CPH_MANAGER_SIGNALS_; g++) {
            assert_true(seen[s][g]);
            assert_string_not_equal(cph_manager_signal_name((enum cph_manager_signal)g), "?");
        }
    assert_err(manager_fsm(CPH_MANAGER_STATES_, CPH_SIGNAL_GOT_INVITE, &good, &step), CPH_E_STATE);
    assert_err(manager_fsm(CPH_MANAGER_IDLE, CPH_MANAGER_SIGNALS_, &good, &step), CPH_E_STATE);
    assert_string_equal(cph_manager_state_name(CPH_MANAGER_WAIT_AUTHORIZED_INVITE),
                        "wait_authorized_invite");
}

/* ---- figures 18 to 22 as message sequences --------------------------------------------------- */

static void figure_18_only_valid_calls_go_up_and_everything_passes_the_manager(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    msg_init(&m, "INVITE", 0, 1, "offer"); /* not authorized: call control must not see it */
    msg_seal(&m);
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    msg_init(&m, "OPTIONS", 0, 1, ""); /* what needs no proof goes up */
    msg_seal(&m);
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    msg_init(&m, "OPTIONS", 200, 1, "");
    cph_ssa_send(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_counters(w.bob)->in, 2);
    assert_int_equal(cph_manager_counters(w.bob)->out, 1);
    assert_int_equal(cph_manager_counters(w.bob)->forwarded, 0);
    world_close(&w);
}

/* Figure 20 (sending) and 21 (receiving) are the two ends of this. */
static void figures_19_to_22_a_call_that_has_to_prove_itself(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;
    const char *user;

    (void)state;
    world_open(&w, true);
    w.toy[1].covers = true;

    msg_init(&m, "INVITE", 0, 1, "offer"); /* INVITE -> */
    assert_int_equal(carry(w.alice, w.bob, &m, &out), CPH_SSA_REPLY);
    assert_int_equal(out.status, 401); /* got_invite, send_www_authenticate */
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_WAIT_AUTHORIZED_INVITE);

    msg_init(&m, "INVITE", 401, 1, ""); /* <- 401 */
    msg_take_lines(&m, out.headers);
    msg_seal(&m);
    cph_ssa_receive(w.alice, &m.v, 0, &out); /* got_unauthorized */
    assert_int_equal(out.what, CPH_SSA_RETRY);
    assert_int_equal(cph_manager_state(w.alice, id()), CPH_MANAGER_IDLE);

    msg_init(&m, "ACK", 0, 1, ""); /* ACK -> ends at the manager */
    assert_int_equal(carry(w.alice, w.bob, &m, &out), CPH_SSA_DROP);

    msg_init(&m, "INVITE", 0, 2, "offer"); /* INVITE with Authorization -> */
    assert_int_equal(carry(w.alice, w.bob, &m, &out), CPH_SSA_PASS);
    assert_int_equal(m.n, 1);
    assert_string_equal(m.h[0].value, "Toy alice right");
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_IDLE);
    assert_int_equal(cph_manager_proof(w.bob, id(), &user), CPH_PROOF_COVERED);
    assert_string_equal(user, "alice");

    msg_init(&m, "INVITE", 180, 2, ""); /* <- 180 */
    assert_int_equal(carry(w.bob, w.alice, &m, &out), CPH_SSA_PASS);
    assert_int_equal(m.n, 0);
    w.toy[0].covers = true;
    msg_init(&m, "INVITE", 200, 2, "answer"); /* <- 200, which proves Bob in turn */
    assert_int_equal(carry(w.bob, w.alice, &m, &out), CPH_SSA_PASS);
    assert_int_equal(m.n, 1);
    assert_int_equal(cph_manager_proof(w.alice, id(), NULL), CPH_PROOF_COVERED);
    msg_init(&m, "ACK", 0, 2, ""); /* ACK -> repeats the proof */
    assert_int_equal(carry(w.alice, w.bob, &m, &out), CPH_SSA_PASS);
    assert_int_equal(m.n, 1);
    assert_int_equal(cph_manager_counters(w.bob)->forwarded, 1);
    assert_int_equal(cph_manager_counters(w.bob)->challenged, 1);
    assert_int_equal(cph_manager_counters(w.alice)->answered, 1);
    world_close(&w);
}

static void figure_22b_an_error_while_waiting_leads_back_to_idle(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    msg_init(&m, "INVITE", 0, 1, "offer");
    msg_seal(&m);
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_WAIT_AUTHORIZED_INVITE);
    msg_init(&m, "INVITE", 486, 1, "");
    msg_seal(&m);
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_IDLE);
    world_close(&w);
}

/* ---- who is let in --------------------------------------------------------------------------- */

static void receive(struct cph_manager *m, const char *authorization, uint32_t cseq,
                    struct cph_ssa_out *out)
{
    struct msg inv;

    msg_init(&inv, "INVITE", 0, cseq, "offer");
    if (authorization)
        msg_header(&inv, "Authorization", authorization);
    msg_seal(&inv);
    cph_ssa_receive(m, &inv.v, 0, out);
}

static void a_wrong_proof_is_asked_again_and_then_refused(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    for (uint32_t i = 1; i <= CPH_MANAGER_TRIES; i++) {
        receive(w.bob, i > 1 ? "Toy alice wrong" : NULL, i, &out);
        assert_int_equal(out.status, 401);
        receive(w.bob, i > 1 ? "Toy alice wrong" : NULL, i, &out); /* a repeat counts once */
        assert_int_equal(out.status, 401);
    }
    receive(w.bob, "Toy alice wrong", 9, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 403);
    assert_int_equal(out.headers.n, 0);
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_IDLE);
    assert_int_equal(cph_manager_counters(w.bob)->bad_proof, 5);
    receive(w.bob, "Toy alice right", 10, &out); /* the right one is still good */
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.bob, id(), NULL), CPH_PROOF_UNCOVERED);
    world_close(&w);
}

static void a_proof_that_is_only_stale_says_so(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    struct msg m;

    (void)state;
    world_open(&w, true);
    w.toy[1].stale = true;
    receive(w.bob, "Toy alice right", 1, &out);
    assert_int_equal(out.status, 401);
    msg_init(&m, "INVITE", 401, 1, "");
    msg_take_lines(&m, out.headers);
    assert_string_equal(m.h[0].value, "Toy stale");
    world_close(&w);
}

static void a_proof_by_another_scheme_or_another_user_is_not_enough(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    receive(w.bob, "Basic alice right", 1, &out);
    assert_int_equal(out.status, 401);
    assert_int_equal(w.toy[1].verifies, 0);
    receive(w.bob, "Toyota alice right", 2, &out); /* the whole word */
    assert_int_equal(out.status, 401);
    assert_int_equal(w.toy[1].verifies, 0);
    receive(w.bob, "Toy mallory right", 3, &out); /* proven, but From says alice */
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 403);
    assert_int_equal(cph_manager_counters(w.bob)->unknown_user, 1);
    assert_int_equal(cph_manager_counters(w.bob)->forwarded, 0);
    assert_int_equal(cph_manager_proof(w.bob, id(), NULL), CPH_PROOF_UNKNOWN);
    world_close(&w);
}

static cph_err anybody(void *ctx, const struct cph_ssa_msg *msg, struct cph_span user)
{
    (void)ctx;
    (void)msg;
    return cph_span_is(user, "eve") ? CPH_E_POLICY : CPH_OK;
}

static void the_application_may_decide_who_calls_and_a_call_keeps_its_user(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    w.app[1].sst.decide = anybody;
    receive(w.bob, "Toy eve right", 1, &out);
    assert_int_equal(out.status, 403);
    receive(w.bob, "Toy mallory right", 2, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    receive(w.bob, "Toy alice right", 3, &out); /* another user in the same call */
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 403);
    world_close(&w);
}

static void a_repeat_over_udp_passes_once_proven_and_only_the_very_same_bytes(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    receive(w.bob, "Toy alice right", 1, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(w.toy[1].verifies, 1);
    receive(w.bob, "Toy alice right", 1, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(w.toy[1].verifies, 1);
    w.toy[1].stale = true;
    receive(w.bob, "Toy alice right", 2, &out); /* other bytes are checked anew */
    assert_int_equal(out.status, 401);
    world_close(&w);
}

static void a_second_caller_under_the_same_call_id_is_refused(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, false); /* even if nobody has to prove anything */
    msg_init(&m, "INVITE", 0, 1, "offer");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.bob, id(), NULL), CPH_PROOF_NONE);
    m.v.from_tag = cph_span_of("mallory-tag");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 403);
    m.v.to_tag = cph_span_of("bob-tag"); /* in a dialog: the dialogs above match the tags */
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    world_close(&w);
}

static void what_carries_keys_inside_a_call_has_to_be_proven_too(void **state)
{
    static const struct {
        const char *method, *body;
        enum cph_ssa_do what;
    } row[] = {
        { "UPDATE", "offer", CPH_SSA_REPLY }, { "INVITE", "", CPH_SSA_REPLY },
        { "PRACK", "answer", CPH_SSA_REPLY }, { "PRACK", "", CPH_SSA_PASS },
        { "INFO", "", CPH_SSA_REPLY },        { "REFER", "", CPH_SSA_REPLY },
        { "MESSAGE", "hi", CPH_SSA_REPLY },   { "BYE", "", CPH_SSA_PASS },
        { "CANCEL", "", CPH_SSA_PASS },       { "ACK", "", CPH_SSA_PASS },
        { "ACK", "answer", CPH_SSA_DROP }, /* cannot be asked: RFC 3261 22.1 */
    };
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        msg_init(&m, row[i].method, 0, 100 + (uint32_t)i, row[i].body);
        m.v.call_id = cph_span_of(row[i].method);
        m.v.to_tag = cph_span_of("bob-tag");
        msg_seal(&m);
        cph_ssa_receive(w.bob, &m.v, 0, &out);
        assert_int_equal(out.what, row[i].what);
        if (row[i].what != CPH_SSA_REPLY || i == 1)
            continue;
        msg_header(&m, "Authorization", "Toy alice right");
        m.v.cseq += 1000;
        msg_seal(&m);
        cph_ssa_receive(w.bob, &m.v, 0, &out);
        assert_int_equal(out.what, CPH_SSA_PASS);
    }
    world_close(&w);
}

static void an_answer_in_an_ack_needs_the_proof_of_its_invite(void **state)
{
    struct world w;
    struct msg m;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    receive(w.bob, "Toy alice right", 1, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    msg_init(&m, "ACK", 0, 1, "answer");
    msg_seal(&m);
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_DROP);
    msg_header(&m, "Authorization", "Toy alice Right");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_DROP);
    strcpy(m.h[0].value, "Toy alice right");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    world_close(&w);
}

static void without_a_way_to_ask_or_an_application_that_answers_it_fails_closed(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    struct cph_manager_cfg cfg = { 0 };
    struct cph_manager *m;

    (void)state;
    world_open(&w, true);
    cfg = (struct cph_manager_cfg){ .env = &w.env.env, .sst = &w.app[1].sst };
    assert_ok(cph_manager_new(&cfg, &m)); /* no security application */
    receive(m, "Toy alice right", 1, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 403);
    cph_manager_free(m);
    w.app[1].policy.challenge = false;
    w.app[1].capability = CPH_E_STORE; /* the application cannot say what it wants */
    receive(w.bob, NULL, 1, &out);
    assert_int_equal(out.status, 401);
    cfg.sst = NULL;
    assert_ok(cph_manager_new(&cfg, &m)); /* none at all: nobody asks */
    receive(m, NULL, 1, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    cph_manager_free(m);
    world_close(&w);
}

/* ---- answering challenges -------------------------------------------------------------------- */

static void unauthorized(struct cph_manager *m, unsigned status, const char *header,
                         const char *value, uint32_t cseq, struct cph_ssa_out *out)
{
    struct msg r;

    msg_init(&r, "INVITE", status, cseq, "");
    if (header)
        msg_header(&r, header, value);
    cph_ssa_receive(m, &r.v, 0, out);
}

static void send_invite(struct world *w, uint32_t cseq, struct cph_ssa_out *out)
{
    struct msg m;

    msg_init(&m, "INVITE", 0, cseq, "offer");
    cph_ssa_send(w->alice, &m.v, 0, out);
}

static void a_challenge_is_answered_only_if_it_is_for_our_last_request(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, false);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Toy", 1, &out); /* we sent nothing */
    assert_int_equal(out.what, CPH_SSA_PASS);
    send_invite(&w, 7, &out);
    assert_int_equal(out.headers.n, 0);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Toy", 6, &out); /* late, or forged */
    assert_int_equal(out.what, CPH_SSA_PASS);
    unauthorized(w.alice, 401, NULL, NULL, 7, &out); /* asks for nothing */
    assert_int_equal(out.what, CPH_SSA_PASS);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Basic", 7, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    unauthorized(w.alice, 401, "Proxy-Authenticate", "Toy", 7, &out); /* the wrong header */
    assert_int_equal(out.what, CPH_SSA_PASS);
    unauthorized(w.alice, 407, "Proxy-Authenticate", "Toy", 7, &out);
    assert_int_equal(out.what, CPH_SSA_RETRY);
    send_invite(&w, 8, &out);
    assert_true(cph_span_is(out.headers, "Proxy-Authorization: Toy alice right\r\n"));
    unauthorized(w.alice, 407, "Proxy-Authenticate", "Toy", 8, &out); /* the password is wrong */
    assert_int_equal(out.what, CPH_SSA_PASS);
    world_close(&w);
}

static void a_peer_cannot_keep_us_answering_for_ever(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    uint32_t cseq = 1;

    (void)state;
    world_open(&w, false);
    for (unsigned i = 0; i < CPH_MANAGER_TRIES; i++) {
        send_invite(&w, cseq, &out);
        unauthorized(w.alice, 401, "WWW-Authenticate", "Toy stale", cseq++, &out);
        assert_int_equal(out.what, CPH_SSA_RETRY);
    }
    send_invite(&w, cseq, &out);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Toy stale", cseq, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    world_close(&w);
}

static void without_a_password_the_401_goes_up(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, false);
    w.app[0].password = NULL;
    send_invite(&w, 1, &out);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Toy", 1, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_counters(w.alice)->answered, 0);
    world_close(&w);
}

static void a_success_that_proves_the_wrong_secret_is_dropped(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    struct msg m;

    (void)state;
    world_open(&w, false);
    send_invite(&w, 1, &out);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Toy", 1, &out);
    send_invite(&w, 2, &out);
    msg_init(&m, "INVITE", 200, 2, "answer");
    msg_header(&m, "Authentication-Info", "bob wrong");
    cph_ssa_receive(w.alice, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_DROP);
    strcpy(m.h[0].value, "bob right");
    cph_ssa_receive(w.alice, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(cph_manager_proof(w.alice, id(), NULL), CPH_PROOF_UNCOVERED);
    m.n = 0; /* a later success that proves less lowers */
    cph_ssa_receive(w.alice, &m.v, 0, &out);
    assert_int_equal(cph_manager_proof(w.alice, id(), NULL), CPH_PROOF_NONE);
    world_close(&w);
}

static void repeats_acks_and_cancels_carry_the_right_lines(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    struct msg m;

    (void)state;
    world_open(&w, false);
    send_invite(&w, 1, &out);
    unauthorized(w.alice, 401, "WWW-Authenticate", "Toy", 1, &out);
    send_invite(&w, 2, &out);
    assert_int_equal(w.toy[0].signs, 1);
    msg_init(&m, "INVITE", 0, 2, "offer");
    m.v.repeat = true;
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_int_equal(out.headers.n, 0);
    msg_init(&m, "CANCEL", 0, 2, "");
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_int_equal(out.headers.n, 0);
    msg_init(&m, "ACK", 0, 1, ""); /* of the first INVITE, which had none */
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_int_equal(out.headers.n, 0);
    msg_init(&m, "ACK", 0, 2, "");
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_true(cph_span_is(out.headers, "Authorization: Toy alice right\r\n"));
    assert_int_equal(w.toy[0].signs, 1);
    msg_init(&m, "BYE", 0, 3, ""); /* further requests are proven without being asked */
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_int_equal(w.toy[0].signs, 2);
    w.toy[0].refuse_sign = true; /* and go without when that fails */
    msg_init(&m, "INFO", 0, 4, "");
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    assert_int_equal(out.headers.n, 0);
    world_close(&w);
}

/* ---- encryption by an application outside ---------------------------------------------------- */

static void bodies_are_decrypted_before_anyone_sees_them_and_encrypted_last(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    struct msg m;

    (void)state;
    world_open(&w, false);
    msg_init(&m, "INVITE", 0, 1, "secret offer");
    cph_ssa_send(w.alice, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLACE);
    assert_true(cph_span_is(out.body, "<secret offer>"));
    assert_true(cph_span_is(out.body_type, "application/toy"));

    msg_init(&m, "INVITE", 0, 1, "<secret offer>");
    msg_header(&m, "Content-Type", "application/toy");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLACE);
    assert_true(cph_span_is(out.body, "secret offer"));

    msg_init(&m, "INVITE", 0, 2, "garbage");
    msg_header(&m, "Content-Type", "application/toy");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 493);
    msg_init(&m, "INVITE", 200, 2, "garbage");
    msg_header(&m, "Content-Type", "application/toy");
    cph_ssa_receive(w.bob, &m.v, 0, &out);
    assert_int_equal(out.what, CPH_SSA_DROP);
    world_close(&w);
}

/* ---- limits and time ------------------------------------------------------------------------- */

static void invite_as(struct cph_manager *m, const char *call_id, const char *auth, cph_time now,
                      struct cph_ssa_out *out)
{
    struct msg inv;

    msg_init(&inv, "INVITE", 0, 1, "offer");
    inv.v.call_id = cph_span_of(call_id);
    if (auth)
        msg_header(&inv, "Authorization", auth);
    cph_ssa_receive(m, &inv.v, now, out);
}

static void the_table_is_bounded_and_strangers_push_out_strangers(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    struct cph_manager *m;
    char call_id[16];

    (void)state;
    world_open(&w, true);
    m = manager(&w, 1, 4);
    invite_as(m, "good", "Toy alice right", 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(call_id, sizeof call_id, "evil-%d", i);
        invite_as(m, call_id, NULL, i, &out);
        assert_int_equal(out.status, 401);
    }
    assert_int_equal(cph_manager_counters(m)->evicted, 997);
    assert_int_equal(cph_manager_proof(m, cph_span_of("good"), NULL), CPH_PROOF_UNCOVERED);
    invite_as(m, "other", "Toy alice right", 1000, &out); /* and a good one still gets in */
    assert_int_equal(out.what, CPH_SSA_PASS);
    cph_manager_free(m);
    world_close(&w);
}

static void a_wait_ends_after_its_time_and_a_call_is_forgotten_later(void **state)
{
    struct world w;
    struct cph_ssa_out out;

    (void)state;
    world_open(&w, true);
    assert_true(cph_manager_deadline(w.bob) == CPH_TIME_NEVER);
    invite_as(w.bob, "call-1", NULL, 0, &out);
    assert_true(cph_manager_deadline(w.bob) == CPH_SEC(32));
    cph_manager_tick(w.bob, CPH_SEC(32) - 1);
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_WAIT_AUTHORIZED_INVITE);
    cph_manager_tick(w.bob, CPH_SEC(32));
    assert_int_equal(cph_manager_state(w.bob, id()), CPH_MANAGER_IDLE);
    assert_int_equal(cph_manager_counters(w.bob)->timed_out, 1);
    assert_true(cph_manager_deadline(w.bob) == CPH_TIME_NEVER);
    invite_as(w.bob, "call-1", "Toy alice right", CPH_SEC(40), &out);
    assert_true(cph_manager_deadline(w.bob) == CPH_SEC(640));
    cph_manager_tick(w.bob, CPH_SEC(640));
    assert_int_equal(cph_manager_proof(w.bob, id(), NULL), CPH_PROOF_UNKNOWN);
    world_close(&w);
}

static void a_call_id_that_is_missing_or_too_long_is_refused(void **state)
{
    struct world w;
    struct cph_ssa_out out;
    char longest[MANAGER_CALL_ID + 2];

    (void)state;
    world_open(&w, true);
    memset(longest, 'c', sizeof longest);
    longest[MANAGER_CALL_ID + 1] = '\0';
    invite_as(w.bob, longest, "Toy alice right", 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    assert_int_equal(out.status, 400);
    longest[MANAGER_CALL_ID] = '\0';
    invite_as(w.bob, longest, "Toy alice right", 0, &out);
    assert_int_equal(out.what, CPH_SSA_PASS);
    invite_as(w.bob, "", "Toy alice right", 0, &out);
    assert_int_equal(out.what, CPH_SSA_REPLY);
    world_close(&w);
}

static cph_err scenario(void *arg)
{
    struct world *w = arg;
    struct cph_manager_cfg cfg = {
        .env = &w->env.env, .sst = &w->app[1].sst, .sma = { toy_sma(&w->toy[1]) }, .sma_n = 1
    };
    struct cph_manager *m;
    struct cph_ssa_out out;
    cph_err err = cph_manager_new(&cfg, &m);

    if (err != CPH_OK)
        return err;
    invite_as(m, "a", NULL, 0, &out);
    invite_as(m, "b", "Toy alice right", 0, &out);
    err = out.what == CPH_SSA_PASS ? CPH_OK
                                   : CPH_E_NOMEM; /* never let in by mistake, never stuck */
    cph_manager_free(m);
    return err;
}

static void lack_of_memory_refuses_and_leaks_nothing(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, true);
    test_alloc_fails(scenario, &w);
    world_close(&w);
}

static void a_wrong_configuration_is_refused(void **state)
{
    struct world w;
    struct cph_manager *m;
    struct cph_manager_cfg cfg = { 0 };

    (void)state;
    world_open(&w, false);
    assert_err(cph_manager_new(&cfg, &m), CPH_E_ARGUMENT);
    cfg.env = &w.env.env;
    cfg.sma_n = CPH_MANAGER_SMA_MAX + 1;
    assert_err(cph_manager_new(&cfg, &m), CPH_E_ARGUMENT);
    cfg.sma_n = 1;
    assert_err(cph_manager_new(&cfg, &m), CPH_E_ARGUMENT);
    cfg.sma_n = 0;
    cfg.max_calls = MANAGER_CALLS_MAX + 1;
    assert_err(cph_manager_new(&cfg, &m), CPH_E_ARGUMENT);
    cfg.max_calls = 0;
    w.env.random_fails = 1;
    assert_true(cph_manager_new(&cfg, &m) != CPH_OK);
    cph_manager_free(NULL);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_signal_does_what_the_figures_say),
        cmocka_unit_test(figure_18_only_valid_calls_go_up_and_everything_passes_the_manager),
        cmocka_unit_test(figures_19_to_22_a_call_that_has_to_prove_itself),
        cmocka_unit_test(figure_22b_an_error_while_waiting_leads_back_to_idle),
        cmocka_unit_test(a_wrong_proof_is_asked_again_and_then_refused),
        cmocka_unit_test(a_proof_that_is_only_stale_says_so),
        cmocka_unit_test(a_proof_by_another_scheme_or_another_user_is_not_enough),
        cmocka_unit_test(the_application_may_decide_who_calls_and_a_call_keeps_its_user),
        cmocka_unit_test(a_repeat_over_udp_passes_once_proven_and_only_the_very_same_bytes),
        cmocka_unit_test(a_second_caller_under_the_same_call_id_is_refused),
        cmocka_unit_test(what_carries_keys_inside_a_call_has_to_be_proven_too),
        cmocka_unit_test(an_answer_in_an_ack_needs_the_proof_of_its_invite),
        cmocka_unit_test(without_a_way_to_ask_or_an_application_that_answers_it_fails_closed),
        cmocka_unit_test(a_challenge_is_answered_only_if_it_is_for_our_last_request),
        cmocka_unit_test(a_peer_cannot_keep_us_answering_for_ever),
        cmocka_unit_test(without_a_password_the_401_goes_up),
        cmocka_unit_test(a_success_that_proves_the_wrong_secret_is_dropped),
        cmocka_unit_test(repeats_acks_and_cancels_carry_the_right_lines),
        cmocka_unit_test(bodies_are_decrypted_before_anyone_sees_them_and_encrypted_last),
        cmocka_unit_test(the_table_is_bounded_and_strangers_push_out_strangers),
        cmocka_unit_test(a_wait_ends_after_its_time_and_a_call_is_forgotten_later),
        cmocka_unit_test(a_call_id_that_is_missing_or_too_long_is_refused),
        cmocka_unit_test(lack_of_memory_refuses_and_leaks_nothing),
        cmocka_unit_test(a_wrong_configuration_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
