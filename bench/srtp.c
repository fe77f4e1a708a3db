/*
 * How fast SRTP is here, beside libsrtp2 and beside libipsec-mb alone: one run, one thread.
 *
 *     bench_srtp [streams [rounds [bytes]]]
 *
 * A round is 64 packets, timed together with rdtsc; the figure is the median of the rounds, so that
 * a neighbour on the machine does not decide it. Contestants take turns of 50 rounds, each with
 * its data in the caches. The raw rows know neither packets nor streams: of two, the queue is what
 * a program without SRTP's checks could reach, since somebody must fill jobs and IVs.
 */
#include "srtp_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "ciphony/srtp.h"

/* ---- Ciphony --------------------------------------------------------------------------------- */

struct ours {
    struct cph_srtp_engine *engine;
    struct cph_srtp *out[STREAMS_MAX], *in[STREAMS_MAX];
    struct cph_srtp_op op[BATCH];
    size_t n;
};

static struct ours fast, single, plain;

static int ours_open(const struct bench *b, struct ours *o, enum cph_srtp_accel accel)
{
    if (cph_srtp_engine_new(accel, &o->engine) != CPH_OK)
        return -1;
    for (o->n = 0; o->n < b->streams; o->n++) {
        CPH_SRTP_POLICY_SCOPED p = { .suite = cph_srtp_suite_by_dtls(b->gcm ? 7 : 1) };

        p.master.key.n = KEY;
        memcpy(p.master.key.b, b->key[o->n], KEY);
        p.master.salt.n = p.suite->salt_n;
        memcpy(p.master.salt.b, b->salt[o->n], p.master.salt.n);
        if (cph_srtp_new(o->engine, &p, CPH_SRTP_SEND, &o->out[o->n]) != CPH_OK ||
            cph_srtp_new(o->engine, &p, CPH_SRTP_RECV, &o->in[o->n]) != CPH_OK)
            return -1;
    }
    return 0;
}

static void ours_close(struct ours *o)
{
    for (size_t i = 0; i < o->n; i++) {
        cph_srtp_free(o->out[i]);
        cph_srtp_free(o->in[i]);
    }
    cph_srtp_engine_free(o->engine);
}

static int ours_batch(struct bench *b, struct ours *o, struct cph_srtp **ctx)
{
    struct cph_srtp_op *op = o->op;
    int bad = 0;

    for (size_t i = 0; i < BATCH; i++) {
        op[i].ctx = ctx[b->stream[i]];
        op[i].rtcp = false;
        op[i].pkt = (struct cph_srtp_pkt){ b->buf[i], b->len[i], BUFFER };
    }
    cph_srtp_batch(o->engine, op, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        bad += op[i].err != CPH_OK;
        b->len[i] = op[i].pkt.n;
    }
    return bad;
}

static int ours_protect(struct bench *b, struct ours *o)
{
    int bad = 0;

    for (size_t i = 0; i < BATCH; i++) {
        struct cph_srtp_pkt pkt = { b->buf[i], b->len[i], BUFFER };

        bad += cph_srtp_protect(o->out[b->stream[i]], &pkt) != CPH_OK;
        b->len[i] = pkt.n;
    }
    return bad;
}

static int ours_unprotect(struct bench *b, struct ours *o)
{
    int bad = 0;

    for (size_t i = 0; i < BATCH; i++) {
        struct cph_srtp_pkt pkt = { b->buf[i], b->len[i], BUFFER };

        bad += cph_srtp_unprotect(o->in[b->stream[i]], &pkt) != CPH_OK;
        b->len[i] = pkt.n;
    }
    return bad;
}

#define OURS(id, title, accel, send, recv)                                                         \
    static int id##_open(const struct bench *b)                                                    \
    {                                                                                              \
        return ours_open(b, &id, accel);                                                           \
    }                                                                                              \
    static int id##_protect(struct bench *b)                                                       \
    {                                                                                              \
        return send;                                                                               \
    }                                                                                              \
    static int id##_unprotect(struct bench *b)                                                     \
    {                                                                                              \
        return recv;                                                                               \
    }                                                                                              \
    static void id##_close(void)                                                                   \
    {                                                                                              \
        ours_close(&id);                                                                           \
    }                                                                                              \
    static const struct contestant id##_row = { title, id##_open, id##_protect, id##_unprotect,    \
                                                id##_close }

OURS(fast, "Ciphony, batch", CPH_SRTP_ACCEL_AUTO, ours_batch(b, &fast, fast.out),
     ours_batch(b, &fast, fast.in));
OURS(single, "Ciphony, single", CPH_SRTP_ACCEL_AUTO, ours_protect(b, &single),
     ours_unprotect(b, &single));
OURS(plain, "Ciphony, single, OpenSSL", CPH_SRTP_ACCEL_NONE, ours_protect(b, &plain),
     ours_unprotect(b, &plain));

/* ---- the course ------------------------------------------------------------------------------ */

enum { ROWS_MAX = 8, TURN = 50 };

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void fresh_packets(struct bench *b)
{
    for (size_t i = 0; i < BATCH; i++) {
        uint64_t seq = b->seq + i / b->streams;
        uint8_t *p = b->buf[i];

        p[0] = 0x80;
        p[1] = 0;
        p[2] = (uint8_t)(seq >> 8);
        p[3] = (uint8_t)seq;
        memset(p + 4, 0x11, 4);
        memset(p + 8, (int)(i % b->streams) + 1, 4);
        b->len[i] = HEADER + b->payload;
    }
}

