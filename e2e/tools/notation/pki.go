package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kinds are the keys that envelopes are signed with, by the algorithm that each of them fixes.
var kinds = []struct {
	name     string
	generate func() (crypto.Signer, error)
}{
	{"ps256", generateRSA(2048)},
	{"ps384", generateRSA(3072)},
	{"ps512", generateRSA(4096)},
	{"es256", generateEC(elliptic.P256())},
	{"es384", generateEC(elliptic.P384())},
	{"es512", generateEC(elliptic.P521())},
}

func generateRSA(bits int) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
}

func generateEC(curve elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
}

// link is a certificate with its key.
type link struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// plain leaves a leaf as it is.
func plain(*x509.Certificate) {}

// newKeys writes a new chain, whose leaf has this kind of key, into a folder of its own.
func newKeys(folder string, generate func() (crypto.Signer, error), shape func(*x509.Certificate)) ([]link, error) {
	key, err := generate()
	if err != nil {
		return nil, err
	}
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	chain, err := issue(key, authority, shape)
	if err != nil {
		return nil, err
	}
	return chain, writeChain(folder, chain)
}

// newAuthority is an intermediate on P-256 and a root on P-384, in this order.
func newAuthority() ([]link, error) {
	rootKey, err := generateEC(elliptic.P384())()
	if err != nil {
		return nil, err
	}
	intermediateKey, err := generateEC(elliptic.P256())()
	if err != nil {
		return nil, err
	}
	root, err := certify("Root", nil, rootKey, func(template *x509.Certificate) { certifying(template, 1) })
	if err != nil {
		return nil, err
	}
	intermediate, err := certify("Intermediate", root, intermediateKey, func(template *x509.Certificate) { certifying(template, 0) })
	if err != nil {
		return nil, err
	}
	return []link{*intermediate, *root}, nil
}

// certifying makes it a CA's, with so many others below it and above the leaf.
func certifying(template *x509.Certificate, below int) {
	template.IsCA, template.BasicConstraintsValid = true, true
	template.MaxPathLen, template.MaxPathLenZero = below, below == 0
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

// issue is a leaf with this key, shaped further, below the authority.
func issue(key crypto.Signer, authority []link, shape func(*x509.Certificate)) ([]link, error) {
	leaf, err := certify("Leaf", &authority[0], key, func(template *x509.Certificate) {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		shape(template)
	})
	if err != nil {
		return nil, err
	}
	return append([]link{*leaf}, authority...), nil
}

// certify has issuer certify key for a year, from an hour ago; without an issuer it signs itself.
func certify(name string, issuer *link, key crypto.Signer, shape func(*x509.Certificate)) (*link, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject: pkix.Name{
			Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: name,
		},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().AddDate(1, 0, 0),
	}
	shape(template)
	if issuer == nil {
		issuer = &link{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &link{certificate, key}, err
}

// certificates are those of a chain.
func certificates(chain []link) []*x509.Certificate {
	var all []*x509.Certificate
	for _, each := range chain {
		all = append(all, each.certificate)
	}
	return all
}

// writeChain writes what others need to sign and to verify: the leaf's key, the chain and the root.
func writeChain(folder string, chain []link) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(chain[0].key)
	if err != nil {
		return err
	}
	var all []byte
	for _, certificate := range certificates(chain) {
		all = append(all, encoded("CERTIFICATE", certificate.Raw)...)
	}
	root := encoded("CERTIFICATE", chain[len(chain)-1].certificate.Raw)
	files := map[string][]byte{"chain.pem": all, "key.pem": encoded("PRIVATE KEY", key), "root.pem": root}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readKeys is what writeChain wrote: the leaf's key and the chain.
func readKeys(folder string) (crypto.PrivateKey, []*x509.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "chain.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		return nil, nil, err
	}
	chain, err := x509.ParseCertificates(slices.Concat(pair.Certificate...))
	return pair.PrivateKey, chain, err
}

func encoded(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
