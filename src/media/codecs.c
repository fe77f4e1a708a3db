#include "ciphony/media.h"

#include "ciphony/base_text.h"
#include "media_int.h"

static const struct cph_media_codec *const rows[] = {
    &media_codec_opus,
    &media_codec_pcma,
    &media_codec_pcmu,
    NULL,
};

const struct cph_media_codec *const *cph_media_codecs(void)
{
    return rows;
}

const struct cph_media_codec *cph_media_codec_find(struct cph_span name, uint32_t clock_rate,
                                                   unsigned channels)
{
    if (channels == 0)
        channels = 1;
    for (size_t i = 0; rows[i]; i++)
        if (cph_span_iis(name, rows[i]->name) && rows[i]->clock_rate == clock_rate &&
            rows[i]->channels == channels)
            return rows[i];
    return NULL;
}

cph_err cph_media_fmtp_u32(struct cph_span fmtp, const char *name, uint32_t *out)
{
    while (fmtp.n > 0) {
        struct cph_span value = cph_span_cut(&fmtp, ';');
        struct cph_span key = cph_span_trim(cph_span_cut(&value, '='));

        if (cph_span_iis(key, name))
            return cph_span_u32(cph_span_trim(value), out);
    }
    return CPH_E_NOTFOUND;
}
