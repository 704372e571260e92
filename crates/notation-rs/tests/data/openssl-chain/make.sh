#!/bin/sh -e
# Makes root.der and leaf.der anew, with keys that are thrown away.
directory=$(mktemp -d)
trap 'rm -r "$directory"' EXIT
pss='-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest'
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out "$directory/root.pem"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out "$directory/leaf.pem"
openssl req -x509 -new -key "$directory/root.pem" -sha384 $pss -days 36500 -subj "/C=US/O=Acme/CN=Root" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
  -outform DER -out root.der
openssl req -new -key "$directory/leaf.pem" -subj "/C=US/ST=WA/O=Acme/CN=Leaf" -out "$directory/leaf.csr"
printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n' \
  > "$directory/leaf.cnf"
openssl x509 -req -in "$directory/leaf.csr" -CAkey "$directory/root.pem" -CA root.der -CAform DER \
  -set_serial 0x7b -sha512 $pss -days 36500 -extfile "$directory/leaf.cnf" -outform DER -out leaf.der
