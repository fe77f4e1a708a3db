#include "ciphony/identity_device.h"

#include <stdlib.h>

#include "ciphony/store.h"

static const char device_name[] =
    "main"; /* a store has one device; the name leaves room for more */

enum {
    HOUR = 3600, /* a peer whose clock is a little behind must not refuse us */
    YEAR = 365 *
           86400, /* trust is in the certificate itself, not in its dates, so they are generous */
    DEVICE_YEARS = 30,
};

struct cph_device {
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_fingerprint fp;
};

void cph_device_free(struct cph_device *d)
{
    if (!d)
        return;
    cph_key_free(d->key);
    cph_cert_free(d->cert);
    free(d);
}

const struct cph_key *cph_device_key(const struct cph_device *d)
{
    return d->key;
}

const struct cph_cert *cph_device_cert(const struct cph_device *d)
{
    return d->cert;
}

const struct cph_fingerprint *cph_device_fingerprint(const struct cph_device *d)
{
    return &d->fp;
}

/* Make key and certificate and put them into row. */
static cph_err make(const struct cph_env *env, struct cph_store_device *row)
{
    int64_t now = cph_wall(env);
    struct cph_cert_spec spec = { .not_before = now - HOUR,
                                  .not_after = now + (int64_t)DEVICE_YEARS * YEAR };
    struct cph_cert *cert = NULL;
    struct cph_key *key = NULL;
    struct cph_span der;
    cph_err err;

    err = cph_key_generate(env, CPH_KEY_EC_P256, &key);
    if (err)
        goto out;
    err = cph_cert_self_signed(env, key, &spec, &cert);
    if (err)
        goto out;
    err = cph_key_private_der(env, key, &row->key);
    if (err)
        goto out;
    der = cph_cert_der(cert);
    if (der.n > sizeof row->cert) {
        err = CPH_E_BUG;
        goto out;
    }
    for (size_t i = 0; i < der.n; i++)
        row->cert[i] = der.p[i];
    row->cert_n = der.n;
    row->made = now;
out:
    cph_cert_free(cert);
    cph_key_free(key);
    return err;
}

/* The row as it is in the store, made if there is none. */
static cph_err fetch(struct cph_store *store, const struct cph_env *env,
                     struct cph_store_device *row, bool *made)
{
    cph_err err = cph_store_device_get(store, device_name, row);

    *made = false;
    if (err != CPH_E_NOTFOUND)
        return err;
    CPH_TRY(make(env, row));
    err = cph_store_device_add(store, device_name, row);
    *made = err == CPH_OK;
    if (err != CPH_E_EXISTS)
        return err;
    return cph_store_device_get(store, device_name,
                                row); /* another process was faster: use its own */
}

static cph_err load(const struct cph_env *env, const struct cph_store_device *row,
                    struct cph_device *d)
{
    CPH_TRY(cph_key_load(env, cph_secret_span(&row->key), &d->key));
    CPH_TRY(cph_cert_parse(env, (struct cph_span){ row->cert, row->cert_n }, &d->cert));
    CPH_TRY(cph_cert_fingerprint(d->cert, CPH_FP_SHA256, &d->fp));
    return cph_cert_has_key(d->cert, d->key) ? CPH_OK : CPH_E_MALFORMED;
}

cph_err cph_device_open(struct cph_store *store, const struct cph_env *env, struct cph_device **out,
                        bool *made)
{
    struct cph_store_device *row = calloc(1, sizeof *row);
    struct cph_device *d = calloc(1, sizeof *d);
    bool is_new = false;
    cph_err err = CPH_E_NOMEM;

    if (!row || !d)
        goto out;
    err = fetch(store, env, row, &is_new);
    if (err)
        goto out;
    err = load(env, row, d);
    if (err) {
        if (err == CPH_E_MALFORMED || err == CPH_E_UNSUPPORTED)
            err = CPH_E_STORE; /* what is there is not what we wrote */
        goto out;
    }
    if (made)
        *made = is_new;
    *out = d;
    d = NULL;
out:
    cph_device_free(d);
    cph_free_secret(row, sizeof *row);
    return err;
}
