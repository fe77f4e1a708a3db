/* Private face of cli/: verbs, their options, the configuration file, and words for the user. */
#ifndef CPH_CLI_INT_H
#define CPH_CLI_INT_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/base_mem.h"
#include "ciphony/keying_mikey.h"
#include "ciphony/net.h"
#include "ciphony/session_policy.h"
#include "ciphony/session_verdict.h"
#include "ciphony/sip_ua.h"
#include "ciphony/store.h"

enum cli_exit {
    CLI_OK = 0,     /* done; for a call: made, and the policy kept */
    CLI_FAILED = 1, /* it did not work; for a call: it failed */
    CLI_USAGE = 2,  /* we were called or configured wrongly */
    CLI_POLICY = 3, /* the security policy was not met */
};

enum {
    CLI_WHY = 1024,         /* an explanation with its NUL */
    CLI_CONFIG_MAX = 65536, /* bytes of a configuration file */
    CLI_LINE_MAX = 1024,    /* bytes of one line of it */
    CLI_ACCOUNTS_MAX = 16,  /* as many as the phone takes */
    CLI_CALLERS_MAX = 16,   /* who may call by proving a password */
    CLI_PEERS_MAX = 16,     /* with whom MIKEY has something of its own */
    CLI_NAME_MAX = 64,      /* an account's name with its NUL */
    CLI_URI_MAX = 256,      /* an address with its NUL */
    CLI_PATH_MAX = 1024,    /* a path or command in the file with its NUL */
    CLI_LISTEN_MAX = CPH_SIP_LISTENERS_MAX,
    CLI_ARGS_MAX = 32, /* options given at once; positional arguments too */
    CLI_SECONDS_MAX = 7 * 86400,
};

/* ---- values that options and the configuration share ----------------------------------------- */

struct cli_listen {
    enum cph_sip_proto proto;
    struct cph_addr addr;
};

/** "udp:HOST:PORT"; HOST an IP address ([..] for IPv6) or localhost; without a port 5060, tls 5061;
 * port 0 takes a free one. CPH_E_MALFORMED. */
CPH_MUST_CHECK cph_err cli_listen_parse(struct cph_span text, struct cli_listen *out);
const char *cli_proto_name(enum cph_sip_proto proto); /* "udp" */
CPH_MUST_CHECK cph_err cli_proto_parse(struct cph_span text, enum cph_sip_proto *out);

/** What --keying and the key of that name take; all rows of cph_keying_methods stand in it. */
#define CLI_KEYING_WORDS                                                                           \
    "best, compatible, legacy, or some of dtls, zrtp, mikey, sdes, each once, best first, with "   \
    "commas between (for experiments also sdp-dh, mikeyv2, mikeyv2-inband, which expired "         \
    "without a final text)"

/* ---- configuration file ---------------------------------------------------------------------- */

struct cli_account {
    char name[CLI_NAME_MAX];
    char uri[CLI_URI_MAX];       /* "sip:alice@example.org"; always set */
    char registrar[CLI_URI_MAX]; /* "" if none, as all below */
    char proxy[CLI_URI_MAX];
    char user[CLI_URI_MAX];
    struct cph_secret password;
    char password_file[CLI_PATH_MAX];
    char password_command[CLI_PATH_MAX];
    bool has_proto;
    enum cph_sip_proto proto;
    struct cph_policy policy; /* what differs from the defaults */
    unsigned line;            /* where its section begins */
    const char *what;         /* "account"; "caller": not ours, somebody who may call, with a name
                                 and a password only; "peer": of a cli_peer */
};

/* What MIKEY and S/MIME take for calls with one peer. */
struct cli_peer {
    struct cli_account who; /* name, uri, and as password the secret that both share */
    enum cph_mikey_mode mode;
    bool has_mode; /* it has MIKEY */
    bool smime;    /* calls with it are sealed, by what certificate and authority say */
    char certificate[CLI_PATH_MAX]; /* PEM files: the peer's, */
    char authority[CLI_PATH_MAX];   /* those who may vouch for it, */
    char own[CLI_PATH_MAX];         /* our key and certificate instead of the device's */
};

