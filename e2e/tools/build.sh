#!/bin/sh
# Puts the real parts of the cluster tests into target/e2e-bin: etcd, kube-apiserver,
# kube-controller-manager, kubectl, cosign, notation-go, prometheus, referrers-registry, registry and
# timestamp-authority.
#
# A tool in $KUBEBUILDER_ASSETS or on PATH is linked where its version fits; else it is built from
# its Go module here, once, into a cache folder keyed by that module's go.mod, go.sum and sources, so
# that a fresh clone finds it again. Three are small programs of our own around libraries, and always
# built here: notation-go (the Notary Project's), timestamp-authority (sigstore's; most of two minutes)
# and referrers-registry (a registry with the referrers API).
#
# usage: e2e/tools/build.sh [DESTINATION]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
destination=${1:-$here/../../target/e2e-bin}
cache=${ASSAY_TOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assay/e2e-tools}
kubernetes=1.36.3
version_package=k8s.io/component-base/version
kubernetes_ldflags="-X $version_package.gitVersion=v$kubernetes -X $version_package.gitMajor=1 -X $version_package.gitMinor=36"

# fits TOOL VERSION ARGUMENTS...: whether `TOOL ARGUMENTS` runs and prints VERSION (a basic regular expression).
fits() {
	tool=$1 version=$2
	shift 2
	"$tool" "$@" 2>&1 | grep -q "$version"
}

# found TOOL VERSION ARGUMENTS...: prints the path of a fitting TOOL that is there already.
found() {
	name=$1
	shift
	for candidate in ${KUBEBUILDER_ASSETS:+"$KUBEBUILDER_ASSETS/$name"} "$(command -v "$name" || true)"; do
		if [ -x "$candidate" ] && fits "$candidate" "$@"; then
			echo "$candidate"
			return 0
		fi
	done
	return 1
}

# built MODULE TOOL PACKAGE LDFLAGS: prints the path of TOOL, building it where the cache has none.
built() {
	module=$1 name=$2 package=$3 ldflags=$4
	key=$(cd "$here/$module" && find . -name 'go.*' -o -name '*.go' | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16)
	binary=$cache/$module-$key/$name
	if [ ! -x "$binary" ]; then
		command -v go >/dev/null || {
			echo "e2e/tools: '$name' is missing and Go is needed to build it: https://go.dev/doc/install" >&2
			exit 1
		}
		echo "e2e/tools: building $name" >&2
		mkdir -p "$cache/$module-$key"
		# The tag is Prometheus': without the clouds that it can find targets in.
		(cd "$here/$module" && CGO_ENABLED=0 go build -trimpath -tags remove_all_sd -ldflags "-s -w $ldflags" -o "$binary.partial" "$package")
		mv "$binary.partial" "$binary"
	fi
	echo "$binary"
}

# provide MODULE TOOL PACKAGE LDFLAGS VERSION ARGUMENTS...: links TOOL into the destination.
provide() {
	module=$1 name=$2 package=$3 ldflags=$4
	shift 4
	path=$(found "$name" "$@" || built "$module" "$name" "$package" "$ldflags")
	ln -sf "$path" "$destination/$name"
}

mkdir -p "$destination"
provide registry registry github.com/distribution/distribution/v3/cmd/registry "" 'v3\.1\.' --version
provide etcd etcd go.etcd.io/etcd/server/v3 "" '3\.7\.' --version
provide cosign cosign github.com/sigstore/cosign/v3/cmd/cosign "-X sigs.k8s.io/release-utils/version.gitVersion=v3.1.3" 'v3\.1\.' version
provide prometheus prometheus github.com/prometheus/prometheus/cmd/prometheus "-X github.com/prometheus/common/version.Version=3.11.3" 'version 3\.' --version
for name in kube-apiserver kube-controller-manager; do
	provide kubernetes "$name" "k8s.io/kubernetes/cmd/$name" "$kubernetes_ldflags" 'v1\.36\.' --version
done
provide kubernetes kubectl k8s.io/kubernetes/cmd/kubectl "$kubernetes_ldflags" 'v1\.36\.' version --client
ln -sf "$(built notation notation-go . "")" "$destination/notation-go"
for name in referrers-registry timestamp-authority; do
	ln -sf "$(built "$name" "$name" . "")" "$destination/$name"
done
