/*
 * Read MIKEY as an attacker does: from messages on the wire and whatever long-term keys he got hold
 * of, to the keys inside. Written from RFC 3830 and 4738 alone, and for keys on curves from
 * docs/rooms/keying-mikey.md, so that it also checks our engine.
 */
#ifndef CPH_LAB_MIKEY_READ_H
#define CPH_LAB_MIKEY_READ_H

#include "ciphony/base_mem.h"
#include "ciphony/base_wire.h"
#include "ciphony/crypto_key.h"

/* Long-term keys that came into the wrong hands; all borrowed. */
enum { LAB_LOOT = 16 };
struct lab_loot {
    const struct cph_secret *secret[LAB_LOOT];
    unsigned n_secrets;
    const struct cph_key *key[LAB_LOOT];
    unsigned n_keys;
};

enum { LAB_MIKEY_SEEN = 8, LAB_MIKEY_RAND = 255 };

/* What first messages said openly; their answers are read with it. */
struct lab_mikey_reader {
    struct {
        uint32_t csb_id;
        uint64_t ts;
        uint8_t rand[LAB_MIKEY_RAND], rand_n;
    } seen[LAB_MIKEY_SEEN];
    unsigned n;
};

/* A key that was found, with what is needed to derive those of its crypto sessions. */
struct lab_mikey_key {
    struct cph_secret key, salt; /* salt.n 0: none was sent */
    bool tek;                    /* it is the traffic key itself */
    uint32_t csb_id;
    uint8_t rand[LAB_MIKEY_RAND], rand_n;
};
typedef void lab_mikey_found_fn(void *ctx, const struct lab_mikey_key *key);

/** Every key of this message that can be had: those in clear, and those that the loot opens. loot
 *  may be NULL. Returns how many were told. */
unsigned lab_mikey_read(struct lab_mikey_reader *r, struct cph_span msg,
                        const struct lab_loot *loot, lab_mikey_found_fn *found, void *ctx);
/** Master key and salt of crypto session cs. RFC 3830 4.1.3 */
CPH_MUST_CHECK cph_err lab_mikey_master(const struct lab_mikey_key *k, uint8_t cs, size_t key_n,
                                        size_t salt_n, struct cph_secret *key,
                                        struct cph_secret *salt);

/* What a message names openly. */
struct lab_mikey_names {
    unsigned n; /* crypto sessions */
    uint32_t ssrc[8], roc[8];
};
bool lab_mikey_names(struct cph_span msg, struct lab_mikey_names *out);
/** The same message with the worst suite that encrypts in its policies; false if it has no other.
 */
bool lab_mikey_weaken(struct cph_span msg, struct cph_wr *out);
/** What a message of MIKEYv2 has of MIKEY in it, in its place; false if nothing. */
bool lab_mikeyv2_inside(uint8_t *b, size_t *n);
/** The bytes of an a=key-mgmt:mikey line, or those inside an a=mikeyv2; false if it is none. */
bool lab_mikey_line(struct cph_span line, uint8_t *out, size_t cap, size_t *n);

#endif
