#include "zrtp.h"

#include <stdio.h>
#include <string.h>

/* ---- what lasts ------------------------------------------------------------------------------ */

static void wipe_kept(struct cph_store_zrtp *kept)
{
    cph_wipe(kept, sizeof *kept);
}

#define KEPT_SCOPED __attribute__((cleanup(wipe_kept))) struct cph_store_zrtp

static cph_err retained_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                            struct cph_zrtp_retained *out)
{
    KEPT_SCOPED kept = { 0 };

    CPH_TRY(cph_store_zrtp_get(ctx, zid, &kept));
    *out = (struct cph_zrtp_retained){ .rs1 = kept.rs1,
                                       .rs2 = kept.rs2,
                                       .aux = kept.aux,
                                       .pbx = kept.pbx,
                                       .verified = kept.verified,
                                       .expires = kept.expires };
    memcpy(out->peer, kept.peer, sizeof out->peer);
    return CPH_OK;
}

static cph_err retained_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                            const struct cph_zrtp_retained *in)
{
    KEPT_SCOPED kept = { .rs1 = in->rs1,
                         .rs2 = in->rs2,
                         .aux = in->aux,
                         .pbx = in->pbx,
                         .verified = in->verified,
                         .expires = in->expires };

    memcpy(kept.peer, in->peer, sizeof kept.peer);
    return cph_store_zrtp_put(ctx, zid, &kept);
}

static bool retained_other(void *ctx, const char *peer, const uint8_t zid[CPH_ZRTP_ZID])
{
    return cph_store_zrtp_other(ctx, peer, zid) == CPH_OK;
}

_Static_assert(sizeof((struct cph_store_zrtp *)0)->peer ==
                   sizeof((struct cph_zrtp_retained *)0)->peer,
               "the store's addresses are as long as ZRTP's");

cph_err cli_zrtp_open(struct cli_zrtp *z, struct cph_store *store, char why[CLI_WHY])
{
    cph_err err = cph_store_zrtp_own(store, z->phone.zid);

    if (err != CPH_OK) {
        (void)snprintf(why, CLI_WHY, "%.500s", cph_store_why(store));
        return err;
    }
    z->retained = (struct cph_zrtp_store){ store, retained_get, retained_put, retained_other };
    z->phone.store = &z->retained;
    return CPH_OK;
}

/* ---- what the user decides ------------------------------------------------------------------- */

/* A string that continuity vouches for may be compared too: who finds it different must be heard.
 */
static bool sas_shown(struct cph_phone *phone, uint32_t call, cph_time now)
{
    struct cph_phone_status st;

    return cph_phone_status(phone, call, now, &st) == CPH_OK && st.sas[0];
}

bool cli_zrtp_key(struct cph_phone *phone, uint32_t call, char key, cph_time now, cph_err *err)
{
    switch (key) {
    case 'y':
    case 'n':
        if (!sas_shown(phone, call, now))
            return false;
        *err = cph_phone_sas(phone, call, key == 'y', now);
        return true;
    case 'e':
        *err = cph_phone_enroll(phone, call, now);
        break;
    case 'c':
        *err = cph_phone_clear(phone, call, now);
        break;
    case 's':
        *err = cph_phone_secure(phone, call, now);
        break;
    default:
        return false;
    }
    if (*err == CPH_E_AUTH)
        cli_error("compare the string first: anybody could ask to be trusted");
    else if (*err == CPH_E_POLICY)
        cli_error("not allowed: --policy required keeps the keys, or the peer does");
    else if (*err == CPH_E_STATE)
        cli_error("there is nothing to change that way in this call now");
    if (*err == CPH_E_AUTH || *err == CPH_E_POLICY || *err == CPH_E_STATE)
        *err = CPH_OK; /* said already */
    return true;
}
