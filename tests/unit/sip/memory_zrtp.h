/* What ZRTP makes on the way to its keys, for the search of test_phone_memory.c. */
#ifndef TEST_MEMORY_ZRTP_H
#define TEST_MEMORY_ZRTP_H

#include "../keying/zrtp/zrtp_int.h"

typedef void remember_fn(const char *what, const uint8_t *p, size_t n);

/* ---- what lasts, each byte changed so that it is no find ------------------------------------- */

enum { KEPT_MASK = 0xc3 };

struct masked_store {
    struct cph_zrtp_store store;
    bool used;
    uint8_t zid[CPH_ZRTP_ZID];
    uint8_t b[sizeof(struct cph_zrtp_retained)];
};

static cph_err masked_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    const struct masked_store *m = ctx;

    if (!m->used || memcmp(m->zid, zid, CPH_ZRTP_ZID) != 0)
        return CPH_E_NOTFOUND;
    for (size_t i = 0; i < sizeof m->b; i++)
        ((uint8_t *)out)[i] = m->b[i] ^ KEPT_MASK;
    return CPH_OK;
}

static cph_err masked_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                          const struct cph_zrtp_retained *in)
{
    struct masked_store *m = ctx;

    m->used = true;
    memcpy(m->zid, zid, CPH_ZRTP_ZID);
    for (size_t i = 0; i < sizeof m->b; i++)
        m->b[i] = ((const uint8_t *)in)[i] ^ KEPT_MASK;
    return CPH_OK;
}

/* ---- on the way ------------------------------------------------------------------------------ */

/* A private value lives until the result is computed; masked as well, until it is looked at. */
static void look_at_private(const struct zrtp *z, struct cph_secret *masked)
{
    if (z->live.dh.n == 0 || masked->n > 0)
        return;
    masked->n = z->live.dh.n;
    for (size_t i = 0; i < masked->n; i++)
        masked->b[i] = z->live.dh.b[i] ^ KEPT_MASK;
}

static struct cph_span text_of(const struct zrtp_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

/* DHResult and s0 do not outlive the function that makes them: they are made here once more. */
static void look_at_agreement(const struct zrtp *z, const struct cph_secret *masked,
                              remember_fn *remember)
{
    const struct zrtp_live *l = &z->live;
    const struct zrtp_alg *hash = l->alg[ZRTP_K_HASH], *a = l->alg[ZRTP_K_AGREEMENT];
    const struct zrtp_text *theirs = l->initiator ? &l->dhpart1 : &l->dhpart2;
    struct cph_span part[4] = { text_of(l->initiator ? &l->hello : &z->own_hello),
                                text_of(&l->commit), text_of(&l->dhpart1), text_of(&l->dhpart2) };
    const struct cph_secret *const none[3] = { NULL, NULL, NULL };
    struct zrtp_context context = { .n = 2 * CPH_ZRTP_ZID + hash->hash_n };
    CPH_SECRET_SCOPED own = { .n = masked->n };
    CPH_SECRET_SCOPED result = { 0 };
    CPH_SECRET_SCOPED s0 = { 0 };
    struct zrtp_msg m;

    for (size_t i = 0; i < own.n; i++)
        own.b[i] = masked->b[i] ^ KEPT_MASK;
    remember("a private value", own.b, own.n);
    assert_ok(zrtp_msg_parse(text_of(theirs), &m));
    assert_ok(cph_agree_derive(a->group, &own, m.u.dhpart.pv, &result));
    remember("the result of Diffie-Hellman", result.b, result.n > 64 ? 64 : result.n);
    memcpy(context.b, z->peer->zids, sizeof z->peer->zids);
    assert_ok(zrtp_hash_all(hash, part, 4, context.b + sizeof z->peer->zids));
    assert_ok(zrtp_s0_dh(hash, &result, &context, none, &s0));
    remember("s0", s0.b, s0.n);
    /* it is the right one: the session key comes of it */
    {
        CPH_SECRET_SCOPED session = { 0 };

        assert_ok(zrtp_kdf(hash, cph_secret_span(&s0), "ZRTP Session Key",
                           (struct cph_span){ context.b, context.n }, 8 * hash->hash_n, &session));
        assert_true(cph_ct_eq(cph_secret_span(&session), cph_secret_span(&z->peer->session)));
    }
}

static void look_at_zrtp(const struct zrtp *z, const struct cph_secret *masked,
                         remember_fn *remember)
{
    const struct zrtp_keys *k = &z->live.keys;

    look_at_agreement(z, masked, remember);
    for (int i = 0; i < 2; i++) {
        remember("an SRTP master key", k->srtp[i].b, k->srtp[i].n);
        remember("a MAC key", k->mac[i].b, k->mac[i].n);
        remember("a ZRTP key", k->zrtp[i].b, k->zrtp[i].n);
    }
    remember("H0", z->h[0].b, z->h[0].n);
    remember("ZRTPSess", z->peer->session.b, z->peer->session.n);
    remember("the exported key", z->peer->exported.b, z->peer->exported.n);
    remember("the retained secret", z->peer->kept.rs1.b, z->peer->kept.rs1.n);
    remember("the SAS hash", z->peer->sashash, sizeof z->peer->sashash);
}

#endif
