#include "cli_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"

const struct cli_opt_row cli_opts[CLI_OPT_COUNT_] = {
    [CLI_OPT_HELP] = { "help", NULL, "show the help of this verb", false },
    [CLI_OPT_CONFIG] = { "config", "FILE", "read this configuration file", false },
    [CLI_OPT_STORE] = { "store", "FILE", "keep identity and trusted peers in this file", false },
    [CLI_OPT_VERBOSE] = { "verbose", NULL, "log more to stderr; twice: everything", true },
    [CLI_OPT_JSON] = { "json", NULL, "print one JSON object per line", false },
    [CLI_OPT_ACCOUNT] = { "account", "NAME", "use this account of the configuration", false },
    [CLI_OPT_LISTEN] = { "listen", "PROTO:HOST:PORT", "take calls here; PROTO is udp, tcp or tls",
                         true },
    [CLI_OPT_PLAY] = { "play", "FILE", "speak this WAV file instead of the microphone", false },
    [CLI_OPT_RECORD] = { "record", "FILE", "write what is heard to this WAV file", false },
    [CLI_OPT_KEYING] = { "keying", "LIST",
                         "some of dtls,zrtp,mikey,sdes, best first; or best, compatible, legacy",
                         false },
    [CLI_OPT_POLICY] = { "policy", "WORD",
                         "required: secure or no call; prefer: secure if the peer can; none",
                         false },
    [CLI_OPT_FOR] = { "for", "SECONDS", "end after this time", false },
    [CLI_OPT_REPLACE] = { "replace", NULL, "forget the peer's other certificates", false },
    [CLI_OPT_PEM] = { "pem", NULL, "print the certificate itself", false },
    [CLI_OPT_LOOP] = { "loop", NULL, "speak the file of --play again and again", false },
    [CLI_OPT_DEVICE] = { "device", "NAME", "ALSA device for sound; none: no device", false },
    [CLI_OPT_CA] = { "ca", "FILE",
                     "trust these authorities for TLS: a PEM file or a directory of such", false },
    [CLI_OPT_INSECURE_TLS] = { "insecure-tls", NULL, "accept any TLS server; the verdict says so",
                               false },
    [CLI_OPT_SEED] = { "seed", "NUMBER", "run the lab's network from this number; 1 without",
                       false },
    [CLI_OPT_HTML] = { "html", "FILE", "write the report to this file", false },
    [CLI_OPT_EKT] = { "ekt", NULL, "tell media keys in the media with peers that can (EKT)",
                      false },
    [CLI_OPT_NO_CRYPTEX] = { "no-cryptex", NULL, "leave RTP headers in clear in any case", false },
    [CLI_OPT_EFFORT] = { "best-effort", "FORM",
                         "how --policy prefer asks: osrtp, attribute, capneg, group, bodies, probe",
                         false },
    [CLI_OPT_RESUME] = { "resume", NULL, "let a call use the keys of an earlier one for 10 minutes",
                         false },
    [CLI_OPT_PRECONDITION] = { "precondition", "WORD",
                               "ring only when there are keys: off, optional or mandatory", false },
    [CLI_OPT_SMIME] = { "smime", "FILE",
                        "seal keys to the certificate of the peer in this PEM file (S/MIME)",
                        true },
    [CLI_OPT_COLUMN] = { "keying", "NAME", "with this mechanism alone; lab list names them",
                         false },
    [CLI_OPT_PGP] = { "pgp", "FILE",
                      "the peer's OpenPGP key: a ZRTP string that it signed needs no comparison",
                      true },
    [CLI_OPT_MAN] = { "man", NULL, "print the manual page's source", false },
};

/* What every verb takes. */
static const enum cli_opt common[] = { CLI_OPT_HELP, CLI_OPT_STORE, CLI_OPT_VERBOSE, CLI_OPT_END };

/* ---- words on the command line --------------------------------------------------------------- */

CPH_PRINTF(2, 3)
static cph_err usage(char why[CLI_WHY], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, CLI_WHY, fmt, ap);
    va_end(ap);
    return CPH_E_ARGUMENT;
}

static enum cli_opt find(const enum cli_opt *list, struct cph_span name, struct cli_near *near)
{
    for (; *list != CLI_OPT_END; list++) {
        cli_near_offer(near, cli_opts[*list].name);
        if (cph_span_is(name, cli_opts[*list].name))
            return *list;
    }
    return CLI_OPT_END;
}

