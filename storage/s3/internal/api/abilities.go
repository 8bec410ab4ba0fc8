package api

import (
	"errors"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Abilities are what a server can do, of that which not every S3 server can.
type Abilities struct {
	Sums             Sums // which checksums it verifies
	PutIfAbsent      bool // honors If-None-Match on a put, also of several at once
	CompleteIfAbsent bool // honors If-None-Match when it completes a multipart upload
	BatchDelete      bool // deletes many objects with one request
	ListMultiparts   bool // lists multipart uploads
	Copy             bool // copies ranges of objects to parts
}

// AllAbilities are those of Amazon S3.
var AllAbilities = Abilities{Sums: SumsWhole, PutIfAbsent: true, CompleteIfAbsent: true, BatchDelete: true, ListMultiparts: true, Copy: true}

// Sums says which CRC32C checksums are sent, for S3 to verify.
type Sums int

const (
	SumsOff     Sums = iota // none
	SumsOfParts             // of each object and part (COMPOSITE)
	SumsWhole               // also of the whole file of a multipart upload (FULL_OBJECT)
)

// String implements fmt.Stringer.
func (s Sums) String() string {
	return [...]string{"off", "of parts", "of parts and of the whole file"}[s]
}

// WithSums returns a client that sends other checksums. Those of a multipart upload are
// decided when it begins: all of its requests must agree.
func (c *Client) WithSums(sums Sums) *Client {
	if c.Can.Sums == sums {
		return c
	}
	other := *c
	other.Can.Sums = sums
	return &other
}

// Refused reports whether err is a response that says that the request, as it was, is not
// accepted. Sending it again would not help.
func Refused(err error) bool {
	status := Status(err)
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500 || status == http.StatusNotImplemented
}

// Status returns the HTTP status of the response that err is about, or 0 if there was none.
func Status(err error) int {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return 0
	}
	return response.HTTPStatusCode()
}

// Code returns the error code in the response that err is about, such as AccessDenied, or ""
// if it has none.
func Code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) || Status(err) == 0 {
		return ""
	}
	return api.ErrorCode()
}
