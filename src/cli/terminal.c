#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"
#include "ciphony/identity_device.h"
#include "ciphony/keying.h"
#include "ciphony/keying_dtls.h"
#include "ciphony/media_io.h"
#include "ciphony/sip_msg.h"
#include "mikey.h"
#include "pgp.h"
#include "smime.h"

#include "ciphony/crypto_cms.h"
#include "zrtp.h"

enum {
    PANEL_MS = 250,
    BYE_S = 4, /* how long a hang-up may take before we go anyway */
    DEVICE_RATE = 48000,
};

struct terminal {
    const struct cli_terminal_options *o;
    struct cli_report report;
    const struct cph_env *env;
    struct cph_net *net;
    struct cph_store *store;
    struct cph_device *device;
    struct cli_zrtp zrtp;
    struct cli_mikey *mikey;
    struct cli_pgp pgp;
    struct cli_smime smime;
    struct cph_phone_smime smime_cfg;
    struct cph_trust *trust;
    struct cph_sip_pin pin[CLI_PINS];
    char pin_name[CLI_PINS][CPH_PEER_MAX];
    struct cph_sip_tls tls;
    struct cph_sip_ua_cfg sip;
    struct cph_phone_config phone_cfg;
    struct cli_driver *driver;
    struct cph_phone *phone;
    struct cph_net_wake *panel, *limit;
    struct cph_net_watch *keys;
    uint32_t call;
    bool answered, leaving, held, muted, ended, in_call;
    enum cli_exit status;
    char why[CPH_PHONE_WHY];
};

/* ---- sound ----------------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void no_sound(const char *why, cph_err err, const char *option)
{
    cli_error("%s; the call goes on without it (use %s FILE, or --device none)",
              why[0] ? why : cph_err_text(err), option);
}

static cph_err sound(void *arg, uint32_t call, struct cph_media_source **source,
                     struct cph_media_sink **sink)
{
    struct terminal *t = arg;
    const struct cli_terminal_options *o = t->o;
    const char *device = o->device ? o->device : "default";
    bool no_device = strcmp(device, "none") == 0;
    char why[CPH_MEDIA_WHY] = "";
    cph_err in, out;

    (void)call;
    if (o->play)
        in = cph_media_wav_play(o->play, o->loop, why, source);
    else
        in = no_device ? CPH_OK : cph_media_alsa_capture(device, DEVICE_RATE, why, source);
    if (in != CPH_OK) {
        no_sound(why, in, "--play");
        *source = NULL;
    }
    why[0] = '\0';
    if (o->record)
        out = cph_media_wav_record(o->record, 16000, why, sink);
    else
        out = no_device ? CPH_OK : cph_media_alsa_play(device, DEVICE_RATE, why, sink);
    if (out != CPH_OK) {
        no_sound(why, out, "--record");
        *sink = NULL;
    }
    return CPH_OK; /* a call without sound is still a call: its keys and verdict are real */
}

/* Before anybody is called: a mistyped name would else be found when the peer has answered. */
static cph_err check_sound(const struct cli_terminal_options *o, char why[CLI_WHY])
{
    struct cph_media_source *source = NULL;
    char said[CPH_MEDIA_WHY] = "", dir[CLI_PATH_MAX];
    bool is_new = o->record && access(o->record, F_OK) < 0;
    char *slash;

    if (o->play && cph_media_wav_play(o->play, o->loop, said, &source) != CPH_OK) {
        (void)snprintf(why, CLI_WHY, "--play: %s; expected a WAV file", said);
        return CPH_E_ARGUMENT;
    }
    cph_media_source_free(source);
    if (!o->record)
        return CPH_OK;
    (void)snprintf(dir, sizeof dir, "%s", o->record);
    slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    if (access(!is_new ? o->record : slash ? dir : ".", W_OK) < 0 || is_directory(o->record)) {
        (void)snprintf(why, CLI_WHY, "--record %.700s: it cannot be written: %s", o->record,
                       is_directory(o->record) ? strerror(EISDIR) : strerror(errno));
        return CPH_E_ARGUMENT;
    }
    return CPH_OK;
}

