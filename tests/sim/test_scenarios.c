/* Calls between two terminals in virtual time, each for one thing that may happen to a call. */
#include "world.h"

#include <stdlib.h>

static struct world w;

static struct w_config config(enum cph_sip_proto proto, const char *keying)
{
    struct w_config cfg = { .seed = 7, .proto = proto };

    cfg.link.delay = CPH_MS(20);
    for (unsigned i = 0; i < 2; i++)
        cfg.side[i] = (struct w_side_config){ .keying = keying, .mux = true };
    return cfg;
}

static void begin(enum cph_sip_proto proto, const char *keying)
{
    struct w_config cfg = config(proto, keying);

    w_new(&w, &cfg);
}

static void finish(void)
{
    w_silent(&w);
    w_free(&w);
}

/* A call from side `from` that stands and has keys on both sides. */
static struct leg *stand(unsigned from)
{
    struct leg *l;

    w_clear(&w);
    l = w_dial(&w, from);
    assert_true(w_until(&w, w_all_secured, CPH_SEC(30)));
    w_run(&w, CPH_SEC(1));
    assert_true(l->answered && !l->ended);
    return l;
}

static void end_call(unsigned by)
{
    w_hangup(&w, by, w_last(&w, by));
    assert_true(w_until(&w, w_all_ended, CPH_SEC(60)));
}

static const struct cph_verdict *verdict(unsigned side)
{
    return &w_last(&w, side)->last.verdict;
}

/* ---- transports ------------------------------------------------------------------------------ */

static void calls_one_after_the_other(enum cph_sip_proto proto, const char *keying,
                                      enum cph_level level, bool pinned)
{
    struct w_config cfg = config(proto, keying);

    cfg.pinned = pinned;
    w_new(&w, &cfg);
    for (unsigned i = 0; i < 6; i++) {
        (void)stand(i % 2);
        end_call(i / 2 % 2);
        assert_int_equal(verdict(0)->level, level);
        assert_int_equal(verdict(1)->level, level);
    }
}

static void over_udp_sdes_is_open_and_dtls_private(void **state)
{
    (void)state;
    calls_one_after_the_other(CPH_SIP_UDP, "sdes", CPH_LEVEL_OPEN, false);
    assert_int_equal(lab_counts(w.net).flows_total, 0);
    finish();
    calls_one_after_the_other(CPH_SIP_UDP, "dtls", CPH_LEVEL_PRIVATE, false);
    finish();
}

static void over_tcp_sdes_is_open_and_connections_are_used_again(void **state)
{
    (void)state;
    calls_one_after_the_other(CPH_SIP_TCP, "sdes", CPH_LEVEL_OPEN, false);
    assert_int_equal(lab_counts(w.net).sent > 0, 1);      /* media alone */
    assert_in_range(lab_counts(w.net).flows_total, 1, 2); /* one for the calls of each side */
    finish();
}

static void over_pinned_tls_calls_are_verified_and_connections_are_used_again(void **state)
{
    (void)state;
    calls_one_after_the_other(CPH_SIP_TLS, "dtls", CPH_LEVEL_VERIFIED, true);
    assert_in_range(lab_counts(w.net).flows_total, 1, 2);
    finish();
    calls_one_after_the_other(CPH_SIP_TLS, "sdes", CPH_LEVEL_VERIFIED, true);
    assert_in_range(lab_counts(w.net).flows_total, 1, 2);
    finish();
}

static void pinned_dtls_over_udp_is_verified(void **state)
{
    (void)state;
    calls_one_after_the_other(CPH_SIP_UDP, "dtls", CPH_LEVEL_VERIFIED, true);
    finish();
}

static void a_connection_that_breaks_between_calls_is_opened_again(void **state)
{
    (void)state;
    calls_one_after_the_other(CPH_SIP_TLS, "sdes", CPH_LEVEL_VERIFIED, true);
    w_run(&w, CPH_SEC(700)); /* longer than an idle connection is kept */
    assert_int_equal(lab_counts(w.net).flows_open, 0);
    (void)stand(0);
    end_call(1);
    assert_int_equal(verdict(0)->level, CPH_LEVEL_VERIFIED);
    finish();
}

