/* Writes OpenPGP keys and signatures of version 4 (RFC 4880 5.2.3, 5.5.2), P-256 with SHA-256, as a
 * peer would that signs so. Apart from the code under test, which only reads. */
#ifndef TEST_PGP_MAKER_H
#define TEST_PGP_MAKER_H

#include "support.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_key.h"

struct pgp_maker {
    struct cph_key *key;
    int64_t born;
    uint8_t body[128]; /* of the key packet */
    size_t body_n;
};

static void pgp_packet_out(struct cph_wr *wr, uint8_t tag, struct cph_span body)
{
    cph_wr_u8(wr, 0xc0 | tag);
    cph_wr_u8(wr, 255);
    cph_wr_u32(wr, (uint32_t)body.n);
    cph_wr_span(wr, body);
}

static void pgp_number(struct cph_wr *wr, struct cph_span s)
{
    unsigned bits;

    while (s.n > 0 && s.p[0] == 0)
        s = cph_span_from(s, 1);
    for (bits = (unsigned)s.n * 8; !(s.p[0] >> (bits - 1) % 8 & 1);)
        bits--;
    cph_wr_u16(wr, (uint16_t)bits);
    cph_wr_span(wr, s);
}

static void pgp_maker_open(struct pgp_maker *m, const struct cph_env *env)
{
    struct cph_wr wr = cph_wr_open(m->body, sizeof m->body);
    uint8_t spki[CPH_KEY_PUBLIC_MAX];
    size_t n;

    m->born = cph_wall(env) - 1000;
    assert_ok(cph_key_generate(env, CPH_KEY_EC_P256, &m->key));
    assert_ok(cph_key_public_der(m->key, spki, sizeof spki, &n));
    cph_wr_u8(&wr, 4);
    cph_wr_u32(&wr, (uint32_t)m->born);
    cph_wr_u8(&wr, 19);
    cph_wr_bytes(&wr, "\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 9);
    pgp_number(&wr, (struct cph_span){ spki + n - 65, 65 });
    m->body_n = wr.n;
}

/* Over these bytes: | 4 | type | ECDSA | SHA-256 | when it was | nothing unsigned | left | r | s |
 */
static void pgp_sign(const struct pgp_maker *m, uint8_t type, struct cph_span over,
                     struct cph_wr *out)
{
    static const uint8_t head[] = { 19, 8, 0, 6, 5, 2 };
    uint8_t text[1024], body[256], digest[32], rs[64];
    struct cph_wr wr = cph_wr_open(text, sizeof text), b = cph_wr_open(body, sizeof body);
    size_t n;

    cph_wr_u8(&b, 4);
    cph_wr_u8(&b, type);
    cph_wr_bytes(&b, head, sizeof head);
    cph_wr_u32(&b, (uint32_t)m->born);
    cph_wr_span(&wr, over);
    cph_wr_span(&wr, cph_wr_done(&b));
    cph_wr_u16(&wr, 0x04ff);
    cph_wr_u32(&wr, (uint32_t)b.n);
    assert_ok(cph_wr_end(&wr));
    assert_ok(cph_digest(CPH_DIGEST_SHA256, cph_wr_done(&wr), digest));
    assert_ok(cph_key_sign(NULL, m->key, CPH_SIG_ECDSA_RAW, cph_wr_done(&wr), rs, sizeof rs, &n));
    cph_wr_u16(&b, 0);
    cph_wr_bytes(&b, digest, 2);
    pgp_number(&b, (struct cph_span){ rs, 32 });
    pgp_number(&b, (struct cph_span){ rs + 32, 32 });
    pgp_packet_out(out, 2, cph_wr_done(&b));
}

/* The key with one name, as it would be exported. */
static void pgp_export(const struct pgp_maker *m, const char *name, struct cph_wr *out)
{
    uint8_t text[512];
    struct cph_wr wr = cph_wr_open(text, sizeof text);
    struct cph_span body = { m->body, m->body_n };

    cph_wr_u8(&wr, 0x99);
    cph_wr_u16(&wr, (uint16_t)body.n);
    cph_wr_span(&wr, body);
    cph_wr_u8(&wr, 0xb4);
    cph_wr_u32(&wr, (uint32_t)strlen(name));
    cph_wr_text(&wr, name);
    pgp_packet_out(out, 6, body);
    pgp_packet_out(out, 13, cph_span_of(name));
    pgp_sign(m, 0x13, cph_wr_done(&wr), out);
}

#endif
