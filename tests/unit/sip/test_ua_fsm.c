/* The transaction tables: each legal pair, and each that is not. RFC 3261 17, RFC 6026. */
#include "support.h"

#include "fsm.h"

struct row {
    enum sip_tx_kind kind;
    enum sip_tx_state from;
    enum sip_tx_event ev;
    enum sip_tx_state to;
    unsigned act;
};

/* Written from the figures 5 and 7 of RFC 6026 and 6 and 8 of RFC 3261, not from the table. */
/* clang-format off */
static const struct row legal[] = {
#define R(k, f, e, t, a) { SIP_##k, SIP_TX_##f, SIP_TXE_##e, SIP_TX_##t, a }
    R(ICT, IDLE, START, CALLING, SIP_ACT_SEND | SIP_ACT_ARM_RETX | SIP_ACT_ARM_TIMEOUT),
    R(ICT, CALLING, RETX, CALLING, SIP_ACT_RESEND | SIP_ACT_BACKOFF),
    R(ICT, CALLING, TIMEOUT, TERMINATED, SIP_ACT_USER),
    R(ICT, CALLING, ERROR, TERMINATED, SIP_ACT_USER),
    R(ICT, CALLING, 1XX, PROCEEDING, SIP_ACT_USER | SIP_ACT_STOP),
    R(ICT, CALLING, 2XX, ACCEPTED, SIP_ACT_USER | SIP_ACT_ARM_END),
    R(ICT, CALLING, FINAL, COMPLETED, SIP_ACT_USER | SIP_ACT_ACK | SIP_ACT_ARM_END),
    R(ICT, PROCEEDING, 1XX, PROCEEDING, SIP_ACT_USER),
    R(ICT, PROCEEDING, 2XX, ACCEPTED, SIP_ACT_USER | SIP_ACT_ARM_END),
    R(ICT, PROCEEDING, FINAL, COMPLETED, SIP_ACT_USER | SIP_ACT_ACK | SIP_ACT_ARM_END),
    R(ICT, PROCEEDING, TIMEOUT, TERMINATED, SIP_ACT_USER), /* ours: see sip_tx_limit() */
    R(ICT, COMPLETED, FINAL, COMPLETED, SIP_ACT_ACK),
    R(ICT, COMPLETED, END, TERMINATED, 0),
    R(ICT, COMPLETED, ERROR, TERMINATED, SIP_ACT_USER),
    R(ICT, ACCEPTED, 2XX, ACCEPTED, SIP_ACT_USER),
    R(ICT, ACCEPTED, END, TERMINATED, 0),

    R(NICT, IDLE, START, TRYING, SIP_ACT_SEND | SIP_ACT_ARM_RETX | SIP_ACT_ARM_TIMEOUT),
    R(NICT, TRYING, RETX, TRYING, SIP_ACT_RESEND | SIP_ACT_BACKOFF),
    R(NICT, TRYING, TIMEOUT, TERMINATED, SIP_ACT_USER),
    R(NICT, TRYING, ERROR, TERMINATED, SIP_ACT_USER),
    R(NICT, TRYING, 1XX, PROCEEDING, SIP_ACT_USER),
    R(NICT, TRYING, 2XX, COMPLETED, SIP_ACT_USER | SIP_ACT_ARM_END),
    R(NICT, TRYING, FINAL, COMPLETED, SIP_ACT_USER | SIP_ACT_ARM_END),
    R(NICT, PROCEEDING, RETX, PROCEEDING, SIP_ACT_RESEND | SIP_ACT_BACKOFF),
    R(NICT, PROCEEDING, TIMEOUT, TERMINATED, SIP_ACT_USER),
    R(NICT, PROCEEDING, ERROR, TERMINATED, SIP_ACT_USER),
    R(NICT, PROCEEDING, 1XX, PROCEEDING, SIP_ACT_USER),
    R(NICT, PROCEEDING, 2XX, COMPLETED, SIP_ACT_USER | SIP_ACT_ARM_END),
    R(NICT, PROCEEDING, FINAL, COMPLETED, SIP_ACT_USER | SIP_ACT_ARM_END),
    R(NICT, COMPLETED, END, TERMINATED, 0),

    R(IST, IDLE, START, PROCEEDING, SIP_ACT_USER),
    R(IST, PROCEEDING, REQUEST, PROCEEDING, SIP_ACT_RESEND),
    R(IST, PROCEEDING, 1XX, PROCEEDING, SIP_ACT_SEND),
    R(IST, PROCEEDING, 2XX, ACCEPTED, SIP_ACT_SEND | SIP_ACT_ARM_END),
    R(IST, PROCEEDING, FINAL, COMPLETED, SIP_ACT_SEND | SIP_ACT_ARM_RETX | SIP_ACT_ARM_TIMEOUT),
    R(IST, PROCEEDING, ERROR, PROCEEDING, SIP_ACT_USER),
    R(IST, COMPLETED, REQUEST, COMPLETED, SIP_ACT_RESEND),
    R(IST, COMPLETED, RETX, COMPLETED, SIP_ACT_RESEND | SIP_ACT_BACKOFF),
    R(IST, COMPLETED, TIMEOUT, TERMINATED, SIP_ACT_USER),
    R(IST, COMPLETED, ERROR, COMPLETED, SIP_ACT_USER),
    R(IST, COMPLETED, ACK, CONFIRMED, SIP_ACT_ARM_END),
    R(IST, CONFIRMED, REQUEST, CONFIRMED, 0),
    R(IST, CONFIRMED, ACK, CONFIRMED, 0),
    R(IST, CONFIRMED, END, TERMINATED, 0),
    R(IST, ACCEPTED, REQUEST, ACCEPTED, 0),
    R(IST, ACCEPTED, 2XX, ACCEPTED, SIP_ACT_SEND),
    R(IST, ACCEPTED, ACK, ACCEPTED, SIP_ACT_USER),
    R(IST, ACCEPTED, ERROR, ACCEPTED, SIP_ACT_USER),
    R(IST, ACCEPTED, END, TERMINATED, SIP_ACT_USER),

    R(NIST, IDLE, START, TRYING, SIP_ACT_USER),
    R(NIST, TRYING, REQUEST, TRYING, 0),
    R(NIST, TRYING, 1XX, PROCEEDING, SIP_ACT_SEND),
    R(NIST, TRYING, 2XX, COMPLETED, SIP_ACT_SEND | SIP_ACT_ARM_END),
    R(NIST, TRYING, FINAL, COMPLETED, SIP_ACT_SEND | SIP_ACT_ARM_END),
    R(NIST, PROCEEDING, REQUEST, PROCEEDING, SIP_ACT_RESEND),
    R(NIST, PROCEEDING, 1XX, PROCEEDING, SIP_ACT_SEND),
    R(NIST, PROCEEDING, 2XX, COMPLETED, SIP_ACT_SEND | SIP_ACT_ARM_END),
    R(NIST, PROCEEDING, FINAL, COMPLETED, SIP_ACT_SEND | SIP_ACT_ARM_END),
    R(NIST, PROCEEDING, ERROR, TERMINATED, SIP_ACT_USER),
    R(NIST, COMPLETED, REQUEST, COMPLETED, SIP_ACT_RESEND),
    R(NIST, COMPLETED, END, TERMINATED, 0),
    R(NIST, COMPLETED, ERROR, TERMINATED, SIP_ACT_USER),
#undef R
};
/* clang-format on */

