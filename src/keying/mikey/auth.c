#include "mikey_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_envelope.h"

enum {
    PEM_MAX = 2 * MIKEY_MSG_MAX,
    SEQUENCE = 0x30, /* that DER begins with */
};

/* ---- identities ------------------------------------------------------------------------------ */

/*
 * One ID payload looks like another; who it names follows from the place. RFC 3830 3:
 *
 *   an initiator's message   [IDi|CERTi], [IDr]      DH answers   [IDr|CERTr], IDi
 *   other answers            [IDr|CERTr]
 */
void mikey_ids(const struct mikey_msg *m, struct cph_span out[2])
{
    struct cph_span one = m->n_id > 0 ? m->id[0].data : (struct cph_span){ 0 };
    struct cph_span two = m->n_id > 1 ? m->id[1].data : (struct cph_span){ 0 };

    out[0] = out[1] = (struct cph_span){ 0 };
    switch (m->type) {
    case MIKEY_PSK_V:
    case MIKEY_PK_V:
    case MIKEY_MQV_V:
    case MIKEY_RSAR_R:
    case MIKEY_ERROR:
        out[1] = one;
        break;
    case MIKEY_DH_R:
    case MIKEY_DHHMAC_R:
        out[0] = m->n_id > 1 ? two : one;
        out[1] = m->n_id > 1 ? one : two;
        break;
    default:
        out[0] = m->n_id == 1 && m->id_after_cert ? two : one;
        out[1] = m->n_id == 1 && m->id_after_cert ? one : two;
        break;
    }
}

cph_err mikey_peer_is(const struct cph_mikey *m, struct cph_span said)
{
    return said.n == 0 || !m->peer_id[0] || cph_span_is(said, m->peer_id) ? CPH_OK : CPH_E_POLICY;
}

cph_err mikey_still_is(const struct mikey_csb *old, struct cph_span said)
{
    return !old || said.n == 0 || !old->peer_id[0] || cph_span_is(said, old->peer_id)
               ? CPH_OK
               : CPH_E_POLICY;
}

cph_err mikey_we_are(const struct cph_mikey *m, struct cph_span said)
{
    return said.n == 0 || !m->id[0] || cph_span_is(said, m->id) ? CPH_OK : CPH_E_POLICY;
}

void mikey_tail(struct mikey_tail *t, struct cph_span idi, struct cph_span idr, uint8_t ts_type,
                uint64_t ts)
{
    struct cph_wr wr = cph_wr_open(t->ts, sizeof t->ts);

    if (ts_type == MIKEY_TS_COUNTER)
        cph_wr_u32(&wr, (uint32_t)ts);
    else
        cph_wr_u64(&wr, ts);
    t->part[0] = idi;
    t->part[1] = idr;
    t->part[2] = cph_wr_done(&wr);
}

/* ---- MACs ------------------------------------------------------------------------------------ */

static cph_err mac_over(const struct cph_secret *key, const struct mikey_bundle *b,
                        struct cph_span covered, const struct cph_span *extra, unsigned n_extra,
                        uint8_t mac[MIKEY_MAC])
{
    struct cph_span part[4] = { covered };

    for (unsigned i = 0; i < n_extra; i++)
        part[1 + i] = extra[i];
    return mikey_mac(key, b, part, 1 + n_extra, mac);
}

cph_err mikey_mac_good(const struct cph_secret *key, const struct mikey_bundle *b,
                       struct cph_span covered, const struct cph_span *extra, unsigned n_extra,
                       struct cph_span mac)
{
    uint8_t want[MIKEY_MAC];

    CPH_TRY(mac_over(key, b, covered, extra, n_extra, want));
    return cph_ct_eq((struct cph_span){ want, sizeof want }, mac) ? CPH_OK : CPH_E_AUTH;
}

cph_err mikey_fill_mac(const struct cph_secret *key, const struct mikey_bundle *b,
                       struct mikey_out *o, size_t at, const struct cph_span *extra,
                       unsigned n_extra)
{
    CPH_TRY(cph_wr_end(&o->wr));
    return mac_over(key, b, (struct cph_span){ o->wr.p, at }, extra, n_extra, o->wr.p + at);
}

