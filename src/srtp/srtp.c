#include "srtp_int.h"

#include <stdlib.h>

#include "ciphony/crypto_cipher.h"

void cph_srtp_policy_wipe(struct cph_srtp_policy *p)
{
    cph_wipe(p, sizeof *p);
}

/* ---- session keys ---------------------------------------------------------------------------- */

void *srtp_lines_new(size_t n, void **block)
{
    uint8_t *b = calloc(1, n + SRTP_LINE);

    if (!b)
        return NULL;
    *block = b;
    return b + (SRTP_LINE - (uintptr_t)b % SRTP_LINE) % SRTP_LINE;
}

static void session_free(const struct srtp_ops *ops, struct srtp_session *ss)
{
    void *block;

    if (!ss)
        return;
    block = ss->block;
    ops->close(ss);
    cph_wipe(ss, sizeof *ss);
    free(block);
}

static cph_err session_new(const struct cph_srtp *s, struct srtp_session **out)
{
    void *block;
    struct srtp_session *ss = srtp_lines_new(sizeof *ss, &block);
    cph_err err;

    if (!ss)
        return CPH_E_NOMEM;
    ss->block = block;
    err = s->engine->ops->open(s->suite, (enum cph_srtp_dir)s->dir, ss);
    if (err != CPH_OK) {
        session_free(s->engine->ops, ss);
        return err;
    }
    *out = ss;
    return CPH_OK;
}

/* RFC 3711 4.3: encryption key, authentication key and salt of SRTP, or of SRTCP. */
static cph_err session_derive(struct cph_srtp *s, const struct srtp_key *k, struct cph_aes *prf,
                              bool rtcp, uint64_t r, struct srtp_session *ss)
{
    unsigned label = rtcp ? SRTP_LABEL_RTCP : SRTP_LABEL_RTP;
    size_t enc_n = s->suite->encrypts ? s->suite->key_n : 0;
    size_t auth_n = s->suite->transform->aead ? 0 : SRTP_AUTH_KEY;
    const struct cph_secret *from = &k->master.salt;
    CPH_SECRET_SCOPED enc = { .n = enc_n };
    CPH_SECRET_SCOPED auth = { .n = auth_n };
    CPH_SECRET_SCOPED salt = { .n = 16 };

    if (enc_n > 0)
        CPH_TRY(srtp_prf(prf, from, label, r, enc.b, enc_n));
    if (auth_n > 0)
        CPH_TRY(srtp_prf(prf, from, label + 1, r, auth.b, auth_n));
    CPH_TRY(srtp_prf(prf, from, label + 2, r, salt.b, s->suite->salt_n));
    ss->salt_hi = (uint64_t)srtp_be32(salt.b) << 32 | srtp_be32(salt.b + 4);
    ss->salt_lo = (uint64_t)srtp_be32(salt.b + 8) << 32 | srtp_be32(salt.b + 12);
    ss->r = r;
    return s->engine->ops->key(s->engine, ss, cph_secret_span(&enc), cph_secret_span(&auth));
}

cph_err srtp_session_for(struct cph_srtp *s, struct srtp_key *key, bool rtcp, uint64_t index,
                         struct srtp_session **out)
{
    struct srtp_session **use = rtcp ? &key->rtcp : &key->rtp;
    struct srtp_session **other = rtcp ? &key->rtcp_other : &key->rtp_other;
    uint64_t r;

    if (!s->derives) {
        *out = *use;
        return CPH_OK;
    }
    r = index >> s->kdr_shift;
    if ((*use)->r != r) { /* the one asked for last comes first next time */
        struct srtp_session *swap = *use;

        *use = *other;
        *other = swap;
        if ((*use)->r != r)
            CPH_TRY(session_derive(s, key, key->prf, rtcp, r, *use));
    }
    *out = *use;
    return CPH_OK;
}

/* ---- master keys ----------------------------------------------------------------------------- */

static void key_free(const struct cph_srtp *s, struct srtp_key *k)
{
    void *block;

    if (!k)
        return;
    session_free(s->engine->ops, k->rtp);
    session_free(s->engine->ops, k->rtp_other);
    session_free(s->engine->ops, k->rtcp);
    session_free(s->engine->ops, k->rtcp_other);
    cph_aes_free(k->prf);
    block = k->block;
    cph_wipe(k, sizeof *k);
    free(block);
}

