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

    cofactor = 1

    def mqv(self, d1, d2, own2, peer1, peer2):
        s = (d2 + self.avf(own2) * d1) % self.n
        return self.mul(self.cofactor * s,
                        self.add(peer2, self.mul(self.avf(peer2), peer1)))[0].to_bytes(self.size, 'big')

    def key(self, d):
        """RFC 5915, so that a program can load it."""
        def tlv(tag, *parts):
            body = b''.join(parts)
            length = bytes([len(body)]) if len(body) < 128 else bytes([0x81, len(body)])
            return bytes([tag]) + length + body
        point = tlv(0x03, b'\0\4' + self.wire(self.mul(d, self.g)))
        return tlv(0x30, tlv(2, b'\1'), tlv(4, d.to_bytes(self.size, 'big')),
                   tlv(0xa0, bytes.fromhex(self.oid)), tlv(0xa1, point))


class B233(Curve):
    """FIPS 186-4 D.1.3.2.2, over x^233 + x^74 + 1: the only curve that a published vector of one-pass MQV was
    found for. The steps of mqv() are the same on every curve."""
    cofactor = 2

    def __init__(self):
        self.b = 0x66647ede6c332c7f8c0923bb58213b333b20e9ce4281fe115f7d8f90ad
        self.n = 0x1000000000000000000000000000013e974e72f8a6922031d2603cfe0d7
        self.size = 30

    @staticmethod
    def times(a, b):
        out = 0
        while b:
            out ^= a if b & 1 else 0
            a, b = a << 1, b >> 1
            a ^= (1 << 233 | 1 << 74 | 1) if a >> 233 else 0
        return out

    def inverse(self, a):
        out, power = 1, 2**233 - 2
        while power:
            out = self.times(out, a) if power & 1 else out
            a, power = self.times(a, a), power >> 1
        return out

    def add(self, a, b):
        if a is None or b is None:
            return a or b
        if a[0] == b[0] and a[1] != b[1]:
            return None
        if a == b:
            slope = a[0] ^ self.times(a[1], self.inverse(a[0]))
            x = self.times(slope, slope) ^ slope ^ 1
        else:
            slope = self.times(a[1] ^ b[1], self.inverse(a[0] ^ b[0]))
            x = self.times(slope, slope) ^ slope ^ a[0] ^ b[0] ^ 1
        return x, self.times(slope, a[0] ^ x) ^ x ^ a[1]


def check_mqv():
    """NIST's ACVP server, KAS-ECC component test "onePassMqv B233" (U begins; V has a lasting key alone)"""
    c = B233()
    u = 0x52c23ea9f876d6d847c0c54578a16612ce384f69d6d4751bda6c107bc3
    e = 0x59bf1926cda4bd3823f3e0ed440a18c1a54a33701eafd053a2e6ffae5
    v = 0x7ad5b7faad03268f34de6cef03527efc1ca333ffa66172d386a0b4ab88
    U = (0x17f5b2f350ffc44026977cbbe5a9f33f8d3a1beace814eb0e3693c8202b,
         0x1623a8e762e7b21e10359a046b64aca711c146e253dd2fa35a2f12cd5ab)
    E = (0x181cfd86c22f5d417a0228418581e7ce910ce8cc04ff56593af460da035,
         0x586324d10c8715dbe36dd7b8ff01c9c95340bd5e7c0d229e7279887c0b)
    V = (0xa24f0077bee53e51fd02beddadec5744f48068195313c5060ba93accbf,
         0x1cb61023be720448673bcd653ee1b17e8426b7467160d89a4bce9eea19d)
    z = bytes.fromhex('007bf51ab995289a403b20dc669c509af1eeadbe6d4e710d9420964a4849')
    assert c.mqv(u, e, E, V, V) == z
    assert c.mqv(v, v, V, U, E) == z


def hkdf(ikm, salt, info, n):
    prk, out, t = hmac.digest(salt, ikm, 'sha256'), b'', b''
    for i in range(1, n // 32 + 2):
        t = hmac.digest(prk, t + info + bytes([i]), 'sha256')
        out += t
    return out[:n]


def scalar(curve, label):
    return int.from_bytes(hashlib.sha512(f'{curve.name} {label}'.encode()).digest(), 'big') % (curve.n - 1) + 1


def main():
    check_mqv()
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
