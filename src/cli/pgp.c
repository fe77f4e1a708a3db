#include "pgp.h"

#include <stdio.h>
#include <stdlib.h>

#include "ciphony/identity_device.h"

/* What the key said of itself, in words for its owner's friend. */
static const char *what_is_wrong(cph_err err)
{
    switch (err) {
    case CPH_E_EXPIRED:
        return "the key was revoked by its owner";
    case CPH_E_AUTH:
        return "the key has no User ID that it signed itself";
    case CPH_E_TRAILING:
        return "there is more than one key in it";
    case CPH_E_UNSUPPORTED:
        return "a kind of key that cannot be used: it takes RSA, DSA, ECDSA or Ed25519, version 4, "
               "signed by itself with SHA-256 or better";
    default:
        return cph_err_text(err);
    }
}

static cph_err load(const struct cph_env *env, const char *file, char why[CLI_WHY],
                    struct cph_pgp_key **out)
{
    uint8_t *bytes = malloc(CPH_PGP_FILE_MAX);
    const char *what = "";
    size_t n = 0;
    cph_err err;

    if (!bytes)
        return CPH_E_NOMEM;
    err = cli_file_read(file, false, bytes, CPH_PGP_FILE_MAX, &n, &what);
    if (err == CPH_OK)
        err = cph_pgp_key_load(env, (struct cph_span){ bytes, n }, out);
    free(bytes);
    if (err == CPH_OK)
        return CPH_OK;
    (void)snprintf(why, CLI_WHY,
                   "--pgp %.600s: %s; expected one OpenPGP key, as gpg --export writes it", file,
                   what[0] ? what : what_is_wrong(err));
    return CPH_E_CONFIG;
}

cph_err cli_pgp_load(const struct cph_env *env, const char *const *file, size_t n,
                     char why[CLI_WHY], struct cli_pgp *out)
{
    for (size_t i = 0; i < n && i < CLI_PGP_MAX; i++) {
        CPH_TRY(load(env, file[i], why, &out->key[i]));
        out->n = i + 1;
    }
    return CPH_OK;
}

void cli_pgp_drop(struct cli_pgp *p)
{
    for (size_t i = 0; i < p->n; i++)
        cph_pgp_key_free(p->key[i]);
    p->n = 0;
}

const struct cph_pgp_key *cli_pgp_for(const struct cli_pgp *p, struct cph_span peer_uri)
{
    char name[CPH_PEER_MAX];

    if (cph_peer_name(peer_uri, name) != CPH_OK)
        return NULL;
    for (size_t i = 0; i < p->n; i++)
        if (cph_pgp_key_names(p->key[i], cph_span_of(name)))
            return p->key[i];
    return NULL;
}
