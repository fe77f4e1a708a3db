#include "column.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- MIKEY: what each mode is given ---------------------------------------------------------- */

static cph_err mikey_null(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    (void)k;
    (void)peer;
    cfg->mode = CPH_MIKEY_NULL;
    return CPH_OK;
}

static cph_err secret(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    cfg->psk = lab_secret(k->cfg.who, peer);
    return CPH_OK;
}

static cph_err mikey_psk(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    cfg->mode = CPH_MIKEY_PSK;
    return secret(k, peer, cfg);
}

static cph_err mikey_dhhmac(const struct lab_kit *k, enum lab_person peer,
                            struct cph_mikey_cfg *cfg)
{
    cfg->mode = CPH_MIKEY_DHHMAC;
    return secret(k, peer, cfg);
}

static cph_err rsa(const struct lab_kit *k, struct cph_mikey_cfg *cfg)
{
    cfg->key = lab_rsa_key(k->cfg.who);
    cfg->cert = lab_rsa_cert(k->cfg.who, !k->cfg.strangers);
    cfg->trust = lab_authority();
    return cfg->cert ? CPH_OK : CPH_E_NOMEM;
}

/* Who calls must have the certificate of who is called, by whatever means. */
static cph_err mikey_rsa(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    cfg->mode = CPH_MIKEY_RSA;
    cfg->peer_cert = k->cfg.strangers ? NULL : lab_rsa_cert(peer, true);
    return rsa(k, cfg);
}

static void on_curve(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    cfg->key = lab_user_key(k->cfg.who);
    cfg->cert = lab_user_cert(k->cfg.who, !k->cfg.strangers);
    cfg->peer_cert = k->cfg.strangers ? NULL : lab_user_cert(peer, true);
    cfg->trust = lab_authority();
}

static cph_err mikey_ecies(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    cfg->mode = CPH_MIKEY_RSA;
    on_curve(k, peer, cfg);
    return CPH_OK;
}

static cph_err mikey_ecmqv(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    cfg->mode = CPH_MIKEY_ECMQV;
    on_curve(k, peer, cfg);
    return CPH_OK;
}

static cph_err mikey_rsa_r(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg)
{
    (void)peer;
    cfg->mode = CPH_MIKEY_RSA_R;
    return rsa(k, cfg);
}

static cph_err mikey_dhsign(const struct lab_kit *k, enum lab_person peer,
                            struct cph_mikey_cfg *cfg)
{
    (void)peer;
    cfg->mode = CPH_MIKEY_DHSIGN;
    cfg->key = lab_key(k->cfg.who);
    cfg->cert = k->cfg.strangers ? lab_cert(k->cfg.who) : lab_cert_issued(k->cfg.who);
    cfg->trust = lab_authority();
    return CPH_OK;
}

static const struct cph_cert *show_rsa(enum lab_person who)
{
    return lab_rsa_cert(who, true);
}

static const struct cph_cert *show_user(enum lab_person who)
{
    return lab_user_cert(who, true);
}

/* ---- EKT ------------------------------------------------------------------------------------- */

/* A phone draws a set for each call that it makes. Sessions are those of a conference whose members
 * were given its set when it was arranged; Mallory is in another. */
static cph_err ekt_session(struct lab_kit *k, enum lab_person peer, struct cph_keying_cfg *cfg)
{
    uint8_t name = k->cfg.who == LAB_MALLORY ? 'm' : 'c';

    (void)peer;
    k->ekt = (struct cph_ekt_params){
        .spi = name, .cipher = CPH_EKT_AESKW256, .ttl_s = 86400, .key.n = 32, .salt.n = 14
    };
    memset(k->ekt.key.b, name, k->ekt.key.n);
    memset(k->ekt.salt.b, name, k->ekt.salt.n);
    cfg->ekt = &k->ekt;
    cfg->allow_ekt = true;
    return CPH_OK;
}

