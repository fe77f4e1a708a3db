#include "mikey_int.h"

#include <string.h>

/*
 * RFC 3830 6: a common header, then payloads. Each begins with the type of the next; the last says
 * 0, and SIGN, always the last, says nothing.
 *
 *   +-----+------+------+-------+--------+-----+----------+-----------------------+
 *   | ver | type | next | V|PRF | CSB ID | #CS | map type | #CS * (policy SSRC ROC)|   HDR
 *   +-----+------+------+-------+--------+-----+----------+-----------------------+
 *      1     1      1       1       4       1       1          9 each
 *   +------+---------+----------+       +------+-------+------+
 *   | next | TS type | TS value |  T    | next | len:1 | RAND |  RAND
 *   +------+---------+----------+       +------+-------+------+
 *   +------+------+-------+------+      +------+------+------+
 *   | next | type | len:2 | data |      | next | hash | hash |  CHASH
 *   +------+------+-------+------+      +------+------+------+
 *      ID, CERT, General Extension
 *   +------+----+------+-------+--------+      +------+-------+-----------+
 *   | next | no | prot | len:2 | params |  SP  | next | error | reserved:2 |  ERR
 *   +------+----+------+-------+--------+      +------+-------+-----------+
 *   +------+------+-------+------+-----+-----+
 *   | next | encr | len:2 | data | mac | MAC |  KEMAC
 *   +------+------+-------+------+-----+-----+
 *   +------+-------+--------+-----------+----+     +------+-------------+------+
 *   | next | group | value  | 4 res|4 KV | KV |  DH | next | 2 C | 14 len | data |  PKE
 *   +------+-------+--------+-----------+----+     +------+-------------+------+
 *   +------+-----+-----+        +-----------------+-----------+
 *   | next | alg | MAC |  V     | 4 type | 12 len | signature |  SIGN
 *   +------+-----+-----+        +-----------------+-----------+
 */

#define BIT(payload) (1U << (payload))

enum {
    ANY_EXTRA = BIT(MIKEY_EXT),
};

/* What a message of each type must have and may have. RFC 3830 3 and 4.5 (updates leave things
 * out), RFC 4650 3, RFC 4738 3.1. */
static const struct {
    uint32_t must, may;
} shape[MIKEY_TYPES_] = {
    [MIKEY_PSK_I] = { BIT(MIKEY_T) | BIT(MIKEY_KEMAC),
                      BIT(MIKEY_RAND) | BIT(MIKEY_ID) | BIT(MIKEY_SP) },
    [MIKEY_PSK_V] = { BIT(MIKEY_T) | BIT(MIKEY_V), BIT(MIKEY_ID) },
    [MIKEY_PK_I] = { BIT(MIKEY_T) | BIT(MIKEY_PKE) | BIT(MIKEY_SIGN),
                     BIT(MIKEY_RAND) | BIT(MIKEY_ID) | BIT(MIKEY_CERT) | BIT(MIKEY_SP) |
                         BIT(MIKEY_KEMAC) | BIT(MIKEY_CHASH) },
    [MIKEY_PK_V] = { BIT(MIKEY_T) | BIT(MIKEY_V), BIT(MIKEY_ID) },
    [MIKEY_DH_I] = { BIT(MIKEY_T) | BIT(MIKEY_SIGN), BIT(MIKEY_RAND) | BIT(MIKEY_ID) |
                                                         BIT(MIKEY_CERT) | BIT(MIKEY_SP) |
                                                         BIT(MIKEY_DH) },
    [MIKEY_DH_R] = { BIT(MIKEY_T) | BIT(MIKEY_ID) | BIT(MIKEY_SIGN),
                     BIT(MIKEY_CERT) | BIT(MIKEY_DH) },
    [MIKEY_ERROR] = { BIT(MIKEY_T) | BIT(MIKEY_ERR),
                      BIT(MIKEY_SP) | BIT(MIKEY_V) | BIT(MIKEY_SIGN) | BIT(MIKEY_ID) },
    [MIKEY_DHHMAC_I] = { BIT(MIKEY_T) | BIT(MIKEY_ID) | BIT(MIKEY_KEMAC),
                         BIT(MIKEY_RAND) | BIT(MIKEY_SP) | BIT(MIKEY_DH) },
    [MIKEY_DHHMAC_R] = { BIT(MIKEY_T) | BIT(MIKEY_ID) | BIT(MIKEY_KEMAC), BIT(MIKEY_DH) },
    [MIKEY_RSAR_I] = { BIT(MIKEY_T) | BIT(MIKEY_SIGN),
                       BIT(MIKEY_RAND) | BIT(MIKEY_ID) | BIT(MIKEY_CERT) | BIT(MIKEY_SP) },
    [MIKEY_RSAR_R] = { BIT(MIKEY_T) | BIT(MIKEY_KEMAC) | BIT(MIKEY_PKE) | BIT(MIKEY_SIGN),
                       BIT(MIKEY_RAND) | BIT(MIKEY_ID) | BIT(MIKEY_CERT) | BIT(MIKEY_SP) },
    [MIKEY_MQV_I] = { BIT(MIKEY_T) | BIT(MIKEY_ID) | BIT(MIKEY_PKE) | BIT(MIKEY_KEMAC),
                      BIT(MIKEY_RAND) | BIT(MIKEY_CERT) | BIT(MIKEY_SP) },
    [MIKEY_MQV_V] = { BIT(MIKEY_T) | BIT(MIKEY_V), BIT(MIKEY_ID) },
};

