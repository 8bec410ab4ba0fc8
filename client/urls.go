package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// URLStore remembers the URLs of unfinished uploads, by keys that say which file goes where.
// Its methods may be called by several goroutines at once.
type URLStore interface {
	// Load returns the URL of a key, and reports whether there is one.
	Load(key string) (url string, ok bool)
	// Save sets the URL of a key, durably.
	Save(key, url string) error
	// Remove removes a key. One that does not exist is no error.
	Remove(key string) error
}

// DirURLStore returns a URLStore in a directory, which is created when it is needed: a file
// for each upload, readable by its owner only, since URLs may contain tickets. What was not
// used for 60 days is removed.
func DirURLStore(dir string) URLStore { return dirURLs(dir) }

// StateDir returns the directory below which a program keeps state of the user: that of
// XDG_STATE_HOME, or ~/.local/state; on macOS and Windows that of os.UserConfigDir and
// os.UserCacheDir.
func StateDir() (string, error) {
	switch dir := os.Getenv("XDG_STATE_HOME"); {
	case filepath.IsAbs(dir):
		return dir, nil
	case runtime.GOOS == "darwin" || runtime.GOOS == "ios":
		return os.UserConfigDir()
	case runtime.GOOS == "windows":
		return os.UserCacheDir()
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state"), err
}

const urlLifetime = 60 * 24 * time.Hour

type dirURLs string

// savedURL is the content of a file.
type savedURL struct {
	Key string `json:"key"`
	URL string `json:"url"`
}

func (d dirURLs) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(string(d), hex.EncodeToString(sum[:16])+".json")
}

// Load implements URLStore. A file that can't be read counts as none.
func (d dirURLs) Load(key string) (string, bool) {
	text, err := os.ReadFile(d.path(key))
	var saved savedURL
	if err != nil || json.Unmarshal(text, &saved) != nil || saved.Key != key {
		return "", false
	}
	return saved.URL, true
}

// Save implements URLStore.
func (d dirURLs) Save(key, url string) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("remember the upload: %w", err)
	}
	d.prune()
	text, err := json.Marshal(savedURL{key, url})
	if err == nil {
		err = writeFile(d.path(key), text)
	}
	if err != nil {
		return fmt.Errorf("remember the upload: %w", err)
	}
	return nil
}

// writeFile replaces a file at once, and durably.
func writeFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Remove implements URLStore.
func (d dirURLs) Remove(key string) error {
	if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the upload: %w", err)
	}
	return nil
}

// prune removes old files, as far as that is possible.
func (d dirURLs) prune() {
	entries, _ := os.ReadDir(string(d))
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > urlLifetime {
			_ = os.Remove(filepath.Join(string(d), entry.Name()))
		}
	}
}
