//! The ways in which a drill plants its recordings.

/// How the drill plants recordings, where no command of the site's own does.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PlantBy {
    /// Writes their files to storage
    #[default]
    Files,
    /// Hands them over to the server: `POST /api/v1/recordings`
    Ingest,
}
