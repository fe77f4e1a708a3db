/* The types of RFC 6189 5.1.2 to 5.1.6: what we can do, what we offer, and how two lists are one.
 */
#include "zrtp_wire.h"

#include <string.h>

#include "ciphony/base_text.h"

#define ID4(s) ZRTP_ID((s)[0], (s)[1], (s)[2], (s)[3])

static const struct zrtp_alg hashes[] = {
    { ZRTP_ID('S', '2', '5', '6'), "S256", .digest = CPH_DIGEST_SHA256, .hash_n = 32 },
    { ZRTP_ID('S', '3', '8', '4'), "S384", .digest = CPH_DIGEST_SHA384, .hash_n = 48 },
};
static const struct zrtp_alg ciphers[] = {
    { ZRTP_ID('A', 'E', 'S', '1'), "AES1", .key_n = 16 },
    { ZRTP_ID('A', 'E', 'S', '2'), "AES2", .key_n = 24 },
    { ZRTP_ID('A', 'E', 'S', '3'), "AES3", .key_n = 32 },
};
static const struct zrtp_alg tags[] = {
    { ZRTP_ID('H', 'S', '3', '2'), "HS32", .tag_bits = 32 },
    { ZRTP_ID('H', 'S', '8', '0'), "HS80", .tag_bits = 80 },
};
/* The fastest first (4.1.2); X255 and X448 stand where deployed peers have them. */
static const struct zrtp_alg agreements[] = {
    { ZRTP_ID('D', 'H', '2', 'k'), "DH2k", .group = CPH_AGREE_MODP_2048, .rank = 0 },
    { ZRTP_ID('X', '2', '5', '5'), "X255", .group = CPH_AGREE_X25519, .rank = 1 },
    { ZRTP_ID('E', 'C', '2', '5'), "EC25", .group = CPH_AGREE_P256, .rank = 2 },
    { ZRTP_ID('X', '4', '4', '8'), "X448", .group = CPH_AGREE_X448, .rank = 3 },
    { ZRTP_DH3K, "DH3k", .group = CPH_AGREE_MODP_3072, .rank = 4 },
    { ZRTP_ID('E', 'C', '3', '8'), "EC38", .group = CPH_AGREE_P384, .rank = 5, .wants_s384 = true },
    { ZRTP_MULT, "Mult", .group = CPH_AGREE_COUNT_, .rank = UINT16_MAX },
    { ZRTP_PRSH, "Prsh", .group = CPH_AGREE_COUNT_, .rank = UINT16_MAX },
};
static const struct zrtp_alg sases[] = {
    { .id = ZRTP_ID('B', '3', '2', ' '), .name = "B32 " },
    { .id = ZRTP_ID('B', '2', '5', '6'), .name = "B256" },
};

#define N(array) (sizeof(array) / sizeof *(array))

static const struct {
    const struct zrtp_alg *row;
    size_t n;
    uint32_t mandatory[2];       /* 5.1.2 to 5.1.6: what every endpoint supports */
    const char *const *defaults; /* best first */
} kinds[ZRTP_KINDS] = {
    [ZRTP_K_HASH] = { hashes,
                      N(hashes),
                      { ZRTP_ID('S', '2', '5', '6') },
                      (const char *const[]){ "S256", "S384", NULL } },
    [ZRTP_K_CIPHER] = { ciphers,
                        N(ciphers),
                        { ZRTP_ID('A', 'E', 'S', '1') },
                        (const char *const[]){ "AES3", "AES1", NULL } },
    [ZRTP_K_TAG] = { tags,
                     N(tags),
                     { ZRTP_ID('H', 'S', '3', '2'), ZRTP_ID('H', 'S', '8', '0') },
                     (const char *const[]){ "HS80", "HS32", NULL } },
    [ZRTP_K_AGREEMENT] = { agreements,
                           N(agreements),
                           { ZRTP_DH3K },
                           (const char *const[]){ "X255", "EC25", "DH3k", "EC38", NULL } },
    [ZRTP_K_SAS] = { sases,
                     N(sases),
                     { ZRTP_ID('B', '3', '2', ' ') },
                     (const char *const[]){ "B32 ", "B256", NULL } },
};

const struct zrtp_alg *zrtp_alg(enum zrtp_kind kind, uint32_t id)
{
    for (size_t i = 0; i < kinds[kind].n; i++) {
        if (kinds[kind].row[i].id == id)
            return &kinds[kind].row[i];
    }
    return NULL;
}

uint32_t zrtp_id_of(const char *name)
{
    return strlen(name) == 4 ? ID4(name) : 0;
}

const char *const *zrtp_defaults(enum zrtp_kind kind)
{
    return kinds[kind].defaults;
}

bool zrtp_list_has(const struct zrtp_list *list, uint32_t id)
{
    for (unsigned i = 0; i < list->n; i++) {
        if (list->id[i] == id)
            return true;
    }
    return false;
}

