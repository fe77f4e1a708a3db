#!/usr/bin/env python3
"""Whole MIKEY exchanges, written from the RFCs apart from the C code: makes messages.txt and prf.txt.

HMAC, the PRF, framing, key wrap and MODP Diffie-Hellman are spelled out here; AES, RSA and
certificates are python3-cryptography's. Each run draws new RSA keys, so the files change as a whole.
"""
import datetime
import hashlib
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HERE = os.path.dirname(os.path.abspath(__file__))
WALL = 1700000000
TS = ((WALL + 2208988800) << 32) + 12345
LAST, KEMAC, PKE, DH, SIGN, T, ID, CERT, CHASH, V, SP, RAND, ERR, KEY, EXT = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 21)
ALICE, BOB = b'sip:alice@example.org', b'sip:bob@example.org'


def u(n, v):
    return v.to_bytes(n, 'big')


def hmac_sha1(key, msg):
    if len(key) > 64:
        key = hashlib.sha1(key).digest()
    key = key.ljust(64, b'\0')
    inner = hashlib.sha1(bytes(k ^ 0x36 for k in key) + msg).digest()
    return hashlib.sha1(bytes(k ^ 0x5c for k in key) + inner).digest()


def prf(inkey, label, n):
    """RFC 3830 4.1.2"""
    out = bytes(n)
    for at in range(0, len(inkey), 32):
        s, a, p = inkey[at:at + 32], label, b''
        while len(p) < n:
            a = hmac_sha1(s, a)
            p += hmac_sha1(s, a + label)
        out = bytes(x ^ y for x, y in zip(out, p))
    return out


def derive(key, constant, cs, csb, rand, n):
    return prf(key, u(4, constant) + u(1, cs) + u(4, csb) + rand, n)


def aes_block(key, block):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def wrap(kek, p, iv):
    """RFC 3394 2.2.1"""
    a, r = iv, [p[i:i + 8] for i in range(0, len(p), 8)]
    for j in range(6):
        for i in range(len(r)):
            b = aes_block(kek, a + r[i])
            a, r[i] = u(8, int.from_bytes(b[:8], 'big') ^ (len(r) * j + i + 1)), b[8:]
    return a + b''.join(r)


def protect(key, csb, rand, alg, clear):
    """RFC 3830 4.2.3"""
    if alg == 0 or not clear:
        return clear
    encr = derive(key, 0x150533E1, 255, csb, rand, 16)
    if alg == 2:
        return wrap(encr, clear, derive(key, 0x29B88916, 255, csb, rand, 8))
    salt = derive(key, 0x29B88916, 255, csb, rand, 14)
    iv = bytes(a ^ b for a, b in zip(salt, b'\0\0' + u(4, csb) + u(8, TS))) + b'\0\0'
    stream = b''.join(aes_block(encr, u(16, int.from_bytes(iv, 'big') + i))
                      for i in range((len(clear) + 15) // 16))
    return bytes(a ^ b for a, b in zip(clear, stream))


def mac(key, csb, rand, text):
    return hmac_sha1(derive(key, 0x2D22AC75, 255, csb, rand, 20), text)


def message(kind, csb, v, payloads, cs=((0, 0, 0), (0, 0, 0))):
    """payloads: (type, body without its first octet); SIGN has no such octet."""
    out = u(1, 1) + u(1, kind) + u(1, payloads[0][0]) + u(1, 0x80 if v else 0) + u(4, csb)
    out += u(1, len(cs)) + u(1, 0) + b''.join(u(1, p) + u(4, s) + u(4, r) for p, s, r in cs)
    for i, (what, body) in enumerate(payloads):
        following = payloads[i + 1][0] if i + 1 < len(payloads) else LAST
        out += (b'' if what == SIGN else u(1, following)) + body
    return out


def t():
    return T, u(1, 0) + u(8, TS)


def long(what, kind, data):
    return what, u(1, kind) + u(2, len(data)) + data


def sp(no=0):
    """AES-CM-128, HMAC-SHA1-80, key by key as RFC 3830 6.10.1 lists them"""
    params = b''.join(u(1, a) + u(1, 1) + u(1, b) for a, b in
                      ((0, 1), (1, 16), (2, 1), (3, 20), (4, 14), (5, 0), (7, 1), (8, 1), (10, 1),
                       (11, 10)))
    return SP, u(1, no) + u(1, 0) + u(2, len(params)) + params


def key_sub(tgk, salt=None, mki=None):
    kinds = (1 if salt else 0) << 4 | (1 if mki else 0)
    out = u(1, LAST) + u(1, kinds) + u(2, len(tgk)) + tgk
    if salt:
        out += u(2, len(salt)) + salt
    return out + (u(1, len(mki)) + mki if mki else b'')


def sign(priv, text):
    return priv.sign(text, padding.PKCS1v15(), hashes.SHA256())


def cert(priv, uri):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, uri.decode())])
    day = datetime.datetime(2020, 1, 1)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(priv.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(day).not_valid_after(day + datetime.timedelta(days=36500))
            .add_extension(x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(uri.decode())]), False)
            .sign(priv, hashes.SHA256()))
    return made.public_bytes(serialization.Encoding.DER)


