//! What the command line asks for.

use std::path::{Path, PathBuf};

use crate::report::{Report, Versions};

/// Recordings at rest are watched for so many seconds.
const SECONDS: u64 = 60;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Names of benches, or `svg`.
    pub(crate) names: Vec<String>,
    /// Numbers of recordings, each a run of its own.
    pub(crate) sizes: Vec<u64>,
    /// A root and a state folder that are there already.
    pub(crate) given: Option<(PathBuf, PathBuf)>,
    /// Where the result goes.
    pub(crate) json: Option<PathBuf>,
    /// Where the picture goes.
    pub(crate) svg: Option<PathBuf>,
    /// How long `idle` watches.
    pub(crate) seconds: Option<u64>,
    /// What the database is called.
    pub(crate) database: Option<String>,
    /// Ratios are compared with the stored ones.
    pub(crate) check: bool,
    /// Ratios are stored.
    pub(crate) store: bool,
}

impl Options {
    /// Reads them from the words of a command line.
    ///
    /// # Errors
    /// They say something else; the message is for people.
    pub(crate) fn read(words: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut paths = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--json" => options.json = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--database" => options.database = Some(value()?.clone()),
                "--seconds" => {
                    let seconds = value()?;
                    let seconds = seconds.parse().map_err(|_| format!("{seconds} is no number"))?;
                    options.seconds = Some(seconds);
                }
                "--check" => options.check = true,
                "--store" => options.store = true,
                flag if flag.starts_with('-') => return Err(format!("{flag} is not known")),
                path if path.contains('/') => paths.push(PathBuf::from(path)),
                word => match word.replace('_', "").parse() {
                    Ok(0) => return Err("0 recordings are nothing to measure".to_owned()),
                    Ok(size) => options.sizes.push(size),
                    Err(_) => options.names.push(word.to_owned()),
                },
            }
        }
        options.given = match paths.as_slice() {
            [] => None,
            [root, state] => Some((root.clone(), state.clone())),
            _ => return Err("give a root and a state folder, both with a /".to_owned()),
        };
        if options.json.is_some() && (options.sizes.len() > 1 || options.names.len() > 1) {
            return Err("--json takes one result: give one bench and one size".to_owned());
        }
        Ok(options)
    }
}

/// What every bench needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The server as it is shipped.
    pub(crate) binary: String,
    pub(crate) seconds: u64,
    pub(crate) given: Option<(PathBuf, PathBuf)>,
    pub(crate) versions: Versions,
}

impl Setup {
    /// For this program.
    ///
    /// # Panics
    /// It does not run.
    pub(crate) fn of(binary: &str, options: &Options) -> Setup {
        let told = std::process::Command::new(binary).arg("--version").output();
        let told = told.expect("the binary runs").stdout;
        let versions = Versions {
            focus: String::from_utf8_lossy(&told).trim().to_owned(),
            database: options.database.clone().unwrap_or_else(|| "unknown".to_owned()),
            sqlite: rusqlite::version().to_owned(),
        };
        Setup {
            binary: binary.to_owned(),
            seconds: options.seconds.unwrap_or(SECONDS).max(1),
            given: options.given.clone(),
            versions,
        }
    }

    /// An empty result of a bench whose files are in this folder.
    pub(crate) fn report(&self, bench: &str, n: u64, folder: &Path) -> Report {
        Report::begin(bench, n, &self.versions, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn read(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Options::read(&words)
    }

    #[test]
    fn several_sizes_are_several_runs() {
        let options = read("fill 10000 100_000 --seconds 5").unwrap();
        assert_eq!(options.names, ["fill"]);
        assert_eq!(options.sizes, [10_000, 100_000]);
        assert_eq!(options.seconds, Some(5));
    }

    #[test]
    fn two_paths_are_a_root_and_a_state_folder() {
        let options = read("scan /data/a ./state").unwrap();
        let (root, state) = options.given.unwrap();
        assert_eq!((root.to_str(), state.to_str()), (Some("/data/a"), Some("./state")));
        assert!(read("scan /data/a").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "fill 0",
            "fill --seconds",
            "fill --seconds x",
            "fill 1 2 --json a.json",
            "fill --fast",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
