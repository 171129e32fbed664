//! The parameters of the service, for the description of the interface. They are read by `focus_core::fdsn`.

use utoipa::IntoParams;

/// What both methods take.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub(super) struct Parameters {
    /// Networks, apart by commas, with `?` and `*`. Also `net`.
    network: Option<String>,
    /// Stations, as networks. Also `sta`.
    station: Option<String>,
    /// Locations, as networks; `--` is the empty one. Also `loc`.
    location: Option<String>,
    /// Channels, as networks. Also `cha`.
    channel: Option<String>,
    /// From this time on, `YYYY-MM-DDTHH:MM:SS` of UTC, with a fraction or as a date alone. Also `start`.
    starttime: Option<String>,
    /// Up to this time. Also `end`.
    endtime: Option<String>,
    /// Qualities, apart by commas: `D`, `R`, `Q`, `M`, or `*` for all.
    quality: Option<String>,
    /// What is not told apart: `quality`, `samplerate`, `overlap`, apart by commas.
    merge: Option<String>,
    /// `nslc_time_quality_samplerate` (the default), `timespancount`, `timespancount_desc`, `latestupdate` or
    /// `latestupdate_desc`.
    orderby: Option<String>,
    /// Rows at most: a whole number above 0.
    limit: Option<String>,
    /// `true` or `false`. Nothing is restricted.
    includerestricted: Option<String>,
    /// `text` (the default), `geocsv`, `json` or `request`.
    format: Option<String>,
    /// The status where nothing is there: `204` (the default) or `404`.
    nodata: Option<String>,
    /// `latestupdate`: the time of the last update is shown.
    show: Option<String>,
}

/// What `query` takes besides.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub(super) struct Gaps {
    /// Gaps that are no longer than this are none, seconds.
    mergegaps: Option<String>,
}
