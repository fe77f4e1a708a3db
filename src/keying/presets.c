#include "keying_int.h"

#include "ciphony/base_text.h"

/*
 * Policies with a name. What has no final text (cph_keying_method.expired) is in none of them, and
 * neither are SHA-1 and groups under 2048 bits: those are for the mechanisms' own configuration.
 */
const struct cph_keying_preset cph_keying_presets[] = {
    {
        /* Keys made on the media path are forgotten with the call; MIKEY's Diffie-Hellman modes
         * are too, but an offer of them costs two public-key operations, so they are only answered
         * (cph_nego_cfg.free_offers); those that travel in the signalling come last. */
        .name = "best",
        .about = "made on the media path and forgotten with the call first, then the rest; "
                 "secure or no call, and no call with a peer that is not proven as demanded",
        .row = { "dtls", "zrtp", "mikey", "sdes" },
        .policy = CPH_KEYING_REQUIRED,
    },
    {
        /* Two that most peers have one of; a third in the offer helps nobody. */
        .name = "compatible",
        .about = "what most phones have: secure if the peer can, else in clear, and it is told",
        .row = { "dtls", "sdes" },
        .policy = CPH_KEYING_PREFER,
    },
    {
        /* One keying, as old phones expect it: some stumble over a second. */
        .name = "legacy",
        .about = "for old phones: keys in the signalling alone, else in clear, and it is told",
        .row = { "sdes" },
        .policy = CPH_KEYING_PREFER,
    },
    { .name = NULL },
};

const struct cph_keying_preset *cph_keying_preset_by_name(struct cph_span name)
{
    for (const struct cph_keying_preset *p = cph_keying_presets; p->name; p++)
        if (cph_span_is(name, p->name))
            return p;
    return NULL;
}

static const char *const form_name[] = {
    [CPH_KEYING_FORM_DEFAULT] = "osrtp",       [CPH_KEYING_FORM_OSRTP] = "osrtp",
    [CPH_KEYING_FORM_ATTRIBUTE] = "attribute", [CPH_KEYING_FORM_CAPNEG] = "capneg",
    [CPH_KEYING_FORM_GROUP] = "group",         [CPH_KEYING_FORM_BODIES] = "bodies",
    [CPH_KEYING_FORM_PROBE] = "probe",
};

const char *cph_keying_form_name(enum cph_keying_form form)
{
    return (size_t)form < sizeof form_name / sizeof *form_name ? form_name[form] : "";
}

cph_err cph_keying_form_parse(struct cph_span name, enum cph_keying_form *out)
{
    for (int f = CPH_KEYING_FORM_OSRTP; f <= CPH_KEYING_FORM_PROBE; f++)
        if (cph_span_is(name, form_name[f])) {
            *out = (enum cph_keying_form)f;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}
