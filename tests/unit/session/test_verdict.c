#include "support.h"

#include <stdlib.h>

#include "ciphony/session_policy.h"
#include "ciphony/session_verdict.h"

/* ---- evidence to start from ------------------------------------------------------------------ */

static struct cph_hop_facts hop(enum cph_hop_transport t, enum cph_hop_auth a, enum cph_hop_whose w)
{
    struct cph_hop_facts h = { t, a, w, CPH_HOP_SEEN_OURS, "" };

    cph_fact_text(h.name, cph_span_of("far.example"));
    return h;
}

static struct cph_stream_facts stream(const char *keying)
{
    bool dtls = strcmp(keying, "dtls") == 0;
    struct cph_stream_facts s = { .keys = dtls ? CPH_KEYS_AGREED : CPH_KEYS_SIGNALLED,
                                  .binding = CPH_BINDING_SIGNALLED,
                                  .validity = CPH_VALIDITY_GOOD,
                                  .members = CPH_MEMBERS_TWO,
                                  .vouched_by = CPH_VOUCHER_NOBODY,
                                  .in = CPH_GUARD_FULL,
                                  .out = CPH_GUARD_FULL,
                                  .rtcp = CPH_RTCP_FULL,
                                  .counted = true,
                                  .packets_in = 10,
                                  .packets_out = 11 };

    cph_fact_text(s.keying, cph_span_of(keying));
    cph_fact_text(s.suite, cph_span_of("AES_CM_128_HMAC_SHA1_80"));
    return s;
}

static struct cph_evidence evidence(const char *keying, struct cph_hop_facts h)
{
    struct cph_evidence ev = { .downgrade = CPH_DOWNGRADE_NONE };
    struct cph_stream_facts s = stream(keying);

    cph_fact_text(ev.peer, cph_span_of("sip:bob@far.example"));
    cph_evidence_path(&ev, &h, 1, 1);
    cph_evidence_stream(&ev, 0, &s);
    return ev;
}

static bool says(const struct cph_verdict *v, enum cph_reason r)
{
    for (unsigned i = 0; i < v->reasons_n; i++)
        if (v->reason[i].code == r)
            return true;
    return false;
}

#define expect(ev, want_level, want_class, want_reason)                                            \
    do {                                                                                           \
        struct cph_verdict v_;                                                                     \
        cph_verdict_of(&(ev), NULL, &v_);                                                          \
        if (v_.level != (want_level) || v_.attacker != (want_class) || !says(&v_, want_reason)) {  \
            char text_[8192];                                                                      \
            if (cph_verdict_print(&v_, text_, sizeof text_) == CPH_OK)                             \
                print_error("%s\n", text_);                                                        \
        }                                                                                          \
        assert_string_equal(cph_level_name(v_.level), cph_level_name(want_level));                 \
        assert_string_equal(cph_attacker_name(v_.attacker), cph_attacker_name(want_class));        \
        assert_true(says(&v_, want_reason));                                                       \
    } while (0)

static const struct cph_hop_facts udp = { CPH_HOP_UDP, CPH_HOP_AUTH_UNKNOWN, CPH_HOP_WHOSE_UNKNOWN,
                                          CPH_HOP_SEEN_OURS, "" };
#define PROXY    hop(CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT)
#define DOMAIN   hop(CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_DOMAIN)
#define PEER_CA  hop(CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_PEER)
#define PEER_PIN hop(CPH_HOP_TLS12, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER)
#define STRANGER hop(CPH_HOP_TLS13, CPH_HOP_AUTH_NONE, CPH_HOP_WHOSE_PEER)

/* ---- nothing known --------------------------------------------------------------------------- */

static void nothing_known_is_open(void **state)
{
    struct cph_evidence ev = { 0 };
    struct cph_stream_facts nothing = { 0 };

    (void)state;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_NO_STREAM);
    cph_evidence_stream(&ev, 0, &nothing);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_KEYS_UNKNOWN);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_GUARD_UNKNOWN);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_NOT_COUNTED);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_RTCP_CLEAR);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_DOWNGRADE_UNKNOWN);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_HOP_MISSING);
}

/* ---- SDES ------------------------------------------------------------------------------------ */

