# `just verify` is what a change must pass; it writes nothing. `.ci/run` does the same.

# List the recipes
default:
    @just --list

# Format, lints, docs, tests: what lands or rejects a change
verify:
    bash .ci/run

# Licences, sources and the walls between the packages (needs cargo-deny)
deny:
    cargo deny check bans licenses sources

# Mend what can be mended by itself
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty

# All tests, or those whose name contains FILTER
test FILTER="":
    cargo test --workspace -- {{FILTER}}

# The stories of the state's rules; with UPDATE_SCRIPTS=1 they are written anew
stories:
    cargo test -p notty-storage --test scripts

# Thousands of bad days: seeds FROM to TO
sweep FROM="0" TO="2000":
    cargo run --release --package notty-simulation -- sweep --seeds {{FROM}}..{{TO}} --jobs 2

# One bad day
sim SEED:
    cargo run --release --package notty-simulation -- run --seed {{SEED}}

# Random use of real nodes with kills and restores, say: just chaos --kills 100 --messages 1000000 --seed 7
chaos *ARGS:
    cargo test --release --package notty --test chaos -- {{ARGS}}

# Each rule left out in turn: within how many seeds that is found
planted:
    cargo run --release --package notty-simulation -- planted --seeds 200 --jobs 2

# The protocol, in worlds too large for the tests (minutes, and a few GB)
model:
    cargo run --package notty-model

# The figures of the code's style, room by room, or of one: just style --room src/api
style *ARGS:
    cargo run --quiet --package notty-style -- {{ARGS}}

# The table of targets beside what is measured, and that of growth, for the README
bench:
    cargo build --release
    ./target/release/notty bench all --rounds 5
    ./target/release/notty bench growth

# The micro-benchmarks whose name contains FILTER
micro FILTER="":
    cargo bench --bench micro -- {{FILTER}}

# Renew the snapshot of the OpenAPI document
openapi:
    cargo run --quiet -- openapi > tests/openapi.json
