/* Writing messages; wire.c has their pictures. Each payload names the one behind it. */
#include "mikey_int.h"

struct mikey_out mikey_begin(void *buf, size_t cap, const struct mikey_hdr *hdr)
{
    struct mikey_out o = { cph_wr_open(buf, cap), 0 };

    cph_wr_u8(&o.wr, MIKEY_VERSION);
    cph_wr_u8(&o.wr, (uint8_t)(hdr->type + (hdr->type >= MIKEY_MQV_I ? MIKEY_PRIVATE : 0)));
    o.next_at = cph_wr_mark(&o.wr);
    cph_wr_u8(&o.wr, MIKEY_LAST);
    cph_wr_u8(&o.wr, hdr->v ? 0x80 : 0);
    cph_wr_u32(&o.wr, hdr->csb_id);
    cph_wr_u8(&o.wr, (uint8_t)hdr->n_cs);
    cph_wr_u8(&o.wr, MIKEY_MAP_SRTP);
    for (unsigned i = 0; i < hdr->n_cs; i++) {
        cph_wr_u8(&o.wr, hdr->cs[i].policy);
        cph_wr_u32(&o.wr, hdr->cs[i].ssrc);
        cph_wr_u32(&o.wr, hdr->cs[i].roc);
    }
    return o;
}

/* The payload before this one learns what comes behind it. */
static void chain(struct mikey_out *o, enum mikey_payload type)
{
    if (!o->wr.failed)
        o->wr.p[o->next_at] = (uint8_t)type;
    o->next_at = cph_wr_mark(&o->wr);
    if (type != MIKEY_SIGN)
        cph_wr_u8(&o->wr, MIKEY_LAST);
}

static void put_long(struct mikey_out *o, enum mikey_payload payload, uint8_t type,
                     struct cph_span data)
{
    chain(o, payload);
    cph_wr_u8(&o->wr, type);
    if (data.n > UINT16_MAX)
        o->wr.failed = true;
    cph_wr_u16(&o->wr, (uint16_t)data.n);
    cph_wr_span(&o->wr, data);
}

void mikey_put_t(struct mikey_out *o, uint8_t type, uint64_t ts)
{
    chain(o, MIKEY_T);
    cph_wr_u8(&o->wr, type);
    if (type == MIKEY_TS_COUNTER)
        cph_wr_u32(&o->wr, (uint32_t)ts);
    else
        cph_wr_u64(&o->wr, ts);
}

void mikey_put_rand(struct mikey_out *o, struct cph_span rand)
{
    chain(o, MIKEY_RAND);
    cph_wr_u8(&o->wr, (uint8_t)rand.n);
    cph_wr_span(&o->wr, rand);
}

void mikey_put_id(struct mikey_out *o, const struct mikey_id *id)
{
    put_long(o, MIKEY_ID, id->type, id->data);
}

void mikey_put_cert(struct mikey_out *o, uint8_t type, struct cph_span der)
{
    put_long(o, MIKEY_CERT, type, der);
}

void mikey_put_chash(struct mikey_out *o, uint8_t hash, struct cph_span bytes)
{
    chain(o, MIKEY_CHASH);
    cph_wr_u8(&o->wr, hash);
    cph_wr_span(&o->wr, bytes);
}

void mikey_put_sp(struct mikey_out *o, const struct mikey_sp *sp)
{
    chain(o, MIKEY_SP);
    cph_wr_u8(&o->wr, sp->no);
    cph_wr_u8(&o->wr, sp->prot);
    cph_wr_u16(&o->wr, (uint16_t)sp->params.n);
    cph_wr_span(&o->wr, sp->params);
}

void mikey_put_ext(struct mikey_out *o, uint8_t type, struct cph_span data)
{
    put_long(o, MIKEY_EXT, type, data);
}

void mikey_put_error(struct mikey_out *o, enum mikey_error error)
{
    chain(o, MIKEY_ERR);
    cph_wr_u8(&o->wr, (uint8_t)error);
    cph_wr_u16(&o->wr, 0);
}