/* ---- certificates ---------------------------------------------------------------------------- */

cph_err mikey_put_certs(const struct cph_mikey *m, struct mikey_out *o)
{
    char *pem = malloc(PEM_MAX);
    struct cph_span rest;
    size_t n = 0;
    cph_err err = pem ? cph_cert_pem(m->cert, pem, PEM_MAX, &n) : CPH_E_NOMEM;

    rest = (struct cph_span){ (const uint8_t *)pem, n };
    /* RFC 3830 6.7: one payload per certificate of the chain */
    for (unsigned i = 0; err == CPH_OK && i < MIKEY_MAX_CERTS; i++) {
        static const char end[] = "-----END CERTIFICATE-----\n";
        const uint8_t *stop = rest.n ? memmem(rest.p, rest.n, end, sizeof end - 1) : NULL;
        struct cph_cert *one = NULL;
        struct cph_span text;

        if (!stop)
            break;
        text = cph_span_head(rest, (size_t)(stop - rest.p) + sizeof end - 1);
        rest = cph_span_from(rest, text.n);
        err = cph_cert_parse(m->cfg.env, text, &one);
        if (err == CPH_OK)
            mikey_put_cert(o, MIKEY_X509, cph_cert_der(one));
        cph_cert_free(one);
    }
    free(pem);
    return err;
}

/* The certificates of a message as one: a leaf and its chain. */
static cph_err read_certs(const struct cph_mikey *m, const struct mikey_msg *msg,
                          struct cph_cert **out)
{
    char *pem = malloc(PEM_MAX);
    size_t n = 0;
    cph_err err = pem ? CPH_OK : CPH_E_NOMEM;

    for (unsigned i = 0; i < msg->n_cert && err == CPH_OK; i++) {
        struct cph_cert *one = NULL;
        size_t more = 0;

        /* RFC 4738 3.8 EXCEPTION: an engine fetches nothing, so an URL is not followed; nor do we
         * keep a certificate for encryption beside that for signatures */
        if (msg->cert[i].type != MIKEY_X509 && msg->cert[i].type != MIKEY_X509_SIGN)
            err = CPH_E_UNSUPPORTED;
        /* 6.7: DER, of one certificate; our reader takes PEM too, of any number */
        if (err == CPH_OK && (msg->cert[i].data.n == 0 || msg->cert[i].data.p[0] != SEQUENCE))
            err = CPH_E_CERT;
        if (err == CPH_OK)
            err = cph_cert_parse(m->cfg.env, msg->cert[i].data, &one);
        if (err == CPH_OK)
            err = cph_cert_pem(one, pem + n, PEM_MAX - n, &more);
        n += more;
        cph_cert_free(one);
    }
    if (err == CPH_OK)
        err = cph_cert_parse(m->cfg.env, (struct cph_span){ (const uint8_t *)pem, n }, out);
    free(pem);
    return err == CPH_E_NOSPACE ? CPH_E_LIMIT : err;
}

static cph_err find_cert(const struct cph_mikey *m, const struct mikey_msg *msg,
                         struct cph_cert **out)
{
    if (msg->n_cert == 0) {
        if (!m->peer_cert)
            return CPH_E_CERT;
        *out = cph_cert_ref(m->peer_cert);
        return CPH_OK;
    }
    CPH_TRY(read_certs(m, msg, out));
    if (m->peer_cert && !cph_cert_eq(*out, m->peer_cert)) {
        cph_cert_free(*out);
        *out = NULL;
        return CPH_E_CERT;
    }
    return CPH_OK;
}

/* Is it one whose word counts, and does it name whom it should? */
static cph_err check_cert(const struct cph_mikey *m, const struct cph_cert *cert,
                          struct cph_span said_id, enum cph_keying_auth *auth)
{
    int64_t wall = cph_wall(m->cfg.env);
    struct cph_span name = said_id.n > 0 ? said_id : cph_span_of(m->peer_id);
    char why[CPH_CERT_WHY];

