//! Going through a JSON text without keeping it: a reader takes the few values that it wants, and everything else is
//! checked and passed over. Memory grows with none of it.

use super::{JsonError, Parser, Value};

/// A JSON text, gone through from its begin to its end.
pub(crate) struct Skim<'a> {
    parser: Parser<'a>,
    depth: usize,
}

/// Takes one element of an array: it has to go past exactly one value.
pub(crate) type Element<'f, 'a> = &'f mut dyn FnMut(&mut Skim<'a>) -> Result<(), JsonError>;

/// Takes one field of an object, by its key, likewise.
pub(crate) type Field<'f, 'a> = &'f mut dyn FnMut(&mut Skim<'a>, &str) -> Result<(), JsonError>;

impl<'a> Skim<'a> {
    /// At the begin of a text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Skim<'a>, JsonError> {
        let mut parser = Parser::new(bytes)?;
        parser.space();
        Ok(Skim { parser, depth: 1 })
    }

    /// The first byte of the value that comes next.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.parser.peek()
    }

    /// The text has to end here.
    ///
    /// # Errors
    /// It goes on.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        self.parser.end()
    }

    /// Goes through an object. Another value is passed over. A key may be there twice.
    ///
    /// # Errors
    /// It is not JSON, or nested too deeply.
    pub(crate) fn object(&mut self, field: Field<'_, 'a>) -> Result<(), JsonError> {
        if self.peek() != Some(b'{') {
            return self.skip();
        }
        self.inside(b'}', &mut |skim| {
            if skim.peek() != Some(b'"') {
                return Err(skim.parser.error("expected a key in double quotes"));
            }
            let key = skim.parser.string()?;
            skim.parser.space();
            if skim.peek() != Some(b':') {
                return Err(skim.parser.error("expected : after the key"));
            }
            skim.parser.at += 1;
            skim.parser.space();
            field(skim, &key)
        })
    }

    /// Goes through an array. Another value is passed over.
    ///
    /// # Errors
    /// As [`Skim::object`].
    pub(crate) fn array(&mut self, element: Element<'_, 'a>) -> Result<(), JsonError> {
        if self.peek() != Some(b'[') {
            return self.skip();
        }
        self.inside(b']', element)
    }

    /// Takes a string. Another value is passed over.
    ///
    /// # Errors
    /// As [`Skim::object`].
    pub(crate) fn text(&mut self) -> Result<Option<String>, JsonError> {
        if self.peek() == Some(b'"') {
            return self.parser.string().map(Some);
        }
        self.skip().map(|()| None)
    }

    /// Passes over a value.
    ///
    /// # Errors
    /// As [`Skim::object`].
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.object(&mut |skim, _| skim.skip()),
            Some(b'[') => self.array(&mut Skim::skip),
            _ => self.parser.value(self.depth).map(|_: Value| ()),
        }
    }

    /// Goes through what is between brackets, up to the one that closes.
    fn inside(&mut self, closing: u8, item: Element<'_, 'a>) -> Result<(), JsonError> {
        self.parser.deeper(self.depth)?;
        self.depth += 1;
        self.parser.at += 1;
        self.parser.space();
        if self.peek() != Some(closing) {
            loop {
                item(self)?;
                self.parser.space();
                match self.peek() {
                    Some(b',') => self.parser.at += 1,
                    Some(byte) if byte == closing => break,
                    _ => {
                        let message = format!("expected , or {}", char::from(closing));
                        return Err(self.parser.error(&message));
                    }
                }
                self.parser.space();
            }
        }
        self.parser.at += 1;
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skipped(text: &str) -> Result<(), JsonError> {
        let mut skim = Skim::new(text.as_bytes())?;
        skim.skip()?;
        skim.end()
    }

    #[test]
    fn what_is_passed_over_is_checked() {
        for good in ["{}", "[]", " [1, {\"a\": [null]}, \"x\"] ", "{\"a\":1,\"a\":2}", "-1.5e3"] {
            assert_eq!(skipped(good), Ok(()), "{good}");
        }
        for bad in ["", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "[1 2]", "{1:2}", "[] x", "nul"] {
            assert!(skipped(bad).is_err(), "{bad}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(skipped(&deep(super::super::DEPTH_MAX)), Ok(()));
        assert!(skipped(&deep(super::super::DEPTH_MAX + 1)).is_err());
        assert!(skipped(&"[".repeat(1 << 20)).is_err());
    }

    proptest! {
        #[test]
        fn a_text_is_passed_over_just_where_it_is_json(text in "[\\[\\]{}:,\"a1 n]{0,12}") {
            let whole = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(skipped(&text).is_ok(), whole.is_ok(), "{}", text);
        }
    }
}
