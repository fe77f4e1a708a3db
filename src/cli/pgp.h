/* The peers' OpenPGP keys, by which they may sign the string of a ZRTP call (--pgp). */
#ifndef CPH_CLI_PGP_H
#define CPH_CLI_PGP_H

#include "cli_int.h"

#include "ciphony/crypto_pgp.h"

enum { CLI_PGP_MAX = 16 };

struct cli_pgp {
    struct cph_pgp_key *key[CLI_PGP_MAX];
    size_t n;
};

/** Reads exported keys, one in each file; on error why says which, and what to do. CPH_E_CONFIG. */
CPH_MUST_CHECK cph_err cli_pgp_load(const struct cph_env *env, const char *const *file, size_t n,
                                    char why[CLI_WHY], struct cli_pgp *out);
void cli_pgp_drop(struct cli_pgp *p);
/** The key with a User ID that names this address. NULL: none. */
const struct cph_pgp_key *cli_pgp_for(const struct cli_pgp *p, struct cph_span peer_uri);

#endif
