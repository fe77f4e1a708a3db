"""The programs we call and are called by, each started in a folder of its own with nothing of the user's.

Everything runs inside a network namespace that has the loopback interface alone (see interop/run), so fixed ports
are nobody else's and no packet can leave the machine.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time

from udp import HOST


class Process:
    """A child whose output is read as it comes, and which is gone when the scenario is."""

    def __init__(self, name, argv, folder, env=None):
        self.name, self.folder = name, folder
        self.lines, self.seen = [], threading.Condition()
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        for sub in (".local/share/linphone", ".config", ".local/share"):
            (home / sub).mkdir(parents=True, exist_ok=True)
        full = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb", **(env or {})}
        self.child = subprocess.Popen(argv, cwd=folder, env=full, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with open(self.folder / f"{self.name}.log", "wb") as log:
            for raw in self.child.stdout:
                log.write(raw)
                log.flush()
                with self.seen:
                    self.lines.append(raw.decode("utf-8", "replace").rstrip())
                    self.seen.notify_all()
        with self.seen:
            self.seen.notify_all()

    def wait_line(self, test, seconds, start=0):
        """The first line (from index start) for which test(line) is true, or None when the time is over."""
        end = time.monotonic() + seconds
        with self.seen:
            at = start
            while True:
                while at < len(self.lines):
                    if test(self.lines[at]):
                        return self.lines[at]
                    at += 1
                left = end - time.monotonic()
                if left <= 0 or (self.child.poll() is not None and not self.reader.is_alive()):
                    return None
                self.seen.wait(min(left, 0.2))

    def say(self, text):
        try:
            self.child.stdin.write(text.encode())
            self.child.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def stop(self, seconds=3):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        self.reader.join(2)


def wait_port(port, proto, seconds=8):
    """Until somebody listens there (UDP: until the port is taken)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM) as s:
            try:
                if proto == "udp":
                    s.bind((HOST, port))
                else:
                    s.connect((HOST, port))
                    return True
            except OSError:
                if proto == "udp":
                    return True
        time.sleep(0.05)
    return False


