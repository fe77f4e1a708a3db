/* Two sessions in a call; then descriptions and packets of any kind, true or damaged, in any order.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_tools.h"
#include "ciphony/base_wire.h"
#include "ciphony/session.h"
#include "ciphony/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SEEN = 256 };

static cph_err count(void *ctx, void *buf, size_t n)
{
    uint16_t v = ++*(uint16_t *)ctx;

    memset(buf, v & 0xff, n);
    if (n > 0)
        *(uint8_t *)buf = (uint8_t)(v >> 8);
    return CPH_OK;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1;
}

/* What a session under `required` must never do. */
static void check(struct cph_session *s)
{
    struct cph_session_packet got;
    struct cph_session_event ev;
    struct cph_evidence seen;

    while (cph_session_take(s, &got) == CPH_OK)
        continue;
    while (cph_session_event(s, &ev) == CPH_OK)
        if (ev.kind == CPH_SESSION_PLAIN)
            abort();
    cph_session_evidence(s, &seen);
    for (unsigned i = 0; i < seen.streams_n; i++)
        if (seen.stream[i].clear_in || seen.stream[i].clear_out)
            abort();
}

/* All that is sent is silence, so what comes out twice had the same key and index: a keystream, or
 * a nonce, that was used twice. */
static void never_twice(uint64_t seen[], unsigned *seen_n, const uint8_t *p, size_t n)
{
    uint64_t hash = cph_siphash(1, 2, (struct cph_span){ p, n });

    for (unsigned i = 0; i < *seen_n; i++)
        if (seen[i] == hash)
            abort();
    if (*seen_n < SEEN)
        seen[(*seen_n)++] = hash;
}

/* A packet as s sends it: RTP, or a report. */
static cph_err make(struct cph_session *s, bool report, unsigned seq, uint8_t packet[512],
                    size_t *len, enum cph_keying_component *port, cph_time now)
{
    struct cph_addr to;

    memset(packet, 0, 12 + 160);
    packet[0] = 0x80;
    packet[1] = report ? 201 : 0;
    packet[2] = report ? 0 : (uint8_t)(seq >> 8);
    packet[3] = report ? 1 : (uint8_t)seq;
    *len = report ? 8 : 172;
    return cph_session_protect(s, 0, report ? CPH_KEYING_RTCP : CPH_KEYING_RTP, packet, len, 512,
                               port, &to, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cph_sdp_codec codec[] = { { "PCMU", 8000, 1, 0, NULL } };
    static struct cph_srtp_engine *engine;
    static uint8_t text[2][CPH_SESSION_SDP];
    uint16_t seed = 0;
    uint64_t seen[2][SEEN];
    unsigned seen_n[2] = { 0 };
    struct cph_env env = { .ctx = &seed, .random = count, .wall = wall };
    struct cph_session_media media = { .codecs = codec, .n_codecs = 1, .direction = 3 };
    struct cph_session_config cfg = { .env = &env, .peer = "sip:p@h", .policy = { .keying_n = 0 } };
    struct cph_addr at = { CPH_AF_V4, { 192, 0, 2, 1 }, 4000 };
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    struct cph_wr sdp[2];
    struct cph_session *s[2] = { NULL, NULL };
    cph_time now = 0;

    if (!engine && cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &engine) != CPH_OK)
        abort();
    cfg.srtp = engine;
    cfg.ekt = cfg.cryptex = n > 0 && (data[0] & 0x80); /* keys told in the media, or not */
    media.local[0] = media.local[1] = at;
    media.local[1].port++;
    memset(text, 0, sizeof text);
    for (int i = 0; i < 2; i++)
        if (cph_session_new(&cfg, &media, 1, 0, &s[i]) != CPH_OK)
            abort();
    while (cph_rd_more(&rd)) {
        uint8_t what = cph_rd_u8(&rd), arg = cph_rd_u8(&rd);
        unsigned me = what & 1, where = cph_rd_u16(&rd);
        uint8_t packet[512];
        cph_err err = CPH_OK;
        size_t len;

        now += CPH_MS(arg);
        sdp[me] = cph_wr_open(text[me], sizeof text[me]);
        if ((what >> 1) % 8 < 4 && where < sizeof text[0])
            text[!me][where] ^= arg & 0x80 ? arg : 0; /* damage what the other one says */
        switch ((what >> 1) % 8) {
        case 0:
            err = cph_session_offer(s[me], now, &sdp[me]);
            break;
        case 1:
            err = cph_session_answer(s[me], cph_span_of((char *)text[!me]), now, &sdp[me]);
            break;
        case 2:
            err = cph_session_finish(s[me], arg % 4, cph_span_of((char *)text[!me]), now);
            break;
        case 3:
            err = cph_session_choose(s[me], arg % 4);
            break;
        case 4:
            arg & 1 ? cph_session_rollback(s[me]) : cph_session_drop(s[me], arg / 2 % 4);
            break;
        case 5:
            err = arg & 1 ? cph_session_rekey_media(s[me], now) : cph_session_rekey(s[me]);
            break;
        case 6: { /* a packet as the other one sends it, perhaps damaged */
            enum cph_keying_component port;

            if (make(s[!me], arg & 2, where, packet, &len, &port, now) != CPH_OK)
                break;
            never_twice(seen[!me], &seen_n[!me], packet, len);
            packet[arg] ^= arg & 1 ? 1 : 0;
            (void)cph_session_feed(s[me], 0, port, &at, packet, len, now);
            break;
        }
        default: {
            struct cph_span wild = cph_rd_span(&rd, where % 256);

            if (wild.n)
                memcpy(packet, wild.p, wild.n);
            (void)cph_session_feed(s[me], arg % 2, arg / 2 % 2, &at, packet, wild.n, now);
            cph_session_tick(s[me], now);
        }
        }
        if (err == CPH_E_BUG)
            abort();
        if (sdp[me].n > 0 && sdp[me].n < sizeof text[me])
            text[me][sdp[me].n] = 0;
        check(s[me]);
    }
    cph_session_free(s[0]);
    cph_session_free(s[1]);
    return 0;
}
