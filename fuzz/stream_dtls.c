/*
 * A DTLS handshake between two engines, with datagrams of the input in between. First byte: bit 0
 * the side that gets them, bits 1 to 7 how many datagrams the two exchange before. Then u16 length,
 * datagram, ... Nothing of this may crash, nor make a side fail once it is open.
 */
#include <stdlib.h>

#include "ciphony/base_wire.h"
#include "ciphony/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static const struct cph_env env = { .random = cph_crypto_random, .wall = wall };

static struct cph_stream *make(enum cph_stream_role role)
{
    static const struct cph_cert_spec spec = { .not_before = 0, .not_after = 1893456000 };
    static struct cph_key *key; /* made once, kept */
    static struct cph_cert *cert;
    struct cph_stream_config cfg = { .kind = CPH_STREAM_DTLS, .role = role };
    struct cph_stream *s;

    if (!key && (cph_key_generate(&env, CPH_KEY_EC_P256, &key) != CPH_OK ||
                 cph_cert_self_signed(&env, key, &spec, &cert) != CPH_OK))
        abort();
    cfg.key = key;
    cfg.cert = cert;
    cfg.verify = CPH_STREAM_VERIFY_CALLER;
    cfg.need_client_cert = role == CPH_STREAM_SERVER;
    cfg.mtu = 400;
    if (cph_stream_new(&cfg, &env, &s) != CPH_OK || cph_stream_start(s, 0) != CPH_OK)
        abort();
    return s;
}

static unsigned talk(struct cph_stream *s[2], unsigned datagrams)
{
    uint8_t buf[2048];
    size_t n;

    for (bool moved = true; moved && datagrams > 0;) {
        moved = false;
        for (int i = 0; i < 2; i++) {
            while (datagrams > 0 && cph_stream_pull(s[i], buf, sizeof buf, &n) == CPH_OK) {
                (void)!cph_stream_feed(s[1 - i], (struct cph_span){ buf, n }, 0);
                datagrams--;
                moved = true;
            }
        }
    }
    return datagrams;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_stream *s[2] = { make(CPH_STREAM_CLIENT), make(CPH_STREAM_SERVER) };
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    uint8_t how = cph_rd_u8(&rd);
    bool open;

    (void)talk(s, how >> 1);
    open = cph_stream_state(s[how & 1]) == CPH_STREAM_OPEN;
    while (cph_rd_more(&rd)) {
        struct cph_span datagram = cph_rd_span(&rd, cph_rd_u16(&rd));

        (void)!cph_stream_feed(s[how & 1], datagram, 0);
        (void)!cph_stream_tick(s[how & 1], CPH_SEC(2));
    }
    if (open && cph_stream_state(s[how & 1]) != CPH_STREAM_OPEN)
        abort();
    (void)talk(s, 100);
    cph_stream_free(s[0]);
    cph_stream_free(s[1]);
    return 0;
}
