package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with or without a unit: 1048576, 500MB, 2GiB. KB, MB,
// GB and TB are powers of 1000; KiB, MiB, GiB and TiB are powers of 1024. Case does not
// matter.
type Size int64

var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	whole := strings.ToLower(strings.TrimSpace(string(text)))
	unit := strings.TrimLeft(whole, "0123456789")
	digits := strings.TrimSuffix(whole, unit)
	times, known := sizeUnits[strings.TrimSpace(unit)]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !known || digits == "" || err != nil || n > math.MaxInt64/times {
		return fmt.Errorf("%q is not a size: a whole number of bytes, alone or with one of "+
			"KB, MB, GB, TB, KiB, MiB, GiB, TiB, such as 2GiB", text)
	}
	*s = Size(n * times)
	return nil
}
