/*
 * Every mechanism, in every mode, with memory running out at each of its allocations: the step that
 * meets it says CPH_E_NOMEM and changed nothing, so that the same step a moment later leads to
 * keys, and what stood before stands.
 */
#include "mikey_world.h"

#include "ciphony/keying_ekt.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/srtp_ekt.h"

enum {
    STEP_MS = 10,
    LIMIT_MS = 100000, /* longer than any handshake may take */
    MOST = 25,         /* of its allocations that are tried; with more, each so-manieth */
    BY_THEN = 20000,   /* no mechanism has as many */
};

struct kind {
    const char *name, *keying;
    enum cph_mikey_mode mode;
    bool ekt, curves;
};

static const struct kind *kind;
static const struct cph_keying_method *only[2];
static struct cph_zrtp_call *zrtp[2];
static struct cph_ekt_params set;
static cph_time now;
static uint16_t seq;
static size_t trying; /* the allocation from which on there is no memory */
static size_t made;   /* allocations of the part that is looked at */

/* ---- two sides ------------------------------------------------------------------------------- */

static void material(void)
{
    bool mqv = kind->mode == CPH_MIKEY_ECMQV || kind->curves;

    (void)defaults(NULL);
    cfg_a.mode = cfg_b.mode = kind->mode;
    cfg_a.accept = cfg_b.accept = 1U << kind->mode;
    if (mqv) {
        cfg_a.key = ec_a, cfg_a.cert = cert_ec_a, cfg_a.peer_cert = cert_ec_b256;
        cfg_b.key = ec_b256, cfg_b.cert = cert_ec_b256, cfg_b.peer_cert = cert_ec_a;
    } else {
        cfg_a.peer_cert = cert_rsa_b;
        cfg_b.peer_cert = cert_rsa_a;
    }
    assert_ok(cph_mikey_new(&cfg_a, &ma));
    assert_ok(cph_mikey_new(&cfg_b, &mb));
    for (int i = 0; i < 2; i++) {
        struct cph_zrtp_cfg c = { .env = i ? &env_b.env : &env_a.env };

        memset(c.zid, 0x30 + i, sizeof c.zid);
        assert_ok(cph_zrtp_call_new(&c, &zrtp[i]));
    }
    set = (struct cph_ekt_params){
        .spi = 7, .cipher = CPH_EKT_AESKW256, .ttl_s = 3600, .key.n = 32, .salt.n = 14
    };
    memset(set.key.b, 'k', set.key.n);
    memset(set.salt.b, 's', set.salt.n);
}

static void world_open(void)
{
    struct cph_nego_cfg cfg[2] = { { .policy = CPH_KEYING_REQUIRED, .methods = only },
                                   { .policy = CPH_KEYING_REQUIRED, .methods = only } };

    only[0] = cph_keying_method_by_name(cph_span_of(kind->keying));
    assert_non_null(only[0]);
    material();
    for (int i = 0; i < 2; i++) {
        cfg[i].keying.key = i ? ec_b256 : ec_a;
        cfg[i].keying.cert = i ? cert_ec_b256 : cert_ec_a;
        cfg[i].keying.mikey = i ? mb : ma;
        cfg[i].keying.zrtp = zrtp[i];
        cfg[i].keying.rtcp_mux = true;
        cfg[i].keying.allow_ekt = kind->ekt;
        cfg[i].keying.ekt = kind->ekt ? &set : NULL;
    }
    pair_open(&p, cfg[0], cfg[1]);
    p.a.env.state = 1, p.b.env.state = 2;
    now = CPH_SEC(1);
    seq = 0;
}

static void world_close(void)
{
    pair_close(&p);
    cph_mikey_free(ma);
    cph_mikey_free(mb);
    ma = mb = NULL;
    cph_zrtp_call_free(zrtp[0]);
    cph_zrtp_call_free(zrtp[1]);
}

/* ---- steps, each once more if it met want of memory ------------------------------------------ */

/* Was this want of memory, which is over now? */
static bool want(cph_err err)
{
    bool ill = test_alloc_refused();

    if (err == CPH_OK)
        return false;
    test_alloc_heal();
    if (!ill || err != CPH_E_NOMEM)
        fail_msg("%s, allocation %zu: %s, memory %s", kind->name, trying, cph_err_name(err),
                 ill ? "ran out" : "was there");
    return true;
}

static struct cph_sdp *offered(struct side *s)
{
    struct cph_sdp_local l = pair_local(s);
    struct cph_sdp_stream st = pair_stream(s);
    struct cph_sdp *sdp;
    cph_err err;

