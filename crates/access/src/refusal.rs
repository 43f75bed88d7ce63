/// Why somebody was not let in. For counters and logs: to the caller all of them but [`Refusal::NoGrants`] and
/// [`Refusal::KeysUnavailable`] are one, so that no answer tells whether a token exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// No credentials were sent.
    #[error("no credentials were sent")]
    Missing,
    /// The header is not `Bearer` and one token, or what it carries is neither a token nor a JWT.
    #[error("what was sent is no bearer token, or was mistyped or cut off")]
    Malformed,
    /// Nobody has this token.
    #[error("nobody has this token")]
    UnknownToken,
    /// The token or JWT has ended.
    #[error("the token has expired")]
    Expired,
    /// The JWT begins later (`nbf`), or was issued in the future (`iat`).
    #[error("the token is not valid yet: compare the clocks")]
    NotYetValid,
    /// A JWT of another issuer.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// A JWT for another audience.
    #[error("the token is for another audience")]
    Audience,
    /// A JWT signed by an algorithm that is not allowed, or not that of its key.
    #[error("the token is signed by an algorithm that is not allowed here, or is not its key's")]
    Algorithm,
    /// A JWT of a key that the issuer does not publish.
    #[error("the issuer publishes no key of this id")]
    UnknownKey,
    /// The signature is not that of the key: the JWT was tampered with.
    #[error("the signature does not fit")]
    Signature,
    /// A JWT that does not say of whom it is.
    #[error("the token names no subject")]
    Subject,
    /// A claim that is needed is missing, or is not what it should be.
    #[error("the claims of the token cannot be read")]
    Claims,
    /// Known, but nothing is granted by role, claims or groups.
    #[error("the reader is known, and nothing is granted: see roles and groups")]
    NoGrants,
    /// The issuer's keys could not be fetched, so nothing can be said.
    #[error("the issuer's keys cannot be had now")]
    KeysUnavailable,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 14] = [
        Self::Missing,
        Self::Malformed,
        Self::UnknownToken,
        Self::Expired,
        Self::NotYetValid,
        Self::Issuer,
        Self::Audience,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::Subject,
        Self::Claims,
        Self::NoGrants,
        Self::KeysUnavailable,
    ];

    /// Its name: the label `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownToken => "unknown_token",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Subject => "subject",
            Self::Claims => "claims",
            Self::NoGrants => "no_grants",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}
