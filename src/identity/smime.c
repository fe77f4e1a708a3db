#include "ciphony/identity_smime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/crypto_cipher.h"

/*
 * What goes over the wire, from outside:
 *
 *   application/pkcs7-mime; smime-type=authEnveloped-data     AES-GCM, to the peer's certificate
 *     Content-Type: application/pkcs7-mime; smime-type=signed-data
 *       Content-Type: application/sdp                         signed from here
 *       Content-ID: <id@ciphony>                              by chance
 *       Recipient-Fingerprint: sha-256 AB:CD:...              of the peer's certificate (ours)
 *       In-Reply-To: <id@ciphony>                             answers: the Content-ID of the offer
 *
 *       v=0 ...
 *
 * S/MIME proves who wrote a body, not to whom, nor that it is not from yesterday: whoever gets it
 * may encrypt it again, to somebody else. Hence the last two headers and the signing time.
 */

static const char inner_head[] = "Content-Type: application/pkcs7-mime; smime-type=signed-data; "
                                 "name=smime.p7m\r\nContent-Transfer-Encoding: binary\r\n\r\n";
static const char at_us[] = "@ciphony";

enum { SEEN_HASH = 16 };

struct seen {
    int64_t time;
    uint8_t hash[SEEN_HASH];
};

struct cph_smime {
    struct cph_smime_cfg cfg;
    char ours[CPH_FP_TEXT]; /* our certificate's fingerprint, as the header has it */
    unsigned n, max;
    int64_t floor; /* what was signed before could have been forgotten */
    uint8_t *work, *work2;
    struct seen seen[];
};

enum { WORK = CPH_SMIME_BODY };

cph_err cph_smime_new(const struct cph_smime_cfg *cfg, struct cph_smime **out)
{
    unsigned max = cfg->seen ? cfg->seen : CPH_SMIME_SEEN;
    struct cph_fingerprint fp;
    struct cph_smime *s;

    if (!cfg->key || !cfg->cert || !cph_cert_has_key(cfg->cert, cfg->key) ||
        !cph_cms_can_receive(cfg->cert))
        return CPH_E_CONFIG;
    CPH_TRY(cph_cert_fingerprint(cfg->cert, CPH_FP_SHA256, &fp));
    s = calloc(1, sizeof *s + max * sizeof s->seen[0]);
    if (!s)
        return CPH_E_NOMEM;
    s->cfg = *cfg;
    s->max = max;
    s->floor = cph_wall(cfg->env);
    (void)cph_fingerprint_text(&fp, s->ours);
    s->work = malloc(WORK);
    s->work2 = malloc(WORK);
    if (!s->work || !s->work2) {
        cph_smime_free(s);
        return CPH_E_NOMEM;
    }
    *out = s;
    return CPH_OK;
}

static void work_wipe(struct cph_smime *s)
{
    cph_wipe(s->work, WORK);
    cph_wipe(s->work2, WORK);
}

void cph_smime_free(struct cph_smime *s)
{
    if (!s)
        return;
    cph_free_secret(s->work, s->work ? WORK : 0);
    cph_free_secret(s->work2, s->work2 ? WORK : 0);
    free(s);
}

/* ---- MIME headers ---------------------------------------------------------------------------- */

/* "type/subtype" of a Content-Type, without its parameters. */
static struct cph_span plain_type(struct cph_span content_type)
{
    return cph_span_trim(cph_span_cut(&content_type, ';'));
}

static bool is_pkcs7(struct cph_span content_type)
{
    struct cph_span t = plain_type(content_type);

    return cph_span_iis(t, "application/pkcs7-mime") || cph_span_iis(t, "application/x-pkcs7-mime");
}

bool cph_smime_is(struct cph_span content_type)
{
    return is_pkcs7(content_type);
}

/* The headers that are looked at. */
enum head { HEAD_TYPE, HEAD_CODING, HEAD_ID, HEAD_FOR, HEAD_ANSWERS, HEAD_COUNT };

static const char *const head_name[HEAD_COUNT] = {
    "Content-Type", "Content-Transfer-Encoding", "Content-ID", "Recipient-Fingerprint",
    "In-Reply-To",
};

