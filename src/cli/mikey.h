/* What MIKEY takes for the calls of a terminal: something for each [peer] of the configuration, and
 * the device's certificate for everybody else. */
#ifndef CPH_CLI_MIKEY_H
#define CPH_CLI_MIKEY_H

#include "cli_int.h"

struct cli_mikey;

struct cli_mikey_config {
    const struct cph_env *env;
    const char *own_uri;       /* who we are in MIKEY's messages */
    const struct cph_key *key; /* of the device */
    const struct cph_cert *cert;
    const struct cli_peer *peer; /* of the configuration */
    size_t n_peers;
};

/** Reads the peers' secrets and files; on error why says whose, and what to do. CPH_E_CONFIG. */
CPH_MUST_CHECK cph_err cli_mikey_new(const struct cli_mikey_config *cfg, char why[CLI_WHY],
                                     struct cli_mikey **out);
void cli_mikey_free(struct cli_mikey *m); /* after every call; NULL is fine */
/** For a call with this address, as it is claimed to be. */
struct cph_mikey *cli_mikey_for(struct cli_mikey *m, struct cph_span peer_uri);

#endif
