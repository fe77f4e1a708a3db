#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "media_int.h"

/* ---- tools ----------------------------------------------------------------------------------- */

static void sine(int16_t *pcm, size_t n, double hz, double rate, double amplitude)
{
    for (size_t i = 0; i < n; i++)
        pcm[i] = (int16_t)lrint(amplitude * sin(2 * M_PI * hz * (double)i / rate));
}

static double snr_db(const int16_t *want, const int16_t *got, size_t n)
{
    double signal = 0, noise = 1e-9;

    for (size_t i = 0; i < n; i++) {
        double d = (double)want[i] - got[i];

        signal += (double)want[i] * want[i];
        noise += d * d;
    }
    return 10 * log10(signal / noise);
}

static const struct cph_media_codec *codec(const char *name)
{
    for (size_t i = 0; cph_media_codecs()[i]; i++)
        if (cph_span_iis(cph_span_of(name), cph_media_codecs()[i]->name))
            return cph_media_codecs()[i];
    fail_msg("no codec %s", name);
    return NULL;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void codecs_are_found_by_name_rate_and_channels(void **state)
{
    (void)state;
    assert_ptr_equal(cph_media_codec_find(cph_span_of("pcmu"), 8000, 0), codec("PCMU"));
    assert_ptr_equal(cph_media_codec_find(cph_span_of("PCMA"), 8000, 1), codec("PCMA"));
    assert_ptr_equal(cph_media_codec_find(cph_span_of("OPUS"), 48000, 2), codec("opus"));
    assert_null(
        cph_media_codec_find(cph_span_of("opus"), 48000, 1)); /* RFC 7587 7: two it must say */
    assert_null(cph_media_codec_find(cph_span_of("PCMU"), 16000, 1));
    assert_null(cph_media_codec_find(cph_span_of("PCM"), 8000, 1));
    assert_int_equal(codec("PCMU")->static_pt, 0); /* RFC 3551 6 */
    assert_int_equal(codec("PCMA")->static_pt, 8);
    assert_int_equal(codec("opus")->static_pt, -1);
}

static void format_parameters_are_found_by_their_whole_name(void **state)
{
    struct cph_span f =
        CPH_SPAN_LIT("xmaxplaybackrate=1; maxplaybackrate=16000 ;UseInbandFec=1;x;cbr=a");
    uint32_t v;

    (void)state;
    assert_ok(cph_media_fmtp_u32(f, "maxplaybackrate", &v));
    assert_int_equal(v, 16000);
    assert_ok(cph_media_fmtp_u32(f, "useinbandfec", &v));
    assert_int_equal(v, 1);
    assert_err(cph_media_fmtp_u32(f, "playbackrate", &v), CPH_E_NOTFOUND);
    assert_err(cph_media_fmtp_u32(f, "cbr", &v), CPH_E_MALFORMED);
    assert_err(cph_media_fmtp_u32(f, "x", &v), CPH_E_MALFORMED);
    assert_err(cph_media_fmtp_u32((struct cph_span){ 0 }, "x", &v), CPH_E_NOTFOUND);
}

/* ---- G.711 ----------------------------------------------------------------------------------- */

static void g711_bytes_are_those_of_the_tables(void **state)
{
    struct vectors *v = vectors_open("media/g711.txt");

    (void)state;
    while (vectors_next(v)) {
        const struct cph_media_codec *c =
            codec(strcmp(vectors_text(v, "law"), "ulaw") == 0 ? "PCMU" : "PCMA");
        const char *at = vectors_text(v, "values");
        struct cph_media_decoder *d;
        struct cph_media_encoder *e;
        unsigned byte;
        int want, used;

        assert_ok(c->decoder_new(&d));
        assert_ok(c->encoder_new((struct cph_span){ 0 }, &e));
        while (sscanf(at, "%x %d%n", &byte, &want, &used) == 2) {
            uint8_t b = (uint8_t)byte, back;
            int16_t pcm;
            size_t n;

            assert_ok(c->decode(d, (struct cph_span){ &b, 1 }, &pcm, 1, &n));
            assert_int_equal(pcm, want);
            assert_ok(c->encode(e, &pcm, 1, &back, 1, &n));
            if (byte != 0x7f) /* mu-law has two zeros */
                assert_int_equal(back, b);
            at += used;
        }
        c->decoder_free(d);
        c->encoder_free(e);
    }
    vectors_close(v);
}

static void every_g711_step_is_halved_by_its_value(void **state)
{
    static const char *const name[] = { "PCMU", "PCMA" };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const struct cph_media_codec *c = codec(name[k]);
        struct cph_media_decoder *d;
        struct cph_media_encoder *e;
        int16_t before = INT16_MIN;

        assert_ok(c->decoder_new(&d));
        assert_ok(c->encoder_new((struct cph_span){ 0 }, &e));
        for (int v = INT16_MIN; v <= INT16_MAX; v++) {
            int16_t in = (int16_t)v, out;
            uint8_t byte;
            size_t n;
            int step = abs(v) < 256 ? 16 : abs(v) / 16; /* a step is a sixteenth of its segment */

            assert_ok(c->encode(e, &in, 1, &byte, 1, &n));
            assert_ok(c->decode(d, (struct cph_span){ &byte, 1 }, &out, 1, &n));
            if (abs(v) <= 32000)
                assert_true(abs(v - out) <= step);
            assert_true(out >= before); /* never falls while the input rises */
            before = out;
        }
        c->decoder_free(d);
        c->encoder_free(e);
    }
}

