#include "sdes_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"

/*
 * RFC 4568 9:
 *
 *   a=crypto:<tag> <suite> <key>[;<key>...] [<param> ...]
 *
 *   key   = "inline:" base64(master key || master salt) ["|" lifetime] ["|" mki ":" mki-bytes]
 *   param = KDR=n | WSH=n | UNENCRYPTED_SRTP | UNENCRYPTED_SRTCP | UNAUTHENTICATED_SRTP
 *         | FEC_ORDER=order | FEC_KEY=<key>[;...] | ["-"] extension
 *
 * All names are compared without case (RFC 4568 4).
 */

static const uint64_t max_rtp = (uint64_t)1 << 48;  /* RFC 4568 6.2: SRTP packets a key may see */
static const uint64_t max_rtcp = (uint64_t)1 << 31; /* and SRTCP packets */

void sdes_line_wipe(struct sdes_line *line)
{
    cph_wipe(line, sizeof *line);
}

const struct cph_srtp_suite *sdes_suite(struct cph_span name)
{
    for (size_t i = 0; cph_srtp_suites[i]; i++)
        if (cph_srtp_suites[i]->sdes_name && cph_span_iis(name, cph_srtp_suites[i]->sdes_name))
            return cph_srtp_suites[i];
    return NULL;
}

bool sdes_key_eq(const struct cph_srtp_key *a, const struct cph_srtp_key *b)
{
    bool key = cph_ct_eq(cph_secret_span(&a->key), cph_secret_span(&b->key));
    bool salt = cph_ct_eq(cph_secret_span(&a->salt), cph_secret_span(&b->salt));

    return key && salt;
}

