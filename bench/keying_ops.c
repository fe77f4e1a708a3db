/* The linker leads what the rooms call of public-key operations through here (--wrap), and here a
 * clock runs. A row that comes new to the table is so accounted for without a word about it. */
#include "keying_bench.h"

#include "ciphony/crypto_agree.h"
#include "ciphony/crypto_envelope.h"

static double spent;

double bench_ops(void)
{
    return spent;
}

#define TIMED(name, params, args)                                                                  \
    cph_err __real_##name params;                                                                  \
    cph_err __wrap_##name params;                                                                  \
    cph_err __wrap_##name params                                                                   \
    {                                                                                              \
        double at = bench_cpu();                                                                   \
        cph_err err = __real_##name args;                                                          \
                                                                                                   \
        spent += bench_cpu() - at;                                                                 \
        return err;                                                                                \
    }

TIMED(cph_key_sign,
      (const struct cph_env *env, const struct cph_key *key, enum cph_sig sig, struct cph_span msg,
       uint8_t *out, size_t cap, size_t *n),
      (env, key, sig, msg, out, cap, n))
TIMED(cph_key_verify,
      (const struct cph_env *env, const struct cph_key *key, enum cph_sig sig, struct cph_span msg,
       struct cph_span signature),
      (env, key, sig, msg, signature))
TIMED(cph_key_generate, (const struct cph_env *env, enum cph_key_kind kind, struct cph_key **out),
      (env, kind, out))
TIMED(cph_agree_make,
      (const struct cph_env *env, enum cph_agree_group group, size_t exponent_n,
       struct cph_secret *private_value, uint8_t *public_value),
      (env, group, exponent_n, private_value, public_value))
TIMED(cph_agree_derive,
      (enum cph_agree_group group, const struct cph_secret *private_value, struct cph_span peer,
       struct cph_secret *out),
      (group, private_value, peer, out))
TIMED(cph_rsa_encrypt,
      (const struct cph_env *env, const struct cph_key *key, enum cph_rsa_padding padding,
       const struct cph_secret *in, uint8_t *out, size_t cap, size_t *n),
      (env, key, padding, in, out, cap, n))
TIMED(cph_rsa_decrypt,
      (const struct cph_env *env, const struct cph_key *key, enum cph_rsa_padding padding,
       struct cph_span in, size_t min, struct cph_secret *out),
      (env, key, padding, in, min, out))
TIMED(cph_cert_verify,
      (const struct cph_env *env, const struct cph_cert *cert, const struct cph_trust *trust,
       enum cph_cert_purpose purpose, int64_t wall, char why[CPH_CERT_WHY]),
      (env, cert, trust, purpose, wall, why))
