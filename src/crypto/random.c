#include "ciphony/crypto_key.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#include "ciphony/base_mem.h"
#include "crypto_int.h"

cph_err cph_crypto_random(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    if (n > INT32_MAX)
        return CPH_E_ARGUMENT;
    if (RAND_bytes(buf, (int)n) != 1) {
        cph_crypto_drain(NULL);
        return CPH_E_CRYPTO;
    }
    return CPH_OK;
}

void cph_crypto_drain(const struct cph_env *env)
{
    unsigned long e;

    while ((e = ERR_get_error()) != 0) {
        char line[256];

        ERR_error_string_n(e, line, sizeof line);
        cph_log(env, CPH_LOG_DEBUG, "crypto", "%s", line);
    }
}

__attribute__((noinline)) void crypto_stack_wipe(void)
{
    uint8_t below[16384];

    cph_wipe(below, sizeof below);
}
