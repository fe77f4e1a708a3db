#include "digest_int.h"

#include <string.h>

/* A digest over parts joined by colons, in hex. */
struct join {
    struct cph_digest_ctx *d;
    cph_err err;
    size_t parts;
};

static void join_open(struct join *j, enum cph_auth_alg alg)
{
    *j = (struct join){ 0 };
    j->err = cph_digest_new(auth_row(alg)->hash, &j->d);
}

static void join_add(struct join *j, struct cph_span part)
{
    if (j->err == CPH_OK && j->parts++ > 0)
        j->err = cph_digest_add(j->d, CPH_SPAN_LIT(":"));
    if (j->err == CPH_OK)
        j->err = cph_digest_add(j->d, part);
}

static cph_err join_close(struct join *j, enum cph_auth_alg alg, char out[CPH_AUTH_HEX_MAX + 1])
{
    uint8_t digest[CPH_DIGEST_MAX];
    size_t n = cph_digest_size(auth_row(alg)->hash);

    if (j->err == CPH_OK)
        j->err = cph_digest_finish(j->d, digest);
    if (j->err == CPH_OK)
        cph_hex((struct cph_span){ digest, n }, out);
    cph_wipe(digest, sizeof digest);
    cph_digest_free(j->d);
    return j->err;
}

static cph_err keep_hex(char hex[CPH_AUTH_HEX_MAX + 1], struct cph_secret *out)
{
    cph_err err = cph_secret_set(out, cph_span_of(hex));

    cph_wipe(hex, CPH_AUTH_HEX_MAX + 1);
    return err;
}

static cph_err plain_ha1(enum cph_auth_alg alg, struct cph_span username, struct cph_span realm,
                         struct cph_span password, struct cph_secret *out)
{
    char hex[CPH_AUTH_HEX_MAX + 1];
    struct join j;

    join_open(&j, alg);
    join_add(&j, username);
    join_add(&j, realm);
    join_add(&j, password);
    CPH_TRY(join_close(&j, alg, hex));
    return keep_hex(hex, out);
}

cph_err cph_auth_ha1(enum cph_auth_alg alg, struct cph_span username, struct cph_span realm,
                     const struct cph_secret *password, struct cph_auth_secret *out)
{
    if ((size_t)alg >= CPH_AUTH_N_ALGS)
        return CPH_E_ARGUMENT;
    CPH_TRY(plain_ha1(alg, username, realm, cph_secret_span(password), &out->secret));
    out->is_ha1 = true;
    out->ha1_alg = alg;
    return CPH_OK;
}

cph_err auth_a1(const struct cph_auth_secret *secret, struct cph_span username,
                struct cph_span realm, const struct auth_input *in, struct cph_secret *ha1)
{
    char hex[CPH_AUTH_HEX_MAX + 1];
    struct join j;

    if (secret->is_ha1) {
        if (!auth_same_hash(secret->ha1_alg, in->alg))
            return CPH_E_POLICY;
        *ha1 = secret->secret;
    } else {
        CPH_TRY(plain_ha1(in->alg, username, realm, cph_secret_span(&secret->secret), ha1));
    }
    if (!auth_row(in->alg)->sess)
        return CPH_OK;
    join_open(&j, in->alg); /* RFC 7616 3.4.2: H(user:realm:password):nonce:cnonce */
    join_add(&j, cph_secret_span(ha1));
    join_add(&j, in->nonce);
    join_add(&j, in->cnonce);
    CPH_TRY(join_close(&j, in->alg, hex));
    return keep_hex(hex, ha1);
}

/* RFC 7616 3.4.3, and 3.5 where the method is empty */
static cph_err a2(const struct auth_input *in, char out[CPH_AUTH_HEX_MAX + 1])
{
    char body[CPH_AUTH_HEX_MAX + 1];
    struct join j;

    if (in->qop == CPH_AUTH_QOP_AUTH_INT) {
        join_open(&j, in->alg);
        join_add(&j, in->body);
        CPH_TRY(join_close(&j, in->alg, body));
    }
    join_open(&j, in->alg);
    join_add(&j, in->method);
    join_add(&j, in->uri);
    if (in->qop == CPH_AUTH_QOP_AUTH_INT)
        join_add(&j, cph_span_of(body));
    return join_close(&j, in->alg, out);
}

cph_err auth_response(const struct cph_secret *ha1, const struct auth_input *in,
                      char out[CPH_AUTH_HEX_MAX + 1])
{
    char ha2[CPH_AUTH_HEX_MAX + 1], nc[9];
    struct cph_wr wr = cph_wr_open(nc, sizeof nc - 1);
    struct join j;

    CPH_TRY(a2(in, ha2));
    for (int shift = 28; shift >= 0; shift -= 4)
        cph_wr_u8(&wr, (uint8_t) "0123456789abcdef"[in->nc >> shift & 15]);
    join_open(&j, in->alg);
    join_add(&j, cph_secret_span(ha1));
    join_add(&j, in->nonce);
    if (in->qop != CPH_AUTH_QOP_NONE) {
        join_add(&j, cph_wr_done(&wr));
        join_add(&j, in->cnonce);
        join_add(&j, cph_span_of(auth_qop_name(in->qop)));
    } /* RFC 2617 3.2.2.1: without qop, nonce and H(A2) alone */
    join_add(&j, cph_span_of(ha2));
    return join_close(&j, in->alg, out);
}
