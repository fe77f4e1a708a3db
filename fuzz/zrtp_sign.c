/* What a peer calls its signature over the SAS: a certificate and r || s. Nothing that is not our
 * own may be taken for good. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/crypto_key.h"
#include "ciphony/keying_zrtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t sashash[CPH_ZRTP_SASHASH] = "what both ends have computed ...";
    struct cph_zrtp_signing x = { .env = &env };
    struct cph_zrtp_signed by = { 0 };
    struct cph_zrtp_signer signer;

    cph_zrtp_signer_init(&x, &signer);
    if (signer.verify(signer.ctx, sashash, "X509", (struct cph_span){ data, n }, &by) == CPH_OK &&
        by.trusted)
        abort();
    return 0;
}
