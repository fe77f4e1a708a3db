#include "people.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_addr.h"

enum { SINCE = 1500000000, UNTIL = 2500000000 };

static const char *const name[LAB_PEOPLE + 1] = { "alice", "bob",     "bob-2",
                                                  "carol", "mallory", "server" };
static const char *const user[LAB_PEOPLE + 1] = { "alice", "bob",     "bob",
                                                  "carol", "mallory", "server" };
static const char *const ip[LAB_PEOPLE + 1] = { "10.0.0.1", "10.0.0.2",  "10.0.0.3",
                                                "10.0.0.4", "10.0.0.66", "10.0.0.100" };
static const char *const uri[LAB_PEOPLE + 1] = {
    "sip:alice@lab.example", "sip:bob@lab.example",     "sip:bob@lab.example",
    "sip:carol@lab.example", "sip:mallory@lab.example", "sip:server@lab.example"
};

static struct {
    struct cph_key *key[LAB_PEOPLE + 1], *authority_key, *rsa[LAB_PEOPLE];
    struct cph_cert *cert[LAB_PEOPLE + 1], *issued[LAB_PEOPLE + 1], *authority;
    struct cph_cert *rsa_own[LAB_PEOPLE], *rsa_issued[LAB_PEOPLE];
    struct cph_trust *trust;
    struct cph_secret secret[LAB_PEOPLE][LAB_PEOPLE];
} house;

static cph_err real_random(void *ctx, void *buf, size_t n)
{
    return cph_crypto_random(ctx, buf, n);
}

static int64_t lab_wall(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

static const struct cph_env env = { .random = real_random, .wall = lab_wall };

const struct cph_env *lab_keys_env(void)
{
    return &env;
}

/* ---- making ---------------------------------------------------------------------------------- */

static cph_err certify(unsigned i, const struct cph_key *key, struct cph_cert **own,
                       struct cph_cert **issued)
{
    struct cph_addr addr;
    struct cph_cert_name san[2] = { { CPH_NAME_URI, cph_span_of(uri[i]) } };
    struct cph_cert_spec spec = {
        .cn = name[i], .san = san, .n_san = 2, .not_before = SINCE, .not_after = UNTIL
    };

    CPH_TRY(cph_addr_parse_ip(cph_span_of(ip[i]), &addr));
    san[1] = (struct cph_cert_name){ CPH_NAME_IP, { addr.ip, 4 } };
    CPH_TRY(cph_cert_issue(&env, house.authority_key, house.authority, key, &spec, issued));
    return cph_cert_self_signed(&env, key, &spec, own);
}

static cph_err found_authority(void)
{
    struct cph_cert_spec spec = { .cn = "authority of the lab",
                                  .not_before = SINCE,
                                  .not_after = UNTIL };

    CPH_TRY(cph_key_generate(&env, CPH_KEY_EC_P256, &house.authority_key));
    CPH_TRY(cph_cert_issue(&env, house.authority_key, NULL, NULL, &spec, &house.authority));
    CPH_TRY(cph_trust_new(&house.trust));
    return cph_trust_add(house.trust, house.authority);
}

cph_err lab_keys_open(void)
{
    if (house.key[0])
        return CPH_OK;
    CPH_TRY(found_authority());
    for (unsigned i = 0; i <= LAB_PEOPLE; i++) {
        CPH_TRY(cph_key_generate(&env, CPH_KEY_EC_P256, &house.key[i]));
        CPH_TRY(certify(i, house.key[i], &house.cert[i], &house.issued[i]));
    }
    for (unsigned a = 0; a < LAB_PEOPLE; a++)
        for (unsigned b = 0; b < LAB_PEOPLE; b++) {
            bool swap = strcmp(user[a], user[b]) > 0;
            char text[96];

            (void)snprintf(text, sizeof text, "a secret that %s and %s hold", user[swap ? b : a],
                           user[swap ? a : b]);
            CPH_TRY(cph_secret_set(&house.secret[a][b], cph_span_of(text)));
        }
    return CPH_OK;
}

void lab_keys_close(void)
{
    for (unsigned i = 0; i <= LAB_PEOPLE; i++) {
        cph_cert_free(house.cert[i]);
        cph_cert_free(house.issued[i]);
        cph_key_free(house.key[i]);
    }
    for (unsigned i = 0; i < LAB_PEOPLE; i++) {
        cph_cert_free(house.rsa_own[i]);
        cph_cert_free(house.rsa_issued[i]);
        cph_key_free(house.rsa[i]);
    }
    cph_trust_free(house.trust);
    cph_cert_free(house.authority);
    cph_key_free(house.authority_key);
    cph_wipe(&house, sizeof house);
}

static bool make_rsa(unsigned i)
{
    if (house.rsa_issued[i])
        return true;
    if (!house.rsa[i] && cph_key_generate(&env, CPH_KEY_RSA, &house.rsa[i]) != CPH_OK)
        return false;
    return certify(i, house.rsa[i], &house.rsa_own[i], &house.rsa_issued[i]) == CPH_OK;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static unsigned first_phone(enum lab_person who)
{
    return who == LAB_BOB2 ? LAB_BOB : (unsigned)who;
}

const struct cph_key *lab_rsa_key(enum lab_person who)
{
    return make_rsa(first_phone(who)) ? house.rsa[first_phone(who)] : NULL;
}

const struct cph_cert *lab_rsa_cert(enum lab_person who, bool issued)
{
    unsigned i = first_phone(who);

    if (!make_rsa(i))
        return NULL;
    return issued ? house.rsa_issued[i] : house.rsa_own[i];
}

const struct cph_key *lab_user_key(enum lab_person who)
{
    return house.key[first_phone(who)];
}

const struct cph_cert *lab_user_cert(enum lab_person who, bool issued)
{
    return issued ? house.issued[first_phone(who)] : house.cert[first_phone(who)];
}

const struct cph_key *lab_key(enum lab_person who)
{
    return house.key[who];
}

const struct cph_cert *lab_cert(enum lab_person who)
{
    return house.cert[who];
}

const struct cph_cert *lab_cert_issued(enum lab_person who)
{
    return house.issued[who];
}

const struct cph_trust *lab_authority(void)
{
    return house.trust;
}

const struct cph_secret *lab_secret(enum lab_person a, enum lab_person b)
{
    return &house.secret[a][b];
}

const char *lab_person_name(enum lab_person who)
{
    return name[who];
}

const char *lab_person_user(enum lab_person who)
{
    return user[who];
}

const char *lab_person_ip(enum lab_person who)
{
    return ip[who];
}

const char *lab_person_uri(enum lab_person who)
{
    return uri[who];
}

const char *lab_proxy_ip(void)
{
    return ip[LAB_SERVER];
}

enum lab_person lab_person_of(struct cph_span address)
{
    struct cph_span rest = address, scheme = cph_span_cut(&rest, ':');
    struct cph_span who = cph_span_cut(&rest, '@');
    unsigned i = 0;

    (void)scheme;
    while (i < LAB_PEOPLE && !cph_span_is(who, user[i]))
        i++;
    return (enum lab_person)i;
}