static cph_err find_option(const struct cli_verb *verb, struct cph_span name, enum cli_opt *opt,
                           char why[CLI_WHY])
{
    char word[64];
    struct cli_near near = { .to = cli_clean(name, word, sizeof word) };

    *opt = find(common, name, &near);
    if (*opt == CLI_OPT_END && verb->opts)
        *opt = find(verb->opts, name, &near);
    if (*opt != CLI_OPT_END)
        return CPH_OK;
    if (near.best)
        return usage(why, "%s has no option --%s; did you mean --%s?", verb->name, word, near.best);
    return usage(why, "%s has no option --%s; see: ciphony %s --help", verb->name, word,
                 verb->name);
}

/* "--name value", "--name=value"; *i moves over a value of its own. */
static cph_err on_option(struct cli_args *a, int argc, const char *const *argv, int *i,
                         char why[CLI_WHY])
{
    struct cph_span rest = cph_span_of(argv[*i] + 2);
    bool glued = cph_span_find(rest, '=') < rest.n;
    struct cph_span name = cph_span_cut(&rest, '=');
    const struct cli_opt_row *row;
    const char *value = "";
    enum cli_opt opt;

    CPH_TRY(find_option(a->verb, name, &opt, why));
    row = &cli_opts[opt];
    if (!row->value && glued)
        return usage(why, "--%s takes no value; write --%s alone", row->name, row->name);
    if (row->value && glued)
        value = argv[*i] + 2 + name.n + 1;
    else if (row->value && *i + 1 < argc)
        value = argv[++*i];
    else if (row->value)
        return usage(why, "--%s needs a value: --%s %s", row->name, row->name, row->value);
    if (row->value && value[0] == '\0')
        return usage(why, "--%s needs a value that is not empty: --%s %s", row->name, row->name,
                     row->value);
    if (!row->many && cli_given(a, opt))
        return usage(why, "--%s is given twice; keep one", row->name);
    if (a->n_given == CLI_ARGS_MAX)
        return usage(why, "more than %d options", CLI_ARGS_MAX);
    a->given[a->n_given].opt = opt;
    a->given[a->n_given++].value = value;
    return CPH_OK;
}

static cph_err on_word(struct cli_args *a, const char *word, char why[CLI_WHY])
{
    char clean[128];

    if (a->n_pos >= a->verb->max_pos || a->n_pos == CLI_ARGS_MAX)
        return usage(why, "\"%s\" is one argument too many; usage: ciphony %s%s%s",
                     cli_clean(cph_span_of(word), clean, sizeof clean), a->verb->name,
                     a->verb->args[0] ? " " : "", a->verb->args);
    a->pos[a->n_pos++] = word;
    return CPH_OK;
}

cph_err cli_args_parse(const struct cli_verb *verb, int argc, const char *const *argv,
                       struct cli_args *out, char why[CLI_WHY])
{
    bool options = true;

    *out = (struct cli_args){ .verb = verb };
    why[0] = '\0';
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && strcmp(word, "-h") == 0)
            CPH_TRY(on_option(out, 1, (const char *const[]){ "--help" }, &(int){ 0 }, why));
        else if (options && strcmp(word, "-v") == 0)
            CPH_TRY(on_option(out, 1, (const char *const[]){ "--verbose" }, &(int){ 0 }, why));
        else if (options && strncmp(word, "--", 2) == 0)
            CPH_TRY(on_option(out, argc, argv, &i, why));
        else if (options && word[0] == '-' && word[1] != '\0')
            return usage(why, "options begin with two dashes; see: ciphony %s --help", verb->name);
        else
            CPH_TRY(on_word(out, word, why));
    }
    if (out->n_pos < verb->min_pos && !cli_given(out, CLI_OPT_HELP))
        return usage(why, "something is missing; usage: ciphony %s %s", verb->name, verb->args);
    return CPH_OK;
}

bool cli_given(const struct cli_args *a, enum cli_opt opt)
{
    return cli_value(a, opt, 0) != NULL;
}

const char *cli_value(const struct cli_args *a, enum cli_opt opt, size_t i)
{
    for (size_t k = 0; k < a->n_given; k++)
        if (a->given[k].opt == opt && i-- == 0)
            return a->given[k].value;
    return NULL;
}

/* ---- typed values ---------------------------------------------------------------------------- */

static const char *const proto_name[] = {
    [CPH_SIP_UDP] = "udp", [CPH_SIP_TCP] = "tcp", [CPH_SIP_TLS] = "tls"
};

