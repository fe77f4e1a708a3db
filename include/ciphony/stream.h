/* Ciphony: TLS 1.2/1.3 and DTLS 1.2 as one engine over any pipe. */
#ifndef CPH_STREAM_H
#define CPH_STREAM_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/crypto_key.h"

/*
 * An engine: bytes and the time go in, bytes and a deadline come out. It opens no socket and reads
 * no clock: DTLS retransmission runs on cph_stream_deadline() and cph_stream_tick(), certificate
 * dates on env->wall. Randomness inside the handshake is OpenSSL's own, not env->random. One engine
 * belongs to one thread at a time.
 */
struct cph_stream;

enum cph_stream_kind { CPH_STREAM_TLS, CPH_STREAM_DTLS };
enum cph_stream_role { CPH_STREAM_CLIENT, CPH_STREAM_SERVER };

/* How the peer's certificate is judged while the handshake runs. */
enum cph_stream_verify {
    CPH_STREAM_VERIFY_CHAIN,  /* path to an anchor of trust, dates, and name if given; pins also
                                 accepted */
    CPH_STREAM_VERIFY_PINNED, /* one of the fingerprints, by the rules of cph_cert_match() */
    CPH_STREAM_VERIFY_CALLER, /* any; the caller must judge cph_stream_peer() before it trusts a
                                 byte */
};

enum cph_stream_state {
    CPH_STREAM_HANDSHAKE,
    CPH_STREAM_OPEN,
    CPH_STREAM_CLOSED, /* close-notify came, or we closed; what was read before can still be read */
    CPH_STREAM_FAILED, /* cph_stream_why() says why */
};

enum {
    CPH_STREAM_MTU = 1200, /* DTLS datagrams at most, unless configured: fits tunnels over IPv6 */
    CPH_STREAM_LIMIT = 262144,   /* bytes held in each direction, unless configured */
    CPH_STREAM_DATAGRAM = 16384, /* the largest datagram taken in */
    CPH_STREAM_PROFILES = 8,
    CPH_STREAM_WHY = 200,
    CPH_STREAM_TRIES = 12, /* unanswered flights */
};

/*
 * What the streams of one device share: the library's context with its certificate and key. Dear to
 * make, so whoever opens many streams makes one and names it in each configuration.
 */
struct cph_stream_home;

/** cert and key may be NULL (a client without). resumable: sessions can be taken up again, see
 * below. CPH_E_CONFIG, CPH_E_NOMEM, CPH_E_CRYPTO. env outlives the home. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_home_new(enum cph_stream_kind kind,
                                                   const struct cph_cert *cert,
                                                   const struct cph_key *key, bool resumable,
                                                   const struct cph_env *env,
                                                   struct cph_stream_home **out);
CPH_API void cph_stream_home_free(struct cph_stream_home *home); /* NULL is fine; streams keep it */

/* What two ends agreed on, kept in memory to begin anew without public-key operations: its secret
 * opens every stream made from it. DTLS 1.2 only. */
struct cph_stream_session;

/* Server: the session that has this identifier, or NULL. Borrowed. */
typedef const struct cph_stream_session *cph_stream_find_fn(void *ctx, struct cph_span id,
                                                            cph_time now);

/* Copied by cph_stream_new(); the objects pointed to are referenced, the texts and arrays copied.
 */
struct cph_stream_config {
    enum cph_stream_kind kind;
    enum cph_stream_role role;
    struct cph_stream_home *home; /* NULL: one of its own, of the next two, which are not looked at
                                     otherwise */
    const struct cph_cert *cert;  /* own certificate with its chain; a client may have none */
    const struct cph_key *key;    /* its private key */

