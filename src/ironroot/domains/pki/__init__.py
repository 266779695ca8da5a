"""The certificate authority: hierarchy, profiles, enrolment, revocation."""
