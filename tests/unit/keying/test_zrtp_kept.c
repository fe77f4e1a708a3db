/* What lasts from call to call (RFC 6189 4.3, 4.6.1, 4.9), and what it is worth when one side has
 * not what the other expects. */
#include "zrtp_pair.h"

#include "ciphony/base_text.h"

static void a_compared_sas_lasts_as_long_as_continuity_does(void **state)
{
    struct cph_zrtp_info info;
    struct cph_secret first;
    struct duo d;

    (void)state;
    duo_init(&d, 70);
    duo_call(&d);
    assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_NONE);
    assert_memory_equal(kept_by(&d, 0)->rs1.b, kept_by(&d, 1)->rs1.b, 32);
    assert_int_equal(kept_by(&d, 0)->rs2.n, 0);
    first = kept_by(&d, 0)->rs1;

    next_call(&d); /* continuity, but nobody ever compared */
    info_of(d.end[0].z[0], &info);
    assert_true(info.known && info.continuity && !info.mismatch && !info.verified);
    assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_NONE);
    assert_memory_equal(kept_by(&d, 0)->rs2.b, first.b, 32); /* the old rs1 became rs2 */
    assert_memory_not_equal(kept_by(&d, 0)->rs1.b, first.b, 32);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_COMPARED);
    assert_int_equal(auth_of(&d, 1), CPH_KEYING_AUTH_NONE); /* its user did not say so */

    next_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_true(info.verified && !info.compared && !info.peer_verified);
    assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_RETAINED);
    info_of(d.end[1].z[0], &info);
    assert_true(!info.verified && info.peer_verified);

    /* and different after all: forgotten */
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, false));
    assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_NONE);
    assert_true(kept_by(&d, 0)->rs1.n == 0 && kept_by(&d, 0)->rs2.n == 0);
    assert_false(kept_by(&d, 0)->verified);
    info_of(d.end[0].z[0], &info);
    assert_true(info.refuted && !info.verified);
    duo_close(&d);
}

static void a_peer_that_lost_its_secret_is_told_and_the_cache_waits(void **state)
{
    struct cph_keying_evidence ev = { 0 };
    struct cph_zrtp_info info;
    struct cph_secret before;
    struct duo d;

    (void)state;
    duo_init(&d, 71);
    duo_call(&d);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    before = kept_by(&d, 0)->rs1;
    d.end[1].mem.at[0].used = false; /* lost, or somebody else */
    next_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_true(info.known && info.mismatch && !info.continuity && !info.verified);
    cph_keying_zrtp.evidence(&d.end[0].z[0]->base, &ev);
    assert_true(ev.notes & CPH_KEYING_NOTE_CONTINUITY_BROKEN);
    assert_int_equal(ev.peer_auth, CPH_KEYING_AUTH_NONE);
    /* RFC 6189 4.6.1.1 MUST: nothing is updated until the SAS was compared */
    assert_memory_equal(kept_by(&d, 0)->rs1.b, before.b, 32);
    info_of(d.end[1].z[0], &info);
    assert_false(info.mismatch);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    assert_memory_not_equal(kept_by(&d, 0)->rs1.b, before.b, 32);
    assert_memory_equal(kept_by(&d, 0)->rs1.b, kept_by(&d, 1)->rs1.b, 32);
    assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_COMPARED);
    next_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_true(info.continuity && info.verified);
    duo_close(&d);
}

/* 4.3: one side did not get to store the last secret; rs2 makes up for it. */
static void two_caches_out_of_step_find_each_other_by_rs2(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        struct cph_zrtp_retained old;
        struct cph_zrtp_info info;
        struct duo d;

        duo_init(&d, 72 + (uint64_t)behind);
        d.end[1].cfg.passive = true;
        duo_call(&d);
        old = *kept_by(&d, behind);
        next_call(&d);
        *kept_by(&d, behind) = old;
        next_call(&d);
        for (int e = 0; e < 2; e++) {
            info_of(d.end[e].z[0], &info);
            assert_true(info.continuity && !info.mismatch);
        }
        duo_close(&d);
    }
}

