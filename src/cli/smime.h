/* The peers' certificates that offers and answers are sealed to (--smime). */
#ifndef CPH_CLI_SMIME_H
#define CPH_CLI_SMIME_H

#include "cli_int.h"

#include "ciphony/crypto_key.h"

enum { CLI_SMIME_MAX = 16 };

struct cli_smime {
    struct cph_cert *cert[CLI_SMIME_MAX];
    size_t n;
};

/** Reads PEM files, one certificate each; on error why says which, and what to do. CPH_E_CONFIG. */
CPH_MUST_CHECK cph_err cli_smime_load(const struct cph_env *env, const char *const *file, size_t n,
                                      char why[CLI_WHY], struct cli_smime *out);
void cli_smime_drop(struct cli_smime *s);
/** The certificate that names this address; one alone is whoever's the call is. NULL: none. */
const struct cph_cert *cli_smime_for(const struct cli_smime *s, struct cph_span peer_uri);

#endif
