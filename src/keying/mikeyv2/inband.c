/*
 * MIKEYv2 in band: the four messages on the media path. The draft never said how; here they are
 * datagrams of their own, whose first byte RFC 7983 gives to nobody (80 to 127):
 *
 *     0                   4       5       6       7        8             16
 *   +-------------------+-------+-------+----------------+--------------+----------
 *   | "mkv2"            | part  | parts | bytes in all   | number of the run | bytes
 *   +-------------------+-------+-------+----------------+--------------+----------
 *
 * Offer and answer say a=mikeyv2-inband:1 and nothing else. Who answered begins, since it knows
 * where to send; who offered sends an empty datagram (0 parts) until something comes, which opens
 * the way through a NAT, and is followed as long as nothing else has come. The next message goes
 * when the one before has come (lockstep). The initiator repeats, with pauses that double; the
 * responder only answers, and not for ever.
 */
#include "mikeyv2_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

static const char NAME[] = "mikeyv2-inband";
static const char MAGIC[] = "mkv2";

enum {
    HEAD = 16,
    PARTS = 16, /* of one message */
    MTU = 1200,
    FIRST_MS = 250, /* pause before the first repetition */
    LAST_MS = 2000,
    TRIES = 10, /* of one message: about 15 s */
    OPENERS = 5,
    OPEN_MS = 250,
    ANSWERS = 20, /* messages that one run makes us answer: nobody is hit with more than he sent */
};

struct part {
    uint8_t index, count;
    uint16_t total;
    uint64_t spi_i;
    struct cph_span bytes;
};

/* A message that comes in parts. */
struct gather {
    uint64_t spi_i;
    uint16_t total, have; /* have: bits by part */
    uint8_t count;
    size_t n; /* bytes of each part but the last */
    struct v2_text text;
};

struct v2band {
    struct v2 v2;
    bool open, first;
    bool ready;     /* offer and answer are through: there is somewhere to send to */
    bool begins;    /* we are to */
    bool opening;   /* an opener is to go */
    unsigned opens; /* still */
    bool has_to;    /* where the peer's messages come from */
    struct cph_addr to;
    struct v2_text out; /* on its way */
    unsigned at, parts; /* next part of it */
    uint64_t out_spi;
    cph_time again; /* initiator: when to repeat */
    cph_time pause;
    unsigned tries, answers;
    struct gather in;
};

static struct v2band *of(struct cph_keying *k)
{
    return (struct v2band *)k;
}

static struct cph_span view_of(const struct v2_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

/* ---- parts ---------------------------------------------------------------------------------- */

static bool band_claims(struct cph_span packet)
{
    return packet.n >= HEAD && memcmp(packet.p, MAGIC, 4) == 0; /* public */
}

static cph_err part_parse(struct cph_span packet, struct part *out)
{
    struct cph_rd rd = cph_rd_open(packet);

    (void)cph_rd_u32(&rd);
    out->index = cph_rd_u8(&rd);
    out->count = cph_rd_u8(&rd);
    out->total = cph_rd_u16(&rd);
    out->spi_i = cph_rd_u64(&rd);
    out->bytes = cph_rd_rest(&rd);
    CPH_TRY(cph_rd_end(&rd));
    if (out->count == 0 || out->count > PARTS || out->index >= out->count ||
        out->total > V2_MSG_MAX || out->bytes.n == 0 || out->bytes.n > out->total)
        return CPH_E_MALFORMED;
    return out->count > 1 || out->bytes.n == out->total ? CPH_OK : CPH_E_MALFORMED;
}

/* CPH_E_AGAIN: parts are missing. All but the last are of one length; another message throws away
 * what there was of the one before. */
static cph_err gather(struct gather *g, const struct part *p)
{
    bool last = p->index + 1 == p->count;
    size_t n = last && p->count > 1 ? (p->total - p->bytes.n) / (p->count - 1U) : p->bytes.n;
    size_t at = n * p->index;

    if (g->spi_i != p->spi_i || g->total != p->total || g->count != p->count || g->n != n) {
        g->spi_i = p->spi_i;
        g->total = p->total;
        g->count = p->count;
        g->n = n;
        g->have = 0;
    }
    if (at + p->bytes.n > p->total || (last && at + p->bytes.n != p->total) ||
        (!last && at + p->bytes.n == p->total))
        return CPH_E_MALFORMED;
    memcpy(g->text.b + at, p->bytes.p, p->bytes.n);
    g->have |= (uint16_t)(1U << p->index);
    if (g->have != (1U << p->count) - 1)
        return CPH_E_AGAIN;
    g->text.n = p->total;
    g->have = 0;
    g->total = 0;
    return CPH_OK;
}

static size_t room_of(const struct v2band *k)
{
    size_t mtu = k->v2.cfg.mtu ? k->v2.cfg.mtu : MTU;

    if (mtu > CPH_KEYING_PACKET)
        mtu = CPH_KEYING_PACKET;
    return mtu > 576 ? mtu - HEAD : 576 - HEAD;
}

static void send_text(struct v2band *k, const struct v2_text *text)
{
    size_t room = room_of(k);

    k->out = *text;
    k->at = 0;
    k->parts = (unsigned)((text->n + room - 1) / room);
    k->out_spi = k->v2.shake.spi_i;
    if (k->parts > PARTS)
        k->parts = 0; /* no MTU that we allow makes so many */
}

static cph_err band_pull(struct cph_keying *base, struct cph_keying_packet *out, cph_time now)
{
    struct v2band *k = of(base);
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);
    size_t room = room_of(k), from = room * k->at, n;

    (void)now;
    out->component = CPH_KEYING_RTP;
    out->has_to = k->has_to;
    out->to = k->to;
    if (k->ready && k->opening) {
        cph_wr_text(&wr, MAGIC);
        cph_wr_zero(&wr, HEAD - 4);
        k->opening = false;
        out->n = wr.n;
        return cph_wr_end(&wr);
    }
    if (!k->ready || k->at >= k->parts)
        return CPH_E_AGAIN;
    n = k->out.n - from < room ? k->out.n - from : room;
    cph_wr_text(&wr, MAGIC);
    cph_wr_u8(&wr, (uint8_t)k->at);
    cph_wr_u8(&wr, (uint8_t)k->parts);
    cph_wr_u16(&wr, (uint16_t)k->out.n);
    cph_wr_u64(&wr, k->out_spi);
    cph_wr_bytes(&wr, k->out.b + from, n);
    CPH_TRY(cph_wr_end(&wr));
    k->at++;
    out->n = wr.n;
    return CPH_OK;
}

