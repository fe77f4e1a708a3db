#include "ear.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_cms.h"
#include "ciphony/keying_ekt.h"
#include "ciphony/rtp.h"
#include "ciphony/session.h"
#include "ciphony/srtp.h"

enum { OPENED = 32, KEYS = 256, SDES_KEY = 64, MESSAGE = 8192, MIKEY_CS = 2 };

struct lab_ear {
    uint64_t seed;
    struct cph_srtp_engine *engine;
    struct cph_srtp *key[KEYS];
    struct cph_span seen[KEYS]; /* the text of the key or message, to try each once */
    unsigned n, seen_n;
    struct lab_mikey_reader mikey;
    struct lab_loot loot;
    struct cph_ekt_receiver *told[KEYS]; /* under an EKT set: the keys come with the packets */
    struct cph_span told_seen[KEYS];
    unsigned told_n;
    uint8_t *opened[OPENED]; /* sealed descriptions, which the keys are views of */
    unsigned opened_n;
    struct lab_heard heard;
};

cph_err lab_ear_new(uint64_t seed, struct lab_ear **out)
{
    struct lab_ear *e = calloc(1, sizeof *e);
    cph_err err;

    if (!e)
        return CPH_E_NOMEM;
    e->seed = seed;
    err = cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &e->engine);
    if (err != CPH_OK) {
        free(e);
        return err;
    }
    *out = e;
    return CPH_OK;
}

void lab_ear_free(struct lab_ear *e)
{
    if (!e)
        return;
    for (unsigned i = 0; i < e->n; i++)
        cph_srtp_free(e->key[i]);
    for (unsigned i = 0; i < e->told_n; i++)
        cph_ekt_receiver_free(e->told[i]);
    for (unsigned i = 0; i < e->opened_n; i++)
        free(e->opened[i]);
    cph_srtp_engine_free(e->engine);
    free(e);
}

/* ---- keys in the signalling ------------------------------------------------------------------ */

static bool is_new(struct lab_ear *e, struct cph_span text)
{
    for (unsigned i = 0; i < e->seen_n; i++)
        if (cph_span_eq(e->seen[i], text))
            return false;
    if (e->seen_n == KEYS)
        return false;
    e->seen[e->seen_n++] = text;
    return true;
}

static bool add_key(struct lab_ear *e, const struct cph_srtp_policy *policy)
{
    bool added = e->n < KEYS &&
                 cph_srtp_new(e->engine, policy, CPH_SRTP_RECV, &e->key[e->n]) == CPH_OK;

    e->n += added;
    return added;
}

/* "AES_CM_128_HMAC_SHA1_80 inline:base64[|lifetime][|mki]" */
static bool add_crypto(struct lab_ear *e, struct cph_span suite_name, struct cph_span inlined)
{
    CPH_SRTP_POLICY_SCOPED policy = { 0 };
    uint8_t raw[SDES_KEY];
    size_t n = 0;
    bool added;

    inlined = cph_span_cut(&inlined, '|');
    policy.suite = cph_srtp_suite_by_sdes(suite_name);
    if (!policy.suite || !is_new(e, inlined))
        return false;
    added = cph_unbase64(inlined, true, raw, sizeof raw, &n) == CPH_OK &&
            n == (size_t)policy.suite->key_n + policy.suite->salt_n &&
            cph_secret_set(&policy.master.key, (struct cph_span){ raw, policy.suite->key_n }) ==
                CPH_OK &&
            cph_secret_set(&policy.master.salt,
                           (struct cph_span){ raw + policy.suite->key_n, policy.suite->salt_n }) ==
                CPH_OK &&
            add_key(e, &policy);
    cph_wipe(raw, sizeof raw);
    return added;
}

/* "EKT=AESKW_256|base64|spi", with the salt of the inline key before it */
static bool add_set(struct lab_ear *e, struct cph_span suite_name, struct cph_span inlined,
                    struct cph_span value)
{
    struct cph_srtp_policy policy = { .suite = cph_srtp_suite_by_sdes(suite_name), .streams = 64 };
    CPH_EKT_PARAMS_SCOPED set = { 0 };
    uint8_t raw[SDES_KEY];
    size_t n = 0;
    bool added = false;

