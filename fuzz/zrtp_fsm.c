/*
 * Two streams of a call that speak with a true peer, while the input drops, doubles, changes and
 * adds messages: one byte says what happens to the next packet. Keys may come of it, or none; if
 * both ends have them, they are the same.
 */
#include <stdlib.h>
#include <string.h>

#include "../src/keying/zrtp/zrtp_int.h"
#include "ciphony/base_text.h"
#include "dice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct dice dice = { .add = 1, .shift = 33 };

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static const struct cph_env env = { .ctx = &dice, .random = dice_draw, .wall = wall };

/* The message is changed where the input says, and its CRC made right again. */
static void change(uint8_t *b, size_t n, uint8_t at, uint8_t by)
{
    struct zrtp_packet p = { 0 };
    struct cph_wr wr;
    uint8_t msg[CPH_KEYING_PACKET];

    memcpy(msg, b + 12, n - ZRTP_FRAME);
    msg[(size_t)at * 2 % (n - ZRTP_FRAME)] ^= by;
    p.ssrc = (uint32_t)b[8] << 24 | (uint32_t)b[9] << 16 | (uint32_t)b[10] << 8 | b[11];
    p.msg = (struct cph_span){ msg, n - ZRTP_FRAME };
    wr = cph_wr_open(b, n);
    zrtp_packet_build(&wr, &p);
}

/* What the layers above may do at any time. */
static void user(struct zrtp *z, unsigned what, cph_time now)
{
    switch (what % 8) {
    case 0:
    case 1:
        (void)!cph_zrtp_compared(&z->base, what & 1);
        break;
    case 2:
        cph_zrtp_media(&z->base, now);
        break;
    case 3:
        (void)!cph_zrtp_relay(&z->base, what & 8 ? &z->base : NULL, now);
        break;
    case 4:
        (void)!cph_zrtp_enroll(&z->base);
        break;
    case 5:
        (void)!cph_zrtp_srtps(&z->base, CPH_SPAN_LIT("0123456789abcdef"), CPH_SPAN_LIT("salt"));
        break;
    default: {
        struct cph_zrtp_info info;

        (void)!cph_zrtp_info(&z->base, &info);
    }
    }
}

/* What is retained, by its end. */
struct kept {
    bool used;
    struct cph_zrtp_retained r;
};

static cph_err kept_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    const struct kept *k = ctx;

    (void)zid;
    *out = k->r;
    return k->used ? CPH_OK : CPH_E_NOTFOUND;
}

static cph_err kept_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                        const struct cph_zrtp_retained *in)
{
    struct kept *k = ctx;

    (void)zid;
    *k = (struct kept){ true, *in };
    return CPH_OK;
}

/* Both had a call before, and its string was compared. */
static void remember(struct kept k[2])
{
    for (int e = 0; e < 2; e++) {
        k[e] = (struct kept){ .used = true, .r = { .verified = true, .expires = INT64_MAX } };
        if (cph_secret_set(&k[e].r.rs1, CPH_SPAN_LIT("0123456789abcdef0123456789abcdef")) != CPH_OK)
            abort();
    }
}

static void carry(struct zrtp *from, struct zrtp *to, struct cph_rd *rd, cph_time now)
{
    uint8_t b[CPH_KEYING_PACKET];
    struct cph_wr wr = cph_wr_open(b, sizeof b);

    for (; zrtp_pull(from, &wr, now) == CPH_OK; wr = cph_wr_open(b, sizeof b)) {
        uint8_t what = cph_rd_u8(rd); /* 0 when the input is over: as it should be */

        if (what % 8 == 1)
            continue;
        if (what % 8 == 2)
            (void)!zrtp_feed(to, NULL, cph_wr_done(&wr), now);
        if (what % 8 == 3)
            change(b, wr.n, cph_rd_u8(rd), cph_rd_u8(rd));
        (void)!zrtp_feed(what % 8 == 4 ? from : to, NULL, cph_wr_done(&wr), now);
        if (what % 8 == 5)
            (void)!cph_zrtp_clear(&to->base, now);
        if (what % 8 == 6)
            (void)!cph_zrtp_secure(&to->base, now);
        if (what % 8 == 7)
            user(to, what >> 3, now);
    }
}

static void same(const struct zrtp *a, const struct zrtp *b)
{
    const struct zrtp_live *x = &a->live, *y = &b->live;

    if (x->state == ZRTP_SECURE && y->state == ZRTP_SECURE && x->initiator != y->initiator &&
        cph_span_eq((struct cph_span){ x->commit.b, x->commit.n },
                    (struct cph_span){ y->commit.b, y->commit.n }) &&
        !cph_ct_eq(cph_secret_span(&x->keys.srtp[0]), cph_secret_span(&y->keys.srtp[0])))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    uint8_t setting = cph_rd_u8(&rd);
    struct cph_zrtp_call *call[2];
    struct cph_zrtp_store stores[2];
    struct zrtp *z[2][2];
    struct kept kept[2] = { 0 };

    dice.state = 1;
    if (setting & 8)
        remember(kept);
    for (int e = 0; e < 2; e++) {
        struct cph_zrtp_store store = { &kept[e], kept_get, kept_put, NULL };
        struct cph_zrtp_cfg cfg = { .env = &env,
                                    .store = &stores[e],
                                    .allow_clear = !(setting & 128),
                                    .preshared = setting & 16,
                                    .mitm = e == 1 && setting & 32,
                                    .enroll = setting & 64,
                                    .passive = setting & 1U << e };

        stores[e] = store;

        memset(cfg.zid, 1 + e, sizeof cfg.zid);
        if (cph_zrtp_call_new(&cfg, &call[e]) != CPH_OK)
            abort();
        for (int s = 0; s < 2; s++) {
            if (zrtp_new(call[e], (uint32_t)(10 * e + s + 1), 0, &z[e][s]) != CPH_OK)
                abort();
            z[e][s]->started = s == 0 || setting & 4;
        }
    }
    for (cph_time now = 0; now < CPH_SEC(20); now += CPH_MS(n > 200 ? 50 : 200)) {
        for (int s = 0; s < 2; s++) {
            for (int e = 0; e < 2; e++) {
                zrtp_tick(z[e][s], now);
                carry(z[e][s], z[1 - e][s], &rd, now);
            }
            same(z[0][s], z[1][s]);
        }
    }
    for (int e = 0; e < 2; e++) {
        for (int s = 0; s < 2; s++)
            zrtp_free(z[e][s]);
        cph_zrtp_call_free(call[e]);
    }
    return 0;
}
