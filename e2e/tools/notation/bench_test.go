package main

import (
	"os"
	"path/filepath"
	"testing"
)

const descriptorJSON = `{"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
	`"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}`

// BenchmarkVerify is one verification of a signature with a chain of three certificates.
func BenchmarkVerify(b *testing.B) {
	folder := b.TempDir()
	descriptor := filepath.Join(folder, "descriptor.json")
	if err := os.WriteFile(descriptor, []byte(descriptorJSON), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := signAll(folder, descriptor); err != nil {
		b.Fatal(err)
	}
	for _, envelope := range []string{"es256/x509.cose", "es256/x509.jws", "ps256/x509.cose", "ps256/x509.jws"} {
		b.Run(envelope, func(b *testing.B) {
			if err := benchmark(b, descriptor, filepath.Join(folder, envelope)); err != nil {
				b.Fatal(err)
			}
		})
	}
}
