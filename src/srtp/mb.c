/* The ciphers through libipsec-mb, one packet at a time. */
#include "mb_int.h"
#include "steps.h"

#include <stdlib.h>

#include "ciphony/crypto_cipher.h"

/* ---- managers -------------------------------------------------------------------------------- */

/* The job keeps both and writes mac. NOLINTNEXTLINE(readability-non-const-parameter) */
static void job_defaults(IMB_JOB *job, uint8_t *iv, uint8_t *mac)
{
    *job = (IMB_JOB){
        .key_len_in_bytes = 16,
        .iv = iv,
        .iv_len_in_bytes = 16,
        .auth_tag_output = mac,
        .auth_tag_output_len_in_bytes = SRTP_HMAC,
        .cipher_mode = IMB_CIPHER_CNTR,
        .cipher_direction = IMB_DIR_ENCRYPT,
        .hash_alg = IMB_AUTH_HMAC_SHA_1,
        .chain_order = IMB_ORDER_CIPHER_HASH,
    };
}

static void groups_init(struct srtp_mb *mb)
{
    static const uint8_t key_n[MB_KEYS_KINDS] = { 16, 24, 32, 16 };

    for (size_t g = 0; g < (size_t)2 * MB_KEYS_KINDS; g++) {
        struct mb_group *group = &mb->group[g / MB_KEYS_KINDS][g % MB_KEYS_KINDS];

        for (size_t i = 0; i < SRTP_BATCH; i++) {
            job_defaults(&group->job[i], group->iv[i], group->mac[i]);
            group->job[i].key_len_in_bytes = key_n[g % MB_KEYS_KINDS];
            group->job[i].auth_tag_output_len_in_bytes = 12; /* all it knows but a whole HMAC */
        }
    }
    job_defaults(&mb->cipher, NULL, NULL);
    job_defaults(&mb->hash, NULL, NULL);
}

void srtp_mb_free(struct srtp_mb *mb)
{
    if (!mb)
        return;
    if (mb->wide)
        free_mb_mgr(mb->wide);
    if (mb->narrow)
        free_mb_mgr(mb->narrow);
    cph_free_secret(mb, sizeof *mb);
}

cph_err srtp_mb_new(struct srtp_mb **out)
{
    const uint64_t want = IMB_CPUFLAGS_AVX2;
    struct srtp_mb *mb;

    if ((imb_get_feature_flags() & want) != want)
        return CPH_E_UNSUPPORTED;
    mb = calloc(1, sizeof *mb);
    if (!mb)
        return CPH_E_NOMEM;
    mb->wide = alloc_mb_mgr(0);
    mb->narrow = alloc_mb_mgr(0);
    if (!mb->wide || !mb->narrow) {
        srtp_mb_free(mb);
        return CPH_E_NOMEM;
    }
    init_mb_mgr_auto(mb->wide, NULL);
    init_mb_mgr_sse(mb->narrow);
    if (imb_get_errno(mb->wide) != 0 || imb_get_errno(mb->narrow) != 0) {
        srtp_mb_free(mb); /* its self-test failed, or the CPU is not what it says */
        return CPH_E_UNSUPPORTED;
    }
    groups_init(mb);
    *out = mb;
    return CPH_OK;
}

const char *srtp_mb_name(const struct srtp_mb *mb)
{
    return mb->wide->used_arch == IMB_ARCH_AVX512 ? "libipsec-mb AVX-512" : "libipsec-mb AVX2";
}

/* ---- keys ------------------------------------------------------------------------------------ */

static cph_err mb_open(const struct cph_srtp_suite *suite, enum cph_srtp_dir dir,
                       struct srtp_session *ss)
{
    (void)suite;
    (void)dir;
    (void)ss;
    return CPH_OK;
}

static void mb_close(struct srtp_session *ss)
{
    (void)ss;
}

static void expand_cm(const IMB_MGR *mgr, struct cph_span enc, union mb_keys *k)
{
    uint8_t dec[240] __attribute__((aligned(64)));

    if (enc.n == 16)
        IMB_AES_KEYEXP_128(mgr, enc.p, k->cm.enc, dec);
    else if (enc.n == 24)
        IMB_AES_KEYEXP_192(mgr, enc.p, k->cm.enc, dec);
    else
        IMB_AES_KEYEXP_256(mgr, enc.p, k->cm.enc, dec);
    cph_wipe(dec, sizeof dec);
}

