/* Private face of MIKEY. RFC 3830, 4567, 4650, 4738. */
#ifndef CPH_MIKEY_INT_H
#define CPH_MIKEY_INT_H

#include "../keying_int.h"
#include "ciphony/base_wire.h"
#include "ciphony/crypto_key.h"
#include "ciphony/keying_mikey.h"
#include "ciphony/srtp.h"
#include "ciphony/srtp_ekt.h"

enum {
    MIKEY_VERSION = 1,
    MIKEY_MAP_SRTP = 0,     /* Table 6.1.d */
    MIKEY_SIG_MAX = 0x0fff, /* bytes of a signature: its length has 12 bits */
    MIKEY_MSG_MAX = 12000,  /* as base64 it still fits a line of SDP */
    MIKEY_MAX_CS = 255,     /* one octet counts them. RFC 3830 6.1 */
    MIKEY_MAX_CERTS = 5,    /* a leaf and four above it */
    MIKEY_MAX_SP = 8,       /* policies of one message; we offer one */
    MIKEY_MAX_EXT = 4,      /* vendor, list of protocols, CSB ID, and one to spare */
    MIKEY_MAX_ERR = 4,      /* reasons in one Error message */
    MIKEY_MAX_KEYS = CPH_KEYING_MAX_KEYS,
    MIKEY_RAND_MIN = 16,      /* RFC 3830 6.11: SHOULD be at least 16; we insist */
    MIKEY_RAND_MAX = 255,     /* one octet counts them */
    MIKEY_TGK = 32,           /* ours: as strong as the strongest suite */
    MIKEY_TGK_MIN = 16,       /* below, a key is not worth the name */
    MIKEY_ENVELOPE = 32,      /* bytes of our envelope keys */
    MIKEY_MAC = 20,           /* HMAC-SHA-1-160 */
    MIKEY_MKI_MAX = 8,        /* of ours */
    MIKEY_KEYDATA_MAX = 1024, /* what we encrypt: an identity and a key */
};

/* ---- wire.c: RFC 3830 6 ---------------------------------------------------------------------- */

enum mikey_type { /* Table 6.1.a, with RFC 4650 4.1 and RFC 4738 3.9.1 */
                  MIKEY_PSK_I,
                  MIKEY_PSK_V,
                  MIKEY_PK_I,
                  MIKEY_PK_V,
                  MIKEY_DH_I,
                  MIKEY_DH_R,
                  MIKEY_ERROR,
                  MIKEY_DHHMAC_I,
                  MIKEY_DHHMAC_R,
                  MIKEY_RSAR_I,
                  MIKEY_RSAR_R,
                  MIKEY_MQV_I, /* for private use on the wire: the draft's numbers were never given
                                */
                  MIKEY_MQV_V,
                  MIKEY_TYPES_
};

enum { MIKEY_PRIVATE = 250 - MIKEY_MQV_I }; /* from those two to their octets */

enum mikey_payload { /* Table 6.1.b */
                     MIKEY_LAST = 0,
                     MIKEY_KEMAC = 1,
                     MIKEY_PKE = 2,
                     MIKEY_DH = 3,
                     MIKEY_SIGN = 4,
                     MIKEY_T = 5,
                     MIKEY_ID = 6,
                     MIKEY_CERT = 7,
                     MIKEY_CHASH = 8,
                     MIKEY_V = 9,
                     MIKEY_SP = 10,
                     MIKEY_RAND = 11,
                     MIKEY_ERR = 12,
                     MIKEY_KEY = 20,
                     MIKEY_EXT = 21,
};

enum mikey_encr { MIKEY_ENCR_NULL, MIKEY_ENCR_AES_CM, MIKEY_ENCR_AES_KW };
enum mikey_mac { MIKEY_MAC_NULL, MIKEY_MAC_SHA1 };
enum mikey_ts { MIKEY_TS_NTP_UTC, MIKEY_TS_NTP, MIKEY_TS_COUNTER };
enum mikey_id_type { MIKEY_ID_NAI, MIKEY_ID_URI };
enum mikey_cert_type { MIKEY_X509, MIKEY_X509_URL, MIKEY_X509_SIGN, MIKEY_X509_ENCR };
enum mikey_hash { MIKEY_HASH_SHA1, MIKEY_HASH_MD5, MIKEY_HASH_SHA256 /* RFC 6043 6.7 */ };
enum mikey_cache { MIKEY_NO_CACHE, MIKEY_CACHE, MIKEY_CACHE_CSB };
enum mikey_key_type { MIKEY_TGK_ONLY, MIKEY_TGK_SALT, MIKEY_TEK_ONLY, MIKEY_TEK_SALT };
enum mikey_kv_type { MIKEY_KV_NULL, MIKEY_KV_SPI, MIKEY_KV_INTERVAL };
enum mikey_ext_type { MIKEY_EXT_VENDOR = 0, MIKEY_EXT_SDP_IDS = 1, MIKEY_EXT_CSB_ID = 4 };

