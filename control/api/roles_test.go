package api

import (
	"slices"
	"testing"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Every method of the schema has its right, and there is no right to a method that is
// none.
func TestEveryMethodHasARight(t *testing.T) {
	s := NewServer(nil, zap.NewNop(), Events(nil), Services(nil), Restrictions(nil), PacketHooks(nil), Plugins(nil), Terminal(nil), Commits(nil), Traces(nil), History(nil), Profiles(nil), Outgoing(nil), Interceptions(nil), Captures(nil), Accounting(nil))
	defer s.grpc.Stop()
	seen := map[string]bool{}
	for service, info := range s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			seen[name] = true
			if needs[name] == 0 {
				t.Errorf("%s: nobody may call it", name)
			}
		}
	}
	for name := range needs {
		if !seen[name] {
			t.Errorf("%s: there is no such method", name)
		}
	}
}

func TestRolesMay(t *testing.T) {
	const show, drop, reload = "/lns.v1.LNS/Sessions", "/lns.v1.LNS/DropUser", "/lns.v1.LNS/Reload"
	for _, c := range []struct {
		roles []string
		may   []string
	}{
		{nil, nil},
		{[]string{"root"}, nil},
		{[]string{"viewer"}, []string{show}},
		{[]string{"intercept"}, []string{show}},
		{[]string{"operator"}, []string{show, drop}},
		{[]string{"admin"}, []string{show, drop, reload}},
		{[]string{"viewer", "operator"}, []string{show, drop}},
	} {
		who := Caller{Name: "x", Rights: rightsOf(c.roles)}
		for _, method := range []string{show, drop, reload} {
			err := who.may(method)
			if want := slices.Contains(c.may, method); want != (err == nil) {
				t.Errorf("%q, %s: %v", c.roles, method, err)
			} else if err != nil && status.Code(err) != codes.PermissionDenied {
				t.Errorf("%q, %s: %v", c.roles, method, err)
			}
		}
	}
	if rightsOf([]string{"admin"})&RightIntercept != 0 {
		t.Error("an admin may intercept")
	}
	if err := (Caller{Rights: 0xff}).may("/lns.v1.LNS/Nonsense"); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}
