"""Calls between ciphony and SIPp, which does what its script says, however odd: no media goes, only signalling."""
import subprocess

from peers import Process, wait_port
from scenarios import HOST, PEER, US, Stage, need

KEY = {name: letter * 40 for name, letter in (("a", "A"), ("b", "B"), ("c", "C"))}  # base64 of 30 bytes
SAME = "z9hG4bK-[call_number]-same"
SUITE = "AES_CM_128_HMAC_SHA1_80"
FINGERPRINT = "sha-256 " + ":".join(["5A"] * 32)
DIALOG = "[last_Via:]\n[last_From:]\n[last_To:];tag={tag}\n[last_Call-ID:]\n[last_CSeq:]\n"
CONTACT = f"Contact: <sip:peer@{HOST}:{PEER}>\n"


def sdp(*lines, profile="RTP/SAVP", version=1):
    return "\n".join(["Content-Type: application/sdp", "Content-Length: [len]", "", "v=0", f"o=- 7 {version} IN IP4 {HOST}", "s=-",
                      f"c=IN IP4 {HOST}", "t=0 0", f"m=audio 21500 {profile} 0", "a=rtpmap:0 PCMU/8000", *lines]) + "\n"


def crypto(key, tag=1, suite=SUITE):  # of our own lines, the fourth has this suite
    return f"a=crypto:{tag} {suite} inline:{KEY.get(key, key)}"


NO_BODY = "Content-Length: 0\n\n"


def send(text, more=""):
    return f"<send {more}><![CDATA[\n{text}\n]]></send>"


def hear(what, more=""):
    return f'<recv {"response" if what.isdigit() else "request"}="{what}" {more}></recv>'


def response(status, tag, body=NO_BODY, lines=""):
    return send(f"SIP/2.0 {status}\n{DIALOG.format(tag=tag)}{CONTACT}{lines}{body}")


def later(status, body=NO_BODY):
    """The answer to a request inside the dialog: its To has our tag already."""
    return send(f"SIP/2.0 {status}\n" + DIALOG.replace(";tag={tag}", "") + CONTACT + body)


def request(method, cseq, body=NO_BODY, lines="", branch="[branch]", to="[peer_tag_param]"):
    if method == "INVITE":
        branch, to = SAME, ""
    return send(f"{method} sip:us@{HOST}:{US} SIP/2.0\nVia: SIP/2.0/UDP {HOST}:{PEER};branch={branch}\n"
                f"From: <sip:peer@{HOST}:{PEER}>;tag=sipp\nTo: <sip:us@{HOST}:{US}>{to}\nCall-ID: [call_id]\n"
                f"CSeq: {cseq} {method}\nMax-Forwards: 70\n{CONTACT}{lines}{body}")


INVITE = request("INVITE", 1, sdp(crypto("a")))
ACK = request("ACK", 1)
REFUSED = request("ACK", 1, branch=SAME)
OVER = [request("BYE", 9), hear("200")]
RINGS = [hear("100", 'optional="true"'), hear("180", 'optional="true"')]
HUNG_UP = [hear("BYE"), later("200 OK")]

