package main

import (
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// makeKeys makes the keys of all signers.
func makeKeys(folder, url string) error {
	for _, kind := range kinds {
		if _, err := newKeys(filepath.Join(folder, kind.name), kind.generate, plain); err != nil {
			return err
		}
	}
	return makeRevocables(folder, url)
}

// makeBriefKeys makes the keys of a signer whose certificate expires after so many seconds.
func makeBriefKeys(folder, seconds string) error {
	lifetime, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	_, err = newKeys(folder, generateEC(elliptic.P256()), func(template *x509.Certificate) {
		template.NotAfter = time.Now().Add(time.Duration(lifetime) * time.Second)
	})
	return err
}

// printRoot prints when a root ends that is made to end after so many days, and then the root.
func printRoot(days string) error {
	lifetime, err := strconv.Atoi(days)
	if err != nil {
		return err
	}
	key, err := generateEC(elliptic.P256())()
	if err != nil {
		return err
	}
	root, err := certify("Root", nil, key, func(template *x509.Certificate) {
		certifying(template, 0)
		template.NotAfter = time.Now().Add(time.Duration(lifetime) * 24 * time.Hour)
	})
	if err != nil {
		return err
	}
	fmt.Println(root.certificate.NotAfter.Format(time.RFC3339))
	_, err = os.Stdout.Write(encoded("CERTIFICATE", root.certificate.Raw))
	return err
}
