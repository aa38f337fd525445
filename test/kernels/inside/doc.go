// Package inside holds the tests that need a kernel of their own: each virtual
// machine of test/kernels runs them as root with two pairs of virtio network
// devices, MAC addresses as in network_test.go.
package inside
