/* Every secret that passes a border of the rooms is noted on its way (see meson.build: these
 * functions are put in the place of the rooms' own), and is looked for in the process's memory. */
#ifndef TEST_MEMORY_SECRETS_H
#define TEST_MEMORY_SECRETS_H

#include <stdlib.h>

#include "memory.h"

#include "../keying/mikeyv2/mikeyv2_int.h"
#include "../keying/sdpdh/sdpdh_int.h"
#include "../keying/zrtp/zrtp_int.h"
#include "../srtp/srtp_int.h"

#include "ciphony/base_text.h"
#include "ciphony/crypto_agree.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_envelope.h"
#include "ciphony/srtp_ekt.h"
#include "ciphony/stream.h"

enum {
    SECRETS = 20000,
    NEEDLE = 48,       /* bytes of a secret that are looked for */
    NEEDLE_LEAST = 12, /* a salt; less is found by chance */
    FORMS = 3,   /* as it is; each word of 4, of 8 bytes the other way round, as CPUs load it */
    MASK = 0xa5, /* it is kept with each byte changed, so that it is no find */
    STACK = 256 << 10, /* bytes below us that are painted before, and looked at after, a step */
    PAINT = 0x5c,
};

struct secret {
    uint8_t masked[NEEDLE];
    uint8_t n, form;
    const char *what;
    const void *by; /* where in the code it was */
    uint32_t next;  /* 1 + the next one that begins with the same two bytes */
};

static struct secret secret[SECRETS];
static size_t secret_n;
static uint32_t begins[1 << 16]; /* by the first two bytes, masked */
static bool noting;

static void secrets_forget(void)
{
    memset(secret, 0, sizeof secret);
    memset(begins, 0, sizeof begins);
    secret_n = 0;
}

/* Names that say little, and give way to others. */
#define DRAWN "something drawn"
#define WIPED "a secret that was wiped"

static struct secret *known(const uint8_t *masked, size_t n)
{
    for (uint32_t at = begins[masked[0] << 8 | masked[1]]; at; at = secret[at - 1].next)
        if (secret[at - 1].n == n && memcmp(secret[at - 1].masked, masked, n) == 0)
            return &secret[at - 1];
    return NULL;
}

/* Text, zeros and counters are no keys. */
static bool looks_drawn(const uint8_t *p, size_t n)
{
    uint8_t seen[32] = { 0 };
    unsigned kinds = 0;

    for (size_t i = 0; i < n && i < 16; i++)
        if (!(seen[p[i] >> 3] & 1 << (p[i] & 7))) {
            seen[p[i] >> 3] |= (uint8_t)(1 << (p[i] & 7));
            kinds++;
        }
    return kinds >= 10;
}

static void note_by(const char *what, const uint8_t *p, size_t n, const void *by)
{
    if (!noting || n < NEEDLE_LEAST || !looks_drawn(p, n))
        return;
    n = n > NEEDLE ? NEEDLE : n;
    for (unsigned form = 0; form < FORMS; form++) {
        size_t word = form ? (size_t)2 << form : 1, m = n / word * word;
        struct secret *s = &secret[secret_n], *before;
        uint32_t *head;

        if (m < NEEDLE_LEAST)
            continue;
        for (size_t i = 0; i < m; i++)
            s->masked[i] = p[i / word * word + word - 1 - i % word] ^ MASK;
        before = known(s->masked, m);
        if (before && (strcmp(before->what, DRAWN) == 0 || strcmp(before->what, WIPED) == 0))
            before->what = what;
        if (before)
            continue;
        s->n = (uint8_t)m;
        s->form = (uint8_t)form;
        s->what = what;
        s->by = by;
        head = &begins[s->masked[0] << 8 | s->masked[1]];
        s->next = *head;
        *head = (uint32_t)++secret_n;
        assert_true(secret_n < SECRETS);
    }
}

static __attribute__((noinline)) void note(const char *what, const uint8_t *p, size_t n)
{
    note_by(what, p, n, __builtin_return_address(0));
}

static size_t noted(const char *what)
{
    size_t n = 0;

    for (size_t i = 0; i < secret_n; i++)
        n += secret[i].form == 0 && strcmp(secret[i].what, what) == 0;
    return n;
}

