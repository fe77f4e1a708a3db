/* MIKEY in the hands of who means harm: a server that moves lines, a peer that proves who it is and
 * then says what it should not, groups and points that are none. */
#include "mikey_world.h"

/* ---- a message written once more, with something else in it, and a good proof ---------------- */

struct edit {
    const struct mikey_cert *cert;
    unsigned n_cert;
    const struct mikey_sp *sp; /* one */
    const struct mikey_dh *dh; /* as many as there were */
    const struct cph_mikey *signer;
};

static void put_proof(const struct mikey_msg *m, const struct edit *e, struct mikey_out *o)
{
    struct mikey_bundle b = { .csb_id = m->csb_id, .rand_n = (uint8_t)m->rand.n };
    size_t at;

    if (e->signer) {
        assert_ok(mikey_put_signature(e->signer, o, NULL));
        return;
    }
    memcpy(b.rand, m->rand.p, m->rand.n);
    at = mikey_put_kemac(o, MIKEY_ENCR_NULL, (struct cph_span){ 0 }, MIKEY_MAC_SHA1);
    assert_ok(mikey_fill_mac(&psk, &b, o, at, NULL, 0));
}

/* rand: of the bundle, where the message itself has none. */
static struct mikey_text again(const struct mikey_msg *was, struct cph_span rand,
                               const struct edit *e)
{
    struct mikey_hdr hdr = { was->type, was->v, was->csb_id, was->cs, was->n_cs };
    struct mikey_msg m = *was;
    struct mikey_text t;
    struct mikey_out o = mikey_begin(t.b, sizeof t.b, &hdr);

    mikey_put_t(&o, m.ts_type, m.ts);
    if (m.rand.n > 0)
        mikey_put_rand(&o, m.rand);
    m.rand = rand;
    if (m.n_id > 0)
        mikey_put_id(&o, &m.id[0]);
    for (unsigned i = 0; i < (e->cert ? e->n_cert : m.n_cert); i++)
        mikey_put_cert(&o, (e->cert ? e->cert : m.cert)[i].type,
                       (e->cert ? e->cert : m.cert)[i].data);
    if (m.n_id > 1)
        mikey_put_id(&o, &m.id[1]);
    for (unsigned i = 0; i < m.n_ext; i++)
        mikey_put_ext(&o, m.ext[i].type, m.ext[i].data);
    for (unsigned i = 0; i < (e->sp ? 1 : m.n_sp); i++)
        mikey_put_sp(&o, e->sp ? e->sp : &m.sp[i]);
    for (unsigned i = 0; i < m.n_dh; i++)
        mikey_put_dh(&o, e->dh ? &e->dh[i] : &m.dh[i]);
    put_proof(&m, e, &o);
    assert_ok(cph_wr_end(&o.wr));
    t.n = o.wr.n;
    return t;
}

/* ---- what a server does to a description ----------------------------------------------------- */

/* Lines of a section one after the other, as text. */
static struct cph_sdp *sdp_of(const char *session, const char *media)
{
    char *text = cph_arena_fmt(p.arena,
                               "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n"
                               "t=0 0\r\n%sm=audio 4000 RTP/SAVP 0\r\n%s",
                               session, media);

    assert_non_null(text);
    return read_sdp(&p, text);
}

/* RFC 4567 4.1.4: of a description the list of protocols is protected, in its order, and nothing
 * else is. So a server may move all that is no key-mgmt, and of those none. */