    inlined = cph_span_cut(&inlined, '|');
    if (!policy.suite || e->told_n == KEYS || cph_ekt_sdes_parse(value, &set) != CPH_OK)
        return false;
    for (unsigned i = 0; i < e->told_n; i++)
        if (cph_span_eq(e->told_seen[i], inlined))
            return false;
    if (cph_unbase64(inlined, true, raw, sizeof raw, &n) == CPH_OK &&
        n == (size_t)policy.suite->key_n + policy.suite->salt_n &&
        cph_secret_set(&set.salt, (struct cph_span){ raw + policy.suite->key_n,
                                                     policy.suite->salt_n }) == CPH_OK &&
        cph_ekt_receiver_new(e->engine, &policy, &e->told[e->told_n]) == CPH_OK) {
        set.ttl_s = CPH_EKT_TTL_MAX;
        e->told_seen[e->told_n] = inlined;
        added = cph_ekt_receiver_params(e->told[e->told_n++], &set, 0) == CPH_OK;
    }
    cph_wipe(raw, sizeof raw);
    return added;
}

/* Which suite it is for does not matter: all that encrypt are tried, in both crypto sessions. */
static void add_mikey(void *ctx, const struct lab_mikey_key *k)
{
    struct lab_ear *e = ctx;

    for (unsigned cs = 1; cs <= MIKEY_CS; cs++)
        for (unsigned i = 0; cph_srtp_suites[i]; i++) {
            CPH_SRTP_POLICY_SCOPED policy = { .suite = cph_srtp_suites[i] };

            if (policy.suite->encrypts &&
                lab_mikey_master(k, (uint8_t)cs, policy.suite->key_n, policy.suite->salt_n,
                                 &policy.master.key, &policy.master.salt) == CPH_OK)
                (void)add_key(e, &policy);
        }
}

static unsigned read_mikey(struct lab_ear *e, struct cph_span line)
{
    uint8_t raw[MESSAGE];
    unsigned found = 0;
    size_t n;

    if (lab_mikey_line(line, raw, sizeof raw, &n) && is_new(e, line))
        found = lab_mikey_read(&e->mikey, (struct cph_span){ raw, n }, &e->loot, add_mikey, e);
    cph_wipe(raw, sizeof raw);
    return found;
}

void lab_ear_steal(struct lab_ear *e, enum lab_person from)
{
    struct lab_loot *l = &e->loot;

    for (unsigned i = 0; i < LAB_PEOPLE && l->n_secrets < LAB_LOOT; i++)
        l->secret[l->n_secrets++] = lab_secret(from, (enum lab_person)i);
    if (l->n_keys + 3 > LAB_LOOT)
        return;
    l->key[l->n_keys++] = lab_key(from);
    if (lab_user_key(from) != lab_key(from))
        l->key[l->n_keys++] = lab_user_key(from);
    if (lab_rsa_key(from))
        l->key[l->n_keys++] = lab_rsa_key(from);
    e->seen_n = 0; /* with these, what was read before is worth another look */
}

struct cph_span lab_unseal(const struct lab_loot *l, struct cph_span body, uint8_t *out, size_t cap)
{
    struct cph_span none = { 0 };
    const uint8_t *at;
    size_t n;

    for (unsigned k = 0; k < l->n_keys; k++)
        for (unsigned who = 0; who < LAB_PEOPLE; who++) {
            const struct cph_cert *cert = lab_rsa_cert((enum lab_person)who, true);

            if (!cert || !cph_cert_has_key(cert, l->key[k]) ||
                cph_cms_decrypt(lab_keys_env(), l->key[k], cert, body, out, cap, &n) != CPH_OK)
                continue;
            at = memmem(out, n, "v=0\r\n", 5); /* who signed it he does not ask */
            return at ? (struct cph_span){ at, n - (size_t)(at - out) } : none;
        }
    return none;
}

/* With the key of whom a body is sealed to it is as good as open. */
static struct cph_span open_sealed(struct lab_ear *e, struct cph_span body)
{
    struct cph_span none = { 0 };
    uint8_t *out;

    if (body.n == 0 || body.p[0] != 0x30 || e->opened_n == OPENED || e->loot.n_keys == 0)
        return body;
    out = malloc(body.n);
    if (!out)
        return none;
    e->opened[e->opened_n++] = out;
    return lab_unseal(&e->loot, body, out, body.n);
}

unsigned lab_ear_read_sdp(struct lab_ear *e, struct cph_span sdp)
{
    struct cph_span line, suite, key, more;
    unsigned n = 0;

    sdp = open_sealed(e, sdp);

    while (cph_span_line(&sdp, &line)) {
        n += read_mikey(e, line);
        if (!cph_span_starts(line, "a=crypto:"))
            continue;
        line = cph_span_from(line, 9);
        (void)cph_span_word(&line); /* the tag */
        suite = cph_span_word(&line);
        key = cph_span_word(&line);
        if (cph_span_starts(key, "inline:"))
            n += add_crypto(e, suite, cph_span_from(key, 7));
        while ((more = cph_span_word(&line)).n > 0)
            if (cph_span_starts(more, "EKT="))
                n += add_set(e, suite, cph_span_from(key, 7), cph_span_from(more, 4));
    }
    return n;
}

