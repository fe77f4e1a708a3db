/* The same exchange between two ends of libbzrtp, as linphone has it. */
#include "keying_bench.h"

#ifdef HAVE_BZRTP
#include <string.h>

#include <bzrtp/bzrtp.h>

enum { FLIGHT = 32, ITERATIONS = 2000 };

struct their_end {
    bzrtpContext_t *ctx;
    bool secure;
    uint8_t cipher, agreement;
    unsigned n; /* packets on their way to the other end */
    struct {
        uint16_t n;
        uint8_t b[CPH_KEYING_PACKET];
    } out[FLIGHT];
};

static const struct {
    const char *name;
    uint8_t id;
} agreements[] = {
    { "X255", ZRTP_KEYAGREEMENT_X255 },
    { "X448", ZRTP_KEYAGREEMENT_X448 },
    { "DH3k", ZRTP_KEYAGREEMENT_DH3k },
    { "DH2k", ZRTP_KEYAGREEMENT_DH2k },
};

static uint8_t id_of(const char *name)
{
    for (size_t i = 0; i < sizeof agreements / sizeof *agreements; i++)
        if (strcmp(agreements[i].name, name) == 0)
            return agreements[i].id;
    return 0;
}

static int their_send(void *data, const uint8_t *packet, uint16_t n)
{
    struct their_end *e = data;

    if (e->n == FLIGHT || n > CPH_KEYING_PACKET)
        bench_die("too much at once", "libbzrtp");
    memcpy(e->out[e->n].b, packet, n);
    e->out[e->n++].n = n;
    return 0;
}

static int their_secure(void *data, const bzrtpSrtpSecrets_t *s, int32_t verified)
{
    struct their_end *e = data;

    (void)verified;
    e->secure = true;
    e->cipher = s->cipherAlgo;
    e->agreement = s->keyAgreementAlgo;
    return 0;
}

bool bench_bzrtp_has(const char *agreement)
{
    bzrtpContext_t *c = bzrtp_createBzrtpContext();
    uint8_t types[7], n = bzrtp_getSupportedCryptoTypes(c, ZRTP_KEYAGREEMENT_TYPE, types);
    bool has = false;

    bzrtp_initBzrtpContext(c, 1);
    bzrtp_destroyBzrtpContext(c, 1);
    for (uint8_t i = 0; i < n; i++)
        has |= types[i] == id_of(agreement) && types[i] != 0;
    return has;
}

static void their_open(struct their_end *e, uint32_t ssrc, uint8_t agreement, uint8_t cipher)
{
    bzrtpCallbacks_t cbs = { .bzrtp_sendData = their_send, .bzrtp_startSrtpSession = their_secure };
    uint8_t list[7] = { agreement, ZRTP_KEYAGREEMENT_Mult }, ciphers[7] = { cipher };

    memset(e, 0, sizeof *e);
    e->ctx = bzrtp_createBzrtpContext();
    if (!e->ctx)
        bench_die("no context", "libbzrtp");
    bzrtp_setCallbacks(e->ctx, &cbs);
    bzrtp_initBzrtpContext(e->ctx, ssrc);
    bzrtp_setSupportedCryptoTypes(e->ctx, ZRTP_KEYAGREEMENT_TYPE, list, 2);
    bzrtp_setSupportedCryptoTypes(e->ctx, ZRTP_CIPHERBLOCK_TYPE, ciphers, 1);
    bzrtp_setClientData(e->ctx, ssrc, e);
    bzrtp_startChannelEngine(e->ctx, ssrc);
}

void bench_bzrtp_exchange(const char *agreement, const char *cipher)
{
    static struct their_end end[2];
    uint8_t want = strcmp(cipher, "AES3") == 0 ? ZRTP_CIPHER_AES3 : ZRTP_CIPHER_AES1;

    for (uint32_t e = 0; e < 2; e++)
        their_open(&end[e], e + 1, id_of(agreement), want);
    for (uint64_t ms = 0; ms < 10 * ITERATIONS && !(end[0].secure && end[1].secure); ms += 10)
        for (uint32_t e = 0; e < 2; e++) {
            unsigned n = end[1 - e].n;

            for (unsigned i = 0; i < n; i++)
                bzrtp_processMessage(end[e].ctx, e + 1, end[1 - e].out[i].b, end[1 - e].out[i].n);
            end[1 - e].n = 0;
            bzrtp_iterate(end[e].ctx, e + 1, ms);
        }
    for (uint32_t e = 0; e < 2; e++) {
        if (!end[e].secure || end[e].cipher != want || end[e].agreement != id_of(agreement))
            bench_die("an exchange did not end as it should", "libbzrtp");
        bzrtp_destroyBzrtpContext(end[e].ctx, e + 1);
    }
}
#else
bool bench_bzrtp_has(const char *agreement)
{
    (void)agreement;
    return false;
}

void bench_bzrtp_exchange(const char *agreement, const char *cipher)
{
    (void)cipher;
    bench_die("built without libbzrtp", agreement);
}
#endif