/* ---- numbers that stand for sizes ------------------------------------------------------------ */

size_t mikey_mac_size(uint8_t alg)
{
    return alg == MIKEY_MAC_SHA1 ? MIKEY_MAC : 0;
}

static const struct {
    uint8_t number;
    enum cph_agree_group group;
} groups[] = {
    { MIKEY_OAKLEY5, CPH_AGREE_MODP_1536 },   { MIKEY_OAKLEY2, CPH_AGREE_MODP_1024 },
    { MIKEY_MODP_2048, CPH_AGREE_MODP_2048 }, { MIKEY_MODP_3072, CPH_AGREE_MODP_3072 },
    { MIKEY_MODP_4096, CPH_AGREE_MODP_4096 }, { MIKEY_P256, CPH_AGREE_P256 },
    { MIKEY_P384, CPH_AGREE_P384 },           { MIKEY_P521, CPH_AGREE_P521 },
};

enum { N_GROUPS = sizeof groups / sizeof groups[0] };

bool mikey_group_of(uint8_t number, enum cph_agree_group *out)
{
    for (unsigned i = 0; i < N_GROUPS; i++)
        if (groups[i].number == number) {
            *out = groups[i].group;
            return true;
        }
    return false;
}

bool mikey_group_number(enum cph_agree_group group, uint8_t *out)
{
    for (unsigned i = 0; i < N_GROUPS; i++)
        if (groups[i].group == group) {
            *out = groups[i].number;
            return true;
        }
    return false;
}

size_t mikey_group_size(uint8_t number)
{
    enum cph_agree_group group;

    return mikey_group_of(number, &group) ? cph_agree_public_size(group) : 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    struct mikey_msg *m;
    struct cph_rd rd;
    struct cph_span all;
    enum mikey_error error;
};

static struct cph_span upto(const struct reader *r, const uint8_t *at)
{
    return (struct cph_span){ r->all.p, (size_t)(at - r->all.p) };
}

static cph_err unknown(struct reader *r, enum mikey_error error)
{
    r->error = error;
    return CPH_E_UNSUPPORTED;
}

/* A big-endian number in a field with a length of its own. */
static cph_err read_number(struct cph_rd *rd, uint64_t *out)
{
    struct cph_rd field = cph_rd_vec8(rd);

    *out = 0;
    if (field.n > 8)
        return CPH_E_MALFORMED;
    while (cph_rd_more(&field))
        *out = *out << 8 | cph_rd_u8(&field);
    return cph_rd_end(&field);
}

