//! What all pages have in common, by HTTP: the headers, the files, the numbers, and the pages in place of errors.

use focus_testkit::focus::{Answer, Focus};
use focus_testkit::wait::until;

use crate::site::{BINARY, LIMIT, Site};
use crate::visitor::Visitor;

const PAGES: [&str; 10] = [
    "/",
    "/coverage",
    "/recordings",
    "/unrecognised",
    "/outages",
    "/drift",
    "/held",
    "/alerts",
    "/drills",
    "/sign-in",
];

/// What a browser sends of itself.
const BROWSER: &str = "Accept: text/html,application/xhtml+xml\r\n";

async fn served(count: usize) -> Site {
    let mut site = Site::new(&[]);
    site.land(count);
    site.focus.serve().await;
    site.focus.until_status("recordings", count as u64, LIMIT).await;
    site.in_step().await;
    site
}

/// Asks with these headers, each with its line end.
fn ask(site: &Site, method: &str, path: &str, headers: &str) -> Answer {
    let mut visitor = Visitor::of(&site.focus.address().expect("an address"));
    let seen = visitor.ask(method, path, headers, "");
    Answer { status: seen.status, head: seen.head.to_lowercase(), body: seen.body }
}

/// The raw value of a field of the header.
fn value<'a>(page: &'a str, field: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("data-field=\"{field}\"")).expect("the field");
    let (_, rest) = rest.split_once("data-value=\"").expect("its value");
    rest.split('"').next().expect("its value")
}

/// The addresses of a page's own files.
fn files(page: &str) -> Vec<String> {
    let addresses = page.split("\"/page/").skip(1).filter_map(|rest| rest.split('"').next());
    addresses.map(|rest| format!("/page/{rest}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_the_numbers_of_the_status_and_a_policy_that_allows_nothing_else() {
    let site = served(7).await;
    for path in PAGES {
        let page = ask(&site, "GET", path, BROWSER);
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        assert!(
            !page.body.contains("style=") && !page.body.contains("<style"),
            "{path} has a style of its own"
        );
        let scripts: Vec<&str> = page.body.split("<script").skip(1).collect();
        assert!(
            scripts.iter().all(|script| script.starts_with(" src=\"/page/")),
            "{path} has a script of its own"
        );
        let status = site.focus.status().expect("a status");
        for (field, wanted) in
            [("recordings", "7"), ("pending", "0"), ("held", "0"), ("catalog_state", "in_step")]
        {
            assert_eq!(value(&page.body, field), wanted, "{path} {field}");
        }
        let through = status["complete_through"].as_str().unwrap_or_default();
        // A scan may have ended in between, and the next one moves both.
        assert_eq!(value(&page.body, "complete_through").len(), through.len(), "{path}");
        let head = ask(&site, "HEAD", path, BROWSER);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_page_are_kept_until_they_change() {
    let site = served(0).await;
    let files = files(&ask(&site, "GET", "/", BROWSER).body);
    assert!(files.iter().any(|file| file.starts_with("/page/style.css?v=")), "{files:?}");
    for file in &files {
        let first = ask(&site, "GET", file, "");
        assert_eq!(first.status, 200, "{file}");
        assert_eq!(
            first.header("cache-control"),
            Some("public, max-age=31536000, immutable"),
            "{file}"
        );
        // Heads are read in lower case, and this part of a tag is not.
        let tag = first.header("etag").expect("a tag").replace("w/", "W/");
        let again = ask(&site, "GET", file, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{file}");
        let head = ask(&site, "HEAD", file, "");
        assert_eq!(
            (head.status, head.header("etag"), head.body.as_str()),
            (200, first.header("etag"), ""),
            "{file}"
        );
        // Without its version, or with that of another server, it is asked for each time.
        let bare = file.split('?').next().expect("a path");
        for other in [bare.to_owned(), format!("{bare}?v=0")] {
            let answer = ask(&site, "GET", &other, "");
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (200, Some("private, no-cache")),
                "{other}"
            );
        }
    }
    assert_eq!(ask(&site, "GET", "/page/none.js", BROWSER).status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_of_an_error_by_a_page_and_a_program_by_a_problem() {
    let site = served(0).await;
    for (method, path, status) in [
        ("GET", "/nothing/here", 404),
        ("GET", "/outagess", 404),
        ("POST", "/coverage", 405),
        ("GET", "/page/none.css", 404),
    ] {
        let page = ask(&site, method, path, BROWSER);
        assert_eq!(page.status, status, "{method} {path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(
            page.header("content-security-policy")
                .is_some_and(|policy| policy.contains("style-src 'self'"))
        );
        assert!(page.body.contains("<h1>") && page.body.contains("href=\"/\""), "{}", page.body);
        let problem = ask(&site, method, path, "Accept: application/json\r\n");
        assert_eq!(problem.status, status, "{method} {path}");
        assert_eq!(problem.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(problem.header("allow"), page.header("allow"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_reading_needs_a_token_banners_do_too_and_files_do_not() {
    let mut site = Site::new(&[]);
    let settings = site.dir.path().join("focus.toml");
    std::fs::write(&settings, "read_needs_token = true\n").expect("settings");
    let settings = settings.display().to_string();
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &["--config", &settings]);
    site.focus.serve().await;
    assert_eq!(ask(&site, "GET", "/banners", "").status, 401);
    assert_eq!(ask(&site, "GET", "/page/style.css", "").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn banners_say_what_is_wrong_and_go_when_it_is_over() {
    let site = served(3).await;
    let banners = || ask(&site, "GET", "/banners", BROWSER).body;
    assert!(!banners().contains("data-banner"), "{}", banners());
    let (catalog, aside) = (site.state().join("catalog"), site.state().join("catalog-aside"));
    std::fs::rename(&catalog, &aside).expect("moved away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let words = banners();
    assert!(
        words.contains("data-banner=\"catalog\"") && words.contains("The catalog is away."),
        "{words}"
    );
    // Every page has the same.
    assert!(ask(&site, "GET", "/recordings", BROWSER).body.contains(&words));
    let _ = std::fs::remove_dir_all(&catalog);
    std::fs::rename(&aside, &catalog).expect("moved back");
    until("no banner is left", LIMIT, || async {
        let words = banners();
        if !words.contains("data-banner") { Ok(()) } else { Err(words) }
    })
    .await;
}