/*
 * Table 6.4 knows three groups, the longest of 1536 bits; the curves of the expired ECC draft never
 * got numbers. So ours are of the range that RFC 3830 10 leaves to private use.
 */
enum mikey_group {
    MIKEY_OAKLEY5 = 0,
    MIKEY_OAKLEY1 = 1,
    MIKEY_OAKLEY2 = 2,
    MIKEY_MODP_2048 = 241,
    MIKEY_MODP_3072 = 242,
    MIKEY_MODP_4096 = 243,
    MIKEY_P256 = 244,
    MIKEY_P384 = 245,
    MIKEY_P521 = 246,
};

/* Table 6.5. The draft's number for ECDSA, 2, is now ECCSI (RFC 6509 4.3): ours is the last of the
 * field. */
enum mikey_sig { MIKEY_SIG_PKCS1 = 0, MIKEY_SIG_PSS = 1, MIKEY_SIG_ECDSA = 15 };

enum mikey_error { /* Table 6.12, with RFC 4738 3.9.2 */
                   MIKEY_E_AUTH = 0,
                   MIKEY_E_TS = 1,
                   MIKEY_E_PRF = 2,
                   MIKEY_E_MAC = 3,
                   MIKEY_E_EA = 4,
                   MIKEY_E_HA = 5,
                   MIKEY_E_DH = 6,
                   MIKEY_E_ID = 7,
                   MIKEY_E_CERT = 8,
                   MIKEY_E_SP = 9,
                   MIKEY_E_SPPAR = 10,
                   MIKEY_E_DT = 11,
                   MIKEY_E_OTHER = 12,
                   MIKEY_E_PARSE = 13,
};

struct mikey_cs { /* a crypto session; its number is its place, from 1. 6.1.1 */
    uint8_t policy;
    uint32_t ssrc, roc;
};

struct mikey_id {
    uint8_t type;
    struct cph_span data;
};

struct mikey_cert {
    uint8_t type;
    struct cph_span data;
};

struct mikey_sp {
    uint8_t no, prot;
    struct cph_span params;
};

struct mikey_ext {
    uint8_t type;
    struct cph_span data;
};

struct mikey_kv { /* 6.14 */
    uint8_t type;
    struct cph_span spi;
    uint64_t from, to; /* of 8 bytes at most */
};

struct mikey_dh {
    uint8_t group;
    struct cph_span value;
    struct mikey_kv kv;
};

struct mikey_keydata { /* 6.13; views of what was decrypted */
    uint8_t type;
    struct cph_span key, salt;
    struct mikey_kv kv;
};

/* A message, understood. All spans are views of it. */
struct mikey_msg {
    struct cph_span all;
    uint32_t has; /* payloads that are there, bits 1 << enum mikey_payload */
    enum mikey_type type;
    bool v;
    uint8_t prf;
    uint32_t csb_id;
    unsigned n_cs;
    struct mikey_cs cs[MIKEY_MAX_CS];
    uint8_t ts_type;
    uint64_t ts;
    struct cph_span rand;
    struct mikey_id id[2];
    unsigned n_id;
    bool id_after_cert; /* the first ID stands behind a CERT, which took the place of IDi or IDr */
    struct mikey_cert cert[MIKEY_MAX_CERTS];
    unsigned n_cert;
    uint8_t hash;
    struct cph_span chash;
    struct mikey_sp sp[MIKEY_MAX_SP];
    unsigned n_sp;
    struct mikey_ext ext[MIKEY_MAX_EXT];
    unsigned n_ext;
    uint8_t error[MIKEY_MAX_ERR];
    unsigned n_error;
    struct mikey_dh dh[2];
    unsigned n_dh;
    uint8_t cache;
    struct cph_span envelope;
    uint8_t encr, mac_alg;
    struct cph_span encrypted, mac;
    struct cph_span kemac; /* the payload up to its MAC: what the MAC covers in public-key modes */
    uint8_t ver_alg;
    struct cph_span ver;
    uint8_t sig_type;
    struct cph_span sig;
    struct cph_span before_sign; /* the message up to its SIGN payload */
    struct cph_span covered;     /* the message up to the MAC or signature that ends it */
};