struct cli_config {
    struct cph_policy policy; /* of [defaults] */
    struct cli_listen listen[CLI_LISTEN_MAX];
    size_t n_listen;
    char play[CLI_PATH_MAX], record[CLI_PATH_MAX];
    char default_account[CLI_NAME_MAX];
    bool ekt, no_cryptex, resume;
    char smime_own[CLI_PATH_MAX]; /* our key and certificate for S/MIME; "": the device's */
    struct cli_account account[CLI_ACCOUNTS_MAX];
    size_t n_accounts;
    struct cli_account caller[CLI_CALLERS_MAX];
    size_t n_callers;
    struct cli_peer peer[CLI_PEERS_MAX];
    size_t n_peers;
};

/**
 * Bytes of a configuration file into *out. file is its name, for the words of an error: "file:12:
 * ...", which also say what is allowed. Touches nothing else. CPH_E_CONFIG; *out is then wiped.
 */
CPH_MUST_CHECK cph_err cli_config_parse(struct cph_span bytes, const char *file,
                                        struct cli_config *out, char why[CLI_WHY]);
void cli_config_wipe(struct cli_config *c);
/** By name, or NULL: the default one. NULL if there is none. */
const struct cli_account *cli_config_account(const struct cli_config *c, const char *name);
/** $XDG_CONFIG_HOME/ciphony/config, else ~/.config/ciphony/config; out takes CPH_STORE_PATH bytes.
 */
CPH_MUST_CHECK cph_err cli_config_path(char *out);
/** Read and parse path; NULL: the default one, which may be absent. Warns when a file with a
 * password can be read by others. */
CPH_MUST_CHECK cph_err cli_config_load(const char *path, struct cli_config *out, char why[CLI_WHY]);
/** The password of an account or caller, or the secret of a peer: as written, or the first line of
 * its file or of its command's output. CPH_E_NOTFOUND if it has none. */
CPH_MUST_CHECK cph_err cli_account_password(const struct cli_account *a, struct cph_secret *out,
                                            char why[CLI_WHY]);

/** A file that the configuration names ("~/.." is of HOME) into buf. Warns when it is private and
 * others may read it. CPH_E_IO, CPH_E_NOTFOUND without HOME, CPH_E_LIMIT for cap bytes or more,
 * with words about it in *what, which stay until the next system call fails. The caller wipes buf.
 */
CPH_MUST_CHECK cph_err cli_file_read(const char *file, bool private, uint8_t *buf, size_t cap,
                                     size_t *n, const char **what);

/* ---- options --------------------------------------------------------------------------------- */

enum cli_opt {
    CLI_OPT_END, /* ends a verb's list */
    CLI_OPT_HELP,
    CLI_OPT_CONFIG,
    CLI_OPT_STORE,
    CLI_OPT_VERBOSE,
    CLI_OPT_JSON,
    CLI_OPT_ACCOUNT,
    CLI_OPT_LISTEN,
    CLI_OPT_PLAY,
    CLI_OPT_RECORD,
    CLI_OPT_KEYING,
    CLI_OPT_POLICY,
    CLI_OPT_FOR,
    CLI_OPT_REPLACE,
    CLI_OPT_PEM,
    CLI_OPT_MAN,
    CLI_OPT_LOOP,
    CLI_OPT_DEVICE,
    CLI_OPT_CA,
    CLI_OPT_INSECURE_TLS,
    CLI_OPT_SEED,
    CLI_OPT_HTML,
    CLI_OPT_EKT,
    CLI_OPT_NO_CRYPTEX,
    CLI_OPT_EFFORT,
    CLI_OPT_PRECONDITION,
    CLI_OPT_RESUME,
    CLI_OPT_SMIME,
    CLI_OPT_COLUMN,
    CLI_OPT_PGP,
    CLI_OPT_COUNT_,
};

