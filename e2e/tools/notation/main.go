// notation-go signs and verifies with the Notary Project's own library, so that the signatures of
// others can be held against it.
//
// On files, without any network:
//
//	notation-go sign FOLDER DESCRIPTOR.json
//	    makes keys and certificates of every kind and signs the descriptor with each, in both formats
//	    and under both schemes, with and without expiry:
//	    FOLDER/KIND/{chain.pem,key.pem,root.pem} and
//	    FOLDER/KIND/{x509,signingAuthority}{,-expiring}.{cose,jws}
//	notation-go verify DESCRIPTOR.json ENVELOPE.{cose,jws} IDENTITY STORE=ROOT.pem...
//	    verifies at level strict; STORE is ca, signingAuthority or tsa. Prints "pass" and exits with
//	    0, or "fail:" and the reason and exits with 1; 2 if the arguments make no sense.
//	notation-go bench FOLDER DESCRIPTOR.json [KIND...]
//	    times verifications of what sign wrote, a line of JSON for each envelope without expiry
//	    under x509.
//
// On images in registries that are spoken to without TLS:
//
//	notation-go keys FOLDER URL
//	    makes keys and certificates of every kind, as sign does, and of the signers in revocation.go,
//	    whose certificates say that serve answers at URL whether they are revoked.
//	notation-go serve FOLDER PORT
//	    serves, on loopback, the files in FOLDER, and what OCSP responders say of the signers there.
//	notation-go brief-keys FOLDER SECONDS
//	    makes a key and certificates, of which the signer's expires after so many seconds.
//	notation-go root DAYS
//	    prints when a new root ends, which is after so many days, and the root in PEM.
//	notation-go sign-images < ORDERS.json
//	    signs images, as a list of orders says (images.go).
//	notation-go verify-image IMAGE IDENTITY STORE=ROOT.pem...
//	    verifies the signatures of an image, as verify does.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/notaryproject/notation-core-go/signature/cose"
	_ "github.com/notaryproject/notation-core-go/signature/jws"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// mediaTypes are the formats of envelopes, by the ends of their files' names.
var mediaTypes = map[string]string{
	".cose": "application/cose",
	".jws":  "application/jose+json",
}

var errUsage = errors.New("usage: notation-go sign FOLDER DESCRIPTOR.json" +
	" | verify DESCRIPTOR.json ENVELOPE IDENTITY STORE=ROOT.pem..." +
	" | bench FOLDER DESCRIPTOR.json [KIND...]" +
	" | keys FOLDER URL | serve FOLDER PORT | brief-keys FOLDER SECONDS | root DAYS" +
	" | sign-images | verify-image IMAGE IDENTITY STORE=ROOT.pem...")

// rejected is the library's verdict, as opposed to anything that kept it from giving one.
type rejected struct{ error }

func main() {
	err := run(os.Args[1:])
	if err == nil {
		return
	}
	if errors.As(err, &rejected{}) {
		fmt.Println("fail:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errUsage
	}
	command, rest := arguments[0], arguments[1:]
	switch {
	case command == "sign" && len(rest) == 2:
		return signAll(rest[0], rest[1])
	case command == "verify" && len(rest) >= 4:
		return verifyFile(rest[0], rest[1], rest[2], rest[3:])
	case command == "bench" && len(rest) >= 2:
		return benchmarkAll(rest[0], rest[1], rest[2:])
	case command == "keys" && len(rest) == 2:
		return makeKeys(rest[0], rest[1])
	case command == "serve" && len(rest) == 2:
		return serve(rest[0], rest[1])
	case command == "brief-keys" && len(rest) == 2:
		return makeBriefKeys(rest[0], rest[1])
	case command == "root" && len(rest) == 1:
		return printRoot(rest[0])
	case command == "sign-images" && len(rest) == 0:
		return signImages(os.Stdin)
	case command == "verify-image" && len(rest) >= 3:
		return verifyImage(rest[0], rest[1], rest[2:])
	}
	return errUsage
}

// readDescriptor is what a file says of the artifact.
func readDescriptor(path string) (ocispec.Descriptor, error) {
	var descriptor ocispec.Descriptor
	content, err := os.ReadFile(path)
	if err != nil {
		return descriptor, err
	}
	return descriptor, json.Unmarshal(content, &descriptor)
}

// mediaType is the format of an envelope's file.
func mediaType(path string) (string, error) {
	found, known := mediaTypes[filepath.Ext(path)]
	if !known {
		return "", fmt.Errorf("%s is neither .cose nor .jws", path)
	}
	return found, nil
}
