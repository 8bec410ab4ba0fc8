package crc32c

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

func TestJoinedChecksumsAreTheChecksumOfTheWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	for _, at := range []int{0, 1, 7, 65_536, 299_999, 300_000} {
		left, right := data[:at], data[at:]
		if got := Of(left).Join(Of(right), int64(len(right))); got != Of(data) {
			t.Errorf("cut at %d: %08x, want %08x", at, got, Of(data))
		}
		if got := Of(left).Append(right); got != Of(data) {
			t.Errorf("appended at %d: %08x, want %08x", at, got, Of(data))
		}
	}
}

func TestChecksumHasTheFormatOfS3(t *testing.T) {
	// RFC 3720, B.4: the CRC32C of 32 bytes of zeroes is 0x8a9136aa.
	sum := Of(make([]byte, 32))
	if sum.String() != "ipE2qg==" {
		t.Errorf("%s", sum)
	}
	if back, ok := Parse(sum.String()); !ok || back != sum {
		t.Errorf("%08x came back", back)
	}
	for _, bad := range []string{"", "ipE2", "!pE2qg==", "ipE2qgAA"} {
		if _, ok := Parse(bad); ok {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestChecksumIsTheSameTextInJSON(t *testing.T) {
	text, err := json.Marshal(map[string]any{"sum": Of(make([]byte, 32))})
	if err != nil || string(text) != `{"sum":"ipE2qg=="}` {
		t.Fatalf("%s, %v", text, err)
	}
	var back struct{ Sum *Sum }
	if err := json.Unmarshal(text, &back); err != nil || back.Sum == nil || back.Sum.String() != "ipE2qg==" {
		t.Errorf("%v, %v", back.Sum, err)
	}
	if err := json.Unmarshal([]byte(`{"sum":"nonsense"}`), &back); err == nil {
		t.Error("nonsense was accepted")
	}
}
