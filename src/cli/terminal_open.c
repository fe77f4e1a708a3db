#include "terminal_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ciphony/base_text.h"
#include "ciphony/keying.h"
#include "ciphony/media_io.h"
#include "ciphony/sip_msg.h"

enum { DEVICE_RATE = 48000 };

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

cph_err cli_sound_check(const char *play, bool loop, const char *record, char why[CLI_WHY])
{
    struct cph_media_source *source = NULL;
    char said[CPH_MEDIA_WHY] = "", dir[CLI_PATH_MAX];
    bool is_new = record && access(record, F_OK) < 0;
    char *slash;

    if (play && cph_media_wav_play(play, loop, said, &source) != CPH_OK) {
        (void)snprintf(why, CLI_WHY, "--play: %s; expected a WAV file", said);
        return CPH_E_ARGUMENT;
    }
    cph_media_source_free(source);
    if (!record)
        return CPH_OK;
    (void)snprintf(dir, sizeof dir, "%s", record);
    slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    if (access(!is_new ? record : slash ? dir : ".", W_OK) < 0 || is_directory(record)) {
        (void)snprintf(why, CLI_WHY, "--record %.700s: it cannot be written: %s", record,
                       is_directory(record) ? strerror(EISDIR) : strerror(errno));
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

/* The store is touched only where the list of key managements names ZRTP. */
static cph_err open_zrtp(struct terminal *t, char why[CLI_WHY])
{
    if (!cph_policy_needs(&t->o->account->policy, CPH_KEYING_NEEDS_ZRTP))
        return CPH_OK;
    return cli_zrtp_open(&t->zrtp, t->store, why);
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

    if (!cph_policy_needs(&t->o->account->policy, CPH_KEYING_NEEDS_MIKEY))
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
        return CPH_E_CONFIG;
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

/* ---- all of it ------------------------------------------------------------------------------- */

cph_err cli_terminal_open(struct terminal *t, struct cli_driver_config *cfg, char why[CLI_WHY])
{
    CPH_TRY(cli_sound_check(t->o->play, t->o->loop, t->o->record, why));
    CPH_TRY(open_identity(t, why));
    CPH_TRY(open_trust(t, why));
    CPH_TRY(open_zrtp(t, why));
    CPH_TRY(choose_listeners(t, why));
    CPH_TRY(open_mikey(t, why));
    CPH_TRY(open_smime(t, why));
    CPH_TRY(open_pgp(t, why));
    cfg->sound = sound;
    cfg->pin = pin_of;
    cfg->mikey = t->mikey ? mikey_for : NULL;
    cfg->peer_cert = peer_cert;
    cfg->peer_seal = peer_seal;
    cfg->peer_pgp = peer_pgp;
    return CPH_OK;
}

void cli_terminal_close(struct terminal *t)
{
    cli_mikey_free(t->mikey);
    cli_smime_drop(&t->smime);
    cli_pgp_drop(&t->pgp);
    cph_trust_free(t->trust);
    cph_device_free(t->device);
    cph_store_close(t->store);
}