void zrtp_list_complete(enum zrtp_kind kind, const struct zrtp_list *in, struct zrtp_list *out)
{
    struct zrtp_list v = *in;

    /* 5.2: what is mandatory and not listed is there, behind the rest */
    for (size_t i = 0; i < N(kinds[kind].mandatory); i++) {
        uint32_t id = kinds[kind].mandatory[i];

        if (id != 0 && !zrtp_list_has(&v, id) && v.n < ZRTP_FULL)
            v.id[v.n++] = id;
    }
    *out = v;
}

uint32_t zrtp_pick(const struct zrtp_list *ours, const struct zrtp_list *theirs)
{
    for (unsigned i = 0; i < ours->n; i++) {
        if (zrtp_list_has(theirs, ours->id[i]))
            return ours->id[i];
    }
    return 0;
}

/* Without the ways that are no agreement, and without what needs a hash that one side lacks. */
static struct zrtp_list agreements_only(const struct zrtp_list *all, bool s384)
{
    struct zrtp_list out = { 0 };

    for (unsigned i = 0; i < all->n; i++) {
        const struct zrtp_alg *a = zrtp_alg(ZRTP_K_AGREEMENT, all->id[i]);

        if (a && a->group != CPH_AGREE_COUNT_ && (s384 || !a->wants_s384))
            out.id[out.n++] = all->id[i];
    }
    return out;
}

uint32_t zrtp_pick_agreement(const struct zrtp_hello *ours, const struct zrtp_hello *theirs)
{
    uint32_t s384_id = ZRTP_ID('S', '3', '8', '4');
    bool s384 = zrtp_list_has(&ours->list[ZRTP_K_HASH], s384_id) &&
                zrtp_list_has(&theirs->list[ZRTP_K_HASH], s384_id);
    struct zrtp_list a, b;
    const struct zrtp_alg *first, *second;

    zrtp_list_complete(ZRTP_K_AGREEMENT, &ours->list[ZRTP_K_AGREEMENT], &a);
    zrtp_list_complete(ZRTP_K_AGREEMENT, &theirs->list[ZRTP_K_AGREEMENT], &b);
    a = agreements_only(&a, s384);
    b = agreements_only(&b, s384);
    first = zrtp_alg(ZRTP_K_AGREEMENT, zrtp_pick(&a, &b));
    second = zrtp_alg(ZRTP_K_AGREEMENT, zrtp_pick(&b, &a));
    if (!first || !second)
        return 0;
    /* 4.1.2 SHOULD: of the two first choices the faster one, so that both come to the same */
    return first->rank <= second->rank ? first->id : second->id;
}

const struct cph_srtp_suite *zrtp_suite(const struct zrtp_alg *cipher, const struct zrtp_alg *tag)
{
    static const char *const names[3][2] = {
        { "AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80" },
        { "AES_192_CM_HMAC_SHA1_32", "AES_192_CM_HMAC_SHA1_80" },
        { "AES_256_CM_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80" },
    };

    return cph_srtp_suite_by_sdes(
        cph_span_of(names[cipher->key_n / 8 - 2][tag->tag_bits == 80 ? 1 : 0]));
}

const char *zrtp_error_text(unsigned code)
{
    switch ((enum zrtp_error_code)code) {
    case ZRTP_E_NONE:
        return "no error";
    case ZRTP_E_MALFORMED:
        return "malformed packet";
    case ZRTP_E_SOFTWARE:
        return "critical software error";
    case ZRTP_E_VERSION:
        return "unsupported ZRTP version";
    case ZRTP_E_HELLO:
        return "Hello components mismatch";
    case ZRTP_E_HASH:
        return "hash type not supported";
    case ZRTP_E_CIPHER:
        return "cipher type not supported";
    case ZRTP_E_AGREEMENT:
        return "public key exchange not supported";
    case ZRTP_E_TAG:
        return "SRTP auth tag not supported";
    case ZRTP_E_SAS:
        return "SAS rendering scheme not supported";
    case ZRTP_E_NO_SECRET:
        return "no shared secret available";
    case ZRTP_E_BAD_PV:
        return "bad public value";
    case ZRTP_E_BAD_HVI:
        return "the hash commitment does not match";
    case ZRTP_E_UNTRUSTED_MITM:
        return "relayed SAS from an untrusted man in the middle";
    case ZRTP_E_CONFIRM_MAC:
        return "bad MAC of a Confirm message";
    case ZRTP_E_NONCE:
        return "nonce reuse";
    case ZRTP_E_EQUAL_ZID:
        return "equal ZIDs in Hello";
    case ZRTP_E_SSRC:
        return "SSRC collision";
    case ZRTP_E_UNAVAILABLE:
        return "service unavailable";
    case ZRTP_E_TIMEOUT:
        return "protocol timeout";
    case ZRTP_E_GOCLEAR:
        return "GoClear received, but not allowed";
    }
    return "unknown error";
}
