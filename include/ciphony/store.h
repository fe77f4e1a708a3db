/* Ciphony: what must last. One SQLite file, in transactions; the process may be killed at any
 * instant. */
#ifndef CPH_STORE_H
#define CPH_STORE_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"

struct cph_store;

enum {
    CPH_STORE_PATH = 4096,       /* bytes of a path with its NUL */
    CPH_STORE_WHY = 768,         /* bytes of an explanation with its NUL */
    CPH_STORE_NAME = 256,        /* device and peer names, key spaces, with the NUL */
    CPH_STORE_CERT_MAX = 16384,  /* bytes of a certificate */
    CPH_STORE_FP_MAX = 64,       /* bytes of a fingerprint: SHA-512 */
    CPH_STORE_KEY_MAX = 1024,    /* bytes of a key in the key-value table */
    CPH_STORE_VALUE_MAX = 65536, /* bytes of a value there */
};

/* Every call that writes is a transaction of its own and on the disk when it returns, unless the
 * caller opened a larger one. A store is used by one thread at a time; several processes may have
 * it open. */

/** The path in an environment variable, NULL if there is none or it is not absolute. Lives as long
 * as the environment stays as it is. */
CPH_API const char *cph_store_env_path(const char *name);
/**
 * Where a file of ours is: $name/ciphony/file, else ~/below_home/ciphony/file. CPH_E_CONFIG when
 * neither variable says where, CPH_E_NOSPACE. out takes CPH_STORE_PATH bytes.
 */
CPH_API CPH_MUST_CHECK cph_err cph_store_xdg_path(const char *name, const char *below_home,
                                                  const char *file, char *out);
/**
 * $XDG_DATA_HOME/ciphony/ciphony.db, else ~/.local/share/ciphony/ciphony.db. Errors and out as
 * above.
 */
CPH_API CPH_MUST_CHECK cph_err cph_store_default_path(char *out);
/**
 * Open, making directories (mode 0700) and the file (0600) if absent, and bringing an older schema
 * up to date. path NULL: the default. why takes CPH_STORE_WHY bytes, may be NULL, and says on error
 * what happened, to which file, and what to do.
 * Refused with CPH_E_STORE: a file of somebody else, a link, a directory others may write to, a
 * file that is no store or of a newer Ciphony. A file others could read is closed to them with a
 * warning.
 */
CPH_API CPH_MUST_CHECK cph_err cph_store_open(const char *path, const struct cph_env *env,
                                              struct cph_store **out, char *why);
CPH_API void cph_store_close(struct cph_store *s); /* rolls back what is open; NULL is fine */
/** What the last error was about, in words; empty at first. Dies with the next call on s. */
CPH_API const char *cph_store_why(const struct cph_store *s);
CPH_API const char *cph_store_path(const struct cph_store *s); /* of its file; lives as long as s */

/** Several calls as one: on the disk all together with commit, or not at all. CPH_E_STATE for begin
 * within begin; CPH_E_STORE, CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_store_begin(struct cph_store *s);
/** CPH_E_STATE without begin. After another error it is still open: roll it back. */
CPH_API CPH_MUST_CHECK cph_err cph_store_commit(struct cph_store *s);
CPH_API void cph_store_rollback(struct cph_store *s); /* without begin it does nothing */

/* ---- own devices ---------------------------------------------------------------------------- */

struct cph_store_device {
    struct cph_secret key;            /* private key, in the form crypto/ writes; opaque here */
    uint8_t cert[CPH_STORE_CERT_MAX]; /* DER */
    size_t cert_n;
    int64_t made; /* wall clock seconds */
};

/** CPH_E_NOTFOUND. out holds a secret: wipe it. */
CPH_API CPH_MUST_CHECK cph_err cph_store_device_get(struct cph_store *s, const char *name,
                                                    struct cph_store_device *out);
/** CPH_E_EXISTS: a key is never written over. CPH_E_ARGUMENT: an empty key or certificate. */
CPH_API CPH_MUST_CHECK cph_err cph_store_device_add(struct cph_store *s, const char *name,
                                                    const struct cph_store_device *d);
/** The key's place in the file is overwritten. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_store_device_remove(struct cph_store *s, const char *name);
CPH_API void cph_store_device_wipe(struct cph_store_device *d);

/* ---- peers' certificates -------------------------------------------------------------------- */

enum cph_store_how {
    CPH_STORE_SEEN,   /* used by the peer before; nobody compared it */
    CPH_STORE_PINNED, /* the user named the fingerprint */
    CPH_STORE_PAIRED, /* both devices proved it to each other */
};

