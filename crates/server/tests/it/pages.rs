//! Asking for pages as a browser does, and reading what they show.

use serde_json::Value;

use crate::security::address;
use crate::site::Site;
use crate::visitor::{Seen, Visitor};

/// A page, or what came in its place.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let wanted = |line: &&str| line.to_lowercase().starts_with(&format!("{name}:"));
        self.head.lines().find(wanted)?.split_once(':').map(|(_, value)| value.trim())
    }

    /// The content, without the header of every page.
    pub(crate) fn content(&self) -> &str {
        self.text.split("<main").nth(1).unwrap_or_else(|| panic!("no content: {self:?}"))
    }

    /// The raw values that stand in elements with `data-of`, in their order.
    pub(crate) fn values(&self, of: &str) -> Vec<String> {
        let mark = format!("data-of=\"{of}\"");
        let value = |rest: &str| {
            let tag = rest.split('>').next().unwrap_or_default();
            let value = tag.split("data-value=\"").nth(1).and_then(|text| text.split('"').next());
            value.unwrap_or_default().to_owned()
        };
        self.text.split(&mark).skip(1).map(value).collect()
    }

    /// Where the link with these words leads.
    pub(crate) fn link(&self, words: &str) -> Option<String> {
        let before = self
            .text
            .split(&format!(">{words}</a>"))
            .next()
            .filter(|b| b.len() < self.text.len())?;
        let tag = before.rsplit("<a ").next()?;
        let address = tag.split("href=\"").nth(1)?.split('"').next()?;
        Some(address.replace("&amp;", "&"))
    }
}

/// Asks as a browser does.
pub(crate) fn ask(site: &Site, method: &str, path: &str) -> Page {
    let mut visitor = Visitor::of(&address(site));
    let Seen { status, head, body } =
        visitor.ask(method, path, "Accept: text/html,*/*;q=0.8\r\n", "");
    Page { status, head, text: body }
}

/// The page at this path, which is there.
pub(crate) fn page(site: &Site, path: &str) -> Page {
    let page = ask(site, "GET", path);
    assert_eq!(page.status, 200, "{path}: {page:?}");
    page
}

/// What the API answers.
pub(crate) fn api(site: &Site, path: &str) -> Value {
    serde_json::from_str(&site.focus.get(path).expect("an answer")).expect("JSON")
}

/// The items of a list of the API.
pub(crate) fn items(site: &Site, path: &str) -> Vec<Value> {
    api(site, path)["items"].as_array().cloned().unwrap_or_default()
}

/// A page holds nothing that runs or looks as the server did not write it, and is refused a wrong parameter as a page.
pub(crate) fn is_kept(page: &Page, path: &str) {
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
    for mark in ["<script>", "<img", "onerror=\"", " style=\"", "javascript:"] {
        assert!(!page.text.contains(mark), "{path}: {mark:?} in {}", page.text);
    }
    // What is seen: the text beside the tags. No tag has a bare `>` in its values.
    let texts = page.text.split('<').filter_map(|tag| tag.split_once('>'));
    let seen: String = texts.map(|(_, text)| text).collect();
    for mark in ["\u{202e}", "\u{2066}", "\u{7}", "\u{1b}"] {
        assert!(!seen.contains(mark), "{path}: {mark:?} in {seen}");
    }
}

/// Each of these addresses is refused with 400, as a page that names the parameter.
pub(crate) fn refused(site: &Site, cases: &[(&str, &str)]) {
    for (path, field) in cases {
        let page = ask(site, "GET", path);
        assert_eq!(page.status, 400, "{path}: {page:?}");
        assert!(
            page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
            "{path}"
        );
        assert!(page.content().contains(field), "{path}: {page:?}");
        is_kept(&page, path);
    }
}

/// `HEAD` answers as `GET` does, without the page.
pub(crate) fn has_a_head(site: &Site, path: &str) {
    let head = ask(site, "HEAD", path);
    assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}: {head:?}");
    assert!(
        head.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{path}"
    );
}
