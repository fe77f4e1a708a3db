#!/usr/bin/env python3
"""Known answers for key agreement, from the formulas alone: writes agree.txt.

The primes come of RFC 3526's formula (pi to the bit), the curves are added on with school
arithmetic. Nothing here uses a library of cryptography."""
import hashlib


def pi_bits(n):
    """floor(2^n * pi), by Machin's formula with guard bits."""
    def arctan_inv(x, unit):
        total = term = unit // x
        k, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // k)
            sign, k = -sign, k + 2
        return total
    unit = 1 << (n + 64)
    return (4 * (4 * arctan_inv(5, unit) - arctan_inv(239, unit))) >> 64


def modp(bits, c):
    return (1 << bits) - (1 << (bits - 64)) - 1 + (1 << 64) * (pi_bits(bits - 130) + c)


PRIMES = {  # RFC 2409 6.2, RFC 3526 2 to 5
    'MODP_1024': (1024, 129093), 'MODP_1536': (1536, 741804), 'MODP_2048': (2048, 124476),
    'MODP_3072': (3072, 1690314), 'MODP_4096': (4096, 240904)}

CURVES = {  # FIPS 186-3 D.1.2: p, b, Gx, Gy, n; a is -3
    'P256': (2**256 - 2**224 + 2**192 + 2**96 - 1,
             0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b,
             0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
             0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5,
             0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551),
    'P384': (2**384 - 2**128 - 2**96 + 2**32 - 1,
             0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef,
             0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7,
             0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f,
             0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973),
    'P521': (2**521 - 1,
             0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00,
             0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66,
             0x011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650,
             0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409)}


def add(p, P, Q):
    if P is None:
        return Q
    if Q is None:
        return P
    if P[0] == Q[0]:
        if (P[1] + Q[1]) % p == 0:
            return None
        s = (3 * P[0] * P[0] - 3) * pow(2 * P[1], -1, p)
    else:
        s = (Q[1] - P[1]) * pow(Q[0] - P[0], -1, p)
    x = (s * s - P[0] - Q[0]) % p
    return x, (s * (P[0] - x) - P[1]) % p


def mul(p, k, P):
    R = None
    while k:
        if k & 1:
            R = add(p, R, P)
        P = add(p, P, P)
        k >>= 1
    return R


def secret(name, who, n):
    return hashlib.shake_256((name + who).encode()).digest(n)


def out(name, source, a, b, pub_a, pub_b, z):
    print(f'source: {source}\ngroup: {name}')
    for field, value in (('a', a), ('b', b), ('pub_a', pub_a), ('pub_b', pub_b), ('secret', z)):
        text = value.hex()
        print(f'{field}: {text[:96]}')
        for i in range(96, len(text), 96):
            print('  ' + text[i:i + 96])
    print()


print('# Made by agree.py beside this file.')
for name, (bits, c) in PRIMES.items():
    p, n = modp(bits, c), bits // 8
    a, b = secret(name, 'a', 64), secret(name, 'b', 32)
    ya, yb = pow(2, int.from_bytes(a, 'big'), p), pow(2, int.from_bytes(b, 'big'), p)
    out(name, 'agree.py: RFC 3526 formula of the prime, g^x by pow()', a, b, ya.to_bytes(n, 'big'),
        yb.to_bytes(n, 'big'), pow(ya, int.from_bytes(b, 'big'), p).to_bytes(n, 'big'))
for name, (p, bb, gx, gy, order) in CURVES.items():
    assert (gy * gy - gx**3 + 3 * gx - bb) % p == 0 and mul(p, order, (gx, gy)) is None
    n = (p.bit_length() + 7) // 8
    a = (int.from_bytes(secret(name, 'a', n), 'big') % order).to_bytes(n, 'big')
    b = (int.from_bytes(secret(name, 'b', n), 'big') % order).to_bytes(n, 'big')
    A, B = (mul(p, int.from_bytes(k, 'big'), (gx, gy)) for k in (a, b))
    Z = mul(p, int.from_bytes(a, 'big'), B)
    out(name, 'agree.py: FIPS 186-3 D.1.2 parameters, school arithmetic', a, b,
        b''.join(v.to_bytes(n, 'big') for v in A), b''.join(v.to_bytes(n, 'big') for v in B),
        Z[0].to_bytes(n, 'big'))
