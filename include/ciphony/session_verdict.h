/* Ciphony: what was seen while a call was made secure, and what that is worth. */
#ifndef CPH_SESSION_VERDICT_H
#define CPH_SESSION_VERDICT_H

#include "ciphony/base.h"

struct cph_policy; /* session_policy.h */

/* ---- evidence: facts, appended by the rooms that saw them ------------------------------------ */

/*
 * Every graded fact is ordered from worst to best and 0 is "nobody said". Facts only ever get worse
 * by merging, so what happened once stays told until the call is over. A zeroed struct is a valid,
 * empty evidence, and its verdict is `open`.
 */

enum {
    CPH_EVIDENCE_HOPS = 16,    /* signalling hops told apart; more count as not known */
    CPH_EVIDENCE_STREAMS = 16, /* media lines of one call */
    CPH_FACT_TEXT = 96,        /* a name shown to the user, with its NUL; longer ones are cut */
    CPH_VERDICT_REASONS = 40,
};

enum cph_hop_transport {
    CPH_HOP_UNKNOWN,
    CPH_HOP_UDP,
    CPH_HOP_TCP,
    CPH_HOP_TLS_OLD, /* before TLS 1.2, or a version nobody told us */
    CPH_HOP_TLS12,
    CPH_HOP_TLS13,
};

/* How the certificate at the other end of the hop was checked. */
enum cph_hop_auth {
    CPH_HOP_AUTH_UNKNOWN, /* nobody looked who it is */
    CPH_HOP_AUTH_NONE, /* no certificate, or one that is self-signed, expired or has another name */
    CPH_HOP_AUTH_AUTHORITY, /* chain and name are good (RFC 5922) */
    CPH_HOP_AUTH_PINNED,    /* the very certificate the user pinned or paired */
};

/* Whose certificate that is. */
enum cph_hop_whose {
    CPH_HOP_WHOSE_UNKNOWN,
    CPH_HOP_WHOSE_NEXT,   /* the next hop's: a proxy, a provider */
    CPH_HOP_WHOSE_DOMAIN, /* the domain of the peer's address: its server */
    CPH_HOP_WHOSE_PEER,   /* the peer's own device: signalling ends there */
};

enum cph_hop_seen {
    CPH_HOP_SEEN_UNKNOWN,
    CPH_HOP_SEEN_CLAIMED, /* read in a Via or Record-Route that somebody else wrote */
    CPH_HOP_SEEN_OURS,    /* a flow of our own */
};

struct cph_hop_facts {
    enum cph_hop_transport transport;
    enum cph_hop_auth auth;
    enum cph_hop_whose whose;
    enum cph_hop_seen seen;
    char name[CPH_FACT_TEXT]; /* host, domain or pinned name, for the user */
};

/* How the keys came to the two ends. The last two are two ways, neither above the other. */
enum cph_key_path {
    CPH_KEYS_UNKNOWN,
    CPH_KEYS_NONE,      /* there are none: plain RTP */
    CPH_KEYS_MIXED,     /* first one way, then the other: judged as the worse of both */
    CPH_KEYS_SIGNALLED, /* written in signalling messages: who reads those has them (SDES) */
    CPH_KEYS_AGREED,    /* agreed between two ends, not readable by listening (DTLS) */
};

/* What ties agreed keys to the signalling. For signalled keys there is nothing to tie: say the
 * best, and likewise of validity. */
enum cph_key_binding {
    CPH_BINDING_UNKNOWN,
    CPH_BINDING_MISMATCH, /* the certificate is not the one promised */
    CPH_BINDING_SHARED, /* the other end says that it is in the middle, or that others may have its
                           keys */
    CPH_BINDING_BROKEN, /* likewise, and it is not the device of earlier calls, or lost what it had
                         */
    CPH_BINDING_UNCOMPARED, /* nothing but a string ties them to the peer, and nobody compared it */
    CPH_BINDING_NONE,       /* nothing was promised to compare with */
    CPH_BINDING_WEAK,       /* promised by a digest that can be forged (sha-1) */
    CPH_BINDING_PATH, /* what makes the keys was in the messages, and nothing else says whose it
                         is: as good as their path */
    CPH_BINDING_SIGNALLED, /* sha-256 or better, and equal */
};

