/*
 * An OpenPGP key as its owner exports it (RFC 4880 11.1), and what it signed.
 *
 *   primary key | [what it says of itself | revocation]
 *   User ID     | what it says of that | [of others: skipped]         once at least
 *   subkey      | bound by the primary key, and by itself if it may sign       any number
 */
#include "ciphony/crypto_pgp.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "crypto_int.h"
#include "pgp_int.h"

enum {
    PARTS = 9, /* the primary key and subkeys that may sign */
    NAMES = 16,
    NAME = 256,
    FPR = 20,
    SKEW_S = 86400, /* the signer's clock may be ahead of ours by so much */
};

struct part {
    EVP_PKEY *pkey;
    uint8_t algo, fpr[FPR];
    bool may_sign;
    int64_t created, expires;
};

struct cph_pgp_key {
    struct part part[PARTS]; /* the primary key first */
    unsigned n_parts;
    uint8_t sha256[32];
    char name[NAMES][NAME];
    unsigned n_names;
};

void cph_pgp_key_free(struct cph_pgp_key *key)
{
    if (!key)
        return;
    for (unsigned i = 0; i < key->n_parts; i++)
        EVP_PKEY_free(key->part[i].pkey);
    free(key);
}

const uint8_t *cph_pgp_key_fingerprint(const struct cph_pgp_key *key)
{
    return key->sha256;
}

/* ---- what signatures cover (5.2.4) ----------------------------------------------------------- */

/* 0x99 and a length before a key, 0xb4 and a length before a User ID. */
struct head {
    size_t n;
    uint8_t b[5];
};

static struct cph_span key_head(const struct pgp_public *key, struct head *h)
{
    struct cph_wr wr = cph_wr_open(h->b, sizeof h->b);

    cph_wr_u8(&wr, 0x99);
    cph_wr_u16(&wr, (uint16_t)key->body.n);
    return cph_wr_done(&wr);
}

static struct cph_span name_head(struct cph_span name, struct head *h)
{
    struct cph_wr wr = cph_wr_open(h->b, sizeof h->b);

    cph_wr_u8(&wr, 0xb4);
    cph_wr_u32(&wr, (uint32_t)name.n);
    return cph_wr_done(&wr);
}

