//! Settings of the C library's allocator, so that the memory of the process follows what it holds
//! and not what it once held.
//!
//! glibc gives threads arenas of their own, up to eight for each core. Free memory of one arena is
//! of no use to another, so after a backlog each arena keeps what it once needed. The server has a
//! handful of threads and small allocations, and each thread's own cache serves most of them. One
//! arena is enough.
//!
//! This is the only crate with `unsafe` code: one declaration of two functions of the C library.
//! Both take numbers, may be called by any thread at any time, and fail by returning 0. With
//! another C library both calls do nothing.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// `M_ARENA_MAX` of `malloc.h`.
    pub(crate) const ARENA_MAX: c_int = -8;

    // `mallopt(3)` and `malloc_trim(3)`: the types are those of `malloc.h`.
    #[expect(unsafe_code, reason = "the standard library does not declare them")]
    unsafe extern "C" {
        pub(crate) safe fn mallopt(param: c_int, value: c_int) -> c_int;
        pub(crate) safe fn malloc_trim(pad: usize) -> c_int;
    }
}

/// Makes all threads share one arena. Arenas that exist already stay, so call it before there are
/// threads. An operator's own `MALLOC_ARENA_MAX` has precedence.
pub fn share_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        glibc::mallopt(glibc::ARENA_MAX, 1);
    }
}

/// Gives free memory back to the system. The call takes about a millisecond for tens of MiB. Other
/// threads may wait for memory meanwhile, so call it now and then, and not in the middle of work.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::malloc_trim(0);
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use std::thread;

    /// Resident memory, KiB.
    fn resident() -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_threads_have_freed_is_given_back() {
        super::share_one_arena();
        let before = resident();
        let fill = || {
            // Too small to be mapped one by one. The last ones stay, and keep the heap's end where
            // it is.
            let mut kept: Vec<Vec<u8>> = (0..20_000).map(|_| vec![1; 1_000]).collect();
            let held = kept.split_off(19_800);
            (resident(), held)
        };
        let held: Vec<_> = (0..4).map(|_| thread::spawn(fill).join().unwrap()).collect();
        let most = held.iter().map(|(resident, _)| *resident).max().unwrap();
        super::give_back();
        let after = resident();
        assert!(most > before + 16_000, "{most} KiB at the most, {before} KiB before");
        assert!(after < before + 4_000, "{after} KiB after, {before} KiB before");
        drop(held);
    }
}
