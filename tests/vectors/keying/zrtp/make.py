#!/usr/bin/env python3
"""Known answers for ZRTP, from RFC 6189 alone: writes messages.txt and keys.txt beside this file.

Nothing but the standard library: hashes and HMAC are hashlib's and hmac's, everything else (CRC-32C,
AES, CFB, finite-field and curve arithmetic, and the layout of every message) is written here from
the documents, without looking at the C."""
import hashlib
import hmac
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


# ---- small tools -----------------------------------------------------------------------------------

def fill(name, n):
    """Bytes that look random and are the same each time."""
    return hashlib.shake_256(b'zrtp vector ' + name.encode()).digest(n)


def crc32c(data):
    """RFC 4960 B, bit by bit; as it goes on the wire."""
    c = 0xffffffff
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = (c >> 1) ^ (0x82f63b78 if c & 1 else 0)
    return struct.pack('<I', c ^ 0xffffffff)


def xtime(a):
    return ((a << 1) ^ 0x1b) & 0xff if a & 0x80 else a << 1


def gmul(a, b):
    r = 0
    while b:
        if b & 1:
            r ^= a
        a, b = xtime(a), b >> 1
    return r


def make_sbox():
    box = []
    for x in range(256):
        inv = next((y for y in range(256) if gmul(x, y) == 1), 0)
        s = 0x63
        for i in range(5):
            s ^= ((inv << i) | (inv >> (8 - i))) & 0xff
        box.append(s)
    return box


SBOX = make_sbox()