/**
 * Understand a message: every payload in its bounds, each at most as often as it may be, none that
 * this type of message does not have, and those it must have. CPH_E_TRUNCATED, CPH_E_TRAILING,
 * CPH_E_MALFORMED; CPH_E_LIMIT over a bound above; CPH_E_UNSUPPORTED for a version, type, PRF, map
 * or number that we do not know: *error (may be NULL) then has the one to report.
 */
CPH_MUST_CHECK cph_err mikey_parse(struct cph_span bytes, struct mikey_msg *out,
                                   enum mikey_error *error);
/** The key data that a KEMAC held; id gets the ID before it (public-key modes, want_id). */
CPH_MUST_CHECK cph_err mikey_keydata_parse(struct cph_span clear, bool want_id, struct mikey_id *id,
                                           struct mikey_keydata *out, unsigned *n);
/** An extension by its type, empty if there is none. */
struct cph_span mikey_ext_of(const struct mikey_msg *m, enum mikey_ext_type type, bool *found);

/* A message being written: each payload names the one behind it, so it is patched when that comes.
 */
struct mikey_out {
    struct cph_wr wr;
    size_t next_at; /* where the last payload's "next payload" stands */
};

struct mikey_hdr {
    enum mikey_type type;
    bool v;
    uint32_t csb_id;
    const struct mikey_cs *cs;
    unsigned n_cs;
};

struct mikey_out mikey_begin(void *buf, size_t cap, const struct mikey_hdr *hdr);
void mikey_put_t(struct mikey_out *o, uint8_t type, uint64_t ts);
void mikey_put_rand(struct mikey_out *o, struct cph_span rand);
void mikey_put_id(struct mikey_out *o, const struct mikey_id *id);
void mikey_put_cert(struct mikey_out *o, uint8_t type, struct cph_span der);
void mikey_put_chash(struct mikey_out *o, uint8_t hash, struct cph_span bytes);
void mikey_put_sp(struct mikey_out *o, const struct mikey_sp *sp);
void mikey_put_ext(struct mikey_out *o, uint8_t type, struct cph_span data);
void mikey_put_error(struct mikey_out *o, enum mikey_error error);
void mikey_put_dh(struct mikey_out *o, const struct mikey_dh *dh);
void mikey_put_pke(struct mikey_out *o, uint8_t cache, struct cph_span data);
/** These leave zeroes where the MAC or signature goes and return where that is. */
size_t mikey_put_kemac(struct mikey_out *o, uint8_t encr, struct cph_span data, uint8_t mac);
size_t mikey_put_v(struct mikey_out *o, uint8_t alg);
size_t mikey_put_sign(struct mikey_out *o, uint8_t type, size_t n);
/** A key data sub-payload, or the ID before them; *next_at as in mikey_out, 0 before the first. */
void mikey_put_sub_id(struct cph_wr *wr, size_t *next_at, const struct mikey_id *id);
void mikey_put_sub_key(struct cph_wr *wr, size_t *next_at, const struct mikey_keydata *key);
/** Bytes of a MAC by its number. */
size_t mikey_mac_size(uint8_t alg);
/** Bytes of a group's public value; 0 if we do not know it. */
size_t mikey_group_size(uint8_t group);
bool mikey_group_of(uint8_t number, enum cph_agree_group *out);
bool mikey_group_number(enum cph_agree_group group, uint8_t *out);

/* ---- kdf.c: RFC 3830 4.1, 4.2 ---------------------------------------------------------------- */

enum mikey_constant {
    MIKEY_FOR_TEK = 0x2ad01c64, /* Table 4.1.3: from a TGK */
    MIKEY_FOR_AUTH = 0x1b5c7973,
    MIKEY_FOR_ENCR = 0x15798cef,
    MIKEY_FOR_SALT = 0x39a2c14b,
    MIKEY_FOR_MSG_ENCR = 0x150533e1, /* Table 4.1.4: from a pre-shared or envelope key */
    MIKEY_FOR_MSG_AUTH = 0x2d22ac75,
    MIKEY_FOR_MSG_SALT = 0x29b88916,
};

