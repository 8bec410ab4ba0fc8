// Package probe finds out what an S3 server can do, by trying that on objects of its own,
// which it removes. It needs about thirty small requests.
package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// Options say what the server is needed for.
type Options struct {
	Prefix      string // of every key
	Class       string // storage class of files
	Encrypted   bool   // whether objects are encrypted with a key of KMS
	ChecksumsBy Need   // who wants checksums
	Shared      bool   // whether the processes that share the bucket share an api.Arbiter
}

// Need says whether something is needed.
type Need int

const (
	IfPossible Need = iota
	Required
	Unwanted
)

// Level says what follows from a result.
type Level int

const (
	Works   Level = iota
	Limited       // holdfast works around it
	Fails         // holdfast can't work
)

// String implements fmt.Stringer.
func (l Level) String() string { return [...]string{"ok", "limited", "FAILS"}[l] }

// Result is the outcome of a check.
type Result struct {
	Check string
	Level Level
	// Message says what S3 did and what follows from that, "" if it works.
	Message string
}

// The checks, in the order in which they are reported.
const (
	checkObjects     = "objects"
	checkMissing     = "missing objects"
	checkListing     = "listing"
	checkConditional = "conditional put"
	checkMultipart   = "multipart uploads"
	checkChecksums   = "checksums"
	checkCompletion  = "conditional completion"
	checkOrder       = "parts in any order"
	checkCopy        = "copies"
	checkMultiparts  = "listing of multipart uploads"
	checkRemoval     = "removal"
)

var checks = []string{checkObjects, checkMissing, checkListing, checkConditional, checkMultipart, checkChecksums,
	checkCompletion, checkOrder, checkCopy, checkMultiparts, checkRemoval}

// Report says what a server can do.
type Report struct {
	Can     api.Abilities
	Results []Result
}

// Err returns the error of what holdfast can't work without, nil if there is nothing.
func (r Report) Err() error {
	var errs []error
	for _, result := range r.Results {
		if result.Level == Fails {
			errs = append(errs, errors.New(result.Message))
		}
	}
	return errors.Join(errs...)
}

// Run checks the server and the bucket of client. An error means that the server does not
// respond as it should, so that nothing is known of it.
func Run(ctx context.Context, client *api.Client, opts Options) (Report, error) {
	p := &prober{client: client.WithSums(api.SumsOff), opts: opts, base: opts.Prefix + ".holdfast/probe/" + rand.Text() + "/"}
	p.report.Can = api.AllAbilities
	err := p.objects(ctx)
	if err == nil && !p.failed() {
		var group errgroup.Group
		group.Go(func() error { return p.conditionalPuts(ctx) })
		group.Go(func() error { return p.multiparts(ctx) })
		err = group.Wait()
	}
	err = errors.Join(err, p.remove(context.WithoutCancel(ctx)))
	slices.SortStableFunc(p.report.Results, func(a, b Result) int { return slices.Index(checks, a.Check) - slices.Index(checks, b.Check) })
	return p.report, err
}

// prober makes the checks.
type prober struct {
	client *api.Client // without checksums
	opts   Options
	base   string // of the keys of this run

	mu     sync.Mutex
	report Report
	keys   []string // to be removed
}

// key returns the key of an object of this run, which is removed at the end.
func (p *prober) key(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := p.base + name; !slices.Contains(p.keys, key) {
		p.keys = append(p.keys, key)
	}
	return p.base + name
}

// add adds a result.
func (p *prober) add(check string, level Level, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Results = append(p.report.Results, Result{check, level, strings.TrimSpace(message)})
}

// lacks adds a result that holdfast works around, and records what the server lacks.
func (p *prober) lacks(check, message string, record func(can *api.Abilities)) {
	p.add(check, Limited, message)
	p.mu.Lock()
	defer p.mu.Unlock()
	record(&p.report.Can)
}

// refused adds a fatal result if err is a refusal, and returns err otherwise.
func (p *prober) refused(check, action, permission string, err error) error {
	if !api.Refused(err) {
		return err
	}
	p.add(check, Fails, p.sentence(action, permission, err))
	return nil
}

func (p *prober) failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.report.Err() != nil
}
