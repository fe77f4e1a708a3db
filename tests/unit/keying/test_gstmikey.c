/* MIKEY's framing against GStreamer's gstmikey: what one writes the other reads. */
#include <gst/gst.h>
#include <gst/sdp/gstmikey.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

#include "ciphony/base_text.h"
#include "mikey/mikey_int.h"

static struct test_env env;

static int open_env(void **state)
{
    (void)state;
    gst_init(NULL, NULL);
    test_env_init(&env, 5);
    env.wall = (int64_t)time(NULL) - 2; /* what gstmikey stamps its messages with, or just before */
    return 0;
}

static const struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"),
                                            .suites = cph_srtp_suites };

static const GstMIKEYPayload *find(const GstMIKEYMessage *m, GstMIKEYPayloadType type)
{
    for (guint i = 0; i < gst_mikey_message_get_n_payloads(m); i++)
        if (gst_mikey_message_get_payload(m, i)->type == type)
            return gst_mikey_message_get_payload(m, i);
    fail_msg("no payload of type %d", type);
    return NULL;
}

/* A TEK of a key and a salt one behind the other, as GStreamer's RTSP server sends it. */
static void a_message_of_gstreamer_gives_its_key(void **state)
{
    static const guint8 both[30] = "sixteen byte keyfourteen salt";
    struct cph_mikey_cfg cfg = { .env = &env.env, .accept = 1U << CPH_MIKEY_NULL };
    GstBuffer *key = gst_buffer_new_memdup(both, sizeof both);
    GstCaps *caps = gst_caps_new_simple(
        "application/x-srtp", "srtp-key", GST_TYPE_BUFFER, key, "srtp-cipher", G_TYPE_STRING,
        "aes-128-icm", "srtp-auth", G_TYPE_STRING, "hmac-sha1-80", "srtcp-cipher", G_TYPE_STRING,
        "aes-128-icm", "srtcp-auth", G_TYPE_STRING, "hmac-sha1-80", NULL);
    GstMIKEYMessage *theirs = gst_mikey_message_new_from_caps(caps), *back;
    struct cph_srtp_policy p;
    struct mikey_text answer;
    struct mikey_csb csb;
    enum mikey_error error;
    struct cph_mikey *m;
    GBytes *bytes;
    gsize n;
    const guint8 *b;

    (void)state;
    assert_non_null(theirs);
    assert_true(gst_mikey_message_add_cs_srtp(theirs, 0, 0x12345678, 3));
    bytes = gst_mikey_message_to_bytes(theirs, NULL, NULL);
    b = g_bytes_get_data(bytes, &n);
    assert_ok(cph_mikey_new(&cfg, &m));
    env.wall += 2;
    assert_ok(mikey_respond(m, NULL, (struct cph_span){ b, n }, &around, &csb, &answer, &error));
    assert_true(csb.n_cs == 1 && csb.cs[0].ssrc == 0x12345678 && csb.cs[0].roc == 3);
    assert_ok(mikey_master(&csb, 1, 0, &p));
    assert_string_equal(p.suite->name, "AES_CM_128_HMAC_SHA1_80");
    assert_memory_equal(p.master.key.b, both, 16);
    assert_memory_equal(p.master.salt.b, both + 16, 14);
    /* and it reads our header */
    back = gst_mikey_message_new_from_data(b, n, NULL, NULL);
    assert_non_null(back);
    gst_mikey_message_unref(back);
    gst_mikey_message_unref(theirs);
    g_bytes_unref(bytes);
    gst_buffer_unref(key);
    gst_caps_unref(caps);
    cph_mikey_free(m);
}

/* ---- field by field -------------------------------------------------------------------------- */

