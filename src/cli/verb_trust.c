#include "conflicts.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ciphony/base_text.h"
#include "ciphony/identity_device.h"
#include "ciphony/json.h"

static const char *const how_name[] = {
    [CPH_PIN_SEEN] = "seen", [CPH_PIN_PINNED] = "pinned", [CPH_PIN_PAIRED] = "paired"
};

static enum cli_exit failed(struct cph_store *store, const char *what, cph_err err)
{
    const char *why = cph_store_why(store);

    cli_error("%s: %s", what, why[0] ? why : cph_err_text(err));
    return CLI_FAILED;
}

/* The peer's one spelling, or words about why there is none. */
static bool peer_of(const char *text, char out[CPH_PEER_MAX])
{
    char word[128];

    if (cph_peer_name(cph_span_of(text), out) == CPH_OK)
        return true;
    cli_error("\"%s\" is no address of a peer; write it like sip:bob@example.org",
              cli_clean(cph_span_of(text), word, sizeof word));
    return false;
}

/* "sha-256 AB:.." as one word or as two. */
static bool fingerprint_of(const char *const *word, size_t n, struct cph_fingerprint *out)
{
    char text[2 * CPH_FP_TEXT], clean[64];
    cph_err err = CPH_E_MALFORMED;

    if (n == 1 || n == 2) {
        int len = snprintf(text, sizeof text, "%s%s%s", word[0], n == 2 ? " " : "",
                           n == 2 ? word[1] : "");

        if (len > 0 && (size_t)len < sizeof text)
            err = cph_fingerprint_parse(cph_span_of(text), out);
        if (err == CPH_OK && cph_fp_hash_suffices(out->hash))
            return true;
        if (err == CPH_OK || err == CPH_E_UNSUPPORTED) {
            cli_error("a %s fingerprint vouches for nobody; ask for sha-256, sha-384 or sha-512",
                      cli_clean(cph_span_of(word[0]), clean, sizeof clean));
            return false;
        }
    }
    cli_error("that is no fingerprint; write what \"ciphony id\" prints at the peer, like sha-256 "
              "AB:CD:.. "
              "with 32 pairs of digits");
    return false;
}

/* ---- list ------------------------------------------------------------------------------------ */

struct listing {
    bool json;
    size_t n;
};

static cph_err print_json(const struct cph_pin *p)
{
    char fp[CPH_FP_TEXT];
    struct cph_json *j;

    CPH_TRY(cph_json_new(&j));
    cph_json_text(j, "event", "pin");
    cph_json_text(j, "peer", p->peer);
    cph_json_text(j, "fingerprint", cph_fingerprint_text(&p->fp, fp));
    cph_json_text(j, "how", how_name[p->how]);
    cph_json_text(j, "by", p->by);
    cph_json_int(j, "since", p->since);
    return cli_json_print(j);
}

static cph_err print_pin(void *arg, const struct cph_pin *p)
{
    struct listing *l = arg;
    char fp[CPH_FP_TEXT], peer[CPH_PEER_MAX], date[32] = "?";
    time_t since = (time_t)p->since;
    struct tm tm;

    l->n++;
    if (l->json)
        return print_json(p);
    if (localtime_r(&since, &tm))
        (void)strftime(date, sizeof date, "%Y-%m-%d", &tm);
    (void)printf("%s  %s %s\n  %s\n", cli_clean(cph_span_of(p->peer), peer, sizeof peer),
                 how_name[p->how], date, cph_fingerprint_text(&p->fp, fp));
    return CPH_OK;
}

static enum cli_exit list(struct cli *cli, struct cph_store *store)
{
    struct listing l = { .json = cli_given(&cli->args, CLI_OPT_JSON) };
    struct cph_span who = { 0 };
    char peer[CPH_PEER_MAX];
    cph_err err;

    if (cli->args.n_pos > 2) {
        cli_error("usage: ciphony trust list [URI]");
        return CLI_USAGE;
    }
    if (cli->args.n_pos == 2) {
        if (!peer_of(cli->args.pos[1], peer))
            return CLI_USAGE;
        who = cph_span_of(peer);
    }
    err = cph_pins_each(store, who, print_pin, &l);
    if (err)
        return failed(store, "the peers cannot be listed", err);
    if (l.n == 0 && !l.json)
        cli_notice("no peer is known yet; see: ciphony trust --help");
    return CLI_OK;
}

/* ---- remove ---------------------------------------------------------------------------------- */

static enum cli_exit remove_pins(struct cli *cli, struct cph_store *store)
{
    struct cph_fingerprint fp;
    char peer[CPH_PEER_MAX];
    size_t n;
    cph_err err;

