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

// repository is where the artifact is said to lie.
const repository = "registry.example/notation"

// oneRoot is a trust store of one type, whatever its name.
type oneRoot struct {
	kind truststore.Type
	root *x509.Certificate
}

func (store oneRoot) GetCertificates(_ context.Context, kind truststore.Type, name string) ([]*x509.Certificate, error) {
	if kind != store.kind {
		return nil, fmt.Errorf("there is no trust store %s:%s", kind, name)
	}
	return []*x509.Certificate{store.root}, nil
}

// verifyFile verifies the envelope in a file.
func verifyFile(descriptorPath, envelopePath, store, identity string) error {
	descriptor, err := readDescriptor(descriptorPath)
	if err != nil {
		return err
	}
	envelope, err := os.ReadFile(envelopePath)
	if err != nil {
		return err
	}
	mediaType, err := mediaType(envelopePath)
	if err != nil {
		return err
	}
	kind, rootPath, found := strings.Cut(store, "=")
	if !found {
		return errUsage
	}
	trusting, err := newVerifier(truststore.Type(kind), rootPath, identity)
	if err != nil {
		return err
	}
	if err := verify(trusting, descriptor, envelope, mediaType); err != nil {
		return rejected{err}
	}
	fmt.Println("pass")
	return nil
}

// newVerifier trusts the identity under the root, at level strict.
func newVerifier(kind truststore.Type, rootPath, identity string) (notation.Verifier, error) {
	content, err := os.ReadFile(rootPath)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", rootPath)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	document := &trustpolicy.Document{
		Version: "1.0",
		TrustPolicies: []trustpolicy.TrustPolicy{{
			Name:                  "arguments",
			RegistryScopes:        []string{repository},
			SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
			TrustStores:           []string{string(kind) + ":root"},
			TrustedIdentities:     []string{identity},
		}},
	}
	return verifier.New(document, oneRoot{kind, root}, nil)
}

func verify(trusting notation.Verifier, descriptor ocispec.Descriptor, envelope []byte, mediaType string) error {
	_, err := trusting.Verify(context.Background(), descriptor, envelope, notation.VerifierVerifyOptions{
		ArtifactReference:  repository + "@" + descriptor.Digest.String(),
		SignatureMediaType: mediaType,
	})
	return err
}
