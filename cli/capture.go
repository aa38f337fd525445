package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// capturer holds the flags of the capture commands.
type capturer struct {
	*app
	file    string
	count   int
	limit   time.Duration
	snap    uint16
	secrets bool
}

func (a *app) captureCommands() []command {
	x := &capturer{app: a}
	var all []command
	for _, t := range []struct {
		word, help string
		arg        arg
		set        func(*lnsv1.CaptureRequest, string)
	}{
		{"session", "a session", arg{"SID", false, sidKind()}, func(r *lnsv1.CaptureRequest, v string) { r.Sid = digits(v) }},
		{"user", "a user's sessions, those to come as well,", arg{"USER", false, userKind()}, func(r *lnsv1.CaptureRequest, v string) { r.User = v }},
		{"calling", "calls from a number, those to come as well,", arg{"NUMBER", false, textKind()}, func(r *lnsv1.CaptureRequest, v string) { r.Calling = v }},
		{"lac", "a LAC's tunnels and sessions, those to come as well,", arg{"ADDRESS", false, lacKind()}, func(r *lnsv1.CaptureRequest, v string) { r.Lac = v }},
	} {
		all = append(all, command{
			words: "capture " + t.word, arg: &t.arg, flags: x.flags, endless: true, host: true,
			help: "Capture the packets, PPP frames and control messages of " + t.help + " for Wireshark",
			run: func(ctx context.Context, v string) error {
				r := &lnsv1.CaptureRequest{Snap: uint32(x.snap), Secrets: x.secrets}
				t.set(r, v)
				return x.capture(ctx, r)
			},
		})
	}
	return all
}

func (x *capturer) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&x.file, "write", "w", "", "the pcapng `FILE` to make, or - for standard output")
	f.IntVar(&x.count, "count", 0, "end after so many packets; 0 never")
	f.DurationVar(&x.limit, "for", 0, "end after so long, such as 10m; 0 when interrupted")
	f.Uint16Var(&x.snap, "snap", 0, "bytes of each packet at most; 0 as many as can be")
	f.BoolVar(&x.secrets, "secrets", false, "leave passwords in; takes the role admin")
}

func (x *capturer) capture(ctx context.Context, r *lnsv1.CaptureRequest) (err error) {
	switch {
	case x.file == "":
		return usageError{errors.New("capture needs -w FILE, or -w - for standard output")}
	case x.count < 0 || x.limit < 0:
		return usageError{errors.New("--count and --for take no negative numbers")}
	}
	out := x.env.Out
	if x.file != "-" {
		// What subscribers do is in it.
		f, err := os.OpenFile(x.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = joinErr(err, f.Close()) }()
		out = f
	}
	until, begun, cancel := x.bounded(ctx)
	defer cancel(nil)
	var packets int
	var dropped uint64
	over := false // the session has ended
	err = x.callFor(until, 0, func(ctx context.Context, c *api.Client) error {
		stream, err := c.Capture(ctx, r)
		if err != nil {
			return err
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) && r.Sid != 0 {
				over = true
				return errLastEvent
			}
			if errors.Is(err, io.EOF) {
				return errStreamEnded
			}
			if err != nil {
				return err
			}
			begun()
			data, n := firstPackets(reply.Data, x.count-packets)
			if x.count == 0 {
				data = reply.Data
			}
			if _, err := out.Write(data); err != nil {
				return err
			}
			if err := x.flush(); err != nil {
				return err
			}
			packets, dropped = packets+n, reply.Dropped
			if x.count == 0 {
				packets = int(reply.Packets)
			} else if packets >= x.count {
				return errLastEvent
			}
		}
	})
	if cause := context.Cause(until); errors.Is(cause, errNoCapture) {
		return &callError{err: cause}
	}
	if err == nil || errors.Is(err, errLastEvent) || until.Err() != nil {
		if over {
			fmt.Fprintln(x.env.Err, "lnsctl: the session has ended")
		}
		fmt.Fprintf(x.env.Err, "lnsctl: %d packets captured, %d dropped\n", packets, dropped)
		return nil
	}
	return err
}

// errNoCapture is a daemon that did not begin to capture.
var errNoCapture = status.Error(codes.DeadlineExceeded, "the capture did not begin")

// bounded returns a context that ends --for after begun was first called: what is asked
// for is so much of the capture, not of the way to it. When begun is not called at all it
// ends that much later than any other call would.
//
// It has no deadline, because gRPC would tell the daemon, whose clock may be the first to
// end the stream, which then looks like a daemon that did not answer.
func (x *capturer) bounded(ctx context.Context) (_ context.Context, begun func(), cancel context.CancelCauseFunc) {
	ctx, cancel = context.WithCancelCause(ctx)
	if x.limit == 0 {
		return ctx, func() {}, cancel
	}
	stopWaiting := func() bool { return true }
	if x.timeout > 0 {
		stopWaiting = time.AfterFunc(x.limit+x.timeout, func() { cancel(errNoCapture) }).Stop
	}
	once := sync.OnceFunc(func() {
		if !stopWaiting() {
			return
		}
		end := time.AfterFunc(x.limit, func() { cancel(nil) })
		context.AfterFunc(ctx, func() { end.Stop() })
	})
	return ctx, once, cancel
}

// firstPackets returns pcapng blocks up to the one with the most-th packet, and how many
// packets they hold.
func firstPackets(blocks []byte, most int) (first []byte, n int) {
	const enhancedPacket, least = 6, 12
	at := 0
	for n < most && at+least <= len(blocks) {
		size := int(binary.LittleEndian.Uint32(blocks[at+4:]))
		if size < least || at+size > len(blocks) {
			break
		}
		if binary.LittleEndian.Uint32(blocks[at:]) == enhancedPacket {
			n++
		}
		at += size
	}
	return blocks[:at], n
}
