/* The private face of the SRTP room. */
#ifndef CPH_SRTP_INT_H
#define CPH_SRTP_INT_H

#include <string.h>

#include "ciphony/srtp.h"

struct cph_aes;
struct cph_hmac_ctx;

#define INTO __attribute__((always_inline)) /* the few steps every packet takes */

enum {
    SRTP_AUTH_KEY = 20,   /* RFC 3711 5.2: n_a is 160 bits */
    SRTP_HMAC = 20,       /* bytes of a whole HMAC-SHA1 */
    SRTP_BATCH = 64,      /* packets on the CPU's lanes at once */
    SRTP_RTP_HEADER = 12, /* RFC 3550 5.1 */
    SRTP_EXT_HEADER = 4,  /* RFC 3550 5.3.1: defined by profile, length */
    SRTP_RTCP_HEADER = 8, /* RFC 3711 3.4: what stays in clear */
    SRTP_RTCP_WORD = 4,   /* E and SRTCP index */
    SRTP_LINE = 64,       /* bytes the caches move at once */
    SRTP_MB_KEYS = 1008,  /* bytes libipsec-mb wants for one expanded key */
    SRTP_NEAR = 128,      /* bits of a replay ring that lies in the stream itself */
};

#define SRTP_INDEX_END      (1ULL << 48) /* RFC 3711 3.3.1 */
#define SRTP_NO_EPOCH       UINT64_MAX   /* of no batch's group */
#define SRTP_RTCP_INDEX_END (1ULL << 31) /* RFC 3711 3.4 */

/* ---- session keys ---------------------------------------------------------------------------- */

/* RFC 3711 4.3: the session keys of SRTP, or of SRTCP, that one master key gives for one r. */
struct srtp_session {
    uint8_t mb[SRTP_MB_KEYS] __attribute__((aligned(SRTP_LINE))); /* libipsec-mb: expanded */
    /* session salt as big-endian numbers, zeros to the right; in one line with keys used anyway */
    uint64_t salt_hi, salt_lo;
    uint64_t r;                /* index DIV key derivation rate */
    struct cph_aes *enc, *dec; /* OpenSSL only; AES-CM has only enc */
    struct cph_hmac_ctx *mac;  /* OpenSSL only */
    void *block;               /* what calloc gave */
};

_Static_assert(offsetof(struct srtp_session, r) % SRTP_LINE == 0, "keys and salt fill their lines");

/** Zeroed memory at the beginning of a cache line; *block is what to free. NULL: no memory. */
void *srtp_lines_new(size_t n, void **block);

enum srtp_label { SRTP_LABEL_RTP = 0, SRTP_LABEL_RTCP = 3 }; /* RFC 3711 4.3.1, 4.3.2 */

/** n bytes of AES-CM PRF output. prf is AES-CTR under the master key. RFC 3711 4.3.3. */
cph_err srtp_prf(struct cph_aes *prf, const struct cph_secret *salt, unsigned label, uint64_t r,
                 uint8_t *out, size_t n);

/* ---- ciphers of an engine -------------------------------------------------------------------- */

/* Two rows: libipsec-mb and OpenSSL. None but open and close allocates. */
struct srtp_ops {
    cph_err (*open)(const struct cph_srtp_suite *suite, enum cph_srtp_dir dir,
                    struct srtp_session *ss);
    void (*close)(struct srtp_session *ss);
    /* auth is empty for AEAD, enc for the NULL cipher */
    cph_err (*key)(struct cph_srtp_engine *e, struct srtp_session *ss, struct cph_span enc,
                   struct cph_span auth);
    cph_err (*ctr)(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                   const uint8_t iv[16], uint8_t *p, size_t n);
    cph_err (*hmac)(struct cph_srtp_engine *e, struct srtp_session *ss, const uint8_t *p, size_t n,
                    uint8_t out[SRTP_HMAC]);
    cph_err (*seal)(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                    const uint8_t iv[16], struct cph_span aad, uint8_t *p, size_t n, uint8_t *tag);
    /* on CPH_E_AUTH p holds the ciphertext again */
    cph_err (*unseal)(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                      const uint8_t iv[16], struct cph_span aad, uint8_t *p, size_t n,
                      const uint8_t *tag);
};

extern const struct srtp_ops srtp_ops_openssl, srtp_ops_mb;

