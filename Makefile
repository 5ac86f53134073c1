# The three things that people do first. Everything else is cargo and `cargo xtask --help`.

RELEASE = $${CARGO_TARGET_DIR:-target}/release

.PHONY: demo test bench

# Builds every binary and starts a small whole world on loopback. ARGS is passed on, such as ARGS=--once.
demo:
	cargo build --release
	$(RELEASE)/postern dev $(ARGS)

# Installs what the tests need where that is permitted, then runs every check and every test.
test:
	.ci/packages
	cargo xtask ci

# Runs one bench: make bench NAME=smoke ARGS=--json
bench:
	cargo xtask bench $(or $(NAME),smoke) $(ARGS)
