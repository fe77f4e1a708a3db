#include "cli_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

static const enum cli_opt common[] = { CLI_OPT_HELP, CLI_OPT_STORE, CLI_OPT_VERBOSE, CLI_OPT_END };
static const char about[] = "secure calls whose security you can see";

static const struct {
    enum cli_exit status;
    const char *means;
} exits[] = {
    { CLI_OK, "done; for a call: made, and the security policy was kept" },
    { CLI_FAILED, "it did not work; for a call: it failed" },
    { CLI_USAGE, "the command line or the configuration is wrong" },
    { CLI_POLICY,
      "the security policy was not met, or a certificate was not the one it had to be" },
};

/* ---- for the terminal ------------------------------------------------------------------------ */

static void options(const char *title, const enum cli_opt *list)
{
    if (!list || *list == CLI_OPT_END)
        return;
    (void)printf("\n%s\n", title);
    for (; *list != CLI_OPT_END; list++) {
        const struct cli_opt_row *o = &cli_opts[*list];
        char left[64];

        (void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
                       o->value ? o->value : "");
        (void)printf("  %-26s %s\n", left, o->help);
    }
}

static void help_verb(const struct cli_verb *v)
{
    (void)printf("usage: ciphony %s [option ...]%s%s\n\n%s\n", v->name, v->args[0] ? " " : "",
                 v->args, v->more);
    options("Options", v->opts);
    options("Options of every verb", common);
}

static void help_all(void)
{
    (void)printf("ciphony: %s\n\nusage: ciphony VERB [option ...] [argument ...]\n\n", about);
    for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%s%s%s", (*v)->name, (*v)->args[0] ? " " : "",
                       (*v)->args);
        if (strlen(left) > 26)
            (void)printf("  %s\n  %-26s %s\n", left, "", (*v)->line);
        else
            (void)printf("  %-26s %s\n", left, (*v)->line);
    }
    (void)printf("\nciphony VERB --help says more. Exit status:\n");
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
        (void)printf("  %d  %s\n", (int)exits[i].status, exits[i].means);
}

void cli_help(const struct cli_verb *verb)
{
    if (verb)
        help_verb(verb);
    else
        help_all();
}

/* ---- the manual page: mdoc(7) ---------------------------------------------------------------- */

/* One line of text: it must not begin like a macro, and a backslash is the formatter's. */
static void escaped(struct cph_span line)
{
    if (line.n > 0 && (line.p[0] == '.' || line.p[0] == '\''))
        (void)printf("\\&");
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\\')
            (void)printf("\\e");
        else if (line.p[i] == '-')
            (void)printf("\\-");
        else
            (void)putchar(line.p[i]);
    }
    (void)putchar('\n');
}

/* Paragraphs: an empty line ends one, indented lines are kept as they are. */
static void man_text(const char *text)
{
    struct cph_span rest = cph_span_of(text), line;
    bool literal = false;

    while (cph_span_line(&rest, &line)) {
        bool indented = line.n > 0 && line.p[0] == ' ';

        if (indented != literal)
            (void)printf(indented ? ".Bd -literal\n" : ".Ed\n");
        literal = indented;
        if (line.n == 0)
            (void)printf(".Pp\n");
        else
            escaped(line);
    }
    if (literal)
        (void)printf(".Ed\n");
}

/* A sentence from a line of a table. */
static void man_sentence(const char *text)
{
    char line[256];

    (void)snprintf(line, sizeof line, "%s.", text);
    escaped(cph_span_of(line));
}

static void man_options(const struct cli_verb *v, const enum cli_opt *list)
{
    for (const struct cli_verb *const *other = cli_verbs; v && *other != v; other++)
        if (list && (*other)->opts == list) {
            (void)printf(".Pp\nThe options of\n.Ic %s .\n", (*other)->name);
            return;
        }
    if (!list || *list == CLI_OPT_END)
        return;
    (void)printf(".Bl -tag -width Ds\n");
    for (; *list != CLI_OPT_END; list++) {
        const struct cli_opt_row *o = &cli_opts[*list];

        (void)printf(".It Fl \\-%s%s%s\n", o->name, o->value ? " Ar " : "",
                     o->value ? o->value : "");
        man_sentence(o->help);
        if (o->many)
            (void)printf("May be given several times.\n");
    }
    (void)printf(".El\n");
}

