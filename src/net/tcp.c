#include "net_int.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct cph_net_conn {
    struct net_handle h;
    bool open;      /* false while connecting: until writable, an error, or the deadline */
    bool finishing; /* the owner left: send the queue, say so, wait for the peer's end */
    int fd;
    struct event *rd, *wr;
    struct cph_net_wake *deadline;
    cph_err why; /* what the deadline reports */
    struct cph_buf queue;
    struct cph_addr peer, local;
    const struct cph_net_conn_ops *ops; /* NULL: nobody is told */
    void *arg;
};

struct cph_net_listener {
    struct net_handle h;
    int fd;
    struct event *ev;
    struct cph_net_wake *pause;
    struct cph_addr local;
    cph_net_accept_fn *fn;
    void *arg;
};

/* ---- one connection ------------------------------------------------------------------------- */

static void end(struct cph_net_conn *c, cph_err why)
{
    const struct cph_net_conn_ops *ops = c->ops;

    net_close(&c->h); /* c stays readable until the turn is over */
    if (ops)
        ops->closed(c->arg, c, why, cph_net_now(c->h.net));
}

static void on_deadline(void *arg, cph_time now)
{
    (void)now;
    end(arg, ((struct cph_net_conn *)arg)->why);
}

/* The socket's own opinion of how connecting went. */
static cph_err connected(struct cph_net_conn *c)
{
    int e = 0;
    socklen_t n = sizeof e;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
        e = errno;
    if (e)
        return net_err(e);
    c->local = net_local_of(c->fd);
    if (cph_addr_eq(&c->local,
                    &c->peer)) /* the system gave us the very port: nobody listens there */
        return CPH_E_CLOSED;
    c->open = true;
    cph_net_wake_at(c->deadline,
                    c->finishing ? cph_net_now(c->h.net) + NET_FINISH_TIME : CPH_TIME_NEVER);
    return event_add(c->rd, NULL) == 0 ? CPH_OK : CPH_E_IO;
}

