#include "smime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_cms.h"

enum { PEM_MAX = 65536 };

/* A file, as the user named it: "--smime x.pem", "peer bob: x.pem". */
struct source {
    const char *by, *name, *file; /* by and name before the file's own name */
};

static cph_err bad(const struct source *from, const char *what, const char *expected,
                   char why[CLI_WHY])
{
    (void)snprintf(why, CLI_WHY, "%s%.64s%s %.700s: %s; %s", from->by, from->name,
                   from->name[0] ? ":" : "", from->file, what, expected);
    return CPH_E_CONFIG;
}

/* The whole file; the caller frees and wipes *pem. */
static cph_err read_pem(const struct source *from, bool private, const char *expected,
                        uint8_t **pem, size_t *n, char why[CLI_WHY])
{
    const char *what = "";
    cph_err err;

    *pem = malloc(PEM_MAX);
    if (!*pem)
        return CPH_E_NOMEM;
    err = cli_file_read(from->file, private, *pem, PEM_MAX, n, &what);
    if (err == CPH_OK)
        return CPH_OK;
    cph_free_secret(*pem, PEM_MAX);
    return bad(from, what[0] ? what : cph_err_text(err), expected, why);
}

static const char peers_cert[] = "expected a PEM file with the peer's certificate (the peer prints "
                                 "it with: ciphony id --pem)";

static cph_err load_cert(const struct cph_env *env, const struct source *from, char why[CLI_WHY],
                         struct cph_cert **out)
{
    uint8_t *pem;
    size_t n = 0;
    cph_err err;

    CPH_TRY(read_pem(from, false, peers_cert, &pem, &n, why));
    err = cph_cert_parse(env, (struct cph_span){ pem, n }, out);
    free(pem);
    if (err != CPH_OK)
        return bad(from, "there is no certificate in it", peers_cert, why);
    if (!cph_cms_can_receive(*out))
        return bad(from, "nothing can be encrypted to this certificate",
                   "its keyUsage has no keyAgreement (EC) or keyEncipherment (RSA)", why);
    return CPH_OK;
}

static cph_err load_authority(const struct cph_env *env, const struct source *from,
                              char why[CLI_WHY], struct cph_trust **out)
{
    static const char expected[] = "expected a PEM file with certificates of authorities";
    uint8_t *pem;
    size_t n = 0;
    cph_err err;

    CPH_TRY(read_pem(from, false, expected, &pem, &n, why));
    err = cph_trust_new(out);
    if (err == CPH_OK)
        err = cph_trust_add_pem(env, *out, (struct cph_span){ pem, n }, NULL);
    free(pem);
    return err == CPH_OK || err == CPH_E_NOMEM
               ? err
               : bad(from, "there is no certificate in it", expected, why);
}

static cph_err load_own(const struct cph_env *env, const char *file, char why[CLI_WHY],
                        struct cli_smime *out)
{
    static const char expected[] = "expected a PEM file with our key and its certificate";
    const struct source from = { "smime-own", "", file };
    struct cph_span all;
    uint8_t *pem;
    size_t n = 0;
    cph_err err;

    CPH_TRY(read_pem(&from, true, expected, &pem, &n, why));
    all = (struct cph_span){ pem, n };
    err = cph_key_load(env, all, &out->own_key);
    if (err == CPH_OK)
        err = cph_cert_parse(env, all, &out->own_cert);
    cph_free_secret(pem, PEM_MAX);
    if (err != CPH_OK)
        return bad(&from, "a key, or its certificate, is missing", expected, why);
    if (!cph_cert_has_key(out->own_cert, out->own_key))
        return bad(&from, "the certificate is not that of the key", expected, why);
    if (!cph_cms_can_receive(out->own_cert))
        return bad(&from, "nothing can be encrypted to this certificate",
                   "its keyUsage has no keyAgreement (EC) or keyEncipherment (RSA)", why);
    return CPH_OK;
}

