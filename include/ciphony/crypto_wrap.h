/* Ciphony: AES key wrap with padding (RFC 5649), for what is no multiple of eight bytes. */
#ifndef CPH_CRYPTO_WRAP_H
#define CPH_CRYPTO_WRAP_H

#include "ciphony/base.h"

enum {
    CPH_WRAP_PAD_MAX = 4096, /* most bytes to wrap */
    CPH_WRAP_PAD_MORE = 15,  /* most bytes a wrapped text is longer */
};

/** Bytes of n bytes wrapped. */
CPH_API size_t cph_aes_wrap_pad_size(size_t n);
/** Wrap 1 to CPH_WRAP_PAD_MAX bytes under a key of 16, 24 or 32; out takes
 *  cph_aes_wrap_pad_size(in.n). CPH_E_ARGUMENT, CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_wrap_pad(struct cph_span key, struct cph_span in,
                                                uint8_t *out);
/** The reverse; out takes in.n - 8 bytes, *n are the text's. CPH_E_AUTH if it was not wrapped under
 *  this key; CPH_E_ARGUMENT for a length that no wrapped text has. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_unwrap_pad(struct cph_span key, struct cph_span in,
                                                  uint8_t *out, size_t *n);

#endif
