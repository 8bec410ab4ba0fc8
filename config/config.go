// Package config is what holdfast can be told: one struct in which every setting
// is written down once, with its default, and Parse, which fills it.
//
// A setting comes from, the later ones winning: its default, the YAML file that
// --config names, the environment, the command line. It has one name in all of
// them: --max-size is HOLDFAST_MAX_SIZE is the key max-size. A value that is not
// allowed, wherever it comes from, is refused with its name before anything runs.
package config

import (
	"time"

	"github.com/alecthomas/kong"
)

// Config is every setting of the server. Durations and sizes in it have been
// checked by Parse; its default is what Default returns.
type Config struct {
	// Listen is the TCP address, host:port. No host means all of them, port 0 a
	// free port.
	Listen string `name:"listen" group:"Listening:" default:":8080" placeholder:"HOST:PORT" help:"Address to accept connections on. No host means every address of the machine, port 0 picks a free one and logs it."`
	// BasePath is the URL path below which uploads live. It begins and ends with "/".
	BasePath string `name:"base-path" group:"Listening:" default:"/files/" placeholder:"PATH" help:"URL path below which uploads are created and live."`
	// TLSCert is the PEM file of the certificate with its chain. With it and TLSKey
	// the server speaks HTTPS, without both plain HTTP.
	TLSCert string `name:"tls-cert" group:"Listening:" placeholder:"FILE" help:"PEM file of the certificate and its chain, to serve HTTPS. Needs --tls-key. Read again when it changes."`
	// TLSKey is the PEM file of TLSCert's private key.
	TLSKey string `name:"tls-key" group:"Listening:" placeholder:"FILE" help:"PEM file of the private key. Needs --tls-cert."`
	// ForwardedHeaders tells to build upload URLs from X-Forwarded-Host,
	// X-Forwarded-Proto and Forwarded.
	ForwardedHeaders bool `name:"forwarded-headers" group:"Listening:" default:"true" negatable:"" help:"Believe X-Forwarded-Host, X-Forwarded-Proto and Forwarded when building the URL of an upload. Turn off if clients connect without a proxy."`
	// CORSOrigins are the origins of web pages that may upload. None turns CORS off.
	CORSOrigins []string `name:"cors-origin" group:"Listening:" default:"*" placeholder:"ORIGIN" help:"Origins whose web pages may upload, such as https://app.example.com or https://*.example.com; comma-separated, or given more than once. Empty turns CORS off."`

	// Data is the directory that holds the uploads. It is made if it is missing.
	Data string `name:"data" group:"Storage:" default:"./data" placeholder:"DIR" help:"Directory that holds the uploads. It is made if missing, and used by one process at a time."`
	// Sync tells to acknowledge nothing before it is on the disk.
	Sync bool `name:"sync" group:"Storage:" default:"true" negatable:"" help:"Acknowledge bytes only once they are on the disk. With --no-sync a crash or kill of holdfast still loses nothing, but a power loss may lose acknowledged bytes."`

	// MaxSize is the largest size of one upload; 0 is no limit.
	MaxSize Size `name:"max-size" group:"Uploads:" default:"0" placeholder:"SIZE" help:"Largest size of one upload, in bytes or with a unit: 500MB, 2GiB. 0 is no limit."`
	// ExpireAfter is how long after its last byte an unfinished upload is kept; 0
	// is for ever.
	ExpireAfter time.Duration `name:"expire-after" group:"Uploads:" default:"24h" placeholder:"TIME" help:"How long after its last byte an unfinished upload is kept. 0 keeps it for ever."`
	// IdleTimeout is how long a client may send nothing while it should, or take
	// nothing. The time that a whole request takes is not limited.
	IdleTimeout time.Duration `name:"idle-timeout" group:"Uploads:" default:"60s" placeholder:"TIME" help:"A client from which no byte arrives for so long, or that takes none, is cut off. What came is kept; the time that a whole request takes is not limited."`
	// LockTimeout is how long a request waits for the one before it to let go of
	// an upload.
	LockTimeout time.Duration `name:"lock-timeout" group:"Uploads:" default:"20s" placeholder:"TIME" help:"How long a tus request waits for an earlier one to let go of the same upload."`
	// SweepEvery is how often expired uploads are looked for.
	SweepEvery time.Duration `name:"sweep-every" group:"Uploads:" default:"1m" placeholder:"TIME" help:"How often to remove what has expired and to finish what a crash left unfinished."`

	// LogFormat is "text" or "json".
	LogFormat string `name:"log-format" group:"Logging and life cycle:" default:"text" placeholder:"text|json" help:"How log lines, which go to standard error, are written."`
	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string `name:"log-level" group:"Logging and life cycle:" default:"info" placeholder:"LEVEL" help:"Least severe log lines to write: debug, info, warn or error."`
	// ShutdownTimeout is how long the server takes at most to end after SIGTERM.
	ShutdownTimeout time.Duration `name:"shutdown-timeout" group:"Logging and life cycle:" default:"30s" placeholder:"TIME" help:"How long to take at most to end after SIGTERM or SIGINT. Requests get half of it to end by themselves; then uploads are cut, what came of them is stored, and their clients are told to retry. A second signal ends at once."`
}

// Default is the configuration of somebody who sets nothing.
func Default() Config {
	var c Config
	if err := kong.ApplyDefaults(&c, durations); err != nil {
		panic(err) // a default in the tags above is wrong
	}
	return c
}
