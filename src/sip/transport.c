#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small facts ---- */

const char *cph_sip_proto_name(enum cph_sip_proto proto)
{
    switch (proto) {
    case CPH_SIP_UDP:
        return "UDP";
    case CPH_SIP_TCP:
        return "TCP";
    case CPH_SIP_TLS:
        return "TLS";
    }
    return "?";
}

enum cph_sip_proto sip_proto_of(struct cph_span name, bool *known)
{
    *known = true;
    if (cph_span_iis(name, "udp"))
        return CPH_SIP_UDP;
    if (cph_span_iis(name, "tcp"))
        return CPH_SIP_TCP;
    if (cph_span_iis(name, "tls"))
        return CPH_SIP_TLS;
    *known = false;
    return CPH_SIP_UDP;
}

uint16_t sip_default_port(enum cph_sip_proto proto)
{
    return proto == CPH_SIP_TLS ? 5061 : 5060;
}

static const struct cph_sip_listener *listener_for(const struct cph_sip_ua *ua,
                                                   enum cph_sip_proto proto, enum cph_family family,
                                                   unsigned *at)
{
    const struct cph_sip_listener *best = NULL;
    int rank = -1;

    for (unsigned i = 0; i < ua->cfg.n_listeners; i++) {
        const struct cph_sip_listener *l = &ua->cfg.listener[i];
        int r = (l->proto == proto ? 2 : 0) + (l->addr.family == family ? 1 : 0);

        if (r > rank) {
            rank = r;
            best = l;
            *at = i;
        }
    }
    return best;
}

bool sip_can(const struct cph_sip_ua *ua, enum cph_sip_proto proto)
{
    if (proto == CPH_SIP_TLS)
        return ua->cfg.tls != NULL;
    if (proto == CPH_SIP_TCP)
        return true;
    for (unsigned i = 0; i < ua->cfg.n_listeners; i++) {
        if (ua->cfg.listener[i].proto == CPH_SIP_UDP)
            return true;
    }
    return false;
}

bool sip_can_family(const struct cph_sip_ua *ua, enum cph_sip_proto proto, enum cph_family family)
{
    for (unsigned i = 0; i < ua->cfg.n_listeners; i++) {
        const struct cph_sip_listener *l = &ua->cfg.listener[i];

        if (l->addr.family == family && (proto != CPH_SIP_UDP || l->proto == CPH_SIP_UDP))
            return true;
    }
    return false;
}

const char *sip_sent_by(const struct cph_sip_ua *ua, enum cph_sip_proto proto,
                        enum cph_family family, char out[CPH_SIP_NAME_MAX + 16])
{
    unsigned at = 0;
    const struct cph_sip_listener *l = listener_for(ua, proto, family, &at);
    char ip[CPH_ADDR_TEXT];

    if (ua->host[at])
        snprintf(out, CPH_SIP_NAME_MAX + 16, "%s:%u", ua->host[at], l->addr.port);
    else
        snprintf(out, CPH_SIP_NAME_MAX + 16, "%s", cph_addr_text(&l->addr, ip));
    return out;
}

void sip_wr_contact(struct cph_sip_ua *ua, struct cph_wr *wr, struct cph_span user,
                    enum cph_sip_proto proto, enum cph_family family, bool sips)
{
    char host[CPH_SIP_NAME_MAX + 16];
    unsigned at = 0;
    const struct cph_sip_listener *l = listener_for(ua, proto, family, &at);

    /* A large request leaves by TCP also where nobody listens for TCP: the peer's requests must
     * come to where we do. But no message that went under TLS invites the next one to come without.
     */
    if (proto == CPH_SIP_TCP && l)
        proto = l->proto;
    cph_wr_fmt(wr, "<%s:", sips ? "sips" : "sip");
    if (user.n) {
        cph_wr_span(wr, user);
        cph_wr_u8(wr, '@');
    }
    cph_wr_text(wr, sip_sent_by(ua, proto, family, host));
    if (proto == CPH_SIP_TCP)
        cph_wr_text(wr, ";transport=tcp");
    if (proto == CPH_SIP_TLS &&
        !sips) /* RFC 5630 3.1.4 EXCEPTION: deprecated, but what all peers read */
        cph_wr_text(wr, ";transport=tls");
    cph_wr_text(wr, ">");
}

