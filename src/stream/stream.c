#include "stream_int.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the object ------------------------------------------------------------------------------ */

cph_err cph_stream_new(const struct cph_stream_config *cfg, const struct cph_env *env,
                       struct cph_stream **out)
{
    struct cph_stream *s = calloc(1, sizeof *s);
    cph_err err;

    if (!s)
        return CPH_E_NOMEM;
    s->env = env;
    err = stream_configure(s, cfg);
    if (err)
        goto out;
    err = stream_pipe_attach(s);
    if (err)
        goto out;
    *out = s;
    s = NULL; /* moved to the caller */
out:
    cph_crypto_drain(env);
    cph_stream_free(s);
    return err;
}

void cph_stream_free(struct cph_stream *s)
{
    if (!s)
        return;
    SSL_free(s->ssl);
    stream_first_free(s->first);
    cph_stream_home_free(s->home);
    cph_trust_free(s->trust);
    cph_cert_free(s->peer);
    cph_buf_clear(&s->in);
    cph_buf_clear(&s->out);
    cph_buf_clear(&s->plain);
    free(s);
}

struct cph_stream *stream_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* ---- states ---------------------------------------------------------------------------------- */

/* The only writer of state after the beginning. */
static void enter(struct cph_stream *s, enum cph_stream_state next)
{
    if (s->state == next)
        return;
    cph_log(s->env, CPH_LOG_DEBUG, "stream", "%s -> %s%s%s", cph_stream_state_name(s->state),
            cph_stream_state_name(next), s->why[0] ? ": " : "", s->why);
    s->state = next;
    if (next != CPH_STREAM_HANDSHAKE)
        s->deadline = CPH_TIME_NEVER;
    stream_first_free(s->first);
    s->first = NULL;
}

static void fail(struct cph_stream *s, cph_err err, const char *why)
{
    if (s->state == CPH_STREAM_FAILED)
        return;
    s->err = err;
    if (why != s->why)
        (void)snprintf(s->why, sizeof s->why, "%s", why);
    enter(s, CPH_STREAM_FAILED);
}

static cph_err blame(int lib, int reason)
{
    if (reason == ERR_R_MALLOC_FAILURE)
        return CPH_E_NOMEM;
    if (ERR_FATAL_ERROR(ERR_peek_last_error())) /* no memory, mostly; the library's own trouble */
        return CPH_E_CRYPTO;
    if (lib != ERR_LIB_SSL)
        return CPH_E_MALFORMED;
    switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return CPH_E_UNSUPPORTED;
    default:
        return CPH_E_MALFORMED;
    }
}

