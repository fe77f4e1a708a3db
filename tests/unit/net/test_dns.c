/* The resolver against a server of our own on loopback; nothing leaves the machine. */
#include "support.h"

#include "ciphony/base_wire.h"
#include "net_int.h"

enum { TURNS = 600 };

static struct cph_net_env host;

struct asked {
    bool done;
    cph_err err;
    struct cph_net_dns answer;
};

static void on_answer(void *arg, cph_err err, const struct cph_net_dns *answer, cph_time now)
{
    struct asked *a = arg;

    assert_true(now > 0);
    assert_false(a->done);
    a->done = true;
    a->err = err;
    a->answer = *answer;
}

static void turn_until(struct cph_net *net, const bool *done)
{
    for (int i = 0; !*done && i < TURNS; i++)
        assert_ok(cph_net_turn(net, CPH_MS(20)));
    assert_true(*done);
}

static struct asked ask(struct cph_net *net, enum cph_net_dns_type type, const char *name)
{
    struct asked a = { 0 };
    struct cph_net_query *q;

    assert_ok(cph_net_resolve(net, type, name, on_answer, &a, &q));
    assert_false(a.done); /* never inside the call */
    turn_until(net, &a.done);
    return a;
}

static struct cph_net *net_new(void)
{
    struct cph_net *net = NULL;

    cph_net_env_init(&host, CPH_LOG_ERROR);
    assert_ok(cph_net_new(&host.env, &net));
    net->dns_try_ms = 200;
    return net;
}

static struct cph_addr ip(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

/* ---- without a server ------------------------------------------------------------------------ */

static void a_literal_is_answered_without_asking(void **state)
{
    static const struct {
        enum cph_net_dns_type type;
        const char *name;
        cph_err want;
    } row[] = {
        { CPH_NET_DNS_A, "192.0.2.7", CPH_OK },
        { CPH_NET_DNS_AAAA, "2001:db8::7", CPH_OK },
        { CPH_NET_DNS_AAAA, "[2001:db8::7]", CPH_OK },
        { CPH_NET_DNS_A, "2001:db8::7", CPH_E_NOTFOUND },
        { CPH_NET_DNS_AAAA, "192.0.2.7", CPH_E_NOTFOUND },
        { CPH_NET_DNS_SRV, "192.0.2.7", CPH_E_NOTFOUND },
        { CPH_NET_DNS_NAPTR, "[::1]", CPH_E_NOTFOUND },
    };
    struct cph_net *net = net_new();

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct asked a = ask(net, row[i].type, row[i].name);

        assert_int_equal(a.err, row[i].want);
        assert_int_equal(a.answer.n, row[i].want == CPH_OK);
        if (row[i].want == CPH_OK) {
            struct cph_addr want = ip(row[i].type == CPH_NET_DNS_A ? "192.0.2.7" : "2001:db8::7");

            assert_true(cph_addr_eq(&a.answer.addr[0], &want));
        }
    }
    assert_null(net->dns);
    cph_net_free(net);
}

static void localhost_is_known_from_the_hosts_file(void **state)
{
    struct cph_net *net = net_new();
    struct cph_addr want = ip("127.0.0.1");
    struct asked a = ask(net, CPH_NET_DNS_A, "localhost");

    (void)state;
    assert_int_equal(a.err, CPH_OK);
    assert_true(cph_addr_eq(&a.answer.addr[0], &want));
    cph_net_free(net);
}

static void a_name_that_is_none_is_refused(void **state)
{
    struct cph_net *net = net_new();
    struct cph_net_query *q;
    char name[CPH_NET_NAME + 1];

    (void)state;
    memset(name, 'a', CPH_NET_NAME);
    name[CPH_NET_NAME] = '\0';
    assert_err(cph_net_resolve(net, CPH_NET_DNS_A, "", on_answer, NULL, &q), CPH_E_ARGUMENT);
    assert_err(cph_net_resolve(net, CPH_NET_DNS_A, name, on_answer, NULL, &q), CPH_E_ARGUMENT);
    assert_int_not_equal(ask(net, CPH_NET_DNS_SRV, "two..dots").err, CPH_OK);
    cph_net_query_cancel(NULL);
    cph_net_free(net);
}

/* ---- a server that says what it is told to --------------------------------------------------- */

struct server {
    struct cph_net_udp *udp;
    unsigned rcode;
    bool silent, garbage;
    size_t count; /* answers */
    uint16_t type;
    void (*rdata)(struct cph_wr *wr, size_t i);
    size_t asked;
};

static void wr_name(struct cph_wr *wr, const char *name) /* RFC 1035 3.1, no compression */
{
    while (*name) {
        size_t n = strcspn(name, ".");

        cph_wr_u8(wr, (uint8_t)n);
        cph_wr_bytes(wr, name, n);
        name += n + (name[n] == '.');
    }
    cph_wr_u8(wr, 0);
}

static void wr_string(struct cph_wr *wr, const char *text)
{
    cph_wr_u8(wr, (uint8_t)strlen(text));
    cph_wr_text(wr, text);
}