/* ---- the initiator's clock ------------------------------------------------------------------ */

static void arm(struct v2band *k, cph_time now)
{
    k->tries = 1;
    k->pause = CPH_MS(FIRST_MS);
    k->again = now + k->pause;
}

static void disarm(struct v2band *k)
{
    k->again = CPH_TIME_NEVER;
}

static void give_up(struct v2band *k, cph_err err, const char *why)
{
    disarm(k);
    k->at = k->parts;
    if (k->v2.keyed) /* a re-key that went nowhere: what there is goes on */
        return;
    k->v2.status.state = CPH_KEYING_FAILED;
    k->v2.status.err = err;
    k->v2.status.why = why;
}

static void begin(struct v2band *k, cph_time now)
{
    V2_SHAKE_SCOPED next = { 0 };
    cph_err err = v2_begin(&k->v2, &next);

    if (err != CPH_OK) {
        give_up(k, err, "MIKEYv2 has nothing to begin with");
        return;
    }
    k->v2.shake = next;
    k->v2.renew = false;
    send_text(k, &next.hello[0]);
    arm(k, now);
}

static cph_time band_deadline(const struct cph_keying *base)
{
    const struct v2band *k = (const struct v2band *)base;

    return k->ready ? k->again : CPH_TIME_NEVER;
}

static void band_tick(struct cph_keying *base, cph_time now)
{
    struct v2band *k = of(base);
    const struct v2_shake *s = &k->v2.shake;

    if (!k->ready || k->again > now)
        return;
    if (s->state == V2_NONE && !k->begins) {
        k->opening = k->opens > 0;
        k->opens -= k->opens > 0;
        k->again = k->opens > 0 ? now + CPH_MS(OPEN_MS) : CPH_TIME_NEVER;
        return;
    }
    if (s->state == V2_NONE || (k->v2.renew && s->state == V2_DONE)) { /* the first time */
        begin(k, now);
        return;
    }
    if (k->tries++ >= TRIES || (s->state != V2_SAID_HELLO && s->state != V2_SAID_PROOF)) {
        give_up(k, CPH_E_TIMEOUT, "the peer does not answer MIKEYv2 on the media path");
        return;
    }
    send_text(k, s->state == V2_SAID_HELLO ? &s->hello[0] : &s->proof[0]);
    k->pause = k->pause * 2 > CPH_MS(LAST_MS) ? CPH_MS(LAST_MS) : k->pause * 2;
    k->again = now + k->pause;
}

/* ---- messages ------------------------------------------------------------------------------- */

