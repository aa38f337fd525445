package maps

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/acl"
)

// filterOf reads rules as startup-config has them; "ip" stands for both families in
// rules that name no address.
func filterOf(name string, rules ...string) Filter {
	f := Filter{Name: name}
	for _, family := range []acl.Family{acl.IPv4, acl.IPv6} {
		l := acl.List{Family: family, Kind: acl.Extended}
		for _, text := range rules {
			if family == acl.IPv6 {
				text = strings.Replace(text, " ip ", " ipv6 ", 1)
			}
			r, err := l.Rule(strings.Fields(text))
			if err != nil {
				continue // of the other family
			}
			if family == acl.IPv6 {
				f.Rules6 = append(f.Rules6, ruleOf(r))
			} else {
				f.Rules = append(f.Rules, ruleOf(r))
			}
		}
	}
	return f
}

func ruleOf(r acl.Rule) Rule {
	return Rule{
		Permit: r.Permit, Protocol: r.Protocol, Fragments: r.Fragments,
		Source: r.Source.Address, SourceMask: r.Source.Mask,
		Destination: r.Destination.Address, DestinationMask: r.Destination.Mask,
		SourcePorts:      PortRange{r.SourcePorts.Given, r.SourcePorts.Not, r.SourcePorts.Low, r.SourcePorts.High},
		DestinationPorts: PortRange{r.DestinationPorts.Given, r.DestinationPorts.Not, r.DestinationPorts.Low, r.DestinationPorts.High},
		AnySet:           r.TCP.AnySet, AnyClear: r.TCP.AnyClear, AllSet: r.TCP.AllSet, AllClear: r.TCP.AllClear,
	}
}

// filtered installs the subscriber's session with access lists.
func filtered(up, down string) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		s := session6()
		s.FilterUp, s.FilterDown = up, down
		w.install(t, s)
	}
}

func filterCases() []testCase {
	across, answer := toAnother(header{}, 100), toSubscriber(90)
	out6, in6 := udp6(sub6, server6, 40), udp6(server6, sub6, 40)
	denied := func(slot int, dir string) []string { return dropped(slot, dir, CausePolicy) }
	return []testCase{
		{name: "what a list denies upwards is dropped", in: uplinkFrame(inner), reason: "drop_filter",
			slot: denied(7, "up"), with: filtered("none", "")},
		{name: "and downwards", dev: "core0", in: downlinkFrame(answer), reason: "drop_filter",
			slot: denied(7, "down"), with: filtered("", "none")},
		{name: "the other direction is not judged", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: filtered("", "none")},
		{name: "what it permits is sent", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: filtered("udp", "none")},
		{name: "IPv6 is judged alike", in: uplink6Frame(out6), reason: "sent_up", out: toCore6(out6),
			slot: counted6(7, "up", len(out6)), with: filtered("udp", "none")},
		{name: "and denied", in: uplink6Frame(out6), reason: "drop_filter",
			slot: denied(7, "up"), with: filtered("tcp", "")},
		{name: "IPv6 downwards", dev: "core0", in: downlink6Frame(in6), reason: "drop_filter",
			slot: denied(7, "down"), with: filtered("", "tcp")},
		{name: "a family without rules is denied", in: uplink6Frame(out6), reason: "drop_filter",
			slot: denied(7, "up"), with: filtered("four", "")},
		{name: "what the slow path gets is not judged", in: uplinkFrame(header{src: subscriber, dst: server, protocol: 17, ttl: 1}.packet(nil)),
			reason: "punt_ttl", with: filtered("none", "none")},
		{name: "a subscriber's list holds towards another", in: uplinkFrame(across), reason: "drop_filter",
			slot: denied(7, "up"), with: func(w *world, t *testing.T) { facing(nil)(w, t); filtered("none", "")(w, t) }},
		{name: "and so does the other's", in: uplinkFrame(across), reason: "drop_filter",
			slot: denied(8, "down"), with: facing(func(s *Session) { s.FilterDown = "none" })},
		{name: "what is denied costs nothing of the rate", in: uplinkFrame(inner), reason: "drop_filter",
			slot: denied(7, "up"), with: func(w *world, t *testing.T) {
				s := session6()
				s.FilterUp, s.Up = "none", Limit{Bits: 1000}
				w.install(t, s)
			}},
	}
}

func TestFilter(t *testing.T) {
	w := newWorld(t)
	w.mustFilters(t, filterOf("none"), filterOf("udp", "permit udp any any"), filterOf("tcp", "permit tcp any any"),
		Filter{Name: "four", Rules: filterOf("", "permit ip any any").Rules})
	runCases(t, w, reached{}, filterCases())
}

