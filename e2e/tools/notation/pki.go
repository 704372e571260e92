package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
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

// newChain is a leaf with this key, an intermediate on P-256 and a root on P-384, in this order.
func newChain(leafKey crypto.Signer) ([]link, error) {
	rootKey, err := generateEC(elliptic.P384())()
	if err != nil {
		return nil, err
	}
	intermediateKey, err := generateEC(elliptic.P256())()
	if err != nil {
		return nil, err
	}
	ca := func(template *x509.Certificate, below int) {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.MaxPathLen, template.MaxPathLenZero = below, below == 0
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	root, err := certify("Root", nil, rootKey, func(template *x509.Certificate) { ca(template, 1) })
	if err != nil {
		return nil, err
	}
	intermediate, err := certify("Intermediate", root, intermediateKey, func(template *x509.Certificate) { ca(template, 0) })
	if err != nil {
		return nil, err
	}
	leaf, err := certify("Leaf", intermediate, leafKey, func(template *x509.Certificate) {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	})
	if err != nil {
		return nil, err
	}
	return []link{*leaf, *intermediate, *root}, nil
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

func encoded(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
