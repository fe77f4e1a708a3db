/* The configuration file from the inside: config.c reads lines, config_keys.c has what stands in
 * them: sections, their keys, and what a section cannot do without. */
#ifndef CPH_CLI_CONFIG_INT_H
#define CPH_CLI_CONFIG_INT_H

#include "cli_int.h"

enum config_section { NOWHERE, DEFAULTS, ACCOUNT, CALLER, PEER };

/* Every key sets one bit, so that a second time is noticed. */
struct config_parse {
    struct cli_config *c;
    const char *file;
    char *why;
    unsigned line;
    enum config_section section;
    uint32_t seen;
};

/* One key of a section. set gets the object of the section. */
struct config_key {
    const char *name;
    cph_err (*set)(struct config_parse *p, void *object, struct cph_span value);
    const char *allowed; /* what a value looks like */
};

struct config_rows {
    const char *what, *in; /* for words */
    const struct config_key *keys;
    size_t max;
};
extern const struct config_rows config_sections[];

/** CPH_E_CONFIG, with "FILE:LINE: ..." in p->why. */
CPH_MUST_CHECK cph_err config_wrong(struct config_parse *p, const char *fmt, ...) CPH_PRINTF(2, 3);
/** How many of a section's objects there are. */
size_t *config_count(struct cli_config *c, enum config_section section);
/** One of them; a peer begins with what an account has. */
struct cli_account *config_nth(struct cli_config *c, enum config_section section, size_t i);
/** The section ends: has its object what it needs? */
CPH_MUST_CHECK cph_err config_whole(struct config_parse *p);

#endif
