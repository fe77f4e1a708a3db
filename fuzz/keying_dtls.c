/*
 * DTLS-SRTP keying of an answerer whose offer and media path the input writes: the description up
 * to a NUL, then packets as u16 length and bytes. It may fail; it may not crash, nor have keys.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_wire.h"
#include "ciphony/crypto_key.h"
#include "ciphony/keying.h"
#include "ciphony/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };

static struct cph_keying *make(void)
{
    static const struct cph_cert_spec spec = { .not_before = 0, .not_after = 1893456000 };
    static struct cph_keying_cfg cfg = { .env = &env }; /* made once, kept */
    static struct cph_key *key;
    static struct cph_cert *cert;
    struct cph_keying *k;

    if (!key && (cph_key_generate(&env, CPH_KEY_EC_P256, &key) != CPH_OK ||
                 cph_cert_self_signed(&env, key, &spec, &cert) != CPH_OK))
        abort();
    cfg.key = key;
    cfg.cert = cert;
    if (cph_keying_method_by_name(cph_span_of("dtls"))->make(&cfg, &k) != CPH_OK)
        abort();
    return k;
}

static void media(struct cph_keying *k, struct cph_rd rd)
{
    struct cph_addr from = { .family = CPH_AF_V4, .ip = { 192, 0, 2, 1 } };
    struct cph_keying_packet out;
    struct cph_srtp_policy none;
    cph_time now = 0;

    while (cph_rd_more(&rd)) {
        from.port = cph_rd_u8(&rd); /* several who talk */
        now += CPH_MS(cph_rd_u8(&rd));
        (void)!cph_keying_feed(k, CPH_KEYING_RTP, &from, cph_rd_span(&rd, cph_rd_u16(&rd)), now);
        cph_keying_tick(k, now);
        while (cph_keying_pull(k, &out, now) == CPH_OK)
            continue;
    }
    cph_keying_tick(k, now); /* begins the clock, if nothing did */
    k->method->answered(k, now);
    cph_keying_tick(k, now + CPH_SEC(60));
    if (k->method->keys(k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &none) == CPH_OK ||
        cph_keying_deadline(k) != CPH_TIME_NEVER)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_sdp_origin origin = { .id = 1, .version = 1 };
    const uint8_t *end = n ? memchr(data, 0, n) : NULL;
    size_t text = end ? (size_t)(end - data) : n;
    struct cph_addr own = { .family = CPH_AF_V4, .ip = { 10, 0, 0, 1 }, .port = 4000 };
    struct cph_keying_remote offer;
    struct cph_keying_local l;
    struct cph_keying *k = make();
    struct cph_arena *a;
    struct cph_sdp *sdp;

    if (cph_arena_new(4 * CPH_SDP_ARENA, &a) != CPH_OK)
        abort();
    if (cph_sdp_parse(a, (struct cph_span){ data, text }, &sdp) == CPH_OK && sdp->n_media > 0 &&
        cph_sdp_new(a, &origin, &own, &l.sdp) == CPH_OK &&
        cph_sdp_media_add(l.sdp, cph_span_of("audio"), 4000, cph_span_of("RTP/SAVP"),
                          cph_span_of("0"), &l.media) == CPH_OK) {
        offer = (struct cph_keying_remote){ sdp, sdp->media[0] };
        if (k->method->answer(k, &offer, &l) == CPH_OK && end)
            media(k, cph_rd_open((struct cph_span){ data + text + 1, n - text - 1 }));
    }
    cph_keying_free(k);
    cph_arena_free(a);
    return 0;
}
