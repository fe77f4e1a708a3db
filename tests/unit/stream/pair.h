/* Two engines and the pipe between them, driven by hand in virtual time. */
#ifndef CPH_TEST_PAIR_H
#define CPH_TEST_PAIR_H

#include "support.h"

#include <stdlib.h>

#include "ciphony/stream.h"

enum { DAY = 86400, FLIGHT = 64, WIRE = 4096 };

/* One datagram on its way. */
struct packet {
    cph_time at;
    size_t n;
    uint8_t b[WIRE];
};

struct pair {
    struct test_env t;
    struct cph_stream *s[2]; /* client, server */
    struct cph_key *key[2];
    struct cph_cert *cert[2];
    struct cph_trust *trust;
    cph_time now;
    unsigned loss, dup, delay_ms, flip; /* percent, percent, at most, percent */
    struct packet way[2][FLIGHT];       /* to the client, to the server */
    size_t n_way[2];
    bool seen_too_large;
    size_t mtu;
};

static inline struct cph_cert *read_cert(struct test_env *t, const char *name)
{
    char path[512];
    static char pem[16384];
    struct cph_cert *cert;
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "%s/crypto/chain/%s.pem", getenv("CPH_VECTORS"), name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(pem, 1, sizeof pem, f);
    (void)fclose(f);
    assert_ok(cph_cert_parse(&t->env, (struct cph_span){ (uint8_t *)pem, n }, &cert));
    return cert;
}

static inline struct cph_key *read_key(struct test_env *t, const char *name)
{
    char path[512];
    char pem[1024];
    struct cph_key *key;
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "%s/crypto/chain/%s.key", getenv("CPH_VECTORS"), name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(pem, 1, sizeof pem, f);
    (void)fclose(f);
    assert_ok(cph_key_load(&t->env, (struct cph_span){ (uint8_t *)pem, n }, &key));
    return key;
}

/* Self-signed certificates for both, and configurations that accept anything. */
static inline void pair_init(struct pair *p, uint64_t seed, enum cph_stream_kind kind,
                             struct cph_stream_config cfg[2])
{
    memset(p, 0, sizeof *p);
    test_env_init(&p->t, seed);
    for (int i = 0; i < 2; i++) {
        struct cph_cert_spec spec = { i ? "server" : "client", NULL, 0, p->t.wall - DAY,
                                      p->t.wall + DAY };

        assert_ok(cph_key_generate(&p->t.env, CPH_KEY_EC_P256, &p->key[i]));
        assert_ok(cph_cert_self_signed(&p->t.env, p->key[i], &spec, &p->cert[i]));
        cfg[i] = (struct cph_stream_config){
            .kind = kind,
            .role = i ? CPH_STREAM_SERVER : CPH_STREAM_CLIENT,
            .cert = p->cert[i],
            .key = p->key[i],
            .verify = CPH_STREAM_VERIFY_CALLER,
            .need_client_cert = i == 1,
        };
    }
}

static inline void pair_open(struct pair *p, const struct cph_stream_config cfg[2])
{
    for (int i = 0; i < 2; i++)
        assert_ok(cph_stream_new(&cfg[i], &p->t.env, &p->s[i]));
    p->mtu = cfg[0].mtu ? cfg[0].mtu : CPH_STREAM_MTU;
    assert_ok(cph_stream_start(p->s[0], p->now));
    assert_ok(cph_stream_start(p->s[1], p->now));
}

static inline void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        cph_stream_free(p->s[i]);
        cph_cert_free(p->cert[i]);
        cph_key_free(p->key[i]);
    }
    cph_trust_free(p->trust);
}

/* ---- TLS: bytes, at once --------------------------------------------------------------------- */

static inline void pump(struct pair *p)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (int i = 0; i < 2; i++) {
            uint8_t buf[1500];
            size_t n;

            while (cph_stream_pull(p->s[i], buf, sizeof buf, &n) == CPH_OK) {
                if (cph_stream_feed(p->s[1 - i], (struct cph_span){ buf, n }, p->now) != CPH_OK) {
                    /* the test looks at the state */
                }
                moved = true;
            }
        }
    }
}

/* ---- DTLS: datagrams, with time -------------------------------------------------------------- */

static inline void post(struct pair *p, int to, const uint8_t *b, size_t n)
{
    struct packet *w;

    if (p->n_way[to] == FLIGHT)
        return;
    w = &p->way[to][p->n_way[to]++];
    w->at = p->now + CPH_MS(1) + (p->delay_ms ? CPH_MS(test_random(&p->t) % p->delay_ms) : 0);
    w->n = n;
    memcpy(w->b, b, n);
    if (test_random(&p->t) % 100 < p->flip)
        w->b[test_random(&p->t) % n] ^= (uint8_t)(1U << test_random(&p->t) % 8);
}

static inline void collect(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        uint8_t buf[WIRE];
        size_t n;

        while (cph_stream_pull(p->s[i], buf, sizeof buf, &n) == CPH_OK) {
            if (n > p->mtu)
                p->seen_too_large = true;
            if (test_random(&p->t) % 100 < p->loss)
                continue;
            post(p, 1 - i, buf, n);
            if (test_random(&p->t) % 100 < p->dup)
                post(p, 1 - i, buf, n);
        }
    }
}

static inline cph_time next_event(const struct pair *p)
{
    cph_time at = CPH_TIME_NEVER;

    for (int i = 0; i < 2; i++) {
        cph_time d = cph_stream_deadline(p->s[i]);

        at = d < at ? d : at;
        for (size_t k = 0; k < p->n_way[i]; k++)
            at = p->way[i][k].at < at ? p->way[i][k].at : at;
    }
    return at;
}

static inline void deliver(struct pair *p, int to)
{
    for (size_t k = 0; k < p->n_way[to];) {
        struct packet w = p->way[to][k];

        if (w.at > p->now) {
            k++;
            continue;
        }
        p->way[to][k] = p->way[to][--p->n_way[to]];
        if (cph_stream_feed(p->s[to], (struct cph_span){ w.b, w.n }, p->now) != CPH_OK) {
            /* the test looks at the state */
        }
        collect(p);
    }
}

/* Run until nothing is due any more, or until the given time. */
static inline void run(struct pair *p, cph_time until)
{
    collect(p);
    for (;;) {
        cph_time at = next_event(p);

        if (at == CPH_TIME_NEVER || at > until)
            break;
        p->now = at > p->now ? at : p->now;
        for (int i = 0; i < 2; i++) {
            deliver(p, i);
            if (cph_stream_deadline(p->s[i]) <= p->now &&
                cph_stream_tick(p->s[i], p->now) != CPH_OK) {
                /* the test looks at the state */
            }
            collect(p);
        }
    }
    if (p->now < until && until != CPH_TIME_NEVER)
        p->now = until;
}

static inline bool both(const struct pair *p, enum cph_stream_state state)
{
    return cph_stream_state(p->s[0]) == state && cph_stream_state(p->s[1]) == state;
}

#endif
