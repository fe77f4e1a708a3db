#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "media_int.h"

static struct cph_media_pcm speech;

static int load_speech(void **state)
{
    const char *root = getenv("CPH_SOURCE");
    char full[4096];

    (void)state;
    (void)snprintf(full, sizeof full, "%s/share/demo/speech.wav", root ? root : ".");
    return cph_media_wav_load(full, NULL, &speech) == CPH_OK ? 0 : -1;
}

static int drop_speech(void **state)
{
    (void)state;
    cph_media_pcm_free(&speech);
    return 0;
}

/* The part [from, to) of the speech, each sample through fn, behind lead silent samples. */
static struct cph_media_pcm part(size_t from, size_t to, size_t lead, int16_t (*fn)(int16_t))
{
    struct cph_media_pcm p = { .rate = speech.rate, .n = to - from + lead };

    p.p = calloc(p.n, sizeof *p.p);
    assert_non_null(p.p);
    for (size_t i = from; i < to; i++)
        p.p[lead + i - from] = fn ? fn(speech.p[i]) : speech.p[i];
    return p;
}

static int16_t quieter(int16_t v)
{
    return (int16_t)(v / 4);
}

static int16_t coarse(int16_t v)
{
    return (int16_t)(v / 512 * 512); /* seven bits: worse than G.711 */
}

static struct cph_media_likeness compare(const struct cph_media_pcm *b)
{
    struct cph_media_likeness l;

    assert_ok(cph_media_compare(&speech, b, &l));
    return l;
}

static void a_recording_is_like_itself(void **state)
{
    struct cph_media_likeness l = compare(&speech);

    (void)state;
    assert_true(l.similarity > 0.999);
    assert_true(fabs(l.delay_ms) < 0.01);
    assert_int_equal(l.gaps, 0);
    assert_true(l.covered > 0.999);
}

static void delay_level_and_coarse_steps_do_not_matter(void **state)
{
    static const size_t lead[] = { 0, 160, 1000, 32000 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct cph_media_pcm q = part(0, speech.n, lead[i], quieter),
                             c = part(0, speech.n, lead[i], coarse);
        struct cph_media_likeness l = compare(&q);

        assert_true(l.similarity > 0.98);
        assert_true(fabs(l.delay_ms - (double)lead[i] / 16) < 1);
        assert_int_equal(l.gaps, 0);
        l = compare(&c);
        assert_true(l.similarity > 0.8);
        cph_media_pcm_free(&q);
        cph_media_pcm_free(&c);
    }
}

/* As a jitter buffer does it: at 2, 4 and 6 s a little is said twice, or left out. */
static void a_delay_that_changes_on_the_way_is_followed(void **state)
{
    static const int change_ms[] = { 40, 60, 100, -40, -60 };

    (void)state;
    for (size_t k = 0; k < sizeof change_ms / sizeof *change_ms; k++) {
        struct cph_media_pcm p = { .rate = speech.rate };
        struct cph_media_likeness l;
        long step = (long)speech.rate * change_ms[k] / 1000;

        p.p = calloc(speech.n + 3 * (size_t)labs(step), sizeof *p.p);
        assert_non_null(p.p);
        for (size_t i = 0, from = 0; i < 4; i++) {
            size_t to = i < 3 ? (i + 1) * 2 * speech.rate : speech.n;

            memcpy(p.p + p.n, speech.p + from, (to - from) * sizeof *p.p);
            p.n += to - from;
            from = (size_t)((long)to - step);
        }
        l = compare(&p);
        assert_true(l.similarity > 0.95);
        assert_int_equal(l.gaps, 0);
        assert_true(l.covered > 0.99);
        cph_media_pcm_free(&p);
    }
}

/* Half seconds in another order are other words, however the delay is followed. */
static void words_in_another_order_are_not_alike(void **state)
{
    static const size_t order[] = { 7, 2, 11, 0, 9, 4, 13, 6, 1, 10, 3, 12, 5, 8 };
    size_t step = speech.rate / 2, n = sizeof order / sizeof *order;
    struct cph_media_pcm p = part(0, n * step, 0, NULL);

    (void)state;
    for (size_t i = 0; i < n; i++)
        memcpy(p.p + i * step, speech.p + order[i] * step, step * sizeof *p.p);
    assert_true(compare(&p).similarity < 0.5);
    cph_media_pcm_free(&p);
}