/* What every derivation of a bundle has in common. */
struct mikey_bundle {
    uint32_t csb_id;
    uint8_t rand_n;
    uint8_t rand[MIKEY_RAND_MAX];
};

/** The default PRF, MIKEY-1: n bytes (at most CPH_SECRET_MAX). CPH_E_ARGUMENT, CPH_E_CRYPTO. */
CPH_MUST_CHECK cph_err mikey_prf(struct cph_span inkey, struct cph_span label, size_t n,
                                 struct cph_secret *out);
/** A key of crypto session cs_id from a TGK, or with cs_id 0xff one that protects messages. */
CPH_MUST_CHECK cph_err mikey_derive(const struct cph_secret *from, enum mikey_constant what,
                                    uint8_t cs_id, const struct mikey_bundle *b, size_t n,
                                    struct cph_secret *out);
/** Bytes that encryption with alg makes of n. */
size_t mikey_encr_size(uint8_t alg, size_t n);
/**
 * Encrypt or decrypt key data under a pre-shared or envelope key; ts is that of the initiator. *n
 * bytes to out, which takes in.n + 8. CPH_E_AUTH if a wrapped key is not the one, CPH_E_MALFORMED
 * if it can be none, CPH_E_UNSUPPORTED for another alg.
 */
CPH_MUST_CHECK cph_err mikey_encrypt(const struct cph_secret *key, const struct mikey_bundle *b,
                                     uint64_t ts, uint8_t alg, struct cph_span in, uint8_t *out,
                                     size_t *n);
CPH_MUST_CHECK cph_err mikey_decrypt(const struct cph_secret *key, const struct mikey_bundle *b,
                                     uint64_t ts, uint8_t alg, struct cph_span in, uint8_t *out,
                                     size_t *n);
/** HMAC-SHA-1-160 over the parts one behind the other. */
CPH_MUST_CHECK cph_err mikey_mac(const struct cph_secret *key, const struct mikey_bundle *b,
                                 const struct cph_span *parts, unsigned n_parts,
                                 uint8_t out[MIKEY_MAC]);

/* ---- policy.c: RFC 3830 6.10.1, RFC 7714 15 -------------------------------------------------- */

enum { MIKEY_SP_MAX = 48 }; /* bytes of parameters we write */

struct mikey_policy {
    uint8_t no;
    const struct cph_srtp_suite *suite;
    uint64_t kdr;
    bool unencrypted_rtp, unencrypted_rtcp, unauthenticated_rtp;
    uint16_t rcc_rate; /* RFC 4771: a packet in so many carries the ROC; 0: none does */
    uint8_t rcc_tag_n;
};

/** What SRTP does when no policy says otherwise. */
void mikey_policy_default(uint8_t no, struct mikey_policy *out);
/** CPH_E_MALFORMED, or CPH_E_UNSUPPORTED for what we have no suite for. */
CPH_MUST_CHECK cph_err mikey_policy_read(const struct mikey_sp *sp, struct mikey_policy *out);
void mikey_policy_write(const struct cph_srtp_suite *suite, struct cph_wr *wr);

/* ---- replay.c: RFC 3830 5.4 ------------------------------------------------------------------ */

enum { MIKEY_HASH = 32, MIKEY_COUNTERS = 256 /* peers whose COUNTER we remember */ };

struct mikey_seen {
    uint64_t ts;
    uint8_t hash[MIKEY_HASH];
};

struct mikey_counter {
    uint8_t peer[MIKEY_HASH];
    uint32_t last;
};

struct mikey_replay {
    struct mikey_seen *seen; /* NTP timestamps within the skew; in no order */
    unsigned n, cap;
    uint64_t floor; /* this and what is before is refused: forgotten, or before our time */
    uint64_t skew;  /* in units of NTP: 2^-32 seconds */
    struct mikey_counter counter[MIKEY_COUNTERS];
    unsigned n_counters;
};

/* What is remembered of a message. */
struct mikey_mark {
    uint8_t ts_type;
    uint64_t ts;
    uint8_t hash[MIKEY_HASH]; /* SHA-256 of the message */
    uint8_t peer[MIKEY_HASH]; /* and of whom it is from; for COUNTER */
};

