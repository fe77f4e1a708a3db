/* Keys on their way: in a KEMAC, in an envelope, or from Diffie-Hellman; and to SRTP. */
#include "mikey_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_envelope.h"

enum {
    SUB_ID = 4,  /* octets before the data of an ID */
    SUB_KEY = 4, /* and of a key */
    KW_BLOCK = 8,
};

/* Key data in clear, on the stack. */
struct clear {
    size_t n;
    uint8_t b[MIKEY_MSG_MAX];
};

static void clear_wipe(struct clear *c)
{
    cph_wipe(c, sizeof *c);
}

#define CLEAR_SCOPED __attribute__((cleanup(clear_wipe))) struct clear

/* ---- writing --------------------------------------------------------------------------------- */

/* RFC 3394 wraps whole blocks: the TGK takes up what is missing, since nothing may be padded. */
static size_t tgk_size(const struct cph_mikey *m, const struct mikey_id *id)
{
    size_t around = SUB_KEY + (id ? SUB_ID + id->data.n : 0) +
                    (m->cfg.mki_n > 0 ? 1 + (size_t)m->cfg.mki_n : 0);
    size_t over = (around + MIKEY_TGK) % KW_BLOCK;

    return MIKEY_TGK + (m->cfg.key_wrap && over > 0 ? KW_BLOCK - over : 0);
}

void mikey_mki_next(const struct cph_mikey *m, const struct mikey_csb *csb,
                    uint8_t out[MIKEY_MKI_MAX])
{
    const struct mikey_key *was = &csb->key[0];
    unsigned n = m->cfg.mki_n;

    memset(out, 0, MIKEY_MKI_MAX);
    if (n > 0)
        out[n - 1] = csb->n_keys > 0 && was->mki_n == n && was->mki[n - 1] == 1 ? 2 : 1;
}

cph_err mikey_tgk_new(struct cph_mikey *m, const struct mikey_id *id, struct mikey_csb *csb)
{
    struct mikey_key k = { .mki_n = (uint8_t)m->cfg.mki_n };
    uint8_t mki[MIKEY_MKI_MAX];
    cph_err err;

    k.key.n = tgk_size(m, id);
    err = cph_random(m->cfg.env, k.key.b, k.key.n);
    mikey_mki_next(m, csb, mki);
    memcpy(k.mki, mki, k.mki_n);
    if (err == CPH_OK) {
        cph_wipe(csb->key, sizeof csb->key);
        csb->key[0] = k;
        csb->n_keys = 1;
    }
    cph_wipe(&k, sizeof k);
    return err;
}

static cph_err write_clear(const struct mikey_csb *csb, const struct mikey_id *id, bool keys,
                           struct clear *out)
{
    struct cph_wr wr = cph_wr_open(out->b, MIKEY_KEYDATA_MAX);
    size_t next_at = 0;

    if (id)
        mikey_put_sub_id(&wr, &next_at, id);
    for (unsigned i = 0; keys && i < csb->n_keys; i++) {
        const struct mikey_key *k = &csb->key[i];
        struct mikey_keydata d = {
            .type = k->tek ? MIKEY_TEK_ONLY : MIKEY_TGK_ONLY,
            .key = cph_secret_span(&k->key),
            .salt = cph_secret_span(&k->salt),
            .kv = { .type = k->mki_n > 0 ? MIKEY_KV_SPI : MIKEY_KV_NULL,
                    .spi = { k->mki, k->mki_n } },
        };

        d.type = (uint8_t)(d.type + (k->salt.n > 0)); /* the one with a salt is next to it */
        mikey_put_sub_key(&wr, &next_at, &d);
    }
    out->n = wr.n;
    return cph_wr_end(&wr);
}

cph_err mikey_put_keys(struct cph_mikey *m, struct mikey_out *o, const struct cph_secret *key,
                       const struct mikey_csb *csb, uint64_t ts, const struct mikey_id *id,
                       bool keys, size_t *mac_at)
{
    bool open = csb->mode == CPH_MIKEY_NULL;
    uint8_t alg = open ? MIKEY_ENCR_NULL : m->cfg.key_wrap ? MIKEY_ENCR_AES_KW : MIKEY_ENCR_AES_CM;
    uint8_t mac[MIKEY_MAC];
    size_t start = o->wr.n;
    CLEAR_SCOPED clear = { 0 };
    CLEAR_SCOPED box = { 0 }; /* is the same where nothing encrypts */
    struct cph_span covered;

    CPH_TRY(write_clear(csb, id, keys, &clear));
    if (alg == MIKEY_ENCR_AES_KW && clear.n % KW_BLOCK != 0)
        alg = MIKEY_ENCR_AES_CM; /* an identity without a key need not fit */
    CPH_TRY(
        mikey_encrypt(key, &csb->b, ts, alg, (struct cph_span){ clear.b, clear.n }, box.b, &box.n));
    *mac_at = mikey_put_kemac(o, alg, (struct cph_span){ box.b, box.n },
                              open ? MIKEY_MAC_NULL : MIKEY_MAC_SHA1);
    CPH_TRY(cph_wr_end(&o->wr));
    if (!id)
        return CPH_OK;
    /* RFC 3830 6.2: over this payload alone, while its "next payload" is still zero */
    covered = (struct cph_span){ o->wr.p + start, *mac_at - start };
    CPH_TRY(mikey_mac(key, &csb->b, &covered, 1, mac));
    memcpy(o->wr.p + *mac_at, mac, sizeof mac);
    return CPH_OK;
}

