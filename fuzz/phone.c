/* A whole phone that requires keys, fed with SIP, media and wishes of its user in any order: it
 * never sends media in clear, ends each call once, and its time always moves on. */
#include "phones.h"

static uint16_t port;
static uint32_t ended;

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static cph_err media_open(void *ctx, uint32_t call, const struct cph_addr *near,
                          struct cph_addr local[2])
{
    (void)ctx;
    (void)call;
    (void)near;
    for (unsigned i = 0; i < 2; i++)
        if (cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.1"), &local[i]) == CPH_OK)
            local[i].port = port++;
    return CPH_OK;
}

static void media_send(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                       struct cph_span p)
{
    (void)ctx;
    (void)call;
    (void)component;
    (void)to;
    check_media(p);
}

static void pump(struct cph_phone *p, uint32_t *call, cph_time now)
{
    struct cph_sip_action a;
    struct cph_phone_event ev;
    bool more = true;

    for (int i = 0; more && i < 20; i++) {
        more = false;
        cph_phone_turn(p, now);
        while (cph_sip_ua_pull(cph_phone_ua(p), &a) == CPH_OK)
            deny(cph_phone_ua(p), &a, now);
        while (cph_phone_event(p, &ev) == CPH_OK) {
            more = true;
            hear(&ev, call, &ended);
        }
    }
}

/* One step of the input: what(1) after(2, ms) length(2) bytes; 0 SIP, 1 RTP, 2 RTCP, 8.. wishes. */
static void play(struct cph_phone *p, struct cph_rd rd)
{
    struct cph_addr from = { 0 };
    cph_time now = 0, until = 0;
    uint32_t call = 0;
    uint8_t packet[2048];

    if (cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.2"), &from) != CPH_OK)
        abort();
    while (cph_rd_more(&rd) && until < CPH_SEC(10)) {
        uint8_t what = cph_rd_u8(&rd);
        struct cph_span bytes;

        until += CPH_MS(cph_rd_u16(&rd));
        bytes = cph_rd_span(&rd, cph_rd_u16(&rd));
        for (int idle = 0; cph_phone_deadline(p) <= until; pump(p, &call, now)) {
            idle = cph_phone_deadline(p) > now ? 0 : idle + 1;
            now = cph_phone_deadline(p) > now ? cph_phone_deadline(p) : now;
            if (idle > 100)
                abort(); /* a deadline that nothing moves */
        }
        now = until;
        from.port = what == 0 ? 5060 : (uint16_t)(20000 + (what == 2));
        if (what == 0)
            cph_sip_ua_datagram(cph_phone_ua(p), 0, &from, bytes, now);
        else if (what < 3 && bytes.n <= sizeof packet && bytes.n > 0)
            cph_phone_media(p, call, what - 1U, &from, memcpy(packet, bytes.p, bytes.n), bytes.n,
                            now);
        else if (what >= 8)
            want(p, what % 8 == 7 ? 9 : what % 8, "sip:bob@10.0.0.2", &call, now);
        pump(p, &call, now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cph_env env = { .ctx = &dice, .random = dice_draw, .wall = wall };
    static const char *const codecs[] = { "PCMU", NULL };
    struct cph_phone_host host = { .media_open = media_open,
                                   .media_send = media_send,
                                   .media_close = media_close };
    struct cph_phone_account account = { .name = "", .user = "alice" };
    struct cph_sip_ua_cfg sip = { .env = &env, .n_listeners = 1 };
    struct cph_phone_config cfg = { .env = &env,
                                    .host = &host,
                                    .sip = &sip,
                                    .account = &account,
                                    .n_accounts = 1,
                                    .codecs = codecs,
                                    .portable_crypto = true };
    struct cph_phone *p;

    dice.state = 1; /* as the seeds' terminal drew: what they answer to is what this phone says */
    port = 20000;
    ended = 0;
    account.policy.keying[0] = "sdes";
    account.policy.keying_n = 1;
    if (cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.1"), &sip.listener[0].addr) != CPH_OK)
        abort();
    sip.listener[0].addr.port = 5060;
    if (cph_phone_new(&cfg, 0, &p) != CPH_OK)
        abort();
    play(p, cph_rd_open((struct cph_span){ data, n }));
    cph_phone_free(p);
    return 0;
}
