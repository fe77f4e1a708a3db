/* libipsec-mb alone: the same cipher and authentication over the same bytes, nothing else of SRTP.
 */
#define NO_COMPAT_IMB_API_053
#include "srtp_bench.h"

#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

static struct {
    IMB_MGR *mgr;
    struct {
        struct gcm_key_data k;
    } __attribute__((aligned(64))) gcm[STREAMS_MAX]; /* the header aligns it only with -DLINUX */
    uint8_t enc[STREAMS_MAX][256] __attribute__((aligned(64)));
    uint8_t ipad[STREAMS_MAX][20], opad[STREAMS_MAX][20];
    IMB_JOB job[BATCH];
    uint8_t salt[STREAMS_MAX][16], iv[BATCH][16], tag[BATCH][20];
} * raw;
static int users;

/* What depends on the packet: the salt, SSRC and index. */
static void fill_iv(const struct bench *b, size_t i)
{
    uint64_t half[2];

    memcpy(half, raw->salt[b->stream[i]], sizeof half);
    half[0] ^= __builtin_bswap64(b->stream[i]);
    half[1] ^= __builtin_bswap64(b->seq << (b->gcm ? 32 : 16));
    memcpy(raw->iv[i], half, sizeof half);
}

static void fill(const struct bench *b, size_t i, bool open, IMB_JOB *job)
{
    size_t s = b->stream[i];

    job->src = b->buf[i];
    job->dst = (uint8_t *)(uintptr_t)b->buf[i] + HEADER;
    job->enc_keys = b->gcm ? (void *)&raw->gcm[s] : raw->enc[s];
    job->dec_keys = job->enc_keys;
    job->key_len_in_bytes = KEY;
    job->iv = raw->iv[i];
    job->iv_len_in_bytes = b->gcm ? 12 : 16;
    job->cipher_start_src_offset_in_bytes = HEADER;
    job->msg_len_to_cipher_in_bytes = b->payload;
    job->hash_start_src_offset_in_bytes = b->gcm ? HEADER : 0;
    job->msg_len_to_hash_in_bytes = b->gcm ? b->payload : HEADER + b->payload + 4;
    job->auth_tag_output = raw->tag[i];
    job->auth_tag_output_len_in_bytes = b->gcm ? 16 : 12; /* the library writes 12, 16 or 20 */
    if (b->gcm) {
        job->u.GCM.aad = b->buf[i];
        job->u.GCM.aad_len_in_bytes = HEADER;
    } else {
        job->u.HMAC._hashed_auth_key_xor_ipad = raw->ipad[s];
        job->u.HMAC._hashed_auth_key_xor_opad = raw->opad[s];
    }
    job->cipher_mode = b->gcm ? IMB_CIPHER_GCM : IMB_CIPHER_CNTR;
    job->cipher_direction = open ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT;
    job->hash_alg = b->gcm ? IMB_AUTH_AES_GMAC : IMB_AUTH_HMAC_SHA_1;
    job->chain_order = open ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
}

static int raw_open(const struct bench *b)
{
    uint8_t block[64] = { 1 }, dec[256] __attribute__((aligned(64)));

    if (users++ > 0)
        return 0; /* the other raw contestant of this setting opened it */
    raw = aligned_alloc(64, (sizeof *raw + 63) / 64 * 64);
    if (!raw)
        return -1;
    memset(raw, 0, sizeof *raw);
    raw->mgr = alloc_mb_mgr(0);
    if (!raw->mgr)
        return -1;
    init_mb_mgr_auto(raw->mgr, NULL);
    for (size_t s = 0; s < b->streams; s++) {
        IMB_AES128_GCM_PRE(raw->mgr, b->key[s], &raw->gcm[s].k);
        IMB_AES_KEYEXP_128(raw->mgr, b->key[s], raw->enc[s], dec);
        IMB_SHA1_ONE_BLOCK(raw->mgr, block, raw->ipad[s]);
        IMB_SHA1_ONE_BLOCK(raw->mgr, block, raw->opad[s]);
    }
    for (size_t s = 0; s < b->streams; s++)
        memcpy(raw->salt[s], b->salt[s], b->gcm ? 12 : 14);
    for (size_t i = 0; i < BATCH; i++) {
        fill_iv(b, i);
        fill(b, i, false, &raw->job[i]);
    }
    return 0;
}

static void raw_close(void)
{
    if (--users > 0)
        return;
    if (raw && raw->mgr)
        free_mb_mgr(raw->mgr);
    free(raw);
    raw = NULL;
}

/* Own job array, filled beforehand: nothing in the timed part but the library. */
static int burst(struct bench *b)
{
    (void)b;
    if (IMB_SUBMIT_CIPHER_BURST_NOCHECK(raw->mgr, raw->job, BATCH, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT,
                                        IMB_KEY_128_BYTES) != BATCH)
        return BATCH;
    return BATCH -
           (int)IMB_SUBMIT_HASH_BURST_NOCHECK(raw->mgr, raw->job, BATCH, IMB_AUTH_HMAC_SHA_1);
}

const struct contestant raw_burst = { "raw libipsec-mb, bursts", raw_open, burst, burst,
                                      raw_close };

/* The library's queue: cipher and hash in one job; job and IV are filled as the packets come. */
static int jobs(struct bench *b, bool open)
{
    IMB_JOB *job[BATCH];
    uint32_t done = 0, n = IMB_GET_NEXT_BURST(raw->mgr, BATCH, job);

    if (n != BATCH)
        return BATCH;
    for (size_t i = 0; i < BATCH; i++) {
        fill_iv(b, i);
        fill(b, i, open, job[i]);
    }
    done = IMB_SUBMIT_BURST_NOCHECK(raw->mgr, BATCH, job);
    while (done < BATCH) {
        n = IMB_FLUSH_BURST(raw->mgr, BATCH - done, job);
        if (n == 0)
            break;
        done += n;
    }
    return (int)(BATCH - done);
}

static int jobs_seal(struct bench *b)
{
    return jobs(b, false);
}

static int jobs_open(struct bench *b)
{
    return jobs(b, true);
}

const struct contestant raw_jobs = { "raw libipsec-mb, queue", raw_open, jobs_seal, jobs_open,
                                     raw_close };

static int direct(struct bench *b)
{
    struct gcm_context_data ctx;

    for (size_t i = 0; i < BATCH; i++)
        IMB_AES128_GCM_ENC(raw->mgr, &raw->gcm[b->stream[i]].k, &ctx, b->buf[i] + HEADER,
                           b->buf[i] + HEADER, b->payload, raw->iv[i], b->buf[i], HEADER,
                           b->buf[i] + HEADER + b->payload, 16);
    return 0;
}

static int direct_back(struct bench *b)
{
    struct gcm_context_data ctx;

    for (size_t i = 0; i < BATCH; i++)
        IMB_AES128_GCM_DEC(raw->mgr, &raw->gcm[b->stream[i]].k, &ctx, b->buf[i] + HEADER,
                           b->buf[i] + HEADER, b->payload, raw->iv[i], b->buf[i], HEADER,
                           raw->tag[i], 16);
    return 0;
}

const struct contestant raw_direct = { "raw libipsec-mb, direct", raw_open, direct, direct_back,
                                       raw_close };
