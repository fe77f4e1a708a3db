/* Ciphony: OpenPGP public keys, and the signatures they made (RFC 4880, RFC 6637). */
#ifndef CPH_CRYPTO_PGP_H
#define CPH_CRYPTO_PGP_H

#include "ciphony/base.h"

/*
 * Version 4 keys and signatures alone: RSA of 2048 to 8192 bits, DSA of 2048 to 3072, ECDSA over
 * P-256, P-384 or P-521, Ed25519; with SHA-256, SHA-384 or SHA-512, also where a key signs itself.
 * Nothing is fetched, decrypted or made. Keys never change and are not counted.
 */

enum {
    CPH_PGP_FILE_MAX = 65536,     /* bytes of one exported key, with everybody's signatures */
    CPH_PGP_SIGNATURE_MAX = 2040, /* bytes of one signature: all that RFC 6189 7.2.1 has room for */
};

struct cph_pgp_key;

/* Which key made a signature: the primary key that the user keeps. */
struct cph_pgp_by {
    uint8_t fingerprint[32];       /* SHA-256 over what the OpenPGP fingerprint is the SHA-1 of */
    int64_t not_before, not_after; /* wall seconds; INT64_MAX: never */
};

/**
 * One exported public key (RFC 4880 11.1), binary or in armour. What the key says of itself counts
 * where it signed it: dates, User IDs, and subkeys that may sign and say so in return. What others
 * signed is skipped. CPH_E_MALFORMED; CPH_E_LIMIT (too long, too many parts); CPH_E_UNSUPPORTED (a
 * kind we have not, SHA-1 under its own name); CPH_E_AUTH (no User ID that it signed);
 * CPH_E_EXPIRED (revoked); CPH_E_NOMEM. A second key in the file is CPH_E_TRAILING.
 */
CPH_API CPH_MUST_CHECK cph_err cph_pgp_key_load(const struct cph_env *env, struct cph_span bytes,
                                                struct cph_pgp_key **out);
CPH_API void cph_pgp_key_free(struct cph_pgp_key *key); /* NULL is fine */
/** As cph_pgp_by of a signature by it. */
CPH_API const uint8_t *cph_pgp_key_fingerprint(const struct cph_pgp_key *key);
/** Does one of its User IDs name this address, "alice@example.org" or "sip:alice@example.org"?
 *  Between < and > or alone; without case, and with or without the scheme on either side. */
CPH_API bool cph_pgp_key_names(const struct cph_pgp_key *key, struct cph_span address);

/**
 * A signature packet over msg as a binary document, with at most 3 zeros behind it. CPH_OK and by;
 * CPH_E_NOKEY (another key's), CPH_E_AUTH (not over msg, or changed), CPH_E_EXPIRED (the signature
 * itself), CPH_E_POLICY (it may not sign, or before it was made, or in the future),
 * CPH_E_MALFORMED, CPH_E_UNSUPPORTED, CPH_E_LIMIT. RFC 4880 5.2.3, 5.2.4.
 */
CPH_API CPH_MUST_CHECK cph_err cph_pgp_verify(const struct cph_env *env,
                                              const struct cph_pgp_key *key, struct cph_span msg,
                                              struct cph_span signature, struct cph_pgp_by *by);

#endif