static void sdes_is_worth_what_its_signalling_path_is(void **state)
{
    static const struct {
        enum cph_hop_transport transport;
        enum cph_level level;
        enum cph_reason reason;
    } row[] = {
        { CPH_HOP_UNKNOWN, CPH_LEVEL_OPEN, CPH_REASON_HOP_OPEN },
        { CPH_HOP_UDP, CPH_LEVEL_OPEN, CPH_REASON_HOP_OPEN },
        { CPH_HOP_TCP, CPH_LEVEL_OPEN, CPH_REASON_KEYS_ON_OPEN_HOP },
        { CPH_HOP_TLS_OLD, CPH_LEVEL_OPEN, CPH_REASON_HOP_OLD_TLS },
        { CPH_HOP_TLS12, CPH_LEVEL_HOP, CPH_REASON_KEYS_AT_HOPS },
        { CPH_HOP_TLS13, CPH_LEVEL_HOP, CPH_REASON_KEYS_AT_HOPS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_evidence ev =
            evidence("sdes", hop(row[i].transport, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT));

        expect(ev, row[i].level, CPH_ATTACKER_I, row[i].reason);
    }
}

static void sdes_never_counts_as_private_without_a_path_that_ends_at_the_peer(void **state)
{
    struct cph_evidence ev;

    (void)state;
    ev = evidence("sdes", STRANGER);
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_HOP_UNCHECKED);
    ev = evidence("sdes", hop(CPH_HOP_TLS13, CPH_HOP_AUTH_UNKNOWN, CPH_HOP_WHOSE_NEXT));
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_KEYS_ON_OPEN_HOP); /* --insecure-tls */
    ev = evidence("sdes", DOMAIN); /* the domain's server reads them */
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_KEYS_AT_HOPS);
    ev = evidence("sdes", hop(CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_NEXT));
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_KEYS_AT_HOPS); /* a pinned proxy */
    ev = evidence("sdes", PEER_CA);
    expect(ev, CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_IV, CPH_REASON_AUTHORITY_VOUCHES);
    ev = evidence("sdes", PEER_PIN);
    expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_KEYS_AT_PEER_ONLY);
    ev.stream[0].vouched_by = CPH_VOUCHER_COMPARED; /* nothing vouches for keys a proxy has read */
    ev.hop[0] = PROXY;
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_KEYS_AT_HOPS);
}

static void further_hops_let_an_intermediary_read_sdes_keys(void **state)
{
    struct cph_hop_facts path[] = { PEER_PIN, PEER_PIN };
    struct cph_evidence ev = evidence("sdes", PEER_PIN);

    (void)state;
    path[1].seen = CPH_HOP_SEEN_CLAIMED; /* two Via entries: somebody stands between */
    cph_evidence_path(&ev, path, 2, 2);
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_HOP_CLAIMED);

    ev = evidence("sdes", PEER_PIN);
    path[1].transport = CPH_HOP_UDP; /* and one of them came without encryption */
    cph_evidence_path(&ev, path, 2, 2);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_KEYS_ON_OPEN_HOP);

    ev = evidence("sdes", PEER_PIN);
    cph_evidence_path(&ev, path, 1, 2); /* two Via entries, one described */
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_HOP_MISSING);

    ev = evidence("sdes", PEER_PIN);
    cph_evidence_path(&ev, path, 1, 0); /* nobody counted them */
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_HOP_MISSING);

    ev = evidence("sdes", PEER_PIN);
    ev.hop[0].seen = CPH_HOP_SEEN_UNKNOWN;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_HOP_CLAIMED);

    ev = evidence("sdes", PEER_PIN);
    for (unsigned i = 0; i <= CPH_EVIDENCE_HOPS; i++) { /* more hops than we have room for */
        path[0].name[0] = (char)('a' + i);
        cph_evidence_path(&ev, path, 1, 1);
    }
    assert_int_equal(ev.hops_n, CPH_EVIDENCE_HOPS);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_HOP_MISSING);
}

static void a_path_told_twice_is_counted_once(void **state)
{
    struct cph_hop_facts h = PEER_PIN;
    struct cph_evidence ev = evidence("sdes", h);

    (void)state;
    cph_evidence_path(&ev, &h, 1, 1);
    assert_int_equal(ev.hops_n, 1);
    assert_int_equal(ev.hops_told, 1);
    h = udp; /* the answer came another way */
    cph_evidence_path(&ev, &h, 1, 1);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_HOP_OPEN);
}

/* ---- DTLS ------------------------------------------------------------------------------------ */

static void dtls_with_a_signalled_fingerprint_is_private_whatever_the_transport(void **state)
{
    struct cph_evidence ev = evidence("dtls", udp);

    (void)state;
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_PROMISE_OPEN);
    ev = evidence("dtls", PROXY);
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_NOBODY_VOUCHES);
    ev = evidence("dtls", STRANGER);
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_HOP_UNCHECKED);
    ev.hops_n = 0;
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_HOP_MISSING);
}