    *auth = CPH_KEYING_AUTH_NONE;
    if (m->peer_cert || !m->trust) {
        /* the very one we were given; or one that came along, and is as good as its way here */
        *auth = m->peer_cert ? CPH_KEYING_AUTH_CERT : CPH_KEYING_AUTH_PATH;
        return cph_cert_in_time(cert, wall);
    }
    CPH_TRY(cph_cert_verify(m->cfg.env, cert, m->trust, CPH_PURPOSE_ANY, wall, why));
    if (name.n > 0)
        CPH_TRY(cph_cert_is_user(cert, name));
    /* Somebody whom an authority knows is not yet the one who was called. */
    if (m->peer_id[0])
        *auth = CPH_KEYING_AUTH_CERT;
    return CPH_OK;
}

/* ---- signatures ------------------------------------------------------------------------------ */

static bool sig_alg(const struct cph_key *key, uint8_t type, enum cph_sig *out)
{
    bool rsa = cph_key_kind(key) == CPH_KEY_RSA;

    switch (type) {
    case MIKEY_SIG_PKCS1:
        *out = CPH_SIG_RSA_PKCS1;
        return rsa;
    case MIKEY_SIG_PSS:
        *out = CPH_SIG_RSA_PSS;
        return rsa;
    case MIKEY_SIG_ECDSA:
        *out = CPH_SIG_ECDSA_RAW;
        return !rsa && cph_key_kind(key) != CPH_KEY_ED25519;
    default:
        return false;
    }
}

/* What is signed, in one piece; RSA-R's answer has a tail (RFC 4738 3.6). The caller frees. */
static cph_err signed_text(struct cph_span covered, const struct mikey_tail *tail,
                           struct cph_buf *out)
{
    out->limit = MIKEY_MSG_MAX + 2 * CPH_SDP_MAX_LINE;
    CPH_TRY(cph_buf_put(out, covered));
    for (unsigned i = 0; tail && i < 3; i++)
        CPH_TRY(cph_buf_put(out, tail->part[i]));
    return CPH_OK;
}

static cph_err check_signature(const struct cph_mikey *m, const struct mikey_msg *msg,
                               const struct mikey_tail *tail, const struct cph_key *key, bool *sha1)
{
    struct cph_buf text = { 0 };
    enum cph_sig alg;
    cph_err err;

    *sha1 = false;
    if (!sig_alg(key, msg->sig_type, &alg))
        return CPH_E_UNSUPPORTED;
    err = signed_text(tail ? msg->before_sign : msg->covered, tail, &text);
    if (err == CPH_OK)
        err = cph_key_verify(m->cfg.env, key, alg, cph_buf_view(&text), msg->sig);
    /* RFC 3830 4.2.1 EXCEPTION: SHA-1 was mandatory; it is taken where policy says so, and told */
    if (err == CPH_E_AUTH && m->cfg.sha1_signatures && alg != CPH_SIG_ECDSA_RAW) {
        err = cph_key_verify_sha1(m->cfg.env, key, alg, cph_buf_view(&text), msg->sig);
        *sha1 = err == CPH_OK;
    }
    cph_buf_clear(&text);
    return err;
}

static void keep_facts(const struct cph_cert *cert, enum cph_keying_auth auth, bool sha1,
                       struct mikey_csb *csb)
{
    struct cph_fingerprint fp;

    csb->auth = auth;
    csb->sha1 = sha1;
    csb->has_fingerprint = cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp) == CPH_OK;
    if (csb->has_fingerprint)
        memcpy(csb->fingerprint, fp.b, MIKEY_HASH);
    cph_cert_validity(cert, &csb->not_before, &csb->not_after);
}

cph_err mikey_signed_by(const struct cph_mikey *m, const struct mikey_msg *msg,
                        struct cph_span said_id, const struct mikey_tail *tail,
                        struct mikey_csb *csb, struct cph_key **key, enum mikey_error *error)
{
    struct cph_cert *cert = NULL;
    struct cph_key *k = NULL;
    enum cph_keying_auth auth = CPH_KEYING_AUTH_NONE;
    bool sha1 = false;
    cph_err err = find_cert(m, msg, &cert);