static const struct row *find(int kind, int state, int ev)
{
    for (size_t i = 0; i < sizeof legal / sizeof *legal; i++) {
        if ((int)legal[i].kind == kind && (int)legal[i].from == state && (int)legal[i].ev == ev)
            return &legal[i];
    }
    return NULL;
}

static void every_pair_of_the_figures_leads_where_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof legal / sizeof *legal; i++) {
        struct sip_tx_cell c = sip_tx_lookup(legal[i].kind, legal[i].from, legal[i].ev);

        if (c.next != legal[i].to || c.act != legal[i].act)
            print_error("row %zu: %s -> %s, acts %x instead of %x\n", i,
                        sip_tx_state_name(legal[i].from), sip_tx_state_name(c.next), c.act,
                        legal[i].act);
        assert_int_equal(c.next, legal[i].to);
        assert_int_equal(c.act, legal[i].act);
    }
}

static void every_other_pair_is_refused(void **state)
{
    size_t empty = 0;

    (void)state;
    for (int k = 0; k < SIP_TX_KINDS; k++) {
        for (int s = 0; s < SIP_TX_STATES; s++) {
            for (int e = 0; e < SIP_TX_EVENTS; e++) {
                if (find(k, s, e))
                    continue;
                assert_int_equal(
                    sip_tx_lookup((enum sip_tx_kind)k, (enum sip_tx_state)s, (enum sip_tx_event)e)
                        .next,
                    SIP_TX_NONE);
                empty++;
            }
        }
    }
    assert_int_equal(empty + sizeof legal / sizeof *legal,
                     SIP_TX_KINDS * SIP_TX_STATES * SIP_TX_EVENTS);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(sip_tx_lookup(SIP_TX_KINDS, SIP_TX_IDLE, SIP_TXE_START).next, SIP_TX_NONE);
    assert_int_equal(sip_tx_lookup(SIP_ICT, SIP_TX_STATES, SIP_TXE_START).next, SIP_TX_NONE);
    assert_int_equal(sip_tx_lookup(SIP_ICT, SIP_TX_IDLE, SIP_TX_EVENTS).next, SIP_TX_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_the_figures_leads_where_they_say),
        cmocka_unit_test(every_other_pair_is_refused),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
