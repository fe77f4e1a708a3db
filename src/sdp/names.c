#include "sdp_int.h"

#include "ciphony/base_text.h"

/* clang-format off */
static const struct {
    const char *text;
    bool secure;
} protos[] = {
    [CPH_SDP_PROTO_OTHER]       = { "", false },
    [CPH_SDP_RTP_AVP]           = { "RTP/AVP", false },
    [CPH_SDP_RTP_AVPF]          = { "RTP/AVPF", false },
    [CPH_SDP_RTP_SAVP]          = { "RTP/SAVP", true },
    [CPH_SDP_RTP_SAVPF]         = { "RTP/SAVPF", true },
    [CPH_SDP_UDP_TLS_RTP_SAVP]  = { "UDP/TLS/RTP/SAVP", true },
    [CPH_SDP_UDP_TLS_RTP_SAVPF] = { "UDP/TLS/RTP/SAVPF", true },
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

enum cph_sdp_proto cph_sdp_proto_of(struct cph_span text)
{
    for (unsigned i = 1; i < COUNT(protos); i++)
        if (cph_span_is(text, protos[i].text))
            return (enum cph_sdp_proto)i;
    return CPH_SDP_PROTO_OTHER;
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
