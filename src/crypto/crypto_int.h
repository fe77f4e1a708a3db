/* The ciphers' private face. */
#ifndef CPH_CRYPTO_INT_H
#define CPH_CRYPTO_INT_H

#include "ciphony/crypto_cipher.h"

enum { CRYPTO_BLOCK_MAX = 128 }; /* SHA-384 and SHA-512 work on the longest blocks */

/** Drop OpenSSL's error queue and say CPH_E_CRYPTO. */
cph_err crypto_refused(void);
/** Wipe the stack below the caller: OpenSSL leaves there what it worked on. Call it behind what
 * handles agreed secrets, private values or clear text. */
void crypto_stack_wipe(void);
/** Bytes of the blocks alg works on; 0 if there is no such alg. */
size_t crypto_digest_block(enum cph_digest_alg alg);

#endif
