// SPDX-License-Identifier: Apache-2.0

// Porcupine beside ours: judges register histories, etcd logs and TYPE PROCESS
// FUNCTION VALUE lines (tests/bench/peer/run-porcupine builds it), and prints
//
//	FILE VERDICT CPU_MILLISECONDS
//
// a line a file, and at the end the peak memory of the process.
package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

const unset = -1 << 31

type input struct {
	f        byte // r, w, c
	from, to int
}

type output struct {
	ok, open bool
	value    int
}

var model = porcupine.Model{
	Init: func() interface{} { return unset },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		s, i, o := state.(int), in.(input), out.(output)
		switch i.f {
		case 'r':
			return o.open || o.value == s, s
		case 'w':
			return true, i.to
		}
		if s == i.from {
			return o.ok || o.open, i.to
		}
		return !o.ok || o.open, s
	},
	Equal: func(a, b interface{}) bool { return a == b },
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return unset
	}
	return n
}

var numbers = regexp.MustCompile(`-?\d+|nil`)

func parse(f, value string) input {
	words := numbers.FindAllString(value, 2)
	switch {
	case f == "read":
		return input{'r', 0, 0}
	case f == "write":
		return input{'w', 0, number(words[0])}
	}
	return input{'c', number(words[0]), number(words[1])}
}

var etcd = regexp.MustCompile(`^INFO +jepsen\.util - (\d+)\t:(\w+)\t:(\w+)\t(.*)$`)

// Type, process, function, value; nil: the line is none of a client's.
func split(line string) []string {
	if m := etcd.FindStringSubmatch(line); m != nil {
		return []string{m[2], m[1], m[3], m[4]}
	}
	if words := strings.Split(line, "\t"); len(words) == 4 {
		return words
	}
	return nil
}

func read(path string) []porcupine.Event {
	var events []porcupine.Event
	var in io.Reader
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	in = file
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			panic(err)
		}
	}
	open := map[string]int{}
	reads := map[int]bool{}
	next := 0
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		w := split(lines.Text())
		if w == nil {
			continue
		}
		process := w[1]
		if w[0] == "invoke" {
			i := parse(w[2], w[3])
			events = append(events, porcupine.Event{Kind: porcupine.CallEvent, Value: i, Id: next})
			open[process] = next
			reads[next] = i.f == 'r'
			next++
			continue
		}
		id, found := open[process]
		if !found {
			continue
		}
		o := output{ok: w[0] == "ok"}
		if w[0] == "info" || w[0] == "fail" && reads[id] {
			o.open = true
			if w[0] == "info" {
				continue // it returns at the end
			}
		} else if reads[id] {
			o.value = number(w[3])
		}
		delete(open, process)
		events = append(events, porcupine.Event{Kind: porcupine.ReturnEvent, Value: o, Id: id})
	}
	for _, id := range open {
		events = append(events, porcupine.Event{Kind: porcupine.ReturnEvent, Value: output{open: true}, Id: id})
	}
	return events
}

func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	limit, err := time.ParseDuration(os.Args[1])
	if err != nil {
		panic(err)
	}
	for _, path := range os.Args[2:] {
		events := read(path)
		began := cpu()
		verdict := porcupine.CheckEventsTimeout(model, events, limit)
		fmt.Printf("%s %s %.3f\n", path, verdict, float64(cpu()-began)/1e6)
	}
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	fmt.Printf("peak_rss_kib %d\n", usage.Maxrss)
}