static cph_err got_hello_i(struct v2band *k, struct cph_span text, const struct v2_msg *m)
{
    const struct v2_shake *now = &k->v2.shake;
    V2_SHAKE_SCOPED next = { 0 };

    if (!now->we_began && now->state >= V2_AGREED && m->spi_i == now->spi_i) {
        if (!cph_span_eq(text, view_of(&now->hello[0])))
            return CPH_E_POLICY;
        if (now->state != V2_AGREED || k->answers++ >= ANSWERS)
            return CPH_E_STATE;
        send_text(k, &now->hello[1]); /* ours was lost */
        return CPH_OK;
    }
    /* both began: the smaller number goes on */
    if (now->we_began && (now->state == V2_SAID_HELLO || now->state == V2_SAID_PROOF) &&
        now->spi_i <= m->spi_i)
        return CPH_E_STATE;
    /* who ran through a run with us does not begin another for nothing */
    if (now->state == V2_AGREED && !now->we_began && k->answers++ >= ANSWERS)
        return CPH_E_LIMIT;
    CPH_TRY(v2_choose(&k->v2, text, &next));
    k->v2.shake = next;
    if (now->state == V2_AGREED && k->answers == 0)
        k->answers = 1;
    disarm(k);
    send_text(k, &next.hello[1]);
    return CPH_OK;
}

static cph_err got_hello_r(struct v2band *k, struct cph_span text, cph_time now)
{
    V2_SHAKE_SCOPED next = k->v2.shake;

    if (next.state != V2_SAID_HELLO)
        return CPH_E_STATE;
    CPH_TRY(v2_agree(&k->v2, text, &next));
    CPH_TRY(v2_prove(&k->v2, &next));
    k->v2.shake = next;
    send_text(k, &next.proof[0]);
    arm(k, now);
    return CPH_OK;
}

static cph_err got_proof_i(struct v2band *k, struct cph_span text)
{
    const struct v2_shake *now = &k->v2.shake;
    V2_SHAKE_SCOPED next = *now;
    MIKEY_CSB_SCOPED csb = { 0 };

    if (!now->we_began && now->state == V2_DONE && cph_span_eq(text, view_of(&now->proof[0]))) {
        if (k->answers++ >= ANSWERS)
            return CPH_E_LIMIT;
        send_text(k, &now->proof[1]);
        return CPH_OK;
    }
    CPH_TRY(v2_respond(&k->v2, text, &next, &csb));
    memcpy(next.proof[0].b, text.p, text.n);
    next.proof[0].n = text.n;
    v2_commit(&k->v2, &next, &csb);
    k->answers = 0;
    send_text(k, &next.proof[1]);
    return CPH_OK;
}

static cph_err got_proof_r(struct v2band *k, struct cph_span text)
{
    V2_SHAKE_SCOPED next = k->v2.shake;
    MIKEY_CSB_SCOPED csb = { 0 };

    CPH_TRY(v2_verify(&k->v2, text, &next, &csb));
    v2_commit(&k->v2, &next, &csb);
    disarm(k);
    k->at = k->parts;
    return CPH_OK;
}

static void follow(struct v2band *k, const struct cph_addr *from)
{
    k->has_to = from != NULL;
    if (from)
        k->to = *from;
}

/* It proves nothing; but as long as nothing has come there is no better place to send to. */
static cph_err got_opener(struct v2band *k, const struct cph_addr *from)
{
    if (!k->begins || k->v2.shake.state != V2_SAID_HELLO || k->answers++ >= OPENERS)
        return CPH_E_STATE;
    follow(k, from);
    send_text(k, &k->v2.shake.hello[0]);
    return CPH_OK;
}

static cph_err got_message(struct v2band *k, const struct v2_msg *m, cph_time now)
{
    const struct cph_span text = view_of(&k->in.text);

    switch (m->type) {
    case V2_HELLO_I:
        return got_hello_i(k, text, m);
    case V2_HELLO_R:
        return got_hello_r(k, text, now);
    case V2_PROOF_I:
        return got_proof_i(k, text);
    case V2_PROOF_R:
        return got_proof_r(k, text);
    case V2_KEEP:
    case V2_TYPES_:
        break;
    }
    return CPH_E_MALFORMED;
}

static cph_err band_feed(struct cph_keying *base, enum cph_keying_component component,
                         const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct v2band *k = of(base);
    struct v2_msg m;
    struct part p;
    cph_err err;

    if (component != CPH_KEYING_RTP || !k->ready || k->v2.status.state == CPH_KEYING_FAILED)
        return CPH_E_STATE;
    if (packet.n == HEAD && packet.p[5] == 0)
        return got_opener(k, from);
    CPH_TRY(part_parse(packet, &p));
    err = gather(&k->in, &p);
    if (err == CPH_E_AGAIN)
        return CPH_OK;
    if (err == CPH_OK)
        err = v2_parse(view_of(&k->in.text), &m);
    if (err == CPH_OK)
        err = got_message(k, &m, now);
    if (err == CPH_OK)
        follow(k, from);
    return err;
}

