/* What MIKEY makes on the way to its keys, for the search of test_phone_memory.c. */
#ifndef TEST_MEMORY_MIKEY_H
#define TEST_MEMORY_MIKEY_H

#include "../keying/mikey/row_int.h"
#include "../keying/mikeyv2/mikeyv2_int.h"
#include "memory_zrtp.h"

#include "ciphony/crypto_cipher.h"

#define PSK "the pre-shared key"

/* Each side's material for the other; the same secret for both, which is nobody's constant. */
static struct cph_mikey *mikey_material(const struct cph_env *env, unsigned i,
                                        enum cph_mikey_mode mode, struct cph_key *key,
                                        struct cph_cert *cert, struct cph_cert *peer_cert,
                                        remember_fn *remember)
{
    static const char *const id[] = { "sip:alice@10.0.0.1:5060", "sip:bob@10.0.0.2:5060" };
    CPH_SECRET_SCOPED psk = { .n = 32 };
    struct cph_mikey_cfg cfg = {
        .env = env, .mode = mode, .accept = 1U << mode, .id = id[i], .peer_id = id[!i]
    };
    struct cph_mikey *m;

    for (size_t k = 0; k < psk.n; k++)
        psk.b[k] = (uint8_t)(37 * k + 11);
    if (mode == CPH_MIKEY_PSK) {
        cfg.psk = &psk;
        remember(PSK, psk.b, psk.n);
    } else {
        cfg.key = key;
        cfg.cert = cert;
        cfg.peer_cert = peer_cert;
    }
    assert_ok(cph_mikey_new(&cfg, &m));
    return m;
}

/* The keys of messages do not outlive the functions that use them: they are made here once more. */
static void look_at_message_keys(const struct mikey *k, remember_fn *remember)
{
    CPH_SECRET_SCOPED encr = { 0 };
    CPH_SECRET_SCOPED auth = { 0 };

    assert_ok(mikey_derive(&k->m->psk, MIKEY_FOR_MSG_ENCR, 0xff, &k->csb.b, 16, &encr));
    assert_ok(mikey_derive(&k->m->psk, MIKEY_FOR_MSG_AUTH, 0xff, &k->csb.b, MIKEY_MAC, &auth));
    remember("a key of messages", encr.b, encr.n);
    remember("a key of messages", auth.b, auth.n);
}

#define PRIVATE_VALUE "a private value of Diffie-Hellman"

/* What waits for an answer: it is gone when that is final. */
static void look_at_offer(const struct mikey *k, remember_fn *remember)
{
    if (k->offer.pair.ready)
        remember(PRIVATE_VALUE, k->offer.pair.x.b, k->offer.pair.x.n);
}

/* The same of MIKEYv2; asked often, so each is noted once. */
static void look_at_proof(const struct v2 *k, remember_fn *remember)
{
    static uint8_t last[32];
    const struct cph_secret *x = k->shake.offer ? &k->shake.offer->pair.x : NULL;
    uint8_t hash[32];

    if (!x || !k->shake.offer->pair.ready)
        return;
    assert_ok(cph_digest(CPH_DIGEST_SHA256, cph_secret_span(x), hash));
    if (memcmp(hash, last, sizeof hash) != 0)
        remember(PRIVATE_VALUE, x->b, x->n);
    memcpy(last, hash, sizeof last);
}

/* The TGK, and what comes of it; with Diffie-Hellman it is the result of that. */
static void look_at_mikey(const struct mikey *k, remember_fn *remember)
{
    assert_true(k->keyed && k->csb.n_keys > 0);
    for (unsigned i = 0; i < k->csb.n_keys; i++)
        remember("a TGK", k->csb.key[i].key.b, k->csb.key[i].key.n);
    for (unsigned cs = 1; cs <= k->csb.n_cs; cs++) {
        CPH_SRTP_POLICY_SCOPED policy = { 0 };

        assert_ok(mikey_master(&k->csb, cs, 0, &policy));
        remember("a master key of a crypto session", policy.master.key.b, policy.master.key.n);
    }
    if (k->m->psk.n > 0)
        look_at_message_keys(k, remember);
}

#endif
