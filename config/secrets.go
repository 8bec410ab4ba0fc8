package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Secrets returns the given secrets and those in files, one per line. A file without a
// secret is an error.
func Secrets(given, files []string) ([]string, error) {
	all := slices.Clone(given)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found := strings.Fields(string(text))
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no secret found", path)
		}
		all = append(all, found...)
	}
	return all, nil
}

// HookSecrets returns all secrets that sign hooks.
func HookSecrets(cfg Config) ([]string, error) {
	var files []string
	if cfg.HookSecretFile != "" {
		files = []string{cfg.HookSecretFile}
	}
	all, err := Secrets(cfg.HookSecrets, files)
	for _, secret := range all {
		err = errors.Join(err, CheckSecret(secret))
	}
	if err != nil {
		return nil, fmt.Errorf("--hook-secret-file: %w", err)
	}
	return all, nil
}