/* The library ended the stream: say why in words, by what is known best. */
static void fail_by_library(struct cph_stream *s)
{
    unsigned long e = ERR_peek_error();
    int reason = ERR_GET_REASON(e);
    const char *text = ERR_reason_error_string(e);
    char why[CPH_STREAM_WHY];

    if (s->err != CPH_OK) { /* judge() has said it already */
        fail(s, s->err, s->why);
        return;
    }
    if (ERR_GET_LIB(e) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
        reason <= SSL_AD_REASON_OFFSET + UINT8_MAX) { /* errors of our own side have flags above */
        (void)snprintf(why, sizeof why, "the peer gave up: %s",
                       SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
        fail(s, CPH_E_CLOSED, why);
        return;
    }
    if (ERR_GET_LIB(e) == ERR_LIB_SSL && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        fail(s, CPH_E_CERT, "the peer showed no certificate");
        return;
    }
    (void)snprintf(why, sizeof why, "%s: %s",
                   s->state == CPH_STREAM_HANDSHAKE ? "the handshake went wrong"
                                                    : "the stream is broken",
                   text ? text : "the library does not say why");
    fail(s, blame(ERR_GET_LIB(e), reason), why);
}

/* What a call into the library left behind; true to go on calling. */
static bool settle(struct cph_stream *s, int ret)
{
    switch (SSL_get_error(s->ssl, ret)) {
    case SSL_ERROR_NONE:
        return true;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    case SSL_ERROR_ZERO_RETURN: /* close-notify */
        (void)SSL_shutdown(s->ssl);
        enter(s, CPH_STREAM_CLOSED);
        break;
    default:
        fail_by_library(s);
    }
    cph_crypto_drain(s->env);
    return false;
}

/* ---- driving the library --------------------------------------------------------------------- */

static void note_alpn(struct cph_stream *s)
{
    const unsigned char *name;
    unsigned int n;

    SSL_get0_alpn_selected(s->ssl, &name, &n);
    if (n > 0 && n < sizeof s->alpn_got) {
        memcpy(s->alpn_got, name, n);
        s->alpn_got[n] = '\0';
    }
}

/* The library steps behind the cookie exchange, of which it saw nothing. */
static bool listen_first(struct cph_stream *s)
{
    BIO_ADDR *nobody;
    int ret;

    if (!s->after_cookie || s->listened)
        return true;
    if (s->datagram.n == 0)
        return false;
    nobody = BIO_ADDR_new();
    if (!nobody) {
        fail(s, CPH_E_NOMEM, cph_err_text(CPH_E_NOMEM));
        return false;
    }
    ret = DTLSv1_listen(s->ssl, nobody);
    BIO_ADDR_free(nobody);
    s->listened = ret == 1;
    cph_crypto_drain(s->env);
    return s->listened;
}

static bool shake(struct cph_stream *s)
{
    int ret;

    if (s->state != CPH_STREAM_HANDSHAKE)
        return s->state == CPH_STREAM_OPEN;
    cph_crypto_drain(s->env);
    if (!listen_first(s))
        return false;
    ret = SSL_do_handshake(s->ssl);
    if (!settle(s, ret))
        return false;
    if (SSL_session_reused(s->ssl) == 1 && stream_judge_again(s) != CPH_OK) {
        fail(s, s->err, s->why);
        return false;
    }
    note_alpn(s);
    s->timeout = 0;
    enter(s, CPH_STREAM_OPEN);
    return true;
}

static cph_err keep_plain(struct cph_stream *s, const uint8_t *buf, size_t n)
{
    uint8_t len[2] = { (uint8_t)(n >> 8), (uint8_t)n };

    if (s->kind == CPH_STREAM_DTLS) {
        if (s->plain.n + n + 2 > s->plain.limit) {
            s->counts.dropped++; /* unread datagrams are lost, as they may be */
            return CPH_OK;
        }
        CPH_TRY(cph_buf_put(&s->plain, (struct cph_span){ len, 2 }));
    }
    return cph_buf_put(&s->plain, (struct cph_span){ buf, n });
}

static void decrypt(struct cph_stream *s)
{
    /* Too dear to be cleared before each look, most of which find nothing. */
    __attribute__((uninitialized)) uint8_t buf[STREAM_RECORD];
    size_t used = 0;

    /* TLS stops while the reader is behind; what was fed waits in s->in. */
    while (s->state == CPH_STREAM_OPEN &&
           (s->kind == CPH_STREAM_DTLS || s->plain.n + sizeof buf <= s->plain.limit)) {
        int n;

        cph_crypto_drain(s->env);
        n = SSL_read(s->ssl, buf, sizeof buf);
        if (!settle(s, n))
            break;
        used = (size_t)n > used ? (size_t)n : used;
        if (keep_plain(s, buf, (size_t)n) != CPH_OK)
            fail(s, CPH_E_NOMEM, cph_err_text(CPH_E_NOMEM));
    }
    cph_wipe(buf, used);
}

static void drive(struct cph_stream *s)
{
    if (shake(s))
        decrypt(s);
}

void stream_show(struct cph_stream *s, struct cph_span datagram)
{
    s->datagram = datagram;
    drive(s);
}

static cph_err outcome(const struct cph_stream *s)
{
    switch (s->state) {
    case CPH_STREAM_HANDSHAKE:
    case CPH_STREAM_OPEN:
        return CPH_OK;
    case CPH_STREAM_CLOSED:
        return CPH_E_CLOSED;
    case CPH_STREAM_FAILED:
        return s->err;
    }
    return CPH_E_BUG;
}

/* ---- ciphertext ------------------------------------------------------------------------------ */

cph_err cph_stream_start(struct cph_stream *s, cph_time now)
{
    s->now = now;
    CPH_TRY(outcome(s));
    if (s->role == CPH_STREAM_CLIENT)
        drive(s);
    return outcome(s);
}

static void feed_datagram(struct cph_stream *s, struct cph_span bytes)
{
    uint8_t *kept = NULL;
    uint64_t out = s->counts.datagrams_out;
    size_t plain = s->plain.n;
    enum cph_stream_state state = s->state;
    unsigned dropped = 0;
    uint8_t alert = 0;
    size_t n = 0;

    s->counts.datagrams_in++;
    if (bytes.n <= CPH_STREAM_DATAGRAM)
        kept = malloc(bytes.n + 1);
    if (!kept)
        dropped++;
    else
        n = stream_records(bytes, s->role, state == CPH_STREAM_OPEN, kept, &dropped, &alert);
    s->counts.dropped += dropped;
    if (alert) {
        s->alert = alert;
        s->counts.alerts_unproven++;
    }
    if (n > 0)
        n = stream_first_take(s, kept, n);
    stream_number(kept, n, &s->clear_in);
    if (n > 0)
        stream_show(s, (struct cph_span){ kept, n });
    s->datagram = (struct cph_span){ NULL, 0 };
    free(kept);
    if (n == 0)
        return;
    /* The library says nothing of a record whose tag is wrong; it shows by having done nothing. */
    if (state == CPH_STREAM_OPEN && s->state == state && s->plain.n == plain &&
        s->counts.datagrams_out == out && dropped == 0)
        s->counts.dropped++;
}

cph_err cph_stream_feed(struct cph_stream *s, struct cph_span bytes, cph_time now)
{
    cph_err err;

    s->now = now;
    CPH_TRY(outcome(s));
    if (s->kind == CPH_STREAM_DTLS) {
        feed_datagram(s, bytes);
        return outcome(s);
    }
    err = cph_buf_put(&s->in, bytes);
    if (err) {
        fail(s, err, "more came than the stream may hold");
        return err;
    }
    drive(s);
    /* A close that came with the last bytes is told by state and read, not by the feed that brought
     * it. */
    return s->state == CPH_STREAM_CLOSED ? CPH_OK : outcome(s);
}

void cph_stream_eof(struct cph_stream *s)
{
    if (s->state == CPH_STREAM_HANDSHAKE)
        fail(s, CPH_E_CLOSED, "the connection was closed during the handshake");
    else if (s->state == CPH_STREAM_OPEN)
        fail(s, CPH_E_CLOSED,
             "the connection was closed without close-notify: its end may be missing");
}

cph_err cph_stream_pull(struct cph_stream *s, void *buf, size_t cap, size_t *n)
{
    struct cph_span have = cph_buf_view(&s->out);
    size_t len = have.n, skip = 0;

    if (have.n == 0)
        return CPH_E_AGAIN;
    if (s->kind == CPH_STREAM_DTLS) {
        len = (size_t)have.p[0] << 8 | have.p[1];
        skip = 2;
        if (len > cap)
            return CPH_E_NOSPACE;
    } else if (len > cap) {
        len = cap;
    }
    memcpy(buf, have.p + skip, len);
    cph_buf_drop(&s->out, skip + len);
    *n = len;
    return CPH_OK;
}

size_t cph_stream_pending(const struct cph_stream *s)
{
    return s->out.n;
}

/* ---- plaintext ------------------------------------------------------------------------------- */

cph_err cph_stream_read(struct cph_stream *s, void *buf, size_t cap, size_t *n)
{
    struct cph_span have;
    size_t len, skip = 0;

    if (s->plain.n == 0 && s->state == CPH_STREAM_OPEN && s->kind == CPH_STREAM_TLS)
        decrypt(s); /* what waited for room */
    have = cph_buf_view(&s->plain);
    if (have.n == 0) {
        cph_err err = outcome(s);

        return err ? err : CPH_E_AGAIN;
    }
    len = have.n;
    if (s->kind == CPH_STREAM_DTLS) {
        len = (size_t)have.p[0] << 8 | have.p[1];
        skip = 2;
        if (len > cap)
            return CPH_E_NOSPACE;
    } else if (len > cap) {
        len = cap;
    }
    memcpy(buf, have.p + skip, len);
    cph_buf_drop(&s->plain, skip + len);
    *n = len;
    return CPH_OK;
}

cph_err cph_stream_write(struct cph_stream *s, struct cph_span bytes, cph_time now)
{
    int ret;

    s->now = now;
    CPH_TRY(outcome(s));
    if (s->state != CPH_STREAM_OPEN)
        return CPH_E_AGAIN;
    if (bytes.n == 0)
        return CPH_OK;
    if (s->kind == CPH_STREAM_DTLS && bytes.n > DTLS_get_data_mtu(s->ssl))
        return CPH_E_ARGUMENT;
    /* Ciphertext is longer by less than 1 in 64, and headroom is kept: a write never goes half way.
     */
    if (bytes.n > s->limit || s->out.n + bytes.n + bytes.n / 64 > s->limit)
        return CPH_E_LIMIT;
    cph_crypto_drain(s->env);
    ret = SSL_write(s->ssl, bytes.p, (int)bytes.n);
    if (!settle(s, ret)) {
        if (outcome(s) == CPH_OK)
            fail(s, CPH_E_NOMEM, "the library could not send");
        return outcome(s);
    }
    return CPH_OK;
}

void cph_stream_close(struct cph_stream *s, cph_time now)
{
    s->now = now;
    if (s->state == CPH_STREAM_OPEN)
        (void)SSL_shutdown(s->ssl);
    if (s->state == CPH_STREAM_OPEN || s->state == CPH_STREAM_HANDSHAKE)
        enter(s, CPH_STREAM_CLOSED);
    cph_crypto_drain(s->env);
}

/* ---- time ------------------------------------------------------------------------------------ */

cph_time cph_stream_deadline(const struct cph_stream *s)
{
    return s->deadline;
}

static void give_up(struct cph_stream *s)
{
    char why[CPH_STREAM_WHY];

    if (s->alert)
        (void)snprintf(why, sizeof why,
                       "no answer in time; an alert in clear, perhaps the peer's, said: %s",
                       SSL_alert_desc_string_long(s->alert));
    else
        (void)snprintf(why, sizeof why, "no answer to the handshake in time");
    fail(s, CPH_E_TIMEOUT, why);
}

cph_err cph_stream_tick(struct cph_stream *s, cph_time now)
{
    int ret;

    s->now = now;
    CPH_TRY(outcome(s));
    if (now < s->deadline)
        return CPH_OK;
    if (++s->tries > CPH_STREAM_TRIES) {
        give_up(s);
        return outcome(s);
    }
    cph_crypto_drain(s->env);
    ret = stream_timer_fire(s);
    if (ret < 0) {
        fail_by_library(s);
    } else if (ret > 0) {
        s->counts.retransmitted++;
        stream_first_repeat(s);
    } else { /* the system's clock is behind ours (timer.c): look again soon */
        s->tries--;
        s->deadline = now + CPH_MS(20);
    }
    cph_crypto_drain(s->env);
    return outcome(s);
}

/* ---- what was agreed ------------------------------------------------------------------------- */

enum cph_stream_state cph_stream_state(const struct cph_stream *s)
{
    return s->state;
}

const char *cph_stream_state_name(enum cph_stream_state state)
{
    switch (state) {
    case CPH_STREAM_HANDSHAKE:
        return "handshake";
    case CPH_STREAM_OPEN:
        return "open";
    case CPH_STREAM_CLOSED:
        return "closed";
    case CPH_STREAM_FAILED:
        return "failed";
    }
    return "?";
}

const char *cph_stream_why(const struct cph_stream *s)
{
    return s->why;
}

cph_err cph_stream_error(const struct cph_stream *s)
{
    return s->state == CPH_STREAM_FAILED ? s->err : CPH_OK;
}

const struct cph_cert *cph_stream_peer(const struct cph_stream *s)
{
    return s->peer;
}

const char *cph_stream_version(const struct cph_stream *s)
{
    return SSL_get_version(s->ssl);
}

const char *cph_stream_cipher(const struct cph_stream *s)
{
    const SSL_CIPHER *c = SSL_get_current_cipher(s->ssl);

    return c ? SSL_CIPHER_get_name(c) : "";
}

const char *cph_stream_alpn(const struct cph_stream *s)
{
    return s->alpn_got;
}

uint16_t cph_stream_srtp_profile(const struct cph_stream *s)
{
    const SRTP_PROTECTION_PROFILE *p = SSL_get_selected_srtp_profile(s->ssl);

    return p ? (uint16_t)p->id : 0;
}

const char *cph_stream_accepted_by(const struct cph_stream *s)
{
    return s->accepted_by;
}

cph_err cph_stream_export(const struct cph_stream *s, const char *label, struct cph_secret *out,
                          size_t n)
{
    if (s->state != CPH_STREAM_OPEN)
        return CPH_E_STATE;
    if (n > sizeof out->b)
        return CPH_E_NOSPACE;
    if (SSL_export_keying_material(s->ssl, out->b, n, label, strlen(label), NULL, 0, 0) != 1) {
        cph_crypto_drain(s->env);
        return CPH_E_CRYPTO;
    }
    out->n = n;
    return CPH_OK;
}

void cph_stream_counts(const struct cph_stream *s, struct cph_stream_counts *out)
{
    *out = s->counts;
    out->alert_unproven = s->alert;
}
