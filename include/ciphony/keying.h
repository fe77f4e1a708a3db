/* Ciphony: the face every key management shows. A mechanism is one folder below keying/ and one row
 * in the table; whoever uses it knows this header only. */
#ifndef CPH_KEYING_H
#define CPH_KEYING_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/base_mem.h"
#include "ciphony/sdp.h"

struct cph_srtp_policy; /* srtp.h */
struct cph_key;         /* crypto_key.h */
struct cph_cert;        /* crypto_key.h */
struct cph_dtls;        /* keying_dtls.h */
struct cph_mikey;       /* keying_mikey.h */
struct cph_zrtp_call;   /* keying_zrtp.h */
struct cph_ekt_params;  /* srtp_ekt.h */

enum {
    CPH_KEYING_MAX_METHODS = 16, /* rows of the table, and mechanisms in one offer */
    CPH_KEYING_MAX_KEYS = 4,     /* master keys of one direction, told apart by MKI */
    CPH_KEYING_MAX_HINTS = 8,    /* streams a mechanism may announce with their ROC */
    CPH_KEYING_PACKET = 1500,    /* a datagram that pull() may write */
};

enum cph_keying_where {
    CPH_KEYING_IN_SIGNALLING = 1, /* done when offer and answer are */
    CPH_KEYING_IN_MEDIA = 2,      /* talks on the media path before there are keys */
    CPH_KEYING_IN_BOTH = 3,
};

/* What a mechanism cannot work without; bits. */
enum cph_keying_needs {
    CPH_KEYING_NEEDS_NOTHING = 0,
    CPH_KEYING_NEEDS_CERT = 1,  /* cfg.key and cfg.cert */
    CPH_KEYING_NEEDS_ZRTP = 2,  /* cfg.zrtp */
    CPH_KEYING_NEEDS_MIKEY = 4, /* cfg.mikey */
};

enum cph_keying_component { CPH_KEYING_RTP, CPH_KEYING_RTCP }; /* with rtcp-mux only RTP is used */
enum cph_keying_dir { CPH_KEYING_SEND, CPH_KEYING_RECV };      /* as the local side sees it */

enum cph_keying_state {
    CPH_KEYING_IDLE,    /* no offer or answer yet */
    CPH_KEYING_OFFERED, /* our first offer is out */
    CPH_KEYING_RUNNING, /* offer and answer are through; the media path is still busy */
    CPH_KEYING_KEYED,   /* keys() has them. Stays so during a re-offer */
    CPH_KEYING_FAILED,  /* no media may flow; status.why says why */
};

/* What becomes of roll-over counters and replay windows when the keys of a direction change. */
enum cph_keying_streams {
    CPH_KEYING_STREAMS_KEEP,  /* RFC 3711 3.3.1 MUST: the ROC goes on over a change of keys */
    CPH_KEYING_STREAMS_FRESH, /* a new context: ROC zero, as RFC 4568 7.1.4 has it for a new address
                               */
};

/* Where one side of a keying instance stands. Compare the generations with those last installed. */
struct cph_keying_status {
    enum cph_keying_state state;
    struct {
        unsigned generation; /* 0: no keys yet; moves whenever the keys of this direction change */
        enum cph_keying_streams streams; /* what to do with the streams of the generation before */
        /* The peer changed its address and kept its key (RFC 4568 7.1.4 forbids): the ROC is kept,
         * but if every packet fails its tag, a ROC of zero may be tried for receiving. Never for
         * sending. */
        bool roc_doubt;
    } dir[2];          /* by enum cph_keying_dir */
    bool offer_wanted; /* another offer of ours is needed before there are keys, or for new ones */
    cph_err err;       /* with CPH_KEYING_FAILED, else CPH_OK */
    const char *why;   /* static text for people, NULL if there is nothing to say */
    /* Where the peer was reached when it proved who it is, by component; family NONE: the mechanism
     * does not know. */
    struct cph_addr at[2];
};

/* A stream whose state is known beforehand (MIKEY's crypto sessions, EKT). */
struct cph_keying_hint {
    enum cph_keying_dir dir;
    uint32_t ssrc;
    uint32_t roc;
    bool has_seq;
    uint16_t seq;
};