/* MIKEYv2 in band: parts of a message, in the order they came. */
static unsigned read_inband(struct lab_ear *e, struct cph_span b, struct cph_span *gathered,
                            uint8_t raw[MESSAGE])
{
    enum { HEAD = 16 };
    size_t total = b.n > HEAD ? (size_t)b.p[6] << 8 | b.p[7] : 0, n;

    if (b.n <= HEAD || memcmp(b.p, "mkv2", 4) != 0) /* public */
        return 0;
    if (b.p[4] == 0)
        gathered->n = 0;
    if (gathered->n + b.n - HEAD > MESSAGE)
        return 0;
    memcpy(raw + gathered->n, b.p + HEAD, b.n - HEAD);
    gathered->n += b.n - HEAD;
    n = gathered->n;
    if (n != total || !lab_mikeyv2_inside(raw, &n))
        return 0;
    gathered->n = 0;
    return lab_mikey_read(&e->mikey, (struct cph_span){ raw, n }, &e->loot, add_mikey, e);
}

unsigned lab_ear_read_signalling(struct lab_ear *e, const struct lab_trace *t)
{
    struct cph_span gathered = { 0 };
    uint8_t raw[MESSAGE];
    unsigned n = 0;

    for (size_t i = 0; i < lab_trace_count(t); i++) {
        const struct lab_packet *p = lab_trace_at(t, i);

        if (p->kind == LAB_SIP && !p->stream)
            n += lab_ear_read_sdp(e, lab_sip_body(p->bytes));
        else if (p->kind == LAB_KEYING)
            n += read_inband(e, p->bytes, &gathered, raw);
    }
    return n;
}

/* ---- listening ------------------------------------------------------------------------------- */

static bool hear(struct lab_ear *e, struct cph_span packet, cph_time at)
{
    struct cph_rtp rtp;
    unsigned speaker;
    uint32_t i;

    if (cph_rtp_parse(packet, &rtp) != CPH_OK || !lab_speech_is(e->seed, rtp.payload, &speaker, &i))
        return false;
    lab_heard_add(&e->heard, speaker, i, at);
    return true;
}

static void try_packet(struct lab_ear *e, const struct lab_packet *p)
{
    uint8_t copy[2048];
    struct cph_srtp_pkt pkt;

    if (hear(e, p->bytes, p->at) || p->bytes.n > sizeof copy)
        return;
    for (unsigned i = 0; i < e->n; i++) {
        memcpy(copy, p->bytes.p, p->bytes.n);
        pkt = (struct cph_srtp_pkt){ copy, p->bytes.n, sizeof copy };
        if (cph_srtp_unprotect(e->key[i], &pkt) == CPH_OK &&
            hear(e, (struct cph_span){ pkt.p, pkt.n }, p->at))
            return;
    }
    for (unsigned i = 0; i < e->told_n; i++) {
        memcpy(copy, p->bytes.p, p->bytes.n);
        pkt = (struct cph_srtp_pkt){ copy, p->bytes.n, sizeof copy };
        if (cph_ekt_unprotect(e->told[i], &pkt, p->at) == CPH_OK) {
            (void)hear(e, (struct cph_span){ pkt.p, pkt.n }, p->at);
            return;
        }
    }
}

void lab_ear_listen(struct lab_ear *e, const struct lab_trace *t, size_t from)
{
    for (size_t i = from; i < lab_trace_count(t); i++)
        if (lab_trace_at(t, i)->kind == LAB_RTP)
            try_packet(e, lab_trace_at(t, i));
}

void lab_ear_listen_at(struct lab_ear *e, const struct lab_trace *t, size_t from, const char *ip,
                       bool and_gets)
{
    struct cph_addr host;

    if (cph_addr_parse_ip(cph_span_of(ip), &host) != CPH_OK)
        return;
    for (size_t i = from; i < lab_trace_count(t); i++) {
        const struct lab_packet *p = lab_trace_at(t, i);

        if (p->kind == LAB_RTP &&
            (cph_addr_ip_eq(&p->from, &host) || (and_gets && cph_addr_ip_eq(&p->to, &host))))
            try_packet(e, p);
    }
}

