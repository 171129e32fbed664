//! Commands, and what they printed, as they may be shown.

/// The text without the logins of the URLs in it: `mongodb://user:password@host` becomes
/// `mongodb://***@host`.
pub fn without_logins(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "'\"".contains(c));
        let (url, beyond) = after.split_at(end.unwrap_or(after.len()));
        // A password may hold anything that was not escaped: the last @ ends it.
        let shown =
            url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("***@{host}"));
        out.push_str(&shown);
        rest = beyond;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_in_commands_are_not_shown() {
        for (text, told) in [
            (
                "mongosh 'mongodb://u:p@h/admin' --eval x",
                "mongosh 'mongodb://***@h/admin' --eval x",
            ),
            ("a mongodb://u:p@w/@h b", "a mongodb://***@h b"),
            ("curl http://h/ https://t@x", "curl http://h/ https://***@x"),
            ("no url", "no url"),
        ] {
            assert_eq!(without_logins(text), told);
        }
    }
}