static void dtls_rises_only_by_who_vouches(void **state)
{
    static const struct {
        enum cph_voucher voucher;
        enum cph_level level;
        enum cph_attacker attacker;
        enum cph_reason reason;
    } row[] = {
        { CPH_VOUCHER_UNKNOWN, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_NOBODY_VOUCHES },
        { CPH_VOUCHER_NOBODY, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_NOBODY_VOUCHES },
        { CPH_VOUCHER_DOMAIN, CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_III, CPH_REASON_DOMAIN_VOUCHES },
        { CPH_VOUCHER_AUTHORITY, CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_IV,
          CPH_REASON_AUTHORITY_VOUCHES },
        { CPH_VOUCHER_PIN, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_PIN_VOUCHES },
        { CPH_VOUCHER_PAIRED, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_PAIRED_VOUCHES },
        { CPH_VOUCHER_SECRET, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_SECRET_VOUCHES },
        { CPH_VOUCHER_COMPARED, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_COMPARED_VOUCHES },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_evidence ev = evidence("dtls", udp);

        ev.stream[0].vouched_by = row[i].voucher;
        expect(ev, row[i].level, row[i].attacker, row[i].reason);
        expect(ev, row[i].level, row[i].attacker,
               row[i].voucher >= CPH_VOUCHER_SECRET ? CPH_REASON_BOUND_BY_USERS : CPH_REASON_BOUND);
    }
}

static void a_checked_path_vouches_for_the_fingerprint_it_carried(void **state)
{
    struct cph_verdict v;
    struct cph_evidence ev = evidence("dtls", DOMAIN);

    (void)state;
    expect(ev, CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_III, CPH_REASON_DOMAIN_VOUCHES);
    ev = evidence("dtls", PEER_CA);
    expect(ev, CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_IV, CPH_REASON_AUTHORITY_VOUCHES);
    cph_verdict_of(&ev, NULL, &v);
    assert_string_equal(v.voucher, "far.example");
    assert_int_equal(v.vouched_by, CPH_VOUCHER_AUTHORITY);
    assert_int_equal(v.ends_at, CPH_ENDS_VOUCHED);
    ev = evidence("dtls", PEER_PIN);
    expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_PIN_VOUCHES);
    cph_verdict_of(&ev, NULL, &v);
    assert_int_equal(v.ends_at, CPH_ENDS_PEER);
    assert_true(v.policy_kept);
}

static void a_proof_over_the_body_verifies_and_any_other_does_not(void **state)
{
    struct cph_verdict v;
    struct cph_evidence ev = evidence("dtls", udp);

    (void)state;
    cph_evidence_proof(&ev, CPH_PROOF_COVERED);
    expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_SECRET_VOUCHES);
    cph_verdict_of(&ev, NULL, &v);
    assert_string_equal(v.voucher, "sip:bob@far.example");
    cph_evidence_proof(&ev, CPH_PROOF_UNCOVERED); /* a later message was proven less */
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_PROOF_UNCOVERED);
    cph_evidence_proof(&ev, CPH_PROOF_UNKNOWN);
    cph_evidence_proof(&ev, CPH_PROOF_COVERED);
    assert_int_equal(ev.proof, CPH_PROOF_UNCOVERED);
    ev = evidence("sdes", PROXY); /* keys that were read stay read */
    ev.proof = CPH_PROOF_COVERED;
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_KEYS_AT_HOPS);
}

static void a_certificate_that_is_not_the_promised_one_is_worth_nothing(void **state)
{
    static const struct {
        enum cph_key_binding binding;
        enum cph_level level;
        enum cph_attacker attacker;
        enum cph_reason reason;
    } row[] = {
        { CPH_BINDING_UNKNOWN, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_BINDING_UNKNOWN },
        { CPH_BINDING_MISMATCH, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_MISMATCH },
        { CPH_BINDING_SHARED, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_SHARED },
        { CPH_BINDING_BROKEN, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_BROKEN },
        { CPH_BINDING_UNCOMPARED, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_UNCOMPARED },
        { CPH_BINDING_NONE, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_NONE },
        { CPH_BINDING_WEAK, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_WEAK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_evidence ev = evidence("dtls", PEER_PIN);
        struct cph_verdict v;

        ev.stream[0].binding = row[i].binding;
        ev.stream[0].vouched_by = CPH_VOUCHER_PIN; /* does not help */
        expect(ev, row[i].level, row[i].attacker, row[i].reason);
        cph_verdict_of(&ev, NULL, &v);
        assert_int_equal(v.ends_at, row[i].level == CPH_LEVEL_OPEN ? CPH_ENDS_HERE : CPH_ENDS_FAR);
        assert_int_equal(v.vouched_by, CPH_VOUCHER_NOBODY);
    }
}

/* Shares in SDP: as good as the messages they came in, and never better than who could write there.
 */
static void keys_made_in_the_messages_are_as_good_as_their_path(void **state)
{
    struct cph_hop_facts far = hop(CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_PEER);
    struct cph_evidence ev = evidence("dtls", PEER_PIN);
    struct cph_policy none = { .no_authorities = true };
    struct cph_verdict v;

    (void)state;
    ev.stream[0].binding = CPH_BINDING_PATH;
    ev.stream[0].vouched_by = CPH_VOUCHER_NOBODY;
    expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_BOUND_BY_PATH);
    ev = evidence("dtls", far);
    ev.stream[0].binding = CPH_BINDING_PATH;
    expect(ev, CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_IV, CPH_REASON_BOUND_BY_PATH);
    cph_verdict_of(&ev, &none, &v);
    assert_int_equal(v.level, CPH_LEVEL_HOP);
    for (int i = 0; i < 3; i++) {
        struct cph_hop_facts h[] = { PROXY, hop(CPH_HOP_UDP, CPH_HOP_AUTH_NONE, CPH_HOP_WHOSE_NEXT),
                                     hop(CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY,
                                         CPH_HOP_WHOSE_DOMAIN) };

        ev = evidence("dtls", h[i]);
        ev.stream[0].binding = CPH_BINDING_PATH;
        ev.stream[0].vouched_by = CPH_VOUCHER_NOBODY;
        expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_PATH);
        ev.proof = CPH_PROOF_COVERED; /* a secret of the users covers the message itself */
        expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_BOUND_BY_PATH);
        ev.proof = CPH_PROOF_UNCOVERED;
        expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_PATH);
        /* a certificate that came with the messages and is pinned needs no path; what an authority
         * or a domain says of it does not replace one */
        ev.stream[0].vouched_by = CPH_VOUCHER_PIN;
        expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_BOUND_BY_USERS);
        ev.stream[0].vouched_by = CPH_VOUCHER_AUTHORITY;
        expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_BINDING_PATH);
    }
}

