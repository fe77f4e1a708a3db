/*
 * EKT sets (RFC 8870) in MIKEY. No document says how, so it is an extension of ours, of the vendor
 * type (RFC 3830 6.15), which others pass over; the message's MAC or signature covers it.
 *
 *   initiator   "ciphony EKT" | cipher, 1 | SPI, 2 | ttl, 3 | the EKT key and the salt, wrapped
 *   answer      "ciphony EKT" | cipher, 1 | SPI, 2              it was taken
 *
 * They are wrapped (RFC 5649) under a key from the TGK, derived as for crypto session 0, which no
 * stream has. So a set goes with who has the TGK when it writes. In NULL, PSK, RSA and ECMQV, and
 * in updates under an envelope key, that is the initiator. In RSA-R, DHSIGN and DHHMAC it is the
 * responder, if it was asked, and then the set is the responder's:
 *
 *   initiator   "ciphony EKT" | ciphers it takes, 1 or 2        it asks for one
 *   answer      "ciphony EKT" | cipher | SPI | ttl | wrapped    as above
 */
#include "mikey_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"
#include "ciphony/crypto_wrap.h"
#include "ciphony/keying_ekt.h"

enum {
    ASKS_MAX = 2,  /* bytes: ciphers there are */
    NO_STREAM = 0, /* crypto sessions count from 1 */
    KEK = 32,
    SALT = 14, /* of every set: the longest of a suite */
    CLEAR_MAX = 32 + SALT,
    WRAPPED_MAX = CLEAR_MAX + 16,
};

static const struct cph_span mark = CPH_SPAN_LIT("ciphony EKT");

static cph_err kek_of(const struct mikey_csb *csb, struct cph_secret *out)
{
    if (csb->n_keys == 0 || csb->key[0].tek)
        return CPH_E_UNSUPPORTED;
    return mikey_derive(&csb->key[0].key, MIKEY_FOR_ENCR, NO_STREAM, &csb->b, KEK, out);
}

bool mikey_ekt_fits(const struct cph_ekt_params *set, const struct mikey_csb *csb)
{
    const struct cph_srtp_suite *suite = csb->n_policies > 0 ? csb->policy[0].suite : NULL;

    /* RFC 8870 4 MUST NOT: with an MKI; 6 MUST: not shorter than the suite's key */
    return suite && csb->n_keys > 0 && csb->key[0].mki_n == 0 && !csb->key[0].tek &&
           !csb->policy[0].unauthenticated_rtp && set->salt.n == SALT &&
           set->key.n == cph_ekt_key_size(set->cipher) && set->key.n >= suite->key_n;
}

cph_err mikey_ekt_put(struct mikey_out *w, const struct mikey_csb *csb,
                      const struct cph_ekt_params *set)
{
    CPH_SECRET_SCOPED kek = { 0 };
    CPH_SECRET_SCOPED clear = { 0 };
    uint8_t ext[64 + WRAPPED_MAX], wrapped[WRAPPED_MAX];
    struct cph_wr wr = cph_wr_open(ext, sizeof ext);
    size_t n = set->key.n + set->salt.n;

    CPH_TRY(kek_of(csb, &kek));
    memcpy(clear.b, set->key.b, set->key.n);
    memcpy(clear.b + set->key.n, set->salt.b, set->salt.n);
    clear.n = n;
    CPH_TRY(cph_aes_wrap_pad(cph_secret_span(&kek), cph_secret_span(&clear), wrapped));
    cph_wr_span(&wr, mark);
    cph_wr_u8(&wr, (uint8_t)set->cipher);
    cph_wr_u16(&wr, set->spi);
    cph_wr_u8(&wr, (uint8_t)(set->ttl_s >> 16));
    cph_wr_u16(&wr, (uint16_t)set->ttl_s);
    cph_wr_bytes(&wr, wrapped, cph_aes_wrap_pad_size(n));
    CPH_TRY(cph_wr_end(&wr));
    mikey_put_ext(w, MIKEY_EXT_VENDOR, cph_wr_done(&wr));
    return CPH_OK;
}

void mikey_ekt_put_taken(struct mikey_out *w, const struct cph_ekt_params *set)
{
    uint8_t ext[32];
    struct cph_wr wr = cph_wr_open(ext, sizeof ext);

    cph_wr_span(&wr, mark);
    cph_wr_u8(&wr, (uint8_t)set->cipher);
    cph_wr_u16(&wr, set->spi);
    mikey_put_ext(w, MIKEY_EXT_VENDOR, cph_wr_done(&wr));
}

