# What a contributor needs; `make` lists it. CI runs `make test` and `make race`.

SHELL := bash
.SHELLFLAGS := -o pipefail -ec

# Programs that the tests need are built here, each in a directory of its version.
tools       := $(CURDIR)/.cache
staticcheck := $(tools)/staticcheck@v0.6.1/staticcheck
govulncheck := $(tools)/govulncheck@v1.1.4/govulncheck
versitygw   := $(tools)/versitygw@v1.8.0/versitygw
gofakes3    := $(tools)/gofakes3@v1.2.0/gofakes3
java        := $(tools)/java/s3proxy.classpath $(tools)/java/s3mock.classpath
moto        := $(tools)/moto@5.2.5/bin/moto_server
localstack  := $(tools)/localstack@4.14.0/bin/localstack-supervisor
seaweedfs   := $(tools)/seaweedfs@v0.0.0-20261109003541-7506e5f91cd6/weed

.DEFAULT_GOAL := help
.PHONY: help versitygw servers run test lint vuln unit unit-race unit-s3 unit-plain race e2e cluster libraries bench bench-client release

# Lists what can be made.
help:
	@echo 'make run ARGS="--help"   run the server'
	@echo 'make test                everything: lint, packages, binary, three nodes'
	@echo 'make lint | vuln         gofmt, go vet and staticcheck | known vulnerabilities'
	@echo 'make unit | e2e | cluster   the packages | the binary with real clients | three nodes'
	@echo 'make race                storage/s3 and the binary, with the race detector; takes long'
	@echo 'make libraries           all upload libraries of Google and Microsoft; some take long to build'
	@echo 'make bench ARGS="-s3"    compare with tusd, over S3'
	@echo 'make bench-client        compare holdfast upload with curl over a slow line'
	@echo 'make servers             two nodes over more S3 servers; needs Maven and Python 3.13'
	@echo 'make release VERSION=v1.2.3   binaries, checksums and SBOMs into dist/'
	@echo 'make versitygw           build the S3 server of the tests into .cache'
	@echo 'go test ./storage        one package, in seconds; S3 needs versitygw on the PATH'

versitygw: $(versitygw)

# Runs the server; ARGS="--help" tells what it can be told.
run:
	go run ./cmd/holdfast $(ARGS)

# Everything. Needs Go, a C compiler, curl, openssl, Node.js with npm, Python with venv,
# redis-server, nginx, HAProxy, Caddy, promtool and Chromium, and the network for what these have
# to fetch. What runs side by side waits more than it computes; each line says which part it is
# from.
test: lint
	@echo "test: the packages, with the race detector and without; the binary with real clients;"
	@echo "test: three nodes over S3 and Redis; and known vulnerabilities"
	@$(MAKE) --no-print-directory -j3 cluster unit-race e2e unit-s3 unit-plain vuln
	@echo "test: all is well"

lint: $(staticcheck)
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go vet -tags servers ./test/cluster
	$(staticcheck) ./...

# Known vulnerabilities in what is imported. The database is on the network; where
# it cannot be reached, that is said and the rest goes on.
vuln: $(govulncheck)
	@out=$$(timeout 180 $(govulncheck) ./... 2>&1) && status=0 || status=$$?; echo "$$out"; \
	if [ $$status = 124 ] || { [ $$status != 0 ] && grep -q 'vuln\.go\.dev' <<<"$$out"; }; then \
		echo "govulncheck: its database cannot be reached, nothing was checked"; exit 0; fi; exit $$status

# Tests are vetted by lint.
go_test = PATH="$(dir $(versitygw)):$(dir $(gofakes3)):$(dir $(moto)):$$PATH" go test -vet=off
says    = 2>&1 | sed -u 's/^/$@: /'

# The race detector costs a second build and several times the work. `make test` has it in the
# packages below; `make race`, which CI runs beside it, in storage/s3 and in the binary with
# real clients too. What only sends more through the same few lines runs without it: the store
# suite over S3 and the power losses of the disk. Of the suite's variants the one that defers
# files is not killed after each step (rows that end in "step").
raced     := . ./client ./hooks/... ./storage ./storage/crc32c ./storage/disk ./storage/internal/... ./storage/ranges ./storage/redis
s3_suite  := ^TestS3ImplementsStore$$
power     := ^TestStoreConformanceAcrossPowerLosses$$

# The tests of the packages, the store suites and the seeds of the fuzz tests.
unit: unit-race unit-s3 unit-plain

unit-race: $(versitygw)
	$(go_test) -race -timeout 30m -skip '$(power)' $(raced) $(says)