static void an_expired_certificate_authenticates_nobody(void **state)
{
    (void)state;
    for (int val = CPH_VALIDITY_UNKNOWN; val <= CPH_VALIDITY_EXPIRED; val++) {
        struct cph_evidence ev = evidence("dtls", PEER_PIN);

        ev.stream[0].vouched_by = CPH_VOUCHER_PIN;
        ev.stream[0].validity = (enum cph_key_validity)val;
        expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_VALIDITY);
    }
}

static void who_else_has_a_group_s_keys_nobody_can_say(void **state)
{
    static const char *const keying[] = { "sdes", "dtls" };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct cph_evidence ev = evidence(keying[i], PEER_PIN);
        struct cph_stream_facts s;
        struct cph_verdict v;

        ev.stream[0].vouched_by = i ? CPH_VOUCHER_COMPARED : CPH_VOUCHER_NOBODY;
        cph_verdict_of(&ev, NULL, &v);
        assert_int_equal(v.level, CPH_LEVEL_VERIFIED);
        ev.stream[0].members = CPH_MEMBERS_GROUP;
        expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_KEYS_GROUP);
        cph_verdict_of(&ev, NULL, &v);
        assert_int_equal(v.vouched_by, CPH_VOUCHER_NOBODY);
        ev.stream[0].members = CPH_MEMBERS_UNKNOWN;
        expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_MEMBERS_UNKNOWN);
        ev.stream[0].members = CPH_MEMBERS_GROUP; /* once a group's, it was */
        s = ev.stream[0];
        s.members = CPH_MEMBERS_TWO;
        cph_evidence_stream(&ev, 0, &s);
        expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_KEYS_GROUP);
    }
    struct cph_evidence open = evidence("sdes", PROXY); /* it raises nothing */

    open.hop[0].transport = CPH_HOP_UDP;
    open.stream[0].members = CPH_MEMBERS_GROUP;
    expect(open, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_KEYS_GROUP);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void each_direction_counts_by_its_own_guard(void **state)
{
    static const struct {
        enum cph_stream_guard guard;
        enum cph_level level;
        enum cph_attacker attacker;
        enum cph_reason reason;
    } row[] = {
        { CPH_GUARD_UNKNOWN, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_GUARD_UNKNOWN },
        { CPH_GUARD_CLEAR, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_MEDIA_CLEAR },
        { CPH_GUARD_NULL_CIPHER, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_NULL_CIPHER },
        { CPH_GUARD_UNAUTHENTICATED, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III,
          CPH_REASON_UNAUTHENTICATED },
        { CPH_GUARD_SHORT_TAG, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_SHORT_TAG },
        { CPH_GUARD_FULL, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_PIN_VOUCHES },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_evidence ev = evidence("dtls", PEER_PIN);

        ev.stream[0].in = row[i].guard;
        expect(ev, row[i].level, row[i].attacker, row[i].reason);
        ev.stream[0].in = CPH_GUARD_FULL;
        ev.stream[0].out = row[i].guard;
        expect(ev, row[i].level, row[i].attacker, row[i].reason);
    }
}

static void rtcp_that_can_be_read_or_forged_lowers(void **state)
{
    struct cph_evidence ev = evidence("dtls", PEER_PIN);

    (void)state;
    ev.stream[0].rtcp = CPH_RTCP_UNENCRYPTED;
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_RTCP_UNENCRYPTED);
    ev.stream[0].rtcp = CPH_RTCP_CLEAR;
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_RTCP_CLEAR);
    ev.stream[0].rtcp = CPH_RTCP_UNKNOWN;
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_RTCP_CLEAR);
}

