/* What stands in the sections: values, keys, and what a section cannot do without. */
#include "config_int.h"

#include <string.h>

#include "ciphony/base_text.h"

/* ---- values ---------------------------------------------------------------------------------- */

static cph_err copy(struct cph_span value, char *out, size_t cap)
{
    return value.n > 0 ? cph_span_cstr(value, out, cap) : CPH_E_MALFORMED;
}

static bool has_blank_or_control(struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f)
            return true;
    return false;
}

/* A SIP address; what it says in detail is looked at where it is used. */
static cph_err copy_uri(struct cph_span value, bool user, char *out)
{
    struct cph_span scheme = cph_span_head(value, cph_span_find(value, ':'));

    if (!cph_span_iis(scheme, "sip") && !cph_span_iis(scheme, "sips"))
        return CPH_E_MALFORMED;
    if (value.n <= scheme.n + 1 || has_blank_or_control(value))
        return CPH_E_MALFORMED;
    if (user &&
        (cph_span_find(value, '@') <= scheme.n + 1 || cph_span_find(value, '@') + 1 >= value.n))
        return CPH_E_MALFORMED;
    return copy(value, out, CLI_URI_MAX);
}

/* That of [defaults], or of the account the section is about. */
static struct cph_policy *policy_of(struct config_parse *p, void *object)
{
    return p->section == DEFAULTS ? &p->c->policy : &((struct cli_account *)object)->policy;
}

static cph_err set_policy(struct config_parse *p, void *object, struct cph_span value)
{
    return cph_security_parse(value, &policy_of(p, object)->media);
}

static cph_err set_need(struct config_parse *p, void *object, struct cph_span value)
{
    return cph_level_parse(value, &policy_of(p, object)->need);
}

/* "keys": a proof that covers the keys in the message, which not every phone can give. */
static cph_err set_challenge(struct config_parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = policy_of(p, object);
    bool yes = cph_span_is(value, "yes"), keys = cph_span_is(value, "keys");

    policy->challenge = yes || keys;
    policy->cover_body = keys;
    return yes || keys || cph_span_is(value, "no") ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err set_keying(struct config_parse *p, void *object, struct cph_span value)
{
    return cph_policy_keying(policy_of(p, object), value);
}

static cph_err set_effort(struct config_parse *p, void *object, struct cph_span value)
{
    return cph_keying_form_parse(value, &policy_of(p, object)->form);
}

static cph_err set_precondition(struct config_parse *p, void *object, struct cph_span value)
{
    return cph_precondition_parse(value, &policy_of(p, object)->precondition);
}

static cph_err yes_or_no(struct cph_span value, bool *out)
{
    *out = cph_span_is(value, "yes");
    return *out || cph_span_is(value, "no") ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err set_smime(struct config_parse *p, void *object, struct cph_span value)
{
    if (p->section == PEER)
        return yes_or_no(value, &((struct cli_peer *)object)->smime);
    return yes_or_no(value, &policy_of(p, object)->smime);
}

static cph_err set_listen(struct config_parse *p, void *object, struct cph_span value)
{
    struct cli_config *c = object;

    (void)p;
    while (value.n > 0) {
        struct cph_span one = cph_span_trim(cph_span_cut(&value, ','));

        if (c->n_listen == CLI_LISTEN_MAX)
            return CPH_E_LIMIT;
        CPH_TRY(cli_listen_parse(one, &c->listen[c->n_listen]));
        c->n_listen++;
    }
    return c->n_listen > 0 ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err set_ekt(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return yes_or_no(value, &((struct cli_config *)object)->ekt);
}

static cph_err set_cryptex(struct config_parse *p, void *object, struct cph_span value)
{
    bool yes = false;

    (void)p;
    CPH_TRY(yes_or_no(value, &yes));
    ((struct cli_config *)object)->no_cryptex = !yes;
    return CPH_OK;
}

static cph_err set_resume(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return yes_or_no(value, &((struct cli_config *)object)->resume);
}

static cph_err copy_path(struct cph_span value, char *out)
{
    return value.n > 0 && (value.p[0] == '/' || cph_span_starts(value, "~/"))
               ? copy(value, out, CLI_PATH_MAX)
               : CPH_E_MALFORMED;
}

static cph_err set_smime_own(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_config *)object)->smime_own);
}

static cph_err set_play(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_config *)object)->play, CLI_PATH_MAX);
}

static cph_err set_record(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_config *)object)->record, CLI_PATH_MAX);
}

