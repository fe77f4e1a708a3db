#!/usr/bin/env python3
"""A run of MIKEYv2, written from docs/rooms/keying-expired.md apart from the C code: makes run.txt.

What it has in common with MIKEY is that of mikey.py in the folder beside, which is no C either.
"""
import hashlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'mikey'))
import mikey  # noqa: E402
from mikey import (ALICE, BOB, EXT, IDI, IDR, KEMAC, RAND, V, key_sub, long, mac, message, protect,  # noqa: E402
                   sp, srtp, t, tail, u)

SUITE = b'AES_CM_128_HMAC_SHA1_80'


def det(text, n):
    return hashlib.sha512(text.encode()).digest()[:n]


def vec(n, data):
    return u(n, len(data)) + data


def main():
    mikey.HERE = HERE
    spi_i, spi_r = det('spi i', 8), det('spi r', 8)
    hello_i = (b'\2\1' + spi_i + vec(1, bytes([1])) + vec(1, bytes([244, 242])) +
               vec(2, b'AEAD_AES_256_GCM,' + SUITE) + det('nonce i', 32) + vec(1, ALICE))
    hello_r = b'\2\2' + spi_i + spi_r + bytes([1, 244]) + vec(1, SUITE) + det('nonce r', 32) + vec(1, BOB)
    rand = hashlib.sha256(b'ciphony mikeyv2' + vec(2, hello_i) + vec(2, hello_r)).digest()
    key, csb, tgk = det('psk', 20), 0x01020304, det('tgk', 32)
    data = protect(key, csb, rand, 1, key_sub(tgk))
    i = message(0, csb, True, [t(), (RAND, vec(1, rand)), IDI, IDR, long(EXT, 1, b'mikeyv2'), sp(),
                               (KEMAC, u(1, 1) + vec(2, data) + u(1, 1))])
    i += mac(key, csb, rand, i)
    r = message(1, csb, False, [t(), IDR, (V, u(1, 1))])
    r += mac(key, csb, rand, r + tail())
    out = mikey.File('run.txt', 'by mikeyv2.py beside this file')
    out.record(name='PSK', wall=mikey.WALL, psk=key, rand=rand, hello_i=hello_i, hello_r=hello_r,
               proof_i=b'\2\3' + spi_i + spi_r + i, proof_r=b'\2\4' + spi_i + spi_r + r, **srtp(tgk, csb, rand))
    out.f.close()


main()