def aes_encrypt(key, block):
    """FIPS 197."""
    nk, rounds = len(key) // 4, len(key) // 4 + 6
    w = [list(key[4 * i:4 * i + 4]) for i in range(nk)]
    rcon = 1
    for i in range(nk, 4 * (rounds + 1)):
        t = list(w[i - 1])
        if i % nk == 0:
            t = [SBOX[b] for b in t[1:] + t[:1]]
            t[0] ^= rcon
            rcon = xtime(rcon)
        elif nk > 6 and i % nk == 4:
            t = [SBOX[b] for b in t]
        w.append([a ^ b for a, b in zip(w[i - nk], t)])
    s = [b ^ k for b, k in zip(block, sum(w[:4], []))]
    for r in range(1, rounds + 1):
        s = [SBOX[b] for b in s]
        s = [s[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if r < rounds:
            m = []
            for c in range(4):
                a = s[4 * c:4 * c + 4]
                for i in range(4):
                    m.append(gmul(a[i], 2) ^ gmul(a[(i + 1) % 4], 3) ^ a[(i + 2) % 4] ^ a[(i + 3) % 4])
            s = m
        s = [b ^ k for b, k in zip(s, sum(w[4 * r:4 * r + 4], []))]
    return bytes(s)


assert aes_encrypt(bytes(range(16)), bytes.fromhex('00112233445566778899aabbccddeeff')).hex() == \
    '69c4e0d86a7b0430d8cdb78070b4c55a'  # FIPS 197 C.1


def cfb_encrypt(key, iv, data):
    """SP 800-38A 6.3 with feedback of a whole block."""
    out = b''
    for i in range(0, len(data), 16):
        pad = aes_encrypt(key, iv)
        iv = bytes(a ^ b for a, b in zip(data[i:i + 16], pad))
        out += iv
    return out


# ---- groups ----------------------------------------------------------------------------------------

def pi_bits(n):
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


def modp(bits, c):  # RFC 3526
    return (1 << bits) - (1 << (bits - 64)) - 1 + (1 << 64) * (pi_bits(bits - 130) + c)


CURVES = {  # FIPS 186-3 D.1.2: p, Gx, Gy
    'EC25': (2**256 - 2**224 + 2**192 + 2**96 - 1,
             0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
             0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5),
    'EC38': (2**384 - 2**128 - 2**96 + 2**32 - 1,
             0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7,
             0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f)}


def point_add(p, P, Q):
    if P is None or Q is None:
        return Q if P is None else P
    if P[0] == Q[0]:
        if (P[1] + Q[1]) % p == 0:
            return None
        s = (3 * P[0] * P[0] - 3) * pow(2 * P[1], -1, p)
    else:
        s = (Q[1] - P[1]) * pow(Q[0] - P[0], -1, p)
    x = (s * s - P[0] - Q[0]) % p
    return x, (s * (P[0] - x) - P[1]) % p


def point_mul(p, k, P):
    R = None
    while k:
        R = point_add(p, R, P) if k & 1 else R
        P, k = point_add(p, P, P), k >> 1
    return R


def x25519(k, u):  # RFC 7748 5
    p = 2**255 - 19
    k = bytearray(k)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k, x1 = int.from_bytes(k, 'little'), int.from_bytes(u, 'little') & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        x3, z3 = (da + cb)**2 % p, x1 * (da - cb)**2 % p
        aa, bb = a * a % p, b * b % p
        e = aa - bb
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, 'little')


def agree(kind, a, b):
    """Public values of both, and the result."""
    if kind in ('DH3k', 'DH2k'):
        bits, c = (3072, 1690314) if kind == 'DH3k' else (2048, 124476)
        p, n = modp(bits, c), bits // 8
        x, y = int.from_bytes(a, 'big'), int.from_bytes(b, 'big')
        return (pow(2, x, p).to_bytes(n, 'big'), pow(2, y, p).to_bytes(n, 'big'),
                pow(pow(2, x, p), y, p).to_bytes(n, 'big'))
    if kind == 'X255':
        base = (9).to_bytes(32, 'little')
        return x25519(a, base), x25519(b, base), x25519(a, x25519(b, base))
    p, gx, gy = CURVES[kind]
    n = (p.bit_length() + 7) // 8
    A, B = (point_mul(p, int.from_bytes(k, 'big'), (gx, gy)) for k in (a, b))
    Z = point_mul(p, int.from_bytes(a, 'big'), B)
    return (b''.join(v.to_bytes(n, 'big') for v in A), b''.join(v.to_bytes(n, 'big') for v in B),
            Z[0].to_bytes(n, 'big'))


# ---- messages (5) ----------------------------------------------------------------------------------

def sha256(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def mac64(key, data, algo='sha256'):
    return hmac.new(key, data, algo).digest()[:8]


def message(kind, body):
    assert len(kind) == 8 and len(body) % 4 == 0
    return struct.pack('>HH', 0x505a, 3 + len(body) // 4) + kind + body


def with_mac(kind, body, key):
    m = message(kind, body + bytes(8))
    return m[:-8] + mac64(key, m[:-8])


def packet(msg, seq, ssrc):
    head = struct.pack('>HHII', 0x1000, seq, 0x5a525450, ssrc) + msg
    return head + crc32c(head)


class Side:
    def __init__(self, name):
        self.name = name
        self.h0 = fill(name + ' h0', 32)
        self.h1 = sha256(self.h0)
        self.h2 = sha256(self.h1)
        self.h3 = sha256(self.h2)
        self.zid = fill(name + ' zid', 12)

    def hello(self, lists, flags=0):
        counts = 0
        for i, types in enumerate(lists):
            counts |= len(types) << (16 - 4 * i)
        return with_mac(b'Hello   ', b'1.10' + b'vector  maker   ' + self.h3 + self.zid +
                        struct.pack('>I', flags << 28 | counts) +
                        b''.join(t.encode() for types in lists for t in types), self.h2)

    def commit(self, types, rest):
        return with_mac(b'Commit  ', self.h2 + self.zid + ''.join(types).encode() + rest, self.h1)

    def dhpart(self, number, ids, pv):
        return with_mac(b'DHPart%d ' % number, self.h1 + b''.join(ids) + pv, self.h0)


LISTS = [['S256', 'S384'], ['AES3', 'AES1'], ['HS80', 'HS32'],
         ['X255', 'EC25', 'DH3k', 'DH2k', 'EC38', 'Mult', 'Prsh'], ['B32 ', 'B256']]


# ---- keys (4.4, 4.5) -------------------------------------------------------------------------------

class Keys:
    def __init__(self, hash_name, cipher):
        self.algo = {'S256': 'sha256', 'S384': 'sha384'}[hash_name]
        self.n = hashlib.new(self.algo).digest_size
        self.key_bits = {'AES1': 128, 'AES2': 192, 'AES3': 256}[cipher]

    def hash(self, *parts):
        return hashlib.new(self.algo, b''.join(parts)).digest()

    def kdf(self, ki, label, context, bits):
        full = hmac.new(ki, struct.pack('>I', 1) + label.encode() + b'\0' + context +
                        struct.pack('>I', bits), self.algo).digest()
        return full[:bits // 8]

    def derive(self, s0, context, whole):
        hb, kb = 8 * self.n, self.key_bits
        out = {}
        for side, name in (('i', 'Initiator'), ('r', 'Responder')):
            out['srtpkey' + side] = self.kdf(s0, name + ' SRTP master key', context, kb)
            out['srtpsalt' + side] = self.kdf(s0, name + ' SRTP master salt', context, 112)
            out['mackey' + side] = self.kdf(s0, name + ' HMAC key', context, hb)
            out['zrtpkey' + side] = self.kdf(s0, name + ' ZRTP key', context, kb)
        if whole:
            out['zrtpsess'] = self.kdf(s0, 'ZRTP Session Key', context, hb)
            out['sashash'] = self.kdf(s0, 'SAS', context, 256)
            out['exported'] = self.kdf(s0, 'Exported key', context, hb)
            out['rs1'] = self.kdf(s0, 'retained secret', context, 256)
        return out

    def confirm(self, number, key, mackey, h0, flags, cache, sig):
        words = 0 if not sig else 1 + (len(sig[1]) + 3) // 4
        inner = h0 + struct.pack('>II', words << 8 | flags, cache)
        if sig:
            inner += sig[0] + sig[1] + bytes(-len(sig[1]) % 4)
        iv = fill('iv %d' % number, 16)
        cipher = cfb_encrypt(key, iv, inner)
        return message(b'Confirm%d' % number, mac64(mackey, cipher, self.algo) + iv + cipher)


def length(s):
    return struct.pack('>I', len(s)) + s


def base32(value):
    bits = int.from_bytes(value[:4], 'big')
    return ''.join('ybndrfg8ejkmcpqxot1uwisza345h769'[bits >> (27 - 5 * i) & 31] for i in range(4))


# ---- what is written -------------------------------------------------------------------------------

def show(f, name, value):
    if isinstance(value, str):
        f.write(f'{name}: {value}\n')
        return
    text = value.hex()
    f.write(f'{name}: {text[:96]}\n')
    for i in range(96, len(text), 96):
        f.write('  ' + text[i:i + 96] + '\n')


def write_keys(f):
    a, b = Side('alice'), Side('bob')  # initiator, responder
    hello_i, hello_r = a.hello(LISTS), b.hello(LISTS)
    for kind, hname, cname, secrets in (
            ('DH3k', 'S256', 'AES1', (0, 0, 0)), ('DH3k', 'S384', 'AES3', (32, 0, 32)),
            ('DH2k', 'S256', 'AES1', (32, 16, 0)), ('EC25', 'S256', 'AES3', (32, 20, 32)),
            ('EC38', 'S384', 'AES3', (0, 20, 0)), ('X255', 'S256', 'AES3', (32, 0, 0)),
            ('X255', 'S384', 'AES2', (0, 0, 32))):
        k = Keys(hname, cname)
        n = {'DH3k': 2 * k.key_bits // 8, 'DH2k': 2 * k.key_bits // 8, 'EC25': 32, 'EC38': 48,
             'X255': 32}[kind]
        svi, svr = fill(kind + hname + ' svi', n), fill(kind + hname + ' svr', n)
        if kind.startswith('EC'):  # below the order
            svi, svr = b'\0' + svi[1:], b'\0' + svr[1:]
        pvi, pvr, result = agree(kind, svi, svr)
        s = [fill('s%d' % i, m) for i, m in enumerate(secrets, 1)]
        part2 = a.dhpart(2, [fill('idi%d' % i, 8) for i in range(4)], pvi)
        part1 = b.dhpart(1, [fill('idr%d' % i, 8) for i in range(4)], pvr)
        hvi = k.hash(part2, hello_r)[:32]
        commit = a.commit([hname, cname, 'HS80', kind, 'B32 '], hvi)
        total = k.hash(hello_r, commit, part1, part2)
        context = a.zid + b.zid + total
        s0 = k.hash(struct.pack('>I', 1), result, b'ZRTP-HMAC-KDF', context,
                    *[length(x) for x in s])
        show(f, 'source', 'make.py beside this file: RFC 6189 4.4.1, 4.5')
        show(f, 'mode', 'DH')
        for name, v in (('agreement', kind), ('hash', hname), ('cipher', cname), ('svi', svi),
                        ('svr', svr), ('pvi', pvi), ('pvr', pvr), ('dhresult', result),
                        ('hello_r', hello_r), ('commit', commit), ('dhpart1', part1),
                        ('dhpart2', part2), ('hvi', hvi), ('context', context), ('s1', s[0]),
                        ('s2', s[1]), ('s3', s[2]), ('s0', s0)):
            show(f, name, v)
        keys = k.derive(s0, context, True)
        for name, v in keys.items():
            show(f, name, v)
        show(f, 'b32', base32(keys['sashash']))
        show(f, 'confirm1', k.confirm(1, keys['zrtpkeyr'], keys['mackeyr'], b.h0, 4, 0xffffffff,
                                      None))
        show(f, 'confirm2', k.confirm(2, keys['zrtpkeyi'], keys['mackeyi'], a.h0, 2, 3600,
                                      (b'X509', fill('signature', 61))))
        # 7.3.1, 4.7.2.1, 4.7.2
        show(f, 'pbxsecret', k.kdf(keys['zrtpsess'], 'Trusted MiTM key', a.zid + b.zid, 256))
        show(f, 'newsess', k.kdf(keys['zrtpsess'], 'New ZRTP Session', a.zid + b.zid, 8 * k.n))
        show(f, 'clear_i', mac64(keys['mackeyi'], b'GoClear ', k.algo))
        f.write('\n')
    for mode, hname, cname in (('Mult', 'S256', 'AES1'), ('Mult', 'S384', 'AES3'),
                               ('Prsh', 'S256', 'AES3'), ('Prsh', 'S384', 'AES1')):
        k = Keys(hname, cname)
        nonce = fill(mode + ' nonce', 16)
        if mode == 'Mult':
            key, rest, label = fill('session', k.n), nonce, 'ZRTP MSK'
        else:
            rs1, aux, pbx = fill('rs1', 32), fill('aux', 24), b''
            key, label = k.hash(length(rs1), length(aux), length(pbx)), 'ZRTP PSK'
            rest = nonce + mac64(key, b'Prsh', k.algo)
        commit = a.commit([hname, cname, 'HS32', mode, 'B32 '], rest)
        total = k.hash(hello_r, commit)
        context = a.zid + b.zid + total
        s0 = k.kdf(key, label, context, 8 * k.n)
        show(f, 'source', 'make.py beside this file: RFC 6189 4.4.2, 4.4.3, 4.5')
        show(f, 'mode', mode)
        for name, v in (('hash', hname), ('cipher', cname), ('hello_r', hello_r),
                        ('commit', commit), ('context', context), ('key', key), ('s0', s0)):
            show(f, name, v)
        if mode == 'Prsh':
            show(f, 'kept_rs1', rs1)
            show(f, 'kept_aux', aux)
            show(f, 'keyid', rest[16:])
        for name, v in k.derive(s0, context, mode == 'Prsh').items():
            show(f, name, v)
        f.write('\n')


def write_messages(f):
    a, b = Side('alice'), Side('bob')
    k = Keys('S256', 'AES1')
    key, mackey = fill('zrtpkey', 16), fill('mackey', 32)
    pv = {'X255': 32, 'EC25': 64, 'EC38': 96, 'DH2k': 256, 'DH3k': 384}
    ids = [fill('id%d' % i, 8) for i in range(4)]
    types = ['S256', 'AES1', 'HS80']
    relay = struct.pack('>I', 4) + b'B256' + fill('relayed sashash', 32)
    iv = fill('relay iv', 16)
    sealed = cfb_encrypt(key, iv, relay)
    rows = [
        ('Hello with everything', 'Hello', a.hello(LISTS, 7), a.h2),
        ('Hello with nothing listed', 'Hello', b.hello([[], [], [], [], []]), b.h2),
        ('HelloACK', 'HelloACK', message(b'HelloACK', b''), None),
        ('Commit, DH', 'Commit', a.commit(types + ['DH3k', 'B32 '], fill('hvi', 32)), a.h1),
        ('Commit, Multistream', 'Commit', a.commit(types + ['Mult', 'B32 '], fill('nonce', 16)), a.h1),
        ('Commit, Preshared', 'Commit',
         a.commit(types + ['Prsh', 'B256'], fill('nonce', 16) + fill('keyid', 8)), a.h1)]
    for kind, n in pv.items():
        rows.append(('DHPart1 of ' + kind, 'DHPart1', b.dhpart(1, ids, fill(kind, n)), b.h0))
    rows += [
        ('DHPart2 of EC25', 'DHPart2', a.dhpart(2, ids, fill('EC25 i', 64)), a.h0),
        ('Confirm1', 'Confirm1', k.confirm(1, key, mackey, b.h0, 15, 0xffffffff, None), None),
        ('Confirm2 with a signature', 'Confirm2',
         k.confirm(2, key, mackey, a.h0, 0, 60, (b'PGP ', fill('pgp', 70))), None),
        ('Conf2ACK', 'Conf2ACK', message(b'Conf2ACK', b''), None),
        ('Error', 'Error', message(b'Error   ', struct.pack('>I', 0x62)), None),
        ('ErrorACK', 'ErrorACK', message(b'ErrorACK', b''), None),
        ('GoClear', 'GoClear', message(b'GoClear ', mac64(mackey, b'GoClear ')), None),
        ('ClearACK', 'ClearACK', message(b'ClearACK', b''), None),
        ('SASrelay', 'SASrelay', message(b'SASrelay', mac64(mackey, sealed) + iv + sealed), None),
        ('RelayACK', 'RelayACK', message(b'RelayACK', b''), None),
        ('Ping', 'Ping', message(b'Ping    ', b'1.10' + fill('ping', 8)), None),
        ('PingACK', 'PingACK', message(b'PingACK ', b'1.10' + fill('pong', 8) + fill('ping', 8) +
                                       struct.pack('>I', 0xcafe)), None)]
    for seq, (what, kind, msg, mac_key) in enumerate(rows, 0xfff0):
        show(f, 'source', 'make.py beside this file: RFC 6189 5')
        show(f, 'what', what)
        show(f, 'type', kind)
        show(f, 'message', msg)
        show(f, 'packet', packet(msg, seq & 0xffff, 0xdecafbad))
        if mac_key:
            show(f, 'mackey', mac_key)
        if kind in ('Confirm1', 'Confirm2', 'SASrelay'):
            show(f, 'zrtpkey', key)
            show(f, 'sealkey', mackey)
        f.write('\n')


for name, writer in (('keys.txt', write_keys), ('messages.txt', write_messages)):
    with open(os.path.join(HERE, name), 'w') as out:
        out.write('# Made by make.py beside this file.\n')
        writer(out)
