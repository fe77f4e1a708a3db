"""Calls between two of ours with rtpengine in the middle of the media, which Kamailio asks for: SDES on one side, DTLS on
the other. The media server holds the keys of both sides and hears the call."""
import time

from peers import HOST, Ciphony, Process, wait_port
from scenarios import OURS, PEER, Stage, compare, need, settle

PROXY, NG = 5060, 2223
# What the description says that goes on to the one who is called.
FLAGS = {"dtls": "UDP/TLS/RTP/SAVP SDES-off", "sdes": "RTP/SAVP DTLS=off"}


class Middle:
    """Kamailio in the signalling and rtpengine in the media."""

    def __init__(self, folder, to):
        folder.mkdir(parents=True, exist_ok=True)
        self.engine = Process("rtpengine", ["rtpengine", "--foreground", "--log-stderr", "--table=-1", f"--interface={HOST}",
                                            f"--listen-ng={HOST}:{NG}", "--port-min=24000", "--port-max=24100",
                                            "--config-file=none", f"--pidfile={folder}/rtpengine.pid"], folder)
        wait_port(NG, "udp")
        modules = "tm sl rr pv maxfwd textops siputils rtpengine".split()
        (folder / "kamailio.cfg").write_text(f"""#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
auto_aliases=no
listen=udp:{HOST}:{PROXY}
listen=tcp:{HOST}:{PROXY}
tcp_children=1
{chr(10).join(f'loadmodule "{m}.so"' for m in modules)}
modparam("rtpengine", "rtpengine_sock", "udp:{HOST}:{NG}")
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (is_method("BYE")) rtpengine_delete();
        if (loose_route() || is_method("ACK")) t_relay();
        exit;
    }}
    loose_route();
    record_route();
    if (is_method("INVITE")) {{
        if (!rtpengine_offer("replace-origin ICE=remove {FLAGS[to]}")) {{ sl_send_reply("500", "No Media"); exit; }}
        t_on_reply("ANSWER");
    }}
    t_relay();
}}
onreply_route[ANSWER] {{
    if (has_body("application/sdp")) rtpengine_answer("replace-origin ICE=remove");
}}
""")
        self.proxy = Process("kamailio", ["kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "8",
                                          "-Y", str(folder), "-P", str(folder / "pid")], folder)
        wait_port(PROXY, "tcp")

    def stop(self):
        self.proxy.stop()
        self.engine.stop()


# SDES over UDP is read by whoever listens. A fingerprint that nobody signed is the media server's as well as the
# phone's: private says that the keys have two ends, and of the other one that nobody knows who it is.
LEVEL = {"sdes": "open", "dtls": "private"}


def through(folder, caller, callee):
    with Stage(folder) as stage:
        stage.add(Middle(folder / "middle", callee))
        heard = folder / "answering-heard.wav"
        answering = stage.add(Ciphony(OURS, folder / "answering", "answer", "--listen", f"udp:{HOST}:{PEER}", "--play", stage.long,
                                      "--record", heard, "--keying", callee, "--policy", "required", "--for", 40))
        need("nobody listens", answering.event("listening", 10))
        config = folder / "ciphony/home/.config/ciphony"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config").write_text(f"[account us]\nuri = sip:us@{HOST}\nproxy = sip:{HOST}:{PROXY};lr\n")
        ours = stage.ours("call", f"sip:peer@{HOST}:{PEER}", "--account", "us", keying=caller, seconds=40)
        for one in (ours, answering):
            need("not answered", one.event("answered", 12))
            need("no keys", one.event("secured", 10))
        time.sleep(6)
        ours.key("q")
        last = settle(ours, caller, LEVEL[caller], 150)
        theirs = settle(answering, callee, LEVEL[callee], 150)
        for end in (last, theirs):
            need(f"somebody vouches: {end['verdict']}", end["verdict"]["vouched_by"] == "nobody")
        dtls = last if caller == "dtls" else theirs
        where = dtls["verdict"]["ends_at"]
        need(f"it ends at {where}", where == "at the far end of the keys, whoever that is")
        compare(stage.said, heard, "heard by who answers")
        return f"{last['verdict']['level']} and {theirs['verdict']['level']}, " \
            + compare(stage.said, ours.recording, "heard by who calls")


def scenarios():
    for caller, callee in (("sdes", "dtls"), ("dtls", "sdes")):
        yield f"rtpengine {caller} to {callee}", lambda f, a=(caller, callee): through(f, *a)
