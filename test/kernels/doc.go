// Package kernels boots the kernels that lnsd is made for in virtual machines and
// runs the tests of the XDP program there: those of package maps, and those of
// folder inside, which need devices that a test machine may not have.
//
// The machines need qemu and Debian's mirror, and without KVM a few minutes; so
// the tests here are skipped unless LNSD_KERNELS is set, as make test-kernels
// does.
package kernels
