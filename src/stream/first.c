/*
 * The first flight of a DTLS client: what it says when a HelloVerifyRequest comes.
 *
 *   -> ClientHello                          (message 0)
 *   <- HelloVerifyRequest, cookie           (message 0)    anybody can write one who guesses ports
 *   -> ClientHello with the cookie          (message 1)
 *   <- ServerHello                          (message 1; 0 if it answers the first ClientHello)
 *
 * The library believes the first HelloVerifyRequest it sees, and from then on hears nobody who
 * answers its first ClientHello: one forged datagram, and the call has no keys. So the library is
 * not told. The second ClientHello is written here, beside the first, which goes on to be repeated;
 * whichever is answered by a ServerHello is the one. Only if that was the second, the library is
 * shown the cookie, and its own second ClientHello, the same byte for byte, stays here.
 *
 * Of several cookies one is tried at a time, since a ServerHello does not say which it was that
 * pleased: the next with each repetition, or at once if the server says it again.
 */
#include "stream_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_wire.h"

enum {
    HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    HELLO_VERIFY = 3,
    CERTIFICATE = 11, /* ServerKeyExchange, CertificateRequest, */
    HELLO_DONE = 14,
    RECORD = 13,     /* bytes of a record's header */
    MESSAGE = 12,    /* and of a handshake message's */
    HELLO_MAX = 768, /* of a ClientHello that we write anew */
    COOKIE_MAX = 255,
    COOKIES = 4, /* that are remembered */
    HURRIES = 4, /* times one is tried before its turn */
};

struct stream_first {
    unsigned mtu;
    bool over;                /* an answer was taken, */
    unsigned path;            /* to the ClientHello of this number */
    bool asked;               /* at least one second ClientHello was written */
    uint8_t hello[HELLO_MAX]; /* the body of the first ClientHello */
    size_t hello_n;           /* 0: not yet, or it is none that we could write anew */
    struct {
        uint8_t b[COOKIE_MAX];
        uint8_t n;
    } cookie[COOKIES];
    unsigned n_cookies, at, oldest, hurries;
    uint8_t second[RECORD + MESSAGE + HELLO_MAX + COOKIE_MAX]; /* as it was written last */
    size_t second_n;
    bool shown; /* the library was shown the cookie and will write its own */
};

cph_err stream_first_new(unsigned mtu, struct stream_first **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return CPH_E_NOMEM;
    (*out)->mtu = mtu;
    return CPH_OK;
}

void stream_first_free(struct stream_first *f)
{
    free(f);
}

/* ---- one record with one whole message ------------------------------------------------------- */

struct message {
    uint8_t type;
    uint16_t seq;
    struct cph_span body; /* empty if it is a fragment of a longer one */
    size_t record_n;      /* bytes of the record, header and all */
};

/* The handshake message that a record in clear begins with. */
static bool read_message(struct cph_span records, struct message *out)
{
    struct cph_rd rd = cph_rd_open(records), record;
    bool clear = cph_rd_u8(&rd) == HANDSHAKE;
    uint32_t total, offset, n;

    (void)cph_rd_u16(&rd);
    clear = cph_rd_u16(&rd) == 0 && clear;
    (void)cph_rd_u48(&rd);
    record = cph_rd_vec16(&rd);
    *out = (struct message){ .record_n = records.n - rd.n };
    if (!clear || rd.failed)
        return false;
    out->type = cph_rd_u8(&record);
    total = cph_rd_u24(&record);
    out->seq = cph_rd_u16(&record);
    offset = cph_rd_u24(&record);
    n = cph_rd_u24(&record);
    if (offset == 0 && n == total)
        out->body = cph_rd_span(&record, n);
    return !record.failed;
}

