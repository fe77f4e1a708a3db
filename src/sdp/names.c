#include "sdp_int.h"

#include "ciphony/base_text.h"

/* clang-format off */
static const struct {
    const char *text;
    bool secure, feedback;
} protos[] = {
    [CPH_SDP_PROTO_OTHER]       = { "", false, false },
    [CPH_SDP_RTP_AVP]           = { "RTP/AVP", false, false },
    [CPH_SDP_RTP_AVPF]          = { "RTP/AVPF", false, true },
    [CPH_SDP_RTP_SAVP]          = { "RTP/SAVP", true, false },
    [CPH_SDP_RTP_SAVPF]         = { "RTP/SAVPF", true, true },
    [CPH_SDP_UDP_TLS_RTP_SAVP]  = { "UDP/TLS/RTP/SAVP", true, false },
    [CPH_SDP_UDP_TLS_RTP_SAVPF] = { "UDP/TLS/RTP/SAVPF", true, true },
};

/* RFC 8122 5; md2 and md5 are in its grammar and may not be used */
static const struct {
    const char *name;
    size_t size;
} hashes[] = {
    [CPH_SDP_HASH_OTHER]  = { "", 0 },
    [CPH_SDP_HASH_SHA1]   = { "sha-1", 20 },
    [CPH_SDP_HASH_SHA224] = { "sha-224", 28 },
    [CPH_SDP_HASH_SHA256] = { "sha-256", 32 },
    [CPH_SDP_HASH_SHA384] = { "sha-384", 48 },
    [CPH_SDP_HASH_SHA512] = { "sha-512", 64 },
};

static const char *const setups[] = {
    [CPH_SDP_SETUP_NONE]     = "",
    [CPH_SDP_SETUP_ACTIVE]   = "active",
    [CPH_SDP_SETUP_PASSIVE]  = "passive",
    [CPH_SDP_SETUP_ACTPASS]  = "actpass",
    [CPH_SDP_SETUP_HOLDCONN] = "holdconn",
};

static const char *const dirs[] = {
    [CPH_SDP_INACTIVE] = "inactive",
    [CPH_SDP_SENDONLY] = "sendonly",
    [CPH_SDP_RECVONLY] = "recvonly",
    [CPH_SDP_SENDRECV] = "sendrecv",
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *cph_sdp_proto_text(enum cph_sdp_proto proto)
{
    return protos[proto].text;
}

bool cph_sdp_proto_secure(enum cph_sdp_proto proto)
{
    return protos[proto].secure;
}

bool cph_sdp_proto_feedback(enum cph_sdp_proto proto)
{
    return protos[proto].feedback;
}

enum cph_sdp_proto cph_sdp_proto_of(struct cph_span text)
{
    for (unsigned i = 1; i < COUNT(protos); i++)
        if (cph_span_is(text, protos[i].text))
            return (enum cph_sdp_proto)i;
    return CPH_SDP_PROTO_OTHER;
}

const char *cph_sdp_hash_name(enum cph_sdp_hash hash)
{
    return hashes[hash].name;
}

size_t cph_sdp_hash_size(enum cph_sdp_hash hash)
{
    return hashes[hash].size;
}

/* RFC 8122 5: names of hash functions are compared without case */
enum cph_sdp_hash sdp_hash_of(struct cph_span name)
{
    for (unsigned i = 1; i < COUNT(hashes); i++)
        if (cph_span_iis(name, hashes[i].name))
            return (enum cph_sdp_hash)i;
    return CPH_SDP_HASH_OTHER;
}

const char *cph_sdp_setup_text(enum cph_sdp_setup setup)
{
    return setups[setup];
}

cph_err cph_sdp_setup_parse(struct cph_span arg, enum cph_sdp_setup *out)
{
    arg = cph_span_trim(arg);
    for (unsigned i = 1; i < COUNT(setups); i++)
        if (cph_span_iis(arg, setups[i])) {
            *out = (enum cph_sdp_setup)i;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}

const char *cph_sdp_dir_text(enum cph_sdp_dir dir)
{
    return dirs[dir & CPH_SDP_SENDRECV];
}

enum cph_sdp_dir cph_sdp_dir_mirror(enum cph_sdp_dir dir)
{
    return (enum cph_sdp_dir)((dir & CPH_SDP_SENDONLY ? CPH_SDP_RECVONLY : 0) |
                              (dir & CPH_SDP_RECVONLY ? CPH_SDP_SENDONLY : 0));
}
