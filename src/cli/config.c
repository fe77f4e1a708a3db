#include "cli_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"

/*
 * The file, by lines:
 *
 *   # a comment is a line of its own
 *   [defaults]
 *   policy = required
 *   [account alice]
 *   uri = sip:alice@example.org
 *   password = " with blanks around "     in quotes \" and \\ stand for " and \
 *   challenge = yes                       only who proves a password may call:
 *   [caller bob]
 *   password = what bob and alice agreed on
 *   [peer bob]
 *   uri = sip:bob@example.org
 *   mikey = psk                           for calls with bob whose keying is MIKEY
 *   secret-file = ~/.secret/bob
 */

enum section { NOWHERE, DEFAULTS, ACCOUNT, CALLER, PEER };

/* Every key sets one bit, so that a second time is noticed. */
struct parse {
    struct cli_config *c;
    const char *file;
    char *why;
    unsigned line;
    enum section section;
    uint32_t seen;
};

/* One key of a section. set gets the object of the section. */
struct key {
    const char *name;
    cph_err (*set)(struct parse *p, void *object, struct cph_span value);
    const char *allowed; /* what a value looks like */
};

CPH_PRINTF(2, 3)
static cph_err wrong(struct parse *p, const char *fmt, ...)
{
    char text[CLI_WHY - 200];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)snprintf(p->why, CLI_WHY, "%.180s:%u: %s", p->file, p->line, text);
    return CPH_E_CONFIG;
}

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

static cph_err set_policy(struct parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = p->section == DEFAULTS ? &p->c->policy
                                                       : &((struct cli_account *)object)->policy;

    return cph_security_parse(value, &policy->media);
}

static cph_err set_need(struct parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = p->section == DEFAULTS ? &p->c->policy
                                                       : &((struct cli_account *)object)->policy;

    return cph_level_parse(value, &policy->need);
}

/* "keys": a proof that covers the keys in the message, which not every phone can give. */
static cph_err set_challenge(struct parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = p->section == DEFAULTS ? &p->c->policy
                                                       : &((struct cli_account *)object)->policy;
    bool yes = cph_span_is(value, "yes"), keys = cph_span_is(value, "keys");

    policy->challenge = yes || keys;
    policy->cover_body = keys;
    return yes || keys || cph_span_is(value, "no") ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err set_keying(struct parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = p->section == DEFAULTS ? &p->c->policy
                                                       : &((struct cli_account *)object)->policy;

    return cph_policy_keying(policy, value);
}

static cph_err set_effort(struct parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = p->section == DEFAULTS ? &p->c->policy
                                                       : &((struct cli_account *)object)->policy;

    return cph_keying_form_parse(value, &policy->form);
}

static cph_err set_precondition(struct parse *p, void *object, struct cph_span value)
{
    struct cph_policy *policy = p->section == DEFAULTS ? &p->c->policy
                                                       : &((struct cli_account *)object)->policy;

    return cph_precondition_parse(value, &policy->precondition);
}

static cph_err set_listen(struct parse *p, void *object, struct cph_span value)
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

static cph_err yes_or_no(struct cph_span value, bool *out)
{
    *out = cph_span_is(value, "yes");
    return *out || cph_span_is(value, "no") ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err set_ekt(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return yes_or_no(value, &((struct cli_config *)object)->ekt);
}

static cph_err set_cryptex(struct parse *p, void *object, struct cph_span value)
{
    bool yes = false;

    (void)p;
    CPH_TRY(yes_or_no(value, &yes));
    ((struct cli_config *)object)->no_cryptex = !yes;
    return CPH_OK;
}

static cph_err set_resume(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return yes_or_no(value, &((struct cli_config *)object)->resume);
}

static cph_err set_play(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_config *)object)->play, CLI_PATH_MAX);
}

static cph_err set_record(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_config *)object)->record, CLI_PATH_MAX);
}

static cph_err set_default(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_config *)object)->default_account, CLI_NAME_MAX);
}

static cph_err set_uri(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_uri(value, true, ((struct cli_account *)object)->uri);
}

static cph_err set_registrar(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_uri(value, false, ((struct cli_account *)object)->registrar);
}

static cph_err set_proxy(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_uri(value, false, ((struct cli_account *)object)->proxy);
}

static cph_err set_user(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_account *)object)->user, CLI_URI_MAX);
}

static cph_err set_password(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return value.n > 0 ? cph_secret_set(&((struct cli_account *)object)->password, value)
                       : CPH_E_MALFORMED;
}