void sip_hop_of(const struct cph_sip_ua *ua, const struct sip_path *path, bool incoming,
                struct cph_sip_hop *hop)
{
    const struct sip_flow *f = path->flow ? sip_flow_get(ua, path->flow) : NULL;

    memset(hop, 0, sizeof *hop);
    hop->proto = path->proto;
    hop->peer = path->peer;
    hop->incoming = incoming;
    if (f && f->proto == CPH_SIP_TLS) {
        hop->check = f->check;
        hop->unchecked = !f->incoming && f->check == CPH_SIP_PEER_NONE;
        memcpy(hop->name, f->name, sizeof hop->name);
        memcpy(hop->cert_sha256, f->cert_sha256, sizeof hop->cert_sha256);
        hop->tls13 = f->tls && strcmp(cph_stream_version(f->tls), "TLSv1.3") == 0;
    }
}

/* ---- actions ---- */

struct sip_action *sip_action_new(struct cph_sip_ua *ua, enum cph_sip_do what,
                                  struct cph_span bytes)
{
    struct sip_action *a;

    if (ua->queued + bytes.n > SIP_QUEUE_MAX)
        return NULL;
    a = calloc(1, sizeof *a + bytes.n);
    if (!a)
        return NULL;
    a->a.what = what;
    a->n = bytes.n;
    if (bytes.n)
        memcpy(a->bytes, bytes.p, bytes.n);
    return a;
}

void sip_action_put(struct cph_sip_ua *ua, struct sip_action *a)
{
    ua->queued += a->n;
    sip_list_add(&ua->actions, &a->link);
}

static void action_free(struct sip_action *a)
{
    if (a)
        cph_free_secret(a, sizeof *a + a->n);
}

void sip_scratch_wipe(struct cph_sip_ua *ua)
{
    cph_wipe(ua->scratch, ua->scratch_used);
    cph_wipe(ua->scratch2, ua->scratch2_used);
    ua->scratch_used = ua->scratch2_used = 0;
}

void sip_actions_free(struct cph_sip_ua *ua)
{
    while (ua->actions.next != &ua->actions) {
        struct sip_action *a = SIP_OF(struct sip_action, link, ua->actions.next);

        sip_list_del(&a->link);
        action_free(a);
    }
    action_free(ua->pulled);
    ua->pulled = NULL;
}

cph_err cph_sip_ua_pull(struct cph_sip_ua *ua, struct cph_sip_action *out)
{
    struct sip_action *a;

    action_free(ua->pulled);
    ua->pulled = NULL;
    sip_scratch_wipe(ua); /* nothing is being written now */
    if (ua->actions.next == &ua->actions)
        return CPH_E_AGAIN;
    a = SIP_OF(struct sip_action, link, ua->actions.next);
    sip_list_del(&a->link);
    ua->queued -= a->n;
    ua->pulled = a;
    *out = a->a;
    out->bytes = (struct cph_span){ a->bytes, a->n };
    out->name = a->name;
    return CPH_OK;
}

/* ---- out ---- */

bool sip_path_alive(const struct cph_sip_ua *ua, const struct sip_path *path)
{
    return path->flow == 0 ? path->proto == CPH_SIP_UDP : sip_flow_get(ua, path->flow) != NULL;
}

cph_err sip_path_open(struct cph_sip_ua *ua, const struct sip_target *t, struct sip_path *out)
{
    struct sip_flow *f = NULL;
    unsigned at = 0;

    memset(out, 0, sizeof *out);
    if (t->flow && (f = sip_flow_get(ua, t->flow))) {
        *out = (struct sip_path){ f->proto, f->listener, f->id, f->peer };
        return CPH_OK;
    }
    if (!sip_can(ua, t->proto))
        return CPH_E_UNSUPPORTED;
    if (!listener_for(ua, t->proto, t->addr.family, &at))
        return CPH_E_CONFIG;
    *out = (struct sip_path){ t->proto, at, 0, t->addr };
    if (t->proto == CPH_SIP_UDP)
        return ua->cfg.listener[at].addr.family == t->addr.family ? CPH_OK : CPH_E_IO;
    f = sip_flow_find(ua, t);
    if (!f)
        CPH_TRY(sip_flow_open(ua, t, &f));
    out->flow = f->id;
    out->listener = f->listener;
    return CPH_OK;
}

