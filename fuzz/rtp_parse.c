/* An RTP packet that parses is built again to the same bytes; its extension elements can be walked.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t buf[70000];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_rtp rtp, again;
    struct cph_rtp_ext ext;
    size_t at = 0, elements = 0;

    (void)cph_rtp_classify((struct cph_span){ data, n });
    if (n > sizeof buf || cph_rtp_parse((struct cph_span){ data, n }, &rtp) != CPH_OK)
        return 0;
    while (cph_rtp_ext_next(&rtp, &at, &ext) == CPH_OK)
        if (++elements > n)
            abort();
    if (cph_rtp_build(&rtp, &wr) != CPH_OK || wr.n != n)
        abort();
    /* the bytes of the padding before its count are free; all else must agree */
    if (memcmp(buf, data, n - rtp.padding) != 0)
        abort();
    if (cph_rtp_parse(cph_wr_done(&wr), &again) != CPH_OK || again.padding != rtp.padding)
        abort();
    return 0;
}