static void one_packet_in_clear_opens_the_call(void **state)
{
    struct cph_evidence ev = evidence("dtls", PEER_PIN);

    (void)state;
    ev.stream[0].refused_in = 1000; /* thrown away: no harm */
    expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_CLEAR_REFUSED);
    ev.stream[0].clear_in = 1;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_CLEAR_IN);
    ev.stream[0].clear_in = 0;
    ev.stream[0].clear_out = 1;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_CLEAR_OUT);
    ev.stream[0].clear_out = 0;
    ev.stream[0].counted = false;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_NOT_COUNTED);
}

static void plain_rtp_is_open_and_breaks_a_policy_that_requires_srtp(void **state)
{
    struct cph_policy prefer = { .media = CPH_SECURITY_PREFER };
    struct cph_evidence ev = evidence("none", PEER_PIN);
    struct cph_stream_facts s = { .keys = CPH_KEYS_NONE,
                                  .in = CPH_GUARD_CLEAR,
                                  .out = CPH_GUARD_CLEAR,
                                  .rtcp = CPH_RTCP_CLEAR,
                                  .counted = true,
                                  .clear_in = 5 };
    struct cph_verdict v;

    (void)state;
    ev.stream[0] = s;
    ev.fallback_used = true;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_MEDIA_CLEAR);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_FALLBACK);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_POLICY_BROKEN);
    cph_verdict_of(&ev, &prefer, &v);
    assert_true(v.policy_kept);
    assert_int_equal(v.level, CPH_LEVEL_OPEN);
    assert_int_equal(v.ends_at, CPH_ENDS_HERE);
}

/* ---- several streams, history ---------------------------------------------------------------- */

static void the_worst_stream_counts(void **state)
{
    struct cph_evidence ev = evidence("dtls", PEER_PIN);
    struct cph_stream_facts s = stream("dtls");
    struct cph_verdict v;

    (void)state;
    s.out = CPH_GUARD_CLEAR;
    cph_evidence_stream(&ev, 1, &s);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_MEDIA_CLEAR);
    cph_verdict_of(&ev, NULL, &v);
    assert_int_equal(v.streams_n, 2);
    assert_int_equal(v.stream[0].level, CPH_LEVEL_VERIFIED);
    assert_int_equal(v.stream[1].level, CPH_LEVEL_OPEN);
    assert_int_equal(v.vouched_by, CPH_VOUCHER_NOBODY);
    assert_string_equal(v.voucher, "");

    ev = evidence("dtls", PROXY); /* one pinned, one not: nobody vouches for the call */
    s = stream("dtls");
    s.vouched_by = CPH_VOUCHER_PIN;
    cph_evidence_stream(&ev, 1, &s);
    expect(ev, CPH_LEVEL_PRIVATE, CPH_ATTACKER_III, CPH_REASON_NOBODY_VOUCHES);
    cph_verdict_of(&ev, NULL, &v);
    assert_int_equal(v.vouched_by, CPH_VOUCHER_NOBODY);
    assert_int_equal(v.ends_at, CPH_ENDS_FAR);
}

static void a_stream_nobody_spoke_about_opens_the_call(void **state)
{
    struct cph_evidence ev = evidence("dtls", PEER_PIN);
    struct cph_stream_facts s = stream("dtls");

    (void)state;
    cph_evidence_streams_told(&ev, 2);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_STREAM_MISSING);
    cph_evidence_streams_told(&ev, 1); /* the larger stays */
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_STREAM_MISSING);
    ev = evidence("dtls", PEER_PIN);
    cph_evidence_stream(&ev, 2, &s); /* and a gap is one too */
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_KEYS_UNKNOWN);
    ev = evidence("dtls", PEER_PIN);
    cph_evidence_stream(&ev, CPH_EVIDENCE_STREAMS, &s);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_STREAM_MISSING);
}

static void what_happened_once_stays_told(void **state)
{
    struct cph_evidence ev = { .downgrade = CPH_DOWNGRADE_NONE };
    struct cph_hop_facts h = PEER_PIN;
    struct cph_stream_facts bad = stream("sdes"), good = stream("dtls");

    (void)state;
    cph_evidence_path(&ev, &h, 1, 1);
    bad.in = CPH_GUARD_NULL_CIPHER;
    bad.packets_in = 3;
    cph_evidence_stream(&ev, 0, &bad);
    good.vouched_by = CPH_VOUCHER_PIN;
    good.rekeys = 1;
    bad.resumed = true;
    cph_evidence_stream(&ev, 0, &bad);
    cph_evidence_stream(&ev, 0, &good);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_NULL_CIPHER);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_REKEYED);
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_RESUMED);
    assert_int_equal(ev.stream[0].keys, CPH_KEYS_MIXED);
    assert_string_equal(ev.stream[0].keying, "dtls");
    assert_int_equal(ev.stream[0].packets_in, 10);
}

/* They are words for what other facts say, so alone they neither lower nor raise; and once told
 * they stay, whatever keys come later. */
