/* Packets of RFC 4880: keys and signatures of version 4 (4.2, 5.2.3, 5.5.2, 6). */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "pgp_int.h"

/* ---- armour (6.2) ---------------------------------------------------------------------------- */

/* 6.1 */
static uint32_t crc24(struct cph_span s)
{
    uint32_t crc = 0xb704ce;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint32_t)s.p[i] << 16;
        for (int k = 0; k < 8; k++)
            crc = crc & 0x800000 ? crc << 1 ^ 0x1864cfb : crc << 1;
    }
    return crc & 0xffffff;
}

static cph_err check_crc(struct cph_span line, struct cph_span bytes)
{
    uint8_t crc[3];
    size_t n = 0;

    CPH_TRY(cph_unbase64(cph_span_from(line, 1), false, crc, sizeof crc, &n));
    if (n != sizeof crc)
        return CPH_E_MALFORMED;
    return (uint32_t)(crc[0] << 16 | crc[1] << 8 | crc[2]) == crc24(bytes) ? CPH_OK
                                                                           : CPH_E_MALFORMED;
}

/* The lines between the headers and the last one: base64, and its sum behind "=". Written over room
 * from its beginning, which is never ahead of what is read. */
static cph_err unarmor_lines(struct cph_span rest, uint8_t *room, size_t cap, struct cph_span *out)
{
    struct cph_span line = { NULL, 0 }, sum = { NULL, 0 };
    size_t n = 0, got = 0;

    while (cph_span_line(&rest, &line) && !cph_span_starts(line, "-----")) {
        line = cph_span_trim(line);
        if (sum.n > 0)
            return CPH_E_TRAILING;
        if (cph_span_starts(line, "=")) {
            sum = line;
            continue;
        }
        if (line.n > cap - n)
            return CPH_E_LIMIT;
        if (line.n > 0)
            memcpy(room + n, line.p, line.n);
        n += line.n;
    }
    if (!cph_span_starts(line, "-----END PGP PUBLIC KEY BLOCK-----"))
        return CPH_E_TRUNCATED;
    CPH_TRY(cph_unbase64((struct cph_span){ room, n }, false, room + cap, cap, &got));
    *out = (struct cph_span){ room + cap, got };
    return sum.n > 0 ? check_crc(sum, *out) : CPH_OK;
}

cph_err pgp_unarmor(struct cph_span in, uint8_t **room, struct cph_span *out)
{
    struct cph_span rest = in, line = { NULL, 0 };
    cph_err err;

    *room = NULL;
    if (in.n > 0 && in.p[0] & 0x80) { /* 4.2: a packet begins so, and no text does */
        *out = in;
        return CPH_OK;
    }
    do {
        if (!cph_span_line(&rest, &line))
            return CPH_E_MALFORMED;
    } while (!cph_span_starts(line, "-----BEGIN PGP PUBLIC KEY BLOCK-----"));
    do { /* headers, to an empty line */
        if (!cph_span_line(&rest, &line))
            return CPH_E_TRUNCATED;
    } while (cph_span_trim(line).n > 0);
    *room = malloc(2 * rest.n + 1);
    if (!*room)
        return CPH_E_NOMEM;
    err = unarmor_lines(rest, *room, rest.n, out);
    if (err != CPH_OK) {
        free(*room);
        *room = NULL;
    }
    return err;
}

/* ---- packets (4.2) --------------------------------------------------------------------------- */

/* 4.2.2; and in subpackets, which have no partial lengths (5.2.3.1). */
static size_t new_length(struct cph_rd *rd)
{
    uint8_t first = cph_rd_u8(rd);

    if (first < 192)
        return first;
    if (first < 255)
        return ((size_t)(first - 192) << 8) + cph_rd_u8(rd) + 192;
    return cph_rd_u32(rd);
}

static size_t old_length(struct cph_rd *rd, unsigned kind)
{
    if (kind == 0)
        return cph_rd_u8(rd);
    return kind == 1 ? cph_rd_u16(rd) : cph_rd_u32(rd);
}

