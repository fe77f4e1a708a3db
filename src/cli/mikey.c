#include "mikey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"
#include "ciphony/identity_device.h"

enum { PEM_MAX = 65536 };

struct entry {
    char uri[CPH_PEER_MAX];
    struct cph_mikey *mikey;
};

struct cli_mikey {
    struct entry entry[CLI_PEERS_MAX];
    size_t n;
    struct cph_mikey *others; /* whoever has no entry */
};

/* What the files of one peer hold, until cph_mikey has its own references. */
struct material {
    struct cph_secret secret;
    struct cph_key *key;
    struct cph_cert *cert, *peer_cert;
    struct cph_trust *trust;
};

static void drop(struct material *m)
{
    cph_secret_wipe(&m->secret);
    cph_key_free(m->key);
    cph_cert_free(m->cert);
    cph_cert_free(m->peer_cert);
    cph_trust_free(m->trust);
}

#define MATERIAL_SCOPED __attribute__((cleanup(drop))) struct material

/* ---- files ----------------------------------------------------------------------------------- */

static cph_err load_key(const struct cph_env *env, struct cph_span pem, struct material *m)
{
    CPH_TRY(cph_key_load(env, pem, &m->key));
    return cph_cert_parse(env, pem, &m->cert);
}

static cph_err load_peer(const struct cph_env *env, struct cph_span pem, struct material *m)
{
    return cph_cert_parse(env, pem, &m->peer_cert);
}

static cph_err load_authority(const struct cph_env *env, struct cph_span pem, struct material *m)
{
    CPH_TRY(cph_trust_new(&m->trust));
    return cph_trust_add_pem(env, m->trust, pem, NULL);
}

/* A file of a peer's section, if it names one. */
static cph_err load(const struct cph_env *env, const struct cli_peer *peer, const char *file,
                    const char *holds, bool private,
                    cph_err (*put)(const struct cph_env *, struct cph_span, struct material *),
                    struct material *m, char why[CLI_WHY])
{
    const char *what = "";
    uint8_t *pem;
    size_t n = 0;
    cph_err err;

    if (!file[0])
        return CPH_OK;
    pem = malloc(PEM_MAX);
    if (!pem)
        return CPH_E_NOMEM;
    err = cli_file_read(file, private, pem, PEM_MAX, &n, &what);
    if (err == CPH_OK)
        err = put(env, (struct cph_span){ pem, n }, m);
    cph_free_secret(pem, PEM_MAX);
    if (err != CPH_OK)
        (void)snprintf(why, CLI_WHY, "peer %s: %.700s: %s; expected a PEM file with %s",
                       peer->who.name, file, what[0] ? what : cph_err_text(err), holds);
    return err == CPH_OK ? CPH_OK : CPH_E_CONFIG;
}

/* ---- objects --------------------------------------------------------------------------------- */

static cph_err add(const struct cli_mikey_config *cfg, const char *own, const struct cli_peer *peer,
                   struct entry *e, char why[CLI_WHY])
{
    MATERIAL_SCOPED m = { 0 };
    struct cph_mikey_cfg mc = { .env = cfg->env, .mode = peer->mode, .id = own };
    cph_err err = cph_peer_name(cph_span_of(peer->who.uri), e->uri);

    if (err == CPH_OK)
        err = cli_account_password(&peer->who, &m.secret, why);
    if (err != CPH_OK && err != CPH_E_NOTFOUND)
        return CPH_E_CONFIG;
    CPH_TRY(
        load(cfg->env, peer, peer->own, "our key and its certificate", true, load_key, &m, why));
    CPH_TRY(load(cfg->env, peer, peer->certificate, "the peer's certificate", false, load_peer, &m,
                 why));
    CPH_TRY(load(cfg->env, peer, peer->authority, "certificates of authorities", false,
                 load_authority, &m, why));
    mc.accept = 1U << peer->mode; /* what was agreed with this peer, and nothing less */
    mc.peer_id = e->uri;
    mc.psk = m.secret.n > 0 ? &m.secret : NULL;
    mc.key = m.key ? m.key : cfg->key;
    mc.cert = m.cert ? m.cert : cfg->cert;
    mc.peer_cert = m.peer_cert;
    mc.trust = m.trust;
    err = cph_mikey_new(&mc, &e->mikey);
    if (err == CPH_E_CONFIG)
        (void)snprintf(
            why, CLI_WHY,
            "peer %s: mikey = %s does not work with this key; ecmqv takes EC keys, none takes "
            "Ed25519, and a certificate must be that of its key",
            peer->who.name, cph_mikey_mode_name(peer->mode));
    return err;
}

static cph_err fill(const struct cli_mikey_config *cfg, struct cli_mikey *m, char why[CLI_WHY])
{
    struct cph_mikey_cfg others = {
        .env = cfg->env, .mode = CPH_MIKEY_DHSIGN, .key = cfg->key, .cert = cfg->cert
    };
    char own[CPH_PEER_MAX];

    CPH_TRY(cph_peer_name(cph_span_of(cfg->own_uri), own));
    others.id = own;
    others.accept = 1U << CPH_MIKEY_DHSIGN;
    CPH_TRY(cph_mikey_new(&others, &m->others));
    CPH_TRY(cph_mikey_prepare(m->others));
    for (size_t i = 0; i < cfg->n_peers; i++) {
        if (!cfg->peer[i].has_mode)
            continue;
        CPH_TRY(add(cfg, own, &cfg->peer[i], &m->entry[m->n], why));
        CPH_TRY(cph_mikey_prepare(m->entry[m->n++].mikey));
    }
    return CPH_OK;
}

cph_err cli_mikey_new(const struct cli_mikey_config *cfg, char why[CLI_WHY], struct cli_mikey **out)
{
    struct cli_mikey *m = calloc(1, sizeof *m);
    cph_err err;

    if (!m)
        return CPH_E_NOMEM;
    err = fill(cfg, m, why);
    if (err != CPH_OK) {
        cli_mikey_free(m);
        return err;
    }
    *out = m;
    return CPH_OK;
}

void cli_mikey_free(struct cli_mikey *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++)
        cph_mikey_free(m->entry[i].mikey);
    cph_mikey_free(m->others);
    free(m);
}

struct cph_mikey *cli_mikey_for(struct cli_mikey *m, struct cph_span peer_uri)
{
    char name[CPH_PEER_MAX];

    if (cph_peer_name(peer_uri, name) != CPH_OK)
        return m->others;
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->entry[i].uri, name) == 0)
            return m->entry[i].mikey;
    return m->others;
}
