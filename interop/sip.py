"""As much SIP over UDP as a gateway needs: one call at a time, one description each way, no loss (it is a loopback)."""
import itertools
import re
import threading

from udp import HOST, Listener


class Message:
    """A request or a response as it came: its first line, its header lines in order, its body."""

    def __init__(self, data):
        head, _, self.body = data.decode("utf-8", "surrogateescape").partition("\r\n\r\n")
        self.first, *lines = head.split("\r\n")
        self.lines = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line]
        self.status = int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else None
        self.method = self.first.split()[0] if self.status is None else self.header("CSeq").split()[1]

    def all(self, name):
        return [value for n, value in self.lines if n.lower() == name.lower()]

    def header(self, name):
        return (self.all(name) or [""])[0]

    def echoed(self):
        """The lines of a request that its response repeats."""
        return [(n, v) for n, v in self.lines if n.lower() in ("via", "from", "call-id", "cseq", "record-route")]


def text(first, lines, body=""):
    if body:
        lines = [*lines, ("Content-Type", "application/sdp")]
    lines = [*lines, ("Content-Length", str(len(body.encode())))]
    return "\r\n".join([first, *(f"{n}: {v}" for n, v in lines), "", body]).encode()


class Agent(Listener):
    """A user agent on one port. answer(sdp) makes the description for a call that comes; None refuses it (488)."""

    def __init__(self, port, answer=None):
        self.answer = answer
        self.contact = f"<sip:gateway@{HOST}:{port}>"
        self.final, self.seen = None, threading.Condition()
        self.sent = {}  # what a request was answered with, by branch and method, for when it comes again
        self.branch = itertools.count(1)
        self.dialog = None  # where, its URI, and our lines From, To, Call-ID
        super().__init__(port)

    def heard(self, data, source):
        message = Message(data)
        if message.status is None:
            self._request(message, source)
        elif message.method == "INVITE" and message.status >= 200:
            with self.seen:
                self.final = message
                self.seen.notify_all()

    def _request(self, message, source):
        key = message.header("Via"), message.method
        if message.method == "ACK":
            return
        if key not in self.sent:
            self.sent[key] = b""  # being worked on: what comes again meanwhile is passed over
            if message.method == "INVITE" and self.answer and "tag=" not in message.header("To"):
                threading.Thread(target=self._incoming, args=(message, source, key), daemon=True).start()
                return
            words = "200 OK" if message.method in ("BYE", "CANCEL") else "488 Not Acceptable Here"
            self.sent[key] = text(f"SIP/2.0 {words}", [*message.echoed(), ("To", message.header("To"))])
        if self.sent[key]:
            self.socket.sendto(self.sent[key], source)

    def _incoming(self, message, source, key):
        us = message.header("To") + ";tag=gateway"
        body = self.answer(message.body)
        self.dialog = source, re.search(r"<(.+?)>", message.header("Contact")).group(1), us, message.header("From"), \
            message.header("Call-ID")
        self.sent[key] = text("SIP/2.0 " + ("200 OK" if body else "488 Not Acceptable Here"),
                              [*message.echoed(), ("To", us), ("Contact", self.contact)], body or "")
        self.socket.sendto(self.sent[key], source)

    def _send(self, method, uri, number, body=""):
        where, _, us, them, call_id = self.dialog
        lines = [("Via", f"SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{next(self.branch)}"), ("Max-Forwards", "70"),
                 ("From", us), ("To", them), ("Call-ID", call_id), ("CSeq", f"{number} {method}"),
                 ("Contact", self.contact)]
        self.socket.sendto(text(f"{method} {uri} SIP/2.0", lines, body), where)

    def call(self, uri, body, seconds=10):
        """The final response to an INVITE, acknowledged; None when none came."""
        host, port = re.search(r"@([^:;>]+):(\d+)", uri).groups()
        self.dialog = (host, int(port)), uri, f"<sip:gateway@{HOST}:{self.port}>;tag=gateway", f"<{uri}>", "gateway-calls"
        self._send("INVITE", uri, 1, body)
        with self.seen:
            self.seen.wait_for(lambda: self.final, seconds)
        if not self.final:
            return None
        contact = re.search(r"<(.+?)>", self.final.header("Contact"))
        where, _, us, _, call_id = self.dialog
        self.dialog = where, contact.group(1) if contact else uri, us, self.final.header("To"), call_id
        self._send("ACK", self.dialog[1], 1)
        return self.final

    def bye(self):
        self._send("BYE", self.dialog[1], 2)
