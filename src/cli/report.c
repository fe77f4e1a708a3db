#include "report.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/json.h"

enum { METER = 20, METER_FLOOR = -60, LINE_LIMIT = 64 * 1024, KEYS_SHOWN = 3 };

/* ---- JSON lines ------------------------------------------------------------------------------ */

/* Writes it and frees it. */
static void json_line(const struct cli_report *r, struct cph_json *j)
{
    struct cph_buf line = { .limit = LINE_LIMIT };

    if (cph_json_line(j, &line) == CPH_OK) {
        struct cph_span text = cph_buf_view(&line);

        (void)fwrite(text.p, 1, text.n, r->out);
        (void)fflush(r->out);
    }
    cph_json_free(j);
    cph_buf_clear(&line);
}

static void json_verdict(struct cph_json *j, const char *key, const struct cph_verdict *v)
{
    char line[CPH_VERDICT_LINE];

    cph_json_object(j, key);
    cph_json_text(j, "level", cph_level_name(v->level));
    cph_json_text(j, "class", cph_attacker_name(v->attacker));
    cph_json_text(j, "peer", v->peer);
    cph_json_text(j, "vouched_by", cph_voucher_name(v->vouched_by));
    cph_json_text(j, "ends_at", cph_ends_text(v->ends_at));
    cph_json_bool(j, "policy_kept", v->policy_kept);
    cph_json_array(j, "streams");
    for (unsigned i = 0; i < v->streams_n; i++) {
        cph_json_object(j, NULL);
        cph_json_text(j, "keying", v->stream[i].keying);
        cph_json_text(j, "suite", v->stream[i].suite);
        cph_json_uint(j, "packets_in", v->stream[i].packets_in);
        cph_json_uint(j, "packets_out", v->stream[i].packets_out);
        cph_json_close(j);
    }
    cph_json_close(j);
    cph_json_array(j, "hops");
    for (unsigned i = 0; i < v->hops_n; i++)
        cph_json_text(j, NULL, cph_verdict_hop_line(v, i, line));
    cph_json_close(j);
    cph_json_array(j, "reasons");
    for (unsigned i = 0; i < v->reasons_n; i++)
        cph_json_text(j, NULL, cph_verdict_reason_line(v, i, line));
    cph_json_close(j);
    cph_json_close(j);
}

static void json_media(struct cph_json *j, const struct cph_phone_status *st)
{
    const struct cph_media_stats *m = &st->media;

    cph_json_object(j, "media");
    cph_json_text(j, "codec", st->codec);
    cph_json_uint(j, "packets_in", m->packets_in);
    cph_json_uint(j, "packets_out", m->packets_out);
    cph_json_uint(j, "lost", m->lost);
    cph_json_uint(j, "late", m->late);
    cph_json_uint(j, "concealed", m->concealed);
    cph_json_uint(j, "jitter_ms", m->jitter_ms);
    cph_json_uint(j, "delay_ms", m->delay_ms);
    cph_json_int(j, "rtt_ms", m->rtt_ms);
    cph_json_close(j);
}

static bool over(enum cph_phone_event_kind kind)
{
    return kind == CPH_PHONE_ENDED || kind == CPH_PHONE_REGISTER_FAILED;
}

static void json_event(struct cli_report *r, const struct cph_phone_event *ev,
                       const struct cph_phone_status *st)
{
    struct cph_json *j;
    char digit[2] = { ev->digit, '\0' }, words[CPH_PHONE_WHY];

    if (cph_json_new(&j) != CPH_OK)
        return;
    cph_json_text(j, "event", cph_phone_event_name(ev->kind));
    if (r->who)
        cph_json_text(j, "terminal", r->who);
    if (ev->call)
        cph_json_uint(j, "call", ev->call);
    if (st) {
        cph_json_text(j, "peer", st->peer);
        cph_json_text(j, "state", cph_phone_state_name(st->state));
    }
    if (ev->cause != CPH_OK)
        cph_json_text(j, "cause", cph_err_name(ev->cause));
    else if (ev->status) /* with a cause nobody sent one */
        cph_json_uint(j, "status", ev->status);
    if (over(ev->kind))
        cph_json_text(j, "why", cli_explain(ev, words));
    else if (ev->why[0])
        cph_json_text(j, "why", ev->why);
    if (ev->digit)
        cph_json_text(j, "digit", digit);
    if (ev->kind == CPH_PHONE_SAS) {
        cph_json_text(j, "sas", ev->sas);
        cph_json_bool(j, "verified", ev->verified);
        cph_json_bool(j, "strange", st && st->sas_strange);
        cph_json_bool(j, "relayed", st && st->sas_relayed);
    }
    if (ev->kind == CPH_PHONE_REGISTERED)
        cph_json_uint(j, "expires", ev->expires);
    if (st && ev->kind == CPH_PHONE_ENDED) {
        cph_json_bool(j, "by_peer", ev->by_peer);
        json_media(j, st);
    }
    if (st && (ev->kind == CPH_PHONE_ENDED || ev->kind == CPH_PHONE_SECURED ||
               ev->kind == CPH_PHONE_CHANGED || ev->kind == CPH_PHONE_PLAIN ||
               ev->kind == CPH_PHONE_SAS || ev->kind == CPH_PHONE_ENROLL ||
               ev->kind == CPH_PHONE_CLEARED))
        json_verdict(j, "verdict", &st->verdict);
    json_line(r, j);
}

