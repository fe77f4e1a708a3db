/* Against libbzrtp: every agreement it has, both roles, loss, Multistream, continuity. */
#include "zrtp_pair.h"

#include <bzrtp/bzrtp.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "ciphony/base_text.h"

enum { RUNS = 40, THEIR_SSRC = 0x7e570000 };

/* One stream of theirs. */
struct channel {
    struct theirs *of;
    uint32_t ssrc;
    int stream;
    bool secure;
    int verified, mismatch;
    uint8_t key[2][32], salt[2][14]; /* self, peer */
    size_t key_n;
    uint8_t cipher, tag, agreement;
    char sas[32];
};

struct theirs {
    struct duo *duo;
    bzrtpContext_t *ctx;
    struct channel channel[PAIR_STREAMS];
    unsigned channels;
};

static int on_send(void *data, const uint8_t *packet, uint16_t n)
{
    struct channel *c = data;
    struct duo *d = c->of->duo;
    struct flight f = { .to = 0, .stream = c->stream, .n = n };

    assert_true(n <= sizeof f.b);
    memcpy(f.b, packet, n);
    d->sent[1][flight_type(&f)]++; /* every packet of theirs is one of ours to read */
    if (!percent(d, d->link.loss)) {
        launch(d, &f);
        if (percent(d, d->link.twice))
            launch(d, &f);
    }
    return 0;
}

static int on_secrets(void *data, const bzrtpSrtpSecrets_t *s, uint8_t part)
{
    struct channel *c = data;

    (void)part;
    c->key_n = s->selfSrtpKeyLength;
    if (s->selfSrtpKey && s->selfSrtpKeyLength <= 32) {
        memcpy(c->key[0], s->selfSrtpKey, s->selfSrtpKeyLength);
        memcpy(c->salt[0], s->selfSrtpSalt, 14);
    }
    if (s->peerSrtpKey && s->peerSrtpKeyLength <= 32) {
        memcpy(c->key[1], s->peerSrtpKey, s->peerSrtpKeyLength);
        memcpy(c->salt[1], s->peerSrtpSalt, 14);
    }
    c->cipher = s->cipherAlgo;
    c->tag = s->authTagAlgo;
    c->agreement = s->keyAgreementAlgo;
    c->mismatch = s->cacheMismatch;
    if (s->sas)
        snprintf(c->sas, sizeof c->sas, "%s", s->sas);
    return 0;
}

static int on_secure(void *data, const bzrtpSrtpSecrets_t *s, int32_t verified)
{
    struct channel *c = data;

    c->secure = true;
    c->verified = verified;
    c->mismatch = s->cacheMismatch;
    if (s->sas)
        snprintf(c->sas, sizeof c->sas, "%s", s->sas);
    return 0;
}

/* ---- driving both ---------------------------------------------------------------------------- */

static void theirs_open(struct theirs *t, struct duo *d, sqlite3 *db, const uint8_t *agreements,
                        uint8_t n)
{
    bzrtpCallbacks_t cbs = { 0 };
    uint8_t list[7];

    memset(t, 0, sizeof *t);
    t->duo = d;
    t->ctx = bzrtp_createBzrtpContext();
    assert_non_null(t->ctx);
    cbs.bzrtp_sendData = on_send;
    cbs.bzrtp_srtpSecretsAvailable = on_secrets;
    cbs.bzrtp_startSrtpSession = on_secure;
    assert_int_equal(bzrtp_setCallbacks(t->ctx, &cbs), 0);
    if (db)
        (void)bzrtp_setZIDCache(t->ctx, db, "sip:them@example.org", "sip:us@example.org");
    assert_int_equal(bzrtp_initBzrtpContext(t->ctx, THEIR_SSRC), 0);
    memcpy(list, agreements, n);
    bzrtp_setSupportedCryptoTypes(t->ctx, ZRTP_KEYAGREEMENT_TYPE, list, n);
}

