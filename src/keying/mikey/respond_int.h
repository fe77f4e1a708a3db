/* A message being answered: respond.c reads it, answer.c answers. */
#ifndef CPH_MIKEY_RESPOND_INT_H
#define CPH_MIKEY_RESPOND_INT_H

#include "mikey_int.h"

/* Holds key material. */
struct respond {
    struct cph_mikey *m;
    const struct mikey_csb *old; /* the bundle it updates, NULL for a first exchange */
    const struct mikey_around *around;
    struct mikey_msg msg;
    struct mikey_csb csb;  /* what will hold */
    struct cph_span id[2]; /* IDi and IDr as they were said */
    struct cph_secret key; /* pre-shared or envelope: of MACs */
    struct cph_key *peer;  /* RSA-R: whom to encrypt to */
    bool gave_rand;        /* RSA-R: the RAND is in the message */
    enum cph_agree_group group;
    struct mikey_pair pair;
    bool took_ekt;  /* the initiator's set */
    bool gives_ekt; /* or ours goes back */
    enum mikey_error error;
};

/** The keys of the modes where we have a part in them. */
CPH_MUST_CHECK cph_err mikey_make_keys(struct respond *r);
CPH_MUST_CHECK cph_err mikey_write_answer(struct respond *r, struct mikey_text *answer);

#endif