static cph_err read_kv(struct cph_rd *rd, uint8_t type, struct mikey_kv *out)
{
    struct cph_rd spi;

    out->type = type;
    switch (type) {
    case MIKEY_KV_NULL:
        return CPH_OK;
    case MIKEY_KV_SPI:
        spi = cph_rd_vec8(rd);
        out->spi = cph_rd_rest(&spi);
        if (out->spi.n > CPH_SRTP_MKI_MAX)
            return CPH_E_MALFORMED;
        return cph_rd_end(&spi);
    case MIKEY_KV_INTERVAL:
        CPH_TRY(read_number(rd, &out->from));
        CPH_TRY(read_number(rd, &out->to));
        return out->from > out->to ? CPH_E_MALFORMED : CPH_OK;
    default:
        return CPH_E_UNSUPPORTED;
    }
}

static cph_err read_kemac(struct reader *r, const uint8_t *start)
{
    struct mikey_msg *m = r->m;
    struct cph_rd data;
    bool dhhmac = m->type == MIKEY_DHHMAC_I || m->type == MIKEY_DHHMAC_R;

    m->encr = cph_rd_u8(&r->rd);
    data = cph_rd_vec16(&r->rd);
    m->encrypted = cph_rd_rest(&data);
    m->mac_alg = cph_rd_u8(&r->rd);
    CPH_TRY(cph_rd_end(&data));
    /* RFC 4650 4.2 EXCEPTION: its tables call NULL encryption 2 and HMAC-SHA-1 0, while the
     * registry and RFC 3830 say 0 and 1. We write the registry's and take both. */
    if (dhhmac && m->encrypted.n == 0 && m->encr == 2)
        m->encr = MIKEY_ENCR_NULL;
    if (dhhmac && m->mac_alg == 0 && r->rd.n == MIKEY_MAC)
        m->mac_alg = MIKEY_MAC_SHA1;
    if (m->encr > MIKEY_ENCR_AES_KW)
        return unknown(r, MIKEY_E_EA);
    if (m->mac_alg > MIKEY_MAC_SHA1)
        return unknown(r, MIKEY_E_MAC);
    m->kemac = (struct cph_span){ start, (size_t)(r->rd.p - start) };
    m->covered = upto(r, r->rd.p);
    m->mac = cph_rd_span(&r->rd, mikey_mac_size(m->mac_alg));
    return CPH_OK;
}

static cph_err read_pke(struct reader *r)
{
    uint16_t word = cph_rd_u16(&r->rd);

    r->m->cache = (uint8_t)(word >> 14);
    r->m->envelope = cph_rd_span(&r->rd, word & 0x3fffU);
    return r->m->cache > MIKEY_CACHE_CSB ? unknown(r, MIKEY_E_OTHER) : CPH_OK;
}

static cph_err read_dh(struct reader *r)
{
    struct mikey_dh dh = { .group = cph_rd_u8(&r->rd) };
    uint8_t kv;

    if (r->rd.failed)
        return CPH_E_TRUNCATED;
    if (mikey_group_size(dh.group) == 0)
        return unknown(r, MIKEY_E_DH);
    dh.value = cph_rd_span(&r->rd, mikey_group_size(dh.group));
    kv = cph_rd_u8(&r->rd); /* the upper half is reserved: a sender of a later age may set it */
    CPH_TRY(read_kv(&r->rd, kv & 0x0f, &dh.kv));
    if (r->m->n_dh == 2)
        return CPH_E_MALFORMED;
    r->m->dh[r->m->n_dh++] = dh;
    return CPH_OK;
}

static cph_err read_sign(struct reader *r, const uint8_t *start)
{
    uint16_t word = cph_rd_u16(&r->rd);

    r->m->sig_type = (uint8_t)(word >> 12);
    r->m->before_sign = upto(r, start);
    r->m->covered = upto(r, r->rd.p);
    r->m->sig = cph_rd_span(&r->rd, word & MIKEY_SIG_MAX);
    return CPH_OK;
}