static void theirs_start(struct theirs *t)
{
    struct channel *c = &t->channel[t->channels];

    c->of = t;
    c->stream = (int)t->channels;
    c->ssrc = THEIR_SSRC + t->channels;
    if (t->channels > 0)
        assert_int_equal(bzrtp_addChannel(t->ctx, c->ssrc), 0);
    assert_int_equal(bzrtp_setClientData(t->ctx, c->ssrc, c), 0);
    t->channels++;
    assert_int_equal(bzrtp_startChannelEngine(t->ctx, c->ssrc), 0);
}

static void theirs_close(struct theirs *t)
{
    for (unsigned i = t->channels; i > 0; i--)
        (void)bzrtp_destroyBzrtpContext(t->ctx, t->channel[i - 1].ssrc);
}

static void step(struct duo *d, struct theirs *t, cph_time now)
{
    d->now = now;
    for (int i = 0; i < PAIR_FLIGHT; i++) {
        struct flight f = d->flight[i];

        if (!f.used || f.at > now || f.to != 1)
            continue;
        d->flight[i].used = false;
        if ((unsigned)f.stream < t->channels)
            (void)bzrtp_processMessage(t->ctx, t->channel[f.stream].ssrc, f.b, (uint16_t)f.n);
    }
    for (unsigned i = 0; i < t->channels; i++)
        (void)bzrtp_iterate(t->ctx, t->channel[i].ssrc, (uint64_t)(now / 1000));
    duo_turn(d); /* our end, with what is in flight to it */
}

/* Until every stream is secure on both sides. */
static bool both_secure(const struct duo *d, const struct theirs *t)
{
    for (unsigned i = 0; i < t->channels; i++) {
        if (!t->channel[i].secure || d->end[0].z[i]->live.state != ZRTP_SECURE)
            return false;
    }
    return true;
}

static void run_until_secure(struct duo *d, struct theirs *t)
{
    cph_time end = d->now + CPH_SEC(30);

    while (!both_secure(d, t) && d->now < end)
        step(d, t, d->now + CPH_MS(10));
    assert_true(both_secure(d, t));
}

static void assert_keys_are_theirs(const struct duo *d, const struct channel *c)
{
    const struct zrtp *z = d->end[0].z[c->stream];
    struct cph_srtp_policy send = { 0 }, recv = { 0 };
    struct cph_zrtp_info info;

    assert_ok(zrtp_srtp_policy(z, CPH_KEYING_SEND, &send));
    assert_ok(zrtp_srtp_policy(z, CPH_KEYING_RECV, &recv));
    assert_int_equal(send.master.key.n, c->key_n);
    assert_memory_equal(send.master.key.b, c->key[1], c->key_n);
    assert_memory_equal(recv.master.key.b, c->key[0], c->key_n);
    assert_memory_equal(send.master.salt.b, c->salt[1], 14);
    assert_memory_equal(recv.master.salt.b, c->salt[0], 14);
    info_of(z, &info);
    if (c->stream > 0)
        return;
    if (strcmp(info.sas_type, "B256") == 0) { /* theirs is "even:odd" */
        char *colon = strchr(info.sas, ' ');

        assert_non_null(colon);
        *colon = ':';
    }
    assert_string_equal(info.sas, c->sas);
}

static void ours_open(struct duo *d, unsigned streams, const char *const *agreements)
{
    d->streams = 1;
    d->end[0].cfg.agreements = agreements;
    end_open(&d->end[0], streams, 0x1000);
}

/* ---- what is tried --------------------------------------------------------------------------- */

static const struct {
    uint8_t theirs;
    const char *ours[2];
} agreement[] = {
    { ZRTP_KEYAGREEMENT_X255, { "X255" } },
    { ZRTP_KEYAGREEMENT_X448, { "X448" } },
    { ZRTP_KEYAGREEMENT_DH3k, { "DH3k" } },
    { ZRTP_KEYAGREEMENT_DH2k, { "DH2k" } },
};

