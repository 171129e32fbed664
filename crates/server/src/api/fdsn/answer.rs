//! The forms of the answers: columns, GeoCSV 2.0, JSON and lines of a request for data.

use std::fmt::Write;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use focus_common::clock;
use focus_core::fdsn::{Channel, Code, Format, Kind, Order, Request};
use serde_json::{Value, json};

/// The answer of a request.
pub(super) fn response(request: &Request, channels: &[Channel]) -> Response {
    let (kind, body) = match request.format {
        Format::Text => ("text/plain; charset=utf-8", columns(request, channels)),
        Format::GeoCsv => ("text/csv; charset=utf-8", geocsv(request, channels)),
        Format::Json => ("application/json", in_json(request, channels).to_string()),
        Format::Request => ("text/plain; charset=utf-8", lines(request, channels)),
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Microseconds, as the specification has them.
fn time(ms: i64) -> String {
    let text = clock::rfc3339(ms);
    match text.strip_suffix('Z') {
        Some(text) => format!("{text}000Z"),
        None => text,
    }
}

/// Which columns there are.
struct Columns {
    quality: bool,
    sample_rate: bool,
    updated: bool,
    extent: bool,
}

impl Columns {
    fn of(request: &Request, channels: &[Channel]) -> Columns {
        let extent = request.kind == Kind::Extent;
        Columns {
            quality: !request.merge.quality,
            sample_rate: channels.iter().any(|channel| channel.code.sample_rate.is_some()),
            updated: extent || request.shows_updated,
            extent,
        }
    }

    /// Names with their units and types in GeoCSV.
    fn heads(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let mut heads = vec![
            ("Network", "unitless", "string"),
            ("Station", "unitless", "string"),
            ("Location", "unitless", "string"),
            ("Channel", "unitless", "string"),
        ];
        heads.extend(self.quality.then_some(("Quality", "unitless", "string")));
        heads.extend(self.sample_rate.then_some(("SampleRate", "hertz", "float")));
        heads.push(("Earliest", "ISO_8601", "datetime"));
        heads.push(("Latest", "ISO_8601", "datetime"));
        heads.extend(self.updated.then_some(("Updated", "ISO_8601", "datetime")));
        if self.extent {
            heads.push(("TimeSpans", "unitless", "integer"));
            heads.push(("Restriction", "unitless", "string"));
        }
        heads
    }

    fn cells(&self, channel: &Channel, (from_ms, to_ms): (i64, i64), empty: &str) -> Vec<String> {
        let code = &channel.code;
        let location = if code.location.is_empty() { empty } else { &code.location };
        let mut cells = vec![
            code.network.clone(),
            code.station.clone(),
            location.to_owned(),
            code.channel.clone(),
        ];
        cells.extend(self.quality.then(|| code.quality.clone()));
        cells.extend(self.sample_rate.then(|| rate(code)));
        cells.extend([time(from_ms), time(to_ms)]);
        cells.extend(self.updated.then(|| time(channel.updated_ms)));
        if self.extent {
            cells.push(channel.spans.len().to_string());
            cells.push("OPEN".to_owned());
        }
        cells
    }
}

/// With a decimal point, as a float has one.
fn rate(code: &Code) -> String {
    let number = code.sample_rate.as_deref().and_then(|rate| rate.parse::<f64>().ok());
    number.map_or_else(String::new, |number| format!("{number:?}"))
}

/// The rows: spans of a query, channels of an extent.
fn rows<'a>(request: &Request, channels: &'a [Channel]) -> Vec<(&'a Channel, (i64, i64))> {
    let mut rows = Vec::new();
    for channel in channels {
        match (request.kind, channel.spans.first(), channel.spans.last()) {
            (Kind::Query, _, _) => rows.extend(channel.spans.iter().map(|span| (channel, *span))),
            (Kind::Extent, Some(first), Some(last)) => rows.push((channel, (first.0, last.1))),
            (Kind::Extent, _, _) => {}
        }
    }
    // By code, which has the channels together, and then by time.
    debug_assert!(request.order != Order::Codes || rows.is_sorted_by_key(|row| &row.0.code));
    rows
}

fn columns(request: &Request, channels: &[Channel]) -> String {
    let columns = Columns::of(request, channels);
    let mut table: Vec<Vec<String>> =
        vec![columns.heads().into_iter().map(|(name, _, _)| name.to_owned()).collect()];
    table[0][0].insert(0, '#');
    let rows = rows(request, channels);
    table.extend(rows.into_iter().map(|(channel, span)| columns.cells(channel, span, "--")));
    let widths: Vec<usize> = (0..table[0].len())
        .map(|at| table.iter().map(|row| row[at].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join(" ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn geocsv(request: &Request, channels: &[Channel]) -> String {
    let columns = Columns::of(request, channels);
    let heads = columns.heads();
    let joined = |part: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
        heads.iter().map(part).collect::<Vec<_>>().join("|")
    };
    let mut text = format!(
        "#dataset: GeoCSV 2.0\n#delimiter: |\n#field_unit: {}\n#field_type: {}\n{}\n",
        joined(|head| head.1),
        joined(|head| head.2),
        joined(|head| head.0),
    );
    for (channel, span) in rows(request, channels) {
        text.push_str(&columns.cells(channel, span, "").join("|"));
        text.push('\n');
    }
    text
}

fn lines(request: &Request, channels: &[Channel]) -> String {
    let mut text = String::new();
    for (channel, (from_ms, to_ms)) in rows(request, channels) {
        let code = &channel.code;
        let location = if code.location.is_empty() { "--" } else { &code.location };
        let _ = writeln!(
            text,
            "{} {} {location} {} {} {}",
            code.network,
            code.station,
            code.channel,
            time(from_ms),
            time(to_ms)
        );
    }
    text
}

fn in_json(request: &Request, channels: &[Channel]) -> Value {
    let sources = channels.iter().map(|channel| {
        let code = &channel.code;
        let mut source = json!({
            "network": code.network,
            "station": code.station,
            "location": code.location,
            "channel": code.channel,
        });
        if !request.merge.quality {
            source["quality"] = json!(code.quality);
        }
        if let Some(rate) = code.sample_rate.as_deref().and_then(|rate| rate.parse::<f64>().ok()) {
            source["samplerate"] = json!(rate);
        }
        if request.kind == Kind::Extent {
            let (first, last) = (channel.spans.first(), channel.spans.last());
            source["earliest"] = json!(first.map(|span| time(span.0)));
            source["latest"] = json!(last.map(|span| time(span.1)));
            source["timespanCount"] = json!(channel.spans.len());
            source["restriction"] = json!("OPEN");
        } else {
            let spans =
                channel.spans.iter().map(|(from_ms, to_ms)| json!([time(*from_ms), time(*to_ms)]));
            source["timespans"] = spans.collect();
        }
        if request.kind == Kind::Extent || request.shows_updated {
            source["updated"] = json!(time(channel.updated_ms));
        }
        source
    });
    json!({
        "created": time(clock::wall_ms()),
        "version": 1.0,
        "datasources": sources.collect::<Vec<_>>(),
    })
}

/// The description of the service in WADL.
pub(super) fn wadl(host: &str) -> String {
    let names = [
        "network",
        "station",
        "location",
        "channel",
        "starttime",
        "endtime",
        "quality",
        "merge",
        "orderby",
        "limit",
        "includerestricted",
        "format",
        "nodata",
        "show",
    ];
    let parameter =
        |name: &str| format!("<param name=\"{name}\" style=\"query\" type=\"xs:string\"/>");
    let shared: String = names.iter().map(|name| parameter(name)).collect();
    let method = |path: &str, more: &str| {
        format!(
            "<resource path=\"{path}\"><method name=\"GET\"><request>{shared}{more}</request><response status=\"200\"><representation mediaType=\"text/plain\"/><representation mediaType=\"text/csv\"/><representation mediaType=\"application/json\"/></response></method><method name=\"POST\"/></resource>"
        )
    };
    let (query, extent) = (method("query", &parameter("mergegaps")), method("extent", ""));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<application xmlns=\"http://wadl.dev.java.net/2009/02\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"><resources base=\"http://{host}/fdsnws/availability/1/\">{query}{extent}<resource path=\"version\"><method name=\"GET\"/></resource></resources></application>\n"
    )
}
