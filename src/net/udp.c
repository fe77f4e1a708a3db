#include "net_int.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct cph_net_udp {
    struct net_handle h;
    int fd;
    struct event *ev;
    struct cph_addr local;
    cph_net_udp_fn *fn;
    void *arg;
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net_udp *udp = arg;
    struct cph_net *net = udp->h.net;
    struct mmsghdr msg[CPH_NET_BATCH] = { 0 };
    struct iovec iov[CPH_NET_BATCH];
    struct sockaddr_storage from[CPH_NET_BATCH];
    int n;

    (void)what;
    for (size_t i = 0; i < CPH_NET_BATCH; i++) {
        iov[i] = (struct iovec){ net->rx + i * CPH_NET_UDP_MAX, CPH_NET_UDP_MAX };
        msg[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1
        };
    }
    n = recvmmsg(fd, msg, CPH_NET_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n && !udp->h.dead; i++) { /* n < 0: nothing there after all */
        struct cph_addr a = net_from_sa(&from[i]);

        udp->fn(udp->arg, udp, &a, iov[i].iov_base, msg[i].msg_len, cph_net_now(net));
    }
    for (int i = 0; i < n; i++) /* keys of SDES were in it, or what was said */
        cph_wipe(iov[i].iov_base, msg[i].msg_len);
}

static void udp_stop(struct net_handle *h)
{
    struct cph_net_udp *udp = (struct cph_net_udp *)h;

    event_free(udp->ev);
    (void)close(udp->fd);
}

static void udp_release(struct net_handle *h)
{
    free(h);
}

static cph_err set_up(struct cph_net *net, const struct cph_addr *at, struct cph_net_udp *udp)
{
    CPH_TRY(net_socket(at, SOCK_DGRAM, &udp->fd));
    CPH_TRY(net_bind(udp->fd, at));
    udp->local = net_local_of(udp->fd);
    udp->ev = event_new(net->base, udp->fd, EV_READ | EV_PERSIST, on_readable, udp);
    if (!udp->ev)
        return CPH_E_NOMEM;
    return event_add(udp->ev, NULL) == 0 ? CPH_OK : CPH_E_IO;
}

cph_err cph_net_udp_open(struct cph_net *net, const struct cph_addr *at, cph_net_udp_fn *fn,
                         void *arg, struct cph_net_udp **out)
{
    struct cph_net_udp *udp;
    cph_err err;

    if (!net_rx(net))
        return CPH_E_NOMEM;
    udp = calloc(1, sizeof *udp);
    if (!udp)
        return CPH_E_NOMEM;
    udp->fd = -1;
    udp->fn = fn;
    udp->arg = arg;
    err = set_up(net, at, udp);
    if (err) {
        if (udp->ev)
            event_free(udp->ev);
        if (udp->fd >= 0)
            (void)close(udp->fd);
        free(udp);
        return err;
    }
    net_adopt(net, &udp->h, udp_stop, udp_release);
    *out = udp;
    return CPH_OK;
}

/* RFC 3550 11: RTP on an even port, its RTCP on the next one. */
static cph_err try_pair(struct cph_net *net, const struct cph_addr *at, cph_net_udp_fn *fn,
                        void *arg, struct cph_net_udp *out[2])
{
    struct cph_addr a = *at;
    struct cph_net_udp *pair[2];
    uint16_t r;
    cph_err err;

    CPH_TRY(cph_random(net->env, &r, sizeof r));
    a.port = (uint16_t)(NET_RTP_LOW + (r % (NET_RTP_HIGH - NET_RTP_LOW + 1) & ~1));
    CPH_TRY(cph_net_udp_open(net, &a, fn, arg, &pair[0]));
    a.port++;
    err = cph_net_udp_open(net, &a, fn, arg, &pair[1]);
    if (err) {
        cph_net_udp_close(pair[0]);
        return err;
    }
    out[0] = pair[0];
    out[1] = pair[1];
    return CPH_OK;
}

cph_err cph_net_udp_pair(struct cph_net *net, const struct cph_addr *at, cph_net_udp_fn *fn,
                         void *arg, struct cph_net_udp *out[2])
{
    for (int i = 0; i < NET_PAIR_TRIES; i++) {
        cph_err err = try_pair(net, at, fn, arg, out);

        if (err != CPH_E_EXISTS)
            return err;
    }
    return CPH_E_EXISTS;
}

void cph_net_udp_close(struct cph_net_udp *udp)
{
    if (udp)
        net_close(&udp->h);
}

const struct cph_addr *cph_net_udp_local(const struct cph_net_udp *udp)
{
    return &udp->local;
}

cph_err cph_net_udp_send(struct cph_net_udp *udp, const struct cph_addr *to, struct cph_span bytes)
{
    struct cph_net_datagram d = { *to, bytes };
    size_t sent;

    return cph_net_udp_send_batch(udp, &d, 1, &sent);
}

static cph_err send_some(struct cph_net_udp *udp, const struct cph_net_datagram *d, size_t n,
                         size_t *sent)
{
    struct mmsghdr msg[CPH_NET_BATCH] = { 0 };
    struct iovec iov[CPH_NET_BATCH];
    struct sockaddr_storage to[CPH_NET_BATCH];
    int done;

    for (size_t i = 0; i < n; i++) {
        if (d[i].to.family != udp->local.family)
            return CPH_E_ARGUMENT;
        iov[i] = (struct iovec){ (void *)d[i].bytes.p, d[i].bytes.n };
        msg[i].msg_hdr = (struct msghdr){ .msg_name = &to[i],
                                          .msg_namelen = net_to_sa(&d[i].to, &to[i]),
                                          .msg_iov = &iov[i],
                                          .msg_iovlen = 1 };
    }
    done = sendmmsg(udp->fd, msg, (unsigned)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0)
        return errno == EPERM ? CPH_E_IO : net_err(errno); /* EPERM: a packet filter */
    *sent += (size_t)done;
    return CPH_OK;
}

cph_err cph_net_udp_send_batch(struct cph_net_udp *udp, const struct cph_net_datagram *d, size_t n,
                               size_t *sent)
{
    *sent = 0;
    if (udp->h.dead)
        return CPH_E_CLOSED;
    while (*sent < n) {
        size_t left = n - *sent;

        CPH_TRY(send_some(udp, d + *sent, left < CPH_NET_BATCH ? left : CPH_NET_BATCH, sent));
    }
    return CPH_OK;
}
