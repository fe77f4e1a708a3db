/* A stream cut into messages gives the same messages wherever the reads happen to end. */
#include <stdlib.h>

#include "ciphony/base_mem.h"
#include "ciphony/sip_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct sum {
    uint64_t frames, bytes, kinds;
    cph_err end;
    size_t need, searched; /* as the reader of a stream keeps them */
};

/* As much as arrived, frame by frame; what is left stays for the next read. */
static void take(struct cph_span s, size_t upto, size_t *at, struct sum *sum)
{
    struct cph_sip_frame f;

    while (sum->end == CPH_OK && *at < upto) {
        cph_err err;

        if (upto - *at < sum->need)
            return;
        err = cph_sip_frame((struct cph_span){ s.p + *at, upto - *at }, true, sum->searched, &f);
        sum->need = f.need;
        sum->searched = f.searched;
        if (err == CPH_E_AGAIN)
            return;
        if (err != CPH_OK) {
            sum->end = err;
            return;
        }
        if (f.bytes.n == 0 || f.bytes.n > upto - *at)
            abort();
        sum->frames++;
        sum->bytes += f.bytes.n;
        sum->kinds = sum->kinds * 3 + (uint64_t)f.kind;
        *at += f.bytes.n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sum whole = { 0 }, pieces = { 0 };
    struct cph_span s;
    size_t at = 0, step;

    if (n < 1 || n > 20000)
        return 0;
    step = 1 + data[0] % 97;
    s = (struct cph_span){ data + 1, n - 1 };
    take(s, s.n, &at, &whole);
    at = 0;
    for (size_t upto = step; upto < s.n; upto += step)
        take(s, upto, &at, &pieces);
    take(s, s.n, &at, &pieces);
    if (whole.frames != pieces.frames || whole.bytes != pieces.bytes ||
        whole.kinds != pieces.kinds || (whole.end == CPH_OK) != (pieces.end == CPH_OK))
        abort();
    return 0;
}