/* Who the other end of the keys proved to be, by the mechanism's own means. */
enum cph_keying_auth {
    CPH_KEYING_AUTH_NONE, /* nobody: anyone on the path could be the peer */
    CPH_KEYING_AUTH_PATH, /* what it holds came in the signalling itself (a share in SDP): who can
                             write there can be the peer, and who reads only cannot */
    CPH_KEYING_AUTH_SIGNALLED, /* it holds what the signalling named (fingerprint, key): worth what
                                  that is */
    CPH_KEYING_AUTH_PSK,       /* it holds a secret shared beforehand */
    CPH_KEYING_AUTH_CERT,      /* its certificate chains to an authority the mechanism was given */
    CPH_KEYING_AUTH_RETAINED,  /* it holds a secret kept since a call whose string was compared */
    CPH_KEYING_AUTH_COMPARED,  /* the users compared a string and said so */
};

/* Facts worth a reason in the verdict; bits of evidence.notes. */
enum cph_keying_note {
    CPH_KEYING_NOTE_OPPORTUNISTIC =
        1 << 0, /* keys under RTP/AVP: an attacker could have stripped them */
    CPH_KEYING_NOTE_PEER_PLAIN =
        1 << 1, /* we offered keys, the answer had none (or they were stripped) */
    CPH_KEYING_NOTE_PEER_NEVER_ASKED = 1 << 2, /* the offer had no keys */
    CPH_KEYING_NOTE_NOT_BEST = 1 << 3,         /* the peer took less than the best we offered */
    CPH_KEYING_NOTE_LOST_METHOD =
        1 << 4, /* an attribute was present but unusable; another method ran */
    CPH_KEYING_NOTE_SEVERAL_ANSWERED =
        1 << 5, /* the answer named several methods (RFC 8643 3.2 forbids) */
    CPH_KEYING_NOTE_TAG_RENUMBERED =
        1 << 6, /* SDES answer with a tag that was not the chosen one's */
    CPH_KEYING_NOTE_KEY_KEPT_ON_MOVE = 1 << 7, /* the peer moved and kept its key */
    CPH_KEYING_NOTE_UNENCRYPTED_RTP = 1 << 8,
    CPH_KEYING_NOTE_UNENCRYPTED_RTCP = 1 << 9,
    CPH_KEYING_NOTE_UNAUTHENTICATED_RTP = 1 << 10,
    CPH_KEYING_NOTE_WEAK_HASH = 1 << 11, /* sha-1 or less was the only fingerprint: refused */
    CPH_KEYING_NOTE_SHORT_TAG = 1 << 12, /* a tag of 32 bits */
    CPH_KEYING_NOTE_CONTINUITY_BROKEN =
        1 << 22, /* ZRTP: it has not what the device of earlier calls has, or is another: compare */
    CPH_KEYING_NOTE_PEER_DISCLOSES = 1 << 23,  /* ZRTP: the peer lets others have its keys */
    CPH_KEYING_NOTE_TRUSTED_MITM = 1 << 24,    /* ZRTP: the keys end at a man in the middle that we
                                                  enrolled with */
    CPH_KEYING_NOTE_PEER_IS_MITM = 1 << 26,    /* ZRTP: the peer says that it is in the middle */
    CPH_KEYING_NOTE_NOT_COMPARED = 1 << 27,    /* ZRTP: nobody compared the string, ever */
    CPH_KEYING_NOTE_RIVAL_HANDSHAKE = 1 << 13, /* somebody else tried to handshake on our port */
    CPH_KEYING_NOTE_KEY_SHARED =
        1 << 15, /* forked: other answerers of our offer know our sending key */
    CPH_KEYING_NOTE_LOWER_METHOD = 1 << 16, /* a later exchange moved to a method we like less */
    CPH_KEYING_NOTE_DOWNGRADE_REFUSED = 1 << 14, /* a re-offer wanted less and was turned down */
    CPH_KEYING_NOTE_RESUMED = 1 << 17,           /* DTLS: from the secret of an earlier call */
    CPH_KEYING_NOTE_WEAK_GROUP = 1 << 20,        /* Diffie-Hellman over less than 2048 bits */
    CPH_KEYING_NOTE_WEAK_SIGNATURE = 1 << 21,    /* the peer signed over SHA-1 */
};

