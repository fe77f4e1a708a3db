/* Complete keyed sessions a second on one core, and what one weighs: ./bench/bench_lab [sessions
 * [sessions|calls|memory [keying]]] */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "duo.h"

enum { PER_STAGE = 50 };

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Offer, answer, keys, one packet each way, gone: sessions without SIP around them. */
static unsigned sessions(const char *keying, unsigned n)
{
    unsigned good = 0;

    for (unsigned i = 0; i < n; i++) {
        struct lab_party_config a = { .keying = keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = LAB_ALICE,
                                      .peer = LAB_BOB,
                                      .draws = i };
        struct lab_party_config b = { .keying = keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = LAB_BOB,
                                      .peer = LAB_ALICE,
                                      .draws = i + n };
        uint8_t plain[LAB_FRAME], wire[LAB_WIRE];
        struct lab_duo *d;
        unsigned p, q;
        size_t len;

        if (lab_duo_new(&d) != CPH_OK)
            return good;
        if (lab_duo_add(d, &a, &p) == CPH_OK && lab_duo_add(d, &b, &q) == CPH_OK &&
            lab_duo_connect(d, p, &q, 1, true) == CPH_OK) {
            lab_speech_frame(i, 0, 0, plain);
            lab_duo_protect(d, p, 1, 1, plain, wire, &len);
            bool there = lab_duo_take(d, q, p, wire, len, plain);

            lab_duo_protect(d, q, 2, 1, plain, wire, &len);
            good += there && lab_duo_take(d, p, q, wire, len, plain);
        }
        lab_duo_free(d);
    }
    return good;
}

/* The same as calls of two phones: INVITE, 200, ACK, keys, 100 ms of speech each way, BYE. */
static unsigned calls(const char *keying, unsigned n)
{
    unsigned good = 0;

    for (unsigned done = 0; done < n; done += PER_STAGE) {
        struct lab_stage_config cfg = { .seed = done + 1,
                                        .link.delay = CPH_MS(20),
                                        .keying = keying,
                                        .security = CPH_SECURITY_REQUIRED,
                                        .people = 1 << LAB_ALICE | 1 << LAB_BOB,
                                        .direct = true,
                                        .no_record = true };
        struct lab_stage *s;

        if (lab_stage_open(&cfg, &s) != CPH_OK)
            return good;
        for (unsigned i = 0; i < PER_STAGE && done + i < n; i++) {
            struct lab_stage_person *a = &s->person[LAB_ALICE], *b = &s->person[LAB_BOB];

            a->heard = b->heard = (struct lab_heard){ 0 };
            a->secured = b->secured = a->ended = b->ended = false;
            if (lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB) != CPH_OK ||
                lab_stage_run(s, CPH_MS(300)) != CPH_OK)
                break;
            good += a->secured && b->secured && lab_stage_heard(s, LAB_ALICE, LAB_BOB);
            lab_stage_hangup(s, LAB_ALICE);
            if (lab_stage_run(s, CPH_MS(200)) != CPH_OK)
                break;
        }
        lab_stage_close(s);
    }
    return good;
}

struct measure {
    const char *name, *what;
    unsigned (*run)(const char *keying, unsigned n);
};
static const struct measure measures[] = {
    { "sessions", "sessions, no SIP", sessions },
    { "calls", "calls of phones, over SIP", calls },
};

/* What a keyed session holds with what its owner keeps for keying, and without a media flow: the
 * heap before and after. */
static void memory(const char *keying)
{
    struct lab_duo *d[PER_STAGE] = { NULL };
    unsigned n = 0;
    size_t before;

    for (unsigned i = 0; i < PER_STAGE; i++)
        if (lab_duo_new(&d[i]) != CPH_OK)
            d[i] = NULL;
    before = mallinfo2().uordblks;
    for (; n < PER_STAGE && d[n]; n++) {
        struct lab_party_config a = { .keying = keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = LAB_ALICE,
                                      .peer = LAB_BOB,
                                      .draws = n };
        struct lab_party_config b = { .keying = keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = LAB_BOB,
                                      .peer = LAB_ALICE,
                                      .draws = n + PER_STAGE };
        unsigned p, q;

        if (lab_duo_add(d[n], &a, &p) != CPH_OK || lab_duo_add(d[n], &b, &q) != CPH_OK ||
            lab_duo_connect(d[n], p, &q, 1, true) != CPH_OK)
            break;
    }
    (void)printf("%-28s %-6s %6.1f kB of heap for each of %u\n", "a keyed session", keying,
                 n ? (double)(mallinfo2().uordblks - before) / (2 * n) / 1000 : 0, 2 * n);
    for (unsigned i = 0; i < PER_STAGE; i++)
        lab_duo_free(d[i]);
}

static const char *const keyings[] = { "sdes", "dtls" };

static void measure(const struct measure *m, const char *keying, unsigned n)
{
    double from = seconds(), took;
    unsigned good = m->run(keying, n);

    took = seconds() - from;
    (void)printf("%-28s %-6s %6u of %u keyed and heard, %8.0f a second\n", m->what, keying, good, n,
                 took > 0 ? good / took : 0);
}

static bool measure_find(const char *name)
{
    if (strcmp(name, "memory") == 0)
        return true;
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
        if (strcmp(name, measures[i].name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
    const char *only = argc > 2 ? argv[2] : NULL, *keying = argc > 3 ? argv[3] : NULL;

    if (n == 0 || argc > 4 || (only && !measure_find(only)) ||
        (keying && !lab_column_find(keying))) {
        (void)fprintf(
            stderr, "usage: bench_lab [NUMBER [sessions|calls|memory [KEYING]]]; ciphony lab list "
                    "names the keyings\n");
        return 2;
    }
    if (lab_keys_open() != CPH_OK)
        return 1;
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        if (only && strcmp(only, measures[i].name) != 0)
            continue;
        for (size_t k = 0; k < sizeof keyings / sizeof *keyings && !keying; k++)
            measure(&measures[i], keyings[k], n);
        if (keying) /* any column of the lab */
            measure(&measures[i], keying, n);
    }
    if (!only || strcmp(only, "memory") == 0) {
        for (size_t k = 0; k < sizeof keyings / sizeof *keyings && !keying; k++)
            memory(keyings[k]);
        if (keying)
            memory(keying);
    }
    lab_keys_close();
    return 0;
}
