#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ciphony/keying.h"
#include "conflicts.h"
#include "terminal.h"

/* What the verbs that run a terminal need besides their options, for as long as it runs. */
struct outfit {
    struct cli_config config;
    struct cli_call_opts opts;
    struct cph_secret password;
    struct cph_phone_account account;
    struct cph_phone_caller caller[CLI_CALLERS_MAX];
    struct cph_secret caller_password[CLI_CALLERS_MAX];
    struct cli_terminal_options terminal;
};

static void wipe(struct outfit *f)
{
    cph_wipe(f, sizeof *f);
}

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* The account of the configuration, or, when there is none, one that just calls. */
static cph_err fill_account(enum cli_terminal_mode mode, struct outfit *f, char why[CLI_WHY])
{
    const struct cli_account *a = cli_config_account(&f->config, f->opts.account);
    cph_err err;

    if (f->opts.account && !a) {
        (void)snprintf(why, CLI_WHY,
                       "there is no account '%.200s' in the configuration; see: ciphony config",
                       f->opts.account);
        return CPH_E_ARGUMENT;
    }
    if (mode == CLI_REGISTER && (!a || !a->registrar[0])) {
        (void)snprintf(why, CLI_WHY,
                       "cannot register: %s%s; write uri and registrar into an [account NAME] of "
                       "the configuration",
                       a ? "there is no registrar in account " : "there is no account",
                       a ? a->name : "");
        return CPH_E_CONFIG;
    }
    f->account = (struct cph_phone_account){ .name = "", .policy = f->config.policy };
    if (!a)
        return CPH_OK;
    f->account.aor = a->uri;
    f->account.registrar = or_null(a->registrar);
    f->account.route = or_null(a->proxy);
    f->account.user = or_null(a->user);
    f->account.policy = cph_policy_choose(&f->config.policy, &a->policy);
    f->terminal.has_registrar = f->account.registrar != NULL;
    err = cli_account_password(a, &f->password, why);
    if (err == CPH_OK)
        f->account.password = &f->password;
    return err == CPH_E_NOTFOUND ? CPH_OK : err;
}

/* Who may call by proving a password. */
static cph_err fill_callers(struct outfit *f, char why[CLI_WHY])
{
    for (size_t i = 0; i < f->config.n_callers; i++) {
        CPH_TRY(cli_account_password(&f->config.caller[i], &f->caller_password[i], why));
        f->caller[i].user = f->config.caller[i].name;
        f->caller[i].password = &f->caller_password[i];
    }
    f->terminal.caller = f->caller;
    f->terminal.n_callers = (unsigned)f->config.n_callers;
    return CPH_OK;
}

static cph_err fill(struct cli *cli, enum cli_terminal_mode mode, struct outfit *f,
                    char why[CLI_WHY])
{
    const struct cli_args *args = &cli->args;
    struct cli_terminal_options *t = &f->terminal;

    CPH_TRY(cli_config_load(cli_value(args, CLI_OPT_CONFIG, 0), &f->config, why));
    CPH_TRY(cli_call_opts(args, &f->opts, why));
    t->mode = mode;
    CPH_TRY(fill_account(mode, f, why));
    CPH_TRY(fill_callers(f, why));
    f->account.policy = cph_policy_choose(&f->account.policy, &f->opts.policy);
    t->account = &f->account;
    t->peer = f->config.peer;
    t->n_peers = f->config.n_peers;
    t->policy = &f->opts.policy;
    t->uri = mode == CLI_CALL ? args->pos[0] : NULL;
    t->listen = f->opts.n_listen ? f->opts.listen : f->config.listen;
    t->n_listen = f->opts.n_listen ? f->opts.n_listen : f->config.n_listen;
    t->store = cli_value(args, CLI_OPT_STORE, 0);
    t->play = f->opts.play ? f->opts.play : or_null(f->config.play);
    t->record = f->opts.record ? f->opts.record : or_null(f->config.record);
    t->loop = cli_given(args, CLI_OPT_LOOP);
    t->device = cli_value(args, CLI_OPT_DEVICE, 0);
    t->ca = cli_value(args, CLI_OPT_CA, 0);
    t->insecure_tls = cli_given(args, CLI_OPT_INSECURE_TLS);
    t->resume = f->config.resume || cli_given(args, CLI_OPT_RESUME);
    t->ekt = f->config.ekt || cli_given(args, CLI_OPT_EKT);
    t->cryptex = !f->config.no_cryptex && !cli_given(args, CLI_OPT_NO_CRYPTEX);
    while (t->n_smime < sizeof t->smime / sizeof *t->smime &&
           (t->smime[t->n_smime] = cli_value(args, CLI_OPT_SMIME, t->n_smime)) != NULL)
        t->n_smime++;
    f->account.policy.smime |= t->n_smime > 0;
    t->smime_own = f->config.smime_own;
    while (t->n_pgp < sizeof t->pgp / sizeof *t->pgp &&
           (t->pgp[t->n_pgp] = cli_value(args, CLI_OPT_PGP, t->n_pgp)) != NULL)
        t->n_pgp++;
    t->limit = f->opts.for_us;
    t->report = (struct cli_report){ .out = stdout, .json = f->opts.json, .tty = isatty(1) == 1 };
    return CPH_OK;
}

