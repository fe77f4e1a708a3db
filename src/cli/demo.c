#include "demo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"
#include "ciphony/media_io.h"

enum {
    HEARD_MAX = 16000 * 120, /* samples kept of what was heard */
    HEARD_RATE = 16000,
    TOO_LONG_S = 60,
    LISTEN_ON_MS = 400, /* after the last word, for what is still on its way */
    PANEL_MS = 250,
};
#define LIKE_ENOUGH 0.8 /* cph_media_compare: over this a person would call it the same speech */

enum { ALICE, BOB, SIDES };
static const char *const names[SIDES] = { "alice", "bob" };

struct demo;

struct side {
    struct demo *demo;
    unsigned index;
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_fingerprint fp;
    struct cph_sip_pin pin;
    struct cph_sip_tls tls;
    struct cph_sip_ua_cfg sip;
    struct cph_phone_account account;
    struct cph_phone_config phone_cfg;
    struct cli_driver *driver;
    uint32_t call;
};

struct demo {
    const struct cli_demo_options *o;
    struct cli_report report;
    const struct cph_env *env;
    struct cph_net *net;
    struct cph_net_wake *panel, *hangup, *limit;
    struct side side[SIDES];
    char speech_path[4096];
    struct cph_media_pcm said, heard;
    struct cph_verdict verdict;
    bool pinned, ended, too_long, no_device, keep;
};

/* ---- what was heard, kept and played --------------------------------------------------------- */

struct tee {
    struct cph_media_sink sink;
    struct cph_media_sink *to[3];
};

static cph_err tee_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    struct tee *tee = (struct tee *)s;

    for (size_t i = 0; i < sizeof tee->to / sizeof *tee->to; i++)
        if (tee->to[i] && tee->to[i]->ops->write(tee->to[i], pcm, n) != CPH_OK) {
            cph_media_sink_free(tee->to[i]); /* the others go on */
            tee->to[i] = NULL;
        }
    return CPH_OK;
}

static void tee_free(struct cph_media_sink *s)
{
    struct tee *tee = (struct tee *)s;

    for (size_t i = 0; i < sizeof tee->to / sizeof *tee->to; i++)
        cph_media_sink_free(tee->to[i]);
    free(tee);
}

static const struct cph_media_sink_ops tee_ops = { tee_write, tee_free };

static cph_err listen_in(struct demo *d, struct cph_media_sink **out)
{
    const struct cli_demo_options *o = d->o;
    struct tee *tee = calloc(1, sizeof *tee);
    char why[CPH_MEDIA_WHY];
    cph_err err;

    if (!tee)
        return CPH_E_NOMEM;
    tee->sink = (struct cph_media_sink){ &tee_ops, HEARD_RATE };
    err = cph_media_memory_sink(&d->heard, HEARD_RATE, HEARD_MAX, &tee->to[0]);
    if (err != CPH_OK) {
        free(tee);
        return err;
    }
    if ((!o->device || strcmp(o->device, "none") != 0) &&
        cph_media_alsa_play(o->device ? o->device : "default", HEARD_RATE, why, &tee->to[1]) !=
            CPH_OK)
        d->no_device = true;
    if (d->keep && o->record &&
        cph_media_wav_record(o->record, HEARD_RATE, why, &tee->to[2]) != CPH_OK)
        cli_error("%s", why);
    *out = &tee->sink;
    return CPH_OK;
}

static cph_err sound(void *arg, uint32_t call, struct cph_media_source **source,
                     struct cph_media_sink **sink)
{
    struct side *s = arg;
    char why[CPH_MEDIA_WHY];

    (void)call;
    if (s->index == ALICE)
        return cph_media_wav_play(s->demo->speech_path, false, why, source);
    return listen_in(s->demo, sink);
}

/* ---- the two terminals ----------------------------------------------------------------------- */

