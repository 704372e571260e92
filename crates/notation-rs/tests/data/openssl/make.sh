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
default_days = 7300
default_crl_days = 30
policy = any
crl_extensions = crl
[any]
commonName = supplied
[crl]
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
[name]
[v3_root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[v3_tsa]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[v3_leaf]
keyUsage = critical,digitalSignature
[v3_responder]
keyUsage = critical,digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
[tsa]
default_tsa = tsa1
[tsa1]
serial = tsaserial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
CNF

: >index.txt
echo 1000 >serial
echo 01 >crlnumber
echo 01 >tsaserial

openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 7300 \
  -subj "/CN=Test Root" -config openssl.cnf -extensions v3_root
issue() { # name, extensions, key options
  name=$1 extensions=$2
  shift 2
  openssl req -new -newkey "$@" -nodes -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" -config openssl.cnf
  openssl ca -batch -config openssl.cnf -extensions "$extensions" -in "$name.csr" -out "$name.pem" -notext
}
issue tsa v3_tsa rsa:2048
issue good v3_leaf ec -pkeyopt ec_paramgen_curve:P-256
issue revoked v3_leaf ec -pkeyopt ec_paramgen_curve:P-256
issue responder v3_responder rsa:2048
openssl ca -config openssl.cnf -revoke revoked.pem -crl_reason keyCompromise
openssl ca -config openssl.cnf -gencrl -out crl.pem

printf 'the signature' >message
timestamp() { # output name, options of the reply
  output=$1
  shift
  openssl ts -query -data message -sha384 -cert -out request.tsq
  openssl ts -reply -config openssl.cnf -queryfile request.tsq -inkey tsa.key -signer tsa.pem \
    -token_out -out "$here/$output.der" "$@"
}
timestamp token
sed -i "s/^signer_digest = sha256/signer_digest = sha512/; s/^ess_cert_id_alg = sha256/ess_cert_id_alg = sha1/" openssl.cnf
timestamp token-ess-v1

answer() { # certificate, signer, output name
  openssl ocsp -index index.txt -rsigner "$2.pem" -rkey "$2.key" -CA root.pem -issuer root.pem \
    -cert "$1.pem" -no_nonce -ndays 30 -respout "$here/$3.der" -noverify
}
answer good root ocsp-good
answer revoked root ocsp-revoked
answer good responder ocsp-good-delegated

openssl crl -in crl.pem -outform DER -out "$here/crl.der"
for name in root good revoked; do
  openssl x509 -in $name.pem -outform DER -out "$here/$name.der"
done