/* Who else could speak with these keys. */
enum cph_key_members {
    CPH_MEMBERS_UNKNOWN,
    CPH_MEMBERS_GROUP, /* keys are told under a key of a group (EKT): each member could be any */
    CPH_MEMBERS_TWO,   /* nobody by the way they are made; or there are no keys */
};

enum cph_key_validity {
    CPH_VALIDITY_UNKNOWN,
    CPH_VALIDITY_EXPIRED, /* or not valid yet */
    CPH_VALIDITY_GOOD,
};

/* Who says that the other end of the keys is the peer. From PIN on it is the users themselves. */
enum cph_voucher {
    CPH_VOUCHER_UNKNOWN,
    CPH_VOUCHER_NOBODY,
    CPH_VOUCHER_DOMAIN,    /* the peer's domain, by the TLS hop that leads into it */
    CPH_VOUCHER_AUTHORITY, /* a certificate authority or a signature over the keys (SIP Identity) */
    CPH_VOUCHER_PIN,       /* a certificate the user pinned */
    CPH_VOUCHER_PAIRED,    /* a certificate from a pairing */
    CPH_VOUCHER_SECRET,    /* a secret both users hold */
    CPH_VOUCHER_COMPARED,  /* a string both users compared */
};

/* What one direction of one stream is wrapped in. */
enum cph_stream_guard {
    CPH_GUARD_UNKNOWN,
    CPH_GUARD_CLEAR,           /* RTP */
    CPH_GUARD_NULL_CIPHER,     /* authenticated, readable */
    CPH_GUARD_UNAUTHENTICATED, /* encrypted, can be altered */
    CPH_GUARD_SHORT_TAG,       /* encrypted, 32-bit tag */
    CPH_GUARD_FULL,            /* encrypted and authenticated */
};

enum cph_rtcp_guard {
    CPH_RTCP_UNKNOWN,
    CPH_RTCP_CLEAR,       /* plain RTCP */
    CPH_RTCP_UNENCRYPTED, /* SRTCP, authenticated, readable (UNENCRYPTED_SRTCP) */
    CPH_RTCP_FULL,        /* SRTCP, or no RTCP at all */
};

struct cph_stream_facts {
    enum cph_key_path keys;
    enum cph_key_binding binding;
    enum cph_key_validity validity;
    enum cph_key_members members;
    enum cph_voucher vouched_by; /* for the certificate or secret used in keying */
    enum cph_stream_guard in, out;
    enum cph_rtcp_guard rtcp;
    bool counted;                     /* the four counters below were kept */
    uint64_t clear_in, clear_out;     /* RTP packets in clear that were accepted, or sent */
    uint64_t packets_in, packets_out; /* all RTP accepted and sent; shown, not judged */
    uint64_t refused_in; /* packets in clear that were thrown away; shown, not judged */
    unsigned rekeys;     /* keys changed this often; shown */
    bool resumed;        /* keys from a secret that was kept since an earlier call; shown */
    /* What the keys, or the proof of who the peer is, rested on, and was not counted for it: the
     * graded facts above say what that leaves. Told as the reason. */
    bool weak_group;             /* Diffie-Hellman over less than 2048 bits */
    bool weak_signature;         /* over SHA-1 */
    char keying[CPH_FACT_TEXT];  /* "dtls", "sdes", "none": the latest */
    char suite[CPH_FACT_TEXT];   /* name in the SDES register: the latest */
    char voucher[CPH_FACT_TEXT]; /* name of the authority or the pin */
};

/* Did somebody on the path take protection out of an offer or an answer? */
enum cph_downgrade {
    CPH_DOWNGRADE_UNKNOWN,
    CPH_DOWNGRADE_NOTICED,
    CPH_DOWNGRADE_NONE, /* we looked and found nothing */
};

/* Whether a secret the users share proved the peer (digest), and whether the proof covers the keys.
 */
enum cph_peer_proof {
    CPH_PROOF_UNKNOWN,
    CPH_PROOF_NONE,      /* the name is only claimed */
    CPH_PROOF_UNCOVERED, /* proven, but the body with the keys was not part of it, or by MD5 */
    CPH_PROOF_COVERED,   /* proven with the body (qop=auth-int), SHA-256 or better */
};

/* Whether offers and answers came and went encrypted to the peer's certificate and signed by it, so
 * that no server could read or change them. */
