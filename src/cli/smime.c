#include "smime.h"

#include <stdio.h>
#include <stdlib.h>

#include "ciphony/crypto_cms.h"

enum { PEM_MAX = 65536 };

static cph_err load(const struct cph_env *env, const char *file, char why[CLI_WHY],
                    struct cph_cert **out)
{
    uint8_t *pem = malloc(PEM_MAX);
    const char *what = "";
    size_t n = 0;
    cph_err err;

    if (!pem)
        return CPH_E_NOMEM;
    err = cli_file_read(file, false, pem, PEM_MAX, &n, &what);
    if (err == CPH_OK)
        err = cph_cert_parse(env, (struct cph_span){ pem, n }, out);
    free(pem);
    if (err != CPH_OK)
        (void)snprintf(why, CLI_WHY,
                       "--smime %.700s: %s; expected a PEM file with the peer's certificate (the "
                       "peer prints it with: ciphony id --pem)",
                       file, what[0] ? what : "there is no certificate in it");
    else if (!cph_cms_can_receive(*out))
        (void)snprintf(why, CLI_WHY,
                       "--smime %.700s: nothing can be encrypted to this certificate; its "
                       "keyUsage has no keyAgreement",
                       file);
    return err == CPH_OK && !why[0] ? CPH_OK : CPH_E_CONFIG;
}

cph_err cli_smime_load(const struct cph_env *env, const char *const *file, size_t n,
                       char why[CLI_WHY], struct cli_smime *out)
{
    cph_err err = CPH_OK;

    for (size_t i = 0; i < n && i < CLI_SMIME_MAX && err == CPH_OK; i++) {
        err = load(env, file[i], why, &out->cert[i]);
        out->n = i + 1; /* that one too is dropped */
    }
    return err;
}

void cli_smime_drop(struct cli_smime *s)
{
    for (size_t i = 0; i < s->n; i++)
        cph_cert_free(s->cert[i]);
    s->n = 0;
}

const struct cph_cert *cli_smime_for(const struct cli_smime *s, struct cph_span peer_uri)
{
    for (size_t i = 0; i < s->n; i++)
        if (cph_cert_is_user(s->cert[i], peer_uri) == CPH_OK)
            return s->cert[i];
    return s->n == 1 ? s->cert[0] : NULL;
}
