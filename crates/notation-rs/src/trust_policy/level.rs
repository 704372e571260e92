//! Verification levels: what each failed check of a signature leads to.

use std::fmt;

use ValidationAction::{Enforce, Log, Skip};

/// A check of a signature that a level decides over, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValidationType {
    /// The envelope is well-formed, and its signature verifies with its own leaf certificate.
    Integrity,
    /// The chain leads to a trust store, and the signer is a trusted identity.
    Authenticity,
    /// The signature has not expired.
    Expiry,
    /// The certificates were valid when the signature was made.
    AuthenticTimestamp,
    /// No certificate is revoked.
    Revocation,
}

impl ValidationType {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 5] = [
        Self::Integrity,
        Self::Authenticity,
        Self::Expiry,
        Self::AuthenticTimestamp,
        Self::Revocation,
    ];

    /// The name in trust policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Authenticity => "authenticity",
            Self::Expiry => "expiry",
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Revocation => "revocation",
        }
    }
}

impl fmt::Display for ValidationType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a failed check leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationAction {
    /// The signature is refused.
    Enforce,
    /// The failure is reported, and verification goes on.
    Log,
    /// The check is not made.
    Skip,
}

impl ValidationAction {
    /// The name in trust policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Log => "log",
            Self::Skip => "skip",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Enforce, Self::Log, Self::Skip].into_iter().find(|action| action.as_str() == name)
    }
}

impl fmt::Display for ValidationAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A level with its overrides: one action for each check. A level that skips makes no check at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationLevel {
    name: &'static str,
    authenticity: ValidationAction,
    authentic_timestamp: ValidationAction,
    expiry: ValidationAction,
    revocation: ValidationAction,
}

impl VerificationLevel {
    /// Every failure refuses the signature.
    pub const STRICT: Self = Self::of("strict", Enforce, Enforce);
    /// What is not intact or not authentic is refused; other failures are reported.
    pub const PERMISSIVE: Self = Self::of("permissive", Enforce, Log);
    /// What is not intact is refused; other failures are reported.
    pub const AUDIT: Self = Self::of("audit", Log, Log);
    /// Nothing is checked, and nothing is read.
    pub const SKIP: Self = Self::of("skip", Skip, Skip);

    /// The level of that name in a trust policy, without overrides.
    pub fn from_name(name: &str) -> Option<Self> {
        let levels = [Self::STRICT, Self::PERMISSIVE, Self::AUDIT, Self::SKIP];
        levels.into_iter().find(|level| level.name == name)
    }

    /// `strict`, `permissive`, `audit`, `skip`, or `custom` where an override is in force.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether nothing is checked.
    pub fn is_skip(&self) -> bool {
        *self == Self::SKIP
    }

    /// What a failure of `check` leads to.
    pub const fn action(&self, check: ValidationType) -> ValidationAction {
        match check {
            ValidationType::Integrity if matches!(self.authenticity, Skip) => Skip,
            ValidationType::Integrity => Enforce,
            ValidationType::Authenticity => self.authenticity,
            ValidationType::Expiry => self.expiry,
            ValidationType::AuthenticTimestamp => self.authentic_timestamp,
            ValidationType::Revocation => self.revocation,
        }
    }

    /// This level with another action, by the names of a trust policy; none where that is not
    /// allowed: over integrity, over a level that skips, and skipping anything but revocation.
    pub(super) fn overridden(mut self, check: &str, action: &str) -> Option<Self> {
        let action = ValidationAction::from_name(action)?;
        let field = match check {
            "authenticity" => &mut self.authenticity,
            "authenticTimestamp" => &mut self.authentic_timestamp,
            "expiry" => &mut self.expiry,
            "revocation" => &mut self.revocation,
            _ => return None,
        };
        if *field == Skip && self.name == "skip" || action == Skip && check != "revocation" {
            return None;
        }
        *field = action;
        Some(Self { name: "custom", ..self })
    }

    const fn of(
        name: &'static str,
        authenticity: ValidationAction,
        others: ValidationAction,
    ) -> Self {
        Self { name, authenticity, authentic_timestamp: others, expiry: others, revocation: others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_actions_of_the_specification() {
        // In the order of ValidationType::ALL.
        let cases = [
            ("strict", [Enforce, Enforce, Enforce, Enforce, Enforce]),
            ("permissive", [Enforce, Enforce, Log, Log, Log]),
            ("audit", [Enforce, Log, Log, Log, Log]),
            ("skip", [Skip, Skip, Skip, Skip, Skip]),
        ];
        for (name, expect) in cases {
            let level = VerificationLevel::from_name(name).unwrap();
            assert_eq!(ValidationType::ALL.map(|check| level.action(check)), expect, "{name}");
            assert_eq!((level.name(), level.is_skip()), (name, name == "skip"));
        }
        assert_eq!(VerificationLevel::from_name("Strict"), None);
        assert_eq!(VerificationLevel::from_name("custom"), None);
    }

    #[test]
    fn overrides_what_may_be_overridden() {
        let strict = VerificationLevel::STRICT;
        let cases = [
            ("authenticity", [true, true, false]),
            ("authenticTimestamp", [true, true, false]),
            ("expiry", [true, true, false]),
            ("revocation", [true, true, true]),
            ("integrity", [false, false, false]),
            ("Expiry", [false, false, false]),
        ];
        for (check, expect) in cases {
            let allowed =
                ["enforce", "log", "skip"].map(|action| strict.overridden(check, action).is_some());
            assert_eq!(allowed, expect, "{check}");
            assert_eq!(VerificationLevel::SKIP.overridden(check, "enforce"), None);
        }
        assert_eq!(strict.overridden("expiry", "ignore"), None);
        let custom = strict.overridden("revocation", "skip").unwrap();
        assert_eq!(custom.name(), "custom");
        let actions = ValidationType::ALL.map(|check| custom.action(check));
        assert_eq!(actions, [Enforce, Enforce, Enforce, Enforce, Skip]);
    }
}
