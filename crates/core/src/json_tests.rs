use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Value, JsonError> {
    Value::parse(text.as_bytes())
}

fn place(text: &str) -> (usize, usize) {
    let error = parse(text).expect_err(text);
    (error.position.line, error.position.column)
}

#[test]
fn integers_keep_every_digit() {
    assert_eq!(parse("9223372036854775807"), Ok(Value::Int(i64::MAX)));
    assert_eq!(parse("-9223372036854775808"), Ok(Value::Int(i64::MIN)));
    assert_eq!(parse("9223372036854775808"), Ok(Value::String("9223372036854775808".into())));
    assert_eq!(parse("1.0"), Ok(Value::Double(1.0)));
    assert_eq!(parse("1e400"), Ok(Value::String("1e400".into())));
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    assert_eq!(place("{\"a\": 1,\n \"b\": tru}"), (2, 7));
    assert_eq!(place("{\"ü\": 1, \"ü\": 2}"), (1, 10));
    assert_eq!(place("{\"a\": 1,}"), (1, 9));
    assert_eq!(place("[1, 2"), (1, 6));
    assert_eq!(place("{\"a\": NaN}"), (1, 7));
    assert_eq!(place("{} x"), (1, 4));
    assert_eq!(place("\"\\ud800\""), (1, 2));
    assert_eq!(place("01"), (1, 1));
}

#[test]
fn nesting_ends_at_sixty_four() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(64)).is_ok());
    assert!(parse(&nested(65)).is_err());
    assert!(parse(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn a_byte_order_mark_is_passed_over_and_other_bytes_are_not() {
    assert_eq!(Value::parse(b"\xEF\xBB\xBF1"), Ok(Value::Int(1)));
    let error = Value::parse(b"{\"a\": \"\xff\"}").expect_err("not UTF-8");
    assert_eq!(error.position, Position { line: 1, column: 8 });
}

#[test]
fn fields_come_with_their_place_and_the_text_of_numbers() {
    let fields = object(b"{\"a\": 1.50,\n  \"b\": \"x\"}").expect("an object");
    assert_eq!(fields[0].number.as_deref(), Some("1.50"));
    assert_eq!(fields[1].position, Position { line: 2, column: 8 });
    assert_eq!(fields[1].number, None);
    assert!(object(b"[1]").is_err());
    assert!(object(b"").is_err());
}

#[test]
fn the_places_of_very_many_fields_cost_one_pass() {
    // With a pass per field this would read 60,000,000,000 bytes.
    let text: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":\n1")).collect();
    let fields = object(format!("{{{}}}", text.join(",")).as_bytes()).expect("an object");
    assert_eq!(fields.len(), 100_000);
    assert_eq!(fields[99_999].position, Position { line: 100_001, column: 1 });
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::Double),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_text_made_is_the_same_value_read(value in value()) {
        prop_assert_eq!(Value::from_text(&value.to_text()), Ok(value));
    }

    #[test]
    fn bytes_are_json_here_when_they_are_elsewhere(text in "[\\[\\]{}:,\"0-9.eE+\\-a \\\\untrf]{0,24}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let ours = parse(&text);
        // Theirs takes duplicate keys and refuses numbers out of range; all else is the same.
        let out_of_range = theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
        let twice = ours.as_ref().is_err_and(|e| e.message.contains("twice"));
        prop_assert!(out_of_range || twice || ours.is_ok() == theirs.is_ok(), "{text}: {ours:?} {theirs:?}");
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Value::parse(&bytes);
        let _ = object(&bytes);
    }
}
