/*
 * The security manager attached to a SIP stack that is not ours: GNU oSIP2.
 *
 * A stack needs three things to use the manager: show it each message through struct cph_ssa_msg
 * before its own transactions see it, do what it decides, and give it an application (SST) that
 * knows policy and passwords. This program does so with messages read from a script: an INVITE
 * without proof is challenged, the same INVITE with a right proof goes on to call control, one with
 * a wrong proof does not.
 *
 *   cc main.c $(pkg-config --cflags --libs ciphony libosip2)
 */
#include <osipparser2/osip_parser.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"
#include "ciphony/identity_digest.h"
#include "ciphony/session_manager.h"

/* ---- oSIP's message through the manager's eyes ----------------------------------------------- */

/* What oSIP took out of its headers must be printed again; each text lives in this pool while the
 * manager looks. */
struct shown {
    const osip_message_t *sip;
    char *text[32];
    unsigned n;
};

static struct cph_span keep(struct shown *s, char *text)
{
    if (!text || s->n == sizeof s->text / sizeof *s->text) {
        osip_free(text);
        return (struct cph_span){ 0 };
    }
    s->text[s->n++] = text;
    return cph_span_of(text);
}

static void forget(struct shown *s)
{
    for (unsigned i = 0; i < s->n; i++)
        osip_free(s->text[i]);
}

static struct cph_span header(void *ctx, const char *name, unsigned i)
{
    struct shown *s = ctx;
    osip_header_t *other = NULL;
    osip_authorization_t *proof;
    char *text = NULL;

    if (strcasecmp(name, "Authorization") == 0) {
        proof = osip_list_get(&s->sip->authorizations, (int)i);
        if (!proof || osip_authorization_to_str(proof, &text) != 0)
            return (struct cph_span){ 0 };
        return keep(s, text);
    }
    if (i == 0 && osip_message_header_get_byname(s->sip, name, 0, &other) >= 0 && other)
        return cph_span_of(other->hvalue);
    return (struct cph_span){ 0 };
}

static struct cph_span uri_text(struct shown *s, const osip_uri_t *uri)
{
    char *text = NULL;

    return uri && osip_uri_to_str(uri, &text) == 0 ? keep(s, text) : (struct cph_span){ 0 };
}

static struct cph_span tag_of(osip_from_t *from)
{
    osip_generic_param_t *tag = NULL;
    char name[] = "tag"; /* oSIP asks for one it could write to */

    return osip_generic_param_get_byname(&from->gen_params, name, &tag) == 0 && tag
               ? cph_span_of(tag->gvalue)
               : (struct cph_span){ 0 };
}

static void show(struct shown *s, const osip_message_t *sip, struct cph_ssa_msg *out)
{
    osip_body_t *body = NULL;
    char *call_id = NULL;

    *s = (struct shown){ .sip = sip };
    if (osip_call_id_to_str(sip->call_id, &call_id) != 0)
        call_id = NULL;
    *out = (struct cph_ssa_msg){
        .status = MSG_IS_RESPONSE(sip) ? (unsigned)sip->status_code : 0,
        .method = cph_span_of(sip->sip_method ? sip->sip_method : sip->cseq->method),
        .uri = uri_text(s, sip->req_uri),
        .call_id = keep(s, call_id),
        .from_tag = tag_of(sip->from),
        .to_tag = tag_of(sip->to),
        .from_uri = uri_text(s, sip->from->url),
        .to_uri = uri_text(s, sip->to->url),
        .cseq = (uint32_t)strtoul(sip->cseq->number, NULL, 10),
        .header = header,
        .ctx = s,
        .peer = CPH_SPAN_LIT("192.0.2.1:5060"),
    };
    if (osip_message_get_body(sip, 0, &body) >= 0 && body)
        out->body = (struct cph_span){ (uint8_t *)body->body, body->length };
}

/* The hook: between oSIP's parser and its transactions (osip_find_transaction_and_add_event). */
static enum cph_ssa_do receive(struct cph_manager *m, const osip_message_t *sip, cph_time now,
                               struct cph_ssa_out *out)
{
    struct shown shown;
    struct cph_ssa_msg msg;

    show(&shown, sip, &msg);
    cph_ssa_receive(m, &msg, now, out);
    forget(&shown);
    return out->what;
}

/* ---- the application (SST) ------------------------------------------------------------------- */

static cph_err capability(void *ctx, const struct cph_ssa_msg *msg, struct cph_sst_capability *out)
{
    (void)ctx, (void)msg;
    *out = (struct cph_sst_capability){ .policy = { .challenge = true } };
    return CPH_OK;
}

static cph_err secret(void *ctx, struct cph_span user, struct cph_span realm,
                      struct cph_secret *out)
{
    (void)ctx, (void)realm;
    return cph_span_is(user, "alice") ? cph_secret_set(out, CPH_SPAN_LIT("open sesame"))
                                      : CPH_E_NOTFOUND;
}