static void put_number(struct cph_wr *wr, uint64_t v)
{
    cph_wr_u8(wr, 6); /* RFC 3830 6.14: the size of SRTP's index */
    cph_wr_u48(wr, v);
}

static void put_kv(struct cph_wr *wr, const struct mikey_kv *kv)
{
    if (kv->type == MIKEY_KV_SPI) {
        cph_wr_u8(wr, (uint8_t)kv->spi.n);
        cph_wr_span(wr, kv->spi);
    } else if (kv->type == MIKEY_KV_INTERVAL) {
        put_number(wr, kv->from);
        put_number(wr, kv->to);
    }
}

void mikey_put_dh(struct mikey_out *o, const struct mikey_dh *dh)
{
    chain(o, MIKEY_DH);
    cph_wr_u8(&o->wr, dh->group);
    cph_wr_span(&o->wr, dh->value);
    cph_wr_u8(&o->wr, dh->kv.type);
    put_kv(&o->wr, &dh->kv);
}

void mikey_put_pke(struct mikey_out *o, uint8_t cache, struct cph_span data)
{
    chain(o, MIKEY_PKE);
    if (data.n > 0x3fff)
        o->wr.failed = true;
    cph_wr_u16(&o->wr, (uint16_t)((unsigned)cache << 14 | (unsigned)data.n));
    cph_wr_span(&o->wr, data);
}

size_t mikey_put_kemac(struct mikey_out *o, uint8_t encr, struct cph_span data, uint8_t mac)
{
    size_t at;

    put_long(o, MIKEY_KEMAC, encr, data);
    cph_wr_u8(&o->wr, mac);
    at = cph_wr_mark(&o->wr);
    cph_wr_zero(&o->wr, mikey_mac_size(mac));
    return at;
}

size_t mikey_put_v(struct mikey_out *o, uint8_t alg)
{
    size_t at;

    chain(o, MIKEY_V);
    cph_wr_u8(&o->wr, alg);
    at = cph_wr_mark(&o->wr);
    cph_wr_zero(&o->wr, mikey_mac_size(alg));
    return at;
}

size_t mikey_put_sign(struct mikey_out *o, uint8_t type, size_t n)
{
    size_t at;

    chain(o, MIKEY_SIGN);
    if (n > MIKEY_SIG_MAX)
        o->wr.failed = true;
    cph_wr_u16(&o->wr, (uint16_t)((unsigned)type << 12 | (unsigned)n));
    at = cph_wr_mark(&o->wr);
    cph_wr_zero(&o->wr, n);
    return at;
}

static void chain_sub(struct cph_wr *wr, size_t *next_at, enum mikey_payload type)
{
    if (wr->n > 0 && !wr->failed)
        wr->p[*next_at] = (uint8_t)type;
    *next_at = cph_wr_mark(wr);
    cph_wr_u8(wr, MIKEY_LAST);
}

void mikey_put_sub_id(struct cph_wr *wr, size_t *next_at, const struct mikey_id *id)
{
    chain_sub(wr, next_at, MIKEY_ID);
    cph_wr_u8(wr, id->type);
    cph_wr_u16(wr, (uint16_t)id->data.n);
    cph_wr_span(wr, id->data);
}

void mikey_put_sub_key(struct cph_wr *wr, size_t *next_at, const struct mikey_keydata *key)
{
    chain_sub(wr, next_at, MIKEY_KEY);
    cph_wr_u8(wr, (uint8_t)(key->type << 4 | key->kv.type));
    cph_wr_u16(wr, (uint16_t)key->key.n);
    cph_wr_span(wr, key->key);
    if (key->type == MIKEY_TGK_SALT || key->type == MIKEY_TEK_SALT) {
        cph_wr_u16(wr, (uint16_t)key->salt.n);
        cph_wr_span(wr, key->salt);
    }
    put_kv(wr, &key->kv);
}
