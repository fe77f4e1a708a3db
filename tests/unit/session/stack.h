/* A stack as the manager sees it: messages as plain structs, and a security application for tests
 * whose proof is the word "right". */
#ifndef TEST_SESSION_STACK_H
#define TEST_SESSION_STACK_H

#include "support.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/session_manager.h"

enum { MSG_HEADERS = 12, MSG_TEXT = 1024 };

struct msg {
    struct cph_ssa_msg v;
    struct {
        const char *name;
        char value[MSG_TEXT];
    } h[MSG_HEADERS];
    unsigned n;
    char raw[MSG_TEXT];
};

/* ---- the security application ---------------------------------------------------------------- */

struct toy {
    unsigned open; /* talks alive */
    unsigned challenges, signs, verifies;
    bool refuse_sign; /* sign() fails */
    bool covers;      /* proofs cover the body */
    bool stale;       /* verify says: right but old */
};

/* ---- the application ------------------------------------------------------------------------- */

struct app {
    struct cph_sst sst;
    struct cph_policy policy;
    cph_err capability;
    const char *password; /* ours; NULL: none */
};

static struct cph_span header(void *ctx, const char *name, unsigned i)
{
    struct msg *m = ctx;

    for (unsigned k = 0; k < m->n; k++)
        if (cph_span_iis(cph_span_of(m->h[k].name), name) && i-- == 0)
            return cph_span_of(m->h[k].value);
    return (struct cph_span){ NULL, 0 };
}

/* A request (status 0) or a response, alice calling bob. */
static void msg_init(struct msg *m, const char *method, unsigned status, uint32_t cseq,
                     const char *body)
{
    memset(m, 0, sizeof *m);
    m->v = (struct cph_ssa_msg){ .status = status,
                                 .method = cph_span_of(method),
                                 .uri = cph_span_of(status ? "" : "sip:bob@b.example"),
                                 .call_id = cph_span_of("call-1"),
                                 .from_tag = cph_span_of("alice-tag"),
                                 .to_tag = cph_span_of(status > 100 ? "bob-tag" : ""),
                                 .from_uri = cph_span_of("sip:alice@a.example"),
                                 .to_uri = cph_span_of("sip:bob@b.example"),
                                 .cseq = cseq,
                                 .body = cph_span_of(body),
                                 .header = header,
                                 .ctx = m,
                                 .peer = cph_span_of("192.0.2.1:5060") };
}

__attribute__((unused)) static void msg_header(struct msg *m, const char *name, const char *value)
{
    assert_true(m->n < MSG_HEADERS && strlen(value) < MSG_TEXT);
    m->h[m->n].name = name;
    strcpy(m->h[m->n++].value, value);
}

/* Take the header lines a manager wrote, as the stack on the other side would read them. */
__attribute__((unused)) static void msg_take_lines(struct msg *m, struct cph_span lines)
{
    static const char *const known[] = { "Authorization", "Proxy-Authorization", "WWW-Authenticate",
                                         "Authentication-Info" };
    struct cph_span line;

    while (cph_span_line(&lines, &line)) {
        struct cph_span name = cph_span_cut(&line, ':');
        char value[MSG_TEXT];
        bool found = false;

        assert_ok(cph_span_cstr(cph_span_trim(line), value, sizeof value));
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (cph_span_iis(name, known[i])) {
                msg_header(m, known[i], value);
                found = true;
            }
        assert_true(found);
    }
}

/* Fills raw from what is there: call last. */
__attribute__((unused)) static void msg_seal(struct msg *m)
{
    struct cph_wr wr = cph_wr_open(m->raw, sizeof m->raw);

    cph_wr_span(&wr, m->v.method);
    cph_wr_fmt(&wr, " %u %u ", m->v.status, m->v.cseq);
    cph_wr_span(&wr, m->v.body);
    for (unsigned i = 0; i < m->n; i++)
        cph_wr_fmt(&wr, "%s: %s\r\n", m->h[i].name, m->h[i].value);
    assert_ok(cph_wr_end(&wr));
    m->v.raw = cph_wr_done(&wr);
}

/* ---- the security application ---------------------------------------------------------------- */

struct toy_talk {
    const struct cph_sst *sst;
    bool asked, proxy, tried;
    char password[32];
};

static cph_err toy_open(void *ctx, const struct cph_sst *sst, void **talk)
{
    struct toy *t = ctx;
    struct toy_talk *k = calloc(1, sizeof *k);

    if (!k)
        return CPH_E_NOMEM;
    k->sst = sst;
    t->open++;
    *talk = k;
    return CPH_OK;
}

static void toy_close(void *ctx, void *talk)
{
    struct toy *t = ctx;

    if (talk)
        t->open--;
    free(talk);
}

static cph_err toy_asked(void *ctx, void *talk, const void *account, bool proxy,
                         const struct cph_span *values, unsigned n)
{
    struct toy_talk *k = talk;
    struct cph_sst_credentials cred = { .user = "" };

    (void)ctx;
    assert_true(n > 0 && cph_span_starts(values[0], "Toy"));
    if (!k->sst || !k->sst->credentials)
        return CPH_E_NOTFOUND;
    CPH_TRY(k->sst->credentials(k->sst->ctx, account, cph_span_of("toys"), &cred));
    if (k->tried && !cph_span_is(values[0], "Toy stale"))
        return CPH_E_AUTH;
    memcpy(k->password, cred.password.b, cred.password.n);
    k->asked = true;
    k->proxy = proxy;
    return CPH_OK;
}

static cph_err toy_sign(void *ctx, void *talk, const struct cph_sma_msg *request,
                        struct cph_wr *lines)
{
    struct toy *t = ctx;
    struct toy_talk *k = talk;