    enum cph_stream_verify verify;
    const struct cph_trust *trust; /* VERIFY_CHAIN */
    const char *name;              /* VERIFY_CHAIN: SIP domain or IP the peer must prove (RFC 5922);
                                      client: also sent as server_name. NULL: no name is checked */
    const struct cph_fingerprint
        *pins; /* VERIFY_PINNED, and VERIFY_CHAIN as a second way to be accepted */
    size_t n_pins;
    bool ask_client_cert;  /* server: send a CertificateRequest, judge what comes */
    bool need_client_cert; /* server: and fail without one */

    const char *alpn;             /* "sip" or "sip,http/1.1", NULL none */
    const uint16_t *srtp_profile; /* DTLS: use_srtp profiles, best first (RFC 5764 4.1.2) */
    size_t n_srtp_profile;
    unsigned mtu; /* DTLS; 0: CPH_STREAM_MTU */
    /* DTLS server: the first datagram is a ClientHello with a cookie, which the caller has judged
     * (RFC 6347 4.2.1): the stream begins behind the cookie exchange. */
    bool after_cookie;
    const struct cph_stream_session *resume; /* client: propose it; the home is resumable */
    cph_stream_find_fn *find; /* server: what a client may propose; the home is resumable */
    void *find_ctx;
    cph_time
        first_timeout; /* DTLS; 0: one second (RFC 6347 4.2.4.1), doubled each time up to 8 s */
    size_t limit;      /* 0: CPH_STREAM_LIMIT */
};

/** CPH_E_CONFIG (key does not fit the certificate, no trust for VERIFY_CHAIN, unknown profile,
 * ...), CPH_E_NOMEM, CPH_E_CRYPTO. env outlives the stream. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_new(const struct cph_stream_config *cfg,
                                              const struct cph_env *env, struct cph_stream **out);
CPH_API void cph_stream_free(struct cph_stream *s); /* NULL is fine; sends nothing */

/** Client: write the ClientHello. Server: nothing. feed, tick and write do it too. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_start(struct cph_stream *s, cph_time now);

/**
 * What came from the pipe: TLS any bytes, DTLS exactly one datagram.
 * DTLS: a datagram or record that is malformed, forged or of the wrong epoch is dropped and
 * counted, and CPH_OK returned; nothing it says is believed. TLS: any such thing ends the stream.
 * Returns CPH_OK, or once failed the error the stream failed with: CPH_E_CERT, CPH_E_EXPIRED,
 * CPH_E_MALFORMED (handshake or record), CPH_E_LIMIT, CPH_E_TIMEOUT; CPH_E_CLOSED after a close.
 */
CPH_API CPH_MUST_CHECK cph_err cph_stream_feed(struct cph_stream *s, struct cph_span bytes,
                                               cph_time now);
/** The pipe was closed by the other side (TLS over TCP). Without close-notify before it this is a
 * failure: the last bytes may have been cut off. For whom the end of the stream means something; a
 * protocol whose messages say their own length (SIP) need not ask. */
CPH_API void cph_stream_eof(struct cph_stream *s);

/** What must go to the pipe: TLS up to cap bytes, DTLS one whole datagram. CPH_E_AGAIN when there
 * is nothing, CPH_E_NOSPACE if the datagram does not fit. Also after a failure: the alert. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_pull(struct cph_stream *s, void *buf, size_t cap,
                                               size_t *n);
CPH_API size_t
cph_stream_pending(const struct cph_stream *s); /* ciphertext bytes waiting for pull */

/** Plaintext out of the stream: TLS up to cap bytes, DTLS one record. CPH_E_AGAIN, CPH_E_CLOSED
 * after the last byte, CPH_E_NOSPACE (DTLS), or the failure. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_read(struct cph_stream *s, void *buf, size_t cap,
                                               size_t *n);
/** Plaintext into the stream, all or nothing: CPH_E_AGAIN before it is open, CPH_E_LIMIT when too
 * much waits for pull. DTLS: one record, at most the MTU less the overhead. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_write(struct cph_stream *s, struct cph_span bytes,
                                                cph_time now);
/** Send close-notify; idempotent. */
CPH_API void cph_stream_close(struct cph_stream *s, cph_time now);