/* Headers up to the empty line, then the body. One that comes twice, or goes on in a further line,
 * might be read in two ways, and is not read. */
static cph_err split(struct cph_span entity, struct cph_span head[HEAD_COUNT],
                     struct cph_span *body)
{
    struct cph_span line;

    memset(head, 0, HEAD_COUNT * sizeof *head);
    while (cph_span_line(&entity, &line)) {
        struct cph_span name;

        if (line.n == 0) {
            *body = entity;
            return CPH_OK;
        }
        if (cph_span_find(line, ':') == line.n || line.p[0] == ' ' || line.p[0] == '\t')
            return CPH_E_MALFORMED;
        name = cph_span_cut(&line, ':');
        for (unsigned i = 0; i < HEAD_COUNT; i++)
            if (cph_span_iis(name, head_name[i])) {
                if (head[i].p)
                    return CPH_E_MALFORMED;
                head[i] = cph_span_trim(line);
            }
    }
    return CPH_E_MALFORMED;
}

/* Nothing but bytes as they are: no coding, or one that is none. RFC 2045 6.2 */
static bool coding_ok(struct cph_span coding)
{
    return coding.n == 0 || cph_span_iis(coding, "binary") || cph_span_iis(coding, "8bit") ||
           cph_span_iis(coding, "7bit");
}

/* The digits in "<id@ciphony>". */
static bool id_of(struct cph_span head, char out[CPH_SMIME_ID])
{
    size_t n = CPH_SMIME_ID - 1;

    if (head.n != 1 + n + sizeof at_us || head.p[0] != '<' || head.p[head.n - 1] != '>' ||
        memcmp(head.p + 1 + n, at_us, sizeof at_us - 1) != 0) /* public */
        return false;
    return cph_span_cstr((struct cph_span){ head.p + 1, n }, out, CPH_SMIME_ID) == CPH_OK;
}

/* ---- sealing --------------------------------------------------------------------------------- */

static cph_err write_entity(const struct cph_cert *to, struct cph_span content_type,
                            struct cph_span body, const char *answers, const char *id,
                            struct cph_wr *wr)
{
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    CPH_TRY(cph_cert_fingerprint(to, CPH_FP_SHA256, &fp));
    cph_wr_fmt(wr, "Content-Type: %.*s\r\nContent-Transfer-Encoding: binary\r\n",
               CPH_SPAN_ARG(content_type));
    cph_wr_fmt(wr, "Content-ID: <%s%s>\r\nRecipient-Fingerprint: %s\r\n", id, at_us,
               cph_fingerprint_text(&fp, text));
    if (answers)
        cph_wr_fmt(wr, "In-Reply-To: <%s%s>\r\n", answers, at_us);
    cph_wr_text(wr, "\r\n");
    cph_wr_span(wr, body);
    return wr->failed ? CPH_E_LIMIT : CPH_OK;
}

static cph_err seal(struct cph_smime *s, const struct cph_cert *to, struct cph_span content_type,
                    struct cph_span body, const char *answers, const char *id, struct cph_wr *out)
{
    struct cph_wr wr = cph_wr_open(s->work, WORK);
    const size_t head = sizeof inner_head - 1;
    size_t n;

    CPH_TRY(write_entity(to, content_type, body, answers, id, &wr));
    memcpy(s->work2, inner_head, head);
    CPH_TRY(cph_cms_sign(s->cfg.env, s->cfg.key, s->cfg.cert, cph_wall(s->cfg.env),
                         cph_wr_done(&wr), s->work2 + head, WORK - head, &n));
    CPH_TRY(cph_cms_encrypt(s->cfg.env, to, s->cfg.cipher, (struct cph_span){ s->work2, head + n },
                            s->work, WORK, &n));
    cph_wr_bytes(out, s->work, n);
    return cph_wr_end(out);
}