static void expiry_is_the_smaller_one_and_an_expired_secret_is_not_missed(void **state)
{
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    duo_init(&d, 74);
    d.end[0].cfg.cache_s = 3600;
    d.end[1].cfg.cache_s = 60;
    duo_call(&d);
    for (int e = 0; e < 2; e++)
        assert_int_equal(kept_by(&d, e)->expires, d.end[e].env.wall + 60);
    d.end[0].env.wall += 61; /* expired here; the peer threw it away */
    d.end[1].mem.at[0].used = false;
    next_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_true(!info.known && !info.mismatch && !info.continuity);
    d.end[0].env.wall += 61; /* expired here, and the peer still has it: used */
    next_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_true(!info.known && info.continuity);

    /* a peer that keeps nothing: nothing is kept, and what was ends */
    d.end[1].cfg.store = NULL;
    d.end[0].env.wall += 61;
    next_call(&d);
    assert_true(kept_by(&d, 0)->expires <= d.end[0].env.wall);
    duo_close(&d);

    duo_init(&d, 75);
    d.end[1].cfg.store = NULL;
    duo_call(&d);
    assert_int_equal(d.end[0].mem.puts, 0);
    duo_close(&d);
    duo_init(&d, 76);
    duo_call(&d);
    assert_true(kept_by(&d, 0)->expires == INT64_MAX);
    duo_close(&d);
}

/* 4.9: all ones is for ever, and so is the least of two of them. */
static void the_longest_interval_is_for_ever(void **state)
{
    static const struct {
        uint32_t own, theirs;
        int64_t seconds; /* -1: for ever */
    } row[] = { { 0, 0, -1 },
                { UINT32_MAX, 0, -1 },
                { UINT32_MAX, UINT32_MAX, -1 },
                { UINT32_MAX - 1, 0, UINT32_MAX - 1 },
                { 0, 1, 1 } };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo d;

        duo_init(&d, 84 + i);
        d.end[0].cfg.cache_s = row[i].own;
        d.end[1].cfg.cache_s = row[i].theirs;
        duo_call(&d);
        for (int e = 0; e < 2; e++)
            assert_true(kept_by(&d, e)->expires ==
                        (row[i].seconds < 0 ? INT64_MAX : d.end[e].env.wall + row[i].seconds));
        duo_close(&d);
    }
}

/* Nothing that was kept is forgotten for it, nor goes unmissed. */
static void a_clock_that_was_set_back_takes_no_warning_away(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        struct cph_zrtp_info info;
        struct duo d;

        duo_init(&d, 89);
        d.end[0].cfg.cache_s = 60;
        duo_call(&d);
        d.end[0].env.wall -= 1000000;
        d.end[1].mem.at[0].used = !lost;
        next_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_true(info.known && info.mismatch == lost && info.continuity == !lost);
        duo_close(&d);
    }
}

/* Whether there was a secret is not known then: as if it were missing (4.3.2), and nothing is
 * written over it. */
static void a_store_that_fails_does_not_fail_the_call_and_is_a_warning(void **state)
{
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    duo_init(&d, 77);
    d.end[0].mem.get_err = d.end[1].mem.put_err = CPH_E_STORE;
    duo_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_true(info.mismatch && info.unread && !info.known);
    assert_int_equal(d.end[0].mem.puts, 0);
    info_of(d.end[1].z[0], &info);
    assert_true(!info.mismatch && !info.unread);
    assert_err(cph_zrtp_compared(&d.end[1].z[0]->base, true), CPH_E_STORE);
    assert_int_equal(auth_of(&d, 1), CPH_KEYING_AUTH_COMPARED);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    assert_int_equal(d.end[0].mem.puts, 1);
    duo_close(&d);
}

/* ---- continuity that breaks, compared or not (4.3.2, 4.6.1.1) -------------------------------- */

