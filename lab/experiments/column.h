/*
 * The columns of the comparison: a mechanism (in one of its modes, where it has several) by the
 * name that data/seed003.txt gives it, the rows of the table of key managements that it uses, and
 * what the people must be given for it. Adding one is a line in column.c, and a function if it
 * needs something new; its answers from the draft stand in the data file.
 */
#ifndef CPH_LAB_COLUMN_H
#define CPH_LAB_COLUMN_H

#include "people.h"

#include "ciphony/keying_dtls.h"
#include "ciphony/keying_ekt.h"
#include "ciphony/keying_mikey.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/session.h"
#include "ciphony/sip_phone.h"

struct lab_kit;

struct lab_column {
    const char *name;
    bool smime;        /* offers and answers of phones are sealed to the certificate of the peer */
    const char *title; /* a few words for people */
    const char *keying[CPH_POLICY_KEYING_MAX]; /* rows by name, best first, NULL-ended */
    const char *policy;                        /* by its name, which names the rows; or NULL */
    enum cph_level need;                       /* a call below this is ended */
    /* MIKEY with this peer: fill in mode and material; who we are and the peer's name stand
     * there. NULL: no MIKEY. */
    cph_err (*mikey)(const struct lab_kit *k, enum lab_person peer, struct cph_mikey_cfg *cfg);
    /* What else the row reads from the configuration of a session; NULL: nothing. */
    cph_err (*session)(struct lab_kit *k, enum lab_person peer, struct cph_keying_cfg *cfg);
    /* ... and the phone from its own; after the usual has been filled in. NULL: nothing. */
    cph_err (*phone)(struct lab_kit *k, struct cph_phone_config *cfg);
    /* The certificate this person shows in this column; NULL: lab_cert(). */
    const struct cph_cert *(*cert)(enum lab_person who);
    /* A mechanism of several modes: the one that this column runs, and the others, each a column
     * that can be found but stands in no table. NULL: it has one. */
    const char *mode;
    const struct lab_column *const *others;
};

extern const struct lab_column *const lab_columns[]; /* ends with NULL */
const struct lab_column *lab_column_find(const char *name);
/** The certificate somebody shows in this column, which others may keep. */
const struct cph_cert *lab_column_cert(const struct lab_column *c, enum lab_person who);

/* ---- what one party holds -------------------------------------------------------------------- */

struct lab_kit_config {
    const struct lab_column *column;
    enum lab_person who;    /* whose keys */
    enum lab_person claims; /* whom messages say that it is; an attacker's is somebody else */
    bool old_zid;           /* and in ZRTP their names too */
    const struct cph_env *env;
    bool strangers; /* nobody signed its certificate, and nobody gave it that of its peer */
    const char *const *suites; /* of sessions without a phone, as in keying.h; NULL: all */
    bool resume; /* a session without a phone may be keyed by what the last one left behind */
};

enum { LAB_KEPT = 8 };

struct lab_kit {
    struct lab_kit_config cfg;
    struct cph_mikey *mikey[LAB_PEOPLE + 1]; /* by peer; the last: whoever else */
    struct cph_phone_zrtp zrtp;
    struct cph_zrtp_store store;
    struct cph_phone_smime smime;
    struct cph_zrtp_call *call; /* of a session without a phone */
    struct cph_dtls *dtls;      /* likewise: what its calls share */
    struct cph_ekt_params ekt;  /* likewise: of the conference it is in */
    struct {
        bool used;
        uint8_t zid[CPH_ZRTP_ZID];
        struct cph_zrtp_retained r;
    } kept[LAB_KEPT];
    cph_err err; /* why there is no MIKEY with somebody, the last time */
};

CPH_MUST_CHECK cph_err lab_kit_new(const struct lab_kit_config *cfg, struct lab_kit **out);
void lab_kit_free(struct lab_kit *k); /* NULL is fine. After every session that was given it */
/** The rows of the column as a policy. */
void lab_kit_policy(const struct lab_kit *k, struct cph_policy *policy);
/** For a phone; lab_kit_mikey() is to be its host's answer. */
CPH_MUST_CHECK cph_err lab_kit_phone(struct lab_kit *k, struct cph_phone_config *cfg);
/** For a session of its own with this peer. */
CPH_MUST_CHECK cph_err lab_kit_session(struct lab_kit *k, enum lab_person peer,
                                       struct cph_keying_cfg *cfg);
/** MIKEY with this peer; NULL if the column has none, or the material for it is missing. */
struct cph_mikey *lab_kit_mikey(struct lab_kit *k, enum lab_person peer);

#endif
