package commands

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/holdfast-upload/holdfast/client"
)

// bars shows a bar for each transfer that runs, and one for all if there are several.
type bars struct {
	std   IO
	out   *mpb.Progress
	total *mpb.Bar // nil for one transfer
	begun time.Time
	size  atomic.Int64 // of all transfers that have begun
	now   atomic.Int64 // bytes of all
}

func newBars(n int, std IO) *bars {
	b := &bars{std: std, begun: time.Now(), out: mpb.New(mpb.WithOutput(std.Stderr), mpb.WithWidth(100), mpb.WithRefreshRate(200*time.Millisecond))}
	if n > 1 {
		b.total = b.out.AddBar(0, mpb.BarPriority(1<<30), mpb.PrependDecorators(decor.Name("total", decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
				rate := float64(b.now.Load()) / max(time.Since(b.begun).Seconds(), 0.1)
				return fmt.Sprintf("%s of %s, %s/s", formatBytes(b.now.Load()), formatBytes(b.size.Load()), formatBytes(int64(rate)))
			})))
	}
	return b
}

func (b *bars) start(name string, size int64) view {
	v := &barView{bars: b, name: name, begun: time.Now()}
	v.text.Store(new(string))
	v.bar = b.out.AddBar(max(size, 0), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(shorten(name, 30), decor.WCSyncSpaceR), decor.Percentage(decor.WC{W: 5})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *v.text.Load() })))
	if size > 0 {
		b.size.Add(size)
		b.update()
	}
	return v
}

func (b *bars) update() {
	if b.total != nil {
		b.total.SetTotal(max(b.size.Load(), 1), false)
		b.total.SetCurrent(min(b.now.Load(), b.size.Load()-1)) // complete only at the end
	}
}

func (b *bars) close() {
	if b.total != nil {
		b.total.Abort(false)
	}
	b.out.Wait()
}

// barView is the bar of one transfer. What was there before is drawn in another style.
type barView struct {
	bars  *bars
	bar   *mpb.Bar
	name  string
	begun time.Time
	text  atomic.Pointer[string]
	last  int64
}

func (v *barView) progress(p client.Progress) {
	text := progressText(p, time.Since(v.begun))
	if p.Err != nil {
		text = fmt.Sprintf("waiting %v: %v", p.RetryIn.Round(100*time.Millisecond), p.Err)
	}
	v.text.Store(&text)
	now := p.Stored + p.InFlight
	if p.Size >= 0 {
		v.bar.SetTotal(max(p.Size, 1), false)
		now = min(now, p.Size-1) // the bar is complete once the file is verified
	}
	v.bar.SetRefill(p.Resumed)
	v.bar.SetCurrent(max(now, 0))
	v.bars.now.Add(now - v.last)
	v.last = now
	v.bars.update()
}

func (v *barView) end(r client.Result, err error) {
	v.bar.Abort(true)
	v.bar.Wait()
	if err == nil {
		fmt.Fprintln(v.bars.out, resultText(v.name, r))
	}
}

// shorten returns the end of a name that is too long for a bar.
func shorten(name string, n int) string {
	runes := []rune(name)
	if len(runes) <= n {
		return name
	}
	return "…" + string(runes[len(runes)-n+1:])
}
