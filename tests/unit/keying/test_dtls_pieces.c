/* A ClientHello that comes in several datagrams. */
#include "dtls_support.h"

enum { HEADERS = 13 + 12, LEAST = 2 + 32 + 1 + 1 + DTLS_COOKIE + 1 };

/* Bytes at to at of a hello in one piece, as a record of its own. */
static struct cph_keying_packet piece(const struct cph_keying_packet *hello, size_t at, size_t n)
{
    struct cph_keying_packet out = *hello;
    struct cph_wr wr = cph_wr_open(out.b + 11, 2), msg = cph_wr_open(out.b + 19, 6);

    assert_true(HEADERS + at + n <= hello->n);
    cph_wr_u16(&wr, (uint16_t)(12 + n));
    cph_wr_u24(&msg, (uint32_t)at);
    cph_wr_u24(&msg, (uint32_t)n);
    memcpy(out.b + HEADERS, hello->b + HEADERS + at, n);
    out.n = HEADERS + n;
    return out;
}

static size_t body(const struct cph_keying_packet *hello)
{
    return hello->n - HEADERS;
}

/* What party p says next, which is a hello. */
static struct cph_keying_packet hello_of(const struct party *p)
{
    struct cph_keying_packet out;
    struct dtls_hello hello;

    assert_ok(cph_keying_pull(p->k, &out, now));
    assert_true(dtls_hello_read((struct cph_span){ out.b, out.n }, &hello));
    return out;
}

static cph_err hear(struct party *p, struct cph_addr from, const struct cph_keying_packet *packet)
{
    return cph_keying_feed(p->k, CPH_KEYING_RTP, &from, (struct cph_span){ packet->b, packet->n },
                           now);
}

/* All of it, in order. */
static void say(struct party *p, struct cph_addr from, const struct cph_keying_packet *hello,
                size_t size)
{
    for (size_t at = 0, n; at < body(hello); at += n) {
        struct cph_keying_packet part;

        n = body(hello) - at < size ? body(hello) - at : size;
        part = piece(hello, at, n);
        (void)!hear(p, from, &part);
    }
}

/* Soon enough that no hello was said again, in one piece. */
static void assert_keyed_at_once(void)
{
    run(&who[0], &who[1], now + CPH_MS(DTLS_FIRST_MS / 2));
    assert_keyed(&who[0], &who[1]);
}

static void a_hello_in_pieces_is_one(void **state)
{
    (void)state;
    for (size_t size = LEAST; size < 200; size += 17) {
        struct cph_keying_packet hello;

        agree(&who[0], &who[1]);
        hello = hello_of(&who[1]);
        say(&who[0], who[1].at[0], &hello, size);
        assert_keyed_at_once();
        teardown(NULL);
        setup(NULL);
    }
}

/* RFC 6347 4.2.1: nothing is kept of who has not shown that he hears us, nor of his pieces. */
static void a_stranger_is_asked_at_his_first_piece(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    const struct dtls *d = (const struct dtls *)who[0].k;
    struct cph_keying_packet hello = hello_of(&who[1]), first = piece(&hello, 0, LEAST);
    struct cph_keying_packet rest = piece(&hello, LEAST, body(&hello) - LEAST), ask;

    (void)state;
    assert_ok(hear(&who[0], who[1].at[0], &first));
    assert_null(d->early->slot[0][0]);
    assert_err(hear(&who[0], who[1].at[0], &rest), CPH_E_NOTFOUND);
    assert_ok(cph_keying_pull(who[0].k, &ask, now));
    assert_int_equal(ask.n, DTLS_ASK);
    assert_err(cph_keying_pull(who[0].k, &first, now), CPH_E_AGAIN);

    assert_ok(hear(&who[1], who[0].at[0], &ask));
    hello = hello_of(&who[1]); /* with the cookie */
    say(&who[0], who[1].at[0], &hello, LEAST);
    assert_non_null(d->early->slot[0][0]);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_keyed_at_once();
}

/* The answer comes between a hello and its repetition: who was asked for a cookie by then is asked
 * again, since no client can take a flight of each. */
static void who_was_asked_before_he_was_announced_is_asked_still(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    const struct dtls *d = (const struct dtls *)who[0].k;
    struct cph_keying_packet hello = hello_of(&who[1]), ask, again;

    (void)state;
    say(&who[0], who[1].at[0], &hello, LEAST);
    assert_ok(cph_keying_pull(who[0].k, &ask, now)); /* and is on its way */
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    say(&who[0], who[1].at[0], &hello, LEAST);
    assert_null(d->pool->slot[0][0]);
    assert_ok(cph_keying_pull(who[0].k, &again, now));
    assert_int_equal(again.n, DTLS_ASK);
    assert_err(cph_keying_pull(who[0].k, &again, now), CPH_E_AGAIN);

    assert_ok(hear(&who[1], who[0].at[0], &ask));
    hello = hello_of(&who[1]); /* with the cookie */
    say(&who[0], who[1].at[0], &hello, LEAST);
    assert_non_null(d->pool->slot[0][0]);
    assert_keyed_at_once();
}