static void same_policy(const GstMIKEYPayload *g, const struct mikey_sp *sp)
{
    const GstMIKEYPayloadSP *policy = (const GstMIKEYPayloadSP *)g;
    struct cph_rd rd = cph_rd_open(sp->params);

    assert_true(policy->policy == sp->no && policy->proto == GST_MIKEY_SEC_PROTO_SRTP);
    assert_int_equal(sp->prot, 0);
    for (guint i = 0; i < gst_mikey_payload_sp_get_n_params(g); i++) {
        const GstMIKEYPayloadSPParam *param = gst_mikey_payload_sp_get_param(g, i);
        uint8_t type = cph_rd_u8(&rd);
        struct cph_rd value = cph_rd_vec8(&rd);

        assert_int_equal(param->type, type);
        assert_true(cph_span_eq(cph_rd_rest(&value), (struct cph_span){ param->val, param->len }));
    }
    assert_ok(cph_rd_end(&rd));
}

/* Of one message: what GStreamer has of it, and what we have. */
static void same_fields(const GstMIKEYMessage *g, const struct mikey_msg *m)
{
    const GstMIKEYPayloadT *t = (const GstMIKEYPayloadT *)find(g, GST_MIKEY_PT_T);
    const GstMIKEYPayloadRAND *rand = (const GstMIKEYPayloadRAND *)find(g, GST_MIKEY_PT_RAND);
    const GstMIKEYPayloadKEMAC *kemac = (const GstMIKEYPayloadKEMAC *)find(g, GST_MIKEY_PT_KEMAC);
    uint64_t ts = 0;

    assert_true(g->version == MIKEY_VERSION && (int)g->type == (int)m->type);
    assert_true(!g->V == !m->v && (int)g->prf_func == m->prf && g->CSB_id == m->csb_id);
    assert_int_equal(gst_mikey_message_get_n_cs(g), m->n_cs);
    for (guint i = 0; i < m->n_cs; i++) {
        const GstMIKEYMapSRTP *cs = gst_mikey_message_get_cs_srtp(g, i);

        assert_true(cs->policy == m->cs[i].policy && cs->ssrc == m->cs[i].ssrc &&
                    cs->roc == m->cs[i].roc);
    }
    assert_int_equal(t->type, m->ts_type);
    for (unsigned i = 0; i < 8; i++)
        ts = ts << 8 | t->ts_value[i];
    assert_true(ts == m->ts);
    assert_true(cph_span_eq(m->rand, (struct cph_span){ rand->rand, rand->len }));
    for (guint i = 0; i < m->n_sp; i++)
        same_policy(gst_mikey_message_find_payload(g, GST_MIKEY_PT_SP, i), &m->sp[i]);
    assert_null(gst_mikey_message_find_payload(g, GST_MIKEY_PT_SP, m->n_sp));
    assert_true((int)kemac->enc_alg == m->encr && (int)kemac->mac_alg == m->mac_alg);
    assert_int_equal(m->mac.n, m->mac_alg == MIKEY_MAC_SHA1 ? MIKEY_MAC : 0);
}

static void same_key(const GstMIKEYPayload *g, const struct mikey_keydata *k)
{
    const GstMIKEYPayloadKeyData *d = (const GstMIKEYPayloadKeyData *)g;
    uint64_t at[2] = { 0, 0 };

    assert_true((int)d->key_type + (d->salt_len > 0) == k->type);
    assert_true(cph_span_eq(k->key, (struct cph_span){ d->key_data, d->key_len }));
    assert_true(cph_span_eq(k->salt, (struct cph_span){ d->salt_data, d->salt_len }));
    assert_int_equal(d->kv_type, k->kv.type);
    if (k->kv.type == MIKEY_KV_SPI)
        assert_true(cph_span_eq(k->kv.spi, (struct cph_span){ d->kv_data[0], d->kv_len[0] }));
    for (unsigned v = 0; v < 2 && k->kv.type == MIKEY_KV_INTERVAL; v++)
        for (unsigned i = 0; i < d->kv_len[v]; i++)
            at[v] = at[v] << 8 | d->kv_data[v][i];
    assert_true(at[0] == k->kv.from && at[1] == k->kv.to);
}