/* ---- lines for people ------------------------------------------------------------------------ */

static const char *sentence(const struct cph_phone_event *ev)
{
    switch (ev->kind) {
    case CPH_PHONE_INCOMING:
        return "incoming call";
    case CPH_PHONE_RINGING:
        return "ringing";
    case CPH_PHONE_EARLY:
        return "early media";
    case CPH_PHONE_ANSWERED:
        return "answered";
    case CPH_PHONE_SECURED:
        return "media is encrypted";
    case CPH_PHONE_PLAIN:
        return "media goes in clear, as the policy allows";
    case CPH_PHONE_CHANGED:
        return "the call has changed";
    case CPH_PHONE_DIGIT:
        return "key";
    case CPH_PHONE_NOTICE:
        return "note";
    case CPH_PHONE_SOURCE_OVER:
        return "the file has been played";
    case CPH_PHONE_ENDED:
        return "ended";
    case CPH_PHONE_REGISTERED:
        return "registered";
    case CPH_PHONE_REGISTER_FAILED:
        return "registration failed";
    case CPH_PHONE_UNREGISTERED:
        return "registration removed";
    case CPH_PHONE_SAS:
        return "short authentication string";
    case CPH_PHONE_ENROLL:
        return "enroll?";
    case CPH_PHONE_CLEARED:
        return "THE KEYS ARE GONE";
    }
    return "";
}

static void prefix(const struct cli_report *r)
{
    if (r->who)
        (void)fprintf(r->out, "%s: ", r->who);
}

static void line_event(struct cli_report *r, const struct cph_phone_event *ev,
                       const struct cph_phone_status *st)
{
    char words[CPH_PHONE_WHY];
    const char *why = ev->why;

    cli_report_leave(r);
    prefix(r);
    (void)fputs(sentence(ev), r->out);
    if (ev->digit)
        (void)fprintf(r->out, " %c", ev->digit);
    if (ev->sas[0])
        (void)fprintf(r->out, " %s", ev->sas);
    if (st && (ev->kind == CPH_PHONE_INCOMING || ev->kind == CPH_PHONE_ANSWERED))
        (void)fprintf(r->out, ": %s", st->peer);
    if (ev->kind == CPH_PHONE_REGISTERED)
        (void)fprintf(r->out, " for %u s", ev->expires);
    if (over(ev->kind))
        why = cli_explain(ev, words);
    if (why[0]) /* a peer may have written it */
        (void)fprintf(r->out, ": %s", cph_text_clean(cph_span_of(why), words, sizeof words));
    if (over(ev->kind) && ev->status >= 300 && ev->cause == CPH_OK)
        (void)fprintf(r->out, " (SIP status %u)", ev->status);
    (void)fputc('\n', r->out);
    (void)fflush(r->out);
}

void cli_report_begin(const struct cli_report *r, const char *event, const char *word,
                      const char *where)
{
    struct cph_json *j;

    if (!r->json) {
        (void)fprintf(r->out, "%s%s %s\n", event, word, where);
        (void)fflush(r->out);
    } else if (cph_json_new(&j) == CPH_OK) {
        cph_json_text(j, "event", event);
        cph_json_text(j, "where", where);
        json_line(r, j);
    }
}

void cli_report_event(struct cli_report *r, const struct cph_phone_event *ev,
                      const struct cph_phone_status *st)
{
    if (r->json)
        json_event(r, ev, st);
    else if (ev->kind != CPH_PHONE_SOURCE_OVER)
        line_event(r, ev, st);
}

void cli_report_verdict(struct cli_report *r, const struct cph_verdict *v)
{
    char text[8192];

    if (r->json)
        return;
    cli_report_leave(r);
    (void)!cph_verdict_print(v, text, sizeof text); /* NOSPACE: what fitted is there */
    (void)fputs(text, r->out);
    (void)fflush(r->out);
}

/* ---- the panel ------------------------------------------------------------------------------- */

static void meter(double dbfs, char out[METER + 1])
{
    int on = (int)((dbfs - METER_FLOOR) * METER / -METER_FLOOR);

    for (int i = 0; i < METER; i++)
        out[i] = i < on ? '#' : '.';
    out[METER] = '\0';
}

