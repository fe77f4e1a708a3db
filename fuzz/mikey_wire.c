/* A message that is understood stays in its bounds: every view lies within it, and the key data of
 * a message without encryption, and every policy, can be read or refused. */
#include <stdlib.h>

#include "../src/keying/mikey/mikey_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void inside(struct cph_span view, const uint8_t *data, size_t n)
{
    if (view.n > 0 && (view.p < data || view.p + view.n > data + n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mikey_keydata key[MIKEY_MAX_KEYS];
    struct mikey_policy policy;
    struct mikey_id id;
    struct mikey_msg m;
    unsigned keys;

    if (mikey_parse((struct cph_span){ data, n }, &m, NULL) != CPH_OK)
        return 0;
    inside(m.rand, data, n);
    inside(m.encrypted, data, n);
    inside(m.mac, data, n);
    inside(m.envelope, data, n);
    inside(m.chash, data, n);
    inside(m.ver, data, n);
    inside(m.sig, data, n);
    inside(m.covered, data, n);
    for (unsigned i = 0; i < m.n_id; i++)
        inside(m.id[i].data, data, n);
    for (unsigned i = 0; i < m.n_dh; i++)
        inside(m.dh[i].value, data, n);
    for (unsigned i = 0; i < m.n_sp; i++)
        if (mikey_policy_read(&m.sp[i], &policy) == CPH_OK && !policy.suite)
            abort();
    for (int want_id = 0; want_id < 2; want_id++)
        if (mikey_keydata_parse(m.encrypted, want_id, &id, key, &keys) == CPH_OK)
            for (unsigned i = 0; i < keys; i++)
                inside(key[i].key, data, n);
    return 0;
}