    *error = MIKEY_E_CERT;
    if (err == CPH_OK)
        err = cph_cert_key(m->cfg.env, cert, &k);
    if (err == CPH_OK) {
        *error = MIKEY_E_AUTH;
        err = check_signature(m, msg, tail, k, &sha1);
    }
    if (err == CPH_OK) { /* a chain costs more than one signature: last */
        *error = MIKEY_E_CERT;
        err = check_cert(m, cert, said_id, &auth);
    }
    if (err == CPH_OK) {
        keep_facts(cert, auth, sha1, csb);
        *key = k;
        k = NULL;
    }
    cph_key_free(k);
    cph_cert_free(cert);
    return err;
}

/* The MAC is the proof: only the two keys' holders have what it is made under. */
static cph_err check_mqv(const struct cph_mikey *m, const struct mikey_msg *msg,
                         const struct cph_cert *cert, const struct mikey_bundle *b,
                         struct cph_secret *secret)
{
    struct cph_key *peer = NULL;
    cph_err err = cph_cert_key(m->cfg.env, cert, &peer);

    if (err == CPH_OK)
        err = cph_mqv_finish(m->key, peer, msg->envelope, secret);
    if (err == CPH_E_ARGUMENT) /* keys that cannot have been meant for each other */
        err = CPH_E_AUTH;
    if (err == CPH_OK)
        err = mikey_mac_good(secret, b, msg->covered, NULL, 0, msg->mac);
    cph_key_free(peer);
    return err;
}

cph_err mikey_mqv_by(const struct cph_mikey *m, const struct mikey_msg *msg,
                     struct cph_span said_id, struct mikey_csb *csb, struct cph_secret *key,
                     enum mikey_error *error)
{
    struct cph_cert *cert = NULL;
    enum cph_keying_auth auth = CPH_KEYING_AUTH_NONE;
    cph_err err = find_cert(m, msg, &cert);

    *error = MIKEY_E_CERT;
    if (err == CPH_OK) {
        *error = MIKEY_E_AUTH;
        err = check_mqv(m, msg, cert, &csb->b, key);
    }
    if (err == CPH_OK) {
        *error = MIKEY_E_CERT;
        err = check_cert(m, cert, said_id, &auth);
    }
    if (err == CPH_OK)
        keep_facts(cert, auth, false, csb);
    cph_cert_free(cert);
    return err;
}

static uint8_t our_sig_type(const struct cph_mikey *m)
{
    if (cph_key_kind(m->key) != CPH_KEY_RSA)
        return MIKEY_SIG_ECDSA;
    return m->cfg.pss ? MIKEY_SIG_PSS : MIKEY_SIG_PKCS1;
}

cph_err mikey_put_signature(const struct cph_mikey *m, struct mikey_out *o,
                            const struct mikey_tail *tail)
{
    uint8_t type = our_sig_type(m), sig[CPH_KEY_SIG_MAX];
    size_t before = o->wr.n, at, n = 0, want;
    struct cph_buf text = { 0 };
    enum cph_sig alg;
    cph_err err;

    if (!sig_alg(m->key, type, &alg))
        return CPH_E_CONFIG;
    want = cph_key_sig_size(m->key, alg);
    at = mikey_put_sign(o, type, want);
    CPH_TRY(cph_wr_end(&o->wr));
    /* RFC 3830 5.2: all but the signature itself; RFC 4738 3.6: all but the payload, and the tail
     */
    err = signed_text((struct cph_span){ o->wr.p, tail ? before : at }, tail, &text);
    if (err == CPH_OK)
        err = m->cfg.sha1_signatures && alg != CPH_SIG_ECDSA_RAW
                  ? cph_key_sign_sha1(m->cfg.env, m->key, alg, cph_buf_view(&text), sig, sizeof sig,
                                      &n)
                  : cph_key_sign(m->cfg.env, m->key, alg, cph_buf_view(&text), sig, sizeof sig, &n);
    cph_buf_clear(&text);
    if (err == CPH_OK && n != want)
        err = CPH_E_BUG;
    if (err == CPH_OK)
        memcpy(o->wr.p + at, sig, n);
    return err;
}