static cph_err copy_path(struct cph_span value, char *out)
{
    return value.n > 0 && (value.p[0] == '/' || cph_span_starts(value, "~/"))
               ? copy(value, out, CLI_PATH_MAX)
               : CPH_E_MALFORMED;
}

static cph_err set_password_file(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_account *)object)->password_file);
}

static cph_err set_password_command(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy(value, ((struct cli_account *)object)->password_command, CLI_PATH_MAX);
}

static cph_err set_mikey(struct parse *p, void *object, struct cph_span value)
{
    struct cli_peer *peer = object;

    (void)p;
    peer->has_mode = true;
    return cph_mikey_mode_parse(value, &peer->mode);
}

static cph_err set_certificate(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_peer *)object)->certificate);
}

static cph_err set_authority(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_peer *)object)->authority);
}

static cph_err set_own(struct parse *p, void *object, struct cph_span value)
{
    (void)p;
    return copy_path(value, ((struct cli_peer *)object)->own);
}

static cph_err set_transport(struct parse *p, void *object, struct cph_span value)
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

static const struct key defaults_keys[] = {
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
    { "account", set_default, "the name of an account of this file" },
    { NULL, NULL, NULL },
};

static const struct key account_keys[] = {
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
    { NULL, NULL, NULL },
};

static const struct key caller_keys[] = {
    { "password", set_password, "1 to 512 bytes" },
    { "password-file", set_password_file, FILE_WORDS },
    { "password-command", set_password_command, "a shell command, at most 1023 bytes" },
    { NULL, NULL, NULL },
};

static const struct key peer_keys[] = {
    { "uri", set_uri, "an address like sip:bob@example.org, at most 255 bytes" },
    { "mikey", set_mikey, "psk, rsa, rsa-r, dhsign, dhhmac, ecmqv or null" },
    { "secret", set_password, "1 to 512 bytes" },
    { "secret-file", set_password_file, FILE_WORDS },
    { "secret-command", set_password_command, "a shell command, at most 1023 bytes" },
    { "certificate", set_certificate, FILE_WORDS },
    { "authority", set_authority, FILE_WORDS },
    { "own", set_own, FILE_WORDS },
    { NULL, NULL, NULL },
};

static const struct {
    const char *what, *in; /* for words */
    const struct key *keys;
    size_t max;
} sections[] = {
    [DEFAULTS] = { "defaults", "[defaults]", defaults_keys, 1 },
    [ACCOUNT] = { "account", "an account", account_keys, CLI_ACCOUNTS_MAX },
    [CALLER] = { "caller", "a caller", caller_keys, CLI_CALLERS_MAX },
    [PEER] = { "peer", "a peer", peer_keys, CLI_PEERS_MAX },
};

static size_t *count(struct cli_config *c, enum section section)
{
    return section == ACCOUNT ? &c->n_accounts : section == CALLER ? &c->n_callers : &c->n_peers;
}