/* ---- who is known ---------------------------------------------------------------------------- */

static enum cph_phone_pin pin_of(void *arg, struct cph_span peer_uri, struct cph_span sha256)
{
    struct terminal *t = arg;
    struct cph_fingerprint fp = { .hash = CPH_FP_SHA256, .n = (uint8_t)sha256.n };
    struct cph_pin_check check;

    if (sha256.n > sizeof fp.b)
        return CPH_PHONE_PIN_MISMATCH;
    memcpy(fp.b, sha256.p, sha256.n);
    if (cph_pins_check_fp(t->store, peer_uri, &fp, &check) != CPH_OK)
        return CPH_PHONE_PIN_MISMATCH; /* what cannot be read is not "unknown" */
    if (check.result == CPH_PIN_MISMATCH && check.how != CPH_PIN_SEEN)
        return CPH_PHONE_PIN_MISMATCH;
    if (check.result != CPH_PIN_MATCH)
        return CPH_PHONE_PIN_UNKNOWN;
    return check.how == CPH_PIN_PAIRED   ? CPH_PHONE_PIN_PAIRED
           : check.how == CPH_PIN_PINNED ? CPH_PHONE_PIN_PINNED
                                         : CPH_PHONE_PIN_UNKNOWN;
}

static bool same_place(const char *where, const struct cph_sip_uri *pin)
{
    struct cph_sip_addr a;

    return where && cph_sip_addr_parse(cph_span_of(where), &a) == CPH_OK &&
           cph_span_ieq(a.uri.host, pin->host) &&
           !(cph_span_eq(a.uri.user, pin->user) && a.uri.port == pin->port);
}

/* Is it somebody at a host we go to for another one? Who is pinned there is not the host. */
static bool only_a_neighbour(const struct terminal *t, const struct cph_sip_uri *pin)
{
    const struct cph_phone_account *a = t->o->account;

    return pin->user.n > 0 && (same_place(t->o->uri, pin) || same_place(a->registrar, pin) ||
                               same_place(a->route, pin));
}

/* Pins also open TLS connections to the host in the peer's address. */
static cph_err add_tls_pin(void *arg, const struct cph_pin *pin)
{
    struct terminal *t = arg;
    struct cph_sip_uri uri;
    size_t i = t->tls.n_pins;

    if (i == CLI_PINS || pin->how == CPH_PIN_SEEN ||
        cph_sip_uri_parse(cph_span_of(pin->peer), &uri) != CPH_OK || only_a_neighbour(t, &uri))
        return CPH_OK;
    CPH_TRY(cph_span_cstr(uri.host, t->pin_name[i], sizeof t->pin_name[i]));
    t->pin[i].fp = pin->fp;
    t->pin[i].name = t->pin_name[i];
    t->tls.n_pins++;
    return CPH_OK;
}

static cph_err open_identity(struct terminal *t, char why[CLI_WHY])
{
    char store_why[CPH_STORE_WHY] = "";
    cph_err err = cph_store_open(t->o->store, t->env, &t->store, store_why);

    if (err != CPH_OK) {
        (void)snprintf(why, CLI_WHY, "%.500s", store_why[0] ? store_why : cph_err_text(err));
        return err;
    }
    err = cph_device_open(t->store, t->env, &t->device, NULL);
    if (err == CPH_OK)
        err = cph_pins_each(t->store, (struct cph_span){ 0 }, add_tls_pin, t);
    if (err != CPH_OK)
        (void)snprintf(why, CLI_WHY, "%.500s", cph_store_why(t->store));
    return err;
}

/* ---- what mechanisms need besides ------------------------------------------------------------ */

