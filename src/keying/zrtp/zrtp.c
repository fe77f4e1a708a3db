/* The object: one stream that speaks ZRTP (RFC 6189), fed with packets and asked for them. */
#include "zrtp_int.h"

#include <stdlib.h>
#include <string.h>

#include "../keying_int.h"
#include "ciphony/base_text.h"

enum { MTU = 1200 };

/* ---- making ---------------------------------------------------------------------------------- */

static void live_begin(struct zrtp *z)
{
    cph_wipe(&z->live, sizeof z->live);
    zrtp_enter(&z->live, ZRTP_IDLE);
    z->begun = false;
    z->bound = false;
    z->from = (struct cph_addr){ .family = CPH_AF_NONE };
}

static void leave(struct zrtp *z)
{
    zrtp_call_leave(z->call, z->peer, z);
    z->peer = NULL;
}

void zrtp_free(struct zrtp *z)
{
    if (!z)
        return;
    leave(z);
    cph_zrtp_call_free(z->call);
    cph_free_secret(z, sizeof *z);
}

static cph_err make(struct cph_zrtp_call *call, struct zrtp **out)
{
    struct zrtp *z = calloc(1, sizeof *z);

    if (!z)
        return CPH_E_NOMEM;
    z->base.method = &cph_keying_zrtp;
    z->call = zrtp_call_ref(call);
    live_begin(z);
    *out = z;
    return CPH_OK;
}

cph_err zrtp_new(struct cph_zrtp_call *call, uint32_t ssrc, unsigned mtu, struct zrtp **out)
{
    struct zrtp *z;
    cph_err err;

    CPH_TRY(make(call, &z));
    z->ssrc = ssrc;
    z->mtu = mtu == 0 ? MTU : mtu < CPH_KEYING_PACKET ? mtu : CPH_KEYING_PACKET;
    err = cph_random(call->cfg.env, &z->seq, sizeof z->seq);
    if (err == CPH_OK && ssrc == 0)
        err = cph_random(call->cfg.env, &z->ssrc, sizeof z->ssrc);
    if (err == CPH_OK)
        err = zrtp_own_hello(z);
    if (err) {
        zrtp_free(z);
        return err;
    }
    *out = z;
    return CPH_OK;
}

cph_err zrtp_fork(const struct zrtp *z, struct zrtp **out)
{
    struct zrtp *f;

    CPH_TRY(make(z->call, &f));
    f->ssrc = z->ssrc;
    f->seq = z->seq;
    f->mtu = z->mtu;
    for (int i = 0; i < 3; i++)
        f->h[i] = z->h[i];
    f->own = z->own;
    f->own_hello = z->own_hello;
    *out = f;
    return CPH_OK;
}

void zrtp_reset(struct zrtp *z)
{
    unsigned generation[2] = { z->live.generation[0], z->live.generation[1] };

    leave(z);
    live_begin(z);
    memcpy(z->live.generation, generation, sizeof generation);
}

/* ---- running --------------------------------------------------------------------------------- */

/* What happens by itself: the beginning, and what other streams of the call did. */
static void look(struct zrtp *z, cph_time now)
{
    struct zrtp_in in = { .ev = ZRTP_EV_START, .now = now };

    if (z->started && !z->begun) {
        z->begun = true;
        (void)!zrtp_step(z, &in);
    }
    if (z->looked != z->call->moves) {
        z->looked = z->call->moves;
        in.ev = ZRTP_EV_WAKE;
        (void)!zrtp_step(z, &in);
    }
}

static void note_rival(struct zrtp *z)
{
    z->notes |= CPH_KEYING_NOTE_RIVAL_HANDSHAKE;
}

/* The first Hello names the peer, and with it what is retained. */
static cph_err feed_hello(struct zrtp *z, const struct cph_addr *from, const struct zrtp_in *in)
{
    bool met = z->peer != NULL;
    cph_err err = met ? CPH_OK : zrtp_check_promise(z, in->msg->bytes);

    if (err == CPH_OK && !met)
        err = zrtp_call_meet(z->call, in->msg->u.hello.zid, &z->peer);
    if (err == CPH_OK)
        err = zrtp_step(z, in);
    if (err == CPH_E_AUTH)
        note_rival(z);
    if (!met && !z->live.has_peer)
        leave(z);
    if (!met && z->live.has_peer) {
        z->bound = z->expects;
        if (from)
            z->from = *from;
    }
    return err;
}

cph_err zrtp_feed(struct zrtp *z, const struct cph_addr *from, struct cph_span bytes, cph_time now)
{
    struct zrtp_packet packet;
    struct zrtp_msg msg;
    struct zrtp_in in = { .msg = &msg, .now = now };

    look(z, now);
    CPH_TRY(zrtp_packet_parse(bytes, &packet));
    CPH_TRY(zrtp_msg_parse(packet.msg, &msg));
    if (z->live.has_peer && packet.ssrc != z->live.peer_ssrc && msg.type != ZRTP_PING) {
        note_rival(z); /* 5: another source is another session */
        return CPH_E_NOTFOUND;
    }
    in.ev = (enum zrtp_event)msg.type;
    in.ssrc = packet.ssrc;
    if (msg.type == ZRTP_HELLO)
        return feed_hello(z, from, &in);
    if (!z->live.has_peer && packet.ssrc == z->ssrc && msg.type != ZRTP_PING)
        in.ev = ZRTP_EV_COLLISION;
    return zrtp_step(z, &in);
}

