# The commands of this repository; each does its own set-up. The work is in scripts/.

.PHONY: run test check bench faults fuzz fuzz-api images sbom reproducible certs clean help

help:
	@echo "make run     build, and run a controller with an agent for this machine's Docker engine"
	@echo "make test    every test, on real Docker engines that it starts and ends"
	@echo "make check   format, lints, documentation, scripts, then every test"
	@echo "make faults  the fault suite at length (about an hour; its short form is part of make test)"
	@echo "make bench   the figures of docs/benchmarks.md"
	@echo "make fuzz    every parser of what strangers send, for ROADSTEAD_FUZZ_SECONDS each (60)"
	@echo "make fuzz-api ask a controller everything its API description allows, and more"
	@echo "make images  both images, from static binaries"
	@echo "make sbom    what the programs are made of, as CycloneDX, in target/sbom"
	@echo "make reproducible  builds the programs of the images twice and compares them byte by byte"
	@echo "make certs   development certificates in certs-dev/out"
	@echo "make clean   remove what was built; data stays"

run:
	@scripts/run.sh

test:
	@scripts/test.sh

check:
	@scripts/check.sh
	@scripts/test.sh

faults:
	@scripts/faults.sh

bench:
	@scripts/bench.sh

fuzz:
	@scripts/fuzz.sh

fuzz-api:
	@scripts/fuzz-api.sh

images:
	@scripts/images.sh

sbom:
	@scripts/sbom.sh

reproducible:
	@scripts/reproducible.sh

certs:
	@cargo run --quiet --locked -p roadstead-certs-dev -- certs-dev/out

clean:
	@scripts/clean.sh
