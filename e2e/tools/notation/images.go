package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/tspclient-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
)

// order is a signature that is to be beside an image: one that is made, or one that is there.
type order struct {
	// Image is a reference by digest.
	Image string `json:"image"`
	// Keys is the folder of a key and its chain.
	Keys string `json:"keys,omitempty"`
	// Scheme is x509 or signingAuthority.
	Scheme string `json:"scheme,omitempty"`
	// Envelope is the file of a finished signature, in the place of keys and scheme.
	Envelope string `json:"envelope,omitempty"`
	// Format is cose or jws.
	Format string `json:"format"`
	// ExpirySeconds is how long it counts, where it does not always.
	ExpirySeconds int64 `json:"expirySeconds,omitempty"`
	// TimestampURL is where the timestamp comes from, if there is to be one.
	TimestampURL string `json:"timestampUrl,omitempty"`
	// TimestampRoot is the file of the certificate that the timestamp leads to.
	TimestampRoot string `json:"timestampRoot,omitempty"`
	// UserMetadata is signed too.
	UserMetadata map[string]string `json:"userMetadata,omitempty"`
	// HasArtifactType is whether the manifest says by itself that it is a signature, as the
	// specification has had it since 1.1, and not by its config alone, as the library has it.
	HasArtifactType bool `json:"hasArtifactType,omitempty"`
}

// signImages carries out a list of orders.
func signImages(input io.Reader) error {
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	var orders []order
	if err := decoder.Decode(&orders); err != nil {
		return err
	}
	for _, order := range orders {
		if err := order.sign(); err != nil {
			return fmt.Errorf("%s: %w", order.Image, err)
		}
	}
	return nil
}

func (order order) sign() error {
	signer, err := order.signer()
	if err != nil {
		return err
	}
	target, err := newTarget(order.Image)
	if err != nil {
		return err
	}
	repository := registry.NewRepository(target)
	if order.HasArtifactType {
		repository = typed{repository, target}
	}
	options, err := order.options()
	if err != nil {
		return err
	}
	_, err = notation.Sign(context.Background(), signer, repository, options)
	return err
}

func (order order) signer() (notation.Signer, error) {
	if order.Envelope != "" {
		return finished(order.Envelope), nil
	}
	key, chain, err := readKeys(order.Keys)
	if err != nil {
		return nil, err
	}
	return newSigner(order.Scheme, key, chain)
}

func (order order) options() (notation.SignOptions, error) {
	options := notation.SignOptions{
		ArtifactReference: order.Image,
		UserMetadata:      order.UserMetadata,
		SignerSignOptions: notation.SignerSignOptions{
			SignatureMediaType: mediaTypes["."+order.Format],
			ExpiryDuration:     time.Duration(order.ExpirySeconds) * time.Second,
		},
	}
	if order.TimestampURL == "" {
		return options, nil
	}
	root, err := readCertificate(order.TimestampRoot)
	if err != nil {
		return options, err
	}
	options.TSARootCAs = x509.NewCertPool()
	options.TSARootCAs.AddCert(root)
	options.Timestamper, err = tspclient.NewHTTPTimestamper(nil, order.TimestampURL)
	return options, err
}

// newTarget is the repository of an image in a registry that is spoken to without TLS.
func newTarget(image string) (*remote.Repository, error) {
	target, err := remote.NewRepository(image)
	if err != nil {
		return nil, err
	}
	target.PlainHTTP = true
	// A list of referrers that is replaced stays: not every registry lets go of manifests.
	target.SkipReferrersGC = true
	return target, nil
}

// finished is the file of a signature, which signs by being there.
type finished string

func (path finished) Sign(
	_ context.Context, _ ocispec.Descriptor, options notation.SignerSignOptions,
) ([]byte, *signature.SignerInfo, error) {
	signed, err := os.ReadFile(string(path))
	if err != nil {
		return nil, nil, err
	}
	envelope, err := signature.ParseEnvelope(options.SignatureMediaType, signed)
	if err != nil {
		return nil, nil, err
	}
	content, err := envelope.Content()
	if err != nil {
		return nil, nil, err
	}
	return signed, &content.SignerInfo, nil
}

// typed is a repository to which signatures are pushed in manifests with an artifact type.
type typed struct {
	registry.Repository
	target *remote.Repository
}

func (repository typed) PushSignature(
	ctx context.Context, mediaType string, blob []byte, subject ocispec.Descriptor, annotations map[string]string,
) (layer, manifest ocispec.Descriptor, err error) {
	layer, err = oras.PushBytes(ctx, repository.target.Blobs(), mediaType, blob)
	if err != nil {
		return layer, manifest, err
	}
	manifest, err = oras.PackManifest(ctx, repository.target, oras.PackManifestVersion1_1, registry.ArtifactTypeNotation,
		oras.PackManifestOptions{Subject: &subject, ManifestAnnotations: annotations, Layers: []ocispec.Descriptor{layer}})
	return layer, manifest, err
}

// verifyImage verifies the signatures of an image in a registry.
func verifyImage(image, identity string, stores []string) error {
	trusting, err := newVerifier(identity, stores)
	if err != nil {
		return err
	}
	target, err := newTarget(image)
	if err != nil {
		return err
	}
	options := notation.VerifyOptions{ArtifactReference: image, MaxSignatureAttempts: attempts}
	if _, _, err := notation.Verify(context.Background(), trusting, registry.NewRepository(target), options); err != nil {
		return rejected{err}
	}
	fmt.Println("pass")
	return nil
}