static enum cph_phone_pin pin_of(void *arg, struct cph_span peer_uri, struct cph_span sha256)
{
    struct side *s = arg;
    const struct side *other = &s->demo->side[!s->index];

    (void)peer_uri;
    if (!s->demo->pinned)
        return CPH_PHONE_PIN_UNKNOWN;
    return cph_span_eq(sha256, (struct cph_span){ other->fp.b, other->fp.n })
               ? CPH_PHONE_PIN_PINNED
               : CPH_PHONE_PIN_MISMATCH;
}

static void on_event(void *arg, const struct cph_phone_event *ev, cph_time now)
{
    struct side *s = arg;
    struct demo *d = s->demo;
    struct cph_phone *p = cli_driver_phone(s->driver);
    struct cph_phone_status st;
    bool about = cph_phone_status(p, ev->call, now, &st) == CPH_OK;

    if (s->index == ALICE || d->report.json) {
        d->report.who = d->report.json ? names[s->index] : NULL;
        cli_report_event(&d->report, ev, about ? &st : NULL);
    }
    if (ev->kind == CPH_PHONE_INCOMING) {
        s->call = ev->call;
        (void)!cph_phone_accept(p, ev->call, now);
    } else if (ev->kind == CPH_PHONE_SOURCE_OVER) {
        cph_net_wake_at(d->hangup, now + CPH_MS(LISTEN_ON_MS));
    } else if (ev->kind == CPH_PHONE_ENDED && s->index == ALICE) {
        if (about)
            d->verdict = st.verdict;
        d->ended = true;
    }
    if (d->ended && (s->index == BOB || d->side[BOB].call == 0) && ev->kind == CPH_PHONE_ENDED)
        cph_net_stop(d->net);
}

static void hang_up(void *arg, cph_time now)
{
    struct demo *d = arg;
    struct side *s = &d->side[ALICE];

    (void)!cph_phone_hangup(cli_driver_phone(s->driver), s->call, now);
    cli_driver_pump(s->driver);
    cph_net_wake_at(d->limit, now + CPH_SEC(2)); /* BYE is answered at once, or nobody is there */
}

static void show(void *arg, cph_time now)
{
    struct demo *d = arg;
    struct side *s = &d->side[ALICE];
    struct cph_phone_status st;

    if (d->ended || cph_phone_status(cli_driver_phone(s->driver), s->call, now, &st) != CPH_OK)
        return;
    if (st.since)
        cli_report_panel(&d->report, &st, now);
    cph_net_wake_at(d->panel, now + CPH_MS(PANEL_MS));
}

static void give_up(void *arg, cph_time now)
{
    struct demo *d = arg;

    (void)now;
    d->too_long = !d->ended;
    cph_net_stop(d->net);
}

static cph_err make_device(struct demo *d, struct side *s)
{
    int64_t now = cph_wall(d->env);
    struct cph_cert_spec spec = { .cn = names[s->index],
                                  .not_before = now - 3600,
                                  .not_after = now + 86400 };

    CPH_TRY(cph_key_generate(d->env, CPH_KEY_EC_P256, &s->key));
    CPH_TRY(cph_cert_self_signed(d->env, s->key, &spec, &s->cert));
    return cph_cert_fingerprint(s->cert, CPH_FP_SHA256, &s->fp);
}