    if (cli->args.n_pos < 2) {
        cli_error("whom? usage: ciphony trust remove URI [FINGERPRINT]");
        return CLI_USAGE;
    }
    if (!peer_of(cli->args.pos[1], peer))
        return CLI_USAGE;
    if (cli->args.n_pos > 2 && !fingerprint_of(cli->args.pos + 2, cli->args.n_pos - 2, &fp))
        return CLI_USAGE;
    err = cph_pins_remove(store, cph_span_of(peer), cli->args.n_pos > 2 ? &fp : NULL, &n);
    if (err == CPH_E_NOTFOUND) {
        cli_error("nothing like that is kept about %s; see: ciphony trust list", peer);
        return CLI_FAILED;
    }
    if (err)
        return failed(store, "the peer cannot be removed", err);
    (void)printf("%s: %zu certificate%s forgotten\n", peer, n, n == 1 ? "" : "s");
    return CLI_OK;
}

/* ---- add ------------------------------------------------------------------------------------- */

static cph_err count_others(void *arg, const struct cph_pin *p)
{
    (void)p;
    ++*(size_t *)arg;
    return CPH_OK;
}

/* Forgetting the others and adding this one is one change. */
static cph_err add_pin(struct cli *cli, struct cph_store *store, const char *peer,
                       const struct cph_fingerprint *fp)
{
    bool replace = cli_given(&cli->args, CLI_OPT_REPLACE);
    cph_err err;

    CPH_TRY(cph_store_begin(store));
    err = replace ? cph_pins_remove(store, cph_span_of(peer), NULL, NULL) : CPH_OK;
    if (err == CPH_OK || err == CPH_E_NOTFOUND)
        err = cph_pins_add(store, &cli->host.env, cph_span_of(peer), fp, CPH_PIN_PINNED,
                           "ciphony trust");
    if (err == CPH_OK)
        err = cph_store_commit(store);
    if (err != CPH_OK)
        cph_store_rollback(store);
    return err;
}

static enum cli_exit add(struct cli *cli, struct cph_store *store)
{
    struct cph_fingerprint fp;
    char peer[CPH_PEER_MAX];
    size_t n = 0;
    cph_err err;

    if (!peer_of(cli->args.pos[0], peer) ||
        !fingerprint_of(cli->args.pos + 1, cli->args.n_pos - 1, &fp))
        return CLI_USAGE;
    err = add_pin(cli, store, peer, &fp);
    if (err == CPH_OK)
        err = cph_pins_each(store, cph_span_of(peer), count_others, &n);
    if (err)
        return failed(store, "the peer cannot be kept", err);
    (void)printf("%s is known by this certificate from now on\n", peer);
    if (n > 1)
        cli_notice("%s now has %zu certificates, any of which is taken for it; --replace keeps "
                   "only the new one",
                   peer, n);
    return CLI_OK;
}

static enum cli_exit run_trust(struct cli *cli)
{
    struct cph_store *store;
    enum cli_exit status;
    const char *mistake = cli_conflict(&(struct cli_choice){ .args = &cli->args });

    if (mistake) {
        cli_error("%s", mistake);
        return CLI_USAGE;
    }
    if (cli_store_open(cli, &store) != CPH_OK)
        return CLI_FAILED;
    if (strcmp(cli->args.pos[0], "list") == 0)
        status = list(cli, store);
    else if (strcmp(cli->args.pos[0], "remove") == 0)
        status = remove_pins(cli, store);
    else
        status = add(cli, store);
    cph_store_close(store);
    return status;
}

static const enum cli_opt trust_opts[] = { CLI_OPT_REPLACE, CLI_OPT_JSON, CLI_OPT_END };

const struct cli_verb cli_verb_trust = {
    .name = "trust",
    .args = "URI FINGERPRINT | list [URI] | remove URI [FINGERPRINT]",
    .line = "know a peer by its certificate; list or forget peers",
    .more = "Know the peer at URI by the certificate with this fingerprint, as printed by "
            "\"ciphony id\" there:\n"
            "  ciphony trust sip:bob@example.org sha-256 AB:CD:...\n"
            "A call with that peer is then verified, and ends if another certificate is shown. "
            "Compare the\n"
            "fingerprint by a way that you trust.\n\n"
            "\"trust list\" shows what is kept, \"trust remove\" forgets one certificate of a peer "
            "or all.",
    .opts = trust_opts,
    .min_pos = 1,
    .max_pos = 4,
    .run = run_trust,
};
