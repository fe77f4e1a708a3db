#include "mikey_read.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_envelope.h"

enum {
    SHA1 = 20,
    PRF_BLOCK = 32, /* RFC 3830 4.1.2: 256 bits of the input key at a time */
    CM_KEY = 16,
    CM_SALT = 14,
    BOX = 2048,
    /* payloads, table 6.1.b */
    P_LAST = 0,
    P_KEMAC = 1,
    P_PKE = 2,
    P_T = 5,
    P_ID = 6,
    P_CERT = 7,
    P_CHASH = 8,
    P_SP = 10,
    P_RAND = 11,
    P_KEY = 20,
    P_EXT = 21,
    MAX_SP = 8,
    T_MQV = 250, /* message type, of the private range: the first message of ECMQV */
};

/* What one message says, as views of it. */
struct parts {
    uint8_t type;
    uint32_t csb_id;
    unsigned n_cs;
    struct cph_span map, rand, pke, box, cert; /* cert: the first, the sender's own */
    uint64_t ts;
    bool has_ts, has_box;
    struct cph_span sp[MAX_SP]; /* parameters of its policies */
    unsigned n_sp;
    uint8_t encr;
};

/* ---- what stands there ----------------------------------------------------------------------- */

static void take_kemac(struct cph_rd *rd, struct parts *m)
{
    m->encr = cph_rd_u8(rd);
    m->box = cph_rd_span(rd, cph_rd_u16(rd));
    m->has_box = true;
    (void)cph_rd_span(rd, cph_rd_u8(rd) ? SHA1 : 0);
}

/* One payload; false if the rest is of no use to us (values whose length needs more knowledge). */
static bool take(struct cph_rd *rd, uint8_t what, struct parts *m)
{
    switch (what) {
    case P_KEMAC:
        take_kemac(rd, m);
        return true;
    case P_PKE:
        m->pke = cph_rd_span(rd, cph_rd_u16(rd) & 0x3fffU);
        return true;
    case P_T:
        m->ts = cph_rd_u8(rd) == 2 ? cph_rd_u32(rd) : cph_rd_u64(rd);
        m->has_ts = true;
        return true;
    case P_RAND:
        m->rand = cph_rd_span(rd, cph_rd_u8(rd));
        return true;
    case P_CERT: {
        struct cph_span der;

        (void)cph_rd_u8(rd);
        der = cph_rd_span(rd, cph_rd_u16(rd));
        m->cert = m->cert.n ? m->cert : der;
        return true;
    }
    case P_ID:
    case P_EXT:
        (void)cph_rd_u8(rd);
        (void)cph_rd_span(rd, cph_rd_u16(rd));
        return true;
    case P_SP:
        (void)cph_rd_u16(rd);
        m->sp[m->n_sp % MAX_SP] = cph_rd_span(rd, cph_rd_u16(rd));
        m->n_sp++;
        return true;
    case P_CHASH: {
        static const size_t n[] = { 20, 16, 32 };
        uint8_t hash = cph_rd_u8(rd);

        (void)cph_rd_span(rd, hash < 3 ? n[hash] : 0);
        return hash < 3;
    }
    default: /* DH, SIGN, V, ERR: nothing behind them is a key */
        return false;
    }
}

static bool parse(struct cph_span msg, struct parts *m)
{
    struct cph_rd rd = cph_rd_open(msg);
    uint8_t next;

    *m = (struct parts){ 0 };
    if (cph_rd_u8(&rd) != 1)
        return false;
    m->type = cph_rd_u8(&rd);
    next = cph_rd_u8(&rd);
    (void)cph_rd_u8(&rd);
    m->csb_id = cph_rd_u32(&rd);
    m->n_cs = cph_rd_u8(&rd);
    (void)cph_rd_u8(&rd);
    m->map = cph_rd_span(&rd, 9 * (size_t)m->n_cs);
    while (next != P_LAST && cph_rd_more(&rd)) {
        uint8_t what = next;

        next = cph_rd_u8(&rd);
        if (!take(&rd, what, m))
            break;
    }
    return !rd.failed;
}

