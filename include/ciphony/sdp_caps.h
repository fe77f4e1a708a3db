/* Ciphony: capability negotiation: several configurations of an m= line in one description. RFC
 * 5939. */
#ifndef CPH_SDP_CAPS_H
#define CPH_SDP_CAPS_H

#include "ciphony/sdp.h"

enum {
    CPH_SDP_CAPS_REFS = 16,    /* attributes that one configuration adds */
    CPH_SDP_CAPS_ALTS = 8,     /* alternatives with | in one list */
    CPH_SDP_CAPS_CONFIGS = 24, /* configurations of one m= line that are looked at */
    CPH_SDP_CAPS_PCFGS = 16,   /* a=pcfg lines of one m= line that are looked at */
};

/* a=acap:<number> <attribute>  RFC 5939 3.4.1 */
struct cph_sdp_acap {
    uint32_t number;
    struct cph_span attr; /* "crypto:1 AES_..."; may hold keys */
    struct cph_span name; /* "crypto" */
};
/** CPH_E_MALFORMED, also for a capability of capability negotiation itself. Views of arg. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_acap_parse(struct cph_span arg, struct cph_sdp_acap *out);

/* a=tcap:<number> <proto> ...: the first has that number, the next one more  RFC 5939 3.4.2 */
struct cph_sdp_tcap {
    uint32_t number;
    struct cph_span protos; /* words between blanks */
    unsigned n;
};
/** CPH_E_MALFORMED, also for none, or for numbers that would pass 2^31-1. A view of arg. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_tcap_parse(struct cph_span arg, struct cph_sdp_tcap *out);

/* Attribute capabilities of one alternative: the mandatory ones first. */
struct cph_sdp_caps_refs {
    uint32_t number[CPH_SDP_CAPS_REFS];
    unsigned n, mandatory;
};

/* a=pcfg:<number> [a=[-m|-s|-ms:]1,2,[3]|4] [t=1|2] [[+]name=...]  RFC 5939 3.5.1 */
struct cph_sdp_pcfg {
    uint32_t number;
    bool delete_media, delete_session;
    bool foreign; /* has an extension that must be known, and is not */
    struct cph_sdp_caps_refs attrs[CPH_SDP_CAPS_ALTS]; /* best first */
    unsigned n_attrs;                                  /* 0: no list */
    uint32_t transport[CPH_SDP_CAPS_ALTS];
    unsigned n_transports;
};
/** CPH_E_MALFORMED; CPH_E_LIMIT over a limit above. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_pcfg_parse(struct cph_span arg, struct cph_sdp_pcfg *out);

/* One configuration, all alternatives chosen. */
struct cph_sdp_config {
    uint32_t number;    /* of its pcfg */
    uint32_t transport; /* number of the capability; 0: the m= line's own */
    struct cph_span proto;
    bool delete_media, delete_session;
    bool has_attrs;
    struct cph_sdp_caps_refs attrs;
};

/** What a=acfg says: a configuration whose proto is not filled in. Alternatives, which it should
 * not have, are put together. RFC 5939 3.5.2 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_acfg_parse(struct cph_span arg, struct cph_sdp_config *out);

struct cph_sdp_configs {
    struct cph_sdp_config config[CPH_SDP_CAPS_CONFIGS]; /* the offerer's favourite first */
    unsigned n;
    /* RFC 5939 3.6.2: an extension is required that we lack; n is 0, and the answer has a=csup in
     * the section, or the session. */
    bool lacking_media, lacking_session;
};

/**
 * The potential configurations of an m= line that are valid by themselves: numbers that occur
 * once, references that lead somewhere, attributes that may stand where they would, and mandatory
 * ones of a name we know. What is not valid, and what is over a limit, is passed over.
 */
CPH_API void cph_sdp_configs_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                                struct cph_sdp_configs *out);

/**
 * The description as it would be with this configuration in m= line index: a copy in arena, without
 * any capability negotiation, with the added attributes ahead of those that were there.
 * CPH_E_NOMEM, CPH_E_LIMIT, CPH_E_MALFORMED. RFC 5939 3.6.2.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_config_apply(struct cph_arena *arena,
                                                    const struct cph_sdp *sdp, unsigned index,
                                                    const struct cph_sdp_config *config,
                                                    struct cph_sdp **out);

/** Into an answer: which configuration it answers. RFC 5939 3.5.2. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_acfg_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                                const struct cph_sdp_config *config);

/* ---- writing an offer ------------------------------------------------------------------------ */

/**
 * Add to an m= line a configuration of its own transport with the attributes that section `with`
 * has and `media` has not (with: a section of a copy of sdp). Those named in optional (NULL-ended)
 * are marked so; of several a=crypto or a=key-mgmt each is an alternative. *out: attrs has first
 * the common ones (mandatory), then alternatives, then optional ones. CPH_E_LIMIT, CPH_E_NOMEM. RFC
 * 5939 3.6.1.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_config_offer(struct cph_sdp *sdp,
                                                    struct cph_sdp_media *media,
                                                    const struct cph_sdp_media *with,
                                                    const char *const *optional,
                                                    struct cph_sdp_config *out);

/** Does the answer's section fit the offer's but for the transport, which one of the offer's
 * configurations has? */
CPH_API bool cph_sdp_config_answered(const struct cph_sdp *offer,
                                     const struct cph_sdp_media *offered,
                                     const struct cph_sdp_media *answered);

#endif