/** NTP time of wall seconds, without a fraction. */
uint64_t mikey_ntp(int64_t wall);
CPH_MUST_CHECK cph_err mikey_replay_open(struct mikey_replay *r, unsigned cap, unsigned skew_s,
                                         uint64_t now);
void mikey_replay_close(struct mikey_replay *r);
CPH_MUST_CHECK cph_err mikey_mark_of(struct cph_span msg, uint8_t ts_type, uint64_t ts,
                                     struct cph_span peer, struct mikey_mark *out);
/** May this message be looked at? CPH_E_EXPIRED outside of the skew, CPH_E_REPLAY; changes nothing.
 */
CPH_MUST_CHECK cph_err mikey_replay_check(const struct mikey_replay *r,
                                          const struct mikey_mark *mark, uint64_t now);
/** It was authentic: remember it. CPH_E_LIMIT if there is no room for one more COUNTER. */
CPH_MUST_CHECK cph_err mikey_replay_add(struct mikey_replay *r, const struct mikey_mark *mark,
                                        uint64_t now);

/* ---- share.c: what instances share ----------------------------------------------------------- */

struct mikey_pair {
    bool ready;
    struct cph_secret x;
    uint8_t y[CPH_AGREE_PUBLIC_MAX];
};

struct cph_mikey {
    struct cph_mikey_cfg cfg;
    char id[CPH_MIKEY_ID], peer_id[CPH_MIKEY_ID];
    struct cph_secret psk;
    struct cph_key *key;
    struct cph_cert *cert, *peer_cert;
    struct cph_trust *trust;
    enum cph_agree_group group;
    uint8_t group_no;
    unsigned accept;
    uint64_t last_ts;
    uint64_t set_back; /* how often the clock was */
    uint32_t counter;
    struct mikey_pair spare;
    struct mikey_replay replay;
    struct mikey_shared *shared; /* of the description being answered; NULL if there is none */
};

/** A timestamp that no message of ours had, nor one of the peer's in the same bundle; began: we
 * began that. */
void mikey_now(struct cph_mikey *m, bool began, uint8_t *type, uint64_t *ts);
/** The pair made beforehand, or a fresh one; it is not given out again. */
CPH_MUST_CHECK cph_err mikey_pair_take(struct cph_mikey *m, enum cph_agree_group group,
                                       struct mikey_pair *out);
bool mikey_group_weak(enum cph_agree_group group);
/** Is there the material to begin in a mode, or to answer? */
bool mikey_can(const struct cph_mikey *m, enum cph_mikey_mode mode, bool answer);
struct mikey_id mikey_id_of(const char *text);

/* ---- the exchange ---------------------------------------------------------------------------- */

struct mikey_key {
    bool tek; /* used as it is, by every crypto session */
    struct cph_secret key, salt;
    uint8_t mki[CPH_SRTP_MKI_MAX];
    uint8_t mki_n;
    uint64_t lifetime; /* packets; 0: not said */
};

/* A crypto session bundle: what the exchanges so far agreed on. Holds key material. */
struct mikey_csb {
    struct mikey_bundle b;
    enum cph_mikey_mode mode;
    bool we_began; /* we sent the first message: odd crypto sessions are our streams */
    unsigned n_cs;
    struct mikey_cs cs[MIKEY_MAX_CS];
    struct mikey_policy policy[MIKEY_MAX_SP];
    unsigned n_policies;
    struct mikey_key key[MIKEY_MAX_KEYS];
    unsigned n_keys;
    bool ekt; /* keys of streams are told in the media, under this set */
    struct cph_ekt_params set;
    struct cph_secret envelope; /* cached for updates; n is 0 if there is none */
    unsigned updates;
    bool list_bound, weak_group, sha1;
    enum cph_keying_auth auth;
    uint8_t fingerprint[MIKEY_HASH];
    bool has_fingerprint;
    int64_t not_before, not_after;
    char peer_id[CPH_MIKEY_ID];
};

void mikey_csb_wipe(struct mikey_csb *c);

/* Our message, waiting for its answer. Holds key material. */
struct mikey_offer {
    bool update;
    enum mikey_type type;
    uint8_t ts_type;
    uint64_t ts;
    struct mikey_csb next;      /* what will hold if the answer agrees */
    struct cph_secret key;      /* that the answer's MAC is made with: pre-shared, or envelope */
    enum cph_agree_group group; /* Diffie-Hellman: what the answer is for; pair.ready if there is */
    struct mikey_pair pair;
    uint8_t mki[MIKEY_MKI_MAX];
    uint8_t mki_n;
    bool ekt;      /* it has a set, which holds if the answer takes it */
    bool asks_ekt; /* it asks for one, which holds if the answer has it */
    struct cph_ekt_params set;
};

