package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/signer"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// lifetime is how long the signatures count that expire.
const lifetime = 24 * time.Hour

// signAll signs what the file describes with every kind of key.
func signAll(folder, descriptorPath string) error {
	descriptor, err := readDescriptor(descriptorPath)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		own := filepath.Join(folder, kind.name)
		chain, err := newKeys(own, kind.generate, plain)
		if err != nil {
			return err
		}
		for _, scheme := range []string{"x509", "signingAuthority"} {
			if err := signUnder(scheme, own, chain, descriptor); err != nil {
				return err
			}
		}
	}
	return nil
}

// signUnder signs in both formats, with and without expiry.
func signUnder(scheme, folder string, chain []link, descriptor ocispec.Descriptor) error {
	signer, err := newSigner(scheme, chain[0].key, certificates(chain))
	if err != nil {
		return err
	}
	for suffix, mediaType := range mediaTypes {
		for expiring, expiry := range map[string]time.Duration{"": 0, "-expiring": lifetime} {
			options := notation.SignerSignOptions{SignatureMediaType: mediaType, ExpiryDuration: expiry}
			envelope, _, err := signer.Sign(context.Background(), descriptor, options)
			if err != nil {
				return err
			}
			path := filepath.Join(folder, scheme+expiring+suffix)
			if err := os.WriteFile(path, envelope, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// newSigner signs with the key of a chain's leaf, under notary.x509 or notary.x509.signingAuthority.
func newSigner(scheme string, key crypto.PrivateKey, chain []*x509.Certificate) (notation.Signer, error) {
	switch scheme {
	case "x509":
		return signer.NewGenericSigner(key, chain)
	case "signingAuthority":
		local, err := signature.NewLocalSigner(chain, key)
		return authority{local}, err
	}
	return nil, fmt.Errorf("there is no scheme %q", scheme)
}

// authority signs one layer deeper: the signer that users have knows notary.x509 alone.
type authority struct{ local signature.Signer }

func (signer authority) Sign(
	_ context.Context, descriptor ocispec.Descriptor, options notation.SignerSignOptions,
) ([]byte, *signature.SignerInfo, error) {
	payload, err := json.Marshal(map[string]ocispec.Descriptor{"targetArtifact": descriptor})
	if err != nil {
		return nil, nil, err
	}
	request := &signature.SignRequest{
		Payload:       signature.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: payload},
		Signer:        signer.local,
		SigningTime:   time.Now(),
		SigningScheme: signature.SigningSchemeX509SigningAuthority,
	}
	if options.ExpiryDuration != 0 {
		request.Expiry = request.SigningTime.Add(options.ExpiryDuration)
	}
	envelope, err := signature.NewEnvelope(options.SignatureMediaType)
	if err != nil {
		return nil, nil, err
	}
	signed, err := envelope.Sign(request)
	if err != nil {
		return nil, nil, err
	}
	content, err := envelope.Verify()
	if err != nil {
		return nil, nil, err
	}
	return signed, &content.SignerInfo, nil
}
