package policy

// Presets names the presets, in the order that they are tried in.
func Presets() []string {
	return []string{"cisco", "mikrotik", "wispr", "filter-id", "erx", "ascend", "nokia"}
}

// preset returns the rows of one.
func preset(name string) ([]Rule, bool) {
	pair := func(key string, t Target) Rule {
		a := ciscoAVPair
		a.Pair = key
		return Rule{Attribute: a, Target: t}
	}
	vendor := func(id uint32, n byte, t Target) Rule {
		return Rule{Attribute: Attribute{Vendor: id, Type: n}, Target: t}
	}
	number := func(r Rule) Rule { r.Integer = true; return r }
	switch name {
	case "cisco":
		return []Rule{
			// l2tpns' own.
			pair("throttle", throttle), pair("intercept", Intercept), pair("garden", Garden),
			// Cisco's: in is what the subscriber sends.
			pair("lcp:interface-config", interfaceLine),
			pair("ip:interface-config", interfaceLine),
			pair("ip:sub-qos-policy-in", ProfileUp), pair("ip:sub-qos-policy-out", ProfileDown),
			pair("sub-qos-policy-in", ProfileUp), pair("sub-qos-policy-out", ProfileDown),
			pair("subscriber:sub-qos-policy-in", ProfileUp), pair("subscriber:sub-qos-policy-out", ProfileDown),
			pair("rate-limit", rateLimitLine),
			pair("ip:addr-pool", Pool),
		}, true
	case "mikrotik":
		return []Rule{
			vendor(14988, 8, mikrotikLimit),
			vendor(14988, 22, PDPool), // Mikrotik-Delegated-IPv6-Pool
			// Limits of volume.
			vendor(14988, 1, Refuse), vendor(14988, 2, Refuse), vendor(14988, 17, Refuse),
		}, true
	case "wispr":
		return []Rule{number(vendor(14122, 7, RateUp)), number(vendor(14122, 8, RateDown))}, true
	case "filter-id":
		return []Rule{{Attribute: Attribute{Type: 11}, Target: filterIDValue}}, true
	case "erx":
		return []Rule{
			// Ingress is what the subscriber sends.
			vendor(vendorERX, 10, ProfileUp), vendor(vendorERX, 11, ProfileDown),
			vendor(vendorERX, 26, Profile), // ERX-Qos-Profile-Name
		}, true
	case "ascend":
		return []Rule{
			number(vendor(vendorAscend, 197, ascendDataRate)), number(vendor(vendorAscend, 255, ascendXmitRate)),
			// Before there were vendors' attributes they had these numbers.
			number(vendor(0, 197, ascendDataRate)), number(vendor(0, 255, ascendXmitRate)),
		}, true
	case "nokia":
		return []Rule{vendor(vendorNokia, 13, Profile), vendor(vendorNokia, 12, Profile)}, true // Alc-SLA-Prof-Str, Alc-Subsc-Prof-Str
	}
	return nil, false
}
