/* Two phones with what MIKEY wants of them: each has the other's name, secret and certificate. */
#ifndef CPH_TEST_PHONE_MIKEY_H
#define CPH_TEST_PHONE_MIKEY_H

#include "phone_support.h"

#include "ciphony/keying_mikey.h"

#define ALICE "sip:alice@10.0.0.1:5060"
#define BOB   "sip:bob@10.0.0.2:5060"

static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
__attribute__((unused)) static const struct cph_secret other = { .n = 16, .b = "another secret.." };
static struct cph_mikey *mikey[2];

/* Each with its own clock, which is that of the network. */
static void material(struct line *l, unsigned i, enum cph_mikey_mode mode,
                     const struct cph_secret *secret)
{
    static const char *const name[] = { ALICE, BOB };
    struct cph_mikey_cfg cfg = { .env = &l->env,
                                 .mode = mode,
                                 .id = name[i],
                                 .peer_id = name[!i],
                                 .psk = secret,
                                 .key = phone_key[i],
                                 .cert = phone_cert[i],
                                 .peer_cert = phone_cert[!i] };

    if (mode == CPH_MIKEY_NULL)
        cfg.accept = 1U << CPH_MIKEY_NULL;
    assert_ok(cph_mikey_new(&cfg, &mikey[i]));
}

/* One row, or what a phone has by default. */
static void phone_with(struct line *l, unsigned i, const char *keying, bool ekt)
{
    struct cph_phone_account a = { .name = "",
                                   .aor = i ? BOB : ALICE,
                                   .user = i ? "bob" : "alice" };
    struct phone_extra x = { .account = &a, .n_accounts = 1, .mikey = mikey[i], .ekt = ekt };

    a.policy.media = CPH_SECURITY_REQUIRED;
    a.policy.keying[0] = keying;
    a.policy.keying_n = keying != NULL;
    phone_add(l, i, &x);
}

static void over(struct line *l)
{
    line_close(l);
    for (unsigned i = 0; i < 2; i++) {
        cph_mikey_free(mikey[i]);
        mikey[i] = NULL;
    }
}

#endif
