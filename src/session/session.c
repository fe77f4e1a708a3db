#include "ciphony/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "engine_int.h"

/* ---- events ---------------------------------------------------------------------------------- */

void engine_event(struct cph_session *s, enum cph_session_event_kind kind, unsigned stream,
                  const struct engine_branch *b, cph_err err, const char *fmt, ...)
{
    struct cph_session_event *e;
    va_list args;

    if (s->events_n == ENGINE_EVENTS) { /* nobody listens: the newest say more */
        s->event_at = (s->event_at + 1) % ENGINE_EVENTS;
        s->events_n--;
    }
    e = &s->event[(s->event_at + s->events_n++) % ENGINE_EVENTS];
    *e = (struct cph_session_event){ .kind = kind, .stream = stream, .err = err };
    e->branch = b ? b->id : 0;
    va_start(args, fmt);
    (void)vsnprintf(e->why, sizeof e->why, fmt, args);
    va_end(args);
}

cph_err cph_session_event(struct cph_session *s, struct cph_session_event *out)
{
    if (s->events_n == 0)
        return CPH_E_AGAIN;
    *out = s->event[s->event_at];
    s->event_at = (s->event_at + 1) % ENGINE_EVENTS;
    s->events_n--;
    return CPH_OK;
}

/* ---- new and free ---------------------------------------------------------------------------- */

static enum cph_keying_policy keying_policy(const struct cph_policy *p)
{
    switch (cph_policy_media(p)) {
    case CPH_SECURITY_PREFER:
        return CPH_KEYING_PREFER;
    case CPH_SECURITY_NONE:
        return CPH_KEYING_NONE;
    case CPH_SECURITY_UNSET:
    case CPH_SECURITY_REQUIRED:
        break;
    }
    return CPH_KEYING_REQUIRED;
}

/* The mechanisms policy names, in its order. */
static void choose_methods(struct cph_session *s)
{
    const struct cph_policy *p = &s->cfg.policy;
    unsigned n = 0;

    for (unsigned i = 0; i < p->keying_n && i < CPH_POLICY_KEYING_MAX; i++) {
        const struct cph_keying_method *m = cph_keying_method_by_name(cph_span_of(p->keying[i]));

        if (m && n < CPH_KEYING_MAX_METHODS)
            s->method[n++] = m;
    }
    s->none_named = p->keying_n > 0 && n == 0;
}

/* RFC 6189 5: each ZRTP packet bears the SSRC of the stream that it keys, and so do MIKEY's crypto
 * sessions. No two lines send from the same one. */
uint32_t engine_ssrc(const struct cph_session *s, unsigned stream)
{
    uint32_t own = s->media[stream].wish.ssrc;

    return own == 0 && stream == 0 ? s->cfg.keying.ssrc : own;
}

cph_err engine_nego(const struct cph_session *s, unsigned stream, struct cph_nego **out)
{
    struct cph_nego_cfg cfg = { .keying = s->cfg.keying,
                                .policy = keying_policy(&s->cfg.policy),
                                .form = s->cfg.policy.form,
                                .free_offers = s->cfg.policy.free_offers,
                                .cryptex = s->cfg.cryptex,
                                .methods = s->method[0] || s->none_named ? s->method : NULL };

    cfg.keying.ssrc = engine_ssrc(s, stream);
    return cph_nego_new(&cfg, out);
}

static cph_err media_set(struct engine_media *m, const struct cph_session_media *wish)
{
    const char *kind = wish->kind ? wish->kind : "audio";

    if (strlen(kind) >= sizeof m->kind)
        return CPH_E_LIMIT;
    memset(m, 0, sizeof *m);
    m->wish = *wish;
    memcpy(m->kind, kind, strlen(kind) + 1);
    m->early_end = &m->early;
    m->fact = -1;
    return CPH_OK;
}

/* RFC 8866 5.2: numbers that are not used twice; 62 bits, since some read them signed. */
static cph_err origin_set(struct cph_session *s)
{
    uint64_t id;

    CPH_TRY(cph_random(s->cfg.env, &id, sizeof id));
    s->local_side.origin = (struct cph_sdp_origin){
        .user = CPH_SPAN_LIT("-"), .id = id >> 2, .version = 1, .net = CPH_SPAN_LIT("IN")
    };
    s->local_side.addr = s->media[0].wish.local[0];
    s->local_side.addr.port = 0;
    return CPH_OK;
}

