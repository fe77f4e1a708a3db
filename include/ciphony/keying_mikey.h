/* Ciphony: MIKEY (RFC 3830): what the row "mikey" of keying.h needs beyond it, and what it tells.
 */
#ifndef CPH_KEYING_MIKEY_H
#define CPH_KEYING_MIKEY_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/crypto_agree.h"
#include "ciphony/keying.h"

struct cph_trust; /* crypto_key.h */

/* How the two sides come to a key. */
enum cph_mikey_mode {
    CPH_MIKEY_NULL,   /* keys in clear, no MAC: for signalling that is protected from end to end */
    CPH_MIKEY_PSK,    /* keys under a secret shared beforehand. RFC 3830 3.1 */
    CPH_MIKEY_RSA,    /* keys under an envelope for the responder's certificate. 3.2. For an EC
                         certificate it is ECIES's, after draft-ietf-msec-mikey-ecc */
    CPH_MIKEY_RSA_R,  /* the responder makes the keys, for the initiator's certificate, of either
                         kind. RFC 4738 */
    CPH_MIKEY_DHSIGN, /* Diffie-Hellman, signed. RFC 3830 3.3 */
    CPH_MIKEY_DHHMAC, /* Diffie-Hellman under a secret shared beforehand. RFC 4650 */
    CPH_MIKEY_ECMQV,  /* keys under what two EC certificates agree on, without a signature.
                         draft-ietf-msec-mikey-ecc */
    CPH_MIKEY_MODES_
};

enum {
    CPH_MIKEY_ID = 256,       /* bytes of an identity */
    CPH_MIKEY_REPLAYS = 1024, /* default size of the replay cache, messages */
    CPH_MIKEY_SKEW_S = 300,   /* default tolerance of clocks, seconds */
    CPH_MIKEY_WHY = 96,       /* a reason in words, with its NUL */
};

/*
 * Copied; the pointers outlive the object, and the spans with it. What keying.h's cfg has (psk,
 * key, cert) is not looked at: the material stands here, since a peer's identity belongs to it.
 */
struct cph_mikey_cfg {
    const struct cph_env *env;
    enum cph_mikey_mode mode; /* of our offers */
    unsigned accept; /* modes we answer, bits 1 << mode; 0: those we have the material for, but not
                        NULL, which must be named */
    const char *id;  /* we, as a URI: "sip:alice@example.org"; NULL: not said */
    const char *peer_id; /* whom we talk to; NULL: anybody, and then a certificate's chain proves
                            nobody in particular (info tells whom it names) */

    const struct cph_secret *psk; /* PSK, DHHMAC */
    const struct cph_key *key;    /* RSA, RSA_R, DHSIGN, ECMQV */
    const struct cph_cert *cert;  /* and its certificate, with the chain to send along */
    const struct cph_cert
        *peer_cert; /* RSA, ECMQV: the responder's. Where it is set, no other counts */
    const struct cph_trust *trust; /* anchors for the peer's; NULL: its key proves nothing of who */

    enum cph_agree_group group; /* of our DH offers; CPH_AGREE_MODP_1024 (0): P-256 */
    bool weak_groups;           /* take and offer groups below 2048 bits */
    bool sha1_signatures;       /* take RSA over SHA-1, and sign so */
    bool pss, oaep;             /* RSA-PSS and RSA-OAEP instead of PKCS #1 1.5 */
    bool key_wrap;              /* AES key wrap instead of AES-CM for our keys */
    bool counter; /* our timestamps are a COUNTER, from counter_next on, and a peer's may
                     be; needs id, and that neither side forgets where it was */
    uint32_t counter_next;
    unsigned mki_n;   /* bytes of MKI in our keys, 0 to 8; 0: none, and one re-key at a time */
    unsigned skew_s;  /* 0: CPH_MIKEY_SKEW_S */
    unsigned replays; /* 0: CPH_MIKEY_REPLAYS */
};

/*
 * What the calls between us and one peer share: the material, the last timestamp, the replay cache,
 * and a Diffie-Hellman pair made beforehand. One thread at a time.
 */
struct cph_mikey;

/** CPH_E_CONFIG if the mode of our offers lacks its material or a group or length is out of range;
 *  CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_mikey_new(const struct cph_mikey_cfg *cfg,
                                             struct cph_mikey **out);
CPH_API void cph_mikey_free(struct cph_mikey *m); /* wipes; NULL is fine. After every instance. */
/** Make the Diffie-Hellman pair of the next offer now, outside of it. Does nothing if there is one,
 *  or if the mode needs none. Errors as of cph_agree_make(). */
CPH_API CPH_MUST_CHECK cph_err cph_mikey_prepare(struct cph_mikey *m);

/** "null", "psk", "rsa", "rsa-r", "dhsign", "dhhmac", "ecmqv". */
CPH_API const char *cph_mikey_mode_name(enum cph_mikey_mode mode);
/** CPH_E_MALFORMED for another word. */
CPH_API CPH_MUST_CHECK cph_err cph_mikey_mode_parse(struct cph_span name, enum cph_mikey_mode *out);

struct cph_mikey_info {
    bool keyed;
    enum cph_mikey_mode mode;
    uint32_t csb_id;
    unsigned updates; /* exchanges that changed the bundle after the first */
    bool list_bound;  /* the list of protocols was under the message's protection. RFC 4567 4.1.4 */
    bool weak_group;  /* the keys rest on a group below 2048 bits */
    bool sha1;        /* the peer signed over SHA-1 */
    int error_sent;   /* number of the Error message made last (RFC 3830 6.12); -1: none */
    int error_got;    /* and of the one that came about our offer, which is no more than a hint */
    char peer_id[CPH_MIKEY_ID]; /* whom the exchange was with; "" if not said */
};

/* Below: instances of the row "mikey"; CPH_E_ARGUMENT for any other. */

/** What came of the exchange so far; *out is copied, nothing of it is secret. */
CPH_API CPH_MUST_CHECK cph_err cph_mikey_info(const struct cph_keying *k,
                                              struct cph_mikey_info *out);
/** Say the SSRC and ROC of our stream with the next offer or answer. Without it they are zero: the
 *  SSRC is then bound by its first packet. RFC 3830 6.1.1 */
CPH_API CPH_MUST_CHECK cph_err cph_mikey_stream(struct cph_keying *k, uint32_t ssrc, uint32_t roc);

#endif