/* What has no final text is spoken by nobody else. */
static void tell_expired(const struct cph_policy *p)
{
    for (unsigned i = 0; i < p->keying_n; i++) {
        const struct cph_keying_method *m = cph_keying_method_by_name(cph_span_of(p->keying[i]));

        if (m && m->expired)
            cli_notice("%s expired without a final text: for experiments, no other program has it",
                       m->name);
    }
}

static enum cli_exit run(struct cli *cli, enum cli_terminal_mode mode)
{
    __attribute__((cleanup(wipe))) struct outfit f = { 0 };
    char why[CLI_WHY] = "";
    cph_err err = fill(cli, mode, &f, why);
    const struct cli_choice choice = { .args = &cli->args,
                                       .policy = &f.account.policy,
                                       .calls = mode == CLI_CALL,
                                       .play = f.terminal.play,
                                       .record = f.terminal.record };
    const char *mistake = err == CPH_OK ? cli_conflict(&choice) : NULL;

    if (err != CPH_OK || mistake) {
        cli_error("%s", mistake ? mistake : why[0] ? why : cph_err_text(err));
        return CLI_USAGE;
    }
    tell_expired(&f.account.policy);
    return cli_terminal_run(cli, &f.terminal);
}

static enum cli_exit run_call(struct cli *cli)
{
    return run(cli, CLI_CALL);
}

static enum cli_exit run_answer(struct cli *cli)
{
    return run(cli, CLI_ANSWER);
}

static enum cli_exit run_register(struct cli *cli)
{
    return run(cli, CLI_REGISTER);
}

static const enum cli_opt call_opts[] = {
    CLI_OPT_CONFIG, CLI_OPT_ACCOUNT,      CLI_OPT_LISTEN, CLI_OPT_PLAY,   CLI_OPT_LOOP,
    CLI_OPT_RECORD, CLI_OPT_DEVICE,       CLI_OPT_KEYING, CLI_OPT_POLICY, CLI_OPT_FOR,
    CLI_OPT_CA,     CLI_OPT_INSECURE_TLS, CLI_OPT_JSON,   CLI_OPT_EKT,    CLI_OPT_NO_CRYPTEX,
    CLI_OPT_EFFORT, CLI_OPT_PRECONDITION, CLI_OPT_RESUME, CLI_OPT_SMIME,  CLI_OPT_PGP,
    CLI_OPT_END,
};

static const enum cli_opt register_opts[] = {
    CLI_OPT_CONFIG, CLI_OPT_ACCOUNT,      CLI_OPT_LISTEN, CLI_OPT_FOR,
    CLI_OPT_CA,     CLI_OPT_INSECURE_TLS, CLI_OPT_JSON,   CLI_OPT_END,
};