static cph_err key_sessions(struct cph_srtp *s, struct srtp_key *k)
{
    CPH_TRY(session_new(s, &k->rtp));
    CPH_TRY(session_new(s, &k->rtcp));
    CPH_TRY(session_derive(s, k, k->prf, false, 0, k->rtp));
    CPH_TRY(session_derive(s, k, k->prf, true, 0, k->rtcp));
    if (!s->derives)
        return CPH_OK;
    CPH_TRY(session_new(s, &k->rtp_other));
    CPH_TRY(session_new(s, &k->rtcp_other));
    CPH_TRY(session_derive(s, k, k->prf, false, 0, k->rtp_other));
    return session_derive(s, k, k->prf, true, 0, k->rtcp_other);
}

static cph_err key_new(struct cph_srtp *s, const struct cph_srtp_key *master, struct srtp_key **out)
{
    void *block;
    struct srtp_key *k = srtp_lines_new(sizeof *k, &block);
    cph_err err;

    if (!k)
        return CPH_E_NOMEM;
    k->block = block;
    k->master = *master;
    k->rtp_max = master->lifetime_rtp ? master->lifetime_rtp : SRTP_INDEX_END;
    k->rtcp_max = master->lifetime_rtcp ? master->lifetime_rtcp : SRTP_RTCP_INDEX_END;
    err = cph_aes_new(CPH_AES_CTR, cph_secret_span(&master->key), &k->prf);
    if (err == CPH_OK)
        err = key_sessions(s, k);
    if (err != CPH_OK) {
        key_free(s, k);
        return err;
    }
    if (!s->derives) {
        cph_aes_free(k->prf);
        k->prf = NULL;
    }
    *out = k;
    return CPH_OK;
}

static size_t key_find(const struct cph_srtp *s, struct cph_span mki)
{
    size_t i = 0;

    while (i < s->n_keys && !cph_span_eq((struct cph_span){ s->key[i]->master.mki, s->mki_n }, mki))
        i++;
    return i;
}

cph_err srtp_key_of(const struct cph_srtp *s, const uint8_t *mki, struct srtp_key **out)
{
    size_t i = key_find(s, (struct cph_span){ mki, s->mki_n });

    if (i == s->n_keys)
        return CPH_E_NOKEY;
    *out = s->key[i];
    return CPH_OK;
}

static bool key_fits(const struct cph_srtp_suite *suite, const struct cph_srtp_key *k)
{
    /* RFC 3711 9.2 MUST: at most 2^48 SRTP and 2^31 SRTCP packets under one master key */
    return k->key.n == suite->key_n && k->salt.n == suite->salt_n && k->mki_n <= CPH_SRTP_MKI_MAX &&
           k->lifetime_rtp <= SRTP_INDEX_END && k->lifetime_rtcp <= SRTP_RTCP_INDEX_END;
}

cph_err cph_srtp_key_add(struct cph_srtp *s, const struct cph_srtp_key *key)
{
    if (!key_fits(s->suite, key) || key->mki_n != s->mki_n || s->mki_n == 0)
        return CPH_E_ARGUMENT;
    if (key_find(s, (struct cph_span){ key->mki, key->mki_n }) < s->n_keys)
        return CPH_E_EXISTS;
    if (s->n_keys == CPH_SRTP_KEYS_MAX)
        return CPH_E_LIMIT;
    CPH_TRY(key_new(s, key, &s->key[s->n_keys]));
    s->n_keys++;
    return CPH_OK;
}

cph_err cph_srtp_key_use(struct cph_srtp *s, struct cph_span mki)
{
    size_t i = key_find(s, mki);

    if (i == s->n_keys)
        return CPH_E_NOTFOUND;
    s->in_use = i;
    s->use = s->key[i];
    return CPH_OK;
}

cph_err cph_srtp_key_drop(struct cph_srtp *s, struct cph_span mki)
{
    size_t i = key_find(s, mki);

    if (i == s->n_keys)
        return CPH_E_NOTFOUND;
    if (s->n_keys == 1 || (i == s->in_use && s->dir == CPH_SRTP_SEND))
        return CPH_E_ARGUMENT;
    key_free(s, s->key[i]);
    s->n_keys--;
    memmove(&s->key[i], &s->key[i + 1], (s->n_keys - i) * sizeof s->key[0]);
    s->key[s->n_keys] = NULL;
    if (s->in_use > i || s->in_use == s->n_keys)
        s->in_use--;
    s->use = s->key[s->in_use];
    return CPH_OK;
}

