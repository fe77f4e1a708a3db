/* SQLite's memory holds pages, and on them are the device's key and secrets of ZRTP. */
#include <pthread.h>
#include <string.h>

#include "ciphony/base_mem.h"
#include "store_int.h"

static sqlite3_mem_methods plain; /* SQLite's own, set once */

static void wipe_and_free(void *p)
{
    if (p)
        cph_wipe(p, (size_t)plain.xSize(p));
    plain.xFree(p);
}

/* The old place is wiped, wherever the new one is. */
static void *move(void *p, int n)
{
    int had = plain.xSize(p);
    void *q;

    if (n <= had)
        return p;
    q = plain.xMalloc(n);
    if (q) {
        memcpy(q, p, (size_t)had);
        wipe_and_free(p);
    }
    return q;
}

/* It fails where somebody else in the process used SQLite before: then it is as it was. */
static void set(void)
{
    sqlite3_mem_methods wiping;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK || !plain.xMalloc)
        return;
    wiping = plain;
    wiping.xFree = wipe_and_free;
    wiping.xRealloc = move;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &wiping);
    /* no places of its own, which it would keep: neither for pages nor for what is small */
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}

void store_wipe_always(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, set);
}
