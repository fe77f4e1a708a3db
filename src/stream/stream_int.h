/* Ciphony: private face of the TLS and DTLS engine. */
#ifndef CPH_STREAM_INT_H
#define CPH_STREAM_INT_H

#include <openssl/ssl.h>
#include <sys/time.h>

#include "ciphony/crypto_native.h"
#include "ciphony/stream.h"

enum {
    STREAM_NAME = 254,        /* a DNS name and its NUL */
    STREAM_PINS = 16,         /* fingerprints one peer may have */
    STREAM_ALPN = 64,         /* bytes of the protocol list on the wire */
    STREAM_HEADROOM = 65536,  /* over the limit, for what the library itself must send */
    STREAM_LIMIT_MIN = 65536, /* two records of plaintext and their ciphertext */
    STREAM_MTU_MIN = 296,     /* 256 of the library and IPv4/UDP headers, to be safe */
    STREAM_MTU_MAX = 4096,    /* the library buffers a flight in blocks of this size */
    STREAM_CERTS_MAX = 32768, /* bytes of a Certificate message we take */
    STREAM_RECORD = 16384,    /* plaintext of one record, RFC 8446 5.1 */
};

struct cph_stream {
    const struct cph_env *env;
    enum cph_stream_kind kind;
    enum cph_stream_role role;
    enum cph_stream_state state;
    cph_err err;
    char why[CPH_STREAM_WHY];

    /* how the peer is judged */
    enum cph_stream_verify verify;
    struct cph_trust *trust;
    char name[STREAM_NAME]; /* "" no name is checked */
    struct cph_fingerprint pin[STREAM_PINS];
    size_t n_pins;
    struct cph_cert *peer;
    const char *accepted_by;
    uint8_t alpn[STREAM_ALPN]; /* RFC 7301 3.1: length byte, name, ... */
    size_t alpn_n;
    char alpn_got[STREAM_ALPN];

    SSL_CTX *ctx;
    SSL *ssl;
    BIO_METHOD *method;

    /* The pipe. TLS: bytes. DTLS: one datagram in, and a queue of u16 length, datagram out. */
    struct cph_buf in, out, plain;
    struct cph_span datagram; /* what is left to read of the datagram being fed */
    size_t limit;

    /* DTLS time */
    cph_time now;
    cph_time deadline;
    cph_time first_timeout, timeout;
    struct timeval *next; /* the library's own deadline, see timer.c; NULL if it is out of reach */
    unsigned tries;
    uint8_t alert; /* the last alert that came in clear, for the reason */
    struct cph_stream_counts counts;
};

/* config.c: everything but the SSL objects' pipe. */
cph_err stream_configure(struct cph_stream *s, const struct cph_stream_config *cfg);
/* pipe.c: the BIO between the library and our buffers. */
cph_err stream_pipe_attach(struct cph_stream *s);
/* judge.c: the library's call to judge the peer's certificate; arg is the stream. */
int stream_judge(X509_STORE_CTX *x, void *arg);
/* timer.c */
void stream_timer_attach(struct cph_stream *s);
void stream_timer_moved(struct cph_stream *s, struct timeval *next);
int stream_timer_fire(struct cph_stream *s); /* as DTLSv1_handle_timeout() */

/*
 * record.c: copy those records of a datagram that may be believed for now to out (at least n
 * bytes). Returns the bytes kept; *dropped counts records left out, *alert is set by an alert in
 * clear.
 */
size_t stream_records(struct cph_span datagram, enum cph_stream_role own, bool open, uint8_t *out,
                      unsigned *dropped, uint8_t *alert);

#endif
