#include "cli_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ciphony/base_text.h"

cph_err cli_config_path(char *out)
{
    return cph_store_xdg_path("XDG_CONFIG_HOME", ".config", "config", out);
}

/* All of a descriptor, up to cap bytes. */
static cph_err read_all(int fd, uint8_t *buf, size_t cap, size_t *n)
{
    *n = 0;
    while (*n < cap) {
        ssize_t got = read(fd, buf + *n, cap - *n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return CPH_E_IO;
        if (got == 0)
            break;
        *n += (size_t)got;
    }
    return CPH_OK;
}

static bool open_to_others(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Whoever may write to it decides whom we call, what keys will do, and what password-command runs.
 */
static bool written_by_anybody(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IWOTH) != 0 && S_ISREG(st.st_mode);
}

static cph_err parse_file(int fd, const char *path, struct cli_config *out, char why[CLI_WHY])
{
    enum { CAP = CLI_CONFIG_MAX + 1 }; /* one more shows that there is more */
    uint8_t *buf = malloc(CAP);
    bool secret = false;
    size_t n = 0;
    cph_err err;

    if (!buf)
        return CPH_E_NOMEM;
    err = read_all(fd, buf, CAP, &n);
    if (err)
        (void)snprintf(why, CLI_WHY, "the configuration %.800s cannot be read: %s", path,
                       strerror(errno));
    else
        err = cli_config_parse((struct cph_span){ buf, n }, path, out, why);
    cph_free_secret(buf, CAP);
    for (size_t i = 0; err == CPH_OK && i < out->n_accounts; i++)
        secret = secret || out->account[i].password.n > 0;
    for (size_t i = 0; err == CPH_OK && i < out->n_callers; i++)
        secret = secret || out->caller[i].password.n > 0;
    for (size_t i = 0; err == CPH_OK && i < out->n_peers; i++)
        secret = secret || out->peer[i].who.password.n > 0;
    if (secret && open_to_others(fd))
        cli_notice("warning: %s holds a password and other users may read it; run: chmod 600 %s",
                   path, path);
    return err;
}

cph_err cli_config_load(const char *path, struct cli_config *out, char why[CLI_WHY])
{
    char place[CPH_STORE_PATH];
    const char *from = path ? path : place;
    cph_err err;
    int fd;

    memset(out, 0, sizeof *out);
    why[0] = '\0';
    if (!path && cli_config_path(place) != CPH_OK)
        return CPH_OK; /* nowhere to look: nothing configured */
    fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !path)
        return CPH_OK;
    if (fd < 0) {
        (void)snprintf(why, CLI_WHY, "the configuration %.800s cannot be read: %s", from,
                       strerror(errno));
        return CPH_E_CONFIG;
    }
    if (written_by_anybody(fd)) {
        (void)snprintf(why, CLI_WHY, "all users may write to %.400s; run: chmod o-w %.400s", from,
                       from);
        err = CPH_E_CONFIG;
    } else {
        err = parse_file(fd, from, out, why);
    }
    if (err && why[0] == '\0')
        (void)snprintf(why, CLI_WHY, "%.800s: %s", from, cph_err_text(err));
    (void)close(fd);
    return err;
}

/* ---- passwords ------------------------------------------------------------------------------- */

/* The first line of what fd gives. */
static cph_err first_line(int fd, struct cph_secret *out)
{
    uint8_t buf[CPH_SECRET_MAX + 2]; /* room for CR LF */
    struct cph_span rest, line = { 0 };
    size_t n;
    cph_err err = read_all(fd, buf, sizeof buf, &n);

    rest = (struct cph_span){ buf, n };
    if (err == CPH_OK)
        err = cph_span_line(&rest, &line) && line.n > 0 ? cph_secret_set(out, line)
                                                        : CPH_E_NOTFOUND;
    cph_wipe(buf, sizeof buf);
    return err;
}

static cph_err open_file(const char *file, bool private, int *fd)
{
    const char *home = cph_store_env_path("HOME");
    char path[CPH_STORE_PATH];

    if (file[0] == '~' && !home)
        return CPH_E_NOTFOUND;
    (void)snprintf(path, sizeof path, "%.3000s%s", file[0] == '~' ? home : "",
                   file[0] == '~' ? file + 1 : file);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return CPH_E_IO;
    if (private && open_to_others(*fd))
        cli_notice("warning: other users may read the secret in %s; run: chmod 600 %s", path, path);
    return CPH_OK;
}

cph_err cli_file_read(const char *file, bool private, uint8_t *buf, size_t cap, size_t *n,
                      const char **what)
{
    int fd = -1;
    cph_err err = open_file(file, private, &fd);

    if (err == CPH_OK)
        err = read_all(fd, buf, cap, n);
    *what = err == CPH_E_NOTFOUND ? "HOME is not set" : err == CPH_E_IO ? strerror(errno) : "";
    if (fd >= 0)
        (void)close(fd);
    if (err == CPH_OK && *n == cap) {
        *what = "it is too large";
        err = CPH_E_LIMIT;
    }
    return err;
}

static cph_err from_file(const struct cli_account *a, struct cph_secret *out, char why[CLI_WHY])
{
    const char *file = a->password_file;
    cph_err err;
    int fd;

    err = open_file(file, true, &fd);
    if (err != CPH_OK) {
        (void)snprintf(why, CLI_WHY, "%s %s: the password cannot be read from %.800s: %s", a->what,
                       a->name, file, err == CPH_E_NOTFOUND ? "HOME is not set" : strerror(errno));
        return CPH_E_CONFIG;
    }
    err = first_line(fd, out);
    (void)close(fd);
    if (err) {
        (void)snprintf(why, CLI_WHY,
                       "%s %s: the first line of %.800s is no password of 1 to %d bytes", a->what,
                       a->name, file, CPH_SECRET_MAX);
        return CPH_E_CONFIG;
    }
    return CPH_OK;
}

static cph_err from_command(const struct cli_account *a, struct cph_secret *out, char why[CLI_WHY])
{
    FILE *f = popen(a->password_command,
                    "re"); /* the user's own words; a shell is what they expect */
    uint8_t rest[256];
    size_t n = 1;
    cph_err err;
    int status;

    if (!f) {
        (void)snprintf(why, CLI_WHY, "%s %s: password-command does not start: %s", a->what, a->name,
                       strerror(errno));
        return CPH_E_CONFIG;
    }
    err = first_line(fileno(f), out);
    while (n > 0 && read_all(fileno(f), rest, sizeof rest, &n) == CPH_OK) /* let it end by itself */
        ;
    cph_wipe(rest, sizeof rest);
    status = pclose(f);
    if (err == CPH_OK && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CPH_OK;
    cph_secret_wipe(out);
    (void)snprintf(why, CLI_WHY, "%s %s: password-command %s", a->what, a->name,
                   status != 0 ? "failed; try it in a shell"
                               : "printed no password of 1 to 512 bytes in its first line");
    return CPH_E_CONFIG;
}

cph_err cli_account_password(const struct cli_account *a, struct cph_secret *out, char why[CLI_WHY])
{
    why[0] = '\0';
    if (a->password.n > 0)
        return cph_secret_set(out, cph_secret_span(&a->password));
    if (a->password_file[0])
        return from_file(a, out, why);
    if (a->password_command[0])
        return from_command(a, out, why);
    return CPH_E_NOTFOUND;
}
