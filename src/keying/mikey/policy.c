/*
 * A policy is a row of type, length, value; what is not said has SRTP's default.
 *
 *   0 encryption    0 NULL, 1 AES-CM, 2 AES-F8, 6 AES-GCM     6 key derivation rate
 *   1 its key, bytes                                          7, 8 encryption of SRTP, SRTCP on
 *   2 authentication 0 NULL, 1 HMAC-SHA-1                     10 authentication of SRTP on
 *   3 its key, bytes                                          11 tag, bytes  (18 SRTP, 19 SRTCP)
 *   4 salt, bytes                                             12 prefix, bytes
 *   13 one packet in so many has the ROC in its tag           14, 15 authentication of SRTP, SRTCP
 *   5 pseudo-random function                                  20 AEAD tag, bytes
 */
#include "mikey_int.h"

enum {
    SP_ENCR = 0,
    SP_ENCR_KEY = 1,
    SP_AUTH = 2,
    SP_AUTH_KEY = 3,
    SP_SALT = 4,
    SP_PRF = 5,
    SP_KDR = 6,
    SP_RTP_ENCR = 7,
    SP_RTCP_ENCR = 8,
    SP_FEC = 9,
    SP_RTP_AUTH = 10,
    SP_TAG = 11,
    SP_PREFIX = 12,
    SP_ROC_RATE = 13, /* RFC 4771 4, as are 14 to 19 */
    SP_RTP_AUTH_ALG = 14,
    SP_RTCP_AUTH_ALG = 15,
    SP_RTP_TAG = 18,
    SP_RTCP_TAG = 19,
    SP_AEAD_TAG = 20, /* RFC 7714 14.3 */
    SP_TYPES = 21,

    GCM_SALT = 12,
    NULL_CIPHER = 0,
    AES_CM = 1,
    AES_GCM = 6, /* RFC 7714 14.3 */
    HMAC_SHA1 = 1,
    NOT_SAID = -1,
};

struct said {
    int64_t v[SP_TYPES]; /* NOT_SAID, or the value */
};

static int64_t or_else(const struct said *s, int type, int64_t deflt)
{
    return s->v[type] == NOT_SAID ? deflt : s->v[type];
}

static cph_err read_params(struct cph_span params, struct said *out)
{
    struct cph_rd rd = cph_rd_open(params);

    for (int i = 0; i < SP_TYPES; i++)
        out->v[i] = NOT_SAID;
    while (cph_rd_more(&rd)) {
        uint8_t type = cph_rd_u8(&rd);
        struct cph_rd value = cph_rd_vec8(&rd);
        int64_t v = 0;

        if (rd.failed)
            return CPH_E_TRUNCATED;
        if (type >= SP_TYPES)
            return CPH_E_UNSUPPORTED; /* not understood is not agreed */
        if (value.n == 0 || value.n > 4 || out->v[type] != NOT_SAID)
            return CPH_E_MALFORMED;
        while (cph_rd_more(&value))
            v = v << 8 | cph_rd_u8(&value);
        out->v[type] = v;
    }
    return cph_rd_end(&rd);
}

static bool is_aead(const struct cph_srtp_suite *s)
{
    return s->salt_n == GCM_SALT;
}

static const struct cph_srtp_suite *find(int64_t cipher, int64_t key_n, int64_t tag_n)
{
    for (size_t i = 0; cph_srtp_suites[i]; i++) {
        const struct cph_srtp_suite *s = cph_srtp_suites[i];

        if (is_aead(s) == (cipher == AES_GCM) && s->encrypts == (cipher != NULL_CIPHER) &&
            s->key_n == key_n && s->tag_n == tag_n)
            return s;
    }
    return NULL;
}

/* Parameters that we have in one way only. */
static bool usual(const struct said *s, bool aead)
{
    int64_t auth_key = or_else(s, SP_AUTH_KEY, 20);

    /* Met in the field: the length of the tag in the place of that of the key (GStreamer). The key
     * has 20 bytes in any case: RFC 3711 5.2. */
    return (auth_key == 20 || auth_key == 10 || auth_key == 4) &&
           or_else(s, SP_SALT, aead ? GCM_SALT : 14) == (aead ? GCM_SALT : 14) &&
           or_else(s, SP_PRF, 0) == 0 && or_else(s, SP_FEC, 0) == 0 &&
           or_else(s, SP_PREFIX, 0) == 0 && or_else(s, SP_AUTH, HMAC_SHA1) <= HMAC_SHA1 &&
           or_else(s, SP_RTCP_AUTH_ALG, HMAC_SHA1) == HMAC_SHA1 && s->v[16] == NOT_SAID &&
           s->v[17] == NOT_SAID;
}