struct srtp_mb; /* the managers and jobs of libipsec-mb */

struct cph_srtp_engine {
    const struct srtp_ops *ops;
    struct srtp_mb *mb; /* NULL: OpenSSL */
    uint32_t good;      /* bit i: suite i of the table gave its known answers */
    uint64_t epoch;     /* of staged batches */
};

/** CPH_E_UNSUPPORTED if this CPU lacks what it needs. */
cph_err srtp_mb_new(struct srtp_mb **out);
void srtp_mb_free(struct srtp_mb *mb);
const char *srtp_mb_name(const struct srtp_mb *mb);
/** Packets of contexts of one kind and direction can go through a batch's lanes together. */
uint8_t srtp_mb_kind(const struct cph_srtp *s);
/** The op alone, by the single call for it. */
cph_err srtp_single(struct cph_srtp_op *op);
/** Run all of the batch; see cph_srtp_batch. */
void srtp_mb_batch(struct cph_srtp_engine *e, struct cph_srtp_op *ops, size_t n);

/* ---- transforms ------------------------------------------------------------------------------ */

struct srtp_key;

/* A packet on its way: what parsing found, before anything has moved. */
struct srtp_pass {
    struct srtp_key *key;
    struct srtp_session *ss;
    uint64_t index;
    uint32_t ssrc;
    size_t header; /* bytes in clear, header extension included */
    size_t n;      /* header and payload, without the trailer */
    bool clear;    /* the payload is not encrypted */
};

/* seal writes payload and trailer but the MKI; open checks the tag and decrypts. Both leave
 * pkt->n alone. open restores the packet if it fails. */
struct cph_srtp_transform {
    bool aead;
    cph_err (*rtp_seal)(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p);
    cph_err (*rtp_open)(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p);
    cph_err (*rtcp_seal)(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p);
    cph_err (*rtcp_open)(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p);
};

extern const struct cph_srtp_transform srtp_transform_cm, srtp_transform_gcm;

/* The two steps of AES-CM; the ROC is written behind the payload, over 4 bytes. */
cph_err srtp_cm_hmac(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p,
                     uint8_t out[SRTP_HMAC]);
cph_err srtp_cm_crypt(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p);

struct cph_srtp_kat {
    const uint8_t *rtp, *rtcp; /* what protecting the packets of suites.c gives */
    size_t rtp_n, rtcp_n;
};

/** All suites of both tables, NULL at the end. */
const struct cph_srtp_suite *srtp_suite_at(unsigned i);
/** Protect and unprotect the known packets; CPH_E_CRYPTO if any byte differs. */
cph_err srtp_kat_run(struct cph_srtp_engine *e, const struct cph_srtp_suite *suite);

/* ---- streams --------------------------------------------------------------------------------- */

/* A stream's place in its index space: the highest index, and what was seen just below it. */
struct srtp_window {
    uint64_t top;   /* highest index, once started; before, ROC times 2^16 */
    uint64_t *seen; /* ring of bits, bit (index mod size) */
    bool started;
};

/* One line of cache for SRTP, one for SRTCP. */
struct srtp_stream {
    struct srtp_window rtp;
    uint32_t ssrc;
    uint64_t pend_epoch, pend_top; /* batch: highest index if all staged packets are good */
    uint64_t rtp_near[SRTP_NEAR / 64];
    struct srtp_window rtcp;
    uint64_t rtcp_next; /* sender: the next SRTCP index */
    uint64_t rtcp_near[SRTP_NEAR / 64];
    uint64_t rcc_top; /* RFC 4771: highest index that a good MAC vouched for, plus 1 */
    uint64_t spare;   /* up to the line's end */
};

_Static_assert(offsetof(struct srtp_stream, rtcp) == SRTP_LINE, "SRTP's state is one line");
_Static_assert(sizeof(struct srtp_stream) == (size_t)2 * SRTP_LINE, "SRTCP's state is one line");

/* The first line is what packets need. */
struct srtp_key {
    /* In use, and the last other r asked for; the second only with a key derivation rate. */
    struct srtp_session *rtp, *rtcp, *rtp_other, *rtcp_other;
    uint64_t rtp_used, rtcp_used; /* packets */
    uint64_t rtp_max, rtcp_max;   /* lifetimes */
    struct cph_aes *prf;          /* only with a key derivation rate */
    void *block;                  /* what calloc gave */
    struct cph_srtp_key master;
};