/* Ours among the extensions; failed if there is none. */
static struct cph_rd ours(const struct mikey_msg *m)
{
    struct cph_rd rd = { .failed = true };

    for (unsigned i = 0; i < m->n_ext && rd.failed; i++)
        if (m->ext[i].type == MIKEY_EXT_VENDOR && m->ext[i].data.n > mark.n &&
            cph_span_eq((struct cph_span){ m->ext[i].data.p, mark.n }, mark))
            rd = cph_rd_open(cph_span_from(m->ext[i].data, mark.n));
    return rd;
}

cph_err mikey_ekt_take(const struct mikey_msg *m, const struct mikey_csb *csb,
                       struct cph_ekt_params *out)
{
    CPH_SECRET_SCOPED kek = { 0 };
    CPH_SECRET_SCOPED clear = { 0 };
    CPH_EKT_PARAMS_SCOPED set = { 0 };
    struct cph_rd rd = ours(m);
    struct cph_span wrapped;
    cph_err err;

    if (rd.failed)
        return CPH_E_NOTFOUND;
    set.cipher = (enum cph_ekt_cipher)cph_rd_u8(&rd);
    set.spi = cph_rd_u16(&rd);
    set.ttl_s = (uint32_t)cph_rd_u8(&rd) << 16;
    set.ttl_s |= cph_rd_u16(&rd);
    wrapped = cph_rd_rest(&rd);
    set.key.n = cph_ekt_key_size(set.cipher);
    set.salt.n = SALT;
    if (rd.failed || set.key.n == 0 || set.ttl_s == 0 ||
        wrapped.n != cph_aes_wrap_pad_size(set.key.n + SALT))
        return CPH_E_MALFORMED;
    CPH_TRY(kek_of(csb, &kek));
    err = cph_aes_unwrap_pad(cph_secret_span(&kek), wrapped, clear.b, &clear.n);
    CPH_TRY(err == CPH_E_ARGUMENT ? CPH_E_AUTH : err);
    if (clear.n != set.key.n + SALT)
        return CPH_E_MALFORMED;
    memcpy(set.key.b, clear.b, set.key.n);
    memcpy(set.salt.b, clear.b + set.key.n, SALT);
    if (!mikey_ekt_fits(&set, csb))
        return CPH_E_UNSUPPORTED;
    *out = set;
    return CPH_OK;
}

bool mikey_ekt_goes_back(enum mikey_type type)
{
    return type == MIKEY_RSAR_I || type == MIKEY_DH_I || type == MIKEY_DHHMAC_I;
}

void mikey_ekt_put_wish(struct mikey_out *w)
{
    uint8_t ext[32];
    struct cph_wr wr = cph_wr_open(ext, sizeof ext);

    cph_wr_span(&wr, mark);
    cph_wr_u8(&wr, CPH_EKT_AESKW256);
    cph_wr_u8(&wr, CPH_EKT_AESKW128);
    mikey_put_ext(w, MIKEY_EXT_VENDOR, cph_wr_done(&wr));
}

bool mikey_ekt_asked(const struct mikey_msg *m, const struct cph_ekt_params *set)
{
    struct cph_rd rd = ours(m);
    struct cph_span ciphers = cph_rd_rest(&rd);

    for (size_t i = 0; !rd.failed && ciphers.n <= ASKS_MAX && i < ciphers.n; i++)
        if (ciphers.p[i] == (uint8_t)set->cipher)
            return true;
    return false;
}

bool mikey_ekt_taken(const struct mikey_msg *m, const struct cph_ekt_params *set)
{
    struct cph_rd rd = ours(m);
    uint8_t cipher = cph_rd_u8(&rd);
    uint16_t spi = cph_rd_u16(&rd);

    return cph_rd_end(&rd) == CPH_OK && cipher == (uint8_t)set->cipher && spi == set->spi;
}

bool mikey_ekt_same(const struct mikey_csb *a, const struct mikey_csb *b)
{
    if (!a->ekt || !b->ekt)
        return a->ekt == b->ekt;
    return a->set.spi == b->set.spi && a->set.cipher == b->set.cipher &&
           cph_ct_eq(cph_secret_span(&a->set.key), cph_secret_span(&b->set.key));
}
