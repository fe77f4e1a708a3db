/* Two terminals in virtual time, and what a test asks of them. */
#ifndef CPH_TEST_SIM_WORLD_H
#define CPH_TEST_SIM_WORLD_H

#include "support.h"

#include "terminal.h"

#include "ciphony/crypto_key.h"
#include "ciphony/media_io.h"

enum {
    W_LEGS = 64,         /* calls one terminal remembers */
    W_WIND_DOWN_S = 400, /* longer than any timer of SIP, DTLS, RTCP and the manager's waiting */
};

/* What a terminal does with a call that comes. */
enum w_callee { W_ANSWER, W_BUSY, W_DECLINE, W_RING, W_ANSWER_LATER };

/* A call as one terminal saw it. */
struct leg {
    uint32_t id;
    bool incoming, ringing, answered, secured, plain, ended, by_peer;
    unsigned changed; /* holds, resumes, new keys */
    cph_err cause;
    unsigned status;
    char why[CPH_PHONE_WHY];
    struct cph_phone_status last; /* at its end */
    cph_time accept_at, hang_at;  /* 0: not; done by w_run() */
};

struct side {
    struct lab_terminal *t;
    struct cph_phone *phone;
    struct leg leg[W_LEGS];
    unsigned n;
    enum w_callee callee;
    cph_time later;                      /* W_ANSWER_LATER: after this */
    struct cph_media_pcm *play, *record; /* NULL: silence, nowhere */
};

/* How one terminal is set up. A zeroed one is strict, speaks UDP and has every method of keying. */
struct w_side_config {
    enum cph_security policy;
    const char *keying; /* one method only */
    bool mux;
    unsigned max_calls, session_expires;
};

struct w_config {
    uint64_t seed;
    struct lab_link link;
    enum cph_sip_proto proto;
    struct w_side_config side[2];
    bool pinned; /* each keeps the other's certificate */
};

struct world {
    struct w_config cfg;
    struct lab_net *net;
    struct cph_env env;
    struct side side[2];
    struct cph_fingerprint fp[2];
    struct cph_sip_pin pin[2];
    struct cph_sip_tls tls[2];
};

/** Device keys of both sides, made once for all worlds of a program. */
int w_keys_make(void **state);
int w_keys_free(void **state);

void w_new(struct world *w, const struct w_config *cfg);
void w_free(struct world *w);
cph_time w_now(const struct world *w);
/** Let time pass, and do what legs have set for a time. */
void w_run(struct world *w, cph_time us);
/** w_run() until it holds; false after limit. */
bool w_until(struct world *w, bool (*holds)(const struct world *w), cph_time limit);
/** side calls the other one; its leg. */
struct leg *w_dial(struct world *w, unsigned side);
void w_hangup(struct world *w, unsigned side, struct leg *leg);
void w_hold(struct world *w, unsigned side, struct leg *leg, bool hold);
cph_err w_rekey(struct world *w, unsigned side, struct leg *leg);
struct leg *w_last(struct world *w, unsigned side); /* the newest leg; NULL: none */
struct cph_phone_status w_status(struct world *w, unsigned side, const struct leg *leg);
bool w_all_ended(const struct world *w);
bool w_all_secured(const struct world *w); /* at least one leg on each side, and each has keys */
/** Forget legs that ended. */
void w_clear(struct world *w);
/** After a while of silence nothing of any call is left. Connections may stay open. */
void w_silent(struct world *w);

#endif
