/* Ciphony: SST, the interface between the security manager and the application. */
#ifndef CPH_SESSION_SST_H
#define CPH_SESSION_SST_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/session_policy.h"

struct cph_ssa_msg;

enum { CPH_SST_NAME = 128 }; /* bytes of a user name or realm with the NUL */

/* What this terminal wants of the party behind a message. */
struct cph_sst_capability {
    struct cph_policy policy;
    char realm[CPH_SST_NAME]; /* for challenges; empty: the manager's default */
};

/* Who we are, or who the peer must prove to be. */
struct cph_sst_credentials {
    char user[CPH_SST_NAME];
    struct cph_secret password;
};

/* The application's side. ctx is handed back; the functions must not call the manager. Each may be
 * NULL. */
struct cph_sst {
    void *ctx;
    /* Policy for this message's peer or account. NULL or an error: the strictest. */
    cph_err (*capability)(void *ctx, const struct cph_ssa_msg *msg, struct cph_sst_capability *out);
    /* Our own name and password for a realm that asks. CPH_E_NOTFOUND: none, the 401 goes up. */
    cph_err (*credentials)(void *ctx, const void *account, struct cph_span realm,
                           struct cph_sst_credentials *out);
    /* The password of a user who claims to call us. CPH_E_NOTFOUND: unknown. */
    cph_err (*secret)(void *ctx, struct cph_span user, struct cph_span realm,
                      struct cph_secret *out);
    /* May this proven user (of this message) go on? CPH_OK or CPH_E_POLICY. NULL: the user must be
     * the user part of the From address. */
    cph_err (*decide)(void *ctx, const struct cph_ssa_msg *msg, struct cph_span user);
};

#endif
