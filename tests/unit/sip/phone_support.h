/* Phones in virtual time, and a hand: a peer whose messages the test writes itself. */
#ifndef CPH_TEST_PHONE_SUPPORT_H
#define CPH_TEST_PHONE_SUPPORT_H

#include <stdlib.h>

#include "support.h"

#include "terminal.h"

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"

enum { HEARD = 200, TEXT = 4096 };

/* What a phone's host was told. */
struct ear {
    struct cph_phone_event ev[HEARD];
    size_t n;
    uint32_t call;              /* the last one it heard of */
    struct cph_verdict verdict; /* at its end */
    bool hold_back;             /* do not take a call that comes */
    enum cph_phone_pin pin;
    const struct cph_cert *peer_cert; /* whoever the peer is */
    struct cph_phone_seal seal;       /* and this of it */
};

/* A peer made by hand: what it got last, by method or status. */
struct hand {
    struct lab_node *node;
    struct cph_addr addr;
    char got[TEXT];    /* the last message */
    char invite[TEXT]; /* the last INVITE */
    char final[TEXT];  /* the last final response */
    size_t n_media;    /* datagrams that were no SIP */
    unsigned acks, byes, invites;
    unsigned status; /* of the last response */
};

struct line {
    struct lab_net *net;
    struct cph_env env;
    struct lab_terminal *t[2];
    struct ear ear[2];
    struct hand hand;
    unsigned clear_rtp; /* packets between phones that are plain PCMU */
};

static struct cph_key *phone_key[2];
static struct cph_cert *phone_cert[2];

/* ---- phones ---------------------------------------------------------------------------------- */

static void on_phone_event(void *ctx, struct lab_terminal *t, const struct cph_phone_event *ev,
                           cph_time now)
{
    struct line *l = ctx;
    struct ear *e = &l->ear[t == l->t[1]];
    struct cph_phone *p = lab_terminal_phone(t);
    struct cph_phone_status st;

    if (e->n < HEARD)
        e->ev[e->n++] = *ev;
    if (ev->call)
        e->call = ev->call;
    if (ev->kind == CPH_PHONE_INCOMING && !e->hold_back)
        (void)!cph_phone_accept(p, ev->call, now);
    if (ev->kind == CPH_PHONE_ENDED && cph_phone_status(p, ev->call, now, &st) == CPH_OK)
        e->verdict = st.verdict;
}

static enum cph_phone_pin on_phone_pin(void *ctx, struct lab_terminal *t, struct cph_span uri,
                                       struct cph_span sha256)
{
    struct line *l = ctx;

    (void)uri, (void)sha256;
    return l->ear[t == l->t[1]].pin;
}

static const struct cph_cert *on_phone_cert(void *ctx, struct lab_terminal *t, struct cph_span uri)
{
    struct line *l = ctx;

    (void)uri;
    return l->ear[t == l->t[1]].peer_cert;
}

static struct cph_phone_seal on_phone_seal(void *ctx, struct lab_terminal *t, struct cph_span uri)
{
    struct line *l = ctx;

    (void)uri;
    return l->ear[t == l->t[1]].seal;
}

static const struct lab_terminal_ops phone_ops = { .event = on_phone_event,
                                                   .pin = on_phone_pin,
                                                   .peer_cert = on_phone_cert,
                                                   .peer_seal = on_phone_seal };

/* What a test may set of a phone beside its account. */
struct phone_extra {
    const struct cph_phone_account *account;
    unsigned n_accounts;
    const struct cph_phone_caller *caller;
    unsigned n_callers;
    const struct cph_phone_zrtp *zrtp;
    struct cph_mikey *mikey;
    const struct cph_phone_smime *smime;
    bool ekt;
};

