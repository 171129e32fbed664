//! Pages of recordings while recordings land, move and go: a walk over all of them meets each that stayed exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::site::{LIMIT, Site};

/// Recordings that stay, and as many that come and go.
const STAY: usize = 300;

/// Walks of each kind.
const WALKS: usize = 6;

fn write(root: &Path, folder: &str, name: &str, minute: usize) {
    fs::create_dir_all(root.join(folder)).expect("a folder");
    let at = |minute: usize| 1_714_564_800_000_i64 + i64::try_from(minute).expect("small") * 60_000;
    let sidecar = json!({ "uuid": name, "start_time": at(minute), "end_time": at(minute + 3), "site": "hill" });
    fs::write(root.join(format!("{folder}/{name}.dat")), "data").expect("data");
    fs::write(root.join(format!("{folder}/{name}.json")), sidecar.to_string()).expect("a sidecar");
}

fn rename(root: &Path, from: &str, to: &str, name: &str) {
    fs::create_dir_all(root.join(to)).expect("a folder");
    for end in ["dat", "json"] {
        let file = format!("{name}.{end}");
        fs::rename(root.join(from).join(&file), root.join(to).join(&file)).expect("moved");
    }
}

fn remove(root: &Path, folder: &str, name: &str) {
    for end in ["dat", "json"] {
        fs::remove_file(root.join(format!("{folder}/{name}.{end}"))).expect("removed");
    }
}

/// Recordings land between those that stay, move from folder to folder, and go, until told to stop. How many landed.
fn stir(root: &Path, is_over: &AtomicBool) -> usize {
    let mut landed = 0;
    while !is_over.load(Ordering::Relaxed) {
        let name = format!("comes-{landed}");
        write(root, "x", &name, landed % STAY);
        landed += 1;
        if landed % 3 == 0 {
            rename(root, "x", "y", &name);
        }
        if landed > 30 {
            // Of the two folders, it is in that to which it was moved or not.
            let number = landed - 30;
            let folder = if number % 3 == 0 { "y" } else { "x" };
            remove(root, folder, &format!("comes-{}", number - 1));
        }
        thread::yield_now();
    }
    landed
}

/// Walks over all pages of a query: how often each recording was met.
fn walk(site: &Site, query: &str) -> BTreeMap<String, usize> {
    let mut met = BTreeMap::new();
    let mut cursor = String::new();
    for _ in 0..10_000 {
        let page = site.focus.get(&format!("/api/v1/recordings?limit=17&{query}{cursor}"));
        let page: Value = serde_json::from_str(&page.expect("a page")).expect("JSON");
        for item in page["items"].as_array().expect("items") {
            *met.entry(item["uuid"].as_str().expect("a uuid").to_owned()).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return met,
        }
    }
    panic!("a walk without an end: {query}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_all_pages_meets_each_that_stayed_once_while_others_land_move_and_go() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    let name = |n: usize| format!("stays-{n}");
    (0..STAY).for_each(|n| write(&root, &format!("f{}", n % 7), &name(n), n));
    site.focus.serve().await;
    site.focus.until_status("recordings", STAY as u64, LIMIT).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let stirs = {
        let (root, is_over) = (root.clone(), Arc::clone(&is_over));
        thread::spawn(move || stir(&root, &is_over))
    };
    let all: Vec<String> = (0..STAY).map(name).collect();
    // Minutes from 100 to 199, which recordings of three minutes overlap from minute 97 on.
    let window = "from=1714570800000&to=1714576740000";
    let within: Vec<String> = (97..200).map(name).collect();
    for n in 0..WALKS {
        // Those that stay move, too: their uuid is what they are known by.
        let moving = format!("stays-{}", n * 11);
        rename(&root, &format!("f{}", n * 11 % 7), "moved", &moving);
        for (query, stayed) in [
            ("", &all),
            ("order=start", &all),
            ("text=stays", &all),
            ("meta.site=hill", &all),
            (window, &within),
            (&*format!("{window}&order=start"), &within),
        ] {
            let met = walk(&site, query);
            let twice: Vec<_> = met.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "{query}: {twice:?}");
            let missed: Vec<_> = stayed.iter().filter(|name| !met.contains_key(*name)).collect();
            assert!(missed.is_empty(), "{query}: {missed:?}");
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let landed = stirs.join().expect("it ends");
    assert!(landed > 100, "{landed} landed meanwhile");
    site.focus.stop();
}
