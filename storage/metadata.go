package storage

import "mime"

// Filename is the name that the client gave the file, "" if none: clients put it
// under "filename" or "name".
func (r Record) Filename() string {
	if name := r.Metadata["filename"]; name != "" {
		return name
	}
	return r.Metadata["name"]
}

// ContentType is the media type that the client gave the file, in its canonical
// form, or application/octet-stream.
func (r Record) ContentType() string {
	for _, key := range []string{"filetype", "type", "contentType"} {
		if typ, params, err := mime.ParseMediaType(r.Metadata[key]); err == nil {
			if clean := mime.FormatMediaType(typ, params); clean != "" {
				return clean
			}
		}
	}
	return "application/octet-stream"
}

// Disposition is a Content-Disposition (RFC 6266) that has the file saved, under
// its name if it has one, and never shown: whoever uploaded it must not run scripts
// where it is downloaded from.
func (r Record) Disposition() string {
	if name := r.Filename(); name != "" {
		if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
			return d
		}
	}
	return "attachment"
}
