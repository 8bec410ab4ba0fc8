package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// installNode installs the packages of a directory with the versions of its lock file,
// unless they are there. Nothing that they bring with them is run.
func installNode(dir string) error {
	return installOnce(filepath.Join(dir, "package-lock.json"), filepath.Join(dir, "node_modules", ".installed"),
		[]string{"npm", "ci", "--omit=dev", "--ignore-scripts", "--prefix", dir})
}

// installOnce runs commands unless the stamp, which it leaves behind, has the content of
// the list of what is to be installed.
func installOnce(list, stamp string, commands ...[]string) error {
	wanted, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, wanted) {
		return nil
	}
	for _, command := range commands {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
		}
	}
	return os.WriteFile(stamp, wanted, 0o644)
}