void mikey_offer_wipe(struct mikey_offer *o);

#define MIKEY_CSB_SCOPED   __attribute__((cleanup(mikey_csb_wipe))) struct mikey_csb
#define MIKEY_OFFER_SCOPED __attribute__((cleanup(mikey_offer_wipe))) struct mikey_offer

/* What the description around a message says, and what we want. */
struct mikey_around {
    struct cph_span list;                       /* protocols offered, "mikey"; RFC 4567 4.1.4 */
    const struct cph_srtp_suite *const *suites; /* we take, best first, NULL-ended */
    bool allow_unencrypted, allow_unauthenticated;
    const struct cph_ekt_params *ekt; /* a set to offer with new keys, or NULL */
    bool allow_ekt;                   /* take one */
    uint32_t ssrc, roc;               /* of our stream */
    unsigned line;                    /* which pair of crypto sessions is ours: 0 for CS 1 and 2 */
    struct cph_span
        rand; /* of a new bundle of ours; empty: drawn (MIKEYv2 makes it of its hellos) */
};

struct mikey_text {
    size_t n;
    uint8_t b[MIKEY_MSG_MAX];
};

/** Write an initiator's message. old: the bundle to update, NULL for a first exchange; rekey: with
 *  new keys. CPH_E_CONFIG if something is missing for the mode. */
CPH_MUST_CHECK cph_err mikey_start(struct cph_mikey *m, const struct mikey_csb *old, bool rekey,
                                   const struct mikey_around *around, struct mikey_offer *out,
                                   struct mikey_text *msg);
/** Read an initiator's message and write the answer. *error: what an Error message would say.
 *  Nothing but the replay cache changes, and that only if the message was authentic. */
CPH_MUST_CHECK cph_err mikey_respond(struct cph_mikey *m, const struct mikey_csb *old,
                                     struct cph_span msg, const struct mikey_around *around,
                                     struct mikey_csb *out, struct mikey_text *answer,
                                     enum mikey_error *error);
/** Read the answer. CPH_E_POLICY, too, if it is an Error message. */
CPH_MUST_CHECK cph_err mikey_finish(struct cph_mikey *m, const struct mikey_offer *offer,
                                    struct cph_span msg, struct mikey_csb *out);

/* ---- error.c: RFC 3830 5.1.2 ----------------------------------------------------------------- */

/** An Error message about msg, as far as that can be read; with our policies for MIKEY_E_SPPAR, and
 *  a MAC if msg proved itself by a shared secret. CPH_E_NOTFOUND: msg has no start. */
CPH_MUST_CHECK cph_err mikey_error_write(const struct cph_mikey *m, const struct mikey_csb *old,
                                         struct cph_span msg, enum mikey_error error,
                                         const struct mikey_around *around, struct mikey_text *out);
/** Read one about our offer. CPH_E_NOTFOUND: it is another kind of message; CPH_E_STATE: about
 * another one; CPH_E_AUTH: its MAC is wrong. */
CPH_MUST_CHECK cph_err mikey_error_read(const struct cph_mikey *m, const struct mikey_offer *offer,
                                        struct cph_span bytes, uint8_t *error, bool *proven);
/** What it says, for people: "the peer refused: ..." */
const char *mikey_error_words(uint8_t error);

/* ---- auth.c: who is who, and did they say it ------------------------------------------------- */

/** The identities of a message: [0] the initiator's, [1] the responder's; n == 0 if not said. */
void mikey_ids(const struct mikey_msg *m, struct cph_span out[2]);
/** Is the identity said (may be empty) the peer we want, or ours? */
CPH_MUST_CHECK cph_err mikey_peer_is(const struct cph_mikey *m, struct cph_span said);
/** In a bundle that is updated (or NULL), is it the one whose bundle that is? */
CPH_MUST_CHECK cph_err mikey_still_is(const struct mikey_csb *old, struct cph_span said);
CPH_MUST_CHECK cph_err mikey_we_are(const struct cph_mikey *m, struct cph_span said);
/** Is the MAC at the end of the message (KEMAC or V) the one of this key, over what it covers and
 *  extra? */