void cph_srtp_life(const struct cph_srtp *s, struct cph_srtp_life *out)
{
    const struct srtp_key *k = s->key[s->in_use];
    uint64_t rtp = k->rtp_max, rtcp = k->rtcp_max;

    out->rtp_left = rtp > k->rtp_used ? rtp - k->rtp_used : 0;
    out->rtcp_left = rtcp > k->rtcp_used ? rtcp - k->rtcp_used : 0;
    for (size_t i = 0; i < s->n_streams; i++) { /* no stream may outgrow its index either */
        uint64_t top = s->stream[i].rtp.started ? s->stream[i].rtp.top + 1 : s->stream[i].rtp.top;
        uint64_t next = s->dir == CPH_SRTP_SEND ? s->stream[i].rtcp_next : s->stream[i].rtcp.top;

        if (out->rtp_left > SRTP_INDEX_END - top)
            out->rtp_left = SRTP_INDEX_END - top;
        if (out->rtcp_left > SRTP_RTCP_INDEX_END - next)
            out->rtcp_left = SRTP_RTCP_INDEX_END - next;
    }
    out->soon = out->rtp_left <= rtp / 16 || out->rtcp_left <= rtcp / 16 ||
                out->rtp_left <= 65536 || out->rtcp_left <= 65536;
}

/* ---- the context ----------------------------------------------------------------------------- */

void cph_srtp_free(struct cph_srtp *s)
{
    if (!s)
        return;
    if (s->pair)
        s->pair->pair = NULL;
    for (size_t i = 0; i < s->n_keys; i++)
        key_free(s, s->key[i]);
    cph_srtp_free(s->inner);
    free(s->stream_block);
    free(s->slot);
    free(s->block);
}

/* The table and, behind it, two rings for each stream, if they are longer than a stream holds. */
static cph_err table_new(struct cph_srtp *s)
{
    size_t words = s->ring_mask < SRTP_NEAR ? 0 : ((size_t)s->ring_mask + 1) / 64;
    uint64_t *ring;
    uint32_t slots = 2;

    while (slots < 2 * s->cap_streams)
        slots *= 2;
    s->slot_mask = slots - 1;
    s->slot = calloc(slots, sizeof *s->slot);
    s->stream = srtp_lines_new(s->cap_streams * (sizeof *s->stream + 2 * words * sizeof *ring),
                               &s->stream_block);
    if (!s->slot || !s->stream)
        return CPH_E_NOMEM;
    ring = (void *)(s->stream + s->cap_streams);
    for (size_t i = 0; i < s->cap_streams; i++, ring += 2 * words) {
        s->stream[i].rtp.seen = words ? ring : s->stream[i].rtp_near;
        s->stream[i].rtcp.seen = words ? ring + words : s->stream[i].rtcp_near;
    }
    return CPH_OK;
}

static bool rcc_fits(const struct cph_srtp_policy *p, bool clear)
{
    bool aead = p->suite->transform->aead;
    bool tag = p->rcc_tag_n >= CPH_SRTP_RCC_TAG_MIN && p->rcc_tag_n <= CPH_SRTP_RCC_TAG_MAX;

    switch (p->rcc) {
    case CPH_SRTP_RCC_NONE:
        return p->rcc_rate == 0 && p->rcc_tag_n == 0;
    case CPH_SRTP_RCC_1: /* with neither cipher nor tag nothing of SRTP is left */
        return !aead && (tag || p->rcc_tag_n == 0) && !(clear && p->rcc_rate > 1);
    case CPH_SRTP_RCC_2:
        return !aead && (tag || p->rcc_tag_n == 0);
    case CPH_SRTP_RCC_3: /* RFC 4771 5 MUST: the tag is four bytes */
        return !aead && !clear && (p->rcc_tag_n == 0 || p->rcc_tag_n == CPH_SRTP_RCC_ROC);
    }
    return false;
}

static bool policy_fits(const struct cph_srtp_policy *p)
{
    bool clear = p->unencrypted_rtp || !p->suite->encrypts;

    if (!key_fits(p->suite, &p->master))
        return false;
    /* RFC 3711 4.3.1: a power of two up to 2^24 */
    if ((p->kdr & (p->kdr - 1)) != 0 || p->kdr > 1U << 24)
        return false;
    if (p->window != 0 && (p->window < CPH_SRTP_WINDOW_MIN || p->window > CPH_SRTP_WINDOW_MAX))
        return false;
    if (p->streams > CPH_SRTP_STREAMS_MAX)
        return false;
    if (!rcc_fits(p, clear) || (p->rcc && p->unauthenticated_rtp) || (p->cryptex && clear))
        return false;
    /* An AEAD always authenticates; with neither cipher nor tag nothing of SRTP is left. */
    return !p->unauthenticated_rtp || (!p->suite->transform->aead && !clear);
}

