#include "report.h"

#include <stdio.h>

#include "ciphony/base_text.h"

/* What a failed call or registration means for the user, and what to do about it. */
static const char *by_status(unsigned status)
{
    switch (status) {
    case 401:
    case 407:
        return "the other side wants a password; set 'user' and 'password' in the [account NAME] "
               "of the configuration, and check them";
    case 403:
        return "the other side forbids it; ask who runs it what your account may do";
    case 404:
    case 604:
        return "there is nobody of that address; check it";
    case 408:
    case 480:
        return "nobody answers there now; try again later";
    case 410:
        return "that address is no longer in use; ask for the new one";
    case 420:
    case 421:
        return "the two sides have no common set of SIP extensions; leave out --precondition "
               "mandatory if it is set";
    case 484:
        return "that address is not complete; check it";
    case 486:
    case 600:
        return "the line is busy; try again later";
    case 487:
        return "the call was cancelled";
    case 488:
    case 606:
        return "the other side refuses our offer: it may lack the key managements or codecs we "
               "offer; try another --keying (one alone is understood by more), or --policy prefer "
               "if a call in clear will do";
    case 503:
    case 504:
        return "the server there cannot do it now; try again later";
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
    case CPH_E_MALFORMED:
    case CPH_E_TRUNCATED:
        return "what answers there does not speak SIP by this transport; are address, port and "
               "transport right?";
    default:
        return NULL;
    }
}

/* A status that says too little by itself, with the reason that the other side gave. */
static void other_status(unsigned status, const char *reason, char out[CPH_PHONE_WHY])
{
    const char *who = status < 400        ? "it was sent on to where nobody can be called"
                      : status / 100 == 5 ? "the server there failed; try again later"
                                          : "the other side refuses it";

    (void)snprintf(out, CPH_PHONE_WHY, reason[0] ? "%s; it says \"%.200s\"" : "%s", who, reason);
}

/* TLS to a server: what is wrong with certificates of media is `ours`. */
static bool refused_server(const struct cph_phone_event *ev)
{
    return !ev->ours && (ev->cause == CPH_E_CERT || ev->cause == CPH_E_EXPIRED);
}

const char *cli_explain(const struct cph_phone_event *ev, char out[CPH_PHONE_WHY])
{
    const char *text = ev->ours              ? NULL
                       : ev->cause == CPH_OK ? by_status(ev->status)
                                             : by_cause(ev->cause);

    out[0] = '\0';
    if (refused_server(ev))
        (void)snprintf(
            out, CPH_PHONE_WHY,
            "TLS: the server's certificate is not accepted: %.100s; name who vouches for "
            "it with --ca FILE, or keep its own by: ciphony trust",
            ev->why[0] ? ev->why : cph_err_text(ev->cause));
    else if (text)
        (void)snprintf(out, CPH_PHONE_WHY, "%s", text);
    else if (!ev->ours && ev->cause == CPH_OK && ev->status >= 300)
        other_status(ev->status, ev->why, out);
    else if (ev->why[0] && (ev->ours || ev->cause != CPH_OK))
        (void)snprintf(out, CPH_PHONE_WHY, "%s", ev->why);
    else if (ev->cause != CPH_OK)
        (void)snprintf(out, CPH_PHONE_WHY, "%s", cph_err_text(ev->cause));
    return out;
}
