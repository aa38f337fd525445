package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// maxOffers bounds what completion offers: nobody reads more.
const maxOffers = 200

var errEnough = errors.New("enough offers")

// sidKind is a session's number.
func sidKind() kind {
	return kind{
		check: func(s string) error { _, err := parseID(s, 1<<20); return err },
		complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
			return offers(ctx, c, prefix, func(s *lnsv1.SessionInfo) (string, string) {
				return strconv.FormatUint(uint64(s.Sid), 10), userName(s)
			})
		},
	}
}

// userKind is a subscriber's name.
func userKind() kind {
	return kind{
		check: func(s string) error {
			if s == "" {
				return errors.New("must not be empty")
			}
			return nil
		},
		complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
			return offers(ctx, c, prefix, func(s *lnsv1.SessionInfo) (string, string) {
				if !s.UserVerified {
					return "", ""
				}
				return s.User, s.Address
			})
		},
	}
}

// offers collects what pick takes from sessions, with a remark, and what begins
// with prefix. A word that would not survive on a command line is left out.
func offers(ctx context.Context, c *api.Client, prefix string, pick func(*lnsv1.SessionInfo) (string, string)) ([]string, error) {
	var words []string
	err := eachSession(ctx, c, &lnsv1.SessionsRequest{}, func(s *lnsv1.SessionInfo) error {
		word, remark := pick(s)
		if word == "" || !strings.HasPrefix(word, prefix) || escape(word) != word {
			return nil
		}
		words = append(words, word+"\t"+escape(remark))
		if len(words) == maxOffers {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return words, err
}

// tidKind is a tunnel's number.
func tidKind() kind {
	return kind{
		check: func(s string) error { _, err := parseID(s, 65535); return err },
		complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
			reply, err := c.Tunnels(ctx, &lnsv1.TunnelsRequest{})
			if err != nil {
				return nil, err
			}
			var words []string
			for _, t := range reply.Tunnels {
				if word := strconv.FormatUint(uint64(t.TunnelId), 10); strings.HasPrefix(word, prefix) {
					words = append(words, word+"\t"+escape(t.HostName))
				}
			}
			return words, nil
		},
	}
}

// poolKind is a pool's name.
func poolKind() kind {
	return kind{
		complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
			reply, err := c.Pools(ctx, &lnsv1.PoolsRequest{})
			if err != nil {
				return nil, err
			}
			var words []string
			for _, p := range reply.Pools {
				if strings.HasPrefix(p.Name, prefix) && escape(p.Name) == p.Name {
					words = append(words, p.Name)
				}
			}
			return words, nil
		},
	}
}

// wordKind is one of some words.
func wordKind(words ...string) kind {
	return kind{
		check: func(s string) error {
			if !slices.Contains(words, s) {
				return fmt.Errorf("must be %s", strings.Join(words, " or "))
			}
			return nil
		},
	}
}

func addressKind() kind {
	return kind{check: func(s string) error {
		if _, err := netip.ParseAddr(s); err != nil {
			return errors.New("must be an IP address")
		}
		return nil
	}}
}

func portKind() kind {
	return kind{check: func(s string) error { _, err := parseID(s, 65535); return err }}
}

func parseID(s string, limit uint64) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > limit {
		return 0, fmt.Errorf("must be a number from 1 to %d", limit)
	}
	return uint32(n), nil
}

// eachSession calls f for the sessions that fit the request, as they arrive.
func eachSession(ctx context.Context, c *api.Client, r *lnsv1.SessionsRequest, f func(*lnsv1.SessionInfo) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when f has had enough
	stream, err := c.Sessions(ctx, r)
	if err != nil {
		return err
	}
	return each(stream, (*lnsv1.SessionsReply).GetSessions, f)
}

// each calls f for every item of every reply of a stream.
func each[R, T any](stream grpc.ServerStreamingClient[R], items func(*R) []T, f func(T) error) error {
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, item := range items(reply) {
			if err := f(item); err != nil {
				return err
			}
		}
	}
}