/* RFC 1035 4.1: header, the question as it came, answers that point back to its name. */
static void serve(void *arg, struct cph_net_udp *udp, const struct cph_addr *from, uint8_t *pkt,
                  size_t n, cph_time now)
{
    struct server *s = arg;
    static uint8_t buf[16384];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    size_t q = 12;

    (void)now;
    s->asked++;
    if (s->silent)
        return;
    while (q < n && pkt[q])
        q += pkt[q] + 1U;
    q += 5;
    assert_true(q <= n);
    cph_wr_bytes(&wr, pkt, 2);
    cph_wr_u16(&wr, (uint16_t)(0x8180 | s->rcode));
    cph_wr_u16(&wr, 1);
    cph_wr_u16(&wr, (uint16_t)(s->rcode ? 0 : s->count));
    cph_wr_u32(&wr, 0);
    cph_wr_bytes(&wr, pkt + 12, q - 12);
    for (size_t i = 0; i < s->count && !s->rcode; i++) {
        size_t mark;

        cph_wr_u16(&wr, 0xc00c);
        cph_wr_u16(&wr, s->type);
        cph_wr_u16(&wr, 1);
        cph_wr_u32(&wr, 60);
        mark = cph_wr_mark(&wr);
        cph_wr_u16(&wr, 0);
        s->rdata(&wr, i);
        cph_wr_patch16(&wr, mark, (uint16_t)(wr.n - mark - 2));
    }
    if (s->garbage)
        wr.n -= 3;
    assert_ok(cph_net_udp_send(udp, from, cph_wr_done(&wr)));
}

static struct cph_net *with_server(struct server *s)
{
    struct cph_net *net = net_new();
    struct cph_addr any = ip("127.0.0.1:0");

    assert_ok(cph_net_udp_open(net, &any, serve, s, &s->udp));
    assert_ok(cph_net_dns_server(net, cph_net_udp_local(s->udp)));
    return net;
}

static void a_record(struct cph_wr *wr, size_t i)
{
    cph_wr_u32(wr, 0xc0000200U + (uint32_t)i);
}

static void srv_record(struct cph_wr *wr, size_t i)
{
    cph_wr_u16(wr, (uint16_t)(10 + i));
    cph_wr_u16(wr, 20);
    cph_wr_u16(wr, 5061);
    wr_name(wr, i == 0 ? "sip.example.org" : "");
}

static void naptr_record(struct cph_wr *wr, size_t i)
{
    cph_wr_u16(wr, 50);
    cph_wr_u16(wr, (uint16_t)i);
    wr_string(wr, "s");
    wr_string(wr, i == 1 ? "a service name that is longer than anything registered, by far and wide"
                         : "SIPS+D2T");
    wr_string(wr, "");
    wr_name(wr, "_sips._tcp.example.org");
}

static void a_server_is_asked_for_every_type(void **state)
{
    struct server s = { .count = 3, .type = 1, .rdata = a_record };
    struct cph_net *net = with_server(&s);
    struct cph_addr want = ip("192.0.2.1");
    struct asked a = ask(net, CPH_NET_DNS_A, "example.org");

    (void)state;
    assert_int_equal(a.err, CPH_OK);
    assert_int_equal(a.answer.n, 3);
    assert_true(cph_addr_eq(&a.answer.addr[1], &want));

    s.count = 2;
    s.type = 33;
    s.rdata = srv_record;
    a = ask(net, CPH_NET_DNS_SRV, "_sips._tcp.example.org");
    assert_int_equal(a.err, CPH_OK);
    assert_int_equal(a.answer.n, 2);
    assert_string_equal(a.answer.srv[0].target, "sip.example.org");
    assert_int_equal(a.answer.srv[0].priority, 10);
    assert_int_equal(a.answer.srv[0].weight, 20);
    assert_int_equal(a.answer.srv[0].port, 5061);
    assert_string_equal(a.answer.srv[1].target,
                        "."); /* RFC 2782: the service is decidedly not there */

    s.count = 3;
    s.type = 35;
    s.rdata = naptr_record;
    a = ask(net, CPH_NET_DNS_NAPTR, "example.org");
    assert_int_equal(a.err, CPH_OK);
    assert_int_equal(a.answer.n, 2); /* the one with the long field is left out */
    assert_string_equal(a.answer.naptr[0].service, "SIPS+D2T");
    assert_string_equal(a.answer.naptr[0].flags, "s");
    assert_string_equal(a.answer.naptr[0].regexp, "");
    assert_string_equal(a.answer.naptr[0].replacement, "_sips._tcp.example.org");
    assert_int_equal(a.answer.naptr[1].preference, 2);
    cph_net_free(net);
}

static void answers_are_bounded(void **state)
{
    struct server s = { .count = 25, .type = 1, .rdata = a_record };
    struct cph_net *net = with_server(&s);
    struct asked a = ask(net, CPH_NET_DNS_A, "many.example");

    (void)state;
    assert_int_equal(a.err, CPH_OK);
    assert_int_equal(a.answer.n, CPH_NET_DNS_ANSWERS);
    cph_net_free(net);
}

