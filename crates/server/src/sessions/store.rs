//! The sessions, and the one-time codes that begin one. What a browser holds is kept as its digest alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use focus_common::config::Secret;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// Sessions at most. Beyond that, the one that has been idle longest ends.
const SESSIONS_MAX: usize = 256;

/// A session that nobody has used for so long is over: a working day.
const IDLE_MAX: Duration = Duration::from_secs(12 * 3_600);

/// Codes that wait to be used, at most. Beyond that, the oldest is void.
const CODES_MAX: usize = 16;

/// A code can be used for so long: time to carry an address from a terminal to a browser.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// The random bytes of each value.
const RANDOM_BYTES: usize = 32;

/// The SHA-256 of a value: whoever reads the memory of the server cannot sign in by it.
type Digest = [u8; 32];

/// The values of a session that has begun, for the cookies.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Shown by reading calls.
    pub(crate) reading: Secret,
    /// Shown by changing calls.
    pub(crate) changing: Secret,
}

/// A session that was found by one of its cookies.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What a changing call has to carry beside its cookie.
    pub(crate) csrf: Secret,
    /// The token that the session was begun with: its rights are those of the session.
    pub(crate) token: Secret,
}

#[derive(Debug)]
struct Session {
    reading: Digest,
    changing: Digest,
    found: Found,
    used_at: Instant,
}

#[derive(Debug)]
struct Code {
    digest: Digest,
    token: Secret,
    made_at: Instant,
}

/// The sessions of a server.
#[derive(Debug)]
pub(crate) struct Sessions {
    random: SystemRandom,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: Vec<Session>,
    /// The oldest first.
    codes: VecDeque<Code>,
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions { random: SystemRandom::new(), kept: Mutex::default() }
    }
}

impl Sessions {
    /// How long a code can be used.
    pub(crate) const CODE_LIFE: Duration = CODE_LIFE;

    /// Begins a session with this token; none where the system has no randomness to give.
    pub(crate) fn begin(&self, token: &Secret, now: Instant) -> Option<Begun> {
        let (reading, changing, csrf) = (self.value()?, self.value()?, self.value()?);
        let session = Session {
            reading: digest_of(reading.expose()),
            changing: digest_of(changing.expose()),
            found: Found { csrf, token: token.clone() },
            used_at: now,
        };
        let mut kept = self.kept.lock();
        kept.end_idle(now);
        if kept.sessions.len() >= SESSIONS_MAX {
            let used = kept.sessions.iter().enumerate().min_by_key(|(_, one)| one.used_at);
            if let Some(idle) = used.map(|(at, _)| at) {
                kept.sessions.swap_remove(idle);
            }
        }
        kept.sessions.push(session);
        Some(Begun { reading, changing })
    }

    /// The session whose reading cookie has this value.
    pub(crate) fn by_reading(&self, value: &str, now: Instant) -> Option<Found> {
        let shown = digest_of(value);
        self.find(now, |session| session.reading == shown)
    }

    /// The session whose changing cookie has this value.
    pub(crate) fn by_changing(&self, value: &str, now: Instant) -> Option<Found> {
        let shown = digest_of(value);
        self.find(now, |session| session.changing == shown)
    }

    fn find(&self, now: Instant, is_one: impl Fn(&Session) -> bool) -> Option<Found> {
        let mut kept = self.kept.lock();
        kept.end_idle(now);
        let session = kept.sessions.iter_mut().find(|session| is_one(session))?;
        session.used_at = now;
        Some(session.found.clone())
    }

    /// Ends the session that one of these cookies belongs to.
    pub(crate) fn end(&self, value: &str) {
        let shown = digest_of(value);
        let is_other = |one: &Session| one.reading != shown && one.changing != shown;
        self.kept.lock().sessions.retain(is_other);
    }

    /// Ends every session, and voids every code, of a token that is not known any more.
    pub(crate) fn retain(&self, is_known: impl Fn(&Secret) -> bool) {
        let mut kept = self.kept.lock();
        kept.sessions.retain(|session| is_known(&session.found.token));
        kept.codes.retain(|code| is_known(&code.token));
    }

    /// A code that begins one session with this token; none where the system has no randomness to give.
    pub(crate) fn code(&self, token: &Secret, now: Instant) -> Option<Secret> {
        let code = self.value()?;
        let mut kept = self.kept.lock();
        kept.void_old(now);
        if kept.codes.len() >= CODES_MAX {
            kept.codes.pop_front();
        }
        let digest = digest_of(code.expose());
        kept.codes.push_back(Code { digest, token: token.clone(), made_at: now });
        Some(code)
    }