static cph_err make_terminal(struct demo *d, struct side *s, enum cph_sip_proto proto,
                             const char *keying, char why[CPH_PHONE_WHY])
{
    struct cli_driver_config cfg = { .net = d->net,
                                     .env = d->env,
                                     .phone = &s->phone_cfg,
                                     .sip = &s->sip,
                                     .event = on_event,
                                     .sound = sound,
                                     .pin = pin_of,
                                     .arg = s };

    s->pin = (struct cph_sip_pin){ .name = "127.0.0.1", .fp = d->side[!s->index].fp };
    s->tls = (struct cph_sip_tls){
        .cert = s->cert, .key = s->key, .pin = &s->pin, .n_pins = 1, .need_client_cert = true
    };
    s->sip = (struct cph_sip_ua_cfg){ .env = d->env, .n_listeners = 1, .tls = &s->tls };
    s->sip.listener[0].proto = proto;
    CPH_TRY(cph_addr_parse(CPH_SPAN_LIT("127.0.0.1:0"), &s->sip.listener[0].addr));
    s->account = (struct cph_phone_account){ .name = "", .user = names[s->index] };
    s->account.policy.media = CPH_SECURITY_REQUIRED;
    s->account.policy.keying[0] = keying;
    s->account.policy.keying_n = 1;
    s->phone_cfg = (struct cph_phone_config){ .env = d->env,
                                              .sip = &s->sip,
                                              .key = s->key,
                                              .cert = s->cert,
                                              .account = &s->account,
                                              .n_accounts = 1,
                                              .rtcp_mux = true };
    return cli_driver_new(&cfg, why, &s->driver);
}

/* ---- one call -------------------------------------------------------------------------------- */

static cph_err call(struct demo *d, enum cph_sip_proto proto, const char *keying,
                    char why[CPH_PHONE_WHY])
{
    char to[CPH_PHONE_URI];
    struct cph_phone_dial dial = { .to = to };
    struct side *alice = &d->side[ALICE];
    cph_err err = CPH_OK;

    d->ended = d->too_long = false;
    d->heard = (struct cph_media_pcm){ 0 };
    d->report.last[0] = '\0';
    for (unsigned i = 0; i < SIDES && err == CPH_OK; i++) {
        d->side[i].call = 0;
        err = make_terminal(d, &d->side[i], proto, keying, why);
    }
    if (err == CPH_OK) {
        (void)snprintf(to, sizeof to, "sip:bob@127.0.0.1:%u;transport=%s",
                       (unsigned)d->side[BOB].sip.listener[0].addr.port,
                       proto == CPH_SIP_TLS ? "tls" : "udp");
        err = cph_phone_dial(cli_driver_phone(alice->driver), &dial, cph_net_now(d->net),
                             &alice->call);
    }
    if (err == CPH_OK) {
        cli_driver_pump(alice->driver);
        cph_net_wake_at(d->panel, cph_net_now(d->net) + CPH_MS(PANEL_MS));
        cph_net_wake_at(d->limit, cph_net_now(d->net) + CPH_SEC(TOO_LONG_S));
        err = cph_net_run(d->net);
    }
    cph_net_wake_at(d->limit, CPH_TIME_NEVER);
    cph_net_wake_at(d->hangup, CPH_TIME_NEVER);
    cph_net_wake_at(d->panel, CPH_TIME_NEVER);
    for (unsigned i = 0; i < SIDES; i++) {
        cli_driver_free(d->side[i].driver);
        d->side[i].driver = NULL;
    }
    return err == CPH_OK && d->too_long ? CPH_E_TIMEOUT : err;
}

static bool was_heard(struct demo *d)
{
    struct cph_media_likeness l;
    cph_err err = cph_media_compare(&d->said, &d->heard, &l);

    cph_media_pcm_free(&d->heard);
    if (err != CPH_OK || l.similarity < LIKE_ENOUGH) {
        cli_error("what bob heard is not what alice said");
        return false;
    }
    if (!d->report.json)
        (void)fprintf(d->report.out, "What bob heard is %.0f %% like what alice said%s.\n",
                      100 * l.similarity,
                      d->no_device ? " (no sound device here; --record FILE keeps it)" : "");
    return true;
}