static void a_definite_no_and_a_failure_differ(void **state)
{
    struct server s = { .rcode = 3 };
    struct cph_net *net = with_server(&s);

    (void)state;
    assert_int_equal(ask(net, CPH_NET_DNS_A, "none.example").err, CPH_E_NOTFOUND);
    assert_int_equal(ask(net, CPH_NET_DNS_SRV, "none.example").err, CPH_E_NOTFOUND);
    s.rcode = 0; /* the name is there, the record is not */
    assert_int_equal(ask(net, CPH_NET_DNS_AAAA, "none.example").err, CPH_E_NOTFOUND);
    assert_int_equal(ask(net, CPH_NET_DNS_NAPTR, "none.example").err, CPH_E_NOTFOUND);
    s.rcode = 2;
    assert_int_equal(ask(net, CPH_NET_DNS_A, "broken.example").err, CPH_E_NAME);
    assert_int_equal(ask(net, CPH_NET_DNS_NAPTR, "broken.example").err, CPH_E_NAME);
    s = (struct server){
        .udp = s.udp, .count = 1, .type = 33, .rdata = srv_record, .garbage = true
    };
    assert_int_not_equal(ask(net, CPH_NET_DNS_SRV, "cut.example").err, CPH_OK);
    cph_net_free(net);
}

static void no_server_at_all_fails_cleanly(void **state)
{
    struct cph_net *net = net_new();
    struct cph_addr at = ip("127.0.0.1:0");
    struct cph_net_udp *gone;
    struct asked a;

    (void)state;
    assert_ok(cph_net_udp_open(net, &at, NULL, NULL, &gone));
    at = *cph_net_udp_local(gone);
    cph_net_udp_close(gone);
    assert_ok(cph_net_dns_server(net, &at));
    a = ask(net, CPH_NET_DNS_A, "nobody.example");
    assert_true(a.err == CPH_E_NAME || a.err == CPH_E_TIMEOUT);
    cph_net_free(net);
}

static void a_query_may_be_cancelled_before_and_after(void **state)
{
    struct server s = { .silent = true };
    struct cph_net *net = with_server(&s);
    struct asked a = { 0 };
    struct cph_net_query *q;

    (void)state;
    assert_ok(cph_net_resolve(net, CPH_NET_DNS_A, "slow.example", on_answer, &a, &q));
    cph_net_query_cancel(q);
    assert_ok(cph_net_resolve(net, CPH_NET_DNS_SRV, "slow.example", on_answer, &a, &q));
    while (s.asked < 2)
        assert_ok(cph_net_turn(net, CPH_MS(50)));
    cph_net_query_cancel(q);
    s.silent = false;
    s.rcode = 3;
    for (int i = 0; i < 200 && s.asked < 4; i++)
        assert_ok(cph_net_turn(net, CPH_MS(20)));
    assert_false(a.done);
    assert_ok(cph_net_resolve(net, CPH_NET_DNS_A, "left.example", on_answer, &a, &q));
    cph_net_free(net); /* with one underway */
    assert_false(a.done);
}

static void a_silent_server_is_given_up(void **state)
{
    struct server s = { .silent = true };
    struct cph_net *net = with_server(&s);
    struct asked a = ask(net, CPH_NET_DNS_NAPTR, "silent.example");

    (void)state;
    assert_int_equal(a.err, CPH_E_TIMEOUT);
    assert_true(s.asked >= 2);
    cph_net_free(net);
}

static void the_number_of_queries_is_bounded(void **state)
{
    struct server s = { .silent = true };
    struct cph_net *net = with_server(&s);
    struct cph_net_query *q;
    struct asked a = { 0 };

    (void)state;
    for (size_t i = 0; i < NET_DNS_QUERIES; i++)
        assert_ok(cph_net_resolve(net, CPH_NET_DNS_A, "slow.example", on_answer, &a, &q));
    assert_err(cph_net_resolve(net, CPH_NET_DNS_A, "slow.example", on_answer, &a, &q), CPH_E_LIMIT);
    cph_net_free(net);
}

static cph_err scenario(void *arg)
{
    struct cph_net_query *q;
    struct cph_net *net;
    struct asked a = { 0 };
    cph_err err;

    (void)arg;
    CPH_TRY(cph_net_new(&host.env, &net));
    err = cph_net_resolve(net, CPH_NET_DNS_A, "localhost", on_answer, &a, &q);
    if (err == CPH_OK)
        err = cph_net_turn(net, 0);
    cph_net_free(net);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_is_answered_without_asking),
        cmocka_unit_test(localhost_is_known_from_the_hosts_file),
        cmocka_unit_test(a_name_that_is_none_is_refused),
        cmocka_unit_test(a_server_is_asked_for_every_type),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(a_definite_no_and_a_failure_differ),
        cmocka_unit_test(no_server_at_all_fails_cleanly),
        cmocka_unit_test(a_query_may_be_cancelled_before_and_after),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(the_number_of_queries_is_bounded),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
