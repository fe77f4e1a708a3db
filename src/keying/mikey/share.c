#include "mikey_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_envelope.h"

enum {
    SKEW_MAX_S = 7 * 86400, /* a clock that is off by more is wrong */
    REPLAYS_MAX = 1 << 20,
    SET_BACK = 20, /* bits of a fraction that count messages; those above, how often */
};

static const uint64_t CLOCK_SET = (uint64_t)60 << 32; /* more is no drift */

#define BIT(mode) (1U << (mode))

static bool has_pk(const struct cph_mikey *m)
{
    return m->key && m->cert;
}

static bool can_open(const struct cph_key *key)
{
    return cph_key_kind(key) == CPH_KEY_RSA || cph_ecies_fits(key);
}

/* Can we send (or answer) in this mode with what we were given? */
static bool material(const struct cph_mikey *m, enum cph_mikey_mode mode, bool answer)
{
    switch (mode) {
    case CPH_MIKEY_NULL:
        return true;
    case CPH_MIKEY_PSK:
        return m->psk.n > 0;
    case CPH_MIKEY_DHHMAC: /* RFC 4650 3 MUST: names both sides */
        return m->psk.n > 0 && m->id[0] && (answer || m->peer_id[0]);
    case CPH_MIKEY_RSA: /* the envelope is for the responder's key; IDi is in the KEMAC */
        if (answer)
            return has_pk(m) && can_open(m->key);
        return has_pk(m) && m->id[0] && m->peer_cert;
    case CPH_MIKEY_RSA_R: /* and here for the initiator's; IDr is in the KEMAC */
        return has_pk(m) && m->id[0] && (answer || can_open(m->key));
    case CPH_MIKEY_DHSIGN:
        return has_pk(m) && m->id[0];
    case CPH_MIKEY_ECMQV: /* both keys lie on one curve: seen when they meet */
        return has_pk(m) && cph_ecies_fits(m->key) && (answer || (m->id[0] && m->peer_cert));
    case CPH_MIKEY_MODES_:
        break;
    }
    return false;
}

bool mikey_can(const struct cph_mikey *m, enum cph_mikey_mode mode, bool answer)
{
    return material(m, mode, answer);
}

bool mikey_group_weak(enum cph_agree_group group)
{
    return group == CPH_AGREE_MODP_1024 || group == CPH_AGREE_MODP_1536;
}

static cph_err check(struct cph_mikey *m)
{
    const struct cph_mikey_cfg *c = &m->cfg;

    if (c->mode >= CPH_MIKEY_MODES_ || !material(m, c->mode, false))
        return CPH_E_CONFIG;
    if (m->key && (cph_key_kind(m->key) == CPH_KEY_ED25519 || !cph_key_is_private(m->key)))
        return CPH_E_CONFIG;
    if (m->key && m->cert && !cph_cert_has_key(m->cert, m->key))
        return CPH_E_CONFIG;
    m->group = c->group == CPH_AGREE_MODP_1024 ? CPH_AGREE_P256 : c->group;
    if (!mikey_group_number(m->group, &m->group_no) ||
        (mikey_group_weak(m->group) && !c->weak_groups))
        return CPH_E_CONFIG;
    if (c->counter && !m->id[0])
        return CPH_E_CONFIG; /* of whom is it? And ours, thrown back, would be a peer's */
    if (c->mki_n > MIKEY_MKI_MAX || c->skew_s > SKEW_MAX_S || c->replays > REPLAYS_MAX)
        return CPH_E_CONFIG;
    for (int mode = CPH_MIKEY_PSK; mode < CPH_MIKEY_MODES_; mode++)
        if (material(m, (enum cph_mikey_mode)mode, true))
            m->accept |= BIT(mode);
    if (c->accept)
        m->accept = c->accept & (m->accept | BIT(CPH_MIKEY_NULL));
    return CPH_OK;
}

static cph_err copy_id(const char *from, char to[CPH_MIKEY_ID])
{
    return from ? cph_span_cstr(cph_span_of(from), to, CPH_MIKEY_ID) : CPH_OK;
}