/* No lock is drawn for what is not locked: `open` says so in a word. */
static const char *lock_of(enum cph_level level)
{
    switch (level) {
    case CPH_LEVEL_OPEN:
        return "[ OPEN ]";
    case CPH_LEVEL_HOP:
        return "[hop   ]";
    case CPH_LEVEL_PRIVATE:
        return "[private]";
    case CPH_LEVEL_IDENTIFIED:
        return "[identified]";
    case CPH_LEVEL_VERIFIED:
        return "[VERIFIED]";
    }
    return "[ ? ]";
}

static const char *colour_of(const struct cli_report *r, enum cph_level level)
{
    if (!r->tty)
        return "";
    return level == CPH_LEVEL_OPEN        ? "\033[1;31m"
           : level < CPH_LEVEL_IDENTIFIED ? "\033[1;33m"
                                          : "\033[1;32m";
}

static void row(struct cli_report *r, const char *text)
{
    prefix(r);
    (void)fprintf(r->out, r->tty ? "\033[2K%s\n" : "%s\n", text);
    r->drawn++;
}

/* What the two users have to tell each other, and what the peer wants of ours. */
static void draw_zrtp(struct cli_report *r, const struct cph_phone_status *st)
{
    char line[256];

    if (st->sas[0]) {
        (void)snprintf(line, sizeof line, "    SAS  %s%s%s", st->sas,
                       st->sas_relayed ? "  of who is behind the man in the middle" : "",
                       st->sas_asked ? "  read it to each other: y equal, n different" : "");
        row(r, line);
    }
    if (st->sas_strange)
        row(r,
            "    SAS  NOT THE DEVICE OF EARLIER CALLS, or it lost what it had: somebody may be in "
            "between");
    if (st->mitm)
        row(r, st->trusted_mitm ? "    MITM the peer is a man in the middle that you enrolled with"
                                : "    MITM the peer says that it is a man in the middle");
    if (st->enroll_asked)
        row(r, "    MITM it asks to be trusted with all calls it passes on: e lets it, q leaves");
    if (st->clear_asked)
        row(r, "    CLEAR the peer took the keys away; nothing is sent. c goes on in clear, s asks "
               "for keys again, q leaves");
    else if (st->went_clear)
        row(r, "    CLEAR the keys were taken away: s asks for keys again");
    else if (st->may_clear)
        row(r, "    ZRTP the peer would let the keys go: c takes the call back to RTP");
}

static void draw(struct cli_report *r, const struct cph_phone_status *st, cph_time now,
                 const char *head)
{
    const struct cph_media_stats *m = &st->media;
    char in[METER + 1], out[METER + 1], line[512], why[CPH_VERDICT_LINE];
    cph_time talked = st->since ? (now - st->since) / CPH_SEC(1) : 0;

    row(r, head);
    draw_zrtp(r, st);
    for (unsigned i = 0; i < st->verdict.reasons_n && i < KEYS_SHOWN; i++) {
        (void)snprintf(line, sizeof line, "    why  %s",
                       cph_verdict_reason_line(&st->verdict, i, why));
        row(r, line);
    }
    (void)snprintf(line, sizeof line,
                   "  %s  %02d:%02d  codec %s  lost %llu  jitter %u ms  delay %u ms%s",
                   cph_phone_state_name(st->state), (int)(talked / 60), (int)(talked % 60),
                   st->codec ? st->codec : "-", (unsigned long long)m->lost, m->jitter_ms,
                   m->delay_ms, st->muted ? "  muted" : "");
    row(r, line);
    meter(m->level_in, in);
    meter(m->level_out, out);
    (void)snprintf(line, sizeof line, "  hear %s   say %s", in, out);
    row(r, line);
}

void cli_report_panel(struct cli_report *r, const struct cph_phone_status *st, cph_time now)
{
    const struct cph_verdict *v = &st->verdict;
    char head[512];

    if (r->json)
        return;
    (void)snprintf(head, sizeof head, "%s%s%s %s  attacker class %s  vouched by %s",
                   colour_of(r, v->level), lock_of(v->level), r->tty ? "\033[0m" : "", st->peer,
                   cph_attacker_name(v->attacker), cph_voucher_name(v->vouched_by));
    if (!r->tty) { /* in a file or a pipe: only what has changed */
        if (strcmp(head, r->last) == 0)
            return;
        memcpy(r->last, head, sizeof head);
        draw(r, st, now, head);
        r->drawn = 0;
        (void)fflush(r->out);
        return;
    }
    if (r->drawn)
        (void)fprintf(r->out, "\033[%uA", r->drawn);
    r->drawn = 0;
    draw(r, st, now, head);
    if (st->state == CPH_PHONE_ST_TALKING || st->state == CPH_PHONE_ST_HELD)
        row(r, "  keys: q hang up, m mute, h hold, k new keys, 0-9 * # tones");
    (void)fputs("\033[J", r->out);
    (void)fflush(r->out);
}

void cli_report_leave(struct cli_report *r)
{
    r->drawn = 0;
}
