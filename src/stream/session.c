/* Sessions that are kept to be taken up again: RFC 5246 7.3, by identifier. */
#include "stream_int.h"

#include <stdlib.h>

SSL_SESSION *stream_find_session(SSL *ssl, const unsigned char *id, int n, int *copy)
{
    const struct cph_stream *s = stream_of(ssl);
    const struct cph_stream_session *k = NULL;

    *copy = 0; /* the library owns what it gets */
    if (s->find && n > 0)
        k = s->find(s->find_ctx, (struct cph_span){ id, (size_t)n }, s->now);
    return k && k->role == s->role ? SSL_SESSION_dup(k->ssl) : NULL;
}

cph_err cph_stream_session_keep(const struct cph_stream *s, struct cph_stream_session **out)
{
    struct cph_stream_session *k;
    SSL_SESSION *ssl;

    if (s->state != CPH_STREAM_OPEN)
        return CPH_E_STATE;
    /* RFC 7627 5.3 MUST: without the extended master secret a session is not resumed, since it is
     * not bound to both certificates */
    if (!s->home->resumable || !s->peer || SSL_get_extms_support(s->ssl) != 1)
        return CPH_E_UNSUPPORTED;
    ssl = SSL_get0_session(s->ssl);
    if (!ssl || cph_stream_session_id(&(struct cph_stream_session){ .ssl = ssl }).n == 0)
        return CPH_E_UNSUPPORTED;
    /* A copy: what goes wrong with one stream would spoil the session for the next. */
    k = calloc(1, sizeof *k);
    ssl = k ? SSL_SESSION_dup(ssl) : NULL;
    if (!ssl) {
        free(k);
        return CPH_E_NOMEM;
    }
    *k = (struct cph_stream_session){ ssl, s->role, cph_cert_ref(s->peer) };
    *out = k;
    return CPH_OK;
}

void cph_stream_session_free(struct cph_stream_session *k)
{
    if (!k)
        return;
    SSL_SESSION_free(k->ssl); /* wipes its secret with the last reference */
    cph_cert_free(k->peer);
    free(k);
}

struct cph_span cph_stream_session_id(const struct cph_stream_session *k)
{
    unsigned int n = 0;
    const unsigned char *id = SSL_SESSION_get_id(k->ssl, &n);

    return (struct cph_span){ id, n };
}

enum cph_stream_role cph_stream_session_role(const struct cph_stream_session *k)
{
    return k->role;
}

const struct cph_cert *cph_stream_session_peer(const struct cph_stream_session *k)
{
    return k->peer;
}

bool cph_stream_resumed(const struct cph_stream *s)
{
    return s->state == CPH_STREAM_OPEN && SSL_session_reused(s->ssl) == 1;
}
