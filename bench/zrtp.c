/* ZRTP exchanges a second on one core, both ends together, beside libbzrtp. No network: a packet
 * arrives when it is sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bzrtp/bzrtp.h>

#include "../src/keying/zrtp/zrtp_int.h"
#include "ciphony/crypto_key.h"

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };

static double cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_zrtp: %s\n", what);
    exit(1);
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void our_exchange(const char *agreement)
{
    const char *const list[] = { agreement, NULL };
    struct cph_zrtp_call *call[2];
    struct zrtp *z[2];
    bool moved = true;

    for (int e = 0; e < 2; e++) {
        struct cph_zrtp_cfg cfg = { .env = &env, .agreements = list };

        memset(cfg.zid, 1 + e, sizeof cfg.zid);
        if (cph_zrtp_call_new(&cfg, &call[e]) != CPH_OK ||
            zrtp_new(call[e], (uint32_t)e + 1, 0, &z[e]) != CPH_OK)
            die("cannot begin");
        z[e]->started = true;
    }
    while (moved) {
        moved = false;
        for (int e = 0; e < 2; e++) {
            uint8_t b[CPH_KEYING_PACKET];
            struct cph_wr wr = cph_wr_open(b, sizeof b);

            if (zrtp_pull(z[e], &wr, 0) != CPH_OK)
                continue;
            moved = true;
            (void)!zrtp_feed(z[1 - e], NULL, cph_wr_done(&wr), 0);
        }
    }
    if (z[0]->live.state != ZRTP_SECURE || z[1]->live.state != ZRTP_SECURE)
        die("an exchange did not end secure");
    for (int e = 0; e < 2; e++) {
        zrtp_free(z[e]);
        cph_zrtp_call_free(call[e]);
    }
}

/* ---- theirs ---------------------------------------------------------------------------------- */

struct their_end {
    bzrtpContext_t *ctx;
    bool secure;
    unsigned n; /* packets on their way to the other end */
    struct {
        uint16_t n;
        uint8_t b[CPH_KEYING_PACKET];
    } out[32];
};

static int their_send(void *data, const uint8_t *packet, uint16_t n)
{
    struct their_end *e = data;

    if (e->n < 32 && n <= CPH_KEYING_PACKET) {
        memcpy(e->out[e->n].b, packet, n);
        e->out[e->n++].n = n;
    }
    return 0;
}

static int their_secure(void *data, const bzrtpSrtpSecrets_t *s, int32_t verified)
{
    (void)s;
    (void)verified;
    ((struct their_end *)data)->secure = true;
    return 0;
}

static void their_exchange(uint8_t agreement)
{
    static struct their_end end[2];
    uint8_t list[7] = { agreement, ZRTP_KEYAGREEMENT_Mult };
    bzrtpCallbacks_t cbs = { .bzrtp_sendData = their_send, .bzrtp_startSrtpSession = their_secure };

    memset(end, 0, sizeof end);
    for (uint32_t e = 0; e < 2; e++) {
        end[e].ctx = bzrtp_createBzrtpContext();
        bzrtp_setCallbacks(end[e].ctx, &cbs);
        bzrtp_initBzrtpContext(end[e].ctx, e + 1);
        bzrtp_setSupportedCryptoTypes(end[e].ctx, ZRTP_KEYAGREEMENT_TYPE, list, 2);
        bzrtp_setClientData(end[e].ctx, e + 1, &end[e]);
        bzrtp_startChannelEngine(end[e].ctx, e + 1);
    }
    for (uint64_t ms = 0; ms < 20000 && !(end[0].secure && end[1].secure); ms += 10) {
        for (uint32_t e = 0; e < 2; e++) {
            unsigned n = end[1 - e].n;

            for (unsigned i = 0; i < n; i++)
                bzrtp_processMessage(end[e].ctx, e + 1, end[1 - e].out[i].b, end[1 - e].out[i].n);
            end[1 - e].n = 0;
            bzrtp_iterate(end[e].ctx, e + 1, ms);
        }
    }
    if (!end[0].secure || !end[1].secure)
        die("an exchange of theirs did not end secure");
    for (uint32_t e = 0; e < 2; e++)
        bzrtp_destroyBzrtpContext(end[e].ctx, e + 1);
}

int main(void)
{
    static const struct {
        const char *ours;
        uint8_t theirs;
        unsigned n;
    } rows[] = { { "X255", ZRTP_KEYAGREEMENT_X255, 400 },
                 { "X448", ZRTP_KEYAGREEMENT_X448, 200 },
                 { "DH3k", ZRTP_KEYAGREEMENT_DH3k, 40 },
                 { "DH2k", ZRTP_KEYAGREEMENT_DH2k, 60 },
                 { "EC25", 0, 400 },
                 { "EC38", 0, 100 } };

    printf("%-6s %14s %14s %8s\n", "", "ours", "libbzrtp", "ratio");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double at = cpu(), ours, theirs = 0;

        for (unsigned k = 0; k < rows[i].n; k++)
            our_exchange(rows[i].ours);
        ours = (cpu() - at) / rows[i].n;
        at = cpu();
        for (unsigned k = 0; rows[i].theirs && k < rows[i].n; k++)
            their_exchange(rows[i].theirs);
        theirs = (cpu() - at) / rows[i].n;
        if (rows[i].theirs)
            printf("%-6s %10.0f /s  %10.0f /s  %6.1fx\n", rows[i].ours, 1 / ours, 1 / theirs,
                   theirs / ours);
        else
            printf("%-6s %10.0f /s\n", rows[i].ours, 1 / ours);
    }
    return 0;
}
