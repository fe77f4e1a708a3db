"""Chromium as a peer: a gateway that speaks SIP to us and WebRTC to a page.

What the page's RTCPeerConnection says in SDP goes to our phone and back. Our phone has no ICE, so the gateway answers
the checks (RFC 8445, as ice-lite) in its stead. DTLS, SRTP and SRTCP are carried as they are: the gateway has no key.
"""
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import queue
import re
import socket
import struct
import threading
import wave
import zlib

from peers import HOST, Process
from sip import Agent
from udp import Listener

PAGE = pathlib.Path(__file__).with_name("webrtc.html")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking
 --disable-component-update --disable-features=WebRtcHideLocalIpsWithMdns --allow-loopback-in-peer-connection
 --autoplay-policy=no-user-gesture-required --use-fake-device-for-media-stream --use-fake-ui-for-media-stream""".split()
COOKIE = 0x2112a442


# ---- STUN, as far as somebody is asked (RFC 8489) ------------------------------------------------

def stun_attributes(packet):
    at, found = 20, {}
    while at + 4 <= len(packet):
        kind, n = struct.unpack_from("!HH", packet, at)
        found.setdefault(kind, (at, packet[at + 4:at + 4 + n]))
        at += 4 + (n + 3) // 4 * 4
    return found


def stun_with(packet, kind, value):
    """The message with one attribute more; its length counts it."""
    packet += struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
    return packet[:2] + struct.pack("!H", len(packet) - 20) + packet[4:]


def stun_mac(packet, at, password):
    """MESSAGE-INTEGRITY at offset at: over what stands before, the length as if it were the last one."""
    head = packet[:2] + struct.pack("!H", at + 24 - 20) + packet[4:at]
    return hmac.new(password.encode(), head, hashlib.sha1).digest()


def stun_answer(packet, source, password):
    """The response to a Binding request that proves itself by our password, or None."""
    if len(packet) < 20 or struct.unpack_from("!HHI", packet) != (0x0001, len(packet) - 20, COOKIE):
        return None
    at, mac = stun_attributes(packet).get(0x0008, (0, b""))
    if not at or not hmac.compare_digest(mac, stun_mac(packet, at, password)):
        return None
    host, port = source
    address = struct.unpack("!I", socket.inet_aton(host))[0] ^ COOKIE
    out = struct.pack("!HHI", 0x0101, 0, COOKIE) + packet[8:20]
    out = stun_with(out, 0x0020, struct.pack("!BBHI", 0, 1, port ^ (COOKIE >> 16), address))
    longer = stun_with(out, 0x0008, bytes(20))
    out = stun_with(out, 0x0008, stun_mac(longer, len(out), password))
    longer = stun_with(out, 0x8028, bytes(4))
    return stun_with(out, 0x8028, struct.pack("!I", zlib.crc32(longer[:len(out)]) ^ 0x5354554e))


# ---- the media path ------------------------------------------------------------------------------

class Relay(Listener):
    """One port between the two. Whoever proves the ICE password is the browser."""

    def __init__(self, port, password):
        self.password = password
        self.phone = self.browser = None
        self.checks = self.from_phone = self.from_browser = 0
        super().__init__(port)

    def heard(self, data, source):
        if source != self.phone and data[:1] <= b"\x03":  # RFC 7983
            answer = stun_answer(data, source, self.password)
            if answer:
                self.browser, self.checks = source, self.checks + 1
                self.socket.sendto(answer, source)
            return
        to = self.browser if source == self.phone else self.phone if source == self.browser else None
        self.from_phone += source == self.phone
        self.from_browser += source == self.browser
        if to:
            self.socket.sendto(data, to)

    def __str__(self):
        return f"{self.checks} ICE checks, {self.from_phone} packets of the phone, {self.from_browser} of the page"


# ---- the page ------------------------------------------------------------------------------------

class Page:
    """The browser and its page, which fetches what it is to do and posts what came of it."""

    def __init__(self, folder, port, play):
        self.orders, self.results, self.one_at_a_time = queue.Queue(), queue.Queue(), threading.Lock()
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _send(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path == "/next":
                    self._send(json.dumps(page.orders.get()).encode(), "application/json")
                elif self.path == "/said.wav":
                    self._send(pathlib.Path(play).read_bytes(), "audio/wav")
                elif self.path == "/":
                    self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
                else:
                    self.send_error(404)

            def do_POST(self):
                page.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._send(b"", "text/plain")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.process = Process("chromium", ["chromium", *FLAGS, f"--user-data-dir={folder}/profile",
                                            f"http://{HOST}:{port}/"], folder)
        self.result(30)  # it is there

    def result(self, seconds):
        try:
            got = self.results.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError("the page said nothing") from None
        if "failed" in got:
            raise RuntimeError(f"the page: {got['failed']}")
        return got

    def do(self, what, **more):
        with self.one_at_a_time:
            self.orders.put({"do": what, **more})
            return self.result(15)

    def stop(self):
        self.process.stop()
        self.server.shutdown()
        self.server.server_close()


def only(codec, sdp):
    """The description with one codec left in its m= line."""
    number = re.search(rf"(?mi)^a=rtpmap:(\d+) {codec}/", sdp).group(1)
    sdp = re.sub(rf"(?m)^a=(rtpmap|fmtp):(?!{number} )\d+ [^\n]*\n", "", sdp)
    return re.sub(r"(?m)^(m=audio \d+ \S+)[ \d]+", rf"\1 {number}", sdp)


# ---- both together -------------------------------------------------------------------------------

class Chromium:
    """role: what our phone becomes in the handshake, active or passive. codec: opus or PCMU. alter_theirs, alter_ours:
    what somebody in between does to the description that our phone, or the page, is given."""

    def __init__(self, folder, sip_port, media_port, play, role="active", codec="opus", alter_theirs=None, alter_ours=None):
        folder.mkdir(parents=True, exist_ok=True)
        same = lambda sdp: sdp  # noqa: E731
        self.folder, self.role, self.codec = folder, role, codec
        self.alter_theirs, self.alter_ours = alter_theirs or same, alter_ours or same
        self.ufrag, self.password = "gateway", "a-password-of-the-gateway"
        self.relay = Relay(media_port, self.password)
        self.page = Page(folder, sip_port + 1000, play)
        self.agent = Agent(sip_port, self._answer)

    def _to_page(self, sdp):
        """Our phone's description with the gateway's address and ICE in place of its own."""
        host = re.search(r"(?m)^c=IN IP4 (\S+)", sdp).group(1)
        self.relay.phone = host, int(re.search(r"(?m)^m=audio (\d+)", sdp).group(1))
        sdp = re.sub(r"(?m)^m=audio \d+", f"m=audio {self.relay.port}", sdp)
        return self.alter_ours(sdp) + (
            f"a=ice-lite\r\na=ice-ufrag:{self.ufrag}\r\na=ice-pwd:{self.password}\r\n"
            f"a=candidate:1 1 udp 2130706431 {HOST} {self.relay.port} typ host\r\na=end-of-candidates\r\n")

    def _to_phone(self, sdp):
        """The page's description as it is, but for the address."""
        sdp = re.sub(r"(?m)^m=audio \d+", f"m=audio {self.relay.port}", sdp)
        sdp = re.sub(r"(?m)^c=IN IP4 \S+", f"c=IN IP4 {HOST}", sdp)
        sdp = re.sub(r"(?m)^a=rtcp:\d+ IN IP4 \S+", f"a=rtcp:{self.relay.port} IN IP4 {HOST}", sdp)
        return self.alter_theirs(sdp)

    def _answer(self, offer):
        """A page answers actpass with active. Where our phone is to be active, it reads that our phone insists. And it
        sends what the offer has first, whatever its answer says: it gets to see one codec."""
        offer = only(self.codec, offer)
        if self.role == "active":
            offer = offer.replace("a=setup:actpass", "a=setup:active")
        return self._to_phone(self.page.do("answer", sdp=self._to_page(offer))["sdp"])

    def call(self, uri):
        """A page offers actpass, which our phone answers with active. Where it is to be passive, it reads active."""
        offer = self._to_phone(self.page.do("offer", codec=self.codec)["sdp"])
        if self.role == "passive":
            offer = offer.replace("a=setup:actpass", "a=setup:active")
        final = self.agent.call(uri, offer)
        if final and final.status == 200:
            self.page.do("accept", sdp=self._to_page(final.body))

    def connected(self, seconds=10):
        """What the page's statistics say of its transport once the state is final."""
        return self.page.do("transport", seconds=seconds)

    def heard(self):
        return self.folder / "chromium-heard.wav"

    def stop(self):
        try:
            pcm = base64.b64decode(self.page.do("heard")["pcm"])
            with wave.open(str(self.heard()), "wb") as out:
                out.setparams((1, 2, 48000, 0, "NONE", None))
                out.writeframes(pcm)
        except RuntimeError:
            pass  # then there is no recording, and who wants it says so
        self.page.stop()
        self.agent.stop()
        self.relay.stop()