static bool they_have(uint8_t id)
{
    bzrtpContext_t *c = bzrtp_createBzrtpContext();
    uint8_t types[7];
    uint8_t n = bzrtp_getSupportedCryptoTypes(c, ZRTP_KEYAGREEMENT_TYPE, types);

    bzrtp_initBzrtpContext(c, 1);
    bzrtp_destroyBzrtpContext(c, 1);
    for (uint8_t i = 0; i < n; i++) {
        if (types[i] == id)
            return true;
    }
    return false;
}

/* What one run is made of. */
struct run {
    unsigned seed, loss;
    size_t agreement;
    const char *cipher, *tag, *sas;
    bool passive; /* we never send a Commit */
    bool second;  /* another stream, by Multistream */
};

static void one_run(const struct run *r, unsigned role[2])
{
    uint8_t list[2] = { agreement[r->agreement].theirs, ZRTP_KEYAGREEMENT_Mult };
    const char *const ciphers[] = { r->cipher, NULL }, *const tags[] = { r->tag, NULL },
                      *const sases[] = { r->sas, NULL };
    struct cph_zrtp_info info;
    struct theirs t;
    struct duo d;

    duo_init(&d, r->seed);
    d.link = (struct link_cfg){
        .loss = r->loss, .twice = r->loss / 2, .late = r->loss, .delay = CPH_MS(10)
    };
    d.end[0].cfg.passive = r->passive;
    d.end[0].cfg.ciphers = ciphers;
    d.end[0].cfg.tags = tags;
    d.end[0].cfg.sas = sases;
    ours_open(&d, 1 + r->second, agreement[r->agreement].ours);
    theirs_open(&t, &d, NULL, list, 2);
    theirs_start(&t);
    run_until_secure(&d, &t);
    assert_keys_are_theirs(&d, &t.channel[0]);
    assert_int_equal(t.channel[0].agreement, list[0]);
    info_of(d.end[0].z[0], &info);
    assert_string_equal(info.agreement, agreement[r->agreement].ours[0]);
    assert_true(!r->passive || !info.initiator);
    role[info.initiator]++;
    if (r->second) {
        d.streams = 2;
        theirs_start(&t);
        run_until_secure(&d, &t);
        assert_int_equal(d.end[0].z[1]->live.committed.mode, CPH_ZRTP_MULTISTREAM);
        assert_keys_are_theirs(&d, &t.channel[1]);
    }
    theirs_close(&t);
    duo_close(&d);
}

static void every_agreement_works_in_both_roles(void **state)
{
    (void)state;
    for (size_t a = 0; a < sizeof agreement / sizeof *agreement; a++) {
        unsigned role[2] = { 0 };

        if (!they_have(agreement[a].theirs))
            continue;
        for (unsigned i = 0; i < 12; i++)
            one_run(&(struct run){ .seed = 7000 + i,
                                   .agreement = a,
                                   .cipher = "AES1",
                                   .tag = i % 2 ? "HS32" : "HS80",
                                   .sas = i % 2 ? "B256" : "B32 ",
                                   .passive = i % 4 == 0 },
                    role);
        assert_true(role[0] > 0 && role[1] > 0);
    }
}

/* A thousand in the slow part of the checks (CPH_RUNS), each with a second stream: every agreement,
 * both roles, packets lost, doubled and overtaken by later ones. */
static void all_runs_over_a_bad_link_end_secure(void **state)
{
    const char *want = getenv("CPH_RUNS");
    unsigned runs = want ? (unsigned)strtoul(want, NULL, 10) : RUNS, role[2] = { 0 };
    size_t n = sizeof agreement / sizeof *agreement;

    (void)state;
    for (unsigned i = 0; i < runs; i++) {
        struct run r = { .seed = 20000 + i,
                         .loss = 5 + i % 26,
                         .agreement = i % n,
                         .cipher = i / n % 2 ? "AES3" : "AES1",
                         .tag = i % 3 ? "HS80" : "HS32",
                         .sas = i % 2 ? "B256" : "B32 ",
                         .passive = i % 3 == 0,
                         .second = true };

        if (they_have(agreement[r.agreement].theirs))
            one_run(&r, role);
    }
    assert_true(role[0] > runs / 10 && role[1] > runs / 10);
    print_message("%u runs as the responder, %u as the initiator\n", role[0], role[1]);
}