enum { CPH_KEYING_FINGERPRINT = 64 };

/* Why the other side turned our offer down, in the words of a mechanism. A hint and no more: it
 * takes no keys away, and is never a reason to offer less. */
struct cph_keying_refusal {
    const char *method; /* "mikey" */
    const char *why;    /* static text for people */
    bool proven;        /* it came under a secret or a key that only the peer has beside us */
};

/* What a mechanism can honestly claim. Zero is the worst in every field. */
struct cph_keying_evidence {
    const char *method; /* "sdes", "dtls"; NULL: plain RTP */
    const char *suite;  /* as in RFC 4568 and its registry: "AES_CM_128_HMAC_SHA1_80"; NULL: none */
    bool keyed;         /* both directions have keys */
    bool rtp_encrypted, rtp_authenticated, rtcp_encrypted;
    unsigned key_bits, tag_bits;
    bool keys_stay_at_ends; /* false: whoever can read the signalling has the keys (SDES) */
    bool forward_secrecy;   /* keys of this call are lost with it, whatever leaks later */
    bool choice_protected;  /* the choice of suite was covered by the key exchange itself */
    enum cph_keying_auth peer_auth;
    unsigned hash_bits; /* of the fingerprint or hash that peer_auth rests on; 0: none */
    /* SHA-256 over the peer's certificate or public key, for pinning; n is 0 if there is none. */
    uint8_t peer_fingerprint[CPH_KEYING_FINGERPRINT];
    size_t peer_fingerprint_n;
    int64_t peer_not_before,
        peer_not_after; /* its dates, wall seconds; 0: it has none, or unknown */
    unsigned notes;     /* enum cph_keying_note */
    /* Written by negotiation: rows of the table by bit (1 << index in cph_keying_methods). */
    unsigned offered, peer_offered;
};

/* What an instance is made from; copied. The pointers outlive every instance. */
struct cph_keying_cfg {
    const struct cph_env *env;
    const struct cph_key *key;    /* our device key, NULL if there is none */
    const struct cph_cert *cert;  /* and its certificate */
    struct cph_dtls *dtls;        /* of the same key and cert; NULL: each instance is on its own */
    struct cph_mikey *mikey;      /* NULL: MIKEY is neither offered nor answered */
    const char *const *suites;    /* SDES names, best first, NULL-ended; NULL: cph_keying_suites */
    const char *const *dh_groups; /* SDP-DH: names, best first, NULL-ended; NULL: x25519, p-256 */
    bool rtcp_mux;                /* we wish it; what was agreed is read from the descriptions */
    bool allow_unencrypted;       /* take the UNENCRYPTED_* of a peer. Default no */
    bool allow_unauthenticated;   /* take UNAUTHENTICATED_SRTP of a peer. Default no */
    unsigned mki_n;               /* SDES: bytes of MKI we offer; 0: none */
    /* An EKT set to offer (keying_ekt.h); NULL: none. It is looked at with every offer, so its
     * owner may put another one, with another SPI, in its place. */
    const struct cph_ekt_params *ekt;
    bool allow_ekt;             /* take a peer's offer of one. Default no */
    unsigned mtu;               /* of datagrams that pull() writes; 0: 1200 */
    struct cph_zrtp_call *zrtp; /* NULL: ZRTP is neither offered nor answered */
    /* ZRTP, MIKEY: of the stream we send, and of no other stream of the call; 0: ZRTP draws one,
     * MIKEY does not say it */
    uint32_t ssrc;
};

/* The suites we offer by default, best first, NULL-ended. */
CPH_API extern const char *const cph_keying_suites[];

/* One section of a description, ours (to be written) or the peer's. */
struct cph_keying_local {
    struct cph_sdp *sdp;
    struct cph_sdp_media *media;
};
struct cph_keying_remote {
    const struct cph_sdp *sdp;
    const struct cph_sdp_media *media;
};

/* One datagram to send on the media path. */
struct cph_keying_packet {
    enum cph_keying_component component;
    bool has_to; /* else: to where the media of that component goes */
    struct cph_addr to;
    size_t n;
    uint8_t b[CPH_KEYING_PACKET];
};

