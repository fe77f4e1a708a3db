/* Messages of all kinds, in any order, into the security manager: nothing unproven may pass. Some
 * are made by a second manager that has the password, and changed on the way, or not. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/session_manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { LINES = 2 * CPH_SSA_HEADERS };

/* Header lines on their way. */
struct lines {
    size_t n;
    uint8_t b[LINES];
};

static struct cph_span value;
static bool proven;

static struct cph_span header(void *ctx, const char *name, unsigned i)
{
    if (ctx) {
        struct cph_span all = { ((struct lines *)ctx)->b, ((struct lines *)ctx)->n }, line;

        while (cph_span_line(&all, &line))
            if (cph_span_starts(line, name) && line.n > strlen(name) &&
                line.p[strlen(name)] == ':' && i-- == 0)
                return cph_span_trim(cph_span_from(line, strlen(name) + 1));
        return (struct cph_span){ NULL, 0 };
    }
    return strcmp(name, "Content-Type") != 0 && i == 0 ? value : (struct cph_span){ NULL, 0 };
}

static cph_err zero(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    memset(buf, 0, n);
    return CPH_OK;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 0;
}

static cph_err capability(void *ctx, const struct cph_ssa_msg *m, struct cph_sst_capability *out)
{
    (void)ctx;
    (void)m;
    out->policy.challenge = true;
    return CPH_OK;
}

static cph_err password(void *ctx, struct cph_span user, struct cph_span realm,
                        struct cph_secret *out)
{
    (void)ctx;
    (void)user;
    (void)realm;
    proven = true; /* the proof may be right from here on, however unlikely */
    return cph_secret_set(out, cph_span_of("x"));
}

static cph_err credentials(void *ctx, const void *account, struct cph_span realm,
                           struct cph_sst_credentials *out)
{
    (void)ctx;
    (void)account;
    (void)realm;
    memcpy(out->user, "u", 2);
    return cph_secret_set(&out->password, cph_span_of("x"));
}

/* what(1): whether and how it is changed. */
static void carry(struct lines *to, struct cph_span headers, struct cph_rd *rd)
{
    uint8_t how = cph_rd_u8(rd);

    to->n = headers.n < sizeof to->b ? headers.n : 0;
    if (to->n > 0)
        memcpy(to->b, headers.p, to->n);
    if (how > 0 && to->n > 0)
        to->b[(size_t)how * 3 % to->n] ^= cph_rd_u8(rd) | 1;
}

/* A request of one who has the password, the challenge it meets, and the same again with the proof.
 */
static bool exchange(struct cph_manager *server, struct cph_manager *client,
                     struct cph_ssa_msg *msg, cph_time now, struct cph_rd *rd)
{
    static struct lines lines;
    struct cph_ssa_msg answer;
    struct cph_ssa_out out;

    msg->status = 0;
    msg->ctx = &lines;
    lines.n = 0;
    cph_ssa_send(client, msg, now, &out);
    carry(&lines, out.headers, rd);
    cph_ssa_receive(server, msg, now, &out);
    if (out.what != CPH_SSA_REPLY)
        return out.what == CPH_SSA_PASS;
    carry(&lines, out.headers, rd);
    answer = *msg;
    answer.status = out.status;
    cph_ssa_receive(client, &answer, now, &out);
    if (out.what != CPH_SSA_RETRY)
        return false;
    carry(&lines, out.headers, rd);
    msg->cseq++;
    cph_ssa_receive(server, msg, now, &out);
    return out.what == CPH_SSA_PASS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const method[] = { "INVITE", "ACK", "BYE", "UPDATE", "CANCEL", "REGISTER" };
    static const unsigned status[] = { 0, 0, 180, 200, 401, 407, 486, 302 };
    struct cph_env env = { .random = zero, .wall = wall };
    struct cph_sst sst = { .capability = capability,
                           .secret = password,
                           .credentials = credentials };
    struct cph_manager_cfg cfg[2];
    struct cph_manager_cfg base = { .env = &env, .sst = &sst, .sma_n = 1, .max_calls = 4 };
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    struct cph_manager *m[2];
    cph_time now = 0;

    for (int i = 0; i < 2; i++) {
        cfg[i] = base;
        if (cph_sma_digest_new(&env, "r", &cfg[i].sma[0]) != CPH_OK ||
            cph_manager_new(&cfg[i], &m[i]) != CPH_OK)
            abort();
    }
    proven = false;
    while (cph_rd_more(&rd)) {
        uint8_t what = cph_rd_u8(&rd), where = cph_rd_u8(&rd);
        struct cph_ssa_msg msg = { .status = status[where % 8],
                                   .method = cph_span_of(method[what % 6]),
                                   .call_id = cph_span_of((const char *[]){ "a", "b", "c", "d", "e",
                                                                            "" }[where / 8 % 6]),
                                   .from_tag = cph_span_of(what & 64 ? "t" : "u"),
                                   .from_uri = cph_span_of("sip:u@h"),
                                   .cseq = where / 64,
                                   .body = cph_span_of(what & 128 ? "v=0" : ""),
                                   .header = header };
        struct cph_ssa_out out = { .what = CPH_SSA_DROP };

        value = cph_rd_span(&rd, cph_rd_u8(&rd));
        now += CPH_MS(where) * 50;
        if (what & 16)
            out.what = exchange(m[0], m[1], &msg, now, &rd) ? CPH_SSA_PASS : CPH_SSA_DROP;
        else if (what & 32)
            cph_ssa_send(m[0], &msg, now, &out);
        else
            cph_ssa_receive(m[0], &msg, now, &out);
        if ((what & 48) != 32 && !msg.status && what % 6 == 0 && out.what == CPH_SSA_PASS &&
            !proven)
            abort();
    }
    for (int i = 0; i < 2; i++) {
        cph_manager_free(m[i]);
        cph_sma_digest_free(&cfg[i].sma[0]);
    }
    return 0;
}
