/*
 * A ClientHello that is longer than a datagram (RFC 6347 4.2.3): browsers say it so since they
 * have key shares of post-quantum size. It is put together here, so that all behind sees one
 * record, and a cookie can be asked for when the first piece comes.
 *
 *   record:    type 1 = 22, version 2, epoch 2 = 0, seq 6, length 2
 *   handshake: type 1 = 1, length 3, seq 2, offset 3, n 3, then n bytes from offset on
 *
 * Pieces are taken in order. One that is out of order is lost, and comes again with the first.
 */
#include "dtls_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_wire.h"

enum { HANDSHAKE = 22, CLIENT_HELLO = 1, HEADERS = 13 + 12 };

struct dtls_pieces {
    struct dtls_piece first; /* without its bytes */
    size_t have;
    uint8_t b[HEADERS + DTLS_HELLO_MAX];
};

bool dtls_piece_read(struct cph_span packet, struct dtls_piece *out)
{
    struct cph_rd rd = cph_rd_open(packet), record;
    bool is = cph_rd_u8(&rd) == HANDSHAKE;
    struct dtls_piece p = { 0 };

    p.version = cph_rd_u16(&rd);
    is = cph_rd_u16(&rd) == 0 && is;
    p.record = cph_rd_u48(&rd);
    record = cph_rd_vec16(&rd);
    is = cph_rd_u8(&record) == CLIENT_HELLO && is;
    p.total = cph_rd_u24(&record);
    p.seq = cph_rd_u16(&record);
    p.offset = cph_rd_u24(&record);
    p.bytes = cph_rd_span(&record, cph_rd_u24(&record));
    if (!is || record.failed || p.offset > p.total || p.bytes.n > p.total - p.offset)
        return false;
    *out = p;
    return true;
}

static void write_headers(struct dtls_pieces *p)
{
    struct cph_wr wr = cph_wr_open(p->b, HEADERS);

    cph_wr_u8(&wr, HANDSHAKE);
    cph_wr_u16(&wr, p->first.version);
    cph_wr_u16(&wr, 0);
    cph_wr_u48(&wr, p->first.record);
    cph_wr_u16(&wr, (uint16_t)(12 + p->first.total));
    cph_wr_u8(&wr, CLIENT_HELLO);
    cph_wr_u24(&wr, p->first.total);
    cph_wr_u16(&wr, p->first.seq);
    cph_wr_u24(&wr, 0);
    cph_wr_u24(&wr, p->first.total);
}

cph_err dtls_pieces_add(struct dtls_pieces **pieces, const struct dtls_piece *piece,
                        struct cph_span *whole)
{
    struct dtls_pieces *p = *pieces;

    if (piece->total > DTLS_HELLO_MAX)
        return CPH_E_LIMIT;
    if (!p && piece->offset == 0)
        p = *pieces = calloc(1, sizeof *p);
    if (!p)
        return piece->offset == 0 ? CPH_E_NOMEM : CPH_E_AGAIN;
    if (piece->offset == 0) { /* said again: what came between may be somebody else's */
        p->first = *piece;
        p->have = 0;
        write_headers(p);
    }
    if (piece->offset != p->have || piece->total != p->first.total || piece->seq != p->first.seq)
        return CPH_E_AGAIN;
    memcpy(p->b + HEADERS + p->have, piece->bytes.p, piece->bytes.n);
    p->have += piece->bytes.n;
    if (p->have < p->first.total)
        return CPH_E_AGAIN;
    *whole = (struct cph_span){ p->b, HEADERS + p->have };
    return CPH_OK;
}

void dtls_pieces_free(struct dtls_pieces *p)
{
    free(p);
}

cph_err dtls_shake_feed(struct dtls_shake *shake, struct cph_span packet, cph_time now)
{
    struct dtls_piece piece;
    cph_err err = CPH_OK;

    if (shake->role == CPH_STREAM_SERVER && dtls_piece_read(packet, &piece) &&
        piece.bytes.n < piece.total)
        err = dtls_pieces_add(&shake->pieces, &piece, &packet);
    if (err)
        return err == CPH_E_AGAIN ? CPH_OK : err;
    return cph_stream_feed(shake->s, packet, now);
}
