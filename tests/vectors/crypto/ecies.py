#!/usr/bin/env python3
"""ECIES and one-pass MQV, written from SEC 1 3.4 and 5.1, SP 800-56A 5.7.2.3 and the comments of
crypto_envelope.h apart from the C code: makes ecies.txt. Curves are spelled out with integers.
"""
import hashlib
import hmac
import os

CURVES = {
    'P-256': (2**256 - 2**224 + 2**192 + 2**96 - 1,
              0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b,
              0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
              0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5,
              0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551,
              '06082a8648ce3d030107'),
    'P-384': (2**384 - 2**128 - 2**96 + 2**32 - 1,
              0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef,
              0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7,
              0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f,
              0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973,
              '06052b81040022'),
}


class Curve:
    def __init__(self, name):
        self.name = name
        self.p, self.b, gx, gy, self.n, self.oid = CURVES[name]
        self.g = (gx, gy)
        self.size = (self.p.bit_length() + 7) // 8
        assert (gy * gy - gx**3 + 3 * gx - self.b) % self.p == 0

    def add(self, a, b):
        if a is None or b is None:
            return a or b
        if a[0] == b[0] and (a[1] + b[1]) % self.p == 0:
            return None
        if a == b:
            slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, self.p)
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, self.p)
        x = (slope * slope - a[0] - b[0]) % self.p
        return x, (slope * (a[0] - x) - a[1]) % self.p

    def mul(self, k, point):
        out = None
        while k:
            if k & 1:
                out = self.add(out, point)
            point, k = self.add(point, point), k >> 1
        return out

    def wire(self, point):
        return point[0].to_bytes(self.size, 'big') + point[1].to_bytes(self.size, 'big')

    def avf(self, point):
        half = (self.n.bit_length() + 1) // 2
        return point[0] % 2**half + 2**half

    def mqv(self, d1, d2, own2, peer1, peer2):
        s = (d2 + self.avf(own2) * d1) % self.n
        return self.mul(s, self.add(peer2, self.mul(self.avf(peer2), peer1)))[0].to_bytes(self.size, 'big')

    def key(self, d):
        """RFC 5915, so that a program can load it."""
        def tlv(tag, *parts):
            body = b''.join(parts)
            length = bytes([len(body)]) if len(body) < 128 else bytes([0x81, len(body)])
            return bytes([tag]) + length + body
        point = tlv(0x03, b'\0\4' + self.wire(self.mul(d, self.g)))
        return tlv(0x30, tlv(2, b'\1'), tlv(4, d.to_bytes(self.size, 'big')),
                   tlv(0xa0, bytes.fromhex(self.oid)), tlv(0xa1, point))


def hkdf(ikm, salt, info, n):
    prk, out, t = hmac.digest(salt, ikm, 'sha256'), b'', b''
    for i in range(1, n // 32 + 2):
        t = hmac.digest(prk, t + info + bytes([i]), 'sha256')
        out += t
    return out[:n]


def scalar(curve, label):
    return int.from_bytes(hashlib.sha512(f'{curve.name} {label}'.encode()).digest(), 'big') % (curve.n - 1) + 1


def main():
    lines = []
    for name in CURVES:
        c = Curve(name)
        a, b, e, f = (scalar(c, label) for label in ('alice', 'bob', 'now', 'now of bob'))
        A, B, E, F = (c.mul(d, c.g) for d in (a, b, e, f))
        secret = hashlib.sha256(name.encode()).digest()
        z = c.mul(e, B)[0].to_bytes(c.size, 'big')
        keys = hkdf(z, b'ECIES', c.wire(E) + c.wire(B), len(secret) + 32)
        box = bytes(x ^ y for x, y in zip(secret, keys))
        x = c.mqv(a, e, E, B, B)
        assert x == c.mqv(b, b, B, A, E)
        full = c.mqv(a, e, E, B, F)
        assert full == c.mqv(b, f, F, A, E)
        lines += ['source: ecies.py beside this file', f'curve: {name}', f'alice: {c.key(a).hex()}',
                  f'bob: {c.key(b).hex()}', f'secret: {secret.hex()}',
                  f'ecies: {(bytes([4]) + c.wire(E) + box + hmac.digest(keys[len(secret):], box, "sha256")).hex()}',
                  f'alice_d: {a.to_bytes(c.size, "big").hex()}', f'now_d: {e.to_bytes(c.size, "big").hex()}',
                  f'now: {c.wire(E).hex()}', f'bob_q: {c.wire(B).hex()}', f'bob_now: {c.wire(F).hex()}',
                  f'full: {full.hex()}', f'x: {x.hex()}',
                  f'mqv: {hkdf(x, b"ECMQV", c.wire(E) + c.wire(A) + c.wire(B), 32).hex()}', '']
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ecies.txt')
    with open(path, 'w') as out:
        for line in lines:
            name, _, value = line.partition(' ')
            out.write((name + ' ' + value[:88]).strip() + '\n')  # whole octets in each line
            for at in range(88, len(value), 88):
                out.write('  ' + value[at:at + 88] + '\n')


if __name__ == '__main__':
    main()