static cph_err read_t(struct reader *r)
{
    r->m->ts_type = cph_rd_u8(&r->rd);
    if (r->m->ts_type > MIKEY_TS_COUNTER)
        return unknown(r, MIKEY_E_TS);
    r->m->ts = r->m->ts_type == MIKEY_TS_COUNTER ? cph_rd_u32(&r->rd) : cph_rd_u64(&r->rd);
    return CPH_OK;
}

static cph_err read_id(struct reader *r)
{
    struct mikey_id id = { .type = cph_rd_u8(&r->rd) };

    id.data = cph_rd_span(&r->rd, cph_rd_u16(&r->rd));
    if (id.type > MIKEY_ID_URI)
        return unknown(r, MIKEY_E_ID);
    if (r->m->n_id == 2 || id.data.n == 0)
        return CPH_E_MALFORMED;
    if (r->m->n_id == 0)
        r->m->id_after_cert = r->m->n_cert > 0;
    r->m->id[r->m->n_id++] = id;
    return CPH_OK;
}

static cph_err read_cert(struct reader *r)
{
    struct mikey_cert cert = { .type = cph_rd_u8(&r->rd) };

    cert.data = cph_rd_span(&r->rd, cph_rd_u16(&r->rd));
    if (cert.type > MIKEY_X509_ENCR)
        return unknown(r, MIKEY_E_CERT);
    if (r->m->n_cert == MIKEY_MAX_CERTS)
        return CPH_E_LIMIT;
    r->m->cert[r->m->n_cert++] = cert;
    return CPH_OK;
}

static cph_err read_chash(struct reader *r)
{
    static const uint8_t size[] = {
        [MIKEY_HASH_SHA1] = 20, [MIKEY_HASH_MD5] = 16, [MIKEY_HASH_SHA256] = 32
    };

    r->m->hash = cph_rd_u8(&r->rd);
    if (r->m->hash > MIKEY_HASH_SHA256)
        return unknown(r, MIKEY_E_HA);
    r->m->chash = cph_rd_span(&r->rd, size[r->m->hash]);
    return CPH_OK;
}

static cph_err read_v(struct reader *r)
{
    r->m->ver_alg = cph_rd_u8(&r->rd);
    if (r->m->ver_alg > MIKEY_MAC_SHA1)
        return unknown(r, MIKEY_E_MAC);
    r->m->covered = upto(r, r->rd.p);
    r->m->ver = cph_rd_span(&r->rd, mikey_mac_size(r->m->ver_alg));
    return CPH_OK;
}

static cph_err read_sp(struct reader *r)
{
    struct mikey_sp sp = { .no = cph_rd_u8(&r->rd), .prot = 0 };

    sp.prot = cph_rd_u8(&r->rd);
    sp.params = cph_rd_span(&r->rd, cph_rd_u16(&r->rd));
    if (sp.prot != 0)
        return unknown(r, MIKEY_E_SP);
    /* RFC 3830 6.10 MUST: each policy has a number of its own (RFC 4738 3.4 gives several under
     * their own numbers) */
    for (unsigned i = 0; i < r->m->n_sp; i++)
        if (r->m->sp[i].no == sp.no)
            return CPH_E_MALFORMED;
    if (r->m->n_sp == MIKEY_MAX_SP)
        return CPH_E_LIMIT;
    r->m->sp[r->m->n_sp++] = sp;
    return CPH_OK;
}

static cph_err read_rand(struct reader *r)
{
    struct cph_rd field = cph_rd_vec8(&r->rd);

    r->m->rand = cph_rd_rest(&field);
    return cph_rd_end(&field);
}

static cph_err read_error(struct reader *r)
{
    uint8_t no = cph_rd_u8(&r->rd);

    (void)cph_rd_u16(&r->rd); /* reserved */
    if (r->m->n_error == MIKEY_MAX_ERR)
        return CPH_E_LIMIT;
    r->m->error[r->m->n_error++] = no;
    return CPH_OK;
}