def pkcs8(priv):
    return priv.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption())


class File:
    def __init__(self, name, source):
        self.f = open(os.path.join(HERE, name), 'w')
        self.source = source

    def record(self, **fields):
        print('source:', self.source, file=self.f)
        for k, v in fields.items():
            if isinstance(v, (bytes, bytearray)):
                v = v.hex()
            v = str(v)
            print(k + ':', '\n  '.join(v[i:i + 90] for i in range(0, len(v), 90)), file=self.f)
        print(file=self.f)


def srtp(tgk, csb, rand, salt=None):
    """AES_CM_128_HMAC_SHA1_80 of sessions 1 and 2"""
    out = {}
    for cs in (1, 2):
        out['key%d' % cs] = derive(tgk, 0x2AD01C64, cs, csb, rand, 16)
        out['salt%d' % cs] = salt or derive(tgk, 0x39A2C14B, cs, csb, rand, 14)
    return out


def tail():
    return ALICE + BOB + u(8, TS)


LIST = long(EXT, 1, b'mikey')
IDI, IDR = long(ID, 1, ALICE), long(ID, 1, BOB)


def psk_exchange(out, name, key, csb, rand, tgk, alg, macalg, salt=None, mki=None):
    data = protect(key, csb, rand, alg, key_sub(tgk, salt, mki))
    kemac = KEMAC, u(1, alg) + u(2, len(data)) + data + u(1, macalg)
    i = message(0, csb, True, [t(), (RAND, u(1, len(rand)) + rand), IDI, IDR, LIST, sp(), kemac])
    r = message(1, csb, False, [t(), IDR, (V, u(1, macalg))])
    if macalg:
        i += mac(key, csb, rand, i)
        r += mac(key, csb, rand, r + tail())
    out.record(name=name, type=0, psk=key, csb=u(4, csb), rand=rand, tgk=tgk, tgk_salt=salt or b'',
               mki=mki or b'', message_i=i, message_r=r, **srtp(tgk, csb, rand, salt))


def rsa_exchange(out, alice, bob, certs, csb, rand, tgk, envelope):
    clear = u(1, KEY) + IDI[1] + key_sub(tgk)
    data = protect(envelope, csb, rand, 1, clear)
    body = u(1, 1) + u(2, len(data)) + data + u(1, 1)
    kemac = KEMAC, body + mac(envelope, csb, rand, u(1, LAST) + body)
    box = bob.public_key().encrypt(envelope, padding.PKCS1v15())
    chash = CHASH, u(1, 0) + hashlib.sha1(certs[1]).digest()
    i = message(2, csb, True, [t(), (RAND, u(1, len(rand)) + rand), IDI, long(CERT, 0, certs[0]),
                               IDR, LIST, sp(), kemac, chash, (PKE, u(2, 2 << 14 | len(box)) + box),
                               (SIGN, u(2, 256))])
    i += sign(alice, i)
    r = message(3, csb, False, [t(), IDR, (V, u(1, 1))])
    r += mac(envelope, csb, rand, r + tail())
    out.record(name='RSA', type=2, psk=envelope, csb=u(4, csb), rand=rand, tgk=tgk, message_i=i,
               message_r=r, **srtp(tgk, csb, rand))


def rsar_exchange(out, alice, bob, certs, csb, rand, tgk, envelope):
    i = message(9, csb, True, [t(), (RAND, u(1, len(rand)) + rand), IDI, long(CERT, 0, certs[0]),
                               IDR, LIST, sp(), (SIGN, u(2, 256))])
    i += sign(alice, i)
    clear = u(1, KEY) + IDR[1] + key_sub(tgk)
    data = protect(envelope, csb, rand, 1, clear)
    body = u(1, 1) + u(2, len(data)) + data + u(1, 1)
    kemac = KEMAC, body + mac(envelope, csb, rand, u(1, LAST) + body)
    box = alice.public_key().encrypt(envelope, padding.PKCS1v15())
    payloads = [t(), IDR, long(CERT, 0, certs[1]), sp(), kemac,
                (PKE, u(2, 2 << 14 | len(box)) + box), (SIGN, u(2, 256))]
    r = message(10, csb, False, payloads)
    # RFC 4738 3.6: the message without its SIGN payload, and the tail
    r += sign(bob, r[:-2] + tail())
    out.record(name='RSA-R', type=9, csb=u(4, csb), rand=rand, tgk=tgk, message_i=i, message_r=r,
               **srtp(tgk, csb, rand))