static void phone_add(struct line *l, unsigned i, const struct phone_extra *x)
{
    struct cph_sip_ua_cfg sip = { .env = &l->env, .n_listeners = 1 };
    static const char *const codec[] = { "PCMU", NULL };
    struct lab_terminal_config cfg = { .ip = i ? "10.0.0.2" : "10.0.0.1",
                                       .ops = &phone_ops,
                                       .ctx = l };

    sip.listener[0] = (struct cph_sip_listener){ .proto = CPH_SIP_UDP };
    sip.listener[0].addr.port = 5060;
    cfg.phone = (struct cph_phone_config){ .env = &l->env,
                                           .sip = &sip,
                                           .key = phone_key[i],
                                           .cert = phone_cert[i],
                                           .account = x->account,
                                           .n_accounts = x->n_accounts,
                                           .caller = x->caller,
                                           .n_callers = x->n_callers,
                                           .zrtp = x->zrtp,
                                           .mikey = x->mikey,
                                           .smime = x->smime,
                                           .ekt = x->ekt,
                                           .codecs = codec,
                                           .rtcp_mux = true };
    assert_ok(lab_terminal_new(l->net, &cfg, &l->t[i]));
}

static void line_open(struct line *l, uint64_t seed)
{
    struct lab_link link = { .delay = CPH_MS(5) };

    memset(l, 0, sizeof *l);
    assert_ok(lab_net_new(seed, link, &l->net));
    lab_env(l->net, &l->env);
}

__attribute__((unused)) static void phone_plain(struct line *l, unsigned i, const char *user,
                                                enum cph_security media, const char *keying)
{
    struct cph_phone_account a = { .name = "", .user = user };
    struct phone_extra x = { .account = &a, .n_accounts = 1 };

    a.policy.media = media;
    a.policy.keying[0] = keying;
    a.policy.keying_n = keying ? 1 : 0;
    phone_add(l, i, &x);
}

static void line_close(struct line *l)
{
    for (unsigned i = 0; i < 2; i++)
        lab_terminal_free(l->t[i]);
    lab_net_free(l->net);
}

__attribute__((unused)) static void run(struct line *l, unsigned ms)
{
    assert_ok(lab_run(l->net, lab_now(l->net) + CPH_MS(ms)));
}

__attribute__((unused)) static void dial(struct line *l, unsigned i, const char *to)
{
    struct cph_phone_dial d = { .to = to };

    assert_ok(cph_phone_dial(lab_terminal_phone(l->t[i]), &d, lab_now(l->net), &l->ear[i].call));
    lab_terminal_pump(l->t[i]);
}

__attribute__((unused)) static const struct cph_phone_event *heard(const struct line *l, unsigned i,
                                                                   enum cph_phone_event_kind kind)
{
    for (size_t k = l->ear[i].n; k-- > 0;)
        if (l->ear[i].ev[k].kind == kind)
            return &l->ear[i].ev[k];
    return NULL;
}

__attribute__((unused)) static struct cph_phone_status status(struct line *l, unsigned i)
{
    struct cph_phone_status st;

    assert_ok(cph_phone_status(lab_terminal_phone(l->t[i]), l->ear[i].call, lab_now(l->net), &st));
    return st;
}

__attribute__((unused)) static void hangup(struct line *l, unsigned i)
{
    assert_ok(cph_phone_hangup(lab_terminal_phone(l->t[i]), l->ear[i].call, lab_now(l->net)));
    lab_terminal_pump(l->t[i]);
    run(l, 500);
}

/* ---- the hand -------------------------------------------------------------------------------- */

static void on_hand(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                    struct cph_span bytes, cph_time now)
{
    struct hand *h = ctx;

    (void)local, (void)from, (void)now;
    if (local->port != 5060 || bytes.n >= TEXT) {
        h->n_media++;
        return;
    }
    memcpy(h->got, bytes.p, bytes.n);
    h->got[bytes.n] = '\0';
    if (cph_span_starts(bytes, "INVITE ")) {
        memcpy(h->invite, h->got, bytes.n + 1);
        h->invites++;
    } else if (cph_span_starts(bytes, "ACK ")) {
        h->acks++;
    } else if (cph_span_starts(bytes, "BYE ")) {
        h->byes++;
    } else if (cph_span_starts(bytes, "SIP/2.0 ")) {
        if (h->got[8] != '1') { /* 100 may come after it */
            h->status = (unsigned)strtoul(h->got + 8, NULL, 10);
            memcpy(h->final, h->got, bytes.n + 1);
        }
    }
}