static cph_err credentials(void *ctx, const void *account, struct cph_span realm,
                           struct cph_sst_credentials *out)
{
    (void)account, (void)realm;
    *out = (struct cph_sst_credentials){ .user = "alice" };
    return cph_secret_set(&out->password, cph_span_of(ctx));
}

/* ---- the script ------------------------------------------------------------------------------ */

static const char invite[] = "INVITE sip:bob@192.0.2.2 SIP/2.0\r\n"
                             "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%u\r\n"
                             "From: <sip:alice@192.0.2.1>;tag=a1\r\n"
                             "To: <sip:bob@192.0.2.2>\r\n"
                             "Call-ID: attached@192.0.2.1\r\n"
                             "CSeq: %u INVITE\r\n"
                             "Contact: <sip:alice@192.0.2.1>\r\n"
                             "Max-Forwards: 70\r\n"
                             "%s"
                             "Content-Length: 0\r\n\r\n";

static enum cph_ssa_do call(struct cph_manager *m, unsigned cseq, const char *proof,
                            struct cph_ssa_out *out)
{
    char text[8192];
    osip_message_t *sip = NULL;
    enum cph_ssa_do what = CPH_SSA_DROP;

    (void)snprintf(text, sizeof text, invite, cseq, cseq, proof);
    if (osip_message_init(&sip) == 0 && osip_message_parse(sip, text, strlen(text)) == 0)
        what = receive(m, sip, CPH_SEC(cseq), out);
    osip_message_free(sip);
    return what;
}

/* The other side of the example: a caller that answers the challenge with this password. */
static bool prove(const struct cph_env *env, struct cph_span challenge_lines, const char *password,
                  char *line, size_t cap)
{
    struct cph_sst sst = { .ctx = (void *)(uintptr_t)password, .credentials = credentials };
    struct cph_sma sma = { 0 };
    struct cph_sma_msg request = { .method = CPH_SPAN_LIT("INVITE"),
                                   .uri = CPH_SPAN_LIT("sip:bob@192.0.2.2") };
    struct cph_wr wr = cph_wr_open(line, cap - 1);
    struct cph_span values[CPH_SMA_VALUES], rest;
    void *talk = NULL;
    unsigned n = 0;
    cph_err err;

    while (n < CPH_SMA_VALUES && cph_span_line(&challenge_lines, &rest)) {
        (void)cph_span_cut(&rest, ':');
        values[n++] = cph_span_trim(rest);
    }
    err = cph_sma_digest_new(env, "caller", &sma);
    if (err)
        return false;
    err = sma.ops->open(sma.ctx, &sst, &talk);
    if (err)
        goto out;
    err = sma.ops->asked(sma.ctx, talk, NULL, false, values, n);
    if (err)
        goto out;
    err = sma.ops->sign(sma.ctx, talk, &request, &wr);
    if (err)
        goto out;
    err = cph_wr_end(&wr);
    if (err)
        goto out;
    line[wr.n] = '\0';
out:
    sma.ops->close(sma.ctx, talk);
    cph_sma_digest_free(&sma);
    return err == CPH_OK;
}

static const char *word(enum cph_ssa_do what)
{
    return what == CPH_SSA_PASS    ? "goes on to call control"
           : what == CPH_SSA_REPLY ? "is answered"
                                   : "is dropped";
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

int main(void)
{
    const struct cph_env env = { .random = cph_crypto_random, .wall = wall };
    const struct cph_sst sst = { .capability = capability, .secret = secret };
    struct cph_manager_cfg cfg = { .env = &env, .sst = &sst, .realm = "example" };
    struct cph_ssa_out out = { 0 };
    struct cph_manager *m = NULL;
    char challenge[CPH_SSA_HEADERS] = "", proof[4096];
    enum cph_ssa_do first, wrong = CPH_SSA_PASS, right = CPH_SSA_DROP;

    if (parser_init() != 0 || cph_sma_digest_new(&env, "example", &cfg.sma[0]) != CPH_OK)
        return 1;
    cfg.sma_n = 1;
    if (cph_manager_new(&cfg, &m) != CPH_OK)
        return 1;
    first = call(m, 1, "", &out);
    printf("INVITE without a proof %s with %u\n", word(first), out.status);
    if (out.headers.n >= sizeof challenge)
        return 1;
    memcpy(challenge, out.headers.p, out.headers.n);
    if (prove(&env, cph_span_of(challenge), "guess", proof, sizeof proof))
        wrong = call(m, 2, proof, &out);
    printf("INVITE with a wrong proof %s\n", word(wrong));
    if (prove(&env, cph_span_of(challenge), "open sesame", proof, sizeof proof))
        right = call(m, 3, proof, &out);
    printf("INVITE with the right proof %s\n", word(right));
    cph_manager_free(m);
    cph_sma_digest_free(&cfg.sma[0]);
    return first == CPH_SSA_REPLY && wrong != CPH_SSA_PASS && right == CPH_SSA_PASS ? 0 : 1;
}
