package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
)

// authorityName is the name of the files of the authority that signs the others.
const authorityName = "ca"

func (a *app) certificateCommands() []command {
	var o certificateOptions
	return []command{{
		words: "make-certificates", host: true,
		help: "Make the certificates for management from afar, and the authority that signs them if it is not there yet",
		arg:  &arg{name: "DIR"},
		flags: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringArrayVar(&o.servers, "server", nil, "`NAME[,ADDRESS...]` of a daemon; may be repeated")
			f.StringArrayVar(&o.clients, "client", nil, "`NAME=ROLE[,ROLE]` of an operator, of "+strings.Join(api.RoleNames(), ", ")+"; may be repeated")
			f.IntVar(&o.days, "days", 825, "how long the certificates are good")
		},
		run: func(_ context.Context, dir string) error { return a.makeCertificates(dir, &o) },
	}}
}

type certificateOptions struct {
	servers, clients []string
	days             int
}

// makeCertificates writes NAME.crt and NAME.key for each name. Files that are there
// are left alone, and said to be.
func (a *app) makeCertificates(dir string, o *certificateOptions) error {
	if len(o.servers)+len(o.clients) == 0 {
		return usageError{errors.New("make-certificates needs --server or --client")}
	}
	if o.days < 1 {
		return usageError{errors.New("--days: at least 1")}
	}
	wanted, err := o.templates()
	if err != nil {
		return usageError{err}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	signer, err := a.authority(dir)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if err := a.issue(dir, w.name, w.cert, signer); err != nil {
			return err
		}
	}
	return nil
}

// wantedCertificate is one to be made.
type wantedCertificate struct {
	name string
	cert *x509.Certificate
}

func (o *certificateOptions) templates() ([]wantedCertificate, error) {
	var all []wantedCertificate
	until := time.Now().AddDate(0, 0, o.days)
	for _, s := range o.servers {
		names := strings.Split(s, ",")
		c := &x509.Certificate{
			Subject: pkix.Name{CommonName: names[0]}, NotAfter: until,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		for _, n := range names {
			if ip := net.ParseIP(n); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
			} else {
				c.DNSNames = append(c.DNSNames, n)
			}
		}
		all = append(all, wantedCertificate{names[0], c})
	}
	for _, s := range o.clients {
		name, list, _ := strings.Cut(s, "=")
		roles := strings.Split(list, ",")
		for _, r := range roles {
			if !slices.Contains(api.RoleNames(), r) {
				return nil, fmt.Errorf("--client %s: %q is no role; it is NAME=ROLE with a role of %s", s, r, strings.Join(api.RoleNames(), ", "))
			}
		}
		all = append(all, wantedCertificate{name, &x509.Certificate{
			Subject: pkix.Name{CommonName: name, OrganizationalUnit: roles}, NotAfter: until,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}})
	}
	for _, w := range all {
		if w.name == "" || w.name == authorityName || w.name != filepath.Base(w.name) || w.name[0] == '.' {
			return nil, fmt.Errorf("%q cannot be the name of a certificate, which is that of its file", w.name)
		}
	}
	return all, nil
}

// keyPair is a certificate with its key.
type keyPair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// authority reads the authority of a directory, or makes it.
func (a *app) authority(dir string) (*keyPair, error) {
	certFile, keyFile := filepath.Join(dir, authorityName+".crt"), filepath.Join(dir, authorityName+".key")
	cert, err := readPEM(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		return a.newAuthority(certFile, keyFile)
	}
	if err != nil {
		return nil, err
	}
	key, err := readPEM(keyFile)
	if err != nil {
		return nil, err
	}
	p := &keyPair{}
	if p.cert, err = x509.ParseCertificate(cert); err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	if p.key, err = x509.ParseECPrivateKey(key); err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	return p, nil
}

// authorityYears is how long the authority is good: its successor has to be brought to
// every daemon and operator.
const authorityYears = 10

func (a *app) newAuthority(certFile, keyFile string) (*keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "lnsd management"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if err := a.sign(certFile, keyFile, template, &keyPair{template, key}, key); err != nil {
		return nil, err
	}
	der, err := readPEM(certFile)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &keyPair{cert, key}, err
}

// issue makes one certificate, unless it is there.
func (a *app) issue(dir, name string, template *x509.Certificate, signer *keyPair) error {
	certFile, keyFile := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if _, err := os.Stat(certFile); err == nil {
		_, err = fmt.Fprintf(a.env.Out, "%s is there already\n", escape(certFile))
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return a.sign(certFile, keyFile, template, signer, key)
}

// sign writes the key and then the certificate, so that where there is a certificate
// there is its key.
func (a *app) sign(certFile, keyFile string, template *x509.Certificate, signer *keyPair, key *ecdsa.PrivateKey) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &key.PublicKey, signer.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyFile, "EC PRIVATE KEY", secret, 0o600); err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.env.Out, escape(certFile))
	return err
}

func readPEM(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: not PEM", name)
	}
	return block.Bytes, nil
}

func writePEM(name, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	return joinErr(err, f.Close())
}