func (w *world) mustFilters(t testing.TB, filters ...Filter) {
	t.Helper()
	if left, err := w.m.SetFilters(filters); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
}

// gardened installs the subscriber's session in a walled garden.
func gardened(w *world, t *testing.T) {
	s := session6()
	s.Policy.Flags |= FlagGarden
	w.install(t, s)
}

func gardenCases() []testCase {
	return []testCase{
		{name: "what it sends is left to the kernel", in: uplinkFrame(inner), reason: "punt_garden", with: gardened},
		{name: "and what is sent to it", dev: "core0", in: downlinkFrame(toSubscriber(90)), reason: "punt_garden", with: gardened},
		{name: "IPv6 too", in: uplink6Frame(udp6(sub6, server6, 10)), reason: "punt_garden", with: gardened},
		{name: "both ways", dev: "core0", in: downlink6Frame(udp6(server6, sub6, 10)), reason: "punt_garden", with: gardened},
		{name: "a forged source is dropped even so", in: uplinkFrame(header{src: server, dst: server, protocol: 17}.packet(data(8))),
			reason: "drop_source", slot: dropped(7, "up", CauseSource), with: gardened},
		{name: "another subscriber reaches it through the kernel", in: uplinkFrame(toAnother(header{}, 100)), reason: "punt_garden",
			with: facing(func(s *Session) { s.Policy.Flags |= FlagGarden })},
	}
}

func TestGarden(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, gardenCases())
}

// TestServicesChangeInPlace: filters and the garden come and go while the session
// forwards, and its counters go on.
func TestServicesChangeInPlace(t *testing.T) {
	w := newWorld(t)
	w.mustFilters(t, filterOf("none"), filterOf("all", "permit ip any any"))
	w.install(t, session6())
	for i, step := range []struct {
		filter string
		garden bool
		reason string
	}{{"", false, "sent_up"}, {"none", false, "drop_filter"}, {"all", false, "sent_up"}, {"", true, "punt_garden"}, {"", false, "sent_up"}} {
		s := session6()
		s.FilterUp = step.filter
		if step.garden {
			s.Policy.Flags |= FlagGarden
		}
		w.must(w.m.Install(s))
		before := w.snapshot(t)
		w.run(t, "lac0", uplinkFrame(inner))
		if moved := w.snapshot(t).moved(before); !strings.HasPrefix(moved[0], step.reason+" ") {
			t.Errorf("step %d: %v, want %s", i, moved, step.reason)
		}
	}
	if u := w.m.Usage(7); u.Up.Packets != 3 || u.Up.Drops[CausePolicy] != 1 {
		t.Errorf("%+v", u.Up)
	}
	s := session6()
	s.FilterUp = "nowhere"
	if err := w.m.Install(s); !errors.Is(err, ErrNoFilter) {
		t.Errorf("%v, want ErrNoFilter", err)
	}
}

// TestSetFilters: lists change while they are in use, counters of those that stay
// go on, and those that a session is held to stay.
func TestSetFilters(t *testing.T) {
	w := newWorld(t)
	all, none := filterOf("a", "permit ip any any"), filterOf("b")
	w.mustFilters(t, all, none)
	s := session6()
	s.FilterUp, s.FilterDown = "a", "b"
	w.install(t, s)
	send := func() { w.run(t, "lac0", uplinkFrame(inner)) }
	hits := func(name string, want ...uint64) {
		t.Helper()
		if got, _, err := w.m.FilterHits(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: hits %v (%v), want %v", name, got, err, want)
		}
	}
	send()
	hits("a", 1, 0)
	w.mustFilters(t, filterOf("c"), none, all)
	send()
	hits("a", 2, 0)
	w.mustFilters(t, filterOf("a", "deny tcp any any", "deny udp any any", "permit ip any any"), none)
	send()
	hits("a", 0, 1, 0, 0)
	hits("b", 0)
	// c is in no use and goes, a and b stay though they are not wanted.
	left, err := w.m.SetFilters(nil)
	if err != nil || !slices.Equal(left, []string{"a", "b"}) {
		t.Errorf("left in force: %v (%v)", left, err)
	}
	send()
	hits("a", 0, 2, 0, 0)
	if _, _, err := w.m.FilterHits("c"); !errors.Is(err, ErrNoFilter) {
		t.Errorf("c: %v, want ErrNoFilter", err)
	}
	w.must(w.m.Install(session6()))
	w.mustFilters(t)
}