cph_err mikey_put_envelope(struct cph_mikey *m, struct mikey_out *o, const struct cph_key *to,
                           const struct cph_secret *envelope)
{
    uint8_t box[CPH_RSA_MAX];
    size_t n;

    if (cph_ecies_fits(to))
        CPH_TRY(cph_ecies_encrypt(m->cfg.env, to, envelope, box, sizeof box, &n));
    else if (cph_key_kind(to) == CPH_KEY_RSA)
        CPH_TRY(cph_rsa_encrypt(m->cfg.env, to, m->cfg.oaep ? CPH_RSA_OAEP : CPH_RSA_PKCS1,
                                envelope, box, sizeof box, &n));
    else
        return CPH_E_UNSUPPORTED;
    mikey_put_pke(o, MIKEY_CACHE_CSB, (struct cph_span){ box, n });
    return cph_wr_end(&o->wr);
}

cph_err mikey_open_envelope(const struct cph_mikey *m, struct cph_span box,
                            struct cph_secret *envelope)
{
    if (!cph_ecies_fits(m->key))
        return cph_rsa_decrypt(m->cfg.env, m->key, m->cfg.oaep ? CPH_RSA_OAEP : CPH_RSA_PKCS1, box,
                               MIKEY_TGK_MIN, envelope);
    CPH_TRY(cph_ecies_decrypt(m->key, box, envelope));
    return envelope->n >= MIKEY_TGK_MIN ? CPH_OK : CPH_E_AUTH;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void take_kv(const struct mikey_kv *kv, struct mikey_key *k)
{
    if (kv->type == MIKEY_KV_SPI && kv->spi.n > 0) {
        memcpy(k->mki, kv->spi.p, kv->spi.n);
        k->mki_n = (uint8_t)kv->spi.n;
    }
    if (kv->type == MIKEY_KV_INTERVAL) {
        k->lifetime = kv->to - kv->from;
        k->lifetime += k->lifetime < UINT64_MAX;
    }
}

static cph_err take_one(const struct mikey_keydata *d, struct mikey_key *k)
{
    bool tek = d->type == MIKEY_TEK_ONLY || d->type == MIKEY_TEK_SALT;

    if (d->key.n < MIKEY_TGK_MIN)
        return CPH_E_UNSUPPORTED;
    k->tek = tek;
    if (cph_secret_set(&k->key, d->key) != CPH_OK || cph_secret_set(&k->salt, d->salt) != CPH_OK)
        return CPH_E_UNSUPPORTED; /* longer than any of ours */
    take_kv(&d->kv, k);
    return CPH_OK;
}

/* Several keys are told apart by their MKI, which is public, or not at all. */
static bool apart(const struct mikey_key *key, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        for (unsigned j = 0; j < i; j++) /* public, as said */
            if (key[i].mki_n == 0 || key[i].mki_n != key[j].mki_n ||
                memcmp(key[i].mki, key[j].mki, key[i].mki_n) == 0)
                return false;
    return true;
}

static cph_err take_all(const struct mikey_keydata *d, unsigned n, struct mikey_csb *csb)
{
    struct mikey_key key[MIKEY_MAX_KEYS] = { 0 };
    cph_err err = CPH_OK;

    for (unsigned i = 0; i < n && err == CPH_OK; i++)
        err = take_one(&d[i], &key[i]);
    if (err == CPH_OK && !apart(key, n))
        err = CPH_E_UNSUPPORTED;
    if (err == CPH_OK && n > 0) {
        memcpy(csb->key, key, sizeof key);
        csb->n_keys = n;
    }
    cph_wipe(key, sizeof key);
    return err;
}

cph_err mikey_take_keys(const struct mikey_msg *msg, const struct cph_secret *key, uint64_t ts,
                        bool want_id, char id[CPH_MIKEY_ID], struct mikey_csb *csb)
{
    struct mikey_keydata d[MIKEY_MAX_KEYS];
    struct mikey_id inside = { 0 };
    CLEAR_SCOPED clear = { 0 };
    unsigned n;

    CPH_TRY(mikey_decrypt(key, &csb->b, ts, msg->encr, msg->encrypted, clear.b, &clear.n));
    CPH_TRY(mikey_keydata_parse((struct cph_span){ clear.b, clear.n }, want_id, &inside, d, &n));
    if (want_id && cph_span_cstr(inside.data, id, CPH_MIKEY_ID) != CPH_OK)
        return CPH_E_MALFORMED;
    return take_all(d, n, csb);
}

cph_err mikey_dh_key(enum cph_agree_group group, const struct mikey_pair *ours,
                     struct cph_span theirs, const struct mikey_kv *kv, struct mikey_csb *csb)
{
    struct mikey_key k = { 0 };
    cph_err err = cph_agree_derive(group, &ours->x, theirs, &k.key);