/* ---- calls that are not answered ------------------------------------------------------------- */

static struct leg *refused(enum w_callee how, unsigned status)
{
    struct leg *l;

    begin(CPH_SIP_UDP, "sdes");
    w.side[1].callee = how;
    l = w_dial(&w, 0);
    assert_true(w_until(&w, w_all_ended, CPH_SEC(400)));
    assert_false(l->answered);
    assert_int_equal(l->status, status);
    assert_true(l->why[0] != '\0');
    assert_int_equal(l->last.media.packets_in + l->last.media.packets_out, 0);
    return l;
}

static void a_busy_callee_is_busy(void **state)
{
    (void)state;
    assert_true(refused(W_BUSY, 486)->by_peer);
    finish();
}

static void a_callee_that_declines_is_heard(void **state)
{
    (void)state;
    assert_true(refused(W_DECLINE, 603)->by_peer);
    finish();
}

static void a_call_nobody_answers_is_cancelled_at_the_ring_limit(void **state)
{
    struct leg *l;

    (void)state;
    l = refused(W_RING, 487);
    assert_true(l->ringing);
    assert_err(l->cause, CPH_E_TIMEOUT);
    assert_true(w_last(&w, 1)->by_peer); /* by CANCEL */
    assert_int_equal(w_last(&w, 1)->status, 487);
    finish();
}

static void a_second_call_to_a_phone_for_one_is_busy(void **state)
{
    struct w_config cfg = config(CPH_SIP_UDP, "sdes");
    struct leg *second;

    (void)state;
    cfg.side[1].max_calls = 1;
    w_new(&w, &cfg);
    (void)stand(0);
    second = w_dial(&w, 0);
    w_run(&w, CPH_SEC(5));
    assert_true(second->ended);
    assert_int_equal(second->status, 486);
    assert_false(w.side[0].leg[0].ended); /* the first one does not suffer */
    w_hangup(&w, 0, &w.side[0].leg[0]);
    assert_true(w_until(&w, w_all_ended, CPH_SEC(60)));
    finish();
}

/* ---- races ----------------------------------------------------------------------------------- */

static void a_cancel_may_meet_the_answer_at_any_moment(void **state)
{
    size_t answered = 0, cancelled = 0;

    (void)state;
    for (unsigned ms = 900; ms <= 1140; ms += 2) {
        struct leg *l;

        begin(CPH_SIP_UDP, ms % 4 ? "sdes" : "dtls");
        w.side[1].callee = W_ANSWER_LATER;
        w.side[1].later = CPH_SEC(1);
        l = w_dial(&w, 0);
        assert_ok(lab_run(w.net, CPH_MS(ms) > w_now(&w) ? CPH_MS(960) : w_now(&w)));
        w_run(&w, CPH_MS(ms - 900)); /* the callee accepts at 1,020 and is heard at 1,040 */
        w_hangup(&w, 0, l);
        assert_true(w_until(&w, w_all_ended, CPH_SEC(120)));
        answered += w_last(&w, 1)->answered;
        cancelled += w_last(&w, 1)->status == 487;
        assert_err(l->cause, CPH_OK);
        finish();
    }
    assert_true(answered > 0 && cancelled > 0); /* both sides of the race were seen */
}

static void both_may_hang_up_at_once(void **state)
{
    (void)state;
    for (unsigned skew = 0; skew <= 60; skew += 5) {
        begin(CPH_SIP_UDP, "sdes");
        (void)stand(0);
        w_hangup(&w, 0, w_last(&w, 0));
        w_run(&w, CPH_MS(skew));
        if (!w_last(&w, 1)->ended)
            w_hangup(&w, 1, w_last(&w, 1));
        assert_true(w_until(&w, w_all_ended, CPH_SEC(60)));
        assert_err(w_last(&w, 0)->cause, CPH_OK);
        assert_err(w_last(&w, 1)->cause, CPH_OK);
        finish();
    }
}

