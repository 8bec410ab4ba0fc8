package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/holdfast-upload/holdfast/config"
)

// listOwed prints what the server says that it owes.
func listOwed(ctx context.Context, command config.Command, stdout io.Writer) error {
	return askAdmin(ctx, http.MethodGet, command.Config.AdminListen, "/owed", nil, stdout)
}

// retryOwed has the server tell the app, and prints what came of it.
func retryOwed(ctx context.Context, command config.Command, stdout io.Writer) error {
	return askAdmin(ctx, http.MethodPost, command.Config.AdminListen, "/owed/retry", url.Values{"id": command.IDs}, stdout)
}

// askAdmin prints the lines that the server on this machine answers with. A line with
// an error makes the whole one.
func askAdmin(ctx context.Context, method, addr, path string, query url.Values, stdout io.Writer) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	where := "http://" + net.JoinHostPort(host, port) + path
	r, err := http.NewRequestWithContext(ctx, method, where+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		return fmt.Errorf("ask the admin listener of a running server: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		return fmt.Errorf("the server answers %s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	return copyLines(answer.Body, stdout)
}

var errSomeFailed = errors.New("not all of it succeeded")

func copyLines(from io.Reader, to io.Writer) error {
	var failed error
	for dec := json.NewDecoder(from); ; {
		var line json.RawMessage
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return failed
		} else if err != nil {
			return fmt.Errorf("the answer broke off: %w", err)
		}
		var v failure
		if err := json.Unmarshal(line, &v); err != nil || v.Error != "" {
			failed = errSomeFailed
		}
		if _, err := fmt.Fprintf(to, "%s\n", line); err != nil {
			return err
		}
	}
}
