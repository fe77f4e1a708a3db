#include "store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The XDG rules say that a path that is not absolute is ignored. */
const char *cph_store_env_path(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] == '/' ? value : NULL;
}

cph_err cph_store_xdg_path(const char *name, const char *below_home, const char *file, char *out)
{
    const char *dir = cph_store_env_path(name), *home = cph_store_env_path("HOME");
    int n;

    if (!dir && !home)
        return CPH_E_CONFIG;
    n = dir ? snprintf(out, CPH_STORE_PATH, "%s/ciphony/%s", dir, file)
            : snprintf(out, CPH_STORE_PATH, "%s/%s/ciphony/%s", home, below_home, file);
    return n > 0 && n < CPH_STORE_PATH ? CPH_OK : CPH_E_NOSPACE;
}

cph_err cph_store_default_path(char *out)
{
    return cph_store_xdg_path("XDG_DATA_HOME", ".local/share", "ciphony.db", out);
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

static cph_err check_file(struct cph_store *s, const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return store_fail(s, CPH_E_STORE, "%s is a link; name the file itself", s->path);
    if (!S_ISREG(st->st_mode))
        return store_fail(s, CPH_E_STORE, "%s is not a plain file; move it away", s->path);
    if (st->st_uid != geteuid())
        return store_fail(s, CPH_E_STORE, "%s belongs to another user; use a store of your own",
                          s->path);
    return CPH_OK;
}

/* Beside the file lie those of its write-ahead log, which the library made with the same mode. */
cph_err store_close_to_others(struct cph_store *s)
{
    static const char *const part[] = { "", "-wal", "-shm" };
    char path[CPH_STORE_PATH + sizeof "-wal"];
    bool was_open = false;

    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        struct stat st;

        (void)snprintf(path, sizeof path, "%s%s", s->path, part[i]);
        if (lstat(path, &st) < 0 || (st.st_mode & (S_IRWXG | S_IRWXO)) == 0)
            continue;
        was_open = true;
        if (chmod(path, 0600) < 0)
            return store_fail(s, CPH_E_STORE,
                              "%s is open to others and cannot be closed to them: %s", path,
                              strerror(errno));
    }
    if (was_open)
        cph_log(s->env, CPH_LOG_WARN, "store",
                "%s was open to other users; closed it. If they may have read it, make a new "
                "identity",
                s->path);
    return CPH_OK;
}

/* The directory is ours alone, so nobody changes the file between looking and opening. It is looked
 * at by name: closing a descriptor of it would drop the locks which this process may hold on it
 * elsewhere. */
static cph_err present(struct cph_store *s)
{
    struct stat st;
    int fd;

    if (lstat(s->path, &st) == 0)
        return check_file(s, &st);
    fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
        return CPH_OK;
    }
    if (errno == EEXIST && lstat(s->path, &st) == 0) /* another process of ours was faster */
        return check_file(s, &st);
    return store_fail(s, CPH_E_STORE, "%s cannot be made: %s", s->path, strerror(errno));
}

cph_err store_file(struct cph_store *s)
{
    char dir[CPH_STORE_PATH];
    char *slash;

    memcpy(dir, s->path, sizeof dir);
    slash = strrchr(dir, '/');
    if (!slash)
        memcpy(dir, ".", 2);
    else
        slash[slash == dir] = '\0'; /* "/file" is in "/" */
    if (slash && slash != dir)
        CPH_TRY(make_dirs(s, dir));
    CPH_TRY(check_dir(s, dir));
    return present(s);
}
