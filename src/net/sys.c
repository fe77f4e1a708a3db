#include "net_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "ciphony/base_text.h"

/* ---- the real environment ------------------------------------------------------------------- */

static cph_err system_random(void *ctx, void *buf, size_t n)
{
    uint8_t *p = buf;

    (void)ctx;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CPH_E_IO;
        p += got;
        n -= (size_t)got;
    }
    return CPH_OK;
}

static int64_t system_wall(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

static void system_log(void *ctx, enum cph_log_level level, const char *room, const char *line)
{
    static const char *const word[] = { "error", "warning", "info", "debug" };
    const struct cph_net_env *h = ctx;
    char text[640];
    struct timespec ts;
    struct tm tm;

    if (level > h->level)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)localtime_r(&ts.tv_sec, &tm);
    (void)snprintf(text, sizeof text, "%02d:%02d:%02d.%03d %s: %s: %s", tm.tm_hour, tm.tm_min,
                   tm.tm_sec, (int)(ts.tv_nsec / 1000000), word[level], room, line);
    /* it may quote a peer */
    (void)fprintf(stderr, "%s\n", cph_text_clean(cph_span_of(text), text, sizeof text));
}

void cph_net_env_init(struct cph_net_env *h, enum cph_log_level level)
{
    h->level = level;
    h->env = (struct cph_env){
        .ctx = h, .random = system_random, .wall = system_wall, .log = system_log
    };
}

/* ---- addresses and sockets ------------------------------------------------------------------ */

socklen_t net_to_sa(const struct cph_addr *a, struct sockaddr_storage *ss)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

    memset(ss, 0, sizeof *ss);
    if (a->family == CPH_AF_V4) {
        memcpy(&v4.sin_addr, a->ip, 4);
        memcpy(ss, &v4, sizeof v4);
        return sizeof v4;
    }
    memcpy(&v6.sin6_addr, a->ip, 16);
    memcpy(ss, &v6, sizeof v6);
    return sizeof v6;
}

struct cph_addr net_from_sa(const struct sockaddr_storage *ss)
{
    struct cph_addr a = { 0 };
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (ss->ss_family == AF_INET) {
        memcpy(&v4, ss, sizeof v4);
        a.family = CPH_AF_V4;
        memcpy(a.ip, &v4.sin_addr, 4);
        a.port = ntohs(v4.sin_port);
    } else if (ss->ss_family == AF_INET6) {
        memcpy(&v6, ss, sizeof v6);
        a.family = CPH_AF_V6;
        memcpy(a.ip, &v6.sin6_addr, 16);
        a.port = ntohs(v6.sin6_port);
    }
    return a;
}

struct cph_addr net_local_of(int fd)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t n = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0)
        return (struct cph_addr){ 0 };
    return net_from_sa(&ss);
}

cph_err net_err(int e)
{
    switch (e) {
    case EAGAIN:
    case EINPROGRESS:
        return CPH_E_AGAIN;
    case EADDRINUSE:
        return CPH_E_EXISTS;
    case EADDRNOTAVAIL:
        return CPH_E_ARGUMENT;
    case EMSGSIZE:
        return CPH_E_LIMIT;
    case ENOMEM:
    case ENOBUFS:
        return CPH_E_NOMEM;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return CPH_E_CLOSED;
    case ETIMEDOUT:
        return CPH_E_TIMEOUT;
    case EPERM:
        return CPH_E_UNSUPPORTED;
    default:
        return CPH_E_IO;
    }
}

cph_err net_socket(const struct cph_addr *at, int type, int *out)
{
    int family = at->family == CPH_AF_V4 ? AF_INET : AF_INET6;
    int one = 1, fd;

    if (at->family == CPH_AF_NONE)
        return CPH_E_ARGUMENT;
    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT ? CPH_E_UNSUPPORTED : net_err(errno);
    if ((family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0) ||
        (type == SOCK_STREAM && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)) {
        cph_err err = net_err(errno);

        (void)close(fd);
        return err;
    }
    *out = fd;
    return CPH_OK;
}

cph_err net_bind(int fd, const struct cph_addr *at)
{
    struct sockaddr_storage ss;
    socklen_t n = net_to_sa(at, &ss);

    return bind(fd, (struct sockaddr *)&ss, n) < 0 ? net_err(errno) : CPH_OK;
}

cph_err cph_net_local_for(const struct cph_addr *to, struct cph_addr *out)
{
    struct sockaddr_storage ss;
    struct cph_addr target = *to;
    cph_err err = CPH_OK;
    socklen_t n;
    int fd;

    if (target.port == 0)
        target.port = 9; /* any will do: connecting a datagram socket only picks a route */
    CPH_TRY(net_socket(&target, SOCK_DGRAM, &fd));
    n = net_to_sa(&target, &ss);
    if (connect(fd, (struct sockaddr *)&ss, n) < 0) {
        err = CPH_E_IO;
    } else {
        struct cph_addr a = net_local_of(fd);

        a.port = 0;
        if (a.family == CPH_AF_NONE)
            err = CPH_E_IO;
        else
            *out = a;
    }
    (void)close(fd);
    return err;
}
