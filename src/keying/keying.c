#include "keying_int.h"

#include "ciphony/base_text.h"

#define ROW(row) &(row),
const struct cph_keying_method *const cph_keying_methods[] = { KEYING_ROWS(ROW) NULL };
#undef ROW

/* Strength first; the short tag last, for peers that know nothing else. RFC 7714 14.2, 6188 4,
 * 4568 6.2 */
const char *const cph_keying_suites[] = {
    "AEAD_AES_256_GCM",        "AEAD_AES_128_GCM",        "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", NULL,
};

const struct cph_keying_method *cph_keying_method_by_name(struct cph_span name)
{
    for (size_t i = 0; cph_keying_methods[i]; i++)
        if (cph_span_is(name, cph_keying_methods[i]->name))
            return cph_keying_methods[i];
    return NULL;
}

unsigned cph_keying_method_bit(const struct cph_keying_method *method)
{
    for (unsigned i = 0; cph_keying_methods[i]; i++)
        if (cph_keying_methods[i] == method)
            return 1U << i;
    return 0;
}

void cph_keying_free(struct cph_keying *k)
{
    if (k)
        k->method->free(k);
}

cph_err cph_keying_feed(struct cph_keying *k, enum cph_keying_component component,
                        const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    return k->method->feed ? k->method->feed(k, component, from, packet, now) : CPH_E_UNSUPPORTED;
}

cph_err cph_keying_pull(struct cph_keying *k, struct cph_keying_packet *out, cph_time now)
{
    return k->method->pull ? k->method->pull(k, out, now) : CPH_E_AGAIN;
}

cph_time cph_keying_deadline(const struct cph_keying *k)
{
    return k->method->deadline ? k->method->deadline(k) : CPH_TIME_NEVER;
}

void cph_keying_tick(struct cph_keying *k, cph_time now)
{
    if (k->method->tick)
        k->method->tick(k, now);
}
