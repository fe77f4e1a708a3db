/* A crypto line that is understood is written again (without its lifetimes and declarative
 * parameters) and read back to the same keys. */
#include <stdlib.h>
#include <string.h>

#include "../src/keying/sdes/sdes_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char head[] =
    "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/SAVP 0\r\n";

static bool small_mkis(const struct sdes_line *l)
{
    for (unsigned i = 0; i < l->n_keys; i++)
        for (unsigned j = 8; j < l->key[i].mki_n; j++)
            if (l->key[i].mki[l->key[i].mki_n - 1 - j] != 0)
                return false;
    return true; /* ours are: only such are written */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sdes_line a, b;
    struct cph_arena *arena;
    struct cph_sdp *sdp;

    if (sdes_line_parse((struct cph_span){ data, n }, &a) != CPH_OK || !small_mkis(&a))
        return 0;
    if (cph_arena_new(CPH_SDP_ARENA, &arena) != CPH_OK)
        return 0;
    if (cph_sdp_parse(arena, cph_span_of(head), &sdp) != CPH_OK)
        abort();
    struct cph_keying_local to = { sdp, sdp->media[0] };

    if (sdes_line_add(&a, &to) != CPH_OK ||
        sdes_line_parse(cph_sdp_attr(&to.media->part, "crypto")->arg, &b) != CPH_OK)
        abort();
    if (a.tag != b.tag || a.suite != b.suite || a.n_keys != b.n_keys ||
        a.unencrypted_rtp != b.unencrypted_rtp || a.unencrypted_rtcp != b.unencrypted_rtcp ||
        a.unauthenticated_rtp != b.unauthenticated_rtp)
        abort();
    for (unsigned i = 0; i < a.n_keys; i++)
        if (!sdes_key_eq(&a.key[i], &b.key[i]) || a.key[i].mki_n != b.key[i].mki_n ||
            memcmp(a.key[i].mki, b.key[i].mki, a.key[i].mki_n) != 0)
            abort();
    cph_arena_free(arena);
    return 0;
}