static cph_err read_ext(struct reader *r)
{
    struct mikey_ext ext = { .type = cph_rd_u8(&r->rd) };

    ext.data = cph_rd_span(&r->rd, cph_rd_u16(&r->rd));
    for (unsigned i = 0; i < r->m->n_ext; i++)
        if (r->m->ext[i].type == ext.type)
            return CPH_E_MALFORMED; /* which one would count? */
    if (r->m->n_ext == MIKEY_MAX_EXT)
        return CPH_E_LIMIT;
    r->m->ext[r->m->n_ext++] = ext;
    return CPH_OK;
}

static cph_err read_body(struct reader *r, uint8_t type, const uint8_t *start)
{
    switch (type) {
    case MIKEY_KEMAC:
        return read_kemac(r, start);
    case MIKEY_PKE:
        return read_pke(r);
    case MIKEY_DH:
        return read_dh(r);
    case MIKEY_T:
        return read_t(r);
    case MIKEY_ID:
        return read_id(r);
    case MIKEY_CERT:
        return read_cert(r);
    case MIKEY_CHASH:
        return read_chash(r);
    case MIKEY_V:
        return read_v(r);
    case MIKEY_SP:
        return read_sp(r);
    case MIKEY_RAND:
        return read_rand(r);
    case MIKEY_ERR:
        return read_error(r);
    case MIKEY_EXT:
        return read_ext(r);
    default:
        return CPH_E_MALFORMED;
    }
}

/* One payload; *type becomes that of the next. */
static cph_err read_payload(struct reader *r, uint8_t *type)
{
    static const uint32_t once = BIT(MIKEY_KEMAC) | BIT(MIKEY_PKE) | BIT(MIKEY_SIGN) |
                                 BIT(MIKEY_T) | BIT(MIKEY_CHASH) | BIT(MIKEY_V) | BIT(MIKEY_RAND);
    const uint8_t *start = r->rd.p;
    uint8_t is = *type;
    uint32_t may = shape[r->m->type].must | shape[r->m->type].may | ANY_EXTRA;

    if (is > MIKEY_EXT || !(may & BIT(is)) || (r->m->has & once & BIT(is)))
        return CPH_E_MALFORMED;
    r->m->has |= BIT(is);
    if (is == MIKEY_SIGN) {
        *type = MIKEY_LAST;
        CPH_TRY(read_sign(r, start));
    } else {
        *type = cph_rd_u8(&r->rd);
        CPH_TRY(read_body(r, is, start));
    }
    if (r->rd.failed)
        return CPH_E_TRUNCATED;
    /* What proves the message stands at its end, or it would prove only a part. In the public-key
     * modes the KEMAC is inside, and SIGN is the proof. RFC 3830 6.2, 6.5, 6.9 */
    if (*type != MIKEY_LAST && (is == MIKEY_V || (is == MIKEY_KEMAC && r->m->type != MIKEY_PK_I &&
                                                  r->m->type != MIKEY_RSAR_R)))
        return CPH_E_MALFORMED;
    return CPH_OK;
}

static cph_err read_hdr(struct reader *r, uint8_t *next)
{
    struct mikey_msg *m = r->m;
    uint8_t version = cph_rd_u8(&r->rd), type = cph_rd_u8(&r->rd), flags, map;

    *next = cph_rd_u8(&r->rd);
    flags = cph_rd_u8(&r->rd);
    m->csb_id = cph_rd_u32(&r->rd);
    m->n_cs = cph_rd_u8(&r->rd);
    map = cph_rd_u8(&r->rd);
    if (r->rd.failed)
        return CPH_E_TRUNCATED;
    if (version != MIKEY_VERSION)
        return unknown(r, MIKEY_E_PARSE);
    if (type >= MIKEY_MQV_I) /* of ours, or none */
        type = type >= MIKEY_MQV_I + MIKEY_PRIVATE ? (uint8_t)(type - MIKEY_PRIVATE) : MIKEY_TYPES_;
    if (type >= MIKEY_TYPES_)
        return unknown(r, MIKEY_E_DT);
    m->type = (enum mikey_type)type;
    m->v = flags & 0x80;
    m->prf = flags & 0x7f;
    if (m->prf != 0)
        return unknown(r, MIKEY_E_PRF);
    if (map != MIKEY_MAP_SRTP)
        return unknown(r, MIKEY_E_PARSE);
    for (unsigned i = 0; i < m->n_cs; i++) {
        m->cs[i].policy = cph_rd_u8(&r->rd);
        m->cs[i].ssrc = cph_rd_u32(&r->rd);
        m->cs[i].roc = cph_rd_u32(&r->rd);
    }
    return r->rd.failed ? CPH_E_TRUNCATED : CPH_OK;
}

