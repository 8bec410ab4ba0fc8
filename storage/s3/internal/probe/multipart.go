package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// fileName is the object that multipart uploads create.
const fileName = "multipart"

// multiparts checks multipart uploads: first one from its begin to its completion, then one
// under the same key, which must not replace the first.
func (p *prober) multiparts(ctx context.Context) error {
	sums, err := p.checksums(ctx)
	if err != nil || p.failed() {
		return err
	}
	p.mu.Lock()
	p.report.Can.Sums = sums
	p.mu.Unlock()
	return p.second(ctx, p.client.WithSums(sums))
}

// checksums finds the checksums with which S3 takes a multipart upload and verifies its parts.
func (p *prober) checksums(ctx context.Context) (api.Sums, error) {
	if p.opts.ChecksumsBy == Unwanted {
		_, err := p.first(ctx, api.SumsOff)
		return api.SumsOff, p.refused(checkMultipart, "take a multipart upload", "s3:PutObject", err)
	}
	why := ""
	for _, sums := range []api.Sums{api.SumsWhole, api.SumsOfParts} {
		verified, err := p.first(ctx, sums)
		switch {
		case err == nil && verified:
			p.addChecksums(sums, why)
			return sums, nil
		case err == nil:
			p.addChecksums(api.SumsOff, "S3 does not verify the CRC32C of a part")
			return api.SumsOff, nil
		case !api.Refused(err) || api.Status(err) == http.StatusForbidden:
			return sums, p.refused(checkMultipart, "take a multipart upload", "s3:PutObject", err)
		}
		why = fmt.Sprintf("S3 does not take a CRC32C %s (%s)", sums, reason(err))
	}
	_, err := p.first(ctx, api.SumsOff)
	if err != nil {
		return api.SumsOff, p.refused(checkMultipart, "take a multipart upload", "s3:PutObject", err)
	}
	p.addChecksums(api.SumsOff, why)
	return api.SumsOff, nil
}

// addChecksums adds the result that S3 verifies certain checksums, and why not more.
func (p *prober) addChecksums(sums api.Sums, why string) {
	switch {
	case sums == api.SumsWhole:
		p.add(checkChecksums, Works, "")
	case p.opts.ChecksumsBy == Required:
		p.add(checkChecksums, Fails, why+": --s3-checksums crc32c demands that; with auto holdfast goes without")
	case sums == api.SumsOfParts:
		p.add(checkChecksums, Limited, why+": the checksums of parts are verified, that of a whole file of several parts is not")
	default:
		p.add(checkChecksums, Limited, why+": a file that is damaged on its way to S3 is not noticed, unless by TLS")
	}
}

// first makes a multipart upload with the given checksums, and a put. It reports whether S3
// refuses a part with a wrong checksum. An error that is a refusal is about one of these
// requests; the multipart upload is aborted then.
func (p *prober) first(ctx context.Context, sums api.Sums) (verified bool, err error) {
	client, key := p.client.WithSums(sums), p.key(fileName)
	if err := client.Put(ctx, p.plain("summed")); err != nil {
		return false, err
	}
	id, err := client.Begin(ctx, api.Object{Key: key, Class: p.opts.Class})
	if err != nil {
		return false, err
	}
	verified, err = p.firstParts(ctx, client, key, id)
	if err != nil {
		err = errors.Join(err, client.Abort(ctx, key, id))
	}
	return verified, err
}

func (p *prober) firstParts(ctx context.Context, client *api.Client, key, id string) (verified bool, err error) {
	if client.Can.Sums != api.SumsOff {
		_, err := client.PutPart(ctx, key, id, 1, reader(10), 10, crc32c.Of([]byte("something else")))
		if err != nil && !api.Refused(err) {
			return false, err
		}
		verified = err != nil
	}
	part, err := p.putPart(ctx, client, key, id, 1, 10)
	if err != nil {
		return verified, err
	}
	err = client.Complete(ctx, key, id, []api.Part{part})
	if !api.Refused(err) || errors.Is(err, api.ErrTaken) {
		return verified, err
	}
	other := *client
	other.Can.CompleteIfAbsent = false
	if retryErr := other.Complete(ctx, key, id, []api.Part{part}); retryErr != nil {
		return verified, err
	}
	p.unconditionalCompletion(fmt.Sprintf("S3 refuses If-None-Match when a multipart upload is completed (%s)", reason(err)))
	return verified, nil
}

func (p *prober) unconditionalCompletion(what string) {
	p.lacks(checkCompletion, what+": "+p.decider(), func(can *api.Abilities) { can.CompleteIfAbsent = false })
}

// putPart stores a part of n bytes.
func (p *prober) putPart(ctx context.Context, client *api.Client, key, id string, number int32, n int) (api.Part, error) {
	content := reader(n)
	return client.PutPart(ctx, key, id, number, content, int64(n), crc32c.Of(bytes.Repeat([]byte{'x'}, n)))
}

