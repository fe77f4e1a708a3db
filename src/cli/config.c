/* Reading the configuration file: lines, sections, KEY = VALUE. */
#include "config_int.h"

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

cph_err config_wrong(struct config_parse *p, const char *fmt, ...)
{
    char text[CLI_WHY - 200];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)snprintf(p->why, CLI_WHY, "%.180s:%u: %s", p->file, p->line, text);
    return CPH_E_CONFIG;
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
static struct cli_account *current(struct config_parse *p)
{
    return config_nth(p->c, p->section, *config_count(p->c, p->section) - 1);
}

/* What the user may write instead. */
static cph_err unknown_key(struct config_parse *p, const struct config_key *keys,
                           struct cph_span name)
{
    char list[256], word[CLI_NAME_MAX];
    struct cph_wr wr = cph_wr_open(list, sizeof list);

    for (const struct config_key *k = keys; k->name; k++)
        cph_wr_fmt(&wr, "%s%s", k == keys ? "" : ", ", k->name);
    cph_wr_u8(&wr, 0);
    return config_wrong(p, "there is no key \"%s\" in %s; there are %s",
                        cli_clean(name, word, sizeof word), config_sections[p->section].in, list);
}

static cph_err on_key(struct config_parse *p, struct cph_span line)
{
    const struct config_key *keys = config_sections[p->section].keys, *k = keys;
    struct cph_span value = line, name = cph_span_trim(cph_span_cut(&value, '='));
    uint8_t buf[CLI_LINE_MAX];
    char word[CLI_NAME_MAX];
    cph_err err;

    if (name.n == line.n || cph_span_find(line, '=') == line.n)
        return config_wrong(/* its first word only: a password may stand behind */
                            p,
                            "\"%s\" is no line of a configuration; write KEY = VALUE, [SECTION] or "
                            "# "
                            "COMMENT",
                            cli_clean(cph_span_word(&line), word, sizeof word));
    if (p->section == NOWHERE)
        return config_wrong(
            p, "\"%s\" stands before any section; write [defaults] or [account NAME] above it",
            cli_clean(name, word, sizeof word));
    while (k->name && !cph_span_is(name, k->name))
        k++;
    if (!k->name)
        return unknown_key(p, keys, name);
    if (p->seen & 1U << (k - keys))
        return config_wrong(p, "%s is set a second time in this section; remove one", k->name);
    p->seen |= 1U << (k - keys);
    value = cph_span_trim(value);
    err = unquote(&value, buf);
    if (err)
        err = config_wrong(p, "%s: the quotes do not match; inside them write \\\" and \\\\",
                           k->name);
    else if (cph_span_find(value, 0) != value.n ||
             k->set(p, p->section == DEFAULTS ? (void *)p->c : current(p), value) != CPH_OK)
        err = config_wrong(p, "%s must be %s", k->name, k->allowed);
    cph_wipe(buf, sizeof buf); /* a password may have passed */
    return err;
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
static cph_err begin_named(struct config_parse *p, enum config_section section,
                           struct cph_span name)
{
    const char *what = config_sections[section].what;
    size_t *n = config_count(p->c, section);
    struct cli_account *a;
    char word[CLI_NAME_MAX];

    if (!good_name(name))
        return config_wrong(
            p, "\"%s\" is no name of %s; use 1 to %d letters, digits, or any of - _ . @ +",
            cli_clean(name, word, sizeof word), config_sections[section].in, CLI_NAME_MAX - 1);
    for (size_t i = 0; i < *n; i++) {
        a = config_nth(p->c, section, i);
        if (cph_span_is(name, a->name))
            return config_wrong(p, "%s %s is there already, in line %u; remove one or rename it",
                                what, a->name, a->line);
    }
    if (*n == config_sections[section].max)
        return config_wrong(p, "there are more than %zu %ss; remove some",
                            config_sections[section].max, what);
    a = config_nth(p->c, section, (*n)++);
    a->line = p->line;
    a->what = what;
    p->section = section;
    return cph_span_cstr(name, a->name, sizeof a->name);
}

static cph_err on_section(struct config_parse *p, struct cph_span line, bool *had_defaults)
{
    struct cph_span inside = { line.p + 1, line.n - 2 }, rest, word1;
    char word[CLI_NAME_MAX];

    CPH_TRY(config_whole(p));
    if (line.p[line.n - 1] != ']' || line.n < 2)
        return config_wrong(p, "a section is missing its ]; write [defaults] or [account NAME]");
    rest = inside = cph_span_trim(inside);
    p->seen = 0;
    if (cph_span_is(inside, "defaults")) {
        if (*had_defaults)
            return config_wrong(p,
                                "[defaults] is there already; put everything into the first one");
        *had_defaults = true;
        p->section = DEFAULTS;
        return CPH_OK;
    }
    word1 = cph_span_word(&rest);
    for (enum config_section section = ACCOUNT; section <= PEER; section++)
        if (cph_span_is(word1, config_sections[section].what))
            return begin_named(p, section, cph_span_trim(rest));
    return config_wrong(
        p,
        "there is no section [%s]; there are [defaults], [account NAME], [caller NAME] "
        "and [peer NAME]",
        cli_clean(inside, word, sizeof word));
}

static cph_err on_line(struct config_parse *p, struct cph_span line, bool *had_defaults)
{
    if (line.n > CLI_LINE_MAX)
        return config_wrong(p, "the line is longer than %d bytes; shorten it", CLI_LINE_MAX);
    line = cph_span_trim(line);
    if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
        return CPH_OK;
    return line.p[0] == '[' ? on_section(p, line, had_defaults) : on_key(p, line);
}

static cph_err parse_all(struct config_parse *p, struct cph_span bytes)
{
    struct cph_span line;
    bool had_defaults = false, asks;

    if (bytes.n > CLI_CONFIG_MAX)
        return config_wrong(p, "the file is larger than %d bytes; is it the right one?",
                            CLI_CONFIG_MAX);
    if (cph_span_starts(bytes, "\xef\xbb\xbf")) /* some editors begin with one */
        bytes = cph_span_from(bytes, 3);
    while (cph_span_line(&bytes, &line)) {
        p->line++;
        CPH_TRY(on_line(p, line, &had_defaults));
    }
    CPH_TRY(config_whole(p));
    asks = p->c->policy.challenge;
    for (size_t i = 0; i < p->c->n_accounts; i++)
        asks |= p->c->account[i].policy.challenge;
    if (asks && p->c->n_callers == 0)
        return config_wrong(p,
                            "challenge asks callers for a password, but there is no [caller NAME]; "
                            "nobody could call");
    if (p->c->default_account[0] && !cli_config_account(p->c, NULL))
        return config_wrong(p, "account = %s in [defaults], but there is no [account %s]",
                            p->c->default_account, p->c->default_account);
    return CPH_OK;
}

cph_err cli_config_parse(struct cph_span bytes, const char *file, struct cli_config *out,
                         char why[CLI_WHY])
{
    struct config_parse p = { .c = out, .file = file, .why = why };
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
