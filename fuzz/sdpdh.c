/* SDP-DH lines of a stranger: one that is understood is written back the same, and an answerer and
 * an offerer that meet the text keep on their feet. */
#include <stdlib.h>
#include <string.h>

#include "../src/keying/sdpdh/sdpdh_int.h"
#include "ciphony/base_text.h"
#include "env.h"

static const char head[] = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
                           "m=audio 4000 RTP/SAVP 0\r\na=sdp-dh:";

static void as_a_line(struct cph_span text)
{
    struct sdpdh_line a, b;
    char back[SDPDH_LINE];

    if (sdpdh_line_parse(text, &a) != CPH_OK || a.n_suites == 0)
        return;
    if (sdpdh_line_build(&a, back) != CPH_OK || sdpdh_line_parse(cph_span_of(back), &b) != CPH_OK ||
        a.group != b.group || a.n_suites != b.n_suites || memcmp(a.share, b.share, a.share_n) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct cph_keying_cfg cfg = { .env = &env };
    struct cph_keying *k = NULL;
    struct cph_arena *arena = NULL;
    struct cph_sdp *theirs, *ours;
    char *text;

    drawn = 0;
    as_a_line((struct cph_span){ data, n });
    if (n > 4096 || cph_arena_new(CPH_SDP_ARENA, &arena) != CPH_OK)
        return 0;
    text = cph_arena_alloc(arena, sizeof head + n + 2);
    memcpy(text, head, sizeof head);
    memcpy(text + sizeof head - 1, data, n);
    memcpy(text + sizeof head - 1 + n, "\r\n", 3);
    if (cph_sdp_parse(arena, (struct cph_span){ (uint8_t *)text, sizeof head + n + 1 }, &theirs) ==
            CPH_OK &&
        theirs->n_media == 1 &&
        cph_sdp_parse(arena, (struct cph_span){ (const uint8_t *)head, sizeof head - 12 }, &ours) ==
            CPH_OK &&
        cph_keying_sdpdh.make(&cfg, &k) == CPH_OK) {
        const struct cph_keying_remote remote = { theirs, theirs->media[0] };
        const struct cph_keying_local local = { ours, ours->media[0] };

        if (cph_keying_sdpdh.answer(k, &remote, &local) == CPH_OK)
            (void)cph_sdp_attr_remove(ours, ours->media[0], "sdp-dh");
        if (cph_keying_sdpdh.offer(k, &local) == CPH_OK)
            (void)!cph_keying_sdpdh.finish(k, &remote);
    }
    cph_keying_free(k);
    cph_arena_free(arena);
    return 0;
}
