/* The SIP servers of a stage: one, or several in a row. */
#include "stage.h"

#include <stdio.h>

static const char *const ip[LAB_SERVERS] = { "10.0.0.100", "10.0.0.101", "10.0.0.102" };

static unsigned count(const struct lab_stage *s)
{
    unsigned n = s->cfg.chain.servers > 1 ? s->cfg.chain.servers : 1;

    return n < LAB_SERVERS ? n : LAB_SERVERS;
}

const char *lab_server_ip(unsigned i)
{
    return ip[i];
}

const char *lab_server_of(const struct lab_stage *s, enum lab_person who)
{
    return ip[who == LAB_ALICE ? 0 : count(s) - 1];
}

static bool hop_tls(const struct lab_stage *s, unsigned hop)
{
    return s->cfg.tls && !(s->cfg.chain.clear & 1U << hop);
}

bool lab_person_tls(const struct lab_stage *s, enum lab_person who)
{
    return hop_tls(s, who == LAB_ALICE ? 0 : count(s));
}

static cph_err start(struct lab_stage *s, unsigned i)
{
    struct lab_proxy_config cfg = s->cfg.proxy;
    char next[64];

    if (i != s->cfg.chain.meddler) {
        cfg.ops = NULL;
        cfg.ctx = NULL;
    }
    cfg.ip = ip[i];
    cfg.next = NULL;
    if (s->cfg.tls) {
        cfg.key = lab_key(LAB_SERVER);
        cfg.cert = lab_cert(LAB_SERVER);
        cfg.both = !hop_tls(s, i) || !hop_tls(s, i + 1);
    }
    if (i + 1 < count(s)) {
        (void)snprintf(next, sizeof next, "sip:%s%s", ip[i + 1],
                       hop_tls(s, i + 1) ? ":5061;transport=tls" : "");
        cfg.next = next;
    }
    return lab_proxy_new(s->net, &cfg, &s->server[i]);
}

cph_err lab_servers_open(struct lab_stage *s)
{
    if (s->cfg.chain.servers > LAB_SERVERS)
        return CPH_E_LIMIT;
    for (unsigned i = 0; i < LAB_SERVERS && i < count(s); i++)
        CPH_TRY(start(s, i));
    s->proxy = s->server[0];
    return CPH_OK;
}

void lab_servers_name(struct lab_stage *s)
{
    char name[16];

    for (unsigned i = 0; i < count(s); i++) {
        (void)snprintf(name, sizeof name, count(s) > 1 ? "server %u" : "proxy", i + 1);
        lab_trace_name(s->trace, ip[i], name);
    }
}

void lab_servers_close(struct lab_stage *s)
{
    for (unsigned i = 0; i < LAB_SERVERS; i++)
        lab_proxy_free(s->server[i]);
}
