/* After a call, nothing of its keys is left in the memory of the process, though the phones live
 * on; and no step of a call leaves any on the stack below it. */
#include <stdlib.h>

#include "support.h"

#include "memory_secrets.h"

#include "ciphony/crypto_key.h"
#include "ciphony/keying_mikey.h"
#include "ciphony/sip_phone.h"

enum { QUEUE = 64, PACKET = 16384, STEP_MS = 10, IDLE_MS = 200 };

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

static struct datagram queue[QUEUE];
static size_t queue_n;
static struct node node[2];
static cph_time now;

/* One way to come to keys. */
struct kind {
    const char *name, *keying;
    enum cph_mikey_mode mode; /* of MIKEY and MIKEYv2 */
    bool ekt, smime, portable;
    bool dh;   /* there are private values */
    bool once; /* and new keys come without new ones */
    unsigned resume_s;
    unsigned calls; /* one after the other; 0: one */
};

enum { EC, RSA, KEYS };
static struct cph_key *key[2][KEYS];
static struct cph_cert *cert[2][KEYS];
static struct cph_mikey *mikey[2];
static struct test_env te;
static struct cph_env env; /* te's, but that what is drawn is noted */
static const char *draws;  /* what they are, if they are to be noted */

static cph_err draw(void *ctx, void *buf, size_t n)
{
    CPH_TRY(te.env.random(ctx, buf, n));
    if (draws && n > 16) /* 16 bytes spread the places in a map */
        note(draws, buf, n);
    return CPH_OK;
}

/* ---- the phones' world ----------------------------------------------------------------------- */

/* What ZRTP retains lasts; each byte is changed, so that it is no find. */
struct masked_store {
    struct cph_zrtp_store store;
    bool used;
    uint8_t zid[CPH_ZRTP_ZID];
    uint8_t b[sizeof(struct cph_zrtp_retained)];
};

static struct masked_store kept[2];

static cph_err masked_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    const struct masked_store *m = ctx;

    if (!m->used || memcmp(m->zid, zid, CPH_ZRTP_ZID) != 0)
        return CPH_E_NOTFOUND;
    for (size_t i = 0; i < sizeof m->b; i++)
        ((uint8_t *)out)[i] = m->b[i] ^ MASK;
    return CPH_OK;
}

static cph_err masked_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                          const struct cph_zrtp_retained *in)
{
    struct masked_store *m = ctx;

    m->used = true;
    memcpy(m->zid, zid, CPH_ZRTP_ZID);
    for (size_t i = 0; i < sizeof m->b; i++)
        m->b[i] = ((const uint8_t *)in)[i] ^ MASK;
    return CPH_OK;
}

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

static void deliver(void)
{
    for (size_t i = 0; i < queue_n; i++) {
        struct datagram *d = &queue[i];
        bool lost = way == WAY_NOBODY || (way == WAY_NO_MEDIA && d->to.port != 5060);

        for (unsigned k = 0; k < 2 && !lost; k++) {
            struct node *n = &node[k];

            if (cph_addr_eq(&d->to, &n->sip))
                ON_STACK(
                    cph_sip_ua_datagram(n->ua, 0, &d->from, (struct cph_span){ d->b, d->n }, now));
            for (unsigned c = 0; c < 2; c++)
                if (cph_addr_eq(&d->to, &n->media[c]))
                    ON_STACK(cph_phone_media(n->phone, n->call, c, &d->from, d->b, d->n, now));
        }
        explicit_bzero(d, sizeof *d);
    }
    queue_n = 0;
}

static void answer(struct node *n, uint32_t call)
{
    if (way == WAY_REFUSED)
        assert_ok(cph_phone_reject(n->phone, call, 486, now));
    else if (way == WAY_CANCELLED)
        assert_ok(cph_phone_ring(n->phone, call, now));
    else
        ON_STACK(assert_ok(cph_phone_accept(n->phone, call, now)));
}

