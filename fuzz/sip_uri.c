/* A URI that was read is written as it was, equals itself, and its user part survives its escapes.
 */
#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/sip_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint8_t buf[4 * CPH_SIP_URI_MAX], plain[CPH_SIP_URI_MAX];

static void check_uri(struct cph_span text)
{
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_sip_uri u, again;
    size_t n;

    if (cph_sip_uri_parse(text, &u) != CPH_OK)
        return;
    cph_sip_uri_wr(&wr, &u, true);
    if (wr.failed || cph_sip_uri_parse(cph_wr_done(&wr), &again) != CPH_OK ||
        !cph_sip_uri_eq(&u, &again) || !cph_sip_uri_eq(&again, &u))
        abort();
    if (u.scheme != CPH_SIP_SCHEME_SIP || u.user.n == 0)
        return;
    if (cph_sip_unescape(u.user, plain, sizeof plain, &n) != CPH_OK)
        abort();
    wr = cph_wr_open(buf, sizeof buf);
    cph_wr_text(&wr, "sip:");
    cph_sip_wr_escaped_user(&wr, (struct cph_span){ plain, n });
    cph_wr_text(&wr, "@x");
    if (wr.failed ||
        (wr.n <= CPH_SIP_URI_MAX && cph_sip_uri_parse(cph_wr_done(&wr), &again) != CPH_OK))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_span text = { data, n }, rest, name, value;
    struct cph_sip_addr a;
    struct cph_sip_via v;
    struct cph_sip_retry_after r;
    struct cph_sip_reason reason;
    int64_t date;

    check_uri(text);
    if (cph_sip_addr_parse(text, &a) == CPH_OK) {
        for (rest = a.params; cph_sip_param_next(&rest, &name, &value);)
            ;
        if (rest.n > 0)
            abort();
    }
    if (cph_sip_via_parse(text, &v) == CPH_OK && v.host.n == 0)
        abort();
    (void)!cph_sip_date_parse(text, &date);
    (void)!cph_sip_retry_after_parse(text, &r);
    (void)!cph_sip_reason_parse(text, &reason);
    return 0;
}
