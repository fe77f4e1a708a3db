/*
 * The library, narrowed to what a DTLS 1.2 handshake needs.
 *
 * For the key in each certificate it is shown, OpenSSL 3.0 goes through all kinds of keys and all
 * decoders it has, and through everything else it was ever asked for on the way there, to find a
 * chain of decoders that fits: a quarter of a whole handshake. So handshakes run in a library
 * context of their own. What is in it is OpenSSL's default provider, of which it shows only those
 * algorithms that home.c can lead to and those that read a peer's certificate. The only line of
 * ours in it is a short way to a P-256 key (ec_key.c).
 *
 * It is there once in a process and stays to its end, since certificates outlive their streams.
 *
 * Whoever has set up the process's library otherwise (another provider, such as FIPS or a token)
 * has reasons: then there is none, and handshakes run where he wants them.
 */
#include "stream_int.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <string.h>

enum { OPERATIONS = 10, KEPT = 12 };

/* What is shown: the first of each algorithm's names in the library's list. */
struct shown {
    int operation;
    const char *names[KEPT];
    OSSL_ALGORITHM kept[KEPT]; /* a name of NULL ends them */
};

/* Written once, before anyone reads them. */
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static OSSL_LIB_CTX *narrow;
static OSSL_PROVIDER *whole;
static struct shown shown[OPERATIONS] = {
    { .operation = OSSL_OP_DIGEST,
      .names = { "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512" } },
    { .operation = OSSL_OP_CIPHER, .names = { "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305" } },
    { .operation = OSSL_OP_MAC, .names = { "HMAC" } },
    { .operation = OSSL_OP_KDF, .names = { "TLS1-PRF" } },
    { .operation = OSSL_OP_RAND, .names = { "CTR-DRBG", "SEED-SRC" } },
    { .operation = OSSL_OP_KEYMGMT, .names = { "EC", "X25519", "ED25519", "RSA", "RSA-PSS" } },
    { .operation = OSSL_OP_KEYEXCH, .names = { "ECDH", "X25519" } },
    { .operation = OSSL_OP_SIGNATURE, .names = { "ECDSA", "ED25519", "RSA" } },
    { .operation = OSSL_OP_DECODER, .names = { "EC", "ED25519", "RSA", "RSA-PSS" } },
    { .operation = OSSL_OP_ENCODER, .names = { "EC", "ED25519", "RSA", "RSA-PSS" } },
};

/* ---- what is shown --------------------------------------------------------------------------- */

static bool is_first_name(const OSSL_ALGORITHM *a, const char *name)
{
    size_t n = strcspn(a->algorithm_names, ":");

    return strlen(name) == n && strncmp(a->algorithm_names, name, n) == 0;
}

static bool is_wanted(const struct shown *s, const OSSL_ALGORITHM *a)
{
    /* A certificate has its key as RFC 5280 4.1 writes it, and only so. */
    if ((s->operation == OSSL_OP_DECODER &&
         !strstr(a->property_definition, "input=der,structure=SubjectPublicKeyInfo")) ||
        (s->operation == OSSL_OP_ENCODER &&
         !strstr(a->property_definition, "output=der,structure=SubjectPublicKeyInfo")))
        return false;
    for (size_t i = 0; i < KEPT && s->names[i]; i++) {
        if (is_first_name(a, s->names[i]))
            return true;
    }
    return false;
}

/* All that is named must be there: else this is another library than we know. */
static bool keep(struct shown *s)
{
    int no_cache = 0;
    const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(whole, s->operation, &no_cache);
    size_t n = 0, want = 0;

    for (; a && a->algorithm_names && n < KEPT; a++) {
        if (is_wanted(s, a))
            s->kept[n++] = *a;
    }
    while (want < KEPT && s->names[want])
        want++;
    return n == want && n < KEPT && no_cache == 0;
}

/* The decoder of EC keys gets a short way before it. */
static void shorten(void)
{
    for (int i = 0; i < OPERATIONS; i++) {
        OSSL_ALGORITHM *a = shown[i].kept;

        for (; shown[i].operation == OSSL_OP_DECODER && a->algorithm_names; a++) {
            if (is_first_name(a, "EC"))
                a->implementation = stream_ec_key_before(a->implementation);
        }
    }
}

/* ---- the provider ---------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    for (int i = 0; i < OPERATIONS; i++) {
        if (shown[i].operation == operation)
            return shown[i].kept;
    }
    return NULL;
}

static int capabilities(void *provctx, const char *name, OSSL_CALLBACK *cb, void *arg)
{
    (void)provctx;
    return OSSL_PROVIDER_get_capabilities(whole, name, cb, arg);
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **provctx)
{
    static const OSSL_DISPATCH functions[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
        { OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities },
        { 0, NULL },
    };

    (void)handle;
    stream_ec_key_core(in);
    *out = functions;
    *provctx = OSSL_PROVIDER_get0_provider_ctx(whole); /* its algorithms find what they know */
    return 1;
}

/* ---- once ------------------------------------------------------------------------------------ */

static int note_other(OSSL_PROVIDER *p, void *other)
{
    const char *name = OSSL_PROVIDER_get0_name(p);

    if (strcmp(name, "default") != 0 && strcmp(name, "legacy") != 0 && strcmp(name, "base") != 0)
        *(bool *)other = true;
    return 1;
}

static bool as_it_comes(void)
{
    bool other = false;

    return OSSL_PROVIDER_available(NULL, "default") == 1 &&
           OSSL_PROVIDER_do_all(NULL, note_other, &other) == 1 && !other &&
           !EVP_default_properties_is_fips_enabled(NULL);
}

static void open_once(void)
{
    OSSL_LIB_CTX *made;
    bool all = true;

    if (!as_it_comes())
        return;
    whole = OSSL_PROVIDER_try_load(NULL, "default", 1);
    for (int i = 0; i < OPERATIONS && whole; i++)
        all = keep(&shown[i]) && all;
    if (!whole || !all)
        return;
    shorten();
    made = OSSL_LIB_CTX_new();
    if (made && OSSL_PROVIDER_add_builtin(made, "ciphony", init) == 1 &&
        OSSL_PROVIDER_load(made, "ciphony")) {
        narrow = made;
        stream_ec_key_prove(made);
    } else {
        OSSL_LIB_CTX_free(made);
    }
}

OSSL_LIB_CTX *stream_narrow(void)
{
    return CRYPTO_THREAD_run_once(&once, open_once) == 1 ? narrow : NULL;
}
