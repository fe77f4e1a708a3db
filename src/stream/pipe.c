#include "stream_int.h"

#include <string.h>

#include "ciphony/base_text.h"

/* ---- in: from feed to the library ------------------------------------------------------------ */

static int pipe_read(BIO *bio, char *buf, int cap)
{
    struct cph_stream *s = BIO_get_data(bio);
    struct cph_span have = s->kind == CPH_STREAM_DTLS ? s->datagram : cph_buf_view(&s->in);
    size_t n = have.n < (size_t)cap ? have.n : (size_t)cap;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(buf, have.p, n);
    if (s->kind == CPH_STREAM_DTLS)
        s->datagram = (struct cph_span){ NULL, 0 }; /* one read, one datagram */
    else
        cph_buf_drop(&s->in, n);
    return (int)n;
}

/* ---- out: from the library to pull ----------------------------------------------------------- */

void stream_pipe_send(struct cph_stream *s, struct cph_span datagram)
{
    const uint8_t len[2] = { (uint8_t)(datagram.n >> 8), (uint8_t)datagram.n };

    /* A full queue loses datagrams, as networks do; the handshake sends them again. */
    if (cph_buf_put(&s->out, (struct cph_span){ len, 2 }) != CPH_OK)
        return;
    if (cph_buf_put(&s->out, datagram) != CPH_OK) {
        s->out.n -= 2; /* its length goes with it */
        return;
    }
    s->counts.datagrams_out++;
    if (s->role == CPH_STREAM_CLIENT) /* not all are the library's: they are numbered together */
        stream_number(s->out.p + s->out.start + s->out.n - datagram.n, datagram.n, &s->clear_out);
}

static int write_datagram(struct cph_stream *s, const char *buf, int n)
{
    struct cph_span bytes = { (const uint8_t *)buf, (size_t)n };

    if (n > CPH_STREAM_DATAGRAM)
        return -1;
    if (!stream_first_keeps(s, bytes))
        stream_pipe_send(s, bytes);
    return n;
}

static int pipe_write(BIO *bio, const char *buf, int n)
{
    struct cph_stream *s = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (s->kind == CPH_STREAM_DTLS)
        return write_datagram(s, buf, n);
    if (cph_buf_put(&s->out, (struct cph_span){ (const uint8_t *)buf, (size_t)n }) != CPH_OK) {
        BIO_set_retry_write(bio);
        return -1;
    }
    return n;
}

static long pipe_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    struct cph_stream *s = BIO_get_data(bio);

    (void)num;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
        stream_timer_moved(s, ptr);
        return 1;
    default:
        return 0;
    }
}

BIO_METHOD *stream_pipe_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ciphony pipe");

    if (m && BIO_meth_set_read(m, pipe_read) && BIO_meth_set_write(m, pipe_write) &&
        BIO_meth_set_ctrl(m, pipe_ctrl))
        return m;
    BIO_meth_free(m);
    return NULL;
}

cph_err stream_pipe_attach(struct cph_stream *s)
{
    BIO *bio = BIO_new(s->home->method);

    if (!bio)
        return CPH_E_NOMEM;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio); /* moved */
    return CPH_OK;
}
