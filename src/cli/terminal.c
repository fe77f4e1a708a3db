#include "terminal_int.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/keying.h"
#include "ciphony/keying_dtls.h"

enum {
    PANEL_MS = 250,
    BYE_S = 4, /* how long a hang-up may take before we go anyway */
};

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

    if (t->leaving || t->ended) { /* asked twice: go at once */
        t->hurried = true;
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
    if (ev->cause == CPH_E_POLICY || ev->cause == CPH_E_CERT || ev->cause == CPH_E_EXPIRED ||
        ev->cause == CPH_E_AUTH)
        return CLI_POLICY;
    if (!t->answered || ev->cause != CPH_OK || !st)
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
            finish(t, status_of(t, ev, NULL));
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
    struct cli_driver_config cfg = {
        .env = t->env, .phone = &t->phone_cfg, .sip = &t->sip, .event = on_event, .arg = t
    };

    CPH_TRY(cli_terminal_open(t, &cfg, why));
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
    const struct cli_terminal_options *o = t->o;
    char addr[CPH_ADDR_TEXT], where[CPH_ADDR_TEXT + 8];

    if (o->mode == CLI_CALL)
        cli_report_begin(&t->report, "calling", "", o->uri);
    for (unsigned i = 0; i < t->sip.n_listeners && o->mode != CLI_CALL; i++) {
        (void)snprintf(where, sizeof where, "%s %s", cph_sip_proto_name(t->sip.listener[i].proto),
                       cph_addr_text(&t->sip.listener[i].addr, addr));
        cli_report_begin(&t->report, "listening", " on", where);
    }
    if (o->has_registrar && o->mode != CLI_CALL)
        cli_report_begin(&t->report, "registering", " at", o->account->registrar);
}

static const char *dial_words(cph_err err)
{
    return err == CPH_E_MALFORMED     ? "that is no address; one looks like sip:alice@example.org"
           : err == CPH_E_UNSUPPORTED ? "only addresses that begin with sip: or sips: can be called"
           : err == CPH_E_IO          ? "no network leads there from this machine; is it connected?"
                                      : cph_err_text(err);
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
            (void)snprintf(why, CLI_WHY, "cannot call %.200s: %s", o->uri, dial_words(err));
        if (err == CPH_E_MALFORMED || err == CPH_E_UNSUPPORTED)
            err = CPH_E_ARGUMENT;
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

/* The call is over here; the peer shall hear of it, also when the first BYE is lost. */
static void see_off(struct terminal *t)
{
    cph_time now = cph_net_now(t->net), until = now + CPH_SEC(BYE_S);

    for (; !t->hurried && now < until && cli_driver_owes(t->driver); now = cph_net_now(t->net))
        if (cph_net_turn(t->net, until - now) != CPH_OK)
            return;
}

static void close_all(struct terminal *t)
{
    cph_net_watch_close(t->keys);
    cli_driver_free(t->driver);
    cph_net_wake_free(t->panel);
    cph_net_wake_free(t->limit);
    cph_net_free(t->net);
    cli_terminal_close(t);
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
    if (err == CPH_OK)
        see_off(t);
    if (err != CPH_OK)
        cli_error("%s", why[0] ? why : cph_err_text(err));
    status = err == CPH_OK                                  ? t->status
             : err == CPH_E_ARGUMENT || err == CPH_E_CONFIG ? CLI_USAGE
                                                            : CLI_FAILED;
    close_all(t);
    return status;
}