static void turn(struct node *n)
{
    struct cph_phone_event ev;
    struct cph_sip_action a;

    ON_STACK(cph_phone_turn(n->phone, now));
    while (cph_phone_event(n->phone, &ev) == CPH_OK) {
        if (ev.kind == CPH_PHONE_INCOMING)
            answer(n, ev.call);
        n->secured |= ev.kind == CPH_PHONE_SECURED;
        n->ended |= ev.kind == CPH_PHONE_ENDED;
    }
    while (cph_sip_ua_pull(n->ua, &a) == CPH_OK)
        if (a.what == CPH_SIP_DO_SEND)
            put(&n->sip, &a.addr, a.bytes);
}

static void run(unsigned ms)
{
    unsigned step = ms > 10000 ? IDLE_MS : STEP_MS;

    for (unsigned t = 0; t < ms; t += step) {
        now += CPH_MS(step);
        deliver();
        for (unsigned k = 0; k < 2; k++)
            turn(&node[k]);
    }
}

static const struct cph_cert *peer_cert(void *ctx, struct cph_span peer_uri)
{
    (void)peer_uri;
    return cert[ctx == &node[0]][EC];
}

static void node_open(unsigned i, const struct kind *kind)
{
    static const char *const codec[] = { "PCMU", NULL };
    static struct cph_phone_host host[2];
    static const struct cph_phone_smime smime;
    struct cph_phone_account account = { .name = "", .user = i ? "bob" : "alice" };
    struct cph_sip_ua_cfg sip = { .env = &env, .path_mtu = PACKET, .n_listeners = 1 };
    struct cph_phone_config cfg = { .env = &env,
                                    .host = &host[i],
                                    .sip = &sip,
                                    .key = key[i][EC],
                                    .cert = cert[i][EC],
                                    .account = &account,
                                    .n_accounts = 1,
                                    .codecs = codec,
                                    .rtcp_mux = i,
                                    .ekt = kind->ekt,
                                    .smime = kind->smime ? &smime : NULL,
                                    .resume_s = kind->resume_s,
                                    .portable_crypto = kind->portable,
                                    .mikey = mikey[i] };
    struct cph_phone_zrtp zrtp = { .store = &kept[i].store };
    struct node *n = &node[i];

    kept[i].store = (struct cph_zrtp_store){ &kept[i], masked_get, masked_put, NULL };
    memset(zrtp.zid, 'a' + (int)i, sizeof zrtp.zid);
    cfg.zrtp = &zrtp;
    memset(n, 0, sizeof *n);
    host[i] = (struct cph_phone_host){ .ctx = n,
                                       .media_open = media_open,
                                       .media_send = media_send,
                                       .media_close = media_close,
                                       .peer_cert = peer_cert };
    assert_ok(cph_addr_parse_ip(cph_span_of(i ? "10.0.0.2" : "10.0.0.1"), &n->sip));
    n->media[0] = n->media[1] = n->sip;
    n->sip.port = 5060;
    n->media[0].port = 20000;
    n->media[1].port = 20001;
    sip.listener[0] = (struct cph_sip_listener){ .proto = CPH_SIP_UDP, .addr = n->sip };
    account.policy.keying[0] = kind->keying;
    account.policy.keying_n = 1;
    account.policy.smime = kind->smime;
    assert_ok(cph_phone_new(&cfg, now, &n->phone));
    n->ua = cph_phone_ua(n->phone);
}

/* Each side's material for the other; the same secret for both, which is nobody's constant. */
static void mikey_material(unsigned i, enum cph_mikey_mode mode)
{
    static const char *const id[] = { "sip:alice@10.0.0.1:5060", "sip:bob@10.0.0.2:5060" };
    unsigned pair = mode == CPH_MIKEY_RSA || mode == CPH_MIKEY_RSA_R ? RSA : EC;
    CPH_SECRET_SCOPED psk = { .n = 32 };
    struct cph_mikey_cfg cfg = {
        .env = &env, .mode = mode, .accept = 1U << mode, .id = id[i], .peer_id = id[!i]
    };

    for (size_t k = 0; k < psk.n; k++)
        psk.b[k] = (uint8_t)(37 * k + 11);
    note(LASTING, psk.b, psk.n);
    if (mode == CPH_MIKEY_PSK || mode == CPH_MIKEY_DHHMAC) {
        cfg.psk = &psk;
    } else if (mode != CPH_MIKEY_NULL) {
        cfg.key = key[i][pair];
        cfg.cert = cert[i][pair];
        cfg.peer_cert = cert[!i][pair];
    }
    assert_ok(cph_mikey_new(&cfg, &mikey[i]));
}

