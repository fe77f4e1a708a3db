#include "keying_int.h"

#include "ciphony/base_text.h"

/*
 * Policies with a name. What has no final text (cph_keying_method.expired) is in none of them, and
 * neither are SHA-1 and groups under 2048 bits: those are for the mechanisms' own configuration.
 */
const struct cph_keying_preset cph_keying_presets[] = {
    {
        /* Keys made on the media path are forgotten with the call; MIKEY's Diffie-Hellman modes
         * are too; those that travel in the signalling come last. */
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