/* The keys of a KEMAC in clear, which is how GStreamer writes every KEMAC. */
static void same_keys(const GstMIKEYMessage *g, const struct mikey_msg *m)
{
    struct mikey_keydata k[MIKEY_MAX_KEYS];
    struct mikey_id id;
    unsigned n;

    assert_ok(mikey_keydata_parse(m->encrypted, false, &id, k, &n));
    assert_int_equal(gst_mikey_payload_kemac_get_n_sub(find(g, GST_MIKEY_PT_KEMAC)), n);
    for (guint i = 0; i < n; i++)
        same_key(gst_mikey_payload_kemac_get_sub(find(g, GST_MIKEY_PT_KEMAC), i), &k[i]);
}

static const uint8_t tgk[16] = "sixteen byte tgk", salt[14] = "fourteen salt";
static const struct mikey_cs three[] = { { 0, 0x11223344, 7 }, { 1, 0, 0 }, { 0, 0xffffffff, 1 } };

/* Ours, with each suite that there is, in clear and as one under a pre-shared key looks. */
static void what_we_write_is_read_alike(void **state)
{
    (void)state;
    for (unsigned i = 0; cph_srtp_suites[i / 2]; i++) {
        const bool psk = i & 1;
        struct mikey_hdr hdr = { MIKEY_PSK_I, !psk, 0xcafebabe + i, three, 3 };
        const uint8_t spi[2] = { 9, (uint8_t)i };
        uint8_t msg[512], sub[128], params[MIKEY_SP_MAX];
        struct mikey_out o = mikey_begin(msg, sizeof msg, &hdr);
        struct cph_wr wr = cph_wr_open(sub, sizeof sub), sp = cph_wr_open(params, sizeof params);
        const struct mikey_keydata key[] = {
            { .type = MIKEY_TGK_SALT,
              .key = { tgk, 16 },
              .salt = { salt, 14 },
              .kv = { .type = MIKEY_KV_SPI, .spi = { spi, 2 } } },
            { .type = MIKEY_TEK_ONLY, .key = { tgk, 16 } },
        };
        size_t next_at = 0;
        GstMIKEYMessage *g;
        struct mikey_msg m;

        mikey_put_t(&o, MIKEY_TS_NTP_UTC, 0x0102030405060708 + i);
        mikey_put_rand(&o, (struct cph_span){ tgk, 16 });
        mikey_policy_write(cph_srtp_suites[i / 2], &sp);
        for (uint8_t no = 0; no < 2; no++)
            mikey_put_sp(&o, &(struct mikey_sp){ no, 0, cph_wr_done(&sp) });
        for (unsigned k = 0; k < 2; k++)
            mikey_put_sub_key(&wr, &next_at, &key[k]);
        (void)mikey_put_kemac(&o, psk ? MIKEY_ENCR_AES_CM : MIKEY_ENCR_NULL, cph_wr_done(&wr),
                              psk ? MIKEY_MAC_SHA1 : MIKEY_MAC_NULL);
        assert_ok(cph_wr_end(&o.wr));
        assert_ok(mikey_parse(cph_wr_done(&o.wr), &m, NULL));
        g = gst_mikey_message_new_from_data(msg, o.wr.n, NULL, NULL);
        assert_non_null(g);
        same_fields(g, &m);
        if (!psk) /* what is encrypted it does not open */
            same_keys(g, &m);
        gst_mikey_message_unref(g);
    }
}

static GstMIKEYPayload *its_key(GstMIKEYKeyDataType type, GstMIKEYKVType kv)
{
    static const guint8 from[] = { 1 }, to[] = { 0, 1, 2, 3, 4, 5 }, spi[] = { 1, 2, 3, 4 };
    GstMIKEYPayload *k = gst_mikey_payload_new(GST_MIKEY_PT_KEY_DATA);

    assert_true(gst_mikey_payload_key_data_set_key(k, type, sizeof tgk, tgk));
    if (type == GST_MIKEY_KD_TGK)
        assert_true(gst_mikey_payload_key_data_set_salt(k, sizeof salt, salt));
    if (kv == GST_MIKEY_KV_SPI)
        assert_true(gst_mikey_payload_key_data_set_spi(k, sizeof spi, spi));
    if (kv == GST_MIKEY_KV_INTERVAL)
        assert_true(gst_mikey_payload_key_data_set_interval(k, sizeof from, from, sizeof to, to));
    return k;
}

