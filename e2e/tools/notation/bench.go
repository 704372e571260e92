package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// figure is what one verification takes.
type figure struct {
	Envelope       string `json:"envelope"`
	Nanoseconds    int64  `json:"nanoseconds"`
	AllocatedBytes int64  `json:"allocatedBytes"`
}

// benchmarkAll prints a figure for each envelope of these kinds of keys; of all kinds if none is named.
func benchmarkAll(folder, descriptorPath string, named []string) error {
	for _, kind := range kinds {
		if len(named) > 0 && !slices.Contains(named, kind.name) {
			continue
		}
		for _, suffix := range slices.Sorted(maps.Keys(mediaTypes)) {
			name := filepath.Join(kind.name, "x509"+suffix)
			var failure error
			result := testing.Benchmark(func(b *testing.B) {
				if failure = benchmark(b, descriptorPath, filepath.Join(folder, name)); failure != nil {
					b.FailNow()
				}
			})
			if failure != nil {
				return failure
			}
			line := figure{name, result.NsPerOp(), result.AllocedBytesPerOp()}
			if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// benchmark verifies one envelope, whose root lies beside it, again and again.
func benchmark(b *testing.B, descriptorPath, envelopePath string) error {
	signed, err := readSigned(descriptorPath, envelopePath)
	if err != nil {
		return err
	}
	root := filepath.Join(filepath.Dir(envelopePath), "root.pem")
	trusting, err := newVerifier("x509.subject: C=US, ST=WA, O=Acme", []string{"ca=" + root})
	if err != nil {
		return err
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := signed.verify(trusting); err != nil {
			return err
		}
	}
	return nil
}
