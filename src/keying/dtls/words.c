/*
 * Why there are no keys: what happened, to what, and what to look at. What is said goes by what was
 * seen of all handshakes that failed or were cut off; an alert in clear was not believed, but says
 * more than that time was over.
 */
#include "dtls_int.h"

/* The peer, or somebody in its name. */
#define SAID "the peer says (not signed, so perhaps somebody else does) that "

/* RFC 5246 7.2.2, RFC 8446 6.2 */
enum {
    BAD_RECORD_MAC = 20,
    HANDSHAKE_FAILURE = 40,
    BAD_CERTIFICATE = 42,
    UNSUPPORTED_CERTIFICATE = 43,
    CERTIFICATE_REVOKED = 44,
    CERTIFICATE_EXPIRED = 45,
    CERTIFICATE_UNKNOWN = 46,
    ILLEGAL_PARAMETER = 47,
    UNKNOWN_CA = 48,
    ACCESS_DENIED = 49,
    DECODE_ERROR = 50,
    DECRYPT_ERROR = 51,
    PROTOCOL_VERSION = 70,
    INSUFFICIENT_SECURITY = 71,
    CERTIFICATE_REQUIRED = 116,
};

static const char *alert_words(uint8_t alert)
{
    switch (alert) {
    case HANDSHAKE_FAILURE:
    case INSUFFICIENT_SECURITY:
        return SAID "it has no cipher or SRTP profile in common with us for DTLS-SRTP; we want "
                    "ECDHE with AES-GCM or ChaCha20";
    case PROTOCOL_VERSION:
        return SAID "it does not speak DTLS 1.2, and we nothing older";
    case CERTIFICATE_EXPIRED:
        return SAID "our certificate is out of date: look at its dates and at both clocks";
    case BAD_CERTIFICATE:
    case UNSUPPORTED_CERTIFICATE:
    case CERTIFICATE_REVOKED:
    case CERTIFICATE_UNKNOWN:
    case UNKNOWN_CA:
    case ACCESS_DENIED:
        return SAID "it does not take our certificate: our fingerprint may not have reached it as "
                    "we wrote it";
    case CERTIFICATE_REQUIRED:
        return SAID "it saw no certificate of ours";
    case BAD_RECORD_MAC:
    case ILLEGAL_PARAMETER:
    case DECODE_ERROR:
    case DECRYPT_ERROR:
        return SAID "what it got of our DTLS handshake does not fit together: packets may be "
                    "forged or damaged on the way";
    default:
        return SAID "it gave up the DTLS handshake, and not why";
    }
}

/* Of a handshake that ends here or is cut off. */
void dtls_words_note(struct dtls *d, const struct dtls_shake *shake)
{
    struct cph_stream_counts n;

    cph_stream_counts(shake->s, &n);
    d->answered |= shake->heard != 0;
    if (n.alert_unproven)
        d->alert = n.alert_unproven;
    if (cph_stream_state(shake->s) != CPH_STREAM_FAILED)
        return;
    d->trouble = cph_stream_error(shake->s);
    cph_log(d->env, CPH_LOG_INFO, "dtls", "a handshake failed: %s", cph_stream_why(shake->s));
}

const char *dtls_words(const struct dtls *d, cph_err *err)
{
    *err = d->mismatch ? CPH_E_CERT : CPH_E_TIMEOUT;
    if (d->mismatch)
        return "the only certificate shown is not the one the peer's fingerprint promised: "
               "somebody may be in between";
    if (d->alert)
        return alert_words(d->alert);
    switch ((int)d->trouble) {
    case CPH_OK:
    case CPH_E_TIMEOUT:
        break;
    case CPH_E_UNSUPPORTED:
        *err = CPH_E_UNSUPPORTED;
        return "the peer has no DTLS version, cipher or signature in common with us; we want DTLS "
               "1.2 and ECDHE with AES-GCM or ChaCha20";
    case CPH_E_CERT:
        *err = CPH_E_CERT;
        return "the peer showed no certificate that could be read, so nobody knows who it is";
    case CPH_E_CLOSED:
        *err = CPH_E_CLOSED;
        return "the peer gave up the DTLS handshake when it had seen our side of it";
    case CPH_E_NOMEM:
        *err = CPH_E_NOMEM;
        return "there was no memory for the DTLS handshake here";
    case CPH_E_CRYPTO:
        *err = CPH_E_CRYPTO;
        return "our own crypto library gave up the DTLS handshake: memory is short, or somebody "
               "sends what no peer sends";
    default:
        *err = d->trouble;
        return "each DTLS handshake went wrong: packets are forged in the peer's name or damaged "
               "on the way; another network may help";
    }
    if (d->answered)
        return "the DTLS handshake began and was not done in time: too many packets are lost, or "
               "the large ones (MTU)";
    return d->role == CPH_STREAM_CLIENT
               ? "nobody answered our DTLS handshake: it does not reach the peer's media address, "
                 "or the peer does not do DTLS-SRTP there"
               : "nobody began a DTLS handshake with us: the peer's packets do not reach our media "
                 "address, or it does not do DTLS-SRTP";
}