bool lab_mikey_names(struct cph_span msg, struct lab_mikey_names *out)
{
    struct parts m;
    struct cph_rd rd;

    *out = (struct lab_mikey_names){ 0 };
    if (!parse(msg, &m))
        return false;
    rd = cph_rd_open(m.map);
    while (cph_rd_more(&rd) && out->n < 8) {
        (void)cph_rd_u8(&rd);
        out->ssrc[out->n] = cph_rd_u32(&rd);
        out->roc[out->n++] = cph_rd_u32(&rd);
    }
    return true;
}

/* RFC 3830 6.10.1: AES-CM with 128 bits, and a tag of 32. */
bool lab_mikey_weaken(struct cph_span msg, struct cph_wr *out)
{
    static const uint8_t worst[] = { 0,  1, 1, 1,  1,  16, 2, 1,  1, 3, 1,
                                     20, 4, 1, 14, 10, 1,  1, 11, 1, 4 };
    const uint8_t *done = msg.p;
    struct parts m;
    bool any = false;

    if (!parse(msg, &m) || m.n_sp > MAX_SP)
        return false;
    for (unsigned i = 0; i < m.n_sp; i++) {
        any |= !cph_span_eq(m.sp[i], (struct cph_span){ worst, sizeof worst });
        cph_wr_bytes(out, done, (size_t)(m.sp[i].p - done) - 2); /* up to its length */
        cph_wr_u16(out, sizeof worst);
        cph_wr_bytes(out, worst, sizeof worst);
        done = m.sp[i].p + m.sp[i].n;
    }
    cph_wr_bytes(out, done, (size_t)(msg.p + msg.n - done));
    return any && !out->failed;
}

/* Of MIKEYv2 the second round trip has a MIKEY message behind version, type and two numbers. */
bool lab_mikeyv2_inside(uint8_t *b, size_t *n)
{
    enum { HEAD = 18, VERSION = 2, PROOF_I = 3, PROOF_R = 4 };

    if (*n <= HEAD || b[0] != VERSION || (b[1] != PROOF_I && b[1] != PROOF_R))
        return false;
    *n -= HEAD;
    memmove(b, b + HEAD, *n);
    return true;
}

static bool decode(struct cph_span line, const char *start, uint8_t *out, size_t cap, size_t *n)
{
    return cph_span_starts(line, start) &&
           cph_unbase64(cph_span_trim(cph_span_from(line, strlen(start))), true, out, cap, n) ==
               CPH_OK;
}

bool lab_mikey_line(struct cph_span line, uint8_t *out, size_t cap, size_t *n)
{
    return decode(line, "a=key-mgmt:mikey ", out, cap, n) ||
           (decode(line, "a=mikeyv2:", out, cap, n) && lab_mikeyv2_inside(out, n));
}

/* ---- RFC 3830 4.1 ---------------------------------------------------------------------------- */

static cph_err hmac2(struct cph_span key, struct cph_span a, struct cph_span b, uint8_t out[SHA1])
{
    uint8_t text[SHA1 + 9 + LAB_MIKEY_RAND];
    struct cph_wr wr = cph_wr_open(text, sizeof text);

    cph_wr_span(&wr, a);
    cph_wr_span(&wr, b);
    return wr.failed ? CPH_E_LIMIT : cph_hmac(CPH_DIGEST_SHA1, key, cph_wr_done(&wr), out);
}

static cph_err prf(const struct cph_secret *in, struct cph_span label, size_t n,
                   struct cph_secret *out)
{
    memset(out, 0, sizeof *out);
    if (n > sizeof out->b || in->n == 0)
        return CPH_E_ARGUMENT;
    out->n = n;
    for (size_t at = 0; at < in->n; at += PRF_BLOCK) {
        struct cph_span s = cph_span_head(cph_span_from(cph_secret_span(in), at), PRF_BLOCK);
        uint8_t a[SHA1], p[SHA1];
        struct cph_span ai = label;

        for (size_t done = 0; done < n; done += SHA1) {
            CPH_TRY(hmac2(s, ai, (struct cph_span){ 0 }, a));
            ai = (struct cph_span){ a, SHA1 };
            CPH_TRY(hmac2(s, ai, label, p));
            for (size_t i = 0; i < SHA1 && done + i < n; i++)
                out->b[done + i] ^= p[i];
        }
    }
    return CPH_OK;
}

