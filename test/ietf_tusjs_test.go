package test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// ietfProtocols are the versions of the IETF draft that tus-js-client speaks: interop 5 and 6.
var ietfProtocols = []string{"ietf-draft-03", "ietf-draft-05"}

func TestIETFTusJSUploadsAFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(50, 8*mib)
	path := file(t, content)
	for _, protocol := range ietfProtocols {
		for name, job := range map[string]tusJob{
			"in one PATCH":       {},
			"in many":            {ChunkSize: 3 * mib},
			"with the creation":  {ChunkSize: 3 * mib, WithData: true},
			"of unknown length":  {Deferred: true, ChunkSize: 3*mib + 1},
			"in one POST":        {WithData: true},
			"unknown, with data": {Deferred: true, ChunkSize: 3*mib + 1, WithData: true},
		} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				job.Endpoint, job.File, job.Protocol = s.URL(""), path, protocol
				result := tusJS(t, job)
				if result.Retries > 0 {
					t.Errorf("%d requests were repeated without need", result.Retries)
				}
				wantFile(t, result.URL, content)
				wantOneEvent(t, s, idOf(result.URL), "finished")
			})
		}
	}
}

// Cuts in the middle of content and of answers, in every way to send.
func TestIETFTusJSGetsThroughCutConnections(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(51, 12*mib)
	path := file(t, content)
	for _, protocol := range ietfProtocols {
		for name, job := range map[string]tusJob{
			"in one PATCH": {}, "in chunks": {ChunkSize: 2 * mib}, "with the creation": {ChunkSize: 2 * mib, WithData: true},
		} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				proxy := proxied(t, s, frequentCuts(rand.New(rand.NewPCG(51, uint64(len(name))))))
				job.Endpoint, job.File, job.Protocol = "http://"+proxy.Addr+"/files/", path, protocol
				result := tusJS(t, job)
				if proxy.Cuts() == 0 || result.Retries == 0 {
					t.Errorf("%d cuts, %d retries: nothing was shown", proxy.Cuts(), result.Retries)
				}
				wantFile(t, s.URL(idOf(result.URL)), content)
			})
		}
	}
}

func TestIETFTusJSContinuesAfterBothEndsWereKilled(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(52, 12*mib)
	for _, protocol := range ietfProtocols {
		job := tusJob{Endpoint: s.URL(""), File: file(t, content), Protocol: protocol, ChunkSize: 2 * mib,
			Store: filepath.Join(t.TempDir(), "urls.json"), DieAfter: 6 * mib}
		tusJS(t, job)
		restart(t, s)
		job.DieAfter = 0
		result := tusJS(t, job)
		if result.FirstOffset < 4*mib {
			t.Errorf("the client continued at %d", result.FirstOffset)
		}
		wantFile(t, s.URL(idOf(result.URL)), content)
	}
}