// second makes a multipart upload whose parts arrive in another order than theirs, lists it
// and its parts, tries to complete it under a key that exists, and aborts it.
func (p *prober) second(ctx context.Context, client *api.Client) error {
	key := p.key(fileName)
	id, err := client.Begin(ctx, api.Object{Key: key, Class: p.opts.Class})
	if err != nil {
		return err
	}
	err = p.secondParts(ctx, client, key, id)
	abortErr := client.Abort(ctx, key, id)
	if err == nil && abortErr == nil && !p.failed() {
		err = p.listNone(ctx)
	}
	if abortErr == nil {
		p.add(checkMultipart, Works, "")
	}
	return errors.Join(err, p.refused(checkMultipart, "abort a multipart upload", "s3:AbortMultipartUpload", abortErr))
}

func (p *prober) secondParts(ctx context.Context, client *api.Client, key, id string) error {
	var parts []api.Part
	for _, number := range []int32{3, 1} {
		part, err := p.putPart(ctx, client, key, id, number, 10*int(number))
		if err != nil {
			return p.refused(checkOrder, "store the parts of a file in any order", "s3:PutObject", err)
		}
		parts = append(parts, part)
	}
	copied, err := p.copyPart(ctx, key, id)
	if err != nil {
		return err
	}
	if err := p.listParts(ctx, client, key, id, copied); err != nil {
		return p.refused(checkOrder, "list the parts of a multipart upload", "s3:ListMultipartUploadParts", err)
	}
	if err := p.listOne(ctx, key, id); err != nil {
		return err
	}
	return p.completeTwice(ctx, client, key, id, parts[1:])
}

// copyPart copies some bytes of an object to part 2, and returns how many, 0 if S3 refuses.
func (p *prober) copyPart(ctx context.Context, key, id string) (n int64, err error) {
	_, err = p.client.CopyPart(ctx, key, id, 2, p.base+"object", 1, 5)
	switch {
	case err == nil:
		return 5, nil
	case api.Refused(err) && api.Code(err) == "InvalidRequest":
		return 0, nil // Amazon S3 copies ranges only of objects of more than 5 MiB
	case api.Refused(err):
		p.noCopies(fmt.Sprintf("S3 refuses to copy a range of an object to a part (%s)", reason(err)))
		return 0, nil
	}
	return 0, err
}

func (p *prober) noCopies(what string) {
	p.lacks(checkCopy, what+": holdfast itself reads and writes what is concatenated", func(can *api.Abilities) { can.Copy = false })
}

// listParts checks that the stored parts are listed with their sizes.
func (p *prober) listParts(ctx context.Context, client *api.Client, key, id string, copied int64) error {
	sizes := map[int32]int64{}
	for part, err := range client.Parts(ctx, key, id) {
		if errors.Is(err, api.ErrRecreated) {
			continue
		}
		if err != nil {
			return err
		}
		sizes[part.Number] = part.Size
	}
	if sizes[1] != 10 || sizes[3] != 30 {
		p.add(checkOrder, Fails, fmt.Sprintf("S3 lists the parts of a multipart upload as %v, not those that it has stored: holdfast can't work with that", sizes))
		return nil
	}
	p.add(checkOrder, Works, "")
	switch {
	case copied > 0 && sizes[2] != copied:
		p.noCopies(fmt.Sprintf("S3 copied %d bytes to a part in place of %d", sizes[2], copied))
	case copied > 0:
		p.add(checkCopy, Works, "")
	}
	return nil
}

// listOne checks that a multipart upload is listed.
func (p *prober) listOne(ctx context.Context, key, id string) error {
	for m, err := range p.client.Multiparts(ctx, p.base) {
		if api.Refused(err) {
			p.noMultiparts(fmt.Sprintf("S3 refuses to list multipart uploads (%s; the permission is s3:ListBucketMultipartUploads on the bucket)", reason(err)))
			return nil
		}
		if err != nil {
			return err
		}
		if m.Key == key && m.UploadID == id {
			return nil
		}
	}
	p.noMultiparts("S3 does not list a multipart upload that it has begun")
	return nil
}

func (p *prober) noMultiparts(what string) {
	p.lacks(checkMultiparts, what+": those that a crash leaves behind are not removed; have a lifecycle rule abort them, later than --expire-after",
		func(can *api.Abilities) { can.ListMultiparts = false })
}

// listNone checks that S3 also responds when there is no multipart upload.
func (p *prober) listNone(ctx context.Context) error {
	p.mu.Lock()
	can := p.report.Can.ListMultiparts
	p.mu.Unlock()
	if !can {
		return nil
	}
	for _, err := range p.client.Multiparts(ctx, p.base) {
		if err != nil {
			return err
		}
	}
	p.add(checkMultiparts, Works, "")
	return nil
}

// completeTwice tries to complete a multipart upload under a key that exists.
func (p *prober) completeTwice(ctx context.Context, client *api.Client, key, id string, parts []api.Part) error {
	p.mu.Lock()
	can := p.report.Can.CompleteIfAbsent
	p.mu.Unlock()
	if !can {
		return nil
	}
	switch err := client.Complete(ctx, key, id, parts); {
	case errors.Is(err, api.ErrTaken):
		p.add(checkCompletion, Works, "")
		return nil
	case err != nil && !api.Refused(err):
		return err
	}
	p.unconditionalCompletion("S3 ignores If-None-Match when a multipart upload is completed")
	return nil
}
