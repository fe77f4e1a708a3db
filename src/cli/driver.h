/* The pump between the phone, which does no I/O, and the loop, which does nothing else. */
#ifndef CPH_CLI_DRIVER_H
#define CPH_CLI_DRIVER_H

#include "ciphony/net.h"
#include "ciphony/sip_phone.h"

struct cli_driver;

/* What the verb that runs the phone hears. Called once per turn and event, never nested. */
typedef void cli_event_fn(void *arg, const struct cph_phone_event *ev, cph_time now);
typedef cph_err cli_sound_fn(void *arg, uint32_t call, struct cph_media_source **source,
                             struct cph_media_sink **sink);
typedef struct cph_mikey *cli_mikey_fn(void *arg, struct cph_span peer_uri);
typedef struct cph_phone_seal cli_peer_seal_fn(void *arg, struct cph_span peer_uri);
typedef const struct cph_cert *cli_peer_cert_fn(void *arg, struct cph_span peer_uri);
typedef const struct cph_pgp_key *cli_peer_pgp_fn(void *arg, struct cph_span peer_uri);
typedef enum cph_phone_pin cli_pin_fn(void *arg, struct cph_span peer_uri, struct cph_span sha256);

struct cli_driver_config {
    struct cph_net *net;
    const struct cph_env *env;
    struct cph_phone_config
        *phone;                 /* host is filled in; a listener with port 0 gets its real one */
    struct cph_sip_ua_cfg *sip; /* the same the phone's sip points to */
    cli_event_fn *event;
    cli_sound_fn *sound;
    cli_pin_fn *pin;
    cli_mikey_fn *mikey;         /* NULL: no MIKEY */
    cli_peer_cert_fn *peer_cert; /* NULL: none is known */
    cli_peer_seal_fn *peer_seal; /* NULL: nothing more */
    cli_peer_pgp_fn *peer_pgp;   /* NULL: none is known */
    void *arg;
};

/** Open the listeners, make the phone, and keep it going in the loop. On error why says what, about
 *  which address, and what to do. cfg and what it points to outlive the driver. */
CPH_MUST_CHECK cph_err cli_driver_new(const struct cli_driver_config *cfg, char why[CPH_PHONE_WHY],
                                      struct cli_driver **out);
void cli_driver_free(struct cli_driver *d); /* the phone too; NULL is fine */
/** Is there something to be sent still, or to be said again? */
bool cli_driver_owes(const struct cli_driver *d);
struct cph_phone *cli_driver_phone(struct cli_driver *d);
/** Do what the phone wants done now; call after every call of the phone from outside its events. */
void cli_driver_pump(struct cli_driver *d);

#endif
