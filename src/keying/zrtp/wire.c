/* Packets and messages of RFC 6189 5. No state, no keys: MACs are carried, not checked. */
#include "zrtp_wire.h"

#include <string.h>

#include "ciphony/base_text.h"

enum { COOKIE = 0x5a525450, PREAMBLE = 0x505a };

/* Type block, and length in words; 0: it varies. */
static const struct {
    char name[9];
    uint16_t words;
} types[ZRTP_TYPES] = {
    [ZRTP_HELLO] = { "Hello   ", 0 },    [ZRTP_HELLOACK] = { "HelloACK", 3 },
    [ZRTP_COMMIT] = { "Commit  ", 0 },   [ZRTP_DHPART1] = { "DHPart1 ", 0 },
    [ZRTP_DHPART2] = { "DHPart2 ", 0 },  [ZRTP_CONFIRM1] = { "Confirm1", 0 },
    [ZRTP_CONFIRM2] = { "Confirm2", 0 }, [ZRTP_CONF2ACK] = { "Conf2ACK", 3 },
    [ZRTP_ERROR] = { "Error   ", 4 },    [ZRTP_ERRORACK] = { "ErrorACK", 3 },
    [ZRTP_GOCLEAR] = { "GoClear ", 5 },  [ZRTP_CLEARACK] = { "ClearACK", 3 },
    [ZRTP_SASRELAY] = { "SASrelay", 0 }, [ZRTP_RELAYACK] = { "RelayACK", 3 },
    [ZRTP_PING] = { "Ping    ", 6 },     [ZRTP_PINGACK] = { "PingACK ", 9 },
};

static void take(struct cph_rd *rd, uint8_t *out, size_t n)
{
    struct cph_span s = cph_rd_span(rd, n);

    if (s.n == n)
        memcpy(out, s.p, n);
}

/* ---- packets --------------------------------------------------------------------------------- */

/*
 * Figure 2:
 *    4 bits     12 bits      u16     4 bytes   u32                4 bytes
 *   +--------+------------+-------+---------+------+---------+---------+
 *   | 0001   | not used   |  seq  | 'ZRTP'  | SSRC | message | CRC-32C |
 *   +--------+------------+-------+---------+------+---------+---------+
 */
