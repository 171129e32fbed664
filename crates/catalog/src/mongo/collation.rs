//! The simple collation: texts are equal where their bytes are, and ordered by them.
//!
//! A collection may have another one as its default, by which `a` and `A` are equal, say. So every
//! call that filters or sorts by a text names the simple one, and so does every index.

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Collation;

/// For an action of the driver.
pub(super) fn simple() -> Collation {
    Collation::builder().locale("simple").build()
}

/// For a command.
pub(super) fn document() -> Document {
    doc! { "locale": "simple" }
}

/// Names it in each statement of a write command that has a filter.
pub(super) fn name_in_statements(command: &mut Document) {
    for key in ["updates", "deletes"] {
        for statement in command.get_array_mut(key).into_iter().flatten() {
            if let Bson::Document(statement) = statement {
                statement.insert("collation", document());
            }
        }
    }
}

/// An index, or the options of a collection, that names another one.
pub(super) fn is_other(of: &Document) -> bool {
    of.get_document("collation")
        .and_then(|collation| collation.get_str("locale"))
        .is_ok_and(|locale| locale != "simple")
}
