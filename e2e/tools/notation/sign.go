package main

import (
	"context"
	"encoding/json"
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
		key, err := kind.generate()
		if err != nil {
			return err
		}
		chain, err := newChain(key)
		if err != nil {
			return err
		}
		own := filepath.Join(folder, kind.name)
		if err := os.MkdirAll(own, 0o700); err != nil {
			return err
		}
		if err := writeChain(own, chain); err != nil {
			return err
		}
		if err := signWith(own, chain, descriptor); err != nil {
			return err
		}
	}
	return nil
}

// signWith signs in both formats and under both schemes, with and without expiry.
func signWith(folder string, chain []link, descriptor ocispec.Descriptor) error {
	schemes := map[string]func([]link, ocispec.Descriptor, string, time.Duration) ([]byte, error){
		"x509": signX509, "signingAuthority": signAsAuthority,
	}
	for scheme, sign := range schemes {
		for suffix, mediaType := range mediaTypes {
			for expiring, expiry := range map[string]time.Duration{"": 0, "-expiring": lifetime} {
				envelope, err := sign(chain, descriptor, mediaType, expiry)
				if err != nil {
					return err
				}
				path := filepath.Join(folder, scheme+expiring+suffix)
				if err := os.WriteFile(path, envelope, 0o600); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func signX509(chain []link, descriptor ocispec.Descriptor, mediaType string, expiry time.Duration) ([]byte, error) {
	generic, err := signer.NewGenericSigner(chain[0].key, certificates(chain))
	if err != nil {
		return nil, err
	}
	options := notation.SignerSignOptions{SignatureMediaType: mediaType, ExpiryDuration: expiry}
	envelope, _, err := generic.Sign(context.Background(), descriptor, options)
	return envelope, err
}

// signAsAuthority goes one layer deeper: the signer that users have knows notary.x509 alone.
func signAsAuthority(chain []link, descriptor ocispec.Descriptor, mediaType string, expiry time.Duration) ([]byte, error) {
	local, err := signature.NewLocalSigner(certificates(chain), chain[0].key)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(map[string]ocispec.Descriptor{"targetArtifact": descriptor})
	if err != nil {
		return nil, err
	}
	request := &signature.SignRequest{
		Payload:       signature.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: payload},
		Signer:        local,
		SigningTime:   time.Now(),
		SigningScheme: signature.SigningSchemeX509SigningAuthority,
	}
	if expiry != 0 {
		request.Expiry = request.SigningTime.Add(expiry)
	}
	envelope, err := signature.NewEnvelope(mediaType)
	if err != nil {
		return nil, err
	}
	return envelope.Sign(request)
}