    do {
        err = cph_sdp_offer(p.arena, &l, &st, 1, &sdp);
        if (err == CPH_OK)
            err = cph_nego_offer(s->nego, &(struct cph_keying_local){ sdp, sdp->media[0] });
    } while (want(err));
    return sdp;
}

static cph_err answered(struct side *s, const struct cph_sdp *offer, struct cph_sdp **out)
{
    struct cph_sdp_local l = pair_local(s);
    struct cph_sdp_stream st = pair_stream(s);

    CPH_TRY(cph_sdp_answer_skeleton(p.arena, &l, offer, &st, 1, out));
    return cph_nego_answer(s->nego, &(struct cph_keying_remote){ offer, offer->media[0] },
                           &(struct cph_keying_local){ *out, (*out)->media[0] });
}

/* An offer that met want of memory at the other side is refused, and made anew. */
static void agreed(struct side *a, struct side *b)
{
    struct cph_nego *fork = NULL;
    struct cph_sdp *offer, *answer;
    cph_err err;

    for (;;) {
        offer = offered(a);
        if (!want(answered(b, offer, &answer)))
            break;
        cph_nego_rollback(a->nego);
        cph_nego_renew(a->nego);
        if (a->generation[0] > 0) /* what both had before still serves */
            assert_media(&p, ++seq);
    }
    if (status_of(a).keying.state == CPH_KEYING_OFFERED) {
        do
            err = cph_nego_fork(a->nego, &fork);
        while (want(err));
        cph_nego_free(fork);
    }
    do
        err = try_finish(a, answer);
    while (want(err));
    cph_nego_answered(b->nego, now);
}

/* What the media path loses for want of memory is lost as on any path. */
static void carry(void)
{
    struct side *side[2] = { &p.a, &p.b };
    struct cph_keying_packet out;

    for (unsigned i = 0; i < 2; i++) {
        struct cph_addr from = { .family = CPH_AF_V4, .ip = { 10, 0, 0, (uint8_t)(i + 1) } };

        from.port = side[i]->port;
        cph_nego_tick(side[i]->nego, now);
        while (cph_nego_pull(side[i]->nego, &out, now) == CPH_OK)
            (void)!cph_nego_feed(side[!i]->nego, out.component, &from,
                                 (struct cph_span){ out.b, out.n }, now);
    }
    if (test_alloc_refused())
        test_alloc_heal();
    now += CPH_MS(STEP_MS);
}

/* Keys for both, or an end for want of memory. */
static bool keyed(unsigned least_generation)
{
    struct side *side[2] = { &p.a, &p.b };
    unsigned ready = 0;

    for (unsigned i = 0; i < 2; i++) {
        struct cph_nego_status st = status_of(side[i]);

        if (st.keying.state == CPH_KEYING_FAILED)
            return false;
        ready += st.keying.state == CPH_KEYING_KEYED &&
                 st.keying.dir[0].generation >= least_generation &&
                 st.keying.dir[1].generation >= least_generation;
    }
    return ready == 2;
}

static bool run_until_keyed(unsigned least_generation)
{
    for (unsigned t = 0; t < LIMIT_MS && !keyed(least_generation); t += STEP_MS) {
        carry();
        if (status_of(&p.a).keying.offer_wanted)
            agreed(&p.a, &p.b);
        else if (status_of(&p.b).keying.offer_wanted)
            agreed(&p.b, &p.a);
    }
    return keyed(least_generation);
}

/* A handshake on the media path may be lost where nobody is told: then time ends it. */
static void assert_ended_for_want(void)
{
    struct cph_keying_status st[2] = { status_of(&p.a).keying, status_of(&p.b).keying };

    if (st[0].err != CPH_E_NOMEM && st[1].err != CPH_E_NOMEM &&
        !(only[0]->where != CPH_KEYING_IN_SIGNALLING && st[0].err == CPH_E_TIMEOUT))
        fail_msg("%s, allocation %zu: state %u, %s (%s) and state %u, %s (%s)", kind->name, trying,
                 st[0].state, cph_err_name(st[0].err), st[0].why, st[1].state,
                 cph_err_name(st[1].err), st[1].why);
}

static void assert_sound(void)
{
    test_alloc_heal();
    assert_media(&p, ++seq);
}

