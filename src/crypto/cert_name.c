#include "ciphony/crypto_key.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "ciphony/base_addr.h"
#include "ciphony/base_text.h"
#include "key_int.h"

/* ---- taking the names out of the leaf -------------------------------------------------------- */

static bool kind_of(const GENERAL_NAME *g, enum cph_cert_name_kind *kind)
{
    switch (g->type) {
    case GEN_URI:
        *kind = CPH_NAME_URI;
        return true;
    case GEN_DNS:
        *kind = CPH_NAME_DNS;
        return true;
    case GEN_EMAIL:
        *kind = CPH_NAME_EMAIL;
        return true;
    case GEN_IPADD:
        *kind = CPH_NAME_IP;
        return true;
    default:
        return false;
    }
}

static cph_err keep_san(struct cph_cert *cert, const GENERAL_NAMES *names)
{
    int n = sk_GENERAL_NAME_num(names);

    if (n > CPH_CERT_NAMES_MAX)
        n = CPH_CERT_NAMES_MAX; /* fewer names prove less, never more */
    cert->san = cph_arena_array(cert->arena, (size_t)(n > 0 ? n : 1), sizeof *cert->san);
    if (!cert->san)
        return CPH_E_NOMEM;
    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        struct cph_cert_name v;
        const ASN1_STRING *s;

        if (!kind_of(g, &v.kind))
            continue;
        s = GENERAL_NAME_get0_value(g, NULL);
        v.text = (struct cph_span){ ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
        /* "good.example\0.evil.example" is two names to two readers */
        if (v.text.n == 0 || (v.kind != CPH_NAME_IP && memchr(v.text.p, 0, v.text.n)))
            continue;
        v.text = cph_arena_copy(cert->arena, v.text);
        if (!v.text.p)
            return CPH_E_NOMEM;
        cert->san[cert->n_san++] = v;
    }
    return CPH_OK;
}

static cph_err keep_cn(struct cph_cert *cert)
{
    X509_NAME *name = X509_get_subject_name(cert->leaf);
    int at = -1;

    while (cert->n_cn < sizeof cert->cn / sizeof *cert->cn) {
        uint8_t *utf8 = NULL;
        int n;

        at = X509_NAME_get_index_by_NID(name, NID_commonName, at);
        if (at < 0)
            break;
        n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        if (n < 0)
            continue;
        if (n > 0 && !memchr(utf8, 0, (size_t)n)) {
            cert->cn[cert->n_cn] = cph_arena_copy(cert->arena,
                                                  (struct cph_span){ utf8, (size_t)n });
            if (!cert->cn[cert->n_cn].p) {
                OPENSSL_free(utf8);
                return CPH_E_NOMEM;
            }
            cert->n_cn++;
        }
        OPENSSL_free(utf8);
    }
    return CPH_OK;
}

cph_err cph_cert_read_names(struct cph_cert *cert)
{
    int critical = -1;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert->leaf, NID_subject_alt_name, &critical, NULL);
    cph_err err = CPH_OK;

    if (!names && critical != -1) /* -2: there are two; 0 or 1: it does not parse */
        return CPH_E_MALFORMED;
    cert->has_san = names != NULL;
    if (names)
        err = keep_san(cert, names);
    GENERAL_NAMES_free(names);
    return err ? err : keep_cn(cert);
}

/* ---- reading them back ----------------------------------------------------------------------- */

bool cph_cert_name(const struct cph_cert *cert, size_t i, struct cph_cert_name *out)
{
    if (i >= cert->n_san)
        return false;
    *out = cert->san[i];
    return true;
}

/* ---- RFC 5922 7.1: which domains the certificate speaks for ---------------------------------- */

static bool is_dns_name(struct cph_span s)
{
    bool dot = false;

    if (s.n == 0 || s.n > 253)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool label = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';

        if (c == '.') {
            if (i == 0 || s.p[i - 1] == '.')
                return false;
            dot = true;
        } else if (!label) {
            return false;
        }
    }
    return dot && s.p[s.n - 1] != '.';
}

/* The host of "sip:host[:port][;parameters]", empty if the URI is none of that. */
static struct cph_span sip_host(struct cph_span uri)
{
    struct cph_span host = { NULL, 0 };