static void both_open(const struct kind *kind)
{
    secrets_forget();
    memset(kept, 0, sizeof kept);
    stack_finds = 0;
    noting = true;
    draws = LASTING; /* of the user agent: for its nonces and tokens */
    for (unsigned i = 0; i < 2; i++) {
        if (strncmp(kind->keying, "mikey", 5) == 0)
            mikey_material(i, kind->mode);
        node_open(i, kind);
    }
    draws = DRAWN;
}

static void both_close(void)
{
    for (unsigned i = 0; i < 2; i++) {
        cph_phone_free(node[i].phone);
        cph_mikey_free(mikey[i]);
        mikey[i] = NULL;
    }
    for (size_t i = 0; i < queue_n; i++)
        explicit_bzero(&queue[i], sizeof queue[i]);
    queue_n = 0;
    draws = NULL;
    noting = false;
}

/* ---- would we see it? ------------------------------------------------------------------------ */

static __attribute__((noinline)) void leave(const uint8_t *p, size_t n)
{
    volatile uint8_t left[1024]; /* the frame of who looks lies over its end */

    for (size_t i = 0; i < n; i++)
        left[i] = p[i] ^ MASK;
    (void)left[0];
}

static void a_secret_that_is_left_anywhere_is_found(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    static uint8_t data[64];
    uint8_t masked[32], *heap = malloc(256);

    (void)state;
    assert_non_null(heap);
    __asm__ volatile("" ::"r"(data), "r"(heap) : "memory"); /* they are looked at from elsewhere */
    secrets_forget();
    noting = true;
    for (size_t i = 0; i < sizeof masked; i++) {
        masked[i] = (uint8_t)(91 * i + 17);
        data[i] = masked[i] ^ MASK;
    }
    note("ours", data, sizeof masked);
    assert_int_equal(find_secrets("ours", false), 1);
    assert_int_equal(find_secrets(NOT_LASTING, false), 1);
    assert_int_equal(find_secrets(LASTING, false), 0);
    data[31] ^= 1; /* one bit is another secret */
    assert_int_equal(find_secrets(NULL, false), 0);
    assert_non_null(heap);
    for (size_t i = 0; i < sizeof masked; i++) /* as a CPU loads words of a big-endian number */
        heap[100 + i] = masked[i / 8 * 8 + 7 - i % 8] ^ MASK;
    assert_int_equal(find_secrets(NULL, false), 1);
    free(heap); /* its beginning is overwritten now, and no more */
    assert_int_equal(find_secrets(NULL, false), 1);
    stack_finds = 0;
    stack_quiet = true;
    ON_STACK((void)0);
    assert_int_equal(stack_finds, 0);
    ON_STACK(leave(masked, sizeof masked));
    assert_int_equal(stack_finds, 1);
    ON_STACK(leave(masked, sizeof masked - 1));
    assert_int_equal(stack_finds, 1);
    stack_quiet = noting = false;
    assert_int_equal(find_secrets(NULL, false), 1);
}

/* ---- calls that stand ------------------------------------------------------------------------ */

/* Keys are there, so what made them is not needed. RFC 6189 4.6.1 MUST: s0 neither */
static unsigned finds_of_what_made_keys(const struct kind *kind)
{
    unsigned finds = find_secrets(PRIVATE_VALUE, true) + find_secrets("s0", true);

    assert_true(find_secrets("a session key of SRTP", false) > 0); /* and we would see them */
    if (strncmp(kind->keying, "mikey", 5) != 0) /* RFC 3830 3.3: its TGK, from which keys come */
        finds += find_secrets(AGREED, true);
    return finds;
}