/* The first member of every mechanism's own struct. */
struct cph_keying {
    const struct cph_keying_method *method;
};

/*
 * One mechanism. An instance serves one m= line of one branch of a call. Whatever fails leaves the
 * instance as it was (stage, then commit): keys in use stay in use, unless status says FAILED.
 *
 *   offerer    new, offer, (fork per further branch,) finish ... keys
 *              re-offer: offer, finish or rollback
 *
 *   answerer   new, answer ... keys
 *              re-offer: answer
 *
 * Roles may change from one exchange to the next. All calls on one instance come from one thread.
 */
struct cph_keying_method {
    const char *name;
    enum cph_keying_where where;
    unsigned needs;             /* enum cph_keying_needs */
    enum cph_sdp_proto profile; /* the profile of an offer that has this method alone */
    bool expired; /* has no final text: in no policy, neither offered nor answered unless its own
                     name is given */

    /** Does this section carry the mechanism's attributes, well-formed or not? */
    bool (*present)(const struct cph_keying_remote *remote);
    /** Is this packet of the media path one of the mechanism's? Cheap: looks at the first bytes
     *  (RFC 7983). NULL for a mechanism that has none. */
    bool (*claims)(struct cph_span packet);

    cph_err (*make)(const struct cph_keying_cfg *cfg, struct cph_keying **out);
    /** Are public-key operations spent on a first offer as it is configured? NULL: never. */
    bool (*offer_costs)(const struct cph_keying_cfg *cfg);
    void (*free)(struct cph_keying *k);

    /**
     * Write our attributes into a section of our offer; its profile is set already. Called again
     * for every re-offer. R9, R19 MUST: costs no public-key operation and no state but the
     * instance, unless offer_costs() says so.
     */
    cph_err (*offer)(struct cph_keying *k, const struct cph_keying_local *offer);
    /**
     * Read the peer's offer, choose, write our attributes into the answer. CPH_E_NOTFOUND: the
     * offer has nothing of this mechanism; CPH_E_UNSUPPORTED, CPH_E_POLICY, CPH_E_MALFORMED:
     * nothing acceptable. On an error nothing was written.
     */
    cph_err (*answer)(struct cph_keying *k, const struct cph_keying_remote *offer,
                      const struct cph_keying_local *answer);
    /**
     * Read the answer to the pending offer. May be called again with a later answer to the same
     * offer (183, then 200): what that says holds. Errors as above; CPH_E_STATE without an offer.
     */
    cph_err (*finish)(struct cph_keying *k, const struct cph_keying_remote *answer);
    /** answer() turned the offer down: write the reason into the section, which has port 0.
     * CPH_E_NOTFOUND: there is nothing to say. May be NULL. */
    cph_err (*refusal)(const struct cph_keying *k, const struct cph_keying_local *answer);
    /** Read the reason why our pending offer was turned down; nothing comes of it but *out.
     * CPH_E_NOTFOUND: none; CPH_E_STATE, CPH_E_AUTH and others: none that is about our offer. May
     * be NULL. */
    cph_err (*refused)(struct cph_keying *k, const struct cph_keying_remote *answer,
                       struct cph_keying_refusal *out);
    /** The pending offer was refused or is over: what held before holds. RFC 4568 7.1.4. */
    void (*rollback)(struct cph_keying *k);
    /** No other answer to our offer will come, on this branch or another: what was kept for one (a
     * private value, say) goes, and finish() is CPH_E_STATE until the next offer. May be NULL. */
    void (*settled)(struct cph_keying *k);
    /** Bring new keys with the next offer or answer, at the same address. Refused or not, the wish
     * is over with that: who still has it says so again. May be NULL. */
    void (*renew)(struct cph_keying *k);
    /** The user takes the call to which we gave this answer while it rang: only now the peer learns
     * of it. May be NULL. */
    void (*answered)(struct cph_keying *k, cph_time now);
    /** Another answerer of our first offer: an instance of its own, same offer, no keys yet.
     *  CPH_E_STATE once there was another exchange. */
    cph_err (*fork)(const struct cph_keying *k, struct cph_keying **out);