unit-s3: $(versitygw)
	$(go_test) -parallel 4 -timeout 30m -skip '$(s3_suite)/^deferred_/p$$' ./storage/s3/... $(says)

unit-plain: $(versitygw)
	$(go_test) -timeout 30m $$(go list ./... | grep -vxF "$$(go list $(raced))" | grep -v -e '/test$$' -e '/test/cluster$$' -e '/storage/s3') $(says)
	$(go_test) -timeout 30m -run '$(power)' ./storage/disk $(says)

# The real binary with real clients.
e2e: $(versitygw)
	$(go_test) -v -parallel 4 -timeout 30m ./test | grep --line-buffered -v '^=== ' $(says)

# The race detector in storage/s3, and in the binary with real clients: half an hour.
race: $(versitygw)
	$(go_test) -race -timeout 60m -skip '$(s3_suite)/^(three|deferred)_' ./storage/s3/... $(says)
	$(go_test) -race -v -parallel 4 -timeout 60m ./test | grep --line-buffered -v '^=== ' $(says)

# Three real nodes over S3 and Redis, and what may befall them: three minutes. Two of them
# over other S3 servers.
cluster: $(versitygw) $(gofakes3) $(moto)
	$(go_test) -v -timeout 30m ./test/cluster | grep --line-buffered -v '^=== ' $(says)

# Two nodes over S3 servers that are too slow to build or to start for every run. Needs
# Java 17, Maven, and Python 3.13 or later; SeaweedFS takes ten minutes to build.
servers: $(java) $(localstack) $(seaweedfs)
	export PATH="$(dir $(localstack)):$(dir $(seaweedfs)):$$PATH" JAVA_S3_SERVERS=$(tools)/java; \
	$(go_test) -v -tags servers -timeout 30m -run SlowToStart ./test/cluster

# Google's and Microsoft's upload libraries, those too that test leaves out because they take
# long to install or to build.
libraries: $(versitygw)
	$(go_test) -v -timeout 20m ./test -run 'Libraries|Library' -libraries

# holdfast beside tusd; ARGS="-s3" over S3, ARGS="-runs 5 -dir /mnt/disk" and so on.
bench: $(versitygw)
	@PATH="$(dir $(versitygw)):$$PATH" go run ./test/bench $(ARGS)

# holdfast upload beside curl and tus over a line with delay and loss; needs root, on Linux.
# ARGS="-loss 0 -congestion bbr -mib 64" and so on.
bench-client:
	@go run ./test/bench/line $(ARGS)

# Binaries for all systems, their checksums and the modules in them: see .ci/release.
release:
	.ci/release "$(VERSION)" dist

$(staticcheck):
	GOBIN=$(dir $@) go install honnef.co/go/tools/cmd/staticcheck@v0.6.1

$(govulncheck):
	GOBIN=$(dir $@) go install golang.org/x/vuln/cmd/govulncheck@v1.1.4

$(gofakes3):
	GOBIN=$(dir $@) go install github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0

$(tools)/java/%.classpath: test/servers/maven/%.xml
	mkdir -p $(dir $@)
	mvn -q -B -f $< dependency:build-classpath -Dmdep.outputFile=$@

# An S3 server in Python. It is complete only with its program, which comes last.
$(moto): test/servers/moto.txt
	rm -rf $(tools)/moto@5.2.5
	python3 -m venv $(tools)/moto@5.2.5
	$(dir $@)python3 -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	touch $@

# Another one, which needs a later Python than others here.
$(localstack): test/servers/localstack.txt
	rm -rf $(tools)/localstack@4.14.0
	for p in $(PYTHON) python3 python3.14 python3.13 ~/.pyenv/versions/3.1[3-9]*/bin/python3; do \
		$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null && python=$$p && break; done; \
		: $${python:?is not found: LocalStack needs 3.13 or later, with venv, see make servers PYTHON=PATH}; \
		$$python -m venv $(tools)/localstack@4.14.0
	$(dir $@)python3 -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	touch $@

# Its go.mod replaces a module, which `go install` refuses: so it is built where it is stored.
$(seaweedfs):
	go mod download github.com/seaweedfs/$(notdir $(patsubst %/,%,$(dir $@)))
	go -C "$$(go list -m -f '{{.Dir}}' github.com/seaweedfs/$(notdir $(patsubst %/,%,$(dir $@))))" build -ldflags='-s -w' -o $@ ./weed

$(versitygw):
	GOBIN=$(dir $@) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
