/* A certificate that parses has a DER that parses to the same; it can be asked everything. */
#include <stdlib.h>

#include "ciphony/base_addr.h"
#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void ask(const struct cph_cert *cert)
{
    char text[CPH_CERT_TEXT], pem[CPH_CERT_TEXT * 64];
    struct cph_fingerprint fp;
    struct cph_span domain;
    struct cph_addr ip;
    struct cph_key *key;
    size_t pem_n;

    (void)cph_cert_subject(cert, text);
    (void)cph_cert_issuer(cert, text);
    (void)cph_cert_signature_hash(cert);
    (void)cph_cert_is_self_issued(cert);
    (void)!cph_cert_in_time(cert, 0);
    (void)!cph_cert_pem(cert, pem, sizeof pem, &pem_n);
    (void)!cph_cert_is_user(cert, cph_span_of("sip:alice@example.org"));
    for (size_t i = 0; cph_cert_sip_domain(cert, i, &domain); i++) {
        /* it speaks for what it names: unless that is a wildcard, an address, or ends in a dot */
        if (domain.n > 0 && domain.p[domain.n - 1] != '.' &&
            cph_span_find(domain, '*') == domain.n && cph_addr_parse_ip(domain, &ip) != CPH_OK &&
            cph_cert_is_domain(cert, domain) != CPH_OK)
            abort();
    }
    if (cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp) != CPH_OK ||
        cph_cert_match(cert, &fp, 1, NULL) != CPH_OK)
        abort();
    if (cph_cert_key(NULL, cert, &key) == CPH_OK)
        cph_key_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_cert *cert, *again;
    struct cph_fingerprint fp, back;
    char text[CPH_FP_TEXT];

    if (cph_fingerprint_parse((struct cph_span){ data, n }, &fp) == CPH_OK &&
        (cph_fingerprint_parse(cph_span_of(cph_fingerprint_text(&fp, text)), &back) != CPH_OK ||
         !cph_fingerprint_eq(&fp, &back)))
        abort();
    if (cph_cert_parse(NULL, (struct cph_span){ data, n }, &cert) != CPH_OK)
        return 0;
    ask(cert);
    if (cph_cert_parse(NULL, cph_cert_der(cert), &again) == CPH_OK) {
        if (!cph_cert_eq(cert, again))
            abort();
        cph_cert_free(again);
    }
    cph_cert_free(cert);
    return 0;
}
