//! Tokens: what a program shows to be let in.

use std::fmt;
use std::str::FromStr;

/// What every token begins with: scanners for leaked secrets find it, and people know what it is.
const PREFIX: &str = "afterimage_";
/// Random bytes of a token.
const RANDOM_BYTES: usize = 32;
/// Bytes of the checksum behind them: enough to tell a typing error from a token that is not known.
const CHECK_BYTES: usize = 4;

/// A token: `afterimage_`, 64 hexadecimal digits that are random, and 8 that are their checksum.
///
/// Shows itself to nobody but the one who asks with [`Token::reveal`].
#[derive(Clone)]
pub struct Token(String);

/// The text is no token, whoever may be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenShapeError {
    /// It does not look like one.
    #[error("expected a token: {PREFIX} and 72 hexadecimal digits")]
    Shape,
    /// It looks like one, but was cut off or mistyped.
    #[error("the token is mistyped or cut off: its checksum does not fit")]
    Checksum,
}

impl Token {
    /// A new token, out of the operating system's random numbers.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let digits = blake3::Hash::from_bytes(random).to_hex();
        Ok(Self(format!("{PREFIX}{digits}{}", checksum(&digits))))
    }

    /// Does the text claim to be a token? A JWT does not.
    #[must_use]
    pub fn is_claimed_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The token itself. Print it once, and keep it nowhere.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    ///
    /// A fast hash: the slow ones (argon2, scrypt) are for passwords, which can be guessed one by one. Nobody guesses 256
    /// random bits at any speed, and a slow hash on every request would only help those who want the server busy.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(blake3::hash(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({PREFIX}…)")
    }
}

impl FromStr for Token {
    type Err = TokenShapeError;

    fn from_str(text: &str) -> Result<Self, TokenShapeError> {
        let digits = text.strip_prefix(PREFIX).ok_or(TokenShapeError::Shape)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 2 * (RANDOM_BYTES + CHECK_BYTES) || !digits.bytes().all(is_digit) {
            return Err(TokenShapeError::Shape);
        }
        let (random, check) = digits.split_at(2 * RANDOM_BYTES);
        if checksum(random) != check {
            return Err(TokenShapeError::Checksum);
        }
        Ok(Self(text.to_owned()))
    }
}

/// No secret: anybody can make it, so it proves nothing.
fn checksum(digits: &str) -> String {
    blake3::hash(digits.as_bytes()).to_hex()[..2 * CHECK_BYTES].to_owned()
}

/// The hash of a token, as the access file has it: `blake3:` and 64 hexadecimal digits.
///
/// Two of them are compared in constant time (`blake3::Hash` says so of its `==`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHash(blake3::Hash);

/// What the name of the hash function is written as.
const HASH_PREFIX: &str = "blake3:";

/// The text is no hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected {HASH_PREFIX} and 64 hexadecimal digits, as `afterimage token new` prints them; never the token itself"
)]
pub struct TokenHashError;

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH_PREFIX}{}", self.0.to_hex())
    }
}

impl FromStr for TokenHash {
    type Err = TokenHashError;

    fn from_str(text: &str) -> Result<Self, TokenHashError> {
        let digits = text.strip_prefix(HASH_PREFIX).ok_or(TokenHashError)?;
        blake3::Hash::from_hex(digits).map(Self).map_err(|_| TokenHashError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_shows_itself_to_nobody() {
        let token = Token::generate().unwrap();
        assert_ne!(token.reveal(), Token::generate().unwrap().reveal());
        assert_eq!(token.reveal().len(), PREFIX.len() + 72);
        let again: Token = token.reveal().parse().unwrap();
        assert_eq!(again.hash(), token.hash());
        assert_eq!(token.hash().to_string().parse(), Ok(token.hash()));
        assert!(!format!("{token:?}").contains(&token.reveal()[PREFIX.len()..]));
        assert!(!token.hash().to_string().contains(&token.reveal()[PREFIX.len()..][..16]));
    }

    #[test]
    fn every_mistyped_digit_is_noticed() {
        let text = Token::generate().unwrap().reveal().to_owned();
        for at in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(bytes).unwrap();
            assert_eq!(other.parse::<Token>().unwrap_err(), TokenShapeError::Checksum, "digit {at}");
        }
        for other in ["", PREFIX, &text[1..], &text[..text.len() - 1], &format!("{text}0"), &text.to_uppercase()] {
            assert_eq!(other.parse::<Token>().unwrap_err(), TokenShapeError::Shape, "{other}");
        }
        for other in ["", "blake3:", "sha256:00", &text] {
            assert_eq!(other.parse::<TokenHash>(), Err(TokenHashError));
        }
    }
}
