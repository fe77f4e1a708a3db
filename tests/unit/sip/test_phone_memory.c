/* After a call, nothing of its keys is left in the memory of the process, though the phones live
 * on. */
#include <stdlib.h>

#include "support.h"

#include "../keying/nego_int.h"
#include "../session/engine_int.h"
#include "memory.h"
#include "memory_mikey.h"
#include "memory_zrtp.h"
#include "phone_int.h"

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"

enum { QUEUE = 64, PACKET = 4096, KEYS = 256, STEP_MS = 10 };

/* Datagrams under way: static, and wiped when they have arrived. */
struct datagram {
    struct cph_addr from, to;
    uint8_t b[PACKET];
    size_t n;
};

struct node {
    struct cph_phone *phone;
    struct cph_sip_ua *ua;
    struct cph_addr sip, media[2];
    uint32_t call;
    bool answers, secured, ended;
};

/* What must not be found again, each byte changed so that this is no find. */
struct key {
    uint8_t masked[TEST_NEEDLE];
    size_t n;
    const char *what;
};

static struct datagram queue[QUEUE];
static size_t queue_n;
static struct node node[2];
static struct key seen[KEYS];
static size_t seen_n;
static cph_time now;
static const char *draws; /* of 32 bytes: what they are, if they are to be noted */

static void remember(const char *what, const uint8_t *p, size_t n)
{
    struct key *k = &seen[seen_n];

    assert_true(seen_n < KEYS && n <= sizeof k->masked && n >= 16);
    test_mask(k->masked, p, n);
    k->n = n;
    k->what = what;
    seen_n++;
}

static struct cph_key *key[2];
static struct cph_cert *cert[2];
static struct cph_mikey *mikey[2];
static struct test_env te;
static struct cph_env env; /* te's, but that what is drawn is noted */

static cph_err draw(void *ctx, void *buf, size_t n)
{
    CPH_TRY(te.env.random(ctx, buf, n));
    if (draws && n == 32 && seen_n < KEYS)
        remember(draws, buf, n);
    return CPH_OK;
}

/* ---- the phones' world ----------------------------------------------------------------------- */

static struct zrtp *zrtp_of(struct cph_phone *p);
static void look_at_run(struct cph_phone *p);
static struct cph_secret private_value[2]; /* of ZRTP, masked */
static struct masked_store kept[2];

/* Ways out of a call that never stood, or not for long. */
enum way {
    WAY_REFUSED,
    WAY_CANCELLED,
    WAY_NOBODY,   /* nothing arrives */
    WAY_NO_MEDIA, /* only signalling does */
    WAY_CUT,      /* the phones go in the middle of it */
    WAYS
};

static enum way way = WAYS; /* a call that stands */

static void put(const struct cph_addr *from, const struct cph_addr *to, struct cph_span bytes)
{
    struct datagram *d = &queue[queue_n++];

    assert_true(queue_n <= QUEUE && bytes.n <= PACKET);
    d->from = *from;
    d->to = *to;
    memcpy(d->b, bytes.p, d->n = bytes.n);
}

static cph_err media_open(void *ctx, uint32_t call, const struct cph_addr *near,
                          struct cph_addr local[2])
{
    struct node *n = ctx;

    (void)near;
    n->call = call;
    memcpy(local, n->media, sizeof n->media);
    return CPH_OK;
}

static void media_send(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                       struct cph_span packet)
{
    (void)call;
    if (queue_n < QUEUE)
        put(&((struct node *)ctx)->media[component], to, packet);
}

static void media_close(void *ctx, uint32_t call)
{
    (void)ctx, (void)call;
}

/* EKT=AESKW_256|base64|spi: the key was drawn here, so its bytes are noted already. */
static void look_at_set(struct cph_span bytes)
{
    const uint8_t *at = memmem(bytes.p, bytes.n, "EKT=AESKW_256|", 14);

    if (at && seen_n < KEYS)
        remember("an EKT key as it stood in SDP", at + 14, 44);
}