struct cph_store_pin {
    char peer[CPH_STORE_NAME]; /* compared byte by byte; identity/ normalises */
    char alg[16];              /* "sha-256" */
    uint8_t fp[CPH_STORE_FP_MAX];
    size_t fp_n;
    enum cph_store_how how;
    char by[CPH_STORE_NAME]; /* who or what added it, in words */
    int64_t since;           /* wall clock seconds */
};

/** Add, or replace how/by/since of the same peer, algorithm and fingerprint. CPH_E_ARGUMENT. */
CPH_API CPH_MUST_CHECK cph_err cph_store_pin_put(struct cph_store *s,
                                                 const struct cph_store_pin *p);
/** Remove one, or with alg NULL all of the peer. CPH_E_NOTFOUND; n (may be NULL): how many. */
CPH_API CPH_MUST_CHECK cph_err cph_store_pin_remove(struct cph_store *s, const char *peer,
                                                    const char *alg, struct cph_span fp, size_t *n);
/* Anything but CPH_OK ends the walk and is its result. Do not write to the store inside. */
typedef cph_err cph_store_pin_fn(void *arg, const struct cph_store_pin *p);
/** All pins of a peer, or with peer NULL all, by peer and then age. */
CPH_API CPH_MUST_CHECK cph_err cph_store_pin_each(struct cph_store *s, const char *peer,
                                                  cph_store_pin_fn *fn, void *arg);

/* ---- small things by key -------------------------------------------------------------------- */

/*
 * For what must last and has no table of its own: an application keeps its settings or its own
 * secrets here, in the same file and the same transactions as devices and pins.
 * space keeps users apart ("myapp.settings"), a name of 1 to 255 bytes; keys and values are any
 * bytes, also none. Each returns CPH_E_ARGUMENT for a space that is no such name, CPH_E_LIMIT over
 * a limit above, CPH_E_STORE or CPH_E_NOMEM otherwise (cph_store_why() says it).
 */

/** Appends the value to out (clear it after use: that wipes). CPH_E_NOTFOUND; CPH_E_LIMIT of out,
 * CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_store_get(struct cph_store *s, const char *space,
                                             struct cph_span key, struct cph_buf *out);
/** Add, or replace the value. */
CPH_API CPH_MUST_CHECK cph_err cph_store_put(struct cph_store *s, const char *space,
                                             struct cph_span key, struct cph_span value);
/** Its place in the file is overwritten. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_store_remove(struct cph_store *s, const char *space,
                                                struct cph_span key);
/* Anything but CPH_OK ends the walk and is its result. Views die with the call. Do not write to the
 * store inside. */
typedef cph_err cph_store_each_fn(void *arg, struct cph_span key, struct cph_span value);
/** All of a space, in the order of the keys' bytes. */
CPH_API CPH_MUST_CHECK cph_err cph_store_each(struct cph_store *s, const char *space,
                                              cph_store_each_fn *fn, void *arg);

/* ---- secrets shared with others' ZRTP endpoints (RFC 6189 4.9) ------------------------------- */

enum { CPH_STORE_ZID = 12 };

struct cph_store_zrtp {
    struct cph_secret rs1, rs2, aux, pbx; /* n == 0: not there */
    bool verified;                        /* the users compared the string, and it held since */
    char peer[4][256];                    /* under these addresses; "": none */
    int64_t expires;                      /* wall clock seconds; INT64_MAX: never */
};

/** The name of this endpoint: drawn once, at the first call, and the same ever after. */
CPH_API CPH_MUST_CHECK cph_err cph_store_zrtp_own(struct cph_store *s, uint8_t zid[CPH_STORE_ZID]);
/** CPH_E_NOTFOUND. out holds secrets: wipe it. */
CPH_API CPH_MUST_CHECK cph_err cph_store_zrtp_get(struct cph_store *s,
                                                  const uint8_t zid[CPH_STORE_ZID],
                                                  struct cph_store_zrtp *out);
/** Add or replace all that is known of zid. The place of the secrets before is overwritten. */
CPH_API CPH_MUST_CHECK cph_err cph_store_zrtp_put(struct cph_store *s,
                                                  const uint8_t zid[CPH_STORE_ZID],
                                                  const struct cph_store_zrtp *in);
/** Is another endpoint than zid kept under this address, verified or with a secret that did not
 * expire? CPH_OK if so, CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_store_zrtp_other(struct cph_store *s, const char *peer,
                                                    const uint8_t zid[CPH_STORE_ZID]);

#endif
