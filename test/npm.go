package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
)

// installNode installs the packages of a directory with the versions of its lock file,
// unless they are there. Nothing that they bring with them is run.
func installNode(dir string) error {
	// The stamp is left behind when all of an installation is there.
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	stamp := filepath.Join(dir, "node_modules", ".installed")
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, lock) {
		return nil
	}
	install := exec.Command("npm", "ci", "--omit=dev", "--ignore-scripts")
	install.Dir, install.Stdout, install.Stderr = dir, os.Stderr, os.Stderr
	if err := install.Run(); err != nil {
		return err
	}
	return os.WriteFile(stamp, lock, 0o644)
}
