package session

import "time"

// Histogram is how often durations fell between bounds, for metrics. It only grows.
type Histogram struct {
	// Name is lower case with underscores; Label and Value tell the histograms of one
	// name apart, and are empty when there is one.
	Name, Label, Value string
	// Bounds are upper bounds, inclusive, ascending; Counts has one more, for what is
	// above the last, and is not cumulative.
	Bounds []time.Duration
	Counts []uint64
	Sum    time.Duration
}
