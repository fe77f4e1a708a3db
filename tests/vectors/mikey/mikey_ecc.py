#!/usr/bin/env python3
"""MIKEY on curves, written apart from the C code from the ECC variants of draft-ietf-msec-mikey-ecc and
the numbers and derivations that docs/rooms/keying-mikey.md and crypto_envelope.h give: makes
messages_p256.txt and messages_p384.txt. ECIES, MQV and the curves are those of ../crypto/ecies.py;
ECDSA and certificates are python3-cryptography's.
"""
import hashlib
import hmac
import os
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

import mikey as m

sys.path.insert(0, os.path.join(m.HERE, '..', 'crypto'))
import ecies  # noqa: E402

ECDSA = 15
GROUPS = {'P-256': (244, ec.SECP256R1()), 'P-384': (245, ec.SECP384R1()), 'P-521': (246, ec.SECP521R1())}
HASH = {'P-256': hashes.SHA256(), 'P-384': hashes.SHA384()}


class Party:
    def __init__(self, curve, name, uri):
        self.curve, self.hash = curve, HASH[curve.name]
        self.d = ecies.scalar(curve, name)
        self.q = curve.mul(self.d, curve.g)
        self.key = ec.derive_private_key(self.d, GROUPS[curve.name][1])
        self.cert = m.cert(self.key, uri)

    def sign(self, text):
        size = self.curve.size
        r, s = decode_dss_signature(self.key.sign(text, ec.ECDSA(self.hash)))
        return r.to_bytes(size, 'big') + s.to_bytes(size, 'big')

    def sign_payload(self):
        return m.SIGN, m.u(2, ECDSA << 12 | 2 * self.curve.size)

    def box(self, secret):
        """ECIES to this one"""
        c = self.curve
        e = ecies.scalar(c, 'ephemeral ' + secret.hex())
        point = c.mul(e, c.g)
        z = c.mul(e, self.q)[0].to_bytes(c.size, 'big')
        keys = ecies.hkdf(z, b'ECIES', c.wire(point) + c.wire(self.q), len(secret) + 32)
        box = bytes(x ^ y for x, y in zip(secret, keys))
        return b'\4' + c.wire(point) + box + hmac.digest(keys[len(secret):], box, 'sha256')


def pke(box):
    return m.PKE, m.u(2, 2 << 14 | len(box)) + box


def head(alice, rand):
    return [m.t(), (m.RAND, m.u(1, len(rand)) + rand), m.IDI, m.long(m.CERT, 0, alice.cert), m.IDR, m.LIST,
            m.sp()]


def inner_kemac(key, csb, rand, clear):
    """In public-key modes the MAC is over the payload alone, its "next" zero."""
    data = m.protect(key, csb, rand, 1, clear)
    body = m.u(1, 1) + m.u(2, len(data)) + data + m.u(1, 1)
    return m.KEMAC, body + m.mac(key, csb, rand, m.u(1, m.LAST) + body)


def rsa(out, alice, bob, csb, rand, tgk, envelope):
    clear = m.u(1, m.KEY) + m.IDI[1] + m.key_sub(tgk)
    i = m.message(2, csb, True, head(alice, rand) + [inner_kemac(envelope, csb, rand, clear),
                                                     pke(bob.box(envelope)), alice.sign_payload()])
    i += alice.sign(i)
    r = m.message(3, csb, False, [m.t(), m.IDR, (m.V, m.u(1, 1))])
    r += m.mac(envelope, csb, rand, r + m.tail())
    out.record(name='RSA, by ECIES', type=2, psk=envelope, csb=m.u(4, csb), rand=rand, tgk=tgk, message_i=i,
               message_r=r, **m.srtp(tgk, csb, rand))


def rsar(out, alice, bob, csb, rand, tgk, envelope):
    i = m.message(9, csb, True, head(alice, rand) + [alice.sign_payload()])
    i += alice.sign(i)
    clear = m.u(1, m.KEY) + m.IDR[1] + m.key_sub(tgk)
    r = m.message(10, csb, False, [m.t(), m.IDR, m.long(m.CERT, 0, bob.cert), m.sp(),
                                   inner_kemac(envelope, csb, rand, clear), pke(alice.box(envelope)),
                                   bob.sign_payload()])
    r += bob.sign(r[:-2] + m.tail())
    out.record(name='RSA-R, by ECIES', type=9, csb=m.u(4, csb), rand=rand, tgk=tgk, message_i=i, message_r=r,
               **m.srtp(tgk, csb, rand))