/* A peer begins with what an account has. */
static struct cli_account *nth(struct cli_config *c, enum section section, size_t i)
{
    return section == ACCOUNT  ? &c->account[i]
           : section == CALLER ? &c->caller[i]
                               : &c->peer[i].who;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Take the quotes off, in place of the line's own bytes: raw is a copy. */
static cph_err unquote(struct cph_span *value, uint8_t *buf)
{
    size_t n = 0, i = 1;

    if (value->n == 0 || value->p[0] != '"')
        return CPH_OK;
    for (; i < value->n && value->p[i] != '"'; i++) {
        if (value->p[i] == '\\') {
            if (i + 1 >= value->n || (value->p[i + 1] != '"' && value->p[i + 1] != '\\'))
                return CPH_E_MALFORMED;
            i++;
        }
        buf[n++] = value->p[i];
    }
    if (i + 1 != value->n) /* no closing quote, or something behind it */
        return CPH_E_MALFORMED;
    *value = (struct cph_span){ buf, n };
    return CPH_OK;
}

/* The account, caller or peer whose section this is. */
static struct cli_account *current(struct parse *p)
{
    return nth(p->c, p->section, *count(p->c, p->section) - 1);
}

/* What the user may write instead. */
static cph_err unknown_key(struct parse *p, const struct key *keys, struct cph_span name)
{
    char list[256], word[CLI_NAME_MAX];
    struct cph_wr wr = cph_wr_open(list, sizeof list);

    for (const struct key *k = keys; k->name; k++)
        cph_wr_fmt(&wr, "%s%s", k == keys ? "" : ", ", k->name);
    cph_wr_u8(&wr, 0);
    return wrong(p, "there is no key \"%s\" in %s; there are %s",
                 cli_clean(name, word, sizeof word), sections[p->section].in, list);
}

static cph_err on_key(struct parse *p, struct cph_span line)
{
    const struct key *keys = sections[p->section].keys, *k = keys;
    struct cph_span value = line, name = cph_span_trim(cph_span_cut(&value, '='));
    uint8_t buf[CLI_LINE_MAX];
    char word[CLI_NAME_MAX];
    cph_err err;

    if (name.n == line.n || cph_span_find(line, '=') == line.n)
        return wrong(/* its first word only: a password may stand behind */
                     p,
                     "\"%s\" is no line of a configuration; write KEY = VALUE, [SECTION] or # "
                     "COMMENT",
                     cli_clean(cph_span_word(&line), word, sizeof word));
    if (p->section == NOWHERE)
        return wrong(
            p, "\"%s\" stands before any section; write [defaults] or [account NAME] above it",
            cli_clean(name, word, sizeof word));
    while (k->name && !cph_span_is(name, k->name))
        k++;
    if (!k->name)
        return unknown_key(p, keys, name);
    if (p->seen & 1U << (k - keys))
        return wrong(p, "%s is set a second time in this section; remove one", k->name);
    p->seen |= 1U << (k - keys);
    value = cph_span_trim(value);
    err = unquote(&value, buf);
    if (err)
        err = wrong(p, "%s: the quotes do not match; inside them write \\\" and \\\\", k->name);
    else if (cph_span_find(value, 0) != value.n ||
             k->set(p, p->section == DEFAULTS ? (void *)p->c : current(p), value) != CPH_OK)
        err = wrong(p, "%s must be %s", k->name, k->allowed);
    cph_wipe(buf, sizeof buf); /* a password may have passed */
    return err;
}

static const char *secret_word(enum section section)
{
    return section == PEER ? "secret" : "password";
}

static bool shares_secret(enum cph_mikey_mode mode)
{
    return mode == CPH_MIKEY_PSK || mode == CPH_MIKEY_DHHMAC;
}

/* What a mode of MIKEY cannot do without. */
static cph_err check_peer(struct parse *p, const struct cli_peer *peer, bool has_secret)
{
    const char *name = peer->who.name;

    if (!peer->has_mode)
        return wrong(p, "peer %s has no mikey; add one like mikey = psk", name);
    if (shares_secret(peer->mode) != has_secret)
        return wrong(p,
                     has_secret ? "peer %s: mikey = %s uses no secret; remove it, or take psk"
                                : "peer %s: mikey = %s needs secret, secret-file or secret-command",
                     name, cph_mikey_mode_name(peer->mode));
    if ((peer->mode == CPH_MIKEY_RSA || peer->mode == CPH_MIKEY_ECMQV) && !peer->certificate[0])
        return wrong(p, "peer %s: mikey = %s needs certificate, the peer's, to encrypt to", name,
                     cph_mikey_mode_name(peer->mode));
    return CPH_OK;
}

/* An account is whole when its section ends. */
static cph_err close_section(struct parse *p)
{
    const struct cli_account *a;
    unsigned here = p->line;
    int passwords;

    if (p->section == NOWHERE || p->section == DEFAULTS)
        return CPH_OK;
    a = current(p);
    passwords = (a->password.n > 0) + (a->password_file[0] != 0) + (a->password_command[0] != 0);
    p->line = a->line;
    if (p->section == CALLER && passwords == 0)
        return wrong(p,
                     "caller %s has no password; add password, password-file or "
                     "password-command, as agreed with the caller",
                     a->name);
    if (p->section != CALLER && a->uri[0] == '\0')
        return wrong(p, "%s %s has no uri; add one like uri = sip:alice@example.org", a->what,
                     a->name);
    if (passwords > 1)
        return wrong(p, "%s %s has more than one of %s, %s-file and %s-command; keep one", a->what,
                     a->name, secret_word(p->section), secret_word(p->section),
                     secret_word(p->section));
    if (p->section == PEER)
        CPH_TRY(check_peer(p, &p->c->peer[p->c->n_peers - 1], passwords > 0));
    p->line = here;
    return CPH_OK;
}

static bool good_name(struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-_.@+", c))))
            return false;
    }
    return s.n > 0 && s.n < CLI_NAME_MAX;
}