static void g711_keeps_a_tone_over_35_decibel(void **state)
{
    static const char *const name[] = { "PCMU", "PCMA" };
    int16_t in[1600], out[1600];
    uint8_t bytes[1600];
    size_t n;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const struct cph_media_codec *c = codec(name[k]);
        struct cph_media_decoder *d;
        struct cph_media_encoder *e;

        assert_ok(c->decoder_new(&d));
        assert_ok(c->encoder_new((struct cph_span){ 0 }, &e));
        for (double amplitude = 300; amplitude < 32000; amplitude *= 3) {
            sine(in, 1600, 1013, 8000, amplitude);
            assert_ok(c->encode(e, in, 1600, bytes, sizeof bytes, &n));
            assert_ok(c->decode(d, (struct cph_span){ bytes, n }, out, 1600, &n));
            assert_true(snr_db(in, out, 1600) > (amplitude < 1000 ? 30 : 35));
        }
        assert_err(c->encode(e, in, 1600, bytes, 1599, &n), CPH_E_NOSPACE);
        assert_err(c->decode(d, (struct cph_span){ bytes, 1600 }, out, 1599, &n), CPH_E_NOSPACE);
        c->decoder_free(d);
        c->encoder_free(e);
    }
}

/* ---- Opus ------------------------------------------------------------------------------------ */

struct opus_run {
    struct cph_media_encoder *e;
    struct cph_media_decoder *d;
    size_t bytes, sent;
};

