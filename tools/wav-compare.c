/* wav-compare A B: how alike are two recordings? Exit status 0: the same sound, 1: not, 2: usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/media_io.h"

static int load(const char *path, struct cph_media_pcm *pcm)
{
    char why[CPH_MEDIA_WHY] = "";
    cph_err err = cph_media_wav_load(path, why, pcm);

    if (err)
        (void)fprintf(stderr, "wav-compare: %s\n", why[0] ? why : cph_err_text(err));
    return err ? 2 : 0;
}

int main(int argc, char **argv)
{
    struct cph_media_pcm a = { 0 }, b = { 0 };
    struct cph_media_likeness l;
    double least = 0.8;
    cph_err err;
    int status;

    if (argc == 4)
        least = atof(argv[3]);
    if (argc != 3 && argc != 4) {
        (void)fprintf(stderr, "usage: wav-compare ORIGINAL.wav HEARD.wav [LEAST-SIMILARITY]\n");
        return 2;
    }
    status = load(argv[1], &a);
    if (!status)
        status = load(argv[2], &b);
    if (!status) {
        err = cph_media_compare(&a, &b, &l);
        if (err) {
            (void)fprintf(stderr, "wav-compare: %s\n", cph_err_text(err));
            status = 2;
        } else {
            (void)printf("similarity %.3f delay_ms %.1f gaps %u gap_ms %.0f covered %.2f\n",
                         l.similarity, l.delay_ms, l.gaps, l.gap_ms, l.covered);
            status = l.similarity >= least ? 0 : 1;
        }
    }
    cph_media_pcm_free(&a);
    cph_media_pcm_free(&b);
    return status;
}
