/* What `ciphony lab` does; it lives beside the rooms, in lab/command.c. */
#ifndef CPH_CLI_LAB_RUN_H
#define CPH_CLI_LAB_RUN_H

#include "cli_int.h"

enum cli_exit cli_lab_run(struct cli *cli);

#endif