static void lines_may_be_moved_but_not_the_protocols(void **state)
{
    static const struct {
        const char *before, *between, *behind; /* of two lines, ours being the second */
        bool good;
    } cases[] = {
        { "a=key-mgmt:keyp1 AAAA\r\n", "", "", true },
        { "a=sendrecv\r\na=key-mgmt:keyp1 AAAA\r\n", "a=rtpmap:0 PCMU/8000\r\n",
          "a=x-server:was here\r\n", true },
        { "", "", "a=key-mgmt:keyp1 AAAA\r\n", false }, /* the other way round */
        { "a=key-mgmt:keyp2 AAAA\r\na=key-mgmt:keyp1 AAAA\r\n", "", "", false },
        { "a=key-mgmt:keyp1 AAAA\r\n", "", "a=key-mgmt:keyp2 AAAA\r\n", false },
        { "a=key-mgmt:keyp2 AAAA\r\n", "", "", false },
        { "", "", "", false },
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct mikey_around around = { .list = CPH_SPAN_LIT("keyp1;mikey"),
                                       .suites = cph_srtp_suites };
        static char base64[20000];
        struct mikey_offer o;
        struct mikey_text t;
        struct cph_sdp *answer;
        char *lines;

        reopen();
        assert_ok(mikey_start(ma, NULL, false, &around, &o, &t));
        cph_base64((struct cph_span){ t.b, t.n }, base64);
        lines = cph_arena_fmt(p.arena, "%s%sa=key-mgmt:mikey %s\r\n%s", cases[i / 2].before,
                              cases[i / 2].between, base64, cases[i / 2].behind);
        assert_err(try_answer(&p, &p.b, i & 1 ? sdp_of(lines, "") : sdp_of("", lines), &answer),
                   cases[i / 2].good ? CPH_OK : CPH_E_POLICY);
        mikey_offer_wipe(&o);
    }
}

/* RFC 4567 4.1.2: each line another protocol. The list does not tell two of one apart, so whoever
 * puts one before the other would choose. */
static void of_two_messages_none_is_taken(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct mikey_around around = { .list = CPH_SPAN_LIT("mikey;mikey"),
                                       .suites = cph_srtp_suites };
        static char base64[2][20000];
        struct cph_sdp *answer;
        struct mikey_offer o;
        struct mikey_text t;

        reopen();
        for (unsigned k = 0; k < 2; k++) {
            assert_ok(mikey_start(ma, NULL, false, &around, &o, &t));
            cph_base64((struct cph_span){ t.b, t.n }, base64[k]);
            mikey_offer_wipe(&o);
        }
        assert_err(try_answer(&p, &p.b,
                              sdp_of("", cph_arena_fmt(p.arena,
                                                       "a=key-mgmt:mikey %s\r\n"
                                                       "a=key-mgmt:mikey %s\r\n",
                                                       base64[i], base64[!i])),
                              &answer),
                   CPH_E_POLICY);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Timestamp of a re-key by one side, which goes through. */
static uint64_t rekey(struct side *from, struct side *to)
{
    struct mikey_text t;
    struct cph_sdp *offer;
    uint64_t ts;

    cph_nego_renew(from->nego);
    offer = make_offer(&p, from);
    ts = parsed(offer, &t).ts;
    assert_ok(try_finish(from, make_answer(&p, to, offer)));
    return ts;
}

/* RFC 3830 4.2.3: key, RAND and timestamp make the keystream that keys are sent under, and in a
 * bundle the first two are the same for both sides. */
static void no_two_messages_of_a_bundle_have_keys_under_one_keystream(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t seen[16];
        unsigned n = 0;

        cfg_a.counter = cfg_b.counter = i == 1;
        cfg_a.mode = i == 2 ? CPH_MIKEY_RSA : i == 3 ? CPH_MIKEY_RSA_R : CPH_MIKEY_PSK;
        cfg_a.peer_cert = i == 2 ? cert_rsa_b : NULL;
        reopen();
        exchange(&p, &p.a, &p.b);
        for (unsigned k = 0; k < 8; k++) { /* all in one second, and neither knows of the other */
            bool back = k % 3 == 2;

            seen[n++] = rekey(back ? &p.b : &p.a, back ? &p.a : &p.b);
            for (unsigned j = 0; j + 1 < n; j++)
                assert_true(seen[j] != seen[n - 1]);
        }
        assert_media(&p, 1);
    }
}

static void a_clock_that_was_set_right_is_believed_at_once(void **state)
{
    struct cph_sdp *answer;
    uint64_t first, second;
    struct mikey_text t;

    (void)state;
    env_a.wall += 86400; /* until somebody asked for the time */
    reopen();
    first = parsed(make_offer(&p, &p.a), &t).ts;
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    cph_nego_rollback(p.a.nego);
    env_a.wall -= 86400;
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    first = rekey(&p.a, &p.b);
    second = rekey(&p.a, &p.b);
    assert_true(second > first && second - first < (uint64_t)1 << 32);
    env_a.wall -= 30; /* a clock that is pulled a little is waited for */
    assert_true(rekey(&p.a, &p.b) > second);
    assert_media(&p, 2);
}

