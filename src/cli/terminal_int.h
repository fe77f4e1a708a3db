/* What a terminal of the command has (terminal_open.c) and what it does with it (terminal.c). */
#ifndef CPH_CLI_TERMINAL_INT_H
#define CPH_CLI_TERMINAL_INT_H

#include "ciphony/crypto_key.h"
#include "ciphony/identity_device.h"
#include "mikey.h"
#include "pgp.h"
#include "smime.h"
#include "terminal.h"
#include "zrtp.h"

struct terminal {
    const struct cli_terminal_options *o;
    struct cli_report report;
    const struct cph_env *env;
    struct cph_net *net;
    struct cph_store *store;
    struct cph_device *device;
    struct cli_zrtp zrtp;
    struct cli_mikey *mikey;
    struct cli_pgp pgp;
    struct cli_smime smime;
    struct cph_phone_smime smime_cfg;
    struct cph_trust *trust;
    struct cph_sip_pin pin[CLI_PINS];
    char pin_name[CLI_PINS][CPH_PEER_MAX];
    struct cph_sip_tls tls;
    struct cph_sip_ua_cfg sip;
    struct cph_phone_config phone_cfg;
    struct cli_driver *driver;
    struct cph_phone *phone;
    struct cph_net_wake *panel, *limit;
    struct cph_net_watch *keys;
    uint32_t call;
    bool answered, leaving, hurried, held, muted, ended, in_call;
    enum cli_exit status;
    char why[CPH_PHONE_WHY];
};

/** Open all that needs no network: sound is looked at, store, device, authorities and what the
 * mechanisms need are read, listeners chosen; the driver is told whom to ask. On an error why says
 * what is wrong. */
CPH_MUST_CHECK cph_err cli_terminal_open(struct terminal *t, struct cli_driver_config *cfg,
                                         char why[CLI_WHY]);
/** Give it back; after the driver and the network are gone. */
void cli_terminal_close(struct terminal *t);

#endif