static void look_at_sdp(struct cph_span bytes)
{
    const uint8_t *at = bytes.p, *end = bytes.p + bytes.n;

    while ((at = memmem(at, (size_t)(end - at), "inline:", 7)) != NULL) {
        uint8_t raw[64];
        size_t n = 0;

        at += 7;
        while (at + n < end && at[n] > ' ' && at[n] != '|')
            n++;
        if (seen_n + 2 > KEYS)
            return;
        remember("a key as it stood in SDP", at, n > 64 ? 64 : n);
        assert_ok(cph_unbase64((struct cph_span){ at, n }, true, raw, sizeof raw, &n));
        remember("a key of SDES", raw, 16);
        cph_wipe(raw, sizeof raw);
    }
}

static void deliver(void)
{
    for (size_t i = 0; i < queue_n; i++) {
        struct datagram *d = &queue[i];
        bool lost = way == WAY_NOBODY || (way == WAY_NO_MEDIA && d->to.port != 5060);

        for (unsigned k = 0; k < 2 && !lost; k++) {
            if (cph_addr_eq(&d->to, &node[k].sip))
                cph_sip_ua_datagram(node[k].ua, 0, &d->from, (struct cph_span){ d->b, d->n }, now);
            for (unsigned c = 0; c < 2; c++)
                if (cph_addr_eq(&d->to, &node[k].media[c]))
                    cph_phone_media(node[k].phone, node[k].call, c, &d->from, d->b, d->n, now);
        }
        cph_wipe(d, sizeof *d);
    }
    queue_n = 0;
}

static void turn(struct node *n)
{
    struct cph_phone_event ev;
    struct cph_sip_action a;

    cph_phone_turn(n->phone, now);
    while (cph_phone_event(n->phone, &ev) == CPH_OK) {
        if (ev.kind == CPH_PHONE_INCOMING && way == WAY_REFUSED)
            assert_ok(cph_phone_reject(n->phone, ev.call, 486, now));
        else if (ev.kind == CPH_PHONE_INCOMING && way == WAY_CANCELLED)
            assert_ok(cph_phone_ring(n->phone, ev.call, now));
        else if (ev.kind == CPH_PHONE_INCOMING)
            assert_ok(cph_phone_accept(n->phone, ev.call, now));
        n->secured |= ev.kind == CPH_PHONE_SECURED;
        n->ended |= ev.kind == CPH_PHONE_ENDED;
    }
    while (cph_sip_ua_pull(n->ua, &a) == CPH_OK)
        if (a.what == CPH_SIP_DO_SEND) {
            look_at_set(a.bytes);
            look_at_sdp(a.bytes);
            put(&n->sip, &a.addr, a.bytes);
        }
}

static void run(unsigned ms)
{
    for (unsigned t = 0; t < ms; t += STEP_MS) {
        now += CPH_MS(STEP_MS);
        deliver();
        for (unsigned k = 0; k < 2; k++) {
            const struct zrtp *z;

            turn(&node[k]);
            z = zrtp_of(node[k].phone);
            if (z)
                look_at_private(z, &private_value[k]);
            look_at_run(node[k].phone);
        }
    }
}

static struct zrtp *zrtp_of(struct cph_phone *p)
{
    const struct engine_branch *b = p->calls && p->calls->session ? engine_branch(p->calls->session)
                                                                  : NULL;
    struct cph_keying *k = b && b->line[0].nego ? cph_nego_instance(b->line[0].nego) : NULL;
    struct cph_zrtp_info info;

    return k && cph_zrtp_info(k, &info) == CPH_OK ? (struct zrtp *)k : NULL;
}

/* MIKEYv2 in either way: the second round trip has a private value while it waits. */
static void look_at_run(struct cph_phone *p)
{
    const struct engine_branch *b = p->calls && p->calls->session ? engine_branch(p->calls->session)
                                                                  : NULL;
    struct cph_keying *k = b && b->line[0].nego ? cph_nego_instance(b->line[0].nego) : NULL;

    if (k && strncmp(k->method->name, "mikeyv2", 7) == 0)
        look_at_proof((const struct v2 *)k, remember);
}

static struct mikey *mikey_of(struct cph_phone *p)
{
    const struct engine_branch *b = engine_branch(p->calls->session);
    struct cph_keying *k = cph_nego_instance(b->line[0].nego);
    struct cph_mikey_info info;

    assert_ok(cph_mikey_info(k, &info));
    return (struct mikey *)k;
}