CPH_MUST_CHECK cph_err mikey_mac_good(const struct cph_secret *key, const struct mikey_bundle *b,
                                      struct cph_span covered, const struct cph_span *extra,
                                      unsigned n_extra, struct cph_span mac);
/** IDi || IDr || T as a verification message and RSA-R's answer have them behind themselves. */
struct mikey_tail {
    struct cph_span part[3];
    uint8_t ts[8];
};
void mikey_tail(struct mikey_tail *t, struct cph_span idi, struct cph_span idr, uint8_t ts_type,
                uint64_t ts);
/**
 * The signature of a message, by whoever it says it is from: finds the certificate, checks it as
 * the material allows, and fills the peer's part of csb. whole: RSA-R's answer signs up to its
 * SIGN payload, and tail; else NULL. key gets the peer's public key (a reference).
 */
CPH_MUST_CHECK cph_err mikey_signed_by(const struct cph_mikey *m, const struct mikey_msg *msg,
                                       struct cph_span said_id, const struct mikey_tail *tail,
                                       struct mikey_csb *csb, struct cph_key **key,
                                       enum mikey_error *error);
/** The same of a message that one-pass MQV and a MAC prove. key: what the two certificates' keys
 * and the PKE's point make. */
CPH_MUST_CHECK cph_err mikey_mqv_by(const struct cph_mikey *m, const struct mikey_msg *msg,
                                    struct cph_span said_id, struct mikey_csb *csb,
                                    struct cph_secret *key, enum mikey_error *error);
/** End a message with our signature; tail as above. */
CPH_MUST_CHECK cph_err mikey_put_signature(const struct cph_mikey *m, struct mikey_out *o,
                                           const struct mikey_tail *tail);
/** Our certificate and what is above it. */
CPH_MUST_CHECK cph_err mikey_put_certs(const struct cph_mikey *m, struct mikey_out *o);
/** Fill in a KEMAC's or V's MAC over all before it, and extra. */
CPH_MUST_CHECK cph_err mikey_fill_mac(const struct cph_secret *key, const struct mikey_bundle *b,
                                      struct mikey_out *o, size_t at, const struct cph_span *extra,
                                      unsigned n_extra);

/* ---- transport.c: keys in a KEMAC ------------------------------------------------------------ */

/** Draw a new TGK for csb in the place of its keys, with the MKI after theirs. id: the identity
 * that will stand before it, or NULL. */
CPH_MUST_CHECK cph_err mikey_tgk_new(struct cph_mikey *m, const struct mikey_id *id,
                                     struct mikey_csb *csb);
/** Add a KEMAC with csb's keys under key; id (may be NULL) first. In public-key modes its own MAC
 * is filled in; else *mac_at says where it goes. keys false: an update without. */
CPH_MUST_CHECK cph_err mikey_put_keys(struct cph_mikey *m, struct mikey_out *o,
                                      const struct cph_secret *key, const struct mikey_csb *csb,
                                      uint64_t ts, const struct mikey_id *id, bool keys,
                                      size_t *mac_at);
/** Decrypt a KEMAC into csb's keys, which stay as they are if it has none. id gets a copy of the
 *  identity inside, if want_id. */
CPH_MUST_CHECK cph_err mikey_take_keys(const struct mikey_msg *msg, const struct cph_secret *key,
                                       uint64_t ts, bool want_id, char id[CPH_MIKEY_ID],
                                       struct mikey_csb *csb);
/** Encrypt a fresh envelope key to somebody's key and add the PKE. */
CPH_MUST_CHECK cph_err mikey_put_envelope(struct cph_mikey *m, struct mikey_out *o,
                                          const struct cph_key *to,
                                          const struct cph_secret *envelope);
/** What somebody encrypted to our key so. With RSA a wrong one gives a random key (RFC 3218). */
CPH_MUST_CHECK cph_err mikey_open_envelope(const struct cph_mikey *m, struct cph_span box,
                                           struct cph_secret *envelope);
/** A Diffie-Hellman secret as the only key of csb, valid as DHi says. CPH_E_MALFORMED for a value
 *  that is none. */
CPH_MUST_CHECK cph_err mikey_dh_key(enum cph_agree_group group, const struct mikey_pair *ours,
                                    struct cph_span theirs, const struct mikey_kv *kv,
                                    struct mikey_csb *csb);
