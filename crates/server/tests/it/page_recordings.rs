//! The pages of recordings and of what is unrecognised: they show what the API answers, whatever stands in files.

use std::collections::BTreeSet;

use focus_testkit::tree::{Writing, write};
use serde_json::{Value, json};

use crate::pages::{Page, api, ask, has_a_head, is_kept, items, page, refused};
use crate::site::{LIMIT, Site};

async fn served(count: usize) -> Site {
    let mut site = Site::new(&[]);
    site.land(count);
    site.focus.serve().await;
    site.focus.until_status("recordings", count as u64, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site
}

/// The addresses of the rows of a list.
fn rows(page: &Page) -> Vec<String> {
    let address = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
    page.text.split("class=\"row\" href=\"").skip(1).map(address).collect()
}

/// The addresses that these recordings have.
fn addresses(items: &[Value]) -> Vec<String> {
    let encoded = |uuid: &str| -> String {
        let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        uuid.bytes().map(byte).collect()
    };
    let uuids = items.iter().filter_map(|one| one["uuid"].as_str());
    uuids.map(|uuid| format!("/recordings/{}", encoded(uuid))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_recordings_lists_what_the_api_lists_and_leads_through_its_pages() {
    let site = served(60).await;
    for query in [
        "",
        "?order=start",
        "?limit=7",
        "?state=catalogued",
        "?text=DAT",
        "?state=deleted&state=live",
    ] {
        let shown = page(&site, &format!("/recordings{query}"));
        let listed = items(&site, &format!("/api/v1/recordings{query}"));
        assert_eq!(rows(&shown), addresses(&listed), "{query}");
        for one in &listed {
            let start = one["start_time"].as_str().expect("a start");
            assert!(shown.text.contains(&format!("<time datetime=\"{start}\">")), "{one}");
        }
        is_kept(&shown, query);
    }
    // By its links alone, every recording comes once.
    let all = items(&site, "/api/v1/recordings?limit=1000");
    let (mut path, mut met) = ("/recordings?limit=13".to_owned(), Vec::new());
    loop {
        let shown = page(&site, &path);
        met.extend(rows(&shown));
        assert_eq!(shown.link("First page").is_some(), path.contains("cursor="));
        let Some(next) = shown.link("Next page") else { break };
        path = next;
    }
    assert_eq!(met, addresses(&all));
    // The rest is counted where that is asked for.
    let first = page(&site, "/recordings?limit=13");
    let counted = page(&site, &first.link("Count them").expect("a link"));
    assert!(
        counted.text.contains(&format!("{} after them", all.len() - 13)),
        "{}",
        counted.content()
    );
    has_a_head(&site, "/recordings?limit=13");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_a_script_leads_to_a_tidy_address_and_filters_are_chips() {
    let site = served(10).await;
    let sent =
        "/recordings?text=&from=2020-01-01T00:00&to=&root=&order=&meta_key=sensor&meta_value=a%26b";
    let answer = ask(&site, "GET", sent);
    assert_eq!(answer.status, 303, "{answer:?}");
    let tidy = answer.header("location").expect("a place").to_owned();
    assert_eq!(tidy, "/recordings?from=2020-01-01T00:00Z&meta.sensor=a%26b");
    let shown = page(&site, &tidy);
    assert!(
        shown.text.contains("href=\"/recordings?from=2020-01-01T00:00Z\""),
        "{}",
        shown.content()
    );
    assert!(shown.text.contains("value=\"2020-01-01T00:00:00\""), "{}", shown.content());
    assert!(
        shown.content().contains("No recording is as these filters ask"),
        "{}",
        shown.content()
    );
    assert!(shown.text.contains("type=\"hidden\" name=\"meta.sensor\" value=\"a&amp;b\""));
    assert_eq!(shown.link("Show all recordings").as_deref(), Some("/recordings"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_of_a_list_is_refused_as_a_page() {
    let site = served(3).await;
    let other = api(&site, "/api/v1/recordings?limit=1")["next_cursor"].clone();
    let other =
        format!("/recordings?limit=1&order=start&cursor={}", other.as_str().expect("a cursor"));
    refused(
        &site,
        &[
            ("/recordings?frm=1", "frm"),
            ("/recordings?from=yesterday", "from"),
            ("/recordings?from=9&to=8", "from"),
            ("/recordings?state=gone", "state"),
            ("/recordings?limit=0", "limit"),
            ("/recordings?root=%3Cscript%3E", "root"),
            ("/recordings?order=sideways", "order"),
            ("/recordings?meta.=x", "meta."),
            ("/recordings?text=%ff", "UTF-8"),
            ("/recordings?cursor=%3Cscript%3E", "cursor"),
            (&other, "cursor"),
            ("/recordings/x?a=1", "a"),
            ("/unrecognised?state=good", "state"),
            ("/unrecognised?cursor=x", "cursor"),
            ("/unrecognised?root=nowhere", "root"),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_recording_shows_everything_that_the_api_answers() {
    let site = served(12).await;
    for one in items(&site, "/api/v1/recordings?state=catalogued&state=live&state=deleted") {
        let uuid = one["uuid"].as_str().expect("a uuid");
        let whole = api(&site, &format!("/api/v1/recordings/{uuid}"));
        let shown = page(&site, &format!("/recordings/{uuid}"));
        for field in [
            "start_time",
            "end_time",
            "first_seen_at",
            "acknowledged_at",
            "root",
            "size",
            "recording_id",
            "uuid",
            "fingerprint",
        ] {
            let wanted = match &whole[field] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(shown.values(field), [wanted], "{field}: {}", shown.content());
        }
        let state = whole["state"].as_str().expect("a state");
        assert!(
            shown.content().contains(&format!("</span> {state}</span>")),
            "{}",
            shown.content()
        );
        for key in whole["metadata"].as_object().expect("fields").keys() {
            assert!(
                shown.text.contains(&format!("<dt><bdi class=\"foreign\">{key}</bdi></dt>")),
                "{key}"
            );
        }
        let json = shown.link("As JSON").expect("a link");
        assert_eq!(api(&site, &json)["uuid"], uuid);
        assert!(
            shown
                .link("Coverage around it")
                .is_some_and(|link| link.starts_with("/coverage?from="))
        );
        has_a_head(&site, &format!("/recordings/{uuid}"));
    }
    let none = ask(&site, "GET", "/recordings/%3Cscript%3E%E2%80%AE");
    assert_eq!(none.status, 404);
    is_kept(&none, "unknown");
    assert!(none.content().contains("It is complete through <time"), "{}", none.content());
}

/// A sidecar with everything that could turn a page over.
fn hostile() -> Value {
    let deep = (0..60).fold(json!("<script>"), |value, n| json!({ format!("level{n}"): value }));
    let mut sidecar = json!({
        "start_time": 1_700_000_000,
        "uuid": "<script>alert(1)</script>/\u{202e}?#&\"'",
        "markup": "</dd><script>alert(1)</script><img src=x onerror=\"alert(1)\">",
        "bidi": "\u{202e}txt.exe\u{2066}",
        "control": "\u{7}\u{1b}[31m",
        "long": "x".repeat(50_000),
        "<img src=x>": ["<b>", null, true, 1.5, "5", ""],
        "deep": deep,
    });
    for n in 0..1_000 {
        sidecar[format!("key{n:04}")] = json!(n);
    }
    sidecar
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_metadata_change_nothing_on_a_page() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    let put = |name: &str, text: &str| write(&root, name, text.as_bytes(), Writing::Moved);
    let names = ["<script>alert(1)<", "\u{202e}tad", &"n".repeat(240), "a b&c=\"d\"'"];
    for (n, name) in names.iter().enumerate() {
        let mut sidecar = hostile();
        if n > 0 {
            sidecar["uuid"] = json!(format!("u{n}"));
        }
        put(&format!("{name}.dat"), "x");
        put(&format!("{name}.json"), &sidecar.to_string());
        put(&format!("{name}-bad.dat").replace(&"n".repeat(240), &"m".repeat(240)), "x");
    }
    put("broken.dat", "x");
    put("broken.json", "{\"start_time\": 1,\n \"<script>\": \"\u{202e}\", \"<script>\": 2}");
    site.focus.serve().await;
    site.focus.until_status("recordings", 4, LIMIT).await;
    site.focus.until_status("unrecognised", 5, LIMIT).await;
    let list = page(&site, "/recordings");
    is_kept(&list, "/recordings");
    assert_eq!(rows(&list).len(), 4);
    for path in rows(&list) {
        let shown = page(&site, &path);
        is_kept(&shown, &path);
        assert!(shown.text.contains("and 966 more"), "{path}: {}", shown.content());
        assert!(shown.text.len() < 400_000, "{path}: {}", shown.text.len());
    }
    let bad = page(&site, "/unrecognised");
    is_kept(&bad, "/unrecognised");
    assert!(bad.content().contains("line 2, column"), "{}", bad.content());
    is_kept(&page(&site, "/recordings?text=%3Cscript%3E"), "text");
    is_kept(&page(&site, "/recordings?meta.%3Cscript%3E=%3Cimg%20src%3Dx%3E"), "meta");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_anything_says_what_that_means() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    site.in_step().await;
    for (path, words) in [
        ("/recordings", "There is no recording yet"),
        ("/unrecognised", "every recording on storage can be catalogued"),
        ("/unrecognised?state=time_invalid", "None is as these filters ask"),
        ("/outages", "There was no outage"),
        ("/drills", "No drill has been made"),
    ] {
        let shown = page(&site, path);
        assert!(shown.content().contains(words), "{path}: {}", shown.content());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unrecognised_is_shown_by_reason_with_what_to_do_and_where() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    let put = |name: &str, text: &str| write(&root, name, text.as_bytes(), Writing::Moved);
    for n in 0..15 {
        put(&format!("lonely-{n}.dat"), "x");
        put(&format!("untimed-{n}.dat"), "x");
        put(&format!("untimed-{n}.json"), "{\"start_time\": \"yesterday\"}");
    }
    site.focus.serve().await;
    site.focus.until_status("unrecognised", 30, LIMIT).await;
    let counts = site.focus.status().expect("a status")["unrecognised_by_state"].clone();
    let whole = page(&site, "/unrecognised");
    for (state, count) in counts.as_object().expect("counts") {
        let shown: Vec<String> = if count == 0 { Vec::new() } else { vec![count.to_string()] };
        assert_eq!(whole.values(state), shown, "{state}");
    }
    assert!(whole.content().contains("What to do: "));
    let states = |page: &Page| -> Vec<String> {
        let state = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
        page.text.split("<tr data-state=\"").skip(1).map(state).collect()
    };
    let of_api = |query: &str| -> Vec<String> {
        let all = items(&site, &format!("/api/v1/unrecognised{query}"));
        all.iter().filter_map(|one| one["state"].as_str().map(str::to_owned)).collect()
    };
    for query in
        ["", "?state=time_invalid", "?state=time_invalid&state=data_without_sidecar&limit=20"]
    {
        assert_eq!(
            states(&page(&site, &format!("/unrecognised{query}"))),
            of_api(query),
            "{query}"
        );
    }
    let untimed = page(&site, "/unrecognised?state=time_invalid");
    assert_eq!(
        untimed.content().matches("line 1, column 16").count(),
        30,
        "in the reason, and beside it"
    );
    let (mut path, mut met) = ("/unrecognised?limit=7".to_owned(), BTreeSet::new());
    loop {
        let shown = page(&site, &path);
        let of_rows = shown.text.split("<td class=\"path\">").skip(1);
        met.extend(of_rows.map(|rest| rest.split("</bdi>").next().unwrap_or_default().to_owned()));
        let Some(next) = shown.link("Next page") else { break };
        path = next;
    }
    assert_eq!(met.len(), 30);
    has_a_head(&site, "/unrecognised?limit=7");
}
