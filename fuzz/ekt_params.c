/* EKT parameter sets: the first byte says in what; what was read is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/keying_ekt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void message(struct cph_span in, enum cph_ekt_cipher cipher)
{
    uint8_t out[600];
    struct cph_wr wr = cph_wr_open(out, sizeof out);
    struct cph_ekt_params a;

    if (cph_ekt_message_parse(in, cipher, &a) != CPH_OK)
        return;
    cph_ekt_message_build(&a, &wr);
    if (wr.failed || wr.n != in.n || memcmp(out, in.p, in.n) != 0)
        abort();
}

static void sdes(struct cph_span in)
{
    struct cph_ekt_params a, b;
    char out[CPH_EKT_SDES];

    if (cph_ekt_sdes_parse(in, &a) != CPH_OK)
        return;
    cph_ekt_sdes_build(&a, out);
    if (cph_ekt_sdes_parse(cph_span_of(out), &b) != CPH_OK || memcmp(&a, &b, sizeof a) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum cph_ekt_cipher list[CPH_EKT_CIPHERS];
    struct cph_span in;
    size_t got;

    if (n == 0)
        return 0;
    in = (struct cph_span){ data + 1, n - 1 };
    if (data[0] == 0 || data[0] == 1)
        message(in, (enum cph_ekt_cipher)data[0]);
    else if (data[0] == 2)
        sdes(in);
    else if (cph_ekt_ciphers_parse(in, list, &got) == CPH_OK && got > CPH_EKT_CIPHERS)
        abort();
    return 0;
}
