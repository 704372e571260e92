package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// repository is where an artifact is said to lie that lies in no registry.
const repository = "registry.example/notation"

// attempts is how many signatures of an image are looked at, as the notation CLI has it.
const attempts = 100

// roots are trust stores of one certificate each, by their types, whatever their names.
type roots map[truststore.Type]*x509.Certificate

func (roots roots) GetCertificates(_ context.Context, kind truststore.Type, name string) ([]*x509.Certificate, error) {
	root, found := roots[kind]
	if !found {
		return nil, fmt.Errorf("there is no trust store %s:%s", kind, name)
	}
	return []*x509.Certificate{root}, nil
}

// verifyFile verifies the envelope in a file.
func verifyFile(descriptorPath, envelopePath, identity string, stores []string) error {
	signed, err := readSigned(descriptorPath, envelopePath)
	if err != nil {
		return err
	}
	trusting, err := newVerifier(identity, stores)
	if err != nil {
		return err
	}
	if err := signed.verify(trusting); err != nil {
		return rejected{err}
	}
	fmt.Println("pass")
	return nil
}

// newVerifier trusts the identity under the stores, each TYPE=ROOT.pem, at level strict.
func newVerifier(identity string, stores []string) (notation.Verifier, error) {
	policy := trustpolicy.TrustPolicy{
		Name:                  "arguments",
		RegistryScopes:        []string{"*"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
		TrustedIdentities:     []string{identity},
	}
	trusted := roots{}
	for _, store := range stores {
		kind, path, found := strings.Cut(store, "=")
		if !found {
			return nil, errUsage
		}
		root, err := readCertificate(path)
		if err != nil {
			return nil, err
		}
		trusted[truststore.Type(kind)] = root
		policy.TrustStores = append(policy.TrustStores, kind+":root")
	}
	document := &trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{policy}}
	return verifier.New(document, trusted, nil)
}

func readCertificate(path string) (*x509.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// signed is an envelope, and the artifact that it should be about.
type signed struct {
	descriptor ocispec.Descriptor
	envelope   []byte
	mediaType  string
}

func readSigned(descriptorPath, envelopePath string) (signed, error) {
	descriptor, err := readDescriptor(descriptorPath)
	if err != nil {
		return signed{}, err
	}
	envelope, err := os.ReadFile(envelopePath)
	if err != nil {
		return signed{}, err
	}
	mediaType, err := mediaType(envelopePath)
	return signed{descriptor, envelope, mediaType}, err
}

func (signed signed) verify(trusting notation.Verifier) error {
	_, err := trusting.Verify(context.Background(), signed.descriptor, signed.envelope, notation.VerifierVerifyOptions{
		ArtifactReference:  repository + "@" + signed.descriptor.Digest.String(),
		SignatureMediaType: signed.mediaType,
	})
	return err
}
