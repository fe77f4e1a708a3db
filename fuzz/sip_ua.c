/*
 * A user agent in whatever state the input leads it to. Lines of input are steps, by their first
 * letter: d datagram until a line "."      t time passes (one byte: seconds)      a the app does
 * something (one byte) In a datagram $V $C $F $T stand for Via, Call-ID, From and To of the last
 * message the agent sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/sip_ua.h"
#include "dice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct dice dice = { .add = 1442695040888963407, .shift = 56 };
static char sent[70000];

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

static const struct cph_env env = { .ctx = &dice, .random = dice_draw, .wall = wall };

static void drain(struct cph_sip_ua *ua, uint32_t *call, cph_time now)
{
    struct cph_sip_action a;
    struct cph_sip_event e;

    while (cph_sip_ua_pull(ua, &a) == CPH_OK) {
        if (a.what == CPH_SIP_DO_SEND)
            snprintf(sent, sizeof sent, "%.*s", CPH_SPAN_ARG(a.bytes));
        else if (a.what == CPH_SIP_DO_OPEN)
            cph_sip_ua_closed(ua, a.flow, CPH_E_CLOSED, now);
        else if (a.what == CPH_SIP_DO_RESOLVE)
            cph_sip_ua_resolved(ua, a.query, CPH_E_NAME, NULL, 0, now);
    }
    while (cph_sip_ua_event(ua, &e) == CPH_OK)
        *call = e.kind == CPH_SIP_EV_INCOMING ? e.call : *call;
}

static void expand(struct cph_wr *wr, uint8_t what)
{
    static const char *const name[] = { "\r\nVia: ", "\r\nCall-ID: ", "\r\nFrom: ", "\r\nTo: " };
    const char *key = memchr("VCFT", what, 4), *p;

    p = key && what ? strstr(sent, name[strchr("VCFT", what) - "VCFT"]) : NULL;
    if (p)
        cph_wr_bytes(wr, strchr(p, ' ') + 1, strcspn(strchr(p, ' ') + 1, "\r"));
}

static void datagram(struct cph_sip_ua *ua, struct cph_span *in, cph_time now)
{
    static uint8_t buf[65536];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_addr from = { CPH_AF_V4, { 10, 0, 0, 9 }, 5060 };
    struct cph_span line;

    while (cph_span_line(in, &line) && !cph_span_is(line, ".")) {
        for (size_t i = 0; i < line.n; i++) {
            if (line.p[i] == '$' && i + 1 < line.n)
                expand(&wr, line.p[++i]);
            else
                cph_wr_u8(&wr, line.p[i]);
        }
        cph_wr_text(&wr, "\r\n");
    }
    cph_sip_ua_datagram(ua, 0, &from, cph_wr_done(&wr), now);
}

static void app(struct cph_sip_ua *ua, uint8_t what, uint32_t *call, cph_time now)
{
    struct cph_sip_place p = { .to = "sip:b@10.0.0.9",
                               .from = "sip:a@10.0.0.1",
                               .body = CPH_SPAN_LIT("o") };
    struct cph_sip_reg r = { .registrar = "sip:10.0.0.9", .aor = "sip:a@b", .expires = 60 };
    struct cph_span sdp = CPH_SPAN_LIT("sdp"), none = { 0 };
    uint32_t id;

    switch (what) {
    case 'l':
        p.body = none; /* and on: a late offer */
        (void)!cph_sip_call_place(ua, &p, now, call);
        break;
    case 'p':
        (void)!cph_sip_call_place(ua, &p, now, call);
        break;
    case 'r':
        (void)!cph_sip_register(ua, &r, now, &id);
        break;
    case '1':
        (void)!cph_sip_call_progress(ua, *call, 183, NULL, sdp, true, now);
        break;
    case '2':
        (void)!cph_sip_call_accept(ua, *call, NULL, sdp, now);
        break;
    case '4':
        (void)!cph_sip_call_reject(ua, *call, 486, NULL, NULL, now);
        break;
    case 'o':
        (void)!cph_sip_call_offer(ua, *call, 0, false, NULL, sdp, now);
        break;
    case 'u':
        (void)!cph_sip_call_offer(ua, *call, 1, true, NULL, sdp, now);
        break;
    case 'a':
        (void)!cph_sip_call_answer(ua, *call, 200, NULL, sdp, now);
        break;
    case 'g':
        (void)!cph_sip_call_give_answer(ua, *call, 1, NULL, sdp, now);
        break;
    case 'h':
        (void)!cph_sip_call_hangup(ua, *call, NULL, now);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_sip_ua_cfg cfg = {
        .env = &env, .n_listeners = 1, .max_transactions = 32, .max_calls = 4
    };
    struct cph_span in = { data, n };
    struct cph_sip_ua *ua;
    cph_time now = CPH_SEC(1);
    uint32_t call = 0;

    dice.state = n;
    sent[0] = '\0';
    cfg.session_expires = 90;
    cfg.listener[0].addr = (struct cph_addr){ CPH_AF_V4, { 10, 0, 0, 1 }, 5060 };
    if (cph_sip_ua_new(&cfg, now, &ua) != CPH_OK)
        abort();
    while (in.n >= 2) {
        uint8_t op = in.p[0], arg = in.p[1];

        in = cph_span_from(in, 2);
        if (op == 'd')
            datagram(ua, &in, now);
        else if (op == 't')
            cph_sip_ua_tick(ua, now += CPH_SEC(arg));
        else if (op == 'a')
            app(ua, arg, &call, now);
        drain(ua, &call, now);
    }
    /* With the calls hung up nothing may stay, whatever happened before. Each took two bytes. */
    for (uint32_t id = 1; id <= n / 2; id++)
        (void)!cph_sip_call_hangup(ua, id, NULL, now);
    for (uint32_t id = 1; id <= n / 2; id++)
        (void)!cph_sip_unregister(ua, id, now);
    for (int i = 0; i < 40; i++) {
        cph_sip_ua_tick(ua, now += CPH_SEC(10));
        drain(ua, &call, now);
    }
    struct cph_sip_load l = cph_sip_ua_load(ua);

    if (l.calls || l.dialogs || l.transactions || l.requests || l.queries || l.messages || l.timers)
        abort();
    cph_sip_ua_free(ua);
    return 0;
}