/* The instance whose offer is out: of the call, or before there is an answer. */
static void look_at_private_value(struct cph_phone *p)
{
    struct cph_session *s = p->calls->session;
    const struct cph_nego *n = s->base[0] ? s->base[0] : engine_branch(s)->line[0].nego;

    if (n->slot[0].method == &cph_keying_mikey)
        look_at_offer((const struct mikey *)n->slot[0].k, remember);
}

/* The master keys as negotiation gives them to SRTP. */
static void look_at_keys(struct cph_phone *p)
{
    const struct engine_branch *b = engine_branch(p->calls->session);

    assert_non_null(b);
    for (int dir = 0; dir < 2; dir++) {
        CPH_SRTP_POLICY_SCOPED policy = { 0 };

        assert_ok(
            cph_nego_keys(b->line[0].nego, CPH_KEYING_RTP, (enum cph_keying_dir)dir, 0, &policy));
        remember("a master key", policy.master.key.b, policy.master.key.n);
    }
}

/* ---- looking for them ------------------------------------------------------------------------ */

static unsigned find(const char *only, bool tell)
{
    unsigned found = 0;

    for (size_t k = 0; k < seen_n; k++)
        if (!only || strcmp(seen[k].what, only) == 0)
            found += test_in_memory(seen[k].masked, seen[k].n, tell ? seen[k].what : NULL);
    return found;
}

static unsigned find_all(bool tell)
{
    return find(NULL, tell);
}

static void node_open(unsigned i, const char *keying, bool ekt)
{
    static const char *const codec[] = { "PCMU", NULL }; /* it has to fit into a datagram */
    static struct cph_phone_host host[2];
    struct cph_phone_account account = { .name = "", .user = i ? "bob" : "alice" };
    struct cph_sip_ua_cfg sip = { .env = &env, .path_mtu = PACKET, .n_listeners = 1 };
    struct cph_phone_config cfg = { .env = &env,
                                    .host = &host[i],
                                    .sip = &sip,
                                    .key = key[i],
                                    .cert = cert[i],
                                    .account = &account,
                                    .n_accounts = 1,
                                    .codecs = codec,
                                    .rtcp_mux = i,
                                    .ekt = ekt,
                                    .mikey = mikey[i] };
    struct cph_phone_zrtp zrtp = { .store = &kept[i].store };
    struct node *n = &node[i];

    kept[i].store = (struct cph_zrtp_store){ &kept[i], masked_get, masked_put, NULL };
    memset(zrtp.zid, 'a' + (int)i, sizeof zrtp.zid);
    cfg.zrtp = &zrtp;
    memset(n, 0, sizeof *n);
    host[i] = (struct cph_phone_host){ n,    media_open, media_send, media_close, NULL,
                                       NULL, NULL,       NULL,       NULL,        NULL };
    assert_ok(cph_addr_parse_ip(cph_span_of(i ? "10.0.0.2" : "10.0.0.1"), &n->sip));
    n->media[0] = n->media[1] = n->sip;
    n->sip.port = 5060;
    n->media[0].port = 20000;
    n->media[1].port = 20001;
    sip.listener[0] = (struct cph_sip_listener){ .proto = CPH_SIP_UDP, .addr = n->sip };
    account.policy.keying[0] = keying;
    account.policy.keying_n = 1;
    assert_ok(cph_phone_new(&cfg, now, &n->phone));
    n->ua = cph_phone_ua(n->phone);
}

/* The keys are there, so what made them is not needed. */
static void no_private_value_is_left(unsigned want)
{
    unsigned seen_of_them = 0;

    for (size_t i = 0; i < seen_n; i++)
        seen_of_them += strcmp(seen[i].what, PRIVATE_VALUE) == 0;
    assert_int_equal(seen_of_them, want);
    assert_int_equal(find(PRIVATE_VALUE, true), 0);
}

/* The calls are over: of MIKEY only the secret is left, which belongs to the material. */
static void look_at_rest(void)
{
    bool has = strcmp(seen[0].what, PSK) == 0;
    unsigned left = find(PSK, false);

    assert_int_equal(left > 0, has);
    assert_int_equal(find_all(!has), left);
}

/* What only the mechanism knows, while the call stands. */
static void look_inside(const char *keying)
{
    for (unsigned i = 0; i < 2; i++) {
        if (strcmp(keying, "zrtp") == 0)
            look_at_zrtp(zrtp_of(node[i].phone), &private_value[i], remember);
        if (strcmp(keying, "mikey") == 0)
            look_at_mikey(mikey_of(node[i].phone), remember);
    }
}