cph_err pgp_packet(struct cph_rd *rd, uint8_t *tag, struct cph_span *body)
{
    uint8_t first;
    size_t n;

    if (!cph_rd_more(rd))
        return rd->failed ? CPH_E_TRUNCATED : CPH_E_NOTFOUND;
    first = cph_rd_u8(rd);
    if (!(first & 0x80))
        return CPH_E_MALFORMED;
    if (first & 0x40) {
        *tag = first & 0x3f;
        if (rd->n > 0 && rd->p[0] >= 224 && rd->p[0] < 255)
            return CPH_E_UNSUPPORTED; /* in parts: only data comes so */
        n = new_length(rd);
    } else {
        *tag = first >> 2 & 15;
        if ((first & 3) == 3)
            return CPH_E_UNSUPPORTED; /* to the end of the file: likewise */
        n = old_length(rd, first & 3);
    }
    *body = cph_rd_span(rd, n);
    return rd->failed ? CPH_E_TRUNCATED : CPH_OK;
}

/* ---- numbers (3.2) --------------------------------------------------------------------------- */

/* Length in bits u16 | big-endian, as short as can be. */
static cph_err mpi(struct cph_rd *rd, struct cph_span *out)
{
    unsigned bits = cph_rd_u16(rd);
    struct cph_span s = cph_rd_span(rd, (bits + 7) / 8);

    if (rd->failed)
        return CPH_E_TRUNCATED;
    if (s.n == 0 || s.p[0] >> ((bits - 1) % 8) != 1) /* no zero, and the first bit is counted */
        return CPH_E_MALFORMED;
    if (s.n > PGP_NUMBER)
        return CPH_E_LIMIT;
    *out = s;
    return CPH_OK;
}

/* ---- keys (5.5.2) ---------------------------------------------------------------------------- */

static unsigned numbers_of(uint8_t algo)
{
    switch ((enum pgp_algo)algo) {
    case PGP_RSA:
    case PGP_RSA_SIGN:
        return 2;
    case PGP_DSA:
        return 4;
    case PGP_ECDSA:
    case PGP_EDDSA:
        return 1;
    }
    return 0;
}

/* version 4 | created u32 | algorithm u8 | [OID, its length before it |] numbers */
cph_err pgp_public_parse(struct cph_span body, struct pgp_public *out)
{
    struct cph_rd rd = cph_rd_open(body);
    struct pgp_public v = { .body = body };
    uint8_t version = cph_rd_u8(&rd);

    v.created = cph_rd_u32(&rd);
    v.algo = cph_rd_u8(&rd);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    v.n = numbers_of(v.algo);
    if (version != 4 || v.n == 0)
        return CPH_E_UNSUPPORTED;
    if (v.algo == PGP_ECDSA || v.algo == PGP_EDDSA) {
        struct cph_rd oid = cph_rd_vec8(&rd);

        v.oid = cph_rd_rest(&oid);
    }
    for (unsigned i = 0; i < v.n; i++)
        CPH_TRY(mpi(&rd, &v.mpi[i]));
    CPH_TRY(cph_rd_end(&rd));
    *out = v;
    return CPH_OK;
}

/* ---- signatures (5.2.3) ---------------------------------------------------------------------- */

enum subpacket { /* 5.2.3.1, 5.2.3.4 on */
                 CREATED = 2,
                 EXPIRES = 3,
                 KEY_EXPIRES = 9,
                 ISSUER = 16,
                 KEY_FLAGS = 27,
                 EMBEDDED = 32,
                 ISSUER_FPR = 33, /* version 4 | fingerprint; RFC 9580 5.2.3.35 */
};

static cph_err fixed(struct cph_rd *rd, size_t n, struct cph_span *out)
{
    *out = cph_rd_span(rd, n);
    return cph_rd_end(rd);
}

