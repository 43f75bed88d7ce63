#!/bin/sh
# The steps of docker/Dockerfile, so that they can be run, and are tested, without a container engine.
#
#   build.sh prepare ARCH         install (Debian) what compiling for amd64 or arm64 takes, the Rust target, the tool for the SBOM
#   build.sh binary ARCH OUT      build the binary for it, stripped, into OUT
#   build.sh sbom ARCH OUT        write what the binary is made of into OUT (CycloneDX 1.5, JSON)
set -eu

CYCLONEDX=0.5.9

triple() {
  case $1 in
    amd64) echo x86_64-unknown-linux-gnu ;;
    arm64) echo aarch64-unknown-linux-gnu ;;
    *) echo "build.sh: no such architecture: $1" >&2 && exit 1 ;;
  esac
}

case $1 in
  prepare)
    packages="cmake g++"
    if [ "$2" != "$(dpkg --print-architecture)" ]; then
      prefix=$(triple "$2" | sed 's/-unknown//; s/_/-/')
      packages="$packages gcc-$prefix g++-$prefix"
    fi
    # Kept for the next build: the cache is mounted, and no part of the image.
    rm -f /etc/apt/apt.conf.d/docker-clean
    apt-get update
    # shellcheck disable=SC2086 # several words
    apt-get install -y --no-install-recommends $packages
    rustup target add "$(triple "$2")"
    cargo install --quiet --locked "cargo-cyclonedx@$CYCLONEDX"
    ;;
  binary)
    target=$(triple "$2")
    host=$(rustc -vV | sed -n 's/^host: //p')
    if [ "$target" != "$host" ]; then
      prefix=$(echo "$target" | sed 's/-unknown//')
      upper=$(echo "$target" | tr 'a-z-' 'A-Z_')
      lower=$(echo "$target" | tr - _)
      export "CARGO_TARGET_${upper}_LINKER=$prefix-gcc" "CC_$lower=$prefix-gcc" "CXX_$lower=$prefix-g++"
    fi
    # Paths of the builder would stand in the line tables.
    export RUSTFLAGS="--remap-path-prefix=$PWD=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    cargo build --locked --release --package afterimage --target "$target" --config 'profile.release.strip="symbols"'
    cp "${CARGO_TARGET_DIR:-target}/$target/release/afterimage" "$3"
    ;;
  sbom)
    # It writes one beside every crate of the workspace; the image holds one, without the paths of the builder.
    cargo cyclonedx --quiet --manifest-path crates/afterimage/Cargo.toml --format json --spec-version 1.5 \
      --target "$(triple "$2")" --override-filename of-crate.cdx
    sed "s|file://$PWD|file:///src|g" crates/afterimage/of-crate.cdx.json >"$3"
    find . -name of-crate.cdx.json -not -path './target/*' -delete
    ;;
  *) echo "usage: build.sh prepare ARCH | binary ARCH OUT | sbom ARCH OUT" >&2 && exit 2 ;;
esac
