# The verbs. `.ci/run` calls these same recipes, so they are plain commands without interpolation.

# format the code
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# formatting, lints
lint:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml -- --check
    cargo clippy --workspace --all-targets -- -D warnings

# every test; root is wanted for those that plug real namespaces (USWITCH_REQUIRE_ROOT=1 insists)
test:
    cargo test

# the benchmarks against the kernel bridge and whatever peers are installed
bench:
    cargo bench

# a lab to play with, until Ctrl-C
lab:
    cargo run --release -- run

# what the build machine does
ci:
    .ci/run

# a lab under mixed traffic for a minute; USWITCH_SOAK_SECONDS=3600 for the hour
soak:
    USWITCH_SOAK_SECONDS=${USWITCH_SOAK_SECONDS:-60} cargo test --release --test lab soak -- --nocapture

# each fuzz target for a short while, on stable Rust; USWITCH_FUZZ_SECONDS=600 for longer
fuzz:
    fuzz/run

# a .deb, and a static binary where one can be built (packaging/static says how), in target/package
package:
    packaging/build