    take_kv(kv, &k);
    if (err == CPH_OK) {
        cph_wipe(csb->key, sizeof csb->key);
        csb->key[0] = k;
        csb->n_keys = 1;
        csb->weak_group = mikey_group_weak(group);
    }
    cph_wipe(&k, sizeof k);
    return err;
}

/* ---- to SRTP --------------------------------------------------------------------------------- */

const struct mikey_policy *mikey_policy_of(const struct mikey_csb *csb, unsigned cs)
{
    for (unsigned i = 0; i < csb->n_policies; i++)
        if (csb->policy[i].no == csb->cs[cs - 1].policy)
            return &csb->policy[i];
    return NULL;
}

/*
 * Key and salt of a TEK. RFC 3830 6.13 EXCEPTION: GStreamer sends a master key and its salt as one
 * TEK, as long as both; its length can mean nothing else.
 */
static cph_err tek_of(const struct mikey_key *k, const struct cph_srtp_suite *s,
                      struct cph_srtp_key *out)
{
    struct cph_span all = cph_secret_span(&k->key);

    if (k->salt.n == 0 && k->key.n == (size_t)s->key_n + s->salt_n)
        CPH_TRY(cph_secret_set(&out->salt, cph_span_from(all, s->key_n)));
    else if (k->key.n == s->key_n && k->salt.n == s->salt_n) /* a TEK derives no salt */
        out->salt = k->salt;
    else
        return CPH_E_UNSUPPORTED;
    return cph_secret_set(&out->key, cph_span_head(all, s->key_n));
}

static cph_err salt_of(const struct mikey_csb *csb, unsigned cs, const struct mikey_key *k,
                       size_t n, struct cph_secret *out)
{
    /* RFC 3830 4.1.3 MUST: a salt that was sent is the one to use */
    if (k->salt.n > 0) {
        *out = k->salt;
        return k->salt.n == n ? CPH_OK : CPH_E_UNSUPPORTED;
    }
    return mikey_derive(&k->key, MIKEY_FOR_SALT, (uint8_t)cs, &csb->b, n, out);
}

cph_err mikey_master(const struct mikey_csb *csb, unsigned cs, unsigned i,
                     struct cph_srtp_policy *out)
{
    const struct mikey_policy *p = mikey_policy_of(csb, cs);
    const struct mikey_key *k = &csb->key[i];

    if (i >= csb->n_keys || !p)
        return CPH_E_NOTFOUND;
    memset(out, 0, sizeof *out);
    out->suite = p->suite;
    out->kdr = p->kdr;
    out->unencrypted_rtp = p->unencrypted_rtp;
    out->unencrypted_rtcp = p->unencrypted_rtcp;
    out->unauthenticated_rtp = p->unauthenticated_rtp;
    if (p->rcc_rate > 0) {
        out->rcc = CPH_SRTP_RCC_2;
        out->rcc_rate = p->rcc_rate;
        out->rcc_tag_n = p->rcc_tag_n;
    }
    if (k->tek) {
        CPH_TRY(tek_of(k, p->suite, &out->master));
    } else {
        CPH_TRY(mikey_derive(&k->key, MIKEY_FOR_TEK, (uint8_t)cs, &csb->b, p->suite->key_n,
                             &out->master.key));
        CPH_TRY(salt_of(csb, cs, k, p->suite->salt_n, &out->master.salt));
    }
    memcpy(out->master.mki, k->mki, k->mki_n);
    out->master.mki_n = k->mki_n;
    out->master.lifetime_rtp = k->lifetime > (uint64_t)1 << 48 ? 0 : k->lifetime;
    return CPH_OK;
}
