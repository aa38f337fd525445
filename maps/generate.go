package maps

// Everything that both sides must agree on is generated from the C sources.
//
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -output-stem kernel -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3 -I.. -I../bpf" -type lns_layout -type lns_state -type lns_flag -type lns_rule_flag -type lns_rule -type lns_rule4 -type lns_rule6 -type lns_list -type lns_cause -type lns_reason -type lns_call -type lns_host -type lns_prefix -type lns_net6 -type lns_home6 -type lns_prefix6 -type lns_share6 -type lns_local -type lns_where -type lns_port -type lns_door -type lns_hop -type lns_hint -type lns_tag -type lns_exit -type lns_session -type lns_path -type lns_page -type lns_flow -type lns_usage -type lns_tunnel -type lns_range -type lns_source -type lns_gates -type lns_line -type lns_hand -type lns_chunk -type lns_shaper -type lns_tally -type lns_facts -type lns_sequence -type lns_local6 -type lns_range6 -type lns_ends -type lns_source6 kernel ../bpf/lns.c
