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
#include "inband_int.h"

#include <string.h>

static const char MAGIC[] = "mkv2";

enum {
    HEAD = V2_HEAD,
    PARTS = V2_PARTS,
    MTU = 1200,
    FIRST_MS = 250, /* pause before the first repetition */
    LAST_MS = 2000,
    TRIES = 10, /* of one message: about 15 s */
    AFRESH = 5, /* proofs that went unanswered: the peer has lost our run, another begins */
    OPEN_MS = 250,
    ANSWERS = 20,    /* at once: nobody is hit with more than he sent */
    ANSWER_MS = 250, /* and then one in so long: a peer's own pace */
};

static struct v2band *of(struct cph_keying *k)
{
    return (struct v2band *)k;
}

/* ---- out ---------------------------------------------------------------------------------- */

bool v2_band_claims(struct cph_span packet)
{
    return packet.n >= HEAD && memcmp(packet.p, MAGIC, 4) == 0; /* public */
}

static size_t room_of(const struct v2band *k)
{
    size_t mtu = k->v2.cfg.mtu ? k->v2.cfg.mtu : MTU;

    if (mtu > CPH_KEYING_PACKET)
        mtu = CPH_KEYING_PACKET;
    return mtu > 576 ? mtu - HEAD : 576 - HEAD;
}

static struct cph_span text_of(const struct v2band *k)
{
    if (k->out == OUT_PROOF)
        return v2_proof(&k->v2.shake);
    return v2_hello(&k->v2.shake, k->out == OUT_HELLO_R);
}

static void send_text(struct v2band *k, enum v2_out out)
{
    size_t room = room_of(k);

    k->out = out;
    k->at = 0;
    k->parts = (unsigned)((text_of(k).n + room - 1) / room);
    if (k->parts > PARTS)
        k->parts = 0; /* no MTU that we allow makes so many */
}

/* The run from now on; what of another one was to go out does not. */
static void go_on_with(struct v2band *k, struct v2_shake *next)
{
    k->parts = 0;
    v2_shake_put(&k->v2, next);
}

cph_err v2_band_pull(struct cph_keying *base, struct cph_keying_packet *out, cph_time now)
{
    struct v2band *k = of(base);
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);
    size_t room = room_of(k), from = room * k->at, n;
    const struct cph_span text = text_of(k);

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
    n = text.n - from < room ? text.n - from : room;
    cph_wr_text(&wr, MAGIC);
    cph_wr_u8(&wr, (uint8_t)k->at);
    cph_wr_u8(&wr, (uint8_t)k->parts);
    cph_wr_u16(&wr, (uint16_t)text.n);
    cph_wr_u64(&wr, k->v2.shake.spi_i);
    cph_wr_bytes(&wr, text.p + from, n);
    CPH_TRY(cph_wr_end(&wr));
    k->at++;
    out->n = wr.n;
    return CPH_OK;
}

/* ---- who is answered ------------------------------------------------------------------------ */

/*
 * Anybody may write to our port, with any name, until a proof shows who it is. So a hello from
 * where the signalling says that the peer is, or from where it has proven itself, goes before all
 * others, and no number of those uses up its answers.
 */
static bool at_home(const struct v2band *k, const struct cph_addr *from)
{
    return from && k->home.family != CPH_AF_NONE && cph_addr_eq(from, &k->home);
}

static bool may_answer(struct v2band *k, const struct cph_addr *from, cph_time now)
{
    struct v2_allowance *a = &k->answered[at_home(k, from)];
    cph_time earned = (now - a->since) / CPH_MS(ANSWER_MS);

    if (earned >= a->used) {
        a->used = 0;
        a->since = now;
    } else {
        a->used -= (unsigned)earned;
        a->since += earned * CPH_MS(ANSWER_MS);
    }
    if (a->used >= ANSWERS)
        return false;
    a->used++;
    return true;
}

/* ---- the initiator's clock ------------------------------------------------------------------ */