static void nothing_of_the_keys_outlives(const char *keying, bool ekt)
{
#ifdef TEST_SANITIZED
    skip(); /* freed memory is kept, and the shadow is larger than the machine */
#endif
    struct cph_phone_dial d = { .to = "sip:bob@10.0.0.2:5060" };
    const bool sdpdh = strcmp(keying, "sdp-dh") == 0;
    const bool inside = strncmp(keying, "mikeyv2", 7) == 0; /* where the second round trip is */
    unsigned told = 0, dh = mikey[0] && mikey[0]->cfg.mode == CPH_MIKEY_DHSIGN ? 1 : sdpdh ? 3 : 0;

    draws = NULL;
    if (!mikey[0])
        seen_n = 0;
    for (unsigned i = 0; i < 2; i++)
        node_open(i, keying, ekt);
    draws = ekt        ? "a key of EKT"
            : sdpdh    ? PRIVATE_VALUE
            : mikey[0] ? "a key that MIKEY drew"
                       : NULL;
    assert_ok(cph_phone_dial(node[0].phone, &d, now, &node[0].call));
    look_at_private_value(node[0].phone);
    assert_int_equal(find(PRIVATE_VALUE, false) > 0, dh > 0 && !inside);
    run(2000);
    assert_true(node[0].secured && node[1].secured);
    no_private_value_is_left(dh);
    for (unsigned i = 0; i < 2; i++)
        look_at_keys(node[i].phone);
    look_inside(keying);
    assert_true(find_all(false) > 0); /* they are there, and we would see them */
    if (strcmp(keying, "zrtp") ==
        0) { /* RFC 6189 4.6.1 MUST: s0, and what made it, is gone already */
        assert_true(find("ZRTPSess", false) > 0 && find("a MAC key", false) > 0);
        assert_int_equal(find("a private value", true), 0);
        assert_int_equal(find("the result of Diffie-Hellman", true), 0);
        assert_int_equal(find("s0", true), 0);
    }
    for (size_t i = 0; i < seen_n; i++)
        told += strcmp(seen[i].what, "a key of EKT") == 0;
    assert_true(told >= (ekt ? 3 : 0)); /* the set's, and one of each side */
    if (ekt) {
        assert_ok(cph_phone_rekey_media(node[1].phone, node[1].call, now));
        run(1000);
    }
    assert_ok(cph_phone_rekey(node[0].phone, node[0].call, now));
    look_at_private_value(node[0].phone);
    run(1000);
    no_private_value_is_left(2 * dh);
    for (unsigned i = 0; i < 2; i++)
        look_at_keys(node[i].phone);
    if (mikey[0])
        look_inside(keying);
    draws = NULL;
    assert_ok(cph_phone_hangup(node[1].phone, node[1].call, now));
    run(80000); /* longer than transactions live */
    assert_true(node[0].ended && node[1].ended);
    assert_int_equal(cph_phone_load(node[0].phone).sessions, 0);
    look_at_rest();
    for (unsigned i = 0; i < 2; i++) {
        cph_phone_free(node[i].phone);
        cph_mikey_free(mikey[i]);
        mikey[i] = NULL;
    }
    assert_int_equal(find_all(true), 0);
}

static void no_key_of_sdes_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_the_keys_outlives("sdes", false);
}

static void no_key_of_dtls_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_the_keys_outlives("dtls", false);
}

static void no_key_of_ekt_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_the_keys_outlives("sdes", true);
}

static void no_key_of_zrtp_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_the_keys_outlives("zrtp", false);
    assert_true(kept[0].used && kept[1].used); /* what is to last did */
}

static void nothing_of_mikey_outlives(const char *keying, enum cph_mikey_mode mode)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    seen_n = 0;
    for (unsigned i = 0; i < 2; i++)
        mikey[i] = mikey_material(&env, i, mode, key[i], cert[i], cert[!i], remember);
    nothing_of_the_keys_outlives(keying, false);
}

static void no_key_of_mikey_under_a_shared_secret_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_mikey_outlives("mikey", CPH_MIKEY_PSK);
}

static void no_key_of_mikey_by_signed_diffie_hellman_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_mikey_outlives("mikey", CPH_MIKEY_DHSIGN);
}