cph_err cph_mikey_new(const struct cph_mikey_cfg *cfg, struct cph_mikey **out)
{
    struct cph_mikey *m = calloc(1, sizeof *m);
    cph_err err;

    if (!m)
        return CPH_E_NOMEM;
    m->cfg = *cfg;
    m->counter = cfg->counter_next;
    if (cfg->psk)
        m->psk = *cfg->psk;
    m->key = cph_key_ref(cfg->key);
    m->cert = cfg->cert ? cph_cert_ref(cfg->cert) : NULL;
    m->peer_cert = cfg->peer_cert ? cph_cert_ref(cfg->peer_cert) : NULL;
    m->trust = cfg->trust ? cph_trust_ref(cfg->trust) : NULL;
    err = copy_id(cfg->id, m->id);
    if (err == CPH_OK)
        err = copy_id(cfg->peer_id, m->peer_id);
    err = err == CPH_OK ? check(m) : CPH_E_CONFIG;
    if (err == CPH_OK)
        err = mikey_replay_open(&m->replay, cfg->replays ? cfg->replays : CPH_MIKEY_REPLAYS,
                                cfg->skew_s ? cfg->skew_s : CPH_MIKEY_SKEW_S,
                                mikey_ntp(cph_wall(cfg->env)));
    if (err != CPH_OK) {
        cph_mikey_free(m);
        return err;
    }
    *out = m;
    return CPH_OK;
}

void cph_mikey_free(struct cph_mikey *m)
{
    if (!m)
        return;
    cph_key_free(m->key);
    cph_cert_free(m->cert);
    cph_cert_free(m->peer_cert);
    cph_trust_free(m->trust);
    mikey_replay_close(&m->replay);
    cph_free_secret(m->shared, sizeof *m->shared);
    cph_free_secret(m, sizeof *m);
}

static const char *const mode_name[CPH_MIKEY_MODES_] = {
    [CPH_MIKEY_NULL] = "null",   [CPH_MIKEY_PSK] = "psk",       [CPH_MIKEY_RSA] = "rsa",
    [CPH_MIKEY_RSA_R] = "rsa-r", [CPH_MIKEY_DHSIGN] = "dhsign", [CPH_MIKEY_DHHMAC] = "dhhmac",
    [CPH_MIKEY_ECMQV] = "ecmqv",
};

const char *cph_mikey_mode_name(enum cph_mikey_mode mode)
{
    return (unsigned)mode < CPH_MIKEY_MODES_ ? mode_name[mode] : "";
}

cph_err cph_mikey_mode_parse(struct cph_span name, enum cph_mikey_mode *out)
{
    for (int i = 0; i < CPH_MIKEY_MODES_; i++)
        if (cph_span_is(name, mode_name[i])) {
            *out = (enum cph_mikey_mode)i;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}

/*
 * RFC 3830 5.2 MUST: each message has a timestamp of its own, whatever the clock's grain. And of
 * its own among those of both sides: what makes keystream in a bundle is its RAND, its key and the
 * timestamp (4.2.3), so two updates of one second, one of each side, would have keys under one. Who
 * began the bundle has the even ones.
 */
void mikey_now(struct cph_mikey *m, bool began, uint8_t *type, uint64_t *ts)
{
    const uint64_t own = began ? 0 : 1;
    uint64_t now;

    if (m->cfg.counter) {
        *type = MIKEY_TS_COUNTER;
        *ts = m->counter + ((m->counter & 1) ^ own);
        m->counter = (uint32_t)*ts + 1;
        return;
    }
    now = mikey_ntp(cph_wall(m->cfg.env));
    if (m->last_ts != 0 && now <= m->last_ts)
        /* where the clock was set back, nobody would take what we say for minutes or days: with a
         * fraction that no message of that second had */
        now = m->last_ts - now < CLOCK_SET ? m->last_ts + 1 : now + (++m->set_back << SET_BACK);
    now += (now & 1) ^ own;
    m->last_ts = now;
    *type = MIKEY_TS_NTP_UTC;
    *ts = now;
}

cph_err cph_mikey_prepare(struct cph_mikey *m)
{
    if (m->spare.ready || (m->cfg.mode != CPH_MIKEY_DHSIGN && m->cfg.mode != CPH_MIKEY_DHHMAC))
        return CPH_OK;
    CPH_TRY(cph_agree_make(m->cfg.env, m->group, 0, &m->spare.x, m->spare.y));
    m->spare.ready = true;
    return CPH_OK;
}

cph_err mikey_pair_take(struct cph_mikey *m, enum cph_agree_group group, struct mikey_pair *out)
{
    if (m->spare.ready && group == m->group) {
        *out = m->spare;
        cph_wipe(&m->spare, sizeof m->spare); /* RFC 4650 3.1: a half-key serves once */
        return CPH_OK;
    }
    CPH_TRY(cph_agree_make(m->cfg.env, group, 0, &out->x, out->y));
    out->ready = true;
    return CPH_OK;
}

struct mikey_id mikey_id_of(const char *text)
{
    return (struct mikey_id){ MIKEY_ID_URI, cph_span_of(text) };
}

void mikey_csb_wipe(struct mikey_csb *c)
{
    cph_wipe(c, sizeof *c);
}

void mikey_offer_wipe(struct mikey_offer *o)
{
    cph_wipe(o, sizeof *o);
}
