//go:build !unix

package s3

func newSlab(size int) []byte { return make([]byte, size) }
