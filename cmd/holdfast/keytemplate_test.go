package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
)

// The key of a file is determined after all its bytes are stored: too late to reject it.
func TestFilesWithAnyNameCanBeFinished(t *testing.T) {
	cfg := testConfig(t)
	cfg.KeyTemplate = "{filename}-{owner}-{id}{ext}"
	r := start(t, cfg, nil)
	for i, letter := range []string{"n", "ä", "\U0001F600", ".", "/"} {
		id := strings.Repeat("i", 127) + string(rune('a'+i))
		name := strings.Repeat(letter, 300) + ".mp4"
		a := do(t, h1(t), "PUT", r.URL()+id, strings.NewReader("bytes"), "Content-Disposition", `attachment; filename="`+name+`"`)
		if a.StatusCode != http.StatusCreated {
			t.Errorf("a name of %q: %s %s", letter, a.Status, a.body)
		}
	}
}

func TestInvalidKeyTemplateIsRejected(t *testing.T) {
	for _, template := range []config.KeyTemplate{
		"{ext}/{id}", "{ext}{id}", ".{id}", "a//{id}", "/{id}", "{id}/",
		config.KeyTemplate(strings.Repeat("v", 128)) + "{id}",
		"{filename}." + config.KeyTemplate(strings.Repeat("v", 124)) + "{id}", // room for two bytes of a name, which may have none so small
		config.KeyTemplate(strings.Repeat("{filename}/", 4)) + "{id}",
	} {
		cfg := testConfig(t)
		cfg.KeyTemplate = template
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "--key-template") {
			t.Errorf("%.40q: %v", template, err)
		}
	}
}