static void a_hold_is_seen_by_both_and_nothing_is_heard(void **state)
{
    (void)state;
    for (unsigned by = 0; by < 2; by++) {
        struct cph_phone_status was[2], now[2];

        begin(CPH_SIP_UDP, "sdes");
        (void)stand(0);
        w_hold(&w, by, w_last(&w, by), true);
        w_run(&w, CPH_SEC(1));
        for (unsigned s = 0; s < 2; s++)
            was[s] = w_status(&w, s, w_last(&w, s));
        w_run(&w, CPH_SEC(2));
        for (unsigned s = 0; s < 2; s++) {
            now[s] = w_status(&w, s, w_last(&w, s));
            assert_int_equal(now[s].state, CPH_PHONE_ST_HELD);
            assert_int_equal(now[s].held_by_us, s == by);
            assert_int_equal(now[s].held_by_peer, s != by);
            assert_int_equal(now[s].media.packets_in, was[s].media.packets_in);
        }
        w_hold(&w, by, w_last(&w, by), false);
        w_run(&w, CPH_SEC(2));
        for (unsigned s = 0; s < 2; s++) {
            now[s] = w_status(&w, s, w_last(&w, s));
            assert_int_equal(now[s].state, CPH_PHONE_ST_TALKING);
            assert_true(now[s].media.packets_in > was[s].media.packets_in + 80);
        }
        end_call(by);
        finish();
    }
}

static void both_may_hold_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct cph_phone_status st[2];

        begin(i % 2 ? CPH_SIP_TCP : CPH_SIP_UDP, i / 2 ? "dtls" : "sdes");
        (void)stand(0);
        for (unsigned s = 0; s < 2; s++)
            w_hold(&w, s, w_last(&w, s), true);
        w_run(&w, CPH_SEC(20)); /* 491 both ways, and each tries again in its own time */
        for (unsigned s = 0; s < 2; s++) {
            st[s] = w_status(&w, s, w_last(&w, s));
            assert_int_equal(st[s].state, CPH_PHONE_ST_HELD);
            assert_true(st[s].held_by_us);
            assert_true(st[s].held_by_peer);
        }
        for (unsigned s = 0; s < 2; s++)
            w_hold(&w, s, w_last(&w, s), false);
        w_run(&w, CPH_SEC(20));
        for (unsigned s = 0; s < 2; s++) {
            struct cph_phone_status now = w_status(&w, s, w_last(&w, s));

            assert_int_equal(now.state, CPH_PHONE_ST_TALKING);
            assert_true(now.media.packets_in > st[s].media.packets_in + 400);
        }
        end_call(0);
        finish();
    }
}

static void both_may_change_keys_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_status was[2];

        begin(CPH_SIP_UDP, i ? "dtls" : "sdes");
        (void)stand(0);
        for (unsigned s = 0; s < 2; s++)
            assert_ok(w_rekey(&w, s, w_last(&w, s)));
        w_run(&w, CPH_SEC(20));
        for (unsigned s = 0; s < 2; s++)
            was[s] = w_status(&w, s, w_last(&w, s));
        w_run(&w, CPH_SEC(2));
        for (unsigned s = 0; s < 2; s++) {
            struct cph_phone_status now = w_status(&w, s, w_last(&w, s));

            assert_true(now.secured && w_last(&w, s)->changed > 0);
            assert_true(now.media.packets_in >= was[s].media.packets_in + 95);
        }
        end_call(1);
        finish();
    }
}