/* What every SRTP packet needs is the first line. */
struct cph_srtp {
    cph_err (*protect)(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
    cph_err (*unprotect)(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
    struct cph_srtp_engine *engine;
    struct srtp_stream *last; /* found last; never NULL once a stream exists */
    struct cph_srtp *pair;    /* holds the same key for the other direction */
    struct srtp_key *use;     /* key[in_use]: what a sender sends under; the only one without MKI */
    uint8_t dir;              /* enum cph_srtp_dir */
    uint8_t key_n, tag_n, mki_n; /* tag_n 0: SRTP is not authenticated */
    uint8_t kind;                /* which packets its own share a batch's lanes with */
    bool aead, clear_rtp;
    bool derives;    /* there is a key derivation rate: 2^kdr_shift */
    bool plain;      /* authenticated, one key, no MKI, no rate, no extra: what most are */
    bool alone;      /* packets of it share no lanes: they take the single call in a batch, too */
    uint16_t window; /* packets */
    uint32_t ring_mask; /* bits of a window's ring, less one */
    uint8_t rtcp_tag_n;
    bool clear_rtcp;
    uint8_t rcc;     /* enum cph_srtp_rcc */
    bool rcc_synced; /* the application says that the ROC is right */
    bool cryptex;
    uint16_t rcc_rate;
    struct cph_srtp *inner; /* RFC 8723: from end to end; this one is from hop to hop */
    unsigned kdr_shift;
    size_t in_use, n_keys;
    struct srtp_key *key[CPH_SRTP_KEYS_MAX];
    const struct cph_srtp_suite *suite;
    struct srtp_stream *stream;
    size_t n_streams, cap_streams;
    uint32_t *slot; /* hash of SSRC to 1 + place in stream */
    uint32_t slot_mask;
    void *block, *stream_block; /* what calloc gave */
};

_Static_assert(offsetof(struct cph_srtp, rtcp_tag_n) == SRTP_LINE, "SRTP needs one line");

struct srtp_stream *srtp_stream_find(const struct cph_srtp *s, uint32_t ssrc); /* NULL if unknown */
/** Bind an SSRC that is not known yet. CPH_E_LIMIT; CPH_E_POLICY if the paired context has it. */
cph_err srtp_stream_bind(struct cph_srtp *s, uint32_t ssrc, struct srtp_stream **out);
/** May it be bound? The same errors, nothing done. */
cph_err srtp_stream_room(const struct cph_srtp *s, uint32_t ssrc);

/* ---- the index ------------------------------------------------------------------------------- */

/* RFC 3711 3.3.1 and appendix A: the index with this SEQ that is closest to the highest so far. */
static inline uint64_t srtp_index_guess(const struct srtp_window *w, uint64_t top, uint16_t seq)
{
    int32_t d = (int16_t)(uint16_t)(seq - (uint16_t)top);

    if (!w->started)
        return (top & ~0xffffULL) | seq;
    if (d == -32768 &&
        (top & 0x8000) == 0) /* as far up as down: appendix A stays in the same ROC */
        d = 32768;
    if (d < 0 && top < (uint64_t)-d) /* there is no ROC before 0: SEQ went ahead */
        return seq;
    return top + (uint64_t)(int64_t)d;
}

/* RFC 3711 3.3.2: seen already, or too old to know? */
static inline bool srtp_window_refuses(const struct cph_srtp *s, const struct srtp_window *w,
                                       uint64_t index)
{
    uint64_t at = index & s->ring_mask;

    if (!w->started || index > w->top)
        return false;
    return w->top - index >= s->window || (w->seen[at >> 6] >> (at & 63) & 1);
}

/** Forget the bits of the indices above the top, up to index. */
void srtp_window_slide(const struct cph_srtp *s, struct srtp_window *w, uint64_t index);

/* The index after the top. */
static inline void srtp_window_next(const struct cph_srtp *s, struct srtp_window *w, uint64_t index)
{
    uint64_t at = index & s->ring_mask;

    w->top = index;
    w->seen[at >> 6] |= 1ULL << (at & 63);
}

static inline void srtp_window_mark(const struct cph_srtp *s, struct srtp_window *w, uint64_t index)
{
    uint64_t at = index & s->ring_mask;

    if (w->started && index == w->top + 1) {
        srtp_window_next(s, w, index);
        return;
    }
    if (!w->started || index > w->top)
        srtp_window_slide(s, w, index);
    w->seen[at >> 6] |= 1ULL << (at & 63);
}

/* ---- packets --------------------------------------------------------------------------------- */

static inline uint32_t srtp_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void srtp_put_be32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

/* Two big-endian numbers in one store: a load of 16 bytes soon after would wait for two. */
static inline void srtp_put_be128(uint8_t *p, uint64_t hi, uint64_t lo)
{
    typedef uint64_t pair __attribute__((vector_size(16)));
    pair v = { __builtin_bswap64(hi), __builtin_bswap64(lo) };

    memcpy(p, &v, sizeof v);
}

/* RFC 3711 4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16) */
static inline void srtp_iv_cm(const struct srtp_session *ss, uint32_t ssrc, uint64_t index,
                              uint8_t iv[16])
{
    srtp_put_be128(iv, ss->salt_hi ^ ssrc, ss->salt_lo ^ index << 16);
}

/* RFC 7714 8.1 and 9.1: salt XOR 00 00 | SSRC | ROC | SEQ, or 00 00 | SSRC | 00 00 | index */
static inline void srtp_iv_gcm(const struct srtp_session *ss, uint32_t ssrc, uint64_t index,
                               uint8_t iv[16])
{
    srtp_put_be128(iv, ss->salt_hi ^ (uint64_t)ssrc << 16 ^ index >> 32, ss->salt_lo ^ index << 32);
}

static inline uint64_t srtp_load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

/* Tags of 4, 10 or 16 bytes: equal in time that depends on n only. */
static inline bool srtp_tag_eq(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t diff;

    if (n == 4)
        diff = srtp_load(a, 4) ^ srtp_load(b, 4);
    else if (n == 10)
        diff = (srtp_load(a, 8) ^ srtp_load(b, 8)) | (srtp_load(a + 8, 2) ^ srtp_load(b + 8, 2));
    else
        diff = (srtp_load(a, 8) ^ srtp_load(b, 8)) | (srtp_load(a + 8, 8) ^ srtp_load(b + 8, 8));
    return diff == 0;
}

/* RFC 3550 5.1: fixed header, CSRCs, header extension. */
static inline cph_err srtp_rtp_header(const uint8_t *p, size_t n, size_t *header)
{
    size_t h = SRTP_RTP_HEADER;

    if (n < h)
        return CPH_E_TRUNCATED;
    if (n > CPH_SRTP_PACKET_MAX)
        return CPH_E_LIMIT;
    if (p[0] >> 6 != 2)
        return CPH_E_MALFORMED;
    h += 4 * (size_t)(p[0] & 15);
    if (p[0] & 0x10) {
        if (n < h + 4)
            return CPH_E_TRUNCATED;
        h += 4 + 4 * (size_t)(p[h + 2] << 8 | p[h + 3]);
    }
    if (n < h)
        return CPH_E_TRUNCATED;
    *header = h;
    return CPH_OK;
}

static inline uint16_t srtp_rtp_seq(const uint8_t *p)
{
    return (uint16_t)(p[2] << 8 | p[3]);
}

/** The keys for this index; derives them if they are not at hand. */
cph_err srtp_session_for(struct cph_srtp *s, struct srtp_key *key, bool rtcp, uint64_t index,
                         struct srtp_session **out);
/** The key a received packet names; CPH_E_NOKEY. */
cph_err srtp_key_of(const struct cph_srtp *s, const uint8_t *mki, struct srtp_key **out);

/* RFC 4771 and RFC 9335, in extras.c. */
cph_err srtp_extras_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
cph_err srtp_extras_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
/* RFC 8723, in double.c. */
cph_err srtp_double_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                        enum cph_srtp_dir dir, struct cph_srtp **out);
cph_err srtp_double_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
cph_err srtp_double_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
cph_err srtp_protect_any(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
cph_err srtp_unprotect_any(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
/* AES-GCM on libipsec-mb. */
cph_err srtp_mb_gcm_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
cph_err srtp_mb_gcm_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);

#endif