static void arm(struct v2band *k, cph_time now)
{
    k->tries = 1;
    k->pause = CPH_MS(FIRST_MS);
    k->again = now + k->pause;
}

void v2_band_disarm(struct v2band *k)
{
    k->again = CPH_TIME_NEVER;
}

/* The run is over, and what it had goes: a private value, say. */
static void give_up(struct v2band *k, cph_err err, const char *why)
{
    v2_band_disarm(k);
    k->anew = false;
    k->parts = 0;
    v2_shake_wipe(&k->v2.shake);
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
    k->has_to &= !k->v2.keyed; /* where the media goes, whoever wrote to us last */
    k->anew = false;
    go_on_with(k, &next);
    send_text(k, OUT_HELLO_I);
    arm(k, now);
}

cph_time v2_band_deadline(const struct cph_keying *base)
{
    const struct v2band *k = (const struct v2band *)base;

    return k->ready ? k->again : CPH_TIME_NEVER;
}

/* We are the initiator, and wait for an answer. */
static bool waits(const struct v2_shake *s)
{
    return s->state == V2_SAID_HELLO || s->state == V2_SAID_PROOF;
}

static void send_again(struct v2band *k, cph_time now)
{
    send_text(k, k->v2.shake.state == V2_SAID_HELLO ? OUT_HELLO_I : OUT_PROOF);
    k->pause = k->pause * 2 > CPH_MS(LAST_MS) ? CPH_MS(LAST_MS) : k->pause * 2;
    k->again = now + k->pause;
}

void v2_band_tick(struct cph_keying *base, cph_time now)
{
    struct v2band *k = of(base);
    const struct v2_shake *s = &k->v2.shake;

    if (!k->ready || k->again > now)
        return;
    if (s->state == V2_NONE && !k->begins) {
        k->opening = k->opens > 0;
        k->opens -= k->opens > 0;
        k->again = k->opens > 0 ? now + CPH_MS(OPEN_MS) : CPH_TIME_NEVER;
    } else if (k->anew && s->state == V2_AGREED && k->tries++ < TRIES) {
        k->again = now + CPH_MS(LAST_MS); /* the peer began: its run may bring the new keys */
    } else if (k->anew || s->state == V2_NONE) {
        k->proofs = 0;
        begin(k, now);
    } else if (s->state == V2_SAID_PROOF && k->proofs == AFRESH) {
        begin(k, now);
    } else if (s->state == V2_SAID_PROOF && k->proofs++ < TRIES) {
        send_again(k, now);
    } else if (s->state == V2_SAID_HELLO && k->tries++ < TRIES) {
        send_again(k, now);
    } else {
        give_up(k, CPH_E_TIMEOUT, "the peer does not answer MIKEYv2 on the media path");
    }
}

/* ---- messages ------------------------------------------------------------------------------- */

/* A run of the peer's that we know already. */
static cph_err got_hello_again(struct v2band *k, struct cph_span text, const struct cph_addr *from,
                               cph_time now)
{
    const struct v2_shake *run = &k->v2.shake;

    if (!cph_span_eq(text, v2_hello(run, 0)))
        return CPH_E_POLICY;
    if (run->state != V2_AGREED)
        return CPH_E_STATE;
    if (!may_answer(k, from, now))
        return CPH_E_LIMIT;
    send_text(k, OUT_HELLO_R); /* ours was lost */
    return CPH_OK;
}

static cph_err got_hello_i(struct v2band *k, struct cph_span text, const struct v2_msg *m,
                           const struct cph_addr *from, cph_time now)
{
    const struct v2_shake *run = &k->v2.shake;
    bool ours = run->we_began && waits(run), home = at_home(k, from);
    V2_SHAKE_SCOPED next = { 0 };

    if (!run->we_began && run->state >= V2_AGREED && m->spi_i == run->spi_i)
        return got_hello_again(k, text, from, now);
    if (k->begins && !k->v2.keyed)
        return CPH_E_STATE; /* the first run is ours, as offer and answer say */
    /* both began: the smaller number goes on */
    if (ours && run->spi_i <= m->spi_i)
        return CPH_E_STATE;
    /* from elsewhere nobody ends a run with who is at home */
    if (!home && (ours ? k->home.family != CPH_AF_NONE : run->state == V2_AGREED && k->from_home))
        return CPH_E_STATE;
    if (!may_answer(k, from, now))
        return CPH_E_LIMIT;
    CPH_TRY(v2_choose(&k->v2, text, &next));
    go_on_with(k, &next);
    k->from_home = home;
    if (!k->anew)
        v2_band_disarm(k);
    send_text(k, OUT_HELLO_R);
    return CPH_OK;
}