static cph_err set_default(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_config *)object)->default_account, CLI_NAME_MAX);
}

static cph_err set_uri(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_uri(value, true, ((struct cli_account *)object)->uri);
}

static cph_err set_registrar(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_uri(value, false, ((struct cli_account *)object)->registrar);
}

static cph_err set_proxy(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_uri(value, false, ((struct cli_account *)object)->proxy);
}

static cph_err set_user(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_account *)object)->user, CLI_URI_MAX);
}

static cph_err set_password(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return value.n > 0 ? cph_secret_set(&((struct cli_account *)object)->password, value)
                       : CPH_E_MALFORMED;
}

static cph_err set_password_file(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_account *)object)->password_file);
}

static cph_err set_password_command(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_account *)object)->password_command, CLI_PATH_MAX);
}

static cph_err set_mikey(struct config_parse *p, void *object, struct cph_span value)
{
    struct cli_peer *peer = object;

    (void)p;
    peer->has_mode = true;
    return cph_mikey_mode_parse(value, &peer->mode);
}

static cph_err set_certificate(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_peer *)object)->certificate);
}

static cph_err set_authority(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_peer *)object)->authority);
}

static cph_err set_own(struct config_parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_peer *)object)->own);
}

static cph_err set_transport(struct config_parse *p, void *object, struct cph_span value)
{
    struct cli_account *a = object;

    (void)p;
    a->has_proto = true;
    return cli_proto_parse(value, &a->proto);
}

#define FILE_WORDS      "an absolute path or ~/.., at most 1023 bytes"
#define POLICY_WORDS    "required, prefer or none"
#define NEED_WORDS      "open, hop, private, identified or verified"
#define CHALLENGE_WORDS "no, yes or keys"
#define EFFORT_WORDS    "osrtp, attribute, capneg, group, bodies or probe"

static const struct config_key defaults_keys[] = {
    { "policy", set_policy, POLICY_WORDS },
    { "need", set_need, NEED_WORDS },
    { "keying", set_keying, CLI_KEYING_WORDS },
    { "best-effort", set_effort, EFFORT_WORDS },
    { "precondition", set_precondition, "off, optional or mandatory" },
    { "challenge", set_challenge, CHALLENGE_WORDS },
    { "listen", set_listen, "up to 8 of udp:HOST:PORT, tcp:.. or tls:.., with commas between" },
    { "play", set_play, "a WAV file, at most 1023 bytes" },
    { "record", set_record, "a WAV file, at most 1023 bytes" },
    { "ekt", set_ekt, "yes or no" },
    { "cryptex", set_cryptex, "yes or no" },
    { "resume", set_resume, "yes or no" },
    { "smime", set_smime, "yes or no" },
    { "smime-own", set_smime_own, FILE_WORDS },
    { "account", set_default, "the name of an account of this file" },
    { NULL, NULL, NULL },
};

static const struct config_key account_keys[] = {
    { "uri", set_uri, "an address like sip:alice@example.org, at most 255 bytes" },
    { "registrar", set_registrar, "an address like sip:example.org, at most 255 bytes" },
    { "proxy", set_proxy, "an address like sip:proxy.example.org, at most 255 bytes" },
    { "user", set_user, "a user's name, at most 255 bytes" },
    { "password", set_password, "1 to 512 bytes" },
    { "password-file", set_password_file, FILE_WORDS },
    { "password-command", set_password_command, "a shell command, at most 1023 bytes" },
    { "transport", set_transport, "udp, tcp or tls" },
    { "keying", set_keying, CLI_KEYING_WORDS },
    { "best-effort", set_effort, EFFORT_WORDS },
    { "precondition", set_precondition, "off, optional or mandatory" },
    { "policy", set_policy, POLICY_WORDS },
    { "need", set_need, NEED_WORDS },
    { "challenge", set_challenge, CHALLENGE_WORDS },
    { "smime", set_smime, "yes or no" },
    { NULL, NULL, NULL },
};

static const struct config_key caller_keys[] = {
    { "password", set_password, "1 to 512 bytes" },
    { "password-file", set_password_file, FILE_WORDS },
    { "password-command", set_password_command, "a shell command, at most 1023 bytes" },
    { NULL, NULL, NULL },
};

