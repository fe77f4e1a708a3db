/*
 * Options that would silently do nothing, because of what stands beside them or is missing: one row
 * each, with words that say what to do. A row has an example of itself, which the tests run.
 */
#include "conflicts.h"

#include <string.h>

#include "ciphony/keying.h"

static bool given(const struct cli_choice *c, enum cli_opt opt)
{
    return cli_given(c->args, opt);
}

static enum cph_security media(const struct cli_choice *c)
{
    return c->policy ? cph_policy_media(c->policy) : CPH_SECURITY_REQUIRED;
}

static bool lists(const struct cli_choice *c, const char *keying)
{
    for (unsigned i = 0; c->policy && i < c->policy->keying_n; i++)
        if (strcmp(c->policy->keying[i], keying) == 0)
            return true;
    return false;
}

/* Of the default list, the first row that has no needs beyond the device's certificate. */
static const struct cph_keying_method *first(const struct cli_choice *c)
{
    if (!c->policy || c->policy->keying_n == 0)
        return cph_keying_methods[0];
    return cph_keying_method_by_name(cph_span_of(c->policy->keying[0]));
}

static bool probes(const struct cli_choice *c)
{
    return given(c, CLI_OPT_EFFORT) && c->policy && c->policy->form == CPH_KEYING_FORM_PROBE;
}

/* ---- sound, servers, output ------------------------------------------------------------------ */

static bool loop_of_nothing(const struct cli_choice *c)
{
    return given(c, CLI_OPT_LOOP) && !c->play;
}

static bool device_unused(const struct cli_choice *c)
{
    const char *device = cli_value(c->args, CLI_OPT_DEVICE, 0);

    return device && strcmp(device, "none") != 0 && c->play && c->record;
}

static bool any_server(const struct cli_choice *c)
{
    return given(c, CLI_OPT_CA) && given(c, CLI_OPT_INSECURE_TLS);
}

static bool two_outputs(const struct cli_choice *c)
{
    return given(c, CLI_OPT_JSON) && given(c, CLI_OPT_PEM);
}

static bool replaces_nothing(const struct cli_choice *c)
{
    return given(c, CLI_OPT_REPLACE) &&
           (strcmp(c->args->pos[0], "list") == 0 || strcmp(c->args->pos[0], "remove") == 0);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool keying_of_none(const struct cli_choice *c)
{
    return c->calls && given(c, CLI_OPT_KEYING) && media(c) == CPH_SECURITY_NONE;
}

static bool form_without_prefer(const struct cli_choice *c)
{
    return given(c, CLI_OPT_EFFORT) && media(c) != CPH_SECURITY_PREFER;
}

static bool probe_without_zrtp(const struct cli_choice *c)
{
    return probes(c) && !lists(c, "zrtp");
}

static bool probe_with_others(const struct cli_choice *c)
{
    return probes(c) && (given(c, CLI_OPT_EKT) || given(c, CLI_OPT_RESUME));
}

static bool sealed_bodies(const struct cli_choice *c)
{
    return given(c, CLI_OPT_EFFORT) && given(c, CLI_OPT_SMIME) &&
           c->policy->form == CPH_KEYING_FORM_BODIES;
}

static bool waits_for_nothing(const struct cli_choice *c)
{
    return given(c, CLI_OPT_PRECONDITION) && c->policy->precondition != CPH_PRECONDITION_OFF &&
           media(c) == CPH_SECURITY_NONE;
}

static bool ekt_of_none(const struct cli_choice *c)
{
    return given(c, CLI_OPT_EKT) && media(c) == CPH_SECURITY_NONE;
}

/* Who takes the first of the list has no EKT then. */
static bool ekt_second(const struct cli_choice *c)
{
    const struct cph_keying_method *m = first(c);

    return given(c, CLI_OPT_EKT) && m && !m->ekt;
}

static bool resume_of_none(const struct cli_choice *c)
{
    return given(c, CLI_OPT_RESUME) && media(c) == CPH_SECURITY_NONE;
}

static bool resume_without_dtls(const struct cli_choice *c)
{
    return given(c, CLI_OPT_RESUME) && c->policy->keying_n > 0 && !lists(c, "dtls");
}

static bool pgp_without_zrtp(const struct cli_choice *c)
{
    return given(c, CLI_OPT_PGP) && !lists(c, "zrtp");
}

/* The order is that of telling: what is wrong with a policy before what is wrong with a list. */
const struct cli_conflict cli_conflicts[] = {
    { loop_of_nothing, "call sip:bob@127.0.0.1:9 --loop",
      "--loop speaks a file again and again; name it with --play FILE" },
    { device_unused, "call sip:bob@127.0.0.1:9 --device hw:7 --play a.wav --record b.wav",
      "--play and --record take the place of the sound device; leave --device out" },
    { any_server, "answer --ca /etc/ssl/certs --insecure-tls",
      "--insecure-tls accepts any server, so --ca has nothing to say; keep one" },
    { two_outputs, "id --json --pem", "--json and --pem ask for two outputs; keep one" },
    { replaces_nothing, "trust list --replace",
      "--replace goes with a certificate that is added: ciphony trust --replace URI FINGERPRINT" },
    { keying_of_none, "call sip:bob@127.0.0.1:9 --keying dtls --policy none",
      "policy none offers no keys, so --keying has nothing to say; leave it out, or say --policy "
      "prefer or required" },
    { form_without_prefer, "call sip:bob@127.0.0.1:9 --best-effort capneg",
      "--best-effort says how to ask under --policy prefer; add that, or leave it out" },
    { probe_without_zrtp, "call sip:bob@127.0.0.1:9 --best-effort probe --policy prefer",
      "--best-effort probe asks by ZRTP; add zrtp to --keying" },
    { probe_with_others,
      "call sip:bob@127.0.0.1:9 --best-effort probe --policy prefer --keying sdes,zrtp --ekt",
      "--best-effort probe asks by ZRTP alone, which has neither --ekt nor --resume; leave one "
      "out" },
    { sealed_bodies,
      "call sip:bob@127.0.0.1:9 --best-effort bodies --policy prefer --smime bob.pem",
      "--best-effort bodies has a description in clear beside the sealed one of --smime; leave one "
      "out" },
    { waits_for_nothing, "call sip:bob@127.0.0.1:9 --precondition optional --policy none",
      "--precondition waits for keys, and --policy none asks for none; leave one out" },
    { ekt_of_none, "call sip:bob@127.0.0.1:9 --ekt --policy none",
      "--ekt tells keys, and --policy none asks for none; leave one out" },
    { ekt_second, "call sip:bob@127.0.0.1:9 --ekt",
      "--ekt comes with sdes or mikey, and who has what stands before it takes that: say --keying "
      "sdes, name one of them first, or leave --ekt out" },
    { resume_of_none, "answer --resume --policy none",
      "--resume is for calls with keys, and --policy none asks for none; leave one out" },
    { resume_without_dtls, "answer --resume --keying sdes",
      "--resume is for dtls; add it to --keying, or leave --resume out" },
    { pgp_without_zrtp, "call sip:bob@127.0.0.1:9 --pgp bob.asc",
      "--pgp is for the string of ZRTP; add zrtp to --keying, or leave --pgp out" },
    { 0 },
};

const char *cli_conflict(const struct cli_choice *c)
{
    for (const struct cli_conflict *row = cli_conflicts; row->words; row++)
        if (row->holds(c))
            return row->words;
    return NULL;
}
