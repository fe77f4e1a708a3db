/*
 * Two sides negotiate again and again; the input says who offers, moves, renews, and where the text
 * on the way is damaged, which form of best effort an offer has, and whether what has no final text
 * (SDP-DH, MIKEYv2) is named. Whatever happens: under
 * required nobody ends in clear, a stream with keys keeps them, and where nothing was damaged both
 * sides agree.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/keying.h"
#include "ciphony/keying_mikey.h"
#include "ciphony/sdp_offer.h"
#include "ciphony/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct cph_sdp_codec codec[] = { { "PCMU", 8000, 1, 0, NULL } };
static const struct cph_addr home = { .family = CPH_AF_V4, .ip = { 10, 0, 0, 1 } };
static struct cph_rd rd;
static uint8_t counter;
/* A line that somebody altered gives two sides different keys in SDP-DH, or a run of MIKEYv2 that
 * does not go on, and later offers repeat that: from then on they need not agree. */
static bool spoilt;

static cph_err count(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    memset(buf, ++counter, n);
    return CPH_OK;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

static const struct cph_env env = { .random = count, .wall = wall };

/* The mechanisms of a side: those of the table, or one that must be named, or those together. */
static const struct cph_keying_method *const *rows(unsigned which)
{
    static const char *const name[] = { "sdp-dh", "mikeyv2", "sdes" };
    static const struct cph_keying_method *row[4][4];

    for (unsigned i = 0; i < 3; i++)
        row[3][i] = cph_keying_method_by_name(cph_span_of(name[i]));
    row[1][0] = row[3][0];
    row[2][0] = row[3][1];
    return which == 0 ? NULL : row[which];
}

/* The description as it arrives: up to three bytes are other ones, if the input says so. */
static cph_err travel(struct cph_arena *a, struct cph_sdp *sdp, bool *damaged, struct cph_sdp **out)
{
    struct cph_span text = cph_arena_copy(a, cph_sdp_text(sdp, a));

    for (unsigned hits = cph_rd_u8(&rd) % 4; hits > 0 && text.n > 0 && cph_rd_more(&rd); hits--) {
        ((uint8_t *)(uintptr_t)text.p)[cph_rd_u16(&rd) % text.n] = cph_rd_u8(&rd);
        *damaged = spoilt = true;
    }
    return cph_sdp_parse(a, text, out);
}

static bool same_keys(struct cph_nego *x, struct cph_nego *y)
{
    CPH_SRTP_POLICY_SCOPED s = { 0 }, r = { 0 };

    return cph_nego_keys(x, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &s) == CPH_OK &&
           cph_nego_keys(y, CPH_KEYING_RTP, CPH_KEYING_RECV, 0, &r) == CPH_OK &&
           s.suite == r.suite &&
           cph_ct_eq(cph_secret_span(&s.master.key), cph_secret_span(&r.master.key));
}

static void round_trip(struct cph_arena *a, struct cph_nego *from, struct cph_nego *to, uint8_t how)
{
    const struct cph_sdp_local l = { .addr = home };
    struct cph_sdp_stream s = { .port = how & 4 ? 5000 : 4000, .codecs = codec, .n_codecs = 1 };
    struct cph_sdp *offer, *answer, *got;
    bool damaged = false;

    if (how & 8)
        cph_nego_renew(from);
    if (cph_sdp_offer(a, &l, &s, 1, &offer) != CPH_OK ||
        cph_nego_offer(from, &(struct cph_keying_local){ offer, offer->media[0] }) != CPH_OK)
        return;
    if (travel(a, offer, &damaged, &got) != CPH_OK || got->n_media == 0 || (how & 16) ||
        cph_sdp_answer_skeleton(a, &l, got, &s, 1, &answer) != CPH_OK ||
        cph_nego_answer(to, &(struct cph_keying_remote){ got, got->media[0] },
                        &(struct cph_keying_local){ answer, answer->media[0] }) != CPH_OK) {
        cph_nego_rollback(from);
        return;
    }
    if (travel(a, answer, &damaged, &got) != CPH_OK || got->n_media == 0)
        return;
    cph_err err = cph_nego_finish(from, &(struct cph_keying_remote){ got, got->media[0] });
    struct cph_nego_status st;

    cph_nego_status(from, &st);
    if (!damaged && !(spoilt && st.method && st.method->expired) &&
        (err != CPH_OK || (st.outcome == CPH_NEGO_SECURE && st.keying.state == CPH_KEYING_KEYED &&
                           !(same_keys(from, to) && same_keys(to, from)))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cph_secret psk = { .n = 16, .b = "0123456789abcdef" };
    struct cph_nego_cfg cfg = { .keying.env = &env };
    struct cph_mikey *mikey[2];
    struct cph_nego *side[2] = { NULL, NULL };
    enum cph_keying_policy policy[2];
    struct cph_nego_status st;
    struct cph_arena *a;

    rd = cph_rd_open((struct cph_span){ data, n });
    counter = 0;
    spoilt = false;
    for (int i = 0; i < 2; i++) {
        uint8_t how = cph_rd_u8(&rd);

        cfg.policy = policy[i] = (enum cph_keying_policy)(how % 3);
        cfg.form = (enum cph_keying_form)(how / 3 % 7);
        cfg.methods = rows(how / 21 % 4);
        if (cph_mikey_new(
                &(struct cph_mikey_cfg){
                    .env = &env, .mode = CPH_MIKEY_PSK, .psk = &psk, .id = i ? "b" : "a" },
                &mikey[i]) != CPH_OK)
            abort();
        cfg.keying.mikey = cfg.methods ? mikey[i] : NULL;
        if (cph_nego_new(&cfg, &side[i]) != CPH_OK)
            abort();
    }
    for (int rounds = 0; rounds < 8 && cph_rd_more(&rd); rounds++) {
        uint8_t how = cph_rd_u8(&rd);
        enum cph_nego_outcome before[2];

        for (int i = 0; i < 2; i++) {
            cph_nego_status(side[i], &st);
            before[i] = st.outcome;
        }
        if (cph_arena_new(CPH_SDP_ARENA, &a) != CPH_OK)
            break;
        round_trip(a, side[how & 1], side[!(how & 1)], how);
        cph_arena_free(a);
        for (int i = 0; i < 2; i++) {
            cph_nego_status(side[i], &st);
            if (st.outcome == CPH_NEGO_PLAIN &&
                (policy[i] == CPH_KEYING_REQUIRED ||
                 (policy[i] == CPH_KEYING_PREFER && before[i] == CPH_NEGO_SECURE)))
                abort();
        }
    }
    for (int i = 0; i < 2; i++) {
        cph_nego_free(side[i]);
        cph_mikey_free(mikey[i]);
    }
    return 0;
}