static cph_err derive(const struct cph_secret *from, uint32_t constant, uint8_t cs, uint32_t csb_id,
                      struct cph_span rand, size_t n, struct cph_secret *out)
{
    uint8_t label[9 + LAB_MIKEY_RAND];
    struct cph_wr wr = cph_wr_open(label, sizeof label);

    cph_wr_u32(&wr, constant);
    cph_wr_u8(&wr, cs);
    cph_wr_u32(&wr, csb_id);
    cph_wr_span(&wr, rand);
    return prf(from, cph_wr_done(&wr), n, out);
}

cph_err lab_mikey_master(const struct lab_mikey_key *k, uint8_t cs, size_t key_n, size_t salt_n,
                         struct cph_secret *key, struct cph_secret *salt)
{
    struct cph_span rand = { k->rand, k->rand_n };

    *salt = k->salt;
    if (k->tek) {
        *key = k->key;
        return key->n == key_n && salt->n == salt_n ? CPH_OK : CPH_E_UNSUPPORTED;
    }
    CPH_TRY(derive(&k->key, 0x2ad01c64, cs, k->csb_id, rand, key_n, key));
    if (salt->n == 0)
        CPH_TRY(derive(&k->key, 0x39a2c14b, cs, k->csb_id, rand, salt_n, salt));
    return salt->n == salt_n ? CPH_OK : CPH_E_UNSUPPORTED;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* 4.2.3 */
static cph_err counter_mode(const struct parts *m, struct cph_span rand,
                            const struct cph_secret *under, uint8_t *out)
{
    CPH_SECRET_SCOPED key = { 0 };
    CPH_SECRET_SCOPED iv = { 0 };
    uint8_t mask[CM_SALT];
    struct cph_wr wr = cph_wr_open(mask, sizeof mask);
    struct cph_aes *aes;
    cph_err err;

    CPH_TRY(derive(under, 0x150533e1, 0xff, m->csb_id, rand, CM_KEY, &key));
    CPH_TRY(derive(under, 0x29b88916, 0xff, m->csb_id, rand, CM_SALT, &iv));
    cph_wr_u16(&wr, 0);
    cph_wr_u32(&wr, m->csb_id);
    cph_wr_u64(&wr, m->ts);
    for (size_t i = 0; i < CM_SALT; i++)
        iv.b[i] ^= mask[i];
    CPH_TRY(cph_aes_new(CPH_AES_CTR, cph_secret_span(&key), &aes));
    err = cph_aes_ctr(aes, iv.b, m->box.p, out, m->box.n);
    cph_aes_free(aes);
    return err;
}

/* 6.13: key data, behind an identity or not. Nothing says that it was decrypted rightly, so what is
 * no key is passed over. */
static unsigned tell(struct cph_span clear, bool id, const struct parts *m, struct cph_span rand,
                     lab_mikey_found_fn *found, void *ctx)
{
    struct cph_rd rd = cph_rd_open(clear);
    uint8_t next = id ? P_ID : P_KEY;
    unsigned n = 0;

    while (next != P_LAST && cph_rd_more(&rd)) {
        struct lab_mikey_key k = { .csb_id = m->csb_id, .rand_n = (uint8_t)rand.n };
        uint8_t what = next, type;
        struct cph_span key, salt = { 0 };

        next = cph_rd_u8(&rd);
        type = cph_rd_u8(&rd);
        key = cph_rd_span(&rd, cph_rd_u16(&rd));
        if (what == P_ID)
            continue;
        if (type >> 4 & 1)
            salt = cph_rd_span(&rd, cph_rd_u16(&rd));
        if ((type & 15U) == 1)
            (void)cph_rd_span(&rd, cph_rd_u8(&rd)); /* an MKI; the listener tries all keys */
        if (what != P_KEY || rd.failed || type >> 4 > 3 || key.n < 16 ||
            cph_secret_set(&k.key, key) != CPH_OK || cph_secret_set(&k.salt, salt) != CPH_OK)
            break;
        k.tek = type >> 5;
        memcpy(k.rand, rand.p, rand.n);
        found(ctx, &k);
        n++;
        cph_wipe(&k, sizeof k);
    }
    return n;
}

/* Of an envelope's content the first is the sender's name; ECMQV proves that by its keys. */
static bool named_inside(const struct parts *m)
{
    return m->pke.n > 0 && m->type != T_MQV;
}

static unsigned open_with(const struct parts *m, struct cph_span rand,
                          const struct cph_secret *under, lab_mikey_found_fn *found, void *ctx)
{
    uint8_t clear[BOX];
    unsigned n = 0;

    if (m->box.n <= sizeof clear && m->encr == 1 && counter_mode(m, rand, under, clear) == CPH_OK)
        n = tell((struct cph_span){ clear, m->box.n }, named_inside(m), m, rand, found, ctx);
    cph_wipe(clear, sizeof clear);
    return n;
}

static cph_err chance(void *ctx, void *buf, size_t n)
{
    return cph_crypto_random(ctx, buf, n);
}

static const struct cph_env env = { .random = chance };

/* The receiver's key opens ECIES; one-pass MQV needs the sender's certificate besides. */
static unsigned open_on_curve(const struct parts *m, struct cph_span rand,
                              const struct cph_key *key, lab_mikey_found_fn *found, void *ctx)
{
    CPH_SECRET_SCOPED under = { 0 };
    struct cph_cert *cert = NULL;
    struct cph_key *sender = NULL;
    cph_err err;

    if (m->type != T_MQV) {
        err = cph_ecies_decrypt(key, m->pke, &under);
    } else {
        err = cph_cert_parse(&env, m->cert, &cert);
        if (err == CPH_OK)
            err = cph_cert_key(&env, cert, &sender);
        if (err == CPH_OK)
            err = cph_mqv_finish(key, sender, m->pke, &under);
        cph_key_free(sender);
        cph_cert_free(cert);
    }
    return err == CPH_OK ? open_with(m, rand, &under, found, ctx) : 0;
}

static unsigned open_envelope(const struct parts *m, struct cph_span rand,
                              const struct cph_key *key, lab_mikey_found_fn *found, void *ctx)
{
    unsigned n = 0;

    if (m->type == T_MQV || cph_ecies_fits(key))
        return open_on_curve(m, rand, key, found, ctx);

    for (int oaep = 0; oaep < 2 && n == 0 && cph_key_kind(key) == CPH_KEY_RSA; oaep++) {
        CPH_SECRET_SCOPED envelope = { 0 };

        if (cph_rsa_decrypt(&env, key, oaep ? CPH_RSA_OAEP : CPH_RSA_PKCS1, m->pke, 16,
                            &envelope) == CPH_OK)
            n = open_with(m, rand, &envelope, found, ctx);
    }
    return n;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void remember(struct lab_mikey_reader *r, const struct parts *m)
{
    if (r->n == LAB_MIKEY_SEEN)
        return;
    r->seen[r->n].csb_id = m->csb_id;
    r->seen[r->n].ts = m->ts;
    r->seen[r->n].rand_n = (uint8_t)m->rand.n;
    memcpy(r->seen[r->n++].rand, m->rand.p, m->rand.n);
}

/* The answer of RSA-R, and updates, are under what the first message of the bundle said. */
static struct cph_span rand_of(const struct lab_mikey_reader *r, struct parts *m)
{
    for (unsigned i = 0; i < r->n && m->rand.n == 0; i++)
        if (r->seen[i].csb_id == m->csb_id) {
            if (!m->has_ts)
                m->ts = r->seen[i].ts;
            return (struct cph_span){ r->seen[i].rand, r->seen[i].rand_n };
        }
    return m->rand;
}

unsigned lab_mikey_read(struct lab_mikey_reader *r, struct cph_span msg,
                        const struct lab_loot *loot, lab_mikey_found_fn *found, void *ctx)
{
    struct parts m;
    struct cph_span rand;
    unsigned n = 0;

    if (!parse(msg, &m))
        return 0;
    rand = rand_of(r, &m);
    if (m.rand.n > 0)
        remember(r, &m);
    if (!m.has_box || rand.n == 0)
        return 0;
    if (m.encr == 0) /* in clear */
        return tell(m.box, named_inside(&m), &m, rand, found, ctx);
    for (unsigned i = 0; loot && m.pke.n == 0 && i < loot->n_secrets; i++)
        n += open_with(&m, rand, loot->secret[i], found, ctx);
    for (unsigned i = 0; loot && m.pke.n > 0 && i < loot->n_keys; i++)
        n += open_envelope(&m, rand, loot->key[i], found, ctx);
    return n;
}
