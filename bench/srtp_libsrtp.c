/* libsrtp2, one packet per call. */
#include "srtp_bench.h"

#include <srtp2/srtp.h>
#include <string.h>

static srtp_t out[STREAMS_MAX], in[STREAMS_MAX];
static size_t n;

const char *libsrtp_version(void)
{
    return srtp_get_version_string();
}

static int open_all(const struct bench *b)
{
    static bool ready;

    if (!ready && srtp_init() != srtp_err_status_ok)
        return -1;
    ready = true;
    for (n = 0; n < b->streams; n++) {
        uint8_t key[KEY + 14];
        srtp_policy_t p;

        memset(&p, 0, sizeof p);
        memcpy(key, b->key[n], KEY);
        memcpy(key + KEY, b->salt[n], 14);
        if (b->gcm)
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtp);
        else
            srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtp);
        p.rtcp = p.rtp;
        p.key = key;
        p.ssrc.type = ssrc_any_outbound;
        if (srtp_create(&out[n], &p) != srtp_err_status_ok)
            return -1;
        p.ssrc.type = ssrc_any_inbound;
        if (srtp_create(&in[n], &p) != srtp_err_status_ok)
            return -1;
    }
    return 0;
}

static int protect(struct bench *b)
{
    int bad = 0;

    for (size_t i = 0; i < BATCH; i++) {
        int len = (int)b->len[i];

        bad += srtp_protect(out[i % n], b->buf[i], &len) != srtp_err_status_ok;
        b->len[i] = (size_t)len;
    }
    return bad;
}

static int unprotect(struct bench *b)
{
    int bad = 0;

    for (size_t i = 0; i < BATCH; i++) {
        int len = (int)b->len[i];

        bad += srtp_unprotect(in[i % n], b->buf[i], &len) != srtp_err_status_ok;
        b->len[i] = (size_t)len;
    }
    return bad;
}

static void close_all(void)
{
    for (size_t i = 0; i < n; i++) {
        (void)srtp_dealloc(out[i]);
        (void)srtp_dealloc(in[i]);
    }
}

const struct contestant libsrtp_single = { "libsrtp2, single", open_all, protect, unprotect,
                                           close_all };