struct cli_opt_row {
    const char *name;  /* without the dashes */
    const char *value; /* what it takes, in capitals; NULL: nothing */
    const char *help;  /* one line */
    bool many;         /* may be given more than once */
};
extern const struct cli_opt_row cli_opts[CLI_OPT_COUNT_];

struct cli_verb;
struct cli_args {
    const struct cli_verb *verb;
    const char *pos[CLI_ARGS_MAX];
    size_t n_pos;
    struct {
        enum cli_opt opt;
        const char *value; /* "" for one that takes nothing */
    } given[CLI_ARGS_MAX];
    size_t n_given;
};

/* What a verb runs with. */
struct cli {
    struct cph_net_env host;
    struct cli_args args;
};

/* A verb is a file and a row. */
struct cli_verb {
    const char *name;
    const char *args;         /* "URI [FINGERPRINT]", "" for none */
    const char *line;         /* one line of help */
    const char *more;         /* paragraphs of help */
    const enum cli_opt *opts; /* besides --help, --store and --verbose; ends with CLI_OPT_END */
    size_t min_pos, max_pos;
    enum cli_exit (*run)(struct cli *cli);
};
extern const struct cli_verb *const cli_verbs[]; /* ends with NULL; order of the help */
const struct cli_verb *cli_verb_find(const char *name);

/** The words behind the verb. CPH_E_ARGUMENT with the mistake and the way out in why. */
CPH_MUST_CHECK cph_err cli_args_parse(const struct cli_verb *verb, int argc,
                                      const char *const *argv, struct cli_args *out,
                                      char why[CLI_WHY]);
bool cli_given(const struct cli_args *a, enum cli_opt opt);
/** The value of the i-th --opt, or NULL. */
const char *cli_value(const struct cli_args *a, enum cli_opt opt, size_t i);

/* The options of the verbs that call, checked and typed; what was not given is empty. */
struct cli_call_opts {
    struct cli_listen listen[CLI_LISTEN_MAX];
    size_t n_listen;
    const char *play, *record, *account;
    struct cph_policy policy;
    cph_time for_us; /* 0: no limit */
    bool json;
};
CPH_MUST_CHECK cph_err cli_call_opts(const struct cli_args *a, struct cli_call_opts *out,
                                     char why[CLI_WHY]);

/* ---- help and words -------------------------------------------------------------------------- */

/** All verbs, or one of them, to stdout. */
void cli_help(const struct cli_verb *verb);
/** The manual page, from the same tables. */
void cli_help_man(void);
/** The nearest of the names offered one after the other, if it is near enough to be a slip of the
 * finger. */
struct cli_near {
    const char *to, *best;
    unsigned distance;
};
void cli_near_offer(struct cli_near *n, const char *name);

/** "ciphony: ..." to stderr; control characters are replaced, since it may quote anybody. An error,
 * for something asked for that did not work, is after cli_errors_as_json(true) an object on stdout
 * as well: {"event":"error","why":"..."}. */
void cli_error(const char *fmt, ...) CPH_PRINTF(1, 2);
void cli_notice(const char *fmt, ...) CPH_PRINTF(1, 2);
void cli_errors_as_json(bool on);
/** Text of others for a terminal: control characters replaced, cut at cap. Returns out. */
const char *cli_clean(struct cph_span text, char *out, size_t cap);
struct cph_json;
/** Print the line and free j. */
CPH_MUST_CHECK cph_err cli_json_print(struct cph_json *j);

/** The store of --store or the default one; says itself what went wrong. */
CPH_MUST_CHECK cph_err cli_store_open(struct cli *cli, struct cph_store **out);
/** The whole command, without the process around it. */
enum cli_exit cli_main(int argc, const char *const *argv);

extern const struct cli_verb cli_verb_call, cli_verb_answer, cli_verb_register, cli_verb_demo,
    cli_verb_lab;
extern const struct cli_verb cli_verb_id, cli_verb_trust, cli_verb_config, cli_verb_version,
    cli_verb_help;

#endif
