#include "net_int.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

enum { KEYS_AT_ONCE = 256 };

struct cph_net_watch {
    struct net_handle h;
    struct event *ev;
    bool raw; /* the terminal was changed: put it back */
    struct termios before;
    int fd;
    cph_net_watch_fn *fn;
    cph_net_keys_fn *keys;
    void *arg;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net_watch *w = arg;

    w->fn(w->arg, fd, what & EV_READ, what & EV_WRITE, cph_net_now(w->h.net));
}

static void on_keys(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net_watch *w = arg;
    uint8_t buf[KEYS_AT_ONCE];
    ssize_t n = read(fd, buf, sizeof buf);

    (void)what;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        (void)event_del(w->ev);
    w->keys(w->arg, (struct cph_span){ buf, n > 0 ? (size_t)n : 0 }, cph_net_now(w->h.net));
}

static void watch_stop(struct net_handle *h)
{
    struct cph_net_watch *w = (struct cph_net_watch *)h;

    event_free(w->ev);
    if (w->raw)
        (void)tcsetattr(w->fd, TCSANOW, &w->before);
}

static void watch_release(struct net_handle *h)
{
    free(h);
}

/* Plain files and /dev/null are always ready and cannot be waited for; ask before the library
 * complains. */
static cph_err waitable(int fd)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int ep = epoll_create1(EPOLL_CLOEXEC);
    cph_err err = CPH_OK;

    if (ep < 0)
        return net_err(errno);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
        err = net_err(errno);
    (void)close(ep);
    return err;
}

static cph_err watch(struct cph_net *net, struct cph_net_watch *w, short what, event_callback_fn fn)
{
    cph_err err = waitable(w->fd);

    if (err == CPH_OK) {
        w->ev = event_new(net->base, w->fd, (short)(what | EV_PERSIST), fn, w);
        if (!w->ev)
            err = CPH_E_NOMEM;
        else if (event_add(w->ev, NULL) != 0)
            err = CPH_E_IO;
    }
    if (err) {
        if (w->ev)
            event_free(w->ev);
        free(w);
        return err;
    }
    net_adopt(net, &w->h, watch_stop, watch_release);
    return CPH_OK;
}

cph_err cph_net_watch(struct cph_net *net, int fd, bool read, bool write, cph_net_watch_fn *fn,
                      void *arg, struct cph_net_watch **out)
{
    struct cph_net_watch *w;

    if (fd < 0 || (!read && !write))
        return CPH_E_ARGUMENT;
    w = calloc(1, sizeof *w);
    if (!w)
        return CPH_E_NOMEM;
    w->fd = fd;
    w->fn = fn;
    w->arg = arg;
    CPH_TRY(watch(net, w, (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0)), on_ready));
    *out = w;
    return CPH_OK;
}

/* Keys one by one, without echo; Ctrl-C stays a signal. A process in the background must not touch
 * the terminal: the system would stop it. */
static void take_terminal(struct cph_net_watch *w)
{
    struct termios raw;

    if (!isatty(w->fd) || tcgetpgrp(w->fd) != getpgrp() || tcgetattr(w->fd, &w->before) < 0)
        return;
    raw = w->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    w->raw = tcsetattr(w->fd, TCSANOW, &raw) == 0;
}

cph_err cph_net_keys(struct cph_net *net, int fd, cph_net_keys_fn *fn, void *arg,
                     struct cph_net_watch **out)
{
    struct cph_net_watch *w;

    if (fd < 0)
        return CPH_E_ARGUMENT;
    w = calloc(1, sizeof *w);
    if (!w)
        return CPH_E_NOMEM;
    w->fd = fd;
    w->keys = fn;
    w->arg = arg;
    CPH_TRY(watch(net, w, EV_READ, on_keys));
    take_terminal(w);
    *out = w;
    return CPH_OK;
}

void cph_net_watch_close(struct cph_net_watch *w)
{
    if (w)
        net_close(&w->h);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    struct cph_net *net = arg;

    (void)what;
    net->sig_fn(net->sig_arg, (int)signo, cph_net_now(net));
}

cph_err cph_net_signals(struct cph_net *net, cph_net_signal_fn *fn, void *arg)
{
    static const int which[2] = { SIGINT, SIGTERM };

    if (net->sig_fn)
        return CPH_E_EXISTS;
    net->sig_fn = fn;
    net->sig_arg = arg;
    for (size_t i = 0; i < 2; i++) {
        net->sig[i] = evsignal_new(net->base, which[i], on_signal, net);
        if (!net->sig[i] || event_add(net->sig[i], NULL) != 0) {
            for (size_t k = 0; k <= i; k++) {
                if (net->sig[k])
                    event_free(net->sig[k]);
                net->sig[k] = NULL;
            }
            net->sig_fn = NULL;
            return CPH_E_IO;
        }
    }
    return CPH_OK;
}
