/*
 * Through address translation at the passive side, where nobody helps with ICE. The active side's
 * ClientHello goes to the address of the description, which is one that only the passive side's own
 * network knows. So the passive side writes first: a Binding indication (RFC 8489 6.2.3), which
 * nobody answers and RFC 7983 tells apart. It opens the translator for the active side, which sees
 * from where it came and makes a handshake there as well.
 *
 *   type 2 = 0x0011, length 2, magic 4, transaction 12 | USERNAME: the peer's tls-id ":" ours |
 *   padding, so that two ClientHellos to there are no more than came from there
 *
 * What somebody gains who writes such a packet with a false address: nothing. Not more bytes go to
 * that address than he sent himself. No media goes there, and no key is taken, before a handshake
 * from there has shown the promised certificate. The handshake with the announced address runs
 * beside, undisturbed, and begins earlier.
 */
#include "dtls_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"

enum {
    BINDING_INDICATION = 0x0011,
    MAGIC = 0x2112a442,
    USERNAME = 0x0006,
    PADDING = 0x0026,
    TRANSACTION = 12,
    NAME_MAX = 2 * DTLS_TLS_ID_MAX + 2,
};

/* ---- the packet ------------------------------------------------------------------------------ */

bool dtls_is_opener(struct cph_span packet)
{
    struct cph_rd rd = cph_rd_open(packet);
    bool is = cph_rd_u16(&rd) == BINDING_INDICATION;

    is = cph_rd_u16(&rd) == packet.n - 20 && is && packet.n >= 20;
    return cph_rd_u32(&rd) == MAGIC && is && !rd.failed;
}

static void put_attr(struct cph_wr *wr, uint16_t type, struct cph_span value)
{
    cph_wr_u16(wr, type);
    cph_wr_u16(wr, (uint16_t)value.n);
    cph_wr_span(wr, value);
    cph_wr_zero(wr, (4 - value.n % 4) % 4);
}

/* What only those know who saw both descriptions; as the receiver of a packet sees it. Empty: one
 * side has no tls-id. */
static struct cph_span name_of(const struct dtls_side *receiver, const struct dtls_side *sender,
                               char buf[NAME_MAX])
{
    struct cph_wr wr = cph_wr_open(buf, NAME_MAX);

    if (receiver->tls_id[0] == '\0' || sender->tls_id[0] == '\0')
        return (struct cph_span){ 0 };
    cph_wr_fmt(&wr, "%s:%s", receiver->tls_id, sender->tls_id);
    return cph_wr_done(&wr); /* it fits: NAME_MAX */
}

static cph_err build(const struct dtls *d, struct cph_keying_packet *out)
{
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);
    uint8_t transaction[TRANSACTION];
    char name[NAME_MAX];
    struct cph_span who = name_of(&d->peer, &d->own, name);

    CPH_TRY(cph_random(d->env, transaction, sizeof transaction));
    cph_wr_u16(&wr, BINDING_INDICATION);
    cph_wr_u16(&wr, 0);
    cph_wr_u32(&wr, MAGIC);
    cph_wr_bytes(&wr, transaction, sizeof transaction);
    if (who.n > 0)
        put_attr(&wr, USERNAME, who);
    if (wr.n + 4 < DTLS_OPENER) {
        size_t n = DTLS_OPENER - wr.n - 4;

        cph_wr_u16(&wr, PADDING);
        cph_wr_u16(&wr, (uint16_t)n);
        cph_wr_zero(&wr, n);
    }
    cph_wr_patch16(&wr, 2, (uint16_t)(wr.n - 20));
    out->n = wr.n;
    return cph_wr_end(&wr);
}

/* The USERNAME, if there is one; CPH_E_MALFORMED. */
static cph_err read_name(struct cph_span packet, struct cph_span *name)
{
    struct cph_rd rd = cph_rd_open(cph_span_from(packet, 20));

    *name = (struct cph_span){ 0 };
    while (cph_rd_more(&rd)) {
        uint16_t type = cph_rd_u16(&rd), n = cph_rd_u16(&rd);
        struct cph_span value = cph_rd_span(&rd, n);

        (void)cph_rd_span(&rd, (4U - n % 4U) % 4U);
        if (type == USERNAME)
            *name = value;
    }
    return cph_rd_end(&rd) == CPH_OK ? CPH_OK : CPH_E_MALFORMED;
}

/* ---- the passive side: open ------------------------------------------------------------------ */

static bool can_write_to(const struct cph_addr *a)
{
    return a->family != CPH_AF_NONE && a->port != 0 && !cph_addr_is_any(a);
}

void dtls_path_begin(struct dtls *d, cph_time now)
{
    memset(d->hint, 0, sizeof d->hint);
    for (int c = 0; c < 2; c++) {
        bool opens = d->role == CPH_STREAM_SERVER && can_write_to(&d->peer.at[c]);

        d->hints[c] = 0;
        d->detour_at[c] = CPH_TIME_NEVER;
        d->opens[c] = 0;
        d->open_at[c] = opens ? now + CPH_MS(DTLS_OPEN_MS) : CPH_TIME_NEVER;
    }
}

/* The peer's ClientHello came through already. */
static bool is_open(const struct dtls *d, enum cph_keying_component c)
{
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *shake = d->pool->slot[c][i];

        if (shake && shake->role == CPH_STREAM_SERVER && cph_addr_eq(&shake->from, &d->peer.at[c]))
            return true;
    }
    return false;
}

