#include "cli_int.h"

#include <stdio.h>
#include <stdlib.h>

static void print_policy(const struct cph_policy *p)
{
    if (p->media != CPH_SECURITY_UNSET)
        (void)printf(", policy %s", cph_security_name(p->media));
    if (p->need != CPH_LEVEL_OPEN)
        (void)printf(", needs %s", cph_level_name(p->need));
    if (p->challenge)
        (void)printf(", callers prove %s",
                     p->cover_body ? "a password over the keys" : "a password");
    for (unsigned i = 0; i < p->keying_n; i++)
        (void)printf("%s%s", i ? "," : ", keying ", p->keying[i]);
    if (p->form != CPH_KEYING_FORM_DEFAULT)
        (void)printf(", best effort by %s", cph_keying_form_name(p->form));
    if (p->smime)
        (void)printf(", sealed (S/MIME)");
    if (p->precondition != CPH_PRECONDITION_OFF)
        (void)printf(", rings with keys: %s", cph_precondition_name(p->precondition));
}

static const char *password_of(const struct cli_account *a)
{
    return a->password.n > 0        ? "in this file"
           : a->password_file[0]    ? "from a file"
           : a->password_command[0] ? "from a command"
                                    : "none";
}

static void print(const struct cli_config *c)
{
    char addr[CPH_ADDR_TEXT];

    (void)printf("defaults");
    print_policy(&c->policy);
    (void)printf("%s%s%s", c->ekt ? ", keys told in the media (EKT)" : "",
                 c->no_cryptex ? ", RTP headers in clear" : "",
                 c->resume ? ", keys used again" : "");
    if (c->smime_own[0])
        (void)printf(", a key of ours for S/MIME");
    for (size_t i = 0; i < c->n_listen; i++)
        (void)printf(", listens on %s:%s", cli_proto_name(c->listen[i].proto),
                     cph_addr_text(&c->listen[i].addr, addr));
    (void)printf("\n");
    for (size_t i = 0; i < c->n_accounts; i++) {
        const struct cli_account *a = &c->account[i];
        char uri[CLI_URI_MAX];

        (void)printf("account %s%s: %s, password %s", a->name,
                     a == cli_config_account(c, NULL) ? " (default)" : "",
                     cli_clean(cph_span_of(a->uri), uri, sizeof uri), password_of(a));
        print_policy(&a->policy);
        (void)printf("\n");
    }
}

static void print_callers(const struct cli_config *c)
{
    for (size_t i = 0; i < c->n_callers; i++)
        (void)printf("caller %s: password %s\n", c->caller[i].name, password_of(&c->caller[i]));
}

static void print_peers(const struct cli_config *c)
{
    for (size_t i = 0; i < c->n_peers; i++) {
        const struct cli_peer *p = &c->peer[i];
        char uri[CLI_URI_MAX];

        (void)printf("peer %s: %s%s%s%s%s%s%s%s%s\n", p->who.name,
                     cli_clean(cph_span_of(p->who.uri), uri, sizeof uri),
                     p->has_mode ? ", mikey " : "", p->has_mode ? cph_mikey_mode_name(p->mode) : "",
                     p->has_mode ? ", secret " : "", p->has_mode ? password_of(&p->who) : "",
                     p->smime ? ", sealed (S/MIME)" : "",
                     p->certificate[0] ? ", its certificate" : "",
                     p->authority[0] ? ", authorities" : "", p->own[0] ? ", a key of ours" : "");
    }
}

static enum cli_exit run_config(struct cli *cli)
{
    struct cli_config *c = calloc(1, sizeof *c);
    char why[CLI_WHY];
    cph_err err = CPH_E_NOMEM;

    if (c)
        err = cli_config_load(cli_value(&cli->args, CLI_OPT_CONFIG, 0), c, why);
    if (err)
        cli_error("%s", c ? why : cph_err_text(err));
    else
        print(c), print_callers(c), print_peers(c);
    cph_free_secret(c, sizeof *c);
    return err ? CLI_USAGE : CLI_OK;
}

static const enum cli_opt config_opts[] = { CLI_OPT_CONFIG, CLI_OPT_END };

const struct cli_verb cli_verb_config = {
    .name = "config",
    .args = "",
    .line = "check the configuration and show what it says",
    .more = "Read the configuration file and show the defaults, accounts, callers and peers in\n"
            "it, without passwords. A mistake is shown with its line.",
    .opts = config_opts,
    .run = run_config,
};
