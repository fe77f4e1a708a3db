/* What the command adds to ZRTP: the store of what lasts, and the keys that the user presses. */
#ifndef CPH_CLI_ZRTP_H
#define CPH_CLI_ZRTP_H

#include "cli_int.h"

#include "ciphony/keying_zrtp.h"
#include "ciphony/sip_phone.h"
#include "ciphony/store.h"

struct cli_zrtp {
    struct cph_phone_zrtp phone; /* store is NULL until it is open */
    struct cph_zrtp_store retained;
};

/** Our name and what is retained, from the store, which outlives z; z stays where it is. */
CPH_MUST_CHECK cph_err cli_zrtp_open(struct cli_zrtp *z, struct cph_store *store,
                                     char why[CLI_WHY]);
/** The string is equal (y) or not (n), trust the man in the middle (e), back to RTP (c), and to
 * SRTP again (s). false: it is another key. What cannot be is said; *err is what else went wrong.
 */
bool cli_zrtp_key(struct cph_phone *phone, uint32_t call, char key, cph_time now, cph_err *err);

#endif
