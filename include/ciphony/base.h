/* Ciphony: errors, bytes, time and the environment. Everything else stands on this header. */
#ifndef CPH_BASE_H
#define CPH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPH_API          __attribute__((visibility("default")))
#define CPH_MUST_CHECK   __attribute__((warn_unused_result))
#define CPH_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- errors ---------------------------------------------------------------------------------- */

/* Every error of the project: name, who is to blame, one sentence. */
/* clang-format off */
#define CPH_ERR_LIST(X)                                                                 \
    X(OK,          NONE, "success")                                                     \
    X(AGAIN,       NONE, "nothing to do yet")                                           \
    X(TRUNCATED,   PEER, "message ends inside a field")                                 \
    X(TRAILING,    PEER, "bytes left after the last field")                             \
    X(MALFORMED,   PEER, "a field holds a value its format forbids")                    \
    X(AUTH,        PEER, "authentication tag does not match")                           \
    X(REPLAY,      PEER, "index already seen or below the window")                      \
    X(STATE,       PEER, "message not allowed in this state")                           \
    X(UNSUPPORTED, PEER, "asks for something this build does not do")                   \
    X(LIMIT,       PEER, "a limit on size or number was reached")                       \
    X(POLICY,      PEER, "the security policy forbids it")                              \
    X(CERT,        PEER, "the certificate is not the one that was promised")            \
    X(EXPIRED,     PEER, "the lifetime of a key or certificate is over")                \
    X(NOKEY,       PEER, "no key is known for this packet")                             \
    X(TIMEOUT,     PEER, "no answer in time")                                           \
    X(CLOSED,      PEER, "the other side closed the connection")                        \
    X(NOMEM,       HOST, "out of memory")                                               \
    X(CRYPTO,      HOST, "the crypto library refused")                                  \
    X(IO,          HOST, "the system refused an input or output operation")             \
    X(STORE,       HOST, "the store could not be read or written")                      \
    X(NAME,        HOST, "the name could not be resolved")                              \
    X(NOSPACE,     CALL, "caller's buffer is too small")                                \
    X(NOTFOUND,    CALL, "there is no such entry")                                      \
    X(EXISTS,      CALL, "there is such an entry already")                              \
    X(ARGUMENT,    CALL, "an argument is outside what the function takes")              \
    X(CONFIG,      CALL, "the configuration is wrong")                                  \
    X(BUG,         SELF, "an invariant does not hold")
/* clang-format on */

typedef enum {
#define CPH_ERR_ENUM(name, blame, text) CPH_E_##name,
    CPH_ERR_LIST(CPH_ERR_ENUM)
#undef CPH_ERR_ENUM
        CPH_E_COUNT_,
    CPH_OK = CPH_E_OK
} cph_err;

enum cph_blame {
    CPH_BLAME_NONE, /* not an error */
    CPH_BLAME_PEER, /* the wire is wrong: drop, count, maybe answer */
    CPH_BLAME_HOST, /* system, memory, library: give up this call, keep the process */
    CPH_BLAME_CALL, /* we were called wrongly: fix the caller */
    CPH_BLAME_SELF, /* broken invariant: tear the session down */
};

/** The error's name ("AUTH"), its sentence, its blame. Static storage; never NULL. Any thread. */
CPH_API const char *cph_err_name(cph_err err);
CPH_API const char *cph_err_text(cph_err err);
CPH_API enum cph_blame cph_err_blame(cph_err err);

/* Leave early while nothing is held. */
#define CPH_TRY(expr)                                                                              \
    do {                                                                                           \
        cph_err cph_try_err_ = (expr);                                                             \
        if (cph_try_err_ != CPH_OK)                                                                \
            return cph_try_err_;                                                                   \
    } while (0)

/* ---- time ------------------------------------------------------------------------------------ */

/* Microseconds of a monotonic clock that the caller of an engine reads once per turn. */
typedef int64_t cph_time;

#define CPH_MS(n)      ((cph_time)(n)*1000)
#define CPH_SEC(n)     ((cph_time)(n)*1000000)
#define CPH_TIME_NEVER INT64_MAX /* "no deadline" */

/* ---- bytes ----------------------------------------------------------------------------------- */

/* A view of n bytes that somebody else owns; dies with them. n == 0 is empty, p may then be NULL.
 */
struct cph_span {
    const uint8_t *p;
    size_t n;
};

/* printf("%.*s", CPH_SPAN_ARG(s)) */
#define CPH_SPAN_ARG(s)   (int)(s).n, (s).n ? (const char *)(s).p : ""
#define CPH_SPAN_LIT(lit) ((struct cph_span){ (const uint8_t *)(lit), sizeof(lit) - 1 })

/** View of a NUL-terminated string, without the NUL; NULL gives the empty span. */
static inline struct cph_span cph_span_of(const char *text)
{
    return text ? (struct cph_span){ (const uint8_t *)text, __builtin_strlen(text) }
                : (struct cph_span){ 0 };
}
CPH_API bool cph_span_eq(struct cph_span a, struct cph_span b);  /* bytes equal; not for secrets */
CPH_API bool cph_span_ieq(struct cph_span a, struct cph_span b); /* ASCII letters without case */
/** The same with a literal, whose length the compiler knows. */
static inline bool cph_span_is(struct cph_span a, const char *text)
{
    return cph_span_eq(a, cph_span_of(text));
}
static inline bool cph_span_iis(struct cph_span a, const char *text)
{
    return cph_span_ieq(a, cph_span_of(text));
}

/* ---- environment ----------------------------------------------------------------------------- */

enum cph_log_level { CPH_LOG_ERROR, CPH_LOG_WARN, CPH_LOG_INFO, CPH_LOG_DEBUG };

/*
 * What an engine may ask of its host. Passed at construction, const, outlives every engine made
 * with it. The functions may be called on whichever thread runs the engine.
 */
struct cph_env {
    void *ctx;
    /* Fill buf with n unpredictable bytes. On error the engine gives up what it was doing. */
    cph_err (*random)(void *ctx, void *buf, size_t n);
    /* Seconds since 1970-01-01 UTC: dates of certificates, time stamps that a protocol carries
     * (Date, MIKEY, S/MIME), how long what is retained lasts. Never for timers. */
    int64_t (*wall)(void *ctx);
    /* One line, no newline, no secret. May be NULL. */
    void (*log)(void *ctx, enum cph_log_level level, const char *room, const char *line);
};

/** n unpredictable bytes from env->random, whose error it returns: buf is then of no use. */
CPH_API CPH_MUST_CHECK cph_err cph_random(const struct cph_env *env, void *buf, size_t n);
CPH_API int64_t cph_wall(const struct cph_env *env); /* seconds since 1970-01-01 UTC */

/** Format one line (cut at 512 bytes) and give it to env->log. Never pass key material. */
CPH_API void cph_log(const struct cph_env *env, enum cph_log_level level, const char *room,
                     const char *fmt, ...) CPH_PRINTF(4, 5);

/** Write n random lower-case hex digits and a NUL to out (n + 1 bytes), for tags and branches. */
CPH_API CPH_MUST_CHECK cph_err cph_random_hex(const struct cph_env *env, char *out, size_t n);

#endif
