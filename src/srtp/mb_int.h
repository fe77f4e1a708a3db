/* What the two files that know libipsec-mb share. */
#ifndef CPH_SRTP_MB_INT_H
#define CPH_SRTP_MB_INT_H

#define NO_COMPAT_IMB_API_053 /* its old names are everyday words */
#include <intel-ipsec-mb.h>

#include "srtp_int.h"

/* The expanded keys in a session's mb bytes. */
union mb_keys {
    struct gcm_key_data gcm;
    struct {
        uint8_t enc[240] __attribute__((aligned(64)));
        uint8_t ipad[SRTP_HMAC], opad[SRTP_HMAC]; /* SHA-1 after the key's block */
    } cm;
};

_Static_assert(sizeof(union mb_keys) <= SRTP_MB_KEYS, "a session has room for the expanded keys");

/* A packet that waits for its group to be full. */
struct mb_staged {
    struct cph_srtp_op *op;
    struct srtp_stream *stream; /* receiver */
    struct srtp_pass pass;
    uint8_t tag[16], under[4]; /* receiver: the tag, and what the ROC was written over */
};

/* Packets of one direction and key size: one cipher burst, one hash burst. */
struct mb_group {
    IMB_JOB job[SRTP_BATCH]; /* what never changes is set once */
    struct mb_staged staged[SRTP_BATCH];
    uint8_t iv[SRTP_BATCH][16], mac[SRTP_BATCH][SRTP_HMAC];
    size_t n;
    uint64_t epoch; /* tells streams with staged packets from others */
};

enum { MB_KEYS_16, MB_KEYS_24, MB_KEYS_32, MB_KEYS_NONE, MB_KEYS_KINDS };

struct srtp_mb {
    IMB_MGR *wide;        /* most lanes this CPU has: for batches, and AES */
    IMB_MGR *narrow;      /* few lanes, SHA-NI where there is: for a packet alone */
    IMB_JOB cipher, hash; /* of a single packet */
    struct mb_group group[2][MB_KEYS_KINDS]; /* by direction */
};

static inline union mb_keys *mb_keys(struct srtp_session *ss)
{
    return (void *)ss->mb;
}

#endif
