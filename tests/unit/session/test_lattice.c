/* Nothing may raise a verdict but more and better facts: tried over every small evidence, and at
 * random over large ones. */
#include "support.h"

#include "ciphony/session_policy.h"
#include "ciphony/session_verdict.h"

/* ---- the facts as a lattice ------------------------------------------------------------------ */

/* One graded fact: where it is, and how many values it takes from 0 up. */
struct axis {
    const char *name;
    size_t at;
    unsigned values;
};

#define EV(field, n)                                                                               \
    {                                                                                              \
#field, offsetof(struct cph_evidence, field), n                                            \
    }
#define HOP(field, n)    EV(hop[0].field, n)
#define STREAM(field, n) EV(stream[0].field, n)

static const struct axis axis[] = {
    HOP(transport, 6), HOP(auth, 4),       HOP(whose, 4),       HOP(seen, 3),
    STREAM(keys, 5),   STREAM(binding, 8), STREAM(validity, 3), STREAM(vouched_by, 8),
    STREAM(in, 6),     STREAM(out, 6),     STREAM(rtcp, 4),     EV(downgrade, 3),
    EV(proof, 4),      STREAM(members, 3), EV(seal, 4),
};
enum { AXES = sizeof axis / sizeof *axis, KEYS = 4 };

static void set(struct cph_evidence *ev, unsigned a, unsigned value)
{
    unsigned v = value;

    memcpy((char *)ev + axis[a].at, &v, sizeof v);
}

static unsigned get(const struct cph_evidence *ev, unsigned a)
{
    unsigned v;

    memcpy(&v, (const char *)ev + axis[a].at, sizeof v);
    return v;
}

struct worth {
    enum cph_level level;
    enum cph_attacker attacker;
    bool kept;
};

static struct worth worth(const struct cph_evidence *ev, const struct cph_policy *p)
{
    struct cph_verdict v;

    cph_verdict_of(ev, p, &v);
    return (struct worth){ v.level, v.attacker, v.policy_kept };
}

static void never_above(struct worth less, struct worth more, const char *what)
{
    if (less.level > more.level || less.attacker > more.attacker || (less.kept && !more.kept))
        print_error("worse %s raised the verdict\n", what);
    assert_true(less.level <= more.level);
    assert_true(less.attacker <= more.attacker);
    assert_true(!less.kept || more.kept);
}

static struct cph_evidence best(void)
{
    struct cph_evidence ev = { .hops_n = 1, .hops_told = 1, .streams_n = 1, .streams_told = 1 };

    ev.stream[0].counted = true;
    for (unsigned a = 0; a < AXES; a++)
        set(&ev, a, axis[a].values - 1);
    return ev;
}

/* Which values of an axis are walked in full; the others stand at their best, or one step below. */
static void walk(struct cph_evidence *ev, const unsigned *axes, unsigned n, unsigned depth,
                 const struct cph_policy *p, uint64_t *count)
{
    struct worth last = { CPH_LEVEL_OPEN, CPH_ATTACKER_I, false }, mixed = last;

    if (depth == n)
        return;
    for (unsigned v = 0; v < axis[axes[depth]].values; v++) {
        set(ev, axes[depth], v);
        walk(ev, axes, n, depth + 1, p, count);
        if (depth + 1 == n) { /* the innermost: compare neighbours */
            struct worth now = worth(ev, p);

            /* The two ways to have keys are not compared with each other, but with all below. */
            if (axes[depth] == KEYS && v == CPH_KEYS_AGREED)
                last = mixed;
            if (v > 0)
                never_above(last, now, axis[axes[depth]].name);
            if (axes[depth] == KEYS && v == CPH_KEYS_MIXED)
                mixed = now;
            last = now;
            ++*count;
        }
    }
}

/* Every axis gets its turn as the innermost, so every single step of the lattice is looked at. */
static void walk_all(const unsigned *axes, unsigned n, const struct cph_policy *p)
{
    uint64_t count = 0, want = n;

    for (unsigned i = 0; i < n; i++)
        want *= axis[axes[i]].values;
    for (unsigned inner = 0; inner < n; inner++) {
        struct cph_evidence ev = best();
        unsigned order[AXES];

        memcpy(order, axes, n * sizeof *order);
        order[inner] = axes[n - 1];
        order[n - 1] = axes[inner];
        walk(&ev, order, n, 0, p, &count);
    }
    assert_int_equal(count, want);
}