static unsigned one_call(const struct kind *kind)
{
    struct cph_phone_dial d = { .to = "sip:bob@10.0.0.2:5060" };
    size_t had = noted(PRIVATE_VALUE), first;
    unsigned finds;

    node[0].secured = node[1].secured = node[0].ended = node[1].ended = false;
    ON_STACK(assert_ok(cph_phone_dial(node[0].phone, &d, now, &node[0].call)));
    run(2000);
    assert_true(node[0].secured && node[1].secured);
    first = noted(PRIVATE_VALUE);
    assert_int_equal(first > had, kind->dh);
    finds = finds_of_what_made_keys(kind);
    if (kind->ekt) {
        ON_STACK(assert_ok(cph_phone_rekey_media(node[1].phone, node[1].call, now)));
        run(1000);
    }
    ON_STACK(assert_ok(cph_phone_rekey(node[0].phone, node[0].call, now)));
    run(1000);
    if ((noted(PRIVATE_VALUE) > first) != (kind->dh && !kind->once))
        fail_msg("%s: private values of the new keys", kind->name);
    finds += finds_of_what_made_keys(kind);
    assert_ok(cph_phone_hangup(node[1].phone, node[1].call, now));
    run(80000); /* longer than transactions live */
    assert_true(node[0].ended && node[1].ended);
    assert_int_equal(cph_phone_load(node[0].phone).sessions, 0);
    return finds;
}

/* How often a secret was found where none should be. */
static unsigned finds_after(const struct kind *kind)
{
    unsigned finds = 0;

    both_open(kind);
    for (unsigned i = 0; i < (kind->calls ? kind->calls : 1); i++)
        finds += one_call(kind);
    if (kind->resume_s == 0)
        finds += find_secrets(NOT_LASTING, true);
    both_close();
    return finds + find_secrets(NULL, true) + stack_finds;
}

static void no_key_outlives_its_call(void **state)
{
#ifdef TEST_SANITIZED
    skip(); /* freed memory is kept, and the shadow is larger than the machine */
#endif
    static const struct kind kinds[] = {
        { .name = "sdes", .keying = "sdes" },
        { .name = "sdes, portable", .keying = "sdes", .portable = true },
        { .name = "sdes, sealed", .keying = "sdes", .smime = true },
        { .name = "sdes and ekt", .keying = "sdes", .ekt = true },
        { .name = "dtls", .keying = "dtls" },
        { .name = "dtls, resumed", .keying = "dtls", .resume_s = 3600, .calls = 2 },
        { .name = "zrtp", .keying = "zrtp", .dh = true, .once = true, .calls = 2 },
        { .name = "mikey null", .keying = "mikey", .mode = CPH_MIKEY_NULL },
        { .name = "mikey psk", .keying = "mikey", .mode = CPH_MIKEY_PSK },
        { .name = "mikey rsa", .keying = "mikey", .mode = CPH_MIKEY_RSA },
        { .name = "mikey rsa-r", .keying = "mikey", .mode = CPH_MIKEY_RSA_R },
        { .name = "mikey dhsign", .keying = "mikey", .mode = CPH_MIKEY_DHSIGN, .dh = true },
        { .name = "mikey dhhmac", .keying = "mikey", .mode = CPH_MIKEY_DHHMAC, .dh = true },
        { .name = "mikey ecmqv",
          .keying = "mikey",
          .mode = CPH_MIKEY_ECMQV,
          .dh = true,
          .once = true },
        { .name = "mikey psk and ekt", .keying = "mikey", .mode = CPH_MIKEY_PSK, .ekt = true },
        { .name = "mikey rsa and ekt", .keying = "mikey", .mode = CPH_MIKEY_RSA, .ekt = true },
        { .name = "sdp-dh", .keying = "sdp-dh", .dh = true },
        { .name = "mikeyv2 null", .keying = "mikeyv2", .mode = CPH_MIKEY_NULL },
        { .name = "mikeyv2 psk", .keying = "mikeyv2", .mode = CPH_MIKEY_PSK },
        { .name = "mikeyv2 rsa", .keying = "mikeyv2", .mode = CPH_MIKEY_RSA },
        { .name = "mikeyv2 rsa-r", .keying = "mikeyv2", .mode = CPH_MIKEY_RSA_R },
        { .name = "mikeyv2 dhsign", .keying = "mikeyv2", .mode = CPH_MIKEY_DHSIGN, .dh = true },
        { .name = "mikeyv2 dhhmac", .keying = "mikeyv2", .mode = CPH_MIKEY_DHHMAC, .dh = true },
        { .name = "mikeyv2-inband psk", .keying = "mikeyv2-inband", .mode = CPH_MIKEY_PSK },
        { .name = "mikeyv2-inband rsa", .keying = "mikeyv2-inband", .mode = CPH_MIKEY_RSA },
        { .name = "mikeyv2-inband dhsign",
          .keying = "mikeyv2-inband",
          .mode = CPH_MIKEY_DHSIGN,
          .dh = true },
        { .name = "mikeyv2-inband dhhmac",
          .keying = "mikeyv2-inband",
          .mode = CPH_MIKEY_DHHMAC,
          .dh = true },
    };
    unsigned finds = 0, n;

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        n = finds_after(&kinds[i]);
        if (n > 0)
            print_error("%u finds, by %s\n", n, kinds[i].name);
        finds += n;
        assert_true(strcmp(kinds[i].keying, "zrtp") != 0 || (kept[0].used && kept[1].used));
    }
    assert_int_equal(finds, 0);
}

