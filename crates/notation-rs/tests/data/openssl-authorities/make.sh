#!/bin/sh
# Remakes the files of this directory with OpenSSL (3.0 or later); see README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >openssl.cnf <<'CNF'
[ca]
default_ca = root
[root]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = root.pem
private_key = root.key
default_md = sha256
default_days = 36500
default_crl_days = 36500
policy = any
[any]
countryName = optional
commonName = supplied
[base]
authorityKeyIdentifier = keyid
freshestCRL = URI:http://crl.example/delta.crl
[delta]
authorityKeyIdentifier = keyid
2.5.29.27 = critical,ASN1:INTEGER:1
[req]
distinguished_name = name
[name]
[v3_root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[v3_leaf]
keyUsage = critical,digitalSignature
authorityInfoAccess = OCSP;URI:http://ocsp.example
crlDistributionPoints = URI:http://crl.example/base.crl
[v3_responder]
keyUsage = critical,digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
[v3_tsa]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = tsa1
[tsa1]
serial = tsaserial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
CNF

: >index.txt
echo 1000 >serial
echo 01 >tsaserial

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem \
  -days 36500 -subj "/CN=Authority" -config openssl.cnf -extensions v3_root
issue() { # name, extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
    -subj "/CN=$1" -config openssl.cnf
  openssl ca -batch -config openssl.cnf -extensions "$2" -in "$1.csr" -out "$1.pem" -notext
}
issue leaf v3_leaf
issue responder v3_responder
issue tsa v3_tsa

for name in root leaf; do
  openssl x509 -in $name.pem -outform DER -out "$here/$name.der"
done

answer() { # output name
  openssl ocsp -index index.txt -rsigner responder.pem -rkey responder.key -CA root.pem \
    -issuer root.pem -cert leaf.pem -no_nonce -ndays 36500 -respout "$here/$1.ocsp" -noverify
}
list() { # extensions, number, output name
  echo "$2" >crlnumber
  openssl ca -config openssl.cnf -gencrl -crlexts "$1" -out crl.pem
  openssl crl -in crl.pem -outform DER -out "$here/$3.crl"
}
answer good
list base 01 base
list delta 02 delta-good
openssl ca -config openssl.cnf -revoke leaf.pem -crl_reason keyCompromise
answer revoked
list delta 02 delta-revoked

printf 'the signature' >message
ask() { # hash of the query, name of query and reply
  openssl ts -query -data message "-$1" -cert -out "$here/$2.tsq"
  openssl ts -reply -config openssl.cnf -queryfile "$here/$2.tsq" -inkey tsa.key -signer tsa.pem \
    -out "$here/$2.tsr"
}
ask sha256 granted
ask sha384 refused
