/* Ciphony: ZRTP (RFC 6189): what the row "zrtp" of keying.h needs beyond it, and what it tells. */
#ifndef CPH_KEYING_ZRTP_H
#define CPH_KEYING_ZRTP_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/keying.h"

enum {
    CPH_ZRTP_ZID = 12,         /* bytes that name an endpoint; drawn once, at installation */
    CPH_ZRTP_SASHASH = 32,     /* what the users compare a part of, and what signatures cover */
    CPH_ZRTP_SIGNATURE = 1024, /* bytes of a signature block, without its type */
    CPH_ZRTP_SAS = 32,         /* a rendered SAS and the NUL */
    CPH_ZRTP_NAME = 256,       /* an address of a peer and the NUL */
    CPH_ZRTP_NAMES = 4,        /* of one endpoint that are kept */
};

/* ---- what lasts from call to call ------------------------------------------------------------ */

/* What is shared with one other endpoint, by its ZID. A secret with n == 0 is not there. */
struct cph_zrtp_retained {
    struct cph_secret rs1, rs2; /* of the last call, and of the one before */
    struct cph_secret aux;      /* agreed by other means */
    struct cph_secret pbx;      /* with a trusted man in the middle we enrolled with. 7.3.1 */
    bool verified;              /* a user compared the SAS, and continuity held ever since */
    /* Under which addresses it was compared, the latest first: a secret proves a device, and only
     * the comparison said whose it is. Of one that nobody compared: where it was met, if no other
     * one was there before. */
    char peer[CPH_ZRTP_NAMES][CPH_ZRTP_NAME];
    int64_t expires; /* wall seconds; INT64_MAX: never. An expired secret is used if the peer still
                        has it, and not missed if not. RFC 6189 4.9 */
};

/* Implemented by whoever keeps things. Calls come from the thread of the instance. */
struct cph_zrtp_store {
    void *ctx;
    /* CPH_E_NOTFOUND if nothing is known of zid. The caller wipes *out. */
    cph_err (*get)(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out);
    /* Replace all that is known of zid, durably. */
    cph_err (*put)(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], const struct cph_zrtp_retained *in);
    /* Is another endpoint than zid kept under this address, either compared or with a secret that
     * did not expire? May be NULL: then a new device under an old address goes unnoticed. */
    bool (*other)(void *ctx, const char *peer, const uint8_t zid[CPH_ZRTP_ZID]);
};

/* Who signed: SHA-256 and dates of a certificate or OpenPGP key (cph_pgp_by), for whoever knows it
 * by them. */
struct cph_zrtp_signed {
    uint8_t fingerprint[32];
    int64_t not_before, not_after; /* wall seconds */
    bool trusted;                  /* and somebody whom we trust says whose it is */
};

/* Signatures over the SAS. 7.2. Either function may be NULL. */
struct cph_zrtp_signer {
    void *ctx;
    /* type: "PGP " or "X509"; at most cap bytes to out, their number to *n. */
    cph_err (*sign)(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4], uint8_t *out,
                    size_t cap, size_t *n);
    /* CPH_OK if it is a good signature; by comes zeroed. signature may end in padding zeros. */
    cph_err (*verify)(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], const char type[4],
                      struct cph_span signature, struct cph_zrtp_signed *by);
};

struct cph_key;
struct cph_cert;
struct cph_trust;
struct cph_pgp_key; /* crypto_pgp.h */

/* Signatures are made by a certificate with a P-256 or P-384 key (7.2.2), and read by such, or by
 * the OpenPGP key that the user has for this peer (7.2.1). All pointers are borrowed. */
struct cph_zrtp_signing {
    const struct cph_env *env;
    const struct cph_key *key; /* NULL, or of another kind: nothing is signed */
    const struct cph_cert *cert;
    const struct cph_trust *trust; /* NULL: nobody is trusted, and pins decide */
    const struct cph_pgp_key *pgp; /* NULL: a signature of type "PGP " cannot be read */
};
/** s outlives the signer. */
CPH_API void cph_zrtp_signer_init(struct cph_zrtp_signing *s, struct cph_zrtp_signer *out);

/* ---- one call -------------------------------------------------------------------------------- */

/* Copied; the pointers outlive the call. */
struct cph_zrtp_cfg {
    const struct cph_env *env;
    uint8_t zid[CPH_ZRTP_ZID];
    const struct cph_zrtp_store *store;   /* NULL: nothing is retained. 4.9.1 */
    const struct cph_zrtp_signer *signer; /* NULL: no signatures */
    const struct cph_secret *aux;         /* auxsecret for everybody; NULL: the store's, if any */
    /* Whom we talk to, in one spelling; outlives the call. A string compared under another address
     * does not verify this one: it was another user who read it. NULL: any. 12 */
    const char *peer;
    /* Types of 4 characters, best first, NULL-ended; NULL: ours. What the RFC makes mandatory is
     * always there, at the end. */
    const char *const *hashes;     /* S256, S384 */
    const char *const *ciphers;    /* AES3, AES1; AES2 */
    const char *const *tags;       /* HS80, HS32 */
    const char *const *agreements; /* X255, EC25, DH3k, EC38; DH2k, X448 */
    const char *const *sas;        /* "B32 ", B256 */
    uint32_t cache_s; /* seconds a secret is kept; 0: for ever (0xffffffff on the wire) */
    bool passive;     /* never send a Commit */
    bool preshared;   /* key by the secret of the last call alone, when its SAS was compared */
    bool mitm;        /* we are a trusted man in the middle: we may relay a SAS */
    bool enroll;      /* and this call enrols the peer with us */
    bool disclose;    /* our keys may be known to others: confess it. 11 */
    bool allow_clear; /* the peer may take the call back to RTP */
};