static cph_err put_on_wire(struct cph_sip_ua *ua, const struct sip_path *path,
                           struct cph_span bytes)
{
    struct sip_action *a;
    struct sip_flow *f;

    ua->count.sent++;
    if (path->flow) {
        f = sip_flow_get(ua, path->flow);
        return f ? sip_flow_write(f, bytes) : CPH_E_CLOSED;
    }
    a = sip_action_new(ua, CPH_SIP_DO_SEND, bytes);
    if (!a) { /* a datagram may be lost; the timers send it again */
        ua->count.dropped_nomem++;
        return CPH_OK;
    }
    a->a.listener = path->listener;
    a->a.addr = path->peer;
    sip_action_put(ua, a);
    return CPH_OK;
}

/* The message with the hook's lines put before the empty line. */
static cph_err with_headers(struct cph_sip_ua *ua, const struct cph_sip_msg *msg,
                            struct cph_span lines, struct cph_span *out)
{
    struct cph_wr wr = cph_wr_open(ua->scratch2, ua->scratch_n);
    struct cph_span body = cph_span_from(msg->bytes, msg->head.n);

    if (!cph_span_is(cph_span_from(lines, lines.n < 2 ? 0 : lines.n - 2),
                     "\r\n")) /* whole lines only */
        return CPH_E_ARGUMENT;
    cph_wr_span(&wr, cph_span_head(msg->head, msg->head.n - 2));
    cph_wr_span(&wr, lines);
    cph_wr_text(&wr, "\r\n");
    cph_wr_span(&wr, body);
    *out = cph_wr_done(&wr);
    ua->scratch2_used = wr.n > ua->scratch2_used ? wr.n : ua->scratch2_used;
    return cph_wr_end(&wr);
}

/* bytes may be replaced by the form with the hook's headers; *out then lies in scratch2. */
static cph_err ask_send_hook(struct cph_sip_ua *ua, const struct sip_path *path,
                             struct cph_span bytes, bool repeat, const void *account,
                             struct cph_span *out)
{
    const struct cph_sip_hook *h = ua->cfg.hook;
    struct cph_sip_reply reply = { 0 };
    struct cph_sip_msg msg;
    struct cph_sip_hop hop;
    struct cph_arena *a;
    cph_err err;

    *out = bytes;
    if (!h || !h->on_send)
        return CPH_OK;
    CPH_TRY(cph_arena_new(CPH_SIP_ARENA, &a));
    err = cph_sip_msg_parse(a, bytes, CPH_SIP_STREAM, &msg, NULL);
    if (err)
        goto out;
    sip_hop_of(ua, path, false, &hop);
    struct cph_sip_passing p = { &msg, bytes, &hop, repeat, account };

    if (h->on_send(h->ctx, &p, ua->now, &reply) != CPH_SIP_PASS) {
        ua->count.hook_dropped++;
        err = CPH_E_POLICY;
        goto out;
    }
    if (!repeat && reply.headers.n)
        err = with_headers(ua, &msg, reply.headers, out);
out:
    cph_arena_free(a);
    return err;
}

cph_err sip_send(struct cph_sip_ua *ua, const struct sip_path *path, struct cph_span bytes,
                 bool repeat, const void *account, struct cph_span *final)
{
    struct cph_span now_final;

    if (bytes.p == ua->scratch && bytes.n > ua->scratch_used)
        ua->scratch_used = bytes.n;
    CPH_TRY(ask_send_hook(ua, path, bytes, repeat, account, &now_final));
    if (repeat)
        ua->count.resent++;
    if (final)
        *final = now_final;
    return put_on_wire(ua, path, now_final);
}

/* ---- responses ---- */

