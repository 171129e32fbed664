//! What brokers send: packets of AMQP and of MQTT.

use focus_hints::{Skimmed, skim_amqp, skim_mqtt};

/// Checks what a broker of AMQP sends.
pub fn amqp(bytes: &[u8]) {
    holds(bytes, skim_amqp);
}

/// Checks what a broker of MQTT sends.
pub fn mqtt(bytes: &[u8]) {
    holds(bytes, skim_mqtt);
}

fn holds(bytes: &[u8], skim: fn(&[u8]) -> Skimmed) {
    let all = skim(bytes);
    assert!(all.bytes <= bytes.len() && all.packets <= all.bytes, "{all:?}");
    assert!(all.bodies.len() <= all.packets, "{all:?}");
    assert!(all.bodies.iter().sum::<usize>() <= all.bytes, "{all:?}");
    if let Some(words) = &all.problem {
        assert!(!words.is_empty() && words.len() < 2_048, "{words}");
    }
    // Of what comes in parts the same is read, once it is there.
    for part in [bytes.len() / 2, all.bytes] {
        let before = skim(&bytes[..part]);
        assert!(before.bytes <= all.bytes && all.bodies.starts_with(&before.bodies), "{before:?}");
        assert!(part < all.bytes || before.packets == all.packets, "{before:?} {all:?}");
    }
}