/* Two seconds of a 440 Hz tone in frames of ms; drop every drop-th packet and conceal it. */
static double opus_snr(struct opus_run *r, const char *fmtp, unsigned ms, unsigned drop,
                       unsigned *fec)
{
    enum { ALL = 96000 };
    static int16_t in[ALL], out[ALL + 5760];
    const struct cph_media_codec *c = codec("opus");
    size_t frame = 48U * ms, at = 0, count = 0;
    uint8_t packet[2][1275];
    size_t len[2] = { 0, 0 };
    double best = -99;

    for (size_t i = 0; i < ALL;
         i++) /* a voice-like buzz: harmonics of 150 Hz with a changing level */
        in[i] = (int16_t)(3000 * (1.2 + sin((double)i / 4000)) *
                          (sin((double)i * 0.01963) + 0.5 * sin((double)i * 0.03927) +
                           0.3 * sin((double)i * 0.0589)));
    assert_ok(c->encoder_new(cph_span_of(fmtp), &r->e));
    assert_ok(c->decoder_new(&r->d));
    if (c->loss && drop)
        c->loss(r->e, 100 / drop);
    *fec = 0;
    r->bytes = r->sent = 0;
    for (size_t i = 0; i + frame <= ALL; i += frame, count++) {
        size_t n;
        bool used;

        assert_ok(c->encode(r->e, in + i, frame, packet[count % 2], 1275, &len[count % 2]));
        r->bytes += len[count % 2];
        r->sent += len[count % 2] > 0;
        if (drop && count % drop == drop - 1)
            continue;
        if (drop && count > 0 && (count - 1) % drop == drop - 1) {
            assert_ok(c->conceal(r->d, (struct cph_span){ packet[count % 2], len[count % 2] },
                                 out + at, frame, &used));
            *fec += used;
            at += frame;
        }
        assert_int_equal(c->samples((struct cph_span){ packet[count % 2], len[count % 2] }), frame);
        assert_ok(c->decode(r->d, (struct cph_span){ packet[count % 2], len[count % 2] }, out + at,
                            5760, &n));
        assert_int_equal(n, frame);
        at += frame;
    }
    for (size_t delay = 0; delay < 800; delay++) { /* the codec looks ahead */
        double v = snr_db(in + 24000, out + 24000 + delay, 48000);

        best = v > best ? v : best;
    }
    c->encoder_free(r->e);
    c->decoder_free(r->d);
    return best;
}

/* The high-pass of its speech mode turns the phases, so the bound is well below what one hears. */
static void opus_keeps_a_voice(void **state)
{
    struct opus_run r;
    unsigned fec;

    (void)state;
    assert_true(opus_snr(&r, "", 20, 0, &fec) > 7);
    assert_in_range(r.bytes * 8 / 2, 8000, 40000);
    assert_true(opus_snr(&r, "", 60, 0, &fec) > 7);
}

static void opus_obeys_the_rate_the_peer_asks_for(void **state)
{
    struct opus_run r;
    unsigned fec;

    (void)state;
    (void)opus_snr(&r, "maxaveragebitrate=12000;cbr=1", 20, 0, &fec);
    assert_in_range(r.bytes * 8 / 2, 6000, 12400);
    (void)opus_snr(&r, "maxaveragebitrate=4000;cbr=1", 20, 0,
                   &fec); /* outside the range: ignored */
    assert_in_range(r.bytes * 8 / 2, 34000, 37000);
}

static void opus_repairs_a_lost_packet_from_its_successor(void **state)
{
    struct opus_run r;
    unsigned fec;
    double with, without;

    (void)state;
    with = opus_snr(&r, "useinbandfec=1;maxplaybackrate=16000", 20, 5, &fec);
    assert_in_range(fec, 10, 20);
    without = opus_snr(&r, "useinbandfec=0;maxplaybackrate=16000", 20, 5, &fec);
    assert_int_equal(fec, 0);
    assert_true(with > without - 1);
}

static void opus_refuses_nonsense(void **state)
{
    static const uint8_t bad[] = { 0x03, 0x3f }; /* code 3 with 63 frames: longer than 120 ms */
    const struct cph_media_codec *c = codec("opus");
    struct cph_media_decoder *d;
    int16_t pcm[5760];
    size_t n;

    (void)state;
    assert_ok(c->decoder_new(&d));
    assert_int_equal(c->samples((struct cph_span){ 0 }), 0);
    assert_int_equal(c->samples((struct cph_span){ bad, 2 }), 0);
    assert_err(c->decode(d, (struct cph_span){ bad, 2 }, pcm, 5760, &n), CPH_E_MALFORMED);
    assert_err(c->decode(d, (struct cph_span){ bad, 1 }, pcm, 5760, &n), CPH_E_MALFORMED);
    c->decoder_free(d);
}

static void opus_sends_nothing_in_silence_when_asked(void **state)
{
    static int16_t silence[960];
    const struct cph_media_codec *c = codec("opus");
    struct cph_media_encoder *e;
    uint8_t packet[1275];
    unsigned sent = 0;

    (void)state;
    assert_ok(c->encoder_new(cph_span_of("usedtx=1"), &e));
    for (int i = 0; i < 200; i++) {
        size_t n;

        assert_ok(c->encode(e, silence, 960, packet, sizeof packet, &n));
        sent += n > 0;
    }
    c->encoder_free(e);
    assert_in_range(sent, 1, 60);
}