static size_t write_message(uint8_t *out, size_t cap, uint8_t type, uint16_t seq,
                            const struct cph_span part[3])
{
    size_t n = part[0].n + part[1].n + part[2].n;
    struct cph_wr wr = cph_wr_open(out, cap);

    cph_wr_u8(&wr, HANDSHAKE);
    cph_wr_u16(&wr, 0xfeff); /* RFC 6347 4.2.1: as long as nothing is agreed on */
    cph_wr_u16(&wr, 0);
    cph_wr_u48(&wr, 0); /* numbered when it goes */
    cph_wr_u16(&wr, (uint16_t)(MESSAGE + n));
    cph_wr_u8(&wr, type);
    cph_wr_u24(&wr, (uint32_t)n);
    cph_wr_u16(&wr, seq);
    cph_wr_u24(&wr, 0);
    cph_wr_u24(&wr, (uint32_t)n);
    for (int i = 0; i < 3; i++)
        cph_wr_span(&wr, part[i]);
    return wr.failed ? 0 : wr.n;
}

/* ---- the second ClientHello ------------------------------------------------------------------ */

/* RFC 6347 4.2.1 MUST: the same parameters as in the first, and the cookie. */
static size_t write_second(struct stream_first *f)
{
    struct cph_rd rd = cph_rd_open((struct cph_span){ f->hello, f->hello_n });
    uint8_t vec[1 + COOKIE_MAX];
    size_t before;

    (void)cph_rd_u16(&rd);
    (void)cph_rd_span(&rd, 32);
    (void)cph_rd_vec8(&rd);
    before = f->hello_n - rd.n;
    if (cph_rd_u8(&rd) != 0 || rd.failed) /* the first has no cookie */
        return 0;
    vec[0] = f->cookie[f->at].n;
    memcpy(vec + 1, f->cookie[f->at].b, vec[0]);
    return write_message(
        f->second, sizeof f->second, CLIENT_HELLO, 1,
        (struct cph_span[]){ { f->hello, before }, { vec, 1U + vec[0] }, { rd.p, rd.n } });
}

static void ask(struct cph_stream *s, struct stream_first *f)
{
    f->second_n = write_second(f);
    if (f->second_n == 0)
        return;
    f->asked = true;
    stream_pipe_send(s, (struct cph_span){ f->second, f->second_n });
}

void stream_first_repeat(struct cph_stream *s)
{
    struct stream_first *f = s->first;

    if (!f || f->over || f->n_cookies == 0)
        return;
    f->at = (f->at + 1) % f->n_cookies;
    ask(s, f);
}

/* ---- what the library writes ----------------------------------------------------------------- */

