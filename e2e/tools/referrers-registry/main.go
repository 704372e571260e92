// referrers-registry serves a registry that answers the referrers API, from memory, at
// 127.0.0.1:PORT; the registry of the distribution project has no such API.
//
//	referrers-registry PORT
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: referrers-registry PORT")
	}
	return http.ListenAndServe(net.JoinHostPort("127.0.0.1", arguments[0]), ociserver.New(ocimem.New(), nil))
}