/* RFC 2104: the states of SHA-1 after the block K xor ipad, and after K xor opad. */
static void expand_hmac(const IMB_MGR *mgr, struct cph_span auth, union mb_keys *k)
{
    uint8_t block[64];

    memset(block, 0x36, sizeof block);
    for (size_t i = 0; i < auth.n; i++)
        block[i] ^= auth.p[i];
    IMB_SHA1_ONE_BLOCK(mgr, block, k->cm.ipad);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36 ^ 0x5c;
    IMB_SHA1_ONE_BLOCK(mgr, block, k->cm.opad);
    cph_wipe(block, sizeof block);
}

static cph_err mb_key(struct cph_srtp_engine *e, struct srtp_session *ss, struct cph_span enc,
                      struct cph_span auth)
{
    union mb_keys *k = mb_keys(ss);
    IMB_MGR *mgr = e->mb->wide;

    if (auth.n > 0) {
        expand_hmac(mgr, auth, k);
        if (enc.n > 0)
            expand_cm(mgr, enc, k);
    } else if (enc.n == 16) {
        IMB_AES128_GCM_PRE(mgr, enc.p, &k->gcm);
    } else {
        IMB_AES256_GCM_PRE(mgr, enc.p, &k->gcm);
    }
    return CPH_OK;
}

/* ---- one packet ------------------------------------------------------------------------------ */

static cph_err mb_ctr(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                      const uint8_t iv[16], uint8_t *p, size_t n)
{
    IMB_JOB *job = &e->mb->cipher;
    IMB_MGR *mgr = e->mb->wide;

    if (n == 0)
        return CPH_OK;
    job->src = p;
    job->dst = p;
    job->enc_keys = mb_keys(ss)->cm.enc;
    job->key_len_in_bytes = key_n;
    job->iv = iv;
    job->msg_len_to_cipher_in_bytes = n;
    if (IMB_SUBMIT_CIPHER_BURST_NOCHECK(mgr, job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT,
                                        (IMB_KEY_SIZE_BYTES)key_n) != 1)
        return CPH_E_CRYPTO;
    return CPH_OK;
}

static cph_err mb_hmac(struct cph_srtp_engine *e, struct srtp_session *ss, const uint8_t *p,
                       size_t n, uint8_t out[SRTP_HMAC])
{
    union mb_keys *k = mb_keys(ss);
    IMB_JOB *job = &e->mb->hash;
    IMB_MGR *mgr = e->mb->narrow;

    job->src = p;
    job->msg_len_to_hash_in_bytes = n;
    job->u.HMAC._hashed_auth_key_xor_ipad = k->cm.ipad;
    job->u.HMAC._hashed_auth_key_xor_opad = k->cm.opad;
    job->auth_tag_output = out;
    if (IMB_SUBMIT_HASH_BURST_NOCHECK(mgr, job, 1, IMB_AUTH_HMAC_SHA_1) != 1)
        return CPH_E_CRYPTO;
    return CPH_OK;
}

static cph_err mb_seal(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                       const uint8_t iv[16], struct cph_span aad, uint8_t *p, size_t n,
                       uint8_t *tag)
{
    const IMB_MGR *mgr = e->mb->wide;
    struct gcm_context_data ctx;

    (key_n == 16 ? mgr->gcm128_enc : mgr->gcm256_enc)(&mb_keys(ss)->gcm, &ctx, p, p, n, iv, aad.p,
                                                      aad.n, tag, CPH_GCM_TAG);
    return CPH_OK;
}

static cph_err mb_unseal(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                         const uint8_t iv[16], struct cph_span aad, uint8_t *p, size_t n,
                         const uint8_t *tag)
{
    const IMB_MGR *mgr = e->mb->wide;
    uint8_t good[CPH_GCM_TAG];
    struct gcm_context_data ctx;

    (key_n == 16 ? mgr->gcm128_dec : mgr->gcm256_dec)(&mb_keys(ss)->gcm, &ctx, p, p, n, iv, aad.p,
                                                      aad.n, good, CPH_GCM_TAG);
    if (srtp_tag_eq(good, tag, CPH_GCM_TAG))
        return CPH_OK;
    (void)mb_seal(e, ss, key_n, iv, aad, p, n, good); /* nobody sees what did not verify */
    return CPH_E_AUTH;
}