static void hold_resume_and_rekey_in_any_order_leave_the_call_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 400; seed < 440; seed++) { /* 426: resumed while the peer was busy */
        struct w_config cfg = config((enum cph_sip_proto)(seed / 2 % 3),
                                     seed % 2 ? "sdes" : "dtls");
        struct cph_phone_status was[2], now[2];

        cfg.seed = seed;
        cfg.link = (struct lab_link){
            .delay = CPH_MS(30), .jitter = CPH_MS(30), .loss = 100, .duplicate = 80, .reorder = 80
        };
        w_new(&w, &cfg);
        (void)stand(0);
        for (unsigned i = 0; i < 12; i++) {
            unsigned s = (unsigned)lab_random(w.net, 2);

            if (lab_random(w.net, 3))
                w_hold(&w, s, w_last(&w, s), lab_random(w.net, 2));
            else
                (void)!w_rekey(&w, s, w_last(&w, s));
            w_run(&w, CPH_MS(lab_random(w.net, 1500)));
            for (unsigned k = 2; k-- > 0;) /* nobody hung up */
                if (w_last(&w, k)->ended)
                    fail_msg("seed %u, side %u ended: %s, %u, %s", (unsigned)seed, k,
                             cph_err_name(w_last(&w, k)->cause), w_last(&w, k)->status,
                             w_last(&w, k)->why);
        }
        w_run(&w, CPH_SEC(60)); /* what is under way comes to its end */
        for (unsigned s = 0; s < 2; s++)
            for (unsigned k = 0; k < 10 && w_status(&w, s, w_last(&w, s)).held_by_us; k++) {
                w_hold(&w, s, w_last(&w, s), false);
                w_run(&w, CPH_SEC(10));
            }
        w_run(&w, CPH_SEC(20));
        for (unsigned s = 0; s < 2; s++) {
            assert_false(w_last(&w, s)->ended);
            was[s] = w_status(&w, s, w_last(&w, s));
            if (was[s].state != CPH_PHONE_ST_TALKING)
                fail_msg("seed %u, side %u: %s, held by us %d, by the peer %d", (unsigned)seed, s,
                         cph_phone_state_name(was[s].state), was[s].held_by_us,
                         was[s].held_by_peer);
        }
        w_run(&w, CPH_SEC(2));
        for (unsigned s = 0; s < 2; s++) {
            now[s] = w_status(&w, s, w_last(&w, s));
            if (now[s].media.packets_in < was[s].media.packets_in + 70)
                fail_msg("seed %u, side %u: heard %u packets in 2 s", (unsigned)seed, s,
                         (unsigned)(now[s].media.packets_in - was[s].media.packets_in));
        }
        end_call(0);
        finish();
    }
}

static void several_calls_at_once_keep_apart(void **state)
{
    enum { MANY = 10 };

    (void)state;
    for (unsigned proto = CPH_SIP_UDP; proto <= CPH_SIP_TLS; proto++) {
        begin((enum cph_sip_proto)proto, "sdes");
        for (unsigned i = 0; i < MANY; i++)
            (void)w_dial(&w, i % 2);
        w_run(&w, CPH_SEC(10));
        for (unsigned s = 0; s < 2; s++) {
            assert_int_equal(w.side[s].n, MANY);
            for (unsigned i = 0; i < MANY; i++) {
                struct leg *l = &w.side[s].leg[i];

                assert_true(l->answered && l->secured && !l->ended);
                assert_true(w_status(&w, s, l).media.packets_in > 400);
                assert_int_equal(w_status(&w, s, l).media.bad, 0);
            }
        }
        w_hangup(&w, 0, &w.side[0].leg[3]);
        w_run(&w, CPH_SEC(1));
        for (unsigned s = 0; s < 2; s++) {
            unsigned over = 0;

            for (unsigned i = 0; i < MANY; i++)
                over += w.side[s].leg[i].ended;
            assert_int_equal(over, 1); /* that one and no other */
        }
        for (unsigned i = 0; i < MANY; i++)
            if (!w.side[0].leg[i].ended)
                w_hangup(&w, 0, &w.side[0].leg[i]);
        assert_true(w_until(&w, w_all_ended, CPH_SEC(60)));
        finish();
    }
}

/* ---- a terminal that vanishes ---------------------------------------------------------------- */

static bool swallow(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                    struct cph_span bytes, bool stream, cph_time now)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)bytes;
    (void)stream;
    (void)now;
    return false;
}

