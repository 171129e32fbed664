//! The settings of a running server, read again.

use focus_common::config::{self, Mistake, Overrides, Reload, SETTINGS, Settings};

use super::NO_ROOT;

/// Settings that were read again.
pub(super) struct Reloaded {
    /// What the server works with from now on. What needs a restart is as before.
    pub(super) settings: Settings,
    /// Something of the engine's has changed.
    pub(super) engine_anew: bool,
    /// The keys that have changed and take effect.
    changed: Vec<&'static str>,
    /// The keys that have changed and take effect when the server is started again.
    pub(super) need_a_restart: Vec<&'static str>,
}

impl Reloaded {
    /// Reads the settings as at the start: file, environment and flags, the last two as they were then.
    ///
    /// # Errors
    /// The mistakes in them, in words.
    pub(super) fn read(before: &Settings, overrides: &Overrides) -> Result<Reloaded, Vec<String>> {
        let settings = config::load(overrides)
            .map_err(|mistakes| mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>())?;
        if settings.roots.is_empty() {
            return Err(vec![NO_ROOT.to_owned()]);
        }
        super::hide_secrets(&settings);
        Ok(Reloaded::of(before, settings))
    }

    fn of(before: &Settings, mut settings: Settings) -> Reloaded {
        let (mut changed, mut need_a_restart, mut engine_anew) = (Vec::new(), Vec::new(), false);
        for setting in SETTINGS.iter().filter(|setting| !setting.is_same(before, &settings)) {
            match setting.reload {
                Reload::AtOnce => changed.push(setting.key),
                Reload::EngineAnew => {
                    changed.push(setting.key);
                    engine_anew = true;
                }
                Reload::Restart => need_a_restart.push(setting.key),
            }
        }
        for setting in SETTINGS.iter().filter(|setting| need_a_restart.contains(&setting.key)) {
            setting.keep(&mut settings, before);
        }
        Reloaded { settings, engine_anew, changed, need_a_restart }
    }

    /// What takes effect, in words.
    pub(super) fn told(&self) -> String {
        match self.changed.as_slice() {
            [] => "nothing that takes effect has changed".to_owned(),
            changed => format!("{} changed", changed.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        config::from_text(std::path::Path::new("focus.toml"), text).expect("good settings")
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_was_and_the_rest_is_taken() {
        let before = settings("");
        let after = settings("listen = '127.0.0.1:1'\nscan_interval_ms = 5000\nlog = 'debug'");
        let reloaded = Reloaded::of(&before, after);
        assert_eq!(reloaded.need_a_restart, ["listen"]);
        assert_eq!(reloaded.told(), "log, scan_interval_ms changed");
        assert!(reloaded.engine_anew);
        assert_eq!(reloaded.settings.listen, before.listen);
        assert_eq!(reloaded.settings.scan_interval_ms, 5_000);
    }

    #[test]
    fn a_secret_that_changed_is_a_change_and_what_is_taken_at_once_leaves_the_engine_alone() {
        let before = settings("mongodb_uri = 'mongodb://a:1@h/'");
        assert!(Reloaded::of(&before, settings("mongodb_uri = 'mongodb://a:2@h/'")).engine_anew);
        let hosts = settings("mongodb_uri = 'mongodb://a:1@h/'\nallowed_hosts = ['h']");
        let reloaded = Reloaded::of(&before, hosts);
        assert_eq!(
            (reloaded.engine_anew, reloaded.told().as_str()),
            (false, "allowed_hosts changed")
        );
    }
}
