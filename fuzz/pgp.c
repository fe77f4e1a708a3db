/* An OpenPGP key out of a file and a signature off the wire: u16 length of the key | key |
 * signature. What is taken for good was made by that key, within its dates. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/crypto_key.h"
#include "ciphony/crypto_pgp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1772323200;
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_pgp_key *key;
    struct cph_pgp_by by;
    size_t key_n = n < 2 ? 0 : (size_t)(data[0] << 8 | data[1]);

    if (n < 2 || key_n > n - 2 ||
        cph_pgp_key_load(&env, (struct cph_span){ data + 2, key_n }, &key) != CPH_OK)
        return 0;
    (void)cph_pgp_key_names(key, (struct cph_span){ data, n < 32 ? n : 32 });
    if (cph_pgp_verify(&env, key, CPH_SPAN_LIT("what both ends have computed ..."),
                       (struct cph_span){ data + 2 + key_n, n - 2 - key_n }, &by) == CPH_OK &&
        (memcmp(by.fingerprint, cph_pgp_key_fingerprint(key), sizeof by.fingerprint) != 0 ||
         by.not_before > by.not_after))
        abort();
    cph_pgp_key_free(key);
    return 0;
}