static uint64_t timed(int (*fn)(struct bench *), struct bench *b, int *bad)
{
    unsigned aux;
    uint64_t from = __rdtscp(&aux);

    *bad += fn(b);
    return __rdtscp(&aux) - from;
}

static double median(uint64_t *cycles, size_t n)
{
    qsort(cycles, n, sizeof *cycles, order);
    return (double)cycles[n / 2] / BATCH;
}

static double tsc_hz(void)
{
    struct timespec a, b;
    uint64_t from, cycles;
    double s;

    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    from = __rdtsc();
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &b);
        cycles = __rdtsc() - from;
        s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    } while (s < 0.2);
    return (double)cycles / s;
}

static void setting(struct bench *b, const struct contestant *const *row, size_t rows,
                    size_t rounds, double hz)
{
    uint64_t *cycles[ROWS_MAX][2];
    double result[ROWS_MAX][2];
    int bad[ROWS_MAX] = { 0 };

    for (size_t c = 0; c < rows; c++) {
        cycles[c][0] = calloc(rounds, sizeof(uint64_t));
        cycles[c][1] = calloc(rounds, sizeof(uint64_t));
        if (!cycles[c][0] || !cycles[c][1] || row[c]->open(b) != 0) {
            (void)fprintf(stderr, "%s does not start\n", row[c]->name);
            exit(1);
        }
    }
    for (size_t r = 0; r < rounds; r += TURN) {
        for (size_t c = 0; c < rows; c++) {
            for (size_t k = r; k < r + TURN && k < rounds; k++) {
                b->seq = 1 + k * (BATCH / b->streams);
                fresh_packets(b);
                cycles[c][0][k] = timed(row[c]->protect, b, &bad[c]);
                cycles[c][1][k] = timed(row[c]->unprotect, b, &bad[c]);
            }
        }
    }
    printf("\n%s, %zu bytes, %zu streams\n",
           b->gcm ? "AEAD_AES_128_GCM" : "AES_CM_128_HMAC_SHA1_80", b->payload, b->streams);
    printf("  %-26s %9s %7s %8s %8s   %9s %7s %8s %8s\n", "", "protect", "Mpps", "x raw", "x libs.",
           "unprotect", "Mpps", "x raw", "x libs.");
    for (size_t c = 0; c < rows; c++) {
        result[c][0] = median(cycles[c][0], rounds);
        result[c][1] = median(cycles[c][1], rounds);
        row[c]->close();
        free(cycles[c][0]);
        free(cycles[c][1]);
    }
    for (size_t c = 0; c < rows; c++) {
        printf("  %-26s", row[c]->name);
        for (int d = 0; d < 2; d++) {
            printf(" %9.0f %7.2f %8.2f", result[c][d], hz / result[c][d] / 1e6,
                   result[0][d] / result[c][d]);
            if (row[rows - 1] != &plain_row)
                printf(" %8.2f  ", result[rows - 1][d] / result[c][d]);
            else
                printf(" %8s  ", "-");
        }
        printf("%s\n", bad[c] ? "  WRONG" : "");
    }
}

int main(int argc, char **argv)
{
    static const size_t payloads[] = { 20, 160, 1200 };
    struct bench *b = aligned_alloc(64, (sizeof *b + 63) / 64 * 64);
    size_t streams = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    size_t only = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    struct cph_srtp_engine *e;
    double hz = tsc_hz();

    if (!b || streams == 0 || streams > STREAMS_MAX || rounds == 0 ||
        cph_srtp_engine_new(CPH_SRTP_ACCEL_AUTO, &e) != CPH_OK)
        return 1;
    printf("Ciphony on %s; ", cph_srtp_engine_name(e));
    cph_srtp_engine_free(e);
#ifdef HAVE_LIBSRTP2
    printf("%s; ", libsrtp_version());
#endif
    printf("%.2f GHz time stamps; median cycles per packet of %zu rounds of %d\n", hz / 1e9, rounds,
           BATCH);
    printf("raw libipsec-mb: the same cipher and authentication over the same bytes, no SRTP.\n"
           "  bursts: jobs and IVs prepared before the clock starts; two calls for 64 packets\n"
           "  direct: IVs prepared; one call of the GCM function per packet\n"
           "  queue:  IV and job filled per packet, submitted and flushed 64 at a time\n");
    memset(b, 0, sizeof *b);
    b->streams = streams;
    for (size_t i = 0; i < BATCH; i++)
        b->stream[i] = i % streams;
    for (size_t s = 0; s < streams; s++) {
        memset(b->key[s], (int)s + 1, KEY);
        memset(b->salt[s], (int)s + 65, 14);
    }
    for (int gcm = 0; gcm < 2; gcm++) {
        const struct contestant *row[ROWS_MAX] = { gcm ? &raw_direct : &raw_burst, &raw_jobs,
                                                   &fast_row, &single_row, &plain_row };
        size_t rows = 5;

#ifdef HAVE_LIBSRTP2
        row[rows++] = &libsrtp_single;
#endif
        b->gcm = gcm;
        for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
            b->payload = payloads[i];
            if (only == 0 || only == b->payload)
                setting(b, row, rows, rounds, hz);
        }
    }
    free(b);
    return 0;
}