struct sip_path sip_response_path(const struct cph_sip_ua *ua, const struct sip_in *in)
{
    struct sip_path p = in->path;
    const struct cph_sip_via *v = in->msg.n_via ? &in->msg.via[0] : NULL;

    (void)ua;
    if (p.flow)
        return p; /* RFC 3261 18.2.2 MUST: on a reliable transport, the connection of the request */
    /* RFC 3581 4 MUST: with rport, to the source address and port. Without, to the source address
     * and the port of sent-by. RFC 3261 18.2.2 EXCEPTION: maddr is not followed; it would let a
     * stranger choose whom we send to, and we do no multicast. */
    if (v && !v->has_rport)
        p.peer.port = v->port ? v->port : 5060;
    return p;
}

void sip_reply_stateless(struct cph_sip_ua *ua, const struct sip_in *in, unsigned status,
                         const char *reason, struct cph_span headers)
{
    struct cph_wr wr = cph_wr_open(ua->scratch, ua->scratch_n);
    struct sip_path path = sip_response_path(ua, in);
    struct cph_span tag = { 0 };
    char hex[17];
    struct cph_span key = in->msg.n_via ? in->msg.via[0].text : in->msg.call_id;

    /* RFC 3261 8.2.7 MUST: a stateless answer has the same To tag each time: a keyed hash of the
     * Via */
    snprintf(hex, sizeof hex, "%016llx",
             (unsigned long long)cph_siphash(ua->txs.k0, ua->txs.k1 ^ 1, key));
    if (status != 100)
        tag = cph_span_of(hex);
    cph_sip_wr_response(&wr, &in->msg, status, cph_span_of(reason), tag, &in->path.peer);
    cph_wr_span(&wr, headers);
    if (ua->user_agent)
        cph_sip_wr_header(&wr, CPH_SIP_H_SERVER, cph_span_of(ua->user_agent));
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    if (cph_wr_end(&wr) != CPH_OK ||
        sip_send(ua, &path, cph_wr_done(&wr), false, NULL, NULL) != CPH_OK)
        ua->count.transport_failed++;
}

/* ---- in ---- */

struct sip_in *sip_in_ref(struct sip_in *in)
{
    if (in)
        in->refs++;
    return in;
}

void sip_in_unref(struct sip_in *in)
{
    if (!in || --in->refs)
        return;
    in->ua->n_in--;
    cph_arena_free(in->arena); /* in lies in it */
}

/* Our own Via must be on top of a response, RFC 3261 18.1.2. */
static bool via_is_ours(const struct cph_sip_ua *ua, const struct cph_sip_msg *msg)
{
    const struct cph_sip_via *v = msg->n_via ? &msg->via[0] : NULL;
    char ip[CPH_ADDR_TEXT];

    if (!v)
        return false;
    for (unsigned i = 0; i < ua->cfg.n_listeners; i++) {
        const struct cph_sip_listener *l = &ua->cfg.listener[i];
        const char *host = ua->host[i] ? ua->host[i] : cph_addr_ip(&l->addr, ip);

        if (cph_span_iis(v->host, host) && (v->port ? v->port : 5060) == l->addr.port)
            return true;
    }
    return false;
}

static void count_fault(struct cph_sip_ua *ua, cph_err err, const struct cph_sip_fault *f)
{
    if (err == CPH_E_NOMEM)
        ua->count.dropped_nomem++;
    else if (f->status == 513 || err == CPH_E_LIMIT)
        ua->count.bad_size++;
    else if (!f->status || !f->answerable)
        ua->count.bad_syntax++;
    else if (f->status == 505)
        ua->count.bad_version++;
    else if (err == CPH_E_TRUNCATED)
        ua->count.bad_length++;
    else
        ua->count.bad_request++;
}

static void refuse_bad(struct cph_sip_ua *ua, struct sip_in *in, const struct cph_sip_fault *f)
{
    if (!f->status || !f->answerable || !in->msg.is_request || in->msg.method == CPH_SIP_ACK)
        return;
    sip_reply_stateless(ua, in, f->status, f->reason, (struct cph_span){ 0 });
}