/* A message of its own making; without the KEMAC it is the head of one that we end. */
static GstMIKEYMessage *its_message(const struct mikey_cs *cs, unsigned n_cs, uint64_t ts,
                                    bool kemac, bool psk)
{
    static const guint8 sp[][2] = {
        { 0, 1 }, { 1, 16 }, { 2, 1 }, { 3, 20 }, { 10, 1 }, { 11, 10 }
    };
    GstMIKEYMessage *g = gst_mikey_message_new();
    guint8 t[8];

    for (unsigned i = 0; i < 8; i++)
        t[i] = (guint8)(ts >> (56 - 8 * i));
    assert_true(gst_mikey_message_set_info(g, GST_MIKEY_VERSION, GST_MIKEY_TYPE_PSK_INIT, TRUE,
                                           GST_MIKEY_PRF_MIKEY_1, 0xfeedf00d,
                                           GST_MIKEY_MAP_TYPE_SRTP));
    for (unsigned i = 0; i < n_cs; i++)
        assert_true(gst_mikey_message_add_cs_srtp(g, cs[i].policy, cs[i].ssrc, cs[i].roc));
    assert_true(gst_mikey_message_add_t(g, GST_MIKEY_TS_TYPE_NTP_UTC, t));
    assert_true(gst_mikey_message_add_rand(g, sizeof tgk, tgk));
    for (guint no = 0; no < 2; no++) {
        GstMIKEYPayload *p = gst_mikey_payload_new(GST_MIKEY_PT_SP);

        assert_true(gst_mikey_payload_sp_set(p, no, GST_MIKEY_SEC_PROTO_SRTP));
        for (unsigned i = 0; i < sizeof sp / sizeof *sp - no; i++)
            assert_true(gst_mikey_payload_sp_add_param(p, sp[i][0], 1, &sp[i][1]));
        assert_true(gst_mikey_message_add_payload(g, p));
    }
    if (kemac) {
        GstMIKEYPayload *p = gst_mikey_payload_new(GST_MIKEY_PT_KEMAC);

        assert_true(
            gst_mikey_payload_kemac_set(p, psk ? GST_MIKEY_ENC_AES_CM_128 : GST_MIKEY_ENC_NULL,
                                        psk ? GST_MIKEY_MAC_HMAC_SHA_1_160 : GST_MIKEY_MAC_NULL));
        assert_true(
            gst_mikey_payload_kemac_add_sub(p, its_key(GST_MIKEY_KD_TGK, GST_MIKEY_KV_SPI)));
        assert_true(
            gst_mikey_payload_kemac_add_sub(p, its_key(GST_MIKEY_KD_TEK, GST_MIKEY_KV_INTERVAL)));
        assert_true(
            gst_mikey_payload_kemac_add_sub(p, its_key(GST_MIKEY_KD_TEK, GST_MIKEY_KV_NULL)));
        assert_true(gst_mikey_message_add_payload(g, p));
    }
    return g;
}

/* It has no cipher and no MAC, so under a pre-shared key the keys are in clear here as well. */
static void what_it_writes_is_read_alike(void **state)
{
    (void)state;
    for (unsigned psk = 0; psk < 2; psk++) {
        GstMIKEYMessage *g = its_message(three, 3, 0xffeeddccbbaa9988, true, psk);
        GBytes *bytes = gst_mikey_message_to_bytes(g, NULL, NULL);
        struct mikey_msg m;
        const guint8 *b;
        gsize n;

        assert_non_null(bytes);
        b = g_bytes_get_data(bytes, &n);
        assert_ok(mikey_parse((struct cph_span){ b, n }, &m, NULL));
        same_fields(g, &m);
        same_keys(g, &m);
        g_bytes_unref(bytes);
        gst_mikey_message_unref(g);
    }
}

