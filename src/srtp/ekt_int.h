/* What the files of EKT share. */
#ifndef CPH_SRTP_EKT_INT_H
#define CPH_SRTP_EKT_INT_H

#include "srtp_int.h"

#include "ciphony/srtp_ekt.h"

enum {
    EKT_FULL_TAIL = 7, /* SPI, epoch, length, type */
    EKT_EXT_TAIL = 3,  /* length, type */
    EKT_KEY_MAX = 64,  /* the longest master key of our suites */
    EKT_PLAIN_MAX = 1 + EKT_KEY_MAX + 4 + 4,
};

#define EKT_T (1ULL << 48) /* RFC 8870 4.4.1: encryptions under one EKT key */

/* RFC 8870 4.1: EKTPlaintext = SRTPMasterKeyLength SRTPMasterKey SSRC ROC */
struct ekt_plain {
    struct cph_secret key;
    uint32_t ssrc, roc;
};

/** Wrap into out, which takes CPH_EKT_TAG_MAX - EKT_FULL_TAIL bytes. */
cph_err ekt_wrap(const struct cph_ekt_params *params, const struct ekt_plain *in, uint8_t *out,
                 size_t *n);
/** CPH_E_AUTH, CPH_E_MALFORMED. The caller wipes out->key. */
cph_err ekt_unwrap(const struct cph_ekt_params *params, struct cph_span ciphertext,
                   struct ekt_plain *out);

/** Lengths, salt for this suite, ttl. */
bool ekt_params_fit(const struct cph_ekt_params *p, const struct cph_srtp_suite *suite);
/** What EKT can go with. RFC 8870 4 */
bool ekt_policy_fits(const struct cph_srtp_policy *p);
/** base with the key of a tag, and the salt of its parameter set. CPH_E_MALFORMED for a key of a
 *  length the suite does not have. */
cph_err ekt_policy(const struct cph_srtp_policy *base, const struct cph_ekt_params *params,
                   const struct cph_secret *key, struct cph_srtp_policy *out);

/** Has this sender sent anything under this SSRC? */
bool ekt_sender_sends(const struct cph_ekt_sender *s, uint32_t ssrc);
/** The two halves of a pair, each to be told when the other goes. */
void ekt_sender_heard_by(struct cph_ekt_sender *s, struct cph_ekt_receiver *r);
void ekt_receiver_alone(struct cph_ekt_receiver *r);

#endif
