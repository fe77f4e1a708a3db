/* Through address translation, and who abuses it. */
#include "dtls_support.h"

static unsigned openers_on_the_wire(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < n_wire; i++)
        n += dtls_is_opener((struct cph_span){ wire[i].p.b, wire[i].p.n });
    return n;
}

static void the_passive_side_behind_a_translator_opens_it(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        struct cph_keying_remote offer, answer;

        outside = addr("203.0.113.7:777");
        offer = offer_by(&who[0]);
        if (!named)
            offer = with(&offer, "tls-id", NULL);
        answer = answer_by(&who[1], &offer);
        assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        run(&who[0], &who[1], now + CPH_SEC(5));
        assert_keyed(&who[0], &who[1]);
        assert_true(cph_addr_eq(&status(&who[1]).at[0], &outside));
        assert_true(cph_addr_eq(&status(&who[0]).at[0], &who[1].at[0]));
        assert_int_equal(((struct dtls *)who[1].k)->hint[0][0].named, named);
        teardown(NULL);
        setup(NULL);
    }
}

static void over_loss_too_the_translator_is_opened(void **state)
{
    (void)state;
    outside = addr("203.0.113.7:777");
    loss = 20;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(25));
    assert_keyed(&who[0], &who[1]);
}

static void nothing_is_opened_where_the_hello_comes_through(void **state)
{
    struct cph_keying_packet out;
    unsigned openers = 0;

    (void)state;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_MS(DTLS_OPEN_MS) - 1);
    assert_keyed(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(10));
    assert_int_equal(openers_on_the_wire(), 0);
    assert_int_equal(((struct dtls *)who[0].k)->opens[0], 0);
    /* And where it never comes, an end is made. */
    agree(&who[0], &who[2]);
    for (cph_time end = now + CPH_SEC(29); now < end; now += CPH_MS(50)) {
        while (cph_keying_pull(who[0].k, &out, now) == CPH_OK) {
            assert_true(dtls_is_opener((struct cph_span){ out.b, out.n }));
            assert_int_equal(out.n, DTLS_OPENER);
            assert_true(cph_addr_eq(&out.to, &who[2].at[0]));
            openers++;
        }
    }
    assert_int_equal(openers, DTLS_OPENERS);
}

/* An opener made up by somebody who knows the port and nothing else. */
static struct cph_span made_up(const char *username, size_t n, uint8_t buf[1500])
{
    struct cph_wr wr = cph_wr_open(buf, 1500);
    size_t len = username ? strlen(username) : 0;

    cph_wr_u16(&wr, 0x0011);
    cph_wr_u16(&wr, (uint16_t)(n - 20));
    cph_wr_u32(&wr, 0x2112a442);
    cph_wr_zero(&wr, 12);
    if (username) {
        cph_wr_u16(&wr, 6);
        cph_wr_u16(&wr, (uint16_t)len);
        cph_wr_text(&wr, username);
        cph_wr_zero(&wr, (4 - len % 4) % 4);
    }
    if (wr.n < n) {
        cph_wr_u16(&wr, 0x26);
        cph_wr_u16(&wr, (uint16_t)(n - wr.n - 2));
        cph_wr_zero(&wr, n - wr.n);
    }
    assert_int_equal(wr.n, n);
    return cph_wr_done(&wr);
}

/* Bytes the active side sends to an address within a time in which nothing else happens. */
static size_t sent_to(struct party *p, const struct cph_addr *to, cph_time until)
{
    struct cph_keying_packet out;
    size_t n = 0;

    for (; now < until; now += CPH_MS(50)) {
        while (cph_keying_pull(p->k, &out, now) == CPH_OK)
            n += out.has_to && cph_addr_eq(&out.to, to) ? out.n : 0;
        cph_keying_tick(p->k, now);
    }
    return n;
}

static void whoever_opens_with_a_false_address_wins_no_bytes(void **state)
{
    static const size_t size[] = { 20, 60, 200, 400, 1200 };
    struct cph_addr victim = addr("192.0.2.66:6666");
    uint8_t buf[1500];

    (void)state;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        size_t in = 0, back;

        agree(&who[0], &who[1]);
        cph_keying_tick(who[1].k, now);
        for (int k = 0; k < 5; k++, in += size[i])
            assert_ok(cph_keying_feed(who[1].k, CPH_KEYING_RTP, &victim,
                                      made_up(NULL, size[i], buf), now));
        back = sent_to(&who[1], &victim, now + CPH_SEC(20));
        assert_true(back <= in);
        assert_int_equal(back > 0, in >= 300); /* a hello fits, and is tried */
        teardown(NULL);
        setup(NULL);
    }
}