/* The name of a caller is the user of his address, and of the password. */
static cph_err begin_named(struct parse *p, enum section section, struct cph_span name)
{
    const char *what = sections[section].what;
    size_t *n = count(p->c, section);
    struct cli_account *a;
    char word[CLI_NAME_MAX];

    if (!good_name(name))
        return wrong(p, "\"%s\" is no name of %s; use 1 to %d letters, digits, or any of - _ . @ +",
                     cli_clean(name, word, sizeof word), sections[section].in, CLI_NAME_MAX - 1);
    for (size_t i = 0; i < *n; i++) {
        a = nth(p->c, section, i);
        if (cph_span_is(name, a->name))
            return wrong(p, "%s %s is there already, in line %u; remove one or rename it", what,
                         a->name, a->line);
    }
    if (*n == sections[section].max)
        return wrong(p, "there are more than %zu %ss; remove some", sections[section].max, what);
    a = nth(p->c, section, (*n)++);
    a->line = p->line;
    a->what = what;
    p->section = section;
    return cph_span_cstr(name, a->name, sizeof a->name);
}

static cph_err on_section(struct parse *p, struct cph_span line, bool *had_defaults)
{
    struct cph_span inside = { line.p + 1, line.n - 2 }, rest, word1;
    char word[CLI_NAME_MAX];

    CPH_TRY(close_section(p));
    if (line.p[line.n - 1] != ']' || line.n < 2)
        return wrong(p, "a section is missing its ]; write [defaults] or [account NAME]");
    rest = inside = cph_span_trim(inside);
    p->seen = 0;
    if (cph_span_is(inside, "defaults")) {
        if (*had_defaults)
            return wrong(p, "[defaults] is there already; put everything into the first one");
        *had_defaults = true;
        p->section = DEFAULTS;
        return CPH_OK;
    }
    word1 = cph_span_word(&rest);
    for (enum section section = ACCOUNT; section <= PEER; section++)
        if (cph_span_is(word1, sections[section].what))
            return begin_named(p, section, cph_span_trim(rest));
    return wrong(p,
                 "there is no section [%s]; there are [defaults], [account NAME], [caller NAME] "
                 "and [peer NAME]",
                 cli_clean(inside, word, sizeof word));
}

static cph_err on_line(struct parse *p, struct cph_span line, bool *had_defaults)
{
    if (line.n > CLI_LINE_MAX)
        return wrong(p, "the line is longer than %d bytes; shorten it", CLI_LINE_MAX);
    line = cph_span_trim(line);
    if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
        return CPH_OK;
    return line.p[0] == '[' ? on_section(p, line, had_defaults) : on_key(p, line);
}

static cph_err parse_all(struct parse *p, struct cph_span bytes)
{
    struct cph_span line;
    bool had_defaults = false, asks;

    if (bytes.n > CLI_CONFIG_MAX)
        return wrong(p, "the file is larger than %d bytes; is it the right one?", CLI_CONFIG_MAX);
    if (cph_span_starts(bytes, "\xef\xbb\xbf")) /* some editors begin with one */
        bytes = cph_span_from(bytes, 3);
    while (cph_span_line(&bytes, &line)) {
        p->line++;
        CPH_TRY(on_line(p, line, &had_defaults));
    }
    CPH_TRY(close_section(p));
    asks = p->c->policy.challenge;
    for (size_t i = 0; i < p->c->n_accounts; i++)
        asks |= p->c->account[i].policy.challenge;
    if (asks && p->c->n_callers == 0)
        return wrong(p, "challenge asks callers for a password, but there is no [caller NAME]; "
                        "nobody could call");
    if (p->c->default_account[0] && !cli_config_account(p->c, NULL))
        return wrong(p, "account = %s in [defaults], but there is no [account %s]",
                     p->c->default_account, p->c->default_account);
    return CPH_OK;
}

cph_err cli_config_parse(struct cph_span bytes, const char *file, struct cli_config *out,
                         char why[CLI_WHY])
{
    struct parse p = { .c = out, .file = file, .why = why };
    cph_err err;

    memset(out, 0, sizeof *out);
    why[0] = '\0';
    err = parse_all(&p, bytes);
    if (err)
        cli_config_wipe(out);
    return err;
}

void cli_config_wipe(struct cli_config *c)
{
    cph_wipe(c, sizeof *c);
}

const struct cli_account *cli_config_account(const struct cli_config *c, const char *name)
{
    if (!name && c->default_account[0])
        name = c->default_account;
    for (size_t i = 0; i < c->n_accounts; i++)
        if (!name || strcmp(c->account[i].name, name) == 0)
            return &c->account[i];
    return NULL;
}
