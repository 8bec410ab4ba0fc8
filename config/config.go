// Package config defines the settings of holdfast: one struct with every setting and
// its default, and Parse, which fills it.
//
// A setting comes from its default, the YAML file that --config names, the environment
// or the command line; later ones win. It has one name in all of them: --max-size,
// HOLDFAST_MAX_SIZE, and the key max-size. A wrong value, wherever it comes from, is an
// error that names the setting.
package config

import (
	"time"

	"github.com/alecthomas/kong"
)

// Config holds every setting of the server. Parse has validated it, including the
// constraints between settings in the tags (see constraints.go).
type Config struct {
	// Listen is the TCP address, host:port. An empty host means all addresses, port 0 a
	// free port.
	Listen string `name:"listen" group:"Listening:" default:":8080" placeholder:"HOST:PORT" help:"Address to accept connections on. No host means every address of the machine; port 0 picks a free one and logs it."`
	// BasePath is the URL path prefix of uploads. It begins and ends with "/".
	BasePath string `name:"base-path" group:"Listening:" default:"/files/" placeholder:"PATH" help:"URL path below which uploads are created and found."`
	// GoogleUploads serves the uploads of Google Cloud Storage's JSON API.
	GoogleUploads bool `name:"google-uploads" group:"Listening:" default:"true" negatable:"" help:"Serve uploads with Google Cloud Storage's client libraries and rclone, at the paths of its JSON API, which are outside of --base-path: /upload/storage/v1/b/, /resumable/upload/storage/v1/b/, /storage/v1/b/ and /download/storage/v1/b/."`
	// GraphUploads creates upload sessions for clients of Microsoft Graph.
	GraphUploads bool `name:"graph-uploads" group:"Listening:" default:"true" negatable:"" help:"Create upload sessions for client libraries of Microsoft Graph, by POST to any path that ends with /createUploadSession."`
	// TLSCert and TLSKey are PEM files. With both the server speaks HTTPS, without them
	// plain HTTP.
	TLSCert string `name:"tls-cert" group:"Listening:" placeholder:"FILE" nonempty:"true" help:"PEM file of the certificate and its chain, to serve HTTPS. Needs --tls-key. It is read again when it changes."`
	TLSKey  string `name:"tls-key" group:"Listening:" placeholder:"FILE" nonempty:"true" help:"PEM file of the private key. Needs --tls-cert."`
	// TrustForwarded trusts the headers of a proxy in front.
	TrustForwarded bool `name:"trust-forwarded-headers" group:"Listening:" default:"true" negatable:"" help:"Trust X-Forwarded-Proto, -Host, -Port and -Prefix, and Forwarded, for the URLs of uploads, X-Forwarded-For for the address of a client, and traceparent. Turn it off if clients connect without a proxy."`
	// PublicURL is the URL below which clients reach uploads; "" takes it from each request.
	PublicURL string `name:"public-url" group:"Listening:" placeholder:"URL" nonempty:"true" help:"URL below which clients reach uploads, for Location, uploadUrl and tickets, such as https://up.example.com/files/. Empty takes it from each request, and from X-Forwarded-Proto, -Host, -Port and -Prefix or Forwarded if they are trusted."`
	// UploadPage serves a web page that uploads files.
	UploadPage bool `name:"upload-page" group:"Listening:" help:"Serve a web page that uploads files, at _upload/ below --base-path. It is open to everybody, and uploads with a token or a ticket where those are needed."`
	// CORSOrigins are the origins whose web pages may upload; empty turns CORS off.
	CORSOrigins []string `name:"cors-origin" group:"Listening:" default:"*" placeholder:"ORIGIN" help:"Origins whose web pages may upload, such as https://app.example.com or https://*.example.com; comma-separated, or given more than once. Empty turns CORS off."`
	// CORSExposeHeaders are further headers that web pages may read.
	CORSExposeHeaders []string `name:"cors-expose-header" group:"Listening:" placeholder:"NAME" help:"Headers of responses that web pages may read, besides those of the protocols and those that a hook sets: such as those that a proxy in front adds."`

	// Data is the directory of the disk store.
	Data string `name:"data" group:"Storage:" default:"./data" placeholder:"DIR" help:"Directory that holds the uploads. It is created if it is missing, and used by one process at a time."`
	// Fsync makes the server acknowledge bytes only once they are synced to disk.
	Fsync bool `name:"fsync" group:"Storage:" default:"true" negatable:"" help:"Acknowledge bytes only once they are synced to the disk. With --no-fsync a crash or kill of holdfast still loses nothing, but a power loss may lose acknowledged bytes."`
	// KeyTemplate is the key of a finished file in the store.
	KeyTemplate KeyTemplate `name:"key-template" group:"Storage:" placeholder:"TEXT" help:"Key of a finished file below --data or --s3-prefix, such as videos/{year}/{id}{ext}; also {filename}, {owner}, {month}, {day}. Empty is {id}."`

	// S3Bucket is the bucket that holds the uploads; "" uses Data.
	S3Bucket string `name:"s3-bucket" group:"S3 and Redis:" placeholder:"NAME" nonempty:"true" help:"Bucket that holds the uploads, instead of --data. Credentials are found as by all AWS tools: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or the role of the machine."`
	// S3Endpoint is the URL of an S3 server other than Amazon's.
	S3Endpoint string `name:"s3-endpoint" group:"S3 and Redis:" placeholder:"URL" requires:"s3-bucket" help:"URL of an S3 server that is not Amazon's: http://minio:9000."`
	// S3Region is the region of the bucket.
	S3Region string `name:"s3-region" group:"S3 and Redis:" placeholder:"NAME" requires:"s3-bucket" help:"Region of the bucket. Empty takes AWS_REGION, or else us-east-1."`
	// S3PathStyle puts the bucket into the path of a URL.
	S3PathStyle bool `name:"s3-path-style" group:"S3 and Redis:" requires:"s3-bucket" help:"Put the bucket into the path of a URL, not its host, as most S3 servers other than Amazon's need it."`
	// S3Prefix is the prefix of every key.
	S3Prefix string `name:"s3-prefix" group:"S3 and Redis:" placeholder:"TEXT" requires:"s3-bucket" help:"Prefix of every key: the file of an upload is TEXT followed by its id."`
	// S3CreateBucket creates the bucket if it is missing.
	S3CreateBucket bool `name:"s3-create-bucket" group:"S3 and Redis:" requires:"s3-bucket" help:"Create the bucket if it is missing."`
	// S3Checksums is "auto", "crc32c" or "off".
	S3Checksums string `name:"s3-checksums" group:"S3 and Redis:" default:"auto" placeholder:"auto|crc32c|off" requires:"s3-bucket" help:"Have S3 verify a CRC32C of every part and of the whole file: as far as it can (auto), or not start if it can't (crc32c)."`
	// S3Timeout is how long S3 may take to respond, with all retries.
	S3Timeout time.Duration `name:"s3-timeout" group:"S3 and Redis:" default:"20s" placeholder:"TIME" requires:"s3-bucket" help:"How long S3 may take to respond, its retries included, before the client is sent away with 503 to come back later. Requests that store, copy or combine the bytes of uploads have a minute for each of four attempts."`
	// S3StorageClass is the storage class of finished files.
	S3StorageClass string `name:"s3-storage-class" group:"S3 and Redis:" placeholder:"CLASS" requires:"s3-bucket" help:"Storage class of finished files, such as STANDARD_IA; holdfast reads them only for downloads and concatenations. Empty is the bucket's default."`
	// S3Encryption is the server-side encryption of all objects.
	S3Encryption string `name:"s3-encryption" group:"S3 and Redis:" placeholder:"AES256|aws:kms" requires:"s3-bucket" help:"Server-side encryption of all objects. Empty is the bucket's default."`
	// S3EncryptionKey is the KMS key of S3Encryption.
	S3EncryptionKey string `name:"s3-encryption-key" group:"S3 and Redis:" placeholder:"ID" requires:"s3-bucket" help:"KMS key for --s3-encryption aws:kms."`
	// S3PresignTTL is the lifetime of presigned download URLs; 0 disables them.
	S3PresignTTL time.Duration `name:"s3-presign-ttl" group:"S3 and Redis:" default:"0" placeholder:"TIME" requires:"s3-bucket" help:"Answer downloads with a redirect to a presigned URL of S3 that is valid for this long, so that no byte passes through holdfast. 0 serves downloads itself."`
	// S3PublicEndpoint is the URL at which clients reach S3.
	S3PublicEndpoint string `name:"s3-public-endpoint" group:"S3 and Redis:" placeholder:"URL" requires:"s3-bucket" help:"URL at which clients reach S3, for --s3-presign-ttl, if it differs from --s3-endpoint."`
	// BufferMemory bounds the bytes of uploads in memory on their way to S3, and of bodies
	// that are buffered until they are complete.
	BufferMemory Size `name:"buffer-memory" group:"Uploads:" default:"256MiB" placeholder:"SIZE" help:"Bytes of uploads that are held in memory at most, on their way to S3 or until their checksum is verified. What is beyond goes through temporary files."`
	// BufferDisk bounds the bytes of bodies in temporary files until they are complete.
	BufferDisk Size `name:"buffer-disk" group:"Uploads:" default:"64GiB" placeholder:"SIZE" help:"Bytes of bodies that are in temporary files at most until their checksum, or the length of a chunk, is verified. A request that is larger by itself is rejected with 413; while others take the space it is to be retried."`
	// FileMode has the permissions of finished files.
	FileMode FileMode `name:"file-mode" group:"Storage:" default:"0640" placeholder:"MODE" help:"Permissions of finished files below --data, in octal, whatever the umask. Directories that --key-template makes can be entered by all who may read the files."`
	// Redis is the URL of the Redis that nodes share, if set.
	Redis string `name:"redis" group:"S3 and Redis:" placeholder:"URL" requires:"s3-bucket" help:"Redis that the nodes share for locks and state: redis://HOST:6379/0, rediss:// for TLS, with ?addr=HOST:PORT for each further node of a Cluster, or ?master_name=NAME&addr=HOST:PORT of Sentinels. Needs --s3-bucket. Without Redis each node keeps its own."`
	// RedisPrefix is the prefix of every key in Redis.
	RedisPrefix string `name:"redis-prefix" group:"S3 and Redis:" default:"holdfast:" placeholder:"TEXT" help:"Prefix of every key in Redis."`

	// MaxSize is the maximum size of an upload in bytes; 0 is no limit.
	MaxSize Size `name:"max-size" group:"Uploads:" default:"0" placeholder:"SIZE" help:"Largest size of one upload, in bytes or with a unit: 500MB, 2GiB. 0 is no limit."`
	// ExpireAfter is how long after its last byte an incomplete upload is kept; 0 is
	// forever.
	ExpireAfter time.Duration `name:"expire-after" group:"Uploads:" default:"24h" placeholder:"TIME" help:"How long after its last byte an incomplete upload is kept. 0 keeps it for ever."`
	// RememberFinished is how long a delivered upload stays complete after its file was
	// moved or deleted; 0 is not at all.
	RememberFinished time.Duration `name:"remember-finished" group:"Uploads:" default:"168h" placeholder:"TIME" help:"How long an upload stays complete for its client after the app has acknowledged post-finish, although its file was moved or deleted. 0 forgets it at once."`
	// IdleTimeout is how long a connection may stall in either direction. The duration of a
	// whole request is not limited.
	IdleTimeout time.Duration `name:"idle-timeout" group:"Uploads:" default:"60s" placeholder:"TIME" help:"A client that sends, or takes, no byte for this long is cut off. What has arrived is kept; the duration of a whole request is not limited."`
	// LockTimeout is how long a request waits for the lock of an upload.
	LockTimeout time.Duration `name:"lock-timeout" group:"Uploads:" default:"20s" placeholder:"TIME" help:"How long a tus or IETF request, or a PUT of a whole file, waits for an earlier one of the same upload to end."`
	// InterimResponses sends 104 to clients of the IETF draft.
	InterimResponses bool `name:"interim-responses" group:"Uploads:" default:"true" negatable:"" help:"Send 104 (Upload Resumption Supported) to clients of resumable uploads by the IETF draft, such as URLSession, which resume only after it. Turn it off behind a proxy that takes an interim response for the final one, as nginx does."`
	// SweepInterval is the time between two sweeps.
	SweepInterval time.Duration `name:"sweep-interval" group:"Uploads:" default:"1m" placeholder:"TIME" help:"Time between two sweeps, which remove expired uploads and finish what a crash has interrupted."`

	// HookURL is where hooks are sent; "" sends only those of HookURLOverride.
	HookURL string `name:"hook-url" group:"Hooks:" placeholder:"URL" help:"URL of the app's hooks: tusd's hooks, in JSON, by POST. Empty sends none."`
	// HookURLOverride has, by event, the URLs that replace HookURL.
	HookURLOverride map[string]string `name:"hook-url-override" group:"Hooks:" mapsep:";" placeholder:"EVENT=URL" help:"URL for one event, in place of --hook-url: post-finish=https://app/done. Given more than once, or separated by semicolons."`
	// HookEvents are the hooks to send.
	HookEvents []string `name:"hook-events" group:"Hooks:" default:"post-finish" placeholder:"EVENT" requires:"hook-url,hook-url-override" help:"Hooks that are sent, comma-separated. pre-create and pre-finish are blocking: the app may reject or change the upload, and without its response nothing is created or finished. post-finish is delivered at least once. post-create, post-receive and post-terminate are best-effort."`
	// HookSecrets sign every hook, all of them.
	HookSecrets []string `name:"hook-secret" secret:"" group:"Hooks:" placeholder:"SECRET" nonempty:"true" help:"Secret that signs every hook by Standard Webhooks: whsec_ and 24 to 64 random bytes in base64. A second one, separated by a comma, signs too, for rotation. Better given as HOLDFAST_HOOK_SECRET or in a file than as a flag, which others on the machine can see."`
	// HookSecretFile holds further secrets, one in a line.
	HookSecretFile string `name:"hook-secret-file" group:"Hooks:" placeholder:"FILE" nonempty:"true" help:"File of secrets, one in a line."`
	// HookForwardHeader names the headers of the client's request that are sent with hooks.
	HookForwardHeader []string `name:"hook-forward-header" group:"Hooks:" placeholder:"NAME" help:"Headers of the client's request that are sent with the hook, such as Authorization. The hook's body holds all headers but Authorization, Cookie, Proxy-Authorization and those of --auth-hook-header, and not the query parameter ticket, unless they are named here."`
	// HookTimeout is how long the app may take to respond.
	HookTimeout time.Duration `name:"hook-timeout" group:"Hooks:" default:"10s" placeholder:"TIME" help:"How long the app may take to respond to a hook."`
	// HookRetryInitial is when a delivery is retried first, and HookRetryMaxAge how long it
	// is retried.
	HookRetryInitial time.Duration `name:"hook-retry-initial" group:"Hooks:" default:"5s" placeholder:"TIME" help:"When the delivery of post-finish is retried first; then after 4, 12, 36, 96, 180 and 360 times as long, and from then on every 360 times."`
	HookRetryMaxAge  time.Duration `name:"hook-retry-max-age" group:"Hooks:" default:"24h" placeholder:"TIME" help:"How long the delivery of post-finish is retried. After that, or when the app responds with 410, it is dead-lettered: see 'holdfast deliveries'."`
	// HookProgressInterval is the least time between two post-receive hooks of an upload.
	HookProgressInterval time.Duration `name:"hook-progress-interval" group:"Hooks:" default:"1s" placeholder:"TIME" help:"Least time between two post-receive hooks of an upload."`
	// HookCA is a PEM file of the certificate authorities that the app's certificate is
	// verified with.
	HookCA string `name:"hook-ca" group:"Hooks:" placeholder:"FILE" help:"PEM file of the certificate authorities that may issue the app's certificate, in place of the system's."`
	// HookClientCert and HookClientKey authenticate this server to the app.
	HookClientCert string `name:"hook-client-cert" group:"Hooks:" placeholder:"FILE" help:"PEM file of a client certificate for the app. Needs --hook-client-key."`
	HookClientKey  string `name:"hook-client-key" group:"Hooks:" placeholder:"FILE" help:"PEM file of its private key."`
	// AdminListen is the TCP address of metrics and administration, "" for none.
	AdminListen string `name:"admin-listen" group:"Observability:" placeholder:"HOST:PORT" help:"Address of a web page that shows what the server does, at /, of /metrics (Prometheus), /debug/pprof/ and 'holdfast deliveries', which are never at --listen. Keep it private: it asks for no credentials. Empty turns it off."`
	// AdminHosts are further names by which AdminListen is reached.
	AdminHosts []string `name:"admin-host" group:"Observability:" placeholder:"NAME" requires:"admin-listen" help:"Names by which --admin-listen is reached, such as uploads.example.com, besides IP addresses, names without a dot or below .local or .internal, and the name of the machine. Requests to other names, and those of web pages, are rejected."`
	// OTLPEndpoint is the URL below which traces are sent to v1/traces, "" for none.
	OTLPEndpoint string `name:"otlp-endpoint" group:"Observability:" placeholder:"URL" help:"OpenTelemetry collector for traces, by OTLP over HTTP, in JSON, at v1/traces below this URL: http://collector:4318. OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION, _CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY are honored. Empty turns tracing off."`
	// OTLPService is the service.name in traces.
	OTLPService string `name:"otlp-service" group:"Observability:" default:"holdfast" placeholder:"NAME" help:"Name of this service in traces."`
	// OTLPSample is the fraction of requests that are traced, 0 to 1.
	OTLPSample float64 `name:"otlp-sample" group:"Observability:" default:"1" placeholder:"RATIO" help:"Share of requests that are traced, 0 to 1. With --trust-forwarded-headers, a request with a traceparent is traced if that says so."`

	// AuthJWTSecrets are the secrets of tokens signed with HS256.
	AuthJWTSecrets []string `name:"auth-jwt-secret" secret:"" group:"Access:" placeholder:"SECRET" nonempty:"true" help:"Accept JWTs signed with this secret (HS256), of 32 bytes or more. Several, comma-separated or given more than once, are all accepted, for rotation. Better kept in the environment or a file than on the command line."`
	// AuthJWTSecretFiles are files with such secrets, one in a line.
	AuthJWTSecretFiles []string `name:"auth-jwt-secret-file" group:"Access:" placeholder:"FILE" nonempty:"true" help:"File of such secrets, one in a line."`
	// AuthJWKSURL is the URL of the public keys that tokens are verified with.
	AuthJWKSURL string `name:"auth-jwks-url" group:"Access:" placeholder:"URL" nonempty:"true" help:"Accept JWTs signed with one of the public keys at this URL (RSA, ECDSA or EdDSA). They are fetched again as they change."`
	// AuthJWTIssuer is the required iss of tokens, if set.
	AuthJWTIssuer string `name:"auth-jwt-issuer" group:"Access:" placeholder:"TEXT" nonempty:"true" requires:"auth-jwt-secret,auth-jwt-secret-file,auth-jwks-url" help:"Required claim iss of a JWT. Needs --auth-jwt-secret or --auth-jwks-url."`
	// AuthJWTAudience is the required aud of tokens, if set.
	AuthJWTAudience string `name:"auth-jwt-audience" group:"Access:" placeholder:"TEXT" nonempty:"true" requires:"auth-jwt-secret,auth-jwt-secret-file,auth-jwks-url" help:"Required claim aud of a JWT, or a member of it. Needs --auth-jwt-secret or --auth-jwks-url."`
	// AuthHookURL is the URL at which the app authenticates requests.
	AuthHookURL string `name:"auth-hook-url" group:"Access:" placeholder:"URL" nonempty:"true" help:"Have the app authenticate each request: it gets a POST with the credentials, and responds with 200 and a subject, 401 or 403. While it does not respond every request is rejected with 503."`
	// AuthHookHeaders are the headers sent to AuthHookURL besides Authorization and Cookie.
	AuthHookHeaders []string `name:"auth-hook-header" group:"Access:" placeholder:"NAME" requires:"auth-hook-url" help:"Headers that are sent to --auth-hook-url besides Authorization and Cookie. Like those, they are in no other hook."`
	// AuthHookTimeout is how long the app may take to authenticate a request.
	AuthHookTimeout time.Duration `name:"auth-hook-timeout" group:"Access:" default:"5s" placeholder:"TIME" help:"How long the app may take to authenticate a request."`
	// TicketSecrets verify tickets; the first one signs them.
	TicketSecrets []string `name:"ticket-secret" secret:"" group:"Access:" placeholder:"SECRET" nonempty:"true" help:"Accept tickets signed with this secret, of 32 bytes or more: see holdfast ticket create. Several are all accepted, and the first one signs."`
	// TicketSecretFiles are files with such secrets, one in a line.
	TicketSecretFiles []string `name:"ticket-secret-file" group:"Access:" placeholder:"FILE" nonempty:"true" help:"File of such secrets, one in a line."`
	// TicketTTL is the lifetime of tickets that the server issues; 0 issues none.
	TicketTTL time.Duration `name:"ticket-ttl" group:"Access:" default:"0" placeholder:"TIME" requires:"ticket-secret,ticket-secret-file" help:"Lifetime of the ticket in the URL of an upload that a client with a token creates. 0 issues none."`
	// CORSCredentials permits web pages to send cookies.
	CORSCredentials bool `name:"cors-credentials" group:"Access:" help:"Let the pages of --cors-origin send cookies. Needs named origins, not *."`

	// LimitUploadsPerMinute limits the uploads that a principal creates per minute.
	LimitUploadsPerMinute int `name:"limit-uploads-per-minute" group:"Limits:" default:"0" placeholder:"NUMBER" help:"Uploads that one subject, or one address without authentication, may create per minute. 0 is no limit."`
	// LimitIncompleteUploads limits the incomplete uploads of a principal.
	LimitIncompleteUploads int `name:"limit-incomplete-uploads" group:"Limits:" default:"0" placeholder:"NUMBER" help:"Incomplete uploads that one subject or address may have at a time. 0 is no limit."`
	// LimitBytesPerDay limits the bytes that a principal sends per day.
	LimitBytesPerDay Size `name:"limit-bytes-per-day" group:"Limits:" default:"0" placeholder:"SIZE" help:"Bytes that one subject or address may send, or have concatenated, per day. 0 is no limit."`

	// LogFormat is "text" or "json".
	LogFormat string `name:"log-format" group:"Logging and life cycle:" default:"text" placeholder:"text|json" help:"Format of log lines, which go to standard error."`
	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string `name:"log-level" group:"Logging and life cycle:" default:"info" placeholder:"LEVEL" help:"Lowest level of log lines: debug, info, warn or error."`
	// ShutdownTimeout limits the duration of a shutdown.
	ShutdownTimeout time.Duration `name:"shutdown-timeout" group:"Logging and life cycle:" default:"30s" placeholder:"TIME" help:"How long a shutdown after SIGTERM or SIGINT may take. Requests get half of it to end by themselves; then uploads are cut off, what has arrived is stored, and their clients are asked to retry. A second signal ends the process at once."`
}

// Hooks reports whether any hook is sent.
func (c *Config) Hooks() bool { return c.HookURL != "" || len(c.HookURLOverride) > 0 }

// Default returns the configuration with every setting at its default.
func Default() Config {
	var c Config
	if err := kong.ApplyDefaults(&c, durations); err != nil {
		panic(err) // a default in the tags above is wrong
	}
	return c
}