static cph_err load_peer(const struct cph_env *env, const struct cli_peer *peer, char why[CLI_WHY],
                         struct cli_smime_peer *out)
{
    const struct source cert = { "peer ", peer->who.name, peer->certificate },
                        authority = { "peer ", peer->who.name, peer->authority };

    CPH_TRY(cph_peer_name(cph_span_of(peer->who.uri), out->uri));
    if (peer->certificate[0])
        CPH_TRY(load_cert(env, &cert, why, &out->cert));
    return peer->authority[0] ? load_authority(env, &authority, why, &out->trust) : CPH_OK;
}

cph_err cli_smime_load(const struct cli_smime_config *cfg, char why[CLI_WHY], struct cli_smime *out)
{
    for (size_t i = 0; i < cfg->n_files && i < CLI_SMIME_MAX; i++) {
        const struct source from = { "--smime", "", cfg->file[i] };

        out->n = i + 1; /* what was begun is dropped, too */
        CPH_TRY(load_cert(cfg->env, &from, why, &out->cert[i]));
    }
    for (size_t i = 0; i < cfg->n_peers; i++)
        if (cfg->peer[i].smime)
            CPH_TRY(load_peer(cfg->env, &cfg->peer[i], why, &out->peer[out->n_peers++]));
    out->on = out->n > 0 || out->n_peers > 0 || cfg->wanted || cfg->own[0];
    if (cfg->own[0])
        return load_own(cfg->env, cfg->own, why, out);
    if (!out->on || cph_cms_can_receive(cfg->device_cert))
        return CPH_OK;
    (void)snprintf(why, CLI_WHY,
                   "S/MIME: this device's certificate is from before it could be encrypted to; "
                   "begin with another --store, or name a key with smime-own");
    return CPH_E_CONFIG;
}

void cli_smime_drop(struct cli_smime *s)
{
    for (size_t i = 0; i < s->n; i++)
        cph_cert_free(s->cert[i]);
    for (size_t i = 0; i < s->n_peers; i++) {
        cph_cert_free(s->peer[i].cert);
        cph_trust_free(s->peer[i].trust);
    }
    cph_cert_free(s->own_cert);
    cph_key_free(s->own_key);
    memset(s, 0, sizeof *s);
}

static const struct cli_smime_peer *section_of(const struct cli_smime *s, struct cph_span peer_uri)
{
    char name[CPH_PEER_MAX];

    if (cph_peer_name(peer_uri, name) != CPH_OK)
        return NULL;
    for (size_t i = 0; i < s->n_peers; i++)
        if (strcmp(s->peer[i].uri, name) == 0)
            return &s->peer[i];
    return NULL;
}

const struct cph_cert *cli_smime_for(const struct cli_smime *s, struct cph_span peer_uri)
{
    const struct cli_smime_peer *p = section_of(s, peer_uri);

    for (size_t i = 0; i < s->n; i++)
        if (cph_cert_is_user(s->cert[i], peer_uri) == CPH_OK)
            return s->cert[i];
    if (p)
        return p->cert;
    return s->n == 1 ? s->cert[0] : NULL;
}

struct cph_phone_seal cli_smime_seal(const struct cli_smime *s, struct cph_span peer_uri)
{
    const struct cli_smime_peer *p = section_of(s, peer_uri);

    return (struct cph_phone_seal){ .trust = p ? p->trust : NULL, .must = p != NULL };
}

cph_err cli_smime_reaches(const struct cli_smime *s, bool wanted, const char *uri,
                          char why[CLI_WHY])
{
    struct cph_span to = cph_span_of(uri);

    if ((!wanted && !section_of(s, to)) || cli_smime_for(s, to))
        return CPH_OK;
    (void)snprintf(
        why, CLI_WHY,
        "the call to %.255s must be sealed, and nobody has its certificate; name it with "
        "--smime FILE, or as certificate in its [peer NAME] with smime = yes",
        uri);
    return CPH_E_CONFIG;
}