/** When tick must be called, CPH_TIME_NEVER for none. Before it, tick does nothing. */
CPH_API cph_time cph_stream_deadline(const struct cph_stream *s);
/** Retransmit; after CPH_STREAM_TRIES unanswered flights the stream fails with CPH_E_TIMEOUT. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_tick(struct cph_stream *s, cph_time now);

CPH_API enum cph_stream_state cph_stream_state(const struct cph_stream *s);
CPH_API const char *cph_stream_state_name(enum cph_stream_state state);
/** Why it failed, in words; "" while it has not. Lives as long as s. */
CPH_API const char *cph_stream_why(const struct cph_stream *s);
CPH_API cph_err cph_stream_error(const struct cph_stream *s); /* CPH_OK while it has not failed */

/* ---- what was agreed; valid once open -------------------------------------------------------- */

/** The peer's certificate and chain, borrowed from s; NULL if it showed none. In the handshake: as
 * soon as it came (then it is not yet proven that the peer has the key). */
CPH_API const struct cph_cert *cph_stream_peer(const struct cph_stream *s);
CPH_API const char *cph_stream_version(const struct cph_stream *s); /* "TLSv1.3", "DTLSv1.2" */
CPH_API const char *
cph_stream_cipher(const struct cph_stream *s); /* "ECDHE-ECDSA-AES128-GCM-SHA256" */
/** Which of cfg.alpn it is, for who speaks several protocols on one port (RFC 7301); "" if none. */
CPH_API const char *cph_stream_alpn(const struct cph_stream *s);
CPH_API uint16_t
cph_stream_srtp_profile(const struct cph_stream *s); /* 0 if none (RFC 5764 4.1.2) */
/** How the peer was accepted: "chain", "pinned", "caller" or "" (no certificate). */
CPH_API const char *cph_stream_accepted_by(const struct cph_stream *s);
/** RFC 5705, without context (as RFC 5764 4.2 wants). n bytes into out. CPH_E_STATE before it is
 * open. */
CPH_API CPH_MUST_CHECK cph_err cph_stream_export(const struct cph_stream *s, const char *label,
                                                 struct cph_secret *out, size_t n);

/* ---- resumption (RFC 5246 7.3) --------------------------------------------------------------- */

/**
 * Keep what this open stream agreed on. It remembers the role, and serves the same role only: else
 * somebody could hold a mirror up to us. CPH_E_UNSUPPORTED: it cannot be taken up again (home not
 * resumable, TLS, a peer without RFC 7627).
 */
CPH_API CPH_MUST_CHECK cph_err cph_stream_session_keep(const struct cph_stream *s,
                                                       struct cph_stream_session **out);
CPH_API void cph_stream_session_free(struct cph_stream_session *k); /* wipes; NULL is fine */
CPH_API struct cph_span cph_stream_session_id(const struct cph_stream_session *k);
CPH_API enum cph_stream_role cph_stream_session_role(const struct cph_stream_session *k);
/** Whom it was agreed with: the certificate that was shown and proven then; borrowed. */
CPH_API const struct cph_cert *cph_stream_session_peer(const struct cph_stream_session *k);
/** Was this stream made from a session? Its peer is then the one of that session, judged again. */
CPH_API bool cph_stream_resumed(const struct cph_stream *s);

struct cph_stream_counts {
    uint64_t datagrams_in, datagrams_out; /* DTLS */
    uint64_t dropped;                     /* DTLS datagrams or records not believed */
    uint64_t retransmitted;               /* DTLS flights sent again */
    uint64_t alerts_unproven;             /* DTLS alerts in clear: somebody says the peer gave up */
    uint8_t alert_unproven;               /* the last of them, RFC 5246 7.2; 0: none */
};
CPH_API void cph_stream_counts(const struct cph_stream *s, struct cph_stream_counts *out);

#endif
