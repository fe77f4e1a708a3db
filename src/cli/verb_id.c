#include "conflicts.h"

#include <stdio.h>

#include "ciphony/identity_device.h"
#include "ciphony/json.h"

static enum cli_exit print_json(const struct cph_device *d, const char *store, bool made)
{
    char fp[CPH_FP_TEXT];
    struct cph_json *j;
    cph_err err = cph_json_new(&j);

    if (err == CPH_OK) {
        cph_json_text(j, "event", "id");
        cph_json_text(j, "fingerprint", cph_fingerprint_text(cph_device_fingerprint(d), fp));
        cph_json_text(j, "key", cph_key_kind_name(cph_key_kind(cph_device_key(d))));
        cph_json_text(j, "store", store);
        cph_json_bool(j, "made", made);
        err = cli_json_print(j);
    }
    if (err)
        cli_error("the identity cannot be printed: %s", cph_err_text(err));
    return err ? CLI_FAILED : CLI_OK;
}

static enum cli_exit print(struct cli *cli, const struct cph_device *d, const char *store,
                           bool made)
{
    char fp[CPH_FP_TEXT], pem[2 * CPH_CERT_DER_MAX];
    size_t n;

    if (cli_given(&cli->args, CLI_OPT_JSON))
        return print_json(d, store, made);
    if (made)
        cli_notice("a new identity was made; it is kept in %s", store);
    if (!cli_given(&cli->args, CLI_OPT_PEM)) {
        (void)printf("%s\n", cph_fingerprint_text(cph_device_fingerprint(d), fp));
        return CLI_OK;
    }
    if (cph_cert_pem(cph_device_cert(d), pem, sizeof pem, &n) != CPH_OK) {
        cli_error("the certificate cannot be printed");
        return CLI_FAILED;
    }
    (void)printf("%s", pem);
    return CLI_OK;
}

static enum cli_exit run_id(struct cli *cli)
{
    struct cph_store *store = NULL;
    struct cph_device *d = NULL;
    enum cli_exit status = CLI_FAILED;
    const char *mistake;
    bool made;
    cph_err err;

    mistake = cli_conflict(&(struct cli_choice){ .args = &cli->args });
    if (mistake) {
        cli_error("%s", mistake);
        return CLI_USAGE;
    }
    if (cli_store_open(cli, &store) != CPH_OK)
        return CLI_FAILED;
    err = cph_device_open(store, &cli->host.env, &d, &made);
    if (err) {
        const char *why = cph_store_why(store);

        cli_error("this device's identity in %s cannot be used: %s", cph_store_path(store),
                  why[0] ? why : cph_err_text(err));
    } else {
        status = print(cli, d, cph_store_path(store), made);
    }
    cph_device_free(d);
    cph_store_close(store);
    return status;
}

static const enum cli_opt id_opts[] = { CLI_OPT_JSON, CLI_OPT_PEM, CLI_OPT_END };

const struct cli_verb cli_verb_id = {
    .name = "id",
    .args = "",
    .line = "show this device's fingerprint",
    .more =
        "Print the fingerprint of this device's certificate. The identity is made on first use\n"
        "and stays the same. Give the fingerprint to your peers by a way that you trust; with it\n"
        "they run ciphony trust.",
    .opts = id_opts,
    .run = run_id,
};
