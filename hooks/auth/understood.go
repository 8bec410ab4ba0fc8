package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// understood reports whether a token asks for no extension (header "crit", RFC 7515, section
// 4.1.11), and its times are numbers (RFC 7519, section 2, NumericDate). The library checks
// neither: it takes text with a number for a time.
func understood(t *jwt.Token) bool {
	if _, critical := t.Header["crit"]; critical {
		return false
	}
	_, rest, _ := strings.Cut(t.Raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return false
	}
	var times struct {
		Exp any `json:"exp"`
		Nbf any `json:"nbf"`
		Iat any `json:"iat"`
	}
	if json.Unmarshal(text, &times) != nil {
		return false
	}
	return isTime(times.Exp) && isTime(times.Nbf) && isTime(times.Iat)
}

func isTime(v any) bool {
	_, isNumber := v.(float64)
	return isNumber || v == nil
}
