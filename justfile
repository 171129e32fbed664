# Common commands; `just` lists them.
default:
    @just --list

# Watch it work
demo *args:
    cargo run --release -- demo {{args}}

# Unit, contract and database tests
test *args:
    cargo xtask test {{args}}

# Format, clippy, layout, dependencies
lint:
    cargo xtask lint

# What has to pass before anything lands
ci:
    .ci/run