static unsigned notes_of(struct duo *d, int e)
{
    struct cph_keying_evidence ev = { 0 };

    cph_keying_zrtp.evidence(&d->end[e].z[0]->base, &ev);
    return ev.notes;
}

/* It is not the device of earlier calls, as far as this end can know: told, and worth nothing. */
static void assert_broken(struct duo *d, int e, bool mismatch, bool other)
{
    struct cph_zrtp_info info;

    info_of(d->end[e].z[0], &info);
    assert_int_equal(info.mismatch, mismatch);
    assert_int_equal(info.other_device, other);
    assert_true(!info.continuity && !info.verified);
    assert_true(notes_of(d, e) & CPH_KEYING_NOTE_CONTINUITY_BROKEN);
    assert_true(notes_of(d, e) & CPH_KEYING_NOTE_NOT_COMPARED);
    assert_int_equal(auth_of(d, e), CPH_KEYING_AUTH_NONE);
}

static void assert_whole(struct duo *d, int e, bool continuity)
{
    struct cph_zrtp_info info;

    info_of(d->end[e].z[0], &info);
    assert_true(!info.mismatch && !info.other_device && !info.unread);
    assert_int_equal(info.continuity, continuity);
    assert_false(notes_of(d, e) & CPH_KEYING_NOTE_CONTINUITY_BROKEN);
}

/* What is known of the peer when nothing is broken. */
static enum cph_keying_auth kept_auth(bool compared)
{
    return compared ? CPH_KEYING_AUTH_RETAINED : CPH_KEYING_AUTH_NONE;
}

/* A first call of two who know each other's address; with `compared` both users said that the
 * string is equal. */
static void first_call(struct duo *d, uint64_t seed, bool compared)
{
    duo_init(d, seed);
    d->end[0].cfg.peer = "sip:bob@example.org";
    d->end[1].cfg.peer = "sip:alice@example.org";
    duo_call(d);
    for (int e = 0; e < 2; e++) {
        assert_whole(d, e, false);
        if (compared)
            assert_ok(cph_zrtp_compared(&d->end[e].z[0]->base, true));
    }
}

/* Somebody else in the place of bob: nothing kept, and this name. */
static void mallory(struct duo *d, uint8_t zid)
{
    d->end[1].mem.at[0].used = false;
    memset(d->end[1].cfg.zid, zid, CPH_ZRTP_ZID);
}

static void bob_again(struct duo *d, const struct cph_zrtp_retained *kept)
{
    mallory(d, 0xb2);
    d->end[1].mem.at[0].used = true;
    *kept_by(d, 1) = *kept;
}

static void an_attacker_with_the_old_zid_is_told_in_every_call_until_compared(void **state)
{
    (void)state;
    for (int compared = 0; compared < 2; compared++) {
        struct cph_zrtp_retained before, bob;
        struct duo d;

        first_call(&d, 400 + (uint64_t)compared, compared);
        before = *kept_by(&d, 0);
        bob = *kept_by(&d, 1);
        assert_int_equal(before.verified, compared);
        assert_string_equal(before.peer[0], "sip:bob@example.org");
        for (int i = 0; i < 3; i++) {
            mallory(&d, 0xb2);
            next_call(&d);
            assert_broken(&d, 0, true, false);
            assert_memory_equal(kept_by(&d, 0), &before, sizeof before);
        }
        bob_again(&d, &bob); /* and bob himself is who he was */
        next_call(&d);
        assert_whole(&d, 0, true);
        assert_int_equal(auth_of(&d, 0), kept_auth(compared));
        duo_close(&d);
    }
}