static const struct config_key peer_keys[] = {
    { "uri", set_uri, "an address like sip:bob@example.org, at most 255 bytes" },
    { "mikey", set_mikey, "psk, rsa, rsa-r, dhsign, dhhmac, ecmqv or null" },
    { "secret", set_password, "1 to 512 bytes" },
    { "secret-file", set_password_file, FILE_WORDS },
    { "secret-command", set_password_command, "a shell command, at most 1023 bytes" },
    { "certificate", set_certificate, FILE_WORDS },
    { "authority", set_authority, FILE_WORDS },
    { "own", set_own, FILE_WORDS },
    { "smime", set_smime, "yes or no" },
    { NULL, NULL, NULL },
};

const struct config_rows config_sections[] = {
    [DEFAULTS] = { "defaults", "[defaults]", defaults_keys, 1 },
    [ACCOUNT] = { "account", "an account", account_keys, CLI_ACCOUNTS_MAX },
    [CALLER] = { "caller", "a caller", caller_keys, CLI_CALLERS_MAX },
    [PEER] = { "peer", "a peer", peer_keys, CLI_PEERS_MAX },
};

size_t *config_count(struct cli_config *c, enum config_section section)
{
    return section == ACCOUNT ? &c->n_accounts : section == CALLER ? &c->n_callers : &c->n_peers;
}

struct cli_account *config_nth(struct cli_config *c, enum config_section section, size_t i)
{
    return section == ACCOUNT  ? &c->account[i]
           : section == CALLER ? &c->caller[i]
                               : &c->peer[i].who;
}

/* ---- whole sections -------------------------------------------------------------------------- */

static const char *secret_word(enum config_section section)
{
    return section == PEER ? "secret" : "password";
}

static bool shares_secret(enum cph_mikey_mode mode)
{
    return mode == CPH_MIKEY_PSK || mode == CPH_MIKEY_DHHMAC;
}

/* What S/MIME and a mode of MIKEY cannot do without. */
static cph_err check_peer(struct config_parse *p, const struct cli_peer *peer, bool has_secret)
{
    const char *name = peer->who.name;

    if (peer->smime && !peer->certificate[0] && !peer->authority[0])
        return config_wrong(p,
                            "peer %s: smime needs certificate, the peer's, or authority, who may "
                            "vouch for it",
                            name);
    if (!peer->has_mode && !peer->smime)
        return config_wrong(p, "peer %s has no mikey and no smime; add mikey = psk or smime = yes",
                            name);
    if (!peer->has_mode && (has_secret || peer->own[0]))
        return config_wrong(p,
                            "peer %s: secret and own are for mikey, which it has not; remove them, "
                            "or add mikey (our key for S/MIME is smime-own in [defaults])",
                            name);
    if (!peer->has_mode)
        return CPH_OK;
    if (shares_secret(peer->mode) != has_secret)
        return config_wrong(p,
                            has_secret
                                ? "peer %s: mikey = %s uses no secret; remove it, or take psk"
                                : "peer %s: mikey = %s needs secret, secret-file or secret-command",
                            name, cph_mikey_mode_name(peer->mode));
    if ((peer->mode == CPH_MIKEY_RSA || peer->mode == CPH_MIKEY_ECMQV) && !peer->certificate[0])
        return config_wrong(p, "peer %s: mikey = %s needs certificate, the peer's, to encrypt to",
                            name, cph_mikey_mode_name(peer->mode));
    return CPH_OK;
}

cph_err config_whole(struct config_parse *p)
{
    const struct cli_account *a;
    unsigned here = p->line;
    int passwords;

    if (p->section == NOWHERE || p->section == DEFAULTS)
        return CPH_OK;
    a = config_nth(p->c, p->section, *config_count(p->c, p->section) - 1);
    passwords = (a->password.n > 0) + (a->password_file[0] != 0) + (a->password_command[0] != 0);
    p->line = a->line;
    if (p->section == CALLER && passwords == 0)
        return config_wrong(p,
                            "caller %s has no password; add password, password-file or "
                            "password-command, as agreed with the caller",
                            a->name);
    if (p->section != CALLER && a->uri[0] == '\0')
        return config_wrong(p, "%s %s has no uri; add one like uri = sip:alice@example.org",
                            a->what, a->name);
    if (passwords > 1)
        return config_wrong(p, "%s %s has more than one of %s, %s-file and %s-command; keep one",
                            a->what, a->name, secret_word(p->section), secret_word(p->section),
                            secret_word(p->section));
    if (p->section == PEER)
        CPH_TRY(check_peer(p, &p->c->peer[p->c->n_peers - 1], passwords > 0));
    p->line = here;
    return CPH_OK;
}