const struct cli_verb cli_verb_call = {
    .name = "call",
    .args = "URI",
    .line = "call somebody, and say what the call's security is worth",
    .more = "Call URI, for example sip:bob@example.org or sips:bob@192.0.2.1:5061. During\n"
            "the call a panel shows the peer, the level of security and why, the codec,\n"
            "loss, jitter and both sound levels.\n"
            "\n"
            "Keys: q hangs up, m mutes, h holds and resumes, k makes new keys, 0-9 * # send\n"
            "tones, t takes another key at once in a call with --ekt.\n"
            "\n"
            "--keying says which key managements are offered and taken: some of dtls, zrtp,\n"
            "mikey and sdes, best first, with commas between, or a name for several. best: keys\n"
            "that are made on the media path and forgotten with the call come first (dtls,\n"
            "zrtp), then the rest; secure or no call, and with need in the configuration no call\n"
            "with a peer that is not proven as demanded. compatible: what most phones have\n"
            "(dtls, sdes), and in clear if the peer has neither. legacy: one alone (sdes) for\n"
            "old phones, and in clear if need be. --policy says otherwise what is done about a\n"
            "peer without keys. A peer that refuses to leave encryption open (488) is called\n"
            "once more with encryption as a condition. Without --keying: dtls,sdes. For "
            "experiments there are sdp-dh,\n"
            "mikeyv2 and mikeyv2-inband too, which expired without a final text: no other\n"
            "program has them, and they are spoken only where they are named.\n"
            "\n"
            "--best-effort says how an offer under --policy prefer asks for keys. osrtp: keys\n"
            "under RTP/AVP (RFC 8643). attribute: the same with a=encryption:optional. capneg:\n"
            "plain RTP and potential configurations (RFC 5939). group: two media lines, one of\n"
            "which is to be taken. bodies: two descriptions in a multipart/alternative, and one\n"
            "if the peer takes no two. probe: plain RTP, and ZRTP asks on the media path.\n"
            "Calls in any of these forms are understood, whatever is set.\n"
            "\n"
            "--precondition (RFC 5027): the phone called rings only when both sides have keys,\n"
            "so that nothing of the first words is lost. optional: where the peer knows it;\n"
            "mandatory: who does not know it refuses the call. An answering phone waits so for\n"
            "its caller with either word.\n"
            "\n"
            "With --keying zrtp the two ends agree on keys without anybody's help, and the\n"
            "panel shows a short string. Read it to each other: y if both have the same one,\n"
            "n if not, which ends the call, for somebody is in between. What was compared\n"
            "once is verified in later calls too. ZRTP is spoken only where it is named.\n"
            "e lets an exchange that asks for it be in the middle of your calls, once its\n"
            "string was compared. Under --policy prefer c takes a call back to RTP if the peer\n"
            "allows it, or agrees when the peer did that, and s asks for keys again; under\n"
            "required the keys stay, and a peer that wants to drop them ends the call.\n"
            "--pgp is the peer's OpenPGP key, as gpg --export writes it: a string that it signed\n"
            "needs no comparison, if a User ID of that key names the peer's address. Nothing is\n"
            "fetched from key servers; this phone signs with its device's certificate.\n"
            "\n"
            "With --keying mikey (RFC 3830) the keys are agreed on in the signalling, by default\n"
            "by Diffie-Hellman signed with the device's certificate; a [peer NAME] of the\n"
            "configuration says what was agreed on with that peer instead: a shared secret\n"
            "(psk, dhhmac) or certificates (rsa, rsa-r, dhsign, ecmqv).\n"
            "With --smime the keys go sealed to the peer's certificate (its ciphony id --pem)\n"
            "and must come so: no server can read or change them. smime = yes in a [peer NAME]\n"
            "of the configuration does the same for that peer, with its certificate there.\n"
            "\n"
            "With --ekt (RFC 8870; with --keying sdes or mikey) each side makes its media keys\n"
            "itself and tells them in the media, under a key that came with the offer; both\n"
            "sides need it. That key is one of a group: who has it could speak for anybody in\n"
            "it, so such a call is hop at best. RTP header extensions are encrypted where the\n"
            "peer can do that, too (RFC 9335), but with --no-cryptex.\n"
            "\n"
            "With --resume a further DTLS call with the same peer, within ten minutes and while\n"
            "this program runs, needs no public-key operation and one round trip less. The\n"
            "price: for so long somebody who gets into either device can read what was said,\n"
            "and an onlooker can tell that the same two talk again.\n"
            "\n"
            "With --for the call is ended so long after it was answered.\n"
            "\n"
            "Exit status: 0 call made and policy kept, 1 call failed, 2 usage, 3 security\n"
            "policy not met.",
    .opts = call_opts,
    .min_pos = 1,
    .max_pos = 1,
    .run = run_call,
};

const struct cli_verb cli_verb_answer = {
    .name = "answer",
    .args = "",
    .line = "wait for a call and take it",
    .more = "Wait for one call, take it, and end with it. An account that has a registrar\n"
            "is registered meanwhile. An offer that the policy forbids is refused and never\n"
            "rings, and with challenge = yes in the configuration neither does a caller that\n"
            "proves no password of a [caller NAME].\n"
            "\n"
            "With --for the waiting ends after that time, and a call so long after it was\n"
            "answered.\n"
            "\n"
            "Exit status and keys as with call.",
    .opts = call_opts,
    .run = run_answer,
};

const struct cli_verb cli_verb_register = {
    .name = "register",
    .args = "",
    .line = "register an account and keep it registered",
    .more = "Register the account at its registrar, renew the registration before it ends,\n"
            "and remove it at the end (q, Ctrl-C, or --for).",
    .opts = register_opts,
    .run = run_register,
};