static bool names(const struct cph_policy *p, const char *keying)
{
    for (unsigned i = 0; i < p->keying_n && i < CPH_POLICY_KEYING_MAX; i++)
        if (strcmp(p->keying[i], keying) == 0)
            return true;
    return false;
}

/* The store is touched only where the list of key managements names ZRTP. */
static cph_err open_zrtp(struct terminal *t, char why[CLI_WHY])
{
    return names(&t->o->account->policy, "zrtp") ? cli_zrtp_open(&t->zrtp, t->store, why) : CPH_OK;
}

static struct cph_mikey *mikey_for(void *arg, struct cph_span peer_uri)
{
    return cli_mikey_for(((struct terminal *)arg)->mikey, peer_uri);
}

/* And the peers' secrets and files only where it names MIKEY. */
static cph_err open_mikey(struct terminal *t, char why[CLI_WHY])
{
    char addr[CPH_ADDR_TEXT], here[CPH_ADDR_TEXT + 16]; /* as a phone without account says */
    struct cli_mikey_config cfg = { .env = t->env,
                                    .own_uri = t->o->account->aor,
                                    .key = cph_device_key(t->device),
                                    .cert = cph_device_cert(t->device),
                                    .peer = t->o->peer,
                                    .n_peers = t->o->n_peers };

    if (!names(&t->o->account->policy, "mikey") && !names(&t->o->account->policy, "mikeyv2") &&
        !names(&t->o->account->policy, "mikeyv2-inband"))
        return CPH_OK;
    (void)snprintf(here, sizeof here, "sip:ciphony@%s",
                   t->sip.listener[0].addr.port > 0 ? cph_addr_text(&t->sip.listener[0].addr, addr)
                                                    : cph_addr_ip(&t->sip.listener[0].addr, addr));
    if (!cfg.own_uri)
        cfg.own_uri = here;
    return cli_mikey_new(&cfg, why, &t->mikey);
}

static const struct cph_cert *peer_cert(void *arg, struct cph_span peer_uri)
{
    return cli_smime_for(&((struct terminal *)arg)->smime, peer_uri);
}

static const struct cph_pgp_key *peer_pgp(void *arg, struct cph_span peer_uri)
{
    return cli_pgp_for(&((struct terminal *)arg)->pgp, peer_uri);
}

static cph_err open_pgp(struct terminal *t, char why[CLI_WHY])
{
    CPH_TRY(cli_pgp_load(t->env, t->o->pgp, t->o->n_pgp, why, &t->pgp));
    if (t->pgp.n == 0 || !t->o->uri || cli_pgp_for(&t->pgp, cph_span_of(t->o->uri)))
        return CPH_OK;
    (void)snprintf(why, CLI_WHY, "--pgp: no User ID in these keys names %.255s", t->o->uri);
    return CPH_E_CONFIG;
}

static struct cph_phone_seal peer_seal(void *arg, struct cph_span peer_uri)
{
    return cli_smime_seal(&((struct terminal *)arg)->smime, peer_uri);
}

/* Where the peers' certificates are named, bodies are sealed to them. */
static cph_err open_smime(struct terminal *t, char why[CLI_WHY])
{
    const struct cli_terminal_options *o = t->o;
    bool wanted = o->account->policy.smime;
    struct cli_smime_config cfg = { .env = t->env,
                                    .file = o->smime,
                                    .n_files = o->n_smime,
                                    .own = o->smime_own ? o->smime_own : "",
                                    .device_cert = cph_device_cert(t->device),
                                    .peer = o->peer,
                                    .n_peers = o->n_peers,
                                    .wanted = wanted };

    CPH_TRY(cli_smime_load(&cfg, why, &t->smime));
    t->smime_cfg.key = t->smime.own_key;
    t->smime_cfg.cert = t->smime.own_cert;
    return o->uri ? cli_smime_reaches(&t->smime, wanted, o->uri, why) : CPH_OK;
}

