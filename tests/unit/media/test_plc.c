#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "media_int.h"

enum { FRAME = 160 };

static int16_t at(size_t i, double hz)
{
    return (int16_t)lrint(8000 * sin(2 * M_PI * hz * (double)i / 8000));
}

static void fill(int16_t *pcm, size_t from, size_t n, double hz)
{
    for (size_t i = 0; i < n; i++)
        pcm[i] = at(from + i, hz);
}

static void feed_tone(struct media_plc *p, double hz)
{
    int16_t pcm[FRAME];

    media_plc_reset(p, 8000);
    for (size_t i = 0; i < 10; i++) {
        fill(pcm, i * FRAME, FRAME, hz);
        media_plc_good(p, pcm, FRAME);
    }
}

static void a_periodic_sound_goes_on(void **state)
{
    static const double hz[] = { 80, 100, 150, 200, 250, 320, 440 };

    (void)state;
    for (size_t k = 0; k < sizeof hz / sizeof hz[0]; k++) {
        struct media_plc p;
        int16_t out[FRAME / 2];
        double signal = 0, noise = 0;

        feed_tone(&p, hz[k]);
        media_plc_conceal(&p, out, FRAME / 2); /* the 10 ms at full strength */
        for (size_t i = 0; i < FRAME / 2; i++) {
            double want = at(10 * FRAME + i, hz[k]), d = want - out[i];

            signal += want * want;
            noise += d * d;
        }
        assert_true(10 * log10(signal / noise) > 8);
    }
}

static void the_substitute_fades_to_nothing_in_60_ms(void **state)
{
    struct media_plc p;
    int16_t out[FRAME];
    double power[5];

    (void)state;
    feed_tone(&p, 200);
    for (size_t i = 0; i < 5; i++) {
        media_plc_conceal(&p, out, FRAME);
        power[i] = media_power(out, FRAME);
    }
    assert_true(power[0] > power[1] && power[1] > power[2]);
    assert_true(power[0] > 0.02);
    assert_true(power[3] == 0 && power[4] == 0);
}

/* A step that no tone of this pitch has would be heard as a click. */
static void there_is_no_click_at_either_seam(void **state)
{
    struct media_plc p;
    int16_t out[2 * FRAME], good[FRAME], last = at(10 * FRAME - 1, 210);
    int most = 0;

    (void)state;
    feed_tone(&p, 210);
    media_plc_conceal(&p, out, FRAME);
    fill(good, 11 * FRAME + 37, FRAME, 210); /* comes back out of phase */
    media_plc_good(&p, good, FRAME);
    memcpy(out + FRAME, good, sizeof good);
    for (size_t i = 0; i < FRAME + 60; i++) {
        int step = abs(out[i] - last);

        most = step > most ? step : most;
        last = out[i];
    }
    assert_true(most < 3 * (int)(8000 * 2 * M_PI * 210 / 8000));
}

static void after_silence_there_is_silence(void **state)
{
    struct media_plc p;
    int16_t out[FRAME] = { 0 };

    (void)state;
    media_plc_reset(&p, 8000);
    media_plc_conceal(&p, out, FRAME);
    assert_true(media_power(out, FRAME) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_periodic_sound_goes_on),
        cmocka_unit_test(the_substitute_fades_to_nothing_in_60_ms),
        cmocka_unit_test(there_is_no_click_at_either_seam),
        cmocka_unit_test(after_silence_there_is_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
