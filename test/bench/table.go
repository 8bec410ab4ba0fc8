package main

import (
	"fmt"
	"io"
	"slices"
)

// print writes the medians, and after each how many times that of tusd it is.
func (b *bench) print(w io.Writer) {
	columns := []struct {
		title string
		value func(usage) float64
		form  string
	}{
		{"MiB/s", usage.mibPerSecond, "%.0f"},
		{"CPU s/GiB", usage.cpuPerGiB, "%.2f"},
		{"peak MiB", usage.peakMiB, "%.0f"},
	}
	fmt.Fprintf(w, "Medians of %d runs; in parentheses the ratio to tusd.\n\n| work | server |", b.runs)
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.title)
	}
	fmt.Fprint(w, "\n|---|---|---:|---:|---:|\n")
	for _, work := range works {
		for _, contender := range contenders {
			fmt.Fprintf(w, "| %s | %s |", work.name, contender.name)
			for _, c := range columns {
				have := median(b.results[key{work.name, contender.name}], c.value)
				fmt.Fprintf(w, " "+c.form, have)
				if contender.name != peer {
					fmt.Fprintf(w, " (%.2f)", have/median(b.results[key{work.name, peer}], c.value))
				}
				fmt.Fprint(w, " |")
			}
			fmt.Fprintln(w)
		}
	}
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