    /// Uses a code: the token that it was made with. Afterwards it is void.
    pub(crate) fn redeem(&self, code: &str, now: Instant) -> Option<Secret> {
        let shown = digest_of(code);
        let mut kept = self.kept.lock();
        kept.void_old(now);
        let at = kept.codes.iter().position(|code| code.digest == shown)?;
        kept.codes.remove(at).map(|code| code.token)
    }

    /// A value that nobody guesses.
    fn value(&self) -> Option<Secret> {
        let mut bytes = [0; RANDOM_BYTES];
        self.random.fill(&mut bytes).ok()?;
        Some(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl Kept {
    fn end_idle(&mut self, now: Instant) {
        self.sessions.retain(|one| now.saturating_duration_since(one.used_at) < IDLE_MAX);
    }

    fn void_old(&mut self, now: Instant) {
        self.codes.retain(|one| now.saturating_duration_since(one.made_at) < CODE_LIFE);
    }
}

fn digest_of(value: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, value.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Secret {
        Secret::new("a token of the settings".to_owned())
    }

    #[test]
    fn each_cookie_finds_its_session_and_neither_does_the_work_of_the_other() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let one = sessions.begin(&token(), now).expect("begun");
        let other = sessions.begin(&token(), now).expect("begun");
        let found = sessions.by_reading(one.reading.expose(), now).expect("there");
        let changed = sessions.by_changing(one.changing.expose(), now).expect("there");
        assert_eq!(found.csrf, changed.csrf);
        let csrf = sessions.by_reading(other.reading.expose(), now).expect("there").csrf;
        assert_ne!(found.csrf, csrf);
        assert!(sessions.by_changing(one.reading.expose(), now).is_none());
        assert!(sessions.by_reading(one.changing.expose(), now).is_none());
        sessions.end(one.changing.expose());
        assert!(sessions.by_reading(one.reading.expose(), now).is_none());
        assert!(sessions.by_reading(other.reading.expose(), now).is_some());
    }

    #[test]
    fn a_session_ends_after_twelve_hours_without_use_and_goes_on_while_it_is_used() {
        let (sessions, mut now) = (Sessions::default(), Instant::now());
        let one = sessions.begin(&token(), now).expect("begun");
        for _ in 0..3 {
            now += IDLE_MAX - Duration::from_secs(1);
            assert!(sessions.by_reading(one.reading.expose(), now).is_some());
        }
        assert!(sessions.by_reading(one.reading.expose(), now + IDLE_MAX).is_none());
    }

    #[test]
    fn the_longest_idle_session_gives_way_to_one_too_many() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let at = |n: usize| now + Duration::from_secs(n as u64);
        let all: Vec<Begun> =
            (0..SESSIONS_MAX).filter_map(|n| sessions.begin(&token(), at(n))).collect();
        let later = at(SESSIONS_MAX);
        assert!(sessions.by_reading(all[0].reading.expose(), later).is_some());
        sessions.begin(&token(), later).expect("begun");
        assert!(sessions.by_reading(all[0].reading.expose(), later).is_some(), "it was used");
        assert!(sessions.by_reading(all[1].reading.expose(), later).is_none());
        assert_eq!(sessions.kept.lock().sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn a_code_works_once_and_for_a_minute_and_old_ones_give_way() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let code = sessions.code(&token(), now).expect("a code");
        assert_eq!(sessions.redeem(code.expose(), now), Some(token()));
        assert_eq!(sessions.redeem(code.expose(), now), None);
        let late = sessions.code(&token(), now).expect("a code");
        assert_eq!(sessions.redeem(late.expose(), now + CODE_LIFE), None);
        let first = sessions.code(&token(), now).expect("a code");
        let more: Vec<Secret> =
            (0..CODES_MAX).filter_map(|_| sessions.code(&token(), now)).collect();
        assert_eq!(sessions.redeem(first.expose(), now), None);
        assert!(more.iter().all(|code| sessions.redeem(code.expose(), now).is_some()));
    }

    #[test]
    fn what_belongs_to_a_token_that_is_gone_is_over() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let gone = Secret::new("another".to_owned());
        let one = sessions.begin(&gone, now).expect("begun");
        let code = sessions.code(&gone, now).expect("a code");
        let stays = sessions.begin(&token(), now).expect("begun");
        sessions.retain(|known| *known == token());
        assert!(sessions.by_reading(one.reading.expose(), now).is_none());
        assert!(sessions.redeem(code.expose(), now).is_none());
        assert!(sessions.by_reading(stays.reading.expose(), now).is_some());
    }
}