cph_err dtls_path_pull(struct dtls *d, struct cph_keying_packet *out, cph_time now)
{
    for (int k = 0; k < 2 && d->making && d->begun; k++) {
        enum cph_keying_component c = (enum cph_keying_component)k;

        if (now < d->open_at[c])
            continue;
        if (!dtls_wanting(d, c) || d->opens[c] == DTLS_OPENERS || is_open(d, c)) {
            d->open_at[c] = CPH_TIME_NEVER;
            continue;
        }
        d->open_at[c] = now + (CPH_MS(DTLS_OPEN_MS) << (d->opens[c] < 6 ? d->opens[c] + 1 : 6));
        d->opens[c]++;
        CPH_TRY(build(d, out));
        out->component = c;
        out->has_to = true;
        out->to = d->peer.at[c];
        return CPH_OK;
    }
    return CPH_E_AGAIN;
}

cph_time dtls_path_deadline(const struct dtls *d)
{
    cph_time at = CPH_TIME_NEVER;

    for (int c = 0; c < 2 && d->making && d->begun; c++) {
        at = d->open_at[c] < at ? d->open_at[c] : at;
        at = d->detour_at[c] < at ? d->detour_at[c] : at;
    }
    return at;
}

/* ---- the active side: see where it comes from --------------------------------------------------
 */

/* Room for a new one. Who knows the ids pushes out who does not. */
static struct dtls_hint *room_for(struct dtls *d, enum cph_keying_component c, bool named)
{
    for (unsigned i = 0; i < DTLS_DETOURS; i++) {
        struct dtls_hint *h = &d->hint[c][i];

        if (h->at.family == CPH_AF_NONE || (named && !h->named))
            return h;
    }
    return NULL;
}

static struct dtls_shake *detour_to(const struct dtls *d, enum cph_keying_component c,
                                    const struct cph_addr *at)
{
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        struct dtls_shake *shake = d->pool->slot[c][i];

        if (shake && shake->owner == d && shake->detour && cph_addr_eq(&shake->target, at))
            return shake;
    }
    return NULL;
}

static cph_err remember(struct dtls *d, enum cph_keying_component c, const struct cph_addr *from,
                        bool named, size_t n)
{
    struct dtls_hint *room;

    for (unsigned i = 0; i < DTLS_DETOURS; i++) {
        if (cph_addr_eq(&d->hint[c][i].at, from)) {
            d->hint[c][i].credit += n;
            return CPH_OK;
        }
    }
    room = room_for(d, c, named);
    if (!room || (!named && d->hints[c] == DTLS_DETOURS_ALL))
        return CPH_E_LIMIT;
    d->hints[c] += !named;
    *room = (struct dtls_hint){ .at = *from, .credit = n, .named = named };
    d->detour_at[c] = 0;
    return CPH_OK;
}

cph_err dtls_path_feed(struct dtls *d, enum cph_keying_component c, const struct cph_addr *from,
                       struct cph_span packet)
{
    char buf[NAME_MAX];
    struct cph_span name, want;
    struct dtls_shake *shake;

    if (!d->making || d->role != CPH_STREAM_CLIENT || !dtls_wanting(d, c) || !can_write_to(from) ||
        cph_addr_eq(from, &d->peer.at[c]))
        return CPH_E_NOTFOUND;
    CPH_TRY(read_name(packet, &name));
    want = name_of(&d->own, &d->peer, buf);
    if (name.n > 0 && !cph_span_eq(name, want))
        return CPH_E_AUTH;
    shake = detour_to(d, c, from);
    if (shake) {
        shake->credit += packet.n;
        return CPH_OK;
    }
    return remember(d, c, from, name.n > 0, packet.n);
}

/* When has the announced address had its time? */
static cph_time due(const struct dtls *d, enum cph_keying_component c)
{
    bool answers = false;

    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *shake = d->pool->slot[c][i];

        answers |= shake && shake->owner == d && !shake->detour &&
                   shake->from.family != CPH_AF_NONE;
    }
    return d->since + (answers ? CPH_SEC(DTLS_DETOUR_LATE_S) : CPH_MS(DTLS_DETOUR_MS));
}

static void try_one(struct dtls *d, enum cph_keying_component c, struct dtls_hint *h, cph_time now)
{
    struct dtls_wish wish = {
        .owner = d, .c = c, .target = h->at, .detour = true, .credit = h->credit
    };

    wish.resume = dtls_find_peer(d->shared, d->peer.fp, d->peer.n_fp, now);
    h->tried = true;
    if (dtls_pool_connect(d->pool, &wish, now) != CPH_OK)
        h->at.family = CPH_AF_NONE; /* another packet from there may have more luck */
}

void dtls_path_detour(struct dtls *d, enum cph_keying_component c, cph_time now)
{
    if (now < d->detour_at[c])
        return;
    d->detour_at[c] = due(d, c);
    if (now < d->detour_at[c])
        return;
    d->detour_at[c] = CPH_TIME_NEVER;
    for (unsigned i = 0; i < DTLS_DETOURS; i++) {
        if (d->hint[c][i].at.family != CPH_AF_NONE && !d->hint[c][i].tried)
            try_one(d, c, &d->hint[c][i], now);
    }
}
