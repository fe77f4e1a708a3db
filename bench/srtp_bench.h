/* What the contestants of the SRTP bench share. */
#ifndef CPH_BENCH_SRTP_H
#define CPH_BENCH_SRTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH = 64, STREAMS_MAX = 64, BUFFER = 1536, HEADER = 12, KEY = 16 };

/* 64 packets, one after the other of the streams. */
struct bench {
    bool gcm;
    size_t streams; /* each with a key of its own */
    size_t payload; /* bytes */
    uint8_t key[STREAMS_MAX][KEY], salt[STREAMS_MAX][14];
    uint8_t buf[BATCH][BUFFER] __attribute__((aligned(64)));
    size_t len[BATCH], stream[BATCH]; /* of each packet */
    uint64_t seq;                     /* of the next round; 48 bits */
};

/* One way to do it. open and close per setting; protect and unprotect all 64, in place: these are
 * timed. They return how many packets went wrong. Not every contestant has unprotect. */
struct contestant {
    const char *name;
    int (*open)(const struct bench *b);
    int (*protect)(struct bench *b);
    int (*unprotect)(struct bench *b);
    void (*close)(void);
};

extern const struct contestant raw_burst, raw_jobs, raw_direct, libsrtp_single;
const char *libsrtp_version(void);

#endif
