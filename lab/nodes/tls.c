#include "tls.h"

#include <stdlib.h>

#include "ciphony/sip_msg.h"
#include "ciphony/stream.h"

enum { CONNECTIONS = 16, CHUNK = 4096, HELD = 65536, CLIENT_PORT = 49152 };

struct connection {
    uint32_t flow; /* 0: free */
    struct cph_addr remote;
    struct cph_stream *stream;
    struct cph_buf in, early; /* early: written before the handshake was over */
};

struct lab_tls {
    struct lab_net *net;
    struct cph_addr addr;
    struct cph_env env;
    const struct cph_key *key;
    const struct cph_cert *cert;
    lab_tls_fn *message;
    void *ctx;
    struct connection c[CONNECTIONS];
};

cph_err lab_tls_new(struct lab_net *net, const struct cph_addr *addr, const struct cph_key *key,
                    const struct cph_cert *cert, lab_tls_fn *message, void *ctx,
                    struct lab_tls **out)
{
    struct lab_tls *t = calloc(1, sizeof *t);

    if (!t)
        return CPH_E_NOMEM;
    t->net = net;
    t->addr = *addr;
    lab_env(net, &t->env);
    t->key = key;
    t->cert = cert;
    t->message = message;
    t->ctx = ctx;
    *out = t;
    return CPH_OK;
}

static void forget(struct connection *c)
{
    cph_stream_free(c->stream);
    cph_buf_clear(&c->in);
    cph_buf_clear(&c->early);
    *c = (struct connection){ 0 };
}

void lab_tls_free(struct lab_tls *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        forget(&t->c[i]);
    free(t);
}

static struct connection *by_flow(struct lab_tls *t, uint32_t flow)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (t->c[i].flow == flow)
            return &t->c[i];
    return NULL;
}

static void flush(struct lab_tls *t, struct connection *c, struct lab_node *node)
{
    struct cph_span early = cph_buf_view(&c->early);
    uint8_t buf[CHUNK];
    size_t n;

    if (early.n && cph_stream_write(c->stream, early, lab_now(t->net)) == CPH_OK)
        cph_buf_drop(&c->early, early.n);
    while (cph_stream_pull(c->stream, buf, sizeof buf, &n) == CPH_OK)
        (void)!lab_flow_write(node, c->flow, (struct cph_span){ buf, n });
}

static struct connection *begin(struct lab_tls *t, enum cph_stream_role role, uint32_t flow,
                                const struct cph_addr *remote)
{
    struct cph_fingerprint pin;
    struct cph_stream_config cfg = { .kind = CPH_STREAM_TLS,
                                     .role = role,
                                     .cert = t->cert,
                                     .key = t->key,
                                     .verify = CPH_STREAM_VERIFY_CALLER };
    struct connection *c = by_flow(t, 0);

    if (role == CPH_STREAM_CLIENT) {
        if (cph_cert_fingerprint(t->cert, CPH_FP_SHA256, &pin) != CPH_OK)
            return NULL;
        cfg.verify = CPH_STREAM_VERIFY_PINNED;
        cfg.pins = &pin;
        cfg.n_pins = 1;
    }
    if (!c || cph_stream_new(&cfg, &t->env, &c->stream) != CPH_OK)
        return NULL;
    c->flow = flow;
    c->remote = *remote;
    c->in.limit = c->early.limit = HELD;
    return c;
}

void lab_tls_opened(struct lab_tls *t, struct lab_node *node, uint32_t flow, bool incoming,
                    const struct cph_addr *remote)
{
    struct connection *c = by_flow(t, flow);

    if (incoming && !begin(t, CPH_STREAM_SERVER, flow, remote))
        lab_flow_close(node, flow);
    if (!incoming && c && cph_stream_start(c->stream, lab_now(t->net)) == CPH_OK)
        flush(t, c, node);
}

/* Whole messages out of what has been read so far. The handler may close the connection. */
static void give(struct lab_tls *t, struct connection *c)
{
    uint32_t flow = c->flow;
    struct cph_sip_frame f;

    while (c->flow == flow && cph_sip_frame(cph_buf_view(&c->in), false, 0, &f) == CPH_OK) {
        if (f.kind == CPH_SIP_FRAME_MESSAGE)
            t->message(t->ctx, &c->remote, f.bytes);
        cph_buf_drop(&c->in, f.bytes.n);
    }
}

void lab_tls_bytes(struct lab_tls *t, struct lab_node *node, uint32_t flow, struct cph_span bytes)
{
    struct connection *c = by_flow(t, flow);
    uint8_t buf[CHUNK];
    size_t n;

    if (!c)
        return;
    (void)!cph_stream_feed(c->stream, bytes, lab_now(t->net));
    while (cph_stream_read(c->stream, buf, sizeof buf, &n) == CPH_OK)
        if (cph_buf_put(&c->in, (struct cph_span){ buf, n }) != CPH_OK)
            break;
    flush(t, c, node);
    give(t, c);
}

void lab_tls_closed(struct lab_tls *t, uint32_t flow)
{
    struct connection *c = by_flow(t, flow);

    if (c)
        forget(c);
}

static struct connection *to_host(struct lab_tls *t, struct lab_node *node,
                                  const struct cph_addr *to)
{
    struct cph_addr from = t->addr;
    uint32_t flow;

    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (t->c[i].flow && cph_addr_ip_eq(&t->c[i].remote, to))
            return &t->c[i];
    from.port = CLIENT_PORT;
    if (lab_connect(node, &from, to, &flow) != CPH_OK)
        return NULL;
    return begin(t, CPH_STREAM_CLIENT, flow, to);
}

bool lab_tls_send(struct lab_tls *t, struct lab_node *node, const struct cph_addr *to,
                  struct cph_span message)
{
    struct connection *c = to_host(t, node, to);

    if (!c || cph_buf_put(&c->early, message) != CPH_OK)
        return false;
    flush(t, c, node);
    return true;
}
