package main

import (
	"testing"

	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/commands"
	"github.com/holdfast-upload/holdfast/config"
)

func TestHealthReportsWhetherTheLocalServerIsAlive(t *testing.T) {
	s := start(t, testConfig(t), nil)
	cfg := testConfig(t)
	cfg.Listen = s.listener.Addr().String()
	if err := health(t, cfg); err != nil {
		t.Errorf("a running server: %v", err)
	}
	s.stop(t)
	if err := health(t, cfg); err == nil {
		t.Error("a stopped server was reported as healthy")
	}
}

func health(t *testing.T, cfg config.Config) error {
	t.Helper()
	_, err := commands.Run(t.Context(), config.Command{Name: "health", Config: cfg}, commands.IO{})
	return err
}