static void what_was_weak_is_told_and_stays_told(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct cph_evidence ev = evidence("dtls", PROXY), calm = ev;
        struct cph_stream_facts later = stream("dtls");
        struct cph_verdict v, was;

        ev.stream[0].weak_group = i != 1;
        ev.stream[0].weak_signature = i != 0;
        cph_verdict_of(&calm, NULL, &was);
        cph_verdict_of(&ev, NULL, &v);
        assert_int_equal(v.level, was.level);
        assert_int_equal(v.attacker, was.attacker);
        cph_evidence_stream(&ev, 0, &later);
        cph_verdict_of(&ev, NULL, &v);
        assert_int_equal(v.reasons_n, was.reasons_n + (i == 2 ? 2 : 1));
        assert_int_equal(v.reason[0].code,
                         i == 1 ? CPH_REASON_WEAK_SIGNATURE : CPH_REASON_WEAK_GROUP);
        assert_int_equal(v.reason[0].about, CPH_ABOUT_STREAM);
    }
    (void)state;
}

static void keys_made_in_two_ways_count_as_the_worse(void **state)
{
    struct cph_evidence ev = evidence("sdes", PROXY);
    struct cph_stream_facts dtls = stream("dtls");

    (void)state;
    cph_evidence_stream(&ev, 0, &dtls);
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_I, CPH_REASON_KEYS_AT_HOPS);
    ev = evidence("dtls", PEER_PIN);
    dtls = stream("sdes");
    cph_evidence_stream(&ev, 0, &dtls);
    expect(ev, CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV, CPH_REASON_PIN_VOUCHES);
    ev.stream[0].binding = CPH_BINDING_MISMATCH;
    expect(ev, CPH_LEVEL_OPEN, CPH_ATTACKER_I, CPH_REASON_MISMATCH);
}

static void a_downgrade_or_a_missing_look_for_one_lowers(void **state)
{
    struct cph_evidence ev = evidence("dtls", PEER_PIN);

    (void)state;
    cph_evidence_downgrade(&ev, CPH_DOWNGRADE_NOTICED);
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_DOWNGRADE);
    cph_evidence_downgrade(&ev, CPH_DOWNGRADE_NONE); /* later looks do not undo it */
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_DOWNGRADE);
    ev.downgrade = CPH_DOWNGRADE_UNKNOWN;
    expect(ev, CPH_LEVEL_HOP, CPH_ATTACKER_II, CPH_REASON_DOWNGRADE_UNKNOWN);
}

/* ---- policy ---------------------------------------------------------------------------------- */

static void policy_may_refuse_authorities_and_ask_for_a_level(void **state)
{
    struct cph_policy alone = { .no_authorities = true }, high = { .need = CPH_LEVEL_IDENTIFIED };
    struct cph_evidence by_name[] = { evidence("dtls", DOMAIN), evidence("dtls", PEER_CA),
                                      evidence("dtls", udp) };
    struct cph_evidence ev = evidence("sdes", PEER_CA);
    struct cph_verdict v;

    (void)state;
    by_name[2].stream[0].vouched_by = CPH_VOUCHER_AUTHORITY;
    for (size_t i = 0; i < 3; i++) {
        cph_verdict_of(&by_name[i], &alone, &v);
        assert_int_equal(v.level, CPH_LEVEL_PRIVATE);
        assert_int_equal(v.attacker, CPH_ATTACKER_III);
        assert_true(says(&v, CPH_REASON_AUTHORITY_UNUSED));
        assert_true(v.policy_kept);
        cph_verdict_of(&by_name[i], &high, &v);
        assert_int_equal(v.level, CPH_LEVEL_IDENTIFIED);
        assert_true(v.policy_kept);
    }
    cph_verdict_of(&ev, &alone, &v);
    assert_int_equal(v.level, CPH_LEVEL_HOP);
    ev = evidence("dtls", udp);
    cph_verdict_of(&ev, &high, &v);
    assert_false(v.policy_kept);
    assert_true(says(&v, CPH_REASON_POLICY_BROKEN));
    ev = evidence("dtls", PEER_PIN);
    cph_verdict_of(&ev, &alone, &v);
    assert_int_equal(v.level, CPH_LEVEL_VERIFIED);
}