static cph_err flush(struct cph_net_conn *c)
{
    struct cph_span s = cph_buf_view(&c->queue);
    ssize_t sent = s.n ? send(c->fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

    if (sent < 0)
        return errno == EINTR ? CPH_E_AGAIN : net_err(errno);
    cph_buf_drop(&c->queue, (size_t)sent);
    return c->queue.n ? CPH_E_AGAIN : CPH_OK;
}

/* The queue is empty: stop watching for room, and pass on the news. */
static void all_sent(struct cph_net_conn *c, bool something)
{
    (void)event_del(c->wr);
    if (c->finishing)
        (void)shutdown(c->fd, SHUT_WR);
    else if (something && c->ops && c->ops->drained)
        c->ops->drained(c->arg, c, cph_net_now(c->h.net));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net_conn *c = arg;
    bool something;
    cph_err err;

    (void)fd;
    (void)what;
    if (!c->open) {
        err = connected(c);
        if (err) {
            end(c, err);
            return;
        }
        if (c->ops)
            c->ops->open(c->arg, c, cph_net_now(c->h.net));
        if (c->h.dead)
            return;
    }
    something = c->queue.n > 0;
    err = flush(c);
    if (err == CPH_OK)
        all_sent(c, something);
    else if (err != CPH_E_AGAIN)
        end(c, err);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net_conn *c = arg;
    uint8_t buf[NET_READ];

    (void)what;
    for (int i = 0; i < NET_READS && !c->h.dead; i++) {
        ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        int e = errno;

        if (n < 0 && (e == EAGAIN || e == EINTR))
            break;
        if (n <= 0) {
            end(c, n == 0 ? CPH_E_CLOSED : net_err(e));
            break;
        }
        if (c->ops)
            c->ops->data(c->arg, c, (struct cph_span){ buf, (size_t)n }, cph_net_now(c->h.net));
    }
    cph_wipe(buf, sizeof buf);
}

static void conn_stop(struct net_handle *h)
{
    struct cph_net_conn *c = (struct cph_net_conn *)h;

    event_free(c->rd);
    event_free(c->wr);
    cph_net_wake_free(c->deadline);
    (void)close(c->fd);
    cph_buf_clear(&c->queue);
    c->ops = NULL;
    h->net->conns--;
}

static void conn_release(struct net_handle *h)
{
    free(h);
}

/* Takes over fd, also when it fails. */
static cph_err conn_new(struct cph_net *net, int fd, const struct cph_addr *peer,
                        struct cph_net_conn **out)
{
    struct cph_net_conn *c = NULL;
    cph_err err = CPH_E_NOMEM;

    if (net->conns >= CPH_NET_CONNS_MAX) {
        err = CPH_E_LIMIT;
        goto fail;
    }
    c = calloc(1, sizeof *c);
    if (!c)
        goto fail;
    c->fd = fd;
    c->peer = *peer;
    c->queue.limit = CPH_NET_QUEUE_MAX;
    c->rd = event_new(net->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->wr = event_new(net->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    if (!c->rd || !c->wr)
        goto fail;
    err = cph_net_wake_new(net, on_deadline, c, &c->deadline);
    if (err)
        goto fail;
    net_adopt(net, &c->h, conn_stop, conn_release);
    net->conns++;
    *out = c;
    return CPH_OK;
fail:
    if (c && c->rd)
        event_free(c->rd);
    if (c && c->wr)
        event_free(c->wr);
    free(c);
    (void)close(fd);
    return err;
}

cph_err cph_net_connect(struct cph_net *net, const struct cph_addr *to, cph_time timeout_us,
                        const struct cph_net_conn_ops *ops, void *arg, struct cph_net_conn **out)
{
    struct sockaddr_storage ss;
    struct cph_net_conn *c;
    socklen_t n;
    int fd;

    CPH_TRY(net_socket(to, SOCK_STREAM, &fd));
    CPH_TRY(conn_new(net, fd, to, &c));
    c->ops = ops;
    c->arg = arg;
    c->why = CPH_E_TIMEOUT;
    n = net_to_sa(to, &ss);
    if (connect(fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS) {
        c->why = net_err(errno);
        timeout_us = 0; /* told by the loop, like every other outcome */
    } else if (event_add(c->wr, NULL) != 0) {
        cph_net_conn_close(c);
        return CPH_E_IO;
    }
    cph_net_wake_at(c->deadline, cph_net_now(net) + timeout_us);
    *out = c;
    return CPH_OK;
}

cph_err cph_net_conn_put(struct cph_net_conn *c, struct cph_span bytes)
{
    if (c->h.dead || c->finishing)
        return CPH_E_CLOSED;
    CPH_TRY(cph_buf_put(&c->queue, bytes));
    if (c->open && c->queue.n > 0 && event_add(c->wr, NULL) != 0)
        return CPH_E_IO;
    return CPH_OK;
}

size_t cph_net_conn_queued(const struct cph_net_conn *c)
{
    return c->queue.n;
}

/* Closing at once could make the system answer late bytes with a reset, which throws away what the
 * peer has not read yet; so we say that we are done and wait for the peer to say the same. */
void cph_net_conn_finish(struct cph_net_conn *c)
{
    if (c->h.dead || c->finishing)
        return;
    c->ops = NULL;
    c->finishing = true;
    if (!c->open) {
        if (c->queue.n == 0) /* nothing to say; else on_writable sends it once connected */
            net_close(&c->h);
        return;
    }
    if (c->queue.n == 0)
        (void)shutdown(c->fd, SHUT_WR);
    cph_net_wake_at(c->deadline, cph_net_now(c->h.net) + NET_FINISH_TIME);
}

void cph_net_conn_close(struct cph_net_conn *c)
{
    if (c)
        net_close(&c->h);
}

const struct cph_addr *cph_net_conn_peer(const struct cph_net_conn *c)
{
    return &c->peer;
}

const struct cph_addr *cph_net_conn_local(const struct cph_net_conn *c)
{
    return &c->local;
}

/* ---- listening ------------------------------------------------------------------------------ */

void cph_net_conn_take(struct cph_net_conn *c, const struct cph_net_conn_ops *ops, void *arg)
{
    c->ops = ops;
    c->arg = arg;
}

static void welcome(struct cph_net_listener *l, int fd, const struct sockaddr_storage *from)
{
    struct cph_net *net = l->h.net;
    struct cph_addr peer = net_from_sa(from);
    struct cph_net_conn *c;
    cph_err err = conn_new(net, fd, &peer, &c);

    if (err) {
        cph_log(net->env, CPH_LOG_DEBUG, "net", "a connection was refused: %s", cph_err_text(err));
        return;
    }
    c->open = true;
    c->local = net_local_of(fd);
    if (event_add(c->rd, NULL) != 0) {
        net_close(&c->h);
        return;
    }
    l->fn(l->arg, l, c, cph_net_now(net));
    if (!c->h.dead && !c->ops && !c->finishing)
        net_close(&c->h);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net_listener *l = arg;

    (void)what;
    for (int i = 0; i < NET_ACCEPTS && !l->h.dead; i++) {
        struct sockaddr_storage from = { 0 };
        socklen_t n = sizeof from;
        int conn = accept4(fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int e = errno;

        if (conn >= 0) {
            welcome(l, conn, &from);
            continue;
        }
        if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
            cph_log(l->h.net->env, CPH_LOG_WARN, "net", "out of descriptors; accepting pauses");
            (void)event_del(l->ev);
            cph_net_wake_at(l->pause, cph_net_now(l->h.net) + NET_ACCEPT_PAUSE);
        }
        return; /* EAGAIN, or a connection that is gone again */
    }
}

static void on_pause_over(void *arg, cph_time now)
{
    struct cph_net_listener *l = arg;

    if (event_add(l->ev, NULL) != 0)
        cph_net_wake_at(l->pause, now + NET_ACCEPT_PAUSE);
}

static void listener_stop(struct net_handle *h)
{
    struct cph_net_listener *l = (struct cph_net_listener *)h;

    event_free(l->ev);
    cph_net_wake_free(l->pause);
    (void)close(l->fd);
}

static void listener_release(struct net_handle *h)
{
    free(h);
}

static cph_err listener_set_up(struct cph_net *net, const struct cph_addr *at,
                               struct cph_net_listener *l)
{
    int one = 1;

    CPH_TRY(net_socket(at, SOCK_STREAM, &l->fd));
    /* restart while old connections of ours still linger */
    if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        return net_err(errno);
    CPH_TRY(net_bind(l->fd, at));
    if (listen(l->fd, NET_BACKLOG) < 0)
        return net_err(errno);
    l->local = net_local_of(l->fd);
    l->ev = event_new(net->base, l->fd, EV_READ | EV_PERSIST, on_connection, l);
    if (!l->ev)
        return CPH_E_NOMEM;
    if (event_add(l->ev, NULL) != 0)
        return CPH_E_IO;
    return cph_net_wake_new(net, on_pause_over, l, &l->pause);
}

cph_err cph_net_listen(struct cph_net *net, const struct cph_addr *at, cph_net_accept_fn *fn,
                       void *arg, struct cph_net_listener **out)
{
    struct cph_net_listener *l = calloc(1, sizeof *l);
    cph_err err;

    if (!l)
        return CPH_E_NOMEM;
    l->fd = -1;
    l->fn = fn;
    l->arg = arg;
    err = listener_set_up(net, at, l);
    if (err) {
        if (l->ev)
            event_free(l->ev);
        if (l->fd >= 0)
            (void)close(l->fd);
        free(l);
        return err;
    }
    net_adopt(net, &l->h, listener_stop, listener_release);
    *out = l;
    return CPH_OK;
}

void cph_net_listener_close(struct cph_net_listener *l)
{
    if (l)
        net_close(&l->h);
}

const struct cph_addr *cph_net_listener_local(const struct cph_net_listener *l)
{
    return &l->local;
}
