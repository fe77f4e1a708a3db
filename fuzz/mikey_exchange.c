/* Messages of a stranger, to a responder and to an initiator that waits. Without MACs (keys in
 * clear) everything behind the parser is reached; what is accepted must give keys. */
#include <stdlib.h>
#include <string.h>

#include "../src/keying/mikey/mikey_int.h"
#include "env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cph_secret psk = { .n = 16, .b = "0123456789abcdef" };
    struct cph_mikey_cfg cfg = {
        .env = &env, .psk = &psk, .accept = 0x3f, .id = "b", .weak_groups = true, .replays = 4
    };
    struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"),
                                   .suites = cph_srtp_suites,
                                   .allow_unencrypted = true,
                                   .allow_unauthenticated = true };
    MIKEY_OFFER_SCOPED offer = { 0 };
    MIKEY_CSB_SCOPED csb = { 0 };
    struct cph_mikey *m;
    struct mikey_text text;
    enum mikey_error error;
    bool proven = false;
    uint8_t refused;

    drawn = 0xff; /* 0 is drawn first */
    if (cph_mikey_new(&cfg, &m) != CPH_OK)
        abort();
    if (mikey_respond(m, NULL, (struct cph_span){ data, n }, &around, &csb, &text, &error) ==
        CPH_OK) {
        CPH_SRTP_POLICY_SCOPED p = { 0 };
        struct mikey_msg answer;

        if (mikey_master(&csb, 1, 0, &p) != CPH_OK ||
            mikey_parse((struct cph_span){ text.b, text.n }, &answer, NULL) != CPH_OK)
            abort();
    }
    (void)!mikey_error_write(m, &csb, (struct cph_span){ data, n }, MIKEY_E_SPPAR, &around, &text);
    if (mikey_start(m, NULL, false, &around, &offer, &text) != CPH_OK)
        abort();
    offer.ts = 0x1234; /* what a seed can know */
    if (mikey_finish(m, &offer, (struct cph_span){ data, n }, &csb) != CPH_OK &&
        mikey_error_read(m, &offer, (struct cph_span){ data, n }, &refused, &proven) == CPH_OK &&
        (proven || !mikey_error_words(refused))) /* a stranger proves nothing */
        abort();
    cph_mikey_free(m);
    return 0;
}
