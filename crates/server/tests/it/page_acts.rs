//! The pages on which somebody sees what is going on, and acts: now, held, drift, alerts.

use std::fs;

use focus_testkit::wait::until;

use crate::held::gone;
use crate::security::{address, token};
use crate::site::{LIMIT, Site};
use crate::visitor::{Seen, Visitor};

/// The value of a hidden field of the page.
fn field(seen: &Seen, name: &str) -> String {
    let begins = format!("name=\"{name}\" value=\"");
    let (_, rest) = seen.body.split_once(&begins).unwrap_or_else(|| panic!("no {name}: {seen:?}"));
    rest.split('"').next().expect("a value").to_owned()
}

/// A page once it shows a text.
async fn shows(visitor: &mut Visitor, path: &str, text: &str) -> Seen {
    let shown = std::cell::RefCell::new(None);
    let visitor = std::cell::RefCell::new(visitor);
    until(&format!("{path} shows {text}"), LIMIT, || async {
        let seen = visitor.borrow_mut().get(path);
        if seen.body.contains(text) {
            shown.replace(Some(seen));
            return Ok(());
        }
        Err(format!("{seen:?}"))
    })
    .await;
    shown.into_inner().expect("shown")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_shows_every_part_and_what_is_wrong() {
    let mut site = Site::new(&["--scan-interval-ms", "1000"]);
    site.land(3);
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let mut visitor = Visitor::of(&address(&site));
    let seen = shows(&mut visitor, "/", "Everything is in order.").await;
    for part in ["Catalog", "Index", "Text index", "Alerts", "Storage", "Lease", "Watch"] {
        assert!(seen.body.contains(&format!("<span class=\"name\">{part}")), "{part}: {seen:?}");
    }
    assert!(seen.body.contains("since the start, <time"), "{seen:?}");
    assert!(seen.body.contains("No outage of the catalog is known"), "{seen:?}");

    let root = site.tree.root().to_owned();
    let away = root.with_extension("away");
    fs::rename(&root, &away).expect("moved away");
    let seen = shows(&mut visitor, "/", "data-banner=\"stale\"").await;
    assert!(seen.body.contains("data-banner=\"root\""), "{seen:?}");
    assert!(seen.body.contains("Something is wrong: the storage of"), "{seen:?}");
    let alone = visitor.get("/banners");
    assert!(alone.body.starts_with("<div id=\"banners\">"), "{alone:?}");
    assert!(alone.body.contains("data-banner=\"stale\""), "{alone:?}");
    fs::rename(&away, &root).expect("moved back");
    shows(&mut visitor, "/", "Everything is in order.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_set_that_was_shown_is_approved_though_more_is_held_meanwhile() {
    let mut site = gone(12).await;
    let address = address(&site);
    let seen = Visitor::of(&address).get("/held");
    assert!(seen.body.contains("/sign-in?next=%2Fheld"), "it says what is needed: {seen:?}");
    assert!(!seen.body.contains("Approve"), "{seen:?}");
    let mut visitor = Visitor::signed_in(&address, &token(&site));
    let seen = visitor.get("/held");
    for planted in &site.planted {
        assert!(seen.body.contains(&planted.path), "{} in {seen:?}", planted.path);
    }
    assert!(seen.body.contains("Approve these 12 deletions"), "{seen:?}");
    let (root, through) = (field(&seen, "root"), field(&seen, "through"));

    site.land(3);
    let landed = site.planted.split_off(12);
    site.focus.until_status("recordings", 15, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    for planted in &landed {
        let data = site.tree.root().join(&planted.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
    }
    site.focus.until_status("held", 15, LIMIT).await;
    let path = format!("/held?root={root}&through={through}&limit=5");
    let page = visitor.get(&path);
    assert!(page.body.contains("More have been held since"), "{page:?}");
    let mut listed = 0;
    let mut next = Some(path);
    while let Some(path) = next {
        let page = visitor.get(&path);
        assert_eq!(page.status, 200, "{page:?}");
        listed += page.body.matches("href=\"/recordings/").count();
        for planted in &landed {
            assert!(!page.body.contains(&planted.path), "{page:?}");
        }
        let link = page.body.split_once(">Next page<").map(|(before, _)| {
            let (_, link) = before.rsplit_once("href=\"").expect("a link");
            link.split('"').next().expect("a link").replace("&amp;", "&")
        });
        next = link;
    }
    assert_eq!(listed, 12);

    let csrf = seen.csrf();
    let form = |csrf: &str| {
        [("csrf", csrf.to_owned()), ("root", root.clone()), ("through", through.clone())]
    };
    let sent = |visitor: &mut Visitor, csrf: &str| {
        let form = form(csrf);
        let fields: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visitor.post("/held", &fields, "")
    };
    assert_eq!(sent(&mut visitor, "wrong").status, 403);
    let refused = sent(&mut visitor.only("reading"), &csrf);
    assert_eq!((refused.status, refused.location()), (303, "/sign-in?next=%2Fheld"), "{refused:?}");
    assert_eq!(site.focus.status().expect("a status")["held"], 15, "nothing is approved yet");
    let done = sent(&mut visitor, &csrf);
    assert_eq!(done.status, 303, "{done:?}");
    assert!(done.location().starts_with("/held?root="), "{done:?}");
    site.focus.until_status("held", 3, LIMIT).await;
    site.focus.until_status("deleted", 12, LIMIT).await;
    shows(&mut visitor, "/held", "12 approved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_started_and_shown_on_the_page_of_drift() {
    let mut site = Site::new(&[]);
    site.land(3);
    site.focus.serve().await;
    site.in_step().await;
    let address = address(&site);
    let seen = Visitor::of(&address).get("/drift");
    assert!(seen.body.contains("Nothing has been verified"), "{seen:?}");
    assert!(!seen.body.contains("value=\"verify\""), "not signed in: {seen:?}");
    let mut visitor = Visitor::signed_in(&address, &token(&site));
    let csrf = visitor.get("/drift").csrf();
    let seen = visitor.post("/drift", &[("csrf", &csrf), ("act", "verify")], "");
    assert_eq!((seen.status, seen.location()), (303, "/drift#jobs"), "{seen:?}");
    let seen = shows(&mut visitor, "/drift", "Storage and catalog agree.").await;
    assert!(seen.body.contains("in order"), "{seen:?}");
    for (fields, status) in [
        ([("csrf", csrf.as_str()), ("act", "forget")], 400),
        ([("csrf", ""), ("act", "repair")], 403),
        ([("csrf", csrf.as_str()), ("job", "1")], 400),
    ] {
        let seen = visitor.post("/drift", &fields, "");
        assert_eq!(seen.status, status, "{fields:?}: {seen:?}");
        assert!(seen.body.starts_with("<!DOCTYPE html>"), "{seen:?}");
    }
    let ended = [("csrf", csrf.as_str()), ("act", "cancel"), ("job", "1")];
    assert_eq!(visitor.post("/drift", &ended, "").status, 409);
    let unknown = [("csrf", csrf.as_str()), ("act", "cancel"), ("job", "77")];
    assert_eq!(visitor.post("/drift", &unknown, "").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_silenced_and_its_silence_ended_on_the_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("focus.toml");
    let text = "[alerts.rules.storage_unavailable]\nafter_ms = 0\nclear_after_ms = 1000\n";
    fs::write(&file, text).expect("settings");
    let mut site = Site::new(&["--config", &file.display().to_string()]);
    site.land(1);
    site.focus.serve().await;
    site.focus.until_status("recordings", 1, LIMIT).await;
    let root = site.tree.root().to_owned();
    fs::rename(&root, root.with_extension("away")).expect("moved away");
    let mut visitor = Visitor::signed_in(&address(&site), &token(&site));
    let seen = shows(&mut visitor, "/alerts", "storage unavailable").await;
    let fields = [
        ("csrf", seen.csrf()),
        ("act", "silence".to_owned()),
        ("rule", field(&seen, "rule")),
        ("root", field(&seen, "root")),
        ("for_ms", "1800000".to_owned()),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = visitor.post("/alerts", &fields, "");
    assert_eq!((sent.status, sent.location()), (303, "/alerts"), "{sent:?}");
    let seen = visitor.get("/alerts");
    assert!(seen.body.contains("nobody is told that it fires"), "{seen:?}");
    let silence = field(&seen, "silence");
    let csrf = seen.csrf();
    let end = [("csrf", csrf.as_str()), ("act", "end"), ("silence", &silence)];
    assert_eq!(visitor.post("/alerts", &end, "").status, 303);
    assert!(!visitor.get("/alerts").body.contains("id=\"silences\""));
    assert_eq!(visitor.post("/alerts", &end, "").status, 404, "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_storage_is_text_on_the_page_of_held_deletions() {
    let mut site = Site::new(&[]);
    site.land(12);
    let name = format!("<img src=x onerror=alert(1)>\u{202e}{}", "x".repeat(200));
    let hostile = site.tree.root().join(&name);
    let sidecar = "{\"uuid\":\"<i>u\",\"start_time\":1700000000000,\"end_time\":1700000000001}";
    fs::write(format!("{}.json", hostile.display()), sidecar).expect("written");
    fs::write(format!("{}.dat", hostile.display()), "data").expect("written");
    site.focus.serve().await;
    site.focus.until_status("recordings", 13, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let kept = |name: &std::ffi::OsStr| name == ".focus-root";
    for entry in fs::read_dir(site.tree.root()).expect("a folder") {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("a type").is_dir() {
            true => fs::remove_dir_all(entry.path()).expect("removed"),
            false if kept(&entry.file_name()) => {}
            false => fs::remove_file(entry.path()).expect("removed"),
        }
    }
    site.focus.until_status("held", 13, LIMIT).await;
    let mut visitor = Visitor::signed_in(&address(&site), &token(&site));
    let seen = visitor.get("/held");
    assert!(seen.body.contains("&lt;img src=x onerror=alert(1)&gt;\\u{202e}xxx"), "{seen:?}");
    assert!(!seen.body.contains("<img") && !seen.body.contains('\u{202e}'), "{seen:?}");
    assert!(seen.body.contains("Approve these 13 deletions"), "{seen:?}");
}