enum cph_seal {
    CPH_SEAL_UNKNOWN,
    CPH_SEAL_NONE,      /* one of them went as it was */
    CPH_SEAL_AUTHORITY, /* all sealed; an authority says that the certificate is the peer's */
    CPH_SEAL_PINNED,    /* all sealed; the certificate is the one the user pinned */
};

struct cph_evidence {
    char peer[CPH_FACT_TEXT]; /* address of the peer as claimed */
    struct cph_hop_facts hop[CPH_EVIDENCE_HOPS];
    unsigned hops_n, hops_told; /* recorded; known to exist. They must be equal */
    struct cph_stream_facts stream[CPH_EVIDENCE_STREAMS];
    unsigned streams_n, streams_told; /* likewise */
    enum cph_downgrade downgrade;
    enum cph_peer_proof proof;
    enum cph_seal seal;
    char sealer[CPH_FACT_TEXT]; /* name of the peer's certificate, or of who vouches for it */
    bool fallback_used;         /* policy let a stream fall back to RTP; shown */
};

/** Text into one of the fact fields; cut at its end, control characters become '?'. */
CPH_API void cph_fact_text(char out[CPH_FACT_TEXT], struct cph_span text);

/**
 * The path of one message that carried an offer or an answer: hops[n], of which told exist (Via
 * entries; 0 means nobody counted). A hop recorded before is not recorded twice. told > n, or no
 * room, leaves hops_told above hops_n, which the verdict takes for an unprotected hop.
 */
CPH_API void cph_evidence_path(struct cph_evidence *ev, const struct cph_hop_facts *hops,
                               unsigned n, unsigned told);

/** Facts of media line i, merged with what was told before: graded facts keep the worse, counters
 * and names become the newer. All counters of facts are totals. */
CPH_API void cph_evidence_stream(struct cph_evidence *ev, unsigned i,
                                 const struct cph_stream_facts *facts);
/** How many media lines the call has or ever had; the larger stays. */
CPH_API void cph_evidence_streams_told(struct cph_evidence *ev, unsigned n);
/** The worse stays, except that the first word replaces "nobody said". */
CPH_API void cph_evidence_downgrade(struct cph_evidence *ev, enum cph_downgrade d);
CPH_API void cph_evidence_proof(struct cph_evidence *ev, enum cph_peer_proof p);
CPH_API void cph_evidence_seal(struct cph_evidence *ev, enum cph_seal seal, struct cph_span sealer);

/* ---- verdict --------------------------------------------------------------------------------- */

enum cph_level {
    CPH_LEVEL_OPEN,    /* whoever listens on the path hears the call */
    CPH_LEVEL_HOP,     /* each hop we can see was protected; an intermediary could have the keys */
    CPH_LEVEL_PRIVATE, /* keys known to two ends only, the other end not authenticated */
    CPH_LEVEL_IDENTIFIED, /* a domain or authority vouches for the peer, keys bound to it */
    CPH_LEVEL_VERIFIED,   /* the peer is authenticated by what the users themselves hold */
};

/* What an attacker needs to hear the call; draft-ietf-sip-media-security-requirements 5. */
enum cph_attacker {
    CPH_ATTACKER_I = 1, /* listening on the signalling and the media path is enough */
    CPH_ATTACKER_II,    /* one place must be attacked actively, listening does the rest */
    CPH_ATTACKER_III,   /* signalling and media must both be attacked actively */
    CPH_ATTACKER_IV,    /* an active attack is needed and will be noticed */
};

/* Where protection of the media ends, as far as we can know. */
enum cph_ends {
    CPH_ENDS_HERE,    /* it does not begin */
    CPH_ENDS_HOP,     /* at the next signalling hop, or any behind it */
    CPH_ENDS_FAR,     /* at the far end of the keys, whoever that is */
    CPH_ENDS_VOUCHED, /* at the one the authority vouches for */
    CPH_ENDS_PEER,    /* at the peer's device */
};

