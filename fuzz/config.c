/* Any bytes are a configuration or an error with a line; what is taken is whole. */
#include <stdlib.h>
#include <string.h>

#include "../src/cli/cli_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool ends(const char *text, size_t cap)
{
    return strnlen(text, cap) < cap;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct cli_config c;
    char why[CLI_WHY];
    cph_err err = cli_config_parse((struct cph_span){ data, n }, "f", &c, why);

    if (err != CPH_OK &&
        (err != CPH_E_CONFIG || strncmp(why, "f:", 2) != 0 || !ends(why, sizeof why)))
        abort();
    if (err != CPH_OK)
        return 0;
    if (c.n_accounts > CLI_ACCOUNTS_MAX || c.n_listen > CLI_LISTEN_MAX ||
        (c.n_accounts > 0 && !cli_config_account(&c, NULL)) || !ends(c.play, sizeof c.play))
        abort();
    for (size_t i = 0; i < c.n_accounts; i++) {
        const struct cli_account *a = &c.account[i];

        if (!a->name[0] || !a->uri[0] || !ends(a->uri, sizeof a->uri) ||
            a->password.n > CPH_SECRET_MAX ||
            !ends(a->password_command, sizeof a->password_command) ||
            a->policy.keying_n > CPH_POLICY_KEYING_MAX)
            abort();
    }
    cli_config_wipe(&c);
    return 0;
}
