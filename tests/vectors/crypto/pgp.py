#!/usr/bin/env python3
"""OpenPGP keys and signatures made by GnuPG (`gpg` of Debian 12): makes pgp.txt.

    pgp.py                  write pgp.txt beside this file
    pgp.py --test PROGRAM   make others, and run PROGRAM on them; 77 if there is no gpg

load and verify say what must come of a record, by the name of the error; "OK" if it is not there."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap

MSG = b"what both ends have computed ..."
URI = "hkps://keys.example.org/alice"
BORN, SIGNED, NOW = "20260101T000000", "20260201T000000", 1772323200  # 2026-03-01
YEAR = 365 * 86400


class Gpg:
    def __init__(self, home):
        self.home = home

    def run(self, *args, when=BORN, data=None, check=True):
        done = subprocess.run(["gpg", "-q", "--homedir", self.home, "--batch", "--yes", "--no-tty", "--pinentry-mode",
                               "loopback", "--passphrase", "", "--faked-system-time", when + "!", *args],
                              input=data, capture_output=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"gpg {' '.join(args)}: {done.stderr.decode()}")
        return done.stdout

    def key(self, name, algo, usage="sign", expires="never", options=()):
        self.run(*options, "--quick-gen-key", f"{name} <{name}@example.org>", algo, usage, expires)
        listing = self.run("--with-colons", "--list-keys", name).decode().splitlines()
        return next(line.split(":")[9] for line in listing if line.startswith("fpr"))

    def sign(self, name, *options, data=MSG, when=SIGNED, digest="SHA256"):
        return self.run("--local-user", name, "--digest-algo", digest, "--sig-keyserver-url", URI, *options,
                        "--detach-sign", when=when, data=data)

    def export(self, name, *options):
        return self.run(*options, "--export", name)

    def edit(self, name, *commands, when=BORN):
        lines = "".join(c + "\n" for c in commands).encode()
        self.run("--command-fd", "0", "--expert", "--edit-key", name, data=lines, when=when)


def record(out, name, key, sig, load="OK", verify="OK", names="", now=NOW, until=0):
    fields = {"name": name, "load": load, "verify": verify, "names": names, "now": str(now), "until": str(until),
              "msg": MSG.hex(), "key": key.hex(), "sig": sig.hex()}
    for k, v in fields.items():
        lines = textwrap.wrap(f"{k}: {v}", 110, break_on_hyphens=False) or [f"{k}:"]
        lines = [v[i:i + 100] for i in range(0, len(v), 100)] or [""]
        out.append(f"{k}: " + "\n  ".join(lines))
    out.append("")


def make(g):
    out = []
    for name, algo, digest in (("p256", "nistp256", "SHA256"), ("p384", "nistp384", "SHA384"),
                               ("p521", "nistp521", "SHA512"), ("ed", "ed25519", "SHA512"),
                               ("rsa", "rsa2048", "SHA256"), ("dsa", "dsa2048", "SHA256")):
        g.key(name, algo)
        record(out, f"{algo} with {digest}", g.export(name), g.sign(name, digest=digest), names=f"{name}@example.org")
    record(out, "P-256 with SHA-512", g.export("p256"), g.sign("p256", digest="SHA512"))
    record(out, "in armour", g.export("p256", "--armor"), g.sign("p256"))
    record(out, "with SHA-1", g.export("rsa"), g.sign("rsa", digest="SHA1"), verify="UNSUPPORTED")
    record(out, "as text", g.export("rsa"), g.sign("rsa", "--textmode"), verify="UNSUPPORTED")
    record(out, "over something else", g.export("p256"), g.sign("p256", data=MSG[:-1] + b"!"), verify="AUTH")
    record(out, "by another key", g.export("p256"), g.sign("p384", digest="SHA384"), verify="NOKEY")
    record(out, "from the future", g.export("p256"), g.sign("p256"), now=1767225600, verify="POLICY")
    record(out, "before the key was made", g.export("p256"),
           g.sign("p256", "--ignore-time-conflict", "--ignore-valid-from", when="20251231T000000"), verify="POLICY")
    record(out, "a signature that expired", g.export("p256"), g.sign("p256", "--default-sig-expire", "1w"),
           verify="EXPIRED")
    record(out, "a signature that will expire", g.export("p256"), g.sign("p256", "--default-sig-expire", "2m"))
    record(out, "critical and unknown", g.export("p256"), g.sign("p256", "--sig-notation", "!x@example.org=1"),
           verify="UNSUPPORTED")
    record(out, "unknown and not critical", g.export("p256"), g.sign("p256", "--sig-notation", "x@example.org=1"))

    g.key("lasting", "nistp256", expires="1y")
    record(out, "a key for a year", g.export("lasting"), g.sign("lasting"), until=1767225600 + YEAR)

    fpr = g.key("sub", "rsa2048", usage="cert")
    g.run("--quick-add-key", fpr, "ed25519", "sign", "never")
    g.run("--quick-add-key", fpr, "cv25519", "encr", "never")
    record(out, "a subkey", g.export("sub"), g.sign("sub"), names="sub@example.org")
    signed = g.sign("sub")
    g.edit("sub", "key 1", "revkey", "y", "0", "", "y", "save", when=SIGNED)
    record(out, "a subkey that was revoked", g.export("sub"), signed, verify="NOKEY")

    g.key("two", "nistp256")
    g.run("--quick-add-uid", "two", "Two <sip:two@example.net>")
    record(out, "two names", g.export("two"), g.sign("two"), names="sip:two@example.net")
    g.run("--quick-revoke-uid", "two", "two <two@example.org>", when=SIGNED)
    record(out, "one name that was revoked", g.export("two"), g.sign("two"), names="two@example.net")
    both = g.export("two")

    g.key("old", "rsa2048", options=("--cert-digest-algo", "SHA1"))
    record(out, "SHA-1 under its own name", g.export("old"), g.sign("old"), load="UNSUPPORTED")

    fpr = g.key("gone", "nistp256")
    sig = g.sign("gone")
    rev = pathlib.Path(g.home, "openpgp-revocs.d", fpr + ".rev").read_text()
    g.run("--import", data=rev.replace(":-----BEGIN", "-----BEGIN").encode())
    record(out, "revoked", g.export("gone"), sig, load="EXPIRED")

    record(out, "two keys", g.export("p256") + both, g.sign("p256"), load="TRAILING")
    return "source: GnuPG 2.2.40, by pgp.py beside this file\n" + "\n".join(out)


def made():
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        os.chmod(home, 0o700)
        try:
            return make(Gpg(home))
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


if sys.argv[1:2] == ["--test"]:
    if not shutil.which("gpg"):
        raise SystemExit(77)
    with tempfile.TemporaryDirectory() as top:
        pathlib.Path(top, "crypto").mkdir()
        pathlib.Path(top, "crypto", "pgp.txt").write_text(made())
        raise SystemExit(subprocess.run([sys.argv[2]], env=dict(os.environ, CPH_VECTORS=top), check=False).returncode)
pathlib.Path(__file__).with_suffix(".txt").write_text(made())