/* Who made it, and a signature that stands for itself, may be told outside of what is signed. */
static cph_err advisory(uint8_t kind, struct cph_rd *rd, struct pgp_sig *v)
{
    if (kind == ISSUER)
        return fixed(rd, 8, &v->issuer);
    if (kind == ISSUER_FPR && rd->n == 21 && rd->p[0] == 4) {
        (void)cph_rd_u8(rd);
        return fixed(rd, 20, &v->issuer_fpr);
    }
    if (kind == EMBEDDED)
        v->embedded = cph_rd_rest(rd);
    return CPH_OK;
}

/* What may be marked critical without that we do anything about it: preferences, features, where
 * the key is to be had, who may look at it. */
static bool harmless(uint8_t kind)
{
    return kind == ISSUER || kind == ISSUER_FPR || kind == EMBEDDED || kind == 7 || kind == 11 ||
           (kind >= 21 && kind <= 26) || kind == 29 || kind == 30;
}

static cph_err signed_field(uint8_t kind, bool critical, struct cph_rd *rd, struct pgp_sig *v)
{
    switch ((enum subpacket)kind) {
    case CREATED:
        v->has_created = true;
        v->created = cph_rd_u32(rd);
        return cph_rd_end(rd);
    case EXPIRES:
        v->expires = cph_rd_u32(rd);
        return cph_rd_end(rd);
    case KEY_EXPIRES:
        v->key_expires = cph_rd_u32(rd);
        return cph_rd_end(rd);
    case KEY_FLAGS: /* as many octets as the writer likes */
        v->has_key_flags = true;
        v->key_flags = rd->n > 0 ? rd->p[0] : 0;
        return CPH_OK;
    case ISSUER:
    case ISSUER_FPR:
    case EMBEDDED:
        break;
    }
    /* 5.2.3.1 SHOULD: one that is critical and not understood puts the signature in error */
    return critical && !harmless(kind) ? CPH_E_UNSUPPORTED : advisory(kind, rd, v);
}

/* length | critical bit and type u8 | body, again and again */
static cph_err subpackets(struct cph_rd rd, bool is_signed, struct pgp_sig *v)
{
    while (cph_rd_more(&rd)) {
        size_t n = new_length(&rd);
        struct cph_rd one = cph_rd_open(cph_rd_span(&rd, n));
        uint8_t kind = cph_rd_u8(&one);

        if (rd.failed || one.failed)
            return CPH_E_TRUNCATED;
        CPH_TRY(is_signed ? signed_field(kind & 0x7f, kind & 0x80, &one, v)
                          : advisory(kind & 0x7f, &one, v));
    }
    return cph_rd_end(&rd);
}

/* version 4 | type u8 | algorithm u8 | hash u8 | what is signed, u16 before it | what is not,
 * likewise | left bytes of the digest 2 | numbers */
cph_err pgp_sig_parse(struct cph_span body, struct pgp_sig *out)
{
    struct cph_rd rd = cph_rd_open(body);
    struct pgp_sig v = { 0 };
    uint8_t version = cph_rd_u8(&rd);
    struct cph_rd area, rest;

    v.type = cph_rd_u8(&rd);
    v.algo = cph_rd_u8(&rd);
    v.hash = cph_rd_u8(&rd);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    if (version != 4)
        return CPH_E_UNSUPPORTED;
    area = cph_rd_vec16(&rd);
    v.hashed = cph_span_head(body, body.n - rd.n);
    rest = cph_rd_vec16(&rd);
    v.left[0] = cph_rd_u8(&rd);
    v.left[1] = cph_rd_u8(&rd);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    v.n = v.algo == PGP_RSA || v.algo == PGP_RSA_SIGN ? 1 : 2;
    for (unsigned i = 0; i < v.n; i++)
        CPH_TRY(mpi(&rd, &v.mpi[i]));
    CPH_TRY(cph_rd_end(&rd));
    CPH_TRY(subpackets(rest, false, &v));
    CPH_TRY(subpackets(area, true, &v));
    *out = v;
    return CPH_OK;
}