cph_err zrtp_packet_parse(struct cph_span bytes, struct zrtp_packet *out)
{
    struct cph_rd rd = cph_rd_open(bytes);
    struct zrtp_packet v;
    uint16_t first = cph_rd_u16(&rd);
    uint32_t cookie, crc;

    v.seq = cph_rd_u16(&rd);
    cookie = cph_rd_u32(&rd);
    v.ssrc = cph_rd_u32(&rd);
    v.msg = cph_rd_span(&rd, rd.n >= 4 ? rd.n - 4 : SIZE_MAX);
    crc = cph_rd_u32(&rd);
    CPH_TRY(cph_rd_end(&rd));
    /* 5 MUST: the 12 bits not used are ignored */
    if (first >> 12 != 1 || cookie != COOKIE)
        return CPH_E_MALFORMED;
    /* 5: what fails its CRC is silently discarded */
    if (crc != zrtp_crc32c(cph_span_head(bytes, bytes.n - 4)))
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

void zrtp_packet_build(struct cph_wr *wr, const struct zrtp_packet *packet)
{
    size_t at = cph_wr_mark(wr);
    struct cph_span done;

    cph_wr_u16(wr, 0x1000);
    cph_wr_u16(wr, packet->seq);
    cph_wr_u32(wr, COOKIE);
    cph_wr_u32(wr, packet->ssrc);
    cph_wr_span(wr, packet->msg);
    done = cph_wr_done(wr);
    cph_wr_u32(wr, zrtp_crc32c(cph_span_from(done, at)));
}

/* ---- Hello ----------------------------------------------------------------------------------- */

/*
 * Figure 3, behind the type block:
 *   version 4 | client 16 | H3 32 | ZID 12 | 0SMP, 8 bits not used, hc cc ac kc sc of 4 bits each |
 *   the lists, 4 bytes a type | MAC 8
 */
static cph_err hello_parse(struct cph_rd *rd, struct zrtp_hello *v)
{
    uint32_t word;

    take(rd, v->version, sizeof v->version);
    take(rd, v->client, sizeof v->client);
    take(rd, v->h3, sizeof v->h3);
    take(rd, v->zid, sizeof v->zid);
    word = cph_rd_u32(rd);
    v->s = word >> 30 & 1;
    v->m = word >> 29 & 1;
    v->p = word >> 28 & 1;
    for (int k = 0; k < ZRTP_KINDS; k++) {
        v->list[k].n = word >> (16 - 4 * k) & 15;
        if (v->list[k].n > ZRTP_LIST)
            return CPH_E_MALFORMED;
        for (unsigned i = 0; i < v->list[k].n; i++)
            v->list[k].id[i] = cph_rd_u32(rd);
    }
    take(rd, v->mac, sizeof v->mac);
    return CPH_OK;
}

static void hello_build(struct cph_wr *wr, const struct zrtp_hello *v)
{
    uint32_t word = (uint32_t)v->s << 30 | (uint32_t)v->m << 29 | (uint32_t)v->p << 28;

    cph_wr_bytes(wr, v->version, sizeof v->version);
    cph_wr_bytes(wr, v->client, sizeof v->client);
    cph_wr_bytes(wr, v->h3, sizeof v->h3);
    cph_wr_bytes(wr, v->zid, sizeof v->zid);
    for (int k = 0; k < ZRTP_KINDS; k++)
        word |= (v->list[k].n & 15) << (16 - 4 * k);
    cph_wr_u32(wr, word);
    for (int k = 0; k < ZRTP_KINDS; k++)
        for (unsigned i = 0; i < v->list[k].n; i++)
            cph_wr_u32(wr, v->list[k].id[i]);
    cph_wr_bytes(wr, v->mac, sizeof v->mac);
}

/* ---- Commit ---------------------------------------------------------------------------------- */

static enum cph_zrtp_mode mode_of(uint32_t agreement)
{
    if (agreement == ZRTP_MULT)
        return CPH_ZRTP_MULTISTREAM;
    return agreement == ZRTP_PRSH ? CPH_ZRTP_PRESHARED : CPH_ZRTP_DH;
}

/*
 * Figures 5, 6, 7, behind the type block:
 *   H2 32 | ZID 12 | hash 4 | cipher 4 | tag 4 | agreement 4 | SAS 4 |
 *   hvi 32, or nonce 16 (Mult), or nonce 16 and keyID 8 (Prsh) | MAC 8
 */
static cph_err commit_parse(struct cph_rd *rd, struct zrtp_commit *v)
{
    take(rd, v->h2, sizeof v->h2);
    take(rd, v->zid, sizeof v->zid);
    for (int k = 0; k < ZRTP_KINDS; k++)
        v->id[k] = cph_rd_u32(rd);
    v->mode = mode_of(v->id[ZRTP_K_AGREEMENT]);
    take(rd, v->hvi, v->mode == CPH_ZRTP_DH ? ZRTP_HASH : ZRTP_NONCE);
    if (v->mode == CPH_ZRTP_PRESHARED)
        take(rd, v->key_id, sizeof v->key_id);
    take(rd, v->mac, sizeof v->mac);
    return CPH_OK;
}

static void commit_build(struct cph_wr *wr, const struct zrtp_commit *v)
{
    cph_wr_bytes(wr, v->h2, sizeof v->h2);
    cph_wr_bytes(wr, v->zid, sizeof v->zid);
    for (int k = 0; k < ZRTP_KINDS; k++)
        cph_wr_u32(wr, v->id[k]);
    cph_wr_bytes(wr, v->hvi, v->mode == CPH_ZRTP_DH ? ZRTP_HASH : ZRTP_NONCE);
    if (v->mode == CPH_ZRTP_PRESHARED)
        cph_wr_bytes(wr, v->key_id, sizeof v->key_id);
    cph_wr_bytes(wr, v->mac, sizeof v->mac);
}

/* ---- DHPart1, DHPart2 ------------------------------------------------------------------------ */

/* Figures 8, 9: H1 32 | rs1ID 8 | rs2ID 8 | auxsecretID 8 | pbxsecretID 8 | pv | MAC 8 */
static cph_err dhpart_parse(struct cph_rd *rd, struct zrtp_dhpart *v)
{
    take(rd, v->h1, sizeof v->h1);
    for (int i = 0; i < ZRTP_SECRETS; i++)
        take(rd, v->id[i], ZRTP_MAC);
    v->pv = cph_rd_span(rd, rd->n >= ZRTP_MAC ? rd->n - ZRTP_MAC : SIZE_MAX);
    take(rd, v->mac, sizeof v->mac);
    if (!rd->failed && (v->pv.n == 0 || v->pv.n > CPH_AGREE_PUBLIC_MAX))
        return CPH_E_MALFORMED;
    return CPH_OK;
}

static void dhpart_build(struct cph_wr *wr, const struct zrtp_dhpart *v)
{
    cph_wr_bytes(wr, v->h1, sizeof v->h1);
    for (int i = 0; i < ZRTP_SECRETS; i++)
        cph_wr_bytes(wr, v->id[i], ZRTP_MAC);
    cph_wr_span(wr, v->pv);
    cph_wr_bytes(wr, v->mac, sizeof v->mac);
}

/* ---- Confirm1, Confirm2, SASrelay ------------------------------------------------------------ */

/* Figures 10, 16: MAC 8 | CFB IV 16 | encrypted part */
static cph_err sealed_parse(struct cph_rd *rd, struct zrtp_sealed *v)
{
    take(rd, v->mac, sizeof v->mac);
    take(rd, v->iv, sizeof v->iv);
    v->cipher = cph_rd_rest(rd);
    return CPH_OK;
}

static void sealed_build(struct cph_wr *wr, const struct zrtp_sealed *v)
{
    cph_wr_bytes(wr, v->mac, sizeof v->mac);
    cph_wr_bytes(wr, v->iv, sizeof v->iv);
    cph_wr_span(wr, v->cipher);
}

/* 15 bits not used | sig len, 9 bits, in words with the type | flags, 8 bits */
static unsigned flags_read(struct cph_rd *rd, size_t *sig_n)
{
    uint32_t word = cph_rd_u32(rd);

    *sig_n = 4 * (size_t)(word >> 8 & 0x1ff);
    return word & 0xff;
}

static void flags_write(struct cph_wr *wr, unsigned flags, struct cph_span sig)
{
    size_t words = sig.n ? 1 + (sig.n + 3) / 4 : 0;

    cph_wr_u32(wr, (uint32_t)(words << 8) | (flags & 0xff));
}

static void sig_read(struct cph_rd *rd, size_t n, char type[4], struct cph_span *sig)
{
    struct cph_span s = cph_rd_span(rd, n);

    *sig = (struct cph_span){ NULL, 0 };
    if (s.n < 4)
        return;
    memcpy(type, s.p, 4);
    *sig = cph_span_from(s, 4);
}

static void sig_write(struct cph_wr *wr, const char type[4], struct cph_span sig)
{
    if (sig.n == 0)
        return;
    cph_wr_bytes(wr, type, 4);
    cph_wr_span(wr, sig);
    cph_wr_zero(wr, (4 - sig.n % 4) % 4);
}

/* H0 32 | flags | cache expiration interval u32 | [signature type 4 | signature] */
cph_err zrtp_confirm_parse(struct cph_span clear, struct zrtp_confirm *out)
{
    struct cph_rd rd = cph_rd_open(clear);
    struct zrtp_confirm v = { 0 };
    size_t sig_n;

    take(&rd, v.h0, sizeof v.h0);
    v.flags = flags_read(&rd, &sig_n);
    v.cache_s = cph_rd_u32(&rd);
    sig_read(&rd, sig_n, v.sig_type, &v.sig);
    CPH_TRY(cph_rd_end(&rd));
    *out = v;
    return CPH_OK;
}

void zrtp_confirm_build(struct cph_wr *wr, const struct zrtp_confirm *confirm)
{
    cph_wr_bytes(wr, confirm->h0, sizeof confirm->h0);
    flags_write(wr, confirm->flags, confirm->sig);
    cph_wr_u32(wr, confirm->cache_s);
    sig_write(wr, confirm->sig_type, confirm->sig);
}

/* flags | SAS type 4 | sashash 32 | [signature type 4 | signature] */
cph_err zrtp_relay_parse(struct cph_span clear, struct zrtp_relay *out)
{
    struct cph_rd rd = cph_rd_open(clear);
    struct zrtp_relay v = { 0 };
    size_t sig_n;

    v.flags = flags_read(&rd, &sig_n);
    v.sas_id = cph_rd_u32(&rd);
    take(&rd, v.sashash, sizeof v.sashash);
    sig_read(&rd, sig_n, v.sig_type, &v.sig);
    CPH_TRY(cph_rd_end(&rd));
    *out = v;
    return CPH_OK;
}

void zrtp_relay_build(struct cph_wr *wr, const struct zrtp_relay *relay)
{
    flags_write(wr, relay->flags, relay->sig);
    cph_wr_u32(wr, relay->sas_id);
    cph_wr_bytes(wr, relay->sashash, sizeof relay->sashash);
    sig_write(wr, relay->sig_type, relay->sig);
}

/* ---- Ping, PingACK --------------------------------------------------------------------------- */

/* Figures 18, 19: version 4 | EndpointHash 8 [| EndpointHash of the Ping 8 | SSRC of the Ping] */
static void ping_parse(struct cph_rd *rd, struct zrtp_ping *v)
{
    take(rd, v->version, sizeof v->version);
    take(rd, v->endpoint, sizeof v->endpoint);
}

static void pingack_parse(struct cph_rd *rd, struct zrtp_pingack *v)
{
    take(rd, v->version, sizeof v->version);
    take(rd, v->endpoint, sizeof v->endpoint);
    take(rd, v->pinged, sizeof v->pinged);
    v->ssrc = cph_rd_u32(rd);
}

static void pingack_build(struct cph_wr *wr, const struct zrtp_pingack *v)
{
    cph_wr_bytes(wr, v->version, sizeof v->version);
    cph_wr_bytes(wr, v->endpoint, sizeof v->endpoint);
    cph_wr_bytes(wr, v->pinged, sizeof v->pinged);
    cph_wr_u32(wr, v->ssrc);
}

/* ---- any message ----------------------------------------------------------------------------- */

static int type_of(struct cph_span block)
{
    for (int t = 0; t < ZRTP_TYPES; t++) {
        if (cph_span_is(block, types[t].name))
            return t;
    }
    return -1;
}

static cph_err body_parse(struct cph_rd *rd, struct zrtp_msg *v)
{
    switch (v->type) {
    case ZRTP_HELLO:
        return hello_parse(rd, &v->u.hello);
    case ZRTP_COMMIT:
        return commit_parse(rd, &v->u.commit);
    case ZRTP_DHPART1:
    case ZRTP_DHPART2:
        return dhpart_parse(rd, &v->u.dhpart);
    case ZRTP_CONFIRM1:
    case ZRTP_CONFIRM2:
    case ZRTP_SASRELAY:
        return sealed_parse(rd, &v->u.sealed);
    case ZRTP_ERROR:
        v->u.error = cph_rd_u32(rd);
        return CPH_OK;
    case ZRTP_GOCLEAR:
        take(rd, v->u.clear_mac, sizeof v->u.clear_mac);
        return CPH_OK;
    case ZRTP_PING:
        ping_parse(rd, &v->u.ping);
        return CPH_OK;
    case ZRTP_PINGACK:
        pingack_parse(rd, &v->u.pingack);
        return CPH_OK;
    case ZRTP_HELLOACK:
    case ZRTP_CONF2ACK:
    case ZRTP_ERRORACK:
    case ZRTP_CLEARACK:
    case ZRTP_RELAYACK:
    case ZRTP_TYPES:
        break;
    }
    return CPH_OK;
}

/* preamble u16 | length of the whole message in words u16 | type block 8 | body */
cph_err zrtp_msg_parse(struct cph_span bytes, struct zrtp_msg *out)
{
    struct cph_rd rd = cph_rd_open(bytes);
    struct zrtp_msg v = { .bytes = bytes };
    uint16_t preamble = cph_rd_u16(&rd), words = cph_rd_u16(&rd);
    struct cph_span block = cph_rd_span(&rd, 8);
    int type;

    if (rd.failed)
        return CPH_E_TRUNCATED;
    if (bytes.n > ZRTP_MESSAGE)
        return CPH_E_LIMIT;
    if (preamble != PREAMBLE || 4 * (size_t)words != bytes.n)
        return CPH_E_MALFORMED;
    type = type_of(block);
    if (type < 0)
        return CPH_E_UNSUPPORTED;
    if (types[type].words != 0 && types[type].words != words)
        return CPH_E_MALFORMED;
    v.type = (enum zrtp_type)type;
    CPH_TRY(body_parse(&rd, &v));
    CPH_TRY(cph_rd_end(&rd));
    *out = v;
    return CPH_OK;
}

static void body_build(struct cph_wr *wr, const struct zrtp_msg *msg)
{
    switch (msg->type) {
    case ZRTP_HELLO:
        hello_build(wr, &msg->u.hello);
        break;
    case ZRTP_COMMIT:
        commit_build(wr, &msg->u.commit);
        break;
    case ZRTP_DHPART1:
    case ZRTP_DHPART2:
        dhpart_build(wr, &msg->u.dhpart);
        break;
    case ZRTP_CONFIRM1:
    case ZRTP_CONFIRM2:
    case ZRTP_SASRELAY:
        sealed_build(wr, &msg->u.sealed);
        break;
    case ZRTP_ERROR:
        cph_wr_u32(wr, msg->u.error);
        break;
    case ZRTP_GOCLEAR:
        cph_wr_bytes(wr, msg->u.clear_mac, sizeof msg->u.clear_mac);
        break;
    case ZRTP_PING:
        cph_wr_bytes(wr, msg->u.ping.version, sizeof msg->u.ping.version);
        cph_wr_bytes(wr, msg->u.ping.endpoint, sizeof msg->u.ping.endpoint);
        break;
    case ZRTP_PINGACK:
        pingack_build(wr, &msg->u.pingack);
        break;
    case ZRTP_HELLOACK:
    case ZRTP_CONF2ACK:
    case ZRTP_ERRORACK:
    case ZRTP_CLEARACK:
    case ZRTP_RELAYACK:
    case ZRTP_TYPES:
        break;
    }
}

void zrtp_msg_build(struct cph_wr *wr, const struct zrtp_msg *msg)
{
    size_t at = cph_wr_mark(wr);

    cph_wr_u16(wr, PREAMBLE);
    cph_wr_u16(wr, 0);
    cph_wr_text(wr, types[msg->type].name);
    body_build(wr, msg);
    if (!wr->failed)
        cph_wr_patch16(wr, at + 2, (uint16_t)((wr->n - at) / 4));
}
