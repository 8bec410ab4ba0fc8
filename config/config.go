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
// checked by Parse, and so has what the tags demand of settings that go together (see
// demands.go); its default is what Default returns.
type Config struct {
	// Listen is the TCP address, host:port. No host means all of them, port 0 a
	// free port.
	Listen string `name:"listen" group:"Listening:" default:":8080" placeholder:"HOST:PORT" help:"Address to accept connections on. No host means every address of the machine, port 0 picks a free one and logs it."`
	// BasePath is the URL path below which uploads live. It begins and ends with "/".
	BasePath string `name:"base-path" group:"Listening:" default:"/files/" placeholder:"PATH" help:"URL path below which uploads are created and live."`
	// TLSCert is the PEM file of the certificate with its chain. With it and TLSKey
	// the server speaks HTTPS, without both plain HTTP.
	TLSCert string `name:"tls-cert" group:"Listening:" placeholder:"FILE" filled:"true" help:"PEM file of the certificate and its chain, to serve HTTPS. Needs --tls-key. Read again when it changes."`
	// TLSKey is the PEM file of TLSCert's private key.
	TLSKey string `name:"tls-key" group:"Listening:" placeholder:"FILE" filled:"true" help:"PEM file of the private key. Needs --tls-cert."`
	// ForwardedHeaders tells to build upload URLs from X-Forwarded-Host,
	// X-Forwarded-Proto and Forwarded, and to go on with the trace in traceparent.
	ForwardedHeaders bool `name:"forwarded-headers" group:"Listening:" default:"true" negatable:"" help:"Believe X-Forwarded-Host, X-Forwarded-Proto and Forwarded when building the URL of an upload, and traceparent. Turn off if clients connect without a proxy."`
	// CORSOrigins are the origins of web pages that may upload. None turns CORS off.
	CORSOrigins []string `name:"cors-origin" group:"Listening:" default:"*" placeholder:"ORIGIN" help:"Origins whose web pages may upload, such as https://app.example.com or https://*.example.com; comma-separated, or given more than once. Empty turns CORS off."`

	// Data is the directory that holds the uploads. It is made if it is missing.
	Data string `name:"data" group:"Storage:" default:"./data" placeholder:"DIR" help:"Directory that holds the uploads. It is made if missing, and used by one process at a time."`
	// Sync tells to acknowledge nothing before it is on the disk.
	Sync bool `name:"sync" group:"Storage:" default:"true" negatable:"" help:"Acknowledge bytes only once they are on the disk. With --no-sync a crash or kill of holdfast still loses nothing, but a power loss may lose acknowledged bytes."`
	// KeyTemplate is the name of a finished file in the store.
	KeyTemplate KeyTemplate `name:"key-template" group:"Storage:" placeholder:"TEXT" help:"Name of a finished file below --data or --s3-prefix, such as videos/{year}/{id}{ext}; also {filename}, {owner}, {month}, {day}. Empty is {id}."`

	// S3Bucket is the bucket that holds the uploads instead of Data, if set. The
	// credentials are found as the AWS SDKs find them.
	S3Bucket string `name:"s3-bucket" group:"S3 and Redis:" placeholder:"NAME" filled:"true" help:"Bucket that holds the uploads, instead of --data. Credentials are found as by all AWS tools: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or the role of the machine."`
	// S3Endpoint is the URL of an S3 that is not Amazon's.
	S3Endpoint string `name:"s3-endpoint" group:"S3 and Redis:" placeholder:"URL" needs:"s3-bucket" help:"Where S3 is, if it is not Amazon's: http://minio:9000."`
	// S3Region is the region of the bucket.
	S3Region string `name:"s3-region" group:"S3 and Redis:" placeholder:"NAME" needs:"s3-bucket" help:"Region of the bucket. Empty takes AWS_REGION, or else us-east-1."`
	// S3PathStyle puts the bucket into the path of a URL.
	S3PathStyle bool `name:"s3-path-style" group:"S3 and Redis:" needs:"s3-bucket" help:"Put the bucket into the path of a URL, not its host, as most S3 servers that are not Amazon's want it."`
	// S3Prefix begins every key.
	S3Prefix string `name:"s3-prefix" group:"S3 and Redis:" placeholder:"TEXT" needs:"s3-bucket" help:"Beginning of every key: the file of an upload is TEXT followed by its id."`
	// S3CreateBucket makes the bucket if it is missing.
	S3CreateBucket bool `name:"s3-create-bucket" group:"S3 and Redis:" needs:"s3-bucket" help:"Make the bucket if it is missing."`
	// S3Checksums gives S3 a CRC32C with all that is stored.
	S3Checksums bool `name:"s3-checksums" group:"S3 and Redis:" default:"true" negatable:"" needs:"s3-bucket" help:"Have S3 check a CRC32C of every part and of the whole file. Turn off for an S3 that does not know x-amz-checksum-crc32c."`
	// S3StorageClass is the storage class of finished files.
	S3StorageClass string `name:"s3-storage-class" group:"S3 and Redis:" placeholder:"CLASS" needs:"s3-bucket" help:"Storage class of the files, such as STANDARD_IA. Empty is the bucket's default."`
	// S3Encryption is the server-side encryption of finished files.
	S3Encryption string `name:"s3-encryption" group:"S3 and Redis:" placeholder:"AES256|aws:kms" needs:"s3-bucket" help:"Server-side encryption of the files. Empty is the bucket's default."`
	// S3EncryptionKey is the KMS key of S3Encryption.
	S3EncryptionKey string `name:"s3-encryption-key" group:"S3 and Redis:" placeholder:"ID" needs:"s3-bucket" help:"KMS key for --s3-encryption aws:kms."`
	// S3LinkFor is how long a link to S3 is valid by which clients download; 0 sends
	// downloads through holdfast.
	S3LinkFor time.Duration `name:"s3-link-for" group:"S3 and Redis:" default:"0" placeholder:"TIME" needs:"s3-bucket" help:"Answer downloads with a redirect to S3, signed and valid for this long, so that no byte comes through holdfast. 0 does not."`
	// S3PublicEndpoint is the URL at which clients find S3.
	S3PublicEndpoint string `name:"s3-public-endpoint" group:"S3 and Redis:" placeholder:"URL" needs:"s3-bucket" help:"Where clients find S3, for --s3-link-for, if it is not where holdfast does."`
	// MemoryBudget bounds the bytes of uploads that are held in memory on their way
	// to S3.
	MemoryBudget Size `name:"memory-budget" group:"S3 and Redis:" default:"256MiB" placeholder:"SIZE" help:"How many bytes of uploads are held in memory at most on their way to S3. What is beyond goes through temporary files."`
	// Redis is the URL of what several nodes share, if set.
	Redis string `name:"redis" group:"S3 and Redis:" placeholder:"URL" needs:"s3-bucket" help:"Redis that the nodes share for locks and state: redis://HOST:6379/0, rediss:// for TLS, with ?addr=HOST:PORT for each further node of a Cluster, or ?master_name=NAME&addr=HOST:PORT of Sentinels. Needs --s3-bucket. Without Redis each node keeps its own."`
	// RedisPrefix begins every key in Redis.
	RedisPrefix string `name:"redis-prefix" group:"S3 and Redis:" default:"holdfast:" placeholder:"TEXT" help:"Beginning of every key in Redis."`

	// MaxSize is the largest size of one upload; 0 is no limit.
	MaxSize Size `name:"max-size" group:"Uploads:" default:"0" placeholder:"SIZE" help:"Largest size of one upload, in bytes or with a unit: 500MB, 2GiB. 0 is no limit."`
	// ExpireAfter is how long after its last byte an unfinished upload is kept; 0
	// is for ever.
	ExpireAfter time.Duration `name:"expire-after" group:"Uploads:" default:"24h" placeholder:"TIME" help:"How long after its last byte an unfinished upload is kept. 0 keeps it for ever."`
	// RememberFinished is how long an upload is said to be complete whose file the app has
	// moved or deleted, after it has acknowledged it; 0 is not at all.
	RememberFinished time.Duration `name:"remember-finished" group:"Uploads:" default:"168h" placeholder:"TIME" help:"How long after the app has acknowledged post-finish an upload is still said to be complete although its file was moved or deleted. 0 does not."`
	// IdleTimeout is how long a client may send nothing while it should, or take
	// nothing. The time that a whole request takes is not limited.
	IdleTimeout time.Duration `name:"idle-timeout" group:"Uploads:" default:"60s" placeholder:"TIME" help:"A client from which no byte arrives for so long, or that takes none, is cut off. What came is kept; the time that a whole request takes is not limited."`
	// LockTimeout is how long a request waits for the one before it to let go of
	// an upload.
	LockTimeout time.Duration `name:"lock-timeout" group:"Uploads:" default:"20s" placeholder:"TIME" help:"How long a tus request waits for an earlier one to let go of the same upload."`
	// SweepEvery is how often expired uploads are looked for.
	SweepEvery time.Duration `name:"sweep-every" group:"Uploads:" default:"1m" placeholder:"TIME" help:"How often to remove what has expired and to finish what a crash left unfinished."`

	// HookURL is where hooks are sent; none sends only those of HookURLFor.
	HookURL string `name:"hook-url" group:"Hooks:" placeholder:"URL" help:"Where the app is told of uploads: tusd's hooks, in JSON, by POST. Empty tells nobody."`
	// HookURLFor are, by event, the URLs to use instead of HookURL.
	HookURLFor map[string]string `name:"hook-url-for" group:"Hooks:" mapsep:";" placeholder:"EVENT=URL" help:"Where one event is sent instead: post-finish=https://app/done. Given more than once, or separated by semicolons."`
	// HookEvents are the hooks to send.
	HookEvents []string `name:"hook-events" group:"Hooks:" default:"post-finish" placeholder:"EVENT" needs:"hook-url,hook-url-for" help:"Which hooks are sent, comma-separated: pre-create and pre-finish ask the app, which can refuse or change the upload, and without whose answer nothing is created or finished; post-finish is told until the app has heard it; post-create, post-receive and post-terminate are told if that succeeds soon."`
	// HookSecrets sign every hook, all of them.
	HookSecrets []string `name:"hook-secret" group:"Hooks:" placeholder:"SECRET" filled:"true" help:"Secret that signs every hook by Standard Webhooks: whsec_ and 24 to 64 random bytes in base64. A second one, separated by a comma, signs too, so that the app can change over. Better given as HOLDFAST_HOOK_SECRET or in a file than as a flag, which others on the machine can see."`
	// HookSecretFile holds further secrets, one in a line.
	HookSecretFile string `name:"hook-secret-file" group:"Hooks:" placeholder:"FILE" filled:"true" help:"File of secrets, one in a line."`
	// HookForwardHeader are the headers of clients that hooks have too.
	HookForwardHeader []string `name:"hook-forward-header" group:"Hooks:" placeholder:"NAME" help:"Headers of the client's request that the hook's request has too, such as Authorization. The body tells of all headers but Authorization, Cookie, Proxy-Authorization and those of --auth-hook-header, and leaves out the query parameter ticket, unless they are named here."`
	// HookTimeout is how long the app may take to answer.
	HookTimeout time.Duration `name:"hook-timeout" group:"Hooks:" default:"10s" placeholder:"TIME" help:"How long the app may take to answer a hook."`
	// HookRetryAfter is when post-finish is tried again for the first time, and
	// HookRetryFor how long it is tried.
	HookRetryAfter time.Duration `name:"hook-retry-after" group:"Hooks:" default:"5s" placeholder:"TIME" help:"When post-finish is tried again if the app has not taken it; then after 4, 12, 36, 96, 180 and 360 times as long, and from then on every 360 times."`
	HookRetryFor   time.Duration `name:"hook-retry-for" group:"Hooks:" default:"24h" placeholder:"TIME" help:"How long post-finish is tried. After it, or when the app answers 410, it is parked: see 'holdfast owed'."`
	// HookReceiveEvery is the least time between two post-receive hooks of an upload.
	HookReceiveEvery time.Duration `name:"hook-receive-every" group:"Hooks:" default:"1s" placeholder:"TIME" help:"How often at most post-receive tells of one upload."`
	// HookCA is the PEM file of the authorities that the app's certificate may be by.
	HookCA string `name:"hook-ca" group:"Hooks:" placeholder:"FILE" help:"PEM file of the authorities to believe that the app is the app, instead of the system's."`
	// HookClientCert and HookClientKey are shown to the app.
	HookClientCert string `name:"hook-client-cert" group:"Hooks:" placeholder:"FILE" help:"PEM file of a certificate to show to the app. Needs --hook-client-key."`
	HookClientKey  string `name:"hook-client-key" group:"Hooks:" placeholder:"FILE" help:"PEM file of its private key."`
	// AdminListen is the TCP address of metrics, profiles, and what the app has still to
	// hear, "" for none.
	AdminListen string `name:"admin-listen" group:"Observability:" placeholder:"HOST:PORT" help:"Address at which /metrics (Prometheus), /debug/pprof/ and what 'holdfast owed' asks for are found, never at --listen. Give it to nobody outside: it asks for no password. Empty turns it off."`
	// OTLPEndpoint is the URL below which traces are sent to v1/traces, "" for none.
	OTLPEndpoint string `name:"otlp-endpoint" group:"Observability:" placeholder:"URL" help:"OpenTelemetry collector that gets traces by OTLP over HTTP, at v1/traces below this URL: http://collector:4318. Headers that it wants are taken from OTEL_EXPORTER_OTLP_HEADERS. Empty turns tracing off."`
	// OTLPService is the service.name in traces.
	OTLPService string `name:"otlp-service" group:"Observability:" default:"holdfast" placeholder:"NAME" help:"Name of this service in traces."`
	// OTLPSample is the share of requests that are traced, 0 to 1.
	OTLPSample float64 `name:"otlp-sample" group:"Observability:" default:"1" placeholder:"RATIO" help:"Share of requests that are traced, 0 to 1. With --forwarded-headers, one that comes with a traceparent is traced if its sender says so."`

	// AuthJWTSecrets verify tokens signed with HS256.
	AuthJWTSecrets []string `name:"auth-jwt-secret" group:"Access:" placeholder:"SECRET" filled:"true" help:"Let in who has a JWT that is signed with this secret (HS256), of 32 bytes or more. Several, comma-separated or given more than once, all count, so that it can be changed. Better kept in the environment or a file than on the command line."`
	// AuthJWTSecretFiles are files with such secrets, one in a line.
	AuthJWTSecretFiles []string `name:"auth-jwt-secret-file" group:"Access:" placeholder:"FILE" filled:"true" help:"File of such secrets, one in a line."`
	// AuthJWKSURL is where the public keys of tokens are.
	AuthJWKSURL string `name:"auth-jwks-url" group:"Access:" placeholder:"URL" filled:"true" help:"Let in who has a JWT that is signed with one of the public keys there (RSA, ECDSA or EdDSA). They are fetched again as they change."`
	// AuthJWTIssuer is the iss that tokens need, if set.
	AuthJWTIssuer string `name:"auth-jwt-issuer" group:"Access:" placeholder:"TEXT" filled:"true" needs:"auth-jwt-secret,auth-jwt-secret-file,auth-jwks-url" help:"What the claim iss of a JWT has to be. Needs --auth-jwt-secret or --auth-jwks-url."`
	// AuthJWTAudience is the aud that tokens need, if set.
	AuthJWTAudience string `name:"auth-jwt-audience" group:"Access:" placeholder:"TEXT" filled:"true" needs:"auth-jwt-secret,auth-jwt-secret-file,auth-jwks-url" help:"What the claim aud of a JWT has to be, or contain. Needs --auth-jwt-secret or --auth-jwks-url."`
	// AuthHookURL is where the app says who makes a request.
	AuthHookURL string `name:"auth-hook-url" group:"Access:" placeholder:"URL" filled:"true" help:"Have the app say who makes a request: it gets a POST with the credentials, and answers 200 with a subject, 401 or 403. If it does not answer, nobody is let in."`
	// AuthHookHeaders are those that the app gets beside Authorization and Cookie.
	AuthHookHeaders []string `name:"auth-hook-header" group:"Access:" placeholder:"NAME" needs:"auth-hook-url" help:"Headers that --auth-hook-url gets to see beside Authorization and Cookie. As those, they are in no other hook."`
	// AuthHookTimeout is how long the app may take.
	AuthHookTimeout time.Duration `name:"auth-hook-timeout" group:"Access:" default:"5s" placeholder:"TIME" help:"How long the app may take to answer. Then the client is told to come back."`
	// TicketSecrets sign and verify tickets.
	TicketSecrets []string `name:"ticket-secret" group:"Access:" placeholder:"SECRET" filled:"true" help:"Let in who has a ticket that is signed with this secret, of 32 bytes or more: see holdfast ticket. Of several all count, and the first one signs."`
	// TicketSecretFiles are files with such secrets, one in a line.
	TicketSecretFiles []string `name:"ticket-secret-file" group:"Access:" placeholder:"FILE" filled:"true" help:"File of such secrets, one in a line."`
	// TicketLifetime is for how long the server gives tickets; 0 gives none.
	TicketLifetime time.Duration `name:"ticket-lifetime" group:"Access:" default:"0" placeholder:"TIME" needs:"ticket-secret,ticket-secret-file" help:"Give the URL of an upload a ticket for so long, for whoever creates it with a token. 0 gives none."`
	// CORSCredentials lets web pages send cookies.
	CORSCredentials bool `name:"cors-credentials" group:"Access:" help:"Let the pages of --cors-origin send cookies. Needs origins that are named: not *."`

	// LimitUploadsPerMinute is how many uploads a caller may create in a minute.
	LimitUploadsPerMinute int `name:"limit-uploads-per-minute" group:"Limits:" default:"0" placeholder:"NUMBER" help:"How many uploads one subject may create in a minute, or one address where nobody is asked who he is. 0 is no limit."`
	// LimitLiveUploads is how many unfinished uploads a caller may have.
	LimitLiveUploads int `name:"limit-live-uploads" group:"Limits:" default:"0" placeholder:"NUMBER" help:"How many unfinished uploads one subject or address may have at a time. 0 is no limit."`
	// LimitBytesPerDay is how much a caller may send in a day.
	LimitBytesPerDay Size `name:"limit-bytes-per-day" group:"Limits:" default:"0" placeholder:"SIZE" help:"How much one subject or address may send, or have joined out of parts, in a day. 0 is no limit."`

	// LogFormat is "text" or "json".
	LogFormat string `name:"log-format" group:"Logging and life cycle:" default:"text" placeholder:"text|json" help:"How log lines, which go to standard error, are written."`
	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string `name:"log-level" group:"Logging and life cycle:" default:"info" placeholder:"LEVEL" help:"Least severe log lines to write: debug, info, warn or error."`
	// ShutdownTimeout is how long the server takes at most to end after SIGTERM.
	ShutdownTimeout time.Duration `name:"shutdown-timeout" group:"Logging and life cycle:" default:"30s" placeholder:"TIME" help:"How long to take at most to end after SIGTERM or SIGINT. Requests get half of it to end by themselves; then uploads are cut, what came of them is stored, and their clients are told to retry. A second signal ends at once."`
}

// Hooks tells whether the app is to be told of anything.
func (c *Config) Hooks() bool { return c.HookURL != "" || len(c.HookURLFor) > 0 }

// Default is the configuration of somebody who sets nothing.
func Default() Config {
	var c Config
	if err := kong.ApplyDefaults(&c, durations); err != nil {
		panic(err) // a default in the tags above is wrong
	}
	return c
}