/* a=zrtp-hash (8.1): theirs is the hash of their Hello, ours of ours, and a wrong one keeps both
 * from speaking. */
static void the_hello_hash_binds_both_ways(void **state)
{
    const uint8_t list[2] = { ZRTP_KEYAGREEMENT_X255, ZRTP_KEYAGREEMENT_Mult };

    (void)state;
    for (int wrong = 0; wrong < 3; wrong++) { /* 1: what we were told; 2: what they were told */
        uint8_t theirs_hex[80] = { 0 }, ours[ZRTP_HASH];
        char ours_hex[5 + 2 * ZRTP_HASH + 1] = "1.10 ";
        struct cph_zrtp_info info;
        struct theirs t;
        struct duo d;

        duo_init(&d, 9700);
        ours_open(&d, 1, agreement[0].ours);
        theirs_open(&t, &d, NULL, list, 2);
        assert_int_equal(bzrtp_getSelfHelloHash(t.ctx, THEIR_SSRC, theirs_hex, sizeof theirs_hex),
                         0);
        assert_memory_equal(theirs_hex, "1.10 ", 5);
        assert_ok(zrtp_hash256(
            (struct cph_span){ d.end[0].z[0]->own_hello.b, d.end[0].z[0]->own_hello.n }, ours));
        cph_hex((struct cph_span){ ours, sizeof ours }, ours_hex + 5);
        if (wrong == 2)
            ours_hex[20] = ours_hex[20] == '0' ? '1' : '0';
        d.end[0].z[0]->expects = true;
        for (int i = 0; i < ZRTP_HASH; i++)
            d.end[0].z[0]->expected[i] = (uint8_t)strtoul(
                (char[]){ (char)theirs_hex[5 + 2 * i], (char)theirs_hex[6 + 2 * i], '\0' }, NULL,
                16);
        d.end[0].z[0]->expected[7] ^= wrong == 1;
        assert_int_equal(
            bzrtp_setPeerHelloHash(t.ctx, THEIR_SSRC, (uint8_t *)ours_hex, strlen(ours_hex)), 0);
        theirs_start(&t);
        for (unsigned ms = 0; ms < 15000; ms += 10)
            step(&d, &t, d.now + CPH_MS(10));
        assert_int_equal(both_secure(&d, &t), !wrong);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.hash_bound, wrong != 1);
        theirs_close(&t);
        duo_close(&d);
    }
}

/* A secret that both were given beforehand (4.3); unequal ones are told by both. */
static void an_auxiliary_secret_is_theirs_too(void **state)
{
    const uint8_t list[2] = { ZRTP_KEYAGREEMENT_X255, ZRTP_KEYAGREEMENT_Mult };
    static const uint8_t secret[2][20] = { "given to both of us", "given to one of us." };

    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        struct cph_secret aux = { 0 };
        struct cph_zrtp_info info;
        struct theirs t;
        struct duo d;

        duo_init(&d, 9800);
        assert_ok(cph_secret_set(&aux, (struct cph_span){ secret[0], 20 }));
        d.end[0].cfg.aux = &aux;
        ours_open(&d, 1, agreement[0].ours);
        theirs_open(&t, &d, NULL, list, 2);
        assert_int_equal(bzrtp_setAuxiliarySharedSecret(t.ctx, secret[wrong], 20), 0);
        theirs_start(&t);
        run_until_secure(&d, &t);
        assert_keys_are_theirs(&d, &t.channel[0]);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.aux_mismatch, wrong);
        assert_int_equal(bzrtp_getAuxiliarySharedSecretMismatch(t.ctx), wrong);
        theirs_close(&t);
        duo_close(&d);
    }
}

/* Three calls: nothing known; known and compared; known and verified on both sides. Then they lose
 * their cache, and we warn. */