    /** Begin on the media path although the descriptions said nothing: the peer may have it, and if
     *  it has not, status comes to FAILED. NULL for what cannot. */
    cph_err (*probe)(struct cph_keying *k);
    /** One packet that claims() said is ours. An error is the packet's, not the instance's. May be
     * NULL. */
    cph_err (*feed)(struct cph_keying *k, enum cph_keying_component component,
                    const struct cph_addr *from, struct cph_span packet, cph_time now);
    /** The next packet to send, CPH_E_AGAIN if there is none. May be NULL. */
    cph_err (*pull)(struct cph_keying *k, struct cph_keying_packet *out, cph_time now);
    cph_time (*deadline)(const struct cph_keying *k); /* CPH_TIME_NEVER; may be NULL */
    void (*tick)(struct cph_keying *k, cph_time now); /* may be NULL */

    void (*status)(const struct cph_keying *k, struct cph_keying_status *out);
    /**
     * Key number i (from 0; the first is the one to send with) of a direction. CPH_E_AGAIN before
     * there are keys, CPH_E_NOTFOUND behind the last. The caller wipes *out. Signalling-only
     * mechanisms give the same for both components.
     */
    cph_err (*keys)(const struct cph_keying *k, enum cph_keying_component component,
                    enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out);
    /** Streams known beforehand; returns how many were written, at most cap. May be NULL. */
    unsigned (*hints)(const struct cph_keying *k, struct cph_keying_hint *out, unsigned cap);
    /** Where our stream stands, before an offer or answer that may say so. May be NULL. */
    void (*stream)(struct cph_keying *k, uint32_t ssrc, uint32_t roc);
    /** The EKT set that both sides agreed on: CPH_E_AGAIN before there are keys, CPH_E_NOTFOUND:
     * none; it changes with a generation only. The caller wipes *out. NULL: there never is one. */
    cph_err (*ekt)(const struct cph_keying *k, struct cph_ekt_params *out);
    /** Fill in what this mechanism knows; *out comes zeroed. */
    void (*evidence)(const struct cph_keying *k, struct cph_keying_evidence *out);
};

/* The rows, NULL-ended. The order is our preference when nobody has another. */
CPH_API extern const struct cph_keying_method *const cph_keying_methods[];
/** A row by its name ("dtls"); NULL if there is none. */
CPH_API const struct cph_keying_method *cph_keying_method_by_name(struct cph_span name);
/** Its bit in evidence.offered; 0 for a row that is not in the table. */
CPH_API unsigned cph_keying_method_bit(const struct cph_keying_method *method);

/* The same calls through an instance; where a row has NULL they do nothing. */
CPH_API void cph_keying_free(struct cph_keying *k); /* NULL is fine */
/** CPH_E_UNSUPPORTED if it is not on the media path. */
CPH_API CPH_MUST_CHECK cph_err cph_keying_feed(struct cph_keying *k,
                                               enum cph_keying_component component,
                                               const struct cph_addr *from, struct cph_span packet,
                                               cph_time now);
/** CPH_E_AGAIN if there is nothing to send, or it is not on the media path. */
CPH_API CPH_MUST_CHECK cph_err cph_keying_pull(struct cph_keying *k, struct cph_keying_packet *out,
                                               cph_time now);
CPH_API cph_time cph_keying_deadline(const struct cph_keying *k);
CPH_API void cph_keying_tick(struct cph_keying *k, cph_time now);

/* ---- negotiation ---------------------------------------------------------------------------- */

enum cph_keying_policy {
    CPH_KEYING_REQUIRED, /* keys or no stream: fails closed, never RTP */
    CPH_KEYING_PREFER,   /* RFC 8643: offers keys under RTP/AVP, takes RTP if the peer has none, and
                            says so */
    CPH_KEYING_NONE,     /* offers RTP; still answers a peer that demands SRTP */
};

/* How an offer says: keys if you can, else RTP. Of interest under CPH_KEYING_PREFER, and until
 * there are keys. All of them are answered, whatever is configured. */