static const char files_and_config[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa $XDG_DATA_HOME/ciphony/ciphony.db\n"
    "This device's identity and the peers it trusts, else\n"
    ".Pa ~/.local/share/ciphony/ciphony.db .\n"
    "Whoever reads this file can be this device.\n"
    ".It Pa $XDG_CONFIG_HOME/ciphony/config\n"
    "The configuration, else\n"
    ".Pa ~/.config/ciphony/config .\n"
    ".El\n"
    ".Sh CONFIGURATION\n"
    "Lines of\n"
    ".Ql key = value\n"
    "under\n"
    ".Ql [defaults] ,\n"
    ".Ql [account NAME] ,\n"
    ".Ql [caller NAME]\n"
    "or\n"
    ".Ql [peer NAME] .\n"
    "A comment is a line of its own and begins with\n"
    ".Ql # .\n"
    "A value may be put in double quotes.\n"
    "Anything unknown, twice or out of its bounds is an error that names the file and the line.\n"
    ".Bd -literal -offset indent\n"
    "[defaults]\n"
    "# required, prefer or none\n"
    "policy = required\n"
    "# open, hop, private, identified or verified\n"
    "need = private\n"
    "keying = dtls, sdes\n"
    "listen = udp:192.0.2.1:5060, tls:192.0.2.1:5061\n"
    "account = alice\n"
    "\n"
    "[account alice]\n"
    "uri = sip:alice@example.org\n"
    "registrar = sip:example.org\n"
    "proxy = sip:proxy.example.org;lr\n"
    "user = alice\n"
    "# or password = ..., or password\\-file = ~/.sip\\-password\n"
    "password\\-command = pass show sip/alice\n"
    "transport = tls\n"
    ".Ed\n"
    ".Pp\n"
    "In both,\n"
    ".Ql policy , need , keying , best\\-effort , precondition , challenge\n"
    "and\n"
    ".Ql smime\n"
    "may stand; the defaults may also set\n"
    ".Ql play , record , ekt , cryptex , resume\n"
    "and\n"
    ".Ql smime\\-own .\n"
    "What the command line says comes first, then the account, then the defaults.\n"
    ".Bd -literal -offset indent\n"
    "[defaults]\n"
    "# yes: who calls proves a password; keys: one that covers the keys\n"
    "challenge = yes\n"
    "\n"
    "[caller bob]\n"
    "# or password = ..., or password\\-command = ...\n"
    "password\\-file = ~/.bob\n"
    "\n"
    "[peer carol]\n"
    "uri = sip:carol@example.org\n"
    "# psk, dhhmac, rsa, rsa\\-r, dhsign, ecmqv or null\n"
    "mikey = psk\n"
    "# or secret = ..., or secret\\-command = ...\n"
    "secret\\-file = ~/.carol\n"
    "# PEM files: the peer's certificate, its authority's, our key and certificate\n"
    "certificate = ~/carol.pem\n"
    "authority = ~/authority.pem\n"
    "own = ~/our.pem\n"
    "# yes: calls with this peer are sealed by S/MIME, too\n"
    "smime = no\n"
    ".Ed\n"
    ".Sh JSON\n"
    "With\n"
    ".Fl \\-json\n"
    "standard output has one object a line.\n"
    "During a call each has\n"
    ".Ql event ,\n"
    "and according to it\n"
    ".Ql call , peer , state , why ,\n"
    "the\n"
    ".Ql status\n"
    "a peer sent, or the\n"
    ".Ql cause\n"
    "why none came; the last is\n"
    ".Ql ended ,\n"
    "with the whole\n"
    ".Ql verdict .\n"
    "Of every verb an error is\n"
    ".Ql {\"event\":\"error\",\"why\":\"...\"} ,\n"
    "besides its line on standard error; the exit status tells what kind it was.\n";

void cli_help_man(void)
{
    (void)printf(
        ".\\\" Made by: ciphony help --man\n.Dd November 21, 2026\n.Dt CIPHONY 1\n.Os\n.Sh "
        "NAME\n.Nm ciphony\n.Nd %s\n"
        ".Sh SYNOPSIS\n.Nm\n.Ar verb\n.Op Ar option ...\n.Op Ar argument ...\n.Sh DESCRIPTION\n"
        ".Nm\nmakes a call secure between exactly the two parties that should have it, and says "
        "what\n"
        "that security is worth.\n.Sh VERBS\n",
        about);
    for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
        (void)printf(".Ss %s", (*v)->name);
        if ((*v)->args[0])
            (void)printf(" %s", (*v)->args);
        (void)printf("\n");
        man_text((*v)->more);
        man_options(*v, (*v)->opts);
    }
    (void)printf(".Sh OPTIONS OF EVERY VERB\n");
    man_options(NULL, common);
    (void)printf("%s.Sh EXIT STATUS\n.Bl -tag -width Ds\n", files_and_config);
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++) {
        (void)printf(".It %d\n", (int)exits[i].status);
        man_sentence(exits[i].means);
    }
    (void)printf(".El\n");
}
