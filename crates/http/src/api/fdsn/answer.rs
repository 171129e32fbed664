//! The forms of the answers: columns, GeoCSV 2.0, JSON and lines of a request for data.

use std::fmt::Write;

use focus_common::clock;
use focus_core::fdsn::{Channel, Code, Format, Kind, Ordered, Request};
use serde_json::{Value, json};

/// The answer of a request: its media type and its text.
pub(super) fn text(request: &Request, answer: &Ordered) -> (&'static str, String) {
    match request.format {
        Format::Text => ("text/plain; charset=utf-8", columns(request, answer)),
        Format::GeoCsv => ("text/csv; charset=utf-8", geocsv(request, answer)),
        Format::Json => ("application/json", in_json(request, answer)),
        Format::Request => ("text/plain; charset=utf-8", lines(answer)),
    }
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
    fn of(request: &Request, Ordered { channels, .. }: &Ordered) -> Columns {
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
    code.sample_rate.map_or_else(String::new, |rate| format!("{:?}", rate.0))
}

/// Rows under their names, as wide as the widest. Only one row at a time is held beside the text.
fn columns(request: &Request, answer: &Ordered) -> String {
    let columns = Columns::of(request, answer);
    let heads = columns.heads();
    let mut widths: Vec<usize> = heads.iter().map(|(name, _, _)| name.len()).collect();
    widths[0] += 1;
    for (at, span) in &answer.rows {
        for (width, cell) in
            widths.iter_mut().zip(columns.cells(&answer.channels[*at], *span, "--"))
        {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        for (at, (cell, width)) in cells.zip(&widths).enumerate() {
            let space = if at > 0 { " " } else { "" };
            let _ = write!(text, "{space}{cell:<width$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    let hash =
        |(at, name): (usize, &str)| if at == 0 { format!("#{name}") } else { name.to_owned() };
    line(&mut heads.iter().map(|(name, _, _)| *name).enumerate().map(hash));
    for (at, span) in &answer.rows {
        line(&mut columns.cells(&answer.channels[*at], *span, "--").into_iter());
    }
    text
}

fn geocsv(request: &Request, answer: &Ordered) -> String {
    let columns = Columns::of(request, answer);
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
    for (at, span) in &answer.rows {
        text.push_str(&columns.cells(&answer.channels[*at], *span, "").join("|"));
        text.push('\n');
    }
    text
}

fn lines(answer: &Ordered) -> String {
    let mut text = String::new();
    for (at, (from_ms, to_ms)) in &answer.rows {
        let code = &answer.channels[*at].code;
        let location = if code.location.is_empty() { "--" } else { &code.location };
        let _ = writeln!(
            text,
            "{} {} {location} {} {} {}",
            code.network,
            code.station,
            code.channel,
            time(*from_ms),
            time(*to_ms)
        );
    }
    text
}

/// A source of the answer in JSON, without its spans.
fn source(request: &Request, channel: &Channel) -> Value {
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
    if let Some(rate) = code.sample_rate {
        source["samplerate"] = json!(rate.0);
    }
    if request.kind == Kind::Extent {
        let extent = channel.extent();
        source["earliest"] = json!(extent.map(|(first, _)| time(first)));
        source["latest"] = json!(extent.map(|(_, last)| time(last)));
        source["timespanCount"] = json!(channel.spans.len());
        source["restriction"] = json!("OPEN");
    }
    if request.kind == Kind::Extent || request.shows_updated {
        source["updated"] = json!(time(channel.updated_ms));
    }
    source
}

/// Written as it goes: a tree of all spans takes many times its text.
fn in_json(request: &Request, answer: &Ordered) -> String {
    let created = time(clock::wall_ms());
    let mut text = format!("{{\"created\":\"{created}\",\"version\":1.0,\"datasources\":[");
    for (at, channel) in answer.channels.iter().enumerate() {
        let source = source(request, channel).to_string();
        text.push_str(if at > 0 { "," } else { "" });
        if request.kind == Kind::Extent {
            text.push_str(&source);
            continue;
        }
        text.push_str(source.trim_end_matches('}'));
        text.push_str(",\"timespans\":[");
        for (at, (from_ms, to_ms)) in channel.spans.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(text, "{comma}[\"{}\",\"{}\"]", time(*from_ms), time(*to_ms));
        }
        text.push_str("]}");
    }
    text.push_str("]}");
    text
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