static void an_opener_that_names_other_ids_is_refused(void **state)
{
    struct cph_addr from = addr("192.0.2.66:6666");
    uint8_t buf[1500];

    (void)state;
    agree(&who[0], &who[1]);
    cph_keying_tick(who[1].k, now);
    assert_err(cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from,
                               made_up("0123456789abcdef:0123456789abcdef", 400, buf), now),
               CPH_E_AUTH);
    for (size_t n = 0; n < 20; n++)
        assert_false(dtls_is_opener((struct cph_span){ buf, n }));
    /* An attribute that lies about its length; and nobody passive wants one. */
    (void)made_up(NULL, 60, buf);
    buf[23]++;
    assert_err(cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, 60 }, now),
               CPH_E_MALFORMED);
    assert_err(cph_keying_feed(who[0].k, CPH_KEYING_RTP, &from, made_up(NULL, 400, buf), now),
               CPH_E_NOTFOUND);
    assert_int_equal(sent_to(&who[1], &from, now + CPH_SEC(3)), 0);
}

/* Many open in others' names; and one who answers as if he were the peer. The call is keyed with
 * the peer, where he said he is. */
static void openers_of_strangers_do_not_lead_media_astray(void **state)
{
    struct cph_addr from = addr("192.0.2.66:6666");
    struct dtls *d = (struct dtls *)who[1].k;
    struct cph_keying_packet out;
    unsigned refused = 0;
    uint8_t buf[1500];
    bool tried = false;

    (void)state;
    agree(&who[0], &who[1]);
    cph_keying_tick(who[1].k, now);
    for (int i = 0; i < 50; i++) {
        from.port = (uint16_t)(6666 + i);
        refused += cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from, made_up(NULL, 1200, buf),
                                   now) == CPH_E_LIMIT;
    }
    assert_int_equal(refused, 50 - DTLS_DETOURS);
    from.port = 6666;
    /* The peer is silent until the first of them had his hello, and has shown a certificate. */
    for (cph_time end = now + CPH_SEC(2); now < end; now += CPH_MS(50)) {
        struct cph_stream_config cfg = { .kind = CPH_STREAM_DTLS,
                                         .role = CPH_STREAM_SERVER,
                                         .cert = who[2].cert,
                                         .key = who[2].key,
                                         .verify = CPH_STREAM_VERIFY_CALLER,
                                         .need_client_cert = true,
                                         .srtp_profile = (const uint16_t[]){ 0x0007 },
                                         .n_srtp_profile = 1 };
        struct cph_stream *liar = NULL;

        while (cph_keying_pull(who[1].k, &out, now) == CPH_OK) {
            if (!out.has_to || !cph_addr_eq(&out.to, &from))
                continue;
            tried = true;
            if (!liar)
                assert_ok(cph_stream_new(&cfg, &t.env, &liar));
            (void)!cph_stream_feed(liar, (struct cph_span){ out.b, out.n }, now);
            while (cph_stream_pull(liar, out.b, sizeof out.b, &out.n) == CPH_OK)
                (void)!cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from,
                                       (struct cph_span){ out.b, out.n }, now);
        }
        cph_stream_free(liar);
        cph_keying_tick(who[1].k, now);
    }
    assert_true(tried);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_RUNNING);
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    assert_true(cph_addr_eq(&status(&who[1]).at[0], &who[0].at[0]));
    assert_true(d->hints[0] <= DTLS_DETOURS_ALL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_passive_side_behind_a_translator_opens_it),
        T(over_loss_too_the_translator_is_opened),
        T(nothing_is_opened_where_the_hello_comes_through),
        T(whoever_opens_with_a_false_address_wins_no_bytes),
        T(an_opener_that_names_other_ids_is_refused),
        T(openers_of_strangers_do_not_lead_media_astray),
    };

    return cmocka_run_group_tests_name("dtls_path", tests, NULL, NULL);
}
