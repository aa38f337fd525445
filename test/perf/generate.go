package perf

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../.. -Ibpf" -type gen_call generator bpf/generator.c
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../.. -Ibpf" -type tally receiver bpf/receiver.c
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../.. -Ibpf" -type ref_call -type ref_session reference bpf/reference.c
