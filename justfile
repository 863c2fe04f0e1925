# What people and CI run. `just` lists it.

_list:
    @just --list

# formatting, lints, layering, tests
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask tidy
    cargo test --workspace --release
    cargo run --quiet --profile fuzz --package xtask -- fuzz --smoke

# one fuzz target for some seconds
fuzz TARGET SECONDS="60" SEED="1":
    cargo run --profile fuzz --package xtask -- fuzz {{TARGET}} --seconds {{SECONDS}} --seed {{SEED}}

# one table against the peers of the distribution
bench:
    cargo build --release
    python3 bench/run.py

# generated pages
docs:
    cargo xtask docs

# the corpus with the address sanitizer
asan:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" cargo test --target x86_64-unknown-linux-gnu --release -p qualm-cli --test golden

# some of the corpus under valgrind
valgrind:
    cargo build --release
    for program in corpus/asm/*/*.qualm corpus/passerine/*.pn; do \
        grep -q "outcome: success" $program || continue; \
        grep -q "stress: no" $program && continue; \
        (cd $(dirname $program) && valgrind --quiet --error-exitcode=99 ../../$(case $program in *asm*) echo ../;; esac)target/release/qualm run --allow all --workers 1 $(basename $program) > /dev/null) || exit 1; \
    done
