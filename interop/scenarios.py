"""What is called, and what must come of it. interop/run runs these, each in a namespace of its own."""
import os
import pathlib
import sqlite3
import subprocess
import time

from mangler import MediaMangler, Mangler, with_wrong
from peers import HOST, Baresip, Ciphony, Kamailio, Linphonec

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CPH_BUILD", TOP / "build"))
OURS = str(BUILD / "ciphony")
SPEECH = TOP / "share/demo/speech.wav"
US, PEER, RELAY = 5060 + 10, 5060 + 12, 5060 + 30
SENTENCE = "2.9"  # seconds of it, up to a pause: a call of 6 s says it twice, and the better time counts
LEAST = 0.75  # G.711 over loopback gives 0.9 and more; other words, noise or silence stay below 0.4


class Failed(Exception):
    pass


def need(what, condition):
    if not condition:
        raise Failed(what)


def compare(said, heard, what, least=LEAST):
    need(f"{what}: nothing was recorded", heard and pathlib.Path(heard).exists())
    done = subprocess.run([BUILD / "tools/wav-compare", said, heard, str(least)], capture_output=True, text=True)
    need(f"{what}: what was heard is not what was said: {done.stdout.strip()} {done.stderr.strip()}", done.returncode == 0)
    return done.stdout.strip()


def media(keying, peer):
    return {"linphonec": {"sdes": "srtp", "dtls": "dtls", "zrtp": "zrtp", "none": "none"},
            "baresip": {"sdes": "srtp-mand", "dtls": "dtls_srtp", "none": None,
                        "sdes-optional": "srtp", "sdes-feedback": "srtp-mandf"}}[peer][keying]


def sounds(folder):
    """The beginning of the sentence at the peers' rate, once and long enough that no source runs dry in a call."""
    once, long = folder / "said.wav", folder / "said-long.wav"
    subprocess.run(["sox", SPEECH, "-r", "8000", "-c", "1", once, "trim", "0", SENTENCE], check=True)
    subprocess.run(["sox", *[once] * 20, long], check=True)
    return once, long


def certificate(folder):
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST},URI:sip:{HOST}"],
                   check=True, capture_output=True)
    both.write_text(key.read_text() + cert.read_text())
    return key, cert, both


