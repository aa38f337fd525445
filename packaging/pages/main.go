// Pages writes the manual pages: those of the programs from what they say of
// themselves, that of the startup-config from the tables that its parser works by.
//
//	pages -bin bin -out build/man -version 1.2.3
package main

import (
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the built programs")
	out := flag.String("out", ".", "directory to write to")
	version := flag.String("version", "unknown", "version to print in the footers")
	flag.Parse()
	if err := run(*bin, *out, *version); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

// page is one manual page.
type page struct {
	name    string
	section int
	title   string // of the section of the manual
	body    func() (string, error)
}

func run(bin, out, version string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, p := range pages(bin) {
		body, err := p.body()
		if err != nil {
			return fmt.Errorf("%s(%d): %w", p.name, p.section, err)
		}
		// No date: the same sources shall make the same package.
		head := fmt.Sprintf("%% %q \"%d\" \"\" \"lnsd %s\" %q\n\n", p.name, p.section, version, p.title)
		file := filepath.Join(out, fmt.Sprintf("%s.%d.gz", p.name, p.section))
		if err := write(file, md2man.Render([]byte(head+body))); err != nil {
			return err
		}
	}
	return nil
}

func write(name string, page []byte) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(page); err != nil {
		return err
	}
	return z.Close()
}