/* Reasons, each with its sentence. %s is the stream ("audio line 1") or the hop it is about. */
/* clang-format off */
#define CPH_REASON_LIST(X)                                                                          \
    X(NO_STREAM,        "no media was agreed")                                                      \
    X(STREAM_MISSING,   "a media line of the call left no evidence")                                \
    X(KEYS_UNKNOWN,     "how the keys were made is not known")                                      \
    X(MEDIA_CLEAR,      "media goes in clear")                                                      \
    X(NULL_CIPHER,      "media is signed but not encrypted (NULL cipher)")                          \
    X(GUARD_UNKNOWN,    "how media is protected is not known")                                      \
    X(CLEAR_IN,         "media in clear was accepted")                                              \
    X(CLEAR_OUT,        "media in clear was sent")                                                  \
    X(NOT_COUNTED,      "nobody counted the packets in clear")                                      \
    X(KEYS_ON_OPEN_HOP, "the keys crossed a hop without encryption")                                \
    X(KEYS_AT_HOPS,     "the keys were readable at each signalling hop")                            \
    X(KEYS_AT_PEER_ONLY,"the keys went straight to the peer's device, encrypted")                   \
    X(KEYS_GROUP,       "the keys are a group's (EKT): each of its members could speak for the peer") \
    X(MEMBERS_UNKNOWN,  "whether others have the keys is not known")                                \
    X(SEALED,           "offer and answer were encrypted to the peer's certificate and signed")      \
    X(NOT_FORWARD,      "who gets the key of a device later can read the keys of this call")         \
    X(MISMATCH,         "the certificate is not the one the signalling promised")                   \
    X(BINDING_UNKNOWN,  "nobody checked the certificate against the signalling")                    \
    X(BINDING_SHARED,   "the other end is in the middle, or says that others may have its keys")    \
    X(BINDING_BROKEN,   "the peer has not what the device of earlier calls had, and nobody compared the authentication string: it has a new one, or somebody is in between") \
    X(BINDING_UNCOMPARED, "nobody compared the authentication string, so anybody may be in between") \
    X(BINDING_NONE,     "the signalling promised no certificate to compare with")                   \
    X(BINDING_WEAK,     "the certificate was promised by a digest that can be forged (sha-1)")      \
    X(WEAK_GROUP,       "the keys rest on a group of less than 2048 bits, so who carried the messages may have them") \
    X(WEAK_SIGNATURE,   "the peer signed by a digest that can be forged (sha-1), so the signature says nothing") \
    X(BINDING_PATH,     "a server on the path could have put its own keys in place of the peer's")   \
    X(BOUND_BY_PATH,    "keys agreed in messages that nobody on the way could alter")               \
    X(BOUND,            "keys agreed end to end with the certificate the signalling promised")      \
    X(BOUND_BY_USERS,   "keys agreed end to end, and tied to what the two users hold themselves")   \
    X(PROMISE_OPEN,     "the promise itself could be altered on its way")                           \
    X(VALIDITY,         "the certificate has expired or its dates were not checked")                \
    X(NOBODY_VOUCHES,   "nobody vouches that the other end is the peer")                            \
    X(DOMAIN_VOUCHES,   "the peer's domain delivered the promise over checked TLS")                 \
    X(AUTHORITY_VOUCHES,"an authority vouches for the peer")                                        \
    X(AUTHORITY_UNUSED, "an authority vouches for the peer, but policy does not count authorities") \
    X(PIN_VOUCHES,      "the certificate is the one pinned for the peer")                           \
    X(PAIRED_VOUCHES,   "the certificate comes from the pairing with the peer")                     \
    X(SECRET_VOUCHES,   "the peer proved a secret that only the two users hold")                    \
    X(COMPARED_VOUCHES, "the users compared the authentication string")                             \
    X(UNAUTHENTICATED,  "media can be altered on its way (no authentication tag)")                  \
    X(SHORT_TAG,        "media carries a short authentication tag (32 bits)")                       \
    X(RTCP_CLEAR,       "RTCP goes in clear or was not looked at")                                  \
    X(RTCP_UNENCRYPTED, "RTCP can be read (unencrypted SRTCP)")                                     \
    X(DOWNGRADE,        "somebody on the path took protection out of the signalling")               \
    X(DOWNGRADE_UNKNOWN,"nobody looked for a downgrade")                                            \
    X(HOP_OPEN,         "this signalling hop is not encrypted")                                     \
    X(HOP_OLD_TLS,      "this signalling hop uses a TLS version that is no longer safe")            \
    X(HOP_UNCHECKED,    "this signalling hop is encrypted, its other end not authenticated")        \
    X(HOP_CLAIMED,      "this signalling hop is only claimed by another hop")                       \
    X(HOP_MISSING,      "a signalling hop left no evidence")                                        \
    X(FALLBACK,         "policy allowed to fall back to RTP, and it was used")                      \
    X(CLEAR_REFUSED,    "media in clear arrived and was thrown away")                               \
    X(REKEYED,          "the keys changed during the call")                                         \
    X(RESUMED,          "the keys come from a secret kept since an earlier call")                   \
    X(PROOF_UNCOVERED,  "the peer proved a password, but the proof does not cover the keys")        \
    X(POLICY_BROKEN,    "the call is less secure than the policy demands")
