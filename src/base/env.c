#include "ciphony/base.h"

#include <stdarg.h>
#include <stdio.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"

enum { LOG_LINE = 512 }; /* longer lines are cut, a log is not a transport */

cph_err cph_random(const struct cph_env *env, void *buf, size_t n)
{
    return env->random(env->ctx, buf, n);
}

int64_t cph_wall(const struct cph_env *env)
{
    return env->wall(env->ctx);
}

void cph_log(const struct cph_env *env, enum cph_log_level level, const char *room, const char *fmt,
             ...)
{
    char line[LOG_LINE];
    va_list ap;

    if (!env || !env->log)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    env->log(env->ctx, level, room, line);
}

cph_err cph_random_hex(const struct cph_env *env, char *out, size_t n)
{
    uint8_t raw[64];
    char hex[2 * sizeof raw + 1];

    if (n > 2 * sizeof raw)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_random(env, raw, (n + 1) / 2));
    cph_hex((struct cph_span){ raw, (n + 1) / 2 }, hex);
    for (size_t i = 0; i < n; i++)
        out[i] = hex[i];
    out[n] = '\0';
    return CPH_OK;
}