static cph_err read_all(struct reader *r)
{
    uint8_t type = MIKEY_LAST;

    CPH_TRY(read_hdr(r, &type));
    while (type != MIKEY_LAST)
        CPH_TRY(read_payload(r, &type));
    CPH_TRY(cph_rd_end(&r->rd));
    if ((r->m->has & shape[r->m->type].must) != shape[r->m->type].must)
        return CPH_E_MALFORMED;
    return CPH_OK;
}

cph_err mikey_parse(struct cph_span bytes, struct mikey_msg *out, enum mikey_error *error)
{
    struct mikey_msg m = { .all = bytes };
    struct reader r = { &m, cph_rd_open(bytes), bytes, MIKEY_E_PARSE };
    cph_err err = bytes.n > MIKEY_MSG_MAX ? CPH_E_LIMIT : read_all(&r);

    if (err != CPH_OK) {
        if (error)
            *error = r.error;
        return err;
    }
    *out = m;
    return CPH_OK;
}

/*
 * RFC 3830 6.13, inside a KEMAC (in public-key modes behind an ID payload):
 *
 *   +------+-------------+-------+-----+------------+------+----+
 *   | next | 4 type|4 KV | len:2 | key | [len:2 salt]| [KV] |
 *   +------+-------------+-------+-----+------------+------+----+
 */
static cph_err read_key(struct cph_rd *rd, uint8_t *next, struct mikey_keydata *k)
{
    uint8_t kinds;

    *next = cph_rd_u8(rd);
    kinds = cph_rd_u8(rd);
    k->type = kinds >> 4;
    if (k->type > MIKEY_TEK_SALT)
        return CPH_E_UNSUPPORTED;
    k->key = cph_rd_span(rd, cph_rd_u16(rd));
    if (k->type == MIKEY_TGK_SALT || k->type == MIKEY_TEK_SALT)
        k->salt = cph_rd_span(rd, cph_rd_u16(rd));
    CPH_TRY(read_kv(rd, kinds & 0x0f, &k->kv));
    return rd->failed ? CPH_E_TRUNCATED : CPH_OK;
}

cph_err mikey_keydata_parse(struct cph_span clear, bool want_id, struct mikey_id *id,
                            struct mikey_keydata *out, unsigned *n)
{
    struct cph_rd rd = cph_rd_open(clear);
    uint8_t next = clear.n > 0 ? MIKEY_KEY : MIKEY_LAST;

    *n = 0;
    if (want_id) {
        next = cph_rd_u8(&rd);
        id->type = cph_rd_u8(&rd);
        id->data = cph_rd_span(&rd, cph_rd_u16(&rd));
    }
    while (next != MIKEY_LAST && !rd.failed) {
        if (next != MIKEY_KEY)
            return CPH_E_MALFORMED;
        if (*n == MIKEY_MAX_KEYS)
            return CPH_E_LIMIT;
        out[*n] = (struct mikey_keydata){ 0 };
        CPH_TRY(read_key(&rd, &next, &out[*n]));
        ++*n;
    }
    return cph_rd_end(&rd);
}

struct cph_span mikey_ext_of(const struct mikey_msg *m, enum mikey_ext_type type, bool *found)
{
    for (unsigned i = 0; i < m->n_ext; i++)
        if (m->ext[i].type == type) {
            *found = true;
            return m->ext[i].data;
        }
    *found = false;
    return (struct cph_span){ 0 };
}
