#include "store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ciphony/base_wire.h"

/* An absolute path in an environment variable, or NULL; the XDG rules say that others are ignored.
 */
static const char *absolute(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] == '/' ? value : NULL;
}

cph_err cph_store_default_path(char *out)
{
    const char *data = absolute("XDG_DATA_HOME"), *home = absolute("HOME");
    int n;

    if (!data && !home)
        return CPH_E_CONFIG;
    n = snprintf(out, CPH_STORE_PATH, "%s%s/ciphony/ciphony.db", data ? data : home,
                 data ? "" : "/.local/share");
    return n > 0 && n < CPH_STORE_PATH ? CPH_OK : CPH_E_NOSPACE;
}

/* Make the directories above the file, those that are missing with mode 0700. dir is changed on the
 * way, and whole again at the end. */
static cph_err make_dirs(struct cph_store *s, char *dir)
{
    for (char *p = dir + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
            return store_fail(s, CPH_E_STORE, "the directory %s cannot be made: %s", dir,
                              strerror(errno));
        *p = c;
        if (c == '\0')
            return CPH_OK;
    }
}

static cph_err check_dir(struct cph_store *s, const char *dir)
{
    struct stat st;

    if (stat(dir, &st) < 0)
        return store_fail(s, CPH_E_STORE, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return store_fail(s, CPH_E_STORE, "%s is not a directory; move it away", dir);
    if (st.st_uid != geteuid())
        return store_fail(
            s, CPH_E_STORE,
            "the directory %s belongs to another user; keep the store in one of your own", dir);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return store_fail(s, CPH_E_STORE,
                          "others may write to the directory %s; run: chmod go-w %s", dir, dir);
    return CPH_OK;
}

/* Look at the open file, not at its name: nobody can change it in between. */
static cph_err check_file(struct cph_store *s, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return store_fail(s, CPH_E_STORE, "%s: %s", s->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return store_fail(s, CPH_E_STORE, "%s is not a plain file; move it away", s->path);
    if (st.st_uid != geteuid())
        return store_fail(s, CPH_E_STORE, "%s belongs to another user; use a store of your own",
                          s->path);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) == 0)
        return CPH_OK;
    if (fchmod(fd, 0600) < 0)
        return store_fail(s, CPH_E_STORE, "%s is open to others and cannot be closed to them: %s",
                          s->path, strerror(errno));
    cph_log(s->env, CPH_LOG_WARN, "store",
            "%s was open to other users; closed it. If they may have read it, make a new identity",
            s->path);
    return CPH_OK;
}

cph_err store_file(struct cph_store *s)
{
    char dir[CPH_STORE_PATH];
    char *slash;
    cph_err err;
    int fd;

    memcpy(dir, s->path, sizeof dir);
    slash = strrchr(dir, '/');
    if (!slash)
        memcpy(dir, ".", 2);
    else
        slash[slash == dir] = '\0'; /* "/file" is in "/" */
    if (slash && slash != dir)
        CPH_TRY(make_dirs(s, dir));
    CPH_TRY(check_dir(s, dir));
    fd = open(s->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0 && errno == ELOOP)
        return store_fail(s, CPH_E_STORE, "%s is a link; name the file itself", s->path);
    if (fd < 0)
        return store_fail(s, CPH_E_STORE, "%s cannot be opened for writing: %s", s->path,
                          strerror(errno));
    err = check_file(s, fd);
    (void)close(fd); /* nobody holds a lock yet that this could drop: see cph_store_open() */
    return err;
}
