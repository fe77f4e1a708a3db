/* OpenPGP: private face. Numbers in parentheses are sections of RFC 4880. */
#ifndef CPH_CRYPTO_PGP_INT_H
#define CPH_CRYPTO_PGP_INT_H

#include <openssl/evp.h>

#include "ciphony/base_wire.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_pgp.h"

enum {
    PGP_MPIS = 4,          /* numbers of a key: DSA has the most */
    PGP_NUMBER = 8192 / 8, /* bytes of the longest of them */
};

/* ---- pgp_packet.c: packets, and what stands in them; no keys, no math -------------------------
 */

enum pgp_tag { PGP_SIGNATURE = 2, PGP_KEY = 6, PGP_SUBKEY = 14, PGP_USER_ID = 13 };

/* 9.1, RFC 6637 5, and 22 as GnuPG and RFC 9580 have it */
enum pgp_algo { PGP_RSA = 1, PGP_RSA_SIGN = 3, PGP_DSA = 17, PGP_ECDSA = 19, PGP_EDDSA = 22 };

enum pgp_type { /* 5.2.1 */
                PGP_BINARY = 0x00,
                PGP_CERT_FIRST = 0x10,
                PGP_CERT_LAST = 0x13,
                PGP_BINDS_SUBKEY = 0x18,
                PGP_BINDS_PRIMARY = 0x19,
                PGP_DIRECT = 0x1f,
                PGP_REVOKES_KEY = 0x20,
                PGP_REVOKES_SUBKEY = 0x28,
                PGP_REVOKES_CERT = 0x30,
};

enum { PGP_MAY_SIGN = 2 }; /* 5.2.3.21 */

struct pgp_public {
    struct cph_span body; /* what a fingerprint covers */
    int64_t created;
    uint8_t algo;
    struct cph_span oid; /* ECDSA, EdDSA */
    unsigned n;
    struct cph_span mpi[PGP_MPIS];
};

struct pgp_sig {
    uint8_t type, algo, hash;
    struct cph_span hashed; /* version to the end of what is signed of the signature itself */
    bool has_created, has_key_flags;
    int64_t created;
    uint32_t expires, key_expires; /* seconds after creation; 0: never */
    uint8_t key_flags;
    struct cph_span issuer, issuer_fpr; /* 8 bytes; 20 bytes; n == 0: not told */
    struct cph_span embedded;           /* the body of another one (5.2.3.26) */
    uint8_t left[2];
    unsigned n;
    struct cph_span mpi[2];
};

/* Armour off, if it is on; *room is what to free. The binary itself needs no room. 6.2 */
cph_err pgp_unarmor(struct cph_span in, uint8_t **room, struct cph_span *out);
/* The next packet; CPH_E_NOTFOUND at the end. 4.2 */
cph_err pgp_packet(struct cph_rd *rd, uint8_t *tag, struct cph_span *body);
cph_err pgp_public_parse(struct cph_span body, struct pgp_public *out);
cph_err pgp_sig_parse(struct cph_span body, struct pgp_sig *out);

/* ---- pgp_math.c: what OpenSSL does with it ----------------------------------------------------
 */

cph_err pgp_pkey(const struct pgp_public *key, EVP_PKEY **out);
/* Digest of the parts and of the signature's own fields, and the signature over it. CPH_E_AUTH. */
cph_err pgp_check(EVP_PKEY *pkey, uint8_t algo, const struct pgp_sig *sig,
                  const struct cph_span *part, size_t n);

#endif