cph_time zrtp_deadline(const struct zrtp *z)
{
    if ((z->started && !z->begun) || z->live.due || z->looked != z->call->moves)
        return 0;
    return z->live.at;
}

void zrtp_tick(struct zrtp *z, cph_time now)
{
    struct zrtp_in in = { .ev = ZRTP_EV_TIMEOUT, .now = now };

    look(z, now);
    if (now >= z->live.at && zrtp_step(z, &in) != CPH_OK)
        z->live.at = now + CPH_MS(ZRTP_T2_CAP_MS); /* out of memory: later, then */
}

/* ---- sending --------------------------------------------------------------------------------- */

static void own_endpoint(const struct zrtp *z, uint8_t out[8])
{
    memcpy(out, z->own.zid, 8); /* 5.16: for one endpoint, its ZID cut short */
}

static void fill(const struct zrtp *z, struct zrtp_msg *m)
{
    if (m->type == ZRTP_ERROR)
        m->u.error = z->live.error;
    if (m->type == ZRTP_GOCLEAR)
        memcpy(m->u.clear_mac, z->live.clear_mac, ZRTP_MAC);
    if (m->type == ZRTP_PINGACK) {
        memcpy(m->u.pingack.version, "1.10", 4);
        own_endpoint(z, m->u.pingack.endpoint);
        memcpy(m->u.pingack.pinged, z->live.pinged, sizeof z->live.pinged);
        m->u.pingack.ssrc = z->live.ping_ssrc;
    }
}

/* RFC 6189 6 MUST: what goes out again is the same, so what is long was kept. */
static struct cph_span message(const struct zrtp *z, enum zrtp_type type, uint8_t room[64])
{
    const struct zrtp_live *l = &z->live;
    struct cph_wr wr = cph_wr_open(room, 64);
    struct zrtp_msg m = { .type = type };

    switch (type) {
    case ZRTP_HELLO:
        return (struct cph_span){ z->own_hello.b, z->own_hello.n };
    case ZRTP_COMMIT:
        return (struct cph_span){ l->commit.b, l->commit.n };
    case ZRTP_DHPART1:
        return (struct cph_span){ l->dhpart1.b, l->dhpart1.n };
    case ZRTP_DHPART2:
        return (struct cph_span){ l->dhpart2.b, l->dhpart2.n };
    case ZRTP_CONFIRM1:
    case ZRTP_CONFIRM2:
    case ZRTP_SASRELAY:
        return (struct cph_span){ l->sealed, l->sealed_n };
    case ZRTP_HELLOACK:
    case ZRTP_CONF2ACK:
    case ZRTP_ERROR:
    case ZRTP_ERRORACK:
    case ZRTP_GOCLEAR:
    case ZRTP_CLEARACK:
    case ZRTP_RELAYACK:
    case ZRTP_PING:
    case ZRTP_PINGACK:
    case ZRTP_TYPES:
        break;
    }
    fill(z, &m);
    zrtp_msg_build(&wr, &m);
    return cph_wr_done(&wr);
}

/* What acknowledges goes before what asks. */
static int next_due(unsigned due)
{
    static const enum zrtp_type first[] = { ZRTP_HELLOACK, ZRTP_CONF2ACK, ZRTP_ERRORACK,
                                            ZRTP_CLEARACK, ZRTP_RELAYACK, ZRTP_PINGACK };

    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        if (due & zrtp_bit(first[i]))
            return (int)first[i];
    }
    for (int t = 0; t < ZRTP_TYPES; t++) {
        if (due & 1U << t)
            return t;
    }
    return -1;
}

cph_err zrtp_pull(struct zrtp *z, struct cph_wr *out, cph_time now)
{
    struct zrtp_packet packet = { .seq = z->seq, .ssrc = z->ssrc };
    uint8_t room[64];
    int type;

    look(z, now);
    type = next_due(z->live.due);
    if (type < 0)
        return CPH_E_AGAIN;
    packet.msg = message(z, (enum zrtp_type)type, room);
    zrtp_packet_build(out, &packet);
    CPH_TRY(cph_wr_end(out));
    z->live.due &= ~(1U << type);
    z->seq++;
    return CPH_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

cph_err zrtp_srtp_policy(const struct zrtp *z, enum cph_keying_dir dir, struct cph_srtp_policy *out)
{
    const struct zrtp_live *l = &z->live;
    CPH_SRTP_POLICY_SCOPED p = { 0 };
    /* 4.5.3: the initiator encrypts with its own key, the responder decrypts with it */
    int by = (dir == CPH_KEYING_SEND) == l->initiator ? ZRTP_INITIATOR : ZRTP_RESPONDER;

    if (!(l->has_keys & 1U << dir))
        return CPH_E_AGAIN;
    p.suite = zrtp_suite(l->alg[ZRTP_K_CIPHER], l->alg[ZRTP_K_TAG]);
    if (!p.suite)
        return CPH_E_BUG;
    p.master.key = l->keys.srtp[by];
    p.master.salt = l->keys.salt[by];
    *out = p;
    return CPH_OK;
}
