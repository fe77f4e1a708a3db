#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media_int.h"

static const char *path(const char *name)
{
    static char buf[256];
    const char *dir = getenv("TMPDIR");

    (void)snprintf(buf, sizeof buf, "%s/ciphony-test-%ld-%s", dir ? dir : "/tmp", (long)getpid(),
                   name);
    return buf;
}

static void recorded_samples_are_played_again(void **state)
{
    struct cph_media_sink *sink;
    struct cph_media_source *source;
    int16_t pcm[320], got[320];
    char why[CPH_MEDIA_WHY];
    struct stat st;

    (void)state;
    for (int i = 0; i < 320; i++)
        pcm[i] = (int16_t)(i * 100 - 16000);
    assert_ok(cph_media_wav_record(path("a.wav"), 16000, why, &sink));
    for (int i = 0; i < 60; i++) /* over the second after which the header is brought up to date */
        assert_ok(sink->ops->write(sink, pcm, 320));
    cph_media_sink_free(sink);
    assert_int_equal(stat(path("a.wav"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* what was said is private */

    assert_ok(cph_media_wav_play(path("a.wav"), false, why, &source));
    assert_int_equal(source->rate, 16000);
    for (int i = 0; i < 60; i++) {
        assert_ok(source->ops->read(source, got, 320));
        assert_memory_equal(got, pcm, sizeof pcm);
    }
    assert_err(source->ops->read(source, got, 320), CPH_E_CLOSED);
    assert_int_equal(got[0], 0);
    cph_media_source_free(source);

    assert_ok(cph_media_wav_play(path("a.wav"), true, why, &source));
    for (int i = 0; i < 200; i++) { /* goes round, and not only at a multiple of the frame */
        assert_ok(source->ops->read(source, got, 319));
        assert_int_equal(got[0], pcm[(size_t)i * 319 % 320]);
    }
    cph_media_source_free(source);
    (void)unlink(path("a.wav"));
}

/* A WAV header by hand: libsndfile wrote the others. */
static void write_wav(const char *name, uint32_t rate, uint16_t channels, const int16_t *pcm,
                      uint32_t n)
{
    FILE *f = fopen(name, "wb");
    uint32_t bytes = n * channels * 2U, riff = 36 + bytes, sixteen = 16,
             per_s = rate * channels * 2U;
    uint16_t one = 1, block = (uint16_t)(channels * 2), bits = 16;

    assert_non_null(f);
    (void)fwrite("RIFF", 4, 1, f);
    (void)fwrite(&riff, 4, 1, f);
    (void)fwrite("WAVEfmt ", 8, 1, f);
    (void)fwrite(&sixteen, 4, 1, f);
    (void)fwrite(&one, 2, 1, f);
    (void)fwrite(&channels, 2, 1, f);
    (void)fwrite(&rate, 4, 1, f);
    (void)fwrite(&per_s, 4, 1, f);
    (void)fwrite(&block, 2, 1, f);
    (void)fwrite(&bits, 2, 1, f);
    (void)fwrite("data", 4, 1, f);
    (void)fwrite(&bytes, 4, 1, f);
    (void)fwrite(pcm, 2, (size_t)n * channels, f);
    (void)fclose(f);
}

static void files_of_each_usual_kind_are_read(void **state)
{
    static const uint32_t rate[] = { 8000, 16000, 44100, 48000 };
    static const int16_t pcm[8] = { 100, 300, -100, -300, 32767, 32767, -32768, -32768 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct cph_media_pcm p;
        char why[CPH_MEDIA_WHY];

        write_wav(path("b.wav"), rate[i], 2, pcm, 4);
        assert_ok(cph_media_wav_load(path("b.wav"), why, &p));
        assert_int_equal(p.rate, rate[i]);
        assert_int_equal(p.n, 4);
        assert_int_equal(p.p[0], 200); /* the mean of left and right */
        assert_int_equal(p.p[1], -200);
        assert_int_equal(p.p[2], 32767);
        assert_int_equal(p.p[3], -32768);
        cph_media_pcm_free(&p);
        write_wav(path("b.wav"), rate[i], 1, pcm, 8);
        assert_ok(cph_media_wav_load(path("b.wav"), why, &p));
        assert_int_equal(p.n, 8);
        cph_media_pcm_free(&p);
    }
    (void)unlink(path("b.wav"));
}

static void what_cannot_be_played_is_refused_in_words(void **state)
{
    static const int16_t pcm[12] = { 0 };
    struct cph_media_source *source;
    struct cph_media_sink *sink;
    char why[CPH_MEDIA_WHY] = "";
    FILE *f;

    (void)state;
    assert_err(cph_media_wav_play("/nonexistent/x.wav", false, why, &source), CPH_E_IO);
    assert_non_null(strstr(why, "/nonexistent/x.wav"));
    assert_err(cph_media_wav_play("/nonexistent/x.wav", false, NULL, &source), CPH_E_IO);
    assert_err(cph_media_wav_record("/nonexistent/x.wav", 8000, why, &sink), CPH_E_IO);
    assert_non_null(strstr(why, "record"));
    assert_err(cph_media_wav_record(path("c.wav"), 7999, why, &sink), CPH_E_ARGUMENT);
    write_wav(path("c.wav"), 8000, 3, pcm, 4);
    assert_err(cph_media_wav_play(path("c.wav"), false, why, &source), CPH_E_UNSUPPORTED);
    write_wav(path("c.wav"), 4000, 1, pcm, 4);
    assert_err(cph_media_wav_play(path("c.wav"), false, why, &source), CPH_E_UNSUPPORTED);
    f = fopen(path("c.wav"), "wb");
    assert_non_null(f);
    (void)fputs("not a sound", f);
    (void)fclose(f);
    assert_err(cph_media_wav_play(path("c.wav"), false, why, &source), CPH_E_IO);
    write_wav(path("c.wav"), 8000, 1, pcm, 0); /* an empty file, looped, does not turn for ever */
    assert_ok(cph_media_wav_play(path("c.wav"), true, why, &source));
    int16_t got[8];
    assert_err(source->ops->read(source, got, 8), CPH_E_CLOSED);
    cph_media_source_free(source);
    (void)unlink(path("c.wav"));
}

static void an_absent_sound_card_is_an_error_in_words(void **state)
{
    struct cph_media_source *source;
    struct cph_media_sink *sink;
    char why[CPH_MEDIA_WHY] = "";

    (void)state;
    assert_err(cph_media_alsa_capture("no-such-device", 48000, why, &source), CPH_E_IO);
    assert_non_null(strstr(why, "no-such-device"));
    assert_non_null(strstr(why, "record from"));
    assert_err(cph_media_alsa_play("no-such-device", 48000, why, &sink), CPH_E_IO);
    assert_non_null(strstr(why, "play on"));
    assert_err(cph_media_alsa_play("no-such-device", 48000, NULL, &sink), CPH_E_IO);
}

/* ALSA's own "null" device takes and gives without a card. */
static void a_device_takes_and_gives_without_waiting(void **state)
{
    struct cph_media_source *source;
    struct cph_media_sink *sink;
    int16_t pcm[960] = { 0 };
    char why[CPH_MEDIA_WHY] = "";

    (void)state;
    if (cph_media_alsa_play("null", 48000, why, &sink) != CPH_OK) {
        print_message("no ALSA null device here: %s\n", why);
        skip();
    }
    for (int i = 0; i < 100; i++)
        assert_ok(sink->ops->write(sink, pcm, 960));
    cph_media_sink_free(sink);
    assert_ok(cph_media_alsa_capture("null", 48000, why, &source));
    for (int i = 0; i < 100; i++)
        assert_ok(source->ops->read(source, pcm, 960));
    cph_media_source_free(source);
}

static void a_tone_has_its_level(void **state)
{
    struct cph_media_source *s;
    struct media_level l = { 0 };
    int16_t pcm[160];

    (void)state;
    assert_ok(cph_media_tone(8000, 440, -10, &s));
    assert_true(media_level_dbfs(&l) == -127);
    for (int i = 0; i < 20; i++) {
        assert_ok(s->ops->read(s, pcm, 160));
        media_level_add(&l, pcm, 160);
    }
    assert_true(fabs(media_level_dbfs(&l) - -13.01) < 0.1); /* a sine is 3 dB under its peak */
    cph_media_source_free(s);
    assert_err(cph_media_tone(8000, 4000, -10, &s), CPH_E_ARGUMENT);
    assert_err(cph_media_tone(8000, 0, -10, &s), CPH_E_ARGUMENT);
    assert_err(cph_media_tone(8000, 440, 1, &s), CPH_E_ARGUMENT);
    assert_err(cph_media_tone(0, 440, -1, &s), CPH_E_ARGUMENT);
}

static void memory_gives_and_takes_up_to_its_limit(void **state)
{
    int16_t data[5] = { 1, 2, 3, 4, 5 }, got[4];
    struct cph_media_pcm pcm = { 8000, 5, data }, into;
    struct cph_media_source *s;
    struct cph_media_sink *k;

    (void)state;
    assert_ok(cph_media_memory_source(&pcm, false, &s));
    assert_ok(s->ops->read(s, got, 4));
    assert_ok(s->ops->read(s, got, 4));
    assert_int_equal(got[0], 5);
    assert_int_equal(got[1], 0);
    assert_err(s->ops->read(s, got, 4), CPH_E_CLOSED);
    cph_media_source_free(s);
    assert_ok(cph_media_memory_sink(&into, 8000, 7, &k));
    assert_ok(k->ops->write(k, data, 5));
    assert_ok(k->ops->write(k, data, 5));
    assert_int_equal(into.n, 7);
    assert_int_equal(into.p[6], 2);
    cph_media_sink_free(k);
    cph_media_pcm_free(&into);
    cph_media_source_free(NULL);
    cph_media_sink_free(NULL);
}

static cph_err make_all(void *arg)
{
    struct cph_media_source *s;
    struct cph_media_sink *k;
    struct cph_media_pcm pcm = { 8000, 0, NULL }, into;

    (void)arg;
    CPH_TRY(cph_media_tone(8000, 440, -10, &s));
    cph_media_source_free(s);
    CPH_TRY(cph_media_null_source(8000, &s));
    cph_media_source_free(s);
    CPH_TRY(cph_media_memory_source(&pcm, true, &s));
    cph_media_source_free(s);
    CPH_TRY(cph_media_null_sink(8000, &k));
    cph_media_sink_free(k);
    CPH_TRY(cph_media_memory_sink(&into, 8000, 7, &k));
    cph_media_sink_free(k);
    CPH_TRY(cph_media_wav_record(path("d.wav"), 8000, NULL, &k));
    cph_media_sink_free(k);
    CPH_TRY(cph_media_wav_play(path("d.wav"), true, NULL, &s));
    cph_media_source_free(s);
    CPH_TRY(cph_media_wav_load(path("d.wav"), NULL, &into));
    cph_media_pcm_free(&into);
    return CPH_OK;
}

static void construction_survives_want_of_memory(void **state)
{
    (void)state;
    test_alloc_fails(make_all, NULL);
    (void)unlink(path("d.wav"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_samples_are_played_again),
        cmocka_unit_test(files_of_each_usual_kind_are_read),
        cmocka_unit_test(what_cannot_be_played_is_refused_in_words),
        cmocka_unit_test(an_absent_sound_card_is_an_error_in_words),
        cmocka_unit_test(a_device_takes_and_gives_without_waiting),
        cmocka_unit_test(a_tone_has_its_level),
        cmocka_unit_test(memory_gives_and_takes_up_to_its_limit),
        cmocka_unit_test(construction_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
