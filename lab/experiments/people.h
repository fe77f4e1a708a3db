/*
 * The people of the lab: their names and addresses, and what they hold: device keys, certificates
 * of their own making and of an authority, and a secret with each of the others.
 */
#ifndef CPH_LAB_PEOPLE_H
#define CPH_LAB_PEOPLE_H

#include "ciphony/base_mem.h"
#include "ciphony/crypto_key.h"

/* Bob has two phones; Mallory is whoever should not be there. */
enum lab_person {
    LAB_ALICE,
    LAB_BOB,
    LAB_BOB2,
    LAB_CAROL,
    LAB_MALLORY,
    LAB_PEOPLE,
    LAB_SERVER = LAB_PEOPLE
};

/* What is the same for all runs of a process: keys, dear to make. Thread-safe it is not. */
CPH_MUST_CHECK cph_err lab_keys_open(void);
/** Real randomness, and the lab's day: for what lives longer than one network. */
const struct cph_env *lab_keys_env(void);
void lab_keys_close(void);

const char *lab_person_name(enum lab_person who);
const char *lab_person_user(enum lab_person who); /* "bob" for both of his phones */
const char *lab_person_ip(enum lab_person who);
const char *lab_person_uri(enum lab_person who); /* whom certificates name: sip:bob@lab.example */
/** Whose address this is, by its user part; LAB_PEOPLE if nobody's. */
enum lab_person lab_person_of(struct cph_span uri);
const char *lab_proxy_ip(void);

/** The key of the device, and its certificate that nobody else signed. */
const struct cph_key *lab_key(enum lab_person who);
const struct cph_cert *lab_cert(enum lab_person who);
/** A certificate of the authority for the same key, which names the user and the address. */
const struct cph_cert *lab_cert_issued(enum lab_person who);
const struct cph_trust *lab_authority(void);
/** RSA, for mechanisms that encrypt to it; all phones of a user have the same. Made when first
 * asked for; NULL if that failed. issued false: nobody else signed the certificate. */
const struct cph_key *lab_rsa_key(enum lab_person who);
const struct cph_cert *lab_rsa_cert(enum lab_person who, bool issued);
/** On a curve, likewise for what is encrypted to a user: all phones of a user have the same. */
const struct cph_key *lab_user_key(enum lab_person who);
const struct cph_cert *lab_user_cert(enum lab_person who, bool issued);
/** A secret that two users hold, and nobody else. */
const struct cph_secret *lab_secret(enum lab_person a, enum lab_person b);

#endif
