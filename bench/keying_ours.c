/* One session of two ends of Ciphony, from the offer to the keys, over a wire that takes no time.
 */
#include "keying_bench.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/identity_smime.h"
#include "ciphony/sdp_offer.h"
#include "ciphony/srtp.h"

enum { TURNS = 2000, PORT = 4000 };

struct end {
    struct cph_nego *nego;
    struct cph_zrtp_call *call; /* of this session; NULL: not ours */
    struct cph_addr addr;
};

static void must(cph_err err, const char *what, const char *who)
{
    if (err == CPH_OK)
        return;
    bench_die(what, who);
}

/* ZRTP with nothing retained: each session a first one, as in libbzrtp without a cache. */
static void open_zrtp(struct bench_pair *p, unsigned i, struct end *e, struct cph_keying_cfg *cfg)
{
    struct cph_zrtp_cfg zrtp = { .env = cfg->env,
                                 .agreements = p->agreement,
                                 .ciphers = p->cipher };

    memset(zrtp.zid, 1 + (int)i, sizeof zrtp.zid);
    must(cph_zrtp_call_new(&zrtp, &e->call), "no call", p->agreement[0]);
    cfg->zrtp = e->call;
}

static void end_open(struct bench_pair *p, unsigned i, struct end *e, const char *name)
{
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = p->method };

    memset(e, 0, sizeof *e);
    must(cph_addr_parse_ip(cph_span_of(i ? "10.0.0.2" : "10.0.0.1"), &e->addr), "address", name);
    must(lab_kit_session(p->kit[i], i ? LAB_ALICE : LAB_BOB, &cfg.keying), "no material", name);
    if (p->agreement[0])
        open_zrtp(p, i, e, &cfg.keying);
    must(cph_nego_new(&cfg, &e->nego), "no negotiation", name);
    e->addr.port = PORT;
}

static void end_close(struct end *e)
{
    cph_nego_free(e->nego);
    cph_zrtp_call_free(e->call);
}

/* ---- descriptions ---------------------------------------------------------------------------- */

/* From end i to the other, sealed and opened again where the column says so. */
static void send(const struct bench_pair *p, unsigned i, const struct cph_sdp *sdp,
                 char id[2][CPH_SMIME_ID], const char *name)
{
    static uint8_t plain[CPH_SMIME_BODY / 2], sealed[CPH_SMIME_BODY];
    static struct cph_smime_opened opened;
    struct cph_wr text = cph_wr_open(plain, sizeof plain), out = cph_wr_open(sealed, sizeof sealed);
    const char *answers = i ? id[0] : NULL;
    char type[CPH_SMIME_TYPE];

    if (!p->smime[i])
        return;
    must(cph_sdp_print(sdp, &text), "no description", name);
    must(cph_smime_seal(p->smime[i], lab_user_cert(i ? LAB_ALICE : LAB_BOB, true),
                        CPH_SPAN_LIT("application/sdp"), cph_wr_done(&text), answers, type, id[i],
                        &out),
         "not sealed", name);
    must(cph_smime_open(
             p->smime[1 - i],
             &(struct cph_smime_from){ .cert = lab_user_cert(i ? LAB_BOB : LAB_ALICE, true),
                                       .answers = answers },
             cph_span_of(type), cph_wr_done(&out), &opened),
         "not opened", name);
    cph_smime_opened_wipe(&opened);
}

static void describe(const struct bench_pair *p, struct end e[2], const char *name)
{
    char id[2][CPH_SMIME_ID];
    static const struct cph_sdp_codec codec[] = { { "PCMU", 8000, 1, 0, NULL } };
    struct cph_sdp_stream stream = { .port = PORT,
                                     .rtcp_mux = true,
                                     .codecs = codec,
                                     .n_codecs = 1,
                                     .direction = CPH_SDP_SENDRECV };
    struct cph_sdp_local local[2] = { { .origin = { .id = 1, .version = 1 } },
                                      { .origin = { .id = 2, .version = 1 } } };
    struct cph_arena *arena;
    struct cph_sdp *offer, *answer;

    must(cph_arena_new(16 * CPH_SDP_ARENA, &arena), "no memory", name);
    for (int i = 0; i < 2; i++) {
        local[i].addr = e[i].addr;
        local[i].addr.port = 0;
    }
    must(cph_sdp_offer(arena, &local[0], &stream, 1, &offer), "no description", name);
    must(cph_nego_offer(e[0].nego, &(struct cph_keying_local){ offer, offer->media[0] }),
         "no offer", name);
    send(p, 0, offer, id, name);
    must(cph_sdp_answer_skeleton(arena, &local[1], offer, &stream, 1, &answer), "no description",
         name);
    must(cph_nego_answer(e[1].nego, &(struct cph_keying_remote){ offer, offer->media[0] },
                         &(struct cph_keying_local){ answer, answer->media[0] }),
         "no answer", name);
    send(p, 1, answer, id, name);
    must(cph_nego_finish(e[0].nego, &(struct cph_keying_remote){ answer, answer->media[0] }),
         "the answer was not taken", name);
    cph_arena_free(arena);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static bool carry(struct end *from, struct end *to, cph_time now)
{
    struct cph_keying_packet packet;
    bool any = false;

    while (cph_nego_pull(from->nego, &packet, now) == CPH_OK) {
        any = true;
        (void)!cph_nego_feed(to->nego, packet.component, &from->addr,
                             (struct cph_span){ packet.b, packet.n }, now);
    }
    return any;
}

static bool keyed(const struct end *e)
{
    struct cph_nego_status st;

    cph_nego_status(e->nego, &st);
    return st.outcome == CPH_NEGO_SECURE && st.keying.state == CPH_KEYING_KEYED;
}

static void shake(struct end e[2], const char *name)
{
    cph_time now = CPH_SEC(1);

    for (int turn = 0; turn < TURNS; turn++) {
        bool any = carry(&e[0], &e[1], now);

        any |= carry(&e[1], &e[0], now);
        if (any)
            continue;
        if (keyed(&e[0]) && keyed(&e[1]))
            return;
        now += CPH_MS(5);
        for (int i = 0; i < 2; i++)
            if (cph_nego_deadline(e[i].nego) <= now)
                cph_nego_tick(e[i].nego, now);
    }
    bench_die("a handshake did not end", name);
}

/* The sending key of one end is the receiving key of the other. */
static void compare(struct end e[2], const char *name)
{
    for (int i = 0; i < 2; i++) {
        CPH_SRTP_POLICY_SCOPED send = { 0 };
        CPH_SRTP_POLICY_SCOPED recv = { 0 };

        must(cph_nego_keys(e[i].nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &send), "no key", name);
        must(cph_nego_keys(e[1 - i].nego, CPH_KEYING_RTP, CPH_KEYING_RECV, 0, &recv), "no key",
             name);
        if (!cph_ct_eq(cph_secret_span(&send.master.key), cph_secret_span(&recv.master.key)))
            bench_die("the ends have different keys", name);
    }
}

/* MIKEYv2 in SDP has keys after a second exchange. */
static bool wants_another(const struct end *e)
{
    struct cph_nego_status st;

    cph_nego_status(e->nego, &st);
    return st.keying.offer_wanted;
}

void bench_session(struct bench_pair *p, const char *name)
{
    struct end e[2];

    for (unsigned i = 0; i < 2; i++)
        end_open(p, i, &e[i], name);
    describe(p, e, name);
    if (wants_another(&e[0]))
        describe(p, e, name);
    shake(e, name);
    compare(e, name);
    for (int i = 0; i < 2; i++)
        end_close(&e[i]);
}
