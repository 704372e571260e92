package main

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ocsp"
)

// revocable is a signer below the one authority, whose certificate says where to ask whether it is
// revoked.
type revocable struct {
	name string
	// status is what OCSP says; whoever is revoked is on the authority's list too.
	status int
	// list is the file that is named as the authority's list, if any.
	list string
	// responder is who signs what OCSP says, if a responder is named: issuer, delegate, or pretender,
	// who is no delegate; and silent, who says nothing.
	responder string
	// hasLongSerial is whether a question about it is too long for a URL.
	hasLongSerial bool
}

// authorityList is the file of the list that there is.
const authorityList = "authority.crl"

var revocables = []revocable{
	{name: "good", list: authorityList},
	{name: "revoked", list: authorityList, status: ocsp.Revoked},
	{name: "unlisted", list: "missing.crl"},
	{name: "ocsp-good", responder: "issuer"},
	{name: "ocsp-revoked", responder: "issuer", status: ocsp.Revoked},
	{name: "ocsp-unknown", responder: "issuer", status: ocsp.Unknown},
	{name: "ocsp-posted", responder: "issuer", hasLongSerial: true},
	{name: "ocsp-delegate", responder: "delegate"},
	{name: "ocsp-delegate-revoked", responder: "delegate", status: ocsp.Revoked},
	{name: "ocsp-pretender", responder: "pretender"},
	{name: "ocsp-silent", responder: "silent"},
	{name: "ocsp-silent-good", responder: "silent", list: authorityList},
	{name: "ocsp-silent-revoked", responder: "silent", list: authorityList, status: ocsp.Revoked},
}

// makeRevocables writes their keys and what is to be served at that address.
func makeRevocables(folder, url string) error {
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	responders, err := newResponders(authority)
	if err != nil {
		return err
	}
	var revoked []x509.RevocationListEntry
	for _, signer := range revocables {
		chain, err := signer.newChain(authority, url)
		if err != nil {
			return err
		}
		if err := signer.write(filepath.Join(folder, signer.name), chain, responders); err != nil {
			return err
		}
		if signer.status == ocsp.Revoked {
			serial := chain[0].certificate.SerialNumber
			revoked = append(revoked, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now()})
		}
	}
	return writeList(filepath.Join(folder, authorityList), authority[0], revoked)
}

// newResponders are those that say anything. The purpose alone tells delegate and pretender apart.
func newResponders(authority []link) (map[string]link, error) {
	responders := map[string]link{"issuer": authority[0]}
	for name, purpose := range map[string]x509.ExtKeyUsage{
		"delegate":  x509.ExtKeyUsageOCSPSigning,
		"pretender": x509.ExtKeyUsageCodeSigning,
	} {
		key, err := generateEC(elliptic.P256())()
		if err != nil {
			return nil, err
		}
		chain, err := issue(key, authority, func(template *x509.Certificate) {
			template.ExtKeyUsage = []x509.ExtKeyUsage{purpose}
		})
		if err != nil {
			return nil, err
		}
		responders[name] = chain[0]
	}
	return responders, nil
}

func (signer revocable) newChain(authority []link, url string) ([]link, error) {
	key, err := generateEC(elliptic.P256())()
	if err != nil {
		return nil, err
	}
	return issue(key, authority, func(template *x509.Certificate) {
		if signer.list != "" {
			template.CRLDistributionPoints = []string{url + "/" + signer.list}
		}
		if signer.responder != "" {
			template.OCSPServer = []string{url + ocspPath + signer.name}
		}
		if signer.hasLongSerial {
			// 48 bytes, which in base64 are slashes, and three characters each in a URL.
			one := big.NewInt(1)
			template.SerialNumber = new(big.Int).Sub(new(big.Int).Lsh(one, 48*8-1), one)
		}
	})
}

// write writes the chain and what the responder says of it.
func (signer revocable) write(folder string, chain []link, responders map[string]link) error {
	if err := writeChain(folder, chain); err != nil {
		return err
	}
	responder, speaks := responders[signer.responder]
	if !speaks {
		return nil
	}
	issuer := chain[1].certificate
	template := ocsp.Response{
		Status:       signer.status,
		SerialNumber: chain[0].certificate.SerialNumber,
		ThisUpdate:   time.Now().Add(-time.Hour),
		NextUpdate:   time.Now().AddDate(0, 0, 1),
		RevokedAt:    time.Now(),
	}
	if responder.certificate != issuer {
		template.Certificate = responder.certificate
	}
	answer, err := ocsp.CreateResponse(issuer, responder.certificate, template, responder.key)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, ocspFile), answer, 0o600)
}

// writeList writes the list of what the authority has revoked.
func writeList(path string, authority link, revoked []x509.RevocationListEntry) error {
	template := &x509.RevocationList{
		Number:                    big.NewInt(1),
		ThisUpdate:                time.Now().Add(-time.Hour),
		NextUpdate:                time.Now().AddDate(0, 0, 1),
		RevokedCertificateEntries: revoked,
	}
	list, err := x509.CreateRevocationList(rand.Reader, template, authority.certificate, authority.key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, list, 0o600)
}