const char *cli_proto_name(enum cph_sip_proto proto)
{
    return proto_name[proto];
}

cph_err cli_proto_parse(struct cph_span text, enum cph_sip_proto *out)
{
    for (size_t i = 0; i < sizeof proto_name / sizeof *proto_name; i++)
        if (cph_span_is(text, proto_name[i])) {
            *out = (enum cph_sip_proto)i;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}

cph_err cli_listen_parse(struct cph_span text, struct cli_listen *out)
{
    struct cph_span rest = text, proto = cph_span_cut(&rest, ':');
    struct cli_listen l = { 0 };
    char local[32];

    CPH_TRY(cli_proto_parse(proto, &l.proto));
    if (cph_span_starts(rest, "localhost")) {
        struct cph_span port = cph_span_from(rest, strlen("localhost"));

        if (port.n >= sizeof local - sizeof "127.0.0.1" || (port.n > 0 && port.p[0] != ':'))
            return CPH_E_MALFORMED;
        (void)snprintf(local, sizeof local, "127.0.0.1%.*s", CPH_SPAN_ARG(port));
        rest = cph_span_of(local);
    }
    CPH_TRY(cph_addr_parse(rest, &l.addr));
    /* without a port the address parser leaves 0, which is also what ":0" asks for */
    if (l.addr.port == 0 &&
        !(rest.n > 2 && rest.p[rest.n - 2] == ':' && rest.p[rest.n - 1] == '0' &&
          (l.addr.family == CPH_AF_V4 || rest.p[rest.n - 3] == ']')))
        l.addr.port = l.proto == CPH_SIP_TLS ? 5061 : 5060; /* RFC 3261 19.1.2 */
    *out = l;
    return CPH_OK;
}

static cph_err listen_opts(const struct cli_args *a, struct cli_call_opts *out, char why[CLI_WHY])
{
    const char *text;

    for (size_t i = 0; (text = cli_value(a, CLI_OPT_LISTEN, i)) != NULL; i++) {
        if (i == CLI_LISTEN_MAX)
            return usage(why, "--listen may be given %d times", (int)CLI_LISTEN_MAX);
        if (cli_listen_parse(cph_span_of(text), &out->listen[i]) != CPH_OK)
            return usage(
                why,
                "--listen %.200s: write udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT, where HOST "
                "is one address of this machine",
                text);
        out->n_listen = i + 1;
    }
    return CPH_OK;
}

cph_err cli_call_opts(const struct cli_args *a, struct cli_call_opts *out, char why[CLI_WHY])
{
    const char *policy = cli_value(a, CLI_OPT_POLICY, 0), *keying = cli_value(a, CLI_OPT_KEYING, 0);
    const char *seconds = cli_value(a, CLI_OPT_FOR, 0), *form = cli_value(a, CLI_OPT_EFFORT, 0);
    const char *pre = cli_value(a, CLI_OPT_PRECONDITION, 0);
    uint32_t n = 0;

    *out = (struct cli_call_opts){ .play = cli_value(a, CLI_OPT_PLAY, 0),
                                   .record = cli_value(a, CLI_OPT_RECORD, 0),
                                   .account = cli_value(a, CLI_OPT_ACCOUNT, 0),
                                   .json = cli_given(a, CLI_OPT_JSON) };
    CPH_TRY(listen_opts(a, out, why));
    if (policy && cph_security_parse(cph_span_of(policy), &out->policy.media) != CPH_OK)
        return usage(why, "--policy %.200s: it must be required, prefer or none", policy);
    if (keying && cph_policy_keying(&out->policy, cph_span_of(keying)) != CPH_OK)
        return usage(why, "--keying %.200s: it must be " CLI_KEYING_WORDS, keying);
    if (form && cph_keying_form_parse(cph_span_of(form), &out->policy.form) != CPH_OK)
        return usage(why,
                     "--best-effort %.200s: it must be osrtp, attribute, capneg, group, bodies or "
                     "probe",
                     form);
    if (pre && cph_precondition_parse(cph_span_of(pre), &out->policy.precondition) != CPH_OK)
        return usage(why, "--precondition %.200s: it must be off, optional or mandatory", pre);
    if (seconds &&
        (cph_span_u32(cph_span_of(seconds), &n) != CPH_OK || n == 0 || n > CLI_SECONDS_MAX))
        return usage(why, "--for %.200s: it must be a number of seconds from 1 to %d", seconds,
                     CLI_SECONDS_MAX);
    out->for_us = CPH_SEC(n);
    return CPH_OK;
}