static void continuity_is_theirs_too(void **state)
{
    const uint8_t list[2] = { ZRTP_KEYAGREEMENT_X255, ZRTP_KEYAGREEMENT_Mult };
    struct mem_store kept = { 0 };
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (unsigned i = 0; i < 4; i++) {
        struct cph_zrtp_info info;
        struct theirs t;
        struct duo d;
        bool lost = i == 3;

        duo_init(&d, 9500 + i);
        memcpy(d.end[0].mem.at, kept.at, sizeof kept.at);
        ours_open(&d, 1, agreement[0].ours);
        if (lost)
            assert_int_equal(sqlite3_exec(db, "UPDATE zrtp SET rs1=zeroblob(32), rs2=zeroblob(32);",
                                          NULL, NULL, NULL),
                             SQLITE_OK);
        theirs_open(&t, &d, db, list, 2);
        theirs_start(&t);
        run_until_secure(&d, &t);
        assert_keys_are_theirs(&d, &t.channel[0]);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.known, i > 0);
        assert_int_equal(info.continuity, i == 1 || i == 2);
        assert_int_equal(info.mismatch, lost);
        assert_int_equal(info.verified, i == 2);
        if (i == 2)
            assert_true(info.peer_verified && t.channel[0].verified);
        if (i == 1) {
            assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
            bzrtp_SASVerified(t.ctx);
        }
        memcpy(kept.at, d.end[0].mem.at, sizeof kept.at);
        theirs_close(&t);
        duo_close(&d);
    }
    sqlite3_close(db);
}

/* 4.3.2, without a comparison ever: whoever kept what the other has not is warned, on either side.
 */
static void a_cache_that_was_lost_or_is_old_is_told_on_the_side_that_can_know(void **state)
{
    enum { OURS_LOST, THEIRS_LOST, OURS_OLD, OURS_A_CALL_OLD, WAYS };
    static const bool told[WAYS][2] = {
        [OURS_LOST] = { false, true }, /* by us, by them */
        [THEIRS_LOST] = { true, false },
        [OURS_OLD] = { true, true },
        [OURS_A_CALL_OLD] = { false, false }, /* rs2 makes up for it */
    };
    const uint8_t list[2] = { ZRTP_KEYAGREEMENT_X255, ZRTP_KEYAGREEMENT_Mult };

    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct mem_store kept[4] = { 0 }; /* after each call */
        sqlite3 *db;

        assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
        for (unsigned i = 0; i < 4; i++) {
            const struct mem_store *from = &kept[i ? i - 1 : 0];
            struct cph_zrtp_info info;
            struct theirs t;
            struct duo d;

            if (i == 3 && way == THEIRS_LOST)
                assert_int_equal(sqlite3_exec(db, "DELETE FROM zrtp;", NULL, NULL, NULL),
                                 SQLITE_OK);
            if (i == 3 && (way == OURS_OLD || way == OURS_A_CALL_OLD))
                from = &kept[way == OURS_OLD ? 0 : 1];
            duo_init(&d, 9900 + i);
            if (i > 0 && !(i == 3 && way == OURS_LOST))
                memcpy(d.end[0].mem.at, from->at, sizeof from->at);
            ours_open(&d, 1, agreement[0].ours);
            theirs_open(&t, &d, db, list, 2);
            theirs_start(&t);
            run_until_secure(&d, &t);
            assert_keys_are_theirs(&d, &t.channel[0]);
            info_of(d.end[0].z[0], &info);
            assert_int_equal(info.mismatch, i == 3 && told[way][0]);
            assert_int_equal(t.channel[0].mismatch != 0, i == 3 && told[way][1]);
            memcpy(kept[i].at, d.end[0].mem.at, sizeof kept[i].at);
            theirs_close(&t);
            duo_close(&d);
        }
        sqlite3_close(db);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_agreement_works_in_both_roles),
        cmocka_unit_test(all_runs_over_a_bad_link_end_secure),
        cmocka_unit_test(the_hello_hash_binds_both_ways),
        cmocka_unit_test(an_auxiliary_secret_is_theirs_too),
        cmocka_unit_test(continuity_is_theirs_too),
        cmocka_unit_test(a_cache_that_was_lost_or_is_old_is_told_on_the_side_that_can_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