bool stream_first_keeps(struct cph_stream *s, struct cph_span datagram)
{
    struct stream_first *f = s->first;
    struct message m;

    if (!f || !read_message(datagram, &m) || m.type != CLIENT_HELLO || m.record_n != datagram.n)
        return false;
    if (!f->over && f->hello_n == 0 && m.seq == 0 && m.body.p && m.body.n <= HELLO_MAX &&
        datagram.n + COOKIE_MAX <= f->mtu) {
        memcpy(f->hello, m.body.p, m.body.n);
        f->hello_n = m.body.n;
    }
    if (!f->shown || m.seq != 1)
        return false;
    f->shown = false;
    /* public: what went over the wire in clear; if it is not the same, the server must hear it */
    return datagram.n == f->second_n &&
           memcmp(datagram.p + RECORD, f->second + RECORD, f->second_n - RECORD) == 0;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static void take_cookie(struct cph_stream *s, struct stream_first *f, struct cph_span body)
{
    struct cph_rd rd = cph_rd_open(body), vec;
    struct cph_span cookie;
    unsigned i;

    (void)cph_rd_u16(&rd);
    vec = cph_rd_vec8(&rd);
    cookie = cph_rd_rest(&vec);
    if (cph_rd_end(&rd) != CPH_OK || cookie.n == 0) {
        s->counts.dropped++;
        return;
    }
    for (i = 0; i < f->n_cookies; i++) {
        /* public bytes */
        if (f->cookie[i].n == cookie.n && memcmp(f->cookie[i].b, cookie.p, cookie.n) == 0)
            break;
    }
    if (i < f->n_cookies && (i == f->at || f->hurries == HURRIES))
        return; /* it is being tried, or will be */
    if (i < f->n_cookies) {
        f->hurries++;
    } else {
        if (i == COOKIES) { /* full: not the one being tried gives way */
            f->oldest += f->oldest % COOKIES == f->at;
            i = f->oldest++ % COOKIES;
        } else {
            f->n_cookies++;
        }
        f->cookie[i].n = (uint8_t)cookie.n;
        memcpy(f->cookie[i].b, cookie.p, cookie.n);
        if (f->asked)
            return; /* its turn comes */
    }
    f->at = i;
    ask(s, f);
}

/* The library is told of the cookie that the server took. */
static void show(struct cph_stream *s, struct stream_first *f)
{
    uint8_t vec[1 + COOKIE_MAX], b[RECORD + MESSAGE + 2 + sizeof vec];
    static const uint8_t version[2] = { 0xfe, 0xff };
    size_t n;

    vec[0] = f->cookie[f->at].n;
    memcpy(vec + 1, f->cookie[f->at].b, vec[0]);
    n = write_message(
        b, sizeof b, HELLO_VERIFY, 0,
        (struct cph_span[]){ { version, sizeof version }, { vec, 1U + vec[0] }, { NULL, 0 } });
    f->shown = true;
    stream_number(b, n, &s->clear_in);
    stream_show(s, (struct cph_span){ b, n });
}

/*
 * To which ClientHello this message of the server's first flight belongs, by its type and number
 * (RFC 5246 7.3; every cipher we offer has all four):
 *
 *   ServerHello path, Certificate path + 1, ServerKeyExchange path + 2, CertificateRequest path + 3
 */
static bool path_of(const struct message *m, unsigned *path)
{
    unsigned place = m->type == SERVER_HELLO ? 0 : m->type - CERTIFICATE + 1U;

    *path = m->seq - place;
    return m->seq >= place;
}

/* ServerHelloDone is behind the CertificateRequest, or in its place. There it could be that of the
 * first flight beside the second; then it is one only for whoever has no certificate to show:
 * RFC 5764 4.1 MUST: both are asked for theirs. */
static bool is_done(const struct cph_stream *s, const struct stream_first *f, uint16_t seq)
{
    if (!f->over)
        return !f->asked && (seq == 3 || seq == 4);
    return seq == f->path + 4U || (seq == f->path + 3U && (f->path == 0 || !s->home->own));
}

/* A message of the server's first flight, to which of the hellos? The first that comes decides.
 * Those that answer the other are not for the library, which would mix them up. */
static bool is_for_us(struct cph_stream *s, struct stream_first *f, const struct message *m)
{
    unsigned path;

    switch (m->type) {
    case SERVER_HELLO:
    case CERTIFICATE:
    case CERTIFICATE + 1:
    case CERTIFICATE + 2:
        break;
    case HELLO_DONE:
        return is_done(s, f, m->seq);
    default:
        return true;
    }
    if (!path_of(m, &path) || path > f->asked)
        return false;
    if (f->over)
        return path == f->path;
    f->over = true;
    f->path = path;
    if (f->path == 1)
        show(s, f);
    return s->first == f; /* else the library is through with it, for better or worse */
}

size_t stream_first_take(struct cph_stream *s, uint8_t *records, size_t n)
{
    struct stream_first *f = s->first;
    size_t kept = 0;
    struct message m;

    if (!f)
        return n;
    for (size_t at = 0; at < n; at += m.record_n) {
        bool is = read_message((struct cph_span){ records + at, n - at }, &m);

        if (m.record_n == 0)
            break; /* stream_records() leaves none that is cut */
        if (is && !is_for_us(s, f, &m)) {
            s->counts.dropped++;
            if (s->first != f)
                return 0;
            continue;
        }
        if (is && m.type == HELLO_VERIFY && (f->over || f->hello_n > 0)) {
            /* RFC 6347 4.2.1: one exchange of cookies; none once a server has answered */
            if (f->over)
                s->counts.dropped++;
            else
                take_cookie(s, f, m.body);
            continue;
        }
        if (is && m.type == HELLO_VERIFY) { /* the library has to do it */
            f->over = true;
            f->asked = true;
            f->path = 1;
        }
        memmove(records + kept, records + at, m.record_n);
        kept += m.record_n;
    }
    return kept;
}
