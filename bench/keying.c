/*
 * What making keys costs, every mechanism in one run, on one core, both ends together:
 *
 *     bench_keying [milliseconds a row [only rows with this in their names, =NAME one row]]
 *
 * A session is offer, answer, handshake and the keys at both ends; the wire takes no time, and
 * neither SDP text nor SIP is counted. "public key" is the CPU inside public-key operations of
 * these very sessions (for DTLS, where OpenSSL does them, the operations one by one, and below the
 * table the same with the other end's keys as they come on the wire, read as OpenSSL does it: ours
 * reads certificates for less, see src/stream/narrow.c and ec_key.c). "beside" is somebody else's
 * exchange under the same types, in turns with ours so that a neighbour on the machine disturbs
 * both. Rows come from the lab's table of mechanisms; ZRTP's from its agreements.
 */
#include "keying_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ciphony/crypto_key.h"

enum { ROUND_MS = 20, ROW_MS = 1000 };

double bench_cpu(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_die(const char *what, const char *who)
{
    (void)fprintf(stderr, "bench_keying: %s: %s\n", who, what);
    exit(1);
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };

/* ---- one row --------------------------------------------------------------------------------- */

struct row;
typedef void once_fn(const struct row *r);

struct row {
    const char *name, *beside_name;
    struct bench_pair pair;
    once_fn *beside;         /* NULL: nobody to compare with */
    once_fn *ops, *ops_wire; /* NULL: as counted */
    bool resume;             /* from what an earlier session left behind */
};

/* CPU of something that was done now and then. */
struct spent {
    double s;
    unsigned n;
};

struct cost {
    double session, ops, ops_wire, beside; /* seconds of CPU each */
};

static void for_a_while(struct row *r, once_fn *once, struct spent *spent)
{
    double at = bench_cpu(), end = at + ROUND_MS / 1e3;

    if (!once)
        return;
    do {
        once(r);
        spent->n++;
    } while (bench_cpu() < end);
    spent->s += bench_cpu() - at;
}

static double each(const struct spent *spent)
{
    return spent->n ? spent->s / spent->n : 0;
}

static void ours(const struct row *r)
{
    bench_session((struct bench_pair *)(uintptr_t)&r->pair, r->name);
}

static struct cost measure(struct row *r, unsigned ms)
{
    struct spent session = { 0 }, beside = { 0 }, ops = { 0 }, ops_wire = { 0 };
    double ops_at;

    ours(r); /* tables and caches */
    ops_at = bench_ops();
    for (unsigned t = 0; t < ms; t += ROUND_MS) {
        for_a_while(r, ours, &session);
        for_a_while(r, r->beside, &beside);
        for_a_while(r, r->ops, &ops);
        for_a_while(r, r->ops_wire, &ops_wire);
    }
    return (struct cost){ .session = each(&session),
                          .ops = r->ops ? each(&ops) : (bench_ops() - ops_at) / session.n,
                          .ops_wire = each(&ops_wire),
                          .beside = each(&beside) };
}

static void print(const struct row *r, const struct cost *c)
{
    printf("%-22s %9.0f %9.1f %11.1f %7.2f", r->name, 1 / c->session, 1e6 * c->session,
           1e6 * c->ops, c->ops > 0 ? c->session / c->ops : 0);
    if (c->beside > 0)
        printf(" %9.1f %6.2f  %s", 1e6 * c->beside, c->beside / c->session, r->beside_name);
    printf("\n");
    (void)fflush(stdout);
}

static void say(double what, const struct cost *c, const char *words)
{
    printf("  %9.1f us  %s: ours takes %.2f of it\n", 1e6 * what, words, c->session / what);
}

static void print_words(const struct row *r, const struct cost *c)
{
    printf("%s, CPU of both ends together:\n  %9.1f us  a session of ours, from the offer to the "
           "keys\n",
           r->name, 1e6 * c->session);
    say(c->beside, c, "OpenSSL's plain handshake between two pieces of memory");
    say(c->ops_wire, c,
        "its public-key operations alone, with certificates and ephemeral keys as they come on "
        "the wire, and read as it reads them");
    say(c->ops, c, "the same with every key at hand");
}

/* ---- all rows -------------------------------------------------------------------------------- */

static void beside_openssl(const struct row *r)
{
    (void)r;
    bench_openssl_handshake();
}

static void openssl_ops(const struct row *r)
{
    (void)r;
    bench_openssl_ops(false);
}

static void openssl_ops_wire(const struct row *r)
{
    (void)r;
    bench_openssl_ops(true);
}

static void beside_bzrtp(const struct row *r)
{
    bench_bzrtp_exchange(r->pair.agreement[0], r->pair.cipher[0]);
}

static void methods_of(const struct lab_column *c, struct bench_pair *p)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CPH_POLICY_KEYING_MAX && c->keying[i]; i++) {
        p->method[n] = cph_keying_method_by_name(cph_span_of(c->keying[i]));
        if (p->method[n])
            n++;
    }
    p->method[n] = NULL;
}

