/* One call that is attacked: how, when, and what came of it. For experiments. */
#ifndef CPH_LAB_SIEGE_H
#define CPH_LAB_SIEGE_H

#include "lab.h"
#include "meddler.h"

enum lab_moment {
    LAB_FROM_THE_START,
    LAB_MID_CALL,    /* from a re-INVITE on; what is counted begins when that is over */
    LAB_SECOND_CALL, /* the first one of the two was honest, and devices keep what they can */
};

struct lab_attack {
    enum lab_meddling how;
    enum lab_moment when;
    bool pinned;
    bool old_zid; /* lab_meddler_name() */
    bool once;    /* with pinned: strings are compared once in a device's life */
    enum cph_security security;
    enum cph_keying_form form;
    enum cph_precondition precondition;
    bool strangers;
    bool domain; /* he is the server that the users trust with their domain */
};

struct lab_feat {
    uint64_t media;   /* frames heard by listening to the media path alone */
    uint64_t passive; /* ... to signalling and media */
    uint64_t active;  /* frames decrypted in the middle */
    uint64_t own;     /* of Alice's, which she heard herself */
    bool keyed;       /* Alice's phone said that there are keys */
    bool stands;      /* the two hear each other */
    bool noticed;     /* a phone ended the call or refused it, and said why */
    bool warned;      /* or went on, and told its user something: warning */
    bool plain;
    bool rang_without_keys;
    enum cph_level shown; /* the best that either user was shown */
    enum cph_attacker shown_class;
    /* By phone, Alice's and Bob's: what listening to the packets gave that it sent or took, and
     * what it showed. Who stands in the middle may pass on in clear to the one what the other said.
     */
    struct {
        uint64_t passive;
        enum cph_level shown;
        enum cph_attacker shown_class;
    } phone[2];
    bool by_phone;  /* they were looked at one by one */
    bool flattered; /* which was more than is true */
    char suite[CPH_FACT_TEXT];
    char why[CPH_PHONE_WHY], warning[CPH_PHONE_WHY];
};

/** Alice calls Bob, and this is done to them. show: keep the ladder under this title, or NULL. */
CPH_MUST_CHECK cph_err lab_attacked(const struct lab_case *c, const struct lab_attack *a,
                                    struct lab_feat *f, const char *show);
/** What the two phones showed, and how the call ended. */
void lab_siege_look(const struct lab_stage *s, struct lab_feat *f);
/** The claim on trial: what was shown is never better than what happened. */
void lab_siege_try(const struct lab_case *c, const struct lab_attack *a, struct lab_feat *f);

#endif
