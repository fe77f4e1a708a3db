/* Two phones that require keys, and a wire that the input rules: it says what the users wish, and
 * which datagrams are lost, come twice, late, changed, or from nobody. Neither phone ever sends
 * media in clear, ends a call twice, or has a deadline that nothing moves. */
#include "phones.h"

#include "ciphony/keying_mikey.h"

enum { WIRE = 48, KEPT = 8, DATAGRAM = 4096, STEPS = 400, TURN_MS = 10 };

/* What the input begins with, modulo their number. */
static const struct {
    const char *keying;
    bool ekt;
} kinds[] = { { "sdes", false },   { "zrtp", false },    { "mikey", false },
              { "sdp-dh", false }, { "mikeyv2", false }, { "mikeyv2-inband", false },
              { "sdes", true },    { "mikey", true } };

struct datagram {
    struct cph_addr from, to;
    size_t n;
    uint8_t b[DATAGRAM];
};

struct side {
    struct cph_phone *phone;
    struct cph_mikey *mikey;
    struct cph_addr at;
    uint32_t call, ended;
    uint8_t lose, twice, change; /* so many of the next datagrams it sends; the place, 0: none */
    uint8_t mask;
};

static struct side side[2];
static struct datagram wire[WIRE], kept[KEPT]; /* under way; and those that went lately */
static size_t wire_n, kept_n;
static cph_time now;

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600 + now / 1000000;
}

static const struct cph_env env = { .ctx = &dice, .random = dice_draw, .wall = wall };

/* ---- the wire -------------------------------------------------------------------------------- */

static void post(const struct datagram *d)
{
    if (wire_n < WIRE)
        wire[wire_n++] = *d;
}

static void put(struct side *s, uint16_t port, const struct cph_addr *to, struct cph_span p)
{
    struct datagram d = { .from = s->at, .to = *to, .n = p.n };

    if (p.n > sizeof d.b)
        return;
    d.from.port = port;
    memcpy(d.b, p.p, p.n);
    if (s->lose > 0) {
        s->lose--;
        return;
    }
    if (s->change > 0 && p.n > 0)
        d.b[(size_t)s->change * 7 % p.n] ^= s->mask;
    s->change = 0;
    kept[kept_n++ % KEPT] = d;
    post(&d);
    if (s->twice > 0) {
        s->twice--;
        post(&d);
    }
}

static cph_err media_open(void *ctx, uint32_t call, const struct cph_addr *near,
                          struct cph_addr local[2])
{
    (void)call, (void)near;
    local[0] = local[1] = ((struct side *)ctx)->at;
    local[0].port = 20000;
    local[1].port = 20001;
    return CPH_OK;
}

static void media_send(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                       struct cph_span p)
{
    (void)call;
    check_media(p);
    put(ctx, (uint16_t)(20000 + component), to, p);
}

static void deliver(struct datagram *d)
{
    struct side *s = &side[d->to.ip[3] == 2];

    if (d->to.port == 5060)
        cph_sip_ua_datagram(cph_phone_ua(s->phone), 0, &d->from, (struct cph_span){ d->b, d->n },
                            now);
    else if (d->n > 0)
        cph_phone_media(s->phone, s->call, d->to.port & 1, &d->from, d->b, d->n, now);
}

/* ---- the phones ------------------------------------------------------------------------------ */

static void turn(struct side *s)
{
    struct cph_sip_ua *ua = cph_phone_ua(s->phone);
    struct cph_sip_action a;
    struct cph_phone_event ev;

    for (int idle = 0; idle == 0 || cph_phone_deadline(s->phone) <= now; idle++) {
        if (idle > 100)
            abort(); /* a deadline that nothing moves */
        cph_phone_turn(s->phone, now);
        while (cph_sip_ua_pull(ua, &a) == CPH_OK)
            if (a.what == CPH_SIP_DO_SEND)
                put(s, 5060, &a.addr, a.bytes);
            else
                deny(ua, &a, now);
        while (cph_phone_event(s->phone, &ev) == CPH_OK)
            hear(&ev, &s->call, &s->ended);
    }
}

static void pass_time(unsigned turns)
{
    for (; turns > 0; turns--) {
        size_t n = wire_n;

        for (size_t i = 0; i < n; i++)
            deliver(&wire[i]);
        memmove(wire, wire + n, (wire_n - n) * sizeof *wire);
        wire_n -= n;
        now += CPH_MS(TURN_MS);
        turn(&side[0]);
        turn(&side[1]);
    }
}

