/* Ciphony: private face of the TLS and DTLS engine. */
#ifndef CPH_STREAM_INT_H
#define CPH_STREAM_INT_H

#include <openssl/ssl.h>
#include <stdatomic.h>
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

/* home.c: what streams share. */
struct cph_stream_home {
    atomic_uint refs;
    enum cph_stream_kind kind;
    bool own; /* there is a certificate */
    bool resumable;
    SSL_CTX *ctx;
    BIO_METHOD *method;
};

struct cph_stream_session {
    SSL_SESSION *ssl;
    enum cph_stream_role role;
    struct cph_cert *peer;
};

/* The numbers of DTLS records in clear, one way. */
struct stream_numbers {
    bool keep_first, begun;
    uint64_t next;
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

    struct cph_stream_home *home;
    SSL *ssl;

    bool after_cookie, listened; /* server: RFC 6347 4.2.1; the library was told */
    cph_stream_find_fn *find;
    void *find_ctx;

    /* The pipe. TLS: bytes. DTLS: one datagram in, and a queue of u16 length, datagram out. */
    struct cph_buf in, out, plain;
    struct cph_span datagram;   /* what is left to read of the datagram being fed */
    struct stream_first *first; /* DTLS client that is not open yet, see first.c */
    struct stream_numbers clear_in, clear_out;
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

void stream_home_ref(struct cph_stream_home *home);
/* The stream an SSL object belongs to. */
struct cph_stream *stream_of(const SSL *ssl);

/* narrow.c: where DTLS handshakes run; NULL: in the library's own context. */
OSSL_LIB_CTX *stream_narrow(void);

/*
 * ec_key.c: a short way to a certificate's P-256 key. Once: what the library gives a provider; its
 * decoder of EC keys, of which one comes back that takes the short way where it can; and whether
 * that leads to the same key in ctx, where this decoder is. Without the last it is never taken.
 */
void stream_ec_key_core(const OSSL_DISPATCH *core);
const OSSL_DISPATCH *stream_ec_key_before(const OSSL_DISPATCH *decoder);
void stream_ec_key_prove(OSSL_LIB_CTX *ctx);

/* config.c: everything but the SSL objects' pipe. */
cph_err stream_configure(struct cph_stream *s, const struct cph_stream_config *cfg);
/* The library's call on a server to choose a protocol (RFC 7301). */
int stream_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                       const unsigned char *in, unsigned int in_n, void *arg);
/* pipe.c: the BIO between the library and our buffers. */
BIO_METHOD *stream_pipe_method(void);
cph_err stream_pipe_attach(struct cph_stream *s);
/* judge.c: the library's call to judge the peer's certificate. */
int stream_judge(X509_STORE_CTX *x, void *arg);
/* The same for the peer of a session that was taken up again. */
cph_err stream_judge_again(struct cph_stream *s);
/* session.c */
SSL_SESSION *stream_find_session(SSL *ssl, const unsigned char *id, int n, int *copy);
/* One more datagram out, as it is but for its number. */
void stream_pipe_send(struct cph_stream *s, struct cph_span datagram);
/* stream.c: the library gets this datagram, and does what it does about it. */
void stream_show(struct cph_stream *s, struct cph_span datagram);

/* first.c: a client's ClientHello, and who answers it. */
cph_err stream_first_new(unsigned mtu, struct stream_first **out);
void stream_first_free(struct stream_first *f);
/* The library writes this datagram: is it to stay here? */
bool stream_first_keeps(struct cph_stream *s, struct cph_span datagram);
/* What came: returns how many bytes of it are left for the library. */
size_t stream_first_take(struct cph_stream *s, uint8_t *records, size_t n);
/* The library has repeated its flight: so do we. */
void stream_first_repeat(struct cph_stream *s);

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

void stream_number(uint8_t *records, size_t n, struct stream_numbers *numbers);

#endif