class Stage:
    """One scenario's programs, all stopped at its end."""

    def __init__(self, folder):
        self.folder, self.running = folder, []
        folder.mkdir(parents=True, exist_ok=True)
        self.said, self.long = sounds(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in reversed(self.running):
            one.stop()

    def add(self, one):
        self.running.append(one)
        return one

    def ours(self, verb, *args, keying, policy="required", seconds=14, listen=f"udp:{HOST}:{US}"):
        heard = self.folder / "ciphony-heard.wav"
        ours = self.add(Ciphony(OURS, self.folder / "ciphony", verb, *args, "--listen", listen, "--play", self.long, "--record", heard,
                                "--keying", keying, "--policy", policy, "--for", seconds))
        ours.recording = heard
        return ours

    def peer(self, kind, keying, auto=True, register=None, ca=None, both=None, rtcp_mux=False, capabilities=False, port=PEER):
        if kind == "linphonec":
            return self.add(Linphonec(self.folder / kind, port, 21200, media(keying, kind), play=self.long, auto=auto,
                                      tls_ca=ca, register=register, capabilities=capabilities))
        return self.add(Baresip(self.folder / kind, port, 21000, media(keying, kind), self.long,
                                transport="tls" if register else "udp", cert=both, ca=ca, register=register,
                                rtcp_mux=rtcp_mux))


def settle(ours, keying, level, least_packets):
    """What our end says of the call once it is over."""
    last, status = ours.ended()
    need("ciphony did not say that the call ended", last)
    verdict = last["verdict"]
    need(f"exit status {status} instead of 0: {last.get('why')}", status == 0)
    need(f"level {verdict['level']} instead of {level}: {verdict['reasons']}", verdict["level"] == level)
    stream = verdict["streams"][0]
    need(f"keying {stream['keying']} instead of {keying}", stream["keying"] == keying)
    need(f"too few packets: {stream}", stream["packets_in"] >= least_packets and stream["packets_out"] >= least_packets)
    return last

# The first word is what the media is worth; docs/verdict.md says why. A call to the peer through Kamailio comes by our
# own connection into the domain of the peer's address, chain and name checked: that domain vouches for a fingerprint.
# A call from the peer comes by a connection of Kamailio that shows no certificate, and its Via lines are only a claim:
# nobody vouches, and neither does anybody once the peer has changed the call that way.
def level_of(keying, transport, we_call, they_change=False):
    if keying == "none" or (keying, transport) == ("sdes", "udp"):
        return "open"
    if keying in ("sdes", "zrtp"):  # of ZRTP's string nobody said yet that it is equal
        return "hop"
    return "identified" if transport == "tls" and we_call and not they_change else "private"


class Call:
    """A call that stands, with our end, the peer and what they said to each other."""

    def __init__(self, stage, kind, keying, transport, we_call, seconds=6, policy="required", peer_keying=None, ours_more=(),
                 our_keying=None, rings=None, **peer_how):
        self.stage, self.kind, self.keying, self.rings = stage, kind, keying, rings
        self.seconds, self.until = seconds, None
        ours_how = {"keying": our_keying or ("sdes,dtls" if keying == "none" else keying), "seconds": 40, "policy": policy}
        if transport == "tls":
            self._through_proxy(ours_how, we_call)
        elif we_call:
            self.peer = stage.peer(kind, peer_keying or keying, **peer_how)
            self.ours = stage.ours("call", f"sip:peer@{HOST}:{PEER}", *ours_more, **ours_how)
        else:
            self.ours = stage.ours("answer", **ours_how)
            self.peer = stage.peer(kind, peer_keying or keying, auto=False, **peer_how)
            self.peer.call(f"sip:us@{HOST}:{US}")

    def _through_proxy(self, ours_how, we_call):
        stage, kind = self.stage, self.kind
        key, cert, both = certificate(stage.folder)
        proxy_runs = stage.add(Kamailio(stage.folder / "kamailio", cert, key))
        proxy = f"sip:{HOST}:5061;transport=tls"
        config = stage.folder / "ciphony/home/.config/ciphony"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config").write_text(f"[account kamailio]\nuri = sip:us@{HOST}\nregistrar = {proxy}\nproxy = {proxy};lr\n")
        tls = ["--account", "kamailio", "--ca", cert]
        listen = f"tls:{HOST}:{US + 1}"
        if not we_call:
            self.ours = stage.ours("answer", *tls, listen=listen, **ours_how)
        self.peer = stage.peer(kind, self.keying, auto=we_call, ca=cert, both=both,
                               register={"identity": f"sip:peer@{HOST}", "proxy": f"<{proxy}>" if kind == "linphonec" else proxy})
        need(f"{kind} did not register", proxy_runs.registered(f"sip:peer@{HOST}"))
        if self.rings:  # another phone under the same address, which nobody takes
            also, its_keying = self.rings
            stage.peer(also, its_keying, auto=False, ca=cert, both=both, port=PEER + 40,
                       register={"identity": f"sip:peer@{HOST}", "proxy": f"<{proxy}>" if also == "linphonec" else proxy})
            need(f"{also} did not register", proxy_runs.registered(f"sip:peer@{HOST}", times=2))
        if we_call:
            self.ours = stage.ours("call", f"sip:peer@{HOST}", *tls, listen=listen, **ours_how)
        else:
            need("ciphony did not register", self.ours.event("registered", 10))
            self.peer.call(f"sip:us@{HOST}")

    def stands(self, kind="secured"):
        need("the call was not answered", self.ours.event("answered", 12))
        need(f"no event: {kind}", self.ours.event(kind, 10))
        self.until = time.monotonic() + self.seconds

    def over(self, level, least_packets=150, least=LEAST):
        """We hang up when the time is over; both ends are done; what each heard is what the other said."""
        time.sleep(max(0, self.until - time.monotonic()))
        self.ours.key("q")
        last = settle(self.ours, self.keying, level, least_packets)
        need(f"{self.kind} was not told that the call is over", self.peer.told_over(3))
        self.stage.running.remove(self.peer)
        self.peer.stop()
        heard = compare(self.stage.said, self.ours.recording, "heard by ciphony", least)
        compare(self.stage.said, self.peer.heard(), f"heard by {self.kind}", least)
        return last, f"{last['verdict']['level']}, {heard}"


def talk(folder, kind, keying, transport, we_call, **how):
    """One call, nothing else."""
    with Stage(folder) as stage:
        call = Call(stage, kind, keying, transport, we_call, **how)
        call.stands()
        return call.over(level_of(keying, transport, we_call))[1]


def changes(folder, kind, keying, transport, we_call):
    """We hold, resume and change the keys; then the peer holds and resumes; then it goes on."""
    with Stage(folder) as stage:
        call = Call(stage, kind, keying, transport, we_call, seconds=3)
        call.stands()
        ours = call.ours
        time.sleep(call.seconds)  # the sentence once, undisturbed: it is what is compared
        for who, act, state in (("we", lambda: ours.key("h"), "held"), ("we", lambda: ours.key("h"), "talking"),
                                ("we", lambda: ours.key("k"), "talking"), ("they", call.peer.hold, "held"),
                                ("they", call.peer.resume, "talking")):
            seen = ours.seen()
            act()
            need(f"{who} wanted '{state}', and it did not come", ours.event("changed", 6, state=state, start=seen))
            time.sleep(0.4)
        last, text = call.over(level_of(keying, transport, we_call, they_change=True), 200, 0.6)
        # DTLS keys change with a new tls-id (RFC 8842), which neither peer knows: theirs stay, and we must not say otherwise.
        changed = "the keys changed during the call" in last["verdict"]["reasons"]
        need(f"the keys changed: {changed}", changed == (keying == "sdes"))
        return text


def one_string(call, n, known):
    """Both ends tell the same string, and both say whether they knew each other."""
    sas = call.ours.event("sas", 10)
    need("no string to compare", sas)
    need(f"verified is {sas['verified']} in call {n}", sas["verified"] == known)
    theirs = call.peer.sas(sas["sas"])
    need(f"our string {sas['sas']} is none of linphonec's: {theirs}", sas["sas"] in theirs)
    need("linphonec does not know us from the first call", call.peer.knew_us() == known)
    need(f"level {sas['verdict']['level']} before anybody compared", known or sas["verdict"]["level"] == "hop")
    return sas["sas"]


def hang_up(stage):
    """Nothing of the first call but what it kept."""
    for one in reversed(stage.running):
        one.stop()
    stage.running.clear()


def zrtp(folder, transport, we_call):
    """Two calls: in the first the users compare the string, the second is verified by what both kept."""
    with Stage(folder) as stage:
        strings = []
        for known in (False, True):
            call = Call(stage, "linphonec", "zrtp", transport, we_call)
            call.stands()
            strings.append(one_string(call, len(strings) + 1, known))
            if not known:
                call.ours.key("y")
                call.peer.verified()
            said = call.over("verified")[1]
            hang_up(stage)
        need(f"the same string twice: {strings}", strings[0] != strings[1])
        return f"{said}, strings {' '.join(strings)}"


def forget_secrets(peer):
    """Another program's word for "restored from a backup": its name is the old one, its secrets are not."""
    with sqlite3.connect(peer.secrets) as db:
        changed = db.execute("UPDATE zrtp SET rs1 = randomblob(32), rs2 = randomblob(32)").rowcount
    db.close()
    need("linphonec had nothing to forget", changed > 0)


def forget_all(peer):
    """Installed anew: with another name."""
    peer.secrets.unlink()


def zrtp_lost(folder, forget, words):
    """The strings were compared; then the peer loses what it kept, and our user is warned and asked again."""
    with Stage(folder) as stage:
        for known in (False, True):
            call = Call(stage, "linphonec", "zrtp", "udp", True)
            call.stands()
            if known:
                warned = call.ours.event("notice", 10)
                need("nobody was warned", warned and words in warned["why"])
                one_string(call, 2, False)
                call.ours.key("q")
                last, status = call.ours.ended()
                need(f"level {last['verdict']['level']} instead of hop", last["verdict"]["level"] == "hop" and status == 0)
                return warned["why"]
            one_string(call, 1, False)
            call.ours.key("y")
            call.peer.verified()
            call.ours.key("q")
            settle(call.ours, "zrtp", "verified", 1)
            peer = call.peer
            need("linphonec was not told that the call is over", peer.told_over(3))
            hang_up(stage)
            forget(peer)


def zrtp_attacked(folder, message, of_peer, we_call):
    """Somebody on the media path alters what was committed to, or the commitment. Whose packet it is, the other end
    refuses it; no media goes. linphonec refuses without a word, and our end waits as long as RFC 6189 6 says."""
    with Stage(folder) as stage:
        if we_call:
            stage.peer("linphonec", "zrtp")
            relay = stage.add(MediaMangler(RELAY, PEER, with_wrong(message), of_peer))
            ours = stage.ours("call", f"sip:peer@{HOST}:{RELAY}", keying="zrtp", seconds=30)
        else:
            ours = stage.ours("answer", keying="zrtp", seconds=30)
            relay = stage.add(MediaMangler(RELAY, US, with_wrong(message), not of_peer))
            stage.peer("linphonec", "zrtp", auto=False).call(f"sip:us@{HOST}:{RELAY}")
        last, status = ours.ended(35)
        need("the relay altered nothing", relay.mangled > 0)
        need("ciphony did not say that the call ended", last)
        need(f"exit status {status}: {last}", status == (3 if of_peer else 1))
        words = "middle" if of_peer else "the peer fell silent"
        need(f"the reason is not told: {last['why']}", words in last["why"])
        silent(last)
        return last["why"]


def goes_clear(folder, peer_key):
    """Two of ours under `prefer`: one takes the keys away, the other agrees (c) or asks for keys again (s). linphonec
    has no GoClear."""
    with Stage(folder) as stage:
        peer = stage.add(Ciphony(OURS, folder / "peer", "answer", "--listen", f"udp:{HOST}:{PEER}", "--play", stage.long,
                                 "--record", folder / "peer.wav", "--keying", "zrtp", "--policy", "prefer", "--for", 9))
        time.sleep(0.5)
        ours = stage.ours("call", f"sip:peer@{HOST}:{PEER}", keying="zrtp", policy="prefer", seconds=9)
        need("no keys", ours.event("secured", 10) and peer.event("secured", 10))
        time.sleep(1)
        ours.key("c")
        cleared = peer.event("cleared", 5)
        need(f"the other user is not told: {cleared}", cleared and cleared["verdict"]["level"] == "open")
        need("who asked does not go on", ours.event("plain", 5))
        time.sleep(0.5)
        start = peer.seen(), ours.seen()
        peer.key(peer_key)
        for one, at in zip((peer, ours), start):
            need("nothing came of it", one.event("plain" if peer_key == "c" else "secured", 5, at)
                 or (peer_key == "c" and one is ours))
        if peer_key == "c":
            time.sleep(1)
            start = peer.seen(), ours.seen()
            peer.key("s")
            need("no keys again", peer.event("secured", 5, start[0]) and ours.event("secured", 5, start[1]))
        for one, clear in ((peer, peer_key == "c"), (ours, True)):
            last, status = one.ended()
            verdict = last["verdict"]
            said = any("in clear" in r for r in verdict["reasons"])
            need(f"exit status {status}, {verdict['level']}, {verdict['reasons']}", status == 0 and said == clear
                 and verdict["level"] == ("open" if clear else "hop"))
        return "told, agreed to, and back"


def keeps_keys(folder):
    """The same under `required`: the command says no, and the keys stay."""
    with Stage(folder) as stage:
        peer = stage.add(Ciphony(OURS, folder / "peer", "answer", "--listen", f"udp:{HOST}:{PEER}", "--play", stage.long,
                                 "--record", folder / "peer.wav", "--keying", "zrtp", "--policy", "prefer", "--for", 4))
        time.sleep(0.5)
        ours = stage.ours("call", f"sip:peer@{HOST}:{PEER}", keying="zrtp", seconds=4)
        need("no keys", ours.event("secured", 10) and peer.event("secured", 10))
        ours.key("c")
        peer.key("c")
        for one in (ours, peer):
            last, status = one.ended()
            need(f"{status}, {last}", status == 0 and last["verdict"]["level"] == "hop")
            need("nobody was told no", one.process.wait_line(lambda line: "not allowed" in line, 1))
        return "the keys stay"


def digits(folder, kind, keying):
    """Keys pressed at each end are heard at the other (RFC 4733)."""
    with Stage(folder) as stage:
        call = Call(stage, kind, keying, "udp", True)
        call.stands()
        time.sleep(1)
        for digit in "5#":
            call.ours.key(digit)
            need(f"{kind} did not hear our {digit}", call.peer.heard_digit(digit, 4))
            call.peer.press(digit)
            need(f"we did not hear {kind}'s {digit}", call.ours.event("digit", 4, digit=digit))
        call.ours.key("q")
        last, status = call.ours.ended()
        need(f"exit status {status} instead of 0: {last}", last and status == 0)
        return "both ways"


def unprotected(folder, kind, we_call, policy):
    """A peer that knows no encryption: `prefer` talks in clear and says so, `required` does not talk."""
    with Stage(folder) as stage:
        call = Call(stage, kind, "none", "udp", we_call, policy=policy)
        if policy == "prefer":
            call.stands("plain")
            return call.over("open")[1]
        last, status = call.ours.ended(25)
        need("ciphony did not say that the call ended", last)
        # Whom we call refuses with a 488, which could mean its codecs as well: a call that failed. What it offers us is
        # certain, and our policy refuses it.
        need(f"exit status {status}: {last}", status == (1 if we_call else 3))
        need(f"no reason was given: {last}", not we_call or "--policy prefer" in last["why"])
        need(f"no reason was given: {last}", we_call or "policy requires" in last["why"])
        silent(last)
        return last["why"]


def best_effort(folder, kind, keying, form, we_call, level, **peer_how):
    """Plain RTP in the m= line, or keys beside it: the peer takes them, or asks us so."""
    with Stage(folder) as stage:
        more = ("--best-effort", form) if we_call else ()
        call = Call(stage, kind, keying, "udp", we_call, policy="prefer", ours_more=more, **peer_how)
        call.stands()
        return call.over(level)[1]


def knows_one(folder, kind, keying, ours, policy, we_call, level):
    """Several keyings in one offer, or a policy that takes several: the peer knows one of them, and is not confused."""
    with Stage(folder) as stage:
        call = Call(stage, kind, keying, "udp", we_call, our_keying=ours, policy=policy)
        call.stands()
        # These peers demand keys and refuse RTP/AVP (488): we say that we call once more, under RTP/SAVP.
        again = call.ours.event("notice", 0.1)
        need(f"told of a second call: {again}", (policy == "prefer" and we_call) == bool(again and "once more" in again["why"]))
        return call.over(level)[1]


def forked(folder, answers, rings):
    """Two phones under one address, with keys and without; who answers decides, and the verdict says which it was. One
    that demands keys takes no RTP/AVP, so `required` is what reaches it, and the other is then passed over."""
    with Stage(folder) as stage:
        call = Call(stage, *answers, "tls", True, our_keying="dtls,sdes", rings=rings,
                    policy="prefer" if answers[1] == "none" else "required")
        call.stands("plain" if answers[1] == "none" else "secured")
        return call.over(level_of(answers[1], "tls", True))[1]


def plain_peer(folder, kind, form):
    """A peer that knows RTP alone is called in clear, in whatever form we ask for keys."""
    with Stage(folder) as stage:
        call = Call(stage, kind, "none", "udp", True, policy="prefer", ours_more=("--best-effort", form))
        call.stands("plain")
        return call.over("open")[1]


def silent(last):
    streams = last["verdict"]["streams"]
    need(f"media was accepted or sent: {streams}", all(s["packets_in"] == 0 and s["packets_out"] == 0 for s in streams))


def attacked(folder, kind, keying, mangle, we_call):
    """Somebody on the signalling path alters the description; `required` must end the call with status 3."""
    with Stage(folder) as stage:
        if we_call:
            stage.peer(kind, keying)
            relay = stage.add(Mangler(RELAY, PEER, mangle, answers=True))
            ours = stage.ours("call", f"sip:peer@{HOST}:{RELAY}", keying=keying, seconds=10)
        else:
            ours = stage.ours("answer", keying=keying, seconds=12)
            relay = stage.add(Mangler(RELAY, US, mangle, answers=False))
            peer = stage.peer(kind, keying, auto=False)
            peer.call(f"sip:us@{HOST}:{RELAY}")
        last, status = ours.ended(25)
        need("the relay altered nothing", relay.altered > 0)
        need("ciphony did not say that the call ended", last)
        need(f"exit status {status} instead of 3: {last}", status == 3)
        silent(last)
        return last.get("why", "")


def roles_swapped(folder, kind):
    """An offer says actpass, which we answer with active; here it says active on its way, and we are passive."""
    with Stage(folder) as stage:
        ours = stage.ours("answer", keying="dtls", seconds=40)
        relay = stage.add(Mangler(RELAY, US, "active-offer", answers=False))
        peer = stage.peer(kind, "dtls", auto=False)
        peer.call(f"sip:us@{HOST}:{RELAY}")
        need("no keys", ours.event("answered", 12) and ours.event("secured", 10))
        need("the relay altered nothing", relay.altered > 0)
        time.sleep(6)
        ours.key("q")
        settle(ours, "dtls", "private", 150)
        return compare(stage.said, ours.recording, "heard by ciphony")


def scenarios():
    """Names and what to run, the longest first."""
    kinds, ways = ("linphonec", "baresip"), ((True, "we-call"), (False, "they-call"))
    for kind in kinds:
        for keying in ("sdes", "dtls"):
            for transport in ("tls", "udp"):
                for we_call, who in ways:
                    yield (f"{kind} {keying} {transport} hold-resume-rekey {who}",
                           lambda f, a=(kind, keying, transport, we_call): changes(f, *a))
    for kind in kinds:
        for keying in ("sdes", "dtls"):
            for transport in ("tls", "udp"):
                for we_call, who in ways:
                    yield (f"{kind} {keying} {transport} {who}",
                           lambda f, a=(kind, keying, transport, we_call): talk(f, *a))
    for transport in ("tls", "udp"):
        for we_call, who in ways:
            yield f"linphonec zrtp {transport} two-calls {who}", lambda f, a=(transport, we_call): zrtp(f, *a)
            yield (f"linphonec zrtp {transport} hold-resume-rekey {who}",
                   lambda f, a=("linphonec", "zrtp", transport, we_call): changes(f, *a))
    for name, key in (("agreed", "c"), ("not-agreed", "s")):
        yield f"ciphony zrtp goclear {name}", lambda f, k=key: goes_clear(f, k)
    yield "ciphony zrtp goclear required", keeps_keys
    for name, forget, words in (("lost-secrets", forget_secrets, "should have the secret"),
                                ("new-device", forget_all, "another device")):
        yield f"linphonec zrtp {name} we-call", lambda f, a=(forget, words): zrtp_lost(f, *a)
    for we_call, who in ways:
        for name, message in (("wrong-hvi", b"Commit  "), ("wrong-public-value", b"DHPart2 ")):
            yield (f"linphonec zrtp {name} of-theirs {who}",
                   lambda f, a=(message, True, we_call): zrtp_attacked(f, *a))
        yield (f"linphonec zrtp wrong-public-value of-ours {who}",
               lambda f, a=(b"DHPart2 ", False, we_call): zrtp_attacked(f, *a))
    for kind in kinds:  # lines with a parameter they do not know stand first, those without behind
        yield (f"{kind} sdes ekt-offered we-call",
               lambda f, k=kind: talk(f, k, "sdes", "udp", True, ours_more=("--ekt",)))
    for keying, level in (("sdes", "open"), ("dtls", "private")):
        for we_call, who in ways:
            yield (f"linphonec {keying} best-effort capneg {who}",
                   lambda f, a=(keying, "capneg", we_call, level): best_effort(f, "linphonec", *a, capabilities=True))
    for kind in kinds:  # a peer that knows one of several
        for keying, level in (("sdes", "open"), ("dtls", "private")):
            for ours, policy in (("best", "required"), ("compatible", "prefer"), ("dtls,sdes", "required")):
                for we_call, who in ways:
                    if we_call and (kind, keying) == ("linphonec", "dtls"):
                        continue  # it refuses RTP/SAVP, too
                    yield (f"{kind} {keying} knows-one-of {ours} {who}",
                           lambda f, a=(kind, keying, ours, policy, we_call, level): knows_one(f, *a))
    for answers, rings in ((("linphonec", "sdes"), ("baresip", "none")), (("baresip", "none"), ("linphonec", "sdes"))):
        yield (f"fork {answers[0]} {answers[1]} answers {rings[0]} {rings[1]} rings",
               lambda f, a=(answers, rings): forked(f, *a))
    for kind in kinds:
        for form in ("osrtp", "attribute", "capneg", "group", "bodies"):
            if (kind, form) == ("linphonec", "bodies"):
                continue  # it answers two bodies with a 200 that has none
            yield (f"{kind} plain-rtp best-effort {form} we-call", lambda f, a=(kind, form): plain_peer(f, *a))
    for we_call, who in ways:
        yield (f"baresip dtls rtcp-mux {who}",
               lambda f, w=we_call: talk(f, "baresip", "dtls", "udp", w, rtcp_mux=True))
    for form in ("sdes-optional", "sdes-feedback"):  # RTP/AVP with keys; RTP/SAVPF, and then it refuses our RTP/SAVP
        for we_call, who in ways:
            if we_call and form == "sdes-feedback":
                continue
            yield (f"baresip {form} {who}",
                   lambda f, a=(form, we_call): talk(f, "baresip", a[0].split("-")[0], "udp", a[1], peer_keying=a[0]))
    for kind in kinds:  # neither answers an offer of active with passive
        yield f"{kind} dtls roles-swapped they-call", lambda f, k=kind: roles_swapped(f, k)
    for kind in kinds:
        yield f"{kind} sdes digits", lambda f, k=kind: digits(f, k, "sdes")
        for we_call, who in ways:
            for policy in ("prefer", "required"):
                if (kind, we_call, policy) == ("linphonec", True, "required"):
                    continue  # it answers an SRTP offer with SRTP whatever it is told, so nothing is left to refuse
                yield (f"{kind} plain-rtp {policy} {who}",
                       lambda f, a=(kind, we_call, policy): unprotected(f, *a))
            for keying, mangle in (("dtls", "wrong-fingerprint"), ("sdes", "stripped-crypto"), ("sdes", "stripped-to-rtp")):
                yield (f"{kind} {keying} {mangle} {who}",
                       lambda f, a=(kind, keying, mangle, we_call): attacked(f, *a))