/* ---- a peer that is who it is, and says something else ----------------------------------------
 */

static void an_update_is_from_whose_bundle_it_is(void **state)
{
    static const char carol[] = "sip:carol@example.org";
    struct cph_sdp *answer, *offer;

    (void)state;
    for (int mode = CPH_MIKEY_PSK; mode <= CPH_MIKEY_RSA; mode++) {
        cfg_a.mode = (enum cph_mikey_mode)mode;
        cfg_a.peer_cert = mode == CPH_MIKEY_RSA ? cert_rsa_b : NULL;
        cfg_a.peer_id = cfg_b.peer_id = NULL;
        cfg_b.accept = 1U << mode;
        reopen();
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 1);
        memcpy(ma->id, carol, sizeof carol); /* under the keys of Alice's bundle */
        assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
        assert_media(&p, 2);
    }
    /* and so is its answer, to who says no names */
    cfg_a.id = NULL;
    cfg_a.mode = CPH_MIKEY_PSK;
    cfg_b.accept = 0;
    reopen();
    exchange(&p, &p.a, &p.b);
    memcpy(mb->id, carol, sizeof carol);
    offer = make_offer(&p, &p.a);
    assert_err(try_finish(&p.a, make_answer(&p, &p.b, offer)), CPH_E_POLICY);
}

/* RFC 4738 3.5, 3.7: what was chosen is said as it was offered, and nothing else is taken. */
static void a_policy_is_answered_as_it_was_offered(void **state)
{
    static const uint8_t plain[] = { 0, 1, 1, 1, 1, 16 }, kdr[] = { 0, 1, 1, 1, 1, 16, 6, 1, 16 };
    static const uint8_t rcc[] = { 0, 1, 1, 1, 1, 16, 13, 1, 10, 14, 1, 3, 18, 1, 14 };
    static const struct {
        const uint8_t *p;
        size_t n;
        bool good;
    } cases[] = { { plain, sizeof plain, true },
                  { kdr, sizeof kdr, false },
                  { rcc, sizeof rcc, false } };
    static const char *const suites[] = { "AES_CM_128_HMAC_SHA1_80", NULL };

    (void)state;
    cfg_a.mode = CPH_MIKEY_RSA_R;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mikey_sp sp = { .no = 0, .params = { cases[i].p, cases[i].n } };
        struct cph_sdp *offer, *answer;
        struct mikey_text t, other;
        struct mikey_msg m;

        reopen_with(suites, suites);
        offer = make_offer(&p, &p.a);
        m = parsed(offer, &t);
        other = again(&m, m.rand, &(struct edit){ .sp = &sp, .signer = ma });
        answer = make_answer(&p, &p.b, with_message(offer, &other));
        m = parsed(answer, &t);
        assert_int_equal(m.n_sp, 1);
        assert_true(cph_span_eq(m.sp[0].params, sp.params));
        assert_err(try_finish(&p.a, answer), cases[i].good ? CPH_OK : CPH_E_POLICY);
    }
}

