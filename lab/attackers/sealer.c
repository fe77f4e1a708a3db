#include "sealer.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/identity_smime.h"

enum { OFFERS, ANSWERS, SIDES };

struct lab_sealer {
    struct cph_smime *as[SIDES];     /* what he is towards each */
    char heard[SIDES][CPH_SMIME_ID]; /* the body each sent last, which his may answer */
    char told[SIDES][CPH_SMIME_ID];  /* and his own, which they may */
    struct cph_smime_opened opened;
};

static enum lab_person victim(unsigned side)
{
    return side == OFFERS ? LAB_ALICE : LAB_BOB;
}

cph_err lab_sealer_new(const struct cph_env *env, const enum lab_person keys[2],
                       struct lab_sealer **out)
{
    struct lab_sealer *s = calloc(1, sizeof *s);
    cph_err err = s ? CPH_OK : CPH_E_NOMEM;

    for (unsigned i = 0; i < SIDES && err == CPH_OK; i++) {
        struct cph_smime_cfg cfg = { .env = env,
                                     .key = lab_rsa_key(keys[i]),
                                     .cert = lab_rsa_cert(keys[i], true),
                                     .trust = lab_authority() };

        err = cph_smime_new(&cfg, &s->as[i]);
    }
    if (err != CPH_OK) {
        lab_sealer_free(s);
        return err;
    }
    *out = s;
    return CPH_OK;
}

void lab_sealer_free(struct lab_sealer *s)
{
    if (!s)
        return;
    cph_smime_free(s->as[OFFERS]);
    cph_smime_free(s->as[ANSWERS]);
    cph_smime_opened_wipe(&s->opened);
    free(s);
}

static struct cph_span type_of(const struct cph_sip_msg *msg)
{
    const struct cph_sip_header *h = cph_sip_find(msg, CPH_SIP_H_CONTENT_TYPE);

    return h ? h->value : (struct cph_span){ 0 };
}

bool lab_sealer_is(const struct cph_sip_msg *msg)
{
    return cph_smime_is(type_of(msg));
}

cph_err lab_sealer_open(struct lab_sealer *s, unsigned from, const struct cph_sip_msg *msg,
                        struct cph_span *sdp)
{
    /* Who signed it he knows: nobody else could have. */
    struct cph_smime_from who = { .cert = lab_rsa_cert(victim(from), true),
                                  .answers = from == ANSWERS ? s->told[ANSWERS] : NULL,
                                  .again = s->heard[from] };

    cph_smime_opened_wipe(&s->opened);
    CPH_TRY(cph_smime_open(s->as[from], &who, type_of(msg), msg->body, &s->opened));
    memcpy(s->heard[from], s->opened.id, CPH_SMIME_ID);
    *sdp = s->opened.body;
    return CPH_OK;
}

cph_err lab_sealer_close(struct lab_sealer *s, unsigned to, struct cph_span sdp, struct cph_wr *out)
{
    /* What he could not open he cannot name either, and then he makes up a name. */
    const char *answers = s->heard[OFFERS][0] ? s->heard[OFFERS] : "0123456789abcdef";
    char type[CPH_SMIME_TYPE];

    return cph_smime_seal(s->as[to], lab_rsa_cert(victim(to), true),
                          CPH_SPAN_LIT("application/sdp"), sdp, to == OFFERS ? answers : NULL, type,
                          s->told[to], out);
}
