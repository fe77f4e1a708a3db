#include "net_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static cph_time read_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (cph_time)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

cph_time cph_net_now(struct cph_net *net)
{
    if (!net->in_turn)
        return read_clock();
    if (!net->fresh) {
        net->now = read_clock();
        net->fresh = true;
    }
    return net->now;
}

/* ---- objects of the loop -------------------------------------------------------------------- */

void net_adopt(struct cph_net *net, struct net_handle *h, void (*stop)(struct net_handle *),
               void (*release)(struct net_handle *))
{
    *h = (struct net_handle){ .net = net, .next = net->live, .stop = stop, .release = release };
    if (net->live)
        net->live->prev = h;
    net->live = h;
}

void net_close(struct net_handle *h)
{
    struct cph_net *net = h->net;

    if (h->dead)
        return;
    h->dead = true;
    if (h->prev)
        h->prev->next = h->next;
    else
        net->live = h->next;
    if (h->next)
        h->next->prev = h->prev;
    h->stop(h);
    if (!net->in_turn) {
        h->release(h);
        return;
    }
    h->next = net->dead;
    net->dead = h;
}

static void bury(struct cph_net *net)
{
    while (net->dead) {
        struct net_handle *h = net->dead;

        net->dead = h->next;
        h->release(h);
    }
}

uint8_t *net_rx(struct cph_net *net)
{
    if (!net->rx)
        net->rx = malloc((size_t)CPH_NET_BATCH * CPH_NET_UDP_MAX);
    return net->rx;
}

/* ---- deadlines ------------------------------------------------------------------------------ */

static void wake_stop(struct net_handle *h)
{
    cph_timers_stop(&h->net->timers, &((struct cph_net_wake *)h)->timer);
}

static void wake_release(struct net_handle *h)
{
    free(h);
}

cph_err cph_net_wake_new(struct cph_net *net, cph_net_wake_fn *fn, void *arg,
                         struct cph_net_wake **out)
{
    struct cph_net_wake *w = calloc(1, sizeof *w);

    if (!w)
        return CPH_E_NOMEM;
    if (cph_timers_set(&net->timers, &w->timer, CPH_TIME_NEVER) != CPH_OK) {
        free(w);
        return CPH_E_NOMEM;
    }
    w->timer.owner = w;
    w->fn = fn;
    w->arg = arg;
    net_adopt(net, &w->h, wake_stop, wake_release);
    *out = w;
    return CPH_OK;
}

/* The timer is in the heap, so this moves it and needs no memory. */
static void move(struct cph_net_wake *w, cph_time at)
{
    if (cph_timers_set(&w->h.net->timers, &w->timer, at) != CPH_OK)
        abort();
}

void cph_net_wake_at(struct cph_net_wake *w, cph_time at)
{
    if (!w->h.dead)
        move(w, at);
}

void cph_net_wake_free(struct cph_net_wake *w)
{
    if (w)
        net_close(&w->h);
}

/* Each deadline that was due when we began fires at most once, so an engine that asks for "now"
 * again and again cannot keep the sockets waiting. */
static void run_wakes(struct cph_net *net)
{
    size_t most = net->timers.n;

    while (most-- > 0) {
        struct cph_timer *t = cph_timers_due(&net->timers, cph_net_now(net));
        struct cph_net_wake *w;

        if (!t)
            return;
        w = t->owner;
        move(w, CPH_TIME_NEVER); /* its place in the heap was freed a line ago */
        w->fn(w->arg, cph_net_now(net));
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct cph_net *net = arg;
    uint64_t expired;

    (void)what;
    if (read(fd, &expired, sizeof expired) < 0 && errno != EAGAIN)
        cph_log(net->env, CPH_LOG_WARN, "net", "reading the timer failed");
    net->armed = CPH_TIME_NEVER;
}

static cph_err arm(struct cph_net *net, cph_time at)
{
    struct itimerspec its = { 0 };

    if (at == net->armed)
        return CPH_OK;
    if (at != CPH_TIME_NEVER) {
        cph_time t = at > 0 ? at : 1; /* zero would disarm it */

        its.it_value.tv_sec = t / 1000000;
        its.it_value.tv_nsec = t % 1000000 * 1000;
    }
    if (timerfd_settime(net->timer_fd, TFD_TIMER_ABSTIME, &its, NULL) < 0)
        return net_err(errno);
    net->armed = at;
    return CPH_OK;
}

/* ---- turning -------------------------------------------------------------------------------- */

static cph_err turn(struct cph_net *net, cph_time until)
{
    cph_time next = cph_timers_next(&net->timers);

    CPH_TRY(arm(net, next < until ? next : until));
    net->fresh = false; /* the first callback of the turn reads the clock */
    net->in_turn = true;
    if (event_base_loop(net->base, EVLOOP_ONCE | (until == 0 ? EVLOOP_NONBLOCK : 0)) < 0) {
        net->in_turn = false;
        return CPH_E_IO;
    }
    run_wakes(net);
    net->in_turn = false;
    bury(net);
    return CPH_OK;
}

cph_err cph_net_turn(struct cph_net *net, cph_time wait_us)
{
    if (net->in_turn)
        return CPH_E_STATE;
    return turn(net, wait_us > 0 ? read_clock() + wait_us : 0);
}

cph_err cph_net_run(struct cph_net *net)
{
    if (net->in_turn)
        return CPH_E_STATE;
    net->stop = false;
    while (!net->stop)
        CPH_TRY(turn(net, CPH_TIME_NEVER));
    return CPH_OK;
}

void cph_net_stop(struct cph_net *net)
{
    net->stop = true;
}

static cph_err set_up(struct cph_net *net)
{
    net->base = event_base_new();
    if (!net->base)
        return CPH_E_NOMEM;
    net->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (net->timer_fd < 0)
        return net_err(errno);
    net->timer_ev = event_new(net->base, net->timer_fd, EV_READ | EV_PERSIST, on_timer, net);
    if (!net->timer_ev)
        return CPH_E_NOMEM;
    return event_add(net->timer_ev, NULL) == 0 ? CPH_OK : CPH_E_IO;
}

cph_err cph_net_new(const struct cph_env *env, struct cph_net **out)
{
    struct cph_net *net = calloc(1, sizeof *net);
    cph_err err;

    if (!net)
        return CPH_E_NOMEM;
    net->env = env;
    net->timer_fd = -1;
    net->dns_try_ms = NET_DNS_TRY_MS;
    net->armed = CPH_TIME_NEVER;
    err = set_up(net);
    if (err) {
        cph_net_free(net);
        return err;
    }
    *out = net;
    return CPH_OK;
}

void cph_net_free(struct cph_net *net)
{
    if (!net)
        return;
    while (net->live)
        net_close(net->live);
    bury(net); /* left from a turn that ended in an error */
    net_dns_free(net);
    for (size_t i = 0; i < 2; i++)
        if (net->sig[i])
            event_free(net->sig[i]);
    if (net->timer_ev)
        event_free(net->timer_ev);
    if (net->timer_fd >= 0)
        (void)close(net->timer_fd);
    if (net->base)
        event_base_free(net->base);
    cph_timers_free(&net->timers);
    free(net->rx);
    free(net);
}
