package lac

import (
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
)

// BenchmarkSetup sets b.N sessions up and tears them down, against an LNS in the
// same process: the rates of both together.
func BenchmarkSetup(b *testing.B) {
	lns := startFake(b, fakeConfig{})
	b.ResetTimer()
	report, err := Run(b.Context(), Config{
		LNS: lns.addr, Auth: ppp.CHAPMD5, Tunnels: 32, Sessions: b.N, Workers: 1, Timeout: time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	if !report.OK() {
		b.Fatalf("failures: %+v", report.Failures)
	}
	b.ReportMetric(report.Setup.Rate, "sessions/s")
	report.WriteText(b.Output())
}

func BenchmarkProbe(b *testing.B) {
	e := exampleEndpoint(512)
	e.hops = -1
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	b.SetBytes(int64(e.size))
	for i := range b.N {
		p := e.appendProbe(buf[:0], uint64(i), time.Second)
		if _, f := e.check(p); f == faultForeign {
			b.Fatal("not recognised")
		}
	}
}

func exampleEndpoint(size int) endpoint {
	return endpoint{
		run: 0x0123456789abcdef, session: 42,
		local: [4]byte{10, 64, 1, 2}, remote: [4]byte{192, 0, 2, 7},
		localPort: 10240, remotePort: 7007,
		size: size, hops: 1, verify: true,
	}
}