static cph_err ssm_encrypt(void *ctx, unsigned stream, enum cph_ssm_component c, uint8_t *p,
                           size_t *n, size_t cap, cph_time now)
{
    enum cph_keying_component port;
    struct cph_addr to;

    return cph_session_protect(ctx, stream, c == CPH_SSM_RTP ? CPH_KEYING_RTP : CPH_KEYING_RTCP, p,
                               n, cap, &port, &to, now);
}

static cph_err ssm_decrypt(void *ctx, unsigned stream, enum cph_ssm_component c, uint8_t *p,
                           size_t *n, cph_time now)
{
    struct cph_session *s = ctx;
    struct cph_session_packet got;
    struct cph_addr nowhere = { 0 };

    CPH_TRY(cph_session_feed(s, stream, c == CPH_SSM_RTP ? CPH_KEYING_RTP : CPH_KEYING_RTCP,
                             &nowhere, p, *n, now));
    if (cph_session_take(s, &got) != CPH_OK) /* keying, or too early */
        return CPH_E_NOKEY;
    memcpy(p, got.bytes.p, got.bytes.n); /* never longer than what came */
    *n = got.bytes.n;
    return CPH_OK;
}

static cph_err setup(struct cph_session *s, const struct cph_session_media *media, unsigned n)
{
    struct cph_nego *probe;

    for (unsigned i = 0; i < n; i++)
        CPH_TRY(media_set(&s->media[i], &media[i]));
    s->n = s->lines = n;
    for (unsigned i = 0; i < CPH_SESSION_STREAMS; i++)
        s->place[i] = (uint8_t)i;
    choose_methods(s);
    CPH_TRY(origin_set(s));
    CPH_TRY(engine_ekt_setup(s));
    CPH_TRY(engine_nego(s, 0, &probe)); /* can this policy be kept at all? */
    cph_nego_free(probe);
    s->ring = malloc(ENGINE_RING * sizeof *s->ring); /* read only where it was written */
    return s->ring ? CPH_OK : CPH_E_NOMEM;
}

cph_err cph_session_new(const struct cph_session_config *cfg, const struct cph_session_media *media,
                        unsigned n, cph_time now, struct cph_session **out)
{
    struct cph_session *s;
    cph_err err;

    if (!cfg->env || !cfg->srtp || n == 0)
        return CPH_E_ARGUMENT;
    if (n > CPH_SESSION_STREAMS)
        return CPH_E_LIMIT;
    s = calloc(1, sizeof *s);
    if (!s)
        return CPH_E_NOMEM;
    s->cfg = *cfg;
    s->cfg.keying.env = cfg->env;
    s->active = -1;
    s->now = now;
    cph_fact_text(s->peer, cph_span_of(cfg->peer));
    s->cfg.peer = s->peer;
    memcpy(s->ev.peer, s->peer, sizeof s->ev.peer);
    cph_evidence_downgrade(&s->ev, CPH_DOWNGRADE_NONE); /* we look at each exchange */
    s->ssm = (struct cph_ssm){ .ctx = s, .encrypt = ssm_encrypt, .decrypt = ssm_decrypt };
    err = setup(s, media, n);
    if (err != CPH_OK) {
        cph_session_free(s);
        return err;
    }
    *out = s;
    return CPH_OK;
}

/* ---- branches -------------------------------------------------------------------------------- */

cph_err engine_branch_new(struct cph_session *s, uint32_t id, struct engine_branch **out)
{
    unsigned slot = 0;

    while (slot < CPH_SESSION_BRANCHES && s->branch[slot])
        slot++;
    if (slot == CPH_SESSION_BRANCHES)
        return CPH_E_LIMIT;
    *out = s->branch[slot] = calloc(1, sizeof **out);
    if (!*out)
        return CPH_E_NOMEM;
    (*out)->slot = slot;
    (*out)->id = id;
    return CPH_OK;
}

struct engine_branch *engine_branch_find(const struct cph_session *s, uint32_t id)
{
    struct engine_branch *b;

    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        if (b->id == id)
            return b;
    return NULL;
}

void engine_branch_free(struct cph_session *s, struct engine_branch *b)
{
    for (unsigned i = 0; i < CPH_SESSION_STREAMS; i++) {
        struct engine_line *l = &b->line[i];

        engine_facts_close(s, b, i);
        engine_line_stop(s, l);
        cph_nego_free(l->nego);
    }
    cph_arena_free(b->remote.arena);
    s->branch[b->slot] = NULL;
    cph_free_secret(b, sizeof *b);
}

