/* INVITEs to several targets: who was asked, who answered, redirects followed, the rest cancelled.
 */
#include "proxy_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

struct invite *fork_invite_of(struct lab_proxy *p, struct cph_span branch)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (p->invite[i].request && cph_span_is(branch, p->invite[i].branch))
            return &p->invite[i];
    return NULL;
}

void fork_clear(struct invite *v)
{
    free(v->request);
    free(v->best);
    *v = (struct invite){ 0 };
}

static uint8_t *copy_of(struct cph_span s)
{
    uint8_t *b = malloc(s.n + 1);

    if (b)
        memcpy(b, s.p, s.n);
    return b;
}

static struct invite *invite_new(struct lab_proxy *p, const struct cph_sip_msg *req,
                                 const struct way *from)
{
    struct invite *v = &p->invite[p->next_invite];

    p->next_invite = (p->next_invite + 1) % CALLS;
    fork_clear(v);
    if (cph_span_cstr(req->via[0].branch, v->branch, sizeof v->branch) != CPH_OK)
        return NULL;
    v->caller = *from;
    v->request = copy_of(req->bytes);
    v->request_n = req->bytes.n;
    return v->request ? v : NULL;
}

/* Parse what we kept of the INVITE. */
static bool original(struct lab_proxy *p, const struct invite *v, struct cph_sip_msg *out)
{
    return cph_sip_msg_parse(p->arena, (struct cph_span){ v->request, v->request_n },
                             CPH_SIP_DATAGRAM, out, NULL) == CPH_OK;
}

static void to_target(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req,
                      unsigned i)
{
    proxy_forward(p, req, &v->caller, v->target[i].uri, &v->target[i].way,
                  proxy_ours_on_top(p, req));
}

/* One more to ask; over: the server it is behind, NULL for none. */
static bool add_target(struct lab_proxy *p, struct invite *v, struct cph_span uri, const char *over)
{
    struct target *t = &v->target[v->n];

    if (v->n == TARGETS || cph_span_cstr(uri, t->uri, sizeof t->uri) != CPH_OK ||
        !proxy_way_of_text(p, over ? over : t->uri, &t->way))
        return false;
    v->n++;
    return true;
}

/* Who is registered here, or the one it is for, by way of the next server if there is one. */
static void find_targets(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req)
{
    if (!proxy_is_us(p, &req->uri)) {
        (void)add_target(p, v, req->uri.text, p->cfg.next);
        return;
    }
    for (unsigned i = 0; i < p->contacts; i++)
        if (cph_span_is(req->uri.user, p->contact[i].user))
            (void)add_target(p, v, cph_span_of(p->contact[i].uri), NULL);
}

void fork_invite(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from)
{
    struct invite *v = fork_invite_of(p, req->via[0].branch);

    if (v) { /* once more: where nobody answered yet */
        for (unsigned i = 0; i < v->n; i++)
            if (v->target[i].status == 0)
                to_target(p, v, req, i);
        return;
    }
    v = invite_new(p, req, from);
    if (!v)
        return;
    proxy_reply(p, req, from, 100);
    find_targets(p, v, req);
    if (v->n == 0) {
        proxy_reply(p, req, from, 404);
        return;
    }
    p->counts.forks += v->n > 1;
    if (p->cfg.fake_early)
        box_early(p, v, req);
    for (unsigned i = 0; i < v->n; i++)
        to_target(p, v, req, i);
}

static void cancel_rest(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req)
{
    for (unsigned i = 0; i < v->n; i++)
        if (v->target[i].status == 0 && !v->target[i].cancelled) {
            v->target[i].cancelled = true;
            p->counts.cancelled++;
            proxy_hop(p, req, &v->target[i], "CANCEL", NULL);
        }
}

void fork_cancel(struct lab_proxy *p, const struct cph_sip_msg *cancel, const struct way *from)
{
    struct invite *v = fork_invite_of(p, cancel->via[0].branch);
    struct cph_sip_msg req;

    proxy_reply(p, cancel, from, v ? 200 : 481);
    if (v && original(p, v, &req))
        cancel_rest(p, v, &req);
}

/* ---- responses ------------------------------------------------------------------------------- */

static bool follow(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req,
                   const struct cph_sip_msg *res)
{
    struct cph_sip_addr contact;

    if (!p->cfg.recurse || cph_sip_addr_at(res, CPH_SIP_H_CONTACT, 0, &contact) != CPH_OK ||
        !add_target(p, v, contact.uri.text, NULL))
        return false;
    p->counts.recursed++;
    to_target(p, v, req, v->n - 1);
    return true;
}

static void keep_best(struct invite *v, const struct cph_sip_msg *res)
{
    if (v->best_status && v->best_status <= res->status)
        return;
    free(v->best);
    v->best = copy_of(res->bytes);
    v->best_n = res->bytes.n;
    v->best_status = v->best ? res->status : 0;
}

/* A final failure of one target: HERFP, only one of them reaches the caller. */
static void failed(struct lab_proxy *p, struct invite *v, unsigned i, const struct cph_sip_msg *req,
                   const struct cph_sip_msg *res, const struct way *from)
{
    struct cph_sip_msg best;

    proxy_hop(p, req, &v->target[i], "ACK", &res->to);
    if (v->target[i].status)
        return;
    v->target[i].status = res->status;
    if (v->answered || (res->status < 400 && follow(p, v, req, res)))
        return;
    keep_best(v, res);
    for (unsigned k = 0; k < v->n; k++)
        if (v->target[k].status == 0)
            return;
    if (v->best && cph_sip_msg_parse(p->arena, (struct cph_span){ v->best, v->best_n },
                                     CPH_SIP_DATAGRAM, &best, NULL) == CPH_OK)
        proxy_pass_up(p, &best, from);
}

void fork_response(struct lab_proxy *p, const struct cph_sip_msg *res, const struct way *from)
{
    struct invite *v = res->n_via > 1 ? fork_invite_of(p, res->via[1].branch) : NULL;
    struct cph_sip_msg req;
    unsigned i = 0;

    p->counts.responses++;
    if (res->method == CPH_SIP_CANCEL || res->status == 100)
        return;
    if (!v || res->method != CPH_SIP_INVITE || !original(p, v, &req)) {
        proxy_pass_up(p, res, from);
        return;
    }
    for (i = 0; i < v->n; i++) {
        char branch[BRANCH];

        proxy_branch(&req, v->target[i].uri, branch);
        if (cph_span_is(res->via[0].branch, branch))
            break;
    }
    if (i == v->n)
        return;
    if (res->status >= 300) {
        failed(p, v, i, &req, res, from);
        return;
    }
    proxy_pass_up(p, res, from);
    if (res->status >= 200 && v->target[i].status == 0) {
        v->target[i].status = res->status;
        v->answered = true;
        cancel_rest(p, v, &req);
    }
}