static const struct lab_node_ops hand_ops = { .datagram = on_hand };

__attribute__((unused)) static void hand_open(struct line *l)
{
    struct hand *h = &l->hand;
    struct cph_addr media;

    assert_ok(cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.9"), &h->addr));
    h->addr.port = 5060;
    assert_ok(lab_node_new(l->net, &hand_ops, h, &h->node));
    assert_ok(lab_bind(h->node, &h->addr));
    media = h->addr;
    media.port = 30000;
    assert_ok(lab_bind(h->node, &media));
}

__attribute__((unused)) static void hand_says(struct line *l, const char *text)
{
    struct cph_addr to = l->hand.addr;

    assert_ok(cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.1"), &to));
    to.port = 5060;
    assert_ok(lab_send(l->hand.node, &l->hand.addr, &to, cph_span_of(text)));
    run(l, 50);
}

/* A whole header line of a message, with its CRLF; empty if it is not there. */
__attribute__((unused)) static int header(const char *msg, const char *name, char *out, size_t cap)
{
    const char *at = strstr(msg, name), *end = at ? strstr(at, "\r\n") : NULL;

    return snprintf(out, cap, "%.*s", at ? (int)(end + 2 - at) : 0, at ? at : "");
}

/* SDP of the hand: its profile and the lines that bring keys. */
__attribute__((unused)) static void hand_sdp(char *out, size_t cap, const char *profile,
                                             const char *keys)
{
    snprintf(out, cap,
             "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
             "m=audio 30000 %s 0\r\na=rtpmap:0 PCMU/8000\r\n%s",
             profile, keys);
}

/* Answer the last INVITE. status: number and phrase; lines: further headers; sdp: or NULL. */
__attribute__((unused)) static void hand_responds(struct line *l, const char *status,
                                                  const char *tag, const char *lines,
                                                  const char *sdp)
{
    char via[512], from[256], to[256], id[256], cseq[64], all[TEXT];

    header(l->hand.invite, "Via: ", via, sizeof via);
    header(l->hand.invite, "From: ", from, sizeof from);
    header(l->hand.invite, "To: ", to, sizeof to);
    header(l->hand.invite, "Call-ID: ", id, sizeof id);
    header(l->hand.invite, "CSeq: ", cseq, sizeof cseq);
    to[strlen(to) - 2] = '\0';
    snprintf(all, sizeof all, "SIP/2.0 %s\r\n%s%s%s%s%s\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s",
             status, via, from, to,
             strstr(to, ";tag=") ? "" : ";tag=", strstr(to, ";tag=") ? "" : tag, id, cseq, lines,
             sdp ? "Content-Type: application/sdp\r\n" : "", sdp ? strlen(sdp) : 0, sdp ? sdp : "");
    hand_says(l, all);
}

__attribute__((unused)) static void hand_answers(struct line *l, unsigned status, const char *tag,
                                                 const char *sdp)
{
    char text[16];

    snprintf(text, sizeof text, "%u X", status);
    hand_responds(l, text, tag, "Contact: <sip:hand@10.0.0.9:5060>\r\n", sdp);
}

#define HAND_KEY_A  "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define HAND_KEY_B  "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
#define CRYPTO(key) "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" key "\r\n"

/* ---- the devices of the phones --------------------------------------------------------------- */

static int devices_make(void **state)
{
    static struct test_env te;

    (void)state;
    test_env_init(&te, 5);
    for (unsigned i = 0; i < 2; i++) {
        const struct cph_cert_spec spec = { .cn = "phone",
                                            .not_before = te.wall - 86400,
                                            .not_after = te.wall + 3650 * 86400LL };

        if (cph_key_generate(&te.env, CPH_KEY_EC_P256, &phone_key[i]) != CPH_OK ||
            cph_cert_self_signed(&te.env, phone_key[i], &spec, &phone_cert[i]) != CPH_OK)
            return -1;
    }
    return 0;
}

static int devices_free(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cph_cert_free(phone_cert[i]);
        cph_key_free(phone_key[i]);
    }
    return 0;
}

#endif
