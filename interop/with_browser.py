"""Calls between ciphony and Chromium, over DTLS-SRTP."""
import time

from mangler import other_fingerprint
from scenarios import HOST, PEER, US, Stage, compare, need, settle, silent
from webrtc import Chromium

MEDIA = 23000
TALK = 8  # seconds
LEAST = 0.6  # a browser leaves more gaps in what it says


def begin(stage, we_call, **how):
    """Both ends, and the call on its way."""
    def browser():
        return stage.add(Chromium(stage.folder / "chromium", PEER, MEDIA, stage.long, **how))
    if we_call:
        peer = browser()
        return stage.ours("call", f"sip:peer@{HOST}:{PEER}", keying="dtls", seconds=40), peer
    ours = stage.ours("answer", keying="dtls", seconds=40)
    peer = browser()
    peer.call(f"sip:us@{HOST}:{US}")
    return ours, peer


def talk(folder, we_call, role, codec):
    """Keys by a handshake in which we are what role says, and audio both ways."""
    with Stage(folder) as stage:
        ours, peer = begin(stage, we_call, role=role, codec=codec)
        need("the call was not answered", ours.event("answered", 12))
        need(f"no keys: {peer.relay}", ours.event("secured", 10))
        said = peer.connected()
        need(f"the page is not connected: {said}", said["state"] == "connected")
        theirs = {"active": "server", "passive": "client"}[role]
        need(f"the page is {said['dtlsRole']} instead of {theirs}", said["dtlsRole"] == theirs)
        need("no ICE check was answered", peer.relay.checks > 0)
        time.sleep(TALK)
        ours.key("q")
        last = settle(ours, "dtls", "private", 150)
        need(f"codec {last['media']['codec']} instead of {codec}", last["media"]["codec"] == codec)
        stage.running.remove(peer)
        peer.stop()
        heard = compare(stage.said, ours.recording, "heard by ciphony", LEAST)
        compare(stage.said, peer.heard(), "heard by chromium", LEAST)
        return f"private, {said['srtpCipher']}, {heard}"


def attacked(folder, we_call, role):
    """Somebody alters the fingerprint that the page promised: we refuse its certificate, and say so."""
    with Stage(folder) as stage:
        ours, _ = begin(stage, we_call, role=role, alter_theirs=other_fingerprint)
        last, status = ours.ended(25)
        need("ciphony did not say that the call ended", last)
        need(f"exit status {status} instead of 3: {last}", status == 3)
        need(f"the reason is not told: {last['why']}", "certificate" in last["why"])
        silent(last)
        return last["why"]


def attacked_ours(folder, we_call, role):
    """Somebody alters the fingerprint that we promised: Chromium refuses our certificate, and no call comes of it."""
    with Stage(folder) as stage:
        ours, peer = begin(stage, we_call, role=role, alter_ours=other_fingerprint)
        need("no answer", ours.event("answered", 12))
        said = peer.connected()
        need(f"the page took our certificate: {said}", said["state"] == "failed" and said["dtlsState"] == "failed")
        peer.agent.bye()
        last, status = ours.ended(25)
        need("ciphony did not say that the call ended", last)
        need(f"exit status {status} instead of 1: {last}", status == 1)
        silent(last)
        return last["why"]


def scenarios():
    for we_call, who in ((True, "we-call"), (False, "they-call")):
        for role, codec in (("active", "opus"), ("passive", "PCMU")) if we_call else (("active", "PCMU"), ("passive", "opus")):
            yield (f"chromium dtls {codec} {role} {who}", lambda f, a=(we_call, role, codec): talk(f, *a))
        for role in ("active", "passive"):
            yield f"chromium dtls wrong-fingerprint of-theirs {role} {who}", lambda f, a=(we_call, role): attacked(f, *a)
            yield f"chromium dtls wrong-fingerprint of-ours {role} {who}", lambda f, a=(we_call, role): attacked_ours(f, *a)
