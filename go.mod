module github.com/holdfast-upload/holdfast

go 1.26

require golang.org/x/sync v0.22.0

require (
	github.com/alecthomas/kong v1.17.0 // indirect
	github.com/goccy/go-yaml v1.18.0 // indirect
	github.com/rs/cors v1.11.1 // indirect
	github.com/tus/tusd/v2 v2.9.2 // indirect
	golang.org/x/exp v0.0.0-20250106191152-7588d65b2ba8 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
