//! Callers that try tokens: the more often one of them was wrong, the longer its next try takes. Each waits for
//! itself, and a wait takes nothing that another caller needs.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Tries that are not slowed: people mistype.
const FREE: u32 = 3;

/// The first wait; each further one is twice as long.
const DELAY_MIN: Duration = Duration::from_millis(250);

/// The longest wait. Whoever shares an address with a caller that guesses waits so long, and is let in.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// After so long without a try, a caller begins anew.
const QUIET: Duration = Duration::from_secs(300);

/// Callers that are remembered, at most: beyond that, the one that tried longest ago is forgotten.
const CALLERS_MAX: usize = 1_024;

/// The callers that have tried tokens lately.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    callers: Mutex<HashMap<IpAddr, Caller>>,
}

#[derive(Clone, Copy, Debug)]
struct Caller {
    tries: u32,
    tried_at: Instant,
}

impl Guesses {
    /// A caller tries a token: it counts as wrong until [`Guesses::was_right`]. Returns how long it has to wait
    /// before it is told anything, right or wrong.
    pub(crate) fn begin(&self, from: IpAddr, now: Instant) -> Duration {
        let mut callers = self.callers.lock();
        let is_known = callers.contains_key(&network(from));
        if !is_known && callers.len() >= CALLERS_MAX {
            callers.retain(|_, caller| now.saturating_duration_since(caller.tried_at) < QUIET);
            let oldest = callers.iter().min_by_key(|(_, caller)| caller.tried_at);
            if callers.len() >= CALLERS_MAX
                && let Some(oldest) = oldest.map(|(address, _)| *address)
            {
                callers.remove(&oldest);
            }
        }
        let caller = callers.entry(network(from)).or_insert(Caller { tries: 0, tried_at: now });
        if now.saturating_duration_since(caller.tried_at) >= QUIET {
            caller.tries = 0;
        }
        let before = caller.tries;
        *caller = Caller { tries: before.saturating_add(1), tried_at: now };
        delay(before)
    }

    /// A try was right, and does not count.
    pub(crate) fn was_right(&self, from: IpAddr) {
        if let Some(caller) = self.callers.lock().get_mut(&network(from)) {
            caller.tries = caller.tries.saturating_sub(1);
        }
    }
}

/// The wait after so many tries that were wrong.
fn delay(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(over) => DELAY_MIN.saturating_mul(1 << over.min(16)).min(DELAY_MAX),
    }
}

/// Of an IPv6 address the part that a caller cannot choose: it has a whole /64 for itself.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_guesses_waits_longer_each_time_and_nobody_else_does() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let waits: Vec<u128> =
            (0..9).map(|_| guesses.begin(address("10.0.0.1"), now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 250, 500, 1_000, 2_000, 2_000, 2_000]);
        assert_eq!(guesses.begin(address("10.0.0.2"), now), Duration::ZERO);
        assert_eq!(guesses.begin(address("10.0.0.1"), now + QUIET), Duration::ZERO);
    }

    #[test]
    fn who_is_right_is_never_slowed() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..50 {
            assert_eq!(guesses.begin(address("::1"), now), Duration::ZERO);
            guesses.was_right(address("::1"));
        }
    }

    #[test]
    fn the_addresses_of_one_network_are_one_caller_and_the_memory_is_bounded() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..4 {
            guesses.begin(address(&format!("2001:db8::{n}")), now);
        }
        assert!(guesses.begin(address("2001:db8::ffff:1"), now) > Duration::ZERO);
        for n in 0..3_000_u32 {
            guesses.begin(IpAddr::from(n.to_be_bytes()), now + Duration::from_secs(1));
        }
        assert_eq!(guesses.callers.lock().len(), CALLERS_MAX);
    }
}