static cph_err ekt_phone(struct lab_kit *k, struct cph_phone_config *cfg)
{
    (void)k;
    cfg->ekt = true;
    return CPH_OK;
}

/* ---- the columns ----------------------------------------------------------------------------- */

static const struct lab_column dtls = { .name = "dtls",
                                        .title = "DTLS-SRTP",
                                        .keying = { "dtls" } };
static const struct lab_column sdes = { .name = "sdes",
                                        .title = "security descriptions",
                                        .keying = { "sdes" } };
static const struct lab_column ekt = { .name = "ekt",
                                       .title = "EKT, its set by security descriptions",
                                       .keying = { "sdes" },
                                       .session = ekt_session,
                                       .phone = ekt_phone };
static const struct lab_column zrtp = { .name = "zrtp", .title = "ZRTP", .keying = { "zrtp" } };
static const struct lab_column null_mode = { .name = "mikey-null",
                                             .title = "MIKEY, keys in clear",
                                             .keying = { "mikey" },
                                             .mikey = mikey_null };
static const struct lab_column psk_mode = { .name = "mikey-psk",
                                            .title = "MIKEY, keys under a shared secret",
                                            .keying = { "mikey" },
                                            .mikey = mikey_psk };
static const struct lab_column rsa_mode = { .name = "mikey-rsa",
                                            .title = "MIKEY, keys to the callee's certificate",
                                            .keying = { "mikey" },
                                            .mikey = mikey_rsa,
                                            .cert = show_rsa };
static const struct lab_column ecies_mode = { .name = "mikey-ecies",
                                              .title = "MIKEY, the same on a curve (ECIES)",
                                              .keying = { "mikey" },
                                              .mikey = mikey_ecies,
                                              .cert = show_user };
static const struct lab_column ecmqv_mode = { .name = "mikey-ecmqv",
                                              .title =
                                                  "MIKEY, keys under ECMQV of two certificates",
                                              .keying = { "mikey" },
                                              .mikey = mikey_ecmqv,
                                              .cert = show_user };
static const struct lab_column rsa_r_mode = { .name = "mikey-rsa-r",
                                              .title = "MIKEY, keys to the caller's certificate",
                                              .keying = { "mikey" },
                                              .mikey = mikey_rsa_r,
                                              .cert = show_rsa };
static const struct lab_column dhsign_mode = { .name = "mikey-dhsign",
                                               .title = "MIKEY, Diffie-Hellman, signed",
                                               .keying = { "mikey" },
                                               .mikey = mikey_dhsign,
                                               .cert = lab_cert_issued };
static const struct lab_column dhhmac_mode = {
    .name = "mikey-dhhmac",
    .title = "MIKEY, Diffie-Hellman under a shared secret",
    .keying = { "mikey" },
    .mikey = mikey_dhhmac,
};

/* What a careful user would choose: everything they have, in the order of the policy. */
static const struct lab_column best = {
    .name = "best",
    .title = "the policy best, and no call that is worth less than private",
    .keying = { "dtls", "zrtp", "mikey", "sdes" },
    .policy = "best",
    .need = CPH_LEVEL_PRIVATE,
    .mikey = mikey_dhsign,
};

/* ---- what expired: no final text, and off in every policy ------------------------------------ */

static const struct lab_column sdp_dh = { .name = "sdp-dh",
                                          .title = "Diffie-Hellman shares in SDP (expired)",
                                          .keying = { "sdp-dh" } };
/* Who calls has the certificate of who is called, by whatever means; all phones of a user have its
 * key. */
static cph_err smime_phone(struct lab_kit *k, struct cph_phone_config *cfg)
{
    k->smime.trust = lab_authority();
    cfg->smime = &k->smime;
    cfg->key = lab_rsa_key(k->cfg.who);
    cfg->cert = lab_rsa_cert(k->cfg.who, !k->cfg.strangers);
    return cfg->cert ? CPH_OK : CPH_E_NOMEM;
}

