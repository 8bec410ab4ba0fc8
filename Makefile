# What a contributor needs. `make test` is all that CI runs.

SHELL := bash
.SHELLFLAGS := -o pipefail -ec

# Programs that the tests need are built here, each in a directory of its version.
tools       := $(CURDIR)/.cache
staticcheck := $(tools)/staticcheck@v0.6.1/staticcheck
govulncheck := $(tools)/govulncheck@v1.1.4/govulncheck
versitygw   := $(tools)/versitygw@v1.8.0/versitygw

.PHONY: run test lint vuln unit e2e cluster bench

# Runs the server; ARGS="--help" tells what it can be told.
run:
	go run ./cmd/holdfast $(ARGS)

# Everything. Needs Go, a C compiler, curl, openssl, Node.js with npm and redis-server,
# and the network for what these have to fetch.
test: lint vuln unit e2e cluster

lint: $(staticcheck)
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	$(staticcheck) ./...

# Known vulnerabilities in what is imported. The database is on the network; where
# it cannot be reached, that is said and the rest goes on.
vuln: $(govulncheck)
	@out=$$(timeout 180 $(govulncheck) ./... 2>&1) && status=0 || status=$$?; echo "$$out"; \
	if [ $$status = 124 ] || { [ $$status != 0 ] && grep -q 'vuln\.go\.dev' <<<"$$out"; }; then \
		echo "govulncheck: its database cannot be reached, nothing was checked"; exit 0; fi; exit $$status

# The tests of the packages, the store suites and the seeds of the fuzz tests.
unit: $(versitygw)
	PATH="$(dir $(versitygw)):$$PATH" go test -race -timeout 20m $$(go list ./... | grep -v -e '/test$$' -e '/test/cluster$$')

# The real binary with real clients.
e2e: $(versitygw)
	PATH="$(dir $(versitygw)):$$PATH" go test -race -v -timeout 15m ./test | grep -v '^=== '

# Three real nodes over S3 and Redis, and what may befall them: three minutes.
cluster: $(versitygw)
	PATH="$(dir $(versitygw)):$$PATH" go test -v -timeout 10m ./test/cluster | grep -v '^=== '

# holdfast beside tusd; ARGS="-s3" over S3, ARGS="-runs 5 -dir /mnt/disk" and so on.
bench: $(versitygw)
	@PATH="$(dir $(versitygw)):$$PATH" go run ./test/bench $(ARGS)

$(staticcheck):
	GOBIN=$(dir $@) go install honnef.co/go/tools/cmd/staticcheck@v0.6.1

$(govulncheck):
	GOBIN=$(dir $@) go install golang.org/x/vuln/cmd/govulncheck@v1.1.4

$(versitygw):
	GOBIN=$(dir $@) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