    /* RFC 5922 7.1 MUST NOT: accept a scheme other than sip, or a URI with a userpart */
    if (!cph_span_iis(cph_span_head(uri, 4), "sip:") || cph_span_find(uri, '@') < uri.n)
        return host;
    uri = cph_span_from(uri, 4);
    host = cph_span_head(uri, cph_span_find(uri, ';'));
    host = cph_span_head(host, cph_span_find(host, '?'));
    if (host.n > 0 && host.p[0] == '[')
        return (struct cph_span){ NULL, 0 }; /* an address is not a domain */
    return cph_span_head(host, cph_span_find(host, ':'));
}

static bool any_sip_uri(const struct cph_cert *cert)
{
    for (size_t i = 0; i < cert->n_san; i++) {
        if (cert->san[i].kind == CPH_NAME_URI && sip_host(cert->san[i].text).n > 0)
            return true;
    }
    return false;
}

bool cph_cert_sip_domain(const struct cph_cert *cert, size_t i, struct cph_span *out)
{
    /* RFC 5922 7.1 MUST: DNS names count if and only if there is no sip URI */
    enum cph_cert_name_kind kind = any_sip_uri(cert) ? CPH_NAME_URI : CPH_NAME_DNS;

    for (size_t k = 0; k < cert->n_san; k++) {
        struct cph_span host = cert->san[k].text;

        if (cert->san[k].kind != kind)
            continue;
        if (kind == CPH_NAME_URI)
            host = sip_host(host);
        if (host.n == 0 || i-- > 0)
            continue;
        *out = host;
        return true;
    }
    /* RFC 5922 7.1 step 2: the CN only if there is no subjectAltName; of several, the most specific
     */
    if (cert->has_san || i > 0 || cert->n_cn == 0 || !is_dns_name(cert->cn[cert->n_cn - 1]))
        return false;
    *out = cert->cn[cert->n_cn - 1];
    return true;
}

/* ---- RFC 5922 7.2: comparing ----------------------------------------------------------------- */

static bool has_ip(const struct cph_cert *cert, const struct cph_addr *ip)
{
    struct cph_span want = { ip->ip, ip->family == CPH_AF_V4 ? 4 : 16 };

    for (size_t i = 0; i < cert->n_san; i++) {
        if (cert->san[i].kind == CPH_NAME_IP && cph_span_eq(cert->san[i].text, want))
            return true;
    }
    return false;
}

cph_err cph_cert_is_domain(const struct cph_cert *cert, struct cph_span domain)
{
    struct cph_addr ip;
    struct cph_span have;

    if (domain.n > 0 && domain.p[domain.n - 1] == '.')
        domain.n--; /* the root is always there */
    if (domain.n == 0)
        return CPH_E_CERT;
    if (cph_addr_parse_ip(domain, &ip) == CPH_OK)
        return has_ip(cert, &ip) ? CPH_OK : CPH_E_CERT;
    if (!is_dns_name(domain) && cph_span_find(domain, '*') < domain.n)
        return CPH_E_CERT; /* we never look for a wildcard, so none can match */
    for (size_t i = 0; cph_cert_sip_domain(cert, i, &have); i++) {
        /* RFC 5922 7.2 MUST NOT: match suffixes or wildcards; the whole name, without case */
        if (cph_span_ieq(have, domain))
            return CPH_OK;
    }
    return CPH_E_CERT;
}

/* "sip:user@host": scheme and host without case, user with (RFC 3261 19.1.4). */
static bool same_user(struct cph_span a, struct cph_span b)
{
    size_t at = cph_span_find(a, '@');

    return a.n == b.n && at < a.n && cph_span_find(b, '@') == at &&
           cph_span_iis(cph_span_head(a, 4), "sip:") && cph_span_iis(cph_span_head(b, 4), "sip:") &&
           cph_span_eq(cph_span_from(cph_span_head(a, at), 4),
                       cph_span_from(cph_span_head(b, at), 4)) &&
           cph_span_ieq(cph_span_from(a, at), cph_span_from(b, at));
}

cph_err cph_cert_is_user(const struct cph_cert *cert, struct cph_span sip_uri)
{
    for (size_t i = 0; i < cert->n_san; i++) {
        if (cert->san[i].kind == CPH_NAME_URI && same_user(cert->san[i].text, sip_uri))
            return CPH_OK;
    }
    return CPH_E_CERT;
}