static void a_call_may_choose_its_policy_and_unset_is_the_strictest(void **state)
{
    struct cph_policy account = { .media = CPH_SECURITY_PREFER,
                                  .need = CPH_LEVEL_HOP,
                                  .keying = { "sdes" },
                                  .keying_n = 1,
                                  .early_ms = 5 };
    struct cph_policy call = {
        .keying = { "dtls", "sdes" }, .keying_n = 2, .challenge = true, .early_packets = 7
    };
    struct cph_policy p = cph_policy_choose(NULL, NULL);
    enum cph_security s;
    enum cph_level l;

    (void)state;
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_REQUIRED);
    p.media = (enum cph_security)99;
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_REQUIRED);
    p = cph_policy_choose(&account, NULL);
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_PREFER);
    p = cph_policy_choose(&account, &call);
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_PREFER);
    assert_int_equal(p.need, CPH_LEVEL_HOP);
    assert_int_equal(p.keying_n, 2);
    assert_string_equal(p.keying[0], "dtls");
    assert_int_equal(p.early_packets, 7);
    assert_int_equal(p.early_ms, 5);
    assert_true(p.challenge);
    call.media = CPH_SECURITY_NONE;
    call.need = CPH_LEVEL_VERIFIED;
    call.early_ms = 9;
    p = cph_policy_choose(&account, &call);
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_NONE);
    assert_int_equal(p.need, CPH_LEVEL_VERIFIED);
    assert_int_equal(p.early_ms, 9);

    assert_ok(cph_security_parse(cph_span_of("prefer"), &s));
    assert_int_equal(s, CPH_SECURITY_PREFER);
    assert_err(cph_security_parse(cph_span_of("unset"), &s), CPH_E_MALFORMED);
    assert_err(cph_security_parse(cph_span_of("Prefer"), &s), CPH_E_MALFORMED);
    assert_ok(cph_level_parse(cph_span_of("verified"), &l));
    assert_int_equal(l, CPH_LEVEL_VERIFIED);
    assert_err(cph_level_parse(cph_span_of("secure"), &l), CPH_E_MALFORMED);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void every_value_has_a_name_and_other_values_do_not_crash(void **state)
{
    (void)state;
    for (int i = 0; i < CPH_REASON_COUNT_; i++) {
        assert_string_not_equal(cph_reason_name((enum cph_reason)i), "?");
        assert_string_not_equal(cph_reason_text((enum cph_reason)i), "?");
    }
    for (int i = 0; i <= CPH_LEVEL_VERIFIED; i++) {
        assert_string_not_equal(cph_level_name((enum cph_level)i), "?");
        assert_string_not_equal(cph_level_text((enum cph_level)i), "?");
    }
    for (int i = 1; i <= CPH_ATTACKER_IV; i++) {
        assert_string_not_equal(cph_attacker_name((enum cph_attacker)i), "?");
        assert_string_not_equal(cph_attacker_text((enum cph_attacker)i), "?");
    }
    for (int i = 0; i <= CPH_VOUCHER_COMPARED; i++)
        assert_string_not_equal(cph_voucher_name((enum cph_voucher)i), "?");
    for (int i = 0; i <= CPH_ENDS_PEER; i++)
        assert_string_not_equal(cph_ends_text((enum cph_ends)i), "?");
    for (int i = 0; i <= CPH_HOP_TLS13; i++)
        assert_string_not_equal(cph_hop_transport_name((enum cph_hop_transport)i), "?");
    for (int i = 0; i <= CPH_SECURITY_NONE; i++)
        assert_string_not_equal(cph_security_name((enum cph_security)i), "?");
    assert_string_equal(cph_level_name((enum cph_level)99), "?");
    assert_string_equal(cph_reason_text(CPH_REASON_COUNT_), "?");
    assert_string_equal(cph_attacker_name((enum cph_attacker)0), "?");
}

static void the_printed_verdict_says_it_in_words(void **state)
{
    struct cph_evidence ev = evidence("sdes", udp);
    struct cph_stream_facts s = stream("dtls");
    struct cph_verdict v;
    char text[8192], line[CPH_VERDICT_LINE];

    (void)state;
    cph_fact_text(ev.hop[0].name, cph_span_of("192.0.2.7:5060"));
    cph_verdict_of(&ev, NULL, &v);
    assert_ok(cph_verdict_print(&v, text, sizeof text));
    assert_non_null(strstr(text, "open (attacker class I)"));
    assert_non_null(strstr(text, "peer: sip:bob@far.example, vouched for by: nobody"));
    assert_non_null(strstr(text, "hop 1: udp to 192.0.2.7:5060"));
    assert_non_null(strstr(text, "- the keys crossed a hop without encryption"));
    assert_non_null(strstr(text, "sdes AES_CM_128_HMAC_SHA1_80, open, 10 packets in, 11 out"));
    for (size_t cap = 0; cap < strlen(text) + 1; cap++) {
        char *small = malloc(cap ? cap : 1);

        assert_err(cph_verdict_print(&v, small, cap), CPH_E_NOSPACE);
        free(small);
    }
    ev = evidence("dtls", PEER_PIN);
    cph_evidence_stream(&ev, 1, &s);
    cph_verdict_of(&ev, NULL, &v);
    assert_string_equal(cph_verdict_hop_line(&v, 0, line),
                        "tls 1.2 to far.example, pinned certificate of the peer");
    assert_string_equal(cph_verdict_hop_line(&v, 1, line), "");
    assert_string_equal(cph_verdict_reason_line(&v, 0, line),
                        "stream 1: keys agreed end to end with the certificate the signalling "
                        "promised");
    assert_string_equal(cph_verdict_reason_line(&v, CPH_VERDICT_REASONS, line), "");
    ev.hop[0].seen = CPH_HOP_SEEN_CLAIMED;
    cph_verdict_of(&ev, NULL, &v);
    assert_non_null(strstr(cph_verdict_hop_line(&v, 0, line), "only claimed"));
    assert_true(says(&v, CPH_REASON_HOP_CLAIMED));
    for (unsigned i = 0; i < v.reasons_n; i++)
        if (v.reason[i].about == CPH_ABOUT_HOP)
            assert_non_null(strstr(cph_verdict_reason_line(&v, i, line), "hop 1 (tls far"));
    ev.hop[0].transport = CPH_HOP_UNKNOWN; /* what is claimed is shown as far as it goes */
    cph_verdict_of(&ev, NULL, &v);
    assert_non_null(strstr(cph_verdict_hop_line(&v, 0, line), "without tls"));
}