/* ---- signalling: that there is one ---------------------------------------------------------- */

static bool band_present(const struct cph_keying_remote *remote)
{
    return cph_sdp_attr(&remote->media->part, NAME) != NULL;
}

static cph_err band_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct v2band *k = calloc(1, sizeof *k);
    cph_err err;

    if (!k)
        return CPH_E_NOMEM;
    err = v2_open(&k->v2, &cph_keying_mikeyv2_inband, cfg);
    if (err != CPH_OK) {
        free(k);
        return err;
    }
    disarm(k);
    *out = &k->v2.base;
    return CPH_OK;
}

static void band_free(struct cph_keying *k)
{
    cph_free_secret(of(k), sizeof(struct v2band));
}

static cph_err said(const struct cph_keying_remote *remote)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&remote->media->part, NAME);

    if (!l)
        return CPH_E_NOTFOUND;
    if (cph_sdp_attr_next(l))
        return CPH_E_MALFORMED;
    return cph_span_is(cph_span_trim(l->arg), "1") ? CPH_OK : CPH_E_UNSUPPORTED;
}

static cph_err band_offer(struct cph_keying *base, const struct cph_keying_local *offer)
{
    struct v2band *k = of(base);

    CPH_TRY(cph_sdp_attr_add(offer->sdp, offer->media, NAME, "1"));
    k->open = true;
    k->first = !k->ready;
    if (k->v2.status.state == CPH_KEYING_IDLE)
        k->v2.status.state = CPH_KEYING_OFFERED;
    return CPH_OK;
}

/* The exchange is through. Who wants new keys begins; the first time, who answered. */
static void through(struct v2band *k, bool we_answered)
{
    bool first = !k->ready, begins = first ? we_answered : k->v2.renew && k->v2.keyed;

    k->ready = true;
    k->open = false;
    if (!k->v2.keyed && k->v2.status.state != CPH_KEYING_FAILED)
        k->v2.status.state = CPH_KEYING_RUNNING;
    if (first && !begins)
        k->opens = OPENERS;
    k->begins |= begins;
    if (first || begins)
        k->again = 0; /* at once */
}

static cph_err band_answer(struct cph_keying *base, const struct cph_keying_remote *offer,
                           const struct cph_keying_local *answer)
{
    CPH_TRY(said(offer));
    CPH_TRY(cph_sdp_attr_add(answer->sdp, answer->media, NAME, "1"));
    through(of(base), true);
    return CPH_OK;
}

static cph_err band_finish(struct cph_keying *base, const struct cph_keying_remote *answer)
{
    struct v2band *k = of(base);

    if (!k->open && !k->ready)
        return CPH_E_STATE;
    CPH_TRY(said(answer));
    through(k, false);
    return CPH_OK;
}

static void band_rollback(struct cph_keying *base)
{
    struct v2band *k = of(base);

    k->open = false;
    if (!k->ready)
        k->v2.status.state = CPH_KEYING_IDLE;
}

static cph_err band_fork(const struct cph_keying *base, struct cph_keying **out)
{
    const struct v2band *k = (const struct v2band *)base;
    struct cph_keying *branch = NULL;

    if (!k->first)
        return CPH_E_STATE;
    CPH_TRY(band_make(&k->v2.cfg, &branch));
    of(branch)->open = of(branch)->first = true;
    of(branch)->v2.status.state = CPH_KEYING_OFFERED;
    *out = branch;
    return CPH_OK;
}

const struct cph_keying_method cph_keying_mikeyv2_inband = {
    .name = "mikeyv2-inband",
    .where = CPH_KEYING_IN_BOTH,
    .needs = CPH_KEYING_NEEDS_MIKEY,
    .profile = CPH_SDP_RTP_SAVP,
    .expired = true,
    .present = band_present,
    .claims = band_claims,
    .make = band_make,
    .free = band_free,
    .offer = band_offer,
    .answer = band_answer,
    .finish = band_finish,
    .rollback = band_rollback,
    .renew = v2_renew,
    .fork = band_fork,
    .feed = band_feed,
    .pull = band_pull,
    .deadline = band_deadline,
    .tick = band_tick,
    .status = v2_status,
    .keys = v2_keys,
    .hints = v2_hints,
    .evidence = v2_evidence,
};