static void receive_parsed(struct cph_sip_ua *ua, struct sip_in *in)
{
    const struct cph_sip_hook *h = ua->cfg.hook;
    struct cph_sip_reply reply = { 0 };
    enum cph_sip_verdict v = CPH_SIP_PASS;
    char *retry = NULL;

    if (!in->msg.is_request && !via_is_ours(ua, &in->msg)) {
        ua->count.bad_via++; /* RFC 3261 18.1.2 MUST: silently discarded */
        return;
    }
    if (h && h->on_receive) {
        struct cph_sip_passing p = { &in->msg, in->msg.bytes, &in->hop, false,
                                     in->msg.is_request ? NULL : sip_tx_account(ua, in) };

        v = h->on_receive(h->ctx, &p, ua->now, &reply);
    }
    switch (v) {
    case CPH_SIP_PASS:
        break;
    case CPH_SIP_DROP:
        ua->count.hook_dropped++;
        return;
    case CPH_SIP_REPLY:
        ua->count.hook_replied++;
        if (in->msg.is_request && in->msg.method != CPH_SIP_ACK && reply.status >= 300 &&
            reply.status <= 699)
            sip_reply_stateless(ua, in, reply.status, reply.reason ? reply.reason : "",
                                reply.headers);
        return;
    case CPH_SIP_RETRY:
        retry = sip_strdup(reply.headers);
        break;
    }
    if (in->msg.is_request)
        sip_tx_request(ua, in);
    else
        sip_tx_response(ua, in, retry);
    free(retry);
}

/* What the neighbour says of the way the message took before. */
static void hops_behind(const struct cph_sip_msg *msg, struct cph_sip_hop *hop)
{
    for (size_t i = 1; i < msg->n_via; i++) {
        hop->vias++;
        hop->vias_open += !cph_span_iis(msg->via[i].transport, "TLS") &&
                          !cph_span_iis(msg->via[i].transport, "WSS");
    }
}

void sip_receive(struct cph_sip_ua *ua, const struct sip_path *path, struct cph_span bytes,
                 enum cph_sip_transport_kind kind)
{
    struct cph_sip_fault fault = { 0 };
    struct cph_span copy = { 0 };
    struct cph_arena *a = NULL;
    struct sip_in *in = NULL;
    cph_err err;

    if (bytes.n > ua->cfg.max_message) {
        ua->count.bad_size++;
        return;
    }
    if (cph_arena_new(CPH_SIP_ARENA + bytes.n + 4096, &a) == CPH_OK)
        in = cph_arena_alloc(a, sizeof *in);
    if (in)
        copy = cph_arena_copy(a, bytes);
    if (!copy.p) {
        ua->count.dropped_nomem++;
        cph_arena_free(a);
        return;
    }
    in->refs = 1;
    in->ua = ua;
    in->arena = a;
    in->path = *path;
    ua->n_in++;
    err = cph_sip_msg_parse(a, copy, kind, &in->msg, &fault);
    if (err) {
        count_fault(ua, err, &fault);
        refuse_bad(ua, in, &fault);
    } else {
        ua->count.received++;
        sip_hop_of(ua, path, true, &in->hop);
        hops_behind(&in->msg, &in->hop);
        in->hop.proxied = cph_sip_find(&in->msg, CPH_SIP_H_RECORD_ROUTE) != NULL;
        in->hop.sips = in->msg.is_request && in->msg.uri.scheme == CPH_SIP_SCHEME_SIPS;
        receive_parsed(ua, in);
    }
    sip_in_unref(in);
}

void cph_sip_ua_datagram(struct cph_sip_ua *ua, unsigned listener, const struct cph_addr *from,
                         struct cph_span bytes, cph_time now)
{
    struct sip_path path = { CPH_SIP_UDP, listener, 0, *from };

    ua->now = now;
    if (listener >= ua->cfg.n_listeners || cph_sip_is_keepalive(bytes))
        return;
    sip_receive(ua, &path, bytes, CPH_SIP_DATAGRAM);
}

void cph_sip_ua_unreachable(struct cph_sip_ua *ua, unsigned listener, const struct cph_addr *to,
                            cph_time now)
{
    (void)listener;
    ua->now = now;
    sip_tx_unreachable(ua, to);
}
