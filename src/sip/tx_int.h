/* What the files of the transactions share: transaction.c the machine and its client side,
 * tx_server.c the server side, tx_key.c the keys. */
#ifndef CPH_SIP_TX_INT_H
#define CPH_SIP_TX_INT_H

#include "ua_int.h"

enum { SIP_KEY_MAX = 2048 };

/* Into buf of SIP_KEY_MAX; empty if it does not fit. */
struct cph_span sip_tx_client_key(uint8_t *buf, struct cph_span branch, struct cph_span method);
/** An ACK and a CANCEL look for the key of their INVITE: method says which. */
struct cph_span sip_tx_server_key(uint8_t *buf, const struct cph_sip_msg *m,
                                  struct cph_span method);
struct cph_span sip_tx_merge_key(uint8_t *buf, const struct cph_sip_msg *m);

CPH_MUST_CHECK cph_err sip_tx_new(struct cph_sip_ua *ua, enum sip_tx_kind kind, struct cph_span key,
                                  struct cph_span merge, const struct sip_path *path,
                                  struct sip_tx **out);
/** The only writer of tx->state. Sends, arms, tells the user, in this order; may free it. */
cph_err sip_tx_step(struct sip_tx *tx, enum sip_tx_event ev, struct sip_in *in, const char *retry);
/** It is over: call and request forget it. */
void sip_tx_finish(struct sip_tx *tx);
CPH_MUST_CHECK cph_err sip_tx_keep_bytes(struct sip_tx *tx, struct cph_span bytes);
enum sip_tx_event sip_tx_event_of(unsigned status);

#endif