/* Its head and our KEMAC behind it: encryption and MAC over what another program wrote. */
static void a_message_of_both_under_a_secret_is_taken(void **state)
{
    static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
    static const struct mikey_cs two[] = { { 0, 5, 6 }, { 0, 0, 0 } };
    struct cph_mikey_cfg cfg = { .env = &env.env, .mode = CPH_MIKEY_PSK, .psk = &psk };
    struct mikey_csb ours = { .b = { .csb_id = 0xfeedf00d, .rand_n = 16 },
                              .mode = CPH_MIKEY_PSK,
                              .n_keys = 1 };
    const uint64_t ts = mikey_ntp(env.wall + 1);
    GstMIKEYMessage *g = its_message(two, 2, ts, false, true);
    GBytes *bytes = gst_mikey_message_to_bytes(g, NULL, NULL);
    uint8_t msg[512];
    struct mikey_out o = { .wr = cph_wr_open(msg, sizeof msg) };
    struct mikey_text answer;
    struct mikey_csb csb;
    enum mikey_error error;
    struct cph_mikey *m;
    struct mikey_msg parsed;
    const guint8 *b;
    size_t at, last;
    gsize n;

    (void)state;
    b = g_bytes_get_data(bytes, &n);
    memcpy(ours.b.rand, tgk, sizeof tgk);
    assert_ok(cph_secret_set(&ours.key[0].key, CPH_SPAN_LIT("a key of thirty-two bytes, or so")));
    cph_wr_bytes(&o.wr, b, n);
    last = n - 5 * 3 - 5; /* where the second policy begins: what it says is next */
    assert_int_equal(msg[last], MIKEY_LAST);
    o.next_at = last;
    assert_ok(cph_mikey_new(&cfg, &m));
    assert_ok(mikey_put_keys(m, &o, &psk, &ours, ts, NULL, true, &at));
    assert_ok(mikey_fill_mac(&psk, &ours.b, &o, at, NULL, 0));
    assert_ok(mikey_parse(cph_wr_done(&o.wr), &parsed, NULL));
    assert_int_equal(parsed.n_sp, 2);
    assert_ok(mikey_respond(m, NULL, cph_wr_done(&o.wr), &around, &csb, &answer, &error));
    assert_memory_equal(csb.key[0].key.b, ours.key[0].key.b, 32);
    assert_true(csb.n_cs == 2 && csb.cs[0].ssrc == 5 && csb.cs[0].roc == 6);
    msg[n / 2] ^= 1; /* a bit of its part is under our MAC */
    assert_int_not_equal(mikey_respond(m, NULL, cph_wr_done(&o.wr), &around, &csb, &answer, &error),
                         CPH_OK);
    cph_mikey_free(m);
    g_bytes_unref(bytes);
    gst_mikey_message_unref(g);
}

/* The header and the payloads that gstmikey knows, of a first message of ours. It does not come
 * back from one that it does not know (1.22), such as the list that RFC 4567 4.1.4 wants. */
static struct mikey_out begin_for_it(uint8_t *msg, size_t cap, const struct mikey_csb *csb,
                                     uint64_t ts)
{
    struct mikey_hdr hdr = { MIKEY_PSK_I, true, csb->b.csb_id, csb->cs, csb->n_cs };
    struct mikey_out o = mikey_begin(msg, cap, &hdr);
    uint8_t params[MIKEY_SP_MAX];
    struct cph_wr sp = cph_wr_open(params, sizeof params);

    mikey_put_t(&o, MIKEY_TS_NTP_UTC, ts);
    mikey_put_rand(&o, (struct cph_span){ csb->b.rand, csb->b.rand_n });
    mikey_policy_write(csb->policy[0].suite, &sp);
    mikey_put_sp(&o, &(struct mikey_sp){ 0, 0, cph_wr_done(&sp) });
    return o;
}