class Ciphony:
    """`ciphony call` or `ciphony answer` with --json: one object a line."""

    def __init__(self, binary, folder, verb, *args, name="ciphony", env=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.recording = folder / f"{name}-heard.wav"
        self.process = Process(name, [binary, verb, *map(str, args), "--json"], folder, env)

    def seen(self):
        """How many lines there are so far, for event()."""
        return len(self.process.lines)

    def event(self, kind, seconds, start=0, **fields):
        """The first such event from line start on that has these fields, or None when the time is over."""
        def is_it(line):
            try:
                said = json.loads(line)
                return said.get("event") == kind and all(said.get(k) == v for k, v in fields.items())
            except (ValueError, AttributeError):
                return False
        line = self.process.wait_line(is_it, seconds, start)
        return json.loads(line) if line else None

    def key(self, keys):
        self.process.say(keys)

    def ended(self, seconds=20):
        """The last object and the exit status."""
        last = self.event("ended", seconds)
        try:
            status = self.process.child.wait(5)
        except subprocess.TimeoutExpired:
            status = None
        return last, status

    def stop(self):
        self.process.stop()


class Linphonec:
    """Debian's linphonec, driven by its prompt. Takes calls with -a, plays and records WAV files."""

    def __init__(self, folder, sip_port, rtp_port, keying, play=None, auto=True, tls_ca=None,
                 register=None, capabilities=False):
        """capabilities: it asks for keys and takes them by RFC 5939, and its m= lines are plain RTP."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, sip_port
        self.recording = folder / "linphonec-heard.wav"
        self.secrets = folder / "home/.linphone-zidcache"
        rc = f"""[sip]
sip_port={sip_port}
sip_tcp_port={sip_port}
sip_tls_port={sip_port + 1}
media_encryption={keying if not capabilities else "none"}
media_encryption_mandatory={int(keying != "none" and not capabilities)}
use_ipv6=0
verify_server_certs={int(tls_ca is not None)}
verify_server_cn=0
"""
        if capabilities:
            rc += ("support_capability_negotiations=1\ncapability_negotiations_reinvite=1\n"
                   f"supported_encryptions=LinphoneMediaEncryption{keying.upper()}\n")
        if tls_ca:
            rc += f"root_ca={tls_ca}\n"
        if register:
            rc += "default_proxy=0\n"
        rc += f"""[rtp]
audio_rtp_port={rtp_port}
[video]
enabled=0
automatically_initiate=0
automatically_accept=0
"""
        if register:
            rc += (f"[proxy_0]\nreg_proxy={register['proxy']}\nreg_identity={register['identity']}\nreg_expires=300\n"
                   "reg_sendregister=1\npublish=0\n")
        (folder / "rc").write_text(rc)
        argv = ["linphonec", "-c", str(folder / "rc"), "-d", "6", "-l", str(folder / "linphonec.debug")]
        self.process = Process("linphonec", argv + (["-a"] if auto else []), folder)
        self.process.say("soundcard use files\n")
        if play:
            self.process.say(f"play {play}\n")
        self.process.say(f"record {self.recording}\n")
        wait_port(sip_port, "udp")
        time.sleep(0.5)

    def call(self, uri):
        self.process.say(f"call {uri}\n")

    def hold(self):
        self.process.say("pause\n")

    def resume(self):
        self.process.say("resume 1\n")

    def verified(self, seconds=6):
        """Its user finds the strings equal; waits until its cache has it. It can be deaf to the command just after the
        keys came, so it is said again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.process.say("zrtp-set-verified\n")
            for _ in range(10):
                time.sleep(0.1)
                with contextlib.closing(sqlite3.connect(self.folder / "home" / ".linphone-zidcache")) as cache:
                    if cache.execute("select count(*) from zrtp where pvs = x'01'").fetchone()[0]:
                        return True
        return False

    def knew_us(self):
        """Does it call our string verified in an earlier call?"""
        return "previously verified yes" in (self.folder / "linphonec.debug").read_text(errors="replace")

    def sas(self, ours, seconds=5):
        """The strings it has told in its log; waits until ours is among them."""
        end = time.monotonic() + seconds
        while True:
            log = (self.folder / "linphonec.debug").read_text(errors="replace")
            told = re.findall(r"ZRTP secrets on: SAS is (\S+)", log)
            if ours in told or time.monotonic() > end:
                return told
            time.sleep(0.2)

    def press(self, digit):
        self.process.say(f"{digit}\n")

    def told_over(self, seconds):
        return self.process.wait_line(lambda line: " ended (" in line, seconds)

    def heard_digit(self, digit, seconds):
        return self.process.wait_line(lambda line: f"Receiving tone {digit} " in line, seconds)

    def stop(self):
        self.process.say("terminate all\nquit\n")
        try:
            self.process.child.wait(4)
        except subprocess.TimeoutExpired:
            pass
        self.process.stop()

    def heard(self):
        return self.recording


class Baresip:
    """Debian's baresip with G.711 alone, playing a file and recording what it hears with its sndfile module."""

    def __init__(self, folder, sip_port, rtp_port, keying, play, transport="udp", cert=None, ca=None, register=None,
                 rtcp_mux=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, sip_port
        config = f"""sip_listen {HOST}:{sip_port}
call_local_timeout 60
audio_source aufile,{play}
audio_player aubridge,nil
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {rtp_port}-{rtp_port + 40}
rtcp_mux {"yes" if rtcp_mux else "no"}
net_interface {HOST}
snd_path {folder}
module_path {module_path()}
module cons.so
module g711.so
module aubridge.so
module sndfile.so
module aufile.so
module srtp.so
module dtls_srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
cons_listen {HOST}:{sip_port + 500}
"""
        if cert:
            config += f"sip_certificate {cert}\n"
        if ca:
            config += f"sip_cafile {ca}\n"
        (folder / "config").write_text(config)
        who = register["identity"] if register else f"sip:peer@{HOST}:{sip_port}"
        regint = "regint=300" if register else "regint=0"
        proxy = f";outbound=\"{register['proxy']}\"" if register else ""
        media = f";mediaenc={keying}" if keying else ""
        (folder / "accounts").write_text(f"<{who};transport={transport}>;{regint}{proxy}{media};answermode=auto;"
                                         "audio_codecs=PCMU/8000/1\n")
        self.process = Process("baresip", ["baresip", "-f", str(folder), "-v"], folder)
        self.process.wait_line(lambda line: "baresip is ready" in line, 8)

    def command(self, text):
        """One line of its UDP console, e.g. "/dial sip:..." or "/hangup"."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(text.encode() + b"\n", (HOST, self.port + 500))

    def call(self, uri):
        self.command(f"/dial {uri}")

    def hold(self):
        self.command("/hold")

    def resume(self):
        self.command("/resume")

    def press(self, digit):
        self.command(digit + "\x04")  # its code for a key let go: the event ends there

    def told_over(self, seconds):
        return self.process.wait_line(lambda line: " terminated (duration:" in line, seconds)

    def heard_digit(self, digit, seconds):
        return self.process.wait_line(lambda line: f"received event: '{digit}' (end=1)" in line, seconds)

    def stop(self):
        self.process.stop()

    def heard(self):
        found = sorted(self.folder.glob("dump-*-dec.wav"))
        return found[-1] if found else None


def module_path():
    for path in ("/usr/lib/baresip/modules", *map(str, pathlib.Path("/usr/lib").glob("*/baresip/modules"))):
        if os.path.isdir(path):
            return path
    return "/usr/lib/baresip/modules"


class Kamailio:
    """A registrar and record-routing proxy over UDP and TLS."""

    def __init__(self, folder, cert, key, udp=5060, tls=5061):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tls.cfg").write_text(f"[server:default]\nmethod = TLSv1.2+\nprivate_key = {key}\ncertificate = {cert}\n"
                                        "verify_certificate = no\nrequire_certificate = no\n[client:default]\n"
                                        "method = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n")
        modules = "tls tm sl rr pv maxfwd usrloc registrar textops siputils xlog".split()
        (folder / "kamailio.cfg").write_text(f"""#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
enable_tls=yes
auto_aliases=no
listen=udp:{HOST}:{udp}
listen=tls:{HOST}:{tls}
{chr(10).join(f'loadmodule "{m}.so"' for m in modules)}
modparam("tls", "config", "{folder}/tls.cfg")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "gruu_enabled", 0)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("REGISTER")) {{ save("location"); xlog("L_NOTICE", "registered $tu\n"); exit; }}
    if (has_totag()) {{
        if (loose_route() || is_method("ACK")) {{ t_relay(); }} else {{ sl_send_reply("404", "Not here"); }}
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    record_route();
    if (uri == myself && !lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
""")
        self.process = Process("kamailio", ["kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "8",
                                            "-Y", str(folder), "-P", str(folder / "pid")], folder)
        wait_port(tls, "tcp")

    def registered(self, uri, seconds=10, times=1):
        seen = iter(range(1, times + 1))
        return self.process.wait_line(lambda line: f"registered {uri}" in line and next(seen) == times, seconds)

    def stop(self):
        self.process.stop()