static void an_attacker_with_a_zid_of_his_own_is_another_device_in_every_call(void **state)
{
    (void)state;
    for (int compared = 0; compared < 2; compared++) {
        struct cph_zrtp_retained bob;
        struct cph_zrtp_info info;
        struct duo d;

        first_call(&d, 410 + (uint64_t)compared, compared);
        bob = *kept_by(&d, 1);
        mallory(&d, 0xcc);
        next_call(&d);
        assert_broken(&d, 0, false, true);
        for (int i = 0; i < 2; i++) { /* his own continuity buys him nothing */
            next_call(&d);
            info_of(d.end[0].z[0], &info);
            assert_true(info.continuity && info.other_device && !info.verified);
            assert_true(notes_of(&d, 0) & CPH_KEYING_NOTE_CONTINUITY_BROKEN);
            assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_NONE);
        }
        bob_again(&d, &bob);
        next_call(&d);
        assert_whole(&d, 0, true);
        assert_int_equal(auth_of(&d, 0), kept_auth(compared));
        duo_close(&d);
    }
}

static void a_new_device_that_was_compared_is_one_of_the_address(void **state)
{
    (void)state;
    for (int compared = 0; compared < 2; compared++) {
        struct duo d;

        first_call(&d, 412 + (uint64_t)compared, compared);
        mallory(&d, 0xcc); /* it was bob */
        next_call(&d);
        assert_broken(&d, 0, false, true);
        assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
        assert_false(notes_of(&d, 0) & CPH_KEYING_NOTE_CONTINUITY_BROKEN);
        assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_COMPARED);
        next_call(&d);
        assert_whole(&d, 0, true);
        assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_RETAINED);
        duo_close(&d);
    }
}

/* Another address, or none in one spelling, says nothing of this one; an interval that is over
 * neither (4.9). */
static void another_device_is_another_one_under_this_address_and_in_its_time(void **state)
{
    static const char *const address[] = { "sip:carol@example.org", "", NULL };
    struct duo d;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        first_call(&d, 420 + i, false);
        d.end[0].cfg.peer = address[i];
        mallory(&d, 0xcc);
        next_call(&d);
        assert_whole(&d, 0, false);
        duo_close(&d);
    }
    for (int64_t late = 0; late < 2; late++) {
        duo_init(&d, 424);
        d.end[0].cfg.peer = "sip:bob@example.org";
        d.end[0].cfg.cache_s = 60;
        duo_call(&d);
        d.end[0].env.wall += 59 + late;
        mallory(&d, 0xcc);
        next_call(&d);
        if (late)
            assert_whole(&d, 0, false);
        else
            assert_broken(&d, 0, false, true);
        duo_close(&d);
    }
}

/* 4.3.2: who kept his cache is warned; who lost it cannot know, and from then on both are. */
static void a_cache_lost_on_one_side_is_told_to_the_other_and_then_to_both(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int loser = i / 2;
        struct duo d;

        first_call(&d, 430 + (uint64_t)i, i % 2);
        d.end[loser].mem.at[0].used = false;
        next_call(&d);
        assert_broken(&d, 1 - loser, true, false);
        assert_whole(&d, loser, false);
        next_call(&d);
        for (int e = 0; e < 2; e++)
            assert_broken(&d, e, true, false);
        for (int e = 0; e < 2; e++)
            assert_ok(cph_zrtp_compared(&d.end[e].z[0]->base, true));
        next_call(&d);
        for (int e = 0; e < 2; e++) {
            assert_whole(&d, e, true);
            assert_int_equal(auth_of(&d, e), CPH_KEYING_AUTH_RETAINED);
        }
        duo_close(&d);
    }
}

/* 4.3: one call behind, rs2 makes up for it; more, and both sides are warned (4.3.2). */
static void a_cache_restored_from_a_backup_is_found_or_told_to_both(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        int behind = 1 + i / 2;
        bool compared = i % 2;
        struct cph_zrtp_retained before[2];
        struct duo d;

        first_call(&d, 440 + (uint64_t)i, compared);
        before[1] = *kept_by(&d, 1);
        for (int n = 0; n < behind; n++)
            next_call(&d);
        *kept_by(&d, 1) = before[1];
        before[0] = *kept_by(&d, 0);
        next_call(&d);
        for (int e = 0; e < 2; e++) {
            if (behind == 1) {
                assert_whole(&d, e, true);
                assert_int_equal(auth_of(&d, e), kept_auth(compared));
            } else {
                assert_broken(&d, e, true, false);
                assert_memory_equal(kept_by(&d, e), &before[e], sizeof before[e]);
            }
        }
        duo_close(&d);
    }
}

