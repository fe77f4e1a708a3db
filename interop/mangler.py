"""An attacker on the signalling path: a UDP relay that alters the descriptions which pass it."""
import re
import socket
import threading

HOST = "127.0.0.1"


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


MANGLES = {"wrong-fingerprint": other_fingerprint, "stripped-crypto": without_keys, "stripped-to-rtp": as_rtp}


class Mangler:
    """Listens on one port, forwards to another; answers go back to whoever asked last. Alters what the target
    sends (answers) or what is sent to it (offers)."""

    def __init__(self, port, target, mangle, answers):
        self.alter, self.target, self.answers, self.altered = MANGLES[mangle], (HOST, target), answers, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, port))
        self.socket.settimeout(0.2)
        self.asker, self.over = None, False
        self.thread = threading.Thread(target=self._relay, daemon=True)
        self.thread.start()

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

    def _relay(self):
        while not self.over:
            try:
                data, source = self.socket.recvfrom(65535)
            except (socket.timeout, ConnectionError):
                continue
            except OSError:
                return
            if source == self.target:
                where = self.asker
            else:
                self.asker, where = source, self.target
            if where:
                self.socket.sendto(self._message(data) if (source == self.target) == self.answers else data, where)

    def stop(self):
        self.over = True
        self.thread.join(1)
        self.socket.close()