// TestFiltersOutliveTheProcess: what is pinned is known again by its name.
func TestFiltersOutliveTheProcess(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, IPv6: true, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.fill()
	w.mustFilters(t, filterOf("other"), filterOf("users.in", "deny udp any any"))
	s := session6()
	s.FilterUp = "users.in"
	w.must(w.m.Install(s))
	w.run(t, "lac0", uplinkFrame(inner))
	w.must(w.m.Close())

	w.m = open(t, cfg)
	defer w.m.Close()
	w.run(t, "lac0", uplinkFrame(inner))
	if left, err := w.m.SetFilters(nil); err != nil || !slices.Equal(left, []string{"users.in"}) {
		t.Errorf("left in force: %v (%v)", left, err)
	}
	if hits, _, err := w.m.FilterHits("users.in"); err != nil || hits[0] != 2 {
		t.Errorf("hits %v (%v), want 2", hits, err)
	}
}

func TestTooManyFilters(t *testing.T) {
	w := newWorld(t)
	var many []Filter
	for i := range MaxFilters + 1 {
		many = append(many, filterOf(fmt.Sprintf("list%d", i)))
	}
	if _, err := w.m.SetFilters(many); !errors.Is(err, ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	long := filterOf("long")
	for range MaxRules + 1 {
		long.Rules = append(long.Rules, Rule{})
	}
	w.mustFilters(t)
	if _, err := w.m.SetFilters([]Filter{long}); !errors.Is(err, ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
}

// randomRules writes rules about what randomPacket makes.
func randomRules(r *rand.Rand, family acl.Family) []string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	addresses := []string{"any", "any", "host " + subscriber.String(), "host " + server.String(), "10.1.0.0 0.0.255.255", "0.0.0.1 255.255.255.254"}
	protocols := []string{"ip", "ip", "tcp", "tcp", "udp", "icmp", "58"}
	if family == acl.IPv6 {
		addresses = []string{"any", "any", "host " + sub6.String(), "host " + server6.String(), "2001:db8:64::/48", "8000::/1"}
		protocols[0], protocols[1] = "ipv6", "ipv6"
	}
	ports := func() string {
		switch op := pick("", "", "eq", "neq", "lt", "gt", "range"); op {
		case "":
			return ""
		case "range":
			return fmt.Sprintf("range %d %d", 1+r.IntN(5), 6+r.IntN(5))
		default:
			return fmt.Sprintf("%s %d", op, 1+r.IntN(10))
		}
	}
	var rules []string
	for range r.IntN(MaxRules) {
		protocol := pick(protocols...)
		rule := []string{pick("permit", "deny"), protocol, pick(addresses...)}
		if protocol == "tcp" || protocol == "udp" {
			rule = append(rule, ports(), pick(addresses...), ports())
		} else {
			rule = append(rule, pick(addresses...))
		}
		switch {
		case protocol == "tcp":
			rule = append(rule, pick("", "", "established", "match-any +syn -ack", "match-all +syn -ack -fin", "match-any +urg"))
		case protocol != "udp":
			rule = append(rule, pick("", "", "", "fragments"))
		}
		rules = append(rules, strings.Join(rule, " "))
	}
	return rules
}

// randomPayload is what a packet of protocol may carry, sometimes cut short.
func randomPayload(r *rand.Rand, protocol byte) []byte {
	b := randomBytes(r, 24)
	b[0], b[2] = 0, 0
	b[1], b[3] = byte(r.IntN(12)), byte(r.IntN(12))
	if protocol == 6 {
		b[12] = 0x50
	}
	if r.IntN(8) == 0 {
		b = b[:r.IntN(len(b))]
	}
	return b
}

func randomPacket4(r *rand.Rand, src, dst netip.Addr) []byte {
	protocols := []byte{6, 6, 6, 17, 17, 1, 58}
	h := header{src: src, dst: dst, protocol: protocols[r.IntN(len(protocols))]}
	if r.IntN(4) == 0 {
		h.frag = uint16(r.IntN(4)) | uint16(r.IntN(2))<<13
	}
	return h.packet(randomPayload(r, h.protocol))
}

func randomPacket6(r *rand.Rand, src, dst netip.Addr) []byte {
	protocols := []byte{6, 6, 17, 58, 1}
	next := protocols[r.IntN(len(protocols))]
	chain := randomPayload(r, next)
	for range max(0, r.IntN(11)-3) {
		// A hop-by-hop header would not be for the program.
		kind := []byte{60, 43, 44}[r.IntN(3)]
		head := make([]byte, 8+8*r.IntN(2))
		head[0], head[1] = next, byte(len(head)/8-1)
		if kind == 44 {
			head = head[:8]
			head[1], head[3] = 0, byte(r.IntN(3)*8*r.IntN(2)+r.IntN(2))
		}
		chain, next = append(head, chain...), kind
	}
	if r.IntN(8) == 0 {
		chain = chain[:r.IntN(len(chain)+1)]
	}
	return header6{src: src, dst: dst, next: next}.packet(chain)
}

// TestAccessListsAgree sends random packets through random lists, in the program
// and in the slow path's own code: verdict and counter must be the same.
func TestAccessListsAgree(t *testing.T) {
	w := newWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w.install(t, session6())
	permits, denies := 0, 0
	for round := range 60 {
		var set acl.Set
		filter := Filter{Name: "random"}
		for _, family := range []acl.Family{acl.IPv4, acl.IPv6} {
			l := &acl.List{Family: family, Kind: acl.Extended}
			for _, text := range randomRules(r, family) {
				rule, err := l.Rule(strings.Fields(text))
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				l.Rules = append(l.Rules, rule)
				if family == acl.IPv4 {
					filter.Rules = append(filter.Rules, ruleOf(rule))
				} else {
					filter.Rules6 = append(filter.Rules6, ruleOf(rule))
				}
			}
			set.Lists[family] = l
		}
		w.mustFilters(t, filter)
		s := session6()
		s.FilterUp, s.FilterDown = "random", "random"
		w.must(w.m.Install(s))
		want := map[acl.Family][]uint64{acl.IPv4: make([]uint64, len(filter.Rules)+1), acl.IPv6: make([]uint64, len(filter.Rules6)+1)}
		for range 100 {
			for _, c := range []struct {
				dev           string
				packet, frame []byte
			}{
				{dev: "lac0", packet: randomPacket4(r, subscriber, server)},
				{dev: "core0", packet: randomPacket4(r, server, subscriber)},
				{dev: "lac0", packet: randomPacket6(r, sub6, server6)},
				{dev: "core0", packet: randomPacket6(r, server6, sub6)},
			} {
				six := c.packet[0]>>4 == 6
				switch {
				case c.dev == "lac0" && six:
					c.frame = uplink6Frame(c.packet)
				case c.dev == "lac0":
					c.frame = uplinkFrame(c.packet)
				case six:
					c.frame = downlink6Frame(c.packet)
				default:
					c.frame = downlinkFrame(c.packet)
				}
				d := set.Decide(c.packet)
				want[d.Family][d.Rule]++
				verdict, _ := w.run(t, c.dev, c.frame)
				if (verdict == xdpRedirect) != d.Permit || verdict == xdpPass {
					t.Fatalf("round %d of seed %d: %s, the slow path says %+v\n% x", round, seed, xdpNames[verdict], d, c.packet)
				}
				if d.Permit {
					permits++
				} else {
					denies++
				}
			}
		}
		hits, hits6, err := w.m.FilterHits("random")
		if err != nil || !slices.Equal(hits, want[acl.IPv4]) || !slices.Equal(hits6, want[acl.IPv6]) {
			t.Fatalf("round %d of seed %d: hits (%v)\n%v\n%v\nwant\n%v\n%v", round, seed, err, hits, hits6, want[acl.IPv4], want[acl.IPv6])
		}
		w.must(w.m.Install(session6()))
	}
	if permits < 2000 || denies < 2000 {
		t.Errorf("%d permitted, %d denied: the test tests little", permits, denies)
	}
}

// BenchmarkFilter reports what a list of so many rules, of which the last one
// matches, adds to a packet on its way up.
func BenchmarkFilter(b *testing.B) {
	for _, n := range []int{0, 1, 4, 16, 64} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			const usual = FlagLength | FlagAddressControl | FlagDontFragment
			w := newBench(b, usual, 0)
			frame := nested(upRepeat, 64, server)
			if n > 0 {
				rules := []string{}
				for i := range n - 1 {
					rules = append(rules, fmt.Sprintf("deny udp any any eq %d", 1+i))
				}
				w.mustFilters(b, filterOf("x", append(rules, "permit udp any any")...))
				s, _ := w.m.Session(7)
				s.FilterUp = "x"
				w.must(w.m.Install(s))
			}
			empty, emptyLeast := nsPerRun(b, emptyProgram(b), frame, upRepeat)
			median, least := nsPerRun(b, w.m.objs.LnsXdp, frame, upRepeat)
			b.ReportMetric(median-empty, "ns/packet")
			b.ReportMetric(least-emptyLeast, "least-ns/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}
