// Package netlab builds small networks of namespaces and veth pairs for the
// end-to-end tests and for the demonstration: a LAC, an LNS and a core router.
package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is one named network namespace.
type Namespace struct {
	Name   string
	handle netns.NsHandle
}

// newNamespace creates a namespace under /run/netns and brings its loopback up.
// The calling thread is back in its own namespace when it returns.
func newNamespace(name string) (*Namespace, error) {
	ns := &Namespace{Name: name}
	err := onLockedThread(func() error {
		handle, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("create network namespace %s: %w", name, err)
		}
		ns.handle = handle
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		return nil, err
	}
	return ns, nil
}

// Do runs f on a thread that is inside the namespace. Sockets and netlink
// handles that f opens stay in the namespace; goroutines that it starts do not.
func (n *Namespace) Do(f func() error) error {
	return onLockedThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.Name, err)
		}
		return f()
	})
}

// Start starts cmd inside the namespace. The mount namespace stays the caller's,
// so paths mean the same on both sides.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Output runs a command inside the namespace and returns what it printed on both
// streams; the error includes it.
func (n *Namespace) Output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out []byte
	err := n.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		return string(out), fmt.Errorf("%s: %s %v: %w\n%s", n.Name, name, args, err, out)
	}
	return string(out), nil
}

// Sysctl writes a value below /proc/sys, as seen from inside the namespace.
func (n *Namespace) Sysctl(path, value string) error {
	return n.Do(func() error { return os.WriteFile("/proc/sys/"+path, []byte(value), 0o644) })
}

// AddRoute routes prefix to gateway.
func (n *Namespace) AddRoute(prefix netip.Prefix, gateway netip.Addr) error {
	return n.Do(func() error {
		dst := net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
		if err := netlink.RouteAdd(&netlink.Route{Dst: &dst, Gw: gateway.AsSlice()}); err != nil {
			return fmt.Errorf("%s: route %s via %s: %w", n.Name, prefix, gateway, err)
		}
		return nil
	})
}

// SetLink brings an interface up or down.
func (n *Namespace) SetLink(name string, up bool) error {
	return n.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if up {
			return netlink.LinkSetUp(link)
		}
		return netlink.LinkSetDown(link)
	})
}

// awaitLink waits until an interface that was brought up works. The kernel gives it its
// queue later, when it gets to it, and drops until then what is sent: a busy one takes
// longer than ARP asks.
func (n *Namespace) awaitLink(name string) error {
	return Until(time.Minute, func() error {
		return n.Do(func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if s := link.Attrs().OperState; s != netlink.OperUp {
				return fmt.Errorf("%s: %s is %s", n.Name, name, s)
			}
			return nil
		})
	})
}

// close removes the namespace with everything in it.
func (n *Namespace) close() error {
	return errors.Join(n.handle.Close(), netns.DeleteNamed(n.Name))
}

// onLockedThread runs f on a thread of its own. The thread is given back to the
// scheduler only when it could return to the namespace it came from; otherwise
// the runtime ends it with its goroutine.
func onLockedThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		origin, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		defer origin.Close()
		err = f()
		if back := netns.Set(origin); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
