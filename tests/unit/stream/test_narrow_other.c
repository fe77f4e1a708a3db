/* Whoever has set up the process's library in his own way is not walked around. */
#include "pair.h"

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

#include "stream_int.h"

static const OSSL_ALGORITHM *nothing(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    (void)operation;
    *no_cache = 0;
    return NULL;
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **provctx)
{
    static const OSSL_DISPATCH functions[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))nothing },
        { 0, NULL },
    };

    (void)in;
    *out = functions;
    *provctx = (void *)handle;
    return 1;
}

static void with_another_provider_handshakes_run_in_the_process_own_context(void **state)
{
    struct cph_stream_config cfg[2];
    OSSL_PROVIDER *usual = OSSL_PROVIDER_load(NULL, "default"), *token;
    struct pair p;

    (void)state;
    assert_non_null(usual);
    assert_int_equal(OSSL_PROVIDER_add_builtin(NULL, "token", init), 1);
    token = OSSL_PROVIDER_load(NULL, "token");
    assert_non_null(token);
    assert_null(stream_narrow());
    pair_init(&p, 1, CPH_STREAM_DTLS, cfg);
    pair_open(&p, cfg);
    run(&p, CPH_SEC(10));
    assert_true(both(&p, CPH_STREAM_OPEN));
    pair_free(&p);
    assert_int_equal(OSSL_PROVIDER_unload(token), 1);
    assert_int_equal(OSSL_PROVIDER_unload(usual), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_another_provider_handshakes_run_in_the_process_own_context),
    };

    return cmocka_run_group_tests_name("narrow_other", tests, NULL, NULL);
}
