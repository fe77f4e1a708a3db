#!/usr/bin/env python3
"""SDP-DH exchanges, written from docs/rooms/keying-expired.md apart from the C code: makes exchange.txt.

Curves, primes, HMAC and HKDF are spelled out here; only SHA-256 and base64 are Python's.
"""
import base64
import hashlib
import os

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = {'AEAD_AES_256_GCM': (32, 12), 'AEAD_AES_128_GCM': (16, 12), 'AES_CM_128_HMAC_SHA1_80': (16, 14)}


def hmac(key, msg):
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b'\0')
    inner = hashlib.sha256(bytes(k ^ 0x36 for k in key) + msg).digest()
    return hashlib.sha256(bytes(k ^ 0x5c for k in key) + inner).digest()


def hkdf(ikm, salt, info, n):
    prk, out, t = hmac(salt, ikm), b'', b''
    for i in range(1, n // 32 + 2):
        t = hmac(prk, t + info + bytes([i]))
        out += t
    return out[:n]


def x25519(k, u):
    """RFC 7748 5"""
    p = 2**255 - 19
    k = bytearray(k)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k, x1 = int.from_bytes(k, 'little'), int.from_bytes(u, 'little') & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in range(254, -1, -1):
        bit = (k >> t) & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = (x2 + z2) % p, (x2 - z2) % p, (x3 + z3) % p, (x3 - z3) % p
        da, cb = d * a % p, c * b % p
        x3, z3 = (da + cb)**2 % p, x1 * (da - cb)**2 % p
        x2, z2 = a * a * b * b % p, (a * a - b * b) * (a * a + 121665 * (a * a - b * b)) % p
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, 'little')


P = 2**256 - 2**224 + 2**192 + 2**96 - 1
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    m = (3 * a[0]**2 - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (m * m - a[0] - b[0]) % P
    return x, (m * (a[0] - x) - a[1]) % P


def mul(k, point):
    out = None
    while k:
        if k & 1:
            out = add(out, point)
        point, k = add(point, point), k >> 1
    return out


def p256(k, peer):
    x, y = mul(int.from_bytes(k, 'big'), peer)
    return x.to_bytes(32, 'big') + y.to_bytes(32, 'big')


def modp3072():
    """RFC 3526 4: 2^3072 - 2^3008 - 1 + 2^64 * ( [2^2942 pi] + 1690314 ), pi by Machin's formula."""
    one = 1 << 3100

    def arctan(n):
        total = term = one // n
        k, sign = 3, -1
        while term:
            term //= n * n
            total += sign * (term // k)
            k, sign = k + 2, -sign
        return total
    pi = 4 * (4 * arctan(5) - arctan(239))
    return 2**3072 - 2**3008 - 1 + 2**64 * ((pi >> (3100 - 2942)) + 1690314)


PRIME = modp3072()


def share(group, k):
    if group == 'x25519':
        return x25519(k, (9).to_bytes(32, 'little'))
    if group == 'p-256':
        return p256(k, G)
    return pow(2, int.from_bytes(k, 'big'), PRIME).to_bytes(384, 'big')


def secret(group, k, peer):
    if group == 'x25519':
        return x25519(k, peer)
    if group == 'p-256':
        return p256(k, (int.from_bytes(peer[:32], 'big'), int.from_bytes(peer[32:], 'big')))[:32]
    return pow(int.from_bytes(peer, 'big'), int.from_bytes(k, 'big'), PRIME).to_bytes(384, 'big')


def framed(text):
    return len(text).to_bytes(2, 'big') + text.encode()


def draw(seed):
    return hashlib.sha256(seed.encode()).digest()


def show(name, data):
    text = data.hex() if isinstance(data, bytes) else data
    return name + ': ' + '\n '.join(text[i:i + 88] for i in range(0, len(text), 88))


def record(out, offered, suites, taken, suite):
    lines, private = [], {}
    for i, group in enumerate(offered):
        private[group] = draw('offerer ' + group)
        lines.append('%d %s %s %s' % (i + 1, group, ','.join(suites),
                                      base64.b64encode(share(group, private[group])).decode()))
    mine = draw('answerer ' + taken)
    answer = '%d %s %s %s' % (offered.index(taken) + 1, taken, suite,
                              base64.b64encode(share(taken, mine)).decode())
    z = secret(taken, mine, share(taken, private[taken]))
    assert z == secret(taken, private[taken], share(taken, mine))
    offer_hash = hashlib.sha256(b''.join(framed(x) for x in lines)).digest()
    salt = hashlib.sha256(b'ciphony sdp-dh 1' + offer_hash + framed(answer)).digest()
    key_n, salt_n = SUITES[suite]
    out.append('source: by sdpdh.py beside this file')
    for i, line in enumerate(lines):
        out.append('offer%d: %s' % (i + 1, line))
    out += ['answer: ' + answer, show('offerer', private[taken]), show('answerer', mine), show('secret', z)]
    for whose in ('offerer', 'answerer'):
        both = hkdf(z, salt, whose.encode(), key_n + salt_n)
        out += [show(whose + '_key', both[:key_n]), show(whose + '_salt', both[key_n:])]
    out.append('')


def main():
    out = []
    record(out, ['x25519', 'p-256'], ['AEAD_AES_256_GCM', 'AES_CM_128_HMAC_SHA1_80'], 'x25519', 'AEAD_AES_256_GCM')
    record(out, ['x25519', 'p-256'], ['AEAD_AES_256_GCM', 'AES_CM_128_HMAC_SHA1_80'], 'p-256',
           'AES_CM_128_HMAC_SHA1_80')
    record(out, ['modp-3072'], ['AEAD_AES_128_GCM'], 'modp-3072', 'AEAD_AES_128_GCM')
    with open(os.path.join(HERE, 'exchange.txt'), 'w') as f:
        f.write('\n'.join(out))


main()