/* ---- calls that do not ----------------------------------------------------------------------- */

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
}

/* All that was drawn in 16 bytes and more counts, keys or not, once the phones are gone. */
static void no_key_outlives_a_call_that_never_stood(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    static const struct kind kinds[] = {
        { .name = "sdes", .keying = "sdes" },
        { .name = "sdes and ekt", .keying = "sdes", .ekt = true },
        { .name = "sdes, sealed", .keying = "sdes", .smime = true },
        { .name = "dtls", .keying = "dtls" },
        { .name = "zrtp", .keying = "zrtp" },
        { .name = "mikey psk", .keying = "mikey", .mode = CPH_MIKEY_PSK },
        { .name = "mikey rsa-r", .keying = "mikey", .mode = CPH_MIKEY_RSA_R },
        { .name = "mikey dhsign", .keying = "mikey", .mode = CPH_MIKEY_DHSIGN, .dh = true },
        { .name = "sdp-dh", .keying = "sdp-dh", .dh = true },
        { .name = "mikeyv2 psk", .keying = "mikeyv2", .mode = CPH_MIKEY_PSK },
        { .name = "mikeyv2-inband psk", .keying = "mikeyv2-inband", .mode = CPH_MIKEY_PSK },
    };
    struct cph_phone_dial d = { .to = "sip:bob@10.0.0.2:5060" };

    (void)state;
    for (size_t m = 0; m < sizeof kinds / sizeof *kinds; m++)
        for (unsigned out = 0; out < WAYS; out++) {
            way = (enum way)out;
            both_open(&kinds[m]);
            assert_ok(cph_phone_dial(node[0].phone, &d, now, &node[0].call));
            leave_by(way);
            both_close();
            if (find_secrets(NULL, true) != 0 || stack_finds != 0)
                fail_msg("by %s, way %u", kinds[m].name, out);
        }
    way = WAYS;
}

static int begin(void **state)
{
    static const enum cph_key_kind kind[KEYS] = { CPH_KEY_EC_P256, CPH_KEY_RSA };
    struct cph_cert_spec spec = { .cn = "phone" };

    (void)state;
    test_env_init(&te, 3);
    env = te.env;
    env.random = draw;
    now = CPH_SEC(1);
    spec.not_before = te.wall - 86400;
    spec.not_after = te.wall + 3650 * 86400LL;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < KEYS; k++)
            if (cph_key_generate(&te.env, kind[k], &key[i][k]) != CPH_OK ||
                cph_cert_self_signed(&te.env, key[i][k], &spec, &cert[i][k]) != CPH_OK)
                return -1;
    return 0;
}

static int over(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < KEYS; k++) {
            cph_cert_free(cert[i][k]);
            cph_key_free(key[i][k]);
        }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_that_is_left_anywhere_is_found),
        cmocka_unit_test(no_key_outlives_its_call),
        cmocka_unit_test(no_key_outlives_a_call_that_never_stood),
    };

    return cmocka_run_group_tests(tests, begin, over);
}