/* 12.2: SHA-1 over the key with its head; and for pins, SHA-256 over the same. */
static cph_err fingerprint(enum cph_digest_alg alg, const struct pgp_public *key, uint8_t *out)
{
    struct cph_digest_ctx *d;
    struct head h;
    cph_err err;

    CPH_TRY(cph_digest_new(alg, &d));
    err = cph_digest_add(d, key_head(key, &h));
    if (err == CPH_OK)
        err = cph_digest_add(d, key->body);
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

/* May this part have made it, by what the signature says? */
static bool is_by(const struct part *p, const struct pgp_sig *sig)
{
    struct cph_span fpr = { p->fpr, FPR };

    return (sig->issuer_fpr.n == 0 || cph_span_eq(sig->issuer_fpr, fpr)) &&
           (sig->issuer.n == 0 || cph_span_eq(sig->issuer, cph_span_from(fpr, FPR - 8)));
}

/* ---- loading --------------------------------------------------------------------------------- */

/* What the signatures that come next are about. */
enum about { ABOUT_KEY, ABOUT_NAME, ABOUT_SUBKEY, ABOUT_NOTHING };

struct load {
    struct cph_pgp_key *key;
    int64_t now;
    struct pgp_public primary, sub;
    struct part draft; /* of the subkey */
    struct cph_span name;
    enum about about;
    bool bound, revoked; /* the name or subkey, so far */
    struct pgp_sig best; /* what binds it: the latest */
    bool has_self;
    struct pgp_sig self; /* the latest that says something of the primary key */
    bool weak;           /* a signature of its own that we cannot read stood there */
    cph_err failed;      /* of the host: nothing was found out */
};

static cph_err part_of(const struct pgp_public *pub, struct part *out)
{
    *out = (struct part){ .algo = pub->algo, .created = pub->created };
    CPH_TRY(fingerprint(CPH_DIGEST_SHA1, pub, out->fpr));
    return pgp_pkey(pub, &out->pkey);
}

static int64_t ends(int64_t from, uint32_t seconds)
{
    return seconds ? from + seconds : INT64_MAX;
}

/* Did this part make it? Where the host fails, nobody knows. */
static bool made_by(struct load *l, const struct part *p, const struct pgp_sig *sig,
                    const struct cph_span *part, size_t n)
{
    cph_err err = pgp_check(p->pkey, p->algo, sig, part, n);

    l->weak |= err == CPH_E_UNSUPPORTED;
    if (cph_err_blame(err) == CPH_BLAME_HOST)
        l->failed = err;
    return err == CPH_OK;
}

/* Made by the primary key over these parts, and good today. */
static bool is_own(struct load *l, const struct pgp_sig *sig, const struct cph_span *part, size_t n)
{
    const struct part *p = &l->key->part[0];

    return is_by(p, sig) && made_by(l, p, sig, part, n) && sig->has_created &&
           sig->created >= p->created && ends(sig->created, sig->expires) > l->now;
}

/* 5.2.1: a subkey that signs binds itself to the primary key in return. Without that anybody could
 * call a subkey of somebody else's his own. */
static bool bound_back(struct load *l, const struct pgp_sig *binding, const struct cph_span *part,
                       size_t n)
{
    struct pgp_sig back;

    return binding->has_key_flags && binding->key_flags & PGP_MAY_SIGN && binding->embedded.n > 0 &&
           pgp_sig_parse(binding->embedded, &back) == CPH_OK && back.type == PGP_BINDS_PRIMARY &&
           made_by(l, &l->draft, &back, part, n);
}

static void take_binding(struct load *l, const struct pgp_sig *sig)
{
    if (l->bound && sig->created < l->best.created)
        return;
    l->best = *sig;
    l->bound = true;
}

static void take_self(struct load *l, const struct pgp_sig *sig)
{
    if (l->has_self && sig->created < l->self.created)
        return;
    l->self = *sig;
    l->has_self = true;
}

static cph_err on_signature(struct load *l, struct cph_span body)
{
    struct head h[2];
    struct cph_span part[4] = { key_head(&l->primary, &h[0]), l->primary.body };
    struct pgp_sig sig;
    bool cert;

    if (l->about == ABOUT_NOTHING || pgp_sig_parse(body, &sig) != CPH_OK)
        return CPH_OK; /* what cannot be read says nothing */
    cert = sig.type >= PGP_CERT_FIRST && sig.type <= PGP_CERT_LAST;
    if (l->about == ABOUT_KEY) {
        if (sig.type == PGP_REVOKES_KEY && is_own(l, &sig, part, 2))
            return CPH_E_EXPIRED;
        if (sig.type == PGP_DIRECT && is_own(l, &sig, part, 2))
            take_self(l, &sig);
    } else if (l->about == ABOUT_NAME) {
        part[2] = name_head(l->name, &h[1]);
        part[3] = l->name;
        if (cert && is_own(l, &sig, part, 4))
            take_binding(l, &sig);
        else if (sig.type == PGP_REVOKES_CERT && is_own(l, &sig, part, 4))
            l->revoked = true;
    } else {
        part[2] = key_head(&l->sub, &h[1]);
        part[3] = l->sub.body;
        if (sig.type == PGP_BINDS_SUBKEY && is_own(l, &sig, part, 4) &&
            bound_back(l, &sig, part, 4))
            take_binding(l, &sig);
        else if (sig.type == PGP_REVOKES_SUBKEY && is_own(l, &sig, part, 4))
            l->revoked = true;
    }
    return l->failed;
}

static cph_err keep_name(struct load *l)
{
    struct cph_pgp_key *k = l->key;

    take_self(l, &l->best);
    if (k->n_names == NAMES)
        return CPH_E_LIMIT;
    if (cph_span_cstr(l->name, k->name[k->n_names], NAME) == CPH_OK)
        k->n_names++;
    return CPH_OK;
}

static cph_err keep_subkey(struct load *l)
{
    struct cph_pgp_key *k = l->key;

    if (k->n_parts == PARTS)
        return CPH_E_LIMIT;
    l->draft.may_sign = true;
    l->draft.expires = ends(l->draft.created, l->best.key_expires);
    k->part[k->n_parts++] = l->draft;
    l->draft.pkey = NULL; /* moved */
    return CPH_OK;
}

/* All signatures about it were seen. */
static cph_err settle(struct load *l)
{
    cph_err err = CPH_OK;

    if (l->bound && !l->revoked && l->about == ABOUT_NAME)
        err = keep_name(l);
    else if (l->bound && !l->revoked && l->about == ABOUT_SUBKEY)
        err = keep_subkey(l);
    EVP_PKEY_free(l->draft.pkey);
    l->draft.pkey = NULL;
    l->bound = l->revoked = false;
    l->about = ABOUT_NOTHING;
    return err;
}

static cph_err on_packet(struct load *l, uint8_t tag, struct cph_span body)
{
    cph_err err;

    if (tag == PGP_SIGNATURE)
        return on_signature(l, body);
    CPH_TRY(settle(l));
    if (tag == PGP_KEY)
        return CPH_E_TRAILING;
    if (tag == PGP_USER_ID) {
        l->name = body;
        l->about = ABOUT_NAME;
    } else if (tag == PGP_SUBKEY && pgp_public_parse(body, &l->sub) == CPH_OK) {
        err = part_of(&l->sub, &l->draft); /* one that only encrypts is none of ours */
        if (err != CPH_OK)
            return err == CPH_E_UNSUPPORTED || err == CPH_E_MALFORMED ? CPH_OK : err;
        l->about = ABOUT_SUBKEY;
    }
    return CPH_OK;
}

static cph_err read_primary(struct load *l, struct cph_rd *rd)
{
    struct cph_span body;
    uint8_t tag;
    cph_err err = pgp_packet(rd, &tag, &body);

    if (err != CPH_OK)
        return err == CPH_E_NOTFOUND ? CPH_E_MALFORMED : err;
    if (tag != PGP_KEY)
        return CPH_E_MALFORMED;
    CPH_TRY(pgp_public_parse(body, &l->primary));
    CPH_TRY(part_of(&l->primary, &l->key->part[0]));
    l->key->n_parts = 1;
    l->about = ABOUT_KEY;
    return fingerprint(CPH_DIGEST_SHA256, &l->primary, l->key->sha256);
}

static cph_err read_all(struct load *l, struct cph_span bytes)
{
    struct cph_rd rd = cph_rd_open(bytes);
    struct part *primary = &l->key->part[0];
    struct cph_span body;
    uint8_t tag;
    cph_err err;

    CPH_TRY(read_primary(l, &rd));
    while ((err = pgp_packet(&rd, &tag, &body)) == CPH_OK)
        CPH_TRY(on_packet(l, tag, body));
    if (err != CPH_E_NOTFOUND)
        return err;
    CPH_TRY(settle(l));
    if (l->key->n_names == 0)
        return l->weak ? CPH_E_UNSUPPORTED : CPH_E_AUTH;
    primary->may_sign = !l->self.has_key_flags || l->self.key_flags & PGP_MAY_SIGN;
    primary->expires = ends(primary->created, l->self.key_expires);
    return CPH_OK;
}

cph_err cph_pgp_key_load(const struct cph_env *env, struct cph_span bytes, struct cph_pgp_key **out)
{
    struct load l = { .now = cph_wall(env) };
    struct cph_span binary;
    uint8_t *room;
    cph_err err;

    if (bytes.n > CPH_PGP_FILE_MAX)
        return CPH_E_LIMIT;
    CPH_TRY(pgp_unarmor(bytes, &room, &binary));
    l.key = calloc(1, sizeof *l.key);
    err = l.key ? read_all(&l, binary) : CPH_E_NOMEM;
    EVP_PKEY_free(l.draft.pkey);
    free(room);
    if (err != CPH_OK) {
        cph_pgp_key_free(l.key);
        return err;
    }
    *out = l.key;
    return CPH_OK;
}

/* ---- whose it is ----------------------------------------------------------------------------- */

static struct cph_span without_scheme(struct cph_span s)
{
    if (cph_span_iis(cph_span_head(s, 4), "sip:"))
        return cph_span_from(s, 4);
    return cph_span_iis(cph_span_head(s, 5), "sips:") ? cph_span_from(s, 5) : s;
}

bool cph_pgp_key_names(const struct cph_pgp_key *key, struct cph_span address)
{
    char want[NAME];

    address = without_scheme(address);
    if (address.n == 0 || cph_span_cstr(address, want, sizeof want) != CPH_OK)
        return false;
    for (unsigned i = 0; i < key->n_names; i++) {
        struct cph_span s = cph_span_of(key->name[i]), angle = s;

        (void)cph_span_cut(&angle, '<');
        if (angle.n > 0 && angle.p[angle.n - 1] == '>')
            s = cph_span_head(angle, angle.n - 1);
        if (cph_span_iis(without_scheme(s), want))
            return true;
    }
    return false;
}

/* ---- what it signed -------------------------------------------------------------------------- */

/* One packet, and zeros to the next word (RFC 6189 5.7). */
static cph_err read_signature(struct cph_span bytes, struct pgp_sig *out)
{
    struct cph_rd rd = cph_rd_open(bytes);
    struct cph_span body;
    uint8_t tag;
    cph_err err;

    if (bytes.n > CPH_PGP_SIGNATURE_MAX)
        return CPH_E_LIMIT;
    err = pgp_packet(&rd, &tag, &body);
    if (err != CPH_OK)
        return err == CPH_E_NOTFOUND ? CPH_E_TRUNCATED : err;
    for (unsigned zeros = 0; cph_rd_more(&rd); zeros++)
        if (cph_rd_u8(&rd) != 0 || zeros == 3)
            return CPH_E_TRAILING;
    if (tag != PGP_SIGNATURE)
        return CPH_E_MALFORMED;
    CPH_TRY(pgp_sig_parse(body, out));
    if (out->type != PGP_BINARY)
        return CPH_E_UNSUPPORTED;
    return out->has_created ? CPH_OK : CPH_E_MALFORMED; /* RFC 4880 5.2.3.4 MUST */
}

/* Was this part entitled to it? */
static cph_err judge(const struct part *p, const struct pgp_sig *sig, int64_t now)
{
    if (!p->may_sign || sig->created < p->created || sig->created > now + SKEW_S)
        return CPH_E_POLICY;
    return ends(sig->created, sig->expires) > now ? CPH_OK : CPH_E_EXPIRED;
}

cph_err cph_pgp_verify(const struct cph_env *env, const struct cph_pgp_key *key,
                       struct cph_span msg, struct cph_span signature, struct cph_pgp_by *by)
{
    const struct part *first = &key->part[0];
    struct pgp_sig sig;
    cph_err err = CPH_E_NOKEY;

    CPH_TRY(read_signature(signature, &sig));
    for (unsigned i = 0; i < key->n_parts && err != CPH_OK; i++) {
        const struct part *p = &key->part[i];

        if (!is_by(p, &sig))
            continue;
        err = pgp_check(p->pkey, p->algo, &sig, &msg, 1);
        if (err != CPH_OK)
            continue;
        CPH_TRY(judge(p, &sig, cph_wall(env)));
        *by = (struct cph_pgp_by){
            .not_before = p->created > first->created ? p->created : first->created,
            .not_after = p->expires < first->expires ? p->expires : first->expires,
        };
        memcpy(by->fingerprint, key->sha256, sizeof by->fingerprint);
    }
    return err;
}