static void a_peer_that_vanishes_is_noticed(void **state)
{
    (void)state;
    begin(CPH_SIP_UDP, "sdes");
    (void)stand(0);
    assert_false(w_status(&w, 0, w_last(&w, 0)).media.peer_lost);
    lab_net_tap(w.net, swallow, NULL);
    w_run(&w, CPH_SEC(60));
    for (unsigned s = 0; s < 2; s++) {
        assert_true(w_status(&w, s, w_last(&w, s)).media.peer_lost);
        assert_false(w_last(&w, s)->ended); /* without session timers the user decides */
        w_hangup(&w, s, w_last(&w, s));
    }
    assert_true(w_until(&w, w_all_ended, CPH_SEC(60)));
    finish();
}

static void session_timers_end_a_call_whose_peer_vanished(void **state)
{
    (void)state;
    for (unsigned asks = 0; asks < 2; asks++) {
        struct w_config cfg = config(CPH_SIP_UDP, "sdes");

        cfg.side[asks].session_expires = 90;
        w_new(&w, &cfg);
        (void)stand(0);
        w_run(&w, CPH_SEC(400)); /* refreshed as long as both are there */
        assert_false(w_last(&w, 0)->ended || w_last(&w, 1)->ended);
        lab_net_tap(w.net, swallow, NULL);
        assert_true(w_until(&w, w_all_ended, CPH_SEC(150)));
        for (unsigned s = 0; s < 2; s++) {
            assert_true(w_last(&w, s)->cause == CPH_E_TIMEOUT ||
                        w_last(&w, s)->cause == CPH_E_EXPIRED);
            assert_true(w_last(&w, s)->why[0] != '\0');
        }
        finish();
    }
}

static void a_terminal_may_vanish_at_any_moment_of_a_call(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 1200; ms += 15) {
        begin(ms % 2 ? CPH_SIP_TLS : CPH_SIP_UDP, ms % 4 < 2 ? "dtls" : "sdes");
        w.side[1].callee = W_ANSWER_LATER;
        w.side[1].later = CPH_MS(200);
        (void)w_dial(&w, 0);
        w_run(&w, CPH_MS(ms));
        if (ms > 600 && w_last(&w, 1) && w_last(&w, 1)->secured) {
            w_hold(&w, 1, w_last(&w, 1), true);
            w_run(&w, CPH_MS(ms % 90));
        }
        lab_net_tap(w.net, swallow, NULL);
        w_run(&w, CPH_SEC(250)); /* the ring limit is over */
        for (unsigned s = 0; s < 2; s++)
            for (unsigned i = 0; i < w.side[s].n; i++)
                if (!w.side[s].leg[i].ended)
                    w_hangup(&w, s, &w.side[s].leg[i]);
        assert_true(w_until(&w, w_all_ended, CPH_SEC(100)));
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_udp_sdes_is_open_and_dtls_private),
        cmocka_unit_test(over_tcp_sdes_is_open_and_connections_are_used_again),
        cmocka_unit_test(over_pinned_tls_calls_are_verified_and_connections_are_used_again),
        cmocka_unit_test(pinned_dtls_over_udp_is_verified),
        cmocka_unit_test(a_connection_that_breaks_between_calls_is_opened_again),
        cmocka_unit_test(a_busy_callee_is_busy),
        cmocka_unit_test(a_callee_that_declines_is_heard),
        cmocka_unit_test(a_call_nobody_answers_is_cancelled_at_the_ring_limit),
        cmocka_unit_test(a_second_call_to_a_phone_for_one_is_busy),
        cmocka_unit_test(a_cancel_may_meet_the_answer_at_any_moment),
        cmocka_unit_test(both_may_hang_up_at_once),
        cmocka_unit_test(a_hold_is_seen_by_both_and_nothing_is_heard),
        cmocka_unit_test(both_may_hold_at_once),
        cmocka_unit_test(both_may_change_keys_at_once),
        cmocka_unit_test(hold_resume_and_rekey_in_any_order_leave_the_call_whole),
        cmocka_unit_test(several_calls_at_once_keep_apart),
        cmocka_unit_test(a_peer_that_vanishes_is_noticed),
        cmocka_unit_test(session_timers_end_a_call_whose_peer_vanished),
        cmocka_unit_test(a_terminal_may_vanish_at_any_moment_of_a_call),
    };
    return cmocka_run_group_tests(tests, w_keys_make, w_keys_free);
}
