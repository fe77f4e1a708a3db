/* A terminal of the command: what `call`, `answer` and `register` have in common. */
#ifndef CPH_CLI_TERMINAL_H
#define CPH_CLI_TERMINAL_H

#include "cli_int.h"
#include "driver.h"
#include "report.h"

enum cli_terminal_mode { CLI_CALL, CLI_ANSWER, CLI_REGISTER };

enum { CLI_PINS = 256 };

struct cli_terminal_options {
    enum cli_terminal_mode mode;
    const char *uri;                 /* of a call */
    const struct cli_listen *listen; /* none: chosen */
    size_t n_listen;
    const char *store;         /* NULL: the default one */
    const char *play, *record; /* WAV files, NULL: the sound device if there is one */
    bool loop;                 /* play again and again */
    const char *device;        /* ALSA name, NULL "default", "none": no device */
    const char *ca; /* PEM file or directory of authorities for TLS; NULL: the system's */
    bool ekt, cryptex, resume; /* of the phone */
    const char *smime[16];     /* --smime: PEM files with the peers' certificates */
    size_t n_smime;
    const char
        *smime_own; /* PEM file with our key for S/MIME and its certificate; "": the device's */
    const char *pgp[16]; /* --pgp: files with the peers' OpenPGP keys */
    size_t n_pgp;
    bool insecure_tls; /* accept any server; the verdict says so */
    cph_time limit;    /* 0: none */
    const struct cph_phone_account *account;
    const struct cph_phone_caller *caller;
    unsigned n_callers;
    const struct cli_peer *peer; /* of the configuration, for MIKEY and S/MIME */
    size_t n_peers;
    const struct cph_policy *policy; /* what the command line says */
    bool has_registrar;              /* of the account: answer and register use it */
    struct cli_report report;
};

/** Can the WAV file be played, and the other written? Asked before anybody is called: a mistyped
 * name would else be found when the peer has answered. NULL: there is none. CPH_E_ARGUMENT. */
CPH_MUST_CHECK cph_err cli_sound_check(const char *play, bool loop, const char *record,
                                       char why[CLI_WHY]);
/** Run it to its end. Returns the exit status; errors have been told in words on standard error. */
enum cli_exit cli_terminal_run(struct cli *cli, const struct cli_terminal_options *o);

#endif