/* The ways of a packet through this context. */
static void ways(struct cph_srtp *s, const struct cph_srtp_policy *p)
{
    bool mb = s->aead && s->engine->mb, extras = p->rcc || p->cryptex;

    s->protect = mb ? srtp_mb_gcm_protect : srtp_protect_any;
    s->unprotect = mb ? srtp_mb_gcm_unprotect : srtp_unprotect_any;
    if (extras) {
        s->protect = srtp_extras_protect;
        s->unprotect = srtp_extras_unprotect;
    }
    s->rcc = (uint8_t)p->rcc;
    s->rcc_rate = p->rcc_rate ? p->rcc_rate : 1;
    s->cryptex = p->cryptex;
    if (p->rcc)
        s->tag_n = p->rcc_tag_n               ? p->rcc_tag_n
                   : p->rcc == CPH_SRTP_RCC_3 ? CPH_SRTP_RCC_ROC
                                              : CPH_SRTP_RCC_TAG;
    s->plain = s->tag_n > 0 && s->mki_n == 0 && !s->derives && !extras;
    s->alone = extras || (!s->aead && (s->tag_n == 0 || s->derives));
}

cph_err cph_srtp_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                     enum cph_srtp_dir dir, struct cph_srtp **out)
{
    struct cph_srtp *s;
    uint32_t ring = 64;
    void *block;
    cph_err err;

    if (!p->suite || !policy_fits(p))
        return CPH_E_ARGUMENT;
    if (p->suite->half)
        return srtp_double_new(e, p, dir, out);
    if (!cph_srtp_engine_has(e, p->suite))
        return CPH_E_CRYPTO;
    s = srtp_lines_new(sizeof *s, &block);
    if (!s)
        return CPH_E_NOMEM;
    s->block = block;
    s->engine = e;
    s->suite = p->suite;
    s->dir = (uint8_t)dir;
    s->aead = p->suite->transform->aead;
    s->key_n = p->suite->key_n;
    s->tag_n = p->unauthenticated_rtp ? 0 : p->suite->tag_n;
    s->rtcp_tag_n = p->suite->rtcp_tag_n;
    s->mki_n = p->master.mki_n;
    s->clear_rtp = p->unencrypted_rtp || !p->suite->encrypts;
    s->clear_rtcp = p->unencrypted_rtcp || !p->suite->encrypts;
    s->derives = p->kdr != 0;
    ways(s, p);
    s->kind = srtp_mb_kind(s);
    s->kdr_shift = p->kdr ? (unsigned)__builtin_ctzll(p->kdr) : 0;
    s->window = (uint16_t)(p->window ? p->window : CPH_SRTP_WINDOW);
    while (ring < s->window)
        ring *= 2;
    s->ring_mask = ring - 1;
    s->cap_streams = p->streams ? p->streams : CPH_SRTP_STREAMS;
    err = table_new(s);
    if (err == CPH_OK)
        err = key_new(s, &p->master, &s->key[0]);
    if (err == CPH_OK) {
        s->use = s->key[0];
        s->n_keys = 1;
        *out = s;
        s = NULL;
    }
    cph_srtp_free(s);
    return err;
}

cph_err cph_srtp_pair(struct cph_srtp *send, struct cph_srtp *recv)
{
    if (send->dir != CPH_SRTP_SEND || recv->dir != CPH_SRTP_RECV)
        return CPH_E_ARGUMENT;
    if (cph_srtp_same_key(send, recv)) {
        send->pair = recv;
        recv->pair = send;
    }
    if (send->inner && recv->inner)
        return cph_srtp_pair(send->inner, recv->inner);
    return CPH_OK;
}

size_t cph_srtp_overhead(const struct cph_srtp *s, bool rtcp)
{
    if (rtcp)
        return (size_t)SRTP_RTCP_WORD + s->mki_n + s->rtcp_tag_n;
    return (size_t)s->mki_n + s->tag_n + (s->cryptex ? SRTP_EXT_HEADER : 0) +
           (s->inner ? CPH_GCM_TAG + 1 : 0);
}
