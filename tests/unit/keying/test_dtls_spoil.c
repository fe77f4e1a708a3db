/* Somebody writes in the peer's name, before there are keys: a few packets delay a call, and do not
 * end it. */
#include "dtls_support.h"

enum { CERTIFICATE = 11, HELLO_DONE = 14, SIZES = 3, SPOIL_S = 5 };

/* Bytes of a forged message, and how many of them are there. */
static const uint32_t size[SIZES][2] = { { 300, 10 }, { 40, 40 }, { 0, 0 } };

/* A handshake message in clear: n bytes of noise out of total. */
static void forge(struct party *victim, const struct party *name, uint8_t type, uint16_t seq,
                  const uint32_t how[2])
{
    uint32_t total = how[0], n = how[1];
    uint8_t b[512];
    struct cph_wr wr = cph_wr_open(b, sizeof b);

    cph_wr_u8(&wr, 22);
    cph_wr_u16(&wr, 0xfefd);
    cph_wr_u16(&wr, 0);
    cph_wr_u48(&wr, 1);
    cph_wr_u16(&wr, (uint16_t)(12 + n));
    cph_wr_u8(&wr, type);
    cph_wr_u24(&wr, total);
    cph_wr_u16(&wr, seq);
    cph_wr_u24(&wr, 0);
    cph_wr_u24(&wr, n);
    while (n-- > 0)
        cph_wr_u8(&wr, (uint8_t)test_random(&t));
    (void)!cph_keying_feed(victim->k, CPH_KEYING_RTP, &name->at[0], cph_wr_done(&wr), now);
}

/* who[0] is passive and knows the answer; who[1] has said hello, and the packet is still here. */
static void begin(void)
{
    agree(&who[0], &who[1]);
    cph_keying_tick(who[1].k, now);
    collect(who[1].k, &who[1], &who[0]);
    assert_int_equal(n_wire, 1);
}

static void again(void)
{
    teardown(NULL);
    setup(NULL);
}

/* The library would put by any of them, and take it for the peer's when its turn comes. */
static void one_packet_does_not_keep_the_server_from_the_client(void **state)
{
    static const uint8_t type[] = { 2, 4, 11, 12, 13, 14, 22 };

    (void)state;
    for (unsigned i = 0; i < sizeof type * 6 * SIZES; i++) {
        begin();
        forge(&who[1], &who[0], type[i % sizeof type], (uint16_t)(i / sizeof type % 6),
              size[i / sizeof type / 6]);
        run(&who[0], &who[1], now + CPH_SEC(SPOIL_S));
        assert_keyed(&who[0], &who[1]);
        again();
    }
}

static void nor_the_client_from_the_server(void **state)
{
    static const uint8_t type[] = { 1, 11, 15, 16, 20 };

    (void)state;
    for (unsigned i = 0; i < sizeof type * 6 * SIZES; i++) {
        begin();
        run(&who[0], &who[1], now + CPH_MS(1)); /* the server has answered */
        forge(&who[0], &who[1], type[i % sizeof type], (uint16_t)(i / sizeof type % 6),
              size[i / sizeof type / 6]);
        run(&who[0], &who[1], now + CPH_SEC(SPOIL_S));
        assert_keyed(&who[0], &who[1]);
        again();
    }
}

static void two_packets_to_either_side_do_not_either(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SIZES * SIZES; i++) {
        begin();
        forge(&who[1], &who[0], CERTIFICATE, 1, size[i % SIZES]);
        forge(&who[1], &who[0], HELLO_DONE, 3, size[i / SIZES]);
        run(&who[0], &who[1], now + CPH_MS(1));
        forge(&who[0], &who[1], CERTIFICATE, 1, size[i % SIZES]);
        forge(&who[0], &who[1], CERTIFICATE, 2, size[i / SIZES]);
        run(&who[0], &who[1], now + CPH_SEC(SPOIL_S));
        assert_keyed(&who[0], &who[1]);
        again();
    }
}

static unsigned running(const struct party *p)
{
    const struct dtls *d = (const struct dtls *)p->k;
    unsigned n = 0;

    for (unsigned i = 0; d->pool && i < DTLS_SLOTS; i++)
        n += d->pool->slot[0][i] != NULL;
    return n;
}

/* Whoever sees each hello and is quicker than the peer, each time, wins: no keys, and a reason. */
static void who_spoils_every_handshake_is_told_of(void **state)
{
    unsigned most = 0;

    (void)state;
    begin();
    for (int i = 0; i < 40000 && status(&who[1]).state == CPH_KEYING_RUNNING; i++) {
        forge(&who[1], &who[0], CERTIFICATE, 1, size[1]);
        run(&who[0], &who[1], now + CPH_MS(1));
        most = running(&who[1]) > most ? running(&who[1]) : most;
    }
    assert_in_range(most, 1, DTLS_OWN);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_FAILED);
    assert_non_null(strstr(status(&who[1]).why, "forged in the peer's name"));
    assert_int_equal(running(&who[1]), 0);
}

/* It is slow, not spoiled: what goes on beside it does not end it. */
static void a_handshake_that_takes_long_still_makes_keys(void **state)
{
    (void)state;
    begin();
    wire[0].at = now + CPH_SEC(1);
    for (int i = 0; i < 300 && status(&who[1]).state != CPH_KEYING_KEYED; i++) {
        size_t had = n_wire;

        run(&who[0], &who[1], now + CPH_MS(50));
        for (; had < n_wire; had++)
            wire[had].at += CPH_MS(1900);
    }
    run(&who[0], &who[1], now + CPH_SEC(4));
    assert_keyed(&who[0], &who[1]);
}

/* ---- many hellos ----------------------------------------------------------------------------- */

/* Each fills a place as if it were the peer's, who has then none. */
static void hellos_with_the_peers_address_do_not_keep_the_peer_out(void **state)
{
    struct cph_keying_packet hello;
    unsigned asked = 0;

    (void)state;
    begin();
    hello = wire[0].p;
    for (int i = 0; i < 20; i++) {
        struct cph_keying_packet forged = hello, out;

        assert_ok(
            cph_random(&t.env, forged.b + 27, DTLS_RANDOM)); /* behind both headers, version */
        (void)!cph_keying_feed(who[0].k, CPH_KEYING_RTP, &who[1].at[0],
                               (struct cph_span){ forged.b, forged.n }, now);
        while (cph_keying_pull(who[0].k, &out, now) == CPH_OK)
            asked += out.n == DTLS_ASK;
    }
    assert_int_equal(running(&who[0]), DTLS_NAMED);
    assert_int_equal(asked, 20 - DTLS_NAMED);
    run(&who[0], &who[1], now + CPH_SEC(1));
    assert_keyed(&who[0], &who[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(one_packet_does_not_keep_the_server_from_the_client),
        T(nor_the_client_from_the_server),
        T(two_packets_to_either_side_do_not_either),
        T(who_spoils_every_handshake_is_told_of),
        T(a_handshake_that_takes_long_still_makes_keys),
        T(hellos_with_the_peers_address_do_not_keep_the_peer_out),
    };

    return cmocka_run_group_tests_name("dtls_spoil", tests, NULL, NULL);
}