/* A decimal number without leading zeroes; zero itself only if allowed. */
static cph_err number(struct cph_span s, bool zero, uint64_t *out)
{
    CPH_TRY(cph_span_u64(s, out));
    if (s.n > 1 && s.p[0] == '0')
        return CPH_E_MALFORMED;
    return *out == 0 && !zero ? CPH_E_MALFORMED : CPH_OK;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* RFC 4568 6.1 MUST: the length is the suite's, or the line is not valid; padding may be left out
 */
static cph_err key_salt(struct cph_span text, const struct cph_srtp_suite *suite,
                        struct cph_srtp_key *key)
{
    CPH_SECRET_SCOPED both = { 0 };

    CPH_TRY(cph_unbase64(text, true, both.b, sizeof both.b, &both.n) == CPH_OK ? CPH_OK
                                                                               : CPH_E_MALFORMED);
    if (both.n != (size_t)suite->key_n + suite->salt_n)
        return CPH_E_MALFORMED;
    CPH_TRY(cph_secret_set(&key->key, (struct cph_span){ both.b, suite->key_n }));
    return cph_secret_set(&key->salt, (struct cph_span){ both.b + suite->key_n, suite->salt_n });
}

/* RFC 4568 6.1 MUST: no leading zeroes, not zero, not more than the suite allows. "2^31" or
 * "2147483648" */
static cph_err lifetime(struct cph_span text, struct cph_srtp_key *key)
{
    uint64_t v;

    if (cph_span_starts(text, "2^")) {
        CPH_TRY(number(cph_span_from(text, 2), true, &v));
        if (v > 48)
            return CPH_E_MALFORMED;
        v = (uint64_t)1 << v;
    } else {
        CPH_TRY(number(text, false, &v));
    }
    if (v > max_rtp)
        return CPH_E_MALFORMED;
    key->lifetime_rtp = v;
    key->lifetime_rtcp = v < max_rtcp ? v : max_rtcp;
    return CPH_OK;
}

/* A positive decimal number of any length as a big-endian integer of n bytes. */
static cph_err mki_value(struct cph_span digits, uint8_t *out, size_t n)
{
    bool zero = true;

    if (digits.n == 0 || digits.p[0] == '0')
        return CPH_E_MALFORMED; /* RFC 4568 6.1 MUST: positive, no leading zeroes */
    for (size_t i = 0; i < digits.n; i++) {
        unsigned carry = digits.p[i] - (unsigned)'0';

        if (carry > 9)
            return CPH_E_MALFORMED;
        for (size_t j = n; j-- > 0;) {
            carry += out[j] * 10U;
            out[j] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry > 0)
            return CPH_E_MALFORMED; /* does not fit into the bytes it is given */
        zero = false;
    }
    return zero ? CPH_E_MALFORMED : CPH_OK;
}

/* "1:4": value and bytes */
static cph_err mki(struct cph_span text, struct cph_srtp_key *key)
{
    struct cph_span value = cph_span_cut(&text, ':');
    uint64_t n;

    /* RFC 4568 6.1 MUST: a length is given and is 1 to 128 */
    CPH_TRY(number(text, false, &n));
    if (n > CPH_SRTP_MKI_MAX)
        return CPH_E_MALFORMED;
    key->mki_n = (uint8_t)n;
    return mki_value(value, key->mki, n);
}

/* One key-param. The lifetime never has a colon and the MKI always does: either may be absent. */
static cph_err key_param(struct cph_span text, const struct cph_srtp_suite *suite,
                         struct cph_srtp_key *key)
{
    struct cph_span method = cph_span_cut(&text, ':');
    bool more = cph_span_find(text, '|') < text.n;

    if (!cph_span_iis(method, "inline"))
        return CPH_E_UNSUPPORTED; /* RFC 4568 6.1: only inline is defined */
    CPH_TRY(key_salt(cph_span_cut(&text, '|'), suite, key));
    for (bool life = true; more;) {
        struct cph_span field = text;

        more = cph_span_find(text, '|') < text.n;
        if (more)
            field = cph_span_cut(&text, '|');
        if (cph_span_find(field, ':') < field.n)
            return more ? CPH_E_MALFORMED : mki(field, key); /* comes last */
        if (!life)
            return CPH_E_MALFORMED;
        CPH_TRY(lifetime(field, key));
        life = false;
    }
    return CPH_OK;
}

/* RFC 4568 6.1 MUST: of several keys each has an MKI, and all MKIs have one length; two keys with
 * one MKI could only be told apart by trial, which 4.3 forbids */
static cph_err check_mkis(const struct sdes_line *line)
{
    for (unsigned i = 1; i < line->n_keys; i++) {
        if (line->key[i].mki_n == 0 || line->key[i].mki_n != line->key[0].mki_n)
            return CPH_E_MALFORMED;
        for (unsigned j = 0; j < i; j++)
            if (memcmp(line->key[i].mki, line->key[j].mki, line->key[i].mki_n) == 0) /* public */
                return CPH_E_MALFORMED;
    }
    return CPH_OK;
}

static cph_err key_params(struct cph_span text, struct sdes_line *line)
{
    while (text.n > 0) {
        if (line->n_keys == SDES_MAX_KEYS)
            return CPH_E_UNSUPPORTED;
        CPH_TRY(key_param(cph_span_cut(&text, ';'), line->suite, &line->key[line->n_keys]));
        line->n_keys++;
    }
    return check_mkis(line);
}

/* ---- session parameters --------------------------------------------------------------------- */

enum param { KDR, WSH, PLAIN_RTP, PLAIN_RTCP, NO_AUTH, FEC_ORDER, FEC_KEY, EKT, N_PARAMS };

static const struct {
    const char *name;
    bool value;
} param_names[N_PARAMS] = {
    [KDR] = { "KDR", true },
    [WSH] = { "WSH", true },
    [PLAIN_RTP] = { "UNENCRYPTED_SRTP", false },
    [PLAIN_RTCP] = { "UNENCRYPTED_SRTCP", false },
    [NO_AUTH] = { "UNAUTHENTICATED_SRTP", false },
    [FEC_ORDER] = { "FEC_ORDER", true },
    [FEC_KEY] = { "FEC_KEY", true },
    [EKT] = { "EKT", true },
};

static cph_err kdr(struct cph_span value, struct sdes_line *line)
{
    uint64_t v;

    /* RFC 4568 6.3.1 MUST: 1 to 24, a power of two, no leading zeroes */
    CPH_TRY(number(value, false, &v));
    if (v > SDES_KDR_MAX)
        return CPH_E_MALFORMED;
    line->kdr = (unsigned)v;
    return CPH_OK;
}

static cph_err wsh(struct cph_span value, struct sdes_line *line)
{
    uint64_t v;

    /* RFC 4568 9.2: 64 or more; a hint, so that more than we keep is cut */
    CPH_TRY(number(value, false, &v));
    if (v < SDES_WSH_MIN)
        return CPH_E_MALFORMED;
    line->wsh = v < CPH_SRTP_WINDOW_MAX ? (unsigned)v : CPH_SRTP_WINDOW_MAX;
    return CPH_OK;
}

static cph_err param_set(enum param p, struct cph_span value, struct sdes_line *line)
{
    switch (p) {
    case KDR:
        return kdr(value, line);
    case WSH:
        return wsh(value, line);
    case PLAIN_RTP:
        line->unencrypted_rtp = true;
        return CPH_OK;
    case PLAIN_RTCP:
        line->unencrypted_rtcp = true;
        return CPH_OK;
    case NO_AUTH:
        line->unauthenticated_rtp = true;
        return CPH_OK;
    case FEC_ORDER:
        line->srtp_then_fec = cph_span_iis(value, "SRTP_FEC");
        return line->srtp_then_fec || cph_span_iis(value, "FEC_SRTP") ? CPH_OK : CPH_E_MALFORMED;
    case FEC_KEY:
        /* RFC 4568 6.3.5 MUST: not valid unless FEC goes to an address of its own, which we never
         * agree to */
        return CPH_E_UNSUPPORTED;
    case EKT:
        line->ekt = true;
        return cph_ekt_sdes_parse(value, &line->set);
    case N_PARAMS:
        break;
    }
    return CPH_E_BUG;
}

static cph_err session_param(struct cph_span word, unsigned *seen, struct sdes_line *line)
{
    struct cph_span value = word, name = cph_span_cut(&value, '=');
    bool has_value = name.n < word.n;

    if (word.p[0] == '-') /* RFC 4568 6.3.7: optional, may be ignored; 9.2: not a second dash */
        return word.n > 1 && word.p[1] != '-' ? CPH_OK : CPH_E_MALFORMED;
    for (unsigned p = 0; p < N_PARAMS; p++) {
        if (!cph_span_iis(name, param_names[p].name))
            continue;
        if (has_value != param_names[p].value || (*seen & 1U << p))
            return CPH_E_MALFORMED;
        *seen |= 1U << p;
        return param_set((enum param)p, value, line);
    }
    /* RFC 4568 6.3.7 MUST: a line with an unknown parameter that is not optional is not valid */
    return CPH_E_UNSUPPORTED;
}

/* What a suite cannot do; srtp would refuse it too, later and less clearly. */
static cph_err check_flags(const struct sdes_line *line)
{
    bool aead = line->suite->salt_n == 12; /* RFC 7714 12: encryption and tag are one */

    if (line->unauthenticated_rtp && (aead || line->unencrypted_rtp))
        return CPH_E_UNSUPPORTED;
    /* RFC 8870 4 MUST NOT: EKT with an MKI; trying keys needs a MAC, 6: and a key long enough */
    if (line->ekt && (line->key[0].mki_n > 0 || line->n_keys > 1 || line->unauthenticated_rtp ||
                      line->set.key.n < line->suite->key_n))
        return CPH_E_UNSUPPORTED;
    return aead && line->unencrypted_rtp ? CPH_E_UNSUPPORTED : CPH_OK;
}

cph_err sdes_line_parse(struct cph_span arg, struct sdes_line *out)
{
    SDES_LINE_SCOPED v = { 0 };
    struct cph_sdp_crypto c;
    struct cph_span word;
    unsigned seen = 0;

    CPH_TRY(cph_sdp_crypto_parse(arg, &c));
    v.tag = c.tag;
    v.suite = sdes_suite(c.suite);
    if (!v.suite)
        return CPH_E_UNSUPPORTED;
    CPH_TRY(key_params(c.key_params, &v));
    while ((word = cph_span_word(&c.session_params)).n > 0)
        CPH_TRY(session_param(word, &seen, &v));
    CPH_TRY(check_flags(&v));
    if (v.ekt)
        v.set.salt = v.key[0].salt;
    *out = v;
    return CPH_OK;
}

/* ---- building ------------------------------------------------------------------------------- */

static void key_write(const struct cph_srtp_key *key, struct cph_wr *wr)
{
    CPH_SECRET_SCOPED both = { 0 }, text = { 0 };
    uint64_t value = 0;

    memcpy(both.b, key->key.b, key->key.n);
    memcpy(both.b + key->key.n, key->salt.b, key->salt.n);
    both.n = key->key.n + key->salt.n;
    cph_base64(cph_secret_span(&both), (char *)text.b);
    cph_wr_text(wr, "inline:");
    cph_wr_text(wr, (const char *)text.b);
    if (key->mki_n == 0)
        return;
    for (unsigned i = 0; i < key->mki_n; i++)
        value = value << 8 | key->mki[i]; /* ours are small numbers */
    cph_wr_fmt(wr, "|%llu:%u", (unsigned long long)value, key->mki_n);
}

cph_err sdes_line_add(const struct sdes_line *line, const struct cph_keying_local *to)
{
    uint8_t keys[1024];
    char flags[80 + CPH_EKT_SDES + 5] = "", ekt[CPH_EKT_SDES] = "";
    struct cph_wr wr = cph_wr_open(keys, sizeof keys), fl = cph_wr_open(flags, sizeof flags);
    struct cph_sdp_crypto c = { .tag = line->tag, .suite = cph_span_of(line->suite->sdes_name) };
    cph_err err;

    for (unsigned i = 0; i < line->n_keys; i++) {
        if (i > 0)
            cph_wr_u8(&wr, ';');
        key_write(&line->key[i], &wr);
    }
    cph_wr_fmt(&fl, "%s%s%s", line->unencrypted_rtp ? " UNENCRYPTED_SRTP" : "",
               line->unencrypted_rtcp ? " UNENCRYPTED_SRTCP" : "",
               line->unauthenticated_rtp ? " UNAUTHENTICATED_SRTP" : "");
    if (line->ekt) {
        cph_ekt_sdes_build(&line->set, ekt);
        cph_wr_text(&fl, " EKT=");
        cph_wr_text(&fl, ekt);
    }
    c.key_params = cph_wr_done(&wr);
    c.session_params = cph_span_trim(cph_wr_done(&fl));
    err = cph_wr_end(&wr) == CPH_OK ? cph_sdp_crypto_add(to->sdp, to->media, &c) : CPH_E_BUG;
    cph_wipe(keys, sizeof keys);
    cph_wipe(flags, sizeof flags);
    cph_wipe(ekt, sizeof ekt);
    return err;
}
