package commands

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/config"
)

// health returns nil if the server with these settings, on this machine, is alive.
func health(ctx context.Context, command config.Command, _ IO) error {
	cfg := command.Config
	scheme := "http"
	if cfg.TLSCert != "" {
		scheme = "https"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	resp, err := call(ctx, http.MethodGet, scheme, cfg.Listen, "/healthz")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// listDeliveries prints the server's pending and dead-lettered deliveries.
func listDeliveries(ctx context.Context, command config.Command, std IO) error {
	return copyLines(ctx, http.MethodGet, command.Config.AdminListen, "/deliveries", std.Stdout)
}

// retryDeliveries makes the server retry deliveries now, and prints the results.
func retryDeliveries(ctx context.Context, command config.Command, std IO) error {
	return copyLines(ctx, http.MethodPost, command.Config.AdminListen, "/deliveries/retry?"+url.Values{"id": command.IDs}.Encode(), std.Stdout)
}

// call sends a request to a server on this machine. It does not verify the certificate,
// which is issued for the public name of the server; it sends no secrets.
func call(ctx context.Context, method, scheme, addr, path string) (*http.Response, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	r, err := http.NewRequestWithContext(ctx, method, scheme+"://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("server responded with %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return resp, nil
}

// ErrSomeFailed means that the app did not acknowledge a delivery that was retried.
var ErrSomeFailed = errors.New("some deliveries failed")

// copyLines prints the JSON lines of a response of the admin address. It returns
// ErrSomeFailed if one of them has an error.
func copyLines(ctx context.Context, method, addr, path string, to io.Writer) error {
	resp, err := call(ctx, method, "http", addr, path)
	if err != nil {
		return fmt.Errorf("request to the admin address of the server: %w", err)
	}
	defer resp.Body.Close()
	var failed error
	for dec := json.NewDecoder(resp.Body); ; {
		var line json.RawMessage
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return failed
		} else if err != nil {
			return fmt.Errorf("read the response: %w", err)
		}
		var v struct{ Error string }
		if err := json.Unmarshal(line, &v); err != nil || v.Error != "" {
			failed = ErrSomeFailed
		}
		if _, err := fmt.Fprintf(to, "%s\n", line); err != nil {
			return err
		}
	}
}
