// notation-go signs and verifies with the Notary Project's own library, so that the signatures of
// others can be held against it. It reads and writes files, and uses no network.
//
//	notation-go sign FOLDER DESCRIPTOR.json
//	    makes keys and certificates of every kind and signs the descriptor with each, in both formats
//	    and under both schemes, with and without expiry:
//	    FOLDER/KIND/{chain.pem,key.pem,root.pem} and
//	    FOLDER/KIND/{x509,signingAuthority}{,-expiring}.{cose,jws}
//	notation-go verify DESCRIPTOR.json ENVELOPE.{cose,jws} STORE=ROOT.pem IDENTITY
//	    verifies at level strict; STORE is ca or signingAuthority. Prints "pass" and exits with 0,
//	    or "fail:" and the reason and exits with 1; 2 if the arguments make no sense.
//	notation-go bench FOLDER DESCRIPTOR.json [KIND...]
//	    times verifications of what sign wrote, a line of JSON for each envelope without expiry
//	    under x509.
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
	" | verify DESCRIPTOR.json ENVELOPE STORE=ROOT.pem IDENTITY | bench FOLDER DESCRIPTOR.json [KIND...]")

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
	switch {
	case len(arguments) == 3 && arguments[0] == "sign":
		return signAll(arguments[1], arguments[2])
	case len(arguments) == 5 && arguments[0] == "verify":
		return verifyFile(arguments[1], arguments[2], arguments[3], arguments[4])
	case len(arguments) >= 3 && arguments[0] == "bench":
		return benchmarkAll(arguments[1], arguments[2], arguments[3:])
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