/* clang-format on */

enum cph_reason {
#define CPH_REASON_ENUM(name, text) CPH_REASON_##name,
    CPH_REASON_LIST(CPH_REASON_ENUM)
#undef CPH_REASON_ENUM
        CPH_REASON_COUNT_,
};

enum cph_reason_about { CPH_ABOUT_CALL, CPH_ABOUT_STREAM, CPH_ABOUT_HOP };

struct cph_verdict_reason {
    enum cph_reason code;
    enum cph_reason_about about;
    unsigned index; /* of the stream or hop, from 0 */
};

struct cph_verdict_stream {
    enum cph_level level; /* of this stream alone; the call has the worst */
    enum cph_attacker attacker;
    char keying[CPH_FACT_TEXT], suite[CPH_FACT_TEXT];
    uint64_t packets_in, packets_out;
};

/* A value; holds no pointers. */
struct cph_verdict {
    enum cph_level level;
    enum cph_attacker attacker;
    enum cph_voucher vouched_by;
    enum cph_ends ends_at;
    bool policy_kept;
    char peer[CPH_FACT_TEXT];
    char voucher[CPH_FACT_TEXT]; /* name of who vouches; empty if nobody or unnamed */
    struct cph_verdict_stream stream[CPH_EVIDENCE_STREAMS];
    unsigned streams_n;
    struct cph_hop_facts hop[CPH_EVIDENCE_HOPS];
    unsigned hops_n;
    struct cph_verdict_reason reason[CPH_VERDICT_REASONS]; /* lowering ones first */
    unsigned reasons_n;
};

/**
 * The verdict: a pure function. policy NULL is a zeroed policy (the strictest). Removing a fact
 * from ev, or making one worse, never raises level or attacker class. docs/verdict.md has the
 * table.
 */
CPH_API void cph_verdict_of(const struct cph_evidence *ev, const struct cph_policy *policy,
                            struct cph_verdict *out);

/* ---- words ----------------------------------------------------------------------------------- */

/* Static storage, never NULL. */
CPH_API const char *cph_level_name(enum cph_level level);   /* "open" ... "verified" */
CPH_API const char *cph_attacker_name(enum cph_attacker c); /* "I" ... "IV" */
CPH_API const char *cph_voucher_name(enum cph_voucher v);   /* "nobody", "pin", ... */
CPH_API const char *cph_ends_text(enum cph_ends e);         /* "the peer's device", ... */
CPH_API const char *cph_level_text(enum cph_level level);   /* one sentence for the user */
CPH_API const char *cph_attacker_text(enum cph_attacker c); /* likewise */
CPH_API const char *cph_reason_name(enum cph_reason r);     /* "KEYS_AT_HOPS" */
CPH_API const char *cph_reason_text(enum cph_reason r);
CPH_API const char *cph_hop_transport_name(enum cph_hop_transport t); /* "udp", "tls 1.3", ... */

enum { CPH_VERDICT_LINE = 256 };
/** Sentence of one reason with what it is about, e.g. "stream 2: media goes in clear". Returns out.
 */
CPH_API const char *cph_verdict_reason_line(const struct cph_verdict *v, unsigned i,
                                            char out[CPH_VERDICT_LINE]);
/** One hop in words, e.g. "tls 1.3 to proxy.example.com, name checked". Returns out. */
CPH_API const char *cph_verdict_hop_line(const struct cph_verdict *v, unsigned i,
                                         char out[CPH_VERDICT_LINE]);
/** The verdict as text lines, each with a newline. CPH_E_NOSPACE: out holds what fitted, with a
 * NUL. */
CPH_API CPH_MUST_CHECK cph_err cph_verdict_print(const struct cph_verdict *v, char *out,
                                                 size_t cap);

#endif
