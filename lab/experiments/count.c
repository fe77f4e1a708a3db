/* Counts public-key operations: the linker leads calls between rooms through here (--wrap), in the
 * programs that hold the lab and nowhere else. */
#include "lab.h"

#include "ciphony/crypto_agree.h"
#include "ciphony/crypto_cms.h"
#include "ciphony/crypto_envelope.h"
#include "ciphony/stream.h"

static _Thread_local struct lab_count count;

struct lab_count lab_count_now(void)
{
    return count;
}

unsigned lab_count_between(const struct lab_count *a, const struct lab_count *b)
{
    return b->signs - a->signs + b->verifies - a->verifies + b->generates - a->generates +
           b->agreements - a->agreements + b->envelopes - a->envelopes + b->handshakes -
           a->handshakes;
}

#define WRAP(field, ret, name, params, args)                                                       \
    ret __real_##name params;                                                                      \
    ret __wrap_##name params;                                                                      \
    ret __wrap_##name params                                                                       \
    {                                                                                              \
        count.field++;                                                                             \
        return __real_##name args;                                                                 \
    }

WRAP(signs, cph_err, cph_key_sign,
     (const struct cph_env *env, const struct cph_key *key, enum cph_sig sig, struct cph_span msg,
      uint8_t *out, size_t cap, size_t *n),
     (env, key, sig, msg, out, cap, n))
WRAP(verifies, cph_err, cph_key_verify,
     (const struct cph_env *env, const struct cph_key *key, enum cph_sig sig, struct cph_span msg,
      struct cph_span signature),
     (env, key, sig, msg, signature))
WRAP(generates, cph_err, cph_key_generate,
     (const struct cph_env *env, enum cph_key_kind kind, struct cph_key **out), (env, kind, out))
WRAP(generates, cph_err, cph_agree_make,
     (const struct cph_env *env, enum cph_agree_group group, size_t exponent_n,
      struct cph_secret *private_value, uint8_t *public_value),
     (env, group, exponent_n, private_value, public_value))
WRAP(agreements, cph_err, cph_agree_derive,
     (enum cph_agree_group group, const struct cph_secret *private_value, struct cph_span peer,
      struct cph_secret *out),
     (group, private_value, peer, out))
WRAP(agreements, cph_err, cph_agree_mqv,
     (enum cph_agree_group group, const struct cph_secret *lasting, const struct cph_secret *now,
      struct cph_span ours_now, struct cph_span peer_lasting, struct cph_span peer_now,
      struct cph_secret *out),
     (group, lasting, now, ours_now, peer_lasting, peer_now, out))
WRAP(envelopes, cph_err, cph_rsa_encrypt,
     (const struct cph_env *env, const struct cph_key *key, enum cph_rsa_padding padding,
      const struct cph_secret *in, uint8_t *out, size_t cap, size_t *n),
     (env, key, padding, in, out, cap, n))
WRAP(envelopes, cph_err, cph_rsa_decrypt,
     (const struct cph_env *env, const struct cph_key *key, enum cph_rsa_padding padding,
      struct cph_span in, size_t min, struct cph_secret *out),
     (env, key, padding, in, min, out))
WRAP(signs, cph_err, cph_cms_sign,
     (const struct cph_env *env, const struct cph_key *key, const struct cph_cert *cert,
      int64_t wall, struct cph_span in, uint8_t *out, size_t cap, size_t *n),
     (env, key, cert, wall, in, out, cap, n))
WRAP(verifies, cph_err, cph_cms_verify,
     (const struct cph_env *env, struct cph_span in, const struct cph_cert *known, uint8_t *out,
      size_t cap, size_t *n, struct cph_cms_signer *signer),
     (env, in, known, out, cap, n, signer))
WRAP(envelopes, cph_err, cph_cms_encrypt,
     (const struct cph_env *env, const struct cph_cert *to, enum cph_cms_cipher cipher,
      struct cph_span in, uint8_t *out, size_t cap, size_t *n),
     (env, to, cipher, in, out, cap, n))
WRAP(envelopes, cph_err, cph_cms_decrypt,
     (const struct cph_env *env, const struct cph_key *key, const struct cph_cert *cert,
      struct cph_span in, uint8_t *out, size_t cap, size_t *n),
     (env, key, cert, in, out, cap, n))
WRAP(handshakes, cph_err, cph_stream_new,
     (const struct cph_stream_config *cfg, const struct cph_env *env, struct cph_stream **out),
     (cfg, env, out))