    (void)request;
    if (t->refuse_sign)
        return CPH_E_CRYPTO;
    if (k->asked) {
        cph_wr_fmt(lines, "%sAuthorization: Toy alice %s\r\n", k->proxy ? "Proxy-" : "",
                   k->password);
        k->tried = true;
        t->signs++;
    }
    return CPH_OK;
}

static cph_err toy_answered(void *ctx, void *talk, bool proxy, const struct cph_span *values,
                            unsigned n, struct cph_span body, enum cph_peer_proof *worth)
{
    struct toy *t = ctx;
    struct toy_talk *k = talk;

    (void)proxy;
    (void)body;
    k->tried = false;
    *worth = CPH_PROOF_NONE;
    if (n == 0)
        return CPH_OK;
    if (!cph_span_is(values[0], "bob right"))
        return CPH_E_AUTH;
    *worth = t->covers ? CPH_PROOF_COVERED : CPH_PROOF_UNCOVERED;
    return CPH_OK;
}

static cph_err toy_challenge(void *ctx, bool cover_body, bool stale, cph_time now,
                             struct cph_wr *lines)
{
    struct toy *t = ctx;

    (void)now;
    (void)cover_body;
    t->challenges++;
    cph_wr_fmt(lines, "WWW-Authenticate: Toy%s\r\n", stale ? " stale" : "");
    return CPH_OK;
}

static cph_err toy_verify(void *ctx, void *talk, const struct cph_sma_msg *request,
                          const struct cph_span *values, unsigned n, cph_time now,
                          struct cph_sma_proof *out)
{
    struct toy *t = ctx;
    struct cph_span rest = values[0], user;

    (void)talk;
    (void)request;
    (void)now;
    assert_true(n > 0);
    t->verifies++;
    (void)cph_span_word(&rest); /* "Toy" */
    user = cph_span_word(&rest);
    if (!cph_span_is(cph_span_trim(rest), "right"))
        return CPH_E_AUTH;
    if (t->stale) {
        out->stale = true;
        return CPH_E_AUTH;
    }
    assert_ok(cph_span_cstr(user, out->user, sizeof out->user));
    out->worth = t->covers ? CPH_PROOF_COVERED : CPH_PROOF_UNCOVERED;
    return CPH_OK;
}

static cph_err toy_prove(void *ctx, void *talk, struct cph_span body, struct cph_wr *lines)
{
    (void)ctx;
    (void)talk;
    (void)body;
    cph_wr_text(lines, "Authentication-Info: bob right\r\n");
    return CPH_OK;
}

/* Bodies between < and > count as encrypted by it; what begins with "?" cannot be decrypted. */
static cph_err toy_decrypt(void *ctx, const struct cph_sma_msg *msg, struct cph_span type,
                           const struct cph_sst *sst, struct cph_wr *out, struct cph_wr *out_type)
{
    (void)ctx;
    (void)sst;
    if (!cph_span_is(type, "application/toy"))
        return CPH_E_NOTFOUND;
    if (msg->body.n < 2 || msg->body.p[0] != '<' || msg->body.p[msg->body.n - 1] != '>')
        return CPH_E_AUTH;
    cph_wr_bytes(out, msg->body.p + 1, msg->body.n - 2);
    cph_wr_text(out_type, "application/sdp");
    return CPH_OK;
}

static cph_err toy_encrypt(void *ctx, const struct cph_sma_msg *msg, const struct cph_sst *sst,
                           struct cph_wr *out, struct cph_wr *type)
{
    (void)ctx;
    (void)sst;
    if (!cph_span_starts(msg->body, "secret"))
        return CPH_E_NOTFOUND;
    cph_wr_text(out, "<");
    cph_wr_span(out, msg->body);
    cph_wr_text(out, ">");
    cph_wr_text(type, "application/toy");
    return CPH_OK;
}

__attribute__((unused)) static struct cph_sma toy_sma(struct toy *t)
{
    static const struct cph_sma_ops ops = { .scheme = "Toy",
                                            .open = toy_open,
                                            .close = toy_close,
                                            .asked = toy_asked,
                                            .sign = toy_sign,
                                            .answered = toy_answered,
                                            .challenge = toy_challenge,
                                            .verify_sign = toy_verify,
                                            .prove = toy_prove,
                                            .encrypt = toy_encrypt,
                                            .decrypt = toy_decrypt };

    return (struct cph_sma){ &ops, t };
}

/* ---- the application ------------------------------------------------------------------------- */

static cph_err capability(void *ctx, const struct cph_ssa_msg *msg, struct cph_sst_capability *out)
{
    struct app *a = ctx;

    (void)msg;
    out->policy = a->policy;
    return a->capability;
}

static cph_err credentials(void *ctx, const void *account, struct cph_span realm,
                           struct cph_sst_credentials *out)
{
    struct app *a = ctx;

    (void)account;
    (void)realm;
    if (!a->password)
        return CPH_E_NOTFOUND;
    strcpy(out->user, "alice");
    return cph_secret_set(&out->password, cph_span_of(a->password));
}

static cph_err secret(void *ctx, struct cph_span user, struct cph_span realm,
                      struct cph_secret *out)
{
    (void)ctx;
    (void)realm;
    return cph_span_is(user, "alice") ? cph_secret_set(out, cph_span_of("right")) : CPH_E_NOTFOUND;
}

__attribute__((unused)) static void app_init(struct app *a, bool challenge)
{
    memset(a, 0, sizeof *a);
    a->policy.challenge = challenge;
    a->password = "right";
    a->sst = (struct cph_sst){
        .ctx = a, .capability = capability, .credentials = credentials, .secret = secret
    };
}

#endif