/* The first keys, with memory for so many allocations at first. True: that was enough. */
static bool first_keys(size_t at)
{
    bool ill;

    world_open();
    trying = at;
    made = test_alloc_count();
    test_alloc_ill(at);
    agreed(&p.a, &p.b);
    if (run_until_keyed(1))
        assert_sound();
    else
        assert_ended_for_want();
    ill = test_alloc_refused();
    made = test_alloc_count() - made;
    world_close();
    return !ill;
}

/* The same for new keys in a call that stands: it goes on standing. */
static bool new_keys(size_t at)
{
    unsigned had;
    bool ill;

    world_open();
    agreed(&p.a, &p.b);
    assert_true(run_until_keyed(1));
    assert_sound();
    had = status_of(&p.a).keying.dir[0].generation;
    trying = at;
    made = test_alloc_count();
    test_alloc_ill(at);
    cph_nego_renew(p.a.nego);
    agreed(&p.a, &p.b);
    (void)run_until_keyed(had + (only[0]->renew != NULL));
    ill = test_alloc_refused();
    made = test_alloc_count() - made;
    assert_sound();
    world_close();
    return !ill;
}

/* ---- every kind ------------------------------------------------------------------------------ */

static const struct kind kinds[] = {
    { .name = "sdes", .keying = "sdes" },
    { .name = "sdes and ekt", .keying = "sdes", .ekt = true },
    { .name = "dtls", .keying = "dtls" },
    { .name = "zrtp", .keying = "zrtp" },
    { .name = "mikey null", .keying = "mikey", .mode = CPH_MIKEY_NULL },
    { .name = "mikey psk", .keying = "mikey", .mode = CPH_MIKEY_PSK },
    { .name = "mikey psk and ekt", .keying = "mikey", .mode = CPH_MIKEY_PSK, .ekt = true },
    { .name = "mikey rsa", .keying = "mikey", .mode = CPH_MIKEY_RSA },
    { .name = "mikey ecies", .keying = "mikey", .mode = CPH_MIKEY_RSA, .curves = true },
    { .name = "mikey rsa-r", .keying = "mikey", .mode = CPH_MIKEY_RSA_R },
    { .name = "mikey dhsign", .keying = "mikey", .mode = CPH_MIKEY_DHSIGN, .curves = true },
    { .name = "mikey dhhmac", .keying = "mikey", .mode = CPH_MIKEY_DHHMAC },
    { .name = "mikey ecmqv", .keying = "mikey", .mode = CPH_MIKEY_ECMQV },
    { .name = "sdp-dh", .keying = "sdp-dh" },
    { .name = "mikeyv2 null", .keying = "mikeyv2", .mode = CPH_MIKEY_NULL },
    { .name = "mikeyv2 psk", .keying = "mikeyv2", .mode = CPH_MIKEY_PSK },
    { .name = "mikeyv2 rsa", .keying = "mikeyv2", .mode = CPH_MIKEY_RSA, .curves = true },
    { .name = "mikeyv2 rsa-r", .keying = "mikeyv2", .mode = CPH_MIKEY_RSA_R, .curves = true },
    { .name = "mikeyv2 dhsign", .keying = "mikeyv2", .mode = CPH_MIKEY_DHSIGN, .curves = true },
    { .name = "mikeyv2 dhhmac", .keying = "mikeyv2", .mode = CPH_MIKEY_DHHMAC },
    { .name = "mikeyv2-inband psk", .keying = "mikeyv2-inband", .mode = CPH_MIKEY_PSK },
    { .name = "mikeyv2-inband dhsign",
      .keying = "mikeyv2-inband",
      .mode = CPH_MIKEY_DHSIGN,
      .curves = true },
};

/* Each allocation, or so many of them that are spread evenly; where they begin is drawn. */
static void in_want(bool (*way)(size_t at))
{
    struct test_env draw;

    test_env_init(&draw, 5);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n, stride, tried = 0;

        kind = &kinds[i];
        assert_true(way(BY_THEN));
        n = made;
        stride = n / MOST + 1;
        for (size_t at = test_random(&draw) % stride; !way(at); at += stride)
            tried++;
        print_message("%s: %zu of at most %zu\n", kind->name, tried, n);
        assert_true(tried > 0);
    }
}

static void first_keys_come_after_want_of_memory(void **state)
{
    (void)state;
    in_want(first_keys);
}

static void keys_stand_through_want_of_memory(void **state)
{
    (void)state;
    in_want(new_keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_keys_come_after_want_of_memory),
        cmocka_unit_test(keys_stand_through_want_of_memory),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
