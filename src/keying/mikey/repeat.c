/*
 * The message that was answered last, come again: RFC 5027 3 has an offer repeat the key management
 * of the one before, and that is no replay. It gets the same answer, and no key moves. Only that
 * one message, only by the instance that answered it, and only while its keys are in force.
 */
#include "row_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/crypto_cipher.h"

struct mikey_repeat {
    uint8_t offer[MIKEY_HASH];
    bool session; /* it stood at session level */
    size_t n;     /* 0: another line of the description wrote the answer */
    uint8_t answer[];
};

void mikey_repeat_forget(struct mikey *k)
{
    if (k->last)
        cph_free_secret(k->last, sizeof *k->last + k->last->n);
    k->last = NULL;
}

cph_err mikey_repeat_new(struct cph_span offer, bool session, const struct mikey_text *answer,
                         struct mikey_repeat **out)
{
    struct mikey_repeat *r = calloc(1, sizeof *r + answer->n);
    cph_err err = r ? cph_digest(CPH_DIGEST_SHA256, offer, r->offer) : CPH_E_NOMEM;

    if (err != CPH_OK) {
        free(r);
        return err;
    }
    r->session = session;
    r->n = answer->n;
    memcpy(r->answer, answer->b, answer->n);
    *out = r;
    return CPH_OK;
}

cph_err mikey_repeat_answer(const struct mikey *k, struct cph_span offer, bool session,
                            bool answered, const struct cph_keying_local *answer)
{
    uint8_t hash[MIKEY_HASH];
    struct mikey_text *text;
    cph_err err;

    if (!k->last || k->last->session != session)
        return CPH_E_NOTFOUND;
    CPH_TRY(cph_digest(CPH_DIGEST_SHA256, offer, hash));
    if (memcmp(hash, k->last->offer, sizeof hash) != 0) /* of messages everybody sees: public */
        return CPH_E_NOTFOUND;
    if (session && answered)
        return CPH_OK;
    if (k->last->n == 0)
        return CPH_E_NOTFOUND;
    text = calloc(1, sizeof *text);
    if (!text)
        return CPH_E_NOMEM;
    text->n = k->last->n;
    memcpy(text->b, k->last->answer, text->n);
    err = mikey_encode(answer->sdp, session ? NULL : answer->media, text);
    cph_free_secret(text, sizeof *text);
    return err;
}