enum cph_keying_form {
    CPH_KEYING_FORM_DEFAULT,   /* OSRTP */
    CPH_KEYING_FORM_OSRTP,     /* RFC 8643: keys under RTP/AVP */
    CPH_KEYING_FORM_ATTRIBUTE, /* the same, and a=encryption:optional says what is meant */
    CPH_KEYING_FORM_CAPNEG,    /* RFC 5939: RTP/AVP, and potential configurations with keys */
    CPH_KEYING_FORM_GROUP,     /* two m= lines in one group, one with keys and one without */
    CPH_KEYING_FORM_BODIES,    /* two descriptions in a multipart/alternative */
    CPH_KEYING_FORM_PROBE,     /* RTP/AVP without a word; ZRTP asks on the media path */
};

/* A policy by its name: which mechanisms, the one to be tried first first, and what is done about a
 * peer that has none of them. */
struct cph_keying_preset {
    const char *name;
    const char *about;                           /* a sentence for help */
    const char *row[CPH_KEYING_MAX_METHODS + 1]; /* names of rows, NULL-ended */
    enum cph_keying_policy policy;
};

/* best, compatible, legacy; the one behind the last has no name. */
CPH_API extern const struct cph_keying_preset cph_keying_presets[];
/** NULL if there is none. */
CPH_API const struct cph_keying_preset *cph_keying_preset_by_name(struct cph_span name);

/* One m= line's negotiation: one instance per mechanism until the choice is made, then one. */
struct cph_nego;

struct cph_nego_cfg {
    struct cph_keying_cfg keying;
    enum cph_keying_policy policy;
    /* Best first, NULL-ended; NULL: cph_keying_methods but those that must be named. Rows whose
     * needs are not met are passed over. */
    const struct cph_keying_method *const *methods;
    bool free_offers; /* a method whose offer costs public-key operations is answered, and offered
                         only where there is no other */
    bool feedback;    /* offer AVPF and SAVPF */
    bool cryptex; /* RFC 9335: say a=cryptex, and answer one; where both said it, header extensions
                     and CSRCs are encrypted. Default no */
    enum cph_keying_form form;
    enum cph_sdp_proto
        profile; /* of our offers; CPH_SDP_PROTO_OTHER: chosen by policy and methods */
};

enum cph_nego_outcome {
    CPH_NEGO_OPEN,    /* not settled yet */
    CPH_NEGO_PLAIN,   /* RTP, because policy allows it */
    CPH_NEGO_SECURE,  /* a mechanism was chosen; see its status for the keys */
    CPH_NEGO_REMOVED, /* the peer refused or removed the stream */
    CPH_NEGO_FAILED,  /* no stream; why says why */
};

struct cph_nego_status {
    enum cph_nego_outcome outcome;
    const struct cph_keying_method *method; /* chosen; NULL if none */
    struct cph_keying_status keying;        /* of the chosen mechanism; zero if there is none */
    cph_err err;
    const char *why; /* static text for people, or NULL */
    /* The answer took a configuration that our m= line did not have: an offer that has it is due,
     * for those on the way (RFC 5939 3.6.3). Until the next offer or answer. */
    bool reoffer;
    bool gave_reason; /* the section refused last has a mechanism's reason in it */
};

/** CPH_E_CONFIG if policy is REQUIRED and no mechanism can work. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_new(const struct cph_nego_cfg *cfg, struct cph_nego **out);
CPH_API void cph_nego_free(struct cph_nego *n); /* NULL is fine */
/** For a further answerer of the same offer. CPH_E_STATE without a pending offer. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_fork(const struct cph_nego *n, struct cph_nego **out);

/** Set the section's profile and write every mechanism's attributes (after the first exchange:
 * those of the chosen one). A section with port 0 is left alone. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_offer(struct cph_nego *n,
                                              const struct cph_keying_local *offer);
/** "osrtp", "attribute", "capneg", "group", "bodies", "probe". */
CPH_API const char *cph_keying_form_name(enum cph_keying_form form);
/** CPH_E_MALFORMED for another word. */
CPH_API CPH_MUST_CHECK cph_err cph_keying_form_parse(struct cph_span name,
                                                     enum cph_keying_form *out);