static void every_step_of_the_signalling_facts_is_monotone(void **state)
{
    /* transport, auth, whose, seen, keys, vouched_by, proof: 73,728 points, seven times; seal and
     * binding among them as well */
    static const unsigned axes[] = { 0, 1, 2, 3, 4, 7, 12 }, sealed[] = { 0, 1, 2, 4, 5, 14 };
    static const struct cph_policy policy[] = { { 0 },
                                                { .no_authorities = true },
                                                { .need = CPH_LEVEL_IDENTIFIED } };

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        walk_all(axes, i ? 6 : 7, &policy[i]);
    for (unsigned i = 0; i < 3; i++)
        walk_all(sealed, 6, &policy[i]);
}

static void every_step_of_the_media_facts_is_monotone(void **state)
{
    /* keys, binding, validity, members, in, out, rtcp, downgrade: every value, by turns */
    static const unsigned axes[] = { 4, 5, 6, 13, 8, 9, 10, 11 };
    static const struct cph_policy policy = { .media = CPH_SECURITY_PREFER };

    (void)state;
    walk_all(axes, 8, NULL);
    walk_all(axes, 6, &policy);
}

/* ---- large evidence at random ---------------------------------------------------------------- */

static unsigned pick(struct test_env *t, unsigned n)
{
    return (unsigned)(test_random(t) % n);
}

/* Mostly good facts, or nearly every evidence would be open. */
static unsigned graded(struct test_env *t, unsigned values)
{
    return pick(t, 8) ? values - 1 - pick(t, values > 1 ? 2 : 1) : pick(t, values);
}

static void random_evidence(struct test_env *t, struct cph_evidence *ev)
{
    memset(ev, 0, sizeof *ev);
    ev->hops_n = pick(t, 4);
    ev->hops_told = ev->hops_n + (pick(t, 8) ? 0 : pick(t, 3));
    ev->streams_n = pick(t, 4);
    ev->streams_told = ev->streams_n + (pick(t, 8) ? 0 : pick(t, 3));
    for (unsigned i = 0; i < ev->hops_n; i++)
        ev->hop[i] = (struct cph_hop_facts){ graded(t, 6), graded(t, 4), graded(t, 4), graded(t, 3),
                                             "" };
    for (unsigned i = 0; i < ev->streams_n; i++)
        ev->stream[i] = (struct cph_stream_facts){
            .keys = graded(t, 5),
            .binding = graded(t, 8),
            .validity = graded(t, 3),
            .members = pick(t, 8) ? CPH_MEMBERS_TWO : pick(t, 3),
            .vouched_by = pick(t, 8),
            .in = graded(t, 6),
            .out = graded(t, 6),
            .rtcp = graded(t, 4),
            .counted = graded(t, 2),
            .clear_in = pick(t, 20) == 0,
            .clear_out = pick(t, 20) == 0,
        };
    ev->downgrade = graded(t, 3);
    ev->proof = pick(t, 4);
    ev->seal = pick(t, 4);
}

static void lower_one(struct test_env *t, unsigned *field)
{
    if (*field > 0)
        *field = pick(t, *field);
}

#define LOWER(field)                                                                               \
    do {                                                                                           \
        unsigned v_ = (unsigned)ev->field;                                                         \
        lower_one(t, &v_);                                                                         \
        ev->field = v_;                                                                            \
    } while (0)