static cph_err open_trust(struct terminal *t, char why[CLI_WHY])
{
    const char *path = t->o->ca ? t->o->ca : "/etc/ssl/certs/ca-certificates.crt";
    cph_err err = cph_trust_new(&t->trust);

    if (err != CPH_OK)
        return err;
    err = cph_trust_add_path(t->env, t->trust, path);
    if (err != CPH_OK && t->o->ca) {
        (void)snprintf(why, CLI_WHY,
                       "--ca %.700s: %s; expected a PEM file with certificates, or a directory of "
                       "such",
                       path,
                       access(path, R_OK) < 0 ? strerror(errno) : "there is no certificate in it");
        return err;
    }
    t->tls.trust = t->trust; /* without the system's authorities only pinned servers are accepted */
    t->tls.pin = t->pin;
    t->tls.accept_any = t->o->insecure_tls;
    t->tls.cert = cph_device_cert(t->device);
    t->tls.key = cph_device_key(t->device);
    return CPH_OK;
}

/* ---- where to listen ------------------------------------------------------------------------- */

static struct cph_addr reachable_from(const char *uri)
{
    struct cph_sip_addr addr;
    struct cph_addr to, local;

    /* an address of RFC 5737: only the route is looked up, nothing is sent */
    if (!uri || cph_sip_addr_parse(cph_span_of(uri), &addr) != CPH_OK ||
        cph_addr_parse_ip(addr.uri.host, &to) != CPH_OK)
        (void)!cph_addr_parse_ip(CPH_SPAN_LIT("192.0.2.1"), &to);
    to.port = 9;
    if (cph_net_local_for(&to, &local) != CPH_OK)
        (void)!cph_addr_parse_ip(CPH_SPAN_LIT("127.0.0.1"), &local);
    local.port = 0;
    return local;
}

static cph_err choose_listeners(struct terminal *t, char why[CLI_WHY])
{
    static const enum cph_sip_proto all[] = { CPH_SIP_UDP, CPH_SIP_TCP, CPH_SIP_TLS };
    const struct cli_terminal_options *o = t->o;
    struct cph_addr here;

    t->sip.n_listeners = (unsigned)o->n_listen;
    for (size_t i = 0; i < o->n_listen; i++) {
        char text[CPH_ADDR_TEXT];

        if (cph_addr_is_any(&o->listen[i].addr)) {
            (void)snprintf(why, CLI_WHY,
                           "cannot listen on %s: name one address of this machine, not the "
                           "any-address; it goes into the messages that the peer reads",
                           cph_addr_text(&o->listen[i].addr, text));
            return CPH_E_ARGUMENT;
        }
        t->sip.listener[i] = (struct cph_sip_listener){ .proto = o->listen[i].proto,
                                                        .addr = o->listen[i].addr };
    }
    if (o->n_listen > 0)
        return CPH_OK;
    here = reachable_from(o->uri);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        t->sip.listener[i] = (struct cph_sip_listener){ .proto = all[i], .addr = here };
        if (o->mode == CLI_ANSWER)
            t->sip.listener[i].addr.port = all[i] == CPH_SIP_TLS ? 5061 : 5060;
    }
    t->sip.n_listeners = sizeof all / sizeof *all;
    return CPH_OK;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void finish(struct terminal *t, enum cli_exit status)
{
    if (!t->ended)
        t->status = status;
    t->ended = true;
    cph_net_stop(t->net);
}

static void leave(struct terminal *t)
{
    cph_time now = cph_net_now(t->net);

    if (t->leaving) { /* asked twice: go at once */
        finish(t, t->status);
        return;
    }
    t->leaving = true;
    cph_net_wake_at(t->limit, now + CPH_SEC(BYE_S));
    if (t->in_call && cph_phone_hangup(t->phone, t->call, now) == CPH_OK)
        cli_driver_pump(t->driver);
    else if (t->o->mode == CLI_REGISTER && cph_phone_unregister(t->phone, NULL, now) == CPH_OK)
        cli_driver_pump(t->driver);
    else
        finish(t, t->status);
}

