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

static void gstreamer_reads_what_we_write(void **state)
{
    static const struct mikey_cs cs[] = { { 0, 0x11223344, 7 }, { 0, 0, 0 } };
    static const uint8_t tgk[16] = "sixteen byte tgk", salt[14] = "fourteen salt",
                         spi[2] = { 9, 8 };
    struct mikey_hdr hdr = { MIKEY_PSK_I, true, 0xcafebabe, cs, 2 };
    uint8_t msg[512], sub[128], params[MIKEY_SP_MAX];
    struct mikey_out o = mikey_begin(msg, sizeof msg, &hdr);
    struct cph_wr wr = cph_wr_open(sub, sizeof sub), sp = cph_wr_open(params, sizeof params);
    struct mikey_keydata key = { .type = MIKEY_TGK_SALT,
                                 .key = { tgk, 16 },
                                 .salt = { salt, 14 },
                                 .kv = { .type = MIKEY_KV_SPI, .spi = { spi, 2 } } };
    const GstMIKEYPayloadKeyData *k;
    const GstMIKEYPayloadRAND *rand;
    const GstMIKEYPayloadT *t;
    const GstMIKEYPayloadSP *policy;
    GstMIKEYMessage *m;
    size_t next_at = 0;

    (void)state;
    mikey_put_t(&o, MIKEY_TS_NTP_UTC, 0x0102030405060708);
    mikey_put_rand(&o, (struct cph_span){ tgk, 16 });
    mikey_policy_write(cph_srtp_suite_by_sdes(CPH_SPAN_LIT("AES_256_CM_HMAC_SHA1_80")), &sp);
    mikey_put_sp(&o, &(struct mikey_sp){ 0, 0, cph_wr_done(&sp) });
    mikey_put_sub_key(&wr, &next_at, &key);
    (void)mikey_put_kemac(&o, MIKEY_ENCR_NULL, cph_wr_done(&wr), MIKEY_MAC_NULL);
    assert_ok(cph_wr_end(&o.wr));

    m = gst_mikey_message_new_from_data(msg, o.wr.n, NULL, NULL);
    assert_non_null(m);
    assert_true(m->version == 1 && m->type == GST_MIKEY_TYPE_PSK_INIT && m->V);
    assert_true(m->CSB_id == 0xcafebabe && m->map_type == GST_MIKEY_MAP_TYPE_SRTP);
    assert_int_equal(gst_mikey_message_get_n_cs(m), 2);
    assert_int_equal(gst_mikey_message_get_cs_srtp(m, 0)->ssrc, 0x11223344);
    assert_int_equal(gst_mikey_message_get_cs_srtp(m, 0)->roc, 7);
    t = (const GstMIKEYPayloadT *)find(m, GST_MIKEY_PT_T);
    assert_int_equal(t->type, GST_MIKEY_TS_TYPE_NTP_UTC);
    assert_true(t->ts_value[0] == 1 && t->ts_value[7] == 8);
    rand = (const GstMIKEYPayloadRAND *)find(m, GST_MIKEY_PT_RAND);
    assert_int_equal(rand->len, 16);
    assert_memory_equal(rand->rand, tgk, 16);
    policy = (const GstMIKEYPayloadSP *)find(m, GST_MIKEY_PT_SP);
    assert_int_equal(gst_mikey_payload_sp_get_n_params((const GstMIKEYPayload *)policy), 7);
    assert_int_equal(gst_mikey_payload_sp_get_param((const GstMIKEYPayload *)policy, 1)->val[0],
                     32);
    assert_int_equal(gst_mikey_payload_kemac_get_n_sub(find(m, GST_MIKEY_PT_KEMAC)), 1);
    k = (const GstMIKEYPayloadKeyData *)gst_mikey_payload_kemac_get_sub(find(m, GST_MIKEY_PT_KEMAC),
                                                                        0);
    assert_true(k->key_type == GST_MIKEY_KD_TGK && k->key_len == 16 && k->salt_len == 14);
    assert_memory_equal(k->key_data, tgk, 16);
    assert_memory_equal(k->salt_data, salt, 14);
    assert_true(k->kv_type == GST_MIKEY_KV_SPI && k->kv_len[0] == 2 && k->kv_data[0][1] == 8);
    gst_mikey_message_unref(m);
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
        cmocka_unit_test(gstreamer_reads_what_we_write),
        cmocka_unit_test(what_gstreamer_passes_on_is_what_we_wrote),
    };

    return cmocka_run_group_tests(tests, open_env, NULL);
}