const struct lab_heard *lab_ear_heard(const struct lab_ear *e)
{
    return &e->heard;
}

uint64_t lab_heard_total(const struct lab_heard *h)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < LAB_SPEAKERS; i++)
        n += h->frames[i];
    return n;
}

/* ---- the pretender --------------------------------------------------------------------------- */

static void feed_all(const struct lab_pretence *p, struct cph_session *s, struct lab_heard *heard)
{
    struct cph_addr victim;
    struct cph_session_packet in;
    struct cph_session_out out;
    uint8_t copy[2048];

    if (cph_addr_parse_ip(cph_span_of(p->victim_ip), &victim) != CPH_OK)
        return;
    for (size_t i = 0; i < lab_trace_count(p->stage->trace); i++) {
        const struct lab_packet *k = lab_trace_at(p->stage->trace, i);
        struct cph_rtp rtp;
        unsigned speaker;
        uint32_t n;

        if (!cph_addr_ip_eq(&k->from, &victim) || (k->kind != LAB_RTP && k->kind != LAB_KEYING) ||
            k->bytes.n > sizeof copy)
            continue;
        memcpy(copy, k->bytes.p, k->bytes.n);
        (void)cph_session_feed(s, 0, CPH_KEYING_RTP, &k->from, copy, k->bytes.n, k->at);
        while (cph_session_pull(s, &out, k->at) == CPH_OK)
            ; /* nobody would take it: the victim talks with somebody else */
        while (cph_session_take(s, &in) == CPH_OK)
            if (in.component == CPH_KEYING_RTP && cph_rtp_parse(in.bytes, &rtp) == CPH_OK &&
                lab_speech_is(p->stage->cfg.seed, rtp.payload, &speaker, &n))
                lab_heard_add(heard, speaker, n, k->at);
    }
}

/* His clock says what it said when the call began: he is not one to refuse it as old. */
static int64_t then(void *ctx)
{
    return ((const struct lab_stage *)ctx)->began;
}

static cph_err chance(void *ctx, void *buf, size_t n)
{
    return cph_random(&((const struct lab_stage *)ctx)->env, buf, n);
}

cph_err lab_pretend(const struct lab_pretence *p, struct lab_heard *heard)
{
    static const struct cph_sdp_codec codec = { .name = "PCMU", .rate = 8000, .channels = 1 };
    struct cph_session_media media = { .kind = "audio",
                                       .codecs = &codec,
                                       .n_codecs = 1,
                                       .direction = CPH_SDP_SENDRECV,
                                       .rtcp_mux = true };
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): only takes the const away */
    struct cph_env env = { (void *)(uintptr_t)p->stage, chance, then, NULL };
    struct cph_session_config cfg = { .env = &env, .peer = "" };
    struct lab_kit_config kit = {
        .column = lab_column_find(p->keying), .who = p->who, .claims = p->who, .env = cfg.env
    };
    struct lab_kit *k = NULL;
    struct cph_session *s = NULL;
    uint8_t answer[CPH_SESSION_SDP], opened[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(answer, sizeof answer);
    struct cph_span offer = p->offer;
    cph_err err;

    if (!kit.column)
        return CPH_E_NOTFOUND;
    CPH_TRY(cph_addr_parse(CPH_SPAN_LIT("10.0.0.66:30000"), &media.local[0]));
    CPH_TRY(cph_addr_parse(CPH_SPAN_LIT("10.0.0.66:30001"), &media.local[1]));
    CPH_TRY(lab_kit_new(&kit, &k));
    err = lab_kit_session(k, LAB_ALICE, &cfg.keying);
    cfg.policy.media = CPH_SECURITY_PREFER;
    lab_kit_policy(k, &cfg.policy);
    if (err == CPH_OK)
        err = cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &cfg.srtp);
    if (err == CPH_OK)
        err = cph_session_new(&cfg, &media, 1, 0, &s);
    if (kit.column->smime) { /* the key of who is called opens it */
        const struct lab_loot own = { .key = { lab_rsa_key(p->who) }, .n_keys = 1 };

        offer = lab_unseal(&own, p->offer, opened, sizeof opened);
    }
    if (err == CPH_OK && cph_session_answer(s, offer, 0, &wr) == CPH_OK)
        feed_all(p, s, heard);
    cph_session_free(s);
    lab_kit_free(k);
    cph_srtp_engine_free(cfg.srtp);
    cph_wipe(answer, sizeof answer);
    return err;
}
