package test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
)

// Fault is what goes wrong once with a request that carries bytes of a file.
type Fault string

// The faults of a FaultProxy.
const (
	NoFault    Fault = ""
	Refused    Fault = "503"               // the second request is answered with 503
	CutBody    Fault = "cut body"          // the connection breaks within the body of the second request
	LostAnswer Fault = "lost answer"       // ... before the answer to the second request
	LostLast   Fault = "lost final answer" // ... before the answer to the request that completes the file
)

// FaultProxy is an HTTP proxy in front of a server in which one request fails.
type FaultProxy struct {
	*httptest.Server
	Fault Fault
	Fired atomic.Int64 // how many requests have failed

	requests atomic.Int64 // with bytes of a file
	forward  httputil.ReverseProxy
}

// NewFaultProxy listens on a port of its own, and passes requests on to target.
func NewFaultProxy(target string, fault Fault) *FaultProxy {
	p := newFaultProxy(target, fault)
	p.Start()
	return p
}

// NewTLSFaultProxy is NewFaultProxy for clients that want TLS.
func NewTLSFaultProxy(target string, fault Fault) *FaultProxy {
	p := newFaultProxy(target, fault)
	p.StartTLS()
	return p
}

func newFaultProxy(target string, fault Fault) *FaultProxy {
	p := &FaultProxy{Fault: fault}
	p.forward = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host // so that URLs in answers lead through the proxy
			r.SetXForwarded()
		},
		ModifyResponse: p.loseAnswer,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { resetClient(w) },
		FlushInterval:  -1,
	}
	p.Server = httptest.NewUnstartedServer(p)
	return p
}

type ordinalKey struct{}

// ServeHTTP implements http.Handler.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int64(0)
	if carriesFile(r) {
		n = p.requests.Add(1)
	}
	r = r.WithContext(context.WithValue(r.Context(), ordinalKey{}, n))
	switch {
	case p.Fault == Refused && n == 2:
		p.Fired.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // a client that has not sent all may not read the answer
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case p.Fault == CutBody && n == 2:
		p.Fired.Add(1)
		left := max(r.ContentLength/2, 1000)
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, left), broken{}), r.Body}
	}
	p.forward.ServeHTTP(w, r)
}

var errFault = errors.New("injected fault")

// loseAnswer fails if the answer is the one that is lost.
func (p *FaultProxy) loseAnswer(resp *http.Response) error {
	n, _ := resp.Request.Context().Value(ordinalKey{}).(int64)
	final := resp.StatusCode/100 == 2 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && isComplete(resp)
	lost := p.Fault == LostAnswer && n == 2 || p.Fault == LostLast && n > 0 && final
	if !lost || p.Fired.Swap(1) == 1 {
		return nil
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return errFault
}

// isComplete reports whether an answer says that the file is complete.
func isComplete(resp *http.Response) bool { return resp.StatusCode != http.StatusAccepted }

// carriesFile reports whether a request has bytes of a file.
func carriesFile(r *http.Request) bool {
	if r.ContentLength == 0 {
		return false
	}
	return r.Header.Get("Content-Range") != "" || r.URL.Query().Get("uploadType") == "multipart"
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errFault }

// resetClient breaks the connection of a request, as a network does.
func resetClient(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
