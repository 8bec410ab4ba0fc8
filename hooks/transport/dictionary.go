package transport

import "strings"

// dictionary parses a structured field dictionary (RFC 8941, section 3.2). Values are
// returned unparsed, without parameters; the last value of a repeated key wins. ok is
// false if value is not a dictionary.
func dictionary(value string) (members map[string]string, ok bool) {
	members = map[string]string{}
	if strings.Trim(value, " \t") == "" {
		return members, true
	}
	for _, member := range splitUnquoted(value, ',') {
		member = splitUnquoted(member, ';')[0]
		key, text, valued := strings.Cut(strings.Trim(member, " \t"), "=")
		if !isKey(key) || valued && text == "" {
			return nil, false
		}
		members[key] = text
	}
	return members, true
}

// isKey reports whether s is a valid dictionary key.
func isKey(s string) bool {
	return s != "" && strings.IndexByte("0123456789_-.", s[0]) < 0 &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-.*") == ""
}

// splitUnquoted splits s at a separator, but not within quoted strings.
func splitUnquoted(s string, separator byte) []string {
	var parts []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == separator:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}
