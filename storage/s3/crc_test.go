package s3

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func sumOf(b []byte) checksum { return checksum(crc32.Checksum(b, castagnoli)) }

func TestJoinedChecksumsAreTheChecksumOfTheWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	for _, at := range []int{0, 1, 7, 65_536, 299_999, 300_000} {
		left, right := data[:at], data[at:]
		if got := sumOf(left).join(sumOf(right), int64(len(right))); got != sumOf(data) {
			t.Errorf("cut at %d: %08x, want %08x", at, got, sumOf(data))
		}
	}
}

func TestChecksumIsWrittenAsS3WritesIt(t *testing.T) {
	// RFC 3720, B.4: the CRC32C of 32 bytes of zeroes is 0x8a9136aa.
	sum := sumOf(make([]byte, 32))
	if sum.String() != "ipE2qg==" {
		t.Errorf("%s", sum)
	}
	if back, ok := parseChecksum(sum.String()); !ok || back != sum {
		t.Errorf("%08x came back", back)
	}
	for _, bad := range []string{"", "ipE2", "!pE2qg==", "ipE2qgAA"} {
		if _, ok := parseChecksum(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}