static void pieces_out_of_order_come_again(void **state)
{
    struct cph_keying_packet hello, part[3];
    size_t third;

    (void)state;
    agree(&who[0], &who[1]);
    hello = hello_of(&who[1]);
    third = body(&hello) / 3;
    part[0] = piece(&hello, 0, third);
    part[1] = piece(&hello, third, third);
    part[2] = piece(&hello, 2 * third, body(&hello) - 2 * third);
    assert_err(hear(&who[0], who[1].at[0], &part[1]), CPH_E_NOTFOUND);
    assert_ok(hear(&who[0], who[1].at[0], &part[0]));
    assert_ok(hear(&who[0], who[1].at[0], &part[2])); /* lost */
    assert_ok(hear(&who[0], who[1].at[0], &part[1]));
    assert_ok(hear(&who[0], who[1].at[0], &part[1])); /* doubled */
    assert_err(cph_keying_pull(who[0].k, &hello, now), CPH_E_AGAIN);
    for (int i = 0; i < 3; i++)
        assert_ok(hear(&who[0], who[1].at[0], &part[i]));
    assert_keyed_at_once();
}

/* Whoever writes in between with the peer's address spoils it until the peer says hello again. */
static void a_repeated_first_piece_begins_anew(void **state)
{
    struct cph_keying_packet hello, forged;

    (void)state;
    agree(&who[0], &who[1]);
    hello = hello_of(&who[1]);
    forged = piece(&hello, 0, LEAST);
    assert_ok(hear(&who[0], who[1].at[0], &forged));
    forged = piece(&hello, LEAST, 20);
    memset(forged.b + HEADERS, 0xff, 20);
    assert_ok(hear(&who[0], who[1].at[0], &forged));
    say(&who[0], who[1].at[0], &hello, LEAST);
    assert_keyed_at_once();
}

static struct dtls_piece read_piece(const struct cph_keying_packet *packet)
{
    struct dtls_piece p;

    assert_true(dtls_piece_read((struct cph_span){ packet->b, packet->n }, &p));
    return p;
}

static void a_piece_of_another_hello_does_not_fit(void **state)
{
    struct cph_keying_packet hello, packet;
    struct dtls_pieces *pieces = NULL;
    struct dtls_piece first, rest, wrong;
    struct cph_span whole;

    (void)state;
    agree(&who[0], &who[1]);
    hello = hello_of(&who[1]);
    packet = piece(&hello, 0, LEAST);
    first = read_piece(&packet);
    hello = piece(&hello, LEAST, body(&hello) - LEAST);
    rest = read_piece(&hello);
    assert_err(dtls_pieces_add(&pieces, &rest, &whole), CPH_E_AGAIN);
    assert_null(pieces);
    assert_err(dtls_pieces_add(&pieces, &first, &whole), CPH_E_AGAIN);
    wrong = rest;
    wrong.total++;
    assert_err(dtls_pieces_add(&pieces, &wrong, &whole), CPH_E_AGAIN);
    wrong = rest;
    wrong.seq++;
    assert_err(dtls_pieces_add(&pieces, &wrong, &whole), CPH_E_AGAIN);
    wrong = rest;
    wrong.offset++;
    wrong.bytes.n--;
    assert_err(dtls_pieces_add(&pieces, &wrong, &whole), CPH_E_AGAIN);
    assert_ok(dtls_pieces_add(&pieces, &rest, &whole));
    assert_int_equal(whole.n, HEADERS + first.total);
    wrong = first;
    wrong.total = DTLS_HELLO_MAX + 1;
    assert_err(dtls_pieces_add(&pieces, &wrong, &whole), CPH_E_LIMIT);
    wrong.total = DTLS_HELLO_MAX;
    assert_err(dtls_pieces_add(&pieces, &wrong, &whole), CPH_E_AGAIN);
    dtls_pieces_free(pieces);
}

static void a_first_piece_has_all_up_to_the_cookie(void **state)
{
    struct cph_keying_packet hello, packet;
    struct dtls_hello h;

    (void)state;
    agree(&who[0], &who[1]);
    hello = hello_of(&who[1]);
    for (size_t n = 0; n <= body(&hello); n++) {
        packet = piece(&hello, 0, n);
        assert_int_equal(dtls_hello_read((struct cph_span){ packet.b, packet.n }, &h),
                         n >= LEAST - DTLS_COOKIE); /* it has no cookie; and more behind it */
    }
    packet = piece(&hello, 1, body(&hello) - 1);
    assert_false(dtls_hello_read((struct cph_span){ packet.b, packet.n }, &h));
    packet = piece(&hello, 0, LEAST);
    packet.b[24]++; /* more than there is */
    assert_false(dtls_hello_read((struct cph_span){ packet.b, packet.n }, &h));
}

static cph_err talk(void *arg)
{
    const struct cph_keying_packet *hello = arg;
    struct dtls_pieces *pieces = NULL;
    struct cph_span whole;
    cph_err err = CPH_E_AGAIN;

    for (size_t at = 0; at < body(hello) && err == CPH_E_AGAIN; at += LEAST) {
        size_t left = body(hello) - at;
        struct cph_keying_packet packet = piece(hello, at, left < LEAST ? left : LEAST);
        struct dtls_piece p = read_piece(&packet);

        err = dtls_pieces_add(&pieces, &p, &whole);
    }
    dtls_pieces_free(pieces);
    return err;
}

static void allocation_failure_is_survived(void **state)
{
    struct cph_keying_packet hello;

    (void)state;
    agree(&who[0], &who[1]);
    hello = hello_of(&who[1]);
    test_alloc_fails(talk, &hello);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_hello_in_pieces_is_one),
        T(a_stranger_is_asked_at_his_first_piece),
        T(who_was_asked_before_he_was_announced_is_asked_still),
        T(pieces_out_of_order_come_again),
        T(a_repeated_first_piece_begins_anew),
        T(a_piece_of_another_hello_does_not_fit),
        T(a_first_piece_has_all_up_to_the_cookie),
        T(allocation_failure_is_survived),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
