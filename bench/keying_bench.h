/* Shared by the parts of bench_keying. */
#ifndef CPH_BENCH_KEYING_H
#define CPH_BENCH_KEYING_H

#include "column.h"

#include "ciphony/identity_smime.h"
#include "ciphony/keying.h"

double bench_cpu(void); /* seconds of CPU of this process */
_Noreturn void bench_die(const char *what, const char *who);

/* CPU spent inside public-key operations, since the start; keying_ops.c. */
double bench_ops(void);

/* Two ends of one mechanism; keying_ours.c. */
struct bench_pair {
    const struct cph_keying_method *method[CPH_KEYING_MAX_METHODS + 1];
    struct lab_kit *kit[2];
    struct cph_zrtp_cfg zrtp[2]; /* used if agreement */
    const char *agreement[2], *cipher[2];
    struct cph_smime *smime[2]; /* NULL: descriptions go open */
};

/** One whole session: offer, answer, handshake, keys out at both ends, all gone. */
void bench_session(struct bench_pair *p, const char *name);

/** A DTLS 1.2 handshake by bare OpenSSL, as our own streams are set up; keying_openssl.c. */
void bench_openssl_open(void);
void bench_openssl_handshake(void);
void bench_openssl_close(void);
/** Its public-key operations alone: agreement, signatures and their checks, at both ends. wire:
 * with the other end's keys as they come there, as any such handshake must read them: two ephemeral
 * keys and two certificates. */
void bench_openssl_ops(bool wire);

/** One exchange between two libbzrtp ends; false if it was built without, or has no such agreement
 *  (as "X255") and cipher ("AES1"); keying_bzrtp.c. */
bool bench_bzrtp_has(const char *agreement);
void bench_bzrtp_exchange(const char *agreement, const char *cipher);

#endif
