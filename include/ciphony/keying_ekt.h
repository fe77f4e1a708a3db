/* Ciphony: how the members of a session get an EKT parameter set (srtp_ekt.h). */
#ifndef CPH_KEYING_EKT_H
#define CPH_KEYING_EKT_H

#include "ciphony/base_wire.h"
#include "ciphony/keying.h"
#include "ciphony/srtp_ekt.h"

/* ---- DTLS (RFC 8870 5.2) ----------------------------------------------------------------------
 *
 * Bodies only: the TLS library gives no way to send a handshake message of type 26 yet.
 */

enum {
    CPH_EKT_EXTENSION = 39, /* supported_ekt_ciphers */
    CPH_EKT_HANDSHAKE = 26, /* ekt_key */
    CPH_EKT_CIPHERS = 2,    /* ciphers there are */
};

/* The wire counts EKTCipherType from 1 (5.2.1), the registry from 0 (7.2). */

/** A client's list, best first. n is 1 or more. */
CPH_API void cph_ekt_ciphers_build(const enum cph_ekt_cipher *list, size_t n, struct cph_wr *wr);
/** Those we know, in the client's order, each once: *n of them, perhaps 0. CPH_E_TRUNCATED,
 *  CPH_E_TRAILING, CPH_E_MALFORMED for an empty list. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_ciphers_parse(struct cph_span body,
                                                     enum cph_ekt_cipher out[CPH_EKT_CIPHERS],
                                                     size_t *n);
/** What the server selected. */
CPH_API void cph_ekt_cipher_build(enum cph_ekt_cipher cipher, struct cph_wr *wr);
/** CPH_E_UNSUPPORTED for one we do not know; CPH_E_TRUNCATED, CPH_E_TRAILING. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_cipher_parse(struct cph_span body, enum cph_ekt_cipher *out);

/** The body of an EKTKey message. It is key material. */
CPH_API void cph_ekt_message_build(const struct cph_ekt_params *params, struct cph_wr *wr);
/** cipher: what was selected. CPH_E_TRUNCATED, CPH_E_TRAILING; CPH_E_MALFORMED for an empty field,
 * a key not of the cipher's length, a ttl of 0. The caller wipes *out. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_message_parse(struct cph_span body,
                                                     enum cph_ekt_cipher cipher,
                                                     struct cph_ekt_params *out);

/* ---- SDES -------------------------------------------------------------------------------------
 *
 * A session parameter of a crypto line, after the expired draft-ietf-avt-srtp-ekt:
 *
 *   EKT=AESKW_128|<key in base64>|<SPI in 4 hex digits>
 *
 * RFC 8870 has no SDES, and the draft no word for two things it needs: the salt is that of the
 * inline keys, which have one salt on both sides where a line has a set, and the ttl is the longest
 * there is for who takes a set; who gives it keeps its own.
 */

enum { CPH_EKT_SDES = 4 + 10 + 44 + 1 + 4 + 1 }; /* the longest text, with its NUL */

/** The value, without "EKT=". */
CPH_API void cph_ekt_sdes_build(const struct cph_ekt_params *params, char out[CPH_EKT_SDES]);
/** *out has no salt. CPH_E_MALFORMED; CPH_E_UNSUPPORTED for another cipher. The caller wipes. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_sdes_parse(struct cph_span value,
                                                  struct cph_ekt_params *out);

/** The set that both sides agreed on by the mechanism that was chosen. CPH_E_NOTFOUND: none;
 *  CPH_E_AGAIN before there are keys. The caller wipes *out. */
CPH_API CPH_MUST_CHECK cph_err cph_nego_ekt(const struct cph_nego *n, struct cph_ekt_params *out);

#endif
