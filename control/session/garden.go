package session

// instead lets a peer into the walled garden whom the authenticator refused, where the
// configuration says so; nil where it does not. The peer hears that it is welcome, or
// it would hang up. With MS-CHAPv2 that takes a proof that we know its password, which
// only the authenticator could give (RFC 2759 section 5).
func (s *Session) instead(r *AuthResult) *AuthResult {
	if s.cfg.RejectGarden == "" || (s.method != AuthPAP && s.method != AuthCHAP) {
		return nil
	}
	return &AuthResult{
		Ref: r.Ref, Verdict: Accept, Cause: r.Cause,
		Profile: Profile{Services: &Services{Garden: s.cfg.RejectGarden}, Local: true},
	}
}

// refusedBefore reports whether the session is one that was let in in spite of a
// refusal. What a later challenge says of it is no news.
func (s *Session) refusedBefore() bool {
	return s.verified && s.auth.Profile.Local && s.cfg.RejectGarden != ""
}