/* What we said comes back as if somebody else said it: proven by our own key. */
static void our_own_offer_is_nobody_elses(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHSIGN, CPH_MIKEY_RSA_R,
                                                CPH_MIKEY_DHHMAC, CPH_MIKEY_ECMQV };
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = row };

    (void)state;
    cfg_a.trust = NULL; /* nobody vouches for any */
    for (unsigned i = 0; i < sizeof mode / sizeof *mode; i++) {
        struct cph_sdp *offer, *answer;
        struct side mirror;

        cfg_a.mode = mode[i];
        /* of PSK nothing but the secret says who is who */
        cfg_a.id = cfg_a.peer_id = mode[i] == CPH_MIKEY_PSK ? NULL : ALICE;
        if (mode[i] == CPH_MIKEY_ECMQV) {
            cfg_a.key = ec_b256;
            cfg_a.cert = cfg_a.peer_cert = cert_ec_b256;
        }
        reopen();
        offer = make_offer(&p, &p.a);
        cfg.keying.mikey = ma;
        side_open(&mirror, cfg, "10.0.0.1", 9);
        assert_err(try_answer(&p, &mirror, offer, &answer), CPH_E_POLICY);
        side_close(&mirror);
    }
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void chains_of_odd_shape(void **state)
{
    static char pem[20000];
    struct mikey_cert c[MIKEY_MAX_CERTS + 1];
    uint8_t longer[4096];
    struct cph_sdp *offer, *answer;
    struct mikey_text t, other;
    struct mikey_msg m;
    size_t n;

    (void)state;
    cfg_a.mode = CPH_MIKEY_RSA_R;
    for (unsigned i = 0; i < 9; i++) {
        struct edit e = { .cert = c, .n_cert = 2, .signer = NULL };
        bool good = i < 3;

        reopen();
        offer = make_offer(&p, &p.a);
        m = parsed(offer, &t);
        for (unsigned k = 0; k <= MIKEY_MAX_CERTS; k++)
            c[k] = (struct mikey_cert){ MIKEY_X509, cph_cert_der(cert_rsa_a) };
        assert_ok(cph_cert_pem(cert_rsa_a, pem, sizeof pem, &n));
        switch (i) {
        case 0: /* the same once more */
            break;
        case 1: /* one above it that has nothing to do with it */
            c[1].data = cph_cert_der(cert_ec_b);
            break;
        case 2:
            e.n_cert = MIKEY_MAX_CERTS;
            break;
        case 3:
            e.n_cert = MIKEY_MAX_CERTS + 1;
            break;
        case 4: /* the signer behind another */
            c[0].data = cph_cert_der(cert_rsa_b);
            break;
        case 5:
            c[0].data = (struct cph_span){ (const uint8_t *)pem, n };
            break;
        case 6:
            c[0].data = (struct cph_span){ NULL, 0 };
            break;
        case 7:
            c[1].type = MIKEY_X509_ENCR;
            break;
        case 8: /* something behind the last byte of it */
            memcpy(longer, c[0].data.p, c[0].data.n);
            longer[c[0].data.n] = 0;
            c[0].data = (struct cph_span){ longer, c[0].data.n + 1 };
            break;
        }
        e.signer = ma;
        other = again(&m, m.rand, &e);
        assert_err(try_answer(&p, &p.b, with_message(offer, &other), &answer),
                   good ? CPH_OK : CPH_E_POLICY);
        if (good)
            assert_ok(try_finish(&p.a, answer));
    }
}

/* ---- groups and points ----------------------------------------------------------------------- */

enum { VALUES = 6 };

/* Values that are none of the group; the last is one. */
static void bad_value(enum cph_agree_group group, unsigned i, struct cph_span good, uint8_t *out)
{
    struct cph_secret x;

    memset(out, i == 1 ? 0xff : 0, good.n);
    if (i == 2) /* one: of no order to speak of; as a point, (0, 1) */
        out[good.n - 1] = 1;
    if (i == 3 || i == 4)
        memcpy(out, good.p, good.n);
    if (i == 3 && good.n < 200)
        out[good.n - 1] ^= 1;      /* beside the curve */
    if (i == 3 && good.n >= 200) { /* the prime: its first and last 64 bits are ones */
        memset(out, 0xff, 8);
        memset(out + good.n - 8, 0xff, 8);
        memset(out + 8, 0xff, good.n - 16);
    }
    if (i == 4 && good.n < 200)
        memcpy(out + good.n / 2, good.p, good.n / 2); /* X for Y */
    if (i == 4 && good.n >= 200)
        memset(out, 0xff, good.n / 2); /* over the prime, or no member */
    if (i == 5)
        assert_ok(cph_agree_make(&env_a.env, group, 0, &x, out));
}