static void no_key_of_mikeyv2_outlives_its_call(void **state)
{
    static const char *const keying[] = { "mikeyv2", "mikeyv2-inband" };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        nothing_of_mikey_outlives(keying[i], CPH_MIKEY_PSK);
        nothing_of_mikey_outlives(keying[i], CPH_MIKEY_DHSIGN);
    }
}

static void no_key_of_sdpdh_outlives_its_call(void **state)
{
    (void)state;
    nothing_of_the_keys_outlives("sdp-dh", false);
}

static void leave_by(enum way out)
{
    static const unsigned first_ms[] = { 500, 500, 40000, 60000, 1000 };

    run(first_ms[out]);
    if (out == WAY_CUT)
        return;
    if (!node[0].ended)
        assert_ok(cph_phone_hangup(node[0].phone, node[0].call, now));
    run(80000);
    assert_true(node[0].ended);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(cph_phone_load(node[i].phone).sessions, 0);
    assert_int_equal(find("a key of SDES", true), 0);
    assert_int_equal(find("a key as it stood in SDP", true), 0);
    assert_int_equal(find("an EKT key as it stood in SDP", true), 0);
}

/* All that was drawn in 32 bytes counts, keys or not, once the phones are gone. */
static void no_key_outlives_a_call_that_never_stood(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    static const char *const keying[] = { "sdes",  "sdes",   "dtls",    "zrtp",          "mikey",
                                          "mikey", "sdp-dh", "mikeyv2", "mikeyv2-inband" };
    struct cph_phone_dial d = { .to = "sip:bob@10.0.0.2:5060" };

    (void)state;
    for (unsigned m = 0; m < sizeof keying / sizeof *keying; m++)
        for (unsigned out = 0; out < WAYS; out++) {
            bool material = strncmp(keying[m], "mikey", 5) == 0;

            way = (enum way)out;
            seen_n = 0;
            draws = NULL;
            for (unsigned i = 0; i < 2 && material; i++)
                mikey[i] = mikey_material(&env, i, m == 5 ? CPH_MIKEY_DHSIGN : CPH_MIKEY_PSK,
                                          key[i], cert[i], cert[!i], remember);
            draws = "something drawn";
            for (unsigned i = 0; i < 2; i++)
                node_open(i, keying[m], m == 1);
            assert_ok(cph_phone_dial(node[0].phone, &d, now, &node[0].call));
            leave_by(way);
            for (unsigned i = 0; i < 2; i++) {
                cph_phone_free(node[i].phone);
                cph_mikey_free(mikey[i]);
                mikey[i] = NULL;
            }
            for (size_t i = 0; i < queue_n; i++)
                cph_wipe(&queue[i], sizeof queue[i]);
            queue_n = 0;
            if (find_all(true) != 0)
                fail_msg("by %s, way %u", keying[m], out);
        }
    way = WAYS;
}

static int begin(void **state)
{
    struct cph_cert_spec spec = { .cn = "phone" };

    (void)state;
    test_env_init(&te, 3);
    env = te.env;
    env.random = draw;
    now = CPH_SEC(1);
    spec.not_before = te.wall - 86400;
    spec.not_after = te.wall + 3650 * 86400LL;
    for (unsigned i = 0; i < 2; i++)
        if (cph_key_generate(&te.env, CPH_KEY_EC_P256, &key[i]) != CPH_OK ||
            cph_cert_self_signed(&te.env, key[i], &spec, &cert[i]) != CPH_OK)
            return -1;
    return 0;
}

static int over(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cph_cert_free(cert[i]);
        cph_key_free(key[i]);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_of_sdes_outlives_its_call),
        cmocka_unit_test(no_key_of_dtls_outlives_its_call),
        cmocka_unit_test(no_key_of_zrtp_outlives_its_call),
        cmocka_unit_test(no_key_of_ekt_outlives_its_call),
        cmocka_unit_test(no_key_of_mikey_under_a_shared_secret_outlives_its_call),
        cmocka_unit_test(no_key_of_mikey_by_signed_diffie_hellman_outlives_its_call),
        cmocka_unit_test(no_key_of_mikeyv2_outlives_its_call),
        cmocka_unit_test(no_key_of_sdpdh_outlives_its_call),
        cmocka_unit_test(no_key_outlives_a_call_that_never_stood),
    };

    return cmocka_run_group_tests(tests, begin, over);
}