struct engine_branch *engine_branch(struct cph_session *s)
{
    return s->active < 0 ? NULL : s->branch[s->active];
}

const struct engine_branch *engine_branch_const(const struct cph_session *s)
{
    return s->active < 0 ? NULL : s->branch[s->active];
}

/* ---- end ------------------------------------------------------------------------------------- */

void cph_session_free(struct cph_session *s)
{
    struct engine_branch *b;

    if (!s)
        return;
    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        engine_branch_free(s, b);
    engine_parted_free(s);
    for (unsigned i = 0; i < CPH_SESSION_STREAMS; i++) {
        cph_nego_free(s->base[i]);
        engine_early_clear(s, i);
    }
    engine_early_free(s->given);
    cph_arena_free(s->local.arena);
    cph_arena_free(s->pending.arena);
    cph_arena_free(s->pending_plain.arena);
    cph_free_secret(s->ring, s->ring_used * sizeof *s->ring);
    cph_free_secret(s, sizeof *s);
}

/* ---- wishes ---------------------------------------------------------------------------------- */

cph_err cph_session_direction(struct cph_session *s, unsigned stream, enum cph_sdp_dir direction)
{
    if (stream >= s->n || s->media[stream].removed || direction > CPH_SDP_SENDRECV)
        return CPH_E_ARGUMENT;
    s->media[stream].wish.direction = direction;
    return CPH_OK;
}

cph_err cph_session_add(struct cph_session *s, const struct cph_session_media *media,
                        unsigned *stream)
{
    if (s->n == CPH_SESSION_STREAMS || s->lines == CPH_SDP_MAX_MEDIA)
        return CPH_E_LIMIT;
    CPH_TRY(media_set(&s->media[s->n], media));
    s->place[s->n] = (uint8_t)s->lines++;
    *stream = s->n++;
    return CPH_OK;
}

cph_err cph_session_remove(struct cph_session *s, unsigned stream)
{
    if (stream >= s->n)
        return CPH_E_ARGUMENT;
    s->look = true;
    s->media[stream].removed = true; /* RFC 3264 8.2: its place stays */
    return CPH_OK;
}

cph_err cph_session_rekey(struct cph_session *s)
{
    if (!engine_branch(s))
        return CPH_E_STATE;
    s->rekey = true;
    return CPH_OK;
}

void cph_session_rekey_off(struct cph_session *s)
{
    s->rekey = s->rekey_offered = false;
}

/* ---- asking ---------------------------------------------------------------------------------- */

unsigned cph_session_streams(const struct cph_session *s)
{
    return s->n;
}

cph_err cph_session_agreed(const struct cph_session *s, unsigned stream, struct cph_sdp_agreed *out)
{
    const struct engine_branch *b = engine_branch_const(s);

    if (stream >= s->n)
        return CPH_E_ARGUMENT;
    if (!b || !b->line[stream].has_agreed)
        return CPH_E_AGAIN;
    *out = b->line[stream].agreed;
    return CPH_OK;
}

enum cph_session_line cph_session_line(const struct cph_session *s, unsigned stream,
                                       const char **why)
{
    static const enum cph_session_line as[] = {
        [LINE_NONE] = CPH_SESSION_LINE_NONE,     [LINE_KEYING] = CPH_SESSION_LINE_WAITS,
        [LINE_SECURE] = CPH_SESSION_LINE_KEYED,  [LINE_PLAIN] = CPH_SESSION_LINE_CLEAR,
        [LINE_FAILED] = CPH_SESSION_LINE_FAILED, [LINE_CLEARED] = CPH_SESSION_LINE_ASKS,
    };
    const struct engine_branch *b = engine_branch_const(s);
    struct cph_nego_status st = { 0 };

    if (why && b && stream < s->n && b->line[stream].nego)
        cph_nego_status(b->line[stream].nego, &st);
    if (why)
        *why = st.why;
    return b && stream < s->n ? as[b->line[stream].state] : CPH_SESSION_LINE_NONE;
}

const struct cph_ssm *cph_session_ssm(struct cph_session *s)
{
    return &s->ssm;
}

struct cph_session_counts cph_session_counts(const struct cph_session *s)
{
    return s->count;
}
