//! Follows the coming and going of the catalog's file.

use std::sync::Arc;
use std::time::Duration;

use focus_core::answer::Class;

use super::file::CatalogFile;
use crate::Reach;

/// The time between two looks at the file.
const LOOK: Duration = Duration::from_millis(100);

/// Follows the file until it is aborted. `make`: a missing file is made, until one has been met.
pub(super) async fn run(file: Arc<CatalogFile>, mut make: bool) {
    let mut epoch = 0;
    loop {
        let looking = Arc::clone(&file);
        let looked = tokio::task::spawn_blocking(move || looking.look(make)).await;
        match looked {
            Ok(Ok(true)) => {
                epoch += 1;
                make = false;
                file.reach.send_replace(Reach::Up { epoch });
            }
            Ok(Ok(false)) => {}
            Ok(Err(failure)) => {
                let refused = failure.class == Class::RefusedClient;
                file.reach.send_if_modified(|reach| {
                    // Down for another reason than before is told too.
                    let known = matches!(reach, Reach::Down { why, refused: before, .. }
                        if *why == failure.words && *before == refused);
                    let news = !known;
                    if news {
                        *reach = Reach::Down { why: failure.words, refused };
                    }
                    news
                });
            }
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = file.doubt.notified() => {}
        }
    }
}
