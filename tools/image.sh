#!/bin/sh
# Makes the container image, as an OCI layout, without Docker: a static binary, the roots of TLS, and
# nothing else. The same sources, toolchain and roots make the same bytes.
#
# usage: tools/image.sh [BINARY]
#
# BINARY, static and of this machine's architecture, is taken as it is; without it, one is built for
# each of ARCHITECTURES. From the environment, with what is taken otherwise:
#   ARCHITECTURES    amd64 and arm64, or one of them (this machine's)
#   DESTINATION      the layout's folder, made anew (target/image)
#   CA_CERTIFICATES  the roots, in PEM (this machine's)
#   ASSAY_REVISION   the commit (what git says)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
destination=${DESTINATION:-$root/target/image}
certificates=${CA_CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
revision=${ASSAY_REVISION:-$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)}
version=$(sed -n '/^\[workspace.package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
cargo=${CARGO:-cargo}

fail() {
	echo "image: $*" >&2
	exit 1
}

# This machine's architecture, as images name it.
own_architecture() {
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64 | arm64) echo arm64 ;;
	*) fail "no image is made for $(uname -m)" ;;
	esac
}

# built ARCHITECTURE: prints the path of a static binary; of glibc, see docs/decisions. The folder that
# it is built in stays out of it.
built() {
	case $1 in
	amd64) machine=x86_64 ;;
	arm64) machine=aarch64 ;;
	*) fail "ARCHITECTURES: '$1' is neither amd64 nor arm64" ;;
	esac
	target=$machine-unknown-linux-gnu
	if [ "$1" != "$(own_architecture)" ]; then
		compiler=$machine-linux-gnu-gcc
		command -v "$compiler" >/dev/null ||
			fail "$compiler is missing, for $1: install it (Debian: gcc-$machine-linux-gnu), or build on such a machine"
		[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] ||
			fail "Rust cannot compile for $1: rustup target add $target"
		linker=CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_LINKER
		export "$linker=$compiler" "CC_$(echo "$target" | tr - _)=$compiler"
	fi
	home=${CARGO_HOME:-$HOME/.cargo}
	flags="-C target-feature=+crt-static --remap-path-prefix=$root=/assay --remap-path-prefix=$home=/cargo"
	c_flags="-ffile-prefix-map=$root=/assay -ffile-prefix-map=$home=/cargo"
	(cd "$root" && RUSTFLAGS=$flags CFLAGS=$c_flags ASSAY_REVISION=$revision \
		"$cargo" build --release --locked -p assay --no-default-features --target "$target" >&2) ||
		fail "the build failed; for a static binary the C library's libc.a is needed too (Debian: libc6-dev, Fedora: glibc-static)"
	binary=$root/target/$target/release/assay
	if command -v readelf >/dev/null && readelf --program-headers "$binary" | grep -q INTERP; then
		fail "$binary is not static: it asks for a dynamic linker"
	fi
	echo "$binary"
}

# blob FILE: moves it among the layout's blobs, and prints its digest.
blob() {
	digest=$(sha256sum "$1" | cut -d ' ' -f 1)
	mv "$1" "$destination/blobs/sha256/$digest"
	echo "sha256:$digest"
}

# descriptor TYPE DIGEST [FIELDS]: prints a descriptor of a blob, as JSON.
descriptor() {
	printf '{"mediaType":"application/vnd.oci.image.%s","digest":"%s","size":%s%s}' \
		"$1" "$2" "$(wc -c <"$destination/blobs/sha256/${2#sha256:}" | tr -d ' ')" "${3:-}"
}

annotations=$(printf '{"org.opencontainers.image.title":"assay","org.opencontainers.image.description":"%s","org.opencontainers.image.licenses":"Apache-2.0","org.opencontainers.image.version":"%s","org.opencontainers.image.revision":"%s"}' \
	"Kubernetes admission webhook that verifies the signatures of images" "$version" "$revision")

# image ARCHITECTURE BINARY: adds an image to the layout, and prints its descriptor.
image() {
	files=$work/$1
	mkdir -p "$files/etc/ssl/certs"
	cp "$2" "$files/assay"
	cp "$certificates" "$files/etc/ssl/certs/ca-certificates.crt"
	chmod 755 "$files" "$files/etc" "$files/etc/ssl" "$files/etc/ssl/certs" "$files/assay"
	chmod 644 "$files/etc/ssl/certs/ca-certificates.crt"
	tar --create --file "$work/layer.tar" --directory "$files" --format ustar --sort name \
		--mtime @0 --owner 0 --group 0 --numeric-owner assay etc
	unpacked=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
	gzip --no-name "$work/layer.tar"
	layer=$(blob "$work/layer.tar.gz")
	printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":{"User":"65532:65532","Entrypoint":["/assay"],"WorkingDir":"/","Labels":%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$1" "$annotations" "$unpacked" >"$work/config"
	config=$(blob "$work/config")
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s],"annotations":%s}' \
		"$(descriptor config.v1+json "$config")" "$(descriptor layer.v1.tar+gzip "$layer")" "$annotations" >"$work/manifest"
	descriptor manifest.v1+json "$(blob "$work/manifest")" ",\"platform\":{\"architecture\":\"$1\",\"os\":\"linux\"}"
}

[ -n "$version" ] || fail "Cargo.toml has no version"
[ -s "$certificates" ] || fail "$certificates is missing: install ca-certificates, or name the roots in CA_CERTIFICATES"
tar --version 2>/dev/null | grep -q GNU || fail "GNU tar is needed, which can sort"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -eq 0 ] || ARCHITECTURES=$(own_architecture)
rm -rf "$destination"
mkdir -p "$destination/blobs/sha256"
images=
for architecture in ${ARCHITECTURES:=$(own_architecture)}; do
	binary=${1:-$(built "$architecture")}
	described=$(image "$architecture" "$binary")
	images="$images${images:+,}$described"
done
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s],"annotations":%s}' \
	"$images" "$annotations" >"$work/index"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' \
	"$(descriptor index.v1+json "$(blob "$work/index")" ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"$version\"}")" >"$destination/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$destination/oci-layout"
echo "$destination:$version ($ARCHITECTURES)"