/* 7.1: the string was different, and the secret that was missing is still one with the peer: it
 * must tell of the attacker again, and know the peer. */
static void an_attacker_who_was_found_out_does_not_take_what_is_kept_with_him(void **state)
{
    (void)state;
    for (int compared = 0; compared < 2; compared++) {
        struct cph_zrtp_retained before, bob;
        struct duo d;

        first_call(&d, 450 + (uint64_t)compared, compared);
        before = *kept_by(&d, 0);
        bob = *kept_by(&d, 1);
        for (int i = 0; i < 2; i++) {
            mallory(&d, 0xb2);
            next_call(&d);
            assert_broken(&d, 0, true, false);
            for (int n = 0; n < 2; n++)
                assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, false));
            assert_true(notes_of(&d, 0) & CPH_KEYING_NOTE_CONTINUITY_BROKEN);
            assert_memory_equal(kept_by(&d, 0), &before, sizeof before);
        }
        bob_again(&d, &bob);
        next_call(&d);
        assert_whole(&d, 0, true);
        assert_int_equal(auth_of(&d, 0), kept_auth(compared));
        duo_close(&d);
    }
}

/* 4.6.1.1 MUST: also when something else is to be kept. */
static void an_enrolment_after_a_mismatch_does_not_renew_the_secret(void **state)
{
    struct cph_zrtp_retained before;
    struct duo d;

    (void)state;
    first_call(&d, 455, false);
    before = *kept_by(&d, 1);
    d.end[1].cfg.mitm = d.end[1].cfg.enroll = true; /* the exchange */
    d.end[0].mem.at[0].used = false;
    next_call(&d);
    assert_broken(&d, 1, true, false);
    assert_ok(cph_zrtp_enroll(&d.end[1].z[0]->base));
    assert_int_equal(kept_by(&d, 1)->pbx.n, 32);
    assert_memory_equal(kept_by(&d, 1)->rs1.b, before.rs1.b, 32);
    duo_close(&d);
}

/* ---- what else is shared (4.3) --------------------------------------------------------------- */

static void auxiliary_secrets_are_mixed_in_when_both_have_them(void **state)
{
    struct cph_secret a = { .n = 16, .b = { 1 } }, b = { .n = 16, .b = { 2 } };
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    for (int other = 0; other < 3; other++) {
        duo_init(&d, 78);
        d.end[0].cfg.aux = &a;
        d.end[1].cfg.aux = other == 0 ? &a : other == 1 ? &b : NULL;
        duo_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.aux_mismatch, other > 0);
        info_of(d.end[1].z[0], &info);
        assert_int_equal(info.aux_mismatch, other == 1);
        duo_close(&d);
    }
    for (int other = 0; other < 2; other++) { /* of the signalling: 8.2 */
        duo_init(&d, 79);
        duo_open(&d);
        for (int e = 0; e < 2; e++)
            assert_ok(cph_zrtp_srtps(&d.end[e].z[0]->base,
                                     e && other ? CPH_SPAN_LIT("another key 1234")
                                                : CPH_SPAN_LIT("master key 12345"),
                                     CPH_SPAN_LIT("master salt 12")));
        duo_run(&d, CPH_SEC(5));
        assert_same_keys(&d, 0);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.aux_mismatch, other);
        assert_err(cph_zrtp_srtps(&d.end[0].z[0]->base, CPH_SPAN_LIT("k"), CPH_SPAN_LIT("s")),
                   CPH_E_STATE);
        duo_close(&d);
    }
}

/* ---- Preshared (4.4.2) ----------------------------------------------------------------------- */