/* What the streams of a call share: the session key and the SAS with each peer. Counted. */
struct cph_zrtp_call;

/** One reference, the caller's. CPH_E_CONFIG for an unknown type; CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_call_new(const struct cph_zrtp_cfg *cfg,
                                                 struct cph_zrtp_call **out);
/** Drops the caller's reference; instances have theirs. NULL is fine. */
CPH_API void cph_zrtp_call_free(struct cph_zrtp_call *call);

/* ---- one stream ------------------------------------------------------------------------------ */

enum cph_zrtp_mode { CPH_ZRTP_DH, CPH_ZRTP_PRESHARED, CPH_ZRTP_MULTISTREAM };

struct cph_zrtp_info {
    bool secure;    /* both directions have keys */
    bool clear;     /* the call went back to RTP; nothing is sent until the user agrees */
    bool clearing;  /* that was our wish, and the peer has not acknowledged it yet */
    bool initiator; /* we sent the Commit that counts */
    enum cph_zrtp_mode mode;
    const char *hash, *cipher, *tag, *agreement, *sas_type; /* "S256", ...; NULL: not agreed yet */
    bool has_peer;
    uint8_t peer_zid[CPH_ZRTP_ZID];
    char peer_client[17];           /* what its software calls itself, unprintable bytes as '?' */
    char sas[CPH_ZRTP_SAS];         /* to be read out and compared; "" if there is none yet */
    char relayed_sas[CPH_ZRTP_SAS]; /* of the far side of a trusted man in the middle; compare this
                                       one then */
    bool relay_signed; /* with it came a good signature, of the man in the middle: relay_by. It says
                          which one that is, and nothing of the far side */
    struct cph_zrtp_signed relay_by;
    uint8_t sashash[CPH_ZRTP_SASHASH]; /* valid with sas */
    bool hash_bound;                   /* its Hello is the one that its description promised. 8.1 */
    bool known;                        /* we had a secret retained from an earlier call */
    bool continuity;                   /* and the peer had it too */
    bool mismatch;                     /* we had, the peer had not: warn, compare the SAS. 4.3.2 */
    bool unread;                       /* a mismatch since the store could not be read */
    bool strange;                      /* that, or other_device, and not compared yet */
    bool aux_mismatch;                 /* an auxiliary secret is here and did not match */
    bool verified;                     /* SAS compared in an earlier call, and continuity since */
    char known_as[CPH_ZRTP_NAME];      /* it was, but under this address; "" if not */
    bool other_device;                 /* under this address it was another endpoint: warn */
    bool peer_verified;                /* the peer says so of itself */
    bool compared;                     /* SAS compared in this call */
    bool refuted;                      /* compared, and different: somebody is in the middle */
    bool peer_discloses;               /* the peer confesses that its keys may be known to others */
    bool peer_allows_clear;
    bool peer_mitm;      /* the peer is a man in the middle that says so */
    bool trusted_mitm;   /* and we are enrolled with it */
    bool enroll_asked;   /* it asks us to enrol */
    bool enrolled;       /* and we did, in this call */
    bool signed_by_peer; /* a signature over the SAS was good, and its signer is trusted */
    bool has_signature;  /* a signature was good, whoever made it: by */
    struct cph_zrtp_signed by;
    unsigned error; /* code of the Error message sent or received; 0: none. 5.9 */
};

/* All below take an instance of the row "zrtp"; CPH_E_ARGUMENT for any other. */

/** How it stands now; *out is copied. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_info(const struct cph_keying *k, struct cph_zrtp_info *out);
/** The user compared the SAS. equal: the retained secret is kept as verified; else it is forgotten.
 *  CPH_E_STATE before there is a SAS; CPH_E_STORE if it could not be kept (the call goes on). */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_compared(struct cph_keying *k, bool equal);
/** The user lets the peer be a trusted man in the middle from now on. CPH_E_STATE if not asked. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_enroll(struct cph_keying *k);
/** As a trusted man in the middle, tell this peer the SAS of the other side; other NULL: only its
 *  rendering by this side. Zeros go to a peer that is not enrolled, and where both are, to the one
 *  that is a man in the middle itself or comes second. 7.3. CPH_E_STATE */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_relay(struct cph_keying *k, const struct cph_keying *other,
                                              cph_time now);
/** Go back to RTP: the keys of every stream with this peer go. 4.7.2. CPH_E_POLICY if the peer does
 *  not allow it. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_clear(struct cph_keying *k, cph_time now);
/** And to SRTP again, by Multistream. CPH_E_STATE if it is not clear. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_secure(struct cph_keying *k, cph_time now);
/** A packet of the peer was unprotected with our receiving key: as good as a Conf2ACK. 4.6 */
CPH_API void cph_zrtp_media(struct cph_keying *k, cph_time now);
/** A master key and salt that the signalling agreed on beside ZRTP: mixed in as auxsecret. 8.2.
 *  CPH_E_STATE once the exchange is under way. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_srtps(struct cph_keying *k, struct cph_span key,
                                              struct cph_span salt);
/** The key for other uses of this call. 4.5.2. CPH_E_STATE before it is secure, and for
 *  Multistream. */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_export(const struct cph_keying *k, struct cph_secret *out);

/** The leftmost bits of a SAS hash as "B32 " (4 characters) or "B256" (two words "even odd").
 *  CPH_E_UNSUPPORTED for another type. 5.1.6 */
CPH_API CPH_MUST_CHECK cph_err cph_zrtp_sas_text(const char *type,
                                                 const uint8_t sashash[CPH_ZRTP_SASHASH],
                                                 char out[CPH_ZRTP_SAS]);

#endif
