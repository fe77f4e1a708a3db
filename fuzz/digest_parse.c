/* Credentials of any shape never convince a server, and a challenge that is taken can be answered.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/identity_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static cph_err same_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 7, n);
    return CPH_OK;
}

static cph_err lookup(void *ctx, struct cph_span username, struct cph_span realm,
                      struct cph_auth_secret *out)
{
    (void)realm;
    *out = *(const struct cph_auth_secret *)ctx;
    return username.n % 2 == 0 ? CPH_OK : CPH_E_NOTFOUND;
}

static void as_client(const struct cph_env *env, const struct cph_auth_secret *secret,
                      struct cph_span value)
{
    static uint8_t buf[8192];
    struct cph_auth_client_cfg cfg = { .username = CPH_SPAN_LIT("u"), .secret = secret };
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_span uri = CPH_SPAN_LIT("sip:x"), line;
    struct cph_auth_response r;
    struct cph_auth_client *c;

    if (cph_auth_client_new(&cfg, env, &c) != CPH_OK)
        return;
    if (cph_auth_client_challenge(c, false, &value, 1) == CPH_OK) {
        if (cph_auth_client_authorize(c, CPH_SPAN_LIT("BYE"), uri, uri, &wr) != CPH_OK)
            abort();
        line = cph_span_from(cph_wr_done(&wr), strlen("Authorization: "));
        line.n -= 2;
        if (cph_auth_response_parse(line, &r) != CPH_OK || r.response.n < 32)
            abort();
        if (cph_auth_client_info(c, false, value, uri, uri) == CPH_OK)
            abort();
    }
    cph_auth_client_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_env env = { .random = same_random };
    struct cph_auth_server_cfg cfg = {
        .realm = CPH_SPAN_LIT("r"), .nonces = 2, .auth_int = true, .accept_no_qop = true
    };
    struct cph_auth_secret secret = { .secret = { .n = 6, .b = "secret" } };
    struct cph_span value = { data, n }, uri = CPH_SPAN_LIT("sip:x");
    struct cph_auth_server *s;
    struct cph_auth_result result;
    struct cph_auth_info info;

    (void)!cph_auth_info_parse(value, &info);
    as_client(&env, &secret, value);
    if (cph_auth_server_new(&cfg, &env, &s) != CPH_OK)
        return 0;
    if (cph_auth_server_verify(s, &value, 1, CPH_SPAN_LIT("BYE"), uri, uri, lookup, &secret,
                               CPH_SEC(1), &result) == CPH_OK)
        abort();
    cph_auth_server_free(s);
    return 0;
}
