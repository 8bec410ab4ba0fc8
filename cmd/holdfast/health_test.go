package main

import (
	"testing"

	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/commands"
)

func TestHealthReportsWhetherTheLocalServerIsAlive(t *testing.T) {
	s := start(t, testConfig(t), nil)
	cfg := testConfig(t)
	cfg.Listen = s.listener.Addr().String()
	if err := commands.Health(t.Context(), cfg); err != nil {
		t.Errorf("a running server: %v", err)
	}
	s.stop(t)
	if err := commands.Health(t.Context(), cfg); err == nil {
		t.Error("a stopped server was reported as healthy")
	}
}
