#include <stdio.h>

#include "report.h"

/* What a failed call means for the user, and what to do about it. */
static const char *by_status(unsigned status)
{
    switch (status) {
    case 401:
    case 407:
        return "the other side wants a password; set 'user' and 'password' of the account, and "
               "check them";
    case 403:
        return "the other side forbids it";
    case 404:
    case 604:
        return "there is nobody of that address; check it";
    case 408:
    case 480:
        return "nobody answers there now; try again later";
    case 420:
    case 421:
        return "the two sides have no common set of SIP extensions";
    case 486:
    case 600:
        return "the line is busy";
    case 487:
        return "the call was cancelled";
    case 488:
    case 606:
        return "the other side refuses our offer: it may lack the key managements or codecs we "
               "offer; "
               "try another --keying (one alone is understood by more), or --policy prefer if a "
               "call in clear will do";
    case 603:
        return "the call was declined";
    default:
        return NULL;
    }
}

static const char *by_cause(cph_err cause)
{
    switch (cause) {
    case CPH_E_NAME:
        return "the name in the address is not known to the DNS; check the address and the network";
    case CPH_E_TIMEOUT:
        return "no answer; is the other side running, and is the address right?";
    case CPH_E_CLOSED:
    case CPH_E_IO:
        return "nobody listens there; is the other side running, and are address, port and "
               "transport right?";
    default:
        return NULL;
    }
}

const char *cli_explain(const struct cph_phone_event *ev, char out[CPH_PHONE_WHY])
{
    bool ours = ev->ours || ev->cause == CPH_E_POLICY || ev->cause == CPH_E_CERT ||
                ev->cause == CPH_E_AUTH;
    const char *text = ours ? NULL : by_cause(ev->cause);

    if (!text && !ours)
        text = by_status(ev->status);
    if (!text && ev->cause == CPH_OK && ev->status < 300)
        out[0] = '\0';
    else if (!text && ev->why[0])
        (void)snprintf(out, CPH_PHONE_WHY, "%s", ev->why);
    else
        (void)snprintf(out, CPH_PHONE_WHY, "%s", text ? text : cph_err_text(ev->cause));
    return out;
}