static int64_t tag_of(const struct said *s, bool aead)
{
    int64_t auth_key = or_else(s, SP_AUTH_KEY, 20);

    if (aead) /* RFC 7714 14.3: 16 unless said */
        return or_else(s, SP_AEAD_TAG, 16);
    /* RFC 4771 4 MUST: what is said of SRTP alone stands above what is said of both */
    if (or_else(s, SP_RTP_AUTH_ALG, HMAC_SHA1) != HMAC_SHA1)
        return 10; /* what is left of SRTP's own; the real one has the ROC in it */
    return or_else(s, SP_RTP_TAG, or_else(s, SP_TAG, auth_key < 20 ? auth_key : 10));
}

/* RFC 4771 4. Of its modes we take the one where every packet has a MAC, and that of 80 bits or
 * more: in the others anybody can move our counter. */
static cph_err roc_in_tags(const struct said *s, bool aead, struct mikey_policy *p)
{
    int64_t alg = or_else(s, SP_RTP_AUTH_ALG, HMAC_SHA1), rate = or_else(s, SP_ROC_RATE, 1);
    int64_t tag = or_else(s, SP_RTP_TAG, CPH_SRTP_RCC_TAG);

    if (alg == HMAC_SHA1)
        return s->v[SP_ROC_RATE] == NOT_SAID ? CPH_OK : CPH_E_UNSUPPORTED;
    if (alg != CPH_SRTP_RCC_2 || aead || tag < CPH_SRTP_RCC_TAG || tag > CPH_SRTP_RCC_TAG_MAX)
        return CPH_E_UNSUPPORTED;
    /* RFC 4771 4 MUST: R is not 0 */
    if (rate < 1 || rate > UINT16_MAX)
        return CPH_E_MALFORMED;
    p->rcc_rate = (uint16_t)rate;
    p->rcc_tag_n = (uint8_t)tag; /* RFC 4771 4 MUST: it counts the ROC */
    return CPH_OK;
}

static bool power_of_two(uint64_t v)
{
    return (v & (v - 1)) == 0;
}

void mikey_policy_default(uint8_t no, struct mikey_policy *out)
{
    *out = (struct mikey_policy){ .no = no, .suite = find(AES_CM, 16, 10) };
}

cph_err mikey_policy_read(const struct mikey_sp *sp, struct mikey_policy *out)
{
    struct mikey_policy p = { .no = sp->no };
    struct said s;
    int64_t cipher;
    bool aead;

    CPH_TRY(read_params(sp->params, &s));
    cipher = or_else(&s, SP_ENCR, AES_CM);
    aead = cipher == AES_GCM;
    if ((cipher != NULL_CIPHER && cipher != AES_CM && !aead) || !usual(&s, aead))
        return CPH_E_UNSUPPORTED;
    CPH_TRY(roc_in_tags(&s, aead, &p));
    p.suite = find(cipher, or_else(&s, SP_ENCR_KEY, 16), tag_of(&s, aead));
    p.kdr = (uint64_t)or_else(&s, SP_KDR, 0);
    p.unencrypted_rtp = or_else(&s, SP_RTP_ENCR, 1) == 0;
    p.unencrypted_rtcp = or_else(&s, SP_RTCP_ENCR, 1) == 0;
    p.unauthenticated_rtp = !aead && (or_else(&s, SP_RTP_AUTH, 1) == 0 ||
                                      or_else(&s, SP_AUTH, HMAC_SHA1) == 0);
    if (!p.suite || !power_of_two(p.kdr) || p.kdr > (uint64_t)1 << 24)
        return CPH_E_UNSUPPORTED;
    if (or_else(&s, SP_RTCP_TAG, p.suite->rtcp_tag_n) != p.suite->rtcp_tag_n)
        return CPH_E_UNSUPPORTED;
    if (p.rcc_rate > 0 && p.unauthenticated_rtp)
        return CPH_E_UNSUPPORTED;
    /* without cipher and tag nothing is left of SRTP */
    if (p.unauthenticated_rtp && (p.unencrypted_rtp || !p.suite->encrypts))
        return CPH_E_UNSUPPORTED;
    *out = p;
    return CPH_OK;
}

static void put(struct cph_wr *wr, uint8_t type, uint8_t value)
{
    cph_wr_u8(wr, type);
    cph_wr_u8(wr, 1);
    cph_wr_u8(wr, value);
}

void mikey_policy_write(const struct cph_srtp_suite *suite, struct cph_wr *wr)
{
    bool aead = is_aead(suite);

    put(wr, SP_ENCR, aead ? AES_GCM : suite->encrypts ? AES_CM : NULL_CIPHER);
    put(wr, SP_ENCR_KEY, suite->key_n);
    if (aead) {
        put(wr, SP_SALT, suite->salt_n);
        put(wr, SP_AEAD_TAG, suite->tag_n);
        return;
    }
    put(wr, SP_AUTH, HMAC_SHA1);
    put(wr, SP_AUTH_KEY, 20);
    put(wr, SP_SALT, suite->salt_n);
    put(wr, SP_RTP_AUTH, 1);
    put(wr, SP_TAG, suite->tag_n);
}