def ecmqv(out, alice, bob, csb, rand, tgk):
    c = alice.curve
    e = ecies.scalar(c, 'of now')
    point = c.mul(e, c.g)
    x = c.mqv(alice.d, e, point, bob.q, bob.q)
    assert x == c.mqv(bob.d, bob.d, bob.q, alice.q, point)
    key = ecies.hkdf(x, b'ECMQV', c.wire(point) + c.wire(alice.q) + c.wire(bob.q), 32)
    data = m.protect(key, csb, rand, 1, m.key_sub(tgk))
    kemac = m.KEMAC, m.u(1, 1) + m.u(2, len(data)) + data + m.u(1, 1)
    i = m.message(250, csb, True, head(alice, rand) + [pke(c.wire(point)), kemac])
    i += m.mac(key, csb, rand, i)
    r = m.message(251, csb, False, [m.t(), m.IDR, (m.V, m.u(1, 1))])
    r += m.mac(key, csb, rand, r + m.tail())
    out.record(name='ECMQV', type=250, psk=key, csb=m.u(4, csb), rand=rand, tgk=tgk, message_i=i, message_r=r,
               **m.srtp(tgk, csb, rand))


def dhsign(out, alice, bob, group, csb, rand):
    number, curve = GROUPS[group]
    size = (curve.key_size + 7) // 8
    keys = [ec.derive_private_key(int.from_bytes(hashlib.sha256(f'{group} {who}'.encode()).digest(), 'big')
                                  >> 8, curve) for who in ('i', 'r')]

    def wire(key):
        q = key.public_key().public_numbers()
        return q.x.to_bytes(size, 'big') + q.y.to_bytes(size, 'big')
    tgk = keys[0].exchange(ec.ECDH(), keys[1].public_key())
    assert len(tgk) == size
    dhi, dhr = ((m.DH, m.u(1, number) + wire(k) + m.u(1, 0)) for k in keys)
    i = m.message(4, csb, True, head(alice, rand) + [dhi, alice.sign_payload()])
    i += alice.sign(i)
    r = m.message(5, csb, False, [m.t(), m.IDR, m.long(m.CERT, 0, bob.cert), m.IDI, dhr, dhi,
                                  bob.sign_payload()])
    r += bob.sign(r)
    out.record(name=f'DHSIGN over {group}, by ECDSA', type=4, csb=m.u(4, csb), rand=rand,
               x=keys[0].private_numbers().private_value.to_bytes(size, 'big'), y=wire(keys[0]), tgk=tgk,
               message_i=i, message_r=r, **m.srtp(tgk, csb, rand))


def main():
    def det(text, n):
        return hashlib.sha512(text.encode()).digest()[:n]
    for name, file in (('P-256', 'messages_p256.txt'), ('P-384', 'messages_p384.txt')):
        curve = ecies.Curve(name)
        alice, bob = Party(curve, 'alice', m.ALICE), Party(curve, 'bob', m.BOB)
        out = m.File(file, 'draft-ietf-msec-mikey-ecc with our numbers, by mikey_ecc.py beside this file')
        out.record(name='certificates', wall=m.WALL, key_i=m.pkcs8(alice.key), cert_i=alice.cert,
                   key_r=m.pkcs8(bob.key), cert_r=bob.cert)
        rand = det('rand', 16)
        rsa(out, alice, bob, 20, rand, det('tgk', 16), det('envelope', 24))
        rsar(out, alice, bob, 21, rand, det('tgk', 16), det('envelope', 24))
        ecmqv(out, alice, bob, 22, rand, det('tgk', 32))
        for i, group in enumerate(GROUPS):
            dhsign(out, alice, bob, group, 23 + i, rand)
        out.f.close()


if __name__ == '__main__':
    main()