/* ---- looking for them ------------------------------------------------------------------------ */

static bool is_here(const struct secret *s, const uint8_t *p)
{
    for (size_t i = 0; i < s->n; i++)
        if ((p[i] ^ MASK) != s->masked[i])
            return false;
    return true;
}

#define LASTING     "a secret that outlasts calls"
#define NOT_LASTING "all others"

static bool meant(const char *what, const char *only)
{
    if (only && strcmp(only, NOT_LASTING) == 0)
        return strcmp(what, LASTING) != 0;
    return !only || strcmp(what, only) == 0;
}

/* Of those called so, or of all (NULL). */
static unsigned find_between(const uint8_t *from, const uint8_t *to, const char *only,
                             const char *tell)
{
    unsigned found = 0;

    for (const uint8_t *p = from; p + NEEDLE_LEAST <= to; p++) {
        uint32_t at = begins[(p[0] ^ MASK) << 8 | (p[1] ^ MASK)];

        for (; at; at = secret[at - 1].next) {
            const struct secret *s = &secret[at - 1];

            if (s->n > to - p || !meant(s->what, only) || !is_here(s, p))
                continue;
            if (tell && found < 20)
                print_error("%s (form %u, %u bytes; noted at %p) is still in %s, at %p\n", s->what,
                            s->form, s->n, s->by, tell, (const void *)p);
            found++;
        }
    }
    return found;
}

/** How often it is in memory that is written to: heap, data and stack. */
static unsigned find_secrets(const char *only, bool tell)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned found = 0;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char mode[8];

        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' || mode[1] != 'w')
            continue;
        line[strcspn(line, "\n")] = '\0';
        found += find_between((const uint8_t *)from, (const uint8_t *)to, only,
                              tell ? line : NULL); // NOLINT
    }
    (void)fclose(maps);
    return found;
}

/* The stack below us, which the next call will use: what it left there is found afterwards. */
static unsigned stack_finds;
static bool stack_quiet; /* what is found was put there */

static __attribute__((noinline)) void stack_paint(void)
{
    uint8_t below[STACK];

    memset(below, PAINT, sizeof below);
    __asm__ volatile("" ::"r"(below) : "memory");
}

static __attribute__((noinline)) void stack_look(const char *after)
{
    const uint8_t *top = __builtin_frame_address(0), *p = top - STACK / 16 * 15;
    uint64_t paint, word = 0;

    memset(&paint, PAINT, sizeof paint);
    memcpy(&word, p, sizeof word);
    assert_true(word == paint); /* the step did not reach so deep */
    for (; p < top && word == paint; p += sizeof word)
        memcpy(&word, p, sizeof word);
    stack_finds += find_between(p - sizeof word, top, NULL, stack_quiet ? NULL : after);
}