static const struct lab_column sdes_smime = {
    .name = "sdes-smime",
    .title = "security descriptions, sealed by S/MIME",
    .keying = { "sdes" },
    .smime = true,
    .phone = smime_phone,
    .cert = show_rsa,
};

/* MIKEYv2 agrees on a mode: the draft says of most that it depends on that. */
/* clang-format off: a table */
/* NOLINTBEGIN(bugprone-macro-parentheses): strings that are put together */
#define V2(row, its_mode, what, show)                                                              \
    {                                                                                              \
        .name = row "-" its_mode, .title = "MIKEYv2 (expired), " its_mode, .keying = { row },      \
        .mikey = (what), .cert = (show), .mode = its_mode                                          \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct lab_column v2_sdp_mode[] = {
    V2("mikeyv2", "null", mikey_null, NULL),     V2("mikeyv2", "psk", mikey_psk, NULL),
    V2("mikeyv2", "rsa", mikey_rsa, show_rsa),   V2("mikeyv2", "rsa-r", mikey_rsa_r, show_rsa),
    V2("mikeyv2", "dhhmac", mikey_dhhmac, NULL),
};
static const struct lab_column v2_inband_mode[] = {
    V2("mikeyv2-inband", "null", mikey_null, NULL),
    V2("mikeyv2-inband", "psk", mikey_psk, NULL),
    V2("mikeyv2-inband", "rsa", mikey_rsa, show_rsa),
    V2("mikeyv2-inband", "rsa-r", mikey_rsa_r, show_rsa),
    V2("mikeyv2-inband", "dhhmac", mikey_dhhmac, NULL),
};
/* clang-format on */
static const struct lab_column *const v2_sdp_others[] = {
    &v2_sdp_mode[0], &v2_sdp_mode[1], &v2_sdp_mode[2], &v2_sdp_mode[3], &v2_sdp_mode[4], NULL,
};
static const struct lab_column *const v2_inband_others[] = {
    &v2_inband_mode[0], &v2_inband_mode[1], &v2_inband_mode[2],
    &v2_inband_mode[3], &v2_inband_mode[4], NULL,
};

static const struct lab_column v2_sdp = {
    .name = "mikeyv2",
    .title = "MIKEYv2 in SDP (expired), Diffie-Hellman, signed",
    .keying = { "mikeyv2" },
    .mikey = mikey_dhsign,
    .cert = lab_cert_issued,
    .mode = "dhsign",
    .others = v2_sdp_others,
};
static const struct lab_column v2_inband = {
    .name = "mikeyv2-inband",
    .title = "MIKEYv2 in band (expired), Diffie-Hellman, signed",
    .keying = { "mikeyv2-inband" },
    .mikey = mikey_dhsign,
    .cert = lab_cert_issued,
    .mode = "dhsign",
    .others = v2_inband_others,
};

const struct lab_column *const lab_columns[] = {
    &dtls,       &sdes,       &ekt,        &zrtp,       &null_mode,   &psk_mode,
    &rsa_mode,   &ecies_mode, &ecmqv_mode, &rsa_r_mode, &dhsign_mode, &dhhmac_mode,
    &sdes_smime, &sdp_dh,     &v2_sdp,     &v2_inband,  &best,        NULL,
};

const struct lab_column *lab_column_find(const char *name)
{
    for (const struct lab_column *const *c = lab_columns; *c && name; c++) {
        if (strcmp((*c)->name, name) == 0)
            return *c;
        for (const struct lab_column *const *o = (*c)->others; o && *o; o++)
            if (strcmp((*o)->name, name) == 0)
                return *o;
    }
    return NULL;
}

const struct cph_cert *lab_column_cert(const struct lab_column *c, enum lab_person who)
{
    return c && c->cert && who < LAB_PEOPLE ? c->cert(who) : lab_cert(who);
}

/* ---- what is retained from call to call ------------------------------------------------------ */

static cph_err kept_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    struct lab_kit *k = ctx;

    for (unsigned i = 0; i < LAB_KEPT; i++) /* names, so public */
        if (k->kept[i].used && memcmp(k->kept[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            *out = k->kept[i].r;
            return CPH_OK;
        }
    return CPH_E_NOTFOUND;
}

static cph_err kept_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                        const struct cph_zrtp_retained *in)
{
    struct lab_kit *k = ctx;

    for (unsigned i = 0; i < LAB_KEPT; i++) /* public, as above */
        if (!k->kept[i].used || memcmp(k->kept[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            k->kept[i].used = true;
            memcpy(k->kept[i].zid, zid, CPH_ZRTP_ZID);
            k->kept[i].r = *in;
            return CPH_OK;
        }
    return CPH_E_STORE;
}

static bool kept_other(void *ctx, const char *peer, const uint8_t zid[CPH_ZRTP_ZID])
{
    const struct lab_kit *k = ctx;
    bool other = false;

    for (unsigned i = 0; i < LAB_KEPT; i++)
        for (unsigned n = 0; n < CPH_ZRTP_NAMES && k->kept[i].used; n++) /* names, so public */
            other |= (k->kept[i].r.verified || k->kept[i].r.rs1.n > 0) &&
                     memcmp(k->kept[i].zid, zid, CPH_ZRTP_ZID) != 0 &&
                     strcmp(k->kept[i].r.peer[n], peer) == 0;
    return other;
}

/* ---- the kit --------------------------------------------------------------------------------- */

cph_err lab_kit_new(const struct lab_kit_config *cfg, struct lab_kit **out)
{
    struct lab_kit *k = calloc(1, sizeof *k);

    if (!k)
        return CPH_E_NOMEM;
    k->cfg = *cfg;
    k->store = (struct cph_zrtp_store){ k, kept_get, kept_put, kept_other };
    memset(k->zrtp.zid, 'a' + (int)(cfg->old_zid ? cfg->claims : cfg->who), sizeof k->zrtp.zid);
    k->zrtp.store = &k->store;
    *out = k;
    return CPH_OK;
}

void lab_kit_free(struct lab_kit *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i <= LAB_PEOPLE; i++)
        cph_mikey_free(k->mikey[i]);
    cph_zrtp_call_free(k->call);
    cph_dtls_free(k->dtls);
    cph_free_secret(k, sizeof *k);
}

void lab_kit_policy(const struct lab_kit *k, struct cph_policy *policy)
{
    const struct lab_column *c = k->cfg.column;
    enum cph_security media = policy->media;

    if (media != CPH_SECURITY_PREFER) { /* who would also speak in clear demands nothing */
        policy->need = c->need;
        policy->enforce_need = c->need > CPH_LEVEL_OPEN;
    }
    if (c->policy && cph_policy_keying(policy, cph_span_of(c->policy)) == CPH_OK) {
        policy->media = media;
        return;
    }
    policy->smime = c->smime;
    policy->keying_n = 0;
    for (unsigned i = 0; i < CPH_POLICY_KEYING_MAX && c->keying[i]; i++)
        policy->keying[policy->keying_n++] = c->keying[i];
}

struct cph_mikey *lab_kit_mikey(struct lab_kit *k, enum lab_person peer)
{
    const struct lab_column *c = k->cfg.column;
    struct cph_mikey_cfg cfg = { .env = k->cfg.env, .id = lab_person_uri(k->cfg.claims) };

    if (!c->mikey || k->mikey[peer] || peer >= LAB_PEOPLE)
        return k->mikey[peer];
    cfg.peer_id = lab_person_uri(peer);
    k->err = c->mikey(k, peer, &cfg);
    cfg.accept = 1U << cfg.mode;
    if (k->err == CPH_OK)
        k->err = cph_mikey_new(&cfg, &k->mikey[peer]);
    return k->mikey[peer];
}

cph_err lab_kit_phone(struct lab_kit *k, struct cph_phone_config *cfg)
{
    cfg->key = lab_key(k->cfg.who);
    cfg->cert = lab_cert(k->cfg.who);
    cfg->zrtp = &k->zrtp;
    return k->cfg.column->phone ? k->cfg.column->phone(k, cfg) : CPH_OK;
}

static bool names(const struct lab_column *c, const char *row)
{
    for (unsigned i = 0; i < CPH_POLICY_KEYING_MAX && c->keying[i]; i++)
        if (strcmp(c->keying[i], row) == 0)
            return true;
    return false;
}

/* ZRTP has names of its own for what the suites are made of. */
enum { ZRTP_TYPES = 4 };

static void add_type(const char *list[ZRTP_TYPES], const char *type)
{
    unsigned i = 0;

    while (list[i] && strcmp(list[i], type) != 0)
        i++;
    if (i < ZRTP_TYPES - 1)
        list[i] = type;
}

static void zrtp_types(const char *const *suites, const char *ciphers[ZRTP_TYPES],
                       const char *tags[ZRTP_TYPES])
{
    static const struct {
        const char *suite, *cipher, *tag;
    } row[] = {
        { "AES_CM_128_HMAC_SHA1_80", "AES1", "HS80" },
        { "AES_CM_128_HMAC_SHA1_32", "AES1", "HS32" },
        { "AES_256_CM_HMAC_SHA1_80", "AES3", "HS80" },
        { "AES_256_CM_HMAC_SHA1_32", "AES3", "HS32" },
    };

    for (; *suites; suites++)
        for (size_t i = 0; i < sizeof row / sizeof *row; i++)
            if (strcmp(row[i].suite, *suites) == 0) {
                add_type(ciphers, row[i].cipher);
                add_type(tags, row[i].tag);
            }
}

static cph_err zrtp_call(struct lab_kit *k)
{
    const char *ciphers[ZRTP_TYPES] = { NULL }, *tags[ZRTP_TYPES] = { NULL };
    struct cph_zrtp_cfg cfg = { .env = k->cfg.env, .store = &k->store, .preshared = k->cfg.resume };

    if (k->cfg.suites)
        zrtp_types(k->cfg.suites, ciphers, tags);
    cfg.ciphers = ciphers[0] ? ciphers : NULL; /* it may have none of them: then its own */
    cfg.tags = tags[0] ? tags : NULL;
    memcpy(cfg.zid, k->zrtp.zid, sizeof cfg.zid);
    cph_zrtp_call_free(k->call);
    k->call = NULL;
    return cph_zrtp_call_new(&cfg, &k->call);
}

/* What the DTLS calls of a device share, as in a phone; it may be told to take up sessions. */
static cph_err share_dtls(struct lab_kit *k, struct cph_keying_cfg *keying)
{
    struct cph_dtls_cfg cfg = { .env = k->cfg.env,
                                .key = keying->key,
                                .cert = keying->cert,
                                .resume_s = k->cfg.resume ? CPH_DTLS_RESUME_S : 0 };

    if (!k->dtls)
        CPH_TRY(cph_dtls_new(&cfg, &k->dtls));
    keying->dtls = k->dtls;
    return CPH_OK;
}

cph_err lab_kit_session(struct lab_kit *k, enum lab_person peer, struct cph_keying_cfg *cfg)
{
    cfg->env = k->cfg.env;
    cfg->key = lab_key(k->cfg.who);
    cfg->cert = lab_cert(k->cfg.who);
    cfg->rtcp_mux = true;
    cfg->suites = k->cfg.suites;
    if (peer < LAB_PEOPLE)
        cfg->mikey = lab_kit_mikey(k, peer);
    if (names(k->cfg.column, "zrtp")) {
        CPH_TRY(zrtp_call(k));
        cfg->zrtp = k->call;
    }
    if (names(k->cfg.column, "dtls"))
        CPH_TRY(share_dtls(k, cfg));
    return k->cfg.column->session ? k->cfg.column->session(k, peer, cfg) : CPH_OK;
}