def modp_2048():
    """RFC 3526 3: 2^2048 - 2^1984 - 1 + 2^64 * (floor(2^1918 pi) + 124476)"""
    one = 1 << 2000

    def arctan_inv(x):
        power = total = one // x
        n, sign_ = 3, -1
        while power:
            power //= x * x
            total += sign_ * (power // n)
            n, sign_ = n + 2, -sign_
        return total
    pi = 4 * (4 * arctan_inv(5) - arctan_inv(239)) >> (2000 - 1918)
    return 2 ** 2048 - 2 ** 1984 - 1 + 2 ** 64 * (pi + 124476)


def dh_exchange(out, name, kinds, csb, rand, key, alice=None, bob=None, certs=None):
    p = modp_2048()
    xi, xr = (int.from_bytes(hashlib.sha256(name.encode() + w).digest(), 'big') for w in (b'i', b'r'))
    yi, yr = u(256, pow(2, xi, p)), u(256, pow(2, xr, p))
    tgk = u(256, pow(int.from_bytes(yi, 'big'), xr, p))
    dhi, dhr = (DH, u(1, 241) + yi + u(1, 0)), (DH, u(1, 241) + yr + u(1, 0))
    head = [t(), (RAND, u(1, len(rand)) + rand), IDI]
    back = [t(), IDR]
    if certs:
        head.append(long(CERT, 0, certs[0]))
        back.append(long(CERT, 0, certs[1]))
    proof = (SIGN, u(2, 256)) if certs else (KEMAC, u(1, 0) + u(2, 0) + u(1, 1))
    i = message(kinds[0], csb, True, head + [IDR, LIST, sp(), dhi, proof])
    r = message(kinds[1], csb, False, back + [IDI, dhr, dhi, proof])
    i += sign(alice, i) if certs else mac(key, csb, rand, i)
    r += sign(bob, r) if certs else mac(key, csb, rand, r)
    out.record(name=name, type=kinds[0], psk=key or b'', csb=u(4, csb), rand=rand, x=u(32, xi), y=yi,
               tgk=tgk, message_i=i, message_r=r, **srtp(tgk, csb, rand))


def main():
    def det(text, n):
        return hashlib.sha512(text.encode()).digest()[:n]
    out = File('prf.txt', 'RFC 3830 4.1.2 to 4.1.4, by mikey.py beside this file')
    for n_key, n_out in ((16, 16), (32, 20), (33, 14), (48, 41), (64, 32), (192, 30)):
        key = (det('key', 64) * 3)[:n_key]
        out.record(inkey=key, label=det('label', 25), outkey=prf(key, det('label', 25), n_out))
    out.f.close()

    alice, bob = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    certs = cert(alice, ALICE), cert(bob, BOB)
    out = File('messages.txt', 'RFC 3830, 4567, 4650, 4738, by mikey.py beside this file')
    out.record(name='certificates', wall=WALL, key_i=pkcs8(alice), cert_i=certs[0], key_r=pkcs8(bob),
               cert_r=certs[1])
    psk, rand = det('psk', 20), det('rand', 16)
    psk_exchange(out, 'PSK', psk, 0x01020304, rand, det('tgk', 16), 1, 1)
    psk_exchange(out, 'PSK, salt and MKI', psk, 0xfffefdfc, det('rand', 32), det('tgk', 48), 1, 1,
                 det('salt', 14), b'\x07\x08')
    psk_exchange(out, 'PSK, key wrap', psk, 5, rand, det('tgk', 20), 2, 1)
    psk_exchange(out, 'NULL', b'', 6, rand, det('tgk', 16), 0, 0)
    rsa_exchange(out, alice, bob, certs, 7, rand, det('tgk', 16), det('envelope', 24))
    rsar_exchange(out, alice, bob, certs, 8, rand, det('tgk', 16), det('envelope', 24))
    dh_exchange(out, 'DHSIGN', (4, 5), 9, rand, None, alice, bob, certs)
    dh_exchange(out, 'DHHMAC', (7, 8), 10, rand, psk)
    out.f.close()


if __name__ == '__main__':
    main()