static cph_err got_hello_r(struct v2band *k, struct cph_span text, cph_time now)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);

    if (next.state != V2_SAID_HELLO)
        return CPH_E_STATE;
    CPH_TRY(v2_agree(&k->v2, text, &next));
    CPH_TRY(v2_prove(&k->v2, &next));
    go_on_with(k, &next);
    send_text(k, OUT_PROOF);
    arm(k, now);
    k->proofs++;
    return CPH_OK;
}

static void commit(struct v2band *k, struct v2_shake *next, const struct mikey_csb *csb,
                   const struct cph_addr *from)
{
    v2_commit(&k->v2, next, csb);
    if (from)
        k->home = *from;
    k->parts = 0;
    k->anew = false;
    v2_band_disarm(k);
}

static cph_err got_proof_i(struct v2band *k, struct cph_span text, const struct cph_addr *from,
                           cph_time now)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);
    MIKEY_CSB_SCOPED csb = { 0 };

    if (!next.we_began && v2_heard(&next, text)) {
        if (!may_answer(k, from, now))
            return CPH_E_LIMIT;
        send_text(k, OUT_PROOF);
        return CPH_OK;
    }
    CPH_TRY(v2_respond(&k->v2, text, &next, &csb));
    commit(k, &next, &csb, from);
    send_text(k, OUT_PROOF);
    return CPH_OK;
}

static cph_err got_proof_r(struct v2band *k, struct cph_span text, const struct cph_addr *from)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);
    MIKEY_CSB_SCOPED csb = { 0 };

    CPH_TRY(v2_verify(&k->v2, text, &next, &csb));
    commit(k, &next, &csb, from);
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
    if (!k->begins || k->v2.shake.state != V2_SAID_HELLO || k->opened++ >= V2_OPENERS)
        return CPH_E_STATE;
    follow(k, from);
    send_text(k, OUT_HELLO_I);
    return CPH_OK;
}

static cph_err got_message(struct v2band *k, struct cph_span text, const struct cph_addr *from,
                           cph_time now)
{
    struct v2_msg parsed, *m = &parsed;

    CPH_TRY(v2_parse(text, m));
    switch (m->type) {
    case V2_HELLO_I:
        return got_hello_i(k, text, m, from, now);
    case V2_HELLO_R:
        return got_hello_r(k, text, now);
    case V2_PROOF_I:
        return got_proof_i(k, text, from, now);
    case V2_PROOF_R:
        return got_proof_r(k, text, from);
    case V2_KEEP:
    case V2_TYPES_:
        break;
    }
    return CPH_E_MALFORMED;
}

cph_err v2_band_feed(struct cph_keying *base, enum cph_keying_component component,
                     const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct v2band *k = of(base);
    struct v2_part p;
    cph_err err;

    if (component != CPH_KEYING_RTP || !k->ready || k->v2.status.state == CPH_KEYING_FAILED)
        return CPH_E_STATE;
    if (packet.n == HEAD && packet.p[5] == 0)
        return got_opener(k, from);
    CPH_TRY(v2_part_parse(packet, &p));
    err = v2_gather(&k->in, &p);
    if (err != CPH_OK)
        return err == CPH_E_AGAIN ? CPH_OK : err;
    err = got_message(k, (struct cph_span){ k->in.b, k->in.total }, from, now);
    v2_gather_drop(&k->in);
    if (err == CPH_OK)
        follow(k, from);
    return err;
}
