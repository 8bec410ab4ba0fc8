package probe

import (
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// sentence says that S3 refuses an action, why, and what to do about that.
func (p *prober) sentence(action, permission string, err error) string {
	return fmt.Sprintf("S3 refuses to %s (%s): %s", action, reason(err), p.advice(permission, err))
}

// reason is how S3 names the cause of err.
func reason(err error) string {
	if code := api.Code(err); code != "" {
		return code
	}
	return http.StatusText(api.Status(err))
}

func (p *prober) advice(permission string, err error) string {
	switch code := api.Code(err); {
	case api.Status(err) == http.StatusForbidden && p.opts.Encrypted && permission == "s3:PutObject":
		return "the credentials need " + permission + ", and kms:GenerateDataKey and kms:Decrypt on --s3-encryption-key"
	case api.Status(err) == http.StatusForbidden:
		return "the credentials need " + permission
	case code == "InvalidStorageClass", p.opts.Class != "" && permission == "s3:PutObject":
		return fmt.Sprintf("if it does not know --s3-storage-class %s, give another or none", p.opts.Class)
	default:
		return "holdfast can't work without that; docs/s3.md lists the servers that it works with"
	}
}