/* Take one fact away, or make one worse. */
static void worsen(struct test_env *t, struct cph_evidence *ev)
{
    unsigned h = ev->hops_n ? pick(t, ev->hops_n) : 0;
    unsigned s = ev->streams_n ? pick(t, ev->streams_n) : 0;

    switch (pick(t, 24)) {
    case 0:
        LOWER(hop[h].transport);
        break;
    case 1:
        LOWER(hop[h].auth);
        break;
    case 2:
        LOWER(hop[h].whose);
        break;
    case 3:
        LOWER(hop[h].seen);
        break;
    case 4: /* not from one way to the other */
        if (ev->stream[s].keys > CPH_KEYS_MIXED)
            ev->stream[s].keys = pick(t, CPH_KEYS_SIGNALLED);
        else
            LOWER(stream[s].keys);
        break;
    case 5:
        LOWER(stream[s].binding);
        break;
    case 6:
        LOWER(stream[s].validity);
        break;
    case 7:
        LOWER(stream[s].vouched_by);
        break;
    case 8:
        LOWER(stream[s].in);
        break;
    case 9:
        LOWER(stream[s].out);
        break;
    case 10:
        LOWER(stream[s].rtcp);
        break;
    case 11:
        ev->stream[s].counted = false;
        break;
    case 12:
        ev->stream[s].clear_in++;
        break;
    case 13:
        ev->stream[s].clear_out++;
        break;
    case 14:
        LOWER(downgrade);
        break;
    case 15:
        LOWER(proof);
        break;
    case 16: /* a hop that existed is no longer described */
        if (ev->hops_n) {
            memmove(&ev->hop[h], &ev->hop[h + 1], (CPH_EVIDENCE_HOPS - h - 1) * sizeof *ev->hop);
            ev->hops_n--;
        }
        break;
    case 17: /* likewise a stream */
        if (ev->streams_n) {
            memmove(&ev->stream[s], &ev->stream[s + 1],
                    (CPH_EVIDENCE_STREAMS - s - 1) * sizeof *ev->stream);
            ev->streams_n--;
        }
        break;
    case 18:
        ev->hops_told = ev->hops_n ? 0 : ev->hops_told;
        break;
    case 19:
        ev->streams_told = ev->streams_n ? 0 : ev->streams_told;
        break;
    case 20:
        memset(&ev->hop[h], 0, sizeof *ev->hop);
        break;
    case 21:
        memset(&ev->stream[s], 0, sizeof *ev->stream);
        break;
    case 22:
        LOWER(stream[s].members);
        break;
    case 23:
        LOWER(seal);
        break;
    }
}

static void taking_or_worsening_any_fact_of_random_evidence_never_raises(void **state)
{
    static const struct cph_policy policy[] = { { 0 },
                                                { .no_authorities = true },
                                                { .media = CPH_SECURITY_PREFER } };
    struct test_env t;
    unsigned seen[CPH_LEVEL_VERIFIED + 1] = { 0 };

    (void)state;
    test_env_init(&t, 7);
    for (unsigned round = 0; round < 200000; round++) {
        const struct cph_policy *p = &policy[round % 3];
        struct cph_evidence ev;
        struct worth before, after;

        random_evidence(&t, &ev);
        before = worth(&ev, p);
        seen[before.level]++;
        for (unsigned step = 0; step < 3; step++) {
            worsen(&t, &ev);
            after = worth(&ev, p);
            assert_true(after.level <= before.level);
            assert_true(after.attacker <= before.attacker);
            before = after;
        }
    }
    for (unsigned l = 0; l <= CPH_LEVEL_VERIFIED; l++)
        assert_true(seen[l] > 50); /* the dice reach every level */
}

static void merging_never_raises_either(void **state)
{
    struct test_env t;

    (void)state;
    test_env_init(&t, 8);
    for (unsigned round = 0; round < 100000; round++) {
        struct cph_evidence ev, more;
        struct worth before, after;

        random_evidence(&t, &ev);
        random_evidence(&t, &more);
        before = worth(&ev, NULL);
        if (ev.hops_n && ev.hops_n == ev.hops_told && more.hops_n)
            cph_evidence_path(&ev, more.hop, more.hops_n, more.hops_told);
        for (unsigned i = 0; i < more.streams_n && i < ev.streams_n; i++)
            cph_evidence_stream(&ev, i, &more.stream[i]);
        if (ev.downgrade != CPH_DOWNGRADE_UNKNOWN)
            cph_evidence_downgrade(&ev, more.downgrade);
        if (ev.proof != CPH_PROOF_UNKNOWN)
            cph_evidence_proof(&ev, more.proof);
        after = worth(&ev, NULL);
        if (ev.streams_n != ev.streams_told)
            assert_int_equal(after.level, CPH_LEVEL_OPEN);
        assert_true(after.level <= before.level);
        assert_true(after.attacker <= before.attacker);
    }
}

static void the_lattice_is_described_right(void **state)
{
    struct cph_evidence ev = best();

    (void)state;
    for (unsigned a = 0; a < AXES; a++)
        assert_int_equal(get(&ev, a), axis[a].values - 1);
    assert_int_equal(ev.hop[0].transport, CPH_HOP_TLS13);
    assert_int_equal(ev.stream[0].vouched_by, CPH_VOUCHER_COMPARED);
    assert_int_equal(worth(&ev, NULL).level, CPH_LEVEL_VERIFIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lattice_is_described_right),
        cmocka_unit_test(every_step_of_the_signalling_facts_is_monotone),
        cmocka_unit_test(every_step_of_the_media_facts_is_monotone),
        cmocka_unit_test(taking_or_worsening_any_fact_of_random_evidence_never_raises),
        cmocka_unit_test(merging_never_raises_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