/* ---- resampler ------------------------------------------------------------------------------- */

static void every_pair_of_rates_keeps_a_tone(void **state)
{
    static const uint32_t rate[] = { 8000, 16000, 44100, 48000 };

    (void)state;
    for (size_t a = 0; a < 4; a++)
        for (size_t b = 0; b < 4; b++) {
            static int16_t in[96000], want[96000], out[96000];
            struct media_resampler *r;
            size_t n = 0, fed = 0;

            sine(in, rate[a] * 2, 997, rate[a], 12000);
            sine(want, rate[b] * 2, 997, rate[b], 12000);
            assert_ok(media_resampler_new(rate[a], rate[b], &r));
            while (n < rate[b]) {
                size_t frame = rate[b] / 50, need = media_resampler_need(r, frame);

                media_resampler_push(r, in + fed, need);
                fed += need;
                assert_int_equal(media_resampler_need(r, frame), 0);
                assert_int_equal(media_resampler_pull(r, out + n, frame), frame);
                n += frame;
            }
            assert_true(snr_db(want + 2000, out + 2000, n - 4000) > 60);
            /* nothing drifts: a second of output took a second of input and the window */
            assert_in_range(fed, rate[a], rate[a] + 400);
            media_resampler_free(r);
        }
}

static void what_the_lower_rate_cannot_carry_is_taken_out(void **state)
{
    static int16_t in[48000], out[8000];
    struct media_resampler *r;
    size_t n = 0;

    (void)state;
    sine(in, 48000, 5000, 48000, 12000); /* would come back as 3000 Hz */
    assert_ok(media_resampler_new(48000, 8000, &r));
    for (size_t i = 0; i < 48000; i += 960) {
        media_resampler_push(r, in + i, 960);
        n += media_resampler_pull(r, out + n, 8000 - n);
    }
    assert_true(10 * log10(media_power(out + 400, n - 400)) < -65);
    media_resampler_free(r);
    assert_err(media_resampler_new(7999, 8000, &r), CPH_E_ARGUMENT);
    assert_err(media_resampler_new(8000, 192001, &r), CPH_E_ARGUMENT);
}

static cph_err make_all(void *arg)
{
    struct media_resampler *r = NULL;
    cph_err err = CPH_OK;

    (void)arg;
    for (size_t i = 0; cph_media_codecs()[i] && !err; i++) {
        struct cph_media_encoder *e;
        struct cph_media_decoder *d;

        err = cph_media_codecs()[i]->encoder_new((struct cph_span){ 0 }, &e);
        if (err)
            break;
        cph_media_codecs()[i]->encoder_free(e);
        err = cph_media_codecs()[i]->decoder_new(&d);
        if (!err)
            cph_media_codecs()[i]->decoder_free(d);
    }
    if (!err)
        err = media_resampler_new(8000, 16000, &r);
    if (!err)
        media_resampler_free(r);
    return err;
}

static void construction_survives_want_of_memory(void **state)
{
    (void)state;
    test_alloc_fails(make_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codecs_are_found_by_name_rate_and_channels),
        cmocka_unit_test(format_parameters_are_found_by_their_whole_name),
        cmocka_unit_test(g711_bytes_are_those_of_the_tables),
        cmocka_unit_test(every_g711_step_is_halved_by_its_value),
        cmocka_unit_test(g711_keeps_a_tone_over_35_decibel),
        cmocka_unit_test(opus_keeps_a_voice),
        cmocka_unit_test(opus_obeys_the_rate_the_peer_asks_for),
        cmocka_unit_test(opus_repairs_a_lost_packet_from_its_successor),
        cmocka_unit_test(opus_refuses_nonsense),
        cmocka_unit_test(opus_sends_nothing_in_silence_when_asked),
        cmocka_unit_test(every_pair_of_rates_keeps_a_tone),
        cmocka_unit_test(what_the_lower_rate_cannot_carry_is_taken_out),
        cmocka_unit_test(construction_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
