/*
 * DTLS retransmission in the time we are given.
 *
 * OpenSSL asks us how long to wait (timer_cb), reads the system's clock, and tells its BIO where
 * its next deadline lies (BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT). Our clock may be another one, so the
 * library's deadline is put an hour away where it never fires, and ours is kept beside it. When
 * ours is due, the library's is moved into the past just before DTLSv1_handle_timeout(): up to
 * OpenSSL 3.1 the control hands out the deadline itself. From 3.2 on it hands out a copy; then the
 * library waits on the system's clock as well, which agrees with ours under the real loop and not
 * in virtual time.
 */
#include "stream_int.h"

enum {
    FAR_AWAY_US = 3600000000U - 1, /* fits the callback's unsigned int */
    TIMEOUT_MAX_US = 8000000, /* RFC 6347 4.2.4.1 EXCEPTION: it says 60 s; a call is over by then */
};

static bool reaches_deadline(void)
{
    return OpenSSL_version_num() < 0x30200000UL;
}

static unsigned int how_long(SSL *ssl, unsigned int last_us)
{
    struct cph_stream *s = stream_of(ssl);

    if (last_us == 0)
        s->timeout = s->first_timeout;
    else
        s->timeout = s->timeout * 2 > TIMEOUT_MAX_US ? TIMEOUT_MAX_US : s->timeout * 2;
    return reaches_deadline() ? FAR_AWAY_US : (unsigned int)s->timeout;
}

void stream_timer_attach(struct cph_stream *s)
{
    DTLS_set_timer_cb(s->ssl, how_long);
}

void stream_timer_moved(struct cph_stream *s, struct timeval *next)
{
    if (next->tv_sec == 0 && next->tv_usec == 0) {
        s->deadline = CPH_TIME_NEVER;
        s->tries = 0;
        return;
    }
    s->next = reaches_deadline() ? next : NULL;
    s->deadline = s->now + s->timeout;
}

int stream_timer_fire(struct cph_stream *s)
{
    if (s->next)
        *s->next = (struct timeval){ .tv_sec = 1 }; /* long ago */
    return (int)DTLSv1_handle_timeout(s->ssl);
}
