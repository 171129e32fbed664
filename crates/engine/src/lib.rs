//! The engine: storage, index and catalog meet here, and it carries out what the core decides.
//!
//! What lands on storage takes this way through the modules:
//!
//! | Step | Module | What it does |
//! |---|---|---|
//! | everything | `engine`, `error` | starts and stops the threads and tasks below |
//! | storage | `root`, `present_root`, `served_root` | one thread a root opens it and begins anew when it returns |
//! | | `recognising` | tells which root a folder is that has lost its marker |
//! | | `form` | what a pair is in a root, now and when the index was made |
//! | | `markers` | of roots that are one, one is served |
//! | | `watching`, `scanner`, `scan` | the watch and the scans tell where to look |
//! | | `hints` | takes hints from outside, and tells what came of them |
//! | | `inbox` | holds what is to be looked at, bounded |
//! | index | `observer` | looks, has the core judge, stores what it is |
//! | | `ingest` | takes recordings that are handed over, and has them looked at |
//! | | `forgetting` | drops a root that is not configured any more |
//! | | `absence`, `approval` | proves that files are gone before a deletion is marked or held |
//! | | `index_fault` | tells that the index cannot be used |
//! | catalog | `writing`, `lease`, `driver`, `job_runner` | hold the lease and carry out the reconciler's jobs |
//! | | `pending`, `no_recovery`, `unrecognised`, `blocking`, `window` | what the jobs read from index and catalog |
//! | | `changes` | follow what others change in the catalog |
//! | | `written` | counts the writes by their outcome |
//! | | `view` | what the status shows of a reconciler |
//! | | `outage` | remembers when the catalog was away |
//! | | `step_log` | what the log tells of each job |
//! | people | `preview` | shows what would be catalogued of a few pairs |
//! | | `status`, `fill`, `metrics`, `handover`, `pass`, `verify` | tell how things are, and whether the catalog is true to storage |

mod absence;
mod approval;
mod blocking;
mod changes;
mod comparison_cost;
mod driver;
mod engine;
mod error;
mod fill;
mod forgetting;
mod form;
mod handover;
mod hints;
mod inbox;
mod index_fault;
mod indexing;
mod ingest;
mod job_runner;
mod known_folders;
mod lease;
mod markers;
mod metrics;
mod no_recovery;
mod observer;
mod outage;
mod pass;
mod pending;
mod present_root;
mod preview;
mod recognising;
mod root;
mod scan;
mod scanner;
mod served_root;
mod status;
mod step_log;
mod text_indexing;
mod unrecognised;
mod verify;
mod view;
mod watching;
mod window;
mod writing;
mod written;

pub use approval::HeldRoot;
pub use engine::{CATALOG_FILE, Engine, INDEX_FILE};
pub use error::StartError;
pub use forgetting::{ForgetError, ForgottenRoot, forget};
pub use handover::RootHolder;
pub use hints::HintCounts;
pub use indexing::indexed_key;
pub use ingest::{Ingest, IngestError, Receiving};
pub use markers::roots_that_are_one;
pub use metrics::RootFacts;
pub use outage::kept_outages;
pub use preview::{Preview, Previewed, PreviewedPair, preview};
pub use recognising::{RecogniseError, Recognised, recognise_folder};
pub use status::{Completeness, PassReport, removed_roots};
pub use text_indexing::text_index;
pub use verify::comparison::{Compared, ComparedRoot};
pub use verify::result::{Difference, ReportedFinding, Verification, VerifyError};
pub use verify::sidecars::Sidecars;
