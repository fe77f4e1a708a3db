/* What came of it: keys, and what can honestly be claimed of them. */
#include "dtls_int.h"
#include "../keying_int.h"

#include <string.h>

void dtls_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    const struct dtls *d = (const struct dtls *)k;

    *out = d->status;
    out->state = d->state;
    for (int c = 0; c < 2; c++) {
        if (d->won[c] && d->state == CPH_KEYING_KEYED)
            out->at[c] = d->won[c]->from;
    }
}

/* See export_keys() in follow.c. */
cph_err dtls_keys(const struct cph_keying *k, enum cph_keying_component c, enum cph_keying_dir dir,
                  unsigned i, struct cph_srtp_policy *out)
{
    const struct dtls *d = (const struct dtls *)k;
    const struct dtls_shake *won = d->won[d->own.mux ? CPH_KEYING_RTP : c];
    CPH_SRTP_POLICY_SCOPED p = { 0 };
    size_t key_n, salt_n, who;

    if (!won || d->state == CPH_KEYING_FAILED)
        return CPH_E_AGAIN;
    if (i > 0)
        return CPH_E_NOTFOUND;
    p.suite = cph_srtp_suite_by_dtls(cph_stream_srtp_profile(won->s));
    if (!p.suite)
        return CPH_E_BUG;
    key_n = p.suite->key_n;
    salt_n = p.suite->salt_n;
    if (won->keys.n != 2 * (key_n + salt_n))
        return CPH_E_BUG;
    /* RFC 5764 4.2 MUST: the client writes with the client's key, the server only reads with it */
    who = (won->role == CPH_STREAM_CLIENT) == (dir == CPH_KEYING_SEND) ? 0 : 1;
    CPH_TRY(cph_secret_set(&p.master.key, (struct cph_span){ won->keys.b + who * key_n, key_n }));
    CPH_TRY(cph_secret_set(&p.master.salt,
                           (struct cph_span){ won->keys.b + 2 * key_n + who * salt_n, salt_n }));
    *out = p;
    return CPH_OK;
}

static unsigned hash_bits(enum cph_fp_hash hash)
{
    switch (hash) {
    case CPH_FP_SHA256:
        return 256;
    case CPH_FP_SHA384:
        return 384;
    case CPH_FP_SHA512:
        return 512;
    case CPH_FP_NONE:
    case CPH_FP_SHA1:
        break;
    }
    return 0;
}

void dtls_evidence(const struct cph_keying *k, struct cph_keying_evidence *out)
{
    const struct dtls *d = (const struct dtls *)k;
    const struct dtls_shake *won = d->won[CPH_KEYING_RTP];
    const struct cph_srtp_suite *suite;
    struct cph_fingerprint fp;

    out->method = "dtls";
    out->notes |= d->notes;
    if (!won || d->state == CPH_KEYING_FAILED)
        return;
    suite = cph_srtp_suite_by_dtls(cph_stream_srtp_profile(won->s));
    if (!suite)
        return;
    out->suite = suite->sdes_name;
    out->keyed = true;
    out->rtp_encrypted = out->rtcp_encrypted = suite->encrypts;
    out->rtp_authenticated = true;
    out->key_bits = 8U * suite->key_n;
    out->tag_bits = 8U * suite->tag_n;
    out->keys_stay_at_ends = true;
    out->forward_secrecy = true;  /* stream/ has no cipher without it */
    out->choice_protected = true; /* use_srtp is under the handshake's Finished */
    out->peer_auth = CPH_KEYING_AUTH_SIGNALLED;
    out->hash_bits = hash_bits(d->hash);
    if (cph_stream_resumed(won->s))
        out->notes |= CPH_KEYING_NOTE_RESUMED;
    if (suite->tag_n < 10)
        out->notes |= CPH_KEYING_NOTE_SHORT_TAG;
    if (cph_cert_fingerprint(cph_stream_peer(won->s), CPH_FP_SHA256, &fp) == CPH_OK) {
        memcpy(out->peer_fingerprint, fp.b, fp.n);
        out->peer_fingerprint_n = fp.n;
    }
    cph_cert_validity(cph_stream_peer(won->s), &out->peer_not_before, &out->peer_not_after);
}