static void a_name_from_the_wire_is_cut_and_cannot_move_the_cursor(void **state)
{
    char name[CPH_FACT_TEXT];
    uint8_t evil[200];

    (void)state;
    memset(evil, 'x', sizeof evil);
    evil[0] = '\n';
    evil[1] = 0x1b;
    evil[2] = 0;
    evil[3] = 127;
    cph_fact_text(name, (struct cph_span){ evil, sizeof evil });
    assert_int_equal(strlen(name), CPH_FACT_TEXT - 1);
    assert_memory_equal(name, "????x", 5);
    cph_fact_text(name, (struct cph_span){ NULL, 0 });
    assert_string_equal(name, "");
}

static void reasons_never_overflow_and_the_lowering_ones_come_first(void **state)
{
    struct cph_evidence ev = { 0 };
    struct cph_stream_facts s = stream("dtls");
    struct cph_verdict v;

    (void)state;
    s.rtcp = CPH_RTCP_CLEAR;
    s.clear_in = s.clear_out = s.refused_in = s.rekeys = 1;
    s.counted = false;
    s.in = CPH_GUARD_CLEAR;
    for (unsigned i = 0; i < CPH_EVIDENCE_STREAMS; i++)
        cph_evidence_stream(&ev, i, &s);
    cph_verdict_of(&ev, NULL, &v);
    assert_int_equal(v.reasons_n, CPH_VERDICT_REASONS);
    assert_false(says(&v, CPH_REASON_REKEYED));
    assert_int_equal(v.level, CPH_LEVEL_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_is_open),
        cmocka_unit_test(sdes_is_worth_what_its_signalling_path_is),
        cmocka_unit_test(sdes_never_counts_as_private_without_a_path_that_ends_at_the_peer),
        cmocka_unit_test(further_hops_let_an_intermediary_read_sdes_keys),
        cmocka_unit_test(a_path_told_twice_is_counted_once),
        cmocka_unit_test(dtls_with_a_signalled_fingerprint_is_private_whatever_the_transport),
        cmocka_unit_test(dtls_rises_only_by_who_vouches),
        cmocka_unit_test(a_checked_path_vouches_for_the_fingerprint_it_carried),
        cmocka_unit_test(a_proof_over_the_body_verifies_and_any_other_does_not),
        cmocka_unit_test(a_certificate_that_is_not_the_promised_one_is_worth_nothing),
        cmocka_unit_test(keys_made_in_the_messages_are_as_good_as_their_path),
        cmocka_unit_test(an_expired_certificate_authenticates_nobody),
        cmocka_unit_test(who_else_has_a_group_s_keys_nobody_can_say),
        cmocka_unit_test(each_direction_counts_by_its_own_guard),
        cmocka_unit_test(rtcp_that_can_be_read_or_forged_lowers),
        cmocka_unit_test(one_packet_in_clear_opens_the_call),
        cmocka_unit_test(plain_rtp_is_open_and_breaks_a_policy_that_requires_srtp),
        cmocka_unit_test(the_worst_stream_counts),
        cmocka_unit_test(a_stream_nobody_spoke_about_opens_the_call),
        cmocka_unit_test(what_happened_once_stays_told),
        cmocka_unit_test(what_was_weak_is_told_and_stays_told),
        cmocka_unit_test(keys_made_in_two_ways_count_as_the_worse),
        cmocka_unit_test(a_downgrade_or_a_missing_look_for_one_lowers),
        cmocka_unit_test(policy_may_refuse_authorities_and_ask_for_a_level),
        cmocka_unit_test(a_call_may_choose_its_policy_and_unset_is_the_strictest),
        cmocka_unit_test(every_value_has_a_name_and_other_values_do_not_crash),
        cmocka_unit_test(the_printed_verdict_says_it_in_words),
        cmocka_unit_test(a_name_from_the_wire_is_cut_and_cannot_move_the_cursor),
        cmocka_unit_test(reasons_never_overflow_and_the_lowering_ones_come_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