static void wish(struct side *s, uint8_t what)
{
    want(s->phone, what, s == side ? "sip:bob@10.0.0.2" : "sip:alice@10.0.0.1", &s->call, now);
    turn(s);
}

static void inject(struct side *s, struct cph_span bytes, bool media)
{
    struct datagram d = { .from = side[s == side].at, .to = s->at, .n = bytes.n };

    d.from.port = d.to.port = media ? 20000 : 5060;
    if (bytes.n > 0)
        memcpy(d.b, bytes.p, bytes.n);
    post(&d);
}

/* what(1) how(1), and what that needs. The lowest bit of how is the side, or the time is in it. */
static void step(struct cph_rd *rd)
{
    uint8_t what = cph_rd_u8(rd), how = cph_rd_u8(rd);
    struct side *s = &side[how & 1];

    switch (what % 7) {
    case 0:
        pass_time(how);
        break;
    case 1:
        wish(s, (uint8_t)(how / 2 % 10));
        break;
    case 2:
        s->lose = (uint8_t)(how / 2 % 8);
        break;
    case 3:
        s->twice = (uint8_t)(how / 2 % 8);
        break;
    case 4:
        s->change = cph_rd_u8(rd);
        s->mask = cph_rd_u8(rd);
        break;
    case 5:
        post(&kept[how % KEPT]);
        break;
    default:
        inject(s, cph_rd_span(rd, cph_rd_u8(rd)), how & 2);
    }
}

static void phone_open(unsigned i, uint8_t kind)
{
    static const char *const codecs[] = { "PCMU", NULL };
    static const char *const uri[] = { "sip:alice@10.0.0.1:5060", "sip:bob@10.0.0.2:5060" };
    static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
    static struct cph_phone_host host[2];
    struct cph_mikey_cfg mikey = { .env = &env,
                                   .mode = kind & 1 ? CPH_MIKEY_DHHMAC : CPH_MIKEY_PSK,
                                   .id = uri[i],
                                   .peer_id = uri[!i],
                                   .psk = &psk };
    struct cph_phone_account account = { .name = "", .user = i ? "bob" : "alice" };
    struct cph_phone_zrtp zrtp = { .store = NULL };
    struct cph_sip_ua_cfg sip = { .env = &env, .path_mtu = DATAGRAM, .n_listeners = 1 };
    struct side *s = &side[i];
    struct cph_phone_config cfg = { .env = &env,
                                    .host = &host[i],
                                    .sip = &sip,
                                    .account = &account,
                                    .n_accounts = 1,
                                    .codecs = codecs,
                                    .rtcp_mux = kind & 2,
                                    .cryptex = kind & 4,
                                    .zrtp = &zrtp,
                                    .portable_crypto = true };

    kind /= 8;
    memset(zrtp.zid, 'a' + (int)i, sizeof zrtp.zid);
    memset(s, 0, sizeof *s);
    host[i] = (struct cph_phone_host){
        .ctx = s, .media_open = media_open, .media_send = media_send, .media_close = media_close
    };
    if (cph_addr_parse_ip(cph_span_of(i ? "10.0.0.2" : "10.0.0.1"), &s->at) != CPH_OK ||
        cph_mikey_new(&mikey, &s->mikey) != CPH_OK)
        abort();
    s->at.port = 5060;
    sip.listener[0].addr = s->at;
    cfg.mikey = s->mikey;
    cfg.ekt = kinds[kind % (sizeof kinds / sizeof *kinds)].ekt;
    account.policy.keying[0] = kinds[kind % (sizeof kinds / sizeof *kinds)].keying;
    account.policy.keying_n = 1;
    if (cph_phone_new(&cfg, now, &s->phone) != CPH_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    uint8_t kind = cph_rd_u8(&rd);

    dice.state = 1;
    now = CPH_SEC(1);
    wire_n = kept_n = 0;
    memset(kept, 0, sizeof kept);
    phone_open(0, kind);
    phone_open(1, kind);
    for (unsigned i = 0; i < STEPS && cph_rd_more(&rd) && now < CPH_SEC(30); i++)
        step(&rd);
    for (unsigned i = 0; i < 2; i++)
        wish(&side[i], 3);
    pass_time(100);
    for (unsigned i = 0; i < 2; i++) {
        cph_phone_free(side[i].phone);
        cph_mikey_free(side[i].mikey);
    }
    return 0;
}
