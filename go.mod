module github.com/holdfast-upload/holdfast

go 1.26

require golang.org/x/sync v0.22.0

require (
	github.com/rs/cors v1.11.1 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
