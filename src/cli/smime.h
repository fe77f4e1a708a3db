/* What S/MIME takes for the calls of a terminal: the peers' certificates of --smime and of the
 * configuration, who may vouch for them, and our own key. */
#ifndef CPH_CLI_SMIME_H
#define CPH_CLI_SMIME_H

#include "cli_int.h"

#include "ciphony/crypto_key.h"
#include "ciphony/identity_device.h"
#include "ciphony/sip_phone.h"

enum { CLI_SMIME_MAX = 16 };

struct cli_smime_config {
    const struct cph_env *env;
    const char *const *file; /* of --smime: a peer's certificate each */
    size_t n_files;
    const char *own; /* PEM file with our key and its certificate, "" for device_cert's */
    const struct cph_cert *device_cert;
    const struct cli_peer *peer; /* of the configuration; those with smime count */
    size_t n_peers;
    bool wanted; /* policy says that calls are sealed */
};

struct cli_smime_peer {
    char uri[CPH_PEER_MAX];
    struct cph_cert *cert;   /* NULL: an authority is all there is */
    struct cph_trust *trust; /* NULL: that certificate and no other */
};

struct cli_smime {
    struct cph_cert *cert[CLI_SMIME_MAX]; /* of --smime */
    size_t n;
    struct cli_smime_peer peer[CLI_PEERS_MAX];
    size_t n_peers;
    struct cph_key *own_key; /* NULL: the device's */
    struct cph_cert *own_cert;
    bool on; /* it is spoken at all */
};

/** Reads what is named; on error why says which, and what to do. CPH_E_CONFIG, CPH_E_NOMEM. */
CPH_MUST_CHECK cph_err cli_smime_load(const struct cli_smime_config *cfg, char why[CLI_WHY],
                                      struct cli_smime *out);
void cli_smime_drop(struct cli_smime *s);
/** The certificate of this peer: of --smime the one that names it; else of its section; else the
 * only one of --smime, whoever's it is. NULL: none. */
const struct cph_cert *cli_smime_for(const struct cli_smime *s, struct cph_span peer_uri);
/** What its section says. */
struct cph_phone_seal cli_smime_seal(const struct cli_smime *s, struct cph_span peer_uri);
/** Can a call to this address be made? It can if it need not be sealed. CPH_E_CONFIG and why. */
CPH_MUST_CHECK cph_err cli_smime_reaches(const struct cli_smime *s, bool wanted, const char *uri,
                                         char why[CLI_WHY]);

#endif
