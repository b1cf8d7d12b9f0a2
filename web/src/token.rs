//! What a browser has to know before it is told anything: 128 bits from the kernel, for as long as the
//! page is served.

use std::io;

use rand::TryRng;
use rand::rngs::SysRng;

/// The token, as 32 hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// Where the kernel gives no random numbers. It takes no device for them.
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0; 16];
        let none = |error| io::Error::other(format!("the kernel gives no random numbers: {error}"));
        SysRng.try_fill_bytes(&mut bytes).map_err(none)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// Whether `said` is it. Takes as long whichever digits are wrong.
    pub(crate) fn is(&self, said: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differ = own.iter().zip(said).fold(0, |sum, (own, said)| sum | (own ^ said));
        own.len() == said.len() && differ == 0
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_it() {
        let token = Token::new().unwrap();
        let text = token.as_str().to_owned();
        assert_eq!(text.len(), 32);
        assert!(token.is(text.as_bytes()));
        assert!(!token.is(&text.as_bytes()[..31]));
        assert!(!token.is(b""));
        assert!(!token.is(format!("{text}0").as_bytes()));
        assert!(!token.is(Token::new().unwrap().as_str().as_bytes()));
    }
}