/** Could one of our mechanisms answer this section with keys, as far as it tells? */
CPH_API bool cph_nego_knows(const struct cph_nego *n, const struct cph_keying_remote *offer);
/** Must the stream be offered twice (form GROUP, BODIES), and can it: RTP will do, no keys yet? */
CPH_API bool cph_nego_twice(const struct cph_nego *n);
/** Offer it with keys in one section, and without in another, of the same description or of one of
 * its own. Of the answer give cph_nego_finish() the section that was accepted. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_offer_twice(struct cph_nego *n,
                                                    const struct cph_keying_local *secure,
                                                    const struct cph_keying_local *plain);
/**
 * Choose and write the answer's attributes; the section is one of cph_sdp_answer_skeleton(). When
 * nothing acceptable is offered and policy forbids RTP, the section is refused (port 0) and the
 * return is CPH_E_POLICY: the other sections may still be answered. The refused section has the
 * reason that a mechanism gives, if one does (status: gave_reason). A stream that has keys is not
 * given up for RTP by a re-offer unless policy is NONE.
 */
CPH_API CPH_MUST_CHECK cph_err cph_nego_answer(struct cph_nego *n,
                                               const struct cph_keying_remote *offer,
                                               const struct cph_keying_local *answer);
/** Read the answer to our offer; may be called again for a later answer (183, then 200).
 *  CPH_E_POLICY and others: the stream must not be used; the outcome of an earlier exchange is
 * kept. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_finish(struct cph_nego *n,
                                               const struct cph_keying_remote *answer);
/** The pending offer was turned down: what a mechanism of ours reads of the reason. CPH_E_NOTFOUND:
 * nothing. To be asked before cph_nego_rollback(). */
CPH_API CPH_MUST_CHECK cph_err cph_nego_refused(struct cph_nego *n,
                                                const struct cph_keying_remote *answer,
                                                struct cph_keying_refusal *out);
/** The pending offer is void; what was agreed before holds. Without one it does nothing. */
CPH_API void cph_nego_rollback(struct cph_nego *n);
/** The pending offer has its last answer: no fork and no other answer from here on. */
CPH_API void cph_nego_settled(struct cph_nego *n);
/** Bring new keys with the next offer or answer (re-key; after a fork). */
CPH_API void cph_nego_renew(struct cph_nego *n);
/** Our answer, made while it rang, goes to the peer now. */
CPH_API void cph_nego_answered(struct cph_nego *n, cph_time now);

/** The instance of the chosen mechanism, for what its own header offers; NULL before the choice. */
CPH_API struct cph_keying *cph_nego_instance(const struct cph_nego *n);
CPH_API void cph_nego_status(const struct cph_nego *n, struct cph_nego_status *out);
CPH_API void cph_nego_evidence(const struct cph_nego *n, struct cph_keying_evidence *out);
/** As a row's keys, of the chosen mechanism; CPH_E_AGAIN also before the choice. The caller wipes
 * *out. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_keys(const struct cph_nego *n,
                                             enum cph_keying_component component,
                                             enum cph_keying_dir dir, unsigned i,
                                             struct cph_srtp_policy *out);
/** As a row's hints; none before the choice. */
CPH_API unsigned cph_nego_hints(const struct cph_nego *n, struct cph_keying_hint *out,
                                unsigned cap);

/** Where our stream stands: for what the next offer or answer says of it. */
CPH_API void cph_nego_stream(struct cph_nego *n, uint32_t ssrc, uint32_t roc);

/** Does a mechanism that is still in the game claim this packet? */
CPH_API bool cph_nego_claims(const struct cph_nego *n, struct cph_span packet);
/** A packet of the media path; CPH_E_UNSUPPORTED if nobody claims it. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_feed(struct cph_nego *n,
                                             enum cph_keying_component component,
                                             const struct cph_addr *from, struct cph_span packet,
                                             cph_time now);
/** Is one of its mechanisms on the media path, so that it may send there? */
CPH_API bool cph_nego_sends(const struct cph_nego *n);
/** The next packet to send, of any mechanism still in the game; CPH_E_AGAIN if there is none. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_pull(struct cph_nego *n, struct cph_keying_packet *out,
                                             cph_time now);
CPH_API cph_time cph_nego_deadline(const struct cph_nego *n);
CPH_API void cph_nego_tick(struct cph_nego *n, cph_time now);

#endif
