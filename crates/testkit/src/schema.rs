//! Checks of a JSON value against a JSON Schema, as far as our own schemas need it. A keyword that
//! is not known here is an error, so nothing stays unchecked unnoticed.

use serde_json::{Map, Value};

/// Keywords of a schema that demand nothing.
const NOTES: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

/// The mistakes of `value`, one line each; empty if `value` is as `schema` says. A field that the
/// schema does not name is a mistake too, because our schemas name every field.
pub fn check(schema: &Value, value: &Value) -> Vec<String> {
    let mut checker = Checker { root: schema, wrong: Vec::new() };
    checker.check(schema, value, "");
    checker.wrong
}

struct Checker<'a> {
    root: &'a Value,
    wrong: Vec<String>,
}

impl Checker<'_> {
    fn check(&mut self, schema: &Value, value: &Value, at: &str) {
        let Some(rules) = schema.as_object() else {
            self.wrong.push(format!("{at}: the schema is no object"));
            return;
        };
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "$ref" => self.reference(rule, value, at),
                "type" => self.is_of(rule, value, at),
                "const" => self.expect(rule == value, at, &format!("{value} is not {rule}")),
                "enum" => {
                    let good = rule.as_array().is_some_and(|all| all.contains(value));
                    self.expect(good, at, &format!("{value} is none of {rule}"));
                }
                "minimum" => {
                    let good = value.as_f64().zip(rule.as_f64()).is_none_or(|(v, min)| v >= min);
                    self.expect(good, at, &format!("{value} is below {rule}"));
                }
                "required" => {
                    for name in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                        self.expect(value.get(name).is_some(), at, &format!("{name} is missing"));
                    }
                }
                "properties" => self.properties(rule, value, at),
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}/{n}"));
                    }
                }
                note if NOTES.contains(&note) => {}
                other => self.wrong.push(format!("{at}: the keyword {other} is not known here")),
            }
        }
    }

    fn expect(&mut self, good: bool, at: &str, words: &str) {
        if !good {
            self.wrong.push(format!("{at}: {words}"));
        }
    }

    fn reference(&mut self, to: &Value, value: &Value, at: &str) {
        let pointer = to.as_str().and_then(|to| to.strip_prefix('#')).unwrap_or("nowhere");
        match self.root.pointer(pointer) {
            Some(schema) => self.check(schema, value, at),
            None => self.wrong.push(format!("{at}: {to} leads nowhere")),
        }
    }

    fn is_of(&mut self, rule: &Value, value: &Value, at: &str) {
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            _ => false,
        };
        let good = match rule {
            Value::String(name) => is(name),
            Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
            _ => false,
        };
        self.expect(good, at, &format!("{value} is no {rule}"));
    }

    fn properties(&mut self, rule: &Value, value: &Value, at: &str) {
        let none = Map::new();
        let named = rule.as_object().unwrap_or(&none);
        for (name, field) in value.as_object().unwrap_or(&none) {
            match named.get(name) {
                Some(schema) => self.check(schema, field, &format!("{at}/{name}")),
                None => self.wrong.push(format!("{at}: {name} is not in the schema")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let schema = json!({
            "type": "object", "required": ["a", "b"], "$defs": { "few": { "enum": [1, null] } },
            "properties": {
                "a": { "type": ["integer", "null"], "minimum": 0 },
                "b": { "type": "array", "items": { "$ref": "#/$defs/few" } },
                "c": { "const": "x" },
            },
        });
        assert_eq!(check(&schema, &json!({ "a": 3, "b": [1, null], "c": "x" })), [""; 0]);
        for (value, words) in [
            (json!([]), "no \"object\""),
            (json!({ "a": 1 }), "b is missing"),
            (json!({ "a": -1, "b": [] }), "below 0"),
            (json!({ "a": 1.5, "b": [] }), "is no"),
            (json!({ "a": 1, "b": [2] }), "/b/0: 2 is none of"),
            (json!({ "a": 1, "b": [], "c": "y" }), "is not \"x\""),
            (json!({ "a": 1, "b": [], "d": 1 }), "d is not in the schema"),
        ] {
            let wrong = check(&schema, &value).join("\n");
            assert!(wrong.contains(words), "{value}: {wrong}");
        }
        let odd = json!({ "pattern": "x" });
        assert!(check(&odd, &json!("x"))[0].contains("not known"));
    }
}