static void limit_over(void *arg, cph_time now)
{
    struct terminal *t = arg;

    (void)now;
    if (t->o->mode == CLI_ANSWER && !t->in_call && !t->leaving)
        cli_error("nobody called in the time given with --for");
    if (t->leaving)
        finish(t, t->status);
    else
        leave(t);
}

static enum cli_exit status_of(const struct terminal *t, const struct cph_phone_event *ev,
                               const struct cph_phone_status *st)
{
    if (ev->cause == CPH_E_POLICY || ev->cause == CPH_E_CERT || ev->cause == CPH_E_AUTH)
        return CLI_POLICY;
    if (!t->answered || ev->cause != CPH_OK)
        return CLI_FAILED;
    return st->verdict.policy_kept ? CLI_OK : CLI_POLICY;
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void on_event(void *arg, const struct cph_phone_event *ev, cph_time now)
{
    struct terminal *t = arg;
    struct cph_phone_status st;
    bool about = ev->call != 0 && cph_phone_status(t->phone, ev->call, now, &st) == CPH_OK;

    if (ev->kind == CPH_PHONE_INCOMING && (t->in_call || t->o->mode != CLI_ANSWER)) {
        (void)!cph_phone_reject(t->phone, ev->call, 486, now); /* one call at a time */
        return;
    }
    if (t->in_call && ev->call != 0 && ev->call != t->call)
        return;
    cli_report_event(&t->report, ev, about ? &st : NULL);
    switch (ev->kind) {
    case CPH_PHONE_INCOMING:
        t->call = ev->call;
        t->in_call = true;
        if (cph_phone_accept(t->phone, ev->call, now) != CPH_OK)
            t->in_call = t->in_call && about; /* it is being refused: ENDED follows */
        break;
    case CPH_PHONE_ANSWERED:
        t->answered = true;
        if (t->o->limit)
            cph_net_wake_at(t->limit, now + t->o->limit);
        cph_net_wake_at(t->panel, now + CPH_MS(PANEL_MS));
        break;
    case CPH_PHONE_ENDED:
        if (!about)
            break;
        if (t->answered || st.verdict.streams_n > 0) /* else there was nothing to judge */
            cli_report_verdict(&t->report, &st.verdict);
        finish(t, status_of(t, ev, &st));
        break;
    case CPH_PHONE_REGISTER_FAILED:
        if (t->o->mode == CLI_REGISTER)
            finish(t, CLI_FAILED);
        break;
    case CPH_PHONE_UNREGISTERED:
        if (t->leaving)
            finish(t, CLI_OK);
        break;
    case CPH_PHONE_REGISTERED:
        t->status = CLI_OK;
        break;
    case CPH_PHONE_RINGING:
    case CPH_PHONE_EARLY:
    case CPH_PHONE_SECURED:
    case CPH_PHONE_PLAIN:
    case CPH_PHONE_CHANGED:
    case CPH_PHONE_DIGIT:
    case CPH_PHONE_NOTICE:
    case CPH_PHONE_SOURCE_OVER:
    case CPH_PHONE_SAS:
    case CPH_PHONE_ENROLL:
    case CPH_PHONE_CLEARED:
        break;
    }
}

static void on_panel(void *arg, cph_time now)
{
    struct terminal *t = arg;
    struct cph_phone_status st;

    if (!t->in_call || t->ended || cph_phone_status(t->phone, t->call, now, &st) != CPH_OK)
        return;
    cli_report_panel(&t->report, &st, now);
    cph_net_wake_at(t->panel, now + CPH_MS(PANEL_MS));
}

static cph_err tell_key(struct terminal *t, cph_time now)
{
    cph_err err = cph_phone_rekey_media(t->phone, t->call, now);

    if (err != CPH_E_STATE && err != CPH_E_EXPIRED)
        return err;
    cli_error(err == CPH_E_STATE ? "this call has no EKT: k makes new keys"
                                 : "the time of EKT's key is over: k makes new keys");
    return CPH_OK;
}

static void on_keys(void *arg, struct cph_span bytes, cph_time now)
{
    struct terminal *t = arg;
    cph_err err = CPH_OK;

    for (size_t i = 0; i < bytes.n; i++) {
        char key[2] = { (char)bytes.p[i], '\0' };

        if (key[0] == 'q')
            leave(t);
        else if (!t->in_call)
            continue;
        else if (key[0] == 'm')
            err = cph_phone_mute(t->phone, t->call, t->muted = !t->muted);
        else if (key[0] == 'h' &&
                 (err = cph_phone_hold(t->phone, t->call, !t->held, now)) == CPH_OK)
            t->held = !t->held;
        else if (key[0] == 'k')
            err = cph_phone_rekey(t->phone, t->call, now);
        else if (key[0] == 't')
            err = tell_key(t, now);
        else if (cli_zrtp_key(t->phone, t->call, key[0], now, &err))
            ;
        else if (key[0] && strchr("0123456789*#ABCD", key[0]))
            err = cph_phone_digits(t->phone, t->call, key);
        if (err == CPH_E_STATE)
            cli_error("not now: an earlier change of the call is still under way");
        else if (err != CPH_OK)
            cli_error("%s", cph_err_text(err));
    }
    cli_driver_pump(t->driver);
}

static void on_signal(void *arg, int signo, cph_time now)
{
    (void)signo, (void)now;
    leave(arg);
}

/* ---- begin ----------------------------------------------------------------------------------- */

static cph_err prepare(struct terminal *t, char why[CLI_WHY])
{
    const struct cli_terminal_options *o = t->o;
    struct cli_driver_config cfg = { .env = t->env,
                                     .phone = &t->phone_cfg,
                                     .sip = &t->sip,
                                     .event = on_event,
                                     .sound = sound,
                                     .pin = pin_of,
                                     .arg = t };

    CPH_TRY(check_sound(o, why));
    CPH_TRY(open_identity(t, why));
    CPH_TRY(open_trust(t, why));
    CPH_TRY(open_zrtp(t, why));
    CPH_TRY(choose_listeners(t, why));
    CPH_TRY(open_mikey(t, why));
    CPH_TRY(open_smime(t, why));
    CPH_TRY(open_pgp(t, why));
    if (t->mikey)
        cfg.mikey = mikey_for;
    cfg.peer_cert = peer_cert;
    cfg.peer_seal = peer_seal;
    cfg.peer_pgp = peer_pgp;
    CPH_TRY(cph_net_new(t->env, &t->net));
    t->sip.env = t->env;
    t->sip.tls = &t->tls;
    t->sip.user_agent = "ciphony/0.1";
    t->sip.ping = CPH_SEC(25);
    t->sip.session_expires = 1800; /* RFC 4028 4: a peer that vanished ends the call in the end */
    t->phone_cfg = (struct cph_phone_config){ .env = t->env,
                                              .sip = &t->sip,
                                              .key = cph_device_key(t->device),
                                              .cert = cph_device_cert(t->device),
                                              .account = o->account,
                                              .n_accounts = 1,
                                              .caller = o->caller,
                                              .n_callers = o->n_callers,
                                              .zrtp = t->zrtp.phone.store ? &t->zrtp.phone : NULL,
                                              .smime = t->smime.on ? &t->smime_cfg : NULL,
                                              .rtcp_mux = true,
                                              .ekt = o->ekt,
                                              .resume_s = o->resume ? CPH_DTLS_RESUME_S : 0,
                                              .cryptex = o->cryptex };
    cfg.net = t->net;
    CPH_TRY(cph_net_wake_new(t->net, on_panel, t, &t->panel));
    CPH_TRY(cph_net_wake_new(t->net, limit_over, t, &t->limit));
    CPH_TRY(cph_net_signals(t->net, on_signal, t));
    CPH_TRY(cli_driver_new(&cfg, why, &t->driver));
    t->phone = cli_driver_phone(t->driver);
    if (cph_net_keys(t->net, 0, on_keys, t, &t->keys) != CPH_OK)
        t->keys = NULL; /* standard input is no terminal and no pipe: there are no keys to press */
    return CPH_OK;
}

static void say_where(const struct terminal *t)
{
    char addr[CPH_ADDR_TEXT];

    if (t->report.json)
        return;
    if (t->o->mode == CLI_CALL)
        (void)fprintf(t->report.out, "calling %s\n", t->o->uri);
    for (unsigned i = 0; i < t->sip.n_listeners && t->o->mode != CLI_CALL; i++)
        (void)fprintf(t->report.out, "listening on %s %s\n",
                      cph_sip_proto_name(t->sip.listener[i].proto),
                      cph_addr_text(&t->sip.listener[i].addr, addr));
    (void)fflush(t->report.out);
}

static cph_err begin(struct terminal *t, char why[CLI_WHY])
{
    const struct cli_terminal_options *o = t->o;
    struct cph_phone_dial dial = { .to = o->uri, .policy = o->policy };
    cph_time now = cph_net_now(t->net);
    cph_err err = CPH_OK;

    if (o->mode == CLI_CALL) {
        err = cph_phone_dial(t->phone, &dial, now, &t->call);
        t->in_call = err == CPH_OK;
        if (err != CPH_OK)
            (void)snprintf(why, CLI_WHY, "cannot call %.200s: %s", o->uri,
                           err == CPH_E_MALFORMED
                               ? "that is no address; one looks like sip:alice@example.org"
                               : cph_err_text(err));
    } else if (o->mode == CLI_REGISTER || o->has_registrar) {
        err = cph_phone_register(t->phone, NULL, now);
        if (err != CPH_OK)
            (void)snprintf(why, CLI_WHY,
                           "cannot register: %s; the account needs 'uri' and 'registrar'",
                           cph_err_text(err));
    }
    if (o->limit && o->mode != CLI_CALL)
        cph_net_wake_at(t->limit, now + o->limit);
    if (err == CPH_OK)
        say_where(t);
    cli_driver_pump(t->driver);
    return err;
}

static void close_all(struct terminal *t)
{
    cph_net_watch_close(t->keys);
    cli_driver_free(t->driver);
    cli_mikey_free(t->mikey);
    cli_smime_drop(&t->smime);
    cli_pgp_drop(&t->pgp);
    cph_net_wake_free(t->panel);
    cph_net_wake_free(t->limit);
    cph_net_free(t->net);
    cph_trust_free(t->trust);
    cph_device_free(t->device);
    cph_store_close(t->store);
    free(t);
}

enum cli_exit cli_terminal_run(struct cli *cli, const struct cli_terminal_options *o)
{
    struct terminal *t = calloc(1, sizeof *t);
    char why[CLI_WHY] = "";
    enum cli_exit status;
    cph_err err;

    if (!t) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    t->o = o;
    t->report = o->report;
    t->status = CLI_FAILED;
    t->env = &cli->host.env;
    err = prepare(t, why);
    if (err == CPH_OK) {
        err = begin(t, why);
    }
    if (err == CPH_OK && !t->ended)
        err = cph_net_run(t->net);
    if (err != CPH_OK)
        cli_error("%s", why[0] ? why : cph_err_text(err));
    status = err == CPH_OK                                     ? t->status
             : err == CPH_E_ARGUMENT || err == CPH_E_MALFORMED ? CLI_USAGE
                                                               : CLI_FAILED;
    close_all(t);
    return status;
}
