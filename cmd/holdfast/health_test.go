package main

import (
	"testing"
)

func TestHealthReportsWhetherTheLocalServerIsAlive(t *testing.T) {
	s := start(t, testConfig(t), nil)
	cfg := testConfig(t)
	cfg.Listen = s.listener.Addr().String()
	if err := health(t.Context(), cfg); err != nil {
		t.Errorf("a server that lives: %v", err)
	}
	s.stop(t)
	if err := health(t.Context(), cfg); err == nil {
		t.Error("a server that is gone was found healthy")
	}
}