static void a_verified_pair_may_key_by_its_last_secret(void **state)
{
    struct cph_zrtp_info info;
    struct cph_secret before;
    struct duo d;

    (void)state;
    duo_init(&d, 82);
    d.end[0].cfg.preshared = d.end[1].cfg.preshared = true;
    duo_call(&d);
    next_call(&d); /* known, but not compared: DH */
    info_of(d.end[0].z[0], &info);
    assert_int_equal(info.mode, CPH_ZRTP_DH);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    assert_ok(cph_zrtp_compared(&d.end[1].z[0]->base, true));
    for (int i = 0; i < 3; i++) {
        struct cph_secret rs2 = kept_by(&d, 0)->rs2;

        before = kept_by(&d, 0)->rs1;
        next_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.mode, CPH_ZRTP_PRESHARED);
        assert_true(info.continuity && info.verified && !info.mismatch);
        assert_int_equal(auth_of(&d, 0), CPH_KEYING_AUTH_RETAINED);
        assert_int_equal(d.sent[0][ZRTP_DHPART1] + d.sent[1][ZRTP_DHPART1], 0);
        /* 4.6.1: rs1 is new, and the old one is not kept as rs2 */
        assert_memory_not_equal(kept_by(&d, 0)->rs1.b, before.b, 32);
        assert_memory_equal(kept_by(&d, 0)->rs2.b, rs2.b, 32);
        assert_memory_equal(kept_by(&d, 0)->rs1.b, kept_by(&d, 1)->rs1.b, 32);
    }
    duo_close(&d);
}

/* 4.4.2.3: a responder without the secret answers with a DH Commit of its own. */
static void preshared_falls_back_to_an_agreement(void **state)
{
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    for (int e = 0; e < 2; e++) {
        duo_init(&d, 83);
        d.end[0].cfg.preshared = d.end[1].cfg.preshared = true;
        duo_call(&d);
        assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
        assert_ok(cph_zrtp_compared(&d.end[1].z[0]->base, true));
        d.end[e].mem.at[0].used = false;
        next_call(&d);
        info_of(d.end[1 - e].z[0], &info);
        assert_int_equal(info.mode, CPH_ZRTP_DH);
        assert_true(info.mismatch);
        duo_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compared_sas_lasts_as_long_as_continuity_does),
        cmocka_unit_test(a_peer_that_lost_its_secret_is_told_and_the_cache_waits),
        cmocka_unit_test(two_caches_out_of_step_find_each_other_by_rs2),
        cmocka_unit_test(expiry_is_the_smaller_one_and_an_expired_secret_is_not_missed),
        cmocka_unit_test(the_longest_interval_is_for_ever),
        cmocka_unit_test(a_clock_that_was_set_back_takes_no_warning_away),
        cmocka_unit_test(a_store_that_fails_does_not_fail_the_call_and_is_a_warning),
        cmocka_unit_test(an_attacker_with_the_old_zid_is_told_in_every_call_until_compared),
        cmocka_unit_test(an_attacker_with_a_zid_of_his_own_is_another_device_in_every_call),
        cmocka_unit_test(a_new_device_that_was_compared_is_one_of_the_address),
        cmocka_unit_test(another_device_is_another_one_under_this_address_and_in_its_time),
        cmocka_unit_test(a_cache_lost_on_one_side_is_told_to_the_other_and_then_to_both),
        cmocka_unit_test(a_cache_restored_from_a_backup_is_found_or_told_to_both),
        cmocka_unit_test(an_attacker_who_was_found_out_does_not_take_what_is_kept_with_him),
        cmocka_unit_test(an_enrolment_after_a_mismatch_does_not_renew_the_secret),
        cmocka_unit_test(auxiliary_secrets_are_mixed_in_when_both_have_them),
        cmocka_unit_test(a_verified_pair_may_key_by_its_last_secret),
        cmocka_unit_test(preshared_falls_back_to_an_agreement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