#define ON_STACK(call)                                                                             \
    do {                                                                                           \
        stack_paint();                                                                             \
        call;                                                                                      \
        stack_look("the stack after " #call);                                                      \
    } while (0)

/* ---- where they pass ------------------------------------------------------------------------- */

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

static cph_err note_if(cph_err err, const char *what, const uint8_t *p, size_t n)
{
    if (err == CPH_OK)
        note(what, p, n);
    return err;
}

static cph_err note_secret(cph_err err, const char *what, const struct cph_secret *s)
{
    return note_if(err, what, s->b, s->n);
}

static void note_master(const struct cph_srtp_key *k)
{
    note("a master key of SRTP", k->key.b, k->key.n);
    note("a master salt of SRTP", k->salt.b, k->salt.n);
}

WRAP(void, cph_secret_wipe, struct cph_secret *s)
{
    if (s->n <= sizeof s->b)
        note_by(WIPED, s->b, s->n, __builtin_return_address(0));
    __real_cph_secret_wipe(s);
}

WRAP(void, cph_wipe, void *p, size_t n)
{
    if (n <= 64)
        note_by(WIPED, p, n, __builtin_return_address(0));
    __real_cph_wipe(p, n);
}

WRAP(void, cph_base64, struct cph_span s, char *out)
{
    __real_cph_base64(s, out);
    if (s.n <= 64)
        note("a key in base64", (const uint8_t *)out, CPH_BASE64_LEN(s.n));
}

WRAP(cph_err, cph_unbase64, struct cph_span s, bool pad_optional, uint8_t *out, size_t cap,
     size_t *n)
{
    if (s.n <= 88)
        note("a key in base64", s.p, s.n);
    return __real_cph_unbase64(s, pad_optional, out, cap, n);
}

WRAP(cph_err, srtp_prf, struct cph_aes *prf, const struct cph_secret *salt, unsigned label,
     uint64_t r, uint8_t *out, size_t n)
{
    return note_if(__real_srtp_prf(prf, salt, label, r, out, n), "a session key of SRTP", out, n);
}

WRAP(cph_err, cph_srtp_new, struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
     enum cph_srtp_dir dir, struct cph_srtp **out)
{
    note_master(&p->master);
    return __real_cph_srtp_new(e, p, dir, out);
}

WRAP(cph_err, cph_srtp_key_add, struct cph_srtp *s, const struct cph_srtp_key *k)
{
    note_master(k);
    return __real_cph_srtp_key_add(s, k);
}

WRAP(void, cph_ekt_params_wipe, struct cph_ekt_params *p)
{
    note("a key of EKT", p->key.b, p->key.n);
    note("a salt of EKT", p->salt.b, p->salt.n);
    __real_cph_ekt_params_wipe(p);
}

WRAP(cph_err, cph_ekt_receiver_params, struct cph_ekt_receiver *r, const struct cph_ekt_params *p,
     cph_time now)
{
    note("a key of EKT", p->key.b, p->key.n);
    note("a salt of EKT", p->salt.b, p->salt.n);
    return __real_cph_ekt_receiver_params(r, p, now);
}

WRAP(cph_err, cph_aes_new, enum cph_aes_mode mode, struct cph_span key, struct cph_aes **out)
{
    note("a key of AES", key.p, key.n);
    return __real_cph_aes_new(mode, key, out);
}

WRAP(cph_err, cph_aes_key, struct cph_aes *a, struct cph_span key)
{
    note("a key of AES", key.p, key.n);
    return __real_cph_aes_key(a, key);
}

WRAP(cph_err, cph_hmac, enum cph_digest_alg alg, struct cph_span key, struct cph_span in,
     uint8_t *out)
{
    note("a key of HMAC", key.p, key.n);
    return __real_cph_hmac(alg, key, in, out);
}

WRAP(cph_err, cph_hmac_new, enum cph_digest_alg alg, struct cph_span key, struct cph_hmac_ctx **out)
{
    note("a key of HMAC", key.p, key.n);
    return __real_cph_hmac_new(alg, key, out);
}

WRAP(cph_err, cph_hmac_key, struct cph_hmac_ctx *h, struct cph_span key)
{
    note("a key of HMAC", key.p, key.n);
    return __real_cph_hmac_key(h, key);
}

WRAP(cph_err, cph_hkdf, enum cph_digest_alg alg, struct cph_span ikm, struct cph_span salt,
     struct cph_span info, uint8_t *out, size_t n)
{
    note("what HKDF begins with", ikm.p, ikm.n);
    return note_if(__real_cph_hkdf(alg, ikm, salt, info, out, n), "what HKDF gives", out, n);
}

#define PRIVATE_VALUE "a private value of Diffie-Hellman"
#define AGREED        "the result of Diffie-Hellman"

WRAP(cph_err, cph_agree_make, const struct cph_env *env, enum cph_agree_group group, size_t n,
     struct cph_secret *private_value, uint8_t *public_value)
{
    return note_secret(__real_cph_agree_make(env, group, n, private_value, public_value),
                       PRIVATE_VALUE, private_value);
}

WRAP(cph_err, cph_agree_derive, enum cph_agree_group group, const struct cph_secret *private_value,
     struct cph_span peer, struct cph_secret *out)
{
    return note_secret(__real_cph_agree_derive(group, private_value, peer, out), AGREED, out);
}

WRAP(cph_err, cph_mqv_begin, const struct cph_env *env, const struct cph_key *ours,
     const struct cph_key *peer, uint8_t *value, size_t *n, struct cph_secret *out)
{
    return note_secret(__real_cph_mqv_begin(env, ours, peer, value, n, out), AGREED, out);
}

WRAP(cph_err, cph_mqv_finish, const struct cph_key *ours, const struct cph_key *peer,
     struct cph_span value, struct cph_secret *out)
{
    return note_secret(__real_cph_mqv_finish(ours, peer, value, out), AGREED, out);
}

WRAP(cph_err, cph_aes_wrap, struct cph_span key, const uint8_t *iv, struct cph_span in,
     uint8_t *out)
{
    note("a key of AES key wrap", key.p, key.n);
    note("a key that was wrapped", in.p, in.n);
    return __real_cph_aes_wrap(key, iv, in, out);
}

WRAP(cph_err, cph_aes_unwrap, struct cph_span key, const uint8_t *iv, struct cph_span in,
     uint8_t *out)
{
    note("a key of AES key wrap", key.p, key.n);
    return note_if(__real_cph_aes_unwrap(key, iv, in, out), "a key that was wrapped", out,
                   in.n - 8);
}

WRAP(cph_err, cph_stream_export, const struct cph_stream *s, const char *label,
     struct cph_secret *out, size_t n)
{
    return note_secret(__real_cph_stream_export(s, label, out, n), "what DTLS exports", out);
}

WRAP(cph_err, mikey_derive, const struct cph_secret *from, enum mikey_constant what, uint8_t cs_id,
     const struct mikey_bundle *b, size_t n, struct cph_secret *out)
{
    note("what keys of MIKEY come of", from->b, from->n);
    return note_secret(__real_mikey_derive(from, what, cs_id, b, n, out), "a key of MIKEY", out);
}

WRAP(cph_err, zrtp_s0_dh, const struct zrtp_alg *hash, const struct cph_secret *dh,
     const struct zrtp_context *context, const struct cph_secret *const s[3], struct cph_secret *s0)
{
    return note_secret(__real_zrtp_s0_dh(hash, dh, context, s, s0), "s0", s0);
}

WRAP(cph_err, zrtp_derive, const struct zrtp_alg *hash, const struct zrtp_alg *cipher,
     const struct cph_secret *s0, const struct zrtp_context *context, bool whole,
     struct zrtp_keys *out)
{
    cph_err err;

    noting = false; /* the SAS is made there too, and is told to people */
    err = __real_zrtp_derive(hash, cipher, s0, context, whole, out);
    noting = true;
    for (int i = 0; i < 2; i++) {
        (void)note_secret(err, "a key of SRTP by ZRTP", &out->srtp[i]);
        (void)note_secret(err, "a MAC key of ZRTP", &out->mac[i]);
        (void)note_secret(err, "a key of ZRTP", &out->zrtp[i]);
    }
    (void)note_secret(err, "ZRTPSess", &out->session);
    (void)note_secret(err, "the exported key of ZRTP", &out->exported);
    return note_secret(err, "the retained secret of ZRTP", &out->retained);
}

/* ---- where what passes is public, though it looks the same ----------------------------------- */

#define QUIETLY(call)                                                                              \
    {                                                                                              \
        bool was = noting;                                                                         \
        cph_err err;                                                                               \
                                                                                                   \
        noting = false;                                                                            \
        err = call;                                                                                \
        noting = was;                                                                              \
        return err;                                                                                \
    }

/* The hash chain of RFC 6189 9 is revealed, message by message. */
WRAP(cph_err, zrtp_mac_seal, uint8_t *msg, size_t n, struct cph_span key)
QUIETLY(__real_zrtp_mac_seal(msg, n, key))

WRAP(cph_err, zrtp_mac_check, struct cph_span msg, struct cph_span key)
QUIETLY(__real_zrtp_mac_check(msg, key))

/* Nonces. */
WRAP(cph_err, v2_begin, const struct v2 *k, struct v2_shake *s)
QUIETLY(__real_v2_begin(k, s))

WRAP(cph_err, v2_choose, const struct v2 *k, struct cph_span hello, struct v2_shake *s)
QUIETLY(__real_v2_choose(k, hello, s))

/* A public value. */
WRAP(cph_err, sdpdh_line_parse, struct cph_span arg, struct sdpdh_line *out)
QUIETLY(__real_sdpdh_line_parse(arg, out))

WRAP(cph_err, sdpdh_line_build, const struct sdpdh_line *line, char out[SDPDH_LINE])
QUIETLY(__real_sdpdh_line_build(line, out))

#endif