const struct srtp_ops srtp_ops_mb = {
    .open = mb_open,
    .close = mb_close,
    .key = mb_key,
    .ctr = mb_ctr,
    .hmac = mb_hmac,
    .seal = mb_seal,
    .unseal = mb_unseal,
};

/* ---- the short way of AES-GCM ---------------------------------------------------------------- */

INTO static inline void gcm_seal(struct cph_srtp *s, struct cph_srtp_pkt *pkt,
                                 const struct srtp_pass *pass)
{
    const IMB_MGR *mgr = s->engine->mb->wide;
    size_t aad = pass->clear ? pass->n : pass->header;
    UNSET struct gcm_context_data ctx;
    UNSET uint8_t iv[16];
    uint8_t *p = pkt->p;

    srtp_iv_gcm(pass->ss, pass->ssrc, pass->index, iv);
    (s->key_n == 16 ? mgr->gcm128_enc : mgr->gcm256_enc)(&mb_keys(pass->ss)->gcm, &ctx, p + aad,
                                                         p + aad, pass->n - aad, iv, p, aad,
                                                         p + pass->n, CPH_GCM_TAG);
    srtp_send_end(s, pkt, pass->key);
}

APART static cph_err gcm_protect_any(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    UNSET struct srtp_pass pass;

    CPH_TRY(srtp_send_begin(s, pkt, &pass));
    gcm_seal(s, pkt, &pass);
    return CPH_OK;
}

cph_err srtp_mb_gcm_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    UNSET struct srtp_pass pass;

    if (!srtp_send_next(s, pkt, &pass))
        return gcm_protect_any(s, pkt);
    gcm_seal(s, pkt, &pass);
    return CPH_OK;
}

/* Nothing moves; on CPH_E_AUTH p holds the ciphertext again. */
INTO static inline cph_err gcm_open(struct cph_srtp *s, uint8_t *p, const struct srtp_pass *pass)
{
    const IMB_MGR *mgr = s->engine->mb->wide;
    size_t aad = pass->clear ? pass->n : pass->header;
    UNSET struct gcm_context_data ctx;
    UNSET uint8_t iv[16], tag[CPH_GCM_TAG];

    srtp_iv_gcm(pass->ss, pass->ssrc, pass->index, iv);
    (s->key_n == 16 ? mgr->gcm128_dec : mgr->gcm256_dec)(&mb_keys(pass->ss)->gcm, &ctx, p + aad,
                                                         p + aad, pass->n - aad, iv, p, aad, tag,
                                                         CPH_GCM_TAG);
    if (srtp_tag_eq(tag, p + pass->n, CPH_GCM_TAG))
        return CPH_OK;
    (void)mb_seal(s->engine, pass->ss, s->key_n, iv, (struct cph_span){ p, aad }, p + aad,
                  pass->n - aad, tag); /* nobody sees what did not verify */
    return CPH_E_AUTH;
}

APART static cph_err gcm_unprotect_any(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    UNSET struct srtp_pass pass;
    struct srtp_stream *st;

    CPH_TRY(srtp_recv_begin(s, pkt, &pass, &st));
    CPH_TRY(gcm_open(s, pkt->p, &pass));
    CPH_TRY(srtp_recv_commit(s, &pass, st));
    pkt->n = pass.n;
    return CPH_OK;
}

cph_err srtp_mb_gcm_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    UNSET struct srtp_pass pass;

    if (!srtp_recv_next(s, pkt, SRTP_NO_EPOCH, &pass))
        return gcm_unprotect_any(s, pkt);
    CPH_TRY(gcm_open(s, pkt->p, &pass));
    srtp_window_next(s, &s->last->rtp, pass.index); /* none waits, so it is the next */
    pass.key->rtp_used++;
    pkt->n = pass.n;
    return CPH_OK;
}