# Who calls, what SIPp does, and what comes of it: our exit status, the keying or None, and words of the reason, or None if
# no call came of it.
SCRIPTS = {
    "invite-repeated": (False, [INVITE, *RINGS, hear("200"), ACK, INVITE, *OVER], 0, "sdes", ""),
    "offer-in-200 sdes": (False, [request("INVITE", 1), *RINGS, hear("200"), request("ACK", 1, sdp(crypto("a", 4))), *OVER],
                          0, "sdes", ""),
    "offer-in-200 dtls": (False, [request("INVITE", 1), *RINGS, hear("200"), request("ACK", 1, sdp(
        "a=setup:active", f"a=fingerprint:{FINGERPRINT}", profile="UDP/TLS/RTP/SAVP")), *OVER], 1, None, "before its keys"),
    "offer-in-200 unanswered": (False, [request("INVITE", 1), *RINGS, hear("200"), ACK, *HUNG_UP], 3, None, ""),
    "cancel-late": (False, [INVITE, *RINGS, hear("200"), request("CANCEL", 1, branch=SAME, to=""), hear("200"), ACK, *OVER],
                    0, "sdes", ""),
    "session-timer too-short": (False, [request("INVITE", 1, sdp(crypto("a")), "Session-Expires: 60\nSupported: timer\n"),
                                        *RINGS, hear("422"), REFUSED], 1, None, None),
    "session-timer": (False, [request("INVITE", 1, sdp(crypto("a")),
                                      "Session-Expires: 90;refresher=uac\nSupported: timer\n"), *RINGS, hear("200"), ACK,
                              request("UPDATE", 2, lines="Session-Expires: 90;refresher=uac\nSupported: timer\n"),
                              hear("200"), *OVER], 0, "sdes", ""),
    "early-keys forked": (True, [hear("INVITE"), response("183 Progress", "one", sdp(crypto("a", 4))),
                                 response("183 Progress", "two", sdp(crypto("b", 4))),
                                 response("200 OK", "two", sdp(crypto("b", 4))), hear("ACK"),
                                 hear("INVITE"), later("200 OK", sdp(crypto("c", 4), version=2)), hear("ACK"), *HUNG_UP],
                          0, "sdes", ""),
    "200-repeated other-keys": (True, [hear("INVITE"), response("200 OK", "one", sdp(crypto("a", 4))), hear("ACK"),
                                       response("200 OK", "one", sdp(crypto("c", 4), version=2)),
                                       hear("ACK", 'optional="true"'), *HUNG_UP],
                                0, "sdes", ""),
    "200-without-answer": (True, [hear("INVITE"), response("200 OK", "one"), hear("ACK"), *HUNG_UP], 3, None, ""),
}
for name, line in (("key-short", crypto("QUJD")), ("key-no-base64", crypto("!" * 40)), ("suite-unknown", crypto("a", 1, "ROT13")),
                   ("tag-missing", f"a=crypto:{SUITE} inline:{KEY['a']}"), ("lifetime-zero", crypto("a") + "|0")):
    SCRIPTS[f"crypto-malformed {name}"] = (False, [request("INVITE", 1, sdp(line)), *RINGS, hear("488"), REFUSED], 3, None, "")
    SCRIPTS[f"crypto-malformed-answer {name}"] = (True, [hear("INVITE"), response("200 OK", "one", sdp(line)), hear("ACK"),
                                                         *HUNG_UP], 1, None, "keys of the answer")


def odd(folder, name):
    """SIPp must have come to the end of its script, and our end must say what it was worth."""
    we_call, steps, status, keying, why = SCRIPTS[name]
    with Stage(folder) as stage:
        script = stage.folder / "script.xml"
        script.write_text('<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="odd">\n' + "\n".join(steps) + "\n</scenario>\n")
        ours = None if we_call else stage.ours("answer", keying="dtls" if "dtls" in name else "sdes,dtls", seconds=20)
        need("we do not listen", we_call or ours.event("listening", 10))
        sipp = stage.add(Process("sipp", ["sipp", *([] if we_call else [f"{HOST}:{US}"]), "-sf", str(script), "-i", HOST, "-p", str(PEER),
                                          "-m", "1", "-nostdin", "-timeout", "15s", "-timeout_error", "-trace_msg", "-message_file",
                                          str(stage.folder / "messages.log")], stage.folder))
        if we_call:
            wait_port(PEER, "udp")
            ours = stage.ours("call", f"sip:peer@{HOST}:{PEER}", keying="sdes", seconds=20)
        if keying:
            need("no keys", ours.event("secured", 10) and ours.event("answered", 10))
        if "forked" in name:
            need("a key that another target knows stayed in use", ours.event("changed", 10, state="talking"))
        if keying and we_call:
            ours.key("q")
        try:
            done = sipp.child.wait(20)
        except subprocess.TimeoutExpired:
            done = "none"
        need(f"SIPp did not come to the end of its script: {done}", done == 0)
        if why is None:
            ours.key("q")
            return f"no call, exit status {ours.process.child.wait(5)}"
        last, got = ours.ended()
        need("ciphony did not say that the call ended", last)
        need(f"exit status {got} instead of {status}: {last}", got == status)
        need(f"the reason is not told: {last['why']}", why in last["why"])
        streams = last["verdict"]["streams"]
        need(f"media from nobody: {last}", all(s["packets_in"] == 0 for s in streams))
        need(f"keying: {last}", [s["keying"] for s in streams] == [keying] if keying else True)
        need("keys changed that nobody may change", "repeated" not in name or not ours.event("changed", 0))
        need(f"level {last['verdict']['level']}", last["verdict"]["level"] == "open")
        return last["why"] or f"{keying}, open"


def scenarios():
    for name in SCRIPTS:
        yield f"sipp {name} {'we-call' if SCRIPTS[name][0] else 'they-call'}", lambda f, n=name: odd(f, n)
