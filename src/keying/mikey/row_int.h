/* An instance of the row "mikey": mikey.c's, and read by the search of memory for keys. */
#ifndef CPH_MIKEY_ROW_INT_H
#define CPH_MIKEY_ROW_INT_H

#include "mikey_int.h"

enum {
    MIKEY_SUITES_MAX = 8,
    MIKEY_ERROR_MAX = 512, /* bytes of an Error message with all policies */
};

struct mikey {
    struct cph_keying base;
    struct cph_keying_cfg cfg;
    struct cph_mikey *m;
    const struct cph_srtp_suite *suite[MIKEY_SUITES_MAX + 1];
    bool open;  /* our offer may be answered */
    bool first; /* and it was the first exchange */
    bool keyed, renew;
    bool shares;     /* we keep the bundle that other lines of the description look for */
    bool key_shared; /* forked: other answerers have our keys too */
    unsigned line;   /* which pair of crypto sessions of the bundle is ours */
    uint32_t ssrc, roc;
    struct mikey_offer offer;
    struct mikey_csb csb;
    struct cph_keying_status status;
    int error_sent, error_got;
    size_t error_n;
    uint8_t error[MIKEY_ERROR_MAX]; /* for what was refused last, error_n bytes */
    struct mikey_repeat *last;      /* what was answered last, or NULL */
};

/* tell.c */
CPH_MUST_CHECK cph_err mikey_keys(const struct cph_keying *base,
                                  enum cph_keying_component component, enum cph_keying_dir dir,
                                  unsigned i, struct cph_srtp_policy *out);
CPH_MUST_CHECK cph_err mikey_ekt(const struct cph_keying *base, struct cph_ekt_params *out);
unsigned mikey_hints(const struct cph_keying *base, struct cph_keying_hint *out, unsigned cap);
void mikey_evidence(const struct cph_keying *base, struct cph_keying_evidence *out);
void mikey_stream(struct cph_keying *base, uint32_t ssrc, uint32_t roc);

/* repeat.c: the same message once more */
CPH_MUST_CHECK cph_err mikey_repeat_new(struct cph_span offer, bool session,
                                        const struct mikey_text *answer, struct mikey_repeat **out);
/** answered: another line has put the answer into the description. CPH_E_NOTFOUND: it is no repeat.
 */
CPH_MUST_CHECK cph_err mikey_repeat_answer(const struct mikey *k, struct cph_span offer,
                                           bool session, bool answered,
                                           const struct cph_keying_local *answer);
void mikey_repeat_forget(struct mikey *k);

#endif
