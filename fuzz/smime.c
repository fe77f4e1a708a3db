/* Sealed bodies of a stranger, and of a peer that lies: the input as the body, as what was
 * encrypted, or as what was signed as well. What is opened is a view of itself. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/identity_smime.h"
#include "env.h"

static struct cph_key *key;
static struct cph_cert *cert;

static void set_up(void)
{
    const struct cph_cert_spec spec = { .not_before = 1600000000, .not_after = 1800000000 };

    if (!key && (cph_key_generate(&env, CPH_KEY_EC_P256, &key) != CPH_OK ||
                 cph_cert_self_signed(&env, key, &spec, &cert) != CPH_OK))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char head[] = "Content-Type: application/pkcs7-mime\r\n\r\n";
    static struct cph_smime_opened opened;
    static uint8_t inner[CPH_CMS_MAX], outer[CPH_CMS_MAX];
    struct cph_span body = { data, n };
    struct cph_smime_cfg cfg = { .env = &env, .seen = 4 };
    struct cph_smime_from from = { 0 };
    size_t k = sizeof head - 1, m = 0;
    struct cph_smime *s;

    set_up();
    drawn = 0;
    cfg.key = key;
    cfg.cert = from.cert = cert;
    if (n == 0 || n > 8192 || cph_smime_new(&cfg, &s) != CPH_OK)
        return 0;
    body = (struct cph_span){ data + 1, n - 1 };
    memcpy(inner, head, k);
    if (data[0] % 3 == 2 &&
        cph_cms_sign(&env, key, cert, wall(NULL), body, inner + k, sizeof inner - k, &m) == CPH_OK)
        body = (struct cph_span){ inner, k + m };
    if (data[0] % 3 > 0 &&
        cph_cms_encrypt(&env, cert, CPH_CMS_AES128_GCM, body, outer, sizeof outer, &m) == CPH_OK)
        body = (struct cph_span){ outer, m };
    if (cph_smime_open(s, &from, CPH_SPAN_LIT("application/pkcs7-mime"), body, &opened) == CPH_OK &&
        (opened.body.p < opened.bytes ||
         opened.body.p + opened.body.n > opened.bytes + sizeof opened.bytes))
        abort();
    cph_smime_opened_wipe(&opened);
    cph_smime_free(s);
    return 0;
}