/* Under a good MAC: who proves that he has the secret does not learn ours by a value of his. */
static void values_that_are_none_make_no_keys(void **state)
{
    static const enum cph_agree_group group[] = { CPH_AGREE_P256, CPH_AGREE_P384, CPH_AGREE_P521,
                                                  CPH_AGREE_MODP_2048 };
    static uint8_t bad[CPH_AGREE_PUBLIC_MAX];

    (void)state;
    cfg_a.mode = CPH_MIKEY_DHHMAC;
    for (unsigned g = 0; g < sizeof group / sizeof *group; g++)
        for (unsigned i = 0; i < 2 * VALUES; i++) {
            bool in_answer = i >= VALUES, good = i % VALUES == VALUES - 1;
            struct cph_sdp *offer, *answer;
            struct mikey_dh dh[2];
            struct mikey_text t, other;
            struct mikey_msg m;
            struct cph_span rand;
            cph_err err;

            if (group[g] == CPH_AGREE_MODP_2048 && (i % VALUES == 4))
                continue; /* most values are members of such a group */
            cfg_a.group = group[g];
            reopen();
            offer = make_offer(&p, &p.a);
            m = parsed(offer, &t);
            rand = cph_arena_copy(p.arena, m.rand);
            if (in_answer) {
                assert_ok(try_answer(&p, &p.b, offer, &answer));
                m = parsed(answer, &t);
            }
            memcpy(dh, m.dh, sizeof dh);
            bad_value(group[g], i % VALUES, dh[0].value, bad);
            dh[0].value.p = bad;
            other = again(&m, rand, &(struct edit){ .dh = dh });
            err = in_answer ? try_finish(&p.a, with_message(answer, &other))
                            : try_answer(&p, &p.b, with_message(offer, &other), &answer);
            if ((err == CPH_OK) != good)
                fail_msg("group %u, value %u: %s", g, i, cph_err_text(err));
        }
}

static void an_answer_is_over_the_group_and_the_value_that_were_offered(void **state)
{
    static uint8_t value[CPH_AGREE_PUBLIC_MAX];
    struct cph_secret x;

    (void)state;
    cfg_a.mode = CPH_MIKEY_DHHMAC;
    for (unsigned i = 0; i < 5; i++) {
        struct cph_sdp *offer, *answer;
        struct mikey_dh dh[2];
        struct mikey_text t, other;
        struct mikey_msg m;
        struct cph_span rand, ours;

        reopen();
        offer = make_offer(&p, &p.a);
        m = parsed(offer, &t);
        rand = cph_arena_copy(p.arena, m.rand);
        ours = cph_arena_copy(p.arena, m.dh[0].value);
        assert_ok(try_answer(&p, &p.b, offer, &answer));
        m = parsed(answer, &t);
        memcpy(dh, m.dh, sizeof dh);
        assert_ok(
            cph_agree_make(&env_a.env, i == 1 ? CPH_AGREE_P384 : CPH_AGREE_P256, 0, &x, value));
        if (i == 1) { /* another group */
            dh[0].group = MIKEY_P384;
            dh[0].value = (struct cph_span){ value, cph_agree_public_size(CPH_AGREE_P384) };
        }
        if (i == 2)
            dh[0].value = ours; /* thrown back */
        if (i == 3)
            dh[1].value.p = value; /* an answer to another value */
        if (i == 4) {              /* the two in each other's place */
            dh[0] = m.dh[1];
            dh[1] = m.dh[0];
        }
        other = again(&m, rand, &(struct edit){ .dh = dh });
        assert_err(try_finish(&p.a, with_message(answer, &other)), i ? CPH_E_POLICY : CPH_OK);
        cph_secret_wipe(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(lines_may_be_moved_but_not_the_protocols),
        test(of_two_messages_none_is_taken),
        test(no_two_messages_of_a_bundle_have_keys_under_one_keystream),
        test(a_clock_that_was_set_right_is_believed_at_once),
        test(an_update_is_from_whose_bundle_it_is),
        test(a_policy_is_answered_as_it_was_offered),
        test(our_own_offer_is_nobody_elses),
        test(chains_of_odd_shape),
        test(values_that_are_none_make_no_keys),
        test(an_answer_is_over_the_group_and_the_value_that_were_offered),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