/* What it read of ours and wrote again is what we wrote, and we take it, with keys in clear. It
 * encrypts nothing and makes no MAC: of a message under a pre-shared key it reads all but what is
 * under that, and what it writes instead is refused. */
static void what_gstreamer_passes_on_is_what_we_wrote(void **state)
{
    static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };

    (void)state;
    for (int mode = CPH_MIKEY_NULL; mode <= CPH_MIKEY_PSK; mode++) {
        struct cph_mikey_cfg cfg = {
            .env = &env.env, .mode = (enum cph_mikey_mode)mode, .accept = 3, .psk = &psk
        };
        struct cph_mikey *a, *b;
        struct mikey_offer o;
        struct mikey_text ours, answer;
        struct mikey_csb csb;
        enum mikey_error error;
        struct mikey_out w;
        uint8_t msg[512];
        GstMIKEYMessage *m;
        const GstMIKEYPayloadKEMAC *kemac;
        const guint8 *p;
        GBytes *bytes;
        size_t at, head;
        gsize n;

        assert_ok(cph_mikey_new(&cfg, &a));
        assert_ok(cph_mikey_new(&cfg, &b));
        assert_ok(mikey_start(a, NULL, false, &around, &o, &ours));
        w = begin_for_it(msg, sizeof msg, &o.next, o.ts);
        head = w.wr.n;
        assert_ok(mikey_put_keys(a, &w, &psk, &o.next, o.ts, NULL, true, &at));
        if (mode == CPH_MIKEY_PSK)
            assert_ok(mikey_fill_mac(&psk, &o.next.b, &w, at, NULL, 0));
        assert_ok(cph_wr_end(&w.wr));
        (void)alarm(10);
        m = gst_mikey_message_new_from_data(msg, w.wr.n, NULL, NULL);
        assert_non_null(m);
        bytes = gst_mikey_message_to_bytes(m, NULL, NULL);
        assert_non_null(bytes);
        (void)alarm(0);
        p = g_bytes_get_data(bytes, &n);
        kemac = (const GstMIKEYPayloadKEMAC *)find(m, GST_MIKEY_PT_KEMAC);
        assert_int_equal(kemac->enc_alg,
                         mode == CPH_MIKEY_PSK ? GST_MIKEY_ENC_AES_CM_128 : GST_MIKEY_ENC_NULL);
        assert_int_equal(kemac->mac_alg,
                         mode == CPH_MIKEY_PSK ? GST_MIKEY_MAC_HMAC_SHA_1_160 : GST_MIKEY_MAC_NULL);
        /* before the KEMAC all is the same; behind it, what it could not open is gone */
        assert_memory_equal(p, msg, head);
        if (mode == CPH_MIKEY_NULL) {
            assert_int_equal(n, w.wr.n);
            assert_memory_equal(p, msg, n);
        }
        assert_err(
            mikey_respond(b, NULL, (struct cph_span){ p, n }, &around, &csb, &answer, &error),
            mode == CPH_MIKEY_NULL ? CPH_OK : CPH_E_AUTH);
        if (mode == CPH_MIKEY_NULL)
            assert_memory_equal(csb.key[0].key.b, o.next.key[0].key.b, MIKEY_TGK);
        else /* and ours as it was is good */
            assert_ok(mikey_respond(b, NULL, cph_wr_done(&w.wr), &around, &csb, &answer, &error));
        assert_int_equal(csb.mode, mode);
        mikey_csb_wipe(&csb);
        mikey_offer_wipe(&o);
        g_bytes_unref(bytes);
        gst_mikey_message_unref(m);
        cph_mikey_free(a);
        cph_mikey_free(b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_of_gstreamer_gives_its_key),
        cmocka_unit_test(what_we_write_is_read_alike),
        cmocka_unit_test(what_it_writes_is_read_alike),
        cmocka_unit_test(a_message_of_both_under_a_secret_is_taken),
        cmocka_unit_test(what_gstreamer_passes_on_is_what_we_wrote),
    };

    return cmocka_run_group_tests(tests, open_env, NULL);
}
