/* Ciphony: packets, messages and types of ZRTP (RFC 6189 5). Numbers in parentheses are sections.
 */
#ifndef CPH_KEYING_ZRTP_WIRE_H
#define CPH_KEYING_ZRTP_WIRE_H

#include "ciphony/base_wire.h"
#include "ciphony/crypto_agree.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/srtp.h"

enum {
    ZRTP_HASH = 32, /* bytes of the implicit hash (5.1.2.2): H0 to H3, hvi, zrtp-hash */
    ZRTP_MAC = 8,   /* every MAC on the wire is cut to 64 bits */
    ZRTP_IV = 16,
    ZRTP_NONCE = 16,
    ZRTP_LIST = 7,                 /* types of one kind in a Hello, at most (5.2) */
    ZRTP_FULL = ZRTP_LIST + 2,     /* and with the mandatory ones */
    ZRTP_MESSAGE = 4 * (19 + 511), /* bytes of the longest message: a Confirm with all signature */
    ZRTP_SHORT = 4 * 117,          /* of the longest without a signature: DHPart of DH3k */
    ZRTP_PUBLIC = 384,             /* of the longest public value */
    ZRTP_FRAME = 12 + 4,           /* header and CRC of a packet (5) */
    ZRTP_SEALED = CPH_KEYING_PACKET - ZRTP_FRAME, /* of the longest Confirm that we send */
};

/* ---- wire.c: packets and messages; no state, no keys ----------------------------------------- */

enum zrtp_type {
    ZRTP_HELLO,
    ZRTP_HELLOACK,
    ZRTP_COMMIT,
    ZRTP_DHPART1,
    ZRTP_DHPART2,
    ZRTP_CONFIRM1,
    ZRTP_CONFIRM2,
    ZRTP_CONF2ACK,
    ZRTP_ERROR,
    ZRTP_ERRORACK,
    ZRTP_GOCLEAR,
    ZRTP_CLEARACK,
    ZRTP_SASRELAY,
    ZRTP_RELAYACK,
    ZRTP_PING,
    ZRTP_PINGACK,
    ZRTP_TYPES
};

/* A type block of 4 characters, as a number. */
#define ZRTP_ID(a, b, c, d)                                                                        \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

struct zrtp_list {
    unsigned n;
    uint32_t id[ZRTP_FULL];
};

enum zrtp_kind { ZRTP_K_HASH, ZRTP_K_CIPHER, ZRTP_K_TAG, ZRTP_K_AGREEMENT, ZRTP_K_SAS, ZRTP_KINDS };

struct zrtp_hello {
    uint8_t version[4], client[16], h3[ZRTP_HASH], zid[CPH_ZRTP_ZID];
    bool s, m, p;
    struct zrtp_list list[ZRTP_KINDS]; /* as sent: at most ZRTP_LIST each */
    uint8_t mac[ZRTP_MAC];
};

struct zrtp_commit {
    enum cph_zrtp_mode mode; /* told by the agreement's id */
    uint8_t h2[ZRTP_HASH], zid[CPH_ZRTP_ZID];
    uint32_t id[ZRTP_KINDS];
    uint8_t hvi[ZRTP_HASH];   /* DH; else the first ZRTP_NONCE bytes are the nonce */
    uint8_t key_id[ZRTP_MAC]; /* Preshared */
    uint8_t mac[ZRTP_MAC];
};

enum zrtp_secret { ZRTP_RS1, ZRTP_RS2, ZRTP_AUX, ZRTP_PBX, ZRTP_SECRETS };

struct zrtp_dhpart {
    uint8_t h1[ZRTP_HASH];
    uint8_t id[ZRTP_SECRETS][ZRTP_MAC];
    struct cph_span pv;
    uint8_t mac[ZRTP_MAC];
};

/* Confirm1, Confirm2, SASrelay from outside. */
struct zrtp_sealed {
    uint8_t mac[ZRTP_MAC], iv[ZRTP_IV];
    struct cph_span cipher;
};

enum zrtp_flag { ZRTP_FLAG_D = 1, ZRTP_FLAG_A = 2, ZRTP_FLAG_V = 4, ZRTP_FLAG_E = 8 };

/* And from inside. */
struct zrtp_confirm {
    uint8_t h0[ZRTP_HASH];
    unsigned flags;
    uint32_t cache_s;
    char sig_type[4];
    struct cph_span sig; /* without its type, with padding; n == 0: none */
};
struct zrtp_relay {
    unsigned flags;
    uint32_t sas_id;
    uint8_t sashash[CPH_ZRTP_SASHASH];
    char sig_type[4];
    struct cph_span sig;
};

struct zrtp_ping {
    uint8_t version[4], endpoint[8];
};
struct zrtp_pingack {
    uint8_t version[4], endpoint[8], pinged[8];
    uint32_t ssrc;
};