/** The MKI of the next key: another than that of the key before. */
void mikey_mki_next(const struct cph_mikey *m, const struct mikey_csb *csb,
                    uint8_t out[MIKEY_MKI_MAX]);
/** The policy of a crypto session. */
const struct mikey_policy *mikey_policy_of(const struct mikey_csb *csb, unsigned cs);
/** Master key i of crypto session cs (from 1). CPH_E_NOTFOUND behind the last. */
CPH_MUST_CHECK cph_err mikey_master(const struct mikey_csb *csb, unsigned cs, unsigned i,
                                    struct cph_srtp_policy *out);

/* ---- tell.c: what a bundle tells of an m= line, in either version ---------------------------- */

/** The crypto session of a direction: odd ones are of who began. One alone serves both. */
unsigned mikey_session_of(const struct mikey_csb *csb, unsigned line, enum cph_keying_dir dir);
/** As in the table of mechanisms. */
CPH_MUST_CHECK cph_err mikey_csb_keys(const struct mikey_csb *csb, unsigned line,
                                      enum cph_keying_dir dir, unsigned i,
                                      struct cph_srtp_policy *out);
unsigned mikey_csb_hints(const struct mikey_csb *csb, unsigned line, struct cph_keying_hint *out,
                         unsigned cap);
/** Nothing in it rests on a weak group or SHA-1. */
bool mikey_csb_sound(const struct mikey_csb *csb);
/** Who the peer is, and what keeps the keys. */
void mikey_csb_evidence(const struct mikey_csb *csb, struct cph_keying_evidence *out);

/* ---- ekt.c: EKT sets, RFC 8870 --------------------------------------------------------------- */

/** Can it go with the keys and the policy of csb? */
bool mikey_ekt_fits(const struct cph_ekt_params *set, const struct mikey_csb *csb);
/** Add a set, under csb's TGK. */
CPH_MUST_CHECK cph_err mikey_ekt_put(struct mikey_out *w, const struct mikey_csb *csb,
                                     const struct cph_ekt_params *set);
/** Say in an answer that it was taken. */
void mikey_ekt_put_taken(struct mikey_out *w, const struct cph_ekt_params *set);
/** The set a message has. CPH_E_NOTFOUND: none; CPH_E_AUTH, CPH_E_MALFORMED, CPH_E_UNSUPPORTED. */
CPH_MUST_CHECK cph_err mikey_ekt_take(const struct mikey_msg *m, const struct mikey_csb *csb,
                                      struct cph_ekt_params *out);
/** Is it the responder that has keys first in an exchange which begins so? Then a set is its. */
bool mikey_ekt_goes_back(enum mikey_type type);
/** Ask for a set. */
void mikey_ekt_put_wish(struct mikey_out *w);
bool mikey_ekt_asked(const struct mikey_msg *m, const struct cph_ekt_params *set);
bool mikey_ekt_taken(const struct mikey_msg *m, const struct cph_ekt_params *set);
bool mikey_ekt_same(const struct mikey_csb *a, const struct mikey_csb *b);

/* ---- desc.c: a=key-mgmt, RFC 4567 ------------------------------------------------------------ */

/* A bundle that several lines of one description have in common: its message stood at session
 * level. Kept from the first line's answer for those of the others. */
struct mikey_shared {
    uint8_t offer[MIKEY_HASH], answer[MIKEY_HASH]; /* SHA-256 of the two messages */
    struct mikey_csb csb;
};

enum { MIKEY_LIST_MAX = 256 }; /* bytes of the list of protocols */

/* What a description has for us. */
struct mikey_found {
    struct cph_sdp_key_mgmt attr;
    const struct cph_sdp_part *part;
    bool session; /* it stands at session level, for all lines */
};

/** The key-mgmt of a section: its own, or the session's if it has none and is protected. */
bool mikey_find(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                struct mikey_found *out);
/** "mikey;..." as the part has it, and one more mikey at the end if add. CPH_E_MALFORMED: a
 * protocol is there twice. */
CPH_MUST_CHECK cph_err mikey_list(const struct cph_sdp_part *part, bool add,
                                  char out[MIKEY_LIST_MAX]);
CPH_MUST_CHECK cph_err mikey_decode(const struct mikey_found *f, struct mikey_text *out);
/** Add a message; media NULL: at session level. */
CPH_MUST_CHECK cph_err mikey_encode(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                    const struct mikey_text *msg);

#endif
