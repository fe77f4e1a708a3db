/* A terminal in the simulated network: the very phone engine of the command, driven by lab_net. */
#ifndef CPH_LAB_TERMINAL_H
#define CPH_LAB_TERMINAL_H

#include "net.h"

#include "ciphony/sip_phone.h"

struct lab_terminal;

/* What a scenario wants to hear and give. Any may be NULL. */
struct lab_terminal_ops {
    void (*event)(void *ctx, struct lab_terminal *t, const struct cph_phone_event *ev,
                  cph_time now);
    enum cph_phone_pin (*pin)(void *ctx, struct lab_terminal *t, struct cph_span peer_uri,
                              struct cph_span sha256);
    cph_err (*sound)(void *ctx, struct lab_terminal *t, uint32_t call,
                     struct cph_media_source **source, struct cph_media_sink **sink);
    struct cph_mikey *(*mikey)(void *ctx, struct lab_terminal *t, struct cph_span peer_uri);
    const struct cph_cert *(*peer_cert)(void *ctx, struct lab_terminal *t,
                                        struct cph_span peer_uri);
    struct cph_phone_seal (*peer_seal)(void *ctx, struct lab_terminal *t, struct cph_span peer_uri);
};

struct lab_terminal_config {
    const char *ip;                /* "10.0.0.1": its listeners and media ports are there */
    struct cph_phone_config phone; /* host is filled in; sip->listener holds protocols and ports */
    const struct lab_terminal_ops *ops;
    void *ctx;
};

CPH_MUST_CHECK cph_err lab_terminal_new(struct lab_net *net, const struct lab_terminal_config *cfg,
                                        struct lab_terminal **out);
/** Before the network. NULL is fine. */
void lab_terminal_free(struct lab_terminal *t);
struct cph_phone *lab_terminal_phone(struct lab_terminal *t);
/** Do what the phone wants done now; call after every call of the phone from outside its events. */
void lab_terminal_pump(struct lab_terminal *t);
/** Media ports and SIP flows open now, to see that nothing is left behind. */
size_t lab_terminal_open(const struct lab_terminal *t);

#endif
