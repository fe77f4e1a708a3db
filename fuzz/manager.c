/* Messages of all kinds, in any order, into the security manager: nothing unproven may pass. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_wire.h"
#include "ciphony/session_manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct cph_span value;
static bool proven;

static struct cph_span header(void *ctx, const char *name, unsigned i)
{
    (void)ctx;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const method[] = { "INVITE", "ACK", "BYE", "UPDATE", "CANCEL", "REGISTER" };
    static const unsigned status[] = { 0, 0, 180, 200, 401, 407, 486, 302 };
    struct cph_env env = { .random = zero, .wall = wall };
    struct cph_sst sst = { .capability = capability,
                           .secret = password,
                           .credentials = credentials };
    struct cph_manager_cfg cfg = { .env = &env, .sst = &sst, .sma_n = 1, .max_calls = 4 };
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    struct cph_manager *m;
    cph_time now = 0;

    if (cph_sma_digest_new(&env, "r", &cfg.sma[0]) != CPH_OK)
        return 0;
    if (cph_manager_new(&cfg, &m) != CPH_OK)
        abort();
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
        struct cph_ssa_out out;

        value = cph_rd_span(&rd, cph_rd_u8(&rd));
        now += CPH_MS(where) * 50;
        if (what & 32)
            cph_ssa_send(m, &msg, now, &out);
        else
            cph_ssa_receive(m, &msg, now, &out);
        if (!(what & 32) && !msg.status && what % 6 == 0 && out.what == CPH_SSA_PASS && !proven)
            abort();
    }
    cph_manager_free(m);
    cph_sma_digest_free(&cfg.sma[0]);
    return 0;
}