static void a_part_is_found_in_the_whole(void **state)
{
    struct cph_media_pcm p = part(24000, 80000, 0, NULL);
    struct cph_media_likeness l = compare(&p), r;

    (void)state;
    assert_true(l.similarity > 0.98);
    assert_true(fabs(l.delay_ms - -1500) < 1);
    assert_true(l.covered > 0.3 && l.covered < 0.6);
    assert_ok(cph_media_compare(&p, &speech, &r));
    assert_true(r.similarity > 0.98);
    assert_true(fabs(r.delay_ms - 1500) < 1);
    assert_true(r.covered > 0.99);
    cph_media_pcm_free(&p);
}

static void holes_are_counted(void **state)
{
    struct cph_media_pcm p = part(0, speech.n, 0, NULL);
    struct cph_media_likeness l;
    unsigned made = 0;

    (void)state;
    for (size_t at = 8000; at + 1600 < p.n && made < 3; at += 800)
        if (10 * log10(media_power(p.p + at, 1600)) > -25) { /* where there is sound: 100 ms away */
            memset(p.p + at, 0, 1600 * sizeof *p.p);
            made++;
            at += 16000;
        }
    assert_int_equal(made, 3);
    l = compare(&p);
    assert_int_equal(l.gaps, 3);
    assert_true(l.gap_ms > 150 && l.gap_ms < 330);
    assert_true(l.similarity > 0.7);
    cph_media_pcm_free(&p);
}

static void other_sounds_are_not_alike(void **state)
{
    struct cph_media_pcm p = part(0, speech.n, 0, NULL);
    uint32_t noise = 1;

    (void)state;
    for (size_t i = 0; i < p.n / 2; i++) { /* backwards: the same sounds, another speech */
        int16_t t = p.p[i];

        p.p[i] = p.p[p.n - 1 - i];
        p.p[p.n - 1 - i] = t;
    }
    assert_true(compare(&p).similarity < 0.5);
    for (size_t i = 0; i < p.n; i++) {
        noise = noise * 1664525 + 1013904223;
        p.p[i] = (int16_t)(noise >> 18);
    }
    assert_true(compare(&p).similarity < 0.3);
    for (size_t i = 0; i < p.n; i++)
        p.p[i] = (int16_t)(8000 * sin((double)i * 0.17));
    assert_true(compare(&p).similarity < 0.3);
    memset(p.p, 0, p.n * sizeof *p.p);
    assert_true(compare(&p).similarity < 0.01);
    cph_media_pcm_free(&p);
}

static void too_short_is_no_comparison(void **state)
{
    struct cph_media_pcm p = part(0, 3100, 0, NULL);
    struct cph_media_likeness l;

    (void)state;
    assert_err(cph_media_compare(&speech, &p, &l), CPH_E_ARGUMENT);
    assert_err(cph_media_compare(&p, &speech, &l), CPH_E_ARGUMENT);
    cph_media_pcm_free(&p);
}

static cph_err compare_parts(void *arg)
{
    struct cph_media_pcm a = { speech.rate, 16000, speech.p }, b = { speech.rate, 12000, speech.p };
    struct cph_media_likeness l;

    (void)arg;
    return cph_media_compare(&a, &b, &l);
}

static void comparing_survives_want_of_memory(void **state)
{
    (void)state;
    test_alloc_fails(compare_parts, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_is_like_itself),
        cmocka_unit_test(delay_level_and_coarse_steps_do_not_matter),
        cmocka_unit_test(a_delay_that_changes_on_the_way_is_followed),
        cmocka_unit_test(words_in_another_order_are_not_alike),
        cmocka_unit_test(a_part_is_found_in_the_whole),
        cmocka_unit_test(holes_are_counted),
        cmocka_unit_test(other_sounds_are_not_alike),
        cmocka_unit_test(too_short_is_no_comparison),
        cmocka_unit_test(comparing_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, load_speech, drop_speech);
}