static bool scene(struct demo *d, const char *title, enum cph_sip_proto proto, const char *keying,
                  bool pinned, enum cph_level expected)
{
    char why[CPH_PHONE_WHY] = "";
    cph_err err;

    if (!d->report.json)
        (void)fprintf(d->report.out, "\n%s\n\n", title);
    d->pinned = pinned;
    d->keep = pinned;
    err = call(d, proto, keying, why);
    if (err != CPH_OK) {
        cli_error("the call of the demo failed: %s", why[0] ? why : cph_err_text(err));
        return false;
    }
    d->report.who = NULL;
    cli_report_verdict(&d->report, &d->verdict);
    if (d->verdict.level != expected)
        cli_error("the verdict is %s, and should be %s", cph_level_name(d->verdict.level),
                  cph_level_name(expected));
    return was_heard(d) && d->verdict.level == expected;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Beside the program: ../share/demo in the build, ../share/ciphony/demo where it is installed. */
static bool find_speech(struct demo *d)
{
    static const char *const beside[] = { "../share/demo/speech.wav",
                                          "../share/ciphony/demo/speech.wav" };
    char self[3072];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (d->o->speech) {
        (void)snprintf(d->speech_path, sizeof d->speech_path, "%s", d->o->speech);
        return true;
    }
    if (n <= 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (!slash)
        return false;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        (void)snprintf(d->speech_path, sizeof d->speech_path, "%s%s", self, beside[i]);
        if (access(d->speech_path, R_OK) == 0)
            return true;
    }
    return false;
}

static cph_err prepare(struct demo *d, char why[CPH_MEDIA_WHY])
{
    if (!find_speech(d)) {
        (void)snprintf(why, CPH_MEDIA_WHY,
                       "speech.wav is not beside the program; name one with --play");
        return CPH_E_NOTFOUND;
    }
    CPH_TRY(cph_media_wav_load(d->speech_path, why, &d->said));
    CPH_TRY(cph_net_new(d->env, &d->net));
    CPH_TRY(cph_net_wake_new(d->net, show, d, &d->panel));
    CPH_TRY(cph_net_wake_new(d->net, hang_up, d, &d->hangup));
    CPH_TRY(cph_net_wake_new(d->net, give_up, d, &d->limit));
    for (unsigned i = 0; i < SIDES; i++) {
        d->side[i].demo = d;
        d->side[i].index = i;
        CPH_TRY(make_device(d, &d->side[i]));
    }
    return CPH_OK;
}

static void close_demo(struct demo *d)
{
    for (unsigned i = 0; i < SIDES; i++) {
        cph_cert_free(d->side[i].cert);
        cph_key_free(d->side[i].key);
    }
    cph_net_wake_free(d->panel);
    cph_net_wake_free(d->hangup);
    cph_net_wake_free(d->limit);
    cph_net_free(d->net);
    cph_media_pcm_free(&d->said);
    cph_media_pcm_free(&d->heard);
    free(d);
}

enum cli_exit cli_demo_run(struct cli *cli, const struct cli_demo_options *o)
{
    struct demo *d = calloc(1, sizeof *d);
    char why[CPH_MEDIA_WHY] = "";
    bool ok = false;
    cph_err err;

    if (!d) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    d->o = o;
    d->report = o->report;
    d->env = &cli->host.env;
    err = prepare(d, why);
    if (err != CPH_OK)
        cli_error("the demo cannot begin: %s", why[0] ? why : cph_err_text(err));
    if (err == CPH_OK) {
        ok = scene(
            d, "1. alice calls bob: TLS signalling with pinned certificates, keys by DTLS-SRTP.",
            CPH_SIP_TLS, "dtls", true, CPH_LEVEL_VERIFIED);
        ok &= scene(d,
                    "2. The same call as many phones make it: keys in SIP messages that nothing "
                    "encrypts (SDES).",
                    CPH_SIP_UDP, "sdes", false,
                    CPH_LEVEL_OPEN); /* also when the first went wrong */
    }
    if (ok && !d->report.json)
        (void)fprintf(d->report.out, "\nBoth calls were encrypted. Only one of them was secret.\n");
    close_demo(d);
    return ok ? CLI_OK : CLI_FAILED;
}