cph_err cph_smime_seal(struct cph_smime *s, const struct cph_cert *to, struct cph_span content_type,
                       struct cph_span body, const char *answers, char type[CPH_SMIME_TYPE],
                       char id[CPH_SMIME_ID], struct cph_wr *out)
{
    bool aead = s->cfg.cipher == CPH_CMS_AES256_GCM || s->cfg.cipher == CPH_CMS_AES128_GCM;
    cph_err err = CPH_E_LIMIT;
    char fresh[CPH_SMIME_ID];

    if (body.n > CPH_SMIME_BODY / 2)
        return CPH_E_LIMIT;
    CPH_TRY(cph_random_hex(s->cfg.env, fresh, CPH_SMIME_ID - 1));
    err = seal(s, to, content_type, body, answers, fresh, out);
    work_wipe(s);
    if (err != CPH_OK)
        return err;
    memcpy(id, fresh, sizeof fresh);
    (void)snprintf(type, CPH_SMIME_TYPE, "application/pkcs7-mime; smime-type=%s; name=smime.p7m",
                   aead ? "authEnveloped-data" : "enveloped-data");
    return CPH_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

void cph_smime_opened_wipe(struct cph_smime_opened *o)
{
    cph_cert_free(o->cert);
    cph_free_secret(o->bytes, CPH_SMIME_BODY);
    cph_wipe(o, sizeof *o);
}

/* Is the signer the peer? */
static cph_err judge(const struct cph_smime *s, const struct cph_smime_from *from,
                     const struct cph_cms_signer *who, enum cph_smime_by *by)
{
    const struct cph_trust *trust = from->trust ? from->trust : s->cfg.trust;
    int64_t now = cph_wall(s->cfg.env);
    char why[CPH_CERT_WHY];

    if (from->cert) {
        if (!cph_cert_eq(from->cert, who->cert))
            return CPH_E_CERT;
        CPH_TRY(cph_cert_in_time(who->cert, now));
        *by = CPH_SMIME_BY_PIN;
        return CPH_OK;
    }
    if (!trust || cph_cert_is_user(who->cert, from->uri) != CPH_OK)
        return CPH_E_CERT;
    CPH_TRY(cph_cert_verify(s->cfg.env, who->cert, trust, CPH_PURPOSE_ANY, now, why));
    *by = CPH_SMIME_BY_AUTHORITY;
    return CPH_OK;
}

/* RFC 8551 2.5.1 has the time and no window; what is older could be a replay that we forgot. */
static cph_err in_time(const struct cph_smime *s, const struct cph_cms_signer *who)
{
    int64_t now = cph_wall(s->cfg.env);

    if (!who->has_time || who->time < now - CPH_SMIME_WINDOW_S ||
        who->time > now + CPH_SMIME_WINDOW_S)
        return CPH_E_EXPIRED;
    return who->time < s->floor ? CPH_E_REPLAY : CPH_OK;
}

/* Made for us, in answer to what we said. */
static cph_err meant(const struct cph_smime *s, const struct cph_smime_from *from,
                     const struct cph_span head[HEAD_COUNT])
{
    char id[CPH_SMIME_ID];

    if (!cph_span_is(head[HEAD_FOR], s->ours))
        return CPH_E_POLICY;
    if (!from->answers)
        return head[HEAD_ANSWERS].p ? CPH_E_POLICY : CPH_OK;
    return id_of(head[HEAD_ANSWERS], id) && strcmp(id, from->answers) == 0 ? CPH_OK : CPH_E_POLICY;
}

/* The oldest makes room, and what is older than that is refused from then on. */
static void forget_oldest(struct cph_smime *s)
{
    unsigned oldest = 0;

    for (unsigned i = 1; i < s->n; i++)
        if (s->seen[i].time < s->seen[oldest].time)
            oldest = i;
    if (s->seen[oldest].time + 1 > s->floor)
        s->floor = s->seen[oldest].time + 1;
    s->seen[oldest] = s->seen[--s->n];
}

static cph_err remember(struct cph_smime *s, const struct cph_cms_signer *who, const char *id)
{
    uint8_t hash[CPH_DIGEST_MAX];
    struct cph_fingerprint fp;
    uint8_t both[CPH_FP_MAX + CPH_SMIME_ID];

    CPH_TRY(cph_cert_fingerprint(who->cert, CPH_FP_SHA256, &fp));
    memcpy(both, fp.b, fp.n);
    memcpy(both + fp.n, id, CPH_SMIME_ID);
    CPH_TRY(cph_digest(CPH_DIGEST_SHA256, (struct cph_span){ both, fp.n + (size_t)CPH_SMIME_ID },
                       hash));
    for (unsigned i = 0; i < s->n; i++) /* public */
        if (memcmp(s->seen[i].hash, hash, SEEN_HASH) == 0)
            return CPH_E_REPLAY;
    if (s->n == s->max)
        forget_oldest(s);
    s->seen[s->n].time = who->time;
    memcpy(s->seen[s->n++].hash, hash, SEEN_HASH);
    return CPH_OK;
}

/* Both layers off: the signed entity to out->bytes. */
static cph_err unwrap(struct cph_smime *s, const struct cph_smime_from *from, struct cph_span body,
                      struct cph_smime_opened *out, size_t *n, struct cph_cms_signer *who)
{
    struct cph_span head[HEAD_COUNT], inner;
    cph_err err = cph_cms_decrypt(s->cfg.env, s->cfg.key, s->cfg.cert, body, s->work, WORK, n);

    if (err == CPH_OK)
        err = split((struct cph_span){ s->work, *n }, head, &inner);
    if (err == CPH_OK && (!is_pkcs7(head[HEAD_TYPE]) || !coding_ok(head[HEAD_CODING])))
        err = CPH_E_AUTH; /* encrypted by anybody, signed by nobody */
    if (err == CPH_OK)
        err = cph_cms_verify(s->cfg.env, inner, from->cert, out->bytes, CPH_SMIME_BODY, n, who);
    work_wipe(s);
    if (err == CPH_E_MALFORMED)
        return CPH_E_AUTH;
    return err == CPH_E_NOSPACE ? CPH_E_LIMIT : err;
}

static cph_err accept_entity(struct cph_smime *s, const struct cph_smime_from *from, size_t n,
                             const struct cph_cms_signer *who, struct cph_smime_opened *out)
{
    struct cph_span head[HEAD_COUNT];

    CPH_TRY(judge(s, from, who, &out->by)); /* what a stranger says is not read */
    CPH_TRY(split((struct cph_span){ out->bytes, n }, head, &out->body));
    if (!coding_ok(head[HEAD_CODING]) || !head[HEAD_TYPE].p || !id_of(head[HEAD_ID], out->id))
        return CPH_E_MALFORMED;
    CPH_TRY(meant(s, from, head));
    CPH_TRY(in_time(s, who));
    /* an answer can come again (183, then 200), and answers one offer only */
    if (!from->answers && (!from->again || strcmp(from->again, out->id) != 0))
        CPH_TRY(remember(s, who, out->id));
    out->type = head[HEAD_TYPE];
    return CPH_OK;
}

cph_err cph_smime_open(struct cph_smime *s, const struct cph_smime_from *from,
                       struct cph_span content_type, struct cph_span body,
                       struct cph_smime_opened *out)
{
    struct cph_cms_signer who = { 0 };
    cph_err err;
    size_t n;

    *out = (struct cph_smime_opened){ 0 };
    if (!is_pkcs7(content_type))
        return CPH_E_UNSUPPORTED;
    if (body.n > CPH_SMIME_BODY)
        return CPH_E_LIMIT;
    out->bytes = malloc(CPH_SMIME_BODY);
    if (!out->bytes)
        return CPH_E_NOMEM;
    err = unwrap(s, from, body, out, &n, &who);
    if (err == CPH_OK)
        err = accept_entity(s, from, n, &who, out);
    if (err == CPH_OK) {
        out->cert = who.cert;
        return CPH_OK;
    }
    cph_smime_opened_wipe(out);
    if (err == CPH_E_CERT)
        out->cert = who.cert; /* for words about who it was */
    else
        cph_cert_free(who.cert);
    return err;
}
