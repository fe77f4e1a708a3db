/* What the two files that know libipsec-mb share. */
#ifndef CPH_SRTP_MB_INT_H
#define CPH_SRTP_MB_INT_H

#define NO_COMPAT_IMB_API_053 /* its old names are everyday words */
#include <intel-ipsec-mb.h>

#include "srtp_int.h"

/* The library, or the step before, fills what is used; clearing it first would cost a tenth of a
 * packet. */
#define UNSET __attribute__((uninitialized))
/* The unusual packets have functions of their own, so that what the usual ones need stays in
 * registers. */
#define APART __attribute__((noinline))

/* The expanded keys in a session's mb bytes. Those of AES-CM lie at the end, beside the salt. */
union mb_keys {
    struct gcm_key_data gcm;
    struct {
        uint8_t unused[11 * SRTP_LINE];
        uint8_t enc[240], to_next_line[16];
        uint8_t ipad[SRTP_HMAC], opad[SRTP_HMAC]; /* SHA-1 after the key's block */
    } cm;
};

_Static_assert(sizeof(union mb_keys) <= SRTP_MB_KEYS, "a session has room for the expanded keys");
_Static_assert(offsetof(union mb_keys, cm.ipad) == (size_t)15 * SRTP_LINE,
               "HMAC's states in one line");

/* A packet that waits for its group to be full. */
struct mb_staged {
    struct cph_srtp_op *op;
    struct srtp_key *key;
    uint32_t n; /* header and payload */
    /* receiver: */
    uint8_t under[4], tag[16]; /* what the ROC was written over, and the tag */
    struct srtp_stream *stream;
    uint64_t index;
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
