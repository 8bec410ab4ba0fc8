package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// column is what the table shows of each cell.
type column struct {
	title string
	value func(key) float64
	form  string
}

func (b *bench) columns() []column {
	middle := func(value func(usage) float64) func(key) float64 {
		return func(k key) float64 { return median(b.results[k], value) }
	}
	rest := []column{{"CPU s/GiB", middle(usage.cpuPerGiB), "%.2f"}, {"peak MiB", middle(usage.peakMiB), "%.0f"}}
	if !b.onS3 {
		return append([]column{{"MiB/s", middle(usage.mibPerSecond), "%.0f"}}, rest...)
	}
	requests := func(k key) float64 { return float64(b.requests[k]) }
	return append([]column{{"seconds", middle(usage.seconds), "%.1f"}}, append(rest, column{"S3 requests", requests, "%.0f"})...)
}

// print writes the medians, and after each how many times that of tusd it is.
func (b *bench) print(w io.Writer) {
	columns := b.columns()
	fmt.Fprintf(w, "Medians of %d runs; in parentheses the ratio to tusd.\n\n| work | server |", b.runs)
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.title)
	}
	fmt.Fprint(w, "\n|---|---|", strings.Repeat("---:|", len(columns)), "\n")
	for _, work := range b.works() {
		for _, contender := range b.contenders(work) {
			b.printRow(w, work, contender, columns)
		}
	}
}

func (b *bench) printRow(w io.Writer, work work, c contender, columns []column) {
	fmt.Fprintf(w, "| %s | %s |", work.name, c.name)
	for _, col := range columns {
		have := col.value(key{work.name, c.name})
		fmt.Fprintf(w, " "+col.form, have)
		beside := key{cmp.Or(work.beside, work.name), peer}
		if _, measured := b.results[beside]; measured && c.name != peer {
			fmt.Fprintf(w, " (%.2f)", have/col.value(beside))
		}
		fmt.Fprint(w, " |")
	}
	fmt.Fprintln(w)
}

func median(all []usage, value func(usage) float64) float64 {
	values := make([]float64, len(all))
	for i, u := range all {
		values[i] = value(u)
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
