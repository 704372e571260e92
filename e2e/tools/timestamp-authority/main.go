// timestamp-authority serves sigstore's timestamp authority at 127.0.0.1:PORT, with a key and
// certificates that are gone when it ends:
//
//	timestamp-authority PORT
//
// The authority's own program serves metrics as well, at a port that cannot be chosen: no two could
// run at the same time.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

// exchangeTimeout is what reading a request and writing a response may take each.
const exchangeTimeout = 30 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: timestamp-authority PORT")
	}
	port, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	// As the authority's own program has them by default; but verifiers that only know the root need
	// the intermediate certificate too.
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("default-policy-oid", "1.3.6.1.4.1.57264.2")
	viper.Set("max-request-body-size", uint64(1<<20))
	viper.Set("include-chain-in-response", true)
	authority := server.NewRestAPIServer("127.0.0.1", port, []string{"http"}, false, exchangeTimeout, exchangeTimeout)
	return authority.Serve()
}