/* One message, parsed; views die with the bytes. */
struct zrtp_msg {
    enum zrtp_type type;
    struct cph_span bytes;
    union {
        struct zrtp_hello hello;
        struct zrtp_commit commit;
        struct zrtp_dhpart dhpart;
        struct zrtp_sealed sealed;
        uint32_t error;
        uint8_t clear_mac[ZRTP_MAC];
        struct zrtp_ping ping;
        struct zrtp_pingack pingack;
    } u;
};

struct zrtp_packet {
    uint16_t seq;
    uint32_t ssrc;
    struct cph_span msg;
};

/* 5: version nibble, cookie, CRC. CPH_E_TRUNCATED, CPH_E_MALFORMED. */
cph_err zrtp_packet_parse(struct cph_span bytes, struct zrtp_packet *out);
void zrtp_packet_build(struct cph_wr *wr, const struct zrtp_packet *packet);
/* One message that fills its bytes. CPH_E_UNSUPPORTED for an unknown type. */
cph_err zrtp_msg_parse(struct cph_span bytes, struct zrtp_msg *out);
/* The other way, whatever the type; what u does not need is not looked at. */
void zrtp_msg_build(struct cph_wr *wr, const struct zrtp_msg *msg);
cph_err zrtp_confirm_parse(struct cph_span clear, struct zrtp_confirm *out);
void zrtp_confirm_build(struct cph_wr *wr, const struct zrtp_confirm *confirm);
cph_err zrtp_relay_parse(struct cph_span clear, struct zrtp_relay *out);
void zrtp_relay_build(struct cph_wr *wr, const struct zrtp_relay *relay);
uint32_t zrtp_crc32c(struct cph_span bytes); /* RFC 4960 B: the sum as it goes on the wire */

/* ---- names.c: what the types mean ------------------------------------------------------------ */

/* A row per type we can do; only the fields of its kind mean something. */
struct zrtp_alg {
    uint32_t id;
    char name[5];
    enum cph_digest_alg digest; /* hash */
    unsigned hash_n;            /* hash: bytes */
    unsigned key_n;             /* cipher: bytes */
    unsigned tag_bits;          /* tag */
    enum cph_agree_group group; /* agreement */
    unsigned rank;              /* agreement: 0 is the fastest (4.1.2) */
    bool wants_s384;            /* agreement (5.1.5) */
};

#define ZRTP_DH3K ZRTP_ID('D', 'H', '3', 'k')
#define ZRTP_MULT ZRTP_ID('M', 'u', 'l', 't')
#define ZRTP_PRSH ZRTP_ID('P', 'r', 's', 'h')

const struct zrtp_alg *zrtp_alg(enum zrtp_kind kind, uint32_t id); /* NULL: not ours */
uint32_t zrtp_id_of(const char *name);                             /* 0 unless 4 characters */
/* Our types by default, best first. */
const char *const *zrtp_defaults(enum zrtp_kind kind);
/* The list with what the RFC makes mandatory behind it (5.2). */
void zrtp_list_complete(enum zrtp_kind kind, const struct zrtp_list *in, struct zrtp_list *out);
bool zrtp_list_has(const struct zrtp_list *list, uint32_t id);
/* The first of ours that is theirs too; both complete. 0 if there is none. */
uint32_t zrtp_pick(const struct zrtp_list *ours, const struct zrtp_list *theirs);
/* The agreement both sides come to (4.1.2). */
uint32_t zrtp_pick_agreement(const struct zrtp_hello *ours, const struct zrtp_hello *theirs);
const struct cph_srtp_suite *zrtp_suite(const struct zrtp_alg *cipher, const struct zrtp_alg *tag);
const char *zrtp_error_text(unsigned code);

enum zrtp_error_code {
    ZRTP_E_NONE = 0,
    ZRTP_E_MALFORMED = 0x10,
    ZRTP_E_SOFTWARE = 0x20,
    ZRTP_E_VERSION = 0x30,
    ZRTP_E_HELLO = 0x40,
    ZRTP_E_HASH = 0x51,
    ZRTP_E_CIPHER = 0x52,
    ZRTP_E_AGREEMENT = 0x53,
    ZRTP_E_TAG = 0x54,
    ZRTP_E_SAS = 0x55,
    ZRTP_E_NO_SECRET = 0x56,
    ZRTP_E_BAD_PV = 0x61,
    ZRTP_E_BAD_HVI = 0x62,
    ZRTP_E_UNTRUSTED_MITM = 0x63,
    ZRTP_E_CONFIRM_MAC = 0x70,
    ZRTP_E_NONCE = 0x80,
    ZRTP_E_EQUAL_ZID = 0x90,
    ZRTP_E_SSRC = 0x91,
    ZRTP_E_UNAVAILABLE = 0xA0,
    ZRTP_E_TIMEOUT = 0xB0,
    ZRTP_E_GOCLEAR = 0x100,
};

extern const char zrtp_words_even[256][10], zrtp_words_odd[256][12]; /* words.c */

#endif