static bool open_smime(enum lab_person who, struct cph_smime **out)
{
    struct cph_smime_cfg cfg = { .env = lab_keys_env(),
                                 .key = lab_user_key(who),
                                 .cert = lab_user_cert(who, true) };

    return cph_smime_new(&cfg, out) == CPH_OK;
}

static bool row_open(struct row *r, const struct lab_column *c)
{
    methods_of(c, &r->pair);
    for (int i = 0; i < 2; i++) {
        enum lab_person who = i ? LAB_BOB : LAB_ALICE;
        struct lab_kit_config cfg = {
            .column = c, .who = who, .claims = who, .env = &env, .resume = r->resume
        };

        if (lab_kit_new(&cfg, &r->pair.kit[i]) != CPH_OK)
            bench_die("out of memory", c->name);
        if (c->smime && !open_smime(who, &r->pair.smime[i]))
            bench_die("no S/MIME", c->name);
    }
    return r->pair.method[0] != NULL;
}

static void row_close(struct row *r)
{
    lab_kit_free(r->pair.kit[0]);
    lab_kit_free(r->pair.kit[1]);
    cph_smime_free(r->pair.smime[0]);
    cph_smime_free(r->pair.smime[1]);
}

static void run(struct row *r, const struct lab_column *c, unsigned ms, const char *only)
{
    struct cost cost;

    if (only && (only[0] == '=' ? strcmp(r->name, only + 1) != 0 : !strstr(r->name, only)))
        return;
    if (row_open(r, c)) {
        cost = measure(r, ms);
        print(r, &cost);
        if (r->ops_wire)
            print_words(r, &cost);
    }
    row_close(r);
}

/* Each agreement with both sizes of AES: twice its bits are the exponent's (RFC 6189 5.1.5). */
static void run_zrtp(const struct lab_column *c, unsigned ms, const char *only)
{
    static const char *const agreement[] = { "X255", "X448", "DH3k", "DH2k", "EC25", "EC38" };
    static const char *const cipher[] = { "AES1", "AES3" };

    for (size_t a = 0; a < sizeof agreement / sizeof *agreement; a++)
        for (size_t k = 0; k < 2; k++) {
            char name[64];
            struct row r = { .name = name,
                             .beside_name = "libbzrtp",
                             .pair = { .agreement = { agreement[a] }, .cipher = { cipher[k] } } };

            (void)snprintf(name, sizeof name, "%s %s %s", c->name, agreement[a], cipher[k]);
            r.beside = bench_bzrtp_has(agreement[a]) ? beside_bzrtp : NULL;
            run(&r, c, ms, only);
        }
}

int main(int argc, char **argv)
{
    unsigned ms = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROW_MS;
    const char *only = argc > 2 ? argv[2] : NULL;

    if (ms == 0 || argc > 3) {
        (void)fprintf(stderr, "usage: bench_keying [MILLISECONDS [PART-OF-A-ROW'S-NAME]]\n");
        return 2;
    }
    if (lab_keys_open() != CPH_OK)
        bench_die("cannot be made", "keys");
    bench_openssl_open();
    printf("%-22s %9s %9s %11s %7s %9s %6s\n", "", "session/s", "CPU us", "public key", "ratio",
           "beside us", "ratio");
    for (const struct lab_column *const *c = lab_columns; *c; c++) {
        struct row r = { .name = (*c)->name };

        if (strcmp((*c)->name, "zrtp") == 0) {
            run_zrtp(*c, ms, only);
            continue;
        }
        if (strcmp((*c)->name, "dtls") == 0) {
            r.beside_name = "OpenSSL's handshake alone";
            r.beside = beside_openssl;
            r.ops = openssl_ops;
            r.ops_wire = openssl_ops_wire;
            run(&r, *c, ms, only);
            r = (struct row){ .name = "dtls resumed", .resume = true };
        }
        run(&r, *c, ms, only);
    }
    bench_openssl_close();
    lab_keys_close();
    return 0;
}
