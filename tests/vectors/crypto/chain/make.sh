#!/bin/sh
# Makes the certificates of this folder anew: two authorities, an intermediate, and leaves with one
# property each. Valid from 2025 to 2045 unless the name says otherwise. Needs openssl(1).
set -e
cd "$(dirname "$0")"
from=20250101000000Z to=20450101000000Z n=1000

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }

# issue NAME ISSUER SUBJECT EXTENSIONS [FROM TO] [MORE]
issue() {
    [ -f "$1.key" ] || key "$1"
    openssl req -new -key "$1.key" -subj "$3" -out tmp.csr
    printf '%b' "$4" > tmp.ext
    n=$((n + 1))
    mkdir -p tmp.ca && : > tmp.ca/index && echo $n > tmp.ca/serial
    cat > tmp.cnf <<CNF
[ca]
default_ca = c
[c]
database = tmp.ca/index
serial = tmp.ca/serial
new_certs_dir = tmp.ca
policy = p
default_md = ${7:-sha256}
unique_subject = no
[p]
commonName = optional
CNF
    self=""; [ "$1" = "$2" ] && self=-selfsign
    openssl ca -batch -notext -config tmp.cnf $self -keyfile "$2.key" ${self:--cert "$2.pem"} -in tmp.csr \
        -startdate "${5:-$from}" -enddate "${6:-$to}" -extfile tmp.ext -out "$1.pem" 2>/dev/null
    rm -rf tmp.*
}

ca='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n'
leaf='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n'
issue root root '/CN=Test Root' "$ca"
issue stranger stranger '/CN=Stranger Root' "$ca"
issue middle root '/CN=Test Middle' "$ca"
issue leaf middle '/CN=leaf' "${leaf}subjectAltName=URI:sip:example.org,DNS:sip.example.org\n"
issue client middle '/CN=client' "${leaf}extendedKeyUsage=clientAuth\nsubjectAltName=URI:sip:example.com\n"
issue expired middle '/CN=expired' "${leaf}subjectAltName=DNS:example.org\n" 20240101000000Z 20250601000000Z
issue future middle '/CN=future' "${leaf}subjectAltName=DNS:example.org\n" 20400101000000Z
issue mail middle '/CN=mail' "${leaf}extendedKeyUsage=emailProtection\nsubjectAltName=DNS:example.org\n"
issue sipeku middle '/CN=sipeku' "${leaf}extendedKeyUsage=1.3.6.1.5.5.7.3.20\nsubjectAltName=DNS:example.org\n"
issue noca leaf '/CN=signed by a leaf' "${leaf}subjectAltName=DNS:example.org\n"
issue sha1 root '/CN=sha1' "${leaf}subjectAltName=DNS:example.org\n" "" "" sha1
issue nosign middle '/CN=nosign' "basicConstraints=CA:FALSE\nkeyUsage=keyAgreement\nsubjectAltName=DNS:example.org\n"
cat leaf.pem middle.pem > leaf_chain.pem
cat client.pem middle.pem > client_chain.pem
cat expired.pem middle.pem > expired_chain.pem
for k in root stranger middle future mail sipeku noca sha1 nosign; do rm $k.key; done
