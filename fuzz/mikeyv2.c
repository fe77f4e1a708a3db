/* MIKEYv2 on the media path: datagrams of a stranger between two sides that talk to each other.
 * What parses is written back the same; both sides have keys or none, and then the same. */
#include <stdlib.h>
#include <string.h>

#include "../src/keying/mikeyv2/mikeyv2_int.h"
#include "env.h"

static void as_a_message(struct cph_span bytes)
{
    static uint8_t b[V2_MSG_MAX + 16];
    struct cph_wr wr = cph_wr_open(b, sizeof b);
    struct v2_msg m;

    if (v2_parse(bytes, &m) == CPH_OK &&
        (v2_build(&m, &wr) != CPH_OK || !cph_span_eq(cph_wr_done(&wr), bytes)))
        abort();
}

/* What one sends with, the other receives with; unless one of them has no keys. */
static void same_keys(struct cph_keying *from, struct cph_keying *to)
{
    CPH_SRTP_POLICY_SCOPED s = { 0 }, r = { 0 };

    if (from->method->keys(from, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &s) == CPH_OK &&
        to->method->keys(to, CPH_KEYING_RTP, CPH_KEYING_RECV, 0, &r) == CPH_OK &&
        (s.suite != r.suite ||
         !cph_ct_eq(cph_secret_span(&s.master.key), cph_secret_span(&r.master.key)) ||
         !cph_ct_eq(cph_secret_span(&s.master.salt), cph_secret_span(&r.master.salt))))
        abort();
}

/* Any byte of the input: carry what there is, or put some of the input in its place. */
static void run(struct cph_keying *side[2], struct cph_rd *rd)
{
    static struct cph_keying_packet p;
    cph_time now = 0;

    while (cph_rd_more(rd)) {
        uint8_t what = cph_rd_u8(rd);
        struct cph_keying *from = side[what & 1], *to = side[!(what & 1)];

        now += CPH_MS(100);
        cph_keying_tick(side[0], now);
        cph_keying_tick(side[1], now);
        p.n = 0;
        if (!(what & 2) && cph_keying_pull(from, &p, now) != CPH_OK)
            continue;
        if (what & 2) {
            struct cph_span s = cph_rd_span(rd, cph_rd_u8(rd));

            memcpy(p.b, "mkv2", 4);
            if (s.n > 0)
                memcpy(p.b + 4, s.p, s.n);
            p.n = 4 + s.n;
        } else if (what & 4 && p.n > 0) {
            p.b[cph_rd_u8(rd) % p.n] ^= cph_rd_u8(rd);
        }
        if (to->method->claims((struct cph_span){ p.b, p.n }))
            (void)!cph_keying_feed(to, CPH_KEYING_RTP, NULL, (struct cph_span){ p.b, p.n }, now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char text[] =
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4 RTP/SAVP 0\r\n";
    static const struct cph_secret psk = { .n = 16, .b = "0123456789abcdef" };
    struct cph_keying *side[2] = { NULL, NULL };
    struct cph_mikey *m[2];
    struct cph_arena *arena;
    struct cph_sdp *sdp[2];
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });

    drawn = 0;
    as_a_message((struct cph_span){ data, n });
    if (cph_arena_new(CPH_SDP_ARENA, &arena) != CPH_OK)
        return 0;
    for (int i = 0; i < 2; i++) {
        const struct cph_mikey_cfg c = {
            .env = &env, .mode = CPH_MIKEY_PSK, .psk = &psk, .id = i ? "b" : "a"
        };
        struct cph_keying_cfg cfg = { .env = &env };

        if (cph_mikey_new(&c, &m[i]) != CPH_OK ||
            cph_sdp_parse(arena, CPH_SPAN_LIT(text), &sdp[i]) != CPH_OK)
            abort();
        cfg.mikey = m[i];
        if (cph_keying_mikeyv2_inband.make(&cfg, &side[i]) != CPH_OK)
            abort();
    }
    struct cph_keying_local offer = { sdp[0], sdp[0]->media[0] },
                            answer = { sdp[1], sdp[1]->media[0] };
    if (cph_keying_mikeyv2_inband.offer(side[0], &offer) != CPH_OK ||
        cph_keying_mikeyv2_inband.answer(
            side[1], &(struct cph_keying_remote){ sdp[0], sdp[0]->media[0] }, &answer) != CPH_OK ||
        cph_keying_mikeyv2_inband.finish(
            side[0], &(struct cph_keying_remote){ sdp[1], sdp[1]->media[0] }) != CPH_OK)
        abort();
    run(side, &rd);
    same_keys(side[0], side[1]);
    same_keys(side[1], side[0]);
    for (int i = 0; i < 2; i++) {
        cph_keying_free(side[i]);
        cph_mikey_free(m[i]);
    }
    cph_arena_free(arena);
    return 0;
}
